/** What sockets are given: their options, and the forms of `connect`. */
import type { DuplexOptions } from 'node:stream'
import type { SocketOptions as TcpOptions } from '../tcp/api.ts'
import { checkOptions } from '../tcp/socket-options.ts'
import { badValue, checkNumber, unsupported } from './errors.ts'

export interface OnReadOptions {
  buffer: Uint8Array | (() => Uint8Array)
  /** False stops reading until `resume` or `read`. */
  callback(bytesRead: number, buffer: Uint8Array): boolean
}

export interface SocketOptions extends Omit<DuplexOptions, 'signal'> {
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

export function checkSocketOptions(options: SocketOptions): void {
  if (options.objectMode) throw badValue('options.objectMode', 'is not supported', options.objectMode)
  if (options.readableObjectMode) throw badValue('options.readableObjectMode', 'is not supported', options.readableObjectMode)
  if (options.writableObjectMode) throw badValue('options.writableObjectMode', 'is not supported', options.writableObjectMode)
  if (options.keepAliveInitialDelay !== undefined) checkNumber(options.keepAliveInitialDelay, 'options.keepAliveInitialDelay')
  if (options.fd !== undefined) throw unsupported('a file descriptor', 'use node:net for it')
  if (options.handle) throw unsupported('a handle of libuv', 'use node:net for it')
  if (options.tapstack !== undefined) checkOptions(options.tapstack)
}
