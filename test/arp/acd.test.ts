import { describe, expect, test } from 'vitest'
import type { ArpConfig } from '../../src/base/arp-config.ts'
import { AddressState, type InterfaceAddress } from '../../src/ip/interface.ts'
import { ArpWorld, EVERYBODY, NOBODY, OTHER_MAC, OUR_MAC, own } from '../support/arp-world.ts'

const US = '10.0.0.2'

/** A world whose one address has just been given to conflict detection. */
function added(probe: boolean, config: Partial<ArpConfig> = {}, seed = 7): { w: ArpWorld; mine: InterfaceAddress } {
  const w = new ArpWorld(config, { seed })
  const mine = w.iface.addresses[0]
  w.arp.acd.add(mine, probe)
  return { w, mine }
}

/** Claimed, announced, nothing left to be sent. */
function claimed(): { w: ArpWorld; mine: InterfaceAddress } {
  const world = added(false)
  world.w.advance(20_000)
  world.w.taken()
  return world
}

const probe = { to: EVERYBODY, op: 1, sha: OUR_MAC, spa: '0.0.0.0', tha: NOBODY, tpa: US }
const announcement = { ...probe, spa: US }
/** Another host uses our address. */
const rival = { op: 1, sha: OTHER_MAC, spa: US, tpa: '10.0.0.50' }

describe('without a probe', () => {
  test('an address is usable at once, announced twice 2 s apart, and the listener is told from a timer', () => {
    const { w, mine } = added(false)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.ready).toEqual([])
    w.advance(60_000)
    expect(w.ready).toEqual([{ at: 0, address: US, state: AddressState.PREFERRED }])
    expect(w.takenArp()).toEqual([
      { at: 0, ...announcement },
      { at: 2000, ...announcement },
    ])
    expect(w.counters()).toEqual({ announcements: 2, outRequests: 2 })
    expect(w.timers.size).toBe(0)
  })

  test('a deprecated address stays deprecated', () => {
    const w = new ArpWorld()
    const mine = own('10.0.0.3/24', AddressState.DEPRECATED)
    w.iface.addresses.push(mine)
    w.arp.acd.add(mine, false)
    w.advance(5000)
    expect(mine.state).toBe(AddressState.DEPRECATED)
    expect(w.takenArp().map((p) => p.spa)).toEqual(['10.0.0.3', '10.0.0.3'])
  })

  test('a full link delays the announcements, not the use', () => {
    const { w } = added(false)
    w.link.room = 0
    w.advance(450)
    expect(w.ready).toHaveLength(1)
    w.link.room = 9
    w.advance(10_000)
    expect(w.takenArp().map((p) => p.at)).toEqual([500, 2500])
    expect(w.ready).toHaveLength(1)
  })

  test('removed before its turn, nothing is sent or told', () => {
    const { w, mine } = added(false)
    w.arp.acd.remove(mine)
    w.arp.acd.remove(mine)
    w.advance(10_000)
    expect(w.taken()).toEqual([])
    expect(w.ready).toEqual([])
  })

  test('a link that comes up again hears it again; the listener does not', () => {
    const { w } = claimed()
    w.arp.acd.linkUp()
    w.advance(10_000)
    expect(w.takenArp()).toHaveLength(2)
    expect(w.ready).toHaveLength(1)
  })
})

describe('probing', () => {
  test('three probes at random times, quiet, then use and announcements (RFC 5227 2.1.1)', () => {
    const starts = new Set<number>()
    for (let seed = 1; seed <= 20; seed++) {
      const { w, mine } = added(true, {}, seed)
      expect(mine.state).toBe(AddressState.TENTATIVE)
      w.advance(60_000)
      const sent = w.takenArp()
      expect(sent.map(({ at: _, ...rest }) => rest)).toEqual([probe, probe, probe, announcement, announcement])
      const at = sent.map((p) => p.at)
      expect(at[0]).toBeLessThanOrEqual(1000)
      for (const gap of [at[1] - at[0], at[2] - at[1]]) {
        expect(gap).toBeGreaterThanOrEqual(1000)
        expect(gap).toBeLessThanOrEqual(2000)
      }
      expect(at[3] - at[2]).toBe(2000)
      expect(at[4] - at[3]).toBe(2000)
      expect(w.ready).toEqual([{ at: at[3], address: US, state: AddressState.PREFERRED }])
      expect(w.conflicts).toEqual([])
      starts.add(at[0])
    }
    expect(starts.size).toBeGreaterThan(15)
  })

  test('meanwhile the address is not answered for, and not used to ask with', () => {
    const { w } = added(true)
    w.hearArp({ tpa: US })
    w.send(w.neighbor('10.0.0.1'), 'x')
    expect(w.taken()).toEqual([])
    expect(w.counters()).toMatchObject({ dropNotForUs: 1, dropNoSource: 1 })
  })

  test.each([
    ['a reply from its user', { op: 2, sha: OTHER_MAC, spa: US, tha: OUR_MAC, tpa: '0.0.0.0' }],
    ['a request from its user', rival],
    ['an announcement', { op: 1, sha: OTHER_MAC, spa: US, tpa: US }],
    ["another host's probe at the same time", { op: 1, sha: OTHER_MAC, spa: '0.0.0.0', tpa: US }],
  ])('%s is a conflict, at any time until the end of the wait', (_what, words) => {
    for (const when of [0, 500, 1500, 3000, 4500]) {
      const { w, mine } = added(true)
      w.advance(when)
      expect(mine.state).toBe(AddressState.TENTATIVE)
      w.hearArp(words)
      expect(mine.state).toBe(AddressState.DUPLICATE)
      expect(w.conflicts).toEqual([])
      w.taken()
      w.advance(60_000)
      expect(w.conflicts).toEqual([{ at: when, address: US, mac: OTHER_MAC, state: AddressState.DUPLICATE }])
      expect(w.ready).toEqual([])
      expect(w.taken()).toEqual([])
      expect(w.cache.size).toBe(0)
    }
  })

  test.each([
    ['our own probe come back', { op: 1, sha: OUR_MAC, spa: '0.0.0.0', tpa: US }],
    ['a probe for another address', { op: 1, sha: OTHER_MAC, spa: '0.0.0.0', tpa: '10.0.0.3' }],
    ['a question for the address', { op: 1, sha: OTHER_MAC, spa: '10.0.0.1', tpa: US }],
    ['a reply that is no probe', { op: 2, sha: OTHER_MAC, spa: '0.0.0.0', tpa: US }],
    ['an unknown operation', { op: 7, sha: OTHER_MAC, spa: US, tpa: US }],
  ])('%s is none', (_what, words) => {
    const { w, mine } = added(true)
    w.advance(1500)
    w.hearArp(words)
    w.advance(10_000)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.conflicts).toEqual([])
  })

  test('a full link delays the probes: silence that nobody could break proves nothing', () => {
    const { w, mine } = added(true)
    w.link.room = 0
    w.advance(60_000)
    expect(mine.state).toBe(AddressState.TENTATIVE)
    w.link.room = 99
    w.advance(10_000)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.takenArp().filter((p) => p.spa === '0.0.0.0')).toHaveLength(3)
  })

  test('a link that comes up begins anew', () => {
    const { w } = added(true)
    w.advance(3000)
    const before = w.takenArp().length
    expect(before).toBeGreaterThan(0)
    w.arp.acd.linkUp()
    w.advance(20_000)
    expect(w.takenArp()).toHaveLength(5)
    expect(w.ready).toHaveLength(1)
  })

  test('after ten conflicts one new address a minute is tried (MAX_CONFLICTS, RATE_LIMIT_INTERVAL)', () => {
    const w = new ArpWorld({}, { addresses: [] })
    const first: number[] = []
    for (let i = 0; i < 14; i++) {
      const mine = own(`10.0.0.${100 + i}/24`)
      w.iface.addresses.push(mine)
      w.arp.acd.add(mine, true)
      for (let probes: number[] = []; probes.length === 0; ) {
        w.advance(100)
        probes = w.takenArp().map((p) => p.at)
        if (probes.length > 0) first.push(probes[0])
      }
      w.hearArp({ sha: OTHER_MAC, spa: mine.address.toString(), tpa: '10.0.0.1' })
      w.advance(1)
      expect(w.conflicts).toHaveLength(i + 1)
      w.arp.acd.remove(mine)
      w.iface.addresses.pop()
    }
    for (let i = 1; i < 10; i++) expect(first[i] - first[i - 1]).toBeLessThanOrEqual(1200)
    for (let i = 10; i < 14; i++) expect(first[i] - first[i - 1]).toBeGreaterThanOrEqual(59_800)
  })
})

describe('in use', () => {
  test('a conflict is answered with one announcement, and the address kept (RFC 5227 2.4 b)', () => {
    const { w, mine } = claimed()
    w.hearArp(rival)
    expect(w.takenArp()).toEqual([{ at: 20_000, ...announcement }])
    w.advance(60_000)
    expect(w.taken()).toEqual([])
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.conflicts).toEqual([])
    expect(w.counters()).toMatchObject({ conflicts: 1, defended: 1, dropConflict: 1 })
  })

  test('conflicts 10 s apart are each defended', () => {
    const { w, mine } = claimed()
    for (let i = 0; i < 5; i++) {
      w.hearArp(rival)
      w.advance(10_000)
    }
    expect(w.takenArp()).toHaveLength(5)
    expect(mine.state).toBe(AddressState.PREFERRED)
  })

  test('a second one within 10 s ends it: DUPLICATE, told, silent', () => {
    const { w, mine } = claimed()
    w.hearArp(rival)
    w.taken()
    w.advance(9999)
    w.hearArp({ op: 2, sha: OTHER_MAC, spa: US, tpa: US }, OUR_MAC)
    expect(mine.state).toBe(AddressState.DUPLICATE)
    expect(w.conflicts).toEqual([])
    w.advance(1)
    expect(w.conflicts).toEqual([{ at: 29_999, address: US, mac: OTHER_MAC, state: AddressState.DUPLICATE }])
    w.hearArp(rival)
    w.hearArp({ tpa: US })
    w.advance(60_000)
    w.arp.acd.linkUp()
    w.advance(60_000)
    expect(w.taken()).toEqual([])
    expect(w.conflicts).toHaveLength(1)
    expect(w.ready).toHaveLength(1)
  })

  test('given to conflict detection again, it starts afresh', () => {
    const { w, mine } = claimed()
    w.hearArp(rival)
    w.hearArp(rival)
    w.advance(1000)
    w.taken()
    w.arp.acd.add(mine, true)
    w.advance(20_000)
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.takenArp()).toHaveLength(5)
    expect(w.ready).toHaveLength(2)
  })

  test('what a rival says changes no neighbour, and is not answered', () => {
    const { w } = claimed()
    w.hearArp({ op: 1, sha: OTHER_MAC, spa: US, tpa: US })
    expect(w.cache.size).toBe(0)
    expect(w.takenArp().every((p) => p.op === 1)).toBe(true)
  })

  test('a late probe for it is answered like any request', () => {
    const { w, mine } = claimed()
    w.hearArp({ op: 1, sha: OTHER_MAC, spa: '0.0.0.0', tpa: US })
    expect(w.takenArp()).toMatchObject([{ op: 2, to: OTHER_MAC, spa: US }])
    expect(mine.state).toBe(AddressState.PREFERRED)
    expect(w.counters().conflicts).toBeUndefined()
  })

  test('a defence that the full link swallows is counted', () => {
    const { w } = claimed()
    w.link.room = 0
    w.hearArp(rival)
    expect(w.counters()).toMatchObject({ conflicts: 1, linkFull: 1 })
    expect(w.counters().defended).toBeUndefined()
  })

  test('one address lost leaves the others', () => {
    const { w } = claimed()
    const other = own('10.0.0.3/24')
    w.iface.addresses.push(other)
    w.arp.acd.add(other, false)
    w.hearArp(rival)
    w.hearArp(rival)
    w.advance(10_000)
    expect(w.iface.addresses.map((a) => a.state)).toEqual([AddressState.DUPLICATE, AddressState.PREFERRED])
    w.taken()
    w.hearArp({ tpa: '10.0.0.3' })
    expect(w.takenArp()).toMatchObject([{ op: 2, spa: '10.0.0.3' }])
  })
})
