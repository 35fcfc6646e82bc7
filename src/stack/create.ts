/** `createStack` without Node: a stack on whatever host it is given, or on the web platform's timers and randomness. */
import type { Host } from '../base/clock.ts'
import type { ConfigOverrides } from '../base/config.ts'
import type { Random } from '../base/random.ts'
import { WebHost, WebRandom } from '../host-web/web-host.ts'
import { Stack } from './stack.ts'

/** Overrides of the configuration, and what the stack runs on. */
export interface CreateStackOptions extends ConfigOverrides {
  /** Time and scheduling. The platform's own timers when left out. */
  host?: Host
  /** Sequence numbers, ports, keys. `crypto.getRandomValues` when left out. */
  random?: Random
}

/** A TCP/IP stack of its own: many per page or process, nothing shared. Throws ERR_INVALID_ARG_VALUE for options that cannot be. */
export function createStack(options: CreateStackOptions = {}): Stack {
  const { host = new WebHost(), random = new WebRandom(), ...overrides } = options
  return new Stack({ host, random }, overrides)
}
