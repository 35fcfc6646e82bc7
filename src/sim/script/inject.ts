/** Packets of the peer: from the tree to bytes on the wire, numbers mapped to those of the connection. */
import { put16, put32 } from '../../base/bytes.ts'
import { sumBytes } from '../../base/checksum.ts'
import { ACK, AE, type Ecn, type IcmpSpec, type IpSpec, type PacketSpec, type SeqSpec, SYN, type TcpSpec } from './ast.ts'
import type { Endpoint } from './endpoint.ts'
import type { Settings } from './settings.ts'
import { fail, skip } from './stop.ts'
import { optionBytes, rawOptions, SACK, TIMESTAMPS, u32, word } from './tcp-options.ts'

const IP_HEADER = 20
const TCP_HEADER = 20
const ICMP_HEADER = 8
/** RFC 792: what is quoted behind the IP header. */
const QUOTED = 8
const PROTO_ICMP = 1
const PROTO_TCP = 6
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
  const buf = new Uint8Array(IP_HEADER + header + tcp.seq.length)
  const at = IP_HEADER
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
  const size = buf.length - at
  put16(buf, at + 16, ~sumBytes(buf, at, size, sumBytes(buf, 12, 8, PROTO_TCP + size)))
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

/** Writes an IPv4 header at `at` for what follows it to the end of `buf`. */
function ipHeader(buf: Uint8Array, at: number, ip: IpSpec, protocol: number, source: number, destination: number): void {
  buf[at] = 0x45
  buf[at + 1] = tosOf(ip)
  put16(buf, at + 2, buf.length - at)
  buf[at + 8] = ip.ttl ?? TTL
  buf[at + 9] = protocol
  put32(buf, at + 12, source)
  put32(buf, at + 16, destination)
  put16(buf, at + 10, ~sumBytes(buf, at, IP_HEADER, 0))
}

const UNREACHABLE_CODES: { readonly [name: string]: number } = {
  net_unreachable: 0,
  host_unreachable: 1,
  protocol_unreachable: 2,
  port_unreachable: 3,
  frag_needed: 4,
  source_route_failed: 5,
  net_unknown: 6,
  host_unknown: 7,
  source_host_isolated: 8,
  net_prohibited: 9,
  host_prohibited: 10,
  net_unreachable_for_tos: 11,
  host_unreachable_for_tos: 12,
  packet_filtered: 13,
  precedence_violation: 14,
  precedence_cutoff: 15,
}

const ICMP_TYPES: { readonly [name: string]: { type: number; codes?: { readonly [name: string]: number } } } = {
  echo_reply: { type: 0 },
  unreachable: { type: 3, codes: UNREACHABLE_CODES },
  source_quench: { type: 4 },
  redirect: { type: 5 },
  echo_request: { type: 8 },
  time_exceeded: { type: 11, codes: { ttl_exceeded_in_transit: 0, frag_reass_exceeded: 1 } },
  parameter_problem: { type: 12 },
  timestamp_request: { type: 13 },
  timestamp_reply: { type: 14 },
  information_request: { type: 15 },
  information_reply: { type: 16 },
  address_mask_request: { type: 17 },
  address_mask_reply: { type: 18 },
}

/** Type and code as numbers. A name that is unknown skips the script. */
export function icmpNumbers(spec: IcmpSpec): { type: number; code: number } {
  const known = ICMP_TYPES[spec.type]
  const type = known?.type ?? numbered(spec.type)
  if (type === null) return skip(`ICMP type ${spec.type} is not known`)
  const code = spec.code === null ? 0 : (known?.codes?.[spec.code] ?? numbered(spec.code))
  if (code === null) return skip(`ICMP code ${spec.code} is not known`)
  return { type, code }
}

/** `3`, `type_3`, `code_3`. */
function numbered(text: string): number | null {
  const m = /^(?:type_|code_)?(\d+)$/.exec(text)
  return m === null || Number(m[1]) > 255 ? null : Number(m[1])
}

function icmpPacket(ip: IpSpec, spec: IcmpSpec, e: Endpoint, s: Settings): Uint8Array {
  const { type, code } = icmpNumbers(spec)
  const { quoted } = spec
  const isEcho = type === 0 || type === 8
  const buf = new Uint8Array(IP_HEADER + ICMP_HEADER + (isEcho ? 0 : IP_HEADER + QUOTED))
  buf[IP_HEADER] = type
  buf[IP_HEADER + 1] = code
  if (spec.mtu !== null) put16(buf, IP_HEADER + 6, spec.mtu)
  if (spec.id !== null) put16(buf, IP_HEADER + 4, spec.id)
  if (!isEcho) {
    const at = IP_HEADER + ICMP_HEADER
    const length = quoted === null ? 0 : quoted.kind === 'tcp' ? quoted.seq.length : quoted.length
    ipHeader(buf, at, NO_IP, PROTO_TCP, s.localAddress, s.remoteAddress)
    put16(buf, at + 2, IP_HEADER + TCP_HEADER + length)
    put16(buf, at + 10, 0)
    put16(buf, at + 10, ~sumBytes(buf, at, IP_HEADER, 0))
    put16(buf, at + IP_HEADER, e.localPort)
    put16(buf, at + IP_HEADER + 2, e.remotePort)
    if (quoted?.kind === 'tcp') put32(buf, at + IP_HEADER + 4, sequence(quoted.seq, e.localOffset(false)))
    else if (quoted?.kind === 'udp') skip('UDP is not played')
    else put32(buf, at + IP_HEADER + 4, e.liveIss)
  }
  put16(buf, IP_HEADER + 2, ~sumBytes(buf, IP_HEADER, buf.length - IP_HEADER, 0))
  ipHeader(buf, 0, ip, PROTO_ICMP, s.remoteAddress, s.localAddress)
  return buf
}

const NO_IP: IpSpec = { ecn: null, tos: null, dscp: null, ttl: null, flowLabel: null }
