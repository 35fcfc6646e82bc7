/** The IPv6 header and the extension headers that come before a transport (RFC 8200 sections 3 and 4). */
import { blob, offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

/** Version (4 bits), traffic class (8) and flow label (20) share the first word. */
export const ipv6Header = struct([
  u32be('versionClassFlow'),
  u16be('payloadLength'),
  u8('nextHeader'),
  u8('hopLimit'),
  blob(16, 'source'),
  blob(16, 'destination'),
])
export const IP6 = offsetsOf(ipv6Header, [
  'versionClassFlow',
  'payloadLength',
  'nextHeader',
  'hopLimit',
  'source',
  'destination',
] as const)
export const IP6_HEADER = ipv6Header.span
export const IP6_ADDRESS = 16
/** What the 16 bits of the payload length can say; jumbograms (RFC 2675) are not taken. */
export const IP6_MAX_PAYLOAD = 65535

/** Hop-by-hop, routing and destination options begin so; the length counts 8-byte units after the first. */
export const ipv6Extension = struct([u8('nextHeader'), u8('length')])
export const IP6_EXT = offsetsOf(ipv6Extension, ['nextHeader', 'length'] as const)

export const ipv6Fragment = struct([u8('nextHeader'), u8('reserved'), u16be('offsetFlags'), u32be('identification')])
export const IP6_FRAG = offsetsOf(ipv6Fragment, ['nextHeader', 'offsetFlags', 'identification'] as const)
export const IP6_FRAGMENT_HEADER = ipv6Fragment.span
export const IP6_MORE_FRAGMENTS = 1
export const IP6_OFFSET_MASK = 0xfff8

/** Next header values (IANA). */
export const NEXT_HOP_BY_HOP = 0
export const NEXT_ROUTING = 43
export const NEXT_FRAGMENT = 44
export const NEXT_ENCRYPTION = 50
export const NEXT_AUTHENTICATION = 51
export const NEXT_NONE = 59
export const NEXT_DESTINATION = 60

/** Every link carries packets of this size whole (RFC 8200 section 5). */
export const IP6_MIN_MTU = 1280
