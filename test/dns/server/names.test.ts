import { afterEach, describe, expect, it } from 'vitest'
import type { ConfigOverrides } from '../../../src/base/config.ts'
import { encodeMessage, type Message, Rcode } from '../../../src/dns/message.ts'
import type { NamedLease } from '../../../src/dns/server/leases.ts'
import { createPipe } from '../../../src/link/pipe.ts'
import { createWorld, type World } from '../../../src/sim/world.ts'
import type { StackDnsServerOptions } from '../../../src/stack/dns-server.ts'
import type { Stack } from '../../../src/stack/stack.ts'
import { DnsAsker, edns, query, told } from '../../support/dns-asker.ts'
import { a, aaaa, cname, record, reply, type Script, soa, TestServer, zone } from '../../support/dns-server.ts'

const worlds: World[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

interface Setting {
  world: World
  /** 10.0.0.1 */
  client: DnsAsker
  /** 10.0.0.2, and 10.0.1.1 to what is beyond. */
  gateway: Stack
  /** 10.0.1.2 */
  upstream: TestServer
}

const QUIET: ConfigOverrides = { arp: { probe: false }, nd: { dadTransmits: 0 } }
const OUTSIDE = zone(
  a('www.example', '192.0.2.1', 300),
  cname('alias.example', 'mid.example', 200),
  cname('mid.example', 'www.example', 100),
  cname('gone.example', 'nothing.example'),
  a('evil.example', '192.168.1.1'),
  aaaa('evil6.example', 'fd00::1'),
  aaaa('mapped.example', '::ffff:10.0.0.1'),
  record('hint.example', 'HTTPS', {
    priority: 1,
    target: '',
    params: [{ key: 4, value: Uint8Array.of(192, 0, 2, 1, 10, 0, 0, 1) }],
  }),
  soa('example', 60),
)

function setting(options: StackDnsServerOptions = {}, config: ConfigOverrides = {}, script: Script = OUTSIDE): Setting {
  const world = createWorld()
  worlds.push(world)
  const near = world.stack(QUIET)
  const gateway = world.stack({ ...QUIET, ...config })
  const far = world.stack(QUIET)
  world.link(near, gateway, { delay: 1 })
  world.link(gateway, far, { delay: 1 })
  gateway.dnsServer(options)
  return { world, gateway, client: new DnsAsker(world, near, '10.0.0.2'), upstream: new TestServer(far, script, '10.0.1.2') }
}

const FORWARD = { forward: ['10.0.1.2'] }

function counts({ gateway }: Setting): Record<string, number> {
  return gateway.counters(true)['dns.server']
}

describe('questions passed on', () => {
  it('answers come with their chain; what is remembered is not asked again, and grows old', () => {
    const s = setting(FORWARD)
    const expected = 'NOERROR ra: Alias.example CNAME mid.example., mid.example CNAME www.example., www.example A 192.0.2.1'
    expect(s.client.ask('Alias.example')).toBe(expected)
    s.world.run(10_000)
    const again = s.client.udp(query('Alias.example'))!
    expect(told(again)).toBe(expected)
    expect(again.answers.map((r) => r.ttl)).toEqual([190, 90, 290])
    expect(s.upstream.log).toEqual(['A alias.example'])
    expect(s.upstream.asked[0].message.questions[0].name).not.toBe('alias.example') // 0x20
    expect(counts(s)).toMatchObject({ forwarded: 2, noError: 2 })
  })

  it('what is not there comes with its SOA', () => {
    const s = setting(FORWARD)
    expect(s.client.ask('no.example')).toBe('NXDOMAIN ra: | example SOA')
    expect(s.client.ask('www.example', 'MX')).toBe('NOERROR ra: | example SOA')
    expect(s.client.ask('gone.example')).toBe('NXDOMAIN ra: gone.example CNAME nothing.example. | example SOA')
    s.world.run(5_000)
    expect(s.client.udp(query('no.example'))!.authorities[0].ttl).toBeLessThan(300)
    expect(s.upstream.asked.length).toBe(3)
  })

  it('equal questions of many are one', () => {
    const s = setting(FORWARD)
    const connection = s.client.connect()
    connection.send(...Array.from({ length: 5 }, (_, id) => queryBytes('www.example', id)))
    s.world.run(100)
    expect(connection.messages.map(told)).toEqual(Array(5).fill('NOERROR ra: www.example A 192.0.2.1'))
    expect(s.upstream.asked.length).toBe(1)
  })

  it('a chain that leaves our zones goes on there', () => {
    const s = setting({
      ...FORWARD,
      zones: { lab: { out: { CNAME: 'www.example.' }, dead: { CNAME: 'no.example.' }, x: { CNAME: 'y.test.' } } },
    })
    expect(s.client.ask('out.lab')).toBe('NOERROR aa ra: out.lab CNAME www.example., www.example A 192.0.2.1')
    expect(s.client.ask('dead.lab')).toBe('NXDOMAIN aa ra: dead.lab CNAME no.example. | example SOA')
    expect(s.client.ask('x.lab')).toBe('NXDOMAIN aa ra: x.lab CNAME y.test. | test SOA')
    expect(s.client.ask('out.lab', 'A', { recursionDesired: false })).toBe('NOERROR aa ra: out.lab CNAME www.example.')
  })

  it.each([
    ['SERVFAIL', Rcode.SERVFAIL, 'SERVFAIL ra:'],
    ['REFUSED', Rcode.REFUSED, 'REFUSED ra:'],
    ['NOTIMP', Rcode.NOTIMP, 'NOTIMP ra:'],
  ])('%s of others is %s', (_, rcode, expected) => {
    const s = setting(FORWARD, {}, (asked) => reply(asked, { rcode }))
    expect(s.client.ask('www.example')).toBe(expected)
  })

  it('silence, nobody there and no server are SERVFAIL, and the extended error says why (RFC 8914)', () => {
    const why = (m: Message | null): unknown => [told(m), m?.edns?.options.map((o) => [o.code, ...o.data])]
    const s = setting(FORWARD, { dns: { attempts: 1, timeoutMs: 50 } }, () => null)
    expect(why(s.client.udp(query('www.example', 'A', { edns: edns() })))).toEqual(['SERVFAIL ra:', [[15, 0, 22]]])
    const nobody = setting({ forward: ['10.0.1.2:54'] })
    expect(why(nobody.client.udp(query('www.example', 'A', { edns: edns() })))).toEqual(['SERVFAIL ra:', [[15, 0, 23]]])
    const none = setting({ forward: true })
    expect(why(none.client.udp(query('www.example', 'A', { edns: edns() })))).toEqual(['SERVFAIL ra:', [[15, 0, 22]]])
    expect(setting().client.ask('www.example')).toBe('REFUSED:')
    expect(s.client.ask('www.example', 'A', { recursionDesired: false })).toBe('REFUSED ra:')
  })

  it('who waits for an answer over TCP is not idle', () => {
    const s = setting(FORWARD, { dns: { timeoutMs: 8_000 } }, () => null)
    const waiting = s.client.connect()
    waiting.send(queryBytes('www.example', 1))
    s.world.run(30_000)
    expect(waiting.messages.map(told)).toEqual(['SERVFAIL ra:'])
    expect(s.world.elapsedMs).toBeGreaterThan(20_000)
    s.world.run(15_000)
    expect([waiting.ended, counts(s).idleConnections]).toEqual(['', 1])
  })

  it('true: the servers that the stack knows, with its own cache', () => {
    const s = setting({ forward: true }, { dns: { servers: ['10.0.1.2'] } })
    expect(s.client.ask('www.example')).toBe('NOERROR ra: www.example A 192.0.2.1')
    expect(s.gateway.resolver.cached('www.example', 'A')?.code).toBe('')
  })

  it('by domain: the longest that has the name', () => {
    const s = setting({ forward: { '.': ['10.0.1.2'], 'corp.example': ['10.0.1.3'], '10.in-addr.arpa': ['10.0.1.3'] } })
    const { stack: far } = s.upstream
    far.interfaces[0].addAddress('10.0.1.3/24', { probe: false })
    const corp = new TestServer(
      far,
      zone(a('x.corp.example', '10.9.9.9'), record('9.9.9.10.in-addr.arpa', 'PTR', { ptrdname: 'x.corp.example' })),
      '10.0.1.3',
    )
    expect(s.client.ask('x.corp.example')).toBe('NOERROR ra: x.corp.example A 10.9.9.9')
    expect(s.client.ask('9.9.9.10.in-addr.arpa', 'PTR')).toBe('NOERROR ra: 9.9.9.10.in-addr.arpa PTR x.corp.example.')
    expect(s.client.ask('www.example')).toBe('NOERROR ra: www.example A 192.0.2.1')
    expect([corp.log.length, s.upstream.log.length]).toEqual([2, 1])
  })

  it('so many at once, so many a second of one client', () => {
    const s = setting(FORWARD, { dnsServer: { forwardsPerSecond: 5, maxPending: 3 } }, () => null)
    const connection = s.client.connect()
    connection.send(...Array.from({ length: 8 }, (_, id) => queryBytes(`n${id}.example`, id)))
    s.world.run(100)
    expect(connection.messages.map(told)).toEqual(Array(5).fill('SERVFAIL ra:'))
    expect(counts(s)).toMatchObject({ forwarded: 3, tooMany: 5 })
    const patient = setting(FORWARD, { dnsServer: { forwardsPerSecond: 2 } })
    expect([1, 2, 3].map((i) => patient.client.ask(`n${i}.example`))).toEqual([
      'NXDOMAIN ra: | example SOA',
      'NXDOMAIN ra: | example SOA',
      'REFUSED ra:',
    ])
    expect(counts(patient).refusedRate).toBe(1)
  })

  it('end with the server', async () => {
    const s = setting(FORWARD, {}, () => null)
    const waiting = s.client.connect()
    waiting.send(queryBytes('www.example', 1))
    s.world.run(100)
    const [server] = s.gateway.dnsServers
    server.close()
    s.world.run(100)
    expect([waiting.got.length, waiting.ended]).toEqual([0, ''])
    waiting.close()
    s.world.run(100)
    expect(s.gateway.udp.sockets()).toEqual([])
    expect(s.world.host.holds).toBe(0)
  })

  it('answers that lead into the network are refused when that is wanted (DNS rebinding), but for some', () => {
    const s = setting({ ...FORWARD, rebindProtection: true })
    for (const [name, type] of [
      ['evil.example', 'A'],
      ['evil6.example', 'AAAA'],
      ['mapped.example', 'AAAA'],
      ['hint.example', 'HTTPS'],
    ]) {
      expect(s.client.ask(name, type)).toBe('REFUSED ra:')
    }
    expect(s.client.ask('www.example')).toBe('NOERROR ra: www.example A 192.0.2.1')
    expect(counts(s).refusedRebind).toBe(4)
    expect(setting({ ...FORWARD, rebindProtection: ['example'] }).client.ask('evil.example')).toBe(
      'NOERROR ra: evil.example A 192.168.1.1',
    )
    expect(setting(FORWARD).client.ask('evil.example')).toBe('NOERROR ra: evil.example A 192.168.1.1')
  })
})

function queryBytes(name: string, id: number): Uint8Array {
  return encodeMessage(query(name, 'A', { id }))
}

describe('names of our own', () => {
  it('of hosts, both ways, and of the addresses of zones', () => {
    const s = setting({
      hosts: '10.0.0.7 nas nas.home # a comment\nfd00::7 nas\nfe80::1%eth0 linked',
      zones: { lab: { www: { A: '10.0.0.5', AAAA: 'fd00::5' }, other: { A: '10.0.0.5' }, '*': { A: '10.0.0.6' } } },
    })
    expect(s.client.ask('NAS')).toBe('NOERROR aa: NAS A 10.0.0.7')
    expect(s.client.ask('nas', 'AAAA')).toBe('NOERROR aa: nas AAAA fd00::7')
    expect(s.client.ask('nas', 'MX')).toBe('NOERROR aa:')
    expect(s.client.ask('linked')).toBe('REFUSED:')
    expect(s.client.ask('7.0.0.10.in-addr.arpa', 'PTR')).toBe('NOERROR aa: 7.0.0.10.in-addr.arpa PTR nas.')
    expect(s.client.ask('5.0.0.10.in-addr.arpa', 'PTR')).toBe(
      'NOERROR aa: 5.0.0.10.in-addr.arpa PTR www.lab., 5.0.0.10.in-addr.arpa PTR other.lab.',
    )
    const six = `5.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`
    expect(s.client.ask(six, 'PTR')).toBe(`NOERROR aa: ${six} PTR www.lab.`)
    expect(s.client.ask('6.0.0.10.in-addr.arpa', 'PTR')).toBe('NXDOMAIN aa: | 10.in-addr.arpa SOA')
    const off = setting({ reverse: false, zones: { lab: { www: { A: '10.0.0.5' } } } })
    expect(off.client.ask('5.0.0.10.in-addr.arpa', 'PTR')).toBe('NXDOMAIN aa: | 10.in-addr.arpa SOA')
  })

  it.each([
    ['localhost', 'A', 'NOERROR aa: localhost A 127.0.0.1'],
    ['x.localhost', 'AAAA', 'NOERROR aa: x.localhost AAAA ::1'],
    ['localhost', 'MX', 'NOERROR aa: | localhost SOA'],
    ['1.0.0.127.in-addr.arpa', 'PTR', 'NOERROR aa: 1.0.0.127.in-addr.arpa PTR localhost.'],
    [`1.${'0.'.repeat(31)}ip6.arpa`, 'PTR', `NOERROR aa: 1.${'0.'.repeat(31)}ip6.arpa PTR localhost.`],
    ['1.0.168.192.in-addr.arpa', 'PTR', 'NXDOMAIN aa: | 168.192.in-addr.arpa SOA'],
    ['1.0.31.172.in-addr.arpa', 'PTR', 'NXDOMAIN aa: | 31.172.in-addr.arpa SOA'],
    ['1.0.127.100.in-addr.arpa', 'PTR', 'NXDOMAIN aa: | 127.100.in-addr.arpa SOA'],
    ['1.d.f.ip6.arpa', 'PTR', 'NXDOMAIN aa: | d.f.ip6.arpa SOA'],
    ['printer.local', 'A', 'NXDOMAIN aa: | local SOA'],
    ['router.home.arpa', 'A', 'NXDOMAIN aa: | home.arpa SOA'],
    ['x.onion', 'A', 'NXDOMAIN aa: | onion SOA'],
    ['10.in-addr.arpa', 'SOA', 'NOERROR aa: 10.in-addr.arpa SOA'],
  ])("that are never anybody's are asked of nobody (RFC 6303, RFC 6761): %s %s", (name, type, expected) => {
    const s = setting(FORWARD)
    expect(s.client.ask(name, type).replace(' ra', '')).toBe(expected)
    expect(s.upstream.asked).toEqual([])
  })

  it('32.172, 128.100 and what else is like those are asked; all of them when that is wanted', () => {
    const s = setting(FORWARD)
    s.client.ask('1.0.32.172.in-addr.arpa', 'PTR')
    s.client.ask('1.0.128.100.in-addr.arpa', 'PTR')
    s.client.ask('localhost.example')
    expect(s.upstream.log).toEqual(['PTR 1.0.32.172.in-addr.arpa', 'PTR 1.0.128.100.in-addr.arpa', 'A localhost.example'])
    const off = setting({ ...FORWARD, localZones: false })
    off.client.ask('1.0.168.192.in-addr.arpa', 'PTR')
    expect(off.upstream.log.length).toBe(1)
  })
})

describe('names of leases', () => {
  const lease = (
    last: number,
    hostname: string | null,
    state: NamedLease['state'] = 'bound',
    mac = `02:00:00:00:00:0${last}`,
  ): NamedLease => {
    return { address: `10.0.0.${last}`, mac, hostname, state }
  }

  /** What a DHCP server is to names. */
  function leasesOf(...leases: NamedLease[]) {
    const watchers = new Set<(lease: NamedLease) => void>()
    const tell = (l: NamedLease): void => {
      for (const watch of watchers) watch(l)
    }
    const watch = (watcher: (lease: NamedLease) => void) => {
      watchers.add(watcher)
      return () => void watchers.delete(watcher)
    }
    return { source: { leases, watch }, tell, watchers }
  }

  it('come and go with them, both ways, in a zone of their own', () => {
    const { source, tell, watchers } = leasesOf(lease(3, 'Laptop.example.com'))
    const s = setting({ ...FORWARD, leases: source })
    expect(s.client.ask('laptop.lan')).toBe('NOERROR aa ra: laptop.lan A 10.0.0.3')
    expect(s.client.ask('3.0.0.10.in-addr.arpa', 'PTR')).toBe('NOERROR aa ra: 3.0.0.10.in-addr.arpa PTR laptop.lan.')
    expect(s.client.ask('nobody.lan')).toBe('NXDOMAIN aa ra: | lan SOA')
    tell(lease(4, 'pc'))
    tell(lease(3, 'laptop', 'free'))
    expect(s.client.ask('pc.lan')).toBe('NOERROR aa ra: pc.lan A 10.0.0.4')
    expect(s.client.ask('laptop.lan')).toBe('NXDOMAIN aa ra: | lan SOA')
    tell(lease(4, 'pc-2'))
    expect([s.client.ask('pc.lan'), s.client.ask('pc-2.lan')]).toEqual([
      'NXDOMAIN aa ra: | lan SOA',
      'NOERROR aa ra: pc-2.lan A 10.0.0.4',
    ])
    const serial = [...s.gateway.dnsServers][0].zone('lan')!.soa.data.serial
    tell(lease(4, 'pc-2'))
    expect([...s.gateway.dnsServers][0].zone('lan')!.soa.data.serial).toBe(serial)
    ;[...s.gateway.dnsServers][0].close()
    expect(watchers.size).toBe(0)
  })

  it('nobody takes the name of another, of the zone, or one that is trusted; the same client takes his along', () => {
    const { source, tell } = leasesOf(lease(3, 'pc'))
    const s = setting({ zones: { home: { nas: { A: '10.0.0.250' } } }, domain: 'home', leases: source })
    for (const name of ['pc', 'nas', 'wpad', 'localhost', 'a b', '-x', '*', 'x'.repeat(64), 'ü']) tell(lease(9, name))
    tell(lease(8, null))
    expect(counts(s).leaseNamesRefused).toBe(9)
    expect(s.client.ask('pc.home')).toBe('NOERROR aa: pc.home A 10.0.0.3')
    expect(s.client.ask('nas.home')).toBe('NOERROR aa: nas.home A 10.0.0.250')
    tell(lease(7, 'pc', 'bound', '02:00:00:00:00:03'))
    expect(s.client.ask('pc.home')).toBe('NOERROR aa: pc.home A 10.0.0.7')
    tell(lease(3, 'pc', 'free'))
    expect(s.client.ask('pc.home')).toBe('NOERROR aa: pc.home A 10.0.0.7')
  })

  it('of a real DHCP server: the client is found under the name that it gave', async () => {
    const world = createWorld()
    worlds.push(world)
    const [gateway, host, other] = [world.stack(QUIET), world.stack(QUIET), world.stack(QUIET)]
    const { a: lan } = world.link(gateway, other)
    const [left, right] = createPipe()
    const eth1 = gateway.attach(left, { addresses: ['10.0.1.1/24'] })
    const dhcp = gateway.dhcpServer(eth1, { ranges: ['10.0.1.50-10.0.1.60'], probe: false })
    gateway.dnsServer({ leases: dhcp, interfaces: [lan, eth1] })
    host.attach(right, { dhcp: { hostname: 'laptop', probe: false } })
    world.run(20_000)
    expect(dhcp.leases.length).toBe(1)
    const asker = new DnsAsker(world, other, '10.0.0.1')
    expect(asker.ask('laptop.lan')).toBe('NOERROR aa: laptop.lan A 10.0.1.50')
    await world.settle(host.close())
    world.run(100)
    expect(asker.ask('laptop.lan')).toBe('NXDOMAIN aa: | lan SOA')
  })
})
