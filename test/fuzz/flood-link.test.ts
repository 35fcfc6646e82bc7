/** Floods that a neighbour on the link can make, and the one that we make ourselves by asking for a whole subnet. */
import { describe, expect, it } from 'vitest'
import { Address } from '../../src/base/address.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import { Forge, PEER, TARGET } from '../support/forge.ts'
import { runs } from '../support/runs.ts'
import { ECHO, TARGET_IP, World } from './world.ts'

/** By hand a quarter of what CI sends: more than any table or buffer has room for, too. */
const MANY = runs(100_000)

/** Bytes go back and forth on one connection until stopped; counts round trips. */
function chatter(world: World): { rounds: number; over: boolean } {
  const state = { rounds: 0, over: false }
  const one = new Uint8Array(100)
  world.peer.tcp.open(
    { remoteAddress: TARGET_IP, remotePort: ECHO },
    {
      onConnect(c) {
        c.write(one, 0, 100)
      },
      onReadable(c) {
        if (c.read(one, 0, 100) === 100) {
          state.rounds++
          if (state.rounds % 10 !== 0) c.write(one, 0, 100)
        }
      },
    },
  )
  const again = (): void => {
    for (const f of world.peer.tcp.flows()) if ('write' in f && f.stateName === 'ESTABLISHED') f.write(one, 0, 100)
  }
  const every = {
    run: () => {
      again()
      if (!state.over) world.host.after(10, every)
    },
  }
  world.host.after(50, every)
  world.host.advance(100)
  return state
}

describe('ARP', () => {
  it(`${MANY} requests from senders who do not exist: the cache keeps its size, answers their rate, the real peer its place`, () => {
    const world = new World({ seed: 1, prefix: 16 })
    const talk = chatter(world)
    const { arp } = world.target.interfaces[0]
    const forge = new Forge(world.link)
    const began = world.host.elapsedMs
    for (let i = 0; i < MANY; i++) {
      const who = world.random.int32()
      forge.arp(1, who, 0x0a000000 | (who & 0xffff), TARGET)
      forge.send()
      if (i % 50 === 49) {
        world.host.advance(1)
        expect(arp!.neighbors.size).toBeLessThanOrEqual(world.target.config.arp.maxEntries)
      }
    }
    const seconds = Math.ceil((world.host.elapsedMs - began) / 1000) + 1
    const n = arp!.counters.snapshot()
    expect(n.outReplies).toBeLessThanOrEqual(seconds * world.target.config.arp.repliesPerSecond)
    expect(n.dropReplyLimit).toBeGreaterThan(MANY / 2)
    const peer = arp!.neighbors.find(Address.v4(PEER))
    expect(peer!.usable && peer!.macLow).toBe(1)
    expect(talk.rounds).toBeGreaterThan(MANY / 200)
    expect(world.target.timers.size).toBeLessThan(2 * world.target.config.arp.maxEntries)
    talk.over = true
    world.host.advance(300_000)
    world.proveAlive()
  })

  it(`${MANY} replies that nobody asked for change nothing`, () => {
    const world = new World({ seed: 2, prefix: 16 })
    const talk = chatter(world)
    const { arp } = world.target.interfaces[0]
    const before = arp!.neighbors.size
    const forge = new Forge(world.link)
    for (let i = 0; i < MANY; i++) {
      const who = world.random.int32()
      forge.arp(2, who, 0x0a000000 | (who & 0xffff) | 0x100, TARGET)
      forge.send()
      if (i % 100 === 99) world.host.advance(1)
    }
    world.host.advance(10)
    expect(arp!.neighbors.size).toBe(before)
    // One or two claim a broadcast address, or the target's own.
    expect(arp!.counters.snapshot().dropUnsolicited).toBeGreaterThan(MANY - 20)
    expect(talk.rounds).toBeGreaterThan(MANY / 200)
    talk.over = true
    world.proveAlive()
  })

  it('a scan of our own over a silent /16, or its first quarter, holds up nobody, and asks no more than a limit', () => {
    const world = new World({ seed: 3, prefix: 16 })
    const late = '10.0.200.200'
    void world.peer.interfaces[0].addAddress(`${late}/16`)
    const talk = chatter(world)
    const { arp } = world.target.interfaces[0]
    const socket = world.target.udp.open()
    const to = new Address()
    const data = new Uint8Array(10)
    let refused = 0
    let firstAnswer = 0
    const asker = world.target.udp.open({
      onReadable(s) {
        const into = new Datagram(new Uint8Array(100))
        while (s.receive(into)) firstAnswer ||= world.host.elapsedMs
      },
    })
    const began = world.host.elapsedMs
    const hosts = runs(65_536)
    const perMs = hosts >> 11 // two seconds, in which somebody's second question is asked
    for (let i = 0; i < hosts; i++) {
      const word = 0x0a000000 | i
      to.setV4(word)
      if (i < 3 || i === 0xffff || i === 0xc8c8) continue
      try {
        if (!socket.send(data, 0, 10, to, 9)) refused++
      } catch {
        refused++
      }
      if (i % perMs === perMs - 1) world.host.advance(1)
      // Asks again until it is answered, as everybody does who asks by datagram.
      if (i > hosts / 2 && i % 1600 === 0 && firstAnswer === 0) asker.send(data, 0, 10, Address.v4(0x0a00c8c8), ECHO)
      expect(arp!.neighbors.size).toBeLessThanOrEqual(world.target.config.arp.maxEntries)
    }
    const took = world.host.elapsedMs - began
    expect(refused).toBe(0)
    expect(talk.rounds).toBeGreaterThan(took / 3)
    expect(arp!.neighbors.memory.bytes).toBeLessThanOrEqual(17 * world.target.config.arp.maxQueuedBytes)
    expect(firstAnswer, 'answered while the scan goes on').toBeGreaterThan(0)
    talk.over = true
    world.host.advance(200_000)
    expect(arp!.neighbors.memory.bytes).toBe(0)
    expect(arp!.neighbors.size).toBeLessThanOrEqual(2)
    world.proveAlive()
  })
})
