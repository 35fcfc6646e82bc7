/**
 * Duplicate Address Detection (RFC 4862 section 5.4) for the IPv6 addresses of one interface, with the nonces of RFC 7527 and the
 * optimism of RFC 4429.
 *
 * Theory of operation. Each address is a small machine with one timer, as in arp/acd.ts:
 *
 *   WAITING --random delay--> PROBING --quiet for RetransTimer after the last probe--> ANNOUNCING --> CLAIMED
 *       \--conflict--> LOST <--conflict-----/
 *
 * The solicited-node group is joined before anything else (RFC 4862 section 5.4.2), or a probe of another host would not be heard.
 * Added without a probe, an address starts at ANNOUNCING and is used at once. While the interface is down nobody can object: probing
 * waits for the link. A probe that comes back to us (a hub, a loop) is known by its nonce; then MAX_MULTICAST_SOLICIT more are sent,
 * and only somebody else's nonce or advertisement is a conflict (RFC 7527 section 4.1). An optimistic address is DEPRECATED while it
 * is asked for: answered for without the override flag, and chosen as source only where there is no other (RFC 4429 section 3.1).
 * What other hosts say of an address that is CLAIMED is counted, and changes nothing: RFC 4862 leaves no time after the test at
 * which an address could be lost, and a forger could take it away. The listener is told from timers only.
 */

import { type Address, solicitedNode } from '../base/address.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { NdConfig } from '../base/ipv6-config.ts'
import { type Random, randomBelow } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { AddressClaims, ClaimListener } from '../ip/addresses.ts'
import { AddressState, type Interface, type InterfaceAddress } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'

const NAMES = ['probes', 'announcements', 'conflicts', 'lost', 'loopedBack', 'linkFull'] as const
const C = indexOf(NAMES)

/** A packet that the full link refused is tried again after this. */
const RETRY_MS = 100

/** What is sent. False: the link is full. */
export interface DadSender {
  /** A solicitation from nobody. */
  sendProbe(target: Address, nonce: boolean, nonceHigh: number, nonceLow: number): boolean
  /** An advertisement that nobody asked for: to all routers, who learn of a new address (RFC 9131), or to everybody. */
  announce(target: Address, everybody: boolean): boolean
}

const WAITING = 0
const PROBING = 1
const ANNOUNCING = 2
const CLAIMED = 3
const LOST = 4

class Claim extends Timed {
  phase = WAITING
  /** Probes or announcements sent in this phase. */
  sent = 0
  /** Probes to be sent: more when the first came back to us. */
  wanted = 0
  nonceHigh = 0
  nonceLow = 0
  /** The listener knows that it is ready, or lost. */
  told = false
  /** Everybody is told, not only routers: the address, or the link behind it, may have been somebody else's. */
  everybody: boolean
  rivalHigh = 0
  rivalLow = 0
  readonly group: Address

  constructor(
    private readonly dad: Dad,
    readonly own: InterfaceAddress,
    readonly probe: boolean,
  ) {
    super()
    this.everybody = !probe
    this.group = solicitedNode(own.address)
  }

  /** Asked for, and nothing heard yet. */
  get pending(): boolean {
    return this.phase === WAITING || this.phase === PROBING
  }

  override onTimer(now: number): void {
    this.dad.elapsed(this, now)
  }
}

export class Dad implements AddressClaims {
  readonly counters = new Counters(NAMES)
  private readonly claims: Claim[] = []

  constructor(
    private readonly iface: Interface,
    private readonly sender: DadSender,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly random: Random,
    private readonly config: NdConfig,
    private readonly listener: ClaimListener,
  ) {}

  /**
   * Takes charge of an IPv6 address of the interface. With `probe` it is TENTATIVE (optimistic: DEPRECATED) until nobody has objected,
   * 1 to 2 s with the RFC's times; without it is used now, and a DEPRECATED one stays so.
   */
  add(own: InterfaceAddress, probe: boolean): void {
    this.remove(own)
    const claim = new Claim(this, own, probe && this.config.dadTransmits > 0)
    this.claims.push(claim)
    this.iface.groups.join(claim.group)
    this.begin(claim)
  }

  /** Lets go of an address. Nothing is sent or told about it any more. */
  remove(own: InterfaceAddress): void {
    const i = this.claims.findIndex((c) => c.own === own)
    if (i < 0) return
    const claim = this.claims[i]
    this.timers.remove(claim)
    this.claims.splice(i, 1)
    if (!(claim.phase === LOST && claim.told)) this.iface.groups.leave(claim.group)
  }

  /** The link came up (again): neighbours may be others. Unfinished probes begin anew, addresses in use are announced. */
  linkUp(): void {
    for (const claim of this.claims) {
      if (claim.pending) this.begin(claim)
      else if (claim.phase !== LOST) this.announceAnew(claim)
    }
  }

  /** Our link address is another one: neighbours are told (RFC 4861 section 7.2.6). */
  linkAddressChanged(): void {
    for (const claim of this.claims) if (claim.phase === ANNOUNCING || claim.phase === CLAIMED) this.announceAnew(claim)
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
    if (claim === null || claim.phase === LOST) return false // it is the other's now, who may be talked to
    if (claim.pending) this.lose(claim, macHigh, macLow)
    else this.counters.values[C.conflicts]++
    return true
  }

  /** A claim's timer. */
  elapsed(claim: Claim, now: number): void {
    switch (claim.phase) {
      case WAITING:
        claim.phase = PROBING
        claim.sent = 0
        this.probe(claim, now)
        break
      case PROBING:
        this.probe(claim, now)
        break
      case ANNOUNCING:
        this.sendAnnouncement(claim, now)
        break
      case LOST:
        if (claim.told) break
        claim.told = true
        this.iface.groups.leave(claim.group)
        this.listener.onConflict(this.iface, claim.own, macOf(claim.rivalHigh, claim.rivalLow))
        break
    }
  }

  /** Everything is taken away, the interface too. */
  close(): void {
    while (this.claims.length > 0) this.remove(this.claims[0].own)
  }

  private find(a: Address): Claim | null {
    const { claims } = this
    for (let i = 0; i < claims.length; i++) if (claims[i].own.address.equals(a)) return claims[i]
    return null
  }

  private begin(claim: Claim): void {
    const now = this.clock.nowMs
    if (!claim.probe) {
      if (claim.own.state !== AddressState.DEPRECATED) claim.own.state = AddressState.PREFERRED
      this.announce(claim, now)
      return
    }
    claim.phase = WAITING
    claim.own.state = this.config.optimisticDad ? AddressState.DEPRECATED : AddressState.TENTATIVE
    claim.wanted = this.config.dadTransmits
    // RFC 4862 section 5.4.2: hosts that start together shall not all ask at the same moment.
    this.timers.arm(claim, (now + randomBelow(this.random, this.config.dadDelayMs + 1)) | 0)
  }

  /** Sends the next probe, or ends a quiet probing. */
  private probe(claim: Claim, now: number): void {
    if (!this.iface.up) {
      claim.phase = WAITING // until `linkUp`
      return
    }
    if (claim.sent >= claim.wanted) {
      claim.own.state = AddressState.PREFERRED
      this.announce(claim, now)
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

  private announceAnew(claim: Claim): void {
    claim.everybody = true
    this.announce(claim, this.clock.nowMs)
  }

  /** Starts a round of announcements with the next round of timers. */
  private announce(claim: Claim, now: number): void {
    claim.phase = ANNOUNCING
    claim.sent = 0
    this.timers.arm(claim, now)
  }

  private sendAnnouncement(claim: Claim, now: number): void {
    const { announceNum, retransTimerMs } = this.config
    if (claim.sent >= announceNum) claim.phase = CLAIMED
    else if (!this.sender.announce(claim.own.address, claim.everybody)) this.retry(claim, now)
    else {
      this.counters.values[C.announcements]++
      claim.sent++
      if (claim.sent >= announceNum) claim.phase = CLAIMED
      else this.timers.arm(claim, (now + retransTimerMs) | 0)
    }
    if (claim.told) return
    claim.told = true
    this.listener.onReady(this.iface, claim.own)
  }

  private lose(claim: Claim, high: number, low: number): void {
    this.counters.values[C.lost]++
    claim.phase = LOST
    claim.told = false
    claim.rivalHigh = high
    claim.rivalLow = low
    claim.own.state = AddressState.DUPLICATE
    this.timers.arm(claim, this.clock.nowMs)
  }

  private retry(claim: Claim, now: number): void {
    this.counters.values[C.linkFull]++
    this.timers.arm(claim, (now + RETRY_MS) | 0)
  }
}

function macOf(high: number, low: number): Uint8Array {
  return Uint8Array.of(high >>> 8, high, low >>> 24, low >>> 16, low >>> 8, low)
}
