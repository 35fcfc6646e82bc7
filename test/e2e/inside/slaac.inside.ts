/** Router advertisements between a stack on a tap and the host: radvd's to us, ours to the kernel and rdisc6; tshark is the judge. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { endTcpdump, judged, MAC, received, run, type Served, serve, sh, tcpdump, until, untilSucceeds } from './lab.ts'

const dir = scratchFolder('slaac')
/** As fast as may be: the waits are the RFCs', their lengths are not what is tested here. */
const FAST = { dadDelayMs: 50, retransTimerMs: 300, routerSolicitDelayMs: 50 }

beforeAll(() => {
  sh('ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad')
})

function sysctl6(device: string, name: string, value: number): void {
  sh(`echo ${value} > /proc/sys/net/ipv6/conf/${device}/${name}`)
}

async function pings(stack: NodeStack, address: string): Promise<(string | undefined)[]> {
  const errors = []
  for await (const reply of stack.ping(address, { count: 2, intervalMs: 10 })) errors.push(reply.error)
  return errors
}

describe('radvd on the host', () => {
  const wire = join(dir, 'radvd.pcap')
  let stack: NodeStack
  let eth0: AttachedInterface
  let dump: Served
  let radvd: Served
  let hostLinkLocal: string

  beforeAll(async () => {
    const tap = await openTap({ name: 'tap0', host: 'fd00:5::1/64', offload: false })
    sysctl6('tap0', 'forwarding', 1)
    // A network behind the router.
    sh('ip -6 addr add fd00:77::1/64 dev lo')
    hostLinkLocal = /inet6 (fe80::[0-9a-f:]+)\/64/.exec(sh('ip -6 addr show dev tap0'))![1]
    dump = await tcpdump(wire, 2000)
    const config = join(dir, 'radvd.conf')
    writeFileSync(
      config,
      `interface tap0 {
        AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvLinkMTU 1400; AdvDefaultPreference high;
        AdvCurHopLimit 33; AdvReachableTime 20000; AdvOtherConfigFlag on; AdvDefaultLifetime 300;
        prefix fd00:5::/64 { AdvValidLifetime 3600; AdvPreferredLifetime 1800; };
        prefix fd00:6::/64 { AdvOnLink off; };
        route fd00:99::/48 { AdvRoutePreference low; AdvRouteLifetime 600; };
        RDNSS fd00:5::1 fe80::53 { AdvRDNSSLifetime 900; };
        DNSSL example.org lab.example.org { AdvDNSSLLifetime 900; };
      };\n`,
    )
    stack = createStack({ name: 'slaac', nd: FAST })
    stack.host.hold()
    eth0 = stack.attach(tap, { name: 'eth0', mac: MAC, slaac: true })
    // Asked for before there is one.
    await until(() => stack.counters().routers.outRouterSolicits > 0)
    radvd = await serve('radvd', ['-n', '-m', 'stderr', '-d', '1', '-C', config, '-p', join(dir, 'radvd.pid')], /syntax ok/)
    await eth0.ready
  })

  afterAll(async () => {
    stack.host.release()
    await radvd.stop('SIGTERM')
    await stack.close()
  })

  it('gives an address, and what else there is', async () => {
    expect(eth0.addresses).toContainEqual(expect.stringMatching(/^fd00:5::[0-9a-f:]+\/64$/))
    expect(eth0.ra).toMatchObject({
      managed: false,
      other: true,
      mtu: 1400,
      hopLimit: 33,
      reachableTimeMs: 20_000,
      routers: [{ address: `${hostLinkLocal}%eth0`, preference: 'high', silent: false }],
    })
    expect(eth0.nameservers).toEqual(['fd00:5::1', 'fe80::53%eth0'])
    expect(eth0.searchDomains).toEqual(['example.org', 'lab.example.org'])
    expect(eth0.ra!.prefixes.map((p) => p.prefix)).toEqual(['fd00:5::/64'])
    expect(stack.routes.filter((r) => r.origin === 'ra').map((r) => `${r.destination} ${r.gateway}`)).toEqual([
      'fd00:5::/64 null',
      `fd00:99::/48 ${hostLinkLocal}%eth0`,
      `::/0 ${hostLinkLocal}%eth0`,
    ])
  })

  it('leads to neighbours and beyond', async () => {
    expect(await pings(stack, 'fd00:5::1')).toEqual([undefined, undefined])
    expect(await pings(stack, 'fd00:77::1')).toEqual([undefined, undefined])
    const ours = eth0.addresses.find((a) => a.startsWith('fd00:5:'))!.split('/')[0]
    const ran = await run(`exec ping -6 -n -i 0.05 -c 3 -w 10 -s 1352 -M do ${ours}`)
    expect(received(ran), ran.out + ran.err).toBeGreaterThanOrEqual(3)
  })

  it('is gone when it says so', async () => {
    await radvd.stop('SIGTERM')
    await until(() => eth0.ra!.routers.length === 0)
    expect(stack.routes.some((r) => r.destination === '::/0')).toBe(false)
  })

  it('hears nothing from us that tshark finds wrong', async () => {
    expect(await endTcpdump(dump)).toBe(0)
    expect(
      (await judged(wire, '_ws.malformed || _ws.expert.severity == error || icmpv6.checksum.status == "Bad"')).join('\n'),
    ).toBe('')
    expect((await judged(wire, 'icmpv6.type == 133 && eth.src == 02:00:00:00:00:02')).length).toBeGreaterThan(0)
    expect(stack.counters(true).routers).not.toHaveProperty('dropPrefix')
  })
})

describe('a router of ours', () => {
  const wire = join(dir, 'ours.pcap')
  let stack: NodeStack
  let eth0: AttachedInterface
  let dump: Served

  beforeAll(async () => {
    sysctl6('default', 'accept_ra', 1)
    sysctl6('default', 'autoconf', 1)
    sysctl6('default', 'forwarding', 0)
    const tap = await openTap({ name: 'tap0', host: '10.0.0.1/24', offload: false })
    sysctl6('tap0', 'accept_ra_rt_info_max_plen', 64)
    dump = await tcpdump(wire, 2000)
    stack = createStack({ name: 'router', forwarding: true, nd: FAST })
    stack.host.hold()
    eth0 = stack.attach(tap, { name: 'eth0', mac: MAC, addresses: ['fd00:8::1/64'] })
    await eth0.ready
    eth0.advertise({
      mtu: 1400,
      preference: 'high',
      hopLimit: 44,
      routes: [{ prefix: 'fd00:99::/48', preference: 'low', lifetime: 600 }],
      rdnss: ['fd00:8::53'],
      dnssl: ['example.org'],
      other: true,
    })
  })

  afterAll(async () => {
    stack.host.release()
    await stack.close()
  })

  it('is what the kernel configures itself by', async () => {
    await untilSucceeds('ip -6 addr show dev tap0 scope global | grep -q "inet6 fd00:8:.*dynamic"')
    const routes = sh('ip -6 route show dev tap0')
    expect(routes).toMatch(/default via fe80::ff:fe00:2 .*proto ra .*mtu 1400.* pref high/)
    expect(routes).toMatch(/fd00:99::\/48 via fe80::ff:fe00:2 .*pref low/)
    expect(sh('cat /proc/sys/net/ipv6/conf/tap0/mtu').trim()).toBe('1400')
    expect(sh('cat /proc/sys/net/ipv6/conf/tap0/hop_limit').trim()).toBe('44')
    const ran = await run('exec ping -6 -n -i 0.05 -c 3 -w 10 fd00:8::1')
    expect(received(ran), ran.out + ran.err).toBeGreaterThanOrEqual(3)
  })

  it('answers rdisc6', async () => {
    const ran = await run('exec rdisc6 -1 tap0')
    expect([ran.code, ran.err]).toEqual([0, ''])
    const said = ran.out.replace(/[ \t]+/g, ' ')
    expect(said).toMatch(/Hop limit : 44/)
    expect(said).toMatch(/Stateful other conf. : Yes/)
    expect(said).toMatch(/Router preference : high/)
    expect(said).toMatch(/Router lifetime : 1800/)
    expect(said).toMatch(/Prefix : fd00:8::\/64/)
    expect(said).toMatch(/MTU : 1400 bytes/)
    expect(said).toMatch(/Route : fd00:99::\/48/)
    expect(said).toMatch(/Recursive DNS server : fd00:8::53/)
    expect(said).toMatch(/DNS search list : example.org/)
    expect(said).toMatch(/Source link-layer address: 02:00:00:00:00:02/)
    expect(said).toMatch(/from fe80::ff:fe00:2/)
  })

  it('takes itself back', async () => {
    expect(eth0.stopAdvertising()).toBe(true)
    await untilSucceeds('! ip -6 route show default | grep -q fe80::ff:fe00:2')
  })

  it('says nothing that tshark or the kernel finds wrong', async () => {
    expect(await endTcpdump(dump)).toBe(0)
    expect(
      (await judged(wire, '_ws.malformed || _ws.expert.severity == error || icmpv6.checksum.status == "Bad"')).join('\n'),
    ).toBe('')
    expect((await judged(wire, 'icmpv6.type == 134 && eth.src == 02:00:00:00:00:02')).length).toBeGreaterThan(1)
    expect(sh('grep Icmp6InErrors /proc/net/snmp6')).toMatch(/\s0\n$/)
  })
})
