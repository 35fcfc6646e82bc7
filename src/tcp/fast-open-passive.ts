/**
 * The server's side of TCP Fast Open (RFC 7413 section 4.2.2): a SYN with a good cookie makes a connection at once, in SYN-RECEIVED, with the
 * data of the SYN to be read; it is handed to the application and may speak before the handshake is complete. Its SYN-ACK goes out in the
 * same turn, before what the application says.
 *
 * As many as the listener allows may be in that state (section 5.1); a connection that is reset in it still counts for a while, or a client with one
 * good cookie could use up the server with forged sources. Beyond the limit, without a cookie or with a wrong one, the handshake is the
 * common one, and the data of the SYN are dropped: the client sends them again.
 */
import type { Connection } from './connection.ts'
import { FastOpen, FastOpenMode } from './fast-open.ts'
import { CookieKey, FastOpenKeys } from './fast-open-keys.ts'
import type { Listener } from './listener.ts'
import type { Segment } from './segment.ts'
import { gt, lt } from './seq.ts'
import { State } from './state.ts'
import { SynReceived } from './syn-received.ts'
import { C } from './tcp-counters.ts'
import { News } from './telling.ts'
import { SYN } from './wire.ts'

/** What a reset handshake still counts for. Linux, in reqsk_fastopen_remove. */
const RESET_COUNTS_MS = 60_000

/** What became of a SYN. */
export const FastOpened = {
  /** A connection: nothing else is to be done. */
  TAKEN: 0,
  /** A common handshake, with or without a cookie for the next time (the last that was made). */
  WITH_COOKIE: 1,
  COMMON: 2,
} as const

/** The handshakes of a listener that are open to data. */
export class FastOpenQueue {
  pending = 0
  /** When each that was reset ceases to count, oldest first. */
  private readonly resets: number[] = []

  constructor(
    public most: number,
    /** Of the listener itself; null: the stack's. */
    public ownKeys: FastOpenKeys | null,
    public noCookie: boolean,
  ) {}

  hasRoom(nowMs: number): boolean {
    while (this.resets.length > 0 && ((nowMs - this.resets[0]) | 0) >= 0) {
      this.resets.shift()
      this.pending--
    }
    return this.pending < this.most
  }

  /** A handshake has ended. `reset`: by the peer, before its time. */
  ended(reset: boolean, nowMs: number): void {
    if (reset) this.resets.push((nowMs + RESET_COUNTS_MS) | 0)
    else this.pending--
  }
}

/** The queue that a listener's options ask for, or null. */
export function fastOpenQueue(l: Listener): FastOpenQueue | null {
  const { tcp, options } = l
  const wish = options.fastOpen ?? (tcp.config.fastOpen & FastOpenMode.ALL_LISTENERS) !== 0
  const most = wish === true ? Math.max(1, l.backlog) : Number(wish)
  if (most <= 0) return null
  const { fastOpenKeys } = options
  const ownKeys = fastOpenKeys === undefined || fastOpenKeys.length === 0 ? null : new FastOpenKeys(fastOpenKeys, tcp.random)
  return new FastOpenQueue(most, ownKeys, options.fastOpenNoCookie === true)
}

/** A SYN for a listener with a queue. Returns one of `FastOpened`. */
export function tryFastOpen(l: Listener, queue: FastOpenQueue, seg: Segment, isn: number): number {
  const { tcp } = l
  const n = tcp.counters.values
  const { source, destination } = seg.packet
  const mode = tcp.config.fastOpen
  const freely = seg.len > 0 && (queue.noCookie || (mode & FastOpenMode.SERVER_NO_COOKIE) !== 0)
  if ((mode & FastOpenMode.SERVER) === 0 || (seg.cookieLength < 0 && !freely)) return FastOpened.COMMON
  if (seg.cookieLength === 0) n[C.TCPFastOpenCookieReqd]++
  if (!queue.hasRoom(tcp.clock.nowMs)) {
    n[C.TCPFastOpenListenOverflow]++
    return FastOpened.COMMON
  }
  if (freely) {
    open(l, queue, seg, isn, null)
    return FastOpened.TAKEN
  }
  const keys = queue.ownKeys ?? tcp.fastOpenKeys
  const key = keys.check(source, destination, seg.buf, seg.cookieAt, seg.cookieLength)
  if (key === CookieKey.NONE) {
    if (seg.cookieLength > 0) n[C.TCPFastOpenPassiveFail]++
    return FastOpened.WITH_COOKIE
  }
  if (key === CookieKey.OTHER) n[C.TCPFastOpenPassiveAltKey]++
  open(l, queue, seg, isn, key === CookieKey.OTHER ? keys.cookie.slice() : null)
  return FastOpened.TAKEN
}

function open(l: Listener, queue: FastOpenQueue, seg: Segment, isn: number, fresh: Uint8Array | null): void {
  const { tcp } = l
  const n = tcp.counters.values
  const path = tcp.paths.get(seg.packet.destination, seg.packet.source)
  if (path.resolve(tcp.ip) !== null) {
    n[C.TCPFastOpenPassiveFail]++
    n[C.dropNoRoute]++
    return
  }
  const fo = new FastOpen()
  fo.handshaking = true
  fo.queue = queue
  fo.fresh = fresh
  fo.experimental = seg.cookieExperimental
  queue.pending++
  n[C.TCPFastOpenPassive]++
  const c = new SynReceived(l, path, seg, seg.seq, isn).openFast(seg, fo)
  const taken = Math.min(seg.len, c.rcv.window)
  if (taken > 0) {
    fo.state = 'received'
    c.rcv.accept(c.rcv.nxt, seg.buf, seg.off, taken)
    c.notify(News.READABLE)
  }
  c.synDue = true
  tcp.markDirty(c)
}

/** A SYN for a connection that is here: the client did not hear our SYN-ACK. False: it is something else. */
export function repeatSynAck(c: Connection, fo: FastOpen, seg: Segment): boolean {
  if (!fo.handshaking || seg.seq !== c.rcv.irs || (seg.flags & SYN) === 0) return false
  c.tcp.counters.values[C.tcpSynRetransmits]++
  fo.plain = true
  c.synDue = true
  c.tcp.markDirty(c)
  return true
}

/** The first acceptable ACK: our SYN has arrived. False: it acknowledges nothing that was sent. */
export function completeFastOpen(c: Connection, fo: FastOpen, seg: Segment): boolean {
  const { snd, deadlines, rto, tcp } = c
  if (lt(seg.ack, snd.una) || gt(seg.ack, snd.nxt)) {
    tcp.resetFor(seg)
    return false
  }
  endFastOpen(c, fo, false)
  if (deadlines.retries > 0) rto.handshakeTimedOut()
  else if (!fo.plain && seg.ack === snd.una) rto.sample((tcp.clock.nowUs - c.synSentUs) | 0)
  deadlines.retries = 0
  deadlines.synRetries = tcp.config.synRetries
  rto.backoff = 0
  deadlines.stopRetransmit()
  if (c.state === State.SYN_RECEIVED) c.setState(State.ESTABLISHED)
  deadlines.armKeepAlive()
  if (snd.records > 0) deadlines.armRetransmit()
  if (snd.pending) tcp.markDirty(c)
  return true
}

/** The handshake is over, one way or another. */
export function endFastOpen(c: Connection, fo: FastOpen, reset: boolean): void {
  if (!fo.handshaking) return
  fo.handshaking = false
  fo.queue!.ended(reset, c.tcp.clock.nowMs)
  fo.queue = null
}
