/** What is lost goes out again: as far as cwnd and the peer's window allow, or whatever they say when a timer wants it. */
import type { Connection } from './connection.ts'
import { charge, mustWait } from './pacer.ts'
import { RecoveryState } from './recovery.ts'
import { Sent } from './sender.ts'
import { lt } from './seq.ts'
import { C } from './tcp-counters.ts'
import { ACK, FIN, PSH } from './wire.ts'

/** Emits all or part of record `i` of the log, with `pipe` bytes in the network. Returns one of `Sent`. */
export function retransmit(c: Connection, i: number, pipe: number, nowUs: number, nowMs: number): number {
  const { snd } = c
  const { flight, recovery, payloadLimit: mss } = snd
  const start = flight.startOf(i)
  const size = (flight.endOf(i) - start) | 0
  const room = snd.window.cwnd - pipe
  const { forced } = recovery
  if (!forced && room < mss && room < size) return Sent.NOTHING
  // RFC 9293 SHLD-16: what lies beyond a window that shrank waits; the oldest goes all the same when the timer says so, as a probe.
  if (!lt(start, (snd.una + snd.wnd) | 0) && !(forced && i === 0)) return Sent.NOTHING
  let n = Math.min(size, snd.superLimitNow())
  if (n > room) n = Math.min(size, Math.max(mss, room - (room % mss)))
  if (forced) n = Math.min(n, mss)
  else if (mustWait(c, nowUs)) return Sent.NOTHING
  if (!sendAgain(c, start, n)) return Sent.BLOCKED
  flight.retransmitted(i, n, nowUs, pipe + n, mss)
  if (snd.pacingRate > 0) charge(snd, n, nowUs)
  const isTimeout = recovery.state === RecoveryState.LOSS
  if (!isTimeout) c.tcp.counters.values[C.TCPFastRetrans]++
  else if (!forced) c.tcp.counters.values[C.TCPSlowStartRetrans]++
  recovery.forced = false
  recovery.sent(n, true, nowMs)
  snd.lastSendMs = nowMs
  c.deadlines.sentAgain(i === 0)
  return Sent.SOMETHING
}

/** Emits what was sent before: `n` sequence numbers at `start`, the FIN among them. False: the link is full. */
export function sendAgain(c: Connection, start: number, n: number): boolean {
  const { snd } = c
  const end = (start + n) | 0
  const withFin = snd.finSent && end === snd.nxt
  const payload = withFin ? n - 1 : n
  let flags = end === ((snd.una + snd.ring.length) | 0) ? ACK | PSH : ACK
  if (withFin) flags = payload > 0 ? ACK | PSH | FIN : ACK | FIN
  if (!c.tcp.output.segment(c, start, payload, flags)) return false
  snd.search?.resent(start)
  snd.retransmits++
  c.tcp.counters.values[C.tcpRetransSegs]++
  snd.retransmittedBytes += n
  c.sentData(payload)
  return true
}
