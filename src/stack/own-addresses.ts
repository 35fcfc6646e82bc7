/**
 * The addresses of one interface, from the moment that they are given to the moment that they go.
 *
 * An address that has to be probed first (RFC 5227, RFC 4862 section 5.4) is TENTATIVE, and whoever gave it waits: conflict detection of its family
 * looks after it, tells the interface, and the interface settles it here. A link-local address that turns out to be another host's is replaced
 * as long as there are others to try; those who wait for it wait for the next. What has a lifetime goes when that is over.
 */
import type { Arp } from '../arp/arp.ts'
import type { Address, Prefix } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { type AddressClaims, addAddress, removeAddress } from '../ip/addresses.ts'
import { type AddressNotes, AddressState, type Interface, type InterfaceAddress } from '../ip/interface.ts'
import { AddressLifetime, type LifetimeListener } from '../ip/lifetime.ts'
import { hasLinkLocal } from '../nd/link-local.ts'
import type { AddressOptions } from './attach-options.ts'
import type { Stack } from './stack.ts'

const FOREVER = Number.POSITIVE_INFINITY

export class OwnAddresses implements LifetimeListener {
  /** The link-local address that was made, and how many before it were other hosts'. */
  private linkLocal: InterfaceAddress | null = null
  private attempts = 0
  private readonly waiting = new Map<InterfaceAddress, { resolve: () => void; reject: (error: NetError) => void }>()

  constructor(
    private readonly stack: Stack,
    private readonly iface: Interface,
    private readonly arp: Arp | null,
  ) {}

  /** Resolves when the address is usable. Throws NetError EEXIST. */
  add(prefix: Prefix, options: AddressOptions, notes: AddressNotes | null = null): Promise<void> {
    const claims = this.claimsOf(prefix.address)
    const { arp, nd } = this.stack.config
    const byDefault = prefix.address.isV4 ? arp.probe : nd.dadTransmits > 0
    const probing = (options.probe ?? byDefault) && claims !== null
    const state = probing ? AddressState.TENTATIVE : AddressState.PREFERRED
    const own = addAddress(this.stack.ipLayer, this.iface, prefix, state, notes)
    const { validSeconds = FOREVER, preferredSeconds = FOREVER } = options
    if (validSeconds !== FOREVER || preferredSeconds !== FOREVER) this.setLifetime(own, validSeconds, preferredSeconds)
    if (claims === null) return Promise.resolve()
    const done = probing ? this.settled(own) : Promise.resolve()
    done.catch(() => undefined)
    claims.add(own, probing)
    return done
  }

  /** False: the interface did not have it any more. */
  drop(own: InterfaceAddress, why: string): boolean {
    const { address } = own
    this.claimsOf(address)?.remove(own)
    this.settle(own, new NetError('ECANCELED', { message: `${address} is no address of ${this.iface.name} any more: ${why}` }))
    return removeAddress(this.stack.ipLayer, this.iface, address)
  }

  /** Gives the interface its link-local address (RFC 4291 section 2.8), unless it has one. Resolves when that is usable. */
  startIpv6(probe?: boolean): Promise<void> {
    if (hasLinkLocal(this.iface)) return Promise.resolve()
    this.attempts = 0
    const done = this.add(this.stack.nd.linkLocal(this.iface, 0), { probe })
    this.linkLocal = this.iface.addresses[this.iface.addresses.length - 1]
    return done
  }

  /** Makes another link-local address in place of `own`, which is another host's. False: it is none that was made, or there is no other to try. */
  retryLinkLocal(own: InterfaceAddress): boolean {
    const { stack, iface } = this
    if (own !== this.linkLocal || !stack.nd.mayRetry(iface, ++this.attempts)) return false
    const claims = this.claimsOf(own.address)
    claims?.remove(own)
    removeAddress(stack.ipLayer, iface, own.address)
    const next = addAddress(stack.ipLayer, iface, stack.nd.linkLocal(iface, this.attempts), AddressState.TENTATIVE)
    this.linkLocal = next
    const waiting = this.waiting.get(own)
    this.waiting.delete(own)
    if (waiting !== undefined) this.waiting.set(next, waiting)
    claims?.add(next, true)
    return true
  }

  /** Changes when an address ends; seconds, Infinity for ever. */
  setLifetime(own: InterfaceAddress, validSeconds: number, preferredSeconds: number): void {
    const { timers, turn } = this.stack
    turn.readClock()
    own.lifetime ??= new AddressLifetime(own, timers, turn, this)
    own.lifetime.set(validSeconds, preferredSeconds)
    turn.rearm()
  }

  lifetimeChanged(): void {
    this.stack.ipLayer.changed()
  }

  lifetimeOver(own: InterfaceAddress): void {
    this.drop(own, 'its lifetime is over')
  }

  /** Tells who waits for an address that it can be used, or why not. */
  settle(own: InterfaceAddress, error: NetError | null): void {
    const w = this.waiting.get(own)
    if (w === undefined) return
    this.waiting.delete(own)
    this.stack.host.release()
    if (error === null) w.resolve()
    else w.reject(error)
  }

  /** Ends what still waits. */
  released(error: NetError): void {
    for (const own of [...this.waiting.keys()]) this.settle(own, error)
  }

  /** Settled by `settle`. Until then the process is kept alive: who awaits an address that is probed holds nothing else yet. */
  private settled(own: InterfaceAddress): Promise<void> {
    this.stack.host.hold()
    return new Promise((resolve, reject) => this.waiting.set(own, { resolve, reject }))
  }

  /** Who looks after an address of this family here; null on links where nobody can object. */
  private claimsOf(address: Address): AddressClaims | null {
    return (address.isV4 ? this.arp?.acd : this.stack.nd.attach(this.iface)?.dad) ?? null
  }
}
