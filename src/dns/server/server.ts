/**
 * A DNS server, authoritative and forwarding: for labs, and for gateways.
 *
 * Theory of operation. A question comes by UDP or TCP (`udp-side.ts`, `tcp-side.ts`) as bytes with its asker. It is judged in this order: what is no question is
 * dropped; an opcode, version or form that is not ours is told so in a header (RFC 1035 section 4.1.1, RFC 6891 section 6.1.3, RFC 8906); who may not ask, or asks
 * too often without having shown that he is where he says, is refused or not answered. Then whoever knows the name first answers: our zones; hosts and names of
 * addresses; servers given for its domain; the zones that are never anybody's; servers for the rest. Answers of zones are made at once; others come when they
 * come, and find their asker by the object that stands for him. An answer over UDP is cut at the border of a set (TC) when it is longer than asker and policy allow.
 *
 * Nothing that strangers do grows without bound: questions that wait are counted, by server and by connection; limits by host live in fixed memory; cookies need none.
 */

import { Counters } from '../../base/counters.ts'
import type { DnsServerConfig } from '../../base/dns-server-config.ts'
import { invalidArgument } from '../../base/errors.ts'
import type { Interface } from '../../ip/interface.ts'
import type { RawTcp } from '../../tcp/api.ts'
import type { Udp } from '../../udp/udp.ts'
import { decodeMessage, encodeWithin, type Message, message, QUERY, Rcode } from '../message.ts'
import { canonicalName } from '../names.ts'
import { isType, type TypeName, typeCode } from '../records.ts'
import { AccessList } from './access.ts'
import { Authority, emptyReply, negativeSoa, type Reply } from './authority.ts'
import { SERVER_NAMES, SN } from './counters.ts'
import type { ResolverMaker } from './forwarder.ts'
import { LeaseNames } from './leases.ts'
import { zoneName } from './master-file.ts'
import { LocalZones, OwnNames, ReverseNames } from './names.ts'
import type { DnsServerOptions } from './options.ts'
import { Passing } from './passing.ts'
import { type Answering, type Asked, type Asker, refusal, Why } from './question.ts'
import { AXFR, IXFR, Screening, type ScreeningDependencies } from './screening.ts'
import { TcpSide } from './tcp-side.ts'
import { Transfer } from './transfer.ts'
import { UdpSide } from './udp-side.ts'
import { Zone, type ZoneSource } from './zone.ts'

export interface DnsServerDependencies extends ScreeningDependencies {
  readonly udp: Pick<Udp, 'open'>
  readonly tcp: RawTcp
  readonly config: DnsServerConfig
  /** Where it listens; null: on all addresses of the stack. */
  readonly interfaces: readonly Interface[] | null
  readonly resolver: ResolverMaker
  readonly closed: (server: DnsServer) => void
}

const HEADER = 12
const OF_RCODE: Readonly<Record<number, number>> = {
  [Rcode.NOERROR]: SN.noError,
  [Rcode.FORMERR]: SN.formErr,
  [Rcode.SERVFAIL]: SN.servFail,
  [Rcode.NXDOMAIN]: SN.nxDomain,
  [Rcode.NOTIMP]: SN.notImp,
  [Rcode.REFUSED]: SN.refused,
  [Rcode.BADVERS]: SN.badVers,
}

/** A DNS server of a stack, over UDP and TCP. Made by `stack.dnsServer`. */
export class DnsServer {
  readonly counters = new Counters(SERVER_NAMES)
  readonly counts: Float64Array
  readonly port: number
  private readonly authority: Authority
  private readonly reverse: ReverseNames | null
  private readonly own: OwnNames
  private readonly local: LocalZones | null
  private readonly leases: LeaseNames | null = null
  private readonly screening: Screening
  private readonly passing: Passing
  private readonly allowTransfer: AccessList
  private readonly udpSide: UdpSide
  private readonly tcpSide: TcpSide
  private isClosed = false

  /** Throws NetError EADDRINUSE, ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
  constructor(
    readonly deps: DnsServerDependencies,
    options: DnsServerOptions,
  ) {
    const { config } = deps
    this.counts = this.counters.values
    this.authority = new Authority(config.maxChain)
    this.reverse = options.reverse === false ? null : new ReverseNames()
    this.own = new OwnNames(options.hosts ?? '', this.reverse, config.localTtlSeconds)
    this.local = options.localZones === false ? null : new LocalZones()
    this.allowTransfer = new AccessList(deps.ip, options.allowTransfer ?? [])
    this.screening = new Screening(deps, this.counts, options)
    for (const zone of zonesOf(options)) this.addZone(zone)
    this.passing = new Passing(deps, this.counts, deps.resolver, options)
    this.udpSide = new UdpSide(this)
    this.tcpSide = new TcpSide(this)
    try {
      // The port of the first is that of the other, when it may be any.
      this.port = this.tcpSide.open(options.port ?? 53)
      this.udpSide.open(this.port)
      if (options.leases !== undefined) {
        const zone = this.zone(options.domain ?? 'lan') ?? new Zone(options.domain ?? 'lan')
        this.addZone(zone)
        const refused = (): void => void this.counts[SN.leaseNamesRefused]++
        this.leases = new LeaseNames(zone, options.leases, config.localTtlSeconds, refused)
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  get zones(): readonly Zone[] {
    return this.authority.all
  }

  /** The zone of that name; undefined: there is none. */
  zone(name: string): Zone | undefined {
    return this.authority.named(zoneName(name))
  }

  /** Serves a zone, in place of one of the same name. */
  addZone(zone: Zone): void {
    this.removeZone(zone.name)
    this.authority.add(zone)
    this.reverse?.follow(zone)
  }

  /** False: there was none. */
  removeZone(name: string): boolean {
    const zone = this.zone(name)
    if (zone === undefined) return false
    this.authority.remove(zone)
    this.reverse?.unfollow(zone)
    return true
  }

  /** Questions under way end unanswered. Idempotent. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.leases?.close()
    this.udpSide.close()
    this.tcpSide.close()
    this.passing.close()
    for (const zone of this.zones) this.reverse?.unfollow(zone)
    this.deps.closed(this)
  }

  /** A message; lent. The asker hears once of it, now or later. */
  ask(buf: Uint8Array, start: number, end: number, asker: Asker): void {
    const n = this.counts
    n[asker.overTcp ? SN.tcpQueries : SN.udpQueries]++
    if (end - start < HEADER || (buf[start + 2] & 0x80) !== 0) {
      // Whoever answers answers gets answers for ever.
      n[end - start < HEADER ? SN.dropShort : SN.dropResponse]++
      asker.dropped()
      return
    }
    const opcode = (buf[start + 2] >> 3) & 15
    const query = opcode === QUERY ? decodeMessage(buf, start, end).message : null
    const edns = this.screening.begin(asker)
    if (query === null) {
      // RFC 8906 section 3.1.3: of other opcodes nothing but the header is known.
      const head = { id: (buf[start] << 8) | buf[start + 1], opcode, recursionDesired: (buf[start + 2] & 1) !== 0 }
      this.send(message(head), asker, edns, emptyReply(opcode === QUERY ? Rcode.FORMERR : Rcode.NOTIMP))
      return
    }
    const refused = this.screening.judge(query, asker, edns)
    if (refused !== null) this.send(query, asker, edns, refused)
    else {
      const [{ name, type }] = query.questions
      this.find({ query, asked: name, name: canonicalName(name)!, type, asker, edns })
    }
  }

  private find(q: Asked): void {
    const n = this.counts
    const code = typeCode(q.type)
    if (code === AXFR || code === IXFR) {
      this.transfer(q, code)
      return
    }
    const fromZones = this.authority.answer(q.asked, q.type, q.asker.overTcp)
    if (fromZones !== null) {
      n[SN.fromZones]++
      if (fromZones.elsewhere === null) this.reply(q, fromZones)
      else this.elsewhere(q, canonicalName(fromZones.elsewhere)!, fromZones)
      return
    }
    const own = this.own.answer(q.name, q.asked, q.type)
    if (own !== null) {
      n[SN.fromHosts]++
      this.reply(q, own)
    } else this.elsewhere(q, q.name, null)
  }

  /** What is in no zone of ours: a question, or the end of a chain that began there. */
  private elsewhere(q: Asked, name: string, begun: Reply | null): void {
    const zone = this.local === null || this.passing.hasDomain(name) ? null : this.local.zoneOf(name)
    if (zone === null) this.passing.pass(q, name, begun, (reply) => this.reply(q, reply))
    else {
      this.counts[SN.fromLocalZones]++
      this.reply(q, localReply(zone, name, q, begun))
    }
  }

  private transfer(q: Asked, code: number): void {
    const zone = this.authority.named(q.name)
    const reply = { ...emptyReply(Rcode.NOERROR), authoritative: true }
    if (zone === undefined) this.reply(q, refusal(q.edns, Why.NOT_AUTHORITATIVE))
    else if (!this.allowTransfer.admits(q.asker.address)) {
      this.counts[SN.refusedAccess]++
      this.reply(q, refusal(q.edns, Why.PROHIBITED))
    } else if (code === IXFR && (!q.asker.overTcp || hasSerial(q.query, zone))) {
      // RFC 1995 section 2: the SOA alone says "over TCP", or "you have it".
      this.reply(q, { ...reply, answers: [zone.soa] })
    } else if (!q.asker.overTcp) this.reply(q, emptyReply(Rcode.FORMERR))
    else {
      this.counts[SN.transfers]++
      this.counts[SN.noError]++
      const transfer = new Transfer(zone, this.answerTo(q.query, q.asker, q.edns, reply))
      q.asker.stream(() => transfer.next())
    }
  }

  private reply(q: Asked, reply: Reply): void {
    this.send(q.query, q.asker, q.edns, reply)
  }

  private send(query: Message, asker: Asker, edns: Answering, reply: Reply): void {
    const verdict = this.screening.verdict(asker, edns)
    if (verdict === 'drop') {
      asker.dropped()
      return
    }
    const given = verdict === 'send' ? reply : emptyReply(reply.rcode)
    const out = this.answerTo(query, asker, edns, given)
    out.truncated = verdict === 'slip'
    const bytes = encodeWithin(out, edns.limit, given.needed)
    const n = this.counts
    if ((bytes[2] & 2) !== 0) n[SN.truncated]++
    n[OF_RCODE[reply.rcode] ?? SN.otherRcode]++
    asker.answer(bytes)
  }

  private answerTo(query: Message, asker: Asker, { options }: Answering, reply: Reply): Message {
    const { id, opcode, recursionDesired, checkingDisabled, questions } = query
    const { rcode, authoritative, answers, authorities, additionals } = reply
    const udpPayloadBytes = this.deps.config.udpPayloadBytes
    return message({
      id,
      isResponse: true,
      opcode,
      authoritative,
      recursionDesired,
      recursionAvailable: this.passing.isFor(asker),
      checkingDisabled,
      rcode,
      questions,
      answers,
      authorities,
      additionals,
      // RFC 6891 section 6.1.1: who has none gets none. RFC 3225 section 3: DO comes back.
      edns: query.edns === null ? null : { udpPayloadBytes, version: 0, dnssecOk: query.edns.dnssecOk, options },
    })
  }
}

function zonesOf({ zones = [] }: DnsServerOptions): Zone[] {
  const all = Array.isArray(zones)
    ? (zones as readonly (Zone | string)[]).map((one) => (one instanceof Zone ? one : new Zone(null, one)))
    : Object.entries(zones as Readonly<Record<string, ZoneSource>>).map(([name, source]) => new Zone(name, source))
  const twice = all.find(({ name }, i) => all.findIndex((other) => other.name === name) < i)
  if (twice !== undefined) throw invalidArgument(`zones: ${twice.name === '' ? '.' : twice.name} is there twice`)
  return all
}

/** What a zone that is nobody's says, by itself or at the end of a chain. */
function localReply(zone: Zone, name: string, { asked, type }: { asked: string; type: TypeName }, begun: Reply | null): Reply {
  const reply = begun ?? { ...emptyReply(Rcode.NOERROR), authoritative: true }
  const found = zone.find(name, begun === null ? asked : name, type)
  if (found.kind === 'records') reply.answers.push(...found.records)
  else {
    reply.authorities.push(negativeSoa(zone))
    if (found.kind === 'nxdomain') reply.rcode = Rcode.NXDOMAIN
  }
  return reply
}

/** RFC 1995 section 3: who asks says in the authority section what he has; RFC 1982: whether that is as new as ours. */
function hasSerial(query: Message, zone: Zone): boolean {
  const theirs = query.authorities.find((r) => r.type === 'SOA')
  return theirs !== undefined && isType(theirs, 'SOA') && ((theirs.data.serial - zone.soa.data.serial) | 0) >= 0
}
