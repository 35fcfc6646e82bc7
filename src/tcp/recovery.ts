/**
 * Loss recovery: fast retransmit with SACK (RFC 6675) or without (NewReno, RFC 6582), limited transmit (RFC 3042), and what the
 * retransmission timer does (RFC 6298 section 5, RFC 5681).
 *
 * The scoreboard is the flight log. Recovery only marks records lost and says how much is in the pipe; the sender retransmits marked
 * records while pipe < cwnd. SND.NXT never moves back: after a time-out everything is marked lost and goes out again as the window allows.
 */
import type { AckSample, CongestionControl, CongestionWindow } from './congestion.ts'
import type { Flight } from './flight.ts'
import type { MtuSearch } from './mtu-probe.ts'
import { geq } from './seq.ts'

export const RecoveryState = { OPEN: 0, DISORDER: 1, RECOVERY: 2, LOSS: 3 } as const
export const RECOVERY_NAMES = ['open', 'disorder', 'recovery', 'loss'] as const

/** RFC 5681 section 3.2. */
export const DUP_THRESH = 3

export class Recovery {
  state: number = RecoveryState.OPEN
  /** SND.NXT when recovery began: it ends when this is acknowledged. */
  point = 0
  dupAcks = 0
  /** Bytes that duplicate ACKs say have left the network, for peers without SACK. */
  renoSacked = 0
  /** The next retransmission goes out whatever the window says (RFC 6675 section 5, step 4.3). */
  forced = false
  /** Once a search for the path MTU was begun (mtu-probe.ts). */
  search: MtuSearch | null = null

  constructor(
    private readonly flight: Flight,
    private readonly window: CongestionWindow,
    public control: CongestionControl,
  ) {}

  /** Bytes believed to be in the network. */
  pipe(nxt: number): number {
    const f = this.flight
    const n = ((nxt - f.una) | 0) - f.sackedBytes - f.lostBytes + f.retransmittedBytes - this.renoSacked
    return n > 0 ? n : 0
  }

  /**
   * An ACK arrived and was applied to the log and to `s`. `sacked`: bytes newly SACKed; `duplicate`: it is a duplicate ACK in the sense of
   * RFC 5681.
   */
  onAck(s: AckSample, sacked: number, duplicate: boolean, sackPermitted: boolean): void {
    const { acked, nxt, nowMs } = s
    if (acked > 0 && this.state >= RecoveryState.RECOVERY && geq(this.flight.una, this.point)) this.leave(nxt, nowMs)
    if (duplicate) {
      this.dupAcks++
      if (!sackPermitted) {
        const most = ((nxt - this.flight.una) | 0) - this.flight.lostBytes
        this.renoSacked = Math.min(this.renoSacked + this.window.mss, most > 0 ? most : 0)
      }
      if (this.state === RecoveryState.OPEN) this.state = RecoveryState.DISORDER
    }
    if (acked > 0) {
      if (!sackPermitted) this.renoSacked = Math.max(0, this.renoSacked - Math.max(0, acked - this.window.mss))
      if (this.state < RecoveryState.RECOVERY) {
        this.dupAcks = 0
        this.renoSacked = 0
        if (this.flight.sackedBytes === 0) this.state = RecoveryState.OPEN
      }
    }
    if (sackPermitted) {
      if (sacked > 0 || (acked > 0 && this.state >= RecoveryState.RECOVERY)) this.flight.markLost(this.window.mss, DUP_THRESH)
      if (this.state < RecoveryState.RECOVERY && (this.flight.lostBytes > 0 || this.dupAcks >= DUP_THRESH)) this.enter(nxt, nowMs)
    } else if (this.state === RecoveryState.RECOVERY) {
      // RFC 6582 step 3: a partial ACK says that the next segment is lost too.
      if (acked > 0) {
        this.flight.markFirstLost(this.window.mss)
        this.forced = true
      }
    } else if (this.state < RecoveryState.RECOVERY && this.dupAcks >= DUP_THRESH && this.flight.una !== this.point) {
      // RFC 6582 step 1: exactly at the last recovery point, duplicate ACKs come from our own retransmissions.
      this.enter(nxt, nowMs)
    }
    if (acked > 0 && s.limited && (this.state === RecoveryState.OPEN || this.state === RecoveryState.LOSS)) {
      this.control.acked(this.window, s)
    }
  }

  private enter(nxt: number, nowMs: number): void {
    if (this.search?.explains(this.flight)) return
    this.control.loss(this.window, (nxt - this.flight.una) | 0, nowMs)
    this.state = RecoveryState.RECOVERY
    this.point = nxt
    this.forced = true
    if (this.flight.lostBytes === 0) this.flight.markFirstLost(this.window.mss)
  }

  private leave(nxt: number, nowMs: number): void {
    if (this.state === RecoveryState.RECOVERY) this.control.recovered(this.window, this.pipe(nxt), nowMs)
    this.state = this.flight.sackedBytes > 0 ? RecoveryState.DISORDER : RecoveryState.OPEN
    this.dupAcks = 0
    this.renoSacked = 0
    this.forced = false
  }

  /** The retransmission timer expired. */
  onTimeout(nxt: number, nowMs: number): void {
    // RFC 5681: ssthresh is set once per window of data, not again when the retransmission is lost too.
    const first = this.state !== RecoveryState.LOSS
    if (this.flight.reneged) this.flight.clearSacks()
    this.control.timeout(this.window, (nxt - this.flight.una) | 0, first, nowMs)
    this.flight.markAllLost()
    this.state = RecoveryState.LOSS
    this.point = nxt
    this.dupAcks = 0
    this.renoSacked = 0
    this.forced = true
  }
}
