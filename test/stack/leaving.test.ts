import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { createWorld } from '../../src/sim/world.ts'

/** `a` on two links to `b`, of both families. */
function twoLinks() {
  const world = createWorld()
  const [a, b] = ['a', 'b'].map((name) => world.stack({ name, nd: { dadTransmits: 0 } }))
  const links = [world.link(a, b), world.link(a, b)]
  void links[1].a.addAddress('fe80::5/64')
  void links[1].b.addAddress('fe80::6/64')
  return { world, a, b, second: links[1] }
}

describe('where probes leave', () => {
  it('an address as text or as Address; an interface, what it is for IP, or its name', async () => {
    const { world, a, second } = twoLinks()
    const from = [
      { source: '10.0.1.1' },
      { source: address('10.0.1.1') },
      { iface: second.a },
      { iface: second.a.iface },
      { iface: second.a.name },
    ]
    for (const options of from) {
      const one = { ...options, timeoutMs: 500 }
      expect((await world.settle(a.ping('10.0.1.2', { ...one, count: 1 }).next())).value).toMatchObject({ from: '10.0.1.2' })
      expect((await world.settle(a.traceroute('10.0.1.2', { ...one, method: 'icmp' }).next())).value.answers[0]).toMatchObject({
        from: '10.0.1.2',
      })
      expect((await world.settle(a.tracepath('10.0.1.2', one).next())).value).toMatchObject({ hop: 0, mtu: 1500 })
    }
    const ping = a.ping('fe80::6%eth1', { source: 'fe80::5', iface: 'eth1', count: 1 })
    expect((await world.settle(ping.next())).value).toMatchObject({ from: 'fe80::6%eth1' })
    await world.close()
  })

  it('what cannot be meant is said at once', async () => {
    const { world, a } = twoLinks()
    for (const probe of [a.ping.bind(a), a.traceroute.bind(a), a.tracepath.bind(a)]) {
      expect(() => probe('10.0.1.2', { iface: 'eth7' })).toThrow(/^there is no interface eth7$/)
      expect(() => probe('10.0.1.2', { source: 'here' })).toThrow(/^Invalid IP address: here$/)
      expect(() => probe('10.0.1.2', { source: 7 as unknown as string })).toThrow(/^The "source" option must be an address$/)
      expect(() => probe('10.0.1.2', { iface: {} as unknown as string })).toThrow(/^The "iface" option must be an interface/)
    }
    await world.close()
  })
})
