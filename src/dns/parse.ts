/** The data of records as text, read: what text.ts writes (RFC 1035 section 5, RFC 3597 section 5, RFC 9460 section 2.1). */
import { Address, parseAddress, parseIPv4 } from '../base/address.ts'
import { put16 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { utf8Bytes } from '../base/utf8.ts'
import { isAbsolute, labelsOf } from './names.ts'
import { fieldKinds, type Kind, type ResourceRecord, type SvcParam, type TypeName, typeCode, typeName } from './records.ts'
import { keyCode, keyName } from './text.ts'

/** A word of the text, and whether it stood in quotes. */
export interface DataWord {
  readonly text: string
  readonly quoted: boolean
}

const MAX_STRING = 255
const BACKSLASH = 92
const COMMA = 44

/** The name that is meant in a zone, without a dot at its end: `@` is the origin, and what ends without a dot is below it. Throws ERR_INVALID_ARG_VALUE. */
export function nameOf(text: string, origin: string): string {
  const full = text === '@' ? origin : isAbsolute(text) || origin === '' ? text : `${text}.${origin}`
  if (labelsOf(full) === null) throw invalidArgument(`${text} is not a domain name`)
  return isAbsolute(full) ? full.slice(0, -1) : full
}

const TIME = /^(?:\d{1,10}[wdhms]?)+$/i
const UNITS: Readonly<Record<string, number>> = { w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 }

/** Seconds: `3600`, or as BIND writes it `1h30m`. Null: it is no time. */
export function timeOf(text: string): number | null {
  if (!TIME.test(text)) return null
  let seconds = 0
  for (const [, n, unit] of text.toLowerCase().matchAll(/(\d+)([wdhms]?)/g)) seconds += Number(n) * (UNITS[unit] ?? 1)
  return seconds <= 0xffffffff ? seconds : null
}

/** The bytes of a <character-string>: escapes undone, what is not ASCII as UTF-8. Throws ERR_INVALID_ARG_VALUE. */
export function bytesOf(text: string): Uint8Array {
  const out: number[] = []
  for (let at = 0; at < text.length; at++) {
    let code = text.codePointAt(at)!
    if (code === BACKSLASH) {
      const digits = /^\d{3}/.exec(text.slice(at + 1, at + 4))
      code = digits === null ? (text.codePointAt(at + 1) ?? -1) : Number(digits[0])
      if (code < 0 || (digits !== null && code > 255))
        throw invalidArgument(`${text}: a backslash has a character or three digits behind it`)
      at += digits === null ? 1 : 3
      if (digits !== null) {
        out.push(code)
        continue
      }
    }
    if (code > 0xffff) at++ // of two units
    out.push(...utf8Bytes(String.fromCodePoint(code)))
  }
  return Uint8Array.from(out)
}

/** The data of a record of that type; names are relative to `origin`. Throws ERR_INVALID_ARG_VALUE that says what was expected. */
export function parseData(type: TypeName, words: readonly DataWord[], origin: string): ResourceRecord['data'] {
  const kinds = fieldKinds(type)
  if (words[0]?.text === '\\#' && !words[0].quoted) return genericData(type, words, kinds === null)
  if (kinds === null) throw invalidArgument(`${type}: its data is written as \\# LENGTH HEX (RFC 3597)`)
  const data: Record<string, unknown> = {}
  let at = 0
  for (const [field, kind] of kinds) {
    const takesRest = kind === 'texts' || kind === 'hex' || kind === 'params' || kind === 'types'
    const given = takesRest ? words.slice(at) : words.slice(at, at + 1)
    if (given.length === 0 && kind !== 'params' && kind !== 'types') throw invalidArgument(`${type}: its ${field} is missing`)
    try {
      data[field] = fieldOf(kind, given, origin)
    } catch (error) {
      throw invalidArgument(`${type}: its ${field}: ${(error as Error).message}`)
    }
    at += given.length
  }
  if (at < words.length) throw invalidArgument(`${type}: ${words[at].text} is too much`)
  return data as unknown as ResourceRecord['data']
}

function genericData(type: TypeName, words: readonly DataWord[], isUnknown: boolean): ResourceRecord['data'] {
  if (!isUnknown) throw invalidArgument(`${type}: write its fields: \\# is for types that are not known here`)
  const bytes = hexOf(words.slice(2))
  if (bytes.length !== Number(words[1]?.text))
    throw invalidArgument(`${type}: ${words[1]?.text} is not the length of what follows`)
  return { bytes }
}

function fieldOf(kind: Kind, words: readonly DataWord[], origin: string): unknown {
  const text = words[0]?.text ?? ''
  switch (kind) {
    case 'u8':
      return numberOf(text, 0xff)
    case 'u16':
      return numberOf(text, 0xffff)
    case 'u32': {
      const n = timeOf(text) // the times of an SOA may have units
      if (n === null) throw invalidArgument(`${text} is no number`)
      return n
    }
    case 'a': {
      const word = parseIPv4(text)
      if (word === null) throw invalidArgument(`${text} is no IPv4 address`)
      return Address.v4(word)
    }
    case 'aaaa': {
      const address = text.includes(':') ? parseAddress(text) : null
      if (address === null) throw invalidArgument(`${text} is no IPv6 address`)
      return address
    }
    case 'name':
    case 'plainName':
      return nameOf(text, origin)
    case 'text':
    case 'tag':
      return stringOf(text)
    case 'texts':
      return words.map((w) => stringOf(w.text))
    case 'quoted':
      return bytesOf(text)
    case 'hex':
      return hexOf(words)
    case 'params':
      return words.map((w) => paramOf(w.text)).sort((a, b) => a.key - b.key)
    case 'types':
      return words.map((w) => typeOf(w.text))
  }
}

function typeOf(text: string): TypeName {
  const code = typeCode(text.toUpperCase())
  if (code === null) throw invalidArgument(`${text} is no type`)
  return typeName(code)
}

function numberOf(text: string, most: number): number {
  const n = /^\d{1,10}$/.test(text) ? Number(text) : -1
  if (n < 0 || n > most) throw invalidArgument(`${text} is no number from 0 to ${most}`)
  return n
}

function stringOf(text: string): Uint8Array {
  const bytes = bytesOf(text)
  if (bytes.length > MAX_STRING) throw invalidArgument(`a string has at most ${MAX_STRING} bytes`)
  return bytes
}

function hexOf(words: readonly DataWord[]): Uint8Array {
  const digits = words.map((w) => w.text).join('')
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw invalidArgument(`${digits} is no hexadecimal`)
  return Uint8Array.from(digits.match(/../g) ?? [], (two) => Number.parseInt(two, 16))
}

function paramOf(text: string): SvcParam {
  const equals = text.indexOf('=')
  const name = equals < 0 ? text : text.slice(0, equals)
  const key = keyCode(name)
  if (key === null) throw invalidArgument(`${name} is no SvcParamKey`)
  return { key, value: equals < 0 ? new Uint8Array(0) : paramValue(keyName(key), text.slice(equals + 1)) }
}

/** RFC 9460 section 7: what the values of the keys look like. */
function paramValue(name: string, text: string): Uint8Array {
  const parts = (): string[] => (text === '' ? [] : text.split(','))
  switch (name) {
    case 'port': {
      const out = new Uint8Array(2)
      put16(out, 0, numberOf(text, 0xffff))
      return out
    }
    case 'mandatory': {
      const keys = parts().map((part) => keyCode(part) ?? -1)
      if (keys.includes(-1)) throw invalidArgument(`${text}: not all of these are SvcParamKeys`)
      return Uint8Array.from(keys.sort((a, b) => a - b).flatMap((key) => [key >> 8, key & 255]))
    }
    case 'ipv4hint':
      return joined(parts().map((part) => addressBytes(part, 4)))
    case 'ipv6hint':
      return joined(parts().map((part) => addressBytes(part, 6)))
    case 'alpn':
      return joined(listOf(bytesOf(text)).map((one) => Uint8Array.of(one.length, ...one)))
    default:
      return bytesOf(text)
  }
}

function addressBytes(text: string, family: 4 | 6): Uint8Array {
  const address = parseAddress(text)
  if (address === null || (family === 4) !== address.isV4) throw invalidArgument(`${text} is no address of IPv${family}`)
  const bytes = new Uint8Array(16)
  address.write(bytes, 0)
  return family === 4 ? bytes.slice(12) : bytes
}

/** RFC 9460 appendix A.1: a list with commas, in which a backslash says that a comma or a backslash is meant. */
function listOf(bytes: Uint8Array): Uint8Array[] {
  const out: number[][] = [[]]
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] === COMMA) out.push([])
    else out[out.length - 1].push(bytes[i] === BACKSLASH && i + 1 < bytes.length ? bytes[++i] : bytes[i])
  }
  return out.map((one) => Uint8Array.from(one))
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
