import { describe, expect, it } from 'vitest'
import { address, prefix } from '../../src/base/address.ts'
import { makeDuid } from '../../src/dhcp6/duid.ts'
import type { Option6Values } from '../../src/dhcp6/options.ts'
import type { Dhcp6ServerOptions, Server6Record } from '../../src/dhcp6/server-options.ts'
import {
  ADVERTISE,
  CONFIRM,
  DECLINE,
  INFORMATION_REQUEST,
  REBIND,
  RELEASE,
  RENEW,
  REPLY,
  REQUEST,
  SOLICIT,
} from '../../src/dhcp6/wire.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { DUID, ia, pd, Server6World } from '../support/dhcp6-server-world.ts'

const RANGE: Dhcp6ServerOptions = { ranges: ['fd00::100-fd00::103'] }

describe('an address of the DHCPv6 server', () => {
  it('is had in four messages, with the times of RFC 8415 section 21.4', () => {
    const w = new Server6World({ ...RANGE, leaseSeconds: 8000, preferredSeconds: 5000 }).byHand()
    expect(w.say(SOLICIT, { iaNa: [ia(7)] })).toEqual(['ADVERTISE 7:fd00::100'])
    expect(w.server.leases).toEqual([])
    expect(w.say(REQUEST, { iaNa: [ia(7)], serverId: w.serverId })).toEqual(['REPLY 7:fd00::100'])
    const [{ t1, t2, options }] = w.last.all('iaNa')
    expect([t1, t2, options.iaAddress]).toEqual([
      2500,
      4000,
      [{ address: 'fd00::100', preferred: 5000, valid: 8000, options: {} }],
    ])
    expect(w.last.get('clientId')).toEqual(DUID(1))
    expect(w.server.leases).toEqual([
      {
        kind: 'address',
        address: 'fd00::100',
        duid: '00:03:00:01:02:00:00:00:00:01',
        iaid: 7,
        hostname: null,
        via: null,
        state: 'bound',
        expiresAt: expect.any(Number),
      },
    ])
    expect(w.counters).toEqual({ inSolicits: 1, inRequests: 1, outAdvertises: 1, outReplies: 1 })
    w.world.run(8_001_000)
    expect([w.server.leases, w.events]).toEqual([[], ['bound fd00::100', 'expired fd00::100']])
  })

  it('is had in two messages where both sides can', () => {
    const w = new Server6World({ ...RANGE, rapidCommit: true }).byHand()
    expect(w.say(SOLICIT, { iaNa: [ia(1)], rapidCommit: true })).toEqual(['REPLY 1:fd00::100'])
    expect([w.last.has('rapidCommit'), w.events]).toEqual([true, ['bound fd00::100']])
    expect(w.say(SOLICIT, { iaNa: [ia(1)] }, DUID(2))).toEqual(['ADVERTISE 1:fd00::101'])
    const four = new Server6World(RANGE).byHand()
    expect(four.say(SOLICIT, { iaNa: [ia(1)], rapidCommit: true })).toEqual(['ADVERTISE 1:fd00::100'])
  })

  it('is for ever when that is wished', () => {
    const w = new Server6World({ ...RANGE, leaseSeconds: Number.POSITIVE_INFINITY }).byHand()
    w.obtain(DUID(1))
    const [{ t1, t2, options }] = w.last.all('iaNa')
    expect([t1, t2, options.iaAddress?.[0].valid, options.iaAddress?.[0].preferred]).toEqual(new Array(4).fill(0xffffffff))
    w.world.run(100 * 86_400_000)
    expect(w.server.leases).toMatchObject([{ address: 'fd00::100', expiresAt: null }])
  })

  it('is the same again for the same association, another for each other; the longest unused when all were given', () => {
    const w = new Server6World(RANGE).byHand()
    expect([1, 2, 3].map((n) => w.obtain(DUID(n)))).toEqual(['1:fd00::100', '1:fd00::101', '1:fd00::102'])
    expect(w.obtain(DUID(1), { iaNa: [ia(2)] })).toBe('2:fd00::103')
    expect(w.obtain(DUID(5))).toBe('1!2')
    expect(w.obtain(DUID(2))).toBe('1:fd00::101')
    w.world.run(3_601_000)
    expect(w.obtain(DUID(3))).toBe('1:fd00::102')
    expect(w.obtain(DUID(9))).toBe('1:fd00::100')
    expect(w.obtain(DUID(8), { iaNa: [ia(1, 'fd00::103')] })).toBe('1:fd00::103')
    expect(w.counters).toMatchObject({ noAddrsAvail: 2 })
  })

  it('of a large range is drawn, and never one of the network itself', () => {
    const w = new Server6World({ ranges: ['fd00::/64'] }).byHand()
    const given = [1, 2, 3, 4, 5].map((n) => address(w.obtain(DUID(n)).slice(2)))
    expect(given.every((a) => prefix('fd00::/64').contains(a) && a.w2 !== 0)).toBe(true)
    expect(new Set(given.map((a) => `${a}`)).size).toBe(5)
  })

  it('is not remembered beyond what is configured: others wait until one is free', () => {
    const w = new Server6World({ ranges: ['fd00::/64'], config: { dhcp6: { maxLeases: 2 } } }).byHand()
    expect([1, 2, 3].map((n) => w.obtain(DUID(n)).slice(0, 2))).toEqual(['1:', '1:', '1!'])
    w.world.run(3_601_000)
    expect(w.obtain(DUID(3))).toMatch(/^1:fd00::/)
  })

  it('is had for the first 32 associations of a message and no more', () => {
    const w = new Server6World({ ranges: ['fd00::/64'] }).byHand()
    w.say(SOLICIT, { iaNa: Array.from({ length: 40 }, (_, i) => ia(i)) })
    expect([w.last.all('iaNa').length, w.counters.dropTooManyAssociations]).toEqual([32, 8])
  })

  it('is put by for half a minute only', () => {
    const w = new Server6World({ ranges: ['fd00::100'] }).byHand()
    w.say(SOLICIT, { iaNa: [ia(1)] })
    expect(w.say(SOLICIT, { iaNa: [ia(1)] }, DUID(2))).toEqual(['ADVERTISE 1!2'])
    w.world.run(31_000)
    expect(w.say(SOLICIT, { iaNa: [ia(1)] }, DUID(2))).toEqual(['ADVERTISE 1:fd00::100'])
  })

  it('is refused where what is asked for is of another link (NotOnLink), and temporary ones always', () => {
    const w = new Server6World(RANGE).byHand()
    w.say(SOLICIT, { iaNa: [ia(1)] })
    const { serverId } = w
    expect(w.say(REQUEST, { iaNa: [ia(1, 'fd77::1')], serverId })).toEqual(['REPLY 1!4'])
    expect(w.say(REQUEST, { iaTa: [{ iaid: 3, options: {} }], serverId })).toEqual(['REPLY ta3!2'])
    expect(w.server.leases).toEqual([])
  })

  it('goes on by RENEW and REBIND; what else is named is over', () => {
    const w = new Server6World(RANGE).byHand()
    w.obtain(DUID(1))
    w.world.run(1_800_000)
    expect(w.say(RENEW, { iaNa: [ia(1, 'fd00::100', 'fd00::55')], serverId: w.serverId })).toEqual([
      'REPLY 1:fd00::100 1:-fd00::55',
    ])
    w.world.run(1_900_000)
    expect(w.say(REBIND, { iaNa: [ia(1, 'fd00::100')] })).toEqual(['REPLY 1:fd00::100'])
    expect(w.events).toEqual(['bound fd00::100', 'renewed fd00::100', 'renewed fd00::100'])
  })

  it('that nobody knows goes on if nobody has it; is over on another link; else there is no binding', () => {
    const w = new Server6World(RANGE).byHand()
    w.obtain(DUID(1))
    const { serverId } = w
    expect(w.say(RENEW, { iaNa: [ia(1, 'fd00::102')], serverId }, DUID(2))).toEqual(['REPLY 1:fd00::102'])
    expect(w.say(RENEW, { iaNa: [ia(1, 'fd00::100')], serverId }, DUID(3))).toEqual(['REPLY 1!3'])
    expect(w.say(REBIND, { iaNa: [ia(1, 'fd66::1')] }, DUID(3))).toEqual(['REPLY 1:-fd66::1'])
    expect(w.say(RENEW, { iaNa: [ia(1)], serverId }, DUID(3))).toEqual(['REPLY 1:fd00::101'])
    const humble = new Server6World({ ...RANGE, authoritative: false }).byHand()
    expect(humble.say(REBIND, { iaNa: [ia(1, 'fd00::102')] })).toEqual([])
    humble.say(SOLICIT, { iaNa: [ia(1)] })
    expect(humble.say(RENEW, { iaNa: [ia(1, 'fd00::102')], serverId: humble.serverId })).toEqual(['REPLY 1!3'])
    expect(humble.counters).toMatchObject({ dropUnknownClient: 1, noBinding: 2 })
  })

  it('is given back, by whose it is', () => {
    const w = new Server6World(RANGE).byHand()
    w.obtain(DUID(1))
    const { serverId } = w
    expect(w.say(RELEASE, { iaNa: [ia(1, 'fd00::100')], serverId }, DUID(2))).toEqual(['REPLY status 0 1!3'])
    expect(w.say(RELEASE, { iaNa: [ia(1, 'fd00::101')], serverId })).toEqual(['REPLY status 0'])
    expect(w.server.leases.length).toBe(1)
    expect(w.say(RELEASE, { iaNa: [ia(1, 'fd00::100')], serverId })).toEqual(['REPLY status 0'])
    expect([w.server.leases, w.events]).toEqual([[], ['bound fd00::100', 'released fd00::100']])
  })

  it('that somebody else has is not given for ten minutes (DECLINE)', () => {
    const w = new Server6World({ ranges: ['fd00::100-fd00::101'] }).byHand()
    w.obtain(DUID(1))
    const { serverId } = w
    expect(w.say(DECLINE, { iaNa: [ia(1, 'fd00::100')], serverId }, DUID(2))).toEqual(['REPLY status 0 1!3'])
    expect(w.say(DECLINE, { iaNa: [ia(1, 'fd00::100')], serverId })).toEqual(['REPLY status 0'])
    expect(w.server.leases).toMatchObject([{ address: 'fd00::100', state: 'abandoned' }])
    expect([w.obtain(DUID(1)), w.obtain(DUID(2))]).toEqual(['1:fd00::101', '1!2'])
    w.world.run(601_000)
    expect(w.obtain(DUID(2))).toBe('1:fd00::100')
  })

  it('is confirmed as being of the link or not; silence where that cannot be known', () => {
    const w = new Server6World(RANGE).byHand()
    expect(w.say(CONFIRM, { iaNa: [ia(1, 'fd00::77')] })).toEqual(['REPLY status 0'])
    expect(w.say(CONFIRM, { iaNa: [ia(1, 'fd00::77'), ia(2, 'fd01::77')] })).toEqual(['REPLY status 4'])
    expect(w.say(CONFIRM, { iaNa: [ia(1)] })).toEqual([])
    const nowhere = new Server6World({}, []).byHand()
    expect(nowhere.say(CONFIRM, { iaNa: [ia(1, 'fd00::77')] })).toEqual([])
    expect(nowhere.counters).toEqual({ inConfirms: 1, dropUnknownClient: 1 })
  })

  it('is reserved: by DUID, by the MAC address in one; nobody else gets it', () => {
    const w = new Server6World({
      ...RANGE,
      options: { dnsServers: ['fd00::53'] },
      reservations: [
        { address: 'fd00::100', mac: '02:00:00:00:00:07', hostname: 'seven.example.', options: { dnsServers: ['fd00::7'] } },
        { address: 'fd00::7777', duid: '00:02:00:00:00:09:01:02' },
      ],
    }).byHand()
    expect(w.obtain(DUID(1))).toBe('1:fd00::101')
    const asks: Option6Values = { iaNa: [ia(1)], optionRequest: [23], clientFqdn: { flags: 1, name: 'other' } }
    expect(w.obtain(DUID(7), asks)).toBe('1:fd00::100')
    expect([w.last.get('dnsServers'), w.last.get('clientFqdn')]).toEqual([['fd00::7'], { flags: 6, name: 'seven.example.' }])
    const en = makeDuid({ kind: 'EN', enterprise: 9, id: Uint8Array.of(1, 2) })
    expect(w.obtain(en)).toBe('1:fd00::7777')
    // There is one of it: the client's second association is like everybody's.
    expect(w.obtain(en, { iaNa: [ia(1), ia(2)] })).toBe('1:fd00::7777 2:fd00::102')
    expect(w.obtain(DUID(4), { iaNa: [ia(1, 'fd00::7777')] })).toBe('1:fd00::103')
  })
})

describe('a prefix of the DHCPv6 server', () => {
  const PREFIXES: Dhcp6ServerOptions = { prefixes: ['fd01::/48-56', 'fd02::/52-60', 'fd03::/62'] }

  it('has the length that is asked for, else more rather than less (RFC 8168)', () => {
    const w = new Server6World(PREFIXES).byHand()
    const ask = (n: number, hint: string): string => w.obtain(DUID(n), { iaPd: [hint === '' ? pd(1) : pd(1, hint)] })
    expect([ask(1, ''), ask(2, '::/60'), ask(3, '::/64'), ask(4, '::/62'), ask(5, '::/48')]).toEqual([
      '1:fd01::/56',
      '1:fd02::/60',
      '1:fd03::/64',
      '1:fd02:0:0:10::/60',
      '1:fd01:0:0:100::/56',
    ])
    expect(ask(6, 'fd03:0:0:2::/64')).toBe('1:fd03:0:0:2::/64')
    expect([7, 8].map((n) => ask(n, '::/64'))).toEqual(['1:fd03:0:0:1::/64', '1:fd03:0:0:3::/64'])
    expect(ask(9, '::/64')).toBe('1:fd02:0:0:20::/60')
    expect(new Server6World(RANGE).byHand().obtain(DUID(1), { iaPd: [pd(1)] })).toBe('1!6')
  })

  it('is reached by its client as long as it lasts, whether it is released or forgotten', () => {
    const w = new Server6World({ ...PREFIXES, ...RANGE }).byHand()
    const routes = (): string[] =>
      w.stack.routes.filter((r) => r.destination.startsWith('fd01')).map((r) => `${r.destination} ${r.gateway} ${r.interface}`)
    expect(w.obtain(DUID(1), { iaNa: [ia(1)], iaPd: [pd(1)] })).toBe('1:fd00::100 1:fd01::/56')
    expect(routes()).toEqual(['fd01::/56 fe80::aa%eth0 eth0'])
    expect(w.server.leases.map(({ address, via }) => [address, via])).toEqual([
      ['fd00::100', null],
      ['fd01::/56', 'fe80::aa%eth0'],
    ])
    w.say(RENEW, { iaPd: [pd(1, 'fd01::/56')], serverId: w.serverId })
    expect(routes().length).toBe(1)
    w.say(RELEASE, { iaPd: [pd(1, 'fd01::/56')], serverId: w.serverId })
    expect(routes()).toEqual([])
    w.obtain(DUID(1), { iaPd: [pd(1)] })
    expect(routes().length).toBe(1)
    w.world.run(3_601_000)
    expect(routes()).toEqual([])
    w.obtain(DUID(1), { iaPd: [pd(1)] })
    w.server.close()
    expect(routes()).toEqual([])
    const without = new Server6World({ ...PREFIXES, routes: false }).byHand()
    without.obtain(DUID(1), { iaPd: [pd(1)] })
    expect(without.stack.routes.some((r) => r.destination === 'fd01::/56')).toBe(false)
  })

  it('that nobody knows goes on, or is over; a declined one is an error of the client', () => {
    const w = new Server6World(PREFIXES).byHand()
    expect(w.say(REBIND, { iaPd: [pd(1, 'fd01:0:0:900::/56')] })).toEqual(['REPLY 1:fd01:0:0:900::/56'])
    expect(w.say(REBIND, { iaPd: [pd(1, 'fd09::/56')] }, DUID(2))).toEqual(['REPLY 1:-fd09::/56'])
    expect(w.say(REBIND, { iaPd: [pd(1, 'fd01:0:0:901::/64')] }, DUID(2))).toEqual(['REPLY 1:-fd01:0:0:901::/64'])
    w.say(DECLINE, { iaPd: [pd(1, 'fd01:0:0:900::/56')], serverId: w.serverId })
    expect(w.server.leases).toMatchObject([{ state: 'bound' }])
  })

  it('is reserved', () => {
    const w = new Server6World({ ...PREFIXES, reservations: [{ mac: '02:00:00:00:00:07', prefix: 'fd01::/56' }] }).byHand()
    expect([1, 7].map((n) => w.obtain(DUID(n), { iaPd: [pd(1)] }))).toEqual(['1:fd01:0:0:100::/56', '1:fd01::/56'])
    const out = new Server6World({ ...RANGE, reservations: [{ mac: '02:00:00:00:00:07', prefix: 'fd0a::/48' }] }).byHand()
    expect([1, 7].map((n) => out.obtain(DUID(n), { iaPd: [pd(1)] }))).toEqual(['1!6', '1:fd0a::/48'])
  })
})

describe('the DHCPv6 server', () => {
  it('tells what is asked for, and to who asks for nothing else how long that is good', () => {
    const options: Option6Values = {
      dnsServers: ['fd00::53'],
      domainSearch: ['lab.example'],
      ntpServer: [{ address: 'fd00::123' }],
      solMaxRt: 7200,
      informationRefreshTime: 600,
    }
    const w = new Server6World({ ...RANGE, options }).byHand()
    expect(w.say(INFORMATION_REQUEST, { optionRequest: [24, 23, 32, 56, 82, 83] }, null)).toEqual(['REPLY'])
    expect(w.last.values()).toEqual({ serverId: expect.any(Uint8Array), ...options })
    w.obtain(DUID(1), { iaNa: [ia(1)], optionRequest: [23, 32] })
    expect([w.last.get('dnsServers'), w.last.has('domainSearch'), w.last.has('informationRefreshTime')]).toEqual([
      ['fd00::53'],
      false,
      false,
    ])
  })

  it('says what it is preferred by, to who looks for a server', () => {
    const w = new Server6World({ ...RANGE, preference: 255 }).byHand()
    w.say(SOLICIT, { iaNa: [ia(1)] })
    expect([w.last.type, w.last.get('preference')]).toEqual([ADVERTISE, 255])
    w.say(REQUEST, { iaNa: [ia(1)], serverId: w.serverId })
    expect([w.last.type, w.last.has('preference')]).toEqual([REPLY, false])
  })

  it('discards what RFC 8415 section 16 says, and counts why', () => {
    const w = new Server6World(RANGE).byHand()
    w.obtain(DUID(1))
    const { serverId } = w
    const iaNa = [ia(1)]
    const other = DUID(99)
    for (const type of [SOLICIT, CONFIRM, REBIND]) {
      expect(w.say(type, { iaNa, serverId })).toEqual([])
      expect(w.say(type, { iaNa }, null)).toEqual([])
    }
    for (const type of [REQUEST, RENEW, RELEASE, DECLINE]) {
      expect(w.say(type, { iaNa })).toEqual([])
      expect(w.say(type, { iaNa, serverId: other })).toEqual([])
      expect(w.say(type, { iaNa, serverId }, null)).toEqual([])
    }
    expect(w.say(INFORMATION_REQUEST, { iaNa })).toEqual([])
    expect(w.say(INFORMATION_REQUEST, { serverId: other })).toEqual([])
    expect(w.say(INFORMATION_REQUEST, { serverId })).toEqual(['REPLY'])
    for (const type of [ADVERTISE, REPLY, 10]) expect(w.say(type, {})).toEqual([])
    w.post(Uint8Array.of(1, 2, 3))
    w.post(Uint8Array.of(1, 0, 0, 1, 0, 1, 0, 200, 5))
    w.post(Uint8Array.of(99, 0, 0, 1))
    w.post(new Uint8Array(0))
    w.world.run(10)
    expect(w.counters).toMatchObject({
      dropServerId: 3,
      dropNoClientId: 7,
      dropOtherServer: 9,
      dropAssociation: 1,
      dropUnknownType: 4,
      dropMalformed: 3,
    })
  })

  it('wants to be asked by multicast (section 18.4)', () => {
    const w = new Server6World(RANGE).byHand()
    w.obtain(DUID(1))
    const { serverId } = w
    const to = address('fd00::1')
    for (const type of [SOLICIT, CONFIRM, REBIND]) expect(w.say(type, { iaNa: [ia(1, 'fd00::100')] }, DUID(1), to)).toEqual([])
    expect(w.say(INFORMATION_REQUEST, {}, DUID(1), to)).toEqual([])
    for (const type of [REQUEST, RENEW, RELEASE, DECLINE])
      expect(w.say(type, { iaNa: [ia(1, 'fd00::100')], serverId }, DUID(1), to)).toEqual(['REPLY status 5'])
    expect(w.counters).toMatchObject({ dropUnicast: 4, useMulticast: 4 })
    expect(w.server.leases.length).toBe(1)
  })

  it('keeps leases, routes and who it is in a store; gives nothing that the store did not take', () => {
    const kept = new Map<string, Server6Record>()
    let fails = false
    const store = {
      load: () => [...kept.values()],
      save(record: Server6Record) {
        if (fails) throw new Error('disk full')
        kept.set(record.kind === 'server' ? '' : record.address, record)
      },
    }
    const options = { ...RANGE, prefixes: ['fd01::/48'], store }
    const w = new Server6World(options).byHand()
    w.obtain(DUID(1), { iaNa: [ia(1)], iaPd: [pd(1)] })
    w.obtain(DUID(2))
    expect(w.server.duid).toMatch(/^00:01:00:01:/)
    const again = new Server6World(options).byHand()
    expect(again.server.duid).toBe(w.server.duid)
    expect(again.server.leases.map((l) => l.address)).toEqual(['fd00::100', 'fd00::101', 'fd01::/56'])
    expect(again.stack.routes.filter((r) => r.destination === 'fd01::/56').length).toBe(1)
    expect(again.say(RENEW, { iaNa: [ia(1, 'fd00::101')], serverId: w.serverId }, DUID(2))).toEqual(['REPLY 1:fd00::101'])
    fails = true
    expect(() => again.obtain(DUID(6))).toThrow('disk full')
    expect(again.counters).toMatchObject({ dropStore: 1, outReplies: 1 })
  })

  it('is known by its MAC address where there is no store, and by what it is told', () => {
    expect(new Server6World(RANGE).server.duid).toBe('00:03:00:01:02:00:00:00:00:01')
    expect(new Server6World({ ...RANGE, duid: '00:02:00:00:00:09:77' }).server.duid).toBe('00:02:00:00:00:09:77')
  })

  it('serves several interfaces, each by its own network', () => {
    const world = createWorld({ seed: 6 })
    const router = world.stack()
    const pipes = [createPipe(), createPipe()]
    const inside = pipes.map(([near], i) => router.attach(near, { addresses: [`fd0${i}::1/64`], probe: false }))
    const server = router.dhcp6Server(inside, { ranges: ['fd00::50', 'fd01::60'] })
    expect(inside.map((eth) => server.givesAddresses(eth.iface))).toEqual([true, true])
    server.close()
    expect(() => router.dhcp6Server(inside, { ranges: ['fd02::50'] })).toThrow('on no network')
  })

  it('makes our router advertisements say so (RFC 4861: M, O), unless they are told what to say', () => {
    const w = new Server6World(RANGE)
    const host = w.other.attach(w.link, { slaac: true, probe: false })
    w.eth0.advertise()
    w.world.run(5000)
    expect([host.ra?.managed, host.ra?.other]).toEqual([true, true])
    w.server.close()
    w.world.run(5000)
    expect([host.ra?.managed, host.ra?.other]).toEqual([false, false])
    w.stack.dhcp6Server(w.eth0)
    w.world.run(5000)
    expect([host.ra?.managed, host.ra?.other]).toEqual([false, true])
    w.eth0.advertise({ managed: true, other: false })
    w.world.run(5000)
    expect([host.ra?.managed, host.ra?.other]).toEqual([true, false])
  })

  it('ends with its stack, and leaves the port', async () => {
    const w = new Server6World(RANGE)
    w.server.close()
    const again = w.stack.dhcp6Server(w.eth0, RANGE)
    expect(() => w.stack.dhcp6Server(w.eth0, RANGE)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    await w.stack.close()
    expect([again.leases, w.stack.dhcpServers.size, w.world.host.holds]).toEqual([[], 0, 0])
  })

  it('needs Ethernet, and an IPv6 address', () => {
    const world = createWorld()
    const stack = world.stack()
    const eth0 = stack.attach(createPipe()[0], { addresses: ['10.0.0.1/24'] })
    expect(() => stack.dhcp6Server(eth0, RANGE)).toThrow(expect.objectContaining({ code: 'EADDRNOTAVAIL' }))
    const tun = stack.attach(createPipe({ medium: 'ip' })[0], { addresses: ['fd00::1/64'] })
    expect(() => stack.dhcp6Server(tun, RANGE)).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }))
  })

  it.each<[string, Dhcp6ServerOptions, string]>([
    ['a range of another network', { ranges: ['fd01::1-fd01::9'] }, 'ERR_INVALID_ARG_VALUE'],
    ['a range that goes back', { ranges: ['fd00::9-fd00::1'] }, 'ERR_INVALID_ARG_VALUE'],
    ['a range that leaves its network', { ranges: ['fd00::9-fd01::1'] }, 'ERR_INVALID_ARG_VALUE'],
    ['addresses of IPv4', { ranges: ['10.0.0.1-10.0.0.9'] }, 'ERR_INVALID_IP_ADDRESS'],
    ['no addresses', { ranges: ['here'] }, 'ERR_INVALID_IP_ADDRESS'],
    ['prefixes longer than what they are of', { prefixes: ['fd00::/56-48'] }, 'ERR_INVALID_ARG_VALUE'],
    ['prefixes of nothing', { prefixes: ['fd00::'] }, 'ERR_INVALID_ARG_VALUE'],
    ['an option that nobody knows', { options: { colour: 'red' } as Option6Values }, 'ERR_INVALID_ARG_VALUE'],
    ['an option of the protocol', { options: { preference: 4 } }, 'ERR_INVALID_ARG_VALUE'],
    ['an option of the wrong kind', { options: { dnsServers: 'fd00::1' } as unknown as Option6Values }, 'ERR_INVALID_ARG_VALUE'],
    ['a reservation of nobody', { reservations: [{ address: 'fd00::5' }] }, 'ERR_INVALID_ARG_VALUE'],
    ['a reservation of nothing', { reservations: [{ mac: '02:00:00:00:00:05' }] }, 'ERR_INVALID_ARG_VALUE'],
    ['a reservation elsewhere', { reservations: [{ mac: '02:00:00:00:00:05', address: 'fd09::5' }] }, 'ERR_INVALID_ARG_VALUE'],
    ['a client that is none', { reservations: [{ duid: '00', address: 'fd00::5' }] }, 'ERR_INVALID_ARG_VALUE'],
    ['times that cannot be', { leaseSeconds: 10, preferredSeconds: 20 }, 'ERR_INVALID_ARG_VALUE'],
    ['a preference that cannot be', { preference: 256 }, 'ERR_INVALID_ARG_VALUE'],
  ])('refuses %s', (_, options, code) => {
    const w = new Server6World()
    w.server.close()
    expect(() => w.stack.dhcp6Server(w.eth0, options)).toThrow(expect.objectContaining({ code }))
    expect(w.stack.dhcpServers.size).toBe(0)
  })
})
