/** The configuration of DHCPv6 (config.ts). Names are those of RFC 8415 section 7.6. */
import { MOST_MS, verifyRanges } from './range.ts'

/** The client and server of DHCPv6: times and limits. */
export interface Dhcp6Config {
  /** A client waits a random time up to this before its first SOLICIT, CONFIRM, INFORMATION-REQUEST. SOL_MAX_DELAY, CNF_MAX_DELAY, INF_MAX_DELAY. */
  maxDelayMs: number
  /** How long a first answer is waited for, and the longest wait. SOL_TIMEOUT, SOL_MAX_RT, which a server may change (RFC 7083). */
  solicitTimeoutMs: number
  solicitMaxMs: number
  /** REQ_TIMEOUT, REQ_MAX_RT; how often one is sent: REQ_MAX_RC. */
  requestTimeoutMs: number
  requestMaxMs: number
  requestAttempts: number
  /** CNF_TIMEOUT, CNF_MAX_RT; a lease had before is used after this without an answer: CNF_MAX_RD. */
  confirmTimeoutMs: number
  confirmMaxMs: number
  confirmDurationMs: number
  /** REN_TIMEOUT and REB_TIMEOUT, REN_MAX_RT and REB_MAX_RT. */
  renewTimeoutMs: number
  renewMaxMs: number
  /** INF_TIMEOUT, INF_MAX_RT, which a server may change (RFC 7083). */
  informTimeoutMs: number
  informMaxMs: number
  /** REL_TIMEOUT and DEC_TIMEOUT; REL_MAX_RC and DEC_MAX_RC. */
  releaseTimeoutMs: number
  releaseAttempts: number
  /** What was had without an address is asked for again after this, and never sooner. IRT_DEFAULT, IRT_MINIMUM. */
  refreshSeconds: number
  refreshMinSeconds: number
  /** So many messages in so long and no more, whatever servers say: 20 in 20 s (RFC 8415 section 14.1). */
  rateMessages: number
  ratePeriodMs: number
  /** Addresses, and prefixes, that are taken from one server. */
  maxBindings: number
  /** A server remembers so many addresses, and as many prefixes of each length, of those that a range of any size has. */
  maxLeases: number
  /** `ready` of an interface with `dhcp6` waits this long. As for DHCPv4. */
  timeoutMs: number
}

export function dhcp6Defaults(): Dhcp6Config {
  return {
    maxDelayMs: 1_000,
    solicitTimeoutMs: 1_000,
    solicitMaxMs: 3_600_000,
    requestTimeoutMs: 1_000,
    requestMaxMs: 30_000,
    requestAttempts: 10,
    confirmTimeoutMs: 1_000,
    confirmMaxMs: 4_000,
    confirmDurationMs: 10_000,
    renewTimeoutMs: 10_000,
    renewMaxMs: 600_000,
    informTimeoutMs: 1_000,
    informMaxMs: 3_600_000,
    releaseTimeoutMs: 1_000,
    releaseAttempts: 4,
    refreshSeconds: 86_400,
    refreshMinSeconds: 600,
    rateMessages: 20,
    ratePeriodMs: 20_000,
    maxBindings: 16,
    maxLeases: 65_536,
    timeoutMs: 60_000,
  }
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyDhcp6(dhcp6: Dhcp6Config): void {
  verifyRanges('dhcp6', dhcp6, {
    maxDelayMs: [0, MOST_MS],
    solicitTimeoutMs: [1, dhcp6.solicitMaxMs],
    solicitMaxMs: [1, MOST_MS],
    requestTimeoutMs: [1, dhcp6.requestMaxMs],
    requestMaxMs: [1, MOST_MS],
    requestAttempts: [1, 1000],
    confirmTimeoutMs: [1, dhcp6.confirmMaxMs],
    confirmMaxMs: [1, MOST_MS],
    confirmDurationMs: [1, MOST_MS],
    renewTimeoutMs: [1, dhcp6.renewMaxMs],
    renewMaxMs: [1, MOST_MS],
    informTimeoutMs: [1, dhcp6.informMaxMs],
    informMaxMs: [1, MOST_MS],
    releaseTimeoutMs: [1, MOST_MS],
    releaseAttempts: [1, 1000],
    refreshSeconds: [1, 0xffffffff],
    refreshMinSeconds: [1, 0xffffffff],
    rateMessages: [1, 10_000],
    ratePeriodMs: [1, MOST_MS],
    maxBindings: [1, 10_000],
    maxLeases: [1, 1 << 24],
    timeoutMs: [1, MOST_MS],
  })
}
