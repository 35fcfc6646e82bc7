/** Counters of a DHCP client and of a server: no MIB has them; names are the messages', then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const CLIENT_NAMES = [
  'outDiscovers',
  'outRequests',
  'outDeclines',
  'outReleases',
  'outInforms',
  'inOffers',
  'inAcks',
  'inNaks',
  'bound',
  'renewed',
  'expired',
  // why an answer was not believed, or a message not sent
  'dropMalformed',
  'dropOtherClient',
  'dropState',
  'dropNoServer',
  'dropOtherServer',
  'dropBadAddress',
  'dropBadLease',
  'optionsMalformed',
  'outBlocked',
] as const
export const CC = indexOf(CLIENT_NAMES)

export const SERVER_NAMES = [
  'inDiscovers',
  'inRequests',
  'inDeclines',
  'inReleases',
  'inInforms',
  'outOffers',
  'outAcks',
  'outNaks',
  'expired',
  'probes',
  'probeConflicts',
  // why a message was not answered
  'dropMalformed',
  'dropNotRequest',
  'dropUnknownType',
  'dropNoSubnet',
  'dropOtherServer',
  'dropNoAddress',
  'dropUnknownClient',
  'dropNotTheirs',
  'dropNotAsked',
  'dropStore',
  'dropProbing',
  'optionsMalformed',
  'optionsLeftOut',
  'outBlocked',
] as const
export const SC = indexOf(SERVER_NAMES)
