/** How long turns take between what is put in and what is taken out. */

export interface Rounds {
  /** Puts a batch in; `sent`: frames before it. */
  put(sent: number): void
  /** What is measured. */
  turn(): void
  /** Takes everything out. */
  take(): void
}

export interface Took {
  sent: number
  /** Milliseconds of all, and of the turns alone. */
  ms: number
  turnMs: number
}

/** Rounds of `batch` frames for so many milliseconds. */
export function measureTurns(ms: number, batch: number, rounds: Rounds): Took {
  const began = performance.now()
  let sent = 0
  let turnMs = 0
  for (;;) {
    rounds.put(sent)
    const from = performance.now()
    rounds.turn()
    turnMs += performance.now() - from
    rounds.take()
    sent += batch
    if ((sent & 0xfff) === 0 && performance.now() - began > ms) return { sent, turnMs, ms: performance.now() - began }
  }
}
