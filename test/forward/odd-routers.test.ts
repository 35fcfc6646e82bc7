/** Routers of odd shapes: links without addresses, router on one link and host on another, an MTU that changes under a flow. */
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { echoServer, exchange, FAMILIES, filterWorld, udpPeer } from '../support/filter-world.ts'

async function all<T>(world: World, iterator: AsyncIterableIterator<T>): Promise<T[]> {
  const out: T[] = []
  for (;;) {
    const next = await world.settle(iterator.next())
    if (next.done === true) return out
    out.push(next.value)
  }
}

const ping = (world: World, from: Stack, to: string): Promise<unknown[]> =>
  all(world, from.ping(to, { count: 1, timeoutMs: 3900 }))

describe('a link between routers that has no addresses but link-local ones', () => {
  /** 10.1.0.2, fd01::2 - router - Ethernet without addresses - router - 10.2.0.2, fd02::2 */
  function unnumbered() {
    const world = createWorld()
    const router = (): Stack => world.stack({ forwarding: true })
    const [near, r1, r2, far] = [world.stack(), router(), router(), world.stack()]
    const first = world.link(near, r1, { addresses: ['10.1.0.2/24', '10.1.0.1/24'] })
    const [x, y] = createPipe()
    const out = r1.attach(x, { ipv6: true })
    const back = r2.attach(y, { ipv6: true })
    const last = world.link(r2, far, { addresses: ['10.2.0.1/24', '10.2.0.2/24'] })
    first.a.addAddress('fd01::2/64')
    first.b.addAddress('fd01::1/64')
    last.a.addAddress('fd02::1/64')
    last.b.addAddress('fd02::2/64')
    for (const [stack, hop] of [
      [near, '10.1.0.1'],
      [near, 'fd01::1'],
      [far, '10.2.0.1'],
      [far, 'fd02::1'],
    ] as const) {
      stack.addRoute(hop.includes(':') ? '::/0' : '0.0.0.0/0', hop)
    }
    world.run(3000)
    return { world, near, r1, r2, out, back }
  }

  it('IPv6 passes, and errors come from an address that can be answered', async () => {
    const { world, near, r1, r2, out, back } = unnumbered()
    r1.addRoute('fd02::/64', back.addresses[0].split(/[%/]/)[0], out)
    r2.addRoute('fd01::/64', out.addresses[0].split(/[%/]/)[0], back)
    expect(await ping(world, near, 'fd02::2')).toMatchObject([{ ttl: 62 }])
    const hops = await all(world, near.traceroute('fd02::2', { queries: 1 }))
    expect(hops.map((h) => h.answers[0].from)).toEqual(['fd01::1', 'fd02::1', 'fd02::2'])
    await world.close()
  })

  it('IPv4 passes: each router answers there for the addresses that it has elsewhere (RFC 1812 section 2.2.7)', async () => {
    const { world, near, r1, r2, out, back } = unnumbered()
    r1.addRoute('10.2.0.0/24', '10.2.0.1', out, { onlink: true })
    r2.addRoute('10.1.0.0/24', '10.1.0.1', back, { onlink: true })
    expect(await ping(world, near, '10.2.0.2')).toMatchObject([{ ttl: 62 }])
    const hops = await all(world, near.traceroute('10.2.0.2', { queries: 1 }))
    expect(hops.map((h) => h.answers[0].from)).toEqual(['10.1.0.1', '10.2.0.1', '10.2.0.2'])
    // A host does not: who asks on a link is not told of addresses on others.
    r2.setForwarding(false)
    out.iface.neighbors?.clear()
    expect(await ping(world, r1, '10.2.0.1')).toMatchObject([{ error: expect.any(String) }])
    await world.close()
  })
})

it('a router on one link is a host on the other: it says so, and believes redirects there', async () => {
  const world = createWorld()
  const [a, r, b] = [world.stack(), world.stack(), world.stack()]
  const left = world.link(a, r)
  const right = world.link(r, b)
  for (const [link, n] of [
    [left, 1],
    [right, 2],
  ] as const) {
    link.a.addAddress(`fd0${n}::1/64`)
    link.b.addAddress(`fd0${n}::2/64`)
  }
  left.b.setForwarding(true)
  world.run(3000)
  await ping(world, a, 'fd01::2')
  await ping(world, b, 'fd02::1')
  const isRouter = (by: AttachedInterface, text: string): boolean | undefined => {
    const table = by.iface.neighbors6!
    const known = table.entries().find((n) => `${n.address}` === text)
    return known === undefined ? undefined : table.find(known.address)?.isRouter
  }
  expect([isRouter(left.a, 'fd01::2'), isRouter(right.b, 'fd02::1')]).toEqual([true, false])
  await world.close()
})

it.each([4, 6] as const)(
  'IPv%i: a link that becomes narrower under a translated flow; nothing is left when all ends',
  async (family) => {
    const w = filterWorld()
    echoServer(w.outside, 7)
    w.router.filter.masquerade({ out: 'eth1' })
    const stream = exchange(w.inside, FAMILIES[family].outside, 7, 20_000)
    w.world.run(1000)
    w.eth1.setMtu(1290)
    stream.connection.write(new Uint8Array(30_000), 0, 30_000)
    udpPeer(w.inside, 4444).send(FAMILIES[family].outside, 99, 3000)
    w.world.run(5000)
    expect([stream.got, stream.connection.info().pathMtu]).toEqual([50_000, 1290])
    await w.world.close()
    w.world.run(1)
    expect(w.world.host.nextMs).toBe(-1)
  },
)
