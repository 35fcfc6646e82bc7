/**
 * Routes: the table (longest prefix, then metric) and `Route`, the answer that a socket keeps.
 *
 * A `Route` is resolved once and kept by whoever sends often (a connection, a connected UDP socket). It is stale when its
 * `generation` is not the table's any more: any change of addresses, routes, interfaces or path MTU bumps that number, so nothing
 * has to find and mend what was cached.
 */
import { Address, type Prefix } from '../base/address.ts'
import type { Interface } from './interface.ts'
import type { Neighbor } from './neighbor.ts'

/** Why there is no way, as an error code. */
export type NoRoute = 'ENETUNREACH' | 'EHOSTUNREACH' | 'EADDRNOTAVAIL' | 'EACCES' | 'EINVAL' | 'ENETDOWN'

export const RouteKind = { UNICAST: 0, BROADCAST: 1, MULTICAST: 2, LOCAL: 3 } as const

export class Route {
  generation = -1
  iface: Interface | null = null
  /** Link neighbour to send to; null on media without a link layer. */
  neighbor: Neighbor | null = null
  readonly source = new Address()
  readonly destination = new Address()
  readonly nextHop = new Address()
  kind = 0
  /** Largest IP packet to this destination: the interface's MTU or the path's, whichever is less. */
  mtu = 0
}

export interface RouteEntry {
  readonly prefix: Prefix
  /** Null: on-link. */
  readonly gateway: Address | null
  readonly iface: Interface
  readonly metric: number
  /** Preferred source address. */
  readonly source: Address | null
  /** `connected` routes come and go with addresses; others with their owner. */
  readonly origin: 'connected' | 'static' | 'dhcp' | 'ra' | 'redirect'
}

export class RouteTable {
  /** Sorted: longest prefix first, then lowest metric, then order of arrival. The first that contains an address is the best. */
  readonly entries: RouteEntry[] = []

  add(entry: RouteEntry): void {
    let i = 0
    while (i < this.entries.length && !isBefore(entry, this.entries[i])) i++
    this.entries.splice(i, 0, entry)
  }

  remove(matches: (entry: RouteEntry) => boolean): number {
    let removed = 0
    for (let i = this.entries.length - 1; i >= 0; i--) {
      if (matches(this.entries[i])) {
        this.entries.splice(i, 1)
        removed++
      }
    }
    return removed
  }

  /** The best entry for a destination over interfaces that are up (over `iface` only, if given), or null. */
  lookup(destination: Address, iface: Interface | null): RouteEntry | null {
    for (const e of this.entries) {
      if (e.iface.up && (iface === null || e.iface === iface) && e.prefix.contains(destination)) return e
    }
    return null
  }
}

function isBefore(a: RouteEntry, b: RouteEntry): boolean {
  if (a.prefix.bits !== b.prefix.bits) return a.prefix.bits > b.prefix.bits
  return a.metric < b.metric
}
