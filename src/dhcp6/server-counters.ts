/** Counters of a DHCPv6 server: no MIB has them; names are the messages', then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const SERVER6_NAMES = [
  'inSolicits',
  'inRequests',
  'inConfirms',
  'inRenews',
  'inRebinds',
  'inReleases',
  'inDeclines',
  'inInformationRequests',
  /** Messages that came through relays; each is one of the above as well. */
  'inRelayForwards',
  'outAdvertises',
  'outReplies',
  'outRelayReplies',
  // what was said of associations
  'noAddrsAvail',
  'noPrefixAvail',
  'noBinding',
  'notOnLink',
  'useMulticast',
  'expired',
  // why a message was not answered
  'dropMalformed',
  'dropUnknownType',
  'dropTooManyRelays',
  'dropNoClientId',
  'dropOtherServer',
  'dropServerId',
  'dropAssociation',
  'dropTooManyAssociations',
  'dropUnicast',
  'dropNoSubnet',
  'dropUnknownClient',
  'dropStore',
  'dropTooLong',
  'outBlocked',
] as const
export const SC6 = indexOf(SERVER6_NAMES)
