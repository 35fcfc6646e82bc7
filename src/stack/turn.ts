/**
 * The turn: hear, tell, speak. The only file that knows the order.
 *
 *   1. clock    the time is read once
 *   2. hear     each link hands over at most a budget of frames; nothing of TCP's data is sent
 *   3. timers   what is due; connections are only marked
 *   4. tell     application handlers run; what they write only fills rings. If any did, the clock is read again
 *   5. speak    dirty connections emit what is due, each at most its quantum
 *   6. flush    links let go; the host's one timer is armed; if a budget ran out, another turn follows
 *
 * Hearing comes before timers, and when a deadline is due every link is asked, whether it has announced something or not: a
 * process that was busy for longer than a retransmission timer must not take its own absence for the peer's silence. For the same
 * reason deadlines that were missed by far wait, for so many turns, until the links have told everything that piled up.
 *
 * What the order gives: an echo's reply carries the ACK, a batch of frames gets one ACK, small writes of one tick become one segment, and
 * no protocol code is on the stack while user code runs.
 */
import type { Clock, Host, Task, TimerHandle } from '../base/clock.ts'
import type { TellList } from '../base/tell.ts'
import type { Timers } from '../base/timers.ts'
import type { NetIf } from '../netif/netif.ts'

/** A deadline missed by so much was missed because nobody was there. */
const LATE_MS = 10
/** Turns that may pass before late deadlines count all the same: a flood must not stop the timers. */
const MAX_POSTPONED = 64

/** Who speaks in step 5. */
export interface Speaker {
  readonly hasDirty: boolean
  /** True: more is to be said at once. */
  speak(quantum: number): boolean
}

/** A link as the turn sees it. */
export class Port {
  /** Frames may wait. */
  readable = false

  constructor(readonly netif: NetIf) {}
}

export class Turn implements Clock, Task {
  nowMs = 0
  nowUs = 0
  /** Turns taken so far. */
  count = 0
  private readonly ports: Port[] = []
  private speaker: Speaker | null = null
  private scheduled = false
  /** Somebody outside asked for the turn to come, and the clock was read for it. */
  private fresh = false
  private running = false
  private closed = false
  private timer: TimerHandle = null
  private timerSet = false
  private timerAt = 0
  /** Turns in a row that left late deadlines for later. */
  private postponed = 0
  private readonly alarm: Task
  private readonly onThrow: (error: unknown) => void

  constructor(
    private readonly host: Host,
    private readonly timers: Timers,
    private readonly list: TellList,
    private readonly receiveBudget: number,
    private readonly sendQuantum: number,
  ) {
    this.readClock()
    this.alarm = {
      run: () => {
        this.timerSet = false
        this.run()
      },
    }
    this.onThrow = (error) => host.uncaught(error)
  }

  setSpeaker(speaker: Speaker): void {
    this.speaker = speaker
  }

  addPort(netif: NetIf): Port {
    const port = new Port(netif)
    this.ports.push(port)
    return port
  }

  removePort(port: Port): void {
    const i = this.ports.indexOf(port)
    if (i >= 0) this.ports.splice(i, 1)
  }

  /** A turn is wanted. Inside a turn it costs nothing: what was marked is looked at before the turn ends. */
  readonly wake = (): void => {
    if (this.fresh || this.closed || this.running) return
    this.fresh = true
    this.readClock() // the caller is about to set deadlines, perhaps long after the last turn
    this.schedule()
  }

  /** As `wake`, for a link with frames: it sets no deadline, and reading the clock twice for every turn would cost as much as a checksum. */
  wakeForInput(): void {
    if (!this.closed && !this.running) this.schedule()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.host.soon(this)
  }

  /** Application code outside a turn is about to look at the time. */
  readClock(): void {
    if (this.host.read !== undefined) this.host.read(this)
    else {
      this.nowMs = this.host.ms()
      this.nowUs = this.host.us()
    }
  }

  run(): void {
    this.scheduled = false
    this.fresh = false
    if (this.running || this.closed) return
    this.running = true
    let again = false
    try {
      again = this.once()
    } finally {
      this.running = false
    }
    if (again) this.wake()
    this.armTimer()
  }

  private once(): boolean {
    this.count++
    this.readClock()
    let again = false
    const ports = this.ports
    const overdue = this.timers.overdue(this.nowMs)
    const isDue = overdue >= 0
    for (let i = 0; i < ports.length; i++) {
      const port = ports[i]
      if (!port.readable && !isDue) continue
      port.readable = false
      if (port.netif.receive(this.receiveBudget)) {
        port.readable = true
        again = true
      }
    }
    if (again && overdue >= LATE_MS && this.postponed < MAX_POSTPONED) this.postponed++
    else {
      this.postponed = 0
      this.timers.fire(this.nowMs)
    }
    if (!this.list.empty) {
      this.list.drain(this.onThrow)
      this.readClock() // applications take their time
    }
    if (this.speaker?.speak(this.sendQuantum)) again = true
    for (let i = 0; i < ports.length; i++) {
      ports[i].netif.flush()
      if (ports[i].readable) again = true
    }
    return again || !this.list.empty
  }

  /** One host timer for the earliest deadline; a timer that comes too early only finds nothing to do. */
  private armTimer(): void {
    if (this.closed) return
    const delay = this.timers.next(this.nowMs)
    if (delay < 0) return
    const at = (this.nowMs + delay) | 0
    if (this.timerSet) {
      if (((at - this.timerAt) | 0) >= 0) return
      this.host.cancel(this.timer)
    }
    this.timerSet = true
    this.timerAt = at
    this.timer = this.host.after(delay, this.alarm)
  }

  /** Deadlines were set outside a turn. */
  rearm(): void {
    if (!this.running) this.armTimer()
  }

  close(): void {
    this.closed = true
    if (this.timerSet) this.host.cancel(this.timer)
    this.timerSet = false
  }
}
