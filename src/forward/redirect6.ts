/** Redirects of IPv6 (RFC 4861 section 8.2): the message. */
import type { Address } from '../base/address.ts'
import { copyBytes, put16, put32 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { IcmpConfig } from '../base/config.ts'
import type { Random } from '../base/random.ts'
import { RateLimit, Verdict } from '../icmp/rate-limit.ts'
import { C } from '../icmp6/counters.ts'
import { sealIcmp6 } from '../icmp6/icmp6.ts'
import { ND_REDIRECT } from '../icmp6/wire.ts'
import { AddressState, type Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { type Packet, PROTO_ICMPV6 } from '../ip/packet.ts'
import { Route } from '../ip/route.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import { IP6_HEADER, IP6_MIN_MTU } from '../ipv6/wire.ts'
import {
  ND_LINK_ADDRESS_LENGTH,
  ND_REDIRECT_AT,
  ND_REDIRECT_LENGTH,
  ND_REDIRECTED_LENGTH,
  OPTION_REDIRECTED,
  OPTION_TARGET_LINK,
} from '../nd/wire.ts'
import { type Frame, PAYLOAD_AT } from '../netif/frame.ts'
import type { RedirectSender } from './redirects.ts'

const HOP_LIMIT = 255

export interface Redirect6Dependencies {
  ip: Ip
  ipv6: Ipv6
  frame: Frame
  clock: Clock
  random: Random
  config: IcmpConfig
  /** Of ICMPv6. */
  counters: Float64Array
}

export class Redirect6 implements RedirectSender {
  private readonly limit: RateLimit
  private readonly route = new Route()

  constructor(private readonly deps: Redirect6Dependencies) {
    this.limit = new RateLimit(deps.config, deps.random, deps.clock.nowMs)
  }

  redirect(packet: Packet, target: Address): void {
    const { ip, ipv6, frame, clock, counters } = this.deps
    const { iface } = packet
    const own = linkLocalOf(iface)
    // Section 4.5: a router is named by its link-local address; one whose address we do not know cannot be named.
    if (own === null || (!target.isLinkLocal && !target.equals(packet.destination))) return
    if (this.limit.ask(packet.source, clock.nowMs) !== Verdict.SEND) return
    if (ip.route(packet.source, own, iface, this.route) !== null) return
    const { buf } = frame.reset()
    const at = PAYLOAD_AT
    buf[at] = ND_REDIRECT
    buf[at + 1] = 0
    put32(buf, at + 4, 0)
    target.write(buf, at + ND_REDIRECT_AT.target)
    packet.destination.write(buf, at + ND_REDIRECT_AT.destination)
    let end = at + ND_REDIRECT_LENGTH
    const known = iface.neighbors6?.find(target) ?? null
    if (known?.usable) {
      buf[end] = OPTION_TARGET_LINK
      buf[end + 1] = ND_LINK_ADDRESS_LENGTH >> 3
      put16(buf, end + 2, known.macHigh)
      put32(buf, end + 4, known.macLow)
      end += ND_LINK_ADDRESS_LENGTH
    }
    // Section 4.6.3: as much of the packet as fits the minimum MTU, in units of eight.
    const room = (IP6_MIN_MTU - IP6_HEADER - (end - at) - ND_REDIRECTED_LENGTH) & ~7
    const quoted = Math.min(packet.end - packet.start, room)
    const padded = (quoted + 7) & ~7
    buf.fill(0, end, end + ND_REDIRECTED_LENGTH + padded)
    buf[end] = OPTION_REDIRECTED
    buf[end + 1] = (ND_REDIRECTED_LENGTH + padded) >> 3
    copyBytes(packet.buf, packet.start, buf, end + ND_REDIRECTED_LENGTH, quoted)
    frame.end = end + ND_REDIRECTED_LENGTH + padded
    sealIcmp6(frame, own, packet.source)
    if (!ipv6.output(frame, this.route, PROTO_ICMPV6, 0, HOP_LIMIT, true)) return
    counters[C.icmp6OutMsgs]++
    counters[C.icmp6OutRedirects]++
  }
}

function linkLocalOf(iface: Interface): Address | null {
  for (const own of iface.addresses) if (own.address.isLinkLocal && own.state === AddressState.PREFERRED) return own.address
  return null
}
