/** Counters of ICMPv6: names of RFC 4293 as Linux spells them in /proc/net/snmp6, then a reason for every drop. */
import { indexOf } from '../base/counters.ts'
import * as wire from './wire.ts'

export const NAMES = [
  'icmp6InMsgs',
  'icmp6InErrors',
  'icmp6InCsumErrors',
  'icmp6InDestUnreachs',
  'icmp6InPktTooBigs',
  'icmp6InTimeExcds',
  'icmp6InParmProblems',
  'icmp6InEchos',
  'icmp6InEchoReplies',
  'icmp6InGroupMembQueries',
  'icmp6InGroupMembResponses',
  'icmp6InGroupMembReductions',
  'icmp6InRouterSolicits',
  'icmp6InRouterAdvertisements',
  'icmp6InNeighborSolicits',
  'icmp6InNeighborAdvertisements',
  'icmp6InRedirects',
  'icmp6InMLDv2Reports',
  'icmp6InOther',
  'icmp6OutMsgs',
  'icmp6OutDestUnreachs',
  'icmp6OutPktTooBigs',
  'icmp6OutTimeExcds',
  'icmp6OutParmProblems',
  'icmp6OutEchos',
  'icmp6OutEchoReplies',
  'icmp6OutRedirects',
  // why a message that came in was dropped
  'icmp6DropTooShort',
  'icmp6DropUnknownType',
  'icmp6DropNoPing',
  'icmp6DropQuote',
  'icmp6DropNotOurs',
  'icmp6DropTooSmall',
  // why a message was not sent
  'icmp6OutDropNever',
  'icmp6OutRateLimitHost',
  'icmp6OutDropRateGlobal',
  'icmp6OutDropNoRoute',
  'icmp6OutDropBlocked',
] as const

export const C = indexOf(NAMES)

/** The counter of each message type that comes in. */
export const IN_BY_TYPE = new Uint8Array(256).fill(C.icmp6InOther)
IN_BY_TYPE[wire.ICMP6_UNREACHABLE] = C.icmp6InDestUnreachs
IN_BY_TYPE[wire.ICMP6_TOO_BIG] = C.icmp6InPktTooBigs
IN_BY_TYPE[wire.ICMP6_TIME_EXCEEDED] = C.icmp6InTimeExcds
IN_BY_TYPE[wire.ICMP6_PARAMETER_PROBLEM] = C.icmp6InParmProblems
IN_BY_TYPE[wire.ICMP6_ECHO] = C.icmp6InEchos
IN_BY_TYPE[wire.ICMP6_ECHO_REPLY] = C.icmp6InEchoReplies
IN_BY_TYPE[wire.MLD_QUERY] = C.icmp6InGroupMembQueries
IN_BY_TYPE[wire.MLD_REPORT_V1] = C.icmp6InGroupMembResponses
IN_BY_TYPE[wire.MLD_DONE_V1] = C.icmp6InGroupMembReductions
IN_BY_TYPE[wire.ND_ROUTER_SOLICITATION] = C.icmp6InRouterSolicits
IN_BY_TYPE[wire.ND_ROUTER_ADVERTISEMENT] = C.icmp6InRouterAdvertisements
IN_BY_TYPE[wire.ND_NEIGHBOR_SOLICITATION] = C.icmp6InNeighborSolicits
IN_BY_TYPE[wire.ND_NEIGHBOR_ADVERTISEMENT] = C.icmp6InNeighborAdvertisements
IN_BY_TYPE[wire.ND_REDIRECT] = C.icmp6InRedirects
IN_BY_TYPE[wire.MLD_REPORT_V2] = C.icmp6InMLDv2Reports
