/** Daytime (RFC 867): the date and time as a line of text, in UTC, from the host's wall clock. Input is thrown away. */
import type { Host } from '../base/clock.ts'
import type { NetError } from '../base/errors.ts'
import type { ConnectionHandler, ListenerHandler, RawConnection } from '../tcp/api.ts'
import type { Datagram } from '../udp/receive-queue.ts'
import type { Answerer } from './responder.ts'
import type { ServiceWatcher } from './service.ts'

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/** RFC 867's first syntax: `Tuesday, February 22, 1982 17:37:43-UTC`, with CR LF. `wallNs`: nanoseconds since 1970. */
export function daytime(wallNs: bigint): string {
  const t = new Date(Number(wallNs / 1_000_000n))
  const two = (n: number): string => String(n).padStart(2, '0')
  const date = `${DAYS[t.getUTCDay()]}, ${MONTHS[t.getUTCMonth()]} ${t.getUTCDate()}, ${t.getUTCFullYear()}`
  return `${date} ${two(t.getUTCHours())}:${two(t.getUTCMinutes())}:${two(t.getUTCSeconds())}-UTC\r\n`
}

/** Writes the line to `buf`; returns its length. */
function put(host: Host, buf: Uint8Array): number {
  const text = daytime(host.wallNs())
  for (let i = 0; i < text.length; i++) buf[i] = text.charCodeAt(i)
  return text.length
}

export class TcpDaytime implements ListenerHandler, ConnectionHandler {
  private readonly line = new Uint8Array(64)

  constructor(
    private readonly host: Host,
    private readonly watcher: ServiceWatcher = {},
  ) {}

  onConnection(connection: RawConnection): void {
    connection.handler = this
    this.watcher.opened?.('daytime', connection)
    // It may have been reset while it waited.
    if (connection.writable > 0) connection.write(this.line, 0, put(this.host, this.line))
    connection.shutdown()
  }

  onReadable(connection: RawConnection): void {
    connection.skip(connection.readable)
  }

  onClose(connection: RawConnection, error: NetError | null): void {
    this.watcher.closed?.('daytime', connection, error)
  }
}

export class UdpDaytime implements Answerer {
  readonly name = 'daytime'

  constructor(private readonly host: Host) {}

  answer(datagram: Datagram): number {
    return put(this.host, datagram.buf)
  }
}
