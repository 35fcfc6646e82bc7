/** A router that only listens knows, after whatever has happened and any one report lost of each, what is listened to (RFC 3376 section 6.4). */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { type Family, GroupWorld, V4, V6 } from '../support/group-world.ts'

/** What a router knows of groups: mode and sources, by the tables of RFC 3376 section 6.4 without their timers. */
class Router {
  readonly groups = new Map<string, { exclude: boolean; sources: Set<string> }>()

  hear(words: string): void {
    for (const record of words.split('; ')) {
      const [, kind, group, list] = /^(\S+) (\S+) \{(.*)\}$/.exec(record) as RegExpExecArray
      const sources = new Set(list === '' ? [] : list.split(','))
      const known = this.groups.get(group) ?? { exclude: false, sources: new Set<string>() }
      this.groups.set(group, known)
      if (/_/.test(kind)) {
        known.exclude = kind.endsWith('EX')
        known.sources = sources
      } else for (const s of sources) (kind === 'ALLOW') === known.exclude ? known.sources.delete(s) : known.sources.add(s)
    }
  }

  wants(group: string, source: string): boolean {
    const g = this.groups.get(group)
    return g !== undefined && g.sources.has(source) !== g.exclude
  }
}

const operation = fc.record({
  socket: fc.nat(2),
  group: fc.nat(2),
  exclude: fc.boolean(),
  sources: fc.uniqueArray(fc.nat(3), { maxLength: 3 }),
  wait: fc.constantFrom(0, 0, 300, 5000),
})

describe.each<[string, Family]>([
  ['IGMPv3', V4],
  ['MLDv2', V6],
])('%s', (_, f) => {
  it('is told everything', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 12 }), (operations) => {
        const w = new GroupWorld(f)
        const sockets = [0, 1, 2].map(() => w.socket())
        const router = new Router()
        const { groups } = w.iface.iface
        for (const { socket, group, exclude, sources, wait } of operations) {
          sockets[socket].setSourceFilter(
            f.groups[group],
            exclude ? 'exclude' : 'include',
            sources.map((i) => f.sources[i]),
          )
          for (const words of w.words(wait)) router.hear(words)
        }
        for (const words of w.words(5000)) router.hear(words)
        for (const g of f.groups) {
          for (const s of f.sources) expect(router.wants(g, s)).toBe(groups.accepts(address(g), address(s)))
        }
      }),
      { numRuns: 40 },
    )
  })

  it('of single changes, though the first report is lost', () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 6 }), (operations) => {
        const w = new GroupWorld(f)
        const s = w.socket()
        const router = new Router()
        const { groups } = w.iface.iface
        for (const { group, exclude, sources } of operations) {
          s.setSourceFilter(
            f.groups[group],
            exclude ? 'exclude' : 'include',
            sources.map((i) => f.sources[i]),
          )
          const [, second, ...more] = w.words(5000)
          if (second !== undefined) router.hear(second)
          expect(more).toEqual([])
        }
        for (const g of f.groups) {
          for (const x of f.sources) expect(router.wants(g, x)).toBe(groups.accepts(address(g), address(x)))
        }
      }),
      { numRuns: 30 },
    )
  })
})
