/**
 * Listening: a SYN queue of small records (a flood costs ~200 bytes each, and is bounded) and an accept queue of full connections.
 *
 * A SYN makes a `SynReceived`, answered at once; the ACK that completes the handshake turns it into a `Connection`. When the SYN queue is
 * full, SYNs are answered with cookies (syn-cookies.ts). When the accept queue is full, SYNs are dropped, and the ACK is not heard (Linux does the
 * same, or resets: `abortOnOverflow`): the peer's data or our SYN-ACK's timer brings another chance.
 */
import type { Address } from '../base/address.ts'
import type { Tellable } from '../base/tell.ts'
import type { ListenerHandler, ListenerOptions, RawConnection, RawListener } from './api.ts'
import type { Connection } from './connection.ts'
import { forMany } from './control-maker.ts'
import { FastOpened, type FastOpenQueue, fastOpenQueue, tryFastOpen } from './fast-open-passive.ts'
import type { Segment } from './segment.ts'
import { keysOfListener } from './signature-check.ts'
import type { KeyChain } from './signature-keys.ts'
import { checkListenerOptions, hasSocketOptions } from './socket-options.ts'
import { receiveCookie, sendCookie } from './syn-cookies.ts'
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
  /** At `::`: not for IPv4 as well. */
  ipv6Only = false
  /** Its own, and those of every connection that is accepted. */
  options: ListenerOptions
  /** Expiries of the SYN-ACK's timer for which an ACK without data completes nothing (TCP_DEFER_ACCEPT); 0: it does at once. */
  deferredTimeouts = 0
  /** There are some for the connections. */
  hasSocketOptions = false
  synAckRetries: number
  /** Null: TCP Fast Open is off. */
  fastOpen: FastOpenQueue | null = null
  /** Null: nobody signs. */
  keys: KeyChain | null = null
  private readonly queue: Connection[] = []
  /** Handshakes in progress, in no order; each knows its place. */
  private readonly pending: SynReceived[] = []
  private cookieMs = 0
  private cookies = false

  constructor(
    readonly tcp: Tcp,
    readonly localAddress: Address,
    readonly localPort: number,
    public handler: ListenerHandler,
    backlog: number,
    options: ListenerOptions,
  ) {
    this.backlog = backlog
    this.options = options
    this.synAckRetries = tcp.config.synAckRetries
    this.adopt()
  }

  set(options: ListenerOptions): void {
    checkListenerOptions(options)
    this.options = { ...this.options, ...options }
    this.adopt()
  }

  private adopt(): void {
    const { config } = this.tcp
    const { congestion, deferAcceptMs, synRetries } = this.options
    if (congestion !== undefined) this.options = { ...this.options, congestion: forMany(congestion) }
    this.synAckRetries = synRetries ?? config.synAckRetries
    this.hasSocketOptions = hasSocketOptions(this.options)
    this.adoptFastOpen()
    this.keys = keysOfListener(this)
    this.deferredTimeouts = timeoutsWithin(deferAcceptMs ?? 0, config.rtoInitialMs, config.rtoMaxMs)
  }

  get queued(): number {
    return this.queue.length
  }

  /** What is pending stays counted. */
  private adoptFastOpen(): void {
    const queue = fastOpenQueue(this)
    const old = this.fastOpen
    if (queue === null || old === null) this.fastOpen = queue
    else {
      old.most = queue.most
      old.ownKeys = queue.ownKeys
      old.noCookie = queue.noCookie
    }
  }

  get isFull(): boolean {
    return this.queue.length >= Math.max(1, this.backlog)
  }

  /** The accept queue has no room; counted as Linux does. */
  overflows(): boolean {
    if (!this.isFull) return false
    const n = this.tcp.counters.values
    n[C.ListenOverflows]++
    n[C.ListenDrops]++
    return true
  }

  /**
   * A segment for this port that belongs to no connection (RFC 9293 section 3.10.7.2). `chosen`: the ISN must be this one, for a TIME-WAIT
   * went before; no cookie can be sent then, and the record takes the place of that one.
   */
  receive(seg: Segment, isn: number, chosen = false): void {
    const { tcp } = this
    const { config } = tcp
    const n = tcp.counters.values
    if ((seg.flags & RST) !== 0) {
      n[C.dropUnacceptableReset]++
      return
    }
    if ((seg.flags & ACK) !== 0) {
      if ((seg.flags & SYN) === 0 && receiveCookie(this, seg)) return
      n[C.dropNoSocket]++ // of a connection that is not, or no longer, ours
      tcp.resetFor(seg)
      return
    }
    if ((seg.flags & SYN) === 0 || ((seg.flags & FIN) !== 0 && config.synWithFin !== 'accept')) {
      n[C.dropSynNotFirst]++
      return
    }
    if (this.overflows()) return
    if ((this.handshakes >= config.synBacklog || config.synCookies === 'always') && !chosen) {
      if (config.synCookies === 'off') {
        n[C.TCPReqQFullDrop]++
        n[C.ListenDrops]++
      } else {
        n[C.TCPReqQFullDoCookies]++
        sendCookie(this, seg)
      }
      return
    }
    const opened = this.fastOpen === null || seg.keys !== null ? FastOpened.COMMON : tryFastOpen(this, this.fastOpen, seg, isn)
    if (opened === FastOpened.TAKEN) return
    const { packet } = seg
    const half = new SynReceived(this, tcp.paths.get(packet.destination, packet.source), seg, seg.seq, isn)
    if (
      !half.begin(opened === FastOpened.WITH_COOKIE ? (this.fastOpen!.ownKeys ?? tcp.fastOpenKeys) : null, seg.cookieExperimental)
    ) {
      n[C.dropNoRoute]++
      return
    }
    this.handshakes++
    half.place = this.pending.push(half) - 1
    tcp.flowTable.add(half)
  }

  /** The handshake is over, well or not. */
  forget(half: SynReceived): void {
    const { place } = half
    if (place < 0) return
    half.place = -1
    const last = this.pending.pop()!
    if (last !== half) {
      this.pending[place] = last
      last.place = place
    }
    this.handshakes--
  }

  cookiesSent(nowMs: number): void {
    this.cookies = true
    this.cookieMs = nowMs
  }

  /** Cookies were sent in the last `ms` milliseconds. */
  awaitsCookies(nowMs: number, ms: number): boolean {
    if (this.cookies && (nowMs - this.cookieMs) >>> 0 > ms) this.cookies = false
    return this.cookies
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
    if (this.queue.length > 0 && !this.closed) this.handler.onAcceptable?.(this)
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
    while (this.pending.length > 0) this.pending[this.pending.length - 1].end(true)
    for (const c of this.queue.splice(0)) c.abort()
  }
}

/** How many expiries of a timer that doubles lie within `ms`, the first counted. Linux secs_to_retrans. */
function timeoutsWithin(ms: number, initialMs: number, maxMs: number): number {
  if (ms === 0) return 0
  let count = 1
  let step = initialMs
  for (let passed = step; ms > passed && count < 255; passed += step) {
    count++
    step = Math.min(2 * step, maxMs)
  }
  return count
}
