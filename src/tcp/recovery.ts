/**
 * Loss recovery: the state machine around what detects losses (detector.ts: rack.ts, RFC 6675 or duplicate ACKs), what happens to the window
 * meanwhile (reduction.ts: prr.ts, undo.ts), and the probe of the tail (tail-loss.ts).
 *
 *   OPEN      nothing unusual
 *   DISORDER  duplicates or SACKs, and nothing is lost yet: each lets a new segment out (limited transmit, RFC 3042, by arithmetic: pipe falls)
 *   CWR       the window is being reduced although nothing was lost: ECN, or a probe that repaired a loss
 *   RECOVERY  losses are being repaired; ends when `point`, SND.NXT of its beginning, is acknowledged
 *   LOSS      the timer expired. SND.NXT never moves back: what is lost is marked and goes out again in slow start
 *
 * The scoreboard is the flight log. Recovery only marks records lost and says how much is in the pipe; the sender retransmits marked records
 * while pipe < cwnd. Each ACK is judged in Linux's order (tcp_fastretrans_alert): does a state end, was it a mistake, what is lost, does a
 * state begin; then the window moves, once.
 *
 * F-RTO (RFC 5682 section 3, with SACK) asks after a time-out whether it was one: the first ACK that advances lets new data out instead of
 * retransmissions; if then data arrives that was sent once, before the time-out, nothing had been lost. This needs no D-SACK and no timestamps.
 *
 * What few connections need is made when they need it: one without losses holds a handful of integers.
 */
import type { TcpConfig } from '../base/config.ts'
import type { AckSample, CongestionControl, CongestionWindow } from './congestion.ts'
import { Detector } from './detector.ts'
import type { Flight } from './flight.ts'
import type { MtuSearch } from './mtu-probe.ts'
import { Reduction } from './reduction.ts'
import type { Rto } from './rto.ts'
import { geq, gt, leq } from './seq.ts'
import { TailLoss } from './tail-loss.ts'
import { C } from './tcp-counters.ts'

export const RecoveryState = { OPEN: 0, DISORDER: 1, CWR: 2, RECOVERY: 3, LOSS: 4 } as const
export const RECOVERY_NAMES = ['open', 'disorder', 'cwr', 'recovery', 'loss'] as const

export class Recovery {
  state: number = RecoveryState.OPEN
  /** SND.NXT when the state began: it ends when this is acknowledged. */
  point = 0
  /** The next retransmission goes out whatever the window says (RFC 6675 section 5, step 4.3; RFC 6298 5.4). */
  forced = false
  /** F-RTO: new data goes before retransmissions until the next ACK (RFC 5682 section 3.1 step 2b). */
  preferNew = false
  /** Once a search for the path MTU was begun (mtu-probe.ts). */
  search: MtuSearch | null = null
  /** The tail loss probe is to be sent. */
  probeDue = false
  /** How often the window was reduced, time-outs included: who answers ECN looks whether it changed (RFC 3168 section 6.1.2). */
  reductions = 0
  private frto = false
  /** A D-SACK came with this ACK. */
  private dsacked = false
  sackPermitted = false
  /** Bytes sent again, and reported as duplicates. */
  private againBytes = 0
  private dsackBytes = 0
  readonly detector: Detector
  /** Made with the first. */
  reduction: Reduction | null = null
  private tail: TailLoss | null = null

  constructor(
    private readonly flight: Flight,
    private readonly window: CongestionWindow,
    public control: CongestionControl,
    private readonly config: TcpConfig,
  ) {
    this.detector = new Detector(flight, config)
  }

  /** Bytes believed to be in the network. */
  pipe(nxt: number): number {
    const f = this.flight
    const n = ((nxt - f.una) | 0) - f.sackedBytes - f.lostBytes + f.retransmittedBytes - this.detector.renoSacked
    return n > 0 ? n : 0
  }

  /** A probe of the tail may be planned (RFC 8985 section 7.2). */
  get mayProbe(): boolean {
    const { state } = this
    return state === RecoveryState.OPEN || state === RecoveryState.CWR || (state === RecoveryState.RECOVERY && this.losesAcks)
  }

  /** ACKs get lost, and nothing follows them: probes are retransmissions (tail-loss.ts). */
  get losesAcks(): boolean {
    return this.tail?.losesAcks === true
  }

  /** An ACK that brings neither an advance nor a SACK is of interest all the same. */
  get isCurious(): boolean {
    return this.dsacked || this.tail?.isOut === true
  }

  // ------------------------------------------------------------------ hearing

  /** A D-SACK: [left, right) arrived twice. `maxWnd`: a range that never fitted the window is none of ours. */
  onDsack(left: number, right: number, maxWnd: number): void {
    const bytes = (right - left) | 0
    if (bytes <= 0 || bytes > maxWnd) return
    const isProbe = this.tail?.isOut === true && this.tail.end === right && bytes <= this.window.mss
    if (isProbe) this.tail!.isDsacked = true
    this.dsackBytes += bytes
    if (this.dsackBytes > this.againBytes) {
      this.dsackBytes = this.againBytes
      return // the network made this duplicate
    }
    this.dsacked = true
    if (this.state === RecoveryState.LOSS) {
      this.tail ??= new TailLoss()
      this.tail.losesAcks = true
    }
    if (this.detector.reorderingSeen > 0 && !isProbe) this.detector.rack?.dsack()
    this.reduction?.undo.dsack(left, right, this.flight.una)
  }

  /** An ACK was applied to the log and to `s`. */
  onAck(s: AckSample, sackPermitted: boolean, n: Float64Array): void {
    const lostBefore = s.lost
    const renoBefore = this.detector.renoSacked
    this.sackPermitted = sackPermitted
    this.preferNew = false
    this.detector.waitUs = 0
    if (sackPermitted) this.detector.learn(s, this.window.mss, n)
    if (this.tail?.isOut === true && this.tail.acknowledged(s.una, s.isBare, s.nowUs)) this.repairedByProbe(s, n)
    if (this.state !== RecoveryState.OPEN || s.duplicate || s.sacked > 0 || this.dsacked) this.judge(s, n)
    this.dsacked = false

    s.lost = (this.flight.rate.lost - lostBefore) | 0
    s.inFlight = this.pipe(s.nxt)
    if (this.control.model !== undefined) return
    if (this.state === RecoveryState.CWR || this.state === RecoveryState.RECOVERY) {
      const delivered = sackPermitted ? s.delivered : Math.max(0, s.acked + this.detector.renoSacked - renoBefore)
      if (delivered > 0) this.reduction!.onAck(s.inFlight, delivered, s.acked > 0 && s.lost === 0)
    } else if (s.limited && (s.acked > 0 || (s.sacked > 0 && this.detector.reordering > this.config.reorderingSegments))) {
      // Where the path reorders, what is SACKed is progress too (Linux tcp_may_raise_cwnd). What SACK told of before is not counted again,
      // least of all by the ACK that ends a recovery (Linux: acked_sacked).
      if (sackPermitted && (s.acked === 0 || s.delivered < s.acked)) s.acked = s.delivered
      if (s.acked > 0) this.control.acked(this.window, s)
    }
  }

  /** RFC 8985 section 7.4: a loss that the probe repaired is congestion like any other; nothing is left to be repaired. */
  private repairedByProbe(s: AckSample, n: Float64Array): void {
    n[C.TCPLossProbeRecovery]++
    if (this.state >= RecoveryState.CWR) return
    this.reduce(s.nxt, s.nowMs, s.acked, s.delivered, false)
    this.reduction!.undo.isOpen = false
    if (this.control.model === undefined) this.window.cwnd = this.window.ssthresh
    this.keepOpen(s.nxt)
  }

  // ------------------------------------------------------------------ judging

  private judge(s: AckSample, n: Float64Array): void {
    const f = this.flight
    if (this.state !== RecoveryState.OPEN && geq(f.una, this.point)) this.maybeEnd(s, n)
    if (this.state === RecoveryState.RECOVERY) {
      this.countDuplicates(s)
      if (s.acked > 0 && this.undoPartial(s, n)) return
      if (this.undoByDsack(n)) this.keepOpen(s.nxt)
      if (s.acked > 0 && !this.sackPermitted && this.isRepairing && this.detector.markPartial(this.window.mss)) this.forced = true
      this.detect(s, n)
      if (this.isRepairing || f.lostBytes === 0) return
      this.enter(s.nxt, s.nowMs, s.acked, s.delivered, n)
      return
    }
    if (this.state === RecoveryState.LOSS) {
      this.judgeTimeout(s, n)
      const out = f.retransmittedBytes
      this.detect(s, n)
      // As Linux: an undone time-out, or retransmissions found lost, may begin a recovery.
      if (this.isRepairing && f.retransmittedBytes >= out) return
    } else {
      this.countDuplicates(s)
      if (this.state <= RecoveryState.DISORDER) this.undoByDsack(n)
      this.detect(s, n)
    }
    if (f.lostBytes > 0) this.enter(s.nxt, s.nowMs, s.acked, s.delivered, n)
    else if (this.state <= RecoveryState.DISORDER) this.keepOpen(s.nxt)
  }

  /** What began at `point` is acknowledged. */
  private maybeEnd(s: AckSample, n: Float64Array): void {
    if (this.state === RecoveryState.CWR) {
      // Something above must be acknowledged, so that the peer has seen CWR (RFC 3168 section 6.1.2).
      if (gt(s.una, this.point)) this.leave(s.nxt, s.nowMs)
    } else if (this.state === RecoveryState.RECOVERY) {
      if (this.reduction!.isMistake(s)) {
        this.takeBack(false)
        n[C.TCPFullUndo]++
        this.rest(s.nxt)
      } else {
        this.detector.rack?.recovered()
        this.leave(s.nxt, s.nowMs)
      }
    }
  }

  private get isRepairing(): boolean {
    return this.state >= RecoveryState.RECOVERY
  }

  private countDuplicates(s: AckSample): void {
    this.detector.countDuplicates(s, this.window.mss, this.isRepairing, this.sackPermitted)
  }

  private detect(s: AckSample, n: Float64Array): void {
    this.detector.mark(s, this.window.mss, this.isRepairing, this.point, this.sackPermitted, n)
  }

  // ---------------------------------------------------------------- time-outs

  /** An ACK after a time-out: was it one? (RFC 5682 section 3.1; Linux tcp_process_loss.) */
  private judgeTimeout(s: AckSample, n: Float64Array): void {
    const f = this.flight
    const isOver = geq(f.una, this.point)
    if (s.acked > 0 && this.reduction?.isMistake(s) === true) {
      this.undoTimeout(s, n)
      return
    }
    if (this.frto) {
      const d = f.delivery
      // Without SACK a cumulative ACK may cover what had arrived before the time-out: it proves nothing beside retransmissions.
      if (d.hasOriginal && leq(d.originalEnd, this.point) && (this.sackPermitted || !d.isAmbiguous)) {
        n[C.TCPSpuriousRTOs]++
        this.undoTimeout(s, n)
        return
      }
      if (gt(s.nxt, this.point)) {
        if (s.sacked > 0 || s.duplicate) this.frto = false // step 3a: the loss was real
      } else if (s.acked > 0 && !isOver) {
        this.point = s.nxt
        if (s.canSendNew) {
          this.preferNew = true
          return
        }
        this.frto = false
      }
    }
    if (isOver) {
      this.detector.rack?.recovered()
      this.rest(s.nxt)
      return
    }
    if (!this.sackPermitted) {
      if (gt(s.nxt, this.point)) this.countDuplicates(s)
      else if (s.acked > 0) this.detector.forgetDuplicates()
    }
  }

  /** Step 2b did not work out: there was nothing new to send after all. */
  stopPreferringNew(): void {
    this.preferNew = false
    this.frto = false
  }

  private undoTimeout(s: AckSample, n: Float64Array): void {
    n[C.TCPLossUndo]++
    this.takeBack(true)
    this.rest(s.nxt)
  }

  /** The retransmission timer expired for the `retries`-th time since the last progress. */
  onTimeout(nxt: number, nowUs: number, nowMs: number, retries: number, n: Float64Array): void {
    const f = this.flight
    const w = this.window
    const isNew = this.state < RecoveryState.RECOVERY
    // RFC 5681: ssthresh is set once per window of data, not again when the retransmission is lost too.
    const first =
      this.state <= RecoveryState.DISORDER || !gt(this.point, f.una) || (this.state === RecoveryState.LOSS && retries === 1)
    const priorCwnd = w.cwnd
    const priorSsthresh = this.ssthreshBefore()
    if (f.reneged) {
      n[C.TCPSACKReneging]++
      f.clearSacks()
      f.markAllLost()
    } else f.markOldLost(nowUs, this.config.rack && this.sackPermitted ? this.detector.rttUs : 0)
    this.control.timeout(w, (nxt - f.una) | 0, first, nowMs)
    if (first) {
      const { undo } = this.begun()
      if (isNew) undo.rest()
      undo.begin(f.una, f.retransmittedBytes, priorCwnd, priorSsthresh)
    }
    // One segment more than what is too young to be lost (RFC 8985 section 6.3).
    if (this.control.model === undefined) w.cwnd = this.pipe(nxt) + w.mss
    this.reductions++
    if (this.state <= RecoveryState.DISORDER) this.detector.lowerReordering()
    this.frto = this.config.frto && (isNew || retries > 1)
    this.preferNew = false
    this.state = RecoveryState.LOSS
    this.point = nxt
    this.detector.forgetDuplicates()
    this.forced = true
    this.cancelProbe()
  }

  /** The reordering window passed without an ACK (RFC 8985 section 6.3). */
  onReorderTimer(nxt: number, rto: Rto, nowUs: number, nowMs: number, n: Float64Array): void {
    this.detector.waitUs = 0
    const before = this.flight.rate.lost
    this.detector.markByTime(nowUs, rto.minRttUs, rto.srttUs, this.isRepairing, n)
    if (this.flight.rate.lost === before || this.isRepairing) return
    this.enter(nxt, nowMs, 0, 0, n)
    if (this.isRepairing && this.control.model === undefined) this.reduction!.onAck(this.pipe(nxt), 0, false)
  }

  /** Segments became smaller because they did not fit the path: all goes out again, and that is no congestion (RFC 1191 section 6.5). */
  onResize(nxt: number): void {
    this.flight.markAllLost()
    this.forced = true
    this.detector.forgetDuplicates()
    if (this.isRepairing) return
    if (this.reduction !== null) this.reduction.undo.isOpen = false
    this.frto = false
    this.state = RecoveryState.LOSS
    this.point = nxt
    this.cancelProbe()
  }

  // ------------------------------------------------------- beginning and ending

  /** The peer reports congestion (RFC 3168 section 6.1.2) in an ACK that delivered so much. A window that is being reduced is so once only. */
  congestionEcho(nxt: number, nowMs: number, delivered: number): void {
    const { undo } = this.begun()
    undo.cwnd = 0 // whatever the losses were, the reduction stands
    if (this.state >= RecoveryState.CWR) return
    undo.isOpen = false
    this.reduce(nxt, nowMs, delivered, delivered, true)
    this.state = RecoveryState.CWR
  }

  /** Losses were found. `acked`, `delivered`: by the ACK that found them. */
  private enter(nxt: number, nowMs: number, acked: number, delivered: number, n: Float64Array): void {
    const f = this.flight
    if (this.search?.explains(f) === true) return
    n[this.sackPermitted ? C.TCPSackRecovery : C.TCPRenoRecovery]++
    const { undo } = this.begun()
    if (this.state <= RecoveryState.CWR) undo.rest()
    const probe = this.tail?.isOut === true && this.tail.isRetransmission ? this.window.mss : 0
    const isReduced = this.state === RecoveryState.CWR
    undo.begin(f.una, f.retransmittedBytes + probe, isReduced ? 0 : this.window.cwnd, this.ssthreshBefore())
    if (!isReduced) this.reduce(nxt, nowMs, acked, delivered, false)
    else this.point = nxt
    this.state = RecoveryState.RECOVERY
    this.forced = this.control.model !== undefined
    this.cancelProbe()
  }

  /** ssthresh falls, cwnd is led there. The flight is what it was before this turn's ACKs: had each come alone, data would have followed. */
  private reduce(nxt: number, nowMs: number, acked: number, delivered: number, isEcho: boolean): void {
    const f = this.flight
    const outstanding = ((nxt - f.una) | 0) + acked
    const heard = Math.max(0, this.window.flight - outstanding)
    const inFlight = outstanding - acked - f.sackedBytes + delivered
    this.begun().begin(this.control, outstanding + heard, inFlight + heard, isEcho, nowMs, heard)
    this.reductions++
    this.point = nxt
    this.cancelProbe()
  }

  private begun(): Reduction {
    this.reduction ??= new Reduction(this.window)
    return this.reduction
  }

  private leave(nxt: number, nowMs: number): void {
    this.reduction!.end(this.control, this.pipe(nxt), nowMs)
    this.rest(nxt)
  }

  /** Back to OPEN, or to DISORDER if something is still unusual. */
  private rest(nxt: number): void {
    this.state = RecoveryState.OPEN
    this.detector.forgetDuplicates()
    this.forced = false
    this.frto = false
    this.keepOpen(nxt)
  }

  private keepOpen(nxt: number): void {
    const f = this.flight
    const isUnusual = f.sackedBytes > 0 || f.lostBytes > 0 || this.detector.dupAcks > 0
    const state = isUnusual ? RecoveryState.DISORDER : RecoveryState.OPEN
    if (f.retransmittedBytes === 0) this.reduction?.undo.rest()
    if (state !== this.state && this.sackPermitted) this.point = nxt
    this.state = state
  }

  // ------------------------------------------------------------------- undoing

  private undoByDsack(n: Float64Array): boolean {
    if (this.reduction === null || !this.reduction.undo.isDsacked) return false
    this.detector.rack?.keep()
    this.takeBack(false)
    n[C.TCPDSACKUndo]++
    return true
  }

  /** A hole was filled by what had been sent before any retransmission. True: wait, and mark nothing more (Linux tcp_try_undo_partial). */
  private undoPartial(s: AckSample, n: Float64Array): boolean {
    if (!s.hasEcho || !this.reduction!.undo.precedes(s.echoMs)) return false
    if (this.detector.reordered((s.una - s.acked) | 0, this.window.mss)) n[C.TCPTSReorder]++
    if (this.flight.retransmittedBytes > 0) return true
    this.takeBack(true)
    n[C.TCPPartialUndo]++
    this.keepOpen(s.nxt)
    return false
  }

  /** `unmark`: nothing was lost. */
  private takeBack(unmark: boolean): void {
    if (unmark) this.flight.clearLosses()
    this.reduction!.takeBack(this.control)
    if (this.detector.rack !== null) this.detector.rack.advanced = true // what is lost is looked at anew
  }

  /** In the middle of a reduction ssthresh is what is aimed at. */
  private ssthreshBefore(): number {
    const isReducing = this.state === RecoveryState.CWR || this.state === RecoveryState.RECOVERY
    return isReducing ? this.window.ssthresh : Reduction.ssthreshOf(this.window)
  }

  // ------------------------------------------------------------------- sending

  /** `bytes` left, of them `again` for the second time or more. */
  sent(bytes: number, again: boolean, nowMs: number): void {
    if (this.state === RecoveryState.CWR || this.state === RecoveryState.RECOVERY) this.reduction!.sent(bytes)
    if (!again) return
    this.againBytes += bytes
    if (this.reduction?.undo.isOpen === true) this.reduction.undo.sentAgain(bytes, nowMs)
  }

  /** The tail loss probe left, `again` bytes of it not for the first time; SND.NXT is `nxt` now. */
  probed(nxt: number, again: number, nowUs: number, nowMs: number, smoothedRttUs: number): void {
    this.tail ??= new TailLoss()
    const isRepairing = this.state === RecoveryState.RECOVERY // whose reduction speaks for the probe, too
    this.tail.sent(nxt, again > 0 && !isRepairing, nowUs, smoothedRttUs)
    if (isRepairing) this.sent(again, true, nowMs)
    else this.againBytes += again
  }

  /** The timer of the probe expired. At most one is out. */
  onProbeTimer(): void {
    if (this.tail?.isOut !== true) this.probeDue = true
  }

  private cancelProbe(): void {
    this.probeDue = false
    if (this.tail !== null) this.tail.isOut = false
  }
}
