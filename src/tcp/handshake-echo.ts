/**
 * A SYN or SYN-ACK that was sent more than once: its echoed timestamp says which of them was answered (RFC 7323 section 4.1, RFC 3522). That
 * gives a round trip in spite of Karn, so that data need not begin with the 3 s of RFC 6298 section 5.7; and if it was the first, nothing was
 * lost, and the initial window stays (Linux tcp_try_undo_spurious_syn).
 */
import { echoRttUs, type Rto } from './rto.ts'

/** Takes the round trip of what was sent at `echoMs` of our clock. False: it cannot be. */
export function sampleEcho(rto: Rto, nowMs: number, echoMs: number): boolean {
  const us = echoRttUs((nowMs - echoMs) | 0)
  if (us > 0) rto.sample(us)
  return us > 0
}
