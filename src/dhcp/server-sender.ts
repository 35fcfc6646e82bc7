/** How the answers of a DHCP server reach their clients (RFC 2131 section 4.1). */
import { Address } from '../base/address.ts'
import type { Interface } from '../ip/interface.ts'
import { type DhcpMessage, MIN_MESSAGE, NAK, writeMessage } from './message.ts'
import { DhcpPort, type PortDependencies, type PortHandler } from './port.ts'
import type { Asked } from './server-asked.ts'
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT } from './wire.ts'

/** What an Ethernet frame has room for behind IP and UDP, whose headers are in the size that option 57 says. */
const LARGEST = 1472
const HEADERS = 28

/** Port 67 on each interface. */
export class ServerSender {
  private readonly ports = new Map<Interface, DhcpPort>()
  private readonly out = new Uint8Array(LARGEST)

  constructor(private readonly deps: PortDependencies) {}

  /** Throws NetError EADDRINUSE. */
  open(iface: Interface, handler: PortHandler): void {
    this.ports.set(iface, new DhcpPort(this.deps, iface, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, handler, true))
  }

  close(): void {
    for (const port of this.ports.values()) port.close()
  }

  /** False: there is no way, or no room. Codes of options that did not fit are put into `leftOut`. */
  send({ m, iface, relay, server }: Asked, r: DhcpMessage, leftOut: number[]): boolean {
    const port = this.ports.get(iface)!
    const { out } = this
    const most = (m.get('maxMessageSize') ?? 0) - HEADERS
    const length = writeMessage(r, out, 0, Math.min(LARGEST, Math.max(MIN_MESSAGE, most)), leftOut)
    const source = iface.has(server) ? server : iface.addresses.find((a) => a.address.isV4)!.address
    const isNak = r.type === NAK
    if (relay !== 0) return port.unicast(out, length, source, Address.v4(relay), DHCP_SERVER_PORT)
    if (!isNak && m.ciaddr !== 0) return port.unicast(out, length, source, Address.v4(m.ciaddr))
    if (isNak || m.broadcast || m.chaddr.length !== 6 || r.yiaddr === 0) return port.broadcast(out, length, source)
    return port.toMac(out, length, source, Address.v4(r.yiaddr), m.chaddr)
  }
}
