/** Floods of fragments, datagrams and ICMP errors: every table keeps its bound, every limit holds, and it is over when it is over. */
import { describe, expect, it } from 'vitest'
import type { Stack } from '../../src/stack/stack.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import { Forge, PEER, TARGET } from '../support/forge.ts'
import { runs } from '../support/runs.ts'
import { Repair } from './anatomy.ts'
import { TARGET_IP, World } from './world.ts'

/** By hand a quarter of what CI sends: more than any table or buffer has room for, too. */
const MANY = runs(100_000)
const MORE = 0x2000

function reassembly(stack: Stack): { bytes: number; count: number } {
  return (stack.ipv4 as unknown as { reassembly: { bytes: number; count: number } }).reassembly
}

describe('fragments', () => {
  for (const [what, offset] of [
    ['first ones', 0],
    ['ones from the far edge, each of which wants a large buffer', 8100],
  ] as const) {
    it(`${MANY} ${what}, never completed: memory and number stay bounded, and time clears them`, () => {
      const world = new World({ seed: 1 })
      world.host.advance(1000)
      const forge = new Forge(world.link)
      const table = reassembly(world.target)
      const { config } = world.target
      for (let i = 0; i < MANY; i++) {
        forge.ip(17, 0x0a000000 + 10 + (i % 200), TARGET, 24, i & 0xffff, MORE | offset)
        forge.send()
        if (i % 100 === 99) {
          world.host.advance(1)
          expect(table.bytes).toBeLessThanOrEqual(config.ipv4.reassemblyBytes)
          expect(table.count).toBeLessThanOrEqual(config.ipv4.reassemblyDatagrams)
        }
      }
      const n = world.target.ipv4.counters.snapshot()
      expect(n.ipReasmReqds).toBe(MANY)
      expect(n.ipReasmDropMemory).toBeGreaterThan(MANY / 2)
      // And then as long as the time exceeded messages wait for neighbours who do not exist.
      world.host.advance(config.ipv4.reassemblyTimeMs + 200_000)
      expect(table).toMatchObject({ bytes: 0, count: 0 })
      expect(world.target.pool.inUse).toBe(0)
      world.proveAlive()
    })
  }

  it('tiny and overlapping ones condemn their datagram and nobody else', () => {
    const world = new World({ seed: 2 })
    world.host.advance(1000)
    const forge = new Forge(world.link)
    const table = reassembly(world.target)
    for (let i = 0; i < MANY; i++) {
      // Eight bytes at a time, each second one over the edge of the last with other bytes in it.
      const overlaps = i % 2 === 1
      forge.ip(17, 0x0a000000 + 10 + (i % 50), TARGET, overlaps ? 16 : 8, 7, MORE | (overlaps ? 0 : i % 64))
      forge.put32(34, i)
      forge.send()
      if (i % 100 === 99) world.host.advance(1)
    }
    const n = world.target.ipv4.counters.snapshot()
    expect(n.ipReasmDropOverlap).toBeGreaterThan(MANY / 10)
    expect(n.ipReasmOKs).toBe(0)
    expect(table.count).toBeLessThanOrEqual(50)
    world.host.advance(40_000)
    expect(table).toMatchObject({ bytes: 0, count: 0 })
    world.proveAlive()
  })

  it('one datagram in 8191 pieces that arrive backwards is put together', () => {
    const world = new World({ seed: 3 })
    world.host.advance(1000)
    const forge = new Forge(world.link)
    const into = new Datagram(new Uint8Array(1 << 16))
    let got = -1
    const socket = world.target.udp.open({
      onReadable(s) {
        while (s.receive(into)) got = into.len
      },
    })
    socket.bind('0.0.0.0', 5000)
    const pieces = 8150
    for (let i = pieces - 1; i >= 0; i--) {
      forge.ip(17, PEER, TARGET, 8, 9, (i === pieces - 1 ? 0 : MORE) | i)
      forge.put32(34, 0)
      forge.put32(38, 0)
      if (i === 0) {
        forge.put16(34, 4000)
        forge.put16(36, 5000)
        forge.put16(38, pieces * 8)
        forge.put16(40, 0) // no checksum
      }
      forge.put16(16, 28)
      forge.send(Repair.IP)
      if (i % 100 === 99) world.host.advance(1)
    }
    world.host.advance(10)
    expect(got).toBe(pieces * 8 - 8)
  })
})

describe('datagrams', () => {
  for (const payload of [0, 1, 1400]) {
    it(`${MANY} of ${payload} bytes to a socket that nobody reads: it holds its buffer's worth, and not one more`, () => {
      const world = new World({ seed: 4 })
      const socket = world.target.udp.open()
      socket.bind('0.0.0.0', 5000)
      world.host.advance(1000)
      const forge = new Forge(world.link)
      for (let i = 0; i < MANY; i++) {
        forge.udp(0x0a000000 + 10 + (i % 200), 1024 + (i % 50_000), 5000, payload)
        forge.send()
        if (i % 200 === 199) world.host.advance(1)
      }
      expect(socket.queuedBytes).toBeLessThanOrEqual(socket.receiveBufferBytes)
      expect(world.target.pool.inUse).toBeLessThanOrEqual(2 * socket.receiveBufferBytes)
      const n = world.target.udp.counters.snapshot()
      expect(n.udpInDatagrams! + n.udpRcvbufErrors!).toBe(MANY)
      expect(n.udpInDatagrams).toBe(socket.readable)
      socket.close()
      expect(world.target.pool.inUse).toBe(0)
      world.proveAlive()
    })
  }

  it(`${MANY} to closed ports draw no more ICMP errors than the limits allow`, () => {
    const world = new World({ seed: 5, prefix: 16 })
    world.host.advance(1000)
    const forge = new Forge(world.link)
    const began = world.host.elapsedMs
    for (let i = 0; i < MANY; i++) {
      forge.udp(0x0a000000 | (world.random.int32() & 0x7fff) | 0x100, 4000, 5001, 20)
      forge.send()
      if (i % 20 === 19) world.host.advance(1)
    }
    const seconds = (world.host.elapsedMs - began) / 1000
    const { icmp } = world.target.config
    const n = world.target.icmp.counters.snapshot()
    expect(n.icmpOutDestUnreachs).toBeLessThanOrEqual(1.2 * (icmp.errorsBurst + seconds * icmp.errorsPerSecond))
    expect(n.icmpOutDestUnreachs! + n.icmpOutDropRateGlobal! + n.icmpOutDropRateHost!).toBe(MANY)
    world.proveAlive()
  })
})

describe('ICMP errors', () => {
  it(`${MANY} that say "too big" fill the path MTU table to its limit, and never below the floor`, () => {
    const world = new World({ seed: 6 })
    const socket = world.target.udp.open()
    socket.bind('0.0.0.0', 5000)
    world.host.advance(1000)
    const forge = new Forge(world.link)
    const { pathMtu } = world.target.ipv4
    for (let i = 0; i < MANY; i++) {
      forge.ip(1, PEER, TARGET, 8 + 28)
      forge.put32(34, 0x03040000)
      forge.put16(40, i % 700)
      forge.put32(42, 0x45000000 | 1500)
      forge.put32(46, 0)
      forge.put32(50, 0x40110000)
      forge.put32(54, TARGET)
      forge.put32(58, world.random.int32() & 0x7fffffff)
      forge.put16(62, 5000)
      forge.put16(64, 4000)
      forge.put32(66, 8 << 16)
      forge.send()
      if (i % 100 === 99) {
        world.host.advance(1)
        expect(pathMtu.size).toBeLessThanOrEqual(world.target.config.ipv4.pathMtuEntries)
      }
    }
    expect(pathMtu.size).toBe(world.target.config.ipv4.pathMtuEntries)
    const floor = world.target.config.ipv4.pathMtuMin
    const entries = (pathMtu as unknown as { entries: Map<unknown, { mtu: number }> }).entries
    for (const e of entries.values()) expect(e.mtu).toBeGreaterThanOrEqual(floor)
    world.proveAlive()
    world.host.advance(world.target.config.ipv4.pathMtuTimeMs + 5000)
    expect(pathMtu.size).toBe(0)
  })

  it(`${MANY} redirects make no more than a few routes, and those end`, () => {
    const world = new World({ seed: 7 })
    world.host.advance(1000)
    const before = world.target.routes.length
    const forge = new Forge(world.link)
    for (let i = 0; i < MANY; i++) {
      forge.ip(1, PEER, TARGET, 8 + 28)
      forge.put32(34, 0x05010000)
      forge.put32(38, 0x0a000000 + 10 + (i % 200))
      forge.put32(42, 0x4500001c)
      forge.put32(46, 0)
      forge.put32(50, 0x40110000)
      forge.put32(54, TARGET)
      forge.put32(58, 0x08000000 + (world.random.int32() & 0xffffff))
      forge.put32(62, 5000 << 16)
      forge.put32(66, 8 << 16)
      forge.send()
      if (i % 100 === 99) {
        world.host.advance(1)
        expect(world.target.routes.length).toBeLessThanOrEqual(before + 64)
      }
    }
    expect(world.target.icmp.redirects.size).toBe(64)
    world.proveAlive()
    world.host.advance(700_000)
    expect(world.target.routes.length).toBe(before)
  })

  it('hard ones in the right window do not end an established connection (RFC 5927)', () => {
    const world = new World({ seed: 8 })
    let ended: string | null = null
    world.target.tcp.open(
      { remoteAddress: '10.0.0.1', remotePort: 9 },
      {
        onClose(_c, error) {
          ended = error?.code ?? 'closed'
        },
      },
    )
    world.host.advance(1000)
    const [c] = world.connections()
    c.write(new Uint8Array(100), 0, 100)
    const forge = new Forge(world.link)
    for (let i = 0; i < 16 * 100; i++) {
      forge.ip(1, PEER, TARGET, 8 + 28)
      forge.put32(34, 0x03000000 | ((i % 16) << 16))
      forge.put32(38, 0)
      forge.put32(42, 0x450005dc)
      forge.put32(46, 0)
      forge.put32(50, 0x40060000)
      forge.put32(54, TARGET)
      forge.put32(58, PEER)
      forge.put16(62, c.localPort)
      forge.put16(64, 9)
      forge.put32(66, c.snd.una)
      forge.send()
      world.host.advance(1)
    }
    const n = world.target.counters()
    expect(n.icmp.icmpInDestUnreachs).toBe(1600)
    expect(n.icmp.icmpInErrors).toBe(0)
    expect(n.tcp.dropIcmpNoSocket).toBe(0)
    expect(ended).toBe(null)
    expect(c.stateName).toBe('ESTABLISHED')
    expect(c.info().pathMtu).toBeGreaterThanOrEqual(world.target.config.ipv4.pathMtuMin)
    expect(TARGET_IP).toBe(c.localAddress.toString())
  })
})
