/** An interface that configures itself by what routers say: what its user waits for, and sees of it. */
import { NetError } from '../base/errors.ts'
import { Timed } from '../base/timers.ts'
import type { Interface } from '../ip/interface.ts'
import { scopedText } from '../ip/zone.ts'
import type { NdInterface } from '../nd/nd-interface.ts'
import type { RouterDiscovery } from '../nd/router-discovery.ts'
import { Preference } from '../nd/router-routes.ts'
import type { SlaacListener } from '../nd/slaac.ts'
import type { Stack } from './stack.ts'

/** A default router, as it was announced. */
export interface RouterSummary {
  /** `fe80::1%eth0` */
  address: string
  preference: 'high' | 'medium' | 'low'
  /** Seconds that are left; Infinity: for good. */
  lifetime: number
  /** It has stopped answering, and is used only if no other answers. */
  silent: boolean
}

/** What routers say on an interface. */
export interface RouterReport {
  /** Advertisements that were believed. */
  received: number
  /** Addresses, or other things, are to be had by DHCPv6 (RFC 4861 section 4.2). */
  managed: boolean
  other: boolean
  /** 0: nothing was said. */
  mtu: number
  hopLimit: number
  /** The times of Neighbor Discovery that hold here. */
  reachableTimeMs: number
  retransTimerMs: number
  /** The one in use first. */
  routers: RouterSummary[]
  /** Prefixes on the link, and the seconds that are left. */
  prefixes: { prefix: string; lifetime: number }[]
  nameservers: string[]
  searchDomains: string[]
}

/** Waits for the first address. */
export class Autoconf extends Timed implements SlaacListener {
  readonly ready: Promise<void>
  private resolve: () => void = () => undefined
  private reject: (error: NetError) => void = () => undefined
  private waits: boolean

  constructor(
    private readonly stack: Stack,
    private readonly iface: Interface,
    nd: NdInterface,
    addresses: boolean,
    probe: boolean,
  ) {
    super()
    this.waits = addresses
    this.ready = addresses
      ? new Promise((resolve, reject) => {
          this.resolve = resolve
          this.reject = reject
        })
      : Promise.resolve()
    this.ready.catch(() => undefined)
    if (addresses) {
      stack.host.hold() // who awaits an address holds nothing else yet
      stack.timers.arm(this, (stack.turn.nowMs + stack.config.nd.slaacTimeoutMs) | 0)
    }
    stack.routers.listen(nd, { addresses, probe, listener: this })
  }

  usable(): void {
    if (this.end()) this.resolve()
  }

  failed(error: NetError): void {
    if (this.end()) this.reject(error)
  }

  override onTimer(): void {
    const { stack, iface } = this
    const seconds = stack.config.nd.slaacTimeoutMs / 1000
    const discovery = stack.routers.of(iface)
    if (discovery === null || discovery.heard === 0) {
      const message = `no router advertised itself on ${iface.name} within ${seconds} s: is there an IPv6 router on this link?`
      this.failed(new NetError('ETIMEDOUT', { message }))
      return
    }
    const advice = discovery.managed ? 'they say that addresses are to be had by DHCPv6' : 'give an address'
    const message = `routers on ${iface.name} announce no prefix to make an address of: ${advice}`
    this.failed(new NetError('EADDRNOTAVAIL', { message }))
  }

  private end(): boolean {
    if (!this.waits) return false
    this.waits = false
    this.stack.timers.remove(this)
    this.stack.host.release()
    return true
  }
}

const NAMES = new Map<number, RouterSummary['preference']>([
  [Preference.HIGH, 'high'],
  [Preference.MEDIUM, 'medium'],
  [Preference.LOW, 'low'],
])

export function reportOf(stack: Stack, { nd, heard, managed, other, prefixes, dns }: RouterDiscovery): RouterReport {
  const { ipLayer: ip, routers } = stack
  const { iface, config } = nd
  const now = routers.longClock.now
  const seconds = (ms: number): number => Math.max(0, Math.round(ms / 1000))
  return {
    received: heard,
    managed,
    other,
    mtu: iface.routerMtu,
    hopLimit: iface.hopLimit,
    reachableTimeMs: config.reachableTimeMs,
    retransTimerMs: config.retransTimerMs,
    routers: routers.routes.defaultRouters(iface).map((r) => ({
      address: scopedText(ip, r.address),
      preference: NAMES.get(r.preference) ?? 'medium',
      lifetime: seconds(r.expires - now),
      silent: r.silent,
    })),
    prefixes: prefixes.entries(now).map((p) => ({ prefix: `${p.prefix}`, lifetime: seconds(p.leftMs) })),
    nameservers: dns.nameservers.map((a) => scopedText(ip, a)),
    searchDomains: dns.searchDomains,
  }
}
