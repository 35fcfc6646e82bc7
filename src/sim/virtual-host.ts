/**
 * A `Host` whose time is only what the test says: nothing waits, every run is the same run.
 *
 * Theory of operation. Virtual time is an integer count of microseconds. Events are ordered by (time, sequence number). Timers live
 * in a binary heap of slots (flat arrays, reused: no garbage while a simulation of millions of events runs); `soon` has a FIFO of
 * its own, because nearly all events of a simulation are turns that are due at once. Time stands still while an event runs, and
 * jumps to the next deadline when nothing is due.
 */
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import { SeededRandom } from '../base/random.ts'

/** Where its clocks and its chance begin. */
export interface VirtualHostOptions {
  /** What `ms()` says at the beginning; `us()` is 1000 times that, both wrapping. 2147483647 is just before `ms` wraps. */
  startMs?: number
  /** Seed of `random`. */
  seed?: number
  /** Nanoseconds since 1970 at the beginning, for captures. 2024-01-01T00:00:00Z when left out. */
  wallStartNs?: bigint
}

/** A slot number and the slot's generation in one exact double, so that a handle which is out of date cancels nothing. */
const SLOT_BITS = 0x100_0000
/** Events at one instant after which a simulation is declared to run in a circle. */
const STANDSTILL = 20_000_000

/** A host whose time passes when it is told to, by ms; an hour takes as long as what happens in it. */
export class VirtualHost implements Host {
  readonly random: SeededRandom
  /** Events run so far. */
  events = 0
  /** `hold` minus `release`. */
  holds = 0

  /** Microseconds on the host's own scale (start included). */
  private nowUs: number
  private readonly startUs: number
  private readonly wallStartNs: bigint
  private sequence = 0
  private sinceTimeMoved = 0

  /** Heap of slots, ordered by (at, order). */
  private heap = new Int32Array(64)
  private heapSize = 0
  private at = new Float64Array(64)
  private order = new Float64Array(64)
  private generation = new Float64Array(64)
  private place = new Int32Array(64).fill(-1)
  private readonly tasks: (Task | null)[] = new Array(64).fill(null)
  private readonly freeSlots: number[] = []

  /** FIFO of `soon`: a ring, its length a power of two. */
  private soonTasks: (Task | null)[] = new Array(64).fill(null)
  private soonOrder = new Float64Array(64)
  private soonHead = 0
  private soonCount = 0

  private readonly errors: unknown[] = []

  constructor(options: VirtualHostOptions = {}) {
    this.startUs = Math.round((options.startMs ?? 0) * 1000)
    this.nowUs = this.startUs
    this.wallStartNs = options.wallStartNs ?? 1_704_067_200_000_000_000n
    this.random = new SeededRandom(options.seed ?? 1)
    for (let i = 63; i >= 0; i--) this.freeSlots.push(i)
  }

  ms(): number {
    return Math.floor(this.nowUs / 1000) | 0
  }

  us(): number {
    return this.nowUs | 0
  }

  wallNs(): bigint {
    return this.wallStartNs + BigInt(this.nowUs - this.startUs) * 1000n
  }

  /** Milliseconds of virtual time since construction, with fractions. Does not wrap. */
  get elapsedMs(): number {
    return (this.nowUs - this.startUs) / 1000
  }

  /** Nothing is scheduled. */
  get idle(): boolean {
    return this.soonCount === 0 && this.heapSize === 0
  }

  /** Milliseconds until the next event (0 when one is due), or -1 when there is none. */
  get nextMs(): number {
    if (this.soonCount > 0) return 0
    return this.heapSize === 0 ? -1 : (this.at[this.heap[0]] - this.nowUs) / 1000
  }

  soon(task: Task): void {
    if (this.soonCount === this.soonTasks.length) this.growSoon()
    const i = (this.soonHead + this.soonCount++) & (this.soonTasks.length - 1)
    this.soonTasks[i] = task
    this.soonOrder[i] = this.sequence++
  }

  after(delayMs: number, task: Task): TimerHandle {
    if (this.freeSlots.length === 0) this.growHeap()
    const slot = this.freeSlots.pop()!
    // "At least": a fraction of a microsecond rounds up, the noise of the multiplication does not count as one.
    this.at[slot] = this.nowUs + (delayMs > 0 ? Math.ceil(delayMs * 1000 - 1e-6) : 0)
    this.order[slot] = this.sequence++
    this.tasks[slot] = task
    this.place[slot] = this.heapSize
    this.heap[this.heapSize++] = slot
    this.up(this.heapSize - 1)
    return this.generation[slot] * SLOT_BITS + slot
  }

  cancel(handle: TimerHandle): void {
    if (typeof handle !== 'number') return
    const slot = handle % SLOT_BITS
    if (this.generation[slot] !== (handle - slot) / SLOT_BITS || this.place[slot] < 0) return
    this.removeAt(this.place[slot])
  }

  hold(): void {
    this.holds++
  }

  release(): void {
    this.holds--
  }

  /** Kept until the event has ended; then `run` or `step` throws it. */
  uncaught(error: unknown): void {
    this.errors.push(error)
  }

  /**
   * Runs events until `untilMs` on the scale of `elapsedMs` and leaves the time there; without an argument until nothing is
   * scheduled. Returns the number of events run. Throws what `uncaught` was given, or what a task threw.
   */
  run(untilMs = Number.POSITIVE_INFINITY): number {
    const until = untilMs === Number.POSITIVE_INFINITY ? untilMs : this.startUs + Math.round(untilMs * 1000)
    const before = this.events
    while (this.next(until)) if (this.errors.length > 0) this.rethrow()
    if (until !== Number.POSITIVE_INFINITY && until > this.nowUs) this.nowUs = until
    return this.events - before
  }

  /** Runs the next event, moving time to it. False: there was none. */
  step(): boolean {
    const ran = this.next(Number.POSITIVE_INFINITY)
    if (this.errors.length > 0) this.rethrow()
    return ran
  }

  /** Runs what happens in the next `ms` milliseconds and leaves the time at their end. */
  advance(ms: number): number {
    return this.run(this.elapsedMs + ms)
  }

  private next(until: number): boolean {
    let due: Task
    const top = this.heapSize > 0 ? this.heap[0] : -1
    if (this.soonCount > 0 && (top < 0 || this.at[top] > this.nowUs || this.order[top] > this.soonOrder[this.soonHead])) {
      if (this.nowUs > until) return false
      due = this.soonTasks[this.soonHead]!
      this.soonTasks[this.soonHead] = null
      this.soonHead = (this.soonHead + 1) & (this.soonTasks.length - 1)
      this.soonCount--
      this.sinceTimeMoved++
    } else if (top >= 0) {
      const at = this.at[top]
      if (at > until) return false
      if (at > this.nowUs) {
        this.nowUs = at
        this.sinceTimeMoved = 0
      } else this.sinceTimeMoved++
      due = this.tasks[top]!
      this.removeAt(0)
    } else return false
    if (this.sinceTimeMoved > STANDSTILL) {
      this.sinceTimeMoved = 0
      throw new Error(`virtual time stands still at ${this.elapsedMs} ms: ${STANDSTILL} events and no end`)
    }
    this.events++
    due.run()
    return true
  }

  private rethrow(): never {
    const errors = this.errors.splice(0)
    throw errors.length === 1 ? errors[0] : new AggregateError(errors, `${errors.length} uncaught errors in one event`)
  }

  private removeAt(i: number): void {
    const slot = this.heap[i]
    this.place[slot] = -1
    this.tasks[slot] = null
    this.generation[slot] = (this.generation[slot] + 1) % 0x1000_0000
    this.freeSlots.push(slot)
    const last = this.heap[--this.heapSize]
    if (i === this.heapSize) return
    this.heap[i] = last
    this.place[last] = i
    this.up(i)
    this.down(this.place[last])
  }

  private isBefore(a: number, b: number): boolean {
    return this.at[a] < this.at[b] || (this.at[a] === this.at[b] && this.order[a] < this.order[b])
  }

  private up(start: number): void {
    const heap = this.heap
    const slot = heap[start]
    let i = start
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.isBefore(slot, heap[parent])) break
      heap[i] = heap[parent]
      this.place[heap[i]] = i
      i = parent
    }
    heap[i] = slot
    this.place[slot] = i
  }

  private down(start: number): void {
    const heap = this.heap
    const slot = heap[start]
    let i = start
    for (;;) {
      let child = 2 * i + 1
      if (child >= this.heapSize) break
      if (child + 1 < this.heapSize && this.isBefore(heap[child + 1], heap[child])) child++
      if (!this.isBefore(heap[child], slot)) break
      heap[i] = heap[child]
      this.place[heap[i]] = i
      i = child
    }
    heap[i] = slot
    this.place[slot] = i
  }

  private growHeap(): void {
    const n = this.heap.length
    const wider = <A extends Int32Array | Float64Array>(old: A, fresh: A): A => {
      fresh.set(old)
      return fresh
    }
    this.heap = wider(this.heap, new Int32Array(2 * n))
    this.at = wider(this.at, new Float64Array(2 * n))
    this.order = wider(this.order, new Float64Array(2 * n))
    this.generation = wider(this.generation, new Float64Array(2 * n))
    this.place = wider(this.place, new Int32Array(2 * n).fill(-1))
    for (let i = 2 * n - 1; i >= n; i--) this.freeSlots.push(i)
    for (let i = n; i < 2 * n; i++) this.tasks.push(null)
  }

  private growSoon(): void {
    const n = this.soonTasks.length
    const tasks: (Task | null)[] = new Array(2 * n).fill(null)
    const order = new Float64Array(2 * n)
    for (let i = 0; i < n; i++) {
      const from = (this.soonHead + i) & (n - 1)
      tasks[i] = this.soonTasks[from]
      order[i] = this.soonOrder[from]
    }
    this.soonTasks = tasks
    this.soonOrder = order
    this.soonHead = 0
  }
}
