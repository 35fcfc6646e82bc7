/**
 * The tail loss probe (RFC 8985 section 7). When the last segments of a flight are lost there is nothing behind them that would bring a SACK; so
 * after two round trips of silence a segment is sent, new or the last one again, and its ACK tells RACK what is missing: no time-out. One
 * probe at a time. deadlines.ts keeps its timer, sender.ts sends it; here is what its ACK says.
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

  sent(end: number, isRetransmission: boolean): void {
    this.isOut = true
    this.end = end
    this.isRetransmission = isRetransmission
    this.isDsacked = false
  }

  /** RFC 8985 section 7.4.2. True: the probe repaired a loss, and the window is to be reduced. `isBare`: the ACK repeats SND.UNA, no more. */
  acknowledged(una: number, isBare: boolean): boolean {
    const isDsacked = this.isDsacked
    this.isDsacked = false
    if (lt(una, this.end)) return false
    if (!this.isRetransmission || isDsacked || isBare) {
      this.isOut = false
      return false
    }
    if (!gt(una, this.end)) return false // undecided: an ACK for more must come
    this.isOut = false
    return true
  }
}
