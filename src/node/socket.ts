/**
 * `net.Socket` over a raw connection: a Duplex with Node's events in Node's order, Node's properties and Node's errors.
 *
 * Theory of operation. The stream is Node's own; the bytes are moved by the `Driver`. 'close' means what it means in Node: the
 * descriptor is given back, one turn of the event loop after `destroy`; TCP ends the connection in its own time.
 */
import { addAbortSignal, Duplex } from 'node:stream'
import { NetError } from '../base/errors.ts'
import type { RawConnection } from '../tcp/api.ts'
import { adoptable } from './callable.ts'
import type { Done, QueuedChunk } from './chunk.ts'
import { startConnect } from './connect.ts'
import type { NetContext } from './deps.ts'
import { Driver } from './driver.ts'
import { badState, checkDuration, checkFunction, checkString, missingArgs, unsupported } from './errors.ts'
import { StreamHandle } from './handle.ts'
import { isNormalized, normalizeArgs } from './normalize-args.ts'
import { type Place, place } from './place.ts'
import { checkSocketOptions, type SocketOptions, streamOptions, usableOnRead } from './socket-args.ts'

/** How a server makes a socket of a connection that it accepted. */
export interface Accepted {
  connection: RawConnection
  /** The listener is one of both families. */
  mapped: boolean
  pause: boolean
  /** What `socket.server` shows. */
  server: unknown
  /** Called when the socket is gone. */
  gone(): void
}

/** The state that is neither the stream's nor the driver's. */
class Inside {
  readonly driver: Driver
  accepted: Accepted | null
  /** 'end' was emitted and half-open is not allowed. */
  finished = false
  resetting = false
  peer: Partial<Place> | null = null
  local: Partial<Place> | null = null
  handle: StreamHandle | null = null
  /** Counts of the connection that was destroyed. */
  bytesRead = 0
  bytesWritten = 0

  constructor(driver: Driver, accepted: Accepted | null) {
    this.driver = driver
    this.accepted = accepted
  }
}

const inside = Symbol('tapstack')

const NO_OPTIONS: SocketOptions = {}

/** A `net.Socket` on the stack. docs/net.md says what differs. */
export class Socket extends adoptable(Duplex) {
  // Declared and set in the constructor: field initialisers on top of a stream cost as much as the stream.
  declare connecting: boolean
  declare timeout?: number
  /** The server that accepted it, or null. */
  declare server: unknown
  /** `address:port` of each attempt when a name had several addresses. */
  declare autoSelectFamilyAttemptedAddresses?: string[]
  /** The name that was looked up. */
  declare _host: string | null
  /** Set by Node's http: an error was told to the request. */
  declare _hadError: boolean
  /** Of Node's, for TLS over another stream; null here. */
  declare _parent: unknown
  declare private [inside]: Inside

  constructor(context: NetContext, options: SocketOptions | number | null = null, accepted: Accepted | null = null) {
    if (typeof options === 'number') throw unsupported('a file descriptor', 'use node:net for it')
    const given = options ?? NO_OPTIONS
    checkSocketOptions(given)
    super(streamOptions(given))
    this.connecting = false
    this._hadError = false
    this._parent = null
    this._host = null
    this.server = accepted === null ? null : accepted.server
    const driver = new Driver(context, this, usableOnRead(given.onread))
    driver.noDelay = Boolean(given.noDelay)
    driver.keepAlive = Boolean(given.keepAlive)
    driver.keepAliveDelay = Math.max(given.keepAliveInitialDelay || 0, 0)
    this[inside] = new Inside(driver, accepted)
    this.on('end', markFinished)
    if (accepted !== null) {
      driver.away()
      driver.drive(accepted.connection)
      driver.applyOptions()
      if (accepted.pause) this.pause()
      else this.read(0)
    }
    if (given.signal) addAbortSignal(given.signal, this)
  }

  /** `(options, cb)`, `(port, host, cb)`, or what `net._normalizeArgs` made of those. */
  connect(...args: unknown[]): this {
    const [options, callback] = isNormalized(args[0]) ? args[0] : normalizeArgs(args)
    if (callback !== null) this.once('connect', callback)
    if (options.port === undefined && (options.path === undefined || options.path === null)) {
      throw missingArgs('The "options" or "port" or "path" argument must be specified')
    }
    if (options.path) {
      checkString(options.path, 'options.path')
      throw unsupported(`a socket path (${options.path})`, 'use node:net for it')
    }
    const state = this[inside]
    if (this.destroyed) {
      // A socket may be connected again after it was destroyed; the stream has only its own underscored way back.
      const stream = this as unknown as { _undestroy(): void }
      stream._undestroy()
      state.driver.forget()
      state.finished = false
      state.peer = null
      state.local = null
      state.handle = null
      state.bytesRead = 0
      state.bytesWritten = 0
    }
    state.driver.active()
    state.driver.here()
    this.connecting = true
    startConnect(this, state.driver, options)
    state.driver.update()
    return this
  }

  // The stream's side

  override _read(): void {
    const { driver } = this[inside]
    if (this.connecting || driver.open === null) this.once('connect', this._read)
    else if (!driver.reading) driver.startReading()
  }

  override read(size?: number): unknown {
    this[inside].driver.resumeUser()
    return super.read(size)
  }

  override pause(): this {
    this[inside].driver.pauseUser()
    return super.pause()
  }

  override resume(): this {
    this[inside].driver.resumeUser()
    return super.resume()
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Done): void {
    if (this.connecting) writeLater(this, () => this._write(chunk, _encoding, done), done)
    else this[inside].driver.write(chunk, null, done)
  }

  override _writev(chunks: QueuedChunk[], done: Done): void {
    if (this.connecting) writeLater(this, () => this._writev(chunks, done), done)
    else this[inside].driver.write(chunks[0].chunk, chunks, done)
  }

  override _final(done: Done): void {
    if (this.pending) {
      this.once('connect', () => this._final(done))
      return
    }
    this[inside].driver.shutdown()
    process.nextTick(done) // never at once: a reader that is done with the socket comes first
  }

  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    if (!this[inside].finished || !this.writableEnded) {
      return super.write(chunk, encoding as BufferEncoding, callback as (error: Error | null | undefined) => void)
    }
    const done = typeof encoding === 'function' ? encoding : callback
    const error = new NetError('EPIPE', { message: 'This socket has been ended by the other party' })
    if (typeof done === 'function') process.nextTick(done as Done, error)
    this.destroy(error)
    return false
  }

  /** Destroys the socket once everything written was handed to TCP. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', this.destroy)
  }

  /** Ends the connection with a RST. */
  resetAndDestroy(): this {
    if (this.connecting) this.once('connect', reset)
    else if (this[inside].driver.open === null) this.destroy(badState('ERR_SOCKET_CLOSED'))
    else reset.call(this)
    return this
  }

  /** @internal */
  _reset(): void {
    this[inside].resetting = true
    this.destroy()
  }

  override _destroy(error: Error | null, done: Done): void {
    const state = this[inside]
    const hadHandle = this.connecting || state.driver.open !== null
    state.bytesRead = this.bytesRead
    state.bytesWritten = written(this, state)
    state.local = null
    this.connecting = false
    const write = state.driver.release(state.resetting)
    state.resetting = false
    done(error)
    // After all that is set going now, by a tick or as immediate: where libuv calls back who closed a handle.
    if (hadHandle) process.nextTick(setImmediate, closeInScope, this, error !== null, write)
    else process.nextTick(emitClose, this, undefined, write)
    const accepted = state.accepted
    state.accepted = null
    accepted?.gone()
  }

  // Looking

  get pending(): boolean {
    return this.connecting || openOf(this) === null
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening'
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  get bytesRead(): number {
    // Undefined on the prototype, where Node has no number either; so all that follow.
    const state = this[inside] as Inside | undefined
    if (state === undefined) return undefined as unknown as number
    const connection = state.driver.open
    return connection === null ? state.bytesRead : connection.bytesRead
  }

  get bytesWritten(): number {
    const state = this[inside] as Inside | undefined
    if (state === undefined) return undefined as unknown as number
    return this.destroyed && state.driver.open === null ? state.bytesWritten : written(this, state)
  }

  get bufferSize(): number {
    // Node's is undefined without a handle; its type says number.
    return this.connecting || openOf(this) !== null ? this.writableLength : (undefined as unknown as number)
  }

  get localAddress(): string | undefined {
    return sockname(this).address
  }

  get localPort(): number | undefined {
    return sockname(this).port
  }

  get localFamily(): string | undefined {
    return sockname(this).family
  }

  get remoteAddress(): string | undefined {
    return peername(this).address
  }

  get remotePort(): number | undefined {
    return peername(this).port
  }

  get remoteFamily(): string | undefined {
    return peername(this).family
  }

  /** The local address; empty when there is none. */
  address(): Place | Record<string, never> {
    return { ...sockname(this) } as Place
  }

  /**
   * Not Node's: the raw connection below, for `tapstack.set({ cork: true })`, `tapstack.info()`. Null while there is none. Reading, writing and closing
   * are the socket's.
   */
  get tapstack(): RawConnection | null {
    return openOf(this)
  }

  // Not Node's interface, but looked at by programs.

  get _connecting(): boolean {
    return this.connecting
  }

  get _bytesDispatched(): number {
    return this.bytesWritten - this.writableLength
  }

  get _server(): unknown {
    return this.server
  }

  /** Null where Node has none: before `connect` and after `destroy`. */
  get _handle(): StreamHandle | null {
    const state = this[inside] as Inside | undefined
    if (state === undefined || (!this.connecting && state.driver.open === null)) return null
    state.handle ??= new StreamHandle(state.driver, this)
    return state.handle
  }

  _getsockname(): Partial<Place> {
    return sockname(this)
  }

  _getpeername(): Partial<Place> {
    return peername(this)
  }

  _onTimeout(): void {
    this.emit('timeout')
  }

  /** 'timeout' is that far away again. */
  _unrefTimer(): void {
    this[inside].driver.active()
  }

  // Options

  setNoDelay(on = true): this {
    const { driver } = this[inside]
    driver.noDelay = Boolean(on)
    driver.open?.setNoDelay(driver.noDelay)
    return this
  }

  setKeepAlive(on?: boolean, initialDelayMs?: number): this {
    const { driver } = this[inside]
    driver.keepAlive = Boolean(on)
    driver.keepAliveDelay = Math.max(Math.trunc(Number(initialDelayMs) || 0), 0)
    driver.open?.setKeepAlive(driver.keepAlive, driver.keepAliveDelay)
    return this
  }

  /** 'timeout' comes after `ms` without reading or writing; 0 ends that. */
  setTimeout(ms: number, callback?: () => void): this {
    if (this.destroyed) return this
    const { driver } = this[inside]
    this.timeout = ms
    const duration = checkDuration(ms, 'msecs')
    if (driver.timer !== null) clearTimeout(driver.timer)
    driver.timer = duration === 0 ? null : setTimeout(onTimeout, duration, this).unref()
    if (callback !== undefined) {
      checkFunction(callback, 'callback')
      if (duration === 0) this.removeListener('timeout', callback)
      else this.once('timeout', callback)
    }
    return this
  }

  ref(): this {
    this[inside].driver.wanted = true
    this[inside].driver.update()
    return this
  }

  unref(): this {
    this[inside].driver.wanted = false
    this[inside].driver.update()
    return this
  }
}

/** Writes once there is a connection. */
function writeLater(socket: Socket, write: () => void, done: Done): void {
  const closed = (): void => done(badState('ERR_SOCKET_CLOSED_BEFORE_CONNECTION'))
  socket.once('connect', () => {
    socket.off('close', closed)
    write()
  })
  socket.once('close', closed)
}

/** What TCP took, and what is queued; `writableLength` has the write in progress whole. */
function written(socket: Socket, state: Inside): number {
  const connection = state.driver.open
  return (connection === null ? 0 : connection.bytesWritten) + socket.writableLength - state.driver.taken
}

/** Both families in one socket: an IPv4 address shows as IPv6. */
function isMapped(state: Inside): boolean {
  return state.accepted === null ? state.driver.mapped : state.accepted.mapped
}

function openOf(socket: Socket): RawConnection | null {
  return (socket[inside] as Inside | undefined)?.driver.open ?? null
}

function sockname(socket: Socket): Partial<Place> {
  const c = openOf(socket)
  if (c === null) return {}
  const state = socket[inside]
  if (socket.connecting) return place(state.driver.context.deps, c.localAddress, c.localPort, false)
  state.local ??= place(state.driver.context.deps, c.localAddress, c.localPort, isMapped(state))
  return state.local
}

function peername(socket: Socket): Partial<Place> {
  const c = openOf(socket)
  const state = socket[inside]
  if (c === null || socket.connecting) return state?.peer ?? {}
  state.peer ??= place(state.driver.context.deps, c.remoteAddress, c.remotePort, isMapped(state))
  return state.peer
}

function markFinished(this: Socket): void {
  if (!this.allowHalfOpen) this[inside].finished = true
}

function reset(this: Socket): void {
  this._reset()
}

function onTimeout(socket: Socket): void {
  socket._onTimeout()
}

function closeInScope(socket: Socket, hadError: boolean, write: Done | null): void {
  socket[inside].driver.runInAsyncScope(() => emitClose(socket, hadError, write), undefined)
}

function emitClose(socket: Socket, hadError: boolean | undefined, write: Done | null): void {
  write?.(null)
  if (hadError === undefined) socket.emit('close')
  else socket.emit('close', hadError)
}
