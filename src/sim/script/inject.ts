/** Packets of the peer: from the tree to bytes on the wire, numbers mapped to those of the connection. */
import type { Address } from '../../base/address.ts'
import { put16, put32 } from '../../base/bytes.ts'
import { sumBytes } from '../../base/checksum.ts'
import { ACK, AE, type Ecn, type IcmpSpec, type IpSpec, type PacketSpec, type SeqSpec, SYN, type TcpSpec } from './ast.ts'
import type { Endpoint } from './endpoint.ts'
import { icmpNumbers } from './icmp-names.ts'
import type { Settings } from './settings.ts'
import { fail, skip } from './stop.ts'
import { optionBytes, rawOptions, SACK, TIMESTAMPS, u32, word } from './tcp-options.ts'

const IP4_HEADER = 20
const IP6_HEADER = 40
const TCP_HEADER = 20
const ICMP_HEADER = 8
/** RFC 792: what is quoted behind the IP header. */
const QUOTED = 8
const PROTO_ICMP = 1
const PROTO_TCP = 6
const PROTO_ICMPV6 = 58
const TTL = 255

export const ECN_BITS: { readonly [E in Ecn]: number } = { noecn: 0, ect1: 1, ect0: 2, ce: 3 }

/** The bytes of an injected packet. */
export function injected(spec: PacketSpec, e: Endpoint, s: Settings): Uint8Array {
  const { body } = spec
  if (body.kind === 'tcp') return tcpPacket(spec, body, e, s)
  if (body.kind === 'icmp') return icmpPacket(spec.ip, body, e, s)
  return skip('UDP is not played')
}

function sequence(seq: SeqSpec, offset: number): number {
  return seq.absolute ? seq.start | 0 : (seq.start + offset) | 0
}

function tcpPacket(spec: PacketSpec, tcp: TcpSpec, e: Endpoint, s: Settings): Uint8Array {
  const isSyn = (tcp.flags & SYN) !== 0
  const ours = e.localOffset(isSyn)
  const options = optionBytes(mappedOptions(tcp, e, ours, s))
  const header = TCP_HEADER + options.length
  if (header > 60) fail('the TCP options of the script do not fit into a header')
  const at = ipBytes(s)
  const buf = new Uint8Array(at + header + tcp.seq.length)
  put16(buf, at, spec.ports?.source ?? e.remotePort)
  put16(buf, at + 2, spec.ports?.destination ?? e.localPort)
  put32(buf, at + 4, sequence(tcp.seq, e.remoteOffset(isSyn)))
  put32(buf, at + 8, (tcp.flags & ACK) !== 0 ? ((tcp.ack ?? 0) + ours) | 0 : (tcp.ack ?? 0))
  buf[at + 12] = (header << 2) | ((tcp.flags & AE) !== 0 ? 1 : 0)
  buf[at + 13] = tcp.flags & 0xff
  put16(buf, at + 14, tcp.window ?? 0)
  put16(buf, at + 18, tcp.urgent)
  buf.set(options, at + TCP_HEADER)
  ipHeader(buf, 0, spec.ip, PROTO_TCP, s.remoteAddress, s.localAddress)
  seal(buf, at, at + 16, PROTO_TCP)
  return buf
}

function mappedOptions(tcp: TcpSpec, e: Endpoint, ours: number, s: Settings) {
  const specs = tcp.options ?? []
  const options = rawOptions(specs)
  for (let i = 0; i < options.length; i++) {
    const o = options[i]
    if (o.kind === SACK) {
      const data: number[] = []
      for (let k = 0; k < o.data.length; k += 4) data.push(...u32(word(o.data, k) + ours))
      o.data = data
    }
    const spec = specs[i]
    if (o.kind === TIMESTAMPS && spec.kind === 'TS' && (tcp.flags & ACK) !== 0 && !spec.ecrAbsolute) {
      const live = e.liveTimestamp(spec.ecr, s.tsEcrScaled)
      if (live === null) fail(`unable to infer live TS ecr for script TS ecr ${spec.ecr}: no outbound TS val is that`)
      o.data = [...u32(spec.val ?? 0), ...u32(live)]
    }
  }
  return options
}

function tosOf(ip: IpSpec): number {
  if (ip.tos !== null) return ip.tos
  const ecn = ip.ecn === null || ip.ecn === 'ect01' ? 0 : ECN_BITS[ip.ecn]
  return ((ip.dscp ?? 0) << 2) | ecn
}

function ipBytes(s: Settings): number {
  return s.ipVersion === 'ipv6' ? IP6_HEADER : IP4_HEADER
}

/** Fills in the checksum at `sumAt` of what begins at `at`, over the addresses too, whose header is at 0. */
function seal(buf: Uint8Array, at: number, sumAt: number, protocol: number): void {
  const size = buf.length - at
  const addresses = at === IP6_HEADER ? sumBytes(buf, 8, 32, 0) : sumBytes(buf, 12, 8, 0)
  put16(buf, sumAt, 0)
  put16(buf, sumAt, ~sumBytes(buf, at, size, addresses + protocol + size))
}

/** Writes an IP header at `at` for what follows it to the end of `buf`, or for `length` bytes. */
function ipHeader(
  buf: Uint8Array,
  at: number,
  ip: IpSpec,
  protocol: number,
  source: Address,
  destination: Address,
  length = buf.length - at - (source.isV4 ? IP4_HEADER : IP6_HEADER),
): void {
  const tos = tosOf(ip)
  if (!source.isV4) {
    put32(buf, at, 0x60000000 | (tos << 20) | (ip.flowLabel ?? 0))
    put16(buf, at + 4, length)
    buf[at + 6] = protocol
    buf[at + 7] = ip.ttl ?? TTL
    source.write(buf, at + 8)
    destination.write(buf, at + 24)
    return
  }
  buf[at] = 0x45
  buf[at + 1] = tos
  put16(buf, at + 2, IP4_HEADER + length)
  buf[at + 8] = ip.ttl ?? TTL
  buf[at + 9] = protocol
  put32(buf, at + 12, source.w3)
  put32(buf, at + 16, destination.w3)
  put16(buf, at + 10, ~sumBytes(buf, at, IP4_HEADER, 0))
}

function icmpPacket(ip: IpSpec, spec: IcmpSpec, e: Endpoint, s: Settings): Uint8Array {
  const v6 = s.ipVersion === 'ipv6'
  const header = ipBytes(s)
  const { type, code } = icmpNumbers(spec, v6)
  const { quoted } = spec
  const isEcho = v6 ? type >= 128 : type === 0 || type === 8
  const buf = new Uint8Array(header + ICMP_HEADER + (isEcho ? 0 : header + QUOTED))
  buf[header] = type
  buf[header + 1] = code
  if (spec.mtu !== null) {
    if (v6) put32(buf, header + 4, spec.mtu)
    else put16(buf, header + 6, spec.mtu)
  }
  if (spec.id !== null) put16(buf, header + 4, spec.id)
  if (!isEcho) {
    const at = header + ICMP_HEADER
    const length = quoted === null ? 0 : quoted.kind === 'tcp' ? quoted.seq.length : quoted.length
    ipHeader(buf, at, NO_IP, PROTO_TCP, s.localAddress, s.remoteAddress, TCP_HEADER + length)
    put16(buf, at + header, e.localPort)
    put16(buf, at + header + 2, e.remotePort)
    if (quoted?.kind === 'tcp') put32(buf, at + header + 4, sequence(quoted.seq, e.localOffset(false)))
    else if (quoted?.kind === 'udp') skip('UDP is not played')
    else put32(buf, at + header + 4, e.liveIss)
  }
  ipHeader(buf, 0, ip, v6 ? PROTO_ICMPV6 : PROTO_ICMP, s.remoteAddress, s.localAddress)
  if (v6) seal(buf, header, header + 2, PROTO_ICMPV6)
  else put16(buf, header + 2, ~sumBytes(buf, header, buf.length - header, 0))
  return buf
}

const NO_IP: IpSpec = { ecn: null, tos: null, dscp: null, ttl: null, flowLabel: null }
