/**
 * The addresses of one network of a server: who has which, until when.
 *
 * Theory of operation. An address has a record from the first time it is offered, and keeps it when it is free again, so that the client
 * which had it gets it again. Memory is bounded by the ranges. Nothing is searched: addresses never given are taken in order, then
 * those that have been free for the longest.
 */
import { Address, formatIPv4 } from '../base/address.ts'
import { hex } from '../base/bytes.ts'
import type { Timers } from '../base/timers.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import { Alarm, type LeaseClock } from './clock.ts'
import type { LeaseRecord, ServedNetwork } from './server-options.ts'

export const BindingState = { FREE: 0, PROBING: 1, OFFERED: 2, BOUND: 3, ABANDONED: 4 } as const

const FOREVER = Number.POSITIVE_INFINITY

/** An address and its client. */
export class Binding {
  state: number = BindingState.FREE
  expiresAt = 0
  hostname: string | null = null
  /** When the state is over by itself. */
  readonly alarm: Alarm

  constructor(
    readonly pool: Pool,
    /** Unsigned. */
    readonly word: number,
    public key: string,
    public mac: string,
    public clientId: string | null,
  ) {
    this.alarm = new Alarm(pool.timers, pool.clock, pool.time, () => pool.over(this))
  }

  get address(): Address {
    return Address.v4(this.word)
  }

  get record(): LeaseRecord {
    const { state, expiresAt } = this
    return {
      address: formatIPv4(this.word | 0),
      mac: this.mac,
      clientId: this.clientId,
      hostname: this.hostname,
      state: state === BindingState.BOUND ? 'bound' : state === BindingState.ABANDONED ? 'abandoned' : 'free',
      expiresAt: expiresAt === FOREVER ? null : expiresAt,
    }
  }
}

/** Who asks. */
export interface PoolClient {
  readonly key: string
  readonly mac: string
  readonly clientId: Uint8Array | undefined
}

export class Pool {
  private readonly byAddress = new Map<number, Binding>()
  private readonly byClient = new Map<string, Binding>()
  /** Those in state FREE, free for the longest first. */
  private readonly free = new Set<Binding>()
  private readonly reserved = new Set<number>()
  /** The next address that was never given: which range, and which in it. */
  private range = 0
  private next: number

  constructor(
    readonly network: ServedNetwork,
    readonly timers: Timers,
    readonly clock: NeighborClock,
    readonly time: LeaseClock,
    /** Addresses that are our own. */
    private readonly isOurs: (word: number) => boolean,
    private readonly onOver: (binding: Binding, was: number) => void,
  ) {
    for (const { word } of network.reservations.values()) this.reserved.add(word)
    this.next = network.ranges[0]?.first ?? 0
  }

  /** All that have a client, or are abandoned. */
  get bindings(): Binding[] {
    return [...this.byAddress.values()]
  }

  of(key: string): Binding | undefined {
    return this.byClient.get(key)
  }

  at(word: number): Binding | undefined {
    return this.byAddress.get(word)
  }

  /** The address for a client: reserved, had before, asked for, or any; null: there is none. It belongs to the client from now on. */
  allocate(client: PoolClient, wanted: number): Binding | null {
    const reservation = this.reservationOf(client)
    if (reservation !== undefined) return this.take(reservation.word, client)
    const had = this.byClient.get(client.key)
    if (had !== undefined && had.state !== BindingState.ABANDONED && this.inRange(had.word)) return had
    if (wanted !== 0 && this.inRange(wanted)) {
      const taken = this.take(wanted, client)
      if (taken !== null) return taken
    }
    const fresh = this.unused()
    if (fresh !== 0) return this.take(fresh, client)
    for (const binding of this.free) {
      const taken = this.inRange(binding.word) ? this.take(binding.word, client) : null
      if (taken !== null) return taken
    }
    return null
  }

  reservationOf({ key, mac }: PoolClient): ReturnType<ServedNetwork['reservations']['get']> {
    const { reservations } = this.network
    return (key.startsWith('i') ? reservations.get(key) : undefined) ?? reservations.get(`m${mac}`)
  }

  /** Gives an address to a client; null when it is another's. */
  take(word: number, client: PoolClient): Binding | null {
    if (this.isOurs(word)) return null
    const known = this.byAddress.get(word)
    if (known !== undefined && known.key !== client.key && known.state !== BindingState.FREE) return null
    if (known !== undefined && known.state === BindingState.ABANDONED) return null
    const binding = known ?? new Binding(this, word, client.key, client.mac, null)
    const before = this.byClient.get(client.key)
    if (before !== undefined && before !== binding) this.release(before)
    if (this.byClient.get(binding.key) === binding) this.byClient.delete(binding.key)
    binding.key = client.key
    binding.mac = client.mac
    binding.clientId = client.clientId === undefined ? null : hex(client.clientId)
    this.byAddress.set(word, binding)
    this.byClient.set(client.key, binding)
    return binding
  }

  /** Whether it may be given to anybody who has no reservation. */
  inRange(word: number): boolean {
    return !this.reserved.has(word) && this.network.ranges.some(({ first, last }) => word >= first && word <= last)
  }

  /** Sets state and end. */
  set(binding: Binding, state: number, until: number): void {
    binding.state = state
    binding.expiresAt = until
    this.free.delete(binding)
    if (state === BindingState.FREE) {
      this.free.add(binding)
      binding.alarm.clear()
    } else binding.alarm.set(until)
  }

  /** Free again; its client is remembered. */
  release(binding: Binding): void {
    this.set(binding, BindingState.FREE, this.time.now)
  }

  /** Somebody has it who did not get it here. The client it was meant for gets another. */
  abandon(binding: Binding, until: number): void {
    this.byClient.delete(binding.key)
    this.set(binding, BindingState.ABANDONED, until)
  }

  /** As it was stored. */
  restore(record: LeaseRecord, word: number, key: string): void {
    const binding = new Binding(this, word, key, record.mac, record.clientId)
    binding.hostname = record.hostname
    const until = record.expiresAt ?? FOREVER
    const state = record.state === 'bound' ? BindingState.BOUND : BindingState.ABANDONED
    this.byAddress.set(word, binding)
    if (record.state !== 'abandoned') this.byClient.set(key, binding)
    this.set(binding, record.state === 'free' || until <= this.time.now ? BindingState.FREE : state, until)
  }

  /** A binding's time is over. */
  over(binding: Binding): void {
    const was = binding.state
    if (was === BindingState.FREE) return
    this.release(binding)
    this.onOver(binding, was)
  }

  close(): void {
    for (const { alarm } of this.byAddress.values()) alarm.clear()
  }

  private unused(): number {
    const { ranges } = this.network
    while (this.range < ranges.length) {
      const { last } = ranges[this.range]
      while (this.next <= last) {
        const word = this.next++
        if (!this.byAddress.has(word) && !this.reserved.has(word) && !this.isOurs(word)) return word
      }
      this.range++
      this.next = ranges[this.range]?.first ?? 0
    }
    return 0
  }
}
