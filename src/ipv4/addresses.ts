/** Judging the addresses of incoming packets: sources that no host can have, and the broadcast forms of old. */
import { get16 } from '../base/bytes.ts'
import { Cast } from '../ethernet/ethernet.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { type Packet, PROTO_ICMP, PROTO_IGMP, PROTO_UDP, To } from '../ip/packet.ts'
import { C } from './counters.ts'
import { IP4, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from './wire.ts'

/** The counter that says why the source address cannot be (RFC 1122 section 3.2.1.3, RFC 1812 section 5.3.7), or -1. */
export function sourceFault(packet: Packet, ip: Ip): number {
  const { source, iface } = packet
  const word = source.w3
  const top = word >>> 24
  if (iface.isLoopback) return -1
  if (top === 0 || top === 127 || top >= 224) {
    // A host that looks for its address (DHCP), or a probe that has none (`arping -0`); a switch that asks for groups (RFC 3376 section 4.1.12).
    const nameless =
      word === 0 &&
      (packet.to === To.BROADCAST
        ? packet.protocol === PROTO_UDP || packet.protocol === PROTO_ICMP
        : packet.to === To.MULTICAST && packet.protocol === PROTO_IGMP)
    // 240/4 is odd but somebody's; only 255.255.255.255 is nobody's.
    if (!nameless && (top < 240 || word === -1)) return C.ipDropBadSource
  }
  const own = iface.addresses
  for (let i = 0; i < own.length; i++) {
    const broadcast = own[i].broadcast
    if (broadcast !== null && broadcast.w3 === word && broadcast.isV4) return C.ipDropBadSource
  }
  // Our own address on a wire: forged, or come back to us. Answering would be talking to ourselves.
  return ip.isLocal(source) ? C.ipDropOwnSource : -1
}

/**
 * The broadcast forms that nobody sends any more and everybody must know (RFC 1122 section 3.3.6): all zeros, as a whole or in the
 * host part of a connected network.
 */
export function isOldBroadcast(word: number, iface: Interface): boolean {
  if (word === 0) return true
  const own = iface.addresses
  for (let i = 0; i < own.length; i++) {
    // A prefix that has a broadcast address has a zero one as well; IPv6 prefixes and /31 have neither.
    if (own[i].broadcast !== null && (own[i].address.w3 & own[i].prefix.mask) === word) return true
  }
  return false
}

/**
 * A packet to an address that is not ours yet, at the port where answers of DHCP are awaited (RFC 2131 section 4.1, RFC 1542 section 4.1.2). It came
 * to our link address, whole.
 */
export function isForOpenPort(packet: Packet): boolean {
  const { buf, start, off, end, iface } = packet
  if (packet.protocol !== PROTO_UDP || packet.cast !== Cast.UNICAST || end - off < 4) return false
  if ((get16(buf, start + IP4.flagsFragment) & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK)) !== 0) return false
  return get16(buf, off + 2) === iface.openPort
}
