/**
 * What an interface has by itself, and from whom: routers (autoconf.ts), DHCP (dhcp.ts), DHCPv6 (dhcp6.ts).
 *
 * Routers say whether there is DHCPv6 (RFC 4861 section 4.2): an interface with `slaac` that says nothing of `dhcp6` does as they say. M begins a
 * client that asks for an address, O one that asks for the rest; what has begun goes on when a router says otherwise, as with
 * networkd and NetworkManager.
 */
import type { NetError } from '../base/errors.ts'
import type { InterfaceAddress } from '../ip/interface.ts'
import type { AttachOptions } from './attach-options.ts'
import type { AttachedInterface } from './attached.ts'
import { Autoconf } from './autoconf.ts'
import { DhcpInterface } from './dhcp.ts'
import { Dhcp6Interface } from './dhcp6.ts'
import type { Stack } from './stack.ts'

export class Configuring {
  dhcp: DhcpInterface | null = null
  dhcp6: Dhcp6Interface | null = null
  private autoconf: Autoconf | null = null
  /** DHCPv6 as routers say. */
  private byRouters = false
  private isStateful = false

  constructor(
    private readonly stack: Stack,
    private readonly attached: AttachedInterface,
    private readonly options: AttachOptions,
  ) {}

  /** Whether any of it needs IPv6. */
  get wantsIpv6(): boolean {
    const { slaac, acceptRa, dhcp6 = false } = this.options
    return slaac === true || acceptRa === true || dhcp6 !== false
  }

  /** Begins all that is asked for; each of them is waited for. Throws NetError EOPNOTSUPP, EADDRINUSE, ERR_INVALID_ARG_VALUE. */
  start(): Promise<void>[] {
    const { stack, attached, options } = this
    const { slaac = false, acceptRa = false, dhcp = false, dhcp6, metric = 0, probe } = options
    this.byRouters = slaac && dhcp6 === undefined
    const out: Promise<void>[] = []
    if (slaac || acceptRa) {
      const nd = attached.neighborDiscovery('listen to routers')
      const probing = probe ?? stack.config.nd.dadTransmits > 0
      const said = (managed: boolean, other: boolean): void => this.routersSay(managed, other)
      this.autoconf = new Autoconf(stack, attached.iface, nd, slaac, probing, said)
      out.push(this.autoconf.ready)
    }
    if (dhcp !== false) {
      this.dhcp = new DhcpInterface(stack, attached, dhcp === true ? {} : dhcp, metric)
      out.push(this.dhcp.ready)
    }
    if (dhcp6 !== undefined && dhcp6 !== false) out.push(this.startDhcp6(dhcp6 === true ? {} : dhcp6).ready)
    return out
  }

  linkChanged(up: boolean): void {
    this.dhcp?.linkChanged(up)
    this.dhcp6?.linkChanged(up)
  }

  addressReady(own: InterfaceAddress): void {
    this.dhcp?.addressReady(own)
    this.dhcp6?.addressReady(own)
  }

  /** True: whose address it was finds another. */
  addressConflict(own: InterfaceAddress): boolean {
    return this.dhcp?.addressConflict(own) === true || this.dhcp6?.addressConflict(own) === true
  }

  /** What was given is given back, and what waits fails. */
  close(error: NetError): void {
    this.byRouters = false
    this.autoconf?.failed(error)
    this.dhcp?.close()
    this.dhcp6?.close()
  }

  private startDhcp6(options: Exclude<AttachOptions['dhcp6'], boolean | undefined>): Dhcp6Interface {
    const { probe } = this.options
    this.dhcp6 = new Dhcp6Interface(this.stack, this.attached, { probe, ...options }, () => this.autoconf?.usable())
    return this.dhcp6
  }

  /** From an advertisement that is being heard: nothing is sent before a timer. */
  private routersSay(managed: boolean, other: boolean): void {
    if (!this.byRouters || !(managed || other)) return
    if (this.dhcp6 !== null) {
      if (this.isStateful || !managed) return
      this.dhcp6.close()
    }
    this.isStateful = managed
    try {
      this.startDhcp6({ stateless: !managed })
    } catch (error) {
      this.byRouters = false // the port is in use: somebody else asks
      this.stack.host.uncaught(error)
    }
  }
}
