/**
 * ICMPv6 (RFC 4443): checks what comes and hands it to who speaks it. Neighbor Discovery and MLD register their types here.
 */
import type { Address } from '../base/address.ts'
import { put16 } from '../base/bytes.ts'
import { checksum, sumBytes } from '../base/checksum.ts'
import type { Clock } from '../base/clock.ts'
import type { IcmpConfig } from '../base/config.ts'
import { Counters, indexOf } from '../base/counters.ts'
import type { Random } from '../base/random.ts'
import type { Timers } from '../base/timers.ts'
import type { ErrorReport, Ip, Protocol } from '../ip/ip.ts'
import { type Packet, PROTO_ICMPV6 } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import type { Ipv6 } from '../ipv6/ipv6.ts'
import type { Frame } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_VALID } from '../netif/netif.ts'

const NAMES = ['icmp6InMsgs', 'icmp6InErrors', 'icmp6InCsumErrors', 'icmp6DropTooShort', 'icmp6DropUnknownType'] as const
const C = indexOf(NAMES)

/** Type, code, checksum and four bytes that depend on the type. */
const HEADER = 8

export interface Icmp6Dependencies {
  ip: Ip
  ipv6: Ipv6
  /** The stack's transmit frame. */
  frame: Frame
  timers: Timers
  clock: Clock
  random: Random
  config: IcmpConfig
}

/** A protocol that is carried in ICMPv6. */
export interface Icmp6Handler {
  /** A message of a type that this handler registered; `packet.off` is the ICMPv6 header, the checksum is right. */
  icmp6Input(packet: Packet): void
}

export class Icmp6 implements Protocol {
  readonly counters = new Counters(NAMES)
  private readonly handlers = new Map<number, Icmp6Handler>()

  constructor(readonly deps: Icmp6Dependencies) {
    deps.ip.register(PROTO_ICMPV6, this, 6)
  }

  /** Messages of `type` go to `handler` from now on. */
  register(type: number, handler: Icmp6Handler): void {
    this.handlers.set(type, handler)
  }

  input(packet: Packet): void {
    const n = this.counters.values
    const { buf, off } = packet
    const length = packet.end - off
    n[C.icmp6InMsgs]++
    if (length < 4) {
      n[C.icmp6InErrors]++
      n[C.icmp6DropTooShort]++
      return
    }
    if ((packet.meta & CSUM_MASK) !== CSUM_VALID) {
      const sum = pseudoSum(packet.source, packet.destination, PROTO_ICMPV6, length)
      if (sumBytes(buf, off, length, sum) !== 0xffff) {
        n[C.icmp6InErrors]++
        n[C.icmp6InCsumErrors]++
        return
      }
    }
    const handler = this.handlers.get(buf[off])
    if (handler === undefined) n[C.icmp6DropUnknownType]++
    else handler.icmp6Input(packet)
  }

  error(_report: ErrorReport): void {}

  close(): void {}
}

/** Fills in the checksum of the ICMPv6 message in `frame` (RFC 4443 section 2.3). */
export function sealIcmp6(frame: Frame, source: Address, destination: Address): void {
  const { buf, start, end } = frame
  put16(buf, start + 2, 0)
  put16(buf, start + 2, checksum(buf, start, end - start, pseudoSum(source, destination, PROTO_ICMPV6, end - start)))
}

export { HEADER as ICMP6_HEADER }
