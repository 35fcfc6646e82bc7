/**
 * Messages of DNS (RFC 1035 section 4) with EDNS(0) (RFC 6891), as plain objects. Reading throws nothing: what is malformed anywhere is malformed as
 * a whole, and says why; but a message that was cut short and says so (TC) is read as far as it goes.
 */
import { put16 } from '../base/bytes.ts'
import { NetError } from '../base/errors.ts'
import { sameName } from './names.ts'
import { type BadReason, Reader } from './reader.ts'
import { CLASS_IN, type ResourceRecord, readData, TYPE_OPT, type TypeName, typeCode, typeName, writeData } from './records.ts'
import { Writer } from './writer.ts'

/** RFC 1035 section 4.1.1, RFC 6891 section 9. */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const

export const QUERY = 0

export interface Question {
  name: string
  type: TypeName
  class: number
}

export interface EdnsOption {
  code: number
  data: Uint8Array
}

export interface Edns {
  /** The largest answer over UDP that its sender takes, in bytes. */
  udpPayloadBytes: number
  version: number
  /** DNSSEC records are wanted. */
  dnssecOk: boolean
  options: EdnsOption[]
}

/** A DNS message as plain data (RFC 1035 section 4). */
export interface Message {
  id: number
  /** QR: this is an answer. */
  isResponse: boolean
  opcode: number
  authoritative: boolean
  truncated: boolean
  recursionDesired: boolean
  recursionAvailable: boolean
  authenticData: boolean
  checkingDisabled: boolean
  /** With EDNS, of 12 bits. */
  rcode: number
  questions: Question[]
  answers: ResourceRecord[]
  authorities: ResourceRecord[]
  /** Without OPT. */
  additionals: ResourceRecord[]
  edns: Edns | null
}

const QR = 0x8000
const AA = 0x0400
const TC = 0x0200
const RD = 0x0100
const RA = 0x0080
const AD = 0x0020
const CD = 0x0010
/** In the place of an OPT record's TTL. */
const DO = 0x8000

/** A message with nothing in it. */
export function message(given: Partial<Message> = {}): Message {
  return {
    id: 0,
    isResponse: false,
    opcode: QUERY,
    authoritative: false,
    truncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: Rcode.NOERROR,
    questions: [],
    answers: [],
    authorities: [],
    additionals: [],
    edns: null,
    ...given,
  }
}

export type Decoded = { message: Message; reason: '' } | { message: null; reason: BadReason }

/** The message in `buf` from `start` to `end`. */
export function decodeMessage(buf: Uint8Array, start = 0, end = buf.length): Decoded {
  const reader = new Reader(buf, start, end)
  const id = reader.u16()
  const flags = reader.u16()
  const counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()]
  const out = message({
    id,
    isResponse: (flags & QR) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & AA) !== 0,
    truncated: (flags & TC) !== 0,
    recursionDesired: (flags & RD) !== 0,
    recursionAvailable: (flags & RA) !== 0,
    authenticData: (flags & AD) !== 0,
    checkingDisabled: (flags & CD) !== 0,
    rcode: flags & 15,
  })
  for (let i = 0; i < counts[0] && reader.bad === ''; i++) {
    const question = { name: reader.name(), type: typeName(reader.u16()), class: reader.u16() }
    if (reader.bad === '') out.questions.push(question)
  }
  if (reader.bad !== '') return { message: null, reason: reader.bad }
  const sections = [out.answers, out.authorities, out.additionals]
  for (let s = 0; s < 3; s++) {
    for (let i = 0; i < counts[s + 1] && reader.bad === ''; i++) readRecord(reader, out, sections[s], s === 2)
  }
  if (reader.bad === '' && reader.left > 0) reader.fail('counts')
  if (reader.bad !== '' && !(out.truncated && reader.bad === 'short')) return { message: null, reason: reader.bad }
  return { message: out, reason: '' }
}

function readRecord(reader: Reader, out: Message, section: ResourceRecord[], isAdditional: boolean): void {
  const name = reader.name()
  const code = reader.u16()
  const rrclass = reader.u16()
  const ttl = reader.u32()
  const length = reader.u16()
  if (length > reader.left) reader.fail('short')
  if (reader.bad !== '') return
  const { end } = reader
  reader.end = reader.at + length
  if (code === TYPE_OPT) {
    readOpt(reader, out, isAdditional && name === '', rrclass, ttl)
  } else {
    const type = typeName(code)
    const data = readData(reader, type)
    // RFC 2181 section 8: a TTL with its first bit set is one of zero.
    if (data !== null)
      section.push({ name, type, class: rrclass, ttl: ttl > 0x7fffffff ? 0 : ttl, data } as unknown as ResourceRecord)
  }
  // Inside of its length a record ends where it ends: what is missing there is not missing from a message that was cut.
  reader.sealed()
  reader.end = end
}

function readOpt(reader: Reader, out: Message, isPlaced: boolean, payload: number, ttl: number): void {
  // RFC 6891 section 6.1.1: at most one, of the root, in the additional section.
  if (!isPlaced || out.edns !== null) {
    reader.fail('opt')
    return
  }
  const options: EdnsOption[] = []
  while (reader.left > 0) options.push({ code: reader.u16(), data: reader.bytes(reader.u16()) })
  out.rcode |= (ttl >>> 24) << 4
  out.edns = { udpPayloadBytes: payload, version: (ttl >>> 16) & 255, dnssecOk: (ttl & DO) !== 0, options }
}

/** The bytes of a message; `compressAll` as `Writer` has it. Throws NetError EBADNAME, EBADSTR, EMSGSIZE. */
export function encodeMessage(m: Message, compressAll = false): Uint8Array {
  const writer = new Writer(compressAll)
  writeHead(writer, m)
  for (const section of [m.answers, m.authorities, m.additionals]) for (const record of section) writeRecord(writer, record)
  if (m.edns !== null) writeOpt(writer, m.edns, m.rcode)
  return writer.done()
}

/**
 * The same in at most `limit` bytes (512 or more): what does not fit is left out, sets of records only as a whole (RFC 2181 section 9), and TC says so unless it is
 * additional and not one of the `needed` first ones (RFC 9471).
 */
export function encodeWithin(m: Message, limit: number, needed = 0): Uint8Array {
  const writer = new Writer()
  writer.limit = limit - (m.edns === null ? 0 : optLength(m.edns))
  writeHead(writer, m)
  const sections = [m.answers, m.authorities, m.additionals]
  const counts = [0, 0, 0]
  let truncated = m.truncated
  for (let s = 0; s < 3 && !truncated; s++) {
    const records = sections[s]
    for (let from = 0; from < records.length; ) {
      let to = from + 1
      while (to < records.length && records[to].type === records[from].type && sameName(records[to].name, records[from].name))
        to++
      if (writeSet(writer, records, from, to)) counts[s] += to - from
      else if (s < 2 || from < needed) {
        truncated = true
        break
      }
      from = to
    }
  }
  writer.limit = limit
  if (m.edns !== null) writeOpt(writer, m.edns, m.rcode)
  const out = writer.done()
  for (let s = 0; s < 3; s++) put16(out, 6 + 2 * s, counts[s] + (s === 2 && m.edns !== null ? 1 : 0))
  if (truncated) out[2] |= TC >> 8
  return out
}

/** False: there was no room, and nothing of them was written. */
function writeSet(writer: Writer, records: readonly ResourceRecord[], from: number, to: number): boolean {
  const { at } = writer
  try {
    for (let i = from; i < to; i++) writeRecord(writer, records[i])
    return true
  } catch (error) {
    if (!(error instanceof NetError && error.code === 'EMSGSIZE')) throw error
    writer.rewind(at)
    return false
  }
}

/** Header and questions; the counts are those of the whole message. */
function writeHead(writer: Writer, m: Message): void {
  writer.u16(m.id)
  writer.u16(
    (m.isResponse ? QR : 0) |
      (m.opcode << 11) |
      (m.authoritative ? AA : 0) |
      (m.truncated ? TC : 0) |
      (m.recursionDesired ? RD : 0) |
      (m.recursionAvailable ? RA : 0) |
      (m.authenticData ? AD : 0) |
      (m.checkingDisabled ? CD : 0) |
      (m.rcode & 15),
  )
  writer.u16(m.questions.length)
  writer.u16(m.answers.length)
  writer.u16(m.authorities.length)
  writer.u16(m.additionals.length + (m.edns === null ? 0 : 1))
  for (const { name, type, class: qclass } of m.questions) {
    writer.name(name, true)
    writer.u16(typeCode(type) ?? 0)
    writer.u16(qclass)
  }
}

function writeRecord(writer: Writer, record: ResourceRecord): void {
  writer.name(record.name, true)
  writer.u16(typeCode(record.type) ?? 0)
  writer.u16(record.class)
  writer.u32(record.ttl)
  const at = writer.at
  writer.u16(0)
  writeData(writer, record)
  const { buf } = writer
  const length = writer.at - at - 2
  buf[at] = length >> 8
  buf[at + 1] = length
}

/** The root, type, class, TTL and length of an OPT record. */
const OPT_HEAD = 11

function optLength(edns: Edns): number {
  return edns.options.reduce((sum, o) => sum + 4 + o.data.length, OPT_HEAD)
}

function writeOpt(writer: Writer, edns: Edns, rcode: number): void {
  writer.u8(0)
  writer.u16(TYPE_OPT)
  writer.u16(edns.udpPayloadBytes)
  writer.u32(((rcode >> 4) << 24) | (edns.version << 16) | (edns.dnssecOk ? DO : 0))
  writer.u16(optLength(edns) - OPT_HEAD)
  for (const { code, data } of edns.options) {
    writer.u16(code)
    writer.u16(data.length)
    writer.bytes(data)
  }
}

/** The question of a stub: recursion is wanted (RFC 1034 section 5.3.1). */
export function question(id: number, name: string, type: TypeName, udpPayloadBytes: number): Message {
  return message({
    id,
    recursionDesired: true,
    questions: [{ name, type, class: CLASS_IN }],
    edns: udpPayloadBytes === 0 ? null : { udpPayloadBytes, version: 0, dnssecOk: false, options: [] },
  })
}
