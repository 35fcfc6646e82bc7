/**
 * A router whose two links end in the test's hands. eth0 has 10.0.0.1/25 and fd00::1/121, eth1 10.0.0.129/25 and fd00::81/121, so that the frames of
 * frames.ts, from host 2 to host 130, have to be sent on. Both hosts are known neighbours.
 */
import { address } from '../../src/base/address.ts'
import type { ConfigOverrides } from '../../src/base/config.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import { Stack } from '../../src/stack/stack.ts'
import { MAC_B, parseTransport } from './frames.ts'
import { RecordingSink } from './recording-sink.ts'

/** Hosts by the last number of their addresses. */
export const NEAR = 2
export const FAR = 130
const NEAR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x0a)
const FAR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x82)
const FAR_SIDE_MAC = [2, 0, 0, 0, 0, 0x81]

export interface RouterOptions {
  config?: ConfigOverrides
  /** Of the links near and far. */
  near?: PipeOptions
  far?: PipeOptions
}

/** What a frame that left says, in words. */
export interface Left {
  bytes: Uint8Array
  meta: number
  /** IP packet, without link header and padding. */
  packet: Uint8Array
  ttl: number
}

export class Router {
  readonly host = new VirtualHost({ seed: 1 })
  readonly stack: Stack
  readonly eth0: AttachedInterface
  readonly eth1: AttachedInterface
  private readonly ends: NetIf[]
  private readonly sinks: RecordingSink[]

  constructor(options: RouterOptions = {}) {
    this.stack = new Stack({ host: this.host, random: new SeededRandom(1) }, { forwarding: true, ...options.config })
    const [near, a] = createPipe({ offload: true, ...options.near })
    const [b, far] = createPipe({ offload: true, ...options.far })
    this.ends = [near, far]
    this.sinks = this.ends.map(() => new RecordingSink(this.host))
    this.ends.forEach((end, i) => void end.attach(this.sinks[i]))
    this.eth0 = this.stack.attach(a, { mac: Uint8Array.from(MAC_B), addresses: ['10.0.0.1/25', 'fd00::1/121'] })
    this.eth1 = this.stack.attach(b, { mac: Uint8Array.from(FAR_SIDE_MAC), addresses: ['10.0.0.129/25', 'fd00::81/121'] })
    this.host.advance(3000)
    for (const to of ['10.0.0.2', 'fd00::2']) this.eth0.addNeighbor(to, NEAR_MAC)
    for (const to of ['10.0.0.130', 'fd00::82']) this.eth1.addNeighbor(to, FAR_MAC)
    this.left(0)
    this.left(1)
  }

  /** A frame arrives by eth0 (0) or eth1 (1); time does not go on. */
  arrive(bytes: Uint8Array, meta = 0, at: 0 | 1 = 0): void {
    const buf = new Uint8Array(bytes.length + 96).fill(0xee)
    buf.set(bytes, 40)
    this.ends[at].send(buf, 40, 40 + bytes.length, meta)
    this.host.advance(0)
  }

  /** Forgets and returns the IP packets that left by eth0 (0) or eth1 (1). */
  left(at: 0 | 1): Left[] {
    const sink = this.sinks[at]
    sink.receiving = true
    while (this.ends[at].receive(64)) {}
    sink.receiving = false
    const metas = sink.metas.splice(0)
    return sink.frames
      .splice(0)
      .map((bytes, i) => ({ bytes, meta: metas[i] }))
      .filter(({ bytes }) => isIp(bytes))
      .map(({ bytes, meta }) => {
        const packet = packetOf(bytes)
        return { bytes, meta, packet, ttl: packet[packet[0] >> 4 === 4 ? 8 : 7] }
      })
  }

  /** Counters of forwarding that are not zero. */
  counters(family: 4 | 6 = 4): Record<string, number> {
    return this.stack.counters(true)[family === 4 ? 'ip.forward' : 'ip6.forward']
  }

  get complaints(): string[] {
    return this.sinks.flatMap((s) => s.complaints)
  }
}

const linkOf = (bytes: Uint8Array): number => (bytes[0] >> 4 === 4 || bytes[0] >> 4 === 6 ? 0 : 14)

function isIp(bytes: Uint8Array): boolean {
  const at = linkOf(bytes)
  return at === 0 || (bytes[12] === 8 && bytes[13] === 0) || (bytes[12] === 0x86 && bytes[13] === 0xdd)
}

function packetOf(bytes: Uint8Array): Uint8Array {
  const at = linkOf(bytes)
  const is4 = bytes[at] >> 4 === 4
  const length = is4 ? bytes[at + 2] * 256 + bytes[at + 3] : 40 + bytes[at + 4] * 256 + bytes[at + 5]
  return bytes.slice(at, at + length)
}

/** `type code` of an ICMP or ICMPv6 message and who sent it. */
export function icmpWords(left: Left): string {
  const { packet } = left
  const is4 = packet[0] >> 4 === 4
  const at = is4 ? 20 : 40
  const from = is4 ? packet.slice(12, 16).join('.') : `${address('::').read(packet, 8)}`
  return `${from}: ${packet[at]} ${packet[at + 1]}`
}

/** True when all checksums of what left are right. */
export function isSound(left: Left): boolean {
  const p = parseTransport(left.packet, 'ip')
  return p.ipChecksumOk && p.checksumOk
}
