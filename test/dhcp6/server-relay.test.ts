import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ANY, address } from '../../src/base/address.ts'
import { parseDuid } from '../../src/dhcp6/duid.ts'
import { Dhcp6Relay } from '../../src/dhcp6/message.ts'
import type { Dhcp6ServerOptions } from '../../src/dhcp6/server-options.ts'
import { INFORMATION_REQUEST, RELAY_FORW, RELAY_REPL, RENEW, REQUEST, SOLICIT } from '../../src/dhcp6/wire.ts'
import { DUID, ia, pd, Server6World } from '../support/dhcp6-server-world.ts'
import { runs } from '../support/runs.ts'

const FAR: Dhcp6ServerOptions = {
  ranges: ['fd00::100-fd00::1ff'],
  options: { dnsServers: ['fd00::53'] },
  networks: [
    { prefix: 'fd09::/64', ranges: ['fd09::10-fd09::1f'], prefixes: ['fd0a::/48-56'], options: { dnsServers: ['fd09::53'] } },
  ],
}

/** A relay next to a client on a link with this address. */
const relay = (link: string, hops = 0): Dhcp6Relay => new Dhcp6Relay(RELAY_FORW, hops, address(link), address('fe80::c'))

const solicit = (w: Server6World, n = 1, options = {}): Uint8Array => w.bytes(SOLICIT, { iaNa: [ia(1)], ...options }, DUID(n))

describe('the DHCPv6 server behind relays', () => {
  it('gives what is of the link of the relay, by unicast too, and gives back what the relay said', () => {
    const w = new Server6World(FAR).byHand()
    const near = relay('fd09::1').set('interfaceId', Uint8Array.of(7, 7)).set('subscriberId', Uint8Array.of(1))
    expect(w.through([near], solicit(w, 1, { optionRequest: [23] }))).toEqual(['ADVERTISE in 1 1:fd09::10'])
    expect(w.last.get('dnsServers')).toEqual(['fd09::53'])
    const { type, hops, link, peer } = w.relayed!
    expect([type, hops, `${link}`, `${peer}`]).toEqual([RELAY_REPL, 0, 'fd09::1', 'fe80::c'])
    expect([w.relayed!.get('interfaceId'), w.relayed!.has('subscriberId')]).toEqual([Uint8Array.of(7, 7), false])
    const request = w.bytes(REQUEST, { iaNa: [ia(1)], iaPd: [pd(1)], serverId: w.serverId }, DUID(1))
    expect(w.through([near], request)).toEqual(['REPLY in 1 1:fd09::10 1:fd0a::/56'])
    // The way to the prefix is the relay's to know (RFC 8987).
    expect(w.stack.routes.some((r) => r.destination === 'fd0a::/56')).toBe(false)
    expect(w.server.leases.map((l) => [l.address, l.via])).toEqual([
      ['fd09::10', null],
      ['fd0a::/56', null],
    ])
    const renew = w.bytes(RENEW, { iaNa: [ia(1, 'fd09::10')], serverId: w.serverId }, DUID(1))
    expect(w.through([near], renew, 'ff05::1:3')).toEqual(['REPLY in 1 1:fd09::10'])
    expect(w.counters).toEqual({
      inSolicits: 1,
      inRequests: 1,
      inRenews: 1,
      inRelayForwards: 3,
      outAdvertises: 1,
      outReplies: 2,
      outRelayReplies: 3,
    })
  })

  it('believes the relay next to the client, or the next one that knows the link', () => {
    const w = new Server6World(FAR).byHand()
    expect(w.through([relay('fd09::1'), relay('fd00::9', 1)], solicit(w, 1))).toEqual(['ADVERTISE in 2 1:fd09::10'])
    expect(w.through([relay('::'), relay('fd09::1', 1)], solicit(w, 2))).toEqual(['ADVERTISE in 2 1:fd09::11'])
    expect(w.through([relay('fd00::9'), relay('fd09::1', 1)], solicit(w, 3))).toEqual(['ADVERTISE in 2 1:fd00::100'])
    // None knows: it is the link that we are on ourselves (RFC 6221).
    expect(w.through([relay('::')], solicit(w, 4))).toEqual(['ADVERTISE in 1 1:fd00::101'])
    expect(w.through([relay('fd77::1')], solicit(w, 5))).toEqual([])
    expect(w.counters.dropNoSubnet).toBe(1)
  })

  it('goes through as many as there can be, and no more (HOP_COUNT_LIMIT)', () => {
    const w = new Server6World(FAR).byHand()
    const row = (n: number): Dhcp6Relay[] =>
      Array.from({ length: n }, (_, i) => relay('fd09::1', i).set('interfaceId', Uint8Array.of(i)))
    expect(w.through(row(9), solicit(w))).toEqual(['ADVERTISE in 9 1:fd09::10'])
    expect([w.relayed!.hops, w.relayed!.get('interfaceId')]).toEqual([8, Uint8Array.of(8)])
    expect(w.through(row(10), solicit(w))).toEqual([])
    expect(w.counters.dropTooManyRelays).toBe(1)
  })

  it('knows clients by the link address that the relay saw (RFC 6939)', () => {
    const w = new Server6World({ ...FAR, reservations: [{ mac: '02:00:00:00:00:99', address: 'fd09::99' }] }).byHand()
    const near = relay('fd09::1').set('clientLinkLayer', Uint8Array.of(0, 1, 2, 0, 0, 0, 0, 0x99))
    expect(w.through([near], solicit(w, 1))).toEqual(['ADVERTISE in 1 1:fd09::99'])
    const odd = relay('fd09::1').set('clientLinkLayer', Uint8Array.of(0, 6, 2, 0, 0, 0, 0, 0x99))
    expect(w.through([odd], solicit(w, 2))).toEqual(['ADVERTISE in 1 1:fd09::10'])
  })

  it('answers at the port that the relay asks from if that says so (RFC 8357), and gives back what it wants to have back (RFC 4994)', () => {
    const w = new Server6World(FAR).byHand()
    const near = relay('fd09::1').set('relayPort', 0).set('subscriberId', Uint8Array.of(3)).set('echoRequest', [38, 9])
    const socket = w.other.udp.open({ onReadable: () => undefined }, { family: 6 })
    socket.bind('::', 5470)
    const bytes = w.wrapped([near], solicit(w))
    socket.send(bytes, 0, bytes.length, address('fd00::1'), 547)
    w.world.run(20)
    expect([socket.readable, w.said]).toEqual([1, []])
    w.through([near.set('relayPort', 0)], solicit(w))
    expect([w.relayed!.get('subscriberId'), w.relayed!.get('relayPort')]).toEqual([Uint8Array.of(3), 0])
  })

  it('cuts what is malformed inside of what is not', () => {
    const w = new Server6World(FAR).byHand()
    expect(w.through([relay('fd09::1')], new Uint8Array(0))).toEqual([])
    expect(w.through([relay('fd09::1')], Uint8Array.of(SOLICIT, 0, 0, 1, 0, 1))).toEqual([])
    expect(w.through([new Dhcp6Relay(RELAY_REPL, 0, ANY, ANY)], solicit(w))).toEqual([])
    expect(w.counters).toEqual({ dropMalformed: 2, dropUnknownType: 1 })
  })

  it('says nothing that would not fit into a datagram', () => {
    const many = Array.from({ length: 3000 }, (_, i) => `fd00::${i.toString(16)}`)
    const w = new Server6World({ ...FAR, options: { dnsServers: many, sipServers: many } }).byHand()
    expect(w.say(INFORMATION_REQUEST, { optionRequest: [22, 23] })).toEqual([])
    expect(w.counters.dropTooLong).toBe(1)
    expect(w.say(INFORMATION_REQUEST, { optionRequest: [23] })).toEqual(['REPLY'])
    expect(w.last.get('dnsServers')?.length).toBe(3000)
  })

  it('survives any bytes, and anything changed in what is well formed', () => {
    const w = new Server6World({ ...FAR, prefixes: ['fd0b::/48-56'] }).byHand()
    const ask = { iaNa: [ia(1, 'fd00::100')], iaPd: [pd(2, 'fd0b::/56')], iaTa: [{ iaid: 1, options: {} }], optionRequest: [23] }
    const serverId = parseDuid(w.server.duid)!
    const direct = [SOLICIT, REQUEST, 4, RENEW, 6, 8, 9].map((type) => w.bytes(type, { ...ask, serverId }, DUID(1)))
    const relayed = w.wrapped([relay('fd09::1'), relay('fd00::9', 1)], direct[0])
    const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.nat(7), change, fc.nat(), (which, changes, cut) => {
        const bytes = (direct[which] ?? relayed).slice()
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        w.post(cut % 3 === 0 ? bytes.subarray(0, cut % (bytes.length + 1)) : bytes)
        w.world.run(1)
      }),
      { numRuns: runs(400), seed: 8 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        w.post(bytes)
        w.world.run(1)
      }),
      { numRuns: runs(200), seed: 8 },
    )
    w.world.run(100)
    w.said.length = 0
    expect(w.server.leases.length).toBeLessThan(60)
    expect(w.say(SOLICIT, { iaNa: [ia(77)] }, DUID(9))[0]).toMatch(/^ADVERTISE 77:fd00::1/)
  })
})
