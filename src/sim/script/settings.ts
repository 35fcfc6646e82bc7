/** The `--name=value` lines of a script, with packetdrill's defaults. */
import { parseIPv4 } from '../../base/address.ts'
import type { ScriptOption } from './ast.ts'
import type { Profile } from './profiles.ts'
import { skip } from './stop.ts'

export interface Settings {
  /** How far from its time a thing may happen. */
  toleranceUs: number
  /** And in per cent of the time since the event before, if that is more (google's packetdrill, for kernels' coarse timers). */
  tolerancePercent: number
  /** What one tick of the stack's timestamps is; 0: their values are not compared. */
  tsTickUs: number
  /** Echo replies of timestamps that were never seen are interpolated. */
  tsEcrScaled: boolean
  /** One packet of the script is one packet of the stack, never several. */
  strictSegments: boolean
  mtu: number
  /** Injected packets that are longer are super-segments of so many bytes each; 0: every packet is one segment. */
  mss: number
  bindPort: number
  connectPort: number
  /** IPv4 words. */
  localAddress: number
  remoteAddress: number
  gatewayAddress: number
  /** Packets that do not match are told, and do not end the script. */
  packetsMayDiffer: boolean
  syscallsMayDiffer: boolean
}

const WORD = (text: string): number => parseIPv4(text) as number

/** `what`: the option, and where it stands unless the caller gave it. */
type Read = (s: Settings, value: string, what: string) => void

const address =
  (name: 'localAddress' | 'remoteAddress' | 'gatewayAddress'): Read =>
  (s, value) => {
    const word = parseIPv4(value.split('/')[0])
    if (word === null) skip(`--${name}=${value} is no IPv4 address`)
    s[name] = word
  }

const count =
  (name: 'toleranceUs' | 'tolerancePercent' | 'tsTickUs' | 'mtu' | 'mss' | 'bindPort' | 'connectPort', max: number): Read =>
  (s, value, what) => {
    const n = Number(value)
    if (value === '' || !(n >= 0 && n <= max)) skip(`${what}: ${value} is not between 0 and ${max}`)
    s[name] = n
  }

const ignored: Read = () => {}

const OPTIONS: { readonly [name: string]: Read } = {
  ip_version: (_, value) => {
    if (value === 'ipv6') skip('IPv6: this stack speaks IPv4 only')
    if (value !== 'ipv4' && value !== 'ipv4-mapped-ipv6') skip(`--ip_version=${value} is unknown`)
  },
  tolerance_usecs: count('toleranceUs', 1e9),
  tolerance_percent: count('tolerancePercent', 1000),
  tcp_ts_tick_usecs: count('tsTickUs', 1e6),
  tcp_ts_ecr_scaled: (s) => {
    s.tsEcrScaled = true
  },
  strict_segments: (s) => {
    s.strictSegments = true
  },
  mtu: count('mtu', 65535),
  mss: count('mss', 65535),
  bind_port: count('bindPort', 65535),
  connect_port: count('connectPort', 65535),
  local_ip: address('localAddress'),
  remote_ip: address('remoteAddress'),
  gateway_ip: address('gatewayAddress'),
  netmask_ip: ignored,
  non_fatal: (s, value) => {
    for (const word of value.split(/[, ]+/)) {
      if (word === 'packet') s.packetsMayDiffer = true
      else if (word === 'syscall') s.syscallsMayDiffer = true
    }
  },
  // What only concerns how packetdrill itself is run.
  speed: ignored,
  code_command: ignored,
  code_format: ignored,
  code_sockopt: ignored,
  init_scripts: ignored,
  debug: ignored,
  verbose: ignored,
  send_omit_free: ignored,
  dry_run: ignored,
  persistent_tun_dev: ignored,
  tun_device: ignored,
}

/** Reads the options in order, later ones over earlier ones. An option that is unknown skips the script. */
export function readSettings(options: readonly ScriptOption[], profile: Profile): Settings {
  const s: Settings = {
    toleranceUs: 4000,
    tolerancePercent: 12.5,
    tsTickUs: 0,
    tsEcrScaled: false,
    strictSegments: false,
    mtu: 1500,
    mss: 0,
    bindPort: 8080,
    connectPort: 8080,
    localAddress: WORD('192.168.0.1'),
    remoteAddress: WORD('192.0.2.1'),
    gatewayAddress: WORD('192.168.0.2'),
    packetsMayDiffer: false,
    syscallsMayDiffer: false,
    ...profile.settings,
  }
  for (const { name, value, position } of options) {
    const known = name.replaceAll('-', '_')
    const what = `${position.line === 0 ? '' : `line ${position.line}: `}option --${name}`
    if (!Object.hasOwn(OPTIONS, known)) skip(`${what} is not known`)
    OPTIONS[known](s, value, what)
  }
  return s
}
