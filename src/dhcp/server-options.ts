/** What a DHCP server is told by its user, checked: networks with their ranges, reservations and options, as the server works with them. */
import { Address, type Prefix, parseIPv4, prefix as parsePrefix } from '../base/address.ts'
import { hex } from '../base/bytes.ts'
import type { DhcpConfig } from '../base/dhcp-config.ts'
import { invalidArgument } from '../base/errors.ts'
import { formatMac, parseMac } from '../ethernet/mac.ts'
import type { LeaseState } from './holdings.ts'
import type { Recorder } from './ledger.ts'
import { optionBytes } from './message.ts'
import type { OptionValues } from './options.ts'

/** A lease as a server keeps it: plain data. */
export interface LeaseRecord {
  /** `10.0.0.100` */
  address: string
  /** The client's link address. */
  mac: string
  /** Its identifier in hexadecimal; null: it has none. */
  clientId: string | null
  hostname: string | null
  /** `abandoned`: somebody has the address who did not get it here. */
  state: LeaseState
  /** Milliseconds since 1970; null: never. */
  expiresAt: number | null
}

/** Keeps leases across restarts. A client hears of its lease when the record is safe: after `save`, or after `sync` where there is one. */
export interface DhcpServerStore extends Recorder<LeaseRecord> {
  load(): readonly LeaseRecord[]
  close?(): void
}

/** An address that is always the same client's. */
export interface Reservation {
  address: string
  /** One of the two: `02:00:00:00:00:05`, or an identifier in bytes or hexadecimal. */
  mac?: string
  clientId?: Uint8Array | string
  /** Told to the client (option 12). */
  hostname?: string
  options?: OptionValues
}

/** A network behind relays: its addresses, and what its clients are told. */
export interface DhcpServerNetwork {
  /** `10.9.0.0/24`: one that relays serve, or one of an interface. */
  prefix: string
  /** `10.9.0.100-10.9.0.200`, `10.9.0.0/24`, `10.9.0.7` */
  ranges?: readonly string[]
  options?: OptionValues
}

/** Which addresses a DHCPv4 server gives, to whom, for how long, and what else it says. */
export interface DhcpServerOptions {
  /** Of networks that the interfaces are on. */
  ranges?: readonly string[]
  /** For all networks: `{ routers: ['10.0.0.1'], domainNameServers: ['10.0.0.1'] }`. */
  options?: OptionValues
  /** Networks with options of their own, and those behind relays. */
  networks?: readonly DhcpServerNetwork[]
  reservations?: readonly Reservation[]
  /** 3600 when left out; Infinity: for ever. */
  leaseSeconds?: number
  /** What clients may ask for: 60 and 86,400 when left out. */
  minLeaseSeconds?: number
  maxLeaseSeconds?: number
  /** Ask on the link whether anybody has an address before it is offered. True when left out. */
  probe?: boolean
  /** Refuse what is not ours to give, so that clients which moved here begin anew at once. True when left out. */
  authoritative?: boolean
  /** Two messages in place of four for clients that can (RFC 4039). */
  rapidCommit?: boolean
  store?: DhcpServerStore
}

/** A client is its identifier, or else its link address (RFC 2131 section 4.2). */
export function clientKey(hardwareType: number, mac: Uint8Array, clientId: Uint8Array | undefined): string {
  return clientId !== undefined && clientId.length > 1 ? `i${hex(clientId)}` : `${hardwareType}:${hex(mac)}`
}

/** Addresses from `first` to `last`, as unsigned words. */
export interface AddressRange {
  readonly first: number
  readonly last: number
}

export interface ReservedAddress {
  readonly word: number
  readonly options: Map<number, Uint8Array>
}

/** A network as the server works with it. */
export interface ServedNetwork {
  readonly prefix: Prefix
  readonly ranges: AddressRange[]
  readonly options: Map<number, Uint8Array>
  /** By client: those with an identifier as `i...`, those with a link address as `m...`. */
  readonly reservations: Map<string, ReservedAddress>
}

/** Checks everything. Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS, ERR_INVALID_MAC_ADDRESS. */
export function networksOf(options: DhcpServerOptions, own: readonly Prefix[], config: DhcpConfig): ServedNetwork[] {
  const common = optionBytes(options.options ?? {})
  const networks: ServedNetwork[] = []
  const make = (prefix: Prefix, more: OptionValues): ServedNetwork => {
    const made = { prefix, ranges: [], options: new Map([...common, ...optionBytes(more)]), reservations: new Map() }
    networks.push(made)
    return made
  }
  for (const { prefix, ranges = [], options: more = {} } of options.networks ?? []) {
    const network = make(v4(parsePrefix(prefix)).network, more)
    for (const text of ranges) network.ranges.push(rangeIn(network, text))
  }
  const of = (word: number): ServedNetwork | undefined => networks.find((n) => n.prefix.contains(Address.v4(word)))
  for (const prefix of own) if (of(prefix.address.w3) === undefined) make(prefix.network, {})
  for (const text of options.ranges ?? []) {
    const network = of(rangeOf(text).first)
    if (network === undefined) throw invalidArgument(`the range ${text} is on no network of the server`)
    network.ranges.push(rangeIn(network, text))
  }
  for (const reservation of options.reservations ?? []) {
    const { address, mac, clientId, hostname } = reservation
    const word = wordOf(address)
    const network = of(word)
    if (network === undefined) throw invalidArgument(`the reserved address ${address} is on no network of the server`)
    if ((mac === undefined) === (clientId === undefined))
      throw invalidArgument(`the reservation of ${address} needs a mac or a clientId`)
    const id = typeof clientId === 'string' ? clientId.replace(/[:-]/g, '').toLowerCase() : hex(clientId ?? new Uint8Array(0))
    const key = mac === undefined ? `i${id}` : `m${formatMac(parseMac(mac))}`
    const named = hostname === undefined ? {} : { hostName: hostname }
    network.reservations.set(key, { word, options: optionBytes({ ...named, ...reservation.options }) })
  }
  let count = 0
  for (const { ranges } of networks) for (const { first, last } of ranges) count += last - first + 1
  if (count > config.maxPoolAddresses)
    throw invalidArgument(`ranges of ${count} addresses: option dhcp.maxPoolAddresses is ${config.maxPoolAddresses}`)
  return networks
}

function rangeIn({ prefix }: ServedNetwork, text: string): AddressRange {
  const { first, last } = rangeOf(text)
  if (last < first) throw invalidArgument(`the range ${text} ends before it begins`)
  if (!prefix.contains(Address.v4(first)) || !prefix.contains(Address.v4(last)))
    throw invalidArgument(`the range ${text} is not within ${prefix}`)
  const network = prefix.address.w3 >>> 0
  const broadcast = prefix.broadcast === null ? -1 : prefix.broadcast.w3 >>> 0
  return { first: first === network && broadcast >= 0 ? first + 1 : first, last: last === broadcast ? last - 1 : last }
}

function rangeOf(text: string): AddressRange {
  const [from, to] = text.split('-').map((part) => part.trim())
  if (to !== undefined) return { first: wordOf(from), last: wordOf(to) }
  const { network, length } = v4(parsePrefix(text))
  const first = network.address.w3 >>> 0
  return { first, last: first + 2 ** (32 - length) - 1 }
}

function wordOf(text: string): number {
  const word = parseIPv4(text)
  if (word === null) throw invalidArgument(`Invalid IP address: ${text}`, 'ERR_INVALID_IP_ADDRESS')
  return word >>> 0
}

function v4(prefix: Prefix): Prefix {
  if (!prefix.address.isV4) throw invalidArgument(`${prefix} is no network of IPv4`)
  return prefix
}
