/** Two stacks on one Ethernet: IPv6 with nothing but addresses given. */
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

interface Two {
  world: World
  a: Stack
  b: Stack
  left: AttachedInterface
  right: AttachedInterface
}

function two(options: { probe?: boolean; b?: string[] } = {}): Two {
  const world = createWorld()
  const [a, b] = [world.stack(), world.stack()]
  const [one, other] = createPipe()
  const left = a.attach(one, { mac: '02:00:00:00:00:01', addresses: ['fd00::1/64'], probe: options.probe })
  const right = b.attach(other, { mac: '02:00:00:00:00:02', addresses: options.b ?? ['fd00::2/64'], probe: options.probe })
  return { world, a, b, left, right }
}

/** Sends a datagram from a to b and counts what comes. */
function talk(world: World, a: Stack, b: Stack, to: string, ms = 100): number {
  let heard = 0
  const server = b.udp.open({ onReadable: () => heard++ }, { family: 6 })
  server.bind('::', 7)
  const client = a.udp.open({}, { family: 6 })
  client.connect(to, 7)
  client.send(new Uint8Array(10), 0, 10, null, 0)
  world.run(ms)
  server.close()
  client.close()
  return heard
}

describe('two hosts', () => {
  it.each(['fd00::2', 'fe80::ff:fe00:2%eth0'])('find each other at %s', async (to) => {
    const { world, a, b, left, right } = two()
    expect(left.iface.addresses.map((o) => o.state)).toEqual([0, 0])
    await world.settle(Promise.all([left.ready, right.ready]))
    expect(left.addresses).toEqual(['fd00::1/64', `fe80::ff:fe00:1%${left.name}/64`])
    expect(talk(world, a, b, to)).toBe(1)
    expect(a.neighbors.filter((n) => n.state === 'REACHABLE')).toEqual([
      { address: to, mac: '02:00:00:00:00:02', state: 'REACHABLE', interface: 'eth0' },
    ])
    await world.close()
  })

  it('without probes are ready at once', async () => {
    const { world, a, b } = two({ probe: false })
    expect(talk(world, a, b, 'fd00::2')).toBe(1)
    await world.close()
  })

  it('with one address: the second is told so, and does not use it', async () => {
    const { world, left, right } = two({ b: ['fd00::1/64'] })
    const [first, second] = await world.settle(Promise.allSettled([left.ready, right.ready]))
    expect([first.status, second.status]).toContain('rejected')
    await world.close()
  })
})
