/** The configuration of what routers are told of multicast groups (config.ts): IGMP and MLD, which have the same times from the same RFCs. */
import { invalidArgument } from './errors.ts'

/** What routers are told of groups: IGMP and MLD, versions and times. */
export interface MulticastConfig {
  /** The newest version spoken: 3, 2 or 1 (RFC 3376, RFC 2236, RFC 1112). Linux force_igmp_version. */
  igmpVersion: number
  /** 2 or 1 (RFC 3810, RFC 2710). Linux force_mld_version. */
  mldVersion: number
  /** Robustness Variable until a querier says another: times that a change is told. RFC 3376 section 8.1, RFC 3810 section 9.1. */
  robustness: number
  /** Query Interval until a querier says another. RFC 3376 section 8.2, RFC 3810 section 9.2. */
  queryIntervalMs: number
  /** Unsolicited Report Interval: a change is told again within this time. RFC 3376 section 8.11, RFC 3810 section 9.11. */
  unsolicitedReportMs: number
  /** The same in older versions. RFC 2236 section 8.10, RFC 2710 section 7.10. */
  unsolicitedReportOldMs: number
  /** Answers to queries about all groups are so far apart: a flood of queries does not become one of reports. */
  reportGapMs: number
  /** Sources of pending queries that are remembered per group; beyond, all are answered for. Linux answers for all at once then, too. */
  maxAskedSources: number
}

export function multicastDefaults(): MulticastConfig {
  return {
    igmpVersion: 3,
    mldVersion: 2,
    robustness: 2,
    queryIntervalMs: 125_000,
    unsolicitedReportMs: 1_000,
    unsolicitedReportOldMs: 10_000,
    reportGapMs: 50,
    maxAskedSources: 64,
  }
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyMulticast({ igmpVersion, mldVersion, robustness }: MulticastConfig): void {
  const inside = (value: number, low: number, high: number, what: string): void => {
    if (value < low) throw invalidArgument(`option ${what}: ${low} is above ${value}`)
    if (value > high) throw invalidArgument(`option ${what}: ${value} is above ${high}`)
  }
  inside(igmpVersion, 1, 3, 'multicast.igmpVersion')
  inside(mldVersion, 1, 2, 'multicast.mldVersion')
  inside(robustness, 1, 0x7fffffff, 'multicast.robustness')
}
