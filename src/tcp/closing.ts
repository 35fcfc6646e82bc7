/** The application's CLOSE and ABORT (RFC 9293 sections 3.10.4 and 3.10.5), once it is done in both directions. */
import type { Connection } from './connection.ts'
import { State } from './state.ts'
import { C } from './tcp-counters.ts'

/** Segments at most before a reset; the windows are mostly less. */
const LAST_WORDS = 64

/** CLOSE in both directions. */
export function closeConnection(c: Connection, lingerMs: number | undefined): void {
  if (c.orphan) return
  if (lingerMs === 0) {
    abortConnection(c)
    return
  }
  c.tcp.wake() // outside a turn: sets the clock, and somebody will be told
  const unread = c.rcv.ring.length > 0
  c.orphan = true
  c.rcv.release()
  if (c.state === State.SYN_SENT) c.finish(null)
  else if (unread && c.tcp.config.resetUnread && c.state !== State.TIME_WAIT && !c.isClosed) {
    // RFC 2525 section 2.17: the peer must learn that what it sent was not read.
    c.tcp.counters.values[C.tcpAbortOnClose]++
    resetAfterData(c)
    c.finish(null)
  } else {
    c.shutdown()
    if (lingerMs !== undefined && !c.isClosed) c.deadlines.armLife(lingerMs)
    else if (c.state === State.FIN_WAIT_2) c.deadlines.armLife(c.tcp.config.finWait2Ms)
  }
}

/** ABORT. */
export function abortConnection(c: Connection): void {
  if (c.isClosed || c.state === State.TIME_WAIT) return
  c.tcp.wake()
  c.orphan = true
  if (c.state !== State.SYN_SENT) resetAfterData(c)
  c.finish(null)
}

/**
 * A kernel sends at `write` what the windows let through, we at the end of the turn: bytes that were written before the reset leave before
 * it, so that a peer that reads at once has them (an answer "408" from a server that does not read the rest of the request).
 */
function resetAfterData(c: Connection): void {
  if (c.snd.unsent > 0) c.speak(LAST_WORDS)
  c.sendReset()
}
