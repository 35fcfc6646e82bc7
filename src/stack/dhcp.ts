/** An interface that configures itself by DHCP: what a lease does to its addresses, routes and MTU, and what its user sees of it. */
import { Address, type Prefix, prefix as parsePrefix } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { Timed } from '../base/timers.ts'
import { DhcpClient } from '../dhcp/client.ts'
import type { DhcpOptions } from '../dhcp/client-options.ts'
import type { ClientSite, ClientState, LeaseEvent } from '../dhcp/client-site.ts'
import { LeaseClock } from '../dhcp/clock.ts'
import type { Lease } from '../dhcp/lease.ts'
import { linkLocalAddress } from '../dhcp/link-local.ts'
import { AddressState, type InterfaceAddress } from '../ip/interface.ts'
import type { RouteEntry } from '../ip/route.ts'
import { removeRoutes } from '../ip/tables.ts'
import type { AttachedInterface } from './attached.ts'
import { Awaited } from './awaited.ts'
import { guarded, whenLoaded } from './owners-code.ts'
import type { Stack } from './stack.ts'

/** What happened to the lease of an interface; the lease is null when there is none any more. */
export type LeaseListener = (lease: Lease | null, event: LeaseEvent) => void

/** Below this a server's MTU is not believed (RFC 2132 section 5.1 allows 68; what is smaller than this breaks more than it mends). */
const MIN_MTU = 576
const IPV6_MIN_MTU = 1280

/** The client of DHCPv4 on an interface: `eth0.dhcp`. */
export class DhcpInterface extends Timed implements ClientSite {
  /** The first address is usable; rejects with ETIMEDOUT when there is none in time. */
  private readonly first: Awaited
  private readonly client: DhcpClient
  private readonly time: LeaseClock
  /** The address of the lease, ours to remove. */
  private address: InterfaceAddress | null = null
  /** Routes of the lease, ours to remove. */
  private routes: RouteEntry[] = []
  /** The lease holds: its user knows of it. */
  private told = false
  /** The interface's MTU before a lease changed it; 0: it did not. */
  private formerMtu = 0
  /** Link-local addresses that were tried (RFC 3927), and the one that is used or probed. */
  private attempts = 0
  private fallback: InterfaceAddress | null = null
  private readonly deadline: number
  private isClosed = false

  /** Throws NetError EOPNOTSUPP (no Ethernet), EADDRINUSE (port 68), ERR_INVALID_ARG_VALUE, and what the store throws when it is read. */
  constructor(
    private readonly stack: Stack,
    private readonly attached: AttachedInterface,
    private readonly options: DhcpOptions,
    private readonly metric: number,
  ) {
    super()
    const { iface } = attached
    if (iface.mac === null) throw new NetError('EOPNOTSUPP', { message: `${iface.name} is no Ethernet: it cannot use DHCP` })
    const { udp, ipLayer: ip, ipv4, frame, timers, turn: clock, random, config, host } = stack
    this.time = new LeaseClock(clock, host)
    const deps = { udp, ip, ipv4, frame, timers, clock, random, time: this.time, config: config.dhcp, wake: clock.wake }
    this.client = new DhcpClient(deps, iface, iface.mac, options, this)
    this.first = new Awaited(host)
    const timeoutMs = options.timeoutMs ?? config.dhcp.timeoutMs
    this.deadline = this.time.now + timeoutMs
    const first = options.linkLocal === true ? Math.min(config.dhcp.linkLocalAfterMs, timeoutMs) : timeoutMs
    timers.arm(this, (clock.nowMs + first) | 0)
    try {
      this.begin()
    } catch (error) {
      this.close()
      throw error
    }
  }

  get ready(): Promise<void> {
    return this.first.promise
  }

  get state(): ClientState {
    return this.client.state
  }

  get lease(): Lease | null {
    return this.told ? this.client.lease : null
  }

  get counters(): DhcpClient['counters'] {
    return this.client.counters
  }

  /** Renews the lease now; begins anew after `release`. */
  renew(): void {
    this.stack.turn.readClock()
    this.client.renew()
    this.stack.turn.wake()
  }

  /** Gives the lease back and stops. */
  release(): void {
    this.stack.turn.readClock()
    this.client.stop(true)
    this.endFallback()
    this.stack.turn.wake()
  }

  /** The interface goes: the lease is given back, unless it is kept for the next time. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    const keeps = !(this.options.release ?? this.options.store === undefined)
    if (!keeps) {
      this.client.stop(true)
      this.attached.link.flush()
    }
    this.client.close()
    this.first.failed(new NetError('ECANCELED', { message: `${this.attached.name} was closed` }))
    this.stack.timers.remove(this)
  }

  linkChanged(up: boolean): void {
    this.client.link(up)
  }

  // What conflict detection says of addresses of ours. True: it is the client's business.

  addressReady(own: InterfaceAddress): void {
    if (own === this.address) this.client.claimed()
    else if (own === this.fallback) this.first.succeeded()
  }

  addressConflict(own: InterfaceAddress): boolean {
    if (own === this.address) this.client.conflict()
    else if (own === this.fallback) {
      this.attached.removeAddress(`${own.address}`)
      this.fallback = null
      this.fallBack()
    } else return false
    return true
  }

  // What the client asks for

  claim(lease: Lease): void {
    const { attached, stack, options, time } = this
    const prefix = parsePrefix(lease.prefix)
    const validSeconds = Math.max(1, (lease.expiresAt - time.now) / 1000)
    const had = attached.iface.addresses.find((a) => a.address.equals(prefix.address))
    if (had !== undefined) attached.removeAddress(`${had.address}`)
    attached.giveAddress(prefix, { probe: options.probe ?? true, validSeconds }, null).catch(() => undefined)
    this.address = attached.iface.addresses.find((a) => a.address.equals(prefix.address)) ?? null
    stack.turn.rearm()
  }

  apply(lease: Lease, event: LeaseEvent): void {
    const { attached, stack, address } = this
    if (address !== null) {
      const validSeconds = (lease.expiresAt - this.time.now) / 1000
      attached.setLifetime(address, validSeconds, validSeconds)
    }
    this.endFallback()
    this.removeRoutes()
    if (event !== 'informed') this.addRoutes(lease, parsePrefix(lease.prefix).address)
    this.applyMtu(lease.mtu)
    stack.ipLayer.changed()
    this.told = true
    this.store(event === 'informed' ? null : lease)
    this.first.succeeded()
    this.tell(lease, event)
  }

  withdraw(event: LeaseEvent): void {
    const { attached, stack, address, told } = this
    this.removeRoutes()
    if (this.formerMtu !== 0) attached.setMtu(this.formerMtu)
    this.formerMtu = 0
    this.address = null
    this.told = false
    if (address !== null) attached.removeAddress(`${address.address}`)
    stack.ipLayer.changed()
    if (!told) return
    this.store(null)
    this.tell(null, event)
  }

  own(): Prefix | null {
    const own = this.attached.iface.addresses.find((a) => a.address.isV4 && a.state === AddressState.PREFERRED)
    return own === undefined ? null : parsePrefix(`${own.address}/${own.prefix.length}`)
  }

  /** There is no answer in time: an address of our own, if that was asked for, or an end of the waiting. */
  override onTimer(): void {
    const { stack, options } = this
    if (this.first.isOver) return
    const left = this.deadline - this.time.now
    if (options.linkLocal === true && this.fallback === null && this.client.lease === null) this.fallBack()
    else if (left <= 0) {
      const seconds = (options.timeoutMs ?? stack.config.dhcp.timeoutMs) / 1000
      const { name } = this.attached
      const message = `no DHCP answer on ${name} within ${seconds} s: is there a DHCP server on this link? Without one give an address`
      this.first.failed(new NetError('ETIMEDOUT', { message }))
    }
    if (left > 0) stack.timers.arm(this, (stack.turn.nowMs + left) | 0)
  }

  private begin(): void {
    const { options, client, stack } = this
    whenLoaded(
      stack,
      () => options.store?.load() ?? null,
      (lease) => void (this.isClosed || client.start(lease)),
    )
  }

  private store(lease: Lease | null): void {
    guarded(this.stack, () => this.options.store?.save(lease))
  }

  private tell(lease: Lease | null, event: LeaseEvent): void {
    guarded(this.stack, () => this.attached.onLease?.(lease, event))
  }

  /** A gateway is believed to be on the link, whatever the mask says: servers of clouds give /32 (systemd and NetworkManager do the same). */
  private addRoutes(lease: Lease, source: Address): void {
    const { metric } = this
    const { iface } = this.attached
    const { ipLayer: ip } = this.stack
    const all = [...lease.routes, ...lease.routers.map((gateway) => ({ destination: '0.0.0.0/0', gateway }))]
    for (const { destination, gateway } of all) {
      const prefix = parsePrefix(destination).network
      const by = parsePrefix(gateway).address
      const entry: RouteEntry = { prefix, gateway: by.isUnspecified ? null : by, iface, metric, source, origin: 'dhcp' }
      ip.routes.add(entry)
      this.routes.push(entry)
    }
  }

  private removeRoutes(): void {
    const ours = new Set(this.routes)
    this.routes = []
    if (ours.size > 0) removeRoutes(this.stack.ipLayer, (e) => ours.has(e))
  }

  /** RFC 2132 section 5.1. Never above what the link takes, nor so small that a server could take IPv6 away. */
  private applyMtu(wanted: number): void {
    const { attached } = this
    const { iface } = attached
    const least = iface.addresses.some((a) => !a.address.isV4) ? IPV6_MIN_MTU : MIN_MTU
    const most = Math.min(iface.netif.mtu, attached.parent?.mtu ?? iface.netif.mtu)
    const before = this.formerMtu === 0 ? iface.mtu : this.formerMtu
    const mtu = wanted < least || wanted > most ? before : wanted
    if (mtu === iface.mtu) return
    this.formerMtu = mtu === before ? 0 : before
    attached.setMtu(mtu)
  }

  /** RFC 3927: an address that nobody has. */
  private fallBack(): void {
    const { attached, stack } = this
    const address = linkLocalAddress(attached.iface.mac!, this.attempts++)
    attached.giveAddress(parsePrefix(`${Address.v4(address)}/16`), { probe: true }, null).catch(() => undefined)
    this.fallback = attached.iface.addresses.find((a) => a.address.w3 === address && a.address.isV4) ?? null
    stack.turn.rearm()
  }

  private endFallback(): void {
    const { fallback } = this
    this.fallback = null
    if (fallback !== null) this.attached.removeAddress(`${fallback.address}`)
  }
}
