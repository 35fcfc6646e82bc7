/**
 * ICMPv6 (RFC 4443).
 *
 * Theory of operation. The checksum of every message is verified once, here; then its type decides. Echo requests are answered at once, from
 * within input. Errors about packets of ours are checked and translated into the family-neutral `ErrorReport`, and the protocol that sent
 * the packet judges whether it did (RFC 5927). Neighbor Discovery and MLD register for their types. Errors that others deserve are raised by
 * `errors`, under the rules of when never to answer and under limits.
 */
import { type Address, ANY } from '../base/address.ts'
import { copyBytes, get16, put16 } from '../base/bytes.ts'
import { checksum, sumBytes, updateChecksum } from '../base/checksum.ts'
import type { Clock } from '../base/clock.ts'
import type { IcmpConfig } from '../base/config.ts'
import { Counters } from '../base/counters.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { EchoClient, EchoLayer } from '../icmp/echo.ts'
import { Outbox } from '../icmp/outbox.ts'
import { ICMP, ICMP_HEADER } from '../icmp/wire.ts'
import { ErrorKind, ErrorReport, type Ip, type Protocol } from '../ip/ip.ts'
import { type Packet, PROTO_ICMPV6, To } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import type { Route } from '../ip/route.ts'
import { HeaderChain } from '../ipv6/header-chain.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import { IP6_HEADER, IP6_MAX_PAYLOAD } from '../ipv6/wire.ts'
import type { Frame } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_VALID } from '../netif/netif.ts'
import { C, IN_BY_TYPE, NAMES } from './counters.ts'
import { readError } from './error-in.ts'
import { Icmp6Errors } from './error-out.ts'
import * as wire from './wire.ts'

export interface Icmp6Dependencies {
  ip: Ip
  ipv6: Ipv6
  /** The stack's transmit frame. */
  frame: Frame
  timers: Timers
  clock: Clock
  random: Random
  config: IcmpConfig
}

/** A protocol that is carried in ICMPv6. */
export interface Icmp6Handler {
  /** A message of a type that this handler registered; `packet.off` is the ICMPv6 header, the checksum is right. */
  icmp6Input(packet: Packet): void
}

export class Icmp6 implements Protocol, EchoLayer {
  readonly counters = new Counters(NAMES)
  readonly ip: Ip
  readonly errors: Icmp6Errors
  readonly outbox: Outbox
  readonly clients = new Map<number, EchoClient>()
  readonly echoType = wire.ICMP6_ECHO
  readonly headerBytes = IP6_HEADER
  readonly maxEchoBytes = IP6_MAX_PAYLOAD - ICMP_HEADER
  isClosed = false
  private readonly handlers = new Map<number, Icmp6Handler>()
  private readonly report = new ErrorReport()
  private readonly chain = new HeaderChain()

  constructor(readonly deps: Icmp6Dependencies) {
    const { ip, frame } = deps
    this.ip = ip
    this.outbox = new Outbox(ip, frame, this.counters.values, {
      v6: true,
      sent: C.icmp6OutMsgs,
      blocked: C.icmp6OutDropBlocked,
      noRoute: C.icmp6OutDropNoRoute,
    })
    this.errors = new Icmp6Errors(deps, this.outbox, this.counters.values)
    ip.register(PROTO_ICMPV6, this, 6)
    ip.errors.v6 = this.errors
  }

  /** Messages of `type` go to `handler` from now on. */
  register(type: number, handler: Icmp6Handler): void {
    this.handlers.set(type, handler)
  }

  input(packet: Packet): void {
    const n = this.counters.values
    const { buf, off } = packet
    const length = packet.end - off
    n[C.icmp6InMsgs]++
    if (length < ICMP_HEADER) {
      this.bad(C.icmp6DropTooShort)
      return
    }
    // PARTIAL says nothing about ICMPv6: no device completes its checksum.
    if ((packet.meta & CSUM_MASK) !== CSUM_VALID) {
      const sum = pseudoSum(packet.source, packet.destination, PROTO_ICMPV6, length)
      if (sumBytes(buf, off, length, sum) !== 0xffff) {
        this.bad(C.icmp6InCsumErrors)
        return
      }
    }
    const type = buf[off + ICMP.type]
    n[IN_BY_TYPE[type]]++
    if (type === wire.ICMP6_ECHO) this.echo(packet, length)
    else if (type === wire.ICMP6_ECHO_REPLY) this.echoReply(packet)
    else if (type < wire.ICMP6_INFORMATIONAL) this.errorInput(packet)
    else {
      const handler = this.handlers.get(type)
      if (handler === undefined)
        n[C.icmp6DropUnknownType]++ // RFC 4443 section 2.4 (b): silently
      else handler.icmp6Input(packet)
    }
  }

  /** An error about a message of ours: only echo requests are worth telling. */
  error(report: ErrorReport): void {
    if (report.quote[report.off] !== wire.ICMP6_ECHO) return
    const client = this.clients.get(get16(report.quote, report.off + ICMP.identifier))
    if (client === undefined || !client.error(report)) this.counters.values[C.icmp6DropNoPing]++
    else if (report.kind === ErrorKind.PACKET_TOO_BIG) this.ip.pathMtu?.learn(report)
  }

  /** Ends every echo client. */
  close(): void {
    this.isClosed = true
    for (const client of [...this.clients.values()]) client.closed()
  }

  /** Sends the echo request in the frame by `route`. False: the link is full. `ttl` 0: the default. */
  request(route: Route, tos: number, ttl: number, dontFragment: boolean): boolean {
    this.outbox.seal(route)
    const taken = this.deps.ipv6.output(this.deps.frame, route, PROTO_ICMPV6, tos, ttl, dontFragment)
    this.outbox.sent(taken, C.icmp6OutEchos)
    return taken
  }

  private echo(packet: Packet, length: number): void {
    if (packet.source.isUnspecified) {
      this.counters.values[C.icmp6OutDropNever]++
      return
    }
    const { outbox } = this
    const toMany = packet.to !== To.HOST
    // RFC 4443 section 4.2: from the address that was asked; if a group was, from one of the interface that it was asked by.
    if (!outbox.find(packet.source, toMany ? ANY : packet.destination, toMany ? packet.iface : null)) return
    const at = outbox.begin(length)
    const { buf } = outbox.frame
    copyBytes(packet.buf, packet.off, buf, at, length)
    buf[at + ICMP.type] = wire.ICMP6_ECHO_REPLY
    if (toMany) outbox.seal()
    else {
      // The addresses change places, which no sum sees. Zero is as good as all ones here: no sum may stay out.
      const code = buf[at + ICMP.code]
      const old = get16(buf, at + ICMP.checksum)
      const updated = updateChecksum(old, (wire.ICMP6_ECHO << 8) | code, (wire.ICMP6_ECHO_REPLY << 8) | code)
      put16(buf, at + ICMP.checksum, updated)
    }
    // The differentiated services of the request, without its ECN bits.
    const taken = this.deps.ipv6.output(outbox.frame, outbox.route, PROTO_ICMPV6, packet.tos & 0xfc, 0, false)
    outbox.sent(taken, C.icmp6OutEchoReplies)
  }

  private echoReply(packet: Packet): void {
    const client = this.clients.get(get16(packet.buf, packet.off + ICMP.identifier))
    if (client === undefined || !client.reply(packet)) this.counters.values[C.icmp6DropNoPing]++
  }

  private errorInput(packet: Packet): void {
    const fault = readError(packet, this.ip, this.report, this.chain)
    if (fault >= 0) this.bad(fault)
    else this.ip.deliverError(this.report)
  }

  private bad(reason: number): void {
    this.counters.values[C.icmp6InErrors]++
    this.counters.values[reason]++
  }
}

/** Fills in the checksum of the ICMPv6 message in `frame` (RFC 4443 section 2.3). */
export function sealIcmp6(frame: Frame, source: Address, destination: Address): void {
  const { buf, start, end } = frame
  put16(buf, start + 2, 0)
  put16(buf, start + 2, checksum(buf, start, end - start, pseudoSum(source, destination, PROTO_ICMPV6, end - start)))
}
