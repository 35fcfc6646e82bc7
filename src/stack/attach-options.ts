/** How an interface is attached, and what it looks like from outside. */
import type { DhcpOptions } from '../dhcp/client-options.ts'
import type { Dhcp6Options } from '../dhcp6/client-options.ts'

/** What an interface is to be: its name, addresses, and who configures it. */
export interface AttachOptions {
  /** `eth0`, `eth1`, ... (or `tun0`, ... without Ethernet) when left out. */
  name?: string
  /** `02:00:00:00:00:02` or 6 bytes. A random local one when left out, unless the link insists on its own. */
  mac?: string | Uint8Array
  /** `10.0.0.2/24`, ... */
  addresses?: readonly string[]
  /** Default gateways, one per family. */
  gateway?: string | readonly string[]
  /** At most the link's own. */
  mtu?: number
  /**
   * Make sure that nobody has the addresses before using them, which takes seconds: RFC 5227, RFC 4862. Default: the options `arp.probe`
   * (IPv4) and `nd.dadTransmits` (IPv6, unless it is 0).
   */
  probe?: boolean
  /** Gives the interface a link-local address even when no IPv6 address is given. */
  ipv6?: boolean
  /** Metric of the routes that `gateway` makes. */
  metric?: number
  /**
   * Has its IPv4 address, routes and DNS servers from a DHCP server. `ready` waits for the first lease and rejects with ETIMEDOUT when there is none
   * within `dhcp.timeoutMs`; the client goes on. Ethernet only: EOPNOTSUPP.
   */
  dhcp?: boolean | DhcpOptions
  /**
   * Has IPv6 addresses, delegated prefixes and DNS servers from a DHCPv6 server. `ready` waits for the first lease, as with `dhcp`. Left out, an
   * interface with `slaac` does as its routers say; false: it does not. Routes, and what is on the link, are never of DHCPv6: `acceptRa` or
   * `slaac` has them. Ethernet only: EOPNOTSUPP.
   */
  dhcp6?: boolean | Dhcp6Options
  /**
   * Listens to routers (RFC 4861) and makes addresses of the prefixes that they announce (RFC 4862). `ready` waits for those of the first, and rejects
   * with ETIMEDOUT when no router is heard within `nd.slaacTimeoutMs`, EADDRNOTAVAIL when they announce no prefix. Ethernet only: EOPNOTSUPP.
   */
  slaac?: boolean
  /** Listens to routers, for routes, DNS servers and what holds for the link, without making addresses. */
  acceptRa?: boolean
}

/** How an address is given. */
export interface AddressOptions {
  /** See `AttachOptions.probe`. */
  probe?: boolean
  /** Seconds until the address is taken away; for ever when left out. */
  validSeconds?: number
  /** Seconds until it is deprecated: no longer chosen for what is new. For ever when left out. */
  preferredSeconds?: number
}

/** An interface as plain data: what JSON.stringify makes of it. */
export interface InterfaceSummary {
  name: string
  index: number
  mac: string | null
  mtu: number
  up: boolean
  addresses: string[]
  link: string
  /** Name of the interface that this one is a VLAN of. */
  parent: string | null
}
