/** Chains of routers in one process, both families: what comes through, what comes back, and what each router counted. */
import { describe, expect, it } from 'vitest'
import { address as parse } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import type { PingResult } from '../../src/icmp/ping-iterator.ts'
import { createWorld, type World, type WorldLink, type WorldLinkOptions } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'

interface Chain {
  world: World
  stacks: Stack[]
  links: WorldLink[]
  first: Stack
  last: Stack
}

/**
 * `routers` routers between two hosts. Link n is 10.0.n.0/24 and fd00:0:0:n::/64, .1 at its near end and .2 at its far one; everybody
 * has default routes onwards, and routes back.
 */
function chain(routers: number, links: WorldLinkOptions[] = [], config: ConfigOverrides = {}): Chain {
  const world = createWorld()
  const stacks = Array.from({ length: routers + 2 }, (_, i) =>
    world.stack(i === 0 || i > routers ? {} : { forwarding: true, ...config }),
  )
  const all: WorldLink[] = []
  for (let n = 0; n <= routers; n++) {
    const link = world.link(stacks[n], stacks[n + 1], links[n])
    link.a.addAddress(`fd00:0:0:${n}::1/64`)
    link.b.addAddress(`fd00:0:0:${n}::2/64`)
    all.push(link)
  }
  for (let n = 0; n <= routers; n++) {
    stacks[n].addRoute('0.0.0.0/0', `10.0.${n}.2`, all[n].a)
    stacks[n].addRoute('::/0', `fd00:0:0:${n}::2`, all[n].a)
    for (let back = 0; back < n - 1; back++) {
      stacks[n].addRoute(`10.0.${back}.0/24`, `10.0.${n - 1}.1`, all[n - 1].b)
      stacks[n].addRoute(`fd00:0:0:${back}::/64`, `fd00:0:0:${n - 1}::1`, all[n - 1].b)
    }
  }
  const last = stacks[routers + 1]
  last.addRoute('0.0.0.0/0', `10.0.${routers}.1`, all[routers].b)
  last.addRoute('::/0', `fd00:0:0:${routers}::1`, all[routers].b)
  world.run(3000)
  return { world, stacks, links: all, first: stacks[0], last }
}

async function pings(world: World, stack: Stack, to: string, options = {}): Promise<PingResult[]> {
  const out: PingResult[] = []
  const iterator = stack.ping(to, { count: 1, timeoutMs: 900, ...options })
  for (;;) {
    const next = await world.settle(iterator.next())
    if (next.done === true) return out
    out.push(next.value)
  }
}

const BYTES = 200_000

/** Says so many bytes and looks at those that the other says, which are the same. */
class Talker implements ConnectionHandler {
  got = 0
  wrong = 0
  private said = 0
  private readonly buf = new Uint8Array(1000)

  onConnect(c: RawConnection): void {
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    for (;;) {
      const wanted = Math.min(this.buf.length, BYTES - this.said)
      for (let i = 0; i < wanted; i++) this.buf[i] = (this.said + i) % 251
      const n = c.write(this.buf, 0, wanted)
      this.said += n
      if (n < wanted || wanted === 0) return
    }
  }

  onReadable(c: RawConnection): void {
    for (let n = c.read(this.buf, 0, this.buf.length); n > 0; n = c.read(this.buf, 0, this.buf.length)) {
      for (let i = 0; i < n; i++) if (this.buf[i] !== (this.got + i) % 251) this.wrong++
      this.got += n
    }
  }
}

describe.each(['IPv4', 'IPv6'] as const)('%s: a chain of routers', (family) => {
  const is6 = family === 'IPv6'
  /** The end of link n that is further away. */
  const far = (n: number): string => (is6 ? `${parse(`fd00:0:0:${n}::2`)}` : `10.0.${n}.2`)
  const near = (n: number): string => (is6 ? `fd00:0:0:${n}::1` : `10.0.${n}.1`)
  const section = is6 ? 'ip6.forward' : 'ip.forward'

  it('a ping comes through, one hop less at each', async () => {
    const { world, first, stacks } = chain(3)
    expect(await pings(world, first, far(3))).toMatchObject([{ from: far(3), ttl: 61 }])
    for (const router of stacks.slice(1, 4)) expect(router.counters(true)[section]).toEqual({ outForwDatagrams: 2 })
  })

  it('each router answers for the hop where time ends', async () => {
    const { world, first } = chain(3)
    const seen: unknown[] = []
    for (let ttl = 1; ttl <= 4; ttl++) seen.push(...(await pings(world, first, far(3), { ttl })))
    expect(seen.map((r) => (r as PingResult).from)).toEqual([far(0), far(1), far(2), far(3)])
    expect(seen.map((r) => (r as PingResult).error)).toEqual([...new Array<string>(3).fill('EHOSTUNREACH'), undefined])
  })

  it('a loop ends when time is over', async () => {
    const { world, first, stacks, links } = chain(2)
    stacks[2].addRoute(is6 ? 'fd00:9::/64' : '10.9.0.0/16', near(1), links[1].b)
    const [result] = await pings(world, first, is6 ? 'fd00:9::1' : '10.9.0.1')
    expect(result.error).toBe('EHOSTUNREACH')
    const sent = stacks.slice(1, 3).map((s) => s.counters()[section].outForwDatagrams)
    expect(sent[0] + sent[1]).toBeGreaterThanOrEqual(63)
    expect(sent[0] + sent[1]).toBeLessThanOrEqual(66)
  })

  it('what leads nowhere is told by the router that knows', async () => {
    const { world, first, stacks } = chain(3)
    const nowhere = is6 ? 'fd00:9::1' : '10.9.0.1'
    stacks[3].removeRoute(is6 ? '::/0' : '0.0.0.0/0')
    expect(await pings(world, first, nowhere)).toMatchObject([{ error: 'ENETUNREACH', from: far(2) }])
    stacks[2].addRoute(is6 ? 'fd00:9::/64' : '10.9.0.0/16', null, null, { kind: 'prohibit' })
    expect(await pings(world, first, nowhere)).toMatchObject([{ error: is6 ? 'EACCES' : 'EHOSTUNREACH', from: far(1) }])
    // A host that is not there: the last router asks for it in vain.
    const absent = is6 ? 'fd00:0:0:3::77' : '10.0.3.77'
    expect(await pings(world, first, absent, { timeoutMs: 5000 })).toMatchObject([{ error: 'EHOSTUNREACH', from: far(2) }])
  })

  it.each([
    ['super-segments', true],
    ['frames of a wire', false],
  ])('TCP finds the MTU of a narrow link in the middle: %s', (_, offload) => {
    const mtus = [1500, 1400, 1300, 1500]
    const { world, first, last } = chain(
      3,
      mtus.map((mtu) => ({ mtu, offload })),
    )
    const there = new Talker()
    const back = new Talker()
    last.tcp.listen(
      { port: 7 },
      {
        onConnection(c) {
          c.handler = back
          back.onWritable(c)
        },
      },
    )
    const c = first.tcp.open({ remoteAddress: far(3), remotePort: 7 }, there)
    world.runUntil(() => there.got >= BYTES && back.got >= BYTES, 60_000)
    expect([there.got, back.got, there.wrong + back.wrong]).toEqual([BYTES, BYTES, 0])
    expect(c.info().mss + (is6 ? 60 : 40) + 12).toBeLessThanOrEqual(1300)
    expect(first.ipLayer.pathMtu!.get(parse(far(3)))).toBe(1300)
  })

  it('datagrams pass a narrow link in the middle, too', () => {
    const { world, first, last } = chain(2, [{}, { mtu: 1300 }, {}])
    const sizes: number[] = []
    const into = new Datagram(new Uint8Array(2000))
    const server = last.udp.open(
      {
        onReadable: (s) => {
          while (s.receive(into)) sizes.push(into.len)
        },
      },
      { family: is6 ? 6 : 4 },
    )
    server.bind(is6 ? '::' : '0.0.0.0', 7)
    const client = first.udp.open({}, { family: is6 ? 6 : 4 })
    client.connect(far(2), 7)
    for (let i = 0; i < 3; i++) {
      client.send(new Uint8Array(1400), 0, 1400, null, 0)
      world.run(100)
    }
    // IPv4's routers cut them up; IPv6's sender does, once he was told.
    expect(sizes).toEqual(new Array(is6 ? 2 : 3).fill(1400))
  })

  it('rules send by source, several next hops share', async () => {
    const world = createWorld()
    const [host, router, left, right] = [world.stack(), world.stack({ forwarding: true }), world.stack(), world.stack()]
    const links = [world.link(host, router), world.link(router, left), world.link(router, right)]
    for (const [n, link] of links.entries()) {
      link.a.addAddress(`fd00:0:0:${n}::1/64`)
      link.b.addAddress(`fd00:0:0:${n}::2/64`)
    }
    host.addRoute(is6 ? '::/0' : '0.0.0.0/0', far(0), links[0].a)
    host.interfaces[0].addAddress(is6 ? 'fd00::9/64' : '10.0.0.9/24')
    for (const [n, stack] of [left, right].entries()) {
      // The same address at both: who answers says which way it was.
      stack.interfaces[0].addAddress(is6 ? 'fd00:5::1/128' : '10.5.0.1/32')
      stack.addRoute(is6 ? '::/0' : '0.0.0.0/0', near(n + 1), stack.interfaces[0])
    }
    world.run(3000)
    const target = is6 ? 'fd00:5::1' : '10.5.0.1'
    const net = is6 ? 'fd00:5::/64' : '10.5.0.0/24'
    const in_ = (s: Stack): number => s.counters()[is6 ? 'icmp6' : 'icmp'][is6 ? 'icmp6InEchos' : 'icmpInEchos']
    router.addRoute(net, far(1), links[1].a)
    router.addRoute(net, far(2), links[2].a, { table: 100 })
    router.addRule({ from: is6 ? 'fd00::9/128' : '10.0.0.9/32', table: 100 })
    await pings(world, host, target, { source: parse(near(0)) })
    expect([in_(left), in_(right)]).toEqual([1, 0])
    await pings(world, host, target, { source: parse(is6 ? 'fd00::9' : '10.0.0.9') })
    expect([in_(left), in_(right)]).toEqual([1, 1])
    router.addRule({ from: is6 ? 'fd00::9/128' : '10.0.0.9/32', iif: 'eth0', action: 'prohibit' })
    expect(await pings(world, host, target, { source: parse(is6 ? 'fd00::9' : '10.0.0.9') })).toMatchObject([{ from: far(0) }])
    router.addRoute(net, null, null, { mode: 'replace', nexthops: [{ gateway: far(1) }, { gateway: far(2) }] })
    const before = [in_(left), in_(right)]
    for (let i = 20; i < 36; i++) {
      host.interfaces[0].addAddress(is6 ? `fd00::${i}/64` : `10.0.0.${i}/24`)
      world.run(2000)
      expect(await pings(world, host, target, { source: parse(is6 ? `fd00::${i}` : `10.0.0.${i}`) })).toMatchObject([
        { from: target },
      ])
    }
    expect(in_(left)).toBeGreaterThan(before[0])
    expect(in_(right)).toBeGreaterThan(before[1])
    // One of the two falls silent: its flows go by the other as soon as that is found out.
    right.interfaces[0].setUp(false)
    for (let round = 0; round < 4; round++) {
      for (let i = 20; i < 28; i++) await pings(world, host, target, { source: parse(is6 ? `fd00::${i}` : `10.0.0.${i}`) })
      world.run(round === 0 ? 60_000 : 10_000)
    }
    for (let i = 20; i < 28; i++) {
      const source = parse(is6 ? `fd00::${i}` : `10.0.0.${i}`)
      expect(await pings(world, host, target, { source }), `${source}`).toMatchObject([{ from: target }])
    }
  })
})
