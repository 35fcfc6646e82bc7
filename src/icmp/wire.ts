/** ICMP for IPv4 (RFC 792, RFC 1122, RFC 1191). */
import { offsetsOf, struct, u8, u16be } from '../base/layout.ts'

/** Echo and echo reply; errors use the same first four bytes, then four unused bytes (or the next-hop MTU), then the quote. */
export const icmpEcho = struct([u8('type'), u8('code'), u16be('checksum'), u16be('identifier'), u16be('sequence')])
export const icmpError = struct([u8('type'), u8('code'), u16be('checksum'), u16be('unused'), u16be('mtu')])
export const ICMP = offsetsOf(icmpEcho, ['type', 'code', 'checksum', 'identifier', 'sequence'] as const)
/** Byte 4 is also the pointer of a parameter problem. */
export const ICMP_POINTER = ICMP.identifier
export const ICMP_MTU = offsetsOf(icmpError, ['mtu'] as const).mtu
export const ICMP_HEADER = icmpEcho.span

export const ICMP_ECHO_REPLY = 0
export const ICMP_UNREACHABLE = 3
export const ICMP_SOURCE_QUENCH = 4
export const ICMP_REDIRECT = 5
export const ICMP_ECHO = 8
export const ICMP_TIME_EXCEEDED = 11
export const ICMP_PARAMETER_PROBLEM = 12
export const ICMP_TIMESTAMP = 13
export const ICMP_TIMESTAMP_REPLY = 14

export const UNREACH_NET = 0
export const UNREACH_HOST = 1
export const UNREACH_PROTOCOL = 2
export const UNREACH_PORT = 3
export const UNREACH_NEEDFRAG = 4
export const UNREACH_SRCFAIL = 5
export const UNREACH_NET_UNKNOWN = 6
export const UNREACH_HOST_UNKNOWN = 7
export const UNREACH_ISOLATED = 8
export const UNREACH_NET_PROHIBITED = 9
export const UNREACH_HOST_PROHIBITED = 10
export const UNREACH_TOS_NET = 11
export const UNREACH_TOS_HOST = 12
export const UNREACH_FILTER_PROHIBITED = 13

/** Code of a redirect for one host (RFC 792). */
export const REDIRECT_HOST = 1
