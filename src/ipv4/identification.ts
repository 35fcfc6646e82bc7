/**
 * The identification field. RFC 6864 section 4: it means nothing in atomic datagrams (DF set, not fragmented), which carry 0; in
 * others it must not repeat soon for the same source, destination and protocol, and (RFC 7739) must tell a stranger nothing about
 * what we send to others.
 *
 * Counters are shared by hash: the keyed hash of the flow picks one of them and an offset to add, so that two flows that share a
 * counter still see unrelated numbers, and one flow counts through all 65,536 before it repeats.
 */

import type { Random } from '../base/random.ts'
import { HalfSipHash } from '../base/siphash.ts'

const COUNTERS = 1024

export class Identification {
  private readonly hash: HalfSipHash
  private readonly next = new Uint16Array(COUNTERS)

  constructor(random: Random) {
    this.hash = new HalfSipHash(random)
  }

  /** An identification for a datagram that may be fragmented: 16 bits. */
  take(source: number, destination: number, protocol: number): number {
    const h = this.hash.hash4(source, destination, protocol, 0)
    const i = h & (COUNTERS - 1)
    this.next[i]++
    return (this.next[i] + (h >>> 16)) & 0xffff
  }
}
