/** Waiting for what the system does in its own time, where real sockets, processes and threads are the matter. */

/** Longer than a busy machine takes for anything that a test waits for. */
const PATIENCE_MS = 15_000

/**
 * Resolves when `what` is true; rejects when that takes too long to be true yet. `wanted`: what was waited for, in words. Turns of the event loop at
 * first, which is soon enough for most; then with pauses, for those who need the processor.
 */
export async function until(what: () => boolean, wanted: string | (() => string) = () => `${what}`): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  for (let turn = 0; !what(); turn++) {
    if (performance.now() > end) throw new Error(`waited in vain for ${typeof wanted === 'string' ? wanted : wanted()}`)
    await new Promise<void>((resolve) => (turn < 100 ? setImmediate(resolve) : setTimeout(resolve, 2)))
  }
}
