/** Counters of UDP: names of RFC 4113 and Linux's Udp MIB, then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  'udpInDatagrams',
  'udpNoPorts',
  'udpInErrors',
  'udpOutDatagrams',
  'udpRcvbufErrors',
  'udpInCsumErrors',
  'udpIgnoredMulti',
  // why a datagram or an error was dropped
  'udpDropTooShort',
  'udpDropBadLength',
  'udpDropNoChecksum',
  'udpErrorsNoSocket',
  'udpErrorsIgnored',
  'udpOutBlocked',
] as const

export const C = indexOf(NAMES)
