/** Which packets a rule is about: what users write, and the flat form of it that packets are held against without allocation. */
import { type Address, address as parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_IGMP, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { type Context, STATE_NAMES } from './context.ts'
import type { FilterPacket } from './view.ts'

/** What connection tracking says of a packet. */
export type StateName = (typeof STATE_NAMES)[number]
/** One of something, or a list of which any will do. */
export type OneOrMore<T> = T | readonly T[]

/** A protocol by name or number; `icmp` is ICMP of both families. */
export type ProtocolName = 'tcp' | 'udp' | 'icmp' | 'igmp' | 'sctp' | 'gre' | 'esp'

/**
 * Conditions, of which all have to hold; one that is left out always does. Where several values may be given one of them has to fit. A text that
 * begins with `!` must not fit: `source: ['10.0.0.0/8', '!10.0.0.1']`.
 */
export interface Match {
  family?: 4 | 6
  protocol?: OneOrMore<ProtocolName | number>
  /** Addresses (`10.0.0.1`), prefixes (`10.0.0.0/8`), ranges (`10.0.0.1-10.0.0.9`). */
  source?: OneOrMore<string>
  destination?: OneOrMore<string>
  /** Ports of TCP and UDP: `22`, `'1024-65535'`. Later fragments have ports where connections are tracked. */
  sourcePort?: OneOrMore<number | string>
  destinationPort?: OneOrMore<number | string>
  /** Names of interfaces; `eth*` are all that begin so. `in` holds never for what we send, `out` only where the way is known. */
  in?: OneOrMore<string>
  out?: OneOrMore<string>
  /** Flags of TCP that have to be set or, with `!`, not to be: `['syn', '!ack']`. */
  tcpFlags?: readonly string[]
  icmpType?: OneOrMore<number>
  icmpCode?: OneOrMore<number>
  /** State of the connection. Naming one turns connection tracking on. */
  state?: OneOrMore<StateName>
  /** The packet's source, or its destination, was or will be translated. */
  nat?: 'source' | 'destination'
  mark?: number
  /** Time to live or hop limit: `1`, `'1-5'`. */
  ttl?: OneOrMore<number | string>
  dscp?: OneOrMore<number | string>
  /** Bytes of the IP packet. */
  length?: OneOrMore<number | string>
  /** Anything else. The packet is lent for the call; what is thrown counts as no. */
  when?: (packet: FilterPacket) => boolean
}

const PROTOCOLS: Record<ProtocolName, readonly number[]> = {
  tcp: [PROTO_TCP],
  udp: [PROTO_UDP],
  icmp: [PROTO_ICMP, PROTO_ICMPV6],
  igmp: [PROTO_IGMP],
  sctp: [132],
  gre: [47],
  esp: [50],
}
const TCP_FLAGS = ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ece', 'cwr'] as const

const list = <T>(value: OneOrMore<T> | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T]

/** Ranges of numbers, some of them excluded. */
class Numbers {
  private readonly ranges: Int32Array
  private readonly excluded: Int32Array

  constructor(values: readonly (number | string)[], what: string, max: number) {
    const ranges: number[] = []
    const excluded: number[] = []
    for (const value of values) {
      const text = String(value)
      const isNot = text.startsWith('!')
      const parsed = /^(\d+)(?:-(\d+))?$/.exec(isNot ? text.slice(1) : text)
      const low = parsed === null ? -1 : Number(parsed[1])
      const high = parsed === null ? -1 : parsed[2] === undefined ? low : Number(parsed[2])
      if (low < 0 || high < low || high > max)
        throw invalidArgument(`${what}: ${text} is no number from 0 to ${max}, and no range`)
      ;(isNot ? excluded : ranges).push(low, high)
    }
    this.ranges = Int32Array.from(ranges)
    this.excluded = Int32Array.from(excluded)
  }

  has(n: number): boolean {
    if (n < 0) return false
    const { ranges, excluded } = this
    for (let i = 0; i < excluded.length; i += 2) if (n >= excluded[i] && n <= excluded[i + 1]) return false
    if (ranges.length === 0) return true
    for (let i = 0; i < ranges.length; i += 2) if (n >= ranges[i] && n <= ranges[i + 1]) return true
    return false
  }
}

/** Addresses from one to another, of one family. */
export class AddressRange {
  constructor(
    readonly first: Address,
    readonly last: Address,
  ) {}

  /** `a`, `a/length` or `a-b`. */
  static parse(text: string): AddressRange {
    const dash = text.indexOf('-')
    if (dash >= 0) {
      const range = new AddressRange(parseAddress(text.slice(0, dash)), parseAddress(text.slice(dash + 1)))
      if (range.first.isV4 !== range.last.isV4 || below(range.last, range.first))
        throw invalidArgument(`${text} is no range of addresses`, 'ERR_INVALID_IP_ADDRESS')
      return range
    }
    const { network } = parsePrefix(text)
    const last = network.address.clone()
    for (let bit = network.bits; bit < 128; bit++) setBit(last, bit)
    return new AddressRange(network.address, last)
  }

  contains(a: Address): boolean {
    return a.isV4 === this.first.isV4 && !below(a, this.first) && !below(this.last, a)
  }
}

function setBit(a: Address, bit: number): void {
  const mask = 1 << (31 - (bit & 31))
  if (bit < 32) a.w0 |= mask
  else if (bit < 64) a.w1 |= mask
  else if (bit < 96) a.w2 |= mask
  else a.w3 |= mask
}

/** a < b as unsigned numbers of 128 bits. */
function below(a: Address, b: Address): boolean {
  if (a.w0 !== b.w0) return a.w0 >>> 0 < b.w0 >>> 0
  if (a.w1 !== b.w1) return a.w1 >>> 0 < b.w1 >>> 0
  if (a.w2 !== b.w2) return a.w2 >>> 0 < b.w2 >>> 0
  return a.w3 >>> 0 < b.w3 >>> 0
}

class Addresses {
  private readonly wanted: AddressRange[] = []
  private readonly excluded: AddressRange[] = []

  constructor(texts: readonly string[]) {
    for (const text of texts) {
      if (text.startsWith('!')) this.excluded.push(AddressRange.parse(text.slice(1)))
      else this.wanted.push(AddressRange.parse(text))
    }
  }

  has(a: Address): boolean {
    const { wanted, excluded } = this
    for (let i = 0; i < excluded.length; i++) if (excluded[i].contains(a)) return false
    if (wanted.length === 0) return true
    for (let i = 0; i < wanted.length; i++) if (wanted[i].contains(a)) return true
    return false
  }
}

class Names {
  private readonly wanted: string[] = []
  private readonly excluded: string[] = []

  constructor(texts: readonly string[]) {
    for (const text of texts) {
      if (text.startsWith('!')) this.excluded.push(text.slice(1))
      else this.wanted.push(text)
    }
  }

  has(name: string): boolean {
    const { wanted, excluded } = this
    for (let i = 0; i < excluded.length; i++) if (fits(name, excluded[i])) return false
    if (wanted.length === 0) return true
    for (let i = 0; i < wanted.length; i++) if (fits(name, wanted[i])) return true
    return false
  }
}

function fits(name: string, pattern: string): boolean {
  if (pattern.charCodeAt(pattern.length - 1) !== 42) return name === pattern
  for (let i = 0; i < pattern.length - 1; i++) if (name.charCodeAt(i) !== pattern.charCodeAt(i)) return false
  return true
}

const numbers = (values: OneOrMore<number | string> | undefined, what: string, max: number): Numbers | null =>
  values === undefined ? null : new Numbers(list(values), what, max)
const addresses = (texts: OneOrMore<string> | undefined): Addresses | null =>
  texts === undefined ? null : new Addresses(list(texts))
const names = (texts: OneOrMore<string> | undefined): Names | null => (texts === undefined ? null : new Names(list(texts)))

const KEYS: ReadonlySet<string> = new Set<keyof Match>([
  'family',
  'protocol',
  'source',
  'destination',
  'sourcePort',
  'destinationPort',
  'in',
  'out',
  'tcpFlags',
  'icmpType',
  'icmpCode',
  'state',
  'nat',
  'mark',
  'ttl',
  'dscp',
  'length',
  'when',
])

/** A `Match` that packets are held against. */
export class Matcher {
  /** It asks for the state of connections. */
  readonly needsTracking: boolean
  /** A function of the user's is part of it, which may throw. */
  readonly isForeign: boolean
  private readonly family: number
  /** Bit i: protocol i. */
  private readonly protocols: Int32Array | null = null
  private readonly source: Addresses | null
  private readonly destination: Addresses | null
  private readonly sourcePort: Numbers | null
  private readonly destinationPort: Numbers | null
  private readonly inNames: Names | null
  private readonly outNames: Names | null
  private readonly flagsMask: number
  private readonly flagsSet: number
  private readonly icmpType: Numbers | null
  private readonly icmpCode: Numbers | null
  /** Bit i: state i; 0: any. */
  private readonly states: number
  private readonly nat: Match['nat'] | null
  private readonly mark: number
  private readonly hasMark: boolean
  private readonly ttl: Numbers | null
  private readonly dscp: Numbers | null
  private readonly length: Numbers | null
  private readonly when: ((packet: FilterPacket) => boolean) | null

  /** Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
  constructor(match: Match) {
    for (const key of Object.keys(match)) if (!KEYS.has(key)) throw invalidArgument(`a rule knows nothing of ${key}`)
    if (match.family !== undefined && match.family !== 4 && match.family !== 6) throw invalidArgument('family is 4 or 6')
    this.family = match.family ?? 0
    if (match.protocol !== undefined) {
      this.protocols = new Int32Array(8)
      for (const p of list(match.protocol)) {
        const known = typeof p === 'number' ? [p] : PROTOCOLS[p]
        if (known === undefined || !(known[0] >= 0 && known[0] <= 255)) throw invalidArgument(`unknown protocol ${p}`)
        for (const n of known) this.protocols[n >> 5] |= 1 << (n & 31)
      }
    }
    this.source = addresses(match.source)
    this.destination = addresses(match.destination)
    this.sourcePort = numbers(match.sourcePort, 'sourcePort', 65535)
    this.destinationPort = numbers(match.destinationPort, 'destinationPort', 65535)
    this.inNames = names(match.in)
    this.outNames = names(match.out)
    let mask = 0
    let set = 0
    for (const text of match.tcpFlags ?? []) {
      const bit = TCP_FLAGS.indexOf(text.replace('!', '') as (typeof TCP_FLAGS)[number])
      if (bit < 0) throw invalidArgument(`unknown TCP flag ${text}`)
      mask |= 1 << bit
      if (!text.startsWith('!')) set |= 1 << bit
    }
    this.flagsMask = mask
    this.flagsSet = set
    this.icmpType = numbers(match.icmpType, 'icmpType', 255)
    this.icmpCode = numbers(match.icmpCode, 'icmpCode', 255)
    let states = 0
    for (const name of list(match.state)) {
      const state = STATE_NAMES.indexOf(name)
      if (state < 0) throw invalidArgument(`unknown state ${name}, known: ${STATE_NAMES.join(', ')}`)
      states |= 1 << state
    }
    this.states = states
    this.nat = match.nat ?? null
    this.mark = match.mark ?? 0
    this.hasMark = match.mark !== undefined
    this.ttl = numbers(match.ttl, 'ttl', 255)
    this.dscp = numbers(match.dscp, 'dscp', 63)
    this.length = numbers(match.length, 'length', 0x7fffffff)
    this.when = match.when ?? null
    this.isForeign = this.when !== null
    this.needsTracking = states !== 0 || this.nat !== null
  }

  /** `view`: what a function of the user's is shown, made to show `ctx`. May throw what such a function throws. */
  matches(ctx: Context, view: FilterPacket): boolean {
    const h = ctx.headers
    if (this.family !== 0 && h.family !== this.family) return false
    if (this.protocols !== null && (this.protocols[h.protocol >> 5] & (1 << (h.protocol & 31))) === 0) return false
    if (this.states !== 0 && (this.states & (1 << ctx.state)) === 0) return false
    if (this.inNames !== null && (ctx.inIface === null || !this.inNames.has(ctx.inIface.name))) return false
    if (this.outNames !== null && (ctx.outIface === null || !this.outNames.has(ctx.outIface.name))) return false
    if (this.source !== null && !this.source.has(h.source)) return false
    if (this.destination !== null && !this.destination.has(h.destination)) return false
    if (this.sourcePort !== null && !(h.hasPorts && h.icmpType < 0 && this.sourcePort.has(h.sourcePort))) return false
    if (this.destinationPort !== null && !(h.hasPorts && h.icmpType < 0 && this.destinationPort.has(h.destinationPort)))
      return false
    return this.matchesRare(ctx, view)
  }

  private matchesRare(ctx: Context, view: FilterPacket): boolean {
    const h = ctx.headers
    const { packet, entry } = ctx
    if (this.flagsMask !== 0 && (h.protocol !== PROTO_TCP || (h.tcpFlags & this.flagsMask) !== this.flagsSet)) return false
    if (this.icmpType !== null && !this.icmpType.has(h.icmpType)) return false
    if (this.icmpCode !== null && !this.icmpCode.has(h.icmpCode)) return false
    if (this.nat !== null && (entry === null || !(this.nat === 'source' ? entry.sourceNat : entry.destinationNat))) return false
    if (this.hasMark && ctx.mark !== this.mark) return false
    if (this.ttl !== null && !this.ttl.has(packet.ttl)) return false
    if (this.dscp !== null && !this.dscp.has(packet.tos >> 2)) return false
    if (this.length !== null && !this.length.has(ctx.length)) return false
    return this.when === null || this.when(view)
  }
}
