/**
 * Network address translation (RFC 2663, RFC 4787, RFC 5382, RFC 5508, RFC 7857).
 *
 * Theory of operation. Rules are asked once, for the first packet of a connection: those of destinations when it arrives (or is sent by
 * us), those of sources when it leaves. What they say changes the tuple of the answer in the connection's entry; from then on each packet
 * gets what the tuple of the other direction has: its destination on arrival, its source on departure. A connection keeps its port if that
 * is free, else gets a random one of a range; the tuple of an answer belongs to one connection only, those of this host among them. With
 * `endpointIndependent` a host's port keeps one outside port for all its destinations (RFC 4787 REQ-1), which is then nobody else's; what is let
 * in stays a matter of address and port (REQ-8), for only what has an entry is translated. ICMP errors are translated with the
 * packet that they quote. A borrowed address (masquerade) ends its connections when the interface loses it, or goes down. TTL is the forwarder's.
 */
import { Address, LOOPBACK_V6 } from '../base/address.ts'
import type { FilterConfig } from '../base/filter-config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { selectSource6 } from '../ip/source.ts'
import type { Conntrack } from './conntrack.ts'
import { type Context, State } from './context.ts'
import { C } from './counters.ts'
import { IcmpRole } from './headers.ts'
import { PortMappings } from './mappings.ts'
import type { AddressRange } from './match.ts'
import { NatKind, type NatRule } from './nat-rule.ts'
import { rewrite, rewriteQuote, Side } from './rewrite.ts'
import { type Entry, Tuple } from './tuple.ts'

const ICMP_REDIRECT = 5

export interface NatDependencies {
  ip: Ip
  random: Random
  config: FilterConfig
  conntrack: Conntrack
  /** Does a packet fit a rule? Functions of the user's that throw say no. */
  fits(rule: NatRule, ctx: Context): boolean
}

export class Nat {
  /** Lists are replaced, never changed. */
  sourceRules: readonly NatRule[] = []
  destinationRules: readonly NatRule[] = []
  private readonly mappings = new PortMappings()
  private readonly chosen = new Address()
  private readonly wanted = new Tuple(null, false)

  constructor(
    private readonly deps: NatDependencies,
    private readonly counters: Float64Array,
  ) {}

  /** Prerouting (or output, for what is ours): the packet gets the destination that it has for us. False: it is dropped. */
  destination(ctx: Context): boolean {
    const { entry } = ctx
    if (entry === null || ctx.isTranslated) return true
    if (entry.isMasqueraded && !this.isStillOurs(entry)) {
      this.deps.conntrack.end(entry)
      ctx.entry = null
      ctx.state = State.INVALID
      return true
    }
    if (ctx.state === State.RELATED) return this.error(ctx, Side.DESTINATION)
    if (!entry.confirmed && !ctx.isReply && !entry.destinationBound) {
      entry.destinationBound = true
      if (!this.bindDestination(ctx, entry)) return false
    }
    if (ctx.isReply ? entry.sourceNat : entry.destinationNat) {
      const other = ctx.isReply ? entry.original : entry.reply
      this.counters[C.natTranslated]++
      rewrite(ctx, Side.DESTINATION, other.source, other.sourcePort)
    }
    return true
  }

  /** Postrouting: the packet gets the source that it has for others. False: it is dropped. */
  source(ctx: Context, out: Interface): boolean {
    const { entry } = ctx
    if (entry === null) return this.mayLeave(ctx)
    if (ctx.state === State.RELATED) return this.error(ctx, Side.SOURCE)
    if (!entry.confirmed && !ctx.isReply && !entry.sourceBound) {
      if (!out.isLoopback && !this.bindSource(ctx, entry, out)) return false
      entry.sourceBound = true
    }
    if (ctx.isReply ? entry.destinationNat : entry.sourceNat) {
      const other = ctx.isReply ? entry.original : entry.reply
      this.counters[C.natTranslated]++
      rewrite(ctx, Side.SOURCE, other.destination, other.destinationPort)
    }
    return true
  }

  /** Input: an answer to what was led elsewhere when we sent it comes from where we sent it to. False: it is dropped. */
  arrival(ctx: Context): boolean {
    const { entry } = ctx
    if (entry === null || ctx.isTranslated || !entry.destinationNat || !ctx.isReply) return true
    if (ctx.state === State.RELATED) return this.error(ctx, Side.SOURCE)
    this.counters[C.natTranslated]++
    rewrite(ctx, Side.SOURCE, entry.original.destination, entry.original.destinationPort)
    return true
  }

  /** A connection has ended. */
  ended(entry: Entry): void {
    this.mappings.release(entry)
  }

  /** An inside address must not get out because its packet belongs to nothing (RFC 2663 section 7; Linux lets it pass). */
  private mayLeave(ctx: Context): boolean {
    if (ctx.state !== State.INVALID) return true
    for (const rule of this.sourceRules) {
      if (!this.deps.fits(rule, ctx)) continue
      this.counters[C.natDropInvalid]++
      return false
    }
    return true
  }

  /** An ICMP error: its own address on a side, and the other one of the packet that it quotes. */
  private error(ctx: Context, side: number): boolean {
    const entry = ctx.entry!
    const { headers } = ctx
    // It would tell two hosts to talk past the translation. (netfilter refuses these, too.)
    if (headers.family === 4 && headers.icmpType === ICMP_REDIRECT && (entry.sourceNat || entry.destinationNat)) {
      this.counters[C.natDropRedirect]++
      return false
    }
    const isDestination = side === Side.DESTINATION
    if (!(isDestination === ctx.isReply ? entry.sourceNat : entry.destinationNat)) return true
    const other = ctx.isReply ? entry.original : entry.reply
    this.counters[C.natErrorsTranslated]++
    if (isDestination) {
      rewriteQuote(ctx, Side.SOURCE, other.source, other.sourcePort)
      rewrite(ctx, Side.DESTINATION, other.source, 0)
    } else {
      rewriteQuote(ctx, Side.DESTINATION, other.destination, other.destinationPort)
      rewrite(ctx, Side.SOURCE, other.destination, 0)
    }
    return true
  }

  private bindDestination(ctx: Context, entry: Entry): boolean {
    const { conntrack, ip } = this.deps
    const { reply, original } = entry
    for (const rule of this.destinationRules) {
      if (ctx.inIface === null && !rule.isLocal) continue
      if (rule.to !== null && rule.to.first.isV4 !== original.source.isV4) continue
      if (!this.deps.fits(rule, ctx)) continue
      rule.packets++
      rule.bytes += ctx.length
      let target: Address | null = null
      if (rule.kind === NatKind.DNAT) target = this.pick(rule.to!, original.source)
      else if (ip.isLocal(original.destination)) target = original.destination
      else if (ctx.inIface === null) target = this.chosen.copy(original.destination.isV4 ? LOOPBACK_V4 : LOOPBACK_V6)
      else
        target = original.source.isV4
          ? ip.selectSource(ctx.inIface, original.source, true)
          : selectSource6(ip, ctx.inIface, original.source)
      if (target === null) {
        this.counters[C.natDropNoAddress]++
        return false
      }
      conntrack.table.unlinkReply(entry)
      reply.source.copy(target)
      if (rule.hasPorts && hasTransportPorts(entry)) reply.sourcePort = rule.portFirst
      conntrack.table.relinkReply(entry)
      entry.destinationNat = !reply.source.equals(original.destination) || reply.sourcePort !== original.destinationPort
      entry.hairpin = rule.hairpin && entry.destinationNat
      return true
    }
    return true
  }

  private bindSource(ctx: Context, entry: Entry, out: Interface): boolean {
    const { conntrack } = this.deps
    const { original } = entry
    const isV4 = original.source.isV4
    for (const rule of this.sourceRules) {
      if (rule.to !== null && rule.to.first.isV4 !== isV4) continue
      if (!this.deps.fits(rule, ctx)) continue
      rule.packets++
      rule.bytes += ctx.length
      if (rule.kind === NatKind.MASQUERADE) return this.borrow(ctx, entry, out, rule)
      return this.allocate(ctx, entry, this.pick(rule.to!, original.source), rule)
    }
    if (entry.hairpin && ctx.inIface === out) return this.borrow(ctx, entry, out, null)
    // Nothing to translate, unless somebody who was translated looks the same from there.
    if (conntrack.isTaken(entry.reply, entry)) return this.allocate(ctx, entry, original.source, null)
    return true
  }

  /** The source becomes the address of the interface. */
  private borrow(ctx: Context, entry: Entry, out: Interface, rule: NatRule | null): boolean {
    const { ip } = this.deps
    const { destination } = ctx.headers
    const address = destination.isV4 ? ip.selectSource(out, destination, true) : selectSource6(ip, out, destination)
    if (address === null || address.isLinkLocal !== destination.isLinkLocal) {
      this.counters[C.natDropNoAddress]++
      return false
    }
    if (!this.allocate(ctx, entry, address, rule)) return false
    entry.isMasqueraded = true
    entry.generation = ip.generation
    return true
  }

  /** Finds a port of `address` for the connection, and makes its answers come there. */
  private allocate(ctx: Context, entry: Entry, address: Address, rule: NatRule | null): boolean {
    const port = this.freePort(entry, address, rule, ctx.headers.icmpRole !== IcmpRole.NONE)
    if (port < 0) {
      this.counters[C.natDropNoPort]++
      return false
    }
    const { table } = this.deps.conntrack
    const { original, reply } = entry
    table.unlinkReply(entry)
    reply.destination.copy(address)
    reply.destinationPort = port
    table.relinkReply(entry)
    entry.sourceNat = !address.equals(original.source) || port !== original.sourcePort
    if (rule?.endpointIndependent && hasTransportPorts(entry)) this.mappings.use(entry, address, port)
    return true
  }

  /** -1: none is free. */
  private freePort(entry: Entry, address: Address, rule: NatRule | null, isQuery: boolean): number {
    const { random, config } = this.deps
    const own = entry.original.sourcePort
    const hasPorts = hasTransportPorts(entry)
    if (rule?.endpointIndependent && hasPorts) {
      const mapping = this.mappings.of(entry, address)
      if (mapping !== undefined) return this.isFree(entry, address, mapping.port, true) ? mapping.port : -1
    }
    const isRanged = rule?.hasPorts === true && hasPorts
    if (!isRanged || (own >= rule.portFirst && own <= rule.portLast)) {
      if (this.isFree(entry, address, own, false)) return own
    }
    if (!hasPorts && !isQuery) return -1
    const first = isRanged ? rule.portFirst : isQuery ? 0 : config.natPortFirst
    const count = (isRanged ? rule.portLast : isQuery ? 65535 : config.natPortLast) - first + 1
    // RFC 6056: where to begin is nobody's guess. RFC 4787 REQ-4: no parity is kept.
    const begin = randomBelow(random, count)
    const attempts = Math.min(count, config.natPortAttempts)
    for (let i = 0; i < attempts; i++) {
      const port = first + ((begin + i) % count)
      if (this.isFree(entry, address, port, false)) return port
    }
    return -1
  }

  private isFree(entry: Entry, address: Address, port: number, isMapped: boolean): boolean {
    const wanted = this.wanted.set(entry.reply)
    wanted.destination.copy(address)
    wanted.destinationPort = port
    if (this.deps.conntrack.isTaken(wanted, entry)) return false
    return isMapped || !this.mappings.isReserved(wanted.protocol, address, port)
  }

  /** One of a range, the same for the same host always (RFC 4787 REQ-2: paired). */
  private pick(range: AddressRange, host: Address): Address {
    const chosen = this.chosen.copy(range.first)
    // More than 2^31 addresses are not told apart: of such a range the first ones do.
    const span = Math.min(0x7fffffff, (range.last.w3 >>> 0) - (range.first.w3 >>> 0))
    if (span > 0) chosen.w3 = (chosen.w3 + ((Math.imul(host.digest, 0x9e3779b1) >>> 1) % (span + 1))) | 0
    return chosen
  }

  /** We still have the address that the connection borrowed, on an interface that is up (Linux: masq_device_event). */
  private isStillOurs(entry: Entry): boolean {
    const { ip } = this.deps
    if (entry.generation === ip.generation) return true
    for (const iface of ip.interfaces) {
      if (!iface.up || !iface.has(entry.reply.destination)) continue
      entry.generation = ip.generation
      return true
    }
    return false
  }

  /** For those that no packet asks about any more. */
  isGone(entry: Entry): boolean {
    return entry.isMasqueraded && !this.isStillOurs(entry)
  }
}

const LOOPBACK_V4 = Address.v4(0x7f000001)

function hasTransportPorts(entry: Entry): boolean {
  const { protocol } = entry.original
  return protocol === PROTO_TCP || protocol === PROTO_UDP
}
