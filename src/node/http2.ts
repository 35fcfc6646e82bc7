/**
 * `node:http2` on a stack of one's own: Node's sessions, and nghttp2 below them, over our sockets: with TLS over a TLSSocket of ours, in clear over a
 * bridge (`bridge.ts`).
 */
import http2 from 'node:http2'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { bridgedHttp2 } from './bridge.ts'
import type { ConnectOptions } from './connect.ts'
import { moduleOf } from './module-of.ts'
import type { NetModule } from './net.ts'
import { served, serverOptions } from './served.ts'
import type { ServerOptions } from './server.ts'
import type { TlsModule } from './tls.ts'

type OnRequest = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void
type OnSession = (session: http2.ClientHttp2Session, socket: Duplex) => void
type ClientOptions = http2.ClientSessionOptions & http2.SecureClientSessionOptions
type Opens = ConnectOptions & ClientOptions & { allowHTTP1?: boolean; ALPNCallback?: unknown }

/** Node's, and socket options of TCP for every connection that is accepted. */
export interface Http2ServerOptions extends http2.ServerOptions, Pick<ServerOptions, 'tapstack'> {}
export interface Http2SecureServerOptions extends http2.SecureServerOptions, Pick<ServerOptions, 'tapstack'> {}

/** Everything of `node:http2`; what opens connections or listens does it through the stack. */
export interface Http2Module extends Omit<typeof http2, 'connect' | 'createServer' | 'createSecureServer'> {
  connect(authority: string | URL, listener?: OnSession): http2.ClientHttp2Session
  connect(authority: string | URL, options?: ClientOptions, listener?: OnSession): http2.ClientHttp2Session
  createServer(options?: Http2ServerOptions | OnRequest, listener?: OnRequest): http2.Http2Server
  createSecureServer(options?: Http2SecureServerOptions | OnRequest, listener?: OnRequest): http2.Http2SecureServer
}

type ServerOf<T> = new (options?: object, listener?: OnRequest) => T

export function createHttp2(net: NetModule, tls: TlsModule): Http2Module {
  const quick = (options: unknown): ServerOptions => serverOptions(options, true)
  // Node does not export these classes.
  const Server = served(net, http2.createServer().constructor as ServerOf<http2.Http2Server>, 'http2', quick)
  const SecureServer = served(net, http2.createSecureServer().constructor as ServerOf<http2.Http2SecureServer>, 'handle', quick)

  function open(authority: URL, options: Opens): Duplex {
    const protocol = authority.protocol || options.protocol || 'https:'
    const host = hostOf(authority)
    // Node takes 443 unless the authority itself says http.
    const port = authority.port === '' ? (authority.protocol === 'http:' ? '80' : '443') : authority.port
    if (protocol === 'http:') return bridgedHttp2(net.connect({ port, host, noDelay: true, ...options }), false) as Duplex
    if (protocol !== 'https:') return http2.connect(authority, { ...options, createConnection: undefined }) as never // which throws
    const alpn = options.ALPNCallback ? {} : { ALPNProtocols: options.allowHTTP1 === true ? ['h2', 'http/1.1'] : ['h2'] }
    const servername = options.servername || (isIP(host) === 0 ? host : undefined)
    return tls.connect(port, host, { noDelay: true, ...options, ...alpn, servername })
  }

  function connect(authority: string | URL, options?: ClientOptions | OnSession, listener?: OnSession): http2.ClientHttp2Session {
    const onSession = typeof options === 'function' ? options : listener
    if (options === null || (options !== undefined && typeof options !== 'object' && onSession === listener)) {
      return http2.connect(authority, options as unknown as ClientOptions, onSession) // which throws
    }
    const given: ClientOptions = typeof options === 'object' ? options : {}
    const chosen = given.createConnection
    const createConnection = (url: URL, all: http2.SessionOptions): Duplex =>
      typeof chosen === 'function' ? (bridgedHttp2(chosen(url, all), false) as Duplex) : open(url, all as Opens)
    return http2.connect(authority, { ...given, createConnection }, onSession)
  }
  Object.defineProperty(connect, promisify.custom, {
    value: (authority: string | URL, options?: ClientOptions) =>
      new Promise<http2.ClientHttp2Session>((resolve, reject) => {
        const session = connect(authority, options, () => {
          session.removeListener('error', reject)
          resolve(session)
        })
        session.once('error', reject)
      }),
  })

  return moduleOf<Http2Module>(http2, {
    connect,
    createServer: (options?: Http2ServerOptions | OnRequest, listener?: OnRequest) =>
      typeof options === 'function' ? new Server({}, options) : new Server(options, listener),
    createSecureServer: (options?: Http2SecureServerOptions, listener?: OnRequest) => new SecureServer(options, listener),
    performServerHandshake: (socket: Duplex, options?: http2.ServerOptions) =>
      http2.performServerHandshake(bridgedHttp2(socket, true) as Duplex, options),
  })
}

/** The host of an authority, as `net.connect` takes it. */
function hostOf(authority: URL): string {
  if (!authority.hostname) return authority.host || 'localhost'
  return authority.hostname.startsWith('[') ? authority.hostname.slice(1, -1) : authority.hostname
}
