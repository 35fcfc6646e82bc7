/**
 * A place in the text of a script, and the small steps from it: white space and comments, words, numbers, what is in quotes.
 *
 * Steps that may fail return null and stay where they are; steps that must succeed throw a `ScriptError` which shows the line. Words that
 * the script or its caller defined are replaced as they are read, as packetdrill's lexer does: one word by one token, not by text that is
 * read again.
 */
import type { Position } from './ast.ts'
import { ScriptError } from './problem.ts'

export type Defines = ReadonlyMap<string, string>

const SPACE = /(?:\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /\d*\.\d+|\d+/y
const INTEGER = /-?(?:0[xX][0-9a-fA-F]+|\d+)(?![A-Za-z0-9_])/y

const MAX_DEPTH = 100

export class Cursor {
  readonly file: string
  readonly text: string
  readonly defines: Defines
  at = 0
  /** How deep in brackets. */
  private depth = 0

  constructor(file: string, text: string, defines: Defines) {
    this.file = file
    this.text = text
    this.defines = defines
    this.skip()
  }

  get ended(): boolean {
    return this.at >= this.text.length
  }

  /** The character here; empty at the end. */
  get char(): string {
    return this.text.charAt(this.at)
  }

  position(at = this.at): Position {
    let line = 1
    let start = 0
    for (let i = this.text.indexOf('\n'); i >= 0 && i < at; i = this.text.indexOf('\n', i + 1)) {
      line++
      start = i + 1
    }
    return { line, column: at - start + 1 }
  }

  /** Throws: `expected` names what should have stood here. */
  fail(expected: string, at = this.at): never {
    const found = at >= this.text.length ? 'the end of the script' : `'${/[^\n]{0,24}/.exec(this.text.slice(at))![0].trimEnd()}'`
    this.wrong(`expected ${expected}, found ${found}`, at)
  }

  /** Throws, with the line and a caret below it. */
  wrong(what: string, at = this.at): never {
    const { line, column } = this.position(at)
    const source = this.text.split('\n')[line - 1] ?? ''
    const indent = source.slice(0, column - 1).replace(/[^\t]/g, ' ')
    throw new ScriptError(`${this.file}:${line}:${column}: ${what}\n${source}\n${indent}^`)
  }

  /** Over white space and comments. */
  skip(): void {
    this.take(SPACE)
    if (this.text.startsWith('/*', this.at)) this.wrong('a comment without its end')
  }

  /** What a sticky expression matches here, or null. */
  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found === null) return null
    this.at += found[0].length
    return found[0]
  }

  looksAt(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    return pattern.test(this.text)
  }

  /** The mark and the space behind it, if it stands here. */
  eat(mark: string): boolean {
    if (!this.text.startsWith(mark, this.at)) return false
    this.at += mark.length
    this.skip()
    return true
  }

  expect(mark: string, what = `'${mark}'`): void {
    if (!this.eat(mark)) this.fail(what)
  }

  /** This word, whole. */
  eatWord(word: string): boolean {
    const start = this.at
    if (this.take(WORD) === word) {
      this.skip()
      return true
    }
    this.at = start
    return false
  }

  /** A name, not replaced by its definition. */
  word(): string | null {
    const word = this.take(WORD)
    if (word !== null) this.skip()
    return word
  }

  peekWord(): string | null {
    const start = this.at
    const word = this.take(WORD)
    this.at = start
    return word
  }

  /** Decimal or hexadecimal; a word that is defined as one. */
  maybeInteger(): number | null {
    const digits = this.take(INTEGER)
    if (digits !== null) {
      this.skip()
      return Number(digits.startsWith('-') ? digits.slice(1) : digits) * (digits.startsWith('-') ? -1 : 1)
    }
    const word = this.peekWord()
    const defined = word === null ? undefined : this.defines.get(word)
    if (defined === undefined || !/^-?(?:0x[0-9a-f]+|\d+)$/i.test(defined)) return null
    this.word()
    return defined.startsWith('-') ? -Number(defined.slice(1)) : Number(defined)
  }

  integer(what: string, min = 0, max = 0xffff_ffff): number {
    const start = this.at
    const n = this.maybeInteger()
    if (n === null) this.fail(what, start)
    if (n < min || n > max) this.wrong(`${what} ${n} is out of range`, start)
    return n
  }

  /** Seconds as microseconds, or null. */
  maybeSeconds(): number | null {
    const digits = this.take(NUMBER)
    if (digits === null) return null
    this.skip()
    return Math.round(Number(digits) * 1e6)
  }

  seconds(what: string): number {
    if (this.char === '-') this.wrong('a time cannot be negative')
    return this.maybeSeconds() ?? this.fail(what)
  }

  /** All up to `end`, which is passed; the cursor stands behind the opening mark. */
  through(end: string, what: string, opened: number): string {
    let stop = this.at
    for (;;) {
      stop = this.text.indexOf(end, stop)
      if (stop < 0) this.wrong(`${what} without its end`, opened)
      if (end !== '`' || this.text.charAt(stop - 1) !== '\\') break
      stop++
    }
    const inside = this.text.slice(this.at, stop)
    this.at = stop + end.length
    this.skip()
    return inside
  }

  /** What `read` makes of what stands in brackets. Texts are strangers': they do not decide how deep the calls go. */
  nested<T>(read: () => T): T {
    if (this.depth >= MAX_DEPTH) this.wrong('brackets too deep in each other')
    this.depth++
    const inside = read()
    this.depth--
    return inside
  }

  /** A text in double quotes with C's escapes, the cursor on the first quote. */
  quoted(): string {
    const start = this.at
    const found = this.take(/"(?:\\[\s\S]|[^"\\])*"/y)
    if (found === null) this.wrong('a text without its end', start)
    this.skip()
    return unescaped(found.slice(1, -1))
  }
}

const ESCAPES: { readonly [letter: string]: string } = {
  n: '\n',
  t: '\t',
  r: '\r',
  '0': '\0',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
}

function unescaped(text: string): string {
  return text.replace(/\\(?:x([0-9a-fA-F]{1,2})|([\s\S]))/g, (_, hex: string | undefined, letter: string) =>
    hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (ESCAPES[letter] ?? letter),
  )
}
