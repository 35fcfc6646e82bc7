/** The ring beside an array; the pool beside its books. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BufferPool } from '../../src/base/pool.ts'
import { ByteRing } from '../../src/base/ring.ts'

const bytes = (n: number, seed: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (seed * 31 + i * 7) & 255)

describe('ByteRing', () => {
  it('is an array of bytes, with holes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(5000), fc.nat(4000)), { maxLength: 60 }), (ops) => {
        const pool = new BufferPool()
        const ring = new ByteRing(pool)
        let data: number[] = []
        let held = new Map<number, number>() // offset of bytes beyond the contiguous part
        let seed = 0
        for (const [what, n, at] of ops) {
          const src = bytes(n, ++seed)
          if (what === 0) {
            ring.write(src, 0, n)
            data.push(...src)
            for (const key of [...held.keys()]) if (key < data.length) held.delete(key)
          } else if (what === 1 && n > 0) {
            const from = data.length + 1 + at
            ring.put(from, src, 0, n)
            for (let i = 0; i < n; i++) held.set(from + i, src[i])
          } else if (what === 2) {
            const out = new Uint8Array(n + 2)
            const got = ring.read(out, 1, n)
            expect(got).toBe(Math.min(n, data.length))
            expect([...out.subarray(1, 1 + got)]).toEqual(data.slice(0, got))
            data = data.slice(got)
            held = new Map([...held].map(([k, v]) => [k - got, v]))
          } else if (what === 3 && data.length > 0) {
            const off = at % data.length
            const len = Math.min(n, data.length - off)
            const out = new Uint8Array(len)
            ring.copyOut(off, len, out, 0)
            expect([...out]).toEqual(data.slice(off, off + len))
          } else if (what === 4) {
            // Fill the hole, then take over what was held beyond it as far as it is contiguous.
            const first = Math.min(...held.keys())
            if (!Number.isFinite(first)) continue
            const fill = bytes(first - data.length, ++seed)
            ring.write(fill, 0, fill.length)
            data.push(...fill)
            let more = 0
            while (held.has(data.length + more)) more++
            for (let i = 0; i < more; i++) data.push(held.get(data.length)!)
            for (const key of [...held.keys()]) if (key < data.length) held.delete(key)
            ring.extend(more)
          }
          expect(ring.length).toBe(data.length)
        }
        ring.clear()
        expect([ring.length, ring.capacity, pool.inUse]).toEqual([0, 0, 0])
      }),
      { numRuns: 80 },
    )
  })

  it('holds no memory when empty, keeps what lies beyond a hole, and forgets it when cleared', () => {
    const pool = new BufferPool()
    const ring = new ByteRing(pool)
    expect(ring.capacity).toBe(0)
    ring.write(bytes(10, 1), 0, 10)
    expect(ring.capacity).toBe(2048)
    ring.put(100, bytes(5, 2), 0, 5)
    ring.drop(10)
    expect(ring.capacity).toBe(2048) // something is still held beyond the hole
    ring.clear()
    expect([ring.capacity, pool.inUse]).toEqual([0, 0])
  })
})

describe('BufferPool', () => {
  it('gives powers of two, keeps its books, reuses', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 300_000 })), { maxLength: 40 }), (ops) => {
        const pool = new BufferPool(1 << 20)
        const out: Uint8Array[] = []
        for (const [take, n] of ops) {
          if (take) {
            const b = pool.take(n)
            expect(b.length).toBeGreaterThanOrEqual(Math.max(n, 2048))
            expect(Math.log2(b.length) % 1).toBe(0)
            expect(out.includes(b)).toBe(false)
            out.push(b)
          } else if (out.length > 0) pool.give(out.splice(n % out.length, 1)[0])
          expect(pool.inUse).toBe(out.reduce((s, b) => s + b.length, 0))
        }
      }),
      { numRuns: 50 },
    )
    const pool = new BufferPool()
    const a = pool.take(5000)
    pool.give(a)
    expect(pool.take(8000)).toBe(a)
  })

  it('has a class for every buffer that the configuration allows, not only for usual ones', () => {
    const pool = new BufferPool(0)
    const b = pool.take((64 << 20) + 1)
    expect(b.length).toBe(128 << 20)
    pool.give(b)
    expect(pool.inUse).toBe(0)
  })
})
