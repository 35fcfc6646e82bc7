/**
 * One large ArrayBuffer that the stack's own long-lived buffers are cut from: transmit frames, rings, queues, receive buffers of devices.
 *
 * Why. Copying a range between two Uint8Arrays takes a view (`set(subarray())`), a hundred bytes of garbage a copy, three copies a packet.
 * Inside one ArrayBuffer `copyWithin` does it with none, as fast. So buffers that packets pass through live in one house, and `copyBytes`
 * (bytes.ts) knows its inhabitants. The memory is committed by the system only when touched. When the house is full, buffers come from
 * outside: everything works, with garbage.
 */

const ARENA_BYTES = 32 << 20
/** Cache lines do not straddle two buffers; words are aligned. */
const ALIGN = 64

class Arena {
  /** The whole of it, made when the first buffer is asked for. */
  bytes: Uint8Array = new Uint8Array(0)
  words: Int32Array = new Int32Array(0)
  private used = 0
  private readonly inhabitants = new WeakSet<Uint8Array>()
  /** Returned buffers by length. */
  private readonly free = new Map<number, Uint8Array[]>()
  /** The last few that were asked about: the WeakSet costs 20 ns. */
  private a: Uint8Array | null = null
  private b: Uint8Array | null = null
  private c: Uint8Array | null = null
  private d: Uint8Array | null = null
  private turn = 0

  /** A buffer of exactly `length` bytes; contents undefined. Ask for few different lengths: returned buffers are kept by length. */
  take(length: number): Uint8Array {
    const returned = this.free.get(length)
    if (returned !== undefined && returned.length > 0) return returned.pop()!
    if (this.bytes.length === 0) {
      const house = new ArrayBuffer(ARENA_BYTES)
      this.bytes = new Uint8Array(house)
      this.words = new Int32Array(house)
    }
    const room = (length + ALIGN - 1) & -ALIGN
    if (this.used + room > ARENA_BYTES) return new Uint8Array(length)
    const buf = new Uint8Array(this.bytes.buffer, this.used, length)
    this.used += room
    this.inhabitants.add(buf)
    return buf
  }

  /** Returns a buffer; nobody may use it afterwards. Buffers from outside go to the collector. */
  give(buf: Uint8Array): void {
    if (!this.inhabitants.has(buf)) return
    const list = this.free.get(buf.length)
    if (list === undefined) this.free.set(buf.length, [buf])
    else list.push(buf)
  }

  /** True for buffers that were cut from the arena. */
  holds(buf: Uint8Array): boolean {
    if (buf === this.a || buf === this.b || buf === this.c || buf === this.d) return true
    if (!this.inhabitants.has(buf)) return false
    switch (this.turn++ & 3) {
      case 0:
        this.a = buf
        break
      case 1:
        this.b = buf
        break
      case 2:
        this.c = buf
        break
      default:
        this.d = buf
    }
    return true
  }
}

/** The arena of this process: memory is all that stacks share. */
export const arena = new Arena()

/**
 * A buffer for long use, cut from the arena while there is room: `connection.read` and `connection.write` (raw shape) into and from it make no
 * garbage at all. For buffers that are made once and kept; they are not returned. Contents undefined.
 */
export function allocate(length: number): Uint8Array {
  return arena.take(length)
}
