/** Packets: direction, what is said of IP, ports, and TCP, UDP or ICMP. */
import type { Direction, IcmpSpec, IpSpec, PacketSpec, SeqSpec, TcpSpec } from './ast.ts'
import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { parseOptions } from './parse-options.ts'
import { Unsupported } from './problem.ts'

const LETTERS: { readonly [letter: string]: number } = {
  F: FIN,
  S: SYN,
  R: RST,
  P: PSH,
  '.': ACK,
  U: URG,
  E: ECE,
  W: CWR,
  A: AE,
  C: CWR,
  '-': 0,
}

/** Headers around the transport, and transports, that no part of the runner knows. */
const FOREIGN: { readonly [word: string]: string } = {
  sctp: 'SCTP',
  udplite: 'UDP-Lite',
  gre: 'GRE',
  GREv0: 'GRE',
  mpls: 'MPLS',
  psp: 'PSP',
  encap: 'PSP',
  ipv4: 'IP in IP',
  ipv6: 'IP in IP',
}

/** The cursor on `<` or `>`. */
export function parsePacket(c: Cursor): PacketSpec {
  const start = c.position()
  const direction: Direction = c.eat('<') ? 'in' : 'out'
  if (direction === 'out') c.expect('>')
  refuseForeign(c)
  // nplab writes the quoted packet in front of `icmp`.
  const first = c.looksAt(/\[\s*(?:\d+\s*:|\.\.\.|udp|raw)/y) ? quoted(c) : null
  const ip = ipSpec(c, direction)
  refuseForeign(c)
  let ports: PacketSpec['ports'] = null
  if (c.looksAt(/\d+\s*>/y)) {
    const source = c.integer('a source port', 0, 65535)
    c.expect('>')
    ports = { source, destination: c.integer('a destination port', 0, 65535) }
  }
  refuseForeign(c)
  if (c.eatWord('udp')) {
    if (ports === null && c.looksAt(/\d+\s*>/y)) {
      const source = c.integer('a source port', 0, 65535)
      c.expect('>')
      ports = { source, destination: c.integer('a destination port', 0, 65535) }
    }
    return { direction, ip, ports, body: { kind: 'udp', length: length(c) } }
  }
  if (c.eatWord('icmp')) return { direction, ip, ports, body: icmp(c, first) }
  if (first !== null) c.fail("'icmp'")
  const body = tcp(c, direction)
  if (c.char === '{') throw new Unsupported('packets that are changed in flight (fuzzing)', c.position())
  if (c.looksAt(/\/\s*udp/y)) throw new Unsupported('TCP in UDP', start)
  return { direction, ip, ports, body }
}

function refuseForeign(c: Cursor): void {
  const word = c.peekWord()
  if (word !== null && FOREIGN[word] !== undefined) throw new Unsupported(FOREIGN[word], c.position())
}

/** `(1000)`. */
function length(c: Cursor): number {
  c.expect('(')
  const n = c.integer('a length', 0, 65535)
  c.expect(')')
  return n
}

/** `[ect0]`, `(tos 0x10, ttl 64)`; all keys that google's and nplab's grammars have, in any order. */
function ipSpec(c: Cursor, direction: Direction): IpSpec {
  const ip: IpSpec = { ecn: null, tos: null, dscp: null, ttl: null, flowLabel: null }
  const open = c.char
  if (open !== '[' && open !== '(') return ip
  c.eat(open)
  const close = open === '[' ? ']' : ')'
  do {
    const start = c.at
    const word = c.take(/[A-Za-z][A-Za-z0-9_-]*/y) ?? c.fail("'ect0', 'tos', 'ttl' or another key of IP")
    c.skip()
    switch (word) {
      case 'ecn':
        break
      case 'noecn':
      case 'ect0':
      case 'ect1':
      case 'ce':
        ip.ecn = word
        break
      case 'ect01':
        if (direction === 'in') c.wrong('ect01 is for outbound packets: an injected one has a value', start)
        ip.ecn = word
        break
      case 'tos':
      case 'class':
        ip.tos = c.integer('a type of service', 0, 255)
        break
      case 'dscp':
        ip.dscp = dscp(c)
        break
      case 'ttl':
      case 'hlim':
        ip.ttl = c.integer('a time to live', 0, 255)
        break
      case 'flowlabel':
        ip.flowLabel = c.integer('a flow label', 0, 0xfffff)
        break
      default:
        c.fail("'ect0', 'tos', 'ttl' or another key of IP", start)
    }
    if (word === 'ecn') continue
    c.eat(',')
  } while (c.char !== close && !c.ended)
  c.expect(close)
  return ip
}

/** Names of code points: RFC 2474, 2597, 3246, 5865, 8622. */
function dscp(c: Cursor): number {
  const n = c.maybeInteger()
  if (n !== null) return n & 63
  const start = c.at
  const name = (c.take(/[A-Za-z][A-Za-z0-9_-]*/y) ?? c.fail('a code point')).toLowerCase()
  c.skip()
  const selector = /^cs([0-7])$/.exec(name)
  if (selector !== null) return Number(selector[1]) << 3
  const assured = /^af([1-4])([1-3])$/.exec(name)
  if (assured !== null) return (Number(assured[1]) << 3) | (Number(assured[2]) << 1)
  const other: { readonly [name: string]: number } = { ef: 46, 'voice-admit': 44, voice_admit: 44, le: 1 }
  return other[name] ?? c.fail('a code point', start)
}

function tcp(c: Cursor, direction: Direction): TcpSpec {
  const start = c.at
  const letters = c.take(/[A-Za-z0-9.-]+/y) ?? c.fail("flags of TCP ('S', 'P.', '.'), 'udp' or 'icmp'")
  c.skip()
  let flags = 0
  let ace = false
  for (const [i, letter] of [...letters].entries()) {
    if (letter >= '0' && letter <= '7') {
      // The ACE field as a number: AE, CWR, ECE. RFC 9768 section 3.2.
      if (ace) c.wrong('the ACE field twice', start + i)
      ace = true
      const digit = Number(letter)
      flags |= ((digit & 4) !== 0 ? AE : 0) | ((digit & 2) !== 0 ? CWR : 0) | ((digit & 1) !== 0 ? ECE : 0)
      continue
    }
    const bit = LETTERS[letter]
    if (bit === undefined) c.wrong(`'${letter}' is no flag of TCP`, start + i)
    flags |= bit
  }
  const seq = sequence(c)
  let ack: number | null = null
  let window: number | null = null
  let urgent = 0
  for (;;) {
    if (c.eatWord('ack')) ack = c.integer('an acknowledgment number')
    else if (c.eatWord('win')) window = c.integer('a window', 0, 65535)
    else if (c.eatWord('urg')) urgent = c.integer('an urgent pointer', 0, 65535)
    else break
  }
  let options: TcpSpec['options'] = []
  if (c.char === '<') {
    const opened = c.at
    c.eat('<')
    if (c.eat('...')) {
      if (direction === 'in') c.wrong('<...> is for outbound packets: an injected one has its options', opened)
      c.expect('>')
      options = null
    } else options = parseOptions(c)
  }
  return { kind: 'tcp', flags, ace, seq, ack, window, urgent, options }
}

/** `1:1001(1000)`, with `!` on the wire; `...(1000)`. */
export function sequence(c: Cursor): SeqSpec {
  const start = c.at
  if (c.eat('...')) return { start: 0, length: length(c), absolute: false, any: true }
  const first = c.integer("a sequence number ('1:1001(1000)')")
  c.expect(':')
  const end = c.integer('the end of the sequence numbers')
  const n = length(c)
  if ((first + n) % 0x1_0000_0000 !== end) c.wrong(`sequence numbers ${first}:${end} do not span ${n} bytes`, start)
  const absolute = c.char === '!' && c.eat('!')
  return { start: first, length: n, absolute, any: false }
}

function icmp(c: Cursor, first: IcmpSpec['quoted']): IcmpSpec {
  const type = icmpWord(c) ?? c.fail('a type of ICMP')
  const out: IcmpSpec = { kind: 'icmp', type, code: icmpWord(c), mtu: null, id: null, quoted: first }
  for (;;) {
    if (c.eatWord('mtu')) out.mtu = c.integer('an MTU')
    else if (c.eatWord('id')) out.id = c.integer('an identifier', 0, 65535)
    else break
  }
  if (first === null && c.char === '[') out.quoted = quoted(c)
  return out
}

function icmpWord(c: Cursor): string | null {
  if (c.peekWord() === 'mtu' || c.peekWord() === 'id') return null
  const start = c.at
  const word = c.take(/[A-Za-z0-9_]+/y)
  c.skip()
  if (word === null) return null
  const meant = c.defines.get(word) ?? word
  if (/^[A-Z_]+$/.test(meant)) throw new Unsupported(`${meant} is not defined`, c.position(start))
  return meant
}

/** `[5001:6001(1000)]`, `[udp (1000)]`. */
function quoted(c: Cursor): IcmpSpec['quoted'] {
  c.expect('[')
  refuseForeign(c)
  let out: IcmpSpec['quoted']
  if (c.eatWord('udp')) out = { kind: 'udp', length: length(c) }
  else if (c.eatWord('raw')) out = { kind: 'raw', length: length(c) }
  else out = { kind: 'tcp', seq: sequence(c) }
  c.expect(']')
  return out
}
