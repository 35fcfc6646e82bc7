/** The prefixes that are on the link, as routers say (RFC 4861 section 6.3.4): connected routes that live as long as they were said to. */
import type { Prefix } from '../base/address.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { RouteEntry } from '../ip/route.ts'
import { RC } from './router-counters.ts'
import { samePrefix } from './router-routes.ts'

/** Linux's IP6_RT_PRIO_ADDRCONF. */
const METRIC = 256

interface OnLink {
  readonly entry: RouteEntry
  expires: number
}

export class PrefixList {
  private list: OnLink[] = []

  constructor(
    private readonly ip: Ip,
    private readonly iface: Interface,
    private readonly limit: number,
    /** Of ROUTER_COUNTERS. */
    private readonly counts: Float64Array,
  ) {}

  /** `prefix` is on the link until `expires`; not any more when that is not later than `now`. */
  learn(prefix: Prefix, expires: number, now: number): void {
    const known = this.list.find((p) => samePrefix(p.entry.prefix, prefix))
    if (expires <= now) {
      if (known !== undefined) this.remove((p) => p === known)
      return
    }
    if (known !== undefined) {
      known.expires = expires
      if (this.ip.routes.at(prefix).includes(known.entry)) return
      this.remove((p) => p === known) // its route was taken out by hand
    } else if (this.list.length >= this.limit) {
      this.counts[RC.dropPrefixLimit]++
      return
    }
    const entry: RouteEntry = { prefix, gateway: null, iface: this.iface, metric: METRIC, source: null, origin: 'ra' }
    this.list.push({ entry, expires })
    this.ip.routes.add(entry)
    this.ip.changed()
  }

  elapse(now: number): void {
    this.remove((p) => p.expires <= now)
  }

  get next(): number {
    return this.list.reduce((least, p) => Math.min(least, p.expires), Number.POSITIVE_INFINITY)
  }

  /** `fd00:1::/64`, and the milliseconds that are left. */
  entries(now: number): { prefix: Prefix; leftMs: number }[] {
    return this.list.map((p) => ({ prefix: p.entry.prefix, leftMs: p.expires - now }))
  }

  close(): void {
    this.remove(() => true)
  }

  private remove(matches: (p: OnLink) => boolean): void {
    const gone = this.list.filter(matches)
    if (gone.length === 0) return
    this.list = this.list.filter((p) => !gone.includes(p))
    this.ip.routes.remove((e) => gone.some((p) => p.entry === e))
    this.ip.changed()
  }
}
