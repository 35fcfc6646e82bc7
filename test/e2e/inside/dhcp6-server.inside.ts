/** Our DHCPv6 server on a tap: dhclient, dhcp6c and perfdhcp there, and a client behind dhcrelay. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import type { Dhcp6Server } from '../../../src/dhcp6/server.ts'
import type { Dhcp6ServerOptions } from '../../../src/dhcp6/server-options.ts'
import { lease6Journal } from '../../../src/node/dhcp-store.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { FarNamespace } from './far.ts'
import { endTcpdump, judged, MAC, type Served, serve, sh, tcpdump, until, untilSucceeds } from './lab.ts'
import { perfdhcp } from './perfdhcp.ts'

const dir = scratchFolder('dhcp6')
const told = join(dir, 'told')
const file = (name: string, text: string, mode = 0o644): string => {
  const path = join(dir, name)
  writeFileSync(path, text, { mode })
  return path
}
let stack: NodeStack
let client: Served | null = null
let dump: Served | null = null

beforeAll(() => {
  // Addresses of clients can be used at once, and there are none but those that the test gives.
  sh('ip link set lo up; for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done')
  sh(
    'for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_ra; done; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding',
  )
})
afterEach(async () => {
  await client?.stop()
  client = null
  await stack.close()
})

/** What dhclient got, as text; it changes nothing itself. */
const script = file(
  'dhclient.sh',
  `#!/bin/sh\ncase $reason in BOUND6|RENEW6|REBIND6)\necho "$reason $new_ip6_address $new_ip6_prefix $new_dhcp6_name_servers $new_dhcp6_domain_search" >> ${told};; esac\n`,
  0o755,
)

const begin = async (options: Dhcp6ServerOptions = {}): Promise<Dhcp6Server> => {
  const link = await openTap({ name: 'tap0', offload: false })
  sh('ip link set tap0 address 02:00:00:00:00:11 up') // the same client each time
  stack = createStack({ nd: { dadTransmits: 0 } })
  const eth0 = stack.attach(link, { mac: MAC, addresses: ['fd00::2/64'] })
  rmSync(told, { force: true })
  // The kernel makes its own link-local address when it sees that the link is up, which is what clients send from.
  await untilSucceeds('ip -6 addr show dev tap0 scope link -tentative | grep -q inet6')
  return stack.dhcp6Server(eth0, {
    ranges: ['fd00::100-fd00::ffff'],
    prefixes: ['fd01::/40-56'],
    options: { dnsServers: ['fd00::53'], domainSearch: ['lab.example'] },
    ...options,
  })
}

const dhclient = (options: readonly string[], name = 'tap0', before: readonly string[] = []): Promise<Served> => {
  const files = ['-lf', join(dir, 'leases'), '-pf', join(dir, 'pid'), '-cf', file('dhclient.conf', ''), '-sf', script]
  const [command, ...rest] = [...before, 'dhclient', '-6', '-d', '-v', ...options, ...files, name]
  return serve(command, rest, /PRC: Bound|XMT: Release|message status code/)
}

describe('our DHCPv6 server', () => {
  it('gives dhclient an address, the same one after a restart of both, and hears that it lets go of it', async () => {
    const journal = join(dir, 'journal')
    const server = await begin({ store: lease6Journal(journal) })
    client = await dhclient(['-1'])
    await until(() => existsSync(told))
    expect(readFileSync(told, 'utf8').trim()).toBe('BOUND6 fd00::100  fd00::53 lab.example.')
    const { duid } = server
    await client.stop()
    await stack.close()
    const again = await begin({ store: lease6Journal(journal) })
    expect([again.duid, again.leases.map((l) => l.address)]).toEqual([duid, ['fd00::100']])
    const capture = join(dir, 'dhclient.pcap')
    dump = await tcpdump(capture, 2000)
    client = await dhclient(['-1'])
    await until(() => existsSync(told))
    await client.stop()
    client = await dhclient(['-r'])
    await until(() => again.leases.length === 0)
    await endTcpdump(dump)
    expect(
      await judged(
        capture,
        `eth.src == ${MAC} && (_ws.malformed || _ws.expert.severity >= 0x600000 || udp.checksum.status == Bad)`,
      ),
    ).toEqual([])
    expect((await judged(capture, `eth.src == ${MAC} && dhcpv6.msgtype == 7`)).length).toBeGreaterThanOrEqual(2)
    rmSync(join(dir, 'leases'))
  }, 40_000)

  it('renews the short leases of dhclient, which has a prefix too', async () => {
    const server = await begin({ leaseSeconds: 4 })
    client = await dhclient(['-N', '-P'])
    await until(() => existsSync(told) && readFileSync(told, 'utf8').includes('RENEW6'))
    expect(server.leases.map((l) => l.address)).toEqual(['fd00::100', 'fd01::/56'])
    const { destination, gateway } = stack.routes.find((r) => r.destination === 'fd01::/56')!
    expect([destination, gateway]).toEqual(['fd01::/56', 'fe80::ff:fe00:11%eth0'])
    expect(stack.counters(true)['dhcp6.server']).toMatchObject({ inSolicits: 1, inRequests: 1 })
    await client.stop()
    await until(() => server.leases.length === 0)
    expect(stack.routes.some((r) => r.destination === 'fd01::/56')).toBe(false)
    rmSync(join(dir, 'leases'))
  })

  it('gives dhcp6c an address, and a prefix that its host uses', async () => {
    const server = await begin({ rapidCommit: true })
    sh('ip link add lan0 type veth peer name lan1; ip link set lan0 up; ip link set lan1 up')
    const conf = file(
      'dhcp6c.conf',
      `interface tap0 { send ia-na 1; send ia-pd 2; send rapid-commit; request domain-name-servers; };
id-assoc na 1 { };
id-assoc pd 2 { prefix-interface lan0 { sla-id 1; sla-len 8; ifid 5; }; };\n`,
    )
    // Its DUID is kept where it keeps it: a place of its own for this run.
    const line = `mount -t tmpfs tmpfs /var/lib/dhcpv6 && exec dhcp6c -f -D -c ${conf} -p ${join(dir, 'dhcp6c.pid')} tap0`
    client = await serve('unshare', ['-m', 'sh', '-c', line], /Sending Solicit|send solicit/i)
    await until(() => sh('ip -6 addr show').includes('fd01:0:0:1::5/64'))
    expect(sh('ip -6 addr show dev tap0')).toContain('fd00::100/')
    expect(server.leases.map((l) => l.address)).toEqual(['fd00::100', 'fd01::/56'])
    // The way to what was delegated is known: the host answers on its other network.
    sh('ip -6 route replace fd00::/64 dev tap0')
    const replies: boolean[] = []
    for await (const reply of stack.ping('fd01:0:0:1::5', { count: 2, intervalMs: 10 })) replies.push(reply.error === undefined)
    expect(replies).toEqual([true, true])
    await client.stop('SIGTERM')
    client = null
    await until(() => server.leases.length === 0)
    sh('ip link del lan0')
  })

  it.each<[string, string, () => Dhcp6ServerOptions]>([
    ['addresses', 'address-only', () => ({})],
    [
      'addresses and prefixes, each on the disk first',
      'address-and-prefix',
      () => ({ store: lease6Journal(join(dir, 'perfdhcp')) }),
    ],
  ])(
    "answers each of perfdhcp's 1500 clients, 500 a second; %s",
    async (_, type, options) => {
      const server = await begin(options())
      const { sent, said } = await perfdhcp(`-6 -e ${type} -r 500 -R 5000 -u all`)
      const { inSolicits, outAdvertises, inRequests, outReplies } = stack.counters(true)['dhcp6.server']
      expect([inSolicits, outAdvertises, inRequests, outReplies], said).toEqual([sent[0], sent[0], sent[1], sent[1]])
      expect(said).not.toMatch(/non unique addresses: [1-9]/)
      const kinds = type === 'address-only' ? 1 : 2
      expect(server.leases.length, said).toBeGreaterThanOrEqual(1000 * kinds)
      if (options().store !== undefined) {
        const known = lease6Journal(join(dir, 'perfdhcp')).load() // as after a crash: nothing was closed
        expect(known.length).toBe(server.leases.length + 1)
        expect(stack.routes.filter((r) => r.destination.endsWith('/56')).length).toBeGreaterThanOrEqual(1000)
      }
    },
    80_000,
  )

  it('behind dhcrelay: an address of the network behind it, and what the relay said given back', async () => {
    const networks = [{ prefix: 'fd09::/64', ranges: ['fd09::50-fd09::99'], options: { dnsServers: ['fd09::53'] } }]
    const server = await begin({ networks })
    sh(
      'ip addr add fd00::1/64 dev tap0; ip link add near0 type veth peer name far0; ip addr add fd09::1/64 dev near0; ip link set near0 up',
    )
    const far = await FarNamespace.make()
    far.sh('sysctl -qw net.ipv6.conf.default.accept_dad=0')
    far.take('far0')
    far.sh('ip link set far0 address 02:00:00:00:00:12 up')
    const args = ['-6', '-d', '-I', '-pf', join(dir, 'relay.pid'), '-l', 'near0', '-u', 'fd00::2%tap0']
    const relay = await serve('dhcrelay', args, /Sending on +Socket/)
    try {
      const capture = join(dir, 'relay.pcap')
      dump = await tcpdump(capture, 2000)
      client = await dhclient(['-1'], 'far0', far.enter.split(' '))
      await until(() => existsSync(told))
      expect(readFileSync(told, 'utf8').trim()).toBe('BOUND6 fd09::50  fd09::53 lab.example.')
      expect(server.leases.map((l) => l.address)).toEqual(['fd09::50'])
      await endTcpdump(dump)
      expect(await judged(capture, `eth.src == ${MAC} && (_ws.malformed || udp.checksum.status == Bad)`)).toEqual([])
      expect((await judged(capture, `eth.src == ${MAC} && dhcpv6.msgtype == 13 && dhcpv6.interface_id`)).length).toBe(2)
    } finally {
      await relay.stop()
      await far.end()
    }
  })
})
