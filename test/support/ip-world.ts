/** A host of IP layers on fake links that record what is sent: for tests of ipv4, icmp and udp without a stack. */
import { Address, address, prefix } from '../../src/base/address.ts'
import { checksum } from '../../src/base/checksum.ts'
import { type ConfigOverrides, configure } from '../../src/base/config.ts'
import { BufferPool } from '../../src/base/pool.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { TellList } from '../../src/base/tell.ts'
import { Timers } from '../../src/base/timers.ts'
import { Cast, EthernetPort } from '../../src/ethernet/ethernet.ts'
import { Icmp } from '../../src/icmp/icmp.ts'
import { addAddress } from '../../src/ip/addresses.ts'
import { Interface } from '../../src/ip/interface.ts'
import { Ip } from '../../src/ip/ip.ts'
import { Ipv4 } from '../../src/ipv4/ipv4.ts'
import { ipv4Header } from '../../src/ipv4/wire.ts'
import { Frame } from '../../src/netif/frame.ts'
import type { Medium, NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { Udp } from '../../src/udp/udp.ts'

/** What a link was given: a copy of the bytes. */
export interface Sent {
  bytes: Buffer
  meta: number
}

export class FakeLink implements NetIf {
  readonly name = 'fake0'
  readonly mac = null
  readonly sent: Sent[] = []
  /** Frames that it still takes before it is full. */
  room = Number.POSITIVE_INFINITY
  flushes = 0

  constructor(
    readonly medium: Medium,
    readonly mtu: number,
    readonly offload: number,
    readonly gsoMax: number,
  ) {}

  attach(_sink: NetIfSink): void {}
  receive(): boolean {
    return false
  }
  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (this.room <= 0) return false
    this.room--
    this.sent.push({ bytes: Buffer.from(buf.subarray(start, end)), meta })
    return true
  }
  flush(): void {
    this.flushes++
  }
  close(): void {}

  /** Takes the frames sent so far. */
  take(): Sent[] {
    return this.sent.splice(0)
  }
}

export interface WorldOptions {
  config?: ConfigOverrides
  medium?: Medium
  mtu?: number
  offload?: number
  gsoMax?: number
  /** Addresses of eth0, `10.0.0.2/24` unless given. */
  addresses?: string[]
}

export const OUR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2)
export const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1)

export class World {
  readonly clock = { nowMs: 1000 }
  readonly timers = new Timers()
  readonly random = new SeededRandom(1)
  readonly pool = new BufferPool()
  readonly tells = new TellList()
  readonly frame = new Frame()
  readonly ip = new Ip()
  readonly config
  readonly link: FakeLink
  readonly iface: Interface
  readonly ipv4: Ipv4
  readonly icmp: Icmp
  readonly udp: Udp
  wakes = 0
  readonly thrown: unknown[] = []

  constructor(options: WorldOptions = {}) {
    this.config = configure(options.config)
    const { clock, timers, random, pool, frame, ip, config } = this
    const medium = options.medium ?? 'ip'
    this.link = new FakeLink(medium, options.mtu ?? 1500, options.offload ?? 0, options.gsoMax ?? 0)
    const ethernet = medium === 'ethernet' ? new EthernetPort(this.link, OUR_MAC.slice()) : null
    this.iface = new Interface(1, 'eth0', this.link, ethernet)
    ip.interfaces.push(this.iface)
    this.ipv4 = new Ipv4({ ip, timers, clock, random, pool, config: config.ipv4 })
    this.icmp = new Icmp({ ip, ipv4: this.ipv4, frame, timers, clock, random, config: config.icmp })
    this.udp = new Udp({
      ip,
      frame,
      random,
      pool,
      config: config.udp,
      tells: this.tells,
      wake: () => {
        this.wakes++
      },
    })
    for (const text of options.addresses ?? ['10.0.0.2/24']) addAddress(ip, this.iface, prefix(text))
    if (ethernet !== null) ethernet.ipv4 = this.ipv4.port(this.iface)
  }

  /** An IP packet arrives (an Ethernet frame on an Ethernet link). The bytes are lent from the middle of a larger buffer. */
  arrive(bytes: Uint8Array, meta = 0, cast: number = Cast.UNICAST): void {
    const buf = new Uint8Array(bytes.length + 96)
    buf.fill(0xee)
    buf.set(bytes, 64)
    if (this.iface.ethernet !== null) this.iface.ethernet.input(buf, 64, 64 + bytes.length, meta)
    else this.ipv4.port(this.iface).etherInput(buf, 64, 64 + bytes.length, meta, cast, -1)
    buf.fill(0xdd) // it was lent: nobody may look at it any more
  }

  /** Moves time on and fires what is due. */
  advance(ms: number): void {
    this.clock.nowMs += ms
    this.timers.fire(this.clock.nowMs)
  }

  /** The tell step of a turn. */
  tell(): void {
    this.tells.drain((error) => this.thrown.push(error))
  }

  /** All counters that are not zero. */
  counters(): Record<string, number> {
    return {
      ...this.ipv4.counters.snapshot(true),
      ...this.icmp.counters.snapshot(true),
      ...this.udp.counters.snapshot(true),
    } as Record<string, number>
  }
}

export interface HeaderFields {
  source: string
  destination: string
  protocol: number
  tos?: number
  id?: number
  flagsFragment?: number
  ttl?: number
  options?: Uint8Array
}

/** An IPv4 packet made with the declaration of its header (buffer-layout), not with the code under test. */
export function packetOf(fields: HeaderFields, payload: Uint8Array): Buffer {
  const options = fields.options ?? new Uint8Array(0)
  const header = 20 + options.length
  const out = Buffer.alloc(header + payload.length)
  ipv4Header.encode(
    {
      versionIhl: 0x40 | (header / 4),
      tos: fields.tos ?? 0,
      totalLength: out.length,
      identification: fields.id ?? 0x1234,
      flagsFragment: fields.flagsFragment ?? 0,
      ttl: fields.ttl ?? 64,
      protocol: fields.protocol,
      checksum: 0,
      source: address(fields.source).w3 >>> 0,
      destination: address(fields.destination).w3 >>> 0,
    },
    out,
  )
  out.set(options, 20)
  out.writeUInt16BE(checksum(out, 0, header), 10)
  out.set(payload, header)
  return out
}

/** A whole ICMP message with its checksum. */
export function icmpOf(type: number, code: number, rest: number[] | Uint8Array): Buffer {
  const out = Buffer.from([type, code, 0, 0, ...rest])
  out.writeUInt16BE(checksum(out, 0, out.length), 2)
  return out
}

/** A UDP datagram with its checksum. */
export function udpOf(source: string, destination: string, sport: number, dport: number, payload: Uint8Array): Buffer {
  const out = Buffer.alloc(8 + payload.length)
  out.writeUInt16BE(sport, 0)
  out.writeUInt16BE(dport, 2)
  out.writeUInt16BE(out.length, 4)
  out.set(payload, 8)
  const pseudo = Buffer.alloc(12)
  pseudo.writeInt32BE(address(source).w3, 0)
  pseudo.writeInt32BE(address(destination).w3, 4)
  pseudo[9] = 17
  pseudo.writeUInt16BE(out.length, 10)
  out.writeUInt16BE(naiveChecksum(Buffer.concat([pseudo, out])) || 0xffff, 6)
  return out
}

/** An Ethernet frame. */
export function etherOf(destination: Uint8Array, source: Uint8Array, payload: Uint8Array, etherType = 0x0800): Buffer {
  return Buffer.concat([destination, source, Uint8Array.of(etherType >> 8, etherType), payload])
}

/** A decoded IPv4 header, as text where addresses are concerned, and what it carries. */
export interface ReadIp {
  header: number
  tos: number
  total: number
  id: number
  flagsFragment: number
  ttl: number
  protocol: number
  from: string
  to: string
  payload: Buffer
}

/** Decodes a packet by the header's declaration and checks it: version, length, checksum. */
export function readIp(bytes: Buffer): ReadIp {
  const h = ipv4Header.decode(bytes) as Record<string, number>
  const header = (h.versionIhl & 15) * 4
  if (h.versionIhl >> 4 !== 4) throw new Error('not IPv4')
  if (h.totalLength > bytes.length) throw new Error('total length beyond the frame')
  if (naiveChecksum(bytes.subarray(0, header)) !== 0) throw new Error('bad header checksum')
  return {
    header,
    tos: h.tos,
    total: h.totalLength,
    id: h.identification,
    flagsFragment: h.flagsFragment,
    ttl: h.ttl,
    protocol: h.protocol,
    from: Address.v4(h.source | 0).toString(),
    to: Address.v4(h.destination | 0).toString(),
    payload: bytes.subarray(header, h.totalLength),
  }
}

/** RFC 1071 word by word: the twin of the fast one. Zero over data that includes a right checksum. */
export function naiveChecksum(bytes: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return ~sum & 0xffff
}
