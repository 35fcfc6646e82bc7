/** What a DNS server is told by its user. */
import type { AccessRule } from './access.ts'
import type { ForwardOption } from './forwarder.ts'
import type { LeaseSource } from './leases.ts'
import type { Zone, ZoneSource } from './zone.ts'

export interface DnsServerOptions {
  /** 53 when left out. 0: an ephemeral one. */
  port?: number
  /** Zones by name: `{ 'lab.test': { www: { A: '10.0.0.5' } } }`, or the text of a master file; or zones, or texts whose SOA says what they are. */
  zones?: { readonly [name: string]: ZoneSource } | readonly (Zone | string)[]
  /** What is in no zone of ours is asked of others: of the stack's own servers (true), of these, or of these by domain. Nobody when left out. */
  forward?: ForwardOption
  /** The text of a hosts(5) file. */
  hosts?: string
  /** Names of addresses (PTR) are made of the addresses of zones, hosts and leases. True when left out. */
  reverse?: boolean
  /** Clients of a DHCP server of this stack have names below `domain`. */
  leases?: LeaseSource
  /** `lan` when left out. */
  domain?: string
  /** Names that are never anybody's on the network (RFC 6303, RFC 6761) are asked of nobody, but of servers named for them. True when left out. */
  localZones?: boolean
  /** Answers of others that lead to addresses of private networks are refused, but for these domains. False when left out; true: no exception. */
  rebindProtection?: boolean | readonly string[]
  /** Who may ask about our zones: prefixes, `attached`, `any`. Everybody when left out. */
  allow?: readonly AccessRule[]
  /** For whom others are asked. Those on networks that our interfaces are on (`attached`) when left out. */
  allowForward?: readonly AccessRule[]
  /** Who gets whole zones (AXFR). Nobody when left out. */
  allowTransfer?: readonly AccessRule[]
  /** 32 hexadecimal digits: the same for all servers behind one address (RFC 9018). Random when left out. */
  cookieSecret?: string
}
