/**
 * What arrives: RFC 9293 section 3.10.7.3 (SYN-SENT) and 3.10.7.4 (synchronized states), check by check and in its order. Works on the
 * connection's halves and asks connection.ts for every step to another state. Connections send nothing here: they join the dirty list. Only
 * the resets of SYN-SENT and SYN-RECEIVED leave at once, as if there were no connection, and the one to data that nobody will read.
 */
import { dataArrived, EAGER_SEGMENTS, mayNotWait } from './ack-policy.ts'
import { acknowledge, beginAck } from './acknowledging.ts'
import { completeOpen } from './completing.ts'
import type { Connection } from './connection.ts'
import { Rtx } from './deadlines.ts'
import { completeFastOpen, repeatSynAck } from './fast-open-passive.ts'
import { acknowledgeQuietly } from './quiet-ack.ts'
import { Accepted } from './receiver.ts'
import { echoRttUs } from './rto.ts'
import type { Segment } from './segment.ts'
import { geq, gt, later, leq, lt } from './seq.ts'
import { roundBuffers } from './sizes.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'
import { News } from './telling.ts'
import { ACK, FIN, MAX_WINDOW_SCALE, RST, SYN, URG } from './wire.ts'

/** RFC 7323 section 5.5: after 24 days without traffic TS.Recent says nothing. */
const PAWS_STALE_MS = 24 * 24 * 3600 * 1000

/** RFC 9293 section 3.10.7.3. */
export function receiveInSynSent(c: Connection, seg: Segment): void {
  const { snd, rcv, tcp } = c
  const n = tcp.counters.values
  const hasAck = (seg.flags & ACK) !== 0
  if (hasAck && (leq(seg.ack, snd.iss) || gt(seg.ack, snd.nxt))) {
    if ((seg.flags & RST) === 0) tcp.resetFor(seg)
    n[C.dropBadAckInSynSent]++
    return
  }
  // What echoes a timestamp that no SYN of ours had is of another connection, or forged (Linux PAWSActiveRejected).
  if (hasAck && (seg.flags & RST) === 0 && c.timestamps && seg.hasTimestamps && !couldEcho(c, seg.tsEcr)) {
    tcp.resetFor(seg)
    n[C.PAWSActive]++
    return
  }
  if ((seg.flags & RST) !== 0) {
    if (hasAck) c.finish('ECONNREFUSED')
    else n[C.dropUnacceptableReset]++
    return
  }
  if ((seg.flags & SYN) === 0) {
    n[C.dropNoSynInSynSent]++
    return
  }
  rcv.irs = seg.seq
  rcv.nxt = (seg.seq + 1) | 0
  rcv.edge = (rcv.nxt + Math.min(rcv.limit, 0xffff)) | 0
  rcv.lastAckSent = rcv.nxt
  takeOptions(c, seg)
  if (c.ecn !== null && !(hasAck ? c.ecn.answered(seg, tcp.config.ecnValidate) : c.ecn.crossed(seg))) c.ecn = null
  snd.wnd = seg.wnd // the window of a SYN is never scaled (RFC 7323 section 2.2)
  snd.maxWnd = Math.max(snd.maxWnd, snd.wnd)
  snd.wl1 = seg.seq
  snd.wl2 = seg.ack
  if (!hasAck) {
    // Simultaneous open (RFC 9293 section 3.5, figure 7).
    c.setState(State.SYN_RECEIVED)
    c.synDue = true
    c.deadlines.stopRetransmit()
    roundBuffers(c)
    if (seg.len > 0 && tcp.config.keepCrossingText) rcv.hold(seg.buf, seg.off, seg.len) // a FIN must come again
    tcp.markDirty(c)
    return
  }
  if (c.deadlines.retries === 0) c.rto.sample((tcp.clock.nowUs - c.synSentUs) | 0)
  completeOpen(c, seg)
  rcv.ackNow = true
  // Data or FIN that came with the SYN (RFC 9293 3.10.7.3: "continue processing at the sixth step").
  if (seg.len > 0 || (seg.flags & FIN) !== 0) {
    seg.flags &= ~SYN
    seg.seq = rcv.nxt
    trim(c, seg)
    receiveText(c, seg)
  }
}

/** Was a SYN of ours sent with that timestamp? 0 is what some peers echo that have nothing to echo. */
function couldEcho(c: Connection, tsEcr: number): boolean {
  const age = (c.tsNow() - tsEcr) | 0
  return tsEcr === 0 || (age >= 0 && age <= ((c.tcp.clock.nowMs - c.openedMs) | 0))
}

function takeOptions(c: Connection, seg: Segment): void {
  c.timestamps &&= seg.hasTimestamps
  c.sackPermitted &&= seg.sackPermitted
  c.windowScaling &&= seg.windowScale >= 0
  if (c.windowScaling) c.snd.scale = Math.min(seg.windowScale, MAX_WINDOW_SCALE)
  else c.rcv.scale = 0
  if (c.timestamps) c.setTsRecent(seg.tsVal)
  c.snd.peerMss = c.tcp.peerMss(seg.mss, c.path.isV4)
}

/** RFC 9293 section 3.10.7.4, in its order. */
export function receiveSynchronized(c: Connection, seg: Segment): void {
  const { rcv, tcp } = c
  const n = tcp.counters.values
  rcv.ackWasDue = rcv.ackNow
  if (c.state === State.SYN_RECEIVED && (seg.flags & (SYN | ACK)) === (SYN | ACK) && seg.seq === rcv.irs) {
    // The other half of a simultaneous open: its SYN is known, its ACK is what counts.
    seg.flags &= ~SYN
    seg.seq = rcv.nxt
  }
  // RST goes by its own sequence number, whatever it carries, and is exempt from PAWS (RFC 7323 section 5.2).
  if ((seg.flags & RST) !== 0) {
    receiveReset(c, seg)
    return
  }
  // RFC 7323 section 5.3, R1: an old duplicate has an old timestamp. The age is unsigned: it may be longer than half the clock.
  if (c.timestamps && seg.hasTimestamps && ((seg.tsVal - c.tsRecent) | 0) < 0) {
    if ((tcp.clock.nowMs - c.tsRecentMs) >>> 0 < PAWS_STALE_MS) {
      n[C.PAWSEstabRejected]++
      answerInvalid(c, seg)
      return
    }
  }
  if (c.timestamps && !seg.hasTimestamps && !tcp.config.tolerateMissingTimestamps) {
    n[C.dropNoTimestamps]++ // RFC 7323 section 3.2
    return
  }
  if (c.fastOpen !== null && repeatSynAck(c, c.fastOpen, seg)) return
  // RFC 5961 section 4.2: a SYN is answered with a challenge, irrespective of its sequence number.
  if ((seg.flags & SYN) !== 0) {
    if (seg.seq === ((rcv.nxt - 1) | 0)) n[C.tcpDuplicateSegments]++
    if (c.ecn !== null && seg.seq === rcv.irs) c.ecn.heardSynAgain(seg)
    if (tcp.config.insecureSyn && rcv.isAcceptable(seg.seq, 1) && geq(seg.seq, rcv.nxt)) {
      c.sendReset() // RFC 793 page 71
      c.finish('ECONNRESET')
    } else challenge(c)
    return
  }
  // First: sequence number.
  const span = seg.span
  if (rcv.isAcceptable(seg.seq, span)) {
    if (c.ecn !== null) c.ecn.heard(c, seg)
    // R3: TS.Recent follows what advances the window; nothing outside of it, and nothing whose ACK is refused below, may touch it, or a
    // stranger could end the connection by it.
    if (c.timestamps && seg.hasTimestamps && leq(seg.seq, rcv.lastAckSent) && (seg.flags & ACK) !== 0 && isAckSane(c, seg.ack))
      c.setTsRecent(seg.tsVal)
    if (span > 0) trim(c, seg)
  } else {
    if (c.ecn !== null) c.ecn.heardOutside(c, seg)
    if (!acceptOutside(c, seg, span)) return
  }
  // Fifth: ACK.
  if ((seg.flags & ACK) === 0) {
    n[C.dropNoAck]++
    return
  }
  if (!receiveAck(c, seg)) return
  // Sixth: URG. Seventh: text. Eighth: FIN.
  if ((seg.flags & URG) !== 0) receiveUrgent(c, seg)
  if (seg.len > 0 || (seg.flags & FIN) !== 0) receiveText(c, seg)
}

/** RFC 5961 section 5.2: neither of what was not sent, nor from longer ago than the largest window. */
function isAckSane(c: Connection, ack: number): boolean {
  const { snd } = c
  return leq(ack, snd.nxt) && geq(ack, (snd.una - snd.maxWnd) | 0)
}

/** Second check: RFC 5961 section 3.2. With a closed window only the exact sequence number is in it (RFC 9293 MUST-66). */
function receiveReset(c: Connection, seg: Segment): void {
  const { rcv } = c
  const inside = gt(seg.seq, rcv.nxt) && lt(seg.seq, rcv.lastEdge)
  if (seg.seq === rcv.nxt || (inside && c.tcp.config.insecureReset)) c.reset()
  else if (inside) challenge(c)
  else c.tcp.counters.values[C.dropUnacceptableReset]++
}

/**
 * A segment outside the window. Returns true when its ACK field and urgent pointer may still be used, its payload cut off: a closed window
 * admits them (RFC 9293 MUST-66), and a duplicate from not longer ago than a window, which has proved no less than one inside, says where
 * the peer is now. Its sequence number stays, so that it cannot bring back an old window.
 */
function acceptOutside(c: Connection, seg: Segment, span: number): boolean {
  const { rcv } = c
  const n = c.tcp.counters.values
  const late = (rcv.nxt - seg.seq) | 0
  if (span > 0 && leq((seg.seq + span) | 0, rcv.nxt)) {
    // A retransmission of what we have: say so (RFC 2883).
    n[C.tcpDuplicateSegments]++
    if (seg.len > 0 && late <= rcv.reach) {
      rcv.eager = EAGER_SEGMENTS // it may be our ACK that was lost
      acknowledgePending(c)
    }
    if (seg.len > 0 && c.sackPermitted) rcv.duplicate(seg.seq, (seg.seq + seg.len) | 0)
  } else if (rcv.window === 0 && late === 0) {
    n[C.tcpZeroWindowDrops]++
  } else {
    n[C.dropOutOfWindow]++
  }
  answerInvalid(c, seg)
  if (late < 0 || late > rcv.reach) return false
  seg.len = 0
  seg.flags &= ~FIN
  return true
}

/**
 * A segment out of order, or one that had arrived before, is about to be taken in. RFC 5681 section 4.2: each of them has its ACK, or a sender
 * that counts duplicates counts too few, and one with SACK misses ranges and D-SACKs. So an ACK that is due already does not wait for the end
 * of the turn, which may hear a whole flight (but see `mayNotWait`).
 */
function acknowledgePending(c: Connection): void {
  if (c.rcv.ackWasDue && c.state >= State.ESTABLISHED && c.tcp.output.segment(c, c.snd.nxt, 0, ACK)) c.segmentsOut++
}

/** Cuts a segment that touches the window to the part inside it. */
function trim(c: Connection, seg: Segment): void {
  const { rcv } = c
  const cut = (rcv.nxt - seg.seq) | 0
  if (cut > 0) {
    if (c.sackPermitted && seg.len > 0) rcv.duplicate(seg.seq, rcv.nxt)
    seg.off += cut
    seg.len -= cut
    seg.urgent = seg.urgent > cut ? seg.urgent - cut : 0
    seg.seq = rcv.nxt
    rcv.ackNow = true
    c.tcp.markDirty(c)
  }
  const over = (seg.seq + seg.len - rcv.edge) | 0
  if (over > 0) {
    seg.len -= over
    seg.flags &= ~FIN
    rcv.ackNow = true // the peer believes in a window that is not there
    c.tcp.markDirty(c)
    c.tcp.counters.values[C.tcpBeyondWindow]++
  }
}

/** Fifth check. False: the segment is not to be used any further. */
function receiveAck(c: Connection, seg: Segment): boolean {
  const { snd, tcp } = c
  const n = tcp.counters.values
  const ack = seg.ack
  if (c.fastOpen?.handshaking) {
    if (!completeFastOpen(c, c.fastOpen, seg)) return false
  } else if (c.state === State.SYN_RECEIVED) {
    if (leq(ack, snd.una) || gt(ack, snd.nxt)) {
      tcp.resetFor(seg)
      return false
    }
    if (c.deadlines.retries === 0) c.rto.sample((tcp.clock.nowUs - c.synSentUs) | 0)
    completeOpen(c, seg)
    takeHeld(c, seg)
  }
  if (!isAckSane(c, ack)) {
    n[C.dropUnacceptableAck]++
    challenge(c)
    return false
  }
  // A sign of life: nothing less than an acceptable segment counts, or a stranger could keep a dead connection.
  c.lastReceivedMs = tcp.clock.nowMs
  c.deadlines.heard()
  const hasSacks = seg.sackCount > 0 && c.sackPermitted
  let sacked = 0
  if (hasSacks) {
    beginAck(c)
    sacked = receiveSacks(c, seg)
  }
  const before = snd.una
  const advance = gt(ack, before)
  const wnd = seg.wnd << snd.scale
  const outstanding = snd.nxt !== before
  // RFC 5681 section 2; with SACK a duplicate is what brings new SACK information (RFC 6675 section 2).
  const duplicate =
    outstanding && ack === before && (c.sackPermitted ? sacked > 0 : seg.len === 0 && (seg.flags & FIN) === 0 && wnd === snd.wnd)
  const isBare = ack === before && seg.len === 0 && (seg.flags & FIN) === 0 && wnd === snd.wnd
  // Window update (RFC 9293 section 3.10.7.4): never from an old segment.
  let opened = false
  if (advance || (ack === before && (lt(snd.wl1, seg.seq) || (snd.wl1 === seg.seq && leq(snd.wl2, ack))))) {
    opened = wnd > snd.wnd || advance
    snd.wnd = wnd
    if (wnd > snd.maxWnd) snd.maxWnd = wnd
    snd.wl1 = later(snd.wl1, seg.seq)
    snd.wl2 = ack
  }
  if (advance) {
    if (hasSacks || !acknowledgeQuietly(c, ack)) {
      const tsRttUs = c.timestamps && seg.hasTimestamps && seg.tsEcr !== 0 ? echoRttUs((c.tsNow() - seg.tsEcr) | 0) : 0
      if (!hasSacks) beginAck(c)
      acknowledge(c, ack, sacked, false, isBare, tsRttUs)
    }
    c.deadlines.retries = 0
    c.softError = null
    c.route.neighbor?.confirm() // forward progress (RFC 4861 section 7.3.1)
    if (snd.wantWritable && snd.isRoomy) {
      snd.wantWritable = false
      c.notify(News.WRITABLE)
    }
  } else if (sacked > 0 || duplicate || snd.isCurious) {
    if (sacked > 0 || duplicate) n[C.tcpDupAcks]++
    if (!hasSacks) beginAck(c)
    acknowledge(c, before, sacked, duplicate, isBare, 0)
  } else if (c.ecn !== null) c.ecn.acknowledged(c, 0)
  // With a closed window any answer says that the peer is there: probing goes on as long as it answers (MUST-37), whether by probes or by
  // data of before the window shrank. Not for a connection that nobody owns: its peer could hold our memory forever; and not for one with a
  // user timeout, which counts what a closed window holds back, too (tcp(7), TCP_USER_TIMEOUT).
  const isProbing = c.deadlines.rtx === Rtx.PERSIST
  if (!c.orphan && (isProbing ? c.deadlines.userTimeoutMs === 0 : snd.wnd === 0)) c.deadlines.retries = 0
  if (isProbing) {
    if (snd.wnd > 0 && opened) {
      c.deadlines.stopRetransmit()
      c.deadlines.retries = 0
      c.rto.backoff = 0
    }
  } else c.deadlines.acknowledged(advance)
  if (advance || opened || sacked > 0 || duplicate) tcp.markDirty(c)
  if (advance && snd.finSent && ack === snd.nxt) return c.finAcknowledged()
  return true
}

/** Text that came with the peer's SYN is in order now; what `seg` has of it is cut off. */
function takeHeld(c: Connection, seg: Segment): void {
  const { rcv } = c
  const held = rcv.takeHeld()
  if (held === 0) return
  if (lt((seg.seq + seg.len) | 0, rcv.nxt)) {
    seg.len = 0
    seg.flags &= ~FIN
    seg.seq = rcv.nxt
  } else trim(c, seg)
  dataArrived(c, seg, held, false)
  c.notify(News.READABLE)
}

function receiveSacks(c: Connection, seg: Segment): number {
  const { snd } = c
  let fresh = 0
  for (let i = 0; i < seg.sackCount; i++) {
    const left = seg.sacks[2 * i]
    const right = seg.sacks[2 * i + 1]
    if (!lt(left, right)) continue
    // RFC 2883 section 4: a first block at or below the ACK, or inside the second block, is a D-SACK.
    if (i === 0 && (leq(right, seg.ack) || (seg.sackCount > 1 && geq(left, seg.sacks[2]) && leq(right, seg.sacks[3])))) {
      c.dsacks++
      snd.recovery.onDsack(left, right, snd.maxWnd)
      c.tcp.counters.values[C.tcpDsackReceived]++
      continue
    }
    if (lt(left, snd.una) || gt(right, snd.nxt)) continue
    fresh += snd.flight.sack(left, right)
  }
  return fresh
}

/** RFC 9293 section 3.8.5: the pointer is to the octet after the urgent data; it only moves forward. Data stays in line. */
function receiveUrgent(c: Connection, seg: Segment): void {
  const { rcv } = c
  // After the peer's FIN there is nothing that could be urgent: ignored.
  if (c.state !== State.ESTABLISHED && c.state !== State.FIN_WAIT_1 && c.state !== State.FIN_WAIT_2) return
  const up = (seg.seq + seg.urgent) | 0
  if (seg.urgent === 0 || leq(up, rcv.nxt) || (rcv.urgent && leq(up, rcv.up))) return
  rcv.up = up
  rcv.urgent = true
  c.notify(News.URGENT)
}

/** Seventh and eighth: payload and FIN, already trimmed to the window. */
function receiveText(c: Connection, seg: Segment): void {
  const { rcv, tcp } = c
  const n = tcp.counters.values
  if (c.state !== State.ESTABLISHED && c.state !== State.FIN_WAIT_1 && c.state !== State.FIN_WAIT_2) {
    if (seg.len > 0) n[C.dropBeyondFin]++ // the peer has said that it is done
    return
  }
  const hasFin = (seg.flags & FIN) !== 0
  if (seg.len > 0) {
    c.dataSegmentsIn += seg.count
    if (c.orphan) {
      // RFC 1122 section 4.2.2.13: data for which there is no reader.
      n[C.tcpAbortOnData]++
      c.sendReset()
      c.finish(null)
      return
    }
    if (rcv.finSeen && gt((seg.seq + seg.len) | 0, rcv.finSeq)) {
      n[C.dropBeyondFin]++
      return
    }
    if (tcp.memory.isShort && !tcp.memory.admit(c, seg.seq, seg.len)) {
      rcv.ackNow = true
      tcp.markDirty(c)
      return
    }
    if (rcv.ackWasDue && mayNotWait(c, seg.seq)) acknowledgePending(c)
    const hadHoles = rcv.spans !== null && rcv.spans.count > 0
    const what = rcv.accept(seg.seq, seg.buf, seg.off, seg.len)
    if (what === Accepted.IN_ORDER) {
      const perSegment = seg.count > 1 ? Math.ceil(seg.len / seg.count) : seg.len
      dataArrived(c, seg, perSegment, hadHoles)
      c.notify(News.READABLE)
    } else {
      if (what === Accepted.OUT_OF_ORDER) n[C.tcpOutOfOrder]++
      else if (what === Accepted.REFUSED) n[C.dropTooManyRanges]++
      else n[C.tcpDuplicateSegments]++
      rcv.ackNow = true // RFC 5681 section 4.2: at once, it is what fast retransmit lives on
      rcv.eager = EAGER_SEGMENTS
      tcp.markDirty(c)
    }
  }
  if (hasFin) {
    if (!rcv.sawFin((seg.seq + seg.len) | 0)) n[C.dropBeyondFin]++
    rcv.ackNow = true
    tcp.markDirty(c)
  }
  if (rcv.finDue) c.receiveFin()
}

/** RFC 5961: an ACK that a real peer can judge by; limited per connection, and for the stack among those that pass. */
function challenge(c: Connection): void {
  if (isAckDue(c) && c.tcp.mayChallenge()) sendAckSoon(c)
}

/** An ACK in answer to an unacceptable segment; to those without data only so often, or two stacks could do this forever. */
function answerInvalid(c: Connection, seg: Segment): void {
  if (seg.len > 0) {
    c.rcv.ackNow = true
    c.tcp.markDirty(c)
  } else if (isAckDue(c)) sendAckSoon(c)
}

function isAckDue(c: Connection): boolean {
  if (!c.invalidAckSent || ((c.tcp.clock.nowMs - c.lastInvalidAckMs) | 0) >= c.tcp.config.invalidAckIntervalMs) return true
  c.tcp.counters.values[C.tcpAckSkipped]++
  return false
}

function sendAckSoon(c: Connection): void {
  c.invalidAckSent = true
  c.lastInvalidAckMs = c.tcp.clock.nowMs
  c.rcv.ackNow = true
  c.tcp.markDirty(c)
}
