/**
 * A router's side of router discovery on one interface (RFC 4861 section 6.2): says regularly that it is there, and when it is asked.
 *
 * Theory of operation. One timer, set for the next advertisement, whatever the reason. Unasked ones come at random times between a third of
 * the interval and the whole; the first three at most 16 s apart, because hosts may have missed them (section 6.2.4). A question draws the next
 * one near: a random moment within half a second, but never less than 3 s after the last (section 6.2.6). All go to everybody. The last one, when
 * we cease, has lifetime 0 (section 6.2.5). Who does not forward is no default router: that lifetime is 0 as long as it lasts.
 */
import { Address } from '../base/address.ts'
import { type Random, randomBelow } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import type { Frame } from '../netif/frame.ts'
import { type Advertised, type AdvertisedPrefix, DEFAULT_PREFERRED_SECONDS, DEFAULT_VALID_SECONDS } from './advertise-options.ts'
import { advertisementLength, agrees, MAX_ADVERTISEMENT, writeAdvertisement } from './advertisement.ts'
import { usableLinkLocal } from './link-local.ts'
import type { NdInterface } from './nd-interface.ts'
import type { NdOptions } from './options.ts'
import { RC } from './router-counters.ts'
import { samePrefix } from './router-routes.ts'

const ALL_NODES = new Address(0xff020000 | 0, 0, 0, 1)
const ALL_ROUTERS = new Address(0xff020000 | 0, 0, 0, 2)

/** RFC 4861 section 10. */
const MAX_INITIAL_RTR_ADVERT_INTERVAL_MS = 16_000
const MAX_INITIAL_RTR_ADVERTISEMENTS = 3
const MIN_DELAY_BETWEEN_RAS_MS = 3_000
const MAX_RA_DELAY_TIME_MS = 500
/** A prefix that is gone is said to be so for this long: hosts may have kept it for two hours (RFC 4862 section 5.5.3, RFC 9096 section 3.5). */
const GONE_MS = 7_200_000
const MAX_GONE = 8
/** A message that the full link refused is tried again after this. */
const RETRY_MS = 100

export class Advertiser extends Timed {
  /** Sent so far, and when the last one was. */
  private sent = 0
  private sentAt = 0
  /** Prefixes of addresses, as they were said last, and those that are gone. */
  private said: readonly AdvertisedPrefix[] = []
  private gone: { said: AdvertisedPrefix; at: number }[] = []

  constructor(
    readonly nd: NdInterface,
    private advertised: Advertised,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly random: Random,
    /** For this one message; others use it as well. */
    private readonly frame: Frame,
    /** Of ROUTER_COUNTERS. */
    private readonly counts: Float64Array,
  ) {
    super()
    nd.iface.groups.join(ALL_ROUTERS)
  }

  /** Begins, or begins anew with other words: what has changed is told a few times (section 6.2.4). */
  start(advertised: Advertised): void {
    this.advertised = advertised
    this.restart()
  }

  /** Our link-local address may be used now, or the link came up: hosts are told soon. */
  restart(): void {
    const spent = this.sent > 0 ? MIN_DELAY_BETWEEN_RAS_MS - ((this.clock.nowMs - this.sentAt) | 0) : 0
    this.sent = 0
    this.timers.arm(this, (this.clock.nowMs + Math.max(0, spent)) | 0)
  }

  /** A host asks (section 6.2.6). */
  solicited(): void {
    const now = this.clock.nowMs
    let at = (now + randomBelow(this.random, MAX_RA_DELAY_TIME_MS + 1)) | 0
    if (this.sent > 0) {
      const earliest = (this.sentAt + MIN_DELAY_BETWEEN_RAS_MS) | 0
      if (((at - earliest) | 0) < 0) at = (earliest + randomBelow(this.random, MAX_RA_DELAY_TIME_MS + 1)) | 0
    }
    if (!this.timerArmed || ((this.timerAt - at) | 0) > 0) this.timers.arm(this, at)
  }

  /** Another router's advertisement (section 6.2.7). */
  compare(packet: Packet, options: NdOptions): void {
    if (!agrees(packet.buf, packet.off, options, this.advertised, this.prefixes())) this.counts[RC.inconsistentAdvertisements]++
  }

  /** Ceases, and says so. */
  stop(): void {
    this.timers.remove(this)
    this.nd.iface.groups.leave(ALL_ROUTERS)
    if (this.sent > 0) this.send(0)
  }

  override onTimer(now: number): void {
    // Until the link is up, or there is an address to speak with: `restart`.
    if (!this.nd.iface.up || usableLinkLocal(this.nd) === null) return
    const { advertised } = this
    if (!this.send(this.nd.iface.forwarding6 ? advertised.lifetime : 0)) {
      this.counts[RC.dropLinkFull]++
      this.timers.arm(this, (now + RETRY_MS) | 0)
      return
    }
    this.sent++
    this.sentAt = now
    const { minIntervalMs, maxIntervalMs } = advertised
    let wait = minIntervalMs + randomBelow(this.random, maxIntervalMs - minIntervalMs + 1)
    if (this.sent < MAX_INITIAL_RTR_ADVERTISEMENTS) wait = Math.min(wait, MAX_INITIAL_RTR_ADVERT_INTERVAL_MS)
    this.timers.arm(this, (now + wait) | 0)
  }

  private send(lifetime: number): boolean {
    const source = usableLinkLocal(this.nd)
    if (source === null || !this.nd.iface.up) return true
    writeAdvertisement(this.frame, this.nd, this.advertised, this.prefixes(), lifetime)
    const taken = this.nd.multicast(this.frame, source, ALL_NODES)
    if (taken) this.counts[RC.outRouterAdvertisements]++
    return taken
  }

  /** Those given, or those of our addresses: as many as fit into the message. */
  private prefixes(): readonly AdvertisedPrefix[] {
    const { advertised, nd } = this
    if (advertised.prefixes !== null) return advertised.prefixes
    const out: AdvertisedPrefix[] = []
    for (const { address, prefix, lifetime } of nd.iface.addresses) {
      const { network } = prefix
      if (address.isV4 || address.isLinkLocal || prefix.length === 128 || out.some((p) => samePrefix(p.prefix, network))) continue
      if (advertisementLength(advertised, out.length + 1) > MAX_ADVERTISEMENT) break
      // An address that is ours for a time, as those of delegated prefixes are, makes no promise beyond it.
      const valid = Math.min(DEFAULT_VALID_SECONDS, lifetime?.validLeft ?? Number.POSITIVE_INFINITY)
      const preferred = Math.min(DEFAULT_PREFERRED_SECONDS, lifetime?.preferredLeft ?? Number.POSITIVE_INFINITY)
      out.push({ prefix: network, onLink: true, autonomous: prefix.length === 64, valid, preferred })
    }
    return [...out, ...this.gonePrefixes(out)]
  }

  /** Prefixes that were ours until lately, with lifetimes of zero. */
  private gonePrefixes(current: readonly AdvertisedPrefix[]): AdvertisedPrefix[] {
    const { nowMs } = this.clock
    const isIn = (list: readonly AdvertisedPrefix[], p: AdvertisedPrefix): boolean =>
      list.some((other) => samePrefix(other.prefix, p.prefix))
    this.gone = this.gone.filter((g) => ((nowMs - g.at) | 0) < GONE_MS && !isIn(current, g.said))
    for (const p of this.said)
      if (!isIn(current, p) && this.gone.length < MAX_GONE) this.gone.push({ said: { ...p, valid: 0, preferred: 0 }, at: nowMs })
    this.said = current
    const room = (n: number): boolean => advertisementLength(this.advertised, current.length + n) <= MAX_ADVERTISEMENT
    return this.gone.map((g) => g.said).filter((_, i) => room(i + 1))
  }
}
