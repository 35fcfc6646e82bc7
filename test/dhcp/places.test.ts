import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import type { Lease } from '../../src/dhcp/lease.ts'
import { ACK, NAK } from '../../src/dhcp/message.ts'
import { DhcpWorld } from '../support/dhcp-world.ts'

describe('an address that somebody has', () => {
  it('is declined, and after ten seconds another is asked for (RFC 2131 section 4.4.1, RFC 5227)', () => {
    const w = new DhcpWorld({ dhcp: { probe: true } })
    w.serverSide.addAddress('10.0.0.50/24')
    w.answer = (m, usual) => {
      if (w.heard.some((h) => h.name === 'DECLINE')) w.address = '10.0.0.60'
      return usual === null ? null : w.reply(m, usual.type)
    }
    w.bind()
    const [, , decline] = w.heard
    expect(w.heard.map((h) => h.name)).toEqual(['DISCOVER', 'REQUEST', 'DECLINE', 'DISCOVER', 'REQUEST'])
    expect([decline.m.get('requestedAddress'), decline.m.get('serverIdentifier'), decline.from, decline.m.ciaddr]).toEqual([
      '10.0.0.50',
      '10.0.0.1',
      '0.0.0.0',
      0,
    ])
    expect(decline.m.has('parameterRequestList')).toBe(false)
    expect(w.heard[3].at - decline.at).toBeCloseTo(10, 1)
    expect(w.heard[3].m.has('requestedAddress')).toBe(false)
    expect(w.eth0.addresses).toEqual(['10.0.0.60/24'])
    expect(w.counters).toMatchObject({ outDeclines: 1, bound: 1 })
    expect(w.events).toEqual(['bound 10.0.0.60/24'])
  })

  it('that nobody has is used after the probes of RFC 5227', async () => {
    const w = new DhcpWorld({ dhcp: { probe: true } })
    await w.world.settle(w.eth0.ready)
    expect(w.world.elapsedMs).toBeGreaterThan(4000)
    expect(w.world.elapsedMs).toBeLessThan(8000)
    expect(w.client.counters(true)['eth0.arp']).toMatchObject({ outRequests: 4 }) // three probes, an announcement
  })

  it('that somebody takes later is declined too', () => {
    const w = new DhcpWorld()
    w.bind()
    w.names()
    w.serverSide.addAddress('10.0.0.50/24')
    w.address = '10.0.0.61'
    w.run(30)
    expect(w.names().slice(0, 3)).toEqual(['DECLINE', 'DISCOVER', 'REQUEST'])
    expect(w.events).toEqual(['bound 10.0.0.50/24', 'conflict -', 'bound 10.0.0.61/24'])
  })
})

describe('a restart', () => {
  const stored = (): { lease: Lease | null; load(): Lease | null; save(l: Lease | null): void } => ({
    lease: null,
    load() {
      return this.lease
    },
    save(l) {
      this.lease = l
    },
  })

  it('asks for the lease that was had (INIT-REBOOT): one message', () => {
    const store = stored()
    const first = new DhcpWorld({ dhcp: { store } })
    first.bind()
    first.eth0.detach()
    expect(first.names()).toEqual(['DISCOVER', 'REQUEST']) // kept, not given back
    expect(store.lease!.address).toBe('10.0.0.50')
    const w = new DhcpWorld({ dhcp: { store } })
    w.bind()
    const { name, m, from, to } = w.last
    expect(w.heard.length).toBe(1)
    expect([name, from, to, m.ciaddr, m.get('requestedAddress'), m.has('serverIdentifier')]).toEqual([
      'REQUEST',
      '0.0.0.0',
      '255.255.255.255',
      0,
      '10.0.0.50',
      false,
    ])
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
  })

  it('on another network: NAK, and another lease', () => {
    const store = stored()
    new DhcpWorld({ dhcp: { store } }).bind()
    const w = new DhcpWorld({ dhcp: { store } })
    w.address = '10.0.0.70'
    w.answer = (m, usual) => (m.type === 3 && !m.has('serverIdentifier') ? w.reply(m, NAK) : usual)
    w.bind()
    expect(w.names()).toEqual(['REQUEST', 'DISCOVER', 'REQUEST'])
    expect(store.lease!.address).toBe('10.0.0.70')
  })

  it('where nobody answers for it, and with a lease that is over: from the beginning', () => {
    const store = stored()
    new DhcpWorld({ dhcp: { store } }).bind()
    const w = new DhcpWorld({ dhcp: { store } })
    w.answer = (m, usual) => (m.type === 3 && !m.has('serverIdentifier') ? null : usual)
    w.bind()
    expect(w.names()).toEqual(['REQUEST', 'REQUEST', 'DISCOVER', 'REQUEST'])
    store.lease!.expiresAt = 1
    const late = new DhcpWorld({ dhcp: { store } })
    late.bind()
    expect(late.names()).toEqual(['DISCOVER', 'REQUEST'])
  })

  it('with a store that takes its time, or fails', async () => {
    const lease: Lease[] = []
    const slow = {
      load: async () => lease[0] ?? null,
      save: async (l: Lease | null) => {
        lease[0] = l!
      },
    }
    const first = new DhcpWorld({ dhcp: { store: slow } })
    await first.world.settle(first.eth0.ready)
    const w = new DhcpWorld({ dhcp: { store: slow } })
    await w.world.settle(w.eth0.ready)
    expect(w.names()).toEqual(['REQUEST'])
    const failing = {
      load: () => Promise.reject(new Error('the disk')),
      save: () => undefined,
    }
    const bad = new DhcpWorld({ dhcp: { store: failing } })
    await expect(bad.world.settle(bad.eth0.ready)).rejects.toThrow('the disk')
    bad.bind()
    expect(bad.names()).toEqual(['DISCOVER', 'REQUEST'])
  })
})

describe('a link that goes down and comes up', () => {
  it('has the lease confirmed, and keeps the address meanwhile', () => {
    const w = new DhcpWorld()
    w.bind()
    w.names()
    w.eth0.setUp(false)
    w.run(10)
    expect([w.eth0.dhcp!.state, w.names()]).toEqual(['INIT-REBOOT', []])
    w.eth0.setUp(true)
    w.run(1)
    expect([w.eth0.dhcp!.state, w.names(), w.eth0.addresses]).toEqual(['BOUND', ['REQUEST'], ['10.0.0.50/24']])
    expect(w.events).toEqual(['bound 10.0.0.50/24', 'renewed 10.0.0.50/24'])
  })

  it('uses the lease on when no server answers (RFC 2131 section 3.2)', () => {
    const w = new DhcpWorld()
    w.bind()
    w.answers = false
    w.eth0.setUp(false)
    w.eth0.setUp(true)
    w.run(20)
    expect([w.eth0.dhcp!.state, w.eth0.addresses]).toEqual(['BOUND', ['10.0.0.50/24']])
    w.run(3600)
    expect(w.eth0.addresses).toEqual([])
  })

  it('loses what ends while it is down', () => {
    const w = new DhcpWorld()
    w.bind()
    w.names()
    w.eth0.setUp(false)
    w.run(4000)
    expect([w.eth0.lease, w.eth0.addresses, w.names()]).toEqual([null, [], []])
    w.eth0.setUp(true)
    w.bind()
    expect(w.names()).toEqual(['DISCOVER', 'REQUEST'])
  })

  it('begins with nothing, when it had nothing', () => {
    const w = new DhcpWorld()
    w.answers = false
    w.run(30)
    w.eth0.setUp(false)
    w.names()
    w.run(100)
    expect(w.names()).toEqual([])
    w.answers = true
    w.eth0.setUp(true)
    w.bind()
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
  })
})

describe('without a server', () => {
  it('there is an address of 169.254/16 when that is asked for (RFC 3927), until there is a server', async () => {
    const w = new DhcpWorld({ dhcp: { linkLocal: true } })
    w.answers = false
    await w.world.settle(w.eth0.ready)
    expect(w.world.elapsedMs).toBeGreaterThan(14_000)
    const [own] = w.eth0.addresses
    expect(own).toMatch(/^169\.254\.\d+\.\d+\/16$/)
    expect(w.eth0.lease).toBe(null)
    w.answers = true
    w.bind(120_000)
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
    const again = new DhcpWorld({ dhcp: { linkLocal: true }, seed: 99 })
    again.answers = false
    await again.world.settle(again.eth0.ready)
    expect(again.eth0.addresses).toEqual([own]) // chosen by the MAC address
  })

  it('another one when somebody has it', async () => {
    const first = new DhcpWorld({ dhcp: { linkLocal: true } })
    first.answers = false
    await first.world.settle(first.eth0.ready)
    const taken = first.eth0.addresses[0]
    const w = new DhcpWorld({ dhcp: { linkLocal: true } })
    w.answers = false
    w.serverSide.addAddress(taken)
    await w.world.settle(w.eth0.ready)
    expect(w.eth0.addresses.length).toBe(1)
    expect(w.eth0.addresses[0]).toMatch(/^169\.254\./)
    expect(w.eth0.addresses[0]).not.toBe(taken)
  })
})

describe('what comes to an address that is not ours yet', () => {
  it('is heard at port 68 only, and only while there is no lease', () => {
    const w = new DhcpWorld()
    w.bind()
    const count = (): number => w.client.counters(true).ip.ipDropNotForUs ?? 0
    expect(count()).toBe(0)
    w.address = '10.0.0.99'
    w.say(w.reply(w.heard[0].m, ACK))
    w.run(1)
    expect(count()).toBe(1)
    expect(address('10.0.0.99').isV4).toBe(true)
    expect(w.eth0.iface.openPort).toBe(0)
  })
})
