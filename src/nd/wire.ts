/** Neighbor Discovery messages and their options (RFC 4861 section 4): what follows the IPv6 header, with ICMPv6's own four bytes. */
import { blob, offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

export const ndRouterSolicitation = struct([u8('type'), u8('code'), u16be('checksum'), u32be('reserved')])
export const ND_RS_LENGTH = ndRouterSolicitation.span

export const ndRouterAdvertisement = struct([
  u8('type'),
  u8('code'),
  u16be('checksum'),
  u8('hopLimit'),
  u8('flags'),
  u16be('lifetime'),
  u32be('reachableTime'),
  u32be('retransTimer'),
])
export const ND_RA = offsetsOf(ndRouterAdvertisement, [
  'code',
  'hopLimit',
  'flags',
  'lifetime',
  'reachableTime',
  'retransTimer',
] as const)
export const ND_RA_LENGTH = ndRouterAdvertisement.span
/** Flags of a router advertisement; the preference is RFC 4191's. */
export const RA_MANAGED = 0x80
export const RA_OTHER = 0x40
export const RA_PREFERENCE_SHIFT = 3

/** Neighbor solicitations, and advertisements, which have flags where the others have nothing. */
export const ndNeighbor = struct([u8('type'), u8('code'), u16be('checksum'), u32be('flags'), blob(16, 'target')])
export const ND_NEIGHBOR = offsetsOf(ndNeighbor, ['code', 'flags', 'target'] as const)
export const ND_NEIGHBOR_LENGTH = ndNeighbor.span
/** Flags of a neighbor advertisement, as they stand in the first byte of the word. */
export const NA_ROUTER = 0x80
export const NA_SOLICITED = 0x40
export const NA_OVERRIDE = 0x20

export const ndRedirect = struct([
  u8('type'),
  u8('code'),
  u16be('checksum'),
  u32be('reserved'),
  blob(16, 'target'),
  blob(16, 'destination'),
])
export const ND_REDIRECT_AT = offsetsOf(ndRedirect, ['code', 'target', 'destination'] as const)
export const ND_REDIRECT_LENGTH = ndRedirect.span

/** Every option: its type, and its length in units of 8 bytes. */
export const ndOption = struct([u8('type'), u8('length')])
export const ND_OPTION = offsetsOf(ndOption, ['type', 'length'] as const)
export const OPTION_SOURCE_LINK = 1
export const OPTION_TARGET_LINK = 2
export const OPTION_PREFIX = 3
export const OPTION_REDIRECTED = 4
export const OPTION_MTU = 5
/** RFC 3971 section 5.3.2, used by RFC 7527. */
export const OPTION_NONCE = 14
/** RFC 4191 section 2.3. */
export const OPTION_ROUTE = 24
/** RFC 8106 section 5. */
export const OPTION_RDNSS = 25
export const OPTION_DNSSL = 31

/** A link-layer address of Ethernet (RFC 2464 section 6), or a nonce of the least length. */
export const ndLinkAddress = struct([u8('type'), u8('length'), blob(6, 'address')])
export const ND_LINK_ADDRESS = offsetsOf(ndLinkAddress, ['address'] as const)
export const ND_LINK_ADDRESS_LENGTH = ndLinkAddress.span

export const ndPrefix = struct([
  u8('type'),
  u8('length'),
  u8('prefixLength'),
  u8('flags'),
  u32be('validLifetime'),
  u32be('preferredLifetime'),
  u32be('reserved'),
  blob(16, 'prefix'),
])
export const ND_PREFIX = offsetsOf(ndPrefix, ['prefixLength', 'flags', 'validLifetime', 'preferredLifetime', 'prefix'] as const)
export const ND_PREFIX_LENGTH = ndPrefix.span
export const PREFIX_ON_LINK = 0x80
export const PREFIX_AUTONOMOUS = 0x40

export const ndMtu = struct([u8('type'), u8('length'), u16be('reserved'), u32be('mtu')])
export const ND_MTU = offsetsOf(ndMtu, ['mtu'] as const)
export const ND_MTU_LENGTH = ndMtu.span

/** The packet that was redirected follows. */
export const ndRedirected = struct([u8('type'), u8('length'), blob(6, 'reserved')])
export const ND_REDIRECTED_LENGTH = ndRedirected.span

/** As much of a prefix follows as the length says: none, 8 or 16 bytes. */
export const ndRoute = struct([u8('type'), u8('length'), u8('prefixLength'), u8('flags'), u32be('lifetime')])
export const ND_ROUTE = offsetsOf(ndRoute, ['prefixLength', 'flags', 'lifetime'] as const)
export const ND_ROUTE_LENGTH = ndRoute.span

/** RDNSS and DNSSL begin alike; addresses, or names as DNS writes them, follow. */
export const ndDns = struct([u8('type'), u8('length'), u16be('reserved'), u32be('lifetime')])
export const ND_DNS = offsetsOf(ndDns, ['lifetime'] as const)
export const ND_DNS_LENGTH = ndDns.span
