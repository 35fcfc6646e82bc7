/**
 * A byte ring that starts at nothing, doubles on demand, and gives its buffer back when it runs empty.
 *
 * TCP's send side uses it with offset 0 = SND.UNA: sending and retransmitting are both "copy out the range at this offset". The
 * receive side uses it with offset 0 = the first byte not yet read: payload that comes out of order is `put` at its final place
 * and becomes readable when `extend` moves the boundary over it.
 */
import { copyBytes } from './bytes.ts'
import type { BufferPool } from './pool.ts'

/** Up to this size a ring begins with all that it needed last; a larger one with half of it, because the pool has few of those to lend. */
const WHOLE_BYTES = 1 << 20

export class ByteRing {
  private buf: Uint8Array | null = null
  private head = 0
  private disowned = false
  /** What the next buffer may begin with, by what the last one needed: a busy ring does not double its way up again and again. */
  private hint = 0
  /** The most bytes, holes included, that this buffer has held at once. */
  private most = 0
  /** Contiguous bytes from offset 0. */
  length = 0
  /** One past the highest offset that holds bytes; >= length, larger while there are holes. */
  private high = 0

  constructor(private readonly pool: BufferPool) {}

  /** Bytes of memory now held. */
  get capacity(): number {
    return this.buf === null ? 0 : this.buf.length
  }

  /** Appends bytes at the end of the contiguous part. */
  write(src: Uint8Array, off: number, len: number): void {
    this.put(this.length, src, off, len)
    this.extend(len)
  }

  /** Places bytes at an offset (from the head), possibly leaving a hole before them. They are not readable yet. */
  put(at: number, src: Uint8Array, off: number, len: number): void {
    if (len <= 0) return
    const end = at + len
    if (this.buf === null || end > this.buf.length) this.grow(end)
    const buf = this.buf!
    const mask = buf.length - 1
    const pos = (this.head + at) & mask
    const first = Math.min(len, buf.length - pos)
    copyBytes(src, off, buf, pos, first)
    if (first < len) copyBytes(src, off + first, buf, 0, len - first)
    if (end > this.high) {
      this.high = end
      if (end > this.most) this.most = end
    }
  }

  /** Declares `len` more bytes contiguous: the hole before them was filled. */
  extend(len: number): void {
    this.length += len
    if (this.length > this.high) this.high = this.length
  }

  /** Copies `len` bytes at offset `at` to `dst`. The range must lie inside the contiguous part. */
  copyOut(at: number, len: number, dst: Uint8Array, to: number): void {
    if (len <= 0) return
    const buf = this.buf!
    const pos = (this.head + at) & (buf.length - 1)
    const first = Math.min(len, buf.length - pos)
    copyBytes(buf, pos, dst, to, first)
    if (first < len) copyBytes(buf, 0, dst, to + first, len - first)
  }

  /** Moves up to `len` bytes from the head to `dst`; returns how many. */
  read(dst: Uint8Array, to: number, len: number): number {
    const n = Math.min(len, this.length)
    this.copyOut(0, n, dst, to)
    this.drop(n)
    return n
  }

  /** Forgets `len` bytes at the head. */
  drop(len: number): void {
    if (len <= 0) return
    this.length -= len
    this.high -= len
    if (this.high === 0) this.release()
    else this.head = (this.head + len) & (this.buf!.length - 1)
  }

  /** Forgets what lies beyond the contiguous part, and returns the memory that only that needed. */
  prune(): void {
    const { buf, length } = this
    if (buf === null) return
    this.high = length
    if (length === 0) {
      this.release()
      return
    }
    if (this.disowned || length > buf.length >> 1) return
    const next = this.pool.take(length)
    if (next.length < buf.length) {
      this.copyOut(0, length, next, 0)
      this.pool.give(buf)
      this.buf = next
      this.head = 0
    } else this.pool.give(next)
  }

  /** Forgets everything and returns the memory. */
  clear(): void {
    this.length = 0
    this.high = 0
    this.release()
  }

  /**
   * What is left may stay unread for ever: the memory no longer counts as the pool's, and goes to the collector with the ring.
   */
  disown(): void {
    if (this.buf === null || this.disowned) return
    this.disowned = true
    this.pool.forget(this.buf)
  }

  private release(): void {
    if (this.buf !== null) {
      const half = this.buf.length >> 1
      this.hint = this.most > half && half << 1 <= WHOLE_BYTES ? this.buf.length : half
      this.most = 0
      if (!this.disowned) this.pool.give(this.buf)
    }
    this.disowned = false
    this.buf = null
    this.head = 0
  }

  private grow(need: number): void {
    const old = this.buf
    const next = this.pool.take(Math.max(need, old === null ? this.hint : old.length * 2))
    if (old !== null) {
      const first = Math.min(this.high, old.length - this.head)
      copyBytes(old, this.head, next, 0, first)
      if (first < this.high) copyBytes(old, 0, next, first, this.high - first)
      this.pool.give(old)
    }
    this.buf = next
    this.head = 0
  }
}
