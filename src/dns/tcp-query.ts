/**
 * One question to one server over TCP. A connection is for one question: a stub asks this way seldom, so that keeping it open (RFC 7766 section 6.2.1)
 * would only cost the server.
 */
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import type { ConnectionHandler, RawConnection, RawTcp } from '../tcp/api.ts'
import { MessageStream } from './message-stream.ts'

export interface TcpQueryOwner {
  /** A message: lent. */
  onTcpMessage(message: Uint8Array): void
  /** The connection ended, or was never made. `code` is empty when the server closed it without an answer. */
  onTcpEnd(code: string): void
}

export class TcpQuery implements ConnectionHandler {
  private readonly stream: MessageStream
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
    this.stream = new MessageStream(
      tcp.open({ remoteAddress: to, remotePort: port, localAddress, ref: false, noDelay: true }, this),
    )
    this.stream.add(message)
  }

  onConnect(): void {
    this.onWritable()
  }

  onWritable(): void {
    if (this.closed) return
    try {
      this.stream.flush()
    } catch (error) {
      this.end(error instanceof NetError ? error.code : 'EPIPE')
    }
  }

  onReadable(): void {
    while (!this.closed) {
      const message = this.stream.next()
      if (message === null) break
      this.owner.onTcpMessage(message)
    }
    if (this.stream.connection.ended) this.end('')
  }

  onClose(_: RawConnection, error: NetError | null): void {
    this.end(error === null ? '' : error.code)
  }

  /** Nothing is told any more. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.stream.connection.close()
  }

  private end(code: string): void {
    if (this.closed) return
    this.close()
    this.owner.onTcpEnd(code)
  }
}
