/**
 * A queue of frames in shared memory, from one thread to another: one writes, one reads, nobody waits for a lock.
 *
 * Theory of operation. Two positions count bytes for ever (wrapping int32): `TAIL` is the writer's, `HEAD` the reader's, and each is stored only
 * by its owner, after the bytes (Atomics orders them). A record is its length and phase, its meta, room for `HEADROOM` bytes, and the frame, in
 * one piece; what does not fit before the end of the ring begins at 0 again, behind a mark. So the reader lends frames where they lie, and one
 * copy is all that a frame costs on its way.
 *
 * Who has nothing to do says so (`READER_SLEEPS`, `WRITER_WAITS`), looks once more, and is woken by a bell; while both are awake no bell
 * rings. The bell is not of this file: shared memory has several (link and thread know which).
 *
 * The other side is a thread of this program, yet nothing that it writes is believed without a look: a record that cannot be ends the ring.
 */
import { copyBytes } from '../base/bytes.ts'
import { type FrameSink, MAX_FRAME } from '../link/frame-queue.ts'
import { HEADROOM } from '../netif/netif.ts'

/** Words of the control block; those of the writer and of the reader are on cache lines of their own. */
const TAIL = 0
const WRITER_WAITS = 1
const HEAD = 16
const READER_SLEEPS = 17
const CLOSED = 32
export const RING_CONTROL_BYTES = 192

/** Length and phase, meta. */
const RECORD = 8
const PHASE_SHIFT = 24
const LENGTH_MASK = (1 << PHASE_SHIFT) - 1
const SKIP = -1
/** Two of the largest records always fit, so that one does wherever the ring begins. */
export const LEAST_RING_BYTES = 1 << 18

/** Bytes of shared memory for a ring of `ringBytes`, a power of two. */
export function ringMemory(ringBytes: number): number {
  return RING_CONTROL_BYTES + ringBytes
}

/** What both ends have: the memory, cut up. */
class RingEnd {
  protected readonly control: Int32Array
  protected readonly words: Int32Array
  protected readonly bytes: Uint8Array
  protected readonly mask: number

  /** @param memory shared by both ends, `ringMemory(ringBytes)` bytes at `offset`, zero at first */
  constructor(memory: SharedArrayBuffer, offset: number, ringBytes: number) {
    this.control = new Int32Array(memory, offset, RING_CONTROL_BYTES >> 2)
    this.words = new Int32Array(memory, offset + RING_CONTROL_BYTES, ringBytes >> 2)
    this.bytes = new Uint8Array(memory, offset + RING_CONTROL_BYTES, ringBytes)
    this.mask = ringBytes - 1
  }

  /** One of the two has ended it. */
  get isClosed(): boolean {
    return Atomics.load(this.control, CLOSED) !== 0
  }

  close(): void {
    Atomics.store(this.control, CLOSED, 1)
  }
}

export class RingWriter extends RingEnd {
  private tail = 0
  /** The reader's position when last looked at. */
  private head = 0

  /** Copies a frame in. False: full, or the frame is longer than any; `isWaiting` will end when half is free. */
  push(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    const length = end - start
    const phase = (buf.byteOffset + start) & 3
    const need = (RECORD + HEADROOM + phase + length + 3) & ~3
    if (length > MAX_FRAME) return false
    const at = this.tail & this.mask
    const skipped = at + need > this.mask + 1 ? this.mask + 1 - at : 0
    if (!this.hasRoom(skipped + need)) {
      Atomics.store(this.control, WRITER_WAITS, 1)
      if (!this.hasRoom(skipped + need)) return false // the reader may have made room between the two looks
      Atomics.store(this.control, WRITER_WAITS, 0)
    }
    const { words } = this
    if (skipped > 0) words[at >> 2] = SKIP
    const record = skipped > 0 ? 0 : at
    words[record >> 2] = length | (phase << PHASE_SHIFT)
    words[(record >> 2) + 1] = meta
    copyBytes(buf, start, this.bytes, record + RECORD + HEADROOM + phase, length)
    this.tail = (this.tail + skipped + need) | 0
    Atomics.store(this.control, TAIL, this.tail)
    return true
  }

  /** The reader sleeps: a bell has to ring, once. */
  takeSleeper(): boolean {
    return Atomics.load(this.control, READER_SLEEPS) !== 0 && Atomics.exchange(this.control, READER_SLEEPS, 0) !== 0
  }

  /** A push failed, and the reader has not made half of the ring free since. */
  get isWaiting(): boolean {
    return Atomics.load(this.control, WRITER_WAITS) !== 0
  }

  private hasRoom(bytes: number): boolean {
    const size = this.mask + 1
    if (((this.tail - this.head) | 0) + bytes <= size) return true
    this.head = Atomics.load(this.control, HEAD)
    return ((this.tail - this.head) | 0) + bytes <= size
  }
}

export class RingReader extends RingEnd {
  /** Something stood in the ring that no writer of ours writes; nothing is read any more. */
  isBroken = false
  private head = 0
  private tail = 0

  /** Nothing waits. */
  get isEmpty(): boolean {
    if (this.head === this.tail) this.tail = Atomics.load(this.control, TAIL)
    return this.head === this.tail || this.isBroken
  }

  /** Lends the oldest frame to the sink and then gives its room back. Returns its length; 0: there was none. */
  deliver(sink: FrameSink): number {
    if (this.isEmpty) return 0
    const { words, mask } = this
    if (words[(this.head & mask) >> 2] === SKIP) this.head = (this.head + mask + 1 - (this.head & mask)) | 0
    const at = this.head & mask
    const first = words[at >> 2]
    const length = first & LENGTH_MASK
    const phase = first >>> PHASE_SHIFT
    const used = (RECORD + HEADROOM + phase + length + 3) & ~3
    if (phase > 3 || length > MAX_FRAME || at + used > mask + 1 || used > ((this.tail - this.head) | 0)) {
      this.isBroken = true
      return 0
    }
    const start = at + RECORD + HEADROOM + phase
    sink.input(this.bytes, start, start + length, words[(at >> 2) + 1])
    this.head = (this.head + used) | 0
    Atomics.store(this.control, HEAD, this.head)
    return length
  }

  /** Says that the reader goes to sleep. False: something has come meanwhile, and it does not. */
  sleep(): boolean {
    Atomics.store(this.control, READER_SLEEPS, 1)
    if (this.isEmpty) return true
    Atomics.store(this.control, READER_SLEEPS, 0)
    return false
  }

  /** A writer waits, and half of the ring is free: a bell has to ring, once. */
  takeWaiter(): boolean {
    const { control } = this
    if (Atomics.load(control, WRITER_WAITS) === 0) return false
    const filled = (Atomics.load(control, TAIL) - this.head) | 0
    return filled * 2 <= this.mask + 1 && Atomics.exchange(control, WRITER_WAITS, 0) !== 0
  }
}
