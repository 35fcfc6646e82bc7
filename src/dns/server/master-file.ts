/**
 * Master files (RFC 1035 section 5) as records: `$ORIGIN` and `$TTL` (RFC 2308 section 4), `@`, relative names, owners left out, TTL and class in either
 * order, unknown types (RFC 3597). Not `$INCLUDE`: a stack reads no files. Not `$GENERATE`, which is BIND's.
 */
import { invalidArgument } from '../../base/errors.ts'
import { canonicalName, labelsOf } from '../names.ts'
import { nameOf, parseData, timeOf } from '../parse.ts'
import { CLASS_IN, isType, type ResourceRecord, typeCode, typeName } from '../records.ts'
import { type Entry, entriesOf, type Word } from './lexer.ts'

/** When nothing says how long a record holds. BIND and NSD have 3600. */
export const DEFAULT_TTL = 3600
const MAX_TTL = 0x7fffffff

interface State {
  origin: string | null
  owner: string | null
  /** `$TTL`, and the TTL of the record before. */
  standard: number | null
  last: number | null
}

/**
 * The records of a master file. `origin`: the name of the zone; null: `$ORIGIN` or names that are absolute say it. Throws ERR_INVALID_ARG_VALUE with the
 * line: `line 12: MX: its exchange is missing`.
 */
export function parseMasterFile(text: string, origin: string | null): ResourceRecord[] {
  const state: State = { origin, owner: null, standard: null, last: null }
  const records: ResourceRecord[] = []
  for (const entry of entriesOf(text)) {
    try {
      if (!entry.indented && !entry.words[0].quoted && entry.words[0].text.startsWith('$')) directive(state, entry.words)
      else records.push(recordOf(state, entry))
    } catch (error) {
      throw invalidArgument(`line ${entry.line}: ${(error as Error).message}`)
    }
  }
  return records
}

function directive(state: State, [{ text }, ...rest]: readonly Word[]): void {
  const name = text.toUpperCase()
  if (name === '$ORIGIN' && rest.length === 1) state.origin = within(state, rest[0].text)
  else if (name === '$TTL' && rest.length === 1) state.standard = ttlOf(rest[0].text)
  else if (name === '$ORIGIN' || name === '$TTL') throw invalidArgument(`${name} has one value`)
  else throw invalidArgument(`${text} is not understood: $ORIGIN and $TTL are`)
}

function within({ origin }: State, text: string): string {
  if (origin === null && (text === '@' || !text.endsWith('.')))
    throw invalidArgument(`${text} is relative, and no origin is known`)
  return nameOf(text, origin ?? '')
}

function ttlOf(text: string): number {
  const seconds = timeOf(text)
  if (seconds === null || seconds > MAX_TTL) throw invalidArgument(`${text} is no TTL`)
  return seconds
}

const CLASS = /^(?:IN|CH|HS|CLASS\d+)$/i

function recordOf(state: State, { indented, words }: Entry): ResourceRecord {
  let at = 0
  if (!indented) state.owner = within(state, words[at++].text)
  if (state.owner === null) throw invalidArgument('no record stands before, whose owner this one might have')
  let ttl: number | null = null
  let hasClass = false
  for (; at < words.length; at++) {
    const { text } = words[at]
    if (ttl === null && timeOf(text) !== null) ttl = ttlOf(text)
    else if (!hasClass && CLASS.test(text)) {
      if (!/^(?:IN|CLASS1)$/i.test(text)) throw invalidArgument(`class ${text}: only IN is served`)
      hasClass = true
    } else break
  }
  if (at >= words.length) throw invalidArgument('its type is missing')
  const code = typeCode(words[at].text.toUpperCase())
  if (code === null) throw invalidArgument(`type ${words[at].text} is not known: write TYPE and its number (RFC 3597)`)
  const type = typeName(code)
  // A file that begins with an absolute name and says nothing else is the zone of that name.
  state.origin ??= state.owner
  const data = parseData(type, words.slice(at + 1), state.origin)
  const record = { name: state.owner, type, class: CLASS_IN, ttl: 0, data } as unknown as ResourceRecord
  record.ttl = ttl ?? state.standard ?? state.last ?? (isType(record, 'SOA') ? record.data.minimum : DEFAULT_TTL)
  // RFC 1035 section 5.1: what is left out is that of the record before; of `$TTL` (RFC 2308) it is no part.
  if (ttl !== null || state.last === null) state.last = record.ttl
  return record
}

/** The zone that records are of: where their SOA is. Null: they have none. */
export function originOf(records: readonly ResourceRecord[]): string | null {
  const soa = records.find((r) => r.type === 'SOA')
  return soa === undefined ? null : canonicalName(soa.name)
}

/** A name in the form in which zones keep it: lower case. Throws ERR_INVALID_ARG_VALUE. */
export function zoneName(text: string): string {
  const name = labelsOf(text) === null ? null : canonicalName(text)
  if (name === null) throw invalidArgument(`${text} is not a domain name`)
  return name
}
