/**
 * SYN-RECEIVED of a passive open, as a small record: what is known after the SYN, and the timer of the SYN-ACK. The ACK that completes the
 * handshake makes a `Connection` of it.
 */
import type { Address } from '../base/address.ts'
import { Timed } from '../base/timers.ts'
import { Codepoint } from './ace.ts'
import type { Connection } from './connection.ts'
import { acceptEcn, EcnHandshake, EcnLevel } from './ecn.ts'
import type { FastOpen } from './fast-open.ts'
import type { FastOpenKeys } from './fast-open-keys.ts'
import type { Flow } from './flows.ts'
import { sampleEcho } from './handshake-echo.ts'
import type { Listener } from './listener.ts'
import type { Path } from './path.ts'
import { Rto } from './rto.ts'
import type { Segment } from './segment.ts'
import { gt, lt } from './seq.ts'
import type { Signature } from './signature.ts'
import { firstWindow, mostWindow, scaleFor } from './sizes.ts'
import { applyOptions } from './socket-options.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'
import { ACK, MAX_WINDOW_SCALE, OPTION_SPACE, RST, SYN, TIMESTAMPS_SPACE } from './wire.ts'

/** SYN-RECEIVED of a passive open: what is known after the SYN. */
export class SynReceived extends Timed implements Flow {
  readonly localPort: number
  readonly remotePort: number
  readonly keys: Signature | null
  private readonly timestamps: boolean
  private readonly sackPermitted: boolean
  private readonly windowScaling: boolean
  private readonly peerScale: number
  private readonly peerMss: number
  private tsRecent: number
  private readonly window: number
  private readonly rto: Rto
  /** Among the handshakes of the listener; -1: not there. */
  place = -1
  private sentUs = 0
  private sentMs = 0
  /** The SYN-ACK went out more than once: no round-trip time from it (Karn). */
  private resent = false
  private retries = 0
  /** The peer has acknowledged, but without data, and the listener waits for those. */
  private deferred = false
  private ecn: EcnHandshake | null

  constructor(
    private readonly listener: Listener,
    readonly path: Path,
    /** The SYN, or what has its options. */
    seg: Segment,
    private readonly irs: number,
    private readonly iss: number,
  ) {
    super()
    const { tcp } = listener
    const { config } = tcp
    this.localPort = seg.destinationPort
    this.remotePort = seg.sourcePort
    this.keys = seg.keys
    if (this.keys !== null) this.keys.begin(iss)
    this.sackPermitted = config.sack && seg.sackPermitted
    this.timestamps = config.timestamps && seg.hasTimestamps && leavesRoom(this.keys, this.sackPermitted)
    this.windowScaling = config.windowScale && seg.windowScale >= 0
    this.peerScale = this.windowScaling ? Math.min(seg.windowScale, MAX_WINDOW_SCALE) : 0
    this.peerMss = tcp.peerMss(seg.mss, path.remote.isV4)
    this.tsRecent = seg.tsVal
    this.window = firstWindow(config, listener.options)
    this.ecn = acceptEcn(listener.options.ecn ?? config.ecn, config.ecnAcceptAccurate, seg)
    this.rto = new Rto(config.rtoInitialMs, config.rtoMinMs, config.rtoMaxMs)
  }

  get localAddress(): Address {
    return this.path.local
  }

  get remoteAddress(): Address {
    return this.path.remote
  }

  /** Sends the SYN-ACK, with the cookie in `keys` if there is one (RFC 7413); false when there is no way back. */
  begin(keys: FastOpenKeys | null, experimental: boolean): boolean {
    const { tcp } = this.listener
    if (this.path.resolve(tcp.ip) !== null) return false
    if (keys !== null) {
      const b = tcp.output.bareSegment
      b.cookieLength = keys.cookie.length
      b.cookieExperimental = experimental
      b.cookie.set(keys.cookie)
    }
    this.sendSynAck()
    this.sentUs = tcp.clock.nowUs
    this.sentMs = tcp.clock.nowMs
    tcp.timers.arm(this, (tcp.clock.nowMs + this.rto.ms) | 0)
    return true
  }

  receive(seg: Segment): void {
    const { tcp } = this.listener
    const n = tcp.counters.values
    const nxt = (this.irs + 1) | 0
    if (this.timestamps && seg.hasTimestamps && (seg.flags & (RST | SYN)) === 0 && ((seg.tsVal - this.tsRecent) | 0) < 0) {
      n[C.PAWSEstabRejected]++
      this.sendAck()
      return
    }
    if ((seg.flags & RST) !== 0) {
      // RFC 5961 section 3.2: only the exact number ends it; one inside the window is challenged.
      if (seg.seq === nxt || (tcp.config.insecureReset && gt(seg.seq, nxt) && lt(seg.seq, (nxt + this.window) | 0))) {
        n[C.tcpAttemptFails]++
        this.end(false)
      } else if (gt(seg.seq, nxt) && lt(seg.seq, (nxt + this.window) | 0)) {
        if (tcp.mayChallenge()) this.sendAck()
      } else n[C.dropUnacceptableReset]++
      return
    }
    if (this.timestamps && !seg.hasTimestamps && !tcp.config.tolerateMissingTimestamps) {
      n[C.dropNoTimestamps]++
      return
    }
    if ((seg.flags & SYN) !== 0) {
      if (seg.seq === this.irs && (seg.flags & ACK) === 0) {
        this.resent = true
        this.ecn?.heardAgain(seg)
        this.sendSynAck() // the SYN again: our SYN-ACK was lost
        n[C.tcpSynRetransmits]++
        tcp.timers.arm(this, (tcp.clock.nowMs + this.rto.ms) | 0)
      } else if (tcp.mayChallenge()) this.sendAck()
      return
    }
    if (lt(seg.seq, nxt) || !lt(seg.seq, (nxt + this.window + 1) | 0)) {
      n[C.dropOutOfWindow]++
      if (tcp.mayChallenge()) this.sendAck()
      return
    }
    if ((seg.flags & ACK) === 0) {
      n[C.dropNoAck]++
      return
    }
    if (seg.ack !== ((this.iss + 1) | 0)) {
      tcp.resetFor(seg)
      return
    }
    if (this.retries < this.listener.deferredTimeouts && seg.span === 0) {
      this.deferred = true
      n[C.TCPDeferAcceptDrop]++
      return
    }
    if (this.listener.overflows()) {
      if (tcp.config.abortOnOverflow) this.end(true)
      return
    }
    const c = this.connection(seg)
    this.leave()
    tcp.flowTable.replace(this, c)
    this.hand(c, seg)
  }

  /** A cookie came back: there was no record, and this one was made from it. */
  completeFromCookie(seg: Segment, ecn: boolean): void {
    if (ecn) this.ecn = new EcnHandshake(EcnLevel.CLASSIC, Codepoint.NOT_ECT)
    this.resent = true // when the SYN-ACK was sent is not known
    const c = this.connection(seg)
    this.listener.tcp.flowTable.add(c)
    this.hand(c, seg)
  }

  /** A SYN with a good Fast Open cookie (RFC 7413): the connection begins before the handshake is complete. */
  openFast(seg: Segment, fo: FastOpen): Connection {
    this.resent = true // there is no round trip yet
    const c = this.connection(seg, fo)
    this.listener.tcp.flowTable.add(c)
    this.enqueue(c)
    c.segmentsIn += seg.count
    return c
  }

  /** The connection that the handshake has made. */
  private connection(seg: Segment, fo: FastOpen | null = null): Connection {
    const { listener } = this
    const { tcp } = listener
    const c = tcp.newConnection(this.path, this.localPort, this.remotePort, this.rto)
    c.accepted = false
    c.timestamps = this.timestamps
    c.sackPermitted = this.sackPermitted
    c.keys = this.keys
    c.windowScaling = this.windowScaling
    if (this.timestamps) c.setTsRecent(this.tsRecent)
    this.path.resolve(tcp.ip)
    c.rcv.irs = this.irs
    c.rcv.nxt = (this.irs + 1) | 0
    c.rcv.edge = (c.rcv.nxt + this.window) | 0
    c.rcv.lastAckSent = c.rcv.nxt
    c.snd.iss = this.iss
    c.snd.scale = this.peerScale
    c.snd.peerMss = this.peerMss
    c.snd.wnd = fo === null ? seg.wnd << this.peerScale : seg.wnd // that of a SYN is never scaled (RFC 7323 section 2.2)
    c.snd.maxWnd = c.snd.wnd
    c.snd.wl1 = seg.seq
    c.snd.wl2 = seg.ack
    let isSpurious = false
    if (this.retries > 0) {
      const echoMs = (seg.tsEcr - this.path.tsOffset) | 0
      isSpurious = this.timestamps && seg.hasTimestamps && sampleEcho(c.rto, tcp.clock.nowMs, echoMs) && echoMs === this.sentMs
      c.rto.handshakeTimedOut()
      c.rto.backoff = 0
    } else if (!this.resent) c.rto.sample((tcp.clock.nowUs - this.sentUs) | 0)
    if (this.ecn !== null) c.ecn = this.ecn.connection(seg, tcp.config.ecnValidate)
    if (listener.hasSocketOptions) applyOptions(c, listener.options)
    c.fastOpen = fo
    c.established(fo === null ? State.ESTABLISHED : State.SYN_RECEIVED)
    if (fo !== null) c.deadlines.synRetries = listener.synAckRetries + 1 // one more than without, as Linux
    // RFC 5681 section 3.1, RFC 6928 section 2: one segment when the SYN-ACK was lost; more than once, as Linux.
    if (this.retries > 1 && !isSpurious) c.snd.window.cwnd = c.snd.mss
    return c
  }

  private hand(c: Connection, seg: Segment): void {
    this.enqueue(c)
    c.receive(seg) // it may carry data, or FIN
  }

  private enqueue(c: Connection): void {
    const { listener } = this
    const { tcp } = listener
    tcp.counters.values[C.tcpPassiveOpens]++
    tcp.opened(c, listener.ref)
    listener.enqueue(c)
  }

  onTimer(now: number): void {
    const { tcp } = this.listener
    const { deferredTimeouts, synAckRetries } = this.listener
    // What only waits for data is kept for as long as the listener waits.
    if (this.retries >= synAckRetries && !(this.deferred && this.retries < deferredTimeouts)) {
      tcp.counters.values[C.tcpAttemptFails]++
      this.end(false)
      return
    }
    const again = !this.deferred || this.retries >= deferredTimeouts - 1
    this.retries++
    this.rto.backoff++
    if (again) {
      tcp.counters.values[C.tcpSynRetransmits]++
      this.sendSynAck()
    }
    tcp.timers.arm(this, (now + this.rto.ms) | 0)
  }

  /** Forgets the handshake; `reset` tells the peer. */
  end(reset: boolean): void {
    const { tcp } = this.listener
    if (reset) this.send(RST, (this.iss + 1) | 0, false)
    this.leave()
    tcp.flowTable.remove(this)
  }

  private leave(): void {
    const { listener } = this
    listener.tcp.timers.remove(this)
    listener.forget(this)
  }

  private sendSynAck(): void {
    this.send(SYN | ACK, this.iss, true)
  }

  private sendAck(): void {
    this.send(ACK, (this.iss + 1) | 0, false)
  }

  private send(flags: number, seq: number, isSyn: boolean): void {
    const { tcp, options } = this.listener
    const { path } = this
    path.resolve(tcp.ip)
    const b = tcp.output.bareSegment
    b.sourcePort = this.localPort
    b.destinationPort = this.remotePort
    b.seq = seq
    b.ack = (flags & RST) !== 0 ? 0 : (this.irs + 1) | 0
    b.flags = flags
    const scale = this.windowScaling ? scaleFor(mostWindow(tcp.config, options)) : 0
    b.wnd = isSyn ? this.window : this.window >> scale
    b.mss = isSyn ? Math.min(tcp.mssFor(path.route, path.remote.isV4), options.maxSegmentBytes ?? 0xffff) : 0
    b.windowScale = isSyn && this.windowScaling ? scale : -1
    b.sackPermitted = isSyn && this.sackPermitted
    b.hasTimestamps = this.timestamps
    b.tsVal = (tcp.clock.nowMs + path.tsOffset) | 0
    b.tsEcr = this.tsRecent
    b.keys = this.keys
    let { tos } = options
    if (this.ecn !== null) tos = (tos ?? 0) & 0xfc
    if (isSyn && this.ecn !== null) {
      tos = tos! | this.ecn.synAckCodepoint(this.retries, tcp.config.ecnSynAck)
      b.flags |= this.ecn.synAckFlags(this.retries, tcp.config.ecnFallback)
      b.hasAccEcn = this.ecn.hasOption && !this.resent && this.retries === 0 && tcp.config.ecnOption !== 'never'
    }
    tcp.output.bare(path.route, path.local, path.remote, tos, options.ttl)
  }
}

/** NOP NOP, kind and length, and a SACK block. */
const ONE_BLOCK = 12

/** Beside MD5 and timestamps no SACK block would fit: SACK is worth more (Linux tcp_synack_options). */
export function leavesRoom(keys: Signature | null, sack: boolean): boolean {
  return !sack || keys === null || OPTION_SPACE - TIMESTAMPS_SPACE - keys.space >= ONE_BLOCK
}
