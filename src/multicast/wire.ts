/** IGMP (RFC 3376 section 4, RFC 2236 section 2, RFC 1112 appendix I) and MLD messages (RFC 3810 section 5, RFC 2710 section 3). */
import { blob, offsetsOf, struct, u8, u16be, u32be } from '../base/layout.ts'

/** Versions 1 and 2 end here; byte 1 is unused in version 1. */
export const igmpHeader = struct([u8('type'), u8('maxResponse'), u16be('checksum'), u32be('group')])
/** A query of version 3: sources of 4 bytes follow. */
export const igmpQuery = struct([
  u8('type'),
  u8('maxResponse'),
  u16be('checksum'),
  u32be('group'),
  u8('flags'),
  u8('interval'),
  u16be('count'),
])
/** A report of version 3: so many records follow. */
export const igmpReport = struct([u8('type'), u8('reserved'), u16be('checksum'), u16be('reserved2'), u16be('count')])
/** One group: sources of 4 bytes and auxiliary data (in words; none is defined) follow. */
export const igmpRecord = struct([u8('type'), u8('auxiliary'), u16be('count'), u32be('group')])

export const IGMP = offsetsOf(igmpQuery, ['type', 'maxResponse', 'checksum', 'group', 'flags', 'interval', 'count'] as const)
export const IGMP_HEADER = igmpHeader.span
export const IGMP_QUERY_HEADER = igmpQuery.span
export const IGMP_REPORT = offsetsOf(igmpReport, ['type', 'checksum', 'count'] as const)
export const IGMP_REPORT_HEADER = igmpReport.span
export const IGMP_RECORD = offsetsOf(igmpRecord, ['type', 'auxiliary', 'count', 'group'] as const)
export const IGMP_RECORD_HEADER = igmpRecord.span

export const IGMP_QUERY = 0x11
export const IGMP_REPORT_V1 = 0x12
export const IGMP_REPORT_V2 = 0x16
export const IGMP_LEAVE = 0x17
export const IGMP_REPORT_V3 = 0x22

/** Version 1 ends here. */
export const mldHeader = struct([
  u8('type'),
  u8('code'),
  u16be('checksum'),
  u16be('maxResponse'),
  u16be('reserved'),
  blob(16, 'group'),
])
/** A query of version 2: sources of 16 bytes follow. */
export const mldQuery = struct([
  u8('type'),
  u8('code'),
  u16be('checksum'),
  u16be('maxResponse'),
  u16be('reserved'),
  blob(16, 'group'),
  u8('flags'),
  u8('interval'),
  u16be('count'),
])
export const mldReport = struct([u8('type'), u8('code'), u16be('checksum'), u16be('reserved'), u16be('count')])
export const mldRecord = struct([u8('type'), u8('auxiliary'), u16be('count'), blob(16, 'group')])

export const MLD = offsetsOf(mldQuery, [
  'type',
  'code',
  'maxResponse',
  'reserved',
  'group',
  'flags',
  'interval',
  'count',
] as const)
export const MLD_HEADER = mldHeader.span
export const MLD_QUERY_HEADER = mldQuery.span
export const MLD_REPORT = offsetsOf(mldReport, ['type', 'code', 'reserved', 'count'] as const)
export const MLD_REPORT_HEADER = mldReport.span
export const MLD_RECORD = offsetsOf(mldRecord, ['type', 'auxiliary', 'count', 'group'] as const)
export const MLD_RECORD_HEADER = mldRecord.span

/** Kinds of group records, the same in both (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12). */
export const RecordType = {
  MODE_IS_INCLUDE: 1,
  MODE_IS_EXCLUDE: 2,
  CHANGE_TO_INCLUDE: 3,
  CHANGE_TO_EXCLUDE: 4,
  ALLOW_NEW_SOURCES: 5,
  BLOCK_OLD_SOURCES: 6,
} as const

/**
 * A time as a code of `bits` bits: below half of what they can say it is the number itself, else an exponent of three bits and a mantissa
 * (RFC 3376 section 4.1.1: 8 bits; RFC 3810 section 5.1.3: 16 bits).
 */
export function timeOf(code: number, bits: 8 | 16): number {
  const mantissaBits = bits - 4
  if (code >> (bits - 1) === 0) return code
  const mantissa = code & ((1 << mantissaBits) - 1)
  const exponent = (code >> mantissaBits) & 7
  return (mantissa | (1 << mantissaBits)) << (exponent + 3)
}
