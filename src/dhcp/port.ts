/**
 * One of the two ports of DHCP on one interface: hears by a UDP socket, and sends in the ways that hosts without an address need
 * (RFC 2131 section 4.1): from 0.0.0.0 to everybody, to a link address whose IP address is not in use yet, and as everybody sends.
 */
import { Address, ANY_V4 } from '../base/address.ts'
import { copyBytes, get16, get32, put16 } from '../base/bytes.ts'
import { checksum } from '../base/checksum.ts'
import { NetError } from '../base/errors.ts'
import type { Interface } from '../ip/interface.ts'
import type { Ip } from '../ip/ip.ts'
import { PROTO_UDP } from '../ip/packet.ts'
import { pseudoSum } from '../ip/pseudo-header.ts'
import { Route } from '../ip/route.ts'
import { type Frame, PAYLOAD_AT } from '../netif/frame.ts'
import { Datagram } from '../udp/receive-queue.ts'
import type { UdpOptions, UdpSocket } from '../udp/socket.ts'
import type { Udp } from '../udp/udp.ts'
import { UDP, UDP_HEADER } from '../udp/wire.ts'

/** What sends past routing and neighbours: IPv4. */
export interface OnLinkSender {
  outputOnLink(
    frame: Frame,
    iface: Interface,
    source: Address,
    destination: Address,
    protocol: number,
    macHigh: number,
    macLow: number,
  ): boolean
}

export interface PortDependencies {
  udp: Udp
  ip: Ip
  ipv4: OnLinkSender
  /** The stack's transmit frame. */
  frame: Frame
  /** Something was sent outside a turn. */
  wake: () => void
}

/** Gets what comes in, from the tell step of a turn: `buf[0, length)` is lent. */
export interface PortHandler {
  datagram(buf: Uint8Array, length: number, from: Datagram): void
  /** That was all that had come in. */
  heardAll?(): void
}

const LIMITED_BROADCAST = Address.v4(-1)
/** A DHCP message in the largest Ethernet frames that are not jumbo has 1472 bytes; larger ones come from nobody. */
const LARGEST = 4096

/** A socket at a port of `protocol` on one interface, whose datagrams `handler` hears, read into `received`. Throws NetError EADDRINUSE. */
export function openPort(
  udp: Udp,
  protocol: string,
  options: UdpOptions & { iface: Interface },
  any: Address,
  port: number,
  received: Datagram,
  handler: PortHandler,
): UdpSocket {
  const onReadable = (socket: UdpSocket): void => {
    while (!socket.closed && socket.receive(received)) handler.datagram(received.buf, received.len, received)
    handler.heardAll?.()
  }
  const socket = udp.open({ onReadable }, options)
  try {
    socket.bind(any, port)
    return socket
  } catch (error) {
    socket.close()
    const message = `${protocol} on ${options.iface.name} needs UDP port ${port}, which is in use`
    throw new NetError('EADDRINUSE', { message, port, cause: error })
  }
}

export class DhcpPort {
  private readonly socket: UdpSocket
  private readonly received = new Datagram(new Uint8Array(LARGEST))
  private readonly route = new Route()
  private readonly macBytes = new Uint8Array(6)

  /** Throws NetError EADDRINUSE when a socket has the port here. */
  constructor(
    private readonly deps: PortDependencies,
    readonly iface: Interface,
    private readonly port: number,
    private readonly peerPort: number,
    handler: PortHandler,
    ref: boolean,
  ) {
    this.socket = openPort(deps.udp, 'DHCP', { iface, ref }, ANY_V4, port, this.received, handler)
    this.socket.broadcast = true
  }

  close(): void {
    this.socket.close()
  }

  /** To everybody on the link. `source`: ANY_V4 for who has none. False: the link is full or down. */
  broadcast(buf: Uint8Array, length: number, source: Address): boolean {
    return this.output(buf, length, source, LIMITED_BROADCAST, 0xffff, -1)
  }

  /** To a host whose link address is known and whose IP address is not its own yet: ARP would not find it. */
  toMac(buf: Uint8Array, length: number, source: Address, destination: Address, mac: Uint8Array): boolean {
    this.macBytes.set(mac.subarray(0, 6))
    return this.output(buf, length, source, destination, get16(this.macBytes, 0), get32(this.macBytes, 2))
  }

  /** As everybody sends, by routes and neighbours. False: there is no way, or no room. */
  unicast(buf: Uint8Array, length: number, source: Address, destination: Address, port = this.peerPort): boolean {
    try {
      return this.socket.send(buf, 0, length, destination, port, source)
    } catch {
      return false // no route, the address just gone: as if it was lost
    }
  }

  /** Whether `unicast` leaves at once: the link address of the next hop is known. */
  reaches(destination: Address, source: Address): boolean {
    return this.deps.ip.route(destination, source, this.iface, this.route) === null && this.route.neighbor?.usable === true
  }

  private output(buf: Uint8Array, length: number, source: Address, to: Address, macHigh: number, macLow: number): boolean {
    const frame = this.deps.frame.reset()
    const at = PAYLOAD_AT - UDP_HEADER
    frame.start = at
    frame.end = PAYLOAD_AT + length
    copyBytes(buf, 0, frame.buf, PAYLOAD_AT, length)
    put16(frame.buf, at + UDP.sourcePort, this.port)
    put16(frame.buf, at + UDP.destinationPort, this.peerPort)
    put16(frame.buf, at + UDP.length, UDP_HEADER + length)
    put16(frame.buf, at + UDP.checksum, 0)
    const sum = pseudoSum(source, to, PROTO_UDP, UDP_HEADER + length)
    put16(frame.buf, at + UDP.checksum, checksum(frame.buf, at, UDP_HEADER + length, sum) || 0xffff)
    const taken = this.deps.ipv4.outputOnLink(frame, this.iface, source, to, PROTO_UDP, macHigh, macLow)
    this.deps.wake()
    return taken
  }
}
