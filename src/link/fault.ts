/**
 * `fault(link, { loss: 0.05, delay: 20 })`: a link with bad manners, the same ones for the same seed.
 *
 * Theory of operation. Two lanes (lane.ts), one for each direction, stand between the stack and the link. What the stack sends goes
 * into a lane and from there to the link when its time comes; what the link delivers is taken from it in the stack's own turn, goes
 * into the other lane, and is handed over in the turn in which its time has come. Time and timers are those of the stack's host,
 * so a simulation sees simulated delays.
 *
 * Impairments hit frames as a wire has them. If frames may be lost, doubled, reordered, corrupted or queued for a rate, the link
 * offers no offload (`offload` 0, `gsoMax` 0): every frame is at most the MTU and has a whole checksum, so that one flipped bit is
 * one that the receiver can notice. Super-segments and partial checksums that the link below delivers are made wire frames here.
 * With delay and jitter only, the offload of the link below stays.
 */
import type { Host } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import { SeededRandom } from '../base/random.ts'
import { CSUM_MASK, CSUM_PARTIAL, GSO_MASK, type Medium, type NetIf, type NetIfSink } from '../netif/netif.ts'
import { completeChecksum, type FrameTaker, segment } from '../offload/segment.ts'
import {
  type Direction,
  type FaultOptions,
  type Impairments,
  impairmentsOf,
  needsWireFrames,
  type ResolvedImpairments,
  resolveImpairments,
} from './impairments.ts'
import { Lane, type LaneOwner } from './lane.ts'

/** A link whose impairments may be changed while it runs. */
export interface FaultLink extends NetIf {
  /**
   * Changes the given impairments in one direction or both; the others stay. Frames under way keep their times. Throws
   * ERR_INVALID_ARG_VALUE for what needs wire frames when the link was made with offload (see `FaultOptions.wire`).
   */
  set(changes: Impairments, direction?: Direction | 'both'): void
  /** Frames under way, in both directions. */
  readonly underWay: number
}

const NAMES = ['dropUnsplittable', 'dropClosed'] as const
const C = indexOf(NAMES)
/** Frames of a turn that may have come in while as many others wait to be handed over. */
const AHEAD = 4

class Fault implements FaultLink, NetIfSink, LaneOwner {
  readonly name: string
  readonly medium: Medium
  private sink: NetIfSink | null = null
  private isClosed = false
  private readonly wire: boolean
  private readonly sending: Lane
  private readonly receiving: Lane
  /** The link below refused a frame of ours and will say `writable()`. */
  private innerFull = false
  /** We refused one and owe a `writable()`. */
  private blocked = false
  private readonly toSending: FrameTaker
  private readonly toReceiving: FrameTaker
  private readonly count = new Counters(NAMES)

  constructor(
    private readonly inner: NetIf,
    options: FaultOptions,
  ) {
    const send = impairmentsOf(options, 'send')
    const receive = impairmentsOf(options, 'receive')
    const filter = options.filter ?? null
    this.name = inner.name
    this.medium = inner.medium
    this.wire = options.wire === true || filter !== null || needsWireFrames(send) || needsWireFrames(receive)
    // A generator for each direction: what one does must not change what the other will do.
    const seed = options.seed ?? 1
    this.sending = new Lane('send', inner.medium, send, filter, new SeededRandom(seed), this)
    this.receiving = new Lane('receive', inner.medium, receive, filter, new SeededRandom(seed ^ 0x5bd1e995), this)
    this.toSending = new IntoLane(this.sending)
    this.toReceiving = new IntoLane(this.receiving)
  }

  get mac(): Uint8Array | null {
    return this.inner.mac
  }

  get mtu(): number {
    return this.inner.mtu
  }

  get offload(): number {
    return this.wire ? 0 : this.inner.offload
  }

  get gsoMax(): number {
    return this.wire ? 0 : this.inner.gsoMax
  }

  get underWay(): number {
    return this.sending.size + this.receiving.size
  }

  attach(sink: NetIfSink): void {
    this.sink = sink
    this.sending.open(sink.host)
    this.receiving.open(sink.host)
    this.inner.attach(this)
  }

  set(changes: Impairments, direction: Direction | 'both' = 'both'): void {
    for (const lane of [this.sending, this.receiving]) {
      if (direction !== 'both' && direction !== lane.direction) continue
      const next: ResolvedImpairments = resolveImpairments({ ...lane.impairments, ...changes })
      if (!this.wire && needsWireFrames(next)) {
        throw invalidArgument(
          `${this.name}: made with offload; give fault() the option wire: true to switch such faults on later`,
        )
      }
      lane.impairments = next
    }
  }

  receive(budget: number): boolean {
    if (this.isClosed) return false
    const lane = this.receiving
    if (!this.wire && !lane.waits) return this.inner.receive(budget)
    // Frames that are due already come first; only then is more taken in.
    const more = lane.size >= AHEAD * budget && lane.due() !== null ? true : this.inner.receive(budget)
    for (let i = 0; i < budget && !this.isClosed; i++) {
      const queue = lane.due()
      if (queue === null) break
      queue.deliver(this.sink!)
    }
    if (this.isClosed) return false
    if (more || lane.due() !== null) return true
    lane.arm()
    return false
  }

  send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (this.isClosed) {
      this.count.values[C.dropClosed]++
      return true
    }
    const lane = this.sending
    if (!this.wire && !lane.waits) {
      this.blocked = !this.inner.send(buf, start, end, meta)
      return !this.blocked
    }
    // A full link below fills the lane; it is passed on as back-pressure long before the lane has to lose anything.
    if (this.innerFull && lane.size >= 64) {
      this.blocked = true
      return false
    }
    this.take(lane, this.toSending, buf, start, end, meta)
    this.pump()
    return true
  }

  flush(): void {
    this.inner.flush()
  }

  close(): Promise<void> | void {
    this.isClosed = true
    this.blocked = false
    this.sending.close()
    this.receiving.close()
    return this.inner.close()
  }

  counters(): Record<string, number> {
    const out = { ...this.inner.counters?.(), ...(this.count.snapshot() as Record<string, number>) }
    this.sending.addTo(out)
    this.receiving.addTo(out)
    return out
  }

  describe(): string {
    return `${this.inner.describe?.() ?? this.name}, impaired${this.wire ? ', offload off' : ''}`
  }

  ref(on: boolean): void {
    this.inner.ref?.(on)
  }

  // The sink of the link below.

  get host(): Host {
    return this.sink!.host
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    if (!this.wire && !this.receiving.waits) this.sink!.input(buf, start, end, meta)
    else this.take(this.receiving, this.toReceiving, buf, start, end, meta)
  }

  readable(): void {
    this.sink!.readable()
  }

  writable(): void {
    this.innerFull = false
    this.pump()
    if (!this.innerFull && this.blocked && !this.isClosed) {
      this.blocked = false
      this.sink!.writable()
    }
  }

  closed(error?: Error): void {
    this.sending.close()
    this.receiving.close()
    this.sink!.closed(error)
  }

  laneDue(lane: Lane): void {
    if (lane === this.receiving) {
      this.sink!.readable()
      return
    }
    this.pump()
    this.inner.flush()
  }

  /** Puts a lent frame into a lane; in the form that a wire has, if it must. */
  private take(lane: Lane, taker: FrameTaker, buf: Uint8Array, start: number, end: number, meta: number): void {
    if (!this.wire || meta === 0) {
      lane.accept(buf, start, end, meta)
    } else if ((meta & GSO_MASK) !== 0) {
      if (segment(buf, start, end, meta, this.medium, taker) < 0) this.count.values[C.dropUnsplittable]++
    } else if ((meta & CSUM_MASK) === CSUM_PARTIAL && completeChecksum(buf, start, end, this.medium) < 0) {
      this.count.values[C.dropUnsplittable]++
    } else {
      lane.accept(buf, start, end, 0) // nobody vouches for a frame that may be corrupted
    }
  }

  /** Sends what is due until the link below refuses. */
  private pump(): void {
    const lane = this.sending
    while (!this.innerFull && !this.isClosed) {
      const queue = lane.due()
      if (queue === null) {
        lane.arm()
        return
      }
      if (!queue.offer(this.inner)) this.innerFull = true
    }
  }
}

class IntoLane implements FrameTaker {
  constructor(private readonly lane: Lane) {}

  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    this.lane.accept(buf, start, end, meta)
    return true
  }
}

/**
 * Impairs a link. Probabilities are 0..1, times ms, rates bit/s; see `FaultOptions`. Throws ERR_INVALID_ARG_VALUE for values that
 * cannot be.
 */
export function fault(link: NetIf, options: FaultOptions = {}): FaultLink {
  return new Fault(link, options)
}
