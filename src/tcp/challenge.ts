/**
 * Challenge ACKs per second for the whole stack (RFC 5961 section 7), with a limit that varies, so that it cannot be used to find out about
 * others' connections (CVE-2016-5696).
 */
import type { Random } from '../base/random.ts'

export class ChallengeLimit {
  private left = 0
  private second = 0

  constructor(
    private readonly perSecond: number,
    private readonly random: Random,
  ) {}

  /** Takes one of this second's; false when there is none left. */
  take(nowMs: number): boolean {
    const second = (nowMs / 1000) | 0
    if (second !== this.second) {
      this.second = second
      const half = this.perSecond >> 1
      this.left = half + ((this.random.int32() >>> 1) % (half + 1))
    }
    if (this.left <= 0) return false
    this.left--
    return true
  }
}
