/** `tapstack dhcp`: gets a lease and shows it, or serves leases. */
import type { DhcpOptions } from '../dhcp/client-options.ts'
import type { Lease } from '../dhcp/lease.ts'
import type { ServerEvent } from '../dhcp/server.ts'
import type { DhcpServerOptions, LeaseRecord } from '../dhcp/server-options.ts'
import { leaseFile, leaseJournal } from '../node/dhcp-store.ts'
import { type Command, type Context, integer, type Option, seconds, text, texts, UsageError, type Values } from './command.ts'
import { NETWORK_OPTIONS, openNetwork, stopped } from './network.ts'

const CLIENT_OPTIONS: { readonly [name: string]: Option } = {
  hostname: { type: 'string', value: 'NAME', text: 'the name that the server is told' },
  request: { type: 'string', value: 'A', text: 'the address that is hoped for (any)' },
  timeout: { type: 'string', value: 'SECONDS', text: 'how long a lease is waited for (60)' },
  'no-probe': { type: 'boolean', text: 'do not ask on the link whether somebody has the address already' },
  stay: { type: 'boolean', text: 'keep the lease until Ctrl-C (it is given back at once)' },
}

const SERVER_OPTIONS: { readonly [name: string]: Option } = {
  range: { type: 'string', multiple: true, value: 'A-B', text: 'addresses to give, repeatable' },
  router: { type: 'string', multiple: true, value: 'G', text: 'gateways that clients are told, repeatable' },
  dns: { type: 'string', multiple: true, value: 'A', text: 'DNS servers that clients are told, repeatable' },
  domain: { type: 'string', value: 'NAME', text: 'domain that clients are told' },
  'lease-time': { type: 'string', value: 'SECONDS', text: 'how long a lease is good (3600)' },
}

export const dhcp: Command = {
  name: 'dhcp',
  summary: 'get an address from a DHCP server, or be one',
  usage: '[options]',
  about: [
    'Prints the lease and gives it back. Exit code: 0, or 2 without a lease. With --server it gives addresses of --range to others, prints',
    'a line that begins with "ready" and one for each lease, and ends with Ctrl-C.',
  ],
  options: {
    ...NETWORK_OPTIONS,
    ...CLIENT_OPTIONS,
    server: { type: 'boolean', text: 'serve addresses' },
    ...SERVER_OPTIONS,
    leases: { type: 'string', value: 'FILE', text: 'keep leases in FILE across restarts' },
  },
  words: 0,
  examples: [
    ['dhcp --hostname lab', 'from a server on tap0'],
    ['dhcp --stay --leases /tmp/eth0.lease', 'the same address again next time'],
    [
      'dhcp --server -a 10.0.0.2/24 --range 10.0.0.100-10.0.0.200 --router 10.0.0.2 --dns 10.0.0.3',
      'serves tap0: on the host, dhclient tap0',
    ],
  ],
  failure: 2,
  run: (context, values) => (values.server === true ? serve(context, values) : ask(context, values)),
}

async function ask(context: Context, values: Values): Promise<number> {
  for (const name of Object.keys(SERVER_OPTIONS))
    if (values[name] !== undefined) throw new UsageError(`--${name} is for --server`)
  const leases = text(values, 'leases')
  const options: DhcpOptions = {
    hostname: text(values, 'hostname'),
    address: text(values, 'request'),
    timeoutMs: seconds(values, 'timeout', 0.1, 86_400, 60_000),
    probe: values['no-probe'] !== true,
    inform: texts(values, 'address').length > 0,
    store: leases === undefined ? undefined : leaseFile(leases),
  }
  const network = await openNetwork(context, { ...values, dhcp: true }, options)
  try {
    const { iface } = network
    if (iface.lease !== null) for (const line of leaseLines(iface.lease, iface.name)) context.out(line)
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

async function serve(context: Context, values: Values): Promise<number> {
  for (const name of [...Object.keys(CLIENT_OPTIONS), 'dhcp'])
    if (values[name] !== undefined) throw new UsageError(`--${name} is not for --server`)
  const ranges = texts(values, 'range')
  if (ranges.length === 0) throw new UsageError('--server: at least one --range is needed, as in 10.0.0.100-10.0.0.200')
  const leases = text(values, 'leases')
  const domainName = text(values, 'domain')
  const [routers, domainNameServers] = [texts(values, 'router'), texts(values, 'dns')]
  const options: DhcpServerOptions = {
    ranges,
    leaseSeconds: integer(values, 'lease-time', 1, 0x7fffffff, 3600),
    options: {
      ...(routers.length > 0 && { routers }),
      ...(domainNameServers.length > 0 && { domainNameServers }),
      ...(domainName !== undefined && { domainName }),
    },
  }
  const network = await openNetwork(context, values)
  try {
    const { stack, iface, address, link } = network
    const store = leases === undefined ? undefined : leaseJournal(leases)
    const server = stack.dhcpServer(iface, { ...options, store })
    if (values.quiet !== true) server.onLease = (lease, event) => context.out(eventLine(lease, event))
    context.out(`ready: ${address} on ${link.name}, DHCP for ${ranges.join(' ')}`)
    await Promise.race([stopped(context), network.broken])
    return 0
  } finally {
    await network.close()
  }
}

/** What a person wants to know of a lease. */
export function leaseLines(lease: Lease, name: string): string[] {
  const { prefix, server, routers, nameservers, searchDomains, ntpServers, mtu, routes, obtainedAt, expiresAt } = lease
  const list = (label: string, values: readonly string[]): string[] =>
    values.length === 0 ? [] : [`${label.padEnd(8)} ${values.join(' ')}`]
  const time = (at: number): string =>
    at === Number.POSITIVE_INFINITY ? 'for ever' : `${Math.round((at - obtainedAt) / 1000)} s`
  return [
    ...list('address', [prefix, `on ${name}`]),
    ...list('server', server === '' ? [] : [server]),
    ...list('router', routers),
    ...list(
      'route',
      routes.map((r) => `${r.destination} via ${r.gateway}`),
    ),
    ...list('dns', nameservers),
    ...list('search', searchDomains),
    ...list('ntp', ntpServers),
    ...list('mtu', mtu === 0 ? [] : [`${mtu}`]),
    ...list('lease', [time(expiresAt)]),
  ]
}

function eventLine({ address, mac, hostname }: LeaseRecord, event: ServerEvent): string {
  return `${event} ${address} ${mac}${hostname === null ? '' : ` ${hostname}`}`
}
