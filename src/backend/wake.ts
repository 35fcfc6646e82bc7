/**
 * Waking up when a descriptor has something to read, or room again.
 *
 * Theory of operation. A watch tells its owner `readable()` once and then keeps quiet until the owner, having read until EAGAIN,
 * says `rearm()`: between the two it may be level-triggered underneath, but costs no system call per packet. `writable()` is told
 * once per `wantWritable()`. The owner is always called from the event loop's check phase, in an ordinary callback of Node's, so
 * that its promises and microtasks run.
 *
 * Two implementations: libuv's own uv_poll through koffi (wake-uv.ts: 8 us from a frame to its answer, no thread), and one
 * poll(2) on a pool thread for all descriptors (wake-poll.ts) where libuv's loop cannot be had: worker threads, other runtimes.
 */
import { isMainThread } from 'node:worker_threads'
import type { Koffi, Libc } from './libc.ts'
import { PollWaker } from './wake-poll.ts'
import { UvWaker } from './wake-uv.ts'

export interface WatchOwner {
  readable(): void
  writable(): void
}

export interface Watch {
  /** The owner has read everything: tell of the next. */
  rearm(): void
  /** Tell once when there is room. */
  wantWritable(): void
  /** Keep the process alive while open; a watch starts without. */
  ref(on: boolean): void
  /** No more calls. The descriptor may be closed when this is done: at once, or when the promise resolves. */
  close(): Promise<void> | void
}

export interface Waker {
  /** For people: `libuv`, `poll thread`. */
  readonly kind: string
  watch(fd: number, owner: WatchOwner): Watch
}

let waker: Waker | null = null

/**
 * The waker of this thread, made once. `TAPSTACK_WAKE=poll` in the environment forces the poll thread, for tests and for the day
 * when libuv's loop misbehaves.
 */
export function processWaker(koffi: Koffi, libc: Libc): Waker {
  waker ??= (process.env.TAPSTACK_WAKE === 'poll' ? null : uvWaker(koffi)) ?? new PollWaker(libc)
  return waker
}

/** Null where the main loop is not libuv's default loop, or its functions are not there. */
export function uvWaker(koffi: Koffi): UvWaker | null {
  // Bun and Deno export libuv's names as stubs that abort. A worker has a loop of its own that cannot be asked for.
  if (!isMainThread || process.release.name !== 'node' || 'bun' in process.versions || 'deno' in process.versions) return null
  try {
    return new UvWaker(koffi)
  } catch {
    return null
  }
}
