import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AddressTable, Learned } from '../../src/switch/address-table.ts'

const AGE = 300_000

describe('AddressTable', () => {
  it('learns, sees again, moves, and keeps VLANs apart', () => {
    const table = new AddressTable(16, 7)
    expect(table.learn(1, 0x0200, 5, 3, 1000)).toBe(Learned.NEW)
    expect(table.learn(1, 0x0200, 5, 3, 1001)).toBe(Learned.SEEN)
    expect(table.learn(1, 0x0200, 5, 4, 1002)).toBe(Learned.MOVED)
    expect(table.movedFrom).toBe(3)
    expect(table.find(1, 0x0200, 5, 1002, AGE)).toBe(4)
    expect(table.find(2, 0x0200, 5, 1002, AGE)).toBe(-1)
    expect(table.count).toBe(1)
  })

  it('believes nothing that is too old, also when the clock wraps', () => {
    const table = new AddressTable(16, 7)
    const start = 0x7fff_fff0
    table.learn(1, 0x0200, 5, 0, start)
    expect(table.find(1, 0x0200, 5, (start + AGE - 1) | 0, AGE)).toBe(0)
    expect(table.find(1, 0x0200, 5, (start + AGE) | 0, AGE)).toBe(-1)
    const gone: number[] = []
    table.expire((start + AGE) | 0, AGE, (port) => gone.push(port))
    expect([gone, table.count]).toEqual([[0], 0])
  })

  it('is bounded', () => {
    const table = new AddressTable(100, 7)
    const did = Array.from({ length: 150 }, (_, i) => table.learn(1, 0x0200, i, 0, 0))
    expect(did.filter((d) => d === Learned.NEW).length).toBe(100)
    expect(did.filter((d) => d === Learned.FULL).length).toBe(50)
    expect(table.entries().length).toBe(100)
  })

  it('agrees with a map, whatever happens to it', () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ what: fc.constant('learn' as const), address: fc.nat(90), port: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('flush' as const), address: fc.constant(0), port: fc.nat(3) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('expire' as const), address: fc.nat(40), port: fc.constant(0) }) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), (steps, key) => {
        const table = new AddressTable(64, key)
        const twin = new Map<number, { port: number; seen: number }>()
        steps.forEach(({ what, address, port }, now) => {
          if (what === 'flush') {
            table.flush(port)
            for (const [a, entry] of twin) if (entry.port === port) twin.delete(a)
          } else if (what === 'expire') {
            table.expire(now, address, () => undefined)
            for (const [a, entry] of twin) if (now - entry.seen >= address) twin.delete(a)
          } else if (table.learn(1, 0x0200, address, port, now) !== Learned.FULL) twin.set(address, { port, seen: now })
          expect(table.count).toBe(twin.size)
          for (const [a, entry] of twin) expect(table.find(1, 0x0200, a, now, AGE)).toBe(entry.port)
        })
        expect(
          table
            .entries()
            .map((e) => e.low)
            .sort(),
        ).toEqual([...twin.keys()].sort())
      }),
      { numRuns: 60 },
    )
  })
})
