/**
 * `for await (const reply of ping(...))`: one result per request, in the order in which things happen, on the host's timers.
 */
import type { AbortLike } from '../base/abort.ts'
import type { Address } from '../base/address.ts'
import type { Task, TimerHandle } from '../base/clock.ts'
import { NetError } from '../base/errors.ts'
import { scopedText } from '../ip/zone.ts'
import { Ping, type PingDependencies, type PingHandler, type PingSettings } from './ping.ts'

export interface PingOptions extends PingSettings {
  /** Requests to send; without end unless given. */
  count?: number
  /** Between two requests, in milliseconds; 1000 unless given. */
  intervalMs?: number
  /** How long an answer is waited for, in milliseconds; 1000 unless given. */
  timeoutMs?: number
  signal?: AbortLike
}

/** An answer. `timeMs` has microseconds behind the point. */
export interface PingReply {
  seq: number
  from: string
  bytes: number
  ttl: number
  timeMs: number
  /** The same request was answered before. */
  duplicate: boolean
  error?: undefined
}

/** No answer. `error`: ETIMEDOUT, or what was reported (EHOSTUNREACH, ...); `from`: by whom, if by someone. */
export interface PingFailure {
  seq: number
  error: string
  from?: string
}

/** What became of one echo request. */
export type PingResult = PingReply | PingFailure

/**
 * Pings `destination` (numbers from 1). Nothing is sent before the first `next()`. Ends after `count` results; `break` and `return()`
 * end it at once, closing the stack ends it after what was told so far; `signal` makes it throw the signal's reason. A request that cannot be sent gives a failure with the code.
 */
export function ping(deps: PingDependencies, destination: Address, options: PingOptions = {}): AsyncIterableIterator<PingResult> {
  return new PingIterator(deps, destination, options)
}

interface Waiting {
  resolve(result: IteratorResult<PingResult>): void
  reject(reason: unknown): void
}

/** Results kept for a consumer who is slower than the network; beyond it the oldest go. */
const MAX_RESULTS = 1024

class PingIterator implements AsyncIterableIterator<PingResult>, PingHandler, Task {
  /** Made with the first `next()`: an iterator that nobody asks holds no identifier. */
  private ping: Ping | null = null
  private readonly count: number
  private readonly intervalMs: number
  private readonly timeoutMs: number
  private readonly signal: AbortLike | null
  private readonly results: PingResult[] = []
  private readonly waiting: Waiting[] = []
  /** Requests without an answer, oldest first. */
  private readonly open: { seq: number; deadline: number }[] = []
  private sent = 0
  private nextSend = 0
  private timer: TimerHandle | null = null
  private started = false
  private ended = false
  /** The process is kept alive for us. */
  private held = false
  private failure: { reason: unknown } | null = null

  constructor(
    private readonly deps: PingDependencies,
    private readonly destination: Address,
    private readonly options: PingOptions,
  ) {
    this.count = options.count ?? Number.POSITIVE_INFINITY
    this.intervalMs = options.intervalMs ?? 1000
    this.timeoutMs = options.timeoutMs ?? 1000
    this.signal = options.signal ?? null
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<PingResult>> {
    if (!this.started) this.start()
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.settle()
    })
  }

  return(): Promise<IteratorResult<PingResult>> {
    this.end()
    this.results.length = 0
    this.settle()
    return Promise.resolve({ done: true, value: undefined })
  }

  onReply(seq: number, rttUs: number, ttl: number, bytes: number, from: Address, duplicate: boolean): void {
    const isOpen = this.answer(seq)
    // An answer after its time-out was already told as one.
    if (!isOpen && !duplicate) return
    this.give({ seq, from: this.named(from), bytes, ttl, timeMs: rttUs / 1000, duplicate })
  }

  onError(seq: number, code: string, from: Address): void {
    if (this.answer(seq)) this.give({ seq, error: code, from: this.named(from) })
  }

  private named(a: Address): string {
    return scopedText(this.deps.icmp.ip, a)
  }

  /** The stack was closed: what was told so far, then the end. */
  onClose(): void {
    this.end()
    this.settle()
  }

  /** The host's timer: a time-out or the next request is due. */
  run(): void {
    this.timer = null
    this.work()
  }

  private start(): void {
    this.started = true
    if (this.signal?.aborted) {
      this.abort()
      return
    }
    try {
      this.ping = new Ping(this.deps, this.destination, this, this.options)
    } catch (error) {
      this.fail(error)
      return
    }
    this.signal?.addEventListener('abort', this.abort)
    this.deps.host.hold()
    this.held = true
    this.nextSend = this.deps.host.ms()
    this.work()
  }

  private work(): void {
    const now = this.deps.host.ms()
    while (!this.ended && this.open.length > 0 && ((this.open[0].deadline - now) | 0) <= 0) {
      this.give({ seq: this.open.shift()!.seq, error: 'ETIMEDOUT' })
    }
    if (!this.ended && this.sent < this.count && ((this.nextSend - now) | 0) <= 0) this.request(now)
    this.finishIfDone()
    if (!this.ended) this.arm(now)
  }

  private request(now: number): void {
    const seq = ++this.sent
    this.nextSend = (now + this.intervalMs) | 0
    try {
      if (this.ping!.send(seq)) this.open.push({ seq, deadline: (now + this.timeoutMs) | 0 })
      else this.give({ seq, error: 'ENOBUFS' })
    } catch (error) {
      if (!(error instanceof NetError)) throw error
      this.give({ seq, error: error.code })
    }
  }

  private arm(now: number): void {
    const { host } = this.deps
    if (this.timer !== null) host.cancel(this.timer)
    let delay = this.sent < this.count ? (this.nextSend - now) | 0 : this.timeoutMs
    if (this.open.length > 0) delay = Math.min(delay, (this.open[0].deadline - now) | 0)
    this.timer = host.after(Math.max(0, delay), this)
  }

  /** Crosses a request off. False: it was answered or timed out before. */
  private answer(seq: number): boolean {
    const at = this.open.findIndex((o) => o.seq === seq)
    if (at < 0) return false
    this.open.splice(at, 1)
    return true
  }

  private give(result: PingResult): void {
    if (this.ended) return
    if (this.results.length >= MAX_RESULTS) this.results.shift()
    this.results.push(result)
    this.finishIfDone()
    this.settle()
  }

  private finishIfDone(): void {
    if (this.sent >= this.count && this.open.length === 0) this.end()
  }

  private readonly abort = (): void => {
    this.fail(this.signal?.reason ?? new NetError('ECANCELED'))
  }

  private fail(reason: unknown): void {
    if (this.ended) return
    this.failure = { reason }
    this.end()
    this.settle()
  }

  private end(): void {
    if (this.ended) return
    this.ended = true
    this.ping?.close()
    this.signal?.removeEventListener('abort', this.abort)
    if (this.timer !== null) this.deps.host.cancel(this.timer)
    this.timer = null
    this.open.length = 0
    if (this.held) this.deps.host.release()
    this.held = false
  }

  /** Gives waiting consumers what there is. */
  private settle(): void {
    while (this.waiting.length > 0) {
      if (this.failure !== null) {
        const { reason } = this.failure
        this.failure = null
        this.waiting.shift()!.reject(reason)
      } else if (this.results.length > 0) this.waiting.shift()!.resolve({ done: false, value: this.results.shift()! })
      else if (this.ended) this.waiting.shift()!.resolve({ done: true, value: undefined })
      else break
    }
  }
}
