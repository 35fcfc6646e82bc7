/**
 * A DHCP message as an object: read from bytes that anybody may have sent, and written.
 *
 * Theory of operation. Options are kept as bytes by code until somebody asks for one by name. The same code again continues the
 * value (RFC 3396 section 5); the fields `file` and `sname` hold options too where option 52 says so (RFC 2131 section 4.1), behind
 * those of the options field, `file` first. Reading stops in a field where an option would end beyond it, and counts that; everything
 * is bounded by the length of the message.
 */
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { OPTIONS, type OptionName, type OptionValue, type OptionValues, optionCode, optionName } from './options.ts'
import { readText, readValue, writeValue } from './values.ts'
import { DHCP, DHCP_HEADER, DHCP_MAGIC, DHCP_OPT_END, DHCP_OPT_PAD } from './wire.ts'

export const BOOTREQUEST = 1
export const BOOTREPLY = 2
export const HARDWARE_ETHERNET = 1

/** Message types (RFC 2132 section 9.6). */
export const DISCOVER = 1
export const OFFER = 2
export const REQUEST = 3
export const DECLINE = 4
export const ACK = 5
export const NAK = 6
export const RELEASE = 7
export const INFORM = 8

/** RFC 2131 section 2: what everybody must be able to take, as a DHCP message: 576 bytes less IP and UDP. */
export const MIN_MESSAGE = 548
/** RFC 1542 section 2.1: BOOTP messages have 300 bytes, and some relays drop shorter ones. */
const PADDED = 300

const FLAG_BROADCAST = 0x8000
const SNAME_LENGTH = 64
const FILE_LENGTH = 128
const CHADDR_LENGTH = 16
const OVERLOAD_FILE = 1
const OVERLOAD_SNAME = 2

export class DhcpMessage {
  op = BOOTREQUEST
  hops = 0
  xid = 0
  secs = 0
  broadcast = false
  /** IPv4 words. */
  ciaddr = 0
  yiaddr = 0
  siaddr = 0
  giaddr = 0
  hardwareType = HARDWARE_ETHERNET
  /** As long as the message says, at most 16. */
  chaddr: Uint8Array = new Uint8Array(0)
  /** Empty where there are options in their place. */
  sname = ''
  file = ''
  /** Values by code, those in several pieces put together. */
  readonly options = new Map<number, Uint8Array>()
  /** Fields whose options ended before their end. */
  malformed = 0

  get type(): number {
    return this.get('messageType') ?? 0
  }

  /** The value of an option; undefined: it is not there, or is not what it should be. */
  get<N extends OptionName>(name: N): OptionValue<N> | undefined {
    const bytes = this.options.get(OPTIONS[name].code)
    return bytes === undefined ? undefined : (readValue(name, bytes) ?? undefined)
  }

  has(name: OptionName): boolean {
    return this.options.has(OPTIONS[name].code)
  }

  /** Throws ERR_INVALID_ARG_VALUE for what the option cannot say. */
  set<N extends OptionName>(name: N, value: OptionValue<N>): this {
    this.options.set(OPTIONS[name].code, writeValue(name, value))
    return this
  }

  /** All options whose values are well formed, as plain data. */
  values(): OptionValues {
    const out: Record<string, unknown> = {}
    for (const [code, bytes] of this.options) {
      const name = optionName(code)
      if (name === undefined) out[code] = bytes.slice()
      else {
        const value = readValue(name, bytes)
        if (value !== null) out[name] = value
      }
    }
    return out as OptionValues
  }
}

/** Options as plain data, as bytes by code. Throws ERR_INVALID_ARG_VALUE. */
export function optionBytes(values: OptionValues): Map<number, Uint8Array> {
  const out = new Map<number, Uint8Array>()
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const code = optionCode(name)
    if (code < 0) throw invalidArgument(`there is no DHCP option ${name}`)
    const known = optionName(code)
    if (known !== undefined && !(value instanceof Uint8Array))
      out.set(code, writeValue(known, value as OptionValue<typeof known>))
    else if (value instanceof Uint8Array) out.set(code, value.slice())
    else throw invalidArgument(`DHCP option ${code} has bytes as value`)
  }
  return out
}

/** The message at `buf[start, end)`; null for what is none. Never throws. */
export function readMessage(buf: Uint8Array, start: number, end: number): DhcpMessage | null {
  if (end - start < DHCP_HEADER || end > buf.length) return null
  const op = buf[start + DHCP.op]
  const hardwareLength = buf[start + DHCP.hardwareLength]
  if ((op !== BOOTREQUEST && op !== BOOTREPLY) || hardwareLength > CHADDR_LENGTH || get32(buf, start + DHCP.magic) !== DHCP_MAGIC)
    return null
  const m = new DhcpMessage()
  m.op = op
  m.hardwareType = buf[start + DHCP.hardwareType]
  m.hops = buf[start + DHCP.hops]
  m.xid = get32(buf, start + DHCP.transactionId)
  m.secs = get16(buf, start + DHCP.seconds)
  m.broadcast = (get16(buf, start + DHCP.flags) & FLAG_BROADCAST) !== 0
  m.ciaddr = get32(buf, start + DHCP.clientAddress)
  m.yiaddr = get32(buf, start + DHCP.yourAddress)
  m.siaddr = get32(buf, start + DHCP.serverAddress)
  m.giaddr = get32(buf, start + DHCP.relayAddress)
  m.chaddr = buf.slice(start + DHCP.clientHardware, start + DHCP.clientHardware + hardwareLength)
  const pieces = new Map<number, Uint8Array[]>()
  readField(m, pieces, buf, start + DHCP_HEADER, end)
  const overload = pieces.get(OPTIONS.overload.code)?.[0]?.[0] ?? 0
  const file = start + DHCP.file
  const sname = start + DHCP.serverName
  if ((overload & OVERLOAD_FILE) !== 0) readField(m, pieces, buf, file, file + FILE_LENGTH)
  else m.file = fieldText(buf, file, FILE_LENGTH)
  if ((overload & OVERLOAD_SNAME) !== 0) readField(m, pieces, buf, sname, sname + SNAME_LENGTH)
  else m.sname = fieldText(buf, sname, SNAME_LENGTH)
  for (const [code, list] of pieces) m.options.set(code, list.length === 1 ? list[0] : joined(list))
  return m
}

/**
 * Writes a message of at most `limit` bytes at `buf[at]`; returns its length. Options stand in the order of the map, message type
 * first and relay agent information last (RFC 3046 section 2.2). Those that do not fit go to `file` and `sname` where these are free; what
 * does not fit there either is left out, its code put into `leftOut`.
 */
export function writeMessage(m: DhcpMessage, buf: Uint8Array, at: number, limit: number, leftOut: number[] = []): number {
  buf.fill(0, at, at + Math.max(DHCP_HEADER, Math.min(limit, PADDED)))
  buf[at + DHCP.op] = m.op
  buf[at + DHCP.hardwareType] = m.hardwareType
  buf[at + DHCP.hardwareLength] = m.chaddr.length
  buf[at + DHCP.hops] = m.hops
  put32(buf, at + DHCP.transactionId, m.xid)
  put16(buf, at + DHCP.seconds, m.secs)
  put16(buf, at + DHCP.flags, m.broadcast ? FLAG_BROADCAST : 0)
  put32(buf, at + DHCP.clientAddress, m.ciaddr)
  put32(buf, at + DHCP.yourAddress, m.yiaddr)
  put32(buf, at + DHCP.serverAddress, m.siaddr)
  put32(buf, at + DHCP.relayAddress, m.giaddr)
  buf.set(m.chaddr.subarray(0, CHADDR_LENGTH), at + DHCP.clientHardware)
  writeField(buf, at + DHCP.serverName, m.sname, SNAME_LENGTH)
  writeField(buf, at + DHCP.file, m.file, FILE_LENGTH)
  put32(buf, at + DHCP.magic, DHCP_MAGIC)

  const list = ordered(m.options)
  const total = list.reduce((sum, [, bytes]) => sum + encodedLength(bytes), 0)
  const isWhole = DHCP_HEADER + total + 1 <= limit
  const main = { at: at + DHCP_HEADER, end: at + limit - 1 - (isWhole ? 0 : 3) }
  const places = [main]
  const extra: { at: number; end: number; bit: number }[] = []
  if (!isWhole) {
    const file = at + DHCP.file
    const sname = at + DHCP.serverName
    if (m.file === '') extra.push({ at: file, end: file + FILE_LENGTH - 1, bit: OVERLOAD_FILE })
    if (m.sname === '') extra.push({ at: sname, end: sname + SNAME_LENGTH - 1, bit: OVERLOAD_SNAME })
    places.push(...extra)
  }
  for (const [code, bytes] of list) {
    const place = places.find((p) => p.at + encodedLength(bytes) <= p.end)
    if (place === undefined) leftOut.push(code)
    else place.at = writeOption(buf, place.at, code, bytes)
  }
  let overload = 0
  for (const { at: written, bit } of extra) {
    const begin = bit === OVERLOAD_FILE ? at + DHCP.file : at + DHCP.serverName
    if (written === begin) continue
    overload |= bit
    buf[written] = DHCP_OPT_END
  }
  if (overload !== 0) main.at = writeOption(buf, main.at, OPTIONS.overload.code, Uint8Array.of(overload))
  buf[main.at++] = DHCP_OPT_END
  return Math.min(limit, Math.max(PADDED, main.at - at))
}

function readField(m: DhcpMessage, pieces: Map<number, Uint8Array[]>, buf: Uint8Array, from: number, end: number): void {
  for (let i = from; i < end; ) {
    const code = buf[i]
    if (code === DHCP_OPT_END) return
    if (code === DHCP_OPT_PAD) {
      i++
      continue
    }
    if (i + 1 >= end || i + 2 + buf[i + 1] > end) {
      m.malformed++
      return
    }
    const bytes = buf.slice(i + 2, i + 2 + buf[i + 1])
    const known = pieces.get(code)
    if (known === undefined) pieces.set(code, [bytes])
    else known.push(bytes)
    i += 2 + bytes.length
  }
  // The end option is mandatory (RFC 2131 section 4.1), and those who forget it are understood.
}

/** One behind the other. */
export function joined(list: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(list.reduce((sum, b) => sum + b.length, 0))
  let at = 0
  for (const b of list) {
    out.set(b, at)
    at += b.length
  }
  return out
}

function fieldText(buf: Uint8Array, at: number, length: number): string {
  let end = at
  while (end < at + length && buf[end] !== 0) end++
  return readText(buf.slice(at, end)) ?? ''
}

function writeField(buf: Uint8Array, at: number, text: string, length: number): void {
  for (let i = 0; i < text.length && i < length - 1; i++) buf[at + i] = text.charCodeAt(i)
}

function ordered(options: ReadonlyMap<number, Uint8Array>): [number, Uint8Array][] {
  const rank = (code: number): number =>
    code === OPTIONS.messageType.code ? 0 : code === OPTIONS.relayAgentInformation.code ? 2 : 1
  return [...options].sort(([a], [b]) => rank(a) - rank(b))
}

/** Bytes of an option on the wire: what is longer than 255 is cut into pieces (RFC 3396 section 6). */
function encodedLength(bytes: Uint8Array): number {
  return bytes.length + 2 * Math.max(1, Math.ceil(bytes.length / 255))
}

function writeOption(buf: Uint8Array, to: number, code: number, bytes: Uint8Array): number {
  let at = to
  let from = 0
  do {
    const length = Math.min(255, bytes.length - from)
    buf[at] = code
    buf[at + 1] = length
    buf.set(bytes.subarray(from, from + length), at + 2)
    at += 2 + length
    from += length
  } while (from < bytes.length)
  return at
}
