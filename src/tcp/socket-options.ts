/**
 * Socket options: what they may be, and how each reaches a connection. One table checks, one function applies; a listener keeps its options
 * and applies them to every connection that it accepts.
 */
import { invalidArgument } from '../base/errors.ts'
import { isCongestionChoice } from './algorithms.ts'
import type { ListenerOptions, SocketOptions } from './api.ts'
import type { Connection } from './connection.ts'

/** Most that a time-out may be: what the clock can tell apart. */
const MAX_MS = 0x7fffffff

type Check = 'boolean' | readonly [min: number, max: number] | ((value: unknown) => boolean)

const CHECKS: { readonly [K in keyof Required<SocketOptions>]?: Check } = {
  noDelay: 'boolean',
  keepAlive: 'boolean',
  keepAliveIdleMs: [1, MAX_MS],
  keepAliveIntervalMs: [1, MAX_MS],
  keepAliveProbes: [1, 127],
  userTimeoutMs: [0, MAX_MS],
  synRetries: [1, 127],
  tos: [0, 255],
  ttl: [1, 255],
  maxPacingRate: [0, Number.MAX_SAFE_INTEGER],
  congestion: isCongestionChoice,
}

/** Names of the socket options, to tell them from other options of `open` and `listen`. */
export function isSocketOption(name: string): name is keyof SocketOptions {
  return Object.hasOwn(CHECKS, name)
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot be. `others`: names that belong to the call itself. */
export function checkOptions(options: SocketOptions, others: readonly string[] = []): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || others.includes(name)) continue
    const check = isSocketOption(name) ? CHECKS[name] : undefined
    if (check === undefined) throw invalidArgument(`unknown socket option ${name}`)
    const good =
      check === 'boolean'
        ? typeof value === 'boolean'
        : typeof check === 'function'
          ? check(value)
          : Number.isInteger(value) && (value as number) >= check[0] && (value as number) <= check[1]
    if (!good) throw invalidArgument(`socket option ${name} cannot be ${String(value)}`)
  }
}

/** Options of a listener itself. */
const LISTENER_OPTIONS = ['deferAcceptMs', 'fastOpenKeys']

/** Throws ERR_INVALID_ARG_VALUE for what a listener cannot be told. */
export function checkListenerOptions(options: ListenerOptions, others: readonly string[] = []): void {
  checkOptions(options, [...others, ...LISTENER_OPTIONS])
  const { deferAcceptMs } = options
  if (deferAcceptMs !== undefined && !(Number.isInteger(deferAcceptMs) && deferAcceptMs >= 0 && deferAcceptMs <= MAX_MS))
    throw invalidArgument(`option deferAcceptMs cannot be ${deferAcceptMs}`)
}

/** Applies checked options. */
export function applyOptions(c: Connection, o: SocketOptions): void {
  if (o.noDelay !== undefined) c.setNoDelay(o.noDelay)
  if (
    o.keepAlive !== undefined ||
    o.keepAliveIdleMs !== undefined ||
    o.keepAliveIntervalMs !== undefined ||
    o.keepAliveProbes !== undefined
  )
    c.setKeepAlive(o.keepAlive ?? c.deadlines.isKeptAlive, o.keepAliveIdleMs, o.keepAliveIntervalMs, o.keepAliveProbes)
  if (o.userTimeoutMs !== undefined) c.setUserTimeout(o.userTimeoutMs)
  if (o.synRetries !== undefined) c.deadlines.synRetries = o.synRetries
  if (o.tos !== undefined) c.setTos(o.tos)
  if (o.ttl !== undefined) c.ttl = o.ttl
  if (o.maxPacingRate !== undefined) c.snd.maxPacingRate = o.maxPacingRate
  if (o.congestion !== undefined) c.snd.useCongestion(o.congestion, c.tcp.config)
}
