/** One client of the multiplexer, in this thread: a network card of its own, as far as whoever attaches to it can tell. */
import { type AbortLike, onAbort } from '../base/abort.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { formatMac } from '../ethernet/mac.ts'
import { isTooLong, leastFrame } from '../link/carry.ts'
import { FrameQueue } from '../link/frame-queue.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, type NetIf, type NetIfSink, Offload } from '../netif/netif.ts'
import { completeChecksum, type FrameTaker, segment } from '../offload/segment.ts'
import { Heard, type MuxFilter, ReceiveFilter } from './filter.ts'
import { type MacRule, macRuleText } from './mac-policy.ts'

const NAMES = [
  'inFrames',
  'inOctets',
  'outFrames',
  'outOctets',
  'outBlocked',
  'inDropFiltered',
  'inDropInactive',
  'inDropQueueFull',
  'inDropUnsplittable',
  'dropTooLong',
  'dropTooShort',
  'dropNotOffloaded',
  'dropClosed',
] as const
const C = indexOf(NAMES)

/** What a client with offload takes over. What the device's link lacks of it is done in software (device.ts). */
const CLIENT_OFFLOAD = Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6 | Offload.USO
const GSO_MAX = 65535

/** What a client needs of its device. */
export interface ClientDevice {
  readonly name: string
  readonly mtu: number
  /** A frame of the client's. False: the link is full. */
  forward(from: MuxClient, buf: Uint8Array, start: number, end: number, meta: number): boolean
  flush(): void
  /** The client's filter has changed. */
  filtered(client: MuxClient): void
  leave(client: MuxClient, error: Error | null): void
  ref(): void
  uncaught(error: unknown): void
}

export interface ClientOptions {
  /** Its number in the multiplexer: the smallest that was free. */
  readonly channel: number
  readonly mac: Uint8Array
  /** The rule by which it got the address: `ore` for who asked for `device` and came too late. */
  readonly rule: MacRule
  readonly offload: boolean
  readonly queueFrames: number | undefined
  readonly queueBytes: number | undefined
}

/** A client of a multiplexer in the same process: a NetIf with a MAC address and a filter of its own. Made by `mux.open`. */
export class MuxClient implements NetIf, FrameTaker {
  readonly name: string
  readonly medium = 'ethernet'
  readonly mac: Uint8Array
  readonly channel: number
  readonly mtu: number
  readonly offload: number
  readonly gsoMax: number
  /** The rule by which it got its address. */
  readonly macRule: string
  /** We refused a frame and owe our sink a `writable()`. */
  blocked = false
  /** Keeps the process alive. */
  isRef = false
  isClosed = false
  /** What its filter is, for the device. */
  readonly receiveFilter = new ReceiveFilter()
  private sink: NetIfSink | null = null
  /** Our sink was told `readable()` and has not emptied the queue since. */
  private told = false
  /** Takes back what a signal was asked for. */
  private forgetSignal: (() => void) | null = null
  private readonly queue: FrameQueue
  private readonly count = new Counters(NAMES)

  constructor(
    private readonly owner: ClientDevice,
    options: ClientOptions,
  ) {
    const { channel, mac, rule, offload } = options
    this.name = `${owner.name}#${channel}`
    this.channel = channel
    this.mac = mac
    this.mtu = owner.mtu
    this.macRule = macRuleText(rule)
    this.offload = offload ? CLIENT_OFFLOAD : 0
    this.gsoMax = offload ? GSO_MAX : 0
    this.queue = new FrameQueue(options.queueFrames, options.queueBytes)
  }

  /** The device it is a client of. */
  get device(): string {
    return this.owner.name
  }

  /** What it hears. A copy; `setFilter` changes it. */
  get filter(): Required<MuxFilter> {
    return this.receiveFilter.settings
  }

  /** Changes the given parts of the filter, for the frames that come from now on. Throws ERR_INVALID_ARG_VALUE. */
  setFilter(changes: MuxFilter): void {
    this.receiveFilter.set(changes)
    this.owner.filtered(this)
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
  }

  receive(budget: number): boolean {
    const { sink, queue } = this
    if (sink === null || this.isClosed) return false
    for (let i = Math.min(budget, queue.count); i > 0 && queue.count > 0; i--) queue.deliver(sink)
    this.told = queue.count > 0
    return this.told
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    if (this.isClosed || this.sink === null) {
      n[C.dropClosed]++
    } else if (end - start < leastFrame('ethernet')) {
      n[C.dropTooShort]++
    } else if (this.offload === 0 && ((meta & GSO_MASK) !== 0 || (meta & CSUM_MASK) === CSUM_PARTIAL)) {
      n[C.dropNotOffloaded]++
    } else if (isTooLong(this, buf, start, end, meta)) {
      n[C.dropTooLong]++
    } else {
      // Who has no offload vouches for nothing.
      if (!this.owner.forward(this, buf, start, end, this.offload === 0 ? 0 : meta)) {
        n[C.outBlocked]++
        this.blocked = true
        return false
      }
      n[C.outFrames]++
      n[C.outOctets] += end - start
    }
    return true
  }

  flush(): void {
    this.owner.flush()
  }

  close(): void {
    this.end(null)
  }

  /** The client ends when the signal is aborted. */
  endBy(signal: AbortLike): void {
    this.forgetSignal = onAbort(signal, (error) => this.end(error))
  }

  /** The client ends: closed by its owner (null), or because its device or its peer is gone (told to the sink). */
  end(error: Error | null): void {
    if (this.isClosed) return
    this.isClosed = true
    this.blocked = false
    this.isRef = false
    this.forgetSignal?.()
    this.forgetSignal = null
    this.count.values[C.dropClosed] += this.queue.count
    this.queue.clear()
    this.owner.leave(this, error)
    if (error !== null) this.sink?.closed(error)
  }

  /** `inFrames` is what ORe called packets received (meant for this client and queued), `inQueued` those that wait at the moment. */
  counters(): Record<string, number> {
    return { ...(this.count.snapshot() as Record<string, number>), inQueued: this.queue.count }
  }

  describe(): string {
    return (
      `${this.name}: multiplexed, ${formatMac(this.mac)} (${this.macRule}), mtu ${this.mtu}, ` +
      (this.offload === 0 ? 'no offload' : 'offload csum,tso4,tso6,uso')
    )
  }

  ref(on: boolean): void {
    this.isRef = on
    this.owner.ref()
  }

  /** The device's link has room again. */
  unblock(): void {
    if (!this.blocked) return
    this.blocked = false
    this.sink?.writable()
  }

  /** Takes a lent frame of the device if it is wanted. Returns the meta of the frame for whoever is next: its checksum may be whole now. */
  hear(buf: Uint8Array, start: number, end: number, meta: number, high: number, low: number, isOwn: boolean): number {
    if (this.isClosed) return meta
    const heard = this.judge(buf, start, end, high, low, isOwn)
    if (heard !== Heard.YES) this.count.values[heard === Heard.INACTIVE ? C.inDropInactive : C.inDropFiltered]++
    else if (this.sink === null) this.count.values[C.inDropInactive]++
    else if (this.offload !== 0 || meta === 0) this.frame(buf, start, end, meta)
    else return this.hearPlain(buf, start, end, meta)
    return meta
  }

  /** One frame into the queue. A full queue loses it: one slow client must not stop the others. */
  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const n = this.count.values
    if (!this.queue.push(buf, start, end, meta)) {
      n[C.inDropQueueFull]++
      return true
    }
    n[C.inFrames]++
    n[C.inOctets] += end - start
    if (!this.told) {
      this.told = true
      this.sink!.readable()
    }
    return true
  }

  /** For a client without offload: super-frames split, checksums whole, nobody's word for them. */
  private hearPlain(buf: Uint8Array, start: number, end: number, meta: number): number {
    if ((meta & GSO_MASK) !== 0) {
      if (segment(buf, start, end, meta, 'ethernet', this) < 0) this.count.values[C.inDropUnsplittable]++
      return meta
    }
    if ((meta & CSUM_MASK) === CSUM_PARTIAL && completeChecksum(buf, start, end, 'ethernet') < 0) {
      this.count.values[C.inDropUnsplittable]++
      return meta
    }
    this.frame(buf, start, end, 0)
    return 0
  }

  private judge(buf: Uint8Array, start: number, end: number, high: number, low: number, isOwn: boolean): number {
    try {
      return this.receiveFilter.hears(buf, start, end, high, low, isOwn)
    } catch (error) {
      this.owner.uncaught(error) // an application's function: its fault is not the device's
      return Heard.FILTERED
    }
  }
}
