/**
 * The tail loss probe (RFC 8985 section 7). When the last segments of a flight are lost there is nothing behind them that would bring a SACK; so
 * after two round trips of silence a segment is sent, new or the last one again, and its ACK tells RACK what is missing: no time-out. One
 * probe at a time. deadlines.ts keeps its timer, sender.ts sends it; here is what its ACK says.
 *
 * Where ACKs get lost, what waits is all of a flight that had one ACK only, or the retransmission of a recovery. A probe of new data is of no use
 * then: the peer takes its time to acknowledge a single segment (RFC 9293 section 3.8.6.3). Once it has done so, or a D-SACK has shown after a
 * time-out that nothing was missing (`losesAcks`), probes are retransmissions on this connection, which are answered at once; and they are sent in
 * fast recovery, too, where section 7.2 has none (SHOULD) and the time-out is Linux's 200 ms at least. One segment more in two round trips of silence.
 *
 * When the probe was a retransmission and nothing else was missing, it may itself have repaired a loss that nobody saw. If so the
 * window must be reduced all the same; a D-SACK, or an ACK that repeats the end of the probe, says that original and probe both arrived.
 */
import type { Rto } from './rto.ts'
import { gt, lt } from './seq.ts'

/** What RFC 8985 section 7.2 adds for the timers' granularity; Linux TCP_TIMEOUT_MIN. */
export const SLACK_MS = 2
/** Without a sample: Linux TCP_TIMEOUT_INIT. */
export const FIRST_MS = 1000

/** So much more than two round trips: the peer has delayed its ACK, which takes 40 ms and more (tcp(7); Linux TCP_DELACK_MIN). */
const LATE_US = 10_000

/** Milliseconds after which the probe is sent. `isSingle`: one segment is in flight, whose ACK the peer may delay. */
export function probeTimeoutMs(rto: Rto, isSingle: boolean): number {
  if (rto.srttUs === 0) return FIRST_MS
  return (((rto.srttUs + 499) / 500) | 0) + (isSingle ? rto.minMs : SLACK_MS)
}

export class TailLoss {
  /** A probe is out whose ACK has not settled anything yet. */
  isOut = false
  /** SND.NXT after the probe. */
  end = 0
  isRetransmission = false
  /** This ACK's D-SACK is of the probe. */
  isDsacked = false
  /** See above. */
  losesAcks = false
  /** An ACK that comes later was delayed. */
  private lateUs = 0

  sent(end: number, isRetransmission: boolean, nowUs: number, smoothedRttUs: number): void {
    this.isOut = true
    this.end = end
    this.isRetransmission = isRetransmission
    this.isDsacked = false
    this.lateUs = (nowUs + 2 * smoothedRttUs + LATE_US) | 0
  }

  /** RFC 8985 section 7.4.2. True: the probe repaired a loss, and the window is to be reduced. `isBare`: the ACK repeats SND.UNA, no more. */
  acknowledged(una: number, isBare: boolean, nowUs: number): boolean {
    const isDsacked = this.isDsacked
    this.isDsacked = false
    if (lt(una, this.end)) return false
    if (!this.isRetransmission && ((nowUs - this.lateUs) | 0) > 0) this.losesAcks = true
    if (!this.isRetransmission || isDsacked || isBare) {
      this.isOut = false
      return false
    }
    if (!gt(una, this.end)) return false // undecided: an ACK for more must come
    this.isOut = false
    return true
  }
}
