/**
 * The host of a stack: time, a timer, and "soon". The core reads no clock and starts no timer by itself; Node, browsers and
 * the simulator each implement these few lines.
 *
 * Times are wrapping int32 (milliseconds for deadlines, microseconds for round trips), compared by difference:
 * `((a - b) | 0) < 0` says that a is before b, correct while they are less than 2^31 units apart (24 days; 35 minutes).
 */
export interface Host {
  /** Monotonic milliseconds, wrapping int32. */
  ms(): number
  /** Monotonic microseconds, wrapping int32. */
  us(): number
  /** Both at once, by one look at the clock. May be left out. */
  read?(clock: WritableClock): void
  /** Nanoseconds since 1970, for captures. The only wall clock in the house. */
  wallNs(): bigint
  /** Calls `run` once, as soon as possible but never before the caller has returned. */
  soon(task: Task): void
  /**
   * Calls `task.run()` once after at least `delayMs`. Returns a handle for `cancel`. A timer alone does not keep the process
   * alive (see `hold`).
   */
  after(delayMs: number, task: Task): TimerHandle
  cancel(handle: TimerHandle): void
  /** Keeps the process alive until `release` is called as often. No-ops where there is no process. */
  hold(): void
  release(): void
  /** An application handler threw: report it as the platform reports an uncaught exception, after the turn has ended. */
  uncaught(error: unknown): void
  /** Bytes in a buffer of their own, perhaps not zeroed: for what is given away, and is all written before. May be left out. */
  memory?(bytes: number): Uint8Array<ArrayBuffer>
}

/** The time of the running turn: read once from the host when the turn begins, then the same for everybody. */
export interface Clock {
  /** Monotonic milliseconds, wrapping int32. */
  readonly nowMs: number
}

/** A place for the time in both units. */
export interface WritableClock {
  nowMs: number
  nowUs: number
}

/** Work handed to the host. An object, not a closure, so that handing it over allocates nothing. */
export interface Task {
  run(): void
}

/** What a host gives for a timer: opaque to the core. */
export type TimerHandle = unknown

/** a is before b on a wrapping int32 clock. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0
}
