/**
 * TCP Fast Open (RFC 7413) as a connection sees it: what was sent with its SYN or came with it, and the client's side.
 *
 * Theory of operation. Who opens with `fastOpen` and holds a cookie of the server sends it with the first bytes in the SYN; who holds none asks for one.
 * Bytes in a SYN are only read from the send ring. The SYN-ACK says how many arrived: those leave the ring, the rest stands in the flight log
 * as lost, and goes out at once. So nothing is lost, and nothing sent twice but what the server says it did not take. A SYN that is repeated
 * carries neither data nor option, for a middlebox may have dropped it for these.
 *
 * The server's side is in fast-open-passive.ts; its connection is in SYN-RECEIVED as a full connection, and may already speak. `handshaking` is
 * true until its SYN is acknowledged, also when a CLOSE has taken it to FIN-WAIT-1 meanwhile.
 */
import type { ConnectionInfo, OpenOptions } from './api.ts'
import type { Connection } from './connection.ts'
import type { FastOpenQueue } from './fast-open-passive.ts'
import type { Bare } from './output.ts'
import type { Segment } from './segment.ts'
import { headersOf } from './sizes.ts'
import { C } from './tcp-counters.ts'
import { ACK, COOKIE_MAX, OPTION_SPACE } from './wire.ts'

/** Bits of `tcp.fastOpen`, as those of Linux's sysctl. */
export const FastOpenMode = {
  CLIENT: 0x1,
  SERVER: 0x2,
  CLIENT_NO_COOKIE: 0x4,
  SERVER_NO_COOKIE: 0x200,
  ALL_LISTENERS: 0x400,
} as const

/** Time-outs in a row after which the way is suspected. Linux: the third. */
const BLACK_HOLE_TIMEOUTS = 3

export class FastOpen {
  state: ConnectionInfo['fastOpen'] = 'none'
  /** SYNs carry neither data nor option any more. */
  plain = false
  /** Client: data may go without a cookie. */
  noCookie = false
  /** Client: the first SYN had the option, in this form, and this much payload. */
  asked = false
  experimental = false
  synBytes = 0
  /** Server: our SYN is not acknowledged yet; counted in `queue` until then. */
  handshaking = false
  queue: FastOpenQueue | null = null
  /** Server: the cookie to replace the client's, which an old key made. */
  fresh: Uint8Array | null = null
}

/** For an active OPEN, before its SYN. */
export function beginFastOpen(c: Connection, options: OpenOptions): void {
  const mode = c.tcp.config.fastOpen
  if ((options.fastOpen !== true && !((options.fastOpen as number) > 0)) || (mode & FastOpenMode.CLIENT) === 0) return
  c.fastOpen = new FastOpen()
  c.fastOpen.noCookie = options.fastOpenNoCookie === true || (mode & FastOpenMode.CLIENT_NO_COOKIE) !== 0
}

/** Puts Fast Open's option and payload into a SYN or SYN-ACK that is about to be written. */
export function addToSyn(c: Connection, fo: FastOpen, b: Bare): void {
  if (fo.plain) return
  fo.asked = false
  fo.synBytes = 0
  if (fo.handshaking) {
    if (fo.fresh !== null) putCookie(b, fo.fresh, fo.fresh.length, fo.experimental)
    return
  }
  if ((b.flags & ACK) !== 0) {
    fo.plain = true // SYN has crossed SYN: what ours carried stands
    return
  }
  const { tcp } = c
  const entry = tcp.fastOpenCache.find(c.path)
  if (entry?.isSuspended(tcp.clock.nowMs, tcp.config.fastOpenPauseMs)) return
  const bytes = Math.min(c.snd.ring.length, roomFor(c, entry === null ? 0 : entry.mss))
  if (!fo.noCookie) {
    fo.asked = true
    fo.experimental = entry?.useExperimental === true
    // Also without data: the server may then speak before the handshake is over.
    const length = entry !== null ? Math.max(0, entry.cookieLength) : 0
    putCookie(b, entry === null ? null : entry.cookie, length, fo.experimental)
    if (length === 0) return
  }
  if (bytes <= 0) return
  fo.synBytes = bytes
  b.payload = c.snd.ring
  b.payloadLength = bytes
}

function putCookie(b: Bare, cookie: Uint8Array | null, length: number, experimental: boolean): void {
  b.cookieLength = length
  b.cookieExperimental = experimental
  for (let i = 0; i < length && i < COOKIE_MAX; i++) b.cookie[i] = cookie![i]
}

/**
 * Most payload of a SYN: what the server took last time, our own limit, and what fits the path (RFC 7413 section 4.2.1). All the space that there
 * can be for options is kept free, ours and those that middleboxes insert: Linux does the same.
 */
function roomFor(c: Connection, cachedMss: number): number {
  const own = Math.min(c.announcedMss, c.route.mtu - headersOf(c.remoteAddress.isV4))
  return (cachedMss > 0 ? Math.min(own, cachedMss) : own) - OPTION_SPACE
}

/** The SYN has left. */
export function synLeft(c: Connection, fo: FastOpen): void {
  if (fo.synBytes === 0 || fo.plain) return
  fo.state = 'sent'
  c.snd.nxt = (c.snd.iss + 1 + fo.synBytes) | 0
  c.snd.bytesSent += fo.synBytes
}

/** The SYN is acknowledged up to `ack`; returns how many bytes of its payload that covers. They are out of the send ring. */
export function synAcknowledged(c: Connection, ack: number): number {
  const { snd } = c
  const bytes = (ack - snd.iss - 1) | 0
  if (bytes <= 0) return 0
  snd.ring.drop(bytes)
  snd.bytesAcked += bytes
  return bytes
}

/** The first `bytes` that wait were in the SYN, and did not arrive: the flight log says so. */
export function resendSynData(c: Connection, bytes: number): void {
  const { snd } = c
  if (snd.wnd < bytes) return // they wait for the window like any others
  snd.nxt = (snd.una + bytes) | 0
  snd.flight.add(snd.nxt, c.tcp.clock.nowUs, bytes)
  snd.flight.markAllLost()
}

/** The SYN-ACK of the server: what is learned from it. `bytes`: of our payload that it acknowledges. Returns how many it does not. */
export function learnFromSynAck(c: Connection, fo: FastOpen, seg: Segment, bytes: number): number {
  const { tcp } = c
  const n = tcp.counters.values
  const sent = (c.snd.nxt - c.snd.iss - 1) | 0
  const refused = sent - bytes
  const timedOut = c.deadlines.retries > 0
  // A cookie that nobody asked for is not kept.
  const hasCookie = seg.cookieLength > 0 && fo.asked
  if (sent > 0) n[refused > 0 ? C.TCPFastOpenActiveFail : C.TCPFastOpenActive]++
  if (sent > 0 && refused === 0) fo.state = 'accepted'
  if (sent === 0 && !fo.asked) return 0
  const entry = tcp.fastOpenCache.touch(c.path)
  if (seg.mss > 0) entry.mss = tcp.peerMss(seg.mss, c.remoteAddress.isV4)
  if (hasCookie) entry.keep(seg.buf, seg.cookieAt, seg.cookieLength, seg.cookieExperimental)
  else if (tcp.config.fastOpenRefused === 'pause' && (sent === 0 || refused > 0)) entry.blackHole(tcp.clock.nowMs)
  else if (sent === 0 && !timedOut) entry.refused(fo.experimental)
  if (hasCookie || (sent > 0 && refused === 0)) entry.worked()
  else if (timedOut) entry.lost(tcp.clock.nowMs) // only the repeated, plain SYN came through: the first one, or its answer, was lost
  return refused
}

/** The retransmission timer of the connection expired. */
export function fastOpenTimedOut(c: Connection, fo: FastOpen): void {
  fo.plain = true
  if (c.deadlines.retries !== BLACK_HOLE_TIMEOUTS || !(fo.asked || fo.synBytes > 0)) return
  c.tcp.counters.values[C.TCPFastOpenBlackhole]++
  c.tcp.fastOpenCache.touch(c.path).blackHole(c.tcp.clock.nowMs)
}
