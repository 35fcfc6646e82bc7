/** The application's SEND and RECEIVE (RFC 9293 sections 3.10.2 and 3.10.3): bytes into the send ring, bytes out of the receive ring. */
import { NetError } from '../base/errors.ts'
import { allRead } from './ack-policy.ts'
import type { Connection } from './connection.ts'
import { State } from './state.ts'
import { connectionError, outsideBuffer } from './telling.ts'

export function writeTo(c: Connection, buf: Uint8Array, off: number, len: number): number {
  if (!c.isWritable) throw c.error !== null ? connectionError(c) : new NetError('EPIPE', { syscall: 'write' })
  // Pooled memory holds what others wrote before: bytes that are not the caller's must never leave.
  if (off < 0 || len < 0 || off + len > buf.length) throw outsideBuffer(buf, off, len)
  const { snd } = c
  const n = Math.min(len, snd.room)
  if (n < len) snd.wantWritable = true
  if (n > 0) {
    snd.ring.write(buf, off, n)
    c.bytesWritten += n
    c.tcp.markDirty(c)
  }
  return n
}

export function writeUrgentTo(c: Connection, buf: Uint8Array, off: number, len: number): number {
  const { snd } = c
  const n = writeTo(c, buf, off, len)
  if (n > 0 && n === len) {
    snd.up = (snd.una + snd.ring.length + (c.everConnected ? 0 : 1)) | 0
    snd.urgent = true
  }
  return n
}

export function readFrom(c: Connection, buf: Uint8Array, off: number, len: number): number {
  const n = c.rcv.ring.read(buf, off, len)
  if (n > 0) consumed(c, n)
  return n
}

export function skipFrom(c: Connection, len: number): number {
  const n = Math.min(len, c.rcv.ring.length)
  if (n <= 0) return 0
  c.rcv.ring.drop(n)
  consumed(c, n)
  return n
}

function consumed(c: Connection, n: number): void {
  const { rcv } = c
  c.bytesRead += n
  rcv.consumed(n, c.tcp.clock.nowUs, c.rto.srttUs)
  if (rcv.ring.length === 0) allRead(c)
  if (rcv.urgent && c.urgentBytes <= 0) rcv.urgent = false
  if (rcv.updateDue && !c.isOpening && c.state >= State.ESTABLISHED && c.state <= State.FIN_WAIT_2) {
    rcv.ackNow = true
    c.tcp.markDirty(c)
  }
}
