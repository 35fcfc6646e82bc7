/**
 * Claiming addresses: what conflict detection of IPv4 (arp/acd.ts, RFC 5227) and of IPv6 (nd/dad.ts, RFC 4862 section 5.4) have in common.
 *
 * Theory of operation. Each address is a small machine with one timer; the families say how a probe and an announcement look, when the next
 * is due, and what counts as an objection:
 *
 *   WAITING --delay--> PROBING --quiet after the last probe--> ANNOUNCING --> CLAIMED
 *       \--objection--> LOST <--objection---/
 *
 * Added without a probe, an address starts at ANNOUNCING and is used at once. The listener is told from timers only, never while a packet
 * is being heard. An address that was lost stays DUPLICATE until its owner removes it.
 */
import { Timed, type Timers } from '../base/timers.ts'
import { macBytes } from '../ethernet/mac.ts'
import type { AddressClaims, ClaimListener } from './addresses.ts'
import { AddressState, type Interface, type InterfaceAddress } from './interface.ts'
import type { NeighborClock } from './neighbor.ts'

export const ClaimPhase = { WAITING: 0, PROBING: 1, ANNOUNCING: 2, CLAIMED: 3, LOST: 4 } as const

/** A packet that the full link refused is tried again after this. */
const RETRY_MS = 100

/** One address that is claimed. */
export class Claim extends Timed {
  phase: number = ClaimPhase.WAITING
  /** Probes or announcements sent in this phase. */
  sent = 0
  /** The listener knows that it is ready, or lost. */
  told = false
  rivalHigh = 0
  rivalLow = 0

  constructor(
    private readonly owner: { elapsed(claim: Claim, now: number): void },
    readonly own: InterfaceAddress,
    readonly probe: boolean,
  ) {
    super()
  }

  /** Asked for, and nothing heard yet. */
  get pending(): boolean {
    return this.phase === ClaimPhase.WAITING || this.phase === ClaimPhase.PROBING
  }

  override onTimer(now: number): void {
    this.owner.elapsed(this, now)
  }
}

/** Where the counters of a family are that both have. */
export interface ClaimCounts {
  readonly values: Float64Array
  readonly announcements: number
  readonly lost: number
  readonly linkFull: number
}

export abstract class Claims<T extends Claim> implements AddressClaims {
  protected readonly claims: T[] = []

  constructor(
    protected readonly iface: Interface,
    protected readonly timers: Timers,
    protected readonly clock: NeighborClock,
    private readonly listener: ClaimListener,
    private readonly counts: ClaimCounts,
  ) {}

  abstract add(own: InterfaceAddress, probe: boolean): void

  /** Lets go of an address. Nothing is sent or told about it any more. */
  remove(own: InterfaceAddress): void {
    const i = this.claims.findIndex((c) => c.own === own)
    if (i < 0) return
    const claim = this.claims[i]
    this.timers.remove(claim)
    this.claims.splice(i, 1)
    this.released(claim)
  }

  /** The link came up (again): neighbours may be others. Unfinished probes begin anew, addresses in use are announced. */
  linkUp(): void {
    for (const claim of this.claims) {
      if (claim.pending) this.begin(claim)
      else if (claim.phase !== ClaimPhase.LOST) this.announceAnew(claim)
    }
  }

  /** A claim's timer. */
  elapsed(claim: T, now: number): void {
    switch (claim.phase) {
      case ClaimPhase.WAITING:
        claim.phase = ClaimPhase.PROBING
        claim.sent = 0
        this.probe(claim, now)
        break
      case ClaimPhase.PROBING:
        this.probe(claim, now)
        break
      case ClaimPhase.ANNOUNCING:
        this.sendAnnouncement(claim, now)
        break
      case ClaimPhase.LOST:
        if (claim.told) break
        this.released(claim)
        claim.told = true
        this.listener.onConflict(this.iface, claim.own, macBytes(claim.rivalHigh, claim.rivalLow))
        break
    }
  }

  /** Begins to ask: sets the address's state and arms the claim for its first probe. */
  protected abstract ask(claim: T, now: number): void
  /** Sends the next probe, or ends a quiet probing by `succeed`. */
  protected abstract probe(claim: T, now: number): void
  /** Sends one announcement. False: the link is full. */
  protected abstract say(claim: T): boolean
  protected abstract get announceNum(): number
  protected abstract get announceIntervalMs(): number

  /** The claim ends: its loss is about to be told, or its address was taken away (before or after that). */
  protected released(_claim: T): void {}

  protected begin(claim: T): void {
    const now = this.clock.nowMs
    if (claim.probe) {
      claim.phase = ClaimPhase.WAITING
      this.ask(claim, now)
      return
    }
    if (claim.own.state !== AddressState.DEPRECATED) claim.own.state = AddressState.PREFERRED
    this.announce(claim, now)
  }

  /** Nobody has objected. */
  protected succeed(claim: T, now: number): void {
    claim.own.state = AddressState.PREFERRED
    this.announce(claim, now)
  }

  protected announceAnew(claim: T): void {
    this.announce(claim, this.clock.nowMs)
  }

  protected lose(claim: T, high: number, low: number): void {
    this.counts.values[this.counts.lost]++
    claim.phase = ClaimPhase.LOST
    claim.told = false
    claim.rivalHigh = high
    claim.rivalLow = low
    claim.own.state = AddressState.DUPLICATE
    this.timers.arm(claim, this.clock.nowMs)
  }

  protected retry(claim: T, now: number): void {
    this.counts.values[this.counts.linkFull]++
    this.timers.arm(claim, (now + RETRY_MS) | 0)
  }

  /** Starts a round of announcements with the next round of timers. */
  private announce(claim: T, now: number): void {
    claim.phase = ClaimPhase.ANNOUNCING
    claim.sent = 0
    this.timers.arm(claim, now)
  }

  private sendAnnouncement(claim: T, now: number): void {
    const { announceNum } = this
    if (claim.sent >= announceNum) claim.phase = ClaimPhase.CLAIMED
    else if (!this.say(claim)) this.retry(claim, now)
    else {
      this.counts.values[this.counts.announcements]++
      claim.sent++
      if (claim.sent >= announceNum) claim.phase = ClaimPhase.CLAIMED
      else this.timers.arm(claim, (now + this.announceIntervalMs) | 0)
    }
    // In use from the first announcement on (RFC 5227 section 2.3); it is ours even if the link has no room to say so yet.
    if (claim.told) return
    claim.told = true
    this.listener.onReady(this.iface, claim.own)
  }
}
