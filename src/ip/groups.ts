/**
 * The multicast groups of one interface, of both families: what is listened to here, merged from all who listen (RFC 3376 sections 3.1
 * and 3.2, RFC 3810 section 4).
 *
 * Theory of operation. The stack itself joins groups as a whole (`join`, counted: all-hosts, solicited-node groups). Sockets bring a
 * `SourceFilter` each (`listen`), say when it has changed (`refilter`) and take it away (`ignore`). A `GroupState` holds the sum of them: a
 * filter mode and a list of sources, made anew on every change, which is rare; input asks `accepts`, which for a group without lists is one
 * look into a map and two compares. Whoever tells routers of it (IGMP, MLD) listens for changes of the sum. Addresses are compared without
 * zone: the interface is the zone.
 */
import type { Address } from '../base/address.ts'

export const FilterMode = {
  /** Only the sources in the list; INCLUDE with an empty list is not listening. */
  INCLUDE: 0,
  /** All but the sources in the list. */
  EXCLUDE: 1,
} as const

const NO_SOURCES: readonly Address[] = []

/** What one listener wants to hear of one group. */
export class SourceFilter {
  readonly group: Address

  constructor(
    group: Address,
    public mode: number,
    public sources: readonly Address[] = NO_SOURCES,
  ) {
    this.group = group.clone()
  }

  /** True when a packet of this source is wanted. */
  allows(source: Address): boolean {
    return contains(this.sources, source) === (this.mode === FilterMode.INCLUDE)
  }
}

/** The sum of all listeners of one group on one interface. */
export class GroupState {
  readonly group: Address
  mode: number = FilterMode.INCLUDE
  sources: readonly Address[] = NO_SOURCES
  /** Joins as a whole. */
  count = 0
  readonly filters: SourceFilter[] = []
  /** Another one with the same digest. */
  next: GroupState | null = null

  constructor(group: Address) {
    this.group = group.clone()
  }

  /** Nobody listens, or to nobody. */
  get silent(): boolean {
    return this.mode === FilterMode.INCLUDE && this.sources.length === 0
  }

  /** How many listen. */
  get users(): number {
    return this.count + this.filters.length
  }

  /** Puts the filters together (RFC 3376 section 3.2). True when the sum is another than before. */
  merge(): boolean {
    const { filters } = this
    const included: Address[] = []
    let excluded: readonly Address[] | null = this.count > 0 ? NO_SOURCES : null
    for (const f of filters) {
      if (f.mode === FilterMode.INCLUDE) {
        for (const s of f.sources) if (!contains(included, s)) included.push(s)
      } else excluded = excluded === null ? f.sources : excluded.filter((s) => contains(f.sources, s))
    }
    const mode = excluded === null ? FilterMode.INCLUDE : FilterMode.EXCLUDE
    const sources = excluded === null ? included : excluded.filter((s) => !contains(included, s))
    if (mode === this.mode && sources.length === this.sources.length && sources.every((s) => contains(this.sources, s)))
      return false
    this.mode = mode
    this.sources = sources
    return true
  }
}

/** Who tells routers what is listened to: one per family and interface. */
export interface GroupListener {
  /** The sum of a group has changed. `state` is the interface's own. */
  groupChanged(state: GroupState): void
  /** An address of the family may be used now. */
  addressReady(): void
  /** The link came up (again): routers may be others. */
  linkUp(): void
  /** The interface goes. */
  close(): void
}

export class Groups {
  listener4: GroupListener | null = null
  listener6: GroupListener | null = null
  /** By the address's digest, which has no zone in it. */
  private readonly byDigest = new Map<number, GroupState>()

  /** True when packets to the group are for us, whoever sends them. */
  has(group: Address): boolean {
    const state = this.find(group)
    return state !== null && !state.silent
  }

  /** True when packets from `source` to the group are for us. */
  accepts(group: Address, source: Address): boolean {
    const state = this.find(group)
    if (state === null) return false
    if (state.sources.length === 0) return state.mode === FilterMode.EXCLUDE
    return contains(state.sources, source) === (state.mode === FilterMode.INCLUDE)
  }

  /** Joins a group as a whole. Counted: as many `leave` end it. */
  join(group: Address): void {
    const state = this.make(group)
    state.count++
    this.merged(state)
  }

  /** Ends one `join`. False: there was none. */
  leave(group: Address): boolean {
    const state = this.find(group)
    if (state === null || state.count === 0) return false
    state.count--
    this.merged(state)
    return true
  }

  /** Listens to a group as the filter says. The filter is its owner's, who tells of changes by `refilter`. */
  listen(filter: SourceFilter): void {
    const state = this.make(filter.group)
    state.filters.push(filter)
    this.merged(state)
  }

  /** The filter has changed. */
  refilter(filter: SourceFilter): void {
    const state = this.find(filter.group)
    if (state !== null) this.merged(state)
  }

  /** Ends what `listen` began. */
  ignore(filter: SourceFilter): void {
    const state = this.find(filter.group)
    const at = state === null ? -1 : state.filters.indexOf(filter)
    if (state === null || at < 0) return
    state.filters.splice(at, 1)
    this.merged(state)
  }

  /** Every group that somebody listens to, with how. */
  *states(): Generator<GroupState> {
    for (const first of this.byDigest.values()) for (let s: GroupState | null = first; s !== null; s = s.next) yield s
  }

  /** The link came up: routers are told anew. */
  linkUp(): void {
    this.listener4?.linkUp()
    this.listener6?.linkUp()
  }

  /** An address may be used from now on. */
  addressReady(own: Address): void {
    this.listenerOf(own)?.addressReady()
  }

  /** The interface goes: nobody is told any more. */
  close(): void {
    this.listener4?.close()
    this.listener6?.close()
    this.listener4 = null
    this.listener6 = null
  }

  find(group: Address): GroupState | null {
    let state = this.byDigest.get(group.digest) ?? null
    while (state !== null && !sameWords(state.group, group)) state = state.next
    return state
  }

  private make(group: Address): GroupState {
    const known = this.find(group)
    if (known !== null) return known
    const state = new GroupState(group)
    state.group.zone = 0
    const { digest } = group
    state.next = this.byDigest.get(digest) ?? null
    this.byDigest.set(digest, state)
    return state
  }

  private merged(state: GroupState): void {
    const changed = state.merge()
    if (state.users === 0) this.forget(state)
    if (changed) this.listenerOf(state.group)?.groupChanged(state)
  }

  private forget(state: GroupState): void {
    const { digest } = state.group
    let before = this.byDigest.get(digest)!
    if (before === state) {
      if (state.next === null) this.byDigest.delete(digest)
      else this.byDigest.set(digest, state.next)
      return
    }
    while (before.next !== state) before = before.next!
    before.next = state.next
  }

  private listenerOf(a: Address): GroupListener | null {
    return a.isV4 ? this.listener4 : this.listener6
  }
}

/** The same address, whatever its zone. */
export function sameWords(a: Address, b: Address): boolean {
  return a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0
}

export function contains(list: readonly Address[], a: Address): boolean {
  for (let i = 0; i < list.length; i++) if (sameWords(list[i], a)) return true
  return false
}
