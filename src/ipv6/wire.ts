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

/** A routing header (RFC 8200 section 4.4) goes on so. */
export const ipv6Routing = struct([u8('nextHeader'), u8('length'), u8('type'), u8('segmentsLeft'), u32be('reserved')])
export const IP6_ROUTING = offsetsOf(ipv6Routing, ['type', 'segmentsLeft'] as const)

/** Options: a type, and but for Pad1 a length of what follows (RFC 8200 section 4.2). */
export const OPT6_LENGTH = 1
export const OPT6_PAD1 = 0
export const OPT6_PADN = 1
export const OPT6_ROUTER_ALERT = 5

/** What a parameter problem is about (RFC 4443 section 3.4, RFC 7112): the codes of ICMPv6 that IPv6 itself needs. */
export const PROBLEM_HEADER = 0
export const PROBLEM_NEXT_HEADER = 1
export const PROBLEM_OPTION = 2
export const PROBLEM_FIRST_FRAGMENT = 3

export const ipv6Fragment = struct([u8('nextHeader'), u8('reserved'), u16be('offsetFlags'), u32be('identification')])
export const IP6_FRAG = offsetsOf(ipv6Fragment, ['nextHeader', 'offsetFlags', 'identification'] as const)
export const IP6_FRAGMENT_HEADER = ipv6Fragment.span
export const IP6_MORE_FRAGMENTS = 1
export const IP6_OFFSET_MASK = 0xfff8

/** Next header values (IANA). */
export const NEXT_HOP_BY_HOP = 0
export const NEXT_ROUTING = 43
export const NEXT_FRAGMENT = 44
export const NEXT_AUTHENTICATION = 51
export const NEXT_NONE = 59
export const NEXT_DESTINATION = 60

/** Every link carries packets of this size whole (RFC 8200 section 5). */
export const IP6_MIN_MTU = 1280
