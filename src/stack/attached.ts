/** An attached interface as its user holds it: `eth0` of `const eth0 = stack.attach(link, ...)`. */
import type { Arp } from '../arp/arp.ts'
import type { Address, Prefix } from '../base/address.ts'
import { invalidArgument, NetError } from '../base/errors.ts'
import type { Lease } from '../dhcp/lease.ts'
import type { Lease6 } from '../dhcp6/lease.ts'
import { formatMac } from '../ethernet/mac.ts'
import type { AddressNotes, Interface, InterfaceAddress } from '../ip/interface.ts'
import { addressOn, prefixOn, scopedText } from '../ip/zone.ts'
import { IP6_MIN_MTU } from '../ipv6/wire.ts'
import type { AdvertiseOptions } from '../nd/advertise-options.ts'
import type { NdInterface } from '../nd/nd-interface.ts'
import type { NetIf } from '../netif/netif.ts'
import type { AddressOptions, AttachOptions, InterfaceSummary } from './attach-options.ts'
import { type RouterReport, reportOf } from './autoconf.ts'
import { Configuring } from './configuring.ts'
import type { DhcpInterface, LeaseListener } from './dhcp.ts'
import type { Dhcp6Interface, Lease6Listener } from './dhcp6.ts'
import type { ForwardingSwitch } from './forwarding.ts'
import { OwnAddresses } from './own-addresses.ts'
import type { Stack } from './stack.ts'
import type { Port } from './turn.ts'

export type { AddressOptions, AttachOptions, InterfaceSummary } from './attach-options.ts'

/** RFC 791: what every link must carry. */
const IPV4_MIN_MTU = 68

/** Linux: dev_valid_name. */
const NAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/

/** An interface of a stack. Made by `stack.attach`. */
export class AttachedInterface {
  /**
   * Resolves when the addresses given to `attach` are usable, and the link-local one that comes with those of IPv6; rejects with EADDRINUSE when
   * another host has one of them (RFC 5227, RFC 4862).
   */
  readonly ready: Promise<void>
  /** The interface that this one is a VLAN of, and the VLANs that this one has. */
  parent: AttachedInterface | null = null
  readonly vlans: AttachedInterface[] = []
  private readonly own: OwnAddresses
  private readonly configuring: Configuring
  /** Called when DHCP has an address, has renewed it, or has it no more; the same for DHCPv6. */
  onLease: LeaseListener | null = null
  onLease6: Lease6Listener | null = null

  constructor(
    private readonly stack: Stack,
    /** The interface as IP sees it. */
    readonly iface: Interface,
    readonly port: Port,
    readonly arp: Arp | null,
    options: AttachOptions,
  ) {
    this.own = new OwnAddresses(stack, iface, arp)
    this.configuring = new Configuring(stack, this, options)
    try {
      const all = (options.addresses ?? []).map((text) => this.own.add(prefixOn(iface, text), options))
      const isSix = options.ipv6 === true || this.configuring.wantsIpv6 || iface.addresses.some((a) => !a.address.isV4)
      if (isSix) all.push(this.startIpv6(options.probe))
      all.push(...this.configuring.start())
      this.ready = Promise.all(all).then(() => undefined)
      this.ready.catch(() => undefined) // whoever does not await it is not punished with an unhandled rejection
      for (const text of [options.gateway ?? []].flat()) {
        const gateway = addressOn(iface, text)
        // Another interface may have one of the same metric: the first counts while it is up.
        stack.addRoute(gateway.isV4 ? '0.0.0.0/0' : '::/0', gateway, this, { metric: options.metric ?? 0, mode: 'append' })
      }
    } catch (error) {
      this.released()
      throw error
    }
  }

  get name(): string {
    return this.iface.name
  }

  get index(): number {
    return this.iface.index
  }

  /** Neighbor Discovery here; null on links without Ethernet, and before the first IPv6 address. */
  get nd(): NdInterface | null {
    return this.stack.nd.of(this.iface)
  }

  /** What routers say here; null unless the interface listens to them (`slaac`, `acceptRa`). */
  get ra(): RouterReport | null {
    const discovery = this.stack.routers.of(this.iface)
    return discovery === null ? null : reportOf(this.stack, discovery)
  }

  /** The client of DHCP, and of DHCPv6; null unless it was asked for (`dhcp6`: by routers, too). */
  get dhcp(): DhcpInterface | null {
    return this.configuring.dhcp
  }

  get dhcp6(): Dhcp6Interface | null {
    return this.configuring.dhcp6
  }

  /** What DHCP gave, and DHCPv6; null: nothing yet, or nothing any more. */
  get lease(): Lease | null {
    return this.dhcp?.lease ?? null
  }

  get lease6(): Lease6 | null {
    return this.dhcp6?.lease ?? null
  }

  /** DNS servers and search domains of DHCP and DHCPv6, and those that routers announce (RFC 8106). */
  get nameservers(): string[] {
    return [...(this.lease?.nameservers ?? []), ...(this.dhcp6?.nameservers ?? []), ...(this.ra?.nameservers ?? [])]
  }

  get searchDomains(): string[] {
    return [this.lease, this.lease6, this.ra].flatMap((from) => from?.searchDomains ?? [])
  }

  /**
   * Makes a router known on this link: sends router advertisements (RFC 4861 section 6.2) until `stopAdvertising`. Called again, says other things.
   * Forwarding is another matter: while it is off the lifetime said is 0, and nobody takes us for a default router. Throws NetError
   * EBUSY (the interface listens to routers itself), EOPNOTSUPP (no Ethernet), ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS.
   */
  advertise(options: AdvertiseOptions = {}): void {
    this.stack.turn.readClock()
    this.startIpv6()
    this.stack.routers.advertise(this.neighborDiscovery('advertise itself as a router'), options)
    this.stack.turn.rearm()
  }

  /** Ends that, and says so. False: nothing was advertised. */
  stopAdvertising(): boolean {
    this.stack.turn.readClock()
    const did = this.stack.routers.stopAdvertising(this.iface)
    this.stack.turn.rearm()
    return did
  }

  /** The link below. */
  get link(): NetIf {
    return this.iface.netif
  }

  /** `02:00:00:00:00:02`, or null on links without Ethernet. */
  get mac(): string | null {
    return this.iface.mac === null ? null : formatMac(this.iface.mac)
  }

  get mtu(): number {
    return this.iface.mtu
  }

  get up(): boolean {
    return this.iface.up
  }

  /**
   * Takes the interface down (frames are lost both ways, neighbours forgotten) or up again (its addresses are announced anew): `ip link set
   * eth0 down`. Routes over it count only while it is up. Its VLANs follow. Throws NetError ENETDOWN for a VLAN whose parent is down.
   */
  setUp(on: boolean): void {
    if (this.iface.up === on) return
    if (on && this.parent !== null && !this.parent.up) {
      throw new NetError('ENETDOWN', { message: `${this.name} cannot be up while ${this.parent.name} is down` })
    }
    this.iface.up = on
    this.stack.turn.readClock()
    if (!on) {
      this.iface.neighbors?.clear()
      this.iface.neighbors6?.clear()
    } else {
      this.arp?.acd.linkUp()
      this.nd?.dad.linkUp()
      this.stack.routers.linkUp(this.iface)
      this.iface.groups.linkUp()
    }
    for (const vlan of this.vlans) vlan.setUp(on)
    this.configuring.linkChanged(on)
    this.stack.ipLayer.changed()
    this.stack.turn.rearm()
  }

  /** A VLAN that goes is its parent's no more. */
  orphan(): void {
    const { parent } = this
    if (parent !== null) parent.vlans.splice(parent.vlans.indexOf(this), 1)
    this.parent = null
  }

  /** Whether packets for others that come in here are sent on, by family. */
  get forwarding(): Required<ForwardingSwitch> {
    return { v4: this.iface.forwarding4, v6: this.iface.forwarding6 }
  }

  /** The same as `stack.setForwarding`, for this interface alone. */
  setForwarding(on: boolean | ForwardingSwitch): void {
    this.stack.forwarders.setInterface(this.iface, typeof on === 'boolean' ? { v4: on, v6: on } : on)
  }

  /** `10.0.0.2/24`, `fe80::1%eth0/64`, ... */
  get addresses(): string[] {
    return this.iface.addresses.map((a) => `${scopedText(this.stack.ipLayer, a.address)}/${a.prefix.length}`)
  }

  /** Adds an address; resolves when it is usable. Throws NetError EEXIST, ERR_INVALID_IP_ADDRESS. */
  addAddress(text: string, options: AddressOptions = {}): Promise<void> {
    return this.giveAddress(prefixOn(this.iface, text), options, null)
  }

  /** The same with all that ip-address(8) may say. */
  giveAddress(prefix: Prefix, options: AddressOptions, notes: AddressNotes | null): Promise<void> {
    if (!prefix.address.isV4 && this.mtu < IP6_MIN_MTU) {
      throw new NetError('EACCES', {
        message: `${this.name} has an MTU of ${this.mtu}: IPv6 needs ${IP6_MIN_MTU} (RFC 8200 section 5)`,
      })
    }
    this.stack.turn.readClock()
    const done = this.own.add(prefix, options, notes)
    if (!prefix.address.isV4) this.startIpv6(options.probe)
    this.stack.turn.rearm()
    return done
  }

  /** Changes when an address ends; seconds, Infinity for ever. */
  setLifetime(own: InterfaceAddress, validSeconds: number, preferredSeconds: number): void {
    this.own.setLifetime(own, validSeconds, preferredSeconds)
  }

  /**
   * IPv6 on this interface begins: it gets its link-local address (RFC 4291 section 2.8), unless it has one. Resolves when that is usable.
   */
  startIpv6(probe?: boolean): Promise<void> {
    return this.own.startIpv6(probe)
  }

  /** Throws NetError EOPNOTSUPP without Ethernet. */
  neighborDiscovery(what: string): NdInterface {
    const nd = this.stack.nd.attach(this.iface)
    if (nd === null) throw new NetError('EOPNOTSUPP', { message: `${this.name} is no Ethernet: it cannot ${what}` })
    return nd
  }

  /** Changes the MAC address, and tells neighbours: `ip link set eth0 address ...`. Addresses made of the old one stay. */
  setMac(mac: Uint8Array): void {
    if (this.iface.ethernet === null) throw new NetError('EOPNOTSUPP', { message: `${this.name} has no MAC address` })
    if (mac.length !== 6 || (mac[0] & 1) !== 0) {
      throw invalidArgument('a MAC address has 6 bytes and is not a group address', 'ERR_INVALID_MAC_ADDRESS')
    }
    this.iface.ethernet.setMac(mac)
    this.stack.turn.readClock()
    this.arp?.acd.linkUp()
    this.nd?.dad.linkAddressChanged()
    this.stack.turn.rearm()
  }

  /**
   * Changes the largest IP packet in bytes: from 68 to what the link takes. Below 1280 there is no IPv6: its addresses go (RFC 8200 section 5), and
   * above it begins anew where it was in use, with its link-local address and those of routers. VLANs are never wider than what is below them. Throws NetError EINVAL.
   */
  setMtu(mtu: number): void {
    const { iface, stack } = this
    const most = Math.min(iface.netif.mtu, this.parent?.mtu ?? iface.netif.mtu)
    if (!(Number.isInteger(mtu) && mtu >= IPV4_MIN_MTU && mtu <= most)) {
      throw new NetError('EINVAL', { message: `mtu ${mtu} is not between ${IPV4_MIN_MTU} and the ${most} of ${this.name}` })
    }
    const wasNarrow = iface.mtu < IP6_MIN_MTU
    iface.mtu = mtu
    stack.turn.readClock()
    if (wasNarrow && mtu >= IP6_MIN_MTU && this.nd !== null) {
      void this.startIpv6()
      stack.routers.linkUp(iface)
    } else if (mtu < IP6_MIN_MTU) {
      for (const own of iface.addresses.filter((a) => !a.address.isV4)) this.own.drop(own, `the MTU is below ${IP6_MIN_MTU}`)
    }
    for (const vlan of this.vlans) if (vlan.mtu > mtu) vlan.setMtu(mtu)
    stack.ipLayer.changed()
    stack.turn.rearm()
  }

  /** Gives it another name. Throws NetError EEXIST, and EINVAL for what is no name: 1 to 15 characters, no space, `/` or `:`. */
  rename(name: string): void {
    if (name === this.name) return
    if (!NAME.test(name)) throw new NetError('EINVAL', { message: `${name} is no name of an interface` })
    if (this.stack.ipLayer.interfaces.some((i) => i.name === name)) {
      throw new NetError('EEXIST', { message: `interface ${name} exists already` })
    }
    this.iface.name = name
  }

  /** Whether frames for other stations are heard too. */
  get promiscuous(): boolean {
    return this.iface.ethernet?.promiscuous ?? false
  }

  /** Throws NetError EOPNOTSUPP without Ethernet. */
  setPromiscuous(on: boolean): void {
    const { ethernet } = this.iface
    if (ethernet === null) throw new NetError('EOPNOTSUPP', { message: `${this.name} has no stations to listen to` })
    ethernet.promiscuous = on
  }

  /** As plain data. */
  toJSON(): InterfaceSummary {
    const { name, index, mac, mtu, up, addresses, link, parent } = this
    return { name, index, mac, mtu, up, addresses, link: link.name, parent: parent?.name ?? null }
  }

  /** Takes an address away; false when it was not there. */
  removeAddress(text: string): boolean {
    const a = prefixOn(this.iface, text).address
    if (a.isLinkLocal) a.zone = this.index
    const own = this.iface.addresses.find((o) => o.address.equals(a))
    return own !== undefined && this.own.drop(own, 'it was removed')
  }

  /** An address passed its probes; its state is PREFERRED already. Called by conflict detection. */
  addressReady(own: InterfaceAddress): void {
    own.lifetime?.judge()
    this.stack.ipLayer.changed()
    if (this.stack.routers.addressReady(this.iface, own)) return
    this.own.settle(own, null)
    this.configuring.addressReady(own)
  }

  /** Another host has the address; its state is DUPLICATE already. */
  addressConflict(own: InterfaceAddress, mac: Uint8Array): void {
    this.stack.ipLayer.changed()
    if (this.stack.routers.addressConflict(this.iface, own, mac)) return
    if (this.own.retryLinkLocal(own)) return
    const address = scopedText(this.stack.ipLayer, own.address)
    const error = new NetError('EADDRINUSE', {
      address,
      message: `${address} on ${this.name} is in use by ${formatMac(mac)}: choose another address`,
    })
    this.own.settle(own, error)
    if (this.configuring.addressConflict(own)) return // it finds another
    this.stack.onAddressConflict?.(this, address, formatMac(mac))
  }

  /** Adds a static neighbour (`ip neigh add ... lladdr ... nud permanent`). */
  addNeighbor(address: string, mac: Uint8Array): void {
    const a = addressOn(this.iface, address)
    const table = a.isV4 ? this.arp?.neighbors : this.stack.nd.attach(this.iface)?.neighbors
    table?.setPermanent(a, mac)
  }

  /** Takes the interface off the stack and closes the link. */
  detach(): Promise<void> {
    return this.stack.detach(this)
  }

  /** Ends what still waits. Called when the interface goes. */
  released(): void {
    const error = new NetError('ECANCELED', { message: `${this.name} was closed` })
    this.own.released(error)
    this.configuring.close(error)
  }

  /** The first address, for messages. */
  get address(): Address | null {
    return this.iface.addresses[0]?.address ?? null
  }
}
