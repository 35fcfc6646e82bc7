/**
 * A UDP socket in the web's shape: a stream of datagrams to read, one to write.
 *
 * Theory of operation. Nothing is read ahead: datagrams wait in the socket's queue, which is bounded in bytes, and what finds no room there is
 * dropped and counted, as by any UDP. Writing waits while the link is full. What the network refuses for one destination (no route, too large, unreachable) is
 * no end of the stream: that datagram is lost, which is all that UDP promises, and counted in `lost`. Who wants to know sends by `send`.
 */
import type { AbortLike } from '../base/abort.ts'
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import {
  type Bytes,
  bytesOf,
  type ChunkController,
  type ChunkReadable,
  type ChunkWritable,
  chunkReadable,
  chunkWritable,
  Settled,
  type SinkController,
} from '../host-web/web-streams.ts'
import type { Ip } from '../ip/ip.ts'
import { parseScoped, scopedText } from '../ip/zone.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpHandler, UdpOptions, UdpSocket } from '../udp/socket.ts'
import { portOf, socketError, wrongArgument, wrongState } from './errors.ts'

/** A datagram that came: its bytes and its sender. */
export interface UdpMessage {
  data: Uint8Array
  address: string
  port: number
}

/** A datagram to send. Address and port are left out on a socket with a `remote`. */
export interface UdpOutgoing {
  data: Bytes
  /** A literal; names are for the application to look up. */
  address?: string
  port?: number
}

/** Where to bind, and how much may wait. */
export interface WebUdpOptions extends Omit<UdpOptions, 'iface'> {
  /** 0 or absent: an ephemeral port, chosen at random. */
  port?: number
  /** An address of the stack to bind to: a literal. All of them when left out. */
  hostname?: string
  /** Sends to and hears only this peer. */
  remote?: { address: string; port: number }
  /** The name of the interface to hear and send by. */
  interface?: string
  /** Bytes of datagrams that may wait to be read (SO_RCVBUF). */
  receiveBufferBytes?: number
  /** Sending to broadcast addresses is allowed (SO_BROADCAST). */
  broadcast?: boolean
  /** Hop limits of what is sent, and of what is sent to groups. */
  ttl?: number
  multicastTtl?: number
  /** What is sent to a group is heard by this stack, too. True when left out. */
  multicastLoop?: boolean
  /** Groups to join: `joinGroup` does the same later. */
  groups?: readonly string[]
  signal?: AbortLike
}

/** A multicast group: where, and from whom. */
export interface GroupOptions {
  /** Name or address of the interface; routing's choice when left out. */
  interface?: string
  /** Hears only this source (source-specific multicast). */
  source?: string
}

/** A UDP socket in the web's shape: two streams of datagrams. */
export class WebUdpSocket implements UdpHandler {
  readonly readable: ChunkReadable<UdpMessage>
  readonly writable: ChunkWritable<UdpOutgoing>
  /** Resolves when the socket is closed; rejects with the reason of a signal that was aborted. */
  readonly closed: Promise<void>
  /** Datagrams of `writable` that the network refused. */
  lost = 0
  private readonly end = new Settled<void>()
  private input!: ChunkController<UdpMessage>
  private output!: SinkController
  private pulling: Settled<void> | null = null
  /** Who waits for the link, in order. */
  private readonly waiting: Settled<void>[] = []
  private inputDone = false
  private outputDone = false
  private isClosed = false
  /** What came back for something sent to `remote`, until a `send` tells it. */
  private fault: NetError | null = null
  private readonly received = new Datagram(new Uint8Array(0))
  private readonly raw: UdpSocket
  private readonly aborted = (): void => this.over({ reason: this.options.signal!.reason })

  /** Made by `stack.udp.bind`. */
  constructor(
    private readonly ip: Ip,
    open: (handler: UdpHandler) => UdpSocket,
    private readonly options: WebUdpOptions,
    private readonly forget: (socket: WebUdpSocket) => void,
  ) {
    this.closed = this.end.promise
    this.readable = chunkReadable<UdpMessage>({
      start: (controller) => {
        this.input = controller
      },
      pull: () => this.pull(),
      cancel: () => {
        this.inputDone = true
        this.raw.receiveBufferBytes = 0 // nobody reads: nothing is kept
        this.endIfDone()
      },
    })
    this.writable = chunkWritable<UdpOutgoing>({
      start: (controller) => {
        this.output = controller
      },
      write: (chunk) => this.write(chunk as UdpOutgoing),
      close: () => {
        this.outputDone = true
        this.endIfDone()
        return undefined
      },
      abort: () => {
        this.outputDone = true
        this.endIfDone()
      },
    })
    this.raw = open(this)
    const { signal } = options
    if (signal?.aborted) this.aborted()
    else signal?.addEventListener('abort', this.aborted)
  }

  get address(): string {
    return scopedText(this.ip, this.raw.localAddress)
  }

  get port(): number {
    return this.raw.localPort
  }

  /** Datagrams that were dropped because nobody read. */
  get drops(): number {
    return this.raw.drops
  }

  /**
   * Sends one datagram; resolves with its bytes when the link has it, rejects with SocketError: EMSGSIZE, EACCES, ENETUNREACH, EHOSTUNREACH, EDESTADDRREQ,
   * with a `remote` also what came back for an earlier one (ECONNREFUSED).
   */
  async send(data: Bytes, to: { address?: string; port?: number } = {}): Promise<number> {
    const bytes = this.bytes(data)
    const { fault } = this
    this.fault = null
    if (fault !== null) throw socketError(fault)
    try {
      await this.transmit(bytes, to)
    } catch (error) {
      throw socketError(error)
    }
    return bytes.length
  }

  /** Hears what is sent to a group. Throws SocketError: EINVAL for what is no group, ENODEV, EADDRINUSE (joined already), ENOBUFS. */
  joinGroup(group: string, { interface: iface, source }: GroupOptions = {}): void {
    this.told(() => this.raw.joinGroup(group, iface ?? null, source ?? null))
  }

  leaveGroup(group: string, { interface: iface, source }: GroupOptions = {}): void {
    this.told(() => this.raw.leaveGroup(group, iface ?? null, source ?? null))
  }

  /** Where groups are sent by: name or address of an interface; null: routing's choice. */
  setMulticastInterface(iface: string | null): void {
    this.told(() => this.raw.setMulticastInterface(iface))
  }

  /** Ends both streams: readers find the end, writers an error. */
  close(): Promise<void> {
    this.over(null)
    return this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close().catch(() => undefined)
  }

  // The socket's news

  onReadable(): void {
    if (this.pulling !== null && this.deliver()) this.pulled()
  }

  onWritable(): void {
    for (const one of this.waiting.splice(0)) one.resolve()
  }

  onError(_socket: UdpSocket, error: NetError): void {
    this.fault = error
  }

  private pull(): Promise<void> | undefined {
    if (this.deliver()) return undefined
    this.pulling = new Settled()
    return this.pulling.promise
  }

  private pulled(): void {
    const { pulling } = this
    this.pulling = null
    pulling?.resolve()
  }

  private deliver(): boolean {
    if (this.inputDone) return true
    if (this.raw.readable === 0) return false
    const { received } = this
    received.buf = new Uint8Array(this.raw.nextLength)
    this.raw.receive(received)
    this.input.enqueue({ data: received.buf, address: scopedText(this.ip, received.address), port: received.port })
    return true
  }

  /** What is wrong with the chunk ends the stream, what is wrong with the way loses the datagram. */
  private write(chunk: UdpOutgoing | null | undefined): Promise<void> | undefined {
    const bytes = this.bytes(chunk?.data)
    return this.transmit(bytes, chunk!).catch((error: unknown) => {
      if (this.isClosed || !(error instanceof NetError) || error.code.startsWith('ERR_')) throw socketError(error)
      this.lost++
    })
  }

  private bytes(data: unknown): Uint8Array {
    const bytes = bytesOf(data)
    if (bytes === null) throw wrongArgument('the data of a datagram is an ArrayBuffer or a view of one')
    return bytes
  }

  private async transmit(bytes: Uint8Array, { address, port }: { address?: string; port?: number }): Promise<void> {
    const to: Address | null = address === undefined ? null : parseScoped(this.ip, address)
    const number = to === null ? 0 : portOf(port, 1)
    for (;;) {
      if (this.isClosed) throw wrongState('ERR_SOCKET_CLOSED', 'the socket was closed')
      if (this.raw.send(bytes, 0, bytes.length, to, number)) return
      const room = new Settled<void>()
      this.waiting.push(room)
      await room.promise
    }
  }

  private told(change: () => void): void {
    try {
      change()
    } catch (error) {
      throw socketError(error)
    }
  }

  private endIfDone(): void {
    if (this.inputDone && this.outputDone) this.over(null)
  }

  /** @internal The end, for `failure` if there is one; the stack calls it, too. */
  over(failure: { readonly reason: unknown } | null): void {
    if (this.isClosed) return
    this.isClosed = true
    this.options.signal?.removeEventListener('abort', this.aborted)
    this.raw.close()
    this.forget(this)
    this.onWritable()
    if (!this.inputDone) {
      this.inputDone = true
      if (failure === null) this.input.close()
      else this.input.error(failure.reason)
      this.pulled()
    }
    if (!this.outputDone) {
      this.outputDone = true
      this.output.error(failure === null ? wrongState('ERR_SOCKET_CLOSED', 'the socket was closed') : failure.reason)
    }
    if (failure === null) this.end.resolve()
    else this.end.reject(failure.reason)
  }
}
