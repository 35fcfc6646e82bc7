/** Ranges beside a set of numbers. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Spans } from '../../src/tcp/spans.ts'

const list = (s: Spans, base: number): [number, number][] =>
  Array.from({ length: s.count }, (_, i) => [(s.leftOf(i) - base) | 0, (s.rightOf(i) - base) | 0])

function rangesOf(set: Set<number>): [number, number][] {
  const out: [number, number][] = []
  for (const n of [...set].sort((a, b) => a - b)) {
    const last = out.at(-1)
    if (last !== undefined && last[1] === n) last[1] = n + 1
    else out.push([n, n + 1])
  }
  return out
}

describe('Spans', () => {
  it('is a set of numbers; bounded; absorbs', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, -100, 0x7fffffff - 100),
        fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 30 }), fc.boolean()), { maxLength: 60 }),
        (base, ops) => {
          const max = 6
          const s = new Spans(max)
          let set = new Set<number>()
          for (const [from, len, absorb] of ops) {
            if (absorb && from < 40) {
              const to = (s.absorb((base + from) | 0) - base) | 0
              let want = from
              for (const [l, r] of rangesOf(set)) if (l <= want && r > want) want = r
              expect(to).toBe(want)
              set = new Set([...set].filter((n) => n >= want))
            } else {
              const next = new Set(set)
              for (let n = from; n < from + len; n++) next.add(n)
              const fits = rangesOf(next).length <= max
              expect(s.add((base + from) | 0, (base + from + len) | 0)).toBe(fits)
              if (fits) set = next
              expect(s.covers((base + from) | 0, (base + from + len) | 0)).toBe(fits)
            }
            expect(list(s, base)).toEqual(rangesOf(set))
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('tells the most recent first (RFC 2018 section 4)', () => {
    const s = new Spans(10)
    s.add(10, 20)
    s.add(50, 60)
    s.add(30, 40)
    s.add(12, 15)
    expect([0, 1, 2, 3].map((k) => (s.recent(k) < 0 ? null : s.leftOf(s.recent(k))))).toEqual([10, 30, 50, null])
    expect(s.highest(0)).toBe(60)
    expect(new Spans(10).highest(7)).toBe(7)
  })
})
