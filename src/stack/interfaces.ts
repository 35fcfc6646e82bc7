/** The interfaces of a stack: how one is put together of a link and the layers above it, and taken apart again. */
import { Arp } from '../arp/arp.ts'
import { Address, LOOPBACK_V6, Prefix } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import { EthernetPort } from '../ethernet/ethernet.ts'
import { addAddress } from '../ip/addresses.ts'
import { Interface } from '../ip/interface.ts'
import { removeInterfaceRoutes } from '../ip/tables.ts'
import type { NetIf } from '../netif/netif.ts'
import { AttachedInterface, type AttachOptions } from './attached.ts'
import { freeName, macFor } from './making.ts'
import { InterfaceSink } from './sink.ts'
import type { Stack } from './stack.ts'
import type { Port } from './turn.ts'

/** Every host is a member (RFC 1112 section 4, RFC 4291 section 2.7.1). */
const ALL_HOSTS = Address.v4(0xe0000001)
const ALL_NODES = new Address(0xff020000 | 0, 0, 0, 1)

export class Interfaces {
  /** Those of the user: the loopback is not among them. */
  readonly attached: AttachedInterface[] = []
  private nextIndex = 1

  constructor(private readonly stack: Stack) {}

  /** What the user holds of an interface; undefined: it is the loopback's, or gone. */
  of(iface: Interface): AttachedInterface | undefined {
    return this.attached.find((a) => a.iface === iface)
  }

  /** See `Stack.attach`. */
  attach(netif: NetIf, options: AttachOptions): AttachedInterface {
    const { attached, stack } = this
    // Caught here, for a turn that meets one is no place to throw: most often the `await` before openLink() is missing.
    if (typeof netif?.receive !== 'function' || typeof netif.attach !== 'function' || typeof netif.send !== 'function') {
      throw invalidArgument('attach: a link is expected, as `await openLink(url)` gives it', 'ERR_INVALID_ARG_TYPE')
    }
    if (attached.some((a) => a.link === netif)) {
      throw new NetError('EBUSY', { message: `${netif.name} is an interface of this stack already` })
    }
    const name = options.name ?? freeName(netif, attached)
    if (attached.some((a) => a.name === name)) throw new NetError('EEXIST', { message: `interface ${name} exists already` })
    if (options.mtu !== undefined && !(options.mtu >= 68 && options.mtu <= netif.mtu)) {
      throw invalidArgument(`mtu ${options.mtu} is not between 68 and the link's ${netif.mtu}`)
    }
    const iface = this.add(netif, { ...options, name }, false)
    stack.turn.rearm()
    return this.of(iface)!
  }

  add(netif: NetIf, options: AttachOptions & { name: string }, isLoopback: boolean): Interface {
    const { stack } = this
    const { ipLayer: ip, turn } = stack
    const ethernet = netif.medium === 'ethernet' ? new EthernetPort(netif, macFor(netif, options.mac, stack.random)) : null
    const iface = new Interface(this.nextIndex++, options.name, netif, ethernet, isLoopback)
    if (options.mtu !== undefined) iface.mtu = options.mtu
    turn.readClock()
    const ipv4 = stack.ipv4.port(iface)
    const ipv6 = stack.ipv6.port(iface)
    iface.groups.join(ALL_HOSTS)
    iface.groups.join(ALL_NODES)
    stack.multicast.add(iface)
    let arp: Arp | null = null
    if (ethernet !== null) {
      const { timers, random, frame, pool } = stack
      arp = new Arp(iface, { timers, clock: turn, random, config: stack.config.arp, frame, pool, listener: stack, ip })
      ethernet.arp = arp
      ethernet.ipv4 = ipv4
      ethernet.ipv6 = ipv6
      iface.neighbors = arp.neighbors
    }
    const port = turn.addPort(netif)
    try {
      netif.attach(new InterfaceSink(stack, iface, port, ipv4, ipv6))
      ip.interfaces.push(iface)
      stack.forwarders.added(iface)
      if (isLoopback) {
        ip.loopback = iface
        addAddress(ip, iface, new Prefix(Address.v4(0x7f000001), 8))
        addAddress(ip, iface, new Prefix(LOOPBACK_V6, 128))
      } else this.attached.push(new AttachedInterface(stack, iface, port, arp, options))
    } catch (error) {
      this.drop(iface, port, arp)
      throw error
    }
    ip.changed()
    return iface
  }

  /** See `Stack.detach`. */
  async detach(attached: AttachedInterface): Promise<void> {
    for (const vlan of [...attached.vlans]) await this.detach(vlan)
    const i = this.attached.indexOf(attached)
    if (i < 0) return
    this.attached.splice(i, 1)
    attached.orphan()
    attached.released()
    this.stack.turn.readClock()
    this.stack.routers.detach(attached.iface) // the last word of a router
    this.drop(attached.iface, attached.port, attached.arp)
    // A server that has no interface any more could not be reached, and would hold the process.
    const { dhcpServers, ipLayer: ip } = this.stack
    for (const server of [...dhcpServers]) if (server.interfaces.every((one) => !ip.interfaces.includes(one))) server.close()
    await attached.link.close()
  }

  private drop(iface: Interface, port: Port, arp: Arp | null): void {
    const { stack } = this
    const { ipLayer: ip } = stack
    iface.up = false
    for (const own of iface.addresses) {
      arp?.acd.remove(own)
      own.lifetime?.end()
    }
    stack.routers.detach(iface)
    stack.nd.detach(iface)
    stack.turn.removePort(port)
    stack.udp.dropInterface(iface)
    stack.multicast.drop(iface)
    removeInterfaceRoutes(ip, iface)
    const i = ip.interfaces.indexOf(iface)
    if (i >= 0) ip.interfaces.splice(i, 1)
    stack.ipv4.dropInterface(iface)
    stack.ipv6.dropInterface(iface)
    iface.neighbors?.clear()
    iface.neighbors6?.clear()
    ip.changed()
  }
}
