/** The demultiplexer beside a Map. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Address } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { HalfSipHash } from '../../src/base/siphash.ts'
import { type Flow, FlowTable } from '../../src/tcp/flows.ts'

const HOSTS = [Address.v4(0x0a000001), Address.v4(0x0a000002), new Address(0xfd000000, 0, 0, 1), new Address(0xfd000000, 0, 0, 2)]
const flow = (l: number, lp: number, r: number, rp: number): Flow => ({
  localAddress: HOSTS[l],
  localPort: lp,
  remoteAddress: HOSTS[r],
  remotePort: rp,
  keys: null,
  receive() {},
})

describe('FlowTable', () => {
  it('is a map, through growth, removal and replacement', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.array(fc.tuple(fc.nat(3), fc.nat(9), fc.nat(3), fc.nat(9), fc.nat(9)), { minLength: 50, maxLength: 400 }),
        (seed, ops) => {
          const table = new FlowTable(new HalfSipHash(new SeededRandom(seed)))
          const map = new Map<string, Flow>()
          for (const [l, lp, r, rp, what] of ops) {
            const key = `${l} ${lp} ${r} ${rp}`
            const found = table.find(HOSTS[l].clone(), lp, HOSTS[r].clone(), rp)
            expect(found).toBe(map.get(key) ?? null)
            if (found === null) {
              const f = flow(l, lp, r, rp)
              table.add(f)
              map.set(key, f)
            } else if (what < 4) {
              expect(table.remove(found)).toBe(true)
              expect(table.remove(found)).toBe(false)
              map.delete(key)
            } else if (what < 6) {
              const f = flow(l, lp, r, rp)
              table.replace(found, f)
              map.set(key, f)
            }
            expect(table.size).toBe(map.size)
          }
          const seen = new Set<Flow>()
          table.forEach((f) => {
            seen.add(f)
          })
          expect(seen).toEqual(new Set(map.values()))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('everybody may leave while visited', () => {
    const table = new FlowTable(new HalfSipHash(new SeededRandom(1)))
    for (let i = 0; i < 100; i++) table.add(flow(0, i, 1, i))
    table.forEach((f) => {
      table.remove(f)
    })
    expect(table.size).toBe(0)
    expect(table.find(HOSTS[0], 5, HOSTS[1], 5)).toBe(null)
  })
})
