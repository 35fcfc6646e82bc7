/** A DNS server's UDP: a socket for both families, or one for each interface. Answers leave from the address that was asked. */

import type { Address } from '../../base/address.ts'
import { allocate } from '../../base/arena.ts'
import type { Interface } from '../../ip/interface.ts'
import { Datagram } from '../../udp/receive-queue.ts'
import type { UdpHandler, UdpSocket } from '../../udp/socket.ts'
import { SN } from './counters.ts'
import type { Asker } from './question.ts'
import type { DnsServer } from './server.ts'

/** Longer questions do not exist: a name, and EDNS with a cookie. What is cut off is malformed. */
const LARGEST = 4096

export class UdpSide implements UdpHandler {
  private readonly sockets: UdpSocket[] = []
  private readonly datagram = new Datagram(allocate(LARGEST))
  /** The answer that found the link full; questions wait in the socket's queue until it has left. */
  private held: UdpAsker | null = null

  constructor(private readonly server: DnsServer) {}

  /** Throws NetError EADDRINUSE. */
  open(port: number): void {
    const { udp, interfaces } = this.server.deps
    const open = (iface?: Interface): void => {
      const socket = udp.open(this, { family: 6, ...(iface === undefined ? {} : { iface }) })
      this.sockets.push(socket)
      socket.bind(socket.any, port)
    }
    if (interfaces === null) open()
    else for (const iface of interfaces) open(iface)
  }

  onReadable(socket: UdpSocket): void {
    const { datagram: d, server } = this
    const n = server.counts
    while (this.held === null && socket.receive(d)) {
      if (d.wasToMany) n[SN.dropToMany]++
      else if (d.port === 0) n[SN.dropPortZero]++
      else server.ask(d.buf, d.off, d.off + d.len, new UdpAsker(this, socket, d))
    }
  }

  onWritable(socket: UdpSocket): void {
    const { held } = this
    this.held = null
    if (held !== null) this.send(held)
    for (const one of held === null ? [socket] : this.sockets) this.onReadable(one)
  }

  send(asker: UdpAsker): void {
    const n = this.server.counts
    const { socket, bytes, address, port, local } = asker
    try {
      if (socket.send(bytes, 0, bytes.length, address, port, local)) n[SN.answers]++
      else if (this.held === null) this.held = asker
      else n[SN.dropOut]++
    } catch {
      // No way back to whoever asked, or the socket is closed: nobody to tell.
      n[SN.dropOut]++
    }
  }

  close(): void {
    for (const socket of this.sockets) socket.close()
  }
}

class UdpAsker implements Asker {
  readonly overTcp = false
  readonly address: Address
  readonly local: Address
  readonly port: number
  bytes: Uint8Array = new Uint8Array(0)

  constructor(
    private readonly side: UdpSide,
    readonly socket: UdpSocket,
    from: Datagram,
  ) {
    this.address = from.address.clone()
    this.local = from.localAddress.clone()
    this.port = from.port
  }

  answer(bytes: Uint8Array): void {
    this.bytes = bytes
    this.side.send(this)
  }

  stream(): void {
    throw new Error('there are no rows of messages over UDP')
  }

  dropped(): void {
    // He will ask again.
  }
}
