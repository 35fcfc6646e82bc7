/**
 * What was heard on one link (sections 5.2, 10.1 to 10.3 of RFC 6762).
 *
 * Theory of operation. Every record of every answer is kept for its TTL, asked for or not: additional records are what the next question
 * would be. A record for which somebody waits is asked for again at 80, 85, 90 and 95 % of its life, so that it ends only when nobody says it
 * any more. One with TTL 0, and one of a set that somebody says is whole without it, end a second later. A full cache takes what somebody waits
 * for in place of what nobody does, and nothing else: whoever floods the link pushes out nobody's services.
 */
import type { MdnsConfig } from '../base/mdns-config.ts'
import type { Random } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { ResourceRecord, TypeName } from '../dns/records.ts'
import { C } from './counters.ts'
import { FLUSH, recordKey, setKey } from './record.ts'
import { between } from './site.ts'

/** Parts of a thousand of a record's life at which it is asked for again; up to 20 more by chance (section 5.2). */
const REFRESH = [800, 850, 900, 950]
const REFRESH_SPREAD = 20
/** Records of a whole set that came so long ago belong to it (section 10.2). */
const FLUSH_AGE_MS = 1000

export interface CacheOwner {
  readonly timers: Timers
  readonly random: Random
  readonly config: MdnsConfig
  readonly counts: Float64Array
  /** Somebody waits for records of this set. */
  wanted(key: string): boolean
  /** A record that somebody waits for is old. */
  refresh(key: string, now: number): void
  /** Records of that name came or went. */
  changed(name: string): void
  /** The last record of a set has gone. */
  lost(key: string): void
}

export class Entry extends Timed {
  bornMs = 0
  ttlMs = 0
  /** It has been taken back, or flushed. */
  isLeaving = false
  private stage = 0

  constructor(
    private readonly cache: Cache,
    readonly key: string,
    readonly set: string,
    public record: ResourceRecord,
  ) {
    super()
  }

  /** Milliseconds that it has still to live. */
  left(now: number): number {
    return this.ttlMs - ((now - this.bornMs) | 0)
  }

  /** The set is whole: nobody else has more of it. */
  get isUnique(): boolean {
    return (this.record.class & FLUSH) !== 0
  }

  /** It was said, now. */
  renew(record: ResourceRecord, now: number): void {
    const { owner } = this.cache
    this.record = record
    this.bornMs = now
    this.ttlMs = Math.min(record.ttl, owner.config.cacheMaxSeconds) * 1000
    this.isLeaving = false
    this.stage = 0
    this.schedule(now)
  }

  /** It ends after `ms`, unless it is said again. */
  leave(now: number, ms: number): void {
    if (this.isLeaving && this.left(now) <= ms) return
    this.bornMs = now
    this.ttlMs = ms
    this.isLeaving = true
    this.schedule(now)
  }

  /** The next moment to look at it. */
  schedule(now: number): void {
    const { owner } = this.cache
    let at = this.ttlMs
    if (!this.isLeaving && owner.wanted(this.set)) {
      const age = (now - this.bornMs) | 0
      while (this.stage < REFRESH.length && (this.ttlMs * REFRESH[this.stage]) / 1000 < age) this.stage++
      if (this.stage < REFRESH.length)
        at = Math.floor((this.ttlMs * (REFRESH[this.stage] + between(owner.random, 0, REFRESH_SPREAD))) / 1000)
    }
    owner.timers.arm(this, (this.bornMs + at) | 0)
  }

  override onTimer(now: number): void {
    const { owner } = this.cache
    if (this.left(now) <= 0) {
      if (!this.isLeaving) owner.counts[C.cacheExpired]++
      this.cache.drop(this)
      return
    }
    this.stage++
    this.schedule(now)
    owner.refresh(this.set, now)
  }
}

export class Cache {
  private readonly sets = new Map<string, Map<string, Entry>>()
  private count = 0

  constructor(readonly owner: CacheOwner) {}

  get size(): number {
    return this.count
  }

  /** Records of a name and type that are alive. */
  find(name: string, type: TypeName): Entry[] {
    const set = this.sets.get(setKey(name, type))
    return set === undefined ? [] : [...set.values()]
  }

  /** All records of one message. */
  absorb(records: readonly ResourceRecord[], now: number): void {
    const whole = new Set<string>()
    for (const record of records) {
      this.take(record, now)
      if ((record.class & FLUSH) !== 0 && record.ttl > 0) whole.add(setKey(record.name, record.type))
    }
    for (const key of whole) this.flush(key, now)
  }

  /** Somebody began to wait for a set: its records are kept alive from now on. */
  keep(key: string, now: number): void {
    for (const entry of this.sets.get(key)?.values() ?? []) entry.schedule(now)
  }

  drop(entry: Entry): void {
    const set = this.sets.get(entry.set)
    if (set?.delete(entry.key) !== true) return
    this.owner.timers.remove(entry)
    this.count--
    if (set.size === 0) {
      this.sets.delete(entry.set)
      this.owner.lost(entry.set)
    }
    this.owner.changed(entry.record.name)
  }

  clear(): void {
    for (const set of [...this.sets.values()]) for (const entry of [...set.values()]) this.drop(entry)
  }

  private take(record: ResourceRecord, now: number): void {
    const { config, counts } = this.owner
    const key = recordKey(record)
    const set = setKey(record.name, record.type)
    const had = this.sets.get(set)?.get(key)
    if (record.ttl === 0) {
      // Section 10.1: whoever takes it back may be wrong, and others have a second to say so.
      if (had === undefined) return
      counts[C.goodbyes]++
      had.leave(now, config.goodbyeMs)
      return
    }
    if (had !== undefined) {
      had.renew(record, now)
      return
    }
    if (this.count >= config.cacheEntries && !this.makeRoom(set)) {
      counts[C.cacheFull]++
      return
    }
    const entry = new Entry(this, key, set, record)
    const entries = this.sets.get(set)
    if (entries === undefined) this.sets.set(set, new Map([[key, entry]]))
    else entries.set(key, entry)
    this.count++
    entry.renew(record, now)
    this.owner.changed(record.name)
  }

  /** What is in a set that was said to be whole, and not said with it, ends (section 10.2). */
  private flush(key: string, now: number): void {
    for (const entry of this.sets.get(key)?.values() ?? []) {
      if (((now - entry.bornMs) | 0) <= FLUSH_AGE_MS || entry.isLeaving) continue
      this.owner.counts[C.cacheFlushed]++
      entry.leave(now, this.owner.config.goodbyeMs)
    }
  }

  /** False: nobody waits for this one either, or for all that is here somebody does. */
  private makeRoom(forSet: string): boolean {
    if (!this.owner.wanted(forSet)) return false
    for (const [key, set] of this.sets) {
      if (this.owner.wanted(key)) continue
      this.owner.counts[C.cacheEvicted]++
      for (const entry of [...set.values()]) this.drop(entry)
      return true
    }
    return false
  }
}
