/** What is no message: each thing that sections 7.1 and 8.1 of RFC 4861 and RFC 6980 refuse has a counter, and changes nothing. */
import { describe, expect, it, test } from 'vitest'
import { Prefix } from '../../src/base/address.ts'
import { randomBelow, SeededRandom } from '../../src/base/random.ts'
import { NdOptions } from '../../src/nd/options.ts'
import { OUR_MAC, PEER_MAC } from '../support/arp-world.ts'
import { groupOf, HEADERS, type Heard, NA, NdWorld, ndFrame, O, REDIRECT, S, sealed } from '../support/nd-world.ts'

const sll = [`sll ${PEER_MAC}`]
const advertisement: Heard = { type: NA, from: 'fd00::1', to: 'fd00::2', target: 'fd00::1', options: [`tll ${PEER_MAC}`] }
const redirect: Heard = { type: REDIRECT, from: 'fe80::1', to: 'fd00::2', target: 'fe80::9', destination: 'fd99::1' }

describe('dropped, and counted', () => {
  it.each<[string, Heard, string]>([
    ['a solicitation that a router has touched', { hopLimit: 254 }, 'dropHopLimit'],
    ['an advertisement that a router has touched', { ...advertisement, hopLimit: 64 }, 'dropHopLimit'],
    ['a redirect that a router has touched', { ...redirect, hopLimit: 64 }, 'dropHopLimit'],
    ['another code', { code: 1 }, 'dropCode'],
    ['less than 24 bytes', { raw: [], cut: 1 }, 'dropTooShort'],
    ['a redirect of less than 40 bytes', { ...redirect, raw: [], cut: 8 }, 'dropTooShort'],
    ['an option of length 0 (4.6)', { raw: [1, 0, 0, 0, 0, 0, 0, 0] }, 'dropOptions'],
    ['an option of length 0 behind others', { raw: [99, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0] }, 'dropOptions'],
    ['an option that ends beyond the message', { raw: [1, 2, 0, 0, 0, 0, 0, 0] }, 'dropOptions'],
    ['half an option', { raw: [1, 1, 0, 0] }, 'dropOptions'],
    ['a link address that is a group', { options: ['sll 33:33:00:00:00:01'] }, 'dropLinkAddress'],
    ['a link address that is nobody', { options: ['sll 00:00:00:00:00:00'] }, 'dropLinkAddress'],
    ['a target that is a group', { target: 'ff02::1', to: 'fd00::2' }, 'dropTarget'],
    ['an advertisement of a group', { ...advertisement, target: 'ff02::1' }, 'dropTarget'],
    ['a question from nobody to everybody', { from: '::', to: 'ff02::1', options: [] }, 'dropUnspecifiedSource'],
    ['a question from nobody that has a link address', { from: '::', options: sll }, 'dropUnspecifiedSource'],
    ['an answer to a question, for everybody', { ...advertisement, to: 'ff02::1', flags: S | O }, 'dropSolicitedMulticast'],
    ['our own link address, of somebody', { ...advertisement, options: [`tll ${OUR_MAC}`] }, 'dropOwnSource'],
    ['a redirect from a global address', { ...redirect, from: 'fd00::1' }, 'dropRedirectSource'],
    ['a redirect for a group', { ...redirect, destination: 'ff0e::1' }, 'dropRedirectDestination'],
    ['a redirect to what is neither a router nor the destination', { ...redirect, target: 'fd00::9' }, 'dropRedirectTarget'],
    ['a redirect from who is not our router', redirect, 'dropRedirect'],
  ])('%s', (_, words, counter) => {
    const w = new NdWorld()
    const before = w.counters()
    w.hearNd(words)
    expect(w.taken()).toEqual([])
    expect(w.nd.neighbors.size).toBe(0)
    const { inNeighborAdvertisements: _in, ...after } = w.counters()
    expect(after).toEqual({ ...before, [counter]: 1 })
  })

  test('what came in fragments (RFC 6980)', () => {
    const w = new NdWorld()
    const input = w.discovery.icmp6Input.bind(w.discovery)
    w.discovery.icmp6Input = (packet) => {
      packet.reassembled = true
      input(packet)
    }
    w.hearNd()
    expect(w.taken()).toEqual([])
    expect(w.counters()).toMatchObject({ dropFragmented: 1 })
  })

  test('all of it from a link without neighbours', () => {
    const w = new NdWorld()
    w.discovery.detach(w.iface)
    w.iface.groups.join(w.at(groupOf('fd00::2')))
    w.hearNd()
    expect(w.taken()).toEqual([])
    expect(w.counters()).toMatchObject({ dropNoLinkLayer: 1 })
  })
})

describe('options', () => {
  const read = (...bytes: number[]): NdOptions | null => {
    const options = new NdOptions()
    return options.read(Uint8Array.from(bytes), 0, bytes.length) ? options : null
  }
  const unknown = [200, 1, 1, 2, 3, 4, 5, 6]

  test('unknown ones are skipped, the first of those that stand once counts', () => {
    const o = read(...unknown, 1, 1, 2, 0, 0, 0, 0, 1, 1, 1, 2, 0, 0, 0, 0, 9, 5, 1, 0, 0, 0, 0, 5, 0)!
    expect([o.hasSource, o.sourceHigh, o.sourceLow, o.hasTarget, o.mtu]).toEqual([true, 0x200, 1, false, 1280])
  })

  test('one that is shorter than its type needs is as good as not there', () => {
    const o = read(
      3,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      25,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      31,
      1,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      2,
      ...new Array<number>(14).fill(0),
    )!
    expect([o.prefixes.count, o.rdnss.count, o.dnssl.count, o.hasSource]).toEqual([0, 0, 0, false])
  })

  test('of those that may stand often sixteen are remembered', () => {
    const prefix = [3, 4, ...new Array<number>(30).fill(0)]
    const o = read(...new Array<number[]>(40).fill(prefix).flat())!
    expect([o.prefixes.count, o.prefixes.at[15]]).toEqual([16, 15 * 32])
    expect(read(...unknown, 3)).toBeNull()
  })

  test('nothing is left of the message before', () => {
    const options = new NdOptions()
    options.read(Uint8Array.of(1, 1, 1, 0, 0, 0, 0, 1), 0, 8)
    expect([options.hasSource, options.badLinkAddress]).toEqual([true, true])
    expect(options.read(new Uint8Array(0), 0, 0)).toBe(true)
    expect([options.hasSource, options.badLinkAddress]).toEqual([false, false])
  })
})

describe('redirects (8.3)', () => {
  function routed(): NdWorld {
    const w = new NdWorld()
    const prefix = new Prefix(w.at('::'), 0)
    w.ip.routes.add({ prefix, gateway: w.at('fe80::1'), iface: w.iface, metric: 0, source: null, origin: 'static' })
    w.ip.changed()
    return w
  }
  const wayTo = (w: NdWorld, text: string): string => `${w.ip.routes.lookup(w.at(text), null)?.gateway ?? 'on-link'}`

  test('another router: the way to that host, and its link address', () => {
    const w = routed()
    w.hearNd({ ...redirect, options: [`tll ${PEER_MAC}`] })
    expect([wayTo(w, 'fd99::1'), wayTo(w, 'fd99::2')]).toEqual(['fe80::9%1', 'fe80::1%1'])
    expect(w.entry('fe80::9')).toBe(`STALE ${PEER_MAC} R`)
    w.advance(600_000)
    expect(wayTo(w, 'fd99::1')).toBe('fe80::1%1')
  })

  test('the destination itself: it is on the link', () => {
    const w = routed()
    w.hearNd({ ...redirect, target: 'fd99::1', options: [`tll ${PEER_MAC}`] })
    expect(wayTo(w, 'fd99::1')).toBe('on-link')
    expect(w.entry('fd99::1')).toBe(`STALE ${PEER_MAC}`)
  })

  test('a router is not told, nor who does not want to be', () => {
    const w = routed()
    w.iface.forwarding6 = true
    w.hearNd(redirect)
    w.iface.forwarding6 = false
    w.nd.config.acceptRedirects = false
    w.hearNd(redirect)
    expect(wayTo(w, 'fd99::1')).toBe('fe80::1%1')
    expect(w.counters()).toMatchObject({ dropRedirect: 2 })
  })

  test('a flood of them takes a bounded place', () => {
    const w = routed()
    for (let i = 0; i < 300; i++) w.hearNd({ ...redirect, destination: `fd99::${i.toString(16)}` })
    expect(w.discovery.redirects.size).toBeLessThanOrEqual(64)
  })
})

test('whatever is changed in a message, nothing is thrown and little is remembered', () => {
  const w = new NdWorld({ advertisementsPerSecond: 50 })
  const random = new SeededRandom(5)
  const options = [`sll ${PEER_MAC}`, 'nonce 010203040506', `tll ${PEER_MAC}`]
  const frames = [{ options }, { ...advertisement, options }, { ...redirect, options }].map((words) => ndFrame(words))
  for (let i = 0; i < 3_000; i++) {
    const frame = frames[i % 3].slice()
    for (let changes = randomBelow(random, 4); changes >= 0; changes--) {
      frame[HEADERS + randomBelow(random, frame.length - HEADERS)] = random.int32()
    }
    w.hear(sealed(frame.subarray(0, frame.length - (i % 7 === 0 ? 8 * randomBelow(random, 4) : 0))))
  }
  w.advance(10_000)
  expect(w.nd.neighbors.size).toBeLessThanOrEqual(w.nd.config.maxEntries)
  expect(w.icmp6.counters.snapshot(true).icmp6InCsumErrors).toBeUndefined()
  expect(Object.keys(w.counters())).toEqual(expect.arrayContaining(['dropOptions', 'dropCode', 'dropLinkAddress']))
})
