/** Reading the errors that others send about packets of ours: what they quote, and what they mean. */
import { get16, get32 } from '../base/bytes.ts'
import { ErrorKind, type ErrorReport, type Ip } from '../ip/ip.ts'
import { type Packet, To } from '../ip/packet.ts'
import { IP4, IP4_HEADER, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import { C } from './counters.ts'
import * as wire from './wire.ts'
import { ICMP, ICMP_HEADER, ICMP_MTU } from './wire.ts'

/** Fills `report` from the error message in `packet`. Returns -1, or the counter that says why it is worth nothing. */
export function readError(packet: Packet, ip: Ip, report: ErrorReport): number {
  const { buf, end } = packet
  const start = packet.off + ICMP_HEADER
  const header = start < end ? (buf[start] & 15) << 2 : 0
  // RFC 792: the header and at least eight bytes; of a first fragment, or there would be no transport header in it.
  if (header < IP4_HEADER || buf[start] >> 4 !== 4 || start + header + 8 > end) return C.icmpDropQuote
  if ((get16(buf, start + IP4.flagsFragment) & IP4_OFFSET_MASK) !== 0) return C.icmpDropQuote
  report.type = buf[packet.off + ICMP.type]
  report.code = buf[packet.off + ICMP.code]
  report.kind = kindOf(report.type, report.code)
  if (report.kind < 0) return C.icmpDropUnknownCode
  report.mtu = report.kind === ErrorKind.PACKET_TOO_BIG ? get16(buf, packet.off + ICMP_MTU) : 0
  report.ttl = packet.ttl
  report.reporter.copy(packet.source)
  report.source.setV4(get32(buf, start + IP4.source))
  report.destination.setV4(get32(buf, start + IP4.destination))
  report.protocol = buf[start + IP4.protocol]
  report.length = get16(buf, start + IP4.totalLength)
  report.quote = buf
  report.off = start + header
  report.end = Math.min(end, start + Math.max(report.length, header + 8))
  report.local = false
  // An error sent to more than one, or about what we did not send, or about a packet to many (RFC 1122 section 3.2.2), was not earned.
  if (packet.to !== To.HOST || !ip.isLocal(report.source)) return C.icmpDropNotOurs
  if (report.destination.isLimitedBroadcast || report.destination.isMulticast) return C.icmpDropNotOurs
  return -1
}

/** ErrorKind of a type and code (RFC 792, RFC 1122, RFC 1812 section 5.2.7.1), 0 for a redirect, or -1. */
function kindOf(type: number, code: number): number {
  if (type === wire.ICMP_REDIRECT) return code <= 3 ? 0 : -1
  if (type === wire.ICMP_TIME_EXCEEDED) return code <= 1 ? ErrorKind.TIME_EXCEEDED : -1
  if (type === wire.ICMP_PARAMETER_PROBLEM) return code <= 2 ? ErrorKind.PARAMETER_PROBLEM : -1
  switch (code) {
    case wire.UNREACH_NET:
    case wire.UNREACH_NET_UNKNOWN:
    case wire.UNREACH_TOS_NET:
      return ErrorKind.NET_UNREACHABLE
    case wire.UNREACH_HOST:
    case wire.UNREACH_HOST_UNKNOWN:
    case wire.UNREACH_ISOLATED:
    case wire.UNREACH_TOS_HOST:
      return ErrorKind.HOST_UNREACHABLE
    case wire.UNREACH_PROTOCOL:
      return ErrorKind.PROTOCOL_UNREACHABLE
    case wire.UNREACH_PORT:
      return ErrorKind.PORT_UNREACHABLE
    case wire.UNREACH_NEEDFRAG:
      return ErrorKind.PACKET_TOO_BIG
    case wire.UNREACH_SRCFAIL:
      return ErrorKind.SOURCE_ROUTE_FAILED
    case wire.UNREACH_NET_PROHIBITED:
    case wire.UNREACH_HOST_PROHIBITED:
    case wire.UNREACH_FILTER_PROHIBITED:
    case 14: // host precedence violation (RFC 1812)
    case 15: // precedence cutoff in effect
      return ErrorKind.PROHIBITED
    default:
      return -1
  }
}
