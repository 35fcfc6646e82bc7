/**
 * Where the headers of a frame are, for those who do a device's work in software. One record, reused: `parse` fills it.
 */
import { get16, put16 } from '../base/bytes.ts'
import { checksum, sumBytes } from '../base/checksum.ts'
import { ETH, ETH_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_QINQ, ETHERTYPE_VLAN, VLAN_TAG } from '../ethernet/wire.ts'
import { PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { IP4, IP4_HEADER, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import { IP6, IP6_ADDRESS, IP6_EXT, IP6_HEADER, NEXT_DESTINATION, NEXT_HOP_BY_HOP, NEXT_ROUTING } from '../ipv6/wire.ts'
import type { Medium } from '../netif/netif.ts'
import { TCP, TCP_HEADER } from '../tcp/wire.ts'
import { UDP, UDP_HEADER } from '../udp/wire.ts'

export class Layers {
  /** 4 or 6. */
  family = 0
  /** Offset of the IP header. */
  ip = 0
  /** PROTO_TCP or PROTO_UDP. */
  protocol = 0
  /** Offset of the TCP or UDP header. */
  transport = 0
  /** Offset of what follows it. */
  payload = 0
  /** End of the IP packet: link padding is behind it. */
  end = 0
  /** Offset of the transport checksum. */
  checksumAt = 0

  /**
   * True when the frame is one whole TCP segment or UDP datagram (or super-frame of them), with all lengths consistent. False
   * for everything else, fragments included; the fields then mean nothing.
   */
  parse(buf: Uint8Array, start: number, end: number, medium: Medium): boolean {
    let at = start
    if (medium === 'ethernet') {
      let type = end - at < ETH_HEADER ? 0 : get16(buf, at + ETH.etherType)
      at += ETH_HEADER
      for (let tags = 0; tags < 2 && (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ); tags++) {
        if (end - at < VLAN_TAG) return false
        type = get16(buf, at + 2)
        at += VLAN_TAG
      }
      if (type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return false
    }
    this.ip = at
    if (end - at < IP4_HEADER) return false
    const version = buf[at] >> 4
    if (!(version === 4 ? this.parse4(buf, at, end) : version === 6 && this.parse6(buf, at, end))) return false
    return this.parseTransport(buf)
  }

  /** The pseudo-header's sum for a transport of this length, from the addresses in the IP header. */
  pseudo(buf: Uint8Array, length: number): number {
    const isV4 = this.family === 4
    const from = this.ip + (isV4 ? IP4.source : IP6.source)
    return sumBytes(buf, from, isV4 ? 8 : 2 * IP6_ADDRESS, this.protocol + length)
  }

  /** Makes a PARTIAL checksum whole: the field holds the pseudo-header's sum, so it is part of what is summed. */
  complete(buf: Uint8Array): void {
    finish(buf, this.transport, this.end, this.checksumAt, this.protocol)
  }

  private parse4(buf: Uint8Array, at: number, end: number): boolean {
    const header = (buf[at] & 15) << 2
    const total = get16(buf, at + IP4.totalLength)
    if (header < IP4_HEADER || total < header || total > end - at) return false
    if ((get16(buf, at + IP4.flagsFragment) & (IP4_MORE_FRAGMENTS | IP4_OFFSET_MASK)) !== 0) return false
    this.family = 4
    this.protocol = buf[at + IP4.protocol]
    this.transport = at + header
    this.end = at + total
    return true
  }

  private parse6(buf: Uint8Array, at: number, end: number): boolean {
    if (end - at < IP6_HEADER) return false
    const total = IP6_HEADER + get16(buf, at + IP6.payloadLength)
    if (total > end - at) return false
    this.family = 6
    this.end = at + total
    let next = buf[at + IP6.nextHeader]
    let off = at + IP6_HEADER
    while (next === NEXT_HOP_BY_HOP || next === NEXT_ROUTING || next === NEXT_DESTINATION) {
      if (this.end - off < 8) return false
      next = buf[off + IP6_EXT.nextHeader]
      off += 8 + (buf[off + IP6_EXT.length] << 3)
    }
    this.protocol = next
    this.transport = off
    return true
  }

  private parseTransport(buf: Uint8Array): boolean {
    const room = this.end - this.transport
    if (this.protocol === PROTO_TCP && room >= TCP_HEADER) {
      const header = (buf[this.transport + TCP.dataOffset] >> 4) << 2
      this.payload = this.transport + header
      this.checksumAt = this.transport + TCP.checksum
      return header >= TCP_HEADER && header <= room
    }
    if (this.protocol === PROTO_UDP && room >= UDP_HEADER) {
      this.payload = this.transport + UDP_HEADER
      this.checksumAt = this.transport + UDP.checksum
      return true
    }
    return false
  }
}

/** Writes the checksum of `[from, end)`, whose field at `at` holds the pseudo-header's sum. */
export function finish(buf: Uint8Array, from: number, end: number, at: number, protocol: number): void {
  const sum = checksum(buf, from, end - from)
  // RFC 768: a computed zero is sent as all ones, because zero says "no checksum".
  put16(buf, at, sum === 0 && protocol === PROTO_UDP ? 0xffff : sum)
}
