/**
 * IPv4 options (RFC 791 section 3.1), parsed once per packet that has any.
 *
 * Theory of operation. `parseOptions` walks the options behind the fixed header, checks every length and pointer, and notes where
 * record route, timestamp and router alert are. It never writes and cannot read outside the header. Source routes are found and
 * named, never followed (RFC 7126 section 4.3). What is malformed comes back as the octet that a parameter problem points to.
 * `reflectOptions` makes the options of an echo reply: record route and timestamp, continued by us (RFC 1122 section 3.2.2.6).
 */
import { get32, put32 } from '../base/bytes.ts'
import {
  IP4_HEADER,
  IP4_OPT_END,
  IP4_OPT_LOOSE_SOURCE_ROUTE,
  IP4_OPT_NOP,
  IP4_OPT_RECORD_ROUTE,
  IP4_OPT_ROUTER_ALERT,
  IP4_OPT_STRICT_SOURCE_ROUTE,
  IP4_OPT_TIMESTAMP,
} from './wire.ts'

export const OptionsVerdict = { OK: 0, SOURCE_ROUTE: 1, MALFORMED: 2 } as const

/** Most bytes that options can take: IHL 15. */
export const MAX_OPTIONS = 40
/** "Copy into every fragment" (RFC 791). */
const COPIED = 0x80

/** Timestamp option flags. */
const TS_ONLY = 0
const TS_AND_ADDRESS = 1
const TS_PRESPECIFIED = 3

/** What parsing found; one reused record. Offsets count from the first octet of the IP header; 0 = not there. */
export class IpOptions {
  recordRoute = 0
  timestamp = 0
  routerAlert = false
  /** Octet of the header at fault when MALFORMED; the option when SOURCE_ROUTE. */
  pointer = 0
}

/** Parses the options of the header at `buf[start, start + headerBytes)`. Returns an OptionsVerdict. */
export function parseOptions(buf: Uint8Array, start: number, headerBytes: number, found: IpOptions): number {
  found.recordRoute = 0
  found.timestamp = 0
  found.routerAlert = false
  found.pointer = 0
  let sourceRoute = 0
  let at = IP4_HEADER
  while (at < headerBytes) {
    const kind = buf[start + at]
    if (kind === IP4_OPT_END) break
    if (kind === IP4_OPT_NOP) {
      at++
      continue
    }
    const length = at + 1 < headerBytes ? buf[start + at + 1] : 0
    if (length < 2 || at + length > headerBytes) {
      found.pointer = at + 1 < headerBytes ? at + 1 : at
      return OptionsVerdict.MALFORMED
    }
    let fault = -1
    if (kind === IP4_OPT_RECORD_ROUTE) {
      fault = found.recordRoute !== 0 ? 0 : routeFault(buf, start + at, length)
      found.recordRoute = at
    } else if (kind === IP4_OPT_TIMESTAMP) {
      fault = found.timestamp !== 0 ? 0 : timestampFault(buf, start + at, length)
      found.timestamp = at
    } else if (kind === IP4_OPT_LOOSE_SOURCE_ROUTE || kind === IP4_OPT_STRICT_SOURCE_ROUTE) {
      // RFC 1122 section 3.2.1.8 (c): two of them in one header are an error of their own.
      fault = sourceRoute !== 0 ? 0 : routeFault(buf, start + at, length)
      sourceRoute = at
    } else if (kind === IP4_OPT_ROUTER_ALERT) {
      // RFC 2113: four octets, value zero; anything else means nothing to us.
      found.routerAlert = length === 4
    }
    if (fault >= 0) {
      found.pointer = at + fault
      return OptionsVerdict.MALFORMED
    }
    at += length
  }
  if (sourceRoute === 0) return OptionsVerdict.OK
  found.pointer = sourceRoute
  return OptionsVerdict.SOURCE_ROUTE
}

/** Record route or source route: pointer from 4, and an address fits where it points unless it is past the end. -1: fine. */
function routeFault(buf: Uint8Array, at: number, length: number): number {
  if (length < 3) return 1
  const pointer = buf[at + 2]
  return pointer < 4 || (pointer <= length && pointer + 3 > length) ? 2 : -1
}

/** Timestamp: pointer from 5, a known flag, whole entries, and an overflow counter that can still count. -1: fine. */
function timestampFault(buf: Uint8Array, at: number, length: number): number {
  if (length < 4) return 1
  const pointer = buf[at + 2]
  if (pointer < 5) return 2
  const flags = buf[at + 3] & 15
  if (flags !== TS_ONLY && flags !== TS_AND_ADDRESS && flags !== TS_PRESPECIFIED) return 3
  if (pointer > length) return buf[at + 3] >> 4 === 15 ? 3 : -1
  return pointer + (flags === TS_ONLY ? 3 : 7) > length ? 2 : -1
}

/**
 * Writes into `out` the options with which an echo or timestamp request is answered: record route and timestamp of the request
 * whose header begins at `start`, with our own address and time entered, padded to a multiple of four. Returns their length.
 * `address`: ours, int32. `time`: milliseconds, as RFC 791 wants them (high bit set: not since midnight UT).
 */
export function reflectOptions(
  buf: Uint8Array,
  start: number,
  found: IpOptions,
  address: number,
  time: number,
  out: Uint8Array,
): number {
  let length = 0
  if (found.recordRoute !== 0) length = copyOption(buf, start + found.recordRoute, out, length)
  if (length !== 0) recordRoute(out, 0, address)
  const timestamp = length
  if (found.timestamp !== 0) {
    length = copyOption(buf, start + found.timestamp, out, length)
    stamp(out, timestamp, address, time)
  }
  while ((length & 3) !== 0) out[length++] = IP4_OPT_END
  return length
}

function recordRoute(out: Uint8Array, at: number, address: number): void {
  const pointer = out[at + 2]
  if (pointer > out[at + 1]) return // full: passed on as it is
  put32(out, at + pointer - 1, address)
  out[at + 2] = pointer + 4
}

function stamp(out: Uint8Array, at: number, address: number, time: number): void {
  const pointer = out[at + 2]
  const flags = out[at + 3] & 15
  if (pointer > out[at + 1]) {
    out[at + 3] += 0x10 // one more that had no room; parsing made sure that it does not wrap
  } else if (flags === TS_ONLY) {
    put32(out, at + pointer - 1, time)
    out[at + 2] = pointer + 4
  } else if (flags === TS_AND_ADDRESS || get32(out, at + pointer - 1) === address) {
    put32(out, at + pointer - 1, address)
    put32(out, at + pointer + 3, time)
    out[at + 2] = pointer + 8
  }
}

/**
 * Enters our address and time into the record route and timestamp options of a packet that we send on (RFC 1812 sections 5.3.13.5 and
 * 5.3.13.6), in place. The header checksum is the caller's. False: nothing was to be done.
 */
export function continueOptions(buf: Uint8Array, start: number, found: IpOptions, address: number, time: number): boolean {
  if (found.recordRoute !== 0) recordRoute(buf, start + found.recordRoute, address)
  if (found.timestamp !== 0) stamp(buf, start + found.timestamp, address, time)
  return found.recordRoute !== 0 || found.timestamp !== 0
}

/** The options that go into fragments after the first (RFC 791: those with the copied flag), padded. Returns their length. */
export function copiedOptions(options: Uint8Array, optionsLength: number, out: Uint8Array): number {
  let length = 0
  let at = 0
  while (at < optionsLength && options[at] !== IP4_OPT_END) {
    if (options[at] === IP4_OPT_NOP) {
      at++
      continue
    }
    if ((options[at] & COPIED) !== 0) length = copyOption(options, at, out, length)
    at += options[at + 1]
  }
  while ((length & 3) !== 0) out[length++] = IP4_OPT_END
  return length
}

function copyOption(from: Uint8Array, at: number, out: Uint8Array, to: number): number {
  const length = from[at + 1]
  for (let i = 0; i < length; i++) out[to + i] = from[at + i]
  return to + length
}
