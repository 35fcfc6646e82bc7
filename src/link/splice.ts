/**
 * `splice(a, b, host)`: two links become one wire; what comes from one goes to the other.
 *
 * Theory of operation. Each direction is the sink of the link that it hears. It pulls in tasks of the host's own, a budget at a time, and sends at once. When the
 * other link refuses, what the batch still brings is kept (never more than one batch), nothing more is pulled until it has gone, and so the pressure
 * reaches the sender through the link that it is on. Where one link knows offload and the other does not, segments and checksums are made in between.
 *
 * When one of the two ends by itself, the other is closed.
 */
import type { Host, Task } from '../base/clock.ts'
import { Counters, indexOf } from '../base/counters.ts'
import { invalidArgument } from '../base/errors.ts'
import type { NetIf, NetIfSink } from '../netif/netif.ts'
import { takingAll } from '../offload/soften.ts'
import { FrameQueue, MAX_FRAME } from './frame-queue.ts'

/** Frames of one batch: those of a turn of the stack. */
const BUDGET = 64

/** Who hears of its end. */
export interface SpliceOptions {
  /** `link` has ended by itself; the other one is being closed. */
  onClosed?: (link: NetIf, error?: Error) => void
}

const NAMES = ['frames', 'octets', 'held'] as const
const C = indexOf(NAMES)

/** One direction. */
class Half implements NetIfSink, Task {
  /** The other direction. */
  other: Half
  readonly count = new Counters(NAMES)
  private readonly held = new FrameQueue(BUDGET, BUDGET * MAX_FRAME)
  private isScheduled = false

  constructor(
    private readonly from: NetIf,
    private readonly to: NetIf,
    readonly host: Host,
    private readonly owner: Splice,
  ) {
    this.other = this
  }

  attach(): void {
    this.from.attach(this)
  }

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    const n = this.count.values
    n[C.frames]++
    n[C.octets] += end - start
    if (this.held.count === 0 && this.to.send(buf, start, end, meta)) return
    this.held.push(buf, start, end, meta)
    n[C.held]++
  }

  readable(): void {
    if (this.isScheduled || this.owner.isClosed) return
    this.isScheduled = true
    this.host.soon(this)
  }

  run(): void {
    this.isScheduled = false
    const { held } = this
    while (held.count > 0 && !this.owner.isClosed) if (!held.offer(this.to)) return
    if (this.owner.isClosed) return
    const more = this.from.receive(BUDGET)
    this.to.flush()
    // What is held goes on when the other link says that it has room.
    if (more && held.count === 0) this.readable()
  }

  /** The link that we hear has room again: what goes the other way may go on. */
  writable(): void {
    this.other.readable()
  }

  closed(error?: Error): void {
    this.owner.ended(this === this.owner.forth, error)
  }

  drop(): void {
    this.held.clear()
  }
}

/** Two links joined into one wire, until it is closed or one of them ends. Made by `splice`. */
export class Splice {
  isClosed = false
  readonly forth: Half
  private readonly back: Half

  constructor(
    private readonly a: NetIf,
    private readonly b: NetIf,
    host: Host,
    private readonly options: SpliceOptions,
  ) {
    // A link without offload hands over frames as a wire has them: for them nothing has to be done on the other side.
    const toA = b.offload === 0 ? a : takingAll(a)
    const toB = a.offload === 0 ? b : takingAll(b)
    this.forth = new Half(toA, toB, host, this)
    this.back = new Half(toB, toA, host, this)
    this.forth.other = this.back
    this.back.other = this.forth
    this.forth.attach()
    this.back.attach()
  }

  /** Of each direction: frames and octets heard, and how many frames were kept for a while because the other link was full. */
  counters(): { 'a>b': Record<string, number>; 'b>a': Record<string, number> } {
    const of = (half: Half) => half.count.snapshot() as Record<string, number>
    return { 'a>b': of(this.forth), 'b>a': of(this.back) }
  }

  /** Closes both links. */
  async close(): Promise<void> {
    this.stop()
    await Promise.all([this.a.close(), this.b.close()])
  }

  ended(isA: boolean, error?: Error): void {
    if (this.isClosed) return
    this.stop()
    void (isA ? this.b : this.a).close()
    this.options.onClosed?.(isA ? this.a : this.b, error)
  }

  private stop(): void {
    this.isClosed = true
    this.forth.drop()
    this.back.drop()
  }
}

/** Joins two links of one medium. They are the splice's from now on. Throws ERR_INVALID_ARG_VALUE when one carries Ethernet and the other does not. */
export function splice(a: NetIf, b: NetIf, host: Host, options: SpliceOptions = {}): Splice {
  if (a.medium !== b.medium)
    throw invalidArgument(`${a.name} carries ${a.medium} frames and ${b.name} ${b.medium}: only a router can join them`)
  return new Splice(a, b, host, options)
}
