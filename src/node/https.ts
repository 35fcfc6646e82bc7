/**
 * `node:https` on a stack of one's own: Node's agent, with its pools and its cache of sessions, lays TLS over our sockets; a server is
 * Node's on a server of our net.
 */
import http from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { adoptable, type Callable, callable } from './callable.ts'
import type { ConnectOptions } from './connect.ts'
import { refuseHosts, requestArgs } from './http.ts'
import { moduleOf } from './module-of.ts'
import type { NetModule } from './net.ts'
import { served, serverOptions } from './served.ts'
import type { ServerOptions } from './server.ts'
import type { Over } from './tls.ts'

/** Node's, and socket options of TCP for every connection that is accepted. */
export interface HttpsServerOptions extends https.ServerOptions, Pick<ServerOptions, 'tapstack'> {}

type HttpsServerArgs = [options?: HttpsServerOptions | http.RequestListener, listener?: http.RequestListener]

/** Everything of `node:https`, through the stack. */
export interface HttpsModule extends Omit<typeof https, 'Agent' | 'Server' | 'globalAgent' | 'createServer'> {
  readonly Agent: Callable<[options?: https.AgentOptions], https.Agent>
  readonly Server: Callable<HttpsServerArgs, https.Server>
  readonly createServer: typeof https.createServer & ((...args: HttpsServerArgs) => https.Server)
  globalAgent: https.Agent
}

/** Node's way from an agent to a socket; with `socket` among the options TLS is laid over that. */
type CreateConnection = (options: object) => TLSSocket

export function createHttps(net: NetModule, over: Over): HttpsModule {
  class Agent extends adoptable(https.Agent) {
    override createConnection(...args: unknown[]): Duplex {
      const options = connectionOptions(args)
      const theirs = (https.Agent.prototype as unknown as { createConnection: CreateConnection }).createConnection
      if (options.socket) return theirs.call(this, options)
      return over(options, (socket) => theirs.call(this, { ...options, socket }))
    }
  }
  const AgentFace = callable<[https.AgentOptions?], https.Agent>('Agent', Agent)

  const NodeServer = https.Server as new (...args: HttpsServerArgs) => https.Server
  const ServerFace = callable(
    'Server',
    served(net, NodeServer, 'handle', (options) => serverOptions(options, true)),
  )

  function request(input: string | URL | https.RequestOptions, ...rest: unknown[]): http.ClientRequest {
    const [options, callback] = requestArgs(input, rest)
    refuseHosts(options.agent)
    // `agent: false` makes another one of the same class.
    options._defaultAgent = module.globalAgent
    return new http.ClientRequest(options as unknown as URL, callback)
  }

  const module = moduleOf<HttpsModule>(https, {
    Agent: AgentFace,
    Server: ServerFace,
    // As Node makes its own.
    globalAgent: new AgentFace({ keepAlive: true, scheduling: 'lifo', timeout: 5000 }),
    createServer: (...args: HttpsServerArgs) => new ServerFace(...args),
    request,
    get(input: string | URL | https.RequestOptions, ...rest: unknown[]) {
      const outgoing = request(input, ...rest)
      outgoing.end()
      return outgoing
    },
  })
  return module
}

/** `(options)`, `(port, options)` or `(port, host, options)`. */
function connectionOptions([port, host, options]: unknown[]): ConnectOptions & { socket?: Duplex } {
  if (typeof port === 'object' && port !== null) return { ...port }
  const given = typeof host === 'object' && host !== null ? host : options
  const made: ConnectOptions = typeof given === 'object' ? { ...given } : {}
  if (typeof port === 'number') made.port = port
  if (typeof host === 'string') made.host = host
  return made
}
