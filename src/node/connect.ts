/**
 * The way from `socket.connect(options)` to a raw connection: arguments checked, the name looked up, addresses tried one after the
 * other. With several addresses an attempt that has not succeeded in time makes place for the next one (RFC 8305 in Node's manner:
 * `autoSelectFamily`).
 */
import { isIP } from 'node:net'
import { NetError } from '../base/errors.ts'
import type { SocketOptions as TcpOptions } from '../tcp/api.ts'
import { checkOptions } from '../tcp/socket-options.ts'
import { type Found, type LookupFunction, type LookupOptions, lookupOf } from './deps.ts'
import type { Driver } from './driver.ts'
import {
  badAddress,
  badFamily,
  badState,
  badType,
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNumber,
  checkPort,
  codeOf,
  hostPortError,
  INT32_MAX,
} from './errors.ts'
import { sends } from './loop.ts'
import { anyOf, literal } from './place.ts'
import type { Socket } from './socket.ts'
import type { SocketOptions } from './socket-args.ts'

/** Options of `net.connect`, as Node has them. */
export interface ConnectOptions extends SocketOptions {
  port?: number | string | null
  host?: string
  path?: string
  localAddress?: string
  localPort?: number
  family?: number | 'IPv4' | 'IPv6'
  hints?: number
  lookup?: LookupFunction
  autoSelectFamily?: boolean
  autoSelectFamilyAttemptTimeout?: number
  /** ms without activity before 'timeout'; looked at by `net.connect`. */
  timeout?: number
}

/** One call of `connect`. */
interface Way {
  socket: Socket
  driver: Driver
  port: number
  localAddress: string | undefined
  localPort: number
  attemptMs: number
  signal: AbortSignal | null | undefined
  tapstack: TcpOptions | undefined
}

/** dns.ADDRCONFIG of Linux. */
const ADDRCONFIG = 0x20

/** Checks the options (throws as Node throws) and starts: `socket.connecting` is true. */
export function startConnect(socket: Socket, driver: Driver, options: ConnectOptions): void {
  const { localAddress, localPort } = options
  const host = options.host || 'localhost'
  if (localAddress && isIP(localAddress) === 0) throw badAddress(localAddress)
  if (localPort) checkNumber(localPort, 'options.localPort')
  if (options.port !== undefined && typeof options.port !== 'number' && typeof options.port !== 'string') {
    throw badType('options.port', 'one of type number or string', options.port)
  }
  const port = options.port === undefined ? 0 : checkPort(options.port, 'Port')
  if (options.tapstack !== undefined) checkOptions(options.tapstack)
  if (options.autoSelectFamily !== undefined && options.autoSelectFamily !== null) {
    checkBoolean(options.autoSelectFamily, 'options.autoSelectFamily')
  }
  let attemptMs = driver.context.autoSelect.attemptMs
  if (options.autoSelectFamilyAttemptTimeout !== undefined && options.autoSelectFamilyAttemptTimeout !== null) {
    attemptMs = checkAttemptMs(options.autoSelectFamilyAttemptTimeout, 'options.autoSelectFamilyAttemptTimeout')
  }
  const way: Way = {
    socket,
    driver,
    port,
    localAddress: localAddress || undefined,
    localPort: localPort ?? 0,
    attemptMs,
    signal: options.signal,
    tapstack: options.tapstack,
  }
  const family = isIP(host)
  if (family !== 0) {
    process.nextTick(() => {
      if (socket.connecting) attemptOne({ address: host, family }, way)
    })
    return
  }
  if (options.lookup !== undefined && options.lookup !== null) checkFunction(options.lookup, 'options.lookup')
  lookUp(host, options, way)
}

/** At least 10 ms, as Node has it. */
export function checkAttemptMs(value: unknown, name: string): number {
  checkInteger(value, name, 1, INT32_MAX)
  return value < 10 ? 10 : value
}

function lookUp(host: string, options: ConnectOptions, way: Way): void {
  const { socket, driver } = way
  const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : options.family
  const wanted: LookupOptions = { family, hints: options.hints || 0 }
  if (family !== 4 && family !== 6 && wanted.hints === 0) wanted.hints = ADDRCONFIG
  const lookup = options.lookup ?? lookupOf(driver.context.deps)
  socket._host = host
  const all = family !== 4 && family !== 6 && !way.localAddress && (options.autoSelectFamily ?? driver.context.autoSelect.family)
  if (!all) {
    lookup(host, wanted, (error, address, addressFamily) => {
      socket.emit('lookup', error, address, addressFamily, host)
      if (!socket.connecting) return
      if (error) process.nextTick(fail, socket, error)
      else useOne({ address: address as string, family: addressFamily as number }, options, way)
    })
    return
  }
  wanted.all = true
  lookup(host, wanted, (error, list) => {
    if (!socket.connecting) return
    if (error) {
      socket.emit('lookup', error, undefined, undefined, host)
      process.nextTick(fail, socket, error)
      return
    }
    const found = list as Found[]
    for (const one of found) {
      socket.emit('lookup', null, one.address, one.family, host)
      if (!socket.connecting) return
    }
    const ways = alternate(found)
    if (ways.length > 1) {
      socket.autoSelectFamilyAttemptedAddresses = []
      new Attempts(ways, way).next()
    } else useOne(ways[0] ?? found[0], options, way)
  })
}

/** Usable addresses, each once, families taking turns, the family of the first one first. */
function alternate(found: Found[]): Found[] {
  const sides: [Found[], Found[]] = [[], []]
  let first = 0
  for (const one of found) {
    if (isIP(one.address) === 0 || (one.family !== 4 && one.family !== 6)) continue
    if (first === 0) first = one.family
    const side = sides[one.family === first ? 0 : 1]
    if (!side.some((o) => o.address === one.address)) side.push(one)
  }
  const out: Found[] = []
  for (let i = 0; i < Math.max(sides[0].length, sides[1].length); i++) {
    for (const side of sides) if (i < side.length) out.push(side[i])
  }
  return out
}

function useOne(found: Found, options: ConnectOptions, way: Way): void {
  const { socket } = way
  if (isIP(found.address) === 0) process.nextTick(fail, socket, badAddress(found.address))
  else if (found.family !== 4 && found.family !== 6) {
    process.nextTick(fail, socket, badFamily(found.family, options.host, options.port))
  } else attemptOne(found, way)
}

function fail(socket: Socket, error: Error): void {
  socket.destroy(error)
}

function attemptOne(found: Found, way: Way): void {
  const { socket } = way
  const failed = (error: NetError): void => {
    emitFailed(found, way, error)
    socket.destroy(error)
  }
  const error = attempt(found, way, failed)
  if (error !== null) socket.destroy(error)
}

/** Opens the connection. An error that shows at once is returned, a later one told to `failed`. */
function attempt(found: Found, way: Way, failed: (error: NetError) => void): NetError | null {
  const { socket, driver } = way
  const { address, family } = found
  const { port, localAddress, localPort } = way
  const bound = localAddress !== undefined || localPort !== 0
  driver.attemptFailed = (error) => failed(connectError(error.code, found, way))
  // libuv reads addresses of the socket's own family only.
  if (localAddress !== undefined && isIP(localAddress) !== family) return hostPortError('EINVAL', 'bind', localAddress, localPort)
  // Node looks at which port it got, and that is another.
  if (localPort > 65_535) return hostPortError('EADDRINUSE', 'bind', localAddress ?? anyOf(family as 4 | 6).toString(), localPort)
  if (port === 0) return refuse(found, way)
  let code = ''
  sends()
  try {
    const connection = driver.context.deps.tcp.open(
      {
        ...way.tapstack,
        remoteAddress: literal(driver.context.deps, address),
        remotePort: port,
        localAddress: localAddress === undefined ? undefined : literal(driver.context.deps, localAddress),
        localPort,
        ref: false,
      },
      driver,
    )
    driver.mapped = family === 6 && connection.remoteAddress.isV4
    driver.drive(connection)
  } catch (thrown) {
    code = codeOf(thrown)
    if (bound && (code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL')) {
      return hostPortError(code, 'bind', localAddress ?? anyOf(family as 4 | 6).toString(), localPort)
    }
  }
  socket.emit('connectionAttempt', address, port, family)
  if (code === '') return null
  return hostPortError(code, 'connect', address, port, family === 6 ? ':::0' : '0.0.0.0:0')
}

/** Nobody listens on port 0. TCP does not even ask; a kernel does, and is refused. */
function refuse({ address, family }: Found, { socket, driver, port }: Way): null {
  const { attemptFailed } = driver
  socket.emit('connectionAttempt', address, port, family)
  process.nextTick(() => {
    if (socket.connecting && driver.attemptFailed === attemptFailed) attemptFailed?.(new NetError('ECONNREFUSED'))
  })
  return null
}

function connectError(code: string, found: Found, way: Way): NetError {
  if (way.localAddress === undefined || way.localPort === 0) return hostPortError(code, 'connect', found.address, way.port)
  const error = hostPortError(code, 'connect', found.address, way.port, `${way.localAddress}:${way.localPort}`)
  return Object.assign(error, { localAddress: way.localAddress, localPort: way.localPort })
}

function emitFailed(found: Found, way: Way, error: NetError): void {
  way.socket.emit('connectionAttemptFailed', found.address, way.port, found.family, error)
}

/** Several addresses, one after the other. */
class Attempts {
  private at = 0
  private readonly errors: NetError[] = []

  constructor(
    private readonly list: Found[],
    private readonly way: Way,
  ) {}

  next(): void {
    const { way } = this
    const { socket, driver } = way
    // Of a signal that was aborted before the socket was made, the socket knows nothing any more.
    if (way.signal?.aborted) return
    if (this.at === this.list.length) {
      socket.destroy(this.errors.length === 0 ? badState('ERR_SOCKET_CONNECTION_TIMEOUT') : aggregate(this.errors))
      return
    }
    const found = this.list[this.at++]
    socket.autoSelectFamilyAttemptedAddresses!.push(`${found.address}:${way.port}`)
    const failed = (error: NetError): void => {
      driver.stopAttemptTimer()
      this.errors.push(error)
      if (error.syscall !== 'bind') emitFailed(found, way, error)
      if (socket.connecting) this.next()
    }
    const error = attempt(found, way, failed)
    if (error !== null) failed(error)
    else if (this.at < this.list.length) {
      driver.attemptTimer = setTimeout(() => this.late(found), way.attemptMs)
    }
  }

  private late(found: Found): void {
    const { way } = this
    const { socket, driver } = way
    socket.emit('connectionAttemptTimeout', found.address, way.port, found.family)
    this.errors.push(connectError('ETIMEDOUT', found, way))
    if (!socket.connecting) return
    driver.dropAttempt()
    this.next()
  }
}

/** Node's AggregateError of failed attempts: no words of its own, the code of the first. */
function aggregate(errors: NetError[]): Error {
  return Object.assign(new AggregateError(errors), { code: errors[0].code })
}
