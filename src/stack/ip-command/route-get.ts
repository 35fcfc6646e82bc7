/** `ip route get`: which way a packet would go, as the stack itself would decide. */
import { Address } from '../../base/address.ts'
import type { Interface } from '../../ip/interface.ts'
import { Route, type RouteEntry, RouteKind } from '../../ip/route.ts'
import { TABLE_MAIN } from '../../ip/rules.ts'
import { Fields, print } from './output.ts'
import { refused, unsupported, wrong } from './problems.ts'
import { lineOf, NOTHING_HIDDEN, plain, routeFields } from './route-view.ts'
import { type Device, parsePrefix, type Words } from './words.ts'

interface Question {
  to: Address
  from: Address | null
  oif: Device | null
  iif: Device | null
  /** Show the route, not what it comes to. */
  fibMatch: boolean
}

export function routeGet(w: Words): string {
  const q = read(w)
  const ip = w.stack.ipLayer
  w.stack.turn.readClock()
  const { entry, route } = q.iif === null ? ours(w, q) : { entry: forwarded(w, q, q.iif.iface), route: null }
  if (q.fibMatch || route === null) {
    if (entry === null) throw refused('ENETUNREACH')
    const table = [...ip.tables].find(([, t]) => t.entries.includes(entry))?.[0] ?? TABLE_MAIN
    return print([routeFields(lineOf(entry, table), NOTHING_HIDDEN, w.options.details)], w.options)
  }
  return print([q.to.isV4 ? fields4(q, route) : fields6(q, route, entry)], w.options)
}

function read(w: Words): Question {
  const q: Question = { to: new Address(), from: null, oif: null, iif: null, fibMatch: false }
  let hasTo = false
  while (w.more) {
    const word = w.take()
    if (word === 'from') q.from = parsePrefix(w.argument(), hasTo ? q.to.family : w.options.family).address
    else if (word === 'oif' || word === 'dev') q.oif = w.device()
    else if (word === 'iif') q.iif = w.device()
    else if (word === 'fibmatch') q.fibMatch = true
    else if (['mark', 'vrf', 'uid', 'ipproto', 'sport', 'dport', 'tos', 'notify', 'connected'].includes(word)) {
      throw unsupported(`"${word}"`)
    } else {
      q.to = parsePrefix(word === 'to' ? w.argument() : word, hasTo ? q.to.family : w.options.family).address
      hasTo = true
    }
  }
  if (!hasTo) throw wrong('need at least a destination address')
  return q
}

/** The way of a packet of our own. */
function ours(w: Words, { to, from, oif }: Question): { entry: RouteEntry | null; route: Route } {
  const ip = w.stack.ipLayer
  const route = new Route()
  const source = from ?? new Address()
  ip.settle(source)
  const refusal = ip.route(to, source, oif?.iface ?? null, route)
  if (refusal !== null) {
    // A source that is not ours: the kernel finds no way for it. None of ours to choose: it finds none either.
    throw refused(refusal === 'EADDRNOTAVAIL' || refusal === 'ENETDOWN' ? 'ENETUNREACH' : refusal)
  }
  const entry = route.kind === RouteKind.LOCAL ? null : ip.lookup(route.destination, route.source, null, route.iface)
  return { entry, route }
}

/** The way of one that came in by an interface. */
function forwarded(w: Words, { to, from }: Question, iif: Interface): RouteEntry | null {
  return w.stack.ipLayer.lookup(to, from ?? new Address(), iif, null)
}

const WORDS = ['', 'broadcast', 'multicast', 'local']

function fields4({ to, from }: Question, route: Route): Fields {
  const out = new Fields()
  const iface = route.iface!
  const type = WORDS[route.kind]
  if (type !== '') out.add('type', type, `${type} `)
  out.add('dst', plain(to), `${plain(to)} `)
  if (from !== null) out.add('from', plain(from), `from ${plain(from)} `)
  if (!route.nextHop.equals(to)) out.add('gateway', plain(route.nextHop), `via ${plain(route.nextHop)} `)
  out.add('dev', iface.name, `dev ${iface.name} `)
  if (from === null) out.add('prefsrc', plain(route.source), `src ${plain(route.source)} `)
  out.add('flags', [], '').add('uid', 0, 'uid 0 ')
  const cache = cacheWords(route)
  out.add('cache', cache, `\n    cache ${cache.length > 0 ? `<${cache.join(',')}> ` : ''}`)
  if (route.mtu < iface.mtu) out.add('metrics', [{ mtu: route.mtu }], `mtu ${route.mtu} `)
  return out.say('\n')
}

/** Whether it comes to ourselves too. */
function cacheWords({ kind, iface, destination }: Route): string[] {
  if (kind === RouteKind.LOCAL) return ['local']
  if (kind === RouteKind.BROADCAST) return ['local', 'brd']
  if (kind !== RouteKind.MULTICAST) return []
  return iface!.groups.has(destination) ? ['local', 'mc'] : ['mc']
}

function fields6({ to, from }: Question, route: Route, entry: RouteEntry | null): Fields {
  const out = new Fields()
  const type = WORDS[route.kind]
  const table = type === '' ? '' : 'table local '
  if (type !== '') out.add('type', type, `${type} `)
  out.add('dst', plain(to), `${plain(to)} `)
  out.add('from', plain(from ?? new Address()), `from ${plain(from ?? new Address())} `)
  if (!plainEqual(route.nextHop, to)) out.add('gateway', plain(route.nextHop), `via ${plain(route.nextHop)} `)
  out.add('dev', route.iface!.name, `dev ${route.iface!.name} `)
  if (table !== '') out.add('table', 'local', table)
  const line = entry === null || type !== '' ? null : lineOf(entry, TABLE_MAIN)
  const protocol = line?.protocol ?? 'kernel'
  if (protocol !== 'boot') out.add('protocol', protocol, `proto ${protocol} `)
  out.add('prefsrc', plain(route.source), `src ${plain(route.source)} `)
  const metric = line?.metric ?? (route.kind === RouteKind.LOCAL ? 0 : 256)
  out.add('metric', metric, `metric ${metric} `).add('flags', [], '')
  if (route.mtu < route.iface!.mtu) out.add('metrics', [{ mtu: route.mtu }], `mtu ${route.mtu} `)
  return out.add('pref', 'medium', 'pref medium\n')
}

function plainEqual(a: Address, b: Address): boolean {
  return plain(a) === plain(b)
}
