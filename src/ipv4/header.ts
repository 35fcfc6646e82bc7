/** Writing IPv4 headers. */
import { get16, put16, put32 } from '../base/bytes.ts'
import { fold } from '../base/checksum.ts'
import { IP4, IP4_HEADER } from './wire.ts'

/**
 * Writes the header of `headerBytes` at `at`; its options, if any, are already in place behind the first 20 bytes.
 * `total`: header and payload in bytes. `flagsFragment`: flags and offset as the field has them.
 */
export function writeHeader(
  buf: Uint8Array,
  at: number,
  headerBytes: number,
  total: number,
  identification: number,
  flagsFragment: number,
  tos: number,
  ttl: number,
  protocol: number,
  source: number,
  destination: number,
): void {
  const first = ((0x40 | (headerBytes >> 2)) << 8) | (tos & 0xff)
  const ttlProtocol = ((ttl & 0xff) << 8) | protocol
  put16(buf, at + IP4.versionIhl, first)
  put16(buf, at + IP4.totalLength, total)
  put16(buf, at + IP4.identification, identification)
  put16(buf, at + IP4.flagsFragment, flagsFragment)
  put16(buf, at + IP4.ttl, ttlProtocol)
  put32(buf, at + IP4.source, source)
  put32(buf, at + IP4.destination, destination)
  // Summed from the values at hand: reading the bytes back would cost as much again.
  let sum = first + total + identification + flagsFragment + ttlProtocol
  sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff)
  for (let i = IP4_HEADER; i < headerBytes; i += 2) sum += get16(buf, at + i)
  put16(buf, at + IP4.checksum, ~fold(sum) & 0xffff)
}
