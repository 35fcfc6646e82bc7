import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { leaseOf } from '../../src/dhcp/lease.ts'
import { ACK, BOOTREPLY, DhcpMessage, optionBytes, readMessage, writeMessage } from '../../src/dhcp/message.ts'
import { readNames, writeNames } from '../../src/dhcp/names.ts'
import { OPTIONS, type OptionKind, type OptionName, type OptionValues } from '../../src/dhcp/options.ts'
import { readValue, writeValue } from '../../src/dhcp/values.ts'
import { DHCP_HEADER } from '../../src/dhcp/wire.ts'
import { runs } from '../support/runs.ts'

const ip = fc.ipV4()
const word = fc.stringMatching(/^[a-z0-9-]{1,12}$/)
const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((l) => l.join('.'))
const bytes = fc.uint8Array({ maxLength: 40 })
const text = fc.stringMatching(/^[ -~]{1,300}$/).filter((t) => t.length > 0)
const inner = fc.dictionary(fc.integer({ min: 1, max: 254 }).map(String), fc.uint8Array({ maxLength: 20 }), {
  noNullPrototype: true,
})

const ANY: { [K in OptionKind]: fc.Arbitrary<unknown> } = {
  ip,
  ips: fc.array(ip, { minLength: 1, maxLength: 80 }),
  u8: fc.nat(255),
  u16: fc.nat(65535),
  u32: fc.nat(0xffffffff),
  i32: fc.integer(),
  bool: fc.boolean(),
  flag: fc.constant(true),
  text,
  u16s: fc.array(fc.nat(65535), { minLength: 1, maxLength: 5 }),
  domains: fc.array(name, { minLength: 1, maxLength: 6 }),
  routes: fc.array(
    fc.record({
      destination: fc.constantFrom('0.0.0.0/0', '10.0.0.0/8', '10.229.0.128/25', '10.17.0.0/16', '10.1.2.3/32'),
      gateway: ip,
    }),
    {
      minLength: 1,
      maxLength: 5,
    },
  ),
  pairs: fc.array(fc.tuple(ip, ip), { minLength: 1, maxLength: 4 }),
  codes: fc.array(fc.nat(255), { minLength: 1, maxLength: 30 }),
  fqdn: fc.record({ flags: fc.constantFrom(0, 1, 4, 5), name }),
  inner,
  bytes,
}

const values = fc
  .subarray(Object.keys(OPTIONS).filter((n) => n !== 'overload') as OptionName[], { maxLength: 12 })
  .chain((names) => fc.record(Object.fromEntries(names.map((n) => [n, ANY[OPTIONS[n].kind]]))))
  .map((v) => v as OptionValues)

function messageWith(options: Map<number, Uint8Array>): DhcpMessage {
  const m = new DhcpMessage()
  m.op = BOOTREPLY
  m.xid = 0x12345678
  m.chaddr = Uint8Array.of(2, 0, 0, 0, 0, 5)
  for (const [code, b] of options) m.options.set(code, b)
  return m
}

/** Raw options behind a header. */
function raw(options: readonly number[], change: (buf: Uint8Array) => void = () => undefined): DhcpMessage {
  const buf = new Uint8Array(2000)
  const length = writeMessage(messageWith(new Map()), buf, 0, 1472)
  buf.fill(0, DHCP_HEADER, length)
  buf.set(options, DHCP_HEADER)
  change(buf)
  return readMessage(buf, 0, DHCP_HEADER + options.length)!
}

describe('options', () => {
  it('come back as they were, whatever fits', () => {
    fc.assert(
      fc.property(values, (v) => {
        const buf = new Uint8Array(1600)
        const m = messageWith(optionBytes(v))
        const leftOut: number[] = []
        const length = writeMessage(m, buf, 4, 1472, leftOut)
        expect(length).toBeLessThanOrEqual(1472)
        const back = readMessage(buf, 4, 4 + length)!
        expect(back.malformed).toBe(0)
        for (const code of leftOut) m.options.delete(code)
        expect([...back.options.keys()].filter((c) => c !== 52).sort()).toEqual([...m.options.keys()].sort())
        for (const [code, b] of m.options) expect([...back.options.get(code)!]).toEqual([...b])
      }),
      { numRuns: runs(150) },
    )
  })

  it('come back as values', () => {
    fc.assert(
      fc.property(values, (v) => {
        for (const [n, value] of Object.entries(v)) {
          const known = n as OptionName
          const back = readValue(known, writeValue(known, value as never))
          if (OPTIONS[known].kind === 'text') expect(`${back}`).toBe(value)
          else expect(back).toEqual(value)
        }
      }),
      { numRuns: runs(150) },
    )
  })

  it('are written as RFC 3442, RFC 3397 and RFC 4702 show them', () => {
    expect([...writeValue('classlessRoutes', [{ destination: '10.229.0.128/25', gateway: '10.0.0.1' }])]).toEqual([
      25, 10, 229, 0, 128, 10, 0, 0, 1,
    ])
    expect([...writeValue('classlessRoutes', [{ destination: '0.0.0.0/0', gateway: '10.0.0.1' }])]).toEqual([0, 10, 0, 0, 1])
    const search = [...writeValue('domainSearch', ['eng.apple.com', 'marketing.apple.com'])]
    const ascii = (s: string): number[] => [s.length, ...[...s].map((c) => c.charCodeAt(0))]
    expect(search).toEqual([...ascii('eng'), ...ascii('apple'), ...ascii('com'), 0, ...ascii('marketing'), 0xc0, 4])
    expect([...writeValue('clientFqdn', { flags: 5, name: 'a.b' })]).toEqual([5, 0, 0, 1, 97, 1, 98, 0])
  })

  it('of the wrong length are no values', () => {
    for (const [n, b] of [
      ['subnetMask', [255, 255]],
      ['routers', [10, 0, 0]],
      ['leaseTime', [0, 0, 1]],
      ['interfaceMtu', [5]],
      ['classlessRoutes', [33, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
      ['classlessRoutes', [24, 10, 0]],
      ['domainSearch', [3, 97]],
      ['hostName', [0, 0]],
      ['relayAgentInformation', [1, 9, 1]],
      ['parameterRequestList', []],
    ] as [OptionName, number[]][]) {
      expect(readValue(n, Uint8Array.from(b)), n).toBe(null)
    }
    expect(() => writeValue('leaseTime', 2 ** 32)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    expect(() => optionBytes({ 300: Uint8Array.of(1) })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  it('in several pieces are one (RFC 3396), in options, then file, then sname (RFC 2131 section 4.1)', () => {
    const m = raw([53, 1, 5, 52, 1, 3, 12, 2, 97, 98, 255], (buf) => {
      buf.set([12, 1, 99, 255], 108)
      buf.set([12, 1, 100, 15, 1, 120, 255], 44)
    })
    expect([m.get('hostName'), m.get('domainName'), m.file, m.sname]).toEqual(['abcd', 'x', '', ''])
    const long = 'x'.repeat(700)
    const buf = new Uint8Array(1472)
    const length = writeMessage(messageWith(optionBytes({ rootPath: long })), buf, 0, 1472)
    expect(readMessage(buf, 0, length)!.get('rootPath')).toBe(long)
  })

  it('overflow into file and sname, and no further', () => {
    const options = optionBytes({
      routers: Array.from({ length: 70 }, () => '10.0.0.1'),
      domainName: 'x'.repeat(100),
      hostName: 'y'.repeat(50),
      rootPath: 'z'.repeat(200),
    })
    const buf = new Uint8Array(600)
    const leftOut: number[] = []
    const length = writeMessage(messageWith(options), buf, 0, 548, leftOut)
    const back = readMessage(buf, 0, length)!
    expect([back.get('overload'), back.get('domainName')?.length, back.get('hostName')?.length, leftOut]).toEqual([
      3,
      100,
      50,
      [17],
    ])
  })

  it('that run beyond the message are cut, and counted; an end that is forgotten is no harm', () => {
    expect(raw([53, 1, 5, 12, 200, 97]).malformed).toBe(1)
    expect(raw([53, 1, 5, 12]).malformed).toBe(1)
    const m = raw([53, 1, 5])
    expect([m.malformed, m.type]).toEqual([0, 5])
    expect(raw([0, 0, 53, 1, 5, 255, 53, 1, 2]).type).toBe(5)
  })

  it('with control characters are harmless text', () => {
    expect(raw([12, 4, 97, 10, 27, 98, 255]).get('hostName')).toBe('a??b')
    expect(readNames(Uint8Array.of(3, 97, 10, 98, 0))).toBe(null)
  })
})

describe('names', () => {
  it('come back, compressed', () => {
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 8 }), (list) => {
        expect(readNames(writeNames(list)!)).toEqual(list)
      }),
      { numRuns: runs(100) },
    )
  })

  it('that lead in circles, forward, or nowhere are none', () => {
    for (const b of [[0xc0, 0], [1, 97, 0xc0, 0], [0xc0, 5, 0], [1, 97], [64, 1], [0xc0], [1, 97, 0xc0, 2]]) {
      expect(readNames(Uint8Array.from(b)), `${b}`).toBe(null)
    }
    const chain = [1, 97, 0]
    for (let i = 0; i < 200; i++) chain.push(0xc0, i === 0 ? 0 : (3 + 2 * (i - 1)) & 255)
    expect(() => readNames(Uint8Array.from(chain))).not.toThrow()
  })
})

describe('bytes from anywhere', () => {
  it('are a message or none, and never an error', () => {
    const header = new Uint8Array(1472)
    writeMessage(messageWith(new Map()), header, 0, 1472)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(1), fc.nat(3), (noise, whole, overload) => {
        const buf = new Uint8Array(DHCP_HEADER + 3 + noise.length)
        buf.set(whole === 1 ? header.subarray(0, DHCP_HEADER) : noise.subarray(0, DHCP_HEADER))
        buf.set([52, 1, overload], DHCP_HEADER)
        buf.set(noise, DHCP_HEADER + 3)
        if (overload !== 0) buf.set(noise.subarray(0, 190), 44)
        const m = readMessage(buf, 0, buf.length)
        if (m === null) return
        m.values()
        m.set('messageType', ACK)
        leaseOf(m, { since: 0, defaultSeconds: 3600, fuzz: 0 })
        const out = new Uint8Array(1500)
        expect(writeMessage(m, out, 0, 1472)).toBeLessThanOrEqual(1472)
      }),
      { numRuns: runs(500) },
    )
  })

  it('too short, of another cookie, or of a strange kind are no message', () => {
    const buf = new Uint8Array(400)
    const length = writeMessage(messageWith(new Map()), buf, 0, 400)
    expect(length).toBe(300)
    expect(readMessage(buf, 0, DHCP_HEADER - 1)).toBe(null)
    for (const [at, value] of [
      [236, 0],
      [0, 3],
      [2, 17],
    ]) {
      const bad = buf.slice()
      bad[at] = value
      expect(readMessage(bad, 0, length)).toBe(null)
    }
  })
})
