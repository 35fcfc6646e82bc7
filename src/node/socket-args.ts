/** What sockets are given: their options, and the forms of `connect`. */
import type { DuplexOptions } from 'node:stream'
import type { SocketOptions as TcpOptions } from '../tcp/api.ts'
import { checkOptions } from '../tcp/socket-options.ts'
import { badValue, checkNumber, unsupported } from './errors.ts'

/** `onread`: received bytes go into a buffer of the caller's. */
export interface OnReadOptions {
  buffer: Uint8Array | (() => Uint8Array)
  /** False stops reading until `resume` or `read`. */
  callback(bytesRead: number, buffer: Uint8Array): boolean
}

/** Options of `new net.Socket`, as Node has them. */
export interface SocketOptions extends Omit<DuplexOptions, 'signal'> {
  readable?: boolean
  writable?: boolean
  captureRejections?: boolean
  noDelay?: boolean
  keepAlive?: boolean
  /** ms before the first keep-alive probe. */
  keepAliveInitialDelay?: number
  onread?: OnReadOptions | null
  signal?: AbortSignal
  fd?: number
  handle?: unknown
  /** Not Node's: socket options of TCP for the connection that `connect` opens, from its SYN on. */
  tapstack?: TcpOptions
}

export function usableOnRead(onread: OnReadOptions | null | undefined): OnReadOptions | null {
  if (typeof onread !== 'object' || onread === null || typeof onread.callback !== 'function') return null
  return onread.buffer instanceof Uint8Array || typeof onread.buffer === 'function' ? onread : null
}

/**
 * What the stream is told, an object of one shape: copies made by spreading are slow to make and slow to read, together half the cost of a socket.
 * Everything that a Duplex looks at is here.
 */
export function streamOptions(given: SocketOptions): DuplexOptions {
  return {
    allowHalfOpen: Boolean(given.allowHalfOpen),
    autoDestroy: true,
    captureRejections: given.captureRejections,
    construct: given.construct,
    decodeStrings: true,
    defaultEncoding: given.defaultEncoding,
    destroy: given.destroy,
    emitClose: false,
    encoding: given.encoding,
    final: given.final,
    highWaterMark: given.highWaterMark,
    read: given.read,
    readable: given.readable,
    readableHighWaterMark: given.readableHighWaterMark,
    signal: undefined, // the socket's own affair: an aborted one destroys at once, and there is nothing to destroy yet
    writable: given.writable,
    writableHighWaterMark: given.writableHighWaterMark,
    write: given.write,
    writev: given.writev,
  } as DuplexOptions
}

export function checkSocketOptions(options: SocketOptions): void {
  if (options.objectMode) throw badValue('options.objectMode', 'is not supported', options.objectMode)
  if (options.readableObjectMode) throw badValue('options.readableObjectMode', 'is not supported', options.readableObjectMode)
  if (options.writableObjectMode) throw badValue('options.writableObjectMode', 'is not supported', options.writableObjectMode)
  if (options.keepAliveInitialDelay !== undefined) checkNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
  if (options.fd !== undefined) throw unsupported('a file descriptor', 'use node:net for it')
  if (options.handle) throw unsupported('a handle of libuv', 'use node:net for it')
  if (options.tapstack !== undefined) checkOptions(options.tapstack)
}
