/**
 * Where packets for others go: the answer of the routing tables, remembered per destination.
 *
 * A direct-mapped table of records that are made once and filled again: whoever scans through us costs lookups, never memory. A record holds while
 * the routes' generation does. Where the answer depends on more than the destination (rules, several next hops), the source and the
 * incoming interface belong to the key.
 */
import { Address } from '../base/address.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import type { Neighbor } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import { isUnicast } from '../ip/route.ts'
import { C } from './counters.ts'

export class Way {
  generation = -1
  readonly destination = new Address()
  readonly source = new Address()
  iif: Interface | null = null
  /** -1: it leads somewhere; else the counter that says why not. */
  refusal = -1
  out: Interface | null = null
  neighbor: Neighbor | null = null
  readonly nextHop = new Address()
  /** Largest packet that goes this way. */
  mtu = 0
  /** The next redirect about it may leave at this time, and how long the one after that has to wait; 0: none has left. */
  redirectAt = 0
  redirectWaitMs = 0
}

/** What the way to an address of one family depends on beside the tables. */
export interface WayRules {
  /** True for a destination that no packet of others may be sent to by this interface: its broadcasts. */
  isBroadcast(out: Interface, destination: Address): boolean
}

export class WayCache {
  private readonly slots: (Way | null)[]
  private readonly mask: number

  /** @param entries a power of two  @param key random */
  constructor(
    private readonly ip: Ip,
    private readonly rules: WayRules,
    entries: number,
    private readonly key: number,
  ) {
    this.slots = new Array<Way | null>(entries).fill(null)
    this.mask = entries - 1
  }

  find(packet: Packet): Way {
    const { ip } = this
    const { destination, source } = packet
    const wide = ip.rules !== null || ip.multipath !== null
    let h = destination.digest ^ this.key
    if (wide) h = Math.imul(h, 0x85ebca77) ^ source.digest
    h = Math.imul(h, 0x9e3779b1)
    h = (h ^ (h >>> 15)) & this.mask
    let way = this.slots[h]
    if (way === null) {
      way = new Way()
      this.slots[h] = way
    } else if (
      way.generation === ip.generation &&
      way.destination.equals(destination) &&
      (!wide || (way.iif === packet.iface && way.source.equals(source)))
    ) {
      return way
    }
    this.fill(way, packet)
    return way
  }

  private fill(way: Way, packet: Packet): void {
    const { ip } = this
    const { destination, source } = packet
    way.generation = ip.generation
    way.destination.copy(destination)
    way.source.copy(source)
    way.iif = packet.iface
    way.out = null
    way.neighbor = null
    way.redirectWaitMs = 0
    const entry = ip.lookup(destination, source, packet.iface, null)
    if (entry === null) {
      way.refusal = C.inNoRoutes
      return
    }
    if (!isUnicast(entry)) {
      way.refusal =
        entry.kind === 'blackhole' ? C.dropBlackhole : entry.kind === 'prohibit' ? C.dropProhibited : C.dropUnreachable
      return
    }
    const hop = ip.hopOf(entry, source, destination, null)
    const out = hop.iface
    if (!out.up || out.isLoopback) {
      way.refusal = C.inNoRoutes
      return
    }
    if (this.rules.isBroadcast(out, destination)) {
      way.refusal = C.dropBroadcast
      return
    }
    way.refusal = -1
    way.out = out
    way.nextHop.copy(hop.gateway ?? destination)
    const isV4 = destination.isV4
    const table = isV4 ? out.neighbors : out.neighbors6
    way.neighbor = table === null ? null : table.get(way.nextHop)
    way.mtu = isV4 ? out.mtu : out.mtu6
    if (entry.mtu !== undefined && entry.mtu !== 0 && entry.mtu < way.mtu) way.mtu = entry.mtu
  }
}
