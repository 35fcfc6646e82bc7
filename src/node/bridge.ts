/**
 * Our sockets as Node's TLS and HTTP/2 want them: those two read and write a native handle, not a stream, and only know such
 * handles of Node's own `net.Socket`.
 *
 * Theory of operation. Node has a class for streams that are not its own: a `net.Socket` whose handle passes bytes to a Duplex
 * (JSStreamSocket, what `new TLSSocket(duplex)` makes inside). It is not exported, so it is taken from a TLSSocket made for that. A
 * `Bridge` is one of those over one of our sockets, with what Node's version leaves out because a Duplex has none of it: the addresses of both ends,
 * `connecting` with its events, `setNoDelay`, `setKeepAlive`, `ref` and `unref`, and errors of the connection that destroy who is above as
 * the error of a native handle would. It writes by itself, too: Node's version ends a write a turn of the event loop later, and a peer in the same process
 * has answered by then, which TLS does not expect (its alert to that answer is lost behind a write that seems under way).
 */
import type { Socket as NodeSocket } from 'node:net'
import { constants } from 'node:os'
import { Duplex } from 'node:stream'
import { createSecureContext, TLSSocket } from 'node:tls'
import { errnoOf } from '../base/errors.ts'
import { codeOf } from './errors.ts'
import { type InPieces, inPieces, type Reader } from './http2-frames.ts'
import { Socket } from './socket.ts'

const EPIPE = -constants.errno.EPIPE
const ECANCELED = -constants.errno.ECANCELED

/** The calls that Node's `net.Socket` makes on its handle; a TLS handle passes them on to the one below it. */
interface Handle extends Reader {
  getpeername?(out: object): number
  getsockname?(out: object): number
  setNoDelay?(on: boolean): void
  setKeepAlive?(on: boolean, initialDelaySeconds: number): void
  ref?(): void
  hasRef?(): boolean
  unref?(): void
  finishWrite(request: Request, status: number): void
  finishShutdown(request: Request, status: number): void
}

/** A write or shutdown that the handle waits for. */
type Request = object

/** What Node's class has beyond its type. */
interface StreamSocket extends Omit<NodeSocket, 'connecting' | 'emit' | 'destroy'> {
  readonly stream: Duplex
  connecting: boolean
  _handle: Handle | null
  _host?: string
}

type StreamSocketClass = new (stream: Duplex) => StreamSocket

export interface Bridge extends NodeSocket {
  /** Destroyed with the connection's error. Without one, errors are emitted. */
  above: NodeSocket | null
  /** HTTP/2 in clear reads here. */
  carryHttp2(isServer: boolean): void
}

function streamSocketClass(): StreamSocketClass {
  const none = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const secure = new TLSSocket(none, { isServer: true, secureContext: createSecureContext() })
  const below = (secure as unknown as { _handle: { _parentWrap: object } })._handle._parentWrap
  secure.destroy()
  return below.constructor as StreamSocketClass
}

function makeClass(): new (raw: Socket) => Bridge {
  return class extends streamSocketClass() {
    declare above: NodeSocket | null
    /** Requests of the handle that are under way. */
    declare private writing: Request | null
    declare private ending: Request | null
    declare private closing: boolean
    declare private pieces: InPieces | null

    constructor(raw: Socket) {
      super(raw)
      this.above = null
      this.writing = null
      this.ending = null
      this.closing = false
      this.pieces = null
      // Who is above ends its own way in its own time: a TLS close_notify is still to be sent after the peer's FIN.
      this.allowHalfOpen = raw.allowHalfOpen
      raw.allowHalfOpen = true
      this._host = (raw as { _host?: string })._host
      const handle = this._handle!
      handle.getpeername = (out) => put(out, raw.remoteAddress, raw.remotePort, raw.remoteFamily)
      handle.getsockname = (out) => put(out, raw.localAddress, raw.localPort, raw.localFamily)
      handle.setNoDelay = (on) => void raw.setNoDelay(on)
      handle.setKeepAlive = (on, seconds) => void raw.setKeepAlive(on, seconds * 1000)
      handle.ref = () => void raw.ref()
      handle.unref = () => void raw.unref()
      handle.hasRef = () => raw._handle?.hasRef() ?? false
      if (!raw.pending) return
      this.connecting = true
      raw.once('connect', () => {
        this.connecting = false
        this.emit('connect')
      })
    }

    carryHttp2(isServer: boolean): void {
      if (this._handle !== null) this.pieces ??= inPieces(this._handle, isServer)
    }

    /** Called when the connection has closed. Who is above goes first; if it may still have bytes to read, it closes this socket itself. */
    destroy(error?: Error): this {
      const { above } = this
      if (!error) this.pieces?.flush()
      if (above === null || above.destroyed || error) return Duplex.prototype.destroy.call(this, error) as this
      if (!this.stream.readableEnded) above.destroy()
      return this
    }

    emit(event: string | symbol, ...args: unknown[]): boolean {
      if (event !== 'error' || this.above === null) return Duplex.prototype.emit.call(this, event, ...args)
      this.above.destroy(args[0] as Error)
      return true
    }

    // Called by the handle. The stream calls back in a later tick, which is what the handle asks for.

    doWrite(request: Request, chunks: Uint8Array[]): number {
      const handle = this._handle
      if (handle === null) return 0
      const { stream } = this
      // TLS answers what comes after its own end, too: a kernel refuses such writes, and nobody is told.
      if (stream.writableEnded && !this.closing) return EPIPE
      this.writing = request
      if (this.closing) return 0 // canceled below
      let left = chunks.length
      const written = (error?: Error | null): void => {
        if (!error && --left > 0) return
        left = 0
        if (this.writing === request) this.endWrite(handle, error ? (errnoOf(codeOf(error)) ?? EPIPE) : 0)
      }
      stream.cork()
      for (const chunk of chunks) stream.write(chunk, written)
      stream.uncork()
      // HTTP/2 goes on as from a kernel that took all: while a write is under way it sends nothing, and forgets what a reset overtakes.
      if (this.pieces !== null && left > 0 && stream.writableLength === 0 && !stream.destroyed) this.endWrite(handle, 0)
      return 0
    }

    doShutdown(request: Request): number {
      this.ending = request
      if (this.writing === null && !this.closing) this.shutdown()
      return 0
    }

    doClose(closed: () => void): void {
      this.closing = true
      const handle = this._handle!
      this.stream.destroy()
      setImmediate(() => {
        this.endWrite(handle, ECANCELED)
        this.endShutdown(handle, ECANCELED)
        closed()
      })
    }

    private shutdown(): void {
      const handle = this._handle!
      process.nextTick(() => this.stream.end(() => this.endShutdown(handle, 0)))
    }

    private endWrite(handle: Handle, status: number): void {
      const request = this.writing
      if (request === null) return
      this.writing = null
      handle.finishWrite(request, status)
      if (this.ending !== null && !this.closing) this.shutdown()
    }

    private endShutdown(handle: Handle, status: number): void {
      const request = this.ending
      if (request === null) return
      this.ending = null
      handle.finishShutdown(request, status)
    }
  } as unknown as new (
    raw: Socket,
  ) => Bridge
}

let Made: (new (raw: Socket) => Bridge) | null = null
const bridges = new WeakMap<Socket, Bridge>()

/** The bridge over one of our sockets; always the same for the same socket. */
export function bridge(raw: Socket): Bridge {
  const known = bridges.get(raw)
  if (known !== undefined) return known
  Made ??= makeClass()
  const made = new Made(raw)
  bridges.set(raw, made)
  return made
}

/** What Node's modules can take: a bridge for our sockets, all else as it is. */
export function bridged<T>(stream: T): T | NodeSocket {
  return stream instanceof Socket ? bridge(stream) : stream
}

/** The same for HTTP/2, which reads frames. */
export function bridgedHttp2<T>(stream: T, isServer: boolean): T | NodeSocket {
  if (!(stream instanceof Socket)) return stream
  const made = bridge(stream)
  made.carryHttp2(isServer)
  return made
}

/** From now on an error of the connection below destroys this socket with it. */
export function claim<T extends NodeSocket>(secure: T): T {
  const below = (secure as unknown as { _parent?: Bridge })._parent
  if (Made !== null && below instanceof Made) below.above = secure
  return secure
}

function put(out: object, address?: string, port?: number, family?: string): number {
  if (address === undefined) return errnoOf('ENOTCONN')!
  Object.assign(out, { address, family, port })
  return 0
}
