/**
 * IPv4 (RFC 791, RFC 1122 section 3).
 *
 * Theory of operation. In: an `Ipv4Port` per interface hands over what follows the link header. The header is checked once (version,
 * lengths, checksum), link padding is cut off, the addresses are judged, and the one `Packet` is filled. Packets for us go through
 * reassembly if they are fragments and then to their protocol; packets for others go to `forward`, or are counted. Out: the header
 * is written into the room before the segment and the interface sends; what is larger than the path takes is cut up, or dropped when
 * it must not be. Super-segments and PARTIAL checksums pass through in both directions, as `meta` says; where a link cannot
 * complete a checksum it is done here. No packet makes anything here throw, and each drop has a counter.
 */
import type { Address } from '../base/address.ts'
import { get16, get32, put16 } from '../base/bytes.ts'
import { sumBytes } from '../base/checksum.ts'
import type { Clock } from '../base/clock.ts'
import type { Ipv4Config } from '../base/config.ts'
import { Counters } from '../base/counters.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import { Cast, type EtherProtocol } from '../ethernet/ethernet.ts'
import { ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, type Family, type FamilyRouting, type Ip } from '../ip/ip.ts'
import type { Neighbor } from '../ip/neighbor.ts'
import { Packet, PROTO_IGMP, To } from '../ip/packet.ts'
import { completeChecksum, partialChecksumAt } from '../ip/partial-checksum.ts'
import { Reassembly } from '../ip/reassembly.ts'
import { Added } from '../ip/reassembly-rules.ts'
import { type Route, RouteKind } from '../ip/route.ts'
import type { Frame } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK } from '../netif/netif.ts'
import { isForOpenPort, isOldBroadcast, sourceFault } from './addresses.ts'
import { C, NAMES } from './counters.ts'
import { Fragmenter } from './fragment.ts'
import { writeHeader } from './header.ts'
import { Identification } from './identification.ts'
import { IpOptions, OptionsVerdict, parseOptions } from './options.ts'
import { PathMtu } from './path-mtu.ts'
import { ReassemblyRules4 } from './reassembly.ts'
import { IP4, IP4_DONT_FRAGMENT, IP4_HEADER, IP4_MAX, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from './wire.ts'

export interface Ipv4Dependencies {
  ip: Ip
  timers: Timers
  clock: Clock
  random: Random
  pool: BufferPool
  config: Ipv4Config
}

/** Gets the packets that are for others. */
export interface Forwarder {
  forward(packet: Packet): void
}

/** The all-hosts group: every host is a member (RFC 1112 section 4). */
const ALL_HOSTS = 0xe0000001 | 0
const NO_OPTIONS = new Uint8Array(0)

/** IPv4 as the protocol above one interface's link. */
export class Ipv4Port implements EtherProtocol {
  constructor(
    private readonly ipv4: Ipv4,
    readonly iface: Interface,
  ) {}

  /** On IP media: `cast` UNICAST and `frame` -1. */
  etherInput(buf: Uint8Array, start: number, end: number, meta: number, cast: number, frame: number): void {
    this.ipv4.input(this.iface, buf, start, end, meta, cast, frame)
  }
}

export class Ipv4 implements Family, FamilyRouting {
  readonly headerBytes = IP4_HEADER
  readonly etherType = ETHERTYPE_IPV4
  readonly counters = new Counters(NAMES)
  readonly pathMtu: PathMtu
  /** Null: a host, not a router (RFC 1122 section 3.1). */
  forward: Forwarder | null = null
  private readonly ip: Ip
  private readonly config: Ipv4Config
  private readonly identification: Identification
  readonly fragmenter: Fragmenter
  private readonly reassembly: Reassembly
  /** Options of the packet that came in last, if it has any. */
  readonly options = new IpOptions()
  /** The one record of what came in; null until there is an interface. */
  private packet: Packet | null = null

  constructor(deps: Ipv4Dependencies) {
    this.ip = deps.ip
    this.config = deps.config
    this.pathMtu = new PathMtu(deps.ip, deps.timers, deps.clock, deps.config)
    this.identification = new Identification(deps.random)
    this.fragmenter = new Fragmenter(deps.pool, this.counters.values)
    this.reassembly = new Reassembly(deps, new ReassemblyRules4(deps.config), this.counters.values)
    deps.ip.v4 = this
    deps.ip.pathMtu = this.pathMtu
  }

  /** What an interface's Ethernet port (or the stack, on IP media) hands IPv4 packets to. */
  port(iface: Interface): EtherProtocol {
    return new Ipv4Port(this, iface)
  }

  /** The link of `iface` has room again: sends what was held back. */
  flushPending(iface: Interface): void {
    if (this.fragmenter.pending !== 0) this.fragmenter.flush(iface)
  }

  /** Forgets everything that waits for, or came in by, an interface that goes away. */
  dropInterface(iface: Interface): void {
    this.fragmenter.drop(iface)
    this.reassembly.drop(iface)
    if (this.packet?.iface === iface) this.packet = null
  }

  /** One packet from a link, lent. `cast`: how the link addressed it. `link`: where its Ethernet header begins, or -1. */
  input(iface: Interface, buf: Uint8Array, start: number, end: number, meta: number, cast: number, link: number): void {
    const n = this.counters.values
    const available = end - start
    n[C.ipInReceives]++
    n[C.ipInOctets] += available
    if (available < IP4_HEADER) {
      n[C.ipInTruncatedPkts]++
      return
    }
    const versionIhl = buf[start]
    if (versionIhl >> 4 !== 4) {
      this.headerError(C.ipDropVersion)
      return
    }
    const header = (versionIhl & 15) << 2
    if (header < IP4_HEADER || header > available) {
      this.headerError(C.ipDropHeaderLength)
      return
    }
    const total = get16(buf, start + IP4.totalLength)
    if (total < header) {
      this.headerError(C.ipDropTotalLength)
      return
    }
    if (total > available) {
      n[C.ipInTruncatedPkts]++
      return
    }
    if (sumBytes(buf, start, header, 0) !== 0xffff) {
      this.headerError(C.ipDropChecksum)
      return
    }

    if (this.packet === null) this.packet = new Packet(iface)
    const packet = this.packet
    packet.iface = iface
    packet.buf = buf
    packet.link = link
    packet.start = start
    packet.off = start + header
    packet.end = start + total
    packet.source.setV4(get32(buf, start + IP4.source))
    packet.destination.setV4(get32(buf, start + IP4.destination))
    packet.protocol = buf[start + IP4.protocol]
    packet.ttl = buf[start + IP4.ttl]
    packet.tos = buf[start + IP4.tos]
    packet.meta = meta
    packet.cast = cast
    packet.routerAlert = false
    packet.reassembled = false
    if (this.ip.hooks !== null && !this.ip.hooks.prerouting(packet)) return
    let to = this.ip.classify(packet.destination, iface)
    if (to === To.OTHER) {
      if (isOldBroadcast(packet.destination.w3, iface)) to = To.BROADCAST
      else if (iface.openPort !== 0 && isForOpenPort(packet)) to = To.HOST
    }
    packet.to = to
    const fault = sourceFault(packet, this.ip)
    if (fault >= 0) {
      n[C.ipInAddrErrors]++
      n[fault]++
      return
    }
    if (to === To.HOST) {
      // RFC 1122 section 3.3.6: a unicast packet in a broadcast frame was not meant for everybody who hears it.
      if (cast !== Cast.UNICAST) {
        this.drop(C.ipDropLinkBroadcast)
        return
      }
    } else if (to === To.BROADCAST) n[C.ipInBcastPkts]++
    else if (to === To.MULTICAST) {
      n[C.ipInMcastPkts]++
      if (packet.destination.w3 !== ALL_HOSTS && !this.isListenedTo(packet)) {
        this.drop(C.ipDropUnknownGroup)
        return
      }
    } else {
      this.notForUs(packet)
      return
    }

    if (header > IP4_HEADER && !this.acceptOptions(packet)) return
    const field = get16(buf, start + IP4.flagsFragment)
    if ((field & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK)) === 0) this.deliver(packet)
    else this.reassemble(packet, field)
  }

  /** Family.output: see ip.ts. `route.source` and `route.destination` are the addresses of the header. */
  output(frame: Frame, route: Route, protocol: number, tos: number, ttl: number, dontFragment: boolean): boolean {
    if (this.ip.hooks !== null) return this.send(frame, route, protocol, tos, ttl, dontFragment, NO_OPTIONS, 0)
    return this.transmit(frame, route, protocol, tos, ttl, dontFragment, NO_OPTIONS, 0)
  }

  /** `output` with IP options: `optionsLength` bytes, well formed, a multiple of four, at most 40. */
  send(
    frame: Frame,
    route: Route,
    protocol: number,
    tos: number,
    ttl: number,
    dontFragment: boolean,
    options: Uint8Array,
    optionsLength: number,
  ): boolean {
    const { hooks } = this.ip
    if (hooks === null) return this.transmit(frame, route, protocol, tos, ttl, dontFragment, options, optionsLength)
    const via = hooks.output(frame, route, protocol, tos, ttl === 0 ? this.config.ttl : ttl)
    if (via === null || this.transmit(frame, via, protocol, tos, ttl, dontFragment, options, optionsLength)) return true
    hooks.refused(frame)
    return false
  }

  /** `send` behind the packet filter. */
  private transmit(
    frame: Frame,
    route: Route,
    protocol: number,
    tos: number,
    ttl: number,
    dontFragment: boolean,
    options: Uint8Array,
    optionsLength: number,
  ): boolean {
    const n = this.counters.values
    const iface = route.iface
    if (iface === null) {
      n[C.ipOutDiscards]++
      n[C.ipOutDropNoInterface]++
      return true
    }
    const off = frame.start
    const header = IP4_HEADER + optionsLength
    const start = off - header
    const total = frame.end - start
    const meta = frame.meta
    // RFC 1122 section 3.2.1.7: never 0.
    const hops = ttl === 0 ? this.config.ttl : ttl
    if ((meta & GSO_MASK) !== 0) {
      // The super-segment was made for another link than the one that it now leaves by.
      if (total > iface.netif.gsoMax) return this.discard(C.ipOutDropGso)
    } else if (total > route.mtu) {
      if (dontFragment || total > IP4_MAX) {
        n[C.ipFragFails]++
        return this.discard(C.ipOutDropTooBig)
      }
      return this.fragment(frame, route, protocol, tos, hops, options, optionsLength)
    }
    const partial = (meta & CSUM_MASK) === CSUM_PARTIAL && !iface.checksumOffload ? partialChecksumAt(protocol) : -1
    let pseudo = 0
    if (partial >= 0) {
      pseudo = get16(frame.buf, off + partial)
      completeChecksum(frame.buf, off, frame.end - off, partial, protocol)
      frame.meta = meta & ~CSUM_MASK
    }
    for (let i = 0; i < optionsLength; i++) frame.buf[start + IP4_HEADER + i] = options[i]
    const source = route.source.w3
    const destination = route.destination.w3
    const id = dontFragment ? 0 : this.identification.take(source, destination, protocol)
    const flags = dontFragment ? IP4_DONT_FRAGMENT : 0
    writeHeader(frame.buf, start, header, total, id, flags, tos, hops, protocol, source, destination)
    frame.start = start
    const taken = iface.output(frame, route.neighbor, ETHERTYPE_IPV4)
    frame.start = off
    if (!taken) {
      if (partial >= 0) {
        put16(frame.buf, off + partial, pseudo)
        frame.meta = meta
      }
      n[C.ipOutBlocked]++
      return false
    }
    n[C.ipOutRequests]++
    n[C.ipOutOctets] += total
    return true
  }

  /**
   * Sends to a link address, past routing and neighbours: the answer to a host that has no usable IP address, or from one that has
   * none. Ethernet only; never fragmented.
   */
  outputOnLink(
    frame: Frame,
    iface: Interface,
    source: Address,
    destination: Address,
    protocol: number,
    macHigh: number,
    macLow: number,
  ): boolean {
    const start = frame.start - IP4_HEADER
    const total = frame.end - start
    if (iface.ethernet === null || !iface.up) return this.discard(C.ipOutDropNoInterface)
    if (total > iface.mtu) return this.discard(C.ipOutDropTooBig)
    const id = this.identification.take(source.w3, destination.w3, protocol)
    writeHeader(frame.buf, start, IP4_HEADER, total, id, 0, 0, this.config.ttl, protocol, source.w3, destination.w3)
    frame.start = start
    const taken = iface.ethernet.output(frame, macHigh, macLow, ETHERTYPE_IPV4)
    frame.start = start + IP4_HEADER
    this.counters.values[taken ? C.ipOutRequests : C.ipOutBlocked]++
    if (taken) this.counters.values[C.ipOutOctets] += total
    return taken
  }

  neighborFor(iface: Interface, route: Route): Neighbor | null {
    const table = iface.neighbors
    if (table === null) return null
    if (route.kind === RouteKind.BROADCAST) return table.broadcast
    if (route.kind === RouteKind.MULTICAST) return table.multicast(route.destination)
    return table.get(route.nextHop)
  }

  private fragment(
    frame: Frame,
    route: Route,
    protocol: number,
    tos: number,
    ttl: number,
    options: Uint8Array,
    optionsLength: number,
  ): boolean {
    const off = frame.start
    const meta = frame.meta
    // The checksum covers the datagram: no device can complete it on pieces.
    const partial = (meta & CSUM_MASK) === CSUM_PARTIAL ? partialChecksumAt(protocol) : -1
    let pseudo = 0
    if (partial >= 0) {
      pseudo = get16(frame.buf, off + partial)
      completeChecksum(frame.buf, off, frame.end - off, partial, protocol)
    }
    const train = this.fragmenter.train
    train.iface = route.iface
    train.neighbor = route.neighbor
    train.mtu = route.mtu
    train.source = route.source.w3
    train.destination = route.destination.w3
    train.identification = this.identification.take(train.source, train.destination, protocol)
    train.tos = tos
    train.ttl = ttl
    train.protocol = protocol
    for (let i = 0; i < optionsLength; i++) train.options[i] = options[i]
    train.optionsLength = optionsLength
    train.buf = frame.buf
    train.at = off
    train.end = frame.end
    train.offset = 0
    train.more = 0
    if (this.fragmenter.send()) {
      this.counters.values[C.ipOutRequests]++
      return true
    }
    if (partial >= 0) put16(frame.buf, off + partial, pseudo)
    this.counters.values[C.ipOutBlocked]++
    return false
  }

  private reassemble(packet: Packet, field: number): void {
    const tag = (packet.protocol << 16) | get16(packet.buf, packet.start + IP4.identification)
    const from = (field & IP4_OFFSET_MASK) << 3
    if (this.reassembly.add(packet, tag, from, (field & IP4_MORE_FRAGMENTS) !== 0) !== Added.WHOLE) return
    this.deliver(packet)
    this.reassembly.release(packet)
  }

  private deliver(packet: Packet): void {
    if (this.ip.hooks !== null && !this.ip.hooks.input(packet)) return
    const n = this.counters.values
    if (this.ip.deliver(packet)) {
      n[C.ipInDelivers]++
      return
    }
    n[C.ipInUnknownProtos]++
    this.ip.errors.unreachable(packet, ErrorKind.PROTOCOL_UNREACHABLE)
  }

  /** IGMP goes by the group alone: queries come from routers, whoever they are (Linux: ip_check_mc_rcu). */
  private isListenedTo(packet: Packet): boolean {
    const { groups } = packet.iface
    return packet.protocol === PROTO_IGMP ? groups.has(packet.destination) : groups.accepts(packet.destination, packet.source)
  }

  private notForUs(packet: Packet): void {
    // RFC 1812 section 5.3.4: what came as a link broadcast is not forwarded.
    if (this.forward === null || packet.cast !== Cast.UNICAST) {
      const n = this.counters.values
      n[C.ipInAddrErrors]++
      n[C.ipDropNotForUs]++
      return
    }
    if (packet.off - packet.start > IP4_HEADER && !this.acceptOptions(packet)) return
    this.counters.values[C.ipInForwDatagrams]++
    this.forward.forward(packet)
  }

  /** False: the packet was dropped for its options (and answered, where an answer is due). */
  private acceptOptions(packet: Packet): boolean {
    const verdict = parseOptions(packet.buf, packet.start, packet.off - packet.start, this.options)
    packet.routerAlert = this.options.routerAlert
    if (verdict === OptionsVerdict.OK) return true
    if (verdict === OptionsVerdict.SOURCE_ROUTE) {
      this.drop(C.ipDropSourceRoute)
      this.ip.errors.unreachable(packet, ErrorKind.SOURCE_ROUTE_FAILED)
    } else {
      this.headerError(C.ipDropBadOptions)
      this.ip.errors.parameterProblem(packet, this.options.pointer, 0)
    }
    return false
  }

  private headerError(reason: number): void {
    this.counters.values[C.ipInHdrErrors]++
    this.counters.values[reason]++
  }

  private drop(reason: number): void {
    this.counters.values[C.ipInDiscards]++
    this.counters.values[reason]++
  }

  /** Counts a packet that is lost on its way out. True, because it counts as taken. */
  private discard(reason: number): boolean {
    this.counters.values[C.ipOutDiscards]++
    this.counters.values[reason]++
    return true
  }
}
