import { describe, expect, it } from 'vitest'
import { formatDuid } from '../../src/dhcp6/duid.ts'
import { Status6 } from '../../src/dhcp6/options.ts'
import { ADVERTISE, CONFIRM, REBIND, RELEASE, RENEW, REPLY, REQUEST, SOLICIT } from '../../src/dhcp6/wire.ts'
import { Dhcp6World, OTHER_DUID, SERVER_DUID } from '../support/dhcp6-world.ts'

/** Milliseconds since 1970 at which a world begins. */
const BEGUN = 1_704_067_200_000

describe('a lease', () => {
  it('is had in four messages, and is what the interface has then', async () => {
    const w = new Dhcp6World()
    await w.world.settle(w.eth0.ready)
    const source = w.eth0.addresses[0].replace('%eth0/64', '')
    expect(w.heard.map(({ name, from, to }) => `${name} ${from} > ${to}`)).toEqual([
      `SOLICIT ${source} > ff02::1:2`,
      `REQUEST ${source} > ff02::1:2`,
    ])
    const [solicit, request] = w.heard.map((h) => h.m)
    expect(formatDuid(solicit.get('clientId')!)).toBe('00:03:00:01:02:00:00:00:00:05')
    expect(solicit.get('optionRequest')).toEqual([23, 24, 56, 31, 103, 82])
    expect([solicit.get('elapsedTime'), solicit.has('serverId'), solicit.has('reconfigureAccept')]).toEqual([0, false, false])
    expect(solicit.get('iaNa')).toEqual({ iaid: 2, t1: 0, t2: 0, options: {} })
    expect(solicit.has('iaPd')).toBe(false)
    expect([...request.get('serverId')!]).toEqual([...SERVER_DUID])
    expect(request.get('iaNa')!.options.iaAddress).toEqual([{ address: '2001:db8::50', preferred: 0, valid: 0, options: {} }])
    expect(request.xid).not.toBe(solicit.xid)

    expect(w.ours).toEqual(['2001:db8::50/128'])
    expect(w.eth0.nameservers).toEqual(['2001:db8::53'])
    expect(w.eth0.searchDomains).toEqual(['lab.example'])
    const lease = w.eth0.lease6!
    const since = BEGUN + Math.round(w.heard[1].at * 1000)
    expect(Math.abs(lease.obtainedAt - since)).toBeLessThan(60)
    expect(lease).toMatchObject({
      addresses: [{ address: '2001:db8::50', preferredUntil: lease.obtainedAt + 3e6, validUntil: lease.obtainedAt + 4e6 }],
      prefixes: [],
      server: '00:03:00:01:02:00:00:00:00:01',
      renewAt: lease.obtainedAt + 1e6,
      rebindAt: lease.obtainedAt + 2e6,
      expiresAt: lease.obtainedAt + 4e6,
    })
    expect(lease.options).toEqual(w.options)
    expect(w.events).toEqual(['bound 2001:db8::50'])
    expect(w.counters).toEqual({ outSolicits: 1, outRequests: 1, inAdvertises: 1, inReplies: 1, bound: 1 })
    expect(w.world.host.holds).toBe(0)
  })

  it('can be used, and makes no route', async () => {
    const w = new Dhcp6World()
    await w.world.settle(w.eth0.ready)
    expect(w.client.routes.filter((r) => r.destination.startsWith('2001'))).toEqual([])
    w.client.addRoute('2001:db8::/64', null, w.eth0)
    w.server.addRoute('2001:db8::50/128', null, w.serverSide, { mode: 'append' })
    const times: number[] = []
    const pinging = (async () => {
      for await (const reply of w.client.ping('2001:db8::1', { count: 1, source: '2001:db8::50' })) times.push(reply.seq)
    })()
    await w.world.settle(pinging)
    expect(times.length).toBe(1)
  })

  it('is had in two messages where both want that (section 21.14)', () => {
    const w = new Dhcp6World({ dhcp6: { rapidCommit: true } })
    w.answer = (m) => w.reply(m, REPLY).set('rapidCommit', true)
    w.bind()
    expect(w.heard.map(({ name, m }) => [name, m.has('rapidCommit')])).toEqual([['SOLICIT', true]])
    expect(w.ours).toEqual(['2001:db8::50/128'])
    // Nobody gives us one so who was not asked to.
    const not = new Dhcp6World()
    not.answer = (m) => (m.type === SOLICIT ? not.reply(m, REPLY).set('rapidCommit', true) : null)
    not.run(3)
    expect([not.eth0.lease6, not.counters.dropUnexpected]).toEqual([null, 2])
  })

  it('is asked for on and on, as section 15 has it; a server may change the longest wait (RFC 7083)', () => {
    const w = new Dhcp6World()
    w.answers = false
    w.run(8000)
    const at = w.heard.map((h) => h.at)
    const gaps = at.slice(1).map((t, i) => t - at[i])
    let wanted = 1.05 // RAND of the first is above zero
    for (const [i, gap] of gaps.entries()) {
      expect(Math.abs(gap - wanted), `gap ${i}: ${gap}`).toBeLessThanOrEqual(0.1 * (gaps[i - 1] ?? 1) + 0.2)
      wanted = Math.min(2 * gap, 3600)
    }
    expect(gaps.length).toBeGreaterThan(10)
    expect(new Set(w.heard.map((h) => h.m.xid)).size).toBe(1)
    const elapsed = w.heard.map((h) => h.m.get('elapsedTime')!)
    for (const [i, t] of elapsed.entries()) expect(Math.abs(t - Math.min(65535, 100 * (at[i] - at[0])))).toBeLessThanOrEqual(12)
    expect(elapsed[elapsed.length - 1]).toBe(65535)

    const limited = new Dhcp6World()
    limited.answer = (m) => limited.reply(m, ADVERTISE, { solMaxRt: 60, status: { code: 2, message: 'none left' } })
    limited.run(2000)
    limited.heard.length = 0
    limited.run(600)
    expect(limited.heard.length).toBeGreaterThanOrEqual(9)
    expect(limited.heard.length).toBeLessThanOrEqual(11)
    expect(limited.counters.dropNothingOffered).toBeGreaterThan(30)
  })

  it('that nobody gives is an error after a time, and is tried for on', async () => {
    const w = new Dhcp6World({ dhcp6: { timeoutMs: 20_000 } })
    w.answers = false
    await expect(w.world.settle(w.eth0.ready)).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: 'no DHCPv6 answer on eth0 within 20 s: is there a DHCPv6 server on this link? Without one give an address',
    })
    expect(w.world.elapsedMs).toBe(20_000)
    w.answers = true
    w.bind()
    expect(w.ours).toEqual(['2001:db8::50/128'])
  })

  it('waits for a random time, and for the link-local address', () => {
    const starts = [1, 2, 3, 4].map((seed) => {
      const w = new Dhcp6World({ seed, config: { dhcp6: { maxDelayMs: 1000 } }, attach: { probe: true } })
      w.world.runUntil(() => w.heard.length > 0)
      expect(w.heard[0].from).toMatch(/^fe80::/)
      return w.heard[0].at
    })
    expect(new Set(starts).size).toBe(4)
    for (const at of starts) expect(at).toBeGreaterThan(1) // duplicate address detection takes a second
    for (const at of starts) expect(at).toBeLessThan(3.2)
  })

  it('of ten days, of ten seconds, for ever', () => {
    for (const [valid, days, renewals] of [
      [864_000, 50, 9],
      [10, 0.01, 172],
      [0xffffffff, 400, 0],
    ]) {
      const w = new Dhcp6World()
      Object.assign(w, { preferred: valid, valid, t1: 0, t2: 0 })
      w.bind()
      w.names()
      w.run(days * 86_400)
      const names = w.names()
      expect(new Set(names).size).toBe(renewals > 0 ? 1 : 0)
      expect(Math.abs(names.length - renewals)).toBeLessThanOrEqual(3)
      expect(w.ours).toEqual(['2001:db8::50/128'])
      expect(w.eth0.lease6!.expiresAt === Number.POSITIVE_INFINITY).toBe(renewals === 0)
    }
  })
})

describe('renewing', () => {
  it('asks its server at T1, and nothing else changes', () => {
    const w = new Dhcp6World()
    w.bind()
    const bound = w.last.at
    w.heard.length = 0
    w.run(1001)
    expect(w.heard.map((h) => [h.name, Math.round(h.at - bound)])).toEqual([['RENEW', 1000]])
    const { m } = w.last
    expect([[...m.get('serverId')!], m.get('iaNa')!.options.iaAddress!.map((a) => a.address)]).toEqual([
      [...SERVER_DUID],
      ['2001:db8::50'],
    ])
    expect(w.events).toEqual(['bound 2001:db8::50', 'renewed 2001:db8::50'])
    expect(w.eth0.dhcp6!.state).toBe('BOUND')
  })

  it('asks all servers at T2, and ends with the valid lifetime; then all begins anew', () => {
    const w = new Dhcp6World()
    w.bind()
    const bound = w.last.at
    w.heard.length = 0
    w.answers = false
    w.run(3001)
    expect(w.client.interfaces[0].addresses).toContain('2001:db8::50/128') // deprecated, and still ours
    w.run(1000)
    const at = (name: string): number[] => w.heard.filter((h) => h.name === name).map((h) => Math.round(h.at - bound))
    expect(at('RENEW')[0]).toBe(1000)
    expect(at('REBIND')[0]).toBe(2000)
    expect(Math.max(...at('RENEW'))).toBeLessThan(2000)
    const waits = at('RENEW').map((t, i, all) => t - (all[i - 1] ?? t))
    for (const [i, wanted] of [10, 20, 40, 80, 160, 320].entries())
      expect(Math.abs(waits[i + 1] - wanted), `${waits}`).toBeLessThanOrEqual(0.65 * wanted)
    expect(w.heard.filter((h) => h.name === 'REBIND').every((h) => !h.m.has('serverId'))).toBe(true)
    expect(w.events).toEqual(['bound 2001:db8::50', 'expired -'])
    expect([w.ours, w.eth0.nameservers]).toEqual([[], []])
    expect(w.last.name).toBe('SOLICIT')
    expect(w.last.m.get('iaNa')!.options.iaAddress![0].address).toBe('2001:db8::50')
    w.answers = true
    w.bind(600_000)
    expect(w.ours).toEqual(['2001:db8::50/128'])
  })

  it('deprecates an address when its preferred lifetime is over', () => {
    const w = new Dhcp6World()
    w.bind()
    w.answers = false
    const own = w.eth0.iface.addresses.find((a) => `${a.address}` === '2001:db8::50')!
    w.run(2999)
    expect(own.state).toBe(1)
    w.run(2)
    expect(own.state).toBe(2)
  })

  it('takes times that are left to it as parts of the preferred lifetime', () => {
    const w = new Dhcp6World()
    Object.assign(w, { t1: 0, t2: 0 })
    w.bind()
    const { obtainedAt, renewAt, rebindAt } = w.eth0.lease6!
    expect([renewAt - obtainedAt, rebindAt - obtainedAt]).toEqual([1_500_000, 2_400_000])
  })

  it('goes over to other addresses when the server has others, and drops those of lifetime zero', () => {
    const w = new Dhcp6World()
    w.bind()
    w.answer = (m, usual) => {
      if (m.type !== RENEW) return usual
      const life = (address: string, valid: number) => ({ address, preferred: valid, valid, options: {} })
      const options = { iaAddress: [life('2001:db8::50', 0), life('2001:db8::60', 4000)] }
      return w.reply(m, REPLY, { iaNa: [{ iaid: 2, t1: 1000, t2: 2000, options }] })
    }
    w.run(1001)
    expect(w.ours).toEqual(['2001:db8::60/128'])
    expect(w.events).toEqual(['bound 2001:db8::50', 'renewed 2001:db8::60'])
  })

  it('keeps what an answer does not speak of until its end', () => {
    const w = new Dhcp6World()
    w.addresses = ['2001:db8::50', '2001:db8::51']
    w.bind()
    w.addresses = ['2001:db8::51']
    w.run(3990)
    expect(w.ours).toEqual(['2001:db8::50/128', '2001:db8::51/128'])
    w.run(15)
    expect(w.ours).toEqual(['2001:db8::51/128'])
    expect(w.events.filter((e) => !e.startsWith('renewed'))).toEqual(['bound 2001:db8::50 2001:db8::51', 'expired 2001:db8::51'])
  })

  it('asks for what the server knows nothing of (NoBinding), at the server that says so', () => {
    const w = new Dhcp6World()
    w.bind()
    w.names()
    w.answer = (m, usual) => {
      if (m.type !== RENEW) return usual
      return w.reply(m, REPLY, {
        iaNa: [{ iaid: 2, t1: 0, t2: 0, options: { status: { code: Status6.NO_BINDING, message: '' } } }],
      })
    }
    w.run(1001)
    expect(w.names()).toEqual(['RENEW', 'REQUEST'])
    expect(w.events).toEqual(['bound 2001:db8::50', 'renewed 2001:db8::50'])
  })

  it('is not ended by a server that has failed, nor by an empty answer', () => {
    for (const options of [{ status: { code: Status6.UNSPEC_FAIL, message: 'no' } }, {}]) {
      const w = new Dhcp6World()
      w.bind()
      w.names()
      w.answer = (m, usual) => (m.type === RENEW ? w.reply(m, REPLY, options) : usual)
      w.run(2010)
      const names = w.names()
      expect(names.filter((n) => n === 'RENEW').length).toBeGreaterThan(4)
      expect(names[names.length - 1]).toBe('REBIND')
      expect(w.events).toEqual(['bound 2001:db8::50', 'renewed 2001:db8::50'])
    }
  })

  it('happens when it is asked for', () => {
    const w = new Dhcp6World()
    w.bind()
    w.run(5)
    w.eth0.dhcp6!.renew()
    w.run(1)
    expect(w.events).toEqual(['bound 2001:db8::50', 'renewed 2001:db8::50'])
  })
})

describe('a choice of servers (section 18.2.9)', () => {
  const two = (preferences: [number | null, number | null], second?: (w: Dhcp6World) => string[]): Dhcp6World => {
    const w = new Dhcp6World({ dhcp6: { prefix: true, address: true } })
    w.answer = (m, usual) => {
      if (m.type !== SOLICIT) return usual
      const [a, b] = preferences
      const first = w.reply(m, ADVERTISE, undefined, OTHER_DUID)
      if (a !== null) first.set('preference', a)
      w.say(first)
      if (second !== undefined) w.prefixes = second(w)
      const other = w.reply(m, ADVERTISE)
      if (b !== null) other.set('preference', b)
      return other
    }
    w.world.runUntil(() => w.heard.some((h) => h.name === 'REQUEST'))
    return w
  }
  const asked = (w: Dhcp6World): string => formatDuid(w.last.m.get('serverId')!)

  it('goes by their preference, then by who came first', () => {
    expect(asked(two([1, 2]))).toBe(formatDuid(SERVER_DUID))
    expect(asked(two([2, 1]))).toBe(formatDuid(OTHER_DUID))
    expect(asked(two([null, null]))).toBe(formatDuid(OTHER_DUID))
  })

  it('goes by what there is to be had first', () => {
    expect(asked(two([1, 200], () => []))).toBe(formatDuid(OTHER_DUID))
  })

  it('is over at once with 255, and else with the first wait', () => {
    expect(two([255, null]).last.at).toBe(0)
    expect(two([254, null]).last.at).toBeGreaterThanOrEqual(1)
  })

  it('goes on with the next when one does not answer, or refuses', () => {
    for (const silent of [true, false]) {
      const w = new Dhcp6World()
      w.answer = (m, usual) => {
        if (m.type === SOLICIT) w.say(w.reply(m, ADVERTISE, undefined, OTHER_DUID).set('preference', 9))
        const isOther = m.get('serverId')?.[9] === 9
        if (m.type !== REQUEST || !isOther) return usual
        const status = { code: Status6.NO_ADDRS_AVAIL, message: 'gone' }
        const iaNa = [{ iaid: 2, t1: 0, t2: 0, options: { status } }]
        return silent ? null : w.reply(m, REPLY, { iaNa }, OTHER_DUID)
      }
      w.bind(300_000)
      const servers = w.heard.filter((h) => h.name === 'REQUEST').map((h) => formatDuid(h.m.get('serverId')!))
      expect(servers.length).toBe(silent ? 11 : 2) // REQ_MAX_RC
      expect(servers[servers.length - 1]).toBe(formatDuid(SERVER_DUID))
      expect(w.eth0.lease6!.server).toBe(formatDuid(SERVER_DUID))
    }
  })

  it('begins anew when none is left, ever more seldom', () => {
    const w = new Dhcp6World()
    w.answer = (m, usual) => {
      const status = { code: Status6.NOT_ON_LINK, message: '' }
      return m.type === REQUEST ? w.reply(m, REPLY, { status }) : usual!.set('preference', 255)
    }
    w.run(1000)
    const solicits = w.heard.filter((h) => h.name === 'SOLICIT').map((h) => h.at)
    expect(solicits.length).toBeLessThan(13)
    expect(solicits.length).toBeGreaterThan(8)
    expect(w.eth0.lease6).toBeNull()
  })
})

describe('a link that goes and comes', () => {
  const again = (w: Dhcp6World): void => {
    w.eth0.setUp(false)
    w.run(10)
    w.heard.length = 0
    w.eth0.setUp(true)
    w.run(15)
  }

  it('is asked whether addresses still fit (CONFIRM)', () => {
    const w = new Dhcp6World()
    w.bind()
    again(w)
    expect(w.names()).toEqual(['CONFIRM'])
    expect(w.events).toEqual(['bound 2001:db8::50', 'renewed 2001:db8::50'])
  })

  it('is another one when a server says NotOnLink', () => {
    const w = new Dhcp6World()
    w.bind()
    w.addresses = ['2001:db8:2::7']
    w.answer = (m, usual) =>
      m.type === CONFIRM ? w.reply(m, REPLY, { status: { code: Status6.NOT_ON_LINK, message: '' } }) : usual
    again(w)
    expect(w.names()).toEqual(['CONFIRM', 'SOLICIT', 'REQUEST'])
    expect(w.events).toEqual(['bound 2001:db8::50', 'refused -', 'bound 2001:db8:2::7'])
    expect(w.ours).toEqual(['2001:db8:2::7/128'])
  })

  it('goes on as before when nobody answers in ten seconds (CNF_MAX_RD)', () => {
    const w = new Dhcp6World()
    w.bind()
    w.answers = false
    w.eth0.setUp(false)
    w.eth0.setUp(true)
    w.heard.length = 0
    w.run(9)
    expect(w.eth0.dhcp6!.state).toBe('CONFIRM')
    w.run(2)
    expect([w.eth0.dhcp6!.state, w.ours]).toEqual(['BOUND', ['2001:db8::50/128']])
    const at = w.heard.map((h) => h.at)
    expect(at.length).toBe(4) // 1, 2, 4, 4 s
    expect(at[at.length - 1] - at[0]).toBeLessThan(10)
  })

  it('asks by REBIND where there are prefixes (section 18.2.12)', () => {
    const w = new Dhcp6World({ dhcp6: { prefix: true } })
    w.bind()
    again(w)
    expect(w.heard.map((h) => [h.m.type, h.m.has('serverId')])).toEqual([[REBIND, false]])
    expect(w.heard[0].m.get('iaPd')!.options.iaPrefix![0].prefix).toBe('2001:db8:100::/56')
    expect(w.events).toEqual(['bound 2001:db8:100::/56', 'renewed 2001:db8:100::/56'])
  })
})

describe('giving back', () => {
  it('ends the use first, and is repeated until the server has heard it (section 18.2.7)', () => {
    const w = new Dhcp6World()
    w.bind()
    w.answers = false
    w.heard.length = 0
    w.eth0.dhcp6!.release()
    expect([w.ours, w.eth0.lease6, w.events]).toEqual([[], null, ['bound 2001:db8::50', 'released -']])
    w.run(60)
    expect(w.heard.map((h) => h.name)).toEqual(['RELEASE', 'RELEASE', 'RELEASE', 'RELEASE']) // REL_MAX_RC
    const { m } = w.last
    expect([[...m.get('serverId')!], m.get('iaNa')!.options.iaAddress![0].address, m.has('optionRequest')]).toEqual([
      [...SERVER_DUID],
      '2001:db8::50',
      false,
    ])
    expect(w.eth0.dhcp6!.state).toBe('STOPPED')
    w.answers = true
    w.eth0.dhcp6!.renew()
    w.bind()
    w.heard.length = 0
    w.eth0.dhcp6!.release()
    w.run(60)
    expect([w.names(), w.eth0.dhcp6!.state]).toEqual([['RELEASE'], 'STOPPED'])
  })

  it('may be done by who is told of the lease, whatever has happened to it', () => {
    for (const [last, prepare] of [
      ['bound', () => undefined],
      ['renewed', (w) => w.run(1000)],
      ['expired', (w) => Object.assign(w, { answers: false })],
      ['refused', (w) => Object.assign(w, { addresses: [], prefixes: [] })],
    ] as [string, (w: Dhcp6World) => unknown][]) {
      const w = new Dhcp6World()
      w.addresses = ['2001:db8::50', '2001:db8::51']
      const events: string[] = []
      w.eth0.onLease6 = (_, event) => {
        events.push(event)
        if (event === last) w.eth0.dhcp6!.release()
      }
      w.run(1.5)
      prepare(w)
      if (last === 'refused') {
        w.answer = (m) => w.reply(m, REPLY, { status: { code: Status6.NOT_ON_LINK, message: '' } })
        w.eth0.setUp(false)
        w.eth0.setUp(true)
      }
      w.run(5000)
      expect([last, events[events.length - (events.at(-1) === 'released' ? 2 : 1)]]).toEqual([last, last])
      expect([last, w.eth0.dhcp6!.state, w.ours]).toEqual([last, 'STOPPED', []])
    }
  })

  it('happens when the interface goes, or the stack', async () => {
    for (const end of ['detach', 'close'] as const) {
      const w = new Dhcp6World()
      w.bind()
      w.heard.length = 0
      await (end === 'detach' ? w.eth0.detach() : w.client.close())
      w.run(1)
      expect(w.heard.map((h) => h.m.type)).toEqual([RELEASE])
    }
  })
})
