/** The configuration (config.ts) of the packet filter: connection tracking and address translation. */

export interface FilterConfig {
  /** Connections tracked at once; beyond it unassured ones give way, then new ones are refused. Linux nf_conntrack_max. */
  maxConnections: number
  /** Adopt TCP connections in their middle. Linux nf_conntrack_tcp_loose. */
  tcpLoose: boolean
  /** How long a connection is remembered after its last packet, by state of TCP. Linux nf_conntrack_tcp_timeout_*. */
  tcpSynSentMs: number
  tcpSynReceivedMs: number
  /** RFC 5382 REQ-5: at least 2 h 4 min. */
  tcpEstablishedMs: number
  tcpFinWaitMs: number
  tcpCloseWaitMs: number
  tcpLastAckMs: number
  tcpTimeWaitMs: number
  tcpCloseMs: number
  /** Adopted in its middle, or data that nobody answered. Linux nf_conntrack_tcp_timeout_unacknowledged. */
  tcpUnacknowledgedMs: number
  /** UDP: before an answer, and after. Linux nf_conntrack_udp_timeout, _stream; RFC 4787 REQ-5: 2 minutes. */
  udpMs: number
  udpStreamMs: number
  /** Linux nf_conntrack_icmp_timeout; RFC 5508 REQ-2: 60 s is required of a NAT. */
  icmpMs: number
  /** Every other protocol. Linux nf_conntrack_generic_timeout. */
  genericMs: number
  /** Time between looks for what has expired, and the part of the table that each look takes. Linux GC_SCAN_INTERVAL. */
  sweepMs: number
  sweepParts: number
  /** Fragmented datagrams known at once, and for how long: what Linux ipfrag_time is. */
  fragmentDatagrams: number
  fragmentTimeMs: number
  /** Fragments that came before their first one wait in so many bytes at most (RFC 4787 REQ-14). */
  fragmentHoldBytes: number
  /** Ports that translation chooses from when the connection's own is taken. RFC 4787 REQ-1, RFC 6056 section 3.2. */
  natPortFirst: number
  natPortLast: number
  /** Ports tried before a connection is refused for want of one. */
  natPortAttempts: number
}

export function filterDefaults(): FilterConfig {
  return {
    maxConnections: 65_536,
    tcpLoose: true,
    tcpSynSentMs: 120_000,
    tcpSynReceivedMs: 60_000,
    tcpEstablishedMs: 432_000_000,
    tcpFinWaitMs: 120_000,
    tcpCloseWaitMs: 60_000,
    tcpLastAckMs: 30_000,
    tcpTimeWaitMs: 120_000,
    tcpCloseMs: 10_000,
    tcpUnacknowledgedMs: 300_000,
    udpMs: 30_000,
    udpStreamMs: 120_000,
    icmpMs: 60_000,
    genericMs: 600_000,
    sweepMs: 1_000,
    sweepParts: 16,
    fragmentDatagrams: 1_024,
    fragmentTimeMs: 30_000,
    fragmentHoldBytes: 262_144,
    natPortFirst: 1_024,
    natPortLast: 65_535,
    natPortAttempts: 1_024,
  }
}
