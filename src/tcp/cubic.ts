/**
 * CUBIC (RFC 9438), the default: after a loss the window returns along a cubic curve to where it was (W_max), stays near it for a while, and
 * then looks for more. How fast depends on time, not on round trips, so that long paths get their share; where Reno would be faster, at least
 * Reno's average is had (the Reno-friendly region).
 *
 *   W_cubic(t) = C * (t - K)^3 + W_max        K = cbrt((W_max - cwnd_epoch) / C)
 *
 * W in segments in the RFC; here all windows are bytes and C is multiplied by the segment size. Time is that of congestion avoidance in which
 * the window was in use: idle and application-limited times are taken out (section 4.2, t). Slow start is hystart.ts.
 *
 * Beyond the RFC, as Linux: the window grows in whole segments, and before W_max is known (nothing was lost, or a time-out forgot it) by at
 * least a twentieth per round trip, because slow start may have been left too early.
 */
import {
  type AckSample,
  type CongestionControl,
  type CongestionWindow,
  decayIdle,
  initialWindow,
  MAX_CWND,
} from './congestion.ts'
import { type HystartKind, SlowStart } from './hystart.ts'

/** RFC 9438 section 4.1 (segments / s^3) and 4.6. */
const C = 0.4
const BETA = 0.7
/** beta in 1024ths, as Linux rounds it: 10 segments become 7, whatever floating point makes of 0.7. */
const BETA_1024 = 717
/** RFC 9438 section 4.3: Reno's average with this decrease. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA)
/** RFC 9438 section 4.7: fast convergence. */
const CONVERGENCE = (1 + BETA) / 2
/** Growth per round trip while W_max is unknown. Linux tcp_cubic: cnt = 20. */
const UNKNOWN_GROWTH = 1 / 20
/** RFC 9438 section 4.2: W_cubic may ask for so many times the window one round trip from now. */
const MAX_TARGET = 1.5

/** What is known of the curve: made with the first congestion avoidance or loss, which many connections never see. */
class Curve {
  /** Window before the last reduction, made smaller by fast convergence; 0: unknown. */
  wMax = 0
  /** Window before the last reduction; 0: there was none. */
  cwndPrior = 0
  /** Of this epoch (congestion avoidance since the last reduction): seconds until W_cubic is at `origin`, and that window. */
  k = 0
  origin = 0
  wEst = 0
  inEpoch = false
  epochMs = 0
  /** When the window was last in use. */
  lastMs = 0

  copy(from: Curve): void {
    this.wMax = from.wMax
    this.cwndPrior = from.cwndPrior
    this.k = from.k
    this.origin = from.origin
    this.wEst = from.wEst
    this.inEpoch = from.inEpoch
    this.epochMs = from.epochMs
    this.lastMs = from.lastMs
  }

  /** W_cubic(t). */
  at(t: number, mss: number): number {
    const d = t - this.k
    return this.origin + C * mss * d * d * d
  }
}

export class Cubic implements CongestionControl {
  private known: Curve | null = null
  /** What a spurious congestion event gives back (RFC 9438 section 4.9). Made at the first loss. */
  private memory: Curve | null = null
  /** Made with the first growth. */
  private slowStart: SlowStart | null = null
  /** Growth in bytes that is not yet a whole segment. */
  private credit = 0

  constructor(
    private readonly hystart: HystartKind = 'plusplus',
    private readonly abcLimit = 0,
  ) {}

  get name(): string {
    return 'cubic'
  }

  private get curve(): Curve {
    this.known ??= new Curve()
    return this.known
  }

  start(w: CongestionWindow, initialWindowSegments: number): void {
    w.cwnd = initialWindow(w.mss, initialWindowSegments)
  }

  acked(w: CongestionWindow, s: AckSample): void {
    let acked = s.delivered
    if (w.cwnd < w.ssthresh) {
      this.slowStart ??= new SlowStart(this.hystart, this.abcLimit)
      acked = this.slowStart.acked(w, s)
      if (w.cwnd < w.ssthresh || acked === 0) return
    }
    if (w.cwnd < MAX_CWND) this.avoid(w, acked, s)
  }

  /** RFC 9438 section 4.2 to 4.5. */
  private avoid(w: CongestionWindow, acked: number, s: AckSample): void {
    const { mss, cwnd } = w
    const { curve } = this
    if (!curve.inEpoch) this.beginEpoch(curve, w, s.nowMs)
    // Not in use for longer than the path takes to answer: that time gives no right to a larger window (section 5.8).
    const gapMs = (s.nowMs - curve.lastMs) | 0
    const rttMs = s.smoothedRttUs / 1000
    if (gapMs > 2 * rttMs + 1) curve.epochMs = (curve.epochMs + gapMs - Math.ceil(rttMs)) | 0
    curve.lastMs = s.nowMs

    const t = ((s.nowMs - curve.epochMs) | 0) / 1000
    curve.wEst += ((curve.cwndPrior > 0 && curve.wEst >= curve.cwndPrior ? 1 : ALPHA) * acked * mss) / cwnd
    let target = curve.at(t + rttMs / 1000, mss)
    if (target > MAX_TARGET * cwnd) target = MAX_TARGET * cwnd
    let growth = target > cwnd ? (acked * (target - cwnd)) / cwnd : 0
    if (curve.wMax === 0 && growth < acked * UNKNOWN_GROWTH) growth = acked * UNKNOWN_GROWTH
    this.credit += growth
    let next = cwnd
    if (this.credit >= mss) {
      const whole = this.credit - (this.credit % mss)
      this.credit -= whole
      next += whole
    }
    // Section 4.3: where W_cubic is below what Reno would have.
    if (curve.wEst >= next + mss && curve.at(t, mss) < curve.wEst) {
      next += curve.wEst - next - ((curve.wEst - next) % mss)
      this.credit = 0
    }
    w.cwnd = next < MAX_CWND ? next | 0 : MAX_CWND
  }

  /** Congestion avoidance begins: after recovery, or at the end of slow start (section 4.10: K = 0 where there is no W_max above). */
  private beginEpoch(curve: Curve, w: CongestionWindow, nowMs: number): void {
    curve.inEpoch = true
    curve.epochMs = nowMs
    curve.lastMs = nowMs
    this.credit = 0
    curve.wEst = w.cwnd
    curve.origin = curve.wMax
    if (curve.wMax > w.cwnd) {
      curve.k = Math.cbrt((curve.wMax - w.cwnd) / (C * w.mss))
    } else {
      curve.k = 0
      curve.origin = w.cwnd
    }
  }

  loss(w: CongestionWindow): void {
    this.remember()
    this.reduce(w)
    w.cwnd = w.ssthresh
  }

  /**
   * Sections 4.6 and 4.7. The window is taken for the flight size: it grows only while it is in use, so it says what the path carried
   * (section 4.6 allows it then).
   */
  private reduce(w: CongestionWindow): void {
    const { curve } = this
    curve.cwndPrior = w.cwnd
    curve.wMax = w.cwnd < curve.wMax ? w.cwnd * CONVERGENCE : w.cwnd
    curve.inEpoch = false
    w.ssthresh = Math.max(Math.floor((w.cwnd * BETA_1024) / (1024 * w.mss)), 2) * w.mss
  }

  timeout(w: CongestionWindow, _inFlight: number, first: boolean): void {
    if (first) {
      this.remember()
      this.reduce(w)
    }
    // Section 4.8: the next congestion avoidance begins with K = 0 and W_max where slow start ends.
    this.curve.wMax = 0
    this.curve.inEpoch = false
    this.slowStart?.restart()
    w.cwnd = w.mss
  }

  recovered(): void {} // the window is ssthresh (RFC 9937 section 6): recovery has led it there, and the pipe with it

  private remember(): void {
    this.memory ??= new Curve()
    this.memory.copy(this.curve)
  }

  undo(): void {
    if (this.memory === null) return
    this.curve.copy(this.memory)
    this.credit = 0
  }

  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
    decayIdle(w, initialWindowSegments, idleMs, rtoMs)
  }
}
