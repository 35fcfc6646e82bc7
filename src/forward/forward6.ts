/**
 * Forwarding of IPv6 (RFC 8200 sections 3 and 5, RFC 4443, RFC 4291 section 2.5).
 *
 * Theory of operation. As forward4.ts, without what IPv6 has not: no checksum to mend, no fragmentation on the way. IPv6 has looked at the hop-by-hop
 * options already, and kept back what has a link-local address (RFC 4007 section 9).
 */
import type { Address } from '../base/address.ts'
import { ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import type { Forwarder6 } from '../ipv6/ipv6.ts'
import { IP6 } from '../ipv6/wire.ts'
import { C } from './counters.ts'
import { FamilyForwarder, type ForwardDependencies } from './forwarder.ts'

export class Forward6 extends FamilyForwarder implements Forwarder6 {
  constructor(deps: ForwardDependencies) {
    super(deps, ETHERTYPE_IPV6)
  }

  forward(packet: Packet): void {
    const n = this.counters.values
    const { source, destination } = packet
    if (!packet.iface.forwarding6) {
      n[C.dropNotRouter]++
      return
    }
    if (isMartian(destination)) {
      n[C.dropMartianDestination]++
      return
    }
    if (isMartian(source)) {
      n[C.dropMartianSource]++
      return
    }
    const way = this.wayOf(packet)
    if (way === null) return
    const largest = this.departure.largest(packet)
    if (largest < 0) {
      n[C.dropUnsplittable]++
      return
    }
    if (largest > way.mtu) {
      n[C.dropTooBig]++
      this.ip.errors.tooBig(packet, way.mtu)
      return
    }
    if (!this.mayPass(packet, way)) return
    packet.buf[packet.start + IP6.hopLimit]--
    if (!this.mayLeave(packet, way)) return
    this.departure.send(packet, way)
  }

  override isBroadcast(_out: Interface, _destination: Address): boolean {
    return false
  }

  protected override refuse(packet: Packet, why: number): void {
    this.counters.values[why]++
    const { errors } = this.ip
    // Linux answers "no route" for unreachable routes too (ip6_pkt_discard).
    if (why === C.inNoRoutes || why === C.dropUnreachable) errors.unreachable(packet, ErrorKind.NET_UNREACHABLE)
    else if (why === C.dropProhibited) errors.unreachable(packet, ErrorKind.PROHIBITED)
  }
}

/** What is nobody's address on a wire (RFC 4291 sections 2.5.2, 2.5.3, 2.5.5.2 and 2.7); multicast as a source, and as a destination not ours. */
function isMartian(a: Address): boolean {
  return a.isMulticast || a.isV4 || (a.w0 === 0 && a.w1 === 0 && a.w2 === 0 && a.w3 >>> 1 === 0)
}
