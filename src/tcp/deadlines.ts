/**
 * Every deadline of a connection behind one timer: retransmission or persist, delayed ACK, keep-alive, and the end of its life (linger,
 * FIN-WAIT-2 without an owner). Pushing a deadline back is one store; the timer fires at the earliest it ever knew and looks again.
 */
import type { TcpConfig } from '../base/config.ts'
import { Timed } from '../base/timers.ts'
import { ackDelayed } from './ack-policy.ts'
import type { Connection } from './connection.ts'
import { fastOpenTimedOut } from './fast-open.ts'
import { recallDoubt } from './icmp-errors.ts'
import { suspectBlackHole } from './mtu-probe.ts'
import { RecoveryState } from './recovery.ts'
import { State } from './state.ts'
import { FIRST_MS, probeTimeoutMs, SLACK_MS } from './tail-loss.ts'
import { C } from './tcp-counters.ts'
import { News } from './telling.ts'

/** What the retransmission timer is for. */
export const Rtx = { OFF: 0, RETRANSMIT: 1, PERSIST: 2, PROBE: 3, REORDER: 4 } as const

/** Whole milliseconds in which `us` have surely passed: the two clocks need not tick together. */
function waitMs(us: number): number {
  return (((us + 999) / 1000) | 0) + 1
}

/** Made when it is turned on, or told how it would be. */
class KeepAlive {
  isOn = true
  idleMs: number
  intervalMs: number
  probes: number
  isArmed = false
  at = 0
  unanswered = 0

  constructor(config: TcpConfig) {
    this.idleMs = config.keepAliveIdleMs
    this.intervalMs = config.keepAliveIntervalMs
    this.probes = config.keepAliveProbes
  }
}

export class Deadlines extends Timed {
  rtx: number = Rtx.OFF
  /** Expiries since the last progress. */
  retries = 0
  /** RFC 9293 section 3.9.1; 0 = `retries` decides. */
  userTimeoutMs: number
  /** Retransmissions of a SYN. */
  synRetries: number
  private rtxAt = 0
  private ackAt = 0
  /** Data waits for its time (pacer.ts). */
  isPacing = false
  private paceAt = 0
  /** Null: it was never on. */
  private keepAlive: KeepAlive | null
  private lifeArmed = false
  private lifeAt = 0
  private firstRetryMs = 0

  constructor(
    private readonly c: Connection,
    config: TcpConfig,
  ) {
    super()
    this.keepAlive = config.keepAlive ? new KeepAlive(config) : null
    this.userTimeoutMs = config.userTimeoutMs
    this.synRetries = config.synRetries
  }

  get isKeptAlive(): boolean {
    return this.keepAlive?.isOn === true
  }

  /** Probes and keep-alives in a row without an answer. */
  get probes(): number {
    return (this.keepAlive === null ? 0 : this.keepAlive.unanswered) + (this.rtx === Rtx.PERSIST ? this.retries : 0)
  }

  private schedule(at: number): void {
    if (!this.timerArmed || ((at - this.timerAt) | 0) < 0) this.c.tcp.timers.arm(this, at)
  }

  armRetransmit(): void {
    this.rtx = Rtx.RETRANSMIT
    this.armRtxAt(this.c.rto.ms)
  }

  /** The same, counted from when the oldest was last sent (RFC 8985 section 7.2: a probe or a wait does not push the time-out back). */
  private resumeRetransmit(): void {
    this.rtx = Rtx.RETRANSMIT
    this.armRtxAt(this.untilTimeout())
  }

  private untilTimeout(): number {
    const { snd, tcp, rto } = this.c
    const left = rto.ms - ((((tcp.clock.nowUs - snd.flight.sentOf(0)) | 0) / 1000) | 0)
    return left > 1 ? left : 1
  }

  /** The probe of the tail, or the time-out where that comes sooner (RFC 8985 section 7.2). */
  private armProbe(latestMs: number): void {
    const { snd, rto } = this.c
    const ms = probeTimeoutMs(rto, snd.inFlight <= snd.mss)
    this.rtx = Rtx.PROBE
    this.armRtxAt(ms < latestMs ? ms : latestMs)
  }

  private get mayProbe(): boolean {
    const { c } = this
    // While the handshake of Fast Open goes on, the timer is that of the SYN-ACK (RFC 7413 section 4.2.2, as Linux).
    if (c.fastOpen?.handshaking === true) return false
    return c.sackPermitted && c.tcp.config.tailLossProbe && c.snd.recovery.mayProbe
  }

  /** New data or FIN left. All in one function: it is called for every segment, and each call that V8 does not inline costs ten nanoseconds. */
  sentNew(): void {
    const { c } = this
    const { snd, rto, tcp } = c
    const { state } = snd.recovery
    const isCalm =
      state === RecoveryState.OPEN ||
      state === RecoveryState.CWR ||
      (state === RecoveryState.RECOVERY && this.rtx !== Rtx.REORDER && snd.recovery.losesAcks)
    if (!isCalm || !c.sackPermitted || !tcp.config.tailLossProbe || c.fastOpen?.handshaking === true) {
      if (this.rtx !== Rtx.RETRANSMIT && this.rtx !== Rtx.REORDER) this.resumeRetransmit()
      return
    }
    const { srttUs } = rto
    const isSingle = ((snd.nxt - snd.una) | 0) <= snd.mss
    const probeMs = srttUs === 0 ? FIRST_MS : (((srttUs + 499) / 500) | 0) + (isSingle ? rto.minMs : SLACK_MS)
    const latestMs = snd.flight.count === 1 ? rto.ms : this.untilTimeout()
    const at = (tcp.clock.nowMs + (probeMs < latestMs ? probeMs : latestMs)) | 0
    this.rtx = Rtx.PROBE
    this.rtxAt = at
    if (!this.timerArmed || ((at - this.timerAt) | 0) < 0) tcp.timers.arm(this, at)
  }

  /** Something left again; `isOldest`: at SND.UNA. */
  sentAgain(isOldest: boolean): void {
    if (isOldest ? this.rtx !== Rtx.REORDER : this.rtx === Rtx.OFF || this.rtx === Rtx.PERSIST) this.armRetransmit()
    if (this.rtx === Rtx.RETRANSMIT && this.mayProbe) this.armProbe(this.untilTimeout())
  }

  /** An ACK was judged (RFC 6298 5.2 and 5.3, RFC 8985 sections 6.2 step 5 and 7.2). */
  acknowledged(advanced: boolean): void {
    const { snd, rto } = this.c
    if (snd.records === 0) {
      this.rtx = Rtx.OFF
      return
    }
    const waitUs = snd.recovery.detector.waitUs
    if (waitUs > 0) {
      this.rtx = Rtx.REORDER
      this.armRtxAt(Math.min(rto.ms, waitMs(waitUs)))
    } else if (advanced) {
      if (this.mayProbe) this.armProbe(rto.ms)
      else if (this.rtx === Rtx.PROBE || this.rtx === Rtx.REORDER) this.resumeRetransmit()
      else this.armRetransmit()
    }
  }

  /** The timers of RFC 8985: no time-out yet. */
  private onEarlyTimer(now: number): void {
    const { snd, tcp, rto } = this.c
    const { recovery } = snd
    if (this.rtx === Rtx.PROBE) recovery.onProbeTimer()
    else recovery.onReorderTimer(snd.nxt, rto, tcp.clock.nowUs, now, tcp.counters.values)
    if (recovery.detector.waitUs > 0) this.armRtxAt(Math.min(rto.ms, waitMs(recovery.detector.waitUs)))
    else if (this.rtx === Rtx.REORDER && this.mayProbe) this.armProbe(this.untilTimeout())
    else this.resumeRetransmit()
    tcp.markDirty(this.c)
  }

  private armRtxAt(ms: number): void {
    this.rtxAt = (this.c.tcp.clock.nowMs + ms) | 0
    this.schedule(this.rtxAt)
  }

  armKeepAlive(): void {
    const k = this.keepAlive
    if (k === null || !k.isOn || this.c.state < State.ESTABLISHED) return
    k.isArmed = true
    k.at = (this.c.tcp.clock.nowMs + k.idleMs) | 0
    this.schedule(k.at)
  }

  armPace(ms: number): void {
    this.isPacing = true
    this.paceAt = (this.c.tcp.clock.nowMs + ms) | 0
    this.schedule(this.paceAt)
  }

  armLife(ms: number): void {
    this.lifeArmed = true
    this.lifeAt = (this.c.tcp.clock.nowMs + ms) | 0
    this.schedule(this.lifeAt)
  }

  onTimer(now: number): void {
    if (this.c.state === State.CLOSED) return
    if (this.lifeArmed && ((now - this.lifeAt) | 0) >= 0) {
      this.lifeArmed = false
      if (this.c.state !== State.FIN_WAIT_2) this.c.sendReset() // linger ran out; a silent FIN-WAIT-2 just ends
      this.c.finish(null)
      return
    }
    if (this.c.rcv.delayed && ((now - this.ackAt) | 0) >= 0) {
      this.c.rcv.delayed = false
      this.c.rcv.ackNow = true
      ackDelayed(this.c)
      this.c.tcp.counters.values[C.DelayedACKs]++
      this.c.tcp.markDirty(this.c)
    }
    if (this.isPacing && ((now - this.paceAt) | 0) >= 0) {
      this.isPacing = false
      this.c.tcp.markDirty(this.c)
    }
    if (this.rtx !== Rtx.OFF && ((now - this.rtxAt) | 0) >= 0) this.onRetransmitTimer(now)
    const k = this.keepAlive
    if (k?.isArmed && ((now - k.at) | 0) >= 0) this.onKeepAlive(k, now)
    this.rearm()
  }

  /** One timer for the earliest of the deadlines. */
  private rearm(): void {
    if (this.c.isClosed) return
    let armed = false
    let at = 0
    if (this.rtx !== Rtx.OFF) {
      armed = true
      at = this.rtxAt
    }
    if (this.c.rcv.delayed && (!armed || ((this.ackAt - at) | 0) < 0)) {
      armed = true
      at = this.ackAt
    }
    if (this.isPacing && (!armed || ((this.paceAt - at) | 0) < 0)) {
      armed = true
      at = this.paceAt
    }
    const k = this.keepAlive
    if (k?.isArmed && (!armed || ((k.at - at) | 0) < 0)) {
      armed = true
      at = k.at
    }
    if (this.lifeArmed && (!armed || ((this.lifeAt - at) | 0) < 0)) {
      armed = true
      at = this.lifeAt
    }
    if (armed) this.c.tcp.timers.arm(this, at)
  }

  private onRetransmitTimer(now: number): void {
    if (this.rtx === Rtx.PROBE || this.rtx === Rtx.REORDER) {
      this.onEarlyTimer(now)
      return
    }
    const { snd, tcp } = this.c
    const n = tcp.counters.values
    if (this.retries === 0) this.firstRetryMs = this.rtx === Rtx.RETRANSMIT ? (now - this.c.rto.ms) | 0 : now
    this.retries++
    if (this.gaveUp(now)) return
    if (this.c.fastOpen !== null && this.rtx === Rtx.RETRANSMIT) fastOpenTimedOut(this.c, this.c.fastOpen)
    if (this.c.isOpening) {
      this.c.synDue = true
    } else if (this.rtx === Rtx.PERSIST) {
      // A small window is used after all (RFC 9293 3.8.6.2.1, the override time-out), and cork has its end; a closed one is probed (3.8.6.1).
      if (((snd.una + snd.wnd - snd.nxt) | 0) > 0 && snd.pending) snd.override = true
      else {
        n[C.tcpZeroWindowProbes]++
        this.c.probeDue = true
      }
    } else {
      n[C.tcpTimeouts]++
      if (this.retries === tcp.config.retries1) {
        this.c.doubtRoute() // R1
        this.c.notify(News.STALLED)
      }
      if (this.c.doubt !== null) recallDoubt(this.c)
      if (this.retries >= tcp.config.retries1) suspectBlackHole(this.c)
      snd.recovery.onTimeout(snd.nxt, tcp.clock.nowUs, now, this.retries, n)
    }
    this.c.rto.backoff++
    this.armRtxAt(this.untilUserTimeout(now, this.c.rto.ms))
    tcp.markDirty(this.c)
  }

  /** R2 (RFC 9293 section 3.8.3): the connection is given up when true. */
  private gaveUp(now: number): boolean {
    const { config } = this.c.tcp
    const most = this.c.isOpening ? this.synRetries : this.c.orphan ? config.orphanRetries : config.retries
    if (this.userTimeoutMs > 0) {
      // The user timeout takes the place of R2 (RFC 5482 section 3).
      if (((now - this.firstRetryMs) | 0) < this.userTimeoutMs) return false
    } else if (this.retries <= most) return false
    this.c.tcp.counters.values[C.tcpAbortOnTimeout]++
    this.c.finish(this.c.softError ?? 'ETIMEDOUT')
    return true
  }

  /** After time-outs: what is echoed had been sent at `ms` of our clock, not later than the first of what timed out. */
  isOfFirst(ms: number): boolean {
    return ((ms - this.firstRetryMs) | 0) <= 0
  }

  private untilUserTimeout(now: number, ms: number): number {
    if (this.userTimeoutMs === 0) return ms
    const left = (this.firstRetryMs + this.userTimeoutMs - now) | 0
    return left > 0 && left < ms ? left : ms
  }

  /** RFC 9293 section 3.8.4: probes only when idle and nothing is outstanding; one lost answer does not kill. */
  private onKeepAlive(k: KeepAlive, now: number): void {
    const { tcp, snd } = this.c
    const idle = (now - this.c.lastReceivedMs) | 0
    if (snd.records > 0 || snd.pending || idle < k.idleMs) {
      k.unanswered = 0
      k.at = (now + Math.max(1, k.idleMs - (snd.records > 0 || snd.pending ? 0 : idle))) | 0
      return
    }
    // The user timeout takes the place of the number of probes (tcp(7), TCP_USER_TIMEOUT).
    const isOver = this.userTimeoutMs > 0 ? k.unanswered > 0 && idle >= this.userTimeoutMs : k.unanswered >= k.probes
    if (isOver) {
      tcp.counters.values[C.tcpAbortOnKeepAlive]++
      this.c.sendReset()
      this.c.finish(this.c.softError ?? 'ETIMEDOUT')
      return
    }
    k.unanswered++
    tcp.counters.values[C.tcpKeepAlives]++
    this.c.probeDue = true
    tcp.markDirty(this.c)
    k.at = (now + k.intervalMs) | 0
  }

  stopRetransmit(): void {
    this.rtx = Rtx.OFF
  }

  /** Nothing in flight will bring an ACK, and yet something waits: the window is closed (RFC 9293 section 3.8.6.1). */
  armPersist(): void {
    this.rtx = Rtx.PERSIST
    this.retries = 0
    this.c.rto.backoff = 0
    // A corked tail waits for that long, and not by the state of the path.
    this.armRtxAt(this.c.snd.cork ? this.c.tcp.config.corkMs : this.c.rto.ms)
  }

  armAck(ms: number): void {
    this.ackAt = (this.c.tcp.clock.nowMs + ms) | 0
    this.schedule(this.ackAt)
  }

  /** The peer gave a sign of life. */
  heard(): void {
    if (this.keepAlive !== null) this.keepAlive.unanswered = 0
  }

  /** 0 keeps what is set. */
  setKeepAlive(on: boolean, idleMs: number, intervalMs: number, probes: number): void {
    this.keepAlive ??= new KeepAlive(this.c.tcp.config)
    const k = this.keepAlive
    k.isOn = on
    if (idleMs > 0) k.idleMs = idleMs
    if (intervalMs > 0) k.intervalMs = intervalMs
    if (probes > 0) k.probes = probes
    k.unanswered = 0
    if (on) this.armKeepAlive()
    else k.isArmed = false
  }

  /** The connection is gone. */
  stop(): void {
    this.rtx = Rtx.OFF
    this.isPacing = false
    if (this.keepAlive !== null) this.keepAlive.isArmed = false
    this.lifeArmed = false
    this.c.tcp.timers.remove(this)
  }
}
