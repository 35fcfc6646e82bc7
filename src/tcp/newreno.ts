/** Reno's window with NewReno's recovery: RFC 5681 (slow start, congestion avoidance), RFC 3465 (ABC), RFC 6582, RFC 6928. */
import {
  type AckSample,
  type CongestionControl,
  type CongestionWindow,
  decayIdle,
  initialWindow,
  MAX_CWND,
} from './congestion.ts'

export class NewReno implements CongestionControl {
  readonly name = 'newreno'
  /** Bytes acknowledged towards the next increase in congestion avoidance (RFC 3465 section 2.1). */
  private counted = 0
  /** Slow start after a time-out: an ACK may stand for segments that had arrived before it (RFC 3465 section 2.3). */
  private afterTimeout = false

  /** `abcLimit`: L of RFC 3465 section 2.2 in segments, 0 = unlimited. */
  constructor(private readonly abcLimit = 0) {}

  start(w: CongestionWindow, initialWindowSegments: number): void {
    w.cwnd = initialWindow(w.mss, initialWindowSegments)
  }

  acked(w: CongestionWindow, s: AckSample): void {
    if (w.cwnd >= MAX_CWND) return
    let left = s.delivered
    if (w.cwnd < w.ssthresh) {
      // RFC 5681 equation 2. Without a limit, as RFC 9406 allows, one ACK may stand for a whole super-segment.
      if (this.abcLimit > 0) left = Math.min(left, (this.afterTimeout ? 1 : this.abcLimit) * w.mss)
      const grow = Math.min(left, w.ssthresh - w.cwnd, MAX_CWND - w.cwnd)
      w.cwnd += grow
      left -= grow
      if (w.cwnd < w.ssthresh) return
      this.afterTimeout = false
    }
    this.counted += left
    if (this.counted >= w.cwnd) {
      this.counted -= w.cwnd
      w.cwnd += w.mss
    }
  }

  loss(w: CongestionWindow, inFlight: number): void {
    this.reduce(w, inFlight)
    w.cwnd = w.ssthresh
  }

  /**
   * RFC 5681 equation 4; what limited transmit added does not count (RFC 5681 section 3.2 step 2). In whole segments, as Linux: half a segment
   * more is never sent, and the window would take longer to grow by one.
   */
  private reduce(w: CongestionWindow, inFlight: number): void {
    w.ssthresh = Math.max(Math.floor(Math.min(inFlight, w.cwnd) / (2 * w.mss)), 2) * w.mss
    this.counted = 0
  }

  timeout(w: CongestionWindow, inFlight: number, first: boolean): void {
    if (first) this.reduce(w, inFlight)
    w.cwnd = w.mss
    this.counted = 0
    this.afterTimeout = true
  }

  recovered(): void {
    this.counted = 0 // the window is ssthresh (RFC 9937 section 6): recovery has led it there, and the pipe with it
  }

  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
    decayIdle(w, initialWindowSegments, idleMs, rtoMs)
  }
}
