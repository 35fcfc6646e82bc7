/** What must be true of a connection after every event, whatever the network did. Throws with the reason. */
import type { Connection } from '../../src/tcp/connection.ts'
import { AMBIGUOUS, LOST, RETRANSMITTED, SACKED } from '../../src/tcp/flight-record.ts'
import { isTransition, STATE_NAMES, State } from '../../src/tcp/state.ts'

function check(truth: boolean, what: string): void {
  if (!truth) throw new Error(`invariant broken: ${what}`)
}

export function checkInvariants(c: Connection): void {
  const { snd, rcv } = c
  if (c.state === State.CLOSED || c.state < State.ESTABLISHED) return
  const outstanding = (snd.nxt - snd.una) | 0
  check(outstanding >= 0, 'SND.UNA <= SND.NXT')
  if (c.state !== State.TIME_WAIT) {
    check(outstanding <= snd.ring.length + 1, 'nothing is in flight that is not in the ring (or the FIN)')
    check(snd.ring.length <= snd.limit, 'the send buffer keeps its limit')
    checkFlight(c, outstanding)
  }
  const window = (rcv.edge - rcv.nxt) | 0
  check(window >= 0, 'RCV.NXT <= right edge of the window')
  check(window <= rcv.limit + (1 << rcv.scale), 'the window is covered by the buffer')
  check(((rcv.nxt - rcv.lastAckSent) | 0) >= 0, 'nothing acknowledged that did not arrive')
  check(snd.window.cwnd >= 1 && snd.window.cwnd <= 1 << 30, 'cwnd in its range')
  const { spans } = rcv
  if (spans !== null) {
    let previous = rcv.nxt
    for (let i = 0; i < spans.count; i++) {
      check(((spans.leftOf(i) - previous) | 0) > 0, 'ranges are above RCV.NXT, sorted and apart')
      check(((spans.rightOf(i) - spans.leftOf(i)) | 0) > 0, 'ranges are not empty')
      previous = spans.rightOf(i)
    }
    if (spans.count > 0) check(((previous - rcv.edge) | 0) <= 0, 'nothing beyond the window was taken')
  }
}

function checkFlight(c: Connection, outstanding: number): void {
  const { flight } = c.snd
  let sacked = 0
  let lost = 0
  let again = 0
  for (let i = 0; i < flight.count; i++) {
    const bytes = (flight.endOf(i) - flight.startOf(i)) | 0
    const flags = flight.flagsOf(i)
    check(bytes > 0, 'records are not empty')
    check((flags & (SACKED | LOST)) !== (SACKED | LOST), 'no record is both SACKED and LOST')
    check(
      (flags & RETRANSMITTED) === 0 || (flags & (LOST | AMBIGUOUS)) === (LOST | AMBIGUOUS),
      'only what is lost is retransmitted',
    )
    if ((flags & SACKED) !== 0) sacked += bytes
    if ((flags & LOST) !== 0) lost += bytes
    if ((flags & RETRANSMITTED) !== 0) again += bytes
  }
  const end = flight.count === 0 ? flight.una : flight.endOf(flight.count - 1)
  check(end === c.snd.nxt, 'the log ends at SND.NXT')
  check(outstanding === 0 || flight.count > 0, 'what is outstanding is in the log')
  check(sacked === flight.sackedBytes, 'sum of SACKED')
  check(lost === flight.lostBytes, 'sum of LOST')
  check(again === flight.retransmittedBytes, 'sum of RETRANSMITTED')
}

/** Throws on a change of state that RFC 9293 does not know. */
export function checkTransition(from: number, to: number): void {
  check(from === to || isTransition(from, to), `transition ${STATE_NAMES[from]} -> ${STATE_NAMES[to]}`)
}
