/**
 * Gives a link its streams by connecting, again and again.
 *
 * Theory of operation. When a stream has ended the next connection is tried after a pause, which doubles up to a limit as long as it is in vain, and of
 * which a random part is left out, so that all clients of a server that comes back do not come at once. A connection that held for the
 * longest pause begins with the shortest one again: a server that accepts and hangs up at once is not asked four times a second.
 */
import type { Duplex } from 'node:stream'
import type { Host, Task, TimerHandle } from '../base/clock.ts'
import { LINK_DEFAULTS } from '../base/link-config.ts'
import type { Carrier, StreamLink } from './stream-link.ts'

export interface DialerOptions {
  /** A new connection. Rejects when there is none, or when the signal is aborted. */
  connect(signal: AbortSignal): Promise<Duplex>
  /** `to 10.0.0.1:5000` */
  text: string
  /** Connects again when a stream has ended. True when left out. */
  reconnect?: boolean
  /** Told of what happens: connected; lost, or failed, with the pause until the next try in ms. */
  onChange?: (change: LinkChange) => void
  /** From 0 to 1. Math.random when left out. */
  random?: () => number
}

/** What happens to the stream of a link. */
export interface LinkChange {
  readonly state: 'connected' | 'waiting' | 'refused'
  /** What ended the stream, or kept it from coming about, if anything did. */
  readonly error?: Error | undefined
  /** Until the next try. */
  readonly pauseMs?: number
  /** Who connected, or was refused. */
  readonly peer?: string
}

/** Tells an application. What it throws is no affair of the link's: it comes out where the host's uncaught errors do. */
export function tell({ onChange }: { onChange?: (change: LinkChange) => void }, host: Host | null, change: LinkChange): void {
  try {
    onChange?.(change)
  } catch (error) {
    if (host !== null) host.uncaught(error)
    else
      process.nextTick(() => {
        throw error
      })
  }
}

export class Dialer implements Carrier, Task {
  readonly text: string
  private readonly options: DialerOptions
  private readonly random: () => number
  private readonly abort = new AbortController()
  private link: StreamLink | null = null
  private host: Host | null = null
  private timer: TimerHandle = null
  private timerSet = false
  private dialing = false
  /** Pauses in a row without a connection that held. */
  private pauses = 0
  private connectedAt = 0
  private wantsRef = false

  constructor(options: DialerOptions) {
    this.options = options
    this.text = options.text
    this.random = options.random ?? Math.random
  }

  /** The first connection, before there is a link. Rejects as `connect` does. */
  first(): Promise<Duplex> {
    return this.options.connect(this.abort.signal)
  }

  start(link: StreamLink, host: Host): void {
    this.link = link
    this.host = host
    this.connectedAt = host.ms()
    if (this.wantsRef) host.hold()
    if (!link.isUp && this.options.reconnect !== false) this.pause()
  }

  ended(error?: Error): boolean {
    if (this.options.reconnect === false) return false
    const { host } = this
    if (host !== null) {
      if (((host.ms() - this.connectedAt) | 0) >= LINK_DEFAULTS.reconnectMostMs) this.pauses = 0
      this.pause(error)
    }
    return true
  }

  /** The pause is over. */
  run(): void {
    this.timerSet = false
    void this.dial()
  }

  close(): void {
    this.abort.abort()
    this.ref(false)
    if (this.timerSet) this.host?.cancel(this.timer)
    this.timerSet = false
  }

  /** While it pauses there is no socket that could keep the process alive. */
  ref(on: boolean): void {
    if (on === this.wantsRef) return
    this.wantsRef = on
    if (on) this.host?.hold()
    else this.host?.release()
  }

  private pause(error?: Error): void {
    const { host } = this
    if (host === null || this.timerSet || this.dialing || this.abort.signal.aborted) return
    const { reconnectFirstMs, reconnectMostMs } = LINK_DEFAULTS
    const longest = Math.min(reconnectFirstMs * 2 ** Math.min(this.pauses, 20), reconnectMostMs)
    const pauseMs = Math.round(longest * (1 - this.random() / 2))
    this.pauses++
    this.timerSet = true
    this.timer = host.after(pauseMs, this)
    tell(this.options, host, { state: 'waiting', error, pauseMs })
  }

  private async dial(): Promise<void> {
    this.dialing = true
    let failure: Error | undefined
    let stream: Duplex | null = null
    try {
      stream = await this.options.connect(this.abort.signal)
    } catch (error) {
      failure = error as Error
    }
    this.dialing = false
    const { link, host } = this
    if (this.abort.signal.aborted || link === null || host === null) {
      stream?.destroy()
      return
    }
    if (stream === null) {
      this.pause(failure)
      return
    }
    this.connectedAt = host.ms()
    link.use(stream)
    tell(this.options, host, { state: 'connected' })
  }
}
