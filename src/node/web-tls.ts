/**
 * TLS for sockets in the web's shape, where there is Node: the connection becomes a socket of `stack.net`, `stack.tls` lays TLS over it, and
 * what comes out is a connection again.
 */
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { NetError } from '../base/errors.ts'
import type { ConnectionHandler, RawConnection } from '../tcp/api.ts'
import type { ByteConnection } from '../web/byte-streams.ts'
import type { SecureConnect } from '../web/tcp-socket.ts'
import type { NetModule } from './net.ts'
import type { Accepted } from './socket.ts'
import type { TlsModule } from './tls.ts'

/** The calls of a raw connection, made on a stream that is not read by anybody else. */
export class StreamConnection implements ByteConnection {
  ended = false
  private news: ConnectionHandler = {}
  private full = false
  private error: NetError | null = null
  private isClosed = false

  constructor(private readonly stream: Duplex) {
    stream.on('readable', () => this.told())
    stream.on('end', () => {
      this.ended = true
      this.told()
    })
    stream.on('drain', () => {
      this.full = false
      this.news.onWritable?.(this as unknown as RawConnection)
    })
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.error = new NetError(error.code ?? 'EPROTO', { syscall: error.syscall, message: error.message, cause: error })
    })
    stream.on('close', () => {
      this.isClosed = true
      this.closed()
    })
  }

  get handler(): ConnectionHandler {
    return this.news
  }

  /** A new owner hears of an end that came before it. */
  set handler(handler: ConnectionHandler) {
    this.news = handler
    if (this.isClosed) queueMicrotask(() => this.closed())
  }

  get readable(): number {
    return this.stream.readableLength
  }

  read(buf: Uint8Array, off: number, len: number): number {
    const chunk = this.stream.read(Math.min(len, this.stream.readableLength)) as Buffer | null
    if (chunk === null) return 0
    buf.set(chunk, off)
    this.lookOn()
    return chunk.length
  }

  skip(len: number): number {
    const chunk = this.stream.read(Math.min(len, this.stream.readableLength)) as Buffer | null
    this.lookOn()
    return chunk === null ? 0 : chunk.length
  }

  /** All or nothing: the stream has a buffer, and says when it is more than full. */
  write(buf: Uint8Array, off: number, len: number): number {
    if (this.error !== null) throw this.error
    if (this.stream.writableEnded || this.stream.destroyed) throw new NetError('EPIPE', { syscall: 'write' })
    if (this.full) return 0
    // A copy: what was written is the application's again.
    this.full = !this.stream.write(Buffer.from(buf.subarray(off, off + len)))
    return len
  }

  shutdown(): void {
    this.stream.end()
  }

  close(): void {
    if (this.stream.writableFinished) this.stream.destroy()
    else this.stream.end(() => this.stream.destroy())
  }

  abort(): void {
    this.stream.destroy()
  }

  private told(): void {
    this.lookOn()
    this.news.onReadable?.(this as unknown as RawConnection)
  }

  /** A stream says that it has ended only to who asks for more. */
  private lookOn(): void {
    if (this.stream.readableLength === 0 && !this.ended) this.stream.read(0)
  }

  private closed(): void {
    const { news } = this
    this.news = {}
    news.onClose?.(this as unknown as RawConnection, this.error)
  }
}

/** TLS on connections of this stack. */
export function secureConnect(stack: { readonly net: NetModule; readonly tls: TlsModule }): SecureConnect {
  return (connection, { sni, alpn, tls: more }) =>
    new Promise((resolve, reject) => {
      const accepted: Accepted = {
        connection: connection as RawConnection,
        mapped: false,
        pause: true,
        server: null,
        gone: () => undefined,
      }
      const Socket = stack.net.Socket as unknown as new (options: object, accepted: Accepted) => Duplex
      const socket = new Socket({ allowHalfOpen: true }, accepted)
      const secure = stack.tls.connect({
        ...more,
        socket,
        host: sni,
        servername: isIP(sni) === 0 ? sni : undefined,
        ALPNProtocols: alpn === undefined ? undefined : [...alpn],
      })
      const failed = (error: NodeJS.ErrnoException): void => {
        socket.destroy()
        reject(new NetError(error.code ?? 'EPROTO', { message: error.message, cause: error }))
      }
      secure.once('error', failed)
      secure.once('secureConnect', () => {
        secure.off('error', failed)
        resolve({ connection: new StreamConnection(secure), alpn: secure.alpnProtocol || null })
      })
    })
}
