/** What multicast DNS counts. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  /** Messages, by direction and kind. */
  'inQueries',
  'inResponses',
  'outQueries',
  'outResponses',
  'outUnicast',
  'outProbes',
  'outAnnouncements',
  'outGoodbyes',
  /** What could not be sent: no way, or a full link. */
  'outErrors',
  /** Our own, come back; not for this protocol (opcode, code, port of an answer); from beyond the link (section 11); malformed; too long. */
  'dropOwn',
  'dropIgnored',
  'dropOffLink',
  'dropBad',
  'dropTooLong',
  /** Answers left out: the asker knows them (7.1), somebody else gave them (7.4), too many are waiting. */
  'knownAnswers',
  'duplicateAnswers',
  'dropReplies',
  /** Questions of ours that somebody else put (7.3). */
  'duplicateQuestions',
  /** Names of ours that were somebody else's; tie-breaks that were lost; records of ours that others let go of. */
  'conflicts',
  'tieBreaksLost',
  'rescued',
  /** Records that there was no room for, in place of which others went, that were over. */
  'cacheFull',
  'cacheEvicted',
  'cacheExpired',
  'cacheFlushed',
  'goodbyes',
  /** Links on which we could not listen. */
  'linkErrors',
] as const

export const C = indexOf(NAMES)
