/** An interface changed while it runs: lifetimes of addresses, MTU, name, promiscuity; and as plain data. */
import { describe, expect, it } from 'vitest'
import { AddressState } from '../../src/ip/interface.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

function setUp(): { world: World; me: Stack; eth0: AttachedInterface } {
  const world = createWorld()
  const [me, other] = [world.stack({ nd: { dadTransmits: 0 } }), world.stack()]
  return { world, me, eth0: world.link(me, other).a }
}

const stateOf = (eth0: AttachedInterface, text: string): number | undefined =>
  eth0.iface.addresses.find((a) => `${a.address}` === text)?.state

const code = (f: () => void): string => {
  try {
    f()
    return 'nothing'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('lifetimes', () => {
  it('deprecate an address, then end it (RFC 4862 section 5.5.4)', () => {
    const { world, me, eth0 } = setUp()
    void eth0.addAddress('fd00::1/64', { validSeconds: 100, preferredSeconds: 40 })
    world.run(39_900)
    expect(stateOf(eth0, 'fd00::1')).toBe(AddressState.PREFERRED)
    const own = eth0.iface.addresses.find((a) => `${a.address}` === 'fd00::1')!
    me.turn.readClock()
    expect([own.lifetime!.validLeft, own.lifetime!.preferredLeft]).toEqual([60, 0])
    world.run(200)
    expect(stateOf(eth0, 'fd00::1')).toBe(AddressState.DEPRECATED)
    world.run(59_000)
    expect(eth0.addresses).toContain('fd00::1/64')
    world.run(1_000)
    expect(eth0.addresses).not.toContain('fd00::1/64')
    expect(me.routes.map((r) => r.destination)).not.toContain('fd00::/64')
  })

  it('may be made longer, and for ever', () => {
    const { world, eth0 } = setUp()
    void eth0.addAddress('10.9.0.1/24', { validSeconds: 10, preferredSeconds: 5 })
    world.run(6_000)
    expect(stateOf(eth0, '10.9.0.1')).toBe(AddressState.DEPRECATED)
    const own = eth0.iface.addresses.find((a) => `${a.address}` === '10.9.0.1')!
    eth0.setLifetime(own, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    expect(own.state).toBe(AddressState.PREFERRED)
    expect(own.lifetime!.ends).toBe(false)
    world.run(60_000)
    expect(eth0.addresses).toContain('10.9.0.1/24')
  })

  it('may be longer than wrapping milliseconds reach', () => {
    const { world, eth0 } = setUp()
    const days = 86_400
    void eth0.addAddress('10.9.0.1/24', { validSeconds: 60 * days, preferredSeconds: 30 * days })
    world.run(29 * days * 1000)
    expect(stateOf(eth0, '10.9.0.1')).toBe(AddressState.PREFERRED)
    world.run(2 * days * 1000)
    expect(stateOf(eth0, '10.9.0.1')).toBe(AddressState.DEPRECATED)
    world.run(30 * days * 1000)
    expect(stateOf(eth0, '10.9.0.1')).toBeUndefined()
  })

  it('count from the beginning while an address is asked for', async () => {
    const world = createWorld()
    const eth0 = world.link(world.stack(), world.stack()).a
    await world.settle(eth0.addAddress('fd00::1/64', { validSeconds: 100, preferredSeconds: 0 }))
    expect(stateOf(eth0, 'fd00::1')).toBe(AddressState.DEPRECATED)
  })
})

describe('an MTU', () => {
  it('is at most the link takes, and reaches routes and VLANs', () => {
    const { me, eth0 } = setUp()
    const vlan = me.addVlan(eth0, 5, { addresses: ['10.5.0.1/24'] })
    expect(code(() => eth0.setMtu(1501))).toBe('EINVAL')
    expect(code(() => eth0.setMtu(67))).toBe('EINVAL')
    eth0.setMtu(1400)
    expect([eth0.mtu, vlan.mtu]).toEqual([1400, 1400])
    expect(code(() => vlan.setMtu(1500))).toBe('EINVAL')
    eth0.setMtu(1500)
    expect([eth0.mtu, vlan.mtu]).toEqual([1500, 1400])
  })

  it('below 1280 is the end of IPv6 (RFC 8200 section 5)', () => {
    const { eth0 } = setUp()
    void eth0.addAddress('fd00::1/64')
    eth0.setMtu(1279)
    expect(eth0.addresses).toEqual(['10.0.0.1/24'])
    expect(code(() => void eth0.addAddress('fd00::1/64'))).toBe('EACCES')
    eth0.setMtu(1280)
    void eth0.addAddress('fd00::1/64')
    expect(eth0.addresses).toContain('fd00::1/64')
  })
})

describe('the rest', () => {
  it('is a name, promiscuity, and plain data', () => {
    const { me, eth0 } = setUp()
    eth0.rename('wan0')
    expect(eth0.name).toBe('wan0')
    expect(me.routes[0].interface).toBe('wan0')
    expect(code(() => eth0.rename('lo'))).toBe('EEXIST')
    for (const bad of ['', 'a b', 'a/b', '.', '..', 'abcdefghijklmnop']) expect(code(() => eth0.rename(bad))).toBe('EINVAL')
    eth0.setPromiscuous(true)
    expect(eth0.promiscuous).toBe(true)
    expect(JSON.parse(JSON.stringify(me.interfaces))).toEqual([
      {
        name: 'wan0',
        index: eth0.index,
        mac: eth0.mac,
        mtu: 1500,
        up: true,
        addresses: ['10.0.0.1/24'],
        link: 'link0.a',
        parent: null,
      },
    ])
  })
})
