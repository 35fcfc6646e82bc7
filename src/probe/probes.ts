/** What ways of probing a path have in common: a probe is a packet with a hop limit of its own, and whatever comes back names it. */
import type { Address } from '../base/address.ts'
import type { Host } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { TellList } from '../base/tell.ts'
import type { EchoLayer } from '../icmp/echo.ts'
import type { Interface } from '../ip/interface.ts'
import type { ErrorReport, Ip } from '../ip/ip.ts'
import type { Frame } from '../netif/frame.ts'
import type { Udp } from '../udp/udp.ts'
import type { Watches } from './watch.ts'

/** What probing needs of a stack. */
export interface ProbeDependencies {
  ip: Ip
  /** That of the destination's family. */
  icmp: EchoLayer
  udp: Udp
  /** The stack's transmit frame. */
  frame: Frame
  watches: Watches
  host: Host
  random: Random
  tells: TellList
  /** Something was sent outside a turn. */
  wake: () => void
  /** Hears when the stack closes, until it is taken away. */
  owned: Set<{ stackClosed(): void }>
}

/** How all probes of one run look. */
export interface ProbeShape {
  destination: Address
  /** One of our addresses, or the unspecified one. */
  source: Address
  iface: Interface | null
  tos: number
  dontFragment: boolean
}

/** Who sends the probes and hears of them. */
export interface ProbeSink {
  /**
   * Something came back for probe `n`. `kind`: an ErrorKind, or -1 for an answer of the protocol itself; `report` is null then. `ttl`: what
   * was left of the hop limit of what came back; 0 if unknown. Called while packets are heard: nothing may be sent from here.
   */
  answered(n: number, from: Address, kind: number, ttl: number, report: ErrorReport | null): void
}

/** A way of probing. */
export interface Prober {
  /**
   * Sends probe `n` (numbers are used once) as an IP packet of `bytes` bytes, or the least that the method needs. False: the link is full.
   * Throws NetError: ENETUNREACH and its like, EMSGSIZE for more than fits a path on which nothing may be fragmented.
   */
  send(n: number, hops: number, bytes: number): boolean
  /** Nothing is heard any more. Idempotent. */
  close(): void
}
