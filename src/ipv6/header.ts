/** Writing IPv6 headers, and the zones that travel in them over the loopback. */
import type { Address } from '../base/address.ts'
import { get16, put16, put32 } from '../base/bytes.ts'
import { IP6 } from './wire.ts'

const FE80 = 0xfe80

/** Writes the header at `at`. `length`: of all that follows it, in bytes. `flow`: the flow label. */
export function writeHeader(
  buf: Uint8Array,
  at: number,
  length: number,
  protocol: number,
  tos: number,
  flow: number,
  hops: number,
  source: Address,
  destination: Address,
): void {
  put32(buf, at, 0x60000000 | ((tos & 0xff) << 20) | flow)
  put16(buf, at + IP6.payloadLength, length)
  buf[at + IP6.nextHeader] = protocol
  buf[at + IP6.hopLimit] = hops
  source.write(buf, at + IP6.source)
  destination.write(buf, at + IP6.destination)
}

/**
 * What we say to ourselves goes by the loopback, and two links may both have fe80::1: so the zone travels in the address, in the 16 bits behind
 * fe80 that are zero otherwise (RFC 4291 section 2.5.6), and `takeZone` has it out again before anybody looks. `at`: the header.
 */
export function putZones(buf: Uint8Array, at: number, source: Address, destination: Address): void {
  if (source.zone !== 0) putZone(buf, at + IP6.source, source.zone)
  if (destination.zone !== 0) putZone(buf, at + IP6.destination, destination.zone)
}

function putZone(buf: Uint8Array, at: number, zone: number): void {
  if (get16(buf, at) === FE80 && get16(buf, at + 2) === 0 && zone <= 0xffff) put16(buf, at + 2, zone)
}

/** Takes the zone out of a link-local address that was read at `buf[at]`. Its `zone` stays 0 when there is none. */
export function takeZone(buf: Uint8Array, at: number, a: Address): void {
  const zone = a.w0 & 0xffff
  if (zone === 0 || a.w0 >>> 16 !== FE80) return
  a.w0 = FE80 << 16
  a.zone = zone
  put16(buf, at + 2, 0)
}
