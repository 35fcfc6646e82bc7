/**
 * Results that come by themselves, for somebody who asks by `for await`. What is behind begins with the first `next()`, and ends with the last
 * result, with `break`, with the caller's signal or with the stack.
 */

import type { AbortLike } from '../base/abort.ts'
import type { Host } from '../base/clock.ts'
import { NetError } from '../base/errors.ts'

/** What brings the results. */
export interface Source {
  /** Throws what stands against beginning. */
  begin(): void
  /** Called once, if `begin` was. */
  stop(): void
}

interface Waiting<T> {
  resolve(result: IteratorResult<T>): void
  reject(reason: unknown): void
}

export class Results<T> implements AsyncIterableIterator<T> {
  private readonly results: T[] = []
  private readonly waiting: Waiting<T>[] = []
  private started = false
  private running = false
  private ended = false
  private failure: { reason: unknown } | null = null

  constructor(
    private readonly source: Source,
    private readonly host: Host,
    /** Those of the stack that end with it. */
    private readonly owned: Set<{ stackClosed(): void }>,
    private readonly signal: AbortLike | null,
  ) {}

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T>> {
    if (!this.started) this.start()
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.settle()
    })
  }

  return(): Promise<IteratorResult<T>> {
    this.started = true
    this.end()
    this.results.length = 0
    this.settle()
    return Promise.resolve({ done: true, value: undefined })
  }

  get isEnded(): boolean {
    return this.ended
  }

  give(result: T): void {
    if (this.ended) return
    this.results.push(result)
    this.settle()
  }

  /** That was the last one. */
  end(): void {
    if (this.ended) return
    this.ended = true
    if (this.running) {
      this.running = false
      this.owned.delete(this)
      this.signal?.removeEventListener('abort', this.abort)
      this.host.release()
      this.source.stop()
    }
    this.settle()
  }

  /** What was given so far, then this. */
  fail(reason: unknown): void {
    if (this.ended) return
    this.failure = { reason }
    this.end()
  }

  stackClosed(): void {
    this.end()
  }

  private start(): void {
    this.started = true
    if (this.signal?.aborted) {
      this.abort()
      return
    }
    this.signal?.addEventListener('abort', this.abort)
    this.owned.add(this)
    this.host.hold()
    this.running = true
    try {
      this.source.begin()
    } catch (error) {
      this.fail(error)
    }
  }

  private readonly abort = (): void => {
    this.fail(this.signal?.reason ?? new NetError('ECANCELED'))
  }

  private settle(): void {
    const { waiting, results } = this
    while (waiting.length > 0) {
      if (results.length > 0) waiting.shift()!.resolve({ done: false, value: results.shift()! })
      else if (this.failure !== null) {
        const { reason } = this.failure
        this.failure = null
        waiting.shift()!.reject(reason)
      } else if (this.ended) waiting.shift()!.resolve({ done: true, value: undefined })
      else break
    }
  }
}
