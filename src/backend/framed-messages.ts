/**
 * A channel of messages, one frame each (a WebSocket, a tap of the tuntap2 package), as a stream of frames behind their lengths: so that a link over a
 * stream (stream-link.ts) with its queues, its counters and its carriers is all that such a channel needs.
 *
 * Each way costs one copy of a frame, of which a channel with messages as objects makes several anyway. Back-pressure passes both ways: a
 * batch is taken when its last message was, and the channel is held while the link's queue is full.
 */
import { Duplex } from 'node:stream'
import { MAX_FRAME } from '../link/frame-queue.ts'
import { FrameDecoder, U32BE } from '../link/framing.ts'
import type { FrameTaker } from '../offload/segment.ts'

/** The stream: its framing is U32BE. Whoever knows the channel extends it. */
export abstract class FramedMessages extends Duplex implements FrameTaker {
  private readonly decoder = new FrameDecoder(U32BE)
  private readonly frames: Uint8Array[] = []
  private isHeld = false

  // What the channel does.

  /** Sends one frame, which stays as it is; `taken` is called when there is room for more. */
  protected abstract post(frame: Uint8Array, taken: (error?: Error | null) => void): void
  /** No messages for now (true); go on (false). */
  protected abstract hold(on: boolean): void
  /** Ends it after what was posted has left; `done` when that has happened. */
  protected abstract finish(done: () => void): void
  /** Ends it at once. May be called after its end. */
  protected abstract cut(): void

  // What the channel says.

  /** A frame came. One that is longer than any frame is passed by: the link would end with it. */
  protected message(bytes: Uint8Array): void {
    const { length } = bytes
    if (this.destroyed || this.readableEnded || length === 0 || length > MAX_FRAME) return
    const framed = new Uint8Array(4 + length)
    framed[1] = length >>> 16
    framed[2] = length >>> 8
    framed[3] = length
    framed.set(bytes, 4)
    if (!this.push(framed) && !this.isHeld) {
      this.isHeld = true
      this.hold(true)
    }
  }

  /** It has ended. */
  protected over(error?: Error): void {
    if (this.destroyed) return
    if (error !== undefined) this.destroy(error)
    else this.push(null)
  }

  /** From the decoder: one frame of a batch. */
  frame(buf: Uint8Array, start: number, end: number): boolean {
    // What straddled two batches lies in the decoder's own memory.
    if (end > start) this.frames.push(this.decoder.isPartial ? buf.slice(start, end) : buf.subarray(start, end))
    return true
  }

  override _read(): void {
    if (!this.isHeld) return
    this.isHeld = false
    this.hold(false)
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    const { frames } = this
    this.decoder.decode(chunk, 0, chunk.length, this)
    const last = frames.pop()
    for (const frame of frames) this.post(frame, ignore)
    frames.length = 0
    if (last === undefined) done()
    else this.post(last, done)
  }

  override _final(done: () => void): void {
    this.finish(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.cut()
    done(error)
  }
}

/** What went wrong is told by the last frame of a batch, or by the channel's end. */
function ignore(): void {}
