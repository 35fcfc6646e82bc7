/** Port 547 on one interface: hears what clients and relays send to the groups of servers, or to us. */
import { type Address, ANY } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import type { PortHandler } from '../dhcp/port.ts'
import type { Interface } from '../ip/interface.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpSocket } from '../udp/socket.ts'
import type { Udp } from '../udp/udp.ts'
import { ALL_RELAYS_AND_SERVERS, ALL_SERVERS, DHCP6_SERVER_PORT } from './wire.ts'

/** Messages have a few hundred bytes; with as many relays as there can be, a few thousand. What is longer is cut, and malformed then. */
const LARGEST = 16_384

export class ServerPort6 {
  private readonly socket: UdpSocket
  private readonly received = new Datagram(new Uint8Array(LARGEST))

  /** Throws NetError EADDRINUSE when a socket has the port here. */
  constructor(
    udp: Udp,
    readonly iface: Interface,
    handler: PortHandler,
  ) {
    const { received } = this
    const onReadable = (socket: UdpSocket): void => {
      while (!socket.closed && socket.receive(received)) handler.datagram(received.buf, received.len, received)
      handler.heardAll?.()
    }
    this.socket = udp.open({ onReadable }, { family: 6, ipv6Only: true, iface, ref: true })
    this.socket.multicastAll = false
    try {
      this.socket.bind(ANY, DHCP6_SERVER_PORT)
      for (const group of [ALL_RELAYS_AND_SERVERS, ALL_SERVERS]) this.socket.joinGroup(group, iface)
    } catch (error) {
      this.socket.close()
      const message = `DHCPv6 on ${iface.name} needs UDP port ${DHCP6_SERVER_PORT}, which is in use`
      throw new NetError('EADDRINUSE', { message, port: DHCP6_SERVER_PORT, cause: error })
    }
  }

  close(): void {
    this.socket.close()
  }

  /** False: there is no way, or no room: as if it was lost. */
  send(bytes: Uint8Array, to: Address, port: number, source: Address | null): boolean {
    try {
      return this.socket.send(bytes, 0, bytes.length, to, port, source)
    } catch {
      return false
    }
  }
}
