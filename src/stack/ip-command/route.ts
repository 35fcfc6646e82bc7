/** `ip route`: adds, changes, removes and shows routes of both families, over the routing of the stack (stack/routing.ts). */
import type { Address, Prefix } from '../../base/address.ts'
import { ROUTE_TYPES, type RouteEntry, type RouteType } from '../../ip/route.ts'
import { TABLE_LOCAL, TABLE_MAIN } from '../../ip/rules.ts'
import type { RouteOptions } from '../routing.ts'
import { readProtocol, readRouteScope, readTable } from './names.ts'
import { print } from './output.ts'
import { asKernel, badArgument, garbage, refused, refusedAs, unknownCommand, unsupported, wrong } from './problems.ts'
import { routeGet } from './route-get.ts'
import { linesOf, METRIC_DEFAULT6, type RouteLine, routeFields } from './route-view.ts'
import { abbreviates, type Device, type Family, parsePrefix, type Words } from './words.ts'

type Mode = NonNullable<RouteOptions['mode']>

export function routeCommand(w: Words): string {
  const word = w.more ? w.take() : 'show'
  if (abbreviates(word, 'list', 'show', 'lst')) return show(w)
  if (abbreviates(word, 'get')) return routeGet(w)
  if (abbreviates(word, 'add')) return modify(w, 'add')
  if (abbreviates(word, 'change', 'chg')) return modify(w, 'change')
  if (abbreviates(word, 'replace')) return modify(w, 'replace')
  if (abbreviates(word, 'prepend')) throw unsupported('"prepend"')
  if (abbreviates(word, 'append')) return modify(w, 'append')
  if (abbreviates(word, 'delete')) return modify(w, 'delete')
  if (abbreviates(word, 'flush')) return flush(w)
  throw unknownCommand(word, 'route')
}

interface NextHop {
  via: Address | null
  dev: Device | null
  weight: number
}

/** What is said of a route. */
interface Wanted {
  type: RouteType | 'local' | 'broadcast' | 'multicast' | null
  prefix: Prefix | null
  via: Address | null
  dev: Device | null
  source: Address | null
  metric: number | null
  table: number
  mtu: number
  protocol: string | null
  onlink: boolean
  nexthops: NextHop[]
}

/** Of TCP and others by route: this stack has them by connection, or not at all. */
const UNSUPPORTED = [
  'tos',
  'dsfield',
  'as',
  'from',
  'expires',
  'hoplimit',
  'advmss',
  'reordering',
  'rtt',
  'rttvar',
  'rto_min',
  'window',
  'cwnd',
  'initcwnd',
  'initrwnd',
  'features',
  'quickack',
  'congctl',
  'ssthresh',
  'realms',
  'nhid',
  'encap',
  'vrf',
  'fastopen_no_cookie',
  'ttl-propagate',
]

function read(w: Words): Wanted {
  const r: Wanted = {
    type: null,
    prefix: null,
    via: null,
    dev: null,
    source: null,
    metric: null,
    table: TABLE_MAIN,
    mtu: 0,
    protocol: null,
    onlink: false,
    nexthops: [],
  }
  if (!w.more)
    throw wrong('Usage: ip route { add | del | change | append | replace } [ TYPE ] PREFIX [ via ADDRESS ] [ dev NAME ] ...')
  while (w.more) {
    const word = w.take()
    if (word === 'via') r.via = readVia(w, familyOf(w, r))
    else if (word === 'dev' || word === 'oif') r.dev = w.device()
    else if (word === 'src') r.source = w.address(familyOf(w, r))
    else if (['metric', 'priority', 'preference'].includes(word)) {
      r.metric = w.number(0, 0xffff_ffff, (bad) => badArgument(bad, '"metric" value is invalid\n'))
    } else if (word === 'mtu') {
      w.takeIf('lock')
      r.mtu = w.number(0, 0xffff_ffff, (bad) => badArgument(bad, '"mtu" value is invalid\n'))
    } else if (word === 'scope') readRouteScope(w)
    else if (word === 'proto' || abbreviates(word, 'protocol')) r.protocol = readProtocol(w)
    else if (word === 'table') r.table = readTable(w, (bad) => badArgument(bad, '"table" value is invalid\n'))
    else if (word === 'onlink') r.onlink = true
    else if (word === 'pref') {
      if (w.argument() !== 'medium') throw unsupported('a preference of a route other than medium')
    } else if (word === 'nexthop') {
      r.nexthops.push(...readHops(w, r))
    } else if (UNSUPPORTED.includes(word)) throw unsupported(`"${word}"`)
    else readDestination(w, word, r)
  }
  return r
}

/** `[to] [TYPE] PREFIX` */
function readDestination(w: Words, word: string, r: Wanted): void {
  let text = word === 'to' ? w.argument() : word
  const type = typeNamed(text)
  if (type !== null) {
    r.type = type
    text = w.argument()
  }
  if (r.prefix !== null) throw garbage('to', text)
  const known: Family = w.options.family !== 0 ? w.options.family : (r.via?.family ?? 0)
  r.prefix = parsePrefix(text, known)
}

function typeNamed(word: string): Wanted['type'] {
  return [...ROUTE_TYPES, 'local' as const, 'broadcast' as const, 'multicast' as const].find((t) => t === word) ?? null
}

/** `default` says nothing of its family: what follows does. */
function familyOf(w: Words, r: Wanted): Family {
  if (w.options.family !== 0) return w.options.family
  return r.prefix === null || r.prefix.length === 0 ? (r.via?.family ?? 0) : r.prefix.address.family
}

function readVia(w: Words, family: Family): Address {
  const word = w.next
  if (word === 'inet' || word === 'inet6') {
    w.take()
    const named = word === 'inet' ? 4 : 6
    if (family !== 0 && family !== named) throw unsupported('a gateway of the other family')
    return w.address(named)
  }
  return w.address(family)
}

/** The words of one hop, to the next `nexthop` or the end. */
function readHops(w: Words, r: Wanted): NextHop[] {
  const hop: NextHop = { via: null, dev: null, weight: 1 }
  if (!w.more || w.next === 'nexthop') throw wrong('Error: unexpected end of line after "nexthop"')
  for (;;) {
    if (w.takeIf('via')) hop.via = readVia(w, familyOf(w, r))
    else if (w.takeIf('dev')) hop.dev = w.device()
    else if (w.takeIf('weight')) hop.weight = w.number(1, 256, (bad) => badArgument(bad, '"weight" is invalid\n'))
    else if (w.takeIf('onlink')) r.onlink = true
    else return [hop]
  }
}

function modify(w: Words, mode: Mode | 'delete'): string {
  const r = read(w)
  const prefix = destinationOf(w, r)
  if (!prefix.network.address.equals(prefix.address)) throw refusedAs('EINVAL', 'Invalid prefix for given prefix length')
  if (r.table === 0) r.table = TABLE_MAIN
  if (r.type === 'local' || r.type === 'broadcast' || r.type === 'multicast' || r.table === TABLE_LOCAL) {
    throw unsupported('a change of the local table, which is made of the addresses of interfaces,')
  }
  if (mode === 'delete') remove(w, r, prefix)
  else put(w, r, prefix, mode)
  w.stack.turn.wake()
  return ''
}

/** `default` is of the family of what else is said. */
function destinationOf(w: Words, r: Wanted): Prefix {
  const other = r.via ?? r.nexthops.find((h) => h.via !== null)?.via ?? r.source
  if (r.prefix === null) throw refused('EINVAL')
  if (r.prefix.length > 0 || w.options.family !== 0 || other === null) return r.prefix
  return parsePrefix('default', other.family)
}

function put(w: Words, r: Wanted, prefix: Prefix, mode: Mode): void {
  const v4 = prefix.address.isV4
  const kind = r.type as RouteType | null
  const leadsOn = kind === null || kind === 'unicast'
  if (leadsOn && r.nexthops.length === 0) checkHop(r.via, r.dev, v4, r.onlink)
  else for (const hop of r.nexthops) checkHop(hop.via, hop.dev, v4, r.onlink)
  const options: RouteOptions = {
    metric: metricOf(r, v4),
    kind: kind ?? 'unicast',
    table: r.table,
    mode,
    onlink: r.onlink,
    protocol: r.protocol ?? 'boot',
    ...(r.source !== null && { source: r.source }),
    ...(r.mtu !== 0 && { mtu: r.mtu }),
    ...(r.nexthops.length > 0 && {
      nexthops: r.nexthops.map((h) => ({
        gateway: h.via,
        weight: h.weight,
        ...(h.dev?.attached && { interface: h.dev.attached }),
      })),
    }),
  }
  try {
    // What leads nowhere may be said to lead to the loopback, as IPv6's are shown.
    w.stack.addRoute(prefix, leadsOn ? r.via : null, leadsOn ? (r.dev?.attached ?? null) : null, options)
  } catch (error) {
    throw asKernel(error, {
      ENETUNREACH: 'Nexthop has invalid gateway',
      EINVAL: v4 ? 'Invalid prefsrc address' : 'Invalid source address',
    })
  }
}

/** Linux, IPv6: none given, and 0, is 1024. */
function metricOf(r: Wanted, v4: boolean): number {
  return v4 ? (r.metric ?? 0) : r.metric || METRIC_DEFAULT6
}

function checkHop(via: Address | null, dev: Device | null, v4: boolean, onlink: boolean): void {
  if (dev?.attached === null) throw unsupported('a route over the loopback interface')
  if (dev !== null && !dev.iface.up) throw refusedAs('ENETDOWN', v4 ? 'Device for nexthop is not up' : 'Nexthop device is not up')
  if (dev !== null || via === null) return
  if (onlink) throw refusedAs('ENODEV', 'Nexthop device required for onlink')
  if (via.isLinkLocal) throw refusedAs('ENODEV', 'Egress device not specified')
}

function remove(w: Words, r: Wanted, prefix: Prefix): void {
  const v4 = prefix.address.isV4
  const gateway = r.via === null ? undefined : r.via
  const metric = r.metric === null ? undefined : metricOf(r, v4)
  const found = (w.stack.ipLayer.tables.get(r.table)?.at(prefix) ?? []).find((e) => {
    const hops = e.hops ?? [e]
    return (
      (metric === undefined || e.metric === metric) &&
      (r.type === null || (e.kind ?? 'unicast') === r.type) &&
      (r.source === null || e.source?.equals(r.source) === true) &&
      hops.some(
        (h) =>
          (gateway === undefined || (h.gateway !== null && sameWords(h.gateway, gateway))) &&
          (r.dev === null || h.iface === r.dev.iface),
      ) &&
      r.nexthops.every((n) => hops.some((h) => n.via === null || (h.gateway !== null && sameWords(h.gateway, n.via))))
    )
  })
  if (found === undefined) throw refused('ESRCH')
  forget(w, r.table, found)
}

function forget(w: Words, table: number, entry: RouteEntry): void {
  w.stack.ipLayer.tables.get(table)?.remove((e) => e === entry)
  w.stack.ipLayer.changed()
}

/** The same address, whatever the zone. */
function sameWords(a: Address, b: Address): boolean {
  return a.w0 === b.w0 && a.w1 === b.w1 && a.w2 === b.w2 && a.w3 === b.w3
}

/** What `show` and `flush` select. */
interface Selection {
  dev: Device | null
  via: Prefix | null
  source: Prefix | null
  protocol: string | null
  scope: string | null
  type: string | null
  metric: number | null
  /** 0: all. */
  table: number
  /** Inside of `root`, around `match`, exactly `exact`. */
  root: Prefix | null
  match: Prefix | null
  exact: Prefix | null
  family: Family
}

function readSelection(w: Words): Selection {
  const s: Selection = {
    dev: null,
    via: null,
    source: null,
    protocol: null,
    scope: null,
    type: null,
    metric: null,
    table: TABLE_MAIN,
    root: null,
    match: null,
    exact: null,
    family: w.options.family,
  }
  while (w.more) {
    const word = w.take()
    if (word === 'dev' || word === 'oif') s.dev = w.device()
    else if (word === 'via') s.via = w.prefix()
    else if (word === 'src') s.source = w.prefix()
    else if (word === 'proto' || abbreviates(word, 'protocol')) s.protocol = readProtocol(w)
    else if (word === 'scope') s.scope = readRouteScope(w)
    else if (word === 'type') s.type = w.argument()
    else if (word === 'metric') s.metric = w.number(0, 0xffff_ffff, (bad) => badArgument(bad, '"metric" value is invalid\n'))
    else if (word === 'table') s.table = readTable(w, (bad) => badArgument(bad, 'table id value is invalid\n'))
    else if (word === 'cached' || word === 'cloned' || word === 'from' || word === 'vrf' || word === 'tos') {
      throw unsupported(`"${word}"`)
    } else readRange(w, word, s)
  }
  return s
}

function readRange(w: Words, word: string, s: Selection): void {
  const next = word === 'to' ? w.argument() : word
  const type = typeNamed(next)
  if (type !== null && type !== 'unicast') {
    s.type = type
    return
  }
  const keyword = next === 'root' || next === 'match' || next === 'exact' ? next : null
  const prefix = parsePrefix(keyword === null ? next : w.argument(), s.family)
  // A bare `default` says nothing of the family.
  if (prefix.length > 0 || prefix.address.family === 6) s.family = prefix.address.family
  if (keyword === 'match' || keyword === 'root') s[keyword] = prefix
  else s.exact = prefix
}

/** The lines that are selected, table by table. IPv4 unless said otherwise. */
function selected(w: Words, s: Selection): RouteLine[] {
  const { stack } = w
  const families = s.family !== 0 ? [s.family] : s.table === 0 ? ([4, 6] as const) : ([4] as const)
  const tables = s.table !== 0 ? [s.table] : [...[...stack.ipLayer.tables.keys()].sort((a, b) => a - b), TABLE_LOCAL]
  const out: RouteLine[] = []
  for (const family of families) {
    for (const table of tables) {
      const lines = linesOf(stack, table, family)
      if (lines !== null) out.push(...lines.filter((line) => selects(s, line)))
      else if (s.table !== 0) {
        throw wrong(`Error: ipv${family}: FIB table does not exist.\nDump terminated`, 'ENOENT')
      }
    }
  }
  return out
}

function selects(s: Selection, line: RouteLine): boolean {
  const { prefix } = line
  // A route with several next hops has no one interface and no one gateway, as ip(8) looks at it.
  if (s.dev !== null && (line.hops !== null || line.iface !== s.dev.iface)) return false
  if (s.via !== null && !holds(s.via, line.hops === null ? line.gateway : null)) return false
  if (s.source !== null && !holds(s.source, line.source)) return false
  if (s.protocol !== null && line.protocol !== s.protocol) return false
  if (s.scope !== null && line.scope !== s.scope) return false
  if (s.type !== null && line.type !== s.type) return false
  if (s.metric !== null && line.metric !== s.metric) return false
  if (s.root !== null && (prefix.length < s.root.length || !s.root.contains(prefix.address))) return false
  if (s.match !== null && (prefix.length > s.match.length || !prefix.contains(s.match.address))) return false
  if (s.exact !== null && (prefix.length !== s.exact.length || !s.exact.contains(prefix.address)))
    return s.exact.length === 0 && prefix.length === 0
  return true
}

function holds(prefix: Prefix, a: Address | null): boolean {
  return a !== null && prefix.address.isV4 === a.isV4 && prefix.contains(a)
}

function show(w: Words): string {
  const s = readSelection(w)
  const hidden = {
    dev: s.dev !== null,
    via: s.via !== null && s.via.length === (s.via.address.isV4 ? 32 : 128),
    protocol: s.protocol !== null,
    scope: s.scope !== null,
    table: s.table !== 0,
  }
  const of = (line: RouteLine): boolean => s.table === 0 && line.table !== TABLE_MAIN
  return print(
    selected(w, s).map((line) => routeFields(line, { ...hidden, table: !of(line) }, w.options.details)),
    w.options,
  )
}

function flush(w: Words): string {
  if (!w.more) throw wrong('"ip route flush" requires arguments.')
  if (w.takeIf('cache')) {
    w.stack.ipLayer.changed()
    return ''
  }
  const s = readSelection(w)
  let n = 0
  for (const { table, entry } of selected(w, s)) {
    if (entry === null) continue // the local table is the addresses'
    forget(w, table, entry)
    n++
  }
  w.stack.turn.wake()
  if (!w.options.statistics) return ''
  if (n === 0) return 'Nothing to flush.\n'
  return `\n*** Round 1, deleting ${n} entries ***\n*** Flush is complete after 1 round ***\n`
}
