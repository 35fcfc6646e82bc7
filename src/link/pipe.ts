/**
 * A cable in memory: two NetIfs, what one sends the other receives.
 *
 * Theory of operation. Each end owns the queue of frames that wait for it. `send` copies the frame into the peer's queue and, if
 * the peer does not know yet that frames wait, calls its `readable()`; the peer takes them when its turn comes. A full queue makes
 * `send` answer false, and the sender is told `writable()` when the peer has drained it to a half. There is no time in a pipe:
 * delay, rate and loss are `fault`'s.
 *
 * With offload (the default) frames pass as they are: partial checksums and super-segments up to 64 KiB never see a wire. Without
 * it the pipe is one: frames of at most the MTU, every checksum real and to be verified.
 *
 * An end without a peer: as with a cable that is plugged in at one end only, frames sent before the other end is attached, or after
 * it was closed, are lost and counted (`dropNoPeer`). Closing an end is no error to the other: its sink hears nothing of it (but with `hangUp`), and a
 * sender that was waiting for room is told `writable()`. What was sent before the close still arrives.
 */
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import {
  CSUM_MASK,
  CSUM_PARTIAL,
  GSO_MASK,
  type Medium,
  type NetIf,
  type NetIfSink,
  Offload,
  type Place,
} from '../netif/netif.ts'
import { isTooLong, leastFrame } from './carry.ts'
import { FrameQueue } from './frame-queue.ts'

/** What both ends of a pipe are like: medium, MTU, offload, room. */
export interface PipeOptions {
  /** Largest IP packet of a frame in bytes, 68 to 65535. 1500 when left out. */
  mtu?: number
  /** Partial checksums and super-segments pass. True when left out. */
  offload?: boolean
  /** Names of the two ends. `pipe.a`, `pipe.b` when left out. */
  names?: readonly [string, string]
  /** Ethernet when left out. */
  medium?: Medium
  /** Frames that may wait in each direction. 256 when left out. */
  queueFrames?: number
  /** Bytes that may wait in each direction (at least one frame of 64 KiB). 512 KiB when left out. */
  queueBytes?: number
  /** Closing one end ends the other: its sink is told `closed()`. False when left out. */
  hangUp?: boolean
}

const NAMES = [
  'inFrames',
  'inOctets',
  'outFrames',
  'outOctets',
  'outBlocked',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropNoPeer',
  'dropClosed',
] as const
const C = indexOf(NAMES)

/** Bits of a pipe with offload. */
const PIPE_OFFLOAD = Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6
const GSO_MAX = 65535

class PipeEnd implements NetIf {
  readonly mac = null
  readonly offload: number
  readonly gsoMax: number
  peer: PipeEnd
  sink: NetIfSink | null = null
  isClosed = false
  /** We refused a frame and owe our sink a `writable()`. */
  private blocked = false
  /** Our sink was told `readable()` and has not emptied the queue since. */
  private told = false
  /** Frames that wait for us. */
  private readonly queue: FrameQueue
  private readonly count = new Counters(NAMES)

  constructor(
    readonly name: string,
    readonly medium: Medium,
    readonly mtu: number,
    offload: boolean,
    private readonly hangUp: boolean,
    queueFrames?: number,
    queueBytes?: number,
  ) {
    this.offload = offload ? PIPE_OFFLOAD : 0
    this.gsoMax = offload ? GSO_MAX : 0
    this.queue = new FrameQueue(queueFrames, queueBytes)
    this.peer = this
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  receive(budget: number): boolean {
    const sink = this.sink
    if (sink === null || this.isClosed) return false
    const queue = this.queue
    const n = this.count.values
    for (let i = Math.min(budget, queue.count); i > 0 && queue.count > 0; i--) {
      n[C.inFrames]++
      n[C.inOctets] += queue.nextLength
      queue.deliver(sink)
    }
    if (queue.low) this.peer.unblock()
    this.told = queue.count > 0
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    const peer = this.peer
    if (this.isClosed) {
      n[C.dropClosed]++
    } else if (end - start < leastFrame(this.medium)) {
      n[C.dropTooShort]++
    } else if (this.offload === 0 && ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL)) {
      n[C.dropNotOffloaded]++
    } else if (isTooLong(this, buf, start, end, meta)) {
      n[C.dropTooLong]++
    } else if (peer.sink === null || peer.isClosed) {
      n[C.dropNoPeer]++
    } else {
      // A wire carries bytes only: without offload the receiver has nobody's word for the checksum.
      if (!peer.queue.push(buf, start, end, this.offload === 0 ? 0 : meta)) {
        n[C.outBlocked]++
        this.blocked = true
        return false
      }
      n[C.outFrames]++
      n[C.outOctets] += end - start
      if (!peer.told) {
        peer.told = true
        peer.sink.readable()
      }
    }
    return true
  }

  place(into: Place, headers: number, payload: number): boolean {
    const { peer } = this
    if (this.offload === 0 || this.isClosed || peer.sink === null || peer.isClosed) return true // `send` says what becomes of it
    const at = peer.queue.place(headers, payload)
    if (at < 0) {
      this.count.values[C.outBlocked]++
      this.blocked = true
      return false
    }
    if (at > 0) {
      into.buf = peer.queue.memory
      into.start = at
      into.end = at
    }
    return true
  }

  flush(): void {
    // Frames are with the peer already.
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.blocked = false
    this.count.values[C.dropClosed] += this.queue.count
    this.queue.clear()
    this.peer.unblock()
    if (this.hangUp && !this.peer.isClosed) this.peer.sink?.closed()
  }

  counters(): Record<string, number> {
    return this.count.snapshot() as Record<string, number>
  }

  describe(): string {
    return `${this.name}: in memory, ${this.medium}, mtu ${this.mtu}${this.offload === 0 ? '' : ', offload csum,tso4,tso6'}`
  }

  private unblock(): void {
    if (!this.blocked) return
    this.blocked = false
    if (this.sink !== null) this.sink.writable()
  }
}

/** Two joined NetIfs. Throws ERR_INVALID_ARG_VALUE for an MTU that cannot be. */
export function createPipe(options: PipeOptions = {}): [NetIf, NetIf] {
  const { mtu = 1500, offload = true, medium = 'ethernet', names = ['pipe.a', 'pipe.b'], queueFrames, queueBytes } = options
  const { hangUp = false } = options
  if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65535) throw invalidArgument(`Invalid mtu ${mtu}: 68 to 65535 expected`)
  const a = new PipeEnd(names[0], medium, mtu, offload, hangUp, queueFrames, queueBytes)
  const b = new PipeEnd(names[1], medium, mtu, offload, hangUp, queueFrames, queueBytes)
  a.peer = b
  b.peer = a
  return [a, b]
}
