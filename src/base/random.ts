/**
 * Randomness is handed in: initial sequence numbers, ports, IP identifications, hash keys and jitter all come from one
 * `Random`. Node and browsers give the system's generator; tests and the simulator give a seeded one.
 */
export interface Random {
  /** 32 random bits as a signed int32. */
  int32(): number
}

/** A uniform integer in [0, n), n <= 2^31. */
export function randomBelow(random: Random, n: number): number {
  // The modulo bias of a 32-bit draw is below 2^-15 for the ranges used here (ports, milliseconds).
  return (random.int32() >>> 1) % n
}

/** A uniform number in [0, 1) with 32 bits of resolution. */
export function randomFraction(random: Random): number {
  return (random.int32() >>> 0) / 0x1_0000_0000
}

/** xoshiro128** (Blackman and Vigna), seeded by splitmix32: fast, repeatable, not for secrets. */
export class SeededRandom implements Random {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: number) {
    let s = seed | 0
    const next = (): number => {
      s = (s + 0x9e3779b9) | 0
      let z = s
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return z ^ (z >>> 16)
    }
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next() | 1 // never all zero
  }

  int32(): number {
    const r = Math.imul(rotate(Math.imul(this.b, 5), 7), 9)
    const t = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= t
    this.d = rotate(this.d, 11)
    return r | 0
  }
}

function rotate(x: number, n: number): number {
  return (x << n) | (x >>> (32 - n))
}
