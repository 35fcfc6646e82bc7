/**
 * Resource records: every type that is known is declared once, as a list of its fields; reading, writing and showing it all follow from that. A type
 * that is not known is its bytes, `TYPE731` (RFC 3597).
 *
 * Fields of a record have the names that its RFC gives them, in camel case.
 */
import { Address } from '../base/address.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** SVCB and HTTPS (RFC 9460 section 2.2). */
export interface SvcParam {
  key: number
  value: Uint8Array
}

/** What each type holds. */
export interface RecordFields {
  A: { address: Address }
  NS: { nsdname: string }
  CNAME: { cname: string }
  SOA: { mname: string; rname: string; serial: number; refresh: number; retry: number; expire: number; minimum: number }
  PTR: { ptrdname: string }
  MX: { preference: number; exchange: string }
  TXT: { strings: Uint8Array[] }
  AAAA: { address: Address }
  SRV: { priority: number; weight: number; port: number; target: string }
  NAPTR: {
    order: number
    preference: number
    flags: Uint8Array
    services: Uint8Array
    regexp: Uint8Array
    replacement: string
  }
  DNAME: { target: string }
  TLSA: { usage: number; selector: number; matchingType: number; data: Uint8Array }
  SVCB: { priority: number; target: string; params: SvcParam[] }
  HTTPS: { priority: number; target: string; params: SvcParam[] }
  CAA: { flags: number; tag: Uint8Array; value: Uint8Array }
  NSEC: { next: string; types: TypeName[] }
}

export type KnownType = keyof RecordFields
/** Type of a record or of a question: a name of the list below, `ANY`, `OPT`, or `TYPE` and a number. */
export type TypeName = string

/**
 * Kinds of fields. `name` may be compressed (the types of RFC 1035 alone), `plainName` is not; `text` is a <character-string>, `texts` as many as
 * there are, `tag` the same as `text` without quotes when shown, `hex` and `quoted` are the bytes up to the end, `types` a bitmap of types.
 */
export type Kind =
  | 'u8'
  | 'u16'
  | 'u32'
  | 'a'
  | 'aaaa'
  | 'name'
  | 'plainName'
  | 'text'
  | 'texts'
  | 'tag'
  | 'hex'
  | 'quoted'
  | 'params'
  | 'types'

interface Declaration<F> {
  readonly code: number
  readonly fields: readonly (readonly [keyof F & string, Kind])[]
}

const SERVICE = [
  ['priority', 'u16'],
  ['target', 'plainName'],
  ['params', 'params'],
] as const

export const TYPES: { readonly [T in KnownType]: Declaration<RecordFields[T]> } = {
  A: { code: 1, fields: [['address', 'a']] },
  NS: { code: 2, fields: [['nsdname', 'name']] },
  CNAME: { code: 5, fields: [['cname', 'name']] },
  SOA: {
    code: 6,
    fields: [
      ['mname', 'name'],
      ['rname', 'name'],
      ['serial', 'u32'],
      ['refresh', 'u32'],
      ['retry', 'u32'],
      ['expire', 'u32'],
      ['minimum', 'u32'],
    ],
  },
  PTR: { code: 12, fields: [['ptrdname', 'name']] },
  MX: {
    code: 15,
    fields: [
      ['preference', 'u16'],
      ['exchange', 'name'],
    ],
  },
  TXT: { code: 16, fields: [['strings', 'texts']] },
  // RFC 3596
  AAAA: { code: 28, fields: [['address', 'aaaa']] },
  // RFC 2782
  SRV: {
    code: 33,
    fields: [
      ['priority', 'u16'],
      ['weight', 'u16'],
      ['port', 'u16'],
      ['target', 'plainName'],
    ],
  },
  // RFC 3403
  NAPTR: {
    code: 35,
    fields: [
      ['order', 'u16'],
      ['preference', 'u16'],
      ['flags', 'text'],
      ['services', 'text'],
      ['regexp', 'text'],
      ['replacement', 'plainName'],
    ],
  },
  // RFC 6672
  DNAME: { code: 39, fields: [['target', 'plainName']] },
  // RFC 4034 section 4
  NSEC: {
    code: 47,
    fields: [
      ['next', 'plainName'],
      ['types', 'types'],
    ],
  },
  // RFC 6698
  TLSA: {
    code: 52,
    fields: [
      ['usage', 'u8'],
      ['selector', 'u8'],
      ['matchingType', 'u8'],
      ['data', 'hex'],
    ],
  },
  // RFC 9460
  SVCB: { code: 64, fields: SERVICE },
  HTTPS: { code: 65, fields: SERVICE },
  // RFC 8659
  CAA: {
    code: 257,
    fields: [
      ['flags', 'u8'],
      ['tag', 'tag'],
      ['value', 'quoted'],
    ],
  },
}

export const TYPE_OPT = 41
const TYPE_ANY = 255
export const CLASS_IN = 1

interface RecordHead {
  name: string
  class: number
  /** Seconds. */
  ttl: number
}

export type KnownRecord = { [T in KnownType]: RecordHead & { type: T; data: RecordFields[T] } }[KnownType]
export interface UnknownRecord extends RecordHead {
  type: `TYPE${number}`
  data: { bytes: Uint8Array }
}
/** A resource record as plain data; its type says what it has. */
export type ResourceRecord = KnownRecord | UnknownRecord

/** Records of one type. */
export type RecordOf<T extends KnownType> = Extract<KnownRecord, { type: T }>

const NAMES = new Map<number, KnownType>(Object.entries(TYPES).map(([name, { code }]) => [code, name as KnownType]))

function declarationOf(type: string): Declaration<never> | undefined {
  return Object.hasOwn(TYPES, type) ? (TYPES[type as KnownType] as unknown as Declaration<never>) : undefined
}

/** The number of a type: `A`, `ANY`, `TYPE731`; null: there is none of that name. */
export function typeCode(type: TypeName): number | null {
  const known = declarationOf(type)
  if (known !== undefined) return known.code
  if (type === 'ANY') return TYPE_ANY
  if (type === 'OPT') return TYPE_OPT
  const number = /^TYPE(\d{1,5})$/.exec(type)
  return number !== null && Number(number[1]) <= 0xffff ? Number(number[1]) : null
}

export function typeName(code: number): TypeName {
  const known = NAMES.get(code)
  if (known !== undefined) return known
  return code === TYPE_ANY ? 'ANY' : code === TYPE_OPT ? 'OPT' : `TYPE${code}`
}

export function isType<T extends KnownType>(record: ResourceRecord, type: T): record is RecordOf<T> {
  return record.type === type
}

/** The data of a record that ends where the reader does. Null when it does not fit its type: the reader says why. */
export function readData(reader: Reader, type: TypeName): ResourceRecord['data'] | null {
  const known = declarationOf(type)
  if (known === undefined) return { bytes: reader.bytes(reader.left) }
  const data: Record<string, unknown> = {}
  for (const [field, kind] of known.fields) data[field] = readField(reader, kind)
  if (reader.left > 0) reader.fail('rdata')
  return reader.bad === '' ? (data as unknown as ResourceRecord['data']) : null
}

function readField(reader: Reader, kind: Kind): unknown {
  switch (kind) {
    case 'u8':
      return reader.u8()
    case 'u16':
      return reader.u16()
    case 'u32':
      return reader.u32()
    case 'a':
      return Address.v4(reader.u32() | 0)
    case 'aaaa':
      return new Address(reader.u32() | 0, reader.u32() | 0, reader.u32() | 0, reader.u32() | 0)
    case 'name':
    case 'plainName':
      return reader.name()
    case 'text':
    case 'tag':
      return reader.string()
    case 'hex':
    case 'quoted':
      return reader.bytes(reader.left)
    case 'texts': {
      const texts: Uint8Array[] = []
      do texts.push(reader.string())
      while (reader.left > 0) // RFC 1035 section 3.3.14: one or more
      return texts
    }
    case 'params':
      return readParams(reader)
    case 'types':
      return readTypes(reader)
  }
}

function readParams(reader: Reader): SvcParam[] {
  const params: SvcParam[] = []
  let last = -1
  while (reader.left > 0) {
    const key = reader.u16()
    const value = reader.bytes(reader.u16())
    // RFC 9460 section 2.2: in strictly increasing order, else the record is malformed.
    if (key <= last) reader.fail('rdata')
    last = key
    params.push({ key, value })
  }
  return params
}

/** Windows of 256 types, each with up to 32 bytes of bits, in increasing order (RFC 4034 section 4.1.2). */
function readTypes(reader: Reader): TypeName[] {
  const types: TypeName[] = []
  let last = -1
  while (reader.left > 0) {
    const window = reader.u8()
    const bits = reader.bytes(reader.u8())
    if (window <= last || bits.length === 0 || bits.length > 32) reader.fail('rdata')
    last = window
    for (let i = 0; i < bits.length * 8; i++) if ((bits[i >> 3] << (i & 7)) & 0x80) types.push(typeName((window << 8) | i))
  }
  return types
}

function writeTypes(writer: Writer, types: readonly TypeName[]): void {
  const codes = types.map((type) => typeCode(type) ?? 0).sort((a, b) => a - b)
  for (let i = 0; i < codes.length; ) {
    const window = codes[i] >> 8
    const bits = new Uint8Array(32)
    let length = 0
    for (; i < codes.length && codes[i] >> 8 === window; i++) {
      const low = codes[i] & 255
      bits[low >> 3] |= 0x80 >> (low & 7)
      length = (low >> 3) + 1
    }
    writer.u8(window)
    writer.u8(length)
    writer.bytes(bits.subarray(0, length))
  }
}

/** Throws NetError EBADNAME, EBADSTR, EMSGSIZE. */
export function writeData(writer: Writer, record: ResourceRecord): void {
  const known = declarationOf(record.type)
  if (known === undefined) {
    writer.bytes((record as UnknownRecord).data.bytes)
    return
  }
  const data = record.data as unknown as Record<string, unknown>
  for (const [field, kind] of known.fields) writeField(writer, kind, data[field])
}

function writeField(writer: Writer, kind: Kind, value: unknown): void {
  switch (kind) {
    case 'u8':
      writer.u8(value as number)
      return
    case 'u16':
      writer.u16(value as number)
      return
    case 'u32':
      writer.u32(value as number)
      return
    case 'a':
      writer.u32((value as Address).w3)
      return
    case 'aaaa':
      writer.address(value as Address)
      return
    case 'name':
    case 'plainName':
      writer.name(value as string, kind === 'name')
      return
    case 'text':
    case 'tag':
      writer.string(value as Uint8Array)
      return
    case 'hex':
    case 'quoted':
      writer.bytes(value as Uint8Array)
      return
    case 'texts':
      for (const one of value as Uint8Array[]) writer.string(one)
      return
    case 'params':
      for (const one of value as SvcParam[]) {
        writer.u16(one.key)
        writer.u16(one.value.length)
        writer.bytes(one.value)
      }
      return
    case 'types':
      writeTypes(writer, value as TypeName[])
  }
}

/** The fields of a type with their kinds; null: the type is not known. */
export function fieldKinds(type: TypeName): readonly (readonly [field: string, kind: Kind])[] | null {
  return declarationOf(type)?.fields ?? null
}

/** Every field of a record with its kind, for those who show it; null: the type is not known. */
export function fieldsOf(record: ResourceRecord): [kind: Kind, value: unknown][] | null {
  const known = declarationOf(record.type)
  if (known === undefined) return null
  const data = record.data as unknown as Record<string, unknown>
  return known.fields.map(([field, kind]) => [kind, data[field]])
}
