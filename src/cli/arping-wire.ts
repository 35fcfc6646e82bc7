/**
 * What arping says on the wire and what counts as an answer, byte for byte as Thomas Habets's arping 2.23 has it: ARP requests for an address; for a MAC
 * address an echo request to 255.255.255.255 in a frame of its own, which a host answers whatever address it has, if any.
 */
import { ARP, ARP_ETHERNET, ARP_LENGTH, ARP_REPLY, ARP_REQUEST } from '../arp/wire.ts'
import { equalBytes, get16, get32, put16, put32 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import { BROADCAST_MAC } from '../ethernet/mac.ts'
import { ETH, ETH_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4 } from '../ethernet/wire.ts'
import { ICMP, ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_HEADER } from '../icmp/wire.ts'
import { PROTO_ICMP } from '../ip/packet.ts'
import { IP4, IP4_HEADER } from '../ipv4/wire.ts'
import { HEADROOM } from '../netif/netif.ts'

/** Text of an echo request, in bytes: 16 of zero, and four by which the answer is known. */
const TEXT = 20
const MARK = 16
const ICMP_AT = ETH_HEADER + IP4_HEADER
const ECHO_FRAME = ICMP_AT + ICMP_HEADER + TEXT
const ARP_FRAME = ETH_HEADER + ARP_LENGTH
const TTL = 64

/** The frame, with the room before it that a link may write into: its bytes begin at HEADROOM. */
function frame(bytes: number, from: Uint8Array, to: Uint8Array, etherType: number): Uint8Array {
  const buf = new Uint8Array(HEADROOM + bytes)
  buf.set(to, HEADROOM + ETH.destination)
  buf.set(from, HEADROOM + ETH.source)
  put16(buf, HEADROOM + ETH.etherType, etherType)
  return buf
}

export interface ArpWords {
  mac: Uint8Array
  /** Who says it. */
  sender: number
  /** Of whom it is. */
  target: number
  /** To whom: everybody, or one host. */
  to: Uint8Array
  isReply: boolean
}

export function arpFrame({ mac, sender, target, to, isReply }: ArpWords): Uint8Array {
  const buf = frame(ARP_FRAME, mac, to, ETHERTYPE_ARP)
  const at = HEADROOM + ETH_HEADER
  put16(buf, at + ARP.hardwareType, ARP_ETHERNET)
  put16(buf, at + ARP.protocolType, ETHERTYPE_IPV4)
  buf[at + ARP.hardwareLength] = 6
  buf[at + ARP.protocolLength] = 4
  put16(buf, at + ARP.operation, isReply ? ARP_REPLY : ARP_REQUEST)
  buf.set(mac, at + ARP.senderHardware)
  put32(buf, at + ARP.senderProtocol, sender)
  // RFC 5227 section 1.1: zero in requests; a reply to everybody has our own (RFC 826 has the pairs swapped, and we are both).
  if (isReply) buf.set(mac, at + ARP.targetHardware)
  put32(buf, at + ARP.targetProtocol, target)
  return buf
}

/** What an ARP packet of Ethernet and IPv4 says. */
export interface ArpHeard {
  isReply: boolean
  sender: number
  target: number
  mac: Uint8Array
  /** The frame was for us alone. */
  isUnicast: boolean
  /** Of the frame, without padding. */
  bytes: number
}

/** The ARP packet of a frame, or null. */
export function heardArp(buf: Uint8Array, start: number, end: number): ArpHeard | null {
  if (end - start < ARP_FRAME || get16(buf, start + ETH.etherType) !== ETHERTYPE_ARP) return null
  const at = start + ETH_HEADER
  if (get16(buf, at + ARP.hardwareType) !== ARP_ETHERNET || get16(buf, at + ARP.protocolType) !== ETHERTYPE_IPV4) return null
  if (buf[at + ARP.hardwareLength] !== 6 || buf[at + ARP.protocolLength] !== 4) return null
  return {
    isReply: get16(buf, at + ARP.operation) === ARP_REPLY,
    sender: get32(buf, at + ARP.senderProtocol),
    target: get32(buf, at + ARP.targetProtocol),
    mac: buf.slice(at + ARP.senderHardware, at + ARP.senderHardware + 6),
    isUnicast: (buf[start + ETH.destination] & 1) === 0,
    bytes: ARP_FRAME,
  }
}

export interface EchoWords {
  mac: Uint8Array
  to: Uint8Array
  source: number
  destination: number
  id: number
  seq: number
  mark: number
}

export function echoFrame({ mac, to, source, destination, id, seq, mark }: EchoWords): Uint8Array {
  const buf = frame(ECHO_FRAME, mac, to, ETHERTYPE_IPV4)
  const ip = HEADROOM + ETH_HEADER
  buf[ip] = 0x45
  put16(buf, ip + IP4.totalLength, ECHO_FRAME - ETH_HEADER)
  put16(buf, ip + IP4.identification, id)
  buf[ip + IP4.ttl] = TTL
  buf[ip + IP4.protocol] = PROTO_ICMP
  put32(buf, ip + IP4.source, source)
  put32(buf, ip + IP4.destination, destination)
  put16(buf, ip + IP4.checksum, checksum(buf, ip, IP4_HEADER))
  const icmp = HEADROOM + ICMP_AT
  buf[icmp + ICMP.type] = ICMP_ECHO
  put16(buf, icmp + ICMP.identifier, id)
  put16(buf, icmp + ICMP.sequence, seq)
  put32(buf, icmp + ICMP_HEADER + MARK, mark)
  put16(buf, icmp + ICMP.checksum, checksum(buf, icmp, ICMP_HEADER + TEXT))
  return buf
}

/** An answer to one of our echo requests. */
export interface EchoHeard {
  from: number
  seq: number
  mac: Uint8Array
  bytes: number
}

/** The answer that a frame is to `words`, whatever address it comes from: by its MAC addresses, its kind and its mark. Null: it is none. */
export function heardEcho(buf: Uint8Array, start: number, end: number, words: EchoWords): EchoHeard | null {
  if (end - start < ECHO_FRAME || get16(buf, start + ETH.etherType) !== ETHERTYPE_IPV4) return null
  if (!equalBytes(buf, start + ETH.destination, words.mac, 0, 6)) return null
  const { to } = words
  if (!equalBytes(buf, start + ETH.source, to, 0, 6) && !equalBytes(to, 0, BROADCAST_MAC, 0, 6)) return null
  const ip = start + ETH_HEADER
  const icmp = start + ICMP_AT
  if (buf[ip] !== 0x45 || buf[ip + IP4.protocol] !== PROTO_ICMP) return null
  if (buf[icmp + ICMP.type] !== ICMP_ECHO_REPLY || buf[icmp + ICMP.code] !== 0) return null
  if (get32(buf, icmp + ICMP_HEADER + MARK) !== words.mark) return null
  return {
    from: get32(buf, ip + IP4.source),
    seq: get16(buf, icmp + ICMP.sequence),
    mac: buf.slice(start + ETH.source, start + ETH.source + 6),
    bytes: ECHO_FRAME,
  }
}

/** 0.0.0.0 */
export const NOBODY = 0
/** 255.255.255.255 */
export const EVERYBODY = -1
