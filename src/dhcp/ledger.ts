/**
 * Leases are written down before anybody hears of them. Where a store can make many safe at once (`sync`), all that came in together
 * wait for one: a disk that needs milliseconds for each would keep clients waiting otherwise.
 */

/** What a store must be able to do. */
export interface Recorder<R> {
  /** Returns when the record is safe; where there is `sync`, that may be later. */
  save(record: R): void
  /** Returns when all records saved before are safe. */
  sync?(): void
}

export class Ledger<R> {
  /** What may be said once the store has synced. */
  private readonly waiting: (() => void)[] = []

  constructor(
    private readonly store: Recorder<R> | undefined,
    /** The store threw: so many promises are not kept. */
    private readonly failed: (error: unknown, promises: number) => void,
  ) {}

  /** Calls `then` once the records are safe: now, or by `settle`. Never, when the store cannot keep them. */
  save(records: readonly R[], then?: () => void): void {
    try {
      for (const record of records) this.store?.save(record)
    } catch (error) {
      this.failed(error, 1)
      return
    }
    if (then === undefined) return
    if (this.store?.sync === undefined) then()
    else this.waiting.push(then)
  }

  /** At the end of everything that may have saved. */
  settle(): void {
    const { waiting } = this
    if (waiting.length === 0) return
    const promises = waiting.splice(0)
    try {
      this.store?.sync?.()
    } catch (error) {
      this.failed(error, promises.length)
      return
    }
    for (const keep of promises) keep()
  }
}
