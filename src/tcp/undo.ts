/**
 * Was the reduction of the window a mistake? Remembers what the window was, and what was sent again since.
 *
 * Two proofs. Every byte that was retransmitted in the episode was reported by D-SACK as a duplicate (RFC 3708): the originals arrived. Or, with
 * timestamps, an ACK for data that was sent again echoes a time before the first retransmission (Eifel, RFC 3522): the original is what
 * arrived. Then the window is what it was (RFC 4015; as Linux, the retransmission timer stays as it is).
 */
import { gt, leq } from './seq.ts'

export class Undo {
  /** There is something to take back. */
  isOpen = false
  /** 0: the reduction stands, whatever the losses were (ECN). */
  cwnd = 0
  ssthresh = 0
  /** SND.UNA when it began. */
  private marker = 0
  /** Bytes sent again and not yet reported as duplicates; means something when something was. */
  private bytes = 0
  private isUsed = false
  /** When the first was sent again, ms. */
  private stampMs = 0
  private hasStamp = false

  /** A reduction begins at SND.UNA; `retransmitted`: bytes of retransmissions that are still out. */
  begin(una: number, retransmitted: number, cwnd: number, ssthresh: number): void {
    this.isOpen = true
    this.marker = una
    this.bytes = retransmitted
    this.isUsed = retransmitted > 0
    this.cwnd = cwnd
    this.ssthresh = ssthresh
  }

  /** Nothing is being repaired any more: the next retransmission is the first of its episode. */
  rest(): void {
    this.hasStamp = false
  }

  sentAgain(bytes: number, nowMs: number): void {
    this.bytes += bytes
    this.isUsed = true
    if (this.hasStamp) return
    this.hasStamp = true
    this.stampMs = nowMs
  }

  /** [left, right) arrived twice. */
  dsack(left: number, right: number, una: number): void {
    if (!this.isOpen || !leq(right, una) || !gt(right, this.marker)) return
    this.bytes = Math.max(0, this.bytes - ((right - left) | 0))
  }

  /** All that was sent again arrived twice. */
  get isDsacked(): boolean {
    return this.isOpen && this.isUsed && this.bytes === 0
  }

  /** The ACK echoes what was sent at `echoMs`: before anything was sent again. */
  precedes(echoMs: number): boolean {
    return this.isOpen && this.hasStamp && ((echoMs - this.stampMs) | 0) < 0
  }
}
