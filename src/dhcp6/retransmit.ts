/** When a message is sent again (RFC 8415 section 15). Times in milliseconds; 0: without that limit. */
import { type Random, randomFraction } from '../base/random.ts'

export interface RetransmitTerms {
  /** IRT: how long the first answer is waited for. */
  first: number
  /** MRT: the longest wait. */
  most?: number
  /** MRC: how often it is sent. */
  attempts?: number
  /** MRD: how long all of it lasts. */
  duration?: number
  /** RAND of the first wait is above zero, so that nobody is done before IRT is over (section 18.2.1). */
  later?: boolean
}

/** RAND is between -0.1 and 0.1. */
const SPREAD = 0.1

export class Retransmission {
  /** Messages sent, and when the first was. */
  sent = 0
  begunAt = 0
  /** MRT: servers may change it meanwhile (RFC 7083). 0: none. */
  most: number
  /** RT. */
  private wait = 0

  constructor(
    private readonly terms: RetransmitTerms,
    private readonly random: Random,
  ) {
    this.most = terms.most ?? 0
  }

  /** No more is sent: as often, or for as long, as it may be. */
  isOver(now: number): boolean {
    const { attempts = 0, duration = 0 } = this.terms
    return (attempts > 0 && this.sent >= attempts) || (duration > 0 && this.sent > 0 && now - this.begunAt >= duration)
  }

  /** The message is sent now. Returns how long until the next, or the end. */
  next(now: number): number {
    const { most } = this
    const { first, duration = 0, later = false } = this.terms
    const rand = SPREAD * (2 * randomFraction(this.random) - 1)
    if (this.sent === 0) {
      this.begunAt = now
      this.wait = first * (1 + (later ? Math.abs(rand) : rand))
    } else this.wait *= 2 + rand
    if (most > 0 && this.wait > most) this.wait = most * (1 + rand)
    this.sent++
    return duration > 0 ? Math.min(this.wait, Math.max(0, this.begunAt + duration - now)) : this.wait
  }

  /** For the option of that name: hundredths of a second, as many as fit (section 21.9). */
  elapsed(now: number): number {
    return this.sent === 0 ? 0 : Math.min(0xffff, Math.floor((now - this.begunAt) / 10))
  }
}
