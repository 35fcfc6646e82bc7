/**
 * Linux's variables (Documentation/networking/ip-sysctl.rst) as values of `base/config.ts`. Where the stack has no such choice, `only` has the
 * values whose meaning it has.
 */
import type { SysctlTable } from './sysctl.ts'

const tcp: SysctlTable = {
  // Options and what is offered.
  tcp_timestamps: { choice: { 0: { timestamps: false }, 1: { timestamps: true }, 2: { timestamps: true } } },
  tcp_sack: { flag: 'sack' },
  tcp_window_scaling: { flag: 'windowScale' },
  tcp_dsack: { flag: 'dsack', otherwise: ['1'] },
  tcp_fack: 'ignored',
  // Buffers and windows: least (no such thing here), first, most.
  tcp_rmem: { list: [null, 'receiveBufferInitialBytes', 'receiveBufferMaxBytes'] },
  tcp_wmem: { list: [null, 'sendBufferInitialBytes', 'sendBufferMaxBytes'] },
  // Three marks, in pages.
  tcp_mem: { list: ['memoryLowBytes', 'memoryPressureBytes', 'memoryBytes'], times: 4096, max: 0x7fffffff },
  tcp_adv_win_scale: { only: ['1'] },
  tcp_app_win: { only: ['31'] },
  tcp_moderate_rcvbuf: { only: ['1'] },
  tcp_shrink_window: { only: ['0'] },
  tcp_workaround_signed_windows: { only: ['0'] },
  tcp_notsent_lowat: { number: 'notSentLowatBytes', otherwise: ['4294967295', '-1'] },
  // Loss recovery.
  tcp_early_retrans: {
    choice: { 0: { tailLossProbe: false }, 3: { tailLossProbe: true }, 4: { tailLossProbe: true } },
    otherwise: ['3', '4'],
  },
  tcp_recovery: { choice: { 0: { rack: false }, 1: { rack: true } }, otherwise: ['1'] },
  tcp_frto: { flag: 'frto', otherwise: ['1', '2'] },
  tcp_reordering: { number: 'reorderingSegments', otherwise: ['3'] },
  tcp_max_reordering: { number: 'maxReorderingSegments', otherwise: ['300'] },
  tcp_retrans_collapse: 'ignored',
  tcp_thin_linear_timeouts: { only: ['0'] },
  tcp_syn_linear_timeouts: { only: ['0'] },
  tcp_comp_sack_delay_ns: 'ignored',
  tcp_comp_sack_slack_ns: 'ignored',
  tcp_comp_sack_nr: 'ignored',
  tcp_min_rtt_wlen: 'ignored',
  tcp_backlog_ack_defer: 'ignored',
  // Congestion control and pacing.
  tcp_congestion_control: {
    choice: {
      cubic: { congestion: 'cubic' },
      dctcp: { congestion: 'dctcp' },
      reno: { congestion: 'newreno' },
      bbr: { congestion: 'bbr' },
      bbr2: { congestion: 'bbr' },
      bbr3: { congestion: 'bbr' },
    },
  },
  tcp_allowed_congestion_control: 'ignored',
  tcp_slow_start_after_idle: { flag: 'slowStartAfterIdle' },
  tcp_pacing_ss_ratio: { only: ['200'] },
  tcp_pacing_ca_ratio: { only: ['120'] },
  tcp_tso_win_divisor: 'ignored',
  tcp_min_tso_segs: 'ignored',
  tcp_tso_rtt_log: 'ignored',
  tcp_limit_output_bytes: 'ignored',
  tcp_autocorking: 'ignored',
  tcp_no_metrics_save: 'ignored',
  tcp_no_ssthresh_metrics_save: 'ignored',
  tcp_plb_enabled: { only: ['0'] },
  // ECN. With Accurate ECN Linux sends ECT in pure ACKs and retransmissions, too.
  tcp_ecn: {
    choice: {
      0: { ecn: 'off', ecnAcceptAccurate: false },
      1: { ecn: 'on', ecnAcceptAccurate: false },
      2: { ecn: 'accept', ecnAcceptAccurate: false },
      3: { ecn: 'accurate', ecnAcceptAccurate: true, ecnControlPackets: true },
      4: { ecn: 'on', ecnAcceptAccurate: true, ecnControlPackets: true },
      5: { ecn: 'accept', ecnAcceptAccurate: true, ecnControlPackets: true },
    },
  },
  tcp_ecn_fallback: {
    choice: { 0: { ecnFallback: false, ecnValidate: false }, 1: { ecnFallback: true, ecnValidate: true } },
  },
  tcp_ecn_option: {
    choice: { 0: { ecnOption: 'never' }, 1: { ecnOption: 'changes' }, 2: { ecnOption: 'always' }, 3: { ecnOption: 'always' } },
  },
  tcp_ecn_option_beacon: { number: 'ecnOptionBeacon' },
  // Handshakes.
  tcp_syn_retries: { number: 'synRetries' },
  tcp_synack_retries: { number: 'synAckRetries' },
  tcp_syncookies: { choice: { 0: { synCookies: 'off' }, 1: { synCookies: 'auto' }, 2: { synCookies: 'always' } } },
  tcp_max_syn_backlog: { number: 'synBacklog' },
  tcp_abort_on_overflow: { flag: 'abortOnOverflow' },
  tcp_fastopen: { number: 'fastOpen' },
  tcp_fastopen_key: { texts: 'fastOpenKeys' },
  tcp_fastopen_blackhole_timeout_sec: { number: 'fastOpenPauseMs', times: 1000 },
  tcp_migrate_req: 'ignored',
  tcp_reflect_tos: { only: ['0'] },
  tcp_child_ehash_entries: 'ignored',
  // Time.
  tcp_retries1: { number: 'retries1' },
  tcp_retries2: { number: 'retries' },
  tcp_orphan_retries: { number: 'orphanRetries' },
  tcp_keepalive_time: { number: 'keepAliveIdleMs', times: 1000 },
  tcp_keepalive_intvl: { number: 'keepAliveIntervalMs', times: 1000 },
  tcp_keepalive_probes: { number: 'keepAliveProbes' },
  tcp_fin_timeout: { number: 'finWait2Ms', times: 1000 },
  tcp_rto_min_us: { number: 'rtoMinMs', times: 0.001 },
  tcp_rto_max_ms: { number: 'rtoMaxMs' },
  tcp_pingpong_thresh: { only: ['1'] },
  // TIME-WAIT, resets, attacks.
  tcp_max_tw_buckets: { number: 'maxTimeWait' },
  tcp_tw_reuse: { only: ['1', '2'] },
  tcp_tw_reuse_delay: { number: 'timeWaitReuseMs' },
  tcp_tw_recycle: { only: ['0'] },
  tcp_rfc1337: { flag: 'rfc1337' },
  tcp_challenge_ack_limit: { number: 'challengeAcksPerSecond' },
  tcp_invalid_ratelimit: { number: 'invalidAckIntervalMs' },
  tcp_stdurg: { only: ['0'] },
  tcp_max_orphans: 'ignored',
  tcp_low_latency: 'ignored',
  tcp_l3mdev_accept: 'ignored',
  tcp_ao: 'ignored',
  // The path's MTU.
  tcp_mtu_probing: { number: 'mtuProbing' },
  tcp_base_mss: { number: 'mtuProbeBaseBytes' },
  tcp_mtu_probe_floor: { number: 'mtuProbeFloorBytes' },
  tcp_probe_interval: { number: 'mtuProbeIntervalMs', times: 1000 },
  tcp_probe_threshold: { number: 'mtuProbeThresholdBytes' },
  tcp_min_snd_mss: 'ignored',
  // IP.
  ip_no_pmtu_disc: { only: ['0'] },
  ip_default_ttl: { number: 'ttl', section: 'ipv4', max: 255 },
  ip_local_port_range: { list: ['ephemeralFirst', 'ephemeralLast'] },
  ip_local_reserved_ports: 'ignored',
  ip_forward: 'ignored',
  ip_nonlocal_bind: 'ignored',
  ip_early_demux: 'ignored',
  tcp_early_demux: 'ignored',
  icmp_ratelimit: 'ignored',
  icmp_ratemask: 'ignored',
  icmp_msgs_per_sec: { number: 'errorsPerSecond', section: 'icmp' },
  icmp_msgs_burst: { number: 'errorsBurst', section: 'icmp' },
  'route.min_pmtu': { number: 'pathMtuMin', section: 'ipv4' },
  'route.mtu_expires': { number: 'pathMtuTimeMs', section: 'ipv4', times: 1000 },
  'route.min_adv_mss': 'ignored',
  'route.flush': { effect: { kind: 'flush-metrics' } },
  'conf.all.rp_filter': 'ignored',
  'conf.default.rp_filter': 'ignored',
  'conf.all.accept_local': 'ignored',
  'conf.tun0.rp_filter': 'ignored',
  'conf.tun0.accept_local': 'ignored',
}

/** net.ipv6.conf.INTERFACE: of all, of those to come, and of the one there is. */
const interface6: SysctlTable = {
  hop_limit: { number: 'hopLimit', section: 'ipv6', max: 255 },
  disable_ipv6: { only: ['0'] },
  forwarding: 'ignored',
  // The script's address is there from the beginning, and nobody else is on the link.
  accept_dad: 'ignored',
  dad_transmits: 'ignored',
  optimistic_dad: 'ignored',
  accept_ra: 'ignored',
  autoconf: 'ignored',
  use_tempaddr: 'ignored',
  addr_gen_mode: 'ignored',
  router_solicitations: 'ignored',
  accept_redirects: 'ignored',
  ndisc_notify: 'ignored',
  proxy_ndp: 'ignored',
}

const ipv6: SysctlTable = {
  auto_flowlabels: { choice: { 0: { flowLabels: false }, 1: { flowLabels: true }, 3: { flowLabels: true } }, section: 'ipv6' },
  flowlabel_consistency: 'ignored',
  flowlabel_state_ranges: 'ignored',
  flowlabel_reflect: { only: ['0'] },
  // An option of sockets that nothing else changes.
  bindv6only: { only: ['0'] },
  'icmp.ratelimit': 'ignored',
  'icmp.ratemask': 'ignored',
  'icmp.error_anycast_as_unicast': 'ignored',
  'route.flush': { effect: { kind: 'flush-metrics' } },
  'route.mtu_expires': { number: 'pathMtuTimeMs', section: 'ipv4', times: 1000 },
  'route.min_adv_mss': 'ignored',
  'route.gc_timeout': 'ignored',
  'route.gc_interval': 'ignored',
  'route.max_size': 'ignored',
  'neigh.default.gc_thresh1': 'ignored',
  'neigh.default.gc_thresh2': 'ignored',
  'neigh.default.gc_thresh3': 'ignored',
  ip_nonlocal_bind: 'ignored',
  idgen_delay: 'ignored',
  ip6frag_high_thresh: 'ignored',
  ip6frag_low_thresh: 'ignored',
  ip6frag_time: 'ignored',
  ...Object.fromEntries(
    ['all', 'default', 'tun0'].flatMap((name) => Object.entries(interface6).map(([v, line]) => [`conf.${name}.${v}`, line])),
  ),
}

export const LINUX: SysctlTable = {
  ...Object.fromEntries(Object.entries(ipv6).map(([name, line]) => [`net.ipv6.${name}`, line])),
  ...Object.fromEntries(Object.entries(tcp).map(([name, line]) => [`net.ipv4.${name}`, line])),
  // fq is the discipline that paces; with any other a TCP that does not pace itself sends when it may.
  'net.core.default_qdisc': {
    choice: {
      fq: { pacing: true },
      pfifo: { pacing: false },
      pfifo_fast: { pacing: false },
      bfifo: { pacing: false },
      noqueue: { pacing: false },
      fq_codel: { pacing: false },
      mq: { pacing: false },
    },
  },
  // Parameters of modules, /sys/module/NAME/parameters.
  'module.tcp_cubic.hystart': { choice: { 0: { hystart: 'off' }, 1: { hystart: 'delay' } } },
  'module.tcp_cubic.hystart_detect': {
    choice: { 0: { hystart: 'off' }, 2: { hystart: 'delay' }, 3: { hystart: 'delay' } },
  },
  'module.tcp_cubic.hystart_low_window': 'ignored',
  'module.tcp_cubic.hystart_ack_delta_us': 'ignored',
}
