/**
 * The TCB: one connection, from SYN-SENT or the end of a passive handshake to CLOSED or TIME-WAIT. Only `setState` changes its state.
 *
 * Theory of operation. `receive` treats a segment in the order of RFC 9293 section 3.10.7 and never sends: it updates the halves (`rcv`,
 * `snd`), puts the connection on the dirty list and says what the application should be told. `tell` calls the application's handler.
 * `speak`, at the end of the turn, emits what is due: SYN, retransmissions, new data, probes, at last a pure ACK if no other segment carried
 * it. What arrives is judged in incoming.ts and icmp-errors.ts, what time brings in deadlines.ts; speaking, telling and closing have files too.
 *
 * Deviations: segments without timestamps on a connection that negotiated them are accepted (RFC 7323 section 3.2 says SHOULD drop; dropping
 * them hangs handshakes through middleboxes that strip options); zero-window probes carry no octet but repeat SND.UNA-1, which every peer must
 * acknowledge and none can misplace.
 */
import type { Address } from '../base/address.ts'
import type { Tellable } from '../base/tell.ts'
import type { Route } from '../ip/route.ts'
import { dataSent } from './ack-policy.ts'
import type { ConnectionHandler, ConnectionInfo, EcnMode, RawConnection, SocketOptions } from './api.ts'
import { readFrom, skipFrom, writeTo, writeUrgentTo } from './calls.ts'
import { abortConnection, closeConnection } from './closing.ts'
import type { CongestionControl } from './congestion.ts'
import { Deadlines } from './deadlines.ts'
import { type Ecn, requestEcn } from './ecn.ts'
import type { FastOpen } from './fast-open.ts'
import { endFastOpen } from './fast-open-passive.ts'
import type { Flow } from './flows.ts'
import type { Doubt } from './icmp-errors.ts'
import { receiveInSynSent, receiveSynchronized } from './incoming.ts'
import { describeConnection } from './info.ts'
import type { Path } from './path.ts'
import { Receiver } from './receiver.ts'
import { Rto } from './rto.ts'
import type { Segment } from './segment.ts'
import { Sender } from './sender.ts'
import type { Signature } from './signature.ts'
import { changeKeys } from './signature-check.ts'
import { applySizes, roundBuffers, scaleFor } from './sizes.ts'
import { applyOptions, checkLiveOptions } from './socket-options.ts'
import { speakConnection } from './speaking.ts'
import { STATE_NAMES, State } from './state.ts'
import type { Tcp } from './tcp.ts'
import { C } from './tcp-counters.ts'
import { News, NO_HANDLER, tellHandler } from './telling.ts'
import { DEFAULT_MSS_V4 } from './wire.ts'

export class Connection implements RawConnection, Flow, Tellable {
  handler: ConnectionHandler = NO_HANDLER
  state: number = State.CLOSED
  readonly snd: Sender
  readonly rcv: Receiver
  readonly rto: Rto
  readonly deadlines: Deadlines
  /** On the dirty list, the tell list. Owned by those. */
  dirty = false
  told = false
  /** Taken by the application: until then nothing is told. */
  accepted = true
  /** The application has called close: nobody reads any more. */
  orphan = false
  /** Holds the process while it is open (raw shape; the other shapes see to that themselves). */
  ref = false

  timestamps = false
  sackPermitted = false
  windowScaling = false
  announcedMss = DEFAULT_MSS_V4
  /** TCP_MAXSEG; 0 = none. */
  maxSegment = 0
  /** Generation of the routes when sizes were last derived from them. */
  routeGeneration = 0
  tsRecent = 0
  tsRecentMs = 0
  /** What the SYN carried besides (RFC 7413). */
  fastOpen: FastOpen | null = null
  keys: Signature | null = null
  tos = 0
  ttl: number
  /** What OPEN asks for; null unless ECN is asked for or agreed on. */
  ecnMode: EcnMode
  ecn: Ecn | null = null

  /** What the application is to be told: bits of News. */
  news = 0
  /** Why it ended, as an error code. */
  error: string | null = null
  /** An ICMP error that does not end the connection, but explains a time-out (RFC 9293 SHLD-25). */
  softError: string | null = null
  /** A PACKET TOO BIG that waits for a time-out (icmp-errors.ts). */
  doubt: Doubt | null = null
  synDue = false
  probeDue = false
  lastInvalidAckMs = 0
  invalidAckSent = false
  lastReceivedMs = 0
  synSentUs = 0
  /** When OPEN was called, for active ones. */
  openedMs = 0
  everConnected = false
  /** The peer's FIN is in order. */
  private peerClosed = false
  bytesRead = 0
  bytesWritten = 0
  segmentsIn = 0
  segmentsOut = 0
  dataSegmentsIn = 0
  dataSegmentsOut = 0
  dsacks = 0

  constructor(
    readonly tcp: Tcp,
    /** The addresses and the way, shared with other connections between the same two. */
    readonly path: Path,
    readonly localPort: number,
    readonly remotePort: number,
    control: CongestionControl,
    /** Of the handshake, where there was one. */
    rto: Rto | null,
  ) {
    const config = tcp.config
    this.rto = rto ?? new Rto(config.rtoInitialMs, config.rtoMinMs, config.rtoMaxMs)
    this.snd = new Sender(tcp.memory, tcp.flights, control, this.rto, config)
    this.rcv = new Receiver(tcp.memory, config)
    this.deadlines = new Deadlines(this, config)
    this.ttl = tcp.defaultTtl
    this.ecnMode = config.ecn
    this.lastReceivedMs = tcp.clock.nowMs
  }

  get localAddress(): Address {
    return this.path.local
  }

  get remoteAddress(): Address {
    return this.path.remote
  }

  get route(): Route {
    return this.path.route
  }

  // ---------------------------------------------------------------- opening

  /** Active OPEN: SYN goes out in the next turn. The route is resolved. */
  open(): void {
    const { config } = this.tcp
    this.timestamps = config.timestamps
    this.sackPermitted = config.sack
    this.windowScaling = config.windowScale
    this.prepare()
    this.snd.una = this.snd.iss
    this.snd.nxt = (this.snd.iss + 1) | 0
    this.setState(State.SYN_SENT)
    this.ecn = requestEcn(this)
    this.synDue = true
    this.openedMs = this.tcp.clock.nowMs
    this.tcp.markDirty(this)
  }

  /** Passive OPEN: the handshake is over, or goes on by Fast Open; SND and RCV variables and options are set by the listener. */
  established(state: number = State.ESTABLISHED): void {
    this.prepare()
    applySizes(this)
    roundBuffers(this)
    this.snd.begin(this.tcp.clock.nowMs)
    this.everConnected = true
    this.rcv.lastDataMs = this.tcp.clock.nowMs
    this.setState(state)
    this.deadlines.armKeepAlive()
  }

  /** What follows from the route: what we announce, the constant part of the checksum, the scale of our window. */
  prepare(): void {
    const mss = this.tcp.mssFor(this.route, this.remoteAddress.isV4)
    this.announcedMss = this.maxSegment > 0 && this.maxSegment < mss ? this.maxSegment : mss
    this.routeGeneration = this.route.generation
    if (this.windowScaling) this.rcv.scale = scaleFor(this.rcv.mostWindow)
  }

  /** Looks the way up again after routes, addresses or the path MTU changed. */
  refreshRoute(): void {
    const problem = this.path.resolve(this.tcp.ip)
    this.routeGeneration = this.tcp.ip.generation
    // Without a way the old one stays: retransmissions and their time-out decide (RFC 9293 MUST-56).
    if (problem !== null) this.softError = problem
    else if (this.everConnected) applySizes(this)
  }

  /** R1 (RFC 9293 section 3.8.3): the way may have died; it is looked up again with the next segment. */
  doubtRoute(): void {
    this.path.doubt(this.tcp.ip)
    this.routeGeneration = this.route.generation
  }

  // ------------------------------------------------------------- receiving

  receive(seg: Segment): void {
    this.segmentsIn += seg.count
    if (this.state === State.SYN_SENT) receiveInSynSent(this, seg)
    else if (this.state !== State.CLOSED) receiveSynchronized(this, seg)
  }

  /** Our FIN is acknowledged. False when the connection is gone. */
  finAcknowledged(): boolean {
    switch (this.state) {
      case State.FIN_WAIT_1:
        this.setState(State.FIN_WAIT_2)
        if (this.orphan) this.deadlines.armLife(this.tcp.config.finWait2Ms)
        return true
      case State.CLOSING:
        this.timeWait()
        return false
      case State.LAST_ACK:
        this.finish(null)
        return false
      default:
        return true
    }
  }

  receiveFin(): void {
    const { rcv } = this
    rcv.nxt = (rcv.nxt + 1) | 0
    rcv.edge = (rcv.edge + 1) | 0 // a number, but no room
    rcv.finSeen = false
    rcv.hasDsack = false // who has nothing left to send has nothing to learn from it; Linux is silent, too
    rcv.ackNow = true
    this.tcp.markDirty(this)
    this.peerClosed = true
    this.notify(News.READABLE)
    switch (this.state) {
      case State.ESTABLISHED:
        this.setState(State.CLOSE_WAIT)
        break
      case State.FIN_WAIT_1:
        this.setState(State.CLOSING) // our FIN is not acknowledged yet, or we would be in FIN-WAIT-2
        break
      case State.FIN_WAIT_2:
        this.timeWait()
        break
    }
  }

  /** A valid RST. */
  reset(): void {
    this.tcp.counters.values[C.tcpEstabResets]++
    const refused = this.state === State.SYN_RECEIVED && this.fastOpen?.handshaking !== true
    if (this.fastOpen !== null) endFastOpen(this, this.fastOpen, true)
    if (refused) this.finish('ECONNREFUSED')
    else if ((this.state === State.CLOSING || this.state === State.LAST_ACK) && !this.tcp.config.tellLateReset) this.finish(null)
    else this.finish('ECONNRESET')
  }

  // ---------------------------------------------------------------- telling

  notify(news: number): void {
    this.news |= news
    if (this.accepted) this.tcp.tell.add(this)
  }

  /** The application has the connection from now on. */
  accept(): void {
    this.accepted = true
    if (this.news !== 0) this.tcp.tell.add(this)
  }

  tell(): void {
    tellHandler(this)
  }

  // --------------------------------------------------------------- speaking

  speak(quantum: number): number {
    return speakConnection(this, quantum)
  }

  /** The sender has emitted `len` bytes of data, or FIN (a retransmission or not). */
  sentData(len: number): void {
    const segments = len <= this.snd.payloadLimit ? 1 : Math.ceil(len / this.snd.payloadLimit)
    this.segmentsOut += segments
    if (len > 0) this.dataSegmentsOut += segments
    if (len > 0 && !this.rcv.pingpong) dataSent(this)
  }

  /** FIN went out for the first time. */
  finSent(): void {
    if (this.state === State.ESTABLISHED || this.state === State.SYN_RECEIVED) this.setState(State.FIN_WAIT_1)
    else if (this.state === State.CLOSE_WAIT) this.setState(State.LAST_ACK)
  }

  tsNow(): number {
    return (this.tcp.clock.nowMs + this.path.tsOffset) | 0
  }

  setTsRecent(value: number): void {
    this.tsRecent = value
    this.tsRecentMs = this.tcp.clock.nowMs
  }

  sendReset(): void {
    this.tcp.counters.values[C.tcpOutRsts]++
    this.tcp.output.reset(this)
  }

  // ---------------------------------------------------------------- ending

  setState(state: number): void {
    this.tcp.stateChanged(this.state, state)
    this.state = state
  }

  timeWait(): void {
    this.setState(State.TIME_WAIT)
    this.deadlines.stop()
    this.snd.release(this.tcp.clock.nowMs)
    this.rcv.ring.disown()
    this.tcp.enterTimeWait(this)
    this.notify(News.CLOSE)
  }

  /** To CLOSED. `code`: why, or null for a regular end. */
  finish(code: string | null): void {
    if (this.isClosed) return
    this.error = code
    this.setState(State.CLOSED)
    this.rcv.ackNow = false
    this.rcv.delayed = false
    this.deadlines.stop()
    if (this.fastOpen !== null) endFastOpen(this, this.fastOpen, false)
    this.snd.release(this.tcp.clock.nowMs)
    // What arrived before the end is still to be read; after an error until onClose, then until the application lets go.
    if (this.orphan) this.rcv.release()
    else if (code === null) this.rcv.ring.disown()
    this.tcp.removeFlow(this)
    this.notify(News.CLOSE)
  }

  /** Our SYN is not acknowledged yet. */
  get isOpening(): boolean {
    return this.state < State.ESTABLISHED || this.fastOpen?.handshaking === true
  }

  get isClosed(): boolean {
    return this.state === State.CLOSED
  }

  // ------------------------------------------------------------ application

  get stateName(): string {
    return STATE_NAMES[this.state]
  }

  get readable(): number {
    return this.rcv.ring.length
  }

  get ended(): boolean {
    return this.peerClosed && this.rcv.ring.length === 0
  }

  get writable(): number {
    return this.isWritable ? this.snd.room : 0
  }

  get unsent(): number {
    return this.snd.ring.length
  }

  get isWritable(): boolean {
    return !this.snd.finQueued && this.state >= State.SYN_SENT && this.state <= State.CLOSE_WAIT && !this.orphan
  }

  get urgentBytes(): number {
    const { rcv } = this
    return rcv.urgent ? Math.max(0, (rcv.up - rcv.nxt + rcv.ring.length) | 0) : 0
  }

  write(buf: Uint8Array, off: number, len: number): number {
    return writeTo(this, buf, off, len)
  }

  read(buf: Uint8Array, off: number, len: number): number {
    return readFrom(this, buf, off, len)
  }

  skip(len: number): number {
    return skipFrom(this, len)
  }

  writeUrgent(buf: Uint8Array, off: number, len: number): number {
    return writeUrgentTo(this, buf, off, len)
  }

  shutdown(): void {
    if (this.snd.finQueued || this.isClosed || this.state === State.TIME_WAIT) return
    this.snd.finQueued = true
    this.tcp.markDirty(this)
  }

  close(lingerMs?: number): void {
    closeConnection(this, lingerMs)
  }

  abort(): void {
    abortConnection(this)
  }

  setNoDelay(on: boolean): void {
    this.snd.noDelay = on
    if (!on) return
    this.snd.push = this.snd.pending // also what cork holds back, once (tcp(7), Linux)
    if (this.snd.push) this.tcp.markDirty(this)
  }

  setKeepAlive(on: boolean, idleMs = 0, intervalMs = 0, probes = 0): void {
    this.tcp.wake() // outside a turn: sets the clock, and arms the host's timer
    this.deadlines.setKeepAlive(on, idleMs, intervalMs, probes)
  }

  setUserTimeout(ms: number): void {
    this.deadlines.userTimeoutMs = ms
  }

  setTos(tos: number): void {
    this.tos = tos & 0xff
  }

  set(options: SocketOptions): void {
    checkLiveOptions(options)
    changeKeys(this, options.keys)
    applyOptions(this, options)
  }

  info(): ConnectionInfo {
    return describeConnection(this)
  }
}
