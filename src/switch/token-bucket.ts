/** So many units a second, and a burst of some at once (the policer of RFC 2697 with one colour). */
export class TokenBucket {
  /** Tokens and the capacity: doubles that change with every frame live in a typed array, where a write makes no garbage. */
  private readonly amount = new Float64Array(2)
  private lastUs: number

  /** @param perSecond units a second, @param burst units at once at most, @param nowUs wrapping microseconds. */
  constructor(
    readonly perSecond: number,
    burst: number,
    nowUs: number,
  ) {
    this.amount[0] = burst
    this.amount[1] = burst
    this.lastUs = nowUs
  }

  /** Takes so many units, or none. False: there are not so many. */
  take(units: number, nowUs: number): boolean {
    const { amount } = this
    const elapsed = (nowUs - this.lastUs) | 0
    if (elapsed !== 0) {
      this.lastUs = nowUs
      // After more than 35 minutes the clock has wrapped to the other side: the bucket is full by then.
      const filled = elapsed < 0 ? amount[1] : amount[0] + (elapsed * this.perSecond) / 1e6
      amount[0] = filled > amount[1] ? amount[1] : filled
    }
    if (amount[0] < units) return false
    amount[0] -= units
    return true
  }
}
