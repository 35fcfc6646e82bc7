/** Reading the ICMPv6 errors that others send about packets of ours: what they quote, and what they mean. */
import { get16, get32 } from '../base/bytes.ts'
import { ICMP, ICMP_HEADER, ICMP_POINTER } from '../icmp/wire.ts'
import { ErrorKind, type ErrorReport, type Ip } from '../ip/ip.ts'
import { type Packet, To } from '../ip/packet.ts'
import type { HeaderChain } from '../ipv6/header-chain.ts'
import { IP6, IP6_HEADER, IP6_MIN_MTU, PROBLEM_NEXT_HEADER } from '../ipv6/wire.ts'
import { C } from './counters.ts'
import * as wire from './wire.ts'

/** Fills `report` from the error message in `packet`. Returns -1, or the counter that says why it is worth nothing. */
export function readError(packet: Packet, ip: Ip, report: ErrorReport, chain: HeaderChain): number {
  const { buf, end } = packet
  const start = packet.off + ICMP_HEADER
  if (start + IP6_HEADER > end || buf[start] >> 4 !== 6) return C.icmp6DropQuote
  // Eight bytes of a transport: ports, or type and identifier.
  if (!chain.follow(buf, start, end) || chain.middle || chain.off + 8 > end) return C.icmp6DropQuote
  report.type = buf[packet.off + ICMP.type]
  report.code = buf[packet.off + ICMP.code]
  report.kind = kindOf(report.type, report.code)
  report.mtu = 0
  if (report.kind === ErrorKind.PACKET_TOO_BIG) {
    const mtu = get32(buf, packet.off + ICMP_POINTER) >>> 0
    // RFC 8201 section 4: no path of IPv6 is narrower, so whoever says so is to be ignored.
    if (mtu < IP6_MIN_MTU) return C.icmp6DropTooSmall
    report.mtu = Math.min(mtu, 0xffff)
  }
  report.ttl = packet.ttl
  report.reporter.copy(packet.source)
  report.source.read(buf, start + IP6.source)
  report.destination.read(buf, start + IP6.destination)
  // What we tell ourselves comes by the loopback, but is about the link that its addresses are of.
  const zone = packet.iface.isLoopback ? packet.source.zone : packet.iface.index
  if (report.source.isLinkLocal) report.source.zone = zone
  if (report.destination.isLinkLocal) report.destination.zone = zone
  report.protocol = chain.protocol
  report.length = IP6_HEADER + get16(buf, start + IP6.payloadLength)
  report.quote = buf
  report.off = chain.off
  report.end = Math.min(end, start + Math.max(report.length, chain.off + 8 - start))
  report.local = false
  // An error sent to more than one, or about what we did not send, or about a packet to many, was not earned.
  if (packet.to !== To.HOST || !ip.isLocal(report.source) || report.source.isV4) return C.icmp6DropNotOurs
  if (report.destination.isMulticast || report.destination.isV4) return C.icmp6DropNotOurs
  return -1
}

/** ErrorKind of a type and code (RFC 4443 section 3). Errors of kinds yet unknown are told as well: section 2.4 (a). */
function kindOf(type: number, code: number): number {
  if (type === wire.ICMP6_TOO_BIG) return ErrorKind.PACKET_TOO_BIG
  if (type === wire.ICMP6_TIME_EXCEEDED) return ErrorKind.TIME_EXCEEDED
  if (type === wire.ICMP6_PARAMETER_PROBLEM) {
    return code === PROBLEM_NEXT_HEADER ? ErrorKind.PROTOCOL_UNREACHABLE : ErrorKind.PARAMETER_PROBLEM
  }
  if (type !== wire.ICMP6_UNREACHABLE) return ErrorKind.PARAMETER_PROBLEM
  switch (code) {
    case wire.UNREACH6_NO_ROUTE:
      return ErrorKind.NET_UNREACHABLE
    case wire.UNREACH6_BEYOND_SCOPE:
      return ErrorKind.BEYOND_SCOPE
    case wire.UNREACH6_ADDRESS:
      return ErrorKind.HOST_UNREACHABLE
    case wire.UNREACH6_PORT:
      return ErrorKind.PORT_UNREACHABLE
    default:
      return ErrorKind.PROHIBITED
  }
}
