/**
 * Sockets for links over streams: to a host and port or a path, with or without TLS, connecting or listening. They are Node's, or those of any module
 * with the shape of node:net, such as `stack.net` of a stack of one's own.
 */
import { readFileSync } from 'node:fs'
import * as nodeNet from 'node:net'
import type { Duplex } from 'node:stream'
import * as tls from 'node:tls'
import { type Address, Prefix, parseAddress, prefix } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import { listenAt } from './socket-places.ts'

/** Where to connect to, or to listen: a port, of all addresses when `host` is left out; or the path of a UNIX socket. */
export interface StreamPlace {
  host?: string
  port?: number
  path?: string
}

/** What is needed of a socket besides being a Duplex. */
export interface StreamSocket extends Duplex {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  setNoDelay?(on: boolean): unknown
  setKeepAlive?(on: boolean, initialDelayMs: number): unknown
  ref?(): unknown
  unref?(): unknown
}

export interface StreamServer {
  listen(place: StreamPlace, listening: () => void): unknown
  close(done?: () => void): unknown
  address(): string | { address?: string; port?: number } | null
  on(event: 'connection', listener: (socket: StreamSocket) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  ref?(): unknown
  unref?(): unknown
}

/** What is needed of node:net. */
export interface StreamNet {
  connect(place: StreamPlace): StreamSocket
  createServer(): StreamServer
}

const NODE: StreamNet = {
  connect: (place) => nodeNet.connect(place as nodeNet.NetConnectOpts),
  createServer: () => nodeNet.createServer(),
}

/** TLS (RFC 8446) around the stream. Certificates and keys as text (PEM). */
export interface StreamTls {
  /** Who may have signed the other end's certificate; the authorities that Node knows when left out. A server with it demands one of its clients. */
  ca?: string
  /** Our certificate and its key: a server needs them. */
  cert?: string
  key?: string
  /** The name that must stand in the server's certificate. The host when left out. */
  servername?: string
}

/** `host:port`, `[::1]:port`, `:port` or a path. Throws ERR_INVALID_ARG_VALUE. */
export function parsePlace(text: string, url: string): StreamPlace {
  if (text.startsWith('/')) return { path: text }
  const m = /^(?:\[([^\]]+)\]|([^:/[\]]*)):(\d{1,5})$/.exec(text)
  const port = m === null ? 0 : Number(m[3])
  if (m === null || port > 65535) throw invalidArgument(`Invalid place ${JSON.stringify(text)} in ${url}: HOST:PORT is expected`)
  const host = m[1] ?? m[2]
  return host === '' ? { port } : { host, port }
}

/** As `parsePlace` reads it. */
export function placeText({ host = '', port, path }: StreamPlace): string {
  return path ?? `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Reads what files `ca`, `cert` and `key` name. Throws what the file system says, with the file's name. */
export function tlsFromFiles(files: { readonly [name in 'ca' | 'cert' | 'key']: string | undefined }): StreamTls {
  const out: StreamTls = {}
  for (const name of ['ca', 'cert', 'key'] as const) {
    const file = files[name]
    if (file !== undefined) out[name] = readFileSync(file, 'utf8')
  }
  return out
}

/** Prepares a connected socket for a link: small frames are not to wait, and a peer that has vanished is to be noticed. */
export function prepare(socket: StreamSocket): void {
  socket.setNoDelay?.(true)
  socket.setKeepAlive?.(true, LINK_DEFAULTS.tcpKeepAliveMs)
}

/** Waits for an event of a stream that is on its way up. Rejects, and destroys it, when it fails, is aborted, or takes too long. */
function established(stream: Duplex, event: string, what: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', aborted)
      stream.off(event, up)
      stream.off('close', closed)
      stream.off('error', settle)
      if (error === undefined) {
        resolve()
        return
      }
      stream.destroy()
      reject(error)
    }
    const up = (): void => settle()
    const aborted = (): void => settle(new NetError('ECANCELED', { message: `${what}: given up` }))
    const closed = (): void => settle(new NetError('ECONNRESET', { message: `${what}: closed before it was there` }))
    const late = (): void =>
      settle(new NetError('ETIMEDOUT', { message: `${what}: no answer in ${LINK_DEFAULTS.connectMs / 1000} s` }))
    const timer = setTimeout(late, LINK_DEFAULTS.connectMs)
    stream.on('error', () => undefined) // what it says before a link uses it, or after we gave up, is told by its end
    stream.once(event, up)
    stream.once('close', closed)
    stream.once('error', settle)
    signal.addEventListener('abort', aborted, { once: true })
    if (signal.aborted) aborted()
  })
}

/** Opens a connection. Rejects with Node's own error: `connect ECONNREFUSED 10.0.0.1:5000`. */
export async function connectStream(
  place: StreamPlace,
  secure: StreamTls | null,
  signal: AbortSignal,
  net: StreamNet = NODE,
): Promise<Duplex> {
  const what = `connect ${placeText(place)}`
  const socket = net.connect(place)
  await established(socket, 'connect', what, signal)
  prepare(socket)
  if (secure === null) return socket
  const { host = 'localhost' } = place
  const servername = secure.servername ?? (nodeNet.isIP(host) === 0 ? host : undefined)
  const wrapped = tls.connect({ ...secure, socket, host, ...(servername === undefined ? {} : { servername }) })
  await established(wrapped, 'secureConnect', `${what}, TLS`, signal)
  return wrapped
}

/** What a listener with TLS needs, made once. Throws what OpenSSL says of certificate and key. */
export function serverTls(secure: StreamTls): tls.TLSSocketOptions {
  const wantsClients = secure.ca !== undefined
  return {
    isServer: true,
    secureContext: tls.createSecureContext(secure),
    requestCert: wantsClients,
    rejectUnauthorized: wantsClients,
  }
}

/** A connection that was accepted, with TLS where that is wanted. */
export async function acceptStream(
  socket: StreamSocket,
  secure: tls.TLSSocketOptions | null,
  signal: AbortSignal,
): Promise<Duplex> {
  prepare(socket)
  if (secure === null) return socket
  const wrapped = new tls.TLSSocket(socket, secure)
  await established(wrapped, 'secure', 'accept, TLS', signal)
  return wrapped
}

/** Listens, on a path over what a killed process left there. Rejects with Node's own error: `listen EADDRINUSE: address already in use :::5000`. */
export async function listenStream(place: StreamPlace, net: StreamNet = NODE): Promise<StreamServer> {
  const server = net.createServer()
  await listenAt(server, place)
  server.on('error', () => undefined) // of one connection that could not be accepted; the next one may
  return server
}

/** Who may connect: addresses and prefixes of both families; all when there are none. */
export class AllowList {
  private readonly prefixes: readonly Prefix[]

  /** Throws ERR_INVALID_IP_ADDRESS. */
  constructor(texts: readonly string[]) {
    this.prefixes = texts.map((text) => {
      if (text.includes('/')) return prefix(text)
      const { address } = prefix(`${text}/${text.includes(':') ? 128 : 32}`)
      return new Prefix(address, address.isV4 ? 32 : 128)
    })
  }

  admits(remote: string | undefined): boolean {
    if (this.prefixes.length === 0) return true
    const address: Address | null = remote === undefined ? null : parseAddress(remote.split('%')[0])
    return address !== null && this.prefixes.some((p) => p.contains(address))
  }
}
