/** Options of TCP in angle brackets. */
import type { TcpOptionSpec } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { Unsupported } from './problem.ts'

/** Options that packetdrill's forks have and this stack does not. */
const FOREIGN = /^(?:mp|dss|add_addr|remove_addr|rm_addr|tcp_?ao$|nr_sack|echo)/i

/** Behind `<`, up to and over `>`. */
export function parseOptions(c: Cursor): TcpOptionSpec[] {
  const options: TcpOptionSpec[] = []
  if (c.eat('>')) return options
  do options.push(option(c))
  while (c.eat(','))
  c.expect('>', "',' or '>'")
  return options
}

function option(c: Cursor): TcpOptionSpec {
  const start = c.at
  const name = c.take(/[A-Za-z][A-Za-z0-9_-]*/y) ?? c.fail('an option of TCP')
  c.skip()
  switch (name) {
    case 'nop':
    case 'eol':
    case 'sackOK':
      return { kind: name }
    case 'mss':
      return { kind: 'mss', value: c.integer('a segment size', 0, 65535) }
    case 'wscale':
      return { kind: 'wscale', shift: c.integer('a shift', 0, 255) }
    case 'sack':
      return { kind: 'sack', blocks: blocks(c) }
    case 'TS':
      return timestamps(c)
    case 'FO':
      return { kind: 'FO', cookie: bytes(c, 'a cookie'), experimental: false }
    case 'FOEXP':
    case 'exp-FO':
      return { kind: 'FO', cookie: bytes(c, 'a cookie'), experimental: true }
    case 'md5':
      if (c.eatWord('valid')) return { kind: 'md5', digest: [], mode: 'valid' }
      if (c.eatWord('invalid')) return { kind: 'md5', digest: [], mode: 'invalid' }
      return { kind: 'md5', digest: bytes(c, 'a digest'), mode: 'bytes' }
    case 'ECN':
      return accecn(c, null, false)
    case 'AccECN0':
    case 'AccECN1':
      return accecn(c, name.endsWith('1') ? 1 : 0, false)
    case 'exp-AccECN0':
    case 'exp-AccECN1':
      return accecn(c, name.endsWith('1') ? 1 : 0, true)
    case 'exp-tarr':
    case 'exp-TARR':
      return { kind: 'tarr', rate: c.maybeInteger() }
  }
  if (FOREIGN.test(name)) throw new Unsupported(`TCP option ${name}`, c.position(start))
  c.fail('an option of TCP', start)
}

function blocks(c: Cursor): { left: number; right: number }[] {
  const out: { left: number; right: number }[] = []
  do {
    const left = c.integer('a block (1001:2001)')
    c.expect(':')
    out.push({ left, right: c.integer('the end of a block') })
  } while (/\d/.test(c.char))
  return out
}

function timestamps(c: Cursor): TcpOptionSpec {
  if (!c.eatWord('val')) c.fail("'val'")
  const val = c.eat('...') ? null : c.integer('a timestamp')
  if (!c.eatWord('ecr')) c.fail("'ecr'")
  const ecr = c.integer('an echoed timestamp')
  const ecrAbsolute = c.eat('!')
  return { kind: 'TS', val, ecr, ecrAbsolute }
}

/** Digits of bytes, as many as stand there: packetdrill lets a script inject wrong lengths. */
function bytes(c: Cursor, what: string): number[] {
  const start = c.at
  const word = c.take(/[A-Za-z0-9_]+/y) ?? ''
  c.skip()
  const digits = c.defines.get(word) ?? word
  // Scripts leave values to whoever runs them: `-D NAME=value`.
  if (/^[A-Z][A-Z0-9_]*_[A-Z0-9_]*$/.test(digits)) throw new Unsupported(`${digits} is not defined`, c.position(start))
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(digits)) c.wrong(`${what} is an even number of hexadecimal digits`, start)
  const out: number[] = []
  for (let i = 0; i < digits.length; i += 2) out.push(Number.parseInt(digits.slice(i, i + 2), 16))
  return out
}

/** Names of the counters in the order of each kind of the option, RFC 9768 section 3.2.3. google's names and nplab's. */
const COUNTERS: readonly (readonly string[])[] = [
  ['e0b', 'ceb', 'e1b'],
  ['e1b', 'ceb', 'e0b'],
]

function accecn(c: Cursor, given: 0 | 1 | null, experimental: boolean): TcpOptionSpec {
  const counters: number[] = []
  let order = given
  for (;;) {
    const start = c.at
    const word = c.peekWord()
    if (word === null) break
    const name = word.toLowerCase().replace(/^e(e[01]b|ceb)$/, '$1')
    if (!COUNTERS[0].includes(name)) c.fail("'e0b', 'e1b' or 'ceb'", start)
    c.word()
    order ??= name === 'e1b' ? 1 : 0
    if (COUNTERS[order][counters.length] !== name) {
      c.wrong(`the counters of this option come as ${COUNTERS[order].join(', ')}`, start)
    }
    counters.push(c.integer('a counter of 24 bits', 0, 0xff_ffff))
  }
  return { kind: 'accecn', order: order ?? 0, counters, experimental }
}
