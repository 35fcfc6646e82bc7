/**
 * Notifications of MSG_ZEROCOPY on the error queue. Nothing is spared here, and the stack always copies; what scripts see is what
 * Linux tells on a link that copies: a range of numbers of calls whose bytes are acknowledged, ranges that follow one another as one.
 */
export class ZerocopyQueue {
  /** Number of the next call. */
  private next = 0
  /** Bytes of the stream with which a call ends, oldest first. */
  private readonly waiting: { id: number; end: number }[] = []
  private ranges: { from: number; to: number }[] = []

  /** A call has queued bytes up to `end` of the stream. */
  sent(end: number): void {
    this.waiting.push({ id: this.next++, end })
  }

  private settle(acked: number): void {
    while (this.waiting.length > 0 && this.waiting[0].end <= acked) {
      const { id } = this.waiting.shift()!
      const last = this.ranges.at(-1)
      if (last !== undefined && last.to === id - 1) last.to = id
      else this.ranges.push({ from: id, to: id })
    }
  }

  hasNews(acked: number): boolean {
    this.settle(acked)
    return this.ranges.length > 0
  }

  /** Calls that are done, for edge-triggered polling. */
  done(acked: number): number {
    this.settle(acked)
    return this.next - this.waiting.length
  }

  /** The next notification, or null. */
  take(acked: number): { from: number; to: number } | null {
    this.settle(acked)
    return this.ranges.shift() ?? null
  }
}
