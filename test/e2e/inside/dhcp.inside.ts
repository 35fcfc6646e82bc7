/** DHCP on a tap: our client at dnsmasq, ISC dhcpd, Kea and udhcpd; udhcpc, dhclient and perfdhcp at our server. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import type { DhcpOptions } from '../../../src/dhcp/client-options.ts'
import type { DhcpServerOptions } from '../../../src/dhcp/server-options.ts'
import { leaseJournal } from '../../../src/node/dhcp-store.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { MAC, type Served, serve, sh, until } from './lab.ts'
import { perfdhcp } from './perfdhcp.ts'

const dir = scratchFolder('dhcp')
const file = (name: string, text: string): string => {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}
let stack: NodeStack
let daemon: Served | null = null

beforeAll(() => void sh('ip link set lo up'))
afterEach(async () => {
  await stack.close()
  await daemon?.stop()
  daemon = null
})

describe('our client', () => {
  const events: string[] = []

  const attach = async (options: DhcpOptions = {}): Promise<AttachedInterface> => {
    const eth0 = stack.attach(link, { mac: MAC, dhcp: { hostname: 'lab', probe: false, ...options } })
    eth0.onLease = (_, event) => void events.push(event)
    await eth0.ready
    return eth0
  }
  let link: Awaited<ReturnType<typeof openTap>>
  const begin = async (): Promise<void> => {
    events.length = 0
    link = await openTap({ name: 'tap0', host: '10.0.0.1/24' })
    const arp = { probeWaitMs: 50, probeMinMs: 50, probeMaxMs: 60, announceWaitMs: 100 }
    stack = createStack({ arp, dhcp: { retransmitMs: 500, retransmitJitterMs: 100, offerWaitMs: 100 } })
  }
  const happened = (event: string, count = 1): Promise<void> =>
    until(
      () => events.filter((e) => e === event).length >= count,
      () => `${event}: ${events}`,
    )
  const pinged = async (address: string): Promise<number> => {
    let n = 0
    for await (const reply of stack.ping(address, { count: 2, intervalMs: 10 })) if (reply.error === undefined) n++
    return n
  }

  const dnsmasq = (range: string): Promise<Served> => {
    const leases = `--dhcp-leasefile=${join(dir, 'dnsmasq.leases')}`
    const options = [
      '--dhcp-option=option:domain-search,a.example,b.a.example',
      '--dhcp-option=option:mtu,1400',
      '--domain=lab.example',
    ]
    const rest = ['--no-ping', '--dhcp-authoritative', '--dhcp-rapid-commit', '--conf-file=/dev/null', '--bind-interfaces']
    return serve(
      'dnsmasq',
      ['-d', '--port=0', '-i', 'tap0', `--dhcp-range=${range},2m`, leases, ...options, ...rest],
      /DHCP, IP range/,
    )
  }

  it('at dnsmasq: all that it says; renewal; NAK when the range has changed', async () => {
    await begin()
    daemon = await dnsmasq('10.0.0.100,10.0.0.150')
    const eth0 = await attach()
    expect(eth0.lease).toMatchObject({ server: '10.0.0.1', routers: ['10.0.0.1'], domain: 'lab.example', mtu: 1400 })
    expect([eth0.searchDomains, eth0.mtu]).toEqual([['a.example', 'b.a.example'], 1400])
    expect(await pinged('10.0.0.1')).toBe(2)
    eth0.dhcp!.renew()
    await happened('renewed')
    await daemon.stop()
    rmSync(join(dir, 'dnsmasq.leases'))
    daemon = await dnsmasq('10.0.0.200,10.0.0.210')
    eth0.dhcp!.renew()
    await happened('bound', 2)
    expect(events).toContain('refused')
    expect(eth0.lease!.address).toMatch(/^10\.0\.0\.2\d\d$/)
    expect(await pinged('10.0.0.1')).toBe(2)
    eth0.dhcp!.release()
    expect(eth0.addresses).toEqual([])
  })

  it('at dnsmasq, in two messages (RFC 4039), and over the probes of RFC 5227', async () => {
    await begin()
    daemon = await dnsmasq('10.0.0.100,10.0.0.150')
    const eth0 = await attach({ rapidCommit: true, probe: true })
    expect(stack.counters(true)['eth0.dhcp']).toEqual({ outDiscovers: 1, inAcks: 1, bound: 1 })
    expect(eth0.addresses.length).toBe(1)
  })

  it('at ISC dhcpd: a lease of four seconds, over and over; the server dies and comes back', async () => {
    await begin()
    const text = `default-lease-time 4; max-lease-time 4; authoritative; ping-check false;
      subnet 10.0.0.0 netmask 255.255.255.0 { range 10.0.0.60 10.0.0.70; option routers 10.0.0.1; option domain-name-servers 10.0.0.1, 10.0.0.2; }`
    const conf = file('dhcpd.conf', text)
    const leases = file('dhcpd.leases', '')
    const start = (): Promise<Served> =>
      serve(
        'dhcpd',
        ['-4', '-f', '-d', '-cf', conf, '-lf', leases, '-pf', join(dir, 'dhcpd.pid'), 'tap0'],
        /Server starting service/,
      )
    daemon = await start()
    const eth0 = await attach()
    expect(eth0.nameservers).toEqual(['10.0.0.1', '10.0.0.2'])
    await happened('renewed', 2)
    await daemon.stop()
    await happened('expired')
    expect(eth0.addresses).toEqual([])
    daemon = await start()
    await happened('bound', 2)
    expect(await pinged('10.0.0.1')).toBe(2)
  })

  it('at udhcpd: a short lease, renewed', async () => {
    await begin()
    const text = `start 10.0.0.20\nend 10.0.0.25\ninterface tap0\nmin_lease 2\noption lease 4\noption router 10.0.0.1\noption subnet 255.255.255.0
option staticroutes 172.16.0.0/12 10.0.0.9\nlease_file ${file('udhcpd.leases', '')}\npidfile ${join(dir, 'udhcpd.pid')}\n`
    daemon = await serve('busybox', ['udhcpd', '-f', file('udhcpd.conf', text)], /started/).catch(() =>
      serve('udhcpd', ['-f', join(dir, 'udhcpd.conf')], /started/),
    )
    const eth0 = await attach()
    expect(eth0.lease!.address).toMatch(/^10\.0\.0\.2\d$/)
    await happened('renewed')
    expect(await pinged('10.0.0.1')).toBe(2)
  })

  it('at Kea: classless routes, an identifier of RFC 4361', async () => {
    await begin()
    const conf = {
      Dhcp4: {
        'interfaces-config': { interfaces: ['tap0'] },
        'lease-database': { type: 'memfile', persist: false },
        'valid-lifetime': 600,
        subnet4: [
          {
            id: 1,
            subnet: '10.0.0.0/24',
            pools: [{ pool: '10.0.0.80-10.0.0.90' }],
            'option-data': [
              { name: 'routers', data: '10.0.0.1' },
              { code: 121, 'csv-format': false, data: '0CAC100A000009000A000001' },
            ],
          },
        ],
        'option-def': [{ name: 'classless', code: 121, type: 'binary', space: 'dhcp4' }],
        loggers: [{ name: 'kea-dhcp4', output_options: [{ output: 'stderr' }], severity: 'INFO' }],
      },
    }
    process.env.KEA_PIDFILE_DIR = dir
    process.env.KEA_LOCKFILE_DIR = dir
    daemon = await serve('kea-dhcp4', ['-c', file('kea.json', JSON.stringify(conf))], /DHCP4_STARTED/)
    const eth0 = await attach({ clientId: 'duid' })
    expect(eth0.lease!.address).toMatch(/^10\.0\.0\.[89]\d$/)
    expect(eth0.lease!.routes).toEqual([{ destination: '172.16.0.0/12', gateway: '10.0.0.9' }])
    expect(eth0.lease!.routers).toEqual(['10.0.0.1'])
    eth0.dhcp!.renew()
    await happened('renewed')
  })
})

describe('our server', () => {
  const begin = async (options: DhcpServerOptions = {}) => {
    const link = await openTap({ name: 'tap0' })
    stack = createStack({ dhcp: { probeMs: 200 } })
    const eth0 = stack.attach(link, { mac: MAC, addresses: ['10.0.0.2/16'] })
    sh('ip link set tap0 address 02:00:00:00:00:11 up') // the same client each time
    const ranges = ['10.0.1.0-10.0.199.255']
    return stack.dhcpServer(eth0, { ranges, options: { routers: ['10.0.0.2'], domainNameServers: ['10.0.0.3'] }, ...options })
  }

  it('gives udhcpc an address, and hears that it lets go of it', async () => {
    const server = await begin()
    const told = join(dir, 'udhcpc')
    const script = file(
      'udhcpc.sh',
      `#!/bin/sh\n[ "$1" = bound ] || exit 0; ip addr add $ip/$mask dev $interface; echo "$ip $mask $router $dns $lease" > ${told}\n`,
    )
    sh(`chmod +x ${script}`)
    const options = ['-f', '-n', '-R', '-x', 'hostname:box', '-i', 'tap0', '-s', script]
    daemon = await serve('busybox', ['udhcpc', ...options], /lease of 10\.0\.1\.0 obtained from 10\.0\.0\.2/)
    await until(() => existsSync(told))
    expect(sh(`cat ${told}`).trim()).toBe('10.0.1.0 16 10.0.0.2 10.0.0.3 3600')
    expect(server.leases).toMatchObject([{ address: '10.0.1.0', hostname: 'box' }])
    daemon.child.kill('SIGUSR2')
    await until(() => server.leases.length === 0)
    expect(stack.counters(true)['dhcp.server']).toMatchObject({ outOffers: 1, outAcks: 1, inReleases: 1 })
  })

  it('gives dhclient an address, the same one after a restart of both', async () => {
    const journal = join(dir, 'journal')
    await begin({ store: leaseJournal(journal) })
    const dhclient = (n: number): Promise<Served> => {
      const files = ['-lf', join(dir, `dhclient${n}.leases`), '-pf', join(dir, 'dhclient.pid'), '-cf', file('dhclient.conf', '')]
      return serve('dhclient', ['-4', '-1', '-d', '-v', '-sf', '/bin/true', ...files, 'tap0'], /bound to [\d.]+/)
    }
    daemon = await dhclient(1)
    const given = /bound to ([\d.]+)/.exec(daemon.said)![1]
    await daemon.stop()
    await stack.close()
    const again = await begin({ store: leaseJournal(journal) })
    expect(again.leases.map((l) => l.address)).toEqual([given])
    daemon = await dhclient(2)
    expect(daemon.said).toContain(`bound to ${given}`)
  })

  it.each<[string, () => DhcpServerOptions]>([
    ['nothing else to do', () => ({ probe: false })],
    ['each address asked for on the link first', () => ({ probe: true })],
    ['each lease on the disk first', () => ({ probe: false, store: leaseJournal(join(dir, 'perfdhcp')) })],
  ])(
    "answers each of perfdhcp's 1500 clients, 500 a second, with %s",
    async (_, options) => {
      const server = await begin(options())
      sh('ip addr add 10.0.0.1/16 dev tap0')
      const { sent, said } = await perfdhcp('-4 -r 500 -R 1500')
      const { inDiscovers, outOffers, inRequests, outAcks, ...more } = stack.counters(true)['dhcp.server']
      expect([inDiscovers, outOffers, inRequests, outAcks], said).toEqual([sent[0], sent[0], sent[1], sent[1]])
      expect(server.leases.length, said).toBeGreaterThanOrEqual(1000)
      const { probes = 0, probeConflicts = 0, dropStore = 0 } = more
      expect([probes >= 1450, probeConflicts, dropStore]).toEqual([options().probe === true, 0, 0])
      if (options().store !== undefined) {
        const known = leaseJournal(join(dir, 'perfdhcp')).load() // as after a crash: nothing was closed
        expect(known).toEqual(server.leases)
      }
    },
    80_000,
  )
})
