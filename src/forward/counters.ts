/** Counters of forwarding, one set for each family: outForwDatagrams and inNoRoutes of RFC 4293, then a reason for every drop. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  'outForwDatagrams',
  'inNoRoutes',
  // what was done on the way
  'copied',
  'segmented',
  'checksummed',
  'redirects',
  // why a packet went no further
  'dropNotRouter',
  'dropMartianSource',
  'dropMartianDestination',
  'dropScope',
  'dropReversePath',
  'dropTtl',
  'dropBroadcast',
  'dropBlackhole',
  'dropUnreachable',
  'dropProhibited',
  'dropFiltered',
  'dropTooBig',
  'dropUnsplittable',
  'dropBlocked',
] as const

export const C = indexOf(NAMES)
