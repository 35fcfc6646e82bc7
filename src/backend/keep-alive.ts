/**
 * Keep-alives of frames in a stream (stream-link.ts): an empty frame after each interval in which nothing was sent.
 *
 * A peer that sends them is expected to go on: silence of `keepAliveMisses` intervals then ends the stream. Of one that never sent any (vde_plug skips
 * ours) silence means nothing.
 */
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'

export interface KeepAliveOwner {
  /** Sends an empty frame, unless something is under way. */
  keepAlive(): void
  /** We hold the stream back ourselves: it says nothing about its peer. */
  readonly isHolding: boolean
  /** The peer has been silent for so long, in ms. */
  silence(ms: number): void
}

export class KeepAlive implements Task {
  /** Something was sent, or heard, since the timer ran last. */
  spoke = false
  heard = false
  /** The peer has sent an empty frame. */
  peerTakesPart = false
  /** Intervals in a row in which nothing was heard. */
  private silent = 0
  private host: Host | null = null
  private timer: TimerHandle = null

  /** @param ms interval; 0: none are sent, and silence is not noticed */
  constructor(
    private readonly ms: number,
    private readonly owner: KeepAliveOwner,
  ) {}

  /** A stream is there, of a peer that nothing is known of. */
  begin(): void {
    this.peerTakesPart = false
    this.silent = 0
  }

  /** The timer runs from now on, if it does not. Without an interval nobody is asked for time, which some owners do not have yet. */
  start(owner: { readonly host: Host }): void {
    if (this.ms === 0 || this.host !== null) return
    this.arm(owner.host)
  }

  private arm(host: Host): void {
    this.host = host
    this.timer = host.after(this.ms, this)
  }

  stop(): void {
    this.host?.cancel(this.timer)
    this.host = null
  }

  /** From the timer. */
  run(): void {
    const { host, owner } = this
    if (host === null) return
    if (!this.spoke) owner.keepAlive()
    this.spoke = false
    this.silent = this.heard || owner.isHolding ? 0 : this.silent + 1
    this.heard = false
    this.host = null
    if (this.peerTakesPart && this.silent >= LINK_DEFAULTS.keepAliveMisses) owner.silence(this.silent * this.ms)
    else this.arm(host)
  }
}
