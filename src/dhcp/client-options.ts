/** What a DHCP client is told by its user, and the messages that come of it. */
import { parseIPv4 } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import { MOST_MS, verifyRanges } from '../base/range.ts'
import type { LeaseStore } from './lease.ts'
import { isHostWord } from './lease.ts'
import { BOOTREQUEST, DhcpMessage, optionBytes } from './message.ts'
import { OPTIONS, type OptionName, type OptionValues } from './options.ts'

/** `attach(link, { dhcp: { hostname: 'lab', store } })`. */
export interface DhcpOptions {
  /** Told to the server (option 12). */
  hostname?: string
  /** The full name, which the server is to enter into the DNS (RFC 4702); in place of `hostname`. */
  fqdn?: string
  /**
   * Who we are to the server: `mac` (1 and the MAC address, as everybody), `duid` (RFC 4361, a DUID made of the MAC address), `none`, or bytes of
   * one's own, the type first. `mac` when left out.
   */
  clientId?: 'mac' | 'duid' | 'none' | Uint8Array
  /** Option 60. */
  vendorClass?: string
  /** The address that is hoped for: `10.0.0.7`. */
  address?: string
  /** Asked for besides the usual ones. */
  request?: readonly OptionName[]
  /** Sent besides. */
  options?: OptionValues
  /** Two messages in place of four, where the server can (RFC 4039). */
  rapidCommit?: boolean
  /** Have the server broadcast its answers: for links that lose packets to addresses which are not ours yet. */
  broadcast?: boolean
  /** Make sure that nobody has the address before it is used, 5 to 8 s (RFC 5227); a conflict is declined. True when left out. */
  probe?: boolean
  /** Ask for everything but an address, for one that is given (INFORM). */
  inform?: boolean
  /** Without a server use an address of 169.254/16 (RFC 3927) until there is one. */
  linkLocal?: boolean
  /** Keeps the lease across restarts. */
  store?: LeaseStore
  /** Tell the server when the interface is closed. True when left out, unless there is a store: then the lease is kept for the next time. */
  release?: boolean
  /** `ready` rejects after this; the client goes on. Configuration `dhcp.timeoutMs` when left out. */
  timeoutMs?: number
}

/** RFC 3442: classless routes are asked for before routers and static routes. */
const USUAL: readonly OptionName[] = [
  'subnetMask',
  'classlessRoutes',
  'routers',
  'staticRoutes',
  'domainNameServers',
  'domainName',
  'domainSearch',
  'hostName',
  'interfaceMtu',
  'broadcastAddress',
  'ntpServers',
  'leaseTime',
  'renewalTime',
  'rebindingTime',
]

const DUID_LL = 3
/** S and E of RFC 4702: the server updates the DNS; the name is in the form of DNS. */
const FQDN_FLAGS = 5

/** Makes messages of one client. */
export class ClientMessages {
  private readonly asked: number[]
  private readonly common: Map<number, Uint8Array>
  private readonly named: Map<number, Uint8Array>

  /** Throws ERR_INVALID_ARG_VALUE for options that cannot be sent. */
  constructor(
    private readonly mac: Uint8Array,
    private readonly options: DhcpOptions,
    private readonly index: number,
  ) {
    this.asked = [...new Set([...USUAL, ...(options.request ?? [])])].map((name) => OPTIONS[name].code)
    const id = this.clientId()
    this.common = optionBytes({ ...(id !== null && { clientIdentifier: id }) })
    const { hostname, fqdn, vendorClass, address, timeoutMs = 1 } = options
    const word = address === undefined ? null : parseIPv4(address)
    if (address !== undefined && (word === null || !isHostWord(word)))
      throw invalidArgument(`option dhcp.address: ${address} is no IPv4 address of a host`)
    verifyRanges('dhcp', { timeoutMs }, { timeoutMs: [1, MOST_MS] })
    this.named = optionBytes({
      ...options.options,
      ...(vendorClass !== undefined && { vendorClass }),
      // RFC 4702 section 3.1: not both names.
      ...(hostname !== undefined && fqdn === undefined && { hostName: hostname }),
      ...(fqdn !== undefined && { clientFqdn: { flags: FQDN_FLAGS, name: fqdn } }),
    })
  }

  /** A message of `type`. Those that ask for something say what. `mtu`: the largest IP packet. */
  make(type: number, xid: number, secs: number, asks: boolean, mtu: number): DhcpMessage {
    const m = new DhcpMessage()
    m.op = BOOTREQUEST
    m.xid = xid
    m.secs = Math.min(0xffff, secs)
    m.chaddr = this.mac.slice()
    m.set('messageType', type)
    for (const [code, bytes] of this.common) m.options.set(code, bytes)
    if (asks) {
      m.broadcast = this.options.broadcast === true
      for (const [code, bytes] of this.named) m.options.set(code, bytes)
      m.set('maxMessageSize', Math.max(576, Math.min(1500, mtu)))
      m.set('parameterRequestList', this.asked)
    }
    return m
  }

  private clientId(): Uint8Array | null {
    const { mac, index } = this
    const kind = this.options.clientId ?? 'mac'
    if (kind === 'none') return null
    if (kind === 'mac') return Uint8Array.of(1, ...mac)
    // RFC 4361 section 6.1: type 255, the interface's number, the DUID; DUID-LL of RFC 8415 section 11.4.
    if (kind === 'duid') return Uint8Array.of(255, 0, 0, index >> 8, index & 255, 0, DUID_LL, 0, 1, ...mac)
    return kind.slice()
  }
}
