/**
 * Slow start, and how it ends before it loses packets: HyStart++ (RFC 9406), or the delay half of the original HyStart as Linux has it.
 *
 * HyStart++ compares the smallest round-trip time of a round with that of the round before. When it has grown by an eighth (4 to 16 ms) a
 * queue is building: for five rounds the window grows at a quarter of the speed (Conservative Slow Start), and if the round-trip time stays
 * up, ssthresh is put where the window is; if it falls below what began all this it was jitter, and slow start goes on.
 *
 * Linux compares with the smallest round-trip time of the whole connection and ends slow start at once.
 */
import type { TcpConfig } from '../base/config.ts'
import { type AckSample, type CongestionWindow, INITIAL_SSTHRESH, MAX_CWND } from './congestion.ts'
import { geq, gt } from './seq.ts'

/** What ends the initial slow start besides a loss. */
export type HystartKind = TcpConfig['hystart']

/** RFC 9406 section 4.3. Linux: HYSTART_DELAY_MIN and _MAX. */
const MIN_RTT_THRESH_US = 4000
const MAX_RTT_THRESH_US = 16000
const MIN_RTT_DIVISOR_SHIFT = 3
const N_RTT_SAMPLE = 8
const CSS_GROWTH_DIVISOR = 4
const CSS_ROUNDS = 5
/** Linux hystart_low_window, segments: below it nothing is detected. */
const LOW_WINDOW = 16
/** "Infinity" of RFC 9406, as an int32. */
const NONE = 0x7fffffff

/** Slow start that ends before it overshoots: HyStart++ (RFC 9406), for congestion controls that want it. */
export class SlowStart {
  /** SND.NXT when the round began: its acknowledgment ends the round. */
  private windowEnd = 0
  private hasRound = false
  private lastRoundMinRttUs = NONE
  private currentRoundMinRttUs = NONE
  private rttSampleCount = 0
  /** Conservative Slow Start: rounds left; 0 = not in it. */
  private cssRounds = 0
  private cssBaselineMinRttUs = NONE
  /** Smallest of all rounds (Linux: delay_min). */
  private delayMinUs = NONE
  /** Fractions of growth in Conservative Slow Start, in quarters of a byte. */
  private remainder = 0

  constructor(
    private readonly kind: HystartKind,
    /** L of RFC 3465 in segments: most that one ACK may add; 0 = no limit. */
    private readonly abcLimit: number,
  ) {}

  /**
   * An ACK in slow start: grows the window up to ssthresh and looks for the end of slow start. Returns how many of the acknowledged bytes
   * are left for congestion avoidance.
   */
  acked(w: CongestionWindow, s: AckSample): number {
    // RFC 9406 section 4.3: only in the initial slow start; later ones end at the ssthresh that was found.
    if (this.kind === 'plusplus' && w.ssthresh === INITIAL_SSTHRESH) this.plusplus(w, s)
    else if (this.kind === 'delay') this.delay(w, s)
    let left = s.delivered
    if (w.cwnd >= w.ssthresh) return left
    const most = this.abcLimit > 0 ? this.abcLimit * w.mss : MAX_CWND
    let grow = left < most ? left : most
    left = 0
    if (this.cssRounds > 0) {
      this.remainder += grow
      grow = (this.remainder / CSS_GROWTH_DIVISOR) | 0
      this.remainder -= grow * CSS_GROWTH_DIVISOR
    }
    const room = w.ssthresh - w.cwnd
    if (grow > room) {
      left = grow - room
      grow = room
    }
    w.cwnd = w.cwnd + grow < MAX_CWND ? (w.cwnd + grow) | 0 : MAX_CWND
    return left
  }

  /** Slow start begins again after a time-out: Linux detects anew; RFC 9406 is for the initial one only. */
  restart(): void {
    this.hasRound = false
    this.cssRounds = 0
    this.delayMinUs = NONE
    this.lastRoundMinRttUs = NONE
    this.currentRoundMinRttUs = NONE
  }

  private beginRound(s: AckSample): void {
    this.hasRound = true
    this.windowEnd = s.nxt
    this.lastRoundMinRttUs = this.currentRoundMinRttUs
    this.currentRoundMinRttUs = NONE
    this.rttSampleCount = 0
  }

  /** RFC 9406 section 4.2. */
  private plusplus(w: CongestionWindow, s: AckSample): void {
    if (!this.hasRound) this.beginRound(s)
    if (s.rttUs > 0) {
      if (s.rttUs < this.currentRoundMinRttUs) this.currentRoundMinRttUs = s.rttUs
      this.rttSampleCount++
    }
    if (this.rttSampleCount >= N_RTT_SAMPLE) {
      if (this.cssRounds > 0) {
        if (this.currentRoundMinRttUs < this.cssBaselineMinRttUs) {
          this.cssBaselineMinRttUs = NONE
          this.cssRounds = 0
        }
      } else if (this.currentRoundMinRttUs !== NONE && this.lastRoundMinRttUs !== NONE) {
        if (this.currentRoundMinRttUs >= this.lastRoundMinRttUs + threshold(this.lastRoundMinRttUs)) {
          this.cssBaselineMinRttUs = this.currentRoundMinRttUs
          this.cssRounds = CSS_ROUNDS
        }
      }
    }
    if (!geq(s.una, this.windowEnd)) return
    // The round in which Conservative Slow Start began counts, though it is partial (RFC 9406 section 4.2).
    if (this.cssRounds > 0 && --this.cssRounds === 0) {
      w.ssthresh = w.cwnd
      return
    }
    this.beginRound(s)
  }

  /** Linux, tcp_cubic: HYSTART_DELAY. */
  private delay(w: CongestionWindow, s: AckSample): void {
    if (s.rttUs === 0) return
    if (s.rttUs < this.delayMinUs) this.delayMinUs = s.rttUs
    if (!this.hasRound || gt(s.una, this.windowEnd)) this.beginRound(s)
    if (w.cwnd < LOW_WINDOW * w.mss) return
    if (s.rttUs < this.currentRoundMinRttUs) this.currentRoundMinRttUs = s.rttUs
    if (this.rttSampleCount < N_RTT_SAMPLE) this.rttSampleCount++
    else if (this.currentRoundMinRttUs > this.delayMinUs + threshold(this.delayMinUs)) w.ssthresh = w.cwnd
  }
}

function threshold(rttUs: number): number {
  const eighth = rttUs >> MIN_RTT_DIVISOR_SHIFT
  return eighth < MIN_RTT_THRESH_US ? MIN_RTT_THRESH_US : eighth > MAX_RTT_THRESH_US ? MAX_RTT_THRESH_US : eighth
}
