/**
 * The options of DHCPv6, declared once: name, code, kind of value, and whether there may be several of it. Everything that reads or writes an
 * option by name goes by this table; values are plain data (addresses as text), so that a lease can be printed, stored, and given back as it is.
 *
 * Codes are IANA's (RFC 8415 section 21 unless another is named).
 */

/** A duration in seconds that does not end (RFC 8415 section 7.7). */
export const INFINITE_SECONDS = 0xffffffff

/** IA_NA and IA_PD (RFC 8415 sections 21.4, 21.21). Times in seconds; 0: the client chooses. */
export interface AssociationValue {
  iaid: number
  t1: number
  t2: number
  options: Option6Values
}

/** IA_TA (section 21.5). */
export interface TemporaryValue {
  iaid: number
  options: Option6Values
}

/** An address in an association (section 21.6). Lifetimes in seconds. */
export interface IaAddressValue {
  address: string
  preferred: number
  valid: number
  options: Option6Values
}

/** A delegated prefix in an association (section 21.22). */
export interface IaPrefixValue {
  /** `2001:db8:1::/56` */
  prefix: string
  preferred: number
  valid: number
  options: Option6Values
}

/** Section 21.13. */
export interface StatusValue {
  code: number
  message: string
}

/** The client's domain name (RFC 4704). */
export interface Fqdn6Value {
  /** Bits S, O, N of section 4.1. */
  flags: number
  /** Partial when it has no dot at its end: servers complete it. */
  name: string
}

/** Something of a vendor, by its IANA enterprise number: class data (section 21.16). */
export interface VendorClassValue {
  enterprise: number
  data: Uint8Array[]
}

/** Options of a vendor, by code (section 21.17). */
export interface VendorOptionsValue {
  enterprise: number
  options: { [code: number]: Uint8Array }
}

/** A relay's name for who asked (RFC 4649). */
export interface RemoteIdValue {
  enterprise: number
  id: Uint8Array
}

/** One source of time, in one of three ways (RFC 5908). */
export interface NtpValue {
  address?: string
  multicast?: string
  name?: string
}

/** What each kind of value is in TypeScript. */
export interface Option6Kinds {
  ip: string
  /** One or more. */
  ips: string[]
  u8: number
  u16: number
  u32: number
  /** There or not: without a value. */
  flag: true
  text: string
  u16s: number[]
  /** Names as DNS has them, never compressed (RFC 8415 section 10). */
  domains: string[]
  domain: string
  /** Pieces of bytes, each with its length before it. */
  pieces: Uint8Array[]
  bytes: Uint8Array
  duid: Uint8Array
  association: AssociationValue
  temporary: TemporaryValue
  iaAddress: IaAddressValue
  iaPrefix: IaPrefixValue
  status: StatusValue
  fqdn: Fqdn6Value
  vendorClass: VendorClassValue
  vendorOptions: VendorOptionsValue
  remoteId: RemoteIdValue
  ntp: NtpValue
}

export type Option6Kind = keyof Option6Kinds

export interface Option6Type {
  readonly code: number
  readonly kind: Option6Kind
  /** There may be several of it in one place. */
  readonly many?: true
}

export const OPTIONS6 = {
  clientId: { code: 1, kind: 'duid' },
  serverId: { code: 2, kind: 'duid' },
  iaNa: { code: 3, kind: 'association', many: true },
  iaTa: { code: 4, kind: 'temporary', many: true },
  iaAddress: { code: 5, kind: 'iaAddress', many: true },
  optionRequest: { code: 6, kind: 'u16s' },
  preference: { code: 7, kind: 'u8' },
  /** Hundredths of a second. */
  elapsedTime: { code: 8, kind: 'u16' },
  relayMessage: { code: 9, kind: 'bytes' },
  authentication: { code: 11, kind: 'bytes' },
  serverUnicast: { code: 12, kind: 'ip' },
  status: { code: 13, kind: 'status' },
  rapidCommit: { code: 14, kind: 'flag' },
  userClass: { code: 15, kind: 'pieces' },
  vendorClass: { code: 16, kind: 'vendorClass', many: true },
  vendorOptions: { code: 17, kind: 'vendorOptions', many: true },
  interfaceId: { code: 18, kind: 'bytes' },
  reconfigureMessage: { code: 19, kind: 'u8' },
  reconfigureAccept: { code: 20, kind: 'flag' },
  /** RFC 3319. */
  sipDomains: { code: 21, kind: 'domains' },
  sipServers: { code: 22, kind: 'ips' },
  /** RFC 3646. */
  dnsServers: { code: 23, kind: 'ips' },
  domainSearch: { code: 24, kind: 'domains' },
  iaPd: { code: 25, kind: 'association', many: true },
  iaPrefix: { code: 26, kind: 'iaPrefix', many: true },
  /** RFC 3898. */
  nisServers: { code: 27, kind: 'ips' },
  nisDomain: { code: 29, kind: 'domain' },
  /** RFC 4075. */
  sntpServers: { code: 31, kind: 'ips' },
  informationRefreshTime: { code: 32, kind: 'u32' },
  /** RFC 4649. */
  remoteId: { code: 37, kind: 'remoteId' },
  /** RFC 4580. */
  subscriberId: { code: 38, kind: 'bytes' },
  /** RFC 4704. */
  clientFqdn: { code: 39, kind: 'fqdn' },
  /** RFC 4833. */
  posixTimezone: { code: 41, kind: 'text' },
  tzdbTimezone: { code: 42, kind: 'text' },
  /** RFC 4994: what a relay wants to have back. */
  echoRequest: { code: 43, kind: 'u16s' },
  /** RFC 5908. */
  ntpServer: { code: 56, kind: 'ntp', many: true },
  /** RFC 5970. */
  bootFileUrl: { code: 59, kind: 'text' },
  bootFileParameters: { code: 60, kind: 'pieces' },
  clientArchitecture: { code: 61, kind: 'u16s' },
  /** RFC 6334. */
  aftrName: { code: 64, kind: 'domain' },
  /** RFC 6939: two bytes of the kind of link, and the address. */
  clientLinkLayer: { code: 79, kind: 'bytes' },
  solMaxRt: { code: 82, kind: 'u32' },
  infMaxRt: { code: 83, kind: 'u32' },
  /** RFC 8910. */
  captivePortal: { code: 103, kind: 'text' },
  /** RFC 8357. */
  relayPort: { code: 135, kind: 'u16' },
} as const satisfies Record<string, Option6Type>

/** The name of an option of DHCPv6 that is known by name. */
export type Option6Name = keyof typeof OPTIONS6
/** The type of the value of an option. */
export type Option6Value<N extends Option6Name> = Option6Kinds[(typeof OPTIONS6)[N]['kind']]
/** What stands for it in plain data: a list where there may be several. */
export type Option6Data<N extends Option6Name> = (typeof OPTIONS6)[N] extends { many: true } ? Option6Value<N>[] : Option6Value<N>
/** Options as plain data, by name. Those without a name have their code as name, and bytes as value. */
export type Option6Values = { [N in Option6Name]?: Option6Data<N> } & { [code: number]: Uint8Array }

/** Codes of the status option (section 21.13). */
export const Status6 = {
  SUCCESS: 0,
  UNSPEC_FAIL: 1,
  NO_ADDRS_AVAIL: 2,
  NO_BINDING: 3,
  NOT_ON_LINK: 4,
  USE_MULTICAST: 5,
  NO_PREFIX_AVAIL: 6,
} as const

const NAMES = new Map<number, Option6Name>(Object.entries(OPTIONS6).map(([name, { code }]) => [code, name as Option6Name]))

/** The name of a code; undefined for those that are not in the table. */
export function option6Name(code: number): Option6Name | undefined {
  return NAMES.get(code)
}

/** The code of a name, or of a number as text. -1: there is no such option. */
export function option6Code(name: string): number {
  if (Object.hasOwn(OPTIONS6, name)) return OPTIONS6[name as Option6Name].code
  return /^\d{1,5}$/.test(name) && Number(name) > 0 && Number(name) <= 0xffff ? Number(name) : -1
}

/** Whether there may be several of it. */
export function isMany(name: Option6Name): boolean {
  return (OPTIONS6[name] as Option6Type).many === true
}
