/**
 * How long an address is good (RFC 4862 section 5.5.4): preferred for a time, then deprecated (still ours, not chosen for what is new), then
 * gone. Times are those of routers, of DHCP, or of `ip addr add ... valid_lft`.
 */
import { Timed, type Timers } from '../base/timers.ts'
import { AddressState, type InterfaceAddress } from './interface.ts'
import type { NeighborClock } from './neighbor.ts'

/** Deadlines are wrapping 32-bit milliseconds; longer ones are reached in steps of this, 12 days. */
const STEP_MS = 1 << 30

/** Called from timers only. */
export interface LifetimeListener {
  /** The address is deprecated, or preferred again: routes that were kept may have chosen it. */
  lifetimeChanged(own: InterfaceAddress): void
  /** Its valid lifetime is over: it is to be removed. */
  lifetimeOver(own: InterfaceAddress): void
}

export class AddressLifetime extends Timed {
  /** What was left at `since`; Infinity: for ever. */
  private validMs = Number.POSITIVE_INFINITY
  private preferredMs = Number.POSITIVE_INFINITY
  private since: number
  /** It was us who made it DEPRECATED. */
  private deprecated = false

  constructor(
    private readonly own: InterfaceAddress,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly listener: LifetimeListener,
  ) {
    super()
    this.since = clock.nowMs
  }

  /** Begins anew: seconds from now, Infinity for ever. The preferred lifetime is at most the valid one. */
  set(validSeconds: number, preferredSeconds: number): void {
    this.since = this.clock.nowMs
    this.validMs = validSeconds * 1000
    this.preferredMs = Math.min(validSeconds, preferredSeconds) * 1000
    this.judge()
    this.arm()
  }

  /** Seconds left, Infinity for ever. */
  get validLeft(): number {
    return left(this.validMs, this.passed)
  }

  get preferredLeft(): number {
    return left(this.preferredMs, this.passed)
  }

  /** Whether it ends at all. */
  get ends(): boolean {
    return this.validMs !== Number.POSITIVE_INFINITY
  }

  /** The address's state has been set by somebody else: it has passed duplicate address detection. */
  judge(): void {
    const { own } = this
    const isOver = this.preferredMs - this.passed <= 0
    if (isOver && own.state === AddressState.PREFERRED) {
      own.state = AddressState.DEPRECATED
      this.deprecated = true
    } else if (!isOver && this.deprecated && own.state === AddressState.DEPRECATED) {
      own.state = AddressState.PREFERRED
      this.deprecated = false
    } else return
    this.listener.lifetimeChanged(own)
  }

  /** The address goes. */
  end(): void {
    this.timers.remove(this)
  }

  override onTimer(now: number): void {
    const { passed } = this
    this.since = now
    this.validMs -= passed
    this.preferredMs -= passed
    if (this.validMs <= 0) {
      this.listener.lifetimeOver(this.own)
      return
    }
    this.judge()
    this.arm()
  }

  private get passed(): number {
    return (this.clock.nowMs - this.since) | 0
  }

  private arm(): void {
    const next = this.preferredMs > 0 ? Math.min(this.preferredMs, this.validMs) : this.validMs
    if (next === Number.POSITIVE_INFINITY) this.timers.disarm(this)
    else this.timers.arm(this, (this.since + Math.min(STEP_MS, Math.max(0, Math.ceil(next)))) | 0)
  }
}

function left(ms: number, passed: number): number {
  return ms === Number.POSITIVE_INFINITY ? ms : Math.max(0, Math.floor((ms - passed) / 1000))
}
