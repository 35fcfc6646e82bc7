/** The time of a script: virtual microseconds since it began, and the one way in which they pass. */
import type { Task } from '../../base/clock.ts'
import type { VirtualHost } from '../virtual-host.ts'

const NOTHING: Task = { run: () => {} }

export class Timeline {
  /** Called whenever something may have happened. */
  onEvent: () => void = () => {}
  private readonly startMs: number

  constructor(private readonly host: VirtualHost) {
    this.startMs = host.elapsedMs
  }

  get nowUs(): number {
    return Math.round((this.host.elapsedMs - this.startMs) * 1000)
  }

  /** A time of the host's, in microseconds since it began, as one of the script. */
  ofHost(us: number): number {
    return Math.round(us - this.startMs * 1000)
  }

  /** Lets happen what happens until then, and leaves the time there. */
  advanceTo(us: number): void {
    while (this.step(us)) {}
    const until = this.startMs + us / 1000
    if (this.host.elapsedMs < until) this.host.run(until)
    this.onEvent()
  }

  /** What is due now. */
  settle(): void {
    this.advanceTo(this.nowUs)
  }

  /** Lets the next thing happen, if it happens until then. */
  step(untilUs: number): boolean {
    const { host } = this
    this.onEvent()
    const next = host.nextMs
    if (next < 0 || host.elapsedMs + next > this.startMs + untilUs / 1000) return false
    host.step()
    return true
  }

  /** Something happens in so long, if only that. */
  wakeIn(us: number): void {
    this.host.after(us / 1000, NOTHING)
  }
}
