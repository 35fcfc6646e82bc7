import { describe, expect, it } from 'vitest'
import { startServices } from '../../src/services/inetd.ts'
import { createWorld } from '../../src/sim/world.ts'

describe('World', () => {
  it('joins stacks by links with addresses, on one virtual clock', () => {
    const world = createWorld({ seed: 4 })
    const a = world.stack({ name: 'a' })
    const b = world.stack()
    const c = world.stack()
    const first = world.link(a, b, { delay: 20 })
    const second = world.link(b, c, { addresses: ['192.168.0.1/30', '192.168.0.2/30'], mtu: 9000, offload: false })
    expect([a.name, b.name, c.name]).toEqual(['a', 'stack1', 'stack2'])
    expect([first.a.addresses, first.b.addresses]).toEqual([['10.0.0.1/24'], ['10.0.0.2/24']])
    expect([second.a.addresses, second.b.addresses]).toEqual([['192.168.0.1/30'], ['192.168.0.2/30']])
    expect([second.a.mtu, second.a.link.offload, first.b.link.offload === 0]).toEqual([9000, 0, false])
    world.run(1500)
    expect(world.elapsedMs).toBe(1500)
  })

  it('runs until something is so, or until the limit', async () => {
    const world = createWorld()
    const [a, b] = [world.stack(), world.stack()]
    world.link(a, b, { delay: 20 })
    startServices(b, { names: ['echo'] })
    let opened = false
    a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, { onConnect: () => (opened = true) })
    expect(world.runUntil(() => opened, 1000)).toBe(true)
    // B's announcement of its address takes one way, the handshake one round trip.
    expect(world.elapsedMs).toBe(60)
    expect(world.runUntil(() => false, 500)).toBe(false)
    expect(world.elapsedMs).toBe(560)
    await world.close()
    expect([...a.tcp.flows(), ...b.tcp.flows()]).toEqual([])
  })

  it('brings about what is awaited', async () => {
    const world = createWorld()
    const [a, b] = [world.stack(), world.stack({ arp: { probe: true } })]
    const link = world.link(a, b, { delay: 7 })
    await world.settle(link.b.ready)
    expect(world.elapsedMs).toBeGreaterThan(1000)
    const times: number[] = []
    const pinging = (async () => {
      for await (const reply of a.ping('10.0.0.2', { count: 3, intervalMs: 100 })) {
        if (reply.error === undefined) times.push(reply.timeMs)
      }
    })()
    await world.settle(pinging)
    // The first one waits for B's announcement.
    expect(times).toEqual([21, 14, 14])
    await expect(world.settle(new Promise(() => undefined), 10)).rejects.toThrow(/nothing is left|did not happen/)
  })

  it('is the same run for the same seed, and another for another', () => {
    const run = (seed: number): string => {
      const world = createWorld({ seed })
      const [a, b] = [world.stack(), world.stack()]
      world.link(a, b, { loss: 0.2, jitter: 5 })
      startServices(b, { names: ['chargen'] })
      a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 19 }, { onReadable: (c) => void c.skip(c.readable) })
      world.run(3000)
      return JSON.stringify([a.counters(), b.counters(), world.host.events])
    }
    expect(run(1)).toBe(run(1))
    expect(run(1)).not.toBe(run(2))
  })

  it('throws what an application handler threw', () => {
    const world = createWorld()
    const [a, b] = [world.stack(), world.stack()]
    world.link(a, b)
    startServices(b)
    const failing = {
      onConnect() {
        throw new Error('mine')
      },
    }
    a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, failing)
    expect(() => world.run(100)).toThrow('mine')
  })
})
