/**
 * Socket options: what they may be, and how each reaches a connection. One table checks, one function applies; a listener keeps its options
 * and applies them to every connection that it accepts.
 */
import { invalidArgument } from '../base/errors.ts'
import { setQuickAck } from './ack-policy.ts'
import { checkCongestion } from './algorithms.ts'
import type { ListenerOptions, SocketOptions } from './api.ts'
import type { Connection } from './connection.ts'
import { isEcnMode } from './ecn.ts'
import { checkKeys } from './fast-open-keys.ts'
import { checkTcpKeys } from './signature-keys.ts'
import { applySizes } from './sizes.ts'
import { State } from './state.ts'
import { News } from './telling.ts'
import { MIN_MSS } from './wire.ts'

/** Most that a time-out may be: what the clock can tell apart. */
const MAX_MS = 0x7fffffff

/** Buffers: from what holds a small segment or two (Linux SOCK_MIN_SNDBUF) to what a window can express (RFC 7323 section 2.3). */
const MIN_BUFFER = 2048
const MAX_BUFFER = 0x3fffffff

type Check = 'boolean' | readonly [min: number, max: number] | ((value: unknown) => boolean)

const CHECKS: { readonly [K in keyof Required<SocketOptions>]?: Check } = {
  noDelay: 'boolean',
  cork: 'boolean',
  quickAck: 'boolean',
  notSentLowatBytes: [0, MAX_BUFFER],
  keepAlive: 'boolean',
  keepAliveIdleMs: [1, MAX_MS],
  keepAliveIntervalMs: [1, MAX_MS],
  keepAliveProbes: [1, 127],
  userTimeoutMs: [0, MAX_MS],
  synRetries: [1, 127],
  fastOpen: (v) => typeof v === 'boolean' || (Number.isInteger(v) && (v as number) >= 0 && (v as number) <= 0xffff),
  fastOpenNoCookie: 'boolean',
  tos: [0, 255],
  ttl: [1, 255],
  maxSegmentBytes: [MIN_MSS, 65535],
  sendBufferBytes: [MIN_BUFFER, MAX_BUFFER],
  receiveBufferBytes: [MIN_BUFFER, MAX_BUFFER],
  windowClampBytes: [MIN_BUFFER, MAX_BUFFER],
  maxPacingRate: [0, Number.MAX_SAFE_INTEGER],
  congestion: (v) => {
    checkCongestion(v)
    return true
  },
  ecn: isEcnMode,
  keys: checkTcpKeys,
}

/** Names of the socket options, to tell them from other options of `open` and `listen`. */
export function isSocketOption(name: string): name is keyof SocketOptions {
  return Object.hasOwn(CHECKS, name)
}

/** Whether `applyOptions` would do anything. */
export function hasSocketOptions(options: SocketOptions): boolean {
  for (const name in options) if (isSocketOption(name) && options[name] !== undefined) return true
  return false
}

/** Throws ERR_INVALID_ARG_VALUE for what cannot be. `others`: names that belong to the call itself. Returns whether there are any but those. */
export function checkOptions(options: SocketOptions, others: readonly string[] = []): boolean {
  if (typeof options !== 'object' || options === null)
    throw invalidArgument(`socket options must be an object, not ${String(options)}`, 'ERR_INVALID_ARG_TYPE')
  let found = false
  for (const name in options) {
    if (others.includes(name)) continue
    const value: unknown = options[name as keyof SocketOptions]
    if (value === undefined) continue
    found = true
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
  return found
}

/** Options of a listener itself. */
const LISTENER_OPTIONS = ['deferAcceptMs', 'fastOpenKeys']

/** Throws ERR_INVALID_ARG_VALUE for what a listener cannot be told. */
export function checkListenerOptions(options: ListenerOptions, others: readonly string[] = []): void {
  checkOptions(options, [...others, ...LISTENER_OPTIONS])
  const { deferAcceptMs, fastOpenKeys } = options
  if (fastOpenKeys !== undefined) checkKeys(fastOpenKeys)
  if (deferAcceptMs !== undefined && !(Number.isInteger(deferAcceptMs) && deferAcceptMs >= 0 && deferAcceptMs <= MAX_MS))
    throw invalidArgument(`option deferAcceptMs cannot be ${deferAcceptMs}`)
}

/** What both ends agree on by SYN and SYN-ACK. */
const HANDSHAKE_OPTIONS = ['ecn', 'fastOpen', 'fastOpenNoCookie'] as const

/** Throws ERR_INVALID_ARG_VALUE for what `set` of a connection cannot change. */
export function checkLiveOptions(options: SocketOptions): void {
  checkOptions(options)
  for (const name of HANDSHAKE_OPTIONS) {
    if (options[name] !== undefined)
      throw invalidArgument(`socket option ${name} is for the handshake: it can be given to open and listen only`)
  }
}

/** Applies checked options, before the handshake or while the connection runs. */
export function applyOptions(c: Connection, o: SocketOptions): void {
  // First, for a function may fail now that did not when it was checked: then nothing has been applied.
  const { congestion } = o
  const control = congestion === undefined ? null : c.accepted ? c.tcp.newControl(congestion) : c.tcp.acceptedControl(congestion)
  if (o.cork !== undefined) setCork(c, o.cork)
  if (o.noDelay !== undefined) c.setNoDelay(o.noDelay)
  if (o.quickAck !== undefined) setQuickAck(c, o.quickAck)
  if (o.notSentLowatBytes !== undefined) c.snd.notSentLowat = o.notSentLowatBytes
  if (
    o.keepAlive !== undefined ||
    o.keepAliveIdleMs !== undefined ||
    o.keepAliveIntervalMs !== undefined ||
    o.keepAliveProbes !== undefined
  )
    c.setKeepAlive(o.keepAlive ?? c.deadlines.isKeptAlive, o.keepAliveIdleMs, o.keepAliveIntervalMs, o.keepAliveProbes)
  if (o.userTimeoutMs !== undefined) c.setUserTimeout(o.userTimeoutMs)
  if (o.synRetries !== undefined) c.deadlines.synRetries = o.synRetries
  if (o.sendBufferBytes !== undefined || o.notSentLowatBytes !== undefined) setSendBuffer(c, o.sendBufferBytes)
  if (o.receiveBufferBytes !== undefined) c.rcv.fixLimit(o.receiveBufferBytes)
  if (o.windowClampBytes !== undefined) c.rcv.clamp = o.windowClampBytes
  if ((o.receiveBufferBytes !== undefined || o.windowClampBytes !== undefined) && c.state >= State.ESTABLISHED) {
    c.rcv.ackNow ||= c.rcv.updateDue && !c.isOpening
    c.tcp.markDirty(c)
  }
  if (o.maxSegmentBytes !== undefined) {
    c.maxSegment = o.maxSegmentBytes
    if (c.state >= State.ESTABLISHED) applySizes(c)
  }
  if (o.tos !== undefined) c.setTos(o.tos)
  if (o.ttl !== undefined) c.ttl = o.ttl
  if (o.ecn !== undefined) c.ecnMode = o.ecn
  if (o.maxPacingRate !== undefined) c.snd.maxPacingRate = o.maxPacingRate
  if (control !== null) c.snd.useCongestion(control)
}

/** TCP_CORK: off lets go of what was held back, which Nagle may still delay. */
function setCork(c: Connection, on: boolean): void {
  c.snd.cork = on
  if (!on && c.snd.pending) c.tcp.markDirty(c)
}

/** More room may be there now for an application that waits for it. */
function setSendBuffer(c: Connection, bytes: number | undefined): void {
  const { snd } = c
  if (bytes !== undefined) snd.fixLimit(bytes)
  if (!snd.wantWritable || !snd.isRoomy) return
  snd.wantWritable = false
  c.notify(News.WRITABLE)
  c.tcp.wake()
}
