import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { ACK, NAK, OFFER } from '../../src/dhcp/message.ts'
import { DhcpWorld } from '../support/dhcp-world.ts'

describe('a lease', () => {
  it('is had in four messages, and is what the interface has then', async () => {
    const w = new DhcpWorld()
    await w.world.settle(w.eth0.ready)
    expect(w.heard.map(({ name, from, to }) => `${name} ${from} > ${to}`)).toEqual([
      'DISCOVER 0.0.0.0 > 255.255.255.255',
      'REQUEST 0.0.0.0 > 255.255.255.255',
    ])
    const [discover, request] = w.heard.map((h) => h.m)
    expect([discover.ciaddr, discover.giaddr, discover.broadcast, discover.has('requestedAddress')]).toEqual([0, 0, false, false])
    expect([...discover.chaddr]).toEqual([2, 0, 0, 0, 0, 5])
    expect([...discover.get('clientIdentifier')!]).toEqual([1, 2, 0, 0, 0, 0, 5])
    expect(discover.get('parameterRequestList')!.slice(0, 3)).toEqual([1, 121, 3])
    expect(request.get('parameterRequestList')).toEqual(discover.get('parameterRequestList'))
    expect(discover.get('maxMessageSize')).toBe(1500)
    expect([request.xid, request.secs]).toEqual([discover.xid, discover.secs])
    expect([request.get('serverIdentifier'), request.get('requestedAddress'), request.ciaddr]).toEqual([
      '10.0.0.1',
      '10.0.0.50',
      0,
    ])

    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
    expect(w.eth0.nameservers).toEqual(['10.0.0.1', '10.0.0.3'])
    expect(w.eth0.searchDomains).toEqual(['lab.example'])
    expect(w.client.routes.map((r) => [r.destination, r.gateway, r.interface])).toContainEqual(['0.0.0.0/0', '10.0.0.1', 'eth0'])
    const lease = w.eth0.lease!
    const begun = 1_704_067_200_000
    expect(lease).toMatchObject({
      address: '10.0.0.50',
      prefix: '10.0.0.50/24',
      server: '10.0.0.1',
      routers: ['10.0.0.1'],
      domain: 'lab.example',
      obtainedAt: begun,
      expiresAt: begun + 3_600_000,
    })
    expect(lease.renewAt - begun).toBeGreaterThan(0.47 * 3_600_000)
    expect(lease.renewAt - begun).toBeLessThanOrEqual(0.5 * 3_600_000)
    expect(lease.rebindAt - begun).toBeGreaterThan(0.85 * 3_600_000)
    expect(lease.options.leaseTime).toBe(3600)
    expect(w.events).toEqual(['bound 10.0.0.50/24'])
    expect(w.counters).toEqual({ outDiscovers: 1, outRequests: 1, inOffers: 1, inAcks: 1, bound: 1 })
    expect(w.world.host.holds).toBe(0)
  })

  it('can be used', async () => {
    const w = new DhcpWorld()
    await w.world.settle(w.eth0.ready)
    const times: number[] = []
    const pinging = (async () => {
      for await (const reply of w.client.ping('10.0.0.1', { count: 1 })) times.push(reply.seq)
    })()
    await w.world.settle(pinging)
    expect(times.length).toBe(1)
  })

  it('is asked for again and again, 4, 8, 16, 32 and 64 seconds apart, a second more or less (RFC 2131 section 4.1)', () => {
    const w = new DhcpWorld()
    w.answers = false
    w.run(400)
    const at = w.heard.map((h) => h.at)
    const gaps = at.slice(1).map((t, i) => t - at[i])
    for (const [i, wanted] of [4, 8, 16, 32, 64, 64, 64].entries()) {
      expect(Math.abs(gaps[i] - wanted), `gap ${i}`).toBeLessThanOrEqual(1.1)
    }
    expect(new Set(w.heard.map((h) => h.m.xid)).size).toBe(1)
    expect(w.heard.map((h) => h.m.secs)).toEqual(at.map((t) => Math.floor(t)))
    expect(gaps.some((g) => g !== Math.round(g))).toBe(true)
  })

  it('that nobody gives is an error after a time, and is tried for on', async () => {
    const w = new DhcpWorld({ dhcp: { timeoutMs: 20_000 } })
    w.answers = false
    await expect(w.world.settle(w.eth0.ready)).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: 'no DHCP answer on eth0 within 20 s: is there a DHCP server on this link? Without one give an address',
    })
    expect(w.world.elapsedMs).toBe(20_000)
    w.answers = true
    w.bind()
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
  })

  it('is renewed at T1 by its server, without anything else changing', () => {
    const w = new DhcpWorld()
    w.options = { ...w.options, renewalTime: 1000, rebindingTime: 3000 }
    w.bind()
    w.names()
    w.run(1001)
    const { name, m, from, to, at } = w.last
    expect([name, from, to, Math.round(at)]).toEqual(['REQUEST', '10.0.0.50', '10.0.0.1', 1000])
    expect([m.ciaddr, m.has('requestedAddress'), m.has('serverIdentifier')]).toEqual([address('10.0.0.50').w3, false, false])
    expect(w.events).toEqual(['bound 10.0.0.50/24', 'renewed 10.0.0.50/24'])
    expect(w.eth0.lease!.expiresAt - w.eth0.lease!.obtainedAt).toBe(3_600_000)
    expect(w.eth0.dhcp!.state).toBe('BOUND')
    w.run(30_000)
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
    expect(w.names().every((n) => n === 'REQUEST')).toBe(true)
  })

  it('goes to any server at T2, and ends when none answers; then all begins anew', () => {
    const w = new DhcpWorld()
    w.options = { ...w.options, leaseTime: 3600, renewalTime: 1800, rebindingTime: 3150 }
    w.bind()
    w.heard.length = 0
    w.answers = false
    w.run(3601)
    const told = w.heard.map(({ name, from, to, at }) => `${name} ${from} ${to} ${Math.round(at)}`)
    expect(told).toEqual([
      'REQUEST 10.0.0.50 10.0.0.1 1800',
      'REQUEST 10.0.0.50 10.0.0.1 2475',
      'REQUEST 10.0.0.50 10.0.0.1 2813',
      'REQUEST 10.0.0.50 10.0.0.1 2981',
      'REQUEST 10.0.0.50 10.0.0.1 3066',
      'REQUEST 10.0.0.50 10.0.0.1 3126',
      'REQUEST 10.0.0.50 255.255.255.255 3150',
      'REQUEST 10.0.0.50 255.255.255.255 3375',
      'REQUEST 10.0.0.50 255.255.255.255 3488',
      'REQUEST 10.0.0.50 255.255.255.255 3548',
      'DISCOVER 0.0.0.0 255.255.255.255 3600',
    ])
    expect(w.eth0.addresses).toEqual([])
    expect(w.eth0.nameservers).toEqual([])
    expect(w.client.routes.filter((r) => r.interface === 'eth0' && !r.destination.includes(':'))).toEqual([])
    expect(w.events).toEqual(['bound 10.0.0.50/24', 'expired -'])
    expect(w.last.m.get('requestedAddress')).toBe('10.0.0.50')
    w.answers = true
    w.bind()
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
  })

  it('of ten days, of two minutes, for ever', () => {
    for (const [seconds, days, requests] of [
      [864_000, 50, 10],
      [120, 0.01, 14],
      [0xffffffff, 400, 0],
    ]) {
      const w = new DhcpWorld()
      w.options = { ...w.options, leaseTime: seconds }
      w.bind()
      w.names()
      w.run(days * 86_400)
      const count = w.names().length
      expect(Math.abs(count - requests), `${seconds}: ${count}`).toBeLessThanOrEqual(1)
      expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
      expect(w.events.filter((e) => !/^(bound|renewed) /.test(e))).toEqual([])
    }
  })

  it('counts from when the request was sent, over the wrap of the clock too', () => {
    const w = new DhcpWorld({ startMs: 0x7fffffff - 5000 })
    w.bind()
    w.run(20_000)
    expect(w.events.slice(0, 3)).toEqual(['bound 10.0.0.50/24', 'renewed 10.0.0.50/24', 'renewed 10.0.0.50/24'])
  })

  it('is refused: NAK, and all begins anew at once', () => {
    const w = new DhcpWorld()
    w.bind()
    w.names()
    w.address = '10.0.0.60'
    w.answer = (m, usual) => (usual!.type === ACK && m.ciaddr !== 0 ? w.reply(m, NAK) : usual)
    w.run(1800)
    expect(w.names()).toEqual(['REQUEST', 'DISCOVER', 'REQUEST'])
    expect(w.events).toEqual(['bound 10.0.0.50/24', 'refused -', 'bound 10.0.0.60/24'])
    expect(w.eth0.addresses).toEqual(['10.0.0.60/24'])
  })

  it.each(['refused', 'expired'])('may be given up by whoever is told that it is %s', (why) => {
    const w = new DhcpWorld()
    w.bind()
    w.eth0.onLease = (_, event) => {
      w.events.push(event)
      w.eth0.dhcp!.release()
    }
    if (why === 'refused') w.answer = (m, usual) => (usual!.type === ACK ? w.reply(m, NAK) : usual)
    else w.answers = false
    w.run(4000)
    expect(w.events).toEqual(['bound 10.0.0.50/24', why])
    expect(w.eth0.dhcp!.state).toBe('STOPPED')
    w.heard.length = 0
    w.run(4000)
    expect(w.heard).toEqual([])
  })

  it('is refused ever again: no flood comes of it', () => {
    const w = new DhcpWorld()
    w.answer = (m, usual) => (usual!.type === ACK ? w.reply(m, NAK) : usual)
    w.run(600)
    expect(w.heard.length).toBeGreaterThan(8)
    expect(w.heard.length).toBeLessThan(40)
  })

  it('is given back when its user says so, and got again', () => {
    const w = new DhcpWorld()
    w.bind()
    w.names()
    w.eth0.dhcp!.release()
    w.run(1)
    const { name, m, from } = w.last
    expect([name, from, m.ciaddr, m.get('serverIdentifier')]).toEqual([
      'RELEASE',
      '10.0.0.50',
      address('10.0.0.50').w3,
      '10.0.0.1',
    ])
    expect(m.has('requestedAddress')).toBe(false)
    expect([w.eth0.addresses, w.eth0.lease, w.eth0.dhcp!.state]).toEqual([[], null, 'STOPPED'])
    expect(w.events).toEqual(['bound 10.0.0.50/24', 'released -'])
    w.run(100)
    expect(w.heard.length).toBe(1)
    w.eth0.dhcp!.renew()
    w.bind()
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
  })

  it('is given back when the stack closes', async () => {
    const w = new DhcpWorld()
    w.bind()
    w.names()
    await w.client.close()
    w.run(1)
    expect(w.names()).toEqual(['RELEASE'])
    expect(w.world.host.holds).toBe(0)
  })

  it('with a server whose link address is known is given back by unicast', () => {
    const w = new DhcpWorld()
    w.options = { ...w.options, renewalTime: 1000 }
    w.bind()
    w.run(1001)
    w.eth0.dhcp!.release()
    w.run(1)
    expect([w.last.name, w.last.to]).toEqual(['RELEASE', '10.0.0.1'])
  })
})

describe('what the client says of itself', () => {
  it('name, class, options of its own, the broadcast flag, the address it hopes for', () => {
    const w = new DhcpWorld({
      dhcp: {
        hostname: 'lab',
        vendorClass: 'tapstack',
        address: '10.0.0.77',
        broadcast: true,
        request: ['tftpServerName'],
        options: { userClass: Uint8Array.of(1, 65) },
      },
    })
    w.run(0.1)
    const { m } = w.heard[0]
    expect([m.get('hostName'), m.get('vendorClass'), m.get('requestedAddress'), m.broadcast]).toEqual([
      'lab',
      'tapstack',
      '10.0.0.77',
      true,
    ])
    expect(m.get('parameterRequestList')).toContain(66)
    expect([...m.get('userClass')!]).toEqual([1, 65])
    w.bind()
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
  })

  it('its full name (RFC 4702), in place of the short one; identifiers (RFC 4361)', () => {
    const w = new DhcpWorld({ dhcp: { hostname: 'lab', fqdn: 'lab.example.org', clientId: 'duid' } })
    w.run(0.1)
    const { m } = w.heard[0]
    expect(m.get('clientFqdn')).toEqual({ flags: 5, name: 'lab.example.org' })
    expect(m.has('hostName')).toBe(false)
    expect([...m.get('clientIdentifier')!]).toEqual([255, 0, 0, 0, 2, 0, 3, 0, 1, 2, 0, 0, 0, 0, 5])
    const none = new DhcpWorld({ dhcp: { clientId: 'none' } })
    none.run(0.1)
    expect(none.heard[0].m.has('clientIdentifier')).toBe(false)
  })

  it('waits for a random time at the beginning when it is told to', () => {
    const first = (seed: number): number => {
      const w = new DhcpWorld({ seed, config: { dhcp: { startDelayMs: 10_000 } } })
      w.run(11)
      return w.heard[0].at
    }
    const times = [1, 2, 3, 4].map(first)
    expect(new Set(times).size).toBe(4)
    expect(Math.max(...times)).toBeLessThanOrEqual(10)
  })

  it('two messages are enough where both sides can (RFC 4039)', () => {
    const w = new DhcpWorld({ dhcp: { rapidCommit: true } })
    w.answer = (m, usual) => (m.has('rapidCommit') ? w.reply(m, ACK, { ...w.options, rapidCommit: true }) : usual)
    w.bind()
    expect(w.names()).toEqual(['DISCOVER'])
    const without = new DhcpWorld()
    without.answer = (m, usual) =>
      usual!.type === OFFER ? without.reply(m, ACK, { ...without.options, rapidCommit: true }) : usual
    without.run(3)
    expect(without.eth0.lease).toBe(null)
    expect(without.counters).toMatchObject({ dropState: 1 })
  })

  it('asks for everything but the address, for one that is given (INFORM)', async () => {
    const w = new DhcpWorld({ later: true, dhcp: { inform: true } })
    w.attach()
    w.eth0.addAddress('10.0.0.9/24')
    w.answer = (m) => {
      const r = w.reply(m, ACK)
      r.yiaddr = 0
      r.options.delete(51)
      return r
    }
    await w.world.settle(w.eth0.ready)
    const { name, m, from } = w.heard[0]
    expect([name, from, m.ciaddr, m.has('requestedAddress'), m.has('serverIdentifier')]).toEqual([
      'INFORM',
      '10.0.0.9',
      address('10.0.0.9').w3,
      false,
      false,
    ])
    expect(w.eth0.nameservers).toEqual(['10.0.0.1', '10.0.0.3'])
    expect(w.eth0.addresses).toEqual(['10.0.0.9/24'])
    expect(w.events).toEqual(['informed 10.0.0.9/24'])
    expect(w.eth0.lease!.expiresAt).toBe(Number.POSITIVE_INFINITY)
    await w.client.close()
    w.run(1)
    expect(w.names()).toEqual(['INFORM'])
  })
})
