/**
 * A link behind which there is a path of routers and a host, both families, made of arithmetic only: every packet is answered as the
 * routers' RFCs say, by code that shares nothing with the stack's.
 */
import type { NetIf, NetIfSink } from '../../src/netif/netif.ts'
import { naiveChecksum } from './ip-world.ts'

export interface PathOptions {
  /** Routers, one after the other. The host is behind the last. */
  routers: readonly {
    address: string
    /** What the link behind it takes. */
    mtu?: number
    /** Says nothing. */
    silent?: boolean
    /** Instead of "time exceeded", or of passing on: type and code of ICMP. */
    refuses?: readonly [type: number, code: number]
  }[]
  /** The host's address; the routers' family is its own. */
  host: string
  /** Ports of the host that answer: SYN-ACK, or a datagram back. */
  open?: readonly number[]
  /** One way, per router. */
  delayMs?: number
  /** Hop limit that answers begin with. */
  answersWith?: number
  /** Hops of the way back that the way there has not. */
  detour?: number
}

interface Waiting {
  at: number
  bytes: Buffer
}

export class RoutedPath implements NetIf {
  readonly name = 'path'
  readonly medium = 'ip'
  readonly mac = null
  readonly offload = 0
  readonly gsoMax = 0
  readonly mtu = 1500
  /** Packets that were sent, as they were. */
  readonly sent: Buffer[] = []
  full = false
  private sink: NetIfSink | null = null
  private readonly waiting: Waiting[] = []
  private readonly v6: boolean

  constructor(readonly options: PathOptions) {
    this.v6 = options.host.includes(':')
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  receive(): boolean {
    const now = this.sink!.host.us()
    for (let i = 0; i < this.waiting.length; ) {
      if (((this.waiting[i].at - now) | 0) > 0) {
        i++
        continue
      }
      const { bytes } = this.waiting.splice(i, 1)[0]
      const lent = new Uint8Array(bytes.length + 128)
      lent.set(bytes, 64)
      this.sink!.input(lent, 64, 64 + bytes.length, 0)
    }
    return false
  }

  send(buf: Uint8Array, start: number, end: number): boolean {
    if (this.full) return false
    const packet = Buffer.from(buf.slice(start, end))
    this.sent.push(packet)
    this.travel(packet)
    return true
  }

  flush(): void {}

  close(): void {}

  private travel(packet: Buffer): void {
    const { routers, host } = this.options
    let hops = this.v6 ? packet[7] : packet[8]
    const dontFragment = this.v6 || (packet[6] & 0x40) !== 0
    for (const [i, router] of routers.entries()) {
      if (router.refuses !== undefined) {
        this.icmp(i, router.address, packet, router.refuses[0], router.refuses[1], 0)
        return
      }
      if (--hops === 0) {
        if (router.silent !== true) this.icmp(i, router.address, packet, this.v6 ? 3 : 11, 0, 0)
        return
      }
      if (router.mtu !== undefined && packet.length > router.mtu && dontFragment) {
        this.icmp(i, router.address, packet, this.v6 ? 2 : 3, this.v6 ? 0 : 4, router.mtu)
        return
      }
    }
    this.atHost(packet, routers.length, host)
  }

  private atHost(packet: Buffer, far: number, host: string): void {
    const header = this.v6 ? 40 : (packet[0] & 15) << 2
    const protocol = this.v6 ? packet[6] : packet[9]
    const body = Buffer.from(packet.subarray(header))
    const isOpen = protocol !== 1 && protocol !== 58 && this.options.open?.includes(body.readUInt16BE(2)) === true
    const swapped = (length: number): Buffer => {
      const out = Buffer.alloc(length)
      out.writeUInt16BE(body.readUInt16BE(2), 0)
      out.writeUInt16BE(body.readUInt16BE(0), 2)
      return out
    }
    if (protocol === 1 || protocol === 58) {
      body[0] = protocol === 1 ? 0 : 129
      body.writeUInt16BE(0, 2)
      this.reply(far, host, protocol, body, 2)
    } else if (protocol === 6) {
      const out = swapped(20)
      out.writeUInt32BE((body.readUInt32BE(4) + 1) >>> 0, 8)
      out[12] = 0x50
      out[13] = isOpen ? 0x12 : 0x14
      if (body[13] === 2) this.reply(far, host, protocol, out, 16)
    } else if (isOpen) {
      const out = swapped(12)
      out.writeUInt16BE(12, 4)
      this.reply(far, host, protocol, out, 6)
    } else this.icmp(far, host, packet, this.v6 ? 1 : 3, this.v6 ? 4 : 3, 0)
  }

  private icmp(far: number, from: string, packet: Buffer, type: number, code: number, mtu: number): void {
    const quote = packet.subarray(0, this.v6 ? 1232 : 28)
    const out = Buffer.alloc(8 + quote.length)
    out[0] = type
    out[1] = code
    if (this.v6) out.writeUInt32BE(mtu, 4)
    else out.writeUInt16BE(mtu, 6)
    quote.copy(out, 8)
    this.reply(far, from, this.v6 ? 58 : 1, out, 2)
  }

  /** A packet to the stack from a place `far` routers away; `sumAt`: where the checksum of its body stands. */
  private reply(far: number, from: string, protocol: number, body: Buffer, sumAt: number): void {
    const last = this.sent[this.sent.length - 1]
    const to = this.v6 ? last.subarray(8, 24) : last.subarray(12, 16)
    const source = bytesOf(from)
    if (protocol !== 1) {
      const tail = Buffer.alloc(8)
      tail.writeUInt32BE(body.length, 0)
      tail[7] = protocol
      body.writeUInt16BE(naiveChecksum(Buffer.concat([source, to, tail, body])), sumAt)
    } else body.writeUInt16BE(naiveChecksum(body), sumAt)
    const hops = (this.options.answersWith ?? 64) - far - (this.options.detour ?? 0)
    const header = Buffer.alloc(this.v6 ? 40 : 20)
    if (this.v6) {
      header[0] = 0x60
      header.writeUInt16BE(body.length, 4)
      header[6] = protocol
      header[7] = hops
      source.copy(header, 8)
      to.copy(header, 24)
    } else {
      header[0] = 0x45
      header.writeUInt16BE(20 + body.length, 2)
      header[8] = hops
      header[9] = protocol
      source.copy(header, 12)
      to.copy(header, 16)
      header.writeUInt16BE(naiveChecksum(header), 10)
    }
    const { host } = this.sink!
    const delayMs = 2 * (this.options.delayMs ?? 1) * (far + 1)
    this.waiting.push({ at: (host.us() + delayMs * 1000) | 0, bytes: Buffer.concat([header, body]) })
    host.after(delayMs, { run: () => this.sink!.readable() })
  }
}

function bytesOf(text: string): Buffer {
  if (!text.includes(':')) return Buffer.from(text.split('.').map(Number))
  const [head, tail = ''] = text.split('::')
  const groups = (t: string): number[] => (t === '' ? [] : t.split(':').map((g) => Number.parseInt(g, 16)))
  const a = groups(head)
  const b = groups(tail)
  const out = Buffer.alloc(16)
  for (const [i, g] of [...a, ...new Array<number>(8 - a.length - b.length).fill(0), ...b].entries()) out.writeUInt16BE(g, 2 * i)
  return out
}
