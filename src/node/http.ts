/**
 * `node:http` on a stack of one's own: Node's parser, requests and responses, over our sockets.
 *
 * Theory of operation. A request gets its socket from an agent, so our agent's `createConnection` is our net's; nothing else of a
 * client touches the network. A server is Node's `http.Server` on a server of our net (`served.ts`).
 */
import http from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { urlToHttpOptions } from 'node:url'
import { adoptable, type Callable, callable, countAs } from './callable.ts'
import { unsupported } from './errors.ts'
import type { NetModule } from './net.ts'

import { served, serverOptions } from './served.ts'
import type { ServerOptions } from './server.ts'
export type Responder = (response: http.IncomingMessage) => void

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
  class Agent extends adoptable(http.Agent) {
    override createConnection(options: http.ClientRequestArgs, created: (error: Error | null, stream: Duplex) => void): Duplex {
      return net.connect(options, created)
    }
  }
  const AgentFace = callable<[http.AgentOptions?], http.Agent>('Agent', Agent)
  countAs(AgentFace, http.Agent) // those of https

  class ClientRequest extends adoptable(http.ClientRequest) {
    constructor(input: string | URL | http.RequestOptions, ...rest: unknown[]) {
      const [options, callback] = requestArgs(input, rest)
      super(withOurAgent(options) as unknown as string, callback)
    }
  }

  const ClientRequestFace = callable('ClientRequest', ClientRequest)
  countAs(ClientRequestFace, http.ClientRequest) // those of https

  function withOurAgent(options: http.RequestOptions): http.RequestOptions {
    const { agent } = options
    if (agent === false) options.agent = new AgentFace()
    else if (agent === undefined || agent === null) {
      if (typeof options.createConnection !== 'function') options.agent = module.globalAgent
    } else refuseHosts(agent)
    return options
  }

  const Server = served(
    net,
    http.Server as new (
      options?: HttpServerOptions | http.RequestListener,
      listener?: http.RequestListener,
    ) => http.Server,
    'stream',
    (options) => ({
      ...serverOptions(options, true),
      allowHalfOpen: true,
    }),
  )
  const ServerFace = callable('Server', Server)

  function request(input: string | URL | http.RequestOptions, ...rest: unknown[]): http.ClientRequest {
    return new ClientRequest(input, ...rest)
  }

  const module: HttpModule = {
    ...http,
    Agent: AgentFace,
    ClientRequest: ClientRequestFace,
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
export function requestArgs(
  input: string | URL | http.RequestOptions,
  rest: unknown[],
): [http.RequestOptions, Responder | undefined] {
  const last = rest[rest.length - 1]
  const callback = typeof last === 'function' ? (last as Responder) : undefined
  if (typeof input !== 'string' && !(input instanceof URL)) return [{ ...input }, callback]
  const url = urlToHttpOptions(typeof input === 'string' ? new URL(input) : input) as http.RequestOptions
  const more = typeof rest[0] === 'object' && rest[0] !== null ? (rest[0] as http.RequestOptions) : {}
  return [{ ...url, ...more }, callback]
}

/** Throws for an agent whose sockets are the host's own. */
export function refuseHosts(agent: http.Agent | boolean | null | undefined): void {
  const create = (a: unknown): unknown => (a as { createConnection?: unknown } | null | undefined)?.createConnection
  const made = create(agent)
  if (made === undefined) return
  if (made === create(http.Agent.prototype) || made === create(https.Agent.prototype))
    throw unsupported('an agent that opens sockets of the host', 'make one by the Agent of this module')
}
