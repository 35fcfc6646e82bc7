/**
 * Stateless address autoconfiguration (RFC 4862 section 5.5) on one interface: addresses made of the prefixes that routers announce, and
 * what becomes of them.
 *
 * Theory of operation. For each autonomous prefix there is one stable address (RFC 7217, or of the MAC address) and, if they are wanted, a
 * temporary one (RFC 8981) that is followed by another before it is deprecated. The prefix keeps the two deadlines that routers give it,
 * under the two-hour rule; those of an address follow from them, and ip/lifetime.ts deprecates it and ends it when they have come. A
 * temporary address has limits of its own on top, counted from its birth. Each address is probed for
 * (dad.ts). One that is another host's is followed by another identifier, three times (RFC 7217 section 6, RFC 8981 section 3.4); identifiers
 * of MAC addresses have no other, and stay DUPLICATE so that they are not tried again with every advertisement.
 */
import { Address, Prefix } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import { randomFraction } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import { formatMac } from '../ethernet/mac.ts'
import { addAddress, removeAddress } from '../ip/addresses.ts'
import { type AddressNotes, AddressState, type InterfaceAddress } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { AddressLifetime, type LifetimeListener } from '../ip/lifetime.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import { eui64, IDGEN_RETRIES, isReserved, type StableIds } from './interface-id.ts'
import { upcoming } from './lifetimes.ts'
import type { NdInterface } from './nd-interface.ts'
import { RC } from './router-counters.ts'

const FOREVER = Number.POSITIVE_INFINITY
const TWO_HOURS_MS = 7_200_000
/** MAX_DESYNC_FACTOR, as a part of the preferred lifetime (RFC 8981 section 3.8). */
const MAX_DESYNC = 0.4
/** REGEN_ADVANCE is this, and the time that probing takes in the worst case (RFC 8981 section 3.8). */
const REGEN_ADVANCE_MS = 2_000

/** Who waits for addresses. Told from timers only, but for `said`. */
export interface SlaacListener {
  /** What a router says of DHCPv6 (RFC 4861 section 4.2), with each advertisement, while it is being heard. */
  said(managed: boolean, other: boolean): void
  /** Addresses may be used, and none is being asked for any more. */
  usable(): void
  /** None can be had of a prefix: all that were tried are other hosts'. */
  failed(error: NetError): void
}

/** An address that was made. */
class Made {
  constructor(
    readonly own: InterfaceAddress,
    readonly prefix: AutonomousPrefix,
    readonly temporary: boolean,
    /** How many before it were other hosts'. */
    readonly attempt: number,
    /** Its own limits on top of the prefix's; infinite for a stable one. */
    readonly preferredLimit: number,
    readonly validLimit: number,
  ) {}

  get preferredUntil(): number {
    return Math.min(this.prefix.preferredUntil, this.preferredLimit)
  }

  get validUntil(): number {
    return Math.min(this.prefix.validUntil, this.validLimit)
  }
}

class AutonomousPrefix {
  made: Made[] = []
  /** Nothing more is tried (RFC 8981 section 3.4). */
  noTemporary = false

  constructor(
    readonly network: Prefix,
    public preferredUntil: number,
    public validUntil: number,
  ) {}
}

/** Whether its prefix is on the link is another question (section 5.5.3): no route comes with an address. */
const NOTES: AddressNotes = { label: null, scope: null, broadcast: null, peer: null, noPrefixRoute: true, noDad: false }

export class Slaac implements LifetimeListener {
  private prefixes: AutonomousPrefix[] = []

  constructor(
    private readonly ip: Ip,
    private readonly nd: NdInterface,
    private readonly ids: StableIds,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
    private readonly random: Random,
    /** Whether addresses are probed for. */
    private readonly probe: boolean,
    private readonly listener: SlaacListener,
    /** Of ROUTER_COUNTERS. */
    private readonly counts: Float64Array,
  ) {}

  /** A prefix with the A flag (section 5.5.3); lifetimes in ms from `now`. The caller has seen to (a) to (c). */
  learn(network: Prefix, preferredMs: number, validMs: number, now: number): void {
    const known = this.prefixes.find((p) => p.network.address.equals(network.address))
    if (known === undefined) {
      if (validMs === 0) return
      // (d): the length of the prefix and that of the identifier make 128. ::/8 is nobody's (RFC 4291 section 2.4).
      if (network.length !== 64 || network.address.w0 >>> 24 === 0) {
        this.counts[RC.dropPrefixLength]++
        return
      }
      if (this.count >= this.nd.config.maxAddresses) {
        this.counts[RC.dropAddressLimit]++
        return
      }
      const prefix = new AutonomousPrefix(network, now + preferredMs, now + validMs)
      this.prefixes.push(prefix)
      this.makeStable(prefix, 0, now)
    } else {
      known.preferredUntil = now + preferredMs
      const remaining = known.validUntil - now
      // (e): a forged advertisement may not take an address away at once.
      if (validMs > TWO_HOURS_MS || validMs > remaining) known.validUntil = now + validMs
      else {
        this.counts[RC.twoHourRule]++
        if (remaining > TWO_HOURS_MS) known.validUntil = now + TWO_HOURS_MS
      }
      this.tidy(known)
      for (const made of known.made) this.live(made, now)
      if (!known.made.some((made) => !made.temporary)) this.makeStable(known, 0, now)
    }
    this.elapse(now)
  }

  /** What time has brought: temporary addresses are followed by others, prefixes are forgotten with their last address. */
  elapse(now: number): void {
    for (const prefix of this.prefixes) {
      if (prefix.validUntil > now) this.ensureTemporary(prefix, now)
      else for (const made of [...prefix.made]) this.remove(made)
    }
    this.prefixes = this.prefixes.filter((p) => p.validUntil > now)
  }

  /** When `elapse` is due next. */
  next(now: number): number {
    let next = FOREVER
    for (const prefix of this.prefixes) {
      next = Math.min(next, prefix.validUntil)
      for (const made of prefix.made)
        if (made.temporary) next = Math.min(next, upcoming(made.preferredUntil - this.regenAdvanceMs, now))
    }
    return next
  }

  lifetimeChanged(): void {
    this.ip.changed()
  }

  lifetimeOver(own: InterfaceAddress): void {
    const made = this.find(own)
    if (made !== null) this.remove(made)
  }

  /** An address passed its probes. False: it is not one of ours. */
  ready(own: InterfaceAddress): boolean {
    if (this.find(own) === null) return false
    this.tell(null)
    return true
  }

  /** An address belongs to another host. False: it is not one of ours. */
  conflict(own: InterfaceAddress, mac: Uint8Array, now: number): boolean {
    const made = this.find(own)
    if (made === null) return false
    this.counts[RC.addressesLost]++
    const { prefix, temporary, attempt } = made
    if (attempt < IDGEN_RETRIES && (temporary || this.nd.config.identifiers === 'stable')) {
      this.remove(made)
      if (temporary) this.makeTemporary(prefix, attempt + 1, now)
      else this.makeStable(prefix, attempt + 1, now)
      return true
    }
    if (temporary) {
      prefix.noTemporary = true
      this.remove(made)
      this.tell(null)
      return true
    }
    const { address } = own
    const message = `${address} on ${this.nd.iface.name} is in use by ${formatMac(mac)}, and so were ${attempt} before it`
    this.tell(new NetError('EADDRINUSE', { address: `${address}`, message }))
    return true
  }

  close(): void {
    for (const prefix of this.prefixes) for (const made of [...prefix.made]) this.remove(made)
    this.prefixes = []
  }

  /** Who waits is told when all that is to be had is there: which address a packet leaves with does not change a moment later. */
  private tell(error: NetError | null): void {
    let usable = false
    for (const { made } of this.prefixes) {
      for (const { own } of made) {
        if (own.state === AddressState.TENTATIVE) return
        if (own.state !== AddressState.DUPLICATE) usable = true
      }
    }
    if (usable) this.listener.usable()
    else if (error !== null) this.listener.failed(error)
  }

  private get count(): number {
    return this.prefixes.reduce((n, p) => n + Math.max(1, p.made.length), 0)
  }

  /** REGEN_ADVANCE (RFC 8981 section 3.8). */
  private get regenAdvanceMs(): number {
    const { dadTransmits, retransTimerMs } = this.nd.config
    return REGEN_ADVANCE_MS + IDGEN_RETRIES * dadTransmits * retransTimerMs
  }

  private find(own: InterfaceAddress): Made | null {
    for (const p of this.prefixes) for (const made of p.made) if (made.own === own) return made
    return null
  }

  private makeStable(prefix: AutonomousPrefix, attempt: number, now: number): void {
    const { iface, config } = this.nd
    const { address } = prefix.network
    const own = config.identifiers === 'eui64' ? eui64(address, iface.mac!) : this.ids.address(address, iface.name, attempt)
    this.make(prefix, own, false, attempt, FOREVER, FOREVER, now)
  }

  /** RFC 8981 section 3.4: one that stays preferred for longer than it takes to make the next, and never two at once for that. */
  private ensureTemporary(prefix: AutonomousPrefix, now: number): void {
    if (this.nd.config.temporaryAddresses === 'off' || prefix.noTemporary) return
    const soon = now + this.regenAdvanceMs
    if (prefix.made.some((m) => m.temporary && m.preferredUntil > soon)) return
    if (this.count >= this.nd.config.maxAddresses) {
      this.counts[RC.dropAddressLimit]++
      return
    }
    this.makeTemporary(prefix, 0, now)
  }

  private makeTemporary(prefix: AutonomousPrefix, attempt: number, now: number): void {
    const { temporaryPreferredSeconds, temporaryValidSeconds } = this.nd.config
    // DESYNC_FACTOR: those who began together do not all change their addresses together.
    const desync = MAX_DESYNC * randomFraction(this.random)
    const preferredLimit = now + temporaryPreferredSeconds * 1000 * (1 - desync)
    if (Math.min(prefix.preferredUntil, preferredLimit) <= now + this.regenAdvanceMs) return
    const { address } = prefix.network
    const own = new Address(address.w0, address.w1, this.random.int32(), this.random.int32())
    if (isReserved(own)) own.w2 ^= 1
    this.counts[RC.temporaryAddresses]++
    this.make(prefix, own, true, attempt, preferredLimit, now + temporaryValidSeconds * 1000, now)
  }

  private make(
    prefix: AutonomousPrefix,
    address: Address,
    temporary: boolean,
    attempt: number,
    preferredLimit: number,
    validLimit: number,
    now: number,
  ): void {
    const { nd, probe, timers, clock } = this
    // Somebody gave the interface this one by hand: it is theirs.
    if (nd.iface.addresses.some((o) => o.address.equals(address))) return
    const state = probe ? AddressState.TENTATIVE : AddressState.PREFERRED
    const own = addAddress(this.ip, nd.iface, new Prefix(address, 64), state, NOTES)
    own.temporary = temporary
    own.lifetime = new AddressLifetime(own, timers, clock, this)
    const made = new Made(own, prefix, temporary, attempt, preferredLimit, validLimit)
    prefix.made.push(made)
    this.live(made, now)
    nd.dad.add(own, probe)
  }

  /** Gives an address the time that it has. */
  private live(made: Made, now: number): void {
    const { own, preferredUntil, validUntil } = made
    own.lifetime?.set(Math.max(0, validUntil - now) / 1000, Math.max(0, preferredUntil - now) / 1000)
  }

  /** Addresses that were taken away by hand are not ours any more. */
  private tidy(prefix: AutonomousPrefix): void {
    prefix.made = prefix.made.filter((made) => this.nd.iface.addresses.includes(made.own))
  }

  private remove(made: Made): void {
    const { prefix, own } = made
    this.tidy(prefix)
    if (!prefix.made.includes(made)) return
    prefix.made.splice(prefix.made.indexOf(made), 1)
    this.nd.dad.remove(own)
    removeAddress(this.ip, this.nd.iface, own.address)
  }
}
