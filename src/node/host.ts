/**
 * Node as the host of a stack: its clocks, timers, queues and generator of random bits, behind the `Host` interface.
 *
 * Theory of operation. `soon` collects tasks in one list that a single microtask works off: a turn asked for after an `await` runs
 * before the event loop goes on. Once a promise was settled that the application waits for, its turn comes first: what it reads later is no longer in
 * the processor's cache, and the ring that keeps it grows. Two stacks that talk over a pipe would keep the microtask queue busy for ever that way, and neither
 * timers nor descriptors would be looked at; so after `ROW` rounds, or `ROW_US` of work, in a row the next round goes through
 * `setImmediate`, which lets the loop turn once. Timers are unref'd `setTimeout`s that check the clock when they fire, because
 * libuv counts from the time at which its loop turned last and therefore may be early. What keeps the process alive is one interval
 * that is ref'd while somebody holds.
 */
import { randomFillSync } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Host, Task, TimerHandle, WritableClock } from '../base/clock.ts'
import { promised } from '../base/promised.ts'
import type { Random } from '../base/random.ts'
import { ownChunk } from './chunk.ts'
import { loop } from './loop.ts'

/** Rounds of `soon` that may follow each other without a look at the event loop. */
const ROW = 128
/** Rounds that one microtask works off at most: promises of the application are looked at in between. */
const ROUNDS = 8
/** Microtasks that a round waits for the application's promises: as many as it takes to read from a stream of the web twice, and to write. */
const HOPS = 12
/** Microseconds of work that may be done in a row. */
const ROW_US = 4_000
/** A gap of this many microseconds between two rounds means that the loop was idle in between, not that a round took so long. */
const IDLE_US = 500
/** The longest delay that setTimeout takes; more would become 1 ms. */
const LONGEST_MS = 0x7fffffff

const settled = Promise.resolve()

class NodeTimer {
  /** The time of `performance.now()` before which the task must not run. */
  readonly due: number
  readonly task: Task
  timeout: NodeJS.Timeout

  constructor(delayMs: number, task: Task) {
    this.due = performance.now() + delayMs
    this.task = task
    this.timeout = this.start(delayMs)
  }

  private start(delayMs: number): NodeJS.Timeout {
    return setTimeout(fire, Math.min(Math.max(Math.ceil(delayMs), 0), LONGEST_MS), this).unref()
  }

  fire(): void {
    const rest = this.due - performance.now()
    if (rest > 0) this.timeout = this.start(rest)
    else {
      loop.answers = loop.sent
      this.task.run()
    }
  }
}

function fire(timer: NodeTimer): void {
  timer.fire()
}

function idle(): void {}

/** The host on Node: clock, timers, and what keeps the process alive. `nodeHost` is one. */
export class NodeHost implements Host {
  /** Two arrays that only grow: one is filled while the other is worked off. */
  private tasks: (Task | null)[] = []
  private spare: (Task | null)[] = []
  private count = 0
  private scheduled = false
  /** Rounds and microseconds since the event loop turned. */
  private row = 0
  private rowUs = 0
  private lastUs = 0
  /** Microtasks that the next round lets pass. */
  private hops = 0
  private holders = 0
  private keeper: NodeJS.Timeout | null = null
  /** What `hrtime` lacks to nanoseconds since 1970. */
  private wallOffset = 0n
  private readonly microtask: () => void
  private readonly immediate: () => void

  constructor() {
    this.microtask = () => {
      if (this.hops-- > 0) settled.then(this.microtask)
      else this.round()
    }
    this.immediate = () => {
      this.row = 0
      this.rowUs = 0
      this.round()
    }
  }

  ms(): number {
    return performance.now() | 0
  }

  us(): number {
    return (performance.now() * 1000) | 0
  }

  wallNs(): bigint {
    const monotonic = process.hrtime.bigint()
    // The system's clock may be set while we run: start again from it when the two are more than 20 ms apart.
    const off = Number((monotonic + this.wallOffset) / 1_000_000n) - Date.now()
    if (off > 20 || off < -20) this.anchor()
    return monotonic + this.wallOffset
  }

  /** Reads both clocks together; again when the machine did something else in between. */
  private anchor(): void {
    for (let attempt = 0; attempt < 10; attempt++) {
      const before = process.hrtime.bigint()
      const wall = BigInt(Date.now()) * 1_000_000n
      const after = process.hrtime.bigint()
      const apart = wall - after - this.wallOffset
      if (attempt === 0 && apart < 20_000_000n && apart > -20_000_000n) return // it was we who were away, not the clock
      this.wallOffset = wall - after
      if (after - before < 100_000n) return
    }
  }

  read(clock: WritableClock): void {
    const now = performance.now()
    clock.nowMs = now | 0
    clock.nowUs = (now * 1000) | 0
  }

  soon(task: Task): void {
    this.tasks[this.count++] = task
    if (!this.scheduled) this.schedule()
  }

  after(delayMs: number, task: Task): TimerHandle {
    return new NodeTimer(delayMs, task)
  }

  cancel(handle: TimerHandle): void {
    clearTimeout((handle as NodeTimer).timeout)
  }

  hold(): void {
    if (this.holders++ > 0) return
    if (this.keeper === null) this.keeper = setInterval(idle, LONGEST_MS)
    else this.keeper.ref()
  }

  release(): void {
    if (this.holders > 0 && --this.holders === 0) this.keeper?.unref()
  }

  memory(bytes: number): Uint8Array<ArrayBuffer> {
    return ownChunk(bytes)
  }

  uncaught(error: unknown): void {
    // Not a microtask: what a promise callback throws is an unhandled rejection, another event than 'uncaughtException'.
    process.nextTick(rethrow, error)
  }

  /**
   * Runs what was asked for, and what the tasks ask for meanwhile, a few rounds at a time: two stacks that answer each other need no
   * microtask for every answer, and promises that the application waits for are still looked at often.
   */
  private round(): void {
    const now = this.us()
    const gap = (now - this.lastUs) | 0
    this.lastUs = now
    if (gap > 0 && gap < IDLE_US) this.rowUs += gap
    promised.settled = false
    for (let rounds = 0; rounds < ROUNDS && this.count > 0 && !promised.settled; rounds++) {
      const tasks = this.tasks
      const n = this.count
      this.tasks = this.spare
      this.spare = tasks
      this.count = 0
      this.row++
      for (let i = 0; i < n; i++) {
        const task = tasks[i]!
        tasks[i] = null
        loop.answers = loop.sent
        try {
          task.run()
        } catch (error) {
          this.uncaught(error)
        }
      }
    }
    this.scheduled = false
    if (this.count > 0) this.schedule()
  }

  private schedule(): void {
    this.scheduled = true
    if (this.row < ROW && this.rowUs < ROW_US) {
      this.hops = promised.settled ? HOPS : 0
      settled.then(this.microtask)
    } else setImmediate(this.immediate)
  }
}

/**
 * The host of every stack of the process that is not given another: stacks that talk to each other take their turns in the same rounds,
 * with one microtask and one look at the clock for both.
 */
export const nodeHost: Host = new NodeHost()

function rethrow(error: unknown): void {
  throw error
}

/** The system's generator, asked for 1 KiB at a time. */
class NodeRandom implements Random {
  private readonly words = new Int32Array(256)
  private next = 256

  int32(): number {
    if (this.next === 256) {
      randomFillSync(this.words)
      this.next = 0
    }
    const i = this.next++
    const word = this.words[i]
    this.words[i] = 0 // a word given away stays nowhere
    return word
  }
}

/** Random numbers of `node:crypto`. */
export const nodeRandom: Random = new NodeRandom()
