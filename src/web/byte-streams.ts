/**
 * The two streams of a connection: a byte stream to read, a stream of chunks to write.
 *
 * Theory of operation. Nothing is read ahead: a read that finds bytes in the connection's ring copies them into the reader's own buffer (BYOB)
 * or into a chunk that is cut to size, and a read that finds none waits for `onReadable`. What nobody reads fills the ring, and TCP's window tells the peer. A chunk
 * that is written is done when the ring has taken all of it; until then the stream queues what follows, and `writer.ready` waits.
 *
 * The peer's end is met by a read, not before: an application that still works on the last bytes may answer them. Without `allowHalfOpen` it ends
 * our direction too, after what is queued.
 *
 * A default reader's chunk is made when the bytes are there and is as long as they are; with `autoAllocateChunkSize` every read that waits would hold
 * a buffer of the largest size. A BYOB reader's buffer waits with its read.
 *
 * `cancel` of the readable throws away what arrives from then on, `abort` of the writable resets the connection: TCP knows no other way to take
 * back what was promised.
 */
import type { NetError } from '../base/errors.ts'
import { webDefaults } from '../base/web-config.ts'
import {
  type ByteController,
  type ByteReadable,
  type Bytes,
  byteReadable,
  bytesOf,
  byteWritable,
  type ChunkWritable,
  Settled,
  type SinkController,
} from '../host-web/web-streams.ts'
import type { ConnectionHandler, RawConnection } from '../tcp/api.ts'
import { socketError, wrongArgument, wrongState } from './errors.ts'

/** What streams need of a connection; TLS is one, too. */
export type ByteConnection = Pick<
  RawConnection,
  'handler' | 'readable' | 'ended' | 'read' | 'skip' | 'write' | 'shutdown' | 'close' | 'abort'
>

export class ByteStreams implements ConnectionHandler {
  readonly readable: ByteReadable
  readonly writable: ChunkWritable<Bytes>
  /** The connection has ended, well or with this error. */
  onEnd: (error: unknown) => void = () => undefined
  private input!: ByteController
  private output!: SinkController
  private connection: ByteConnection | null = null
  /** A read waits for bytes. */
  private pulling: Settled<void> | null = null
  /** Nobody reads any more: what arrives is thrown away. */
  private deaf = false
  /** The readable is closed, canceled or in error; so is the writable. */
  private inputDone = false
  private outputDone = false
  /** The connection told its end: it is kept for what it still has to read. */
  private over = false
  /** How the connection broke. What it had received comes first. */
  private broken: { readonly error: unknown } | null = null
  /** The chunk that is being written, and how much of it TCP took. */
  private out: Uint8Array | null = null
  private outAt = 0
  private writing: Settled<void> | null = null
  /** Chunks that were written to the stream and not yet taken. */
  private queued = 0
  /** The peer has ended, and our direction follows once nothing is queued. */
  private following = false
  private shut = false
  private aborted = false

  constructor(
    private readonly allowHalfOpen: boolean,
    /** Makes the chunks of a default reader. */
    private readonly memory: (bytes: number) => Uint8Array<ArrayBuffer>,
  ) {
    this.readable = byteReadable({
      start: (controller) => {
        this.input = controller
      },
      pull: () => this.pull(),
      cancel: () => this.cancel(),
    })
    this.writable = byteWritable(
      {
        start: (controller) => {
          this.output = controller
          // A write that waits for room would keep `abort` waiting, for ever if the peer reads no more.
          controller.signal?.addEventListener('abort', () => this.abort(controller.signal!.reason))
        },
        write: (chunk) => this.write(chunk),
        close: () => this.finish(),
        abort: (reason) => this.abort(reason),
      },
      () => {
        this.queued++
      },
    )
  }

  /** There is a connection. What was asked for before it goes on. */
  attach(connection: ByteConnection): void {
    this.connection = connection
    connection.handler = this
    this.onWritable()
    this.onReadable()
    if (this.out === null && this.outputDone) this.shutdown()
  }

  /** Takes the connection back from its streams, which end; null: there is none. */
  detach(): ByteConnection | null {
    const connection = this.connection
    this.connection = null
    const error = wrongState('ERR_SOCKET_UPGRADED', 'the socket was upgraded: its streams are those of the new one')
    this.endInput()
    this.failOutput(error)
    return connection
  }

  /** CLOSE of both directions. What TCP took still goes out. */
  close(reason: unknown): void {
    const connection = this.connection
    this.endInput()
    this.failOutput(reason ?? wrongState('ERR_SOCKET_CLOSED', 'the socket was closed'))
    connection?.close()
  }

  /** Both directions end by an error: nothing was ever connected, or the application gave up. */
  fail(error: unknown): void {
    this.connection?.abort()
    this.failInput(error)
    this.failOutput(error)
  }

  // The connection's news

  onReadable(): void {
    if (this.deaf) this.throwAway()
    else if (this.pulling !== null && this.deliver()) this.pulled()
  }

  onWritable(): void {
    if (this.writing === null) return
    try {
      if (!this.flush()) return
      this.written()
    } catch (error) {
      const writing = this.writing
      this.writing = null
      this.out = null
      writing.reject(socketError(error))
    }
  }

  onClose(_connection: unknown, error: NetError | null): void {
    const { connection } = this
    this.over = true
    if (error !== null) this.breakOff(socketError(error))
    else if (!this.inputDone && connection !== null && !connection.ended && connection.readable === 0) this.breakOff(cut())
    else this.onEnd(null)
  }

  private breakOff(error: unknown): void {
    this.broken = { error }
    // The ring is gone after this call: what it has goes to the stream, where a reader finds it before the error.
    const connection = this.connection!
    while (!this.inputDone && connection.readable > 0) this.deliver()
    if (this.pulling !== null && this.deliver()) this.pulled()
    this.failOutput(error)
    this.onEnd(error)
  }

  // Reading

  private pull(): Promise<void> | undefined {
    if (this.deliver()) return undefined
    this.pulling = new Settled()
    return this.pulling.promise
  }

  private pulled(): void {
    const pulling = this.pulling
    this.pulling = null
    pulling?.resolve()
  }

  /** Gives the stream what there is: bytes, an error or the end. False: nothing yet. */
  private deliver(): boolean {
    const { connection, input } = this
    if (this.inputDone) return true
    const ready = connection === null ? 0 : connection.readable
    if (ready > 0) {
      const request = input.byobRequest
      const view = request === null ? null : bytesOf(request.view)
      if (view !== null) request!.respond(connection!.read(view, 0, Math.min(ready, view.length)))
      else {
        const chunk = this.memory(Math.min(ready, webDefaults.chunkBytes))
        const n = connection!.read(chunk, 0, chunk.length)
        input.enqueue(n === chunk.length ? chunk : chunk.slice(0, n)) // what lies behind it is nobody's
      }
      return true
    }
    if (this.broken !== null) this.failInput(this.broken.error)
    else if (connection?.ended) {
      this.endInput()
      if (!this.allowHalfOpen) this.follow()
    } else if (this.over) this.failInput(cut())
    else return false
    return true
  }

  private endInput(): void {
    if (this.inputDone) return
    this.inputDone = true
    this.input.close()
    this.input.byobRequest?.respond(0) // a read with a buffer gets it back
    this.pulled()
  }

  private failInput(error: unknown): void {
    if (this.inputDone) return
    this.inputDone = true
    this.input.error(error)
    this.pulled()
  }

  private cancel(): void {
    this.inputDone = true
    this.deaf = true
    this.throwAway()
    if (this.shut) this.connection?.close()
  }

  /** Nobody will read the peer's end either: it counts as read. */
  private throwAway(): void {
    const { connection } = this
    if (connection === null) return
    connection.skip(connection.readable)
    if (connection.ended && !this.allowHalfOpen) this.follow()
  }

  // Writing

  private write(chunk: unknown): Promise<void> | undefined {
    const bytes = bytesOf(chunk)
    if (bytes === null) throw wrongArgument('a socket takes ArrayBuffers and views of them')
    this.out = bytes
    this.outAt = 0
    try {
      if (this.connection !== null && this.flush()) {
        this.taken()
        return undefined
      }
    } catch (error) {
      this.out = null
      throw socketError(error)
    }
    this.writing = new Settled()
    return this.writing.promise
  }

  /** Gives the connection what it takes of the chunk. True: all of it. */
  private flush(): boolean {
    const { out, connection } = this
    if (out === null || connection === null) return false
    this.outAt += connection.write(out, this.outAt, out.length - this.outAt)
    if (this.outAt < out.length) return false
    this.out = null
    return true
  }

  private written(): void {
    const writing = this.writing
    this.writing = null
    this.taken()
    writing?.resolve()
  }

  private taken(): void {
    this.queued--
    if (this.following && this.queued === 0) this.shutdown()
  }

  /** `writable.close()`. */
  private finish(): undefined {
    this.outputDone = true
    if (this.connection !== null) this.shutdown()
  }

  private shutdown(): void {
    const { connection } = this
    if (this.shut || connection === null) return
    this.shut = true
    try {
      connection.shutdown()
    } catch {
      // Broken already: a reader finds out, and `closed`.
    }
    if (this.deaf) connection.close()
  }

  /** The peer has ended and half-open is not wanted. */
  private follow(): void {
    this.following = true
    if (this.outputDone) return
    if (!this.writable.locked) this.writable.close().catch(() => undefined)
    else if (this.queued === 0) this.shutdown()
  }

  private abort(reason: unknown): void {
    if (this.aborted) return
    this.aborted = true
    this.outputDone = true
    this.writing?.reject(reason)
    this.writing = null
    this.out = null
    this.failInput(reason)
    this.onEnd(reason)
    this.connection?.abort()
  }

  private failOutput(error: unknown): void {
    if (this.outputDone) return
    this.outputDone = true
    this.output.error(error)
    this.writing?.reject(error)
    this.writing = null
    this.out = null
  }
}

/** Ended from this side, without the application's doing. */
function cut(): unknown {
  return wrongState('ERR_STACK_CLOSED', 'the stack is closed')
}
