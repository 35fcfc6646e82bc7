/** What the owner of an interface does at odd moments: in callbacks, with stores that lie, with routes of his own. */
import { describe, expect, it } from 'vitest'
import type { Lease } from '../../src/dhcp/lease.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { DhcpWorld } from '../support/dhcp-world.ts'

describe('a store', () => {
  for (const [what, kept] of Object.entries({
    'no object': 'x',
    'an empty one': {},
    'no time': { address: '10.0.0.50' },
    'an address that is none': { address: 'here', expiresAt: Number.POSITIVE_INFINITY },
    'an address of another kind': { address: 5, expiresAt: Number.POSITIVE_INFINITY },
    'an address that nobody can have': { address: '255.255.255.255', expiresAt: Number.POSITIVE_INFINITY },
    'an IPv6 address': { address: 'fd00::1', expiresAt: Number.POSITIVE_INFINITY },
    'a time that is none': { address: '10.0.0.50', expiresAt: 'tomorrow' },
  }))
    it(`with ${what} in it counts as empty`, () => {
      const store = { load: () => kept as unknown as Lease, save: () => undefined }
      const w = new DhcpWorld({ dhcp: { store } })
      w.bind()
      expect(w.names()).toEqual(['DISCOVER', 'REQUEST'])
    })

  it('of JSON has no Infinity: a lease for ever is asked for again', () => {
    let kept = 'null'
    const store = {
      load: () => JSON.parse(kept),
      save(lease: Lease | null) {
        kept = JSON.stringify(lease)
      },
    }
    const first = new DhcpWorld({ dhcp: { store } })
    first.options.leaseTime = 0xffffffff
    first.bind()
    first.eth0.detach()
    const again = new DhcpWorld({ dhcp: { store } })
    again.bind()
    expect(again.names()).toEqual(['REQUEST'])
  })

  it('that throws when it is read leaves nothing behind: the interface can be attached again', async () => {
    const store = { load: fail, save: () => undefined }
    const w = new DhcpWorld({ later: true, dhcp: { store } })
    const timers = w.client.timers.size
    expect(() => w.attach()).toThrow('EACCES')
    const [link] = createPipe()
    expect(() => w.client.attach(link, { dhcp6: { store } })).toThrow('EACCES')
    expect([w.client.timers.size, w.client.interfaces, w.world.host.holds]).toEqual([timers, [], 0])
    await w.client.close()
  })
})

function fail(): never {
  throw new Error('EACCES: permission denied')
}

describe('a lease', () => {
  it('takes its own routes when it goes, not those of others that call themselves DHCP', () => {
    const w = new DhcpWorld()
    w.bind()
    w.client.ip('route add 10.9.0.0/16 via 10.0.0.9 dev eth0 proto dhcp onlink')
    expect(w.client.ip('route show default')).toMatch(/^default via 10.0.0.1 dev eth0 proto dhcp/)
    w.eth0.dhcp!.release()
    w.run(1)
    expect(w.client.ip('route show').trim()).toBe('10.9.0.0/16 via 10.0.0.9 dev eth0 proto dhcp onlink')
  })

  it('for ever that its user renews is asked for until somebody answers', () => {
    const w = new DhcpWorld()
    w.options.leaseTime = 0xffffffff
    w.bind()
    w.answers = false
    w.names()
    w.eth0.dhcp!.renew()
    w.run(200)
    expect(w.names().length).toBeGreaterThan(2)
    w.answers = true
    w.run(200)
    expect(w.eth0.dhcp!.state).toBe('BOUND')
  })

  for (const what of ['renew', 'release', 'detach', 'throw', 'close'] as const)
    it(`may be ${what} by who is being told of it`, async () => {
      const w = new DhcpWorld()
      let told = 0
      w.eth0.onLease = (lease) => {
        if (lease === null || told++ > 0) return
        if (what === 'detach') w.eth0.detach()
        else if (what === 'close') void w.client.close()
        else if (what === 'throw') throw new Error('mine')
        else w.eth0.dhcp![what]()
      }
      if (what === 'throw') expect(() => w.run(30)).toThrow('mine')
      w.run(30)
      if (what === 'throw') expect(w.eth0.dhcp!.state).toBe('BOUND')
      expect(told).toBeGreaterThan(0)
      if (what === 'release') expect([w.eth0.lease, w.eth0.addresses, w.eth0.dhcp!.state]).toEqual([null, [], 'STOPPED'])
      if (what === 'renew') expect([w.eth0.dhcp!.state, told]).toEqual(['BOUND', 2])
    })
})

describe('what cannot be meant', () => {
  it.each([
    [{ dhcp: { address: 'foo' } }, 'option dhcp.address: foo is no IPv4 address of a host'],
    [{ dhcp: { address: 'fd00::1' } }, 'fd00::1'],
    [{ dhcp: { address: '10.0.0.7/24' } }, '10.0.0.7/24'],
    [{ dhcp: { address: '224.0.0.1' } }, '224.0.0.1'],
    [{ dhcp: { timeoutMs: Number.NaN } }, 'option dhcp.timeoutMs: NaN'],
    [{ dhcp: { timeoutMs: -1 } }, 'option dhcp.timeoutMs: -1'],
    [{ dhcp6: { address: 'foo' } }, 'option dhcp6.address: foo is no IPv6 address'],
    [{ dhcp6: { address: '10.0.0.7' } }, '10.0.0.7'],
    [{ dhcp6: { prefix: 'foo' } }, 'foo'],
    [{ dhcp6: { prefix: '10.0.0.0/8' } }, '10.0.0.0/8'],
    [{ dhcp6: { timeoutMs: Number.POSITIVE_INFINITY } }, 'option dhcp6.timeoutMs: Infinity'],
  ])('%j is said at once, and leaves nothing', async (options, why) => {
    const world = createWorld()
    const stack = world.stack()
    const [link] = createPipe()
    expect(() => stack.attach(link, options)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_INVALID/), message: expect.stringContaining(why) }),
    )
    expect([stack.timers.size, stack.interfaces, world.host.holds]).toEqual([0, [], 0])
    await world.close()
  })
})
