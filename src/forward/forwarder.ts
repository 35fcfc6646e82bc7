/**
 * What forwarding of both families has in common (forward4.ts says how a packet goes): the parts it works with, and the questions that are the
 * same for every packet.
 */
import { Counters } from '../base/counters.ts'
import type { ForwardConfig } from '../base/forward-config.ts'
import type { Random } from '../base/random.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import type { Frame } from '../netif/frame.ts'
import { C, NAMES } from './counters.ts'
import { Departure } from './departure.ts'
import { type RedirectSender, Redirects } from './redirects.ts'
import { ReversePath } from './reverse-path.ts'
import { type Way, WayCache, type WayRules } from './route-cache.ts'

export interface ForwardDependencies {
  ip: Ip
  clock: NeighborClock
  random: Random
  /** The stack's transmit frame. */
  frame: Frame
  config: ForwardConfig
  redirects: RedirectSender
}

export abstract class FamilyForwarder implements WayRules {
  readonly counters = new Counters(NAMES)
  protected readonly ip: Ip
  protected readonly departure: Departure
  private readonly cache: WayCache
  private readonly redirects: Redirects | null
  private readonly reversePath: ReversePath | null

  constructor(deps: ForwardDependencies, etherType: number) {
    const { ip, config, random, clock } = deps
    const n = this.counters.values
    this.ip = ip
    this.cache = new WayCache(ip, this, config.cacheEntries, random.int32())
    this.departure = new Departure(deps.frame, etherType, n)
    this.redirects = config.sendRedirects
      ? new Redirects(deps.redirects, clock, config.redirectIntervalMs, config.redirectIntervalMaxMs, n)
      : null
    this.reversePath =
      config.reversePath === 'off'
        ? null
        : new ReversePath(ip, config.reversePath === 'strict', config.cacheEntries, random.int32())
  }

  abstract isBroadcast(out: Interface, destination: Packet['destination']): boolean

  /** The route refuses the packet: `why` is counted, and its sender told where the RFCs want it. */
  protected abstract refuse(packet: Packet, why: number): void

  /** The way on of a packet that may go on and lives long enough; null: it was counted, and answered where an answer is due. */
  protected wayOf(packet: Packet): Way | null {
    const n = this.counters.values
    if (this.reversePath !== null && !this.reversePath.passes(packet)) {
      n[C.dropReversePath]++
      return null
    }
    const way = this.cache.find(packet)
    if (way.refusal >= 0) {
      this.refuse(packet, way.refusal)
      return null
    }
    // RFC 1812 section 5.3.1; RFC 8200 section 3, RFC 4443 section 3.3.
    if (packet.ttl <= 1) {
      n[C.dropTtl]++
      this.ip.errors.timeExceeded(packet, false)
      return null
    }
    return way
  }

  /** The packet fits its way: may it pass, and does its sender know a shorter one? */
  protected mayPass(packet: Packet, way: Way): boolean {
    const { hooks } = this.ip
    if (hooks !== null && !hooks.forward(packet, way.out!)) {
      this.counters.values[C.dropFiltered]++
      return false
    }
    if (way.out === packet.iface && this.redirects !== null) this.redirects.consider(packet, way)
    return true
  }

  /** The last look, when the header is as it leaves. */
  protected mayLeave(packet: Packet, way: Way): boolean {
    const { hooks } = this.ip
    if (hooks === null || hooks.postrouting(packet, way.out!)) return true
    this.counters.values[C.dropFiltered]++
    return false
  }
}
