/**
 * When a neighbour is told of a shorter way (RFC 1812 section 5.2.7.2, RFC 4861 section 8.2): his packet left by the interface that it came in
 * by, and he reaches the next hop without us. Some do not listen: each further redirect about a destination waits twice as long.
 */
import { Address } from '../base/address.ts'
import type { NeighborClock } from '../ip/neighbor.ts'
import type { Packet } from '../ip/packet.ts'
import { C } from './counters.ts'
import type { Way } from './route-cache.ts'

/** Writes redirects of one family. */
export interface RedirectSender {
  /** `target` is the better first hop for the packet's destination, or that destination itself where it is a neighbour. */
  redirect(packet: Packet, target: Address): void
}

export class Redirects {
  private readonly lastSource = new Address()

  constructor(
    private readonly sender: RedirectSender,
    private readonly clock: NeighborClock,
    private readonly intervalMs: number,
    private readonly maxMs: number,
    private readonly counters: Float64Array,
  ) {}

  /** The packet is about to go back where it came from, by `way`. */
  consider(packet: Packet, way: Way): void {
    const { source } = packet
    let neighbors = false
    for (const own of packet.iface.addresses) {
      if (own.prefix.contains(source) && own.prefix.contains(way.nextHop)) neighbors = true
      // The link-local address of a router is on the link of all who are.
      else if (way.nextHop.isLinkLocal && !own.address.isLinkLocal && own.prefix.contains(source)) neighbors = true
    }
    if (!neighbors || !this.isDue(way, source)) return
    this.counters[C.redirects]++
    this.sender.redirect(packet, way.nextHop)
  }

  private isDue(way: Way, source: Address): boolean {
    const now = this.clock.nowMs
    const again = way.redirectWaitMs !== 0 && this.lastSource.equals(source)
    if (again && ((now - way.redirectAt) | 0) < 0) return false
    this.lastSource.copy(source)
    way.redirectWaitMs = again ? Math.min(2 * way.redirectWaitMs, this.maxMs) : this.intervalMs
    way.redirectAt = (now + way.redirectWaitMs) | 0
    return true
  }
}
