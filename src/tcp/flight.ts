/**
 * What is in flight: a flat circular log of records, oldest first, one per segment or super-segment sent.
 *
 * A record is [end sequence, time last sent in us, flags, and what rate.ts remembers: delivered, time of delivery, first time sent, in flight,
 * lost]; it begins where the one before ends (the first at SND.UNA), so records are contiguous by construction. The same records serve RTT
 * (Karn), the SACK scoreboard, RACK, loss marking and delivery rate. SACK may cover part of a record: it is split then. Neighbours that are
 * SACKed become one record, so that a flight with few holes is a short log, however large the window: what walks over it (rack.ts, is-lost.ts)
 * pays for holes, not for segments. Three byte sums are kept beside the log, so that `pipe` is arithmetic:
 *
 *   pipe = (SND.NXT - SND.UNA) - sacked - lost + retransmitted            (RFC 6675 section 4)
 *
 * Invariants: sacked + lost <= SND.NXT - SND.UNA; retransmitted <= lost; a record is never SACKED and LOST; RETRANSMITTED only
 * together with LOST; two neighbours are never both SACKED with the same flags; records that were sent once are in the order of their times.
 */
import type { Delivery } from './delivery.ts'
import { type FlightPool, sizeOf } from './flight-pool.ts'
import {
  AMBIGUOUS,
  APP_LIMITED,
  DELIVERED,
  DELIVERED_US,
  EVENTS,
  FIRST_SENT_US,
  FLAG_MASK,
  FLAGS,
  IN_FLIGHT,
  KEPT,
  LOST,
  MAX_CUT_RECORDS,
  RETRANSMITTED,
  roundDown,
  roundUp,
  SACKED,
  SEGMENT_SHIFT,
  SEGMENTS,
  SENT,
  SHIFT,
  STRIDE,
  WAS_LOST,
} from './flight-record.ts'
import type { Rate } from './rate.ts'
import { gt, lt } from './seq.ts'

export class Flight {
  una = 0
  /** Number of records. */
  count = 0
  sackedBytes = 0
  /** Segments among them; what was cut counts as one at least. */
  sackedSegments = 0
  lostBytes = 0
  retransmittedBytes = 0
  /** Bytes of a full segment. */
  mss = 0x7fffffff
  /** What the ACK that is being applied delivered. */
  readonly delivery: Delivery
  /** The records, and which is the first: for quiet-ack.ts, too. */
  log: Int32Array | null = null
  head = 0
  /** Records before this one hold nothing to retransmit. */
  hint = 0
  /** End of the highest SACKed record; means something while sackedBytes > 0. */
  private sackedEnd = 0
  /** Every record that ends here or before is LOST or SACKED (is-lost.ts). Never behind una while there are records. */
  lostEnd = 0

  constructor(
    private readonly pool: FlightPool,
    readonly rate: Rate,
  ) {
    this.delivery = pool.delivery
  }

  /** Highest sequence number known to have arrived (SND.FACK). */
  get fack(): number {
    return this.sackedBytes > 0 ? this.sackedEnd : this.una
  }

  /** An ACK is about to be applied. */
  beginAck(nowUs: number, minRttUs: number): void {
    this.rate.begin(nowUs)
    this.delivery.begin(nowUs, minRttUs, this.fack)
  }

  /** Appends what was just sent, ending at `end`. `inFlight`: bytes in the network with it; `segment`: bytes of each segment, 0: any. */
  add(end: number, us: number, inFlight: number, segment = 0): void {
    const { rate } = this
    if (this.count === 0) {
      this.lostEnd = this.una
      rate.restart(us)
    }
    if (this.log === null) this.log = this.pool.take()
    else if (this.count << SHIFT === this.log.length) this.grow()
    const at = this.at(this.count++)
    const log = this.log!
    log[at] = end
    log[at + SENT] = us
    // As Rate.snapshot, without a call: every segment passes here.
    log[at + FLAGS] = (segment << SEGMENT_SHIFT) | (rate.isAppLimited ? APP_LIMITED : 0)
    log[at + DELIVERED] = rate.delivered
    log[at + DELIVERED_US] = rate.deliveredUs
    log[at + FIRST_SENT_US] = rate.firstSentUs
    log[at + IN_FLIGHT] = inFlight
    log[at + WAS_LOST] = rate.lost
  }

  /** Everything before `ack` has arrived. */
  acknowledge(ack: number): void {
    const { log, delivery: d } = this
    while (this.count > 0) {
      const at = this.head << SHIFT
      const end = log![at]
      const flags = log![at + FLAGS]
      if ((flags & EVENTS) === 0 && !gt(end, ack)) {
        this.acknowledgeRun(log!, ack)
        continue
      }
      if ((flags & AMBIGUOUS) !== 0) d.isAmbiguous = d.isAmbiguous || gt(ack, this.una)
      if (gt(end, ack)) {
        if (gt(ack, this.una)) {
          this.deliver(at, this.una, ack)
          if ((flags & SACKED) !== 0) this.forgetSacked(at, (ack - this.una) | 0, (end - this.una) | 0)
          this.forget(flags, (ack - this.una) | 0)
        }
        break
      }
      this.deliver(at, this.una, end)
      if ((flags & SACKED) !== 0) this.sackedSegments -= log![at + SEGMENTS]
      else if ((flags & AMBIGUOUS) === 0) d.acknowledged(log![at + SENT])
      this.forget(flags, (end - this.una) | 0)
      this.una = end
      this.dropFirst(1)
    }
    this.una = ack
    if (lt(this.lostEnd, ack)) this.lostEnd = ack
    if (this.count === 0) this.release()
  }

  /**
   * The first record, and those after it that are whole below `ack` and to which nothing ever happened: they were sent in this order, so that
   * the first and the last say everything.
   */
  private acknowledgeRun(log: Int32Array, ack: number): void {
    const d = this.delivery
    const first = this.head << SHIFT
    let last = first
    let n = 1
    for (; n < this.count; n++) {
      const at = this.at(n)
      if ((log[at + FLAGS] & EVENTS) !== 0 || gt(log[at], ack)) break
      last = at
    }
    d.record(this.una, log[first], log[first + SENT], true)
    d.acknowledged(log[first + SENT])
    const end = log[last]
    if (last !== first) {
      d.record(log[first], end, log[last + SENT], true)
      d.acknowledged(log[last + SENT])
    }
    this.rate.record((end - this.una) | 0, log, last)
    this.una = end
    this.dropFirst(n)
  }

  private dropFirst(n: number): void {
    this.head = (this.head + n) & ((this.log!.length >> SHIFT) - 1)
    this.count -= n
    this.hint = this.hint > n ? this.hint - n : 0
  }

  /** Marks [left, right) as selectively acknowledged; returns how many bytes are new. */
  sack(left: number, right: number): number {
    let fresh = 0
    const first = this.firstBehind(left)
    let start = first < this.count ? this.startOf(first) : right
    for (let i = first; i < this.count && lt(start, right); i++) {
      let end = this.log![this.at(i)]
      if ((this.log![this.at(i) + FLAGS] & SACKED) !== 0) {
        start = end
        continue
      }
      if (gt(left, start) || gt(end, right)) {
        // Only whole segments count, as in Linux: a range inside of one is either an attack or a peer that will SACK the rest soon.
        const segment = this.log![this.at(i) + FLAGS] >> SEGMENT_SHIFT
        const from = gt(left, start) ? (start + roundUp((left - start) | 0, segment)) | 0 : start
        const to = gt(end, right) ? (start + roundDown((right - start) | 0, segment)) | 0 : end
        if (!lt(from, to) || this.count >= MAX_CUT_RECORDS) {
          start = end
          continue
        }
        if (gt(from, start)) {
          this.cut(i, from)
          start = from
          continue // the right half is the next record
        }
        if (gt(end, to)) {
          this.cut(i, to)
          end = to
        }
      }
      const at = this.at(i)
      const flags = this.log![at + FLAGS]
      const bytes = (end - start) | 0
      this.deliver(at, start, end)
      this.forget(flags, bytes)
      if ((flags & AMBIGUOUS) === 0) this.delivery.sacked(this.log![at + SENT])
      const segments = bytes <= this.mss ? 1 : Math.ceil(bytes / this.mss)
      this.log![at + FLAGS] = (flags & AMBIGUOUS) | SACKED
      this.log![at + SEGMENTS] = segments
      this.sackedSegments += segments
      if (this.sackedBytes === 0 || gt(end, this.sackedEnd)) this.sackedEnd = end
      this.sackedBytes += bytes
      fresh += bytes
      i = this.join(i)
      start = this.endOf(i)
    }
    return fresh
  }

  /** Marks the first `bytes` from SND.UNA as lost, also when they were sent again: all that NewReno knows. */
  markFirstLost(bytes: number): void {
    if (this.count === 0) return
    const edge = (this.una + bytes) | 0
    if (gt(this.log![this.at(0)], edge)) this.cut(0, edge)
    this.lose(0)
  }

  /** What is in flight was too big: everything not SACKed is lost, also what was retransmitted. */
  markAllLost(): void {
    for (let i = 0; i < this.count; i++) this.lose(i)
  }

  /**
   * The retransmission timer expired: the oldest is lost, and all that was sent `rttUs` ago or before. What is younger has had no time to be
   * acknowledged (RFC 8985 section 6.3). 0: everything is lost.
   */
  markOldLost(nowUs: number, rttUs: number): void {
    for (let i = 0; i < this.count; i++) {
      if (i === 0 || ((nowUs - this.sentOf(i)) | 0) >= rttUs) this.lose(i)
    }
  }

  /** Nothing was lost after all. */
  clearLosses(): void {
    for (let i = 0; i < this.count; i++) this.log![this.at(i) + FLAGS] &= ~(LOST | RETRANSMITTED)
    this.lostBytes = 0
    this.retransmittedBytes = 0
    this.lostEnd = this.una
  }

  /** The oldest record was SACKed, yet not acknowledged when the timer expired: the peer has thrown it away (RFC 2018 section 8). */
  get reneged(): boolean {
    return this.count > 0 && (this.log![this.at(0) + FLAGS] & SACKED) !== 0
  }

  /** Forgets all SACK information. */
  clearSacks(): void {
    for (let i = 0; i < this.count; i++) {
      const at = this.at(i)
      if ((this.log![at + FLAGS] & SACKED) === 0) continue
      this.log![at + FLAGS] &= ~SACKED
      this.rate.snapshot(this.log!, at, 0)
    }
    this.sackedBytes = 0
    this.sackedSegments = 0
    this.lostEnd = this.una
    this.hint = 0
  }

  /** Index of the first record to retransmit (lost, not yet sent again), or -1. */
  nextLost(): number {
    if (this.lostBytes === this.retransmittedBytes) return -1
    for (let i = this.hint; i < this.count; i++) {
      if ((this.log![this.at(i) + FLAGS] & (LOST | RETRANSMITTED)) === LOST) {
        this.hint = i
        return i
      }
    }
    return -1
  }

  /** The first `bytes` of record `i`, which is lost, were sent again at `us`; the rest becomes a record of its own. */
  retransmitted(i: number, bytes: number, us: number, inFlight: number, segment = 0): void {
    const start = this.startOf(i)
    const edge = (start + bytes) | 0
    if (lt(edge, this.log![this.at(i)])) this.cut(i, edge)
    this.sentAgain(i, us, inFlight, segment)
    this.log![this.at(i) + FLAGS] |= RETRANSMITTED
    this.retransmittedBytes += bytes
  }

  /** Record `i` was sent again at `us` to find out whether it is lost (RFC 8985 section 7.3). */
  sentAgain(i: number, us: number, inFlight: number, segment = 0): void {
    const at = this.at(i)
    this.log![at + FLAGS] = (this.log![at + FLAGS] & FLAG_MASK) | AMBIGUOUS | (segment << SEGMENT_SHIFT)
    this.log![at + SENT] = us
    this.rate.snapshot(this.log!, at, inFlight)
  }

  startOf(i: number): number {
    return i === 0 ? this.una : this.log![this.at(i - 1)]
  }

  endOf(i: number): number {
    return this.log![this.at(i)]
  }

  flagsOf(i: number): number {
    return this.log![this.at(i) + FLAGS] & FLAG_MASK
  }

  /** When record `i` was last sent. */
  sentOf(i: number): number {
    return this.log![this.at(i) + SENT]
  }

  clear(): void {
    this.count = 0
    this.sackedBytes = 0
    this.sackedSegments = 0
    this.lostBytes = 0
    this.retransmittedBytes = 0
    this.release()
  }

  release(): void {
    if (this.log !== null) this.pool.give(this.log)
    this.log = null
    this.head = 0
    this.hint = 0
  }

  /** Record `i` is lost, unless it is SACKed. True when that was its retransmission. */
  lose(i: number): boolean {
    const at = this.at(i)
    const flags = this.log![at + FLAGS]
    if ((flags & SACKED) !== 0) return false
    const bytes = (this.log![at] - this.startOf(i)) | 0
    this.forget(flags, bytes)
    this.log![at + FLAGS] = (flags & KEPT) | LOST
    this.lostBytes += bytes
    this.rate.lose(bytes, this.log!, at, (flags & APP_LIMITED) !== 0, this.mss)
    if (i < this.hint) this.hint = i
    return (flags & RETRANSMITTED) !== 0
  }

  /** [start, end), all or part of the record at `at`, has arrived, unless it had been SACKed before. */
  private deliver(at: number, start: number, end: number): void {
    const log = this.log!
    const flags = log[at + FLAGS]
    if ((flags & SACKED) !== 0) return
    this.delivery.record(start, end, log[at + SENT], (flags & AMBIGUOUS) === 0)
    this.rate.record((end - start) | 0, log, at)
  }

  /** Takes `bytes` with these flags out of the sums. */
  private forget(flags: number, bytes: number): void {
    if ((flags & SACKED) !== 0) this.sackedBytes -= bytes
    if ((flags & LOST) !== 0) this.lostBytes -= bytes
    if ((flags & RETRANSMITTED) !== 0) this.retransmittedBytes -= bytes
  }

  /** The first `bytes` of `size` of a SACKED record are acknowledged. */
  private forgetSacked(at: number, bytes: number, size: number): void {
    const segments = this.log![at + SEGMENTS]
    const gone = Math.floor((segments * bytes) / size)
    this.log![at + SEGMENTS] = segments - gone
    this.sackedSegments -= gone
  }

  /** Index of the first record that ends behind `seq`. Ends are in order: an ACK with four ranges must not cost four walks. */
  firstBehind(seq: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (gt(this.log![this.at(middle)], seq)) high = middle
      else low = middle + 1
    }
    return low
  }

  private at(i: number): number {
    return ((this.head + i) & ((this.log!.length >> SHIFT) - 1)) << SHIFT
  }

  private copy(to: number, from: number): void {
    const t = this.at(to)
    const f = this.at(from)
    const log = this.log!
    for (let k = 0; k < STRIDE; k++) log[t + k] = log[f + k]
  }

  /** Record `i` becomes two that meet at `seq`, both with its flags and time. The shorter side of the log moves. */
  cut(i: number, seq: number): void {
    if (this.count << SHIFT === this.log!.length) this.grow()
    const segment = this.log![this.at(i) + FLAGS] >> SEGMENT_SHIFT
    const isAligned = segment === 0 || ((seq - this.startOf(i)) | 0) % segment === 0
    this.count++
    if (i < this.count >> 1) {
      this.head = (this.head - 1) & ((this.log!.length >> SHIFT) - 1)
      for (let j = 0; j <= i; j++) this.copy(j, j + 1)
    } else {
      for (let j = this.count - 1; j > i; j--) this.copy(j, j - 1)
    }
    this.log![this.at(i)] = seq
    if (!isAligned) this.log![this.at(i + 1) + FLAGS] &= FLAG_MASK // its segments begin who knows where
    if (this.hint > i) this.hint++
  }

  /** SACKed record `i` and neighbours with the same flags become one; returns where it is. */
  private join(i: number): number {
    let at = i
    const flags = this.flagsOf(i)
    if (i > 0 && this.flagsOf(i - 1) === flags) {
      this.log![this.at(i) + SEGMENTS] += this.log![this.at(i - 1) + SEGMENTS]
      this.remove(i - 1)
      at = i - 1
    }
    if (at + 1 < this.count && this.flagsOf(at + 1) === flags) {
      this.log![this.at(at + 1) + SEGMENTS] += this.log![this.at(at) + SEGMENTS]
      this.remove(at)
    }
    return at
  }

  /** What record `i` covered belongs to the next one. */
  private remove(i: number): void {
    if (i < this.count >> 1) {
      for (let j = i; j > 0; j--) this.copy(j, j - 1)
      this.head = (this.head + 1) & ((this.log!.length >> SHIFT) - 1)
    } else {
      for (let j = i + 1; j < this.count; j++) this.copy(j - 1, j)
    }
    this.count--
    if (this.hint > i) this.hint--
  }

  private grow(): void {
    const old = this.log!
    const next = this.pool.take(sizeOf(old) + 1)
    for (let i = 0; i < this.count; i++) {
      const from = this.at(i)
      for (let k = 0; k < STRIDE; k++) next[(i << SHIFT) + k] = old[from + k]
    }
    this.pool.give(old)
    this.log = next
    this.head = 0
  }
}
