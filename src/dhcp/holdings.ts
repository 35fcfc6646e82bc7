/**
 * Who has what until when, for servers: the same for addresses of IPv4 and for addresses and prefixes of IPv6.
 *
 * Theory of operation. What can be had (a slot) has a record from the first time it is offered, and keeps it when it is free again, so that the
 * client which had it gets it again. Each client has one of a pool at most. Nothing is searched, and memory is bounded by the slots.
 */
import type { Timers } from '../base/timers.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import { Alarm, type LeaseClock } from './clock.ts'

export const BindingState = { FREE: 0, PROBING: 1, OFFERED: 2, BOUND: 3, ABANDONED: 4 } as const

/** States as records of leases have them. */
export type LeaseState = 'bound' | 'free' | 'abandoned'

/** What a holding needs of where it is kept. */
interface Holder {
  readonly timers: Timers
  readonly clock: NeighborClock
  readonly time: LeaseClock
  over(holding: Holding): void
}

/** A slot and its client. */
export class Holding {
  state: number = BindingState.FREE
  /** Milliseconds since 1970; Infinity: never. */
  expiresAt = 0
  /** When the state is over by itself. */
  readonly alarm: Alarm

  constructor(
    holder: Holder,
    /** Of its client. */
    public key: string,
  ) {
    const { timers, clock, time } = holder
    this.alarm = new Alarm(timers, clock, time, () => holder.over(this))
  }

  /** As records have them. What is only offered is nobody's yet. */
  get leaseState(): LeaseState {
    return this.state === BindingState.BOUND ? 'bound' : this.state === BindingState.ABANDONED ? 'abandoned' : 'free'
  }

  /** Null: never. */
  get leaseEnd(): number | null {
    return this.expiresAt === Number.POSITIVE_INFINITY ? null : this.expiresAt
  }

  /** Whether it is worth telling: a lease that holds, or something that is somebody else's. */
  get isListed(): boolean {
    return this.state === BindingState.BOUND || this.state === BindingState.ABANDONED
  }
}

export class Holdings<S extends string | number, H extends Holding> {
  protected readonly bySlot = new Map<S, H>()
  private readonly byClient = new Map<string, H>()
  /** Those in state FREE, free for the longest first. */
  protected readonly free = new Set<H>()

  constructor(
    readonly timers: Timers,
    readonly clock: NeighborClock,
    readonly time: LeaseClock,
    private readonly onOver: (holding: H, was: number) => void,
  ) {}

  /** All that have a client, or are abandoned. */
  get holdings(): H[] {
    return [...this.bySlot.values()]
  }

  of(key: string): H | undefined {
    return this.byClient.get(key)
  }

  at(slot: S): H | undefined {
    return this.bySlot.get(slot)
  }

  /** Gives a slot to a client, who lets go of another that it had; null when it is another's, or abandoned. */
  protected claim(slot: S, key: string, make: () => H): H | null {
    const known = this.bySlot.get(slot)
    if (known !== undefined && known.key !== key && known.state !== BindingState.FREE) return null
    if (known?.state === BindingState.ABANDONED) return null
    const holding = known ?? make()
    const before = this.byClient.get(key)
    if (before !== undefined && before !== holding) this.release(before)
    if (this.byClient.get(holding.key) === holding) this.byClient.delete(holding.key)
    holding.key = key
    this.bySlot.set(slot, holding)
    this.byClient.set(key, holding)
    return holding
  }

  /** Sets state and end. */
  set(holding: H, state: number, until: number): void {
    holding.state = state
    holding.expiresAt = until
    this.free.delete(holding)
    if (state === BindingState.FREE) {
      this.free.add(holding)
      holding.alarm.clear()
    } else holding.alarm.set(until)
  }

  /** Free again; its client is remembered. */
  release(holding: H): void {
    this.set(holding, BindingState.FREE, this.time.now)
  }

  /** Somebody has it who did not get it here. The client it was meant for gets another. */
  abandon(holding: H, until: number): void {
    this.byClient.delete(holding.key)
    this.set(holding, BindingState.ABANDONED, until)
  }

  /** As it was stored. */
  protected putBack(slot: S, holding: H, state: LeaseState, end: number | null): void {
    const until = end ?? Number.POSITIVE_INFINITY
    this.bySlot.set(slot, holding)
    if (state !== 'abandoned') this.byClient.set(holding.key, holding)
    const is = state === 'bound' ? BindingState.BOUND : BindingState.ABANDONED
    this.set(holding, state === 'free' || until <= this.time.now ? BindingState.FREE : is, until)
  }

  /** A state's time is over. */
  over(holding: H): void {
    const was = holding.state
    if (was === BindingState.FREE) return
    this.release(holding)
    this.onOver(holding, was)
  }

  close(): void {
    for (const { alarm } of this.bySlot.values()) alarm.clear()
  }
}
