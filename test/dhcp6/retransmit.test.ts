import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/base/random.ts'
import { Retransmission } from '../../src/dhcp6/retransmit.ts'

/** The times of all messages, in ms, until it is over or there are 50. */
function times(terms: ConstructorParameters<typeof Retransmission>[0], seed = 1): { at: number[]; over: number } {
  const r = new Retransmission(terms, new SeededRandom(seed))
  const at: number[] = []
  let now = 5000
  while (!r.isOver(now) && at.length < 50) {
    at.push(now)
    now += r.next(now)
  }
  return { at, over: now }
}

describe('retransmission (RFC 8415 section 15)', () => {
  const seeds = fc.nat(0x7fffffff)

  it('waits IRT, then twice as long each time, MRT at most, a tenth more or less', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 100, max: 5000 }), (seed, first) => {
        const most = 20 * first
        const { at } = times({ first, most }, seed)
        let before = 0
        for (const [i, t] of at.slice(1).entries()) {
          const wait = t - at[i]
          if (i === 0) expect(Math.abs(wait - first)).toBeLessThanOrEqual(0.1 * first + 1e-6)
          else if (wait < 0.9 * most - 1e-6) expect(Math.abs(wait - 2 * before)).toBeLessThanOrEqual(0.1 * before + 1e-6)
          expect(wait).toBeLessThanOrEqual(1.1 * most + 1e-6)
          before = wait
        }
        expect(at.length).toBe(50)
      }),
      { numRuns: 30 },
    )
  })

  it('is over after MRC messages and the wait for the last, or after MRD', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 8 }), (seed, attempts) => {
        expect(times({ first: 100, attempts }, seed).at.length).toBe(attempts)
        const { at, over } = times({ first: 100, most: 1000, duration: 10_000 }, seed)
        expect(over).toBe(15_000)
        expect(at[at.length - 1]).toBeLessThan(15_000)
      }),
      { numRuns: 30 },
    )
  })

  it('never ends the first wait of SOLICIT before IRT (section 18.2.1)', () => {
    const waits = Array.from({ length: 40 }, (_, seed) => {
      const { at } = times({ first: 1000, later: true, attempts: 2 }, seed)
      return at[1] - at[0]
    })
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(1000)
    expect(Math.max(...waits)).toBeLessThanOrEqual(1100)
    expect(new Set(waits).size).toBeGreaterThan(30)
  })
})
