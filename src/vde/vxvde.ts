/**
 * vxvde: an Ethernet without a switch, spread over the machines of a multicast group (vdeplug4, libvdeplug_vxvde.c).
 *
 * Theory of operation. Every node has two UDP sockets: one that is bound to the group and only hears, and one with a port of its own
 * from which everything is sent. So a frame to a group, or to a MAC address that nobody has heard of, goes to the multicast group; and from
 * each frame that comes in a node learns behind which address and port its sender is, and sends there alone what is for it. A datagram is a
 * header of eight bytes, laid out as VXLAN's (RFC 7348 section 5), and the frame. The header alone says that its sender goes away.
 *
 * This file is what a node knows: the header, and the table of who is where. The table has a fixed number of places, one entry each; two
 * addresses that share a place push each other out, which costs multicasts and nothing else.
 */
import { get16, get32, put16 } from '../base/bytes.ts'

export const VXVDE_HEADER = 8
/** I: the identifier is valid. */
const FLAG_VNI = 0x08

/** The eight bytes before every frame of the network `vni` (24 bits). */
export function vxvdeHeader(vni: number): Uint8Array {
  const header = new Uint8Array(VXVDE_HEADER)
  header[0] = FLAG_VNI
  header[4] = vni >>> 16
  put16(header, 5, vni)
  return header
}

/** Where a node is. */
export interface VxvdePeer {
  readonly address: string
  readonly port: number
}

export class VxvdeTable {
  /** Entries that are in use, expired ones included until they are asked for. */
  count = 0
  private readonly mask: number
  private readonly expireMs: number
  /** The first four bytes of a MAC address and the last two, when it was heard, and where. */
  private readonly high: Int32Array
  private readonly low: Int32Array
  private readonly heardMs: Int32Array
  private readonly peers: (VxvdePeer | null)[]

  /** @param size places, rounded up to a power of two; @param seed any int32: spreads addresses otherwise in each node. */
  constructor(
    size: number,
    expireSeconds: number,
    private readonly seed: number,
  ) {
    let places = 1
    while (places < size) places *= 2
    this.mask = places - 1
    this.expireMs = Math.min(expireSeconds * 1000, 0x7fff_ffff)
    this.high = new Int32Array(places)
    this.low = new Int32Array(places)
    this.heardMs = new Int32Array(places)
    this.peers = new Array<VxvdePeer | null>(places).fill(null)
  }

  /**
   * The MAC address at `buf[at]` is behind this address and port, as of now. A group is behind nobody, and nothing can be sent to port 0, which RFC 768
   * lets a sender who wants no answer say.
   */
  learn(buf: Uint8Array, at: number, address: string, port: number, nowMs: number): void {
    if ((buf[at] & 1) !== 0 || port === 0) return
    const high = get32(buf, at)
    const low = get16(buf, at + 4)
    const i = this.place(high, low)
    const peer = this.peers[i]
    this.heardMs[i] = nowMs
    if (peer !== null && this.high[i] === high && this.low[i] === low && peer.port === port && peer.address === address) return
    if (peer === null) this.count++
    this.high[i] = high
    this.low[i] = low
    this.peers[i] = { address, port }
  }

  /** Where the MAC address at `buf[at]` is; null: everywhere, as far as we know. */
  find(buf: Uint8Array, at: number, nowMs: number): VxvdePeer | null {
    if (this.count === 0 || (buf[at] & 1) !== 0) return null
    const high = get32(buf, at)
    const low = get16(buf, at + 4)
    const i = this.place(high, low)
    const peer = this.peers[i]
    if (peer === null || this.high[i] !== high || this.low[i] !== low) return null
    const age = (nowMs - this.heardMs[i]) | 0
    if (age >= 0 && age <= this.expireMs) return peer
    this.forget(i)
    return null
  }

  /**
   * A node said that it goes: everything behind it is forgotten. Returns how many entries that was. A node that shares our machine may be known
   * by an address of it and say so from 0.0.0.0 (measured, where only `lo` is up): then the port alone decides.
   */
  bye(address: string, port: number): number {
    const before = this.count
    for (let i = 0; i < this.peers.length; i++) {
      const peer = this.peers[i]
      if (
        peer !== null &&
        peer.port === port &&
        (peer.address === address || isUnspecified(address) || isUnspecified(peer.address))
      )
        this.forget(i)
    }
    return before - this.count
  }

  private forget(i: number): void {
    this.peers[i] = null
    this.count--
  }

  private place(high: number, low: number): number {
    let h = Math.imul(high ^ this.seed, 0x85eb_ca6b) ^ low
    h = Math.imul(h ^ (h >>> 15), 0xc2b2_ae35)
    return (h ^ (h >>> 16)) & this.mask
  }
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
