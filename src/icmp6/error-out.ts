/**
 * Errors that we raise about IPv6 packets of others (RFC 4443 section 2.4): when never to, how many, and how they look. The quote is as much of
 * the packet as fits the minimum MTU of IPv6.
 */
import { ANY } from '../base/address.ts'
import { copyBytes, put32 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { IcmpConfig } from '../base/config.ts'
import type { Random } from '../base/random.ts'
import { Cast } from '../ethernet/ethernet.ts'
import type { Outbox } from '../icmp/outbox.ts'
import { RateLimit, Verdict } from '../icmp/rate-limit.ts'
import { ICMP, ICMP_HEADER, ICMP_POINTER } from '../icmp/wire.ts'
import { ErrorKind, type ErrorSender } from '../ip/ip.ts'
import { type Packet, PROTO_ICMPV6, To } from '../ip/packet.ts'
import { HeaderChain } from '../ipv6/header-chain.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import { IP6_HEADER, IP6_MIN_MTU, PROBLEM_NEXT_HEADER, PROBLEM_OPTION } from '../ipv6/wire.ts'
import { C } from './counters.ts'
import * as wire from './wire.ts'

interface Dependencies {
  ipv6: Ipv6
  clock: Clock
  random: Random
  config: IcmpConfig
}

/** RFC 4443 section 2.4 (c). */
const MAX_QUOTE = IP6_MIN_MTU - IP6_HEADER - ICMP_HEADER

export class Icmp6Errors implements ErrorSender {
  /** Made with the first error: most stacks raise none. */
  private limit: RateLimit | null = null
  private readonly chain = new HeaderChain()

  constructor(
    private readonly deps: Dependencies,
    private readonly outbox: Outbox,
    private readonly counters: Float64Array,
  ) {}

  unreachable(packet: Packet, kind: number): void {
    if (kind === ErrorKind.PROTOCOL_UNREACHABLE) {
      this.parameterProblem(packet, packet.protocolAt - packet.start, PROBLEM_NEXT_HEADER)
      return
    }
    let code: number = wire.UNREACH6_PROHIBITED
    if (kind === ErrorKind.NET_UNREACHABLE) code = wire.UNREACH6_NO_ROUTE
    else if (kind === ErrorKind.HOST_UNREACHABLE) code = wire.UNREACH6_ADDRESS
    else if (kind === ErrorKind.PORT_UNREACHABLE) code = wire.UNREACH6_PORT
    else if (kind === ErrorKind.BEYOND_SCOPE) code = wire.UNREACH6_BEYOND_SCOPE
    this.raise(packet, wire.ICMP6_UNREACHABLE, code, 0, C.icmp6OutDestUnreachs)
  }

  timeExceeded(packet: Packet, reassembly: boolean): void {
    this.raise(packet, wire.ICMP6_TIME_EXCEEDED, reassembly ? 1 : 0, 0, C.icmp6OutTimeExcds)
  }

  parameterProblem(packet: Packet, pointer: number, code: number): void {
    this.raise(packet, wire.ICMP6_PARAMETER_PROBLEM, code, pointer, C.icmp6OutParmProblems)
  }

  tooBig(packet: Packet, mtu: number): void {
    this.raise(packet, wire.ICMP6_TOO_BIG, 0, mtu, C.icmp6OutPktTooBigs)
  }

  /** `word`: the four bytes behind the checksum. */
  private raise(packet: Packet, type: number, code: number, word: number, counter: number): void {
    if (!this.mayAnswer(packet, type, code)) {
      this.counters[C.icmp6OutDropNever]++
      return
    }
    const { clock, config, ipv6, random } = this.deps
    this.limit ??= new RateLimit(config, random, clock.nowMs)
    // Whoever asks himself over the loopback cannot be flooded.
    if (!packet.iface.isLoopback) {
      const verdict = this.limit.ask(packet.source, clock.nowMs)
      if (verdict !== Verdict.SEND) {
        this.counters[verdict === Verdict.HOST_LIMIT ? C.icmp6OutRateLimitHost : C.icmp6OutDropRateGlobal]++
        return
      }
    }
    const { outbox } = this
    // RFC 4443 section 2.2: from the address that the packet was for, if it is ours; else routing chooses.
    if (!outbox.find(packet.source, packet.to === To.HOST ? packet.destination : ANY)) return
    const quote = Math.min(packet.end - packet.start, MAX_QUOTE)
    const at = outbox.begin(ICMP_HEADER + quote)
    const buf = outbox.frame.buf
    copyBytes(packet.buf, packet.start, buf, at + ICMP_HEADER, quote)
    buf[at + ICMP.type] = type
    buf[at + ICMP.code] = code
    put32(buf, at + ICMP_POINTER, word)
    outbox.seal()
    outbox.sent(ipv6.output(outbox.frame, outbox.route, PROTO_ICMPV6, 0, 0, false), counter)
  }

  /** RFC 4443 section 2.4 (e): what is never answered with an error. */
  private mayAnswer(packet: Packet, type: number, code: number): boolean {
    const { source } = packet
    const { chain } = this
    // (e.6) The source must be one node.
    if (source.isUnspecified || source.isMulticast) return false
    if (source.isLoopback && !packet.iface.isLoopback) return false
    // (e.3) to (e.5): what went to many is answered only where the sender needs it to know his path, or what options mean.
    if (packet.to === To.MULTICAST || packet.cast !== Cast.UNICAST) {
      const excepted = type === wire.ICMP6_TOO_BIG || (type === wire.ICMP6_PARAMETER_PROBLEM && code === PROBLEM_OPTION)
      if (!excepted) return false
    }
    // (e.1) and (e.2): no error about an error or a redirect. Behind a chain that is cut short nobody can say.
    if (!chain.follow(packet.buf, packet.start, packet.end) || chain.middle || chain.protocol !== PROTO_ICMPV6) return true
    if (chain.off >= packet.end) return false
    const about = packet.buf[chain.off + ICMP.type]
    return about >= wire.ICMP6_INFORMATIONAL && about !== wire.ND_REDIRECT
  }
}
