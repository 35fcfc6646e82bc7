/** Connection tracking: states, times, limits, ICMP, fragments. */
import { describe, expect, it } from 'vitest'
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
import { icmpOf, packetOf, udpOf } from '../support/ip-world.ts'

const a = FAMILIES[4]
const [SYN, ACK, FIN, RST] = [2, 16, 1, 4]

const isV4 = ({ bytes }: { bytes: Buffer }): boolean => bytes[0] >> 4 === 4

/** A segment without payload between inside and outside, as it arrives at the router. The checksum is nobody's business here. */
function segment(w: FilterWorld, flags: number, isReply = false, port = 5000): void {
  const tcp = Buffer.alloc(20)
  tcp.writeUInt16BE(isReply ? 80 : port, 0)
  tcp.writeUInt16BE(isReply ? port : 80, 2)
  tcp[12] = 5 << 4
  tcp[13] = flags
  const [source, destination] = isReply ? [a.outside, a.inside] : [a.inside, a.outside]
  hear(w.router, isReply ? w.eth1 : w.eth0, packetOf({ source, destination, protocol: 6 }, tcp))
}

/** A world that counts forwarded packets by their connection's state. */
function tracked(config = {}): FilterWorld & { states: () => Record<string, number>; tcp: () => string } {
  const w = filterWorld(config)
  const names = ['new', 'established', 'related', 'invalid', 'untracked'] as const
  const rules = names.map((state) => w.router.filter.add('forward', { state }, 'continue'))
  return {
    ...w,
    states: () => Object.fromEntries(names.map((n, i) => [n, rules[i].packets]).filter(([, count]) => count !== 0)),
    tcp: () => {
      const [c] = w.router.filter.connections()
      return c === undefined ? 'none' : `${c.tcpState} ${Math.round(c.expiresInMs / 1000)}`
    },
  }
}

describe('TCP', () => {
  it('goes through its states, each with its time', () => {
    const w = tracked()
    const steps: [number, boolean, string][] = [
      [SYN, false, 'SYN-SENT 120'],
      [SYN | ACK, true, 'SYN-RECEIVED 60'],
      [ACK, false, 'ESTABLISHED 432000'],
      [ACK, true, 'ESTABLISHED 432000'],
      [FIN | ACK, false, 'FIN-WAIT 120'],
      [ACK, true, 'CLOSE-WAIT 60'],
      [FIN | ACK, true, 'LAST-ACK 30'],
      [ACK, false, 'TIME-WAIT 120'],
    ]
    for (const [flags, isReply, state] of steps) {
      segment(w, flags, isReply)
      expect(w.tcp(), `${flags}`).toBe(state)
    }
    expect(w.states()).toEqual({ new: 1, established: 7 })
    // A SYN begins another connection in its place.
    segment(w, SYN)
    expect(w.tcp()).toBe('SYN-SENT 120')
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ new: 2, reopened: 1 })
    w.world.run(121_000)
    expect(w.tcp()).toBe('none')
  })

  it('both sides may open, and both may close at once', () => {
    const w = tracked()
    for (const [flags, isReply] of [
      [SYN, false],
      [SYN, true],
      [SYN | ACK, true],
      [ACK, false],
    ] as const)
      segment(w, flags, isReply)
    expect(w.tcp()).toBe('ESTABLISHED 432000')
    segment(w, FIN | ACK, true)
    segment(w, FIN | ACK, false)
    expect(w.tcp()).toBe('LAST-ACK 30')
    segment(w, ACK, true)
    expect(w.tcp()).toBe('TIME-WAIT 120')
  })

  it('a reset that nobody believed does not end a connection that goes on', () => {
    const w = tracked()
    for (const [flags, isReply] of [
      [SYN, false],
      [SYN | ACK, true],
      [ACK, false],
      [RST, true],
    ] as const)
      segment(w, flags, isReply)
    expect(w.tcp()).toBe('CLOSED 10')
    segment(w, ACK)
    expect(w.tcp()).toBe('ESTABLISHED 432000')
    segment(w, RST)
    w.world.run(11_000)
    expect(w.tcp()).toBe('none')
  })

  it('a connection is adopted in its middle, or not', () => {
    const loose = tracked()
    segment(loose, ACK)
    expect(loose.tcp()).toBe('ESTABLISHED 300')
    segment(loose, ACK, true)
    expect(loose.tcp()).toBe('ESTABLISHED 432000')
    const strict = tracked({ filter: { tcpLoose: false } })
    segment(strict, ACK)
    expect([strict.tcp(), strict.states()]).toEqual(['none', { invalid: 1 }])
  })

  it.each([
    ['no flags', 0],
    ['SYN and FIN', SYN | FIN],
    ['SYN and RST', SYN | RST],
    ['FIN alone', FIN],
    ['all of them', 0x3f],
    ['RST of nothing', RST],
    ['SYN-ACK of nothing', SYN | ACK],
    ['FIN of nothing', FIN | ACK],
  ])('%s is invalid', (_, flags) => {
    const w = tracked()
    segment(w, flags)
    expect([w.tcp(), w.states()]).toEqual(['none', { invalid: 1 }])
  })
})

describe('UDP and ICMP', () => {
  it('a datagram is remembered for 30 s, an exchange for two minutes', () => {
    const w = tracked()
    const [client, server] = [udpPeer(w.inside, 5000), udpPeer(w.outside, 53)]
    w.outside.addRoute('10.0.0.0/24', a.far, w.outside.interfaces[0])
    client.send(a.outside, 53, 4)
    w.world.run(1)
    expect(w.router.filter.connections()).toMatchObject([
      { protocol: 'udp', replied: false, assured: false, original: { packets: 1, bytes: 32 } },
    ])
    w.world.run(29_000)
    expect(w.router.filter.connections()).toHaveLength(1)
    server.send(a.inside, 5000, 4)
    w.world.run(1)
    client.send(a.outside, 53, 4)
    w.world.run(1)
    expect(w.router.filter.connections()).toMatchObject([{ replied: true, assured: true, reply: { packets: 1, bytes: 32 } }])
    expect(w.states()).toEqual({ new: 1, established: 2 })
    w.world.run(118_000)
    expect(w.router.filter.connections()).toHaveLength(1)
    w.world.run(5_000)
    expect(w.router.filter.connections()).toEqual([])
  })

  it('an error is related to what it quotes, and nothing if it quotes nothing known or is damaged', () => {
    const w = tracked()
    udpPeer(w.inside, 5000).send(a.outside, 53, 4)
    w.world.run(1) // the outside has no socket: one error comes back, and there is no way to the inside from there
    const quote = packetOf(
      { source: a.inside, destination: a.outside, protocol: 17 },
      udpOf(a.inside, a.outside, 5000, 53, new Uint8Array(4)),
    )
    const strange = packetOf(
      { source: a.inside, destination: a.outside, protocol: 17 },
      udpOf(a.inside, a.outside, 5001, 53, new Uint8Array(4)),
    )
    const error = (about: Uint8Array): Buffer => icmpOf(3, 1, [0, 0, 0, 0, ...about])
    const from = (icmp: Uint8Array): void =>
      hear(w.router, w.eth1, packetOf({ source: '192.0.2.9', destination: a.inside, protocol: 1 }, icmp))
    from(error(quote))
    from(error(strange))
    const damaged = error(quote)
    damaged[20] ^= 1
    from(damaged)
    from(error(quote.subarray(0, 22)))
    expect(w.states()).toEqual({ new: 1, related: 1, invalid: 3 })
  })

  it('an answer that nobody asked for is invalid; what is about the link is untracked', () => {
    const w = tracked()
    const to = (icmp: Uint8Array): void =>
      hear(w.router, w.eth1, packetOf({ source: a.outside, destination: a.inside, protocol: 1 }, icmp))
    to(icmpOf(0, 0, [0, 1, 0, 1]))
    to(icmpOf(9, 0, [0, 0, 0, 0]))
    expect(w.states()).toEqual({ invalid: 1, untracked: 1 })
  })
})

describe('limits', () => {
  it('a full table gives up who was never answered, and refuses when all were', () => {
    const w = tracked({ filter: { maxConnections: 4 } })
    for (let port = 1; port <= 8; port++) segment(w, SYN, false, port)
    expect(w.router.filter.connections()).toHaveLength(4)
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ new: 8, earlyDrop: 4 })
    for (const c of w.router.filter.connections()) {
      segment(w, SYN | ACK, true, c.original.sourcePort)
      segment(w, ACK, false, c.original.sourcePort)
    }
    segment(w, SYN, false, 99)
    expect(w.router.filter.connections().every((c) => c.assured)).toBe(true)
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ new: 8, drop: 1 })
  })

  it('the memory of a flood is given back', () => {
    const w = tracked()
    for (let port = 1; port <= 3000; port++) segment(w, SYN, false, port)
    expect(w.router.filter.connections()).toHaveLength(3000)
    w.world.run(150_000)
    expect(w.router.filter.connections()).toEqual([])
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ new: 3000, expired: 3000 })
  })
})

describe('fragments', () => {
  it.each([4, 6] as const)('of IPv%i are translated with their first one, both ways', (family) => {
    const { inside, outside, far } = FAMILIES[family]
    const w = filterWorld({}, { offload: false })
    w.router.filter.masquerade({ out: 'eth1' })
    const [client, server] = [udpPeer(w.inside, 5000), udpPeer(w.outside, 53)]
    client.send(outside, 53, 6000)
    w.world.run(10)
    expect(server.heard).toEqual([{ from: far, port: 5000, length: 6000 }])
    server.send(far, 5000, 7000)
    w.world.run(10)
    expect(client.heard).toEqual([{ from: outside, port: 53, length: 7000 }])
    expect(w.router.filter.connections()).toMatchObject([{ original: { source: inside, packets: 5 }, reply: { packets: 5 } }])
    expect(w.seen.map(checksumFault).filter((f) => f !== '')).toEqual([])
  })

  it('that come to us are put together before input sees them', () => {
    const w = filterWorld()
    const rule = w.router.filter.add('input', { destinationPort: 53, state: 'new' }, 'accept')
    w.router.filter.policy('input', 'drop')
    const server = udpPeer(w.router, 53)
    udpPeer(w.inside, 5000).send(a.near, 53, 4000)
    w.world.run(10)
    expect(server.heard).toMatchObject([{ length: 4000 }])
    expect([rule.packets, rule.bytes]).toEqual([1, 4028])
  })

  it('wait for their first one if they come before it, and go on in the same turn', () => {
    const w = filterWorld()
    w.router.filter.masquerade({ out: 'eth1' })
    const server = udpPeer(w.outside, 53)
    const datagram = udpOf(a.inside, a.outside, 5000, 53, new Uint8Array(3000))
    const piece = (from: number, to: number): Buffer =>
      packetOf(
        { source: a.inside, destination: a.outside, protocol: 17, id: 77, flagsFragment: (to < 3008 ? 0x2000 : 0) | (from >> 3) },
        datagram.subarray(from, to),
      )
    hear(w.router, w.eth0, piece(2400, 3008))
    hear(w.router, w.eth0, piece(1200, 2400))
    w.world.run(10)
    expect(w.seen.filter(isV4)).toEqual([])
    hear(w.router, w.eth0, piece(0, 1200))
    w.router.turn.wake()
    w.world.run(1)
    expect(server.heard).toEqual([{ from: a.far, port: 5000, length: 3000 }])
    expect(w.router.filter.counters.snapshot(true)).toMatchObject({ fragmentsHeld: 2, fragmentsReleased: 2 })
  })

  it('without a first one are held in bounded memory, and forgotten', () => {
    const w = filterWorld({ filter: { fragmentHoldBytes: 4000, fragmentDatagrams: 100 } })
    w.router.filter.masquerade({ out: 'eth1' })
    for (let id = 0; id < 20; id++)
      hear(
        w.router,
        w.eth0,
        packetOf({ source: a.inside, destination: a.outside, protocol: 17, id, flagsFragment: 185 }, new Uint8Array(1000)),
      )
    const counters = (): object => w.router.filter.counters.snapshot(true)
    expect(counters()).toMatchObject({ fragmentsHeld: 3, fragmentsDropMemory: 17 })
    w.world.run(31_000)
    hear(
      w.router,
      w.eth0,
      packetOf({ source: a.inside, destination: a.outside, protocol: 17, id: 1, flagsFragment: 185 }, new Uint8Array(1000)),
    )
    expect(counters()).toMatchObject({ fragmentsHeld: 4, fragmentsDropTime: 3 })
    expect(w.seen.filter(isV4)).toEqual([])
  })

  it('too short for their headers are dropped, and those that would lie over them', () => {
    const w = filterWorld()
    w.router.filter.tracking = true
    const hearPiece = (flagsFragment: number, length: number): void =>
      hear(
        w.router,
        w.eth0,
        packetOf({ source: a.inside, destination: a.outside, protocol: 6, id: 5, flagsFragment }, new Uint8Array(length)),
      )
    hearPiece(0x2000, 16)
    hearPiece(1, 100)
    expect(w.router.filter.counters.snapshot(true)).toEqual({ fragmentsDropTiny: 2 })
  })
})

it('a connection over the loopback is one, not two', async () => {
  const w = filterWorld()
  w.router.filter.tracking = true
  echoServer(w.router, 7)
  const result = exchange(w.router, '127.0.0.1', 7, 100)
  w.world.run(100)
  expect(result.got).toBe(100)
  expect(w.router.filter.connections()).toMatchObject([{ tcpState: 'ESTABLISHED', replied: true }])
  await w.world.close()
})
