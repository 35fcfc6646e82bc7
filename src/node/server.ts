/**
 * `net.Server` over a raw listener.
 *
 * Theory of operation. `listen` checks its arguments at once; with a host name or literal the listener is made after the lookup, as in
 * Node, so `address()` is null until then. Every connection that TCP has accepted becomes a `Socket`. A server is closed when it
 * listens no more and the last of its sockets is gone. A listener keeps the process alive unless `unref` was said.
 */
import { AsyncResource } from 'node:async_hooks'
import { addAbortListener, EventEmitter } from 'node:events'
import { getDefaultHighWaterMark } from 'node:stream'
import { promisify } from 'node:util'
import { type Address, ANY, ANY_V4 } from '../base/address.ts'
import type { Task } from '../base/clock.ts'
import type { NetError } from '../base/errors.ts'
import type { ConnectionHandler, ListenerHandler, ListenerOptions, RawConnection, RawListener } from '../tcp/api.ts'
import { checkListenerOptions } from '../tcp/socket-options.ts'
import { adoptable } from './callable.ts'
import * as channels from './channels.ts'
import { lookupOf, type NodeDeps, type Owned } from './deps.ts'
import { badState, badType, badValue, checkNumber, checkPort, checkSignal, codeOf, listenError, unsupported } from './errors.ts'
import { Handle, type Held } from './handle.ts'
import { loop, whenTurned } from './loop.ts'
import { isPathName, normalizeArgs } from './normalize-args.ts'
import { literal, type Place, place } from './place.ts'
import type { Accepted, Socket } from './socket.ts'
import type { SocketOptions } from './socket-args.ts'

/** Options of `net.createServer`, as Node has them. */
export interface ServerOptions {
  allowHalfOpen?: boolean
  pauseOnConnect?: boolean
  noDelay?: boolean
  keepAlive?: boolean
  /** ms before the first keep-alive probe. */
  keepAliveInitialDelay?: number
  highWaterMark?: number
  /** Not Node's: socket options of TCP for every connection that is accepted, from the SYN-ACK on. */
  tapstack?: ListenerOptions
}

/** Options of `server.listen`, as Node has them. */
export interface ListenOptions {
  port?: number | string | null
  host?: string
  backlog?: number
  exclusive?: boolean
  ipv6Only?: boolean
  signal?: AbortSignal
  path?: string
  fd?: number
}

/** Makes the socket of an accepted connection; the net module gives its own class. */
export type SocketMaker = (options: SocketOptions, accepted: Accepted) => Socket

/** What the server is to its listener, in the async context of `listen`. */
class Listening extends AsyncResource implements ListenerHandler, Owned, Held {
  listener: RawListener | null = null
  readonly handle: Handle
  /** Accepted, but not yet told. */
  readonly arrivals = new Set<Arrival>()
  private held = false

  constructor(
    private readonly server: Server,
    readonly deps: NodeDeps,
    /** One listener for both families. */
    readonly mapped: boolean,
  ) {
    super('TAPSTACKTCPSERVER')
    this.handle = new Handle(this, server, () => this.sockname())
  }

  onConnection(connection: RawConnection): void {
    if (loop.answers) this.arrivals.add(new Arrival(this, connection))
    else this.tell(connection)
  }

  tell(connection: RawConnection): void {
    this.runInAsyncScope(this.server._onConnection, this.server, connection)
  }

  hold(on: boolean): void {
    if (on === this.held) return
    this.held = on
    if (on) this.deps.host.hold()
    else this.deps.host.release()
  }

  get wanted(): boolean {
    return this.held
  }

  sockname(): Place {
    const { localAddress, localPort } = this.listener!
    return place(this.deps, localAddress, localPort, this.mapped)
  }

  open(listener: RawListener): void {
    this.listener = listener
    this.deps.owned.add(this)
  }

  close(): void {
    this.hold(false)
    this.deps.owned.delete(this)
    this.listener!.close()
    for (const { connection } of this.arrivals) connection.abort()
    this.arrivals.clear()
  }

  end(): void {
    this.server.close()
  }
}

/** A connection that is told when the event loop has turned (loop.ts), or breaks. */
class Arrival implements ConnectionHandler, Task {
  private over = false

  constructor(
    private readonly listening: Listening,
    readonly connection: RawConnection,
  ) {
    connection.handler = this
    whenTurned(this)
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    this.over = error === null
    if (this.over) return
    // What it brought is gone when this call has returned.
    this.run()
    connection.handler.onClose?.(connection, error)
  }

  run(): void {
    const { listening, connection } = this
    if (!listening.arrivals.delete(this)) return // told, or the server was closed meanwhile and the connection with it
    try {
      listening.tell(connection)
    } catch (error) {
      listening.deps.host.uncaught(error)
    }
    // Not before the socket has passed on what came until then.
    if (this.over) setImmediate(() => connection.handler.onClose?.(connection, null))
  }
}

/** A `net.Server` on the stack. docs/net.md says what differs. */
export class Server extends adoptable(EventEmitter) {
  allowHalfOpen: boolean
  pauseOnConnect: boolean
  noDelay: boolean
  keepAlive: boolean
  /** ms, as given; node:net shows seconds here. */
  keepAliveInitialDelay: number
  highWaterMark: number
  maxConnections?: number
  /** Connections now open. */
  _connections = 0
  /** `family:address:port` as asked for; not Node's interface, but shown by it. */
  declare _connectionKey?: string
  private _listening: Listening | null = null
  private readonly _tapstack: ListenerOptions | undefined
  private _unref = false
  /** Told apart by number: a lookup that ends after `close` or another `listen` is nobody's. */
  private _listenId = 0

  constructor(
    private readonly _deps: NodeDeps,
    private readonly _makeSocket: SocketMaker,
    options?: ServerOptions | ((socket: Socket) => void) | null,
    connectionListener?: (socket: Socket) => void,
  ) {
    super()
    let listener = connectionListener
    let given: ServerOptions = {}
    if (typeof options === 'function') listener = options
    else if (typeof options === 'object' && options !== null) given = options
    else if (options !== undefined && options !== null) throw badType('options', 'of type object', options)
    if (typeof listener === 'function') this.on('connection', listener)
    if (given.keepAliveInitialDelay !== undefined) checkNumber(given.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
    if (given.highWaterMark !== undefined) checkNumber(given.highWaterMark, 'options.highWaterMark')
    if (given.tapstack !== undefined) checkListenerOptions(given.tapstack)
    this._tapstack = given.tapstack
    this.allowHalfOpen = given.allowHalfOpen || false
    this.pauseOnConnect = Boolean(given.pauseOnConnect)
    this.noDelay = Boolean(given.noDelay)
    this.keepAlive = Boolean(given.keepAlive)
    this.keepAliveInitialDelay = Math.max(given.keepAliveInitialDelay || 0, 0)
    this.highWaterMark = (given.highWaterMark ?? -1) < 0 ? getDefaultHighWaterMark(false) : given.highWaterMark!
  }

  /** `(port, host, backlog, cb)`, any of them left out, or `(options, cb)`. */
  listen(...args: unknown[]): this {
    const [first, callback] = normalizeArgs(args)
    if (this._listening !== null) throw badState('ERR_SERVER_ALREADY_LISTEN')
    if (channels.listenStart.hasSubscribers) channels.listenStart.publish({ server: this, options: first })
    if (callback !== null) this.once('listening', callback)
    const given = first as ListenOptions & { _handle?: object; handle?: object }
    const options = (given._handle || given.handle || given) as ListenOptions
    const backlogArg = positive(args[1]) ?? positive(args[2])
    const id = ++this._listenId
    this._closeOnAbort(options.signal)
    if (isHandle(options)) throw unsupported('listening on a handle', 'use node:net for it')
    if (typeof options.fd === 'number' && options.fd >= 0)
      throw unsupported('listening on a file descriptor', 'use node:net for it')
    let port = options.port
    const none = args.length === 0 || typeof args[0] === 'function'
    if (none || (port === undefined && 'port' in options) || port === null) port = 0
    if (typeof port !== 'number' && typeof port !== 'string') {
      if (isPathName(options.path)) throw unsupported(`listening on a path (${options.path})`, 'use node:net for it')
      const why = 'port' in options || 'path' in options ? 'is invalid' : 'must have the property "port" or "path"'
      throw badValue('options', why, options)
    }
    const number = checkPort(port, 'options.port')
    const backlog = options.backlog || backlogArg
    if (options.host) this._lookupAndListen(options.host, number, backlog, options.ipv6Only === true, id)
    else this._listenOn(this._deps.hasIpv6 ? ANY : ANY_V4, number, backlog, options.ipv6Only === true)
    return this
  }

  private _closeOnAbort(signal: AbortSignal | undefined): void {
    if (signal === undefined) return
    checkSignal(signal, 'options.signal')
    const close = (): void => {
      this.close()
    }
    if (signal.aborted) process.nextTick(close)
    else this.once('close', addAbortListener(signal, close)[Symbol.dispose])
  }

  private _lookupAndListen(host: string, port: number, backlog: number | undefined, v6only: boolean, id: number): void {
    lookupOf(this._deps)(host, {}, (error, found) => {
      if (id !== this._listenId) return
      if (error) this.emit('error', error)
      else this._listenOn(literal(this._deps, found as string), port, backlog, v6only)
    })
  }

  private _listenOn(address: Address, port: number, backlog: number | undefined, v6only: boolean): void {
    const listening = new Listening(this, this._deps, address.equals(ANY) && !v6only)
    try {
      listening.open(
        this._deps.tcp.listen({ ...this._tapstack, port, address, ipv6Only: v6only, backlog, ref: false }, listening),
      )
    } catch (thrown) {
      const error = listenError(codeOf(thrown), this._deps.addressText(address), port)
      if (channels.listenError.hasSubscribers) channels.listenError.publish({ server: this, error })
      process.nextTick(emitError, this, error)
      return
    }
    if (channels.listenEnd.hasSubscribers) channels.listenEnd.publish({ server: this })
    this._listening = listening
    this._connectionKey = `${address.family}:${this._deps.addressText(address)}:${port}`
    listening.hold(!this._unref)
    listening.runInAsyncScope(process.nextTick, process, emitListening, this)
  }

  /** @internal */
  _onConnection(connection: RawConnection): void {
    const mapped = this._listening?.mapped === true
    if (this.maxConnections && this._connections >= this.maxConnections) {
      const local = place(this._deps, connection.localAddress, connection.localPort, mapped)
      const remote = place(this._deps, connection.remoteAddress, connection.remotePort, mapped)
      connection.close()
      this.emit('drop', {
        localAddress: local.address,
        localPort: local.port,
        localFamily: local.family,
        remoteAddress: remote.address,
        remotePort: remote.port,
        remoteFamily: remote.family,
      })
      return
    }
    const options: SocketOptions = {
      allowHalfOpen: this.allowHalfOpen,
      noDelay: this.noDelay,
      keepAlive: this.keepAlive,
      keepAliveInitialDelay: this.keepAliveInitialDelay,
      readableHighWaterMark: this.highWaterMark,
      writableHighWaterMark: this.highWaterMark,
    }
    this._connections++
    const gone = (): void => {
      this._connections--
      this._emitCloseIfDrained()
    }
    const socket = this._makeSocket(options, { connection, mapped, pause: this.pauseOnConnect, server: this, gone })
    this.emit('connection', socket)
    if (channels.serverSocket.hasSubscribers) channels.serverSocket.publish({ socket })
  }

  /** Not Node's interface, but looked at by programs: null when the server does not listen. */
  get _handle(): Handle | null {
    return this._listening?.handle ?? null
  }

  get listening(): boolean {
    return this._listening !== null
  }

  /** Null before 'listening'. */
  address(): Place | null {
    return this._listening === null ? null : this._listening.sockname()
  }

  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this._connections)
    return this
  }

  /** Stops listening; 'close' comes when the last connection has ended. */
  close(callback?: (error?: Error) => void): this {
    this._listenId++
    if (typeof callback === 'function') {
      if (this._listening === null) this.once('close', () => callback(badState('ERR_SERVER_NOT_RUNNING')))
      else this.once('close', callback)
    }
    this._listening?.close()
    this._listening = null
    this._emitCloseIfDrained()
    return this
  }

  private _emitCloseIfDrained(): void {
    if (this._listening === null && this._connections === 0) process.nextTick(emitClose, this)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._listening !== null) await promisify(this.close).call(this)
  }

  /** With `captureRejections`: an async connection listener that failed ends its socket. */
  override [EventEmitter.captureRejectionSymbol](error: Error, event: string | symbol, ...args: unknown[]): void {
    if (event === 'connection') (args[0] as Socket).destroy(error)
    else this.emit('error', error)
  }

  ref(): this {
    this._unref = false
    this._listening?.hold(true)
    return this
  }

  unref(): this {
    this._unref = true
    this._listening?.hold(false)
    return this
  }
}

function isHandle(given: object): boolean {
  return typeof (given as { getAsyncId?: unknown }).getAsyncId === 'function'
}

function positive(value: unknown): number | undefined {
  const n = Number(value)
  return n > 0 ? n : undefined
}

function emitError(server: Server, error: Error): void {
  server.emit('error', error)
}

function emitListening(server: Server): void {
  if (server.listening) server.emit('listening')
}

function emitClose(server: Server): void {
  server.emit('close')
}
