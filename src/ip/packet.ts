/** The incoming IP packet as layers above IP see it: one reused record per stack. Whoever keeps anything copies it. */
import { Address } from '../base/address.ts'
import type { Interface } from './interface.ts'

/** What the destination address is to us. */
export const To = { HOST: 0, BROADCAST: 1, MULTICAST: 2, OTHER: 3 } as const

export class Packet {
  /** The interface it came in by. */
  iface: Interface
  buf: Uint8Array = new Uint8Array(0)
  /** First byte of the Ethernet header in `buf`; -1 where there is none (IP media, reassembled datagrams). */
  link = -1
  /** First byte of the IP header. */
  start = 0
  /** First byte of the transport header. */
  off = 0
  /** One past the last byte of the IP payload (link padding cut off). */
  end = 0
  readonly source = new Address()
  readonly destination = new Address()
  /** IP protocol / next header of what begins at `off`. */
  protocol = 0
  /** Where the byte that names `protocol` stands: what an ICMPv6 parameter problem points at. */
  protocolAt = 0
  /** Flow label (RFC 6437); 0 in IPv4. */
  flow = 0
  /** The Router Alert option was there (RFC 2113, RFC 2711). */
  routerAlert = false
  ttl = 0
  /** Traffic class: DSCP and ECN. */
  tos = 0
  /** Checksum state and super-segment size, as netif.ts has them. */
  meta = 0
  /** `To`: our unicast, broadcast or multicast. */
  to = 0
  /** `Cast` of the link frame: an ICMP error never answers a link broadcast. */
  cast = 0
  /** Put together from fragments: `buf` holds only header and payload of the whole. */
  reassembled = false

  constructor(iface: Interface) {
    this.iface = iface
  }

  /** Payload length in bytes. */
  get length(): number {
    return this.end - this.off
  }
}

/** IP protocol numbers (IANA). */
export const PROTO_ICMP = 1
export const PROTO_IGMP = 2
export const PROTO_TCP = 6
export const PROTO_UDP = 17
export const PROTO_ICMPV6 = 58
