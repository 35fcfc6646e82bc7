/**
 * Sending the tail loss probe (RFC 8985 section 7.3): a new segment if there is one and the peer has room, else the last one again. Where ACKs get
 * lost, always one again (tail-loss.ts).
 */
import type { Connection } from './connection.ts'
import { LOST, RETRANSMITTED, SACKED } from './flight-record.ts'
import { RecoveryState } from './recovery.ts'
import { sendAgain } from './retransmit.ts'
import { Sent } from './sender.ts'
import { lt } from './seq.ts'
import { C } from './tcp-counters.ts'

/** `pipe`: bytes in the network. Returns one of `Sent`; the probe stays due while the link is full. */
export function sendProbe(c: Connection, pipe: number, nowUs: number, nowMs: number): number {
  const { snd } = c
  const { flight, recovery } = snd
  const fresh = snd.pending && !recovery.losesAcks ? snd.fresh(c, pipe, nowUs, nowMs) : Sent.NOTHING
  if (fresh === Sent.BLOCKED) return fresh
  recovery.probeDue = false
  let bytes = 0
  if (fresh === Sent.NOTHING) {
    // In fast recovery what holds everything up is the oldest.
    const isOldest = recovery.state === RecoveryState.RECOVERY
    const i = isOldest ? 0 : flight.count - 1
    if (flight.count === 0) return Sent.NOTHING
    const flags = flight.flagsOf(i)
    if ((flags & SACKED) !== 0 || (flags & (LOST | RETRANSMITTED)) === LOST) return Sent.NOTHING // the latter is sent again anyway
    const first = flight.startOf(i)
    const size = (flight.endOf(i) - first) | 0
    if (isOldest) bytes = Math.min(size, snd.payloadLimit)
    else bytes = lastSegment(size - (snd.finSent ? 1 : 0), snd.payloadLimit) + (snd.finSent ? 1 : 0)
    const start = isOldest ? first : (snd.nxt - bytes) | 0
    if (!lt(start, (snd.una + snd.wnd) | 0)) return Sent.NOTHING
    if (!sendAgain(c, start, bytes)) {
      recovery.probeDue = true
      return Sent.BLOCKED
    }
    if (bytes < size) flight.cut(i, isOldest ? (start + bytes) | 0 : start)
    flight.sentAgain(isOldest ? 0 : flight.count - 1, nowUs, pipe, snd.payloadLimit)
    snd.lastSendMs = nowMs
  }
  recovery.probed(snd.nxt, bytes, nowUs, nowMs, c.rto.srttUs)
  c.tcp.counters.values[C.TCPLossProbes]++
  c.deadlines.armRetransmit()
  return Sent.SOMETHING
}

/** Bytes of the last segment of a record of `bytes`, which may be a super-segment, or nothing but the FIN. */
function lastSegment(bytes: number, mss: number): number {
  return bytes <= mss ? bytes : bytes % mss || mss
}
