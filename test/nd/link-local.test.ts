/** How IPv6 comes alive on an interface: its link-local address, by EUI-64 or RFC 7217, on links with and without neighbours. */
import { describe, expect, it, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { parseMac } from '../../src/ethernet/mac.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { eui64, IDGEN_RETRIES, isReserved, StableIds } from '../../src/nd/interface-id.ts'
import type { Medium } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { AttachedInterface, AttachOptions } from '../../src/stack/attached.ts'

const NETWORK = address('fe80::')

describe('identifiers', () => {
  test('of a MAC address (RFC 4291 appendix A)', () => {
    expect(`${eui64(NETWORK, parseMac('34:56:78:9a:bc:de'))}`).toBe('fe80::3656:78ff:fe9a:bcde')
    expect(`${eui64(address('2001:db8::'), parseMac('02:00:00:00:00:01'))}`).toBe('2001:db8::ff:fe00:1')
  })

  test('stable ones are the same for one secret, network, interface and attempt, and for no other', () => {
    const of = (secret: string, network: string, name: string, attempt: number, seed = 1): string =>
      `${new StableIds(secret, new SeededRandom(seed)).address(address(network), name, attempt)}`
    const one = of('secret', 'fd00::', 'eth0', 0)
    expect(one).toMatch(/^fd00::[0-9a-f:]+$/)
    expect(of('secret', 'fd00::', 'eth0', 0, 99)).toBe(one)
    const others = [
      of('secret', 'fd01::', 'eth0', 0),
      of('secret', 'fd00::', 'eth1', 0),
      of('secret', 'fd00::', 'eth0', 1),
      of('Secret', 'fd00::', 'eth0', 0),
      of('', 'fd00::', 'eth0', 0, 1),
      of('', 'fd00::', 'eth0', 0, 2),
    ].map((t) => t.replace(/^fd0[01]::/, ''))
    expect(new Set([one.slice(6), ...others]).size).toBe(7)
  })

  it.each([
    ['fe80::', true],
    ['fe80::200:5eff:fe00:1', true],
    ['fe80::fdff:ffff:ffff:ff80', true],
    ['fe80::fdff:ffff:ffff:ff7f', false],
    ['fe80::1', false],
  ])('%s is reserved: %s (RFC 5453)', (text, reserved) => {
    expect(isReserved(address(text))).toBe(reserved)
  })
})

function attached(
  options: AttachOptions,
  config: Parameters<ReturnType<typeof createWorld>['stack']>[0] = {},
  medium: Medium = 'ethernet',
) {
  const world = createWorld()
  const stack = world.stack(config)
  const [link, other] = createPipe({ medium })
  const eth0: AttachedInterface = stack.attach(link, { mac: '02:00:00:00:00:01', ...options })
  const peer = world.stack()
  return { world, stack, eth0, peer, other }
}

describe('an interface', () => {
  test('with IPv4 only has no IPv6 address and sends nothing of it', async () => {
    const { world, stack, eth0 } = attached({ addresses: ['10.0.0.1/24'] })
    world.run(10_000)
    expect(eth0.addresses).toEqual(['10.0.0.1/24'])
    expect(stack.counters(true).ip6).toEqual({})
    expect([eth0.nd, eth0.iface.neighbors6]).toEqual([null, null])
    await world.close()
  })

  test('begins with its first IPv6 address, also a late one, or when it is told to', async () => {
    const given = attached({ addresses: ['fd00::1/64'] })
    expect(given.eth0.addresses).toEqual(['fd00::1/64', 'fe80::ff:fe00:1%eth0/64'])
    const late = attached({ addresses: ['10.0.0.1/24'] })
    await late.world.settle(late.eth0.addAddress('fd00::1/64'))
    expect(late.eth0.addresses).toEqual(['10.0.0.1/24', 'fd00::1/64', 'fe80::ff:fe00:1%eth0/64'])
    const told = attached({ ipv6: true })
    await told.world.settle(told.eth0.ready)
    expect(told.eth0.addresses).toEqual(['fe80::ff:fe00:1%eth0/64'])
    for (const { world } of [given, late, told]) await world.close()
  })

  test('keeps the link-local address that it is given', async () => {
    const { world, eth0 } = attached({ addresses: ['fd00::1/64', 'fe80::1/64'] })
    expect(eth0.addresses).toEqual(['fd00::1/64', 'fe80::1%eth0/64'])
    expect(eth0.removeAddress('fe80::1')).toBe(true)
    expect(eth0.addresses).toEqual(['fd00::1/64'])
    await world.close()
  })

  test('without Ethernet has a stable one, at once', async () => {
    const { world, eth0 } = attached({ addresses: ['fd00::1/64'] }, { nd: { stableSecret: 'x' } }, 'ip')
    await world.settle(eth0.ready)
    expect(world.elapsedMs).toBe(0)
    expect(eth0.addresses[1]).toMatch(/^fe80::[0-9a-f:]+%tun0\/64$/)
    expect(eth0.addresses[1]).not.toContain('ff:fe00')
    await world.close()
  })

  test('is ready when nobody has objected, and says who did', async () => {
    const { world, peer, other, eth0 } = attached({ addresses: ['fd00::1/64'] })
    const rival = peer.attach(other, { mac: '02:00:00:00:00:09', addresses: ['fd00::1/64'], probe: false })
    await world.settle(rival.ready)
    await expect(world.settle(eth0.ready)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      address: 'fd00::1',
      message: expect.stringContaining('02:00:00:00:00:09'),
    })
    expect(world.elapsedMs).toBeLessThan(1_100)
    await world.close()
  })

  test('whose MAC address another has: the address is given up; a stable one is made anew (RFC 7217 section 6)', async () => {
    const options: AttachOptions = { ipv6: true, name: 'eth0' }
    const same = attached(options)
    same.peer.attach(same.other, { mac: '02:00:00:00:00:02', addresses: ['fe80::ff:fe00:1/64'], probe: false })
    await expect(same.world.settle(same.eth0.ready)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    const nd = { linkLocal: 'stable', stableSecret: 'x' } as const
    const ids = new StableIds('x', new SeededRandom(1))
    for (const taken of [1, IDGEN_RETRIES, IDGEN_RETRIES + 1]) {
      const { world, peer, other, eth0 } = attached(options, { nd })
      const addresses = Array.from({ length: taken }, (_, i) => `${ids.address(NETWORK, 'eth0', i)}/64`)
      peer.attach(other, { addresses, probe: false })
      if (taken > IDGEN_RETRIES) await expect(world.settle(eth0.ready)).rejects.toMatchObject({ code: 'EADDRINUSE' })
      else {
        await world.settle(eth0.ready)
        expect(eth0.addresses).toEqual([`${ids.address(NETWORK, 'eth0', taken)}%eth0/64`])
      }
      await world.close()
    }
    await same.world.close()
  })

  test('that is closed while it asks tells who waits', async () => {
    const { world, eth0 } = attached({ addresses: ['fd00::1/64'] })
    await eth0.detach()
    await expect(eth0.ready).rejects.toMatchObject({ code: 'ECANCELED' })
    await world.close()
  })

  test('taken down forgets its neighbours, and up again says where it is', async () => {
    const { world, peer, other, eth0 } = attached({ addresses: ['fd00::1/64'] })
    const far = peer.attach(other, { mac: '02:00:00:00:00:02', addresses: ['fd00::2/64'] })
    await world.settle(Promise.all([eth0.ready, far.ready]))
    far.iface.neighbors6!.clear()
    eth0.setUp(false)
    eth0.setUp(true)
    eth0.setMac(parseMac('02:00:00:00:00:77'))
    world.run(100)
    expect(eth0.nd!.dad.counters.values[1]).toBe(4)
    expect(() => eth0.setMac(parseMac('01:00:00:00:00:01'))).toThrow(expect.objectContaining({ code: 'ERR_INVALID_MAC_ADDRESS' }))
    await world.close()
  })

  test('remembers neighbours that it is told of', async () => {
    const { world, stack, eth0 } = attached({ addresses: ['fd00::1/64'] })
    eth0.addNeighbor('fe80::9', parseMac('02:00:00:00:00:09'))
    expect(stack.neighbors).toEqual([
      { address: 'fe80::9%eth0', mac: '02:00:00:00:00:09', state: 'PERMANENT', interface: 'eth0' },
    ])
    await world.close()
  })
})
