/** `createSwitch` and `createHub` on Node: its clocks, queues and random bits. */

import { type CreateSwitchOptions, createHub as createHubOn, createSwitch as createSwitchOn } from '../switch/create.ts'
import type { Switch } from '../switch/switch.ts'
import { nodeHost, nodeRandom } from './host.ts'

/** A learning switch between links in memory (`port`) and any others (`join`). Throws ERR_INVALID_ARG_VALUE. */
export function createSwitch(options: CreateSwitchOptions = {}): Switch {
  return createSwitchOn({ host: nodeHost, random: nodeRandom, ...options })
}

/** Every frame leaves by all other ports. Throws ERR_INVALID_ARG_VALUE. */
export function createHub(options: CreateSwitchOptions = {}): Switch {
  return createHubOn({ host: nodeHost, random: nodeRandom, ...options })
}
