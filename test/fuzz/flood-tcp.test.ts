/** Floods and slow attacks on TCP: each costs the attacker more than us, and whoever is honest gets through, at the latest afterwards. */
import { describe, expect, it } from 'vitest'
import type { RawConnection } from '../../src/tcp/api.ts'
import { Connection } from '../../src/tcp/connection.ts'
import { Forge, PEER } from '../support/forge.ts'
import { runs } from '../support/runs.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { DEAF, ECHO, FOUNTAIN, PEER_IP, TARGET_IP, World } from './world.ts'

/** By hand a quarter of what CI sends: more than any table or buffer has room for, too. */
const MANY = runs(100_000)
const SYN = 2
const RST = 4
const ACK = 16
const PSH = 8

/** A connection of the peer to one of the target's services; the target's end of it. */
function connect(world: World, port: number, handler: object = {}): { ours: Connection; theirs: Connection } {
  const before = new Set(world.connections())
  const theirs = world.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: port }, handler) as Connection
  world.host.advance(50)
  const ours = world.connections().find((c) => !before.has(c) && c.remotePort === theirs.localPort)
  if (ours === undefined) throw new Error('not connected')
  return { ours, theirs }
}

/** Sends 1,000 bytes through the echo; true when they came back by then. */
function echoes(world: World, theirs: Connection, ms = 2000): boolean {
  const before = theirs.readable
  theirs.write(new Uint8Array(1000), 0, 1000)
  world.host.advance(ms)
  return theirs.readable === before + 1000
}

describe('SYN', () => {
  for (const [what, base, mask] of [
    ['beyond the gateway', 0x20000000, 0x0fffffff],
    ['on the link', 0x0a000000, 0x7fff],
  ] as const) {
    it(`${MANY} from random sources ${what}: memory is bounded, old connections live, new ones get in by cookie`, () => {
      const world = new World({ seed: 1, prefix: 16 })
      world.host.advance(1000)
      const { theirs } = connect(world, ECHO)
      const listener = world.target.tcp.allListeners().find((l) => l.localPort === ECHO)!
      const { config } = world.target
      const forge = new Forge(world.link)
      let late: Connection | null = null
      for (let i = 0; i < MANY; i++) {
        const source = (base | (world.random.int32() & mask)) + 0x100
        forge.tcp(source, 1024 + (i % 60_000), ECHO, world.random.int32(), 0, SYN)
        if (i % 2 === 0) forge.tcpOptions(2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7)
        forge.send()
        if (i % 100 === 99) {
          world.host.advance(1)
          expect(listener.handshakes).toBeLessThanOrEqual(config.tcp.synBacklog)
          expect(world.target.tcp.flowTable.size).toBeLessThanOrEqual(config.tcp.synBacklog + 4)
          expect(world.target.timers.size).toBeLessThan(config.tcp.synBacklog + config.arp.maxEntries + 50)
        }
        if (i === MANY / 2) {
          expect(echoes(world, theirs)).toBe(true)
          late = world.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: ECHO }, {}) as Connection
        }
      }
      const n = world.target.tcp.counters.snapshot()
      expect(n.SyncookiesSent).toBeGreaterThan(MANY / 2)
      expect(n.SyncookiesRecv).toBe(1)
      expect(late!.info()).toMatchObject({ state: 'ESTABLISHED', timestamps: true, sack: true, sendScale: 7 })
      expect(echoes(world, theirs)).toBe(true)
      world.host.advance(130_000)
      expect(late!.stateName).toBe('ESTABLISHED')
      expect(listener.handshakes).toBe(0)
      expect(echoes(world, late!)).toBe(true)
      world.proveAlive()
    })
  }

  it('with an MSS of 1 does not make us send a packet per byte (CVE-2019-11479)', () => {
    const world = new World({ seed: 2, offload: false })
    world.host.advance(1000)
    connect(world, DEAF)
    world.hush()
    world.host.advance(100)
    world.peer.interfaces[0].iface.up = false // or it would reset what the forger opens in its name
    const forge = new Forge(world.link)
    const source = PEER
    const before = world.target.tcp.counters.snapshot().tcpOutSegs!
    forge.tcp(source, 4000, FOUNTAIN, 1, 0, SYN)
    forge.tcpOptions(2, 4, 0, 1)
    forge.send()
    world.host.advance(1)
    const half = world.halfOpen()[0] as unknown as { iss: number }
    let una = (half.iss + 1) | 0
    forge.tcp(source, 4000, FOUNTAIN, 2, una, ACK)
    forge.send()
    world.host.advance(1)
    const [c] = world.connections()
    for (let i = 0; i < 500; i++) {
      una = c.snd.nxt
      forge.tcp(source, 4000, FOUNTAIN, 2, una, ACK)
      forge.send()
      world.host.advance(1)
    }
    const segments = world.target.tcp.counters.snapshot().tcpOutSegs! - before
    expect(c.info().bytesAcked).toBeGreaterThan(50_000)
    expect(c.info().bytesAcked / segments).toBeGreaterThan(48)
    checkInvariants(c)
  })
})

describe('blind injection (RFC 5961)', () => {
  it('of resets, SYNs, data and ACKs over the whole number space leaves a connection as it was, in near silence', () => {
    const world = new World({ seed: 3 })
    world.host.advance(1000)
    const { ours, theirs } = connect(world, ECHO)
    expect(echoes(world, theirs)).toBe(true)
    const sent = world.target.tcp.counters.snapshot().tcpOutSegs!
    const forge = new Forge(world.link)
    const began = world.host.elapsedMs
    for (let i = 0; i < MANY; i++) {
      let seq = Math.imul(i, 42_949) | 0
      if (i % 4 === 0) seq = (ours.rcv.nxt + 1 + (i % 30_000)) | 0 // in the window, but not the number
      const flags = [RST, RST | ACK, SYN, PSH | ACK][(i >> 2) & 3]
      const ack = (ours.snd.una + 0x30000000 + Math.imul(i, 8_191)) | 0
      if (seq === ours.rcv.nxt) continue
      forge.tcp(PEER, theirs.localPort, ECHO, seq, ack, flags, 65535, flags === (PSH | ACK) ? 8 : 0)
      forge.send()
      if (i % 10 === 9) world.host.advance(1)
    }
    const seconds = (world.host.elapsedMs - began) / 1000
    expect(ours.stateName).toBe('ESTABLISHED')
    // One challenge in 500 ms; with data an answer is due, once in a turn.
    expect(world.target.tcp.counters.snapshot().tcpOutSegs! - sent).toBeLessThan(seconds * 1000 + 100)
    checkInvariants(ours)
    expect(echoes(world, theirs, 5000)).toBe(true)
  })
})

describe('connections that do not go away', () => {
  it('2,000 that the peer never closes end after FIN-WAIT-2 without an owner', () => {
    const world = new World({ seed: 4 })
    world.target.tcp.listen({ port: 5000, backlog: 2000 }, { onConnection: (c) => c.close() })
    world.host.advance(1000)
    for (let i = 0; i < 2000; i++) {
      world.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: 5000 }, {})
      if (i % 50 === 49) world.host.advance(10)
    }
    world.host.advance(1000)
    expect(world.connections().length).toBe(2000)
    expect(world.connections().every((c) => c.stateName === 'FIN-WAIT-2')).toBe(true)
    world.host.advance(world.target.config.tcp.finWait2Ms)
    expect(world.target.tcp.openConnections).toBe(0)
    expect(world.target.tcp.flowTable.size).toBe(0)
    expect(world.target.pool.inUse).toBe(0)
  })

  it('5,000 in TIME-WAIT: the oldest make room, and all end', () => {
    const world = new World({ seed: 5, config: { tcp: { maxTimeWait: 1000 } } })
    world.target.tcp.listen({ port: 5000 }, { onConnection: (c) => c.shutdown() })
    world.host.advance(1000)
    const handler = {
      onReadable(c: RawConnection): void {
        if (c.ended) c.close()
      },
    }
    for (let i = 0; i < 5000; i++) {
      world.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: 5000 }, handler)
      if (i % 50 === 49) world.host.advance(10)
      expect(world.target.tcp.timeWaits.size).toBeLessThanOrEqual(1000)
    }
    world.host.advance(1000)
    const n = world.target.tcp.counters.snapshot()
    expect(n.tcpTimeWaited).toBe(5000)
    expect(n.tcpTimeWaitOverflow).toBe(4000)
    expect(world.target.tcp.flowTable.size).toBe(1000)
    world.host.advance(61_000)
    expect(world.target.tcp.flowTable.size).toBe(0)
    world.proveAlive()
  })

  it('100 slow readers: bytes held are bounded, probes are few, and without an owner they end', () => {
    const world = new World({ seed: 6, config: { tcp: { sendBufferMaxBytes: 128 << 10 } } })
    world.host.advance(1000)
    for (let i = 0; i < 100; i++) world.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: FOUNTAIN }, {})
    world.host.advance(10_000)
    expect(world.connections().length).toBe(100)
    for (const c of world.connections()) expect(c.snd.wnd).toBe(0)
    expect(world.target.pool.inUse).toBeLessThanOrEqual(100 * (256 << 10))
    const probes = (): number => world.target.tcp.counters.snapshot().tcpZeroWindowProbes!
    const before = probes()
    world.host.advance(3_600_000)
    // At two minutes at most, an hour holds 30 probes and the few of the beginning. (The peer's keep-alives are answered besides.)
    expect(probes() - before).toBeGreaterThan(100 * 25)
    expect(probes() - before).toBeLessThan(100 * 45)
    expect(world.connections().length).toBe(100)
    for (const c of world.connections()) c.close()
    world.host.advance(1_200_000)
    expect(world.connections().length).toBe(0)
    expect(world.target.pool.inUse).toBe(0)
  })
})

describe('data out of order', () => {
  it('one byte at the far edge of many windows: what it makes us hold is bounded, and order gets through', () => {
    const memoryBytes = 4 << 20
    const world = new World({ seed: 7, config: { tcp: { memoryBytes } } })
    world.host.advance(1000)
    const forge = new Forge(world.link)
    for (let i = 0; i < 300; i++) world.peer.tcp.open({ remoteAddress: TARGET_IP, remotePort: DEAF }, {})
    world.host.advance(1000)
    const all = world.connections()
    expect(all.length).toBe(300)
    for (let round = 0; round < 20; round++) {
      for (const c of all) {
        forge.tcp(PEER, c.remotePort, DEAF, (c.rcv.edge - 2 - 2 * round) | 0, c.snd.nxt, PSH | ACK, 65535, 1)
        forge.send()
      }
      world.host.advance(10)
      expect(world.target.pool.inUse).toBeLessThanOrEqual(memoryBytes + (256 << 10))
    }
    expect(world.target.tcp.counters.snapshot().TCPOFODrop).toBeGreaterThan(1000)
    for (const c of all) checkInvariants(c)
    world.proveAlive()
    world.hush()
    world.host.advance(1000)
    expect(world.target.pool.inUse).toBe(0)
  })

  it('every second byte: ranges are bounded, and when the holes are filled all is there', () => {
    const world = new World({ seed: 8 })
    world.host.advance(1000)
    const { ours, theirs } = connect(world, DEAF)
    const forge = new Forge(world.link)
    const from = ours.rcv.nxt
    for (let i = 0; i < 20_000; i++) {
      forge.tcp(PEER, theirs.localPort, DEAF, (from + 1 + 2 * i) | 0, ours.snd.nxt, PSH | ACK, 65535, 1)
      forge.send()
      if (i % 100 === 99) world.host.advance(1)
    }
    const ranges = world.target.config.tcp.maxOutOfOrderRanges
    expect(ours.rcv.spans!.count).toBe(ranges)
    expect(world.target.tcp.counters.snapshot().dropTooManyRanges).toBe(20_000 - ranges)
    checkInvariants(ours)
    theirs.write(new Uint8Array(50_000), 0, 50_000)
    world.host.advance(2000)
    expect(ours.readable).toBe(50_000)
    expect(ours.rcv.spans!.count).toBe(0)
    checkInvariants(ours)
  })
})

describe('SACK', () => {
  it('ranges by the thousand on a large flight: the log stays small and the sums right', () => {
    const world = new World({ seed: 9, config: { tcp: { sendBufferInitialBytes: 1 << 20, initialWindowSegments: 400 } } })
    world.host.advance(1000)
    const { ours, theirs } = connect(world, DEAF)
    world.peer.interfaces[0].iface.up = false // from here on only the forger answers
    ours.write(new Uint8Array(1 << 16), 0, 1 << 16)
    world.host.advance(1)
    const forge = new Forge(world.link)
    const una = ours.snd.una
    expect(ours.snd.inFlight).toBeGreaterThan(50_000)
    for (let i = 0; i < 12_000; i++) {
      forge.tcp(PEER, theirs.localPort, DEAF, ours.rcv.nxt, una, ACK, 65535)
      const blocks: number[] = []
      for (let b = 0; b < 4; b++) {
        const left = (una + 1 + ((i * 4 + b) % 25_000) * 2) | 0
        // Of less than a segment nothing is believed; the last range covers some whole.
        const right = b < 3 ? (left + 1) | 0 : (left + 3000) | 0
        for (const v of [left, right]) blocks.push(v >>> 24, (v >> 16) & 255, (v >> 8) & 255, v & 255)
      }
      forge.tcpOptions(1, 1, 5, 34, ...blocks)
      forge.send()
      if (i % 100 === 99) {
        world.host.advance(1)
        checkInvariants(ours)
      }
    }
    expect(ours.snd.flight.count).toBeLessThan(3000)
    expect(ours.info().sacked).toBeGreaterThan(0)
    world.peer.interfaces[0].iface.up = true
    world.host.advance(60_000)
    expect(theirs.readable).toBe(1 << 16)
    expect(ours.snd.inFlight).toBe(0)
    world.proveAlive()
    expect(PEER_IP).toBe(ours.remoteAddress.toString())
    expect(ours instanceof Connection).toBe(true)
  })
})
