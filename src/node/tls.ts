/**
 * `node:tls` on a stack of one's own: Node's TLSSocket and Server, and OpenSSL below them, over our sockets.
 *
 * Theory of operation. A TLSSocket of Node is a `net.Socket` that either opens a connection of the host or is laid over a socket. Ours is
 * always laid over one: over the bridge of a socket of our net, which it makes itself where Node's would open a connection. What Node's emits
 * while it connects, the socket below emits and the TLSSocket repeats. A server is Node's on a server of our net.
 */
import type { Socket as NodeSocket } from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { type Bridge, bridge, bridged, claim } from './bridge.ts'
import { adoptable, type Callable, callable, countAs } from './callable.ts'
import type { ConnectOptions } from './connect.ts'
import { unsupported } from './errors.ts'
import { moduleOf } from './module-of.ts'
import type { NetModule } from './net.ts'
import { normalizeArgs } from './normalize-args.ts'
import { served, serverOptions } from './served.ts'
import type { ServerOptions } from './server.ts'
import { Socket } from './socket.ts'
import type { OnReadOptions } from './socket-args.ts'

type SecureListener = (socket: tls.TLSSocket) => void

/** Node's, and socket options of TCP for every connection that is accepted. */
export interface TlsServerOptions extends tls.TlsOptions, Pick<ServerOptions, 'tapstack'> {}

/** Everything of `node:tls`; what opens connections or listens does it through the stack. */
export interface TlsModule extends Omit<typeof tls, 'TLSSocket' | 'Server' | 'connect' | 'createServer'> {
  readonly TLSSocket: Callable<[socket?: Duplex | null, options?: tls.TLSSocketOptions], tls.TLSSocket>
  readonly Server: Callable<[options?: TlsServerOptions | SecureListener, listener?: SecureListener], tls.Server>
  /** `(options, cb)` or `(port, host, options, cb)`. */
  connect(...args: unknown[]): tls.TLSSocket
  createServer(options?: TlsServerOptions | SecureListener, listener?: SecureListener): tls.Server
}

/** Lays a TLSSocket over a new socket of ours and connects that. `make` is given the socket to lay it over. */
export type Over = (options: ConnectOptions, make: (socket: NodeSocket) => tls.TLSSocket) => tls.TLSSocket

/** What the socket below emits and Node's TLSSocket does not repeat. */
const REPEATED = ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout', 'ready']

export interface TlsParts {
  module: TlsModule
  over: Over
}

export function createTls(net: NetModule): TlsParts {
  function newBridge(options: ConnectOptions): [Socket, Bridge] {
    const { noDelay, keepAlive, keepAliveInitialDelay, allowHalfOpen, tapstack } = options
    const raw = net.Socket({ noDelay, keepAlive, keepAliveInitialDelay, allowHalfOpen, tapstack })
    return [raw, bridge(raw)]
  }

  const over: Over = (options, make) => {
    if (options.path) throw unsupported(`a socket path (${options.path})`, 'use node:tls for it')
    const [raw, below] = newBridge(options)
    const secure = make(below)
    claim(secure)
    repeat(secure, raw)
    if (options.timeout) secure.setTimeout(options.timeout)
    if (options.onread) readInto(secure, options.onread)
    // With a signal that is aborted already, Node's constructor has told of it and of the end.
    if (!options.signal?.aborted) raw.connect({ ...options, signal: undefined })
    return secure
  }

  function connect(...args: unknown[]): tls.TLSSocket {
    const [options, onSecure] = connectArgs(args)
    // Node's asks its module for this one, where an application may have put another.
    if (module.createSecureContext !== tls.createSecureContext && !options.secureContext) {
      options.secureContext = module.createSecureContext({ ciphers: tls.DEFAULT_CIPHERS, minDHSize: 1024, ...options } as object)
    }
    if (options.socket) return claim(tls.connect({ ...options, socket: bridged(options.socket) }, onSecure))
    return over(options as ConnectOptions, (socket) => tls.connect({ ...options, socket }, onSecure))
  }

  class TLSSocket extends adoptable(tls.TLSSocket) {
    /** The socket of ours below, where there is one. */
    private readonly _below: Socket | null

    constructor(socket?: Duplex | null, options?: tls.TLSSocketOptions) {
      const [raw, below] = socket ? [socket, bridged(socket)] : newBridge((options ?? {}) as ConnectOptions)
      super(below as NodeSocket, options)
      this._below = raw instanceof Socket ? raw : null
      if (!socket) repeat(this, raw as Socket)
      claim(this)
    }

    override connect(...args: unknown[]): this {
      if (this._below === null) throw unsupported('connecting this socket', 'it is laid over a stream that is not of a stack')
      const callback = normalizeArgs(args)[1]
      if (callback !== null) this.once('connect', callback)
      this._below.connect(...args.filter((arg) => arg !== callback))
      return this
    }
  }
  const Face = callable<[(Duplex | null)?, tls.TLSSocketOptions?], tls.TLSSocket>('TLSSocket', TLSSocket)
  countAs(Face, tls.TLSSocket) // those that Node's functions made

  const NodeServer = tls.Server as new (options?: TlsServerOptions | SecureListener, listener?: SecureListener) => tls.Server
  const Server = callable(
    'Server',
    served(net, NodeServer, 'handle', (options) => serverOptions(options, false)),
  )
  countAs(Server, tls.Server) // those of https and http2

  const ours = {
    TLSSocket: Face,
    Server,
    connect,
    createServer: (options?: TlsServerOptions | SecureListener, listener?: SecureListener) => new Server(options, listener),
  }
  const module = moduleOf<TlsModule>(tls, ours)
  return { module, over }
}

function connectArgs(args: unknown[]): [tls.ConnectionOptions, (() => void) | undefined] {
  const [options, callback] = normalizeArgs(args)
  const more = typeof args[1] === 'object' && args[1] !== null ? args[1] : args[2]
  return [{ ...options, ...(typeof more === 'object' ? more : null) } as tls.ConnectionOptions, callback ?? undefined]
}

function repeat(secure: tls.TLSSocket, raw: Socket): void {
  for (const event of REPEATED) raw.on(event, (...args) => secure.emit(event, ...(args as [])))
  Object.defineProperty(secure, 'autoSelectFamilyAttemptedAddresses', {
    get: () => raw.autoSelectFamilyAttemptedAddresses,
    configurable: true,
    enumerable: true,
  })
}

/** `onread`, which Node's TLSSocket knows only when it opens the connection itself: bytes go to the callback and not into the stream. */
function readInto(secure: tls.TLSSocket, { buffer, callback }: OnReadOptions): void {
  const { push, resume, _read } = secure
  let into = typeof buffer === 'function' ? buffer() : buffer
  /** What came after the callback had enough, perhaps the end too; null: it takes more. One record of TLS after the other may still come. */
  let kept: (Uint8Array | null)[] | null = null
  const deliver = (chunk: Uint8Array | null): boolean => {
    if (kept !== null) kept.push(chunk)
    else if (chunk === null) push.call(secure, null)
    for (let at = 0; kept === null && chunk !== null && at < chunk.length; ) {
      const n = Math.min(into.length, chunk.length - at)
      into.set(chunk.subarray(at, at + n))
      at += n
      const more = callback(n, into) !== false
      if (typeof buffer === 'function') into = buffer()
      if (!more) kept = at < chunk.length ? [chunk.subarray(at)] : []
    }
    return kept === null
  }
  secure.push = deliver
  secure.resume = () => {
    const waiting = kept ?? []
    kept = null
    for (const chunk of waiting) deliver(chunk)
    if (kept === null) _read.call(secure, 0)
    return resume.call(secure)
  }
}
