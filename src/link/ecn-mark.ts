/** Marking congestion in an IP header, as a router with ECN does (RFC 3168 section 5). */
import { get16, put16 } from '../base/bytes.ts'
import { fold } from '../base/checksum.ts'
import type { Medium } from '../netif/netif.ts'
import { linkHeader } from './carry.ts'

/** The two bits in the second byte of an IPv4 header, and in that of an IPv6 header, where the traffic class begins four bits early. */
const IPV4_SHIFT = 0
const IPV6_SHIFT = 4
export const CE = 3
/** Offset of the IPv4 header's checksum. */
const CHECKSUM = 10

/** Offset of the IP header of a packet that says ECT(0) or ECT(1) or is marked already; -1 for everything else. */
export function canBeMarked(buf: Uint8Array, start: number, end: number, medium: Medium): number {
  const ip = start + linkHeader(buf, start, end, medium)
  if (end - ip < 20) return -1
  const version = buf[ip] >> 4
  if (version !== 4 && version !== 6) return -1
  return ((buf[ip + 1] >> (version === 4 ? IPV4_SHIFT : IPV6_SHIFT)) & CE) === 0 ? -1 : ip
}

/** Sets the ECN field of the packet at `ip` to `field`, and returns what it was. The checksum of IPv4 follows (RFC 1624). */
export function setEcn(buf: Uint8Array, ip: number, field: number): number {
  const isV4 = buf[ip] >> 4 === 4
  const shift = isV4 ? IPV4_SHIFT : IPV6_SHIFT
  const before = get16(buf, ip)
  const was = (buf[ip + 1] >> shift) & CE
  buf[ip + 1] = (buf[ip + 1] & ~(CE << shift)) | (field << shift)
  if (isV4) {
    const sum = (~get16(buf, ip + CHECKSUM) & 0xffff) + (~before & 0xffff) + get16(buf, ip)
    put16(buf, ip + CHECKSUM, ~fold(sum) & 0xffff)
  }
  return was
}
