/**
 * `lo`: what is sent comes back to the same sink, in its next turn. A medium without a link layer and with every offload: bytes
 * never leave memory, so a checksum has nothing to protect and a segment may be as long as IP allows.
 */
import { Counters, indexOf } from '../base/counters.ts'
import { type NetIf, type NetIfSink, Offload } from '../netif/netif.ts'
import { leastFrame } from './carry.ts'
import { FrameQueue } from './frame-queue.ts'

/** What the loopback is called, and what may wait in it. */
export interface LoopbackOptions {
  /** `lo` when left out. */
  name?: string
  /** Frames and bytes that may wait. 256 and 512 KiB when left out. */
  queueFrames?: number
  queueBytes?: number
}

const NAMES = [
  'inFrames',
  'inOctets',
  'outFrames',
  'outOctets',
  'outBlocked',
  'dropTooLong',
  'dropTooShort',
  'dropClosed',
] as const
const C = indexOf(NAMES)

class Loopback implements NetIf {
  readonly medium = 'ip'
  readonly mac = null
  readonly mtu = 65535
  readonly offload = Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6 | Offload.USO
  readonly gsoMax = 65535
  private sink: NetIfSink | null = null
  private isClosed = false
  private blocked = false
  private told = false
  private readonly queue: FrameQueue
  private readonly count = new Counters(NAMES)

  constructor(
    readonly name: string,
    queueFrames?: number,
    queueBytes?: number,
  ) {
    this.queue = new FrameQueue(queueFrames, queueBytes)
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  receive(budget: number): boolean {
    const sink = this.sink
    if (sink === null || this.isClosed) return false
    const queue = this.queue
    const n = this.count.values
    // What is sent while these are heard waits for the next turn, else one echo could keep a turn going for ever.
    for (let i = Math.min(budget, queue.count); i > 0 && queue.count > 0; i--) {
      n[C.inFrames]++
      n[C.inOctets] += queue.nextLength
      queue.deliver(sink)
    }
    this.told = queue.count > 0
    if (this.blocked && !this.isClosed && queue.low) {
      this.blocked = false
      sink.writable()
    }
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    const length = end - start
    if (this.isClosed || this.sink === null) {
      n[C.dropClosed]++
    } else if (length < leastFrame(this.medium)) {
      n[C.dropTooShort]++
    } else if (length > this.mtu) {
      n[C.dropTooLong]++
    } else {
      if (!this.queue.push(buf, start, end, meta)) {
        n[C.outBlocked]++
        this.blocked = true
        return false
      }
      n[C.outFrames]++
      n[C.outOctets] += length
      if (!this.told) {
        this.told = true
        this.sink.readable()
      }
    }
    return true
  }

  flush(): void {
    // Frames are in the queue already.
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.count.values[C.dropClosed] += this.queue.count
    this.queue.clear()
  }

  counters(): Record<string, number> {
    return this.count.snapshot() as Record<string, number>
  }

  describe(): string {
    return `${this.name}: loopback, mtu ${this.mtu}, offload csum,tso4,tso6,uso`
  }
}

/** The loopback link of one stack. */
export function createLoopback(options: LoopbackOptions = {}): NetIf {
  return new Loopback(options.name ?? 'lo', options.queueFrames, options.queueBytes)
}
