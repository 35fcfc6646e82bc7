/**
 * Extension headers of packets that come in (RFC 8200 section 4).
 *
 * Theory of operation. `walk` goes from header to header in the order in which they stand, as RFC 8200 section 4 demands, moves `packet.off`
 * and `packet.protocol` along, and ends at a transport, at a fragment header, or with a drop that is counted and, where the RFC says
 * so, answered. Hop-by-hop options are looked at by every node on the way, so `hopByHop` is a step of its own that comes first. All headers and
 * options are counted against limits (RFC 8504 section 5.3): a packet can cost no more than that.
 */
import type { Ipv6Config } from '../base/ipv6-config.ts'
import type { ErrorSender } from '../ip/ip.ts'
import { type Packet, To } from '../ip/packet.ts'
import { C } from './counters.ts'
import {
  IP6,
  IP6_EXT,
  IP6_ROUTING,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_NONE,
  NEXT_ROUTING,
  OPT6_LENGTH,
  OPT6_PAD1,
  OPT6_PADN,
  OPT6_ROUTER_ALERT,
  PROBLEM_HEADER,
  PROBLEM_NEXT_HEADER,
  PROBLEM_OPTION,
} from './wire.ts'

/** Where `walk` ended. */
export const Walk = { TRANSPORT: 0, FRAGMENT: 1, DROPPED: 2 } as const

/** Padding aligns to eight bytes: more in a row hides something (RFC 4942 section 2.1.9.5, RFC 8504 section 5.3). */
const MOST_PADDING = 7

/** What an unrecognised option asks for, in its two highest bits (RFC 8200 section 4.2). */
const SKIP = 0
const DISCARD = 1
const DISCARD_AND_TELL = 2

export class Extensions {
  constructor(
    private readonly config: Ipv6Config,
    private readonly counters: Float64Array,
    private readonly errors: ErrorSender,
  ) {}

  /** The hop-by-hop options header at `packet.off`, the first of all. False: the packet was dropped. `length`: the payload's, as the header says. */
  hopByHop(packet: Packet, length: number): boolean {
    if (length === 0) {
      // A jumbogram (RFC 2675), which nobody here takes: the answer is the one for a length that is missing.
      this.problem(packet, C.ip6DropJumbo, packet.start + IP6.payloadLength, PROBLEM_HEADER)
      return false
    }
    return this.options(packet, true)
  }

  /** From `packet.off` on, where a `packet.protocol` stands. Returns a `Walk`. */
  walk(packet: Packet): number {
    for (let headers = 0; ; headers++) {
      const next = packet.protocol
      if (next === NEXT_FRAGMENT) return Walk.FRAGMENT
      if (next === NEXT_NONE) {
        this.counters[C.ip6DropNoNextHeader]++ // RFC 8200 section 4.7: what follows is to be ignored
        return Walk.DROPPED
      }
      if (next === NEXT_HOP_BY_HOP) {
        // RFC 8200 section 4.1: anywhere but first it is a next header that nobody knows.
        this.problem(packet, C.ip6DropHeaderOrder, packet.protocolAt, PROBLEM_NEXT_HEADER)
        return Walk.DROPPED
      }
      if (next !== NEXT_DESTINATION && next !== NEXT_ROUTING) return Walk.TRANSPORT
      if (headers >= this.config.maxExtensionHeaders) {
        this.headerError(C.ip6DropManyHeaders)
        return Walk.DROPPED
      }
      if (next === NEXT_DESTINATION ? !this.options(packet, false) : !this.routing(packet)) return Walk.DROPPED
    }
  }

  /** Checks the length of the header at `packet.off`. Returns where it ends, or -1. */
  private extent(packet: Packet): number {
    const { buf, off, end } = packet
    if (off + 8 > end) {
      this.headerError(C.ip6DropHeaderLength)
      return -1
    }
    const stop = off + 8 + (buf[off + IP6_EXT.length] << 3)
    if (stop <= end) return stop
    this.problem(packet, C.ip6DropHeaderLength, off + IP6_EXT.length, PROBLEM_HEADER)
    return -1
  }

  /** Goes on to the header behind the one that ends at `stop`. True. */
  private step(packet: Packet, stop: number): boolean {
    packet.protocolAt = packet.off + IP6_EXT.nextHeader
    packet.protocol = packet.buf[packet.protocolAt]
    packet.off = stop
    return true
  }

  /** RFC 8200 section 4.4: no type is known here (type 0 must not be: RFC 5095), so only routes that have been gone to their end. */
  private routing(packet: Packet): boolean {
    const stop = this.extent(packet)
    if (stop < 0) return false
    if (packet.buf[packet.off + IP6_ROUTING.segmentsLeft] !== 0) {
      this.problem(packet, C.ip6DropRouting, packet.off + IP6_ROUTING.type, PROBLEM_HEADER)
      return false
    }
    return this.step(packet, stop)
  }

  /** A header of options (RFC 8200 section 4.2). */
  private options(packet: Packet, hopByHop: boolean): boolean {
    const stop = this.extent(packet)
    if (stop < 0) return false
    const { buf } = packet
    let at = packet.off + 2
    let padding = 0
    let options = 0
    while (at < stop) {
      const type = buf[at]
      if (type === OPT6_PAD1) {
        at++
        padding++
      } else {
        const length = at + 1 < stop ? buf[at + OPT6_LENGTH] : 0xff
        if (at + 2 + length > stop) {
          this.problem(packet, C.ip6DropHeaderLength, at + 1 < stop ? at + OPT6_LENGTH : at, PROBLEM_HEADER)
          return false
        }
        if (type === OPT6_PADN) {
          padding += 2 + length
          if (padding <= MOST_PADDING && !isZero(buf, at + 2, length)) padding = MOST_PADDING + 1
        } else {
          padding = 0
          if (++options > this.config.maxOptions) {
            this.headerError(C.ip6DropManyOptions)
            return false
          }
          // RFC 2711 section 2.1: two bytes that say what it is about.
          if (hopByHop && type === OPT6_ROUTER_ALERT && length === 2) packet.routerAlert = true
          else if (!this.mayIgnore(packet, type, at)) return false
        }
        at += 2 + length
      }
      if (padding > MOST_PADDING) {
        this.headerError(C.ip6DropPadding)
        return false
      }
    }
    return this.step(packet, stop)
  }

  /** An option that we do not know: its own type says what is to be done. */
  private mayIgnore(packet: Packet, type: number, at: number): boolean {
    const action = type >> 6
    if (action === SKIP) return true
    // "Discard and tell" is told to senders to groups as well, unless the lowest of the two bits forbids it.
    if (action === DISCARD || (action > DISCARD_AND_TELL && packet.to === To.MULTICAST)) this.headerError(C.ip6DropOption)
    else this.problem(packet, C.ip6DropOption, at, PROBLEM_OPTION)
    return false
  }

  private headerError(reason: number): void {
    this.counters[C.ip6InHdrErrors]++
    this.counters[reason]++
  }

  /** Drops, and tells the sender which byte of `packet.buf` is at fault. */
  private problem(packet: Packet, reason: number, at: number, code: number): void {
    this.headerError(reason)
    this.errors.parameterProblem(packet, at - packet.start, code)
  }
}

function isZero(buf: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (buf[at + i] !== 0) return false
  return true
}
