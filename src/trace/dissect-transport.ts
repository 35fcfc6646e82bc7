/** What IP carries, for dissect.ts: TCP with its options, UDP, ICMP with the packet that an error quotes. */
import { formatIPv4 } from '../base/address.ts'
import { get16, get32 } from '../base/bytes.ts'
import { sumBytes } from '../base/checksum.ts'
import { DHCP, DHCP_MESSAGE_NAMES, DHCP_OPT_MESSAGE_TYPE, findDhcpOption, isDhcp } from '../dhcp/wire.ts'
import { DHCP6_HEADER, DHCP6_MESSAGE_NAMES, isDhcp6, isRelayType } from '../dhcp6/wire.ts'
import {
  ICMP,
  ICMP_ECHO,
  ICMP_ECHO_REPLY,
  ICMP_HEADER,
  ICMP_MTU,
  ICMP_PARAMETER_PROBLEM,
  ICMP_POINTER,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMP_REPLY,
  ICMP_UNREACHABLE,
  UNREACH_NEEDFRAG,
} from '../icmp/wire.ts'
import { PROTO_ICMP, PROTO_ICMPV6, PROTO_IGMP, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import {
  ACCECN_COUNTER,
  ACK,
  AE,
  OPT_ACCECN0,
  OPT_ACCECN1,
  OPT_AO,
  OPT_AO_LEAST_LENGTH,
  OPT_END,
  OPT_MD5,
  OPT_MD5_LENGTH,
  OPT_MSS,
  OPT_NOP,
  OPT_SACK,
  OPT_SACK_PERMITTED,
  OPT_TIMESTAMPS,
  OPT_WINDOW_SCALE,
  TCP,
  TCP_HEADER,
  URG,
} from '../tcp/wire.ts'
import { UDP, UDP_HEADER } from '../udp/wire.ts'
import { network, type View } from './dissect.ts'
import { icmp6 } from './dissect-icmp6.ts'

/** Where the addresses of the pseudo-header are, and whether a checksum is to be verified. */
export interface Sums {
  from: number
  bytes: number
  verify: boolean
}

const PROTOCOLS: Record<number, string> = {
  [PROTO_ICMP]: 'ICMP',
  [PROTO_IGMP]: 'IGMP',
  [PROTO_TCP]: 'TCP',
  [PROTO_UDP]: 'UDP',
  [PROTO_ICMPV6]: 'ICMP6',
}

export function protocolName(protocol: number): string {
  return PROTOCOLS[protocol] ?? `protocol ${protocol}`
}

/** `[at, end)` are the bytes that are there; `full` is where the packet would end if it were not cut short. */
export function transport(
  buf: Uint8Array,
  at: number,
  end: number,
  full: number,
  protocol: number,
  ip: string,
  from: string,
  to: string,
  sums: Sums,
  view: View,
): string {
  const way = `${ip} ${from} > ${to}:`
  const length = full - at
  if (protocol === PROTO_TCP || protocol === PROTO_UDP) {
    // A quote has at least the eight bytes that hold the ports (RFC 792).
    if (end - at < (view.quoted ? 8 : protocol === PROTO_TCP ? TCP_HEADER : UDP_HEADER)) {
      return `${way} ${protocolName(protocol)} malformed: ${Math.max(0, end - at)} bytes`
    }
    const ported = `${ip} ${from}.${get16(buf, at)} > ${to}.${get16(buf, at + 2)}:`
    const body = protocol === PROTO_TCP ? tcp(buf, at, end, length) : udp(buf, at, length, view)
    const isUnsummed = protocol === PROTO_UDP && get16(buf, at + UDP.checksum) === 0
    return `${ported} ${body}${isUnsummed ? '' : badChecksum(buf, at, end, protocol, sums)}`
  }
  if (protocol === PROTO_ICMP) {
    const bad = sums.verify && sumBytes(buf, at, Math.max(0, end - at), 0) !== 0xffff ? ' [bad checksum]' : ''
    return `${way} ${icmp(buf, at, end, length, view)}${bad}`
  }
  if (protocol === PROTO_ICMPV6) return `${way} ${icmp6(buf, at, end, length, view)}${badChecksum(buf, at, end, protocol, sums)}`
  return `${way} ${protocolName(protocol)}, length ${length}`
}

function badChecksum(buf: Uint8Array, at: number, end: number, protocol: number, sums: Sums): string {
  if (!sums.verify || end <= at) return ''
  const pseudo = sumBytes(buf, sums.from, sums.bytes, protocol + (end - at))
  return sumBytes(buf, at, end - at, pseudo) === 0xffff ? '' : ' [bad checksum]'
}

/** As tcpdump has them; `e` is AE (RFC 9768). */
const FLAGS = 'FSRP.UEWe'

function tcp(buf: Uint8Array, at: number, end: number, length: number): string {
  const sequence = get32(buf, at + TCP.sequence) >>> 0
  if (end - at < TCP_HEADER) return `TCP seq ${sequence}`
  const flags = buf[at + TCP.flags] | ((buf[at + TCP.dataOffset] << 8) & AE)
  const header = (buf[at + TCP.dataOffset] >> 4) << 2
  let text = 'Flags ['
  for (let i = 0; i < 9; i++) if ((flags & (1 << i)) !== 0) text += FLAGS[i]
  text += flags === 0 ? 'none]' : ']'
  if (header < TCP_HEADER || header > length) return `${text}, malformed: header length ${header}`
  const payload = length - header
  text += `, seq ${sequence}${payload > 0 ? `:${(sequence + payload) % 0x1_0000_0000}` : ''}`
  if ((flags & ACK) !== 0) text += `, ack ${get32(buf, at + TCP.acknowledgment) >>> 0}`
  text += `, win ${get16(buf, at + TCP.window)}`
  if ((flags & URG) !== 0) text += `, urg ${get16(buf, at + TCP.urgent)}`
  if (header > TCP_HEADER) text += `, options [${tcpOptions(buf, at + TCP_HEADER, Math.min(end, at + header))}]`
  return `${text}, length ${payload}`
}

function tcpOptions(buf: Uint8Array, start: number, end: number): string {
  const out: string[] = []
  for (let at = start; at < end; ) {
    const kind = buf[at]
    if (kind === OPT_NOP || kind === OPT_END) {
      out.push(kind === OPT_NOP ? 'nop' : 'eol')
      if (kind === OPT_END) break
      at++
      continue
    }
    const length = at + 1 < end ? buf[at + 1] : 0
    if (length < 2 || at + length > end) {
      out.push(`malformed option ${kind}`)
      break
    }
    out.push(tcpOption(buf, at, kind, length))
    at += length
  }
  return out.join(',')
}

function tcpOption(buf: Uint8Array, at: number, kind: number, length: number): string {
  const word = (off: number): number => get32(buf, at + off) >>> 0
  if (kind === OPT_MSS && length === 4) return `mss ${get16(buf, at + 2)}`
  if (kind === OPT_WINDOW_SCALE && length === 3) return `wscale ${buf[at + 2]}`
  if (kind === OPT_SACK_PERMITTED && length === 2) return 'sackOK'
  if (kind === OPT_TIMESTAMPS && length === 10) return `TS val ${word(2)} ecr ${word(6)}`
  if (kind === OPT_SACK && length >= 10 && (length - 2) % 8 === 0) {
    let text = `sack ${(length - 2) / 8} `
    for (let off = 2; off < length; off += 8) text += `{${word(off)}:${word(off + 4)}}`
    return text
  }
  if ((kind === OPT_ACCECN0 || kind === OPT_ACCECN1) && (length - 2) % ACCECN_COUNTER === 0 && length <= 11)
    return accEcn(buf, at, kind, length)
  if (kind === OPT_MD5 && length === OPT_MD5_LENGTH) return 'md5'
  if (kind === OPT_AO && length >= OPT_AO_LEAST_LENGTH) return `ao keyid ${buf[at + 2]} rnextkeyid ${buf[at + 3]}`
  return `option ${kind} length ${length}`
}

/** The byte counters of RFC 9768 section 3.2.3, in their order on the wire. */
function accEcn(buf: Uint8Array, at: number, kind: number, length: number): string {
  const names = kind === OPT_ACCECN0 ? ['e0b', 'ceb', 'e1b'] : ['e1b', 'ceb', 'e0b']
  let text = 'accecn'
  for (let i = 0; 2 + ACCECN_COUNTER * i < length; i++) {
    const off = at + 2 + ACCECN_COUNTER * i
    text += ` ${names[i]} ${(buf[off] << 16) | get16(buf, off + 1)}`
  }
  return text
}

function udp(buf: Uint8Array, at: number, length: number, view: View): string {
  const told = get16(buf, at + UDP.length)
  if (told < UDP_HEADER || (told > length && !view.quoted)) return `UDP malformed: length ${told} in ${length} bytes`
  const end = at + Math.min(told, length)
  if (isDhcp(buf, at)) {
    const option = findDhcpOption(buf, at + UDP_HEADER, end, DHCP_OPT_MESSAGE_TYPE)
    const name = option < 0 ? undefined : DHCP_MESSAGE_NAMES[buf[option]]
    if (name)
      return `DHCP ${name}, xid 0x${(get32(buf, at + UDP_HEADER + DHCP.transactionId) >>> 0).toString(16)}, length ${told - UDP_HEADER}`
  }
  if (isDhcp6(buf, at) && end - at - UDP_HEADER >= DHCP6_HEADER) {
    const head = get32(buf, at + UDP_HEADER)
    const name = DHCP6_MESSAGE_NAMES[head >>> 24] ?? ''
    const xid = isRelayType(head >>> 24) ? '' : `, xid 0x${(head & 0xffffff).toString(16)}`
    if (name !== '') return `DHCPv6 ${name}${xid}, length ${told - UDP_HEADER}`
  }
  return `UDP, length ${told - UDP_HEADER}`
}

const UNREACHABLE = [
  'net unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'need to frag',
  'source route failed',
  'net unknown',
  'host unknown',
  'source host isolated',
  'net prohibited',
  'host prohibited',
  'net unreachable for tos',
  'host unreachable for tos',
  'admin prohibited',
]
const REDIRECT = ['net', 'host', 'net for tos', 'host for tos']

function icmp(buf: Uint8Array, at: number, end: number, length: number, view: View): string {
  if (end - at < ICMP_HEADER) return `ICMP malformed: ${Math.max(0, end - at)} bytes`
  const type = buf[at + ICMP.type]
  const code = buf[at + ICMP.code]
  const ids = `id ${get16(buf, at + ICMP.identifier)}, seq ${get16(buf, at + ICMP.sequence)}, length ${length}`
  if (type === ICMP_ECHO) return `ICMP echo request, ${ids}`
  if (type === ICMP_ECHO_REPLY) return `ICMP echo reply, ${ids}`
  if (type === ICMP_TIMESTAMP) return `ICMP timestamp request, ${ids}`
  if (type === ICMP_TIMESTAMP_REPLY) return `ICMP timestamp reply, ${ids}`
  let what: string | undefined
  if (type === ICMP_UNREACHABLE) {
    what = UNREACHABLE[code] ?? `unreachable code ${code}`
    if (code === UNREACH_NEEDFRAG) what += ` (mtu ${get16(buf, at + ICMP_MTU)})`
  } else if (type === ICMP_TIME_EXCEEDED) what = code === 0 ? 'time exceeded in-transit' : 'reassembly time exceeded'
  else if (type === ICMP_PARAMETER_PROBLEM) what = `parameter problem at octet ${buf[at + ICMP_POINTER]}`
  else if (type === ICMP_SOURCE_QUENCH) what = 'source quench'
  else if (type === ICMP_REDIRECT) what = `redirect ${REDIRECT[code] ?? code} to ${formatIPv4(get32(buf, at + ICMP_POINTER))}`
  if (what === undefined) return `ICMP type ${type} code ${code}, length ${length}`
  return `ICMP ${what}, length ${length}${quote(buf, at + ICMP_HEADER, end, view)}`
}

/** The packet that an error is about. One level: an error in an error quotes nothing more. */
export function quote(buf: Uint8Array, at: number, end: number, view: View): string {
  return view.quoted || at >= end ? '' : `, about ${network(buf, at, end, { quoted: true, meta: 0 })}`
}
