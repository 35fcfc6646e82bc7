/**
 * The engine of a datagram socket: what stands between the emitter and the raw socket, as driver.ts does for TCP.
 */
import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { isIP } from 'node:net'
import type { Address } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../udp/socket.ts'
import { type Found, lookupOf, type NodeDeps, type Owned } from './deps.ts'
import type { DgramOptions, DgramSocket } from './dgram.ts'
import { codeOf, hostPortError } from './errors.ts'
import { place } from './place.ts'

export type SendCallback = (error: Error | null, bytes?: number) => void
export type Queued = () => void

export interface WaitingSend {
  message: Uint8Array
  to: Address | null
  port: number
  name: string | undefined
  callback: SendCallback | undefined
}

/** Linux's wmem_default. */
const SEND_BUFFER_BYTES = 212_992

export const Bind = { UNBOUND: 0, BINDING: 1, BOUND: 2 } as const
export const Link = { DISCONNECTED: 0, CONNECTING: 1, CONNECTED: 2 } as const

export class DgramDriver extends AsyncResource implements UdpHandler, Owned {
  bindState: number = Bind.UNBOUND
  linkState: number = Link.DISCONNECTED
  /** Null once closed. */
  raw: UdpSocket | null
  /** What waits for the binding. */
  queue: Queued[] | null = null
  /** What waits for the link. */
  readonly sends: WaitingSend[] = []
  sendBytes = 0
  sendBufferBytes = SEND_BUFFER_BYTES
  wanted = true
  private held = false
  private readonly arrived = new Datagram(new Uint8Array(0))

  constructor(
    private readonly socket: DgramSocket,
    readonly deps: NodeDeps,
    readonly options: DgramOptions,
  ) {
    super('TAPSTACKUDP')
    const { type, ipv6Only = false, reuseAddr = false } = options
    this.raw = deps.udp.open(this, { family: type === 'udp6' ? 6 : 4, ipv6Only, reuseAddress: reuseAddr, ref: false })
    deps.owned.add(this)
  }

  /** Addresses of both families show as IPv6. */
  get mapped(): boolean {
    return this.options.type === 'udp6'
  }

  update(): void {
    const hold = this.wanted && this.raw !== null && this.bindState === Bind.BOUND
    if (this.raw === null) this.deps.owned.delete(this)
    if (hold === this.held) return
    this.held = hold
    if (hold) this.deps.host.hold()
    else this.deps.host.release()
  }

  end(): void {
    this.queue = null
    this.socket.close()
  }

  onReadable(): void {
    try {
      this.runInAsyncScope(this.emitMessages, this)
    } catch (error) {
      process.nextTick(readAgain, this) // a listener threw: the other datagrams are told later
      throw error
    }
  }

  onWritable(): void {
    while (this.raw !== null && this.sends.length > 0) {
      const next = this.sends[0]
      if (!this.transmit(next)) return
      this.sends.shift()
      this.sendBytes -= next.message.length
    }
  }

  onError(_raw: UdpSocket, error: NetError): void {
    this.runInAsyncScope(this.socket.emit, this.socket, 'error', error)
  }

  /** Now, or when the socket is bound. */
  whenBound(what: Queued): void {
    if (this.bindState === Bind.BOUND) {
      what()
      return
    }
    if (this.queue === null) {
      const { socket } = this
      this.queue = []
      const failed = (): void => {
        socket.removeListener('listening', bound)
        this.queue = null
      }
      const bound = (): void => {
        socket.removeListener(EventEmitter.errorMonitor, failed)
        const queue = this.queue!
        this.queue = null
        for (const one of queue) one()
      }
      socket.once(EventEmitter.errorMonitor, failed)
      socket.once('listening', bound)
    }
    this.queue.push(what)
  }

  private localhost(): string {
    return this.options.type === 'udp4' ? '127.0.0.1' : '::1'
  }

  /** Never calls back before it has returned, except where the application's own lookup does. */
  lookup(name: string, done: (error: Error | null, found: Address | null, name: string) => void): void {
    const family = this.options.type === 'udp4' ? 4 : 6
    const lookup = this.options.lookup ?? lookupOf(this.deps)
    lookup(name, family, (failure, given?: string | Found[]) => {
      let error = failure
      let found: Address | null = null
      const text = error ? name : (given as string)
      if (!error) {
        try {
          found = this.usable(text)
        } catch (thrown) {
          error = thrown as Error
        }
      }
      done(error, found, text)
    })
  }

  /** libuv reads addresses of the socket's own family only. Throws EINVAL. */
  private usable(text: string): Address {
    if (isIP(text) !== (this.options.type === 'udp4' ? 4 : 6)) throw new NetError('EINVAL')
    return this.deps.literal(text)
  }

  /** Binding is done: asks for the address and connects. */
  connect(port: number, name: string, callback: ((error?: Error) => void) | undefined): void {
    const { socket } = this
    if (callback) socket.once('connect', callback)
    this.lookup(name || this.localhost(), (error, to) => {
      if (this.raw === null) return
      let failure = error === null ? null : worded(error, 'connect', name, port)
      if (failure === null) {
        try {
          this.raw.connect(to!, port)
        } catch (thrown) {
          failure = hostPortError(codeOf(thrown), 'connect', name, port)
        }
      }
      if (failure === null) {
        this.linkState = Link.CONNECTED
        process.nextTick(() => socket.emit('connect'))
        return
      }
      this.linkState = Link.DISCONNECTED
      const told = failure
      process.nextTick(() => {
        if (callback) {
          socket.removeListener('connect', callback)
          callback(told)
        } else socket.emit('error', told)
      })
    })
  }

  /** Binding is done: to the peer, or to where the name leads. */
  sendTo(message: Uint8Array, port: number, name: string | undefined, callback: SendCallback | undefined): void {
    if (this.linkState === Link.CONNECTED) {
      this.send({ message, to: null, port, name, callback })
      return
    }
    this.lookup(name || this.localhost(), (error, to) => {
      if (this.raw === null) return
      if (error === null) this.send({ message, to, port, name, callback })
      else if (callback !== undefined) process.nextTick(callback, worded(error, 'send', name ?? '', port))
      else if (codeOf(error) !== 'EINVAL') process.nextTick(() => this.socket.emit('error', error))
    })
  }

  /** Sends now, or when the link has room. */
  send(send: WaitingSend): void {
    if (this.sends.length === 0 && this.transmit(send)) return
    if (this.sendBytes + send.message.length > this.sendBufferBytes) {
      if (send.callback !== undefined) process.nextTick(send.callback, sendError('ENOBUFS', send))
      return
    }
    this.sends.push(send)
    this.sendBytes += send.message.length
  }

  /** False: the link is full. An error goes to the callback; without one nobody hears of it, as in Node. */
  private transmit(send: WaitingSend): boolean {
    const { message, to, port, callback } = send
    try {
      if (!this.raw!.send(message, 0, message.length, to, port)) return false
      if (callback !== undefined) process.nextTick(callback, null, message.length)
    } catch (thrown) {
      if (callback !== undefined) process.nextTick(callback, sendError(codeOf(thrown), send))
    }
    return true
  }

  /** The socket is closed; what still waits for the link is canceled. */
  release(): void {
    this.raw!.close()
    this.raw = null
    this.update()
    this.sendBytes = 0
    for (const send of this.sends.splice(0)) {
      if (send.callback !== undefined) process.nextTick(send.callback, sendError('ECANCELED', send))
    }
  }

  private emitMessages(): void {
    const d = this.arrived
    while (this.raw !== null && this.raw.readable > 0) {
      const message = Buffer.allocUnsafe(this.raw.nextLength)
      d.buf = message
      this.raw.receive(d)
      const { address, family, port } = place(this.deps, d.address, d.port, this.mapped)
      this.socket.emit('message', message, { address, family, port, size: message.length })
    }
  }
}

function readAgain(driver: DgramDriver): void {
  if (driver.raw !== null && driver.raw.readable > 0) driver.onReadable()
}

function sendError(code: string, send: WaitingSend): NetError {
  if (send.name !== undefined) return hostPortError(code, 'send', send.name, send.port)
  return new NetError(code, { syscall: 'send', port: send.port > 0 ? send.port : undefined })
}

/** An address that could not be read, as the call that wanted it words it. */
export function worded(error: Error, syscall: string, name: string, port: number): Error {
  return codeOf(error) === 'EINVAL' ? hostPortError('EINVAL', syscall, name, port) : error
}
