/** UDP of a stack with the web's shape beside the raw one: `bind` gives a socket with streams. */

import { NetError } from '../base/errors.ts'
import type { Interface } from '../ip/interface.ts'
import { parseScoped } from '../ip/zone.ts'
import type { UdpHandler, UdpSocket } from '../udp/socket.ts'
import { Udp } from '../udp/udp.ts'
import { portOf } from './errors.ts'
import { type WebUdpOptions, WebUdpSocket } from './udp-socket.ts'

export class WebUdp extends Udp {
  private readonly bound = new Set<WebUdpSocket>()

  /**
   * `stack.udp.bind({ port: 7 })`: a socket of the family of its `hostname` or `remote`, else of `family` (4). Throws NetError: EADDRINUSE, EADDRNOTAVAIL,
   * ENODEV, ENETUNREACH and its like for a `remote`, EINVAL for what is no group; SocketError ERR_INVALID_ARG_VALUE for a port that cannot be.
   */
  bind(options: WebUdpOptions = {}): WebUdpSocket {
    const port = portOf(options.port ?? 0, 0)
    const socket = new WebUdpSocket(
      this.ip,
      (handler) => this.opened(options, port, handler),
      options,
      (s) => this.bound.delete(s),
    )
    this.bound.add(socket)
    return socket
  }

  private opened(options: WebUdpOptions, port: number, handler: UdpHandler): UdpSocket {
    const { hostname, remote, groups = [], ipv6Only, reuseAddress, ref } = options
    const local = hostname === undefined ? null : parseScoped(this.ip, hostname)
    const peer = remote === undefined ? null : parseScoped(this.ip, remote.address)
    const family = options.family ?? (local ?? peer)?.family ?? 4
    const iface = options.interface === undefined ? undefined : this.named(options.interface)
    const raw = this.open(handler, { family, ipv6Only, reuseAddress, ref, iface })
    try {
      const { receiveBufferBytes, broadcast, ttl, multicastTtl, multicastLoop } = options
      if (receiveBufferBytes !== undefined) raw.receiveBufferBytes = receiveBufferBytes
      if (broadcast !== undefined) raw.broadcast = broadcast
      if (ttl !== undefined) raw.ttl = ttl
      if (multicastTtl !== undefined) raw.multicastTtl = multicastTtl
      if (multicastLoop !== undefined) raw.multicastLoop = multicastLoop
      raw.bind(local ?? raw.any, port)
      if (peer !== null) raw.connect(peer, portOf(remote!.port, 1))
      for (const group of groups) raw.joinGroup(group, options.interface ?? null)
    } catch (error) {
      raw.close()
      throw error
    }
    return raw
  }

  private named(name: string): Interface {
    const iface = this.ip.interfaces.find((i) => i.name === name)
    if (iface === undefined) throw new NetError('ENODEV', { syscall: 'bind', address: name })
    return iface
  }

  override close(): void {
    for (const socket of [...this.bound]) socket.over(null)
    super.close()
  }
}
