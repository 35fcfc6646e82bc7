/**
 * The words of master files (RFC 1035 section 5.1): blanks separate, `;` begins a comment, parentheses go on over line ends, quotes keep blanks. Escapes
 * stay as they are, for only who knows what a word means can read them.
 */
import { invalidArgument } from '../../base/errors.ts'

export interface Word {
  /** Without its quotes. */
  readonly text: string
  /** All of it stood in quotes: it is no `@`, no number, no directive. */
  readonly quoted: boolean
}

/** What stands between two line ends, parentheses aside. */
export interface Entry {
  /** Of its first word, from 1. */
  readonly line: number
  /** It begins with a blank: it has the owner of the one before. */
  readonly indented: boolean
  readonly words: Word[]
}

/** Throws ERR_INVALID_ARG_VALUE with the line: parentheses or quotes that are not closed, or closed without having been opened. */
export function entriesOf(text: string): Entry[] {
  const entries: Entry[] = []
  let entry: Entry | null = null
  let line = 1
  let depth = 0
  let startsLine = true
  let indented = false
  let at = 0
  const problem = (what: string): never => {
    throw invalidArgument(`line ${line}: ${what}`)
  }
  while (at < text.length) {
    const c = text[at]
    if (c === '\n') {
      line++
      at++
      if (depth > 0) continue
      entry = null
      startsLine = true
      continue
    }
    if (startsLine) indented = c === ' ' || c === '\t'
    startsLine = false
    if (c === ' ' || c === '\t' || c === '\r') at++
    else if (c === ';') while (at < text.length && text[at] !== '\n') at++
    else if (c === '(') {
      depth++
      at++
    } else if (c === ')') {
      if (--depth < 0) problem('a parenthesis is closed that was not opened')
      at++
    } else {
      if (entry === null) {
        entry = { line, indented, words: [] }
        entries.push(entry)
      }
      const { word, end } = wordAt(text, at)
      if (word === null) problem('quotes are not closed')
      else entry.words.push(word)
      at = end
    }
  }
  if (depth > 0) problem('a parenthesis is not closed')
  return entries
}

/** The words of one line. Throws as `entriesOf`. */
export function wordsOf(text: string): Word[] {
  return entriesOf(text).flatMap((e) => e.words)
}

const ENDS = ' \t\r\n;()'

/** The word that begins at `from`. Null: its quotes are not closed. */
function wordAt(text: string, from: number): { word: Word | null; end: number } {
  let out = ''
  let at = from
  const quoted = text[from] === '"'
  let inQuotes = false
  for (; at < text.length; at++) {
    const c = text[at]
    if (c === '\n' && inQuotes) break
    if (c === '\\' && at + 1 < text.length) {
      out += c + text[++at]
    } else if (c === '"') {
      inQuotes = !inQuotes
      if (quoted && !inQuotes) return { word: { text: out, quoted }, end: at + 1 }
    } else if (!inQuotes && ENDS.includes(c)) break
    else out += c
  }
  return { word: inQuotes ? null : { text: out, quoted }, end: at }
}
