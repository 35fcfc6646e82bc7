/**
 * Pacing: data leaves at a rate instead of in bursts of a window.
 *
 * A departure time runs ahead of the clock by what was sent (size / rate); data may leave when that time has come. The stack's timers tick in
 * milliseconds, so whoever had to wait may make up for what the timer was late, up to `CREDIT_US`; whoever did not wait, because there was
 * nothing to send, may not. So a burst is a millisecond's worth, or two segments where that is less, and the mean rate is kept.
 *
 * The first ten segments of a connection are not held back by an algorithm's rate (as in Linux): they are the initial window, whose size is
 * its own limit; a rate that the application has set counts from the first byte.
 */
import type { CongestionWindow } from './congestion.ts'
import type { Connection } from './connection.ts'
import type { Sender } from './sender.ts'

/** Most lateness that is made up for: two ticks of the timer. */
const CREDIT_US = 2000
/** Furthest that the departure time runs ahead, in microseconds: the clock wraps, and a rate may be one byte per second. */
const MAX_AHEAD_US = 1e9
/** Largest super-segment that a slow rate still allows, in microseconds (Linux: sk_pacing_shift 10, about a millisecond). */
const QUANTUM_US = 1000
/** Linux: tcp_update_skb_after_send. */
const FREE_SEGMENTS = 10

export class Pacer {
  /** When the next data may leave. */
  private nextUs = 0
  /** Of that, what is less than a microsecond. */
  private fraction = 0
  /** Data waits for `nextUs`. */
  private waiting = false
  /** Bytes that an algorithm's rate does not hold back. */
  private free: number

  constructor(nowUs: number, bytesSent: number, mss: number) {
    this.nextUs = nowUs
    this.free = FREE_SEGMENTS * mss - bytesSent
  }

  /** Microseconds until data may leave; 0: now. */
  wait(nowUs: number): number {
    const ahead = (this.nextUs - nowUs) | 0
    if (ahead > 0) {
      this.waiting = true
      return ahead
    }
    if (!this.waiting) this.nextUs = nowUs
    else if (-ahead > CREDIT_US) this.nextUs = (nowUs - CREDIT_US) | 0
    return 0
  }

  /** The window holds data back now, or there is none: what was missed is not made up for. */
  rest(): void {
    this.waiting = false
  }

  /** `bytes` left at `rate` bytes per second. `isOwn`: the rate is the application's. */
  sent(bytes: number, rate: number, nowUs: number, isOwn: boolean): void {
    if (!isOwn && this.free > 0) {
      this.free -= bytes
      this.nextUs = nowUs
      return
    }
    // Not a comparison: bundlers make variables of constants, and where one meets a double V8 makes a heap number of it, for every segment.
    const us = Math.min((bytes * 1e6) / rate + this.fraction, MAX_AHEAD_US)
    const whole = Math.floor(us)
    this.fraction = us - whole
    const ahead = (this.nextUs - nowUs) | 0
    const next = ahead < -CREDIT_US ? (nowUs - CREDIT_US) | 0 : this.nextUs
    this.nextUs = ahead + whole > MAX_AHEAD_US ? (nowUs + MAX_AHEAD_US) | 0 : (next + whole) | 0
  }
}

/** Bytes that may leave as one super-segment at `rate` bytes per second: a millisecond's worth, two segments at least. */
export function pacingQuantum(rate: number, mss: number): number {
  const bytes = (rate * QUANTUM_US) / 1e6
  return bytes < 2 * mss ? 2 * mss : bytes < 0x7fffffff ? Math.floor(bytes) : 0x7fffffff
}

/** Pacing of an algorithm that has no rate of its own (Linux tcp_update_pacing_rate): twice its rate while it doubles, 1.2 times after. */
export function windowPacingRate(w: CongestionWindow, smoothedRttUs: number): number {
  if (smoothedRttUs <= 0) return 0
  return Math.floor(((w.cwnd < w.ssthresh >> 1 ? 2 : 1.2) * w.cwnd * 1e6) / smoothedRttUs)
}

/** The time of the next segment has not come; a timer is set. */
export function mustWait(c: Connection, nowUs: number): boolean {
  const { snd } = c
  if (snd.pacer === null || snd.pacingRate === 0) return false
  const us = snd.pacer.wait(nowUs)
  if (us === 0) return false
  snd.isPaced = true
  c.deadlines.armPace(Math.ceil(us / 1000))
  return true
}

/** `bytes` have left. */
export function charge(snd: Sender, bytes: number, nowUs: number): void {
  const rate = snd.pacingRate
  snd.pacer ??= new Pacer(nowUs, snd.bytesSent, snd.mss)
  snd.pacer.sent(bytes, rate, nowUs, rate === snd.maxPacingRate)
}
