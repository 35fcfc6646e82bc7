/** The packet filter together with what else a router does: neighbours that are silent, VLANs, narrow paths, super-segments, groups. */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { echoServer, exchange, FAMILIES, filterWorld, hear, udpPeer } from '../support/filter-world.ts'
import { extension, fragment6, packet6, udp6 } from '../support/ip6-world.ts'

async function all<T>(world: World, iterator: AsyncIterableIterator<T>): Promise<T[]> {
  const out: T[] = []
  for (;;) {
    const next = await world.settle(iterator.next())
    if (next.done === true) return out
    out.push(next.value)
  }
}

/**
 * inside 10.0.0.2, fd00::2 - VLAN 7 - router (masquerade) 192.0.2.1, 2001:db8::1 - middle - outside 198.51.100.2, 2001:db8:1::2 over a link
 * of 1300 bytes. Nobody outside knows a way to the inside.
 */
function narrow(offload: boolean) {
  const world = createWorld()
  const router = (): Stack => world.stack({ forwarding: true })
  const [inside, nat, middle, outside] = [world.stack(), router(), router(), world.stack()]
  const first = world.link(inside, nat, { addresses: ['10.9.0.2/24', '10.9.0.1/24'], offload })
  inside.addVlan(first.a, 7, { addresses: ['10.0.0.2/24', 'fd00::2/64'], gateway: ['10.0.0.1', 'fd00::1'] })
  nat.addVlan(first.b, 7, { addresses: ['10.0.0.1/24', 'fd00::1/64'] })
  const second = world.link(nat, middle, { addresses: ['192.0.2.1/24', '192.0.2.2/24'], offload })
  const third = world.link(middle, outside, { addresses: ['198.51.100.1/24', '198.51.100.2/24'], mtu: 1300, offload })
  second.a.addAddress('2001:db8::1/64')
  second.b.addAddress('2001:db8::2/64')
  third.a.addAddress('2001:db8:1::1/64')
  third.b.addAddress('2001:db8:1::2/64')
  nat.addRoute('0.0.0.0/0', '192.0.2.2')
  nat.addRoute('::/0', '2001:db8::2')
  outside.addRoute('0.0.0.0/0', '198.51.100.1')
  outside.addRoute('::/0', '2001:db8:1::1')
  nat.filter.masquerade({ out: 'eth1' })
  world.run(3000)
  return { world, inside, nat, outside }
}

const FAR = { 4: '198.51.100.2', 6: '2001:db8:1::2' } as const
const NAT = { 4: '192.0.2.1', 6: '2001:db8::1' } as const

describe.each([4, 6] as const)('IPv%i', (family) => {
  it.each([true, false])('a VLAN, translation and a narrow link behind it (offload %s)', async (offload) => {
    const { world, inside, outside } = narrow(offload)
    const to = FAR[family]
    const peers = echoServer(outside, 7)
    const stream = exchange(inside, to, 7, 60_000)
    const server = udpPeer(outside, 53)
    const client = udpPeer(inside, 5353)
    client.send(to, 53, 1400)
    world.run(500)
    client.send(to, 53, 1400)
    client.send(to, 53, 9000)
    world.run(3000)
    for (const h of server.heard) server.send(h.from, h.port, h.length)
    world.run(3000)
    expect(stream).toMatchObject({ got: 60_000, error: null })
    expect(peers.map((p) => p.split(' ')[0])).toEqual([NAT[family]])
    // IPv4 is cut up on the way; of IPv6 the first one is lost, and its sender told by an error that was translated back.
    const lengths = family === 4 ? [1400, 1400, 9000] : [1400, 9000]
    expect(server.heard.map((h) => h.length)).toEqual(lengths)
    expect(client.heard.map((h) => h.length)).toEqual(lengths)
    expect((await all(world, inside.tracepath(to))).at(-1)).toMatchObject({ hop: 3, mtu: 1300, reached: true })
    const hops = family === 4 ? ['10.0.0.1', '192.0.2.2', to] : ['fd00::1', '2001:db8::2', to]
    for (const method of ['udp', 'icmp', 'tcp'] as const) {
      const found = await all(world, inside.traceroute(to, { method, queries: 1 }))
      expect(found.map((h) => h.answers[0].from)).toEqual(hops)
    }
    await world.close()
  })

  it('a neighbour outside who does not answer: who is told is the host inside', async () => {
    const world = createWorld()
    const [inside, router, outside] = [world.stack(), world.stack({ forwarding: true }), world.stack()]
    const near = world.link(inside, router, { addresses: ['10.0.0.2/24', '10.0.0.1/24'] })
    const far = world.link(router, outside, { addresses: ['192.0.2.1/24', '192.0.2.2/24'] })
    near.a.addAddress('fd00::2/64')
    near.b.addAddress('fd00::1/64')
    far.a.addAddress('2001:db8::1/64')
    inside.addRoute('0.0.0.0/0', '10.0.0.1')
    inside.addRoute('::/0', 'fd00::1')
    router.filter.masquerade({ out: 'eth1' })
    world.run(3000)
    const net = family === 4 ? '192.0.2.' : '2001:db8::'
    const stream = exchange(inside, `${net}77`, 7)
    const ping = inside.ping(`${net}78`, { count: 1, timeoutMs: 8000 })
    const own = router.ping(`${net}79`, { count: 1, timeoutMs: 8000 })
    expect(await world.settle(ping.next())).toMatchObject({ value: { error: 'EHOSTUNREACH' } })
    expect(await world.settle(own.next())).toMatchObject({ value: { error: 'EHOSTUNREACH' } })
    expect(stream.error ?? stream.connection.info().softError).toBe('EHOSTUNREACH')
    await world.close()
  })

  it('groups are heard through it, and spoken to', async () => {
    const w = filterWorld()
    w.router.filter.add('input', { state: 'invalid' }, 'drop')
    w.router.filter.masquerade({ out: 'eth1' })
    const group = family === 4 ? '239.1.1.1' : 'ff15::1'
    let heard = 0
    const socket = w.router.udp.open({ onReadable: () => void heard++ }, { family })
    socket.bind(family === 4 ? '0.0.0.0' : '::', 5000)
    socket.joinGroup(group, 'eth0')
    w.world.run(3000)
    udpPeer(w.inside, 99).send(group, 5000, 3)
    w.world.run(100)
    expect(heard).toBe(1)
    await w.world.close()
  })
})

it.each([4, 6] as const)('IPv%i: fragments that overtake each other are translated, sent on and put together', async (family) => {
  const world = createWorld({ seed: 5 })
  const [inside, router, outside] = [world.stack(), world.stack({ forwarding: true }), world.stack()]
  const rough = { offload: false, delay: 5, jitter: 4 }
  const near = world.link(inside, router, { addresses: ['10.0.0.2/24', '10.0.0.1/24'], ...rough, reorder: 0.5 })
  const far = world.link(router, outside, { addresses: ['192.0.2.1/24', '192.0.2.2/24'], ...rough })
  near.a.addAddress('fd00::2/64')
  near.b.addAddress('fd00::1/64')
  far.a.addAddress('2001:db8::1/64')
  far.b.addAddress('2001:db8::2/64')
  inside.addRoute('0.0.0.0/0', '10.0.0.1')
  inside.addRoute('::/0', 'fd00::1')
  router.filter.masquerade({ out: 'eth1' })
  router.filter.redirect({ protocol: 'udp', destinationPort: 54, toPort: 53 })
  const at = FAMILIES[family]
  const [there, here, client] = [udpPeer(outside, 53), udpPeer(router, 53), udpPeer(inside, 999)]
  world.run(3000)
  client.send(at.outside, 1, 1) // neighbours know each other
  world.run(1000)
  const lengths = Array.from({ length: 10 }, (_, i) => 9000 + i)
  for (const length of lengths) for (const port of [53, 54]) client.send(at.outside, port, length)
  world.run(2000)
  for (const peer of [there, here]) {
    expect(peer.heard.map((h) => h.length).sort()).toEqual(lengths)
    for (const h of peer.heard) peer.send(h.from, h.port, h.length)
  }
  world.run(2000)
  expect(client.heard.map((h) => h.from)).toEqual(new Array(20).fill(at.outside))
  expect(router.filter.counters.snapshot(true).fragmentsHeld).toBeGreaterThan(0)
  await world.close()
})

it('a host behind a wall: what it asks for is answered, errors come in, and nothing else', async () => {
  const w = filterWorld()
  const { filter } = w.inside
  filter.policy('input', 'drop')
  filter.add('input', { state: ['established', 'related'] }, 'accept')
  filter.add('input', { protocol: 'tcp', destinationPort: 22 }, 'accept')
  w.outside.addRoute('10.0.0.0/24', '192.0.2.1')
  w.outside.addRoute('fd00::/64', '2001:db8::1')
  echoServer(w.outside, 7)
  echoServer(w.inside, 22)
  echoServer(w.inside, 23)
  for (const family of [4, 6] as const) {
    const at = FAMILIES[family]
    const [out, open, shut] = [
      exchange(w.inside, at.outside, 7),
      exchange(w.outside, at.inside, 22),
      exchange(w.outside, at.inside, 23),
    ]
    w.world.run(2000)
    expect([out.got, open.got, shut.got]).toEqual([10, 10, 0])
    // The way becomes narrow: the error is let in.
    w.eth1.setMtu(1300)
    out.connection.write(new Uint8Array(20_000), 0, 20_000)
    w.world.run(3000)
    expect([out.got, out.connection.info().pathMtu]).toEqual([20_010, 1300])
    w.eth1.setMtu(1500)
    const hops = await all(w.world, w.inside.traceroute(at.outside, { queries: 1 }))
    expect(hops.map((h) => h.answers[0].from)).toEqual([at.near, at.outside])
    expect(await all(w.world, w.outside.ping(at.inside, { count: 1, timeoutMs: 500 }))).toMatchObject([{ error: 'ETIMEDOUT' }])
  }
  await w.world.close()
})

it('a port is found behind any number of extension headers', async () => {
  const w = filterWorld()
  const rule = w.router.filter.add('forward', { protocol: 'udp', destinationPort: 53 }, 'drop')
  const datagram = udp6(5000, 53, Buffer.from('question'), FAMILIES[6].inside, FAMILIES[6].outside)
  const chain = Buffer.concat(Array.from({ length: 100 }, (_, i) => extension(i < 99 ? 60 : 17, [1, 4, 0, 0, 0, 0])))
  const addresses = { from: FAMILIES[6].inside, to: FAMILIES[6].outside }
  hear(w.router, w.eth0, packet6({ next: 60, ...addresses }, Buffer.concat([chain, datagram])))
  expect(rule.packets).toBe(1)
  await w.world.close()
})

it('what overlapped and is pushed out later failed once', async () => {
  const w = filterWorld({ ipv6: { reassemblyDatagrams: 2 } })
  const piece = (id: number, at: number, length: number): void => {
    const addresses = { from: FAMILIES[6].inside, to: FAMILIES[6].near }
    hear(w.router, w.eth0, packet6({ next: 44, ...addresses }, fragment6(17, at, true, id, new Uint8Array(length).fill(at))))
  }
  piece(1, 0, 32)
  piece(1, 8, 16)
  for (const id of [2, 3]) piece(id, 8, 16)
  expect(w.router.counters(true).ip6).toMatchObject({ ip6ReasmReqds: 4, ip6ReasmDropOverlap: 1, ip6ReasmFails: 1 })
  await w.world.close()
})
