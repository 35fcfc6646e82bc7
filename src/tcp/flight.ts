/**
 * What is in flight: a flat circular log of records, oldest first, one per segment or super-segment sent.
 *
 * A record is [end sequence, time sent in us, flags, and what rate.ts remembers: delivered, time of delivery, first time sent, in flight,
 * lost]; it begins where the one before ends (the first at SND.UNA), so records are contiguous by construction. The same records serve RTT
 * (Karn), the SACK scoreboard, loss marking and delivery rate. SACK may cover part of a record: it is split then. Three byte sums are kept beside the log, so that `pipe` is arithmetic:
 *
 *   pipe = (SND.NXT - SND.UNA) - sacked - lost + retransmitted            (RFC 6675 section 4)
 *
 * Invariants: sacked + lost <= SND.NXT - SND.UNA; retransmitted <= lost; a record is never SACKED and LOST; RETRANSMITTED only
 * together with LOST.
 */
import type { Rate } from './rate.ts'
import { gt, leq, lt } from './seq.ts'

const STRIDE = 8
const SENT = 1
const FLAGS = 2
const DELIVERED = 3
const DELIVERED_US = 4
const FIRST_SENT_US = 5
const IN_FLIGHT = 6
const WAS_LOST = 7
/** Selectively acknowledged. */
export const SACKED = 1
/** Believed lost. */
export const LOST = 2
/** Lost, and the retransmission is in flight. */
export const RETRANSMITTED = 4
/** Was sent more than once: no RTT from it. */
export const AMBIGUOUS = 8
/** Sent while the application had no more to send (rate.ts). */
export const APP_LIMITED = 16

/** What stays when a record is SACKed or lost. */
const KEPT = AMBIGUOUS | APP_LIMITED

const FIRST_RECORDS = 16
const POOL_CLASSES = 10
const POOL_BYTES = 256 << 10

function sizeOf(log: Int32Array): number {
  return 31 - Math.clz32(log.length / (FIRST_RECORDS * STRIDE))
}

/**
 * SACK may cut records only while there are fewer. An honest receiver's ranges end where segments ended, and losses are few; thousands of
 * ranges of a byte each are an attack on memory and time (CVE-2019-11478). What cannot be cut counts as not SACKed.
 */
const MAX_CUT_RECORDS = 1024

/** Logs of connections that have nothing in flight, for reuse: an idle connection holds none. */
export class FlightPool {
  /** By doublings of the first size: stacks with counts of their own (an array that is popped empty loses its memory). */
  private readonly free: (Int32Array | null)[][] = []
  private readonly counts = new Int32Array(POOL_CLASSES)

  constructor() {
    for (let i = 0; i < POOL_CLASSES; i++) this.free.push([])
  }

  /** A log of `FIRST_RECORDS << size` records; contents undefined. */
  take(size = 0): Int32Array {
    const n = size < POOL_CLASSES ? this.counts[size] : 0
    if (n === 0) return new Int32Array((FIRST_RECORDS << size) * STRIDE)
    const log = this.free[size][n - 1]!
    this.free[size][n - 1] = null
    this.counts[size] = n - 1
    return log
  }

  give(log: Int32Array): void {
    const size = sizeOf(log)
    // Many small ones, few large ones: 256 KB at most of each size.
    if (size >= POOL_CLASSES || this.counts[size] * log.byteLength >= POOL_BYTES) return
    this.free[size][this.counts[size]++] = log
  }
}

export class Flight {
  una = 0
  /** Number of records. */
  count = 0
  sackedBytes = 0
  lostBytes = 0
  retransmittedBytes = 0
  /** Of the last `acknowledge`: time sent of the newest record that it covered whole and that was sent once; valid if hasSample. */
  sampleSentUs = 0
  hasSample = false
  /** Of the last `acknowledge`: something acknowledged had been sent more than once. */
  ambiguous = false
  private log: Int32Array | null = null
  private head = 0
  /** Records before this one hold nothing to retransmit. */
  private hint = 0
  /** End of the highest SACKed record; means something while sackedBytes > 0. */
  private sackedEnd = 0
  /** Every record that ends here or before is LOST or SACKED. Never behind una while there are records. */
  private lostEnd = 0

  constructor(
    private readonly pool: FlightPool,
    private readonly rate: Rate,
  ) {}

  /** Appends what was just sent, ending at sequence `end`. `inFlight`: bytes in the network with it. */
  add(end: number, us: number, inFlight: number): void {
    if (this.count === 0) {
      this.lostEnd = this.una
      this.rate.restart(us)
    }
    if (this.log === null) this.log = this.pool.take()
    else if (this.count * STRIDE === this.log.length) this.grow()
    const at = this.at(this.count++)
    const log = this.log!
    log[at] = end
    log[at + SENT] = us
    log[at + FLAGS] = 0
    this.snapshot(at, inFlight)
  }

  /** Everything before `ack` has arrived. */
  acknowledge(ack: number): void {
    this.hasSample = false
    this.ambiguous = false
    const log = this.log
    while (this.count > 0) {
      const at = this.head * STRIDE
      const end = log![at]
      const flags = log![at + FLAGS]
      if (gt(end, ack)) {
        if (gt(ack, this.una)) {
          this.deliver(at, (ack - this.una) | 0)
          this.forget(flags, (ack - this.una) | 0)
          if ((flags & AMBIGUOUS) !== 0) this.ambiguous = true
        }
        break
      }
      this.deliver(at, (end - this.una) | 0)
      this.forget(flags, (end - this.una) | 0)
      if ((flags & AMBIGUOUS) !== 0) this.ambiguous = true
      else if ((flags & SACKED) === 0) {
        this.sampleSentUs = log![at + SENT]
        this.hasSample = true
      }
      this.una = end
      this.head = (this.head + 1) & (log!.length / STRIDE - 1)
      this.count--
      if (this.hint > 0) this.hint--
    }
    this.una = ack
    if (lt(this.lostEnd, ack)) this.lostEnd = ack
    if (this.count === 0) this.release()
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
      const isCut = gt(left, start) || gt(end, right)
      if (isCut && this.count >= MAX_CUT_RECORDS) {
        start = end
        continue
      }
      if (gt(left, start)) {
        this.split(i, left)
        start = left
        continue // the right half is the next record
      }
      if (gt(end, right)) {
        this.split(i, right)
        end = right
      }
      const at = this.at(i)
      const flags = this.log![at + FLAGS]
      const bytes = (end - start) | 0
      this.deliver(at, bytes)
      this.forget(flags, bytes)
      this.log![at + FLAGS] = (flags & KEPT) | SACKED
      if (this.sackedBytes === 0 || gt(end, this.sackedEnd)) this.sackedEnd = end
      this.sackedBytes += bytes
      fresh += bytes
      start = end
    }
    return fresh
  }

  /**
   * RFC 6675 section 4, IsLost: more than (DupThresh - 1) * SMSS bytes, or DupThresh separate ranges, were SACKed above. Returns the bytes
   * newly marked. Walks only what lies between the highest SACK and what was marked before: in a long flight with few losses every ACK
   * asks, and each must not cost a walk over all of it.
   */
  markLost(mss: number, dupThresh: number): number {
    if (this.sackedBytes === 0) return 0
    let above = 0
    let ranges = 0
    let previousSacked = false
    let marked = 0
    const enough = (dupThresh - 1) * mss
    let reached = false
    const lostEnd = this.lostEnd
    for (let i = this.firstBehind((this.sackedEnd - 1) | 0); i >= 0; i--) {
      const at = this.at(i)
      if (!reached && (above > enough || ranges >= dupThresh)) {
        reached = true
        if (gt(this.log![at], lostEnd)) this.lostEnd = this.log![at]
      }
      if (reached && leq(this.log![at], lostEnd)) break
      const flags = this.log![at + FLAGS]
      const bytes = (this.log![at] - this.startOf(i)) | 0
      if ((flags & SACKED) !== 0) {
        above += bytes
        if (!previousSacked) ranges++
        previousSacked = true
        continue
      }
      previousSacked = false
      if (reached && (flags & LOST) === 0) {
        this.log![at + FLAGS] = flags | LOST
        this.lostBytes += bytes
        this.loseAt(at, bytes)
        marked += bytes
        if (i < this.hint) this.hint = i
      }
    }
    return marked
  }

  /** Marks the first `bytes` from SND.UNA as lost, also when they were sent again: all that NewReno knows. */
  markFirstLost(bytes: number): void {
    if (this.count === 0) return
    const edge = (this.una + bytes) | 0
    if (gt(this.log![this.at(0)], edge)) this.split(0, edge)
    this.lose(0)
    this.hint = 0
  }

  /** The timer expired, or what is in flight was too big: everything not SACKed is lost, also what was retransmitted. */
  markAllLost(): void {
    for (let i = 0; i < this.count; i++) this.lose(i)
    this.hint = 0
  }

  /** The oldest record was SACKed, yet not acknowledged when the timer expired: the peer has thrown it away (RFC 2018 section 8). */
  get reneged(): boolean {
    return this.count > 0 && (this.log![this.at(0) + FLAGS] & SACKED) !== 0
  }

  /** Forgets all SACK information. */
  clearSacks(): void {
    for (let i = 0; i < this.count; i++) {
      const at = this.at(i)
      if ((this.log![at + FLAGS] & SACKED) !== 0) this.log![at + FLAGS] &= ~SACKED
    }
    this.sackedBytes = 0
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

  /** The first `bytes` of record `i` were sent again at `us`; the rest becomes a record of its own. */
  retransmitted(i: number, bytes: number, us: number, inFlight: number): void {
    const start = this.startOf(i)
    const edge = (start + bytes) | 0
    if (lt(edge, this.log![this.at(i)])) this.split(i, edge)
    const at = this.at(i)
    this.log![at + FLAGS] |= RETRANSMITTED | AMBIGUOUS
    this.log![at + SENT] = us
    this.snapshot(at, inFlight)
    this.retransmittedBytes += bytes
  }

  startOf(i: number): number {
    return i === 0 ? this.una : this.log![this.at(i - 1)]
  }

  endOf(i: number): number {
    return this.log![this.at(i)]
  }

  flagsOf(i: number): number {
    return this.log![this.at(i) + FLAGS]
  }

  clear(): void {
    this.count = 0
    this.sackedBytes = 0
    this.lostBytes = 0
    this.retransmittedBytes = 0
    this.release()
  }

  private release(): void {
    if (this.log !== null) this.pool.give(this.log)
    this.log = null
    this.head = 0
    this.hint = 0
  }

  private lose(i: number): void {
    const at = this.at(i)
    const flags = this.log![at + FLAGS]
    if ((flags & SACKED) !== 0) return
    const bytes = (this.log![at] - this.startOf(i)) | 0
    this.forget(flags, bytes)
    this.log![at + FLAGS] = (flags & KEPT) | LOST
    this.lostBytes += bytes
    this.loseAt(at, bytes)
  }

  /** Tells rate.ts that `bytes` of the record at `at` were marked lost. */
  private loseAt(at: number, bytes: number): void {
    const log = this.log!
    this.rate.lose(bytes, log[at + IN_FLIGHT], log[at + WAS_LOST], (log[at + FLAGS] & APP_LIMITED) !== 0)
  }

  /** What rate.ts wants to know of a record that is sent now. */
  private snapshot(at: number, inFlight: number): void {
    const { rate } = this
    const log = this.log!
    if (rate.isAppLimited) log[at + FLAGS] |= APP_LIMITED
    else log[at + FLAGS] &= ~APP_LIMITED
    log[at + DELIVERED] = rate.delivered
    log[at + DELIVERED_US] = rate.deliveredUs
    log[at + FIRST_SENT_US] = rate.firstSentUs
    log[at + IN_FLIGHT] = inFlight
    log[at + WAS_LOST] = rate.lost
  }

  /** `bytes` of the record at `at` have arrived, unless they had been SACKed before. */
  private deliver(at: number, bytes: number): void {
    const log = this.log!
    const flags = log[at + FLAGS]
    if ((flags & SACKED) !== 0) return
    this.rate.record(
      bytes,
      log[at + SENT],
      log[at + DELIVERED],
      log[at + DELIVERED_US],
      log[at + FIRST_SENT_US],
      (flags & APP_LIMITED) !== 0,
      log[at + IN_FLIGHT],
      log[at + WAS_LOST],
    )
  }

  /** Takes `bytes` with these flags out of the sums. */
  private forget(flags: number, bytes: number): void {
    if ((flags & SACKED) !== 0) this.sackedBytes -= bytes
    if ((flags & LOST) !== 0) this.lostBytes -= bytes
    if ((flags & RETRANSMITTED) !== 0) this.retransmittedBytes -= bytes
  }

  /** Index of the first record that ends behind `seq`. Ends are in order: an ACK with four ranges must not cost four walks. */
  private firstBehind(seq: number): number {
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
    return ((this.head + i) & (this.log!.length / STRIDE - 1)) * STRIDE
  }

  /** Record `i` becomes two that meet at `seq`, both with its flags and time. */
  private split(i: number, seq: number): void {
    if (this.count * STRIDE === this.log!.length) this.grow()
    const log = this.log!
    for (let j = this.count; j > i; j--) {
      const to = this.at(j)
      const from = this.at(j - 1)
      for (let k = 0; k < STRIDE; k++) log[to + k] = log[from + k]
    }
    this.count++
    log[this.at(i)] = seq
    if (this.hint > i) this.hint++
  }

  private grow(): void {
    const old = this.log!
    const next = this.pool.take(sizeOf(old) + 1)
    for (let i = 0; i < this.count; i++) {
      const from = this.at(i)
      for (let k = 0; k < STRIDE; k++) next[i * STRIDE + k] = old[from + k]
    }
    this.pool.give(old)
    this.log = next
    this.head = 0
  }
}
