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

/** What a spurious congestion event gives back (RFC 9438 section 4.9). Made at the first loss. */
class Memory {
  wMax = 0
  cwndPrior = 0
  k = 0
  origin = 0
  wEst = 0
  inEpoch = false
  epochMs = 0
  lastMs = 0
}

export class Cubic implements CongestionControl {
  readonly name = 'cubic'
  /** Window before the last reduction, made smaller by fast convergence; 0: unknown. */
  private wMax = 0
  /** Window before the last reduction; 0: there was none. */
  private cwndPrior = 0
  /** Of this epoch (congestion avoidance since the last reduction): seconds until W_cubic is at `origin`, and that window. */
  private k = 0
  private origin = 0
  private wEst = 0
  private inEpoch = false
  private epochMs = 0
  /** When the window was last in use. */
  private lastMs = 0
  /** Growth in bytes that is not yet a whole segment. */
  private credit = 0
  private memory: Memory | null = null
  /** Made with the first growth: many connections never need it. */
  private slowStart: SlowStart | null = null

  constructor(
    private readonly hystart: HystartKind = 'plusplus',
    private readonly abcLimit = 0,
  ) {}

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
    if (!this.inEpoch) this.beginEpoch(w, s.nowMs)
    // Not in use for longer than the path takes to answer: that time gives no right to a larger window (section 5.8).
    const gapMs = (s.nowMs - this.lastMs) | 0
    const rttMs = s.smoothedRttUs / 1000
    if (gapMs > 2 * rttMs + 1) this.epochMs = (this.epochMs + gapMs - Math.ceil(rttMs)) | 0
    this.lastMs = s.nowMs

    const t = ((s.nowMs - this.epochMs) | 0) / 1000
    this.wEst += ((this.cwndPrior > 0 && this.wEst >= this.cwndPrior ? 1 : ALPHA) * acked * mss) / cwnd
    let target = this.curve(t + rttMs / 1000, mss)
    if (target > MAX_TARGET * cwnd) target = MAX_TARGET * cwnd
    let growth = target > cwnd ? (acked * (target - cwnd)) / cwnd : 0
    if (this.wMax === 0 && growth < acked * UNKNOWN_GROWTH) growth = acked * UNKNOWN_GROWTH
    this.credit += growth
    let next = cwnd
    if (this.credit >= mss) {
      const whole = this.credit - (this.credit % mss)
      this.credit -= whole
      next += whole
    }
    // Section 4.3: where W_cubic is below what Reno would have.
    if (this.wEst >= next + mss && this.curve(t, mss) < this.wEst) {
      next += this.wEst - next - ((this.wEst - next) % mss)
      this.credit = 0
    }
    w.cwnd = next < MAX_CWND ? next | 0 : MAX_CWND
  }

  private curve(t: number, mss: number): number {
    const d = t - this.k
    return this.origin + C * mss * d * d * d
  }

  /** Congestion avoidance begins: after recovery, or at the end of slow start (section 4.10: K = 0 where there is no W_max above). */
  private beginEpoch(w: CongestionWindow, nowMs: number): void {
    this.inEpoch = true
    this.epochMs = nowMs
    this.lastMs = nowMs
    this.credit = 0
    this.wEst = w.cwnd
    this.origin = this.wMax
    if (this.wMax > w.cwnd) {
      this.k = Math.cbrt((this.wMax - w.cwnd) / (C * w.mss))
    } else {
      this.k = 0
      this.origin = w.cwnd
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
    this.cwndPrior = w.cwnd
    this.wMax = w.cwnd < this.wMax ? w.cwnd * CONVERGENCE : w.cwnd
    this.inEpoch = false
    w.ssthresh = Math.max(Math.floor((w.cwnd * BETA_1024) / (1024 * w.mss)), 2) * w.mss
  }

  timeout(w: CongestionWindow, _inFlight: number, first: boolean): void {
    if (first) {
      this.remember()
      this.reduce(w)
    }
    // Section 4.8: the next congestion avoidance begins with K = 0 and W_max where slow start ends.
    this.wMax = 0
    this.inEpoch = false
    this.slowStart?.restart()
    w.cwnd = w.mss
  }

  recovered(): void {} // the window is ssthresh (RFC 9937 section 6): recovery has led it there, and the pipe with it

  private remember(): void {
    this.memory ??= new Memory()
    const m = this.memory
    m.wMax = this.wMax
    m.cwndPrior = this.cwndPrior
    m.k = this.k
    m.origin = this.origin
    m.wEst = this.wEst
    m.inEpoch = this.inEpoch
    m.epochMs = this.epochMs
    m.lastMs = this.lastMs
  }

  undo(): void {
    const m = this.memory
    if (m === null) return
    this.wMax = m.wMax
    this.cwndPrior = m.cwndPrior
    this.k = m.k
    this.origin = m.origin
    this.wEst = m.wEst
    this.inEpoch = m.inEpoch
    this.epochMs = m.epochMs
    this.lastMs = m.lastMs
    this.credit = 0
  }

  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
    decayIdle(w, initialWindowSegments, idleMs, rtoMs)
  }
}
