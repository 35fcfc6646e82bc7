/** What a DHCPv6 client is to the interface that it configures. */
import type { Address } from '../base/address.ts'
import type { LeaseEvent } from '../dhcp/client-site.ts'
import type { Lease6 } from './lease.ts'

/**
 * Named after the message whose answer is awaited, and: STOPPED; INIT (nothing can be sent yet); PROBING (given, and being asked for on the
 * link); BOUND; INFORMED (stateless).
 */
export type Client6State =
  | 'STOPPED'
  | 'INIT'
  | 'SOLICIT'
  | 'REQUEST'
  | 'PROBING'
  | 'BOUND'
  | 'RENEW'
  | 'REBIND'
  | 'CONFIRM'
  | 'RELEASE'
  | 'DECLINE'
  | 'INFORMATION-REQUEST'
  | 'INFORMED'

/** The interface, as the client changes it. */
export interface Client6Site {
  /** The link-local address that messages leave from; null: there is none yet, or the link is down. */
  source(): Address | null
  /** The addresses of the lease, and no others, are to be had. True: none of them is being probed; else `claimed` follows, or `conflict`. */
  claim(lease: Lease6): boolean
  /** The lease holds, for the first time or again. */
  apply(lease: Lease6, event: LeaseEvent): void
  /** It holds no more: everything that it gave goes. */
  withdraw(event: LeaseEvent): void
}
