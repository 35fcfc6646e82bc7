/** The IPv4 header (RFC 791 section 3.1). */
import { offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

export const ipv4Header = struct([
  u8('versionIhl'),
  u8('tos'),
  u16be('totalLength'),
  u16be('identification'),
  u16be('flagsFragment'),
  u8('ttl'),
  u8('protocol'),
  u16be('checksum'),
  u32be('source'),
  u32be('destination'),
])
export const IP4 = offsetsOf(ipv4Header, [
  'versionIhl',
  'tos',
  'totalLength',
  'identification',
  'flagsFragment',
  'ttl',
  'protocol',
  'checksum',
  'source',
  'destination',
] as const)
export const IP4_HEADER = ipv4Header.span
export const IP4_MAX = 65535
export const IP4_DONT_FRAGMENT = 0x4000
export const IP4_MORE_FRAGMENTS = 0x2000
export const IP4_OFFSET_MASK = 0x1fff

/** Option kinds (RFC 791, RFC 2113). */
export const IP4_OPT_END = 0
export const IP4_OPT_NOP = 1
export const IP4_OPT_RECORD_ROUTE = 7
export const IP4_OPT_TIMESTAMP = 68
export const IP4_OPT_LOOSE_SOURCE_ROUTE = 131
export const IP4_OPT_STRICT_SOURCE_ROUTE = 137
export const IP4_OPT_ROUTER_ALERT = 148
