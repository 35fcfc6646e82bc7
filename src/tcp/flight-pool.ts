/** Memory of the flight logs of a stack, and what one ACK did to them. */
import { Delivery, Newest } from './delivery.ts'
import { STRIDE } from './flight-record.ts'

/** Records of the smallest log. */
const FIRST_RECORDS = 16
const POOL_CLASSES = 10
const POOL_BYTES = 256 << 10

/** How often the first size was doubled. */
export function sizeOf(log: Int32Array): number {
  return 31 - Math.clz32(log.length / (FIRST_RECORDS * STRIDE))
}

/** Logs of connections that have nothing in flight, for reuse: an idle connection holds none. */
export class FlightPool {
  readonly delivery = new Delivery()
  readonly newest = new Newest()
  /** By doublings of the first size: stacks with counts of their own (an array that is popped empty loses its memory). */
  private readonly free: (Int32Array | null)[][] = []
  private readonly counts = new Int32Array(POOL_CLASSES)
  /** One of the smallest, at hand: who asks and answers takes and gives one with every message. */
  private spare: Int32Array | null = null

  constructor() {
    for (let i = 0; i < POOL_CLASSES; i++) this.free.push([])
  }

  /** A log of `FIRST_RECORDS << size` records; contents undefined. */
  take(size = 0): Int32Array {
    const { spare } = this
    if (size !== 0 || spare === null) return this.search(size)
    this.spare = null
    return spare
  }

  private search(size: number): Int32Array {
    const n = size < POOL_CLASSES ? this.counts[size] : 0
    if (n === 0) return new Int32Array((FIRST_RECORDS << size) * STRIDE)
    const log = this.free[size][n - 1]!
    this.free[size][n - 1] = null
    this.counts[size] = n - 1
    return log
  }

  give(log: Int32Array): void {
    if (this.spare === null && log.length === FIRST_RECORDS * STRIDE) this.spare = log
    else this.store(log)
  }

  private store(log: Int32Array): void {
    const size = sizeOf(log)
    // Many small ones, few large ones: 256 KB at most of each size.
    if (size >= POOL_CLASSES || this.counts[size] * log.byteLength >= POOL_BYTES) return
    this.free[size][this.counts[size]++] = log
  }
}
