/** What a DHCP client is to the interface that it configures. */
import type { Prefix } from '../base/address.ts'
import type { Lease } from './lease.ts'

/** RFC 2131 figure 5, and: STOPPED, PROBING (acknowledged, and being asked for on the link), INFORMING, INFORMED (section 4.4.3). */
export type ClientState =
  | 'STOPPED'
  | 'INIT'
  | 'SELECTING'
  | 'REQUESTING'
  | 'PROBING'
  | 'BOUND'
  | 'RENEWING'
  | 'REBINDING'
  | 'INIT-REBOOT'
  | 'REBOOTING'
  | 'INFORMING'
  | 'INFORMED'

/** What happened to a lease. */
export type LeaseEvent = 'bound' | 'renewed' | 'informed' | 'expired' | 'refused' | 'conflict' | 'released'

/** The interface, as the client changes it. */
export interface ClientSite {
  /** Make the address usable: `claimed` or `conflict` of the client follows, later. */
  claim(lease: Lease): void
  /** The lease holds, for the first time or again. */
  apply(lease: Lease, event: LeaseEvent): void
  /** It holds no more: everything that it gave goes. */
  withdraw(event: LeaseEvent): void
  /** Our own address, for INFORM; null: there is none yet. */
  own(): Prefix | null
}
