/**
 * Listening: a SYN queue of small records (a flood costs ~200 bytes each, and is bounded) and an accept queue of full connections.
 *
 * A SYN makes a `SynReceived`, answered at once; the ACK that completes the handshake turns it into a `Connection`. When the accept queue
 * is full that ACK is not heard (Linux does the same): the peer's data or our SYN-ACK's timer brings another chance.
 */
import type { Address } from '../base/address.ts'
import type { Tellable } from '../base/tell.ts'
import type { ListenerHandler, RawConnection, RawListener, SocketOptions } from './api.ts'
import type { Connection } from './connection.ts'
import type { Segment } from './segment.ts'
import { SynReceived } from './syn-received.ts'
import type { Tcp } from './tcp.ts'
import { C } from './tcp-counters.ts'
import { ACK, FIN, RST, SYN } from './wire.ts'

export class Listener implements RawListener, Tellable {
  told = false
  backlog: number
  /** Handshakes in progress. */
  handshakes = 0
  closed = false
  /** Holds the process while it listens, and so do the connections that it accepts. */
  ref = true
  private readonly queue: Connection[] = []
  readonly pending = new Set<SynReceived>()

  constructor(
    readonly tcp: Tcp,
    readonly localAddress: Address,
    readonly localPort: number,
    public handler: ListenerHandler,
    backlog: number,
    /** Of every connection that is accepted. */
    readonly options: SocketOptions,
  ) {
    this.backlog = backlog
  }

  get isFull(): boolean {
    return this.queue.length >= Math.max(1, this.backlog)
  }

  /** A segment for this port that belongs to no connection (RFC 9293 section 3.10.7.2). */
  receive(seg: Segment, isn: number): void {
    const { tcp } = this
    const n = tcp.counters.values
    if ((seg.flags & RST) !== 0) {
      n[C.dropUnacceptableReset]++
      return
    }
    if ((seg.flags & ACK) !== 0) {
      n[C.dropNoSocket]++ // of a connection that is not, or no longer, ours
      tcp.resetFor(seg)
      return
    }
    if ((seg.flags & SYN) === 0 || (seg.flags & FIN) !== 0) {
      n[C.dropSynNotFirst]++
      return
    }
    if (this.handshakes >= tcp.config.synBacklog || this.isFull) {
      n[C.ListenDrops]++
      return
    }
    const { packet } = seg
    const half = new SynReceived(this, tcp.paths.get(packet.destination, packet.source), seg, isn)
    if (!half.begin()) {
      n[C.dropNoRoute]++
      return
    }
    this.handshakes++
    this.pending.add(half)
    tcp.flowTable.add(half)
  }

  /** The handshake is complete. */
  enqueue(c: Connection): void {
    this.queue.push(c)
    this.tcp.tell.add(this)
  }

  tell(): void {
    while (this.handler.onConnection !== undefined && this.queue.length > 0 && !this.closed) {
      const c = this.take()!
      try {
        this.handler.onConnection(c)
      } finally {
        c.accept()
        if (this.queue.length > 0) this.tcp.tell.add(this)
      }
    }
  }

  accept(): RawConnection | null {
    const c = this.take()
    c?.accept()
    return c
  }

  private take(): Connection | null {
    return this.queue.shift() ?? null
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.tcp.removeListener(this)
    for (const half of [...this.pending]) half.end(true)
    for (const c of this.queue.splice(0)) c.abort()
  }
}
