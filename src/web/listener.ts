/**
 * `for await (const socket of stack.tcp.listen({ port }))`. A connection is taken from TCP's queue when somebody asks for it: who is slow makes
 * the queue fill, up to the backlog, and TCP lets the rest wait outside.
 */
import type { AbortLike } from '../base/abort.ts'
import { Settled } from '../host-web/web-streams.ts'
import type { ListenerHandler, ListenOptions, RawConnection, RawListener } from '../tcp/api.ts'
import { openedOf, TcpSocket } from './tcp-socket.ts'

/** Where to listen, and how many connections may wait. */
export interface WebListenOptions extends Omit<ListenOptions, 'address'> {
  /** An address of the stack to listen on: a literal. All of them when left out. */
  hostname?: string
  /** Of the sockets that are accepted. False when left out: when the peer has ended and that was read, our direction ends as well. */
  allowHalfOpen?: boolean
  /** Ends the listener; who waits for a connection then gets its reason. */
  signal?: AbortLike
}

type Result = IteratorResult<TcpSocket, undefined>

function nothing(): void {}

const DONE: Result = { done: true, value: undefined }

/** A listener in the web's shape: an async iterator of connections. Made by `listen` without a handler. */
export class TcpListener implements AsyncIterableIterator<TcpSocket>, ListenerHandler {
  /** Resolves when it listens no more. */
  readonly closed: Promise<void>
  private readonly end = new Settled<void>()
  private readonly waiting: Settled<Result>[] = []
  private isClosed = false
  /** The signal's reason, until somebody was told. */
  private failure: { readonly reason: unknown } | null = null
  private readonly raw: RawListener
  private readonly aborted = (): void => {
    this.failure = { reason: this.options.signal!.reason }
    this.close()
  }

  /** Made by `stack.tcp.listen`. */
  constructor(
    listen: (handler: ListenerHandler) => RawListener,
    private readonly options: WebListenOptions,
    private readonly endpoint: (c: RawConnection, remote: boolean) => string,
    private readonly memory: (bytes: number) => Uint8Array<ArrayBuffer>,
    private readonly forget: (listener: TcpListener) => void,
  ) {
    this.closed = this.end.promise
    this.raw = listen(this)
    const { signal } = options
    if (signal?.aborted) this.aborted()
    else signal?.addEventListener('abort', this.aborted)
  }

  /** The port that it listens on. */
  get port(): number {
    return this.raw.localPort
  }

  /** The address that it listens on; `0.0.0.0` or `::` is all of them. */
  get hostname(): string {
    return this.raw.localAddress.toString()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next connection. */
  next(): Promise<Result> {
    const { failure } = this
    if (failure !== null) {
      this.failure = null
      return Promise.reject(failure.reason)
    }
    if (this.isClosed) return Promise.resolve(DONE)
    const connection = this.waiting.length === 0 ? this.raw.accept() : null
    if (connection !== null) return Promise.resolve(this.accepted(connection))
    const waiting = new Settled<Result>()
    this.waiting.push(waiting)
    return waiting.promise
  }

  /** Ends listening, as `break` does. Sockets that were taken live on; connections that nobody took are reset. */
  return(): Promise<Result> {
    this.close()
    return Promise.resolve(DONE)
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.options.signal?.removeEventListener('abort', this.aborted)
    this.forget(this)
    this.raw.close()
    for (const one of this.waiting.splice(0)) {
      if (this.failure === null) one.resolve(DONE)
      else {
        one.reject(this.failure.reason)
        this.failure = null
      }
    }
    this.end.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return this.closed
  }

  onAcceptable(): void {
    while (this.waiting.length > 0) {
      const connection = this.raw.accept()
      if (connection === null) return
      this.waiting.shift()!.resolve(this.accepted(connection))
    }
  }

  private accepted(connection: RawConnection): Result {
    const { allowHalfOpen = false } = this.options
    const opened = openedOf(connection, this.endpoint)
    const settings = { allowHalfOpen, secureTransport: 'off', hostname: '', secure: null, memory: this.memory } as const
    const value = new TcpSocket(settings, (awaiting) => {
      awaiting.opened(opened)
      return nothing
    })
    return { done: false, value }
  }
}
