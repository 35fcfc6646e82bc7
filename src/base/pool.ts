/**
 * Buffers by size class, handed back and forth: what makes "an idle connection holds no buffer" free of garbage. A ring that
 * runs empty returns its buffer here, a ring that gets its first byte takes one. Contents are not cleared: whoever takes a
 * buffer writes before reading.
 */
import { arena } from './arena.ts'

const MIN_SHIFT = 11
const MIN_BYTES = 1 << MIN_SHIFT
/** Up to 1 GiB: what the configuration allows for a receive buffer. */
const CLASSES = 20

export class BufferPool {
  /** By size class: stacks with counts of their own, because an array that is popped empty loses its memory and a push makes it anew. */
  private readonly free: (Uint8Array | null)[][] = []
  private readonly counts = new Int32Array(CLASSES)
  private retained = 0
  /** One of the smallest, at hand: rings that run empty with every message take and give nothing else. */
  private spare: Uint8Array | null = null
  /** Bytes now lent out. */
  inUse = 0

  /** @param retainBytes how many bytes of returned buffers are kept for reuse; what is above goes to the collector. */
  constructor(private readonly retainBytes = 16 << 20) {
    for (let i = 0; i < CLASSES; i++) this.free.push([])
  }

  /** A buffer of at least `bytes`, its length a power of two >= 2048. */
  take(bytes: number): Uint8Array {
    const { spare } = this
    if (spare === null || bytes > MIN_BYTES) return this.search(bytes)
    this.spare = null
    this.inUse += MIN_BYTES
    return spare
  }

  private search(bytes: number): Uint8Array {
    const c = classOf(bytes)
    const size = 1 << (c + MIN_SHIFT)
    this.inUse += size
    const n = this.counts[c]
    if (n === 0) return arena.take(size)
    const buf = this.free[c][n - 1]!
    this.free[c][n - 1] = null
    this.counts[c] = n - 1
    this.retained -= size
    return buf
  }

  /** Returns everything that is not lent out. The pool's owner is gone. */
  clear(): void {
    if (this.spare !== null) arena.give(this.spare)
    this.spare = null
    for (let c = 0; c < CLASSES; c++) {
      for (let i = 0; i < this.counts[c]; i++) arena.give(this.free[c][i]!)
      this.free[c].length = 0
      this.counts[c] = 0
    }
    this.retained = 0
  }

  /** A buffer that was taken will not come back. */
  forget(buf: Uint8Array): void {
    this.inUse -= buf.length
  }

  give(buf: Uint8Array): void {
    const size = buf.length
    this.inUse -= size
    if (size === MIN_BYTES && this.spare === null) this.spare = buf
    else this.store(buf, size)
  }

  private store(buf: Uint8Array, size: number): void {
    if (this.retained + size > this.retainBytes) {
      arena.give(buf)
      return
    }
    this.retained += size
    const c = classOf(size)
    this.free[c][this.counts[c]++] = buf
  }
}

function classOf(bytes: number): number {
  const shift = bytes <= 1 << MIN_SHIFT ? MIN_SHIFT : 32 - Math.clz32(bytes - 1)
  return shift - MIN_SHIFT
}
