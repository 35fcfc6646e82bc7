/** Judging the addresses of incoming IPv6 packets: those that no honest packet on a wire has. */
import type { Ip } from '../ip/ip.ts'
import { type Packet, PROTO_ICMPV6 } from '../ip/packet.ts'
import { C } from './counters.ts'

/** Neighbor Discovery's hop limit: the packet comes from a neighbour and was forwarded by nobody (RFC 4861 section 11.2). */
const FROM_A_NEIGHBOR = 255
const SCOPE_INTERFACE = 1

/** The counter that says why the addresses cannot be, or -1. `packet.to` need not be known yet. */
export function addressFault(packet: Packet, ip: Ip): number {
  const { source, destination, iface } = packet
  if (source.isMulticast) return C.ip6DropBadSource // RFC 4291 section 2.7
  if (destination.isUnspecified && !destination.isV4) return C.ip6DropBadDestination // RFC 4291 section 2.5.2
  if (destination.isMulticast) {
    // RFC 4291 section 2.7: scope 0 is reserved; interface-local never leaves its interface (RFC 7346 section 2).
    const scope = destination.multicastScope
    if (scope === 0 || (scope <= SCOPE_INTERFACE && !iface.isLoopback)) return C.ip6DropScope
  }
  // IPv4 in IPv6's clothes: never on a wire (RFC 4942 section 2.2; Linux as well), and here it would pass for IPv4 itself.
  if (source.isV4) return C.ip6DropBadSource
  if (destination.isV4) return C.ip6DropBadDestination
  if (iface.isLoopback) return -1
  // RFC 4291 section 2.5.3.
  if (source.isLoopback) return C.ip6DropBadSource
  if (destination.isLoopback) return C.ip6DropBadDestination
  // Who has no address yet asks groups only: duplicate address detection, router solicitations, MLD.
  if (source.isUnspecified) return destination.isMulticast ? -1 : C.ip6DropBadSource
  // Our own address on a wire: forged, or come back to us; but a neighbour may say that it has the address too (RFC 4862 section 5.4.4).
  const claims = packet.protocol === PROTO_ICMPV6 && packet.ttl === FROM_A_NEIGHBOR
  return !claims && ip.isLocal(source) ? C.ip6DropOwnSource : -1
}
