/**
 * TCP as a middle box follows it, by flags alone. Windows are not watched: what lies outside of one is judged by the hosts, and a reset that
 * they did not believe shows by segments that go on (RFC 7857 section 2.2), which bring the connection back.
 */
import type { FilterConfig } from '../base/filter-config.ts'
import { type Entry, TcpState } from './tuple.ts'

const FIN = 1
const SYN = 2
const RST = 4
const ACK = 16

export const TCP_STATE_NAMES = [
  'NONE',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT',
  'CLOSE-WAIT',
  'LAST-ACK',
  'TIME-WAIT',
  'CLOSED',
] as const

/** Flags that no segment has (RFC 9293 knows none of these): scans. */
export function badFlags(flags: number): boolean {
  const kind = flags & (FIN | SYN | RST | ACK)
  if ((kind & SYN) !== 0) return (kind & (FIN | RST)) !== 0
  if ((kind & RST) !== 0) return (kind & FIN) !== 0
  return (kind & ACK) === 0 // FIN, nothing, or URG and PSH alone
}

/** May a segment without a connection begin one? A SYN may; others where connections are adopted in their middle, but no end of one. */
export function mayBegin(flags: number, config: FilterConfig): boolean {
  if ((flags & SYN) !== 0) return (flags & ACK) === 0
  return config.tcpLoose && (flags & (RST | FIN)) === 0
}

/** A SYN that finds a connection which has ended begins another one. */
export function reopens(entry: Entry, flags: number): boolean {
  const isOver = entry.tcpState === TcpState.TIME_WAIT || entry.tcpState === TcpState.CLOSE
  return isOver && (flags & (SYN | ACK | RST)) === SYN
}

/** Follows one segment. */
export function follow(entry: Entry, flags: number, isReply: boolean): void {
  const { tcpState } = entry
  if ((flags & RST) !== 0) {
    entry.tcpState = TcpState.CLOSE
    return
  }
  if ((flags & SYN) !== 0) {
    if (tcpState === TcpState.NONE) entry.tcpState = TcpState.SYN_SENT
    // An answer, or a simultaneous open.
    else if (isReply && tcpState === TcpState.SYN_SENT) entry.tcpState = TcpState.SYN_RECEIVED
    return
  }
  if ((flags & FIN) !== 0) {
    const other = isReply ? entry.finOriginal : entry.finReply
    if (isReply) entry.finReply = true
    else entry.finOriginal = true
    if (tcpState !== TcpState.TIME_WAIT && tcpState !== TcpState.CLOSE)
      entry.tcpState = other ? TcpState.LAST_ACK : TcpState.FIN_WAIT
    return
  }
  if ((flags & ACK) === 0) return
  switch (tcpState) {
    case TcpState.NONE:
      entry.tcpState = TcpState.ESTABLISHED // adopted in its middle
      break
    case TcpState.SYN_RECEIVED:
      if (!isReply) entry.tcpState = TcpState.ESTABLISHED
      break
    case TcpState.FIN_WAIT:
      if (isReply ? entry.finOriginal : entry.finReply) entry.tcpState = TcpState.CLOSE_WAIT
      break
    case TcpState.LAST_ACK:
      entry.tcpState = TcpState.TIME_WAIT
      break
    case TcpState.CLOSE:
      // The reset was not believed, or it crossed this segment: then it comes again.
      if (entry.assured) entry.tcpState = TcpState.ESTABLISHED
      break
    default:
  }
}

/** How long a connection in its state is remembered. */
export function tcpTime(entry: Entry, config: FilterConfig): number {
  switch (entry.tcpState) {
    case TcpState.SYN_SENT:
      return config.tcpSynSentMs
    case TcpState.SYN_RECEIVED:
      return config.tcpSynReceivedMs
    case TcpState.ESTABLISHED:
      return entry.replied ? config.tcpEstablishedMs : config.tcpUnacknowledgedMs
    case TcpState.FIN_WAIT:
      return config.tcpFinWaitMs
    case TcpState.CLOSE_WAIT:
      return config.tcpCloseWaitMs
    case TcpState.LAST_ACK:
      return config.tcpLastAckMs
    case TcpState.TIME_WAIT:
      return config.tcpTimeWaitMs
    default:
      return config.tcpCloseMs
  }
}
