/** Counters of ICMP: names of RFC 2011/4293 (icmp group), then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  'icmpInMsgs',
  'icmpInErrors',
  'icmpInCsumErrors',
  'icmpInDestUnreachs',
  'icmpInTimeExcds',
  'icmpInParmProbs',
  'icmpInSrcQuenchs',
  'icmpInRedirects',
  'icmpInEchos',
  'icmpInEchoReps',
  'icmpInTimestamps',
  'icmpInTimestampReps',
  'icmpOutMsgs',
  'icmpOutDestUnreachs',
  'icmpOutTimeExcds',
  'icmpOutParmProbs',
  'icmpOutRedirects',
  'icmpOutEchos',
  'icmpOutEchoReps',
  'icmpOutTimestampReps',
  // why a message that came in was dropped
  'icmpDropTooShort',
  'icmpDropUnknownType',
  'icmpDropBroadcastEcho',
  'icmpDropNoPing',
  'icmpDropSourceQuench',
  'icmpDropQuote',
  'icmpDropNotOurs',
  'icmpDropUnknownCode',
  'icmpDropRedirect',
  // why a message was not sent
  'icmpOutDropNever',
  'icmpOutDropRateGlobal',
  'icmpOutDropRateHost',
  'icmpOutDropNoRoute',
  'icmpOutDropBlocked',
] as const

export const C = indexOf(NAMES)
