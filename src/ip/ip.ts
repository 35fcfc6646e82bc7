/**
 * IP, family-neutral: what transports import. IPv4 (and IPv6) register as families; TCP, UDP and ICMP register as protocols.
 *
 * Theory of operation. Down: a transport asks `route()` for a `Route` (kept as long as its generation holds), builds its segment
 * in the stack's one `Frame` and calls `output()`; the family writes its header before it, fragments if it must, and the interface
 * sends. Up: a family parses a frame into the one `Packet` and calls `deliver()`, which finds the protocol by number. ICMP errors
 * travel up through `Protocol.error()` to the socket they concern; errors that we raise go down through `errors`, an interface
 * that ICMP implements.
 */
import { Address, ANY, ANY_V4 } from '../base/address.ts'
import type { Frame } from '../netif/frame.ts'
import { FamilyErrors } from './family-errors.ts'
import type { PacketHooks } from './hooks.ts'
import { AddressState, type Interface } from './interface.ts'
import type { Multipath } from './multipath.ts'
import { type Packet, To } from './packet.ts'
import { type Hop, isUnicast, type NoRoute, type Route, type RouteEntry, RouteKind, RouteTable, refusalOf } from './route.ts'
import { type RoutingRules, TABLE_MAIN } from './rules.ts'
import { selectSource6 } from './source.ts'

/** What a transport (or ICMP) is to IP. */
export interface Protocol {
  /** A whole packet for us; `packet.off` is the transport header. */
  input(packet: Packet): void
  /**
   * An ICMP error about a packet that we sent. `quote[off, end)` begins with the transport header that we sent (at least 8 bytes).
   * `source` and `destination` are those of the quoted packet (source = ours). Already translated to family-neutral terms.
   */
  error(report: ErrorReport): void
}

/** Family-neutral kinds of ICMP errors. */
export const ErrorKind = {
  NET_UNREACHABLE: 0,
  HOST_UNREACHABLE: 1,
  PROTOCOL_UNREACHABLE: 2,
  PORT_UNREACHABLE: 3,
  PACKET_TOO_BIG: 4,
  SOURCE_ROUTE_FAILED: 5,
  PROHIBITED: 6,
  TIME_EXCEEDED: 7,
  PARAMETER_PROBLEM: 8,
  /** The source's scope ends before the destination (RFC 4443 section 3.1, code 2). */
  BEYOND_SCOPE: 9,
} as const

/** One reused record per stack. */
export class ErrorReport {
  kind = 0
  /** ICMP type and code as they came. */
  type = 0
  code = 0
  /** Next-hop MTU of a PACKET_TOO_BIG; 0 when the router did not say. */
  mtu = 0
  /** What was left of the hop limit of the message; 0 for errors of our own. */
  ttl = 0
  /** Who reported it (our own address for errors of our own neighbour discovery). */
  readonly reporter = new Address()
  readonly source = new Address()
  readonly destination = new Address()
  protocol = 0
  /** Total length of the packet in question, in bytes, as its own header says: what a router without RFC 1191 found too big. */
  length = 0
  quote: Uint8Array = new Uint8Array(0)
  off = 0
  end = 0
  /** Raised by this host itself (no route, no neighbour), not by a packet: it cannot be forged. */
  local = false

  /** The error code that a socket shows. */
  get errorCode(): string {
    switch (this.kind) {
      case ErrorKind.NET_UNREACHABLE:
        return 'ENETUNREACH'
      case ErrorKind.PROTOCOL_UNREACHABLE:
        return this.source.isV4 ? 'ENOPROTOOPT' : 'EPROTO'
      case ErrorKind.PROHIBITED:
        return this.source.isV4 ? 'EHOSTUNREACH' : 'EACCES' // as Linux tells the two families
      case ErrorKind.PORT_UNREACHABLE:
        return 'ECONNREFUSED'
      case ErrorKind.PACKET_TOO_BIG:
        return 'EMSGSIZE'
      case ErrorKind.SOURCE_ROUTE_FAILED:
        return 'EOPNOTSUPP'
      case ErrorKind.PARAMETER_PROBLEM:
        return 'EPROTO'
      default:
        return 'EHOSTUNREACH'
    }
  }
}

/** Raising ICMP errors about packets that came in. Implemented by icmp. Rate limits and the "never answer" rules are inside. */
export interface ErrorSender {
  /** `code`: one of ErrorKind (NET, HOST, PROTOCOL, PORT, SOURCE_ROUTE_FAILED, PROHIBITED). */
  unreachable(packet: Packet, kind: number): void
  /** `reassembly`: true for "fragment reassembly time exceeded", false for "TTL exceeded in transit". */
  timeExceeded(packet: Packet, reassembly: boolean): void
  /** `pointer`: octet of the packet where the problem is. `code`: ICMPv6's (RFC 4443 section 3.4); IPv4 has none. */
  parameterProblem(packet: Packet, pointer: number, code: number): void
  /** The packet does not fit its way on: `mtu` is what would (RFC 1191 section 4, RFC 4443 section 3.2). */
  tooBig(packet: Packet, mtu: number): void
}

/** What is known of paths that are narrower than the interface they begin at (RFC 1191, RFC 8201). */
export interface PathMtuCache {
  /** Largest IP packet known to reach `destination`; 0 = nothing known. */
  get(destination: Address): number
  /**
   * Believes a PACKET_TOO_BIG. Called by the protocol that sent the packet, once it has made sure that it did (RFC 5927 section 7).
   * True: the path MTU went down, and kept routes are stale.
   */
  learn(report: ErrorReport): boolean
}

/** How an address family sends. */
export interface Family {
  /** Bytes of the header it puts before a transport segment. */
  readonly headerBytes: number
  readonly etherType: number
  /**
   * Puts the IP header before `frame.start` and sends. False: the link is full and nothing was taken; `frame` is as before.
   * `dontFragment`: the packet is never fragmented by us nor by routers; too large a packet is dropped and counted then.
   */
  output(frame: Frame, route: Route, protocol: number, tos: number, ttl: number, dontFragment: boolean): boolean
}

/** The family's part in route lookup. */
export interface FamilyRouting {
  /** The neighbour for a next hop, broadcast or group on an interface (created on demand); null where the medium has none. */
  neighborFor(iface: Interface, route: Route): import('./neighbor.ts').Neighbor | null
}

export class Ip {
  readonly interfaces: Interface[] = []
  /** The main table. */
  readonly routes = new RouteTable()
  /** All tables by number; others than the main one are for `rules`. */
  readonly tables = new Map<number, RouteTable>([[TABLE_MAIN, this.routes]])
  /** Policy routing; null: the main table is all there is. */
  rules: RoutingRules | null = null
  /** Chooses among next hops; null until a route has several. */
  multipath: Multipath | null = null
  /** Bumped on every change that could make a kept `Route` wrong. */
  generation = 0
  /** The last words of all addresses of ours, whatever their state, as of `lastWordsOf`: every packet asks whether its source is one of them. */
  private lastWords = new Int32Array(0)
  private lastWordsOf = -1
  v4: (Family & FamilyRouting) | null = null
  v6: (Family & FamilyRouting) | null = null
  readonly errors = new FamilyErrors()
  /** The packet filter; null: there is none. */
  hooks: PacketHooks | null = null
  loopback: Interface | null = null
  /** Who follows addresses and interfaces; null: nobody. */
  watcher: { ipChanged(): void } | null = null
  /** Learned path MTUs; implemented by the families' owner. */
  pathMtu: PathMtuCache | null = null
  /** Protocols by number, as IPv4 has them and as IPv6. */
  private readonly protocols4: (Protocol | null)[] = new Array<Protocol | null>(256).fill(null)
  private readonly protocols6: (Protocol | null)[] = new Array<Protocol | null>(256).fill(null)

  /** Packets of a protocol go to `handler` from now on: those of both families, or of one. */
  register(protocol: number, handler: Protocol, family: 0 | 4 | 6 = 0): void {
    if (family !== 6) this.protocols4[protocol] = handler
    if (family !== 4) this.protocols6[protocol] = handler
  }

  protocol(number: number, family: 4 | 6): Protocol | null {
    return family === 4 ? this.protocols4[number] : this.protocols6[number]
  }

  /** Hands an IPv4 packet to its protocol. False: nobody speaks it (the family answers with protocol unreachable). */
  deliver(packet: Packet): boolean {
    const p = this.protocols4[packet.protocol]
    if (p === null) return false
    p.input(packet)
    return true
  }

  /** The same for IPv6. */
  deliver6(packet: Packet): boolean {
    const p = this.protocols6[packet.protocol]
    if (p === null) return false
    p.input(packet)
    return true
  }

  /** Hands an ICMP error to the protocol that sent the packet in question. */
  deliverError(report: ErrorReport): void {
    const protocols = report.destination.isV4 ? this.protocols4 : this.protocols6
    protocols[report.protocol]?.error(report)
  }

  /** Kept routes are stale from now on. */
  changed(): void {
    this.generation = (this.generation + 1) | 0
    this.watcher?.ipChanged()
  }

  /** True when some interface has the address and may use it. 127/8 is local as a whole (RFC 1122 3.2.1.3 g). */
  isLocal(a: Address): boolean {
    if (this.lastWordsOf !== this.generation) this.noteLastWords()
    const words = this.lastWords
    const word = a.w3
    for (let i = 0; i < words.length; i++) if (words[i] === word) return this.has(a)
    return this.loopback !== null && a.isV4 && a.isLoopback
  }

  private has(a: Address): boolean {
    for (let i = 0; i < this.interfaces.length; i++) if (this.interfaces[i].has(a)) return true
    return this.loopback !== null && a.isV4 && a.isLoopback
  }

  private noteLastWords(): void {
    this.lastWords = Int32Array.from(this.interfaces.flatMap((i) => i.addresses.map((own) => own.address.w3)))
    this.lastWordsOf = this.generation
  }

  /** What a destination address is to us on an interface: the question of every incoming packet. */
  classify(a: Address, iface: Interface): number {
    const own = iface.addresses
    for (let i = 0; i < own.length; i++) {
      if (own[i].address.equals(a)) {
        if (own[i].state === AddressState.PREFERRED || own[i].state === AddressState.DEPRECATED) return To.HOST
      } else if (own[i].broadcast !== null && own[i].broadcast!.equals(a)) return To.BROADCAST
    }
    if (a.isLimitedBroadcast) return To.BROADCAST
    if (a.isMulticast) return To.MULTICAST
    if (this.isLocal(a)) return a.isLoopback && !iface.isLoopback ? To.OTHER : To.HOST
    return To.OTHER
  }

  /**
   * Finds the way to `destination`, fills `out` and returns null, or says why there is none. `source`: the unspecified address lets
   * us choose. `iface`: null lets us choose.
   */
  route(destination: Address, source: Address, iface: Interface | null, out: Route): NoRoute | null {
    const v4 = destination.isV4
    const family = v4 ? this.v4 : this.v6
    if (family === null) return 'ENETUNREACH'
    out.destination.copy(destination)
    if (!v4 && (destination.zone !== 0 || destination.isLinkLocal)) {
      // RFC 4007 section 9: the zone is the way.
      const zone = this.zoneOf(destination, iface)
      if (zone === null) return 'EINVAL'
      out.destination.zone = zone.index
      return this.find(out.destination, source, zone, v4, family, out)
    }
    return this.find(destination, source, iface, v4, family, out)
  }

  private find(
    destination: Address,
    source: Address,
    iface: Interface | null,
    v4: boolean,
    family: FamilyRouting,
    out: Route,
  ): NoRoute | null {
    if (!source.isUnspecified && !this.isLocal(source)) return 'EADDRNOTAVAIL'
    out.generation = this.generation
    out.flow = 0
    // To ourselves: through the loopback, whatever interface has the address.
    // (Linux: the local table has each address with its interface, which a bound socket must name.)
    const mayBeUs = iface === null || destination.zone !== 0 || iface.has(destination)
    if (this.loopback !== null && mayBeUs && this.isLocal(destination)) {
      out.iface = this.loopback
      out.kind = RouteKind.LOCAL
      out.nextHop.copy(destination)
      out.source.copy(source.isUnspecified ? destination : source)
      out.neighbor = null
      out.mtu = this.loopback.mtu
      return null
    }
    if (destination.isUnspecified) return 'ENETUNREACH'
    let via = iface
    if (source.zone !== 0 && via?.index !== source.zone) {
      // RFC 4007 section 9: what comes from a link-local address stays on its link.
      if (via !== null) return 'EINVAL'
      via = this.zoneOf(source, null)
    }
    const limited = destination.isLimitedBroadcast
    if (via === null && (limited || destination.isMulticast)) via = this.interfaceForGroup(destination, source)
    if (limited && via === null) return 'ENETUNREACH'
    let entry: RouteEntry | null = null
    if (!limited) {
      entry = this.lookup(destination, source, null, via)
      // A multicast group and a neighbour need no route when the interface is known.
      const known = via !== null && (destination.isMulticast || destination.isLinkLocal)
      if (entry === null && !known) return 'ENETUNREACH'
    }
    let refused = this.follow(entry, destination, via, out)
    if (refused !== null) return refused
    if (source.isUnspecified) {
      const chosen = this.sourceFor(entry, out, v4)
      if (chosen === null) return 'EADDRNOTAVAIL'
      out.source.copy(chosen)
      // What the rules say of packets with that source holds for these as well (Linux: ip_route_connect).
      if (this.rules !== null && entry !== null) {
        entry = this.lookup(destination, chosen, null, via)
        if (entry === null) return 'ENETUNREACH'
        refused = this.follow(entry, destination, via, out)
        if (refused !== null) return refused
      }
    } else out.source.copy(source)
    out.neighbor = family.neighborFor(out.iface!, out)
    const learned = this.pathMtu === null ? 0 : this.pathMtu.get(destination)
    if (learned !== 0 && learned < out.mtu) out.mtu = learned
    return null
  }

  /**
   * The best route for a packet, over `via` only if given. `iif`: the interface that it came in by; null: it is ours.
   */
  lookup(destination: Address, source: Address, iif: Interface | null, via: Interface | null): RouteEntry | null {
    if (this.rules !== null) return this.rules.lookup(destination, source, iif, via)
    const entry = this.routes.lookup(destination, via)
    return entry !== null && entry.kind === 'throw' ? null : entry
  }

  /** Which way an entry leads: the entry itself, or one of its hops. */
  hopOf(entry: RouteEntry, source: Address, destination: Address, via: Interface | null): Hop {
    if (entry.hops === undefined || this.multipath === null) return entry
    return this.multipath.choose(entry.hops, source, destination, via)
  }

  /** Fills interface, next hop, kind and MTU of `out` from an entry (null: straight to the destination by `via`). */
  private follow(entry: RouteEntry | null, destination: Address, via: Interface | null, out: Route): NoRoute | null {
    if (entry !== null && !isUnicast(entry)) return refusalOf(entry)
    // By the destination alone: a connection keeps its way when its source, which was chosen by that way, is given the next time.
    const hop = entry === null ? null : this.hopOf(entry, ANY, destination, via)
    const iface = via ?? hop!.iface
    out.iface = iface
    if (!iface.up) return 'ENETDOWN'
    const group = destination.isMulticast
    const broadcast = destination.isLimitedBroadcast || this.isBroadcastOf(iface, destination)
    out.kind = broadcast ? RouteKind.BROADCAST : group ? RouteKind.MULTICAST : RouteKind.UNICAST
    const gateway = hop === null || group || broadcast ? null : hop.gateway
    out.nextHop.copy(gateway ?? destination)
    out.mtu = destination.isV4 ? iface.mtu : iface.mtu6
    if (entry?.mtu !== undefined && entry.mtu !== 0 && entry.mtu < out.mtu) out.mtu = entry.mtu
    return null
  }

  /** The source for packets that go the way of `out`. */
  private sourceFor(entry: RouteEntry | null, out: Route, v4: boolean): Address | null {
    // RFC 6724 chooses among the addresses of IPv6; an address's own route says nothing about it.
    const preferred = entry === null || (!v4 && entry.origin === 'connected') ? null : entry.source
    // The route's own source may still be probed for, or have been found to be another host's (RFC 5227 section 2.1: not to be used).
    if (preferred !== null && this.isLocal(preferred)) return preferred
    return v4 ? this.selectSource(out.iface!, out.nextHop, true) : selectSource6(this, out.iface!, out.destination)
  }

  /** Source address for packets that leave by `iface` to `nextHop`: same subnet, then the interface's first, then any of ours. */
  selectSource(iface: Interface, nextHop: Address, v4: boolean): Address | null {
    let first: Address | null = null
    let deprecated: Address | null = null
    for (const own of iface.addresses) {
      if (own.address.isV4 !== v4) continue
      if (own.state === AddressState.DEPRECATED) deprecated ??= own.address
      if (own.state !== AddressState.PREFERRED) continue
      if (own.prefix.contains(nextHop)) return own.address
      first ??= own.address
    }
    if (first !== null) return first
    if (deprecated !== null) return deprecated
    for (const other of this.interfaces) {
      if (other.isLoopback) continue
      for (const own of other.addresses) if (own.address.isV4 === v4 && own.state === AddressState.PREFERRED) return own.address
    }
    return null
  }

  /**
   * The link of a link-local address: what its zone says, else `iface`, else the only one there is; null when that is not settled, or
   * the two disagree (RFC 4007 section 6).
   */
  zoneOf(a: Address, iface: Interface | null): Interface | null {
    if (a.zone !== 0) {
      if (iface !== null) return iface.index === a.zone ? iface : null
      for (const i of this.interfaces) if (i.index === a.zone) return i
      return null
    }
    if (iface !== null) return iface
    let only: Interface | null = null
    for (const i of this.interfaces) {
      if (i.isLoopback) continue
      if (only !== null) return null
      only = i
    }
    return only
  }

  /** Gives one of our own link-local addresses its zone: that of the interface which has it. */
  settle(own: Address): void {
    if (own.zone !== 0 || !own.isLinkLocal) return
    for (const i of this.interfaces) {
      own.zone = i.index
      if (i.has(own)) return
    }
    own.zone = 0
  }

  /**
   * The interface that a group (or 255.255.255.255) is sent by, and joined on, where nobody says which: the one that has the source address,
   * the one of a route for the group, of the default route, the first; null: there is none.
   */
  interfaceForGroup(group: Address, source: Address): Interface | null {
    const own = this.interfaceOf(source)
    if (own !== null) return own
    const entry = group.isMulticast ? this.routes.lookup(group, null) : null
    return entry === null ? this.defaultInterface(group.isV4) : entry.iface
  }

  private isBroadcastOf(iface: Interface, a: Address): boolean {
    for (const own of iface.addresses) if (own.broadcast?.equals(a)) return true
    return false
  }

  private interfaceOf(a: Address): Interface | null {
    if (a.equals(ANY) || a.equals(ANY_V4)) return null
    for (const i of this.interfaces) if (i.has(a)) return i
    return null
  }

  /** The interface of the default route, or the first that is up and has an address of the family. */
  private defaultInterface(v4: boolean): Interface | null {
    for (const e of this.routes.entries) if (e.iface.up && e.prefix.length === 0 && e.prefix.address.isV4 === v4) return e.iface
    for (const i of this.interfaces) if (i.up && !i.isLoopback && i.addresses.some((a) => a.address.isV4 === v4)) return i
    return null
  }
}
