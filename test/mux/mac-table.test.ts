import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MacTable } from '../../src/mux/mac-table.ts'

/** Few addresses, so that they collide, are found and are removed. */
const key = fc.tuple(fc.constantFrom(0, 0x0200, 0xffff), fc.constantFrom(0, 1, -1, 16, 32, 48, 0x7fffffff, -0x80000000))

it('is a map of addresses, whatever is added and removed', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 60 }), (steps) => {
      const table = new MacTable()
      const twin = new Map<string, number>()
      let next = 0
      for (const [adds, [high, low]] of steps) {
        const known = twin.get(`${high} ${low}`)
        expect(table.get(high, low)).toBe(known ?? -1)
        if (adds && known === undefined) {
          table.add(high, low, next)
          twin.set(`${high} ${low}`, next++)
        } else if (!adds && known !== undefined) {
          table.remove(known)
          twin.delete(`${high} ${low}`)
        }
        expect(table.size).toBe(twin.size)
      }
      for (const [text, value] of twin) {
        const [high, low] = text.split(' ').map(Number)
        expect(table.get(high, low)).toBe(value)
      }
    }),
  )
})

it('grows', () => {
  const table = new MacTable()
  for (let i = 0; i < 3000; i++) table.add(2, i * 65536, i)
  for (let i = 0; i < 3000; i++) expect(table.get(2, i * 65536)).toBe(i)
  expect([table.get(3, 0), table.get(2, 1), table.size]).toEqual([-1, -1, 3000])
})
