/**
 * The engine of a Node socket: what stands between the stream and the raw connection.
 *
 * Theory of operation. Reading: the stream asks once; from then on whatever the connection has is copied into buffers cut to size and
 * pushed, at once and whenever more comes, until `push` says false. Then nothing is read, the connection's ring fills and its window
 * closes: back-pressure reaches the peer. Writing: chunks go to the connection, which takes what fits in its ring; the rest waits for
 * `onWritable`, and the stream's callback with it.
 *
 * A libuv handle keeps the loop alive while it reads, writes or connects. So does a socket here; but where a kernel goes on sending
 * after the process has ended, this stack ends with it. Bytes that the peer has not acknowledged therefore hold the process as well,
 * looked at every `LINGER_MS` once nothing else holds it.
 *
 * All of a socket's inner state is here, not on the socket: applications put properties of their own on sockets.
 */
import type { Task } from '../base/clock.ts'
import { NetError } from '../base/errors.ts'
import type { ConnectionHandler, RawConnection } from '../tcp/api.ts'
import { BULK, CHUNK, chunkOf, type Done, type QueuedChunk } from './chunk.ts'
import type { NetContext } from './deps.ts'
import { badState, codeOf } from './errors.ts'
import { countTurns, loop, sends, whenTurned } from './loop.ts'
import { Scope } from './scope.ts'
import type { Socket } from './socket.ts'
import type { OnReadOptions } from './socket-args.ts'

const LINGER_MS = 20
const NO_BYTES = new Uint8Array(0)
/** What a socket is told of its connection, in the order in which it is told. */
const News = { CONNECT: 1, READ: 2, CLOSE: 4 } as const

export class Driver extends Scope implements ConnectionHandler, Task {
  connection: RawConnection | null = null
  /** Who waits for the outcome of the attempt to connect. */
  attemptFailed: ((error: NetError) => void) | null = null
  /** Ends one of several attempts. */
  attemptTimer: NodeJS.Timeout | null = null
  /** 'timeout' of the socket. */
  timer: NodeJS.Timeout | null = null
  /** As `ref` and `unref` say. */
  wanted = true
  /** Connected to an IPv4 address that was written as one of IPv6 (`::ffff:10.0.0.1`). */
  mapped = false
  noDelay = false
  keepAlive = false
  keepAliveDelay = 0
  /** The stream wants bytes. */
  reading = false
  /** The peer's end was told to the stream. */
  ended = false
  private endComes = false
  /** `loop.count` when bytes were last passed on. */
  private pulledAt = -1
  readonly userCallback: OnReadOptions['callback'] | null
  private readonly userBufferOf: (() => Uint8Array) | null
  private userBuffer: Uint8Array
  private pulling = false
  /** The connection told its end: it is kept for what it still has to read. */
  private over = false
  /** Bits of `News` that wait for the event loop to turn (loop.ts). */
  private news = 0
  private readonly later: Task = { run: () => this.tellOne() }
  /** How the connection broke, until a read or write finds out. */
  private broken: NetError | null = null
  // The write in progress: a chunk, or a list of chunks and which of them; how far; how much of it all is in the ring.
  private out: Uint8Array | null = null
  private outAt = 0
  private queue: QueuedChunk[] | null = null
  private queueAt = 0
  /** What of the write in progress the connection has taken. */
  taken = 0
  private done: Done | null = null
  /** The socket was destroyed. */
  private free = false
  private held = false
  private waiting = false

  constructor(
    readonly context: NetContext,
    private readonly socket: Socket,
    onread: OnReadOptions | null,
  ) {
    super('TAPSTACKTCP')
    this.userCallback = onread === null ? null : onread.callback
    this.userBufferOf = onread !== null && typeof onread.buffer === 'function' ? onread.buffer : null
    this.userBuffer = onread === null ? NO_BYTES : typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer
  }

  /** From now on this connection's news is the socket's. */
  drive(connection: RawConnection): void {
    this.connection = connection
    connection.handler = this
    this.over = false
    this.news = 0
    this.broken = null
    this.ended = false
    this.update()
  }

  /** A destroyed socket is going to connect anew. */
  forget(): void {
    this.connection = null
    this.free = false
    this.news = 0
  }

  /** Gives up the attempt in progress. */
  dropAttempt(): void {
    const connection = this.connection
    this.connection = null
    this.attemptFailed = null
    this.update()
    connection?.abort()
  }

  stopAttemptTimer(): void {
    if (this.attemptTimer !== null) clearTimeout(this.attemptTimer)
    this.attemptTimer = null
  }

  active(): void {
    if (this.timer !== null) this.timer.refresh()
  }

  // The connection's news. The inner functions run in the socket's async context.
  onConnect(connection: RawConnection): void {
    if (connection === this.connection && !this.free) this.hear(News.CONNECT)
  }

  onReadable(connection: RawConnection): void {
    if (connection !== this.connection || !this.reading) return
    // Nobody waits for an end of this much by counting turns, and it is still in the processor's cache.
    if (connection.readable >= BULK && (this.news & ~News.READ) === 0) this.tell(News.READ)
    else this.hear(News.READ)
  }

  onWritable(connection: RawConnection): void {
    if (connection === this.connection && this.done !== null) this.runForWriter(this.goOn, this)
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    if (connection !== this.connection) return
    this.over = true
    this.broken = error
    if (this.free) this.update()
    else if (error === null || !this.reading) this.hear(News.CLOSE)
    else {
      // What came before is gone when this call has returned, and the stream passes it on before it is destroyed.
      if (connection.readable > 0) this.pullInScope()
      this.wait(News.CLOSE)
    }
  }

  private hear(one: number): void {
    if (this.news !== 0 || loop.answers) this.wait(one)
    else this.tell(one)
  }

  private wait(one: number): void {
    if (this.news === 0) whenTurned(this.later)
    this.news |= one
  }

  /** The loop has turned: one thing is told, as libuv calls back for each. */
  private tellOne(): void {
    const one = this.news & -this.news
    if (one === 0) return
    this.news &= ~one
    if (this.news !== 0) whenTurned(this.later)
    try {
      this.tell(one)
    } catch (error) {
      this.context.deps.host.uncaught(error)
    }
  }

  private tell(one: number): void {
    if (one === News.READ) {
      if (this.reading && this.connection !== null) this.pullInScope()
    } else if (this.free) this.update()
    else if (one === News.CLOSE) this.runInAsyncScope(this.finished, this, this.broken)
    else if (this.connection !== null) this.runInAsyncScope(this.connected, this)
  }

  applyOptions(): void {
    if (this.noDelay) this.connection!.setNoDelay(true)
    if (this.keepAlive) this.connection!.setKeepAlive(true, this.keepAliveDelay)
  }

  private connected(): void {
    this.stopAttemptTimer()
    this.attemptFailed = null
    this.applyOptions()
    this.active()
    this.socket.connecting = false
    this.update()
    this.socket.emit('connect')
    this.socket.emit('ready')
    if (!this.socket.destroyed && !this.socket.isPaused()) this.socket.read(0)
  }

  private finished(error: NetError | null): void {
    if (this.socket.connecting) {
      this.connection = null
      this.attemptFailed?.(error ?? new NetError('ECONNABORTED'))
      return
    }
    this.update()
    // Who reads is told first, as epoll reports; a socket that neither reads nor writes finds out when it does.
    if (this.reading) this.pullInScope()
    if (this.free) return
    if (error !== null && this.done !== null) this.flush()
    else if (this.isCut) this.socket.destroy()
  }

  /** Ended from this side, without the socket's doing: the stack was closed. */
  private get isCut(): boolean {
    const connection = this.connection!
    return this.over && this.broken === null && !connection.ended && connection.readable === 0
  }

  // Reading

  startReading(): void {
    this.reading = true
    this.update()
    if (!loop.sent) this.pull()
    else if (this.over || this.connection!.readable > 0 || this.connection!.ended) this.wait(News.READ)
  }

  stopReading(): void {
    this.reading = false
    this.update()
  }

  /** With `onread` there is no stream buffer whose draining would ask for more: `resume` and `read` do. */
  resumeUser(): void {
    if (this.userCallback !== null && !this.socket.connecting) this.readStart()
  }

  /** Reads on later, as a kernel would tell: whoever resumes is not called back before `resume` has returned and is done. */
  readStart(): void {
    if (this.reading || this.ended || this.open === null) return
    this.reading = true
    this.update()
    setImmediate(again, this)
  }

  pauseUser(): void {
    if (this.userCallback !== null && this.reading && !this.socket.connecting) this.stopReading()
  }

  private pullInScope(): void {
    try {
      this.runInAsyncScope(this.pull, this)
    } catch (error) {
      // A listener threw amid the bytes. The rest is told again, as a kernel would; the error goes where the turn takes it.
      process.nextTick(again, this)
      throw error
    }
  }

  /** Moves what the connection has to the stream, until one of them has no more to do. */
  pull(): void {
    if (this.pulling) return
    this.pulling = true
    let pulled = false
    try {
      while (this.reading && this.connection !== null) {
        const ready = this.connection.readable
        if (ready === 0) {
          // An error would take the bytes away that the stream has not yet passed on: they come first.
          if (pulled && this.over && !this.connection.ended) process.nextTick(again, this)
          else this.pullEnd(this.connection)
          return
        }
        pulled = true
        this.pulledAt = countTurns()
        this.active()
        const more = this.userCallback === null ? this.pullChunk(this.connection, ready) : this.pullUser(this.connection, ready)
        if (!more) this.stopReading()
      }
    } finally {
      this.pulling = false
    }
  }

  private pullChunk(connection: RawConnection, ready: number): boolean {
    const buf = chunkOf(ready < CHUNK ? ready : CHUNK)
    const n = connection.read(buf, 0, buf.length)
    return this.socket.push(n === buf.length ? buf : buf.subarray(0, n))
  }

  private pullUser(connection: RawConnection, ready: number): boolean {
    const buf = this.userBuffer
    if (buf.length === 0) return false
    const n = connection.read(buf, 0, ready < buf.length ? ready : buf.length)
    const more = this.userCallback!.call(this.socket, n, buf) !== false
    if (this.userBufferOf !== null) {
      const next = this.userBufferOf.call(this.socket)
      if (next instanceof Uint8Array) this.userBuffer = next
    }
    return more
  }

  /** Nothing is left to read for now: for ever? */
  private pullEnd(connection: RawConnection): void {
    if (connection.ended && !this.ended) {
      // A read of its own, as with a kernel: it comes when what the last bytes set going is done, promises and all. An http server has answered the
      // request by then. Whatever breaks the connection after its end is not for who reads.
      if (this.endComes) return
      this.endComes = true
      if (this.pulledAt === loop.count) setImmediate(tellEnd, this)
      else this.pushEnd()
    } else if (this.isCut) this.socket.destroy()
    else if (this.broken !== null) {
      this.socket.destroy(new NetError(this.broken.code, { syscall: 'read' }))
    }
  }

  /** The stream ends, unless it was paused meanwhile: then it asks again. */
  pushEnd(): void {
    this.endComes = false
    if (!this.reading || !this.connection?.ended || this.connection.readable > 0) return
    this.ended = true
    this.stopReading()
    this.socket.push(null)
    this.socket.read(0)
  }

  // Writing

  write(chunk: Uint8Array, queue: QueuedChunk[] | null, done: Done): void {
    if (this.connection === null) {
      done(badState('ERR_SOCKET_CLOSED'))
      return
    }
    this.active()
    sends()
    this.out = chunk
    this.outAt = 0
    this.queue = queue
    this.queueAt = 0
    this.taken = 0
    this.done = done
    this.flush()
    if (this.done === null) return
    this.writeWaits()
    this.update()
  }

  private goOn(): void {
    this.active()
    this.flush()
    if (this.done === null) this.update()
  }

  /** Gives the connection as much of the write in progress as it takes. */
  private flush(): void {
    const connection = this.connection!
    let error: NetError | null = null
    try {
      for (;;) {
        const out = this.out!
        const n = connection.write(out, this.outAt, out.length - this.outAt)
        this.outAt += n
        this.taken += n
        if (this.outAt < out.length) return
        if (this.queue === null || ++this.queueAt === this.queue.length) break
        this.out = this.queue[this.queueAt].chunk
        this.outAt = 0
      }
    } catch (thrown) {
      error = new NetError(codeOf(this.broken ?? thrown), { syscall: 'write' })
    }
    this.endWrite()?.(error)
  }

  private endWrite(): Done | null {
    const done = this.done
    this.out = null
    this.queue = null
    this.done = null
    this.taken = 0
    return done
  }

  shutdown(): void {
    sends()
    try {
      this.connection?.shutdown()
    } catch {
      // Broken already: a read or destroy finds out, as with shutdown(2) and ENOTCONN.
    }
    this.update()
  }

  /** The socket is destroyed. Returns the callback of the write that was in progress. */
  release(reset: boolean): Done | null {
    this.stopAttemptTimer()
    this.attemptFailed = null
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.reading = false
    this.free = true
    const done = this.endWrite()
    sends()
    if (reset) this.connection?.abort()
    else this.connection?.close()
    this.update()
    return done
  }

  /** The connection as the socket sees it: none once it was destroyed. */
  get open(): RawConnection | null {
    return this.free ? null : this.connection
  }

  // Keeping the process alive

  update(): void {
    const connection = this.connection
    // Who still looks a name up is held by what looks, if at all.
    const busy = !this.free && connection !== null && (this.socket.connecting || this.reading || this.done !== null)
    const unsent = connection !== null && !this.over && connection.unsent > 0
    const hold = this.wanted && (busy || unsent)
    if (hold !== this.held) {
      this.held = hold
      if (hold) this.context.deps.host.hold()
      else this.context.deps.host.release()
    }
    if (hold && !busy && !this.waiting) {
      this.waiting = true
      this.context.deps.host.after(LINGER_MS, this)
    }
  }

  /** The lingering timer. */
  run(): void {
    this.waiting = false
    this.update()
  }
}

function again(driver: Driver): void {
  if (driver.reading && driver.connection !== null) driver.onReadable(driver.connection)
}

function tellEnd(driver: Driver): void {
  driver.runInAsyncScope(driver.pushEnd, driver)
}
