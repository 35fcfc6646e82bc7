/**
 * What a DHCPv6 server gives of one kind on one link: addresses, or prefixes to delegate. Who has one is an association of a client (DUID and
 * IAID). Small ranges are given in order; large ones at random, so that nobody finds hosts by counting (RFC 7824 section 4), and what is
 * remembered of them is bounded.
 */
import type { Prefix } from '../base/address.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { LeaseClock } from '../dhcp/clock.ts'
import { BindingState, Holding, Holdings } from '../dhcp/holdings.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Lease6Record, LeaseKind } from './server-options.ts'
import type { Span } from './span.ts'

/** Up to so many are given in order. */
const IN_ORDER = 1n << 16n
/** Draws from a large range before it counts as full. */
const MAX_DRAWS = 16

/** An address or a prefix, and its client. */
export class Binding6 extends Holding {
  hostname: string | null = null
  /** By whom a prefix is reached; null: nobody on a link of ours. */
  via: string | null = null

  constructor(
    readonly pool: Pool6,
    readonly prefix: Prefix,
    key: string,
    public duid: string,
    public iaid: number,
  ) {
    super(pool, key)
  }

  get record(): Lease6Record {
    const { pool, prefix, duid, iaid, hostname, via, leaseState: state, leaseEnd: expiresAt } = this
    return { kind: pool.kind, address: slotText(pool.kind, prefix), duid, iaid, hostname, via, state, expiresAt }
  }
}

/** Who asks for what. */
export interface Pool6Client {
  /** Of DUID and IAID. */
  readonly key: string
  readonly duid: string
  readonly iaid: number
  /** Empty: not known. */
  readonly mac: string
}

export interface Pool6Dependencies {
  timers: Timers
  clock: NeighborClock
  time: LeaseClock
  random: Random
  /** Addresses and prefixes that are remembered. */
  maxHeld: number
  /** An address, or one in the prefix, is our own. */
  isOurs: (prefix: Prefix) => boolean
  over: (binding: Binding6, was: number) => void
}

export class Pool6 extends Holdings<string, Binding6> {
  /** By client: those with a DUID as `d...`, those with a link address as `m...`. */
  readonly reservations = new Map<string, Prefix>()
  private readonly reserved = new Set<string>()
  /** Of each span, the next that was never given. */
  private readonly next: bigint[]

  constructor(
    readonly kind: LeaseKind,
    /** All of one length. */
    readonly spans: readonly Span[],
    private readonly deps: Pool6Dependencies,
  ) {
    super(deps.timers, deps.clock, deps.time, deps.over)
    this.next = spans.map(() => 0n)
  }

  /** Of what it gives: 128 for addresses; 0: only what is reserved. */
  get length(): number {
    return this.spans[0]?.length ?? 0
  }

  /** It is that client's alone from now on. */
  reserve(client: string, prefix: Prefix): void {
    this.reservations.set(client, prefix)
    this.reserved.add(slotText(this.kind, prefix))
  }

  /** What is reserved for a client, unless another association of it has that already, or a stranger. */
  reservationOf({ duid, mac, key }: Pool6Client): Prefix | null {
    const prefix = this.reservations.get(`d${duid}`) ?? this.reservations.get(`m${mac}`)
    if (prefix === undefined) return null
    const { state = BindingState.FREE, key: holder = key } = this.at(slotText(this.kind, prefix)) ?? {}
    const isTaken = state === BindingState.ABANDONED || (holder !== key && state !== BindingState.FREE)
    return isTaken ? null : prefix
  }

  /** What a client has here and may keep; undefined: nothing. */
  kept(client: Pool6Client): Binding6 | undefined {
    const had = this.of(client.key)
    if (had === undefined || had.state === BindingState.ABANDONED) return undefined
    const reservation = this.reservationOf(client)
    const may = reservation === null ? this.inRange(had.prefix) : same(reservation, had.prefix)
    return may ? had : undefined
  }

  /** Something for a client that has nothing: what it asks for, or any of that length; null: there is none. */
  allocate(client: Pool6Client, wanted: Prefix | null, length: number): Binding6 | null {
    if (length !== this.length) return null
    if (wanted !== null && this.inRange(wanted)) {
      const taken = this.take(wanted, client)
      if (taken !== null) return taken
    }
    const fresh = this.unused()
    if (fresh !== null) return this.take(fresh, client)
    for (const { prefix } of this.free) {
      const taken = this.inRange(prefix) ? this.take(prefix, client) : null
      if (taken !== null) return taken
    }
    return null
  }

  /** Gives something to a client; null when it is another's. */
  take(prefix: Prefix, { key, duid, iaid }: Pool6Client): Binding6 | null {
    const slot = slotText(this.kind, prefix)
    if (this.deps.isOurs(prefix) || (this.at(slot) === undefined && this.isFull)) return null
    const binding = this.claim(slot, key, () => new Binding6(this, prefix, key, duid, iaid))
    if (binding === null) return null
    binding.duid = duid
    binding.iaid = iaid
    return binding
  }

  /** Whether it may be given to anybody who has no reservation. */
  inRange(prefix: Prefix): boolean {
    return this.spans.some((span) => span.has(prefix)) && !this.reserved.has(slotText(this.kind, prefix))
  }

  /** As it was stored. */
  restore(record: Lease6Record, prefix: Prefix, key: string): Binding6 {
    const binding = new Binding6(this, prefix, key, record.duid, record.iaid)
    binding.hostname = record.hostname
    binding.via = record.via
    this.putBack(slotText(this.kind, prefix), binding, record.state, record.expiresAt)
    return binding
  }

  private get isFull(): boolean {
    return this.bySlot.size >= this.deps.maxHeld
  }

  private unused(): Prefix | null {
    if (this.isFull) return null
    for (const [i, span] of this.spans.entries()) {
      if (span.count > IN_ORDER) {
        for (let n = 0; n < MAX_DRAWS; n++) {
          const drawn = span.at(this.draw() % span.count)
          if (this.isUnused(drawn)) return drawn
        }
      } else
        while (this.next[i] < span.count) {
          const prefix = span.at(this.next[i]++)
          if (this.isUnused(prefix)) return prefix
        }
    }
    return null
  }

  private isUnused(prefix: Prefix): boolean {
    const slot = slotText(this.kind, prefix)
    return this.at(slot) === undefined && !this.reserved.has(slot) && !this.deps.isOurs(prefix)
  }

  /** 128 random bits. */
  private draw(): bigint {
    let n = 0n
    for (let i = 0; i < 4; i++) n = (n << 32n) | BigInt(this.deps.random.int32() >>> 0)
    return n
  }
}

/** `fd00::100`, `fd00:1:0:100::/56` */
export function slotText(kind: LeaseKind, prefix: Prefix): string {
  return kind === 'address' ? `${prefix.address}` : `${prefix}`
}

export function same(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && a.address.equals(b.address)
}
