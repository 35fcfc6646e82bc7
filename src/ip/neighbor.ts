/**
 * One neighbour: the state machine of RFC 4861 section 7.3.2 and appendix C, shared by ARP (and later NDP), which only say how a
 * solicitation looks.
 *
 * Theory of operation. A route keeps its `Neighbor` for good, so the object must stay right whatever happens to the address behind
 * it: a new MAC is a store into it, and an entry that the cache forgot (`list === null`) looks unresolved and comes back by itself
 * when the next packet is sent. Sending costs two compares and a store (`usable`, `used`). Progress seen by TCP costs one store
 * (`confirm`): nobody moves a timer for it; the timer that fires looks at the time stored and goes on sleeping.
 *
 *   INCOMPLETE --answer--> REACHABLE --time--> STALE --used--> DELAY --time--> PROBE --answer or progress--> REACHABLE
 *       |  \--heard of it--> STALE                                               |
 *       +--no answer--> FAILED (held; doubling)                                  +--no answer--> forgotten, as RFC 4861 says
 */
import type { Address } from '../base/address.ts'
import { Timed } from '../base/timers.ts'
import type { Frame } from '../netif/frame.ts'
import type { Interface } from './interface.ts'
import type { NeighborCache, NeighborList } from './neighbor-cache.ts'
import { PacketQueue } from './neighbor-queue.ts'

export const NeighborState = { INCOMPLETE: 0, REACHABLE: 1, STALE: 2, DELAY: 3, PROBE: 4, FAILED: 5, PERMANENT: 6 } as const

const STATE_NAMES = ['INCOMPLETE', 'REACHABLE', 'STALE', 'DELAY', 'PROBE', 'FAILED', 'PERMANENT'] as const
export type NeighborStateName = (typeof STATE_NAMES)[number]

/** The time of the turn, set once per turn by the owner: wrapping ms. */
export interface NeighborClock {
  nowMs: number
}

/** How a link asks for an address: ARP requests, Neighbor Solicitations. */
export interface Solicitor {
  /** Sends one solicitation: to the known MAC (`unicast`) or to everybody. May fail silently: it is repeated. */
  solicit(neighbor: Neighbor, unicast: boolean): void
  /** It did not answer, neither itself nor when everybody was asked. From timers only. */
  gaveUp?(neighbor: Neighbor): void
}

export interface NeighborListener {
  /**
   * A packet of ours cannot be delivered: its neighbour does not answer. `buf[start, end)` is the IP packet, lent for the call.
   * Called from timers only, never while somebody is sending.
   */
  onUnreachable(neighbor: Neighbor, buf: Uint8Array, start: number, end: number, etherType: number): void
}

/** One line of `ip neigh`. */
export interface NeighborInfo {
  readonly address: Address
  /** `02:00:00:00:00:01`, or null while it is not known. */
  readonly mac: string | null
  readonly state: NeighborStateName
  /** Packets that wait for the address. */
  readonly queued: number
}

/** What IP and the stack see of an interface's neighbours. */
export interface NeighborTable {
  /** The link's broadcast address. */
  readonly broadcast: Neighbor
  /** The link's address for an IP multicast group (RFC 1112 section 6.4, RFC 2464 section 7). */
  multicast(group: Address): Neighbor
  /** A neighbour that the table holds, or null. */
  find(address: Address): Neighbor | null
  /** The neighbour of that address; a new one enters the table with its first packet. */
  get(address: Address): Neighbor
  /** A static entry, added or replaced. `mac` is copied. ERR_INVALID_MAC_ADDRESS unless it is a unicast address of 6 bytes. */
  setPermanent(address: Address, mac: Uint8Array): Neighbor
  /** Forgets an entry of any kind. False: there was none. */
  delete(address: Address): boolean
  /** Forgets everything but static entries: the link went down, or became another. */
  clear(): void
  /** Sends what waits only because the link was full. False: it is full again. Call it when the link is writable. */
  flushPending(): boolean
  entries(): NeighborInfo[]
}

export class Neighbor extends Timed {
  state: number = NeighborState.INCOMPLETE
  /** The link address as 16 + 32 bits; means something while `usable`. */
  macHigh = 0
  macLow = 0
  readonly iface: Interface
  readonly queue: PacketQueue
  /** Where the cache keeps it; null: nowhere. `prev`, `next`, `chain` and `blocked` are the cache's. */
  list: NeighborList | null = null
  prev: Neighbor | null = null
  next: Neighbor | null = null
  chain: Neighbor | null = null
  blocked = false
  /** It forwards what is not its own, as it says itself (RFC 4861 section 5.1: IsRouter). IPv6 only. */
  isRouter = false
  /** When it was last sent to, and last known to be reachable. */
  usedAt: number
  confirmedAt: number
  /** When DELAY or FAILED began. */
  private since = 0
  /** Solicitations sent in INCOMPLETE or PROBE. */
  private probes = 0
  /** Resolutions that failed in a row (after a success only `reset` leads back to asking), and how long the last one counts. */
  private failures = 0
  private holdMs = 0
  /** ReachableTime, drawn anew each time it becomes REACHABLE. */
  private reachableMs: number
  private readonly clock: NeighborClock

  constructor(
    private readonly cache: NeighborCache,
    readonly address: Address,
  ) {
    super()
    this.iface = cache.iface
    this.clock = cache.clock
    this.queue = new PacketQueue(cache.memory, cache.config.maxQueuedPackets, cache.config.maxQueuedBytes)
    const now = cache.clock.nowMs
    this.reachableMs = cache.config.reachableTimeMs
    this.usedAt = now
    this.confirmedAt = (now - this.reachableMs) | 0
  }

  /** A frame can be sent now (every state but INCOMPLETE and FAILED). */
  get usable(): boolean {
    return this.state !== NeighborState.INCOMPLETE && this.state !== NeighborState.FAILED
  }

  /** An answer would be solicited. */
  get soliciting(): boolean {
    return this.state === NeighborState.PROBE || (this.state === NeighborState.INCOMPLETE && this.list !== null)
  }

  /** As `ip neigh` has it. A confirmation that no timer has looked at yet counts. */
  get stateName(): NeighborStateName {
    const waits = this.state === NeighborState.DELAY || this.state === NeighborState.PROBE
    return STATE_NAMES[waits && this.progressed ? NeighborState.REACHABLE : this.state]
  }

  /** A frame is being sent to it: STALE becomes DELAY. */
  used(): void {
    this.usedAt = this.clock.nowMs
    if (this.state === NeighborState.STALE) this.leaveStale()
  }

  /** It was sent to in the last `ms` milliseconds. */
  usedWithin(ms: number): boolean {
    return ((this.clock.nowMs - this.usedAt) | 0) <= ms
  }

  /** Upper-layer hint of reachability (RFC 4861 7.3.1): TCP saw its data acknowledged. */
  confirm(): void {
    this.confirmedAt = this.clock.nowMs
  }

  /** Takes a copy of the IP packet in `frame` to send it when the address is resolved; starts resolution. */
  enqueue(frame: Frame, etherType: number): void {
    if (this.list === null) {
      // Forgotten, or new. Another object may stand for the address now: it does the work.
      const other = this.cache.find(this.address)
      if (other !== null) {
        this.cache.sendBy(other, frame, etherType)
        return
      }
      this.cache.admit(this)
      this.push(frame, etherType)
      this.resolve()
      return
    }
    this.push(frame, etherType)
    if (this.state !== NeighborState.FAILED) return
    const now = this.clock.nowMs
    if (((now - this.since) | 0) >= this.holdMs) this.resolve()
    // Reported by the timer: the sender is in the middle of sending. One ms later, so that a listener that sends from within a
    // report cannot keep one round of timers busy for ever.
    else this.cache.timers.arm(this, (now + 1) | 0)
  }

  /**
   * Its link address was heard (RFC 4861 7.2.3 and 7.2.5). `solicited`: it answers our question. `override`: believe it even if
   * another address is known. Static entries stand.
   */
  update(high: number, low: number, solicited: boolean, override: boolean): void {
    if (this.state === NeighborState.PERMANENT || this.list === null) return
    const now = this.clock.nowMs
    const known = this.usable
    const differs = !known || high !== this.macHigh || low !== this.macLow
    if (known && differs && !override) {
      if (this.state === NeighborState.REACHABLE) this.toStale(now)
      return
    }
    this.macHigh = high
    this.macLow = low
    if (!known) this.cache.countResolved()
    if (solicited) this.toReachable(now)
    else if (differs) {
      this.confirmedAt = (now - this.reachableMs) | 0 // what was confirmed was the old address
      this.toStale(now)
      if (!known) this.cache.heard(this)
    }
    if (this.queue.count > 0) this.cache.flush(this)
  }

  /** Becomes a static entry; the cache places it. */
  fix(high: number, low: number): void {
    this.state = NeighborState.PERMANENT
    this.macHigh = high
    this.macLow = low
    this.cache.timers.disarm(this)
  }

  /** The cache has let go of it: unresolved, as a new one. */
  reset(): void {
    this.state = NeighborState.INCOMPLETE
    this.probes = 0
    this.failures = 0
    this.isRouter = false
    this.cache.timers.remove(this)
  }

  override onTimer(now: number): void {
    const config = this.cache.config
    switch (this.state) {
      case NeighborState.INCOMPLETE:
        if (this.probes < config.maxBroadcastSolicit) this.askEverybody(now)
        else this.fail(now)
        break
      case NeighborState.REACHABLE: {
        const until = (this.confirmedAt + this.reachableMs) | 0
        if (((until - now) | 0) > 0) this.cache.timers.arm(this, until)
        else this.toStale(now)
        break
      }
      case NeighborState.STALE:
        this.cache.forget(this) // STALE means unused: a packet would have made it DELAY
        break
      case NeighborState.DELAY:
        this.probes = 0
        this.state = NeighborState.PROBE
        this.probeOrForget(now)
        break
      case NeighborState.PROBE:
        this.probeOrForget(now)
        break
      case NeighborState.FAILED:
        this.rest(now)
        break
    }
  }

  private push(frame: Frame, etherType: number): void {
    this.cache.countPushedOut(this.queue.push(frame, etherType))
  }

  /** Confirmed since DELAY began. */
  private get progressed(): boolean {
    return ((this.confirmedAt - this.since) | 0) >= 0
  }

  private resolve(): void {
    this.state = NeighborState.INCOMPLETE
    this.probes = 0
    this.askEverybody(this.clock.nowMs)
  }

  private askEverybody(now: number): void {
    const wait = this.cache.solicit(this, now)
    if (wait === 0) this.probes++
    this.cache.timers.arm(this, (now + (wait === 0 ? this.cache.config.retransTimerMs : wait)) | 0)
  }

  private probeOrForget(now: number): void {
    if (this.progressed) this.toReachable(this.confirmedAt)
    else if (this.probes < this.cache.config.maxUnicastSolicit) {
      this.probes++
      this.cache.timers.arm(this, (now + this.cache.config.retransTimerMs) | 0)
      this.cache.probe(this)
    }
    // The next packet asks everybody: it may have another MAC now (RFC 4861 7.3.3: the entry is deleted).
    else {
      this.cache.forget(this)
      this.cache.gaveUp(this)
    }
  }

  private leaveStale(): void {
    const now = this.clock.nowMs
    const age = (now - this.confirmedAt) | 0
    if (age >= 0 && age < this.reachableMs) {
      this.toReachable(this.confirmedAt)
      return
    }
    this.state = NeighborState.DELAY
    this.since = now
    this.cache.timers.arm(this, (now + this.cache.config.delayFirstProbeMs) | 0)
  }

  private toReachable(confirmedAt: number): void {
    this.state = NeighborState.REACHABLE
    this.confirmedAt = confirmedAt
    this.reachableMs = this.cache.drawReachableMs()
    this.cache.timers.arm(this, (confirmedAt + this.reachableMs) | 0)
    this.cache.proven(this)
  }

  private toStale(now: number): void {
    this.state = NeighborState.STALE
    this.cache.timers.arm(this, (now + this.cache.config.staleTimeMs) | 0)
  }

  private fail(now: number): void {
    const config = this.cache.config
    this.state = NeighborState.FAILED
    this.since = now
    // Beyond 2^24 the maximum has long been reached.
    this.holdMs = Math.min(config.failedHoldMaxMs, config.failedHoldMs * 2 ** Math.min(this.failures, 24)) | 0
    this.failures++
    this.cache.countFailed()
    this.cache.gaveUp(this)
    this.rest(now)
  }

  /** FAILED: tells whose packets were lost, remembers the failure for a while after the hold, then forgets it. */
  private rest(now: number): void {
    const until = (this.since + this.holdMs + this.cache.config.staleTimeMs) | 0
    if (((until - now) | 0) > 0) {
      this.cache.timers.arm(this, until)
      this.cache.report(this)
    } else {
      this.cache.report(this)
      if (this.state === NeighborState.FAILED && this.queue.count === 0) this.cache.forget(this)
    }
  }
}
