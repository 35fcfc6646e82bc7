/**
 * The ACK that most ACKs are: it advances, nothing was ever lost, there is no SACK and no ECN in it, and the window need not grow. What
 * acknowledging.ts, flight.ts, delivery.ts, rate.ts and recovery.ts would do with it, in one function: of the records that it covers the first and
 * the last say everything, so neither the log's account of the ACK nor the sample is written, which nobody would read. Any doubt leads back there.
 *
 * What it asks of others it asks of their fields: it runs once for every message, and a call that V8 does not inline costs ten nanoseconds.
 */
import { took } from './acknowledging.ts'
import type { Connection } from './connection.ts'
import { EVENTS, FLAGS, SENT, SHIFT } from './flight-record.ts'
import { windowPacingRate } from './pacer.ts'
import { RecoveryState } from './recovery.ts'
import { gt, lt } from './seq.ts'

/** False: nothing was done, it is not of this kind. */
export function acknowledgeQuietly(c: Connection, ack: number): boolean {
  const { snd } = c
  const { flight, recovery, control, window, use } = snd
  const { detector } = recovery
  const { log, count } = flight
  if (log === null || c.ecn !== null || control.model !== undefined || control.observe !== undefined) return false
  if (recovery.state !== RecoveryState.OPEN || detector.rack !== null || recovery.isCurious) return false
  if (use.isFull || (window.cwnd < window.ssthresh && window.cwnd < 2 * use.most)) return false // it may grow: WindowUse.isLimited
  const mask = (log.length >> SHIFT) - 1
  const first = flight.head << SHIFT
  let last = first
  let next = flight.head
  let n = 0
  do {
    if (n === count) return false
    last = next << SHIFT
    if ((log[last + FLAGS] & EVENTS) !== 0 || gt(log[last], ack)) return false
    next = (next + 1) & mask
    n++
  } while (log[last] !== ack)

  const { rto } = snd
  const { nowUs, nowMs } = c.tcp.clock
  const bytes = (ack - flight.una) | 0
  flight.una = ack
  snd.una = ack
  if (lt(flight.lostEnd, ack)) flight.lostEnd = ack
  flight.head = next
  flight.count = count - n
  flight.hint = 0
  took(snd, bytes, ack)

  // The round trip: the time-out goes by the oldest, the path's own time is that of the newest.
  const us = (nowUs - log[last + SENT]) | 0
  rto.observe(us > 0 ? us : 1, nowMs)
  rto.sample((nowUs - log[first + SENT]) | 0, ack, snd.nxt)
  snd.rate.deliver(bytes, log, last, nowUs, rto.minRttUs)
  if (n === count) flight.release() // `log` is another's from here on

  if (c.sackPermitted) detector.rttUs = us
  detector.waitUs = 0
  recovery.sackPermitted = c.sackPermitted
  recovery.preferNew = false
  if (snd.pacing) window.pacingRate = windowPacingRate(window, rto.srttUs)
  return true
}
