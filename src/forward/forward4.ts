/**
 * Forwarding of IPv4 (RFC 1812 section 5).
 *
 * Theory of operation. IPv4 has checked the header, the source and the options, and found that the packet is for somebody else. Here it is decided
 * whether it may go on (addresses that never leave a link, reverse path), where (route-cache.ts), whether it lives long enough and fits; then its
 * TTL goes down, the checksum with it (RFC 1624), and it departs (departure.ts) or is cut up. What goes no further is counted, and its
 * sender told where the RFCs want it.
 */
import { get16, put16 } from '../base/bytes.ts'
import { checksum, updateChecksum } from '../base/checksum.ts'
import { ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind } from '../ip/ip.ts'
import { Packet } from '../ip/packet.ts'
import { isOldBroadcast } from '../ipv4/addresses.ts'
import type { Forwarder, Ipv4 } from '../ipv4/ipv4.ts'
import { continueOptions } from '../ipv4/options.ts'
import { IP4, IP4_DONT_FRAGMENT, IP4_HEADER } from '../ipv4/wire.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK } from '../netif/netif.ts'
import { completeChecksum, type FrameTaker, Segmenter } from '../offload/segment.ts'
import { C } from './counters.ts'
import { FamilyForwarder, type ForwardDependencies } from './forwarder.ts'
import type { Way } from './route-cache.ts'

/** 169.254/16 (RFC 3927 section 2.6.2: never forwarded). */
const LINK_LOCAL = 0xa9fe

export class Forward4 extends FamilyForwarder implements Forwarder, FrameTaker {
  /** For super-segments whose segments are to be cut up. */
  private readonly segmenter = new Segmenter()
  private piece: Packet | null = null
  private way: Way | null = null

  constructor(
    private readonly deps: ForwardDependencies,
    private readonly ipv4: Ipv4,
  ) {
    super(deps, ETHERTYPE_IPV4)
  }

  forward(packet: Packet): void {
    const n = this.counters.values
    if (!packet.iface.forwarding4) {
      n[C.dropNotRouter]++
      return
    }
    const destination = packet.destination.w3
    const net = destination >>> 24
    // RFC 1812 section 5.3.7: what is nobody's address on a wire.
    if (net === 127 || net === 0) {
      n[C.dropMartianDestination]++
      return
    }
    if (destination >>> 16 === LINK_LOCAL || packet.source.w3 >>> 16 === LINK_LOCAL) {
      n[C.dropScope]++
      return
    }
    const way = this.wayOf(packet)
    if (way === null) return
    const { buf, start } = packet
    const largest = this.departure.largest(packet)
    const fits = largest <= way.mtu
    if (largest < 0) {
      n[C.dropUnsplittable]++
      return
    }
    if (!fits && (get16(buf, start + IP4.flagsFragment) & IP4_DONT_FRAGMENT) !== 0) {
      n[C.dropTooBig]++
      this.ip.errors.tooBig(packet, way.mtu)
      return
    }
    if (!this.mayPass(packet, way)) return
    const ttlAndProtocol = get16(buf, start + IP4.ttl)
    put16(buf, start + IP4.ttl, ttlAndProtocol - 0x100)
    put16(buf, start + IP4.checksum, updateChecksum(get16(buf, start + IP4.checksum), ttlAndProtocol, ttlAndProtocol - 0x100))
    if (packet.off - start > IP4_HEADER) this.continueOptions(packet, way)
    if (!this.mayLeave(packet, way)) return
    if (fits) this.departure.send(packet, way)
    else this.cutUp(packet, way)
  }

  override isBroadcast(out: Interface, destination: { w3: number }): boolean {
    // RFC 2644: directed broadcasts are not forwarded.
    for (const own of out.addresses) if (own.broadcast !== null && own.broadcast.w3 === destination.w3) return true
    return isOldBroadcast(destination.w3, out)
  }

  /** One segment, of a super-segment whose segments are too large. */
  frame(buf: Uint8Array, start: number, end: number): boolean {
    const piece = this.piece!
    piece.buf = buf
    piece.start = start
    piece.end = end
    const way = this.way!
    return this.ipv4.fragmenter.forward(piece, way.out!, way.neighbor, way.mtu)
  }

  private cutUp(packet: Packet, way: Way): void {
    const n = this.counters.values
    if ((packet.meta & GSO_MASK) !== 0) {
      const { segmenter } = this
      this.piece ??= new Packet(packet.iface)
      this.way = way
      if (!segmenter.begin(packet.buf, packet.start, packet.end, packet.meta, 'ip')) n[C.dropUnsplittable]++
      else if (!segmenter.run(this)) n[C.dropBlocked]++
      n[C.outForwDatagrams] += segmenter.taken
      segmenter.drop()
      this.way = null
      return
    }
    // The checksum covers the whole: nobody can complete it on pieces.
    const isPartial = (packet.meta & CSUM_MASK) === CSUM_PARTIAL
    if (isPartial && completeChecksum(packet.buf, packet.start, packet.end, 'ip') < 0) {
      n[C.dropUnsplittable]++
      return
    }
    n[this.ipv4.fragmenter.forward(packet, way.out!, way.neighbor, way.mtu) ? C.outForwDatagrams : C.dropBlocked]++
  }

  /** Record route and timestamp: our address on the way out (RFC 1812 sections 5.3.13.5 and 5.3.13.6). */
  private continueOptions(packet: Packet, way: Way): void {
    const { buf, start, off } = packet
    const own = this.ip.selectSource(way.out!, way.nextHop, true)
    // Not the time of day (RFC 791: the high bit says so): nobody needs to know our clock.
    const time = this.deps.clock.nowMs | 0x80000000
    if (own === null || !continueOptions(buf, start, this.ipv4.options, own.w3, time)) return
    put16(buf, start + IP4.checksum, 0)
    put16(buf, start + IP4.checksum, checksum(buf, start, off - start))
  }

  protected override refuse(packet: Packet, why: number): void {
    this.counters.values[why]++
    const { errors } = this.ip
    if (why === C.inNoRoutes) errors.unreachable(packet, ErrorKind.NET_UNREACHABLE)
    else if (why === C.dropUnreachable) errors.unreachable(packet, ErrorKind.HOST_UNREACHABLE)
    else if (why === C.dropProhibited) errors.unreachable(packet, ErrorKind.PROHIBITED)
  }
}
