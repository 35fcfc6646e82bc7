/**
 * Errors that we raise about packets of others (RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3): when never to, how many, and
 * how they look. The quote is as much of the packet as fits the minimum of what every host takes (576 bytes).
 */
import { type Address, ANY_V4 } from '../base/address.ts'
import { copyBytes, get16, put32 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { IcmpConfig } from '../base/config.ts'
import type { Random } from '../base/random.ts'
import { Cast } from '../ethernet/ethernet.ts'
import { ErrorKind, type ErrorSender } from '../ip/ip.ts'
import { type Packet, PROTO_ICMP, To } from '../ip/packet.ts'
import type { Ipv4 } from '../ipv4/ipv4.ts'
import { IP4, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import { C } from './counters.ts'
import type { Outbox } from './outbox.ts'
import { RateLimit, Verdict } from './rate-limit.ts'
import * as wire from './wire.ts'
import { ICMP, ICMP_HEADER, ICMP_POINTER } from './wire.ts'

interface Dependencies {
  ipv4: Ipv4
  clock: Clock
  random: Random
  config: IcmpConfig
}

export class IcmpErrors implements ErrorSender {
  private readonly limit: RateLimit

  constructor(
    private readonly deps: Dependencies,
    private readonly outbox: Outbox,
    private readonly counters: Float64Array,
  ) {
    this.limit = new RateLimit(deps.config, deps.random, deps.clock.nowMs)
  }

  unreachable(packet: Packet, kind: number): void {
    let code: number = wire.UNREACH_FILTER_PROHIBITED
    if (kind === ErrorKind.NET_UNREACHABLE) code = wire.UNREACH_NET
    else if (kind === ErrorKind.HOST_UNREACHABLE) code = wire.UNREACH_HOST
    else if (kind === ErrorKind.PROTOCOL_UNREACHABLE) code = wire.UNREACH_PROTOCOL
    else if (kind === ErrorKind.PORT_UNREACHABLE) code = wire.UNREACH_PORT
    else if (kind === ErrorKind.SOURCE_ROUTE_FAILED) code = wire.UNREACH_SRCFAIL
    this.raise(packet, wire.ICMP_UNREACHABLE, code, 0, C.icmpOutDestUnreachs)
  }

  timeExceeded(packet: Packet, reassembly: boolean): void {
    this.raise(packet, wire.ICMP_TIME_EXCEEDED, reassembly ? 1 : 0, 0, C.icmpOutTimeExcds)
  }

  parameterProblem(packet: Packet, pointer: number): void {
    this.raise(packet, wire.ICMP_PARAMETER_PROBLEM, 0, pointer << 24, C.icmpOutParmProbs)
  }

  tooBig(packet: Packet, mtu: number): void {
    this.raise(packet, wire.ICMP_UNREACHABLE, wire.UNREACH_NEEDFRAG, mtu & 0xffff, C.icmpOutDestUnreachs)
  }

  /** A better first hop for the packet's destination (RFC 1812 section 5.2.7.2). */
  redirect(packet: Packet, gateway: Address): void {
    this.raise(packet, wire.ICMP_REDIRECT, wire.REDIRECT_HOST, gateway.w3, C.icmpOutRedirects)
  }

  /** `word`: the four bytes behind the checksum. */
  private raise(packet: Packet, type: number, code: number, word: number, counter: number): void {
    if (!mayAnswer(packet)) {
      this.counters[C.icmpOutDropNever]++
      return
    }
    const { clock, config, ipv4 } = this.deps
    // Whoever asks himself over the loopback cannot be flooded.
    if (!packet.iface.isLoopback) {
      const verdict = this.limit.ask(packet.source, clock.nowMs)
      if (verdict !== Verdict.SEND) {
        this.counters[verdict === Verdict.HOST_LIMIT ? C.icmpOutDropRateHost : C.icmpOutDropRateGlobal]++
        return
      }
    }
    const { outbox } = this
    // RFC 1122 section 3.2.2: from the address that the packet was for; a router's answers come from the way they leave by.
    if (!outbox.find(packet.source, packet.to === To.HOST ? packet.destination : ANY_V4)) return
    // At least the header and eight bytes, whatever the configuration says.
    const quote = Math.min(packet.end - packet.start, Math.max(config.quoteBytes, packet.off - packet.start + 8))
    const at = outbox.begin(ICMP_HEADER + quote)
    const buf = outbox.frame.buf
    copyBytes(packet.buf, packet.start, buf, at + ICMP_HEADER, quote)
    buf[at + ICMP.type] = type
    buf[at + ICMP.code] = code
    put32(buf, at + ICMP_POINTER, word)
    outbox.seal()
    // RFC 1122 section 3.2.2: type of service 0.
    outbox.sent(ipv4.output(outbox.frame, outbox.route, PROTO_ICMP, 0, 0, false), counter)
  }
}

/** RFC 1122 section 3.2.2: what is never answered with an error. */
function mayAnswer(packet: Packet): boolean {
  const { buf, start, off, source } = packet
  if (packet.to === To.BROADCAST || packet.to === To.MULTICAST || packet.cast !== Cast.UNICAST) return false
  if ((get16(buf, start + IP4.flagsFragment) & IP4_OFFSET_MASK) !== 0) return false
  // The source must be one host: IP has refused broadcasts; 240/4 may hold addresses that are not.
  if (source.isUnspecified || source.isMulticast || source.w3 >>> 28 === 15) return false
  if (source.isLoopback && !packet.iface.isLoopback) return false
  if (packet.protocol !== PROTO_ICMP) return true
  if (packet.end <= off) return false
  // Of ICMP only questions and answers: errors, and types unknown that may be errors, never.
  const type = buf[off + ICMP.type]
  return (
    type === wire.ICMP_ECHO || type === wire.ICMP_ECHO_REPLY || type === wire.ICMP_TIMESTAMP || type === wire.ICMP_TIMESTAMP_REPLY
  )
}
