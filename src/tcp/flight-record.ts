/** A record of the flight log: integers side by side, and the flags in one of them. What they are for is told in flight.ts and rate.ts. */

/** Integers per record, as a power of two: where a record is costs a shift. */
export const SHIFT = 3
export const STRIDE = 1 << SHIFT
/** The end of the record comes first, and after it: */
export const SENT = 1
export const FLAGS = 2
export const DELIVERED = 3
/** Of a SACKED record, whose delivery is accounted for: how many segments it holds. */
export const SEGMENTS = DELIVERED
export const DELIVERED_US = 4
export const FIRST_SENT_US = 5
export const IN_FLIGHT = 6
export const WAS_LOST = 7

/** Selectively acknowledged. */
export const SACKED = 1
/** Believed lost. */
export const LOST = 2
/** Lost, and the retransmission is in flight. */
export const RETRANSMITTED = 4
/** Was sent more than once: no RTT from it. */
export const AMBIGUOUS = 8
/** Sent while the application had no more to send. */
export const APP_LIMITED = 16
/** Above the flags: bytes of the segments that the record was sent as. */
export const FLAG_MASK = 0xff
export const SEGMENT_SHIFT = 8
/** None of them: sent once, and nothing heard of it. */
export const EVENTS = SACKED | LOST | RETRANSMITTED | AMBIGUOUS
/** What stays when a record is lost. */
export const KEPT = ~(SACKED | LOST | RETRANSMITTED)

/**
 * SACK may cut records only while there are fewer. An honest receiver's ranges end where segments ended, and losses are few; thousands of
 * ranges of a byte each are an attack on memory and time (CVE-2019-11478). What cannot be cut counts as not SACKed.
 */
export const MAX_CUT_RECORDS = 1024

/** To whole segments; 0: every byte is one. */
export function roundUp(bytes: number, segment: number): number {
  return segment === 0 ? bytes : Math.ceil(bytes / segment) * segment
}

export function roundDown(bytes: number, segment: number): number {
  return segment === 0 ? bytes : bytes - (bytes % segment)
}
