/** One of the two ports of DHCPv6 on one interface: hears by a UDP socket, and sends from a link-local address (RFC 8415 section 7.2). */
import { type Address, ANY } from '../base/address.ts'
import { openPort, type PortHandler } from '../dhcp/port.ts'
import type { Interface } from '../ip/interface.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpSocket } from '../udp/socket.ts'
import type { Udp } from '../udp/udp.ts'

/** What UDP carries. */
const LARGEST = 65_527

export class Dhcp6Port {
  private readonly socket: UdpSocket
  private readonly received = new Datagram(new Uint8Array(LARGEST))

  /** Throws NetError EADDRINUSE when a socket has the port here. */
  constructor(
    udp: Udp,
    readonly iface: Interface,
    port: number,
    handler: PortHandler,
    ref: boolean,
  ) {
    this.socket = openPort(udp, 'DHCPv6', { family: 6, ipv6Only: true, iface, ref }, ANY, port, this.received, handler)
    this.socket.multicastAll = false
  }

  /** Hears what is sent to a group. */
  join(group: Address): void {
    this.socket.joinGroup(group, this.iface)
  }

  close(): void {
    this.socket.close()
  }

  /** Sends `buf[0, length)`; link-local addresses and groups are those of this link. `source` null: routing's choice. False: there is no way, or no room. */
  send(buf: Uint8Array, length: number, source: Address | null, destination: Address, port: number): boolean {
    const to = destination.clone()
    if (to.isLinkLocal) to.zone = this.iface.index
    try {
      return this.socket.send(buf, 0, length, to, port, source)
    } catch {
      return false // no route, the address just gone: as if it was lost
    }
  }
}
