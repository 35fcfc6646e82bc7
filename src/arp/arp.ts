/**
 * ARP on one interface (RFC 826): answers who asks for our IPv4 addresses, and finds out the link addresses of others for the
 * neighbour cache.
 *
 * Theory of operation. A packet is first judged (lengths, types, a possible sender), then shown to conflict detection, then merged
 * into the neighbour cache, and only then is its operation looked at, in RFC 826's order. What it may change is little: an entry
 * that exists is updated, a new one is made only for an on-link host that asks for an address of ours (it is about to talk to us),
 * and only an answer to a question of ours makes a neighbour REACHABLE. Everything else that a forger could send changes nothing.
 *
 * Replies and requests leave at once, also while a frame is being heard or while a transport is sending; they are built in a small
 * frame of their own, because the stack's transmit frame may hold somebody's packet at that moment.
 */
import { Address } from '../base/address.ts'
import type { ArpConfig } from '../base/arp-config.ts'
import { get16, get32, put16, put32 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import { Cast, type EthernetPort, type EtherProtocol } from '../ethernet/ethernet.ts'
import { ETHERTYPE_ARP, ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import type { ClaimListener } from '../ip/addresses.ts'
import { AddressState, type Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { Neighbor, NeighborClock, NeighborListener, Solicitor } from '../ip/neighbor.ts'
import { NeighborCache } from '../ip/neighbor-cache.ts'
import { Frame } from '../netif/frame.ts'
import { Acd, type AcdSender } from './acd.ts'
import { ARP, ARP_ETHERNET, ARP_LENGTH, ARP_REPLY, ARP_REQUEST } from './wire.ts'

const NAMES = [
  'inRequests',
  'inReplies',
  'outRequests',
  'outReplies',
  'dropTooShort',
  'dropHardwareType',
  'dropProtocolType',
  'dropLengths',
  /** A sender's MAC that is no station's: a group, broadcast or zero. */
  'dropSenderHardware',
  /** Our own MAC: our packet came back. */
  'dropOwnHardware',
  /** A sender's IP address that is no host's: a group, broadcast or 127/8. */
  'dropSenderProtocol',
  /** The sender claims an address of ours (RFC 5227). */
  'dropConflict',
  'dropOperation',
  /** Requests for others: the usual noise of a broadcast. */
  'dropNotForUs',
  /** Replies that nobody waits for. */
  'dropUnsolicited',
  /** More requests than `repliesPerSecond`. */
  'dropReplyLimit',
  /** Nothing sent: the link was full, or we have no address to ask with. */
  'dropLinkFull',
  'dropNoSource',
] as const
const C = indexOf(NAMES)

export interface ArpOptions {
  timers: Timers
  clock: NeighborClock
  random: Random
  config: ArpConfig
  /** The stack's transmit frame; see NeighborCacheOptions. */
  frame: Frame
  pool: BufferPool
  listener: NeighborListener & ClaimListener
  /** Has the addresses that a router's interface without any of its own borrows (RFC 1812 section 2.2.7); left out: none. */
  ip?: Ip
}

export class Arp implements EtherProtocol, Solicitor, AcdSender {
  readonly counters = new Counters(NAMES)
  readonly neighbors: NeighborCache
  readonly acd: Acd
  private readonly ethernet: EthernetPort
  private readonly clock: NeighborClock
  private readonly config: ArpConfig
  private readonly ip: Ip | null
  private readonly frame = new Frame(64)
  private readonly sender = new Address()
  private readonly target = new Address()
  /** Replies sent in the second that began at `windowAt`. */
  private windowAt: number
  private windowReplies = 0

  constructor(
    private readonly iface: Interface,
    options: ArpOptions,
  ) {
    if (iface.ethernet === null) throw invalidArgument(`${iface.name} has no link layer: ARP does not apply`)
    this.ethernet = iface.ethernet
    this.clock = options.clock
    this.config = options.config
    this.ip = options.ip ?? null
    this.windowAt = options.clock.nowMs
    const { timers, clock, random, config, frame, pool, listener } = options
    this.neighbors = new NeighborCache(iface, { timers, clock, random, config, frame, pool, solicitor: this, listener })
    this.acd = new Acd(iface, this, timers, clock, random, config, listener)
  }

  /** One received ARP packet; Ethernet padding may follow it. */
  etherInput(buf: Uint8Array, start: number, end: number, _meta: number, cast: number, _frame: number): void {
    const n = this.counters.values
    if (end - start < ARP_LENGTH) {
      n[C.dropTooShort]++
      return
    }
    if (get16(buf, start + ARP.hardwareType) !== ARP_ETHERNET) {
      n[C.dropHardwareType]++
      return
    }
    if (get16(buf, start + ARP.protocolType) !== ETHERTYPE_IPV4) {
      n[C.dropProtocolType]++
      return
    }
    if (buf[start + ARP.hardwareLength] !== 6 || buf[start + ARP.protocolLength] !== 4) {
      n[C.dropLengths]++
      return
    }
    const high = get16(buf, start + ARP.senderHardware)
    const low = get32(buf, start + ARP.senderHardware + 2)
    if ((high & 0x100) !== 0 || (high === 0 && low === 0)) {
      n[C.dropSenderHardware]++
      return
    }
    const { ethernet } = this
    if (high === ethernet.macHigh && low === ethernet.macLow) {
      n[C.dropOwnHardware]++
      return
    }
    const sender = this.sender.setV4(get32(buf, start + ARP.senderProtocol))
    if (!this.mayBeHost(sender)) {
      n[C.dropSenderProtocol]++
      return
    }
    const operation = get16(buf, start + ARP.operation)
    const isRequest = operation === ARP_REQUEST
    const isReply = operation === ARP_REPLY
    const target = this.target.setV4(get32(buf, start + ARP.targetProtocol))
    const contested = (isRequest || isReply) && this.acd.input(isRequest, sender.w3, target.w3, high, low)
    if (contested || this.iface.has(sender)) {
      n[C.dropConflict]++
      return
    }
    const forUs = this.iface.has(target) || (this.ip?.isLocal(target) === true && !target.isLoopback && this.isUnnumbered)
    const forOurMac =
      cast === Cast.UNICAST &&
      get16(buf, start + ARP.targetHardware) === ethernet.macHigh &&
      get32(buf, start + ARP.targetHardware + 2) === ethernet.macLow
    // A probe (RFC 5227 section 1.1) has no sender's address: there is nothing to merge.
    const merged = sender.w3 !== 0 && this.merge(high, low, isReply && forUs && forOurMac, isRequest && forUs)
    if (isRequest) {
      n[C.inRequests]++
      if (forUs) this.reply(high, low)
      else n[C.dropNotForUs]++
    } else if (isReply) {
      n[C.inReplies]++
      if (!merged) n[C.dropUnsolicited]++
    } else n[C.dropOperation]++
  }

  /** Asks for a neighbour's address: everybody, or the neighbour itself to see that it is still there. */
  solicit(neighbor: Neighbor, unicast: boolean): void {
    const source = this.sourceFor(neighbor.address)
    if (source === null) {
      this.counters.values[C.dropNoSource]++
      return
    }
    const to = neighbor.address.w3
    if (unicast) this.send(ARP_REQUEST, neighbor.macHigh, neighbor.macLow, source.w3, neighbor.macHigh, neighbor.macLow, to)
    else this.sendRequest(source.w3, to)
  }

  /** A broadcast request: a question, a probe (`sender` 0) or an announcement (`sender` = `target`). IPv4 words. */
  sendRequest(sender: number, target: number): boolean {
    return this.send(ARP_REQUEST, 0xffff, -1, sender, 0, 0, target)
  }

  /** RFC 826: "merge". True when the cache had the sender. `create`: a stranger gets an entry too. */
  private merge(high: number, low: number, answers: boolean, create: boolean): boolean {
    const known = this.neighbors.find(this.sender)
    if (known !== null) {
      known.update(high, low, answers && known.soliciting, true)
      return true
    }
    if (create && this.isOnLink(this.sender)) this.neighbors.learn(this.sender, high, low, true)
    return false
  }

  /** Answers the request whose addresses are in `sender` and `target`. */
  private reply(high: number, low: number): void {
    const now = this.clock.nowMs
    const age = (now - this.windowAt) | 0
    if (age < 0 || age >= 1000) {
      this.windowAt = now
      this.windowReplies = 0
    }
    if (this.windowReplies >= this.config.repliesPerSecond) {
      this.counters.values[C.dropReplyLimit]++
      return
    }
    this.windowReplies++
    this.send(ARP_REPLY, high, low, this.target.w3, high, low, this.sender.w3)
  }

  private send(
    operation: number,
    high: number,
    low: number,
    sender: number,
    toHigh: number,
    toLow: number,
    target: number,
  ): boolean {
    const n = this.counters.values
    if (!this.iface.up) return true // a wire that is down loses frames
    const frame = this.frame.reset()
    const { buf, start } = frame
    const { ethernet } = this
    put16(buf, start + ARP.hardwareType, ARP_ETHERNET)
    put16(buf, start + ARP.protocolType, ETHERTYPE_IPV4)
    buf[start + ARP.hardwareLength] = 6
    buf[start + ARP.protocolLength] = 4
    put16(buf, start + ARP.operation, operation)
    put16(buf, start + ARP.senderHardware, ethernet.macHigh)
    put32(buf, start + ARP.senderHardware + 2, ethernet.macLow)
    put32(buf, start + ARP.senderProtocol, sender)
    put16(buf, start + ARP.targetHardware, toHigh)
    put32(buf, start + ARP.targetHardware + 2, toLow)
    put32(buf, start + ARP.targetProtocol, target)
    frame.end = start + ARP_LENGTH
    if (!ethernet.output(frame, high, low, ETHERTYPE_ARP)) {
      n[C.dropLinkFull]++
      return false
    }
    n[operation === ARP_REQUEST ? C.outRequests : C.outReplies]++
    return true
  }

  /** Could be the address of one host (or 0.0.0.0, a probe's). */
  private mayBeHost(a: Address): boolean {
    if (a.isMulticast || a.isLoopback || a.isLimitedBroadcast) return false
    const own = this.iface.addresses
    for (let i = 0; i < own.length; i++) {
      const broadcast = own[i].broadcast
      if (broadcast?.equals(a)) return false
    }
    return true
  }

  private isOnLink(a: Address): boolean {
    const own = this.iface.addresses
    for (let i = 0; i < own.length; i++) if (own[i].address.isV4 && own[i].prefix.contains(a)) return true
    return false
  }

  /** Our address to ask with: of the neighbour's own subnet if we can, else the first that we may use. */
  private sourceFor(a: Address): Address | null {
    let first: Address | null = null
    let deprecated: Address | null = null
    for (const own of this.iface.addresses) {
      if (!own.address.isV4) continue
      if (own.state === AddressState.DEPRECATED) deprecated ??= own.address
      if (own.state !== AddressState.PREFERRED) continue
      if (own.prefix.contains(a)) return own.address
      first ??= own.address
    }
    if (first !== null || deprecated !== null || !this.isUnnumbered) return first ?? deprecated
    return this.ip?.selectSource(this.iface, a, true) ?? null
  }

  /** A router's, without any address, not even one that is probed for: it speaks in the name of the stack's other interfaces. */
  private get isUnnumbered(): boolean {
    if (!this.iface.forwarding4) return false
    const own = this.iface.addresses
    for (let i = 0; i < own.length; i++) if (own[i].address.isV4) return false
    return true
  }
}
