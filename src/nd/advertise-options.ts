/** What a router says of itself and its link (RFC 4861 section 6.2.1), as people write it, and checked. */
import { type Address, Prefix, address as parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import { IP6_MIN_MTU } from '../ipv6/wire.ts'
import { MAX_TIME_MS } from './router-discovery.ts'
import { Preference } from './router-routes.ts'

/** Which router hosts should take (RFC 4191 section 2.1). */
export type PreferenceName = 'high' | 'medium' | 'low'

/** A prefix that is announced (RFC 4861 section 4.6.2); lifetimes in seconds. */
export interface AdvertisedPrefixOptions {
  /** `fd00:1::/64`. Addresses are made of prefixes of 64 bits only. */
  prefix: string
  /** Its addresses are on this link: true when left out. */
  onLink?: boolean
  /** Hosts make themselves addresses of it: true when left out. */
  autonomous?: boolean
  /** Seconds, or Infinity; 2592000 (30 days) when left out. */
  validLifetime?: number
  /** Seconds, or Infinity, at most `validLifetime`; 604800 (7 days) when left out, or `validLifetime` if that is less. */
  preferredLifetime?: number
}

/** A route that is announced (RFC 4191 section 2.3); its lifetime in seconds. */
export interface AdvertisedRouteOptions {
  prefix: string
  /** Seconds, or Infinity; the router's own lifetime when left out. */
  lifetime?: number
  preference?: PreferenceName
}

/** Names as in RFC 4861 section 6.2.1, without their Adv. */
export interface AdvertiseOptions {
  /** Prefixes of the link; those of the interface's own addresses when left out. */
  prefixes?: readonly (string | AdvertisedPrefixOptions)[]
  /** Seconds for which we are a default router: 0 to 65535, three times `intervalMs` when left out. 0 is said anyway while we do not forward. */
  lifetime?: number
  /** Of several routers the one with the higher preference is used (RFC 4191). `medium` when left out. */
  preference?: PreferenceName
  /** Ways to other networks that lead through us, besides the default route (RFC 4191). */
  routes?: readonly (string | AdvertisedRouteOptions)[]
  /** DNS servers and search domains (RFC 8106). */
  rdnss?: readonly string[]
  dnssl?: readonly string[]
  /** Seconds for which those hold, or Infinity; three times `intervalMs` when left out. */
  dnsLifetime?: number
  /** Of the link, from 1280; not said when left out. */
  mtu?: number
  /** What hosts are to begin with; 64 when left out, 0 says nothing. */
  hopLimit?: number
  /** Times of Neighbor Discovery in milliseconds; 0, or left out, says nothing. */
  reachableTimeMs?: number
  retransTimerMs?: number
  /** Addresses, or other things, are to be had by DHCPv6: what a DHCPv6 server of the stack gives on this link when left out. */
  managed?: boolean
  other?: boolean
  /** The longest time between two advertisements (MaxRtrAdvInterval): 4000 to 1800000; 600000 when left out. The shortest is a third of it. */
  intervalMs?: number
}

/** Lifetimes are in seconds, and 0xffffffff is infinity, as on the wire. */
export interface AdvertisedPrefix {
  readonly prefix: Prefix
  readonly onLink: boolean
  readonly autonomous: boolean
  readonly valid: number
  readonly preferred: number
}

/** The same, checked and complete. */
export interface Advertised {
  /** Null: those of the interface's addresses. */
  readonly prefixes: readonly AdvertisedPrefix[] | null
  readonly lifetime: number
  readonly preference: number
  readonly routes: readonly { readonly prefix: Prefix; readonly lifetime: number; readonly preference: number }[]
  readonly rdnss: readonly Address[]
  /** As DNS writes them. */
  readonly dnssl: readonly Uint8Array[]
  readonly dnsLifetime: number
  readonly mtu: number
  readonly hopLimit: number
  readonly reachableTimeMs: number
  readonly retransTimerMs: number
  readonly managed: boolean
  readonly other: boolean
  readonly minIntervalMs: number
  readonly maxIntervalMs: number
}

/** What is to be had by DHCPv6 on a link. */
export interface DhcpFlags {
  readonly managed: boolean
  readonly other: boolean
}

const NO_DHCP: DhcpFlags = { managed: false, other: false }
const INFINITE = 0xffffffff
export const DEFAULT_VALID_SECONDS = 2_592_000
export const DEFAULT_PREFERRED_SECONDS = 604_800
const PREFERENCES: { readonly [N in PreferenceName]: number } = {
  high: Preference.HIGH,
  medium: Preference.MEDIUM,
  low: Preference.LOW,
}

/** Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
export function advertised(options: AdvertiseOptions, dhcp: DhcpFlags = NO_DHCP): Advertised {
  const { prefixes, routes = [], rdnss = [], dnssl = [] } = options
  const maxIntervalMs = inRange(options.intervalMs ?? 600_000, 4_000, 1_800_000, 'intervalMs')
  const lifetime = inRange(options.lifetime ?? Math.round((3 * maxIntervalMs) / 1000), 0, 65535, 'lifetime')
  const dnsLifetime = lifetimeOf(options.dnsLifetime ?? Math.round((3 * maxIntervalMs) / 1000), 'dnsLifetime')
  const { mtu = 0, hopLimit = 64, reachableTimeMs = 0, retransTimerMs = 0 } = options
  if (mtu !== 0) inRange(mtu, IP6_MIN_MTU, 0x7fffffff, 'mtu')
  return {
    prefixes: prefixes?.map(prefixOf) ?? null,
    lifetime,
    preference: preferenceOf(options.preference),
    routes: routes.map((r) => {
      const route = typeof r === 'string' ? { prefix: r } : r
      const seconds = lifetimeOf(route.lifetime ?? lifetime, 'lifetime of a route')
      return { prefix: network(route.prefix), lifetime: seconds, preference: preferenceOf(route.preference) }
    }),
    rdnss: rdnss.map((text) => six(parseAddress(text), text)),
    dnssl: dnssl.map(nameBytes),
    dnsLifetime,
    mtu,
    hopLimit: inRange(hopLimit, 0, 255, 'hopLimit'),
    reachableTimeMs: inRange(reachableTimeMs, 0, MAX_TIME_MS, 'reachableTimeMs'),
    retransTimerMs: inRange(retransTimerMs, 0, 0x7fffffff, 'retransTimerMs'),
    managed: options.managed ?? dhcp.managed,
    other: options.other ?? dhcp.other,
    // MinRtrAdvInterval (section 6.2.1, with erratum 3154).
    minIntervalMs: Math.round(maxIntervalMs * (maxIntervalMs >= 9_000 ? 0.33 : 0.75)),
    maxIntervalMs,
  }
}

function prefixOf(given: string | AdvertisedPrefixOptions): AdvertisedPrefix {
  const options = typeof given === 'string' ? { prefix: given } : given
  const { onLink = true, autonomous = true } = options
  const valid = lifetimeOf(options.validLifetime ?? DEFAULT_VALID_SECONDS, 'validLifetime')
  const preferred = lifetimeOf(options.preferredLifetime ?? Math.min(DEFAULT_PREFERRED_SECONDS, valid), 'preferredLifetime')
  if (preferred > valid) throw invalidArgument(`preferredLifetime ${preferred} is above validLifetime ${valid}`)
  return { prefix: network(options.prefix), onLink, autonomous, valid, preferred }
}

function network(text: string): Prefix {
  const { address, length } = parsePrefix(text)
  six(address, text)
  if (address.isLinkLocal || address.isMulticast) throw invalidArgument(`${text} is no prefix that can be advertised`)
  return new Prefix(address, length).network
}

function six(a: Address, text: string): Address {
  if (a.isV4) throw invalidArgument(`${text} is an IPv4 address: advertisements are about IPv6`)
  return a
}

function preferenceOf(name: PreferenceName = 'medium'): number {
  const value = PREFERENCES[name]
  if (value === undefined) throw invalidArgument(`preference cannot be ${name}, known: ${Object.keys(PREFERENCES).join(', ')}`)
  return value
}

function lifetimeOf(seconds: number, what: string): number {
  return seconds === Number.POSITIVE_INFINITY ? INFINITE : inRange(seconds, 0, INFINITE, what)
}

function inRange(value: number, low: number, high: number, what: string): number {
  if (!(Number.isInteger(value) && value >= low && value <= high))
    throw invalidArgument(`${what} ${value} is not a whole number from ${low} to ${high}`)
  return value
}

/** RFC 1035 section 3.1: labels with their lengths, and a zero. */
function nameBytes(name: string): Uint8Array {
  const labels = name.replace(/\.$/, '').toLowerCase().split('.')
  const bytes = labels.flatMap((label) => [label.length, ...[...label].map((c) => c.charCodeAt(0))])
  if (!labels.every((l) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(l)) || bytes.length > 254)
    throw invalidArgument(`${name} is no domain name`)
  return Uint8Array.from([...bytes, 0])
}
