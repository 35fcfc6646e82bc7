/** The eleven states of RFC 9293 section 3.3.2 and the transitions of figure 5. */

export const State = {
  CLOSED: 0,
  LISTEN: 1,
  SYN_SENT: 2,
  SYN_RECEIVED: 3,
  ESTABLISHED: 4,
  FIN_WAIT_1: 5,
  FIN_WAIT_2: 6,
  CLOSE_WAIT: 7,
  CLOSING: 8,
  LAST_ACK: 9,
  TIME_WAIT: 10,
} as const

/** The RFC's spelling, by number. */
export const STATE_NAMES = [
  'CLOSED',
  'LISTEN',
  'SYN-SENT',
  'SYN-RECEIVED',
  'ESTABLISHED',
  'FIN-WAIT-1',
  'FIN-WAIT-2',
  'CLOSE-WAIT',
  'CLOSING',
  'LAST-ACK',
  'TIME-WAIT',
] as const

/**
 * Legal next states. Every state may fall to CLOSED (ABORT, a reset, a time-out). SYN-RECEIVED comes from a simultaneous open,
 * or at once by Fast Open (RFC 7413); a common passive open is in it as a SynReceived record, never as a full connection.
 */
const NEXT: readonly (readonly number[])[] = [
  /* CLOSED       */ [State.SYN_SENT, State.SYN_RECEIVED, State.ESTABLISHED],
  /* LISTEN       */ [State.CLOSED],
  /* SYN-SENT     */ [State.SYN_RECEIVED, State.ESTABLISHED, State.CLOSED],
  /* SYN-RECEIVED */ [State.ESTABLISHED, State.FIN_WAIT_1, State.CLOSE_WAIT, State.CLOSED],
  /* ESTABLISHED  */ [State.FIN_WAIT_1, State.CLOSE_WAIT, State.CLOSED],
  /* FIN-WAIT-1   */ [State.FIN_WAIT_2, State.CLOSING, State.TIME_WAIT, State.CLOSED],
  /* FIN-WAIT-2   */ [State.TIME_WAIT, State.CLOSED],
  /* CLOSE-WAIT   */ [State.LAST_ACK, State.CLOSED],
  /* CLOSING      */ [State.TIME_WAIT, State.CLOSED],
  /* LAST-ACK     */ [State.CLOSED],
  /* TIME-WAIT    */ [State.CLOSED],
]

/** True when RFC 9293 knows a way from one state to the other. */
export function isTransition(from: number, to: number): boolean {
  return NEXT[from].includes(to)
}
