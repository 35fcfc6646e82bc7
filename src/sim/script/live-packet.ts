/** Reading what the stack has sent: a packet as numbers, or what is wrong with it. Written apart from the stack's own parser on purpose. */
import { get16, get32 } from '../../base/bytes.ts'
import { sumBytes } from '../../base/checksum.ts'
import { ACK, AE } from './ast.ts'
import type { Sent } from './link.ts'

export interface LiveTcp {
  kind: 'tcp'
  sourcePort: number
  destinationPort: number
  /** Unsigned. */
  seq: number
  ack: number
  /** Nine bits, as in the tree. */
  flags: number
  window: number
  urgent: number
  options: Uint8Array
  /** Payload bytes. */
  length: number
  /** Segments that were put together. */
  segments: number
}

export interface LiveIcmp {
  kind: 'icmp'
  type: number
  code: number
}

export interface LivePacket {
  atUs: number
  tos: number
  ttl: number
  /** Of IPv6; -1: IPv4 has none. */
  flowLabel: number
  body: LiveTcp | LiveIcmp | { kind: 'other'; protocol: number }
  /** What no packet may have: a wrong checksum, a wrong length. Null: sound. */
  fault: string | null
}

const IP_HEADER = 20
const IP6_HEADER = 40
const PROTO_ICMP = 1
const PROTO_TCP = 6
const PROTO_ICMPV6 = 58
/** Of ICMPv6: what hosts and routers of a link say to each other (multicast listeners, neighbours) is none of a script's business. */
const FIRST_OF_LINK = 130

export function readPacket(sent: Sent): LivePacket {
  const buf = sent.bytes
  if (buf[0] >> 4 === 6) return readPacket6(sent)
  const header = (buf[0] & 15) << 2
  const packet: LivePacket = {
    atUs: sent.atUs,
    tos: buf[1],
    ttl: buf[8],
    flowLabel: -1,
    body: { kind: 'other', protocol: buf[9] },
    fault: null,
  }
  if (buf[0] >> 4 !== 4 || header < IP_HEADER) packet.fault = 'no IPv4 header'
  else if (get16(buf, 2) !== buf.length) packet.fault = `IP total length is ${get16(buf, 2)}, the packet has ${buf.length} bytes`
  else if (sumBytes(buf, 0, header, 0) !== 0xffff) packet.fault = 'bad IP header checksum'
  if (packet.fault !== null) return packet
  if (buf[9] === PROTO_TCP) readTcp(packet, buf, header)
  else if (buf[9] === PROTO_ICMP) packet.body = { kind: 'icmp', type: buf[header], code: buf[header + 1] }
  return packet
}

function readPacket6({ bytes: buf, atUs }: Sent): LivePacket {
  const protocol = buf[6]
  const packet: LivePacket = {
    atUs,
    tos: ((buf[0] & 15) << 4) | (buf[1] >> 4),
    ttl: buf[7],
    flowLabel: get32(buf, 0) & 0xfffff,
    body: { kind: 'other', protocol },
    fault: null,
  }
  const size = buf.length - IP6_HEADER
  if (size < 0 || get16(buf, 4) !== size) packet.fault = `IPv6 payload length is ${get16(buf, 4)}, the packet has ${size} bytes`
  else if (protocol === PROTO_TCP) readTcp(packet, buf, IP6_HEADER)
  else if (protocol === PROTO_ICMPV6) {
    if (sumBytes(buf, IP6_HEADER, size, sumBytes(buf, 8, 32, PROTO_ICMPV6 + size)) !== 0xffff)
      packet.fault = 'bad ICMPv6 checksum'
    else if (buf[IP6_HEADER] < FIRST_OF_LINK) packet.body = { kind: 'icmp', type: buf[IP6_HEADER], code: buf[IP6_HEADER + 1] }
  }
  return packet
}

function readTcp(packet: LivePacket, buf: Uint8Array, at: number): void {
  const size = buf.length - at
  const header = size >= 20 ? (buf[at + 12] >> 4) << 2 : 0
  if (header < 20 || header > size) {
    packet.fault = 'bad TCP data offset'
    return
  }
  const pseudo = at === IP6_HEADER ? sumBytes(buf, 8, 32, PROTO_TCP + size) : sumBytes(buf, 12, 8, PROTO_TCP + size)
  if (sumBytes(buf, at, size, pseudo) !== 0xffff) packet.fault = 'bad TCP checksum'
  if ((buf[at + 12] & 0x0e) !== 0) packet.fault = 'reserved bits of the TCP header are not zero'
  const flags = buf[at + 13] | ((buf[at + 12] & 1) !== 0 ? AE : 0)
  packet.body = {
    kind: 'tcp',
    sourcePort: get16(buf, at),
    destinationPort: get16(buf, at + 2),
    seq: get32(buf, at + 4) >>> 0,
    ack: (flags & ACK) !== 0 ? get32(buf, at + 8) >>> 0 : 0,
    flags,
    window: get16(buf, at + 14),
    urgent: get16(buf, at + 18),
    options: buf.subarray(at + 20, at + header),
    length: size - header,
    segments: 1,
  }
}
