/**
 * WebSockets (RFC 6455) that carry one Ethernet frame in each binary message, as relays for v86 and jor1k do (websockproxy): as a client of such a relay,
 * and as the relay itself, which browsers connect to.
 *
 *   ws://HOST:PORT/PATH             connects, and again when it was cut
 *   wss://HOST/PATH?ca=FILE         within TLS
 *   ws://:PORT?listen               waits for one guest; several: guest-server.ts
 *
 * Theory of operation. The package `ws` speaks the protocol; it is loaded when the first WebSocket is opened. Each connection becomes a stream of frames
 * behind their lengths (framed-messages.ts), and all of them together have the shape of node:net (`StreamNet`), so that connecting again, listening and
 * who may connect are the same as for QEMU's sockets. A page in a browser can connect to any WebSocket of this machine without its user's knowledge,
 * but must say where it is from: a listener admits pages of its own host, and of the origins that it is told (`origin=https://copy.sh`, `origin=*`).
 */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { WebSocket, WebSocketServer } from 'ws'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { MAX_FRAME } from '../link/frame-queue.ts'
import { U32BE } from '../link/framing.ts'
import { FramedMessages } from './framed-messages.ts'
import { guestUrl } from './guest-socket.ts'
import { flagOption, type LinkUrl, numberOption } from './link-url.ts'
import { openFramedSocket, type SocketLinkOptions } from './socket-link.ts'
import type { StreamLink } from './stream-link.ts'
import {
  parsePlace,
  placeText,
  type StreamNet,
  type StreamPlace,
  type StreamServer,
  type StreamTls,
  tlsFromFiles,
} from './stream-socket.ts'

/** The URL, frames as binary messages, and when it connects again. */
export interface WebSocketOptions extends Omit<SocketLinkOptions, 'framing' | 'medium' | 'net' | 'place' | 'keepAliveMs'> {
  /** Where to connect to, or to listen. */
  place: StreamPlace
  /** What is asked for there: `/relay?token=1`. `/` when left out; who listens takes any. */
  path?: string
  /** Who listens: origins of pages that may connect, besides its own; `*`: all. */
  origins?: readonly string[] | undefined
}

/** @throws NetError ERR_WS_UNAVAILABLE. */
async function loadWs(): Promise<typeof import('ws')> {
  try {
    return await import('ws')
  } catch (cause) {
    throw new NetError('ERR_WS_UNAVAILABLE', { message: 'WebSockets need the package ws: `npm install ws`', cause })
  }
}

/** Close codes of an end that is none too early (RFC 6455 section 7.4.1): normal, going away, none given. */
const GOOD_ENDS = [1000, 1001, 1005]

/** One connection. Emits 'connect' when it is open. */
class WebSocketStream extends FramedMessages {
  remoteAddress: string | undefined
  remotePort: number | undefined
  private raw: Duplex | null = null

  /** @param raw the socket below, if it is there already */
  constructor(
    private readonly ws: WebSocket,
    raw: Duplex | null,
  ) {
    super()
    if (raw !== null) this.found(raw)
    ws.on('upgrade', (response) => this.found(response.socket))
    ws.on('open', () => this.emit('connect'))
    ws.on('message', (data, isBinary) => {
      if (isBinary && data instanceof Uint8Array) this.message(data)
    })
    ws.on('error', (error) => this.over(error))
    ws.on('close', (code) => {
      if (GOOD_ENDS.includes(code)) this.over()
      else this.over(new NetError('ECONNRESET', { message: `the WebSocket was closed with code ${code}` }))
    })
  }

  setNoDelay(on: boolean): void {
    if (this.raw instanceof Socket) this.raw.setNoDelay(on)
  }

  setKeepAlive(on: boolean, initialDelayMs: number): void {
    if (this.raw instanceof Socket) this.raw.setKeepAlive(on, initialDelayMs)
  }

  ref(): void {
    if (this.raw instanceof Socket) this.raw.ref()
  }

  unref(): void {
    if (this.raw instanceof Socket) this.raw.unref()
  }

  protected post(frame: Uint8Array, taken: (error?: Error | null) => void): void {
    this.ws.send(frame, { binary: true, compress: false }, taken)
  }

  protected hold(on: boolean): void {
    if (on) this.ws.pause()
    else this.ws.resume()
  }

  protected finish(done: () => void): void {
    const { ws } = this
    if (ws.readyState === ws.CLOSED) done()
    else {
      ws.once('close', () => done())
      ws.close(1000)
    }
  }

  protected cut(): void {
    this.ws.terminate()
  }

  private found(raw: Duplex): void {
    this.raw = raw
    if (!(raw instanceof Socket)) return
    this.remoteAddress = raw.remoteAddress
    this.remotePort = raw.remotePort
  }
}

/** No frame is longer; compression would cost more than the frames' few bytes are worth. */
const PROTOCOL = { maxPayload: MAX_FRAME, perMessageDeflate: false } as const

/** A page may connect if it is of this host, or of an origin in the list; programs, which name none, always. */
function admitsOrigin(origins: readonly string[], { headers }: IncomingMessage): boolean {
  const { origin, host } = headers
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return true
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
}

export interface WebSocketSettings {
  /** What a client asks for. */
  path: string
  /** TLS, of a client and of a listener. */
  tls: StreamTls | null
  /** Of a listener. */
  origins: readonly string[]
}

/** WebSockets in the shape of node:net. @throws NetError ERR_WS_UNAVAILABLE. */
export async function webSocketNet({ path, tls, origins }: WebSocketSettings): Promise<StreamNet> {
  const ws = await loadWs()
  return {
    connect(place) {
      // ws has this form for the path of a UNIX socket.
      const at = place.path === undefined ? `//${placeText(place)}${path}` : `+unix:${place.path}:${path}`
      const secure = tls === null ? {} : { ca: tls.ca, cert: tls.cert, key: tls.key, servername: tls.servername }
      const scheme = tls === null ? 'ws' : 'wss'
      const url = place.path === undefined ? `${scheme}:${at}` : `${scheme}${at}`
      return new WebSocketStream(
        new ws.WebSocket(url, { ...PROTOCOL, ...secure, handshakeTimeout: LINK_DEFAULTS.connectMs }),
        null,
      )
    },
    createServer() {
      const refuse: RequestListener = (_, response) => {
        response.writeHead(426, { connection: 'close', 'content-type': 'text/plain' }).end('WebSockets only\n')
      }
      const server =
        tls === null
          ? createServer(refuse)
          : createTlsServer({ cert: tls.cert, key: tls.key, ca: tls.ca, requestCert: tls.ca !== undefined }, refuse)
      const sockets = new ws.WebSocketServer({
        ...PROTOCOL,
        server,
        verifyClient: ({ req }: { req: IncomingMessage }) => admitsOrigin(origins, req),
      })
      sockets.on('error', () => undefined) // the server's own, which is heard there
      return new WebSocketListener(server, sockets)
    },
  }
}

/** Of a server: what is needed of node:net's. */
class WebSocketListener implements StreamServer {
  constructor(
    private readonly server: Server,
    private readonly sockets: WebSocketServer,
  ) {}

  listen(place: StreamPlace, listening: () => void): void {
    this.server.listen(place, listening)
  }

  close(done?: () => void): void {
    this.sockets.close()
    this.server.close(done)
    this.server.closeIdleConnections()
  }

  address(): ReturnType<Server['address']> {
    return this.server.address()
  }

  on(event: 'connection' | 'error', listener: ((stream: WebSocketStream) => void) | ((error: Error) => void)): void {
    if (event === 'error') this.server.on(event, listener as (error: Error) => void)
    else {
      const connected = listener as (stream: WebSocketStream) => void
      this.sockets.on('connection', (ws, { socket }) => connected(new WebSocketStream(ws, socket)))
    }
  }

  off(event: 'error', listener: (error: Error) => void): void {
    this.server.off(event, listener)
  }

  ref(): void {
    this.server.ref()
  }

  unref(): void {
    this.server.unref()
  }
}

/**
 * Opens a link over a WebSocket, by options or by its URL.
 * @throws NetError ERR_WS_UNAVAILABLE, ERR_INVALID_ARG_VALUE, and what connecting or listening says.
 */
export async function openWebSocketLink(options: WebSocketOptions | string): Promise<StreamLink> {
  if (typeof options === 'string') return openWebSocketLink(webSocketOptions(guestUrl(options, WEBSOCKET_SCHEMES)))
  const { path = '/', origins = [], tls = null, place, ...rest } = options
  const net = await webSocketNet({ path, tls, origins })
  const name = rest.name ?? `ws:${placeText(place)}`
  // TLS is below the WebSocket, not above it.
  return openFramedSocket({ keep: true, ...rest, name, place, framing: U32BE, net, tls: null })
}

export const WEBSOCKET_SCHEMES: readonly string[] = ['ws', 'wss']

/** Options of the link; others in the URL are the relay's own and go there with the path. */
const OWN = ['listen', 'name', 'mtu', 'reconnect', 'wait', 'allow', 'keep', 'origin', 'ca', 'cert', 'key', 'servername']

/** The options of a WebSocket's URL, ready for `openWebSocketLink`. Throws ERR_INVALID_ARG_VALUE. */
export function webSocketOptions(url: LinkUrl): WebSocketOptions {
  const { options } = url
  const slash = url.target.indexOf('/')
  const at = slash < 0 ? url.target : url.target.slice(0, slash)
  const listen = flagOption(url, 'listen') ?? false
  const secure = url.scheme === 'wss'
  const withPort = /:\d+$/.test(at) ? at : `${at}:${secure ? 443 : 80}`
  const place = parsePlace(withPort, url.text)
  if (!listen && place.host === undefined) {
    throw invalidArgument(`Invalid link ${url.text}: a host to connect to is missing, or ?listen`)
  }
  const theirs = [...options].filter(([name]) => !OWN.includes(name))
  const query = theirs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  const servername = options.get('servername')
  const files = { ca: options.get('ca'), cert: options.get('cert'), key: options.get('key') }
  return {
    place,
    path: `${slash < 0 ? '/' : url.target.slice(slash)}${query === '' ? '' : `?${query}`}`,
    listen,
    origins: options.get('origin')?.split(',') ?? [],
    name: options.get('name'),
    mtu: numberOption(url, 'mtu'),
    reconnect: flagOption(url, 'reconnect'),
    wait: flagOption(url, 'wait'),
    allow: options.get('allow')?.split(','),
    keep: flagOption(url, 'keep') ?? true,
    tls: secure ? { ...tlsFromFiles(files), ...(servername === undefined ? {} : { servername }) } : null,
  }
}
