import { describe, expect, it } from 'vitest'
import type { Kept6, Lease6Store } from '../../src/dhcp6/lease.ts'
import { CONFIRM, DECLINE, INFORMATION_REQUEST, RENEW, REPLY, SOLICIT } from '../../src/dhcp6/wire.ts'
import { createPipe } from '../../src/link/pipe.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import { Dhcp6World } from '../support/dhcp6-world.ts'

describe('without an address (stateless)', () => {
  it('servers are asked for the rest, and again when their time is over (section 21.23)', async () => {
    const w = new Dhcp6World({ dhcp6: { stateless: true } })
    w.options = {
      ...w.options,
      informationRefreshTime: 700,
      ntpServer: [{ name: 'ntp.lab.example' }, { address: '2001:db8::7' }],
    }
    await w.world.settle(w.eth0.ready)
    expect(w.heard.map((h) => h.m.type)).toEqual([INFORMATION_REQUEST])
    expect([w.last.m.get('optionRequest'), w.last.m.has('iaNa')]).toEqual([[23, 24, 56, 31, 103, 32, 83], false])
    expect([w.ours, w.eth0.nameservers, w.eth0.searchDomains]).toEqual([[], ['2001:db8::53'], ['lab.example']])
    expect(w.eth0.lease6!.ntpServers).toEqual(['ntp.lab.example', '2001:db8::7'])
    expect(w.events).toEqual(['informed'])
    w.options = { dnsServers: ['2001:db8::54', 'fe80::1'] }
    w.run(705)
    expect(w.heard.length).toBe(2)
    expect(w.eth0.nameservers).toEqual(['2001:db8::54', 'fe80::1%eth0'])
    w.run(86_000) // IRT_DEFAULT
    expect(w.heard.length).toBe(2)
    w.run(500)
    expect(w.heard.length).toBe(3)
  })

  it('a time below ten minutes is not heeded (IRT_MINIMUM), and one without end is', () => {
    for (const [time, times] of [
      [1, 10],
      [0xffffffff, 1],
    ]) {
      const w = new Dhcp6World({ dhcp6: { stateless: true } })
      w.options = { informationRefreshTime: time }
      w.run(6000)
      expect(Math.abs(w.heard.length - times)).toBeLessThanOrEqual(1)
    }
  })

  it('another link has other servers', () => {
    const w = new Dhcp6World({ dhcp6: { stateless: true } })
    w.run(5)
    w.eth0.setUp(false)
    w.eth0.setUp(true)
    w.run(5)
    expect(w.names()).toEqual(['INFORMATION-REQUEST', 'INFORMATION-REQUEST'])
  })

  it('an answer that does not come is asked for on', () => {
    const w = new Dhcp6World({ dhcp6: { stateless: true } })
    w.answers = false
    w.run(100)
    expect(w.heard.length).toBe(7) // 1, 2, 4, ... s
    w.answers = true
    w.run(100)
    expect(w.eth0.dhcp6!.state).toBe('INFORMED')
  })
})

describe('who we are, and what we had', () => {
  const memory = (late = false): Lease6Store & { kept: Kept6 | null } => ({
    kept: null,
    load() {
      const { kept } = this
      return late ? Promise.resolve(kept) : kept
    },
    save(kept) {
      this.kept = JSON.parse(JSON.stringify(kept))
    },
  })

  it('is kept across a restart: CONFIRM in place of SOLICIT, the same DUID with another MAC address', async () => {
    for (const late of [false, true]) {
      const store = memory(late)
      const w = new Dhcp6World({ dhcp6: { store, duid: 'llt' } })
      await w.world.settle(w.eth0.ready)
      const { duid } = w.eth0.dhcp6!
      expect(duid).toMatch(/^00:01:00:01:/)
      expect(store.kept).toMatchObject({ duid, lease: { addresses: [{ address: '2001:db8::50' }] } })
      w.heard.length = 0
      await w.client.close()
      w.run(1)
      expect(w.names()).toEqual([]) // not given back
      const next = new Dhcp6World({ dhcp6: { store }, attach: { mac: '02:00:00:00:00:06' } })
      await next.world.settle(next.eth0.ready)
      expect(next.heard.map((h) => h.m.type)).toEqual([CONFIRM])
      expect(next.eth0.dhcp6!.duid).toBe(duid)
      expect(next.eth0.lease6!.addresses).toEqual(w.eth0.lease6?.addresses ?? store.kept!.lease!.addresses)
      next.eth0.dhcp6!.release()
      expect(store.kept).toEqual({ duid, lease: null })
    }
  })

  it('that has ended meanwhile, or is damaged, is asked for as new', async () => {
    const store = memory()
    const w = new Dhcp6World({ dhcp6: { store } })
    await w.world.settle(w.eth0.ready)
    const { duid, lease } = store.kept!
    const ended = { ...lease!, addresses: lease!.addresses.map((a) => ({ ...a, validUntil: 5 })) }
    for (const kept of [
      { duid, lease: ended },
      { duid: 'nonsense', lease },
    ]) {
      const next = new Dhcp6World({ dhcp6: { store: { load: () => kept, save: () => undefined } } })
      await next.world.settle(next.eth0.ready)
      expect(next.heard[0].m.type).toBe(SOLICIT)
    }
  })

  it('a store that fails is reported, and does no harm', async () => {
    const w = new Dhcp6World({
      dhcp6: {
        store: {
          load: () => Promise.reject(new Error('no disk')),
          save: () => {
            throw new Error('full')
          },
        },
      },
    })
    const errors: unknown[] = []
    w.world.host.uncaught = (error) => void errors.push(error)
    await w.world.settle(w.eth0.ready)
    expect(errors.map(String)).toEqual(['Error: no disk', 'Error: full'])
    expect(w.ours).toEqual(['2001:db8::50/128'])
  })

  it('is told as the user wants it', () => {
    const w = new Dhcp6World({
      dhcp6: {
        duid: '00:04:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f',
        iaid: 77,
        address: '2001:db8::99',
        prefix: '::/60',
        fqdn: 'host.lab.example',
        userClass: ['lab'],
        vendorClass: { enterprise: 32473, data: ['x'] },
        request: ['sipServers'],
        options: { 9999: Uint8Array.of(1) },
      },
    })
    w.run(0.1)
    const { m } = w.last
    expect(w.eth0.dhcp6!.duid).toBe('00:04:00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f')
    expect(m.get('iaNa')).toMatchObject({ iaid: 77, options: { iaAddress: [{ address: '2001:db8::99' }] } })
    expect(m.get('iaPd')).toMatchObject({ iaid: 77, options: { iaPrefix: [{ prefix: '::/60' }] } })
    expect(m.get('clientFqdn')).toEqual({ flags: 1, name: 'host.lab.example.' })
    expect(m.get('userClass')).toEqual([Uint8Array.of(108, 97, 98)])
    expect(m.get('vendorClass')).toEqual({ enterprise: 32473, data: [Uint8Array.of(120)] })
    expect(m.get('optionRequest')).toContain(22)
    expect(m.options.get(9999)).toEqual([Uint8Array.of(1)])
  })

  it('that cannot be said is an error at once', () => {
    for (const dhcp6 of [
      { duid: 'xyz' },
      { address: '10.0.0.1' },
      { prefix: '10.0.0.0/8' },
      { address: false },
      { fqdn: 'a..b' },
      { delegate: { to: 'eth1', subnet: -1 } },
    ])
      expect(() => new Dhcp6World({ dhcp6: dhcp6 as never })).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_INVALID/) }),
      )
  })
})

describe('an address that somebody has already (section 18.2.8)', () => {
  /** The server's link has a host with `2001:db8::50`. */
  const taken = (): Dhcp6World => {
    const w = new Dhcp6World({ attach: { probe: true } })
    w.serverSide.addAddress('2001:db8::50/64', { probe: false })
    return w
  }

  it('is declined, and another one is asked for', async () => {
    const w = taken()
    w.answer = (m, usual) => {
      if (m.type === DECLINE) w.addresses = ['2001:db8::51']
      return usual
    }
    await w.world.settle(w.eth0.ready)
    expect(w.names()).toEqual(['SOLICIT', 'REQUEST', 'DECLINE', 'SOLICIT', 'REQUEST'])
    expect(w.ours).toEqual(['2001:db8::51/128'])
    expect(w.events).toEqual(['bound 2001:db8::51'])
  })

  it('is declined until the server has heard it, so often and no more (DEC_MAX_RC)', () => {
    const w = taken()
    w.answer = (m, usual) => (m.type === DECLINE ? null : usual)
    w.world.runUntil(() => w.heard.some((h) => h.name === 'DECLINE'), 60_000)
    w.run(14)
    const declines = w.heard.filter((h) => h.name === 'DECLINE')
    expect(declines.length).toBe(4)
    expect(new Set(declines.map((h) => h.m.xid)).size).toBe(1)
    expect(declines[0].m.get('iaNa')!.options.iaAddress!.map((a) => a.address)).toEqual(['2001:db8::50'])
  })

  it('again and again does not make a flood', () => {
    const w = taken()
    w.run(1000)
    expect(w.heard.filter((h) => h.name === 'DECLINE').length).toBeLessThan(14)
    expect(w.ours).toEqual([])
  })

  it('leaves the prefixes alone: an address for them is asked for by RENEW', () => {
    const w = new Dhcp6World({ attach: { probe: true }, dhcp6: { prefix: true, address: true } })
    w.serverSide.addAddress('2001:db8::50/64', { probe: false })
    w.answer = (m, usual) => {
      if (m.type === DECLINE) w.addresses = ['2001:db8::51']
      return usual
    }
    w.run(20)
    expect(w.heard.map((h) => h.m.type).slice(2)).toEqual([DECLINE, RENEW])
    const renew = w.last.m
    expect([renew.get('iaNa')!.options, renew.get('iaPd')!.options.iaPrefix!.length]).toEqual([{}, 1])
    expect(w.events).toEqual(['bound 2001:db8:100::/56', 'renewed 2001:db8::51 2001:db8:100::/56'])
    expect(w.ours).toEqual(['2001:db8::51/128'])
  })
})

describe('routers that speak of DHCPv6 (RFC 4861 section 4.2)', () => {
  const world = (flags: { managed?: boolean; other?: boolean }, attach = {}, autonomous = true): Dhcp6World => {
    const w = new Dhcp6World({ later: true, attach: { slaac: true, dhcp6: undefined, ...attach } })
    w.serverSide.advertise({ prefixes: [{ prefix: '2001:db8::/64', autonomous }], ...flags })
    w.attach()
    return w
  }

  it('M begins a client for an address, O one for the rest, neither none', () => {
    for (const [flags, names] of [
      [{ managed: true, other: true }, ['SOLICIT', 'REQUEST']],
      [{ managed: true }, ['SOLICIT', 'REQUEST']],
      [{ other: true }, ['INFORMATION-REQUEST']],
      [{}, []],
    ] as const) {
      const w = world(flags)
      w.run(10)
      expect(w.names()).toEqual(names)
      expect(w.ours.length).toBe(names.length === 2 ? 2 : 1)
      expect(w.eth0.nameservers).toEqual(names.length > 0 ? ['2001:db8::53'] : [])
    }
  })

  it('are not heeded by who says so', () => {
    const w = world({ managed: true, other: true }, { dhcp6: false })
    w.run(10)
    expect([w.names(), w.eth0.dhcp6]).toEqual([[], null])
  })

  it('that announce no prefix to make addresses of are enough: the lease is what is waited for', async () => {
    const w = world({ managed: true }, {}, false)
    await w.world.settle(w.eth0.ready)
    expect(w.ours).toEqual(['2001:db8::50/128'])
    const not = world({ managed: true }, {}, false)
    not.answers = false
    await expect(not.world.settle(not.eth0.ready)).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
      message:
        'routers on eth0 announce no prefix to make an address of: addresses are to be had by DHCPv6, they say, and none was',
    })
  })

  it('and then say M in place of O: an address is asked for, too', () => {
    const w = world({ other: true })
    w.run(5)
    w.serverSide.advertise({ prefixes: ['2001:db8::/64'], managed: true })
    w.run(10)
    expect(w.names()).toEqual(['INFORMATION-REQUEST', 'SOLICIT', 'REQUEST'])
    expect(w.ours.length).toBe(2)
    w.serverSide.advertise({ prefixes: ['2001:db8::/64'] })
    w.run(10)
    expect(w.ours.length).toBe(2)
  })
})

describe('a delegated prefix', () => {
  const gateway = (dhcp6 = {}): { w: Dhcp6World; eth1: AttachedInterface; host: AttachedInterface } => {
    const w = new Dhcp6World({ later: true, dhcp6: { prefix: true, delegate: { to: 'eth1' }, ...dhcp6 } })
    const [inner, outer] = createPipe({ names: ['lan', 'host'] })
    w.client.setForwarding({ v6: true })
    w.attach()
    const eth1 = w.client.attach(inner, { name: 'eth1', mac: '02:00:00:00:00:15' })
    const host = w.world.stack({ name: 'host' }).attach(outer, { slaac: true, mac: '02:00:00:00:00:25' })
    return { w, eth1, host }
  }
  const reaches = (w: Dhcp6World): string[] =>
    w.client.routes.filter((r) => r.destination.startsWith('2001:db8:')).map((r) => `${r.destination} ${r.kind} ${r.interface}`)

  it('is used on another interface, whose hosts have addresses of it; the rest is unreachable', async () => {
    const { w, eth1, host } = gateway()
    await w.world.settle(host.ready)
    expect(w.eth0.lease6!.prefixes.map((p) => p.prefix)).toEqual(['2001:db8:100::/56'])
    expect(w.ours).toEqual([])
    expect(eth1.addresses).toContain('2001:db8:100::1/64')
    expect(host.addresses.filter((a) => a.startsWith('2001:db8:100:0:') || a.startsWith('2001:db8:100::')).length).toBe(1)
    expect(host.nameservers).toEqual(['2001:db8::53'])
    expect(host.searchDomains).toEqual(['lab.example'])
    expect(reaches(w)).toEqual(['2001:db8:100::/64 unicast eth1', '2001:db8:100::/56 unreachable lo'])
    // What hosts are told ends with the lease.
    expect(host.ra!.prefixes[0].lifetime).toBeLessThanOrEqual(4000)
  })

  it('has as many networks as its length says, each where it is wanted', () => {
    const { w, eth1 } = gateway({
      delegate: [
        { to: 'eth1', subnet: 0xff, host: '::7' },
        { to: 'eth1', subnet: 0x100 },
        { to: 'eth9', subnet: 1 },
      ],
    })
    w.run(5)
    expect(eth1.addresses.filter((a) => a.startsWith('2001'))).toEqual(['2001:db8:100:ff::7/64'])
    expect(w.counters.delegationFailed).toBe(2)
  })

  it('is renewed, and hosts are told; when another takes its place, the old one is deprecated there at once (RFC 9096)', async () => {
    const { w, eth1, host } = gateway()
    await w.world.settle(host.ready)
    const old = host.addresses.find((a) => a.startsWith('2001'))!
    w.answer = (m, usual) => {
      if (m.type !== RENEW) return usual
      const life = (prefix: string, valid: number) => ({ prefix, preferred: valid, valid, options: {} })
      const iaPrefix = [life('2001:db8:100::/56', 0), life('2001:db8:200::/56', 4000)]
      return w.reply(m, REPLY, { iaPd: [{ iaid: 2, t1: 1000, t2: 2000, options: { iaPrefix } }] })
    }
    w.run(1020)
    expect(eth1.addresses.filter((a) => a.startsWith('2001'))).toEqual(['2001:db8:200::1/64'])
    expect(reaches(w)).toEqual(['2001:db8:200::/64 unicast eth1', '2001:db8:200::/56 unreachable lo'])
    const states = host.iface.addresses.filter((a) => `${a.address}`.startsWith('2001')).map((a) => [`${a.address}`, a.state])
    expect(states.length).toBe(2)
    expect(states.find(([a]) => old.startsWith(`${a}`))![1]).toBe(2)
  })

  it('goes with the lease', async () => {
    for (const how of ['release', 'detach', 'expire'] as const) {
      const { w, eth1, host } = gateway()
      await w.world.settle(host.ready)
      if (how === 'release') w.eth0.dhcp6!.release()
      else if (how === 'detach') await w.eth0.detach()
      else w.answers = false
      w.run(how === 'expire' ? 4001 : 20)
      expect([how, eth1.addresses.filter((a) => a.startsWith('2001')), reaches(w)]).toEqual([how, [], []])
      const left = host.iface.addresses.filter((a) => `${a.address}`.startsWith('2001') && a.state === 1)
      expect([how, left]).toEqual([how, []])
    }
  })
})
