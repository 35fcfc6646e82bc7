/**
 * The DHCP client (RFC 2131): the states of its figure 5 on one interface.
 *
 * Theory of operation. Two alarms: `retry` for what is sent again, `term` for T1, T2 and the end of the lease. What a lease does to the
 * interface is the business of a `ClientSite`, which says in turn when the address was claimed, or is somebody else's:
 *
 *   INIT --> SELECTING --offer--> REQUESTING --ack--> PROBING --nobody has it--> BOUND --T1--> RENEWING --T2--> REBINDING --> INIT
 *   INIT-REBOOT --> REBOOTING --ack--> ...                \--somebody has it: DECLINE, wait--> INIT
 *
 * Nothing is believed that does not carry our transaction id and our link address, from the server that was chosen where one was. Messages
 * come from the tell step of a turn, alarms from its timers: no other protocol code is on the stack.
 */
import { Address } from '../base/address.ts'
import { equalBytes } from '../base/bytes.ts'
import type { DhcpConfig } from '../base/dhcp-config.ts'
import { randomBelow, randomFraction } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { Interface } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { DhcpOptions } from './client-options.ts'
import { ClientSender, type SenderDependencies } from './client-sender.ts'
import type { ClientSite, ClientState, LeaseEvent } from './client-site.ts'
import { Alarm } from './clock.ts'
import { CC } from './counters.ts'
import { keptAddress } from './kept.ts'
import { informationOf, type Lease, leaseOf } from './lease.ts'
import { ACK, BOOTREPLY, type DhcpMessage, HARDWARE_ETHERNET, NAK, OFFER, readMessage } from './message.ts'
import { DHCP_CLIENT_PORT } from './wire.ts'

export interface ClientDependencies extends SenderDependencies {
  timers: Timers
  clock: NeighborClock
  config: DhcpConfig
}

export class DhcpClient {
  state: ClientState = 'STOPPED'
  lease: Lease | null = null
  readonly counters
  private readonly say: ClientSender
  private readonly retry: Alarm
  private readonly term: Alarm
  /** Messages sent in this state. */
  private sent = 0
  /** The address that is asked for, as text; empty: any. */
  private wanted: string
  /** The address had before a restart. */
  private former: string | null = null
  private offer: DhcpMessage | null = null
  /** Acknowledged, and being probed. */
  private pending: Lease | null = null
  private refusals = 0

  /** Throws ERR_INVALID_ARG_VALUE, EADDRINUSE. */
  constructor(
    private readonly deps: ClientDependencies,
    private readonly iface: Interface,
    private readonly mac: Uint8Array,
    private readonly options: DhcpOptions,
    private readonly site: ClientSite,
  ) {
    this.wanted = options.address ?? ''
    this.say = new ClientSender(deps, iface, mac, options, (buf, length) => this.input(buf, length))
    this.counters = this.say.counters
    const { timers, clock, time } = deps
    this.retry = new Alarm(timers, clock, time, () => this.again())
    this.term = new Alarm(timers, clock, time, () => this.termOver())
  }

  // What its owner does

  /** Begins, with the lease that was had before if there was one; it may be anything that a store gives back. */
  start(former: Lease | null): void {
    this.former = keptAddress(former, this.deps.time.now)
    this.begin()
  }

  /** The link went down or came up. */
  link(up: boolean): void {
    if (this.state === 'STOPPED') return
    this.retry.clear()
    if (up) {
      this.begin()
      return
    }
    if (this.lease === null && !this.drop('refused')) return // what was being probed is asked for again
    this.enter(this.known === null ? 'INIT' : 'INIT-REBOOT')
  }

  /** Renews the lease now, or begins to get one. */
  renew(): void {
    if (this.state === 'BOUND' || this.state === 'REBINDING') this.renewing()
    else if (this.state === 'STOPPED' || this.state === 'INIT' || this.state === 'INFORMED') this.begin()
  }

  /** Gives the lease up. `tell`: the server hears of it. */
  stop(tell: boolean): void {
    const lease = this.lease ?? this.pending
    if (lease !== null && tell && this.options.inform !== true) this.say.release(lease)
    this.enter('STOPPED')
    this.retry.clear()
    this.drop('released')
  }

  close(): void {
    this.retry.clear()
    this.term.clear()
    this.say.close()
    this.iface.openPort = 0
  }

  // What the site says

  /** Nobody else has the address of the lease: it may be used. */
  claimed(): void {
    const { pending } = this
    if (pending === null) return
    this.pending = null
    this.bound(pending, 'bound')
  }

  /** Somebody else has it: before it was used (RFC 2131 section 4.4.1), or later (RFC 5227 section 2.4). */
  conflict(): void {
    const lease = this.pending ?? this.lease
    if (lease === null) return
    const { deps } = this
    this.say.decline(lease)
    this.wanted = ''
    this.enter('INIT')
    if (!this.drop('conflict')) return
    this.retry.set(deps.time.now + deps.config.declineWaitMs)
  }

  // States

  /** The address that may be asked for again. */
  private get known(): string | null {
    return this.options.inform === true ? null : (this.lease?.address ?? this.former)
  }

  private enter(state: ClientState): void {
    this.state = state
    this.sent = 0
    // RFC 2131 section 4.1: answers to an address that is not ours yet are heard.
    this.iface.openPort = this.lease === null && state !== 'STOPPED' ? DHCP_CLIENT_PORT : 0
  }

  private begin(): void {
    const { config, random, time } = this.deps
    this.enter(this.known === null ? 'INIT' : 'INIT-REBOOT')
    this.say.begunAt = time.now
    this.retry.set(time.now + (this.lease === null ? randomBelow(random, config.startDelayMs + 1) : 0))
  }

  private again(): void {
    const { config, time } = this.deps
    switch (this.state) {
      case 'INIT':
        if (this.options.inform === true) this.inform()
        else this.discover()
        break
      case 'INIT-REBOOT':
        this.reboot()
        break
      case 'SELECTING':
        if (this.offer !== null) this.request(this.offer)
        else this.sendDiscover()
        break
      case 'REQUESTING':
        if (this.sent >= config.requestAttempts) this.discover()
        else this.sendRequest()
        break
      case 'REBOOTING':
        if (this.sent < config.rebootAttempts) this.sendRequest()
        // RFC 2131 section 3.2, 4: a lease may be used on while nobody objects.
        else if (this.lease !== null && time.now < this.lease.rebindAt) this.bound(this.lease, 'renewed')
        else this.discover()
        break
      case 'RENEWING':
      case 'REBINDING':
        this.sendRequest()
        break
      case 'INFORMING':
        this.inform()
        break
    }
  }

  private discover(): void {
    this.former = null
    this.offer = null
    this.enter('SELECTING')
    this.say.newXid()
    this.sendDiscover()
  }

  private sendDiscover(): void {
    this.say.discover(this.wanted)
    this.backOff()
  }

  private request(offer: DhcpMessage): void {
    this.offer = offer
    this.enter('REQUESTING')
    this.sendRequest()
  }

  private reboot(): void {
    const { known } = this
    if (known === null) {
      this.discover()
      return
    }
    this.wanted = known
    this.enter('REBOOTING')
    this.say.newXid()
    this.sendRequest()
  }

  private renewing(): void {
    this.enter('RENEWING')
    this.say.newXid()
    this.say.begunAt = this.deps.time.now
    this.sendRequest()
  }

  private sendRequest(): void {
    const { state, lease, say } = this
    if (state === 'REQUESTING') say.select(this.offer!)
    else if (state === 'REBOOTING') say.reboot(this.wanted)
    else say.renew(lease!, state === 'RENEWING')
    if (state === 'RENEWING') this.halfWay(lease!, lease!.rebindAt)
    else if (state === 'REBINDING') this.halfWay(lease!, lease!.expiresAt)
    else this.backOff()
  }

  private inform(): void {
    const own = this.site.own()
    if (this.state !== 'INFORMING') {
      this.enter('INFORMING')
      this.say.newXid()
    }
    if (own !== null) this.say.inform(own.address)
    this.backOff()
  }

  /** RFC 2131 section 4.1: 4, 8, 16, 32, 64 s, each a second more or less. */
  private backOff(): void {
    const { config, random, time } = this.deps
    const wait = Math.min(config.retransmitMaxMs, config.retransmitMs * 2 ** Math.min(16, this.sent))
    this.sent++
    this.retry.set(time.now + wait - config.retransmitJitterMs + randomBelow(random, 2 * config.retransmitJitterMs + 1))
  }

  /**
   * RFC 2131 section 4.4.5: half of the time that is left, at least 60 s. A lease that is so short that this would leave no second chance is
   * asked for more often than the RFC has it: eight times in its life.
   */
  private halfWay({ obtainedAt, expiresAt }: Lease, until: number): void {
    const { now } = this.deps.time
    const least = Math.min(this.deps.config.renewMinMs, Math.max(1000, (expiresAt - obtainedAt) / 8))
    // One for ever, which its user wants renewed, has no half.
    const next = now + (until === Number.POSITIVE_INFINITY ? least : Math.max(least, (until - now) / 2))
    if (next < until) this.retry.set(next)
    else this.retry.clear()
  }

  private termOver(): void {
    const { lease } = this
    const { now } = this.deps.time
    if (lease === null) return
    if (now >= lease.expiresAt) this.expired()
    else if (this.state === 'INIT-REBOOT' || this.state === 'REBOOTING') this.term.set(lease.expiresAt)
    else if (now >= lease.rebindAt) {
      if (this.state !== 'REBINDING') {
        this.enter('REBINDING')
        this.say.newXid()
        this.sendRequest()
      }
      this.term.set(lease.expiresAt)
    } else {
      if (this.state === 'BOUND') this.renewing()
      this.term.set(lease.rebindAt)
    }
  }

  /** RFC 2131 section 4.4.5: at once nothing is sent from the address any more. */
  private expired(): void {
    this.counters.values[CC.expired]++
    this.wanted = this.lease!.address
    if (!this.drop('expired')) return
    this.say.begunAt = this.deps.time.now
    this.enter('INIT')
    if (this.iface.up) this.discover()
    else this.retry.clear()
  }

  private bound(lease: Lease, event: LeaseEvent): void {
    this.lease = lease
    this.wanted = lease.address
    this.former = null
    this.offer = null
    this.refusals = 0
    this.enter('BOUND')
    this.retry.clear()
    this.term.set(Math.min(lease.renewAt, lease.expiresAt))
    this.counters.values[event === 'bound' ? CC.bound : CC.renewed]++
    this.site.apply(lease, event)
  }

  /** The lease, if there is one, is ours no more. */
  /** False: whoever was told of it has given up all leases. */
  private drop(event: LeaseEvent): boolean {
    this.term.clear()
    const had = this.lease !== null || this.pending !== null
    this.lease = null
    this.pending = null
    if (had) this.site.withdraw(event)
    if (this.state === 'STOPPED') return false
    this.iface.openPort = DHCP_CLIENT_PORT
    return true
  }

  // Messages

  private input(buf: Uint8Array, length: number): void {
    const n = this.counters.values
    const m = readMessage(buf, 0, length)
    if (m === null || m.op !== BOOTREPLY) {
      n[CC.dropMalformed]++
      return
    }
    n[CC.optionsMalformed] += m.malformed
    const isOurs = m.hardwareType === HARDWARE_ETHERNET && m.chaddr.length === 6 && equalBytes(m.chaddr, 0, this.mac, 0, 6)
    if (m.xid !== this.say.xid || !isOurs) {
      n[CC.dropOtherClient]++
      return
    }
    const { type } = m
    if (type === OFFER) this.offered(m)
    else if (type === ACK) this.acknowledged(m)
    else if (type === NAK) this.refused(m)
    else n[CC.dropState]++
  }

  private offered(m: DhcpMessage): void {
    const n = this.counters.values
    const { config, time } = this.deps
    n[CC.inOffers]++
    if (this.state !== 'SELECTING') n[CC.dropState]++
    else if (m.get('serverIdentifier') === undefined) n[CC.dropNoServer]++
    else if (typeof this.read(m) === 'string') n[CC.dropBadAddress]++
    // The address that is hoped for is waited for a little; else the first offer is as good as any.
    else if (this.wanted !== '' && Address.v4(m.yiaddr).toString() !== this.wanted && config.offerWaitMs > 0) {
      if (this.offer !== null) return
      this.offer = m
      this.retry.set(time.now + config.offerWaitMs)
    } else this.request(m)
  }

  private acknowledged(m: DhcpMessage): void {
    const n = this.counters.values
    n[CC.inAcks]++
    if (this.state === 'INFORMING') {
      const own = this.site.own()
      if (own === null) return
      this.enter('INFORMED')
      this.retry.clear()
      this.lease = informationOf(m, own, this.deps.time.now)
      this.iface.openPort = 0
      this.site.apply(this.lease, 'informed')
      return
    }
    const isRapid = this.state === 'SELECTING' && this.options.rapidCommit === true && m.has('rapidCommit')
    if (!isRapid && !this.expects(m)) return
    const lease = this.read(m)
    if (typeof lease === 'string') {
      n[lease === 'time' ? CC.dropBadLease : CC.dropBadAddress]++
      return
    }
    if (this.state === 'REQUESTING' && m.yiaddr !== this.offer!.yiaddr) {
      n[CC.dropBadAddress]++ // not what was offered and asked for
      return
    }
    // A renewal need not repeat who the server is.
    if (lease.server === '') lease.server = this.lease?.server ?? ''
    if (this.lease !== null && this.lease.prefix === lease.prefix) {
      this.bound(lease, 'renewed')
      return
    }
    this.retry.clear()
    if (this.lease !== null && !this.drop('refused')) return // the server has another address for us
    this.enter('PROBING')
    this.pending = lease
    this.site.claim(lease)
  }

  private refused(m: DhcpMessage): void {
    const { counters, deps } = this
    counters.values[CC.inNaks]++
    if (!this.expects(m)) return
    this.wanted = ''
    this.former = null
    if (!this.drop('refused')) return
    this.say.begunAt = deps.time.now
    this.enter('INIT')
    // RFC 2131 section 3.1, 5: all begins anew at once. Servers that go on offering what they refuse are asked ever more seldom.
    const wait = this.refusals === 0 ? 0 : Math.min(deps.config.retransmitMaxMs, 1000 * 2 ** Math.min(16, this.refusals))
    this.refusals++
    this.retry.set(deps.time.now + wait)
  }

  /** An ACK or NAK is due now, from this server. */
  private expects(m: DhcpMessage): boolean {
    const n = this.counters.values
    const server = m.get('serverIdentifier')
    const { state } = this
    if (state === 'REQUESTING' || state === 'RENEWING') {
      const chosen = state === 'REQUESTING' ? this.offer!.get('serverIdentifier') : this.lease!.server
      if (server === chosen || (state === 'RENEWING' && (server === undefined || chosen === ''))) return true
      n[CC.dropOtherServer]++
      return false
    }
    if (state === 'REBINDING' || state === 'REBOOTING') return true
    n[CC.dropState]++
    return false
  }

  private read(m: DhcpMessage): Lease | string {
    const { config, random } = this.deps
    return leaseOf(m, {
      since: this.say.askedAt,
      defaultSeconds: config.defaultLeaseSeconds,
      fuzz: randomFraction(random),
    })
  }
}
