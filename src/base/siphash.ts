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

/** SipHash-2-4 over a sequence of 32-bit words (little-endian byte order), gathered first and hashed by `end`. */
export class SipHash {
  private readonly key: Int32Array
  private words = new Int32Array(16)
  private count = 0
  /** The high 32 bits of the last digest. */
  high = 0

  constructor(key: Random | Int32Array) {
    this.key = key instanceof Int32Array ? key.slice(0, 4) : Int32Array.of(key.int32(), key.int32(), key.int32(), key.int32())
  }

  begin(): this {
    this.count = 0
    return this
  }

  word(w: number): this {
    if (this.count === this.words.length) {
      const larger = new Int32Array(2 * this.count)
      larger.set(this.words)
      this.words = larger
    }
    this.words[this.count++] = w
    return this
  }

  /**
   * The low 32 bits of the digest; `high` has the others. The state is eight local int32, low and high halves: in an array it costs three
   * times as much, a quarter of all of opening and closing a connection.
   */
  end(): number {
    const { words, count, key } = this
    let v0 = key[0] ^ 0x70736575
    let w0 = key[1] ^ 0x736f6d65
    let v1 = key[2] ^ 0x6e646f6d
    let w1 = key[3] ^ 0x646f7261
    let v2 = key[0] ^ 0x6e657261
    let w2 = key[1] ^ 0x6c796765
    let v3 = key[2] ^ 0x79746573
    let w3 = key[3] ^ 0x74656462
    // The last message block carries the length in bytes (section 2.2 of the paper); after it come the rounds of finalization.
    const blocks = (count >> 1) + 1
    for (let block = 0; block <= blocks; block++) {
      const at = block << 1
      let lo = 0
      let hi = 0
      let rounds = 2
      if (block === blocks) {
        v2 ^= 0xff
        rounds = 4
      } else {
        lo = at < count ? words[at] : 0
        hi = at + 1 < count ? words[at + 1] : count << 26
        v3 ^= lo
        w3 ^= hi
      }
      for (let i = 0; i < rounds; i++) {
        let sum = (v0 + v1) | 0
        w0 = (w0 + w1 + carry(v0, v1, sum)) | 0
        v0 = sum
        let turned = (v1 << 13) | (w1 >>> 19)
        w1 = ((w1 << 13) | (v1 >>> 19)) ^ w0
        v1 = turned ^ v0
        turned = v0
        v0 = w0
        w0 = turned

        sum = (v2 + v3) | 0
        w2 = (w2 + w3 + carry(v2, v3, sum)) | 0
        v2 = sum
        turned = (v3 << 16) | (w3 >>> 16)
        w3 = ((w3 << 16) | (v3 >>> 16)) ^ w2
        v3 = turned ^ v2

        sum = (v0 + v3) | 0
        w0 = (w0 + w3 + carry(v0, v3, sum)) | 0
        v0 = sum
        turned = (v3 << 21) | (w3 >>> 11)
        w3 = ((w3 << 21) | (v3 >>> 11)) ^ w0
        v3 = turned ^ v0

        sum = (v2 + v1) | 0
        w2 = (w2 + w1 + carry(v2, v1, sum)) | 0
        v2 = sum
        turned = (v1 << 17) | (w1 >>> 15)
        w1 = ((w1 << 17) | (v1 >>> 15)) ^ w2
        v1 = turned ^ v2
        turned = v2
        v2 = w2
        w2 = turned
      }
      v0 ^= lo
      w0 ^= hi
    }
    this.high = w0 ^ w1 ^ w2 ^ w3
    return v0 ^ v1 ^ v2 ^ v3
  }
}

/** The carry out of the int32 addition a + b = sum: without doubles, and so without allocation. */
function carry(a: number, b: number, sum: number): number {
  return ((a & b) | ((a | b) & ~sum)) >>> 31
}
