/**
 * How a packet of others leaves, whatever its family: from the lent buffer that it came in, where there is room before it for the next link's
 * header; else by one copy into the stack's frame.
 *
 * A super-segment goes on as it is to a link that takes it, and is split for others; a PARTIAL checksum is completed for a link that cannot. A
 * router does not wait: what a full link refuses is lost and counted, the rest of a super-segment that was begun included.
 */
import { copyBytes } from '../base/bytes.ts'
import { ETH_HEADER, ETH_MIN_FRAME } from '../ethernet/wire.ts'
import type { Interface } from '../ip/interface.ts'
import { type Packet, PROTO_TCP, PROTO_UDP } from '../ip/packet.ts'
import { Frame, PAYLOAD_AT } from '../netif/frame.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, GSO_TCP4, GSO_TCP6, gsoSize, HEADROOM, Offload } from '../netif/netif.ts'
import { Layers } from '../offload/layers.ts'
import { completeChecksum, type FrameTaker, Segmenter } from '../offload/segment.ts'
import { C } from './counters.ts'
import type { Way } from './route-cache.ts'

/** Where a copied packet begins in the frame: aligned as one that was built there. */
const PACKET_AT = PAYLOAD_AT - 40
/** An Ethernet frame with less is padded, and the bytes behind a lent packet are not ours. */
const UNPADDED = ETH_MIN_FRAME - ETH_HEADER
const UDP_HEADER = 8
/** Before each segment: an Ethernet header with two tags and HEADROOM; a multiple of four. */
const SEGMENT_ROOM = HEADROOM + 24

export class Departure implements FrameTaker {
  /** Stands for buffers of others; of the class that links are used to. */
  private readonly lent = new Frame(0)
  private readonly own: Uint8Array
  private readonly segmenter: Segmenter
  private readonly layers = new Layers()
  private way: Way | null = null

  /** @param copy the stack's transmit frame  @param etherType of the family */
  constructor(
    private readonly copy: Frame,
    private readonly etherType: number,
    private readonly counters: Float64Array,
  ) {
    this.own = this.lent.buf
    this.segmenter = new Segmenter(SEGMENT_ROOM)
  }

  /**
   * Bytes of the largest packet that will be on the wire: the packet's own length, or that of one segment of a super-segment. -1: it is said
   * to be one, and cannot be split.
   */
  largest(packet: Packet): number {
    const { meta } = packet
    if ((meta & GSO_MASK) === 0) return packet.end - packet.start
    const { buf, off, start, end } = packet
    let payload = -1
    if (packet.protocol === PROTO_TCP && off + 13 <= end) payload = off + ((buf[off + 12] >> 4) << 2)
    else if (packet.protocol === PROTO_UDP) payload = off + UDP_HEADER
    else if (this.layers.parse(buf, start, end, 'ip')) payload = this.layers.payload
    if (payload < 0 || payload > end) return -1
    const segment = payload - start + gsoSize(meta)
    return segment < end - start ? segment : end - start
  }

  /** Sends the packet as it stands in its buffer. Its size has been looked at. Counts what becomes of it. */
  send(packet: Packet, way: Way): void {
    const out = way.out!
    const n = this.counters
    const { buf, start, end } = packet
    let { meta } = packet
    if ((meta & GSO_MASK) !== 0 && !takesWhole(out, meta, end - start)) {
      this.split(packet, way)
      return
    }
    if ((meta & CSUM_MASK) === CSUM_PARTIAL && !out.checksumOffload) {
      if (completeChecksum(buf, start, end, 'ip') < 0) {
        n[C.dropUnsplittable]++
        return
      }
      meta &= ~CSUM_MASK
      n[C.checksummed]++
    }
    const header = out.linkHeader
    // The lender left HEADROOM before the frame, and the next link wants as much before its own.
    const room = packet.link < 0 ? 0 : start - packet.link
    const inPlace = header <= room && (header === 0 || end - start >= UNPADDED)
    let taken: boolean
    if (inPlace) taken = this.output(buf, start, end, meta, way)
    else {
      const { copy } = this
      copyBytes(buf, start, copy.buf, PACKET_AT, end - start)
      copy.start = PACKET_AT
      copy.end = PACKET_AT + end - start
      copy.meta = meta
      n[C.copied]++
      taken = out.output(copy, way.neighbor, this.etherType)
    }
    n[taken ? C.outForwDatagrams : C.dropBlocked]++
  }

  /** One segment of a super-segment, in the segmenter's own buffer. */
  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    return this.output(buf, start, end, meta, this.way!)
  }

  private output(buf: Uint8Array, start: number, end: number, meta: number, way: Way): boolean {
    const { lent } = this
    lent.buf = buf
    lent.start = start
    lent.end = end
    lent.meta = meta
    const taken = way.out!.output(lent, way.neighbor, this.etherType)
    lent.buf = this.own
    return taken
  }

  private split(packet: Packet, way: Way): void {
    const n = this.counters
    const { segmenter } = this
    if (!segmenter.begin(packet.buf, packet.start, packet.end, packet.meta, 'ip')) {
      n[C.dropUnsplittable]++
      return
    }
    this.way = way
    const whole = segmenter.run(this)
    segmenter.drop()
    this.way = null
    if (segmenter.taken > 0) n[C.segmented]++
    n[C.outForwDatagrams] += segmenter.taken
    if (!whole) n[C.dropBlocked]++
  }
}

/** True when the link splits such a super-segment itself. */
function takesWhole(out: Interface, meta: number, length: number): boolean {
  const kind = meta & GSO_MASK
  const bit = kind === GSO_TCP4 ? Offload.TSO4 : kind === GSO_TCP6 ? Offload.TSO6 : Offload.USO
  return (out.netif.offload & bit) !== 0 && length <= out.netif.gsoMax
}
