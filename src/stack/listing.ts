/** What a stack shows of itself: routes, neighbours, connections, counters, as plain objects. */
import { DhcpServer } from '../dhcp/server.ts'
import { DnsServer } from '../dns/server/server.ts'
import type { NeighborTable } from '../ip/neighbor.ts'
import { endpointText, scopedText } from '../ip/zone.ts'
import type { ConnectionInfo } from '../tcp/api.ts'
import { Connection } from '../tcp/connection.ts'
import { TimeWait } from '../tcp/time-wait.ts'
import type { Stack } from './stack.ts'

/** A line of `stack.connections()`: all of `info()` for full connections. */
export type ConnectionSummary = Pick<ConnectionInfo, 'state' | 'local' | 'remote'> & Partial<ConnectionInfo>

/** A line of `stack.neighbors`. */
export interface NeighborSummary {
  address: string
  /** Null while it is not known. */
  mac: string | null
  state: string
  interface: string
}

type Counts = Record<string, number>

export function listNeighbors(stack: Stack): NeighborSummary[] {
  const of = (table: NeighborTable | null, name: string): NeighborSummary[] =>
    (table?.entries() ?? []).map((n) => ({
      address: scopedText(stack.ipLayer, n.address),
      mac: n.mac,
      state: n.state,
      interface: name,
    }))
  return stack.interfaces.flatMap(({ iface, name }) => [...of(iface.neighbors, name), ...of(iface.neighbors6, name)])
}

export function listConnections(stack: Stack): ConnectionSummary[] {
  const out: ConnectionSummary[] = []
  for (const flow of stack.tcp.flows()) {
    if (flow instanceof Connection) out.push(flow.info())
    else {
      const state = flow instanceof TimeWait ? 'TIME-WAIT' : 'SYN-RECEIVED'
      out.push({
        state,
        local: endpointText(stack.ipLayer, flow.localAddress, flow.localPort),
        remote: endpointText(stack.ipLayer, flow.remoteAddress, flow.remotePort),
      })
    }
  }
  return out
}

export function listCounters(stack: Stack, onlyNonZero: boolean): Record<string, Counts> {
  const lo = stack.ipLayer.loopback!
  const out: Record<string, Counts> = {
    ip: stack.ipv4.counters.snapshot(onlyNonZero),
    icmp: stack.icmp.counters.snapshot(onlyNonZero),
    ip6: stack.ipv6.counters.snapshot(onlyNonZero),
    icmp6: stack.icmp6.counters.snapshot(onlyNonZero),
    nd: stack.nd.counters.snapshot(onlyNonZero),
    routers: stack.routers.counters.snapshot(onlyNonZero),
    igmp: stack.multicast.igmp.counters.snapshot(onlyNonZero),
    mld: stack.multicast.mld.counters.snapshot(onlyNonZero),
    udp: stack.udp.counters.snapshot(onlyNonZero),
    tcp: stack.tcp.counters.snapshot(onlyNonZero),
    dns: stack.resolver.counters.snapshot(onlyNonZero),
    lo: lo.counters.snapshot(onlyNonZero),
  }
  for (const server of [...stack.dhcpServers, ...stack.dnsServers]) {
    const name = server instanceof DhcpServer ? 'dhcp.server' : server instanceof DnsServer ? 'dns.server' : 'dhcp6.server'
    const before = Object.keys(out).filter((known) => known.startsWith(name)).length
    out[`${name}${before || ''}`] = server.counters.snapshot(onlyNonZero) as Counts
  }
  const { forward4, forward6 } = stack.forwarders
  if (stack.madeFilter !== null) out.filter = stack.madeFilter.counters.snapshot(onlyNonZero) as Counts
  if (stack.madeMdns !== null) out.mdns = stack.madeMdns.counters.snapshot(onlyNonZero) as Counts
  if (forward4 !== null) out['ip.forward'] = forward4.counters.snapshot(onlyNonZero)
  if (forward6 !== null) out['ip6.forward'] = forward6.counters.snapshot(onlyNonZero)
  if (lo.netif.counters !== undefined) out['lo.link'] = lo.netif.counters()
  for (const a of stack.interfaces) {
    const { ethernet } = a.iface
    out[a.name] = a.iface.counters.snapshot(onlyNonZero)
    if (ethernet !== null) out[`${a.name}.ethernet`] = ethernet.counters.snapshot(onlyNonZero)
    if (a.arp !== null) out[`${a.name}.arp`] = a.arp.counters.snapshot(onlyNonZero)
    if (a.dhcp !== null) out[`${a.name}.dhcp`] = a.dhcp.counters.snapshot(onlyNonZero)
    if (a.dhcp6 !== null) out[`${a.name}.dhcp6`] = a.dhcp6.counters.snapshot(onlyNonZero)
    if (a.nd !== null)
      out[`${a.name}.nd`] = { ...a.nd.counters.snapshot(onlyNonZero), ...a.nd.dad.counters.snapshot(onlyNonZero) }
    if (a.link.counters !== undefined) out[`${a.name}.link`] = a.link.counters()
  }
  return out
}
