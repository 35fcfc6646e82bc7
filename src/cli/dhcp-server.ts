/** `tapstack dhcp --server`: serves leases, of IPv4 or with -6 of IPv6, until it is stopped. */
import type { ServerEvent } from '../dhcp/server.ts'
import type { LeaseRecord } from '../dhcp/server-options.ts'
import type { Lease6Record } from '../dhcp6/server-options.ts'
import { lease6Journal, leaseJournal } from '../node/dhcp-store.ts'
import { type Context, integer, type Option, text, texts, UsageError, type Values } from './command.ts'
import { type Network, openNetwork, stopped } from './network.ts'

export const SERVER_OPTIONS: { readonly [name: string]: Option } = {
  range: { type: 'string', multiple: true, value: 'A-B', text: 'addresses to give, repeatable' },
  prefix: {
    type: 'string',
    multiple: true,
    value: 'P/N-M',
    text: 'with -6: prefixes of M bits in P/N to delegate, repeatable; without --server the one to ask for',
  },
  router: { type: 'string', multiple: true, value: 'G', text: 'gateways that clients are told (not -6), repeatable' },
  dns: { type: 'string', multiple: true, value: 'A', text: 'DNS servers that clients are told, repeatable' },
  domain: { type: 'string', value: 'NAME', text: 'domain that clients are told' },
  'lease-time': { type: 'string', value: 'SECONDS', text: 'how long a lease is good (3600)' },
}

export async function serve(context: Context, values: Values): Promise<number> {
  const isSix = values.ipv6 === true
  for (const name of isSix ? ['router'] : ['prefix'])
    if (values[name] !== undefined) throw new UsageError(`--${name} is not for ${isSix ? '--server -6' : '--server without -6'}`)
  const [ranges, prefixes] = [texts(values, 'range'), texts(values, 'prefix')]
  // With -6 there may be nothing to give but options.
  if (ranges.length === 0 && !isSix) throw new UsageError('--server: at least one --range is needed, as in 10.0.0.100-10.0.0.200')
  const network = await openNetwork(context, values)
  try {
    const { address, link } = network
    const tell = values.quiet === true ? () => undefined : context.out
    if (isSix) serve6(network, values, tell)
    else serve4(network, values, tell)
    const given = [...ranges, ...prefixes].join(' ')
    context.out(`ready: ${address} on ${link.name}, ${isSix ? 'DHCPv6' : 'DHCP'}${given === '' ? '' : ` for ${given}`}`)
    await Promise.race([stopped(context), network.broken])
    return 0
  } finally {
    await network.close()
  }
}

function serve4({ stack, iface }: Network, values: Values, tell: (line: string) => void): void {
  const leases = text(values, 'leases')
  const domainName = text(values, 'domain')
  const [routers, domainNameServers] = [texts(values, 'router'), texts(values, 'dns')]
  const server = stack.dhcpServer(iface, {
    ranges: texts(values, 'range'),
    leaseSeconds: leaseSeconds(values),
    options: {
      ...(routers.length > 0 && { routers }),
      ...(domainNameServers.length > 0 && { domainNameServers }),
      ...(domainName !== undefined && { domainName }),
    },
    store: leases === undefined ? undefined : leaseJournal(leases),
  })
  server.onLease = (lease, event) => tell(eventLine(lease, lease.mac, event))
}

function serve6({ stack, iface }: Network, values: Values, tell: (line: string) => void): void {
  const leases = text(values, 'leases')
  const domain = text(values, 'domain')
  const dnsServers = texts(values, 'dns')
  const server = stack.dhcp6Server(iface, {
    ranges: texts(values, 'range'),
    prefixes: texts(values, 'prefix'),
    leaseSeconds: leaseSeconds(values),
    options: { ...(dnsServers.length > 0 && { dnsServers }), ...(domain !== undefined && { domainSearch: [domain] }) },
    store: leases === undefined ? undefined : lease6Journal(leases),
  })
  server.onLease = (lease, event) => tell(eventLine(lease, lease.duid, event))
}

function leaseSeconds(values: Values): number {
  return integer(values, 'lease-time', 1, 0x7fffffff, 3600)
}

function eventLine({ address, hostname }: LeaseRecord | Lease6Record, client: string, event: ServerEvent): string {
  return `${event} ${address} ${client}${hostname === null ? '' : ` ${hostname}`}`
}
