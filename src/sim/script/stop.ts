/** How the play of a script ends before its end. Thrown inside the runner only; `run` turns it into an outcome. */

export class Stop {
  constructor(
    readonly result: 'failed' | 'skipped',
    readonly reason: string,
    /** What was expected and what came, a line each. */
    readonly diff = '',
  ) {}
}

/** The stack did what the script does not say. */
export function fail(reason: string, diff = ''): never {
  throw new Stop('failed', reason, diff)
}

/** The script asks for what cannot be played. */
export function skip(reason: string): never {
  throw new Stop('skipped', reason)
}
