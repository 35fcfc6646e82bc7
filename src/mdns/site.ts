/** What multicast DNS runs on, and the small things that all of its files share. */
import type { Clock, Host } from '../base/clock.ts'
import type { MdnsConfig } from '../base/mdns-config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import type { TellList } from '../base/tell.ts'
import type { Timers } from '../base/timers.ts'
import type { Ip } from '../ip/ip.ts'
import type { Udp } from '../udp/udp.ts'

export interface MdnsDeps {
  readonly ip: Ip
  readonly udp: Pick<Udp, 'open'>
  readonly timers: Timers
  readonly clock: Clock
  readonly tells: TellList
  readonly host: Host
  readonly random: Random
  readonly config: MdnsConfig
  /** Deadlines are about to be set outside a turn: the clock is read and a turn follows. */
  readonly wake: () => void
}

/** A whole number from `low` to `high`, both included. */
export function between(random: Random, low: number, high: number): number {
  return low + randomBelow(random, high - low + 1)
}

/** The value of a key, made when it is not there. */
export function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const had = map.get(key)
  if (had !== undefined) return had
  const made = make()
  map.set(key, made)
  return made
}
