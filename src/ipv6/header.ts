/** Writing IPv6 headers. */
import type { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import { IP6 } from './wire.ts'

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
