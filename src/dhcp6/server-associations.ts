/**
 * Identity associations at a server (RFC 8415 section 18.3): what each one in a message is given, goes on with, or loses, as an answer's
 * option says it. There is one lease for each. Temporary addresses (IA_TA) are given to nobody: RFC 9915 has taken them out of DHCPv6.
 */
import { Address, Prefix, parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { BindingState } from '../dhcp/holdings.ts'
import type { Dhcp6Message } from './message.ts'
import { type AssociationValue, type Option6Values, Status6, type StatusValue } from './options.ts'
import { type Binding6, type Pool6, type Pool6Client, same } from './pool.ts'
import type { Asked6 } from './server-asked.ts'
import { SC6 } from './server-counters.ts'
import type { LeaseKind } from './server-options.ts'

/** What happens to leases of a message; those that are kept are `bound` once the store has them. */
export interface Deal {
  readonly kind: LeaseKind
  readonly iaid: number
  /** What the client has now; null: nothing. */
  readonly binding: Binding6 | null
  /** What it named besides, and is to forget. */
  readonly ended: readonly Prefix[]
  readonly status: StatusValue | null
}

/** Seconds; Infinity: for ever. */
export interface Lifetimes {
  readonly preferred: number
  readonly valid: number
}

interface Wish extends Pool6Client {
  readonly kind: LeaseKind
  readonly pools: readonly Pool6[]
  /** What the client has, or would like. */
  readonly named: readonly Prefix[]
  /** The length that it would like; 0: any. */
  readonly length: number
}

const INFINITE = 0xffffffff
/** Of one message: who asks for more takes from others. Clients have one or two of a kind. */
const MAX_ASSOCIATIONS = 32

export class Associations {
  constructor(private readonly n: Float64Array) {}

  /** SOLICIT and REQUEST (sections 18.3.1, 18.3.2): something of what is free. */
  give(asked: Asked6, isRequest: boolean): Deal[] {
    return wishes(asked, this.n).map((wish) => {
      const { kind, named } = wish
      if (isRequest && kind === 'address' && named.some((p) => !isOnLink(asked, p)))
        return this.refused(wish, Status6.NOT_ON_LINK, 'not an address of this link')
      return this.allocated(wish)
    })
  }

  /** RENEW and REBIND (sections 18.3.4, 18.3.5): what the client has, if it has it of us, or may have had it. */
  extend(asked: Asked6, adopts: boolean): Deal[] {
    return wishes(asked, this.n).map((wish) => {
      const { kind, named, pools } = wish
      const kept = pools.map((pool) => pool.kept(wish)).find((b) => b?.state === BindingState.BOUND)
      if (kept !== undefined) return extended(wish, kept)
      if (named.length === 0) return this.allocated(wish)
      if (adopts) {
        const ours = named.filter((p) => pools.some((pool) => pool.inRange(p) || isReserved(pool, wish, p)))
        for (const prefix of ours) {
          const adopted = poolFor(pools, wish, prefix)?.take(prefix, wish) ?? null
          if (adopted !== null) return extended(wish, adopted)
        }
        const gone = kind === 'address' ? named.every((p) => !isOnLink(asked, p)) : ours.length === 0
        if (gone) return { kind, iaid: wish.iaid, binding: null, ended: named, status: null }
      }
      return this.unknown(wish)
    })
  }

  /** RELEASE and DECLINE (sections 18.3.7, 18.3.8): what of the leases named is the client's. */
  end(asked: Asked6, each: (binding: Binding6) => void): Deal[] {
    const deals: Deal[] = []
    for (const wish of wishes(asked, this.n)) {
      const had = wish.pools.map((pool) => pool.of(wish.key)).find((b) => b?.state === BindingState.BOUND)
      if (had === undefined) deals.push(this.unknown(wish))
      else if (wish.named.some((p) => same(p, had.prefix))) each(had)
    }
    return deals
  }

  private allocated(wish: Wish): Deal {
    const binding = allocate(wish)
    if (binding !== null) return { kind: wish.kind, iaid: wish.iaid, binding, ended: [], status: null }
    return wish.kind === 'address'
      ? this.refused(wish, Status6.NO_ADDRS_AVAIL, 'no address left')
      : this.refused(wish, Status6.NO_PREFIX_AVAIL, 'no prefix left')
  }

  private unknown(wish: Wish): Deal {
    return this.refused(wish, Status6.NO_BINDING, 'nothing known of this association')
  }

  private refused({ kind, iaid }: Wish, code: number, message: string): Deal {
    this.n[COUNTERS[code]]++
    return { kind, iaid, binding: null, ended: [], status: { code, message } }
  }
}

const COUNTERS: Readonly<Record<number, number>> = {
  [Status6.NO_ADDRS_AVAIL]: SC6.noAddrsAvail,
  [Status6.NO_PREFIX_AVAIL]: SC6.noPrefixAvail,
  [Status6.NO_BINDING]: SC6.noBinding,
  [Status6.NOT_ON_LINK]: SC6.notOnLink,
}

/** Puts into an answer what was made of the associations of a message. */
export function addDeals(answer: Dhcp6Message, deals: readonly Deal[], times: Lifetimes): void {
  for (const { kind, iaid, binding, ended, status } of deals) {
    const options: Option6Values = status === null ? {} : { status }
    const leases = [
      ...(binding === null ? [] : [{ prefix: binding.prefix, preferred: onWire(times.preferred), valid: onWire(times.valid) }]),
      ...ended.map((prefix) => ({ prefix, preferred: 0, valid: 0 })),
    ]
    if (leases.length > 0 && kind === 'address')
      options.iaAddress = leases.map(({ prefix, ...rest }) => ({ address: `${prefix.address}`, ...rest, options: {} }))
    else if (leases.length > 0)
      options.iaPrefix = leases.map(({ prefix, ...rest }) => ({ prefix: `${prefix}`, ...rest, options: {} }))
    // Section 21.4: T1 and T2 are half and four fifths of the shortest preferred lifetime.
    const [t1, t2] = binding === null ? [0, 0] : [onWire(0.5 * times.preferred), onWire(0.8 * times.preferred)]
    answer.add(kind === 'address' ? 'iaNa' : 'iaPd', { iaid, t1, t2, options })
  }
}

/** CONFIRM (section 18.3.3): whether all addresses are of the link; null: nothing to judge, or nothing to judge it by. */
export function confirmed(asked: Asked6): boolean | null {
  const { m, link } = asked
  const named = [...m.all('iaNa'), ...m.all('iaTa')].flatMap(({ options }) => addressesIn(options))
  if (named.length === 0 || link.prefixes.length === 0) return null
  return named.every((p) => isOnLink(asked, p))
}

/** What is reserved, was had before, or any. */
function allocate(wish: Wish): Binding6 | null {
  const { pools, named, length } = wish
  for (const pool of pools) {
    const reservation = pool.reservationOf(wish)
    if (reservation !== null) return pool.take(reservation, wish)
  }
  for (const pool of pools) {
    const kept = pool.kept(wish)
    if (kept !== undefined) return kept
  }
  for (const wanted of lengthsOf(pools, length)) {
    for (const pool of pools) {
      const binding = pool.allocate(wish, named[0] ?? null, wanted)
      if (binding !== null) return binding
    }
  }
  return null
}

function onWire(seconds: number): number {
  return Number.isFinite(seconds) ? Math.min(INFINITE - 1, Math.floor(seconds)) : INFINITE
}

function extended({ kind, iaid, named }: Wish, binding: Binding6): Deal {
  return { kind, iaid, binding, ended: named.filter((p) => !same(p, binding.prefix)), status: null }
}

function wishes({ m, link, duid, mac }: Asked6, n: Float64Array): Wish[] {
  const wish = (kind: LeaseKind, { iaid }: AssociationValue, named: Prefix[], length: number): Wish => {
    return { kind, pools: link[kind], key: `${duid} ${iaid}`, duid, iaid, mac, named, length }
  }
  const all = [
    ...m.all('iaNa').map((ia) => wish('address', ia, addressesIn(ia.options), 128)),
    ...m.all('iaPd').map((ia) => {
      const all = (ia.options.iaPrefix ?? []).map((p) => parsePrefix(p.prefix))
      const named = all.filter(({ address }) => !address.isUnspecified)
      return wish('prefix', ia, named, all[0]?.length ?? 0)
    }),
  ]
  n[SC6.dropTooManyAssociations] += Math.max(0, all.length - MAX_ASSOCIATIONS)
  return all.slice(0, MAX_ASSOCIATIONS)
}

function addressesIn({ iaAddress = [] }: Option6Values): Prefix[] {
  return iaAddress
    .map(({ address }) => parseAddress(address) ?? new Address())
    .filter((a) => !a.isUnspecified)
    .map((a) => new Prefix(a, 128))
}

function isOnLink({ link }: Asked6, { address }: Prefix): boolean {
  return link.prefixes.some((p) => p.contains(address))
}

function isReserved(pool: Pool6, wish: Wish, prefix: Prefix): boolean {
  const reservation = pool.reservationOf(wish)
  return reservation !== null && same(reservation, prefix)
}

/** Where a client may have something: where it is reserved for it, else where it is given to anybody, if nothing is reserved for it. */
function poolFor(pools: readonly Pool6[], wish: Wish, prefix: Prefix): Pool6 | undefined {
  const reserving = pools.find((pool) => pool.reservationOf(wish) !== null)
  if (reserving !== undefined) return isReserved(reserving, wish, prefix) ? reserving : undefined
  return pools.find((pool) => pool.inRange(prefix))
}

/** RFC 8168 section 3.2: the length asked for, else more than was asked for rather than less; without one, the order of the pools. */
function lengthsOf(pools: readonly Pool6[], wanted: number): number[] {
  const all = [...new Set(pools.map((pool) => pool.length))].filter((n) => n > 0)
  if (wanted === 0) return all
  const more = all.filter((n) => n <= wanted).sort((a, b) => b - a)
  const less = all.filter((n) => n > wanted).sort((a, b) => a - b)
  return [...more, ...less]
}
