/**
 * RACK (RFC 8985 section 6): what was sent before something that has arrived, and has not arrived itself within a reordering window, is lost.
 * Time takes the place of counting duplicates, so tails, lost retransmissions and reordering are all one rule.
 *
 * The reordering window is 0 while a recovery goes on or DupThresh segments were SACKed, if the path was never seen to reorder; otherwise a
 * quarter of the smallest round-trip time, times `steps`, which grows by one for every round in which D-SACKs showed retransmissions to have
 * been unnecessary, and is forgotten after 16 recoveries without (section 6.2 step 4).
 *
 * Cost. `detect` walks from SND.UNA to the first record that was sent once and after RACK.xmit_ts: records sent once are in the order of their
 * times, and one sent again later is younger still, so nothing behind it can be lost. SACKed neighbours are one record, so the walk sees each
 * hole and the run above it, not each segment: O(holes) per ACK, one step when there is none.
 */
import type { Delivery } from './delivery.ts'
import type { Flight } from './flight.ts'
import { AMBIGUOUS, LOST, RETRANSMITTED, SACKED } from './flight-record.ts'
import { geq, gt } from './seq.ts'
import { C } from './tcp-counters.ts'

/** RFC 8985 section 6.2 step 4: recoveries for which a larger window is kept. */
const PERSIST_RECOVERIES = 16
const MAX_STEPS = 0xff

export class Rack {
  /** Of the most recently sent segment that was delivered: when it was sent (RACK.xmit_ts), and its end. */
  private xmitUs = 0
  private end = 0
  private known = false
  /** Something new was delivered since the last `detect`: only then can it find more. */
  advanced = false
  /** RACK.reo_wnd_mult, RACK.reo_wnd_persist, RACK.dsack_round. */
  private steps = 1
  private persist = 0
  private dsackPending = false
  private inRound = false
  private roundEnd = 0

  /** RFC 8985 section 6.2 steps 1 and 2. */
  note(d: Delivery): void {
    if (!d.hasLatest) return
    this.advanced = true
    if (this.known && !this.isAfter(d.latestUs, d.latestEnd)) return
    this.known = true
    this.xmitUs = d.latestUs
    this.end = d.latestEnd
  }

  /** What was sent at `us` and ends at `end` was sent after the most recent that was delivered. */
  private isAfter(us: number, end: number): boolean {
    const newer = (us - this.xmitUs) | 0
    return newer > 0 || (newer === 0 && gt(end, this.end))
  }

  /** A retransmission was reported as unnecessary. */
  dsack(): void {
    this.dsackPending = true
  }

  /** Once per ACK: RFC 8985 section 6.2 step 4, at most one step per round trip. */
  adapt(una: number, nxt: number): void {
    if (this.inRound && geq(una, this.roundEnd)) this.inRound = false
    if (!this.dsackPending) return
    this.dsackPending = false
    if (this.inRound) return
    this.inRound = true
    this.roundEnd = nxt
    if (this.steps < MAX_STEPS) this.steps++
    this.persist = PERSIST_RECOVERIES
  }

  /** A recovery ended that was none: the window stays larger for longer (as Linux). */
  keep(): void {
    if (this.persist < PERSIST_RECOVERIES) this.persist++
  }

  /** A recovery ended. */
  recovered(): void {
    if (this.persist > 0) this.persist--
    if (this.persist === 0) this.steps = 1
  }

  /** RACK.reo_wnd in us. `isSure`: recovery goes on, or DupThresh segments were SACKed. */
  window(minRttUs: number, smoothedRttUs: number, reorderingSeen: boolean, isSure: boolean): number {
    if (!reorderingSeen && isSure) return 0
    const wish = this.steps * (minRttUs >> 2)
    return wish < smoothedRttUs ? wish : smoothedRttUs
  }

  /** Marks what is lost (RFC 8985 section 6.2 step 5); `rttUs`: RACK.rtt. Returns for how many us the rest is to be waited for; 0: nothing waits. */
  detect(f: Flight, nowUs: number, rttUs: number, windowUs: number, n: Float64Array): number {
    this.advanced = false
    if (!this.known) return 0
    let wait = 0
    for (let i = 0; i < f.count; i++) {
      const flags = f.flagsOf(i)
      if ((flags & SACKED) !== 0 || (flags & (LOST | RETRANSMITTED)) === LOST) continue
      const sentUs = f.sentOf(i)
      if (this.isAfter(sentUs, f.endOf(i))) {
        if ((flags & AMBIGUOUS) === 0) break
        continue
      }
      // Sent again at this very moment: on a path without delay it would count as older than its followers.
      if ((flags & RETRANSMITTED) !== 0 && sentUs === nowUs) continue
      const left = (rttUs + windowUs - ((nowUs - sentUs) | 0)) | 0
      if (left <= 0) {
        if (f.lose(i)) n[C.TCPLostRetransmit]++
      } else if (left > wait) wait = left
    }
    return wait
  }
}
