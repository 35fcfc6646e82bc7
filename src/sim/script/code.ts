/**
 * The Python that stands in `%{ }%`, to a tree: of that language only what scripts use to look at `tcp_info`. Assertions, assignments,
 * `print`, `if`; comparisons in chains, logic, arithmetic, bits, texts and their `%`. Anything else is `Unsupported`, which skips the
 * script; `code-run.ts` evaluates.
 */
import type { Code, CodeExpression, CodeStatement } from './ast.ts'
import { Unsupported } from './problem.ts'

/** Brackets and signs in each other, and tokens of a block: what is evaluated goes as deep as its longest sum. */
const MAX_DEPTH = 100
const MAX_TOKENS = 4000

interface Token {
  kind: 'number' | 'string' | 'name' | 'mark' | 'newline' | 'end'
  text: string
  /** Of the first token in a line: columns of white space before it. */
  indent: number
  start: number
  stop: number
}

const TOKEN =
  /(?<number>0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?<string>[fFrRbB]?(?:"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'))|(?<name>[A-Za-z_]\w*)|(?<mark>\/\/|\*\*|<<|>>|<=|>=|==|!=|[-+*/%<>=&|^~(),:;[\].])/y

/** Throws Unsupported. */
export function parseCode(text: string): Code {
  return new CodeParser(text).program()
}

function tokens(text: string): Token[] {
  const out: Token[] = []
  let depth = 0
  let indent = 0
  let fresh = true
  for (let at = 0; at < text.length; ) {
    const c = text.charAt(at)
    if (c === '\n') {
      if (depth === 0 && !fresh) out.push({ kind: 'newline', text: c, indent: 0, start: at, stop: at + 1 })
      if (depth === 0) {
        indent = 0
        fresh = true
      }
      at++
    } else if (c === '#') {
      while (at < text.length && text.charAt(at) !== '\n') at++
    } else if (c === ' ' || c === '\t') {
      if (fresh) indent += c === '\t' ? 8 - (indent % 8) : 1
      at++
    } else if (c === '\r') at++
    else if (c === '\\' && /^\\[ \t\r]*(?:\n|$)/.test(text.slice(at))) {
      // The line goes on in the next one.
      const end = text.indexOf('\n', at)
      at = end < 0 ? text.length : end + 1
    } else {
      TOKEN.lastIndex = at
      const found = TOKEN.exec(text)
      if (found === null) throw new Unsupported(`code: ${text.slice(at, at + 20)}`)
      const kind = (Object.keys(found.groups!) as Token['kind'][]).find((k) => found.groups![k] !== undefined)!
      if (kind === 'mark') depth += '([{'.includes(found[0]) ? 1 : ')]}'.includes(found[0]) ? -1 : 0
      out.push({ kind, text: found[0], indent: fresh ? indent : -1, start: at, stop: at + found[0].length })
      fresh = false
      at += found[0].length
    }
  }
  out.push({ kind: 'newline', text: '\n', indent: 0, start: text.length, stop: text.length })
  out.push({ kind: 'end', text: '', indent: 0, start: text.length, stop: text.length })
  return out
}

class CodeParser {
  private readonly text: string
  private readonly list: Token[]
  private at = 0
  private depth = 0

  constructor(text: string) {
    this.text = text
    this.list = tokens(text)
    if (this.list.length > MAX_TOKENS) throw new Unsupported('code: too long')
  }

  program(): Code {
    const statements: CodeStatement[] = []
    while (this.here().kind !== 'end') this.line(statements)
    return { text: this.text, statements }
  }

  private here(): Token {
    return this.list[this.at]
  }

  private refuse(): never {
    throw new Unsupported(`code: ${this.text.slice(this.here().start, this.here().start + 40).split('\n')[0]}`)
  }

  /** Strangers do not decide how deep the calls go. */
  private deeper<T>(read: () => T): T {
    if (this.depth >= MAX_DEPTH) this.refuse()
    this.depth++
    const inside = read()
    this.depth--
    return inside
  }

  private eat(mark: string): boolean {
    const { kind, text } = this.here()
    if ((kind !== 'mark' && kind !== 'name') || text !== mark) return false
    this.at++
    return true
  }

  private expect(mark: string): void {
    if (!this.eat(mark)) this.refuse()
  }

  /** One logical line: statements between semicolons, or an `if` with its block. */
  private line(out: CodeStatement[]): void {
    if (this.here().kind === 'newline') {
      this.at++
      return
    }
    if (this.here().text === 'if') {
      out.push(this.deeper(() => this.condition(this.here().indent)))
      return
    }
    do {
      if (this.here().kind === 'newline') break
      out.push(...this.simple())
    } while (this.eat(';'))
    if (this.here().kind !== 'newline') this.refuse()
    this.at++
  }

  private condition(indent: number): CodeStatement {
    this.at++
    const test = this.expression()
    this.expect(':')
    const then = this.block(indent)
    let otherwise: CodeStatement[] = []
    if (this.here().indent === indent && this.here().text === 'elif') otherwise = [this.deeper(() => this.condition(indent))]
    else if (this.here().indent === indent && this.eat('else')) {
      this.expect(':')
      otherwise = this.block(indent)
    }
    return { kind: 'if', test, then, otherwise }
  }

  private block(outer: number): CodeStatement[] {
    const out: CodeStatement[] = []
    if (this.here().kind !== 'newline') {
      this.line(out)
      return out
    }
    this.at++
    const { indent } = this.here()
    if (indent <= outer) this.refuse()
    while (this.here().kind !== 'end' && this.here().indent === indent) this.line(out)
    return out
  }

  private simple(): CodeStatement[] {
    const { start, kind, text } = this.here()
    if (this.eat('assert')) {
      const test = this.expression()
      const message = this.eat(',') ? this.tuple() : null
      return [{ kind: 'assert', test, message, text: this.text.slice(start, this.list[this.at - 1].stop) }]
    }
    if (this.eat('pass')) return []
    if (this.eat('print')) {
      // What is printed goes nowhere, so that what is not understood of it (methods of texts, for one) does no harm.
      while (this.here().kind !== 'newline' && this.here().text !== ';') this.at++
      return []
    }
    if (kind === 'name' && this.list[this.at + 1].text === '=') {
      this.at += 2
      return [{ kind: 'assign', name: text, value: this.tuple() }]
    }
    if (kind === 'name' && /^[-+*/%&|^]$/.test(this.list[this.at + 1].text) && this.list[this.at + 2].text === '=') {
      const op = this.list[this.at + 1].text
      this.at += 3
      return [
        { kind: 'assign', name: text, value: { kind: 'binary', op, left: { kind: 'name', name: text }, right: this.tuple() } },
      ]
    }
    this.refuse()
  }

  private tuple(): CodeExpression {
    const first = this.expression()
    if (this.here().text !== ',' || this.here().kind !== 'mark') return first
    const items = [first]
    while (this.eat(',')) {
      if (this.here().kind === 'newline' || this.here().text === ')') break
      items.push(this.expression())
    }
    return { kind: 'tuple', items }
  }

  private expression(): CodeExpression {
    const then = this.either()
    if (!this.eat('if')) return then
    const test = this.either()
    this.expect('else')
    return { kind: 'choice', test, then, otherwise: this.deeper(() => this.expression()) }
  }

  private either(): CodeExpression {
    let left = this.both()
    while (this.eat('or')) left = { kind: 'binary', op: 'or', left, right: this.both() }
    return left
  }

  private both(): CodeExpression {
    let left = this.negation()
    while (this.eat('and')) left = { kind: 'binary', op: 'and', left, right: this.negation() }
    return left
  }

  private negation(): CodeExpression {
    return this.eat('not') ? { kind: 'unary', op: 'not', operand: this.deeper(() => this.negation()) } : this.comparison()
  }

  private comparison(): CodeExpression {
    const operands = [this.arithmetic(0)]
    const ops: string[] = []
    for (;;) {
      const op = this.comparator()
      if (op === null) break
      ops.push(op)
      operands.push(this.arithmetic(0))
    }
    return ops.length === 0 ? operands[0] : { kind: 'compare', ops, operands }
  }

  private comparator(): string | null {
    for (const op of ['==', '!=', '<=', '>=', '<', '>', 'in']) if (this.eat(op)) return op
    if (this.here().text === 'not' && this.list[this.at + 1].text === 'in') {
      this.at += 2
      return 'not in'
    }
    return null
  }

  /** Binary operators by how strongly they bind, the weakest first. */
  private arithmetic(level: number): CodeExpression {
    const LEVELS = [['|'], ['^'], ['&'], ['<<', '>>'], ['+', '-'], ['*', '//', '/', '%']]
    if (level === LEVELS.length) return this.unary()
    let left = this.arithmetic(level + 1)
    for (;;) {
      const op = LEVELS[level].find((mark) => this.here().kind === 'mark' && this.eat(mark))
      if (op === undefined) return left
      left = { kind: 'binary', op, left, right: this.arithmetic(level + 1) }
    }
  }

  private unary(): CodeExpression {
    for (const op of ['-', '+', '~'] as const) {
      if (this.eat(op)) return { kind: 'unary', op, operand: this.deeper(() => this.unary()) }
    }
    const base = this.atom()
    return this.eat('**') ? { kind: 'binary', op: '**', left: base, right: this.deeper(() => this.unary()) } : base
  }

  private atom(): CodeExpression {
    const { kind, text } = this.here()
    if (kind === 'number') {
      this.at++
      return { kind: 'number', value: Number(text) }
    }
    if (kind === 'string') {
      let value = ''
      // What an f-string would put in is only seen in messages: it stays as written.
      for (; this.here().kind === 'string'; this.at++) value += this.here().text.replace(/^[a-zA-Z]?(['"])([\s\S]*)\1$/, '$2')
      return { kind: 'string', value: value.replace(/\\(['"\\])/g, '$1').replace(/\\n/g, '\n') }
    }
    if (kind === 'name') {
      if (/^(?:import|def|for|while|lambda|class|from|is|return|with|try|global|del|raise|exec)$/.test(text)) this.refuse()
      this.at++
      if (!this.eat('(')) return { kind: 'name', name: text }
      const args: CodeExpression[] = []
      while (!this.eat(')')) {
        args.push(this.deeper(() => this.expression()))
        if (!this.eat(',') && this.here().text !== ')') this.refuse()
      }
      return { kind: 'call', name: text, args }
    }
    if (this.eat('(') || this.eat('[')) {
      const end = this.list[this.at - 1].text === '(' ? ')' : ']'
      if (this.eat(end)) return { kind: 'tuple', items: [] }
      const inside = this.deeper(() => this.tuple())
      this.expect(end)
      return end === ']' && inside.kind !== 'tuple' ? { kind: 'tuple', items: [inside] } : inside
    }
    this.refuse()
  }
}
