import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VirtualHost } from '../../src/sim/virtual-host.ts'

const task = (run: () => void) => ({ run })

describe('VirtualHost', () => {
  it('runs events in order of time, then of scheduling', () => {
    const host = new VirtualHost()
    const seen: string[] = []
    const note = (what: string) => task(() => seen.push(`${what}@${host.elapsedMs}`))
    host.after(2, note('b'))
    host.after(1, note('a'))
    host.after(2, note('c'))
    host.soon(note('now'))
    host.after(0, note('also now'))
    expect(host.idle).toBe(false)
    expect(host.run()).toBe(5)
    expect(seen).toEqual(['now@0', 'also now@0', 'a@1', 'b@2', 'c@2'])
    expect(host.idle).toBe(true)
    expect(host.nextMs).toBe(-1)
  })

  it('puts soon after what is queued at this instant, timers included', () => {
    const host = new VirtualHost()
    const seen: string[] = []
    host.after(
      5,
      task(() => {
        seen.push('first')
        host.soon(task(() => seen.push('soon')))
      }),
    )
    host.after(
      5,
      task(() => seen.push('second')),
    )
    host.run()
    expect(seen).toEqual(['first', 'second', 'soon'])
  })

  it('never runs a soon task before the caller has returned', () => {
    const host = new VirtualHost()
    let ran = false
    host.soon(task(() => (ran = true)))
    expect(ran).toBe(false)
    host.step()
    expect(ran).toBe(true)
    expect(host.step()).toBe(false)
  })

  it('stops at the limit and leaves the time there', () => {
    const host = new VirtualHost()
    const seen: number[] = []
    for (const at of [1, 2, 3])
      host.after(
        at,
        task(() => seen.push(at)),
      )
    expect(host.run(2)).toBe(2)
    expect([seen, host.elapsedMs, host.nextMs]).toEqual([[1, 2], 2, 1])
    host.advance(0.5)
    expect([seen.length, host.elapsedMs]).toEqual([2, 2.5])
    host.advance(0.5)
    expect(seen).toEqual([1, 2, 3])
  })

  it('keeps microseconds', () => {
    const host = new VirtualHost()
    const at: number[] = []
    host.after(
      0.1,
      task(() => at.push(host.us())),
    )
    host.after(
      1.1,
      task(() => at.push(host.us())),
    )
    host.after(
      0.0001,
      task(() => at.push(host.us())),
    )
    host.run()
    expect(at).toEqual([1, 100, 1100])
  })

  it('wraps both clocks', () => {
    const host = new VirtualHost({ startMs: 0x7fffffff })
    expect(host.ms()).toBe(0x7fffffff)
    host.advance(2)
    expect(host.ms()).toBe(-0x7fffffff)
    const micro = new VirtualHost({ startMs: 2147483.6 })
    expect(micro.us()).toBe(2147483600)
    micro.advance(0.1)
    expect(micro.us()).toBe((2147483700 | 0) as number)
    expect(micro.us()).toBeLessThan(0)
  })

  it('tells wall time from its own epoch', () => {
    const host = new VirtualHost({ wallStartNs: 5_000n, startMs: 99 })
    host.advance(1)
    expect(host.wallNs()).toBe(1_005_000n)
  })

  it('cancels once and ignores handles out of date', () => {
    const host = new VirtualHost()
    const seen: string[] = []
    const a = host.after(
      1,
      task(() => seen.push('a')),
    )
    host.cancel(a)
    host.cancel(a)
    const b = host.after(
      1,
      task(() => seen.push('b')),
    ) // takes the slot of a
    host.cancel(a)
    host.cancel(undefined)
    host.run()
    expect(seen).toEqual(['b'])
    host.cancel(b)
    expect(host.idle).toBe(true)
  })

  it('rethrows what was reported as uncaught after the event', () => {
    const host = new VirtualHost()
    let finished = false
    host.soon(
      task(() => {
        host.uncaught(new Error('handler'))
        finished = true
      }),
    )
    expect(() => host.run()).toThrow('handler')
    expect(finished).toBe(true)
    host.soon(
      task(() => {
        host.uncaught(1)
        host.uncaught(2)
      }),
    )
    expect(() => host.step()).toThrow(AggregateError)
    expect(() => host.run()).not.toThrow()
  })

  it('counts holds', () => {
    const host = new VirtualHost()
    host.hold()
    host.hold()
    host.release()
    expect(host.holds).toBe(1)
  })

  it('notices a simulation that runs in a circle', () => {
    const host = new VirtualHost()
    const again = task(() => host.soon(again))
    host.soon(again)
    expect(() => host.run()).toThrow(/stands still/)
  })

  it('agrees with a sorted list, whatever is scheduled and cancelled', () => {
    const command = fc.oneof(
      fc.record({ kind: fc.constant('after' as const), value: fc.integer({ min: 0, max: 50 }) }),
      fc.record({ kind: fc.constant('soon' as const), value: fc.constant(0) }),
      fc.record({ kind: fc.constant('cancel' as const), value: fc.nat() }),
      fc.record({ kind: fc.constant('advance' as const), value: fc.integer({ min: 0, max: 20 }) }),
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
        const host = new VirtualHost()
        const seen: number[] = []
        const expected: number[] = []
        let twin: { at: number; id: number }[] = []
        const handles: { handle: unknown; id: number }[] = []
        let now = 0
        let id = 0
        const drain = (until: number) => {
          twin.sort((x, y) => x.at - y.at || x.id - y.id)
          while (twin.length > 0 && twin[0].at <= until) expected.push(twin.shift()!.id)
        }
        for (const { kind, value } of commands) {
          const me = id++
          if (kind === 'after')
            handles.push({
              handle: host.after(
                value,
                task(() => seen.push(me)),
              ),
              id: me,
            })
          if (kind === 'soon') host.soon(task(() => seen.push(me)))
          if (kind === 'after' || kind === 'soon') twin.push({ at: now + value, id: me })
          if (kind === 'cancel' && handles.length > 0) {
            const victim = handles[value % handles.length]
            host.cancel(victim.handle)
            twin = twin.filter((t) => t.id !== victim.id)
          }
          if (kind === 'advance') {
            now += value
            drain(now)
            host.advance(value)
            expect(seen).toEqual(expected)
          }
        }
        drain(Number.POSITIVE_INFINITY)
        host.run()
        expect(seen).toEqual(expected)
      }),
    )
  })
})
