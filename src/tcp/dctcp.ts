/**
 * DCTCP (RFC 8257): the window falls by how much of the last window was marked, not by half. For networks that one owns, whose queues mark
 * from a low threshold (`markQueue` of a faulty link); beside other algorithms it takes more than its share.
 *
 * Theory of operation. `observe` only counts: bytes delivered, and those among them that were marked. Once per window of data (section 3.3)
 * their quotient goes into `alpha`, a moving average, and an echo of congestion takes the window down by alpha / 2. Growth, losses and
 * time-outs are Reno's. The counts are as good as the feedback: it wants RFC 9768 (`ecn: 'accurate'`), which takes the place of section 3.2.
 */
import type { AckSample, CongestionControl, CongestionWindow } from './congestion.ts'
import { NewReno } from './newreno.ts'
import { gt } from './seq.ts'

/** Section 4.2: weight of the last window, g. */
const GAIN = 1 / 16

export class Dctcp implements CongestionControl {
  readonly name = 'dctcp'
  /** Estimated share of bytes that are marked; section 4.2 begins at 1, lest the first reaction be too weak. */
  alpha = 1
  private delivered = 0
  private marked = 0
  /** SND.NXT when this window of observation began. */
  private end = 0
  private observing = false
  private readonly reno: NewReno

  constructor(abcLimit = 0) {
    this.reno = new NewReno(abcLimit)
  }

  start(w: CongestionWindow, initialWindowSegments: number): void {
    this.reno.start(w, initialWindowSegments)
  }

  acked(w: CongestionWindow, s: AckSample): void {
    this.reno.acked(w, s)
  }

  loss(w: CongestionWindow, inFlight: number): void {
    this.reno.loss(w, inFlight)
  }

  congestionEcho(w: CongestionWindow): void {
    w.ssthresh = Math.max(w.cwnd - Math.floor((w.cwnd * this.alpha) / 2), 2 * w.mss)
  }

  timeout(w: CongestionWindow, inFlight: number, first: boolean): void {
    this.reno.timeout(w, inFlight, first)
  }

  recovered(): void {
    this.reno.recovered()
  }

  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
    if (idleMs > rtoMs) this.reno.idle(w, initialWindowSegments, idleMs, rtoMs)
  }

  observe(_w: CongestionWindow, s: AckSample): void {
    this.delivered += s.delivered
    this.marked += s.marked
    if (this.observing && !gt(s.una, this.end)) return
    if (this.observing && this.delivered > 0) {
      const share = Math.min(this.marked / this.delivered, 1)
      this.alpha += GAIN * (share - this.alpha)
    }
    this.observing = true
    this.end = s.nxt
    this.delivered = 0
    this.marked = 0
  }
}
