/**
 * `etherTunnel(carrier, { peer })`: usertunnel over Ethernet. Each frame travels whole inside a frame of the carrier, to one station there:
 *
 *   peer MAC (6) | own MAC (6) | 0xcda8 | 00 00 | inner frame
 *
 * The two zero bytes are what a tap device of that time put before a frame. There is no length, and an Ethernet pads to 60 bytes: so a short inner frame
 * is cut at the end that its own IPv4, IPv6 or ARP header says; of other protocols the padding stays. 16 bytes of the carrier's MTU are
 * used up: 1484 remain of 1500. The inner frame's tags are part of it and count.
 */

import { arena } from '../base/arena.ts'
import { copyBytes, equalBytes, get16, put16 } from '../base/bytes.ts'
import type { Host } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import { formatMac, parseMac } from '../ethernet/mac.ts'
import { ETH, ETH_HEADER } from '../ethernet/wire.ts'
import { leastFrame, linkHeader } from '../link/carry.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, HEADROOM, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { frameEnd } from '../offload/frame-end.ts'

/** The two stations on the carrier, and the EtherType between them. */
export interface EtherTunnelOptions {
  /** The other end's MAC address on the carrier: text or six bytes. */
  peer: string | Uint8Array
  /** Ours there. The one that the carrier insists on when left out; where it has none (a tap) one must be given. */
  mac?: string | Uint8Array
  /** EtherType of the outer frames. 0xcda8 when left out. */
  etherType?: number
  /** `NAME.cda8` of the carrier when left out. */
  name?: string
}

const ETHERTYPE_USERTUNNEL = 0xcda8
/** The tap device's two bytes. */
const PAD = 2
const HEADER = ETH_HEADER + PAD
/** EtherTypes below are lengths (IEEE 802.3). */
const LEAST_ETHERTYPE = 0x600

const NAMES = [
  'inFrames',
  'inOctets',
  'inTrimmed',
  'outFrames',
  'outOctets',
  'dropInOther',
  'dropInNotPeer',
  'dropInTooShort',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropClosed',
] as const
const C = indexOf(NAMES)

class EtherTunnel implements NetIf, NetIfSink {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mac = null
  readonly offload = 0
  readonly gsoMax = 0
  private readonly count = new Counters(NAMES)
  private readonly peer: Uint8Array
  private readonly own: Uint8Array
  private readonly etherType: number
  private readonly scratch: Uint8Array
  private sink: NetIfSink | null = null
  private isClosed = false

  constructor(
    private readonly carrier: NetIf,
    options: EtherTunnelOptions,
  ) {
    const { peer, mac = carrier.mac, etherType = ETHERTYPE_USERTUNNEL } = options
    if (carrier.medium !== 'ethernet') throw invalidArgument(`${carrier.name} is no Ethernet: a tunnel of frames needs one`)
    if (mac === null) throw invalidArgument(`${carrier.name} has no MAC address of its own: option mac is missing`)
    if (!Number.isInteger(etherType) || etherType < LEAST_ETHERTYPE || etherType > 0xffff) {
      throw invalidArgument(`Invalid EtherType ${etherType}: ${LEAST_ETHERTYPE} to 65535 expected`)
    }
    this.peer = sixBytes(peer)
    this.own = sixBytes(mac)
    this.etherType = etherType
    this.name = options.name ?? `${carrier.name}.${etherType.toString(16)}`
    this.scratch = arena.take(HEADROOM + 8 + HEADER + ETH_HEADER + 8 + carrier.mtu)
  }

  get mtu(): number {
    return this.carrier.mtu - HEADER
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.carrier.attach(this)
  }

  receive(budget: number): boolean {
    return this.carrier.receive(budget)
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    const length = end - start
    if (this.isClosed || this.sink === null) n[C.dropClosed]++
    else if (length < leastFrame('ethernet')) n[C.dropTooShort]++
    else if ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL) n[C.dropNotOffloaded]++
    else if (length + PAD > this.carrier.mtu) n[C.dropTooLong]++
    else {
      // Not in the headroom of what is lent: the carrier has a right to all of it, for a header of its own.
      const out = this.scratch
      const at = HEADROOM + ((buf.byteOffset + start - HEADER - HEADROOM) & 3)
      out.set(this.peer, at)
      out.set(this.own, at + ETH.source)
      put16(out, at + ETH.etherType, this.etherType)
      put16(out, at + ETH_HEADER, 0)
      copyBytes(buf, start, out, at + HEADER, length)
      if (!this.carrier.send(out, at, at + HEADER + length, 0)) return false
      n[C.outFrames]++
      n[C.outOctets] += length
    }
    return true
  }

  flush(): void {
    this.carrier.flush()
  }

  close(): Promise<void> | void {
    if (!this.isClosed) arena.give(this.scratch)
    this.isClosed = true
    return this.carrier.close()
  }

  counters(): Record<string, number> {
    return this.count.snapshot() as Record<string, number>
  }

  describe(): string {
    return `${this.name}: in Ethernet frames of type 0x${this.etherType.toString(16)} to ${formatMac(this.peer)}, mtu ${this.mtu}`
  }

  ref(on: boolean): void {
    this.carrier.ref?.(on)
  }

  // The sink of the carrier.

  get host(): Host {
    return this.sink!.host
  }

  input(buf: Uint8Array, start: number, end: number): void {
    const n = this.count.values
    if (this.isClosed) return
    if (end - start < ETH_HEADER || get16(buf, start + ETH.etherType) !== this.etherType) n[C.dropInOther]++
    else if (!equalBytes(buf, start + ETH.source, this.peer, 0, 6) || !equalBytes(buf, start, this.own, 0, 6)) {
      n[C.dropInNotPeer]++
    } else if (end - start - HEADER < leastFrame('ethernet')) n[C.dropInTooShort]++
    else {
      const from = start + HEADER
      const to = frameEnd(buf, from + linkHeader(buf, from, end, 'ethernet'), end)
      if (to < end) n[C.inTrimmed]++
      n[C.inFrames]++
      n[C.inOctets] += to - from
      this.sink!.input(buf, from, to, 0)
    }
  }

  readable(): void {
    this.sink!.readable()
  }

  writable(): void {
    this.sink!.writable()
  }

  closed(error?: Error): void {
    this.sink!.closed(error)
  }
}

function sixBytes(mac: string | Uint8Array): Uint8Array {
  const bytes = typeof mac === 'string' ? parseMac(mac) : mac
  if (bytes.length !== 6) throw invalidArgument(`Invalid MAC address of ${bytes.length} bytes: 6 expected`)
  return bytes
}

/** A tunnel to one station of an Ethernet. Closing it closes the carrier. @throws NetError ERR_INVALID_ARG_VALUE. */
export function etherTunnel(carrier: NetIf, options: EtherTunnelOptions): NetIf {
  return new EtherTunnel(carrier, options)
}
