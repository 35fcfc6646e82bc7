/** What an interface listens to is the sum of what its listeners want: RFC 3376 section 3.2, RFC 3810 section 4.2. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Address, address } from '../../src/base/address.ts'
import { FilterMode, Groups, SourceFilter } from '../../src/ip/groups.ts'

const { INCLUDE, EXCLUDE } = FilterMode
const G = address('239.1.2.3')
const SOURCES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'].map(address)

function filter(mode: number, ...sources: number[]): SourceFilter {
  return new SourceFilter(
    G,
    mode,
    sources.map((i) => SOURCES[i]),
  )
}

/** `EXCLUDE 1,2`; `nothing` when the group is not listened to. */
function shown(groups: Groups, group = G): string {
  const state = groups.find(group)
  if (state === null) return 'nothing'
  return `${state.mode === EXCLUDE ? 'EXCLUDE' : 'INCLUDE'} ${state.sources.map((s) => SOURCES.findIndex((x) => x.equals(s))).join()}`
}

describe('the sum', () => {
  it.each<[string, [number, ...number[]][], string]>([
    [
      'the example of RFC 3376: EXCLUDE lists meet, less what is included',
      [
        [EXCLUDE, 0, 1, 2],
        [EXCLUDE, 1, 2, 3],
        [INCLUDE, 2],
      ],
      'EXCLUDE 1',
    ],
    [
      'the second one: INCLUDE lists unite',
      [
        [INCLUDE, 0, 1],
        [INCLUDE, 1, 2],
      ],
      'INCLUDE 0,1,2',
    ],
    ['one that excludes nobody', [[EXCLUDE, 0], [EXCLUDE]], 'EXCLUDE '],
  ])('%s', (_, filters, sum) => {
    const groups = new Groups()
    for (const [mode, ...sources] of filters) groups.listen(filter(mode, ...sources))
    expect(shown(groups)).toBe(sum)
  })

  it('is heard when any of the listeners hears it, and changes are told once', () => {
    const arbitrary = fc.array(fc.tuple(fc.constantFrom(INCLUDE, EXCLUDE), fc.uniqueArray(fc.nat(3))), { maxLength: 5 })
    fc.assert(
      fc.property(arbitrary, fc.boolean(), (wanted, whole) => {
        const groups = new Groups()
        const filters = wanted.map(([mode, sources]) => filter(mode, ...sources))
        let told = 'nothing'
        groups.listener4 = {
          groupChanged: () => {
            expect(shown(groups)).not.toBe(told)
            told = shown(groups)
          },
          addressReady: () => {},
          linkUp: () => {},
          close: () => {},
        }
        for (const f of filters) groups.listen(f)
        if (whole) groups.join(G)
        for (const s of SOURCES) expect(groups.accepts(G, s)).toBe(whole || filters.some((f) => f.allows(s)))
        const some = whole || filters.some((f) => f.mode === EXCLUDE || f.sources.length > 0)
        expect(groups.has(G)).toBe(some)
        if (some) expect(told).toBe(shown(groups))
        for (const f of filters) groups.ignore(f)
        expect(groups.has(G)).toBe(whole)
        if (whole) expect(groups.leave(G)).toBe(true)
        expect([groups.leave(G), shown(groups), [...groups.states()].length]).toEqual([false, 'nothing', 0])
      }),
    )
  })

  it('counts joins as a whole', () => {
    const groups = new Groups()
    groups.join(G)
    groups.join(G)
    expect([groups.leave(G), groups.has(G), groups.leave(G), groups.has(G)]).toEqual([true, true, true, false])
  })
})

describe('groups with the same digest', () => {
  /** Words that the digest's multiplications undo: (w3, w2) with the same sum. */
  const twin = new Address(0xff0e0000 | 0, 0, 1, 5)
  const other = new Address(0xff0e0000 | 0, 0, 2, 5 ^ Math.imul(1, 0x9e3779b1) ^ Math.imul(2, 0x9e3779b1))
  const third = new Address(0xff0e0000 | 0, 0, 3, 5 ^ Math.imul(1, 0x9e3779b1) ^ Math.imul(3, 0x9e3779b1))

  it('are kept apart, in any order of leaving', () => {
    expect([other.digest, third.digest]).toEqual([twin.digest, twin.digest])
    for (const order of [
      [twin, other, third],
      [third, other, twin],
      [other, twin, third],
    ]) {
      const groups = new Groups()
      for (const g of [twin, other, third]) groups.join(g)
      const left = new Set([twin, other, third])
      for (const g of order) {
        groups.leave(g)
        left.delete(g)
        for (const x of [twin, other, third]) expect(groups.has(x)).toBe(left.has(x))
      }
    }
  })

  it('and zones do not count', () => {
    const groups = new Groups()
    const scoped = address('ff02::5')
    scoped.zone = 3
    groups.join(scoped)
    expect(groups.has(address('ff02::5'))).toBe(true)
  })
})
