/**
 * Loss by counting (RFC 6675 section 4), for those who turn RACK off: a record is lost when more than (DupThresh - 1) * SMSS bytes, or DupThresh
 * separate ranges, were SACKed above it.
 *
 * Cost. What was found lost stays lost, and all below it is lost or SACKed: `lostEnd`. A call walks down from the highest SACK to there and no
 * further, so that in a long flight with few losses an ACK does not cost a walk over all of it.
 */
import type { Flight } from './flight.ts'
import { LOST, SACKED } from './flight-record.ts'
import { gt, leq } from './seq.ts'

/** Marks what is lost; returns the bytes newly marked. */
export function markLost(f: Flight, mss: number, dupThresh: number): number {
  if (f.sackedBytes === 0) return 0
  let above = 0
  let ranges = 0
  let previousSacked = false
  let marked = 0
  const enough = (dupThresh - 1) * mss
  let reached = false
  const before = f.lostEnd
  for (let i = f.firstBehind((f.fack - 1) | 0); i >= 0; i--) {
    const end = f.endOf(i)
    if (!reached && (above > enough || ranges >= dupThresh)) {
      reached = true
      if (gt(end, before)) f.lostEnd = end
    }
    if (reached && leq(end, before)) break
    const flags = f.flagsOf(i)
    const bytes = (end - f.startOf(i)) | 0
    if ((flags & SACKED) !== 0) {
      above += bytes
      if (!previousSacked) ranges++
      previousSacked = true
      continue
    }
    previousSacked = false
    if (reached && (flags & LOST) === 0) {
      f.lose(i)
      marked += bytes
    }
  }
  return marked
}
