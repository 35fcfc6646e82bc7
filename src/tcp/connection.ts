/**
 * The TCB: one connection, from SYN-SENT or the end of a passive handshake to CLOSED or TIME-WAIT. The only file that changes its state.
 *
 * Theory of operation. `receive` treats a segment in the order of RFC 9293 section 3.10.7 and never sends: it updates the halves (`rcv`,
 * `snd`), puts the connection on the dirty list and says what the application should be told. `tell` calls the application's handler.
 * `speak`, at the end of the turn, emits what is due: SYN, retransmissions, new data, probes, at last a pure ACK if no other segment carried
 * it. One timer (`Timed`) stands for all deadlines; pushing a deadline back is one store.
 *
 * Deviations: segments without timestamps on a connection that negotiated them are accepted (RFC 7323 section 3.2 says SHOULD drop; dropping
 * them hangs handshakes through middleboxes that strip options); zero-window probes carry no octet but repeat SND.UNA-1, which every peer must
 * acknowledge and none can misplace.
 */
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import type { Tellable } from '../base/tell.ts'
import { Timed } from '../base/timers.ts'
import { type ErrorReport, ErrorKind } from '../ip/ip.ts'
import { Route } from '../ip/route.ts'
import { Offload } from '../netif/netif.ts'
import type { ConnectionHandler, ConnectionInfo, RawConnection } from './api.ts'
import type { CongestionControl } from './congestion.ts'
import type { Flow } from './flows.ts'
import { describeConnection } from './info.ts'
import { Accepted, Receiver } from './receiver.ts'
import { Rto } from './rto.ts'
import type { Segment } from './segment.ts'
import { Sender, Sent } from './sender.ts'
import { geq, gt, later, leq, lt } from './seq.ts'
import { State, STATE_NAMES } from './state.ts'
import type { Tcp } from './tcp.ts'
import { C } from './tcp-counters.ts'
import { ACK, FIN, MAX_WINDOW_SCALE, RST, SYN, TCP_HEADER, TIMESTAMPS_SPACE, URG } from './wire.ts'

/** What the application is to be told. */
const News = { CONNECT: 1, READABLE: 2, WRITABLE: 4, URGENT: 8, CLOSE: 16 } as const
/** What the retransmission timer is for. */
const Rtx = { OFF: 0, RETRANSMIT: 1, PERSIST: 2 } as const
/** What `speak` came to. */
export const Spoken = { DONE: 0, MORE: 1, BLOCKED: 2 } as const
/** RFC 7323 section 5.5: after 24 days without traffic TS.Recent says nothing. */
const PAWS_STALE_MS = 24 * 24 * 3600 * 1000

const NO_HANDLER: ConnectionHandler = {}

export class Connection extends Timed implements RawConnection, Flow, Tellable {
  handler: ConnectionHandler = NO_HANDLER
  state: number = State.CLOSED
  readonly route = new Route()
  readonly snd: Sender
  readonly rcv: Receiver
  readonly rto: Rto
  /** On the dirty list, the tell list. Owned by those. */
  dirty = false
  told = false
  /** Taken by the application: until then nothing is told. */
  accepted = true
  /** The application has called close: nobody reads any more. */
  orphan = false

  timestamps = false
  sackPermitted = false
  windowScaling = false
  announcedMss = 536
  tsRecent = 0
  private tsRecentMs = 0
  tsOffset = 0
  pseudoSum = 0
  tos = 0
  ttl: number

  private news = 0
  private error: string | null = null
  /** An ICMP error that does not end the connection, but explains a time-out (RFC 9293 SHLD-25). */
  private softError: string | null = null
  private synDue = false
  private probeDue = false
  private rtx: number = Rtx.OFF
  private rtxAt = 0
  private ackAt = 0
  private keepAlive = false
  private keepAliveIdleMs: number
  private keepAliveIntervalMs: number
  private keepAliveProbes: number
  private keepArmed = false
  private keepAt = 0
  private keepUnanswered = 0
  private lifeArmed = false
  private lifeAt = 0
  private userTimeoutMs: number
  private retries = 0
  private firstRetryMs = 0
  private lastInvalidAckMs = 0
  private invalidAckSent = false
  lastReceivedMs = 0
  private synSentUs = 0
  private everConnected = false
  bytesRead = 0
  bytesWritten = 0
  segmentsIn = 0
  segmentsOut = 0
  dsacks = 0

  constructor(
    readonly tcp: Tcp,
    readonly localAddress: Address,
    readonly localPort: number,
    readonly remoteAddress: Address,
    readonly remotePort: number,
    control: CongestionControl,
  ) {
    super()
    const config = tcp.config
    this.rto = new Rto(config.rtoInitialMs, config.rtoMinMs, config.rtoMaxMs)
    this.snd = new Sender(
      tcp.pool,
      tcp.flights,
      control,
      this.rto,
      config.sendBufferInitialBytes,
      config.sendBufferMaxBytes,
      config.initialWindowSegments,
    )
    this.rcv = new Receiver(
      tcp.pool,
      config.receiveBufferInitialBytes,
      config.receiveBufferMaxBytes,
      config.maxOutOfOrderRanges,
      config.quickAcks,
    )
    this.snd.noDelay = config.noDelay
    this.keepAlive = config.keepAlive
    this.keepAliveIdleMs = config.keepAliveIdleMs
    this.keepAliveIntervalMs = config.keepAliveIntervalMs
    this.keepAliveProbes = config.keepAliveProbes
    this.userTimeoutMs = config.userTimeoutMs
    this.ttl = tcp.defaultTtl
    this.lastReceivedMs = tcp.clock.nowMs
  }

  // ---------------------------------------------------------------- opening

  /** Active OPEN: SYN goes out in the next turn. The route is resolved. */
  open(): void {
    const { config } = this.tcp
    this.timestamps = config.timestamps
    this.sackPermitted = config.sack
    this.windowScaling = config.windowScale
    this.prepare()
    this.snd.flight.una = this.snd.iss
    this.snd.nxt = (this.snd.iss + 1) | 0
    this.setState(State.SYN_SENT)
    this.synDue = true
    this.tcp.markDirty(this)
  }

  /** Passive OPEN: the three-way handshake is over; SND and RCV variables and options are set by the listener. */
  established(): void {
    this.prepare()
    this.applyMss()
    this.snd.begin()
    this.everConnected = true
    this.setState(State.ESTABLISHED)
    this.armKeepAlive()
  }

  /** What follows from the route: what we announce, the constant part of the checksum, the scale of our window. */
  prepare(): void {
    const { config } = this.tcp
    this.announcedMss = this.tcp.mssFor(this.route, this.remoteAddress.isV4)
    this.pseudoSum = this.tcp.pseudoSum(this)
    if (this.windowScaling) this.rcv.scale = scaleFor(config.receiveBufferMaxBytes)
  }

  /** Segment sizes from the peer's MSS, the route's MTU, the options and the link's offloads. */
  private applyMss(): void {
    const v4 = this.remoteAddress.isV4
    const ipHeader = v4 ? 20 : 40
    const options = this.timestamps ? TIMESTAMPS_SPACE : 0
    const mss = Math.max(64, Math.min(this.snd.peerMss, this.route.mtu - ipHeader - TCP_HEADER) - options)
    const netif = this.route.iface!.netif
    const tso = v4 ? Offload.TSO4 : Offload.TSO6
    const offload = (netif.offload & (tso | Offload.TX_CHECKSUM)) === (tso | Offload.TX_CHECKSUM)
    const superLimit = offload ? Math.min(netif.gsoMax, 65535) - ipHeader - TCP_HEADER - 40 : mss
    this.snd.setMss(mss, Math.max(mss, superLimit))
    this.rcv.mss = Math.min(this.announcedMss - options, mss)
  }

  /** Looks the way up again after routes, addresses or the path MTU changed. */
  private refreshRoute(): void {
    const problem = this.tcp.ip.route(this.remoteAddress, this.localAddress, null, this.route)
    // Without a way the old one stays: retransmissions and their time-out decide (RFC 9293 MUST-56).
    if (problem !== null) {
      this.softError = problem
      this.route.generation = this.tcp.ip.generation
    } else if (this.state >= State.ESTABLISHED) this.applyMss()
  }

  // ------------------------------------------------------------- receiving

  receive(seg: Segment): void {
    this.segmentsIn += seg.count
    this.lastReceivedMs = this.tcp.clock.nowMs
    this.keepUnanswered = 0
    if (this.state === State.SYN_SENT) this.receiveInSynSent(seg)
    else if (this.state !== State.CLOSED) this.receiveSynchronized(seg)
  }

  /** RFC 9293 section 3.10.7.3. */
  private receiveInSynSent(seg: Segment): void {
    const { snd, rcv, tcp } = this
    const n = tcp.counters.values
    const hasAck = (seg.flags & ACK) !== 0
    if (hasAck && (leq(seg.ack, snd.iss) || gt(seg.ack, snd.nxt))) {
      if ((seg.flags & RST) === 0) tcp.resetFor(seg)
      n[C.dropBadAckInSynSent]++
      return
    }
    if ((seg.flags & RST) !== 0) {
      if (hasAck) this.fail('ECONNREFUSED')
      else n[C.dropUnacceptableReset]++
      return
    }
    if ((seg.flags & SYN) === 0) {
      n[C.dropNoSynInSynSent]++
      return
    }
    rcv.irs = seg.seq
    rcv.nxt = (seg.seq + 1) | 0
    rcv.edge = (rcv.nxt + Math.min(rcv.limit, 0xffff)) | 0
    rcv.lastAckSent = rcv.nxt
    this.takeOptions(seg)
    snd.wnd = seg.wnd // the window of a SYN is never scaled (RFC 7323 section 2.2)
    snd.maxWnd = Math.max(snd.maxWnd, snd.wnd)
    snd.wl1 = seg.seq
    snd.wl2 = seg.ack
    if (!hasAck) {
      // Simultaneous open (RFC 9293 section 3.5, figure 7).
      this.setState(State.SYN_RECEIVED)
      this.synDue = true
      this.rtx = Rtx.OFF
      tcp.markDirty(this)
      return
    }
    if (this.retries === 0) this.rto.sample((tcp.clock.nowUs - this.synSentUs) | 0)
    this.completeOpen()
    rcv.ackNow = true
    // Data or FIN that came with the SYN (RFC 9293 3.10.7.3: "continue processing at the sixth step").
    if (seg.len > 0 || (seg.flags & FIN) !== 0) {
      seg.flags &= ~SYN
      seg.seq = rcv.nxt
      this.receiveText(seg)
    }
  }

  private takeOptions(seg: Segment): void {
    this.timestamps &&= seg.hasTimestamps
    this.sackPermitted &&= seg.sackPermitted
    this.windowScaling &&= seg.windowScale >= 0
    if (this.windowScaling) this.snd.scale = Math.min(seg.windowScale, MAX_WINDOW_SCALE)
    else this.rcv.scale = 0
    if (this.timestamps) this.setTsRecent(seg.tsVal)
    this.snd.peerMss = this.tcp.peerMss(seg.mss, this.remoteAddress.isV4)
  }

  private completeOpen(): void {
    this.synDue = false
    this.rtx = Rtx.OFF
    this.retries = 0
    this.rto.backoff = 0
    this.applyMss()
    this.snd.begin()
    this.everConnected = true
    this.setState(State.ESTABLISHED)
    this.armKeepAlive()
    this.tcp.counters.values[C.tcpConnectionsOpened]++
    this.notify(News.CONNECT)
    if (this.snd.room > 0) this.notify(News.WRITABLE)
    this.tcp.markDirty(this)
  }

  /** RFC 9293 section 3.10.7.4, in its order. */
  private receiveSynchronized(seg: Segment): void {
    const { rcv, tcp } = this
    const n = tcp.counters.values
    if (this.state === State.SYN_RECEIVED && (seg.flags & (SYN | ACK)) === (SYN | ACK) && seg.seq === rcv.irs) {
      // The other half of a simultaneous open: its SYN is known, its ACK is what counts.
      seg.flags &= ~SYN
      seg.seq = rcv.nxt
    }
    // RFC 7323 section 5.3, R1: an old duplicate has an old timestamp.
    if (this.timestamps && seg.hasTimestamps && ((seg.tsVal - this.tsRecent) | 0) < 0 && (seg.flags & RST) === 0) {
      if (((tcp.clock.nowMs - this.tsRecentMs) | 0) < PAWS_STALE_MS) {
        n[C.PAWSEstabRejected]++
        this.answerInvalid(seg)
        return
      }
    }
    // First: sequence number.
    const span = seg.span
    if (!rcv.isAcceptable(seg.seq, span)) {
      if (!this.acceptOutside(seg, span)) return
    } else if (span > 0) this.trim(seg)
    // R3: TS.Recent follows what advances the window.
    if (this.timestamps && seg.hasTimestamps && leq(seg.seq, rcv.lastAckSent) && ((seg.tsVal - this.tsRecent) | 0) >= 0) {
      this.setTsRecent(seg.tsVal)
    }
    // Second: RST (RFC 5961 section 3.2).
    if ((seg.flags & RST) !== 0) {
      if (seg.seq === rcv.nxt) this.reset()
      else this.challenge()
      return
    }
    // Fourth: SYN (RFC 5961 section 4.2).
    if ((seg.flags & SYN) !== 0) {
      this.challenge()
      return
    }
    // Fifth: ACK.
    if ((seg.flags & ACK) === 0) {
      n[C.dropNoAck]++
      return
    }
    if (!this.receiveAck(seg)) return
    // Sixth: URG. Seventh: text. Eighth: FIN.
    if ((seg.flags & URG) !== 0) this.receiveUrgent(seg)
    if (seg.len > 0 || (seg.flags & FIN) !== 0) this.receiveText(seg)
  }

  /**
   * A segment outside the window. Returns true when its ACK field may still be used: a zero window admits valid ACKs, URG and RST
   * (RFC 9293 MUST-66), payload cut off.
   */
  private acceptOutside(seg: Segment, span: number): boolean {
    const { rcv } = this
    const n = this.tcp.counters.values
    if ((seg.flags & RST) !== 0) {
      // With a closed window only the exact sequence number is in it.
      if (seg.seq === rcv.nxt) return true
      n[C.dropUnacceptableReset]++
      return false
    }
    if (span > 0 && leq((seg.seq + span) | 0, rcv.nxt)) {
      // A retransmission of what we have: say so (RFC 2883), and use what its ACK says.
      n[C.tcpDuplicateSegments]++
      if (seg.len > 0 && this.sackPermitted) rcv.duplicate(seg.seq, (seg.seq + seg.len) | 0)
    } else if (rcv.window === 0 && seg.seq === rcv.nxt) {
      n[C.tcpZeroWindowDrops]++
    } else {
      n[C.dropOutOfWindow]++
    }
    if ((seg.flags & SYN) !== 0) {
      this.challenge()
      return false
    }
    this.answerInvalid(seg)
    if ((seg.flags & ACK) === 0 || gt(seg.seq, rcv.edge)) return false
    seg.len = 0
    seg.flags &= ~FIN
    seg.seq = later(rcv.nxt, seg.seq)
    return true
  }

  /** Cuts a segment that touches the window to the part inside it. */
  private trim(seg: Segment): void {
    const { rcv } = this
    if (lt(seg.seq, rcv.nxt)) {
      let cut = (rcv.nxt - seg.seq) | 0
      if ((seg.flags & SYN) !== 0) {
        seg.flags &= ~SYN // the SYN lies before the window: it is the old one, not a new
        cut--
      }
      if (cut > 0 && this.sackPermitted && seg.len > 0) rcv.duplicate(seg.seq, rcv.nxt)
      seg.off += cut
      seg.len -= cut
      seg.seq = rcv.nxt
      rcv.ackNow = true
      this.tcp.markDirty(this)
    }
    const over = (seg.seq + seg.len - rcv.edge) | 0
    if (over > 0) {
      seg.len -= over
      seg.flags &= ~FIN
      this.tcp.counters.values[C.tcpBeyondWindow]++
    }
  }

  /** Fifth check. False: the segment is not to be used any further. */
  private receiveAck(seg: Segment): boolean {
    const { snd, tcp } = this
    const n = tcp.counters.values
    const ack = seg.ack
    if (this.state === State.SYN_RECEIVED) {
      if (leq(ack, snd.una) || gt(ack, snd.nxt)) {
        tcp.resetFor(seg)
        return false
      }
      if (this.retries === 0) this.rto.sample((tcp.clock.nowUs - this.synSentUs) | 0)
      this.completeOpen()
    }
    if (gt(ack, snd.nxt) || lt(ack, (snd.una - snd.maxWnd) | 0)) {
      // RFC 5961 section 5.2.
      n[C.dropUnacceptableAck]++
      this.challenge()
      return false
    }
    let sacked = 0
    if (seg.sackCount > 0 && this.sackPermitted) sacked = this.receiveSacks(seg)
    const before = snd.una
    const advance = gt(ack, before)
    const wnd = seg.wnd << snd.scale
    const outstanding = snd.nxt !== before
    // RFC 5681 section 2; with SACK a duplicate is what brings new SACK information (RFC 6675 section 2).
    const duplicate =
      outstanding &&
      ack === before &&
      (this.sackPermitted ? sacked > 0 : seg.len === 0 && (seg.flags & FIN) === 0 && wnd === snd.wnd)
    // Window update (RFC 9293 section 3.10.7.4): never from an old segment.
    let opened = false
    if (lt(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && leq(snd.wl2, ack)) || advance) {
      opened = wnd > snd.wnd || advance
      snd.wnd = wnd
      if (wnd > snd.maxWnd) snd.maxWnd = wnd
      snd.wl1 = seg.seq
      snd.wl2 = ack
    }
    if (advance) {
      let tsRttUs = 0
      if (this.timestamps && seg.hasTimestamps && seg.tsEcr !== 0) {
        const ms = (this.tsNow() - seg.tsEcr) | 0
        if (ms >= 0 && ms < 100_000) tsRttUs = ms * 1000 + 500
      }
      snd.acknowledged(this, ack, sacked, false, tcp.clock.nowUs, tcp.clock.nowMs, tsRttUs)
      this.retries = 0
      this.softError = null
      this.route.neighbor?.confirm() // forward progress (RFC 4861 section 7.3.1)
      if (snd.wantWritable && snd.room >= snd.limit / 3) {
        snd.wantWritable = false
        this.notify(News.WRITABLE)
      }
    } else if (sacked > 0 || duplicate) {
      n[C.tcpDupAcks]++
      snd.acknowledged(this, before, sacked, duplicate, tcp.clock.nowUs, tcp.clock.nowMs, 0)
    }
    if (this.rtx === Rtx.PERSIST) {
      // Any answer says that the peer is there: probing goes on as long as it answers (MUST-37).
      this.retries = 0
      if (snd.wnd > 0 && opened) {
        this.rtx = Rtx.OFF
        this.rto.backoff = 0
      }
    } else if (snd.flight.count === 0) this.rtx = Rtx.OFF
    else if (advance) this.armRetransmit()
    if (advance || opened || sacked > 0 || duplicate) tcp.markDirty(this)
    if (advance && snd.finSent && ack === snd.nxt) return this.finAcknowledged()
    return true
  }

  private receiveSacks(seg: Segment): number {
    const { snd } = this
    let fresh = 0
    for (let i = 0; i < seg.sackCount; i++) {
      const left = seg.sacks[2 * i]
      const right = seg.sacks[2 * i + 1]
      if (!lt(left, right)) continue
      // RFC 2883 section 4: a first block at or below the ACK, or inside the second block, is a D-SACK.
      if (i === 0 && (leq(right, seg.ack) || (seg.sackCount > 1 && geq(left, seg.sacks[2]) && leq(right, seg.sacks[3])))) {
        this.dsacks++
        this.tcp.counters.values[C.tcpDsackReceived]++
        continue
      }
      if (lt(left, snd.una) || gt(right, snd.nxt)) continue
      fresh += snd.flight.sack(left, right)
    }
    return fresh
  }

  /** Our FIN is acknowledged. False when the connection is gone. */
  private finAcknowledged(): boolean {
    switch (this.state) {
      case State.FIN_WAIT_1:
        this.setState(State.FIN_WAIT_2)
        if (this.orphan) this.armLife(this.tcp.config.finWait2Ms)
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

  /** RFC 9293 section 3.8.5: the pointer is to the octet after the urgent data; it only moves forward. Data stays in line. */
  private receiveUrgent(seg: Segment): void {
    const { rcv } = this
    const up = (seg.seq + seg.urgent) | 0
    if (seg.urgent === 0 || leq(up, rcv.nxt) || (rcv.urgent && leq(up, rcv.up))) return
    rcv.up = up
    rcv.urgent = true
    this.notify(News.URGENT)
  }

  /** Seventh and eighth: payload and FIN, already trimmed to the window. */
  private receiveText(seg: Segment): void {
    const { rcv, tcp } = this
    const n = tcp.counters.values
    if (this.state !== State.ESTABLISHED && this.state !== State.FIN_WAIT_1 && this.state !== State.FIN_WAIT_2) return
    const hasFin = (seg.flags & FIN) !== 0
    if (seg.len > 0) {
      if (this.orphan) {
        // RFC 1122 section 4.2.2.13: data for which there is no reader.
        n[C.tcpAbortOnData]++
        this.sendReset()
        this.finish(null)
        return
      }
      if (rcv.finSeen && gt((seg.seq + seg.len) | 0, rcv.finSeq)) {
        n[C.dropBeyondFin]++
        return
      }
      if (seg.seq !== rcv.nxt && tcp.pool.inUse > tcp.config.memoryBytes) {
        n[C.dropMemory]++
        rcv.ackNow = true
        tcp.markDirty(this)
        return
      }
      const hadHoles = rcv.spans !== null && rcv.spans.count > 0
      const what = rcv.accept(seg.seq, seg.buf, seg.off, seg.len)
      if (what === Accepted.IN_ORDER) {
        const perSegment = seg.count > 1 ? Math.ceil(seg.len / seg.count) : seg.len
        if (perSegment > rcv.mss) rcv.mss = perSegment
        this.acknowledgeData(hadHoles)
        this.notify(News.READABLE)
      } else {
        if (what === Accepted.OUT_OF_ORDER) n[C.tcpOutOfOrder]++
        else if (what === Accepted.REFUSED) n[C.dropTooManyRanges]++
        else n[C.tcpDuplicateSegments]++
        rcv.ackNow = true // RFC 5681 section 4.2: at once, it is what fast retransmit lives on
        tcp.markDirty(this)
      }
    }
    if (hasFin) {
      rcv.sawFin((seg.seq + seg.len) | 0)
      rcv.ackNow = true
      tcp.markDirty(this)
    }
    if (rcv.finDue) this.receiveFin()
  }

  /** RFC 9293 section 3.8.6.3: an ACK for at least every second full segment; at once while holes are being filled. */
  private acknowledgeData(hadHoles: boolean): void {
    const { rcv, tcp } = this
    const waiting = (rcv.nxt - rcv.lastAckSent) | 0
    if (hadHoles || rcv.quick > 0 || waiting >= 2 * rcv.mss) {
      rcv.ackNow = true
      tcp.markDirty(this)
    } else if (!rcv.delayed) {
      rcv.delayed = true
      this.ackAt = (tcp.clock.nowMs + tcp.config.delayedAckMs) | 0
      this.schedule(this.ackAt)
    }
  }

  private receiveFin(): void {
    const { rcv } = this
    rcv.nxt = (rcv.nxt + 1) | 0
    rcv.finSeen = false
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

  private peerClosed = false

  /** A valid RST. */
  private reset(): void {
    this.tcp.counters.values[C.tcpEstabResets]++
    if (this.state === State.SYN_RECEIVED) this.fail('ECONNREFUSED')
    else if (this.state === State.CLOSING || this.state === State.LAST_ACK) this.finish(null)
    else this.fail('ECONNRESET')
  }

  /** RFC 5961: an ACK that a real peer can judge by; limited per connection and for the stack. */
  private challenge(): void {
    if (!this.tcp.mayChallenge()) return
    this.answerInvalid(null)
  }

  /** An ACK in answer to an unacceptable segment; segments without data only so often, or two stacks could do this forever. */
  private answerInvalid(seg: Segment | null): void {
    const now = this.tcp.clock.nowMs
    if (seg === null || seg.len === 0) {
      if (this.invalidAckSent && ((now - this.lastInvalidAckMs) | 0) < this.tcp.config.invalidAckIntervalMs) {
        this.tcp.counters.values[C.tcpAckSkipped]++
        return
      }
      this.invalidAckSent = true
      this.lastInvalidAckMs = now
    }
    this.rcv.ackNow = true
    this.tcp.markDirty(this)
  }

  /** An ICMP error about a segment of ours (RFC 5927, RFC 9293 section 3.9.2.2). */
  icmpError(report: ErrorReport, seq: number, hasSeq: boolean): void {
    const { snd, tcp } = this
    const n = tcp.counters.values
    if (hasSeq && !report.local && (lt(seq, snd.una) || gt(seq, snd.nxt))) {
      n[C.dropIcmpOutOfWindow]++ // not about anything in flight: forged, or very late
      return
    }
    if (report.kind === ErrorKind.PACKET_TOO_BIG) {
      this.tooBig(report)
      return
    }
    const opening = this.state === State.SYN_SENT || this.state === State.SYN_RECEIVED
    // Hard errors end a connection only while it is opening; later they are soft (RFC 5927 section 5.2).
    if (opening && (report.kind !== ErrorKind.TIME_EXCEEDED && report.kind !== ErrorKind.PARAMETER_PROBLEM)) this.fail(report.errorCode)
    else this.softError = report.errorCode
  }

  private tooBig(report: ErrorReport): void {
    const old = this.snd.mss
    if (this.tcp.ip.pathMtu === null || !this.tcp.ip.pathMtu.learn(report)) return
    this.refreshRoute()
    if (this.state < State.ESTABLISHED) {
      this.synDue = true
      this.tcp.markDirty(this)
    } else if (this.snd.mss < old && this.snd.flight.count > 0) {
      // What was too big never arrived: send it again in smaller pieces. Not a sign of congestion (RFC 1191 section 6.5).
      this.snd.flight.markAllLost()
      this.snd.recovery.forced = true
      this.tcp.markDirty(this)
    }
  }

  // ---------------------------------------------------------------- telling

  private notify(news: number): void {
    this.news |= news
    if (this.accepted) this.tcp.tell.add(this)
  }

  /** The application has the connection from now on. */
  accept(): void {
    this.accepted = true
    if (this.news !== 0) this.tcp.tell.add(this)
  }

  tell(): void {
    try {
      if (!this.orphan) {
        if (this.take(News.CONNECT)) this.handler.onConnect?.(this)
        if (!this.orphan && this.take(News.URGENT)) this.handler.onUrgent?.(this, Math.max(0, this.urgentBytes))
        if (!this.orphan && this.take(News.READABLE)) this.handler.onReadable?.(this)
        if (!this.orphan && this.take(News.WRITABLE) && this.state !== State.CLOSED) this.handler.onWritable?.(this)
      }
      if (this.orphan) this.news &= News.CLOSE
      if (this.take(News.CLOSE)) {
        const handler = this.handler
        this.handler = NO_HANDLER
        handler.onClose?.(this, this.error === null || handler.onClose === undefined ? null : this.netError())
      }
    } finally {
      if (this.news !== 0) this.tcp.tell.add(this) // a handler threw: what it did not hear is told next time
    }
  }

  private take(bit: number): boolean {
    if ((this.news & bit) === 0) return false
    this.news &= ~bit
    return true
  }

  private netError(): NetError {
    const code = this.error!
    const place = this.everConnected
      ? { syscall: 'read' }
      : { syscall: 'connect', address: this.remoteAddress.toString(), port: this.remotePort }
    return new NetError(code, place)
  }

  // --------------------------------------------------------------- speaking

  /** Emits what is due, at most `quantum` data segments. Returns one of `Spoken`. */
  speak(quantum: number): number {
    if (this.state === State.CLOSED) return Spoken.DONE
    const { snd, rcv, tcp } = this
    if (this.route.generation !== tcp.ip.generation) this.refreshRoute()
    if (this.synDue) {
      const flags = this.state === State.SYN_RECEIVED ? SYN | ACK : SYN
      if (!tcp.output.syn(this, flags)) return Spoken.BLOCKED
      this.synDue = false
      this.segmentsOut++
      this.synSentUs = tcp.clock.nowUs
      if (this.rtx === Rtx.OFF) this.armRetransmit()
    }
    if (this.state < State.ESTABLISHED) return Spoken.DONE
    let left = quantum
    for (;;) {
      const sent = snd.next(this, tcp.clock.nowUs, tcp.clock.nowMs)
      if (sent === Sent.NOTHING) break
      if (sent === Sent.BLOCKED) return Spoken.BLOCKED
      if (--left === 0) return Spoken.MORE
    }
    if (this.probeDue) {
      if (!tcp.output.segment(this, (snd.una - 1) | 0, 0, ACK)) return Spoken.BLOCKED
      this.probeDue = false
      this.segmentsOut++
    }
    if (rcv.ackNow || rcv.updateDue) {
      if (!tcp.output.segment(this, snd.nxt, 0, ACK)) return Spoken.BLOCKED
      this.segmentsOut++
    }
    // Nothing in flight will bring an ACK, and yet something waits: the window is closed (or too small to be worth it).
    if (this.rtx === Rtx.OFF && snd.pending && snd.flight.count === 0) {
      this.rtx = Rtx.PERSIST
      this.retries = 0
      this.rto.backoff = 0
      this.armRtxAt(this.rto.ms)
    }
    return Spoken.DONE
  }

  /** The sender has emitted data or FIN (a retransmission or not). */
  sentData(): void {
    this.segmentsOut++
    if (this.rtx !== Rtx.RETRANSMIT) this.armRetransmit()
    this.rcv.quick = 0 // interactive: ACKs ride on data
  }

  /** FIN went out for the first time. */
  finSent(): void {
    if (this.state === State.ESTABLISHED || this.state === State.SYN_RECEIVED) this.setState(State.FIN_WAIT_1)
    else if (this.state === State.CLOSE_WAIT) this.setState(State.LAST_ACK)
  }

  tsNow(): number {
    return (this.tcp.clock.nowMs + this.tsOffset) | 0
  }

  setTsRecent(value: number): void {
    this.tsRecent = value
    this.tsRecentMs = this.tcp.clock.nowMs
  }

  private sendReset(): void {
    const b = this.tcp.output.bareSegment
    b.sourcePort = this.localPort
    b.destinationPort = this.remotePort
    b.seq = this.snd.nxt
    b.ack = this.rcv.nxt
    b.flags = RST | ACK
    b.wnd = 0
    b.mss = 0
    b.windowScale = -1
    b.sackPermitted = false
    b.hasTimestamps = this.timestamps
    b.tsVal = this.tsNow()
    b.tsEcr = this.tsRecent
    this.tcp.counters.values[C.tcpOutRsts]++
    this.tcp.output.bare(this.route, this.localAddress, this.remoteAddress, this.tos, this.ttl)
  }

  // ----------------------------------------------------------------- timers

  private schedule(at: number): void {
    if (!this.timerArmed || ((at - this.timerAt) | 0) < 0) this.tcp.timers.arm(this, at)
  }

  private armRetransmit(): void {
    this.rtx = Rtx.RETRANSMIT
    this.armRtxAt(this.rto.ms)
  }

  private armRtxAt(ms: number): void {
    this.rtxAt = (this.tcp.clock.nowMs + ms) | 0
    this.schedule(this.rtxAt)
  }

  private armKeepAlive(): void {
    if (!this.keepAlive || this.state < State.ESTABLISHED) return
    this.keepArmed = true
    this.keepAt = (this.tcp.clock.nowMs + this.keepAliveIdleMs) | 0
    this.schedule(this.keepAt)
  }

  private armLife(ms: number): void {
    this.lifeArmed = true
    this.lifeAt = (this.tcp.clock.nowMs + ms) | 0
    this.schedule(this.lifeAt)
  }

  onTimer(now: number): void {
    if (this.state === State.CLOSED) return
    if (this.lifeArmed && ((now - this.lifeAt) | 0) >= 0) {
      this.lifeArmed = false
      if (this.state !== State.FIN_WAIT_2) this.sendReset() // linger ran out; a silent FIN-WAIT-2 just ends
      this.finish(null)
      return
    }
    if (this.rcv.delayed && ((now - this.ackAt) | 0) >= 0) {
      this.rcv.delayed = false
      this.rcv.ackNow = true
      this.tcp.counters.values[C.DelayedACKs]++
      this.tcp.markDirty(this)
    }
    if (this.rtx !== Rtx.OFF && ((now - this.rtxAt) | 0) >= 0) this.onRetransmitTimer(now)
    if (this.keepArmed && ((now - this.keepAt) | 0) >= 0) this.onKeepAlive(now)
    this.rearm()
  }

  /** One timer for the earliest of the deadlines. */
  private rearm(): void {
    if (this.isClosed) return
    let armed = false
    let at = 0
    if (this.rtx !== Rtx.OFF) {
      armed = true
      at = this.rtxAt
    }
    if (this.rcv.delayed && (!armed || ((this.ackAt - at) | 0) < 0)) {
      armed = true
      at = this.ackAt
    }
    if (this.keepArmed && (!armed || ((this.keepAt - at) | 0) < 0)) {
      armed = true
      at = this.keepAt
    }
    if (this.lifeArmed && (!armed || ((this.lifeAt - at) | 0) < 0)) {
      armed = true
      at = this.lifeAt
    }
    if (armed) this.tcp.timers.arm(this, at)
  }

  private onRetransmitTimer(now: number): void {
    const { snd, tcp } = this
    const n = tcp.counters.values
    if (this.retries === 0) this.firstRetryMs = this.rtx === Rtx.RETRANSMIT ? (now - this.rto.ms) | 0 : now
    this.retries++
    if (this.gaveUp(now)) return
    if (this.state < State.ESTABLISHED) {
      this.synDue = true
      this.rto.handshakeTimedOut()
    } else if (this.rtx === Rtx.PERSIST) {
      n[C.tcpZeroWindowProbes]++
      // A small window is used after all (RFC 9293 3.8.6.2.1, the override time-out); a closed one is probed (3.8.6.1).
      if (((snd.una + snd.wnd - snd.nxt) | 0) > 0 && snd.pending) snd.override = true
      else this.probeDue = true
    } else {
      n[C.tcpTimeouts]++
      if (this.retries === tcp.config.retries1) this.route.generation = (tcp.ip.generation - 1) | 0 // R1: doubt the route
      snd.recovery.onTimeout(snd.nxt, now)
    }
    this.rto.backoff++
    this.armRtxAt(this.untilUserTimeout(now, this.rto.ms))
    tcp.markDirty(this)
  }

  /** R2 (RFC 9293 section 3.8.3): the connection is given up when true. */
  private gaveUp(now: number): boolean {
    const { config } = this.tcp
    let most = this.state < State.ESTABLISHED ? config.synRetries : this.orphan ? config.orphanRetries : config.retries
    if (this.state >= State.ESTABLISHED && this.snd.wnd === 0 && !this.orphan) {
      // The peer closed its window but answers: never give up (MUST-37). Silence counts as with any other segment.
      if (((now - this.lastReceivedMs) | 0) < config.rtoMaxMs) most = 0x7fffffff
    }
    if (this.userTimeoutMs > 0) {
      // The user timeout takes the place of R2 (RFC 5482 section 3).
      if (((now - this.firstRetryMs) | 0) < this.userTimeoutMs) return false
    } else if (this.retries <= most) return false
    this.tcp.counters.values[C.tcpAbortOnTimeout]++
    this.fail(this.softError ?? 'ETIMEDOUT')
    return true
  }

  private untilUserTimeout(now: number, ms: number): number {
    if (this.userTimeoutMs === 0) return ms
    const left = (this.firstRetryMs + this.userTimeoutMs - now) | 0
    return left > 0 && left < ms ? left : ms
  }

  /** RFC 9293 section 3.8.4: probes only when idle and nothing is outstanding; one lost answer does not kill. */
  private onKeepAlive(now: number): void {
    const { tcp, snd } = this
    const idle = (now - this.lastReceivedMs) | 0
    if (snd.flight.count > 0 || snd.pending || idle < this.keepAliveIdleMs) {
      this.keepUnanswered = 0
      this.keepAt = (now + Math.max(1, this.keepAliveIdleMs - (snd.flight.count > 0 || snd.pending ? 0 : idle))) | 0
      return
    }
    if (this.keepUnanswered >= this.keepAliveProbes || (this.userTimeoutMs > 0 && this.keepUnanswered > 0 && idle >= this.userTimeoutMs)) {
      tcp.counters.values[C.tcpAbortOnKeepAlive]++
      this.sendReset()
      this.fail(this.softError ?? 'ETIMEDOUT')
      return
    }
    this.keepUnanswered++
    tcp.counters.values[C.tcpKeepAlives]++
    this.probeDue = true
    tcp.markDirty(this)
    this.keepAt = (now + this.keepAliveIntervalMs) | 0
  }

  // ---------------------------------------------------------------- ending

  private setState(state: number): void {
    this.tcp.stateChanged(this.state, state)
    this.state = state
  }

  private timeWait(): void {
    this.setState(State.TIME_WAIT)
    this.tcp.timers.remove(this)
    this.snd.release()
    this.tcp.enterTimeWait(this)
    this.notify(News.CLOSE)
  }

  private fail(code: string): void {
    this.finish(code)
  }

  /** To CLOSED. `code`: why, or null for a regular end. */
  private finish(code: string | null): void {
    if (this.isClosed) return
    this.error = code
    this.setState(State.CLOSED)
    this.rtx = Rtx.OFF
    this.rcv.ackNow = false
    this.rcv.delayed = false
    this.keepArmed = false
    this.lifeArmed = false
    this.tcp.timers.remove(this)
    this.snd.release()
    if (code !== null || this.orphan) this.rcv.release()
    this.tcp.removeFlow(this)
    this.notify(News.CLOSE)
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

  private get isWritable(): boolean {
    return !this.snd.finQueued && this.state >= State.SYN_SENT && this.state <= State.CLOSE_WAIT && !this.orphan
  }

  private get urgentBytes(): number {
    // Distance from the next byte to be read to the urgent pointer (MUST-33).
    return (this.rcv.up - this.rcv.nxt + this.rcv.ring.length) | 0
  }

  write(buf: Uint8Array, off: number, len: number): number {
    if (!this.isWritable) this.refuseWrite()
    const { snd } = this
    const n = Math.min(len, snd.room)
    if (n < len) snd.wantWritable = true
    if (n > 0) {
      snd.ring.write(buf, off, n)
      this.bytesWritten += n
      this.tcp.markDirty(this)
    }
    return n
  }

  private refuseWrite(): never {
    if (this.error !== null) throw this.netError()
    throw new NetError('EPIPE', { syscall: 'write' })
  }

  writeUrgent(buf: Uint8Array, off: number, len: number): number {
    const n = this.write(buf, off, len)
    if (n > 0 && n === len) {
      this.snd.up = (this.snd.una + this.snd.ring.length + (this.state < State.ESTABLISHED ? 1 : 0)) | 0
      this.snd.urgent = true
    }
    return n
  }

  read(buf: Uint8Array, off: number, len: number): number {
    const n = this.rcv.ring.read(buf, off, len)
    if (n > 0) this.consumed(n)
    return n
  }

  skip(len: number): number {
    const n = Math.min(len, this.rcv.ring.length)
    if (n <= 0) return 0
    this.rcv.ring.drop(n)
    this.consumed(n)
    return n
  }

  private consumed(n: number): void {
    const { rcv } = this
    this.bytesRead += n
    rcv.consumed(n, this.tcp.clock.nowUs, this.rto.srttUs)
    if (rcv.urgent && this.urgentBytes <= 0) rcv.urgent = false
    if (rcv.updateDue && this.state >= State.ESTABLISHED && this.state <= State.FIN_WAIT_2) this.tcp.markDirty(this)
  }

  shutdown(): void {
    if (this.snd.finQueued || this.isClosed || this.state === State.TIME_WAIT) return
    this.snd.finQueued = true
    this.tcp.markDirty(this)
  }

  close(lingerMs?: number): void {
    if (this.orphan) return
    if (lingerMs === 0) {
      this.abort()
      return
    }
    const unread = this.rcv.ring.length > 0
    this.orphan = true
    this.rcv.release()
    if (this.state === State.SYN_SENT) this.finish(null)
    else if (unread && this.state !== State.TIME_WAIT && !this.isClosed) {
      // RFC 2525 section 2.17: the peer must learn that what it sent was not read.
      this.tcp.counters.values[C.tcpAbortOnClose]++
      this.sendReset()
      this.finish(null)
    } else {
      this.shutdown()
      if (lingerMs !== undefined && !this.isClosed) this.armLife(lingerMs)
      else if (this.state === State.FIN_WAIT_2) this.armLife(this.tcp.config.finWait2Ms)
    }
  }

  abort(): void {
    if (this.isClosed || this.state === State.TIME_WAIT) return
    this.orphan = true
    if (this.state !== State.SYN_SENT) this.sendReset()
    this.finish(null)
    this.tcp.wake()
  }

  setNoDelay(on: boolean): void {
    this.snd.noDelay = on
    if (on && this.snd.pending) this.tcp.markDirty(this)
  }

  setKeepAlive(on: boolean, idleMs = 0, intervalMs = 0, probes = 0): void {
    this.keepAlive = on
    if (idleMs > 0) this.keepAliveIdleMs = idleMs
    if (intervalMs > 0) this.keepAliveIntervalMs = intervalMs
    if (probes > 0) this.keepAliveProbes = probes
    this.keepUnanswered = 0
    if (on) this.armKeepAlive()
    else this.keepArmed = false
  }

  setUserTimeout(ms: number): void {
    this.userTimeoutMs = ms
  }

  setTos(tos: number): void {
    this.tos = tos & 0xff
  }

  info(): ConnectionInfo {
    return describeConnection(this)
  }
}

/** The smallest shift that lets a 16-bit field express `bytes` (RFC 7323 section 2.3). */
export function scaleFor(bytes: number): number {
  let shift = 0
  while (shift < MAX_WINDOW_SCALE && 0xffff << shift < bytes) shift++
  return shift
}
