/**
 * Node's servers (http, https, tls, http2) that listen on a stack.
 *
 * Theory of operation. All of them are `net.Server`s that live off their 'connection' event. Ours inherit from them and never listen themselves: a server
 * of our net does, and its events are handed over. What Node's class adds to `close` (idle connections, sessions) it still does.
 */
import { type AddressInfo, Server as NodeServer, type Socket as NodeSocket } from 'node:net'
import { promisify } from 'node:util'
import { bridged, bridgedHttp2, claim } from './bridge.ts'
import { adoptable } from './callable.ts'
import { badState } from './errors.ts'
import type { NetModule } from './net.ts'
import { normalizeArgs } from './normalize-args.ts'
import type { Server as NetServer, ServerOptions } from './server.ts'

type ServerClass<A extends unknown[], T> = new (...args: A) => T

/** How connections reach Node's code: `stream` for what reads a Duplex, `handle` and `http2` for what reads a native handle. */
export type Consumer = 'stream' | 'handle' | 'http2'

/** `Base`, listening on `net`. `optionsOf` gives the options of our server from those of the constructor. */
export function served<A extends unknown[], T extends NodeServer>(
  net: NetModule,
  Base: ServerClass<A, T>,
  consumer: Consumer,
  optionsOf: (options: unknown) => ServerOptions,
): ServerClass<A, T> {
  // TypeScript knows no class over a type parameter, so the body is written over net.Server.
  const NodeBase = adoptable(Base as unknown as ServerClass<A, NodeServer>)

  // A server of http that does not listen rejects, one of net does not.
  const lenient = NodeBase.prototype[Symbol.asyncDispose] === NodeServer.prototype[Symbol.asyncDispose]

  class Served extends NodeBase {
    private readonly _net: NetServer

    constructor(...args: A) {
      super(...args)
      const inner = net.createServer(optionsOf(args[0]))
      this._net = inner
      if (consumer !== 'stream') bridgeConnections(this, consumer === 'http2' ? asHttp2Server : bridged)
      inner.on('listening', () => this.emit('listening'))
      inner.on('connection', (socket) => {
        socket.server = this
        this.emit('connection', socket as never)
      })
      inner.on('drop', (data) => this.emit('drop', data as never))
      inner.on('error', (error) => this.emit('error', error))
      inner.on('close', () => this.emit('close'))
      // Properties in Node's class, so accessors here.
      Object.defineProperty(this, 'listening', { get: () => inner.listening, configurable: true, enumerable: true })
      Object.defineProperty(this, 'maxConnections', {
        get: () => inner.maxConnections,
        set: (n: number | undefined) => {
          inner.maxConnections = n
        },
        configurable: true,
        enumerable: true,
      })
    }

    override listen(...args: unknown[]): this {
      const callback = normalizeArgs(args)[1]
      if (this._net.listening) throw badState('ERR_SERVER_ALREADY_LISTEN')
      if (callback !== null) this.once('listening', callback)
      this._net.listen(...(callback === null ? args : args.length === 1 ? [0] : args.slice(0, -1)))
      return this
    }

    override close(callback?: (error?: Error) => void): this {
      if (typeof callback === 'function') {
        if (this._net.listening) this.once('close', callback)
        else this.once('close', () => callback(badState('ERR_SERVER_NOT_RUNNING')))
      }
      // Ends idle connections, sessions, the watch over slow ones. It has no listener of its own to close.
      super.close()
      this._net.close()
      return this
    }

    /** Called by Node's `close`, which believes that nothing is open: 'close' comes from our server. */
    _emitCloseIfDrained(): void {}

    override emit(event: string | symbol, ...args: unknown[]): boolean {
      if (event === 'secureConnection') claim(args[0] as NodeSocket)
      return super.emit(event as 'data', ...(args as []))
    }

    override async [Symbol.asyncDispose](): Promise<void> {
      if (this._net.listening || !lenient) await promisify(this.close).call(this)
    }

    override address(): AddressInfo | null {
      return this._net.address()
    }

    override getConnections(callback: (error: Error | null, count: number) => void): this {
      this._net.getConnections(callback)
      return this
    }

    override ref(): this {
      this._net.ref()
      return this
    }

    override unref(): this {
      this._net.unref()
      return this
    }
  }
  return Served as unknown as ServerClass<A, T>
}

function asHttp2Server(socket: unknown): unknown {
  return bridgedHttp2(socket, true)
}

/** Node's own listener gets bridges; those of the application get our sockets. */
function bridgeConnections(server: NodeServer, bridge: (socket: unknown) => unknown): void {
  const listeners = server.listeners('connection') as ((socket: unknown) => void)[]
  server.removeAllListeners('connection')
  for (const listener of listeners) {
    server.on('connection', (socket: unknown) => listener.call(server, bridge(socket)))
  }
}

/** The options of our server among those of a constructor `(options, listener)`; no Nagle unless asked for where Node's class says so. */
export function serverOptions(options: unknown, noDelay: boolean): ServerOptions {
  const given: ServerOptions = typeof options === 'object' && options !== null ? options : {}
  const { allowHalfOpen, keepAlive, keepAliveInitialDelay, highWaterMark, tapstack } = given
  return { allowHalfOpen, noDelay: given.noDelay ?? noDelay, keepAlive, keepAliveInitialDelay, highWaterMark, tapstack }
}
