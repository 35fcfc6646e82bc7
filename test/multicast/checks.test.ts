/** What is believed of what comes: RFC 3376 sections 4, 7.1 and 9.1, RFC 3810 sections 5.1, 6.2 and 8.1. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { timeOf } from '../../src/multicast/wire.ts'
import { type Asking, type Family, GroupWorld, V4, V6 } from '../support/group-world.ts'

function member(f: Family): GroupWorld {
  const w = new GroupWorld(f)
  w.socket().joinGroup(f.groups[0])
  w.take(5000)
  return w
}

describe.each<[string, Family, [string, Asking, string][]]>([
  [
    'IGMP',
    V4,
    [
      ['that came through a router', { hops: 2 }, 'igmpDropTtl'],
      ['without Router Alert', { alert: false }, 'igmpDropNoRouterAlert'],
      ['without Router Alert, of version 2', { alert: false, version: 2 }, 'igmpDropNoRouterAlert'],
      ['about all groups, to one of them', { to: '239.1.2.3' }, 'igmpDropDestination'],
      ['about what is no group', { group: '10.0.0.7', to: '224.0.0.1' }, 'igmpDropGroup'],
    ],
  ],
  [
    'MLD',
    V6,
    [
      ['that came through a router', { hops: 2 }, 'mldDropHopLimit'],
      ['without Router Alert', { alert: false }, 'mldDropNoRouterAlert'],
      ['of version 1 without it', { alert: false, version: 1 }, 'mldDropNoRouterAlert'],
      ['from far away', { from: 'fd00::1' }, 'mldDropSource'],
      ['about all groups, to one of them', { to: 'ff15::1:2:3' }, 'mldDropDestination'],
      ['about what is no group', { group: 'fd00::7', to: 'ff02::1' }, 'mldDropGroup'],
    ],
  ],
])('%s: a query', (_name, f, cases) => {
  it.each(cases)('%s is dropped and counted', (_what, asking, counter) => {
    const w = member(f)
    const before = w.counters()
    w.ask(asking)
    expect(w.take(60_000)).toEqual([])
    const after = w.counters()
    expect(after[counter]).toBe(1)
    expect(after[f.family === 4 ? 'igmpInQueries' : 'mldInQueries']).toBeUndefined()
    expect(before[counter]).toBeUndefined()
  })

  it('about one group may go to all hosts, to the group, or to us alone', () => {
    const w = member(f)
    for (const to of [f.allHosts, f.groups[0], f.family === 4 ? '10.0.0.2' : 'fe80::2']) {
      w.ask({ group: f.groups[0], to })
      expect(w.words(60_000)).toEqual([`IS_EX ${f.groups[0]} {}`])
    }
  })

  it('is believed from a switch that has no address, where the family allows it (RFC 4541 section 2.1.1)', () => {
    const w = member(f)
    w.ask({ from: f.family === 4 ? '0.0.0.0' : '::' })
    expect(w.words(60_000)).toEqual(f.family === 4 ? [`IS_EX ${f.groups[0]} {}`] : [])
  })

  it('cut anywhere, or with any bit wrong, is harmless', () => {
    const whole = f.query({ group: f.groups[0], sources: f.sources })
    const w = member(f)
    for (let length = 1; length < whole.length; length++) w.send(whole.subarray(0, length))
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
        const bad = Buffer.from(whole)
        bad[at] ^= bits
        w.send(bad)
      }),
      { numRuns: 200 },
    )
    w.take(60_000)
    w.ask()
    expect(w.take(60_000)).toHaveLength(1)
  })
})

it('lengths tell the version; others are no query (RFC 3376 section 7.1, RFC 3810 section 8.1)', () => {
  const w4 = member(V4)
  const head = V4.query({ version: 2 })
  for (const length of [9, 11]) {
    const body = Buffer.concat([head.subarray(24), Buffer.alloc(length - 8)])
    body.writeUInt16BE(0, 2)
    let sum = 0
    for (let i = 0; i < body.length; i += 2) sum += (body[i] << 8) | (body[i + 1] ?? 0)
    body.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 2)
    const packet = Buffer.concat([head.subarray(0, 24), body])
    packet.writeUInt16BE(packet.length, 2)
    packet.writeUInt16BE(0, 10)
    let header = 0
    for (let i = 0; i < 24; i += 2) header += packet.readUInt16BE(i)
    packet.writeUInt16BE(~((header & 0xffff) + (header >>> 16)) & 0xffff, 10)
    w4.send(packet)
  }
  expect(w4.counters()).toMatchObject({ igmpInMsgs: 2, igmpDropLength: 2 })
})

it('reports of others: those of older versions about the group that they were sent to, the rest is for routers', () => {
  const w = member(V4)
  w.send(V4.oldReport(2, V4.groups[0]))
  w.send(V4.oldReport(1, V4.groups[0]))
  const strange = V4.oldReport(2, V4.groups[0])
  strange.writeUInt32BE(0xe0000063, 28)
  strange.writeUInt16BE(0, 26)
  let sum = 0
  for (let i = 24; i < 32; i += 2) sum += strange.readUInt16BE(i)
  strange.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 26)
  w.send(strange)
  expect(w.counters()).toMatchObject({ igmpInMsgs: 3, igmpInReports: 2, igmpDropGroup: 1 })
})

it('reports of MLD come from the link, or from nobody (RFC 2710 section 4, RFC 3590 section 4)', () => {
  const w = member(V6)
  for (const from of ['fe80::9', '::', 'fd00::1']) w.send(V6.oldReport(1, V6.groups[0], from))
  expect(w.counters()).toMatchObject({ mldInReports: 2, mldDropSource: 1 })
})

describe('times as codes', () => {
  it.each([
    [0, 8, 0],
    [127, 8, 127],
    [128, 8, 128],
    [0x8f, 8, 31 << 3],
    [255, 8, 31 << 10],
    [0x7fff, 16, 32767],
    [0x8000, 16, 32768],
    [0xffff, 16, 8191 << 10],
  ] as [number, 8 | 16, number][])('%i in %i bits is %i', (code, bits, time) => {
    expect(timeOf(code, bits)).toBe(time)
  })
})
