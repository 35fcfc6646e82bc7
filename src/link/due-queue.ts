/** A `FrameQueue` whose frames each have a time (wrapping microseconds) before which they may not leave; times never decrease. */
import { type FrameOutlet, FrameQueue, type FrameSink } from './frame-queue.ts'

export class DueQueue {
  private readonly frames: FrameQueue
  /** Ring of times, in step with the frames; its length is a power of two. */
  private times = new Int32Array(0)
  private head = 0
  private last = 0

  constructor(maxFrames: number, maxBytes: number) {
    this.frames = new FrameQueue(maxFrames, maxBytes)
  }

  get count(): number {
    return this.frames.count
  }

  get capacity(): number {
    return this.frames.capacity + this.times.byteLength
  }

  /** Time of the oldest frame. Meaningless when there is none. */
  get nextDue(): number {
    return this.times[this.head]
  }

  /** False: no room. A frame that would be due before the one in front of it is due with it. */
  push(buf: Uint8Array, start: number, end: number, meta: number, due: number): boolean {
    const count = this.frames.count
    const at = count > 0 && ((due - this.last) | 0) < 0 ? this.last : due
    if (!this.frames.push(buf, start, end, meta)) return false
    if (count === this.times.length) this.grow()
    this.times[(this.head + count) & (this.times.length - 1)] = at
    this.last = at
    return true
  }

  deliver(sink: FrameSink): void {
    this.frames.deliver(sink)
    this.head = (this.head + 1) & (this.times.length - 1)
  }

  offer(taker: FrameOutlet): boolean {
    if (!this.frames.offer(taker)) return false
    this.head = (this.head + 1) & (this.times.length - 1)
    return true
  }

  clear(): void {
    this.frames.clear()
    this.head = 0
  }

  private grow(): void {
    const old = this.times
    const next = new Int32Array(Math.max(64, old.length * 2))
    next.set(old.subarray(this.head), 0)
    next.set(old.subarray(0, this.head), old.length - this.head)
    this.times = next
    this.head = 0
  }
}
