/** The heap of deadlines beside a plain list, over the wrap of the clock; the tell list. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Counters, indexOf } from '../../src/base/counters.ts'
import { type Tellable, TellList } from '../../src/base/tell.ts'
import { Timed, Timers } from '../../src/base/timers.ts'

class Probe extends Timed {
  fired: number[] = []
  onFire: (() => void) | null = null

  constructor(readonly id: number) {
    super()
  }

  onTimer(now: number): void {
    this.timerArmed = false
    this.fired.push(now)
    this.onFire?.()
  }
}

describe('Timers', () => {
  it('fire what is due, when it is due', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 0x7fffffff - 500, -500),
        fc.array(fc.tuple(fc.nat(3), fc.nat(7), fc.integer({ min: 0, max: 300 })), { maxLength: 120 }),
        (base, ops) => {
          const timers = new Timers()
          const all = Array.from({ length: 8 }, (_, i) => new Probe(i))
          const due = new Map<number, number>()
          let now = 0
          for (const [what, i, n] of ops) {
            if (what <= 1) {
              timers.arm(all[i], (base + now + n) | 0)
              due.set(i, now + n)
            } else if (what === 2) {
              if (n % 2 === 0) timers.disarm(all[i])
              else timers.remove(all[i])
              due.delete(i)
            } else {
              now += n
              for (const p of all) p.fired = []
              const count = timers.fire((base + now) | 0)
              const expected = [...due].filter(([, at]) => at <= now).map(([id]) => id)
              expect(all.filter((p) => p.fired.length > 0).map((p) => p.id)).toEqual(expected.sort())
              expect(count).toBe(expected.length)
              for (const id of expected) due.delete(id)
            }
            const next = timers.next((base + now) | 0)
            const earliest = Math.min(...due.values())
            // Lazy entries may ask for a look earlier, never later.
            if (due.size > 0) expect(next >= 0 && next <= Math.max(0, earliest - now)).toBe(true)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('a handler may arm itself and others, also at once', () => {
    const timers = new Timers()
    const a = new Probe(1)
    const b = new Probe(2)
    a.onFire = () => {
      timers.arm(b, 10)
      timers.arm(a, 20)
    }
    timers.arm(a, 10)
    expect(timers.fire(10)).toBe(2)
    expect(b.fired).toEqual([10])
    expect(timers.next(10)).toBe(10)
  })

  it('next: -1 when there is nothing, 0 when overdue', () => {
    const timers = new Timers()
    expect(timers.next(0)).toBe(-1)
    timers.arm(new Probe(0), 5)
    expect([timers.next(0), timers.next(5), timers.next(9)]).toEqual([5, 0, 0])
  })
})

describe('TellList', () => {
  it('tells each once a round; those added meanwhile in the next; one that throws keeps nobody from being told', () => {
    const list = new TellList()
    const log: string[] = []
    const errors: unknown[] = []
    const make = (name: string, then?: () => void): Tellable => ({
      told: false,
      tell: () => {
        log.push(name)
        then?.()
      },
    })
    const a = make('a', () => list.add(a))
    const b = make('b', () => {
      throw new Error('b')
    })
    const c = make('c')
    for (const t of [a, b, c, a]) list.add(t)
    list.drain((e) => errors.push((e as Error).message))
    expect([log, errors, list.empty]).toEqual([['a', 'b', 'c'], ['b'], false])
    list.drain(() => {})
    expect(log).toEqual(['a', 'b', 'c', 'a'])
  })
})

describe('Counters', () => {
  it('count by name', () => {
    const names = ['x', 'y', 'z'] as const
    const C = indexOf(names)
    const c = new Counters(names)
    c.values[C.y] += 2
    expect(c.snapshot()).toEqual({ x: 0, y: 2, z: 0 })
    expect(c.snapshot(true)).toEqual({ y: 2 })
  })
})
