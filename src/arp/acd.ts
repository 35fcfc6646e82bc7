/**
 * IPv4 Address Conflict Detection (RFC 5227) for the addresses of one interface.
 *
 * Theory of operation. Each address is a small machine with one timer:
 *
 *   WAITING --PROBE_WAIT--> PROBING --quiet for ANNOUNCE_WAIT after the last probe--> ANNOUNCING --> CLAIMED
 *       \--conflict--> LOST <--conflict-------/            CLAIMED --2nd conflict in DEFEND_INTERVAL--> LOST
 *
 * Added without a probe, an address starts at ANNOUNCING and is used at once. The listener is told from timers only, never while a
 * frame is being heard. An address that was lost stays DUPLICATE until its owner removes it.
 */
import type { ArpConfig } from '../base/arp-config.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { type Random, randomBelow } from '../base/random.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { AddressClaims, ClaimListener } from '../ip/addresses.ts'
import { AddressState, type Interface, type InterfaceAddress } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'

const NAMES = ['probes', 'announcements', 'conflicts', 'defended', 'lost', 'linkFull'] as const
const C = indexOf(NAMES)

/** A packet that the full link refused is tried again after this. */
const RETRY_MS = 100

/** What conflict detection sends: a broadcast ARP request. `sender` 0 makes it a probe. False: the link is full. */
export interface AcdSender {
  sendRequest(sender: number, target: number): boolean
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
  /** The listener knows that it is ready, or lost. */
  told = false
  /** A conflict was seen in use, and when: the next one within DEFEND_INTERVAL is the last. */
  defended = false
  defendedAt = 0
  rivalHigh = 0
  rivalLow = 0

  constructor(
    private readonly acd: Acd,
    readonly own: InterfaceAddress,
    readonly probe: boolean,
  ) {
    super()
  }

  override onTimer(now: number): void {
    this.acd.elapsed(this, now)
  }
}

export class Acd implements AddressClaims {
  readonly counters = new Counters(NAMES)
  private readonly claims: Claim[] = []
  /** Conflicts on this interface so far; from MAX_CONFLICTS on, new probes are rationed. */
  private conflicts = 0
  /** When the next rationed probe may begin. */
  private nextProbeAt: number

  constructor(
    private readonly iface: Interface,
    private readonly sender: AcdSender,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly random: Random,
    private readonly config: ArpConfig,
    private readonly listener: ClaimListener,
  ) {
    this.nextProbeAt = clock.nowMs
  }

  /**
   * Takes charge of an IPv4 address of the interface. With `probe` it is TENTATIVE until nobody has objected (5 to 9 s with the
   * RFC's times), else PREFERRED now (a DEPRECATED one stays so). Either way it is announced, and `onReady` follows.
   */
  add(own: InterfaceAddress, probe: boolean): void {
    this.remove(own)
    const claim = new Claim(this, own, probe)
    this.claims.push(claim)
    this.begin(claim)
  }

  /** Lets go of an address. Nothing is sent or told about it any more. */
  remove(own: InterfaceAddress): void {
    const i = this.claims.findIndex((c) => c.own === own)
    if (i < 0) return
    this.timers.remove(this.claims[i])
    this.claims.splice(i, 1)
  }

  /** The link came up (again): neighbours may be others. Unfinished probes begin anew, addresses in use are announced. */
  linkUp(): void {
    for (const claim of this.claims) {
      if (claim.phase === WAITING || claim.phase === PROBING) this.begin(claim)
      else if (claim.phase !== LOST) this.announce(claim, this.clock.nowMs)
    }
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
      const probing = claim.phase === WAITING || claim.phase === PROBING
      if (sender === word) {
        if (claim.phase === LOST) continue // it is the other's now, who may be talked to
        claimed = true
        if (probing) this.lose(claim, high, low)
        else this.contest(claim, high, low)
      } else if (sender === 0 && isRequest && target === word && probing) {
        this.lose(claim, high, low) // RFC 5227 section 2.1.1: two hosts probe for one address; both give way
      }
    }
    return claimed
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
        this.listener.onConflict(this.iface, claim.own, macOf(claim.rivalHigh, claim.rivalLow))
        break
    }
  }

  private begin(claim: Claim): void {
    const now = this.clock.nowMs
    claim.told = false
    claim.defended = false
    claim.sent = 0
    if (!claim.probe) {
      if (claim.own.state !== AddressState.DEPRECATED) claim.own.state = AddressState.PREFERRED
      this.announce(claim, now)
      return
    }
    claim.own.state = AddressState.TENTATIVE
    claim.phase = WAITING
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

  /** Sends the next probe, or ends a quiet probing. */
  private probe(claim: Claim, now: number): void {
    const { config } = this
    if (claim.sent >= config.probeNum) {
      claim.own.state = AddressState.PREFERRED
      this.announce(claim, now)
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

  /** Starts a round of announcements with the next round of timers. */
  private announce(claim: Claim, now: number): void {
    claim.phase = ANNOUNCING
    claim.sent = 0
    this.timers.arm(claim, now)
  }

  private sendAnnouncement(claim: Claim, now: number): void {
    const word = claim.own.address.w3
    const sent = claim.sent >= this.config.announceNum || this.sender.sendRequest(word, word)
    if (!sent) this.retry(claim, now)
    else if (claim.sent >= this.config.announceNum) claim.phase = CLAIMED
    else {
      this.counters.values[C.announcements]++
      claim.sent++
      if (claim.sent >= this.config.announceNum) claim.phase = CLAIMED
      else this.timers.arm(claim, (now + this.config.announceIntervalMs) | 0)
    }
    // RFC 5227 section 2.3: in use from the first announcement on; it is ours even if the link has no room to say so yet.
    if (claim.told) return
    claim.told = true
    this.listener.onReady(this.iface, claim.own)
  }

  /** RFC 5227 section 2.4 (b): defended once; a second conflict within DEFEND_INTERVAL ends it. */
  private contest(claim: Claim, high: number, low: number): void {
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

  private lose(claim: Claim, high: number, low: number): void {
    this.counters.values[C.conflicts]++
    this.counters.values[C.lost]++
    this.conflicts++
    if (this.conflicts === this.config.maxConflicts) this.nextProbeAt = (this.clock.nowMs + this.config.rateLimitIntervalMs) | 0
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
