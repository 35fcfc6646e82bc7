/** The configuration of IPv6 and of Neighbor Discovery (config.ts). */
import { type NeighborTimes, neighborDefaults } from './arp-config.ts'
import { invalidArgument } from './errors.ts'
import { type RouterConfig, routerDefaults } from './router-config.ts'

/** IPv6: limits of headers and fragments, flow labels. */
export interface Ipv6Config {
  /** RFC 8504 section 5.1: until a router says otherwise. Linux net.ipv6.conf.default.hop_limit. */
  hopLimit: number
  /** Reassembly: RFC 8200 section 4.5 says 60 s. */
  reassemblyTimeMs: number
  /** Memory of all datagrams in reassembly. Linux ip6frag_high_thresh. */
  reassemblyBytes: number
  /** Fragments per datagram, and datagrams in reassembly at once. */
  reassemblyFragments: number
  reassemblyDatagrams: number
  /** Extension headers of one packet, and options of one of them: RFC 8504 section 5.3 asks for limits. */
  maxExtensionHeaders: number
  maxOptions: number
  /** Packets carry a label of their flow. RFC 6437; Linux net.ipv6.auto_flowlabels. */
  flowLabels: boolean
}

/** Neighbor Discovery (RFC 4861, RFC 4862): the times of neighbours are those of ARP, from the same RFC. */
export interface NdConfig extends NeighborTimes, RouterConfig {
  /** DupAddrDetectTransmits; 0 = addresses are used without asking. RFC 4862 section 5.1. */
  dadTransmits: number
  /** Before the first question a random time up to this. MAX_RTR_SOLICITATION_DELAY, RFC 4862 section 5.4.2. */
  dadDelayMs: number
  /** Advertisements of a new address, or of a new link address, RetransTimer apart: up to MAX_NEIGHBOR_ADVERTISEMENT (RFC 4861 section 7.2.6). */
  announceNum: number
  /** Link-local addresses of the MAC address (Linux addr_gen_mode 0), or stable and opaque (RFC 7217, addr_gen_mode 2). */
  linkLocal: 'eui64' | 'stable'
  /** The secret of stable addresses (RFC 7217): the same text makes the same addresses anywhere. Empty: each stack draws its own. */
  stableSecret: string
  /** Use addresses while they are being asked for. RFC 4429. */
  optimisticDad: boolean
  /** Enhanced duplicate address detection: probes carry a nonce, so that our own ones come back are not another host. RFC 7527. */
  enhancedDad: boolean
  /** Believe redirects. RFC 4861 section 8. */
  acceptRedirects: boolean
  /** Answers to solicitations per second and interface. */
  advertisementsPerSecond: number
}

export function ipv6Defaults(): Ipv6Config {
  return {
    hopLimit: 64,
    reassemblyTimeMs: 60_000,
    reassemblyBytes: 4_194_304,
    reassemblyFragments: 8192,
    reassemblyDatagrams: 1024,
    maxExtensionHeaders: 8,
    maxOptions: 8,
    flowLabels: true,
  }
}

export function ndDefaults(): NdConfig {
  return {
    ...neighborDefaults(),
    ...routerDefaults(),
    dadTransmits: 1,
    dadDelayMs: 1_000,
    announceNum: 1,
    linkLocal: 'eui64',
    stableSecret: '',
    optimisticDad: false,
    enhancedDad: true,
    acceptRedirects: true,
    advertisementsPerSecond: 1_000,
  }
}

/** Words that an option of `nd` may have. */
const WORDS: { readonly [K in keyof NdConfig]?: readonly string[] } = {
  linkLocal: ['eui64', 'stable'],
  identifiers: ['stable', 'eui64'],
  temporaryAddresses: ['off', 'prefer'],
}

/** Throws ERR_INVALID_ARG_VALUE. */
export function verifyNd(nd: NdConfig): void {
  for (const [name, known] of Object.entries(WORDS)) {
    const value = String(nd[name as keyof NdConfig])
    if (!known.includes(value)) throw invalidArgument(`option nd.${name} cannot be ${value}, known: ${known.join(', ')}`)
  }
}
