/**
 * Frames in a stream of bytes: `length | pad | frame`, again and again. usertunnel, vde_plug, QEMU, passt, gvproxy and socket_vmnet all speak it and
 * differ in two numbers and a byte order only (`Framing`).
 *
 * Theory of operation. A stream knows no borders, so a chunk may end anywhere, in the middle of a length too. `FrameDecoder` hands over frames that
 * lie whole in a chunk as they lie there, and copies only what straddles two chunks. Whoever takes the frames may refuse one (a full queue): decoding
 * stops and goes on there later, which is how a slow receiver slows the peer. A length above the limit cannot be skipped, for nobody knows where
 * the next frame begins: the stream is broken then, and its owner ends it. `FrameEncoder` gathers the frames of a batch in one
 * buffer, so that many leave in one write.
 */
import { copyBytes, get16, get32, put16, put32 } from '../base/bytes.ts'
import type { FrameTaker } from '../offload/segment.ts'
import { MAX_FRAME } from './frame-queue.ts'

/** How frames stand in a byte stream: a length of two or four bytes, then the frame. */
export interface Framing {
  /** Bytes of the length: two or four. */
  readonly lengthBytes: 2 | 4
  readonly order: 'be' | 'le'
  /** Bytes between the length and the frame, zero when sent, ignored when received; the length counts them. */
  readonly pad: number
}

/** vde_plug, usertunnel without its pad. */
export const U16BE: Framing = { lengthBytes: 2, order: 'be', pad: 0 }
/** hyperkit's side of gvproxy. */
export const U16LE: Framing = { lengthBytes: 2, order: 'le', pad: 0 }
/** QEMU's stream and socket backends, passt, socket_vmnet. */
export const U32BE: Framing = { lengthBytes: 4, order: 'be', pad: 0 }

/** The largest frame in bytes that a framing can say and a queue can hold. */
export function largestFrame({ lengthBytes, pad }: Framing): number {
  return lengthBytes === 2 ? 0xffff - pad : MAX_FRAME
}

function readLength(buf: Uint8Array, at: number, { lengthBytes, order }: Framing): number {
  if (lengthBytes === 2) return order === 'be' ? get16(buf, at) : buf[at] | (buf[at + 1] << 8)
  const be = get32(buf, at)
  return (order === 'be' ? be : (be << 24) | ((be & 0xff00) << 8) | ((be >>> 8) & 0xff00) | (be >>> 24)) >>> 0
}

function writeLength(buf: Uint8Array, at: number, length: number, { lengthBytes, order }: Framing): void {
  if (order === 'be') {
    if (lengthBytes === 2) put16(buf, at, length)
    else put32(buf, at, length)
    return
  }
  for (let i = 0; i < lengthBytes; i++) buf[at + i] = length >>> (8 * i)
}

const FIRST_CARRY = 2048

export class FrameDecoder {
  /** The length that nothing can follow; -1 while the stream is sound. */
  badLength = -1
  /** A frame was refused: `decode` goes on with it, even when given no further bytes. */
  refused = false
  private readonly head: number
  /** Bytes of a frame, with its length, that the chunks so far did not hold whole. */
  private carry = new Uint8Array(FIRST_CARRY)
  private carried = 0

  /** @param limit largest frame in bytes that is taken for one */
  constructor(
    private readonly framing: Framing,
    private readonly limit = largestFrame(framing),
  ) {
    this.head = framing.lengthBytes
  }

  /** In the middle of a frame. */
  get isPartial(): boolean {
    return this.carried > 0
  }

  /** Another stream begins. */
  reset(): void {
    this.badLength = -1
    this.refused = false
    this.carried = 0
  }

  /**
   * Reads `buf[at, end)` and gives each frame to `taker`, lent, an empty one too (a keep-alive). Returns how far it came: `end`; or less, after a refusal
   * (`refused`: give the rest again later) or a bad length (`badLength`).
   */
  decode(buf: Uint8Array, at: number, end: number, taker: FrameTaker): number {
    this.refused = false
    if (this.badLength >= 0) return at
    const { head } = this
    if (this.carried > 0) {
      at = this.fill(buf, at, end, head)
      if (this.carried < head) return at
      const length = this.lengthAt(this.carry, 0)
      if (length < 0) return at
      at = this.fill(buf, at, end, head + length)
      if (this.carried < head + length || !this.offer(this.carry, head, length, taker)) return at
      this.carried = 0
    }
    while (end - at >= head) {
      const length = this.lengthAt(buf, at)
      if (length < 0) return at
      if (end - at - head < length) break
      if (!this.offer(buf, at + head, length, taker)) return at
      at += head + length
    }
    return this.fill(buf, at, end, end - at)
  }

  private lengthAt(buf: Uint8Array, at: number): number {
    const length = readLength(buf, at, this.framing)
    if (length <= this.limit + this.framing.pad) return length
    this.badLength = length
    return -1
  }

  private offer(buf: Uint8Array, at: number, length: number, taker: FrameTaker): boolean {
    const end = at + length
    if (taker.frame(buf, Math.min(at + this.framing.pad, end), end, 0)) return true
    this.refused = true
    return false
  }

  /** Carries bytes until there are `want` of them. */
  private fill(buf: Uint8Array, at: number, end: number, want: number): number {
    const n = Math.min(want - this.carried, end - at)
    if (n <= 0) return at
    if (this.carry.length < this.carried + n) {
      const larger = new Uint8Array(Math.max(this.carry.length * 2, this.carried + n))
      larger.set(this.carry.subarray(0, this.carried))
      this.carry = larger
    }
    copyBytes(buf, at, this.carry, this.carried, n)
    this.carried += n
    return at + n
  }
}

export class FrameEncoder {
  /** Bytes of the batch so far. */
  used = 0
  /** The batch is `bytes[0, used)`. */
  bytes: Uint8Array
  private readonly head: number

  constructor(
    private readonly framing: Framing,
    bytes: Uint8Array,
  ) {
    this.bytes = bytes
    this.head = framing.lengthBytes + framing.pad
  }

  /** Appends a frame; an empty range is a keep-alive, whose length is zero. False: no room in this batch, nothing was done. */
  add(buf: Uint8Array, start: number, end: number): boolean {
    const n = end - start
    const { framing, bytes } = this
    const at = this.used
    const head = n === 0 ? framing.lengthBytes : this.head
    if (at + head + n > bytes.length) return false
    writeLength(bytes, at, n === 0 ? 0 : n + framing.pad, framing)
    for (let i = framing.lengthBytes; i < head; i++) bytes[at + i] = 0
    copyBytes(buf, start, bytes, at + head, n)
    this.used = at + head + n
    return true
  }

  /** Begins another batch in another buffer. */
  renew(bytes: Uint8Array): void {
    this.bytes = bytes
    this.used = 0
  }
}
