/**
 * A SYN or SYN-ACK that was sent more than once: its echoed timestamp says which of them was answered (RFC 7323 section 4.1, RFC 3522). That
 * gives a round trip in spite of Karn, so that data need not begin with the 3 s of RFC 6298 section 5.7; and if it was the first, nothing was
 * lost, and the initial window stays (Linux tcp_try_undo_spurious_syn).
 */
import type { Rto } from './rto.ts'

/** Older echoes are nonsense. */
const MAX_AGE_MS = 100_000

/** Takes the round trip of what was sent at `echoMs` of our clock. False: it cannot be. */
export function sampleEcho(rto: Rto, nowMs: number, echoMs: number): boolean {
  const ageMs = (nowMs - echoMs) | 0
  if (ageMs < 0 || ageMs >= MAX_AGE_MS) return false
  rto.sample(ageMs * 1000 + 500)
  return true
}
