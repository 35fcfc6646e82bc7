/**
 * Routes and rules as the user of a stack changes them (`stack.addRoute`, `stack.addRule`): what ip-route(8) and ip-rule(8) check, with errors
 * whose codes are the kernel's.
 */
import { type Address, type Prefix, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import type { Interface } from '../ip/interface.ts'
import { Multipath } from '../ip/multipath.ts'
import {
  type Hop,
  isUnicast,
  ROUTE_TYPES,
  type RouteEntry,
  type RouteTable,
  type RouteType,
  type WeightedHop,
} from '../ip/route.ts'
import { RoutingRules, type Rule, sameRule, TABLE_LOCAL, TABLE_MAIN } from '../ip/rules.ts'
import { tableOf } from '../ip/tables.ts'
import { parseScoped, scopedText } from '../ip/zone.ts'
import type { AttachedInterface } from './attached.ts'
import type { Stack } from './stack.ts'

/** One of several next hops of a route. */
export interface NextHopOptions {
  /** Null or left out: on-link. */
  gateway?: Address | string | null
  /** Found by the gateway when left out. */
  interface?: AttachedInterface
  /** 1 to 256; 1 when left out. */
  weight?: number
}

/** What a route is besides its destination and gateway: its metric, table, kind, source, several next hops. */
export interface RouteOptions {
  /** Of routes to one prefix the lowest counts. 0 when left out. */
  metric?: number
  /** `unicast` when left out. The others go nowhere: no gateway, no interface. */
  kind?: RouteType
  /** Source for packets that leave this way, unless their sender has chosen one. Must be ours. */
  source?: Address | string
  /** Largest packet in bytes. */
  mtu?: number
  /** Several next hops in place of one. */
  nexthops?: readonly NextHopOptions[]
  /** 1 to 254; the main table (254) when left out. Others are asked by rules only. */
  table?: number
  /**
   * When there is a route of the same prefix and metric: `add` throws EEXIST, `replace` and `change` take its place, `append` stands behind
   * it. When there is none `change` throws ENOENT. `add` when left out. As ip-route(8) has them.
   */
  mode?: 'add' | 'append' | 'replace' | 'change'
  /** Believe that the gateway is on the link, whatever the addresses say. */
  onlink?: boolean
  /** Who owns the route; `static` when left out. */
  origin?: RouteEntry['origin']
  /** Another name for its owner, to be shown: those of rt_protos. */
  protocol?: string
}

/** Which route to remove: of all that fit, the best one goes. What is left out fits all. */
export interface RouteFilter {
  gateway?: Address | string | null
  interface?: AttachedInterface
  metric?: number
  kind?: RouteType
  table?: number
  origin?: RouteEntry['origin']
}

/** See ip-rule(8). What is left out matches everything; the family is that of `from` or `to`, else IPv4. */
export interface RoutingRuleOptions {
  family?: 4 | 6
  from?: Prefix | string
  to?: Prefix | string
  /** Name of the incoming interface; `lo`: packets of our own. */
  iif?: string
  /** Name of the interface that a sender is bound to. */
  oif?: string
  /** Table to look in. */
  table?: number
  /** In place of a table. */
  action?: 'blackhole' | 'unreachable' | 'prohibit'
  /** Lower is asked earlier; one less than the lowest in use when left out. */
  priority?: number
}

/** A line of `stack.rules`. */
export interface RoutingRuleSummary {
  priority: number
  family: 4 | 6
  from: string | null
  to: string | null
  iif: string | null
  oif: string | null
  table: number | null
  action: Rule['action']
}

const PRIORITY_MAIN = 32766
const MAX_WEIGHT = 256

export function addRoute(
  stack: Stack,
  to: Prefix | string,
  by: Address | string | null,
  dev: AttachedInterface | null,
  options: RouteOptions,
): void {
  const { ipLayer: ip } = stack
  const prefix = networkOf(to)
  const { metric = 0, kind = 'unicast', mtu = 0, mode = 'add', origin = 'static', onlink = false } = options
  checkNumber(metric, 0, 0xffff_ffff, 'metric')
  if (mtu !== 0) checkNumber(mtu, prefix.address.isV4 ? 68 : 1280, 65535, 'mtu')
  if (!ROUTE_TYPES.includes(kind)) throw invalidArgument(`there is no route of kind ${kind}: ${ROUTE_TYPES.join(', ')}`)
  const table = editable(stack, options.table ?? TABLE_MAIN)
  let first: Hop
  let hops: WeightedHop[] | undefined
  if (kind !== 'unicast') {
    if (by !== null || dev !== null || options.nexthops !== undefined)
      throw invalidArgument(`a ${kind} route leads nowhere: it has no gateway and no interface`)
    first = { gateway: null, iface: ip.loopback! }
  } else if (options.nexthops !== undefined) {
    if (by !== null || dev !== null) throw invalidArgument('a route has a gateway or nexthops, not both')
    if (options.nexthops.length === 0) throw invalidArgument('nexthops: at least one is needed')
    hops = options.nexthops.map((hop) => {
      const weight = hop.weight ?? 1
      checkNumber(weight, 1, MAX_WEIGHT, 'weight')
      return { ...hopOf(stack, prefix, hop.gateway ?? null, hop.interface ?? null, onlink), weight }
    })
    first = hops[0]
  } else first = hopOf(stack, prefix, by, dev, onlink)
  const entry: RouteEntry = {
    prefix,
    gateway: first.gateway,
    iface: first.iface,
    metric,
    source: sourceOf(stack, prefix, options.source),
    origin,
    ...(options.protocol !== undefined && options.protocol !== origin && { protocol: options.protocol }),
    ...(onlink && { onlink }),
    ...(kind !== 'unicast' && { kind }),
    ...(mtu !== 0 && { mtu }),
    ...(hops !== undefined && { hops }),
  }
  const same = table.at(prefix).filter((e) => e.metric === metric)
  if (same.length > 0 && mode === 'add') {
    throw new NetError('EEXIST', { message: `there is a route to ${prefix} with metric ${metric} already` })
  }
  if (same.length === 0 && mode === 'change')
    throw new NetError('ENOENT', { message: `there is no route to ${prefix} to change` })
  if (same.length > 0 && mode !== 'append') table.remove((e) => e === same[0])
  if (hops !== undefined) ip.multipath ??= new Multipath(stack.random)
  table.add(entry)
  ip.changed()
}

/** Throws ESRCH when there is none that fits. */
export function removeRoute(stack: Stack, to: Prefix | string, filter: RouteFilter): void {
  const prefix = networkOf(to)
  const table = editable(stack, filter.table ?? TABLE_MAIN)
  const gateway = typeof filter.gateway === 'string' ? parseScoped(stack.ipLayer, filter.gateway) : filter.gateway
  const dev = filter.interface?.iface
  const sameHop = (hop: Hop): boolean =>
    (gateway === undefined || sameAddress(gateway, hop.gateway)) && (dev === undefined || hop.iface === dev)
  const found = table
    .at(prefix)
    .find(
      (e) =>
        (e.hops ?? [e]).some(sameHop) &&
        (filter.metric === undefined || e.metric === filter.metric) &&
        (filter.kind === undefined || (e.kind ?? 'unicast') === filter.kind) &&
        (filter.origin === undefined || e.origin === filter.origin),
    )
  if (found === undefined) throw new NetError('ESRCH', { message: `there is no such route to ${prefix}` })
  table.remove((e) => e === found)
  stack.ipLayer.changed()
}

export function addRule(stack: Stack, options: RoutingRuleOptions): void {
  const { ipLayer: ip } = stack
  const rules = ip.rules ?? new RoutingRules(ip.tables)
  const rule = ruleOf(rules, options)
  if (rules.has(rule)) throw new NetError('EEXIST', { message: `there is such a rule already, priority ${rule.priority}` })
  rules.add(rule, ip.loopback!)
  ip.rules = rules
  ip.changed()
}

/** Throws ENOENT when there is none that has all that is given. */
export function removeRule(stack: Stack, options: RoutingRuleOptions): void {
  const { ipLayer: ip } = stack
  const rules = ip.rules ?? new RoutingRules(ip.tables)
  const given = ruleOf(rules, options)
  const found = rules.list.find((r) =>
    sameRule(r, {
      priority: options.priority === undefined ? r.priority : given.priority,
      family: given.family,
      from: given.from,
      to: given.to,
      iif: given.iif,
      oif: given.oif,
      table: options.table === undefined && options.action === undefined ? r.table : given.table,
      action: options.table === undefined && options.action === undefined ? r.action : given.action,
    }),
  )
  if (found === undefined) throw new NetError('ENOENT', { message: 'there is no such rule' })
  if (found.table === TABLE_LOCAL) throw new NetError('EOPNOTSUPP', { message: 'the rule for what is local stays' })
  rules.remove(found)
  ip.rules = rules.isDefault ? null : rules
  ip.changed()
}

export function listRules(stack: Stack): RoutingRuleSummary[] {
  const rules = stack.ipLayer.rules ?? new RoutingRules(stack.ipLayer.tables)
  return rules.list.map((r) => ({
    priority: r.priority,
    family: r.family,
    from: r.from === null ? null : `${r.from}`,
    to: r.to === null ? null : `${r.to}`,
    iif: r.iif,
    oif: r.oif,
    table: r.table,
    action: r.action,
  }))
}

/** A line of `stack.routes`. */
export interface RouteSummary {
  destination: string
  gateway: string | null
  interface: string
  metric: number
  source: string | null
  origin: string
  kind: RouteType
  /** 0: the interface's. */
  mtu: number
  /** Null: one next hop, that of `gateway` and `interface`. */
  nexthops: { gateway: string | null; interface: string; weight: number }[] | null
}

/** The routes of a table, best match first; none for a table that nobody has used. */
export function listRoutes(stack: Stack, table: number): RouteSummary[] {
  const { ipLayer: ip } = stack
  const text = (a: Address | null): string | null => (a === null ? null : scopedText(ip, a))
  return (ip.tables.get(table)?.entries ?? []).map((e) => ({
    destination: e.prefix.toString(),
    gateway: text(e.gateway),
    interface: e.iface.name,
    metric: e.metric,
    source: text(e.source),
    origin: e.origin,
    kind: e.kind ?? 'unicast',
    mtu: e.mtu ?? 0,
    nexthops: e.hops?.map((h) => ({ gateway: text(h.gateway), interface: h.iface.name, weight: h.weight })) ?? null,
  }))
}

function networkOf(to: Prefix | string): Prefix {
  return (typeof to === 'string' ? parsePrefix(to) : to).network
}

function editable(stack: Stack, table: number): RouteTable {
  checkNumber(table, 1, 0x7fff_ffff, 'table')
  if (table === TABLE_LOCAL) {
    throw new NetError('EOPNOTSUPP', { message: 'the local table is made of the addresses of interfaces: add or remove those' })
  }
  return tableOf(stack.ipLayer, table)
}

/** Where a route leads, made sure of. */
function hopOf(stack: Stack, prefix: Prefix, by: Address | string | null, dev: AttachedInterface | null, onlink: boolean): Hop {
  const { ipLayer: ip } = stack
  const gateway = typeof by === 'string' ? parseScoped(ip, by) : by === null ? null : by.clone()
  if (gateway === null) {
    if (dev === null) throw new NetError('ENODEV', { message: `a route to ${prefix} needs a gateway or an interface` })
    return { gateway, iface: dev.iface }
  }
  if (gateway.isV4 !== prefix.address.isV4) throw invalidArgument(`gateway ${gateway} is not of the family of ${prefix}`)
  const iface = dev !== null ? dev.iface : interfaceTowards(stack, gateway)
  if (gateway.isLinkLocal) gateway.zone = iface.index
  if (ip.isLocal(gateway)) throw invalidGateway(`gateway ${gateway} is an address of this stack`)
  if (!onlink && !isOnLink(stack, iface, gateway)) {
    const own = dev?.addresses.join(', ') ?? ''
    throw invalidGateway(`gateway ${scopedText(ip, gateway)} is not on a network of ${iface.name} (${own || 'no address'})`)
  }
  return { gateway, iface }
}

/** Where neighbours with such an address are. */
function interfaceTowards(stack: Stack, gateway: Address): Interface {
  const { ipLayer: ip } = stack
  if (gateway.isLinkLocal) {
    const zone = ip.zoneOf(gateway, null)
    if (zone === null) throw invalidGateway(`gateway ${gateway} is link-local: of which interface?`)
    return zone
  }
  const entry = ip.routes.lookup(gateway, null)
  if (entry === null || !isUnicast(entry)) throw invalidGateway(`gateway ${gateway} is on no network of this stack`)
  if (entry.gateway !== null)
    throw invalidGateway(`gateway ${gateway} is on no network of this stack, but behind ${entry.gateway}`)
  return entry.iface
}

function isOnLink(stack: Stack, iface: Interface, gateway: Address): boolean {
  if (iface.ethernet === null || gateway.isLinkLocal || iface.addresses.some((a) => a.prefix.contains(gateway))) return true
  const entry = stack.ipLayer.routes.lookup(gateway, iface)
  return entry !== null && isUnicast(entry) && entry.gateway === null && entry.prefix.length > 0
}

/** ip(8): "Nexthop has invalid gateway". */
function invalidGateway(message: string): NetError {
  return new NetError('ENETUNREACH', { message })
}

function sourceOf(stack: Stack, prefix: Prefix, source: Address | string | undefined): Address | null {
  if (source === undefined) return null
  const a = typeof source === 'string' ? parseScoped(stack.ipLayer, source) : source.clone()
  if (a.isV4 !== prefix.address.isV4) throw invalidArgument(`source ${a} is not of the family of ${prefix}`)
  if (!stack.ipLayer.isLocal(a)) throw new NetError('EINVAL', { message: `source ${a} is not an address of this stack` })
  return a
}

function sameAddress(a: Address | null, b: Address | null): boolean {
  if (a === null || b === null) return a === b
  return a.equals(b) || (a.zone === 0 && b.isLinkLocal && a.toString() === b.toString().replace(/%.*$/, ''))
}

function ruleOf(rules: RoutingRules, options: RoutingRuleOptions): Rule {
  const parse = (p: Prefix | string | undefined): Prefix | null =>
    p === undefined ? null : (typeof p === 'string' ? parsePrefix(p) : p).network
  const from = parse(options.from)
  const to = parse(options.to)
  const family = options.family ?? (from ?? to)?.address.family ?? 4
  for (const p of [from, to]) {
    if (p !== null && p.address.family !== family) throw invalidArgument(`${p} is not of the rule's family, IPv${family}`)
  }
  if (options.table !== undefined && options.action !== undefined)
    throw invalidArgument('a rule has a table or an action, not both')
  const used = rules.list.filter((r) => r.family === family && r.priority > 0).map((r) => r.priority)
  const priority = options.priority ?? Math.max(0, Math.min(PRIORITY_MAIN, ...used) - 1)
  checkNumber(priority, 0, 0xffff_ffff, 'priority')
  const table = options.action === undefined ? (options.table ?? TABLE_MAIN) : null
  if (table !== null) checkNumber(table, 1, 0x7fff_ffff, 'table')
  return {
    priority,
    family,
    from,
    to,
    iif: options.iif ?? null,
    oif: options.oif ?? null,
    table,
    action: options.action ?? 'lookup',
  }
}

function checkNumber(value: number, low: number, high: number, what: string): void {
  if (!(Number.isInteger(value) && value >= low && value <= high)) {
    throw invalidArgument(`${what} ${value} is not a whole number from ${low} to ${high}`)
  }
}
