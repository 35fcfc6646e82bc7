/** The pseudo-header of TCP and UDP (RFC 9293 section 3.1, RFC 8200 section 8.1), as a running sum to continue with `sumBytes`. */
import type { Address } from '../base/address.ts'
import { fold } from '../base/checksum.ts'

/** Sum over both addresses and the protocol; the transport's length is added by the caller. IPv4 addresses count as 32 bits. */
export function pseudoHeaderSum(source: Address, destination: Address, protocol: number): number {
  let sum = protocol + halves(source.w3) + halves(destination.w3)
  if (!source.isV4) {
    sum += halves(source.w0) + halves(source.w1) + halves(source.w2)
    sum += halves(destination.w0) + halves(destination.w1) + halves(destination.w2)
  }
  return fold(sum)
}

function halves(w: number): number {
  return (w >>> 16) + (w & 0xffff)
}
