/** The flight log beside an array of bytes that knows of each byte what was done to it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Flight } from '../../src/tcp/flight.ts'
import { FlightPool } from '../../src/tcp/flight-pool.ts'
import { AMBIGUOUS, LOST, RETRANSMITTED, SACKED } from '../../src/tcp/flight-record.ts'
import { markLost } from '../../src/tcp/is-lost.ts'
import { Rate } from '../../src/tcp/rate.ts'

/** One entry per byte in flight: the flags. */
class Twin {
  bytes: number[] = []

  sum(flag: number): number {
    return this.bytes.filter((b) => (b & flag) !== 0).length
  }
}

function flagsOf(f: Flight): number[] {
  const out: number[] = []
  for (let i = 0; i < f.count; i++) for (let s = f.startOf(i); s !== f.endOf(i); s = (s + 1) | 0) out.push(f.flagsOf(i))
  return out
}

function check(f: Flight, twin: Twin): void {
  expect(flagsOf(f)).toEqual(twin.bytes)
  expect(f.sackedBytes).toBe(twin.sum(SACKED))
  expect(f.lostBytes).toBe(twin.sum(LOST))
  expect(f.retransmittedBytes).toBe(twin.sum(RETRANSMITTED))
}

type Step =
  | { kind: 'add' | 'ack' | 'markFirst'; n: number }
  | { kind: 'sack'; from: number; len: number }
  | { kind: 'allLost' | 'clearSacks' }
  | { kind: 'retransmit'; n: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), n: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ack' as const), n: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('sack' as const), from: fc.nat(150), len: fc.integer({ min: 1, max: 50 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('retransmit' as const), n: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('allLost' as const, 'clearSacks' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('markFirst' as const), n: fc.integer({ min: 1, max: 20 }) }) },
)

describe('Flight', () => {
  it('is its naive twin, wherever sequence numbers begin', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, -50, 0x7fffffff - 60, 12345), fc.array(step, { maxLength: 60 }), (una, steps) => {
        const f = new Flight(new FlightPool(), new Rate())
        f.una = una
        let nxt = una
        const twin = new Twin()
        for (const s of steps) {
          switch (s.kind) {
            case 'add':
              nxt = (nxt + s.n) | 0
              f.add(nxt, 0, 0)
              for (let i = 0; i < s.n; i++) twin.bytes.push(0)
              break
            case 'ack': {
              const n = Math.min(s.n, twin.bytes.length)
              if (n === 0) break
              const ambiguous = twin.bytes.slice(0, n).some((b) => (b & AMBIGUOUS) !== 0)
              f.beginAck(0, 0)
              f.acknowledge((f.una + n) | 0)
              twin.bytes.splice(0, n)
              expect(f.delivery.isAmbiguous).toBe(ambiguous)
              break
            }
            case 'sack': {
              const from = Math.min(s.from, twin.bytes.length)
              const to = Math.min(from + s.len, twin.bytes.length)
              if (from === to) break
              let fresh = 0
              for (let i = from; i < to; i++) {
                if ((twin.bytes[i] & SACKED) === 0) {
                  fresh++
                  twin.bytes[i] = (twin.bytes[i] & AMBIGUOUS) | SACKED
                }
              }
              expect(f.sack((f.una + from) | 0, (f.una + to) | 0)).toBe(fresh)
              break
            }
            case 'allLost':
              f.markAllLost()
              for (let i = 0; i < twin.bytes.length; i++) {
                if ((twin.bytes[i] & SACKED) === 0) twin.bytes[i] = (twin.bytes[i] & AMBIGUOUS) | LOST
              }
              break
            case 'clearSacks':
              f.clearSacks()
              twin.bytes = twin.bytes.map((b) => b & ~SACKED)
              break
            case 'markFirst': {
              if (f.count === 0) break
              const first = (f.endOf(0) - f.startOf(0)) | 0
              f.markFirstLost(s.n)
              for (let i = 0; i < Math.min(s.n, first); i++) {
                if ((twin.bytes[i] & SACKED) === 0) twin.bytes[i] = (twin.bytes[i] & AMBIGUOUS) | LOST
              }
              break
            }
            case 'retransmit': {
              const i = f.nextLost()
              const at = twin.bytes.findIndex((b) => (b & (LOST | RETRANSMITTED)) === LOST)
              expect(i < 0 ? -1 : (f.startOf(i) - f.una) | 0).toBe(at)
              if (i < 0) break
              const n = Math.min(s.n, (f.endOf(i) - f.startOf(i)) | 0)
              f.retransmitted(i, n, 7, 0)
              for (let k = at; k < at + n; k++) twin.bytes[k] |= RETRANSMITTED | AMBIGUOUS
              break
            }
          }
          check(f, twin)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('IsLost: three ranges or more than two segments above (RFC 6675 section 4)', () => {
    const build = (): Flight => {
      const f = new Flight(new FlightPool(), new Rate())
      for (let i = 1; i <= 8; i++) f.add(i * 100, i, 0)
      return f
    }
    const a = build()
    a.sack(100, 300)
    expect(markLost(a, 100, 3)).toBe(0) // exactly two segments: not more
    a.sack(300, 301)
    expect(markLost(a, 100, 3)).toBe(100)
    const b = build()
    b.sack(150, 151)
    b.sack(350, 351)
    b.sack(550, 551)
    expect(markLost(b, 100, 3)).toBe(150) // three ranges above the first 150 bytes
    expect(b.nextLost()).toBe(0)
  })

  it('gives round-trip samples of whole records sent once (Karn)', () => {
    const f = new Flight(new FlightPool(), new Rate())
    f.add(10, 100, 0)
    f.add(20, 200, 0)
    f.add(30, 300, 0)
    f.beginAck(350, 0)
    f.acknowledge(25)
    expect(f.delivery).toMatchObject({ hasSample: true, oldestUs: 100, newestUs: 200, isAmbiguous: false })
    f.markAllLost()
    f.retransmitted(f.nextLost(), 5, 400, 0)
    f.beginAck(500, 0)
    f.acknowledge(30)
    expect(f.delivery).toMatchObject({ hasSample: false, isAmbiguous: true })
    expect(f.count).toBe(0)
  })

  it('knows a peer that reneged', () => {
    const f = new Flight(new FlightPool(), new Rate())
    f.add(10, 0, 0)
    f.add(20, 0, 0)
    f.sack(10, 20)
    expect(f.reneged).toBe(false)
    f.acknowledge(10)
    expect(f.reneged).toBe(true)
  })
})
