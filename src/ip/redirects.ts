/**
 * Redirects of both families (RFC 1122 section 3.2.2.2, RFC 4861 section 8.3): a router on our network knows a better first hop for one
 * destination.
 *
 * Believed only from the gateway that the destination's route uses now, and only for a new gateway on the network the message came
 * by (RFC 1122: "a Redirect message SHOULD be silently discarded" otherwise); IPv6 may also say that the destination itself is on
 * the link. Host and network redirects are treated alike: as a route to the host. Routes made this way are few and do not live long:
 * what is learned from strangers must not be forever.
 */
import { type Address, Prefix } from '../base/address.ts'
import { Timed, type Timers } from '../base/timers.ts'
import type { Interface } from './interface.ts'
import type { Ip } from './ip.ts'
import type { NeighborClock } from './neighbor.ts'
import type { Packet } from './packet.ts'
import type { RouteEntry } from './route.ts'

const MAX_ROUTES = 64
const LIFETIME_MS = 600_000

interface Learned {
  entry: RouteEntry
  expires: number
}

export class Redirects extends Timed {
  /** In order of arrival, which is the order of expiry. */
  private readonly learned: Learned[] = []

  constructor(
    private readonly ip: Ip,
    private readonly timers: Timers,
    private readonly clock: NeighborClock,
  ) {
    super()
  }

  get size(): number {
    return this.learned.length
  }

  /**
   * True: the route was taken. `packet` brought the redirect; `gateway` is the better first hop for `destination`: in IPv6 a link-local
   * address, or the destination itself.
   */
  learn(packet: Packet, destination: Address, gateway: Address): boolean {
    const iface = packet.iface
    // A router finds its ways otherwise (RFC 1812 section 5.2.7.2; Linux: accept_redirects of a router is off).
    if (destination.isV4 ? iface.forwarding4 : iface.forwarding6) return false
    if (destination.isUnspecified || destination.isMulticast || destination.isLoopback || destination.isLimitedBroadcast)
      return false
    if (this.ip.isLocal(destination) || this.ip.isLocal(gateway)) return false
    const current = this.ip.routes.lookup(destination, null)
    if (current === null || gateway.equals(packet.source)) return false
    const hops = current.hops ?? [current]
    if (!hops.some((hop) => hop.iface === iface && hop.gateway?.equals(packet.source) === true)) return false
    const itself = !destination.isV4 && gateway.equals(destination)
    if (destination.isV4 ? !isConnected(iface, gateway) : !itself && !gateway.isLinkLocal) return false
    this.forget((e) => e.prefix.address.equals(destination))
    if (this.learned.length >= MAX_ROUTES) {
      const oldest = this.learned[0].entry
      this.forget((e) => e === oldest)
    }
    const entry: RouteEntry = {
      prefix: new Prefix(destination.clone(), destination.isV4 ? 32 : 128),
      gateway: itself ? null : gateway.clone(),
      iface,
      metric: 0,
      source: null,
      origin: 'redirect',
    }
    this.ip.routes.add(entry)
    this.learned.push({ entry, expires: (this.clock.nowMs + LIFETIME_MS) | 0 })
    if (!this.timerArmed) this.timers.arm(this, this.learned[0].expires)
    this.ip.changed()
    return true
  }

  onTimer(now: number): void {
    let expired = 0
    while (expired < this.learned.length && ((this.learned[expired].expires - now) | 0) <= 0) expired++
    const gone = this.learned.slice(0, expired).map((l) => l.entry)
    this.forget((e) => gone.includes(e))
    if (this.learned.length > 0) this.timers.arm(this, this.learned[0].expires)
    if (expired > 0) this.ip.changed()
  }

  private forget(matches: (entry: RouteEntry) => boolean): void {
    for (let i = this.learned.length - 1; i >= 0; i--) {
      const entry = this.learned[i].entry
      if (!matches(entry)) continue
      this.learned.splice(i, 1)
      this.ip.routes.remove((e) => e === entry)
    }
  }
}

/** On one of the interface's networks, and a host's address there. */
function isConnected(iface: Interface, a: Address): boolean {
  return iface.addresses.some(
    (own) => own.prefix.contains(a) && !own.broadcast?.equals(a) && !own.prefix.network.address.equals(a),
  )
}
