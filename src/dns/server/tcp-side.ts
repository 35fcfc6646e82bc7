/**
 * A DNS server's TCP (RFC 7766): many questions over one connection, answered in the order in which answers are known (section 6.2.1.1). A connection that has asked
 * nothing whole for a while is closed; one whose questions wait, or whose answers are not read, is not read from. Connections are so many at once, in all and of one client.
 */
import type { Address } from '../../base/address.ts'
import type { Task, TimerHandle } from '../../base/clock.ts'
import type { ConnectionHandler, ListenerHandler, RawConnection, RawListener } from '../../tcp/api.ts'
import { MessageStream } from '../message-stream.ts'
import { SN } from './counters.ts'
import type { Asker } from './question.ts'
import type { DnsServer } from './server.ts'

export class TcpSide implements ListenerHandler {
  private listener: RawListener | null = null
  private readonly connections = new Set<Served>()
  /** By client: how many of them are his. */
  private readonly byClient = new Map<string, number>()

  constructor(readonly server: DnsServer) {}

  /** The port. Throws NetError EADDRINUSE. */
  open(port: number): number {
    this.listener = this.server.deps.tcp.listen({ port, noDelay: true }, this)
    return this.listener.localPort
  }

  onConnection(connection: RawConnection): void {
    const { deps, counts: n } = this.server
    const { config, interfaces } = deps
    const client = connection.remoteAddress.key
    const his = this.byClient.get(client) ?? 0
    const isHere = interfaces === null || interfaces.some((i) => i.has(connection.localAddress))
    if (!isHere || this.connections.size >= config.maxConnections || his >= config.maxConnectionsPerClient) {
      n[SN.refusedConnections]++
      connection.abort()
      return
    }
    n[SN.connections]++
    this.byClient.set(client, his + 1)
    this.connections.add(new Served(this, connection, client))
  }

  ended(one: Served, client: string): void {
    if (!this.connections.delete(one)) return
    const left = this.byClient.get(client)! - 1
    if (left === 0) this.byClient.delete(client)
    else this.byClient.set(client, left)
  }

  close(): void {
    this.listener?.close()
    for (const one of [...this.connections]) one.end()
  }
}

/** A connection. */
class Served implements ConnectionHandler, Task {
  readonly address: Address
  private readonly stream: MessageStream
  private timer: TimerHandle | null = null
  /** Questions that are not answered yet. */
  private waiting = 0
  /** A row of answers that goes on when there is room. */
  private row: (() => Uint8Array | null) | null = null
  private isOver = false
  private isReading = false

  constructor(
    private readonly side: TcpSide,
    private readonly connection: RawConnection,
    private readonly client: string,
  ) {
    this.address = connection.remoteAddress.clone()
    this.stream = new MessageStream(connection)
    connection.handler = this
    this.heard()
  }

  onReadable(): void {
    this.read()
  }

  onWritable(): void {
    this.write()
    this.read()
  }

  onClose(): void {
    this.end()
  }

  /** It has been idle for too long. */
  run(): void {
    this.timer = null
    // Who waits for us is not idle: each question has an end.
    if (this.waiting > 0 && this.row === null && this.stream.waiting === 0) {
      this.heard()
      return
    }
    this.side.server.counts[SN.idleConnections]++
    this.end()
  }

  end(): void {
    if (this.isOver) return
    this.isOver = true
    if (this.timer !== null) this.side.server.deps.host.cancel(this.timer)
    this.side.ended(this, this.client)
    this.connection.close(LINGER_MS)
  }

  // Of askers

  answer(bytes: Uint8Array): void {
    this.waiting--
    if (this.isOver) return
    this.side.server.counts[SN.answers]++
    this.stream.add(bytes)
    this.write()
    this.read()
  }

  begin(row: () => Uint8Array | null): void {
    this.row = row
    this.write()
    this.read()
  }

  dropped(): void {
    this.waiting--
    this.read()
  }

  private read(): void {
    // What is answered at once comes back here.
    if (this.isReading) return
    const { server } = this.side
    const { config } = server.deps
    this.isReading = true
    while (
      !this.isOver &&
      this.row === null &&
      this.waiting < config.maxPipelined &&
      this.stream.waiting < config.maxOutputBytes
    ) {
      const message = this.stream.next()
      if (message === null) break
      this.heard()
      this.waiting++
      server.ask(message, 0, message.length, new TcpAsker(this))
    }
    this.isReading = false
    const { ended } = this.connection
    if (ended && this.waiting === 0 && this.row === null && this.stream.waiting === 0) this.end()
  }

  private write(): void {
    const { stream } = this
    try {
      do {
        this.fill()
        const before = stream.waiting
        stream.flush()
        // Reading what we say is life, too: a long transfer is not idle.
        if (stream.waiting < before) this.heard()
      } while (this.row !== null && stream.waiting === 0)
    } catch {
      this.end() // it broke
    }
  }

  private fill(): void {
    const { counts, deps } = this.side.server
    while (this.row !== null && this.stream.waiting < deps.config.maxOutputBytes) {
      const message = this.row()
      if (message === null) {
        this.row = null
        this.waiting--
        counts[SN.answers]++
      } else this.stream.add(message)
    }
  }

  /** From now on it is idle. */
  private heard(): void {
    const { host, config } = this.side.server.deps
    if (this.timer !== null) host.cancel(this.timer)
    this.timer = host.after(config.tcpIdleMs, this)
  }
}

/** What a client has not read when a connection ends is thrown away after this time. */
const LINGER_MS = 2000

class TcpAsker implements Asker {
  readonly overTcp = true

  constructor(private readonly served: Served) {}

  get address(): Address {
    return this.served.address
  }

  answer(bytes: Uint8Array): void {
    this.served.answer(bytes)
  }

  stream(next: () => Uint8Array | null): void {
    this.served.begin(next)
  }

  dropped(): void {
    this.served.dropped()
  }
}
