/**
 * The DHCPv6 client (RFC 8415 section 18.2) on one interface.
 *
 * Theory of operation. There is one exchange at a time (client-sender.ts), and the state is its name. Two alarms: `retry` for what is sent again
 * and what waits to be sent, `term` for T1, T2 and the end of what is held. What a lease does to the interface is the business of a
 * `Client6Site`, which says in turn when its addresses were claimed, or are somebody else's:
 *
 *   SOLICIT --advertise--> REQUEST --reply--> PROBING --nobody has them--> BOUND --T1--> RENEW --T2--> REBIND --end--> SOLICIT
 *   CONFIRM --reply, or none--> ...               \--somebody has one: DECLINE--> SOLICIT, or RENEW for what is left
 *
 * CONFIRM asks, after the link was away or we were, whether a lease still fits; with delegated prefixes it is a REBIND in its place (section
 * 18.2.12). Everything is multicast: servers that want it otherwise are of the past (RFC 9915 ends server unicast, and IA_TA). Nothing is believed that has not our
 * transaction id and our DUID, from the server that was chosen where one was. RECONFIGURE is never agreed to, and not heeded (section
 * 18.2.11): without authentication anybody could send it. Messages come from the tell step of a turn, alarms from its timers.
 */
import { randomBelow } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { LeaseEvent } from '../dhcp/client-site.ts'
import { Alarm } from '../dhcp/clock.ts'
import type { Interface } from '../ip/interface.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Dhcp6Options } from './client-options.ts'
import { Client6Sender, type Sender6Dependencies } from './client-sender.ts'
import type { Client6Site, Client6State } from './client-site.ts'
import { C6 } from './counters.ts'
import { parseDuid } from './duid.ts'
import {
  bindingsOf,
  informationOf6,
  type Lease6,
  leaseFrom,
  type ReadTerms,
  remaining,
  statusOf,
  type Wanted6,
  wantedOf,
} from './lease.ts'
import type { Dhcp6Message } from './message.ts'
import { type Offer6, offerOf, ranked } from './offers.ts'
import { INFINITE_SECONDS, Status6 } from './options.ts'
import { ADVERTISE, CONFIRM, DECLINE, RELEASE } from './wire.ts'

export interface Client6Dependencies extends Sender6Dependencies {
  timers: Timers
  clock: NeighborClock
}

/** Who is refused asks again after this, and twice that, and so on. */
const REFUSED_MS = 1000
const FOREVER = Number.POSITIVE_INFINITY

export class Dhcp6Client {
  state: Client6State = 'STOPPED'
  /** What there is, used already (`isTold`) or being probed. */
  lease: Lease6 | null = null
  /** The user knows of it. */
  isTold = false
  readonly counters
  private readonly say: Client6Sender
  private readonly retry: Alarm
  private readonly term: Alarm
  /** Had before a restart. */
  private former: Lease6 | null = null
  /** What had its end, and is hoped for again. */
  private hoped: Lease6 | null = null
  /** Advertised, the best first. */
  private offers: Offer6[] = []
  /** Addresses of other hosts, until our server knows. */
  private declined: string[] = []
  /** Refused, or in vain, one after the other. */
  private refusals = 0

  /** Throws ERR_INVALID_ARG_VALUE, EADDRINUSE. */
  constructor(
    private readonly deps: Client6Dependencies,
    iface: Interface,
    duid: Uint8Array,
    private readonly options: Dhcp6Options,
    private readonly site: Client6Site,
  ) {
    const { timers, clock, time } = deps
    this.say = new Client6Sender(deps, iface, duid, options, (buf, length) => this.input(buf, length))
    this.counters = this.say.counters
    this.retry = new Alarm(timers, clock, time, () => this.again())
    this.term = new Alarm(timers, clock, time, () => this.termOver())
  }

  get duid(): Uint8Array {
    return this.say.messages.duid
  }

  // What its owner does

  /** Begins, as `duid`, with the lease that was had before if there was one. */
  start(duid: Uint8Array, former: Lease6 | null): void {
    this.say.messages.duid = duid
    this.former = former
    this.begin()
  }

  /** There is a link-local address to speak from. */
  usable(): void {
    if (this.state === 'INIT') this.begin()
  }

  /** The link went down or came up. */
  link(up: boolean): void {
    if (this.state === 'STOPPED' || this.state === 'RELEASE') return
    if (up) this.begin()
    else this.pause('INIT')
  }

  /** Renews the lease now, or begins to get one. */
  renew(): void {
    const { state } = this
    if (state === 'BOUND' || state === 'RENEW' || state === 'REBIND') this.renewing()
    else if (state === 'STOPPED' || state === 'RELEASE' || state === 'INIT' || state === 'INFORMED') this.begin()
  }

  /** Gives the lease up. `tell`: the server hears of it. */
  stop(tell: boolean): void {
    const { lease } = this
    const server = lease === null ? null : parseDuid(lease.server)
    this.pause('STOPPED')
    this.drop('released') // section 18.2.7: before the server hears of it
    if (lease === null || !tell || server === null || lease.addresses.length + lease.prefixes.length === 0) return
    this.say.giveBack(RELEASE, wantedOf(lease), server)
    this.go('RELEASE')
  }

  close(): void {
    this.pause('STOPPED')
    this.term.clear()
    this.say.close()
  }

  // What the site says

  /** Nobody else has the addresses of the lease: they may be used. */
  claimed(): void {
    if (this.state === 'PROBING') this.bound('bound')
  }

  /** Somebody else has one (section 18.2.8). It is not used any more. */
  conflict(address: string): void {
    const { lease } = this
    if (lease === null) return
    this.lease = { ...lease, addresses: lease.addresses.filter((a) => a.address !== address) }
    this.declined.push(address)
    this.term.clear()
    this.say.giveBack(DECLINE, { addresses: this.declined, prefixes: [] }, parseDuid(lease.server))
    this.go('DECLINE')
  }

  // States

  private get now(): number {
    return this.deps.time.now
  }

  /** Nothing is sent until something happens. */
  private pause(state: Client6State): void {
    this.retry.clear()
    this.say.end()
    this.offers = []
    this.state = state
  }

  private begin(): void {
    this.pause('INIT')
    if (this.site.source() === null) return
    const delay = randomBelow(this.deps.random, this.deps.config.maxDelayMs + 1)
    const known = remaining(this.lease ?? this.former, this.now)
    if (this.options.stateless === true) this.inform(delay)
    else if (known === null) this.solicit(delay)
    else this.confirm(known, delay)
  }

  /** The exchange that `say` has goes on from here: at once, or by a timer. */
  private go(state: Client6State, delay = -1): void {
    this.state = state
    if (delay < 0) this.again()
    else this.retry.set(this.now + delay)
  }

  private again(): void {
    const { state, site, say } = this
    const source = site.source()
    if (state === 'INFORMED') this.inform(randomBelow(this.deps.random, this.deps.config.maxDelayMs + 1))
    else if (state === 'SOLICIT' && this.offers.length > 0) this.request()
    else if (say.isOver) this.inVain()
    else if (source === null) this.pause(state === 'RELEASE' ? 'STOPPED' : 'INIT')
    else this.retry.set(this.now + say.send(source))
  }

  /** Nobody answered, as often or as long as was asked (section 15). What was to be confirmed is used on (section 18.2.3). */
  private inVain(): void {
    if (this.state === 'REQUEST') this.refused()
    else if (this.state === 'CONFIRM') this.goOn()
    else if (this.state === 'RELEASE') this.pause('STOPPED')
    else if (this.state === 'DECLINE') this.toldOfConflict()
    // RENEW and REBIND end by T2 and the end of the lease.
    else this.retry.clear()
  }

  private solicit(delay: number): void {
    this.offers = []
    this.say.solicit(this.say.messages.hints(this.hoped))
    this.go('SOLICIT', delay)
  }

  /** The best of what was advertised. */
  private request(): void {
    const offer = this.offers.shift()!
    this.requestOf(offer.server, offer.wanted)
  }

  private requestOf(server: Uint8Array, wanted: Wanted6): void {
    this.say.request(wanted, server)
    this.go('REQUEST')
  }

  private confirm(known: Lease6, delay: number): void {
    if (this.lease === null) this.former = known
    this.say.confirm(wantedOf(known))
    this.go('CONFIRM', delay)
  }

  /** What was had holds on. */
  private goOn(): void {
    const known = remaining(this.lease ?? this.former, this.now)
    if (known !== null) this.hold(known, 'renewed')
    else {
      this.drop('expired')
      this.begin()
    }
  }

  private renewing(): void {
    const { server, rebindAt } = this.lease!
    this.say.prolong(wantedOf(this.lease!), parseDuid(server), rebindAt - this.now)
    this.go('RENEW')
  }

  private rebinding(): void {
    this.say.prolong(wantedOf(this.lease!), null, this.lease!.expiresAt - this.now)
    this.go('REBIND')
  }

  private inform(delay: number): void {
    this.say.inform()
    this.go('INFORMATION-REQUEST', delay)
  }

  /** Not from this server: from the next one, or all begins anew, ever more seldom. */
  private refused(): void {
    if (this.offers.length > 0) this.request()
    else {
      this.drop('refused')
      this.startOver()
    }
  }

  private startOver(): void {
    if (this.state === 'STOPPED') return
    const wait = this.refusals === 0 ? 0 : Math.min(this.say.solicitMaxMs, REFUSED_MS * 2 ** Math.min(16, this.refusals))
    this.refusals++
    this.solicit(wait)
  }

  private toldOfConflict(): void {
    const lease = this.lease === null ? null : remaining(this.lease, this.now)
    this.declined = []
    this.refusals++
    if (lease === null) {
      this.hoped = null
      this.drop('conflict')
      this.startOver()
      return
    }
    const { refusals } = this
    this.hold(lease, 'renewed')
    this.refusals = refusals
    if (lease.addresses.length === 0 && this.say.messages.wantsAddress && this.state === 'BOUND') this.renewing()
  }

  /** What was given is ours: used, or probed. */
  private hold(lease: Lease6, event: LeaseEvent): void {
    this.pause('PROBING')
    this.lease = lease
    this.former = null
    this.hoped = null
    this.setTerm()
    if (this.site.claim(lease) || this.isTold) this.bound(event)
  }

  private bound(event: LeaseEvent): void {
    this.state = 'BOUND'
    this.refusals = 0
    const isNew = !this.isTold
    this.isTold = true
    this.counters.values[isNew ? C6.bound : C6.renewed]++
    this.site.apply(this.lease!, isNew ? 'bound' : event)
    this.catchUp()
  }

  /** The lease, if there is one, is ours no more. */
  private drop(event: LeaseEvent): void {
    this.term.clear()
    this.lease = null
    this.former = null
    this.isTold = false
    this.site.withdraw(event)
  }

  // Times

  private setTerm(): void {
    const { renewAt, rebindAt, expiresAt, addresses, prefixes } = this.lease!
    const ends = [...addresses, ...prefixes].map((a) => a.validUntil)
    this.term.set(Math.min(...[renewAt, rebindAt, expiresAt, ...ends].filter((at) => at > this.now)))
  }

  private termOver(): void {
    const { lease } = this
    if (lease === null) return
    const left = remaining(lease, this.now)
    if (left === null) {
      this.counters.values[C6.expired]++
      this.hoped = lease
      this.drop('expired')
      if (this.state !== 'STOPPED') this.begin()
      return
    }
    if (left.addresses.length + left.prefixes.length < lease.addresses.length + lease.prefixes.length) {
      this.lease = left
      this.setTerm()
      if (this.site.claim(left) || this.isTold) this.site.apply(left, 'expired')
    } else this.setTerm()
    this.catchUp()
  }

  private catchUp(): void {
    const { state, now, lease } = this
    if (lease === null) return // the user, when told, gave it back
    const { renewAt, rebindAt } = lease
    if (now >= rebindAt && (state === 'BOUND' || state === 'RENEW')) this.rebinding()
    else if (now >= renewAt && state === 'BOUND') this.renewing()
  }

  // Messages

  private input(buf: Uint8Array, length: number): void {
    const m = this.say.judge(buf, length)
    const { state } = this
    if (m === null) return
    if (m.type === ADVERTISE && state === 'SOLICIT') this.advertised(m)
    else if (m.type === ADVERTISE) this.counters.values[C6.dropUnexpected]++
    else if (state === 'RELEASE') this.pause('STOPPED')
    else if (state === 'DECLINE') this.toldOfConflict()
    else if (state === 'CONFIRM' && this.say.type === CONFIRM) this.confirmed(m)
    else if (state === 'RENEW' || state === 'REBIND' || state === 'CONFIRM') this.renewed(m)
    else if (state === 'INFORMATION-REQUEST') this.informed(m)
    // Section 18.2.1: two messages in place of four, if we asked for that.
    else if (state === 'REQUEST' || (this.options.rapidCommit === true && m.has('rapidCommit'))) this.granted(m)
    else this.counters.values[C6.dropUnexpected]++
  }

  /** Section 18.2.9. */
  private advertised(m: Dhcp6Message): void {
    const [na, pd] = bindingsOf(m, this.terms)
    const offer = statusOf(m) === Status6.SUCCESS ? offerOf(m, na, pd) : null
    if (offer === null) {
      this.counters.values[C6.dropNothingOffered]++
      return
    }
    this.offers = ranked(this.offers, offer, this.deps.config.maxBindings)
    // Section 18.2.1: all that come within the first wait are compared, unless one is as good as can be; later the first will do.
    if (offer.preference === 255 || this.say.sent > 1) this.request()
  }

  /** Section 18.2.10.1, to a REQUEST or a SOLICIT. */
  private granted(m: Dhcp6Message): void {
    const status = statusOf(m)
    if (status !== Status6.SUCCESS) {
      this.counters.values[C6.dropStatus]++
      if (status !== Status6.UNSPEC_FAIL && status !== Status6.USE_MULTICAST) this.refused()
      return
    }
    const lease = leaseFrom(m, this.lease, this.terms, this.now)
    if (lease !== null) this.hold(lease, 'renewed')
    else {
      this.counters.values[C6.dropNothingOffered]++
      this.refused()
    }
  }

  /** Section 18.2.10.1, to a RENEW or REBIND. */
  private renewed(m: Dhcp6Message): void {
    const [na, pd] = bindingsOf(m, this.terms)
    const known = this.lease ?? this.former
    if (na?.status === Status6.NO_BINDING || pd?.status === Status6.NO_BINDING) {
      this.counters.values[C6.dropStatus]++
      if (this.lease === null) this.lease = this.former // what it knows nothing of is asked for all the same
      this.requestOf(m.get('serverId')!, wantedOf(known!))
      return
    }
    const said = [na, pd].some((b) => b !== null && b.addresses.length + b.prefixes.length > 0)
    if (statusOf(m) !== Status6.SUCCESS || !said) {
      this.counters.values[C6.dropStatus]++ // others may know better, and there is time
      return
    }
    const lease = leaseFrom(m, known, this.terms, this.now)
    if (lease !== null) this.hold(lease, 'renewed')
    else this.refused()
  }

  /** Section 18.2.10.3. */
  private confirmed(m: Dhcp6Message): void {
    const status = statusOf(m)
    if (status === Status6.SUCCESS) this.goOn()
    else if (status === Status6.NOT_ON_LINK) this.refused()
    else this.counters.values[C6.dropStatus]++
  }

  /** Section 18.2.10.4. */
  private informed(m: Dhcp6Message): void {
    if (statusOf(m) !== Status6.SUCCESS) {
      this.counters.values[C6.dropStatus]++
      return
    }
    const { refreshSeconds, refreshMinSeconds } = this.deps.config
    const since = this.say.askedAt
    const seconds = m.get('informationRefreshTime') ?? refreshSeconds
    // Section 21.23: IRT_MINIMUM.
    const renewAt = seconds === INFINITE_SECONDS ? FOREVER : since + Math.max(seconds, refreshMinSeconds) * 1000
    this.lease = { ...informationOf6(m, since), addresses: [], prefixes: [], renewAt, rebindAt: FOREVER, expiresAt: FOREVER }
    this.pause('INFORMED')
    this.isTold = true
    this.retry.set(renewAt)
    this.counters.values[C6.informed]++
    this.site.apply(this.lease, 'informed')
  }

  private get terms(): ReadTerms {
    const { messages, askedAt, counters } = this.say
    const { iaid, wantsAddress, wantsPrefix } = messages
    return { iaid, wantsAddress, wantsPrefix, since: askedAt, maxBindings: this.deps.config.maxBindings, counts: counters.values }
  }
}
