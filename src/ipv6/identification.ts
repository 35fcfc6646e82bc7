/**
 * The identification of fragments: RFC 8200 section 4.5 wants it new for each datagram between two hosts, RFC 7739 that it tells a stranger nothing.
 * Section 5.3 of the latter: counters shared by keyed hash of the two addresses, from a place of their own, with an offset for each pair that the
 * hash gives as well.
 */
import type { Address } from '../base/address.ts'
import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'

const COUNTERS = 1024

export class Identification6 {
  private readonly place: HalfSipHash
  private readonly offset: HalfSipHash
  private readonly next = new Int32Array(COUNTERS)

  constructor(random: Random) {
    this.place = new HalfSipHash(random)
    this.offset = new HalfSipHash(random)
    for (let i = 0; i < COUNTERS; i++) this.next[i] = random.int32()
  }

  /** An identification for a datagram that is to be fragmented: 32 bits. */
  take(source: Address, destination: Address): number {
    const pair = (hash: HalfSipHash): number =>
      hash.hash4(
        hash.hash4(source.w0, source.w1, source.w2, source.w3),
        hash.hash4(destination.w0, destination.w1, destination.w2, destination.w3),
        0,
        0,
      )
    const i = pair(this.place) & (COUNTERS - 1)
    this.next[i]++
    return (this.next[i] + pair(this.offset)) | 0
  }
}
