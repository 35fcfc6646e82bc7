/** What servers give by DHCPv6: what an answer says, checked and made plain data. */
import { type Address, type Prefix, address as parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { C6 } from './counters.ts'
import { formatDuid } from './duid.ts'
import type { Dhcp6Message } from './message.ts'
import {
  type AssociationValue,
  INFINITE_SECONDS,
  type NtpValue,
  type Option6Name,
  type Option6Values,
  Status6,
} from './options.ts'

/** Times are milliseconds since 1970; Infinity: never. */
export interface LeasedAddress {
  address: string
  preferredUntil: number
  validUntil: number
}

/** A prefix that is ours to give on (IA_PD). */
export interface DelegatedPrefix {
  /** `2001:db8:1::/56` */
  prefix: string
  preferredUntil: number
  validUntil: number
}

/** What an interface has from DHCPv6, as plain data. Times are milliseconds since 1970; Infinity: never. */
export interface Lease6 {
  addresses: LeasedAddress[]
  prefixes: DelegatedPrefix[]
  /** The server's DUID: `00:01:00:01:...`. */
  server: string
  nameservers: string[]
  searchDomains: string[]
  /** Addresses, or names. */
  ntpServers: string[]
  obtainedAt: number
  renewAt: number
  rebindAt: number
  /** Nothing of it is valid any more. */
  expiresAt: number
  /** Everything that the server said, by name (options.ts). */
  options: Option6Values
}

/** What is kept across restarts: who we are, and what we had. */
export interface Kept6 {
  /** Our DUID. */
  duid: string
  lease: Lease6 | null
}

/** Keeps it, for CONFIRM (RFC 8415 section 18.2.3). May answer at once or later. */
export interface Lease6Store {
  load(): Kept6 | null | Promise<Kept6 | null>
  save(kept: Kept6): void | Promise<void>
}

/** The addresses and prefixes that a message is about. */
export interface Wanted6 {
  addresses: readonly string[]
  prefixes: readonly string[]
}

/** The parts that come by associations, and the rest. */
type Information6 = Omit<Lease6, 'addresses' | 'prefixes' | 'renewAt' | 'rebindAt' | 'expiresAt'>

const FOREVER = Number.POSITIVE_INFINITY
/** RFC 8415 section 21.4: T1 and T2 that are left to the client, as parts of the shortest preferred lifetime. */
const T1_PART = 0.5
const T2_PART = 0.8
/** Nobody renews more often than this, whatever servers say. */
const MIN_T1_MS = 1000

/** What one association of an answer says. */
export interface Binding6 {
  /** Status of the association; Success when it says none. */
  status: number
  /** Lifetimes of zero are those of what is ours no more. */
  addresses: LeasedAddress[]
  prefixes: DelegatedPrefix[]
  /** Milliseconds; 0: the client chooses. */
  t1: number
  t2: number
}

const NOTHING: Binding6 = { status: Status6.SUCCESS, addresses: [], prefixes: [], t1: 0, t2: 0 }

/** What is read of an answer, and against what. */
export interface ReadTerms {
  iaid: number
  /** What was asked for. */
  wantsAddress: boolean
  wantsPrefix: boolean
  /** Milliseconds since 1970 at which the question was sent: lifetimes begin there, on the safe side. */
  since: number
  maxBindings: number
  /** Of CLIENT6_NAMES. */
  counts: Float64Array
}

/** What a message says about our addresses, and about prefixes delegated to us; null: nothing at all. */
export function bindingsOf(m: Dhcp6Message, terms: ReadTerms): [na: Binding6 | null, pd: Binding6 | null] {
  return [terms.wantsAddress ? addressesOf(m, terms) : null, terms.wantsPrefix ? prefixesOf(m, terms) : null]
}

/** `had`, as an answer changes it: lifetimes are new, those of zero end, what is not spoken of stays as it is. Null: nothing is left. */
export function leaseFrom(m: Dhcp6Message, had: Lease6 | null, terms: ReadTerms, now: number): Lease6 | null {
  const [na, pd] = bindingsOf(m, terms)
  const addresses = merged(had?.addresses ?? [], na?.addresses ?? [], (a) => a.address, now)
  const prefixes = merged(had?.prefixes ?? [], pd?.prefixes ?? [], (p) => p.prefix, now)
  if (addresses.length + prefixes.length === 0) return null
  const [t1, t2] = [leastTime(na?.t1 ?? 0, pd?.t1 ?? 0), leastTime(na?.t2 ?? 0, pd?.t2 ?? 0)]
  return leaseOf(informationOf6(m, terms.since), addresses, prefixes, t1, t2)
}

function addressesOf(m: Dhcp6Message, terms: ReadTerms): Binding6 | null {
  const ia = associationOf(m, 'iaNa', terms)
  if (ia === null || 'status' in ia) return ia
  const given: LeasedAddress[] = []
  for (const { address, preferred, valid, options } of ia.options.iaAddress ?? []) {
    const isOurs = isHost(parseAddress(address)) && preferred <= valid && isSuccess(options)
    if (!isOurs) terms.counts[C6.badAddress]++
    else if (given.length >= terms.maxBindings) terms.counts[C6.tooMany]++
    else if (!given.some((a) => a.address === address))
      given.push({ address, preferredUntil: until(terms.since, preferred), validUntil: until(terms.since, valid) })
  }
  return { ...times(ia), addresses: given, prefixes: [], status: ia.options.status?.code ?? Status6.SUCCESS }
}

function prefixesOf(m: Dhcp6Message, terms: ReadTerms): Binding6 | null {
  const ia = associationOf(m, 'iaPd', terms)
  if (ia === null || 'status' in ia) return ia
  const given: DelegatedPrefix[] = []
  for (const { prefix, preferred, valid, options } of ia.options.iaPrefix ?? []) {
    const isOurs = isDelegable(parsePrefix(prefix)) && preferred <= valid && isSuccess(options)
    if (!isOurs) terms.counts[C6.badPrefix]++
    else if (given.length >= terms.maxBindings) terms.counts[C6.tooMany]++
    else if (!given.some((p) => p.prefix === prefix))
      given.push({ prefix, preferredUntil: until(terms.since, preferred), validUntil: until(terms.since, valid) })
  }
  return { ...times(ia), addresses: [], prefixes: given, status: ia.options.status?.code ?? Status6.SUCCESS }
}

/** Our association in a message, if its times can be; with times that cannot, it is not heeded (section 21.4). */
function associationOf(m: Dhcp6Message, name: 'iaNa' | 'iaPd', terms: ReadTerms): AssociationValue | Binding6 | null {
  const ia = m.all(name).find((a) => a.iaid === terms.iaid)
  if (ia === undefined) return null
  if (ia.t1 <= ia.t2 || ia.t2 === 0) return ia
  terms.counts[C6.badTimes]++
  return NOTHING
}

function times(ia: AssociationValue): { t1: number; t2: number } {
  return { t1: milliseconds(ia.t1), t2: milliseconds(ia.t2) }
}

/** What a server says besides. */
export function informationOf6(m: Dhcp6Message, since: number): Information6 {
  const server = formatDuid(m.get('serverId') ?? new Uint8Array(0))
  const ntp = m.all('ntpServer').map((n: NtpValue) => n.address ?? n.multicast ?? n.name ?? '')
  return {
    server,
    nameservers: (m.get('dnsServers') ?? []).filter((a) => isServer(parseAddress(a))),
    searchDomains: m.get('domainSearch') ?? [],
    // RFC 5908 section 4: in place of the option of SNTP where there are both.
    ntpServers: ntp.length > 0 ? ntp : (m.get('sntpServers') ?? []),
    obtainedAt: since,
    options: withoutProtocol(m.values()),
  }
}

function merged<T extends { validUntil: number }>(
  had: readonly T[],
  given: readonly T[],
  key: (t: T) => string,
  now: number,
): T[] {
  const kept = had.filter((t) => !given.some((g) => key(g) === key(t)))
  return [...given, ...kept].filter((t) => t.validUntil > now)
}

/** A lease of these parts. `t1` and `t2` in milliseconds from `since`; 0: chosen here. */
function leaseOf(info: Information6, addresses: LeasedAddress[], prefixes: DelegatedPrefix[], t1: number, t2: number): Lease6 {
  const since = info.obtainedAt
  const all = [...addresses, ...prefixes]
  const expiresAt = Math.max(since, ...all.map((a) => a.validUntil))
  // What is deprecated already is renewed by its valid lifetime.
  const lifetimes = all.map((a) => (a.preferredUntil > since ? a.preferredUntil : a.validUntil) - since)
  const least = Math.min(...lifetimes)
  const rebind = Math.max(MIN_T1_MS, t2 > 0 && t2 < expiresAt - since ? t2 : T2_PART * least)
  const renew = Math.min(rebind, Math.max(MIN_T1_MS, t1 > 0 && t1 <= rebind ? t1 : Math.min(T1_PART * least, rebind)))
  return { ...info, addresses, prefixes, renewAt: since + renew, rebindAt: since + rebind, expiresAt }
}

/** T1 of several associations: the least that is said (section 18.2.4). */
function leastTime(...list: number[]): number {
  const said = list.filter((t) => t > 0)
  return said.length === 0 ? 0 : Math.min(...said)
}

/** What is still valid of a lease that was had before; null: nothing. */
export function remaining(lease: Lease6 | null, now: number): Lease6 | null {
  if (lease === null) return null
  const addresses = lease.addresses.filter((a) => a.validUntil > now)
  const prefixes = lease.prefixes.filter((p) => p.validUntil > now)
  return addresses.length + prefixes.length === 0 ? null : { ...lease, addresses, prefixes }
}

function until(since: number, seconds: number): number {
  return seconds === INFINITE_SECONDS ? FOREVER : since + seconds * 1000
}

function milliseconds(seconds: number): number {
  return seconds === INFINITE_SECONDS ? FOREVER : seconds * 1000
}

function isSuccess(options: Option6Values): boolean {
  return (options.status?.code ?? Status6.SUCCESS) === Status6.SUCCESS
}

/** What may be the address of a host that servers give: not of the link, not a group, nobody's. */
function isHost(a: Address): boolean {
  return isServer(a) && !a.isLinkLocal
}

/** Where a server may be. */
function isServer(a: Address): boolean {
  return !(a.isMulticast || a.isUnspecified || a.isLoopback)
}

/** What may be delegated: a part of the unicast space, of which there is a /64 at least. */
function isDelegable({ address, length }: Prefix): boolean {
  return length > 3 && length <= 64 && !address.isMulticast && !address.isLinkLocal && address.w0 >>> 24 !== 0
}

/** What only the exchange itself is about says nothing to whoever has the lease. */
function withoutProtocol(values: Option6Values): Option6Values {
  const out = { ...values }
  for (const name of [
    'clientId',
    'serverId',
    'iaNa',
    'iaTa',
    'iaPd',
    'status',
    'authentication',
    'rapidCommit',
  ] satisfies Option6Name[])
    delete out[name]
  return out
}

/** What a message is about that is about all of a lease. */
export function wantedOf({ addresses, prefixes }: Lease6): Wanted6 {
  return { addresses: addresses.map((a) => a.address), prefixes: prefixes.map((p) => p.prefix) }
}

/** The status of a message as a whole. */
export function statusOf(m: Dhcp6Message): number {
  return m.get('status')?.code ?? Status6.SUCCESS
}
