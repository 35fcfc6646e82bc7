/** Sending the tail loss probe (RFC 8985 section 7.3): a new segment if there is one and the peer has room, else the last one again. */
import type { Connection } from './connection.ts'
import { SACKED } from './flight-record.ts'
import { Sent } from './sender.ts'
import { lt } from './seq.ts'
import { C } from './tcp-counters.ts'

/** `pipe`: bytes in the network. Returns one of `Sent`; the probe stays due while the link is full. */
export function sendProbe(c: Connection, pipe: number, nowUs: number, nowMs: number): number {
  const { snd } = c
  const { flight, recovery } = snd
  const fresh = snd.pending ? snd.fresh(c, pipe, nowUs, nowMs) : Sent.NOTHING
  if (fresh === Sent.BLOCKED) return fresh
  recovery.probeDue = false
  let bytes = 0
  if (fresh === Sent.NOTHING) {
    const i = flight.count - 1
    if (i < 0 || (flight.flagsOf(i) & SACKED) !== 0) return Sent.NOTHING
    const size = (flight.endOf(i) - flight.startOf(i)) | 0
    bytes = lastSegment(size - (snd.finSent ? 1 : 0), snd.payloadLimit) + (snd.finSent ? 1 : 0)
    const start = (snd.nxt - bytes) | 0
    if (!lt(start, (snd.una + snd.wnd) | 0)) return Sent.NOTHING
    if (!snd.again(c, start, bytes)) {
      recovery.probeDue = true
      return Sent.BLOCKED
    }
    if (bytes < size) flight.cut(i, start)
    flight.sentAgain(flight.count - 1, nowUs, pipe, snd.payloadLimit)
    snd.lastSendMs = nowMs
  }
  recovery.probed(snd.nxt, bytes > 0, bytes)
  c.tcp.counters.values[C.TCPLossProbes]++
  c.deadlines.armRetransmit()
  return Sent.SOMETHING
}

/** Bytes of the last segment of a record of `bytes`, which may be a super-segment, or nothing but the FIN. */
function lastSegment(bytes: number, mss: number): number {
  return bytes <= mss ? bytes : bytes % mss || mss
}
