import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Dhcp6Message, writeMessage6 } from '../../src/dhcp6/message.ts'
import type { Option6Values } from '../../src/dhcp6/options.ts'
import { rawOptions } from '../../src/dhcp6/values.ts'
import { ADVERTISE, RECONFIGURE, RENEW, REPLY, REQUEST, SOLICIT } from '../../src/dhcp6/wire.ts'
import { Dhcp6World, OTHER_DUID, SERVER_DUID } from '../support/dhcp6-world.ts'
import { runs } from '../support/runs.ts'

const IAID = 2
const life = { preferred: 3000, valid: 4000, options: {} }

/** What a client believes of one answer to its SOLICIT with rapid commit. */
function believed(options: Option6Values, prefix = false): Dhcp6World {
  const w = new Dhcp6World({ dhcp6: { rapidCommit: true, prefix, address: true } })
  w.answer = (m) => (w.heard.length === 1 ? w.reply(m, REPLY, { ...options, rapidCommit: true }) : null)
  w.run(0.5)
  return w
}
const address = (text: string, more = {}): Option6Values => ({
  iaNa: [{ iaid: IAID, t1: 1000, t2: 2000, options: { iaAddress: [{ address: text, ...life, ...more }] } }],
})
const delegated = (text: string, more = {}): Option6Values => ({
  iaPd: [{ iaid: IAID, t1: 1000, t2: 2000, options: { iaPrefix: [{ prefix: text, ...life, ...more }] } }],
})

describe('a server that lies', () => {
  it('gives no address that nobody can have', () => {
    for (const text of ['::', '::1', 'ff02::1', 'fe80::7']) {
      const w = believed(address(text))
      expect([text, w.eth0.lease6, w.counters.badAddress]).toEqual([text, null, 1])
    }
    expect(believed(address('2001:db8::7')).ours).toEqual(['2001:db8::7/128'])
  })

  it('gives no prefix that nobody can have', () => {
    for (const text of ['::/0', '2000::/3', 'ff00::/8', 'fe80::/64', '2001:db8::/65', '::/48']) {
      const w = believed(delegated(text), true)
      expect([text, w.eth0.lease6, w.counters.badPrefix]).toEqual([text, null, 1])
    }
    expect(believed(delegated('2001:db8::/48'), true).eth0.lease6!.prefixes.length).toBe(1)
  })

  it('gives no address that is preferred for longer than it is valid, or whose own status is none of success', () => {
    expect(believed(address('2001:db8::7', { preferred: 4001 })).counters.badAddress).toBe(1)
    expect(believed(address('2001:db8::7', { options: { status: { code: 1, message: '' } } })).counters.badAddress).toBe(1)
    expect(believed(address('2001:db8::7', { preferred: 0, valid: 0 })).eth0.lease6).toBeNull()
  })

  it('has no T1 behind its T2, and no association but ours', () => {
    const options = { iaAddress: [{ address: '2001:db8::7', ...life }] }
    const late = believed({ iaNa: [{ iaid: IAID, t1: 2001, t2: 2000, options }] })
    expect([late.eth0.lease6, late.counters.badTimes]).toEqual([null, 1])
    expect(believed({ iaNa: [{ iaid: 77, t1: 0, t2: 0, options }] }).eth0.lease6).toBeNull()
    expect(believed(delegated('2001:db8::/48')).eth0.lease6).toBeNull() // nobody asked
  })

  it('fills neither memory nor the list of addresses', () => {
    const iaAddress = Array.from({ length: 200 }, (_, i) => ({ address: `2001:db8::${(i + 1).toString(16)}`, ...life }))
    const w = believed({ iaNa: [{ iaid: IAID, t1: 0, t2: 0, options: { iaAddress } }] })
    expect([w.ours.length, w.counters.tooMany]).toEqual([16, 184])
  })

  it('does not make us talk on and on: a second of lifetime, or of T1', () => {
    for (const [valid, t1] of [
      [1, 0],
      [4000, 0.0],
      [4000, 1],
    ]) {
      const w = new Dhcp6World()
      Object.assign(w, { preferred: valid, valid, t1, t2: t1 === 0 ? 0 : t1 })
      w.run(60)
      expect(w.heard.length, `${valid} ${t1}`).toBeLessThanOrEqual(20 + 60)
    }
    const refuser = new Dhcp6World({ dhcp6: { rapidCommit: true } })
    refuser.answer = (m) => refuser.reply(m, REPLY, { rapidCommit: true, status: { code: 4, message: '' } })
    refuser.run(1000)
    expect(refuser.heard.length).toBeLessThan(30)
  })

  it('says 20 times in 20 seconds what we say as often, and no more (section 14.1)', () => {
    const w = new Dhcp6World()
    w.bind()
    w.heard.length = 0
    w.answer = (m, usual) => {
      if (m.type !== RENEW && m.type !== REQUEST) return usual
      return w.reply(m, REPLY, { iaNa: [{ iaid: IAID, t1: 0, t2: 0, options: { status: { code: 3, message: '' } } }] })
    }
    for (let i = 0; i < 100; i++) {
      w.eth0.dhcp6!.renew()
      w.run(0.1)
    }
    expect(w.heard.length).toBeLessThanOrEqual(30)
    expect(w.counters.outRateLimited).toBeGreaterThan(10)
  })
})

describe('what is not for us', () => {
  const bound = (): Dhcp6World => {
    const w = new Dhcp6World()
    w.bind()
    w.run(1)
    return w
  }
  const last = (w: Dhcp6World): Dhcp6Message => w.last.m

  it('is not believed: another transaction, another client, another server, no server', () => {
    for (const [name, counter, change] of [
      ['xid', 'dropOtherClient', (r) => Object.assign(r, { xid: r.xid ^ 1 })],
      ['client', 'dropOtherClient', (r) => r.set('clientId', OTHER_DUID)],
      ['no client', 'dropOtherClient', (r) => r.options.delete(1)],
      ['server', 'dropOtherServer', (r) => r.set('serverId', OTHER_DUID)],
      ['no server', 'dropNoServer', (r) => r.options.delete(2)],
      ['advertise', 'dropUnexpected', (r) => Object.assign(r, { type: ADVERTISE })],
    ] as [string, string, (r: Dhcp6Message) => unknown][]) {
      const w = new Dhcp6World()
      w.answer = (m, usual) => {
        if (m.type === REQUEST) change(usual!)
        return usual
      }
      w.run(3)
      expect([name, w.eth0.lease6, w.counters[counter] > 0]).toEqual([name, null, true])
    }
  })

  it('is not heeded: RECONFIGURE, what nobody asked for, what is no message', () => {
    const w = bound()
    const before = w.heard.length
    const reconfigure = new Dhcp6Message(
      RECONFIGURE,
      0,
      rawOptions({ reconfigureMessage: 5, authentication: new Uint8Array(28) }),
    )
    w.say(reconfigure.set('serverId', SERVER_DUID).set('clientId', last(w).get('clientId')!))
    w.say(w.reply(last(w), REPLY)) // late, and a second time
    w.say(w.reply(last(w), ADVERTISE))
    w.sayBytes(Uint8Array.of(7, 0, 0))
    w.sayBytes(Uint8Array.of(12, 0, 0, 0, 0, 0))
    w.run(1)
    expect(w.heard.length).toBe(before)
    expect(w.counters).toMatchObject({ dropReconfigure: 1, dropOtherClient: 2, dropMalformed: 2 })
    expect(w.events).toEqual(['bound 2001:db8::50'])
  })

  it('does no harm, whatever it is', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(fc.array(changes, { minLength: 6, maxLength: 6 }), fc.nat(3), (lists, cut) => {
        const w = new Dhcp6World({ dhcp6: { prefix: true, address: true, delegate: { to: 'eth1' } } })
        const bytes = new Uint8Array(2000)
        let n = 0
        w.answer = (m, usual) => {
          const length = writeMessage6(usual!, bytes, 0, bytes.length)
          // The head stays, so that what is behind it is read.
          for (const [at, to] of lists[n++ % lists.length]) bytes[4 + (at % (length - 4))] = to
          w.sayBytes(bytes.slice(0, cut === 0 ? length - (n % 5) : length))
          return n % 3 === 0 ? usual : m.type === SOLICIT ? usual : null
        }
        w.run(2500)
        const { lease6 } = w.eth0
        if (lease6 !== null) expect(lease6.expiresAt).toBeGreaterThan(lease6.obtainedAt)
        expect(w.ours.length).toBeLessThanOrEqual(16)
        w.eth0.setUp(false)
        w.answers = false
        w.run(0xffffffff / 1000)
        expect(w.heard.length).toBeLessThan(5000)
      }),
      { numRuns: runs(12, 3) },
    )
  })
})
