/**
 * Delivery rate (draft-ietf-ccwg-bbr section 4.1): how fast the path delivers, measured from what was delivered between the sending of a
 * record and its acknowledgment.
 *
 * Every record of the flight log carries a snapshot of `delivered`, `deliveredUs` and `firstSentUs` of when it was sent. An ACK takes the
 * newest record that it covers, and divides what was delivered since by the longer of the time it took to send and the time it took to be
 * acknowledged: the shorter would be an artefact of batching. Bytes throughout, counters wrap.
 */

import { Newest } from './delivery.ts'
import { APP_LIMITED, DELIVERED, DELIVERED_US, FIRST_SENT_US, FLAGS, IN_FLIGHT, SENT, WAS_LOST } from './flight-record.ts'

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
/** And of more than so many segments (bbr-path.ts says why). */
export const HEAVY_SEGMENTS = 2

/** The first heavy loss that nobody has asked for yet. */
class HeavyLoss {
  inFlight = 0
  lost = 0
  bytes = 0
  wasLimited = false
}

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
  /** Made with the first. */
  private heavy: HeavyLoss | null = null
  /** Last good sample, for `info()`. */
  private lastBytes = 0
  private lastUs = 0
  lastWasLimited = false

  constructor(private readonly newest = new Newest()) {}

  /** Of the last good sample; 0: there was none. */
  get bytesPerSecond(): number {
    return this.lastUs > 0 ? (this.lastBytes * 1e6) / this.lastUs : 0
  }

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

  /** Writes what is to be remembered of a record that is sent now. */
  snapshot(log: Int32Array, at: number, inFlight: number): void {
    const flags = log[at + FLAGS] & ~APP_LIMITED
    log[at + FLAGS] = this.isAppLimited ? flags | APP_LIMITED : flags
    log[at + DELIVERED] = this.delivered
    log[at + DELIVERED_US] = this.deliveredUs
    log[at + FIRST_SENT_US] = this.firstSentUs
    log[at + IN_FLIGHT] = inFlight
    log[at + WAS_LOST] = this.lost
  }

  /** An ACK is about to be applied to the log. */
  begin(nowUs: number): void {
    this.newest.begin(nowUs)
  }

  /** The record at `at`, or `bytes` of it and of older ones, was delivered for the first time. */
  record(bytes: number, log: Int32Array, at: number): void {
    const a = this.newest
    const sentUs = log[at + SENT]
    const before = log[at + DELIVERED]
    const known = bytes < this.early ? bytes : this.early
    this.early -= known
    this.delivered = (this.delivered + bytes - known) | 0
    this.deliveredUs = a.nowUs
    if (a.hasRecord) {
      const newer = (before - a.delivered) | 0
      if (newer < 0 || (newer === 0 && ((sentUs - a.sentUs) | 0) < 0)) return
    }
    a.hasRecord = true
    a.sentUs = sentUs
    a.delivered = before
    a.deliveredUs = log[at + DELIVERED_US]
    a.firstSentUs = log[at + FIRST_SENT_US]
    a.lost = log[at + WAS_LOST]
    a.wasLimited = (log[at + FLAGS] & APP_LIMITED) !== 0
    a.inFlight = log[at + IN_FLIGHT]
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
    this.deliveredUs = this.newest.nowUs
  }

  /** `bytes` of the record at `at` were marked lost. The draft's HandleLostPacket, for those who want it (`losses`). */
  lose(bytes: number, log: Int32Array, at: number, wasLimited: boolean, mss: number): void {
    this.lost = (this.lost + bytes) | 0
    const lost = (this.lost - log[at + WAS_LOST]) | 0
    const inFlight = log[at + IN_FLIGHT]
    if (lost * HEAVY_LOSS <= inFlight || lost <= HEAVY_SEGMENTS * mss) return
    this.heavy ??= new HeavyLoss()
    const { heavy } = this
    if (heavy.inFlight !== 0) return
    heavy.inFlight = inFlight
    heavy.lost = lost
    heavy.bytes = bytes
    heavy.wasLimited = wasLimited
  }

  /** Hands the losses noted since the last call over. */
  losses(out: RateSample): void {
    const { heavy } = this
    out.heavyInFlight = 0
    if (heavy === null) return
    out.heavyInFlight = heavy.inFlight
    out.heavyLost = heavy.lost
    out.heavyBytes = heavy.bytes
    out.heavyLimited = heavy.wasLimited
    heavy.inFlight = 0
  }

  /** Fills `out` from this ACK. `minRttUs` 0: unknown. */
  sample(out: RateSample, minRttUs: number): void {
    out.intervalUs = this.settle(minRttUs)
    const a = this.newest
    out.totalDelivered = this.delivered
    out.hasData = a.hasRecord
    if (!a.hasRecord) {
      out.delivered = 0
      return
    }
    out.priorDelivered = a.delivered
    out.isAppLimited = a.wasLimited
    out.txInFlight = a.inFlight
    out.lost = (this.lost - a.lost) | 0
    out.delivered = (this.delivered - a.delivered) | 0
  }

  /** `begin`, `record` and `sample` for an ACK whose newest record is that at `at`, and of which nobody wants a sample. */
  deliver(bytes: number, log: Int32Array, at: number, nowUs: number, minRttUs: number): void {
    const known = bytes < this.early ? bytes : this.early
    this.early -= known
    this.delivered = (this.delivered + bytes - known) | 0
    this.deliveredUs = nowUs
    this.firstSentUs = log[at + SENT]
    if (this.isAppLimited && ((this.delivered - this.limitedUntil) | 0) > 0) this.isAppLimited = false
    const sendUs = (log[at + SENT] - log[at + FIRST_SENT_US]) | 0
    const ackUs = (nowUs - log[at + DELIVERED_US]) | 0
    const interval = sendUs > ackUs ? sendUs : ackUs
    if (interval <= 0 || (minRttUs > 0 && interval < minRttUs)) return
    this.measured((this.delivered - log[at + DELIVERED]) | 0, interval, (log[at + FLAGS] & APP_LIMITED) !== 0)
  }

  /** The ACK is applied. Returns the interval in us; 0: none. */
  private settle(minRttUs: number): number {
    if (this.isAppLimited && ((this.delivered - this.limitedUntil) | 0) > 0) this.isAppLimited = false
    const a = this.newest
    if (!a.hasRecord) return 0
    const sendUs = (a.sentUs - a.firstSentUs) | 0
    const ackUs = (this.deliveredUs - a.deliveredUs) | 0
    const interval = sendUs > ackUs ? sendUs : ackUs
    // Shorter than the shortest round trip: an artefact of ACKs that came together.
    if (interval <= 0 || (minRttUs > 0 && interval < minRttUs)) return 0
    this.measured((this.delivered - a.delivered) | 0, interval, a.wasLimited)
    return interval
  }

  /** `bytes` were delivered within `interval`. */
  private measured(bytes: number, interval: number, wasLimited: boolean): void {
    if (wasLimited && bytes * this.lastUs < this.lastBytes * interval) return
    this.lastBytes = bytes
    this.lastUs = interval
    this.lastWasLimited = wasLimited
  }
}
