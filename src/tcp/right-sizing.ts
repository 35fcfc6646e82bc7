/**
 * How large the receive buffer should be: dynamic right-sizing (Fisk and Feng, 2001), in the way of Linux.
 *
 * Theory of operation. What the application took during one round trip is what the sender could send in one; a buffer of twice that never holds
 * back a sender that doubles its window every round trip, and lets it repair a loss besides. Who only receives measures no round-trip time
 * of its own sending, so it is measured from the receiver's side: with timestamps, by the echo of our own clock in full segments; without, by how long
 * the sender needs for a whole window, which is never shorter than a round trip, so that the least of these counts.
 *
 * Made when the first data arrives: an idle connection does not pay for it.
 */
import type { Receiver } from './receiver.ts'
import { MAX_ECHO_AGE_MS } from './rto.ts'

/** The timestamp clock ticks in ms: a shorter round trip is not seen by it. */
const TICK_US = 1000

export class RightSizing {
  /** Round-trip time from the receiver's side, in us; 0: not yet known. */
  rttUs = 0
  /** Eight times the smoothed samples from timestamps. */
  private smoothed = 0
  /** Of the last sample: segments that echo the same have nothing to add. */
  lastEcho = 0
  /** The window that is being waited for: its right edge, and since when. */
  private windowEnd = 0
  private windowUs = 0
  private waiting = false
  /** Bytes that the application took since `sinceUs`; most of any round trip before. */
  private taken = 0
  private sinceUs = 0
  private best: number

  constructor(rcv: Receiver, mss: number) {
    this.best = Math.min(rcv.limit, 10 * mss)
  }

  /** A full segment echoes a time stamp of ours that is `ms` old. One sample for all segments with the same echo. */
  sampleEcho(echo: number, ms: number): void {
    if (echo === this.lastEcho || ms < 0 || ms > MAX_ECHO_AGE_MS) return
    this.lastEcho = echo
    const us = ms > 0 ? ms * 1000 : TICK_US
    this.smoothed = this.smoothed === 0 ? us << 3 : this.smoothed + us - (this.smoothed >> 3)
    this.rttUs = this.smoothed >> 3
  }

  /** Data arrived up to `nxt`, without timestamps; `window` is what was offered. */
  sampleWindow(nxt: number, window: number, nowUs: number): void {
    if (this.waiting) {
      if (((nxt - this.windowEnd) | 0) < 0) return
      const us = Math.max(1, (nowUs - this.windowUs) | 0)
      if (this.rttUs === 0 || us < this.rttUs) this.rttUs = us
    }
    this.waiting = true
    this.windowEnd = (nxt + window) | 0
    this.windowUs = nowUs
  }

  /**
   * The application took `bytes`. Returns how large the buffer should be, 0 when there is nothing new to say. `srttUs`: round-trip time by
   * what we sent, 0 if unknown; better than a clock that ticks in ms where it is shorter than a few ticks.
   */
  consumed(bytes: number, mss: number, outOfOrder: number, nowUs: number, srttUs: number): number {
    this.taken += bytes
    let rtt = this.rttUs
    if (rtt < 2 * TICK_US && srttUs > 0 && (rtt === 0 || srttUs < rtt)) rtt = srttUs
    const elapsed = (nowUs - this.sinceUs) | 0
    if (rtt === 0 || (elapsed >= 0 && elapsed < rtt)) return 0
    const { taken, best } = this
    this.taken = 0
    this.sinceUs = nowUs
    if (taken <= best) return 0
    this.best = taken
    const window = 2 * taken + 16 * mss
    // The sender grows, and what is taken now answers what it sent a round trip ago: twice as much again as it grew, which is at most double.
    const growth = taken < 2 * best ? (taken - best) / best : 1
    return window + 2 * window * growth + outOfOrder
  }
}
