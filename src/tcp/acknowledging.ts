/**
 * What an acceptable ACK does to the sender, in order: its SACK blocks and its number are applied to the log (incoming.ts calls `beginAck`, then
 * `sack` for each block, then `acknowledge`), the round trip is measured, ECN's feedback is read, recovery judges, and the algorithm
 * with a model hears of everything at last.
 *
 * Most ACKs have none of this to say: quiet-ack.ts.
 */
import type { Connection } from './connection.ts'
import { windowPacingRate } from './pacer.ts'
import { RecoveryState } from './recovery.ts'
import type { Sender } from './sender.ts'
import { geq } from './seq.ts'

/** An acceptable ACK is about to be applied. */
export function beginAck(c: Connection): void {
  const { snd } = c
  const s = c.tcp.sample
  // The turn's clock is older than what the turn hears, by all that was heard before and as long as the process did not run. Who models the path
  // believes the shortest round trip and the highest rate for seconds.
  if (snd.control.model !== undefined) c.tcp.clock.readClock()
  snd.flight.beginAck(c.tcp.clock.nowUs, snd.rto.minRttUs)
  s.priorInFlight = snd.recovery.pipe(snd.nxt)
  s.delivered = snd.rate.delivered
  s.lost = snd.rate.lost
  s.marked = 0
}

/** The log has given up `acked` sequence numbers before `ack`: so do the ring and whoever waited for them. */
export function took(snd: Sender, acked: number, ack: number): void {
  const { ring } = snd
  const freed = acked < ring.length ? acked : ring.length
  ring.drop(freed)
  snd.bytesAcked += freed
  snd.recovery.search?.acknowledged(ack)
  snd.proveFull(ack)
  if (snd.urgent && geq(ack, snd.up)) snd.urgent = false
}

/**
 * Moves SND.UNA to `ack` and takes what it covers from the ring and the log; `ack` is SND.UNA itself for duplicates and for news by SACK
 * alone. `sacked`: bytes newly SACKed; `isBare`: it repeats SND.UNA, and says nothing more; `tsRttUs`: age of the timestamp it echoes.
 */
export function acknowledge(
  c: Connection,
  ack: number,
  sacked: number,
  duplicate: boolean,
  isBare: boolean,
  tsRttUs: number,
): void {
  const { snd } = c
  const { flight, rto, rate, window, control } = snd
  const { nowUs, nowMs } = c.tcp.clock
  const acked = (ack - flight.una) | 0
  const s = c.tcp.sample
  if (acked > 0) {
    flight.acknowledge(ack)
    snd.una = ack
    took(snd, acked, ack)
  }
  s.nowUs = nowUs
  s.nowMs = nowMs
  s.acked = acked
  s.sacked = sacked
  s.duplicate = duplicate
  s.isBare = isBare
  s.delivered = (rate.delivered - s.delivered) | 0
  s.hasEcho = tsRttUs > 0
  s.echoMs = (nowMs - ((tsRttUs / 1000) | 0)) | 0
  s.una = flight.una
  s.nxt = snd.nxt
  s.rttUs = measure(snd, acked > 0, nowUs, nowMs, tsRttUs)
  s.minRttUs = rto.minRttUs
  s.smoothedRttUs = rto.srttUs
  s.limited = snd.use.isLimited(window)
  s.windowFull = snd.use.isFull
  s.canSendNew = snd.pending && ((s.una + snd.wnd - s.nxt) | 0) > 0
  rate.sample(s.rate, rto.minRttUs)
  if (c.ecn !== null) s.marked = c.ecn.acknowledged(c, s.delivered)
  snd.recovery.onAck(s, c.sackPermitted, c.tcp.counters.values)
  if (control.model !== undefined) {
    s.inFlight = snd.recovery.pipe(snd.nxt)
    s.inRecovery = snd.recovery.state >= RecoveryState.RECOVERY
    rate.losses(s.rate)
    control.model(window, s)
    return
  }
  control.observe?.(window, s)
  if (snd.pacing) window.pacingRate = windowPacingRate(window, s.smoothedRttUs)
}

/**
 * The round-trip time that an ACK gives, 0: none. The time-out goes by the oldest that it covers, the peer's delay included; the path's own
 * time is that of the newest. Our own clock is preferred to echoes, which are coarse, unless something was sent twice (Karn).
 */
function measure(snd: Sender, isAdvance: boolean, nowUs: number, nowMs: number, tsRttUs: number): number {
  const d = snd.flight.delivery
  let oldest = tsRttUs
  let newest = tsRttUs
  if (isAdvance && d.hasSample && !d.isAmbiguous) {
    oldest = (nowUs - d.oldestUs) | 0
    newest = (nowUs - (d.hasSackSample ? d.sackNewestUs : d.newestUs)) | 0
  } else if (d.hasSackSample) {
    oldest = (nowUs - d.sackOldestUs) | 0
    newest = (nowUs - d.sackNewestUs) | 0
  } else if (tsRttUs === 0) return 0
  if (newest <= 0) newest = 1
  snd.rto.observe(newest, nowMs)
  snd.rto.sample(oldest, snd.flight.una, snd.nxt)
  return newest
}
