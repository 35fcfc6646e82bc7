/**
 * One question to one server over TCP: two bytes of length before each message (RFC 1035 section 4.2.2, RFC 7766 section 8), which may come in any pieces. A
 * connection is for one question: a stub asks this way seldom, so that keeping it open (RFC 7766 section 6.2.1) would only cost the server.
 */
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import type { ConnectionHandler, RawConnection, RawTcp } from '../tcp/api.ts'

export interface TcpQueryOwner {
  /** A message: lent. */
  onTcpMessage(message: Uint8Array): void
  /** The connection ended, or was never made. `code` is empty when the server closed it without an answer. */
  onTcpEnd(code: string): void
}

export class TcpQuery implements ConnectionHandler {
  private readonly connection: RawConnection
  private readonly out: Uint8Array
  private written = 0
  private readonly head = new Uint8Array(2)
  private headRead = 0
  private body: Uint8Array | null = null
  private bodyRead = 0
  private closed = false

  /** Throws NetError as `tcp.open`. */
  constructor(
    tcp: RawTcp,
    to: Address,
    port: number,
    localAddress: Address | undefined,
    message: Uint8Array,
    private readonly owner: TcpQueryOwner,
  ) {
    this.out = new Uint8Array(message.length + 2)
    this.out[0] = message.length >> 8
    this.out[1] = message.length
    this.out.set(message, 2)
    this.connection = tcp.open({ remoteAddress: to, remotePort: port, localAddress, ref: false, noDelay: true }, this)
  }

  onConnect(): void {
    this.onWritable()
  }

  onWritable(): void {
    if (this.closed || this.written === this.out.length) return
    try {
      this.written += this.connection.write(this.out, this.written, this.out.length - this.written)
    } catch (error) {
      this.end(error instanceof NetError ? error.code : 'EPIPE')
    }
  }

  onReadable(): void {
    const { connection } = this
    while (!this.closed && connection.readable > 0) {
      if (this.body === null) {
        this.headRead += connection.read(this.head, this.headRead, 2 - this.headRead)
        if (this.headRead < 2) continue
        this.body = new Uint8Array((this.head[0] << 8) | this.head[1])
        this.bodyRead = 0
      } else this.bodyRead += connection.read(this.body, this.bodyRead, this.body.length - this.bodyRead)
      if (this.bodyRead < this.body.length) continue
      const message = this.body
      this.body = null
      this.headRead = 0
      this.owner.onTcpMessage(message)
    }
    if (connection.ended) this.end('')
  }

  onClose(_: RawConnection, error: NetError | null): void {
    this.end(error === null ? '' : error.code)
  }

  /** Nothing is told any more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.connection.close()
  }

  private end(code: string): void {
    if (this.closed) return
    this.close()
    this.owner.onTcpEnd(code)
  }
}
