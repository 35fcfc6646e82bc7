/**
 * IP addresses: four int32 words, IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that every layer above IP has one code
 * path for both families. `Address` is mutable because the hot path reuses two of them per stack; whoever keeps one keeps a
 * `clone()`.
 *
 * A link-local address of IPv6 means something only together with its link (RFC 4007 section 6): inside a stack it always carries
 * the index of its interface in `zone`, from the moment it is read off the wire or given by a user. All other addresses have 0.
 */
import { get32, put32 } from './bytes.ts'
import { invalidArgument } from './errors.ts'

const MAPPED = 0xffff

/** An IP address of either family in four words of 32 bits, IPv4 as ::ffff:a.b.c.d; link-local ones with their zone. Mutable, to be reused. */
export class Address {
  /** Interface index of a link-local IPv6 address; 0 for every other, and for one that has not met its interface yet. */
  zone = 0

  constructor(
    public w0 = 0,
    public w1 = 0,
    public w2 = 0,
    public w3 = 0,
  ) {}

  /** From an IPv4 word (network order read as int32). */
  static v4(word: number): Address {
    return new Address(0, 0, MAPPED, word | 0)
  }

  setV4(word: number): this {
    this.w0 = 0
    this.w1 = 0
    this.w2 = MAPPED
    this.w3 = word | 0
    this.zone = 0
    return this
  }

  /** The 16 bytes at `buf[at]`, in network order. No zone. */
  read(buf: Uint8Array, at: number): this {
    this.w0 = get32(buf, at)
    this.w1 = get32(buf, at + 4)
    this.w2 = get32(buf, at + 8)
    this.w3 = get32(buf, at + 12)
    this.zone = 0
    return this
  }

  /** Writes 16 bytes at `buf[at]`. */
  write(buf: Uint8Array, at: number): void {
    put32(buf, at, this.w0)
    put32(buf, at + 4, this.w1)
    put32(buf, at + 8, this.w2)
    put32(buf, at + 12, this.w3)
  }

  copy(from: Address): this {
    this.w0 = from.w0
    this.w1 = from.w1
    this.w2 = from.w2
    this.w3 = from.w3
    this.zone = from.zone
    return this
  }

  clone(): Address {
    return new Address().copy(this)
  }

  /** The same address of the same zone. */
  equals(o: Address): boolean {
    return this.w3 === o.w3 && this.w2 === o.w2 && this.w1 === o.w1 && this.w0 === o.w0 && this.zone === o.zone
  }

  /** fe80::/10 (RFC 4291 section 2.5.6). IPv4's 169.254/16 has no zones. */
  get isLinkLocal(): boolean {
    return this.w0 >>> 22 === 0x3fa
  }

  /** Scope of an IPv6 multicast group (RFC 7346): 1 interface, 2 link, 5 site, 14 global, ... */
  get multicastScope(): number {
    return (this.w0 >>> 16) & 15
  }

  get isV4(): boolean {
    return this.w2 === MAPPED && this.w1 === 0 && this.w0 === 0
  }

  /** 0.0.0.0 or :: */
  get isUnspecified(): boolean {
    return this.w3 === 0 && this.w1 === 0 && this.w0 === 0 && (this.w2 === 0 || this.w2 === MAPPED)
  }

  get isLoopback(): boolean {
    return this.isV4 ? this.w3 >>> 24 === 127 : this.w0 === 0 && this.w1 === 0 && this.w2 === 0 && this.w3 === 1
  }

  get isMulticast(): boolean {
    return this.isV4 ? this.w3 >>> 28 === 14 : this.w0 >>> 24 === 0xff
  }

  /** 255.255.255.255 */
  get isLimitedBroadcast(): boolean {
    return this.isV4 && this.w3 === -1
  }

  /** 4 or 6. */
  get family(): 4 | 6 {
    return this.isV4 ? 4 : 6
  }

  /** One word that digests the address, for keyed hashes of flows. */
  get digest(): number {
    return this.w3 ^ Math.imul(this.w2, 0x9e3779b1) ^ Math.imul(this.w1, 0x85ebca77) ^ Math.imul(this.w0, 0xc2b2ae3d)
  }

  /** Dotted quad, or RFC 5952 text; the zone, if there is one, as its number (`fe80::1%2`; RFC 4007 section 11). */
  toString(): string {
    if (this.isV4) return formatIPv4(this.w3)
    return this.zone === 0 ? formatIPv6(this) : `${formatIPv6(this)}%${this.zone}`
  }

  /** 32 hexadecimal digits, and the zone: a key for cold maps. */
  get key(): string {
    const words = [this.w0, this.w1, this.w2, this.w3].map((w) => (w >>> 0).toString(16).padStart(8, '0')).join('')
    return this.zone === 0 ? words : `${words}%${this.zone}`
  }
}

/** `::` and its IPv4 twin; never change them. */
export const ANY = new Address()
export const ANY_V4 = Address.v4(0)

export function formatIPv4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
}

/** The IPv4 word of a dotted quad, or null. Strict: four decimal numbers, no leading zeros, no spaces. */
export function parseIPv4(text: string): number | null {
  let word = 0
  let at = 0
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text.charCodeAt(at++) !== DOT) return null
    const from = at
    let n = 0
    for (; at - from < 3; at++) {
      const digit = text.charCodeAt(at) - ZERO
      if (!(digit >= 0 && digit <= 9)) break // NaN beyond the end
      n = 10 * n + digit
    }
    if (at === from || n > 255 || (at - from > 1 && text.charCodeAt(from) === ZERO)) return null
    word = (word << 8) | n
  }
  return at === text.length ? word : null
}

const DOT = 46
const ZERO = 48

function groupsOf(a: Address): number[] {
  return [a.w0 >>> 16, a.w0 & MAPPED, a.w1 >>> 16, a.w1 & MAPPED, a.w2 >>> 16, a.w2 & MAPPED, a.w3 >>> 16, a.w3 & MAPPED]
}

/** RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
export function formatIPv6(a: Address): string {
  if (a.isV4) return `::ffff:${formatIPv4(a.w3)}`
  const groups = groupsOf(a)
  let best = -1
  let bestLength = 1
  for (let i = 0; i < 8; i++) {
    let n = 0
    while (i + n < 8 && groups[i + n] === 0) n++
    if (n > bestLength) {
      best = i
      bestLength = n
    }
  }
  const text = groups.map((g) => g.toString(16))
  if (best < 0) return text.join(':')
  return `${text.slice(0, best).join(':')}::${text.slice(best + bestLength).join(':')}`
}

/** `::1`; never change it. */
export const LOOPBACK_V6 = new Address(0, 0, 0, 1)

/** The solicited-node group of an address (RFC 4291 section 2.7.1). */
export function solicitedNode(a: Address): Address {
  return new Address(0xff020000 | 0, 0, 1, 0xff000000 | (a.w3 & 0xffffff))
}

/** An address in either family's text form (RFC 4291 section 2.2), or null. Zones (`%eth0`) are the caller's: see ip/zone.ts. */
export function parseAddress(text: string): Address | null {
  const v4 = parseIPv4(text)
  if (v4 !== null) return Address.v4(v4)
  if (!text.includes(':')) return null
  let body = text
  const tail: number[] = []
  const dotted = /:(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted !== null) {
    const word = parseIPv4(dotted[1])
    if (word === null) return null
    tail.push(word >>> 16, word & MAPPED)
    body = text.slice(0, text.length - dotted[1].length)
    if (!body.endsWith('::')) body = body.slice(0, -1)
  }
  const halves = body.split('::')
  if (halves.length > 2) return null
  const head = parseGroups(halves[0])
  const rest = halves.length === 2 ? parseGroups(halves[1]) : []
  if (head === null || rest === null) return null
  const known = head.length + rest.length + tail.length
  if (halves.length === 2 ? known > 7 : known !== 8) return null
  const g = [...head, ...new Array<number>(8 - known).fill(0), ...rest, ...tail]
  return new Address((g[0] << 16) | g[1], (g[2] << 16) | g[3], (g[4] << 16) | g[5], (g[6] << 16) | g[7])
}

function parseGroups(text: string): number[] | null {
  if (text === '') return []
  const out: number[] = []
  for (const part of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null
    out.push(Number.parseInt(part, 16))
  }
  return out
}

/** An address, or ERR_INVALID_IP_ADDRESS with the text in its words. */
export function address(text: string): Address {
  const a = parseAddress(text)
  if (a === null) throw invalidArgument(`Invalid IP address: ${text}`, 'ERR_INVALID_IP_ADDRESS')
  return a
}

/** A network: an address and a prefix length in the family's own bits (0..32 for IPv4, 0..128 for IPv6). */
export class Prefix {
  constructor(
    readonly address: Address,
    readonly length: number,
  ) {}

  /** Prefix length in the 128-bit space. */
  get bits(): number {
    return this.address.isV4 ? this.length + 96 : this.length
  }

  /** IPv4 netmask as an int32 word. */
  get mask(): number {
    return this.length === 0 ? 0 : -1 << (32 - this.length)
  }

  contains(a: Address): boolean {
    return commonPrefix(this.address, a, this.bits)
  }

  /** The directed broadcast address of an IPv4 prefix (RFC 919); null for /31, /32 (RFC 3021) and IPv6. */
  get broadcast(): Address | null {
    if (!this.address.isV4 || this.length >= 31) return null
    return Address.v4(this.address.w3 | ~this.mask)
  }

  /** The prefix with the host bits cleared. */
  get network(): Prefix {
    const bits = this.bits
    const keep = (w: number, at: number): number => (bits >= at + 32 ? w : bits <= at ? 0 : w & (-1 << (at + 32 - bits)))
    const a = this.address
    return new Prefix(new Address(keep(a.w0, 0), keep(a.w1, 32), keep(a.w2, 64), keep(a.w3, 96)), this.length)
  }

  toString(): string {
    return `${this.address}/${this.length}`
  }
}

/** True when the first `bits` bits of the two are equal. */
export function commonPrefix(a: Address, b: Address, bits: number): boolean {
  return same(a.w0, b.w0, bits) && same(a.w1, b.w1, bits - 32) && same(a.w2, b.w2, bits - 64) && same(a.w3, b.w3, bits - 96)
}

function same(x: number, y: number, bits: number): boolean {
  if (bits <= 0) return true
  return bits >= 32 ? x === y : (x ^ y) >>> (32 - bits) === 0
}

/** `10.0.0.2/24`, `fd00::2/64`; without a length the whole address. ERR_INVALID_IP_ADDRESS otherwise. */
export function prefix(text: string): Prefix {
  const slash = text.indexOf('/')
  const a = address(slash < 0 ? text : text.slice(0, slash))
  const full = a.isV4 ? 32 : 128
  if (slash < 0) return new Prefix(a, full)
  const digits = text.slice(slash + 1)
  const n = /^\d{1,3}$/.test(digits) ? Number(digits) : -1
  if (n < 0 || n > full)
    throw invalidArgument(`Invalid prefix length in ${text}: 0 to ${full} expected`, 'ERR_INVALID_IP_ADDRESS')
  return new Prefix(a, n)
}
