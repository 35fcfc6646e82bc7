/** The TCP header and its options (RFC 9293 section 3.1; RFC 7323; RFC 2018). */
import { offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

export const tcpHeader = struct([
  u16be('sourcePort'),
  u16be('destinationPort'),
  u32be('sequence'),
  u32be('acknowledgment'),
  u8('dataOffset'),
  u8('flags'),
  u16be('window'),
  u16be('checksum'),
  u16be('urgent'),
])
export const TCP = offsetsOf(tcpHeader, [
  'sourcePort',
  'destinationPort',
  'sequence',
  'acknowledgment',
  'dataOffset',
  'flags',
  'window',
  'checksum',
  'urgent',
] as const)
export const TCP_HEADER = tcpHeader.span

export const FIN = 0x01
export const SYN = 0x02
export const RST = 0x04
export const PSH = 0x08
export const ACK = 0x10
export const URG = 0x20
export const ECE = 0x40
export const CWR = 0x80
/** Lowest bit of what was reserved, before the other flags in the header (RFC 9768 section 2.2): flags are nine bits. */
export const AE = 0x100

export const OPT_END = 0
export const OPT_NOP = 1
export const OPT_MSS = 2
export const OPT_WINDOW_SCALE = 3
export const OPT_SACK_PERMITTED = 4
export const OPT_SACK = 5
export const OPT_TIMESTAMPS = 8
/** RFC 2385, RFC 5925. */
export const OPT_MD5 = 19
export const OPT_AO = 29
/** RFC 7413. */
export const OPT_FAST_OPEN = 34
/** Shared by experiments, told apart by a magic number (RFC 6994). */
export const OPT_EXPERIMENTAL = 254
export const OPT_FAST_OPEN_MAGIC = 0xf989
/** RFC 9768 section 3.2.3: the byte counters EE0B, ECEB, EE1B, and the same in reverse. */
export const OPT_ACCECN0 = 172
export const OPT_ACCECN1 = 174

export const OPT_MSS_LENGTH = 4
export const OPT_WINDOW_SCALE_LENGTH = 3
export const OPT_SACK_PERMITTED_LENGTH = 2
export const OPT_TIMESTAMPS_LENGTH = 10
export const OPT_MD5_LENGTH = 18
/** RFC 5925 section 2.2: kind, length, KeyID, RNextKeyID; the MAC follows. */
export const OPT_AO_LEAST_LENGTH = 4
/** Without the cookie. */
export const OPT_FAST_OPEN_LENGTH = 2
export const OPT_EXPERIMENTAL_FAST_OPEN_LENGTH = 4
/** Bytes of a Fast Open cookie (RFC 7413 section 4.1.1). */
export const COOKIE_MIN = 4
export const COOKIE_MAX = 16
/** Each of up to three counters. */
export const ACCECN_COUNTER = 3
/** Timestamps with two NOPs before, as everybody sends them: 12 bytes, aligned (RFC 7323 appendix A). */
export const TIMESTAMPS_SPACE = 12
/** The word that such options begin with: NOP NOP kind length. */
export const ALIGNED_TIMESTAMPS = (OPT_NOP << 24) | (OPT_NOP << 16) | (OPT_TIMESTAMPS << 8) | OPT_TIMESTAMPS_LENGTH

/** Most bytes of options in a header: its length is counted in four bits, in words. */
export const OPTION_SPACE = 40

/** RFC 9293 MUST-15: no MSS option seen. */
export const DEFAULT_MSS_V4 = 536
export const DEFAULT_MSS_V6 = 1220
/** A smaller one is not believed: it is an attack on our CPU (CVE-2019-11479). Linux TCP_MIN_MSS. */
export const MIN_MSS = 88
/** RFC 7323 section 2.3. */
export const MAX_WINDOW_SCALE = 14
