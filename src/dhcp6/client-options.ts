/** What a DHCPv6 client is told by its user, and the messages that come of it. */
import { parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import { MOST_MS, verifyRanges } from '../base/range.ts'
import { duidLl, duidLlt, isDuid, parseDuid } from './duid.ts'
import type { Lease6, Lease6Store, Wanted6 } from './lease.ts'
import { Dhcp6Message } from './message.ts'
import { OPTIONS6, type Option6Name, type Option6Values } from './options.ts'
import { type RawOptions, rawOptions } from './values.ts'
import { INFORMATION_REQUEST, REBIND, RENEW, REQUEST, SOLICIT } from './wire.ts'

/** What becomes of a delegated prefix: a /64 of it on another interface. */
export interface DelegateOptions {
  /** Name of the interface. */
  to: string
  /** Which of the networks of 64 bits in the prefix, from 0. By the order of the list when left out. */
  subnet?: number
  /** The interface's address there: `::1` when left out. */
  host?: string
  /** Make it known to hosts there by router advertisements. True when left out. */
  advertise?: boolean
}

/** `attach(link, { dhcp6: { prefix: '::/56', delegate: { to: 'eth1' } } })`. */
export interface Dhcp6Options {
  /** Ask for DNS servers and the like only, not for an address (RFC 8415 section 6.1). */
  stateless?: boolean
  /** Ask for an address. `2001:db8::7`: the one that is hoped for. True when left out, unless a prefix is asked for. */
  address?: boolean | string
  /** Ask for a prefix to give on (IA_PD). `::/56`: how long it is to be; `2001:db8:1::/56`: the one that is hoped for. */
  prefix?: boolean | string
  /** Use that prefix on other interfaces. */
  delegate?: DelegateOptions | readonly DelegateOptions[]
  /**
   * Who we are to servers: `ll` (made of the MAC address), `llt` (of the MAC address and the time; needs a store to stay the same), or a DUID as bytes or text.
   * `ll` when left out; the one in the store comes first.
   */
  duid?: 'll' | 'llt' | Uint8Array | string
  /** The number of our associations. The interface's when left out. */
  iaid?: number
  /** Our name, which the server is to enter into the DNS (RFC 4704). */
  fqdn?: string
  /** Options 15 and 16. Texts are sent as they are. */
  userClass?: readonly string[]
  vendorClass?: { enterprise: number; data: readonly string[] }
  /** Asked for besides the usual ones. */
  request?: readonly Option6Name[]
  /** Sent besides. */
  options?: Option6Values
  /** Two messages in place of four, where the server can (RFC 8415 section 21.14). */
  rapidCommit?: boolean
  /** Make sure that nobody has an address before it is used (RFC 4862); a conflict is declined. As for other addresses when left out. */
  probe?: boolean
  /** Keeps lease and DUID across restarts. */
  store?: Lease6Store
  /** Tell the server when the interface is closed. True when left out, unless there is a store: then the lease is kept for the next time. */
  release?: boolean
  /** `ready` rejects after this; the client goes on. Configuration `dhcp6.timeoutMs` when left out. */
  timeoutMs?: number
}

const USUAL: readonly Option6Name[] = ['dnsServers', 'domainSearch', 'ntpServer', 'sntpServers', 'captivePortal']
/** The messages that have an option request (RFC 8415 section 21.7). */
const ASKING = new Set<number>([SOLICIT, REQUEST, RENEW, REBIND, INFORMATION_REQUEST])
/** S of RFC 4704 section 4.1: the server updates the DNS. */
const FQDN_S = 1

/** Our DUID. Throws ERR_INVALID_ARG_VALUE. `now`: milliseconds since 1970. */
export function ownDuid(wanted: Dhcp6Options['duid'], mac: Uint8Array, now: number): Uint8Array {
  if (wanted === undefined || wanted === 'll') return duidLl(mac)
  if (wanted === 'llt') return duidLlt(mac, Math.floor(now / 1000))
  const duid = typeof wanted === 'string' ? parseDuid(wanted) : wanted
  if (duid === null || !isDuid(duid)) throw invalidArgument(`duid: ${String(wanted)} is no DUID of 3 to 130 bytes`)
  return duid.slice()
}

/** Makes messages of one client. */
export class Client6Messages {
  readonly iaid: number
  readonly wantsAddress: boolean
  readonly wantsPrefix: boolean
  private readonly named: RawOptions
  private readonly asked: number[]

  /** Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS for options that cannot be sent. */
  constructor(
    public duid: Uint8Array,
    private readonly options: Dhcp6Options,
    index: number,
  ) {
    const { stateless = false, prefix = false, address = prefix === false, fqdn, userClass, vendorClass } = options
    this.iaid = options.iaid ?? index
    this.wantsAddress = !stateless && address !== false
    this.wantsPrefix = !stateless && prefix !== false
    if (!(stateless || this.wantsAddress || this.wantsPrefix))
      throw invalidArgument('dhcp6: neither an address nor a prefix is asked for: say stateless')
    this.asked = [...new Set([...USUAL, ...(options.request ?? [])])].map((name) => OPTIONS6[name].code)
    const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))
    this.named = rawOptions({
      ...options.options,
      ...(userClass !== undefined && { userClass: userClass.map(bytes) }),
      ...(vendorClass !== undefined && {
        vendorClass: [{ enterprise: vendorClass.enterprise, data: vendorClass.data.map(bytes) }],
      }),
      // RFC 4704 section 4.2: one with dots is whole.
      ...(fqdn !== undefined && {
        clientFqdn: { flags: FQDN_S, name: fqdn.includes('.') ? `${fqdn.replace(/\.$/, '')}.` : fqdn },
      }),
    })
    if (typeof address === 'string' && parseAddress(address)?.isV4 !== false)
      throw invalidArgument(`option dhcp6.address: ${address} is no IPv6 address`)
    if (typeof prefix === 'string' && parsePrefix(prefix).address.isV4)
      throw invalidArgument(`option dhcp6.prefix: ${prefix} is no IPv6 prefix, as in ::/56`)
    const { timeoutMs = 1 } = options
    verifyRanges('dhcp6', { timeoutMs }, { timeoutMs: [1, MOST_MS] })
    this.make(SOLICIT, 0, 0, this.hints(null)) // so that what cannot be said throws now
  }

  /** What is hoped for: what there was, or what the user named. */
  hints(had: Lease6 | null): Wanted6 {
    const { address, prefix } = this.options
    const addresses = had?.addresses.map((a) => a.address) ?? []
    const prefixes = had?.prefixes.map((p) => p.prefix) ?? []
    return {
      addresses: addresses.length === 0 && typeof address === 'string' ? [address] : addresses,
      prefixes: prefixes.length === 0 && typeof prefix === 'string' ? [prefix] : prefixes,
    }
  }

  /**
   * A message of `type` about `wanted`. Those that ask for something say what, and have the associations that are wanted even where there is
   * nothing in them yet (section 18.2.4).
   */
  make(type: number, xid: number, elapsed: number, wanted: Wanted6 | null): Dhcp6Message {
    const m = new Dhcp6Message(type, xid).set('clientId', this.duid).set('elapsedTime', elapsed)
    const isAsking = ASKING.has(type)
    if (isAsking) {
      for (const [code, list] of this.named) m.options.set(code, list)
      m.set('optionRequest', this.askedBy(type))
    }
    if (wanted === null) return m
    const none = { t1: 0, t2: 0, iaid: this.iaid }
    const life = { preferred: 0, valid: 0, options: {} } // section 18.2.4: servers know better
    const { addresses, prefixes } = wanted
    if (addresses.length > 0 || (isAsking && this.wantsAddress))
      m.add('iaNa', {
        ...none,
        options: addresses.length === 0 ? {} : { iaAddress: addresses.map((address) => ({ address, ...life })) },
      })
    if (prefixes.length > 0 || (isAsking && this.wantsPrefix))
      m.add('iaPd', {
        ...none,
        options: prefixes.length === 0 ? {} : { iaPrefix: prefixes.map((prefix) => ({ prefix, ...life })) },
      })
    if (type === SOLICIT && this.options.rapidCommit === true) m.set('rapidCommit', true)
    return m
  }

  /** Sections 18.2.1 and 18.2.6: the limits of repetition are always asked for. */
  private askedBy(type: number): number[] {
    if (type !== INFORMATION_REQUEST) return [...this.asked, OPTIONS6.solMaxRt.code]
    return [...this.asked, OPTIONS6.informationRefreshTime.code, OPTIONS6.infMaxRt.code]
  }
}
