/**
 * What a network card does with offloaded frames, in software: one super-segment becomes frames of the path's size, each with its
 * own lengths, sequence number, flags and checksums; a partial checksum becomes a whole one.
 *
 * Theory of operation. The headers of the super-frame are the template: each segment copies them, mends the few fields that
 * differ, appends its slice of the payload, and sums. All segments are built in one scratch buffer (with the alignment of the
 * original and headroom before it), so the taker may scribble over them; the lent original is only read. When the taker refuses in
 * the middle, `keep` saves the original and `run` goes on later with the segment that was refused.
 */
import { copyBytes, get16, get32, put16, put32 } from '../base/bytes.ts'
import { checksum, fold } from '../base/checksum.ts'
import { PROTO_TCP } from '../ip/packet.ts'
import { IP4 } from '../ipv4/wire.ts'
import { IP6, IP6_HEADER } from '../ipv6/wire.ts'
import { CSUM_MASK, CSUM_NONE, CSUM_PARTIAL, frameMeta, GSO_NONE, gsoSize, HEADROOM, type Medium } from '../netif/netif.ts'
import { CWR, FIN, PSH, TCP } from '../tcp/wire.ts'
import { UDP } from '../udp/wire.ts'
import { finish, Layers } from './layers.ts'

/** Whoever takes the frames, lent for the call. False: refused; the frame was not taken. */
export interface FrameTaker {
  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean
}

/** What segments carry: whole checksums that nobody has vouched for. */
const SEGMENT_META = frameMeta(CSUM_NONE, GSO_NONE, 0)

export class Segmenter {
  /** Nothing left to send. */
  done = true
  /** Segments taken of the current super-frame. */
  taken = 0
  private readonly layers = new Layers()
  private scratch = new Uint8Array(0)
  private kept = new Uint8Array(0)
  private source: Uint8Array
  private start = 0
  private medium: Medium = 'ethernet'
  /** Payload bytes per segment, and already taken. */
  private size = 0
  private at = 0
  /** Pseudo-header sum of the super-segment without its length. */
  private pseudo = 0

  /** @param headroom free bytes before each segment that is handed out */
  constructor(private readonly headroom = HEADROOM) {
    this.source = this.kept
  }

  /** Begins with a lent super-frame. False: it is none that can be split (nothing begun). */
  begin(buf: Uint8Array, start: number, end: number, meta: number, medium: Medium): boolean {
    const layers = this.layers
    const size = gsoSize(meta)
    if (size === 0 || !layers.parse(buf, start, end, medium)) return false
    this.source = buf
    this.start = start
    this.medium = medium
    this.size = size
    this.at = 0
    this.taken = 0
    this.done = false
    // The field of a partial checksum has the pseudo-header in it already, whatever addresses (of a routing header) went into it.
    const length = layers.end - layers.transport
    const isPartial = (meta & CSUM_MASK) === CSUM_PARTIAL
    this.pseudo = (isPartial ? get16(buf, layers.checksumAt) : layers.pseudo(buf, length)) + (~length & 0xffff)
    return true
  }

  /** Offers the remaining segments. True: all taken. False: one was refused; call again, after `keep` if the frame was only lent. */
  run(taker: FrameTaker): boolean {
    const { payload, end } = this.layers
    const total = end - payload
    while (!this.done) {
      const n = Math.min(this.size, total - this.at)
      const isLast = this.at + n === total
      const start = this.build(n, isLast)
      if (!taker.frame(this.scratch, start, start + payload - this.start + n, SEGMENT_META)) return false
      this.at += n
      this.taken++
      this.done = isLast
    }
    return true
  }

  /** Saves what is lent, so that `run` may be called after the loan has ended. */
  keep(): void {
    const length = this.layers.end - this.start
    if (this.source === this.kept) return
    if (this.kept.length < length + 4) this.kept = new Uint8Array(length + 4)
    const to = (this.source.byteOffset + this.start) & 3
    copyBytes(this.source, this.start, this.kept, to, length)
    this.source = this.kept
    this.start = to
    this.layers.parse(this.kept, to, to + length, this.medium)
  }

  /** Forgets what is left. */
  drop(): void {
    this.done = true
  }

  /** Builds the segment of `n` payload bytes at `this.at`; returns where it starts in the scratch buffer. */
  private build(n: number, isLast: boolean): number {
    const { layers, source } = this
    const headers = layers.payload - this.start
    const need = this.headroom + 4 + headers + n
    if (this.scratch.length < need) this.scratch = new Uint8Array(Math.max(2048, need))
    const buf = this.scratch
    const start = this.headroom + ((source.byteOffset + this.start) & 3)
    copyBytes(source, this.start, buf, start, headers)
    copyBytes(source, layers.payload + this.at, buf, start + headers, n)
    const shift = start - this.start
    const transport = layers.transport + shift
    const end = start + headers + n
    this.mendIp(buf, layers.ip + shift, end)
    const isTcp = layers.protocol === PROTO_TCP
    if (isTcp) {
      put32(buf, transport + TCP.sequence, get32(source, layers.transport + TCP.sequence) + this.at)
      // FIN and PSH belong to the last byte; CWR is answered once (RFC 3168 section 6.1.2), so it goes with the first.
      if (!isLast) buf[transport + TCP.flags] &= ~(FIN | PSH)
      if (this.at > 0) buf[transport + TCP.flags] &= ~CWR
    } else {
      put16(buf, transport + UDP.length, end - transport)
    }
    const field = layers.checksumAt + shift
    put16(buf, field, fold(this.pseudo + (end - transport)))
    finish(buf, transport, end, field, layers.protocol)
    return start
  }

  private mendIp(buf: Uint8Array, ip: number, end: number): void {
    if (this.layers.family === 6) {
      put16(buf, ip + IP6.payloadLength, end - ip - IP6_HEADER)
      return
    }
    put16(buf, ip + IP4.totalLength, end - ip)
    put16(buf, ip + IP4.identification, get16(buf, ip + IP4.identification) + this.taken)
    put16(buf, ip + IP4.checksum, 0)
    put16(buf, ip + IP4.checksum, checksum(buf, ip, (buf[ip] & 15) << 2))
  }
}

const once = new Segmenter()
const layers = new Layers()

/**
 * Splits a lent super-frame and gives each frame to `taker` until it refuses. Returns the number of frames taken, or -1 when the
 * frame is none that can be split.
 */
export function segment(buf: Uint8Array, start: number, end: number, meta: number, medium: Medium, taker: FrameTaker): number {
  // A taker that segments within this very call would find the shared one busy.
  const segmenter = once.done ? once : new Segmenter()
  if (!segmenter.begin(buf, start, end, meta, medium)) return -1
  segmenter.run(taker)
  segmenter.drop()
  return segmenter.taken
}

/**
 * Completes the partial transport checksum of a frame in place. Returns the offset of the field in `buf`, or -1 when the frame is
 * no whole TCP segment or UDP datagram (nothing was changed).
 */
export function completeChecksum(buf: Uint8Array, start: number, end: number, medium: Medium): number {
  if (!layers.parse(buf, start, end, medium)) return -1
  layers.complete(buf)
  return layers.checksumAt
}
