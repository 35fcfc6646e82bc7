/** Code of the user that the stack calls: what it throws, or rejects with, is reported as an application's, and changes nothing here. */
import type { Stack } from './stack.ts'

/** Calls it. */
export function guarded(stack: Stack, call: () => unknown): void {
  try {
    const done = call()
    if (isLater(done)) done.then(undefined, (error) => stack.host.uncaught(error))
  } catch (error) {
    stack.host.uncaught(error)
  }
}

/** `start` gets what `load` has, at once or in a turn of its own; null if that fails. What `load` throws at once is the caller's. */
export function whenLoaded<T>(stack: Stack, load: () => T | null | Promise<T | null>, start: (kept: T | null) => void): void {
  const kept = load()
  if (!isLater(kept)) {
    start(kept)
    return
  }
  const later = (loaded: T | null): void => {
    stack.turn.readClock()
    start(loaded)
    stack.turn.rearm()
  }
  kept.then(later, (error) => {
    stack.host.uncaught(error)
    later(null)
  })
}

/** A promise, whoever's. */
function isLater<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value
}
