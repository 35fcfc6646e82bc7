/**
 * A TCP connection in the web's shape: the Socket of the Sockets API (WinterTC, https://sockets-api.proposal.wintertc.org).
 *
 * Where the proposal is silent: `close()` lets what TCP has taken go out, and `closed` is settled when TCP is done with it; what only the stream
 * has queued is dropped. A signal that is aborted ends the connection by a reset.
 */
import type { AbortLike } from '../base/abort.ts'
import { type ByteReadable, type Bytes, type ChunkWritable, Settled } from '../host-web/web-streams.ts'
import type { RawConnection } from '../tcp/api.ts'
import { type ByteConnection, ByteStreams } from './byte-streams.ts'
import { socketError, wrongState } from './errors.ts'

/** What `opened` tells. */
export interface SocketInfo {
  /** `10.0.0.2:80`, `[fd00::2]:80`. */
  readonly remoteAddress: string
  readonly localAddress: string
  /** The protocol that TLS agreed on; null: none. */
  readonly alpn: string | null
}

/** TLS: not at all, from the start, or from `startTls()` on. */
export type SecureTransport = 'off' | 'on' | 'starttls'

/** What TLS is told. `tls`: anything else of the platform's TLS (on Node the options of `tls.connect`). */
export interface StartTlsOptions {
  /** The name of the server: for SNI and for its certificate. The `hostname` of `connect` when left out. */
  readonly sni?: string
  readonly alpn?: readonly string[]
  readonly tls?: object
}

/** TLS of the platform: takes a connection, gives one. Rejects when there is no agreement. */
export type SecureConnect = (
  connection: ByteConnection,
  options: StartTlsOptions & { readonly sni: string },
) => Promise<{ connection: ByteConnection; alpn: string | null }>

export interface SocketSettings {
  readonly allowHalfOpen: boolean
  readonly secureTransport: SecureTransport
  readonly hostname: string
  readonly secure: SecureConnect | null
  /** Makes the chunks of `readable`; all of them is written. */
  readonly memory: (bytes: number) => Uint8Array<ArrayBuffer>
  readonly signal?: AbortLike
}

/** A connection and the places that it joins. */
export interface Opened {
  readonly connection: ByteConnection
  readonly info: SocketInfo
}

/** Who waits for a connection. Told at once, in the call that the connection itself is told by: what it says next is not missed. */
export interface Awaiting {
  opened(opened: Opened): void
  failed(error: unknown): void
}

/** A TCP connection in the web's shape: two byte streams. */
export class TcpSocket {
  /** Resolves when the socket is connected; rejects with why it is not. */
  readonly opened: Promise<SocketInfo>
  /** Resolves when both directions have ended; rejects with how the connection broke. */
  readonly closed: Promise<void>
  readonly readable: ByteReadable
  readonly writable: ChunkWritable<Bytes>
  readonly secureTransport: SecureTransport
  private wasUpgraded = false
  private isClosing = false
  private isOver = false
  private place: SocketInfo | null = null
  private readonly streams: ByteStreams
  private readonly open = new Settled<SocketInfo>()
  private readonly end = new Settled<void>()
  private readonly aborted = (): void => this.giveUp(this.settings.signal!.reason)

  private readonly cancel: () => void

  /** Made by `stack.tcp`. `start` looks for a connection, and gives what ends the search and what it found. */
  constructor(
    private readonly settings: SocketSettings,
    start: (awaiting: Awaiting) => () => void,
  ) {
    this.secureTransport = settings.secureTransport
    this.opened = this.open.promise
    this.closed = this.end.promise
    this.streams = new ByteStreams(settings.allowHalfOpen, settings.memory)
    this.readable = this.streams.readable
    this.writable = this.streams.writable
    // A writable may be aborted before there is a connection.
    this.streams.onEnd = (error) => (this.place === null ? this.giveUp(error) : this.over(error))
    this.cancel = start({
      opened: (opened) => this.begin(opened),
      failed: (error) => this.giveUp(socketError(error)),
    })
    const { signal } = settings
    if (signal?.aborted) this.aborted()
    else signal?.addEventListener('abort', this.aborted)
  }

  /** TLS is spoken on this connection, by another socket that `startTls` gave. */
  get upgraded(): boolean {
    return this.wasUpgraded
  }

  /**
   * Ends both directions: readers find the end, writers an error (`reason`, if given). Returns `closed`, which is settled when the peer has
   * acknowledged what TCP had taken.
   */
  close(reason?: unknown): Promise<void> {
    if (this.isClosing || this.isOver || this.wasUpgraded) return this.closed
    this.isClosing = true
    if (this.place === null) {
      this.giveUp(wrongState('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established'), true)
    } else this.streams.close(reason)
    return this.closed
  }

  /**
   * TLS on a connection that began without (STARTTLS): needs `secureTransport: 'starttls'` of `connect`. This socket's streams end, those of the one
   * that is returned go on. Throws ERR_INVALID_STATE, ERR_TAPSTACK_UNSUPPORTED where the platform gave the stack no TLS.
   */
  startTls(options: StartTlsOptions = {}): TcpSocket {
    const { settings } = this
    if (settings.secureTransport !== 'starttls' || this.wasUpgraded || this.isClosing || this.isOver) {
      throw wrongState('ERR_INVALID_STATE', 'startTls is for an open socket with secureTransport: "starttls", once')
    }
    const secure = secureOf(settings)
    this.wasUpgraded = true
    this.settings.signal?.removeEventListener('abort', this.aborted)
    const opening = this.opened.then((info) => {
      const connection = this.streams.detach()
      if (connection === null) throw wrongState('ERR_SOCKET_CLOSED', 'the socket was closed')
      return secured({ connection, info }, secure, settings.hostname, options)
    })
    const upgraded = new TcpSocket({ ...settings, secureTransport: 'on' }, (awaiting) => {
      opening.then(awaiting.opened, awaiting.failed)
      return this.cancel
    })
    upgraded.closed.then(
      () => this.end.resolve(),
      (reason) => this.end.reject(reason),
    )
    return upgraded
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().catch(() => undefined)
  }

  private begin({ connection, info }: Opened): void {
    if (this.isOver) {
      connection.handler = {}
      connection.abort()
      return
    }
    this.place = info
    this.streams.attach(connection)
    this.open.resolve(info)
  }

  /** No connection came about, or the application wants none any more. `wanted`: that is how it was meant. */
  private giveUp(error: unknown, wanted = false): void {
    if (this.isOver) return
    this.over(wanted ? null : error)
    this.cancel()
    this.open.reject(error)
    this.streams.fail(error)
  }

  private over(error: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.settings.signal?.removeEventListener('abort', this.aborted)
    if (error === null) this.end.resolve()
    else this.end.reject(error)
  }
}

export function secureOf({ secure }: Pick<SocketSettings, 'secure'>): SecureConnect {
  if (secure !== null) return secure
  throw wrongState(
    'ERR_TAPSTACK_UNSUPPORTED',
    'TLS is not supported by a stack without Node: make the stack by createStack of "tapstack"',
  )
}

/** The same connection with TLS on it. */
export async function secured(plain: Opened, secure: SecureConnect, hostname: string, options: StartTlsOptions): Promise<Opened> {
  const { connection, alpn } = await secure(plain.connection, { ...options, sni: options.sni ?? hostname })
  return { connection, info: { ...plain.info, alpn } }
}

/** The raw connection of a socket that was accepted, and where it is. */
export function openedOf(connection: RawConnection, text: (c: RawConnection, remote: boolean) => string): Opened {
  return { connection, info: { remoteAddress: text(connection, true), localAddress: text(connection, false), alpn: null } }
}
