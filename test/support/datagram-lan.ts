/** A machine's UDP, in memory and virtual time: sockets with a port of their own, and sockets of a group, as node:dgram has them. */
import type { DatagramSocket, DatagramSource } from '../../src/backend/datagram-link.ts'
import type { VirtualHost } from '../../src/sim/virtual-host.ts'

type Message = (message: Uint8Array, from: DatagramSource) => void

export interface Sent {
  readonly bytes: Uint8Array
  readonly from: number
  readonly to: string
}

export class DatagramLan {
  readonly sockets = new Set<LanSocket>()
  readonly sent: Sent[] = []

  constructor(readonly host: VirtualHost) {}

  /** @param address what others see it send from; @param group hears what is sent to that instead of its own port. */
  socket(address: string, port: number, group?: string): LanSocket {
    const socket = new LanSocket(this, address, port, group)
    this.sockets.add(socket)
    return socket
  }
}

export class LanSocket implements DatagramSocket {
  private readonly heard: Message[] = []

  constructor(
    private readonly lan: DatagramLan,
    readonly address: string,
    readonly port: number,
    private readonly group: string | undefined,
  ) {}

  send(...[message, offset, length, port, address, callback]: Parameters<DatagramSocket['send']>): void {
    if (port === 0) throw new RangeError('Port should be > 0 and < 65536') // as Node does
    const { lan } = this
    const bytes = message.slice(offset, offset + length)
    lan.sent.push({ bytes, from: this.port, to: `${address}:${port}` })
    const task = {
      run: (): void => {
        for (const socket of lan.sockets) if (socket.hears(address, port)) socket.deliver(bytes.slice(), this)
        callback(null)
      },
    }
    lan.host.after(0, task)
  }

  on(event: string, listener: (...args: never[]) => void): void {
    if (event === 'message') this.heard.push(listener as Message)
  }

  close(callback?: () => void): void {
    this.lan.sockets.delete(this)
    callback?.()
  }

  ref(): void {}
  unref(): void {}

  private hears(address: string, port: number): boolean {
    return port === this.port && address === (this.group ?? this.address)
  }

  private deliver(bytes: Uint8Array, { address, port }: LanSocket): void {
    for (const listener of this.heard) listener(bytes, { address, port })
  }
}
