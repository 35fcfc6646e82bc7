/** What the TCP layer is given by the stack. */
import type { Clock } from '../base/clock.ts'
import type { TcpConfig } from '../base/config.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import type { TellList } from '../base/tell.ts'
import type { Timers } from '../base/timers.ts'
import type { Ip } from '../ip/ip.ts'
import type { Frame } from '../netif/frame.ts'

/** The time of the turn, in both units. */
export interface TcpClock extends Clock {
  readonly nowUs: number
  /** Outside a turn the time may be old: looks again. */
  readClock(): void
}

/** What the layer needs from the stack. */
export interface TcpDeps {
  ip: Ip
  frame: Frame
  timers: Timers
  /** Set once per turn. */
  clock: TcpClock
  random: Random
  config: TcpConfig
  /** Of packets whose socket does not say; 0: what the family has (`ipv4.ttl`, the hop limit of the link). */
  ttl: number
  tell: TellList
  pool?: BufferPool
  /** A turn is wanted: somebody is on the dirty list. */
  wake(): void
  /** Something is open that keeps the process alive; `release` is called as often as `hold`. */
  hold(): void
  release(): void
}
