/**
 * The routes that routers announce, on all interfaces of a stack: default routes (RFC 4861 section 6.3.4) and more specific ones (RFC 4191),
 * and the order in which routers are used.
 *
 * Theory of operation. A route is a prefix, a router, a preference and a deadline; the default route is the one of `::/0`. Those of one prefix
 * stand in the routing table in the order in which they are to be used, all with Linux's metric 1024: of routers that answer before those that
 * are silent (RFC 4191 section 3.2, RFC 4861 section 6.3.6), then by preference, then first come first. A router is silent when the
 * neighbour cache has given it up, until it is heard of again. Who falls silent goes to the end of the silent ones: when none answers, they
 * are tried in turn (RFC 4861 section 6.3.6 (2)). While a silent router would be the better one, it is asked now and then whether it is
 * back, as long as there is traffic (RFC 4191 section 3.5).
 */
import type { Address, Prefix } from '../base/address.ts'
import type { RouterConfig } from '../base/router-config.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { RouteEntry } from '../ip/route.ts'
import { upcoming } from './lifetimes.ts'
import { RC } from './router-counters.ts'

/** Of routes that routers announce. Linux's IP6_RT_PRIO_USER. */
const METRIC = 1024

/** Preferences as numbers: they are two bits with a sign (RFC 4191 section 2.1). */
export const Preference = { LOW: -1, MEDIUM: 0, HIGH: 1 } as const
/** The fourth value of those two bits. */
export const RESERVED_PREFERENCE = -2

/** The preference in a byte of flags: bits 3 and 4. */
export function readPreference(flags: number): number {
  return (flags << 27) >> 30
}

export interface Router {
  readonly iface: Interface
  readonly address: Address
  /** It was given up by the neighbour cache; the later, the larger. 0: it answers, as far as is known. */
  silent: number
  /** When it may be asked whether it is back. */
  probeAt: number
}

interface RouterRoute {
  readonly router: Router
  readonly prefix: Prefix
  preference: number
  expires: number
  entry: RouteEntry | null
}

export class RouterRoutes {
  private readonly routers: Router[] = []
  private routes: RouterRoute[] = []
  private silences = 0

  constructor(
    private readonly ip: Ip,
    private readonly config: RouterConfig,
    /** Of ROUTER_COUNTERS. */
    private readonly counts: Float64Array,
  ) {}

  /** `address` is a router: it says so. Null: there is no room for another. It is not silent. */
  heard(iface: Interface, address: Address): Router | null {
    const known = this.find(iface, address)
    if (known !== null) {
      this.answers(known)
      return known
    }
    if (this.routers.filter((r) => r.iface === iface).length >= this.config.maxRouters) {
      this.counts[RC.dropRouterLimit]++
      return null
    }
    const router: Router = { iface, address: address.clone(), silent: 0, probeAt: 0 }
    this.routers.push(router)
    return router
  }

  find(iface: Interface, address: Address): Router | null {
    return this.routers.find((r) => r.iface === iface && r.address.equals(address)) ?? null
  }

  /** A route by `router` until `expires`, or none any more when that is not later than `now`. */
  learn(router: Router, prefix: Prefix, preference: number, expires: number, now: number): void {
    const known = this.routes.find((r) => r.router === router && samePrefix(r.prefix, prefix))
    if (expires <= now) {
      if (known !== undefined) this.remove((r) => r === known)
      return
    }
    if (known === undefined) {
      // There are no more default routes than routers.
      const others = this.routes.filter((r) => r.prefix.length > 0 && r.router.iface === router.iface)
      if (prefix.length > 0 && others.length >= this.config.maxRouterRoutes) {
        this.counts[RC.dropRouteLimit]++
        return
      }
      this.routes.push({ router, prefix, preference, expires, entry: null })
    } else {
      known.expires = expires
      const isThere = known.entry !== null && this.ip.routes.at(prefix).includes(known.entry)
      if (known.preference === preference && isThere) return
      known.preference = preference
    }
    this.arrange(prefix)
  }

  /** The neighbour cache has given up a router. */
  fellSilent(iface: Interface, address: Address, now: number): void {
    const router = this.find(iface, address)
    if (router === null) return
    this.counts[RC.routersSilent]++
    router.silent = ++this.silences
    router.probeAt = now + this.config.routerProbeMs
    this.arrangeOf(router)
  }

  /** It is heard of again. */
  answers(router: Router): void {
    if (router.silent === 0) return
    router.silent = 0
    this.arrangeOf(router)
  }

  /** A router says that it is a host: it is no way to anywhere (RFC 4861 section 7.2.5). */
  forget(iface: Interface, address: Address): boolean {
    const router = this.find(iface, address)
    if (router === null) return false
    this.remove((r) => r.router === router)
    this.routers.splice(this.routers.indexOf(router), 1)
    return true
  }

  /** The interface goes; with it its routes. */
  drop(iface: Interface): void {
    this.remove((r) => r.router.iface === iface)
    for (let i = this.routers.length - 1; i >= 0; i--) if (this.routers[i].iface === iface) this.routers.splice(i, 1)
  }

  /** Takes out what has expired. */
  elapse(now: number): void {
    this.remove((r) => r.expires <= now)
    // Of whom there is no route nothing has to be known.
    for (let i = this.routers.length - 1; i >= 0; i--) {
      const router = this.routers[i]
      if (!this.routes.some((r) => r.router === router)) this.routers.splice(i, 1)
    }
  }

  /** When something happens next. */
  next(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const r of this.routes) {
      next = Math.min(next, r.expires)
      if (this.isMissed(r)) next = Math.min(next, upcoming(r.router.probeAt, now))
    }
    return next
  }

  /** Silent routers that are to be asked now whether they are back: they would be used, and others are used in their place. */
  due(now: number): Router[] {
    const out: Router[] = []
    for (const r of this.routes) {
      const { router } = r
      if (!this.isMissed(r) || router.probeAt > now) continue
      const inPlace = this.inUse(r)
      router.probeAt = now + this.config.routerProbeMs
      // RFC 4191 section 3.5: not without traffic that would take that way.
      if (inPlace !== null && this.isBusy(inPlace)) out.push(router)
    }
    return out
  }

  /** Routers with a default route here, the one in use first. */
  defaultRouters(iface: Interface): { address: Address; preference: number; expires: number; silent: boolean }[] {
    return this.inOrder(this.routes.filter((r) => r.prefix.length === 0 && r.router.iface === iface)).map((r) => ({
      address: r.router.address,
      preference: r.preference,
      expires: r.expires,
      silent: r.router.silent !== 0,
    }))
  }

  hasDefault(iface: Interface): boolean {
    return this.routes.some((r) => r.prefix.length === 0 && r.router.iface === iface)
  }

  /** It is silent, and there is another that could do its work. */
  private isMissed(r: RouterRoute): boolean {
    return r.router.silent !== 0 && this.inUse(r) !== null
  }

  /** The route that is used in place of `r`; null: there is none, or it is `r`. */
  private inUse(r: RouterRoute): RouterRoute | null {
    const first = this.inOrder(this.routes.filter((o) => samePrefix(o.prefix, r.prefix)))[0]
    return first === r || first.preference > r.preference ? null : first
  }

  /** Sent to within the time between two questions. */
  private isBusy(r: RouterRoute): boolean {
    const { iface, address } = r.router
    const neighbor = iface.neighbors6?.find(address) ?? null
    return neighbor?.usedWithin(this.config.routerProbeMs) === true
  }

  private inOrder(routes: RouterRoute[]): RouterRoute[] {
    return routes.sort((a, b) => {
      const [x, y] = [a.router.silent, b.router.silent]
      if ((x === 0) !== (y === 0)) return x === 0 ? -1 : 1
      if (x !== 0) return x - y
      return b.preference - a.preference
    })
  }

  /** Puts the routes of a prefix into the table in their order. */
  private arrange(prefix: Prefix): void {
    const { ip } = this
    const routes = this.inOrder(this.routes.filter((r) => samePrefix(r.prefix, prefix)))
    ip.routes.remove((e) => routes.some((r) => r.entry === e))
    for (const r of routes) {
      r.entry = {
        prefix: r.prefix,
        gateway: r.router.address,
        iface: r.router.iface,
        metric: METRIC,
        source: null,
        origin: 'ra',
      }
      ip.routes.add(r.entry)
    }
    ip.changed()
  }

  private arrangeOf(router: Router): void {
    for (const r of this.routes) if (r.router === router) this.arrange(r.prefix)
  }

  private remove(matches: (r: RouterRoute) => boolean): void {
    const gone = this.routes.filter(matches)
    if (gone.length === 0) return
    this.routes = this.routes.filter((r) => !gone.includes(r))
    this.ip.routes.remove((e) => gone.some((r) => r.entry === e))
    this.ip.changed()
  }
}

export function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && a.address.equals(b.address)
}
