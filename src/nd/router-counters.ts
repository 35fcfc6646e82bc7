/** What is counted of routers: what they say, what we say as one, and everything that is not believed. */
import { indexOf } from '../base/counters.ts'

export const ROUTER_COUNTERS = [
  'inRouterSolicits',
  'inRouterAdvertisements',
  'outRouterSolicits',
  'outRouterAdvertisements',
  /** Advertisements: not from a router's link-local address; our own; on an interface that does not want any. */
  'dropAdvertisementSource',
  'dropOwnAdvertisement',
  'dropAdvertisementUnwanted',
  /** Solicitations: from nobody, with a link address; on an interface that does not advertise. */
  'dropSolicitationSource',
  'dropSolicitationUnwanted',
  /** Values that cannot be. */
  'dropMtu',
  'dropTimes',
  'dropPrefix',
  'dropPrefixLifetimes',
  'dropPrefixLength',
  'dropRoute',
  'dropRoutePreference',
  'dropNameserver',
  'dropSearchDomain',
  /** More than there is room for. */
  'dropRouterLimit',
  'dropRouteLimit',
  'dropPrefixLimit',
  'dropAddressLimit',
  'dropNameserverLimit',
  'dropSearchDomainLimit',
  /** A lifetime that was not shortened by as much as was said (RFC 4862 section 5.5.3 e). */
  'twoHourRule',
  /** Routers that stopped answering, and said that they are none any more. */
  'routersSilent',
  'routersBecameHost',
  'routerProbes',
  /** Addresses that were another host's. */
  'addressesLost',
  'temporaryAddresses',
  /** Another router says otherwise than we do (RFC 4861 section 6.2.7). */
  'inconsistentAdvertisements',
  'dropLinkFull',
] as const

/** Their indices. */
export const RC = indexOf(ROUTER_COUNTERS)
