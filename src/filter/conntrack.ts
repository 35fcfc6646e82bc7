/**
 * Connection tracking: which connection a packet belongs to, and where that stands.
 *
 * Theory of operation. Before any rule sees a packet, its tuple (protocol, addresses, ports) is looked up. An entry has two tuples, that of
 * its first packet and that of the answer, so the one that is found says the direction as well. What is found nowhere makes an entry, which is
 * in the table at once but unconfirmed: it becomes a connection when its first packet has passed all hooks, and is thrown away when the next one
 * comes before that. Packets are heard one at a time, so there is never more than one of these in a direction of travel. An ICMP error is related to the
 * connection of the packet that it quotes. Entries end by time: found expired when they are looked up, or by a sweep that takes a part of
 * the table each second. The table is bounded: where it is full, an entry that nobody answered gives way, or the new one is refused.
 *
 * Deviations from Linux: no windows of TCP (tcp-track.ts), and checksums are left to the ends, but for those of ICMP errors, which are believed here.
 */
import type { Address } from '../base/address.ts'
import { sumBytes } from '../base/checksum.ts'
import type { Clock } from '../base/clock.ts'
import type { FilterConfig } from '../base/filter-config.ts'
import type { Random } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { CSUM_MASK, CSUM_NONE } from '../netif/netif.ts'
import { type Context, State } from './context.ts'
import { C } from './counters.ts'
import { ERROR_HEADER, type Headers, IcmpRole, Part } from './headers.ts'
import { ConnectionTable } from './table.ts'
import { badFlags, follow, mayBegin, reopens, tcpTime } from './tcp-track.ts'
import { Entry, Tuple } from './tuple.ts'

export interface ConntrackDependencies {
  timers: Timers
  clock: Clock
  random: Random
  config: FilterConfig
}

/** Buckets that are searched for one that may go, when the table is full. Linux NF_CT_EVICTION_RANGE. */
const EVICTION_RANGE = 8

export class Conntrack extends Timed {
  readonly table: ConnectionTable
  /** Told of every entry that ends. */
  onEnd: ((entry: Entry) => void) | null = null
  /** Asked of every entry from time to time: has it ended for a reason of its own? */
  isGone: ((entry: Entry) => boolean) | null = null
  private readonly key = new Tuple(null, false)
  private pending: Entry | null = null
  private swept = 0

  constructor(
    private readonly deps: ConntrackDependencies,
    private readonly counters: Float64Array,
  ) {
    super()
    this.table = new ConnectionTable(deps.random)
  }

  /** Finds or makes the connection of a packet; `ctx` then says all of it. False: there is no room for it. */
  track(ctx: Context): boolean {
    const n = this.counters
    const h = ctx.headers
    if (h.icmpRole === IcmpRole.ERROR) {
      this.relate(ctx)
      return true
    }
    if (isUntracked(h)) {
      n[C.untracked]++
      return true
    }
    const isTcp = h.protocol === PROTO_TCP
    if ((!h.hasPorts && needsPorts(h)) || (isTcp && badFlags(h.tcpFlags))) return this.isInvalid(ctx)
    const tuple = this.lookup(this.key.set(h))
    if (tuple !== null && !(isTcp && reopens(tuple.entry!, h.tcpFlags))) {
      this.belongs(ctx, tuple.entry!, tuple.isReply)
      return true
    }
    if (ctx.inIface?.isLoopback) {
      // It was translated on its way out: its answer is what the table knows.
      const answer = this.lookup(this.key.invert(h))
      if (answer !== null) {
        ctx.isTranslated = true
        this.belongs(ctx, answer.entry!, !answer.isReply)
        return true
      }
    }
    if (tuple !== null) {
      n[C.reopened]++
      this.end(tuple.entry!)
    }
    if (h.icmpRole === IcmpRole.REPLY || (isTcp && !mayBegin(h.tcpFlags, this.deps.config))) return this.isInvalid(ctx)
    return this.begin(ctx)
  }

  /**
   * Finds the connection of a packet that was seen before, as fragments perhaps, and may have been translated since. Nothing is counted
   * and nothing changes.
   */
  recall(ctx: Context): void {
    const h = ctx.headers
    if (!h.hasPorts && needsPorts(h)) return
    let tuple = this.table.find(this.key.set(h))
    const isDirect = tuple !== null
    ctx.isTranslated = !isDirect
    tuple ??= this.table.find(this.key.invert(h))
    if (tuple !== null) this.describe(ctx, tuple.entry!, isDirect ? tuple.isReply : !tuple.isReply)
    else ctx.state = isUntracked(h) ? State.UNTRACKED : State.INVALID
  }

  /** Who sent the packet with these headers, as it left us; null: it has no connection, or its source was not translated. */
  originOf(h: Headers): Address | null {
    const answer = this.table.find(this.key.invert(h))
    if (answer === null) return null
    const { sourceNat, destinationNat, original, reply } = answer.entry!
    if (answer.isReply) return sourceNat ? original.source : null
    return destinationNat ? reply.source : null
  }

  /** A packet of a connection that is known already, without looking for it: a fragment. */
  attach(ctx: Context, entry: Entry, isReply: boolean): void {
    this.describe(ctx, entry, isReply)
    this.account(ctx, entry)
  }

  /** The first packet of a connection has got through. */
  confirm(entry: Entry): void {
    entry.confirmed = true
    if (this.pending === entry) this.pending = null
  }

  /** The first packet of a connection is a first fragment: whether it gets through shows later, and other packets come meanwhile. */
  keep(entry: Entry): void {
    if (this.pending === entry) this.pending = null
  }

  /** True when another connection has the tuple that answers to `entry` would have. */
  isTaken(tuple: Tuple, entry: Entry): boolean {
    const found = this.lookup(this.key.set(tuple))
    return found !== null && found.entry !== entry
  }

  /** Forgets a connection. */
  end(entry: Entry): void {
    if (!entry.alive) return
    if (this.pending === entry) this.pending = null
    this.table.remove(entry)
    this.onEnd?.(entry)
  }

  /** Connections that have begun, and not ended since. */
  *established(): Generator<Entry> {
    const { nowMs } = this.deps.clock
    for (const entry of this.table) if (entry.confirmed && ((entry.expires - nowMs) | 0) > 0) yield entry
  }

  clear(): void {
    for (const entry of [...this.table]) this.end(entry)
  }

  /** A part of the table is looked through for what has expired. */
  override onTimer(now: number): void {
    const { table } = this
    const { sweepMs, sweepParts } = this.deps.config
    const count = Math.ceil(table.bucketCount / Math.max(1, sweepParts))
    for (let i = 0; i < count; i++, this.swept++) {
      for (let t = table.bucket(this.swept); t !== null; ) {
        const { next, entry } = t
        const isExpired = ((entry!.expires - now) | 0) <= 0
        if (isExpired || this.isGone?.(entry!)) {
          this.counters[isExpired ? C.expired : C.natGone]++
          this.end(entry!)
          // Both tuples may have been in this chain: begin again.
          t = table.bucket(this.swept)
        } else t = next
      }
    }
    if (table.size > 0) this.deps.timers.arm(this, (now + sweepMs) | 0)
  }

  private lookup(key: Tuple): Tuple | null {
    const tuple = this.table.find(key)
    if (tuple === null) return null
    const entry = tuple.entry!
    if (((entry.expires - this.deps.clock.nowMs) | 0) > 0) return tuple
    this.counters[C.expired]++
    this.end(entry)
    return null
  }

  private belongs(ctx: Context, entry: Entry, isReply: boolean): void {
    this.counters[C.found]++
    this.describe(ctx, entry, isReply)
    const { config, clock } = this.deps
    if (isReply && !entry.replied) {
      entry.replied = true
      ctx.state = State.ESTABLISHED
    }
    const { protocol, tcpFlags } = ctx.headers
    let time = config.genericMs
    if (protocol === PROTO_TCP) {
      follow(entry, tcpFlags, isReply)
      // Both have shown that they mean it: the handshake is done.
      if (entry.replied && !isReply) entry.assured = true
      time = tcpTime(entry, config)
    } else if (protocol === PROTO_UDP) {
      if (entry.replied && !isReply) entry.assured = true
      time = entry.replied ? config.udpStreamMs : config.udpMs
    } else if (ctx.headers.icmpRole !== IcmpRole.NONE) time = config.icmpMs
    entry.expires = (clock.nowMs + time) | 0
    this.account(ctx, entry)
  }

  private describe(ctx: Context, entry: Entry, isReply: boolean): void {
    ctx.entry = entry
    ctx.isReply = isReply
    ctx.state = entry.replied ? State.ESTABLISHED : State.NEW
  }

  private account(ctx: Context, entry: Entry): void {
    if (ctx.inIface?.isLoopback) return // counted on its way out
    if (ctx.isReply) {
      entry.packetsReply++
      entry.bytesReply += ctx.length
    } else {
      entry.packetsOriginal++
      entry.bytesOriginal += ctx.length
    }
  }

  private begin(ctx: Context): boolean {
    const { config, clock, timers } = this.deps
    if (this.pending !== null) this.end(this.pending)
    const { table, counters } = this
    this.key.set(ctx.headers)
    if (table.size >= config.maxConnections && !this.makeRoom()) {
      counters[C.drop]++
      return false
    }
    const entry = new Entry()
    entry.original.set(ctx.headers)
    entry.reply.invert(entry.original)
    const { protocol, tcpFlags, icmpRole } = ctx.headers
    let time = config.genericMs
    if (protocol === PROTO_TCP) {
      follow(entry, tcpFlags, false)
      time = tcpTime(entry, config)
    } else if (protocol === PROTO_UDP) time = config.udpMs
    else if (icmpRole !== IcmpRole.NONE) time = config.icmpMs
    entry.expires = (clock.nowMs + time) | 0
    table.add(entry)
    this.pending = entry
    counters[C.new]++
    this.describe(ctx, entry, false)
    this.account(ctx, entry)
    if (!this.timerArmed) timers.arm(this, (clock.nowMs + config.sweepMs) | 0)
    return true
  }

  /** The table is full: somebody who was never answered, near where the new one would be, gives way. */
  private makeRoom(): boolean {
    const { table } = this
    table.find(this.key) // for its hash
    // Where few are allowed, few buckets have any.
    const range = EVICTION_RANGE * Math.ceil(table.bucketCount / Math.max(1, this.deps.config.maxConnections))
    for (let i = 0; i < range; i++) {
      for (let t = table.bucket(this.key.hash + i); t !== null; t = t.next) {
        if (t.entry!.assured) continue
        this.counters[C.earlyDrop]++
        this.end(t.entry!)
        return true
      }
    }
    return false
  }

  /** An ICMP error: the connection is that of the packet it quotes. */
  private relate(ctx: Context): void {
    const h = ctx.headers
    const { quote } = ctx
    ctx.state = State.INVALID
    // Behind the quote's own transport header there may be nothing: eight bytes of it are all that is promised (RFC 792).
    const isQuoted = h.part === Part.WHOLE && quote.parse(h.buf, h.at + ERROR_HEADER, h.end) && quote.family === h.family
    if (!isQuoted || (needsPorts(quote) && !quote.hasPorts) || quote.part === Part.LATER || !this.isSound(ctx)) {
      this.counters[C.invalid]++
      return
    }
    if (quote.source.isLinkLocal) quote.source.zone = h.source.zone !== 0 ? h.source.zone : h.destination.zone
    if (quote.destination.isLinkLocal) quote.destination.zone = quote.source.zone
    let found = this.lookup(this.key.invert(quote))
    let isReply = found?.isReply === true
    if (found === null && ctx.inIface?.isLoopback) {
      found = this.lookup(this.key.set(quote))
      isReply = found !== null && !found.isReply
      ctx.isTranslated = true
    }
    if (found === null) {
      this.counters[C.invalid]++
      return
    }
    this.counters[C.related]++
    ctx.state = State.RELATED
    ctx.entry = found.entry
    ctx.isReply = isReply
  }

  /** The checksum of an ICMP message is right, or was vouched for. Of our own ones it is. */
  private isSound(ctx: Context): boolean {
    const h = ctx.headers
    if (h.ip < 0 || (ctx.packet.meta & CSUM_MASK) !== CSUM_NONE) return true
    const length = h.end - h.at
    const sum = h.family === 6 ? pseudoSum(h.source, h.destination, PROTO_ICMPV6, length) : 0
    return sumBytes(h.buf, h.at, length, sum) === 0xffff
  }

  private isInvalid(ctx: Context): boolean {
    this.counters[C.invalid]++
    ctx.state = State.INVALID
    return true
  }
}

/** Has ports, or what stands for them, in every whole packet. */
function needsPorts(h: Headers): boolean {
  return h.protocol === PROTO_TCP || h.protocol === PROTO_UDP || h.protocol === (h.family === 4 ? PROTO_ICMP : PROTO_ICMPV6)
}

/** ICMP that is neither question nor answer nor error is about the link: Neighbor Discovery, groups, routers. */
function isUntracked(h: Headers): boolean {
  return h.icmpType >= 0 && h.icmpRole === IcmpRole.NONE
}
