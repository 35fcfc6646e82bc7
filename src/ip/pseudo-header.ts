/** The pseudo-header that transport checksums cover: RFC 768, RFC 9293 section 3.1, RFC 8200 section 8.1. */
import type { Address } from '../base/address.ts'
import { fold } from '../base/checksum.ts'

/**
 * The folded, non-inverted sum over source, destination, protocol and length (transport header and payload): the start of a full
 * checksum, and what a PARTIAL checksum field holds.
 */
export function pseudoSum(source: Address, destination: Address, protocol: number, length: number): number {
  // The length may need 17 bits only with IPv6 jumbograms, which do not exist here; fold() takes any carry.
  let sum = protocol + length + half(source.w3) + half(destination.w3)
  if (!source.isV4) {
    sum +=
      half(source.w0) + half(source.w1) + half(source.w2) + half(destination.w0) + half(destination.w1) + half(destination.w2)
  }
  return fold(sum)
}

function half(word: number): number {
  return (word >>> 16) + (word & 0xffff)
}
