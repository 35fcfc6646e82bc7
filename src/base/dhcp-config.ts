/** The configuration of DHCP (config.ts). */
import { MOST_MS, MOST_SECONDS, verifyRanges } from './range.ts'

/** The client and server of DHCPv4: times and limits. */
export interface DhcpConfig {
  /** A client waits a random time up to this before its first message. RFC 2131 section 4.4.1 says 1 to 10 s, for whole buildings that come up at once. */
  startDelayMs: number
  /** The first wait for an answer, and the longest: they double, with a random second more or less. RFC 2131 section 4.1. */
  retransmitMs: number
  retransmitMaxMs: number
  retransmitJitterMs: number
  /** A request that was offered is sent so often before all begins anew. RFC 2131 section 3.1, 5. */
  requestAttempts: number
  /** The same for a lease had before, which nobody need answer for. dhclient `reboot`: 10 s. */
  rebootAttempts: number
  /** A lease that others offered is waited for this long when an address had before is hoped for. */
  offerWaitMs: number
  /** A request in RENEWING and REBINDING is not repeated sooner. RFC 2131 section 4.4.5. */
  renewMinMs: number
  /** `ready` of an interface with `dhcp` waits this long. dhclient `timeout`. */
  timeoutMs: number
  /** Without an answer for this long an interface that may gets an address of its own (RFC 3927). */
  linkLocalAfterMs: number
  /** After an address was declined. RFC 2131 section 3.1, 5. */
  declineWaitMs: number
  /** A lease without a lease time. udhcpc: one hour. */
  defaultLeaseSeconds: number
  /** A server holds an address that it offered so long. */
  offerSeconds: number
  /** An address that was declined, or answered a probe, is not offered for so long. dnsmasq DECLINE_BACKOFF: 600. */
  abandonSeconds: number
  /** A server listens so long for somebody who has the address already. ISC dhcpd ping-timeout: 1 s. */
  probeMs: number
  /** Addresses probed at once; beyond, they are offered without. */
  maxProbes: number
  /** Addresses in the ranges of one server. */
  maxPoolAddresses: number
}

export function dhcpDefaults(): DhcpConfig {
  return {
    startDelayMs: 0,
    retransmitMs: 4_000,
    retransmitMaxMs: 64_000,
    retransmitJitterMs: 1_000,
    requestAttempts: 4,
    rebootAttempts: 2,
    offerWaitMs: 1_000,
    renewMinMs: 60_000,
    timeoutMs: 60_000,
    linkLocalAfterMs: 10_000,
    declineWaitMs: 10_000,
    defaultLeaseSeconds: 3_600,
    offerSeconds: 30,
    abandonSeconds: 600,
    probeMs: 500,
    maxProbes: 512,
    maxPoolAddresses: 1 << 20,
  }
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyDhcp(dhcp: DhcpConfig): void {
  verifyRanges('dhcp', dhcp, {
    startDelayMs: [0, MOST_MS],
    retransmitMs: [1, dhcp.retransmitMaxMs],
    retransmitMaxMs: [1, MOST_MS],
    retransmitJitterMs: [0, dhcp.retransmitMs],
    requestAttempts: [1, 1000],
    rebootAttempts: [1, 1000],
    offerWaitMs: [0, MOST_MS],
    renewMinMs: [1, MOST_MS],
    timeoutMs: [1, MOST_MS],
    linkLocalAfterMs: [0, MOST_MS],
    declineWaitMs: [0, MOST_MS],
    defaultLeaseSeconds: [1, 0xffffffff],
    offerSeconds: [1, MOST_SECONDS],
    abandonSeconds: [0, MOST_SECONDS],
    probeMs: [0, 60_000],
    maxProbes: [0, 1_000_000],
    maxPoolAddresses: [1, 1 << 24],
  })
}
