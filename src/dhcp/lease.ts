/** A lease: what a server's ACK says, checked and made plain data. */
import { Address, Prefix } from '../base/address.ts'
import type { DhcpMessage } from './message.ts'
import type { OptionValues, RouteOption } from './options.ts'
import { addressOf } from './values.ts'

/** What an interface has from DHCP, as plain data. Times are milliseconds since 1970; Infinity: never. */
export interface Lease {
  /** `10.0.0.5` */
  address: string
  /** `10.0.0.5/24` */
  prefix: string
  /** The server's identifier: its address. */
  server: string
  /** Default gateways, the preferred first. */
  routers: string[]
  nameservers: string[]
  domain: string | null
  searchDomains: string[]
  ntpServers: string[]
  /** Routes beside the default one, or with it where the server gives classless routes (RFC 3442). */
  routes: RouteOption[]
  /** 0: the server says nothing. */
  mtu: number
  obtainedAt: number
  renewAt: number
  rebindAt: number
  expiresAt: number
  /** Everything that the server said, by name (options.ts). */
  options: OptionValues
}

/** Keeps a lease across restarts, for INIT-REBOOT (RFC 2131 section 3.2). May answer at once or later. */
export interface LeaseStore {
  load(): Lease | null | Promise<Lease | null>
  /** Null: there is none any more. */
  save(lease: Lease | null): void | Promise<void>
}

const INFINITE = 0xffffffff
const FOREVER = Number.POSITIVE_INFINITY

/** Why an ACK is not believed. */
export type LeaseFault = 'address' | 'time'

export interface LeaseTerms {
  /** Milliseconds since 1970 at which the request was sent: the lease begins there (RFC 2131 section 4.4.5). */
  since: number
  defaultSeconds: number
  /** 0 to 1: how much of the random earliness T1 and T2 get. */
  fuzz: number
}

/** Reads an ACK. */
export function leaseOf(ack: DhcpMessage, { since, defaultSeconds, fuzz }: LeaseTerms): Lease | LeaseFault {
  const address = Address.v4(ack.yiaddr)
  const prefix = new Prefix(address, prefixLength(ack, address))
  if (!isHost(prefix)) return 'address'
  const seconds = ack.get('leaseTime') ?? defaultSeconds
  if (seconds === 0) return 'time'
  const isInfinite = seconds === INFINITE
  const [t1, t2] = isInfinite ? [FOREVER, FOREVER] : renewalTimes(ack, seconds, fuzz)
  return {
    address: address.toString(),
    prefix: prefix.toString(),
    ...configurationOf(ack, address),
    obtainedAt: since,
    renewAt: since + t1 * 1000,
    rebindAt: since + t2 * 1000,
    expiresAt: isInfinite ? FOREVER : since + seconds * 1000,
  }
}

/** The answer to an INFORM: no address, no times (RFC 2131 section 4.3.5). `own` is the address that asked. */
export function informationOf(ack: DhcpMessage, own: Prefix, since: number): Lease {
  return {
    address: own.address.toString(),
    prefix: own.toString(),
    ...configurationOf(ack, own.address),
    obtainedAt: since,
    renewAt: FOREVER,
    rebindAt: FOREVER,
    expiresAt: FOREVER,
  }
}

type Configuration = Omit<Lease, 'address' | 'prefix' | 'obtainedAt' | 'renewAt' | 'rebindAt' | 'expiresAt'>

function configurationOf(ack: DhcpMessage, own: Address): Configuration {
  const domain = ack.get('domainName') ?? null
  // RFC 3442: a client that understands classless routes ignores the routers and the static routes of old.
  const classless = ack.get('classlessRoutes') ?? ack.get('microsoftClasslessRoutes')
  const gateways = classless === undefined ? hosts(ack.get('routers'), own) : []
  const old = classless === undefined ? (ack.get('staticRoutes') ?? []) : []
  const routes = (classless ?? old.map(classful)).filter(
    ({ gateway }) => gateway === '0.0.0.0' || hosts([gateway], own).length > 0,
  )
  const isDefault = ({ destination, gateway }: RouteOption): boolean => destination === '0.0.0.0/0' && gateway !== '0.0.0.0'
  return {
    server: ack.get('serverIdentifier') ?? '',
    routers: [...gateways, ...routes.filter(isDefault).map((r) => r.gateway)],
    nameservers: ack.get('domainNameServers') ?? [],
    domain,
    // Several names stand in option 15 where servers are older than option 119, separated by blanks.
    searchDomains: ack.get('domainSearch') ?? (domain === null ? [] : domain.split(/\s+/).filter((d) => /^[\w.-]+$/.test(d))),
    ntpServers: ack.get('ntpServers') ?? [],
    routes: routes.filter((r) => !isDefault(r)),
    mtu: ack.get('interfaceMtu') ?? 0,
    options: ack.values(),
  }
}

/** T1 and T2 in seconds, the server's if they can be, else RFC 2131's with some random earliness (section 4.4.5). */
function renewalTimes(ack: DhcpMessage, lease: number, fuzz: number): [number, number] {
  const t1 = ack.get('renewalTime') ?? 0
  const t2 = ack.get('rebindingTime') ?? 0
  const early = fuzz * 0.02 * lease
  const rebind = t2 > 0 && t2 < lease ? t2 : 0.875 * lease - early
  const renew = t1 > 0 && t1 < rebind ? t1 : Math.min(0.5 * lease - early, rebind)
  return [renew, rebind]
}

/** That of the mask; without one, or with one that is none, that of the address's class (RFC 950; as udhcpc and dhclient have it). */
function prefixLength(ack: DhcpMessage, address: Address): number {
  const text = ack.get('subnetMask')
  if (text !== undefined) {
    const mask = addressOf(text).w3
    const length = Math.clz32(~mask)
    if (mask !== 0 && (length === 32 || mask << length === 0)) return length
  }
  const top = address.w3 >>> 24
  return top < 128 ? 8 : top < 192 ? 16 : 24
}

/** An IPv4 address that may be a host's, whatever its network is (RFC 1122 section 3.2.1.3). */
export function isHostWord(word: number): boolean {
  const top = word >>> 24
  return top !== 0 && top !== 127 && top < 224
}

/** The same in its network: neither its first address nor its last. */
function isHost({ address, broadcast, network }: Prefix): boolean {
  if (!isHostWord(address.w3)) return false
  return broadcast === null || !(broadcast.equals(address) || network.address.equals(address))
}

/** Those that can be somebody's, and are not ours: a gateway at our own address leads nowhere. */
function hosts(list: readonly string[] | undefined, own: Address): string[] {
  return (list ?? []).filter((text) => {
    const a = addressOf(text)
    return isHostWord(a.w3) && !a.equals(own)
  })
}

function classful([destination, gateway]: [string, string]): RouteOption {
  const word = addressOf(destination).w3
  const length = word === 0 ? 0 : (word & 0xff) !== 0 ? 32 : word >>> 24 < 128 ? 8 : word >>> 24 < 192 ? 16 : 24
  return { destination: new Prefix(Address.v4(word), length).network.toString(), gateway }
}
