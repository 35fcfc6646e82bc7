/**
 * Forwarding of IPv6 (RFC 8200 sections 3 and 5, RFC 4443, RFC 4291 section 2.5).
 *
 * Theory of operation. As forward4.ts, without what IPv6 has not: no checksum to mend, no fragmentation on the way. IPv6 has looked at the hop-by-hop
 * options already, and kept back what has a link-local address (RFC 4007 section 9).
 */
import type { Address } from '../base/address.ts'
import { Counters } from '../base/counters.ts'
import { ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, type Ip } from '../ip/ip.ts'
import type { Packet } from '../ip/packet.ts'
import type { Forwarder6 } from '../ipv6/ipv6.ts'
import { IP6 } from '../ipv6/wire.ts'
import { C, NAMES } from './counters.ts'
import { Departure } from './departure.ts'
import type { ForwardDependencies } from './forward4.ts'
import { Redirects } from './redirects.ts'
import { ReversePath } from './reverse-path.ts'
import { WayCache, type WayRules } from './route-cache.ts'

export class Forward6 implements Forwarder6, WayRules {
  readonly counters = new Counters(NAMES)
  private readonly ip: Ip
  private readonly cache: WayCache
  private readonly departure: Departure
  private readonly redirects: Redirects | null
  private readonly reversePath: ReversePath | null

  constructor(deps: ForwardDependencies) {
    const { ip, config, random, clock } = deps
    const n = this.counters.values
    this.ip = ip
    this.cache = new WayCache(ip, this, config.cacheEntries, random.int32())
    this.departure = new Departure(deps.frame, ETHERTYPE_IPV6, n)
    this.redirects = config.sendRedirects
      ? new Redirects(deps.redirects, clock, config.redirectIntervalMs, config.redirectIntervalMaxMs, n)
      : null
    this.reversePath =
      config.reversePath === 'off'
        ? null
        : new ReversePath(ip, config.reversePath === 'strict', config.cacheEntries, random.int32())
  }

  forward(packet: Packet): void {
    const n = this.counters.values
    const { source, destination } = packet
    if (!packet.iface.forwarding6) {
      n[C.dropNotRouter]++
      return
    }
    if (isMartian(destination)) {
      n[C.dropMartianDestination]++
      return
    }
    if (isMartian(source)) {
      n[C.dropMartianSource]++
      return
    }
    if (this.reversePath !== null && !this.reversePath.passes(packet)) {
      n[C.dropReversePath]++
      return
    }
    const way = this.cache.find(packet)
    if (way.refusal >= 0) {
      this.refuse(packet, way.refusal)
      return
    }
    // RFC 8200 section 3, RFC 4443 section 3.3.
    if (packet.ttl <= 1) {
      n[C.dropTtl]++
      this.ip.errors.timeExceeded(packet, false)
      return
    }
    const largest = this.departure.largest(packet)
    if (largest < 0) {
      n[C.dropUnsplittable]++
      return
    }
    if (largest > way.mtu) {
      n[C.dropTooBig]++
      this.ip.errors.tooBig(packet, way.mtu)
      return
    }
    const { hooks } = this.ip
    if (hooks !== null && !hooks.forward(packet, way.out!)) {
      n[C.dropFiltered]++
      return
    }
    if (way.out === packet.iface && this.redirects !== null) this.redirects.consider(packet, way)
    packet.buf[packet.start + IP6.hopLimit]--
    if (hooks !== null && !hooks.postrouting(packet, way.out!)) {
      n[C.dropFiltered]++
      return
    }
    this.departure.send(packet, way)
  }

  isBroadcast(_out: Interface, _destination: Address): boolean {
    return false
  }

  private refuse(packet: Packet, why: number): void {
    this.counters.values[why]++
    const { errors } = this.ip
    // Linux answers "no route" for unreachable routes too (ip6_pkt_discard).
    if (why === C.inNoRoutes || why === C.dropUnreachable) errors.unreachable(packet, ErrorKind.NET_UNREACHABLE)
    else if (why === C.dropProhibited) errors.unreachable(packet, ErrorKind.PROHIBITED)
  }
}

/** What is nobody's address on a wire (RFC 4291 sections 2.5.2, 2.5.3, 2.5.5.2 and 2.7); multicast as a source, and as a destination not ours. */
function isMartian(a: Address): boolean {
  return a.isMulticast || a.isV4 || (a.w0 === 0 && a.w1 === 0 && a.w2 === 0 && a.w3 >>> 1 === 0)
}
