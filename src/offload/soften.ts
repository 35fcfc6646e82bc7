/**
 * `withoutOffload(link)`: offers the stack above all offloads of a link that has none (or only some) and does the missing ones in
 * software. The stack then makes one super-segment where it would have made forty segments; splitting it here costs a copy and
 * a checksum per segment, which is much less than forty times through TCP.
 *
 * Back-pressure in the middle of a super-segment: a frame is taken wholly or not at all, so once its first segment has gone the
 * super-segment counts as taken; the rest is kept (one super-segment at most) and sent when the link is writable again. Until then
 * `send` refuses.
 */
import { get16, put16 } from '../base/bytes.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { LinkAround } from '../netif/around.ts'
import {
  CSUM_MASK,
  CSUM_NONE,
  CSUM_PARTIAL,
  frameMeta,
  GSO_MASK,
  GSO_NONE,
  GSO_TCP4,
  GSO_TCP6,
  type NetIf,
  Offload,
} from '../netif/netif.ts'
import { Layers } from './layers.ts'
import { type FrameTaker, Segmenter } from './segment.ts'

const NAMES = ['softSegmented', 'softSegments', 'softChecksums', 'outBlockedHere', 'dropUnsplittable', 'dropPending'] as const
const C = indexOf(NAMES)

const SOFT = Offload.TX_CHECKSUM | Offload.TSO4 | Offload.TSO6 | Offload.USO
const GSO_MAX = 65535
const WHOLE = frameMeta(CSUM_NONE, GSO_NONE, 0)

class SoftOffload extends LinkAround implements FrameTaker {
  private isClosed = false
  /** We refused a frame and owe a `writable()`. */
  private blocked = false
  private readonly layers = new Layers()
  private readonly segmenter = new Segmenter()
  private readonly count = new Counters(NAMES)

  override get gsoMax(): number {
    return GSO_MAX
  }

  override get offload(): number {
    return this.inner.offload | SOFT
  }

  override send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (!this.segmenter.done) {
      this.count.values[C.outBlockedHere]++
      this.blocked = true
      return false
    }
    const kind = meta & GSO_MASK
    let taken: boolean
    if (kind !== GSO_NONE && !this.innerSplits(kind, end - start)) taken = this.split(buf, start, end, meta)
    else if ((meta & CSUM_MASK) === CSUM_PARTIAL && (this.inner.offload & Offload.TX_CHECKSUM) === 0)
      taken = this.sum(buf, start, end)
    else taken = this.inner.send(buf, start, end, meta)
    if (!taken) this.blocked = true
    return taken
  }

  override close(): Promise<void> | void {
    this.isClosed = true
    this.blocked = false
    this.dropPending()
    return this.inner.close()
  }

  override counters(): Record<string, number> {
    return { ...this.inner.counters?.(), ...(this.count.snapshot() as Record<string, number>) }
  }

  override describe(): string {
    return `${this.inner.describe?.() ?? this.name}, offload in software`
  }

  override writable(): void {
    if (!this.segmenter.done) {
      if (!this.segmenter.run(this)) return // it will be writable again
      this.inner.flush()
    }
    if (!this.blocked || this.isClosed) return
    this.blocked = false
    this.sink!.writable()
  }

  override closed(error?: Error): void {
    this.dropPending()
    this.sink!.closed(error)
  }

  /** One segment of a super-frame. */
  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (!this.inner.send(buf, start, end, meta)) return false
    this.count.values[C.softSegments]++
    return true
  }

  private innerSplits(kind: number, length: number): boolean {
    const bit = kind === GSO_TCP4 ? Offload.TSO4 : kind === GSO_TCP6 ? Offload.TSO6 : Offload.USO
    return (this.inner.offload & bit) !== 0 && length <= this.inner.gsoMax
  }

  private split(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const { segmenter } = this
    const n = this.count.values
    if (!segmenter.begin(buf, start, end, meta, this.medium)) {
      n[C.dropUnsplittable]++
      return true
    }
    if (!segmenter.run(this)) {
      if (segmenter.taken === 0) {
        segmenter.drop()
        return false
      }
      segmenter.keep()
    }
    n[C.softSegmented]++
    return true
  }

  private sum(buf: Uint8Array, start: number, end: number): boolean {
    const layers = this.layers
    const n = this.count.values
    if (!layers.parse(buf, start, end, this.medium)) {
      n[C.dropUnsplittable]++
      return true
    }
    const at = layers.checksumAt
    const partial = get16(buf, at)
    layers.complete(buf)
    if (!this.inner.send(buf, start, end, WHOLE)) {
      put16(buf, at, partial) // refused: it will come again, partial as it was
      return false
    }
    n[C.softChecksums]++
    return true
  }

  private dropPending(): void {
    if (this.segmenter.done) return
    this.segmenter.drop()
    this.count.values[C.dropPending]++
  }
}

/** Wraps a link so that it takes partial checksums and super-segments up to 65535 bytes, in software where it has them not. */
export function withoutOffload(link: NetIf): NetIf {
  return new SoftOffload(link)
}

/** The link itself if it takes every frame that there is, else wrapped so that it does. */
export function takingAll(link: NetIf): NetIf {
  return (link.offload & SOFT) === SOFT && link.gsoMax >= GSO_MAX ? link : withoutOffload(link)
}
