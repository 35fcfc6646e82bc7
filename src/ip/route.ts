/**
 * Routes: the table (longest prefix, then metric) and `Route`, the answer that a socket keeps.
 *
 * Theory of operation. Entries of one prefix share a slot, the best first; slots of one prefix length share a hash by the masked address;
 * a lookup asks the lengths that occur, longest first. So it costs as many probes as there are lengths (three or four, seldom more), not as
 * there are routes, for both families. Slots are compared by address, not trusted by hash.
 *
 * A `Route` is resolved once and kept by whoever sends often (a connection, a connected UDP socket). It is stale when its
 * `generation` is not the table's any more: any change of addresses, routes, interfaces or path MTU bumps that number, so nothing
 * has to find and mend what was cached.
 */
import { Address, type Prefix } from '../base/address.ts'
import type { Interface } from './interface.ts'
import { type Neighbor, NeighborState } from './neighbor.ts'

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
  /** Largest IP packet to this destination: the interface's MTU, the route's or the path's, whichever is least. */
  mtu = 0
  /** The flow label last used, and what it was made of (ipv6/flow-label.ts); 0: none yet. */
  flow = 0
  flowKey = 0
}

/**
 * What a route does with packets: sends them on; drops them in silence (EINVAL to local senders); answers "host unreachable"
 * (EHOSTUNREACH); answers "administratively prohibited" (EACCES); says that its table has nothing for them (ip-rule(8)). Linux's words.
 */
export const ROUTE_TYPES = ['unicast', 'blackhole', 'unreachable', 'prohibit', 'throw'] as const
/** What becomes of packets that take the route, by ip-route(8)'s words. */
export type RouteType = (typeof ROUTE_TYPES)[number]

/** Where a route leads to. */
export interface Hop {
  /** Null: on-link. */
  readonly gateway: Address | null
  readonly iface: Interface
}

/** One of several next hops. */
export interface WeightedHop extends Hop {
  /** Its share of the flows, 1 to 256, relative to the other hops'. */
  readonly weight: number
}

/** `gateway` and `iface` are those of the first hop where there are several, and the loopback's where there is none to go to. */
export interface RouteEntry extends Hop {
  readonly prefix: Prefix
  readonly metric: number
  /** Preferred source address. */
  readonly source: Address | null
  /** `connected` routes come and go with addresses; others with their owner. */
  readonly origin: 'connected' | 'static' | 'dhcp' | 'ra' | 'redirect'
  /** `unicast` when left out. */
  readonly kind?: RouteType
  /** Largest packet in bytes to be sent this way; 0 or left out: what the interface takes. */
  readonly mtu?: number
  /** Shown as its owner in place of `origin`: `boot`, `bird`, ... */
  readonly protocol?: string
  /** The gateway was believed to be on the link. */
  readonly onlink?: boolean
  /** Several next hops among which flows are divided. */
  readonly hops?: readonly WeightedHop[]
}

/** All entries of one prefix, the best first. */
class Slot {
  readonly entries: RouteEntry[] = []
  /** Another prefix of the same length whose digest is the same. */
  next: Slot | null = null

  constructor(
    readonly w0: number,
    readonly w1: number,
    readonly w2: number,
    readonly w3: number,
  ) {}
}

/** The slots of one prefix length. */
class Length {
  readonly slots = new Map<number, Slot>()

  constructor(readonly bits: number) {}

  find(a: Address): Slot | null {
    const { bits } = this
    const w0 = masked(a.w0, bits)
    const w1 = masked(a.w1, bits - 32)
    const w2 = masked(a.w2, bits - 64)
    const w3 = masked(a.w3, bits - 96)
    let slot = this.slots.get(digest(w0, w1, w2, w3)) ?? null
    while (slot !== null && (slot.w3 !== w3 || slot.w2 !== w2 || slot.w1 !== w1 || slot.w0 !== w0)) slot = slot.next
    return slot
  }

  make(a: Address): Slot {
    const known = this.find(a)
    if (known !== null) return known
    const { bits } = this
    const slot = new Slot(masked(a.w0, bits), masked(a.w1, bits - 32), masked(a.w2, bits - 64), masked(a.w3, bits - 96))
    const key = digest(slot.w0, slot.w1, slot.w2, slot.w3)
    slot.next = this.slots.get(key) ?? null
    this.slots.set(key, slot)
    return slot
  }

  forget(slot: Slot): void {
    const key = digest(slot.w0, slot.w1, slot.w2, slot.w3)
    const first = this.slots.get(key) ?? null
    if (first === slot) {
      if (slot.next === null) this.slots.delete(key)
      else this.slots.set(key, slot.next)
      return
    }
    for (let s = first; s !== null; s = s.next) if (s.next === slot) s.next = slot.next
  }
}

export class RouteTable {
  /** Sorted: longest prefix first, then lowest metric, then order of arrival. The first that contains an address is the best. */
  readonly entries: RouteEntry[] = []
  /** Prefix lengths that occur, longest first. One family has nothing to do with the other: `::/0` is no way for IPv4. */
  private readonly lengths4: Length[] = []
  private readonly lengths6: Length[] = []

  add(entry: RouteEntry): void {
    insert(this.entries, entry)
    const { bits, address } = entry.prefix
    const lengths = this.lengthsOf(address)
    let i = 0
    while (i < lengths.length && lengths[i].bits > bits) i++
    if (lengths[i]?.bits !== bits) lengths.splice(i, 0, new Length(bits))
    insert(lengths[i].make(address).entries, entry)
  }

  remove(matches: (entry: RouteEntry) => boolean): number {
    const { entries } = this
    let kept = 0
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i]
      if (matches(entry)) this.unlink(entry)
      else entries[kept++] = entry
    }
    const removed = entries.length - kept
    entries.length = kept
    return removed
  }

  /** The entries of exactly this prefix, the best first. */
  at(prefix: Prefix): readonly RouteEntry[] {
    return (
      this.lengthsOf(prefix.address)
        .find((l) => l.bits === prefix.bits)
        ?.find(prefix.address)?.entries ?? []
    )
  }

  /**
   * The best entry for a destination over interfaces that are up (over `iface` only, if given), or null. A gateway that was found to be
   * silent stands behind others for the same prefix (RFC 1122 section 3.3.1.5, RFC 4861 section 6.3.6).
   */
  lookup(destination: Address, iface: Interface | null): RouteEntry | null {
    const lengths = this.lengthsOf(destination)
    for (let i = 0; i < lengths.length; i++) {
      const slot = lengths[i].find(destination)
      if (slot === null) continue
      const { entries } = slot
      let best: RouteEntry | null = null
      for (let j = 0; j < entries.length; j++) {
        const entry = entries[j]
        // What refuses is no better than a gateway that may answer again.
        if (!isUsable(entry, iface) || (best !== null && !isUnicast(entry))) continue
        if (entries.length === 1 || entry.hops !== undefined || !isSilent(entry)) return entry
        best ??= entry
      }
      if (best !== null) return best
    }
    return null
  }

  private unlink(entry: RouteEntry): void {
    const lengths = this.lengthsOf(entry.prefix.address)
    const at = lengths.findIndex((l) => l.bits === entry.prefix.bits)
    const length = lengths[at]
    const slot = length.find(entry.prefix.address)!
    slot.entries.splice(slot.entries.indexOf(entry), 1)
    if (slot.entries.length > 0) return
    length.forget(slot)
    if (length.slots.size === 0) lengths.splice(at, 1)
  }

  /** True when some prefix has more than one route. */
  get hasAlternatives(): boolean {
    for (const length of this.lengths4) for (const slot of length.slots.values()) if (slot.entries.length > 1) return true
    for (const length of this.lengths6) for (const slot of length.slots.values()) if (slot.entries.length > 1) return true
    return false
  }

  private lengthsOf(a: Address): Length[] {
    return a.isV4 ? this.lengths4 : this.lengths6
  }
}

/** True when the gateway was asked for, and did not answer. */
export function isSilent(hop: Hop): boolean {
  if (hop.gateway === null) return false
  const table = hop.gateway.isV4 ? hop.iface.neighbors : hop.iface.neighbors6
  return table?.find(hop.gateway)?.state === NeighborState.FAILED
}

/** True for an entry by which packets leave, not one that refuses them. */
export function isUnicast(entry: RouteEntry): boolean {
  return entry.kind === undefined || entry.kind === 'unicast'
}

/** What a sender hears of a route that refuses (Linux: fib_props). */
export function refusalOf(entry: RouteEntry): NoRoute {
  if (entry.kind === 'blackhole') return 'EINVAL'
  if (entry.kind === 'prohibit') return 'EACCES'
  return entry.kind === 'unreachable' ? 'EHOSTUNREACH' : 'ENETUNREACH'
}

function isUsable(entry: RouteEntry, iface: Interface | null): boolean {
  if (!isUnicast(entry)) return true
  const { hops } = entry
  if (hops === undefined) return entry.iface.up && (iface === null || entry.iface === iface)
  for (let i = 0; i < hops.length; i++) if (hops[i].iface.up && (iface === null || hops[i].iface === iface)) return true
  return false
}

/** Behind all that are as good: by halving, for tables may be long. */
function insert(entries: RouteEntry[], entry: RouteEntry): void {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(entry, entries[middle])) high = middle
    else low = middle + 1
  }
  entries.splice(low, 0, entry)
}

function isBefore(a: RouteEntry, b: RouteEntry): boolean {
  if (a.prefix.bits !== b.prefix.bits) return a.prefix.bits > b.prefix.bits
  return a.metric < b.metric
}

/** The word with all but its first `bits` bits cleared; any number of bits. */
function masked(word: number, bits: number): number {
  return bits >= 32 ? word : bits <= 0 ? 0 : word & (-1 << (32 - bits))
}

function digest(w0: number, w1: number, w2: number, w3: number): number {
  return w3 ^ Math.imul(w2, 0x9e3779b1) ^ Math.imul(w1, 0x85ebca77) ^ Math.imul(w0, 0xc2b2ae3d)
}
