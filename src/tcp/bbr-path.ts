/**
 * BBR's model of the path (draft-ietf-ccwg-bbr, "Updating Network Path Model Parameters"): rounds, the most bandwidth of two probing cycles, the
 * bounds that losses teach for the short and the long term, and how much arrives at once (ACK aggregation). bbr.ts decides by it what to do.
 *
 * Bytes, microseconds, bytes per second. Infinity is "not known". Names are the draft's.
 */
import { type AckSample, MAX_CWND } from './congestion.ts'
import { HEAVY_SEGMENTS, type RateSample } from './rate.ts'

/** Share of the flight whose loss says that it was too much; how far bounds fall at most; what is left free below the long-term bound. */
export const LOSS_THRESH = 0.02
export const BETA = 0.7
export const HEADROOM = 0.15
/** Rounds over which the greatest aggregation is remembered, in each of two windows (the draft: 10 in all). */
const EXTRA_ACKED_ROUNDS = 5
/** The pipe is full when the rate has not grown by a quarter for three rounds. */
const FULL_BW_GROWTH = 1.25
const FULL_BW_ROUNDS = 3

/**
 * Did so much of a flight get lost that the flight was too much? (IsInflightTooHigh.) Deviation: one or two segments are no rate. Of a flight of thirty
 * the draft takes one loss for 3 %, and at 1 % of random loss would hardly ever be allowed a larger one; what overflows a queue is more.
 */
export function isHeavy(lost: number, inFlight: number, mss: number): boolean {
  return lost > inFlight * LOSS_THRESH && lost > HEAVY_SEGMENTS * mss
}

export class BbrPath {
  roundStart = false
  roundCount = 0
  private nextRoundDelivered = 0
  private isFirst = true

  /** Greatest delivery rate of this probing cycle and the one before. */
  maxBw = 0
  private bwBefore = 0
  private bwNow = 0
  /** What is believed now: maxBw, but not above what losses said of late. */
  bw = 0
  /** Delivery rate of this ACK; 0: none. In a field, and what methods return as int32: no number is boxed on the way. */
  bwSample = 0

  /** Of the last round: greatest rate and volume delivered; losses were seen, and how many ACKs brought some. */
  private bwLatest = 0
  inflightLatest = 0
  isLossInRound = false
  /** CE marks, which no threshold excuses. */
  isMarkedInRound = false
  lossEventsInRound = 0
  lossRoundStart = false
  private lossRoundDelivered = 0

  bwShortterm = Number.POSITIVE_INFINITY
  inflightShortterm = Number.POSITIVE_INFINITY
  /** A whole number: `cwnd` is one, and it is asked whether cwnd has reached it. */
  inflightLongterm = Number.POSITIVE_INFINITY

  /** The pipe was full once; in this probe. */
  isFullBwReached = false
  isFullBwNow = false
  private fullBw = 0
  private fullBwCount = 0

  /** How fast inflightLongterm grows while probing: by a segment for so many bytes, twice as fast each round. */
  private probeUpRounds = 0
  private probeUpAcked = 0
  private probeUpAckedPerInc = Number.POSITIVE_INFINITY

  private undoBwShortterm = 0
  private undoInflightShortterm = 0
  private undoInflightLongterm = 0

  extraAcked = 0
  private extraAckedBefore = 0
  private extraAckedNow = 0
  private extraAckedRounds = 0
  private extraAckedDelivered = 0
  private extraAckedStartUs = 0

  /** A round trip begins with what is sent now. */
  startRound(delivered: number): void {
    this.nextRoundDelivered = delivered
  }

  /** UpdateLatestDeliverySignals and UpdateMaxBw. `isLimited`: the application was the limit, or ProbeRTT. */
  update(s: AckSample, isLimited: boolean): void {
    const rs = s.rate
    const bw = rs.intervalUs > 0 ? (rs.delivered * 1e6) / rs.intervalUs : 0
    this.bwSample = bw
    if (this.isFirst) {
      this.isFirst = false
      this.nextRoundDelivered = rs.priorDelivered
      this.lossRoundDelivered = rs.priorDelivered
      this.extraAckedStartUs = s.nowUs
    }
    this.lossRoundStart = false
    if (bw > this.bwLatest) this.bwLatest = bw
    if (rs.delivered > this.inflightLatest) this.inflightLatest = rs.delivered
    this.roundStart = false
    if (!rs.hasData) return
    if (((rs.priorDelivered - this.lossRoundDelivered) | 0) >= 0) {
      this.lossRoundDelivered = rs.totalDelivered
      this.lossRoundStart = true
    }
    if (((rs.priorDelivered - this.nextRoundDelivered) | 0) >= 0) {
      this.nextRoundDelivered = rs.totalDelivered
      this.roundCount = (this.roundCount + 1) | 0
      this.roundStart = true
    }
    if (bw > 0 && (bw >= this.maxBw || !isLimited)) {
      if (bw > this.bwNow) this.bwNow = bw
      this.maxBw = this.bwNow > this.bwBefore ? this.bwNow : this.bwBefore
    }
  }

  /**
   * AdaptLowerBoundsFromCongestion at the end of a round. `isProbing`: the losses are our own doing.
   *
   * Deviation. The draft lowers them after each round with a loss. What a round delivers is less than what the path could, by what was lost on it and
   * by the pacing margin, so that a path that loses one packet in a hundred seems slower by 1.5 % each round, by two thirds until the next
   * probe (63 rounds). Here losses count that are more than probing tolerates (`isHeavy`), and all CE marks. In the simulator flows of other
   * kinds get the same shares.
   */
  adaptLowerBounds(rs: RateSample, cwnd: number, mss: number, isProbing: boolean): void {
    if (!this.lossRoundStart) return
    if (this.isLossInRound && !isProbing && (this.isMarkedInRound || isHeavy(rs.lost, rs.txInFlight, mss))) {
      if (this.bwShortterm === Number.POSITIVE_INFINITY) this.bwShortterm = this.maxBw
      if (this.inflightShortterm === Number.POSITIVE_INFINITY) this.inflightShortterm = cwnd
      this.bwShortterm = Math.max(this.bwLatest, BETA * this.bwShortterm)
      this.inflightShortterm = Math.max(this.inflightLatest, BETA * this.inflightShortterm)
    }
    this.isLossInRound = false
    this.isMarkedInRound = false
  }

  /** UpdateACKAggregation. */
  updateAggregation(s: AckSample, cwnd: number, isFull: boolean): void {
    if (this.roundStart && ++this.extraAckedRounds >= (isFull ? EXTRA_ACKED_ROUNDS : 1)) {
      this.extraAckedRounds = 0
      this.extraAckedBefore = this.extraAckedNow
      this.extraAckedNow = 0
    }
    let expected = (this.bw * ((s.nowUs - this.extraAckedStartUs) | 0)) / 1e6
    if (this.extraAckedDelivered <= expected) {
      this.extraAckedDelivered = 0
      this.extraAckedStartUs = s.nowUs
      expected = 0
    }
    this.extraAckedDelivered += s.delivered
    const extra = Math.min(this.extraAckedDelivered - expected, cwnd)
    if (extra > this.extraAckedNow) this.extraAckedNow = extra
    this.extraAcked = this.extraAckedNow > this.extraAckedBefore ? this.extraAckedNow : this.extraAckedBefore
  }

  restartAggregation(nowUs: number): void {
    this.extraAckedStartUs = nowUs
    this.extraAckedDelivered = 0
  }

  /** AdvanceLatestDeliverySignals and BoundBWForModel. */
  finish(s: AckSample): void {
    if (this.lossRoundStart) {
      this.bwLatest = this.bwSample
      this.inflightLatest = s.rate.delivered
      this.lossEventsInRound = 0
    }
    this.bw = Math.min(this.maxBw, this.bwShortterm)
  }

  /** AdvanceMaxBwFilter: a cycle is over. One that brought no sample leaves the old one in force. */
  advanceMaxBw(): void {
    if (this.bwNow === 0) return
    this.bwBefore = this.bwNow
    this.bwNow = 0
  }

  /** NoteLoss. */
  noteLoss(delivered: number): void {
    if (!this.isLossInRound) this.lossRoundDelivered = delivered
    this.isLossInRound = true
    this.lossEventsInRound++
  }

  resetCongestionSignals(): void {
    this.isLossInRound = false
    this.isMarkedInRound = false
    this.lossEventsInRound = 0
    this.bwLatest = 0
    this.inflightLatest = 0
  }

  resetShortTerm(): void {
    this.bwShortterm = Number.POSITIVE_INFINITY
    this.inflightShortterm = Number.POSITIVE_INFINITY
  }

  /** InflightWithHeadroom. MAX_CWND: no bound. */
  inflightWithHeadroom(mss: number, least: number): number {
    if (this.inflightLongterm > MAX_CWND) return MAX_CWND
    return Math.max(this.inflightLongterm - Math.max(mss, HEADROOM * this.inflightLongterm), least) | 0
  }

  /** ResetFullBW; growth is measured against the rate of now. */
  resetFullBw(): void {
    this.fullBw = this.bwSample
    this.fullBwCount = 0
    this.isFullBwNow = false
  }

  /** CheckFullBWReached. */
  checkFullBw(isLimited: boolean): void {
    if (this.isFullBwNow || !this.roundStart || isLimited) return
    if (this.bwSample >= this.fullBw * FULL_BW_GROWTH) {
      this.resetFullBw()
      return
    }
    this.isFullBwNow = ++this.fullBwCount >= FULL_BW_ROUNDS
    if (this.isFullBwNow) this.isFullBwReached = true
  }

  beginSlope(): void {
    this.probeUpRounds = 0
    this.probeUpAcked = 0
  }

  /** RaiseInflightLongtermSlope. */
  raiseSlope(cwnd: number, mss: number): void {
    this.probeUpAckedPerInc = Math.max(cwnd / 2 ** this.probeUpRounds, mss)
    if (this.probeUpRounds < 30) this.probeUpRounds++
  }

  /** ProbeInflightLongtermUpward: `delivered` bytes arrived while the bound was in full use. */
  probeUpward(delivered: number, cwnd: number, mss: number): void {
    this.probeUpAcked += delivered
    if (this.probeUpAcked >= this.probeUpAckedPerInc) {
      const delta = Math.floor(this.probeUpAcked / this.probeUpAckedPerInc)
      this.probeUpAcked -= delta * this.probeUpAckedPerInc
      this.inflightLongterm += delta * mss
    }
    if (this.roundStart) this.raiseSlope(cwnd, mss)
  }

  /** What an undo gives back at least. */
  saveBounds(): void {
    this.undoBwShortterm = this.bwShortterm
    this.undoInflightShortterm = this.inflightShortterm
    this.undoInflightLongterm = this.inflightLongterm
  }

  restoreBounds(): void {
    this.bwShortterm = Math.max(this.bwShortterm, this.undoBwShortterm)
    this.inflightShortterm = Math.max(this.inflightShortterm, this.undoInflightShortterm)
    this.inflightLongterm = Math.max(this.inflightLongterm, this.undoInflightLongterm)
  }
}
