/**
 * The options of DHCP, declared once: name, code, kind of value. Everything that reads or writes an option by name goes by this table;
 * values are plain data (addresses as text), so that a lease can be printed, stored, and given back as it is.
 *
 * Codes are IANA's (RFC 2132 unless another is named).
 */

/** One destination of a classless static route (RFC 3442). A gateway of 0.0.0.0: the destination is on the link. */
export interface RouteOption {
  /** `10.9.0.0/16` */
  destination: string
  gateway: string
}

/** The client's domain name (RFC 4702). */
export interface FqdnOption {
  /** Bits S, O, E, N of section 2.1. */
  flags: number
  name: string
}

/** What each kind of value is in TypeScript. */
export interface OptionKinds {
  ip: string
  /** One or more. */
  ips: string[]
  u8: number
  u16: number
  u32: number
  /** Signed. */
  i32: number
  bool: boolean
  /** There or not: without a value. */
  flag: true
  text: string
  u16s: number[]
  /** Names as DNS has them, compressed (RFC 3397). */
  domains: string[]
  routes: RouteOption[]
  /** Pairs of destination and router. */
  pairs: [string, string][]
  /** Codes of options, as numbers. */
  codes: number[]
  fqdn: FqdnOption
  /** Options inside of an option, by their code: relay agent information (RFC 3046), vendor options. */
  inner: { [code: number]: Uint8Array }
  bytes: Uint8Array
}

export type OptionKind = keyof OptionKinds

export interface OptionType {
  readonly code: number
  readonly kind: OptionKind
}

export const OPTIONS = {
  subnetMask: { code: 1, kind: 'ip' },
  timeOffset: { code: 2, kind: 'i32' },
  routers: { code: 3, kind: 'ips' },
  timeServers: { code: 4, kind: 'ips' },
  domainNameServers: { code: 6, kind: 'ips' },
  logServers: { code: 7, kind: 'ips' },
  hostName: { code: 12, kind: 'text' },
  bootFileSize: { code: 13, kind: 'u16' },
  domainName: { code: 15, kind: 'text' },
  rootPath: { code: 17, kind: 'text' },
  ipForwarding: { code: 19, kind: 'bool' },
  defaultTtl: { code: 23, kind: 'u8' },
  interfaceMtu: { code: 26, kind: 'u16' },
  broadcastAddress: { code: 28, kind: 'ip' },
  staticRoutes: { code: 33, kind: 'pairs' },
  nisDomain: { code: 40, kind: 'text' },
  nisServers: { code: 41, kind: 'ips' },
  ntpServers: { code: 42, kind: 'ips' },
  vendorOptions: { code: 43, kind: 'inner' },
  netbiosNameServers: { code: 44, kind: 'ips' },
  netbiosNodeType: { code: 46, kind: 'u8' },
  requestedAddress: { code: 50, kind: 'ip' },
  leaseTime: { code: 51, kind: 'u32' },
  overload: { code: 52, kind: 'u8' },
  messageType: { code: 53, kind: 'u8' },
  serverIdentifier: { code: 54, kind: 'ip' },
  parameterRequestList: { code: 55, kind: 'codes' },
  message: { code: 56, kind: 'text' },
  maxMessageSize: { code: 57, kind: 'u16' },
  renewalTime: { code: 58, kind: 'u32' },
  rebindingTime: { code: 59, kind: 'u32' },
  vendorClass: { code: 60, kind: 'text' },
  clientIdentifier: { code: 61, kind: 'bytes' },
  smtpServers: { code: 69, kind: 'ips' },
  tftpServerName: { code: 66, kind: 'text' },
  bootFileName: { code: 67, kind: 'text' },
  userClass: { code: 77, kind: 'bytes' },
  /** RFC 4039. */
  rapidCommit: { code: 80, kind: 'flag' },
  /** RFC 4702. */
  clientFqdn: { code: 81, kind: 'fqdn' },
  /** RFC 3046. */
  relayAgentInformation: { code: 82, kind: 'inner' },
  /** RFC 4578: a client's system, for boot servers. */
  clientSystem: { code: 93, kind: 'u16s' },
  /** RFC 4833. */
  posixTimezone: { code: 100, kind: 'text' },
  tzdbTimezone: { code: 101, kind: 'text' },
  /** RFC 8925: seconds without IPv4. */
  ipv6OnlyPreferred: { code: 108, kind: 'u32' },
  /** RFC 8910. */
  captivePortal: { code: 114, kind: 'text' },
  /** RFC 3011. */
  subnetSelection: { code: 118, kind: 'ip' },
  /** RFC 3397. */
  domainSearch: { code: 119, kind: 'domains' },
  /** RFC 3442. */
  classlessRoutes: { code: 121, kind: 'routes' },
  /** RFC 5859. */
  tftpServerAddresses: { code: 150, kind: 'ips' },
  /** What Windows called option 121 before there was one. */
  microsoftClasslessRoutes: { code: 249, kind: 'routes' },
  wpad: { code: 252, kind: 'text' },
} as const satisfies Record<string, OptionType>

/** The name of an option of DHCPv4 that is known by name. */
export type OptionName = keyof typeof OPTIONS
/** The type of the value of an option. */
export type OptionValue<N extends OptionName> = OptionKinds[(typeof OPTIONS)[N]['kind']]
/** Options as plain data, by name. Those without a name have their code as name, and bytes as value. */
export type OptionValues = { [N in OptionName]?: OptionValue<N> } & { [code: number]: Uint8Array }

/** Sub-options of relay agents (RFC 3046, RFC 3527, RFC 5107). */
export const RELAY_LINK_SELECTION = 5
export const RELAY_SERVER_OVERRIDE = 11

const NAMES = new Map<number, OptionName>(Object.entries(OPTIONS).map(([name, { code }]) => [code, name as OptionName]))

/** The name of a code; undefined for those that are not in the table. */
export function optionName(code: number): OptionName | undefined {
  return NAMES.get(code)
}

/** The code of a name, or of a number as text. -1: there is no such option. */
export function optionCode(name: string): number {
  if (Object.hasOwn(OPTIONS, name)) return OPTIONS[name as OptionName].code
  return /^\d{1,3}$/.test(name) && Number(name) > 0 && Number(name) < 255 ? Number(name) : -1
}
