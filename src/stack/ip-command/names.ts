/** Names of tables, protocols and scopes of routes (/etc/iproute2), and the numbers they stand for. */

import type { NetError } from '../../base/errors.ts'
import type { RouteEntry } from '../../ip/route.ts'
import { TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN } from '../../ip/rules.ts'
import { badArgument } from './problems.ts'
import type { Words } from './words.ts'

const TABLES: Readonly<Record<string, number>> = { default: TABLE_DEFAULT, main: TABLE_MAIN, local: TABLE_LOCAL, all: 0 }

/** rt_protos. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  unspec: 0,
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  keepalived: 18,
  babel: 42,
  openr: 99,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
}

export const SCOPES = ['global', 'nowhere', 'host', 'link', 'site'] as const

/** A table by name or number; 0: all. */
export function readTable(w: Words, problem: (word: string) => NetError): number {
  const named = TABLES[w.next]
  if (named === undefined) return w.number(0, 0x7fff_ffff, problem)
  w.take()
  return named
}

export function tableName(table: number): string {
  return Object.keys(TABLES).find((name) => TABLES[name] === table && table !== 0) ?? `${table}`
}

/** A protocol by name or number, as its name. */
export function readProtocol(w: Words): string {
  if (PROTOCOLS[w.next] !== undefined) return w.take()
  const n = w.number(0, 255, (bad) => badArgument(bad, '"protocol" value is invalid\n'))
  return Object.keys(PROTOCOLS).find((name) => PROTOCOLS[name] === n) ?? `${n}`
}

export function readRouteScope(w: Words): string {
  const word = w.argument()
  const found = SCOPES.find((name) => name === word)
  if (found === undefined) throw badArgument(word, '"scope" value is invalid\n')
  return found
}

/** Whose route it is, as the kernel names it. */
export function protocolOf(entry: RouteEntry): string {
  return entry.protocol ?? (entry.origin === 'connected' ? 'kernel' : entry.origin)
}
