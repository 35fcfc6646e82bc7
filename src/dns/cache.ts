/**
 * Answers that are remembered for as long as their TTL says, those that something is not there included (RFC 2308). Bounded in number and
 * in bytes; of too many the one that was asked for longest ago goes.
 */
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import type { DnsConfig } from '../base/dns-config.ts'
import { C } from './counters.ts'
import type { Outcome } from './outcome.ts'
import type { ResourceRecord } from './records.ts'

/** Clocks wrap after 24 days: what is old must be thrown away before that, even when nobody asks. */
const SWEEP_MS = 3_600_000

interface Entry {
  readonly outcome: Outcome
  /** Of the message it came with: what an entry costs, near enough. */
  readonly bytes: number
  readonly storedMs: number
  readonly expiresMs: number
}

export class Cache implements Task {
  /** In the order of their last use. */
  private readonly entries = new Map<string, Entry>()
  private bytes = 0
  private timer: TimerHandle | null = null

  constructor(
    private readonly host: Host,
    private readonly config: DnsConfig,
    private readonly counts: Float64Array,
  ) {}

  get size(): number {
    return this.entries.size
  }

  /** What is known of a question now, its records with the TTL that is left; null: nothing. */
  find(key: string): Outcome | null {
    const entry = this.entries.get(key)
    if (entry === undefined) return null
    const now = this.host.ms()
    if (((entry.expiresMs - now) | 0) <= 0) {
      this.drop(key, entry)
      this.counts[C.cacheExpired]++
      return null
    }
    this.entries.delete(key)
    this.entries.set(key, entry)
    const age = Math.floor(((now - entry.storedMs) | 0) / 1000)
    const { outcome } = entry
    if (age === 0) return outcome
    const aged = (records: readonly ResourceRecord[]): ResourceRecord[] => records.map((r) => older(r, age))
    const [soa] = outcome.soa === undefined ? [] : aged([outcome.soa])
    return { ...outcome, records: aged(outcome.records), chain: aged(outcome.chain ?? []), soa, ttl: outcome.ttl - age }
  }

  /** Remembers an outcome for as long as it says itself, within the bounds of the configuration. */
  store(key: string, outcome: Outcome, bytes: number): void {
    const { cacheEntries, cacheBytes, cacheMinSeconds, cacheMaxSeconds, negativeMaxSeconds } = this.config
    const most = outcome.code === '' ? cacheMaxSeconds : Math.min(cacheMaxSeconds, negativeMaxSeconds)
    // What must not be remembered at all (a TTL of zero) is not, unless the user says otherwise.
    const seconds = Math.min(Math.max(outcome.ttl, outcome.code === '' ? cacheMinSeconds : 0), most)
    if (seconds <= 0 || cacheEntries === 0 || bytes > cacheBytes) return
    const old = this.entries.get(key)
    if (old !== undefined) this.drop(key, old)
    const now = this.host.ms()
    this.entries.set(key, { outcome, bytes, storedMs: now, expiresMs: (now + seconds * 1000) | 0 })
    this.bytes += bytes
    for (const [first, entry] of this.entries) {
      if (this.entries.size <= cacheEntries && this.bytes <= cacheBytes) break
      this.drop(first, entry)
      this.counts[C.cacheEvicted]++
    }
    this.timer ??= this.host.after(SWEEP_MS, this)
  }

  clear(): void {
    this.entries.clear()
    this.bytes = 0
    if (this.timer !== null) this.host.cancel(this.timer)
    this.timer = null
  }

  /** Time to look for what is old. */
  run(): void {
    const now = this.host.ms()
    for (const [key, entry] of this.entries) {
      if (((entry.expiresMs - now) | 0) > 0) continue
      this.drop(key, entry)
      this.counts[C.cacheExpired]++
    }
    this.timer = this.entries.size > 0 ? this.host.after(SWEEP_MS, this) : null
  }

  private drop(key: string, entry: Entry): void {
    this.entries.delete(key)
    this.bytes -= entry.bytes
  }
}

function older(record: ResourceRecord, seconds: number): ResourceRecord {
  return { ...record, ttl: Math.max(0, record.ttl - seconds) }
}
