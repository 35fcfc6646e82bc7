/**
 * Writing segments: into the stack's one frame, payload first, header before it, straight from the send ring to the link.
 *
 * `segment` is the hot path, for connections. `bare` is for everything without one: resets to strangers, SYN-ACKs, the ACKs of TIME-WAIT.
 */
import type { Address } from '../base/address.ts'
import { put16, put32 } from '../base/bytes.ts'
import { fold, sumBytes } from '../base/checksum.ts'
import type { ByteRing } from '../base/ring.ts'
import type { Ip } from '../ip/ip.ts'
import { PROTO_TCP } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import type { Route } from '../ip/route.ts'
import type { Frame } from '../netif/frame.ts'
import { PAYLOAD_AT } from '../netif/frame.ts'
import { CSUM_NONE, CSUM_PARTIAL, frameMeta, GSO_NONE, GSO_TCP4, GSO_TCP6 } from '../netif/netif.ts'
import type { Connection } from './connection.ts'
import { addToSyn } from './fast-open.ts'
import type { Signature } from './signature.ts'
import type { SynOptions } from './syn-options.ts'
import { C } from './tcp-counters.ts'
import { ACK, ALIGNED_TIMESTAMPS, COOKIE_MAX, OPTION_SPACE, RST, SYN, TCP, TCP_HEADER, TIMESTAMPS_SPACE, URG } from './wire.ts'

/** Payload from which a copy costs more than asking the link for a place of its own. */
const LARGE_BYTES = 4096

/** What a segment without a connection says. One reused record. */
export class Bare {
  sourcePort = 0
  destinationPort = 0
  seq = 0
  ack = 0
  flags = 0
  /** As on the wire. */
  wnd = 0
  /** 0: no MSS option. */
  mss = 0
  /** -1: no window scale option. */
  windowScale = -1
  sackPermitted = false
  hasTimestamps = false
  tsVal = 0
  tsEcr = 0

  // Seldom used, and nothing again after each segment.
  /** RFC 9768's option, as a SYN-ACK has it. */
  hasAccEcn = false
  /** Fast Open's option: length of the cookie, 0 = asks for one, -1 = no such option; in the old form. */
  cookieLength = -1
  cookieExperimental = false
  readonly cookie = new Uint8Array(COOKIE_MAX)
  /** Payload of a SYN: the first bytes of this ring. */
  payload: ByteRing | null = null
  payloadLength = 0
  /** What it is signed with. */
  keys: Signature | null = null
}

export class Output {
  readonly bareSegment = new Bare()

  constructor(
    private readonly ip: Ip,
    private readonly frame: Frame,
    private readonly ttl: number,
    private readonly count: Float64Array,
    private readonly synOptions: SynOptions,
  ) {}

  /**
   * One segment or super-segment of a connection: `len` payload bytes at sequence `seq` out of the send ring, and the ACK state of the
   * receiver. False: the link is full; nothing was sent and nothing changed.
   */
  segment(c: Connection, seq: number, len: number, flags: number): boolean {
    const snd = c.snd
    const rcv = c.rcv
    const route = c.route
    const frame = this.frame.reset()
    const isLarge = len >= LARGE_BYTES
    if (isLarge && !frame.moveTo(route.iface!.netif, len)) return false
    const buf = frame.buf
    const origin = frame.start
    if (len > 0) {
      snd.ring.copyOut((seq - snd.una) | 0, len, buf, origin)
      frame.end = origin + len
    }
    const { ecn } = c
    const accurate = ecn === null ? null : ecn.accurate
    const extra = accurate !== null ? accurate.fit(c) : c.sackPermitted ? rcv.sackLength(c.timestamps) : 0
    let tos = c.tos
    if (ecn !== null) {
      flags |= ecn.flags(c, seq, len)
      tos = (tos & 0xfc) | ecn.codepoint(c, seq, len)
    }
    const { keys } = c
    const space = keys === null ? 0 : keys.space
    const header = TCP_HEADER + space + (c.timestamps ? TIMESTAMPS_SPACE : 0) + extra
    const at = origin - header
    frame.start = at
    put16(buf, at, c.localPort)
    put16(buf, at + TCP.destinationPort, c.remotePort)
    put32(buf, at + TCP.sequence, seq)
    put32(buf, at + TCP.acknowledgment, rcv.nxt)
    buf[at + TCP.dataOffset] = (header << 2) | (flags >> 8) // AE lies beside it
    const urgent = snd.urgent ? snd.urgentAt(seq) : 0
    buf[at + TCP.flags] = urgent > 0 ? flags | URG : flags
    const edge = rcv.edge
    const lastAckSent = rcv.lastAckSent
    const quick = rcv.quick
    const ackNow = rcv.ackNow
    const delayed = rcv.delayed
    const dsack = rcv.hasDsack
    put16(buf, at + TCP.window, rcv.advertise(true))
    put16(buf, at + TCP.checksum, 0)
    put16(buf, at + TCP.urgent, urgent)
    let o = at + TCP_HEADER + space
    if (c.timestamps) {
      put32(buf, o, ALIGNED_TIMESTAMPS)
      put32(buf, o + 4, c.tsNow())
      put32(buf, o + 8, c.tsRecent)
      o += TIMESTAMPS_SPACE
    }
    if (accurate !== null) {
      if (accurate.fields >= 0) o = accurate.write(buf, o)
      if (accurate.blocks > 0) rcv.writeSack(buf, o, c.timestamps, accurate.blocks)
    } else if (extra > 0) rcv.writeSack(buf, o, c.timestamps)
    if (keys !== null) keys.sign(buf, at, frame.end, c.localAddress, c.remoteAddress)
    const mss = snd.payloadLimit
    const gso = len > mss ? (c.path.isV4 ? GSO_TCP4 : GSO_TCP6) : GSO_NONE
    this.finish(frame, route, c.path.pseudoSum, gso, mss)
    const family = c.path.isV4 ? this.ip.v4! : this.ip.v6!
    const isTaken = family.output(frame, route, PROTO_TCP, tos, c.ttl, true)
    if (isLarge) frame.leave()
    if (!isTaken) {
      rcv.edge = edge
      rcv.lastAckSent = lastAckSent
      rcv.quick = quick
      rcv.ackNow = ackNow
      rcv.delayed = delayed
      rcv.hasDsack = dsack
      return false
    }
    if (ecn !== null) ecn.sent(c, flags, dsack)
    this.count[C.tcpOutSegs]++
    return true
  }

  /** The SYN of an active open, or the SYN-ACK of a simultaneous one. */
  syn(c: Connection, flags: number): boolean {
    const b = this.bareSegment
    b.sourcePort = c.localPort
    b.destinationPort = c.remotePort
    b.seq = c.snd.iss
    b.ack = (flags & ACK) !== 0 ? c.rcv.nxt : 0
    b.flags = c.ecn === null ? flags : flags | c.ecn.handshakeFlags(c, flags)
    b.wnd = c.rcv.advertise(false)
    b.mss = c.announcedMss
    b.windowScale = c.windowScaling ? c.rcv.scale : -1
    b.sackPermitted = c.sackPermitted
    b.hasTimestamps = c.timestamps
    b.tsVal = c.tsNow()
    b.tsEcr = (flags & ACK) !== 0 ? c.tsRecent : 0
    b.keys = c.keys
    if (c.fastOpen !== null) addToSyn(c, c.fastOpen, b)
    const tos = c.ecn === null ? c.tos : (c.tos & 0xfc) | c.ecn.handshakeCodepoint(c, b.flags)
    return this.bare(c.route, c.localAddress, c.remoteAddress, tos, c.ttl)
  }

  /** RST with everything a peer may check (RFC 9293 section 3.10.7.1; RFC 5961: exactly SND.NXT). Best effort. */
  reset(c: Connection): void {
    const b = this.bareSegment
    b.sourcePort = c.localPort
    b.destinationPort = c.remotePort
    b.seq = c.snd.nxt
    b.ack = c.rcv.nxt
    b.flags = RST | ACK
    b.wnd = c.tcp.config.resetWindow ? c.rcv.advertise(true) : 0
    b.mss = 0
    b.windowScale = -1
    b.sackPermitted = false
    b.hasTimestamps = c.timestamps
    b.tsVal = c.tsNow()
    b.tsEcr = c.tsRecent
    b.keys = c.keys
    this.bare(c.route, c.localAddress, c.remoteAddress, c.tos, c.ttl)
  }

  /** Sends `bareSegment` along a route. */
  bare(route: Route, local: Address, remote: Address, tos = 0, ttl = this.ttl): boolean {
    const b = this.bareSegment
    const frame = this.frame.reset()
    const buf = frame.buf
    const isSyn = (b.flags & SYN) !== 0
    const { keys } = b
    const space = keys === null ? 0 : keys.space
    const options = isSyn ? this.synOptions.write(b, OPTION_SPACE - space) : b.hasTimestamps ? TIMESTAMPS_SPACE : 0
    if (b.payload !== null) {
      b.payload.copyOut(0, b.payloadLength, buf, PAYLOAD_AT)
      frame.end = PAYLOAD_AT + b.payloadLength
    }
    const at = PAYLOAD_AT - TCP_HEADER - space - options
    frame.start = at
    put16(buf, at, b.sourcePort)
    put16(buf, at + TCP.destinationPort, b.destinationPort)
    put32(buf, at + TCP.sequence, b.seq)
    put32(buf, at + TCP.acknowledgment, b.ack)
    buf[at + TCP.dataOffset] = ((TCP_HEADER + space + options) << 2) | (b.flags >> 8)
    buf[at + TCP.flags] = b.flags
    put16(buf, at + TCP.window, b.wnd)
    put16(buf, at + TCP.checksum, 0)
    put16(buf, at + TCP.urgent, 0)
    const o = at + TCP_HEADER + space
    if (isSyn) {
      const { bytes } = this.synOptions
      for (let i = 0; i < options; i++) buf[o + i] = bytes[i]
    } else if (b.hasTimestamps) {
      put32(buf, o, ALIGNED_TIMESTAMPS)
      put32(buf, o + 4, b.tsVal)
      put32(buf, o + 8, b.tsEcr)
    }
    b.hasAccEcn = false
    b.cookieLength = -1
    b.payload = null
    b.keys = null
    if (keys !== null) keys.sign(buf, at, frame.end, local, remote)
    this.finish(frame, route, pseudoSum(local, remote, PROTO_TCP, 0), GSO_NONE, 0)
    const family = remote.isV4 ? this.ip.v4! : this.ip.v6!
    if (!family.output(frame, route, PROTO_TCP, tos, ttl, true)) return false
    this.count[C.tcpOutSegs]++
    return true
  }

  /** Checksum and meta: left to the link where it offers that, else over the whole. */
  private finish(frame: Frame, route: Route, addresses: number, gso: number, size: number): void {
    const length = frame.end - frame.start
    const sum = fold(addresses + length)
    if (route.iface!.checksumOffload) {
      put16(frame.buf, frame.start + TCP.checksum, sum)
      frame.meta = frameMeta(CSUM_PARTIAL, gso, gso === GSO_NONE ? 0 : size)
    } else {
      put16(frame.buf, frame.start + TCP.checksum, ~sumBytes(frame.buf, frame.start, length, sum) & 0xffff)
      frame.meta = frameMeta(CSUM_NONE, GSO_NONE, 0)
    }
  }
}
