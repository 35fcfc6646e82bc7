/**
 * `node:http` on a stack of one's own: Node's parser, requests and responses, over our sockets.
 *
 * Theory of operation. A request gets its socket from an agent, so our agent's `createConnection` is our net's; nothing else of a
 * client touches the network. A server is Node's `http.Server` that never listens itself: a server of our net does, and its events
 * are handed over ('connection' is all that Node's server needs).
 */
import http from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { urlToHttpOptions } from 'node:url'
import { type Callable, callable } from './callable.ts'
import { badState, unsupported } from './errors.ts'
import type { NetModule } from './net.ts'
import type { Server as NetServer, ServerOptions } from './server.ts'
import { normalizeArgs } from './socket.ts'

type Responder = (response: http.IncomingMessage) => void

/** Node's, and socket options of TCP for every connection that is accepted. */
export interface HttpServerOptions extends http.ServerOptions, Pick<ServerOptions, 'tapstack'> {}

/** Everything of `node:http`; what opens connections or listens does it through the stack. */
export interface HttpModule extends Omit<typeof http, 'Agent' | 'ClientRequest' | 'Server' | 'globalAgent' | 'createServer'> {
  readonly Agent: Callable<[options?: http.AgentOptions], http.Agent>
  readonly ClientRequest: Callable<[input: string | URL | http.RequestOptions, ...rest: unknown[]], http.ClientRequest>
  readonly Server: Callable<[options?: HttpServerOptions | http.RequestListener, listener?: http.RequestListener], http.Server>
  readonly createServer: typeof http.createServer & ((options: HttpServerOptions, listener?: http.RequestListener) => http.Server)
  globalAgent: http.Agent
}

export function createHttp(net: NetModule): HttpModule {
  class Agent extends http.Agent {
    override createConnection(options: http.ClientRequestArgs, created: (error: Error | null, stream: Duplex) => void): Duplex {
      return net.connect(options, created)
    }
  }
  const AgentFace = callable<[http.AgentOptions?], http.Agent>('Agent', Agent)

  class ClientRequest extends http.ClientRequest {
    constructor(input: string | URL | http.RequestOptions, ...rest: unknown[]) {
      const [options, callback] = requestArgs(input, rest)
      super(withOurAgent(options) as unknown as string, callback)
    }
  }

  function withOurAgent(options: http.RequestOptions): http.RequestOptions {
    const { agent } = options
    if (agent === false) options.agent = new AgentFace()
    else if (agent === undefined || agent === null) {
      if (typeof options.createConnection !== 'function') options.agent = module.globalAgent
    } else if (agent !== true && isHosts(agent))
      throw unsupported('an agent that opens sockets of the host', 'make one by the Agent of this module')
    return options
  }

  class Server extends http.Server {
    private readonly _net: NetServer

    constructor(options?: HttpServerOptions | http.RequestListener, listener?: http.RequestListener) {
      const given: HttpServerOptions = typeof options === 'object' && options !== null ? options : {}
      super(given, typeof options === 'function' ? options : listener)
      const { noDelay = true, keepAlive, keepAliveInitialDelay, highWaterMark, tapstack } = given
      const inner = net.createServer({ allowHalfOpen: true, noDelay, keepAlive, keepAliveInitialDelay, highWaterMark, tapstack })
      this._net = inner
      inner.on('listening', () => this.emit('listening'))
      inner.on('connection', (socket) => this.emit('connection', socket))
      inner.on('drop', (data) => this.emit('drop', data))
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
      // Ends idle connections and the watch over slow ones. It has no listener of its own to close.
      super.close()
      this._net.close()
      return this
    }

    /** Called by Node's `close`, which believes that nothing is open: 'close' comes from our server. */
    _emitCloseIfDrained(): void {}

    override address(): ReturnType<http.Server['address']> {
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
  const ServerFace = callable<[(http.ServerOptions | http.RequestListener)?, http.RequestListener?], http.Server>(
    'Server',
    Server,
  )

  function request(input: string | URL | http.RequestOptions, ...rest: unknown[]): http.ClientRequest {
    return new ClientRequest(input, ...rest)
  }

  const module: HttpModule = {
    ...http,
    Agent: AgentFace,
    ClientRequest: callable('ClientRequest', ClientRequest),
    Server: ServerFace,
    // As Node makes its own.
    globalAgent: new AgentFace({ keepAlive: true, scheduling: 'lifo', timeout: 5000 }),
    createServer: ((options?: http.ServerOptions | http.RequestListener, listener?: http.RequestListener) =>
      new ServerFace(options, listener)) as typeof http.createServer,
    request,
    get(input: string | URL | http.RequestOptions, ...rest: unknown[]) {
      const outgoing = request(input, ...rest)
      outgoing.end()
      return outgoing
    },
  }
  return module
}

/** `(url, options, cb)`, `(url, cb)` or `(options, cb)` as fresh options and a callback. */
function requestArgs(input: string | URL | http.RequestOptions, rest: unknown[]): [http.RequestOptions, Responder | undefined] {
  const last = rest[rest.length - 1]
  const callback = typeof last === 'function' ? (last as Responder) : undefined
  if (typeof input !== 'string' && !(input instanceof URL)) return [{ ...input }, callback]
  const url = urlToHttpOptions(typeof input === 'string' ? new URL(input) : input) as http.RequestOptions
  const more = typeof rest[0] === 'object' && rest[0] !== null ? (rest[0] as http.RequestOptions) : {}
  return [{ ...url, ...more }, callback]
}

/** An agent whose sockets are the host's own. */
function isHosts(agent: http.Agent): boolean {
  const create = (a: object): unknown => (a as { createConnection?: unknown }).createConnection
  return create(agent) === create(http.Agent.prototype) || create(agent) === create(https.Agent.prototype)
}
