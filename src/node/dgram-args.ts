/**
 * The many forms of `bind` and `send` of node:dgram, as plain records.
 */
import { badState, badType, checkPort, checkString, outOfBounds, unsupported } from './errors.ts'

export interface BindCall {
  port: number
  /** Whatever was given: the lookup says what it thinks of it. */
  address: unknown
  callback: ((this: unknown) => void) | null
}

export function bindArgs(args: unknown[]): BindCall {
  const last = args[args.length - 1]
  const callback = typeof last === 'function' ? (last as () => void) : null
  const first = args[0]
  if (typeof first === 'object' && first !== null) {
    const options = first as { port?: number; address?: unknown; fd?: number; recvStart?: unknown }
    if (typeof options.recvStart === 'function') throw unsupported('a handle of libuv', 'use node:dgram for it')
    if (typeof options.fd === 'number' && (options.fd | 0) === options.fd && options.fd > 0)
      throw unsupported('binding a file descriptor', 'use node:dgram for it')
    return { port: portOf(options.port), address: options.address || '', callback }
  }
  return {
    port: portOf(typeof first === 'function' ? 0 : first),
    address: typeof args[1] === 'function' ? '' : args[1] || '',
    callback,
  }
}

/** Node leaves the port to the kernel, which takes its low 16 bits; a number out of range is a mistake, and said so here. */
function portOf(value: unknown): number {
  return value === undefined || value === null ? 0 : checkPort(value, 'options.port')
}

export interface SendCall {
  message: Uint8Array
  /** 0 on a connected socket. */
  port: number
  address: string | undefined
  callback: ((error: Error | null, bytes?: number) => void) | undefined
}

const BYTES = 'of type string or an instance of Buffer, TypedArray, or DataView'

/**
 * `(msg, offset, length, port, address, cb)`, `(msg | list, port, address, cb)`; on a connected socket without port and address.
 * Addresses and callbacks may be left out.
 */
export function sendArgs(args: unknown[], connected: boolean): SendCall {
  let [message, offset, length, port, address, callback] = args
  if (connected) {
    if (typeof length === 'number') {
      message = slice(message, offset, length)
      if (typeof port === 'function') {
        callback = port
        port = null
      }
    } else {
      callback = offset
    }
    if (port || address) throw badState('ERR_SOCKET_DGRAM_IS_CONNECTED')
  } else if (address || (port && typeof port !== 'function')) {
    message = slice(message, offset, length)
  } else {
    callback = port
    port = offset
    address = length
  }
  const bytes = Array.isArray(message) ? gather(message) : viewOf(message, 'buffer')
  const number = connected ? 0 : checkPort(port, 'Port', false)
  if (typeof address === 'function') {
    callback = address
    address = undefined
  } else if (address !== undefined && address !== null) checkString(address, 'address')
  return {
    message: bytes,
    port: number,
    address: (address as string | null | undefined) ?? undefined,
    callback: typeof callback === 'function' ? (callback as SendCall['callback']) : undefined,
  }
}

function viewOf(message: unknown, name: string): Uint8Array {
  if (typeof message === 'string') return Buffer.from(message)
  if (!ArrayBuffer.isView(message)) throw badType(name, BYTES, message)
  return message instanceof Uint8Array ? message : new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
}

function slice(message: unknown, offset: unknown, length: unknown): Uint8Array {
  const bytes = viewOf(message, 'buffer')
  const from = Number(offset) >>> 0
  const count = Number(length) >>> 0
  if (from > bytes.length) throw outOfBounds('offset')
  if (from + count > bytes.length) throw outOfBounds('length')
  return bytes.subarray(from, from + count)
}

function gather(list: unknown[]): Uint8Array {
  for (const part of list) {
    if (typeof part !== 'string' && !ArrayBuffer.isView(part)) throw badType('buffer list arguments', BYTES, list)
  }
  return Buffer.concat(list.map((part) => viewOf(part, 'buffer')))
}
