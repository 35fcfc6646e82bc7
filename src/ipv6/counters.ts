/** Counters of IPv6: names of RFC 4293 (ipSystemStats) as Linux spells them in /proc/net/snmp6, then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  'ip6InReceives',
  'ip6InOctets',
  'ip6InHdrErrors',
  'ip6InTooBigErrors',
  'ip6InNoRoutes',
  'ip6InAddrErrors',
  'ip6InUnknownProtos',
  'ip6InTruncatedPkts',
  'ip6InDiscards',
  'ip6InDelivers',
  'ip6InMcastPkts',
  'ip6OutForwDatagrams',
  'ip6OutRequests',
  'ip6OutOctets',
  'ip6OutDiscards',
  'ip6OutBlocked',
  'ip6OutMcastPkts',
  // why a packet that came in was dropped
  'ip6DropVersion',
  'ip6DropBadSource',
  'ip6DropOwnSource',
  'ip6DropBadDestination',
  'ip6DropNotForUs',
  'ip6DropUnknownGroup',
  'ip6DropLinkBroadcast',
  // why a packet was not sent
  'ip6OutDropNoInterface',
  'ip6OutDropTooBig',
  'ip6OutDropGso',
] as const

export const C = indexOf(NAMES)
