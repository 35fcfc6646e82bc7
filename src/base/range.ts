/** The check of a section of the configuration (config.ts): each number in its range. */
import { invalidArgument } from './errors.ts'

/** Of what may be a deadline: milliseconds wrap after 24 days, so a week leaves room. In seconds, and in milliseconds. */
export const MOST_SECONDS = 604_800
export const MOST_MS = MOST_SECONDS * 1000

/** The least and the most that a value may be. */
export type Ranges<C> = { readonly [K in keyof C]?: readonly [low: number, high: number] }

/** Throws ERR_INVALID_ARG_VALUE: `option dns.ndots: 99 is not between 0 and 15`. */
export function verifyRanges<C extends object>(section: string, config: C, ranges: Ranges<C>): void {
  for (const [name, range] of Object.entries(ranges) as [keyof C & string, readonly [number, number]][]) {
    const n = config[name] as number
    const [low, high] = range
    if (!(n >= low && n <= high)) throw invalidArgument(`option ${section}.${name}: ${n} is not between ${low} and ${high}`)
  }
}
