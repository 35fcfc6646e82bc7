/**
 * The ACK that most ACKs are: it advances, nothing was ever lost, there is no SACK and no ECN in it, and the window need not grow. What
 * acknowledging.ts, flight.ts, delivery.ts, rate.ts and recovery.ts would do with it, in one function: of the records that it covers the first and
 * the last say everything, so neither the log's account of the ACK nor the sample is written, which nobody would read. Any doubt leads back there.
 */
import type { Connection } from './connection.ts'
import type { Flight } from './flight.ts'
import { EVENTS, FLAGS, SENT, SHIFT } from './flight-record.ts'
import { windowPacingRate } from './pacer.ts'
import { geq, gt, lt } from './seq.ts'

/** False: nothing was done, it is not of this kind. */
export function acknowledgeQuietly(c: Connection, ack: number): boolean {
  const { snd } = c
  const { flight, recovery, control, window } = snd
  if (c.ecn !== null || !recovery.isQuiet || control.model !== undefined || control.observe !== undefined) return false
  if (snd.use.isLimited(window)) return false
  const n = runTo(flight, ack)
  if (n === 0) return false
  const { rto, ring } = snd
  const { nowUs, nowMs } = c.tcp.clock
  const log = flight.log!
  const mask = (log.length >> SHIFT) - 1
  const first = flight.head << SHIFT
  const last = ((flight.head + n - 1) & mask) << SHIFT
  const bytes = (ack - flight.una) | 0

  // The log: its records are gone.
  flight.una = ack
  if (lt(flight.lostEnd, ack)) flight.lostEnd = ack
  flight.dropFirst(n)
  const freed = bytes < ring.length ? bytes : ring.length
  ring.drop(freed)
  snd.bytesAcked += freed
  recovery.search?.acknowledged(ack)
  snd.proveFull(ack)
  if (snd.urgent && geq(ack, snd.up)) snd.urgent = false

  // The round trip: the time-out goes by the oldest, the path's own time is that of the newest.
  const us = (nowUs - log[last + SENT]) | 0
  rto.observe(us > 0 ? us : 1, nowMs)
  rto.sample((nowUs - log[first + SENT]) | 0, ack, snd.nxt)
  snd.rate.deliver(bytes, log, last, nowUs, rto.minRttUs)
  if (flight.count === 0) flight.release() // `log` is another's from here on

  const { detector } = recovery
  if (c.sackPermitted) detector.rttUs = us
  detector.waitUs = 0
  recovery.sackPermitted = c.sackPermitted
  recovery.preferNew = false
  if (snd.pacing) window.pacingRate = windowPacingRate(window, rto.srttUs)
  return true
}

/** How many records from the first end with one that ends at `ack`, if nothing ever happened to them; 0 otherwise. */
function runTo(f: Flight, ack: number): number {
  const { log, head, count } = f
  if (log === null) return 0
  const mask = (log.length >> SHIFT) - 1
  for (let i = 0; i < count; i++) {
    const at = ((head + i) & mask) << SHIFT
    if ((log[at + FLAGS] & EVENTS) !== 0) return 0
    const end = log[at]
    if (end === ack) return i + 1
    if (gt(end, ack)) return 0
  }
  return 0
}
