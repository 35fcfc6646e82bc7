/** System calls and the expressions in them. Structures are read as they are written: what their fields mean is the runner's to know. */
import type { Expression, Field, Syscall } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { Unsupported } from './problem.ts'

/** Names in `A|B|C`. */
const MAX_TERMS = 64

/** Protocols of sockets that the stack does not have. */
const FOREIGN: { readonly [name: string]: string } = {
  IPPROTO_SCTP: 'SCTP',
  IPPROTO_MPTCP: 'MPTCP',
  IPPROTO_UDPLITE: 'UDP-Lite',
}

/** `name(arguments) = result ERRNO (note)`, the cursor on the name. */
export function parseSyscall(c: Cursor, endUs: number | null): Syscall {
  const name = c.word() ?? c.fail('a packet, a system call, a command or code')
  c.expect('(')
  const position = c.position()
  const args = list(c, ')')
  // Said at once: what such a script has further down is another language.
  for (const arg of args) {
    const protocol = arg.kind === 'word' && name === 'socket' ? FOREIGN[arg.name] : undefined
    if (protocol !== undefined) throw new Unsupported(protocol, position)
  }
  c.expect('=', "'=' and the result of the call")
  const result = parseExpression(c)
  // The next event begins with a time, so that a word here is an error's name, unless it stands for a command at the end.
  const next = c.peekWord()
  const errno = next === null || c.defines.get(next)?.startsWith('`') === true ? null : c.word()
  let note: string | null = null
  if (c.char === '(') {
    const opened = c.at++
    note = c.through(')', 'a note', opened).trim()
  }
  return { name, args, endUs, result, errno, note }
}

export function parseExpression(c: Cursor): Expression {
  return c.nested(() => expression(c))
}

function expression(c: Cursor): Expression {
  let left = primary(c)
  let terms = 0
  for (;;) {
    const position = c.position()
    // `name = value` as an expression of its own: google's packetdrill has it for sizes of structures.
    if (left.kind === 'word' && c.looksAt(/=(?!=)/y) && c.eat('=')) {
      left = { kind: 'binary', op: '=', left, right: parseExpression(c), position }
    } else if (c.eat('|')) {
      if (++terms > MAX_TERMS) c.wrong('too many terms')
      left = { kind: 'binary', op: '|', left, right: primary(c), position }
    } else return left
  }
}

function primary(c: Cursor): Expression {
  const position = c.position()
  const start = c.at
  if (c.eat('...') || c.eat('*')) return { kind: 'any', position }
  switch (c.char) {
    case '"':
      return text(c, c.quoted())
    case '[':
      c.eat('[')
      return { kind: 'list', items: list(c, ']'), position }
    case '{':
      return struct(c)
    case '(': {
      c.eat('(')
      const inside = parseExpression(c)
      c.expect(')')
      return inside
    }
  }
  const value = c.maybeInteger()
  if (value !== null) return { kind: 'int', value, position }
  // Hexadecimal digits without a prefix (keys, cookies) are words that may begin with a digit.
  const name = c.take(/[A-Za-z0-9_]+/y) ?? c.fail('an argument', start)
  c.skip()
  if (name === '_') return { kind: 'any', position }
  if (c.eat('(')) return { kind: 'call', name, args: list(c, ')'), position }
  const defined = c.defines.get(name)
  if (defined === undefined) return { kind: 'word', name, position }
  if (/^".*"$/.test(defined)) return text(c, defined.slice(1, -1))
  return { kind: 'word', name: defined, position }
}

/** The text and those that follow it, as in C. */
function text(c: Cursor, first: string): Expression {
  const position = c.position()
  let value = first
  while (c.char === '"') value += c.quoted()
  return { kind: 'string', value, open: c.eat('...'), position }
}

function list(c: Cursor, end: string): Expression[] {
  const items: Expression[] = []
  if (c.eat(end)) return items
  do items.push(parseExpression(c))
  while (c.eat(','))
  c.expect(end, `',' or '${end}'`)
  return items
}

function struct(c: Cursor): Expression {
  const position = c.position()
  c.expect('{')
  if (c.looksAt(/\(\s*label\b|flags\s*\[/y)) throw new Unsupported('MPLS and GRE', position)
  const fields: Field[] = []
  if (c.eat('}')) return { kind: 'struct', fields, position }
  do fields.push(field(c))
  while (c.eat(','))
  c.expect('}', "',' or '}'")
  return { kind: 'struct', fields, position }
}

/** `name=value`, `name(count)=value`, or a value. */
function field(c: Cursor): Field {
  const start = c.at
  const name = c.word()
  if (name !== null) {
    let count: Expression | null = null
    if (c.eat('(')) {
      const args = list(c, ')')
      if (args.length === 1) count = args[0]
    }
    if (c.looksAt(/=(?!=)/y)) {
      c.eat('=')
      return { name, count, value: parseExpression(c) }
    }
    c.at = start
  }
  return { name: '', count: null, value: parseExpression(c) }
}
