import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checksum, fold, sumBytes, updateChecksum } from '../../src/base/checksum.ts'

/** RFC 1071 as it is written: words one by one, end-around carry at once. */
function naive(bytes: Uint8Array, sum = 0): number {
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

/** One's complement has two zeros: 0 and 0xffff are the same number. */
function same(a: number, b: number): boolean {
  return a === b || (a % 0xffff === 0 && b % 0xffff === 0)
}

describe('checksum', () => {
  test('the example of RFC 1071 section 3', () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
    expect(sumBytes(bytes, 0, 8, 0)).toBe(0xddf2)
    expect(checksum(bytes, 0, 8)).toBe(0x220d)
  })

  test('equals its naive twin for any bytes, offset, length, alignment of the view and start', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 700 }),
        fc.nat(7),
        fc.nat(9),
        fc.nat(0xffff),
        fc.boolean(),
        (bytes, viewOffset, off, start, ones) => {
          if (ones) bytes.fill(0xff)
          const buf = new Uint8Array(new ArrayBuffer(bytes.length + viewOffset + off + 11), viewOffset, bytes.length + off)
          buf.fill(0xa5)
          buf.set(bytes, off)
          expect(same(sumBytes(buf, off, bytes.length, start), naive(bytes, start))).toBe(true)
          expect(sumBytes(buf, off, bytes.length, start)).toBeLessThanOrEqual(0xffff)
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('65,535 bytes of ones and more: no carry is lost', () => {
    for (const length of [65534, 65535, 65536, 131072, 200000, 0x80_0007]) {
      const bytes = new Uint8Array(length).fill(0xff)
      bytes[length >> 1] = 0x12
      expect(same(sumBytes(bytes, 0, length, 0), naive(bytes))).toBe(true)
      expect(same(sumBytes(bytes.subarray(1), 0, length - 1, 0xffff), naive(bytes.subarray(1), 0xffff))).toBe(true)
    }
  })

  test('ranges of even length may be chained in any way', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 100, maxLength: 400 }), fc.nat(49), (bytes, half) => {
        const cut = 2 * half
        const chained = sumBytes(bytes, cut, bytes.length - cut, sumBytes(bytes, 0, cut, 0))
        expect(same(chained, naive(bytes))).toBe(true)
      }),
    )
  })

  test('more buffers in turn than it remembers views of', () => {
    const buffers = Array.from({ length: 9 }, (_, i) => new Uint8Array(300).map((_, j) => (i * 31 + j * 7) & 255))
    for (let round = 0; round < 5; round++) {
      for (const b of buffers) expect(same(sumBytes(b, round, 300 - round, 0), naive(b.subarray(round)))).toBe(true)
    }
  })

  test('updating one word equals computing anew', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 60 }), fc.nat(9), fc.nat(0xffff), (bytes, word, to) => {
        const old = checksum(bytes, 0, bytes.length)
        const at = 2 * word
        const from = (bytes[at] << 8) | bytes[at + 1]
        bytes[at] = to >> 8
        bytes[at + 1] = to
        expect(same(updateChecksum(old, from, to), checksum(bytes, 0, bytes.length))).toBe(true)
      }),
    )
  })

  test('fold keeps the value modulo 0xffff', () => {
    fc.assert(fc.property(fc.nat(0x7fffffff), (n) => fold(n) % 0xffff === n % 0xffff && fold(n) <= 0xffff))
  })
})
