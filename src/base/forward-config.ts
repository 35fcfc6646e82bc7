/** The configuration of forwarding (config.ts). */
import { invalidArgument } from './errors.ts'

export const REVERSE_PATH_MODES = ['off', 'loose', 'strict'] as const
export type ReversePathMode = (typeof REVERSE_PATH_MODES)[number]

/** The stack as a router: redirects, reverse path, what is remembered. */
export interface ForwardConfig {
  /** Tell neighbours of shorter ways. RFC 1812 section 5.2.7.2, RFC 4861 section 8.2; Linux send_redirects. */
  sendRedirects: boolean
  /**
   * Drop packets for others whose source we would not reach by the interface they came in by (`strict`), or not at all (`loose`).
   * RFC 3704 sections 2.2 and 2.4; Linux rp_filter. RFC 1812 section 5.3.8: off unless asked for.
   */
  reversePath: ReversePathMode
  /** Ways remembered, per family; a power of two. Two destinations that share a place in it only cost a lookup each. */
  cacheEntries: number
  /** Between two redirects about one destination; doubles with each, for those who do not listen, up to the maximum. Linux: 2^n * 20 ms. */
  redirectIntervalMs: number
  redirectIntervalMaxMs: number
}

export function forwardDefaults(): ForwardConfig {
  return {
    sendRedirects: true,
    reversePath: 'off',
    cacheEntries: 4096,
    redirectIntervalMs: 1_000,
    redirectIntervalMaxMs: 64_000,
  }
}

const MOST_ENTRIES = 1 << 20

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyForward({ reversePath, cacheEntries }: ForwardConfig): void {
  if (!REVERSE_PATH_MODES.includes(reversePath)) {
    throw invalidArgument(`option forward.reversePath cannot be ${reversePath}, known: ${REVERSE_PATH_MODES.join(', ')}`)
  }
  if (cacheEntries < 1 || cacheEntries > MOST_ENTRIES || (cacheEntries & (cacheEntries - 1)) !== 0) {
    throw invalidArgument(`option forward.cacheEntries must be a power of two, at most ${MOST_ENTRIES}: ${cacheEntries}`)
  }
}
