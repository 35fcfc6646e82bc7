/** `tapstack dhcp -6`: gets a lease by DHCPv6 and shows it. */
import type { Dhcp6Options } from '../dhcp6/client-options.ts'
import type { Lease6 } from '../dhcp6/lease.ts'
import { lease6File } from '../node/dhcp-store.ts'
import { type Context, seconds, text, texts, type Values } from './command.ts'
import { labelled, timeOf } from './lease-text.ts'
import { openNetwork, stopped } from './network.ts'

export async function ask6(context: Context, values: Values): Promise<number> {
  const leases = text(values, 'leases')
  const [prefix] = texts(values, 'prefix')
  const stateless = texts(values, 'address').length > 0
  const options: Dhcp6Options = {
    stateless,
    address: text(values, 'request') ?? true,
    ...(prefix !== undefined && { prefix }),
    ...(values['no-probe'] === true && { probe: false }),
    fqdn: text(values, 'hostname'),
    timeoutMs: seconds(values, 'timeout', 0.1, 86_400, 60_000),
    store: leases === undefined ? undefined : lease6File(leases),
  }
  const network = await openNetwork(context, { ...values, dhcp6: true }, { dhcp6: options })
  try {
    const { iface } = network
    if (iface.lease6 === null) return 1 // Ctrl-C came first
    for (const line of lease6Lines(iface.lease6, iface.name)) context.out(line)
    if (values.stay === true && !context.stop.aborted) {
      iface.onLease6 = (lease, event) => context.out([event, ...(lease === null ? [] : given(lease))].join(' '))
      context.out(`ready: ${network.address} on ${network.link.name}`)
      await Promise.race([stopped(context), network.broken])
      iface.onLease6 = null
    }
    return 0
  } finally {
    await network.close()
  }
}

function given({ addresses, prefixes }: Lease6): string[] {
  return [...addresses.map((a) => a.address), ...prefixes.map((p) => p.prefix)]
}

/** What a person wants to know of a lease. Lifetimes are the valid ones. */
export function lease6Lines(lease: Lease6, name: string): string[] {
  const { addresses, prefixes, server, nameservers, searchDomains, ntpServers, obtainedAt, renewAt, expiresAt } = lease
  const isStateless = addresses.length + prefixes.length === 0
  return [
    ...addresses.flatMap((a) => labelled('address', [a.address, `on ${name}`])),
    ...prefixes.flatMap((p) => labelled('prefix', [p.prefix])),
    ...labelled('server', [server]),
    ...labelled('dns', nameservers),
    ...labelled('search', searchDomains),
    ...labelled('ntp', ntpServers),
    ...labelled(isStateless ? 'refresh' : 'lease', [timeOf(isStateless ? renewAt : expiresAt, obtainedAt)]),
  ]
}
