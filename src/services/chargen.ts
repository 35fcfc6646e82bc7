/**
 * Character generator (RFC 864): 72 printable characters a line, each line beginning one character later than the one before.
 *
 * The pattern repeats after 95 lines. It lies ready in one block that is longer than a period, so that wherever a connection stands
 * (its own count of bytes says where), the next piece is a contiguous range of the block: to keep a send buffer full is one or two
 * writes each time there is room.
 */
import { allocate } from '../base/arena.ts'
import type { NetError } from '../base/errors.ts'
import { type Random, randomBelow } from '../base/random.ts'
import type { ConnectionHandler, ListenerHandler, RawConnection } from '../tcp/api.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { Answerer } from './responder.ts'
import type { ServiceWatcher } from './service.ts'

const FIRST = 0x20
const PRINTABLE = 95
const LINE = 72
/** Bytes after which the pattern repeats. */
export const PERIOD = PRINTABLE * (LINE + 2)
const PIECE = 64 << 10
/** RFC 864: a datagram of 0 to 512 characters. */
const MOST = 512

/** `length` bytes of the pattern, from its beginning. */
export function pattern(length: number): Uint8Array {
  const out = allocate(length)
  for (let i = 0; i < length; i++) {
    const line = Math.floor(i / (LINE + 2))
    const column = i % (LINE + 2)
    out[i] = column < LINE ? FIRST + ((line + column) % PRINTABLE) : column === LINE ? 13 : 10
  }
  return out
}

export class TcpChargen implements ListenerHandler, ConnectionHandler {
  private readonly block = pattern(PERIOD + PIECE)

  constructor(private readonly watcher: ServiceWatcher = {}) {}

  onConnection(connection: RawConnection): void {
    connection.handler = this
    this.watcher.opened?.('chargen', connection)
    this.onWritable(connection)
  }

  /** Input is thrown away; the stream goes on until the peer is gone, also after its FIN. */
  onReadable(connection: RawConnection): void {
    connection.skip(connection.readable)
  }

  onWritable(connection: RawConnection): void {
    // It may have been reset while it waited to be accepted: then it takes nothing and writing is an error.
    if (connection.writable === 0) return
    const { block } = this
    let n: number
    do {
      n = connection.write(block, connection.bytesWritten % PERIOD, PIECE)
    } while (n === PIECE)
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    this.watcher.closed?.('chargen', connection, error)
  }
}

export class UdpChargen implements Answerer {
  readonly name = 'chargen'
  private readonly block = pattern(PERIOD + MOST)
  private line = 0

  constructor(private readonly random: Random) {}

  /** RFC 864: a random number of characters; each datagram goes on one line later. */
  answer(datagram: Datagram): number {
    const length = randomBelow(this.random, MOST + 1)
    const from = this.line * (LINE + 2)
    this.line = (this.line + 1) % PRINTABLE
    for (let i = 0; i < length; i++) datagram.buf[i] = this.block[from + i]
    return length
  }
}
