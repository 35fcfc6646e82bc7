/** DHCPv6 on a tap: our client at dnsmasq, Kea and ISC dhcpd; tshark is the judge of what we say. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import type { Dhcp6Options } from '../../../src/dhcp6/client-options.ts'
import { createPipe } from '../../../src/link/pipe.ts'
import { capture } from '../../../src/node/capture-file.ts'
import { lease6File } from '../../../src/node/dhcp-store.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { AttachOptions } from '../../../src/stack/attach-options.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { judged, MAC, type Served, serve, sh, until } from './lab.ts'

const dir = scratchFolder('dhcp6')
const file = (name: string, text: string): string => {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}
let stack: NodeStack
let daemon: Served | null = null
let pcap = ''
let n = 0
const events: string[] = []

beforeAll(() => void sh('ip link set lo up'))
afterEach(async () => {
  await stack.close()
  await daemon?.stop()
  daemon = null
  // Errors and malformed messages in what we sent, of DHCPv6 and of everything else.
  const wrong = `eth.src == ${MAC} && (_ws.malformed || _ws.expert.severity == error)`
  expect((await judged(pcap, wrong)).join('\n')).toBe('')
})

let link: ReturnType<typeof capture>
const begin = async (): Promise<void> => {
  events.length = 0
  pcap = join(dir, `${n++}.pcapng`)
  link = capture(await openTap({ name: 'tap0', host: '2001:db8::1/64', offload: false }), pcap)
  // The kernel's own duplicate address detection would hold the servers back.
  sh('ip -6 addr flush dev tap0; ip addr add 2001:db8::1/64 dev tap0 nodad; ip addr add fe80::1/64 dev tap0 nodad')
  stack = createStack({
    nd: { retransTimerMs: 100, dadDelayMs: 50 },
    dhcp6: { maxDelayMs: 0, solicitTimeoutMs: 300, renewTimeoutMs: 1000, releaseTimeoutMs: 300 },
  })
}
const attach = async (dhcp6: Dhcp6Options | undefined, more: AttachOptions = {}): Promise<AttachedInterface> => {
  const eth0 = stack.attach(link, { mac: MAC, dhcp6, ...more })
  eth0.onLease6 = (_, event) => void events.push(event)
  await eth0.ready
  return eth0
}
const happened = (event: string, count = 1): Promise<void> =>
  until(
    () => events.filter((e) => e === event).length >= count,
    () => `${event}: ${events}; ${daemon?.said}`,
  )
const said = (pattern: RegExp): Promise<void> =>
  until(
    () => pattern.test(daemon!.said),
    () => `${pattern}: ${daemon!.said}`,
  )
const pinged = async (address: string, source: string): Promise<number> => {
  let answers = 0
  for await (const reply of stack.ping(address, { count: 2, intervalMs: 10, source })) if (reply.error === undefined) answers++
  return answers
}

describe('our client at dnsmasq', () => {
  const dnsmasq = (range: string): Promise<Served> =>
    serve(
      'dnsmasq',
      [
        ...['-d', '--port=0', '-i', 'tap0', `--dhcp-range=${range}`, '--enable-ra', '--conf-file=/dev/null', '--bind-interfaces'],
        ...['--dhcp-option=option6:dns-server,[2001:db8::53]', '--dhcp-option=option6:domain-search,a.example,b.a.example'],
        ...['--dhcp-option=option6:ntp-server,[2001:db8::7]', '--log-dhcp', `--dhcp-leasefile=${join(dir, 'dnsmasq.leases')}`],
      ],
      /router advertisement on/,
    )

  it('with an address of its range, kept by what routers say (M and O); renewed, and given back', async () => {
    await begin()
    daemon = await dnsmasq('2001:db8::100,2001:db8::1ff,64,2m')
    const eth0 = await attach(undefined, { slaac: true })
    if (eth0.lease6 === null) await happened('bound')
    expect(eth0.lease6!.addresses[0].address).toMatch(/^2001:db8::1[0-9a-f]{2}$/)
    expect(eth0.nameservers).toContain('2001:db8::53')
    expect(eth0.searchDomains).toContain('b.a.example')
    expect(eth0.lease6!.ntpServers).toEqual(['2001:db8::7'])
    expect(await pinged('2001:db8::1', eth0.lease6!.addresses[0].address)).toBe(2)
    eth0.dhcp6!.renew()
    await happened('renewed')
    eth0.dhcp6!.release()
    await said(/DHCPRELEASE\(tap0\)/)
    expect(eth0.addresses.filter((a) => a.startsWith('2001:db8::1'))).toEqual([])
  })

  it('without one: routers say O, addresses are made of the prefix', async () => {
    await begin()
    daemon = await dnsmasq('2001:db8::,ra-stateless,64,2m')
    const eth0 = await attach(undefined, { slaac: true })
    if (eth0.dhcp6?.state !== 'INFORMED') await happened('informed')
    expect(eth0.lease6).toMatchObject({
      addresses: [],
      nameservers: ['2001:db8::53'],
      searchDomains: ['a.example', 'b.a.example'],
    })
    expect(stack.counters(true)['eth0.dhcp6']).toMatchObject({ outInformationRequests: 1, inReplies: 1, informed: 1 })
  })
})

describe('our client at ISC dhcpd', () => {
  const leases = join(dir, 'dhcpd6.leases')
  const dhcpd = (seconds: number): Promise<Served> => {
    const text = `default-lease-time ${seconds}; preferred-lifetime ${seconds - 2}; authoritative;
      option dhcp-renewal-time ${seconds / 4}; option dhcp-rebinding-time ${seconds / 2};
      option dhcp6.name-servers 2001:db8::53; option dhcp6.domain-search "lab.example";
      subnet6 2001:db8::/64 { range6 2001:db8::200 2001:db8::2ff; prefix6 2001:db8:100:: 2001:db8:1ff:: /56; }`
    const files = ['-cf', file('dhcpd6.conf', text), '-lf', leases, '-pf', join(dir, 'dhcpd6.pid')]
    return serve('dhcpd', ['-6', '-f', '-d', ...files, 'tap0'], /Server starting service/)
  }

  it('with a lease of eight seconds, over and over; the server dies and comes back', async () => {
    writeFileSync(leases, '')
    await begin()
    daemon = await dhcpd(8)
    const eth0 = await attach({ address: true, prefix: true })
    const [{ address }, { prefix }] = [eth0.lease6!.addresses[0], eth0.lease6!.prefixes[0]]
    expect(address).toMatch(/^2001:db8::2[0-9a-f]{2}$/)
    expect(prefix).toMatch(/^2001:db8:1[0-9a-f]{2}::\/56$/)
    expect(eth0.nameservers).toEqual(['2001:db8::53'])
    await happened('renewed', 2)
    expect(eth0.lease6!.addresses[0].address).toBe(address)
    await daemon.stop()
    await happened('expired')
    expect(eth0.addresses.length).toBe(1)
    daemon = await dhcpd(8)
    await happened('bound', 2)
    expect(eth0.lease6!.addresses[0].address).toBe(address)
  }, 60_000)

  it('with a lease that is kept in a file: after a restart it is asked for as it was, and given back at last', async () => {
    writeFileSync(leases, '')
    const store = lease6File(join(dir, 'eth0.lease6'))
    for (const [asked, options] of [
      ['outRebinds', { prefix: true, store, duid: 'llt' }],
      ['outConfirms', { store: lease6File(join(dir, 'other.lease6')), duid: 'llt' }],
    ] as [string, Dhcp6Options][]) {
      await begin()
      daemon = await dhcpd(600)
      const { dhcp6, lease6 } = await attach(options)
      const [duid, { addresses, prefixes }] = [dhcp6!.duid, lease6!]
      await stack.close()
      await daemon.stop()
      expect(await judged(pcap, 'dhcpv6.msgtype == 8')).toEqual([])
      await begin()
      daemon = await dhcpd(600)
      const again = await attach(options)
      expect(again.dhcp6!.duid).toBe(duid)
      expect(again.lease6!.addresses.map((a) => a.address)).toEqual(addresses.map((a) => a.address))
      expect(again.lease6!.prefixes.map((p) => p.prefix)).toEqual(prefixes.map((p) => p.prefix))
      expect(stack.counters(true)['eth0.dhcp6']).toMatchObject({ [asked]: 1, inReplies: 1, bound: 1 })
      again.dhcp6!.release()
      await said(/Release message/)
      await stack.close()
      await daemon.stop()
    }
  }, 60_000)
})

describe('our client at Kea', () => {
  const kea = async (valid: number): Promise<Served> => {
    const conf = {
      Dhcp6: {
        'interfaces-config': { interfaces: ['tap0'] },
        'lease-database': { type: 'memfile', persist: false },
        'server-id': { type: 'LL', persist: false },
        'valid-lifetime': valid,
        'preferred-lifetime': Math.floor((valid * 3) / 4),
        'renew-timer': Math.floor(valid / 4),
        'rebind-timer': Math.floor(valid / 2),
        'option-data': [
          { name: 'dns-servers', data: '2001:db8::53, 2001:db8::54' },
          { name: 'domain-search', data: 'lab.example' },
        ],
        subnet6: [
          {
            id: 1,
            subnet: '2001:db8::/64',
            interface: 'tap0',
            'rapid-commit': true,
            pools: [{ pool: '2001:db8::300-2001:db8::3ff' }],
            'pd-pools': [{ prefix: '2001:db8:8000::', 'prefix-len': 40, 'delegated-len': 56 }],
          },
        ],
        loggers: [{ name: 'kea-dhcp6', output_options: [{ output: 'stderr' }], severity: 'DEBUG', debuglevel: 40 }],
      },
    }
    process.env.KEA_PIDFILE_DIR = dir
    process.env.KEA_LOCKFILE_DIR = dir
    return serve('kea-dhcp6', ['-c', file('kea6.json', JSON.stringify(conf))], /DHCP6_STARTED/)
  }

  it('with an address and a prefix that is used on another interface; released', async () => {
    await begin()
    daemon = await kea(600)
    stack.setForwarding({ v6: true })
    const [inner, outer] = createPipe()
    const eth1 = stack.attach(inner, { name: 'eth1' })
    const eth0 = await attach({ prefix: '::/56', address: true, fqdn: 'gw.lab.example', delegate: { to: 'eth1', subnet: 7 } })
    expect(eth0.lease6!.addresses[0].address).toMatch(/^2001:db8::3[0-9a-f]{0,2}$/)
    const [{ prefix }] = eth0.lease6!.prefixes
    expect(prefix).toMatch(/^2001:db8:80[0-9a-f]{2}:[0-9a-f]*00?::\/56$|^2001:db8:80[0-9a-f]{2}::\/56$/)
    expect(eth0.lease6).toMatchObject({ nameservers: ['2001:db8::53', '2001:db8::54'], searchDomains: ['lab.example'] })
    expect(eth1.addresses.find((a) => a.startsWith('2001'))).toMatch(/7::1\/64$/)
    const host = createStack()
    const lan = host.attach(outer, { slaac: true })
    await lan.ready
    expect(lan.nameservers).toEqual(['2001:db8::53', '2001:db8::54'])
    sh(`ip -6 route add ${prefix} via ${eth0.addresses[0].replace(/%.*/, '')} dev tap0`)
    stack.addRoute('2001:db8::/64', null, eth0) // there is no router that would say so
    let answers = 0
    for await (const reply of host.ping('2001:db8::1', { count: 2, intervalMs: 10 })) if (reply.error === undefined) answers++
    expect(answers).toBe(2)
    await host.close()
    eth0.dhcp6!.renew()
    await happened('renewed')
    eth0.dhcp6!.release()
    await said(/DHCP6_RELEASE_PD|RELEASE_PD/)
    expect(eth1.addresses.filter((a) => a.startsWith('2001'))).toEqual([])
  }, 30_000)

  it('in two messages, renewed; the server is killed and comes back without its leases (NoBinding)', async () => {
    await begin()
    daemon = await kea(12)
    const eth0 = await attach({ rapidCommit: true })
    expect(stack.counters(true)['eth0.dhcp6']).toEqual({ outSolicits: 1, inReplies: 1, bound: 1 })
    await happened('renewed')
    await daemon.stop()
    daemon = await kea(12)
    eth0.dhcp6!.renew()
    await happened('renewed', 2)
    expect(eth0.lease6!.addresses.length).toBe(1)
    await stack.close()
    await said(/RELEASE/)
    expect(readFileSync(pcap).length).toBeGreaterThan(500)
  }, 30_000)
})
