/** Evaluates what `code.ts` read. Variables last from one block of a script to the next, as in the one Python program that packetdrill makes. */
import type { Code, CodeExpression, CodeStatement } from './ast.ts'
import { Unsupported } from './problem.ts'

export type CodeValue = number | string | boolean | CodeValue[]

export type CodeResult = { kind: 'passed' } | { kind: 'failed'; reason: string } | { kind: 'unsupported'; reason: string }

/** What a name means that no assignment made: `tcpi_snd_cwnd`, `TCP_CA_Open`. Undefined: not known, which skips the script. */
export type Lookup = (name: string) => number | undefined

class Failed extends Error {}

/** Runs one block. `variables` are kept by the caller for the whole script. Does not throw. */
export function runCode(code: Code, variables: Map<string, CodeValue>, lookup: Lookup): CodeResult {
  try {
    new Evaluator(variables, lookup).run(code.statements)
    return { kind: 'passed' }
  } catch (error) {
    if (error instanceof Failed) return { kind: 'failed', reason: error.message }
    if (error instanceof Unsupported) return { kind: 'unsupported', reason: error.message }
    throw error
  }
}

class Evaluator {
  private readonly variables: Map<string, CodeValue>
  private readonly lookup: Lookup

  constructor(variables: Map<string, CodeValue>, lookup: Lookup) {
    this.variables = variables
    this.lookup = lookup
  }

  run(statements: CodeStatement[]): void {
    for (const s of statements) {
      switch (s.kind) {
        case 'assert':
          if (!truth(this.value(s.test))) throw new Failed(this.complaint(s))
          break
        case 'assign':
          this.variables.set(s.name, this.value(s.value))
          break
        case 'if':
          this.run(truth(this.value(s.test)) ? s.then : s.otherwise)
      }
    }
  }

  /** The assertion, its message, and what its names were. */
  private complaint(s: CodeStatement & { kind: 'assert' }): string {
    let message = ''
    try {
      if (s.message !== null) message = `: ${show(this.value(s.message))}`
    } catch {
      // A message that cannot be made hides no failure.
    }
    const names = [...new Set(namesIn(s.test))].map((name) => `${name} = ${show(this.name(name))}`)
    return `${s.text}${message}${names.length === 0 ? '' : ` (${names.join(', ')})`}`
  }

  private name(name: string): CodeValue {
    const own = this.variables.get(name)
    if (own !== undefined) return own
    if (name === 'True' || name === 'False') return name === 'True'
    const given = this.lookup(name)
    if (given === undefined) throw new Unsupported(`code: ${name} is not known`)
    return given
  }

  private value(e: CodeExpression): CodeValue {
    switch (e.kind) {
      case 'number':
      case 'string':
        return e.value
      case 'name':
        return this.name(e.name)
      case 'tuple':
        return e.items.map((item) => this.value(item))
      case 'choice':
        return this.value(truth(this.value(e.test)) ? e.then : e.otherwise)
      case 'unary':
        return this.unary(e.op, this.value(e.operand))
      case 'compare': {
        let left = this.value(e.operands[0])
        for (const [i, op] of e.ops.entries()) {
          const right = this.value(e.operands[i + 1])
          if (!compare(op, left, right)) return false
          left = right
        }
        return true
      }
      case 'binary': {
        const left = this.value(e.left)
        if (e.op === 'and') return truth(left) ? this.value(e.right) : left
        if (e.op === 'or') return truth(left) ? left : this.value(e.right)
        return arithmetic(e.op, left, this.value(e.right))
      }
      case 'call':
        return call(
          e.name,
          e.args.map((a) => this.value(a)),
        )
    }
  }

  private unary(op: string, v: CodeValue): CodeValue {
    if (op === 'not') return !truth(v)
    const n = number(v)
    return op === '-' ? -n : op === '~' ? -n - 1 : n
  }
}

function namesIn(e: CodeExpression): string[] {
  switch (e.kind) {
    case 'name':
      return [e.name]
    case 'unary':
      return namesIn(e.operand)
    case 'binary':
      return [...namesIn(e.left), ...namesIn(e.right)]
    case 'compare':
      return e.operands.flatMap(namesIn)
    case 'call':
      return e.args.flatMap(namesIn)
    case 'tuple':
      return e.items.flatMap(namesIn)
    default:
      return []
  }
}

function truth(v: CodeValue): boolean {
  return typeof v === 'object' ? v.length > 0 : v !== 0 && v !== '' && v !== false
}

function number(v: CodeValue): number {
  if (typeof v === 'number') return v
  if (typeof v === 'boolean') return v ? 1 : 0
  throw new Unsupported(`code: arithmetic with ${show(v)}`)
}

function show(v: CodeValue): string {
  if (typeof v === 'object') return `(${v.map(show).join(', ')})`
  return typeof v === 'boolean' ? (v ? 'True' : 'False') : String(v)
}

function same(a: CodeValue, b: CodeValue): boolean {
  if (typeof a === 'object' && typeof b === 'object') return a.length === b.length && a.every((x, i) => same(x, b[i]))
  if (typeof a === 'boolean' || typeof b === 'boolean')
    return typeof a !== 'string' && typeof b !== 'string' && Number(a) === Number(b)
  return a === b
}

function compare(op: string, a: CodeValue, b: CodeValue): boolean {
  if (op === '==') return same(a, b)
  if (op === '!=') return !same(a, b)
  if (op === 'in' || op === 'not in') {
    if (typeof b !== 'object') throw new Unsupported(`code: in ${show(b)}`)
    return b.some((x) => same(x, a)) === (op === 'in')
  }
  const left = number(a)
  const right = number(b)
  return op === '<' ? left < right : op === '<=' ? left <= right : op === '>' ? left > right : left >= right
}

function arithmetic(op: string, a: CodeValue, b: CodeValue): CodeValue {
  if (op === '+' && typeof a === 'string' && typeof b === 'string') return a + b
  if (op === '%' && typeof a === 'string') return format(a, typeof b === 'object' ? b : [b])
  const left = number(a)
  const right = number(b)
  if (right === 0 && (op === '/' || op === '//' || op === '%')) throw new Failed('division by zero')
  switch (op) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '/':
      return left / right
    case '//':
      return Math.floor(left / right)
    case '%':
      return left - right * Math.floor(left / right)
    case '**':
      return left ** right
  }
  if (!Number.isInteger(left) || !Number.isInteger(right)) throw new Unsupported(`code: ${left} ${op} ${right}`)
  // Python's integers have no width.
  const x = BigInt(left)
  const y = BigInt(right)
  const bits = op === '&' ? x & y : op === '|' ? x | y : op === '^' ? x ^ y : op === '<<' ? x << y : x >> y
  return Number(bits)
}

function format(text: string, values: CodeValue[]): string {
  let i = 0
  return text.replace(
    /%(?:%|[-+ 0#]*\d*(?:\.(\d+))?([a-zA-Z]))/g,
    (all, digits: string | undefined, letter: string | undefined) => {
      if (all === '%%') return '%'
      const v = values[i++] ?? ''
      if (typeof v !== 'number') return show(v)
      if (letter === 'x' || letter === 'X') return v.toString(16)
      return letter === 'f'
        ? v.toFixed(digits === undefined ? 6 : Number(digits))
        : letter === 'd'
          ? String(Math.trunc(v))
          : String(v)
    },
  )
}

function call(name: string, args: CodeValue[]): CodeValue {
  const list = (): number[] => (args.length === 1 && typeof args[0] === 'object' ? args[0] : args).map(number)
  switch (name) {
    case 'abs':
      return Math.abs(number(args[0]))
    case 'min':
      return Math.min(...list())
    case 'max':
      return Math.max(...list())
    case 'int':
      return typeof args[0] === 'string' ? Number(args[0]) : Math.trunc(number(args[0]))
    case 'float':
      return typeof args[0] === 'string' ? Number(args[0]) : number(args[0])
    case 'bool':
      return truth(args[0])
    case 'round':
      return Math.round(number(args[0]))
    case 'str':
    case 'repr':
      return show(args[0])
    case 'hex':
      return `0x${number(args[0]).toString(16)}`
    case 'len':
      if (typeof args[0] === 'object' || typeof args[0] === 'string') return args[0].length
  }
  throw new Unsupported(`code: ${name}()`)
}
