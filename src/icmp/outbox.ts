/** How the messages of ICMP and ICMPv6 leave: the way back to who asked, the checksum, the counters. */
import type { Address } from '../base/address.ts'
import { put16 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { PROTO_ICMPV6 } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { Route } from '../ip/route.ts'
import { type Frame, PAYLOAD_AT } from '../netif/frame.ts'
import { ICMP, ICMP_HEADER } from './wire.ts'

/** Whose outbox it is. */
export interface OutboxKind {
  /** ICMPv6: checksums cover the addresses. */
  readonly v6: boolean
  /** Where the owner counts: indices into its counters. */
  readonly sent: number
  readonly blocked: number
  readonly noRoute: number
}

export class Outbox {
  /** The way back, kept from one reply to the next: pings come in series. */
  readonly route = new Route()
  /** The unspecified address lets routing choose; kept apart, because `route.source` is what was chosen. */
  private anySource = false
  private via: Interface | null = null

  constructor(
    private readonly ip: Ip,
    readonly frame: Frame,
    private readonly counters: Float64Array,
    private readonly kind: OutboxKind,
  ) {}

  /** Makes the frame hold a message of `length` bytes with its header; returns where that begins. */
  begin(length: number): number {
    const frame = this.frame.reset()
    frame.start = PAYLOAD_AT - ICMP_HEADER
    frame.end = frame.start + length
    return frame.start
  }

  /** Fills in the checksum of the message in the frame; that of ICMPv6 covers the addresses (RFC 4443 section 2.3). */
  seal(route: Route = this.route): void {
    const { buf, start, end } = this.frame
    const length = end - start
    const sum = this.kind.v6 ? pseudoSum(route.source, route.destination, PROTO_ICMPV6, length) : 0
    put16(buf, start + ICMP.checksum, 0)
    put16(buf, start + ICMP.checksum, checksum(buf, start, length, sum))
  }

  /** Makes `route` lead to `destination`, by `via` unless that is null. False: there is no way, which was counted. */
  find(destination: Address, source: Address, via: Interface | null = null): boolean {
    const { route, ip } = this
    const any = source.isUnspecified
    const kept = route.generation === ip.generation && this.via === via && route.destination.equals(destination)
    if (kept && (any ? this.anySource : !this.anySource && route.source.equals(source))) return true
    this.anySource = any
    this.via = via
    if (ip.route(destination, source, via, route) === null) return true
    route.generation = (ip.generation - 1) | 0
    this.counters[this.kind.noRoute]++
    return false
  }

  /** Counts what `output` said. `counter`: of the kind of message. */
  sent(taken: boolean, counter: number): void {
    if (!taken) {
      this.counters[this.kind.blocked]++
      return
    }
    this.counters[this.kind.sent]++
    this.counters[counter]++
  }
}
