/** The configuration of multicast DNS (config.ts). */
import { MOST_MS, MOST_SECONDS, verifyRanges } from './range.ts'

/** Multicast DNS: whether it listens, times and limits. */
export interface MdnsConfig {
  /** The name of this host, with or without `.local`: it is published from the beginning. Empty: not until `stack.mdns.start`. */
  host: string
  /** Names below `.local` are asked for, with or without a name of our own. */
  listen: boolean
  /** Families that are spoken. */
  ipv4: boolean
  ipv6: boolean
  /** Probes for a name, and the time after each; the first waits for a part of it. RFC 6762 section 8.1. */
  probes: number
  probeIntervalMs: number
  /** Who lost a tie-break asks again after this. RFC 6762 section 8.2. */
  deferMs: number
  /** So many conflicts within this time, and each further attempt waits. RFC 6762 section 8.1: 15 in 10 s, 5 s. */
  maxConflicts: number
  conflictWindowMs: number
  conflictPauseMs: number
  /** Announcements of new records, and the time after the first, which doubles. RFC 6762 section 8.3: 2 to 8, 1 s. */
  announcements: number
  announceIntervalMs: number
  /** TTL of records with the host's name, and of all others. RFC 6762 section 10: 120 s, 75 min. */
  hostTtlSeconds: number
  otherTtlSeconds: number
  /** The most that is told to resolvers that know nothing of multicast DNS. RFC 6762 section 6.7. */
  legacyTtlSeconds: number
  /** How long answers that others may give as well wait, and first questions. RFC 6762 sections 5.2 and 6. */
  delayMinMs: number
  delayMaxMs: number
  /** How long more known answers are waited for. RFC 6762 section 7.2. */
  truncatedMinMs: number
  truncatedMaxMs: number
  /** A record is not multicast again before this, and as an answer to a probe. RFC 6762 section 6. */
  gapMs: number
  probeGapMs: number
  /** Time between the first two questions of a series, which doubles, and its most. RFC 6762 section 5.2: 1 s, 60 min. */
  questionIntervalMs: number
  questionIntervalMaxMs: number
  /** A record that was taken back, or flushed, lives on for this long. RFC 6762 sections 10.1 and 10.2. */
  goodbyeMs: number
  /** How long a name is asked for (avahi: 5 s), and an address of its other family once there is one. */
  lookupMs: number
  familyMs: number
  /** Records remembered per link, and the longest that one is. */
  cacheEntries: number
  cacheMaxSeconds: number
  /** Unicast and long questions that are being answered per link; what is beyond is dropped. */
  maxReplies: number
  /** Instances that one browser follows; what is beyond is not told. */
  maxInstances: number
}

export function mdnsDefaults(): MdnsConfig {
  return {
    host: '',
    listen: false,
    ipv4: true,
    ipv6: true,
    probes: 3,
    probeIntervalMs: 250,
    deferMs: 1_000,
    maxConflicts: 15,
    conflictWindowMs: 10_000,
    conflictPauseMs: 5_000,
    announcements: 2,
    announceIntervalMs: 1_000,
    hostTtlSeconds: 120,
    otherTtlSeconds: 4_500,
    legacyTtlSeconds: 10,
    delayMinMs: 20,
    delayMaxMs: 120,
    truncatedMinMs: 400,
    truncatedMaxMs: 500,
    gapMs: 1_000,
    probeGapMs: 250,
    questionIntervalMs: 1_000,
    questionIntervalMaxMs: 3_600_000,
    goodbyeMs: 1_000,
    lookupMs: 5_000,
    familyMs: 300,
    cacheEntries: 4_096,
    cacheMaxSeconds: 86_400,
    maxReplies: 64,
    maxInstances: 1_024,
  }
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyMdns(mdns: MdnsConfig): void {
  verifyRanges('mdns', mdns, {
    probes: [0, 100],
    probeIntervalMs: [0, 60_000],
    deferMs: [0, 60_000],
    maxConflicts: [1, 1000],
    conflictWindowMs: [0, MOST_MS],
    conflictPauseMs: [0, MOST_MS],
    announcements: [1, 8],
    announceIntervalMs: [1, 60_000],
    hostTtlSeconds: [1, MOST_SECONDS],
    otherTtlSeconds: [1, MOST_SECONDS],
    legacyTtlSeconds: [0, MOST_SECONDS],
    delayMinMs: [0, mdns.delayMaxMs],
    delayMaxMs: [0, 60_000],
    truncatedMinMs: [0, mdns.truncatedMaxMs],
    truncatedMaxMs: [0, 60_000],
    gapMs: [0, 60_000],
    probeGapMs: [0, 60_000],
    questionIntervalMs: [1, mdns.questionIntervalMaxMs],
    questionIntervalMaxMs: [1, MOST_MS],
    goodbyeMs: [0, 60_000],
    lookupMs: [1, MOST_MS],
    familyMs: [0, MOST_MS],
    cacheEntries: [0, 1_000_000],
    cacheMaxSeconds: [1, MOST_SECONDS],
    maxReplies: [1, 100_000],
    maxInstances: [1, 1_000_000],
  })
}
