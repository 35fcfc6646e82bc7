/**
 * A BSD socket over the raw API, as far as scripts ask for one.
 *
 * A call gives what the system call would return: a number, the name of an error, or null when it would block; whether that waits or becomes
 * EAGAIN is the caller's to decide. Errors of a connection are kept until a call or SO_ERROR fetches them, once, as kernels do.
 */
import { type Address, ANY, ANY_V4 } from '../../base/address.ts'
import { NetError } from '../../base/errors.ts'
import type {
  ConnectionHandler,
  ListenerOptions,
  ListenOptions,
  OpenOptions,
  RawConnection,
  RawListener,
  SocketOptions,
} from '../../tcp/api.ts'
import { isSocketOption } from '../../tcp/socket-options.ts'
import type { SocketAddress } from './socket-address.ts'
import type { Answer, SocketPlace } from './socket-place.ts'
import { skip } from './stop.ts'
import type { SentStamps } from './timestamping.ts'
import { ZerocopyQueue } from './zerocopy.ts'

/** The peer's FIN is in, though data before it may still be unread. */
const PEER_ENDED: ReadonlySet<string> = new Set(['CLOSE-WAIT', 'LAST-ACK', 'CLOSING', 'TIME-WAIT'])

const ZEROS = new Uint8Array(0x10000)

export class PosixSocket implements ConnectionHandler {
  nonBlocking = false
  connection: RawConnection | null = null
  listener: RawListener | null = null
  /** Waits to be fetched: SO_ERROR. */
  error: string | null = null
  /** Grows with everything that may wake who waits, for edge-triggered polling. */
  wakes = 0
  readonly zerocopy = new ZerocopyQueue()
  /** SO_TIMESTAMPING, once it is asked for. */
  stamps: SentStamps | null = null
  /** Values that setsockopt left and only getsockopt asks for. */
  readonly remembered = new Map<string, number | string>()
  /** How long a handshake may take in ms; 0: until its retransmissions are used up. */
  connectLimitMs: number
  linger: { on: boolean; seconds: number } = { on: false, seconds: 0 }
  /** MSG_MORE holds the last bytes back until a call without it. */
  private more = false
  connectPort: number
  private readonly options: SocketOptions & Partial<ListenOptions> = {}
  private boundPort = 0
  /** Null: not bound. */
  private boundAddress: Address | null = null
  /** `deferred`: connected for the application, and the SYN waits for the first bytes (TCP_FASTOPEN_CONNECT). */
  private state: 'new' | 'deferred' | 'connecting' | 'connected' | 'failed' = 'new'
  private connectTold = false
  private closed = false
  private sawEnd = false
  private noReads = false
  private noWrites = false

  constructor(readonly place: SocketPlace) {
    this.connectLimitMs = place.manners.connectLimitMs
    this.connectPort = place.connectPort
  }

  /** The socket of a connection that was accepted. */
  static of(place: SocketPlace, connection: RawConnection): PosixSocket {
    const s = new PosixSocket(place)
    s.connection = connection
    s.state = 'connected'
    s.connectTold = true
    connection.handler = s
    return s
  }

  // ---------------------------------------------------------------- handler

  onConnect(c: RawConnection): void {
    this.state = 'connected'
    if (this.connectLimitMs > 0) c.set({ userTimeoutMs: this.options.userTimeoutMs ?? 0 })
    this.wake()
  }

  onReadable(c: RawConnection): void {
    this.sawEnd = this.sawEnd || c.ended
    this.wake()
  }

  onWritable(): void {
    this.wake()
  }

  onClose(c: RawConnection, error: NetError | null): void {
    if (this.connection !== c) return
    this.closed = true
    if (this.state === 'connecting') this.state = 'failed'
    if (error !== null) {
      const afterFin = error.code === 'ECONNRESET' && (this.sawEnd || c.ended)
      this.error = afterFin ? this.place.manners.resetAfterFin : error.code
    }
    this.wake()
  }

  private wake(): void {
    this.wakes++
    this.place.woken()
  }

  // ---------------------------------------------------------------- options

  /** Sets options of the stack, now and for what is opened later. What the stack does not know skips the script. */
  apply(options: ListenerOptions): Answer {
    const { deferAcceptMs, fastOpenKeys, ...own } = options
    for (const name of Object.keys(own)) if (!isSocketOption(name)) skip(`the stack has no socket option ${name}`)
    const before = { ...this.options }
    try {
      Object.assign(this.options, options)
      this.connection?.set(own)
      this.listener?.set(options)
      return 0
    } catch (error) {
      Object.assign(this.options, before)
      if (error instanceof NetError && error.code.startsWith('ERR_')) return 'EINVAL'
      throw error
    }
  }

  option<K extends keyof ListenerOptions>(name: K): ListenerOptions[K] | undefined {
    return this.options[name]
  }

  /** What an accepted socket has from its listener. */
  inherit(listener: PosixSocket): void {
    for (const [name, value] of listener.remembered) this.remembered.set(name, value)
    Object.assign(this.options, listener.ofConnections())
    delete this.options.fastOpen // what a listener does, not what connections ask for
    this.linger = listener.linger
  }

  /** Options that are not a listener's own. */
  private ofConnections(): SocketOptions {
    const { port, address, ipv6Only, backlog, deferAcceptMs, fastOpenKeys, ...options } = this.options
    return options
  }

  takeError(): string | null {
    const { error } = this
    this.error = null
    return error
  }

  /** Connected only for the application, until it writes. */
  get isDeferred(): boolean {
    return this.state === 'deferred'
  }

  // ------------------------------------------------------------------ calls

  get isV6(): boolean {
    return this.place.isV6
  }

  get isBound(): boolean {
    return this.boundAddress !== null || this.connection !== null || this.listener !== null
  }

  private get isV6Only(): boolean {
    return this.remembered.get('IPV6_V6ONLY') === 1
  }

  /** The socket cannot have an address of that family: null if it can. */
  private refused(to: SocketAddress | null): string | null {
    if (to === null || to.isV6 === this.isV6) return null
    return this.isV6 ? 'EINVAL' : 'EAFNOSUPPORT' // that of IPv4 is too short for the one, and foreign to the other (Linux)
  }

  /** Null: where the runner says. */
  bind(to: SocketAddress | null): Answer {
    const refused = this.isBound ? 'EINVAL' : this.refused(to)
    if (refused !== null) return refused
    const { place } = this
    const address = to?.address ?? place.localAddress
    if (this.isV6Only && address.isV4) return 'EINVAL'
    if (!address.isUnspecified && !place.isLocal(address)) return 'EADDRNOTAVAIL'
    this.boundAddress = address
    this.boundPort = to?.port ?? place.bindPort
    return 0
  }

  listen(backlog: number): Answer {
    if (this.connection !== null) return 'EINVAL'
    if (this.listener !== null) return 0
    const options = this.options as ListenOptions
    options.port = this.boundPort
    options.address = this.boundAddress ?? (this.isV6 ? ANY : ANY_V4)
    options.ipv6Only = this.isV6Only
    options.backlog = Math.max(0, backlog) + this.place.manners.backlogExtra
    return this.guarded(() => {
      this.listener = this.place.tcp.listen(options, {})
      return 0
    })
  }

  /** The connection that comes out is a socket of its own. */
  accept(): PosixSocket | Answer {
    if (this.listener === null) return 'EINVAL'
    const connection = this.listener.accept()
    return connection === null ? null : PosixSocket.of(this.place, connection)
  }

  /** Begins, or says how it stands. Null: under way. `to`: null where the runner says. */
  connect(to: SocketAddress | null = null): Answer {
    if (this.listener !== null) return 'EISCONN'
    const refused = this.refused(to)
    if (refused !== null) return refused
    const { remoteAddress } = this.place
    if (to !== null && to.address !== null && !to.address.equals(remoteAddress))
      skip('connects to others than the peer are not played')
    // Mapped addresses are IPv4 (Linux tcp_v6_connect).
    if (this.isV6Only && remoteAddress.isV4) return 'ENETUNREACH'
    this.connectPort = to?.port ?? this.place.connectPort
    if (this.state === 'connecting') return 'EALREADY'
    if (this.state === 'deferred') return 'EISCONN'
    if (this.state !== 'new') return this.connected()
    if (this.remembered.get('TCP_FASTOPEN_CONNECT') !== 1) return this.open({})
    if (this.fastOpenRoom === 0) return this.open({ fastOpen: true })
    this.state = 'deferred'
    this.connectTold = true
    return 0
  }

  private get fastOpenRoom(): number {
    return this.place.fastOpenRoom(this.options.fastOpenNoCookie === true, this.options.maxSegmentBytes ?? 0)
  }

  /**
   * Connects with data in the SYN. Gives the bytes that went with it; null: the SYN asks for a cookie, and the data waits for the connection.
   * `keep`: the data is taken all the same (FreeBSD's implied connect).
   */
  sendFast(len: number, keep = false): Answer {
    if (!this.place.fastOpenAllowed) return 'EOPNOTSUPP'
    if (this.state === 'connecting') return 'EALREADY'
    if (this.state === 'connected') return 'EISCONN'
    if (this.state === 'failed') return this.connected()
    const room = this.fastOpenRoom
    const answer = this.open({ fastOpen: true })
    const c = this.connection
    if (answer !== null || c === null) return answer
    const most = keep ? len : Math.min(len, room)
    return most > 0 ? this.guarded(() => this.fill(c, most, false)) : null
  }

  private open(options: SocketOptions): Answer {
    const { tcp, remoteAddress } = this.place
    const range = Number(this.remembered.get('IP_LOCAL_PORT_RANGE') ?? 0)
    const all: OpenOptions = {
      ...this.ofConnections(),
      ...options,
      // The time for the handshake: as a user timeout, until there is a connection.
      ...(this.connectLimitMs === 0 ? {} : { userTimeoutMs: this.connectLimitMs }),
      remoteAddress,
      remotePort: this.connectPort,
      ...(this.boundAddress === null || this.boundAddress.isUnspecified ? {} : { localAddress: this.boundAddress }),
      ...(this.boundPort === 0 ? {} : { localPort: this.boundPort }),
    }
    return this.guarded(() => {
      this.connection = this.place.withPorts(range & 0xffff, range >>> 16, () => tcp.open(all, this))
      this.state = 'connecting'
      return null
    })
  }

  /** What a connect that was begun has come to; null: not yet anything. */
  connected(): Answer {
    if (this.state === 'connecting') return null
    const error = this.takeError()
    if (error !== null) return error
    if (this.state === 'failed') return 'ECONNABORTED'
    if (this.connectTold) return 'EISCONN'
    this.connectTold = true
    return 0
  }

  /** `connect` with AF_UNSPEC: the connection goes, the socket stays. */
  disconnect(): Answer {
    this.connection?.abort()
    this.connection = null
    this.state = 'new'
    this.closed = false
    this.connectTold = false
    this.sawEnd = false
    this.error = null
    return 0
  }

  read(len: number, peek = false): Answer {
    const c = this.connection
    if (c === null) return 'ENOTCONN'
    if (len === 0) return 0
    const n = Math.min(len, c.readable)
    if (n > 0) {
      if (!peek) c.skip(n)
      this.sawEnd = this.sawEnd || c.ended
      return n
    }
    const error = this.takeError()
    if (error !== null) return error
    if (this.noReads || c.ended || (this.closed && this.state === 'connected')) return 0
    return this.state === 'failed' ? 'ENOTCONN' : null
  }

  /** Bytes that `read` would give, and one for the end (TCP_INQ, FIONREAD). */
  get inQueue(): number {
    const c = this.connection
    return c === null ? 0 : c.readable > 0 ? c.readable : c.ended ? 1 : 0
  }

  /** Queues zeros. Takes what fits: null when nothing does. */
  write(len: number, flags: readonly string[] = []): Answer {
    const c = this.connection
    const error = this.takeError()
    if (error !== null) return error
    if (c === null) return this.place.manners.unconnectedWrite
    if (this.noWrites || this.closed) return 'EPIPE'
    if (this.state !== 'connected') return null
    const more = flags.includes('MSG_MORE')
    if (more && !this.more) this.hold(true)
    const n = this.guarded(() => this.fill(c, len, flags.includes('MSG_OOB')))
    if (!more && this.more) this.hold(false)
    return this.counted(n === 0 && len > 0 ? null : n, flags)
  }

  /** A call of MSG_ZEROCOPY that took bytes will be told of. */
  counted(n: Answer, flags: readonly string[]): Answer {
    if (this.stamps !== null && typeof n === 'number' && n > 0) this.stamps.wrote(this.connection!.bytesWritten)
    if (flags.includes('MSG_ZEROCOPY') && typeof n === 'number' && this.remembered.get('SO_ZEROCOPY') === 1)
      this.zerocopy.sent(this.connection!.bytesWritten)
    return n
  }

  private hold(on: boolean): void {
    this.more = on
    if (!isSocketOption('cork')) skip('MSG_MORE: the stack has no socket option cork')
    this.connection!.set({ cork: on || this.options.cork === true })
  }

  private fill(c: RawConnection, len: number, urgent: boolean): number {
    let done = 0
    while (done < len) {
      const part = Math.min(len - done, ZEROS.length)
      const last = done + part === len
      const n = urgent && last ? c.writeUrgent(ZEROS, 0, part) : c.write(ZEROS, 0, part)
      done += n
      if (n < part) break
    }
    return done
  }

  shutdown(how: number): Answer {
    const c = this.connection
    if (how < 0 || how > 2) return 'EINVAL'
    if (c === null || this.closed || this.state !== 'connected') return 'ENOTCONN'
    if (how !== 1) this.noReads = true
    if (how !== 0) {
      this.noWrites = true
      c.shutdown()
    }
    this.wakes++
    return 0
  }

  close(): Answer {
    this.listener?.close()
    this.listener = null
    if (this.linger.on) this.connection?.close(this.linger.seconds * 1000)
    else this.connection?.close()
    return 0
  }

  // ---------------------------------------------------------------- polling

  /** As poll(2) names what is ready, without `POLL`. */
  ready(): string[] {
    const out: string[] = []
    const c = this.connection
    const isOver = this.closed || (c === null && this.listener === null)
    const peerEnded = c !== null && (this.sawEnd || c.ended || PEER_ENDED.has(c.stateName))
    if (this.listener !== null) return this.listener.queued > 0 ? ['IN', 'RDNORM'] : []
    if (this.state !== 'connecting') {
      if (c !== null && (c.readable > 0 || peerEnded || this.noReads || isOver)) out.push('IN', 'RDNORM')
      if (isOver || this.noWrites || (c !== null && c.writable > 0 && 2 * c.writable >= c.unsent)) out.push('OUT', 'WRNORM')
      if (peerEnded || this.noReads || (isOver && c !== null)) out.push('RDHUP')
      if (isOver || (this.noWrites && (peerEnded || this.noReads))) out.push('HUP')
    }
    if (this.error !== null || this.zerocopy.hasNews(this.ackedBytes) || this.stamps?.hasNews === true) out.push('ERR')
    return out
  }

  /** Bytes that the peer has acknowledged; all of them once the connection is gone and its memory free. */
  get ackedBytes(): number {
    const c = this.connection
    return c === null || this.closed ? Number.POSITIVE_INFINITY : c.bytesWritten - c.unsent
  }

  /** Looks what has left and what is acknowledged, for stamps. */
  stamp(): void {
    const c = this.connection
    if (this.stamps === null || c === null) return
    this.stamps.look(c.bytesWritten - c.info().notSentBytes, this.ackedBytes, this.place.nowUs)
  }

  /** What a call of the stack gives, its errors as names. */
  private guarded(call: () => Answer): Answer {
    try {
      return call()
    } catch (error) {
      if (error instanceof NetError) return error.code.startsWith('ERR_') ? 'EINVAL' : error.code
      throw error
    }
  }
}
