/** The `--name=value` lines of a script, with packetdrill's defaults. */
import { type Address, address as parse, parseAddress } from '../../base/address.ts'
import type { ScriptOption } from './ast.ts'
import type { Profile } from './profiles.ts'
import { skip } from './stop.ts'

export const IP_VERSIONS = ['ipv4', 'ipv6', 'ipv4-mapped-ipv6'] as const
/** Over which family a script is played: packetdrill's `--ip_version`. */
export type IpVersion = (typeof IP_VERSIONS)[number]

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
  /** What packets are on the wire, and of which family sockets are: `ipv4-mapped-ipv6` has sockets of IPv6 over IPv4. */
  ipVersion: IpVersion
  localAddress: Address
  remoteAddress: Address
  gatewayAddress: Address
  /** Of the network that the local address is on. */
  prefixLength: number
  /** Packets that do not match are told, and do not end the script. */
  packetsMayDiffer: boolean
  syscallsMayDiffer: boolean
}

/** Of the link when nothing is said, and the largest that a packet can fill. */
export const DEFAULT_MTU = 1500
export const MAX_MTU = 65535

/** packetdrill's addresses: private ones for us, those of documentation for the peer (RFC 1918, 4193, 5737, 3849). */
const PLACES4 = {
  localAddress: parse('192.168.0.1'),
  remoteAddress: parse('192.0.2.1'),
  gatewayAddress: parse('192.168.0.2'),
  prefixLength: 16,
}
const PLACES6 = {
  localAddress: parse('fd3d:fa7b:d17d::1'),
  remoteAddress: parse('2001:db8::1'),
  gatewayAddress: parse('fd3d:fa7b:d17d::2'),
  prefixLength: 48,
}

/** `what`: the option, and where it stands unless the caller gave it. */
type Read = (s: Settings, value: string, what: string) => void

const address =
  (name: 'localAddress' | 'remoteAddress' | 'gatewayAddress'): Read =>
  (s, value) => {
    const a = parseAddress(value.split('/')[0])
    if (a === null || a.isV4 !== (s.ipVersion !== 'ipv6')) skip(`--${name}=${value} is no address of ${s.ipVersion}`)
    s[name] = a
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
  ip_version: (s, value) => {
    s.ipVersion = IP_VERSIONS.find((v) => v === value) ?? skip(`--ip_version=${value} is unknown`)
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
  mtu: count('mtu', MAX_MTU),
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
    mtu: DEFAULT_MTU,
    mss: 0,
    bindPort: 8080,
    connectPort: 8080,
    ipVersion: 'ipv4',
    ...PLACES4,
    packetsMayDiffer: false,
    syscallsMayDiffer: false,
    ...profile.settings,
  }
  const isVersion = (o: ScriptOption): boolean => o.name.replaceAll('-', '_') === 'ip_version'
  // What addresses must be follows from the version, wherever that stands.
  for (const { value } of options.filter(isVersion)) OPTIONS.ip_version(s, value, '')
  if (s.ipVersion === 'ipv6') Object.assign(s, PLACES6)
  for (const { name, value, position } of options) {
    const known = name.replaceAll('-', '_')
    const what = `${position.line === 0 ? '' : `line ${position.line}: `}option --${name}`
    if (!Object.hasOwn(OPTIONS, known)) skip(`${what} is not known`)
    OPTIONS[known](s, value, what)
  }
  return s
}
