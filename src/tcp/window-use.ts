/**
 * Whether the congestion window is in use: a window that was not filled says nothing about the path, and must not grow (RFC 9293 section
 * 3.8.2, RFC 5681 section 4.1, RFC 7661); one that was not filled for long shrinks towards what was used (RFC 2861 section 3.1).
 *
 * As Linux does it (tcp_cwnd_validate): looked at once after each burst, so that a segment costs nothing. `mark` ends the flight of which
 * `isFull` and `most` speak. In slow start half the window in use is enough to grow, because the next round may need twice as much.
 */
import { type CongestionWindow, initialWindow } from './congestion.ts'
import { geq } from './seq.ts'

export class WindowUse {
  /** The window, and nothing else, stopped the flight that ends at `mark`. */
  isFull = false
  /** Most bytes outstanding in that flight. */
  most = 0
  private mark = 0
  private lastNxt = 0
  /** Most bytes outstanding since the window was last in use, and when that was. */
  private used = 0
  private usedMs = 0

  begin(nxt: number, nowMs: number): void {
    this.mark = nxt
    this.lastNxt = nxt
    this.usedMs = nowMs
  }

  /** The window was not in use, and less of it was. */
  get isPart(): boolean {
    return this.used > 0
  }

  /** The window may grow. */
  isLimited(w: CongestionWindow): boolean {
    return this.isFull || (w.cwnd < w.ssthresh && w.cwnd < 2 * this.most)
  }

  /** A burst is over. `isFull`: the window ended it. */
  note(w: CongestionWindow, isFull: boolean, una: number, nxt: number, nowMs: number): void {
    const outstanding = (nxt - una) | 0
    w.flight = outstanding
    if (!isFull && nxt === this.lastNxt) return
    this.lastNxt = nxt
    if (isFull || geq(una, this.mark) || (!this.isFull && outstanding > this.most)) {
      this.isFull = isFull
      this.most = outstanding
      this.mark = nxt
    }
    if (this.isLimited(w)) {
      this.used = 0
      this.usedMs = nowMs
    } else if (outstanding > this.used) this.used = outstanding
  }

  /** A pause is over, and what it means for the window was done. */
  restart(nowMs: number): void {
    this.used = 0
    this.usedMs = nowMs
  }

  /** Takes back half of what was not used for an RTO (RFC 2861). Not while it is our own buffer or losses that hold the sender back. */
  decay(w: CongestionWindow, initialWindowSegments: number, rtoMs: number, nowMs: number): void {
    if (((nowMs - this.usedMs) | 0) < rtoMs) return
    const used = Math.max(this.used, initialWindow(w.mss, initialWindowSegments))
    if (used < w.cwnd) {
      w.ssthresh = Math.max(w.ssthresh, w.cwnd - (w.cwnd >> 2))
      w.cwnd = (w.cwnd + used) >> 1
    }
    this.restart(nowMs)
  }
}
