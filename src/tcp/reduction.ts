/**
 * One reduction of the congestion window: begun by losses, an ECN echo or a time-out, led by prr.ts, ended at ssthresh, and taken back if undo.ts
 * can prove that it was a mistake. Made at the first reduction of a connection and used again. An algorithm that models the path
 * (`control.model`) hears of everything and keeps its window.
 */
import type { AckSample, CongestionControl, CongestionWindow } from './congestion.ts'
import { Prr } from './prr.ts'
import { Undo } from './undo.ts'

export class Reduction {
  readonly undo = new Undo()
  private readonly prr = new Prr()

  constructor(private readonly window: CongestionWindow) {}

  /**
   * ssthresh falls; cwnd follows by `onAck`. `outstanding`, `inFlight`: bytes not acknowledged (FlightSize), and those not SACKed, before
   * `heard` bytes were acknowledged in this turn.
   */
  begin(control: CongestionControl, outstanding: number, inFlight: number, isEcho: boolean, nowMs: number, heard: number): void {
    const w = this.window
    const { cwnd } = w
    if (isEcho && control.congestionEcho !== undefined) control.congestionEcho(w, outstanding, nowMs)
    else control.loss(w, outstanding, nowMs)
    if (control.model === undefined) w.cwnd = cwnd
    this.prr.begin(inFlight, heard)
  }

  /** `isSafe`: SND.UNA advanced and nothing more was found lost. */
  onAck(inFlight: number, delivered: number, isSafe: boolean): void {
    const w = this.window
    w.cwnd = this.prr.window(inFlight, w.ssthresh, w.mss, delivered, isSafe)
  }

  sent(bytes: number): void {
    this.prr.sent(bytes)
  }

  spoke(): void {
    this.prr.spoke()
  }

  /** RFC 9937 section 6: the window is ssthresh from here on. */
  end(control: CongestionControl, inFlight: number, nowMs: number): void {
    if (control.model === undefined) this.window.cwnd = this.window.ssthresh
    control.recovered(this.window, inFlight, nowMs)
  }

  /** What is to be given back if this was a mistake; as Linux tcp_current_ssthresh, no less than three quarters of the window. */
  static ssthreshOf(w: CongestionWindow): number {
    return Math.max(w.ssthresh, w.cwnd - (w.cwnd >> 2))
  }

  isMistake(s: AckSample): boolean {
    return this.undo.isDsacked || (s.hasEcho && this.undo.precedes(s.echoMs))
  }

  /** RFC 4015 section 3: the window as it was. */
  takeBack(control: CongestionControl): void {
    const { undo, window: w } = this
    undo.isOpen = false
    if (undo.cwnd === 0) return
    if (control.model === undefined) {
      w.cwnd = Math.max(w.cwnd, undo.cwnd)
      w.ssthresh = Math.max(w.ssthresh, undo.ssthresh)
    }
    control.undo?.(w)
  }
}
