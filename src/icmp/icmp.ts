/**
 * ICMP for IPv4 (RFC 792, RFC 1122 section 3.2.2).
 *
 * Theory of operation. Questions (echo, timestamp) are answered at once, from within input: the request's bytes are copied into the
 * stack's frame, turned into the reply, and sent; sending never calls back, so nothing can be entered twice. Errors about packets of
 * ours are checked (whole quote, our source address), translated into the family-neutral `ErrorReport` and handed to the protocol
 * that sent the packet, which alone can tell whether it did (RFC 5927); nothing is believed here but redirects, by rules of their
 * own. Errors that others deserve are raised by `errors`, under the rules of when never to answer and under limits.
 */
import { Address, ANY_V4 } from '../base/address.ts'
import { copyBytes, get16, get32, put16, put32 } from '../base/bytes.ts'
import { sumBytes, updateChecksum } from '../base/checksum.ts'
import type { Clock } from '../base/clock.ts'
import type { IcmpConfig } from '../base/config.ts'
import { Counters } from '../base/counters.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import { Cast } from '../ethernet/ethernet.ts'
import { ETH } from '../ethernet/wire.ts'
import { ErrorKind, ErrorReport, type Ip, type Protocol } from '../ip/ip.ts'
import { type Packet, PROTO_ICMP, To } from '../ip/packet.ts'
import { Redirects } from '../ip/redirects.ts'
import type { Route } from '../ip/route.ts'
import type { Ipv4 } from '../ipv4/ipv4.ts'
import { IpOptions, MAX_OPTIONS, OptionsVerdict, parseOptions, reflectOptions } from '../ipv4/options.ts'
import { IP4_HEADER, IP4_MAX } from '../ipv4/wire.ts'
import type { Frame } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_VALID } from '../netif/netif.ts'
import { C, NAMES } from './counters.ts'
import type { EchoClient, EchoLayer } from './echo.ts'
import { readError } from './error-in.ts'
import { IcmpErrors } from './error-out.ts'
import { Outbox } from './outbox.ts'
import * as wire from './wire.ts'
import { ICMP, ICMP_HEADER } from './wire.ts'

export interface IcmpDependencies {
  ip: Ip
  ipv4: Ipv4
  /** The stack's transmit frame. */
  frame: Frame
  timers: Timers
  clock: Clock
  random: Random
  config: IcmpConfig
}

/** Header, then originate, receive and transmit timestamps (RFC 792). */
const TIMESTAMP_LENGTH = ICMP_HEADER + 12
const LIMITED_BROADCAST = Address.v4(-1)

export class Icmp implements Protocol, EchoLayer {
  readonly counters = new Counters(NAMES)
  readonly errors: IcmpErrors
  readonly redirects: Redirects
  /** Echo clients by identifier. */
  readonly clients = new Map<number, EchoClient>()
  readonly outbox: Outbox
  readonly ip: Ip
  readonly echoType = wire.ICMP_ECHO
  readonly headerBytes = IP4_HEADER
  readonly maxEchoBytes = IP4_MAX - IP4_HEADER - ICMP_HEADER
  /** Set by `close`: no client may be added. */
  isClosed = false
  private readonly report = new ErrorReport()
  private readonly options = new IpOptions()
  private readonly optionBytes = new Uint8Array(MAX_OPTIONS)
  private readonly gateway = new Address()

  constructor(readonly deps: IcmpDependencies) {
    this.ip = deps.ip
    this.outbox = new Outbox(deps.ip, deps.frame, this.counters.values, {
      v6: false,
      sent: C.icmpOutMsgs,
      blocked: C.icmpOutDropBlocked,
      noRoute: C.icmpOutDropNoRoute,
    })
    this.errors = new IcmpErrors(deps, this.outbox, this.counters.values)
    this.redirects = new Redirects(deps.ip, deps.timers, deps.clock)
    deps.ip.register(PROTO_ICMP, this, 4)
    deps.ip.errors.v4 = this.errors
  }

  input(packet: Packet): void {
    const n = this.counters.values
    const { buf, off } = packet
    const length = packet.end - off
    n[C.icmpInMsgs]++
    if (length < ICMP_HEADER) {
      this.bad(C.icmpDropTooShort)
      return
    }
    // PARTIAL says nothing about ICMP: no device completes its checksum.
    if ((packet.meta & CSUM_MASK) !== CSUM_VALID && sumBytes(buf, off, length, 0) !== 0xffff) {
      this.bad(C.icmpInCsumErrors)
      return
    }
    switch (buf[off + ICMP.type]) {
      case wire.ICMP_ECHO:
        n[C.icmpInEchos]++
        this.echo(packet, length)
        break
      case wire.ICMP_ECHO_REPLY:
        n[C.icmpInEchoReps]++
        this.echoReply(packet)
        break
      case wire.ICMP_UNREACHABLE:
        n[C.icmpInDestUnreachs]++
        this.errorInput(packet)
        break
      case wire.ICMP_TIME_EXCEEDED:
        n[C.icmpInTimeExcds]++
        this.errorInput(packet)
        break
      case wire.ICMP_PARAMETER_PROBLEM:
        n[C.icmpInParmProbs]++
        this.errorInput(packet)
        break
      case wire.ICMP_REDIRECT:
        n[C.icmpInRedirects]++
        this.redirect(packet)
        break
      case wire.ICMP_TIMESTAMP:
        n[C.icmpInTimestamps]++
        this.timestamp(packet, length)
        break
      case wire.ICMP_TIMESTAMP_REPLY:
        n[C.icmpInTimestampReps]++
        n[C.icmpDropNoPing]++ // we never ask
        break
      case wire.ICMP_SOURCE_QUENCH:
        n[C.icmpInSrcQuenchs]++
        n[C.icmpDropSourceQuench]++ // RFC 6633 section 3
        break
      default:
        n[C.icmpDropUnknownType]++ // RFC 1122 section 3.2.2: silently
    }
  }

  /** An error about a message of ours: only echo requests are worth telling. */
  error(report: ErrorReport): void {
    if (report.quote[report.off] !== wire.ICMP_ECHO) return
    const client = this.clients.get(get16(report.quote, report.off + ICMP.identifier))
    if (client === undefined || !client.error(report)) this.counters.values[C.icmpDropNoPing]++
    else if (report.kind === ErrorKind.PACKET_TOO_BIG) this.deps.ip.pathMtu?.learn(report)
  }

  /** Ends every echo client. */
  close(): void {
    this.isClosed = true
    for (const client of [...this.clients.values()]) client.closed()
  }

  /** Sends the echo request in the frame by `route`. False: the link is full. `ttl` 0: the default. */
  request(route: Route, tos: number, ttl: number, dontFragment: boolean): boolean {
    this.outbox.seal(route)
    const taken = this.deps.ipv4.output(this.deps.frame, route, PROTO_ICMP, tos, ttl, dontFragment)
    this.outbox.sent(taken, C.icmpOutEchos)
    return taken
  }

  private echo(packet: Packet, length: number): void {
    const toMany = packet.to !== To.HOST
    // `arping <MAC>` asks one machine by the name of its card: an echo request to everybody, in a frame to us alone.
    const byMac = packet.to === To.BROADCAST && packet.cast === Cast.UNICAST && packet.link >= 0
    if (toMany && !byMac && (!this.deps.config.echoBroadcast || packet.source.isUnspecified)) {
      this.counters.values[C.icmpDropBroadcastEcho]++
      return
    }
    const { buf } = this.deps.frame
    const at = this.copyRequest(packet, length)
    const code = buf[at + ICMP.code]
    const old = get16(buf, at + ICMP.checksum)
    buf[at + ICMP.type] = wire.ICMP_ECHO_REPLY
    const updated = updateChecksum(old, (wire.ICMP_ECHO << 8) | code, (wire.ICMP_ECHO_REPLY << 8) | code)
    // The two zeros of one's complement are equal but over data that is all zero, where only this one is right.
    put16(buf, at + ICMP.checksum, updated === 0 ? 0xffff : updated)
    if (byMac) this.replyOnLink(packet)
    // RFC 1122 section 3.2.2.6: from the address that was asked, or one of ours if everybody was.
    else this.reply(packet, toMany ? ANY_V4 : packet.destination, C.icmpOutEchoReps)
  }

  /** RFC 792 timestamp. The times are "not standard" ones (high bit set): nobody needs to know our clock. */
  private timestamp(packet: Packet, length: number): void {
    if (length < TIMESTAMP_LENGTH) {
      this.bad(C.icmpDropTooShort)
      return
    }
    if (packet.to !== To.HOST) {
      this.counters.values[C.icmpDropBroadcastEcho]++
      return
    }
    const { clock, frame } = this.deps
    const at = this.copyRequest(packet, TIMESTAMP_LENGTH)
    frame.buf[at + ICMP.type] = wire.ICMP_TIMESTAMP_REPLY
    put32(frame.buf, at + ICMP_HEADER + 4, clock.nowMs | 0x80000000)
    put32(frame.buf, at + ICMP_HEADER + 8, clock.nowMs | 0x80000000)
    this.outbox.seal()
    this.reply(packet, packet.destination, C.icmpOutTimestampReps)
  }

  private echoReply(packet: Packet): void {
    const client = this.clients.get(get16(packet.buf, packet.off + ICMP.identifier))
    if (client === undefined || !client.reply(packet)) this.counters.values[C.icmpDropNoPing]++
  }

  /** Copies a request into the frame: it is lent, and its buffer is not ours to send from. Returns where it begins there. */
  private copyRequest(packet: Packet, length: number): number {
    const at = this.outbox.begin(length)
    copyBytes(packet.buf, packet.off, this.deps.frame.buf, at, length)
    return at
  }

  private reply(packet: Packet, source: Address, counter: number): void {
    const { clock, frame, ipv4 } = this.deps
    const { outbox } = this
    if (!outbox.find(packet.source, source)) return
    let optionsLength = 0
    const header = packet.off - packet.start
    if (header > IP4_HEADER && parseOptions(packet.buf, packet.start, header, this.options) === OptionsVerdict.OK) {
      const time = clock.nowMs | 0x80000000
      optionsLength = reflectOptions(packet.buf, packet.start, this.options, outbox.route.source.w3, time, this.optionBytes)
    }
    // The differentiated services of the request, without its ECN bits.
    const tos = packet.tos & 0xfc
    outbox.sent(ipv4.send(frame, outbox.route, PROTO_ICMP, tos, 0, false, this.optionBytes, optionsLength), counter)
  }

  /** Answers to the link address that asked: there may be no IP address to resolve. */
  private replyOnLink(packet: Packet): void {
    const { frame, ip, ipv4 } = this.deps
    const { buf, iface, link } = packet
    const macHigh = get16(buf, link + ETH.source)
    const macLow = get32(buf, link + ETH.source + 2)
    if ((macHigh & 0x100) !== 0) {
      this.counters.values[C.icmpOutDropNever]++ // a frame from a group address: to answer it is to flood
      return
    }
    // With no address of our own the two are swapped; a host without one is written to as "everybody".
    const source = ip.selectSource(iface, packet.source, true) ?? packet.destination
    const destination = packet.source.isUnspecified ? LIMITED_BROADCAST : packet.source
    const taken = ipv4.outputOnLink(frame, iface, source, destination, PROTO_ICMP, macHigh, macLow)
    this.outbox.sent(taken, C.icmpOutEchoReps)
  }

  private errorInput(packet: Packet): void {
    const fault = readError(packet, this.deps.ip, this.report)
    if (fault >= 0) this.bad(fault)
    else this.deps.ip.deliverError(this.report)
  }

  private redirect(packet: Packet): void {
    const { ip, ipv4 } = this.deps
    const fault = readError(packet, ip, this.report)
    if (fault >= 0) {
      this.bad(fault)
      return
    }
    const gateway = this.gateway.setV4(get32(packet.buf, packet.off + ICMP.identifier))
    // A router decides for itself (RFC 1812 section 5.2.7.2).
    const taken = ipv4.forward === null && this.redirects.learn(packet, this.report.destination, gateway)
    if (!taken) this.counters.values[C.icmpDropRedirect]++
  }

  private bad(reason: number): void {
    this.counters.values[C.icmpInErrors]++
    this.counters.values[reason]++
  }
}
