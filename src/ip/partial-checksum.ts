/** The one transport field that IP touches: a PARTIAL checksum (netif.ts) that has to be completed where the link does not do it. */
import { put16 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import { PROTO_TCP, PROTO_UDP } from './packet.ts'

/** Offsets of the checksum fields in their headers (RFC 9293 section 3.1; RFC 768): wire.ts of tcp and udp are above this folder. */
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6

/** Offset of the checksum field inside a transport header that may be PARTIAL; -1 for protocols that have none. */
export function partialChecksumAt(protocol: number): number {
  return protocol === PROTO_TCP ? TCP_CHECKSUM : protocol === PROTO_UDP ? UDP_CHECKSUM : -1
}

/** Completes a PARTIAL checksum: the field holds the pseudo-header's sum, so the sum over everything is what is to be inverted. */
export function completeChecksum(buf: Uint8Array, off: number, length: number, field: number, protocol: number): void {
  const sum = checksum(buf, off, length)
  // RFC 768: a computed zero is sent as all ones, because zero says "no checksum".
  put16(buf, off + field, sum === 0 && protocol === PROTO_UDP ? 0xffff : sum)
}
