/**
 * A link over a channel of messages within a program, one Ethernet frame each: BroadcastChannels (broadcast-channel.ts), the bus of an emulator (v86.ts).
 *
 * Theory of operation. In: a message is copied into one bounded queue and pulled from there; what does not fit is lost and counted, for such a channel has no
 * way to hold its sender back. Out: a frame leaves as a message of its own bytes (copied: it is lent to us, and whoever gets it may keep it).
 * Nor does a channel say that it is full: what its receivers have not yet looked at piles up somewhere in the platform. So a burst is bounded: after so many
 * frames `send` refuses until the next tick of a millisecond, in which the event loop has given others their turn.
 */
import type { Task } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { isTooLong, leastFrame } from './carry.ts'
import { FrameQueue, MAX_FRAME } from './frame-queue.ts'

/** A link over a channel of messages: its name, and what it takes. */
export interface MessageLinkOptions {
  name?: string
  /** Largest IP packet of a frame in bytes, 68 to 65535. 1500 when left out. */
  mtu?: number
  /** Frames sent in one millisecond at most. */
  burstFrames?: number
  /** What may wait to be pulled. 256 frames and 512 KiB when left out. */
  queueFrames?: number
  queueBytes?: number
}

/** Takes what comes by a channel. */
export interface MessageTaker {
  /** Anything at all: what is no frame is counted and forgotten. */
  message(data: unknown): void
  /** One came that could not be read. */
  unreadable(): void
  /** The channel has ended without us. */
  ended(error?: Error): void
}

/** What a kind of channel does. */
export interface MessageCarrier {
  /** For `describe`. */
  readonly text: string
  start(taker: MessageTaker): void
  /** The frame is the receiver's from now on. Null: sent; an error ends the link, if the channel has ended (`isOver`). */
  post(frame: Uint8Array): Error | null
  readonly isOver: boolean
  close(): void
  ref?(on: boolean): void
}

const NAMES = [
  'inFrames',
  'inOctets',
  'inErrors',
  'outFrames',
  'outOctets',
  'outBlocked',
  'outErrors',
  'dropInNoFrame',
  'dropInTooShort',
  'dropInTooLong',
  'dropInNoRoom',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropClosed',
] as const
const C = indexOf(NAMES)

export class MessageLink implements NetIf, MessageTaker {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mac = null
  readonly offload = 0
  readonly gsoMax = 0
  readonly mtu: number
  private readonly stats = new Counters(NAMES)
  private readonly queue: FrameQueue
  private readonly burst: number
  /** Frames that may leave before the tick. */
  private left: number
  private ticking = false
  private readonly tick: Task = { run: () => this.refill() }
  private sink: NetIfSink | null = null
  private told = false
  private blocked = false
  private isClosed = false

  /** @throws NetError ERR_INVALID_ARG_VALUE. */
  constructor(
    private readonly carrier: MessageCarrier,
    name: string,
    burstFrames: number,
    options: MessageLinkOptions,
  ) {
    const { mtu = LINK_DEFAULTS.mtuBytes } = options
    const burst = options.burstFrames ?? burstFrames
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > 65535) throw invalidArgument(`Invalid mtu ${mtu}: 68 to 65535 expected`)
    if (!Number.isInteger(burst) || burst < 1)
      throw invalidArgument(`Invalid burstFrames ${burst}: a whole number from 1 expected`)
    this.name = options.name ?? name
    this.mtu = mtu
    this.burst = burst
    this.left = burst
    this.queue = new FrameQueue(options.queueFrames, options.queueBytes)
  }

  attach(sink: NetIfSink): void {
    if (this.isClosed) return
    this.sink = sink
    this.carrier.start(this)
  }

  receive(budget: number): boolean {
    const sink = this.sink
    if (sink === null || this.isClosed) return false
    this.told = this.queue.drain(sink, budget, this.stats.values, C.inFrames, C.inOctets)
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.stats.values
    const length = end - start
    if (this.isClosed || this.sink === null) n[C.dropClosed]++
    else if (length < leastFrame('ethernet')) n[C.dropTooShort]++
    else if ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL) n[C.dropNotOffloaded]++
    else if (isTooLong(this, buf, start, end, meta)) n[C.dropTooLong]++
    else if (this.left === 0) {
      n[C.outBlocked]++
      this.blocked = true
      return false
    } else {
      this.left--
      if (!this.ticking) {
        this.ticking = true
        this.sink.host.after(LINK_DEFAULTS.messageTickMs, this.tick)
      }
      // Not by `slice`, which of a Buffer is the same memory.
      const frame = new Uint8Array(length)
      frame.set(buf.subarray(start, end))
      const error = this.carrier.post(frame)
      if (error === null) {
        n[C.outFrames]++
        n[C.outOctets] += length
      } else {
        n[C.outErrors]++
        // Not from within the call: who sends does not expect its link to end meanwhile.
        if (this.carrier.isOver) this.sink.host.soon({ run: () => this.ended(error) })
      }
    }
    return true
  }

  flush(): void {
    // Messages have left already.
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.blocked = false
    this.stats.values[C.dropClosed] += this.queue.count
    this.queue.clear()
    this.carrier.close()
  }

  counters(): Record<string, number> {
    return this.stats.snapshot() as Record<string, number>
  }

  describe(): string {
    return `${this.name}: ${this.carrier.text}, mtu ${this.mtu}`
  }

  ref(on: boolean): void {
    if (!this.isClosed) this.carrier.ref?.(on)
  }

  // From the carrier.

  message(data: unknown): void {
    if (this.isClosed) return
    const n = this.stats.values
    const bytes = bytesOf(data)
    if (bytes === null) n[C.dropInNoFrame]++
    else if (bytes.length < leastFrame('ethernet')) n[C.dropInTooShort]++
    else if (bytes.length > MAX_FRAME || isTooLong(this, bytes, 0, bytes.length, 0)) n[C.dropInTooLong]++
    else if (!this.queue.push(bytes, 0, bytes.length, 0)) n[C.dropInNoRoom]++
    else if (!this.told) {
      this.told = true
      this.sink?.readable()
    }
  }

  unreadable(): void {
    this.stats.values[C.inErrors]++
  }

  ended(error?: Error): void {
    if (this.isClosed) return
    this.close()
    this.sink?.closed(error)
  }

  private refill(): void {
    this.ticking = false
    this.left = this.burst
    if (!this.blocked || this.isClosed) return
    this.blocked = false
    this.sink?.writable()
  }
}

/** Bytes in any of the shapes that senders choose, and of other realms too (a frame of the page has a `Uint8Array` of its own). */
function bytesOf(data: unknown): Uint8Array | null {
  if (data instanceof Uint8Array) return data
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : null
}
