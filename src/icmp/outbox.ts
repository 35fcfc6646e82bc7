/** How ICMP's own messages leave: the way back to who asked, the checksum, the counters. */
import type { Address } from '../base/address.ts'
import { put16 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import type { Ip } from '../ip/ip.ts'
import { Route } from '../ip/route.ts'
import { type Frame, PAYLOAD_AT } from '../netif/frame.ts'
import { C } from './counters.ts'
import { ICMP, ICMP_HEADER } from './wire.ts'

export class Outbox {
  /** The way back, kept from one reply to the next: pings come in series. */
  readonly route = new Route()
  /** The unspecified address lets routing choose; kept apart, because `route.source` is what was chosen. */
  private anySource = false

  constructor(
    private readonly ip: Ip,
    readonly frame: Frame,
    private readonly counters: Float64Array,
  ) {}

  /** Makes the frame hold a message of `length` bytes with its header; returns where that begins. */
  begin(length: number): number {
    const frame = this.frame.reset()
    frame.start = PAYLOAD_AT - ICMP_HEADER
    frame.end = frame.start + length
    return frame.start
  }

  /** Fills in the checksum of the message in the frame. */
  seal(): void {
    const { buf, start, end } = this.frame
    put16(buf, start + ICMP.checksum, 0)
    put16(buf, start + ICMP.checksum, checksum(buf, start, end - start))
  }

  /** Makes `route` lead to `destination`. False: there is no way, which was counted. */
  find(destination: Address, source: Address): boolean {
    const { route, ip } = this
    const any = source.isUnspecified
    const kept = route.generation === ip.generation && route.destination.equals(destination)
    if (kept && (any ? this.anySource : !this.anySource && route.source.equals(source))) return true
    this.anySource = any
    if (ip.route(destination, source, null, route) === null) return true
    route.generation = (ip.generation - 1) | 0
    this.counters[C.icmpOutDropNoRoute]++
    return false
  }

  /** Counts what `output` said. `counter`: of the kind of message. */
  sent(taken: boolean, counter: number): void {
    if (!taken) {
      this.counters[C.icmpOutDropBlocked]++
      return
    }
    this.counters[C.icmpOutMsgs]++
    this.counters[counter]++
  }
}
