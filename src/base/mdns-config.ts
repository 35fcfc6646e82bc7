/** The configuration of multicast DNS (config.ts). */
import { invalidArgument } from './errors.ts'

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

/** Deadlines are milliseconds that wrap after 24 days. */
const MOST_SECONDS = 604_800

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyMdns(config: MdnsConfig): void {
  const within = (name: keyof MdnsConfig, low: number, high: number): void => {
    const n = config[name] as number
    if (!(n >= low && n <= high)) throw invalidArgument(`option mdns.${name}: ${n} is not between ${low} and ${high}`)
  }
  within('probes', 0, 100)
  within('announcements', 1, 8)
  within('hostTtlSeconds', 1, MOST_SECONDS)
  within('otherTtlSeconds', 1, MOST_SECONDS)
  within('cacheMaxSeconds', 1, MOST_SECONDS)
  within('delayMinMs', 0, config.delayMaxMs)
  within('truncatedMinMs', 0, config.truncatedMaxMs)
  within('questionIntervalMs', 1, config.questionIntervalMaxMs)
  within('questionIntervalMaxMs', 1, MOST_SECONDS * 1000)
  within('maxConflicts', 1, 1000)
  within('cacheEntries', 0, 1_000_000)
}
