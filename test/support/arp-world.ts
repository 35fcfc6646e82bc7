/** One Ethernet interface, 10.0.0.2/24, on a link that only records, in time that only moves when told. */
import { Arp } from '../../src/arp/arp.ts'
import { ARP_REPLY, ARP_REQUEST, arpPacket } from '../../src/arp/wire.ts'
import { Address, address, prefix } from '../../src/base/address.ts'
import type { ArpConfig } from '../../src/base/arp-config.ts'
import { defaults } from '../../src/base/config.ts'
import { BufferPool } from '../../src/base/pool.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Timers } from '../../src/base/timers.ts'
import { EthernetPort } from '../../src/ethernet/ethernet.ts'
import { formatMac, parseMac } from '../../src/ethernet/mac.ts'
import { ETH_HEADER, ETHERTYPE_ARP, ETHERTYPE_IPV4 } from '../../src/ethernet/wire.ts'
import { AddressState, Interface, type InterfaceAddress } from '../../src/ip/interface.ts'
import type { Neighbor } from '../../src/ip/neighbor.ts'
import { Frame } from '../../src/netif/frame.ts'
import type { NetIf } from '../../src/netif/netif.ts'

export const OUR_MAC = '02:00:00:00:00:02'
export const PEER_MAC = '02:00:00:00:00:01'
export const OTHER_MAC = '02:00:00:00:00:99'
export const EVERYBODY = 'ff:ff:ff:ff:ff:ff'
export const NOBODY = '00:00:00:00:00:00'

export interface SentFrame {
  at: number
  to: string
  type: number
  bytes: Uint8Array
  meta: number
}

/** An ARP packet in words. */
export interface ArpWords {
  op: number
  sha: string
  spa: string
  tha: string
  tpa: string
}

export class RecordingLink implements NetIf {
  readonly name = 'test0'
  readonly medium = 'ethernet'
  readonly mac = null
  readonly mtu = 1500
  readonly offload = 0
  readonly gsoMax = 0
  readonly frames: SentFrame[] = []
  /** Frames it takes before it is full. */
  room = Number.POSITIVE_INFINITY
  now: () => number = () => 0

  attach(): void {}
  receive(): boolean {
    return false
  }
  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (this.room <= 0) return false
    this.room--
    const bytes = buf.slice(start, end)
    this.frames.push({ at: this.now(), to: formatMac(bytes), type: bytes[12] * 256 + bytes[13], bytes, meta })
    return true
  }
  flush(): void {}
  close(): void {}
}

export interface Unreachable {
  at: number
  neighbor: Neighbor
  packet: string
  etherType: number
}

export class ArpWorld {
  readonly start: number
  readonly clock = { nowMs: 0 }
  readonly timers = new Timers()
  readonly link = new RecordingLink()
  readonly ethernet = new EthernetPort(this.link, parseMac(OUR_MAC))
  readonly iface = new Interface(1, 'eth0', this.link, this.ethernet)
  readonly frame = new Frame()
  readonly pool = new BufferPool()
  readonly config: ArpConfig
  readonly arp: Arp
  readonly unreachable: Unreachable[] = []
  readonly ready: { at: number; address: string; state: number }[] = []
  readonly conflicts: { at: number; address: string; mac: string; state: number }[] = []
  /** What the listener does on a report, beside noting it. */
  onReport: (n: Neighbor) => void = () => {}

  constructor(config: Partial<ArpConfig> = {}, options: { seed?: number; start?: number; addresses?: string[] } = {}) {
    this.start = options.start ?? 1000
    this.clock.nowMs = this.start
    this.link.now = () => this.now
    this.config = { ...defaults().arp, ...config }
    for (const text of options.addresses ?? ['10.0.0.2/24']) this.iface.addresses.push(own(text))
    this.arp = new Arp(this.iface, {
      timers: this.timers,
      clock: this.clock,
      random: new SeededRandom(options.seed ?? 7),
      config: this.config,
      frame: this.frame,
      pool: this.pool,
      listener: {
        onUnreachable: (neighbor, buf, start, end, etherType) => {
          this.unreachable.push({ at: this.now, neighbor, packet: textOf(buf.slice(start, end)), etherType })
          this.onReport(neighbor)
        },
        onReady: (_iface, own) => this.ready.push({ at: this.now, address: own.address.toString(), state: own.state }),
        onConflict: (_iface, own, mac) =>
          this.conflicts.push({ at: this.now, address: own.address.toString(), mac: formatMac(mac), state: own.state }),
      },
    })
    this.ethernet.arp = this.arp
    this.iface.neighbors = this.arp.neighbors
  }

  get cache() {
    return this.arp.neighbors
  }

  /** Milliseconds since the world began. */
  get now(): number {
    return (this.clock.nowMs - this.start) | 0
  }

  /** Moves time, firing timers when they are due. */
  advance(ms: number): void {
    const end = (this.clock.nowMs + ms) | 0
    this.timers.fire(this.clock.nowMs)
    for (let rounds = 0; ; rounds++) {
      if (rounds > 100_000) throw new Error('timers run in a circle')
      const wait = this.timers.next(this.clock.nowMs)
      const left = (end - this.clock.nowMs) | 0
      if (wait < 0 || wait > left) break
      this.clock.nowMs = (this.clock.nowMs + wait) | 0
      this.timers.fire(this.clock.nowMs)
    }
    this.clock.nowMs = end
  }

  neighbor(text: string): Neighbor {
    return this.cache.get(address(text))
  }

  state(text: string): string {
    return this.cache.entries().find((e) => e.address.toString() === text)?.state ?? 'none'
  }

  /** Sends a packet whose bytes are `text` as IP would. */
  send(to: Neighbor, text = 'packet', meta = 0): boolean {
    this.frame.reset()
    const bytes = new TextEncoder().encode(text)
    this.frame.buf.set(bytes, this.frame.start)
    this.frame.end = this.frame.start + bytes.length
    this.frame.meta = meta
    return this.iface.output(this.frame, to, ETHERTYPE_IPV4)
  }

  /** A frame from the link. */
  hear(bytes: Uint8Array): void {
    this.ethernet.input(bytes, 0, bytes.length, 0)
  }

  hearArp(words: Partial<ArpWords>, frameTo = EVERYBODY): void {
    this.hear(arpFrame(words, frameTo))
  }

  /** The host at `spa` answers our question. */
  answer(spa: string, sha = PEER_MAC): void {
    this.hearArp({ op: ARP_REPLY, sha, spa, tha: OUR_MAC, tpa: '10.0.0.2' }, OUR_MAC)
  }

  /** Forgets and returns what was sent. */
  taken(): SentFrame[] {
    return this.link.frames.splice(0)
  }

  takenArp(): (ArpWords & { at: number; to: string })[] {
    return this.taken()
      .filter((f) => f.type === ETHERTYPE_ARP)
      .map((f) => ({ at: f.at, to: f.to, ...wordsOf(f.bytes) }))
  }

  /** The texts of the IP packets sent, with the MAC they went to. */
  takenIp(): string[] {
    return this.taken()
      .filter((f) => f.type === ETHERTYPE_IPV4)
      .map((f) => `${f.to} ${textOf(f.bytes.subarray(ETH_HEADER))}`)
  }

  counters(): Record<string, number> {
    return {
      ...this.arp.counters.snapshot(true),
      ...this.arp.neighbors.counters.snapshot(true),
      ...this.arp.acd.counters.snapshot(true),
    }
  }
}

export function own(text: string, state: number = AddressState.PREFERRED): InterfaceAddress {
  const p = prefix(text)
  return { address: p.address, prefix: p, broadcast: p.broadcast, state }
}

/** An ARP packet in an Ethernet frame of 60 bytes, encoded by the declaration. */
export function arpFrame(words: Partial<ArpWords>, frameTo = EVERYBODY): Uint8Array {
  const w = { op: ARP_REQUEST, sha: PEER_MAC, spa: '10.0.0.1', tha: NOBODY, tpa: '10.0.0.2', ...words }
  const body = Buffer.alloc(arpPacket.span)
  arpPacket.encode(
    {
      hardwareType: 1,
      protocolType: ETHERTYPE_IPV4,
      hardwareLength: 6,
      protocolLength: 4,
      operation: w.op,
      senderHardware: Buffer.from(parseMac(w.sha)),
      senderProtocol: address(w.spa).w3 >>> 0,
      targetHardware: Buffer.from(parseMac(w.tha)),
      targetProtocol: address(w.tpa).w3 >>> 0,
    },
    body,
  )
  const frame = new Uint8Array(60)
  frame.set(parseMac(frameTo), 0)
  frame.set(parseMac(w.sha), 6)
  frame.set([8, 6], 12)
  frame.set(body, ETH_HEADER)
  return frame
}

/** An ARP frame's packet, decoded by the declaration. */
export function wordsOf(bytes: Uint8Array): ArpWords {
  const p = arpPacket.decode(Buffer.from(bytes), ETH_HEADER) as {
    operation: number
    senderHardware: Uint8Array
    senderProtocol: number
    targetHardware: Uint8Array
    targetProtocol: number
  }
  return {
    op: p.operation,
    sha: formatMac(p.senderHardware),
    spa: Address.v4(p.senderProtocol).toString(),
    tha: formatMac(p.targetHardware),
    tpa: Address.v4(p.targetProtocol).toString(),
  }
}

/** Text without the padding of short frames. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/\0+$/, '')
}
