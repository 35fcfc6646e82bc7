/**
 * Buffers by size class, handed back and forth: what makes "an idle connection holds no buffer" free of garbage. A ring that
 * runs empty returns its buffer here, a ring that gets its first byte takes one. Contents are not cleared: whoever takes a
 * buffer writes before reading.
 */
const MIN_SHIFT = 11
const CLASSES = 16

export class BufferPool {
  private readonly free: Uint8Array[][] = []
  private retained = 0
  /** Bytes now lent out. */
  inUse = 0

  /** @param retainBytes how many bytes of returned buffers are kept for reuse; what is above goes to the collector. */
  constructor(private readonly retainBytes = 16 << 20) {
    for (let i = 0; i < CLASSES; i++) this.free.push([])
  }

  /** A buffer of at least `bytes`, its length a power of two >= 2048. */
  take(bytes: number): Uint8Array {
    const c = classOf(bytes)
    const size = 1 << (c + MIN_SHIFT)
    this.inUse += size
    const buf = this.free[c].pop()
    if (buf === undefined) return new Uint8Array(size)
    this.retained -= size
    return buf
  }

  give(buf: Uint8Array): void {
    const size = buf.length
    this.inUse -= size
    if (this.retained + size > this.retainBytes) return
    this.retained += size
    this.free[classOf(size)].push(buf)
  }
}

function classOf(bytes: number): number {
  const shift = bytes <= 1 << MIN_SHIFT ? MIN_SHIFT : 32 - Math.clz32(bytes - 1)
  return shift - MIN_SHIFT
}
