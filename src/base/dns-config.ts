/** The configuration of the DNS resolver (config.ts). */
import { MOST_MS, MOST_SECONDS, verifyRanges } from './range.ts'

/** The resolver: servers, times, sizes. */
export interface DnsConfig {
  /** Servers to ask, in this order: `10.0.0.1`, `10.0.0.1:5353`, `[fd00::1]:53`, `fe80::1%eth0`. Empty: those that DHCP and routers name. */
  servers: readonly string[]
  /** Appended to short names, in this order. resolv.conf(5) `search`. Empty: those that DHCP and routers name. */
  searchDomains: readonly string[]
  /** The text of a resolv.conf(5), for what the options above leave open. The file of the host is never read by itself. */
  resolvConf: string
  /** The text of a hosts(5) file: names that no server is asked for. */
  hosts: string
  /** A name with so many dots is tried as it stands before it is searched for. resolv.conf(5) `ndots`. */
  ndots: number
  /** How long one answer is waited for in the first round. resolv.conf(5) `timeout`; RES_TIMEOUT of glibc. */
  timeoutMs: number
  /** The longest that it may grow to in later rounds. resolv.conf(5): 30 s. */
  timeoutMaxMs: number
  /** Rounds over all servers. resolv.conf(5) `attempts`; RES_DFLRETRY of glibc. */
  attempts: number
  /** Begin with another server each time. resolv.conf(5) `rotate`. */
  rotate: boolean
  /** The largest answer over UDP that is asked for by EDNS(0); 0: no EDNS. RFC 6891 section 6.2.5; 1232 as of DNS flag day 2020. */
  udpPayloadBytes: number
  /** How long a server that did not understand EDNS is asked without. RFC 6891 section 6.2.2. */
  noEdnsMs: number
  /** Letters of questions in a random case that answers must repeat (draft-vixie-dnsext-dns0x20). */
  caseRandomization: boolean
  /** Answers to one question that do not fit it, before it is asked over TCP, where nobody can guess. RFC 5452 section 7. */
  maxMismatches: number
  /** CNAME and DNAME records followed for one name. BIND's max-restarts is 11, unbound's 11. */
  maxChain: number
  /** Questions under way at once; what is beyond waits. */
  maxQueries: number
  /** Questions that wait; what is beyond fails. */
  maxWaiting: number
  /** Answers remembered; 0: none. And the bytes of their messages. */
  cacheEntries: number
  cacheBytes: number
  /** Bounds of how long, whatever their TTL says. RFC 2181 section 8; unbound's cache-max-ttl. */
  cacheMinSeconds: number
  cacheMaxSeconds: number
  /** The same for what is not there. RFC 2308 section 5: one to three hours. */
  negativeMaxSeconds: number
}

export function dnsDefaults(): DnsConfig {
  return {
    servers: [],
    searchDomains: [],
    resolvConf: '',
    hosts: '',
    ndots: 1,
    timeoutMs: 5_000,
    timeoutMaxMs: 30_000,
    attempts: 2,
    rotate: false,
    udpPayloadBytes: 1232,
    noEdnsMs: 900_000,
    caseRandomization: true,
    maxMismatches: 8,
    maxChain: 11,
    maxQueries: 256,
    maxWaiting: 4096,
    cacheEntries: 1024,
    cacheBytes: 1 << 20,
    cacheMinSeconds: 0,
    cacheMaxSeconds: 86_400,
    negativeMaxSeconds: 10_800,
  }
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot work. */
export function verifyDns(dns: DnsConfig): void {
  verifyRanges('dns', dns, {
    ndots: [0, 15],
    timeoutMs: [1, 600_000],
    timeoutMaxMs: [1, 600_000],
    attempts: [1, 100],
    noEdnsMs: [0, MOST_MS],
    maxMismatches: [1, 1000],
    maxChain: [0, 100],
    maxQueries: [1, 10_000],
    maxWaiting: [0, 1_000_000],
    cacheEntries: [0, 1_000_000],
    cacheBytes: [0, 1 << 30],
    cacheMaxSeconds: [0, MOST_SECONDS],
    cacheMinSeconds: [0, dns.cacheMaxSeconds],
    negativeMaxSeconds: [0, MOST_SECONDS],
  })
  if (dns.udpPayloadBytes !== 0) verifyRanges('dns', dns, { udpPayloadBytes: [512, 4096] })
}
