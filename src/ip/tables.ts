/** All routing tables of a stack together: what comes and goes with interfaces and addresses concerns each of them. */
import type { Address } from '../base/address.ts'
import type { Interface } from './interface.ts'
import type { Ip } from './ip.ts'
import { type RouteEntry, RouteTable } from './route.ts'

/** The table of that number; a new one when there is none. */
export function tableOf(ip: Ip, number: number): RouteTable {
  const known = ip.tables.get(number)
  if (known !== undefined) return known
  const table = new RouteTable()
  ip.tables.set(number, table)
  return table
}

/** Takes routes out of every table. The caller tells `ip.changed()`. */
export function removeRoutes(ip: Ip, matches: (entry: RouteEntry) => boolean): number {
  let removed = 0
  for (const table of ip.tables.values()) removed += table.remove(matches)
  return removed
}

/** The interface goes away: so do routes by it; those with several next hops lose theirs. The caller tells `ip.changed()`. */
export function removeInterfaceRoutes(ip: Ip, iface: Interface): void {
  for (const table of ip.tables.values()) {
    const narrowed: RouteEntry[] = []
    table.remove((e) => {
      if (e.hops === undefined) return e.iface === iface
      const left = e.hops.filter((hop) => hop.iface !== iface)
      if (left.length === e.hops.length) return false
      if (left.length > 0) narrowed.push({ ...e, gateway: left[0].gateway, iface: left[0].iface, hops: left })
      return true
    })
    for (const entry of narrowed) table.add(entry)
  }
}

/** True when packets to a gateway that is silent might go another way: kept routes should be looked up again. */
export function hasOtherWay(ip: Ip, gateway: Address): boolean {
  for (const table of ip.tables.values()) {
    if (ip.multipath === null && !table.hasAlternatives) continue
    for (const e of table.entries) {
      if (e.gateway?.equals(gateway) || e.hops?.some((hop) => hop.gateway?.equals(gateway))) return true
    }
  }
  return false
}
