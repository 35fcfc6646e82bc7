/** Duplicate address detection (RFC 4862 section 5.4, RFC 7527, RFC 4429) on one interface. */
import { describe, expect, test } from 'vitest'
import type { NdConfig } from '../../src/base/ipv6-config.ts'
import { AddressState, type InterfaceAddress } from '../../src/ip/interface.ts'
import { OTHER_MAC, OUR_MAC, PEER_MAC } from '../support/arp-world.ts'
import { groupMac, groupOf, NA, NdWorld, NS, O, S } from '../support/nd-world.ts'

const US = 'fd00::7'
const probe = { type: NS, mac: groupMac(US), from: '::', to: groupOf(US), target: US, flags: 0 }
const rivalProbe = { from: '::', target: US, options: ['nonce 010203040506'], frameFrom: OTHER_MAC }
const rivalAnswer = {
  type: NA,
  from: US,
  to: 'ff02::1',
  target: US,
  flags: O,
  options: [`tll ${OTHER_MAC}`],
  frameFrom: OTHER_MAC,
}

function added(probed = true, config: Partial<NdConfig> = {}, seed = 7): { w: NdWorld; mine: InterfaceAddress } {
  const w = new NdWorld(config, ['fe80::2/64'], seed)
  return { w, mine: w.give(`${US}/64`, probed) }
}

describe('without a probe', () => {
  test('an address is usable at once, and everybody is told', () => {
    const { w, mine } = added(false)
    expect([mine.state, w.ready.length]).toEqual([AddressState.PREFERRED, 1])
    w.advance(60_000)
    expect(w.takenNd()).toEqual([
      { at: 0, type: NA, mac: '33:33:00:00:00:01', from: US, to: 'ff02::1', target: US, flags: O, options: [`tll ${OUR_MAC}`] },
    ])
    expect(w.ready.map((r) => r.address)).toEqual(['fe80::2%1', US])
  })

  test('so it is when DupAddrDetectTransmits is 0', () => {
    const { w, mine } = added(true, { dadTransmits: 0 })
    w.advance(0)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.takenNd().map((m) => m.type)).toEqual([NA])
  })
})

describe('probing', () => {
  test('the group first, one question within a second, a second of quiet; then use, and routers are told (RFC 9131)', () => {
    const starts = new Set<number>()
    for (let seed = 1; seed <= 10; seed++) {
      const { w, mine } = added(true, {}, seed)
      expect(mine.state).toBe(AddressState.TENTATIVE)
      expect(w.iface.groups.has(w.at(groupOf(US)))).toBe(true)
      w.advance(60_000)
      const [question, news, ...more] = w.takenNd()
      starts.add(question.at)
      expect(question.at).toBeLessThanOrEqual(1000)
      expect(question).toMatchObject(probe)
      expect(question.options).toEqual([expect.stringMatching(/^nonce [0-9a-f]{12}$/)])
      expect(news).toEqual({
        ...{ at: question.at + 1000, type: NA, mac: '33:33:00:00:00:02', from: US, to: 'ff02::2', target: US, flags: 0 },
        options: [`tll ${OUR_MAC}`],
      })
      expect([more, w.ready[1]]).toEqual([[], { at: question.at + 1000, address: US, state: AddressState.PREFERRED }])
      expect(w.timers.size).toBe(0)
    }
    expect(starts.size).toBeGreaterThan(5)
  })

  test('as many questions as asked for, RetransTimer apart, each with its own nonce; none of them without enhancement', () => {
    const { w } = added(true, { dadTransmits: 3, retransTimerMs: 500, dadDelayMs: 0 })
    w.advance(60_000)
    const questions = w.takenNd().filter((m) => m.type === NS)
    expect(questions.map((m) => m.at)).toEqual([0, 500, 1000])
    expect(new Set(questions.map((m) => m.options[0])).size).toBe(3)
    const plain = added(true, { enhancedDad: false })
    plain.w.advance(1_000)
    expect(plain.w.takenNd()[0].options).toEqual([])
  })

  test('a tentative address answers nobody, and is no source (5.4)', () => {
    const { w } = added()
    w.hearNd({ target: US })
    expect(w.taken()).toEqual([])
    expect(w.counters()).toMatchObject({ dropTentative: 1 })
    expect(w.ip.isLocal(w.at(US))).toBe(false)
    expect(w.conflicts).toEqual([])
  })

  test.each([
    ['probes for it too (5.4.3)', rivalProbe],
    ['probes without a nonce', { ...rivalProbe, options: [] }],
    ['advertises it (5.4.4)', rivalAnswer],
    ['answers us', { ...rivalAnswer, flags: O, to: 'ff02::1', options: [] }],
  ])('somebody %s: it is not ours', (_, words) => {
    const { w, mine } = added()
    w.advance(1_100)
    w.taken()
    w.hearNd(words)
    expect(mine.state).toBe(AddressState.DUPLICATE)
    expect(w.conflicts).toEqual([]) // not while a packet is being heard
    w.advance(60_000)
    expect(w.conflicts).toEqual([{ at: 1100, address: US, mac: OTHER_MAC, state: AddressState.DUPLICATE }])
    expect(w.taken()).toEqual([])
    expect(w.ready).toHaveLength(1)
    expect(w.iface.groups.has(w.at(groupOf(US)))).toBe(false)
    // The other may be talked to.
    w.send(w.neighbor(US))
    w.hearNd({ ...rivalAnswer, flags: S | O, to: 'fe80::2' })
    expect(w.entry(US)).toBe(`REACHABLE ${OTHER_MAC}`)
  })

  test('a conflict before the first question counts as well', () => {
    const { w, mine } = added()
    w.hearNd(rivalProbe)
    w.advance(60_000)
    expect([mine.state, w.takenNd()]).toEqual([AddressState.DUPLICATE, []])
  })

  test('our own question come back is nobody else’s; it is asked three times more (RFC 7527)', () => {
    const { w, mine } = added(true, { dadDelayMs: 0 })
    w.advance(0)
    const [{ options }] = w.takenNd()
    w.hearNd({ ...rivalProbe, options })
    w.advance(60_000)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.takenNd().map((m) => [m.at, m.type])).toEqual([
      [1000, NS],
      [2000, NS],
      [3000, NS],
      [4000, NA],
    ])
    expect(w.counters()).toMatchObject({ loopedBack: 1, probes: 4 })
  })

  test('a full link delays the question', () => {
    const { w } = added(true, { dadDelayMs: 0 })
    w.link.room = 0
    w.advance(250)
    w.link.room = 9
    w.advance(5_000)
    expect(w.takenNd().map((m) => m.at)).toEqual([300, 1300])
  })

  test('while the link is down nobody could object: it begins when that is up', () => {
    const { w, mine } = added(true, { dadDelayMs: 0 })
    w.iface.up = false
    w.advance(60_000)
    expect([mine.state, w.ready.length]).toEqual([AddressState.TENTATIVE, 1])
    w.iface.up = true
    w.nd.dad.linkUp()
    w.advance(60_000)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.takenNd().map((m) => [m.at, m.from, m.type])).toEqual([
      [60_000, 'fe80::2', NA],
      [60_000, '::', NS],
      [61_000, US, NA],
    ])
  })

  test('removed before its turn, nothing is sent or told, and the group is left', () => {
    const { w, mine } = added()
    w.nd.dad.remove(mine)
    w.nd.dad.remove(mine)
    w.advance(10_000)
    expect([w.taken(), w.ready.length, w.timers.size]).toEqual([[], 1, 0])
    expect(w.iface.groups.has(w.at(groupOf(US)))).toBe(false)
  })

  test('two addresses of one group: it is left with the second', () => {
    const { w, mine } = added(false)
    const other = w.give('fd01::7/64')
    w.nd.dad.remove(mine)
    expect(w.iface.groups.has(w.at(groupOf(US)))).toBe(true)
    w.nd.dad.remove(other)
    expect(w.iface.groups.has(w.at(groupOf(US)))).toBe(false)
  })
})

describe('in use', () => {
  test('who probes for it hears at once that it is taken', () => {
    const { w } = added(false)
    w.taken()
    w.hearNd(rivalProbe)
    expect(w.takenNd()).toMatchObject([{ type: NA, to: 'ff02::1', target: US, flags: O }])
  })

  test('who advertises it is counted, and changes nothing', () => {
    const { w, mine } = added(false)
    w.hearNd(rivalAnswer)
    w.advance(1_000)
    expect([mine.state, w.conflicts]).toEqual([AddressState.PREFERRED, []])
    expect(w.counters()).toMatchObject({ conflicts: 1 })
  })

  test('a new link address, or a link that comes up, is told everybody (7.2.6)', () => {
    const { w } = added(false, { announceNum: 3 })
    w.advance(60_000)
    w.taken()
    w.ethernet.setMac(Uint8Array.of(2, 0, 0, 0, 0, 0x55))
    w.nd.dad.linkAddressChanged()
    w.advance(60_000)
    const sent = w.takenNd().filter((m) => m.target === US)
    expect(sent.map((m) => m.at)).toEqual([60_000, 61_000, 62_000])
    expect(sent[0]).toMatchObject({ to: 'ff02::1', flags: O, options: ['tll 02:00:00:00:00:55'] })
    expect(w.ready).toHaveLength(2)
  })
})

describe('optimistic (RFC 4429)', () => {
  const optimistic = (): { w: NdWorld; mine: InterfaceAddress } => added(true, { optimisticDad: true, dadDelayMs: 0 })

  test('answers at once, without overriding, and is no source of questions', () => {
    const { w, mine } = optimistic()
    expect(mine.state).toBe(AddressState.DEPRECATED)
    expect(w.ip.isLocal(w.at(US))).toBe(true)
    w.hearNd({ target: US })
    expect(w.takenNd()).toMatchObject([{ type: NA, mac: PEER_MAC, flags: S }])
    w.send(w.neighbor('fd00::99'), US)
    expect(w.takenNd()).toMatchObject([{ type: NS, from: 'fe80::2' }])
    w.advance(5_000)
    expect([mine.state, w.ready.length]).toEqual([AddressState.PREFERRED, 2])
    w.taken()
    w.hearNd({ target: US })
    expect(w.takenNd()).toMatchObject([{ flags: S | O }])
  })

  test('is given up when somebody objects', () => {
    const { w, mine } = optimistic()
    w.advance(0)
    w.hearNd(rivalAnswer)
    w.advance(0)
    expect([mine.state, w.conflicts.length]).toEqual([AddressState.DUPLICATE, 1])
    expect(w.ip.isLocal(w.at(US))).toBe(false)
  })
})
