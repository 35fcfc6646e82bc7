/**
 * The DHCP server (RFC 2131 section 4.3).
 *
 * Theory of operation. A message is of a network: that of the relay which passed it on (giaddr), or of the interface it came in by. Each
 * network has a pool of addresses (pool.ts). A DISCOVER takes an address, has it probed on the link unless its client has it already,
 * and offers it; a REQUEST binds it, and is acknowledged once the store has it. Answers go where RFC 2131 section 4.1 says. All that is kept is
 * bounded by the ranges, and no message costs more than a few look-ups.
 */
import { Address } from '../base/address.ts'
import { Counters } from '../base/counters.ts'
import type { DhcpConfig } from '../base/dhcp-config.ts'
import type { Timers } from '../base/timers.ts'
import type { Interface } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { LeaseClock } from './clock.ts'
import { SC, SERVER_NAMES } from './counters.ts'
import { BindingState } from './holdings.ts'
import { Ledger } from './ledger.ts'
import { ACK, BOOTREQUEST, DECLINE, type DhcpMessage, DISCOVER, INFORM, OFFER, RELEASE, REQUEST, readMessage } from './message.ts'
import { type Binding, Pool } from './pool.ts'
import type { PortDependencies } from './port.ts'
import { type Asked, whoAsks } from './server-asked.ts'
import { type DhcpServerOptions, type LeaseRecord, networksOf } from './server-options.ts'
import { ReplyMaker } from './server-reply.ts'
import { ServerSender } from './server-sender.ts'
import { addressOf } from './values.ts'

/** Asks on the link whether somebody has an address. */
export interface Prober {
  /** `done` is called later, once. False: not now (too many at once). */
  probe(address: Address, iface: Interface, done: (taken: boolean) => void): boolean
}

export interface ServerDependencies extends PortDependencies {
  timers: Timers
  clock: NeighborClock
  time: LeaseClock
  config: DhcpConfig
  prober: Prober
  /** A store or a listener threw. */
  uncaught: (error: unknown) => void
  closed: (server: DhcpServer) => void
}

/** What happened to a lease of a server. */
export type ServerEvent = 'bound' | 'renewed' | 'released' | 'expired' | 'declined'

const FOREVER = Number.POSITIVE_INFINITY
/** Addresses that one DISCOVER has probed before it is left to the next one. */
const MAX_TRIES = 8

/** A DHCPv4 server on one interface. Made by `stack.dhcpServer`. */
export class DhcpServer {
  readonly counters = new Counters(SERVER_NAMES)
  /** Called when a lease begins, goes on or ends. */
  onLease: ((lease: LeaseRecord, event: ServerEvent) => void) | null = null
  private readonly watchers = new Set<(lease: LeaseRecord, event: ServerEvent) => void>()
  private readonly sender: ServerSender
  private readonly pools: Pool[]
  private readonly replies = new ReplyMaker()
  private readonly ledger: Ledger<LeaseRecord>
  /** DISCOVERs that wait for a probe, by client: the last one of each. */
  private readonly waiting = new Map<string, Asked>()
  private isClosed = false

  /** Throws NetError EADDRINUSE (port 67), ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS, ERR_INVALID_MAC_ADDRESS. */
  constructor(
    private readonly deps: ServerDependencies,
    /** It serves these, until the last of them is detached. */
    readonly interfaces: readonly Interface[],
    private readonly options: DhcpServerOptions,
  ) {
    const { timers, clock, time, config, ip } = deps
    const own = interfaces.flatMap((i) => i.addresses.filter((a) => a.address.isV4).map((a) => a.prefix))
    const isOurs = (word: number): boolean => ip.isLocal(Address.v4(word))
    const over = (binding: Binding, was: number): void => this.over(binding, was)
    this.pools = networksOf(options, own, config).map((n) => new Pool(n, timers, clock, time, isOurs, over))
    this.ledger = new Ledger(options.store, (error, promises) => {
      this.counters.values[SC.dropStore] += promises
      deps.uncaught(error)
    })
    this.load()
    this.sender = new ServerSender(deps)
    try {
      for (const iface of interfaces) {
        const datagram = (buf: Uint8Array, length: number, from: Datagram): void => this.input(iface, buf, length, from)
        this.sender.open(iface, { datagram, heardAll: () => this.ledger.settle() })
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Leases that hold, and addresses that are somebody else's. */
  get leases(): LeaseRecord[] {
    return this.pools
      .flatMap((pool) => pool.holdings)
      .filter((binding) => binding.isListed)
      .map((binding) => binding.record)
  }

  /** As `onLease`, for others who follow the leases: a DNS server that has their names. Returns what ends it. */
  watch(watcher: (lease: LeaseRecord, event: ServerEvent) => void): () => void {
    this.watchers.add(watcher)
    return () => void this.watchers.delete(watcher)
  }

  /** Ends it. Clients keep their leases. Idempotent. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.ledger.settle()
    this.sender.close()
    for (const pool of this.pools) pool.close()
    this.waiting.clear()
    this.options.store?.close?.()
    this.deps.closed(this)
  }

  private load(): void {
    for (const record of this.options.store?.load() ?? []) {
      const word = addressOf(record.address).w3 >>> 0
      const pool = this.pools.find((p) => p.network.prefix.contains(Address.v4(word)))
      if (pool === undefined || word === 0) continue
      const id = record.clientId
      pool.restore(record, word, id !== null && id.length > 2 ? `i${id}` : `1:${record.mac.replaceAll(':', '')}`)
    }
  }

  // In

  private input(iface: Interface, buf: Uint8Array, length: number, from: Datagram): void {
    const n = this.counters.values
    const m = readMessage(buf, 0, length)
    if (m === null || m.chaddr.length === 0) {
      n[SC.dropMalformed]++
      return
    }
    if (m.op !== BOOTREQUEST) {
      n[SC.dropNotRequest]++
      return
    }
    n[SC.optionsMalformed] += m.malformed
    const asked = whoAsks(m, iface, from, this.pools)
    if (asked === null) {
      n[SC.dropNoSubnet]++
      return
    }
    switch (m.type) {
      case DISCOVER:
        n[SC.inDiscovers]++
        this.discover(asked)
        break
      case REQUEST:
        n[SC.inRequests]++
        this.request(asked)
        break
      case DECLINE:
        n[SC.inDeclines]++
        this.decline(asked)
        break
      case RELEASE:
        n[SC.inReleases]++
        this.release(asked)
        break
      case INFORM:
        n[SC.inInforms]++
        this.inform(asked)
        break
      default:
        n[SC.dropUnknownType]++
    }
  }

  private discover(asked: Asked): void {
    if (this.waiting.has(asked.key)) {
      this.waiting.set(asked.key, asked) // its client has asked again: the answer is to that
      this.counters.values[SC.dropProbing]++
      return
    }
    this.find(asked, MAX_TRIES)
  }

  /** Finds an address that is free, and offers it. */
  private find(asked: Asked, tries: number): void {
    const { deps, options, counters } = this
    const wanted = addressOf(asked.m.get('requestedAddress')).w3 >>> 0
    const binding = asked.pool.allocate(asked, wanted)
    if (binding === null) {
      counters.values[SC.dropNoAddress]++
      return
    }
    const { state } = binding
    const probes = options.probe !== false && state !== BindingState.BOUND && state !== BindingState.OFFERED
    if (!probes) {
      this.offer(asked, binding)
      return
    }
    const done = (taken: boolean): void => {
      const latest = this.waiting.get(asked.key) ?? asked
      this.waiting.delete(asked.key)
      if (this.isClosed || binding.key !== asked.key || binding.state !== BindingState.PROBING) return
      if (!taken) this.offer(latest, binding)
      else {
        counters.values[SC.probeConflicts]++
        this.abandon(binding)
        if (tries > 1) this.find(latest, tries - 1)
      }
      this.ledger.settle()
    }
    if (!deps.prober.probe(binding.address, asked.iface, done)) {
      this.offer(asked, binding)
      return
    }
    counters.values[SC.probes]++
    asked.pool.set(binding, BindingState.PROBING, deps.time.now + deps.config.probeMs + 1000 * deps.config.offerSeconds)
    this.waiting.set(asked.key, asked)
  }

  private offer(asked: Asked, binding: Binding): void {
    const { m, pool } = asked
    if (this.options.rapidCommit === true && m.has('rapidCommit')) {
      this.bind(asked, binding, true)
      return
    }
    if (binding.state !== BindingState.BOUND)
      pool.set(binding, BindingState.OFFERED, this.deps.time.now + 1000 * this.deps.config.offerSeconds)
    const r = this.replies.make(OFFER, asked, binding, this.leaseSeconds(m))
    this.send(asked, r)
    this.counters.values[SC.outOffers]++
  }

  /** RFC 2131 section 4.3.2: what a REQUEST means is said by what is in it. */
  private request(asked: Asked): void {
    const { m, pool } = asked
    const n = this.counters.values
    const server = m.get('serverIdentifier')
    const requested = addressOf(m.get('requestedAddress')).w3
    const word = (m.ciaddr !== 0 ? m.ciaddr : requested) >>> 0
    if (word === 0) {
      n[SC.dropNotAsked]++
      return
    }
    const binding = pool.of(asked.key)
    if (server !== undefined && !this.isUs(server, asked)) {
      // Another server was chosen: what we offered is free again.
      if (binding?.state === BindingState.OFFERED) pool.release(binding)
      n[SC.dropOtherServer]++
      return
    }
    if (
      binding !== undefined &&
      binding.word === word &&
      binding.state !== BindingState.ABANDONED &&
      this.isTheirs(asked, binding)
    ) {
      this.bind(asked, binding, false)
      return
    }
    const isOnNetwork = pool.network.prefix.contains(Address.v4(word))
    // A lease that we do not know of, as after the loss of a store: its client has it on, if nobody else has it.
    if (server === undefined && isOnNetwork && this.options.authoritative !== false) {
      const reservation = pool.reservationOf(asked)
      const taken = reservation === undefined ? pool.inRange(word) : reservation.word === word
      const adopted = taken ? pool.take(word, asked) : null
      if (adopted !== null) {
        this.bind(asked, adopted, false)
        return
      }
    }
    // RFC 2131 section 4.3.2: silence about what others may have given, unless nobody else gives here. A wrong network is wrong anyhow.
    if (server === undefined && isOnNetwork && this.options.authoritative === false) n[SC.dropUnknownClient]++
    else this.refuse(asked)
  }

  /** The address may still be this client's: reservations and ranges change. */
  private isTheirs(asked: Asked, { word, pool }: Binding): boolean {
    const reservation = pool.reservationOf(asked)
    return reservation === undefined ? pool.inRange(word) : reservation.word === word
  }

  private bind(asked: Asked, binding: Binding, rapid: boolean): void {
    const { m, pool } = asked
    const seconds = this.leaseSeconds(m)
    const had = binding.state === BindingState.BOUND
    binding.hostname = m.get('hostName') ?? m.get('clientFqdn')?.name ?? binding.hostname
    pool.set(binding, BindingState.BOUND, seconds === FOREVER ? FOREVER : this.deps.time.now + 1000 * seconds)
    const r = this.replies.make(ACK, asked, binding, seconds)
    if (rapid) r.set('rapidCommit', true)
    r.ciaddr = m.ciaddr
    this.ledger.save([binding.record], () => {
      this.send(asked, r)
      this.counters.values[SC.outAcks]++
      this.tell(binding, had ? 'renewed' : 'bound')
    })
  }

  private refuse(asked: Asked): void {
    const r = this.replies.refusal(asked)
    this.send(asked, r)
    this.counters.values[SC.outNaks]++
  }

  private decline(asked: Asked): void {
    const { m, pool } = asked
    const binding = pool.of(asked.key)
    const word = addressOf(m.get('requestedAddress')).w3 >>> 0
    const server = m.get('serverIdentifier')
    if (server !== undefined && !this.isUs(server, asked)) this.counters.values[SC.dropOtherServer]++
    else if (binding === undefined || binding.word !== word) this.counters.values[SC.dropNotTheirs]++
    else {
      this.abandon(binding)
      this.tell(binding, 'declined')
    }
  }

  private release(asked: Asked): void {
    const { m, pool } = asked
    const binding = pool.of(asked.key)
    const server = m.get('serverIdentifier')
    if (server !== undefined && !this.isUs(server, asked)) this.counters.values[SC.dropOtherServer]++
    else if (binding?.word !== m.ciaddr >>> 0 || binding.state !== BindingState.BOUND) this.counters.values[SC.dropNotTheirs]++
    else {
      pool.release(binding)
      this.ledger.save([binding.record])
      this.tell(binding, 'released')
    }
  }

  /** RFC 2131 section 4.3.5: everything but an address. */
  private inform(asked: Asked): void {
    const { m } = asked
    if (m.ciaddr === 0) {
      this.counters.values[SC.dropNotAsked]++
      return
    }
    const r = this.replies.make(ACK, asked, null, 0)
    r.ciaddr = m.ciaddr
    this.send(asked, r)
    this.counters.values[SC.outAcks]++
  }

  /** Somebody has the address who did not get it from us. */
  private abandon(binding: Binding): void {
    const { time, config } = this.deps
    binding.pool.abandon(binding, time.now + 1000 * config.abandonSeconds)
    this.ledger.save([binding.record])
  }

  private over(binding: Binding, was: number): void {
    if (was !== BindingState.BOUND) return
    this.counters.values[SC.expired]++
    this.ledger.save([binding.record])
    this.tell(binding, 'expired')
  }

  private isUs(server: string, asked: Asked): boolean {
    const address = addressOf(server)
    return asked.server.equals(address) || this.interfaces.some((i) => i.has(address))
  }

  private leaseSeconds(m: DhcpMessage): number {
    const { leaseSeconds = 3600, minLeaseSeconds = 60, maxLeaseSeconds = Math.max(86_400, leaseSeconds) } = this.options
    const wanted = m.get('leaseTime')
    if (wanted === undefined) return leaseSeconds
    const limit = wanted === 0xffffffff ? maxLeaseSeconds : Math.min(wanted, maxLeaseSeconds)
    return Math.max(limit, Math.min(minLeaseSeconds, leaseSeconds))
  }

  private tell(binding: Binding, event: ServerEvent): void {
    try {
      for (const watch of this.watchers) watch(binding.record, event)
      this.onLease?.(binding.record, event)
    } catch (error) {
      this.deps.uncaught(error)
    }
  }

  private send(asked: Asked, r: DhcpMessage): void {
    const leftOut: number[] = []
    const sent = this.sender.send(asked, r, leftOut)
    this.counters.values[SC.optionsLeftOut] += leftOut.length
    if (!sent) this.counters.values[SC.outBlocked]++
  }
}
