import { describe, expect, it } from 'vitest'
import { SipHash } from '../../src/base/siphash.ts'

/** The reference key 00 01 ... 0f, as little-endian words. */
const KEY = Int32Array.of(0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c)

/** SipHash-2-4 of the bytes 00 01 ... (`words` * 4 of them), as the eight bytes of the reference implementation's table. */
function reference(words: number, hash = new SipHash(KEY)): string {
  hash.begin()
  for (let i = 0; i < words; i++) hash.word((4 * i) | ((4 * i + 1) << 8) | ((4 * i + 2) << 16) | ((4 * i + 3) << 24))
  const digest = new DataView(new ArrayBuffer(8))
  digest.setInt32(0, hash.end(), true)
  digest.setInt32(4, hash.high, true)
  return Array.from(new Uint8Array(digest.buffer), (b) => b.toString(16).padStart(2, '0')).join(' ')
}

describe('SipHash-2-4', () => {
  it.each([
    [0, '31 0e 0e dd 47 db 6f 72'],
    [1, 'b7 87 71 27 e0 94 27 cf'],
    [2, '62 24 93 9a 79 f5 f5 93'],
  ])('gives the reference digest of %i words', (words, digest) => {
    expect(reference(words)).toBe(digest)
  })

  it('begins anew each time, and takes more words than it has room for at first', () => {
    const hash = new SipHash(KEY)
    const long = reference(100, hash)
    expect(reference(1, hash)).toBe('b7 87 71 27 e0 94 27 cf')
    expect(reference(100, hash)).toBe(long)
    expect(reference(100)).toBe(long)
    expect(reference(101)).not.toBe(long)
  })

  it('depends on every word and on the key', () => {
    const digests = new Set<number>()
    for (let changed = -1; changed < 9; changed++) {
      const hash = new SipHash(KEY).begin()
      for (let i = 0; i < 9; i++) hash.word(i === changed ? 0x40000000 : 0)
      digests.add(hash.end())
    }
    for (let changed = 0; changed < 4; changed++) {
      const key = KEY.slice()
      key[changed] ^= 1
      const hash = new SipHash(key).begin()
      for (let i = 0; i < 9; i++) hash.word(0)
      digests.add(hash.end())
    }
    expect(digests.size).toBe(14)
  })
})
