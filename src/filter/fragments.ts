/**
 * Fragments and connections. Only the first fragment of a datagram says which connection it belongs to; the others are told by the datagram's
 * identification. Nothing is put together here, for a router must send on what it got: a fragment that comes before its first one waits,
 * in bounded memory, and goes on when that has come (RFC 4787 REQ-14), from a timer of the same turn. First fragments too short to
 * hold what is translated are dropped, and so are second ones that would lie over a TCP header (RFC 1858, RFC 3128).
 */
import { Address } from '../base/address.ts'
import { copyBytes } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { FilterConfig } from '../base/filter-config.ts'
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { Interface } from '../ip/interface.ts'
import { PROTO_TCP } from '../ip/packet.ts'
import type { Context } from './context.ts'
import { C } from './counters.ts'
import type { Headers } from './headers.ts'
import type { Entry } from './tuple.ts'

/** A fragment that waits for its datagram's first one. */
interface Held {
  readonly iface: Interface
  /** The packet begins at `ROOM`: whoever sends it on may write a link header before it. */
  readonly bytes: Uint8Array
  readonly meta: number
  readonly cast: number
}

const ROOM = 64
/** What one costs beside its bytes, about. */
const OVERHEAD = 256
const BUCKETS = 256

class Datagram {
  readonly source = new Address()
  readonly destination = new Address()
  identification = 0
  /** IPv4's, of the header; 0 in IPv6, where later fragments may name another. */
  keyProtocol = 0
  bucket = 0
  next: Datagram | null = null
  older: Datagram | null = null
  newer: Datagram | null = null
  /** The first fragment has come: what follows is known. */
  isKnown = false
  entry: Entry | null = null
  isReply = false
  state = 0
  protocol = 0
  sourcePort = 0
  destinationPort = 0
  hasPorts = false
  expires = 0
  held: Held[] | null = null
}

export interface FragmentDependencies {
  timers: Timers
  clock: Clock
  random: Random
  config: FilterConfig
  /** Hands a packet to its family again. */
  again(iface: Interface, bytes: Uint8Array, start: number, meta: number, cast: number): void
}

export class Fragments extends Timed {
  /** Datagrams known, and bytes that wait. */
  count = 0
  bytes = 0
  private readonly hash: HalfSipHash
  private readonly buckets: (Datagram | null)[] = new Array<Datagram | null>(BUCKETS).fill(null)
  private oldest: Datagram | null = null
  private newest: Datagram | null = null
  private released: Held[] = []

  constructor(
    private readonly deps: FragmentDependencies,
    private readonly counters: Float64Array,
  ) {
    super()
    this.hash = new HalfSipHash(deps.random)
  }

  /** A first fragment: false when it is shorter than the headers that have to be in it. */
  mayBegin(h: Headers): boolean {
    if (h.end - h.at >= (h.protocol === PROTO_TCP ? 20 : 8)) return true
    this.counters[C.fragmentsDropTiny]++
    return false
  }

  /** A first fragment, whose connection `ctx` knows: those that wait for it may go on. */
  begin(ctx: Context): void {
    const h = ctx.headers
    const d = this.find(h) ?? this.add(h)
    d.isKnown = true
    d.entry = ctx.entry
    d.isReply = ctx.isReply
    d.state = ctx.state
    d.protocol = h.protocol
    d.sourcePort = h.sourcePort
    d.destinationPort = h.destinationPort
    d.hasPorts = h.hasPorts
    if (d.held === null) return
    for (const held of d.held) {
      this.bytes -= held.bytes.length - ROOM + OVERHEAD
      this.released.push(held)
    }
    d.held = null
    this.deps.timers.arm(this, this.deps.clock.nowMs)
  }

  /** A later fragment: gives the datagram's first one, or null: it waits, or was dropped. */
  follow(ctx: Context): Datagram | null {
    const h = ctx.headers
    if (h.protocol === PROTO_TCP && h.fragmentOffset < 20) {
      this.counters[C.fragmentsDropTiny]++
      return null
    }
    const d = this.find(h) ?? this.add(h)
    if (!d.isKnown) {
      this.hold(d, ctx)
      return null
    }
    if (d.entry !== null && !d.entry.alive) {
      this.counters[C.fragmentsDropUnknown]++
      return null
    }
    h.protocol = d.protocol
    h.sourcePort = d.sourcePort
    h.destinationPort = d.destinationPort
    h.hasPorts = d.hasPorts
    return d
  }

  clear(): void {
    while (this.oldest !== null) this.remove(this.oldest)
    this.released = []
  }

  /** Fragments whose first one has come go on; datagrams whose time is over are forgotten. */
  override onTimer(now: number): void {
    const { released, counters } = this
    if (released.length > 0) {
      this.released = []
      for (const { iface, bytes, meta, cast } of released) {
        counters[C.fragmentsReleased]++
        this.deps.again(iface, bytes, ROOM, meta, cast)
      }
    }
    while (this.oldest !== null && ((this.oldest.expires - now) | 0) <= 0) {
      counters[C.fragmentsDropTime] += this.oldest.held?.length ?? 0
      this.remove(this.oldest)
    }
    if (this.oldest !== null && !this.timerArmed) this.deps.timers.arm(this, this.oldest.expires)
  }

  private hold(d: Datagram, ctx: Context): void {
    const { packet } = ctx
    const length = packet.end - packet.start
    if (this.bytes + length + OVERHEAD > this.deps.config.fragmentHoldBytes) {
      this.counters[C.fragmentsDropMemory]++
      return
    }
    this.counters[C.fragmentsHeld]++
    this.bytes += length + OVERHEAD
    d.held ??= []
    const bytes = new Uint8Array(ROOM + length)
    copyBytes(packet.buf, packet.start, bytes, ROOM, length)
    d.held.push({ iface: packet.iface, bytes, meta: packet.meta, cast: packet.cast })
  }

  private find(h: Headers): Datagram | null {
    const protocol = h.family === 4 ? h.protocol : 0
    for (let d = this.buckets[this.bucketOf(h, protocol)]; d !== null; d = d.next) {
      if (
        d.identification === h.identification &&
        d.keyProtocol === protocol &&
        d.source.equals(h.source) &&
        d.destination.equals(h.destination)
      ) {
        return d
      }
    }
    return null
  }

  private bucketOf(h: Headers, protocol: number): number {
    return this.hash.hash4(h.source.digest, h.destination.digest, h.identification, protocol) & (BUCKETS - 1)
  }

  private add(h: Headers): Datagram {
    const { config, clock, timers } = this.deps
    while (this.oldest !== null && this.count >= config.fragmentDatagrams) {
      this.counters[C.fragmentsDropMemory] += this.oldest.held?.length ?? 0
      this.remove(this.oldest)
    }
    const d = new Datagram()
    d.source.copy(h.source)
    d.destination.copy(h.destination)
    d.identification = h.identification
    d.keyProtocol = h.family === 4 ? h.protocol : 0
    d.bucket = this.bucketOf(h, d.keyProtocol)
    d.next = this.buckets[d.bucket]
    this.buckets[d.bucket] = d
    d.older = this.newest
    if (this.newest === null) this.oldest = d
    else this.newest.newer = d
    this.newest = d
    this.count++
    d.expires = (clock.nowMs + config.fragmentTimeMs) | 0
    if (!this.timerArmed) timers.arm(this, d.expires)
    return d
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
    for (const held of d.held ?? []) this.bytes -= held.bytes.length - ROOM + OVERHEAD
    d.held = null
  }
}
