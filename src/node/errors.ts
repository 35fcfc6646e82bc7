/**
 * Errors of Node's argument checks and of sockets in the wrong state, with Node's codes, classes and words.
 */
import { format, type InspectOptions, inspect } from 'node:util'
import { NetError, wordsOf } from '../base/errors.ts'

type Coded<E extends Error> = E & { code: string }

function coded<E extends Error>(error: E, code: string): Coded<E> {
  return Object.assign(error, { code })
}

/** How Node's messages show what they got. */
function received(value: unknown): string {
  if (value === null || value === undefined) return `${value}`
  if (typeof value === 'function') return value.name === '' ? 'function ' : `function ${value.name}`
  if (typeof value === 'object') {
    const name = value.constructor?.name
    return name ? `an instance of ${name}` : '[Object: null prototype] {}'
  }
  if (typeof value === 'string') {
    const text = value.length > 28 ? `${value.slice(0, 25)}...` : value
    return `type string (${text.includes("'") ? JSON.stringify(text) : `'${text}'`})`
  }
  return `type ${typeof value} (${typeof value === 'bigint' ? `${value}n` : String(value)})`
}

/** ERR_INVALID_ARG_TYPE. `expected` reads "of type number", "an instance of X", "one of type number or string". */
export function badType(name: string, expected: string, value: unknown): Coded<TypeError> {
  const kind = name.includes('.') ? 'property' : 'argument'
  return coded(new TypeError(`The "${name}" ${kind} must be ${expected}. Received ${received(value)}`), 'ERR_INVALID_ARG_TYPE')
}

/** The longest value that is shown whole. */
const SHOWN_CHARS = 128

/** ERR_INVALID_ARG_VALUE. */
export function badValue(name: string, reason: string, value: unknown): Coded<TypeError> {
  const whole = inspect(value)
  const shown = whole.length > SHOWN_CHARS ? `${whole.slice(0, SHOWN_CHARS)}...` : whole
  const kind = name.includes('.') ? 'property' : 'argument'
  return coded(new TypeError(`The ${kind} '${name}' ${reason}. Received ${shown}`), 'ERR_INVALID_ARG_VALUE')
}

export function outOfRange(name: string, range: string, value: number): Coded<RangeError> {
  return coded(
    new RangeError(`The value of "${name}" is out of range. It must be ${range}. Received ${value}`),
    'ERR_OUT_OF_RANGE',
  )
}

const STATE: Record<string, string> = {
  ERR_SERVER_ALREADY_LISTEN: 'Listen method has been called more than once without closing.',
  ERR_SERVER_NOT_RUNNING: 'Server is not running.',
  ERR_SOCKET_CLOSED: 'Socket is closed',
  ERR_SOCKET_CLOSED_BEFORE_CONNECTION: 'Socket closed before the connection was established',
  ERR_SOCKET_CONNECTION_TIMEOUT: 'Socket connection timeout',
  ERR_SOCKET_ALREADY_BOUND: 'Socket is already bound',
  ERR_SOCKET_DGRAM_IS_CONNECTED: 'Already connected',
  ERR_SOCKET_DGRAM_NOT_CONNECTED: 'Not connected',
  ERR_SOCKET_DGRAM_NOT_RUNNING: 'Not running',
}

/** An operation that the state of a socket or server forbids. */
export function badState(code: keyof typeof STATE): Coded<Error> {
  return coded(new Error(STATE[code]), code)
}

/** Something that node:net can and a stack of its own cannot: a path or a descriptor of the host. */
export function unsupported(what: string, instead: string): NetError {
  return new NetError('ERR_TAPSTACK_UNSUPPORTED', { message: `${what} is not supported by a stack: ${instead}` })
}

export function missingArgs(message: string): Coded<TypeError> {
  return coded(new TypeError(message), 'ERR_MISSING_ARGS')
}

export function badAddress(text: unknown): Coded<TypeError> {
  return coded(new TypeError(format('Invalid IP address: %s', text)), 'ERR_INVALID_IP_ADDRESS')
}

export function badFamily(family: unknown, host: unknown, port: unknown): Coded<RangeError> {
  const error = coded(new RangeError(`Invalid address family: ${family} ${host}:${port}`), 'ERR_INVALID_ADDRESS_FAMILY')
  return Object.assign(error, { host, port })
}

export function checkNumber(value: unknown, name: string): asserts value is number {
  if (typeof value !== 'number') throw badType(name, 'of type number', value)
}

export function checkString(value: unknown, name: string): asserts value is string {
  if (typeof value !== 'string') throw badType(name, 'of type string', value)
}

export function checkBoolean(value: unknown, name: string): asserts value is boolean {
  if (typeof value !== 'boolean') throw badType(name, 'of type boolean', value)
}

export function checkFunction(value: unknown, name: string): void {
  if (typeof value !== 'function') throw badType(name, 'of type function', value)
}

export function checkSignal(value: unknown, name: string): asserts value is AbortSignal {
  if (value === null || typeof value !== 'object' || !('aborted' in value))
    throw badType(name, 'an instance of AbortSignal', value)
}

/** A port as a number: digits are taken too, as Node does. ERR_SOCKET_BAD_PORT. */
export function checkPort(value: unknown, name: string, allowZero = true): number {
  const isText = typeof value === 'string'
  const port = isText && value.trim() === '' ? Number.NaN : Number(typeof value === 'number' || isText ? value : Number.NaN)
  if (port !== port >>> 0 || port > 0xffff || (port === 0 && !allowZero)) {
    const text = `${name} should be ${allowZero ? '>=' : '>'} 0 and < 65536. Received ${received(value)}.`
    throw coded(new RangeError(text), 'ERR_SOCKET_BAD_PORT')
  }
  return port
}

/** Milliseconds of a timeout; more than timers know is cut with a warning. */
export function checkDuration(value: unknown, name: string): number {
  checkNumber(value, name)
  if (value < 0 || !Number.isFinite(value)) throw outOfRange(name, 'a non-negative finite number', value)
  if (value <= INT32_MAX) return value
  process.emitWarning(
    `${value} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${INT32_MAX}.`,
    'TimeoutOverflowWarning',
  )
  return INT32_MAX
}

/** The code of whatever the raw shape threw or told. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : 'EINVAL'
}

/** `connect ECONNREFUSED 10.0.0.1:80`, with `- Local (address:port)` where Node says it. */
export function hostPortError(code: string, syscall: string, address: string, port: number, local?: string): NetError {
  const place = port > 0 ? `${address}:${port}` : address
  const message = `${syscall} ${code} ${place}${local === undefined ? '' : ` - Local (${local})`}`
  return new NetError(code, { syscall, address, port: port > 0 ? port : undefined, message })
}

/** `listen EADDRINUSE: address already in use 10.0.0.2:80`. */
export function listenError(code: string, address: string, port: number): NetError {
  const place = port > 0 ? `${address}:${port}` : address
  return new NetError(code, {
    syscall: 'listen',
    address,
    port: port > 0 ? port : undefined,
    message: `listen ${code}: ${wordsOf(code)} ${place}`,
  })
}

/** An integer from `min` to `max`. */
export function checkInteger(value: unknown, name: string, min: number, max: number): asserts value is number {
  checkNumber(value, name)
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value)
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value)
}

/** The largest signed and unsigned integers of 32 bits. */
export const INT32_MAX = 0x7fffffff
export const UINT32_MAX = 0xffffffff

export function badSocketType(): Coded<TypeError> {
  return coded(new TypeError('Bad socket type specified. Valid types are: udp4, udp6'), 'ERR_SOCKET_BAD_TYPE')
}

export function badBufferSize(): Coded<TypeError> {
  return coded(new TypeError('Buffer size must be a positive integer'), 'ERR_SOCKET_BAD_BUFFER_SIZE')
}

/** Buffer sizes of a socket that is not bound, or closed (EBADF), or too large (EINVAL): Node's SystemError, which shows and sets its `info`. */
export function bufferSizeError(syscall: string, code: 'EBADF' | 'EINVAL'): Coded<Error> {
  const { errno } = new NetError(code)
  const info: Record<string, unknown> = { errno, code, message: wordsOf(code), syscall }
  const error = new Error(`Could not get or set buffer size: ${syscall} returned ${code} (${info.message})`)
  const field = (key: string): PropertyDescriptor => ({
    get: () => info[key],
    set: (value) => {
      info[key] = value
    },
    enumerable: true,
    configurable: true,
  })
  Object.defineProperties(error, {
    name: { value: 'SystemError', writable: true, configurable: true },
    // The stack was written under the name of the class.
    stack: { value: error.stack?.replace(/^Error/, 'SystemError [ERR_SOCKET_BUFFER_SIZE]'), writable: true, configurable: true },
    code: { value: 'ERR_SOCKET_BUFFER_SIZE', enumerable: true, writable: true, configurable: true },
    info: { value: info, enumerable: true, configurable: true },
    errno: field('errno'),
    syscall: field('syscall'),
    [inspect.custom]: {
      value: (_depth: number, options: InspectOptions) => inspect(error, { ...options, getters: true, customInspect: false }),
    },
  })
  return error as Coded<Error>
}

/** `dns.setServers` while questions are under way: Node's words, c-ares' reason. */
export function serversFixed(servers: readonly string[]): Coded<Error> {
  const message = `c-ares failed to set servers: "There are pending queries." [${servers}]`
  return coded(new Error(message), 'ERR_DNS_SET_SERVERS_FAILED')
}

/** `setLocalAddress` of a resolver. */
export function badLocal(message: string): Coded<TypeError> {
  return coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE')
}

export function outOfBounds(name: string): Coded<RangeError> {
  return coded(new RangeError(`"${name}" is outside of buffer bounds`), 'ERR_BUFFER_OUT_OF_BOUNDS')
}
