/** Answers to packets that are refused: a reset (RFC 9293 section 3.5.2), or an ICMP error by IP's own means and limits. */
import { ANY, ANY_V4 } from '../base/address.ts'
import { get32, put16, put32 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import { ErrorKind, type Ip } from '../ip/ip.ts'
import { PROTO_TCP, To } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { Route } from '../ip/route.ts'
import { writeHeader } from '../ipv4/header.ts'
import { IP6, IP6_HEADER } from '../ipv6/wire.ts'
import { Frame, PAYLOAD_AT } from '../netif/frame.ts'
import type { Context } from './context.ts'
import { C } from './counters.ts'
import { type Headers, Part } from './headers.ts'
import { REJECT_RESET } from './rule.ts'

const TCP_HEADER = 20
const FIN = 1
const SYN = 2
const RST = 4
const ACK = 16

export class Rejecter {
  private readonly route = new Route()
  /** Of its own: the stack's frame may be what is refused. Made with the first reset. */
  private frame: Frame | null = null

  constructor(
    private readonly ip: Ip,
    private readonly counters: Float64Array,
  ) {}

  /** Refuses the packet of `ctx`, which is not looked at afterwards. `kind`: ErrorKind, or REJECT_RESET. */
  reject(ctx: Context, kind: number): void {
    this.counters[C.rejected]++
    const { packet, headers } = ctx
    if (kind === REJECT_RESET) {
      if (headers.protocol === PROTO_TCP) {
        this.reset(ctx)
        return
      }
      this.ip.errors.unreachable(packet, ErrorKind.PORT_UNREACHABLE)
    } else this.ip.errors.unreachable(packet, kind)
  }

  /** The same for a packet of ours: its IP header is written first, for the error quotes it. */
  rejectOwn(ctx: Context, kind: number, frame: Frame): void {
    const { packet } = ctx
    const { start, end, meta } = frame
    const total = packet.end - packet.start
    packet.iface = this.ip.loopback!
    if (packet.destination.isV4) {
      const { tos, ttl, protocol, source, destination } = packet
      writeHeader(packet.buf, packet.start, packet.off - packet.start, total, 0, 0, tos, ttl, protocol, source.w3, destination.w3)
    } else writeHeader6(ctx)
    this.reject(ctx, kind)
    frame.start = start
    frame.end = end
    frame.meta = meta
  }

  private reset(ctx: Context): void {
    const { packet, headers: h } = ctx
    const isWhole = h.part === Part.WHOLE && h.end - h.at >= TCP_HEADER
    if (!isWhole || (h.tcpFlags & RST) !== 0 || packet.to === To.BROADCAST || packet.to === To.MULTICAST) return
    const { ip, route } = this
    const isV4 = packet.source.isV4
    const family = isV4 ? ip.v4 : ip.v6
    if (family === null || ip.route(packet.source, isV4 ? ANY_V4 : ANY, null, route) !== null) return
    route.source.copy(packet.destination) // in the name of who was asked
    this.frame ??= new Frame(64)
    const frame = this.frame.reset()
    const at = PAYLOAD_AT - TCP_HEADER
    frame.start = at
    writeReset(frame.buf, at, h)
    const sum = pseudoSum(route.source, route.destination, PROTO_TCP, TCP_HEADER)
    put16(frame.buf, at + 16, checksum(frame.buf, at, TCP_HEADER, sum))
    this.counters[C.resetsSent]++
    family.output(frame, route, PROTO_TCP, 0, 0, true)
  }
}

function writeReset(buf: Uint8Array, at: number, h: Headers): void {
  const hasAck = (h.tcpFlags & ACK) !== 0
  const header = (h.buf[h.at + 12] >> 4) << 2
  const controls = ((h.tcpFlags & SYN) !== 0 ? 1 : 0) + ((h.tcpFlags & FIN) !== 0 ? 1 : 0)
  const length = Math.max(0, h.end - h.at - header) + controls
  put16(buf, at, h.destinationPort)
  put16(buf, at + 2, h.sourcePort)
  put32(buf, at + 4, hasAck ? get32(h.buf, h.at + 8) : 0)
  put32(buf, at + 8, hasAck ? 0 : (get32(h.buf, h.at + 4) + length) | 0)
  put16(buf, at + 12, (5 << 12) | (hasAck ? RST : RST | ACK))
  put32(buf, at + 14, 0)
  put16(buf, at + 18, 0)
}

function writeHeader6(ctx: Context): void {
  const { packet } = ctx
  const { buf, start } = packet
  put32(buf, start, 0x60000000 | ((packet.tos & 0xff) << 20))
  put16(buf, start + IP6.payloadLength, packet.end - start - IP6_HEADER)
  buf[start + IP6.nextHeader] = packet.protocol
  buf[start + IP6.hopLimit] = packet.ttl
  packet.source.write(buf, start + IP6.source)
  packet.destination.write(buf, start + IP6.destination)
}
