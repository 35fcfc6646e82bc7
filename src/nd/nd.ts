/**
 * Neighbor Discovery (RFC 4861) of a stack: judges what comes and hands it to the interface that it came by (nd-interface.ts).
 *
 * What all its messages have in common is checked here (sections 6.1, 7.1, 8.1): a hop limit of 255 says that no router was on the
 * way, so that only who is on the link can say anything; code 0; the length; options that can be walked to the end; a packet that
 * was in fragments is refused (RFC 6980). Each reason has a counter.
 */

import type { Prefix } from '../base/address.ts'
import { Address } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { ETH } from '../ethernet/wire.ts'
import type { Icmp6, Icmp6Handler } from '../icmp6/icmp6.ts'
import { ND_NEIGHBOR_ADVERTISEMENT, ND_NEIGHBOR_SOLICITATION, ND_REDIRECT } from '../icmp6/wire.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import { Redirects } from '../ip/redirects.ts'
import { IDGEN_RETRIES, StableIds } from './interface-id.ts'
import { linkLocal } from './link-local.ts'
import { NdInterface, type NdInterfaceOptions } from './nd-interface.ts'
import { NdOptions } from './options.ts'
import { NA_SOLICITED, ND_NEIGHBOR, ND_NEIGHBOR_LENGTH, ND_REDIRECT_AT, ND_REDIRECT_LENGTH } from './wire.ts'

const NAMES = [
  /** From an interface without neighbours, as tun is. */
  'dropNoLinkLayer',
  'dropHopLimit',
  'dropFragmented',
  'dropCode',
  'dropTooShort',
  'dropOptions',
  /** A link-layer address in an option that is no station's. */
  'dropLinkAddress',
  /** A target that is a group. */
  'dropTarget',
  /** From nobody, but to one host, or with a link address. */
  'dropUnspecifiedSource',
  /** An answer to a question, sent to everybody. */
  'dropSolicitedMulticast',
  /** Redirects: not from a router's link-local address, for a group, to what is no first hop; not believed. */
  'dropRedirectSource',
  'dropRedirectDestination',
  'dropRedirectTarget',
  'dropRedirect',
] as const
const C = indexOf(NAMES)

/** Hop limit of a packet that no router has touched. */
const ON_LINK = 255

export interface NeighborDiscoveryOptions extends NdInterfaceOptions {
  ip: Ip
  icmp6: Icmp6
}

export class NeighborDiscovery implements Icmp6Handler {
  readonly counters = new Counters(NAMES)
  /** The options of the message at hand. */
  readonly options = new NdOptions()
  private stableIds: StableIds | null = null
  private readonly interfaces = new Map<Interface, NdInterface>()
  readonly redirects: Redirects
  private readonly target = new Address()
  private readonly destination = new Address()

  constructor(private readonly deps: NeighborDiscoveryOptions) {
    deps.icmp6.register(ND_NEIGHBOR_SOLICITATION, this)
    deps.icmp6.register(ND_NEIGHBOR_ADVERTISEMENT, this)
    deps.icmp6.register(ND_REDIRECT, this)
    this.redirects = new Redirects(deps.ip, deps.timers, deps.clock)
  }

  /** Begins on an interface, if it has not yet: with its first IPv6 address. Null: it has no link layer, and so no neighbours. */
  attach(iface: Interface): NdInterface | null {
    if (iface.ethernet === null) return null
    const known = this.interfaces.get(iface)
    if (known !== undefined) return known
    const nd = new NdInterface(iface, this.deps)
    this.interfaces.set(iface, nd)
    iface.neighbors6 = nd.neighbors
    return nd
  }

  detach(iface: Interface): void {
    this.interfaces.get(iface)?.close()
    this.interfaces.delete(iface)
    iface.neighbors6 = null
  }

  /** Stable opaque identifiers (RFC 7217). */
  get ids(): StableIds {
    this.stableIds ??= new StableIds(this.deps.config.stableSecret, this.deps.random)
    return this.stableIds
  }

  /** Another link-local address may be made after `attempts` that were other hosts' (RFC 7217 section 6); one of a MAC has no other. */
  mayRetry(iface: Interface, attempts: number): boolean {
    return attempts <= IDGEN_RETRIES && (this.deps.config.linkLocal === 'stable' || iface.mac === null)
  }

  /** The link-local address that `iface` makes for itself; `attempt`: how many were found to be another host's. */
  linkLocal(iface: Interface, attempt: number): Prefix {
    return linkLocal(iface, this.deps.config, this.ids, attempt)
  }

  of(iface: Interface): NdInterface | null {
    return this.interfaces.get(iface) ?? null
  }

  icmp6Input(packet: Packet): void {
    const { buf, off, link } = packet
    const type = buf[off]
    const nd = this.accept(packet, type === ND_REDIRECT ? ND_REDIRECT_LENGTH : ND_NEIGHBOR_LENGTH)
    if (nd === null) return
    const target = this.target.read(buf, off + ND_NEIGHBOR.target)
    if (target.isMulticast) {
      this.counters.values[C.dropTarget]++
      return
    }
    if (target.isLinkLocal) target.zone = packet.iface.index
    if (type === ND_REDIRECT) {
      this.redirect(nd, packet)
      return
    }
    const macHigh = link < 0 ? 0 : get16(buf, link + ETH.source)
    const macLow = link < 0 ? 0 : get32(buf, link + ETH.source + 2)
    if (type === ND_NEIGHBOR_SOLICITATION) this.solicitation(nd, packet, macHigh, macLow)
    else this.advertisement(nd, packet, macHigh, macLow)
  }

  /**
   * The interface that a message concerns, its options read into `options`; null: it is not to be heard, and counted. `least` is the length
   * of the message without options.
   */
  accept(packet: Packet, least: number): NdInterface | null {
    const nd = this.interfaces.get(packet.iface)
    const fault = nd === undefined ? C.dropNoLinkLayer : this.check(packet, least)
    if (fault < 0) return nd!
    this.counters.values[fault]++
    return null
  }

  /** What sections 6.1, 7.1 and 8.1 ask of all messages. Returns the counter of what is wrong, or -1. */
  private check(packet: Packet, least: number): number {
    if (packet.ttl !== ON_LINK) return C.dropHopLimit
    if (packet.reassembled) return C.dropFragmented
    if (packet.buf[packet.off + ND_NEIGHBOR.code] !== 0) return C.dropCode
    if (packet.end - packet.off < least) return C.dropTooShort
    if (!this.options.read(packet.buf, packet.off + least, packet.end)) return C.dropOptions
    return this.options.badLinkAddress ? C.dropLinkAddress : -1
  }

  private solicitation(nd: NdInterface, packet: Packet, macHigh: number, macLow: number): void {
    if (packet.source.isUnspecified && (this.options.hasSource || !isSolicitedNode(packet.destination))) {
      this.counters.values[C.dropUnspecifiedSource]++
      return
    }
    nd.solicitationInput(packet, this.target, this.options, macHigh, macLow)
  }

  private advertisement(nd: NdInterface, packet: Packet, macHigh: number, macLow: number): void {
    const flags = packet.buf[packet.off + ND_NEIGHBOR.flags]
    if (packet.destination.isMulticast && (flags & NA_SOLICITED) !== 0) {
      this.counters.values[C.dropSolicitedMulticast]++
      return
    }
    nd.advertisementInput(this.target, flags, this.options, macHigh, macLow)
  }

  /** Sections 8.1 and 8.3. */
  private redirect(nd: NdInterface, packet: Packet): void {
    const n = this.counters.values
    const { target, options } = this
    const destination = this.destination.read(packet.buf, packet.off + ND_REDIRECT_AT.destination)
    if (!packet.source.isLinkLocal) {
      n[C.dropRedirectSource]++
      return
    }
    if (destination.isMulticast || destination.isLinkLocal || destination.isV4) {
      n[C.dropRedirectDestination]++
      return
    }
    const itself = target.equals(destination)
    if (!itself && !target.isLinkLocal) {
      n[C.dropRedirectTarget]++
      return
    }
    // A router decides for itself (section 8.3): `learn` refuses where we forward.
    if (!nd.config.acceptRedirects || !this.redirects.learn(packet, destination, target)) {
      n[C.dropRedirect]++
      return
    }
    if (options.hasTarget) nd.neighbors.learn(target, options.targetHigh, options.targetLow, true)
    if (!itself) nd.markRouter(target)
  }
}

/** ff02::1:ff00:0/104 */
function isSolicitedNode(a: Address): boolean {
  return a.w0 === (0xff020000 | 0) && a.w1 === 0 && a.w2 === 1 && a.w3 >>> 24 === 0xff
}
