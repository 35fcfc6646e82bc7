/**
 * Round-trip time and retransmission time-out (RFC 6298), computed as Linux does (tcp_rtt_estimator). Microseconds inside, milliseconds for the
 * timer.
 *
 *   RTO = SRTT + max(rtoMinMs, 4 * RTTVAR)
 *
 * Where RFC 6298 bounds the RTO itself from below, Linux bounds its variance term ("tcp_rto_min"): the time-out never comes sooner than
 * rtoMinMs after the ACK was to be expected. Two more departures, both to the safe side of a smooth path: RTTVAR is the largest mean deviation
 * of the last round trip and falls by a quarter per round trip only; and when the round-trip time falls sharply the deviation grows by an
 * eighth of a quarter, for a better path is no reason to wait longer.
 *
 * Back-off (section 5.5) stays until a segment that was sent once is acknowledged (Karn; RFC 6298 section 5.7 note), as in Linux.
 */
import { gt } from './seq.ts'

/** Above this a sample is nonsense (a suspended process); it would overflow the arithmetic. */
const MAX_SAMPLE_US = 200_000_000
/** How long the smallest round-trip time is believed. Linux tcp_min_rtt_wlen. */
const MIN_RTT_WINDOW_MS = 300_000

/** An echo of our timestamps that is older is nonsense. */
export const MAX_ECHO_AGE_MS = 100_000

/** The round-trip time that an echo of our timestamps gives which is `ms` old: in the middle of its tick. 0: it cannot be. */
export function echoRttUs(ms: number): number {
  return ms >= 0 && ms < MAX_ECHO_AGE_MS ? ms * 1000 + 500 : 0
}

export class Rto {
  /** 8 * SRTT, and 4 times: the mean deviation, its maximum in this round trip, RTTVAR. */
  private srtt8 = 0
  private deviation4 = 0
  private maxDeviation4 = 0
  private variance4 = 0
  /** SND.NXT when this round trip began. */
  private roundEnd = 0
  /** Smallest sample of the last 5 minutes at least, 10 at most. 0: no sample yet. */
  minRttUs = 0
  private nextMinUs = 0
  private minMark = 0
  /** How often the timer was doubled. */
  backoff = 0
  private baseMs: number

  constructor(
    initialMs: number,
    readonly minMs: number,
    private readonly maxMs: number,
  ) {
    this.baseMs = initialMs
  }

  /** 0: no sample yet. */
  get srttUs(): number {
    return this.srtt8 >> 3
  }

  /** The mean deviation: RTTVAR of RFC 6298 on a path that does not change, tcpi_rttvar of Linux. */
  get rttVarUs(): number {
    return this.deviation4 >> 2
  }

  /** One measurement that is not ambiguous (Karn). `una`, `nxt`: after the ACK that brought it. */
  sample(us: number, una = 0, nxt = 0): void {
    const r = us <= 0 ? 1 : us > MAX_SAMPLE_US ? MAX_SAMPLE_US : us
    const floor = this.minMs * 1000
    if (this.srtt8 === 0) {
      this.srtt8 = r << 3
      this.deviation4 = r << 1
      this.variance4 = Math.max(this.deviation4, floor)
      this.maxDeviation4 = this.variance4
      this.roundEnd = nxt
    } else {
      let error = (r - (this.srtt8 >> 3)) | 0
      this.srtt8 = Math.max(8, this.srtt8 + error)
      if (error < 0) {
        error = (-error - (this.deviation4 >> 2)) | 0
        if (error > 0) error >>= 3
      } else {
        error = (error - (this.deviation4 >> 2)) | 0
      }
      this.deviation4 += error
      if (this.deviation4 > this.maxDeviation4) {
        this.maxDeviation4 = this.deviation4
        if (this.maxDeviation4 > this.variance4) this.variance4 = this.maxDeviation4
      }
      if (gt(una, this.roundEnd)) {
        if (this.maxDeviation4 < this.variance4) this.variance4 -= (this.variance4 - this.maxDeviation4) >> 2
        this.roundEnd = nxt
        this.maxDeviation4 = floor
      }
    }
    const rto = (((this.srtt8 >> 3) + this.variance4 + 500) / 1000) | 0
    this.baseMs = rto < this.minMs ? this.minMs : rto > this.maxMs ? this.maxMs : rto
    this.backoff = 0
    if (this.minRttUs === 0) this.observe(r, 0)
  }

  /** A round trip of the newest segment that an ACK covers: what the path alone takes, without the peer's delay. */
  observe(us: number, nowMs: number): void {
    const r = us <= 0 ? 1 : us
    if (this.minRttUs === 0) this.minMark = nowMs
    else if ((nowMs - this.minMark) >>> 0 >= MIN_RTT_WINDOW_MS) {
      this.minRttUs = this.nextMinUs
      this.nextMinUs = r
      this.minMark = nowMs
    }
    if (this.minRttUs === 0 || r < this.minRttUs) this.minRttUs = r
    if (this.nextMinUs === 0 || r < this.nextMinUs) this.nextMinUs = r
  }

  /** The time-out to arm now, with back-off (RFC 6298 5.5), in ms. */
  get ms(): number {
    return this.backoff === 0 ? this.baseMs : this.doubled
  }

  private get doubled(): number {
    const doubled = this.baseMs * 2 ** (this.backoff < 16 ? this.backoff : 16)
    return doubled > this.maxMs ? this.maxMs : doubled
  }

  /** RFC 6298 5.7: the SYN's timer expired and there is no sample: begin data transfer with 3 s. */
  handshakeTimedOut(): void {
    if (this.srtt8 === 0 && this.baseMs < 3000) this.baseMs = Math.min(3000, this.maxMs)
  }
}
