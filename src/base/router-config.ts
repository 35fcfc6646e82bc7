/** The part of the configuration (config.ts, section `nd`) for router discovery and address autoconfiguration. */

export interface RouterConfig {
  /** Before the first router solicitation a random time up to this. MAX_RTR_SOLICITATION_DELAY, RFC 4861 section 10. */
  routerSolicitDelayMs: number
  /** The first wait for an answer, and the longest: they double (RFC 7559). RTR_SOLICITATION_INTERVAL; Linux router_solicitation_max_interval. */
  routerSolicitMs: number
  routerSolicitMaxMs: number
  /** `ready` of an interface with `slaac` waits this long for routers: three solicitations (4 + 8 s between them) and then some. */
  slaacTimeoutMs: number
  /** Addresses made of prefixes: stable and opaque (RFC 7217, as RFC 8064 recommends), or of the MAC address. Linux addr_gen_mode 3 or 2, and 0. */
  identifiers: 'stable' | 'eui64'
  /** Temporary addresses beside stable ones, and preferred to them. RFC 8981; Linux use_tempaddr 0, 2. */
  temporaryAddresses: 'off' | 'prefer'
  /** TEMP_PREFERRED_LIFETIME and TEMP_VALID_LIFETIME. RFC 8981 section 3.8. */
  temporaryPreferredSeconds: number
  temporaryValidSeconds: number
  /** Addresses of prefixes, per interface. Linux max_addresses. */
  maxAddresses: number
  /** Routers, and routes by them besides default routes, per interface. RFC 4861 section 6.3.4 wants at least two. */
  maxRouters: number
  maxRouterRoutes: number
  /** Prefixes on the link, per interface. */
  maxPrefixes: number
  /** DNS servers and search domains, per interface. RFC 8106 section 5.3.1: three should do. */
  maxNameservers: number
  maxSearchDomains: number
  /** A router that went silent is asked so often whether it is back while another is used in its place. RFC 4191 section 3.5. */
  routerProbeMs: number
}

export function routerDefaults(): RouterConfig {
  return {
    routerSolicitDelayMs: 1_000,
    routerSolicitMs: 4_000,
    routerSolicitMaxMs: 3_600_000,
    slaacTimeoutMs: 20_000,
    identifiers: 'stable',
    temporaryAddresses: 'off',
    temporaryPreferredSeconds: 86_400,
    temporaryValidSeconds: 172_800,
    maxAddresses: 16,
    maxRouters: 16,
    maxRouterRoutes: 64,
    maxPrefixes: 16,
    maxNameservers: 8,
    maxSearchDomains: 16,
    routerProbeMs: 60_000,
  }
}
