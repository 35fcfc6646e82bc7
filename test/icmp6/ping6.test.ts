/** The echo client over IPv6, and what a stack is told by its own neighbours that do not answer. */
import { describe, expect, it } from 'vitest'
import type { PingOptions, PingResult } from '../../src/icmp/ping-iterator.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'

function two(medium: 'ip' | 'ethernet' = 'ip', mtu = 1500): { world: World; a: Stack; b: Stack } {
  const world = createWorld()
  const [a, b] = [world.stack(), world.stack()]
  const [left, right] = createPipe({ medium, mtu })
  a.attach(left, { name: 'eth0', addresses: ['fd00::1/64', 'fe80::1/64'] })
  b.attach(right, { name: 'eth0', addresses: ['fd00::2/64', 'fe80::2/64'] })
  world.run(5000)
  return { world, a, b }
}

async function pinged(world: World, from: Stack, to: string, options: PingOptions = {}): Promise<PingResult[]> {
  const results: PingResult[] = []
  const all = async (): Promise<void> => {
    for await (const r of from.ping(to, { count: 2, ...options })) results.push(r)
  }
  await world.settle(all())
  return results
}

describe('stack.ping', () => {
  it.each(['fd00::2', 'fe80::2%eth0', 'fe80::2', 'fd00::1', '::1', 'fe80::1%eth0'])('reaches %s', async (to) => {
    const { world, a } = two()
    expect(await pinged(world, a, to)).toMatchObject([
      { seq: 1, bytes: 56, ttl: 64, duplicate: false },
      { seq: 2, bytes: 56 },
    ])
    await world.close()
  })

  it('reaches neighbours on Ethernet, and with 65,527 bytes', async () => {
    const { world, a } = two('ethernet')
    for (const size of [0, 65_000, 65_527])
      expect(await pinged(world, a, 'fd00::2', { size })).toMatchObject([{ bytes: size }, { bytes: size }])
    expect(await pinged(world, a, 'fe80::2%eth0')).toMatchObject([{ from: 'fe80::2%eth0' }, {}])
    await expect(pinged(world, a, 'fd00::2', { size: 65_528 })).rejects.toMatchObject({ code: 'EMSGSIZE' })
    await world.close()
  })

  it('asks a group, and each answers', async () => {
    const { world, a } = two('ethernet')
    expect(await pinged(world, a, 'ff02::1%eth0', { count: 1 })).toMatchObject([{ from: 'fe80::2%eth0' }])
    await world.close()
  })

  it('says what stands in the way', async () => {
    const { world, a } = two('ethernet')
    expect(await pinged(world, a, '2001:db8::1', { count: 1 })).toEqual([{ seq: 1, error: 'ENETUNREACH' }])
    expect(await pinged(world, a, 'fd00::2', { count: 1, size: 1500, dontFragment: true })).toEqual([
      { seq: 1, error: 'EMSGSIZE' },
    ])
    expect(await pinged(world, a, 'fd00::77', { count: 1, timeoutMs: 9000 })).toEqual([
      { seq: 1, error: 'EHOSTUNREACH', from: 'fd00::1' },
    ])
    expect(await pinged(world, a, 'fe80::77%eth0', { count: 1, timeoutMs: 9000 })).toEqual([
      { seq: 1, error: 'EHOSTUNREACH', from: 'fe80::1%eth0' },
    ])
    await world.close()
  })
})
