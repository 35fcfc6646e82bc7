/** Stateless address autoconfiguration (RFC 4862 section 5.5, RFC 7217, RFC 8981): a host, and a router that advertises. */
import { describe, expect, it } from 'vitest'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { AddressState } from '../../src/ip/interface.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { AdvertiseOptions } from '../../src/nd/advertise-options.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface, AttachOptions } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

const HOUR = 3_600_000
const PREFIX = 'fd00:1::'

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
  const r = router.attach(one, { mac: '02:00:00:00:00:01', addresses: [`${PREFIX}1/64`] })
  r.advertise(options)
  const h = host.attach(other, { mac: '02:00:00:00:00:02', slaac: true, ...attach })
  return { world, router, host, r, h }
}

/** Addresses that are not link-local, as `fd00:1::5 PREFERRED`. */
function globals(h: AttachedInterface): string[] {
  const names = Object.keys(AddressState)
  return h.iface.addresses
    .filter((o) => !o.address.isLinkLocal)
    .map((o) => `${o.address}/${o.prefix.length} ${names[o.state]}${o.temporary === true ? ' temporary' : ''}`)
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
