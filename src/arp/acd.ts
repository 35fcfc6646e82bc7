/**
 * IPv4 Address Conflict Detection (RFC 5227) for the addresses of one interface.
 *
 * Theory of operation. The machine of each address is ip/claims.ts: PROBE_WAIT before the first probe, ANNOUNCE_WAIT after the last. One
 * that is CLAIMED is defended, and LOST with the second conflict within DEFEND_INTERVAL.
 */
import type { ArpConfig } from '../base/arp-config.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { type Random, randomBelow } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { ClaimListener } from '../ip/addresses.ts'
import { Claim, ClaimPhase, Claims } from '../ip/claims.ts'
import { AddressState, type Interface, type InterfaceAddress } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'

const NAMES = ['probes', 'announcements', 'conflicts', 'defended', 'lost', 'linkFull'] as const
const C = indexOf(NAMES)

/** What conflict detection sends: a broadcast ARP request. `sender` 0 makes it a probe. False: the link is full. */
export interface AcdSender {
  sendRequest(sender: number, target: number): boolean
}

class AcdClaim extends Claim {
  /** A conflict was seen in use, and when: the next one within DEFEND_INTERVAL is the last. */
  defended = false
  defendedAt = 0
}

export class Acd extends Claims<AcdClaim> {
  readonly counters: Counters<(typeof NAMES)[number]>
  /** Conflicts on this interface so far; from MAX_CONFLICTS on, new probes are rationed. */
  private conflicts = 0
  /** When the next rationed probe may begin. */
  private nextProbeAt: number

  constructor(
    iface: Interface,
    private readonly sender: AcdSender,
    timers: Timers,
    clock: NeighborClock,
    private readonly random: Random,
    private readonly config: ArpConfig,
    listener: ClaimListener,
  ) {
    const counters = new Counters(NAMES)
    super(iface, timers, clock, listener, { values: counters.values, ...C })
    this.counters = counters
    this.nextProbeAt = clock.nowMs
  }

  /**
   * Takes charge of an IPv4 address of the interface. With `probe` it is TENTATIVE until nobody has objected (5 to 9 s with the
   * RFC's times), else PREFERRED now (a DEPRECATED one stays so). Either way it is announced, and `onReady` follows.
   */
  add(own: InterfaceAddress, probe: boolean): void {
    this.remove(own)
    const claim = new AcdClaim(this, own, probe)
    this.claims.push(claim)
    this.begin(claim)
  }

  /**
   * Every ARP packet that another host sent, request or reply. True: its sender claims an address of ours, and must be believed in
   * nothing else.
   */
  input(isRequest: boolean, sender: number, target: number, high: number, low: number): boolean {
    let claimed = false
    for (let i = 0; i < this.claims.length; i++) {
      const claim = this.claims[i]
      const word = claim.own.address.w3
      const probing = claim.pending
      if (sender === word) {
        if (claim.phase === ClaimPhase.LOST) continue // it is the other's now, who may be talked to
        claimed = true
        if (probing) this.lose(claim, high, low)
        else this.contest(claim, high, low)
      } else if (sender === 0 && isRequest && target === word && probing) {
        this.lose(claim, high, low) // RFC 5227 section 2.1.1: two hosts probe for one address; both give way
      }
    }
    return claimed
  }

  protected override get announceNum(): number {
    return this.config.announceNum
  }

  protected override get announceIntervalMs(): number {
    return this.config.announceIntervalMs
  }

  protected override ask(claim: AcdClaim, now: number): void {
    claim.defended = false
    claim.own.state = AddressState.TENTATIVE
    let at = (now + randomBelow(this.random, this.config.probeWaitMs + 1)) | 0
    // RFC 5227 section 2.1.1: after MAX_CONFLICTS no more than one new address per RATE_LIMIT_INTERVAL.
    if (this.conflicts >= this.config.maxConflicts) {
      const wait = (this.nextProbeAt - at) | 0
      // The bound: after 2^31 ms without a probe the difference has wrapped and means nothing.
      if (wait > 0 && wait <= this.config.rateLimitIntervalMs * this.claims.length) at = this.nextProbeAt
      this.nextProbeAt = (at + this.config.rateLimitIntervalMs) | 0
    }
    this.timers.arm(claim, at)
  }

  protected override probe(claim: AcdClaim, now: number): void {
    const { config } = this
    if (claim.sent >= config.probeNum) {
      this.succeed(claim, now)
      return
    }
    if (!this.sender.sendRequest(0, claim.own.address.w3)) {
      this.retry(claim, now)
      return
    }
    this.counters.values[C.probes]++
    claim.sent++
    const spread = Math.max(0, config.probeMaxMs - config.probeMinMs)
    const wait = claim.sent < config.probeNum ? config.probeMinMs + randomBelow(this.random, spread + 1) : config.announceWaitMs
    this.timers.arm(claim, (now + wait) | 0)
  }

  protected override say(claim: AcdClaim): boolean {
    const word = claim.own.address.w3
    return this.sender.sendRequest(word, word)
  }

  /** RFC 5227 section 2.4 (b): defended once; a second conflict within DEFEND_INTERVAL ends it. */
  private contest(claim: AcdClaim, high: number, low: number): void {
    const now = this.clock.nowMs
    const age = (now - claim.defendedAt) | 0
    if (claim.defended && age >= 0 && age < this.config.defendIntervalMs) {
      this.lose(claim, high, low)
      return
    }
    this.counters.values[C.conflicts]++
    claim.defended = true
    claim.defendedAt = now
    const word = claim.own.address.w3
    if (this.sender.sendRequest(word, word)) this.counters.values[C.defended]++
    else this.counters.values[C.linkFull]++
  }

  protected override lose(claim: AcdClaim, high: number, low: number): void {
    this.counters.values[C.conflicts]++
    this.conflicts++
    if (this.conflicts === this.config.maxConflicts) this.nextProbeAt = (this.clock.nowMs + this.config.rateLimitIntervalMs) | 0
    super.lose(claim, high, low)
  }
}
