/**
 * Echo (RFC 862): whatever comes goes back.
 *
 * Over TCP, only as much is read as can be written at once. What cannot be written stays in the receive ring, the window closes, and
 * the peer waits: no byte is lost and none is held twice. FIN is answered after the last byte has gone back.
 */
import { allocate } from '../base/arena.ts'
import type { NetError } from '../base/errors.ts'
import type { ConnectionHandler, ListenerHandler, RawConnection } from '../tcp/api.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { Answerer } from './responder.ts'
import type { ServiceWatcher } from './service.ts'

/** Small enough to stay in the cache between read and write, large enough that calls do not count. */
const PIECE = 64 << 10

export class TcpEcho implements ListenerHandler, ConnectionHandler {
  private readonly piece = allocate(PIECE)

  constructor(private readonly watcher: ServiceWatcher = {}) {}

  onConnection(connection: RawConnection): void {
    connection.handler = this
    this.watcher.opened?.('echo', connection)
  }

  onReadable(connection: RawConnection): void {
    const { piece } = this
    let waiting = connection.readable
    while (waiting > 0) {
      const room = connection.writable
      if (room === 0) {
        // What came before a reset need not go back, and writing would be an error: onClose follows.
        if (connection.stateName === 'CLOSED') return
        // A write that finds no room is what brings onWritable.
        connection.write(piece, 0, 1)
        return
      }
      const n = connection.read(piece, 0, room < waiting ? (room < PIECE ? room : PIECE) : PIECE)
      connection.write(piece, 0, n)
      waiting -= n
    }
    if (connection.ended) connection.shutdown()
  }

  onWritable(connection: RawConnection): void {
    this.onReadable(connection)
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    this.watcher.closed?.('echo', connection, error)
  }
}

export const udpEcho: Answerer = {
  name: 'echo',
  answer(datagram: Datagram): number {
    return datagram.len
  },
}
