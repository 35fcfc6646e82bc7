/**
 * What a DHCPv6 client says, and which answers are for it: the exchange that it is in, the message of it, how often that is sent (RFC 8415
 * section 18.2), and how often the client may speak at all.
 */
import type { Address } from '../base/address.ts'
import { equalBytes } from '../base/bytes.ts'
import { Counters } from '../base/counters.ts'
import type { Dhcp6Config } from '../base/dhcp6-config.ts'
import type { Random } from '../base/random.ts'
import type { LeaseClock } from '../dhcp/clock.ts'
import type { Interface } from '../ip/interface.ts'
import type { Udp } from '../udp/udp.ts'
import { Client6Messages, type Dhcp6Options } from './client-options.ts'
import { C6, CLIENT6_NAMES } from './counters.ts'
import type { Wanted6 } from './lease.ts'
import { type Dhcp6Message, readMessage6, writeMessage6 } from './message.ts'
import { Dhcp6Port } from './port.ts'
import { Retransmission, type RetransmitTerms } from './retransmit.ts'
import {
  ADVERTISE,
  ALL_RELAYS_AND_SERVERS,
  CONFIRM,
  DECLINE,
  DHCP6_CLIENT_PORT,
  DHCP6_SERVER_PORT,
  INFORMATION_REQUEST,
  REBIND,
  RECONFIGURE,
  RELEASE,
  RENEW,
  REPLY,
  REQUEST,
  SOLICIT,
} from './wire.ts'

export interface Sender6Dependencies {
  udp: Udp
  random: Random
  time: LeaseClock
  config: Dhcp6Config
}

const OUT = new Map<number, number>([
  [SOLICIT, C6.outSolicits],
  [REQUEST, C6.outRequests],
  [CONFIRM, C6.outConfirms],
  [RENEW, C6.outRenews],
  [REBIND, C6.outRebinds],
  [RELEASE, C6.outReleases],
  [DECLINE, C6.outDeclines],
  [INFORMATION_REQUEST, C6.outInformationRequests],
])

/** Seconds that servers may set SOL_MAX_RT and INF_MAX_RT to (sections 21.24, 21.25). */
const MIN_MAX_RT = 60
const MAX_MAX_RT = 86_400
/** RENEW and REBIND are repeated no sooner. */
const MIN_RENEW_MS = 1000
/** All that our options make is far below it, and what a user adds must be. */
const MESSAGE_LIMIT = 8192

export class Client6Sender {
  readonly counters = new Counters(CLIENT6_NAMES)
  readonly messages: Client6Messages
  /** Of the message that an answer is awaited to. */
  type = 0
  xid = -1
  /** When that was sent last. */
  askedAt = 0
  /** SOL_MAX_RT, as servers may have it. */
  solicitMaxMs: number
  private informMaxMs: number
  /** DUID of the server that it is for; null: for all. */
  private server: Uint8Array | null = null
  private wanted: Wanted6 | null = null
  private retransmission: Retransmission | null = null
  /** Messages that may be sent now, and when that was true (RFC 8415 section 14.1). */
  private tokens: number
  private tokensAt: number
  private readonly port: Dhcp6Port
  private readonly out = new Uint8Array(MESSAGE_LIMIT)

  /** `hear` gets what comes in, lent. Throws ERR_INVALID_ARG_VALUE, EADDRINUSE. */
  constructor(
    private readonly deps: Sender6Dependencies,
    iface: Interface,
    duid: Uint8Array,
    options: Dhcp6Options,
    hear: (buf: Uint8Array, length: number) => void,
  ) {
    this.messages = new Client6Messages(duid, options, iface.index)
    this.port = new Dhcp6Port(deps.udp, iface, DHCP6_CLIENT_PORT, { datagram: hear }, false)
    this.solicitMaxMs = deps.config.solicitMaxMs
    this.informMaxMs = deps.config.informMaxMs
    this.tokens = deps.config.rateMessages
    this.tokensAt = deps.time.now
  }

  close(): void {
    this.port.close()
  }

  // Exchanges: what is asked, of whom (null: of all servers). `send` sends it.

  solicit(wanted: Wanted6): void {
    this.begin(SOLICIT, wanted, null, { first: this.deps.config.solicitTimeoutMs, most: this.solicitMaxMs, later: true })
  }

  request(wanted: Wanted6, server: Uint8Array): void {
    const { requestTimeoutMs, requestMaxMs, requestAttempts } = this.deps.config
    this.begin(REQUEST, wanted, server, { first: requestTimeoutMs, most: requestMaxMs, attempts: requestAttempts })
  }

  /** Section 18.2.12: prefixes cannot be confirmed; they are asked for in the same time by REBIND. */
  confirm(wanted: Wanted6): void {
    const { confirmTimeoutMs, confirmMaxMs, confirmDurationMs } = this.deps.config
    const terms = { first: confirmTimeoutMs, most: confirmMaxMs, duration: confirmDurationMs }
    this.begin(wanted.prefixes.length > 0 ? REBIND : CONFIRM, wanted, null, terms)
  }

  /** RENEW with a server, REBIND without one. A lease that is so short that REN_TIMEOUT would leave one try is asked for four times. */
  prolong(wanted: Wanted6, server: Uint8Array | null, duration: number): void {
    const { renewTimeoutMs, renewMaxMs } = this.deps.config
    const first = Math.min(renewTimeoutMs, Math.max(MIN_RENEW_MS, duration / 4))
    const ends = duration < Number.POSITIVE_INFINITY && { duration: Math.max(1, duration) }
    this.begin(server === null ? REBIND : RENEW, wanted, server, { first, most: renewMaxMs, ...ends })
  }

  inform(): void {
    this.begin(INFORMATION_REQUEST, null, null, { first: this.deps.config.informTimeoutMs, most: this.informMaxMs })
  }

  /** What is given back: ours, or what turned out to be another host's. */
  giveBack(type: typeof RELEASE | typeof DECLINE, wanted: Wanted6, server: Uint8Array | null): void {
    const { releaseTimeoutMs, releaseAttempts } = this.deps.config
    this.begin(type, wanted, server, { first: releaseTimeoutMs, attempts: releaseAttempts })
  }

  /** No answer is awaited any more. */
  end(): void {
    this.xid = -1
    this.retransmission = null
  }

  /** Messages of this exchange so far. */
  get sent(): number {
    return this.retransmission?.sent ?? 0
  }

  /** The exchange may not go on. */
  get isOver(): boolean {
    return this.retransmission?.isOver(this.deps.time.now) !== false
  }

  /** Sends the message, for the first time or again; returns how long its answer is waited for. */
  send(source: Address): number {
    const { retransmission, type, server, deps } = this
    const { now } = deps.time
    const m = this.messages.make(type, this.xid, retransmission!.elapsed(now), this.wanted)
    if (server !== null) m.set('serverId', server)
    this.askedAt = now
    const n = this.counters.values
    if (!this.mayTalk(now)) n[C6.outRateLimited]++
    else {
      const length = writeMessage6(m, this.out, 0, this.out.length)
      const taken = length > 0 && this.port.send(this.out, length, source, ALL_RELAYS_AND_SERVERS, DHCP6_SERVER_PORT)
      n[taken ? OUT.get(type)! : C6.outBlocked]++
    }
    return retransmission!.next(now)
  }

  /** An answer to what was asked, with a server's name; null: it is none, and counted. */
  judge(buf: Uint8Array, length: number): Dhcp6Message | null {
    const n = this.counters.values
    const m = readMessage6(buf, 0, length)
    if (typeof m === 'string') n[C6.dropMalformed]++
    // Section 18.2.11: without authentication anybody could send it. We never say that we would take it.
    else if (m.type === RECONFIGURE) n[C6.dropReconfigure]++
    else if (m.type !== ADVERTISE && m.type !== REPLY) n[C6.dropUnexpected]++
    // Sections 16.3 and 16.10.
    else if (m.xid !== this.xid || this.sent === 0 || !isSame(m.get('clientId'), this.messages.duid)) n[C6.dropOtherClient]++
    else {
      n[m.type === ADVERTISE ? C6.inAdvertises : C6.inReplies]++
      const server = m.get('serverId')
      if (server === undefined) n[C6.dropNoServer]++
      else if (this.server !== null && !isSame(server, this.server)) n[C6.dropOtherServer]++
      else {
        this.limits(m)
        return m
      }
    }
    return null
  }

  /** RFC 7083: heeded whatever else the message says. */
  private limits(m: Dhcp6Message): void {
    const within = (s: number | undefined): s is number => s !== undefined && s >= MIN_MAX_RT && s <= MAX_MAX_RT
    const solicit = m.get('solMaxRt')
    const inform = m.get('infMaxRt')
    if (within(solicit)) this.solicitMaxMs = solicit * 1000
    if (within(inform)) this.informMaxMs = inform * 1000
    const { type, retransmission } = this
    if (retransmission !== null && type === SOLICIT) retransmission.most = this.solicitMaxMs
    if (retransmission !== null && type === INFORMATION_REQUEST) retransmission.most = this.informMaxMs
  }

  private begin(type: number, wanted: Wanted6 | null, server: Uint8Array | null, terms: RetransmitTerms): void {
    this.type = type
    this.wanted = wanted
    this.server = server
    // RFC 8415 section 16.1: at random, and another one for each exchange.
    this.xid = this.deps.random.int32() & 0xffffff
    this.retransmission = new Retransmission(terms, this.deps.random)
  }

  private mayTalk(now: number): boolean {
    const { rateMessages, ratePeriodMs } = this.deps.config
    this.tokens = Math.min(rateMessages, this.tokens + ((now - this.tokensAt) * rateMessages) / ratePeriodMs)
    this.tokensAt = now
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && equalBytes(a, 0, b, 0, b.length)
}
