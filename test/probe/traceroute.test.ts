import { describe, expect, it } from 'vitest'
import type { TracerouteHop, TracerouteOptions } from '../../src/probe/traceroute.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { type PathOptions, RoutedPath } from '../support/routed-path.ts'

interface Family {
  name: string
  own: string
  gateway: string
  routers: [string, string, string]
  host: string
  unreachable: { net: [number, number]; host: [number, number]; prohibited: [number, number] }
}

const FAMILIES: Family[] = [
  {
    name: 'IPv4',
    own: '10.0.0.2/24',
    gateway: '10.0.0.1',
    routers: ['10.0.0.1', '10.1.0.1', '10.2.0.1'],
    host: '10.9.0.9',
    unreachable: { net: [3, 0], host: [3, 1], prohibited: [3, 13] },
  },
  {
    name: 'IPv6',
    own: 'fd00::2/64',
    gateway: 'fd00::1',
    routers: ['fd00::1', 'fd01::1', 'fd02::1'],
    host: 'fd09::9',
    unreachable: { net: [1, 0], host: [1, 3], prohibited: [1, 1] },
  },
]

function setUp(f: Family, options: Partial<PathOptions> = {}): { world: World; stack: Stack; path: RoutedPath } {
  const world = createWorld()
  const stack = world.stack()
  const path = new RoutedPath({ routers: f.routers.map((address) => ({ address })), host: f.host, ...options })
  stack.attach(path, { addresses: [f.own], gateway: f.gateway, probe: false })
  return { world, stack, path }
}

async function hopsOf(world: World, stack: Stack, host: string, options: TracerouteOptions): Promise<TracerouteHop[]> {
  const out: TracerouteHop[] = []
  await world.settle(
    (async () => {
      for await (const hop of stack.traceroute(host, options)) out.push(hop)
    })(),
  )
  return out
}

const froms = (hops: TracerouteHop[]): (string | undefined)[][] => hops.map((h) => h.answers.map((a) => a.from ?? a.error))

describe.each(FAMILIES)('traceroute over $name', (f) => {
  describe.each(['udp', 'icmp', 'tcp'] as const)('by %s', (method) => {
    it('tells each router and the host, in order, with their times', async () => {
      const { world, stack, path } = setUp(f)
      const hops = await hopsOf(world, stack, f.host, { method })
      expect(froms(hops)).toEqual([...f.routers, f.host].map((a) => [a, a, a]))
      expect(hops.map((h) => h.reached)).toEqual([false, false, false, true])
      expect(hops.map((h) => Math.round(h.answers[0].timeMs!))).toEqual([2, 4, 6, 8])
      expect(hops.map((h) => h.answers[0].ttl)).toEqual([64, 63, 62, 61])
      expect(hops.every((h) => h.answers.every((a) => a.error === undefined && a.mark === undefined))).toBe(true)
      const at = f.name === 'IPv4' ? 8 : 7
      expect(path.sent.slice(0, 12).map((p) => p[at])).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4])
      await stack.close()
    })

    it('an open port answers as well', async () => {
      const ports = method === 'tcp' ? [80] : Array.from({ length: 90 }, (_, i) => 33434 + i)
      const { world, stack } = setUp(f, { open: ports })
      const hops = await hopsOf(world, stack, f.host, { method, queries: 1 })
      expect(froms(hops).at(-1)).toEqual([f.host])
      expect(hops).toHaveLength(4)
      await stack.close()
    })

    it('leaves nothing behind', async () => {
      const { world, stack } = setUp(f)
      const before = [6, 17].map((p) => stack.ipLayer.protocol(p, f.name === 'IPv4' ? 4 : 6))
      await hopsOf(world, stack, f.host, { method })
      expect([6, 17].map((p) => stack.ipLayer.protocol(p, f.name === 'IPv4' ? 4 : 6))).toEqual(before)
      expect(stack.udp.sockets()).toEqual([])
      expect([stack.icmp.clients.size, stack.icmp6.clients.size]).toEqual([0, 0])
      expect(world.host.holds).toBe(0)
      await stack.close()
    })
  })

  it('who says nothing is given up, sooner where others have answered', async () => {
    const routers = f.routers.map((address, i) => ({ address, silent: i === 1 }))
    const { world, stack } = setUp(f, { routers })
    const hops = await hopsOf(world, stack, f.host, { queries: 2 })
    expect(froms(hops)).toEqual([
      [f.routers[0], f.routers[0]],
      ['ETIMEDOUT', 'ETIMEDOUT'],
      [f.routers[2], f.routers[2]],
      [f.host, f.host],
    ])
    expect(world.elapsedMs).toBeLessThan(1000)
    await stack.close()
  })

  it('ends with maxHops when nobody answers', async () => {
    const { world, stack } = setUp(f, { routers: f.routers.map((address) => ({ address, silent: true })) })
    const hops = await hopsOf(world, stack, f.host, { maxHops: 3, timeoutMs: 700, queries: 1 })
    expect(froms(hops)).toEqual([['ETIMEDOUT'], ['ETIMEDOUT'], ['ETIMEDOUT']])
    expect(Math.round(world.elapsedMs)).toBe(700)
    await stack.close()
  })

  it.each([
    ['net', '!N', 'ENETUNREACH'],
    ['host', '!H', 'EHOSTUNREACH'],
    ['prohibited', '!X', f.name === 'IPv4' ? 'EHOSTUNREACH' : 'EACCES'],
  ] as const)('ends where a router says unreachable (%s)', async (what, mark, error) => {
    const routers = f.routers.map((address, i) => (i === 1 ? { address, refuses: f.unreachable[what] } : { address }))
    const { world, stack } = setUp(f, { routers })
    const hops = await hopsOf(world, stack, f.host, { firstHop: 2, queries: 1 })
    expect(hops).toMatchObject([{ hop: 2, reached: false, answers: [{ from: f.routers[1], error, mark }] }])
    await stack.close()
  })

  it('says where a probe is too big to pass whole', async () => {
    const routers = f.routers.map((address, i) => (i === 1 ? { address, mtu: 1400 } : { address }))
    const { world, stack } = setUp(f, { routers })
    const hops = await hopsOf(world, stack, f.host, { size: 1500, dontFragment: true, queries: 1, parallel: 1, method: 'icmp' })
    expect(hops[2]).toMatchObject({ hop: 3, answers: [{ from: f.routers[1], error: 'EMSGSIZE', mark: '!F-1400' }] })
    expect(hops).toHaveLength(3)
    await stack.close()
  })

  it('has at most `parallel` probes under way, of the size asked for, to the port asked for', async () => {
    const { world, stack, path } = setUp(f, { routers: f.routers.map((address) => ({ address, silent: true })) })
    const all = hopsOf(world, stack, f.host, { parallel: 2, size: 200, port: 5000, timeoutMs: 100, maxHops: 1 })
    world.run(50)
    expect(path.sent.map((p) => p.length)).toEqual([200, 200])
    const header = f.name === 'IPv4' ? 20 : 40
    expect(path.sent.map((p) => p.readUInt16BE(header + 2))).toEqual([5000, 5001])
    await all
    expect(path.sent).toHaveLength(3)
    await stack.close()
  })

  it('without a way it throws', async () => {
    const world = createWorld()
    const stack = world.stack()
    stack.attach(new RoutedPath({ routers: [], host: f.host }), { addresses: [f.own], probe: false })
    await expect(world.settle(stack.traceroute(f.host).next())).rejects.toMatchObject({ code: 'ENETUNREACH' })
    await stack.close()
  })

  it('a full link is tried again', async () => {
    const { world, stack, path } = setUp(f)
    path.full = true
    const all = hopsOf(world, stack, f.host, { queries: 1, method: 'icmp' })
    world.run(20)
    expect(path.sent).toHaveLength(0)
    path.full = false
    expect(froms(await all).at(-1)).toEqual([f.host])
    await stack.close()
  })
})

describe('traceroute', () => {
  const [v4] = FAMILIES

  it('to ourselves is one hop', async () => {
    const { world, stack } = setUp(v4)
    for (const method of ['udp', 'icmp', 'tcp'] as const)
      expect(froms(await hopsOf(world, stack, '10.0.0.2', { method, queries: 1 }))).toEqual([['10.0.0.2']])
    await stack.close()
  })

  it('two at a time do not hear each other', async () => {
    const { world, stack } = setUp(v4)
    const both = await Promise.all([hopsOf(world, stack, v4.host, {}), hopsOf(world, stack, v4.host, { port: 33434 })])
    expect(both.map((h) => h.length)).toEqual([4, 4])
    await stack.close()
  })

  it('ends with its stack, with break and with its signal', async () => {
    const { world, stack } = setUp(v4, { routers: v4.routers.map((address) => ({ address, silent: true })) })
    const closed = stack.traceroute(v4.host).next()
    const left = stack.traceroute(v4.host)
    const waiting = left.next()
    await left.return!()
    expect(await world.settle(waiting)).toEqual({ done: true, value: undefined })
    const control = new AbortController()
    const aborted = stack.traceroute(v4.host, { signal: control.signal }).next()
    control.abort(new Error('enough'))
    await expect(world.settle(aborted)).rejects.toThrow('enough')
    world.run(10)
    await world.settle(stack.close())
    expect(await closed).toEqual({ done: true, value: undefined })
    await expect(stack.traceroute(v4.host).next()).rejects.toMatchObject({ code: 'ERR_STACK_CLOSED' })
  })

  it.each([
    [{ maxHops: 0 }],
    [{ maxHops: 256 }],
    [{ queries: 1.5 }],
    [{ firstHop: 31 }],
    [{ port: 0 }],
    [{ method: 'sctp' }],
    [{ timeoutMs: Number.NaN }],
    [{ parallel: 0 }],
  ])('refuses %j', (options) => {
    const { stack } = setUp(v4)
    expect(() => stack.traceroute(v4.host, options as TracerouteOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    )
    expect(() => stack.traceroute('10.0.0.300')).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }))
  })

  it('the application behind an open port hears nothing of SYNs', async () => {
    const world = createWorld()
    const [a, b] = [world.stack(), world.stack()]
    world.link(a, b, { delay: 5 })
    let accepted = 0
    b.tcp.listen({ port: 80 }, { onConnection: () => void accepted++ })
    const hops = await hopsOf(world, a, '10.0.0.2', { method: 'tcp' })
    expect(froms(hops)).toEqual([['10.0.0.2', '10.0.0.2', '10.0.0.2']])
    world.run(100)
    expect(accepted).toBe(0)
    expect(b.connections()).toEqual([])
    await world.close()
  })
})
