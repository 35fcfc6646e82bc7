/**
 * Delivery rate (draft-ietf-ccwg-bbr section 4.1): how fast the path delivers, measured from what was delivered between the sending of a
 * record and its acknowledgment.
 *
 * Every record of the flight log carries a snapshot of `delivered`, `deliveredUs` and `firstSentUs` of when it was sent. An ACK takes the
 * newest record that it covers, and divides what was delivered since by the longer of the time it took to send and the time it took to be
 * acknowledged: the shorter would be an artefact of batching. Bytes throughout, counters wrap.
 */

/** What one ACK gave. `intervalUs` 0: nothing. */
export class RateSample {
  /** Something was delivered. What follows means nothing otherwise. */
  hasData = false
  /** Bytes delivered in `intervalUs`. */
  delivered = 0
  intervalUs = 0
  /** `Rate.delivered` when the newest record was sent: whoever counts rounds compares with it. */
  priorDelivered = 0
  /** The sender had nothing to send while this was measured: the path may be faster. */
  isAppLimited = false
  /** Bytes in flight just after the newest record was sent. */
  txInFlight = 0
  /** Bytes marked lost between the sending of the newest record and now. */
  lost = 0
  /** `Rate.delivered` now. */
  totalDelivered = 0
  /**
   * The first record that was marked lost since the ACK before and whose loss made what was lost since it was sent more than a fiftieth of
   * what was in flight with it: that flight, what was lost since (both with the record), its size. 0: none.
   */
  heavyInFlight = 0
  heavyLost = 0
  heavyBytes = 0
  heavyLimited = false

  /** Bytes per second; 0: no sample. */
  get bytesPerSecond(): number {
    return this.intervalUs > 0 ? (this.delivered * 1e6) / this.intervalUs : 0
  }
}

/** Loss that counts as heavy: one in so many bytes (draft-ietf-ccwg-bbr, BBR.LossThresh: 2 %). */
export const HEAVY_LOSS = 50

export class Rate {
  /** Bytes delivered, and marked lost, since the connection began. Wrap at 2^32. */
  delivered = 0
  lost = 0
  /** Time of the last delivery, and of the sending of the newest record that was delivered: where the next sampling interval begins. */
  deliveredUs = 0
  firstSentUs = 0
  /** `delivered` at which the sender will no longer have been limited by the application; valid while `isAppLimited`. */
  private limitedUntil = 0
  isAppLimited = false

  /** Bytes counted as delivered before it was known which. */
  private early = 0

  private heavyInFlight = 0
  private heavyLost = 0
  private heavyBytes = 0
  private heavyLimited = false

  private nowUs = 0
  /** Of the ACK being processed: snapshot of the newest record that it delivers. */
  private hasRecord = false
  private priorDelivered = 0
  private priorDeliveredUs = 0
  private priorFirstSentUs = 0
  private priorLost = 0
  private sentUs = 0
  private wasLimited = false
  private txInFlight = 0

  /** Last good sample, for `info()`: bytes per second. */
  bytesPerSecond = 0
  lastWasLimited = false

  /** Something is about to be sent with nothing in flight: the interval begins anew. */
  restart(nowUs: number): void {
    this.firstSentUs = nowUs
    this.deliveredUs = nowUs
  }

  /** There was nothing to send although the window had room. `inFlight`: bytes in the network. */
  applicationLimited(inFlight: number): void {
    this.limitedUntil = (this.delivered + inFlight) | 0
    this.isAppLimited = true
  }

  /** An ACK is about to be applied to the log. */
  begin(nowUs: number): void {
    this.nowUs = nowUs
    this.hasRecord = false
  }

  /** A record was delivered for the first time; called once for each, with its snapshot. */
  record(
    bytes: number,
    sentUs: number,
    delivered: number,
    deliveredUs: number,
    firstSentUs: number,
    wasLimited: boolean,
    txInFlight: number,
    lost: number,
  ): void {
    const known = bytes < this.early ? bytes : this.early
    this.early -= known
    this.delivered = (this.delivered + bytes - known) | 0
    this.deliveredUs = this.nowUs
    if (this.hasRecord && ((delivered - this.priorDelivered) | 0) < 0) return
    if (this.hasRecord && delivered === this.priorDelivered && ((sentUs - this.sentUs) | 0) < 0) return
    this.hasRecord = true
    this.priorDelivered = delivered
    this.priorDeliveredUs = deliveredUs
    this.priorFirstSentUs = firstSentUs
    this.priorLost = lost
    this.wasLimited = wasLimited
    this.txInFlight = txInFlight
    this.sentUs = sentUs
    this.firstSentUs = sentUs
  }

  /**
   * A duplicate ACK of a peer without SACK: so much has arrived, nobody knows what (Linux tcp_add_reno_sack). Without it the ACK that ends a
   * recovery would deliver two round trips' data in one, and BBR believe in a path of twice its rate. Never more than is `outstanding`.
   */
  deliverEarly(bytes: number, outstanding: number): void {
    const n = Math.min(bytes, outstanding - this.early)
    if (n <= 0) return
    this.early += n
    this.delivered = (this.delivered + n) | 0
    this.deliveredUs = this.nowUs
  }

  /** `bytes` of a record were marked lost; with its snapshot. The draft's HandleLostPacket, for those who want it (`losses`). */
  lose(bytes: number, txInFlight: number, lostBefore: number, wasLimited: boolean): void {
    this.lost = (this.lost + bytes) | 0
    const lost = (this.lost - lostBefore) | 0
    if (this.heavyInFlight !== 0 || lost * HEAVY_LOSS <= txInFlight) return
    this.heavyInFlight = txInFlight
    this.heavyLost = lost
    this.heavyBytes = bytes
    this.heavyLimited = wasLimited
  }

  /** Hands the losses noted since the last call over. */
  losses(out: RateSample): void {
    out.heavyInFlight = this.heavyInFlight
    out.heavyLost = this.heavyLost
    out.heavyBytes = this.heavyBytes
    out.heavyLimited = this.heavyLimited
    this.heavyInFlight = 0
  }

  /** Fills `out` from this ACK. `minRttUs` 0: unknown. */
  sample(out: RateSample, minRttUs: number): void {
    if (this.isAppLimited && ((this.delivered - this.limitedUntil) | 0) > 0) this.isAppLimited = false
    out.intervalUs = 0
    out.delivered = 0
    out.totalDelivered = this.delivered
    out.hasData = this.hasRecord
    if (!this.hasRecord) return
    out.priorDelivered = this.priorDelivered
    out.isAppLimited = this.wasLimited
    out.txInFlight = this.txInFlight
    out.lost = (this.lost - this.priorLost) | 0
    out.delivered = (this.delivered - this.priorDelivered) | 0
    const sendUs = (this.sentUs - this.priorFirstSentUs) | 0
    const ackUs = (this.deliveredUs - this.priorDeliveredUs) | 0
    const interval = sendUs > ackUs ? sendUs : ackUs
    // Shorter than the shortest round trip: an artefact of ACKs that came together.
    if (interval <= 0 || (minRttUs > 0 && interval < minRttUs)) return
    out.intervalUs = interval
    const rate = (out.delivered * 1e6) / interval
    if (!this.wasLimited || rate >= this.bytesPerSecond) {
      this.bytesPerSecond = rate
      this.lastWasLimited = this.wasLimited
    }
  }
}
