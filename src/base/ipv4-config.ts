/** The configuration of IPv4 and of ICMP in both families (config.ts). */

export interface Ipv4Config {
  /** RFC 1700; Linux ip_default_ttl. */
  ttl: number
  /** Reassembly: 30 s (Linux ipfrag_time; RFC 1122 3.3.2 wants 60..120 s, which only helps an attacker). */
  reassemblyTimeMs: number
  /** Memory of all datagrams in reassembly. Linux ipfrag_high_thresh. */
  reassemblyBytes: number
  /** Fragments per datagram: 65535 bytes in 8-byte pieces would be 8192. */
  reassemblyFragments: number
  /** Datagrams in reassembly at once. */
  reassemblyDatagrams: number
  /** How long a learned path MTU is believed. RFC 1191 section 6.3. */
  pathMtuTimeMs: number
  /** Path MTUs below this are refused. Linux min_pmtu; RFC 1191 says 68, attackers say 68 too. */
  pathMtuMin: number
  /** Path MTU entries kept. */
  pathMtuEntries: number
}

/** ICMP of both families: rates of errors and answers. */
export interface IcmpConfig {
  /** Answer echo requests to a broadcast IP address in a broadcast frame. RFC 1122 3.2.2.6 allows either; Linux ignores. */
  echoBroadcast: boolean
  /** Error messages per second and burst, for all destinations. Linux icmp_msgs_per_sec, icmp_msgs_burst. */
  errorsPerSecond: number
  errorsBurst: number
  /** Error messages per second to one destination. Linux icmp_ratelimit. */
  errorsPerSecondPerHost: number
  /** Bytes of the offending datagram quoted. RFC 1812 4.3.2.3: up to 576 bytes in all. */
  quoteBytes: number
}

export function ipv4Defaults(): Ipv4Config {
  return {
    ttl: 64,
    reassemblyTimeMs: 30_000,
    reassemblyBytes: 4 << 20,
    reassemblyFragments: 8192,
    reassemblyDatagrams: 1024,
    pathMtuTimeMs: 600_000,
    pathMtuMin: 552,
    pathMtuEntries: 4096,
  }
}

export function icmpDefaults(): IcmpConfig {
  return { echoBroadcast: false, errorsPerSecond: 1000, errorsBurst: 50, errorsPerSecondPerHost: 10, quoteBytes: 548 }
}
