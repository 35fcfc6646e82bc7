/**
 * Neighbor Discovery on one Ethernet interface (RFC 4861 section 7): answers who asks for our IPv6 addresses, and finds out the link
 * addresses of others for the neighbour cache. What arp/arp.ts is for IPv4.
 *
 * Theory of operation. nd.ts has judged the message (section 7.1); here it is shown to duplicate address detection, merged into the
 * neighbour cache, and answered. A message changes little: a solicitation for an address of ours makes an entry that is STALE, an
 * advertisement changes an entry that exists, by the table of section 7.2.5, and only one that is solicited makes it REACHABLE.
 * There are no anycast addresses and no proxies, so every answer may override and none has to wait (sections 7.2.7, 7.2.8).
 *
 * Messages leave at once, also while a packet is being heard or sent; they are built in a small frame of their own, because the
 * stack's transmit frame may hold somebody's packet at that moment.
 */
import { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { EthernetPort } from '../ethernet/ethernet.ts'
import { ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { sealIcmp6 } from '../icmp6/icmp6.ts'
import { ND_NEIGHBOR_ADVERTISEMENT, ND_NEIGHBOR_SOLICITATION } from '../icmp6/wire.ts'
import type { ClaimListener } from '../ip/addresses.ts'
import { AddressState, type Interface } from '../ip/interface.ts'
import type { Neighbor, NeighborClock, NeighborListener, Solicitor } from '../ip/neighbor.ts'
import { NeighborCache } from '../ip/neighbor-cache.ts'
import { type Packet, PROTO_ICMPV6 } from '../ip/packet.ts'
import { Route, RouteKind } from '../ip/route.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import { IP6 } from '../ipv6/wire.ts'
import { Frame } from '../netif/frame.ts'
import { Dad, type DadSender } from './dad.ts'
import type { NdOptions } from './options.ts'
import {
  NA_OVERRIDE,
  NA_ROUTER,
  NA_SOLICITED,
  ND_LINK_ADDRESS,
  ND_LINK_ADDRESS_LENGTH,
  ND_NEIGHBOR,
  ND_NEIGHBOR_LENGTH,
  ND_OPTION,
  OPTION_NONCE,
  OPTION_SOURCE_LINK,
  OPTION_TARGET_LINK,
} from './wire.ts'

const NAMES = [
  'inNeighborSolicits',
  'inNeighborAdvertisements',
  'outNeighborSolicits',
  'outNeighborAdvertisements',
  /** Somebody advertises an address of ours. */
  'dropConflict',
  /** Our own message came back. */
  'dropOwnSource',
  /** Solicitations for others, who share the group with us; for an address that is not ours yet. */
  'dropNotForUs',
  'dropTentative',
  /** Advertisements of neighbours that we do not know; that have no link address though we need one. */
  'dropUnsolicited',
  'dropNoLinkAddress',
  /** More solicitations than `advertisementsPerSecond`. */
  'dropAdvertisementLimit',
  /** Nothing sent: the link was full, or we have no address to ask with. */
  'dropLinkFull',
  'dropNoSource',
] as const
const C = indexOf(NAMES)

const HOP_LIMIT = 255
const UNSPECIFIED = new Address()
const ALL_NODES = new Address(0xff020000 | 0, 0, 0, 1)
const ALL_ROUTERS = new Address(0xff020000 | 0, 0, 0, 2)

export interface NdInterfaceOptions {
  ipv6: Ipv6
  timers: Timers
  clock: NeighborClock
  random: Random
  /** The stack's; every interface has its own copy, for routers may change its times (section 6.3.4). */
  config: NdConfig
  /** The stack's transmit frame; see NeighborCacheOptions. */
  frame: Frame
  pool: BufferPool
  listener: NeighborListener & ClaimListener
}

/** Who keeps the list of routers. */
export interface RouterListener {
  /** A neighbour that was a router is a host from now on (section 7.2.5). */
  routerBecameHost(neighbor: Neighbor): void
  /** A neighbour does not answer any more (section 7.3.3). From timers only. */
  silent(neighbor: Neighbor): void
  /** A neighbour advertises itself, as a router or as a host. True: it is a router that we know, whether the neighbour cache does or not. */
  advertised(address: Address, isRouter: boolean): boolean
}

export class NdInterface implements Solicitor, DadSender {
  readonly counters = new Counters(NAMES)
  readonly neighbors: NeighborCache
  readonly dad: Dad
  readonly config: NdConfig
  routers: RouterListener | null = null
  private readonly ethernet: EthernetPort
  private readonly ipv6: Ipv6
  private readonly clock: NeighborClock
  private readonly frame = new Frame(128)
  private readonly source = new Address()
  private readonly group = new Address()
  /** The way back to who asked. */
  private readonly back = new Route()
  /** Advertisements sent in the second that began at `windowAt`. */
  private windowAt: number
  private windowAnswers = 0

  constructor(
    readonly iface: Interface,
    options: NdInterfaceOptions,
  ) {
    if (iface.ethernet === null) throw invalidArgument(`${iface.name} has no link layer: it has no neighbours`)
    const { ipv6, timers, clock, random, frame, pool, listener } = options
    this.ethernet = iface.ethernet
    this.ipv6 = ipv6
    this.clock = clock
    this.windowAt = clock.nowMs
    this.config = { ...options.config }
    const { config } = this
    this.neighbors = new NeighborCache(iface, { timers, clock, random, config, frame, pool, solicitor: this, listener })
    this.dad = new Dad(iface, this, timers, clock, random, config, listener)
  }

  /** Asks for a neighbour's address: its group, or the neighbour itself to see that it is still there (section 7.2.2). */
  solicit(neighbor: Neighbor, unicast: boolean): void {
    if (!this.chooseSource(neighbor)) {
      this.counters.values[C.dropNoSource]++
      return
    }
    const to = neighbor.address
    this.begin(ND_NEIGHBOR_SOLICITATION, 0, to)
    this.addLinkAddress(OPTION_SOURCE_LINK)
    const sent = unicast
      ? this.send(this.frame, this.source, to, neighbor.macHigh, neighbor.macLow)
      : this.sendToGroup(this.source, this.solicitedNode(to))
    if (sent) this.counters.values[C.outNeighborSolicits]++
  }

  gaveUp(neighbor: Neighbor): void {
    this.routers?.silent(neighbor)
  }

  /** Asks everybody whether a router is back that the cache has forgotten. */
  probe(address: Address): void {
    this.solicit(this.neighbors.get(address), false)
  }

  /** DadSender. RFC 4862 section 5.4.2: from the unspecified address, and so without a link address. */
  sendProbe(target: Address, nonce: boolean, nonceHigh: number, nonceLow: number): boolean {
    this.begin(ND_NEIGHBOR_SOLICITATION, 0, target)
    if (nonce) this.addSixBytes(OPTION_NONCE, nonceHigh, nonceLow)
    const sent = this.sendToGroup(UNSPECIFIED, this.solicitedNode(target))
    if (sent) this.counters.values[C.outNeighborSolicits]++
    return sent
  }

  /** DadSender. Section 7.2.6; RFC 9131 section 6.1.2: to routers, not overriding what they know. */
  announce(target: Address, everybody: boolean): boolean {
    this.begin(ND_NEIGHBOR_ADVERTISEMENT, this.flags(target, everybody, false), target)
    this.addLinkAddress(OPTION_TARGET_LINK)
    const sent = this.sendToGroup(target, everybody ? ALL_NODES : ALL_ROUTERS)
    if (sent) this.counters.values[C.outNeighborAdvertisements]++
    return sent
  }

  /** A solicitation that is as section 7.1.1 wants it. */
  solicitationInput(packet: Packet, target: Address, options: NdOptions, macHigh: number, macLow: number): void {
    const n = this.counters.values
    n[C.inNeighborSolicits]++
    const { source } = packet
    const fromNobody = source.isUnspecified
    if (!fromNobody && this.iface.has(source)) {
      n[C.dropOwnSource]++
      return
    }
    if (fromNobody && this.dad.probeHeard(target, options.hasNonce, options.nonceHigh, options.nonceLow, macHigh, macLow)) return
    if (!this.iface.has(target)) {
      n[this.dad.isTentative(target) ? C.dropTentative : C.dropNotForUs]++
      return
    }
    // Section 7.2.3: an entry is made, or updated if the address is another; it is STALE then.
    if (options.hasSource) this.neighbors.learn(source, options.sourceHigh, options.sourceLow, true)
    if (!this.mayAnswer()) {
      n[C.dropAdvertisementLimit]++
      return
    }
    this.begin(ND_NEIGHBOR_ADVERTISEMENT, this.flags(target, true, !fromNobody), target)
    this.addLinkAddress(OPTION_TARGET_LINK)
    // Section 7.2.4: who has no address hears what everybody hears.
    const sent = fromNobody ? this.sendToGroup(target, ALL_NODES) : this.sendTo(this.frame, target, source)
    if (sent) n[C.outNeighborAdvertisements]++
  }

  /** An advertisement that is as section 7.1.2 wants it. `flags`: its first byte. */
  advertisementInput(target: Address, flags: number, options: NdOptions, macHigh: number, macLow: number): void {
    const n = this.counters.values
    n[C.inNeighborAdvertisements]++
    if (options.hasTarget && options.targetHigh === this.ethernet.macHigh && options.targetLow === this.ethernet.macLow) {
      n[C.dropOwnSource]++
      return
    }
    if (this.dad.advertised(target, macHigh, macLow)) {
      n[C.dropConflict]++
      return
    }
    const known = this.neighbors.find(target)
    if (known === null) {
      // RFC 9131 section 6.1.1: a router learns of addresses before the first packet for them comes. A router that was silent is back.
      const isOurs = this.routers?.advertised(target, (flags & NA_ROUTER) !== 0) === true
      if ((isOurs || this.iface.forwarding6) && options.hasTarget && this.isOnLink(target))
        this.neighbors.learn(target, options.targetHigh, options.targetLow, true)
      else n[C.dropUnsolicited]++
      return
    }
    if (!options.hasTarget && !known.usable) {
      n[C.dropNoLinkAddress]++ // section 7.2.5: it was for that that we asked
      return
    }
    const override = (flags & NA_OVERRIDE) !== 0
    const high = options.hasTarget ? options.targetHigh : known.macHigh
    const low = options.hasTarget ? options.targetLow : known.macLow
    const believed = !known.usable || override || (high === known.macHigh && low === known.macLow)
    known.update(high, low, (flags & NA_SOLICITED) !== 0, override)
    if (!believed) return
    this.setRouter(known, (flags & NA_ROUTER) !== 0)
    this.routers?.advertised(target, known.isRouter)
  }

  /** The neighbour is a router: it advertised itself, or we were redirected to it (sections 6.3.4, 8.3). */
  markRouter(address: Address): void {
    const known = this.neighbors.find(address)
    if (known !== null) known.isRouter = true
  }

  /** The neighbour is a host: only hosts solicit routers (section 6.2.6). */
  markHost(address: Address): void {
    const known = this.neighbors.find(address)
    if (known !== null) this.setRouter(known, false)
  }

  /** The interface goes away. */
  close(): void {
    this.dad.close()
    this.neighbors.clear()
  }

  private setRouter(neighbor: Neighbor, isRouter: boolean): void {
    const was = neighbor.isRouter
    neighbor.isRouter = isRouter
    if (was && !isRouter) this.routers?.routerBecameHost(neighbor)
  }

  private flags(target: Address, override: boolean, solicited: boolean): number {
    // RFC 4429 section 3.1: what is not yet known to be ours alone must not push out another's.
    const mayOverride = override && !this.dad.isOptimistic(target)
    return (this.iface.forwarding6 ? NA_ROUTER : 0) | (solicited ? NA_SOLICITED : 0) | (mayOverride ? NA_OVERRIDE : 0)
  }

  /** At most `advertisementsPerSecond`. */
  private mayAnswer(): boolean {
    const now = this.clock.nowMs
    const age = (now - this.windowAt) | 0
    if (age < 0 || age >= 1000) {
      this.windowAt = now
      this.windowAnswers = 0
    }
    if (this.windowAnswers >= this.config.advertisementsPerSecond) return false
    this.windowAnswers++
    return true
  }

  /**
   * Our address to ask with, into `source`: that of the packet that waits for the answer (section 7.2.2: its receiver will want ours
   * next), else one of the neighbour's own prefix, else any. Never one that is asked for itself (RFC 4429 section 3.2).
   */
  private chooseSource(neighbor: Neighbor): boolean {
    const { iface, source } = this
    const waiting = neighbor.queue.head
    if (waiting !== null && waiting.etherType === ETHERTYPE_IPV6) {
      source.read(waiting.buf, IP6.source)
      if (source.isLinkLocal) source.zone = iface.index
      if (iface.has(source) && !this.dad.isOptimistic(source)) return true
    }
    let best: Address | null = null
    for (const own of iface.addresses) {
      if (own.address.isV4 || !iface.has(own.address) || this.dad.isOptimistic(own.address)) continue
      if (own.prefix.contains(neighbor.address) && own.state === AddressState.PREFERRED) {
        best = own.address
        break
      }
      if (best === null || own.address.isLinkLocal) best = own.address
    }
    if (best === null) return false
    source.copy(best)
    return true
  }

  private isOnLink(a: Address): boolean {
    const own = this.iface.addresses
    for (let i = 0; i < own.length; i++) if (!own[i].address.isV4 && own[i].prefix.contains(a)) return true
    return false
  }

  private solicitedNode(a: Address): Address {
    const { group } = this
    group.w0 = 0xff020000 | 0
    group.w1 = 0
    group.w2 = 1
    group.w3 = 0xff000000 | (a.w3 & 0xffffff)
    return group
  }

  private begin(type: number, flags: number, target: Address): void {
    const frame = this.frame.reset()
    const { buf, start } = frame
    put16(buf, start, type << 8)
    put32(buf, start + ND_NEIGHBOR.flags, flags << 24)
    target.write(buf, start + ND_NEIGHBOR.target)
    frame.end = start + ND_NEIGHBOR_LENGTH
  }

  private addLinkAddress(type: number): void {
    this.addSixBytes(type, this.ethernet.macHigh, this.ethernet.macLow)
  }

  private addSixBytes(type: number, high: number, low: number): void {
    const { frame } = this
    const { buf, end } = frame
    buf[end + ND_OPTION.type] = type
    buf[end + ND_OPTION.length] = ND_LINK_ADDRESS_LENGTH >> 3
    put16(buf, end + ND_LINK_ADDRESS.address, high)
    put32(buf, end + ND_LINK_ADDRESS.address + 2, low)
    frame.end = end + ND_LINK_ADDRESS_LENGTH
  }

  /** Sends the message in `frame` to a group, sealed here. False: the link is full. */
  multicast(frame: Frame, source: Address, group: Address): boolean {
    return this.send(frame, source, group, 0x3333, group.w3)
  }

  /** To a group's own link address (RFC 2464 section 7): it needs no neighbour. */
  private sendToGroup(source: Address, group: Address): boolean {
    return this.multicast(this.frame, source, group)
  }

  private send(frame: Frame, source: Address, destination: Address, high: number, low: number): boolean {
    sealIcmp6(frame, source, destination)
    const taken = this.ipv6.outputOnLink(frame, this.iface, source, destination, PROTO_ICMPV6, HOP_LIMIT, high, low)
    if (!taken) this.counters.values[C.dropLinkFull]++
    return taken
  }

  /**
   * Sends the message in `frame` to a neighbour; one that did not say its link address is asked for it first. An answer is no use of
   * the neighbour that would have to be probed 5 s later, as in Linux: who asks is about to talk, or not. False: the link is full.
   */
  sendTo(frame: Frame, source: Address, destination: Address): boolean {
    const neighbor = this.neighbors.get(destination)
    if (neighbor.usable) return this.send(frame, source, destination, neighbor.macHigh, neighbor.macLow)
    const { back } = this
    back.iface = this.iface
    back.kind = RouteKind.UNICAST
    back.mtu = this.iface.mtu6
    back.source.copy(source)
    back.destination.copy(destination)
    back.nextHop.copy(destination)
    back.neighbor = neighbor
    sealIcmp6(frame, source, destination)
    const taken = this.ipv6.output(frame, back, PROTO_ICMPV6, 0, HOP_LIMIT, false)
    if (!taken) this.counters.values[C.dropLinkFull]++
    return taken
  }
}
