/** What a DNS server counts. */
import { indexOf } from '../../base/counters.ts'

export const SERVER_NAMES = [
  /** Questions by transport, and answers that left. */
  'udpQueries',
  'tcpQueries',
  'answers',
  /** Answers by rcode. */
  'noError',
  'formErr',
  'servFail',
  'nxDomain',
  'notImp',
  'refused',
  'badVers',
  'otherRcode',
  /** Answers that had to be cut (TC). */
  'truncated',
  /** Answered from our zones, from hosts and names made of addresses, from zones that are never anybody's (RFC 6303), by asking other servers. */
  'fromZones',
  'fromHosts',
  'fromLocalZones',
  'forwarded',
  'transfers',
  /** Cookies that were right, and those that were not (RFC 7873). */
  'cookiesGood',
  'cookiesBad',
  /** What was no question: too short, an answer, from port 0, to many. */
  'dropShort',
  'dropResponse',
  'dropPortZero',
  'dropToMany',
  /** Not answered, or with an empty answer (TC), for its asker may not be where he says and asks too often. */
  'dropRate',
  'slipped',
  /** Refused: he may not ask, asks others too often through us; answers that lead into private networks. */
  'refusedAccess',
  'refusedRate',
  'refusedRebind',
  /** Failed: too many questions wait. */
  'tooMany',
  /** The link was full, or there was no way back. */
  'dropOut',
  'connections',
  'refusedConnections',
  'idleConnections',
  /** Host names of leases that are no names, are static ones, or are another client's. */
  'leaseNamesRefused',
] as const

export const SN = indexOf(SERVER_NAMES)
