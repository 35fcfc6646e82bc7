/**
 * What becomes of prefixes that a DHCPv6 server delegates to us (RFC 8415 section 6.3, RFC 7084): on other interfaces an address of a /64 of each, made known
 * to the hosts there; and for the rest a route that says unreachable, so that what nobody here has does not go back to who sent it (RFC 7084
 * WPD-5).
 *
 * Theory of operation. `update` is told what there is, and makes it so: what is new is given, what is known gets its new lifetimes, what is gone
 * is taken away, and routers.ts tells hosts that it is deprecated. Nothing here keeps time: addresses end by themselves, leases by their client.
 */
import { Address, Prefix, address as parseAddress, prefix as parsePrefix } from '../base/address.ts'
import { invalidArgument } from '../base/errors.ts'
import type { DelegateOptions } from '../dhcp6/client-options.ts'
import type { Lease6 } from '../dhcp6/lease.ts'
import type { InterfaceAddress } from '../ip/interface.ts'
import type { RouteEntry } from '../ip/route.ts'
import { removeRoutes } from '../ip/tables.ts'
import type { AttachedInterface } from './attached.ts'
import type { Stack } from './stack.ts'

/** Behind whatever else there is for the same prefix. Linux gives its own routes of IPv6 this metric. */
const METRIC = 1024
const NETWORK_BITS = 64

interface Given {
  attached: AttachedInterface
  own: InterfaceAddress
  /** `2001:db8:1:7::1/64` */
  text: string
}

interface Place {
  to: string
  subnet: number
  host: Address
  advertise: boolean
}

export class Delegation {
  private readonly places: Place[]
  private readonly routes = new Map<string, RouteEntry>()
  private given: Given[] = []
  /** Interfaces that advertise for us. */
  private readonly advertising = new Set<AttachedInterface>()

  /** `failed` is called for each /64 that could not be given. Throws ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
  constructor(
    private readonly stack: Stack,
    options: DelegateOptions | readonly DelegateOptions[],
    private readonly failed: () => void,
  ) {
    this.places = [options].flat().map(({ to, subnet, host = '::1', advertise = true }: DelegateOptions, i) => {
      const number = subnet ?? i
      if (!Number.isInteger(number) || number < 0 || number > 0xffff_ffff)
        throw invalidArgument(`delegate.subnet: ${number} is no number of a network`)
      return { to, subnet: number, host: parseAddress(host), advertise }
    })
  }

  /** From now on it is this that we have; null: nothing. `now` as in the lease. */
  update(lease: Lease6 | null, now: number): void {
    const prefixes = lease?.prefixes ?? []
    this.route(prefixes.map((p) => p.prefix))
    const before = this.given
    this.given = []
    for (const { prefix, validUntil, preferredUntil } of prefixes) {
      const validSeconds = (validUntil - now) / 1000
      const preferredSeconds = Math.max(0, preferredUntil - now) / 1000
      for (const place of this.places) this.give(parsePrefix(prefix), place, validSeconds, preferredSeconds, before)
    }
    for (const old of before) {
      const { attached, own, text } = old
      if (!this.given.some((g) => g.own === own) && attached.iface.addresses.includes(own)) attached.removeAddress(text)
    }
    this.announce(lease)
  }

  private give(delegated: Prefix, place: Place, validSeconds: number, preferredSeconds: number, before: Given[]): void {
    const attached = this.stack.interfaces.find((a) => a.name === place.to)
    const network = networkOf(delegated, place)
    if (attached === undefined || network === null) {
      this.failed()
      return
    }
    const text = `${network}`
    let one = before.find((g) => g.attached === attached && g.text === text && attached.iface.addresses.includes(g.own))
    if (one === undefined) {
      try {
        attached.giveAddress(network, { validSeconds, preferredSeconds }, null).catch(() => undefined)
      } catch {
        this.failed() // somebody gave it the same address by hand, or it is too narrow for IPv6
        return
      }
      one = { attached, own: attached.iface.addresses.find((a) => a.address.equals(network.address))!, text }
    } else attached.setLifetime(one.own, validSeconds, preferredSeconds)
    this.given.push(one)
  }

  /** Hosts are told what has changed; DNS servers of the link that the prefix came from are known to nobody else. */
  private announce(lease: Lease6 | null): void {
    const rdnss = (lease?.nameservers ?? []).filter((text) => !parseAddress(text).isLinkLocal)
    const dnssl = lease?.searchDomains ?? []
    for (const { to, advertise } of this.places) {
      const attached = this.stack.interfaces.find((a) => a.name === to)
      if (attached === undefined || !advertise) continue
      const { routers } = this.stack
      // Who advertises by the words of the user goes on with them.
      if (routers.advertises(attached.iface) && !this.advertising.has(attached)) routers.prefixesChanged(attached.iface)
      else if (this.advertising.has(attached) || this.given.some((g) => g.attached === attached)) {
        try {
          attached.advertise({ rdnss, dnssl })
          this.advertising.add(attached)
        } catch {
          this.failed() // it listens to routers, or has no Ethernet
        }
      }
    }
  }

  /** RFC 7084 WPD-5. */
  private route(prefixes: readonly string[]): void {
    const { ipLayer: ip } = this.stack
    for (const [text, entry] of this.routes) {
      if (prefixes.includes(text)) continue
      removeRoutes(ip, (e) => e === entry)
      this.routes.delete(text)
    }
    for (const text of prefixes) {
      if (this.routes.has(text)) continue
      const hop = { gateway: null, iface: ip.loopback!, source: null }
      const entry: RouteEntry = { ...hop, prefix: parsePrefix(text), metric: METRIC, origin: 'dhcp', kind: 'unreachable' }
      ip.routes.add(entry)
      this.routes.set(text, entry)
    }
    ip.changed()
  }
}

/** The address in network number `subnet` of a prefix; null: it has not so many. */
function networkOf({ address: a, length }: Prefix, { subnet, host }: Place): Prefix | null {
  const bits = NETWORK_BITS - length
  if (bits < 0 || subnet >= 2 ** bits) return null
  return new Prefix(new Address(a.w0, a.w1 | subnet, host.w2, host.w3), NETWORK_BITS)
}
