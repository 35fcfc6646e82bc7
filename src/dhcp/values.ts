/** Values of options: from bytes and to bytes, by the kind that options.ts declares. What is malformed is no value: null, never an error. */
import { Address, formatIPv4, parseIPv4, prefix } from '../base/address.ts'
import { get16, get32, put32 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { readNames, writeNames } from './names.ts'
import { OPTIONS, type OptionKind, type OptionKinds, type OptionName, type OptionValue, type RouteOption } from './options.ts'

/** E of RFC 4702 section 2.1: the name is in the form of DNS. */
const FQDN_ENCODED = 4

type Reader = { [K in OptionKind]: (b: Uint8Array) => OptionKinds[K] | null }
type Writer = { [K in OptionKind]: (value: OptionKinds[K]) => Uint8Array | null }

const READ: Reader = {
  ip: (b) => (b.length === 4 ? formatIPv4(get32(b, 0)) : null),
  ips: (b) => everyIp(b),
  // RFC 2132 has exact lengths. 1, 2 or 4 bytes are told apart by it, and a wrong one is another option's value.
  u8: (b) => (b.length === 1 ? b[0] : null),
  u16: (b) => (b.length === 2 ? get16(b, 0) : null),
  u32: (b) => (b.length === 4 ? get32(b, 0) >>> 0 : null),
  i32: (b) => (b.length === 4 ? get32(b, 0) : null),
  bool: (b) => (b.length === 1 && b[0] <= 1 ? b[0] === 1 : null),
  flag: (b) => (b.length === 0 ? true : null),
  text: readText,
  u16s: (b) => (b.length >= 2 && b.length % 2 === 0 ? Array.from({ length: b.length / 2 }, (_, i) => get16(b, 2 * i)) : null),
  domains: (b) => (b.length === 0 ? null : readNames(b)),
  routes: readRoutes,
  pairs(b) {
    const all = b.length % 8 === 0 ? everyIp(b) : null
    return all === null ? null : Array.from({ length: all.length / 2 }, (_, i) => [all[2 * i], all[2 * i + 1]])
  },
  codes: (b) => (b.length > 0 ? [...b] : null),
  fqdn(b) {
    if (b.length < 3) return null
    const rest = b.slice(3)
    const name = (b[0] & FQDN_ENCODED) === 0 ? readText(rest) : (readNames(terminated(rest))?.[0] ?? '')
    return name === null ? null : { flags: b[0], name }
  },
  inner(b) {
    const out: { [code: number]: Uint8Array } = {}
    for (let at = 0; at < b.length; ) {
      // Vendor options may be padded and ended as others are (RFC 2132 section 8.4).
      if (b[at] === 0) at++
      else if (b[at] === 255) break
      else {
        if (at + 1 >= b.length || at + 2 + b[at + 1] > b.length) return null
        out[b[at]] = b.slice(at + 2, at + 2 + b[at + 1])
        at += 2 + b[at + 1]
      }
    }
    return out
  },
  bytes: (b) => b.slice(),
}

const WRITE: Writer = {
  ip: (v) => ipBytes([v]),
  ips: (v) => (Array.isArray(v) && v.length > 0 ? ipBytes(v) : null),
  u8: (v) => uint(v, 1),
  u16: (v) => uint(v, 2),
  u32: (v) => uint(v, 4),
  i32: (v) => (Number.isInteger(v) && v >= -0x80000000 && v <= 0x7fffffff ? uint(v >>> 0, 4) : null),
  bool: (v) => (typeof v === 'boolean' ? Uint8Array.of(v ? 1 : 0) : null),
  flag: (v) => (v === true ? new Uint8Array(0) : null),
  text: writeText,
  u16s: (v) => (v.every((n) => uint(n, 2) !== null) ? Uint8Array.from(v.flatMap((n) => [n >> 8, n & 255])) : null),
  domains: (v) => writeNames(v),
  routes: writeRoutes,
  pairs: (v) => ipBytes(v.flat()),
  codes: (v) => (v.every((c) => uint(c, 1) !== null) ? Uint8Array.from(v) : null),
  fqdn(v) {
    const name = (v.flags & FQDN_ENCODED) === 0 ? writeText(v.name) : writeNames([v.name])
    return name === null || uint(v.flags, 1) === null ? null : Uint8Array.of(v.flags, 0, 0, ...name)
  },
  inner(v) {
    const out: number[] = []
    for (const [code, value] of Object.entries(v)) {
      if (!(Number(code) > 0 && Number(code) < 255 && value.length < 256)) return null
      out.push(Number(code), value.length, ...value)
    }
    return Uint8Array.from(out)
  },
  bytes: (v) => (v instanceof Uint8Array ? v.slice() : null),
}

/** What the bytes of an option say; null when they are not what the option has. */
export function readValue<N extends OptionName>(name: N, bytes: Uint8Array): OptionValue<N> | null {
  return READ[OPTIONS[name].kind](bytes) as OptionValue<N> | null
}

/** The bytes of an option. Throws ERR_INVALID_ARG_VALUE for what the option cannot say. */
export function writeValue<N extends OptionName>(name: N, value: OptionValue<N>): Uint8Array {
  const write = WRITE[OPTIONS[name].kind] as (value: OptionValue<N>) => Uint8Array | null
  let bytes: Uint8Array | null
  try {
    bytes = write(value)
  } catch {
    bytes = null // of another type altogether
  }
  if (bytes === null) throw invalidArgument(`DHCP option ${name} cannot be ${JSON.stringify(value)}`)
  return bytes
}

function everyIp(b: Uint8Array): string[] | null {
  if (b.length === 0 || b.length % 4 !== 0) return null
  return Array.from({ length: b.length / 4 }, (_, i) => formatIPv4(get32(b, 4 * i)))
}

function ipBytes(list: readonly string[]): Uint8Array | null {
  const out = new Uint8Array(4 * list.length)
  for (const [i, text] of list.entries()) {
    const word = parseIPv4(text)
    if (word === null) return null
    put32(out, 4 * i, word)
  }
  return out
}

/** The number in network order; null: it has no such size. */
export function uint(value: number, bytes: number): Uint8Array | null {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * bytes)) return null
  return Uint8Array.from({ length: bytes }, (_, i) => (value / 2 ** (8 * (bytes - 1 - i))) & 255)
}

/** RFC 2132 section 2: a NUL at the end is no part of it. Control characters have no place in a name or a message: they become `?`. */
export function readText(b: Uint8Array): string | null {
  let end = b.length
  while (end > 0 && b[end - 1] === 0) end--
  if (end === 0) return null
  let text = ''
  for (let i = 0; i < end; i++) text += b[i] < 0x20 || b[i] === 0x7f ? '?' : String.fromCharCode(b[i])
  return text
}

/** One byte for each character; null: that cannot be. */
export function writeText(text: string): Uint8Array | null {
  if (text.length === 0 || text.length > 0xffff) return null
  const out = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 0 || c > 255) return null
    out[i] = c
  }
  return out
}

/** RFC 4702 section 2.3.1 (and RFC 4704 section 4.2) allows a partial name, which has no final zero. */
export function terminated(b: Uint8Array): Uint8Array {
  const out = new Uint8Array(b.length + 1)
  out.set(b)
  return b.length > 0 && b[b.length - 1] === 0 ? b : out
}

/** RFC 3442: a prefix length, as many bytes of the destination as it covers, the router. */
function readRoutes(b: Uint8Array): RouteOption[] | null {
  const out: RouteOption[] = []
  const word = new Uint8Array(4)
  for (let at = 0; at < b.length; ) {
    const length = b[at]
    const significant = (length + 7) >> 3
    if (length > 32 || at + 1 + significant + 4 > b.length) return null
    word.fill(0)
    for (let i = 0; i < significant; i++) word[i] = b[at + 1 + i]
    const { network } = prefix(`${formatIPv4(get32(word, 0))}/${length}`)
    out.push({ destination: network.toString(), gateway: formatIPv4(get32(b, at + 1 + significant)) })
    at += 1 + significant + 4
  }
  return out.length > 0 ? out : null
}

function writeRoutes(routes: readonly RouteOption[]): Uint8Array | null {
  const out: number[] = []
  const word = new Uint8Array(4)
  for (const { destination, gateway } of routes) {
    const { address, length } = prefix(destination).network
    const via = parseIPv4(gateway)
    if (!address.isV4 || via === null) return null
    put32(word, 0, address.w3)
    out.push(length, ...word.subarray(0, (length + 7) >> 3))
    put32(word, 0, via)
    out.push(...word)
  }
  return out.length > 0 ? Uint8Array.from(out) : null
}

/** The address of a text that was read here; the unspecified one for undefined. */
export function addressOf(text: string | undefined): Address {
  return Address.v4(text === undefined ? 0 : (parseIPv4(text) ?? 0))
}
