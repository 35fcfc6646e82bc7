/**
 * A script of packetdrill's language to its tree.
 *
 * A recursive descent without a separate lexer, because what a character means depends on where it stands (`5.` is a flag field, `1:1001`
 * no address, `0...0.2` two times): the grammar is that of google's parser.y with what nplab's and FreeBSD's fork add, read from their
 * published sources; files beside this one have packets, options and system calls. `cursor.ts` steps through the text, `preprocess.ts` has
 * removed what `#ifdef` leaves out, `commands.ts` says what commands in backticks mean and `code.ts` reads what is in `%{ }%`.
 *
 * Two errors come out: `ScriptError` for what is not in the language, with line and caret; `Unsupported` for what is, and cannot be played.
 */
import type { Command, Platform, Script, ScriptEvent, ScriptOption, ScriptTime } from './ast.ts'
import { parseCode } from './code.ts'
import { effectsOf, type Includes } from './commands.ts'
import { Cursor } from './cursor.ts'
import { definitionsOf } from './definitions.ts'
import { parseSyscall } from './parse-expression.ts'
import { parsePacket } from './parse-packet.ts'
import { preprocess } from './preprocess.ts'
import { Unsupported } from './problem.ts'
import type { IpVersion } from './settings.ts'

export interface ParseOptions {
  /** For messages. */
  file?: string
  /** What `-D name=value` gives; it wins over the script's own. A value may be `"text"`, a number, a word, or `` `a command` ``. */
  defines?: { readonly [name: string]: string }
  /** Whose `#ifdef Linux` or `#ifdef FreeBSD` holds; `linux` when left out. */
  platform?: Platform
  /** Options as of `--name=value` that win over the script's own. */
  options?: { readonly [name: string]: string }
  /** In which family it is to be played, for what the runners of published scripts define; `ipv4` when left out. */
  ipVersion?: IpVersion
  /** The text of a file that a command in backticks runs (`./defaults.sh`); null where there is none. */
  includes?: Includes
}

/** Throws ScriptError and Unsupported. */
export function parse(text: string, options: ParseOptions = {}): Script {
  const file = options.file ?? 'script'
  const defines = new Map(Object.entries({ ...definitionsOf(options.ipVersion ?? 'ipv4'), ...options.defines }))
  const source = preprocess(file, text, defines, options.platform ?? 'linux')
  for (const [name, value] of Object.entries(options.defines ?? {})) defines.set(name, value)
  const c = new Cursor(file, source, defines)
  const script: Script = { file, options: [], init: [], events: [], cleanup: [] }
  const commands = (): Command[] => {
    const out: Command[] = []
    for (let found = command(c, options.includes); found !== null; found = command(c, options.includes)) out.push(found)
    return out
  }
  for (;;) {
    if (c.text.startsWith('--', c.at)) option(c, script.options, defines, options.defines ?? {})
    else if (c.looksAt(/`/y)) script.init.push(...commands())
    else break
  }
  for (const [name, value] of Object.entries(options.options ?? {})) {
    script.options.push({ name, value, position: { line: 0, column: 0 } })
  }
  while (!c.ended) {
    const untimed = commands()
    if (c.ended) script.cleanup.push(...untimed)
    else {
      // Between events packetdrill wants a time; forks of it do not: at once, then.
      for (const found of untimed) {
        script.events.push({
          kind: 'command',
          command: found,
          time: { kind: 'relative', us: 0 },
          position: found.position,
          text: `\`${found.text}\``,
        })
      }
      script.events.push(event(c, options.includes))
    }
  }
  return script
}

function option(c: Cursor, out: ScriptOption[], defines: Map<string, string>, given: { readonly [name: string]: string }): void {
  const position = c.position()
  const name = c.take(/--[A-Za-z0-9_]+/y) ?? c.fail('an option')
  let value = ''
  if (c.char === '=') {
    c.at++
    value = c.take(/"[^"\n]*"(?=\s|$)|[A-Za-z0-9_]+=(?:"[^"\n]*"|`[^`]*`|[^\s]*)|[^\s]+/y) ?? c.fail('a value')
  }
  c.skip()
  if (name !== '--define') {
    out.push({ name: name.slice(2), value: value.replace(/^"(.*)"$/, '$1'), position })
    return
  }
  const equals = value.indexOf('=')
  if (equals < 1) c.wrong('--define=NAME=value')
  const symbol = value.slice(0, equals)
  if (given[symbol] === undefined) defines.set(symbol, value.slice(equals + 1))
}

/** A command in backticks, or a word that is defined as one. */
function command(c: Cursor, includes: Includes | undefined): Command | null {
  const position = c.position()
  const opened = c.at
  let text: string
  if (c.char === '`') {
    c.at++
    text = c.through('`', 'a command', opened).trim()
  } else {
    const word = c.peekWord()
    const defined = word === null ? undefined : c.defines.get(word)
    if (defined === undefined || !/^`[\s\S]*`$/.test(defined)) return null
    c.word()
    text = defined.slice(1, -1).trim()
  }
  try {
    return { text, position, effects: effectsOf(text, includes) }
  } catch (error) {
    throw error instanceof Unsupported ? new Unsupported(error.message, position) : error
  }
}

function event(c: Cursor, includes: Includes | undefined): ScriptEvent {
  const start = c.at
  const position = c.position()
  const time = eventTime(c)
  const action = c.at
  const found = withTime(c, time, includes)
  const squeezed = c.text
    .slice(action, c.at)
    .replace(/\/\/[^\n]*/g, '')
    .replace(/\s+/g, ' ')
    .trim()
  if (!(found.kind === 'packet' && found.packet.direction === 'out')) {
    if (time.kind === 'any') c.wrong("the time '*' is for outbound packets", start)
    if (time.kind === 'absolute-range' || time.kind === 'relative-range')
      c.wrong('a range of times is for outbound packets', start)
  }
  return { ...found, time, position, text: squeezed }
}

type Action<E> = E extends ScriptEvent ? Omit<E, 'time' | 'position' | 'text'> : never

function withTime(c: Cursor, time: ScriptTime, includes: Includes | undefined): Action<ScriptEvent> {
  if (c.char === '<' || c.char === '>') return { kind: 'packet', packet: parsePacket(c) }
  if (c.text.startsWith('%{', c.at)) {
    const opened = c.at
    const position = c.position()
    c.at += 2
    const text = c.through('}%', 'code', opened).trim()
    try {
      return { kind: 'code', code: parseCode(text) }
    } catch (error) {
      throw error instanceof Unsupported ? new Unsupported(error.message, position) : error
    }
  }
  const found = command(c, includes)
  if (found !== null) return { kind: 'command', command: found }
  let endUs: number | null = null
  if (c.text.startsWith('...', c.at)) {
    const start = c.at
    c.eat('...')
    c.eat('+')
    endUs = c.seconds('the time when the call returns')
    if (time.kind !== 'any' && endUs < time.us) c.wrong('the call returns before it begins', start)
  }
  return { kind: 'syscall', call: parseSyscall(c, endUs) }
}

function eventTime(c: Cursor): ScriptTime {
  if (c.eat('*')) return { kind: 'any' }
  const start = c.at
  const relative = c.eat('+')
  const us = c.seconds(relative ? 'seconds' : "a time ('0.1', '+0.1', '*')")
  if (!c.eat('~')) return { kind: relative ? 'relative' : 'absolute', us }
  const endRelative = c.eat('+')
  if (endRelative && !relative) c.wrong('a range from an absolute to a relative time', start)
  const endUs = c.seconds('the end of the range')
  if (endUs < us) c.wrong('the range of times ends before it begins', start)
  return { kind: relative ? 'relative-range' : 'absolute-range', us, endUs }
}
