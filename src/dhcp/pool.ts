/** The addresses of one network of a server. Those never given are taken in order, then those that have been free for the longest. */
import { Address, formatIPv4 } from '../base/address.ts'
import { hex } from '../base/bytes.ts'
import type { Timers } from '../base/timers.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { LeaseClock } from './clock.ts'
import { BindingState, Holding, Holdings } from './holdings.ts'
import type { LeaseRecord, ServedNetwork } from './server-options.ts'

/** An address and its client. */
export class Binding extends Holding {
  hostname: string | null = null

  constructor(
    readonly pool: Pool,
    /** Unsigned. */
    readonly word: number,
    key: string,
    public mac: string,
    public clientId: string | null,
  ) {
    super(pool, key)
  }

  get address(): Address {
    return Address.v4(this.word)
  }

  get record(): LeaseRecord {
    const { mac, clientId, hostname, leaseState: state, leaseEnd: expiresAt } = this
    return { address: formatIPv4(this.word | 0), mac, clientId, hostname, state, expiresAt }
  }
}

/** Who asks. */
export interface PoolClient {
  readonly key: string
  readonly mac: string
  readonly clientId: Uint8Array | undefined
}

export class Pool extends Holdings<number, Binding> {
  private readonly reserved = new Set<number>()
  /** The next address that was never given: which range, and which in it. */
  private range = 0
  private next: number

  constructor(
    readonly network: ServedNetwork,
    timers: Timers,
    clock: NeighborClock,
    time: LeaseClock,
    /** Addresses that are our own. */
    private readonly isOurs: (word: number) => boolean,
    onOver: (binding: Binding, was: number) => void,
  ) {
    super(timers, clock, time, onOver)
    for (const { word } of network.reservations.values()) this.reserved.add(word)
    this.next = network.ranges[0]?.first ?? 0
  }

  /** The address for a client: reserved, had before, asked for, or any; null: there is none. It belongs to the client from now on. */
  allocate(client: PoolClient, wanted: number): Binding | null {
    const reservation = this.reservationOf(client)
    if (reservation !== undefined) return this.take(reservation.word, client)
    const had = this.of(client.key)
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
  take(word: number, { key, mac, clientId }: PoolClient): Binding | null {
    const binding = this.isOurs(word) ? null : this.claim(word, key, () => new Binding(this, word, key, mac, null))
    if (binding === null) return null
    binding.mac = mac
    binding.clientId = clientId === undefined ? null : hex(clientId)
    return binding
  }

  /** Whether it may be given to anybody who has no reservation. */
  inRange(word: number): boolean {
    return !this.reserved.has(word) && this.network.ranges.some(({ first, last }) => word >= first && word <= last)
  }

  /** As it was stored. */
  restore(record: LeaseRecord, word: number, key: string): void {
    const binding = new Binding(this, word, key, record.mac, record.clientId)
    binding.hostname = record.hostname
    this.putBack(word, binding, record.state, record.expiresAt)
  }

  private unused(): number {
    const { ranges } = this.network
    while (this.range < ranges.length) {
      const { last } = ranges[this.range]
      while (this.next <= last) {
        const word = this.next++
        if (this.at(word) === undefined && !this.reserved.has(word) && !this.isOurs(word)) return word
      }
      this.range++
      this.next = ranges[this.range]?.first ?? 0
    }
    return 0
  }
}
