/** What the resolver counts. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  /** Questions of applications, and those that the cache, the hosts file and special names answered, and that joined an equal one under way. */
  'questions',
  'cacheHits',
  'ownAnswers',
  'coalesced',
  /** Handed on to multicast DNS. */
  'localQuestions',
  /** Messages to servers, by transport; answers of theirs that were accepted. */
  'udpQueries',
  'tcpQueries',
  'answers',
  /** Questions asked again: without EDNS, over TCP because the answer was cut, or because it did not fit. */
  'ednsFallbacks',
  'truncated',
  'tcpForCase',
  'tcpForMismatches',
  'timeouts',
  /** Servers that said no, or could not be reached; answers of servers that know nothing of the name (not recursive). */
  'failures',
  'unreachable',
  'lame',
  /** What arrived and was dropped: not an answer or another's number, another question, letters in another case. */
  'dropId',
  'dropQuestion',
  'dropCase',
  /** What could not be read, by reason (`BadReason`). */
  'dropBadShort',
  'dropBadPointer',
  'dropBadLabel',
  'dropBadNameLength',
  'dropBadRdata',
  'dropBadOpt',
  'dropBadCounts',
  /** Chains of CNAMEs that were too long, or circles. */
  'chainTooLong',
  'cacheEvicted',
  'cacheExpired',
  /** Questions that failed because too many were waiting. */
  'tooMany',
] as const

export const C = indexOf(NAMES)

/** The counter of each reason. */
export const BAD = {
  short: C.dropBadShort,
  pointer: C.dropBadPointer,
  label: C.dropBadLabel,
  nameLength: C.dropBadNameLength,
  rdata: C.dropBadRdata,
  opt: C.dropBadOpt,
  counts: C.dropBadCounts,
} as const
