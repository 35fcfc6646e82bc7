/**
 * TIME-WAIT: after the connection only a small record stays, for 2 MSL, to answer a lost last ACK and keep old segments out of a new
 * connection with the same addresses and ports (RFC 9293 section 3.6.1; RFC 1337; RFC 6191).
 *
 * All wait equally long, so they stand in one list with one timer, a restarted one moves to its end; a full house drops the oldest.
 */
import type { Address } from '../base/address.ts'
import { Timed } from '../base/timers.ts'
import type { Connection } from './connection.ts'
import type { Flow } from './flows.ts'
import type { Path } from './path.ts'
import type { Segment } from './segment.ts'
import { geq, gt, leq, lt } from './seq.ts'
import type { Signature } from './signature.ts'
import type { Tcp } from './tcp.ts'
import { C } from './tcp-counters.ts'
import { ACK, FIN, RST, SYN } from './wire.ts'

export class TimeWait implements Flow {
  readonly path: Path
  readonly localPort: number
  readonly remotePort: number
  readonly keys: Signature | null
  readonly sndNxt: number
  readonly rcvNxt: number
  private readonly timestamps: boolean
  private readonly window: number
  private tsRecent: number
  private lastAckMs = 0
  private acked = false
  /** When it began, and when it ends (restarted by a retransmitted FIN). */
  sinceMs: number
  gone = false
  /** Neighbours in the list of all. */
  older: TimeWait | null = null
  newer: TimeWait | null = null

  constructor(
    private readonly tcp: Tcp,
    c: Connection,
  ) {
    this.path = c.path
    this.localPort = c.localPort
    this.remotePort = c.remotePort
    this.keys = c.keys
    this.sndNxt = c.snd.nxt
    this.rcvNxt = c.rcv.nxt
    this.timestamps = c.timestamps
    this.tsRecent = c.tsRecent
    this.window = Math.min(0xffff, c.rcv.limit >> c.rcv.scale)
    this.sinceMs = tcp.clock.nowMs
  }

  get localAddress(): Address {
    return this.path.local
  }

  get remoteAddress(): Address {
    return this.path.remote
  }

  /** A new active open may take over the addresses after so long: its timestamps will be newer than anything still under way. */
  isReusable(afterMs: number): boolean {
    return this.timestamps && ((this.tcp.clock.nowMs - this.sinceMs) | 0) > afterMs
  }

  /** RFC 9293 section 3.10.7.4 for TIME-WAIT. */
  receive(seg: Segment): void {
    const { tcp } = this
    if ((seg.flags & RST) !== 0) {
      // RFC 1337: assassination is refused, unless configured away.
      if (!tcp.config.rfc1337 && seg.seq === this.rcvNxt) tcp.timeWaits.remove(this)
      else tcp.counters.values[C.dropUnacceptableReset]++
      return
    }
    const newerTimestamp = this.timestamps && seg.hasTimestamps && ((seg.tsVal - this.tsRecent) | 0) > 0
    if ((seg.flags & (SYN | ACK)) === SYN) {
      // RFC 6191 section 2: a new incarnation, if it cannot be an old duplicate.
      const byTimestamp = this.timestamps && seg.hasTimestamps && seg.tsVal !== this.tsRecent
      const isNew = byTimestamp ? newerTimestamp : gt(seg.seq, this.rcvNxt)
      if (isNew && tcp.succeed(this, seg)) return
      if (!tcp.config.timeWaitChallenge && tcp.isListening(this.localAddress, this.localPort)) {
        tcp.counters.values[C.dropSynInTimeWait]++
        return
      }
      if (tcp.config.insecureSyn && geq(seg.seq, this.rcvNxt) && lt(seg.seq, (this.rcvNxt + this.window) | 0)) {
        this.send(RST | ACK) // RFC 793 page 71, but for the end that it asks for
        return
      }
    }
    if ((seg.flags & (SYN | ACK)) === 0) {
      tcp.counters.values[C.dropNoAck]++ // fifth check
      return
    }
    if (newerTimestamp && leq(seg.seq, this.rcvNxt)) this.tsRecent = seg.tsVal
    // A retransmitted FIN: our ACK was lost. Acknowledge, and wait anew.
    const isFin = (seg.flags & FIN) !== 0 && ((seg.seq + seg.len + 1) | 0) === this.rcvNxt
    if (isFin) tcp.timeWaits.restart(this)
    else if (seg.span === 0 && seg.seq === this.rcvNxt && seg.ack === this.sndNxt) return // a last, harmless ACK
    this.acknowledge(isFin)
  }

  private acknowledge(always: boolean): void {
    const { tcp } = this
    const now = tcp.clock.nowMs
    if (!always && this.acked && ((now - this.lastAckMs) | 0) < tcp.config.invalidAckIntervalMs) {
      tcp.counters.values[C.tcpAckSkipped]++
      return
    }
    this.acked = true
    this.lastAckMs = now
    this.send(ACK)
  }

  private send(flags: number): void {
    const { tcp } = this
    const b = tcp.output.bareSegment
    b.sourcePort = this.localPort
    b.destinationPort = this.remotePort
    b.seq = this.sndNxt
    b.ack = this.rcvNxt
    b.flags = flags
    b.wnd = (flags & RST) !== 0 ? 0 : this.window
    b.mss = 0
    b.windowScale = -1
    b.sackPermitted = false
    b.hasTimestamps = this.timestamps
    b.tsVal = (tcp.clock.nowMs + this.path.tsOffset) | 0
    b.tsEcr = this.tsRecent
    b.keys = this.keys
    tcp.sendBare(this.localAddress, this.remoteAddress)
  }
}

/** All TIME-WAIT records of a stack, a list in the order in which they end. */
export class TimeWaits extends Timed {
  /** Records now waiting. */
  size = 0
  oldest: TimeWait | null = null
  private newest: TimeWait | null = null

  constructor(private readonly tcp: Tcp) {
    super()
  }

  add(t: TimeWait): void {
    if (this.size >= this.tcp.config.maxTimeWait && this.oldest !== null) {
      this.tcp.counters.values[C.tcpTimeWaitOverflow]++
      this.remove(this.oldest)
    }
    this.size++
    this.append(t)
    this.arm()
  }

  /** 2 MSL begin anew. */
  restart(t: TimeWait): void {
    this.unlink(t)
    t.sinceMs = this.tcp.clock.nowMs
    this.append(t)
  }

  remove(t: TimeWait): void {
    if (t.gone) return
    t.gone = true
    this.size--
    this.unlink(t)
    this.tcp.flowTable.remove(t)
  }

  onTimer(now: number): void {
    const life = this.tcp.config.timeWaitMs
    while (this.oldest !== null && ((this.oldest.sinceMs + life - now) | 0) <= 0) this.remove(this.oldest)
    this.arm()
  }

  clear(): void {
    while (this.oldest !== null) this.remove(this.oldest)
    this.tcp.timers.remove(this)
  }

  private append(t: TimeWait): void {
    t.older = this.newest
    t.newer = null
    if (this.newest === null) this.oldest = t
    else this.newest.newer = t
    this.newest = t
  }

  private unlink(t: TimeWait): void {
    if (t.older === null) this.oldest = t.newer
    else t.older.newer = t.newer
    if (t.newer === null) this.newest = t.older
    else t.newer.older = t.older
    t.older = null
    t.newer = null
  }

  private arm(): void {
    if (this.timerArmed || this.oldest === null) return
    this.tcp.timers.arm(this, (this.oldest.sinceMs + this.tcp.config.timeWaitMs) | 0)
  }
}
