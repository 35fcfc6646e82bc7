/**
 * Writing other addresses and ports into packets, with every checksum that covers them mended by the difference (RFC 1624), never made anew:
 * what was damaged stays damaged. A PARTIAL checksum holds the sum of the pseudo-header alone, so ports do not touch it and the sign is the other.
 */
import { Address } from '../base/address.ts'
import { get16, put16, put32 } from '../base/bytes.ts'
import { fold } from '../base/checksum.ts'
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { IP4 } from '../ipv4/wire.ts'
import { IP6 } from '../ipv6/wire.ts'
import { CSUM_MASK, CSUM_PARTIAL } from '../netif/netif.ts'
import type { Context } from './context.ts'
import { type Headers, IcmpRole, Part } from './headers.ts'

/** Which side of a packet is changed. */
export const Side = { SOURCE: 0, DESTINATION: 1 } as const

const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6
const ICMP_CHECKSUM = 2
const ICMP_IDENTIFIER = 4

const old = new Address()

/** Gives the packet of `ctx` another address and port on one side; `port` is ignored where the packet has none there. */
export function rewrite(ctx: Context, side: number, address: Address, port: number): void {
  const { headers: h, packet } = ctx
  const isSource = side === Side.SOURCE
  const delta = replaceAddress(h, side, address)
  ;(isSource ? packet.source : packet.destination).copy(address)
  if (h.part === Part.LATER) return
  const ports = replacePort(h, side, port)
  const { buf, at, end } = h
  if (h.protocol === PROTO_ICMP || h.protocol === PROTO_ICMPV6) {
    if (end - at >= ICMP_CHECKSUM + 2) mend(buf, at + ICMP_CHECKSUM, ports + (h.protocol === PROTO_ICMPV6 ? delta : 0))
    return
  }
  const field = checksumAt(h)
  if (field < 0) return
  if ((packet.meta & CSUM_MASK) === CSUM_PARTIAL) put16(buf, field, fold(get16(buf, field) + fold(delta)))
  else mendTransport(h, field, delta + ports)
}

/**
 * Gives the packet that an ICMP error quotes another address and port, mends its own checksums, and that of the error around it. The error's
 * own addresses are not touched.
 */
export function rewriteQuote(ctx: Context, side: number, address: Address, port: number): void {
  const { headers: h, quote: q } = ctx
  const { buf } = q
  const header = q.family === 4 ? get16(buf, q.ip + IP4.checksum) : 0
  const addresses = replaceAddress(q, side, address)
  let all = addresses
  if (q.family === 4) all += difference(header, get16(buf, q.ip + IP4.checksum))
  const ports = replacePort(q, side, port)
  all += ports
  let field = -1
  let inside = addresses + ports
  if (q.protocol === PROTO_ICMP || q.protocol === PROTO_ICMPV6) {
    field = q.end - q.at >= ICMP_CHECKSUM + 2 ? q.at + ICMP_CHECKSUM : -1
    if (q.protocol === PROTO_ICMP) inside = ports
  } else field = checksumAt(q)
  if (field >= 0) {
    const before = get16(buf, field)
    mendTransport(q, field, inside)
    all += difference(before, get16(buf, field))
  }
  mend(buf, h.at + ICMP_CHECKSUM, all)
}

/** Writes the address, and the checksum of an IPv4 header. Gives the sum of differences. */
function replaceAddress(h: Headers, side: number, address: Address): number {
  const isSource = side === Side.SOURCE
  const current = isSource ? h.source : h.destination
  old.copy(current)
  current.copy(address)
  const delta = addressDelta(old, address)
  if (h.ip < 0) return delta
  if (h.family === 4) {
    put32(h.buf, h.ip + (isSource ? IP4.source : IP4.destination), address.w3)
    mend(h.buf, h.ip + IP4.checksum, delta)
  } else address.write(h.buf, h.ip + (isSource ? IP6.source : IP6.destination))
  return delta
}

/** Where the port of a side stands; -1: nowhere. An ICMP query has its identifier on the asker's side only. */
function portAt(h: Headers, side: number): number {
  if (!h.hasPorts || h.part === Part.LATER) return -1
  switch (h.icmpRole) {
    case IcmpRole.REQUEST:
      return side === Side.SOURCE ? h.at + ICMP_IDENTIFIER : -1
    case IcmpRole.REPLY:
      return side === Side.DESTINATION ? h.at + ICMP_IDENTIFIER : -1
    default:
      return side === Side.SOURCE ? h.at : h.at + 2
  }
}

function replacePort(h: Headers, side: number, port: number): number {
  const at = portAt(h, side)
  if (at < 0) return 0
  const before = get16(h.buf, at)
  put16(h.buf, at, port)
  if (side === Side.SOURCE) h.sourcePort = port
  else h.destinationPort = port
  return difference(before, port)
}

function checksumAt(h: Headers): number {
  const field = h.protocol === PROTO_TCP ? TCP_CHECKSUM : h.protocol === PROTO_UDP ? UDP_CHECKSUM : -1
  return field < 0 || h.at + field + 2 > h.end ? -1 : h.at + field
}

function mendTransport(h: Headers, field: number, delta: number): void {
  const isUdp = h.protocol === PROTO_UDP
  // RFC 768: zero says that there is no checksum, and a computed one is sent as all ones.
  if (isUdp && get16(h.buf, field) === 0) return
  mend(h.buf, field, delta)
  if (isUdp && get16(h.buf, field) === 0) put16(h.buf, field, 0xffff)
}

/** Mends the checksum at `field` by a sum of differences (RFC 1624, equation 3). */
function mend(buf: Uint8Array, field: number, delta: number): void {
  put16(buf, field, ~fold((~get16(buf, field) & 0xffff) + fold(delta)) & 0xffff)
}

function difference(from: number, to: number): number {
  return (~from & 0xffff) + to
}

function addressDelta(from: Address, to: Address): number {
  const last = wordDelta(from.w3, to.w3)
  if (from.isV4) return last
  return last + wordDelta(from.w2, to.w2) + wordDelta(from.w1, to.w1) + wordDelta(from.w0, to.w0)
}

function wordDelta(from: number, to: number): number {
  return (~from >>> 16) + (~from & 0xffff) + (to >>> 16) + (to & 0xffff)
}

/** What a packet of ours looked like before: its transport header up to the checksum, and as much as a quote may reach. */
const KEPT = 128

/** Puts back what was rewritten in a frame that the link did not take. */
export class Before {
  private readonly bytes = new Uint8Array(KEPT)
  private at = 0
  private length = 0

  keep(buf: Uint8Array, at: number, end: number): void {
    this.at = at
    this.length = Math.min(end - at, KEPT)
    for (let i = 0; i < this.length; i++) this.bytes[i] = buf[at + i]
  }

  forget(): void {
    this.length = 0
  }

  restore(buf: Uint8Array): void {
    for (let i = 0; i < this.length; i++) buf[this.at + i] = this.bytes[i]
    this.length = 0
  }
}
