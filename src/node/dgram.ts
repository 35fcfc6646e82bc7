/**
 * `node:dgram` over UDP in the raw shape.
 *
 * Theory of operation. A socket binds when it is told to, or by its first `send` or `connect`; until the (asynchronous, as in Node)
 * binding is done, what was asked for waits in order. Datagrams leave at once; when the link is full they wait, bounded by the send
 * buffer's size, for `onWritable`. What arrived is emitted in the socket's own async context. A bound socket keeps the process alive
 * unless `unref` was said.
 */
import nodeDgram from 'node:dgram'
import { addAbortListener, EventEmitter } from 'node:events'
import { promisify } from 'node:util'
import { NetError } from '../base/errors.ts'
import type { UdpSocket } from '../udp/socket.ts'
import { adoptable, type Callable, callable } from './callable.ts'
import { udpSocket } from './channels.ts'
import type { LookupFunction, NodeDeps } from './deps.ts'
import { bindArgs, sendArgs } from './dgram-args.ts'
import { Bind, DgramDriver, Link, worded } from './dgram-driver.ts'
import { changeMembership, setInterface } from './dgram-groups.ts'
import {
  badBufferSize,
  badSocketType,
  badState,
  bufferSizeError,
  checkFunction,
  checkInteger,
  checkNumber,
  checkPort,
  checkSignal,
  checkString,
  codeOf,
  hostPortError,
  INT32_MAX,
  missingArgs,
  UINT32_MAX,
} from './errors.ts'
import { showAs } from './face.ts'
import { type Place, place } from './place.ts'

/** The family of a socket, by Node's words. */
export type SocketType = 'udp4' | 'udp6'

/** Options of `createSocket`, as Node has them. */
export interface DgramOptions {
  type: SocketType
  reuseAddr?: boolean
  ipv6Only?: boolean
  recvBufferSize?: number
  sendBufferSize?: number
  lookup?: LookupFunction
  signal?: AbortSignal
}

/** Who sent a datagram; `size` in bytes. */
export interface RemoteInfo extends Place {
  /** Payload bytes. */
  size: number
}

/** A listener of `message`. */
export type MessageListener = (message: Buffer, rinfo: RemoteInfo) => void

const inside = Symbol('tapstack')

/** A `dgram.Socket` on the stack. docs/dgram.md says what differs. */
export class DgramSocket extends adoptable(EventEmitter) {
  readonly type: SocketType
  private readonly [inside]: DgramDriver

  constructor(deps: NodeDeps, given: SocketType | DgramOptions, listener?: MessageListener) {
    super()
    const options: DgramOptions = typeof given === 'object' && given !== null ? { ...given } : { type: given }
    if (options.recvBufferSize) checkInteger(options.recvBufferSize, 'options.recvBufferSize', 0, UINT32_MAX)
    if (options.sendBufferSize) checkInteger(options.sendBufferSize, 'options.sendBufferSize', 0, UINT32_MAX)
    if (options.lookup !== undefined) checkFunction(options.lookup, 'lookup')
    if (options.type !== 'udp4' && options.type !== 'udp6') throw badSocketType()
    this.type = options.type
    this[inside] = new DgramDriver(this, deps, options)
    if (typeof listener === 'function') this.on('message', listener)
    const { signal } = options
    if (signal !== undefined) {
      checkSignal(signal, 'options.signal')
      const aborted = (): void => {
        if (this[inside].raw !== null) this.close()
      }
      if (signal.aborted) aborted()
      else this.once('close', addAbortListener(signal, aborted)[Symbol.dispose])
    }
    if (udpSocket.hasSubscribers) udpSocket.publish({ socket: this })
  }

  /** `(port, address, cb)`, any of them left out, or `(options, cb)`. 'listening' follows. */
  bind(...args: unknown[]): this {
    const state = running(this)
    if (state.bindState !== Bind.UNBOUND) throw badState('ERR_SOCKET_ALREADY_BOUND')
    const { port, address, callback } = bindArgs(args)
    state.bindState = Bind.BINDING
    if (callback !== null) {
      const forget = (): void => {
        this.removeListener('error', forget)
        this.removeListener('listening', listening)
      }
      const listening = (): void => {
        forget()
        callback.call(this)
      }
      this.on('error', forget)
      this.on('listening', listening)
    }
    state.lookup((address as string) || (this.type === 'udp4' ? '0.0.0.0' : '::'), (error, local, name) => {
      if (state.raw === null) return
      if (error === null) {
        try {
          state.raw.bind(local!, port)
          state.bindState = Bind.BOUND
          if (state.options.recvBufferSize) state.raw.receiveBufferBytes = state.options.recvBufferSize
          if (state.options.sendBufferSize) state.sendBufferBytes = state.options.sendBufferSize
          state.update()
          this.emit('listening')
          return
        } catch (thrown) {
          if (state.bindState === Bind.BOUND) throw thrown // a listener's
          error = hostPortError(codeOf(thrown), 'bind', name, port)
        }
      }
      state.bindState = Bind.UNBOUND
      this.emit('error', worded(error, 'bind', name, port))
    })
    return this
  }

  /** Sends to and hears only this peer from now on. 'connect' follows, or the callback gets the error. */
  connect(port: unknown, address?: unknown, callback?: unknown): void {
    const to = checkPort(port, 'Port', false)
    const done = typeof address === 'function' ? address : callback
    const name = typeof address === 'function' || address === undefined ? '' : address
    checkString(name, 'address')
    const state = running(this)
    if (state.linkState !== Link.DISCONNECTED) throw badState('ERR_SOCKET_DGRAM_IS_CONNECTED')
    state.linkState = Link.CONNECTING
    if (state.bindState === Bind.UNBOUND) this.bind({ port: 0 })
    state.whenBound(() => state.connect(to, name, done as ((error?: Error) => void) | undefined))
  }

  disconnect(): void {
    const state = running(this)
    if (state.linkState !== Link.CONNECTED) throw badState('ERR_SOCKET_DGRAM_NOT_CONNECTED')
    state.raw!.disconnect()
    state.linkState = Link.DISCONNECTED
  }

  /** All of Node's forms: `(msg | list, [offset, length,] [port, [address,]] [callback])`. */
  send(...args: unknown[]): void {
    const connected = this[inside].linkState === Link.CONNECTED
    const { message, port, address, callback } = sendArgs(args, connected)
    const state = running(this)
    if (state.bindState === Bind.UNBOUND) this.bind({ port: 0 })
    state.whenBound(() => state.sendTo(message, port, address, callback))
  }

  /** An old name of `send`: all of its arguments are needed. */
  sendto(buffer: unknown, offset: unknown, length: unknown, port: unknown, address: unknown, callback?: unknown): void {
    checkNumber(offset, 'offset')
    checkNumber(length, 'length')
    checkNumber(port, 'port')
    checkString(address, 'address')
    this.send(buffer, offset, length, port, address, callback)
  }

  close(callback?: () => void): this {
    const state = this[inside]
    if (typeof callback === 'function') this.on('close', callback)
    if (state.queue !== null) {
      state.queue.push(() => this.close())
      return this
    }
    running(this)
    state.release()
    process.nextTick(() => this.emit('close'))
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this[inside].raw !== null) await promisify(this.close).call(this)
  }

  address(): Place {
    const raw = bound(this, 'getsockname')
    return place(this[inside].deps, raw.localAddress, raw.localPort, this.type === 'udp6')
  }

  remoteAddress(): Place {
    const state = running(this)
    if (state.linkState !== Link.CONNECTED) throw badState('ERR_SOCKET_DGRAM_NOT_CONNECTED')
    return place(state.deps, state.raw!.remoteAddress, state.raw!.remotePort, this.type === 'udp6')
  }

  setBroadcast(on: boolean): void {
    bound(this, 'setBroadcast').broadcast = Boolean(on)
  }

  setTTL(ttl: number): number {
    const n = hops(ttl, 'setTTL', 1)
    bound(this, 'setTTL').ttl = n
    return ttl
  }

  setMulticastTTL(ttl: number): number {
    const n = hops(ttl, 'setMulticastTTL', 0)
    bound(this, 'setMulticastTTL').multicastTtl = n
    return ttl
  }

  /** Whether what is sent to a group comes back to the stack's own sockets. Returns what it was given. */
  setMulticastLoopback<T>(on: T): T {
    bound(this, 'setMulticastLoopback').multicastLoop = Boolean(on)
    return on
  }

  /** Where groups are sent by: an IPv4 address of the interface (`0.0.0.0`: routing's choice), or `::%eth0`. */
  setMulticastInterface(interfaceAddress: string): void {
    const state = running(this)
    checkString(interfaceAddress, 'interfaceAddress')
    setInterface(state.raw!, 'setMulticastInterface', interfaceAddress)
  }

  /** Joins a group, on the interface with that address (`::%eth0` for IPv6). A socket that is not bound is bound to some port. */
  addMembership(multicastAddress: string, multicastInterface?: string): void {
    changeGroup(this, 'addMembership', multicastAddress, multicastInterface, true)
  }

  dropMembership(multicastAddress: string, multicastInterface?: string): void {
    changeGroup(this, 'dropMembership', multicastAddress, multicastInterface, false)
  }

  /** Joins a group for one source; again for another. */
  addSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void {
    changeSource(this, 'addSourceSpecificMembership', sourceAddress, groupAddress, multicastInterface, true)
  }

  dropSourceSpecificMembership(sourceAddress: string, groupAddress: string, multicastInterface?: string): void {
    changeSource(this, 'dropSourceSpecificMembership', sourceAddress, groupAddress, multicastInterface, false)
  }

  setRecvBufferSize(bytes: number): void {
    const raw = boundForSize(this, 'uv_recv_buffer_size', bytes)
    if (bytes > 0) raw.receiveBufferBytes = bytes
  }

  setSendBufferSize(bytes: number): void {
    boundForSize(this, 'uv_send_buffer_size', bytes)
    if (bytes > 0) this[inside].sendBufferBytes = bytes
  }

  getRecvBufferSize(): number {
    return boundForSize(this, 'uv_recv_buffer_size', 0).receiveBufferBytes
  }

  getSendBufferSize(): number {
    boundForSize(this, 'uv_send_buffer_size', 0)
    return this[inside].sendBufferBytes
  }

  /** Bytes that wait for the link. */
  getSendQueueSize(): number {
    return this[inside].sendBytes
  }

  /** Datagrams that wait for the link. */
  getSendQueueCount(): number {
    return this[inside].sends.length
  }

  ref(): this {
    this[inside].wanted = true
    this[inside].update()
    return this
  }

  unref(): this {
    this[inside].wanted = false
    this[inside].update()
    return this
  }
}

function changeGroup(socket: DgramSocket, syscall: string, group: string, iface: string | undefined, join: boolean): void {
  const { raw } = running(socket)
  if (!group) throw missingArgs('The "multicastAddress" argument must be specified')
  changeMembership(raw!, syscall, group, null, iface, join)
}

function changeSource(
  socket: DgramSocket,
  syscall: string,
  source: string,
  group: string,
  iface: string | undefined,
  join: boolean,
): void {
  const { raw } = running(socket)
  checkString(source, 'sourceAddress')
  checkString(group, 'groupAddress')
  changeMembership(raw!, syscall, group, source, iface, join)
}

function running(socket: DgramSocket): DgramDriver {
  const state = socket[inside]
  if (state.raw === null) throw badState('ERR_SOCKET_DGRAM_NOT_RUNNING')
  return state
}

/** Hops as libuv reads them, whose check comes before that of the descriptor. */
function hops(ttl: number, syscall: string, least: 0 | 1): number {
  checkNumber(ttl, 'ttl')
  const n = ttl | 0
  if (n < least || n > 255) throw new NetError('EINVAL', { syscall })
  return n
}

/** The descriptor does not exist before the binding, which joining a group does as well. */
function bound(socket: DgramSocket, syscall: string): UdpSocket {
  const state = running(socket)
  if (state.raw!.localPort === 0) throw new NetError('EBADF', { syscall })
  return state.raw!
}

/** `bytes` 0 asks for the size and changes nothing, as in libuv. */
function boundForSize(socket: DgramSocket, syscall: string, bytes: number): UdpSocket {
  if (bytes >>> 0 !== bytes) throw badBufferSize()
  if (bytes > INT32_MAX) throw bufferSizeError(syscall, 'EINVAL')
  const state = socket[inside]
  if (state.raw === null || state.bindState !== Bind.BOUND) throw bufferSizeError(syscall, 'EBADF')
  return state.raw
}

export type DgramConstructor = Callable<[type: SocketType | DgramOptions, listener?: MessageListener], DgramSocket>

/** `stack.dgram`: node:dgram on the stack. */
export interface DgramModule {
  readonly Socket: DgramConstructor
  createSocket(type: SocketType | DgramOptions, listener?: MessageListener): DgramSocket
}

export function createDgram(deps: NodeDeps): DgramModule {
  class StackDgramSocket extends DgramSocket {
    constructor(type: SocketType | DgramOptions, listener?: MessageListener) {
      super(deps, type, listener)
    }
  }
  const Socket: DgramConstructor = callable('Socket', StackDgramSocket)
  showAs(Socket, nodeDgram.Socket)
  return { Socket, createSocket: (type, listener) => new Socket(type, listener) }
}
