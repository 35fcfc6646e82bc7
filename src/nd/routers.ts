/**
 * Router discovery of a stack: judges router solicitations and advertisements (RFC 4861 section 6.1) and hands them to the interface that they
 * came by, which is a host there (router-discovery.ts), a router (advertiser.ts), or neither. It keeps the one timer of all
 * lifetimes.
 */
import type { Address } from '../base/address.ts'
import { Counters } from '../base/counters.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import type { Random } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { Icmp6, Icmp6Handler } from '../icmp6/icmp6.ts'
import { ND_ROUTER_ADVERTISEMENT, ND_ROUTER_SOLICITATION } from '../icmp6/wire.ts'
import type { Interface, InterfaceAddress } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { Neighbor, NeighborClock } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import { Frame } from '../netif/frame.ts'
import { type AdvertiseOptions, advertised, type DhcpFlags } from './advertise-options.ts'
import { advertisementLength, MAX_ADVERTISEMENT } from './advertisement.ts'
import { Advertiser } from './advertiser.ts'
import { LONGEST_TIMER_MS, LongClock } from './lifetimes.ts'
import type { NeighborDiscovery } from './nd.ts'
import type { NdInterface, RouterListener } from './nd-interface.ts'
import { RC, ROUTER_COUNTERS } from './router-counters.ts'
import { type DiscoveryWishes, RouterDiscovery } from './router-discovery.ts'
import { RouterRoutes } from './router-routes.ts'
import { ND_RA_LENGTH, ND_RS_LENGTH } from './wire.ts'

export interface RoutersDependencies {
  ip: Ip
  icmp6: Icmp6
  nd: NeighborDiscovery
  timers: Timers
  clock: NeighborClock
  random: Random
  config: NdConfig
}

/** What the neighbour cache of one interface finds out of routers. */
class InterfaceRouters implements RouterListener {
  constructor(
    private readonly all: Routers,
    private readonly iface: Interface,
  ) {}

  routerBecameHost(neighbor: Neighbor): void {
    this.all.becameHost(this.iface, neighbor.address)
  }

  silent(neighbor: Neighbor): void {
    this.all.silent(this.iface, neighbor.address)
  }

  advertised(address: Address, isRouter: boolean): boolean {
    return this.all.advertised(this.iface, address, isRouter)
  }
}

export class Routers extends Timed implements Icmp6Handler {
  readonly counters = new Counters(ROUTER_COUNTERS)
  readonly routes: RouterRoutes
  readonly longClock: LongClock
  private readonly hosts = new Map<Interface, RouterDiscovery>()
  private readonly advertisers = new Map<Interface, Advertiser>()
  /** What they were told to say, and what servers of ours give there by DHCPv6. */
  private readonly said = new Map<Interface, AdvertiseOptions>()
  private readonly served = new Map<Interface, DhcpFlags>()
  /** Made when the first message is to be sent. */
  private madeFrame: Frame | null = null

  constructor(private readonly deps: RoutersDependencies) {
    super()
    this.longClock = new LongClock(deps.clock)
    this.routes = new RouterRoutes(deps.ip, deps.config, this.counters.values)
    deps.icmp6.register(ND_ROUTER_SOLICITATION, this)
    deps.icmp6.register(ND_ROUTER_ADVERTISEMENT, this)
  }

  /** The interface as a host that listens to routers; null: it does not. */
  of(iface: Interface): RouterDiscovery | null {
    return this.hosts.get(iface) ?? null
  }

  /** The interface listens to routers from now on, and asks for them. Throws EBUSY when it advertises itself. */
  listen(nd: NdInterface, wishes: DiscoveryWishes): RouterDiscovery {
    const { iface } = nd
    if (this.advertisers.has(iface)) throw busy(iface)
    const { ip, timers, clock, random } = this.deps
    const { routes, longClock } = this
    const common = { ip, timers, clock, random, routes, longClock, ids: this.deps.nd.ids }
    const host = new RouterDiscovery(nd, { ...common, frame: this.frame, counts: this.counters.values }, wishes)
    this.hosts.set(iface, host)
    nd.routers = new InterfaceRouters(this, iface)
    host.solicitor.start()
    return host
  }

  /**
   * The interface is a router's from now on, or says other things than before. Throws EBUSY when it listens to routers, ERR_INVALID_ARG_VALUE,
   * ERR_INVALID_IP_ADDRESS.
   */
  advertise(nd: NdInterface, options: AdvertiseOptions): void {
    const { iface } = nd
    if (this.hosts.has(iface)) throw busy(iface)
    const wanted = advertised(options, this.served.get(iface))
    const length = advertisementLength(wanted, wanted.prefixes?.length ?? 0)
    if (length > MAX_ADVERTISEMENT)
      throw invalidArgument(`the advertisement would have ${length} bytes: ${MAX_ADVERTISEMENT} are the most`)
    if (wanted.mtu > iface.mtu) throw invalidArgument(`mtu ${wanted.mtu} is more than the interface's ${iface.mtu}`)
    const { timers, clock, random } = this.deps
    let advertiser = this.advertisers.get(iface)
    if (advertiser === undefined) {
      advertiser = new Advertiser(nd, wanted, timers, clock, random, this.frame, this.counters.values)
      this.advertisers.set(iface, advertiser)
    }
    this.said.set(iface, options)
    advertiser.start(wanted)
  }

  /** A DHCPv6 server of ours is on this link, or null: no more. Hosts are told, if we advertise (RFC 4861 section 4.2: M and O). */
  serves(iface: Interface, flags: DhcpFlags | null): void {
    if (flags === null) this.served.delete(iface)
    else this.served.set(iface, flags)
    this.advertisers.get(iface)?.start(advertised(this.said.get(iface) ?? {}, flags ?? undefined))
  }

  /** Says good-bye. False: nothing was advertised. */
  stopAdvertising(iface: Interface): boolean {
    const advertiser = this.advertisers.get(iface)
    this.advertisers.delete(iface)
    this.said.delete(iface)
    advertiser?.stop()
    return advertiser !== undefined
  }

  /** The interface's addresses are others, or their lifetimes: hosts are told soon, if anything is advertised. */
  prefixesChanged(iface: Interface): void {
    this.advertisers.get(iface)?.restart()
  }

  advertises(iface: Interface): boolean {
    return this.advertisers.has(iface)
  }

  icmp6Input(packet: Packet): void {
    const isSolicitation = packet.buf[packet.off] === ND_ROUTER_SOLICITATION
    const nd = this.deps.nd.accept(packet, isSolicitation ? ND_RS_LENGTH : ND_RA_LENGTH)
    if (nd === null) return
    if (isSolicitation) this.solicitation(nd, packet)
    else this.advertisement(nd, packet)
  }

  /** An address passed its probes. False: it was not made of a router's prefix. */
  addressReady(iface: Interface, own: InterfaceAddress): boolean {
    if (own.address.isLinkLocal) this.advertisers.get(iface)?.restart()
    return this.hosts.get(iface)?.ready(own) === true
  }

  /** An address belongs to another host. False: it was not made of a router's prefix. */
  addressConflict(iface: Interface, own: InterfaceAddress, mac: Uint8Array): boolean {
    const ours = this.hosts.get(iface)?.conflict(own, mac, this.longClock.now) === true
    if (ours) this.schedule()
    return ours
  }

  /** The link came up (again): routers may be others (section 6.3.7). */
  linkUp(iface: Interface): void {
    this.hosts.get(iface)?.solicitor.start()
    this.advertisers.get(iface)?.restart()
  }

  /** The interface goes away. Call it while it can still speak. */
  detach(iface: Interface): void {
    this.stopAdvertising(iface)
    const host = this.hosts.get(iface)
    if (host === undefined) return
    this.hosts.delete(iface)
    host.nd.routers = null
    host.close()
    this.routes.drop(iface)
    this.schedule()
  }

  becameHost(iface: Interface, address: Address): void {
    if (!this.routes.forget(iface, address)) return
    this.counters.values[RC.routersBecameHost]++
    this.withoutRouter()
  }

  silent(iface: Interface, address: Address): void {
    this.routes.fellSilent(iface, address, this.longClock.now)
    this.schedule()
  }

  advertised(iface: Interface, address: Address, isRouter: boolean): boolean {
    const known = this.routes.find(iface, address)
    if (known === null) return false
    if (isRouter) this.routes.answers(known)
    else this.becameHost(iface, address)
    return isRouter
  }

  override onTimer(_now: number): void {
    const now = this.longClock.now
    for (const host of this.hosts.values()) host.elapse(now)
    this.routes.elapse(now)
    for (const { iface, address } of this.routes.due(now)) {
      this.counters.values[RC.routerProbes]++
      this.hosts.get(iface)?.nd.probe(address)
    }
    this.withoutRouter()
    this.schedule()
  }

  private get frame(): Frame {
    this.madeFrame ??= new Frame(MAX_ADVERTISEMENT)
    return this.madeFrame
  }

  /** Section 6.1.1. */
  private solicitation(nd: NdInterface, packet: Packet): void {
    const n = this.counters.values
    const { options } = this.deps.nd
    n[RC.inRouterSolicits]++
    if (packet.source.isUnspecified && options.hasSource) {
      n[RC.dropSolicitationSource]++
      return
    }
    const advertiser = this.advertisers.get(packet.iface)
    if (advertiser === undefined) {
      n[RC.dropSolicitationUnwanted]++ // section 6.2.6: hosts discard them
      return
    }
    if (!packet.source.isUnspecified) {
      if (options.hasSource) nd.neighbors.learn(packet.source, options.sourceHigh, options.sourceLow, true)
      nd.markHost(packet.source)
    }
    advertiser.solicited()
  }

  /** Section 6.1.2. */
  private advertisement(nd: NdInterface, packet: Packet): void {
    const n = this.counters.values
    const { iface, source } = packet
    n[RC.inRouterAdvertisements]++
    if (!source.isLinkLocal) {
      n[RC.dropAdvertisementSource]++
      return
    }
    if (iface.has(source)) {
      n[RC.dropOwnAdvertisement]++
      return
    }
    const { options } = this.deps.nd
    const host = this.hosts.get(iface)
    if (host !== undefined) {
      host.advertisement(packet, options)
      this.routes.elapse(this.longClock.now)
      this.withoutRouter()
      this.schedule()
      return
    }
    const advertiser = this.advertisers.get(iface)
    if (advertiser === undefined) {
      n[RC.dropAdvertisementUnwanted]++
      return
    }
    nd.markRouter(source)
    advertiser.compare(packet, options)
  }

  /** Who had a router and has none any more asks for one, as at the beginning. */
  private withoutRouter(): void {
    for (const [iface, host] of this.hosts) {
      if (host.heard > 0 && host.hadRouter && !this.routes.hasDefault(iface)) {
        host.hadRouter = false
        host.solicitor.start()
      } else if (this.routes.hasDefault(iface)) host.hadRouter = true
    }
  }

  /** One timer for the earliest deadline of all. */
  private schedule(): void {
    const now = this.longClock.now
    let next = this.routes.next(now)
    for (const host of this.hosts.values()) next = Math.min(next, host.next(now))
    const { timers, clock } = this.deps
    if (next === Number.POSITIVE_INFINITY) timers.remove(this)
    else timers.arm(this, (clock.nowMs + Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(next - now)))) | 0)
  }
}

function busy(iface: Interface): NetError {
  return new NetError('EBUSY', { message: `${iface.name} cannot listen to routers and advertise itself as one` })
}
