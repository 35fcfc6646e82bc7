/**
 * BBR version 3 (draft-ietf-ccwg-bbr): sends at the rate that the path delivers, and keeps in flight what that rate needs for the round-trip
 * time without a queue. Losses count only when they are many, or as bounds on a model that is probed anew every few seconds.
 *
 *   Startup    doubles the rate each round until it brings no more (or loses too much)
 *   Drain      empties the queue that this has made
 *   ProbeBW    DOWN a little slower, CRUISE at the rate, REFILL the pipe for a round, UP a quarter faster to see whether there is more
 *   ProbeRTT   every ten seconds without a shorter round trip: half the flight for 200 ms, to see the path without a queue
 *
 * bbr-path.ts is the model. Here are the states, and what follows from them for `pacingRate` and `cwnd`. Names are the draft's.
 *
 * Deviations: the draft's loss steps, called for each lost packet, are taken once for each ACK, with the first loss that was heavy (rate.ts);
 * a CE mark counts as a loss in the round, and as too much in flight while probing (RFC 3168 section 5 wants the reaction of a loss).
 */
import { type Random, randomFraction } from '../base/random.ts'
import { BbrPath, BETA, isHeavy, LOSS_THRESH } from './bbr-path.ts'
import { type AckSample, type CongestionControl, type CongestionWindow, initialWindow, MAX_CWND } from './congestion.ts'

const STARTUP = 0
const DRAIN = 1
const DOWN = 2
const CRUISE = 3
const REFILL = 4
const UP = 5
const PROBE_RTT = 6
export const BBR_STATES = ['startup', 'drain', 'down', 'cruise', 'refill', 'up', 'probe-rtt'] as const

/** By state. The draft, "Summary of Control Behavior in the State Machine". */
const PACING_GAIN = [2.77, 0.5, 0.9, 1, 1, 1.25, 1] as const
const CWND_GAIN = [2, 2, 2, 2, 2, 2.25, 0.5] as const

/** What ACKs say of the last probe. */
const ACKS_INIT = 0
const ACKS_REFILLING = 1
const ACKS_PROBE_STARTING = 2
const ACKS_PROBE_FEEDBACK = 3
const ACKS_PROBE_STOPPING = 4

const PACING_MARGIN = 0.99
const MIN_PIPE_SEGMENTS = 4
const STARTUP_FULL_LOSS_COUNT = 6
const DRAIN_ROUNDS = 3
const MIN_RTT_FILTER_MS = 10_000
const PROBE_RTT_MS = 200
const PROBE_WAIT_MS = 2000
const PROBE_WAIT_RANDOM_MS = 1000
/** Round trips between probes, so that Reno beside us gets its share. */
const MAX_RENO_ROUNDS = 63
const QUANTUM_S = 0.001
const MAX_QUANTUM = 65536

export class Bbr implements CongestionControl {
  readonly name = 'bbr'
  readonly path = new BbrPath()
  private state = STARTUP
  private initialCwnd = 0
  private drainStartRound = 0

  /** What the path holds without a queue: bandwidth times the shortest round trip. */
  private bdp = 0
  private minRttUs = Number.POSITIVE_INFINITY
  private minRttMs = 0
  private isMinRttExpired = false
  private probeRttCwnd = 0
  private isProbeRttTimed = false
  private probeRttDoneMs = 0
  private isProbeRttRoundDone = false
  /** Samples of what was sent before this was delivered say nothing of the bandwidth (ProbeRTT, too small a window). */
  private limitedUntil = 0
  private isLimited = false

  private ackPhase = ACKS_INIT
  private isBwProbeSample = false
  private wasProbeTooHigh = false
  private wasProbePrecautionary = false
  private cycleMs = 0
  private probeWaitMs = 0
  private roundsSinceProbeUp = 0

  private isIdleRestart = false
  private priorCwnd = 0
  private wasInRecovery = false
  private undoState = -1
  private isCongestionMarked = false
  /** Time of the last ACK. */
  private lastUs = 0

  constructor(private readonly random: Random) {}

  /** For tests: the state's name. */
  get stateName(): (typeof BBR_STATES)[number] {
    return BBR_STATES[this.state]
  }

  start(w: CongestionWindow, initialWindowSegments: number): void {
    this.initialCwnd = initialWindow(w.mss, initialWindowSegments)
    this.updateBdp()
    w.cwnd = this.initialCwnd
  }

  /** All that an ACK changes is in `model`. */
  acked(): void {}

  model(w: CongestionWindow, s: AckSample): void {
    const { path } = this
    const rs = s.rate
    if (this.wasInRecovery && !s.inRecovery) this.restoreCwnd(w)
    this.wasInRecovery = s.inRecovery
    this.isLimited = rs.isAppLimited || ((rs.priorDelivered - this.limitedUntil) | 0) < 0
    if (s.lost > 0 || this.isCongestionMarked) this.lost(w, s)

    path.update(s, this.isLimited)
    if (path.roundStart) this.roundsSinceProbeUp++
    path.adaptLowerBounds(rs, w.cwnd, w.mss, this.isProbingBw)
    path.updateAggregation(s, w.cwnd, this.path.isFullBwReached)
    path.checkFullBw(this.isLimited)
    this.checkStartup(s)
    if (this.state === DRAIN && this.isDrained(w, s)) this.startDown(s)
    if (rs.hasData) this.updateCycle(w, s)
    this.updateMinRtt(w, s)
    this.checkProbeRtt(w, s)
    path.finish(s)
    this.updateBdp()

    this.setPacingRate(w, s, PACING_GAIN[this.state])
    this.setCwnd(w, s)
  }

  // ------------------------------------------------------------------- loss

  /** NoteLoss and HandleLostPacket. */
  private lost(w: CongestionWindow, s: AckSample): void {
    const { path } = this
    const rs = s.rate
    path.noteLoss(rs.totalDelivered)
    const isMarked = this.isCongestionMarked
    this.isCongestionMarked = false
    if (isMarked) path.isMarkedInRound = true
    if (!this.isBwProbeSample) return
    if (rs.heavyInFlight > 0) {
      // At which flight, inside the record, did losses pass the threshold? (InflightAtLoss)
      const before = rs.heavyInFlight - rs.heavyBytes
      const prefix = (LOSS_THRESH * before - (rs.heavyLost - rs.heavyBytes)) / (1 - LOSS_THRESH)
      this.inflightTooHigh(w, s, before + prefix, rs.heavyLimited)
    } else if (isMarked) this.inflightTooHigh(w, s, s.priorInFlight, this.isLimited)
  }

  private inflightTooHigh(w: CongestionWindow, s: AckSample, inflight: number, isLimited: boolean): void {
    this.wasProbeTooHigh = true
    this.isBwProbeSample = false
    // TargetInflight; with QuantizationBudget, as in Linux: on a short path that is most of the flight.
    if (!isLimited) this.path.inflightLongterm = Math.floor(Math.max(inflight, Math.min(this.inflight(w, 1, 0), w.cwnd) * BETA))
    if (this.state === UP) {
      this.undoState = UP
      this.startDown(s)
    }
  }

  loss(w: CongestionWindow): void {
    this.saveCwnd(w, false)
    this.save()
  }

  congestionEcho(): void {
    this.isCongestionMarked = true
  }

  timeout(w: CongestionWindow, _inFlight: number, first: boolean): void {
    this.saveCwnd(w, this.wasInRecovery || !first)
    if (first) this.save()
    this.wasInRecovery = true
    w.cwnd = w.mss
  }

  recovered(w: CongestionWindow): void {
    this.restoreCwnd(w)
  }

  /** SaveStateUponLoss. */
  private save(): void {
    this.undoState = -1
    this.path.saveBounds()
  }

  /** HandleSpuriousLossDetection. */
  undo(w: CongestionWindow): void {
    const { path } = this
    this.restoreCwnd(w)
    path.isLossInRound = false
    path.resetFullBw()
    path.restoreBounds()
    if (this.undoState === STARTUP && this.state !== STARTUP) {
      this.path.isFullBwReached = false
      if (this.state !== PROBE_RTT) this.state = STARTUP
    } else if (this.undoState === UP && this.state !== UP && this.state !== PROBE_RTT) {
      this.startRefill(null)
    }
    this.undoState = -1
  }

  private saveCwnd(w: CongestionWindow, inRecovery: boolean): void {
    this.priorCwnd = !inRecovery && this.state !== PROBE_RTT ? w.cwnd : Math.max(this.priorCwnd, w.cwnd)
  }

  private restoreCwnd(w: CongestionWindow): void {
    if (this.priorCwnd > w.cwnd) w.cwnd = this.priorCwnd
  }

  // ---------------------------------------------------------------- startup

  /** CheckStartupDone, with CheckStartupHighLoss. */
  private checkStartup(s: AckSample): void {
    if (this.state !== STARTUP) return
    const { path } = this
    const rs = s.rate
    if (
      !this.path.isFullBwReached &&
      path.lossRoundStart &&
      s.inRecovery &&
      path.lossEventsInRound >= STARTUP_FULL_LOSS_COUNT &&
      rs.lost > rs.txInFlight * LOSS_THRESH
    ) {
      this.undoState = STARTUP
      this.path.isFullBwReached = true
      path.inflightLongterm = Math.floor(Math.max(this.bdp, path.inflightLatest))
    }
    if (!this.path.isFullBwReached) return
    this.state = DRAIN
    this.drainStartRound = path.roundCount
  }

  private isDrained(w: CongestionWindow, s: AckSample): boolean {
    return s.inFlight <= this.inflight(w, 1, 0) || ((this.path.roundCount - this.drainStartRound) | 0) > DRAIN_ROUNDS
  }

  // ---------------------------------------------------------------- ProbeBW

  /** Sending faster than the path delivers, or about to: losses are expected. */
  private get isProbingBw(): boolean {
    return this.state === STARTUP || this.state === REFILL || this.state === UP
  }

  private get isInProbeBw(): boolean {
    return this.state >= DOWN && this.state <= UP
  }

  private startDown(s: AckSample): void {
    this.path.resetCongestionSignals()
    // PickProbeWait: two draws, for mixing with other flows.
    this.roundsSinceProbeUp = this.random.int32() & 1
    this.probeWaitMs = PROBE_WAIT_MS + randomFraction(this.random) * PROBE_WAIT_RANDOM_MS
    this.cycleMs = s.nowMs
    this.ackPhase = ACKS_PROBE_STOPPING
    this.path.startRound(s.rate.totalDelivered)
    this.state = DOWN
  }

  /** `s` null: outside of an ACK; the round that is going on is as good. */
  private startRefill(s: AckSample | null): void {
    this.path.resetShortTerm()
    this.path.beginSlope()
    this.wasProbePrecautionary = false
    this.ackPhase = ACKS_REFILLING
    if (s !== null) this.path.startRound(s.rate.totalDelivered)
    this.state = REFILL
  }

  private startUp(w: CongestionWindow, s: AckSample): void {
    this.ackPhase = ACKS_PROBE_STARTING
    this.path.startRound(s.rate.totalDelivered)
    this.path.resetFullBw()
    this.state = UP
    this.path.raiseSlope(w.cwnd, w.mss)
  }

  /** UpdateProbeBWCyclePhase. */
  private updateCycle(w: CongestionWindow, s: AckSample): void {
    if (!this.path.isFullBwReached || this.adaptLongTerm(w, s) || !this.isInProbeBw) return
    switch (this.state) {
      case DOWN:
        if (this.isTimeToProbe(w, s)) this.startRefill(s)
        else if (
          s.inFlight <= this.path.inflightWithHeadroom(w.mss, MIN_PIPE_SEGMENTS * w.mss) &&
          s.inFlight <= this.inflight(w, 1, 0)
        )
          this.state = CRUISE
        break
      case CRUISE:
        if (this.isTimeToProbe(w, s)) this.startRefill(s)
        break
      case REFILL:
        if (this.path.roundStart) {
          this.isBwProbeSample = true
          this.startUp(w, s)
        }
        break
      case UP:
        if (this.isTimeToGoDown(w, s)) {
          this.wasProbeTooHigh = false
          this.startDown(s)
        }
        break
    }
  }

  private isTimeToProbe(w: CongestionWindow, s: AckSample): boolean {
    if (((s.nowMs - this.cycleMs) | 0) > this.probeWaitMs) return true
    const renoRounds = Math.min(this.bdp, w.cwnd) / w.mss
    return this.roundsSinceProbeUp >= Math.min(renoRounds, MAX_RENO_ROUNDS)
  }

  private isTimeToGoDown(w: CongestionWindow, s: AckSample): boolean {
    const longterm = this.path.inflightLongterm
    if (this.wasProbeTooHigh && s.inFlight >= longterm) {
      this.wasProbePrecautionary = true
      return true
    }
    if (s.windowFull && w.cwnd >= longterm) {
      this.path.resetFullBw()
      return false
    }
    return this.path.isFullBwNow
  }

  /** AdaptLongTermModel. True: the state was decided. */
  private adaptLongTerm(w: CongestionWindow, s: AckSample): boolean {
    const { path } = this
    const rs = s.rate
    if (this.ackPhase === ACKS_PROBE_STARTING && path.roundStart) this.ackPhase = ACKS_PROBE_FEEDBACK
    if (this.ackPhase === ACKS_PROBE_STOPPING && path.roundStart) {
      this.isBwProbeSample = false
      this.ackPhase = ACKS_INIT
      if (this.isInProbeBw && !this.isLimited) path.advanceMaxBw()
      if (this.isInProbeBw && this.wasProbePrecautionary && !this.wasProbeTooHigh) {
        this.startRefill(s)
        return true
      }
    }
    if (isHeavy(rs.lost, rs.txInFlight, w.mss) || path.inflightLongterm === Number.POSITIVE_INFINITY) return false
    if (rs.txInFlight > path.inflightLongterm) path.inflightLongterm = rs.txInFlight
    if (this.state === UP && s.windowFull && w.cwnd >= path.inflightLongterm) path.probeUpward(s.delivered, w.cwnd, w.mss)
    return false
  }

  // --------------------------------------------------------------- ProbeRTT

  private updateMinRtt(w: CongestionWindow, s: AckSample): void {
    this.isMinRttExpired = this.minRttUs !== Number.POSITIVE_INFINITY && ((s.nowMs - this.minRttMs) | 0) > MIN_RTT_FILTER_MS
    if (this.isMinRttExpired && this.state !== PROBE_RTT)
      this.probeRttCwnd = Math.max(CWND_GAIN[PROBE_RTT] * this.bdp, MIN_PIPE_SEGMENTS * w.mss) | 0
    if (s.rttUs > 0 && (s.rttUs < this.minRttUs || this.isMinRttExpired)) {
      this.minRttUs = s.rttUs
      this.minRttMs = s.nowMs
      this.updateBdp()
    }
  }

  private checkProbeRtt(w: CongestionWindow, s: AckSample): void {
    if (this.state !== PROBE_RTT && this.isMinRttExpired && !this.isIdleRestart) {
      this.saveCwnd(w, s.inRecovery)
      this.state = PROBE_RTT
      this.isProbeRttTimed = false
      this.ackPhase = ACKS_PROBE_STOPPING
      this.path.startRound(s.rate.totalDelivered)
    }
    if (this.state === PROBE_RTT) this.handleProbeRtt(w, s)
    if (s.rate.hasData) this.isIdleRestart = false
  }

  private handleProbeRtt(w: CongestionWindow, s: AckSample): void {
    this.limitedUntil = (s.rate.totalDelivered + s.inFlight) | 0
    if (!this.isProbeRttTimed) {
      if (s.inFlight > this.probeRttCwnd) return
      this.isProbeRttTimed = true
      this.probeRttDoneMs = (s.nowMs + PROBE_RTT_MS) | 0
      this.isProbeRttRoundDone = false
      this.path.startRound(s.rate.totalDelivered)
      return
    }
    if (this.path.roundStart) this.isProbeRttRoundDone = true
    if (this.isProbeRttRoundDone && ((s.nowMs - this.probeRttDoneMs) | 0) > 0) this.exitProbeRtt(w, s)
  }

  private exitProbeRtt(w: CongestionWindow, s: AckSample): void {
    this.minRttMs = s.nowMs
    this.isProbeRttTimed = false
    this.restoreCwnd(w)
    this.path.resetShortTerm()
    if (!this.path.isFullBwReached) {
      this.state = STARTUP
      return
    }
    this.startDown(s)
    this.state = CRUISE
  }

  /** HandleRestartFromIdle: the window stays, the rate is the path's. */
  idle(w: CongestionWindow): void {
    this.isIdleRestart = true
    this.path.restartAggregation(this.lastUs)
    if (this.isInProbeBw) this.applyRate(w, 1)
  }

  // ---------------------------------------------------------------- control

  private setPacingRate(w: CongestionWindow, s: AckSample, gain: number): void {
    this.lastUs = s.nowUs
    // InitPacingRate, with the first round trip: the initial window, as if Startup had begun with it.
    if (w.pacingRate === 0 && s.smoothedRttUs > 0)
      w.pacingRate = Math.floor((PACING_GAIN[STARTUP] * this.initialCwnd * 1e6) / s.smoothedRttUs)
    this.applyRate(w, gain)
  }

  private applyRate(w: CongestionWindow, gain: number): void {
    const rate = gain * this.path.bw * PACING_MARGIN
    if (rate > 0 && (this.path.isFullBwReached || rate > w.pacingRate)) w.pacingRate = Math.floor(rate)
  }

  /** BDPMultiple(1), whenever one of its factors has changed. */
  private updateBdp(): void {
    const { minRttUs } = this
    this.bdp = minRttUs === Number.POSITIVE_INFINITY ? this.initialCwnd : (this.path.bw * minRttUs) / 1e6
  }

  /** Inflight, with QuantizationBudget: three super-segments and four segments at least. `extra` bytes more. */
  private inflight(w: CongestionWindow, gain: number, extra: number): number {
    const quantum = Math.max(Math.min(w.pacingRate * QUANTUM_S, MAX_QUANTUM), 2 * w.mss)
    const n = Math.max(gain * this.bdp + extra, 3 * quantum, MIN_PIPE_SEGMENTS * w.mss) + (this.state === UP ? 2 * w.mss : 0)
    return n < MAX_CWND ? n | 0 : MAX_CWND
  }

  private setCwnd(w: CongestionWindow, s: AckSample): void {
    const { path } = this
    const least = MIN_PIPE_SEGMENTS * w.mss
    const max = this.inflight(w, CWND_GAIN[this.state], path.extraAcked)
    let cwnd = w.cwnd
    if (this.path.isFullBwReached) cwnd = Math.min(cwnd + s.delivered, max)
    else if (cwnd < max || path.roundCount <= 1) cwnd += s.delivered
    cwnd = Math.max(cwnd, least)
    if (this.state === PROBE_RTT) cwnd = Math.min(cwnd, this.probeRttCwnd)
    // BoundCwndForModel.
    let cap = Number.POSITIVE_INFINITY
    if (this.state === PROBE_RTT || this.state === CRUISE) cap = path.inflightWithHeadroom(w.mss, least)
    else if (this.isInProbeBw) cap = path.inflightLongterm
    cap = Math.max(Math.min(cap, path.inflightShortterm), least)
    if (cwnd > cap) cwnd = cap
    w.cwnd = cwnd < MAX_CWND ? cwnd | 0 : MAX_CWND
  }
}
