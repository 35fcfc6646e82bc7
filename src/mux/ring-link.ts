/**
 * A link to another thread over two rings of shared memory (ring.ts), whatever rings the bell.
 *
 * Frames pass as they are, offload included: they never leave memory. A full ring refuses. When either end closes, the other is told
 * that the link has ended, after what was sent before.
 */
import { Counters, indexOf } from '../base/counters.ts'
import { NetError } from '../base/errors.ts'
import { isTooLong, leastFrame } from '../link/carry.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { RingReader, RingWriter, ringMemory } from './ring.ts'

/** What two ends share, and what each must know to make its link. Plain data: it can be sent to a worker. */
export interface RingPlan {
  readonly memory: SharedArrayBuffer
  /** Bytes of each ring: a power of two. */
  readonly ringBytes: number
  readonly name: string
  readonly mac: Uint8Array | null
  readonly mtu: number
  readonly offload: number
  readonly gsoMax: number
}

/** Wakes the thread at the other end, which then calls its link's `rung`. */
export interface Bell {
  ring(): void
  close(): void
  ref(on: boolean): void
}

const NAMES = [
  'inFrames',
  'inOctets',
  'outFrames',
  'outOctets',
  'outBlocked',
  'outBells',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropNoPeer',
  'dropClosed',
] as const
const C = indexOf(NAMES)

export class RingLink implements NetIf {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mac: Uint8Array | null
  readonly mtu: number
  readonly offload: number
  readonly gsoMax: number
  private readonly reader: RingReader
  private readonly writer: RingWriter
  private sink: NetIfSink | null = null
  /** Our sink was told `readable()` and has not emptied the ring since. */
  private told = false
  private blocked = false
  private isClosed = false
  private readonly count = new Counters(NAMES)

  /** @param side 0 and 1: the two ends */
  constructor(
    plan: RingPlan,
    side: 0 | 1,
    private readonly bell: Bell,
  ) {
    const { memory, ringBytes } = plan
    this.name = plan.name
    this.mac = plan.mac
    this.mtu = plan.mtu
    this.offload = plan.offload
    this.gsoMax = plan.gsoMax
    const there = ringMemory(ringBytes)
    this.writer = new RingWriter(memory, side * there, ringBytes)
    this.reader = new RingReader(memory, (1 - side) * there, ringBytes)
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.rung()
  }

  /** The bell rang, or may have. */
  rung(): void {
    const { sink } = this
    if (sink === null || this.isClosed) return
    if (!this.told && (this.hasNews() || !this.reader.sleep())) {
      this.told = true
      sink.readable()
    }
    if (this.blocked && !this.writer.isWaiting) {
      this.blocked = false
      sink.writable()
    }
  }

  receive(budget: number): boolean {
    const { sink, reader } = this
    if (sink === null || this.isClosed) return false
    const n = this.count.values
    for (let i = budget; i > 0; i--) {
      const length = reader.deliver(sink)
      if (length === 0) break
      n[C.inFrames]++
      n[C.inOctets] += length
      if (this.isClosed) return false
    }
    if (reader.takeWaiter()) this.ringBell()
    if (!reader.isEmpty) return true
    if (this.hasNews()) {
      this.end()
      return false
    }
    this.told = !reader.sleep()
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    if (this.isClosed || this.sink === null) n[C.dropClosed]++
    else if (end - start < leastFrame('ethernet')) n[C.dropTooShort]++
    else if (this.offload === 0 && ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL)) n[C.dropNotOffloaded]++
    else if (isTooLong(this, buf, start, end, meta)) n[C.dropTooLong]++
    else if (this.writer.isClosed) n[C.dropNoPeer]++
    else {
      if (!this.writer.push(buf, start, end, this.offload === 0 ? 0 : meta)) {
        n[C.outBlocked]++
        this.blocked = true
        return false
      }
      n[C.outFrames]++
      n[C.outOctets] += end - start
      if (this.writer.takeSleeper()) this.ringBell()
    }
    return true
  }

  flush(): void {
    // Frames are with the other thread already.
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.reader.close()
    this.writer.close()
    this.ringBell()
    this.bell.close()
  }

  counters(): Record<string, number> {
    return this.count.snapshot() as Record<string, number>
  }

  describe(): string {
    return `${this.name}: shared memory, ethernet, mtu ${this.mtu}${this.offload === 0 ? '' : ', offload csum,tso4,tso6,uso'}`
  }

  ref(on: boolean): void {
    this.bell.ref(on)
  }

  /** The other thread is gone without having closed. */
  peerGone(): void {
    this.reader.close()
    this.rung()
  }

  /** What a sink must hear of, though no frame waits: the end. */
  private hasNews(): boolean {
    return this.reader.isClosed || this.reader.isBroken
  }

  private end(): void {
    const { sink, reader } = this
    this.close()
    sink!.closed(
      reader.isBroken ? new NetError('EPROTO', { message: `${this.name}: what stands in shared memory is no frame` }) : undefined,
    )
  }

  private ringBell(): void {
    this.count.values[C.outBells]++
    this.bell.ring()
  }
}
