/**
 * Congestion control is an object per connection behind this interface; the sender asks only for `cwnd`. `newreno.ts` is the one
 * to read first; others are added to the table in `algorithms.ts`.
 */

/** What an algorithm reads and writes. Bytes throughout. */
export class CongestionWindow {
  cwnd = 0
  /** RFC 5681: arbitrarily high at the start. */
  ssthresh = 0x7fffffff
  /** Sender maximum segment size: payload bytes of a full segment. */
  mss = 0

  get slowStart(): boolean {
    return this.cwnd < this.ssthresh
  }
}

export interface CongestionControl {
  readonly name: string
  /** The connection is established; `w.mss` is known. Sets the initial window. */
  start(w: CongestionWindow, initialWindowSegments: number): void
  /** `bytes` of new data were acknowledged while no loss was being repaired and the window was in full use. */
  acked(w: CongestionWindow, bytes: number, rttUs: number, nowMs: number): void
  /** Loss was detected by duplicate ACKs or SACK: sets ssthresh and cwnd for recovery. `inFlight`: bytes outstanding. */
  loss(w: CongestionWindow, inFlight: number, nowMs: number): void
  /** The retransmission timer expired: sets ssthresh (only on the first time-out of a series) and cwnd = 1 segment. */
  timeout(w: CongestionWindow, inFlight: number, first: boolean, nowMs: number): void
  /** Recovery is over. */
  recovered(w: CongestionWindow, inFlight: number, nowMs: number): void
  /** Nothing was sent for longer than an RTO (RFC 5681 section 4.1). */
  idle(w: CongestionWindow, initialWindowSegments: number): void
}

/** RFC 6928: min(10 * MSS, max(2 * MSS, 14600)), for other numbers of segments in proportion. */
export function initialWindow(mss: number, segments: number): number {
  return Math.min(segments * mss, Math.max(2 * mss, segments * 1460))
}
