/**
 * The DHCPv6 server (RFC 8415 section 18.3, RFC 9915).
 *
 * Theory of operation. A message is taken out of the envelopes of relays (server-letter.ts), judged, and found to be of a link: that of the
 * relay next to its client, or of the interface it came in by (server-asked.ts). A link has pools of addresses and of prefixes (pool.ts). SOLICIT
 * has something put by for half a minute; REQUEST, RENEW and REBIND bind it (server-associations.ts), and are answered once the store has it. An
 * answer goes back by the way that its question came. All that is kept is bounded by ranges and configuration, and no message costs more
 * than a few look-ups for each association in it.
 */
import type { Address, Prefix } from '../base/address.ts'
import { prefix as parsePrefix } from '../base/address.ts'
import { Counters } from '../base/counters.ts'
import type { DhcpConfig } from '../base/dhcp-config.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { LeaseClock } from '../dhcp/clock.ts'
import { BindingState } from '../dhcp/holdings.ts'
import { Ledger } from '../dhcp/ledger.ts'
import type { ServerEvent } from '../dhcp/server.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import { parseScoped, scopedText } from '../ip/zone.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { Udp } from '../udp/udp.ts'
import { duidLl, duidLlt, parseDuid } from './duid.ts'
import type { Dhcp6Message } from './message.ts'
import { Status6, type StatusValue } from './options.ts'
import { type Binding6, same } from './pool.ts'
import { Dhcp6Port } from './port.ts'
import { type Asked6, whoAsks6 } from './server-asked.ts'
import { Associations, addDeals, confirmed, type Deal, type Lifetimes } from './server-associations.ts'
import { SC6, SERVER6_NAMES } from './server-counters.ts'
import { LARGEST_LETTER, openLetter, sealLetter } from './server-letter.ts'
import {
  type Dhcp6ServerOptions,
  duidText,
  type Lease6Record,
  type Reserved6,
  type Served6,
  type Server6Record,
  served6,
} from './server-options.ts'
import { addRequested, beginReply } from './server-reply.ts'
import {
  ADVERTISE,
  ALL_RELAYS_AND_SERVERS,
  ALL_SERVERS,
  CONFIRM,
  DECLINE,
  DHCP6_CLIENT_PORT,
  DHCP6_SERVER_PORT,
  INFORMATION_REQUEST,
  REBIND,
  RELEASE,
  RENEW,
  REPLY,
  REQUEST,
  SOLICIT,
} from './wire.ts'

export interface Server6Dependencies {
  udp: Udp
  ip: Ip
  timers: Timers
  clock: NeighborClock
  time: LeaseClock
  random: Random
  config: DhcpConfig
  maxLeases: number
  /** A delegated prefix is reached by a neighbour; null: it is delegated no more. */
  delegated: (prefix: Prefix, via: Address | null) => void
  /** A store or a listener threw. */
  uncaught: (error: unknown) => void
  closed: (server: Dhcp6Server) => void
}

const FOREVER = Number.POSITIVE_INFINITY
const DEFAULT_SECONDS = 3600
/** The preferred lifetime within the valid one, when nobody says. */
const PREFERRED = 5 / 8
/** May not be asked for by unicast; others are told to ask everybody (section 18.4). */
const ALWAYS_MULTICAST: readonly number[] = [SOLICIT, CONFIRM, REBIND, INFORMATION_REQUEST]

/** A DHCPv6 server on one interface. Made by `stack.dhcp6Server`. */
export class Dhcp6Server {
  readonly counters = new Counters(SERVER6_NAMES)
  /** `00:03:00:01:02:00:00:00:00:01` */
  readonly duid: string
  /** Called when a lease begins, goes on or ends. */
  onLease: ((lease: Lease6Record, event: ServerEvent) => void) | null = null
  private readonly ports = new Map<Interface, Dhcp6Port>()
  private readonly served: Served6
  private readonly associations = new Associations(this.counters.values)
  private readonly ledger: Ledger<Server6Record>
  private readonly serverId: Uint8Array
  private readonly times: Lifetimes
  private readonly scratch = new Uint8Array(LARGEST_LETTER)
  private isClosed = false

  /** Throws NetError EADDRINUSE (port 547), ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS, ERR_INVALID_MAC_ADDRESS. */
  constructor(
    private readonly deps: Server6Dependencies,
    /** It serves these, until the last of them is detached. */
    readonly interfaces: readonly Interface[],
    private readonly options: Dhcp6ServerOptions,
  ) {
    const { timers, clock, time, random, ip } = deps
    const valid = options.leaseSeconds ?? DEFAULT_SECONDS
    this.times = { valid, preferred: options.preferredSeconds ?? Math.max(1, valid * PREFERRED) }
    this.served = served6(options, interfaces, {
      timers,
      clock,
      time,
      random,
      maxHeld: deps.maxLeases,
      isOurs: (prefix) => ip.interfaces.some((i) => i.addresses.some((a) => prefix.contains(a.address))),
      over: (binding, was) => this.over(binding, was),
    })
    this.ledger = new Ledger(options.store, (error, promises) => {
      this.counters.values[SC6.dropStore] += promises
      deps.uncaught(error)
    })
    const records = options.store?.load() ?? []
    this.duid = this.identity(records, interfaces[0])
    this.serverId = parseDuid(this.duid)!
    for (const record of records) if (record.kind !== 'server') this.restore(record)
    try {
      for (const iface of interfaces) {
        const datagram = (buf: Uint8Array, length: number, from: Datagram): void => this.input(iface, buf, length, from)
        const handler = { datagram, heardAll: () => this.ledger.settle() }
        const port = new Dhcp6Port(deps.udp, iface, DHCP6_SERVER_PORT, handler, true)
        this.ports.set(iface, port)
        for (const group of [ALL_RELAYS_AND_SERVERS, ALL_SERVERS]) port.join(group)
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Leases that hold, and addresses that are somebody else's. */
  get leases(): Lease6Record[] {
    return this.served.pools
      .flatMap((pool) => pool.holdings)
      .filter((binding) => binding.isListed)
      .map((binding) => binding.record)
  }

  /** Whether clients of this interface's link get addresses, or only other things. */
  givesAddresses(iface: Interface): boolean {
    return (
      this.served.byInterface.get(iface)?.address.some((pool) => pool.spans.length > 0 || pool.reservations.size > 0) === true
    )
  }

  /** Ends it, and takes its routes away. Clients keep their leases. Idempotent. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.ledger.settle()
    for (const port of this.ports.values()) port.close()
    for (const pool of this.served.pools) {
      for (const binding of pool.holdings) this.unroute(binding)
      pool.close()
    }
    this.options.store?.close?.()
    this.deps.closed(this)
  }

  /** Section 11: who we are is the same after a restart. With nowhere to keep it, it is made of what is the same anyhow. */
  private identity(records: readonly Server6Record[], iface: Interface): string {
    const { store, duid } = this.options
    const kept = records.find((record) => record.kind === 'server')?.duid
    const mac = iface.mac!
    const made = store === undefined ? duidLl(mac) : duidLlt(mac, Math.floor(this.deps.time.now / 1000))
    const is = duidText(duid ?? kept ?? made)
    if (is !== kept) {
      store?.save({ kind: 'server', duid: is })
      store?.sync?.()
    }
    return is
  }

  private restore(record: Lease6Record): void {
    const prefix = parsePrefix(record.address)
    const { links, pools } = this.served
    const pool =
      record.kind === 'address'
        ? links.find((l) => l.prefixes.some((p) => p.contains(prefix.address)))?.address[0]
        : pools.find(
            (p) => p.kind === 'prefix' && (p.inRange(prefix) || [...p.reservations.values()].some((r) => same(r, prefix))),
          )
    if (pool !== undefined) this.route(pool.restore(record, prefix, `${record.duid} ${record.iaid}`))
  }

  // In

  private input(iface: Interface, buf: Uint8Array, length: number, from: Datagram): void {
    const n = this.counters.values
    const letter = openLetter(buf, length)
    if (typeof letter === 'string') {
      n[letter === 'type' ? SC6.dropUnknownType : letter === 'relays' ? SC6.dropTooManyRelays : SC6.dropMalformed]++
      return
    }
    const asked = whoAsks6(letter, iface, from, this.served, this.duid, n)
    if (asked === null) return
    const { m } = asked
    if (asked.relays.length === 0 && !asked.to.isMulticast) {
      if (ALWAYS_MULTICAST.includes(m.type)) n[SC6.dropUnicast]++
      else this.useMulticast(asked)
      return
    }
    switch (m.type) {
      case SOLICIT:
        this.solicit(asked)
        break
      case REQUEST:
        this.bind(asked, this.associations.give(asked, true), this.begin(asked, REPLY))
        break
      case RENEW:
      case REBIND:
        this.extend(asked)
        break
      case CONFIRM:
        this.confirm(asked)
        break
      case RELEASE:
      case DECLINE:
        this.end(asked)
        break
      default:
        this.send(asked, this.configured(asked, this.begin(asked, REPLY)))
    }
  }

  /** Section 18.3.1. */
  private solicit(asked: Asked6): void {
    const { time, config } = this.deps
    const { rapidCommit, preference = 0 } = this.options
    const deals = this.associations.give(asked, false)
    if (rapidCommit === true && asked.m.has('rapidCommit')) {
      this.bind(asked, deals, this.begin(asked, REPLY).set('rapidCommit', true))
      return
    }
    for (const { binding } of deals)
      if (binding !== null && binding.state !== BindingState.BOUND)
        binding.pool.set(binding, BindingState.OFFERED, time.now + 1000 * config.offerSeconds)
    const reply = this.begin(asked, ADVERTISE)
    if (preference > 0) reply.set('preference', preference)
    this.answer(asked, deals, reply)
  }

  /** Sections 18.3.4 and 18.3.5. */
  private extend(asked: Asked6): void {
    const adopts = this.options.authoritative !== false
    const deals = this.associations.extend(asked, adopts)
    // REBIND is everybody's: who is not alone here keeps silent about what another server may have given.
    const isOthers = asked.m.type === REBIND && !adopts && deals.every(({ status }) => status?.code === Status6.NO_BINDING)
    if (isOthers) this.counters.values[SC6.dropUnknownClient]++
    else this.bind(asked, deals, this.begin(asked, REPLY))
  }

  /** Section 18.3.3. */
  private confirm(asked: Asked6): void {
    const isOnLink = confirmed(asked)
    if (isOnLink === null) {
      this.counters.values[SC6.dropUnknownClient]++
      return
    }
    if (!isOnLink) this.counters.values[SC6.notOnLink]++
    const status = isOnLink ? success() : { code: Status6.NOT_ON_LINK, message: 'not all addresses are of this link' }
    this.send(asked, this.begin(asked, REPLY).set('status', status))
  }

  /** Sections 18.3.7 and 18.3.8. */
  private end(asked: Asked6): void {
    const { time, config } = this.deps
    const isRelease = asked.m.type === RELEASE
    const ended: Binding6[] = []
    const deals = this.associations.end(asked, (binding) => {
      const { pool } = binding
      if (isRelease) pool.release(binding)
      else if (pool.kind === 'address') pool.abandon(binding, time.now + 1000 * config.abandonSeconds)
      else return // nobody can have a prefix by mistake
      this.unroute(binding)
      ended.push(binding)
    })
    const reply = this.begin(asked, REPLY).set('status', success())
    addDeals(reply, deals, this.times)
    const records = ended.map((binding) => binding.record)
    this.ledger.save(records, () => {
      this.send(asked, reply)
      for (const record of records) this.tell(record, isRelease ? 'released' : 'declined')
    })
  }

  /** Section 18.4. */
  private useMulticast(asked: Asked6): void {
    this.counters.values[SC6.useMulticast]++
    const status = { code: Status6.USE_MULTICAST, message: 'ask everybody' }
    this.send(asked, this.begin(asked, REPLY).set('status', status))
  }

  /** Leases are the clients' once they are written down. */
  private bind(asked: Asked6, deals: readonly Deal[], reply: Dhcp6Message): void {
    const { time, ip } = this.deps
    const { valid } = this.times
    const until = valid === FOREVER ? FOREVER : time.now + 1000 * valid
    const bound: { binding: Binding6; event: ServerEvent }[] = []
    for (const { binding } of deals) {
      if (binding === null) continue
      bound.push({ binding, event: binding.state === BindingState.BOUND ? 'renewed' : 'bound' })
      binding.hostname = asked.m.get('clientFqdn')?.name || binding.hostname
      if (binding.pool.kind === 'prefix') binding.via = asked.relays.length === 0 ? scopedText(ip, asked.from) : null
      binding.pool.set(binding, BindingState.BOUND, until)
    }
    const records = bound.map(({ binding }) => binding.record)
    this.ledger.save(records, () => {
      for (const { binding } of bound) this.route(binding)
      this.answer(asked, deals, reply)
      for (const [i, { event }] of bound.entries()) this.tell(records[i], event)
    })
  }

  private over(binding: Binding6, was: number): void {
    if (was !== BindingState.BOUND) return
    this.counters.values[SC6.expired]++
    this.unroute(binding)
    const { record } = binding
    this.ledger.save([record])
    this.tell(record, 'expired')
  }

  private route({ pool, prefix, via, state }: Binding6): void {
    if (pool.kind !== 'prefix' || via === null || state !== BindingState.BOUND || this.options.routes === false) return
    try {
      this.deps.delegated(prefix, parseScoped(this.deps.ip, via))
    } catch {
      // The interface by which it was reached when it was written down is there no more: the client will renew by another.
    }
  }

  private unroute({ pool, prefix }: Binding6): void {
    if (pool.kind === 'prefix') this.deps.delegated(prefix, null)
  }

  private tell(record: Lease6Record, event: ServerEvent): void {
    try {
      this.onLease?.(record, event)
    } catch (error) {
      this.deps.uncaught(error)
    }
  }

  // Out

  private begin(asked: Asked6, type: number): Dhcp6Message {
    return beginReply(asked, type, this.serverId)
  }

  private configured(asked: Asked6, reply: Dhcp6Message): Dhcp6Message {
    addRequested(reply, asked, this.reservedFor(asked))
    return reply
  }

  private reservedFor({ duid, mac }: Asked6): Reserved6 | undefined {
    const { reserved } = this.served
    return reserved.get(`d${duid}`) ?? reserved.get(`m${mac}`)
  }

  private answer(asked: Asked6, deals: readonly Deal[], reply: Dhcp6Message): void {
    addDeals(reply, deals, this.times)
    for (const { iaid } of asked.m.all('iaTa')) {
      const status = { code: Status6.NO_ADDRS_AVAIL, message: 'no temporary addresses' }
      this.counters.values[SC6.noAddrsAvail]++
      reply.add('iaTa', { iaid, options: { status } })
    }
    this.send(asked, this.configured(asked, reply))
  }

  /** Section 18.3.10: to the client itself, or to the relay in an envelope of its own. */
  private send({ iface, relays, from, fromPort, to }: Asked6, reply: Dhcp6Message): void {
    const n = this.counters.values
    const bytes = sealLetter(reply, relays, this.scratch)
    if (bytes === null) {
      n[SC6.dropTooLong]++
      return
    }
    const isRelayed = relays.length > 0
    // RFC 8357 section 5.2: a relay that says so has the answer at the port that it asked from.
    const port = !isRelayed ? DHCP6_CLIENT_PORT : relays[0].has('relayPort') ? fromPort : DHCP6_SERVER_PORT
    n[reply.type === ADVERTISE ? SC6.outAdvertises : SC6.outReplies]++
    if (isRelayed) n[SC6.outRelayReplies]++
    if (!this.ports.get(iface)!.send(bytes, bytes.length, to.isMulticast ? null : to, from, port)) n[SC6.outBlocked]++
  }
}

function success(): StatusValue {
  return { code: Status6.SUCCESS, message: '' }
}
