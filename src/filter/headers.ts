/**
 * Where the headers of one packet are, as far as a filter asks: of the packet itself, or of the one that an ICMP error quotes. A reused
 * record; `parse` fills it and never reads outside of the range. What cannot be read is as if it were not there.
 */
import { Address } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { IP4, IP4_HEADER, IP4_MORE_FRAGMENTS, IP4_OFFSET_MASK } from '../ipv4/wire.ts'
import {
  IP6,
  IP6_EXT,
  IP6_FRAG,
  IP6_FRAGMENT_HEADER,
  IP6_HEADER,
  IP6_MORE_FRAGMENTS,
  IP6_OFFSET_MASK,
  NEXT_DESTINATION,
  NEXT_FRAGMENT,
  NEXT_HOP_BY_HOP,
  NEXT_ROUTING,
} from '../ipv6/wire.ts'

/** Of a whole datagram, or which part of one. */
export const Part = { WHOLE: 0, FIRST: 1, LATER: 2 } as const

/** What an ICMP message is to connection tracking. */
export const IcmpRole = { NONE: 0, REQUEST: 1, REPLY: 2, ERROR: 3 } as const

/** Bytes of an ICMP error before the packet that it quotes, in both families. */
export const ERROR_HEADER = 8

/** Authentication header (RFC 4302): a header before the transport like the others, but its length counts words. */
const NEXT_AUTHENTICATION = 51
/** As many as fit a packet: a rule about ports must not be got around by one header more. Each has eight bytes, so that this has its end. */
const MAX_EXTENSIONS = 8192

export class Headers {
  buf: Uint8Array = new Uint8Array(0)
  family: 4 | 6 = 4
  /** Where the IP header begins; -1: it is not written yet (a packet of ours on its way out). */
  ip = -1
  readonly source = new Address()
  readonly destination = new Address()
  /** The transport, behind extension headers. */
  protocol = 0
  /** Where it begins, and one past the last byte that is there. */
  at = 0
  end = 0
  part = 0
  /** Offset of a later fragment in its datagram, in bytes. */
  fragmentOffset = 0
  identification = 0
  /**
   * Ports as connection tracking has them. Of ICMP queries the identifier stands for the asker's port, and the type of the question for the
   * other: so an answer is the question with both sides exchanged, as with ports.
   */
  sourcePort = 0
  destinationPort = 0
  /** The ports above are those of the packet. */
  hasPorts = false
  tcpFlags = 0
  icmpType = -1
  icmpCode = -1
  icmpRole = 0

  /** Reads an IP packet. False: there is no IP header. */
  parse(buf: Uint8Array, start: number, end: number): boolean {
    this.buf = buf
    this.ip = start
    this.end = end
    if (start >= end) return false
    const version = buf[start] >> 4
    if (version === 4) {
      const header = (buf[start] & 15) << 2
      if (header < IP4_HEADER || end - start < header) return false
      this.family = 4
      this.source.setV4(get32(buf, start + IP4.source))
      this.destination.setV4(get32(buf, start + IP4.destination))
      const field = get16(buf, start + IP4.flagsFragment)
      this.fragmentOffset = (field & IP4_OFFSET_MASK) << 3
      this.part = this.fragmentOffset !== 0 ? Part.LATER : (field & IP4_MORE_FRAGMENTS) !== 0 ? Part.FIRST : Part.WHOLE
      this.identification = get16(buf, start + IP4.identification)
      this.transport(buf[start + IP4.protocol], start + header)
      return true
    }
    if (version !== 6 || end - start < IP6_HEADER) return false
    this.family = 6
    this.source.read(buf, start + IP6.source)
    this.destination.read(buf, start + IP6.destination)
    this.part = Part.WHOLE
    this.fragmentOffset = 0
    this.walk(buf[start + IP6.nextHeader], start + IP6_HEADER)
    return true
  }

  /** A packet of ours whose IP header is not written: `[at, end)` is what follows it. Addresses are the caller's to set. */
  parseOwn(buf: Uint8Array, at: number, end: number, family: 4 | 6, protocol: number): void {
    this.buf = buf
    this.ip = -1
    this.end = end
    this.family = family
    this.part = Part.WHOLE
    this.fragmentOffset = 0
    if (family === 4) this.transport(protocol, at)
    else this.walk(protocol, at)
  }

  /** Skips the extension headers of IPv6. */
  private walk(first: number, from: number): void {
    const { buf, end } = this
    let next = first
    let at = from
    for (let i = 0; i < MAX_EXTENSIONS && this.part !== Part.LATER; i++) {
      let length = 0
      if (next === NEXT_HOP_BY_HOP || next === NEXT_ROUTING || next === NEXT_DESTINATION) {
        if (end - at < 8) break
        length = 8 + (buf[at + IP6_EXT.length] << 3)
      } else if (next === NEXT_AUTHENTICATION) {
        if (end - at < 8) break
        length = 8 + (buf[at + IP6_EXT.length] << 2)
      } else if (next === NEXT_FRAGMENT) {
        if (end - at < IP6_FRAGMENT_HEADER) break
        length = IP6_FRAGMENT_HEADER
        const field = get16(buf, at + IP6_FRAG.offsetFlags)
        this.fragmentOffset = field & IP6_OFFSET_MASK
        // An atomic fragment is a whole datagram (RFC 6946).
        if (this.fragmentOffset !== 0) this.part = Part.LATER
        else if ((field & IP6_MORE_FRAGMENTS) !== 0) this.part = Part.FIRST
        this.identification = get32(buf, at + IP6_FRAG.identification)
      } else break
      next = buf[at]
      at += length
    }
    this.transport(next, at)
  }

  private transport(protocol: number, at: number): void {
    const { buf } = this
    const room = this.part === Part.LATER ? 0 : this.end - at
    this.protocol = protocol
    this.at = at
    this.sourcePort = 0
    this.destinationPort = 0
    this.hasPorts = false
    this.tcpFlags = 0
    this.icmpType = -1
    this.icmpCode = -1
    this.icmpRole = IcmpRole.NONE
    if (protocol === PROTO_TCP || protocol === PROTO_UDP) {
      if (room < 4) return
      this.sourcePort = get16(buf, at)
      this.destinationPort = get16(buf, at + 2)
      this.hasPorts = true
      if (protocol === PROTO_TCP && room >= 14) this.tcpFlags = buf[at + 13]
    } else if ((protocol === PROTO_ICMP && this.family === 4) || (protocol === PROTO_ICMPV6 && this.family === 6)) {
      if (room < 8) return
      this.icmpType = buf[at]
      this.icmpCode = buf[at + 1]
      if (protocol === PROTO_ICMP) this.icmp4()
      else this.icmp6()
    }
  }

  private icmp4(): void {
    switch (this.icmpType) {
      case 8: // echo
      case 13: // timestamp
      case 15: // information
      case 17: // address mask
        this.query(true, this.icmpType)
        break
      case 0:
        this.query(false, 8)
        break
      case 14:
      case 16:
      case 18:
        this.query(false, this.icmpType - 1)
        break
      case 3: // unreachable
      case 4: // source quench
      case 5: // redirect
      case 11: // time exceeded
      case 12: // parameter problem
        this.icmpRole = IcmpRole.ERROR
        break
      default:
    }
  }

  private icmp6(): void {
    if (this.icmpType === 128) this.query(true, 128)
    else if (this.icmpType === 129) this.query(false, 128)
    else if (this.icmpType < 128) this.icmpRole = IcmpRole.ERROR
  }

  private query(isRequest: boolean, type: number): void {
    const identifier = get16(this.buf, this.at + 4)
    this.icmpRole = isRequest ? IcmpRole.REQUEST : IcmpRole.REPLY
    this.sourcePort = isRequest ? identifier : type
    this.destinationPort = isRequest ? type : identifier
    this.hasPorts = true
  }
}
