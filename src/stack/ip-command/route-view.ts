/**
 * Routes as `ip route` shows them. The local table is made of the addresses of interfaces (here it is no table: ip/rules.ts), and so are its
 * lines.
 */
import { type Address, ANY, ANY_V4, Prefix } from '../../base/address.ts'
import type { Interface } from '../../ip/interface.ts'
import type { Hop, RouteEntry, RouteType, WeightedHop } from '../../ip/route.ts'
import { TABLE_LOCAL } from '../../ip/rules.ts'
import type { Stack } from '../stack.ts'
import { protocolOf, tableName } from './names.ts'
import { Fields, type JsonObject, type Shown } from './output.ts'

/** What Linux gives connected routes of IPv6, and those that say nothing. */
export const METRIC_CONNECTED6 = 256
export const METRIC_DEFAULT6 = 1024

/** A line of a listing, of whichever table. */
export interface RouteLine {
  readonly table: number
  readonly type: RouteType | 'local' | 'broadcast' | 'multicast'
  readonly prefix: Prefix
  readonly gateway: Address | null
  /** Null: the route leads nowhere, and names no interface. */
  readonly iface: Interface | null
  readonly protocol: string
  readonly scope: string
  readonly source: Address | null
  readonly metric: number
  readonly mtu: number
  readonly onlink: boolean
  readonly hops: readonly WeightedHop[] | null
  /** The table's entry; null in the local table. */
  readonly entry: RouteEntry | null
}

/** What a listing has selected by, and need not show again. */
export interface Hidden {
  dev: boolean
  via: boolean
  protocol: boolean
  scope: boolean
  /** Tables are named where several are shown. */
  table: boolean
}

export const NOTHING_HIDDEN: Hidden = { dev: false, via: false, protocol: false, scope: false, table: true }

/** All lines of a table, sorted; null: there is no such table. */
export function linesOf(stack: Stack, table: number, family: 4 | 6): RouteLine[] | null {
  if (table === TABLE_LOCAL) return localLines(stack, family)
  const entries = stack.ipLayer.tables.get(table)?.entries
  if (entries === undefined || (entries.length === 0 && tableName(table) === `${table}`)) return null
  const lines: RouteLine[] = []
  for (const entry of entries) {
    if (entry.prefix.address.family !== family || (entry.iface.isLoopback && entry.origin === 'connected')) continue
    // Two addresses of one network make one route.
    const twin = (l: RouteLine): boolean =>
      l.protocol === 'kernel' && l.iface === entry.iface && `${l.prefix}` === `${entry.prefix}`
    if (entry.origin === 'connected' && lines.some(twin)) continue
    lines.push(lineOf(entry, table))
  }
  return lines.sort(family === 4 ? byPrefix : byPrefixDefaultLast)
}

export function lineOf(entry: RouteEntry, table: number): RouteLine {
  const v4 = entry.prefix.address.isV4
  const type = entry.kind ?? 'unicast'
  const connected = entry.origin === 'connected'
  return {
    table,
    type,
    prefix: entry.prefix,
    gateway: entry.gateway,
    iface: type === 'unicast' || !v4 ? entry.iface : null,
    protocol: protocolOf(entry),
    scope: v4 && type === 'unicast' && entry.gateway === null && entry.hops === undefined ? 'link' : 'global',
    source: connected && !v4 ? null : entry.source,
    metric: connected && !v4 && entry.metric === 0 ? METRIC_CONNECTED6 : entry.metric,
    mtu: entry.mtu ?? 0,
    onlink: entry.onlink === true,
    hops: entry.hops ?? null,
    entry,
  }
}

function localLines(stack: Stack, family: 4 | 6): RouteLine[] {
  const lines: RouteLine[] = []
  for (const iface of stack.ipLayer.interfaces) {
    for (const { address, prefix, broadcast } of iface.addresses) {
      if (address.family !== family) continue
      // The first address of a network stands as source for the others of it.
      const first = iface.addresses.find((a) => a.prefix.length === prefix.length && a.prefix.contains(address))
      lines.push(localLine('local', new Prefix(address, family === 4 ? 32 : 128), iface, first?.address ?? address))
      if (iface.isLoopback && prefix.length < 32) lines.push(localLine('local', prefix.network, iface, address))
      const known = (l: RouteLine): boolean =>
        l.type === 'broadcast' && l.iface === iface && `${l.prefix.address}` === `${broadcast}`
      if (broadcast !== null && !lines.some(known)) lines.push(localLine('broadcast', new Prefix(broadcast, 32), iface, address))
    }
    if (family === 6 && iface.addresses.some((a) => a.address.isLinkLocal)) {
      lines.push(localLine('multicast', new Prefix(GROUPS, 8), iface, null))
    }
  }
  return lines.sort(family === 4 ? byPrefix : byPrefixDefaultLast)
}

/** ff00::/8 */
const GROUPS = ANY.clone()
GROUPS.w0 = 0xff000000 | 0

function localLine(type: RouteLine['type'], prefix: Prefix, iface: Interface, source: Address | null): RouteLine {
  const v4 = prefix.address.isV4
  return {
    table: TABLE_LOCAL,
    type,
    prefix,
    gateway: null,
    iface,
    protocol: 'kernel',
    scope: !v4 ? 'global' : type === 'local' ? 'host' : 'link',
    source: v4 ? source : null,
    metric: type === 'multicast' ? METRIC_CONNECTED6 : 0,
    mtu: 0,
    onlink: false,
    hops: null,
    entry: null,
  }
}

/** Both forms of a line. */
export function routeFields(line: RouteLine, hidden: Hidden, details: boolean): Shown {
  const { type, prefix, gateway, iface, metric, hops } = line
  const v4 = prefix.address.isV4
  const out = new Fields()
  if (type !== 'unicast' || details) out.add('type', type, `${type} `)
  out.add('dst', destinationText(prefix), `${destinationText(prefix)} `)
  if (hops === null && gateway !== null && !hidden.via) out.add('gateway', plain(gateway), `via ${plain(gateway)} `)
  if (hops === null && iface !== null && !hidden.dev) out.add('dev', iface.name, `dev ${iface.name} `)
  if (!hidden.table) out.add('table', tableName(line.table), `table ${tableName(line.table)} `)
  const proto = line.protocol
  if ((proto !== 'boot' || details) && !hidden.protocol) out.add('protocol', proto, `proto ${proto} `)
  if ((line.scope !== 'global' || details) && !hidden.scope) out.add('scope', line.scope, `scope ${line.scope} `)
  if (line.source !== null) out.add('prefsrc', plain(line.source), `src ${plain(line.source)} `)
  if (metric !== 0 || !v4) out.add('metric', metric, `metric ${metric} `)
  const flags = hops === null ? hopFlags(iface, line.onlink) : []
  out.add('flags', flags, flags.map((f) => `${f} `).join(''))
  if (line.mtu !== 0) out.add('metrics', [{ mtu: line.mtu }], `mtu ${line.mtu} `)
  if (!v4) out.add('pref', 'medium', 'pref medium')
  if (hops !== null)
    out.add(
      'nexthops',
      hops.map((h) => hopJson(h, h.weight, line.onlink)),
      hops.map((h) => hopText(h, h.weight, line.onlink)).join(''),
    )
  return out.say('\n')
}

function hopJson(hop: Hop, weight: number, onlink: boolean): JsonObject {
  return {
    ...(hop.gateway !== null && { gateway: plain(hop.gateway) }),
    dev: hop.iface.name,
    weight,
    flags: hopFlags(hop.iface, onlink),
  }
}

function hopText(hop: Hop, weight: number, onlink: boolean): string {
  const via = hop.gateway === null ? '' : `via ${plain(hop.gateway)} `
  const flags = hopFlags(hop.iface, onlink).map((f) => `${f} `)
  return `\n\tnexthop ${via}dev ${hop.iface.name} weight ${weight} ${flags.join('')}`
}

/** A route over an interface that is down stays, and counts for nothing until it is up. */
function hopFlags(iface: Interface | null, onlink: boolean): string[] {
  const flags = iface !== null && !iface.up ? ['dead', 'linkdown'] : []
  return onlink ? [...flags, 'onlink'] : flags
}

/** `default`, `10.0.0.0/24`, or a host's address. */
export function destinationText(prefix: Prefix): string {
  if (prefix.length === 0 && (prefix.address.equals(ANY) || prefix.address.equals(ANY_V4))) return 'default'
  return prefix.length === (prefix.address.isV4 ? 32 : 128) ? plain(prefix.address) : `${plain(prefix.address)}/${prefix.length}`
}

/** Without zone: an interface is shown beside it. */
export function plain(a: Address): string {
  return a.toString().replace(/%.*$/, '')
}

function byPrefix(a: RouteLine, b: RouteLine): number {
  const x = a.prefix.address
  const y = b.prefix.address
  for (const [m, n] of [
    [x.w0, y.w0],
    [x.w1, y.w1],
    [x.w2, y.w2],
    [x.w3, y.w3],
  ]) {
    if (m !== n) return (m >>> 0) - (n >>> 0)
  }
  // The default route stands before all that begin with zeros, and everywhere else the longer prefix before the shorter.
  if (a.prefix.length === 0 || b.prefix.length === 0) return a.prefix.length - b.prefix.length || a.metric - b.metric
  return b.prefix.length - a.prefix.length || a.metric - b.metric
}

/** IPv6 lists the default route last. */
function byPrefixDefaultLast(a: RouteLine, b: RouteLine): number {
  const last = Number(a.prefix.length === 0) - Number(b.prefix.length === 0)
  return last !== 0 ? last : byPrefix(a, b)
}
