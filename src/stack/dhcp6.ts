/** An interface that configures itself by DHCPv6: what a lease does to its addresses and to other interfaces, and what its user sees of it. */
import { type Address, Prefix, address as parseAddress } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { Timed } from '../base/timers.ts'
import type { LeaseEvent } from '../dhcp/client-site.ts'
import { LeaseClock } from '../dhcp/clock.ts'
import { Dhcp6Client } from '../dhcp6/client.ts'
import { type Dhcp6Options, ownDuid } from '../dhcp6/client-options.ts'
import type { Client6Site, Client6State } from '../dhcp6/client-site.ts'
import { C6 } from '../dhcp6/counters.ts'
import { formatDuid, parseDuid } from '../dhcp6/duid.ts'
import { restored } from '../dhcp6/kept.ts'
import type { Kept6, Lease6 } from '../dhcp6/lease.ts'
import { type AddressNotes, AddressState, type InterfaceAddress } from '../ip/interface.ts'
import { IP6_MIN_MTU } from '../ipv6/wire.ts'
import { usableLinkLocal } from '../nd/link-local.ts'
import type { AttachedInterface } from './attached.ts'
import { Awaited } from './awaited.ts'
import { Delegation } from './delegation.ts'
import { guarded, whenLoaded } from './owners-code.ts'
import type { Stack } from './stack.ts'

/** What happened to the lease of an interface; the lease is null when there is none any more. */
export type Lease6Listener = (lease: Lease6 | null, event: LeaseEvent) => void

/** What is on the link is for routers to say, not for DHCPv6 (RFC 5942 section 4): an address has no network. */
const HOST_BITS = 128
const NOTES: AddressNotes = { label: null, scope: null, broadcast: null, peer: null, noPrefixRoute: true, noDad: false }

/** The client of DHCPv6 on an interface: `eth0.dhcp6`. */
export class Dhcp6Interface extends Timed implements Client6Site {
  /** The first lease, or the first answer to who asks for no address. Rejects with ETIMEDOUT when there is none in time. */
  private readonly first: Awaited
  private readonly client: Dhcp6Client
  private readonly time: LeaseClock
  private readonly delegation: Delegation | null
  /** Addresses of the lease, ours to remove. */
  private ours: InterfaceAddress[] = []
  /** The user knows of the lease. */
  private isApplied = false
  private isClosed = false

  /** Throws NetError EOPNOTSUPP (no Ethernet), EADDRINUSE (port 546), ERR_INVALID_ARG_VALUE, and what the store throws when it is read. */
  constructor(
    private readonly stack: Stack,
    private readonly attached: AttachedInterface,
    private readonly options: Dhcp6Options,
    /** There is a lease, or an answer. */
    private readonly succeeded: () => void,
  ) {
    super()
    const { iface } = attached
    if (iface.mac === null) throw new NetError('EOPNOTSUPP', { message: `${iface.name} is no Ethernet: it cannot use DHCPv6` })
    const { udp, timers, turn: clock, random, config, host } = stack
    this.time = new LeaseClock(clock, host)
    const duid = ownDuid(options.duid, iface.mac, this.time.now)
    const { delegate } = options
    const failed = (): void => void this.counters.values[C6.delegationFailed]++
    this.delegation =
      delegate === undefined && options.prefix === undefined ? null : new Delegation(stack, delegate ?? [], failed)
    const deps = { udp, timers, clock, random, time: this.time, config: config.dhcp6 }
    this.client = new Dhcp6Client(deps, iface, duid, options, this)
    this.first = new Awaited(host)
    timers.arm(this, (clock.nowMs + this.timeoutMs) | 0)
    try {
      this.begin(duid)
    } catch (error) {
      this.close()
      throw error
    }
  }

  get ready(): Promise<void> {
    return this.first.promise
  }

  get state(): Client6State {
    return this.client.state
  }

  get lease(): Lease6 | null {
    return this.isApplied ? this.client.lease : null
  }

  /** Who we are: `00:03:00:01:02:...`. */
  get duid(): string {
    return formatDuid(this.client.duid)
  }

  get counters(): Dhcp6Client['counters'] {
    return this.client.counters
  }

  /** DNS servers; link-local ones are of this link. */
  get nameservers(): string[] {
    return (this.lease?.nameservers ?? []).map((text) =>
      parseAddress(text).isLinkLocal ? `${text}%${this.attached.name}` : text,
    )
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
    this.stack.turn.wake()
  }

  /** The interface goes: the lease is given back, unless it is kept for the next time. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.options.release ?? this.options.store === undefined) {
      this.client.stop(true)
      this.attached.link.flush()
    } else this.delegation?.update(null, this.time.now)
    this.client.close()
    this.first.failed(new NetError('ECANCELED', { message: `${this.attached.name} was closed` }))
    this.stack.timers.remove(this)
  }

  linkChanged(up: boolean): void {
    this.client.link(up)
  }

  // What conflict detection says of addresses of ours. True: it is the client's business.

  addressReady(own: InterfaceAddress): void {
    if (own.address.isLinkLocal) this.client.usable()
    else if (this.ours.includes(own) && !this.isProbing) this.client.claimed()
  }

  addressConflict(own: InterfaceAddress): boolean {
    if (!this.ours.includes(own)) return false
    const text = `${own.address}`
    this.ours = this.ours.filter((o) => o !== own)
    this.attached.removeAddress(text)
    this.client.conflict(text)
    return true
  }

  // What the client asks for

  source(): Address | null {
    const { nd, iface } = this.attached
    return nd === null || !iface.up ? null : usableLinkLocal(nd)
  }

  claim({ addresses }: Lease6): boolean {
    const { attached, options, time } = this
    const { iface } = attached
    this.ours = this.ours.filter((own) => iface.addresses.includes(own))
    for (const own of [...this.ours]) if (!addresses.some((a) => a.address === `${own.address}`)) this.takeAway(own)
    for (const { address, validUntil, preferredUntil } of addresses) {
      const validSeconds = (validUntil - time.now) / 1000
      const preferredSeconds = Math.max(0, preferredUntil - time.now) / 1000
      const a = parseAddress(address)
      const had = iface.addresses.find((own) => own.address.equals(a))
      if (had === undefined) this.give(a, { probe: options.probe, validSeconds, preferredSeconds })
      // Somebody gave the interface this one by hand, or a router did: it is theirs.
      else if (this.ours.includes(had)) attached.setLifetime(had, validSeconds, preferredSeconds)
    }
    this.stack.turn.rearm()
    return !this.isProbing
  }

  apply(lease: Lease6, event: LeaseEvent): void {
    this.delegation?.update(lease, this.time.now)
    this.stack.ipLayer.changed()
    this.isApplied = true
    this.store(event === 'informed' ? null : lease)
    this.first.succeeded()
    this.succeeded()
    this.tell(lease, event)
  }

  withdraw(event: LeaseEvent): void {
    const had = this.isApplied
    for (const own of [...this.ours]) this.takeAway(own)
    this.delegation?.update(null, this.time.now)
    this.stack.ipLayer.changed()
    if (!had) return
    this.isApplied = false
    this.store(null)
    this.tell(null, event)
  }

  override onTimer(): void {
    const { name } = this.attached
    const seconds = this.timeoutMs / 1000
    const message = `no DHCPv6 answer on ${name} within ${seconds} s: is there a DHCPv6 server on this link? Without one give an address`
    this.first.failed(new NetError('ETIMEDOUT', { message }))
  }

  private get timeoutMs(): number {
    return this.options.timeoutMs ?? this.stack.config.dhcp6.timeoutMs
  }

  private get isProbing(): boolean {
    return this.ours.some((own) => own.state === AddressState.TENTATIVE)
  }

  private give(a: Address, options: { probe: boolean | undefined; validSeconds: number; preferredSeconds: number }): void {
    const { attached } = this
    if (attached.mtu < IP6_MIN_MTU) return // there is no IPv6 here as long as it is so narrow
    attached.giveAddress(new Prefix(a, HOST_BITS), options, NOTES).catch(() => undefined)
    const own = attached.iface.addresses.find((o) => o.address.equals(a))
    if (own !== undefined) this.ours.push(own)
  }

  private takeAway(own: InterfaceAddress): void {
    this.ours = this.ours.filter((o) => o !== own)
    this.attached.removeAddress(`${own.address}`)
  }

  /** With the DUID and the lease of before, if there is a store that has them. */
  private begin(duid: Uint8Array): void {
    const { options, client, stack } = this
    const start = (loaded: Kept6 | null): void => {
      if (this.isClosed) return
      const kept = restored(loaded)
      client.start(kept === null ? duid : parseDuid(kept.duid)!, kept?.lease ?? null)
    }
    whenLoaded(stack, () => options.store?.load() ?? null, start)
  }

  private store(lease: Lease6 | null): void {
    guarded(this.stack, () => this.options.store?.save({ duid: this.duid, lease }))
  }

  private tell(lease: Lease6 | null, event: LeaseEvent): void {
    guarded(this.stack, () => this.attached.onLease6?.(lease, event))
  }
}
