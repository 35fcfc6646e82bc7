/** Round-trip time and retransmission time-out (RFC 6298). Microseconds inside, milliseconds for the timer. */

/** Clock granularity G of RFC 6298, in microseconds: the timers tick in milliseconds. */
const GRANULARITY_US = 1000
/** Above this a sample is nonsense (a suspended process); it would overflow the arithmetic. */
const MAX_SAMPLE_US = 200_000_000

export class Rto {
  srttUs = 0
  rttVarUs = 0
  /** 0: no sample yet. */
  minRttUs = 0
  /** How often the timer was doubled. */
  backoff = 0
  private baseMs: number

  constructor(
    initialMs: number,
    private readonly minMs: number,
    private readonly maxMs: number,
  ) {
    this.baseMs = initialMs
  }

  /** One measurement that is not ambiguous (Karn). */
  sample(us: number): void {
    const r = us <= 0 ? 1 : us > MAX_SAMPLE_US ? MAX_SAMPLE_US : us
    if (this.minRttUs === 0 || r < this.minRttUs) this.minRttUs = r
    if (this.srttUs === 0) {
      this.srttUs = r
      this.rttVarUs = r >> 1
    } else {
      const d = this.srttUs > r ? this.srttUs - r : r - this.srttUs
      this.rttVarUs += (d - this.rttVarUs) >> 2
      this.srttUs = Math.max(1, this.srttUs + ((r - this.srttUs) >> 3))
    }
    const v = this.rttVarUs << 2
    const rto = Math.ceil((this.srttUs + (v > GRANULARITY_US ? v : GRANULARITY_US)) / 1000)
    this.baseMs = rto < this.minMs ? this.minMs : rto > this.maxMs ? this.maxMs : rto
  }

  /** The time-out to arm now, with back-off (RFC 6298 5.5), in ms. */
  get ms(): number {
    if (this.backoff === 0) return this.baseMs
    const doubled = this.baseMs * 2 ** (this.backoff < 16 ? this.backoff : 16)
    return doubled > this.maxMs ? this.maxMs : doubled
  }

  /** RFC 6298 5.7: the SYN's timer expired and there is no sample: begin data transfer with 3 s. */
  handshakeTimedOut(): void {
    if (this.srttUs === 0 && this.baseMs < 3000) this.baseMs = Math.min(3000, this.maxMs)
  }
}
