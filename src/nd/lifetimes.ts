/**
 * Time for what may live for years: the clock of the stack wraps after 49 days, lifetimes of routers' messages are up to 2^32 s, or
 * infinite. Here time is a double of milliseconds that never wraps, and a deadline may be Infinity.
 */
import { get32 } from '../base/bytes.ts'
import type { NeighborClock } from '../ip/neighbor.ts'

/** A timer is set for no longer than this, though the deadline is later: it looks again then, and the long clock is kept going. */
export const LONGEST_TIMER_MS = 0x4000_0000

export class LongClock {
  private last: number
  private total = 0

  constructor(private readonly clock: NeighborClock) {
    this.last = clock.nowMs
  }

  /** Milliseconds since the beginning. Right as long as it is asked at least every 24 days while a finite deadline is kept. */
  get now(): number {
    const { nowMs } = this.clock
    this.total += (nowMs - this.last) | 0
    this.last = nowMs
    return this.total
  }
}

/** A lifetime as it stands in a message, in milliseconds: all ones is infinity (RFC 4861 section 4.6.2). */
export function readLifetime(buf: Uint8Array, at: number): number {
  const seconds = get32(buf, at)
  return seconds === -1 ? Number.POSITIVE_INFINITY : (seconds >>> 0) * 1000
}

/** `deadline` if it is yet to come, else never. */
export function upcoming(deadline: number, now: number): number {
  return deadline > now ? deadline : Number.POSITIVE_INFINITY
}
