/** `createSwitch` and `createHub` without Node: on whatever host they are given, or on the web platform's timers and randomness. */
import type { Host } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import { WebHost, WebRandom } from '../host-web/web-host.ts'
import { Switch, type SwitchOptions } from './switch.ts'

/** Options of the switch, and what it runs on. */
export interface CreateSwitchOptions extends SwitchOptions {
  /** Time and scheduling. The platform's own timers when left out. */
  host?: Host
  /** Keys and the MAC address. `crypto.getRandomValues` when left out. */
  random?: Random
}

/** A learning switch between links in memory (`port`) and any others (`join`). Throws ERR_INVALID_ARG_VALUE. */
export function createSwitch(options: CreateSwitchOptions = {}): Switch {
  const { host = new WebHost(), random = new WebRandom(), ...rest } = options
  return new Switch({ host, random }, rest)
}

/**
 * A hub: every frame leaves by all other ports, nothing is learned, and nothing is kept from circling in a loop. VLANs, rates, mirrors and counters
 * are as in a switch. Throws ERR_INVALID_ARG_VALUE.
 */
export function createHub(options: CreateSwitchOptions = {}): Switch {
  const { host = new WebHost(), random = new WebRandom(), ...rest } = options
  const unlimited = { broadcastPerSecond: 0, multicastPerSecond: 0, unknownPerSecond: 0 }
  return new Switch({ host, random }, { ...unlimited, ...rest }, true)
}
