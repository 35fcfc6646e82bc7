/**
 * The memory of all buffers of one stack, in three marks as Linux's tcp_mem.
 *
 * Theory of operation. Up to `memoryPressureBytes` every connection grows its buffers as it can use them. Above it nobody grows, and receivers offer
 * only a few segments beyond what they have promised (an edge that was told never moves back), so that windows shrink as they are used up; this
 * lasts until usage is below `memoryLowBytes`. Above `memoryBytes` what would need more memory is refused: writes get no room, segments out of order are
 * dropped, and so are those in order whose connection has something to be read. A connection that holds nothing always gets a little, so
 * that each can go on and no one is forgotten.
 */
import type { TcpConfig } from '../base/config.ts'
import type { BufferPool } from '../base/pool.ts'
import type { Connection } from './connection.ts'
import { C } from './tcp-counters.ts'

/** What a connection may hold at any time. Linux tcp_rmem[0], tcp_wmem[0]. */
export const LEAST_BYTES = 4096
/** Segments that a receiver offers under pressure. Linux tcp_adjust_rcv_ssthresh. */
export const PRESSED_SEGMENTS = 4

export class Memory {
  underPressure = false
  private readonly low: number
  private readonly pressure: number
  private readonly high: number

  constructor(
    readonly pool: BufferPool,
    config: Pick<TcpConfig, 'memoryLowBytes' | 'memoryPressureBytes' | 'memoryBytes'>,
    private readonly count: Float64Array,
  ) {
    this.high = config.memoryBytes
    this.pressure = config.memoryPressureBytes > 0 ? config.memoryPressureBytes : Math.floor((this.high / 4) * 3)
    this.low = config.memoryLowBytes > 0 ? config.memoryLowBytes : this.pressure - (this.pressure >> 2)
  }

  /** Bytes of ring memory lent out. */
  get used(): number {
    return this.pool.inUse
  }

  /** Nothing more may be taken. */
  get isShort(): boolean {
    return this.pool.inUse > this.high
  }

  /** Once a turn. */
  look(): void {
    const { inUse } = this.pool
    if (this.underPressure) {
      if (inUse < this.low) this.underPressure = false
    } else if (inUse > this.pressure) {
      this.underPressure = true
      this.count[C.TCPMemoryPressures]++
    }
  }

  /** Memory is short and data has come: may it be taken? What came out of order before makes place for what is in order. */
  admit(c: Connection, seq: number, len: number): boolean {
    const { rcv } = c
    const { ring } = rcv
    const n = this.count
    if (seq !== rcv.nxt) {
      n[C.PruneCalled]++
      n[C.TCPOFODrop]++
      return false
    }
    if (ring.length + len <= Math.max(ring.capacity, LEAST_BYTES) || ring.length === 0) return true
    n[C.PruneCalled]++
    if (rcv.spans !== null && rcv.spans.count > 0) {
      rcv.forgetOutOfOrder()
      n[C.OfoPruned]++
      if (!this.isShort) return true
    }
    n[C.RcvPruned]++
    n[C.TCPRcvQDrop]++
    return false
  }
}
