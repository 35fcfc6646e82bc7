/**
 * What is lost? One rule for each kind of peer: RACK (rack.ts) with SACK; RFC 6675 (is-lost.ts) with SACK where RACK is turned off; without SACK
 * the third duplicate ACK and each partial ACK (RFC 6582). And what they all need to know: duplicates, and how the path reorders.
 */
import type { TcpConfig } from '../base/config.ts'
import type { AckSample } from './congestion.ts'
import type { Flight } from './flight.ts'
import { LOST } from './flight-record.ts'
import { markLost } from './is-lost.ts'
import { Rack } from './rack.ts'
import { lt } from './seq.ts'
import { C } from './tcp-counters.ts'

export class Detector {
  dupAcks = 0
  /** Bytes that duplicate ACKs say have left the network, for peers without SACK. */
  renoSacked = 0
  /** After an ACK: something may be lost when so many us have passed without another (RFC 8985 section 6.2 step 5); 0: nothing waits. */
  waitUs = 0
  /** DupThresh: 3, or more when the path was seen to reorder by more. Linux tcp_reordering. */
  reordering: number
  /** How often reordering was seen. */
  reorderingSeen = 0
  /**
   * RACK.rtt. As Linux: of the last in sequence. Where an ACK covers a retransmission and what was sent long before it, that is the longer time.
   */
  rttUs = 0
  /** Made with the first SACK. */
  rack: Rack | null = null

  constructor(
    private readonly flight: Flight,
    private readonly config: TcpConfig,
  ) {
    this.reordering = config.reorderingSegments
  }

  /** What an ACK of a peer with SACK says about the path: RACK's clock, and reordering. */
  learn(s: AckSample, mss: number, n: Float64Array): void {
    const d = this.flight.delivery
    if (this.rack === null && this.config.rack && s.sacked > 0) this.rack = new Rack()
    if (d.hasLatest) this.rttUs = (s.nowUs - d.lastUs) | 0
    if (this.rack !== null) {
      this.rack.note(d)
      this.rack.adapt(s.una, s.nxt)
    }
    // RFC 8985 section 6.2 step 3: an original arrives after what was sent later.
    if (d.hasOriginal && lt(d.originalStart, d.priorFack) && this.reordered(d.originalStart, mss)) n[C.TCPSACKReorder]++
  }

  /** What begins at `low` arrived after what is above it. False: nothing is. */
  reordered(low: number, mss: number): boolean {
    const distance = (this.flight.fack - low) | 0
    if (distance <= 0) return false
    const segments = Math.min(Math.ceil(distance / mss), this.config.maxReorderingSegments)
    if (segments > this.reordering) this.reordering = segments
    this.reorderingSeen++
    return true
  }

  /** A time-out although enough was SACKed: so much reordering was overestimated (as Linux). */
  lowerReordering(): void {
    const least = this.config.reorderingSegments
    if (this.flight.sackedSegments >= least && this.reordering > least) this.reordering = least
  }

  /** RFC 5681 section 2 and RFC 6582: what duplicates stand for, where there is no SACK to say it. */
  countDuplicates(s: AckSample, mss: number, isRepairing: boolean, sackPermitted: boolean): void {
    if (s.acked > 0) {
      // One segment filled the hole, the rest are those that made the duplicates.
      if (isRepairing) this.renoSacked = Math.max(0, this.renoSacked - Math.max(0, s.acked - mss))
      else {
        this.renoSacked = 0
        this.dupAcks = 0
      }
    }
    if (!s.duplicate) return
    this.dupAcks++
    if (sackPermitted) return
    const most = ((s.nxt - this.flight.una) | 0) - this.flight.lostBytes
    const before = this.renoSacked
    this.renoSacked = Math.min(before + mss, most > 0 ? most : 0)
    if (this.renoSacked > before) this.flight.rate.deliverEarly(this.renoSacked - before, (s.nxt - this.flight.una) | 0)
  }

  forgetDuplicates(): void {
    this.dupAcks = 0
    this.renoSacked = 0
  }

  /** Marks what an ACK shows to be lost. `isRepairing`: in fast recovery or after a time-out; `point`: where the last of those ended. */
  mark(s: AckSample, mss: number, isRepairing: boolean, point: number, sackPermitted: boolean, n: Float64Array): void {
    const f = this.flight
    if (f.count === 0) return
    if (sackPermitted) {
      if (!this.config.rack) markLost(f, mss, this.reordering)
      else if (this.rack?.advanced === true) this.markByTime(s.nowUs, s.minRttUs, s.smoothedRttUs, isRepairing, n)
    }
    if (sackPermitted ? this.config.rack || f.lostBytes > 0 : (f.flagsOf(0) & LOST) !== 0) return
    if (!isRepairing && this.areDuplicatesEnough(point, sackPermitted)) f.markFirstLost(mss)
  }

  markByTime(nowUs: number, minRttUs: number, smoothedRttUs: number, isRepairing: boolean, n: Float64Array): void {
    if (this.rack === null) return
    const isSure = isRepairing || this.flight.sackedSegments >= this.reordering
    const windowUs = this.rack.window(minRttUs, smoothedRttUs, this.reorderingSeen > 0, isSure)
    this.waitUs = this.rack.detect(this.flight, nowUs, this.rttUs, windowUs, n)
  }

  /** RFC 6582 step 5: a partial ACK says that the next segment is lost too. False: that was known. */
  markPartial(mss: number): boolean {
    if (this.flight.count === 0 || (this.flight.flagsOf(0) & LOST) !== 0) return false
    this.flight.markFirstLost(mss)
    return true
  }

  /** RFC 6582 step 1: exactly at the last recovery point duplicates come from our own retransmissions. */
  private areDuplicatesEnough(point: number, sackPermitted: boolean): boolean {
    return this.dupAcks >= this.reordering && (sackPermitted || this.flight.una !== point)
  }
}
