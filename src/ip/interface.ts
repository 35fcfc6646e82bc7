/**
 * An interface: a NetIf with a name, addresses and neighbours. IP sees every medium through `output`; Ethernet and ARP are behind
 * it where there is a link layer.
 */
import type { Address, Prefix } from '../base/address.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { EthernetPort } from '../ethernet/ethernet.ts'
import { ETH_HEADER } from '../ethernet/wire.ts'
import type { Frame } from '../netif/frame.ts'
import type { NetIf } from '../netif/netif.ts'
import { Offload } from '../netif/netif.ts'
import { Groups } from './groups.ts'
import type { AddressLifetime } from './lifetime.ts'
import type { Neighbor, NeighborTable } from './neighbor.ts'

export const AddressState = {
  /** Being probed (RFC 5227, RFC 4862): not used, not answered for. */
  TENTATIVE: 0,
  PREFERRED: 1,
  /** Still ours, not chosen for new connections. */
  DEPRECATED: 2,
  /** Someone else has it: not ours. */
  DUPLICATE: 3,
} as const

/** Scopes as ip-address(8) names them. */
export type AddressScope = 'global' | 'site' | 'link' | 'host'

/** How an address was given, beyond the address itself (ip-address(8)). */
export interface AddressNotes {
  /** The interface's name, and more, in the days of aliases. Null: the interface's name. */
  readonly label: string | null
  /** Null: what the address itself says. */
  readonly scope: AddressScope | null
  /** What is shown; packets to the broadcast address of the network are broadcasts with or without it. */
  readonly broadcast: Address | null
  /** The other end, and the network of which there is a route in place of the address's own. */
  readonly peer: Prefix | null
  /** It makes no route. */
  readonly noPrefixRoute: boolean
  /** It was not asked for before its use. */
  readonly noDad: boolean
}

/** An address of an interface, and its state. */
export interface InterfaceAddress {
  readonly address: Address
  readonly prefix: Prefix
  /** Directed broadcast (IPv4), or null. */
  readonly broadcast: Address | null
  state: number
  /** Made to be changed soon (RFC 8981): preferred as source. Left out: no. */
  temporary?: boolean
  /** Null or left out: given without more words. */
  notes?: AddressNotes | null
  /** When it is deprecated, and when it ends. Null or left out: never. */
  lifetime?: AddressLifetime | null
}

const NAMES = ['inDropDown', 'inDropVersion', 'outDropDown', 'outDropNoNeighbor'] as const
/** Indices of an interface's own counters: what it loses before a layer sees it. */
export const IC = indexOf(NAMES)

/** An interface as IP sees it: its link, addresses and neighbours. Users hold an `AttachedInterface`. */
export class Interface {
  readonly counters = new Counters(NAMES)
  readonly addresses: InterfaceAddress[] = []
  /** IPv4 neighbours (ARP); null on media without a link layer. */
  neighbors: NeighborTable | null = null
  /** IPv6 neighbours (Neighbor Discovery); null on media without a link layer. */
  neighbors6: NeighborTable | null = null
  /** Multicast groups that are listened to here, of both families. */
  readonly groups = new Groups()
  up = true
  /** Largest IP packet sent by this interface: at most the NetIf's. Changed by `ip link set mtu`. */
  mtu: number
  /** What routers say of IPv6 on this link (RFC 4861 section 6.3.4): its MTU and the hop limit to use; 0: nothing. */
  routerMtu = 0
  hopLimit = 0
  /** What comes in here for others is sent on: a router, as far as this interface goes. */
  forwarding4 = false
  forwarding6 = false
  /** UDP port at which packets to any IPv4 address are heard: DHCP, while there is no address of ours (RFC 2131 section 4.1). 0: none. */
  openPort = 0
  /** Bytes that the link layer puts before an IP packet. */
  linkHeader: number

  constructor(
    /** 1, 2, ... as in if_nametoindex(3). */
    readonly index: number,
    /** Changed by `ip link set ... name` only. */
    public name: string,
    readonly netif: NetIf,
    /** Null on IP media (tun, loopback). */
    readonly ethernet: EthernetPort | null,
    /** Inside this stack: never forwards, always up, 127/8. */
    readonly isLoopback = false,
  ) {
    this.mtu = netif.mtu
    this.linkHeader = ethernet === null ? 0 : ETH_HEADER
  }

  get mac(): Uint8Array | null {
    return this.ethernet === null ? null : this.ethernet.mac
  }

  /** True when the address is one of this interface's, usable or deprecated. */
  has(a: Address): boolean {
    for (let i = 0; i < this.addresses.length; i++) {
      const own = this.addresses[i]
      if (own.address.equals(a)) return own.state === AddressState.PREFERRED || own.state === AddressState.DEPRECATED
    }
    return false
  }

  /** Largest IPv6 packet: the interface's MTU, or less where routers say so (RFC 4861 section 6.3.4). */
  get mtu6(): number {
    return this.routerMtu !== 0 && this.routerMtu < this.mtu ? this.routerMtu : this.mtu
  }

  /** True when the link takes PARTIAL transport checksums. */
  get checksumOffload(): boolean {
    return (this.netif.offload & Offload.TX_CHECKSUM) !== 0
  }

  /**
   * Sends the IP packet in `frame` to a neighbour (null on media that have none). False: the link is full and nothing was taken.
   * A packet that waits for address resolution counts as taken.
   */
  output(frame: Frame, to: Neighbor | null, etherType: number): boolean {
    if (!this.up) {
      this.counters.values[IC.outDropDown]++ // a wire that is down loses frames
      return true
    }
    if (this.ethernet === null) return this.netif.send(frame.buf, frame.start, frame.end, frame.meta)
    if (to === null) {
      this.counters.values[IC.outDropNoNeighbor]++
      return true
    }
    if (to.usable) {
      to.used()
      return this.ethernet.output(frame, to.macHigh, to.macLow, etherType)
    }
    to.enqueue(frame, etherType)
    return true
  }
}
