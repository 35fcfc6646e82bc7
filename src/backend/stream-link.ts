/**
 * A link whose frames travel in a stream of bytes: a socket (Node's or one of a stack's own), TLS, a child's pipes, stdin and stdout.
 *
 * Theory of operation. Out: frames of a turn are gathered in one buffer (link/framing.ts), which `flush`, or being full, hands to the stream in one
 * write. What the system has not taken yet is counted; above `pendingBytes` `send` refuses, and the sender hears `writable()` at half of that. In: each
 * chunk is cut into frames, which wait in a queue until the stack pulls them; when the queue is full the rest of the chunk is kept and the
 * stream paused, so that the peer is slowed by the stream itself.
 *
 * A link outlives its streams if it has a `Carrier`: who connects again, or listens. Without a stream it is a cable with one plug: frames sent are lost
 * and counted (`dropNoPeer`), as TCP inside expects of a network, and nothing old is sent when the stream is back. Without a carrier the link ends
 * with its stream, after everything that had arrived was pulled.
 *
 * Empty frames are keep-alives (keep-alive.ts).
 */
import type { Duplex } from 'node:stream'
import { arena } from '../base/arena.ts'
import type { Host } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { ETH_MIN_FRAME } from '../ethernet/wire.ts'
import { leastFrame, linkHeader } from '../link/carry.ts'
import { FrameQueue } from '../link/frame-queue.ts'
import { FrameDecoder, FrameEncoder, type Framing, largestFrame, U16BE } from '../link/framing.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, type Medium, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { frameEnd } from '../offload/frame-end.ts'
import type { FrameTaker } from '../offload/segment.ts'
import { KeepAlive, type KeepAliveOwner } from './keep-alive.ts'
import { destroy, OpenStream, refStream, type StreamHalves, type StreamOwner } from './open-stream.ts'
import { wholeNumber } from './whole-number.ts'

/** Where a link gets its streams from. */
export interface Carrier {
  /** The link was attached: time is there. A stream may be in use already. */
  start(link: StreamLink, host: Host): void
  /** The stream in use has ended. True: the link waits for another; false: it ends. */
  ended(error?: Error): boolean
  close(): Promise<void> | void
  /** For `describe`: `to 10.0.0.1:5000`. */
  readonly text: string
  ref?(on: boolean): void
}

/** The stream, the framing of it, and what becomes of it when it is cut. */
export interface StreamLinkOptions {
  name: string
  /** Two bytes, big-endian, no pad when left out. */
  framing?: Framing
  medium?: Medium
  /** Largest IP packet of a frame in bytes, from 68 to what the framing can say. 1500 when left out. */
  mtu?: number
  /** A MAC address that the link insists on. */
  mac?: Uint8Array | null
  /** What may wait to be pulled. 256 frames and 512 KiB when left out. */
  queueFrames?: number
  queueBytes?: number
  /** Bytes that the stream may owe the system. 256 KiB when left out. */
  pendingBytes?: number
  /** Interval of keep-alives; 0, or left out: none. */
  keepAliveMs?: number
  /** Sends short Ethernet frames without their padding. False when left out. */
  unpadded?: boolean
  carrier?: Carrier | null
}

const NAMES = [
  'inFrames',
  'inOctets',
  'inKeepAlives',
  'inPaused',
  'outFrames',
  'outOctets',
  'outBatches',
  'outBlocked',
  'outKeepAlives',
  'streams',
  'streamErrors',
  'silences',
  'dropInTooShort',
  'dropInBadLength',
  'dropInCutOff',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropNoPeer',
  'dropClosed',
] as const
const C = indexOf(NAMES)

/** Two tags besides the Ethernet header. */
const MOST_LINK_HEADER = 22
const NONE = new Uint8Array(0)

/** A link over a byte stream that keeps frames apart by their length. Connects again where it was told to. */
export class StreamLink implements NetIf, FrameTaker, StreamOwner, KeepAliveOwner {
  readonly name: string
  readonly medium: Medium
  readonly mtu: number
  readonly mac: Uint8Array | null
  readonly offload = 0
  readonly gsoMax = 0
  readonly stats = new Counters(NAMES)
  private readonly decoder: FrameDecoder
  private readonly encoder: FrameEncoder
  private readonly queue: FrameQueue
  private readonly batchBytes: number
  private readonly pendingLimit: number
  private readonly alive: KeepAlive
  private readonly unpadded: boolean
  private readonly carrier: Carrier | null
  /** Buffers of batches that nobody reads any more. */
  private readonly spare: Uint8Array[] = []
  private sink: NetIfSink | null = null
  private stream: OpenStream | null = null
  /** Bytes given to the stream and not yet taken by the system. */
  private pending = 0
  private blocked = false
  private told = false
  /** What is left of the chunk whose frames no longer fitted the queue. */
  private rest: Uint8Array = NONE
  private restAt = 0
  /** The link ends when everything that arrived was pulled. */
  private ending = false
  private endError: Error | undefined
  private isClosed = false
  private closing: Promise<void> | null = null
  private wantsRef = false

  /** @throws NetError ERR_INVALID_ARG_VALUE for an MTU that does not fit, and limits that are no numbers. */
  constructor(options: StreamLinkOptions) {
    const { framing = U16BE, medium = 'ethernet', mtu = LINK_DEFAULTS.mtuBytes } = options
    const most = Math.min(65535, largestFrame(framing) - (medium === 'ethernet' ? MOST_LINK_HEADER : 0))
    if (!Number.isInteger(mtu) || mtu < 68 || mtu > most) {
      throw invalidArgument(`Invalid MTU ${mtu} for ${options.name}: 68 to ${most} expected`)
    }
    this.name = options.name
    this.medium = medium
    this.mtu = mtu
    this.mac = options.mac ?? null
    this.unpadded = options.unpadded === true && medium === 'ethernet'
    this.carrier = options.carrier ?? null
    this.pendingLimit = wholeNumber('pendingBytes', options.pendingBytes ?? LINK_DEFAULTS.streamPendingBytes, 1)
    this.alive = new KeepAlive(wholeNumber('keepAliveMs', options.keepAliveMs ?? 0, 0), this)
    this.queue = new FrameQueue(options.queueFrames, options.queueBytes)
    this.decoder = new FrameDecoder(framing)
    this.batchBytes = Math.max(LINK_DEFAULTS.streamBatchBytes, mtu + MOST_LINK_HEADER + framing.lengthBytes + framing.pad)
    this.encoder = new FrameEncoder(framing, NONE)
  }

  /** A stream is in use. */
  get isUp(): boolean {
    return this.stream !== null
  }

  /** Takes a stream that is open; the one in use is ended. */
  use(stream: Duplex | StreamHalves): void {
    const halves = 'pipe' in stream ? { readable: stream, writable: stream } : stream
    if (this.isClosed || this.ending) {
      destroy(halves)
      return
    }
    const former = this.stream
    if (former !== null) {
      this.forget()
      former.drop()
    }
    this.cutOff()
    this.stats.values[C.streams]++
    this.alive.begin()
    this.stream = new OpenStream(this, halves)
    if (!this.wantsRef) refStream(halves, false)
    this.armKeepAlive()
    this.unblock()
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.carrier?.start(this, sink.host)
    this.armKeepAlive()
    if (this.queue.count > 0 || this.ending) this.tell()
  }

  receive(budget: number): boolean {
    const sink = this.sink
    if (sink === null || this.isClosed) return false
    const { queue } = this
    queue.drain(sink, budget, this.stats.values, C.inFrames, C.inOctets)
    if (this.isClosed) return false
    if (this.rest !== NONE && queue.low) this.decodeRest()
    this.told = queue.count > 0
    if (!this.told && this.ending) this.end()
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.stats.values
    const length = end - start
    if (this.isClosed || this.ending || this.sink === null) n[C.dropClosed]++
    else if (this.stream === null) n[C.dropNoPeer]++
    else if (length < leastFrame(this.medium)) n[C.dropTooShort]++
    else if ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL) n[C.dropNotOffloaded]++
    else if (length > this.mtu && length > this.mtu + linkHeader(buf, start, end, this.medium)) n[C.dropTooLong]++
    else {
      if (this.unpadded && length <= ETH_MIN_FRAME) end = frameEnd(buf, start + linkHeader(buf, start, end, 'ethernet'), end)
      if (this.pending >= this.pendingLimit || !this.gather(buf, start, end)) {
        n[C.outBlocked]++
        this.blocked = true
        return false
      }
      n[C.outFrames]++
      n[C.outOctets] += length
    }
    return true
  }

  flush(): void {
    const { encoder, stream } = this
    if (encoder.used === 0 || stream === null) return
    const { bytes, used } = encoder
    this.stats.values[C.outBatches]++
    this.alive.spoke = true
    this.pending += used
    // A socket has given the bytes to the system when it says so; any other stream may keep what it was given for as long as it likes.
    if (stream.copies) {
      stream.write(bytes.subarray(0, used), bytes)
      encoder.renew(NONE)
    } else {
      stream.write(bytes.slice(0, used), null)
      encoder.renew(bytes)
    }
  }

  close(): Promise<void> | void {
    if (this.isClosed) return this.closing ?? undefined
    this.flush()
    const stream = this.stream
    this.release()
    const ends = [stream?.end(), this.carrier?.close()].filter((p) => p !== undefined)
    if (ends.length > 0) this.closing = Promise.all(ends).then(() => undefined)
    return this.closing ?? undefined
  }

  counters(): Record<string, number> {
    return this.stats.snapshot() as Record<string, number>
  }

  describe(): string {
    const where = this.carrier === null ? '' : ` ${this.carrier.text},`
    return `${this.name}:${where} ${this.medium} in a stream, mtu ${this.mtu}, ${this.stream === null ? 'not connected' : 'connected'}`
  }

  ref(on: boolean): void {
    this.wantsRef = on
    this.carrier?.ref?.(on)
    if (this.stream !== null) refStream(this.stream.halves, on)
  }

  // From the stream in use.

  /** A chunk came. */
  chunk(bytes: Uint8Array): void {
    this.alive.heard = true
    if (this.rest !== NONE) {
      // It was under way when the stream was paused.
      const both = new Uint8Array(this.rest.length - this.restAt + bytes.length)
      both.set(this.rest.subarray(this.restAt))
      both.set(bytes, this.rest.length - this.restAt)
      this.rest = both
      this.restAt = 0
      return
    }
    this.decode(bytes, 0)
  }

  /** One decoded frame. */
  frame(buf: Uint8Array, start: number, end: number): boolean {
    const n = this.stats.values
    if (start === end) {
      n[C.inKeepAlives]++
      this.alive.peerTakesPart = true
    } else if (end - start < leastFrame(this.medium)) n[C.dropInTooShort]++
    else return this.queue.push(buf, start, end, 0)
    return true
  }

  /** The system took a batch. */
  taken(length: number): void {
    this.pending -= length
    if (this.pending * 2 <= this.pendingLimit) this.unblock()
  }

  /** The stream has ended. */
  down(error?: Error): void {
    this.forget()
    if (error !== undefined) this.stats.values[C.streamErrors]++
    if (this.isClosed) return
    if (this.carrier?.ended(error) === true) {
      this.unblock()
      return
    }
    this.ending = true
    this.endError = error
    this.unblock()
    if (this.queue.count === 0 && this.rest === NONE) this.end()
  }

  // From the keep-alives.

  get isHolding(): boolean {
    return this.rest !== NONE
  }

  keepAlive(): void {
    if (this.pending > 0 || this.encoder.used > 0 || !this.gather(NONE, 0, 0)) return
    this.stats.values[C.outKeepAlives]++
    this.flush()
  }

  silence(ms: number): void {
    this.stats.values[C.silences]++
    this.stream?.drop()
    this.down(new NetError('ETIMEDOUT', { message: `${this.name}: the other end has been silent for ${ms / 1000} s` }))
  }

  private gather(buf: Uint8Array, start: number, end: number): boolean {
    const { encoder } = this
    if (encoder.bytes === NONE) encoder.renew(this.spare.pop() ?? arena.take(this.batchBytes))
    if (encoder.add(buf, start, end)) return true
    this.flush()
    if (this.pending >= this.pendingLimit) return false
    if (encoder.bytes === NONE) encoder.renew(this.spare.pop() ?? arena.take(this.batchBytes))
    return encoder.add(buf, start, end)
  }

  private decode(bytes: Uint8Array, at: number): void {
    const { decoder } = this
    const end = decoder.decode(bytes, at, bytes.length, this)
    if (decoder.badLength >= 0) {
      this.stats.values[C.dropInBadLength]++
      this.rest = NONE
      this.stream?.drop()
      if (this.stream !== null) {
        const message = `${this.name}: a frame of ${decoder.badLength} bytes was announced: the other end speaks another format`
        this.down(new NetError('EPROTO', { message }))
      }
      return
    }
    if (decoder.refused) {
      if (this.rest === NONE) this.stats.values[C.inPaused]++
      this.rest = bytes
      this.restAt = end
      this.stream?.halves.readable.pause()
    } else this.rest = NONE
    if (this.queue.count > 0) this.tell()
  }

  private decodeRest(): void {
    this.decode(this.rest, this.restAt)
    if (this.rest === NONE) this.stream?.halves.readable.resume()
  }

  private tell(): void {
    if (this.told || this.sink === null) return
    this.told = true
    this.sink.readable()
  }

  private unblock(): void {
    if (!this.blocked || this.isClosed) return
    this.blocked = false
    this.sink?.writable()
  }

  /** The stream is no longer in use; what was under way to it is lost. */
  private forget(): void {
    this.stream = null
    this.pending = 0
    this.encoder.used = 0
    this.alive.stop()
  }

  /** What arrived of a frame whose end will not come. */
  private cutOff(): void {
    if (this.rest !== NONE || this.decoder.isPartial) this.stats.values[C.dropInCutOff]++
    this.rest = NONE
    this.decoder.reset()
  }

  /** The link ends by itself. */
  private end(): void {
    const { sink, endError } = this
    if (sink === null) return // told when it is attached
    this.cutOff()
    this.release()
    void this.carrier?.close()
    sink.closed(endError)
  }

  private release(): void {
    this.isClosed = true
    this.forget()
    this.stats.values[C.dropClosed] += this.queue.count
    this.queue.clear()
    this.rest = NONE
    if (this.encoder.bytes !== NONE) this.giveBack(this.encoder.bytes)
    this.encoder.renew(NONE)
    for (const batch of this.spare) arena.give(batch)
    this.spare.length = 0
  }

  /** A batch that nobody reads any more. */
  giveBack(batch: Uint8Array): void {
    if (this.isClosed || this.spare.length > 4) arena.give(batch)
    else this.spare.push(batch)
  }

  private armKeepAlive(): void {
    if (this.sink !== null && this.stream !== null) this.alive.start(this.sink)
  }
}

/** A link over one open stream; it ends when the stream does. */
export function openStreamLink(stream: Duplex | StreamHalves, options: StreamLinkOptions): StreamLink {
  const link = new StreamLink(options)
  link.use(stream)
  return link
}
