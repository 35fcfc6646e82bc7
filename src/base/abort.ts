/** AbortSignals, for a core that knows no DOM types. */
import { NetError } from './errors.ts'

/** What an AbortSignal is to us. */
export interface AbortLike {
  readonly aborted: boolean
  readonly reason?: unknown
  addEventListener(type: 'abort', listener: () => void): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** Why it was aborted: the reason that was given, or ECANCELED where that is no Error. */
export function abortError({ reason }: AbortLike): Error {
  return reason instanceof Error ? reason : new NetError('ECANCELED', { message: 'it was aborted', cause: reason })
}

/** Calls `run` when the signal is aborted. What is returned takes that back. */
export function onAbort(signal: AbortLike, run: (error: Error) => void): () => void {
  const heard = (): void => {
    forget()
    run(abortError(signal))
  }
  const forget = (): void => signal.removeEventListener('abort', heard)
  signal.addEventListener('abort', heard)
  return forget
}
