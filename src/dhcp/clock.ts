/**
 * Long times for leases: milliseconds since 1970 as a double. The turn's clock wraps after 49 days, a lease may last for years.
 */
import type { Host } from '../base/clock.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { NeighborClock } from '../ip/neighbor.ts'

/** Alarms are set for no longer than this, 12 days, and look again then. */
const STEP_MS = 1 << 30

/**
 * The wall clock as it was at the beginning, moved on by the monotonic one: times can be stored and compared after a restart, and nobody
 * who sets the machine's clock moves a deadline. Right as long as it is asked every 24 days: alarms see to that.
 */
export class LeaseClock {
  private total: number
  private last: number

  constructor(
    private readonly clock: NeighborClock,
    host: Host,
  ) {
    this.total = Number(host.wallNs() / 1_000_000n)
    this.last = clock.nowMs
  }

  get now(): number {
    const { nowMs } = this.clock
    this.total += (nowMs - this.last) | 0
    this.last = nowMs
    return this.total
  }
}

/** One deadline on a LeaseClock. Infinity: none, but the clock is kept going. */
export class Alarm extends Timed {
  private at = Number.POSITIVE_INFINITY

  constructor(
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly time: LeaseClock,
    private readonly ring: () => void,
  ) {
    super()
  }

  set(at: number): void {
    this.at = at
    const wait = Math.min(STEP_MS, Math.max(0, Math.ceil(at - this.time.now)))
    this.timers.arm(this, (this.clock.nowMs + wait) | 0)
  }

  clear(): void {
    this.at = Number.POSITIVE_INFINITY
    this.timers.remove(this)
  }

  override onTimer(): void {
    if (this.time.now >= this.at) this.ring()
    else this.set(this.at)
  }
}
