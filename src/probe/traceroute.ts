/**
 * Traceroute: which routers packets pass on their way to a host.
 *
 * Theory of operation, Van Jacobson's. Probes leave with hop limits of 1, 2, 3, ...; the router at which one runs out says so (RFC 792, RFC 4443
 * section 3.3), and the host itself answers in the protocol's own way. Several probes are under way at once; hops are told in their order, each
 * when its probes are answered or given up. A probe is given up sooner where others of its hop, or of hops behind it, have shown how long an
 * answer takes. The first hop with an answer that is final (from the host itself, or "unreachable") is the last.
 */

import type { AbortLike } from '../base/abort.ts'
import { type Address, ANY, ANY_V4 } from '../base/address.ts'
import type { Task, TimerHandle } from '../base/clock.ts'
import { invalidArgument, NetError, stackClosed } from '../base/errors.ts'
import type { Tellable } from '../base/tell.ts'
import type { Interface } from '../ip/interface.ts'
import { ErrorKind, type ErrorReport } from '../ip/ip.ts'
import type { Route } from '../ip/route.ts'
import { scopedText } from '../ip/zone.ts'
import { IcmpProber, settle } from './icmp-probes.ts'
import type { ProbeDependencies, Prober, ProbeShape, ProbeSink } from './probes.ts'
import { Results, type Source } from './results.ts'
import { TcpProber } from './tcp-probes.ts'
import { UdpProber } from './udp-probes.ts'

export interface TracerouteOptions {
  /** UDP datagrams to ports where nobody listens (default), echo requests, or SYNs. */
  method?: 'udp' | 'icmp' | 'tcp'
  /** Hops after which it is given up: 1 to 255. 30 when left out. */
  maxHops?: number
  /** The hop to begin with. 1 when left out. */
  firstHop?: number
  /** Probes for each hop: 1 to 10. 3 when left out. */
  queries?: number
  /** UDP: port of the first probe, one more for each (33434 when left out). TCP: the port (80). */
  port?: number
  /** How long an answer is waited for at most, in milliseconds; 5000 when left out. */
  timeoutMs?: number
  /** Bytes of a probe, IP header included; 60 over IPv4 and 80 over IPv6 when left out. SYNs are as long as they are. */
  size?: number
  /** Probes under way at once. 16 when left out. */
  parallel?: number
  /** One of our addresses to ask from. */
  source?: Address
  /** Ask by this interface only. */
  iface?: Interface
  /** Traffic class of the probes. */
  tos?: number
  /** Probes must not be fragmented. */
  dontFragment?: boolean
  signal?: AbortLike
}

/** What came back for one probe, or did not. */
export interface TracerouteAnswer {
  /** Who answered, with its interface if it is a link-local address. Left out: nobody did. */
  from?: string
  /** Milliseconds, with microseconds behind the point. */
  timeMs?: number
  /** What was left of the answer's own hop limit: how far its way was. */
  ttl?: number
  /** ETIMEDOUT; EHOSTUNREACH and its like when somebody on the way says that it ends there. */
  error?: string
  /** The same as traceroute(8) marks it: `!H`, `!N`, `!P`, `!X`, `!S`, `!F-1400`, `!<13>`. */
  mark?: string
}

/** The routers that answered at one distance; times in ms. */
export interface TracerouteHop {
  /** 1, 2, ... */
  hop: number
  /** One for each probe, in the order in which they were sent. */
  answers: TracerouteAnswer[]
  /** The host itself answered. */
  reached: boolean
}

/** Not sooner than this is a probe given up, however fast others were answered. */
const LEAST_WAIT_MS = 500
/** A probe is waited for this many times what another of its hop took, or one of a hop behind it: traceroute(8) -w. */
const HERE = 3
const NEAR = 10
/** The link was full: when to try again. */
const RETRY_MS = 5

export const TRACEROUTE_PORT = 33_434
const TCP_PORT = 80

interface Settings {
  maxHops: number
  firstHop: number
  queries: number
  timeoutMs: number
  size: number
  parallel: number
}

function settingsOf(options: TracerouteOptions, isV4: boolean): Settings {
  const whole = (name: keyof TracerouteOptions, min: number, max: number, otherwise: number): number => {
    const value = options[name] ?? otherwise
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw invalidArgument(`traceroute: ${name} must be a whole number from ${min} to ${max}, not ${String(value)}`)
    return value
  }
  const maxHops = whole('maxHops', 1, 255, 30)
  const { method = 'udp' } = options
  if (method !== 'udp' && method !== 'icmp' && method !== 'tcp')
    throw invalidArgument(`traceroute: method must be udp, icmp or tcp, not ${String(method)}`)
  whole('port', 1, 65535, 1)
  return {
    maxHops,
    firstHop: whole('firstHop', 1, maxHops, 1),
    queries: whole('queries', 1, 10, 3),
    timeoutMs: whole('timeoutMs', 1, 86_400_000, 5000),
    size: whole('size', 0, 65535, isV4 ? 60 : 80),
    parallel: whole('parallel', 1, 1000, 16),
  }
}

/** What `TcpProber` asks of TCP. */
export interface PortsOfTcp {
  first: number
  last: number
  isFree(route: Route, localPort: number, remotePort: number): boolean
}

const OPEN = 1
const DONE = 2

/** One run. */
class Traceroute implements Source, ProbeSink, Tellable, Task {
  readonly results: Results<TracerouteHop>
  told = false
  private readonly settings: Settings
  private readonly shape: ProbeShape
  private prober: Prober | null = null
  private timer: TimerHandle | null = null
  /** Probes sent: number `i` is of hop `firstHop + i / queries`. */
  private sent = 0
  /** Hops told. */
  private hopsTold = 0
  private open = 0
  private readonly states: Uint8Array
  private readonly sentUs: Int32Array
  private readonly sentMs: Int32Array
  /** By hop: what an answer took, in milliseconds; -1: none came yet. */
  private readonly took: Float64Array
  private readonly answers: TracerouteAnswer[] = []
  /** Index of the last hop: from it comes something final. */
  private last: number

  constructor(
    private readonly deps: ProbeDependencies,
    private readonly tcp: PortsOfTcp,
    destination: Address,
    private readonly options: TracerouteOptions,
  ) {
    const settings = settingsOf(options, destination.isV4)
    this.settings = settings
    this.shape = {
      destination,
      source: options.source ?? (destination.isV4 ? ANY_V4 : ANY),
      iface: options.iface ?? null,
      tos: options.tos ?? 0,
      dontFragment: options.dontFragment ?? false,
    }
    this.last = settings.maxHops - settings.firstHop
    const all = (this.last + 1) * settings.queries
    this.states = new Uint8Array(all)
    this.sentUs = new Int32Array(all)
    this.sentMs = new Int32Array(all)
    this.took = new Float64Array(this.last + 1).fill(-1)
    this.results = new Results<TracerouteHop>(this, deps.host, deps.owned, options.signal ?? null)
  }

  begin(): void {
    const { deps, shape, options, tcp } = this
    if (deps.icmp.isClosed) throw stackClosed()
    settle(deps, shape)
    const { method = 'udp', port } = options
    if (method === 'icmp') this.prober = new IcmpProber(deps, shape, this)
    else if (method === 'tcp') this.prober = new TcpProber(deps, shape, port ?? TCP_PORT, this, tcp.first, tcp.last, tcp.isFree)
    else this.prober = new UdpProber(deps, shape, port ?? TRACEROUTE_PORT, this.settings.size, this)
    this.work()
  }

  stop(): void {
    if (this.timer !== null) this.deps.host.cancel(this.timer)
    this.timer = null
    this.prober?.close()
  }

  answered(n: number, from: Address, kind: number, ttl: number, report: ErrorReport | null): void {
    if (n >= this.sent || this.states[n] !== OPEN) return
    const { host, ip, tells } = this.deps
    const us = (host.us() - this.sentUs[n]) | 0
    const hop = Math.floor(n / this.settings.queries)
    const answer: TracerouteAnswer = { from: scopedText(ip, from), timeMs: us / 1000 }
    if (ttl > 0) answer.ttl = ttl
    const reached = from.equals(this.shape.destination) || (kind < 0 && !this.shape.destination.isMulticast)
    if (kind >= 0 && kind !== ErrorKind.TIME_EXCEEDED && !(reached && kind === ErrorKind.PORT_UNREACHABLE)) {
      answer.error = report!.errorCode
      answer.mark = markOf(report!)
    }
    this.answers[n] = answer
    this.states[n] = DONE
    this.open--
    if (this.took[hop] < 0) this.took[hop] = us / 1000
    if (hop < this.last && (reached || kind !== ErrorKind.TIME_EXCEEDED)) this.last = hop
    tells.add(this)
  }

  /** Answers were heard. */
  tell(): void {
    if (!this.results.isEnded) this.work()
  }

  /** The timer: something is to be given up, or to be tried again. */
  run(): void {
    this.timer = null
    this.work()
  }

  private work(): void {
    const { host } = this.deps
    const { queries, parallel } = this.settings
    const now = host.ms()
    this.giveUp(now)
    this.tellHops()
    if (this.results.isEnded) return
    let isFull = false
    while (!isFull && this.open < parallel && this.sent < (this.last + 1) * queries) isFull = !this.send(now)
    if (this.results.isEnded) return
    if (this.timer !== null) host.cancel(this.timer)
    this.timer = host.after(isFull ? RETRY_MS : this.nextMs(now), this)
  }

  /** False: not now, or never. */
  private send(now: number): boolean {
    const n = this.sent
    this.sentMs[n] = now
    this.sentUs[n] = this.deps.host.us()
    try {
      const hop = this.settings.firstHop + Math.floor(n / this.settings.queries)
      if (!this.prober!.send(n, hop, this.settings.size)) return false
    } catch (error) {
      this.results.fail(error)
      return false
    }
    this.states[n] = OPEN
    this.open++
    this.sent++
    return true
  }

  /** Milliseconds from `now` to the first probe that is to be given up. */
  private nextMs(now: number): number {
    let least = this.settings.timeoutMs
    for (let n = this.hopsTold * this.settings.queries; n < this.sent; n++) {
      if (this.states[n] === OPEN) least = Math.min(least, this.left(n, now))
    }
    return Math.max(0, Math.ceil(least))
  }

  private giveUp(now: number): void {
    for (let n = this.hopsTold * this.settings.queries; n < this.sent; n++) {
      if (this.states[n] !== OPEN || this.left(n, now) > 0) continue
      this.states[n] = DONE
      this.open--
      this.answers[n] = { error: 'ETIMEDOUT' }
    }
  }

  /** How much longer probe `n` is waited for. */
  private left(n: number, now: number): number {
    const hop = Math.floor(n / this.settings.queries)
    let wait = this.took[hop] < 0 ? Number.POSITIVE_INFINITY : HERE * this.took[hop]
    for (let behind = hop + 1; behind < this.took.length; behind++) {
      if (this.took[behind] >= 0) wait = Math.min(wait, NEAR * this.took[behind])
    }
    return Math.min(this.settings.timeoutMs, Math.max(LEAST_WAIT_MS, wait)) - ((now - this.sentMs[n]) | 0)
  }

  private tellHops(): void {
    const { queries, firstHop } = this.settings
    for (; this.hopsTold <= this.last; this.hopsTold++) {
      const from = this.hopsTold * queries
      for (let n = from; n < from + queries; n++) if (this.states[n] !== DONE) return
      const answers = this.answers.slice(from, from + queries)
      const to = scopedText(this.deps.ip, this.shape.destination)
      this.results.give({ hop: firstHop + this.hopsTold, answers, reached: answers.some((a) => a.from === to) })
    }
    this.results.end()
  }
}

/** As traceroute(8) of Linux marks what is no ordinary answer. */
function markOf(report: ErrorReport): string {
  switch (report.kind) {
    case ErrorKind.NET_UNREACHABLE:
      return '!N'
    case ErrorKind.HOST_UNREACHABLE:
      return '!H'
    case ErrorKind.PROTOCOL_UNREACHABLE:
      return '!P'
    case ErrorKind.PACKET_TOO_BIG:
      return `!F-${report.mtu}`
    case ErrorKind.SOURCE_ROUTE_FAILED:
    case ErrorKind.BEYOND_SCOPE:
      return '!S'
    case ErrorKind.PROHIBITED:
      return '!X'
    case ErrorKind.PORT_UNREACHABLE:
      return ''
    default:
      return `!<${report.type}-${report.code}>`
  }
}

/**
 * One result for each hop. Nothing is sent before the first `next()`; `break`, `return()` and closing the stack end it. Throws (from here)
 * ERR_INVALID_ARG_VALUE; from `next()` the NetError that stands against sending, or the signal's reason.
 */
export function traceroute(
  deps: ProbeDependencies,
  tcp: PortsOfTcp,
  destination: Address,
  options: TracerouteOptions = {},
): AsyncIterableIterator<TracerouteHop> {
  if (destination.isMulticast || destination.isUnspecified || destination.isLimitedBroadcast)
    throw new NetError('EINVAL', { message: `traceroute: ${destination} is not the address of one host` })
  return new Traceroute(deps, tcp, destination.clone(), options).results
}
