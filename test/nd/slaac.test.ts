/** Stateless address autoconfiguration (RFC 4862 section 5.5, RFC 7217, RFC 8981): a host, and routers that advertise. */
import { describe, expect, it, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { Route } from '../../src/ip/route.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { AdvertiseOptions } from '../../src/nd/advertise-options.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface, AttachOptions } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { DAY, globals, HOUR, ROUTER, RouterWorld } from '../support/router-world.ts'

const PREFIX = 'prefix fd00:1::/64 LA 3600 1800'

/** A host whose link-local address is ready. */
function host(config: ConfigOverrides = {}, attach: AttachOptions = {}, taken?: (address: string) => boolean): RouterWorld {
  const w = new RouterWorld({ slaac: true, ...attach }, config, taken === undefined ? {} : { taken })
  w.run(3_000)
  w.said()
  return w
}

interface Pair {
  world: World
  router: Stack
  host: Stack
  /** The router's interface, and the host's. */
  r: AttachedInterface
  h: AttachedInterface
}

function pair(options: AdvertiseOptions = {}, config: ConfigOverrides = {}, attach: AttachOptions = {}): Pair {
  const world = createWorld({ seed: 3 })
  const router = world.stack({ forwarding: true })
  const host = world.stack(config)
  const [one, other] = createPipe()
  const r = router.attach(one, { mac: '02:00:00:00:00:01', addresses: ['fd00:1::1/64'] })
  r.advertise(options)
  const h = host.attach(other, { mac: '02:00:00:00:00:02', slaac: true, ...attach })
  return { world, router, host, r, h }
}

describe('a host on a link with a router', () => {
  it('has an address, routes, and what the router says of the link', async () => {
    const { world, router, host, h } = pair({
      mtu: 1400,
      hopLimit: 33,
      reachableTimeMs: 20_000,
      retransTimerMs: 500,
      rdnss: ['fd00:1::53', 'fe80::53'],
      dnssl: ['Example.org', 'lab.example.org'],
      routes: [{ prefix: 'fd99::/32', preference: 'high' }],
      other: true,
    })
    await world.settle(h.ready)
    expect(world.elapsedMs).toBeLessThan(6_000)
    expect(globals(h)).toEqual([expect.stringMatching(/^fd00:1::[0-9a-f:]+\/64 PREFERRED$/)])
    expect(host.routes.filter((e) => e.origin === 'ra')).toMatchObject([
      { destination: 'fd00:1::/64', gateway: null, metric: 256, interface: 'eth0' },
      { destination: 'fd99::/32', gateway: 'fe80::ff:fe00:1%eth0', metric: 1024 },
      { destination: '::/0', gateway: 'fe80::ff:fe00:1%eth0', metric: 1024 },
    ])
    expect(h.ra).toMatchObject({
      managed: false,
      other: true,
      mtu: 1400,
      hopLimit: 33,
      reachableTimeMs: 20_000,
      retransTimerMs: 500,
      routers: [{ address: 'fe80::ff:fe00:1%eth0', preference: 'medium', silent: false }],
      prefixes: [{ prefix: 'fd00:1::/64' }],
    })
    expect([h.nameservers, h.searchDomains]).toEqual([
      ['fd00:1::53', 'fe80::53%eth0'],
      ['example.org', 'lab.example.org'],
    ])
    expect(h.iface.mtu6).toBe(1400)
    expect(host.neighbors.find((n) => n.address.startsWith('fe80'))).toMatchObject({ mac: '02:00:00:00:00:01' })
    const replies = []
    for await (const reply of { [Symbol.asyncIterator]: () => once(world, host.ping('fd00:1::1', { count: 1 })) })
      replies.push(reply)
    expect(replies).toMatchObject([{ from: expect.anything() }])
    expect(router.counters(true).routers).toMatchObject({ inRouterSolicits: 1 })
    await world.close()
  })

  it('keeps what it has while advertisements come, without another lookup of any route', async () => {
    const { world, host, h } = pair({ intervalMs: 600_000 })
    await world.settle(h.ready)
    world.run(60_000)
    const { generation } = host.ipLayer
    const before = [globals(h), host.routes]
    const heard = h.ra!.received
    world.run(2 * HOUR)
    expect(h.ra!.received - heard).toBeGreaterThan(10)
    expect([globals(h), host.routes]).toEqual(before)
    expect(host.ipLayer.generation).toBe(generation)
    await world.close()
  })
})

function once<T>(world: World, iterator: AsyncIterator<T>): AsyncIterator<T> {
  return { next: () => world.settle(iterator.next() as Promise<IteratorResult<T>>) }
}

describe('addresses of prefixes (RFC 4862 section 5.5.3)', () => {
  test.each([
    ['without the A flag', 'fd00:1::/64 L 3600 3600', undefined],
    ['preferred for longer than valid', 'fd00:1::/64 A 3600 3601', 'dropPrefixLifetimes'],
    ['of another length than 64', 'fd00:1::/63 A 3600 3600', 'dropPrefixLength'],
    ['of the unspecified address', '::/64 A 3600 3600', 'dropPrefixLength'],
    ['that are over', 'fd00:1::/64 A 0 0', undefined],
  ])('none of those %s', (_, option, counter) => {
    const w = host()
    w.ra({ options: [`prefix ${option}`] })
    expect(w.globals).toEqual([])
    if (counter !== undefined) expect(w.counters[counter]).toBe(1)
  })

  test('are the same each time for the same secret, network and interface, and none of them says which card it is (RFC 7217)', () => {
    const made = (secret: string, name = 'eth0'): string => {
      const w = host({ nd: { stableSecret: secret } }, { name, mac: '02:00:00:00:00:0a' })
      w.ra({ options: ['prefix fd00:1::/64 A 3600 3600', 'prefix fd00:2::/64 A 3600 3600'] })
      w.run(3_000)
      const [a, b] = w.globals
      expect(a.slice('fd00:1::'.length)).not.toBe(b.slice('fd00:2::'.length))
      expect(a).not.toContain('ff:fe')
      return a
    }
    expect(made('one')).toBe(made('one'))
    expect(new Set([made('one'), made('two'), made('one', 'eth1'), made(''), made('')]).size).toBe(4)
  })

  test('or of the MAC address, if that is asked for', () => {
    const w = host({ nd: { identifiers: 'eui64' } })
    w.ra({ options: [PREFIX] })
    w.run(3_000)
    expect(w.globals).toEqual(['fd00:1::ff:fe00:2/64 PREFERRED'])
  })

  test('are probed for, also when the prefix is not on the link; then they are no way to its neighbours', () => {
    const w = host()
    w.ra({ options: ['prefix fd00:1::/64 A 3600 1800'] })
    expect(w.globals).toEqual([expect.stringMatching(/TENTATIVE$/)])
    w.run(3_000)
    expect(w.said(135).filter((s) => s.from === '::' && s.target?.startsWith('fd00:1:')).length).toBe(1)
    expect(w.globals).toEqual([expect.stringMatching(/PREFERRED$/)])
    expect(w.routes).toEqual([`::/0 ${ROUTER}`])
    expect(w.stack.routes.some((r) => r.destination.startsWith('fd00:1:'))).toBe(false)
  })

  test('without probes are used at once', async () => {
    const w = host({}, { probe: false })
    w.ra({ options: [PREFIX] })
    await w.world.settle(w.eth.ready)
    expect([w.now < 3_100, w.globals]).toEqual([true, [expect.stringMatching(/PREFERRED$/)]])
  })

  test('one that was given by hand is not made again, and not touched', () => {
    const w = host({ nd: { identifiers: 'eui64' } }, { addresses: ['fd00:1::ff:fe00:2/64'] })
    w.ra({ options: ['prefix fd00:1::/64 A 3600 3600'] })
    w.run(2 * HOUR)
    expect(w.globals).toEqual(['fd00:1::ff:fe00:2/64 PREFERRED'])
  })

  test('one that is taken away by hand comes back with the next advertisement', () => {
    const w = host()
    w.ra({ options: [PREFIX] })
    w.run(3_000)
    const [before] = w.globals
    expect(w.eth.removeAddress(before.split(' ')[0])).toBe(true)
    w.run(60_000)
    expect(w.globals).toEqual([])
    w.ra({ options: [PREFIX] })
    w.run(3_000)
    expect(w.globals).toEqual([before])
  })
})

describe('lifetimes (RFC 4862 section 5.5.4)', () => {
  test('preferred, deprecated, gone; in time that has no end', () => {
    const w = host()
    w.ra({
      lifetime: 0,
      options: ['prefix fd00:1::/64 A 8640000 4320000', 'prefix fd00:2::/64 A inf inf', 'prefix fd00:3::/64 A 4294967294 3'],
    })
    w.run(2_500)
    const states = (): string[] => w.globals.map((g) => g.replace(/::.* /, ' '))
    expect(states()).toEqual(['fd00:1 PREFERRED', 'fd00:2 PREFERRED', 'fd00:3 PREFERRED'])
    w.run(500)
    expect(states()[2]).toBe('fd00:3 DEPRECATED')
    w.run(50 * DAY - 3_001)
    expect(states()[0]).toBe('fd00:1 PREFERRED')
    w.run(1)
    expect(states()[0]).toBe('fd00:1 DEPRECATED')
    w.run(50 * DAY - 1)
    expect(states()).toEqual(['fd00:1 DEPRECATED', 'fd00:2 PREFERRED', 'fd00:3 DEPRECATED'])
    w.run(1)
    expect(states()).toEqual(['fd00:2 PREFERRED', 'fd00:3 DEPRECATED'])
    w.run(1000 * DAY)
    expect(states()).toEqual(['fd00:2 PREFERRED', 'fd00:3 DEPRECATED'])
  })

  test('a deprecated address is chosen only where there is no other, and is preferred again when that is said (5.5.4)', () => {
    const w = host()
    w.ra({ options: ['prefix fd00:1::/64 A 7200 1', 'prefix fd00:2::/64 A 7200 7200'] })
    w.run(5_000)
    const sourceTo = (to: string): string => {
      const route = new Route()
      expect(w.stack.ipLayer.route(address(to), address('::'), null, route)).toBeNull()
      return `${route.source}`
    }
    expect(sourceTo('fd00:1::77')).toMatch(/^fd00:2:/)
    w.ra({ options: ['prefix fd00:1::/64 A 7200 7200'] })
    expect(sourceTo('fd00:1::77')).toMatch(/^fd00:1:/)
  })

  test.each([
    // e) 1 to 3 of section 5.5.3: what is said, what is left, what holds then; seconds.
    ['more than two hours is believed', 7_201, 90_000, 7_201],
    ['more than what is left is believed', 1_000, 900, 1_000],
    ['less than what is left, which is under two hours, is not', 10, 7_000, 7_000],
    ['less leaves two hours of what is more', 10, 90_000, 7_200],
    ['zero, too', 0, 90_000, 7_200],
  ])('the two-hour rule: %s', (_, said, left, holds) => {
    const w = host()
    w.ra({ options: [`prefix fd00:1::/64 A ${left} ${left}`] })
    w.run(0)
    w.ra({ options: [`prefix fd00:1::/64 A ${said} ${said}`] })
    w.run(holds * 1000 - 1)
    expect(w.globals.length).toBe(1)
    w.run(1)
    expect(w.globals).toEqual([])
  })

  test('the preferred lifetime is believed always', () => {
    const w = host()
    w.ra({ options: ['prefix fd00:1::/64 A 3600 3600'] })
    w.run(3_000)
    w.ra({ options: ['prefix fd00:1::/64 A 0 0'] })
    expect(w.globals).toEqual([expect.stringMatching(/DEPRECATED$/)])
    expect(w.counters).toMatchObject({ twoHourRule: 1 })
  })
})

describe('an address that is another host’s', () => {
  test('is followed by another one, three times (RFC 7217 section 6)', async () => {
    const asked = new Set<string>()
    const w = host({}, {}, (a) => a.startsWith('fd00:1:') && asked.add(a).size <= 3)
    w.ra({ options: [PREFIX] })
    await w.world.settle(w.eth.ready)
    expect(asked.size).toBe(4)
    expect(w.globals).toEqual([`${[...asked][3]}/64 PREFERRED`])
    expect(w.counters).toMatchObject({ addressesLost: 3 })
  })

  test('and no more: `ready` says so, and the last one stays as what it is', async () => {
    const w = host({}, {}, (a) => a.startsWith('fd00:1:'))
    w.ra({ options: [PREFIX] })
    await expect(w.world.settle(w.eth.ready)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      message: expect.stringContaining('02:00:00:00:00:77'),
    })
    expect(w.globals).toEqual([expect.stringMatching(/DUPLICATE$/)])
    w.said()
    w.ra({ options: [PREFIX] })
    w.run(10_000)
    expect([w.said(135), w.counters.addressesLost]).toEqual([[], 4])
  })

  test('has no other if it is of the MAC address', async () => {
    const w = host({ nd: { identifiers: 'eui64' } }, {}, (a) => a.startsWith('fd00:1:'))
    w.ra({ options: [PREFIX] })
    await expect(w.world.settle(w.eth.ready)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(w.counters).toMatchObject({ addressesLost: 1 })
  })
})

describe('temporary addresses (RFC 8981)', () => {
  const config: ConfigOverrides = { nd: { temporaryAddresses: 'prefer' } }
  const LONG = 'prefix fd00:1::/64 A 2592000 604800'
  const temporary = (w: RouterWorld): string[] => w.globals.filter((g) => g.endsWith('temporary'))

  test('stand beside the stable one, are preferred as source, and are others each day', () => {
    const w = host(config)
    w.ra({ options: [LONG] })
    w.run(3_000)
    expect(w.globals.map((g) => g.split(' ').slice(1).join(' '))).toEqual(['PREFERRED', 'PREFERRED temporary'])
    const route = new Route()
    w.stack.ipLayer.route(address('2001:db8::1'), address('::'), null, route)
    expect(`${route.source}/64 PREFERRED temporary`).toBe(temporary(w)[0])
    const seen = new Set<string>()
    for (let hour = 0; hour < 24 * 10; hour++) {
      w.ra({ options: [LONG] })
      w.run(HOUR)
      const now = temporary(w)
      for (const t of now) seen.add(t.split(' ')[0])
      expect(now.filter((t) => t.includes('PREFERRED')).length).toBe(1)
      expect(now.length).toBeLessThanOrEqual(4)
    }
    // Preferred for 14.4 to 24 hours each.
    expect(seen.size).toBeGreaterThanOrEqual(10)
    expect(seen.size).toBeLessThanOrEqual(18)
  })

  test('the next one is there before the last is deprecated, and each is gone after two days', () => {
    const w = host({ nd: { temporaryAddresses: 'prefer', temporaryPreferredSeconds: 1_000, temporaryValidSeconds: 1_500 } })
    w.ra({ options: [LONG] })
    w.run(3_000)
    const [first] = temporary(w)
    let deprecatedAt = 0
    let nextAt = 0
    let goneAt = 0
    for (let at = 3; at < 1_600; at++) {
      w.run(1_000)
      const now = temporary(w)
      if (nextAt === 0 && now.length > 1) nextAt = at
      if (deprecatedAt === 0 && now.includes(first.replace('PREFERRED', 'DEPRECATED'))) deprecatedAt = at
      if (goneAt === 0 && !now.some((t) => t.startsWith(first.split(' ')[0]))) goneAt = at
    }
    // DESYNC_FACTOR is up to 0.4 of the lifetime; REGEN_ADVANCE is 2 + 3 * 1 * 1 s.
    expect(deprecatedAt).toBeGreaterThan(595)
    expect(deprecatedAt).toBeLessThan(1_003)
    expect(deprecatedAt - nextAt).toBe(5)
    expect(goneAt).toBeGreaterThan(1_495)
    expect(goneAt).toBeLessThan(1_503)
  })

  test('none is made of a prefix that is soon deprecated; none lives longer than its prefix', () => {
    const w = host(config)
    w.ra({ options: ['prefix fd00:1::/64 A 100 5'] })
    w.run(3_000)
    expect(temporary(w)).toEqual([])
    w.ra({ options: ['prefix fd00:1::/64 A 100 90'] })
    w.run(3_000)
    expect(temporary(w).length).toBe(1)
    w.run(97_000)
    expect(w.globals).toEqual([])
  })

  test('one that is taken is followed by another; after three more no others are tried', () => {
    let stable = ''
    const asked = new Set<string>()
    const w = host(config, {}, (a) => {
      if (!a.startsWith('fd00:1:')) return false
      if (stable === '') stable = w.globals[0].split('/')[0]
      if (a !== stable) asked.add(a)
      return a !== stable
    })
    w.ra({ options: [LONG] })
    w.run(20_000)
    w.ra({ options: [LONG] })
    w.run(2 * HOUR)
    expect([asked.size, temporary(w)]).toEqual([4, []])
    expect(w.globals).toEqual([`${stable}/64 PREFERRED`])
  })
})

describe('`ready`', () => {
  test('without a router it says so after a while; one that comes later is heard all the same', async () => {
    const w = new RouterWorld({ slaac: true })
    await expect(w.world.settle(w.eth.ready)).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: 'no router advertised itself on eth0 within 20 s: is there an IPv6 router on this link?',
    })
    expect(w.now).toBe(20_000)
    w.ra({ options: [PREFIX] })
    w.run(3_000)
    expect(w.globals.length).toBe(1)
  })

  test('waits for all addresses that are being asked for', async () => {
    const w = host()
    w.ra({ options: ['prefix fd00:1::/64 A 3600 1800', 'prefix fd00:2::/64 A 3600 1800', 'prefix fd00:3::/64 A 3600 1800'] })
    await w.world.settle(w.eth.ready)
    expect(w.globals.filter((g) => g.endsWith('PREFERRED')).length).toBe(3)
  })

  test('one that is another host’s does not matter where there are others', async () => {
    const w = host({ nd: { identifiers: 'eui64' } }, {}, (a) => a.startsWith('fd00:1:'))
    w.ra({ options: ['prefix fd00:1::/64 A 3600 1800', 'prefix fd00:2::/64 A 3600 1800'] })
    await w.world.settle(w.eth.ready)
    expect(w.globals.map((g) => g.split(' ')[1]).sort()).toEqual(['DUPLICATE', 'PREFERRED'])
  })

  test('routers that announce no prefix are told apart, with what they say of DHCPv6', async () => {
    const w = new RouterWorld({ slaac: true })
    w.run(2_000)
    w.ra({ flags: 'managed' })
    await expect(w.world.settle(w.eth.ready)).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      message: expect.stringContaining('DHCPv6'),
    })
  })

  test('ends with the interface, and with it all that routers gave', async () => {
    const w = host()
    w.ra({ options: [PREFIX, 'route fd99::/32 high 600'] })
    const ready = w.eth.ready
    await w.eth.detach()
    await expect(ready).rejects.toMatchObject({ code: 'ECANCELED' })
    expect(w.stack.routes.filter((r) => r.origin === 'ra')).toEqual([])
    expect(w.stack.timers.size).toBe(0)
  })

  test('there is none without Ethernet, nor beside advertisements of our own', () => {
    const w = host()
    expect(() => w.eth.advertise()).toThrow(expect.objectContaining({ code: 'EBUSY' }))
    const [tun] = createPipe({ medium: 'ip' })
    expect(() => w.stack.attach(tun, { slaac: true })).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }))
    expect(w.stack.interfaces.length).toBe(1)
  })
})
