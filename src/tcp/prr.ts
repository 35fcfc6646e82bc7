/**
 * Proportional rate reduction (RFC 9937, which replaces RFC 6937): leads the window to ssthresh during a reduction, by what is delivered and
 * not by what is believed to be in flight. While more than ssthresh is in flight, ssthresh / RecoverFS bytes leave for each that arrives; when
 * less is, as much as was delivered leaves (conservative reduction bound), and a segment more when SND.UNA advanced without news of loss
 * (slow start reduction bound).
 */
export class Prr {
  /** Bytes in flight when the reduction began. */
  private recoverFs = 0
  private delivered = 0
  private out = 0
  /** Since the sender last had its turn: bytes delivered, and segments more that ACKs allowed. One turn may hear many ACKs. */
  private recent = 0
  private extra = 0

  /** `heard`: bytes of them that were delivered since the sender last had its turn, before it was known that there is a loss. */
  begin(inFlight: number, heard = 0): void {
    this.recoverFs = inFlight > 0 ? inFlight : 1
    this.delivered = heard
    this.out = 0
    this.recent = heard
    this.extra = 0
  }

  /** The sender has sent what it may. */
  spoke(): void {
    this.recent = 0
    this.extra = 0
  }

  /** `bytes` left. */
  sent(bytes: number): void {
    this.out += bytes
  }

  /** The window after an ACK that delivered `delivered` bytes, in bytes. `isSafe`: SND.UNA advanced and nothing more was found lost. */
  window(inFlight: number, ssthresh: number, mss: number, delivered: number, isSafe: boolean): number {
    this.delivered += delivered
    this.recent += delivered
    if (isSafe) this.extra += mss
    let n: number
    if (inFlight > ssthresh) {
      // In whole segments, rounded up, as RFC 9937 and Linux count: half a segment may leave as one.
      n = Math.ceil((this.delivered * ssthresh) / (this.recoverFs * mss)) * mss - this.out
    } else {
      n = Math.min(ssthresh - inFlight, Math.max(this.delivered - this.out, this.recent) + this.extra)
    }
    if (this.out === 0 && n < mss) n = mss // RFC 9937 section 6: the first retransmission leaves at once
    return inFlight + (n > 0 ? n : 0)
  }
}
