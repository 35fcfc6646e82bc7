/** The AccECN option on its way out (RFC 9768 section 3.2.3): kind 174, counters of 24 bits, as many as are worth their bytes. */
import { ACCECN_COUNTER, OPT_ACCECN1 } from './wire.ts'

/** EE0B and EE1B begin at 1, ECEB at 0 (section 3.2.1): an option wiped to zeros shows. */
export const ECT_OFFSET = 1

/** Bytes of an option with `fields` counters. */
function optionLength(fields: number): number {
  return 2 + ACCECN_COUNTER * fields
}

/** Bytes of an option with all three. */
export const ACCECN_FULL = optionLength(3)

/** Bytes of this option and of SACK with so many blocks; NOPs between the two align the blocks. */
export function spaceFor(fields: number, blocks: number): number {
  return (optionLength(fields) + (blocks > 0 ? 2 + 8 * blocks : 0) + 3) & ~3
}

/** AccECN1: EE1B, ECEB, EE0B, in this order because ECT(1) and CE are what moves where it matters. Returns where it ends. */
export function writeCounters(buf: Uint8Array, at: number, fields: number, ect1: number, ce: number, ect0: number): number {
  buf[at] = OPT_ACCECN1
  buf[at + 1] = optionLength(fields)
  let o = at + 2
  if (fields > 0) o = put24(buf, o, ect1 + ECT_OFFSET)
  if (fields > 1) o = put24(buf, o, ce)
  if (fields > 2) o = put24(buf, o, ect0 + ECT_OFFSET)
  return o
}

/** The option of a SYN-ACK: nothing has been counted. */
export function writeInitialCounters(buf: Uint8Array, at: number): void {
  writeCounters(buf, at, 3, 0, 0, 0)
}

function put24(buf: Uint8Array, at: number, value: number): number {
  buf[at] = value >> 16
  buf[at + 1] = value >> 8
  buf[at + 2] = value
  return at + ACCECN_COUNTER
}
