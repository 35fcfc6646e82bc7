/** Address translation between an inside and an outside, in both families: RFC 4787, 5382, 5508 as far as they are about addresses and ports. */
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { Stack } from '../../src/stack/stack.ts'
import {
  checksumFault,
  echoServer,
  exchange,
  FAMILIES,
  type FilterWorld,
  filterWorld,
  hear,
  udpPeer,
} from '../support/filter-world.ts'
import { packetOf, udpOf } from '../support/ip-world.ts'

const both = [4, 6] as const
const faults = (w: FilterWorld): string[] => w.seen.map(checksumFault).filter((f) => f !== '')
const translated = (router: Stack): unknown[] => router.filter.connections().map(({ original, reply }) => [original, reply])

describe.each(both)('masquerade, IPv%i', (family) => {
  const a = FAMILIES[family]

  it.each([
    ['with offloads', {}],
    ['with checksums', { offload: false }],
  ])('TCP goes out by the address of the router, %s', async (_, options) => {
    const w = filterWorld({}, options)
    w.router.filter.masquerade({ out: 'eth1' })
    const peers = echoServer(w.outside, 7)
    const result = exchange(w.inside, a.outside, 7, 50_000)
    w.world.run(2000)
    expect(result.got).toBe(50_000)
    expect(peers.map((p) => p.split(' ')[0])).toEqual([a.far])
    expect(faults(w)).toEqual([])
    const [c] = w.router.filter.connections()
    expect(c).toMatchObject({ protocol: 'tcp', tcpState: 'ESTABLISHED', replied: true, assured: true })
    expect(c.original).toMatchObject({ source: a.inside, destination: a.outside, destinationPort: 7 })
    // The port was free: it is kept.
    expect(c.reply).toMatchObject({ source: a.outside, destination: a.far, destinationPort: c.original.sourcePort })
    await w.world.close()
  })

  it('a port that is taken is exchanged for a free one of the range', async () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1', ports: '2000-2001' })
    const server = udpPeer(w.outside, 53)
    const clients = [5001, 5002, 5003].map((port) => udpPeer(w.inside, port))
    for (const c of clients) c.send(a.outside, 53, 4)
    w.world.run(10)
    expect(server.heard.map((h) => h.port).sort()).toEqual([2000, 2001])
    expect(server.heard.map((h) => h.from)).toEqual([a.far, a.far])
    // All ports of the range stand for somebody towards that destination.
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ natDropNoPort: 1 })
    for (const h of server.heard) server.send(h.from, h.port, 9)
    w.world.run(10)
    expect(clients.map((c) => c.heard.length)).toEqual([1, 1, 0])
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('a connection of the router itself does not lose its answers to one that looks the same', async () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1', source: family === 4 ? '10.0.0.0/24' : 'fd00::/64' })
    const server = udpPeer(w.outside, 53)
    const [own, inner] = [udpPeer(w.router, 7000), udpPeer(w.inside, 7000)]
    inner.send(a.outside, 53, 1)
    own.send(a.outside, 53, 2)
    w.world.run(10)
    expect(server.heard.map((h) => h.from)).toEqual([a.far, a.far])
    expect(server.heard[0].port).toBe(7000)
    expect(server.heard[1].port).not.toBe(7000)
    for (const h of server.heard) server.send(h.from, h.port, 10 * h.length)
    w.world.run(10)
    expect([inner.heard[0].length, own.heard[0].length]).toEqual([10, 20])
    await w.world.close()
  })

  it('pings go out, and so do the errors about them come back', async () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1' })
    const replies: string[] = []
    const asking = (async () => {
      for await (const r of w.inside.ping(a.outside, { count: 2 })) replies.push(r.error ?? r.from)
    })()
    await w.world.settle(asking)
    expect(replies).toEqual([a.outside, a.outside])
    const [c] = w.router.filter.connections()
    expect(c).toMatchObject({
      protocol: 'icmp',
      original: { source: a.inside, packets: 2 },
      reply: { destination: a.far, packets: 2 },
    })
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('an error from outside reaches who sent what it is about', async () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1' })
    const client = udpPeer(w.inside, 6000, a.outside, 999)
    client.send(null, 0, 5)
    w.world.run(10)
    expect(client.errors).toEqual(['ECONNREFUSED'])
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ related: 1, natErrorsTranslated: 1 })
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('connections end with the address that they borrowed', async () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1' })
    const server = udpPeer(w.outside, 53)
    const client = udpPeer(w.inside, 5000)
    client.send(a.outside, 53, 4)
    w.world.run(10)
    expect(translated(w.router)).toHaveLength(1)
    w.eth1.removeAddress(`${a.far}/24`)
    w.world.run(30_000)
    expect(translated(w.router)).toHaveLength(0)
    expect(server.heard).toHaveLength(1)
    await w.world.close()
  })

  it('when their uplink goes down they end too, and begin anew by another', async () => {
    const w = filterWorld()
    const [x, y] = createPipe({ medium: 'ip', names: ['up.a', 'up.b'] })
    const second = w.router.attach(x, { name: 'eth2', addresses: ['198.51.100.1/24', '2001:db8:2::1/64'] })
    w.outside.attach(y, { addresses: ['198.51.100.2/24', '2001:db8:2::2/64'] })
    w.router.addRoute(
      family === 4 ? '192.0.2.0/24' : '2001:db8::/64',
      family === 4 ? '198.51.100.2' : '2001:db8:2::2',
      second,
      10,
    )
    w.router.filter.masquerade({ out: ['eth1', 'eth2'] })
    const server = udpPeer(w.outside, 53)
    const client = udpPeer(w.inside, 5000)
    client.send(a.outside, 53, 4)
    w.world.run(10)
    w.eth1.setUp(false)
    for (let i = 0; i < 2; i++) client.send(a.outside, 53, 4)
    w.world.run(10)
    const next = family === 4 ? '198.51.100.1' : '2001:db8:2::1'
    expect(server.heard.map((h) => h.from)).toEqual([a.far, next])
    expect(w.router.filter.connections().map((c) => c.reply.destination)).toEqual([next])
    await w.world.close()
  })

  it('what belongs to no connection does not get out with its inside address', async () => {
    const w = filterWorld({ filter: { tcpLoose: false } })
    const peers = echoServer(w.outside, 7)
    w.router.filter.masquerade({ out: 'eth1' })
    const { connection } = exchange(w.inside, a.outside, 7, 10)
    w.world.run(100)
    expect(peers).toHaveLength(1)
    w.router.filter.forget()
    const before = w.seen.length
    connection.write(new Uint8Array(10), 0, 10)
    w.world.run(100)
    expect(w.seen.slice(before).filter((s) => s.at === 'outside')).toEqual([])
    expect(w.router.filter.counters.snapshot(true).natDropInvalid).toBeGreaterThan(0)
    await w.world.close()
  })

  it('one outside port for all destinations, if asked for', async () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1', ports: '3000-3999', endpointIndependent: true })
    const servers = [udpPeer(w.outside, 53), udpPeer(w.outside, 54), udpPeer(w.outside, 55)]
    const clients = [udpPeer(w.inside, 5000), udpPeer(w.inside, 5001)]
    for (const port of [53, 54, 55]) for (const c of clients) c.send(a.outside, port, 4)
    w.world.run(10)
    const [first, second] = servers[0].heard.map((h) => h.port)
    expect(first).not.toBe(second)
    for (const s of servers) expect(s.heard.map((h) => h.port)).toEqual([first, second])
    // The last connection takes the mapping with it.
    w.world.run(300_000)
    clients[1].send(a.outside, 53, 4)
    w.world.run(10)
    expect(translated(w.router)).toHaveLength(1)
    await w.world.close()
  })
})

describe.each(both)('destinations, IPv%i', (family) => {
  const a = FAMILIES[family]
  const at = (address: string, port: number): string => (family === 4 ? `${address}:${port}` : `[${address}]:${port}`)

  it('dnat leads to a server inside, whose answers come from the address that was asked', async () => {
    const w = filterWorld({}, { offload: false })
    w.router.filter.dnat({ in: 'eth1', protocol: 'tcp', destinationPort: 80, to: at(a.inside, 8080) })
    const peers = echoServer(w.inside, 8080)
    const result = exchange(w.outside, a.far, 80, 5000)
    w.world.run(1000)
    expect(result).toMatchObject({ got: 5000, remote: a.far })
    expect(peers.map((p) => p.split(' ')[0])).toEqual([a.outside])
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('a client on the network of the server gets through by the outside address (hairpin)', async () => {
    const w = filterWorld()
    w.router.filter.dnat({ destination: a.far, protocol: 'tcp', destinationPort: 80, to: at(a.inside, 8080) })
    const peers = echoServer(w.inside, 8080)
    const result = exchange(w.inside, a.far, 80, 5000)
    w.world.run(1000)
    expect(result.got).toBe(5000)
    expect(peers.map((p) => p.split(' ')[0])).toEqual([a.near])
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('without hairpin the server answers behind the back of the router, and nothing comes of it', async () => {
    const w = filterWorld()
    const options = { destination: a.far, protocol: 'tcp', destinationPort: 80, to: at(a.inside, 8080), hairpin: false } as const
    w.router.filter.dnat(options)
    const result = exchange(w.inside, a.far, 80, 5000)
    echoServer(w.inside, 8080)
    w.world.run(1000)
    expect(result.got).toBe(0)
    await w.world.close()
  })

  it('redirect leads to a port of the router', async () => {
    const w = filterWorld({}, { offload: false })
    w.router.filter.redirect({ in: 'eth0', protocol: 'tcp', destinationPort: 80, toPort: 3128 })
    const peers = echoServer(w.router, 3128)
    const result = exchange(w.inside, a.outside, 80, 5000)
    w.world.run(1000)
    expect(result).toMatchObject({ got: 5000, remote: a.outside })
    expect(peers.map((p) => p.split(' ')[0])).toEqual([a.inside])
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('what the router itself sends is led elsewhere with `local`', async () => {
    const w = filterWorld({}, { offload: false })
    w.router.filter.dnat({ destination: a.outside, protocol: 'tcp', destinationPort: 80, to: at(a.inside, 8080), local: true })
    w.router.filter.redirect({ protocol: 'tcp', destinationPort: 81, toPort: 3128, local: true })
    const peers = echoServer(w.inside, 8080)
    const own = echoServer(w.router, 3128)
    const [there, here] = [exchange(w.router, a.outside, 80, 5000), exchange(w.router, a.outside, 81, 5000)]
    w.world.run(1000)
    expect([there.got, here.got]).toEqual([5000, 5000])
    expect([peers.length, own.length]).toEqual([1, 1])
    expect(faults(w)).toEqual([])
    await w.world.close()
  })

  it('snat: a host keeps to one address of a range', async () => {
    const w = filterWorld()
    const range = family === 4 ? '192.0.2.16-192.0.2.31' : '2001:db8::10-2001:db8::1f'
    w.router.filter.snat({ out: 'eth1', to: range })
    const server = udpPeer(w.outside, 53)
    for (const port of [1001, 1002, 1003]) udpPeer(w.inside, port).send(a.outside, 53, 4)
    w.world.run(10)
    expect(server.heard).toHaveLength(3)
    expect(new Set(server.heard.map((h) => h.from)).size).toBe(1)
    expect(server.heard[0].from).toMatch(family === 4 ? /^192\.0\.2\.(1[6-9]|2\d|3[01])$/ : /^2001:db8::1[0-9a-f]$/)
    await w.world.close()
  })
})

it('a UDP datagram without a checksum has none afterwards', async () => {
  const w = filterWorld()
  w.router.filter.masquerade({ out: 'eth1' })
  const server = udpPeer(w.outside, 53)
  const datagram = udpOf('10.0.0.2', '192.0.2.2', 5000, 53, new Uint8Array(4))
  datagram.writeUInt16BE(0, 6)
  hear(w.router, w.eth0, packetOf({ source: '10.0.0.2', destination: '192.0.2.2', protocol: 17 }, datagram))
  w.world.run(10)
  expect(server.heard).toMatchObject([{ from: '192.0.2.1', port: 5000, length: 4 }])
  expect(w.seen.at(-1)!.bytes.readUInt16BE(26)).toBe(0)
  await w.world.close()
})
