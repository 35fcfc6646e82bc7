/** The statistics of round trips with which ping and arping end. */
export class RoundTrips {
  private count = 0
  private minUs = Number.POSITIVE_INFINITY
  private maxUs = 0
  private sumUs = 0
  private squares = 0

  add(us: number): void {
    this.count++
    this.sumUs += us
    this.squares += us * us
    if (us < this.minUs) this.minUs = us
    if (us > this.maxUs) this.maxUs = us
  }

  /** `rtt min/avg/max/mdev = 0.041/0.052/0.070/0.009 ms`; the deviation has a name of its own in every tool. */
  line(deviationName: string): string {
    const mean = this.sumUs / this.count
    const deviation = Math.sqrt(Math.max(0, this.squares / this.count - mean * mean))
    const ms = (us: number): string => (us / 1000).toFixed(3)
    return `rtt min/avg/max/${deviationName} = ${ms(this.minUs)}/${ms(mean)}/${ms(this.maxUs)}/${ms(deviation)} ms`
  }
}
