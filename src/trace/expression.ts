/**
 * Filter expressions in the words of tcpdump (pcap-filter(7)), those of every day:
 *
 *   [ip|ip6|arp|tcp|udp] [src|dst|src or dst|src and dst] host A | net A/LEN | port N | portrange A-B
 *   ether [src|dst] [host] MAC, ether proto N, ip|ip6 proto N, proto N, vlan [N], less N, greater N, broadcast, multicast
 *   ip, ip6, arp, tcp, udp, icmp, icmp6, igmp; not, and, or (of the same rank, from left to right, as tcpdump has it), parentheses
 *   what is left out is that of the one before: `port 80 or 443`, `src host 10.0.0.1 or 10.0.0.2`
 *
 * Two things are other than with tcpdump: frames with VLAN tags are looked into without `vlan`, and IPv6's extension headers are passed over.
 */
import { type Address, parseAddress } from '../base/address.ts'
import { equalBytes } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { parseMac } from '../ethernet/mac.ts'
import { ETH, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_IGMP, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import type { Medium } from '../netif/netif.ts'
import { FrameHeaders } from './frame-headers.ts'

type Test = (frame: FrameHeaders) => boolean

/** An expression that was understood. */
export interface FrameMatcher {
  /** Whether the frame is one of those. `length`: of the frame on its link, if it was cut. */
  matches(buf: Uint8Array, start: number, end: number, medium: Medium, length?: number): boolean
}

/** Throws ERR_INVALID_ARG_VALUE with what is wrong. An empty expression takes every frame. */
export function parseExpression(text: string): FrameMatcher {
  const test = text.trim() === '' ? () => true : new Parser(text).all()
  const headers = new FrameHeaders()
  return { matches: (buf, start, end, medium, length) => test(headers.read(buf, start, end, medium, length)) }
}

/** Parentheses and tests that may stand within each other. */
const MAX_DEPTH = 100

const KINDS: Readonly<Record<string, Test>> = {
  ip: (f) => f.version === 4,
  ip6: (f) => f.version === 6,
  arp: (f) => f.etherType === ETHERTYPE_ARP,
  tcp: (f) => f.protocol === PROTO_TCP,
  udp: (f) => f.protocol === PROTO_UDP,
  icmp: (f) => f.version === 4 && f.protocol === PROTO_ICMP,
  icmp6: (f) => f.version === 6 && f.protocol === PROTO_ICMPV6,
  igmp: (f) => f.version === 4 && f.protocol === PROTO_IGMP,
}

const PROTOCOL_NUMBERS: Readonly<Record<string, number>> = {
  tcp: PROTO_TCP,
  udp: PROTO_UDP,
  icmp: PROTO_ICMP,
  icmp6: PROTO_ICMPV6,
  igmp: PROTO_IGMP,
}
const ETHER_TYPES: Readonly<Record<string, number>> = { ip: ETHERTYPE_IPV4, ip6: ETHERTYPE_IPV6, arp: ETHERTYPE_ARP }

type Way = 'src' | 'dst' | 'either' | 'both'
type What = 'host' | 'net' | 'port' | 'portrange' | 'proto'

/** What stands before a value. */
interface Qualifiers {
  kind: string
  way: Way
  what: What
}

const WHATS: readonly string[] = ['host', 'net', 'port', 'portrange', 'proto']
const MAC = /^[\da-f]{1,2}([:-][\da-f]{1,2}){5}$/i

class Parser {
  private readonly words: string[]
  private at = 0
  private depth = 0
  private last: Qualifiers | null = null

  constructor(private readonly text: string) {
    this.words = (text.match(/\(|\)|&&|\|\||!|[^\s()!&|]+|\S/g) ?? []).map((word) => word.toLowerCase())
  }

  all(): Test {
    const test = this.list()
    if (this.at < this.words.length) throw this.wrong(`${this.peek()} is not expected there`)
    return test
  }

  private list(): Test {
    let left = this.one()
    for (;;) {
      const word = this.peek()
      if (word === 'and' || word === '&&') {
        this.at++
        left = both(left, this.one())
      } else if (word === 'or' || word === '||') {
        this.at++
        left = either(left, this.one())
      } else return left
    }
  }

  private one(): Test {
    if (++this.depth > MAX_DEPTH) throw this.wrong('it is nested too deep')
    try {
      const word = this.peek()
      if (word === 'not' || word === '!') {
        this.at++
        const test = this.one()
        return (f) => !test(f)
      }
      if (word !== '(') return this.primitive()
      this.at++
      const test = this.list()
      if (this.next() !== ')') throw this.wrong('a ) is missing')
      return test
    } finally {
      this.depth--
    }
  }

  private primitive(): Test {
    const word = this.peek()
    if (word === '') throw this.wrong('something is missing at its end')
    if (word === 'vlan') return this.vlan()
    if (word === 'less' || word === 'greater') {
      this.at++
      const n = this.number(0, 0x7fffffff)
      return word === 'less' ? (f) => f.length <= n : (f) => f.length >= n
    }
    if (word === 'broadcast' || word === 'multicast') {
      this.at++
      return castTest(word)
    }
    let kind = ''
    if (word === 'ether' || KINDS[word] !== undefined) {
      kind = word
      this.at++
    }
    if (kind === 'ether' && (this.peek() === 'broadcast' || this.peek() === 'multicast')) return castTest(this.next())
    const way = this.way()
    const what = WHATS.includes(this.peek()) ? (this.next() as What) : null
    if (kind !== '' && kind !== 'ether' && way === null && what === null) {
      // A kind alone; or, with `(`, `[` and the like, something that is not understood.
      this.last = null
      return KINDS[kind]
    }
    if (kind === '' && way === null && what === null) {
      if (this.last === null && !this.isAddress()) throw this.wrong(`${word} is not known`)
      return this.value(this.last ?? { kind: '', way: 'either', what: 'host' })
    }
    this.last = { kind, way: way ?? 'either', what: what ?? 'host' }
    return this.value(this.last)
  }

  private isAddress(): boolean {
    const [address] = this.peek().split('/')
    return parseAddress(address) !== null || MAC.test(address)
  }

  private way(): Way | null {
    const word = this.peek()
    if (word !== 'src' && word !== 'dst') return null
    this.at++
    const [link, other] = [this.words[this.at], this.words[this.at + 1]]
    if ((link !== 'or' && link !== 'and') || other !== (word === 'src' ? 'dst' : 'src')) return word
    this.at += 2
    return link === 'or' ? 'either' : 'both'
  }

  private vlan(): Test {
    this.at++
    this.last = null
    if (!/^\d+$/.test(this.peek())) return (f) => f.vlans.length > 0
    const id = this.number(0, 4095)
    return (f) => f.vlans.includes(id)
  }

  private value({ kind, way, what }: Qualifiers): Test {
    const limit = kind === '' || kind === 'ether' ? null : KINDS[kind]
    const test = this.valueOf(kind, way, what)
    return limit === null ? test : both(limit, test)
  }

  private valueOf(kind: string, way: Way, what: What): Test {
    if (what === 'port' || what === 'portrange') {
      if (kind !== '' && kind !== 'tcp' && kind !== 'udp' && kind !== 'ip' && kind !== 'ip6')
        throw this.wrong(`${kind} has no ports`)
      return this.ports(way, what)
    }
    if (what === 'proto') return this.protocol(kind)
    if (kind === 'ether') return this.mac(way)
    if (kind === 'tcp' || kind === 'udp' || kind.startsWith('ic') || kind === 'igmp') throw this.wrong(`${kind} has no ${what}s`)
    return this.address(way, what)
  }

  private ports(way: Way, what: What): Test {
    const word = this.next()
    const [, from, to = from] = (what === 'port' ? /^(\d{1,5})$/ : /^(\d{1,5})-(\d{1,5})$/).exec(word) ?? []
    const [low, high] = [Number(from), Number(to)]
    if (!(low >= 0 && high <= 65535 && low <= high))
      throw this.wrong(`${word || 'its end'} is no ${what === 'port' ? 'port' : 'range of ports'}`)
    const fits = (n: number): boolean => n >= low && n <= high
    return ways(
      way,
      (f) => fits(f.sourcePort),
      (f) => fits(f.destinationPort),
    )
  }

  private protocol(kind: string): Test {
    const names = kind === 'ether' ? ETHER_TYPES : PROTOCOL_NUMBERS
    const word = this.peek()
    const named = names[word]
    if (named !== undefined) this.at++
    const n = named ?? this.number(0, kind === 'ether' ? 0xffff : 255)
    return kind === 'ether' ? (f) => f.isEthernet && f.etherType === n : (f) => f.protocol === n
  }

  private mac(way: Way): Test {
    const word = this.next()
    if (!MAC.test(word)) throw this.wrong(`${word || 'its end'} is no MAC address`)
    const mac = parseMac(word)
    const is = (off: number) => (f: FrameHeaders) =>
      f.isEthernet && f.etherType >= 0 && equalBytes(f.buf, f.start + off, mac, 0, 6)
    return ways(way, is(ETH.source), is(ETH.destination))
  }

  private address(way: Way, what: What): Test {
    const word = this.next()
    if (MAC.test(word)) throw this.wrong(`${word} is a MAC address: ether host ${word}`)
    const [head, tail] = word.split('/')
    const a = parseAddress(head)
    if (a === null || a.zone !== 0) throw this.wrong(`${head || 'its end'} is no address`)
    const size = a.isV4 ? 32 : 128
    const bits = tail === undefined ? size : /^\d{1,3}$/.test(tail) ? Number(tail) : Number.NaN
    if (!(bits <= size) || (what === 'host' && bits !== size)) throw this.wrong(`${word} is no ${what}: net A/LEN is expected`)
    const words = wordsOf(a)
    const is = (at: 'sourceAt' | 'destinationAt') => (f: FrameHeaders) => f.isWithin(f[at], size >> 3, words, bits)
    return ways(way, is('sourceAt'), is('destinationAt'))
  }

  private number(min: number, max: number): number {
    const word = this.next()
    const n = /^(0x[\da-f]{1,8}|\d{1,10})$/.test(word) ? Number(word) : Number.NaN
    if (!(n >= min && n <= max)) throw this.wrong(`${word || 'its end'} is no number from ${min} to ${max}`)
    return n
  }

  private peek(): string {
    return this.words[this.at] ?? ''
  }

  private next(): string {
    return this.words[this.at++] ?? ''
  }

  private wrong(why: string): Error {
    return invalidArgument(`filter ${JSON.stringify(this.text)}: ${why}`)
  }
}

const both =
  (a: Test, b: Test): Test =>
  (f) =>
    a(f) && b(f)
const either =
  (a: Test, b: Test): Test =>
  (f) =>
    a(f) || b(f)

function ways(way: Way, source: Test, destination: Test): Test {
  if (way === 'src') return source
  if (way === 'dst') return destination
  return way === 'both' ? both(source, destination) : either(source, destination)
}

/** Of Ethernet, as tcpdump has it where nothing else is said. */
function castTest(word: string): Test {
  if (word === 'multicast') return (f) => f.isEthernet && f.etherType >= 0 && (f.buf[f.start] & 1) === 1
  return (f) => f.isEthernet && f.etherType >= 0 && f.buf.subarray(f.start, f.start + 6).every((b) => b === 255)
}

function wordsOf({ isV4, w0, w1, w2, w3 }: Address): number[] {
  return isV4 ? [w3] : [w0, w1, w2, w3]
}
