/**
 * What ICMP says about a connection (RFC 9293 section 3.9.2.2, RFC 5927). A report is believed only if it quotes a sequence number that is in
 * flight. Hard errors end a connection only while it opens; later every error is soft: it explains a time-out, it does not cause one.
 *
 * Deviation: "net unreachable" and "host unreachable" end a SYN-SENT too, as in Linux (RFC 5461 section 4.1 describes it; MUST-56 would have us
 * wait for the time-out): who connects wants to know, and a forger would have to guess the sequence number. `tcp.icmpEndsOpening` has other ways.
 */
import type { TcpManners } from '../base/tcp-manners.ts'
import { ErrorKind, ErrorReport } from '../ip/ip.ts'
import type { Connection } from './connection.ts'
import { geq, lt } from './seq.ts'
import { ignoresIcmp } from './signature-check.ts'
import { headerBytes } from './sizes.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'

/** RFC 1812 section 5.2.7.1: communication administratively prohibited; 14 and 15 are about precedence. */
const LAST_PROHIBITED = 13

/** An ICMP error about a segment of ours (RFC 5927, RFC 9293 section 3.9.2.2). */
export function receiveIcmpError(c: Connection, report: ErrorReport, seq: number): void {
  const { snd, tcp } = c
  const n = tcp.counters.values
  const first = c.fastOpen?.handshaking ? snd.iss : snd.una
  if (!report.local && (lt(seq, first) || geq(seq, snd.nxt))) {
    n[C.dropIcmpOutOfWindow]++ // not about anything in flight: forged, or very late
    return
  }
  if (c.keys !== null && ignoresIcmp(c, report)) {
    n[C.TCPAODroppedIcmps]++
    return
  }
  if (report.kind === ErrorKind.PACKET_TOO_BIG) {
    tooBig(c, report, seq)
    return
  }
  const opening = c.state === State.SYN_SENT || c.state === State.SYN_RECEIVED
  // Hard errors end a connection only while it is opening; later they are soft (RFC 5927 section 5.2).
  const code = opening ? whatEnds(tcp.config.icmpEndsOpening, report) : null
  if (code !== null) c.finish(code)
  else c.softError = report.errorCode
}

/** What an attempt to connect ends with, or null: it goes on. */
function whatEnds(which: TcpManners['icmpEndsOpening'], report: ErrorReport): string | null {
  const { kind } = report
  if (which === 'unreachable')
    return kind === ErrorKind.TIME_EXCEEDED || kind === ErrorKind.PARAMETER_PROBLEM ? null : report.errorCode
  if (which === 'none') return null
  // Prohibited, not by precedence; TTL exceeded, not the time of a reassembly.
  if (
    kind === ErrorKind.PROHIBITED
      ? report.code <= LAST_PROHIBITED
      : kind === ErrorKind.PROTOCOL_UNREACHABLE || kind === ErrorKind.PORT_UNREACHABLE
  )
    return 'ECONNREFUSED'
  return kind === ErrorKind.TIME_EXCEEDED && report.code === 0 ? report.errorCode : null
}

/** A PACKET TOO BIG that must be borne out by a time-out before it is believed. */
export interface Doubt {
  /** The sequence number that it quoted. */
  seq: number
  report: ErrorReport
}

/**
 * RFC 5927 section 7.2: the path may have changed, but when segments of this size were acknowledged a report that they are too big is more likely
 * a forger's. If it is true the segment it is about will time out.
 */
function tooBig(c: Connection, report: ErrorReport, seq: number): void {
  if (c.tcp.config.doubtPathMtu && !report.local && c.snd.isFullProven && report.mtu < c.snd.mss + headerBytes(c)) {
    c.tcp.counters.values[C.tcpIcmpDoubted]++
    const copy = new ErrorReport()
    copy.kind = report.kind
    copy.source.copy(report.source)
    copy.destination.copy(report.destination)
    copy.mtu = report.mtu
    copy.length = report.length
    c.doubt = { seq, report: copy }
    return
  }
  narrow(c, report)
}

/** The retransmission timer expired: was what it waits for said to be too big? */
export function recallDoubt(c: Connection): void {
  const { doubt } = c
  if (doubt === null) return
  c.doubt = null
  if (!lt(doubt.seq, c.snd.una)) narrow(c, doubt.report)
}

function narrow(c: Connection, report: ErrorReport): void {
  const old = c.snd.mss
  if (c.tcp.ip.pathMtu === null || !c.tcp.ip.pathMtu.learn(report)) return
  c.refreshRoute()
  if (!c.everConnected) {
    if (c.fastOpen !== null) c.fastOpen.plain = true // at once, and small
    c.announcedMss = Math.min(c.announcedMss, c.route.mtu - headerBytes(c)) // the way back is most likely the same (Linux)
    c.synDue = true
    c.tcp.markDirty(c)
  } else if (c.snd.mss < old && c.snd.records > 0) {
    // What was too big never arrived: send it again in smaller pieces.
    c.snd.recovery.onResize(c.snd.nxt)
    c.tcp.markDirty(c)
  }
}
