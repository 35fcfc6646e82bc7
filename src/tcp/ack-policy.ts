/**
 * When to acknowledge (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2), in the way of Linux.
 *
 * Theory of operation. More than one full segment is acknowledged at once; less waits for `ato`, which follows the time between segments, so
 * that an ACK finds data to ride on. Two modes change that. Quick-ACK: so many segments at the start, after a pause in which the peer must
 * have restarted its window, or when the application asks (TCP_QUICKACK) are acknowledged one by one, because a slow start lives on ACKs.
 * Ping-pong: data was sent in answer to data, so the next answer will carry the ACK; quick-ACK mode rests. A delayed ACK that found nothing to
 * ride on ends it.
 *
 * An ACK goes out at the end of the turn, so that one ACK may stand for a whole flight. On a path that loses, that is too much to lose with
 * one packet: nothing is in flight then that would bring another, and the peer stands still until a timer. So after anything out of order,
 * for a few thousand segments, the first four of a turn have an ACK of their own, and the rest another. One for every second would be as
 * safe, but a Linux sender defers what so little lets it send: 6 % less goodput over 1 % loss and 20 ms. Its own receivers, behind GRO, also
 * acknowledge much at once.
 *
 * Out of order each segment has its ACK, until three have said where the hole is; of a peer with SACK every thirty-second of a range from there on,
 * and the last of the turn. A window of hundreds of segments is hardly ever without a hole on a path that loses one in a hundred, and an ACK costs as much as a
 * segment. Linux does so, too (tcp_comp_sack_nr: 44, or a millisecond).
 *
 * A flight may end with a segment that nothing follows before it is acknowledged, and a sender that pushed it (PSH) has nothing else, or no window.
 * Once the application has read that, too, the ACK waits only where an answer is likely to carry it (Linux tcp_cleanup_rbuf): a window of few segments
 * would otherwise lose the delay's time again and again.
 *
 * What "full" means is measured, for the peer's segments may be smaller than what we announced.
 */
import type { Connection } from './connection.ts'
import type { Receiver } from './receiver.ts'
import { RightSizing } from './right-sizing.ts'
import type { Segment } from './segment.ts'
import { DEFAULT_MSS_V4, FIN, MIN_MSS, PSH, SYN, URG } from './wire.ts'

/** Below this a segment says nothing about the peer's segment size unless it has no reason to be small (Linux TCP_MSS_DEFAULT, TCP_MIN_MSS). */
const SURE_SIZE = DEFAULT_MSS_V4
const LEAST_SIZE = MIN_MSS
/** How long a path counts as one that loses: some losses more at a rate of one in a thousand. */
export const EAGER_SEGMENTS = 4096
/** So many the first ACK of a turn is for: of less a Linux sender makes no use before the next ACK (tcp_tso_should_defer). */
const EARLY_SEGMENTS = 4
/** ACKs that repeat RCV.NXT before others are left out (RFC 5681 section 3.2, DupThresh), and how many may be told of by one. */
const FIRST_DUPLICATES = 3
const TOLD_AT_ONCE = 32

/** In-order data arrived, in segments of `size` bytes. */
export function dataArrived(c: Connection, seg: Segment, size: number, hadHoles: boolean): void {
  const { rcv, tcp } = c
  const { nowMs } = tcp.clock
  const { delayedAckMs } = tcp.config
  if (rcv.eager > 0) rcv.eager--
  measureSize(rcv, size, seg.flags, c.announcedMss)
  measureRtt(c, seg, size)
  if (rcv.ato === 0) {
    quicken(c)
    rcv.ato = delayedAckMs
  } else {
    const gap = (nowMs - rcv.lastDataMs) | 0
    if (gap <= delayedAckMs >> 1) rcv.ato = (rcv.ato >> 1) + (delayedAckMs >> 1)
    else if (gap < rcv.ato) rcv.ato = Math.min((rcv.ato >> 1) + gap, c.rto.ms)
    else if (gap > c.rto.ms) quicken(c) // the peer's window starts anew (RFC 5681 section 4.1)
  }
  rcv.lastDataMs = nowMs
  if ((size < rcv.mss || (seg.flags & PSH) !== 0) && rcv.pushed < 2) rcv.pushed++
  // At once while holes are being filled (RFC 5681 section 4.2), and for more than one full segment (RFC 9293 SHLD-19).
  if (hadHoles || (rcv.quick > 0 && !rcv.pingpong) || ((rcv.nxt - rcv.lastAckSent) | 0) > rcv.mss) {
    rcv.ackNow = true
    tcp.markDirty(c)
  } else if (!rcv.delayed) {
    rcv.delayed = true
    c.deadlines.armAck(ackDelay(c))
  }
}

/** The ACK that is due goes before the segment at `seq` is taken in, although more of the turn is to come. */
export function mayNotWait(c: Connection, seq: number): boolean {
  const { rcv } = c
  if (seq !== rcv.nxt) return !mayBeLeftOut(c, seq)
  if (rcv.eager === 0) return false
  if (!rcv.hasDsack && (rcv.early || ((rcv.nxt - rcv.lastAckSent) | 0) < EARLY_SEGMENTS * rcv.mss)) return false
  rcv.early = true
  return true
}

/** The ACK that is due may wait for the segment at `seq`, whose own will say all that it says. */
function mayBeLeftOut(c: Connection, seq: number): boolean {
  const { rcv } = c
  const { spans } = rcv
  // Each D-SACK has an ACK of its own, and so has each count of CE marks.
  if (spans === null || spans.count === 0 || !c.sackPermitted || c.ecn !== null || rcv.hasDsack) return false
  // Only what continues the newest range: three or four blocks fit an ACK, and none may remain untold (Linux tcp_sack_compress_send_ack).
  if (rcv.lastAckSent !== rcv.nxt || seq !== spans.grownTo) return false
  if (spans.toldNxt !== rcv.nxt) {
    spans.toldNxt = rcv.nxt
    spans.told = 0
    spans.untold = 0
  }
  if (spans.told < FIRST_DUPLICATES) {
    spans.told++
    return false
  }
  spans.untold++
  if (spans.untold < TOLD_AT_ONCE) return true
  spans.untold = 0
  return false
}

/** Data was sent: in answer to what came just now? Then the next answer will carry the ACK too. */
export function dataSent(c: Connection): void {
  const { rcv } = c
  if (((c.tcp.clock.nowMs - rcv.lastDataMs) | 0) < rcv.ato) rcv.pingpong = true
}

/** The application has read all that there is: nothing is gained by waiting for more of a peer that seems to have said all it has. */
export function allRead(c: Connection): void {
  const { rcv } = c
  if (!rcv.delayed || !rcv.acksWhenRead || rcv.pushed === 0 || (rcv.pingpong && rcv.pushed === 1)) return
  rcv.ackNow = true
  c.tcp.markDirty(c)
}

/** The delayed ACK found nothing to ride on. */
export function ackDelayed(c: Connection): void {
  const { rcv } = c
  if (rcv.pingpong) {
    rcv.pingpong = false
    rcv.ato = c.tcp.config.delayedAckMs
  } else rcv.ato = Math.min(rcv.ato << 1, c.rto.ms)
}

/** TCP_QUICKACK: on until data is sent, or off until a delayed ACK was in vain. */
export function setQuickAck(c: Connection, on: boolean): void {
  const { rcv } = c
  rcv.pingpong = !on
  if (!on) return
  rcv.quick = Math.max(rcv.quick, c.tcp.config.quickAcks)
  if (!rcv.delayed) return
  rcv.ackNow = true
  c.tcp.markDirty(c)
}

/** How long an ACK may wait, in ms: `ato`, but not longer than a round trip, if that is known to be longer than the least. */
export function ackDelay(c: Connection): number {
  const { delayedAckMs, delayedAckMaxMs } = c.tcp.config
  const { ato } = c.rcv
  if (ato <= delayedAckMs) return Math.min(ato, delayedAckMaxMs)
  let most = delayedAckMaxMs
  if (c.rto.srttUs > 0) most = Math.min(most, Math.max(delayedAckMs, (c.rto.srttUs / 1000) | 0))
  return Math.min(ato, most)
}

/** So many segments that the peer's slow start gets an ACK for each until it has filled half of our window. */
function quicken(c: Connection): void {
  const { rcv, tcp } = c
  const enough = Math.max(2, (((rcv.edge - rcv.lastAckSent) | 0) / (2 * rcv.mss)) | 0)
  const n = Math.min(enough, tcp.config.quickAcks)
  if (n > rcv.quick) rcv.quick = n
}

/** The size of the peer's full segments: the largest seen, or a smaller one seen twice in a row that was not the end of a message. */
function measureSize(rcv: Receiver, size: number, flags: number, most: number): void {
  const last = rcv.lastSize
  rcv.lastSize = 0
  if (size >= rcv.mss) rcv.mss = size < most ? size : most
  else if (size >= SURE_SIZE || (size >= LEAST_SIZE && (flags & (FIN | URG | SYN | PSH)) === 0)) {
    if (size === last) rcv.mss = size
    rcv.lastSize = size
  }
}

/** The round-trip time as the receiver sees it (right-sizing.ts). */
function measureRtt(c: Connection, seg: Segment, size: number): void {
  const { rcv } = c
  rcv.sizing ??= new RightSizing(rcv, c.announcedMss)
  if (!c.timestamps || !seg.hasTimestamps) rcv.sizing.sampleWindow(rcv.nxt, rcv.window, c.tcp.clock.nowUs)
  else if (size >= rcv.mss && seg.tsEcr !== 0 && seg.tsEcr !== rcv.sizing.lastEcho)
    rcv.sizing.sampleEcho(seg.tsEcr, (c.tsNow() - seg.tsEcr) | 0)
}
