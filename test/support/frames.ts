/** Frames for tests, built byte by byte and with the most naive arithmetic there is: a twin of what the stack does cleverly. */
import { CSUM_PARTIAL, frameMeta, GSO_TCP4, GSO_TCP6, GSO_UDP, type Medium } from '../../src/netif/netif.ts'

export interface BuiltFrame {
  bytes: Uint8Array
  meta: number
}

export const MAC_A = [2, 0, 0, 0, 0, 0x0a]
export const MAC_B = [2, 0, 0, 0, 0, 0x0b]
/** IEEE 802 local experimental EtherType 1: no kernel answers it. */
export const EXPERIMENTAL = 0x88b5

/** One's complement sum, folded, as RFC 1071 section 4.1 has it in C. */
export function naiveSum(bytes: ArrayLike<number>, from = 0, to = bytes.length, sum = 0): number {
  let acc = sum
  for (let i = from; i < to; i += 2) acc += bytes[i] * 256 + (i + 1 < to ? bytes[i + 1] : 0)
  while (acc > 0xffff) acc = (acc % 0x10000) + Math.floor(acc / 0x10000)
  return acc
}

const be16 = (v: number): number[] => [(v >>> 8) & 255, v & 255]
const be32 = (v: number): number[] => [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]

/** Bytes that depend on a seed and repeat nowhere soon. */
export function noise(length: number, seed: number): Uint8Array {
  const out = new Uint8Array(length)
  let x = (seed * 2654435761 + 12345) >>> 0
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    out[i] = x >>> 24
  }
  return out
}

export interface IpOptions {
  family?: 4 | 6
  medium?: Medium
  /** IPv4 source and destination last bytes; IPv6 likewise. */
  from?: number
  to?: number
  id?: number
  /** 802.1Q tags before the EtherType. */
  vlans?: number[]
  /** IPv4 options or IPv6 extension header bytes (whole, its first byte being the next header chain's). */
  ipOptions?: number[]
  /** Flags and offset word of IPv4. Don't fragment when left out. */
  fragment?: number
  ttl?: number
  /** DSCP and ECN. */
  tos?: number
}

/** An IP packet in a link frame. The transport is whole, its checksum included. */
export function ipFrame(protocol: number, transport: ArrayLike<number>, o: IpOptions = {}): Uint8Array {
  const {
    family = 4,
    medium = 'ethernet',
    from = 1,
    to = 2,
    id = 100,
    vlans = [],
    ipOptions = [],
    fragment = 0x4000,
    ttl = 64,
    tos = 0,
  } = o
  const body = Array.from(transport)
  let ip: number[]
  if (family === 4) {
    const head = [
      0x40 | (5 + ipOptions.length / 4),
      tos,
      ...be16(20 + ipOptions.length + body.length),
      ...be16(id),
      ...be16(fragment),
    ]
    ip = [...head, ttl, protocol, 0, 0, 10, 0, 0, from, 10, 0, 0, to, ...ipOptions]
    const sum = ~naiveSum(ip) & 0xffff
    ip[10] = sum >> 8
    ip[11] = sum & 255
  } else {
    const next = ipOptions.length > 0 ? 60 : protocol // destination options
    ip = [
      0x60 | (tos >> 4),
      (tos & 15) << 4,
      0,
      0,
      ...be16(body.length + ipOptions.length),
      next,
      ttl,
      ...v6(from),
      ...v6(to),
      ...ipOptions,
    ]
  }
  const out =
    medium === 'ip'
      ? []
      : [...MAC_B, ...MAC_A, ...vlans.flatMap((v) => [0x81, 0, ...be16(v)]), ...be16(family === 4 ? 0x800 : 0x86dd)]
  return Uint8Array.from(out.concat(ip, body))
}

function v6(last: number): number[] {
  return [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/** The pseudo-header sum (RFC 9293 section 3.1, RFC 8200 section 8.1). */
export function pseudoSum(family: 4 | 6, protocol: number, length: number, from: number, to: number): number {
  const addresses = family === 4 ? [10, 0, 0, from, 10, 0, 0, to] : [...v6(from), ...v6(to)]
  return naiveSum([...addresses, ...be32(length), 0, 0, 0, protocol])
}

export interface TcpOptions extends IpOptions {
  sport?: number
  dport?: number
  seq?: number
  ack?: number
  flags?: number
  window?: number
  options?: number[]
  payload?: ArrayLike<number>
  /** Leave the checksum partial. */
  partial?: boolean
  /** Payload bytes per segment: makes it a super-frame (partial). */
  gso?: number
}

export function tcpFrame(o: TcpOptions = {}): BuiltFrame {
  const { sport = 40000, dport = 7, seq = 1, ack = 1, flags = 0x10, window = 65535, options = [], payload = [], gso = 0 } = o
  const { family = 4, from = 1, to = 2 } = o
  const words = 5 + options.length / 4
  const head = [
    ...be16(sport),
    ...be16(dport),
    ...be32(seq),
    ...be32(ack),
    (words << 4) | (flags >> 8),
    flags & 0xff,
    ...be16(window),
    0,
    0,
    0,
    0,
  ]
  const tcp = head.concat(options, Array.from(payload))
  const pseudo = pseudoSum(family, 6, tcp.length, from, to)
  const isPartial = o.partial === true || gso > 0
  const sum = isPartial ? pseudo : ~naiveSum(tcp, 0, tcp.length, pseudo) & 0xffff
  tcp[16] = sum >> 8
  tcp[17] = sum & 255
  const kind = gso === 0 ? 0 : family === 4 ? GSO_TCP4 : GSO_TCP6
  return { bytes: ipFrame(6, tcp, o), meta: isPartial ? frameMeta(CSUM_PARTIAL, kind, gso) : 0 }
}

export interface UdpOptions extends IpOptions {
  sport?: number
  dport?: number
  payload?: ArrayLike<number>
  partial?: boolean
  gso?: number
}

export function udpFrame(o: UdpOptions = {}): BuiltFrame {
  const { sport = 40000, dport = 7, payload = [], gso = 0, family = 4, from = 1, to = 2 } = o
  const udp = [...be16(sport), ...be16(dport), ...be16(8 + payload.length), 0, 0].concat(Array.from(payload))
  const pseudo = pseudoSum(family, 17, udp.length, from, to)
  const isPartial = o.partial === true || gso > 0
  const sum = isPartial ? pseudo : ~naiveSum(udp, 0, udp.length, pseudo) & 0xffff || 0xffff
  udp[6] = sum >> 8
  udp[7] = sum & 255
  return { bytes: ipFrame(17, udp, o), meta: isPartial ? frameMeta(CSUM_PARTIAL, gso > 0 ? GSO_UDP : 0, gso) : 0 }
}

/** A frame that nobody answers: experimental EtherType, or on an IP medium the experimental protocol 253 (RFC 3692). */
export function plainFrame(medium: Medium, length: number, seed: number): Uint8Array {
  if (medium === 'ip') return ipFrame(253, noise(Math.max(0, length - 20), seed), { medium, id: seed & 0xffff })
  const out = noise(length, seed)
  out.set([...MAC_B, ...MAC_A, ...be16(EXPERIMENTAL)])
  return out
}

export interface ParsedTransport {
  family: 4 | 6
  protocol: number
  /** IPv4 identification. */
  id: number
  /** Offsets in the frame: IP header, transport header, payload, end of the IP packet. */
  ip: number
  transport: number
  payload: number
  end: number
  ipChecksumOk: boolean
  checksumOk: boolean
}

/** Takes a TCP or UDP frame apart, naively. */
export function parseTransport(bytes: Uint8Array, medium: Medium = 'ethernet'): ParsedTransport {
  let ip = 0
  if (medium === 'ethernet') {
    ip = 14
    while (bytes[ip - 2] === 0x81 && bytes[ip - 1] === 0) ip += 4
  }
  const family = bytes[ip] >> 4 === 4 ? 4 : 6
  const word = (at: number): number => bytes[at] * 256 + bytes[at + 1]
  let transport = family === 4 ? ip + (bytes[ip] & 15) * 4 : ip + 40
  let protocol = bytes[ip + (family === 4 ? 9 : 6)]
  if (family === 6 && protocol === 60) {
    protocol = bytes[transport]
    transport += 8 + bytes[transport + 1] * 8
  }
  const end = family === 4 ? ip + word(ip + 2) : ip + 40 + word(ip + 4)
  const payload = protocol === 6 ? transport + (bytes[transport + 12] >> 4) * 4 : transport + 8
  const addresses = family === 4 ? bytes.slice(ip + 12, ip + 20) : bytes.slice(ip + 8, ip + 40)
  const length = end - transport
  const pseudo = naiveSum([...addresses, ...be32(length), 0, 0, 0, protocol])
  return {
    family,
    protocol,
    id: family === 4 ? word(ip + 4) : -1,
    ip,
    transport,
    payload,
    end,
    ipChecksumOk: family === 6 || naiveSum(bytes, ip, ip + (bytes[ip] & 15) * 4) === 0xffff,
    checksumOk: naiveSum(bytes, transport, end, pseudo) === 0xffff,
  }
}
