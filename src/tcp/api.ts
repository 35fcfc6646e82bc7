/**
 * The raw shape of TCP: synchronous, non-blocking, for those who count nanoseconds, and what the Node and web shapes are built on.
 * RFC 9293 section 3.9.1 names the calls: OPEN, SEND (`write`), RECEIVE (`read`), CLOSE (`shutdown`, `close`), ABORT, STATUS (`info`).
 */
import type { Address } from '../base/address.ts'
import type { EcnMode } from '../base/config.ts'
import type { NetError } from '../base/errors.ts'
import type { CongestionChoice } from './congestion.ts'

/**
 * What a connection calls, always from the "tell" step of a turn: no protocol code is on the stack, and whatever the handler writes
 * leaves right after it, in the same turn. Methods not needed may be left out.
 */
export interface ConnectionHandler {
  /** The handshake is complete. Only for connections that were opened actively. */
  onConnect?(connection: RawConnection): void
  /** Bytes arrived, or the peer's FIN (`connection.ended` once everything is read). Called again only after more arrives. */
  onReadable?(connection: RawConnection): void
  /** There is room again after a `write` that took less than it was given. */
  onWritable?(connection: RawConnection): void
  /** Urgent data is announced (RFC 9293 MUST-32); it is read inline. `bytes`: how many up to and including the last urgent one. */
  onUrgent?(connection: RawConnection, bytes: number): void
  /**
   * R1 was reached (RFC 9293 SHLD-9): what was sent has timed out `tcp.retries1` times in a row without an answer. The connection goes on
   * until R2 or the user timeout; `info().retries` and `info().backoff` say how it stands. Told once, and again after progress.
   */
  onStalled?(connection: RawConnection): void
  /** The connection has ended for the application: both directions are closed (error null), or it broke. The last call. */
  onClose?(connection: RawConnection, error: NetError | null): void
}

/** A TCP connection in the raw shape: synchronous, never blocking; its handler is told what has changed. */
export interface RawConnection {
  handler: ConnectionHandler
  readonly localAddress: Address
  readonly localPort: number
  readonly remoteAddress: Address
  readonly remotePort: number
  /** RFC 9293 state name: `ESTABLISHED`, `FIN-WAIT-1`, ... */
  readonly stateName: string
  /** Bytes that `read` would give now. */
  readonly readable: number
  /** The peer has sent FIN and everything before it was read. */
  readonly ended: boolean
  /** Bytes that `write` would take now. */
  readonly writable: number
  /** Bytes written but not yet acknowledged by the peer. */
  readonly unsent: number
  /** Bytes still to be read up to and including the last urgent one; 0 = no urgent data (RFC 9293 MUST-33). */
  readonly urgentBytes: number
  readonly bytesRead: number
  readonly bytesWritten: number
  /**
   * Queues up to `len` bytes for sending and returns how many were taken: fewer (even 0) when the send buffer is full, `onWritable`
   * follows. Throws NetError EPIPE after `shutdown`/`close`, and the connection's error once it broke. Before the handshake is
   * complete bytes are queued. Buffers from `allocate` are copied without garbage, others cost a view per call.
   */
  write(buf: Uint8Array, off: number, len: number): number
  /** Moves up to `len` received bytes to `buf`; 0 when there are none now (see `ended`). */
  read(buf: Uint8Array, off: number, len: number): number
  /** Throws away up to `len` received bytes without copying them; returns how many. */
  skip(len: number): number
  /** Like `write`, and marks the last byte urgent (RFC 9293 section 3.8.5). */
  writeUrgent(buf: Uint8Array, off: number, len: number): number
  /** CLOSE of our direction: FIN follows what was written; receiving goes on (half-close). */
  shutdown(): void
  /**
   * The application is done in both directions. Unsent data still goes out, then FIN; unread data or data that arrives later causes a
   * reset (RFC 1122 4.2.2.13, RFC 2525 2.17). `lingerMs`: give up and reset after that time; 0 is `abort`. No handler is called any more
   * but onClose.
   */
  close(lingerMs?: number): void
  /**
   * ABORT: RST to the peer; before it goes what was written and the windows let out at once, everything else is dropped. onClose follows
   * with null.
   */
  abort(): void
  setNoDelay(on: boolean): void
  /** idleMs, intervalMs, probes: 0 or undefined keeps what is set. */
  setKeepAlive(on: boolean, idleMs?: number, intervalMs?: number, probes?: number): void
  /** RFC 9293 3.9.1 user timeout in ms: how long data may stay unacknowledged; 0 = default rules. */
  setUserTimeout(ms: number): void
  /** DSCP and ECN bits of outgoing packets; where ECN was negotiated its two bits are TCP's own. */
  setTos(tos: number): void
  /** Changes any of the socket options at once. Throws ERR_INVALID_ARG_VALUE for unknown names and impossible values. */
  set(options: SocketOptions): void
  info(): ConnectionInfo
}

/**
 * What setsockopt knows of TCP, for one connection or for all that a listener accepts; what is left out stays as the stack's config says.
 * On a connection `set` changes them while it runs, but for those that only a handshake can agree on (`fastOpen`, `ecn`). `keys` may
 * change as long as some are of the peer, and of the kind that the handshake had.
 */
export interface SocketOptions {
  /** TCP_NODELAY: small segments do not wait for an ACK. */
  noDelay?: boolean
  /** TCP_CORK: only full segments leave until it is false again, at most for 200 ms. */
  cork?: boolean
  /** TCP_QUICKACK: true acknowledges at once until data is sent, false returns to delayed ACKs. */
  quickAck?: boolean
  /** TCP_NOTSENT_LOWAT: `writable` only while fewer bytes than this have not been sent; 0 = no such limit. */
  notSentLowatBytes?: number
  /** SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT. */
  keepAlive?: boolean
  keepAliveIdleMs?: number
  keepAliveIntervalMs?: number
  keepAliveProbes?: number
  /** TCP_USER_TIMEOUT (RFC 9293 section 3.9.1, RFC 5482); 0 = default rules. */
  userTimeoutMs?: number
  /** TCP_SYNCNT: retransmissions of a SYN. */
  synRetries?: number
  /** IP_TOS, IP_TTL. */
  tos?: number
  ttl?: number
  /** TCP_MAXSEG: largest segment to announce and to send, in bytes. */
  maxSegmentBytes?: number
  /** SO_SNDBUF, SO_RCVBUF: fixed sizes, no autotuning. TCP_WINDOW_CLAMP: most that is advertised. */
  sendBufferBytes?: number
  receiveBufferBytes?: number
  windowClampBytes?: number
  /** TCP_CONGESTION. */
  congestion?: CongestionChoice
  /** SO_MAX_PACING_RATE in bytes per second; 0 = none. */
  maxPacingRate?: number
  /** Congestion notification: `on` asks for RFC 3168, `accurate` for RFC 9768 (and falls back), `accept` only answers, `off`. */
  ecn?: EcnMode
  /** TCP_FASTOPEN_CONNECT of an opener; TCP_FASTOPEN of a listener (a number: most handshakes with data at once). RFC 7413. */
  fastOpen?: boolean | number
  /** TCP_FASTOPEN_NO_COOKIE: data in the SYN without a cookie, for networks that one owns. */
  fastOpenNoCookie?: boolean
  /**
   * TCP_MD5SIG, TCP-AO (RFC 2385, RFC 5925): segments of these peers are signed and must be. Of several TCP-AO keys for one peer the first is what an
   * opener signs with, and what the peer is asked to use (RNextKeyID).
   */
  keys?: readonly TcpKey[]
}

export type { EcnMode }

/** A key shared with a peer, for BGP speakers. */
export interface TcpKey {
  /** The peer, or a prefix of peers: `10.0.0.1`, `10.0.0.0/24`, `fd00::/64`. Every peer when left out. */
  peer?: string
  algorithm: 'md5' | 'hmac-sha-1-96' | 'aes-128-cmac-96'
  /** The secret; a string is taken as UTF-8. */
  key: string | Uint8Array
  /** RFC 5925: the numbers of this key as sent and as received. 0 when left out; no meaning for md5. */
  sendId?: number
  receiveId?: number
  /** RFC 5925 section 3.1: other TCP options are not signed, for middleboxes that change them. TCP_AO_KEYF_EXCLUDE_OPT. */
  excludeOptions?: boolean
}

/** What `ss -ti` shows. Times in microseconds where the name ends in Us, milliseconds where in Ms; sizes in bytes. */
export interface ConnectionInfo {
  state: string
  local: string
  remote: string
  mss: number
  receiveMss: number
  /** The MSS option that we sent. */
  announcedMss: number
  pathMtu: number
  rttUs: number
  rttVarUs: number
  minRttUs: number
  rtoMs: number
  backoff: number
  cwnd: number
  ssthresh: number
  congestion: string
  recovery: 'open' | 'disorder' | 'cwr' | 'recovery' | 'loss'
  bytesInFlight: number
  sendWindow: number
  receiveWindow: number
  sendScale: number
  receiveScale: number
  sack: boolean
  timestamps: boolean
  sndUna: number
  sndNxt: number
  rcvNxt: number
  sendQueue: number
  receiveQueue: number
  sendBufferBytes: number
  receiveBufferBytes: number
  retransmits: number
  retransmittedBytes: number
  lost: number
  sacked: number
  dsacks: number
  bytesSent: number
  bytesAcked: number
  bytesReceived: number
  segmentsIn: number
  segmentsOut: number
  dataSegmentsIn: number
  dataSegmentsOut: number
  /** Segments, as the log knows them: in flight, SACKed, believed lost, retransmitted and still out. */
  unackedSegments: number
  sackedSegments: number
  lostSegments: number
  retransSegments: number
  /** Most segments by which data was ever found reordered; 3 = never. */
  reordering: number
  reorderingSeen: number
  /** Bytes delivered to the peer, and those among them that it reported as marked CE. */
  delivered: number
  deliveredCe: number
  /** The counters of RFC 9768; null on connections without. */
  ecnReport: EcnReport | null
  /** Bytes per second of the last rate sample; `deliveryRateAppLimited`: the application had no more to send meanwhile. */
  deliveryRate: number
  deliveryRateAppLimited: boolean
  /** Bytes per second; 0 = not paced. */
  pacingRate: number
  /** Milliseconds in which there was something to send, and in which the peer's window or our buffer was what held it back. */
  busyMs: number
  windowLimitedMs: number
  bufferLimitedMs: number
  notSentBytes: number
  /** Delayed-ACK time-out now in use, 0 before the first data; the round-trip time as the receiver sees it. */
  atoMs: number
  receiveRttUs: number
  /** How long ago data was sent, data arrived in order, anything arrived; since the handshake where there was none. */
  lastDataSentMs: number
  lastDataReceivedMs: number
  lastReceivedMs: number
  ecn: 'off' | 'classic' | 'accurate'
  fastOpen: 'none' | 'sent' | 'accepted' | 'received'
  /** Bytes that our SYN carried. */
  fastOpenBytes: number
  /** What the network last complained of (ICMP) since data got through, as an error code; null = nothing (RFC 9293 MUST-47). */
  softError: string | null
  /** Time-outs, probes and keep-alives in a row without an answer. */
  retries: number
  probes: number
  signed: 'none' | 'md5' | 'ao'
}

/** Packets marked CE, and payload bytes by codepoint: of ours as the peer counts them (`delivered`), of the peer's as we do (`received`). */
export interface EcnReport {
  deliveredCePackets: number
  deliveredCeBytes: number
  deliveredEct0Bytes: number
  deliveredEct1Bytes: number
  receivedCePackets: number
  receivedCeBytes: number
  receivedEct0Bytes: number
  receivedEct1Bytes: number
}

/** Where to connect, from where, and what the connection is to be like. */
export interface OpenOptions extends SocketOptions {
  remoteAddress: Address | string
  remotePort: number
  localAddress?: Address | string
  /** 0 or absent: an ephemeral port, chosen at random (RFC 6056). */
  localPort?: number
  /** False: does not keep the process alive. True when left out. */
  ref?: boolean
}

/** What a listener can be told at any time. Socket options are those of every connection that is accepted from then on. */
export interface ListenerOptions extends SocketOptions {
  /**
   * TCP_DEFER_ACCEPT: a connection is accepted only when data came, or this time has passed; 0 = at once. Rounded as Linux does, to the
   * SYN-ACK's retransmissions: 1 s, 3 s, 7 s, ...
   */
  deferAcceptMs?: number
  /** TCP_FASTOPEN_KEY, as `tcp.fastOpenKeys` of the config, whose keys are used when left out. */
  fastOpenKeys?: readonly string[]
}

/** Where to listen, and what the connections are to be like. */
export interface ListenOptions extends ListenerOptions {
  /** 0: an ephemeral port. */
  port: number
  /** Absent or unspecified: every address of the stack. */
  address?: Address | string
  /** At the unspecified address of IPv6: not for IPv4 as well (IPV6_V6ONLY). */
  ipv6Only?: boolean
  /** Connections waiting to be accepted. */
  backlog?: number
  /** False: neither the listener nor its connections keep the process alive. True when left out. */
  ref?: boolean
}

/** Told of connections that were accepted. */
export interface ListenerHandler {
  /**
   * A connection was accepted. Set `connection.handler` here; data that came with it is told right after. Without this method the
   * connection waits for `listener.accept()`.
   */
  onConnection?(connection: RawConnection): void
  /** Without `onConnection`: a connection waits for `listener.accept()`. */
  onAcceptable?(listener: RawListener): void
}

/** A port that is listened on. */
export interface RawListener {
  handler: ListenerHandler
  readonly localAddress: Address
  readonly localPort: number
  /** Connections that wait to be accepted. */
  readonly queued: number
  /** Takes the next connection that waits, or null. */
  accept(): RawConnection | null
  /** Changes options at once. Throws ERR_INVALID_ARG_VALUE for unknown names and impossible values. */
  set(options: ListenerOptions): void
  /** Stops listening; waiting and half-open connections are reset. Accepted ones live on. */
  close(): void
}

/** What `stack.tcp` offers to users of the raw shape. */
export interface RawTcp {
  /** Active OPEN. Throws NetError: EADDRNOTAVAIL, EADDRINUSE, ENETUNREACH, EINVAL, ... Later failures come by onClose. */
  open(options: OpenOptions, handler: ConnectionHandler): RawConnection
  /** Passive OPEN. Throws NetError: EADDRINUSE, EADDRNOTAVAIL. */
  listen(options: ListenOptions, handler: ListenerHandler): RawListener
}
