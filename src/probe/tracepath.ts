/**
 * Tracepath: the routers on the way to a host and how large a packet each link takes (path MTU discovery, RFC 1191 and RFC 8201).
 *
 * Theory of operation, that of tracepath(8). One UDP datagram after the other, none of which may be fragmented, each as large as the path is
 * known to take. A router whose link is too narrow says what it takes; that is believed, and the same hop is asked again with less. A router
 * where the hop limit ends is a hop. The hop limit that is left in an answer tells how far its way was: who sent it began with 64, 128 or 255.
 */

import type { AbortLike } from '../base/abort.ts'
import { type Address, ANY, ANY_V4 } from '../base/address.ts'
import type { Task, TimerHandle } from '../base/clock.ts'
import { invalidArgument, NetError, stackClosed } from '../base/errors.ts'
import type { Tellable } from '../base/tell.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, type ErrorReport } from '../ip/ip.ts'
import { Route } from '../ip/route.ts'
import { scopedText } from '../ip/zone.ts'
import { findRoute, settle } from './icmp-probes.ts'
import type { ProbeDependencies, ProbeShape, ProbeSink } from './probes.ts'
import { Results, type Source } from './results.ts'
import { UdpProber } from './udp-probes.ts'

export interface TracepathOptions {
  /** Hops after which it is given up: 1 to 255. 30 when left out. */
  maxHops?: number
  /** Port of the first datagram, one more for each. 44444 when left out. */
  port?: number
  /** Bytes of the first datagram with its IP header; what the interface takes when left out. */
  size?: number
  /** How long an answer is waited for, in milliseconds; 1000 when left out. */
  timeoutMs?: number
  source?: Address
  iface?: Interface
  signal?: AbortLike
}

/** Something that was learned. Several may tell of one hop. */
export interface TracepathStep {
  /** 0: known before anything was sent. */
  hop: number
  /** Who answered; left out: nobody did. */
  from?: string
  timeMs?: number
  /** The largest IP packet that passes, as far as is known now. */
  mtu: number
  /** It became less with this step (or is told for the first time, with hop 0). */
  mtuChanged: boolean
  /** Hops of the answer's own way, guessed from its hop limit: other than `hop` when ways differ. */
  back?: number
  /** The host itself answered; the last step. */
  reached: boolean
  /** ETIMEDOUT: nobody answered, three times; EHOSTUNREACH and its like end it. */
  error?: string
}

const TRIES = 3
const PORT = 44_444
/** The link was full: when to try again. */
const RETRY_MS = 5
/** No hop can narrow the path more often. */
const MOST_CHANGES = 64

class Tracepath implements Source, ProbeSink, Tellable, Task {
  readonly results: Results<TracepathStep>
  told = false
  private readonly shape: ProbeShape
  private readonly maxHops: number
  private readonly timeoutMs: number
  private readonly port: number
  private readonly size: number
  private prober: UdpProber | null = null
  private timer: TimerHandle | null = null
  private readonly route = new Route()
  private mtu = 0
  private hop = 1
  private tries = 0
  private changes = 0
  /** Number of the datagram that is waited for; -1: none. Answers to earlier ones came too late. */
  private current = -1
  private sent = 0
  private sentUs = 0
  private heard: { step: TracepathStep; isMtu: boolean; isFinal: boolean } | null = null

  constructor(
    private readonly deps: ProbeDependencies,
    destination: Address,
    options: TracepathOptions,
  ) {
    const whole = (name: keyof TracepathOptions, min: number, max: number, otherwise: number): number => {
      const value = options[name] ?? otherwise
      if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
        throw invalidArgument(`tracepath: ${name} must be a whole number from ${min} to ${max}, not ${String(value)}`)
      return value
    }
    this.maxHops = whole('maxHops', 1, 255, 30)
    this.timeoutMs = whole('timeoutMs', 1, 86_400_000, 1000)
    this.port = whole('port', 1, 65535, PORT)
    this.size = whole('size', 28, 65535, 65535)
    this.shape = {
      destination,
      source: options.source ?? (destination.isV4 ? ANY_V4 : ANY),
      iface: options.iface ?? null,
      tos: 0,
      dontFragment: true,
    }
    this.route.generation = (deps.ip.generation - 1) | 0
    this.results = new Results<TracepathStep>(this, deps.host, deps.owned, options.signal ?? null)
  }

  begin(): void {
    const { deps, shape } = this
    if (deps.icmp.isClosed) throw stackClosed()
    settle(deps, shape)
    findRoute(deps, shape, shape.source, this.route)
    this.mtu = Math.min(this.size, this.route.mtu)
    this.prober = new UdpProber(deps, shape, this.port, this.mtu, this)
    this.results.give({ hop: 0, mtu: this.mtu, mtuChanged: true, reached: false })
    this.ask()
  }

  stop(): void {
    if (this.timer !== null) this.deps.host.cancel(this.timer)
    this.timer = null
    this.prober?.close()
  }

  answered(n: number, from: Address, kind: number, ttl: number, report: ErrorReport | null): void {
    if (n !== this.current || this.heard !== null) return
    const timeMs = ((this.deps.host.us() - this.sentUs) | 0) / 1000
    const isMtu = kind === ErrorKind.PACKET_TOO_BIG
    const reached = !isMtu && kind !== ErrorKind.TIME_EXCEEDED && from.equals(this.shape.destination)
    const step: TracepathStep = {
      hop: this.hop,
      from: scopedText(this.deps.ip, from),
      timeMs,
      mtu: this.mtu,
      mtuChanged: false,
      reached,
    }
    if (ttl > 0) step.back = hopsBack(ttl)
    const isFinal = !isMtu && kind !== ErrorKind.TIME_EXCEEDED
    if (isFinal && !(reached && (kind < 0 || kind === ErrorKind.PORT_UNREACHABLE))) step.error = report?.errorCode
    this.heard = { step, isMtu, isFinal }
    this.deps.tells.add(this)
  }

  /** The answer was heard. */
  tell(): void {
    const { heard } = this
    if (heard === null || this.results.isEnded) return
    this.heard = null
    this.current = -1
    const { step, isMtu, isFinal } = heard
    this.lookAtPath()
    step.mtuChanged = this.mtu < step.mtu
    step.mtu = this.mtu
    this.results.give(step)
    if (isFinal) {
      this.results.end()
      return
    }
    this.tries = 0
    // A router that asks for less and does not say how much less, or lies, must not keep us for ever.
    if (!isMtu || ++this.changes > MOST_CHANGES) this.hop++
    this.ask()
  }

  /** Nobody answered in time, or the link has room again. */
  run(): void {
    this.timer = null
    if (this.heard !== null) return // it comes with this turn
    if (this.current >= 0) {
      this.current = -1
      if (++this.tries === TRIES) {
        this.results.give({ hop: this.hop, mtu: this.mtu, mtuChanged: false, reached: false, error: 'ETIMEDOUT' })
        this.tries = 0
        this.hop++
      }
    }
    this.ask()
  }

  private ask(): void {
    const { host } = this.deps
    if (this.timer !== null) host.cancel(this.timer)
    this.timer = null
    if (this.hop > this.maxHops) {
      this.results.end()
      return
    }
    this.current = this.sent
    this.sentUs = host.us()
    let taken = false
    try {
      taken = this.trySend()
    } catch (error) {
      this.results.fail(error)
      return
    }
    if (taken) this.sent++
    else this.current = -1
    this.timer = host.after(taken ? this.timeoutMs : RETRY_MS, this)
  }

  private trySend(): boolean {
    try {
      return this.prober!.send(this.sent, this.hop, this.mtu)
    } catch (error) {
      if (!(error instanceof NetError) || error.code !== 'EMSGSIZE') throw error
      // The path has become narrower meanwhile, for others on it have asked as well.
      this.lookAtPath()
      return this.prober!.send(this.sent, this.hop, this.mtu)
    }
  }

  private lookAtPath(): void {
    try {
      findRoute(this.deps, this.shape, this.shape.source, this.route)
      if (this.route.mtu < this.mtu) this.mtu = this.route.mtu
    } catch {
      // Without a way, the next probe will say so.
    }
  }
}

/** Hops that a packet has passed with `ttl` left: it began with 64, 128 or 255 (that is what hosts and routers use). */
function hopsBack(ttl: number): number {
  if (ttl <= 64) return 65 - ttl
  return ttl <= 128 ? 129 - ttl : 256 - ttl
}

/**
 * A step for everything that is learned; the first tells what is known before. Nothing is sent before the first `next()`; `break`, `return()`
 * and closing the stack end it. Throws (from here) ERR_INVALID_ARG_VALUE; from `next()` the NetError that stands against sending, or the
 * signal's reason.
 */
export function tracepath(
  deps: ProbeDependencies,
  destination: Address,
  options: TracepathOptions = {},
): AsyncIterableIterator<TracepathStep> {
  if (destination.isMulticast || destination.isUnspecified || destination.isLimitedBroadcast)
    throw new NetError('EINVAL', { message: `tracepath: ${destination} is not the address of one host` })
  return new Tracepath(deps, destination.clone(), options).results
}
