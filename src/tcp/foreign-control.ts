/**
 * A congestion control that somebody else has written, with a guard around it. It runs in the middle of protocol code, where an exception
 * would leave a link half read and the stack deaf. So what it throws is told as what a handler throws is, after the turn, and the
 * connection goes on with NewReno, which does again what was not done.
 */
import type { TellList } from '../base/tell.ts'
import type { AckSample, CongestionControl, CongestionWindow } from './congestion.ts'
import { NewReno } from './newreno.ts'

/** Reports an error as that of a handler: `uncaught` of the host gets it. */
export function tellError(list: TellList, error: unknown): void {
  list.add({
    told: false,
    tell: () => {
      throw error
    },
  })
}

export class ForeignControl implements CongestionControl {
  /** The one that was given, until it has thrown. */
  control: CongestionControl
  private readonly list: TellList
  private readonly abcLimit: number
  // What may be left out is left out here, too: recovery asks for it.
  model: CongestionControl['model']
  observe: CongestionControl['observe']
  congestionEcho: CongestionControl['congestionEcho']
  undo: CongestionControl['undo']

  constructor(control: CongestionControl, list: TellList, abcLimit: number) {
    this.control = control
    this.list = list
    this.abcLimit = abcLimit
    this.model = control.model === undefined ? undefined : this.guardedModel
    this.observe = control.observe === undefined ? undefined : this.guardedObserve
    this.undo = control.undo === undefined ? undefined : (w) => this.attempt(w, (c) => c.undo?.(w))
    this.congestionEcho =
      control.congestionEcho === undefined
        ? undefined
        : (w, inFlight, nowMs) =>
            this.attempt(w, (c) =>
              c.congestionEcho === undefined ? c.loss(w, inFlight, nowMs) : c.congestionEcho(w, inFlight, nowMs),
            )
  }

  get name(): string {
    return this.control.name
  }

  start(w: CongestionWindow, initialWindowSegments: number): void {
    this.attempt(w, (c) => c.start(w, initialWindowSegments))
  }

  // What every ACK calls makes no closure.

  acked(w: CongestionWindow, s: AckSample): void {
    try {
      this.control.acked(w, s)
    } catch (error) {
      this.replace(w, error)
      this.control.acked(w, s)
    }
  }

  private guardedModel(w: CongestionWindow, s: AckSample): void {
    try {
      this.control.model?.(w, s)
    } catch (error) {
      this.replace(w, error)
    }
  }

  private guardedObserve(w: CongestionWindow, s: AckSample): void {
    try {
      this.control.observe?.(w, s)
    } catch (error) {
      this.replace(w, error)
    }
  }

  loss(w: CongestionWindow, inFlight: number, nowMs: number): void {
    this.attempt(w, (c) => c.loss(w, inFlight, nowMs))
  }

  timeout(w: CongestionWindow, inFlight: number, first: boolean, nowMs: number): void {
    this.attempt(w, (c) => c.timeout(w, inFlight, first, nowMs))
  }

  recovered(w: CongestionWindow, inFlight: number, nowMs: number): void {
    this.attempt(w, (c) => c.recovered(w, inFlight, nowMs))
  }

  idle(w: CongestionWindow, initialWindowSegments: number, idleMs: number, rtoMs: number): void {
    this.attempt(w, (c) => c.idle(w, initialWindowSegments, idleMs, rtoMs))
  }

  private attempt(w: CongestionWindow, call: (control: CongestionControl) => void): void {
    try {
      call(this.control)
    } catch (error) {
      this.replace(w, error)
      call(this.control)
    }
  }

  private replace(w: CongestionWindow, error: unknown): void {
    tellError(this.list, error)
    this.control = new NewReno(this.abcLimit)
    this.model = undefined
    this.observe = undefined
    this.undo = undefined
    this.congestionEcho = undefined
    // Whatever it was about to write there.
    w.pacingRate = 0
    if (!(w.cwnd >= w.mss)) w.cwnd = w.mss
    if (!(w.ssthresh >= 2 * w.mss)) w.ssthresh = 2 * w.mss
  }
}
