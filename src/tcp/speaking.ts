/** What a connection emits at the end of a turn, in order of urgency: SYN, retransmissions, new data, a probe, a pure ACK. */
import type { Connection } from './connection.ts'
import { Rtx } from './deadlines.ts'
import { synLeft } from './fast-open.ts'
import { Sent } from './sender.ts'
import { State } from './state.ts'
import { News } from './telling.ts'
import { ACK, FIN, SYN } from './wire.ts'

/** What `speak` came to. */
export const Spoken = { DONE: 0, MORE: 1, BLOCKED: 2 } as const

/** Emits what is due, at most `quantum` data segments. Returns one of `Spoken`. */
export function speakConnection(c: Connection, quantum: number): number {
  if (c.state === State.CLOSED) return Spoken.DONE
  const { snd, rcv, tcp } = c
  rcv.early = false
  if (c.routeGeneration !== tcp.ip.generation) c.refreshRoute()
  if (c.synDue) {
    const flags = c.state === State.SYN_SENT ? SYN : SYN | ACK
    if (!tcp.output.syn(c, flags)) return Spoken.BLOCKED
    c.synDue = false
    if (c.fastOpen !== null) synLeft(c, c.fastOpen)
    c.segmentsOut++
    c.synSentUs = tcp.clock.nowUs
    if (c.deadlines.rtx === Rtx.OFF) c.deadlines.armRetransmit()
  }
  if (c.state < State.ESTABLISHED && !c.fastOpen?.handshaking) return Spoken.DONE
  let left = quantum
  for (;;) {
    const sent = snd.next(c, tcp.clock.nowUs, tcp.clock.nowMs)
    if (sent === Sent.NOTHING || sent === Sent.LAST) break
    if (sent === Sent.BLOCKED || --left === 0) {
      snd.noteUse(tcp.clock.nowMs) // who never comes to the end of the window has not filled it
      return sent === Sent.BLOCKED ? Spoken.BLOCKED : Spoken.MORE
    }
  }
  if (c.probeDue) {
    if (!tcp.output.segment(c, (snd.una - 1) | 0, 0, ACK)) return Spoken.BLOCKED
    c.probeDue = false
    c.segmentsOut++
  }
  // A buffer that only grew waits for the next ACK, as what was read does not (calls.ts); unless the peer may be stuck.
  if (rcv.ackNow || (rcv.isTight && rcv.updateDue && !c.isOpening)) {
    const again = tcp.config.finWithAck && rcv.lastAckSent !== rcv.nxt && isFinOut(c)
    if (!tcp.output.segment(c, (snd.nxt - (again ? 1 : 0)) | 0, 0, again ? FIN | ACK : ACK)) return Spoken.BLOCKED
    c.segmentsOut++
  }
  if (c.deadlines.rtx === Rtx.OFF && snd.pending && snd.records === 0 && !c.deadlines.isPacing) c.deadlines.armPersist()
  if (snd.notSentLowat > 0 && snd.wantWritable && snd.isRoomy) {
    snd.wantWritable = false
    c.notify(News.WRITABLE)
  }
  snd.watch(tcp.clock.nowMs)
  return Spoken.DONE
}

/** Our FIN was sent and is not acknowledged. */
function isFinOut(c: Connection): boolean {
  return c.state === State.FIN_WAIT_1 || c.state === State.CLOSING || c.state === State.LAST_ACK
}
