/**
 * Reassembly of incoming fragments of either family (RFC 791 section 3.2, RFC 8200 section 4.5; RFC 815's idea of a buffer that is the
 * datagram). What differs between the families is in `ReassemblyRules`.
 *
 * Theory of operation. A datagram in progress is found by the keyed hash of (source, destination, tag, interface), where the tag is
 * the identification and, in IPv4, the protocol. Its payload goes straight to its final place in a pooled buffer, and a sorted list of spans says which parts are there;
 * neighbouring spans are joined, so a train in order has one. Fragments never overlap in honest traffic: one that does, and is not
 * a plain repetition, condemns the whole datagram (RFC 5722 section 4, applied to IPv4 as well). Memory, the number of datagrams, the
 * number of fragments and the time of each are bounded; when memory or datagrams run out the oldest goes, so that a flood cannot lock
 * others out for longer than it takes to fill the memory once.
 */
import { Address } from '../base/address.ts'
import { copyBytes, equalBytes } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'
import { Timed, type Timers } from '../base/timers.ts'
import { CSUM_MASK, CSUM_NONE, CSUM_VALID } from '../netif/netif.ts'
import type { Interface } from './interface.ts'
import type { Ip } from './ip.ts'
import { Packet } from './packet.ts'
import { Added, type ReassemblyRules } from './reassembly-rules.ts'

export interface ReassemblyDependencies {
  ip: Ip
  timers: Timers
  clock: Clock
  random: Random
  pool: BufferPool
}

const BUCKETS = 256
/** ECN code points (RFC 3168 section 5) as bits of a set. */
const SAW_NOT_ECT = 1
const SAW_CE = 8

/** A datagram in progress. Reused. */
class Datagram extends Timed {
  iface: Interface | null = null
  readonly source = new Address()
  readonly destination = new Address()
  tag = 0
  protocol = 0
  bucket = 0
  /** Next in the bucket; the list of all by age. */
  next: Datagram | null = null
  older: Datagram | null = null
  newer: Datagram | null = null
  buf: Uint8Array
  /** Payload bytes in all once the last fragment came; -1 before. */
  total = -1
  /** Bytes of payload that are there. */
  received = 0
  fragments = 0
  /** Header bytes of the first fragment; 0 while it is missing. */
  header = 0
  to = 0
  cast = 0
  ttl = 0
  tos = 0
  ecn = 0
  /** Parts of it overlapped: nothing more is taken. */
  condemned = false
  /** Every fragment's checksum was vouched for by the link. */
  vouched = true
  /** Sorted, disjoint, not touching: begin and end of each span. */
  spans = new Uint16Array(8)
  spanCount = 0

  constructor(
    private readonly owner: Reassembly,
    none: Uint8Array,
  ) {
    super()
    this.buf = none
  }

  onTimer(): void {
    this.owner.expire(this)
  }
}

export class Reassembly {
  /** Bytes of buffers held. */
  bytes = 0
  /** Datagrams in progress. */
  count = 0
  private readonly hash: HalfSipHash
  private readonly buckets: (Datagram | null)[] = new Array<Datagram | null>(BUCKETS).fill(null)
  private readonly spare: Datagram[] = []
  private readonly none = new Uint8Array(0)
  private oldest: Datagram | null = null
  private newest: Datagram | null = null
  /** Of the datagram that was completed last, until it is released. */
  private delivered: Uint8Array
  /** Where payload begins in a buffer; the header of the first fragment ends here. */
  private readonly payload: number
  /** For time exceeded messages. */
  private expired: Packet | null = null

  constructor(
    private readonly deps: ReassemblyDependencies,
    private readonly rules: ReassemblyRules,
    private readonly counters: Float64Array,
  ) {
    this.payload = rules.headerRoom
    this.hash = new HalfSipHash(deps.random)
    this.delivered = this.none
  }

  /**
   * Takes one fragment: `packet.off` is its part of the payload, whose place is `from`; headers, with what makes it a fragment, end there.
   * Returns an `Added`. WHOLE: `packet` describes the datagram now, and `release` must follow when it has been delivered.
   */
  add(packet: Packet, tag: number, from: number, more: boolean): number {
    const n = this.counters
    const { rules } = this
    const { index } = rules
    n[index.requests]++
    const length = packet.end - packet.off
    const to = from + length
    // All but the last are multiples of eight; none is empty.
    if (length === 0 || (more && (length & 7) !== 0)) {
      n[index.length]++
      return Added.BAD_LENGTH
    }
    const datagram = this.find(packet, tag) ?? this.begin(packet, tag)
    if (datagram.condemned) {
      n[index.overlap]++
      return Added.WAITS
    }
    const header = from === 0 ? packet.off - packet.start : datagram.header
    // The whole, with its header, must fit the 16 bits of its length ("ping of death").
    if (to + (header || rules.headerLeast) > rules.most) {
      this.condemn(datagram, index.tooBig)
      return Added.TOO_BIG
    }
    if (header > rules.headerRoom) return this.condemn(datagram, index.header)
    if (++datagram.fragments > rules.limits.reassemblyFragments) return this.condemn(datagram, index.fragments)
    if (datagram.total >= 0 ? to > datagram.total || (!more && to !== datagram.total) : !more && to < this.high(datagram)) {
      return this.overlapped(datagram)
    }
    const place = this.place(datagram, packet, from, to)
    if (place === DUPLICATE) return Added.WAITS
    if (place < 0) return place === OVERLAP ? this.overlapped(datagram) : this.condemn(datagram, index.memory)
    if (!more) datagram.total = to
    datagram.ecn |= 1 << (packet.tos & 3)
    if ((packet.meta & CSUM_MASK) === CSUM_NONE) datagram.vouched = false
    if (from === 0) this.takeHeader(datagram, packet)
    if (datagram.received !== datagram.total || datagram.header === 0) return Added.WAITS
    // RFC 3168 section 5.3: congestion experienced by any part is the whole's; but not where a part cannot have had a mark.
    if ((datagram.ecn & SAW_CE) !== 0) {
      if ((datagram.ecn & SAW_NOT_ECT) !== 0) return this.condemn(datagram, index.ecn)
      datagram.tos |= 3
    }
    if (datagram.header + datagram.total > rules.most) {
      this.condemn(datagram, index.tooBig)
      return Added.TOO_BIG
    }
    this.complete(datagram, packet)
    return Added.WHOLE
  }

  /** The packet that `add` completed has been delivered: gives its buffer back. */
  release(packet: Packet): void {
    this.bytes -= this.delivered.length
    this.deps.pool.give(this.delivered)
    this.delivered = this.none
    packet.buf = this.none
  }

  /** Forgets what came in by an interface that goes away. */
  drop(iface: Interface): void {
    for (let d = this.oldest; d !== null; ) {
      const newer: Datagram | null = d.newer
      if (d.iface === iface) this.remove(d)
      d = newer
    }
    this.expired = null
  }

  /** The timer of a datagram: a time exceeded message is due if the first fragment is there (RFC 1122 section 3.3.2, RFC 4443 section 3.3). */
  expire(datagram: Datagram): void {
    if (datagram.condemned) {
      this.remove(datagram)
      return
    }
    this.counters[this.rules.index.timeout]++
    this.counters[this.rules.index.fails]++
    if (datagram.header !== 0) {
      if (this.expired === null) this.expired = new Packet(datagram.iface!)
      const packet = this.expired
      packet.buf = datagram.buf
      // As much as is there without a gap.
      this.describe(datagram, packet, datagram.spans[1])
      this.deps.ip.errors.timeExceeded(packet, true)
      packet.buf = this.none
    }
    this.remove(datagram)
  }

  private find(packet: Packet, tag: number): Datagram | null {
    for (let d = this.buckets[this.bucketOf(packet, tag)]; d !== null; d = d.next) {
      if (d.tag !== tag || d.iface !== packet.iface) continue
      if (d.source.equals(packet.source) && d.destination.equals(packet.destination)) return d
    }
    return null
  }

  private bucketOf(packet: Packet, tag: number): number {
    const { source, destination, iface } = packet
    const { hash } = this
    // Who owns a network of IPv6 has sources to choose from: all four words are hashed, or they could be made to meet in one bucket.
    const from = source.isV4 ? source.w3 : hash.hash4(source.w0, source.w1, source.w2, source.w3)
    return hash.hash4(from, destination.w3, tag, iface.index) & (BUCKETS - 1)
  }

  private begin(packet: Packet, tag: number): Datagram {
    const { limits, index } = this.rules
    while (this.oldest !== null && this.count >= limits.reassemblyDatagrams) this.condemn(this.oldest, index.memory)
    const d = this.spare.pop() ?? new Datagram(this, this.none)
    d.iface = packet.iface
    d.source.copy(packet.source)
    d.destination.copy(packet.destination)
    d.tag = tag
    d.to = packet.to
    d.bucket = this.bucketOf(packet, tag)
    d.next = this.buckets[d.bucket]
    this.buckets[d.bucket] = d
    d.older = this.newest
    if (this.newest === null) this.oldest = d
    else this.newest.newer = d
    this.newest = d
    this.count++
    this.deps.timers.arm(d, (this.deps.clock.nowMs + limits.reassemblyTimeMs) | 0)
    return d
  }

  /** One past the highest byte that is there. */
  private high(datagram: Datagram): number {
    return datagram.spanCount === 0 ? 0 : datagram.spans[2 * datagram.spanCount - 1]
  }

  /** Puts `[from, to)` into the buffer and the spans. 0, or why not. */
  private place(d: Datagram, packet: Packet, from: number, to: number): number {
    const spans = d.spans
    // The first span that ends at or behind `from`.
    let low = 0
    let top = d.spanCount
    while (low < top) {
      const middle = (low + top) >> 1
      if (spans[2 * middle + 1] < from) low = middle + 1
      else top = middle
    }
    let touchesBefore = false
    if (low < d.spanCount) {
      if (spans[2 * low + 1] === from) touchesBefore = true
      else if (spans[2 * low] < to) return this.covered(d, packet, low, from, to)
    }
    const after = touchesBefore ? low + 1 : low
    if (after < d.spanCount && spans[2 * after] < to) return this.covered(d, packet, after, from, to)
    if (!this.hold(d, this.payload + to)) return NO_MEMORY
    copyBytes(packet.buf, packet.off, d.buf, this.payload + from, to - from)
    d.received += to - from
    const touchesAfter = after < d.spanCount && spans[2 * after] === to
    if (touchesBefore && touchesAfter) {
      spans[2 * low + 1] = spans[2 * after + 1]
      spans.copyWithin(2 * after, 2 * after + 2, 2 * d.spanCount)
      d.spanCount--
    } else if (touchesBefore) spans[2 * low + 1] = to
    else if (touchesAfter) spans[2 * after] = from
    else this.insert(d, low, from, to)
    return 0
  }

  /** A fragment that meets span `i`: a repetition if the span holds the same bytes already, else an overlap. */
  private covered(d: Datagram, packet: Packet, i: number, from: number, to: number): number {
    const inside = d.spans[2 * i] <= from && to <= d.spans[2 * i + 1]
    if (!inside || !equalBytes(packet.buf, packet.off, d.buf, this.payload + from, to - from)) return OVERLAP
    this.counters[this.rules.index.duplicate]++
    return DUPLICATE
  }

  private insert(d: Datagram, at: number, from: number, to: number): void {
    if (2 * d.spanCount + 2 > d.spans.length) {
      const grown = new Uint16Array(2 * d.spans.length)
      grown.set(d.spans)
      d.spans = grown
    }
    d.spans.copyWithin(2 * at + 2, 2 * at, 2 * d.spanCount)
    d.spans[2 * at] = from
    d.spans[2 * at + 1] = to
    d.spanCount++
  }

  /** Makes the buffer hold `need` bytes; false when that is more than all may have together. */
  private hold(d: Datagram, need: number): boolean {
    if (need <= d.buf.length) return true
    const buf = this.deps.pool.take(need)
    while (this.bytes + buf.length > this.rules.limits.reassemblyBytes) {
      const victim = this.oldest === d ? d.newer : this.oldest
      if (victim === null) {
        this.deps.pool.give(buf)
        return false
      }
      this.condemn(victim, this.rules.index.memory)
    }
    if (d.buf.length > 0) {
      copyBytes(d.buf, 0, buf, 0, this.payload + this.high(d))
      this.bytes -= d.buf.length
      this.deps.pool.give(d.buf)
    }
    this.bytes += buf.length
    d.buf = buf
    return true
  }

  private takeHeader(d: Datagram, packet: Packet): void {
    d.header = packet.off - packet.start
    copyBytes(packet.buf, packet.start, d.buf, this.payload - d.header, d.header)
    d.protocol = packet.protocol
    d.cast = packet.cast
    d.ttl = packet.ttl
    d.tos = packet.tos
  }

  private complete(d: Datagram, packet: Packet): void {
    this.counters[this.rules.index.oks]++
    packet.buf = d.buf
    this.describe(d, packet, d.total)
    packet.meta = d.vouched ? CSUM_VALID : CSUM_NONE
    packet.reassembled = true
    this.rules.finish(packet, d.tos)
    packet.tos = d.tos
    this.delivered = d.buf
    d.buf = this.none
    this.remove(d)
  }

  /** Fills `packet` from what is known of a datagram, with its first `length` bytes of payload. */
  private describe(d: Datagram, packet: Packet, length: number): void {
    packet.iface = d.iface!
    packet.link = -1
    packet.start = this.payload - d.header
    packet.off = this.payload
    packet.end = this.payload + length
    packet.source.copy(d.source)
    packet.destination.copy(d.destination)
    packet.protocol = d.protocol
    packet.ttl = d.ttl
    packet.tos = d.tos
    packet.to = d.to
    packet.cast = d.cast
  }

  /** The whole datagram is dropped. WAITS, for `add`. */
  private condemn(d: Datagram, reason: number): number {
    if (!d.condemned) {
      this.counters[reason]++
      this.counters[this.rules.index.fails]++
    }
    this.remove(d)
    return Added.WAITS
  }

  private overlapped(d: Datagram): number {
    const { rules } = this
    if (!rules.remembersOverlap) return this.condemn(d, rules.index.overlap)
    this.counters[rules.index.overlap]++
    this.counters[rules.index.fails]++
    this.freeBuffer(d)
    d.condemned = true
    return Added.WAITS
  }

  private freeBuffer(d: Datagram): void {
    if (d.buf.length === 0) return
    this.bytes -= d.buf.length
    this.deps.pool.give(d.buf)
    d.buf = this.none
  }

  private remove(d: Datagram): void {
    if (this.buckets[d.bucket] === d) this.buckets[d.bucket] = d.next
    else {
      let before = this.buckets[d.bucket]!
      while (before.next !== d) before = before.next!
      before.next = d.next
    }
    if (d.older === null) this.oldest = d.newer
    else d.older.newer = d.newer
    if (d.newer === null) this.newest = d.older
    else d.newer.older = d.older
    this.count--
    this.deps.timers.remove(d)
    this.freeBuffer(d)
    d.condemned = false
    d.iface = null
    d.next = null
    d.older = null
    d.newer = null
    d.total = -1
    d.received = 0
    d.fragments = 0
    d.header = 0
    d.ecn = 0
    d.vouched = true
    d.spanCount = 0
    // A list of spans that an attack made large is not kept.
    if (d.spans.length > 64) d.spans = new Uint16Array(8)
    this.spare.push(d)
  }
}

const OVERLAP = -1
const DUPLICATE = -2
const NO_MEMORY = -3
