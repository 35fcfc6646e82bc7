/**
 * A host's side of router discovery on one interface (RFC 4861 section 6.3): what a router advertisement says, taken apart and handed to
 * those who keep it.
 *
 * Theory of operation. routers.ts has judged the message. Its values go to where they are used: hop limit and MTU to the interface, times to
 * the configuration of Neighbor Discovery there, routes to router-routes.ts, prefixes to prefix-list.ts and slaac.ts, DNS to dns-list.ts. Each of
 * them keeps deadlines; `elapse` is called when the earliest has come. An advertisement that repeats what is known changes deadlines only, and
 * kept routes stay valid. What is new is bounded by limits, and who came first stays: a flood of advertisements (RFC 6104) fills the
 * lists, and pushes out nobody.
 */
import { Address, Prefix } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { InterfaceAddress } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import { IP6_MIN_MTU } from '../ipv6/wire.ts'
import type { Frame } from '../netif/frame.ts'
import { DnsList } from './dns-list.ts'
import type { StableIds } from './interface-id.ts'
import { type LongClock, readLifetime } from './lifetimes.ts'
import type { NdInterface } from './nd-interface.ts'
import type { NdOptions } from './options.ts'
import { PrefixList } from './prefix-list.ts'
import { RC } from './router-counters.ts'
import { Preference, RESERVED_PREFERENCE, type Router, type RouterRoutes, readPreference } from './router-routes.ts'
import { Slaac, type SlaacListener } from './slaac.ts'
import { RouterSolicitor } from './solicitor.ts'
import {
  ND_OPTION,
  ND_PREFIX,
  ND_RA,
  ND_ROUTE,
  ND_ROUTE_LENGTH,
  PREFIX_AUTONOMOUS,
  PREFIX_ON_LINK,
  RA_MANAGED,
  RA_OTHER,
} from './wire.ts'

/** RFC 4861 section 6.2.1: the largest AdvReachableTime. RetransTimer has no such bound; more would be no time between two questions. */
export const MAX_TIME_MS = 3_600_000
/** Less than this is not heeded: it would turn every resolution into a flood. Linux: a hundredth of a second. */
const MIN_TIME_MS = 10
const DEFAULT = new Prefix(new Address(), 0)

/** What an interface wants of routers. */
export interface DiscoveryWishes {
  /** Addresses of the prefixes, not only routes. */
  addresses: boolean
  /** Whether addresses are probed for. */
  probe: boolean
  listener: SlaacListener
}

export interface DiscoveryDeps {
  ip: Ip
  timers: Timers
  clock: NeighborClock
  random: Random
  ids: StableIds
  routes: RouterRoutes
  longClock: LongClock
  /** For single messages. */
  frame: Frame
  /** Of ROUTER_COUNTERS. */
  counts: Float64Array
}

export class RouterDiscovery {
  readonly prefixes: PrefixList
  readonly dns: DnsList
  readonly slaac: Slaac | null
  readonly solicitor: RouterSolicitor
  /** Advertisements that were believed. */
  heard = 0
  /** More is to be had by DHCPv6: addresses, other things (RFC 4861 section 4.2), as the last advertisement said. */
  managed = false
  other = false
  /** There was a default router; when there is none any more, one is asked for. */
  hadRouter = false

  constructor(
    readonly nd: NdInterface,
    private readonly deps: DiscoveryDeps,
    readonly wishes: DiscoveryWishes,
  ) {
    const { ip, timers, clock, random, ids, frame, counts } = deps
    const { config, iface } = nd
    this.prefixes = new PrefixList(ip, iface, config.maxPrefixes, counts)
    this.dns = new DnsList(iface, config, counts)
    this.slaac = wishes.addresses ? new Slaac(ip, nd, ids, timers, clock, random, wishes.probe, wishes.listener, counts) : null
    this.solicitor = new RouterSolicitor(nd, timers, clock, random, frame, counts)
  }

  /** An advertisement of a router that is on the link. `options` are read. */
  advertisement(packet: Packet, options: NdOptions): void {
    const { iface } = this.nd
    const { buf, off } = packet
    const now = this.deps.longClock.now
    if (iface.mtu < IP6_MIN_MTU) {
      this.deps.counts[RC.dropAdvertisementUnwanted]++ // there is no IPv6 here as long as it is so narrow
      return
    }
    this.heard++
    const flags = buf[off + ND_RA.flags]
    this.managed = (flags & RA_MANAGED) !== 0
    this.other = (flags & RA_OTHER) !== 0
    this.parameters(buf, off, options)
    // The router's own link address first: what follows may send to it.
    if (options.hasSource) this.nd.neighbors.learn(packet.source, options.sourceHigh, options.sourceLow, true)
    this.nd.markRouter(packet.source)
    const router = this.deps.routes.heard(iface, packet.source)
    if (router !== null) this.ways(router, buf, off, options, now)
    for (let i = 0; i < options.prefixes.count; i++) this.prefix(buf, options.prefixes.at[i], now)
    for (let i = 0; i < options.rdnss.count; i++) this.dns.rdnss(buf, options.rdnss.at[i], now)
    for (let i = 0; i < options.dnssl.count; i++) this.dns.dnssl(buf, options.dnssl.at[i], now)
    // RFC 7559 section 2.1: one who is no default router does not end the asking.
    if (get16(buf, off + ND_RA.lifetime) !== 0) this.solicitor.stop()
    this.wishes.listener.said(this.managed, this.other)
  }

  elapse(now: number): void {
    this.prefixes.elapse(now)
    this.slaac?.elapse(now)
    this.dns.elapse(now)
  }

  next(now: number): number {
    return Math.min(this.prefixes.next, this.slaac === null ? Number.POSITIVE_INFINITY : this.slaac.next(now), this.dns.next)
  }

  ready(own: InterfaceAddress): boolean {
    return this.slaac?.ready(own) === true
  }

  conflict(own: InterfaceAddress, mac: Uint8Array, now: number): boolean {
    return this.slaac?.conflict(own, mac, now) === true
  }

  /** The interface goes away, or wants nothing of routers any more. */
  close(): void {
    this.solicitor.stop()
    this.prefixes.close()
    this.slaac?.close()
  }

  /** Section 6.3.4: what is zero, or impossible, changes nothing. */
  private parameters(buf: Uint8Array, off: number, options: NdOptions): void {
    const { iface, config } = this.nd
    const { counts } = this.deps
    const hopLimit = buf[off + ND_RA.hopLimit]
    if (hopLimit !== 0) iface.hopLimit = hopLimit
    const reachable = get32(buf, off + ND_RA.reachableTime)
    if (isTime(reachable)) config.reachableTimeMs = reachable
    else if (reachable !== 0) counts[RC.dropTimes]++
    const retrans = get32(buf, off + ND_RA.retransTimer)
    if (isTime(retrans)) config.retransTimerMs = retrans
    else if (retrans !== 0) counts[RC.dropTimes]++
    const { mtu } = options
    if (mtu === 0) return
    if (mtu < IP6_MIN_MTU || mtu > iface.mtu) counts[RC.dropMtu]++
    else if (iface.routerMtu !== mtu) {
      iface.routerMtu = mtu
      this.deps.ip.changed()
    }
  }

  /** The default route, and those of the route information options (RFC 4191 section 3.1), of which one may be for ::/0 and then counts. */
  private ways(router: Router, buf: Uint8Array, off: number, options: NdOptions, now: number): void {
    const { routes } = this.deps
    const lifetime = get16(buf, off + ND_RA.lifetime) * 1000
    const said = readPreference(buf[off + ND_RA.flags])
    // RFC 4191 section 2.2: the reserved value is as good as none.
    let preference: number = said === RESERVED_PREFERENCE ? Preference.MEDIUM : said
    let expires = now + lifetime
    for (let i = 0; i < options.routes.count; i++) {
      const at = options.routes.at[i]
      const prefix = this.routePrefix(buf, at)
      if (prefix === null) continue
      const own = readPreference(buf[at + ND_ROUTE.flags])
      const until = now + readLifetime(buf, at + ND_ROUTE.lifetime)
      if (own === RESERVED_PREFERENCE) {
        this.deps.counts[RC.dropRoutePreference]++ // section 2.3: the option is not to be heeded
      } else if (prefix.length === 0) {
        preference = own
        expires = until
      } else routes.learn(router, prefix, own, until, now)
    }
    routes.learn(router, DEFAULT, preference, expires, now)
  }

  /** The prefix of a route information option; null: it is none, or not one that others could be the way to. */
  private routePrefix(buf: Uint8Array, at: number): Prefix | null {
    const bytes = (buf[at + ND_OPTION.length] << 3) - ND_ROUTE_LENGTH
    const length = buf[at + ND_ROUTE.prefixLength]
    const room = new Uint8Array(16)
    for (let i = 0; i < bytes; i++) room[i] = buf[at + ND_ROUTE_LENGTH + i]
    const network = length <= bytes * 8 ? networkOf(new Address().read(room, 0), length) : null
    if (network === null) this.deps.counts[RC.dropRoute]++
    return network
  }

  /** A prefix information option (RFC 4861 section 6.3.4, RFC 4862 section 5.5.3). */
  private prefix(buf: Uint8Array, at: number, now: number): void {
    const { counts } = this.deps
    const length = buf[at + ND_PREFIX.prefixLength]
    const flags = buf[at + ND_PREFIX.flags]
    const validMs = readLifetime(buf, at + ND_PREFIX.validLifetime)
    const preferredMs = readLifetime(buf, at + ND_PREFIX.preferredLifetime)
    const network = networkOf(new Address().read(buf, at + ND_PREFIX.prefix), length)
    if (network === null) {
      counts[RC.dropPrefix]++
      return
    }
    if ((flags & PREFIX_ON_LINK) !== 0) this.prefixes.learn(network, now + validMs, now)
    if ((flags & PREFIX_AUTONOMOUS) === 0 || this.slaac === null) return
    if (preferredMs > validMs) counts[RC.dropPrefixLifetimes]++
    else this.slaac.learn(network, preferredMs, validMs, now)
  }
}

function isTime(ms: number): boolean {
  return ms >= MIN_TIME_MS && ms <= MAX_TIME_MS
}

/** A prefix; null for one that no router can say anything about: of the link, which is ours without being told, of groups, of this host. */
function networkOf(address: Address, length: number): Prefix | null {
  if (length > 128 || address.isV4) return null
  const { network } = new Prefix(address, length)
  const a = network.address
  return a.isMulticast || (a.isLinkLocal && length >= 10) || a.isLoopback ? null : network
}
