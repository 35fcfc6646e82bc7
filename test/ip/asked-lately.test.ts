import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AskedLately } from '../../src/ip/asked-lately.ts'

test('one question per address and interval; the answer says how long to wait', () => {
  const a = new AskedLately(16, 1000, 0)
  expect(a.ask(5, 77, 0)).toBe(0)
  expect(a.ask(5, 77, 0)).toBe(1000)
  expect(a.ask(5, 77, 400)).toBe(600)
  expect(a.ask(5, 78, 400)).toBe(0)
  expect(a.ask(5, 77, 999)).toBe(1)
  expect(a.ask(5, 77, 1000)).toBe(0)
})

test('address 0 is not taken for asked at the beginning', () => {
  expect(new AskedLately(16, 1000, 5_000).ask(0, 0, 5_000)).toBe(0)
})

test('a set full of recent questions makes the next wait for its oldest', () => {
  const a = new AskedLately(16, 1000, 0)
  for (let i = 0; i < 4; i++) expect(a.ask(3, i, i * 100)).toBe(0)
  expect(a.ask(3, 9, 350)).toBe(650)
  expect(a.ask(4, 9, 350)).toBe(0)
  expect(a.ask(3, 9, 1000)).toBe(0)
})

test('never twice within the interval, whatever is asked, also where the clock wraps', () => {
  const question = fc.record({ address: fc.nat(40), after: fc.nat(400) })
  fc.assert(
    fc.property(fc.array(question, { maxLength: 300 }), fc.integer(), (questions, start) => {
      const a = new AskedLately(4, 1000, start | 0)
      const last = new Map<number, number>()
      let t = 0
      for (const q of questions) {
        t += q.after
        const wait = a.ask(q.address, q.address, (start + t) | 0)
        expect(wait).toBeGreaterThanOrEqual(0)
        expect(wait).toBeLessThanOrEqual(1000)
        if (wait > 0) continue
        const before = last.get(q.address)
        if (before !== undefined) expect(t - before).toBeGreaterThanOrEqual(1000)
        last.set(q.address, t)
      }
    }),
    { numRuns: 100 },
  )
})
