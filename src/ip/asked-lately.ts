/**
 * Which addresses were asked for in the last second: what keeps a host from flooding the link with requests (RFC 1122 section
 * 2.3.2.1: no more than one per second and destination), also for destinations that the neighbour cache has pushed out meanwhile.
 *
 * Sets of four records (digest of the address, time). An address whose set is full of recent ones waits as well, so the limit is
 * exact, and all questions together are limited too: to four per set and interval.
 */
const WAYS = 4

export class AskedLately {
  /** digest, time, digest, time, ... */
  private readonly records: Int32Array
  private readonly sets: number

  /** @param sets a power of two  @param intervalMs between two questions for one address  @param now so that none was asked yet */
  constructor(
    sets: number,
    public intervalMs: number,
    now: number,
  ) {
    this.sets = sets
    this.records = new Int32Array(sets * WAYS * 2)
    for (let i = 1; i < this.records.length; i += 2) this.records[i] = now - intervalMs
  }

  /** 0: may be asked for now, and counts as asked for; else how many ms to wait. `hash` chooses the set, `digest` is compared. */
  ask(hash: number, digest: number, now: number): number {
    const { records } = this
    const from = (hash & (this.sets - 1)) * WAYS * 2
    let oldest = from
    let oldestAge = -1
    for (let i = from; i < from + WAYS * 2; i += 2) {
      // A negative age is one that has wrapped: older than any.
      const age = (now - records[i + 1]) >>> 0
      if (records[i] === digest && age < this.intervalMs) return this.intervalMs - age
      if (age > oldestAge) {
        oldest = i
        oldestAge = age
      }
    }
    if (oldestAge < this.intervalMs) return this.intervalMs - oldestAge
    records[oldest] = digest
    records[oldest + 1] = now
    return 0
  }
}
