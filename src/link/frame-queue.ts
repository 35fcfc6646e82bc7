/**
 * A bounded FIFO of frames in one byte ring: what every link that keeps frames for later is made of.
 *
 * Theory of operation. Frames lie one after the other in a ring of bytes, each whole (a frame that does not fit before the end
 * begins again at 0) and each with `HEADROOM` bytes before it, so that whoever is lent the frame may scribble there. The address
 * of a frame modulo four is kept, because checksums run over words. The ring starts at nothing, doubles until the limit, and
 * restarts at 0 whenever it runs empty: a queue that is drained as fast as it is filled always uses the same few warm cache
 * lines. Once it has its size nothing is allocated.
 *
 * Who makes a large frame may make it in the ring itself (`place`): what is then pushed from there is not copied. One such place is open at a time,
 * until it is pushed, another is asked for, or the queue runs empty. It may be given up without a word, and other frames may be pushed meanwhile:
 * they go behind it, and the frame that was being made is copied after all.
 */
import { arena } from '../base/arena.ts'
import { copyBytes } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { HEADROOM } from '../netif/netif.ts'

/** Whoever is lent a frame: every `NetIfSink` is one. */
export interface FrameSink {
  input(buf: Uint8Array, start: number, end: number, meta: number): void
}

/** Whoever may refuse a lent frame (false: not taken, and unchanged): every `NetIf` is one. */
export interface FrameOutlet {
  send(buf: Uint8Array, start: number, end: number, meta: number): boolean
}

/** Small enough to stay in the second-level cache. */
export const QUEUE_FRAMES = 256
export const QUEUE_BYTES = 512 << 10

/** The largest frame that any queue takes: an IP packet of 65535 bytes in an Ethernet frame with two tags, and then some. */
export const MAX_FRAME = 0x10000 + 64
const LEAST_BYTES = MAX_FRAME + HEADROOM + 4
const FIRST_BYTES = 8 << 10
/** A queue in which a large frame may be made has room for another beside it, which must not wait for what is not yet there. */
const LEAST_PLACING = 3 * LEAST_BYTES

const NONE = new Uint8Array(0)

/** Fields of a frame's record. */
const START = 0
const LENGTH = 1
const META = 2
const RECORD = 3

/** A bounded queue of frames in one piece of memory, oldest first. */
export class FrameQueue {
  /** Frames in the queue. */
  count = 0
  /** Bytes of the frames in the queue. */
  bytes = 0
  private buf: Uint8Array = NONE
  /** Frames of this queue are lent at the moment; a ring that is outgrown meanwhile is returned afterwards. */
  private lent = 0
  /** The place that is open, headroom not counted; `placedEnd` 0: none. */
  private placedAt = 0
  private placedEnd = 0
  /** Other frames were pushed since. */
  private placedIsLate = false
  /** It is before all frames of this ring: the queue was empty when it was asked for. */
  private placedIsFirst = false
  private readonly outgrown: Uint8Array[] = []
  /** Circular records of `RECORD` ints; as many as fit `records.length`. */
  private records = new Int32Array(0)
  /** Index of the oldest record. */
  private first = 0
  /** Where the next frame may begin to look for room; the oldest frame's slot begins at or after `head`. */
  private tail = 0
  private readonly maxFrames: number
  private readonly maxBytes: number

  /**
   * @param maxFrames at most so many frames, @param maxBytes in so many bytes (never less than one frame of 64 KiB needs).
   * @throws NetError ERR_INVALID_ARG_VALUE: a limit that is no number would be none.
   */
  constructor(maxFrames = QUEUE_FRAMES, maxBytes = QUEUE_BYTES) {
    this.maxFrames = Math.max(1, Math.min(limit('queueFrames', maxFrames), 0x100_0000))
    this.maxBytes = Math.max(LEAST_BYTES, Math.min(limit('queueBytes', maxBytes), 0x4000_0000))
  }

  /** Bytes of memory now held. */
  get capacity(): number {
    return this.buf.length + this.records.byteLength
  }

  /** At most half full: the moment to tell a sender that waits. An empty queue always is. */
  get low(): boolean {
    return this.count * 2 <= this.maxFrames && this.bytes * 2 <= this.maxBytes
  }

  /** Copies a frame in. False: full, nothing was taken. A frame above `MAX_FRAME` never fits: its owner drops it beforehand. */
  push(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (this.placedEnd !== 0 && this.pushPlaced(buf, start, end, meta)) return true
    if (this.count >= this.maxFrames) return false
    const length = end - start
    if (this.count * RECORD === this.records.length) this.growRecords()
    const at = this.reserve(length, (buf.byteOffset + start) & 3)
    if (at < 0) return false
    copyBytes(buf, start, this.buf, at, length)
    this.append(at, length, meta)
    return true
  }

  /**
   * Room for a frame that is made here and then pushed from here: `headers` bytes at most, and `payload` bytes behind them. Returns where the
   * payload begins in `memory`, a multiple of four; -1: the queue is full; 0: it is too small for this.
   */
  place(headers: number, payload: number): number {
    this.closePlace()
    if (this.maxBytes < LEAST_PLACING) return 0
    if (this.count >= this.maxFrames) return -1
    const length = headers + payload
    const at = this.reserve(length, -headers & 3)
    if (at < 0) return -1
    this.lent++
    this.placedIsFirst = this.count === 0
    this.placedAt = at
    this.placedEnd = at + length
    return at + headers
  }

  /** Where `place` is. Another buffer after the next `place` or `push`, perhaps. */
  get memory(): Uint8Array {
    return this.buf
  }

  /** True: the frame lies in the place that is open, and is in the queue now. */
  private pushPlaced(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const isPlaced = start >= this.placedAt && end <= this.placedEnd && buf === this.buf
    if (isPlaced && !this.placedIsLate) {
      if (this.count * RECORD === this.records.length) this.growRecords()
      this.append(start, end - start, meta)
      this.closePlace()
      return true
    }
    if (!isPlaced && !this.placedIsLate) {
      this.placedIsLate = true
      this.tail = this.placedEnd
    }
    return false
  }

  private closePlace(): void {
    if (this.placedEnd === 0) return
    this.placedEnd = 0
    this.placedIsLate = false
    this.placedIsFirst = false
    this.lent--
    if (this.outgrown.length > 0) this.returnOutgrown()
  }

  /** Lends the oldest frame to the sink, then forgets it. The queue must not be empty. The sink may push while it is lent. */
  deliver(sink: FrameSink): void {
    const r = this.first
    const start = this.records[r + START]
    const length = this.records[r + LENGTH]
    const meta = this.records[r + META]
    const buf = this.buf
    // The slot is released only after the call: what is pushed meanwhile goes elsewhere (a larger ring is another buffer).
    this.lent++
    sink.input(buf, start, start + length, meta)
    this.lent--
    this.shift()
    if (this.outgrown.length > 0) this.returnOutgrown()
  }

  /** Lends up to `budget` frames, oldest first, and counts them and their bytes in `n[frames]` and `n[octets]`. True: there are more. */
  drain(sink: FrameSink, budget: number, n: Float64Array, frames: number, octets: number): boolean {
    for (let i = budget; i > 0 && this.count > 0; i--) {
      n[frames]++
      n[octets] += this.nextLength
      this.deliver(sink)
    }
    return this.count > 0
  }

  /** Offers the oldest frame to a taker and forgets it if it was taken. The queue must not be empty. */
  offer(taker: FrameOutlet): boolean {
    const r = this.first
    const start = this.records[r + START]
    this.lent++
    const taken = taker.send(this.buf, start, start + this.records[r + LENGTH], this.records[r + META])
    this.lent--
    if (taken) this.shift()
    if (this.outgrown.length > 0) this.returnOutgrown()
    return taken
  }

  /** Length in bytes of the oldest frame, or -1. */
  get nextLength(): number {
    return this.count === 0 ? -1 : this.records[this.first + LENGTH]
  }

  /** Forgets the oldest frame. */
  shift(): void {
    if (this.count === 0) return // cleared while the frame was lent
    this.bytes -= this.records[this.first + LENGTH]
    this.first += RECORD
    if (this.first === this.records.length) this.first = 0
    if (--this.count > 0) return
    this.tail = 0
    this.closePlace()
  }

  /** Forgets everything and gives the memory back. */
  clear(): void {
    this.closePlace()
    this.count = 0
    this.bytes = 0
    this.first = 0
    this.tail = 0
    this.retire(this.buf)
    this.buf = NONE
    this.records = new Int32Array(0)
  }

  /** Gives a ring back to the arena, or keeps it until what is lent of it has come back. */
  private retire(buf: Uint8Array): void {
    this.outgrown.push(buf)
    if (this.lent === 0) this.returnOutgrown()
  }

  private returnOutgrown(): void {
    if (this.lent > 0) return
    for (const buf of this.outgrown) arena.give(buf)
    this.outgrown.length = 0
  }

  /** Where a frame of this length and alignment goes, or -1. */
  private reserve(length: number, phase: number): number {
    for (;;) {
      const at = this.find(length, phase)
      if (at >= 0 || this.buf.length >= this.maxBytes) return at
      this.grow(length)
    }
  }

  private find(length: number, phase: number): number {
    let at = aligned(this.tail, phase)
    if (this.count === 0) return at + length <= this.buf.length ? at : -1
    const head = (this.placedIsFirst ? this.placedAt : this.records[this.first + START]) - HEADROOM
    if (this.tail > head) {
      if (at + length <= this.buf.length) return at
      at = aligned(0, phase)
    }
    return at + length <= head ? at : -1
  }

  private append(at: number, length: number, meta: number): void {
    let r = this.first + this.count * RECORD
    if (r >= this.records.length) r -= this.records.length
    this.records[r + START] = at
    this.records[r + LENGTH] = length
    this.records[r + META] = meta
    this.tail = at + length
    this.bytes += length
    this.count++
  }

  /** Doubles the ring and moves the frames to its beginning, each with its alignment. */
  private grow(length: number): void {
    // Powers of two: few lengths, which the arena can hand out again.
    let want = FIRST_BYTES
    while (want < this.buf.length * 2 - 16 || want < length + HEADROOM + 4) want *= 2
    const old = this.buf
    // Eight bytes over: the first frame of each run may need other padding at its new place.
    const next = arena.take(Math.min(want, this.maxBytes) + 8)
    let tail = 0
    let r = this.first
    for (let i = 0; i < this.count; i++) {
      const from = this.records[r + START]
      const n = this.records[r + LENGTH]
      const at = aligned(tail, from & 3)
      copyBytes(old, from, next, at, n)
      this.records[r + START] = at
      tail = at + n
      r += RECORD
      if (r === this.records.length) r = 0
    }
    this.buf = next
    this.tail = tail
    this.placedIsFirst = false // it is in the old ring
    this.retire(old)
  }

  private growRecords(): void {
    const old = this.records
    const next = new Int32Array(Math.min(Math.max(16, this.count * 2), this.maxFrames) * RECORD)
    next.set(old.subarray(this.first), 0)
    next.set(old.subarray(0, this.first), old.length - this.first)
    this.records = next
    this.first = 0
  }
}

/** The first address after `tail` that leaves the headroom and is `phase` modulo four. */
function aligned(tail: number, phase: number): number {
  const least = tail + HEADROOM
  return least + ((phase - least) & 3)
}

function limit(name: string, value: number): number {
  if (Number.isInteger(value) && value >= 0) return value
  throw invalidArgument(`option ${name}: a whole number of at least 0 is expected, not ${value}`)
}
