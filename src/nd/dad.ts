/**
 * Duplicate Address Detection (RFC 4862 section 5.4) for the IPv6 addresses of one interface, with the nonces of RFC 7527 and the
 * optimism of RFC 4429.
 *
 * Theory of operation. The machine of each address is ip/claims.ts: a random delay before the first probe, RetransTimer after the last.
 *
 * The solicited-node group is joined before anything else (RFC 4862 section 5.4.2), or a probe of another host would not be heard.
 * While the interface is down nobody can object: probing
 * waits for the link. A probe that comes back to us (a hub, a loop) is known by its nonce; then MAX_MULTICAST_SOLICIT more are sent,
 * and only somebody else's nonce or advertisement is a conflict (RFC 7527 section 4.1). An optimistic address is DEPRECATED while it
 * is asked for: answered for without the override flag, and chosen as source only where there is no other (RFC 4429 section 3.1).
 * What other hosts say of an address that is CLAIMED is counted, and changes nothing: RFC 4862 leaves no time after the test at
 * which an address could be lost, and a forger could take it away.
 */

import { type Address, solicitedNode } from '../base/address.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { ClaimListener } from '../ip/addresses.ts'
import { Claim, ClaimPhase, Claims } from '../ip/claims.ts'
import { AddressState, type Interface, type InterfaceAddress } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'

const NAMES = ['probes', 'announcements', 'conflicts', 'lost', 'loopedBack', 'linkFull'] as const
const C = indexOf(NAMES)

/** What is sent. False: the link is full. */
export interface DadSender {
  /** A solicitation from nobody. */
  sendProbe(target: Address, nonce: boolean, nonceHigh: number, nonceLow: number): boolean
  /** An advertisement that nobody asked for: to all routers, who learn of a new address (RFC 9131), or to everybody. */
  announce(target: Address, everybody: boolean): boolean
}

class DadClaim extends Claim {
  /** Probes to be sent: more when the first came back to us. */
  wanted = 0
  nonceHigh = 0
  nonceLow = 0
  /** Everybody is told, not only routers: the address, or the link behind it, may have been somebody else's. */
  everybody = !this.probe
  readonly group = solicitedNode(this.own.address)
}

export class Dad extends Claims<DadClaim> {
  readonly counters: Counters<(typeof NAMES)[number]>

  constructor(
    iface: Interface,
    private readonly sender: DadSender,
    timers: Timers,
    clock: NeighborClock,
    private readonly random: Random,
    private readonly config: NdConfig,
    listener: ClaimListener,
  ) {
    const counters = new Counters(NAMES)
    super(iface, timers, clock, listener, { values: counters.values, ...C })
    this.counters = counters
  }

  /**
   * Takes charge of an IPv6 address of the interface. With `probe` it is TENTATIVE (optimistic: DEPRECATED) until nobody has objected,
   * 1 to 2 s with the RFC's times; without it is used now, and a DEPRECATED one stays so.
   */
  add(own: InterfaceAddress, probe: boolean): void {
    this.remove(own)
    const claim = new DadClaim(this, own, probe && this.config.dadTransmits > 0)
    this.claims.push(claim)
    this.iface.groups.join(claim.group)
    this.begin(claim)
  }

  /** Our link address is another one: neighbours are told (RFC 4861 section 7.2.6). */
  linkAddressChanged(): void {
    for (const claim of this.claims) if (!claim.pending && claim.phase !== ClaimPhase.LOST) this.announceAnew(claim)
  }

  /** The address is used before it is known to be ours alone. */
  isOptimistic(a: Address): boolean {
    const claim = this.find(a)
    return claim?.pending === true && claim.own.state !== AddressState.TENTATIVE
  }

  /**
   * A solicitation for `target` that comes from nobody: another host probes for it. True: the address is being asked for, and must not
   * be answered for.
   */
  probeHeard(target: Address, nonce: boolean, nonceHigh: number, nonceLow: number, macHigh: number, macLow: number): boolean {
    const claim = this.find(target)
    if (claim === null || !claim.pending) return false
    if (nonce && this.config.enhancedDad && nonceHigh === claim.nonceHigh && nonceLow === claim.nonceLow) {
      this.counters.values[C.loopedBack]++
      // RFC 7527 section 4.1: asked again, so that somebody else would have the time to answer.
      claim.wanted = this.config.dadTransmits + this.config.maxBroadcastSolicit
    } else this.lose(claim, macHigh, macLow) // RFC 4862 section 5.4.3: two hosts probe for one address; both give way
    return true
  }

  /** A solicitation by somebody who has an address: resolution, which a tentative address does not answer. */
  isTentative(target: Address): boolean {
    const claim = this.find(target)
    return claim?.pending === true && claim.own.state === AddressState.TENTATIVE
  }

  /** Somebody advertises `target`. True: it is ours, or was to be, and what is said of it must not be believed. */
  advertised(target: Address, macHigh: number, macLow: number): boolean {
    const claim = this.find(target)
    if (claim === null || claim.phase === ClaimPhase.LOST) return false // it is the other's now, who may be talked to
    if (claim.pending) this.lose(claim, macHigh, macLow)
    else this.counters.values[C.conflicts]++
    return true
  }

  /** Everything is taken away, the interface too. */
  close(): void {
    while (this.claims.length > 0) this.remove(this.claims[0].own)
  }

  private find(a: Address): DadClaim | null {
    const { claims } = this
    for (let i = 0; i < claims.length; i++) if (claims[i].own.address.equals(a)) return claims[i]
    return null
  }

  protected override get announceNum(): number {
    return this.config.announceNum
  }

  protected override get announceIntervalMs(): number {
    return this.config.retransTimerMs
  }

  protected override ask(claim: DadClaim, now: number): void {
    claim.own.state = this.config.optimisticDad ? AddressState.DEPRECATED : AddressState.TENTATIVE
    claim.wanted = this.config.dadTransmits
    // RFC 4862 section 5.4.2: hosts that start together shall not all ask at the same moment.
    this.timers.arm(claim, (now + randomBelow(this.random, this.config.dadDelayMs + 1)) | 0)
  }

  protected override probe(claim: DadClaim, now: number): void {
    if (!this.iface.up) {
      claim.phase = ClaimPhase.WAITING // until `linkUp`
      return
    }
    if (claim.sent >= claim.wanted) {
      this.succeed(claim, now)
      return
    }
    // RFC 7527 section 4.1: a new nonce for each.
    claim.nonceHigh = this.random.int32() & 0xffff
    claim.nonceLow = this.random.int32()
    if (!this.sender.sendProbe(claim.own.address, this.config.enhancedDad, claim.nonceHigh, claim.nonceLow)) {
      this.retry(claim, now)
      return
    }
    this.counters.values[C.probes]++
    claim.sent++
    this.timers.arm(claim, (now + this.config.retransTimerMs) | 0)
  }

  protected override announceAnew(claim: DadClaim): void {
    claim.everybody = true
    super.announceAnew(claim)
  }

  protected override say(claim: DadClaim): boolean {
    return this.sender.announce(claim.own.address, claim.everybody)
  }

  protected override released(claim: DadClaim): void {
    // Once: when the loss was told, or with the address.
    if (!(claim.phase === ClaimPhase.LOST && claim.told)) this.iface.groups.leave(claim.group)
  }
}
