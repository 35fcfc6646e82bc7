/** One Ethernet interface, fd00::2/64 and fe80::2/64, with IPv6 and Neighbor Discovery on a link that only records, in time that only moves when told. */
import { type Address, address, prefix, solicitedNode } from '../../src/base/address.ts'
import { checksum } from '../../src/base/checksum.ts'
import { defaults } from '../../src/base/config.ts'
import type { NdConfig } from '../../src/base/ipv6-config.ts'
import { BufferPool } from '../../src/base/pool.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Timers } from '../../src/base/timers.ts'
import { EthernetPort } from '../../src/ethernet/ethernet.ts'
import { formatMac, parseMac } from '../../src/ethernet/mac.ts'
import { ETH_HEADER, ETHERTYPE_IPV6 } from '../../src/ethernet/wire.ts'
import { Icmp6 } from '../../src/icmp6/icmp6.ts'
import { addAddress } from '../../src/ip/addresses.ts'
import { AddressState, Interface, type InterfaceAddress } from '../../src/ip/interface.ts'
import { Ip } from '../../src/ip/ip.ts'
import type { Neighbor } from '../../src/ip/neighbor.ts'
import { PROTO_ICMPV6 } from '../../src/ip/packet.ts'
import { pseudoSum } from '../../src/ip/pseudo-header.ts'
import { Ipv6 } from '../../src/ipv6/ipv6.ts'
import { ipv6Header } from '../../src/ipv6/wire.ts'
import { NeighborDiscovery } from '../../src/nd/nd.ts'
import type { NdInterface } from '../../src/nd/nd-interface.ts'
import { ndLinkAddress, ndNeighbor, ndRedirect } from '../../src/nd/wire.ts'
import { Frame } from '../../src/netif/frame.ts'
import { OUR_MAC, PEER_MAC, RecordingLink, type SentFrame } from './arp-world.ts'

export const HEADERS = ETH_HEADER + ipv6Header.span

export const NS = 135
export const NA = 136
export const REDIRECT = 137
/** First bytes of the flags of an advertisement. */
export const R = 0x80
export const S = 0x40
export const O = 0x20

/** A message in words, as it comes and as it goes. */
export interface NdWords {
  type: number
  from: string
  to: string
  target: string
  /** The first byte of the word behind the checksum. */
  flags: number
  /** Options as text: `sll 02:..`, `tll 02:..`, `nonce 0102..`. */
  options: string[]
}

export interface Heard extends Partial<NdWords> {
  hopLimit?: number
  code?: number
  /** Redirects: for whom. */
  destination?: string
  /** Raw bytes instead of options. */
  raw?: number[]
  /** Bytes to cut off the end. */
  cut?: number
  frameTo?: string
  frameFrom?: string
}

export class NdWorld {
  readonly clock = { nowMs: 1000, nowUs: 0 }
  readonly timers = new Timers()
  readonly link = new RecordingLink()
  readonly ethernet = new EthernetPort(this.link, parseMac(OUR_MAC))
  readonly iface = new Interface(1, 'eth0', this.link, this.ethernet)
  readonly frame = new Frame()
  readonly ip = new Ip()
  readonly ipv6: Ipv6
  readonly icmp6: Icmp6
  readonly discovery: NeighborDiscovery
  readonly nd: NdInterface
  readonly unreachable: string[] = []
  readonly ready: { at: number; address: string; state: number }[] = []
  readonly conflicts: { at: number; address: string; mac: string; state: number }[] = []

  constructor(config: Partial<NdConfig> = {}, addresses: readonly string[] = ['fd00::2/64', 'fe80::2/64'], seed = 7) {
    const { clock, timers, ip, frame, iface } = this
    const random = new SeededRandom(seed)
    const pool = new BufferPool()
    const all = defaults()
    this.link.now = () => this.now
    this.ipv6 = new Ipv6({ ip, timers, clock, random, pool, config: all.ipv6 })
    this.icmp6 = new Icmp6({ ip, ipv6: this.ipv6, frame, timers, clock, random, config: all.icmp })
    const { ipv6, icmp6 } = this
    this.discovery = new NeighborDiscovery({
      ip,
      ipv6,
      icmp6,
      timers,
      clock,
      random,
      config: { ...all.nd, ...config },
      frame,
      pool,
      listener: {
        onUnreachable: (neighbor) => this.unreachable.push(`${neighbor.address}`),
        onReady: (_iface, own) => this.ready.push({ at: this.now, address: `${own.address}`, state: own.state }),
        onConflict: (_iface, own, mac) =>
          this.conflicts.push({ at: this.now, address: `${own.address}`, mac: formatMac(mac), state: own.state }),
      },
    })
    ip.interfaces.push(iface)
    this.ethernet.ipv6 = ipv6.port(iface)
    this.iface.groups.join(address('ff02::1'))
    this.nd = this.discovery.attach(iface)!
    for (const text of addresses) this.give(text)
    this.advance(0)
    this.taken()
  }

  /** Milliseconds since the world began. */
  get now(): number {
    return (this.clock.nowMs - 1000) | 0
  }

  /** An address of ours; used at once, unless it is probed for. */
  give(text: string, probe = false): InterfaceAddress {
    const own = addAddress(this.ip, this.iface, prefix(text), probe ? AddressState.TENTATIVE : AddressState.PREFERRED)
    this.nd.dad.add(own, probe)
    return own
  }

  /** Moves time, firing timers when they are due. */
  advance(ms: number): void {
    const end = (this.clock.nowMs + ms) | 0
    this.timers.fire(this.clock.nowMs)
    for (let rounds = 0; ; rounds++) {
      if (rounds > 100_000) throw new Error('timers run in a circle')
      const wait = this.timers.next(this.clock.nowMs)
      if (wait < 0 || wait > ((end - this.clock.nowMs) | 0)) break
      this.clock.nowMs = (this.clock.nowMs + wait) | 0
      this.timers.fire(this.clock.nowMs)
    }
    this.clock.nowMs = end
  }

  /** An address as the stack has it: link-local ones with the zone. */
  at(text: string): Address {
    const a = address(text)
    if (a.isLinkLocal) a.zone = this.iface.index
    return a
  }

  neighbor(text: string): Neighbor {
    return this.nd.neighbors.get(this.at(text))
  }

  /** State and link address of a neighbour: `STALE 02:00:00:00:00:01 R`. */
  entry(text: string): string {
    const known = this.nd.neighbors.find(this.at(text))
    const info = this.nd.neighbors.entries().find((e) => e.address.equals(this.at(text)))
    if (known === null || info === undefined) return 'none'
    return `${info.state} ${info.mac ?? '-'}${known.isRouter ? ' R' : ''}`
  }

  /** Sends a packet to a neighbour as IP would; `from` is its source. */
  send(to: Neighbor, from = 'fd00::2'): void {
    this.frame.reset()
    this.frame.start -= 48
    address(from).write(this.frame.buf, this.frame.start + 8)
    to.address.write(this.frame.buf, this.frame.start + 24)
    this.frame.buf[this.frame.start] = 0x60
    this.frame.buf[this.frame.start + 6] = 17
    this.iface.output(this.frame, to, ETHERTYPE_IPV6)
  }

  /** A frame from the link. */
  hear(bytes: Uint8Array): void {
    this.ethernet.input(bytes, 0, bytes.length, 0)
  }

  /** A message from the link; what is left out is a good solicitation of the peer's for fd00::2. */
  hearNd(words: Heard = {}): void {
    this.hear(ndFrame(words))
  }

  /** fd00::1 answers. */
  answer(flags = S | O, options = [`tll ${PEER_MAC}`], target = 'fd00::1'): void {
    this.hearNd({ type: NA, from: target, to: 'fd00::2', target, flags, options, frameTo: OUR_MAC })
  }

  /** Forgets and returns what was sent. */
  taken(): SentFrame[] {
    return this.link.frames.splice(0)
  }

  /** The Neighbor Discovery messages among it; each is checked for what all of them have. */
  takenNd(): (NdWords & { at: number; mac: string })[] {
    return this.taken()
      .filter((f) => f.type === ETHERTYPE_IPV6 && f.bytes[HEADERS - 40 + 6] === PROTO_ICMPV6)
      .map((f) => ({ at: f.at, mac: f.to, ...wordsOf(f.bytes) }))
  }

  /** Non-zero counters of all. */
  counters(): Record<string, number> {
    return {
      ...this.discovery.counters.snapshot(true),
      ...this.nd.counters.snapshot(true),
      ...this.nd.dad.counters.snapshot(true),
    }
  }
}

export function groupOf(text: string): string {
  return `${solicitedNode(address(text))}`
}

/** A message in an Ethernet frame, encoded by the declarations. */
export function ndFrame(words: Heard): Uint8Array {
  const type = words.type ?? NS
  const target = words.target ?? 'fd00::2'
  const from = address(words.from ?? 'fd00::1')
  const to = address(words.to ?? groupOf(target))
  const head = Buffer.alloc(type === REDIRECT ? ndRedirect.span : ndNeighbor.span)
  const common = { type, code: words.code ?? 0, checksum: 0, target: bytesOf(address(target)) }
  if (type === REDIRECT)
    ndRedirect.encode({ ...common, reserved: 0, destination: bytesOf(address(words.destination ?? 'fd00::1')) }, head)
  else ndNeighbor.encode({ ...common, flags: ((words.flags ?? 0) << 24) >>> 0 }, head)
  const options = words.raw ?? (words.options ?? (type === NS ? [`sll ${PEER_MAC}`] : [])).flatMap((o) => [...optionOf(o)])
  let message: Uint8Array = Buffer.concat([head, Buffer.from(options)])
  if (words.cut !== undefined) message = message.slice(0, message.length - words.cut)
  const packet = Buffer.alloc(ipv6Header.span)
  ipv6Header.encode(
    {
      versionClassFlow: 0x60000000,
      payloadLength: message.length,
      nextHeader: PROTO_ICMPV6,
      hopLimit: words.hopLimit ?? 255,
      source: bytesOf(from),
      destination: bytesOf(to),
    },
    packet,
  )
  const multicast = Uint8Array.of(0x33, 0x33, to.w3 >>> 24, to.w3 >>> 16, to.w3 >>> 8, to.w3)
  const frameTo = words.frameTo ?? (to.isMulticast ? formatMac(multicast) : OUR_MAC)
  return sealed(
    Buffer.concat([
      parseMac(frameTo),
      parseMac(words.frameFrom ?? PEER_MAC),
      Buffer.from([ETHERTYPE_IPV6 >> 8, ETHERTYPE_IPV6 & 255]),
      packet,
      message,
    ]),
  )
}

/** The frame with the length and the checksum of its message made right. */
export function sealed(bytes: Uint8Array): Uint8Array {
  const frame = new Uint8Array(bytes)
  const length = frame.length - HEADERS
  const from = address('::').read(frame, ETH_HEADER + 8)
  const to = address('::').read(frame, ETH_HEADER + 24)
  frame.set([length >> 8, length & 255], ETH_HEADER + 4)
  frame.set([0, 0], HEADERS + 2)
  const sum = checksum(frame, HEADERS, length, pseudoSum(from, to, PROTO_ICMPV6, length))
  frame.set([sum >> 8, sum & 255], HEADERS + 2)
  return frame
}

function optionOf(text: string): Uint8Array {
  const [name, value] = text.split(' ')
  const out = Buffer.alloc(ndLinkAddress.span)
  const type = { sll: 1, tll: 2, nonce: 14 }[name]
  ndLinkAddress.encode(
    { type, length: 1, address: name === 'nonce' ? Buffer.from(value, 'hex') : Buffer.from(parseMac(value)) },
    out,
  )
  return out
}

function bytesOf(a: Address): Buffer {
  const out = Buffer.alloc(16)
  a.write(out, 0)
  return out
}

/** A message that was sent, decoded by the declarations. Throws unless its hop limit is 255 and its checksum right. */
function wordsOf(frame: Uint8Array): NdWords {
  const bytes = Buffer.from(frame)
  const header = ipv6Header.decode(bytes, ETH_HEADER) as {
    payloadLength: number
    hopLimit: number
    source: Uint8Array
    destination: Uint8Array
  }
  const message = ndNeighbor.decode(bytes, HEADERS) as { type: number; code: number; flags: number; target: Uint8Array }
  const from = address('::').read(header.source, 0)
  const to = address('::').read(header.destination, 0)
  const sum = checksum(frame, HEADERS, header.payloadLength, pseudoSum(from, to, PROTO_ICMPV6, header.payloadLength))
  if (header.hopLimit !== 255 || message.code !== 0 || sum !== 0) throw new Error('a message that nobody would take')
  const options: string[] = []
  const end = HEADERS + header.payloadLength
  for (let at = HEADERS + (message.type === REDIRECT ? ndRedirect.span : ndNeighbor.span); at < end; at += bytes[at + 1] << 3) {
    const name = { 1: 'sll', 2: 'tll', 4: 'redirected', 14: 'nonce' }[bytes[at]] ?? `${bytes[at]}`
    const value = bytes.subarray(at + 2, at + 8)
    options.push(name === 'redirected' ? `redirected ${(bytes[at + 1] << 3) - 8}` : `${name} ${valueText(name, value)}`)
  }
  const target = `${address('::').read(message.target, 0)}`
  return { type: message.type, from: `${from}`, to: `${to}`, target, flags: message.flags >>> 24, options }
}

function valueText(name: string, value: Buffer): string {
  return name === 'nonce' ? value.toString('hex') : formatMac(value)
}

/** The word at the end of a solicited-node group's link address. */
export function groupMac(text: string): string {
  const { w3 } = solicitedNode(address(text))
  return formatMac(Uint8Array.of(0x33, 0x33, w3 >>> 24, w3 >>> 16, w3 >>> 8, w3))
}
