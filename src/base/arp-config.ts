/** The parts of the configuration (config.ts) for ARP, and for neighbours of either family. */

/** What neighbours of either family need; ARP and Neighbor Discovery have it each. */
export interface NeighborTimes {
  /** Base of ReachableTime; the real value is drawn from 0.5..1.5 of it. RFC 4861 section 10. */
  reachableTimeMs: number
  /** DELAY_FIRST_PROBE_TIME. RFC 4861 section 10. */
  delayFirstProbeMs: number
  /** RetransTimer. RFC 4861 section 10. */
  retransTimerMs: number
  /** MAX_MULTICAST_SOLICIT (for ARP these are broadcasts). RFC 4861 section 10. */
  maxBroadcastSolicit: number
  /** MAX_UNICAST_SOLICIT. RFC 4861 section 10. */
  maxUnicastSolicit: number
  /** How long a failed resolution is remembered, doubling up to the maximum: no ARP flood for a dead peer (RFC 1122 2.3.2.1). */
  failedHoldMs: number
  failedHoldMaxMs: number
  /** Entries kept per interface; the least recently used that is not permanent goes first. Linux gc_thresh3. */
  maxEntries: number
  /** Packets and bytes queued per unresolved neighbour (Linux unres_qlen_bytes 212992). */
  maxQueuedPackets: number
  maxQueuedBytes: number
  /** Unused STALE entries are forgotten after this. Linux gc_stale_time. */
  staleTimeMs: number
}

/** ARP and IPv4 conflict detection: times, rates and sizes, with their units in their names. */
export interface ArpConfig extends NeighborTimes {
  /** ARP replies per second and interface: a flood of requests does not become one of replies. */
  repliesPerSecond: number
  /** RFC 5227 probe before an address is used. */
  probe: boolean
  /** RFC 5227 section 1.1: PROBE_WAIT, PROBE_NUM, PROBE_MIN, PROBE_MAX, ANNOUNCE_WAIT, ANNOUNCE_NUM, ANNOUNCE_INTERVAL, ... */
  probeWaitMs: number
  probeNum: number
  probeMinMs: number
  probeMaxMs: number
  announceWaitMs: number
  announceNum: number
  announceIntervalMs: number
  maxConflicts: number
  rateLimitIntervalMs: number
  defendIntervalMs: number
}

export function neighborDefaults(): NeighborTimes {
  return {
    reachableTimeMs: 30_000,
    delayFirstProbeMs: 5_000,
    retransTimerMs: 1_000,
    maxBroadcastSolicit: 3,
    maxUnicastSolicit: 3,
    failedHoldMs: 1_000,
    failedHoldMaxMs: 20_000,
    maxEntries: 1024,
    maxQueuedPackets: 64,
    maxQueuedBytes: 212_992,
    staleTimeMs: 60_000,
  }
}

export function arpDefaults(): ArpConfig {
  return {
    ...neighborDefaults(),
    repliesPerSecond: 1_000,
    probe: false,
    probeWaitMs: 1_000,
    probeNum: 3,
    probeMinMs: 1_000,
    probeMaxMs: 2_000,
    announceWaitMs: 2_000,
    announceNum: 2,
    announceIntervalMs: 2_000,
    maxConflicts: 10,
    rateLimitIntervalMs: 60_000,
    defendIntervalMs: 10_000,
  }
}
