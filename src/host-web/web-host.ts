/**
 * The host of a stack wherever JavaScript runs: browsers, workers, Deno, Bun (and Node, when only `tapstack/core` is wanted).
 *
 * Theory of operation. `soon` collects tasks in one list that a single microtask works off. Two stacks that talk over a pipe would
 * keep the microtask queue busy for ever, so after `ROW` rounds in a row the next one goes through the event loop: by `setImmediate`
 * where there is one, else by a message to ourselves, because browsers delay nested timers by 4 ms. Timers check the clock when they
 * fire, since platforms round it; where a timer can keep a process alive, ours do not, and what does is one interval that is there
 * while somebody holds.
 *
 * The core knows no DOM types: what is used of the global object is declared here.
 */
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import type { Random } from '../base/random.ts'

interface Port {
  postMessage(message: null): void
  onmessage: (() => void) | null
  unref?(): void
}

/** What a platform's timers and channels look like. */
export interface WebPlatform {
  setTimeout(run: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  setInterval(run: () => void, ms: number): unknown
  clearInterval(timer: unknown): void
  queueMicrotask(run: () => void): void
  readonly performance: { now(): number; readonly timeOrigin: number }
  readonly crypto: { getRandomValues(words: Int32Array): unknown }
  setImmediate?(run: () => void): unknown
  readonly MessageChannel?: new () => { port1: Port; port2: Port }
  reportError?(error: unknown): void
  /** Deno's timers are numbers: this is how they let go of the process. */
  readonly Deno?: { unrefTimer?(timer: unknown): void }
}

/** Rounds of `soon` that may follow each other without a look at the event loop. */
const ROW = 128
/** The longest delay that setTimeout takes. */
const LONGEST_MS = 0x7fffffff

class WebTimer {
  timer: unknown
  private readonly due: number

  constructor(
    private readonly web: WebPlatform,
    delayMs: number,
    private readonly task: Task,
  ) {
    this.due = web.performance.now() + delayMs
    this.timer = this.start(delayMs)
  }

  private start(delayMs: number): unknown {
    const timer = this.web.setTimeout(() => this.fire(), Math.min(Math.max(Math.ceil(delayMs), 0), LONGEST_MS))
    if (typeof timer === 'object') (timer as { unref?(): void }).unref?.()
    else this.web.Deno?.unrefTimer?.(timer)
    return timer
  }

  private fire(): void {
    const rest = this.due - this.web.performance.now()
    if (rest > 0) this.timer = this.start(rest)
    else this.task.run()
  }
}

/** The host where there is no Node: clock and timers of the platform, by its standard names. */
export class WebHost implements Host {
  private tasks: Task[] = []
  private spare: Task[] = []
  private scheduled = false
  /** Rounds since the event loop turned. */
  private row = 0
  private holders = 0
  private keeper: unknown = null
  private readonly microtask: () => void
  private readonly later: () => void

  constructor(private readonly web: WebPlatform = globalThis as unknown as WebPlatform) {
    this.microtask = () => this.round()
    this.later = breaker(web, () => {
      this.row = 0
      this.round()
    })
  }

  ms(): number {
    return this.web.performance.now() | 0
  }

  us(): number {
    return (this.web.performance.now() * 1000) | 0
  }

  wallNs(): bigint {
    const { performance } = this.web
    // In two parts: nanoseconds since 1970 are more than a double holds.
    const ms = performance.timeOrigin + performance.now()
    const whole = Math.floor(ms)
    return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1e6))
  }

  soon(task: Task): void {
    this.tasks.push(task)
    if (this.scheduled) return
    this.scheduled = true
    if (this.row < ROW) this.web.queueMicrotask(this.microtask)
    else this.later()
  }

  after(delayMs: number, task: Task): TimerHandle {
    return new WebTimer(this.web, delayMs, task)
  }

  cancel(handle: TimerHandle): void {
    if (handle instanceof WebTimer) this.web.clearTimeout(handle.timer)
  }

  hold(): void {
    if (this.holders++ === 0) this.keeper = this.web.setInterval(() => undefined, LONGEST_MS)
  }

  release(): void {
    if (this.holders > 0 && --this.holders === 0) this.web.clearInterval(this.keeper)
  }

  uncaught(error: unknown): void {
    if (this.web.reportError !== undefined) this.web.reportError(error)
    else {
      this.web.setTimeout(() => {
        throw error
      }, 0)
    }
  }

  /** Runs what was asked for up to now. What the tasks ask for comes in the next round. */
  private round(): void {
    this.scheduled = false
    const { tasks } = this
    this.tasks = this.spare
    this.spare = tasks
    this.row++
    for (let i = 0; i < tasks.length; i++) {
      try {
        tasks[i].run()
      } catch (error) {
        this.uncaught(error)
      }
    }
    tasks.length = 0
  }
}

/** A function that makes `run` happen after the event loop has turned. */
function breaker(web: WebPlatform, run: () => void): () => void {
  if (web.setImmediate !== undefined) return () => web.setImmediate!(run)
  if (web.MessageChannel === undefined) return () => web.setTimeout(run, 0)
  let port: Port | null = null
  return () => {
    // Made when first needed: an open channel keeps some platforms busy.
    if (port === null) {
      const channel = new web.MessageChannel!()
      channel.port1.onmessage = run
      channel.port1.unref?.()
      port = channel.port2
    }
    port.postMessage(null)
  }
}

/** The platform's generator for secrets, asked for 1 KiB at a time. */
export class WebRandom implements Random {
  private readonly words = new Int32Array(256)
  private next = 256

  constructor(private readonly web: Pick<WebPlatform, 'crypto'> = globalThis as unknown as WebPlatform) {}

  int32(): number {
    if (this.next === 256) {
      this.web.crypto.getRandomValues(this.words)
      this.next = 0
    }
    const i = this.next++
    const word = this.words[i]
    this.words[i] = 0 // a word given away stays nowhere
    return word
  }
}
