/**
 * IPv6 (RFC 8200).
 *
 * Theory of operation. In: an `Ipv6Port` per interface hands over what follows the link header. The header is checked once, the
 * addresses are judged (link-local ones get the zone of the interface), and the one `Packet` is filled. Packets for us go through their
 * extension headers and reassembly, where they have any, and then to their protocol; packets for others go to `forward`, or are
 * counted. Out: the header is written into the room before the segment and the interface sends; what is larger than the path takes is
 * cut up, or dropped when it must not be. Super-segments and PARTIAL checksums pass through in both directions, as `meta` says; where a
 * link cannot complete a checksum it is done here. No packet makes anything here throw, and each drop has a counter.
 */
import type { Address } from '../base/address.ts'
import { get16, put16 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { Counters } from '../base/counters.ts'
import type { Ipv6Config } from '../base/ipv6-config.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import { Cast, type EtherProtocol } from '../ethernet/ethernet.ts'
import { ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { FragmentSender } from '../ip/fragment-sender.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, type Family, type FamilyRouting, type Ip } from '../ip/ip.ts'
import type { Neighbor } from '../ip/neighbor.ts'
import { Packet, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP, To } from '../ip/packet.ts'
import { completeChecksum, partialChecksumAt } from '../ip/partial-checksum.ts'
import { type Route, RouteKind } from '../ip/route.ts'
import type { Frame } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK } from '../netif/netif.ts'
import { addressFault } from './addresses.ts'
import { C, NAMES } from './counters.ts'
import { Extensions, Walk } from './extensions.ts'
import { FlowLabels } from './flow-label.ts'
import { FragmentWriter6, type Train6 } from './fragment.ts'
import { putZones, takeZone, writeHeader } from './header.ts'
import { Identification6 } from './identification.ts'
import { Fragments, Piece } from './reassembly.ts'
import { IP6, IP6_HEADER, IP6_MAX_PAYLOAD, NEXT_HOP_BY_HOP } from './wire.ts'

export interface Ipv6Dependencies {
  ip: Ip
  timers: Timers
  clock: Clock
  random: Random
  pool: BufferPool
  config: Ipv6Config
}

/** Gets the packets that are for others. */
export interface Forwarder6 {
  forward(packet: Packet): void
}

/** IPv6 as the protocol above one interface's link. */
export class Ipv6Port implements EtherProtocol {
  constructor(
    private readonly ipv6: Ipv6,
    readonly iface: Interface,
  ) {}

  /** On IP media: `cast` UNICAST and `frame` -1. */
  etherInput(buf: Uint8Array, start: number, end: number, meta: number, cast: number, frame: number): void {
    this.ipv6.input(this.iface, buf, start, end, meta, cast, frame)
  }
}

export class Ipv6 implements Family, FamilyRouting {
  readonly headerBytes = IP6_HEADER
  readonly etherType = ETHERTYPE_IPV6
  readonly counters = new Counters(NAMES)
  /** Null: a host, not a router. */
  forward: Forwarder6 | null = null
  private readonly ip: Ip
  private readonly config: Ipv6Config
  private readonly extensions: Extensions
  private readonly fragments: Fragments
  private readonly random: Random
  /** Made with the first datagram that needs it. */
  private identification: Identification6 | null = null
  private readonly fragmenter: FragmentSender<Train6>
  /** Made with the first packet that carries one. */
  private labels: FlowLabels | null = null
  private packet: Packet | null = null

  constructor(deps: Ipv6Dependencies) {
    this.ip = deps.ip
    this.config = deps.config
    const n = this.counters.values
    this.extensions = new Extensions(deps.config, n, deps.ip.errors)
    this.fragments = new Fragments(deps, deps.config, n, deps.ip.errors)
    this.random = deps.random
    this.fragmenter = new FragmentSender(new FragmentWriter6(), deps.pool, n)
    deps.ip.v6 = this
  }

  port(iface: Interface): EtherProtocol {
    return new Ipv6Port(this, iface)
  }

  /** The link of `iface` has room again: sends what was held back. */
  flushPending(iface: Interface): void {
    if (this.fragmenter.pending !== 0) this.fragmenter.flush(iface)
  }

  /** Forgets everything that waits for, or came in by, an interface that goes away. */
  dropInterface(iface: Interface): void {
    this.fragmenter.drop(iface)
    this.fragments.reassembly?.drop(iface)
    if (this.packet?.iface === iface) this.packet = null
  }

  /** One packet from a link, lent. `cast`: how the link addressed it. `link`: where its Ethernet header begins, or -1. */
  input(iface: Interface, buf: Uint8Array, start: number, end: number, meta: number, cast: number, link: number): void {
    const n = this.counters.values
    n[C.ip6InReceives]++
    n[C.ip6InOctets] += end - start
    if (end - start < IP6_HEADER) {
      n[C.ip6InTruncatedPkts]++
      return
    }
    if (buf[start] >> 4 !== 6) {
      this.headerError(C.ip6DropVersion)
      return
    }
    const length = get16(buf, start + IP6.payloadLength)
    if (length > end - start - IP6_HEADER) {
      n[C.ip6InTruncatedPkts]++
      return
    }
    if (this.packet === null) this.packet = new Packet(iface)
    const packet = this.packet
    packet.iface = iface
    packet.buf = buf
    packet.link = link
    packet.start = start
    packet.off = start + IP6_HEADER
    packet.end = start + IP6_HEADER + length
    packet.source.read(buf, start + IP6.source)
    packet.destination.read(buf, start + IP6.destination)
    if (packet.source.isLinkLocal) this.giveZone(packet.source, iface, start + IP6.source)
    if (packet.destination.isLinkLocal) this.giveZone(packet.destination, iface, start + IP6.destination)
    packet.protocol = buf[start + IP6.nextHeader]
    packet.protocolAt = start + IP6.nextHeader
    packet.ttl = buf[start + IP6.hopLimit]
    packet.tos = (get16(buf, start) >> 4) & 0xff
    packet.flow = ((buf[start + 1] & 15) << 16) | get16(buf, start + 2)
    packet.routerAlert = false
    packet.meta = meta
    packet.cast = cast
    packet.reassembled = false
    const fault = addressFault(packet, this.ip)
    if (fault >= 0) {
      n[C.ip6InAddrErrors]++
      n[fault]++
      return
    }
    if (this.ip.hooks !== null && !this.ip.hooks.prerouting(packet)) return
    const to = this.ip.classify(packet.destination, iface)
    packet.to = to
    if (to === To.HOST) {
      if (cast === Cast.BROADCAST) {
        this.drop(C.ip6DropLinkBroadcast)
        return
      }
    } else if (to === To.MULTICAST) {
      n[C.ip6InMcastPkts]++
      if (!iface.groups.has(packet.destination)) {
        this.drop(C.ip6DropUnknownGroup)
        return
      }
    }
    // RFC 8200 section 4.3: hop-by-hop options are for everybody on the way, all others for whom the packet is for.
    if (packet.protocol === NEXT_HOP_BY_HOP && !this.extensions.hopByHop(packet, length)) return
    if (to === To.OTHER) this.notForUs(packet)
    else this.deliver(packet)
  }

  /** A packet for us, from `packet.off` on. */
  private deliver(packet: Packet): void {
    const next = packet.protocol
    if (next !== PROTO_TCP && next !== PROTO_UDP && next !== PROTO_ICMPV6) {
      const walked = this.extensions.walk(packet)
      if (walked === Walk.FRAGMENT) this.fragment(packet)
      if (walked !== Walk.TRANSPORT) return
    }
    if (this.ip.hooks !== null && !this.ip.hooks.input(packet)) return
    if (this.ip.deliver6(packet)) this.counters.values[C.ip6InDelivers]++
    else {
      this.counters.values[C.ip6InUnknownProtos]++
      this.ip.errors.unreachable(packet, ErrorKind.PROTOCOL_UNREACHABLE)
    }
  }

  /**
   * A packet with a fragment header. Behind it there may be extension headers again, but no second fragment header (RFC 8200 section 4.1 would
   * have it tried): nobody sends fragments of fragments but to get past those who look only so deep.
   */
  private fragment(packet: Packet): void {
    if (packet.reassembled) {
      this.headerError(C.ip6DropHeaderOrder)
      return
    }
    const piece = this.fragments.take(packet)
    if (piece === Piece.ATOMIC) this.deliver(packet)
    else if (piece === Piece.WHOLE) {
      this.deliver(packet)
      this.fragments.reassembly!.release(packet)
    }
  }

  private notForUs(packet: Packet): void {
    const n = this.counters.values
    // What came to many on the link is for nobody here; link-local addresses end at their link (RFC 4291 section 2.5.6).
    if (this.forward === null || packet.cast !== Cast.UNICAST || packet.destination.isLinkLocal || packet.source.isUnspecified) {
      n[C.ip6InAddrErrors]++
      n[C.ip6DropNotForUs]++
    } else if (packet.source.isLinkLocal) {
      n[C.ip6InAddrErrors]++
      n[C.ip6DropBeyondScope]++
      if (packet.iface.forwarding6) this.ip.errors.unreachable(packet, ErrorKind.BEYOND_SCOPE)
    } else this.forward.forward(packet)
  }

  /** Family.output: see ip.ts. `route.source` and `route.destination` are the addresses of the header. */
  output(frame: Frame, route: Route, protocol: number, tos: number, ttl: number, dontFragment: boolean): boolean {
    const { hooks } = this.ip
    if (hooks === null) return this.transmit(frame, route, protocol, tos, ttl, dontFragment)
    const via = hooks.output(frame, route, protocol, tos, ttl === 0 && route.iface !== null ? this.hopLimit(route.iface) : ttl)
    if (via === null || this.transmit(frame, via, protocol, tos, ttl, dontFragment)) return true
    hooks.refused(frame)
    return false
  }

  /** `output` behind the packet filter. */
  private transmit(frame: Frame, route: Route, protocol: number, tos: number, ttl: number, dontFragment: boolean): boolean {
    const n = this.counters.values
    const { iface } = route
    if (iface === null) return this.discard(C.ip6OutDropNoInterface)
    const { buf, start: off, meta } = frame
    const length = frame.end - off
    const total = length + IP6_HEADER
    const hops = ttl === 0 ? this.hopLimit(iface) : ttl
    if (this.labels === null && this.config.flowLabels) this.labels = new FlowLabels(this.random)
    const flow = this.labels === null ? 0 : this.labels.of(route, protocol, buf, off)
    if ((meta & GSO_MASK) !== 0) {
      // The super-segment was made for another link than the one that it now leaves by.
      if (total > iface.netif.gsoMax) return this.discard(C.ip6OutDropGso)
    } else if (total > route.mtu) {
      // What has hop-by-hop options before its transport would need them in every fragment: nobody here says so much (MLD cuts up its own).
      if (dontFragment || length > IP6_MAX_PAYLOAD || protocol === NEXT_HOP_BY_HOP) {
        n[C.ip6FragFails]++
        return this.discard(C.ip6OutDropTooBig)
      }
      return this.cut(frame, route, protocol, tos, hops, flow)
    }
    const partial = (meta & CSUM_MASK) === CSUM_PARTIAL && !iface.checksumOffload ? partialChecksumAt(protocol) : -1
    let pseudo = 0
    if (partial >= 0) {
      pseudo = get16(buf, off + partial)
      completeChecksum(buf, off, length, partial, protocol)
      frame.meta = meta & ~CSUM_MASK
    }
    frame.start = off - IP6_HEADER
    writeHeader(buf, frame.start, length, protocol, tos, flow, hops, route.source, route.destination)
    if (iface.isLoopback) putZones(buf, frame.start, route.source, route.destination)
    const taken = iface.output(frame, route.neighbor, ETHERTYPE_IPV6)
    frame.start = off
    if (!taken) {
      if (partial >= 0) {
        put16(buf, off + partial, pseudo)
        frame.meta = meta
      }
      n[C.ip6OutBlocked]++
      return false
    }
    n[C.ip6OutRequests]++
    n[C.ip6OutOctets] += total
    if (route.kind === RouteKind.MULTICAST) n[C.ip6OutMcastPkts]++
    return true
  }

  /** Sends what is larger than the path takes in fragments. */
  private cut(frame: Frame, route: Route, protocol: number, tos: number, hops: number, flow: number): boolean {
    const { buf, start: off, end } = frame
    // The checksum covers the datagram: no device can complete it on pieces.
    const partial = (frame.meta & CSUM_MASK) === CSUM_PARTIAL ? partialChecksumAt(protocol) : -1
    let pseudo = 0
    if (partial >= 0) {
      pseudo = get16(buf, off + partial)
      completeChecksum(buf, off, end - off, partial, protocol)
    }
    const { train } = this.fragmenter
    train.iface = route.iface
    train.neighbor = route.neighbor
    train.mtu = route.mtu
    train.source.copy(route.source)
    train.destination.copy(route.destination)
    this.identification ??= new Identification6(this.random)
    train.identification = this.identification.take(train.source, train.destination)
    train.flow = flow
    train.tos = tos
    train.ttl = hops
    train.protocol = protocol
    train.buf = buf
    train.at = off
    train.end = end
    train.offset = 0
    train.more = 0
    if (this.fragmenter.send()) {
      this.counters.values[C.ip6OutRequests]++
      return true
    }
    if (partial >= 0) put16(buf, off + partial, pseudo)
    this.counters.values[C.ip6OutBlocked]++
    return false
  }

  /**
   * Sends by `iface` to the link address given, past routes and neighbours: what Neighbor Discovery says. Ethernet only; never
   * fragmented; the frame is any frame. False: the link is full.
   */
  outputOnLink(
    frame: Frame,
    iface: Interface,
    source: Address,
    destination: Address,
    protocol: number,
    hopLimit: number,
    macHigh: number,
    macLow: number,
  ): boolean {
    if (iface.ethernet === null || !iface.up) return this.discard(C.ip6OutDropNoInterface)
    const n = this.counters.values
    const { start: off } = frame
    const length = frame.end - off
    frame.start = off - IP6_HEADER
    writeHeader(frame.buf, frame.start, length, protocol, 0, 0, hopLimit, source, destination)
    const taken = iface.ethernet.output(frame, macHigh, macLow, ETHERTYPE_IPV6)
    frame.start = off
    n[taken ? C.ip6OutRequests : C.ip6OutBlocked]++
    if (taken) n[C.ip6OutOctets] += length + IP6_HEADER
    return taken
  }

  /** RFC 4007 section 6: the zone of an address at `at` in the packet. What we said to ourselves has brought it along. */
  private giveZone(a: Address, iface: Interface, at: number): void {
    if (!iface.isLoopback) a.zone = iface.index
    else {
      this.ip.settle(a)
      if (a.zone === 0) takeZone(this.packet!.buf, at, a)
    }
  }

  /** What packets leave by `iface` with unless asked otherwise (RFC 4861 section 6.3.4). */
  hopLimit(iface: Interface): number {
    return iface.hopLimit !== 0 ? iface.hopLimit : this.config.hopLimit
  }

  neighborFor(iface: Interface, route: Route): Neighbor | null {
    const table = iface.neighbors6
    if (table === null) return null
    if (route.kind === RouteKind.MULTICAST) return table.multicast(route.destination)
    return table.get(route.nextHop)
  }

  private headerError(reason: number): void {
    this.counters.values[C.ip6InHdrErrors]++
    this.counters.values[reason]++
  }

  private drop(reason: number): void {
    this.counters.values[C.ip6InDiscards]++
    this.counters.values[reason]++
  }

  /** Counts a packet that is lost on its way out. True, because it counts as taken. */
  private discard(reason: number): boolean {
    this.counters.values[C.ip6OutDiscards]++
    this.counters.values[reason]++
    return true
  }
}
