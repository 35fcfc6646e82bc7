/**
 * Every default of the stack, in one place, with its unit in its name and where it comes from. `createStack({ tcp: { ... } })`
 * overrides any of them; `verify` throws early on values that cannot work.
 */
import { type ArpConfig, arpDefaults } from './arp-config.ts'
import { type DhcpConfig, dhcpDefaults, verifyDhcp } from './dhcp-config.ts'
import { type Dhcp6Config, dhcp6Defaults, verifyDhcp6 } from './dhcp6-config.ts'
import { type DnsConfig, dnsDefaults, verifyDns } from './dns-config.ts'
import { type DnsServerConfig, dnsServerDefaults, verifyDnsServer } from './dns-server-config.ts'
import { invalidArgument } from './errors.ts'
import { type FilterConfig, filterDefaults } from './filter-config.ts'
import { type ForwardConfig, forwardDefaults, verifyForward } from './forward-config.ts'
import { type IcmpConfig, type Ipv4Config, icmpDefaults, ipv4Defaults } from './ipv4-config.ts'
import { type Ipv6Config, ipv6Defaults, type NdConfig, ndDefaults, verifyNd } from './ipv6-config.ts'
import { type MdnsConfig, mdnsDefaults, verifyMdns } from './mdns-config.ts'
import { type MulticastConfig, multicastDefaults, verifyMulticast } from './multicast-config.ts'
import { MANNER_WORDS, type TcpManners, tcpMannerDefaults } from './tcp-manners.ts'

export type { IcmpConfig, Ipv4Config }

/** UDP: buffers and limits. */
export interface UdpConfig {
  /** Bytes of datagrams queued per socket (payload and bookkeeping). Linux rmem_default. */
  receiveBufferBytes: number
  /** Ephemeral port range. RFC 6335 (dynamic ports), widened as RFC 6056 section 3.2 asks. */
  ephemeralFirst: number
  ephemeralLast: number
  /** Answer datagrams to closed ports with port unreachable. RFC 1122 4.1.3.1. */
  portUnreachable: boolean
  /** Groups that a socket may join. Linux igmp_max_memberships. */
  maxMemberships: number
  /** Sources that it may name for one of them. Linux igmp_max_msf, mld_max_msf. */
  maxSources: number
  maxSources6: number
}

/** What is done about explicit congestion notification: see `TcpConfig.ecn`. */
export const ECN_MODES = ['off', 'accept', 'on', 'accurate'] as const
/** Explicit congestion notification: not at all; when peers ask; asked for, too (RFC 3168); in accurate form (RFC 9768). */
export type EcnMode = (typeof ECN_MODES)[number]

/** TCP: buffers, times, limits and mechanisms. docs/tcp.md explains them. */
export interface TcpConfig extends TcpManners {
  /** Send buffer: what `write` takes beyond what is acknowledged. Starts small, follows cwnd. Linux tcp_wmem. */
  sendBufferInitialBytes: number
  sendBufferMaxBytes: number
  /** Receive window: starts here, grows with what the application reads (DRS). Linux tcp_rmem. */
  receiveBufferInitialBytes: number
  receiveBufferMaxBytes: number
  /** Initial window in segments. RFC 6928. */
  initialWindowSegments: number
  /** Delayed ACK. RFC 9293 MUST-40: < 500 ms. Linux TCP_DELACK_MIN. */
  delayedAckMs: number
  /** The longest that `delayedAckMs` may grow to when segments come slowly; equal to it: it never does. Linux TCP_DELACK_MAX. */
  delayedAckMaxMs: number
  /** Segments acknowledged at once when a connection begins, so that the peer's slow start is not held up. Linux TCP_MAX_QUICKACKS. */
  quickAcks: number
  /** RTO bounds. RFC 6298 says 1 s lower; Linux and everybody else use 200 ms. */
  rtoInitialMs: number
  rtoMinMs: number
  rtoMaxMs: number
  /** Retransmissions of a SYN, a SYN-ACK, data before giving up (R2). RFC 9293 3.8.3: SYN >= 3 minutes; data >= 100 s. */
  synRetries: number
  synAckRetries: number
  retries: number
  /** Same for connections without an owner. Linux tcp_orphan_retries. */
  orphanRetries: number
  /** R1: after so many retransmissions the route is looked up again, and a black hole suspected (`mtuProbing`). RFC 9293 3.8.3. */
  retries1: number
  /** Loss detection by time, for peers with SACK (RFC 8985); false: by counting (RFC 6675). Linux tcp_recovery. */
  rack: boolean
  /** A probe before the time-out when a tail may be lost. RFC 8985 section 7; Linux tcp_early_retrans. */
  tailLossProbe: boolean
  /** Is a time-out spurious? RFC 5682; Linux tcp_frto. */
  frto: boolean
  /** Duplicates that mean a loss (DupThresh, RFC 5681), and how far the threshold may follow what the path reorders. Linux tcp_reordering,
   * tcp_max_reordering. */
  reorderingSegments: number
  maxReorderingSegments: number
  /** User timeout (RFC 9293 3.9.1, RFC 5482); 0 = none: `retries` decides. */
  userTimeoutMs: number
  /** Keep-alive, off until asked for. RFC 9293 3.8.4: >= 2 h. */
  keepAlive: boolean
  keepAliveIdleMs: number
  keepAliveIntervalMs: number
  keepAliveProbes: number
  /** TIME-WAIT = 2 MSL. Linux 60 s. */
  timeWaitMs: number
  /** Part of it after which an OPEN may take the place over by a later timestamp (RFC 6191). Linux tcp_tw_reuse_delay. */
  timeWaitReuseMs: number
  /** FIN-WAIT-2 without an owner. Linux tcp_fin_timeout. */
  finWait2Ms: number
  /** TIME-WAIT entries kept; the oldest goes first. Linux tcp_max_tw_buckets. */
  maxTimeWait: number
  /** Options offered. */
  windowScale: boolean
  timestamps: boolean
  sack: boolean
  /** Their order in a SYN, in the words of tcp/syn-options.ts. Linux's. */
  synOptions: string
  /**
   * Explicit congestion notification: `off`, `accept` (answers who asks), `on` (asks for RFC 3168), `accurate` (asks for and answers RFC 9768,
   * falls back). Linux tcp_ecn 0, 2, 1, 3; its 4 and 5 are `on` and `accept` with `ecnAcceptAccurate`.
   */
  ecn: EcnMode
  ecnAcceptAccurate: boolean
  /** Handshakes that do not get through are tried without ECN (RFC 3168 section 6.1.1.1, RFC 9768 section 3.1.4). Linux tcp_ecn_fallback. */
  ecnFallback: boolean
  /** A path that writes into the IP-ECN field or wipes flags ends ECT (RFC 9768 section 3.2.2.3, 3.2.2.4). Part of Linux tcp_ecn_fallback. */
  ecnValidate: boolean
  /** With RFC 9768, pure ACKs and retransmissions are ECN-capable too: ECN++, draft-ietf-tcpm-generalized-ecn. Linux does so. */
  ecnControlPackets: boolean
  /** The option of RFC 9768: `never`, in what tells of `changes` and as beacon, or `always`. Linux tcp_ecn_option 0, 1, 2. */
  ecnOption: 'never' | 'changes' | 'always'
  /** Times per round trip that an option without news is sent. Linux tcp_ecn_option_beacon. */
  ecnOptionBeacon: number
  /** TCP_NODELAY from the start. */
  noDelay: boolean
  /**
   * When a small segment waits (RFC 9293 section 3.7.4). `rfc`: while anything is unacknowledged. `minshall`: while another small one is (Minshall
   * et al., "Application performance pitfalls and TCP's Nagle algorithm", 1999; what Linux does): the tail of a large write does not wait.
   */
  nagle: 'rfc' | 'minshall'
  /** How long TCP_CORK may hold a small segment back. tcp(7). */
  corkMs: number
  /** Largest MSS announced; 0 = by MTU. */
  maxSegmentBytes: number
  /** Handshakes in progress per listener. Linux tcp_max_syn_backlog. */
  synBacklog: number
  /**
   * SYN cookies: `auto` when more than that come (Linux tcp_syncookies = 1), `always` (2: for tests, no SYN is remembered), `off`: SYNs are
   * dropped then.
   */
  synCookies: 'auto' | 'always' | 'off'
  /**
   * TCP Fast Open (RFC 7413), the bits of Linux tcp_fastopen: 1 client, 2 server, 4 client without cookie, 0x200 server without cookie, 0x400 all
   * listeners. Linux has 1; 3 here, for only who asks for it by an option gets it.
   */
  fastOpen: number
  /** Keys of its cookies, each as Linux tcp_fastopen_key has it: the first makes them, all are accepted. None: one by chance. */
  fastOpenKeys: readonly string[]
  /** Servers that a client remembers. */
  fastOpenCacheEntries: number
  /** After two SYNs in a row that got lost with their data or cookie: none for this long; doubles. Linux, until 4.12. */
  fastOpenPauseMs: number
  /** A handshake that ends while the accept queue is full is reset, not left to try again. Linux tcp_abort_on_overflow. */
  abortOnOverflow: boolean
  /** Connections not yet accepted per listener. Node's default backlog. */
  backlog: number
  /** A PACKET TOO BIG about a size that was acknowledged before waits for a time-out. RFC 5927 section 7.2. */
  doubtPathMtu: boolean
  /** TCP-AO without a key for it is no obstacle (RFC 5925 section 7.3, SHOULD); false: it is dropped, as Linux does. */
  acceptUnknownAo: boolean
  /** With TCP-AO: hard errors and PACKET TOO BIG by ICMP are heard once a connection is established. RFC 5925 section 7.8: not. Linux accept_icmps. */
  acceptIcmpWithAo: boolean
  /** Packetization-layer path MTU discovery (RFC 4821): 0 never, 1 when a black hole is suspected, 2 always. Linux tcp_mtu_probing. */
  mtuProbing: number
  /** MSS to begin with, and the least that time-outs halve it to. Linux tcp_base_mss, tcp_mtu_probe_floor. */
  mtuProbeBaseBytes: number
  mtuProbeFloorBytes: number
  /** The search rests when what is left to be found is less than this, for so long. Linux tcp_probe_threshold, tcp_probe_interval. */
  mtuProbeThresholdBytes: number
  mtuProbeIntervalMs: number
  /** Challenge ACKs per second, for the stack; RFC 5961 section 7. Linux 1000. */
  challengeAcksPerSecond: number
  /** Out-of-sequence and challenge ACKs per connection: one per this time. Linux tcp_invalid_ratelimit. */
  invalidAckIntervalMs: number
  /** Sequence ranges remembered per connection while data is out of order. */
  maxOutOfOrderRanges: number
  /**
   * Memory of the buffers of all connections, in three marks as Linux tcp_mem: above `memoryBytes` nothing more is taken; above `memoryPressureBytes`
   * (0: three quarters of it), until below `memoryLowBytes` (0: three quarters of that), buffers do not grow and windows shrink as they are used.
   */
  memoryBytes: number
  memoryPressureBytes: number
  memoryLowBytes: number
  ephemeralFirst: number
  ephemeralLast: number
  /** RFC 1337: a RST does not end TIME-WAIT. */
  rfc1337: boolean
  /** Congestion control: a name, one's own object or its class, or a function that makes one for each connection (tcp/congestion.ts). */
  congestion: string | object
  /**
   * What ends slow start before a loss: `plusplus` (HyStart++, RFC 9406), `delay` (as Linux's CUBIC: the smallest round-trip time grew by an
   * eighth), `off`.
   */
  hystart: 'plusplus' | 'delay' | 'off'
  /** L of RFC 3465 section 2.2: segments that one ACK may add in slow start; 0 = no limit (an ACK may stand for a super-segment). Linux 0. */
  abcLimit: number
  /** The window shrinks while it is not used: RFC 5681 section 4.1, RFC 2861. Linux tcp_slow_start_after_idle. */
  slowStartAfterIdle: boolean
  /**
   * Paces CUBIC and NewReno as well: at twice the window per round trip in slow start, 1.2 times after (Linux tcp_pacing_ss_ratio,
   * tcp_pacing_ca_ratio). BBR always paces, and a `maxPacingRate` always counts.
   */
  pacing: boolean
}

/** How much is done before others get their turn. */
export interface TurnConfig {
  /** Frames taken from one NetIf in one turn. */
  receiveBudget: number
  /** Segments or super-segments one connection may send in one turn before others get theirs. */
  sendQuantum: number
}

/** All that a stack can be told of its protocols. Every value has its unit in its name and its source beside it; `defaults()` has them all. */
export interface Config {
  /** For logs and traces. */
  name: string
  /** A router for both families from the beginning (`stack.setForwarding`). RFC 1812 section 2.2.8.1: off unless asked for. */
  forwarding: boolean
  forward: ForwardConfig
  arp: ArpConfig
  ipv6: Ipv6Config
  filter: FilterConfig
  nd: NdConfig
  multicast: MulticastConfig
  dns: DnsConfig
  mdns: MdnsConfig
  dnsServer: DnsServerConfig
  dhcp: DhcpConfig
  dhcp6: Dhcp6Config
  ipv4: Ipv4Config
  icmp: IcmpConfig
  udp: UdpConfig
  tcp: TcpConfig
  turn: TurnConfig
}

/** A config with every part optional. */
export type ConfigOverrides = { [K in keyof Config]?: Config[K] extends object ? Partial<Config[K]> : Config[K] }

/** A configuration of its own with all defaults. */
export function defaults(): Config {
  return {
    name: 'stack',
    forwarding: false,
    forward: forwardDefaults(),
    arp: arpDefaults(),
    ipv6: ipv6Defaults(),
    filter: filterDefaults(),
    nd: ndDefaults(),
    multicast: multicastDefaults(),
    dns: dnsDefaults(),
    mdns: mdnsDefaults(),
    dnsServer: dnsServerDefaults(),
    ipv4: ipv4Defaults(),
    icmp: icmpDefaults(),
    dhcp: dhcpDefaults(),
    dhcp6: dhcp6Defaults(),
    udp: {
      receiveBufferBytes: 212_992,
      ephemeralFirst: 32768,
      ephemeralLast: 60999,
      portUnreachable: true,
      maxMemberships: 20,
      maxSources: 10,
      maxSources6: 64,
    },
    tcp: {
      ...tcpMannerDefaults(),
      sendBufferInitialBytes: 64 << 10,
      sendBufferMaxBytes: 4 << 20,
      receiveBufferInitialBytes: 128 << 10,
      receiveBufferMaxBytes: 6 << 20,
      initialWindowSegments: 10,
      delayedAckMs: 40,
      delayedAckMaxMs: 200,
      quickAcks: 16,
      rtoInitialMs: 1_000,
      rtoMinMs: 200,
      rtoMaxMs: 120_000,
      synRetries: 7,
      synAckRetries: 5,
      retries: 15,
      orphanRetries: 8,
      retries1: 3,
      rack: true,
      tailLossProbe: true,
      frto: true,
      reorderingSegments: 3,
      maxReorderingSegments: 300,
      userTimeoutMs: 0,
      keepAlive: false,
      keepAliveIdleMs: 7_200_000,
      keepAliveIntervalMs: 75_000,
      keepAliveProbes: 9,
      timeWaitMs: 60_000,
      timeWaitReuseMs: 1000,
      finWait2Ms: 60_000,
      maxTimeWait: 65_536,
      windowScale: true,
      timestamps: true,
      sack: true,
      synOptions: 'mss | sackOK TS | nop nop TS | ECN nop | nop nop sackOK | nop wscale | FO | nop*',
      noDelay: false,
      nagle: 'minshall',
      corkMs: 200,
      maxSegmentBytes: 0,
      synBacklog: 1024,
      synCookies: 'auto',
      abortOnOverflow: false,
      fastOpen: 3,
      fastOpenKeys: [],
      fastOpenCacheEntries: 1024,
      fastOpenPauseMs: 60_000,
      backlog: 511,
      doubtPathMtu: true,
      acceptUnknownAo: true,
      acceptIcmpWithAo: false,
      mtuProbing: 1,
      mtuProbeBaseBytes: 1024,
      mtuProbeFloorBytes: 48,
      mtuProbeThresholdBytes: 8,
      mtuProbeIntervalMs: 600_000,
      challengeAcksPerSecond: 1000,
      invalidAckIntervalMs: 500,
      maxOutOfOrderRanges: 256,
      memoryBytes: 256 << 20,
      memoryPressureBytes: 0,
      memoryLowBytes: 0,
      ephemeralFirst: 32768,
      ephemeralLast: 60999,
      rfc1337: true,
      ecn: 'accept',
      ecnAcceptAccurate: false,
      ecnFallback: true,
      ecnValidate: true,
      ecnControlPackets: false,
      ecnOption: 'always',
      ecnOptionBeacon: 3,
      congestion: 'cubic',
      hystart: 'plusplus',
      abcLimit: 0,
      slowStartAfterIdle: true,
      pacing: false,
    },
    turn: { receiveBudget: 64, sendQuantum: 8 },
  }
}

/** Defaults with overrides applied and checked. Unknown names and impossible values throw ERR_INVALID_ARG_VALUE. */
export function configure(overrides: ConfigOverrides = {}): Config {
  const config = defaults()
  const out = config as unknown as Record<string, unknown>
  for (const [section, value] of Object.entries(overrides)) {
    if (value === undefined) continue
    if (!(section in out)) throw invalidArgument(`unknown option ${section}`)
    const target = out[section]
    if (typeof target !== 'object' || target === null) {
      if (typeof value !== typeof target) throw invalidArgument(`option ${section} must be a ${typeof target}`)
      out[section] = value
      continue
    }
    if (typeof value !== 'object' || value === null) throw invalidArgument(`option ${section} must be an object`)
    const fields = target as Record<string, unknown>
    for (const [name, v] of Object.entries(value)) {
      if (v === undefined) continue
      if (!(name in fields)) throw invalidArgument(`unknown option ${section}.${name}`)
      // A congestion control may be an object or what makes one, too: tcp/control-maker.ts looks at it.
      const kind = name === 'congestion' && v !== null && typeof v !== 'number' ? typeof v : typeof fields[name]
      if (typeof v !== kind || Array.isArray(v) !== Array.isArray(fields[name]))
        throw invalidArgument(`option ${section}.${name} must be a ${Array.isArray(fields[name]) ? 'list' : kind}`)
      fields[name] = v
    }
  }
  verify(config)
  return config
}

/** Values that a word of `tcp` may have. */
const TCP_WORDS: { readonly [K in keyof TcpConfig]?: readonly string[] } = {
  ...MANNER_WORDS,
  ecn: ECN_MODES,
  ecnOption: ['never', 'changes', 'always'],
  nagle: ['rfc', 'minshall'],
  synCookies: ['auto', 'always', 'off'],
  hystart: ['plusplus', 'delay', 'off'],
}

function verify(config: Config): void {
  for (const [section, fields] of Object.entries(config)) {
    if (typeof fields !== 'object') continue
    for (const [name, v] of Object.entries(fields as Record<string, unknown>)) {
      if (typeof v === 'number' && !(v >= 0 && v <= 0x7fffffff && Number.isFinite(v))) {
        throw invalidArgument(`option ${section}.${name} is out of range: ${v}`)
      }
    }
  }
  const { tcp, udp, ipv4, nd, turn, forward } = config
  verifyForward(forward)
  verifyNd(nd)
  verifyDhcp(config.dhcp)
  verifyDhcp6(config.dhcp6)
  for (const [name, known] of Object.entries(TCP_WORDS)) {
    const value = String(tcp[name as keyof TcpConfig])
    if (!known.includes(value)) throw invalidArgument(`option tcp.${name} cannot be ${value}, known: ${known.join(', ')}`)
  }
  const ordered = (low: number, high: number, what: string): void => {
    if (low > high) throw invalidArgument(`option ${what}: ${low} is above ${high}`)
  }
  verifyMulticast(config.multicast)
  verifyDns(config.dns)
  verifyMdns(config.mdns)
  verifyDnsServer(config.dnsServer)
  ordered(1, ipv4.ttl, 'ipv4.ttl')
  ordered(ipv4.ttl, 255, 'ipv4.ttl')
  ordered(1, tcp.initialWindowSegments, 'tcp.initialWindowSegments')
  ordered(tcp.rtoMinMs, tcp.rtoMaxMs, 'tcp.rtoMinMs')
  ordered(1, tcp.reorderingSegments, 'tcp.reorderingSegments')
  ordered(tcp.reorderingSegments, tcp.maxReorderingSegments, 'tcp.reorderingSegments')
  ordered(tcp.ephemeralFirst, tcp.ephemeralLast, 'tcp.ephemeralFirst')
  ordered(udp.ephemeralFirst, udp.ephemeralLast, 'udp.ephemeralFirst')
  ordered(1, tcp.ephemeralFirst, 'tcp.ephemeralFirst')
  ordered(1, udp.ephemeralFirst, 'udp.ephemeralFirst')
  ordered(tcp.ephemeralLast, 65535, 'tcp.ephemeralLast')
  ordered(udp.ephemeralLast, 65535, 'udp.ephemeralLast')
  ordered(tcp.mtuProbing, 2, 'tcp.mtuProbing')
  ordered(48, tcp.mtuProbeFloorBytes, 'tcp.mtuProbeFloorBytes')
  ordered(tcp.mtuProbeFloorBytes, tcp.mtuProbeBaseBytes, 'tcp.mtuProbeFloorBytes')
  if (tcp.memoryPressureBytes > 0) {
    ordered(tcp.memoryPressureBytes, tcp.memoryBytes, 'tcp.memoryPressureBytes')
    ordered(tcp.memoryLowBytes, tcp.memoryPressureBytes, 'tcp.memoryLowBytes')
  }
  ordered(tcp.memoryLowBytes, tcp.memoryBytes, 'tcp.memoryLowBytes')
  ordered(tcp.delayedAckMs, tcp.delayedAckMaxMs, 'tcp.delayedAckMs')
  ordered(tcp.delayedAckMaxMs, 499, 'tcp.delayedAckMaxMs')
  ordered(tcp.receiveBufferInitialBytes, tcp.receiveBufferMaxBytes, 'tcp.receiveBufferInitialBytes')
  ordered(tcp.sendBufferInitialBytes, tcp.sendBufferMaxBytes, 'tcp.sendBufferInitialBytes')
  ordered(tcp.receiveBufferMaxBytes, 0x3fffffff, 'tcp.receiveBufferMaxBytes')
  ordered(1, turn.receiveBudget, 'turn.receiveBudget')
  ordered(1, turn.sendQuantum, 'turn.sendQuantum')
}
