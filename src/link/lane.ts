/**
 * One direction of a `fault` link: frames go in, some of them come out, later.
 *
 * Theory of operation. The order of harm is that of a real path: a frame is lost or doubled, a bit is flipped, then it waits for
 * the line (`rate`, with a tail-drop queue that may mark), then it travels (`delay`, `jitter`). Frames keep their order, so those under way are
 * a FIFO with times; a reordered frame goes to a second FIFO of the same kind with a later time, and the others pass it by. One
 * timer of the host stands at the earlier of the two heads. Memory is bounded; what would go beyond is lost and counted.
 */
import { get16 } from '../base/bytes.ts'
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { type Random, randomBelow, randomFraction } from '../base/random.ts'
import { ETH, ETH_HEADER, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../ethernet/wire.ts'
import type { Medium } from '../netif/netif.ts'
import { linkHeader } from './carry.ts'
import { DueQueue } from './due-queue.ts'
import { CE, canBeMarked, setEcn } from './ecn-mark.ts'
import type { Direction, FrameFilter, ResolvedImpairments } from './impairments.ts'

const NAMES = [
  'Frames',
  'Filtered',
  'Lost',
  'Duplicated',
  'Corrupted',
  'CorruptedLost',
  'Reordered',
  'QueueDropped',
  'MemoryDropped',
  'Marked',
] as const
const C = indexOf(NAMES)

/** Frames and bytes under way at most. */
const MAX_FRAMES = 1 << 16
const MAX_BYTES = 32 << 20
/** Bytes of a destination address: flipping a bit there only makes the frame somebody else's. */
const DESTINATION = ETH.source

/** Told when a frame's time has come. */
export interface LaneOwner {
  laneDue(lane: Lane): void
}

export class Lane implements Task {
  readonly count = new Counters(NAMES)
  private readonly inOrder = new DueQueue(MAX_FRAMES, MAX_BYTES)
  private readonly held = new DueQueue(MAX_FRAMES, MAX_BYTES)
  private host: Host | null = null
  private timer: TimerHandle = null
  private timerSet = false
  private timerDue = 0
  /** Microseconds of work that wait for the line, as of `lineAt`. */
  private backlog = 0
  private lineAt = 0

  constructor(
    readonly direction: Direction,
    private readonly medium: Medium,
    /** What is done to frames; may be replaced at any time. */
    public impairments: ResolvedImpairments,
    private readonly filter: FrameFilter | null,
    private readonly random: Random,
    private readonly owner: LaneOwner,
  ) {}

  /** Frames under way. */
  get size(): number {
    return this.inOrder.count + this.held.count
  }

  /** Delays frames, so that they cannot pass straight through. */
  get waits(): boolean {
    const { delay, jitter } = this.impairments
    return delay > 0 || jitter > 0 || this.size > 0
  }

  open(host: Host): void {
    this.host = host
    this.lineAt = host.us()
  }

  /** One lent frame begins its way. */
  accept(buf: Uint8Array, start: number, end: number, meta: number): void {
    const { loss, duplicate, corrupt } = this.impairments
    const n = this.count.values
    n[C.Frames]++
    if (this.filter !== null && !this.filter(buf, start, end, this.direction)) {
      n[C.Filtered]++
      return
    }
    if (this.happens(loss)) {
      n[C.Lost]++
      return
    }
    const twice = this.happens(duplicate)
    if (twice) n[C.Duplicated]++
    for (let copies = twice ? 2 : 1; copies > 0; copies--) {
      if (this.happens(corrupt)) this.enterCorrupted(buf, start, end, meta)
      else this.enter(buf, start, end, meta)
    }
  }

  /** The queue whose oldest frame is due, the earlier first; null when none is. */
  due(): DueQueue | null {
    const now = this.host!.us()
    const first = this.earlier()
    return first !== null && ((first.nextDue - now) | 0) <= 0 ? first : null
  }

  /** Sets the timer to the next frame's time. */
  arm(): void {
    const first = this.earlier()
    if (first === null) return
    const host = this.host!
    const due = first.nextDue
    if (this.timerSet) {
      if (((due - this.timerDue) | 0) >= 0) return
      host.cancel(this.timer)
    }
    this.timerSet = true
    this.timerDue = due
    this.timer = host.after(Math.max(0, (due - host.us()) | 0) / 1000, this)
  }

  /** The host's timer. */
  run(): void {
    this.timerSet = false
    this.timer = null
    if (this.due() === null) this.arm()
    else this.owner.laneDue(this)
  }

  close(): void {
    if (this.timerSet) this.host!.cancel(this.timer)
    this.timerSet = false
    this.inOrder.clear()
    this.held.clear()
  }

  /** The counters under their direction's name: `sendLost`, `receiveCorrupted`. */
  addTo(out: Record<string, number>): void {
    const values = this.count.values
    for (let i = 0; i < NAMES.length; i++) out[this.direction + NAMES[i]] = values[i]
  }

  private happens(probability: number): boolean {
    return probability > 0 && randomFraction(this.random) < probability
  }

  private earlier(): DueQueue | null {
    const { inOrder, held } = this
    if (held.count === 0) return inOrder.count === 0 ? null : inOrder
    if (inOrder.count === 0) return held
    return ((held.nextDue - inOrder.nextDue) | 0) < 0 ? held : inOrder
  }

  /** Flips one bit behind the destination address for as long as the frame is copied. */
  private enterCorrupted(buf: Uint8Array, start: number, end: number, meta: number): void {
    const n = this.count.values
    const from = this.medium === 'ethernet' ? start + DESTINATION : start
    if (!this.hasOwnChecksum(buf, start, end)) {
      // Nothing but the Ethernet FCS protects ARP and the like, and it does not leave the card: a real link loses such a frame.
      n[C.CorruptedLost]++
      return
    }
    const bit = randomBelow(this.random, (end - from) * 8)
    const at = from + (bit >> 3)
    const mask = 1 << (bit & 7)
    buf[at] ^= mask
    n[C.Corrupted]++
    this.enter(buf, start, end, meta)
    buf[at] ^= mask
  }

  private hasOwnChecksum(buf: Uint8Array, start: number, end: number): boolean {
    if (this.medium === 'ip') return true
    const header = linkHeader(buf, start, end, 'ethernet')
    if (end - start <= header) return false
    const type = get16(buf, start + header - ETH_HEADER + ETH.etherType)
    return type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6
  }

  /** Waits for the line, then travels. */
  private enter(buf: Uint8Array, start: number, end: number, meta: number): void {
    const { rate, queue, delay, jitter, reorder, reorderDelay, mark, markQueue } = this.impairments
    const n = this.count.values
    const now = this.host!.us()
    let wait = 0
    let isMarked = this.happens(mark)
    if (rate > 0) {
      const elapsed = (now - this.lineAt) | 0
      this.lineAt = now
      this.backlog = elapsed < 0 || elapsed > this.backlog ? 0 : this.backlog - elapsed
      const bytes = end - start
      const waiting = (this.backlog * rate) / 8e6
      if (waiting > 0 && waiting + bytes > queue) {
        n[C.QueueDropped]++
        return
      }
      if (markQueue > 0 && waiting > markQueue) isMarked = true
      this.backlog += (bytes * 8e6) / rate
      wait = this.backlog
    }
    wait += delay * 1000
    if (jitter > 0) wait += jitter * 1000 * randomFraction(this.random)
    const isHeld = this.happens(reorder)
    if (isHeld) {
      wait += reorderDelay * 1000
      n[C.Reordered]++
    }
    const due = (now + Math.round(Math.min(wait, 0x7fff_0000))) | 0
    const fifo = isHeld ? this.held : this.inOrder
    const ip = isMarked ? canBeMarked(buf, start, end, this.medium) : -1
    // The frame is lent: it is marked for as long as it is copied.
    const before = ip < 0 ? 0 : setEcn(buf, ip, CE)
    if (!fifo.push(buf, start, end, meta, due)) n[C.MemoryDropped]++
    else if (ip >= 0) n[C.Marked]++
    if (ip >= 0) setEcn(buf, ip, before)
  }
}
