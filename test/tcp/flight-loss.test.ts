/** Loss marking beside its naive twin: RFC 6675's IsLost, asked anew for every record after every step. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Flight } from '../../src/tcp/flight.ts'
import { FlightPool } from '../../src/tcp/flight-pool.ts'
import { LOST, SACKED } from '../../src/tcp/flight-record.ts'
import { markLost } from '../../src/tcp/is-lost.ts'
import { Rate } from '../../src/tcp/rate.ts'

const MSS = 100
const DUP_THRESH = 3

/** Which records are lost now, by the letter: bytes or ranges SACKed above. */
function naive(f: Flight): boolean[] {
  const out: boolean[] = []
  for (let i = 0; i < f.count; i++) {
    let above = 0
    let ranges = 0
    for (let j = i + 1; j < f.count; j++) {
      if ((f.flagsOf(j) & SACKED) === 0) continue
      above += (f.endOf(j) - f.startOf(j)) | 0
      if (j + 1 === f.count || (f.flagsOf(j + 1) & SACKED) === 0) ranges++
    }
    const isSacked = (f.flagsOf(i) & SACKED) !== 0
    const byRule = above > (DUP_THRESH - 1) * MSS || ranges >= DUP_THRESH
    out.push(!isSacked && ((f.flagsOf(i) & LOST) !== 0 || byRule))
  }
  return out
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('send' as const), n: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('sack' as const), at: fc.nat(4000), n: fc.integer({ min: 1, max: 400 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ack' as const), n: fc.integer({ min: 1, max: 700 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('again' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('timeout' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('first' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('renege' as const) }) },
)

describe('markLost', () => {
  it('marks what RFC 6675 calls lost, whatever came before, and keeps its sums', () => {
    const begin = fc.constantFrom(0, 0x7fffff00, -0x80000000, -200, 12345)
    fc.assert(
      fc.property(begin, fc.array(step, { minLength: 1, maxLength: 60 }), (una, steps) => {
        const f = new Flight(new FlightPool(), new Rate())
        f.una = una
        let nxt: number = una
        for (const s of steps) {
          const outstanding = (nxt - f.una) | 0
          if (s.kind === 'send') {
            for (let i = 0; i < s.n; i++) {
              nxt = (nxt + (i % 2 === 0 ? MSS : 3 * MSS)) | 0
              f.add(nxt, 0, 0)
            }
          } else if (s.kind === 'sack' && outstanding > 1) {
            const left = (f.una + 1 + (s.at % (outstanding - 1))) | 0
            const most = (nxt - left) | 0
            f.sack(left, (left + Math.min(s.n, most)) | 0)
          } else if (s.kind === 'ack' && outstanding > 0) f.acknowledge((f.una + Math.min(s.n, outstanding)) | 0)
          else if (s.kind === 'again') {
            const i = f.nextLost()
            if (i >= 0) f.retransmitted(i, Math.min(MSS, (f.endOf(i) - f.startOf(i)) | 0), 1, 0)
          } else if (s.kind === 'timeout') f.markAllLost()
          else if (s.kind === 'first' && f.count > 0) f.markFirstLost(MSS)
          else if (s.kind === 'renege') f.clearSacks()
          // Without SACKs nothing is asked, as in the code that asks.
          const expected = naive(f)
          const any = f.sackedBytes > 0
          markLost(f, MSS, DUP_THRESH)
          let lost = 0
          for (let i = 0; i < f.count; i++) {
            const isLost = (f.flagsOf(i) & LOST) !== 0
            if (any) expect(isLost).toBe(expected[i])
            if (isLost) lost += (f.endOf(i) - f.startOf(i)) | 0
          }
          expect(f.lostBytes).toBe(lost)
        }
      }),
      { numRuns: 1500, seed: 7 },
    )
  })
})
