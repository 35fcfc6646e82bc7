/** Every number of a switch, with where it comes from. Not part of the stack's config: a switch is made without a stack. */
import { invalidArgument } from './errors.ts'

/** A switch: its table of addresses, ageing, limits. */
export interface SwitchConfig {
  /** A learned address is forgotten after this time without a frame from it. IEEE 802.1D-2004 table 7-5: 300 s. */
  ageingMs: number
  /** Addresses learned in all; what comes beyond is flooded. Linux has no limit, small switches of the trade 8192. */
  maxAddresses: number
  /** Ports that one switch may have: the port number of a BPDU has 12 bits (IEEE 802.1D-2004 section 9.2.7). */
  maxPorts: number
  /** Frames taken from one port in one turn. */
  receiveBudget: number
  /** Of ports that are made in memory: largest IP packet, and what may wait in each direction. */
  mtu: number
  queueFrames: number
  queueBytes: number
  /**
   * Frames a second that one port may have flooded, by kind (storm control); 0: no limit. A tenth of it may come at once. No standard has values: these
   * let pass what hosts say and keep a loop without spanning tree from taking the machine.
   */
  broadcastPerSecond: number
  multicastPerSecond: number
  unknownPerSecond: number
  /**
   * How much of a second a rate limit lets pass at once: 250 ms, and never less than one super-frame. What is dropped behind a burst is most often the tail
   * of a window, after which TCP is silent for its time-out of 200 ms or more: with a burst of 50 ms it comes to a quarter of the rate (measured).
   */
  burstMs: number
  /** Snooping: how long a report makes a port a member. RFC 3376 section 8.4, RFC 3810 section 9.4: 260 s. */
  membershipMs: number
  /** How long a query makes a port one with a router, and snooping effective. RFC 3376 section 8.5, RFC 3810 section 9.5: 255 s. */
  querierPresentMs: number
  /** How long a port stays a member after a leave: Last Member Query Time, RFC 3376 section 8.8: 2 queries, 1 s apart. */
  lastMemberMs: number
  /** Groups remembered, over all VLANs; beyond them everything is flooded. Linux br_multicast_hash_max: 4096. */
  maxGroups: number
  /** Between two looks for what is out of date. */
  sweepMs: number
}

export function switchDefaults(): SwitchConfig {
  return {
    ageingMs: 300_000,
    maxAddresses: 8192,
    maxPorts: 1024,
    receiveBudget: 64,
    mtu: 1500,
    queueFrames: 1024,
    queueBytes: 4 << 20,
    broadcastPerSecond: 10_000,
    multicastPerSecond: 100_000,
    unknownPerSecond: 100_000,
    burstMs: 250,
    membershipMs: 260_000,
    querierPresentMs: 255_000,
    lastMemberMs: 2_000,
    maxGroups: 4096,
    sweepMs: 10_000,
  }
}

/** Times and sizes of the spanning tree, in the seconds that IEEE 802.1D-2004 table 17-1 has them in. */
export const TREE = {
  helloTime: 2,
  maxAge: 20,
  forwardDelay: 15,
  migrateTime: 3,
  txHoldCount: 6,
  bridgePriority: 32768,
  portPriority: 128,
  /** Path cost of a gigabit link (table 17-3). */
  pathCost: 20_000,
  tickMs: 1000,
} as const

/** Defaults with overrides applied. Throws ERR_INVALID_ARG_VALUE for names and values that cannot be. */
export function configureSwitch(overrides: Partial<SwitchConfig>): SwitchConfig {
  const config = switchDefaults()
  for (const [name, value] of Object.entries(overrides)) {
    if (value === undefined) continue
    if (!(name in config)) throw invalidArgument(`unknown option ${name} of a switch`)
    if (!(typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fff_ffff))
      throw invalidArgument(`option ${name} of a switch is out of range: ${value}`)
    config[name as keyof SwitchConfig] = value
  }
  if (config.maxPorts > 4095) throw invalidArgument(`option maxPorts of a switch: at most 4095, not ${config.maxPorts}`)
  if (config.maxAddresses < 1 || config.maxAddresses > 1 << 20)
    throw invalidArgument(`option maxAddresses of a switch: from 1 to ${1 << 20}, not ${config.maxAddresses}`)
  if (config.receiveBudget < 1) throw invalidArgument('option receiveBudget of a switch: at least 1')
  return config
}
