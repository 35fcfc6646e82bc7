/** The end of a handshake that we began, or of two that crossed: what the SYN-ACK means for us (RFC 9293 section 3.10.7.3). */
import type { Connection } from './connection.ts'
import { learnFromSynAck, resendSynData, synAcknowledged } from './fast-open.ts'
import { sampleEcho } from './handshake-echo.ts'
import type { Segment } from './segment.ts'
import { applySizes, roundBuffers } from './sizes.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'
import { News } from './telling.ts'

/** Our SYN is acknowledged, and the peer's is here: to ESTABLISHED. */
export function completeOpen(c: Connection, seg: Segment): void {
  const { snd, deadlines, rto, tcp } = c
  c.synDue = false
  const bytes = synAcknowledged(c, seg.ack)
  const resend = c.fastOpen === null ? 0 : learnFromSynAck(c, c.fastOpen, seg, bytes)
  const { retries } = deadlines
  let isSpurious = false
  if (retries > 0) {
    const echoMs = (seg.tsEcr - c.path.tsOffset) | 0
    isSpurious = c.timestamps && seg.hasTimestamps && sampleEcho(rto, tcp.clock.nowMs, echoMs) && deadlines.isOfFirst(echoMs)
    rto.handshakeTimedOut()
  }
  deadlines.stopRetransmit()
  deadlines.retries = 0
  rto.backoff = 0
  applySizes(c)
  roundBuffers(c)
  snd.begin(tcp.clock.nowMs, bytes)
  if (resend > 0) resendSynData(c, resend)
  // RFC 5681 section 3.1, RFC 6928 section 2: one segment when the SYN was lost; more than once, as Linux.
  if (retries > 1 && !isSpurious) snd.window.cwnd = snd.mss
  c.everConnected = true
  c.setState(State.ESTABLISHED)
  deadlines.armKeepAlive()
  c.rcv.lastDataMs = tcp.clock.nowMs
  tcp.counters.values[C.tcpConnectionsOpened]++
  c.notify(News.CONNECT)
  if (snd.room > 0) c.notify(News.WRITABLE)
  tcp.markDirty(c)
}
