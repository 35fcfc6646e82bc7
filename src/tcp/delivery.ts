/**
 * What one ACK delivered, as the flight log saw it: for round-trip times (Karn), RACK, reordering and F-RTO. One reused record per stack; it
 * holds from `begin` until the next ACK of any connection.
 */
import { gt, lt } from './seq.ts'

export class Delivery {
  private nowUs = 0
  private minRttUs = 0
  /** End of the highest SACKed record before this ACK; SND.UNA when there was none (RACK.fack of RFC 8985). */
  priorFack = 0

  /** Something cumulatively acknowledged had been sent more than once. */
  isAmbiguous = false
  /** Times sent of the oldest and the newest record that was cumulatively acknowledged whole, sent once and not SACKed before. */
  hasSample = false
  oldestUs = 0
  newestUs = 0
  /** The same of what was SACKed. */
  hasSackSample = false
  sackOldestUs = 0
  sackNewestUs = 0

  /** The most recently sent of all that was delivered (RFC 8985 section 6.2 step 2). */
  hasLatest = false
  latestUs = 0
  latestEnd = 0
  /** When the last of them in sequence was sent: RACK.rtt goes by it. */
  lastUs = 0
  private lastEnd = 0

  /** The lowest delivered record that was sent only once: nothing but its original can have arrived. */
  hasOriginal = false
  originalStart = 0
  originalEnd = 0

  begin(nowUs: number, minRttUs: number, fack: number): void {
    this.nowUs = nowUs
    this.minRttUs = minRttUs
    this.priorFack = fack
    this.isAmbiguous = false
    this.hasSample = false
    this.hasSackSample = false
    this.hasLatest = false
    this.hasOriginal = false
  }

  /** Data [start, end), last sent at `sentUs`, arrived for the first time. */
  record(start: number, end: number, sentUs: number, wasSentOnce: boolean): void {
    if (wasSentOnce) {
      if (!this.hasOriginal || lt(start, this.originalStart)) {
        this.hasOriginal = true
        this.originalStart = start
        this.originalEnd = end
      }
    } else if (((this.nowUs - sentUs) | 0) < this.minRttUs) {
      return // RFC 8985 section 6.2 step 2: too early for the retransmission; it was the original, of which the log has no time
    }
    if (!this.hasLatest || gt(end, this.lastEnd)) {
      this.lastUs = sentUs
      this.lastEnd = end
    }
    const newer = (sentUs - this.latestUs) | 0
    if (this.hasLatest && (newer < 0 || (newer === 0 && !gt(end, this.latestEnd)))) return
    this.hasLatest = true
    this.latestUs = sentUs
    this.latestEnd = end
  }

  acknowledged(sentUs: number): void {
    if (!this.hasSample) this.oldestUs = sentUs
    this.hasSample = true
    this.newestUs = sentUs
  }

  sacked(sentUs: number): void {
    if (!this.hasSackSample || ((sentUs - this.sackOldestUs) | 0) < 0) this.sackOldestUs = sentUs
    if (!this.hasSackSample || ((sentUs - this.sackNewestUs) | 0) > 0) this.sackNewestUs = sentUs
    this.hasSackSample = true
  }
}

/** The newest of the records that the ACK delivers, as it was when it was sent: where the sample of the rate begins (rate.ts). */
export class Newest {
  nowUs = 0
  hasRecord = false
  sentUs = 0
  delivered = 0
  deliveredUs = 0
  firstSentUs = 0
  lost = 0
  wasLimited = false
  inFlight = 0

  begin(nowUs: number): void {
    this.nowUs = nowUs
    this.hasRecord = false
  }
}
