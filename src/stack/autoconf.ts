/** An interface that configures itself by what routers say: what its user waits for, and sees of it. */
import { NetError } from '../base/errors.ts'
import { Timed } from '../base/timers.ts'
import type { Interface } from '../ip/interface.ts'
import { scopedText } from '../ip/zone.ts'
import type { NdInterface } from '../nd/nd-interface.ts'
import type { RouterDiscovery } from '../nd/router-discovery.ts'
import { Preference } from '../nd/router-routes.ts'
import type { SlaacListener } from '../nd/slaac.ts'
import { Awaited } from './awaited.ts'
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

/** Waits for the first address: of a router's prefix, or a DHCPv6 server's where routers say that there is one. */
export class Autoconf extends Timed implements SlaacListener {
  private readonly first: Awaited | null

  constructor(
    private readonly stack: Stack,
    private readonly iface: Interface,
    nd: NdInterface,
    addresses: boolean,
    probe: boolean,
    /** What routers say of DHCPv6, with each advertisement. */
    readonly said: (managed: boolean, other: boolean) => void,
  ) {
    super()
    this.first = addresses ? new Awaited(stack.host) : null
    if (addresses) stack.timers.arm(this, (stack.turn.nowMs + stack.config.nd.slaacTimeoutMs) | 0)
    stack.routers.listen(nd, { addresses, probe, listener: this })
  }

  get ready(): Promise<void> {
    return this.first?.promise ?? Promise.resolve()
  }

  usable(): void {
    this.first?.succeeded()
    this.stack.timers.remove(this)
  }

  failed(error: NetError): void {
    this.first?.failed(error)
    this.stack.timers.remove(this)
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
    const advice = discovery.managed ? 'addresses are to be had by DHCPv6, they say, and none was' : 'give an address'
    const message = `routers on ${iface.name} announce no prefix to make an address of: ${advice}`
    this.failed(new NetError('EADDRNOTAVAIL', { message }))
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
