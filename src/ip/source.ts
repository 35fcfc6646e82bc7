/**
 * Default address selection for IPv6 (RFC 6724): which of our addresses a packet leaves with (section 5), and in which order the addresses
 * of a name are tried (section 6). Asked when a route is resolved, never per packet.
 *
 * The candidates are the addresses of the outgoing interface for link-local and multicast destinations, and those of all interfaces for
 * others (section 4 allows both for those; Linux's choice). Rules that concern what is not here are left out: home addresses (4),
 * prefixes by next hop (5.5), encapsulated transport (7 of section 6).
 */
import { Address, address, commonPrefix } from '../base/address.ts'
import { AddressState, type Interface, type InterfaceAddress } from './interface.ts'
import type { Ip } from './ip.ts'
import { Route } from './route.ts'

const LINK_LOCAL = 2
const SITE_LOCAL = 5
const GLOBAL = 14

/** The default policy table (RFC 6724 section 2.1), longest prefix first: prefix, length, precedence, label. */
const POLICY = (
  [
    ['::1', 128, 50, 0],
    ['::ffff:0:0', 96, 35, 4],
    ['::', 96, 1, 3],
    ['2001::', 32, 5, 5],
    ['2002::', 16, 30, 2],
    ['3ffe::', 16, 1, 12],
    ['fec0::', 10, 1, 11],
    ['fc00::', 7, 3, 13],
    ['::', 0, 40, 1],
  ] as const
).map(([prefix, length, precedence, label]) => ({ prefix: address(prefix), length, precedence, label }))

function policyOf(a: Address): (typeof POLICY)[number] {
  // The last one contains everything.
  return POLICY.find((p) => commonPrefix(p.prefix, a, p.length)) ?? POLICY[POLICY.length - 1]
}

/** The scope of an address, on the scale of multicast scopes (RFC 6724 section 3.1; 3.2 for IPv4). */
export function scopeOf(a: Address): number {
  if (a.isV4) return a.w3 >>> 24 === 127 || a.w3 >>> 16 === 0xa9fe ? LINK_LOCAL : GLOBAL
  if (a.isMulticast) return a.multicastScope
  if (a.isLinkLocal || a.isLoopback) return LINK_LOCAL
  return a.w0 >>> 22 === 0x3fb ? SITE_LOCAL : GLOBAL
}

/** Bits that two addresses have in common from the left, at most `limit` (RFC 6724 section 2.2). */
function commonBits(a: Address, b: Address, limit: number): number {
  const x0 = a.w0 ^ b.w0
  const x1 = a.w1 ^ b.w1
  const x2 = a.w2 ^ b.w2
  const bits =
    x0 !== 0 ? Math.clz32(x0) : x1 !== 0 ? 32 + Math.clz32(x1) : x2 !== 0 ? 64 + Math.clz32(x2) : 96 + Math.clz32(a.w3 ^ b.w3)
  return bits < limit ? bits : limit
}

/** The source for packets that leave by `iface` to `destination`, or null when we have none. */
export function selectSource6(ip: Ip, iface: Interface, destination: Address): Address | null {
  const nearOnly = destination.isMulticast || scopeOf(destination) === LINK_LOCAL
  let best: InterfaceAddress | null = null
  let bestIface = iface
  for (const owner of ip.interfaces) {
    if (owner !== iface && (nearOnly || owner.isLoopback || !owner.up)) continue
    for (const own of owner.addresses) {
      if (own.address.isV4 || (own.state !== AddressState.PREFERRED && own.state !== AddressState.DEPRECATED)) continue
      // The link-local address of another link means nothing on this one.
      if (owner !== iface && own.address.isLinkLocal) continue
      if (best === null || isBetter(own, owner, best, bestIface, iface, destination)) {
        best = own
        bestIface = owner
      }
    }
  }
  return best === null ? null : best.address
}

/** RFC 6724 section 5: true when candidate `a` is to be preferred to `b`. */
function isBetter(
  a: InterfaceAddress,
  aIface: Interface,
  b: InterfaceAddress,
  bIface: Interface,
  iface: Interface,
  destination: Address,
): boolean {
  // 1: the same address.
  if (a.address.equals(destination)) return true
  if (b.address.equals(destination)) return false
  // 2: appropriate scope.
  const scopeA = scopeOf(a.address)
  const scopeB = scopeOf(b.address)
  const scope = scopeOf(destination)
  if (scopeA < scopeB) return scopeA >= scope
  if (scopeB < scopeA) return scopeB < scope
  // 3: not deprecated.
  if (a.state !== b.state) return a.state === AddressState.PREFERRED
  // 5: of the outgoing interface.
  if ((aIface === iface) !== (bIface === iface)) return aIface === iface
  // 6: matching label.
  const label = policyOf(destination).label
  const labelA = policyOf(a.address).label === label
  if (labelA !== (policyOf(b.address).label === label)) return labelA
  // 7: temporary (RFC 8981).
  const temporaryA = a.temporary === true
  if (temporaryA !== (b.temporary === true)) return temporaryA
  // 8: longest matching prefix.
  return commonBits(a.address, destination, a.prefix.bits) > commonBits(b.address, destination, b.prefix.bits)
}

/** What section 6 asks about one destination. */
interface Candidate {
  readonly destination: Address
  readonly source: Address | null
  readonly deprecated: boolean
  readonly scopeMatches: boolean
  readonly labelMatches: boolean
  readonly precedence: number
  readonly scope: number
  readonly common: number
}

/**
 * The addresses of a name in the order in which they should be tried (RFC 6724 section 6), both families mixed. The argument stays as it
 * is; addresses that are equally good keep their order.
 */
export function orderDestinations(ip: Ip, destinations: readonly Address[]): Address[] {
  const route = new Route()
  return destinations
    .map((d) => candidate(ip, d, route))
    .sort(byPreference)
    .map((c) => c.destination)
}

const NONE = new Address()

function candidate(ip: Ip, destination: Address, route: Route): Candidate {
  const any = destination.isV4 ? Address.v4(0) : NONE
  const source = ip.route(destination, any, null, route) === null ? route.source.clone() : null
  const { precedence, label } = policyOf(destination)
  const scope = scopeOf(destination)
  const own = source === null ? null : ownOf(ip, source)
  return {
    destination,
    source,
    deprecated: own !== null && own.state === AddressState.DEPRECATED,
    scopeMatches: source !== null && scopeOf(source) === scope,
    labelMatches: source !== null && policyOf(source).label === label,
    precedence,
    scope,
    common: source === null ? 0 : commonBits(source, destination, own === null ? 128 : own.prefix.bits),
  }
}

function ownOf(ip: Ip, a: Address): InterfaceAddress | null {
  for (const i of ip.interfaces) for (const own of i.addresses) if (own.address.equals(a)) return own
  return null
}

/** Below zero: `a` first. */
function byPreference(a: Candidate, b: Candidate): number {
  const first = (x: boolean, y: boolean): number => (x === y ? 0 : x ? -1 : 1)
  return (
    first(a.source !== null, b.source !== null) || // 1: not unusable
    first(a.scopeMatches, b.scopeMatches) || // 2
    first(!a.deprecated, !b.deprecated) || // 3
    first(a.labelMatches, b.labelMatches) || // 5
    b.precedence - a.precedence || // 6
    a.scope - b.scope || // 8
    (a.destination.isV4 === b.destination.isV4 ? b.common - a.common : 0) // 9
  )
}
