/**
 * Neighbours: the state machine of RFC 4861 section 7.3.2, shared by ARP (and later NDP), which only say how a solicitation looks.
 */
import type { Address } from '../base/address.ts'
import { Timed } from '../base/timers.ts'
import type { Frame } from '../netif/frame.ts'
import type { Interface } from './interface.ts'

export const NeighborState = { INCOMPLETE: 0, REACHABLE: 1, STALE: 2, DELAY: 3, PROBE: 4, FAILED: 5, PERMANENT: 6 } as const

// contract only; see the table below
export abstract class Neighbor extends Timed {
  abstract readonly address: Address
  abstract readonly iface: Interface
  abstract state: number
  macHigh = 0
  macLow = 0
  /** A frame can be sent now (every state but INCOMPLETE and FAILED). */
  abstract get usable(): boolean
  /** A frame is being sent to it: STALE becomes DELAY. */
  abstract used(): void
  /** Upper-layer hint of reachability (RFC 4861 7.3.1): TCP saw its data acknowledged. Must cost next to nothing. */
  abstract confirm(): void
  /** Takes a copy of the IP packet in `frame` to send it when the address is resolved; starts resolution. */
  abstract enqueue(frame: Frame, etherType: number): void
}

export interface NeighborTable {
  find(address: Address): Neighbor | null
  get(address: Address): Neighbor
}
