/** The configuration of DNS servers (config.ts). */
import { MOST_SECONDS, verifyRanges } from './range.ts'

/** The DNS server: limits of what one asker, and all of them, may cost. */
export interface DnsServerConfig {
  /** The largest answer over UDP, whatever a client takes. 1232 as of DNS flag day 2020. */
  udpPayloadBytes: number
  /** The same for who is on none of our networks and has shown no cookie: he may not be where he says (RFC 5358, RFC 7873). RFC 1035 section 4.2.1. */
  unprovenPayloadBytes: number
  /** Answers a second over UDP to one such client; of what is beyond, each second one is an empty one (TC), the others none. NSD's rrl-ratelimit. */
  responsesPerSecond: number
  /** Questions of one client that may be passed on in a second. unbound's ip-ratelimit has no default; a browser's page asks for a hundred names. */
  forwardsPerSecond: number
  /** Questions that wait for other servers, in all. BIND's recursive-clients: 1000. */
  maxPending: number
  /** Connections at once, and those of one client. BIND's tcp-clients: 150. */
  maxConnections: number
  maxConnectionsPerClient: number
  /** Without a question for so long a connection is closed. RFC 7766 section 6.2.3: seconds. */
  tcpIdleMs: number
  /** Questions of one connection that wait; more are not read. BIND's TCP_CLIENTS pipeline: 23. */
  maxPipelined: number
  /** Bytes of answers that wait for one client to read them; then its questions are not read. */
  maxOutputBytes: number
  /** CNAMEs and DNAMEs followed within our zones. BIND's max-restarts: 11. */
  maxChain: number
  /** TTL of names of DHCP leases and of hosts. unbound's example for local-data: 60. */
  localTtlSeconds: number
}

export function dnsServerDefaults(): DnsServerConfig {
  return {
    udpPayloadBytes: 1232,
    unprovenPayloadBytes: 512,
    responsesPerSecond: 200,
    forwardsPerSecond: 1000,
    maxPending: 1000,
    maxConnections: 150,
    maxConnectionsPerClient: 20,
    tcpIdleMs: 10_000,
    maxPipelined: 32,
    maxOutputBytes: 1 << 18,
    maxChain: 11,
    localTtlSeconds: 60,
  }
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyDnsServer(config: DnsServerConfig): void {
  verifyRanges('dnsServer', config, {
    udpPayloadBytes: [512, 65_507],
    unprovenPayloadBytes: [512, 65_507],
    responsesPerSecond: [1, 1_000_000],
    forwardsPerSecond: [1, 1_000_000],
    maxPending: [1, 100_000],
    maxConnections: [1, 100_000],
    maxConnectionsPerClient: [1, 100_000],
    tcpIdleMs: [1, 86_400_000],
    maxPipelined: [1, 10_000],
    maxOutputBytes: [1024, 1 << 30],
    maxChain: [0, 100],
    localTtlSeconds: [0, MOST_SECONDS],
  })
}
