import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Address, address } from '../../src/base/address.ts'
import { hex } from '../../src/base/bytes.ts'
import { Dhcp6Message, Dhcp6Relay, readMessage6, readRelay6, writeMessage6 } from '../../src/dhcp6/message.ts'
import { isMany, OPTIONS6, type Option6Kind, type Option6Name, type Option6Values, option6Code } from '../../src/dhcp6/options.ts'
import { plainOptions, rawOptions, readValue6, writeOptions, writeValue6 } from '../../src/dhcp6/values.ts'
import {
  DHCP6,
  DHCP6_HEADER,
  DHCP6_RELAY,
  DHCP6_RELAY_HEADER,
  dhcp6Message,
  dhcp6Relay,
  isDhcp6,
  RELAY_FORW,
  REPLY,
  SOLICIT,
} from '../../src/dhcp6/wire.ts'
import { runs } from '../support/runs.ts'

const ip = fc
  .tuple(fc.integer({ min: 0x2000, max: 0xffff }), fc.integer(), fc.integer(), fc.integer())
  .map(([top, a, b, c]) => `${new Address((top << 16) | (a & 0xffff), a, b, c)}`)
const u32 = fc.nat(0xffffffff)
const word = fc.stringMatching(/^[a-z0-9-]{1,12}$/)
const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((l) => l.join('.'))
const bytes = fc.uint8Array({ maxLength: 40 })
const text = fc.stringMatching(/^[ -~]{1,200}$/).filter((t) => t.length > 0)
const pieces = fc.array(bytes, { minLength: 1, maxLength: 4 })
const inner = fc.dictionary(fc.nat(0xffff).map(String), bytes, { noNullPrototype: true, maxKeys: 4 })
const status = fc.record({ code: fc.nat(6), message: fc.oneof(fc.constant(''), text) })
const withStatus = fc.oneof(fc.constant({}), fc.record({ status }))
const lifetimes = { preferred: u32, valid: u32 }
const iaAddress = fc.record({ address: ip, ...lifetimes, options: withStatus })
const iaPrefix = fc.record({
  prefix: fc.constantFrom('2001:db8::/32', '2001:db8:1:200::/56', 'fd00:1:2:3::/64', '::/48', '2001:db8::7/128'),
  ...lifetimes,
  options: withStatus,
})
const association = fc.record({
  iaid: u32,
  t1: u32,
  t2: u32,
  options: fc.oneof(
    withStatus,
    fc.record({ iaAddress: fc.array(iaAddress, { minLength: 1, maxLength: 3 }), status }),
    fc.record({ iaPrefix: fc.array(iaPrefix, { minLength: 1, maxLength: 3 }) }),
  ),
})

const ANY: { [K in Option6Kind]: fc.Arbitrary<unknown> } = {
  ip,
  ips: fc.array(ip, { minLength: 1, maxLength: 8 }),
  u8: fc.nat(255),
  u16: fc.nat(65535),
  u32,
  flag: fc.constant(true),
  text,
  u16s: fc.array(fc.nat(65535), { minLength: 1, maxLength: 5 }),
  domains: fc.array(name, { minLength: 1, maxLength: 6 }),
  domain: name,
  pieces,
  bytes,
  duid: fc.uint8Array({ minLength: 3, maxLength: 130 }),
  association,
  temporary: fc.record({ iaid: u32, options: withStatus }),
  iaAddress,
  iaPrefix,
  status,
  fqdn: fc.record({
    flags: fc.constantFrom(0, 1, 4, 5),
    name: fc.oneof(
      name,
      name.map((n) => `${n}.`),
      fc.constant(''),
    ),
  }),
  vendorClass: fc.record({ enterprise: u32, data: pieces }),
  vendorOptions: fc.record({ enterprise: u32, options: inner }),
  remoteId: fc.record({ enterprise: u32, id: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
  ntp: fc.oneof(fc.record({ address: ip }), fc.record({ multicast: ip }), fc.record({ name })),
}

const values = fc
  .subarray(Object.keys(OPTIONS6) as Option6Name[], { maxLength: 10 })
  .chain((names) =>
    fc.record(
      Object.fromEntries(
        names.map((n) => {
          const one = ANY[OPTIONS6[n].kind]
          return [n, isMany(n) ? fc.array(one, { minLength: 1, maxLength: 3 }) : one]
        }),
      ),
    ),
  )
  .map((v) => v as Option6Values)

/** A message with these bytes behind its header. */
function raw(...options: number[]): Dhcp6Message | string {
  const buf = Uint8Array.of(REPLY, 1, 2, 3, ...options)
  return readMessage6(buf, 0, buf.length)
}

describe('messages (RFC 8415 sections 8 and 9)', () => {
  it('have their fields where the RFC has them', () => {
    expect([DHCP6.type, DHCP6.transactionId, DHCP6_HEADER]).toEqual([0, 1, 4])
    expect([DHCP6_RELAY.hops, DHCP6_RELAY.linkAddress, DHCP6_RELAY.peerAddress, DHCP6_RELAY_HEADER]).toEqual([1, 2, 18, 34])
    const buf = new Uint8Array(100)
    const m = new Dhcp6Message(SOLICIT, 0xabcdef)
    expect(writeMessage6(m, buf, 0, 100)).toBe(4)
    expect(dhcp6Message.decode(Buffer.from(buf))).toEqual({ type: SOLICIT, transactionId: 0xabcdef })
    const relay = new Dhcp6Relay(RELAY_FORW, 3, address('2001:db8::1'), address('fe80::5'))
    expect(writeMessage6(relay, buf, 0, 100)).toBe(34)
    const { hops, linkAddress, peerAddress } = dhcp6Relay.decode(Buffer.from(buf))
    expect(hops).toBe(3)
    expect(hex(linkAddress as Uint8Array)).toBe('20010db8000000000000000000000001')
    expect(hex(peerAddress as Uint8Array)).toBe('fe800000000000000000000000000005')
  })

  it('come back as they were', () => {
    fc.assert(
      fc.property(values, fc.nat(0xffffff), (v, xid) => {
        const m = new Dhcp6Message(REPLY, xid, rawOptions(v))
        const buf = new Uint8Array(70_000)
        const length = writeMessage6(m, buf, 7, 65_000)
        const back = readMessage6(buf, 7, 7 + length)
        if (typeof back === 'string') throw new Error(back)
        expect([back.type, back.xid]).toEqual([REPLY, xid])
        expect(back.values()).toEqual(v)
      }),
      { numRuns: runs(120) },
    )
  })

  it('of relays hold messages', () => {
    const buf = new Uint8Array(300)
    const length = writeMessage6(new Dhcp6Message(SOLICIT, 7).set('elapsedTime', 500), buf, 0, 300)
    const outer = new Dhcp6Relay(RELAY_FORW, 0, address('2001:db8::1'), address('fe80::5'))
      .set('interfaceId', Uint8Array.of(9))
      .set('relayMessage', buf.slice(0, length))
    const total = writeMessage6(outer, buf, 0, 300)
    const back = readRelay6(buf, 0, total)
    if (typeof back === 'string') throw new Error(back)
    expect([`${back.link}`, `${back.peer}`]).toEqual(['2001:db8::1', 'fe80::5'])
    const message = back.get('relayMessage')!
    const held = readMessage6(message, 0, message.length)
    expect(held).toBeInstanceOf(Dhcp6Message)
    expect((held as Dhcp6Message).get('elapsedTime')).toBe(500)
  })

  it('are not written where there is no room', () => {
    const m = new Dhcp6Message(SOLICIT, 1).set('userClass', [new Uint8Array(50)])
    const buf = new Uint8Array(60)
    expect(writeMessage6(m, buf, 0, 59)).toBe(-1)
    expect(writeMessage6(m, buf, 0, 60)).toBe(60)
  })

  it('that are none say why', () => {
    expect(readMessage6(new Uint8Array(3), 0, 3)).toBe('short')
    expect(readMessage6(Uint8Array.of(0, 0, 0, 0), 0, 4)).toBe('type')
    expect(readMessage6(Uint8Array.of(RELAY_FORW, 0, 0, 0), 0, 4)).toBe('type')
    expect(readRelay6(Uint8Array.of(SOLICIT, 0, 0, 0), 0, 4)).toBe('type')
    expect(readRelay6(Uint8Array.of(RELAY_FORW, 0, 0, 0), 0, 4)).toBe('short')
    expect(raw(0, 1, 0)).toBe('options')
    expect(raw(0, 14, 0, 0, 0, 8, 0, 3, 0, 0)).toBe('options')
    const relay = new Uint8Array(DHCP6_RELAY_HEADER + 5).fill(255)
    relay[0] = RELAY_FORW
    expect(readRelay6(relay, 0, relay.length)).toBe('options')
  })

  it('never throw, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(13), (b, type) => {
        if (b.length > 0) b[0] = type
        for (const m of [readMessage6(b, 0, b.length), readRelay6(b, 0, b.length)])
          if (typeof m !== 'string') expect(Object.keys(m.values()).length).toBeLessThanOrEqual(m.options.size)
      }),
    )
  })

  it('are known by their ports', () => {
    const ports = (source: number, destination: number): boolean =>
      isDhcp6(Uint8Array.of(source >> 8, source & 255, destination >> 8, destination & 255), 0)
    expect([ports(546, 547), ports(547, 546), ports(547, 547), ports(999, 547)]).toEqual([true, true, true, true])
    expect([ports(546, 53), ports(999, 546)]).toEqual([false, false])
  })
})

describe('options (RFC 8415 section 21)', () => {
  it('whose bytes are changed anywhere are read or left out, and what is read can be written again', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(values, changes, fc.nat(), (v, list, cut) => {
        const b = writeOptions(rawOptions(v))
        for (const [at, to] of list) if (b.length > 0) b[at % b.length] = to
        const whole = Uint8Array.of(REPLY, 0, 0, 1, ...b)
        const end = cut % 3 === 0 ? 4 + (cut % (b.length + 1)) : whole.length
        const m = readMessage6(whole, 0, end)
        if (typeof m === 'string') return
        const read = m.values()
        expect(plainOptions(rawOptions(read))).toEqual(read)
      }),
      { numRuns: runs(300) },
    )
  })

  it('are written as the RFCs show them', () => {
    expect([...writeValue6('optionRequest', [23, 24])]).toEqual([0, 23, 0, 24])
    expect([...writeValue6('domainSearch', ['a.b', 'c.b'])]).toEqual([1, 97, 1, 98, 0, 1, 99, 1, 98, 0])
    expect([...writeValue6('clientFqdn', { flags: 1, name: 'ab' })]).toEqual([1, 2, 97, 98])
    expect([...writeValue6('clientFqdn', { flags: 1, name: 'ab.c.' })]).toEqual([1, 2, 97, 98, 1, 99, 0])
    expect(hex(writeValue6('iaNa', { iaid: 1, t1: 2, t2: 3, options: { status: { code: 2, message: '' } } }))).toBe(
      '000000010000000200000003000d00020002',
    )
    const pd = {
      iaid: 5,
      t1: 0,
      t2: 0,
      options: { iaPrefix: [{ prefix: '2001:db8::/56', preferred: 1, valid: 2, options: {} }] },
    }
    expect(hex(writeValue6('iaPd', pd))).toBe(
      '000000050000000000000000001a0019000000010000000238' + '20010db8000000000000000000000000',
    )
    expect(hex(writeValue6('ntpServer', { address: '2001:db8::7' }))).toBe(`00010010${'20010db8000000000000000000000007'}`)
    expect(hex(writeValue6('vendorClass', { enterprise: 9, data: [Uint8Array.of(1)] }))).toBe('00000009000101')
  })

  it('that stand twice where there may be one say what the first says', () => {
    const m = raw(0, 7, 0, 1, 5, 0, 7, 0, 1, 6)
    expect((m as Dhcp6Message).get('preference')).toBe(5)
    expect((m as Dhcp6Message).values()).toEqual({ preference: 5 })
  })

  it('that are malformed are no values, and the others remain', () => {
    const m = raw(0, 7, 0, 2, 5, 6, 0, 14, 0, 0) as Dhcp6Message
    expect([m.get('preference'), m.has('preference'), m.values()]).toEqual([undefined, true, { rapidCommit: true }])
    for (const [n, b] of [
      ['dnsServers', new Array(15).fill(0)],
      ['dnsServers', []],
      ['clientId', [0, 1]],
      ['clientId', new Array(131).fill(1)],
      ['iaNa', new Array(11).fill(0)],
      ['iaPrefix', [0, 0, 0, 0, 0, 0, 0, 0, 129, ...new Array(16).fill(0)]],
      ['iaAddress', [...new Array(10).fill(0), 255, 255, 10, 0, 0, 1, ...new Array(8).fill(0)]],
      ['domainSearch', [1, 97, 0xc0, 0]],
      ['domainSearch', [3, 97, 0]],
      ['clientFqdn', [0, 1, 97, 0, 1, 98, 0]],
      ['userClass', [0, 5, 1]],
      ['status', [0]],
      ['ntpServer', [0, 1, 0, 4, 1, 2, 3, 4]],
      ['ntpServer', []],
      ['rapidCommit', [1]],
    ] as [Option6Name, number[]][])
      expect([n, readValue6(n, Uint8Array.from(b))]).toEqual([n, null])
  })

  it('are nested three deep and no deeper, whatever anybody sends', () => {
    const levels = 4000
    const b = new Uint8Array(16 * levels)
    for (let i = 0; i < levels; i++) {
      const left = 16 * (levels - i - 1)
      b.set([0, 3, left >> 8, left & 255], 16 * i + 12)
    }
    const flat = { iaid: 0, t1: 0, t2: 0 }
    expect(readValue6('iaNa', b)).toEqual({ ...flat, options: { iaNa: [{ ...flat, options: {} }] } })
  })

  it('that cannot be said are refused by name', () => {
    for (const v of [
      { dnsServers: ['10.0.0.1'] },
      { dnsServers: [] },
      { preference: 256 },
      { iaNa: { iaid: 1, t1: 0, t2: 0, options: {} } },
      { iaNa: [{ iaid: 1, t1: 0, t2: 0, options: { nonsense: 1 } }] },
      {
        iaPd: [{ iaid: 1, t1: 0, t2: 0, options: { iaPrefix: [{ prefix: '10.0.0.0/8', preferred: 0, valid: 0, options: {} }] } }],
      },
      { domainSearch: ['a..b'] },
      { clientId: new Uint8Array(131) },
      { nonsense: 1 },
      { 9999: 'text' },
    ])
      expect(() => rawOptions(v as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  it('are found by name and by number', () => {
    expect([option6Code('dnsServers'), option6Code('23'), option6Code('0'), option6Code('x'), option6Code('70000')]).toEqual([
      23, 23, -1, -1, -1,
    ])
    const codes = Object.values(OPTIONS6).map((o) => o.code)
    expect(new Set(codes).size).toBe(codes.length)
    expect([...rawOptions({ 9999: Uint8Array.of(1, 2) })]).toEqual([[9999, [Uint8Array.of(1, 2)]]])
  })
})
