/**
 * Path MTU discovery's memory (RFC 1191; RFC 8201 for IPv6): which destinations are reached only by packets smaller than the
 * interface's MTU.
 *
 * Theory of operation. Entries only go down, never below a floor, and are forgotten after a while, which is how a larger MTU is found
 * again (RFC 1191 section 6.3). Every change makes kept routes stale, so transports see it with their next route lookup and nobody has
 * to be told. The map keeps the order of arrival and all entries live equally long, so the first is the next to expire, and the one
 * to go when there are too many.
 */
import type { Address } from '../base/address.ts'
import type { Clock } from '../base/clock.ts'
import type { Ipv4Config } from '../base/config.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { ErrorReport, Ip, PathMtuCache } from '../ip/ip.ts'

/** RFC 1191 section 7.1: what paths are made of. */
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68]

/** RFC 8200 section 5. */
const IP6_LEAST = 1280

/** Expiry is looked at no more often than this: one change of the routes' generation for all that expire together. */
const SWEEP_MS = 1000

interface Entry {
  mtu: number
  expires: number
}

export class PathMtu extends Timed implements PathMtuCache {
  /** By IPv4 word, or by `Address.key`. */
  private readonly entries = new Map<number | string, Entry>()

  constructor(
    private readonly ip: Ip,
    private readonly timers: Timers,
    private readonly clock: Clock,
    private readonly config: Ipv4Config,
  ) {
    super()
  }

  get size(): number {
    return this.entries.size
  }

  get(destination: Address): number {
    const entry = this.entries.get(keyOf(destination))
    return entry === undefined ? 0 : entry.mtu
  }

  learn(report: ErrorReport): boolean {
    const destination = report.destination
    const known = this.get(destination)
    // RFC 8201 section 4: of IPv6 nothing less is believed, and every router says how much.
    if (!destination.isV4 && report.mtu < IP6_LEAST) return false
    // RFC 1191 section 5: a router that does not say, or says nonsense, leaves us the next plateau below what was too big.
    const said = report.mtu >= 68 && report.mtu < report.length ? report.mtu : plateauBelow(report.length)
    const floor = destination.isV4 ? this.config.pathMtuMin : IP6_LEAST
    const mtu = said < floor ? floor : said
    if (known !== 0 && mtu >= known) return false
    // Nothing that large was sent: the floor is above what the report is about.
    if (mtu >= report.length) return false
    const key = keyOf(destination)
    this.entries.delete(key)
    if (this.entries.size >= this.config.pathMtuEntries) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest)
        break
      }
    }
    const expires = (this.clock.nowMs + this.config.pathMtuTimeMs) | 0
    this.entries.set(key, { mtu, expires })
    if (!this.timerArmed) this.timers.arm(this, expires)
    this.ip.changed()
    return true
  }

  /** Forgets everything: the interfaces have changed. */
  clear(): void {
    if (this.entries.size === 0) return
    this.entries.clear()
    this.timers.disarm(this)
    this.ip.changed()
  }

  onTimer(now: number): void {
    let expired = 0
    let next: Entry | null = null
    for (const [key, entry] of this.entries) {
      if (((entry.expires - now) | 0) > 0) {
        next = entry
        break
      }
      this.entries.delete(key)
      expired++
    }
    if (next !== null) this.timers.arm(this, ((next.expires - now) | 0) < SWEEP_MS ? (now + SWEEP_MS) | 0 : next.expires)
    if (expired > 0) this.ip.changed()
  }
}

function keyOf(a: Address): number | string {
  return a.isV4 ? a.w3 : a.key
}

function plateauBelow(length: number): number {
  for (let i = 0; i < PLATEAUS.length; i++) if (PLATEAUS[i] < length) return PLATEAUS[i]
  return PLATEAUS[PLATEAUS.length - 1]
}
