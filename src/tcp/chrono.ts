/**
 * For how long there was something to send, and what it waited for (Linux tcp_chrono): what tells a slow application from a slow reader at
 * the other end and from a buffer that is too small. Looked at once at the end of each `speak`, so that a segment costs nothing.
 */
import type { Sender } from './sender.ts'

/** What holds data back. BUSY: nothing but the network. */
export const Held = { NOT: 0, BUSY: 1, WINDOW: 2, BUFFER: 3 } as const

export class Chrono {
  private held: number = Held.NOT
  private busy = 0
  private window = 0
  private buffer = 0

  /** `sinceMs`: when it last turned. */
  constructor(private sinceMs: number) {}

  /** From now on it is `held`. */
  turn(held: number, nowMs: number): void {
    if (held === this.held) return
    const ms = (nowMs - this.sinceMs) | 0
    if (this.held !== Held.NOT) this.busy += ms
    if (this.held === Held.WINDOW) this.window += ms
    else if (this.held === Held.BUFFER) this.buffer += ms
    this.held = held
    this.sinceMs = nowMs
  }

  /** Milliseconds with something to send, including both of the following. */
  busyMs(nowMs: number): number {
    return this.busy + (this.held === Held.NOT ? 0 : (nowMs - this.sinceMs) | 0)
  }

  /** The peer's window was full. */
  windowMs(nowMs: number): number {
    return this.window + (this.held === Held.WINDOW ? (nowMs - this.sinceMs) | 0 : 0)
  }

  /** All that our buffer can hold was sent, and the application had more. */
  bufferMs(nowMs: number): number {
    return this.buffer + (this.held === Held.BUFFER ? (nowMs - this.sinceMs) | 0 : 0)
  }
}

/** At the end of each `speak`: for what the sender waits from now on. */
export function watchHolding(snd: Sender, nowMs: number): void {
  if (snd.chrono === null) {
    if (snd.bytesSent === 0 && snd.ring.length === 0) return // at most a FIN
    snd.chrono = new Chrono(nowMs)
  }
  snd.chrono.turn(heldBy(snd), nowMs)
}

function heldBy(snd: Sender): number {
  const outstanding = (snd.nxt - snd.una) | 0
  const { unsent } = snd
  if (unsent > 0) {
    // A segment would still leave the congestion window, but not the peer's.
    const isWindow = ((snd.una + snd.wnd - snd.nxt) | 0) < Math.min(snd.mss, unsent) && outstanding < snd.window.cwnd
    return isWindow ? Held.WINDOW : Held.BUSY
  }
  if (outstanding === 0) return Held.NOT
  return snd.wantWritable && !snd.finSent ? Held.BUFFER : Held.BUSY
}
