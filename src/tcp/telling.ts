/** What a connection tells its application, in the tell step of the turn. */
import { invalidArgument, NetError } from '../base/errors.ts'
import type { ConnectionHandler } from './api.ts'
import type { Connection } from './connection.ts'
import { State } from './state.ts'

/** Bits of `Connection.news`. */
export const News = { CONNECT: 1, READABLE: 2, WRITABLE: 4, URGENT: 8, CLOSE: 16, STALLED: 32 } as const

export const NO_HANDLER: ConnectionHandler = {}

/** Calls the handler for everything that is new, in an order that an application can follow. */
export function tellHandler(c: Connection): void {
  try {
    if (!c.orphan) {
      if (take(c, News.CONNECT)) c.handler.onConnect?.(c)
      if (!c.orphan && take(c, News.URGENT)) c.handler.onUrgent?.(c, c.urgentBytes)
      if (!c.orphan && take(c, News.READABLE)) c.handler.onReadable?.(c)
      if (!c.orphan && take(c, News.WRITABLE) && c.state !== State.CLOSED) c.handler.onWritable?.(c)
      if (!c.orphan && take(c, News.STALLED) && c.state !== State.CLOSED) c.handler.onStalled?.(c)
    }
    if (c.orphan) c.news &= News.CLOSE
    if (take(c, News.CLOSE)) {
      const handler = c.handler
      c.handler = NO_HANDLER
      try {
        handler.onClose?.(c, c.error === null || handler.onClose === undefined ? null : connectionError(c))
      } finally {
        if (c.error !== null) c.rcv.release()
      }
    }
  } finally {
    if (c.news !== 0) c.tcp.tell.add(c) // a handler threw: what it did not hear is told next time
  }
}

function take(c: Connection, bit: number): boolean {
  if ((c.news & bit) === 0) return false
  c.news &= ~bit
  return true
}

/** The error of a connection that broke, in Node's words. */
export function connectionError(c: Connection): NetError {
  const code = c.error!
  const place = c.everConnected
    ? { syscall: 'read' }
    : { syscall: 'connect', address: c.remoteAddress.toString(), port: c.remotePort }
  return new NetError(code, place)
}

/** A range that the caller's buffer does not have: taking it would send memory that is not the caller's. */
export function outsideBuffer(buf: Uint8Array, off: number, len: number): NetError {
  return invalidArgument(`${len} bytes at ${off} lie outside the buffer of ${buf.length}`, 'ERR_OUT_OF_RANGE')
}
