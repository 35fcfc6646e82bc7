/** `tapstack dhcp`: gets a lease and shows it, or serves leases. */
import type { DhcpOptions } from '../dhcp/client-options.ts'
import type { Lease } from '../dhcp/lease.ts'
import { leaseFile } from '../node/dhcp-store.ts'
import { type Command, type Context, type Option, seconds, text, texts, UsageError, type Values } from './command.ts'
import { SERVER_OPTIONS, serve } from './dhcp-server.ts'
import { ask6 } from './dhcp6.ts'
import { labelled, timeOf } from './lease-text.ts'
import { NETWORK_OPTIONS, openNetwork, stopped } from './network.ts'

const CLIENT_OPTIONS: { readonly [name: string]: Option } = {
  hostname: { type: 'string', value: 'NAME', text: 'the name that the server is told' },
  request: { type: 'string', value: 'A', text: 'the address that is hoped for (any)' },
  timeout: { type: 'string', value: 'SECONDS', text: 'how long a lease is waited for (60)' },
  'no-probe': { type: 'boolean', text: 'do not ask on the link whether somebody has the address already' },
  stay: { type: 'boolean', text: 'keep the lease until Ctrl-C (it is given back at once)' },
}

export const dhcp: Command = {
  name: 'dhcp',
  summary: 'get an address from a DHCP server, or be one',
  usage: '[options]',
  about: [
    'Prints the lease and gives it back. Exit code: 0, 2 without a lease, 1 if Ctrl-C came first. With --server it gives addresses of --range to others (with -6',
    'prefixes of --prefix too), prints a line that begins with "ready" and one for each lease, and ends with Ctrl-C.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    ...CLIENT_OPTIONS,
    server: { type: 'boolean', text: 'serve addresses' },
    ipv6: { type: 'boolean', short: '6', text: 'DHCPv6 in place of DHCP' },
    ...SERVER_OPTIONS,
    leases: { type: 'string', value: 'FILE', text: 'keep leases in FILE across restarts' },
  },
  words: 0,
  examples: [
    ['dhcp --hostname lab', 'from a server on tap0'],
    ['dhcp -6 --prefix ::/56', 'an IPv6 address, and a prefix to give on'],
    ['dhcp --stay --leases /tmp/eth0.lease', 'the same address again next time'],
    [
      'dhcp --server -a 10.0.0.2/24 --range 10.0.0.100-10.0.0.200 --router 10.0.0.2 --dns 10.0.0.3',
      'serves tap0: on the host, dhclient tap0',
    ],
    ['dhcp --server -6 -a fd00::2/64 --range fd00::100-fd00::1ff --prefix fd00:1::/48-56', 'the same for dhclient -6 tap0'],
  ],
  failure: 2,
  async run(context, values) {
    const isServer = values.server === true
    const isSix = values.ipv6 === true
    const ofServers = Object.keys(SERVER_OPTIONS).filter((name) => !(isSix && name === 'prefix'))
    for (const name of isServer ? [...Object.keys(CLIENT_OPTIONS), 'dhcp', 'dhcp6'] : ofServers)
      if (values[name] !== undefined) throw new UsageError(`--${name} is ${isServer ? 'not for' : 'for'} --server`)
    if (isServer) return serve(context, values)
    return isSix ? ask6(context, values) : ask(context, values)
  },
}

async function ask(context: Context, values: Values): Promise<number> {
  const leases = text(values, 'leases')
  const options: DhcpOptions = {
    hostname: text(values, 'hostname'),
    address: text(values, 'request'),
    timeoutMs: seconds(values, 'timeout', 0.1, 86_400, 60_000),
    probe: values['no-probe'] !== true,
    inform: texts(values, 'address').length > 0,
    store: leases === undefined ? undefined : leaseFile(leases),
  }
  const network = await openNetwork(context, { ...values, dhcp: true }, { dhcp: options })
  try {
    const { iface } = network
    if (iface.lease === null) return 1 // Ctrl-C came first
    for (const line of leaseLines(iface.lease, iface.name)) context.out(line)
    if (values.stay === true && !context.stop.aborted) {
      iface.onLease = (lease, event) => context.out(`${event}${lease === null ? '' : ` ${lease.prefix}`}`)
      context.out(`ready: ${network.address} on ${network.link.name}`)
      await Promise.race([stopped(context), network.broken])
      iface.onLease = null
    }
    return 0
  } finally {
    await network.close()
  }
}

/** What a person wants to know of a lease. */
export function leaseLines(lease: Lease, name: string): string[] {
  const { prefix, server, routers, nameservers, searchDomains, ntpServers, mtu, routes, obtainedAt, expiresAt } = lease
  return [
    ...labelled('address', [prefix, `on ${name}`]),
    ...labelled('server', server === '' ? [] : [server]),
    ...labelled('router', routers),
    ...labelled(
      'route',
      routes.map((r) => `${r.destination} via ${r.gateway}`),
    ),
    ...labelled('dns', nameservers),
    ...labelled('search', searchDomains),
    ...labelled('ntp', ntpServers),
    ...labelled('mtu', mtu === 0 ? [] : [`${mtu}`]),
    ...labelled('lease', [timeOf(expiresAt, obtainedAt)]),
  ]
}
