/** What a DHCPv6 server is told by its user, checked: links with what is given there, as the server works with them. */
import { type Address, type Prefix, parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import type { LeaseState } from '../dhcp/holdings.ts'
import type { Recorder } from '../dhcp/ledger.ts'
import { formatMac, parseMac } from '../ethernet/mac.ts'
import type { Interface } from '../ip/interface.ts'
import { formatDuid, isDuid, parseDuid } from './duid.ts'
import { OPTIONS6, type Option6Name, type Option6Values } from './options.ts'
import { Pool6, type Pool6Dependencies } from './pool.ts'
import { addressAt, numberOf, Span } from './span.ts'
import { type RawOptions, rawOptions } from './values.ts'

export type LeaseKind = 'address' | 'prefix'

/** A lease as a server keeps it: plain data. */
export interface Lease6Record {
  kind: LeaseKind
  /** `fd00::100`; of a prefix `fd00:1:0:100::/56`. */
  address: string
  /** The client: `00:03:00:01:02:00:00:00:00:05`. */
  duid: string
  /** Which of its associations. */
  iaid: number
  hostname: string | null
  /** Of a prefix: by which neighbour it is reached, `fe80::5%eth0`; null behind a relay, which knows the way. */
  via: string | null
  /** `abandoned`: somebody has the address who did not get it here. */
  state: LeaseState
  /** Milliseconds since 1970; null: never. */
  expiresAt: number | null
}

/** Who the server is: kept as well, for clients go on with the one that they know. */
export interface Server6Identity {
  kind: 'server'
  duid: string
}

/** A line of what a DHCPv6 server remembers: a lease, or who it is itself. */
export type Server6Record = Lease6Record | Server6Identity

/** Keeps leases across restarts. A client hears of its lease when the record is safe: after `save`, or after `sync` where there is one. */
export interface Dhcp6ServerStore extends Recorder<Server6Record> {
  load(): readonly Server6Record[]
  close?(): void
}

/** An address, a prefix, or both, that are always the same client's. */
export interface Dhcp6Reservation {
  /** One of the two: a DUID in bytes or hexadecimal, or the link address in a DUID or from a relay (RFC 6939). */
  duid?: Uint8Array | string
  mac?: string
  address?: string
  prefix?: string
  /** Told to a client that asks for its name (RFC 4704). */
  hostname?: string
  options?: Option6Values
}

/** A network behind relays: its addresses and prefixes, and what its clients are told. */
export interface Dhcp6ServerNetwork {
  /** `fd00:9::/64`: one that relays serve, or one of an interface. */
  prefix: string
  /** `fd00:9::100-fd00:9::1ff`, `fd00:9::/64`, `fd00:9::7` */
  ranges?: readonly string[]
  /** To delegate to its clients. */
  prefixes?: readonly string[]
  options?: Option6Values
}

/** Which addresses and prefixes a DHCPv6 server gives, to whom, for how long, and what else it says. */
export interface Dhcp6ServerOptions {
  /** Of networks that the interfaces are on. Without any the server is stateless: it tells options. */
  ranges?: readonly string[]
  /** To delegate: `fd00:1::/48-56` is the prefixes of 56 bits in fd00:1::/48. A client that asks for a length gets it where there is one. */
  prefixes?: readonly string[]
  /** For all links: `{ dnsServers: ['fd00::1'], domainSearch: ['lab.example'] }`. Clients get those that they ask for. */
  options?: Option6Values
  /** Networks with options of their own, and those behind relays. */
  networks?: readonly Dhcp6ServerNetwork[]
  reservations?: readonly Dhcp6Reservation[]
  /** The valid lifetime: 3600 when left out; Infinity: for ever. */
  leaseSeconds?: number
  /** The preferred lifetime; five eighths of `leaseSeconds` when left out. Clients renew after half of it. */
  preferredSeconds?: number
  /** Go on with leases that clients say they have and nobody else has, and tell others that theirs are none. True when left out. */
  authoritative?: boolean
  /** Two messages in place of four for clients that can. */
  rapidCommit?: boolean
  /** Which of several servers is to be used: 0 to 255, at once with 255. */
  preference?: number
  /** Who the server is, in bytes or hexadecimal; what the store says, or one made of the first interface's MAC address, when left out. */
  duid?: Uint8Array | string
  /** Routes to delegated prefixes by the clients that have them, where these are neighbours. True when left out. */
  routes?: boolean
  store?: Dhcp6ServerStore
}

/** A link that is served. */
export interface Link6 {
  /** What its addresses are of. */
  readonly prefixes: Prefix[]
  readonly address: Pool6[]
  readonly prefix: Pool6[]
  readonly options: RawOptions
}

/** What else a client with a reservation is told. */
export interface Reserved6 {
  readonly options: RawOptions
  readonly hostname: string | null
}

export interface Served6 {
  /** By interface; relays name others by an address. */
  readonly byInterface: Map<Interface, Link6>
  readonly links: readonly Link6[]
  readonly pools: readonly Pool6[]
  /** By client: `d...`, `m...`. */
  readonly reserved: Map<string, Reserved6>
}

/** What is the protocol's, not the user's, to say. */
const PROTOCOL: readonly Option6Name[] = [
  ...(['clientId', 'serverId', 'iaNa', 'iaTa', 'iaPd', 'iaAddress', 'iaPrefix', 'optionRequest', 'preference'] as const),
  ...(['elapsedTime', 'relayMessage', 'authentication', 'serverUnicast', 'status', 'rapidCommit', 'interfaceId'] as const),
  ...(['reconfigureMessage', 'reconfigureAccept', 'clientFqdn', 'echoRequest', 'relayPort', 'clientLinkLayer'] as const),
]

/** Checks everything. Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS, ERR_INVALID_MAC_ADDRESS. */
export function served6(options: Dhcp6ServerOptions, on: readonly Interface[], deps: Pool6Dependencies): Served6 {
  checkTimes(options)
  const common = checked(options.options ?? {})
  const delegating = (spans: readonly Span[]): Pool6[] => {
    const lengths = [...new Set(spans.map((span) => span.length))]
    return lengths.map(
      (length) =>
        new Pool6(
          'prefix',
          spans.filter((span) => span.length === length),
          deps,
        ),
    )
  }
  /** What is reserved of no pool is in the last one. */
  const shared = [...delegating((options.prefixes ?? []).map(delegation)), new Pool6('prefix', [], deps)]
  const plans: { prefixes: Prefix[]; spans: Span[]; delegations: Span[]; options: RawOptions }[] = []
  const planOf = (address: Address) => plans.find((p) => p.prefixes.some((prefix) => prefix.contains(address)))
  const ofInterface = new Map<Interface, (typeof plans)[number]>()
  for (const iface of on) {
    const own = iface.addresses.filter(({ address: a }) => !a.isV4 && !a.isLinkLocal).map((a) => a.prefix.network)
    const known = own.map((prefix) => planOf(prefix.address)).find((plan) => plan !== undefined)
    const plan = known ?? { prefixes: [], spans: [], delegations: [], options: common }
    plan.prefixes.push(...own)
    if (known === undefined) plans.push(plan)
    ofInterface.set(iface, plan)
  }
  for (const { prefix: text, ranges = [], prefixes = [], options: more = {} } of options.networks ?? []) {
    const network = six(parsePrefix(text)).network
    const known = planOf(network.address)
    const plan = known ?? { prefixes: [network], spans: [], delegations: [], options: common }
    plan.options = new Map([...plan.options, ...checked(more)])
    plan.delegations.push(...prefixes.map(delegation))
    if (known === undefined) plans.push(plan)
    for (const range of ranges) plan.spans.push(spanIn([network], range))
  }
  for (const text of options.ranges ?? []) {
    const plan = planOf(firstOf(text))
    if (plan === undefined) throw invalidArgument(`the range ${text} is on no network of the server`)
    plan.spans.push(spanIn(plan.prefixes, text))
  }
  const byPlan = new Map(
    plans.map((plan) => {
      const { prefixes, spans, delegations } = plan
      return [
        plan,
        {
          prefixes,
          address: [new Pool6('address', spans, deps)],
          prefix: [...delegating(delegations), ...shared],
          options: plan.options,
        },
      ]
    }),
  )
  const links = [...byPlan.values()]
  const served: Served6 = {
    byInterface: new Map([...ofInterface].map(([iface, plan]) => [iface, byPlan.get(plan)!])),
    links,
    pools: [...new Set(links.flatMap((l) => [...l.address, ...l.prefix]))],
    reserved: new Map(),
  }
  for (const reservation of options.reservations ?? []) reserve(served, shared[shared.length - 1], reservation)
  return served
}

function reserve({ links, reserved }: Served6, others: Pool6, reservation: Dhcp6Reservation): void {
  const { duid, mac, address, prefix, hostname, options = {} } = reservation
  const what = address ?? prefix
  if (what === undefined) throw invalidArgument('a reservation needs an address or a prefix')
  if ((mac === undefined) === (duid === undefined)) throw invalidArgument(`the reservation of ${what} needs a mac or a duid`)
  const client = duid === undefined ? `m${formatMac(parseMac(mac!))}` : `d${duidText(duid)}`
  if (address !== undefined) {
    const one = six(parsePrefix(address))
    const link = links.find((l) => l.prefixes.some((p) => p.contains(one.address)))
    if (link === undefined || one.length !== 128)
      throw invalidArgument(`the reserved address ${address} is on no network of the server`)
    link.address[0].reserve(client, one)
  }
  if (prefix !== undefined) {
    const one = six(parsePrefix(prefix)).network
    const pools = links.flatMap((l) => l.prefix)
    const pool = pools.find((p) => p.inRange(one)) ?? others
    pool.reserve(client, one)
  }
  reserved.set(client, { options: checked(options), hostname: hostname ?? null })
}

/** The bytes of a DUID as text; throws for what is none. */
export function duidText(duid: Uint8Array | string): string {
  const bytes = typeof duid === 'string' ? parseDuid(duid) : duid
  if (bytes === null || !isDuid(bytes)) throw invalidArgument(`${duid} is no DUID`)
  return formatDuid(bytes)
}

function checked(options: Option6Values): RawOptions {
  const raw = rawOptions(options)
  for (const name of PROTOCOL)
    if (raw.has(OPTIONS6[name].code)) throw invalidArgument(`DHCPv6 option ${name} is the server's own to say`)
  return raw
}

function checkTimes({ leaseSeconds = 3600, preferredSeconds = 1, preference = 0 }: Dhcp6ServerOptions): void {
  if (!(leaseSeconds >= 1)) throw invalidArgument(`leaseSeconds ${leaseSeconds} is not 1 or more`)
  if (!(preferredSeconds >= 1 && preferredSeconds <= leaseSeconds))
    throw invalidArgument(`preferredSeconds ${preferredSeconds} is not between 1 and leaseSeconds`)
  if (!(Number.isInteger(preference) && preference >= 0 && preference <= 255))
    throw invalidArgument(`preference ${preference} is not a whole number from 0 to 255`)
}

/** `fd00:1::/48-56`; without the second length 56, 60 or 64, whichever is the first that is longer (RFC 6177: sites get more than one /64). */
function delegation(text: string): Span {
  const [, whole, given] = /^(.*\/\d+)(?:-(\d{1,3}))?$/.exec(text) ?? []
  if (whole === undefined) throw invalidArgument(`${text} is no prefix to delegate of, as fd00:1::/48-56 is`)
  const prefix = six(parsePrefix(whole))
  const length = given === undefined ? ([56, 60, 64].find((n) => n >= prefix.length) ?? prefix.length) : Number(given)
  if (length < prefix.length || length > 128) throw invalidArgument(`${text}: ${length} is not between ${prefix.length} and 128`)
  return Span.prefixes(prefix, length)
}

function spanIn(networks: readonly Prefix[], text: string): Span {
  const first = firstOf(text)
  const network = networks.find((p) => p.contains(first))
  const [, to] = split(text)
  let span: Span
  if (to !== undefined) span = Span.addresses(first, addressIn(to, text))
  else {
    const prefix = six(parsePrefix(text))
    const begin = numberOf(first)
    const size = 1n << BigInt(128 - prefix.length)
    // RFC 4291 section 2.6.1, RFC 2526 section 2: the first of a network and the last 128 are anycast addresses.
    const isNetwork = size > 256n && prefix.length === network?.length
    const last = begin + size - 1n - (isNetwork ? 128n : 0n)
    span = Span.addresses(isNetwork ? addressAt(begin + 1n) : first, addressAt(last))
  }
  if (span.count === 0n) throw invalidArgument(`the range ${text} ends before it begins`)
  if (network === undefined || !network.contains(span.at(span.count - 1n).address))
    throw invalidArgument(`the range ${text} is not within ${networks.join(', ')}`)
  return span
}

function firstOf(text: string): Address {
  const [from, to] = split(text)
  return to === undefined ? six(parsePrefix(text)).network.address : addressIn(from, text)
}

function split(text: string): [string, string | undefined] {
  const [from, to] = text.split('-').map((part) => part.trim())
  return [from, to]
}

function addressIn(part: string, text: string): Address {
  const a = parseAddress(part)
  if (a === null || a.isV4) throw invalidArgument(`${text} is no range of IPv6 addresses`, 'ERR_INVALID_IP_ADDRESS')
  return a
}

function six(prefix: Prefix): Prefix {
  if (prefix.address.isV4) throw invalidArgument(`${prefix} is no network of IPv6`)
  return prefix
}
