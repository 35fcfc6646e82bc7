/** What a host tells multicast routers: RFC 3376 sections 5 and 7.2, RFC 3810 sections 6 and 8.2; older versions RFC 2236, RFC 2710, RFC 1112. */
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { AddressState } from '../../src/ip/interface.ts'
import { messages } from '../../src/multicast/records.ts'
import { RecordType } from '../../src/multicast/wire.ts'
import { type Family, GroupWorld, V4, V6 } from '../support/group-world.ts'

describe.each<[string, Family]>([
  ['IGMP', V4],
  ['MLD', V6],
])('%s', (_, f) => {
  const [G, H] = f.groups
  const [A, B, C, D] = f.sources

  describe('unasked', () => {
    it('says nothing of the group that everybody is in, nor when asked', () => {
      const w = new GroupWorld(f)
      w.ask()
      w.ask({ group: f.allHosts })
      expect(w.take(300_000)).toEqual([])
      w.socket().joinGroup(f.allHosts)
      expect(w.take(300_000)).toEqual([])
    })

    it('tells a join and a leave at once, and once more within a second', () => {
      const w = new GroupWorld(f)
      const s = w.socket()
      s.joinGroup(G)
      const joined = w.take(5000)
      expect(joined).toMatchObject([
        { words: `TO_EX ${G} {}`, from: f.family === 4 ? '10.0.0.2' : 'fe80::2', to: f.routers, hops: 1 },
        { words: `TO_EX ${G} {}` },
      ])
      expect(joined[0].at).toBeLessThanOrEqual(1)
      expect(joined[1].at - joined[0].at).toBeLessThanOrEqual(1000)
      s.close()
      expect(w.words(5000)).toEqual([`TO_IN ${G} {}`, `TO_IN ${G} {}`])
      expect(w.counters()).toEqual(f.family === 4 ? { igmpOutReports: 4 } : { mldOutReports: 4 })
    })

    it('tells how the lists of sources change (the table of section 5.1, of RFC 3810 section 6.1)', () => {
      const w = new GroupWorld(f, { multicast: { robustness: 1 } })
      const s = w.socket()
      const changes: [string, () => void][] = [
        ['INCLUDE (A)', () => s.joinGroup(G, null, A)],
        ['INCLUDE (A, B)', () => s.joinGroup(G, null, B)],
        ['INCLUDE (B)', () => s.leaveGroup(G, null, A)],
        ['INCLUDE (C, D)', () => s.setSourceFilter(G, 'include', [C, D])],
        ['EXCLUDE (A)', () => s.setSourceFilter(G, 'exclude', [A])],
        ['EXCLUDE (A, B)', () => s.blockSource(G, B)],
        ['EXCLUDE (B, C)', () => s.setSourceFilter(G, 'exclude', [B, C])],
        ['INCLUDE (A)', () => s.setSourceFilter(G, 'include', [A])],
        ['INCLUDE ()', () => s.leaveGroup(G)],
      ]
      const told = changes.map(([state, change]) => {
        change()
        return [state, w.words(2000)]
      })
      expect(told).toEqual([
        ['INCLUDE (A)', [`ALLOW ${G} {${A}}`]],
        ['INCLUDE (A, B)', [`ALLOW ${G} {${B}}`]],
        ['INCLUDE (B)', [`BLOCK ${G} {${A}}`]],
        ['INCLUDE (C, D)', [`ALLOW ${G} {${C},${D}}; BLOCK ${G} {${B}}`]],
        ['EXCLUDE (A)', [`TO_EX ${G} {${A}}`]],
        ['EXCLUDE (A, B)', [`BLOCK ${G} {${B}}`]],
        ['EXCLUDE (B, C)', [`ALLOW ${G} {${A}}; BLOCK ${G} {${C}}`]],
        ['INCLUDE (A)', [`TO_IN ${G} {${A}}`]],
        ['INCLUDE ()', [`BLOCK ${G} {${A}}`]],
      ])
    })

    it('puts what changes together, and merges it with what is still to be repeated', () => {
      const w = new GroupWorld(f)
      const s = w.socket()
      s.joinGroup(G)
      s.joinGroup(H, null, A)
      expect(w.words(0)).toEqual([`TO_EX ${G} {}; ALLOW ${H} {${A}}`])
      s.blockSource(G, B)
      s.joinGroup(H, null, B)
      s.leaveGroup(H, null, A)
      // The change of mode is still to be told once, with the list as it is now; then the source once more.
      expect(w.words(0)).toEqual([`TO_EX ${G} {${B}}; ALLOW ${H} {${B}}; BLOCK ${H} {${A}}`])
      expect(w.words(5000)).toEqual([`BLOCK ${G} {${B}}; ALLOW ${H} {${B}}; BLOCK ${H} {${A}}`])
    })

    it('is told again when the link comes up', () => {
      const w = new GroupWorld(f)
      w.socket().joinGroup(G)
      w.socket().joinGroup(H, null, A)
      w.take(5000)
      w.iface.setUp(false)
      w.ask()
      expect(w.take(5000)).toEqual([])
      w.iface.setUp(true)
      expect(w.words(5000)).toEqual(new Array(2).fill(`TO_EX ${G} {}; ALLOW ${H} {${A}}`))
    })

    it('what changes while the link is down is told when it is up', () => {
      const w = new GroupWorld(f)
      const s = w.socket()
      w.iface.setUp(false)
      s.joinGroup(G, w.iface.iface)
      s.joinGroup(H, w.iface.iface)
      s.leaveGroup(H, w.iface.iface)
      expect(w.take(5000)).toEqual([])
      w.iface.setUp(true)
      expect(w.words(5000)).toEqual(new Array(2).fill(`TO_EX ${G} {}`))
    })

    it('leaves with the stack', async () => {
      const w = new GroupWorld(f)
      w.socket().joinGroup(G)
      w.take(5000)
      const closing = w.stack.close()
      expect(w.words(0)).toEqual([`TO_IN ${G} {}`])
      await closing
    })
  })

  describe('asked', () => {
    function member(): GroupWorld {
      const w = new GroupWorld(f)
      w.socket().joinGroup(G)
      const s = w.socket()
      s.joinGroup(H, null, A)
      s.joinGroup(H, null, B)
      w.take(5000)
      return w
    }

    it('about all groups: answers once, at some time within what is allowed', () => {
      const times = new Set<number>()
      for (let i = 0; i < 10; i++) {
        const w = member()
        for (let j = 0; j < i; j++) w.stack.random.int32() // another time each
        const began = w.world.elapsedMs
        w.ask({ code: 2 * f.codesPerSecond })
        const said = w.take(60_000)
        expect(said.map((s) => s.words)).toEqual([`IS_EX ${G} {}; IS_IN ${H} {${A},${B}}`])
        expect(said[0].at - began).toBeLessThanOrEqual(2000)
        times.add(said[0].at - began)
      }
      expect(times.size).toBeGreaterThan(5)
    })

    it('twice: the earlier answer will do', () => {
      const w = member()
      w.ask({ code: 1 })
      w.ask({ code: 100 })
      w.ask({ code: 100, group: G })
      expect(w.words(60_000)).toHaveLength(1)
      const began = w.world.elapsedMs
      w.ask({ code: 120 })
      w.ask({ code: 1 })
      const [said, ...more] = w.take(60_000)
      expect([more, said.at - began <= 1000 / f.codesPerSecond + 50]).toEqual([[], true])
    })

    it('about one group, which answers for itself', () => {
      const w = member()
      w.ask({ group: G })
      w.ask({ group: f.groups[2] })
      expect(w.words(60_000)).toEqual([`IS_EX ${G} {}`])
    })

    it.each([
      ['INCLUDE (A, B), asked for A and C: IS_IN of A', 'include', [0, 1], [[0, 2]], [0]],
      ['EXCLUDE (A, B), asked for A and C: IS_IN of C', 'exclude', [0, 1], [[0, 2]], [2]],
      ['nothing to say is not said', 'include', [0, 1], [[2, 3]], []],
      [
        'two questions are answered together',
        'exclude',
        [0],
        [
          [0, 1],
          [1, 2],
        ],
        [1, 2],
      ],
    ] as [string, 'include' | 'exclude', number[], number[][], number[]][])(
      'about sources of a group: %s',
      (_name, mode, listed, asked, answer) => {
        const w = new GroupWorld(f)
        w.socket().setSourceFilter(
          G,
          mode,
          listed.map((i) => f.sources[i]),
        )
        w.take(5000)
        for (const sources of asked) w.ask({ group: G, sources: sources.map((i) => f.sources[i]), code: f.codesPerSecond })
        expect(w.words(5000)).toEqual(answer.length === 0 ? [] : [`IS_IN ${G} {${answer.map((i) => f.sources[i])}}`])
      },
    )

    it('about sources, then about the group: the whole state (rule 4)', () => {
      for (const second of [{ group: G }, { group: G, sources: new Array(65).fill(A) }]) {
        const w = member()
        w.ask({ group: G, sources: [A] })
        w.ask(second)
        w.ask({ group: G, sources: [B] })
        expect(w.words(60_000)).toEqual([`IS_EX ${G} {}`])
      }
    })

    it('tells changes as often as the querier wants, and as the stack is told when it does not say', () => {
      const w = member()
      const count = (robustness: number): number => {
        w.ask({ robustness })
        w.take(60_000)
        w.socket().joinGroup(f.groups[2])
        const n = w.words(60_000).length
        return n
      }
      expect(count(5)).toBe(5)
    })

    it('a thousand times in a second: answers are rare, and nothing is kept', () => {
      const w = member()
      for (let i = 0; i < 1000; i++) {
        w.ask({ code: 0 })
        w.ask({ code: 0, group: H, sources: [A] })
        w.world.run(1)
      }
      expect(w.take(1000).filter((s) => s.words.includes('IS_EX')).length).toBeLessThanOrEqual(21)
      expect(w.stack.timers.size).toBeLessThan(10)
    })
  })

  describe('by a querier of the version before', () => {
    const old = f.newest - 1
    const report = `v${old} report`

    function member(): GroupWorld {
      const w = new GroupWorld(f)
      w.ask({ version: old, code: f.codesPerSecond })
      return w
    }

    it('speaks as it does: joins as a whole, told at once and again within ten seconds, to the group itself', () => {
      const w = member()
      const s = w.socket()
      s.joinGroup(G, null, A)
      const said = w.take(30_000)
      expect(said.map((x) => [x.words, x.to, x.hops])).toEqual(new Array(2).fill([`${report} ${G}`, G, 1]))
      expect(said[1].at - said[0].at).toBeLessThanOrEqual(10_000)
      s.joinGroup(G, null, B)
      expect(w.take(30_000)).toEqual([])
      s.leaveGroup(G)
      expect(w.take(30_000)).toMatchObject([{ words: `leave ${G}`, to: f.oldLeaveTo }])
    })

    it('answers for each group, within what is allowed', () => {
      const w = member()
      for (const g of [G, H]) w.socket().joinGroup(g)
      w.take(30_000)
      const began = w.world.elapsedMs
      w.ask({ version: old, code: f.codesPerSecond })
      const said = w.take(30_000)
      expect(said.map((s) => s.words).sort()).toEqual([`${report} ${G}`, `${report} ${H}`])
      for (const s of said) expect(s.at - began).toBeLessThanOrEqual(1000)
      w.ask({ version: old, code: f.codesPerSecond, group: H })
      expect(w.words(30_000)).toEqual([`${report} ${H}`])
    })

    it('leaves unsaid what a neighbour says, and then does not say goodbye', () => {
      const w = member()
      const s = w.socket()
      s.joinGroup(G)
      w.take(30_000)
      w.ask({ version: old, code: f.codesPerSecond })
      w.send(f.oldReport(old, G))
      expect(w.take(30_000)).toEqual([])
      s.leaveGroup(G)
      expect(w.take(30_000)).toEqual([])
    })

    it('forgets what was pending, and speaks the newest again when that querier has been silent for long', () => {
      const w = new GroupWorld(f)
      w.socket().joinGroup(G)
      expect(w.words(0)).toEqual([`TO_EX ${G} {}`])
      w.ask({ version: old, code: f.codesPerSecond })
      expect(w.words(0)).toEqual([])
      expect(w.words(30_000)).toEqual([`${report} ${G}`])
      // Robustness times the query interval, and the response time: 251 s after the query.
      w.world.run(251_000 - w.world.elapsedMs - 10)
      w.ask()
      expect(w.words(5)).toEqual([])
      w.take(30_000)
      w.ask()
      expect(w.words(30_000)).toEqual([`IS_EX ${G} {}`])
    })
  })

  it('speaks no newer version than it is told', () => {
    const w = new GroupWorld(f, { multicast: { igmpVersion: 2, mldVersion: 1 } })
    const s = w.socket()
    s.joinGroup(G)
    expect(w.words(30_000)).toEqual(new Array(2).fill(`v${f.newest - 1} report ${G}`))
    w.ask()
    expect(w.words(30_000)).toEqual([`v${f.newest - 1} report ${G}`])
    s.close()
    expect(w.words(30_000)).toEqual([`leave ${G}`])
  })

  it('cuts long lists up, and only those that may be', () => {
    const w = new GroupWorld(f, { udp: { maxSources: 1000, maxSources6: 1000 }, multicast: { robustness: 1 } })
    const list = Array.from({ length: 400 }, (_x, i) =>
      f.family === 4 ? `10.9.${i >> 8}.${i & 255}` : `fd09::${(i + 1).toString(16)}`,
    )
    const s = w.socket()
    s.setSourceFilter(G, 'include', list)
    const told = w.words(0).map((words) => /^ALLOW \S+ \{(.*)\}$/.exec(words)?.[1].split(',') ?? [])
    expect(told.length).toBe(f.family === 4 ? 2 : 5)
    expect(told.flat()).toEqual(list)
    s.setSourceFilter(G, 'exclude', list)
    const [all, ...more] = w.words(0)
    expect(more).toEqual([])
    expect(all.split(',').length).toBe(f.family === 4 ? 365 : 89)
  })
})

it('a list of sources ends however little room there is', () => {
  const group = address('ff15::1')
  const sources = ['fd00::1', 'fd00::2'].map(address)
  expect(messages([{ type: RecordType.ALLOW_NEW_SOURCES, group, sources }], 10, 20, 16)).toHaveLength(2)
})

describe('IGMPv1 (RFC 1112 appendix I)', () => {
  it('reports within ten seconds, and never says goodbye', () => {
    const w = new GroupWorld(V4)
    const [G] = V4.groups
    w.ask({ version: 1 })
    const s = w.socket()
    s.joinGroup(G)
    w.take(30_000)
    w.ask({ version: 2, code: 1 }) // the older one still counts
    const began = w.world.elapsedMs
    w.ask({ version: 1 })
    const [said] = w.take(30_000)
    expect([said.words, said.to]).toEqual([`v1 report ${G}`, G])
    expect(said.at - began).toBeLessThanOrEqual(10_000)
    s.close()
    expect(w.take(30_000)).toEqual([])
    expect(w.stack.multicast.igmp.versionOn(w.iface.iface)).toBe(1)
    w.world.run(260_000)
    expect(w.stack.multicast.igmp.versionOn(w.iface.iface)).toBe(3)
  })
})

describe('MLD without a name', () => {
  it('speaks from nobody while its address is being probed, and again with its name', () => {
    const w = new GroupWorld(V6)
    const [G] = V6.groups
    const [own] = w.iface.iface.addresses
    own.state = AddressState.TENTATIVE
    w.socket().joinGroup(G, w.iface.iface)
    const froms = (): string[] => w.take(5000).map((s) => s.from)
    expect(froms()).toEqual(['::', '::'])
    own.state = AddressState.PREFERRED
    w.iface.iface.groups.addressReady(own.address)
    w.stack.turn.rearm()
    expect(froms()).toEqual(['fe80::2', 'fe80::2'])
    w.iface.iface.groups.addressReady(own.address)
    expect(froms()).toEqual([])
  })

  it('says nothing on an interface that has IPv4 only, and everything when IPv6 comes', async () => {
    const w = new GroupWorld(V6, {}, ['10.0.0.2/24'])
    const [G] = V6.groups
    w.socket().joinGroup(G, w.iface.iface)
    w.ask()
    expect(w.take(60_000)).toEqual([])
    await w.world.settle(w.iface.addAddress('fe80::2/64'))
    w.ask({ code: 100 })
    expect(w.words(5000).filter((words) => words === `IS_EX ${G} {}` || words === `TO_EX ${G} {}`).length).toBeGreaterThan(0)
  })
})
