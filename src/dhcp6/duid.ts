/**
 * DHCP unique identifiers (RFC 8415 section 11, RFC 6355): who a client or a server is. To everybody else a DUID is a row of bytes that is the
 * same or not; its kinds matter to who makes one, and to who reads a list of leases.
 */
import { get16, get32, hex, put16, put32 } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'

export const DUID_LLT = 1
export const DUID_EN = 2
export const DUID_LL = 3
export const DUID_UUID = 4

/** Section 11.1: the type, and from 1 to 128 bytes. */
const MIN_DUID = 3
const MAX_DUID = 130
/** Midnight of 1 January 2000, UTC, in seconds since 1970 (section 11.2). */
const EPOCH_2000 = 946_684_800
/** Ethernet (IANA hardware types). */
const ETHERNET = 1
const UUID_LENGTH = 16

/** What a DUID says of itself. */
export type Duid =
  /** A link address and a time, in seconds since 1970. */
  | { kind: 'LLT'; hardware: number; time: number; address: Uint8Array }
  /** What a vendor gave. */
  | { kind: 'EN'; enterprise: number; id: Uint8Array }
  /** A link address. */
  | { kind: 'LL'; hardware: number; address: Uint8Array }
  | { kind: 'UUID'; uuid: Uint8Array }
  /** Of a kind that is not known, or that is not what its kind should be. */
  | { kind: 'other'; type: number; data: Uint8Array }

/** Throws ERR_INVALID_ARG_VALUE for what no DUID can say. */
export function makeDuid(duid: Duid): Uint8Array {
  const bytes = encode(duid)
  if (!isDuid(bytes)) throw invalidArgument(`a DUID has from ${MIN_DUID} to ${MAX_DUID} bytes, not ${bytes.length}`)
  return bytes
}

/** DUID-LLT of an Ethernet address; `time` in seconds since 1970. */
export function duidLlt(mac: Uint8Array, time: number): Uint8Array {
  return makeDuid({ kind: 'LLT', hardware: ETHERNET, time, address: mac })
}

/** DUID-LL of an Ethernet address. */
export function duidLl(mac: Uint8Array): Uint8Array {
  return makeDuid({ kind: 'LL', hardware: ETHERNET, address: mac })
}

/** Whether bytes from anywhere can be a DUID. */
export function isDuid(bytes: Uint8Array): boolean {
  return bytes.length >= MIN_DUID && bytes.length <= MAX_DUID
}

/** Null: it has the length of none. */
export function readDuid(bytes: Uint8Array): Duid | null {
  if (!isDuid(bytes)) return null
  const type = get16(bytes, 0)
  if (type === DUID_LLT && bytes.length >= 8) {
    const time = (get32(bytes, 4) >>> 0) + EPOCH_2000
    return { kind: 'LLT', hardware: get16(bytes, 2), time, address: bytes.slice(8) }
  }
  if (type === DUID_EN && bytes.length >= 6) return { kind: 'EN', enterprise: get32(bytes, 2) >>> 0, id: bytes.slice(6) }
  if (type === DUID_LL && bytes.length >= 4) return { kind: 'LL', hardware: get16(bytes, 2), address: bytes.slice(4) }
  if (type === DUID_UUID && bytes.length === 2 + UUID_LENGTH) return { kind: 'UUID', uuid: bytes.slice(2) }
  return { kind: 'other', type, data: bytes.slice(2) }
}

/** The Ethernet address in a DUID, or null: servers know clients by it where there is one. */
export function macOfDuid(bytes: Uint8Array): Uint8Array | null {
  const duid = readDuid(bytes)
  if (duid === null || (duid.kind !== 'LL' && duid.kind !== 'LLT')) return null
  return duid.hardware === ETHERNET && duid.address.length === 6 ? duid.address : null
}

/** `00:03:00:01:02:00:00:00:00:05` */
export function formatDuid(bytes: Uint8Array): string {
  return hex(bytes, 0, bytes.length, ':')
}

/** The bytes of such a text, colons or none; null: it is none. */
export function parseDuid(text: string): Uint8Array | null {
  const digits = /^[0-9a-f]{2}(:[0-9a-f]{2})*$/i.test(text) ? text.replaceAll(':', '') : text
  if (!/^([0-9a-f]{2})+$/i.test(digits)) return null
  const bytes = Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
  return isDuid(bytes) ? bytes : null
}

/** In words: `LL ethernet 02:00:00:00:00:05`. */
export function describeDuid(bytes: Uint8Array): string {
  const duid = readDuid(bytes)
  const link = (hardware: number): string => (hardware === ETHERNET ? 'ethernet' : `hardware ${hardware}`)
  switch (duid?.kind) {
    case 'LLT': {
      const time = new Date(duid.time * 1000).toISOString().slice(0, 19)
      return `LLT ${link(duid.hardware)} ${formatDuid(duid.address)} since ${time}Z`
    }
    case 'LL':
      return `LL ${link(duid.hardware)} ${formatDuid(duid.address)}`
    case 'EN':
      return `EN ${duid.enterprise} ${formatDuid(duid.id)}`
    case 'UUID':
      return `UUID ${uuidText(duid.uuid)}`
    case 'other':
      return `type ${duid.type} ${formatDuid(duid.data)}`
    default:
      return 'no DUID'
  }
}

function encode(duid: Duid): Uint8Array {
  switch (duid.kind) {
    case 'LLT': {
      const out = headed(DUID_LLT, 6, duid.address)
      put16(out, 2, duid.hardware)
      put32(out, 4, (duid.time - EPOCH_2000) | 0) // modulo 2^32 (section 11.2)
      return out
    }
    case 'EN': {
      const out = headed(DUID_EN, 4, duid.id)
      put32(out, 2, duid.enterprise)
      return out
    }
    case 'LL': {
      const out = headed(DUID_LL, 2, duid.address)
      put16(out, 2, duid.hardware)
      return out
    }
    case 'UUID':
      if (duid.uuid.length !== UUID_LENGTH) throw invalidArgument(`a UUID has ${UUID_LENGTH} bytes, not ${duid.uuid.length}`)
      return headed(DUID_UUID, 0, duid.uuid)
    case 'other':
      return headed(duid.type, 0, duid.data)
  }
}

/** The type, `gap` bytes, `rest`. */
function headed(type: number, gap: number, rest: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + gap + rest.length)
  put16(out, 0, type)
  out.set(rest, 2 + gap)
  return out
}

/** RFC 9562 section 4. */
function uuidText(uuid: Uint8Array): string {
  return [hex(uuid, 0, 4), hex(uuid, 4, 2), hex(uuid, 6, 2), hex(uuid, 8, 2), hex(uuid, 10, 6)].join('-')
}
