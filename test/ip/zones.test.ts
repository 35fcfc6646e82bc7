/** Link-local addresses of two links that have the same ones, and everywhere that a zone can be said (RFC 4007). */
import { describe, expect, it } from 'vitest'
import type { PingOptions, PingResult } from '../../src/icmp/ping-iterator.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { echoServer, exchange } from '../support/filter-world.ts'

/** One stack in the middle of two others; all links have the addresses fe80::1 (ours) and fe80::2. */
function twins() {
  const world = createWorld()
  const [a, b, c] = [world.stack(), world.stack(), world.stack()]
  const addresses = ['fe80::1/64', 'fe80::2/64'] as const
  const left = world.link(a, b, { addresses })
  const right = world.link(a, c, { addresses })
  world.run(3000)
  return { world, a, b, c, left, right }
}

async function all<T>(world: World, iterator: AsyncIterableIterator<T>): Promise<T[]> {
  const out: T[] = []
  for (;;) {
    const next = await world.settle(iterator.next())
    if (next.done === true) return out
    out.push(next.value)
  }
}

const ping = (world: World, stack: Stack, to: string, options: PingOptions = {}): Promise<PingResult[]> =>
  all(world, stack.ping(to, { count: 1, timeoutMs: 900, ...options }))

function codeOf(call: () => unknown): string {
  try {
    call()
    return 'none'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('two links with the same link-local addresses', () => {
  it('TCP goes to the neighbour that the zone names, and to ourselves by either', async () => {
    const { world, a, b, c } = twins()
    const [atA, atB, atC] = [a, b, c].map((stack) => echoServer(stack, 7))
    const ends = ['fe80::2%eth0', 'fe80::2%eth1', 'fe80::1%eth0', 'fe80::1%eth1'].map((to) => exchange(a, to, 7, 40_000))
    world.run(3000)
    expect(ends.map((e) => [e.got, e.error])).toEqual(ends.map(() => [40_000, null]))
    expect([atB.length, atC.length]).toEqual([1, 1])
    expect(atA.map((peer) => peer.split(' ')[0])).toEqual(['fe80::1%2', 'fe80::1%3'])
    await world.close()
  })

  it('ourselves: echo, large ones in fragments too, and errors', async () => {
    const { world, a } = twins()
    for (const own of ['fe80::1%eth0', 'fe80::1%eth1']) {
      expect(await ping(world, a, own)).toMatchObject([{ from: own, ttl: 64 }])
      expect(await ping(world, a, own, { size: 65_500 })).toMatchObject([{ from: own, bytes: 65_500 }])
      for (const method of ['udp', 'icmp', 'tcp'] as const) {
        const [hop] = await all(world, a.traceroute(own, { method, queries: 1 }))
        expect(hop).toMatchObject({ reached: true, answers: [{ from: own }] })
      }
    }
    expect(a.counters(true).icmp6).not.toHaveProperty('icmp6DropNotOurs')
    await world.close()
  })

  it('an own address that is link-local, but not of fe80::/64, comes back as it is', async () => {
    const { world, a, left } = twins()
    left.a.addAddress('fe80:3::5/32')
    world.run(3000)
    expect(await ping(world, a, 'fe80:3::5%eth0')).toMatchObject([{ from: 'fe80:3::5%eth0' }])
    await world.close()
  })

  it('what comes from a link-local address stays on its link (RFC 4007 section 9)', async () => {
    const { world, a, right } = twins()
    right.a.addAddress('fd02::1/64')
    world.run(3000)
    const socket = a.udp.open({}, { family: 6 })
    socket.bind('fe80::1%eth0', 5000)
    expect(codeOf(() => socket.connect('fe80::2%eth1', 7))).toBe('EINVAL')
    expect(codeOf(() => socket.connect('fd02::2', 7))).toBe('ENETUNREACH')
    // To ourselves there is no link.
    expect(codeOf(() => socket.connect('fd02::1', 7))).toBe('none')
    expect(codeOf(() => socket.connect('fe80::2%eth0', 7))).toBe('none')
    await world.close()
  })
})

describe('zones as text', () => {
  it('what an interface lists, it takes', async () => {
    const { world, a, left } = twins()
    expect(left.a.addresses).toEqual(['fe80::1%eth0/64'])
    expect(left.a.removeAddress(left.a.addresses[0])).toBe(true)
    expect(left.a.addresses).toEqual([])
    await Promise.all([world.settle(left.a.addAddress('fe80::7%eth0/64')), world.settle(left.a.addAddress('fe80::8%2/64'))])
    expect(left.a.addresses).toEqual(['fe80::7%eth0/64', 'fe80::8%eth0/64'])
    for (const wrong of ['fe80::9%eth1/64', 'fe80::9%/64', '10.0.0.1%eth0/24', 'fd00::1%eth0/64'])
      expect(
        codeOf(() => left.a.addAddress(wrong)),
        wrong,
      ).toBe('ERR_INVALID_IP_ADDRESS')
    left.a.addNeighbor('fe80::9%eth0', Uint8Array.of(2, 0, 0, 0, 0, 9))
    expect(a.neighbors).toContainEqual(expect.objectContaining({ address: 'fe80::9%eth0', state: 'PERMANENT' }))
    expect(codeOf(() => left.a.addNeighbor('fe80::9/64', Uint8Array.of(2, 0, 0, 0, 0, 9)))).toBe('ERR_INVALID_IP_ADDRESS')
    await world.close()
  })

  it('our own address is ours on the interface that has it, by name as well', async () => {
    const world = createWorld()
    const [a, b] = [world.stack(), world.stack()]
    const link = world.link(a, b)
    expect(await ping(world, a, '10.0.0.1', { iface: link.a.iface })).toMatchObject([{ from: '10.0.0.1', ttl: 64 }])
    await world.close()
  })
})
