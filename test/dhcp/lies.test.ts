import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { ACK, type DhcpMessage, OFFER } from '../../src/dhcp/message.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { DhcpWorld } from '../support/dhcp-world.ts'

/** A world whose server's OFFERs and ACKs are changed by the test. */
function lying(change: (r: DhcpMessage, m: DhcpMessage) => void, type?: number): DhcpWorld {
  const w = new DhcpWorld()
  w.answer = (m, usual) => {
    if (usual !== null && (type === undefined || usual.type === type)) change(usual, m)
    return usual
  }
  w.run(20)
  return w
}

const put = (text: string) => (r: DhcpMessage) => {
  r.yiaddr = address(text).w3
}

describe('a server is not believed', () => {
  it.each<[string, (r: DhcpMessage) => void, string]>([
    [
      'with the transaction id of another',
      (r) => {
        r.xid++
      },
      'dropOtherClient',
    ],
    [
      'with the link address of another',
      (r) => {
        r.chaddr = Uint8Array.of(2, 0, 0, 0, 0, 6)
      },
      'dropOtherClient',
    ],
    ['with no server identifier', (r) => void r.options.delete(54), 'dropNoServer'],
    ['that offers 0.0.0.0', put('0.0.0.0'), 'dropBadAddress'],
    ['that offers everybody', put('255.255.255.255'), 'dropBadAddress'],
    [
      'that offers a group',
      (r) => {
        put('224.0.0.9')(r)
        r.broadcast = true
      },
      'dropBadAddress',
    ],
    ['that offers the loopback', put('127.0.0.1'), 'dropBadAddress'],
    ['that offers a broadcast address', put('10.0.0.255'), 'dropBadAddress'],
    ['that offers a network', put('10.0.0.0'), 'dropBadAddress'],
    ['that offers no time', (r) => void r.set('leaseTime', 0), 'dropBadAddress'],
  ])('%s', (_, change, counter) => {
    const w = lying(change)
    expect(w.eth0.lease).toBe(null)
    expect(w.eth0.addresses).toEqual([])
    expect(w.counters[counter]).toBeGreaterThan(0)
    expect(w.names().every((n) => n === 'DISCOVER')).toBe(true)
  })

  it.each<[string, (r: DhcpMessage) => void, string]>([
    ['whose ACK is for another address', put('10.0.0.51'), 'dropBadAddress'],
    ['whose ACK is another server’s', (r) => void r.set('serverIdentifier', '10.0.0.66'), 'dropOtherServer'],
    ['whose ACK lasts no time', (r) => void r.set('leaseTime', 0), 'dropBadLease'],
  ])('%s', (_, change, counter) => {
    const w = lying(change, ACK)
    expect(w.eth0.lease).toBe(null)
    expect(w.counters[counter]).toBeGreaterThan(0)
  })

  it('with an ACK that nobody asked for, before and after', () => {
    const w = lying((r) => void r.set('messageType', ACK), OFFER)
    expect(w.eth0.lease).toBe(null)
    expect(w.counters.dropState).toBeGreaterThan(0)
    const bound = new DhcpWorld()
    bound.bind()
    bound.address = '10.0.0.99'
    bound.say(bound.reply(bound.heard[0].m, ACK))
    bound.run(1)
    expect(bound.eth0.addresses).toEqual(['10.0.0.50/24'])
  })
})

describe('what a server leaves out, or says badly', () => {
  const bound = (change: (w: DhcpWorld) => void): DhcpWorld => {
    const w = new DhcpWorld()
    change(w)
    w.bind()
    return w
  }
  const gateways = (w: DhcpWorld): unknown[] =>
    w.client.routes.filter((r) => r.gateway !== null).map((r) => `${r.destination} ${r.gateway}`)

  it('the mask: that of the class', () => {
    const w = bound((x) => void delete x.options.subnetMask)
    expect(w.eth0.addresses).toEqual(['10.0.0.50/8'])
    const holes = bound((x) => {
      x.options.subnetMask = '255.0.255.0'
    })
    expect(holes.eth0.addresses).toEqual(['10.0.0.50/8'])
    const c = bound((x) => {
      x.address = '192.168.7.4'
      delete x.options.subnetMask
    })
    expect(c.eth0.addresses).toEqual(['192.168.7.4/24'])
  })

  it('the lease time: an hour', () => {
    const w = bound((x) => void delete x.options.leaseTime)
    expect(w.eth0.lease!.expiresAt - w.eth0.lease!.obtainedAt).toBe(3_600_000)
  })

  it('T1 and T2 that cannot be: those of the RFC', () => {
    const w = bound((x) => Object.assign(x.options, { renewalTime: 5000, rebindingTime: 4000 }))
    const { renewAt, rebindAt, obtainedAt } = w.eth0.lease!
    expect(renewAt - obtainedAt).toBeLessThanOrEqual(1_800_000)
    expect(rebindAt - obtainedAt).toBeLessThanOrEqual(3_150_000)
    expect(renewAt).toBeLessThan(rebindAt)
  })

  it('routers that are nobody', () => {
    const w = bound((x) => {
      x.options.routers = ['0.0.0.0', '224.0.0.1', '10.0.0.50', '10.0.0.1']
    })
    expect(gateways(w)).toEqual(['0.0.0.0/0 10.0.0.1'])
  })

  it('a router off the network: it is on the link', () => {
    const w = bound((x) => {
      x.options.subnetMask = '255.255.255.255'
    })
    expect(w.eth0.addresses).toEqual(['10.0.0.50/32'])
    expect(gateways(w)).toEqual(['0.0.0.0/0 10.0.0.1'])
  })

  it('classless routes (RFC 3442): routers and static routes of old do not count', () => {
    const w = bound((x) => {
      x.options.classlessRoutes = [
        { destination: '172.16.0.0/12', gateway: '10.0.0.7' },
        { destination: '10.9.0.0/16', gateway: '0.0.0.0' },
        { destination: '0.0.0.0/0', gateway: '10.0.0.8' },
      ]
      x.options.staticRoutes = [['192.168.1.0', '10.0.0.9']]
    })
    expect(gateways(w).sort()).toEqual(['0.0.0.0/0 10.0.0.8', '172.16.0.0/12 10.0.0.7'])
    expect(w.client.routes.map((r) => r.destination)).toContain('10.9.0.0/16')
    expect(w.eth0.lease!.routers).toEqual(['10.0.0.8'])
    w.eth0.dhcp!.release()
    expect(w.client.routes.filter((r) => r.interface === 'eth0' && r.origin !== 'connected')).toEqual([])
  })

  it('static routes of old, by class', () => {
    const w = bound((x) => {
      x.options.staticRoutes = [['192.168.1.0', '10.0.0.9']]
    })
    expect(gateways(w).sort()).toEqual(['0.0.0.0/0 10.0.0.1', '192.168.1.0/24 10.0.0.9'])
  })

  it('the MTU is applied, and goes with the lease; not one that would be harm', () => {
    const w = bound((x) => {
      x.options.interfaceMtu = 1400
    })
    expect(w.eth0.mtu).toBe(1400)
    w.eth0.dhcp!.release()
    expect(w.eth0.mtu).toBe(1500)
    expect(
      bound((x) => {
        x.options.interfaceMtu = 100
      }).eth0.mtu,
    ).toBe(1500)
    expect(
      bound((x) => {
        x.options.interfaceMtu = 9000
      }).eth0.mtu,
    ).toBe(1500)
    const six = new DhcpWorld({ config: { nd: { dadTransmits: 0 } } })
    six.eth0.addAddress('fd00::1/64')
    six.options.interfaceMtu = 1000
    six.bind()
    expect(six.eth0.mtu).toBe(1500)
  })

  it('search lists: option 119, else the domain', () => {
    const w = bound((x) => {
      x.options.domainSearch = ['a.example', 'b.a.example']
    })
    expect(w.eth0.searchDomains).toEqual(['a.example', 'b.a.example'])
    expect(
      bound((x) => {
        x.options.domainName = 'one.example two.example'
      }).eth0.searchDomains,
    ).toEqual(['one.example', 'two.example'])
  })
})

describe('the client', () => {
  it('takes the first of two servers, and no other', () => {
    const w = new DhcpWorld()
    w.answer = (m, usual) => {
      if (usual?.type === OFFER) {
        w.say(usual)
        w.address = '10.0.0.51'
        w.say(w.reply(m, OFFER).set('serverIdentifier', '10.0.0.2'))
        w.address = '10.0.0.50'
        return null
      }
      return usual
    }
    w.bind()
    expect(w.eth0.addresses).toEqual(['10.0.0.50/24'])
    expect(w.last.m.get('serverIdentifier')).toBe('10.0.0.1')
  })

  it('prefers the address that it hopes for, for a second', () => {
    const w = new DhcpWorld({ dhcp: { address: '10.0.0.51' } })
    w.answer = (m, usual) => {
      if (usual?.type !== OFFER) {
        w.address = m.get('requestedAddress')!
        return usual === null ? null : w.reply(m, ACK).set('serverIdentifier', m.get('serverIdentifier')!)
      }
      w.say(usual)
      w.address = '10.0.0.51'
      w.say(w.reply(m, OFFER).set('serverIdentifier', '10.0.0.2'))
      w.address = '10.0.0.50'
      return null
    }
    w.bind()
    expect([w.eth0.addresses, w.eth0.lease!.server]).toEqual([['10.0.0.51/24'], '10.0.0.2'])
  })

  it('begins anew when the server that offered is silent then', () => {
    const w = new DhcpWorld()
    w.answer = (_, usual) => (usual?.type === OFFER ? usual : null)
    w.run(70)
    expect(w.names().slice(0, 6)).toEqual(['DISCOVER', 'REQUEST', 'REQUEST', 'REQUEST', 'REQUEST', 'DISCOVER'])
  })

  it('needs Ethernet', () => {
    const w = new DhcpWorld()
    const [link] = createPipe({ medium: 'ip' })
    expect(() => w.client.attach(link, { dhcp: true })).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }))
    expect(w.client.interfaces.length).toBe(1)
  })

  it('refuses options that cannot be sent', () => {
    const w = new DhcpWorld()
    const [link] = createPipe()
    const bad = { hostname: '' }
    expect(() => w.client.attach(link, { dhcp: bad })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})
