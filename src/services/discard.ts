/** Discard (RFC 863): whatever comes is thrown away, over TCP without being copied first. */
import type { NetError } from '../base/errors.ts'
import type { ConnectionHandler, ListenerHandler, RawConnection } from '../tcp/api.ts'
import type { Answerer } from './responder.ts'
import type { ServiceWatcher } from './service.ts'

export class TcpDiscard implements ListenerHandler, ConnectionHandler {
  constructor(private readonly watcher: ServiceWatcher = {}) {}

  onConnection(connection: RawConnection): void {
    connection.handler = this
    this.watcher.opened?.('discard', connection)
  }

  onReadable(connection: RawConnection): void {
    connection.skip(connection.readable)
    if (connection.ended) connection.shutdown()
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    this.watcher.closed?.('discard', connection, error)
  }
}

export const udpDiscard: Answerer = {
  name: 'discard',
  answer(): number {
    return -1
  },
}
