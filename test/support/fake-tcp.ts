/**
 * A network of TCP in memory, without segments: just what the raw shape promises, for tests of what is built on it. Handlers are
 * called from a task of the host, never from within a call. Buffers are bounded, so that back-pressure can be seen.
 */
import { type Address, ANY_V4, address, parseAddress } from '../../src/base/address.ts'
import type { Host, Task } from '../../src/base/clock.ts'
import { NetError } from '../../src/base/errors.ts'
import type {
  ConnectionHandler,
  ConnectionInfo,
  ListenerHandler,
  ListenerOptions,
  ListenOptions,
  OpenOptions,
  RawConnection,
  RawListener,
  RawTcp,
} from '../../src/tcp/api.ts'

const nobody: ConnectionHandler = {}

class FakeConnection implements RawConnection {
  handler: ConnectionHandler = nobody
  peer: FakeConnection | null = null
  stateName = 'ESTABLISHED'
  readonly urgentBytes = 0
  bytesRead = 0
  bytesWritten = 0
  finSent = false
  finReceived = false
  closed = false
  error: NetError | null = null
  wantsWritable = false
  readonly calls: string[] = []
  private queue: Uint8Array[] = []
  private queued = 0

  constructor(
    private readonly tcp: FakeTcp,
    readonly localAddress: Address,
    readonly localPort: number,
    readonly remoteAddress: Address,
    readonly remotePort: number,
  ) {}

  get readable(): number {
    return this.queued
  }

  get ended(): boolean {
    return this.finReceived && this.queued === 0
  }

  get writable(): number {
    return this.peer === null ? this.tcp.buffer : this.tcp.buffer - this.peer.queued
  }

  get unsent(): number {
    return this.peer === null ? 0 : this.peer.queued
  }

  write(buf: Uint8Array, off: number, len: number): number {
    if (this.error !== null) throw this.error
    if (this.finSent || this.closed) throw new NetError('EPIPE')
    const n = this.peer === null ? 0 : Math.max(0, Math.min(len, this.writable))
    if (n < len) this.wantsWritable = true
    if (n > 0 && this.peer !== null) {
      const peer = this.peer
      peer.queue.push(buf.slice(off, off + n))
      peer.queued += n
      this.bytesWritten += n
      if (peer.handler === nobody && peer.closed) this.tcp.later(() => this.break('ECONNRESET'))
      else this.tcp.later(() => peer.handler.onReadable?.(peer))
    }
    return n
  }

  read(buf: Uint8Array, off: number, len: number): number {
    let done = 0
    while (done < len && this.queue.length > 0) {
      const first = this.queue[0]
      const n = Math.min(first.length, len - done)
      buf.set(first.subarray(0, n), off + done)
      done += n
      if (n === first.length) this.queue.shift()
      else this.queue[0] = first.subarray(n)
    }
    this.queued -= done
    this.bytesRead += done
    this.room()
    return done
  }

  skip(len: number): number {
    return this.read(new Uint8Array(Math.min(len, this.queued)), 0, Math.min(len, this.queued))
  }

  writeUrgent(buf: Uint8Array, off: number, len: number): number {
    return this.write(buf, off, len)
  }

  shutdown(): void {
    if (this.finSent || this.closed) return
    this.finSent = true
    const peer = this.peer!
    this.tcp.later(() => {
      if (peer.error !== null || peer.finReceived) return
      peer.finReceived = true
      peer.handler.onReadable?.(peer)
      peer.maybeOver()
    })
    this.tcp.later(() => this.maybeOver())
  }

  close(lingerMs?: number): void {
    this.calls.push(lingerMs === undefined ? 'close' : `close ${lingerMs}`)
    if (this.closed) return
    const unread = this.queued > 0
    if (unread) this.abort()
    else {
      this.shutdown()
      this.closed = true
    }
  }

  abort(): void {
    this.calls.push('abort')
    if (this.closed) return
    this.closed = true
    const peer = this.peer
    this.tcp.later(() => {
      peer?.break('ECONNRESET')
      this.handler.onClose?.(this, null)
    })
  }

  /** The peer reset the connection, or it timed out. */
  break(code: string): void {
    if (this.error !== null || this.stateName === 'CLOSED') return
    this.stateName = 'CLOSED'
    this.error = new NetError(code)
    this.handler.onClose?.(this, this.error)
  }

  setNoDelay(on: boolean): void {
    this.calls.push(`noDelay ${on}`)
  }

  setKeepAlive(on: boolean, idleMs?: number): void {
    this.calls.push(`keepAlive ${on} ${idleMs}`)
  }

  setUserTimeout(): void {}
  setTos(): void {}
  set(): void {}

  info(): ConnectionInfo {
    throw new Error('a fake has no numbers')
  }

  private maybeOver(): void {
    if (!this.finSent || !this.finReceived || this.stateName === 'CLOSED') return
    this.stateName = 'CLOSED'
    this.handler.onClose?.(this, null)
  }

  private room(): void {
    const peer = this.peer
    if (peer === null || !peer.wantsWritable) return
    peer.wantsWritable = false
    this.tcp.later(() => peer.handler.onWritable?.(peer))
  }
}

class FakeListener implements RawListener {
  readonly waiting: FakeConnection[] = []

  constructor(
    private readonly tcp: FakeTcp,
    readonly localAddress: Address,
    readonly localPort: number,
    public options: ListenOptions,
    public handler: ListenerHandler,
  ) {}

  get queued(): number {
    return this.waiting.length
  }

  accept(): RawConnection | null {
    return this.waiting.shift() ?? null
  }

  set(options: ListenerOptions): void {
    this.options = { ...this.options, ...options }
  }

  close(): void {
    this.tcp.listeners.delete(this)
  }
}

export class FakeTcp implements RawTcp, Task {
  readonly listeners = new Set<FakeListener>()
  /** Every connection ever made, for looking into. */
  readonly connections: FakeConnection[] = []
  /** Addresses from which no answer ever comes, and those to which there is no way. */
  readonly silent = new Set<string>()
  readonly noRoute = new Set<string>()
  private nextPort = 40_000
  private work: (() => void)[] = []

  /** @param buffer bytes that a connection holds for its reader. */
  constructor(
    private readonly host: Host,
    private readonly own: string[] = ['10.0.0.1', '127.0.0.1'],
    readonly buffer = 65_536,
  ) {}

  later(what: () => void): void {
    this.work.push(what)
    if (this.work.length === 1) this.host.soon(this)
  }

  run(): void {
    const work = this.work
    this.work = []
    for (const what of work) {
      try {
        what()
      } catch (error) {
        this.host.uncaught(error)
      }
    }
  }

  open(options: OpenOptions, handler: ConnectionHandler): RawConnection {
    const to = typeof options.remoteAddress === 'string' ? address(options.remoteAddress) : options.remoteAddress
    const from = this.localOf(options.localAddress) ?? address(to.isLoopback ? '127.0.0.1' : '10.0.0.1')
    const key = to.toString()
    if (this.noRoute.has(key)) throw new NetError('ENETUNREACH')
    const port = options.localPort || this.nextPort++
    if (options.localPort && this.listenerAt(from, port) !== null) throw new NetError('EADDRINUSE')
    const a = new FakeConnection(this, from, port, to, options.remotePort)
    a.stateName = 'SYN-SENT'
    a.handler = handler
    this.connections.push(a)
    if (this.silent.has(key)) return a
    this.later(() => {
      if (a.closed) return
      const listener = this.listenerAt(to, options.remotePort)
      if (listener === null) {
        a.break('ECONNREFUSED')
        return
      }
      const b = new FakeConnection(this, to, options.remotePort, from, port)
      this.connections.push(b)
      a.peer = b
      b.peer = a
      a.stateName = 'ESTABLISHED'
      this.later(() => {
        if (!this.listeners.has(listener)) a.break('ECONNRESET')
        else if (listener.handler.onConnection === undefined) listener.waiting.push(b)
        else listener.handler.onConnection(b)
      })
      a.handler.onConnect?.(a)
    })
    return a
  }

  listen(options: ListenOptions, handler: ListenerHandler): RawListener {
    const at = this.localOf(options.address) ?? ANY_V4
    const port = options.port || this.nextPort++
    if (this.listenerAt(at, port) !== null) throw new NetError('EADDRINUSE')
    const listener = new FakeListener(this, at, port, options, handler)
    this.listeners.add(listener)
    return listener
  }

  private localOf(given: Address | string | undefined): Address | null {
    if (given === undefined) return null
    const a = typeof given === 'string' ? parseAddress(given)! : given
    if (!a.isUnspecified && !this.own.includes(a.toString())) throw new NetError('EADDRNOTAVAIL')
    return a
  }

  private listenerAt(a: Address, port: number): FakeListener | null {
    for (const l of this.listeners) {
      if (l.localPort === port && (l.localAddress.isUnspecified || a.isUnspecified || l.localAddress.equals(a))) return l
    }
    return null
  }
}
