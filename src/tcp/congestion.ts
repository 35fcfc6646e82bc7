/**
 * Congestion control is an object per connection behind this interface; the sender asks only for `cwnd` and `pacingRate`. `newreno.ts` is
 * the one to read first; others are added to the table in `algorithms.ts`, or given to a stack, a listener or a connection as an option.
 *
 * Two ways to write one. Most algorithms say how the window grows (`acked`) and how far it falls (`loss`, `timeout`, `congestionEcho`);
 * recovery.ts does the rest: when losses count, proportional rate reduction while they are repaired, undo when they were none. One that
 * models the path (BBR) implements `model` as well: it hears every ACK after everything else and sets the window and the pace itself.
 */
import type { RateSample } from './rate.ts'

/** Far above any window in use, far below int32 overflow. */
export const MAX_CWND = 1 << 30
/** ssthresh before anything was lost: arbitrarily high (RFC 5681 section 3.1). */
export const INITIAL_SSTHRESH = 0x7fffffff

/** What an algorithm reads and writes. Bytes throughout. */
export class CongestionWindow {
  cwnd = 0
  ssthresh = INITIAL_SSTHRESH
  /** Sender maximum segment size: payload bytes of a full segment. */
  mss = 0
  /** Bytes per second at which data leaves; 0 = as the window allows. A whole number: the sender reads it for every segment. */
  pacingRate = 0
  /** Bytes outstanding when the sender last had its turn: FlightSize before the ACKs that are being heard. */
  flight = 0

  get slowStart(): boolean {
    return this.cwnd < this.ssthresh
  }
}

/** What one ACK said, after it was applied. One reused record per stack. */
export class AckSample {
  nowUs = 0
  nowMs = 0
  /** Bytes by which SND.UNA moved. */
  acked = 0
  /** Bytes newly delivered: cumulatively acknowledged or SACKed for the first time. */
  delivered = 0
  /** Bytes newly marked lost by this ACK. */
  lost = 0
  /** Bytes newly reported as marked CE (RFC 3168: the whole ACK; RFC 9768: what the counters say). */
  marked = 0
  /** Round-trip time from this ACK; 0: none. */
  rttUs = 0
  /** Smallest of this connection. */
  minRttUs = 0
  smoothedRttUs = 0
  /** Bytes believed to be in the network before and after this ACK. */
  priorInFlight = 0
  inFlight = 0
  /** SND.UNA and SND.NXT after this ACK: rounds are counted by them. */
  una = 0
  nxt = 0
  /** The window was in use (RFC 7661): it may grow. */
  limited = false
  /** The window itself was the limit at the end of the last burst, without what slow start forgives. */
  windowFull = false
  /** Losses are being repaired. */
  inRecovery = false
  /** Bytes newly SACKed; a duplicate ACK in the sense of RFC 5681, with SACK of RFC 6675; it repeats SND.UNA, and says nothing more. */
  sacked = 0
  duplicate = false
  isBare = false
  /** The ACK echoes a timestamp: when that was sent, in ms of our clock. */
  hasEcho = false
  echoMs = 0
  /** There is new data, and room for it in the peer's window. */
  canSendNew = false
  /** Delivery rate (rate.ts). Its `intervalUs` is 0 when this ACK gives none. */
  rate: RateSample

  constructor(rate: RateSample) {
    this.rate = rate
  }
}

/** How much may be in flight: an algorithm of one connection. docs/congestion.md writes one. */
export interface CongestionControl {
  readonly name: string
  /** The connection is established; `w.mss` is known. Sets the initial window. */
  start(w: CongestionWindow, initialWindowSegments: number): void
  /**
   * New data were acknowledged (`s.acked` > 0) while no fast recovery was going on and the window was in full use: it may grow, by
   * `s.delivered`. After a time-out an ACK may cover much that SACK had told before.
   */
  acked(w: CongestionWindow, s: AckSample): void
  /** Loss was detected: sets ssthresh. Recovery leads cwnd there (RFC 9937), whatever is written to it. `inFlight`: bytes outstanding. */
  loss(w: CongestionWindow, inFlight: number, nowMs: number): void
  /** The peer reports congestion by ECN, at most once a round trip: sets ssthresh, as `loss` when left out (RFC 3168 section 6.1.2). */
  congestionEcho?(w: CongestionWindow, inFlight: number, nowMs: number): void
  /** The retransmission timer expired: sets ssthresh (only on the first time-out of a series) and cwnd = 1 segment. */
  timeout(w: CongestionWindow, inFlight: number, first: boolean, nowMs: number): void
  /** A reduction is over; but for those with a `model` the window is ssthresh (RFC 9937 section 6). Not called after a time-out. */
  recovered(w: CongestionWindow, inFlight: number, nowMs: number): void
  /** The last `loss` or `timeout` was none: cwnd and ssthresh are restored by the caller, the algorithm's own memory here. */
  undo?(w: CongestionWindow): void
  /**
   * Nothing was sent for longer than an RTO (RFC 5681 section 4.1), or for those with a `model`: sending begins again with nothing in flight.
   * `idleMs`: for how long; `rtoMs`: the time-out.
   */
  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void
  /** Hears every ACK, in every state, after recovery has marked losses, and sets cwnd and pacingRate itself. */
  model?(w: CongestionWindow, s: AckSample): void
  /** Hears every ACK at the same place, and leaves the window alone. */
  observe?(w: CongestionWindow, s: AckSample): void
}

/** A name of the table in algorithms.ts, one's own object, its class, or a function that makes one for each connection. */
export type CongestionChoice = string | CongestionControl | (() => CongestionControl) | (new () => CongestionControl)

/** RFC 6928: min(10 * MSS, max(2 * MSS, 14600)), for other numbers of segments in proportion. */
export function initialWindow(mss: number, segments: number): number {
  return Math.min(segments * mss, Math.max(2 * mss, segments * 1460))
}

/**
 * The window after a pause: halved for every RTO, down to the restart window (RFC 2861 section 3.1, Linux tcp_cwnd_restart; RFC 5681 section
 * 4.1 drops it at once). ssthresh keeps what is known of the path.
 */
export function decayIdle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
  const restart = Math.min(initialWindow(w.mss, initialWindowSegments), w.cwnd)
  w.ssthresh = Math.max(w.ssthresh, w.cwnd - (w.cwnd >> 2))
  for (let left = idleMs - rtoMs; left > 0 && w.cwnd > restart; left -= rtoMs) w.cwnd >>= 1
  if (w.cwnd < restart) w.cwnd = restart
}
