/**
 * The way of a packet through the hooks.
 *
 * Theory of operation. A packet that comes in goes through (1) connection tracking, (2) the rules of prerouting, (3) translation of its
 * destination; then IP decides whose it is, and (4) the rules of input, or of forward and postrouting, see it as it is now; (5)
 * translation of its source comes last. What we send goes through tracking, translation of its destination, the rules of output and of
 * postrouting, and translation of its source. One record (`Context`) says all that is known of the packet; packets are heard one at a
 * time, and sending does not call back, so there is one record for what comes in and one for what leaves. Where an answer (an ICMP
 * error, a reset) is sent while its cause is still on its way, its connection is the cause's.
 */
import { ANY, ANY_V4 } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import { Counters } from '../base/counters.ts'
import type { FilterConfig } from '../base/filter-config.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import { Cast } from '../ethernet/ethernet.ts'
import type { PacketHooks } from '../ip/hooks.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { Packet, To } from '../ip/packet.ts'
import { Route } from '../ip/route.ts'
import type { Ipv4 } from '../ipv4/ipv4.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import type { Frame } from '../netif/frame.ts'
import { Chains, Hook } from './chains.ts'
import { Conntrack } from './conntrack.ts'
import { Context, State } from './context.ts'
import { C, NAMES } from './counters.ts'
import { Fragments } from './fragments.ts'
import { IcmpRole, Part } from './headers.ts'
import { Nat } from './nat.ts'
import { Rejecter } from './reject.ts'
import { Before } from './rewrite.ts'

export interface FilterDependencies {
  ip: Ip
  ipv4: Ipv4
  ipv6: Ipv6
  timers: Timers
  clock: Clock
  random: Random
  config: FilterConfig
  /** What a function of the user's threw. */
  uncaught(error: unknown): void
}

export class Walk implements PacketHooks {
  readonly counters = new Counters(NAMES)
  readonly chains: Chains
  readonly conntrack: Conntrack
  readonly fragments: Fragments
  readonly nat: Nat
  isTracking = false
  private readonly inbound: Context
  private readonly outbound: Context
  private readonly route = new Route()
  private readonly before = new Before()

  constructor(readonly deps: FilterDependencies) {
    const { ip, random, config, timers, clock } = deps
    const n = this.counters.values
    this.chains = new Chains(new Rejecter(ip, n), n, deps.uncaught)
    const conntrack = new Conntrack({ timers, clock, random, config }, n)
    this.conntrack = conntrack
    this.nat = new Nat({ ip, random, config, conntrack, fits: (rule, ctx) => this.chains.fits(rule.matcher, ctx) }, n)
    conntrack.onEnd = (entry) => this.nat.ended(entry)
    conntrack.isGone = (entry) => this.nat.isGone(entry)
    const again = (iface: Interface, bytes: Uint8Array, start: number, meta: number, cast: number): void =>
      this.again(iface, bytes, start, meta, cast)
    this.fragments = new Fragments({ timers, clock, random, config, again }, n)
    this.inbound = new Context(new Packet(ip.loopback!))
    this.outbound = new Context(new Packet(ip.loopback!))
  }

  prerouting(packet: Packet): boolean {
    const ctx = this.inbound
    if (!ctx.begin(packet)) return true
    if (this.isTracking && !this.trackInbound(ctx)) return this.ended(ctx)
    if (!this.chains.run(Hook.PREROUTING, ctx)) return this.ended(ctx)
    if (ctx.entry !== null && !this.nat.destination(ctx)) return this.ended(ctx)
    return true
  }

  input(packet: Packet): boolean {
    const ctx = this.inbound
    if (packet.reassembled) {
      if (!ctx.begin(packet)) return true
      if (this.isTracking) this.conntrack.recall(ctx)
    }
    if (!this.chains.run(Hook.INPUT, ctx)) return this.ended(ctx)
    const { entry } = ctx
    if (entry !== null && !entry.confirmed && !ctx.isReply) {
      if (this.conntrack.isTaken(entry.reply, entry)) {
        this.counters.values[C.insertFailed]++
        return this.ended(ctx)
      }
      this.conntrack.confirm(entry)
    }
    return this.nat.arrival(ctx) || this.ended(ctx)
  }

  forward(_packet: Packet, out: Interface): boolean {
    const ctx = this.inbound
    ctx.outIface = out
    return this.chains.run(Hook.FORWARD, ctx) || this.ended(ctx)
  }

  postrouting(_packet: Packet, out: Interface): boolean {
    const ctx = this.inbound
    ctx.outIface = out
    return (this.chains.run(Hook.POSTROUTING, ctx) && this.leave(ctx, out)) || this.ended(ctx)
  }

  output(frame: Frame, route: Route, protocol: number, tos: number, ttl: number): Route | null {
    if (route.iface === null) return route
    const ctx = this.outbound
    this.beginOwn(ctx, frame, route, protocol, tos, ttl)
    if (this.isTracking && !this.trackOutbound(ctx, frame)) return this.lost(ctx)
    if (!this.chains.run(Hook.OUTPUT, ctx, frame)) return this.lost(ctx)
    const { packet } = ctx
    let via = route
    if (!packet.destination.equals(route.destination)) {
      const { ip } = this.deps
      via = this.route
      if (ip.route(packet.destination, packet.destination.isV4 ? ANY_V4 : ANY, null, via) !== null) {
        this.counters.values[C.natDropNoRoute]++
        return this.lost(ctx)
      }
      via.source.copy(packet.source)
      ctx.outIface = via.iface
    }
    if (!this.chains.run(Hook.POSTROUTING, ctx, frame) || !this.leave(ctx, via.iface!)) return this.lost(ctx)
    if (!packet.source.equals(via.source)) {
      if (via === route) via = this.copyRoute(route)
      via.source.copy(packet.source)
    }
    return via
  }

  isOfOthers(buf: Uint8Array, start: number, end: number): boolean {
    const { headers } = this.outbound
    if (!this.isTracking || !headers.parse(buf, start, end)) return false
    const source = this.conntrack.originOf(headers)
    return source !== null && !this.deps.ip.isLocal(source)
  }

  refused(frame: Frame): void {
    this.before.restore(frame.buf)
  }

  private trackInbound(ctx: Context): boolean {
    const { headers } = ctx
    const { conntrack, fragments } = this
    if (headers.part === Part.LATER) {
      const first = fragments.follow(ctx)
      if (first === null) return false
      ctx.state = first.state
      if (first.entry !== null) conntrack.attach(ctx, first.entry, first.isReply)
      return true
    }
    if (headers.part === Part.FIRST && !fragments.mayBegin(headers)) return false
    if (!conntrack.track(ctx)) return false
    if (headers.part === Part.FIRST) {
      if (ctx.entry !== null) conntrack.keep(ctx.entry)
      fragments.begin(ctx)
    }
    return true
  }

  private trackOutbound(ctx: Context, frame: Frame): boolean {
    if (!this.conntrack.track(ctx)) return false
    if (ctx.state === State.INVALID) this.adopt(ctx)
    const { entry } = ctx
    if (entry === null) return true
    const isChanged = !entry.confirmed || entry.sourceNat || entry.destinationNat
    if (isChanged) this.before.keep(frame.buf, frame.start, frame.end)
    return this.nat.destination(ctx)
  }

  /**
   * An answer to the packet that is just being heard, whose addresses are between two translations: the table does not know them, but that
   * packet's connection does.
   */
  private adopt(ctx: Context): void {
    const cause = this.inbound
    if (cause.entry === null || !cause.entry.alive) return
    const isError = ctx.headers.icmpRole === IcmpRole.ERROR
    const { headers: c } = cause
    const a = isError ? ctx.quote : ctx.headers
    const isSame = isError
      ? a.source.equals(c.source) && a.destination.equals(c.destination)
      : a.source.equals(c.destination) && a.destination.equals(c.source)
    const hasPorts = isError
      ? a.sourcePort === c.sourcePort && a.destinationPort === c.destinationPort
      : a.sourcePort === c.destinationPort && a.destinationPort === c.sourcePort
    if (!isSame || !hasPorts || a.protocol !== c.protocol) return
    ctx.entry = cause.entry
    ctx.isReply = !cause.isReply
    ctx.state = isError ? State.RELATED : State.ESTABLISHED
  }

  /** The last thing before a packet leaves. */
  private leave(ctx: Context, out: Interface): boolean {
    if (!this.isTracking) return true
    if (!this.nat.source(ctx, out)) return false
    if (ctx.entry !== null && !ctx.entry.confirmed && !ctx.isReply) this.conntrack.confirm(ctx.entry)
    return true
  }

  /** A packet that goes no further. False. */
  private ended(ctx: Context): boolean {
    const { entry } = ctx
    if (entry !== null && !entry.confirmed && !ctx.isReply && ctx.state !== State.RELATED) this.conntrack.end(entry)
    ctx.entry = null
    return false
  }

  private lost(ctx: Context): null {
    this.ended(ctx)
    this.before.forget()
    return null
  }

  private beginOwn(ctx: Context, frame: Frame, route: Route, protocol: number, tos: number, ttl: number): void {
    const { packet } = ctx
    const family = route.destination.isV4 ? this.deps.ipv4 : this.deps.ipv6
    packet.iface = route.iface!
    packet.buf = frame.buf
    packet.off = frame.start
    packet.start = frame.start - family.headerBytes
    packet.end = frame.end
    packet.source.copy(route.source)
    packet.destination.copy(route.destination)
    packet.protocol = protocol
    packet.tos = tos
    packet.ttl = ttl
    packet.meta = frame.meta
    packet.to = To.OTHER
    packet.cast = Cast.UNICAST
    this.before.forget()
    ctx.beginOwn(packet, route.iface!)
  }

  private copyRoute(route: Route): Route {
    const copy = this.route
    copy.generation = route.generation
    copy.iface = route.iface
    copy.neighbor = route.neighbor
    copy.source.copy(route.source)
    copy.destination.copy(route.destination)
    copy.nextHop.copy(route.nextHop)
    copy.kind = route.kind
    copy.mtu = route.mtu
    copy.flow = 0 // the label is another flow's, or that of other addresses
    return copy
  }

  private again(iface: Interface, bytes: Uint8Array, start: number, meta: number, cast: number): void {
    const { ip, ipv4, ipv6 } = this.deps
    if (!iface.up || !ip.interfaces.includes(iface)) return
    if (bytes[start] >> 4 === 4) ipv4.input(iface, bytes, start, bytes.length, meta, cast, -1)
    else ipv6.input(iface, bytes, start, bytes.length, meta, cast, -1)
  }
}
