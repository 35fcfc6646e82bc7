/** What a host does with router advertisements (RFC 4861 section 6.3, RFC 4191, RFC 8106), message by message. */

import { describe, expect, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import { randomBelow, SeededRandom } from '../../src/base/random.ts'
import { DAY, HOUR, OTHER_ROUTER, ROUTER, ROUTER_MAC, type RouterWords, RouterWorld } from '../support/router-world.ts'

const NEVER_READY = { acceptRa: true }

function world(options: ConstructorParameters<typeof RouterWorld>[1] = {}): RouterWorld {
  const w = new RouterWorld(NEVER_READY, options)
  w.run(3_000)
  w.said()
  return w
}

function other(words: RouterWords = {}): RouterWords {
  return { from: OTHER_ROUTER, options: ['sll 02:00:00:00:00:09'], frameFrom: '02:00:00:00:00:09', ...words }
}

describe('asking for routers (6.3.7, RFC 7559)', () => {
  test('a random time after the beginning, then with waits that double, without end, to once an hour', () => {
    const w = new RouterWorld(NEVER_READY)
    w.run(DAY)
    const asked = w.said(133)
    expect(asked[0].at).toBeLessThanOrEqual(1_000)
    for (const { to } of asked) expect(to).toBe('ff02::2')
    const waits = asked.slice(1).map((a, i) => a.at - asked[i].at)
    for (const [i, wait] of waits.entries()) {
      const before = i === 0 ? 2_000 : waits[i - 1]
      const base = Math.min(2 * before, 3_600_000)
      expect(wait).toBeGreaterThanOrEqual(Math.floor(0.9 * base))
      expect(wait).toBeLessThanOrEqual(Math.ceil(1.1 * base))
    }
    expect(asked.length).toBeGreaterThan(25)
    expect(asked.length).toBeLessThan(45)
  })

  test('from nobody while the link-local address is being asked for, then with its link address', () => {
    const w = new RouterWorld(NEVER_READY, { nd: { routerSolicitDelayMs: 0 } })
    w.run(10_000)
    expect(w.said(133).map((s) => [s.from, s.options])).toEqual([
      ['::', []],
      ['fe80::ff:fe00:2', ['sll 02:00:00:00:00:02']],
    ])
  })

  test('ends with a router, begins anew when the last one is gone, and when the link comes up', () => {
    const w = world()
    w.ra({ lifetime: 0 })
    w.run(60_000)
    expect(w.said(133).length).toBeGreaterThan(1)
    w.ra({ lifetime: 100 })
    w.run(99_000)
    expect(w.said(133)).toEqual([])
    w.run(10_000)
    expect(w.said(133).length).toBeGreaterThan(0)
    w.ra()
    w.eth.setUp(false)
    w.run(10_000)
    w.said()
    w.eth.setUp(true)
    w.run(1_000)
    expect(w.said(133).length).toBe(1)
  })
})

describe('an advertisement is not believed (6.1.2)', () => {
  test.each<[string, RouterWords, string, 'nd' | 'routers']>([
    ['from a global address', { from: 'fd00::1' }, 'dropAdvertisementSource', 'routers'],
    ['that a router has touched', { hops: 254 }, 'dropHopLimit', 'nd'],
    ['of another code', { code: 1 }, 'dropCode', 'nd'],
    ['that is too short', { options: [], cut: 1 }, 'dropTooShort', 'nd'],
    ['with an option of length 0', { options: ['raw 0500000000000000'] }, 'dropOptions', 'nd'],
    ['of our own', { from: 'fe80::ff:fe00:2' }, 'dropOwnAdvertisement', 'routers'],
  ])('%s', (_, words, counter, layer) => {
    const w = world()
    w.ra({ hopLimit: 9, ...words })
    expect([w.routes, w.eth.iface.hopLimit, w.eth.ra!.received]).toEqual([[], 0, 0])
    expect(w.stack.counters(true)[layer]).toMatchObject({ [counter]: 1 })
  })

  test('on an interface that did not ask for it: nothing at all is taken from it', () => {
    const w = new RouterWorld({ ipv6: true })
    w.run(3_000)
    expect(w.said(133)).toEqual([])
    w.ra({ hopLimit: 9, options: ['prefix fd00:1::/64 LA 3600 3600', `sll ${ROUTER_MAC}`] })
    expect([w.routes, w.globals, w.eth.iface.hopLimit, w.eth.ra]).toEqual([[], [], 0, null])
    expect(w.counters).toEqual({ inRouterAdvertisements: 1, dropAdvertisementUnwanted: 1 })
    expect(w.stack.neighbors).toEqual([])
  })
})

describe('values (6.3.4)', () => {
  test('zero says nothing; what is said holds until something else is', () => {
    const w = world()
    w.ra({ hopLimit: 9, reachable: 5_000, retrans: 200, options: ['mtu 1300'] })
    w.ra()
    expect(w.eth.ra).toMatchObject({ hopLimit: 9, reachableTimeMs: 5_000, retransTimerMs: 200, mtu: 1300 })
    w.ra({ hopLimit: 10, flags: 'managed other' })
    expect(w.eth.ra).toMatchObject({ hopLimit: 10, managed: true, other: true })
    w.ra()
    expect(w.eth.ra).toMatchObject({ managed: false, other: false })
  })

  test.each([
    ['an MTU below 1280', { options: ['mtu 1279'] }, 'dropMtu'],
    ['an MTU above the link', { options: ['mtu 1501'] }, 'dropMtu'],
    ['a reachable time above an hour', { reachable: 3_600_001 }, 'dropTimes'],
    ['a retransmission timer of a month', { retrans: 0xa0000000 }, 'dropTimes'],
    ['one of a millisecond', { retrans: 1 }, 'dropTimes'],
  ])('%s is not heeded', (_, words, counter) => {
    const w = world()
    w.ra(words)
    expect(w.eth.ra).toMatchObject({ mtu: 0, reachableTimeMs: 30_000, retransTimerMs: 1_000, received: 1 })
    expect(w.counters).toMatchObject({ [counter]: 1 })
  })

  test('the link address of the router is known then, and that it is one', () => {
    const w = world()
    w.ra()
    expect(w.stack.neighbors).toEqual([{ address: `${ROUTER}%eth0`, mac: ROUTER_MAC, state: 'STALE', interface: 'eth0' }])
    expect(w.eth.nd!.neighbors.find(w.eth.nd!.neighbors.entries()[0].address)!.isRouter).toBe(true)
  })
})

describe('default routers (6.3.4)', () => {
  test('live as long as they say, 0 ends at once', () => {
    const w = world()
    w.ra({ lifetime: 100 })
    w.run(60_000)
    w.ra({ lifetime: 100 })
    w.ra(other({ lifetime: 1_000 }))
    expect(w.routes).toEqual([`::/0 ${ROUTER}`, `::/0 ${OTHER_ROUTER}`])
    w.run(99_999)
    expect(w.routes).toEqual([`::/0 ${ROUTER}`, `::/0 ${OTHER_ROUTER}`])
    w.run(1)
    expect(w.routes).toEqual([`::/0 ${OTHER_ROUTER}`])
    w.ra(other({ lifetime: 0 }))
    expect(w.routes).toEqual([])
    expect(w.eth.ra!.routers).toEqual([])
  })

  test('are used by preference, which may change (RFC 4191)', () => {
    const w = world()
    w.ra()
    w.ra(other({ flags: 'high' }))
    expect(w.routes).toEqual([`::/0 ${OTHER_ROUTER}`, `::/0 ${ROUTER}`])
    w.ra(other({ flags: 'low' }))
    expect(w.routes).toEqual([`::/0 ${ROUTER}`, `::/0 ${OTHER_ROUTER}`])
    // Section 2.2: reserved is medium, who came first stays the first.
    w.ra(other({ flags: 'reserved' }))
    expect(w.eth.ra!.routers.map((r) => r.preference)).toEqual(['medium', 'medium'])
    expect(w.routes).toEqual([`::/0 ${ROUTER}`, `::/0 ${OTHER_ROUTER}`])
  })

  test('one that says that it is a host is none any more (7.2.5), known to the neighbour cache or not', () => {
    const w = world()
    w.ra()
    w.ra(other())
    w.na(OTHER_ROUTER, 0x20, 'ff02::1', '02:00:00:00:00:09')
    expect(w.routes).toEqual([`::/0 ${ROUTER}`])
    w.run(10_000)
    w.eth.nd!.neighbors.clear()
    w.na(ROUTER, 0x20)
    expect([w.routes, w.counters.routersBecameHost]).toEqual([[], 2])
  })

  test('a route that was taken out by hand comes back with the next advertisement', () => {
    const w = world()
    const prefix = 'prefix fd00:1::/64 L 3600 3600'
    w.ra({ options: [prefix] })
    w.stack.removeRoute('::/0')
    w.stack.removeRoute('fd00:1::/64')
    expect(w.routes).toEqual([])
    w.ra({ options: [prefix] })
    expect(w.routes).toEqual(['fd00:1::/64 link', `::/0 ${ROUTER}`])
  })
})

describe('a router that does not answer (6.3.6, RFC 4191 section 3.2)', () => {
  /** Sends something to far away, and who is asked for or sent to. */
  function talk(w: RouterWorld): void {
    const client = w.stack.udp.open({}, { family: 6 })
    client.send(new Uint8Array(10), 0, 10, address('fd77::1'), 9)
    w.run(0)
    client.close()
  }

  test('is avoided when the neighbour cache has given it up, though it is the better one; asked now and then, and used again when it is back', () => {
    const w = world()
    w.eth.addAddress('fd00:1::5/64', { probe: false })
    w.ra({ flags: 'high' })
    w.ra(other())
    talk(w)
    for (let i = 0; i < 12; i++) {
      w.run(1_000)
      talk(w)
    }
    expect(w.routes).toEqual([`::/0 ${OTHER_ROUTER}`, `::/0 ${ROUTER}`])
    expect(w.eth.ra!.routers.map((r) => r.silent)).toEqual([false, true])
    w.said()
    // The other one answers.
    for (let i = 0; i < 65; i++) {
      w.run(1_000)
      w.na(OTHER_ROUTER, 0xc0, 'fe80::ff:fe00:2', '02:00:00:00:00:09')
      talk(w)
    }
    expect(w.said(135).filter((s) => s.target === ROUTER).length).toBe(1)
    expect(w.counters).toMatchObject({ routersSilent: 1, routerProbes: 1 })
    w.na(ROUTER, 0xe0, 'fe80::ff:fe00:2')
    expect(w.routes).toEqual([`::/0 ${ROUTER}`, `::/0 ${OTHER_ROUTER}`])
    expect(w.stack.neighbors.find((n) => n.address.startsWith(`${ROUTER}%`))).toMatchObject({ mac: ROUTER_MAC })
  })

  test('is not asked without traffic (RFC 4191 section 3.5); its next advertisement says that it is back', () => {
    const w = world()
    w.eth.addAddress('fd00:1::5/64', { probe: false })
    w.ra({ flags: 'high', lifetime: 9_000 })
    w.ra(other({ lifetime: 9_000 }))
    talk(w)
    w.run(20_000)
    w.said()
    w.run(HOUR)
    expect([w.said(135), w.counters.routerProbes]).toEqual([[], undefined])
    expect(w.routes[0]).toBe(`::/0 ${OTHER_ROUTER}`)
    w.ra({ flags: 'high' })
    expect(w.routes[0]).toBe(`::/0 ${ROUTER}`)
  })

  test('when none answers they are tried in turn', () => {
    const w = world()
    w.eth.addAddress('fd00:1::5/64', { probe: false })
    w.ra({ options: [] })
    w.ra(other({ options: [] }))
    const tried: string[] = []
    for (let i = 0; i < 40; i++) {
      talk(w)
      w.run(500)
      for (const s of w.said(135)) if (tried[tried.length - 1] !== s.target) tried.push(s.target!)
    }
    expect(tried.slice(0, 4)).toEqual([ROUTER, OTHER_ROUTER, ROUTER, OTHER_ROUTER])
  })
})

describe('more specific routes (RFC 4191)', () => {
  test('have lifetimes and preferences of their own; lifetime 0 ends one', () => {
    const w = world()
    w.ra({ lifetime: 0, options: ['route fd99::/32 low 600', 'route fd98:1:2:3:4::/80 medium inf'] })
    w.ra(other({ lifetime: 0, options: ['route fd99::/32 high 300'] }))
    expect(w.routes).toEqual([`fd98:1:2:3:4::/80 ${ROUTER}`, `fd99::/32 ${OTHER_ROUTER}`, `fd99::/32 ${ROUTER}`])
    w.run(300_000)
    expect(w.routes).toEqual([`fd98:1:2:3:4::/80 ${ROUTER}`, `fd99::/32 ${ROUTER}`])
    w.ra({ lifetime: 0, options: ['route fd98:1:2:3:4::/80 medium 0'] })
    w.run(60 * DAY)
    expect(w.routes).toEqual([])
  })

  test('one for ::/0 takes the place of what the header says (3.1)', () => {
    const w = world()
    w.ra()
    w.ra(other({ flags: 'low', options: ['route ::/0 high 100'] }))
    expect(w.eth.ra!.routers).toMatchObject([{ address: `${OTHER_ROUTER}%eth0`, preference: 'high', lifetime: 100 }, {}])
  })

  test.each([
    ['of the reserved preference', 'route fd99::/32 reserved 600', 'dropRoutePreference'],
    ['to link-local addresses', 'route fe80::/64 medium 600', 'dropRoute'],
    ['to groups', 'route ff00::/8 medium 600', 'dropRoute'],
    ['whose prefix is longer than its option', 'raw 18018000000000ff', 'dropRoute'],
  ])('one %s is not heeded', (_, option, counter) => {
    const w = world()
    w.ra({ options: [option] })
    expect([w.routes, w.counters[counter]]).toEqual([[`::/0 ${ROUTER}`], 1])
  })
})

describe('prefixes on the link', () => {
  test('live as long as is said, for good, or not at all', () => {
    const w = world()
    w.ra({ lifetime: 0, options: ['prefix fd00:1::/64 L 600 600', 'prefix fd00:2::/48 L inf 0', 'prefix fd00:3::/64 A 600 600'] })
    expect(w.routes).toEqual(['fd00:1::/64 link', 'fd00:2::/48 link'])
    w.run(599_000)
    expect(w.routes).toEqual(['fd00:1::/64 link', 'fd00:2::/48 link'])
    w.run(1_000)
    expect(w.routes).toEqual(['fd00:2::/48 link'])
    w.run(100 * DAY)
    expect(w.routes).toEqual(['fd00:2::/48 link'])
    w.ra({ lifetime: 0, options: ['prefix fd00:2::/48 L 0 0'] })
    expect(w.routes).toEqual([])
  })

  test.each(['fe80::/64', 'ff05::/16', '::1/128', '::ffff:1.2.3.4/96', 'fd00::/129'])('%s is none', (text) => {
    const w = world()
    w.ra({ lifetime: 0, options: [`prefix ${text} LA 600 600`] })
    expect([w.routes, w.globals, w.counters.dropPrefix]).toEqual([[], [], 1])
  })
})

describe('DNS (RFC 8106)', () => {
  test('servers and domains in their order, with lifetimes', () => {
    const w = world()
    w.ra({ options: ['rdnss 600 fd00::53 fe80::53', 'dnssl 600 example.org a.b.example'] })
    w.ra({ options: ['rdnss inf fd00::54', 'dnssl 100 lab'] })
    expect(w.eth.nameservers).toEqual(['fd00::53', 'fe80::53%eth0', 'fd00::54'])
    expect(w.eth.searchDomains).toEqual(['example.org', 'a.b.example', 'lab'])
    w.run(100_000)
    expect(w.eth.searchDomains).toEqual(['example.org', 'a.b.example'])
    w.ra({ options: ['rdnss 0 fd00::53', 'dnssl 0 example.org'] })
    expect([w.eth.nameservers, w.eth.searchDomains]).toEqual([['fe80::53%eth0', 'fd00::54'], ['a.b.example']])
    w.run(DAY)
    expect([w.eth.nameservers, w.eth.searchDomains]).toEqual([['fd00::54'], []])
  })

  test.each([
    ['a group as server', 'rdnss 600 ff02::1', 'dropNameserver'],
    [
      'a name with a label that runs out of the option',
      'raw 1f0200000000025803616200000000ff'.replace('03616200000000ff', '3f61626364656667'),
      'dropSearchDomain',
    ],
    ['a compressed name', 'raw 1f02000000000258c00c000000000000', 'dropSearchDomain'],
    ['a name with a space in it', 'raw 1f02000000000258036120620000000000'.slice(0, 36), 'dropSearchDomain'],
  ])('%s is not heeded', (_, option, counter) => {
    const w = world()
    w.ra({ options: [option] })
    expect([w.eth.nameservers, w.eth.searchDomains, w.counters[counter]]).toEqual([[], [], 1])
  })
})

describe('a flood (RFC 6104)', () => {
  test('fills lists that have an end, and pushes out nobody', () => {
    const w = new RouterWorld({ slaac: true }, { nd: { temporaryAddresses: 'prefer' } })
    w.run(3_000)
    w.ra({
      options: ['prefix fd00:1::/64 LA inf inf', 'rdnss inf fd00::53', 'dnssl inf example.org', 'route fd99::/32 high inf'],
    })
    w.run(5_000)
    const before = [w.globals, w.routes.filter((r) => r.includes('fd00:1') || r.endsWith(` ${ROUTER}`))]
    for (let i = 0; i < 60; i++) {
      const n = (i + 2).toString(16)
      const many = [0, 1, 2, 3, 4].map((k) => `${n}${k}`)
      w.ra({
        from: `fe80::5:${n}`,
        options: [
          ...many.map((m) => `prefix fd01:${m}::/64 LA inf inf`),
          ...many.map((m) => `route fd02:${m}::/32 medium inf`),
          `rdnss inf ${many.map((m) => `fd03::${m}`).join(' ')}`,
          `dnssl inf ${many.map((m) => `x${m}`).join(' ')}`,
        ],
      })
      w.run(10)
    }
    w.run(10_000)
    const { maxAddresses, maxPrefixes, maxRouters, maxRouterRoutes, maxNameservers, maxSearchDomains } = w.stack.config.nd
    expect(w.globals.length).toBeLessThanOrEqual(maxAddresses)
    expect(w.eth.ra!.prefixes.length).toBe(maxPrefixes)
    expect(w.eth.ra!.routers.length).toBe(maxRouters)
    expect(w.routes.length).toBe(maxPrefixes + maxRouterRoutes + maxRouters)
    expect([w.eth.nameservers.length, w.eth.searchDomains.length]).toEqual([maxNameservers, maxSearchDomains])
    expect(w.globals).toEqual(expect.arrayContaining(before[0]))
    expect(w.routes).toEqual(expect.arrayContaining(before[1]))
    for (const name of ['Router', 'Route', 'Prefix', 'Address', 'Nameserver', 'SearchDomain'])
      expect(w.counters[`drop${name}Limit`], name).toBeGreaterThan(0)
    // Routers that offer nothing are not remembered at all.
    for (let i = 0; i < 50; i++) w.ra({ from: `fe80::6:${i}`, lifetime: 0, options: [] })
    expect(w.eth.ra!.routers.length).toBe(maxRouters)
  })
})

describe('mangled messages', () => {
  test.each([
    ['a host', { slaac: true }],
    ['a router', { addresses: ['fd00:1::1/64'] }],
  ])('never harm %s', (_, attach) => {
    const w = new RouterWorld(attach, { nd: { temporaryAddresses: 'prefer' } })
    if (!('slaac' in attach)) w.eth.advertise({ mtu: 1400 })
    w.run(3_000)
    const random = new SeededRandom(11)
    w.mangle = (message) => {
      const out = message.slice(0, randomBelow(random, 8) === 0 ? 4 + randomBelow(random, message.length - 3) : message.length)
      for (let n = randomBelow(random, 4); n >= 0; n--)
        if (out.length > 4) out[4 + randomBelow(random, out.length - 4)] = random.int32()
      return out
    }
    const options = [
      ...['prefix fd00:2::/64 LA 3600 1800', 'prefix fd00:3::/64 LA inf inf', 'route fd99::/32 high 600', 'mtu 1400'],
      ...['rdnss 600 fd00::53 fe80::53', 'dnssl 600 example.org a.b', 'sll 02:00:00:00:00:01'],
    ]
    for (let i = 0; i < 400; i++) {
      if (i % 8 === 0) w.rs({ options: ['sll 02:00:00:00:00:05'] })
      else w.ra({ options, from: i % 3 === 0 ? OTHER_ROUTER : ROUTER })
      w.run(randomBelow(random, 2_000))
      if (i % 50 > 0) continue
      const { nd } = w.stack.config
      expect(w.eth.iface.addresses.length).toBeLessThanOrEqual(nd.maxAddresses + 3)
      expect(w.routes.length).toBeLessThanOrEqual(nd.maxPrefixes + nd.maxRouters + nd.maxRouterRoutes)
      expect(w.eth.iface.mtu6).toBeGreaterThanOrEqual(1280)
      w.said()
    }
    expect(w.counters.inRouterAdvertisements).toBeGreaterThan(150)
  })
})
