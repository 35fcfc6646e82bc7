/** Counters of IPv4: names of RFC 4293 (ipSystemStats), then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  'ipInReceives',
  'ipInOctets',
  'ipInHdrErrors',
  'ipInAddrErrors',
  'ipInUnknownProtos',
  'ipInTruncatedPkts',
  'ipInDiscards',
  'ipInDelivers',
  'ipInMcastPkts',
  'ipInBcastPkts',
  'ipInForwDatagrams',
  'ipReasmReqds',
  'ipReasmOKs',
  'ipReasmFails',
  'ipReasmTimeout',
  'ipOutRequests',
  'ipOutOctets',
  'ipOutDiscards',
  'ipFragOKs',
  'ipFragFails',
  'ipFragCreates',
  'ipOutBlocked',
  // why a packet that came in was dropped
  'ipDropVersion',
  'ipDropHeaderLength',
  'ipDropTotalLength',
  'ipDropChecksum',
  'ipDropBadSource',
  'ipDropOwnSource',
  'ipDropLinkBroadcast',
  'ipDropNotForUs',
  'ipDropUnknownGroup',
  'ipDropSourceRoute',
  'ipDropBadOptions',
  // why a fragment, or the datagram it belongs to, was dropped
  'ipReasmDropLength',
  'ipReasmDropTooBig',
  'ipReasmDropOverlap',
  'ipReasmDropDuplicate',
  'ipReasmDropEcn',
  'ipReasmDropFragments',
  'ipReasmDropMemory',
  // why a packet was not sent
  'ipOutDropTooBig',
  'ipOutDropGso',
  'ipOutDropNoInterface',
  'ipFragDropPending',
] as const

export const C = indexOf(NAMES)
