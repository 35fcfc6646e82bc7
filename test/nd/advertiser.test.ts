/** A router's advertisements (RFC 4861 section 6.2, RFC 4191, RFC 8106): what they say, when, and to whom. */
import { describe, expect, test } from 'vitest'
import type { ConfigOverrides } from '../../src/base/config.ts'
import type { AdvertiseOptions } from '../../src/nd/advertise-options.ts'
import { DAY, RouterWorld } from '../support/router-world.ts'

const OUR_MAC = '02:00:00:00:00:02'
const RA = 134

/** A router whose addresses are ready, and that has said nothing yet. */
function router(addresses = ['fd00:1::1/64'], config: ConfigOverrides = { forwarding: true }): RouterWorld {
  const w = new RouterWorld({ addresses, probe: false }, config)
  w.run(1_000)
  w.said()
  return w
}

function first(options: AdvertiseOptions, w = router()): ReturnType<RouterWorld['said']>[number] {
  w.eth.advertise(options)
  w.run(0)
  const said = w.said(RA)
  expect(said.length).toBe(1)
  return said[0]
}

describe('what is said', () => {
  test('with nothing asked for: the prefixes of our addresses, and that we are a router', () => {
    const w = router(['fd00:1::1/64', 'fd00:1::2/64', 'fd00:2::1/56', 'fd00:3::1/128', '10.0.0.1/24'])
    expect(first({}, w)).toEqual({
      ...{ at: 1_000, type: RA, from: 'fe80::ff:fe00:2', to: 'ff02::1' },
      ...{ lifetime: 1800, flags: 0, hopLimit: 64, reachable: 0, retrans: 0 },
      options: [`sll ${OUR_MAC}`, 'prefix fd00:1::/64 LA 2592000 604800', 'prefix fd00:2::/56 L 2592000 604800'],
    })
  })

  test('with everything', () => {
    const said = first({
      prefixes: [
        'fd00:9::1/64',
        { prefix: 'fd00:8::/64', onLink: false, validLifetime: 100 },
        { prefix: 'fd00:7::/48', autonomous: false, validLifetime: Number.POSITIVE_INFINITY, preferredLifetime: 5 },
      ],
      lifetime: 9000,
      preference: 'high',
      routes: ['::/0', { prefix: 'fd99::/32', lifetime: Number.POSITIVE_INFINITY, preference: 'low' }, 'fd98:0:0:1:8000::/65'],
      rdnss: ['fd00:1::53', 'fe80::53'],
      dnssl: ['Lab.Example.', 'x'],
      dnsLifetime: 77,
      mtu: 1400,
      hopLimit: 12,
      reachableTimeMs: 30_000,
      retransTimerMs: 1_000,
      managed: true,
      other: true,
    })
    expect(said).toMatchObject({ lifetime: 9000, flags: 0xc8, hopLimit: 12, reachable: 30_000, retrans: 1_000 })
    expect(said.options).toEqual([
      `sll ${OUR_MAC}`,
      'mtu 1400',
      'prefix fd00:9::/64 LA 2592000 604800',
      'prefix fd00:8::/64 A 100 100',
      'prefix fd00:7::/48 L inf 5',
      'route ::/0 medium 9000',
      'route fd99::/32 low inf',
      'route fd98:0:0:1:8000::/65 medium 9000',
      'rdnss 77 fd00:1::53 fe80::53',
      'dnssl 77 \x03lab\x07example\0\x01x\0',
    ])
  })

  test('who does not forward is no default router, and then has no preference (6.2.5, RFC 4191 section 2.2)', () => {
    const w = router(undefined, {})
    expect(first({ preference: 'high' }, w)).toMatchObject({ lifetime: 0, flags: 0 })
    w.stack.setForwarding({ v6: true })
    w.run(16_000)
    expect(w.said(RA)[0]).toMatchObject({ lifetime: 1800, flags: 0x08 })
  })

  test('as many of our prefixes as fit into a packet', () => {
    const many = Array.from({ length: 60 }, (_, i) => `fd00:${(i + 1).toString(16)}::1/64`)
    const { options } = first({}, router(many))
    expect(options.filter((o) => o.startsWith('prefix')).length).toBe(38)
  })

  test.each<[string, AdvertiseOptions, string]>([
    ['a lifetime of a day', { lifetime: 86_400 }, 'ERR_INVALID_ARG_VALUE'],
    ['a prefix of IPv4', { prefixes: ['10.0.0.0/24'] }, 'ERR_INVALID_ARG_VALUE'],
    ['the link-local prefix', { prefixes: ['fe80::/64'] }, 'ERR_INVALID_ARG_VALUE'],
    ['no prefix', { prefixes: ['x'] }, 'ERR_INVALID_IP_ADDRESS'],
    [
      'preferred above valid',
      { prefixes: [{ prefix: 'fd00::/64', validLifetime: 5, preferredLifetime: 6 }] },
      'ERR_INVALID_ARG_VALUE',
    ],
    ['an MTU below the least', { mtu: 1279 }, 'ERR_INVALID_ARG_VALUE'],
    ['an MTU above the link', { mtu: 1501 }, 'ERR_INVALID_ARG_VALUE'],
    ['an interval of a second', { intervalMs: 1_000 }, 'ERR_INVALID_ARG_VALUE'],
    ['a name that is none', { dnssl: ['a b'] }, 'ERR_INVALID_ARG_VALUE'],
    ['a server of IPv4', { rdnss: ['10.0.0.1'] }, 'ERR_INVALID_ARG_VALUE'],
    ['more than fits', { rdnss: Array.from({ length: 80 }, (_, i) => `fd00::${i}`) }, 'ERR_INVALID_ARG_VALUE'],
  ])('%s is refused', (_, options, code) => {
    const w = router()
    expect(() => w.eth.advertise(options)).toThrow(expect.objectContaining({ code }))
    w.run(20_000)
    expect([w.said(RA), w.stack.routers.advertises(w.eth.iface)]).toEqual([[], false])
  })
})

describe('when (6.2.4)', () => {
  test('three soon, then at random between a third of the interval and the whole', () => {
    const w = router()
    w.eth.advertise({ intervalMs: 600_000 })
    w.run(DAY)
    const times = w.said(RA).map((s) => s.at)
    const waits = times.slice(1).map((t, i) => t - times[i])
    expect(waits.slice(0, 2)).toEqual([16_000, 16_000])
    const rest = waits.slice(2)
    expect(Math.min(...rest)).toBeGreaterThanOrEqual(198_000)
    expect(Math.max(...rest)).toBeLessThanOrEqual(600_000)
    expect(new Set(rest).size).toBeGreaterThan(100)
  })

  test('not before there is a link-local address to speak from', () => {
    const w = new RouterWorld({ addresses: ['fd00:1::1/64'] }, { forwarding: true })
    w.eth.advertise()
    w.run(900)
    expect(w.said(RA)).toEqual([])
    w.run(1_200)
    expect(w.said(RA).map((s) => s.from)).toEqual(['fe80::ff:fe00:2'])
  })

  test('soon after a change, but 3 s apart', () => {
    const w = router()
    w.eth.advertise()
    w.run(40_000)
    const before = w.said(RA)
    w.eth.advertise({ hopLimit: 9 })
    w.eth.advertise({ hopLimit: 10 })
    w.run(33_000)
    const after = w.said(RA)
    expect(before.map((s) => s.hopLimit)).toEqual([64, 64, 64])
    expect(after.map((s) => [s.at - 41_000, s.hopLimit])).toEqual([
      [0, 10],
      [16_000, 10],
      [32_000, 10],
    ])
  })

  test('after the link was down: again from the beginning', () => {
    const w = router()
    w.eth.advertise()
    w.run(100)
    w.eth.setUp(false)
    w.run(DAY)
    expect(w.said(RA).length).toBe(1)
    w.eth.setUp(true)
    w.run(1)
    expect(w.said(RA).length).toBe(1)
  })

  test('while the link is full it is tried again, and counted', () => {
    const w = router()
    w.wire.full = true
    w.eth.advertise()
    w.run(250)
    w.wire.full = false
    w.run(100)
    expect([w.said(RA).length, w.counters.dropLinkFull]).toEqual([1, 3])
  })
})

describe('when asked (6.2.6)', () => {
  test('within half a second, and not twice in three seconds, however many ask', () => {
    const w = router()
    w.eth.advertise({ intervalMs: 1_800_000 })
    w.run(100_000)
    w.said()
    for (let i = 0; i < 100; i++) {
      w.rs({ from: `fe80::5:${i}` })
      w.run(100)
    }
    w.run(10_000)
    const times = w.said(RA).map((s) => s.at - 101_000)
    expect(times.length).toBe(5) // the last for those who asked after the fourth
    expect(times[0]).toBeLessThanOrEqual(500)
    for (const [i, t] of times.slice(1).entries()) {
      expect(t - times[i]).toBeGreaterThanOrEqual(3_000)
      expect(t - times[i]).toBeLessThanOrEqual(3_600)
    }
  })

  test('who asks is a neighbour, and a host (6.2.6)', () => {
    const w = router()
    w.eth.advertise()
    w.run(10_000)
    w.ra({ from: 'fe80::5', options: [] })
    w.rs({ options: ['sll 02:00:00:00:00:05'] })
    w.na('fe80::5', 0xa0, 'ff02::1', '02:00:00:00:00:05')
    const known = w.eth.nd!.neighbors.find(w.eth.nd!.neighbors.entries()[0].address)!
    expect([`${known.address}`, known.isRouter]).toEqual([`fe80::5%${w.eth.index}`, true])
    w.rs({ options: ['sll 02:00:00:00:00:05'] })
    expect(known.isRouter).toBe(false)
  })

  test.each([
    ['that a router has touched', { hops: 64 }, 'dropHopLimit', 'nd'],
    ['of another code', { code: 3 }, 'dropCode', 'nd'],
    ['that is too short', { cut: 1 }, 'icmp6DropTooShort', 'icmp6'],
    ['from nobody, with a link address', { from: '::', options: ['sll 02:00:00:00:00:05'] }, 'dropSolicitationSource', 'routers'],
  ])('a question %s is not heard (6.1.1)', (_, words, counter, layer) => {
    const w = router()
    w.eth.advertise({ intervalMs: 1_800_000 })
    w.run(100_000)
    w.said()
    w.rs(words)
    w.run(5_000)
    expect([w.said(RA), w.stack.counters(true)[layer][counter]]).toEqual([[], 1])
  })

  test('a host does not hear questions', () => {
    const w = router(undefined, {})
    w.stack.setForwarding({ v6: true })
    w.rs()
    w.run(5_000)
    expect([w.said(RA), w.counters]).toEqual([[], { inRouterSolicits: 1, dropSolicitationUnwanted: 1 }])
  })
})

describe('the end (6.2.5)', () => {
  test('is told: we are no default router any more', async () => {
    const w = router()
    w.eth.advertise()
    w.run(1)
    w.said()
    expect(w.eth.stopAdvertising()).toBe(true)
    expect(w.said(RA)).toMatchObject([{ lifetime: 0, options: expect.arrayContaining([`sll ${OUR_MAC}`]) }])
    expect(w.eth.stopAdvertising()).toBe(false)
    w.run(DAY)
    expect(w.said(RA)).toEqual([])
  })

  test('when the interface goes, too', async () => {
    const w = router()
    w.eth.advertise()
    w.run(1)
    w.said()
    await w.stack.close()
    expect(w.said(RA)).toMatchObject([{ lifetime: 0 }])
  })
})

describe('another router that says otherwise (6.2.7) is counted', () => {
  const ours: AdvertiseOptions = { mtu: 1400, hopLimit: 64, reachableTimeMs: 30_000, retransTimerMs: 1_000 }
  const agreed = { hopLimit: 64, reachable: 30_000, retrans: 1_000 }
  const options = ['mtu 1400', 'prefix fd00:1::/64 LA 2592000 604800']

  test.each([
    ['the same', { ...agreed, options }, 0],
    ['nothing of it', { options: [] }, 0],
    ['other prefixes', { ...agreed, options: ['prefix fd00:2::/64 LA 1 1', 'prefix fd00:1::/48 LA 1 1'] }, 0],
    ['another lifetime of its own', { ...agreed, lifetime: 5, options }, 0],
    ['another hop limit', { ...agreed, hopLimit: 63, options }, 1],
    ['another reachable time', { ...agreed, reachable: 1, options }, 1],
    ['another time between questions', { ...agreed, retrans: 1, options }, 1],
    ['another MTU', { ...agreed, options: ['mtu 1500'] }, 1],
    ['DHCPv6', { ...agreed, flags: 'other', options }, 1],
    ['another lifetime of a prefix', { ...agreed, options: ['prefix fd00:1::/64 LA inf 604800'] }, 1],
    ['another preferred one', { ...agreed, options: ['prefix fd00:1::/64 LA 2592000 1'] }, 1],
  ])('%s', (_, words, count) => {
    const w = router()
    w.eth.advertise(ours)
    w.ra(words)
    expect(w.counters.inconsistentAdvertisements ?? 0).toBe(count)
    expect([w.routes, w.eth.iface.hopLimit, w.eth.iface.routerMtu]).toEqual([[], 0, 0])
  })
})
