/**
 * Values of options: from bytes and to bytes, by the kind that options.ts declares. What is malformed is no value: null, never an error.
 * Associations hold options that hold options; three levels is all that there can be (association, address, status), and what is nested
 * deeper is malformed.
 */
import { Address, Prefix, parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { get16, get32, put16 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { joined } from '../dhcp/message.ts'
import { readNames, writeNames } from '../dhcp/names.ts'
import { readText, terminated, uint, writeText } from '../dhcp/values.ts'
import { isDuid } from './duid.ts'
import {
  isMany,
  OPTIONS6,
  type Option6Kind,
  type Option6Kinds,
  type Option6Name,
  type Option6Value,
  type Option6Values,
  option6Code,
  option6Name,
} from './options.ts'
import { DHCP6_OPTION_HEADER } from './wire.ts'

/** Options as they stand in a message: the values of each code, in their order. */
export type RawOptions = Map<number, Uint8Array[]>

const MAX_DEPTH = 3
const ADDRESS = 16
/** Sub-options of RFC 5908 section 4. */
const NTP_ADDRESS = 1
const NTP_MULTICAST = 2
const NTP_NAME = 3

type Reader = { [K in Option6Kind]: (b: Uint8Array, depth: number) => Option6Kinds[K] | null }
type Writer = { [K in Option6Kind]: (value: Option6Kinds[K]) => Uint8Array | null }

const READ: Reader = {
  ip: (b) => (b.length === ADDRESS ? readIp(b, 0) : null),
  ips(b) {
    if (b.length === 0 || b.length % ADDRESS !== 0) return null
    return every(Array.from({ length: b.length / ADDRESS }, (_, i) => readIp(b, ADDRESS * i)))
  },
  u8: (b) => (b.length === 1 ? b[0] : null),
  u16: (b) => (b.length === 2 ? get16(b, 0) : null),
  u32: (b) => (b.length === 4 ? get32(b, 0) >>> 0 : null),
  flag: (b) => (b.length === 0 ? true : null),
  text: readText,
  u16s: (b) => (b.length % 2 === 0 ? Array.from({ length: b.length / 2 }, (_, i) => get16(b, 2 * i)) : null),
  domains: (b) => (b.length === 0 ? null : readNames(b, false)),
  domain: (b) => readNames(b, false)?.[0] ?? null,
  pieces: readPieces,
  bytes: (b) => b.slice(),
  duid: (b) => (isDuid(b) ? b.slice() : null),
  association(b, depth) {
    const options = b.length < 12 ? null : readValues(b, 12, depth)
    return options === null ? null : { iaid: get32(b, 0) >>> 0, t1: get32(b, 4) >>> 0, t2: get32(b, 8) >>> 0, options }
  },
  temporary(b, depth) {
    const options = b.length < 4 ? null : readValues(b, 4, depth)
    return options === null ? null : { iaid: get32(b, 0) >>> 0, options }
  },
  iaAddress(b, depth) {
    const options = b.length < 24 ? null : readValues(b, 24, depth)
    const address = options === null ? null : readIp(b, 0)
    if (options === null || address === null) return null
    return { address, preferred: get32(b, 16) >>> 0, valid: get32(b, 20) >>> 0, options }
  },
  iaPrefix(b, depth) {
    const options = b.length < 25 || b[8] > 128 ? null : readValues(b, 25, depth)
    if (options === null) return null
    const { network } = new Prefix(new Address().read(b, 9), b[8])
    if (network.address.isV4) return null
    return { prefix: `${network}`, preferred: get32(b, 0) >>> 0, valid: get32(b, 4) >>> 0, options }
  },
  status: (b) => (b.length < 2 ? null : { code: get16(b, 0), message: readText(b.subarray(2)) ?? '' }),
  fqdn(b) {
    if (b.length < 1) return null
    const name = b.slice(1)
    // RFC 4704 section 4.2: a name that is not complete has no final zero.
    const isComplete = name.length > 1 && name[name.length - 1] === 0
    const names = readNames(isComplete ? name : terminated(name), false)
    if (names === null || names.length > 1) return null
    return { flags: b[0], name: names.length === 0 ? '' : `${names[0]}${isComplete ? '.' : ''}` }
  },
  vendorClass(b) {
    const data = b.length < 4 ? null : readPieces(b.subarray(4))
    return data === null ? null : { enterprise: get32(b, 0) >>> 0, data }
  },
  vendorOptions(b) {
    const raw = b.length < 4 ? null : readOptions(b, 4, b.length)
    if (raw === null) return null
    const options: { [code: number]: Uint8Array } = {}
    for (const [code, list] of raw) options[code] = list[0]
    return { enterprise: get32(b, 0) >>> 0, options }
  },
  remoteId: (b) => (b.length < 5 ? null : { enterprise: get32(b, 0) >>> 0, id: b.slice(4) }),
  ntp(b) {
    const raw = readOptions(b, 0, b.length)
    const [code, list] = raw === null ? [0, []] : ([...raw][0] ?? [0, []])
    if (code === NTP_NAME) {
      const name = readNames(list[0], false)?.[0]
      return name === undefined ? null : { name }
    }
    const ip = (code === NTP_ADDRESS || code === NTP_MULTICAST) && list[0].length === ADDRESS ? readIp(list[0], 0) : null
    if (ip === null) return null
    return code === NTP_ADDRESS ? { address: ip } : { multicast: ip }
  },
}

const WRITE: Writer = {
  ip: writeIp,
  ips: (v) => (v.length === 0 ? null : whole(v.map(writeIp))),
  u8: (v) => uint(v, 1),
  u16: (v) => uint(v, 2),
  u32: (v) => uint(v, 4),
  flag: (v) => (v === true ? new Uint8Array(0) : null),
  text: writeText,
  u16s: (v) => whole(v.map((n) => uint(n, 2))),
  domains: (v) => (v.length === 0 ? null : writeNames(v, false)),
  domain: (v) => writeNames([v], false),
  pieces: writePieces,
  bytes: (v) => (v instanceof Uint8Array ? v.slice() : null),
  duid: (v) => (v instanceof Uint8Array && isDuid(v) ? v.slice() : null),
  association: (v) => whole([uint(v.iaid, 4), uint(v.t1, 4), uint(v.t2, 4), writeOptions(rawOptions(v.options))]),
  temporary: (v) => whole([uint(v.iaid, 4), writeOptions(rawOptions(v.options))]),
  iaAddress: (v) => whole([writeIp(v.address), uint(v.preferred, 4), uint(v.valid, 4), writeOptions(rawOptions(v.options))]),
  iaPrefix(v) {
    const { address, length } = parsePrefix(v.prefix).network
    const ip = writeIp(`${address}`)
    return whole([uint(v.preferred, 4), uint(v.valid, 4), uint(length, 1), ip, writeOptions(rawOptions(v.options))])
  },
  status: (v) => whole([uint(v.code, 2), v.message === '' ? new Uint8Array(0) : writeText(v.message)]),
  fqdn(v) {
    const name = v.name === '' ? Uint8Array.of(0) : writeNames([v.name], false)
    if (name === null) return null
    return whole([uint(v.flags, 1), v.name.endsWith('.') ? name : name.slice(0, -1)])
  },
  vendorClass: (v) => whole([uint(v.enterprise, 4), writePieces(v.data)]),
  vendorOptions: (v) =>
    whole([uint(v.enterprise, 4), writeOptions(new Map(Object.entries(v.options).map(([code, b]) => [Number(code), [b]])))]),
  remoteId: (v) => (v.id.length === 0 ? null : whole([uint(v.enterprise, 4), v.id])),
  ntp({ address, multicast, name }) {
    const [code, value] =
      address !== undefined
        ? [NTP_ADDRESS, writeIp(address)]
        : multicast !== undefined
          ? [NTP_MULTICAST, writeIp(multicast)]
          : [NTP_NAME, name === undefined ? null : writeNames([name], false)]
    return value === null ? null : writeOptions(new Map([[code, [value]]]))
  },
}

/** What the bytes of an option say; null when they are not what the option has. Never throws. */
export function readValue6<N extends Option6Name>(name: N, bytes: Uint8Array, depth = 0): Option6Value<N> | null {
  return READ[OPTIONS6[name].kind](bytes, depth) as Option6Value<N> | null
}

/** The bytes of an option. Throws ERR_INVALID_ARG_VALUE for what the option cannot say. */
export function writeValue6<N extends Option6Name>(name: N, value: Option6Value<N>): Uint8Array {
  const write = WRITE[OPTIONS6[name].kind] as (value: Option6Value<N>) => Uint8Array | null
  let bytes: Uint8Array | null
  try {
    bytes = write(value)
  } catch {
    bytes = null // of another type altogether, or with something inside that cannot be
  }
  if (bytes === null || bytes.length > 0xffff) throw invalidArgument(`DHCPv6 option ${name} cannot be ${JSON.stringify(value)}`)
  return bytes
}

/** The options at `buf[start, end)`; null: one would end beyond it. */
export function readOptions(buf: Uint8Array, start: number, end: number): RawOptions | null {
  const out: RawOptions = new Map()
  let at = start
  while (at < end) {
    if (at + DHCP6_OPTION_HEADER > end) return null
    const code = get16(buf, at)
    const from = at + DHCP6_OPTION_HEADER
    at = from + get16(buf, at + 2)
    if (at > end) return null
    const bytes = buf.slice(from, at)
    const known = out.get(code)
    if (known === undefined) out.set(code, [bytes])
    else known.push(bytes)
  }
  return out
}

/** Bytes of the options on the wire. */
export function writeOptions(options: RawOptions): Uint8Array {
  const parts: Uint8Array[] = []
  for (const [code, list] of options) {
    for (const bytes of list) {
      const head = new Uint8Array(DHCP6_OPTION_HEADER)
      put16(head, 0, code)
      put16(head, 2, bytes.length)
      parts.push(head, bytes)
    }
  }
  return joined(parts)
}

/** All options that are well formed, as plain data. Code 0 is reserved: no option. */
export function plainOptions(options: RawOptions, depth = 0): Option6Values {
  const out: Record<string, unknown> = {}
  for (const [code, list] of options) {
    const name = option6Name(code)
    if (name === undefined) {
      if (code !== 0) out[code] = list[0].slice()
      continue
    }
    const values = list.map((bytes) => readValue6(name, bytes, depth)).filter((v) => v !== null)
    if (values.length > 0) out[name] = isMany(name) ? values : values[0]
  }
  return out as Option6Values
}

/** Options as plain data, as bytes by code. Throws ERR_INVALID_ARG_VALUE. */
export function rawOptions(values: Option6Values): RawOptions {
  const out: RawOptions = new Map()
  for (const [key, value] of Object.entries(values) as [string, unknown][]) {
    if (value === undefined) continue
    const code = option6Code(key)
    if (code < 0) throw invalidArgument(`there is no DHCPv6 option ${key}`)
    const name = option6Name(code)
    if (value instanceof Uint8Array && key !== name) out.set(code, [value.slice()])
    else if (name === undefined) throw invalidArgument(`DHCPv6 option ${code} has bytes as value`)
    else if (isMany(name) !== (Array.isArray(value) && isMany(name)))
      throw invalidArgument(`DHCPv6 option ${name} has a list as value`)
    else
      out.set(
        code,
        (isMany(name) ? (value as unknown[]) : [value]).map((v) => writeValue6(name, v as never)),
      )
  }
  return out
}

/** The options from `at` to the end of a value that is `depth` levels inside of a message. */
function readValues(b: Uint8Array, at: number, depth: number): Option6Values | null {
  const raw = depth + 1 >= MAX_DEPTH && at < b.length ? null : readOptions(b, at, b.length)
  return raw === null ? null : plainOptions(raw, depth + 1)
}

/** An IPv4 address in its place is nobody's. */
function readIp(b: Uint8Array, at: number): string | null {
  const a = new Address().read(b, at)
  return a.isV4 ? null : a.toString()
}

function writeIp(text: string): Uint8Array | null {
  const a = parseAddress(text)
  if (a === null || a.isV4) return null
  const out = new Uint8Array(ADDRESS)
  a.write(out, 0)
  return out
}

function readPieces(b: Uint8Array): Uint8Array[] | null {
  const out: Uint8Array[] = []
  let at = 0
  while (at < b.length) {
    const end = at + 2 > b.length ? Number.POSITIVE_INFINITY : at + 2 + get16(b, at)
    if (end > b.length) return null
    out.push(b.slice(at + 2, end))
    at = end
  }
  return out
}

function writePieces(list: readonly Uint8Array[]): Uint8Array | null {
  return whole(list.flatMap((b) => [uint(b.length, 2), b]))
}

/** All parts, one behind the other, if there is none missing. */
function whole(parts: readonly (Uint8Array | null)[]): Uint8Array | null {
  const all = every(parts)
  return all === null ? null : joined(all)
}

function every<T>(list: readonly (T | null)[]): T[] | null {
  const out: T[] = []
  for (const value of list) {
    if (value === null) return null
    out.push(value)
  }
  return out
}
