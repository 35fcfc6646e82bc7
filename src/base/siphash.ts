/**
 * Keyed hashes (Aumasson and Bernstein, "SipHash: a fast short-input PRF").
 *
 * `HalfSipHash` (32-bit words, 1-3 rounds) spreads flows over hash tables so that a stranger cannot aim at one bucket.
 * `SipHash` (2-4 rounds, 128-bit key) makes initial sequence numbers, timestamps offsets and port offsets unguessable
 * (RFC 6528, RFC 6056); its 64-bit words are pairs of int32, because a BigInt would allocate.
 */
import type { Random } from './random.ts'

export class HalfSipHash {
  private readonly k0: number
  private readonly k1: number

  constructor(random: Random) {
    this.k0 = random.int32()
    this.k1 = random.int32()
  }

  /** Hash of four words: enough for a pair of 32-bit address digests and a pair of ports. */
  hash4(a: number, b: number, c: number, d: number): number {
    let v0 = this.k0
    let v1 = this.k1
    let v2 = 0x6c796765 ^ this.k0
    let v3 = 0x74656462 ^ this.k1
    for (let i = 0; i < 5; i++) {
      const m = i === 0 ? a : i === 1 ? b : i === 2 ? c : i === 3 ? d : 0x10000000
      v3 ^= m
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= m
    }
    v2 ^= 0xff
    for (let i = 0; i < 3; i++) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    return v1 ^ v3
  }
}

/** SipHash-2-4 over a sequence of 32-bit words (little-endian byte order, an even number of words is padded with zero). */
export class SipHash {
  private readonly key: Int32Array
  /** v0..v3 as low, high pairs. */
  private readonly v = new Int32Array(8)
  private pending = 0
  private count = 0

  constructor(key: Random | Int32Array) {
    this.key = key instanceof Int32Array ? key.slice(0, 4) : Int32Array.of(key.int32(), key.int32(), key.int32(), key.int32())
  }

  begin(): this {
    const v = this.v
    const k = this.key
    v[0] = k[0] ^ 0x70736575
    v[1] = k[1] ^ 0x736f6d65
    v[2] = k[2] ^ 0x6e646f6d
    v[3] = k[3] ^ 0x646f7261
    v[4] = k[0] ^ 0x6e657261
    v[5] = k[1] ^ 0x6c796765
    v[6] = k[2] ^ 0x79746573
    v[7] = k[3] ^ 0x74656462
    this.count = 0
    return this
  }

  word(w: number): this {
    if ((this.count++ & 1) === 0) this.pending = w
    else this.compress(this.pending, w)
    return this
  }

  /** The low 32 bits of the digest; `high` has the others. */
  end(): number {
    const bytes = this.count * 4
    if (this.count & 1) this.compress(this.pending, bytes << 24)
    else this.compress(0, bytes << 24)
    const v = this.v
    v[4] ^= 0xff
    for (let i = 0; i < 4; i++) this.round()
    this.high = v[1] ^ v[3] ^ v[5] ^ v[7]
    return v[0] ^ v[2] ^ v[4] ^ v[6]
  }

  /** The high 32 bits of the last digest. */
  high = 0

  private compress(lo: number, hi: number): void {
    this.v[6] ^= lo
    this.v[7] ^= hi
    this.round()
    this.round()
    this.v[0] ^= lo
    this.v[1] ^= hi
  }

  private round(): void {
    this.add(0, 2)
    this.rotate(2, 13)
    this.xor(2, 0)
    this.swap(0)
    this.add(4, 6)
    this.rotate(6, 16)
    this.xor(6, 4)
    this.add(0, 6)
    this.rotate(6, 21)
    this.xor(6, 0)
    this.add(4, 2)
    this.rotate(2, 17)
    this.xor(2, 4)
    this.swap(4)
  }

  private add(a: number, b: number): void {
    const v = this.v
    const lo = (v[a] >>> 0) + (v[b] >>> 0)
    v[a + 1] = v[a + 1] + v[b + 1] + (lo > 0xffffffff ? 1 : 0)
    v[a] = lo
  }

  private rotate(a: number, n: number): void {
    const v = this.v
    const lo = v[a]
    const hi = v[a + 1]
    v[a] = (lo << n) | (hi >>> (32 - n))
    v[a + 1] = (hi << n) | (lo >>> (32 - n))
  }

  private xor(a: number, b: number): void {
    this.v[a] ^= this.v[b]
    this.v[a + 1] ^= this.v[b + 1]
  }

  private swap(a: number): void {
    const lo = this.v[a]
    this.v[a] = this.v[a + 1]
    this.v[a + 1] = lo
  }
}
