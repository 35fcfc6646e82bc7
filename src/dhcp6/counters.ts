/** Counters of a DHCPv6 client: no MIB has them; names are the messages', then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const CLIENT6_NAMES = [
  'outSolicits',
  'outRequests',
  'outConfirms',
  'outRenews',
  'outRebinds',
  'outReleases',
  'outDeclines',
  'outInformationRequests',
  'inAdvertises',
  'inReplies',
  'bound',
  'renewed',
  'informed',
  'expired',
  // why an answer was not believed
  'dropMalformed',
  'dropReconfigure',
  'dropUnexpected',
  'dropOtherClient',
  'dropNoServer',
  'dropOtherServer',
  'dropNothingOffered',
  'dropStatus',
  // what of an answer was not believed
  'badAddress',
  'badPrefix',
  'badTimes',
  'tooMany',
  // why a message was not sent
  'outRateLimited',
  'outBlocked',
  // a network of a delegated prefix that could not be used where it was to be
  'delegationFailed',
] as const
export const C6 = indexOf(CLIENT6_NAMES)
