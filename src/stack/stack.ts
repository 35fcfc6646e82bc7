/**
 * The stack: where the layers are put together, and what its owner calls. It makes them, knows the interfaces, and hands each call on to the file that
 * knows how (`attached.ts`, `routing.ts`, `dhcp.ts`, ...); what happens when is `turn.ts`'s alone.
 */
import type { Address, Prefix } from '../base/address.ts'
import type { Host } from '../base/clock.ts'
import { type Config, type ConfigOverrides, configure } from '../base/config.ts'
import { stackClosed } from '../base/errors.ts'
import { BufferPool } from '../base/pool.ts'
import type { Random } from '../base/random.ts'
import { TellList } from '../base/tell.ts'
import { Timers } from '../base/timers.ts'
import type { DhcpServer } from '../dhcp/server.ts'
import type { DhcpServerOptions } from '../dhcp/server-options.ts'
import type { Dhcp6Server } from '../dhcp6/server.ts'
import type { Dhcp6ServerOptions } from '../dhcp6/server-options.ts'
import { Resolver } from '../dns/resolver.ts'
import type { DnsServer } from '../dns/server/server.ts'
import type { Filter } from '../filter/filter.ts'
import { Icmp } from '../icmp/icmp.ts'
import { type PingResult, ping } from '../icmp/ping-iterator.ts'
import { Icmp6 } from '../icmp6/icmp6.ts'
import type { ClaimListener } from '../ip/addresses.ts'
import type { Interface, InterfaceAddress } from '../ip/interface.ts'
import { Ip } from '../ip/ip.ts'
import type { Neighbor, NeighborListener } from '../ip/neighbor.ts'
import { Packet, PROTO_TCP } from '../ip/packet.ts'
import { TABLE_MAIN } from '../ip/rules.ts'
import { hasOtherWay } from '../ip/tables.ts'
import { Ipv4 } from '../ipv4/ipv4.ts'
import { Ipv6 } from '../ipv6/ipv6.ts'
import { createLoopback } from '../link/loopback.ts'
import type { Mdns } from '../mdns/mdns.ts'
import { type GroupSummary, listGroups, Multicast } from '../multicast/multicast.ts'
import { NeighborDiscovery } from '../nd/nd.ts'
import { Routers } from '../nd/routers.ts'
import { Frame } from '../netif/frame.ts'
import type { NetIf } from '../netif/netif.ts'
import type { TracepathStep } from '../probe/tracepath.ts'
import type { TracerouteHop } from '../probe/traceroute.ts'
import { WebTcp } from '../web/web-tcp.ts'
import { WebUdp } from '../web/web-udp.ts'
import { AttachedInterface, type AttachOptions } from './attached.ts'
import { byName } from './by-name.ts'
import { serveDhcp } from './dhcp-server.ts'
import { serveDhcp6 } from './dhcp6-server.ts'
import { type StackDnsServerOptions, serveDns } from './dns-server.ts'
import { endStack } from './end.ts'
import { Forwarding, type ForwardingSwitch } from './forwarding.ts'
import { Interfaces } from './interfaces.ts'
import { ipCommand } from './ip-command/command.ts'
import { leaving, type PingOptions, type TracepathOptions, type TracerouteOptions } from './leaving.ts'
import { type ConnectionSummary, listConnections, listCounters, listNeighbors, type NeighborSummary } from './listing.ts'
import { makeFilter, makeMdns, resolverDeps, saysNames, webDeps } from './making.ts'
import * as nl from './nlinline.ts'
import { Probing } from './probing.ts'
import {
  addRoute,
  addRule,
  listRoutes,
  listRules,
  type RouteFilter,
  type RouteOptions,
  type RouteSummary,
  type RoutingRuleOptions,
  type RoutingRuleSummary,
  removeRoute,
  removeRule,
} from './routing.ts'
import { Turn } from './turn.ts'
import { LocalUnreachable } from './unreachable.ts'
import { attachVlan, type VlanOptions } from './vlan.ts'

/** What a stack runs on. */
export interface StackPlatform {
  host: Host
  random: Random
}

/** A TCP/IP stack, and all that one has: interfaces, routes, sockets, names. Made by `createStack`. */
export class Stack implements NeighborListener, ClaimListener {
  readonly name: string
  readonly config: Config
  readonly host: Host
  readonly random: Random
  readonly timers = new Timers()
  readonly ipLayer = new Ip()
  readonly tellList = new TellList()
  readonly turn: Turn
  readonly ipv4: Ipv4
  readonly icmp: Icmp
  readonly ipv6: Ipv6
  readonly icmp6: Icmp6
  readonly nd: NeighborDiscovery
  /** Router discovery: of hosts, and our own advertisements. */
  readonly routers: Routers
  /** What routers are told of groups: IGMP and MLD. */
  readonly multicast: Multicast
  /** UDP in the raw and in the web's shape. */
  readonly udp: WebUdp
  /** TCP in the raw and in the web's shape. */
  readonly tcp: WebTcp
  private madeResolver: Resolver | null = null
  readonly pool = new BufferPool()
  /** Called when another host is found to use one of our addresses. */
  onAddressConflict: ((iface: AttachedInterface, address: string, mac: string) => void) | null = null
  /** Called when a link ends by itself. */
  onLinkClosed: ((iface: AttachedInterface, error: Error | undefined) => void) | null = null
  /** The transmit frame: one for all protocols. */
  readonly frame = new Frame()
  /** What `filter` and `mdns` give, once they were asked for. */
  madeFilter: Filter | null = null
  madeMdns: Mdns | null = null
  /** DHCP servers of both families, until they are closed. */
  readonly dhcpServers = new Set<DhcpServer | Dhcp6Server>()
  readonly dnsServers = new Set<DnsServer>()
  private readonly probing: Probing
  private readonly wiring = new Interfaces(this)
  private readonly unreachable: LocalUnreachable
  readonly forwarders: Forwarding
  private isClosed = false
  private closing = Promise.resolve()

  constructor(platform: StackPlatform, overrides: ConfigOverrides = {}) {
    const config = configure(overrides)
    const { host, random } = platform
    this.name = config.name
    this.config = config
    this.host = host
    this.random = random
    const { timers, ipLayer: ip, frame, pool } = this
    this.turn = new Turn(host, timers, this.tellList, config.turn.receiveBudget, config.turn.sendQuantum)
    const clock = this.turn
    const wake = this.turn.wake
    this.unreachable = new LocalUnreachable(ip)
    this.ipv4 = new Ipv4({ ip, timers, clock, random, pool, config: config.ipv4 })
    this.icmp = new Icmp({ ip, ipv4: this.ipv4, frame, timers, clock, random, config: config.icmp })
    this.ipv6 = new Ipv6({ ip, timers, clock, random, pool, config: config.ipv6 })
    this.icmp6 = new Icmp6({ ip, ipv6: this.ipv6, frame, timers, clock, random, config: config.icmp })
    const { ipv4, ipv6, icmp6 } = this
    this.multicast = new Multicast({ ip, ipv4, ipv6, icmp6, frame, timers, clock, random, config: config.multicast })
    this.nd = new NeighborDiscovery({ ip, ipv6, icmp6, timers, clock, random, config: config.nd, frame, pool, listener: this })
    this.routers = new Routers({ ip, icmp6, nd: this.nd, timers, clock, random, config: config.nd })
    this.forwarders = new Forwarding(this, frame)
    const hold = (): void => host.hold()
    const release = (): void => host.release()
    this.udp = new WebUdp({ ip, frame, random, config: config.udp, pool, tells: this.tellList, wake, hold, release })
    const loopback = this.wiring.add(createLoopback(), { name: 'lo' }, true)
    this.tcp = new WebTcp(
      { ip, frame, timers, clock, random, config: config.tcp, ttl: 0, tell: this.tellList, pool, wake, hold, release },
      new Packet(loopback),
      webDeps(this),
    )
    ip.register(PROTO_TCP, this.tcp)
    this.turn.setSpeaker(this.tcp)
    if (saysNames(config.dns)) this.madeResolver = new Resolver(resolverDeps(this)) // what is wrong with it is said now
    this.probing = new Probing(this)
    if (config.forwarding) this.setForwarding(true)
    if (config.mdns.host !== '') this.mdns.begin()
    if (config.mdns.listen) this.mdns.listen()
  }

  /**
   * Makes a link one of the stack's interfaces. Throws NetError: EEXIST (name taken), EBUSY (attached already),
   * ERR_INVALID_MAC_ADDRESS, ERR_INVALID_IP_ADDRESS, ERR_INVALID_ARG_TYPE (no link), ERR_INVALID_ARG_VALUE.
   */
  attach(netif: NetIf, options: AttachOptions = {}): AttachedInterface {
    if (this.isClosed) throw stackClosed()
    return this.wiring.attach(netif, options)
  }

  /** A packet that waited for its neighbour in vain (NeighborListener). */
  onUnreachable(neighbor: Neighbor, buf: Uint8Array, start: number, end: number, etherType: number): void {
    this.unreachable.deliver(neighbor.iface, buf, start, end, etherType)
    if (hasOtherWay(this.ipLayer, neighbor.address)) this.ipLayer.changed()
  }

  /** An address may be used (ClaimListener). */
  onReady(iface: Interface, own: InterfaceAddress): void {
    iface.groups.addressReady(own.address)
    this.wiring.of(iface)?.addressReady(own)
  }

  /** An address belongs to another host too (ClaimListener). */
  onConflict(iface: Interface, own: InterfaceAddress, mac: Uint8Array): void {
    this.wiring.of(iface)?.addressConflict(own, mac)
  }

  /**
   * A VLAN on an Ethernet interface (IEEE 802.1Q): `stack.addVlan(eth0, 100, { addresses: ['10.1.0.2/24'] })` is `eth0.100`, an interface like
   * any other. On a VLAN of protocol 802.1ad it is the inner one of two tags. Throws NetError: EEXIST (name or VLAN taken), EOPNOTSUPP (no
   * Ethernet), and what `attach` throws.
   */
  addVlan(parent: AttachedInterface, id: number, options: VlanOptions = {}): AttachedInterface {
    return attachVlan(this, parent, id, options)
  }

  /** Takes an interface away and closes its link. Connections over it live until they time out. */
  detach(attached: AttachedInterface): Promise<void> {
    return this.wiring.detach(attached)
  }

  /**
   * Serves DHCP on one interface or several: `stack.dhcpServer(eth0, { ranges: ['10.0.0.100-10.0.0.200'], options: { routers: ['10.0.0.1'] } })`. Each
   * has its address already. Throws NetError: EADDRINUSE (port 67), EADDRNOTAVAIL (no IPv4 address), EOPNOTSUPP (no Ethernet),
   * ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS, ERR_INVALID_MAC_ADDRESS.
   */
  dhcpServer(on: AttachedInterface | readonly AttachedInterface[], options: DhcpServerOptions = {}): DhcpServer {
    if (this.isClosed) throw stackClosed()
    return serveDhcp(this, on instanceof AttachedInterface ? [on] : on, options)
  }

  /** The same for DHCPv6: `stack.dhcp6Server(eth0, { ranges: ['fd00::100-fd00::1ff'], prefixes: ['fd00:1::/48-56'] })`. Throws the same (port 547). */
  dhcp6Server(on: AttachedInterface | readonly AttachedInterface[], options: Dhcp6ServerOptions = {}): Dhcp6Server {
    if (this.isClosed) throw stackClosed()
    return serveDhcp6(this, on instanceof AttachedInterface ? [on] : on, options)
  }

  /** Serves DNS: `stack.dnsServer({ zones, forward: true })`. Throws NetError: EADDRINUSE (port 53), ERR_INVALID_ARG_VALUE, ERR_INVALID_IP_ADDRESS. */
  dnsServer(options: StackDnsServerOptions = {}): DnsServer {
    if (this.isClosed) throw stackClosed()
    return serveDns(this, options)
  }

  /** Names to addresses and records: made when first asked for, unless the configuration says whom to ask. */
  get resolver(): Resolver {
    this.madeResolver ??= new Resolver(resolverDeps(this))
    return this.madeResolver
  }

  /** Packet filter, connection tracking, address translation: made when first asked for, and nothing to packets until it has a rule. */
  get filter(): Filter {
    this.madeFilter ??= makeFilter(this)
    return this.madeFilter
  }

  /** Multicast DNS and DNS-SD: silent until it is told to listen or to publish something. */
  get mdns(): Mdns {
    this.madeMdns ??= makeMdns(this, this.isClosed)
    return this.madeMdns
  }

  /** The attached interfaces, the loopback not among them. */
  get interfaces(): readonly AttachedInterface[] {
    return this.wiring.attached
  }

  /** Routes of the main table as plain objects, best match first. */
  get routes(): RouteSummary[] {
    return listRoutes(this, TABLE_MAIN)
  }

  /** Routes of another table, as `ip route show table 100` has them. */
  routesOf(table: number): RouteSummary[] {
    return listRoutes(this, table)
  }

  /** Rules of policy routing, as `ip rule` lists them; those that every system begins with when none were added. */
  get rules(): RoutingRuleSummary[] {
    return listRules(this)
  }

  /** Neighbours of both families as `ip neigh` lists them. */
  get neighbors(): NeighborSummary[] {
    return listNeighbors(this)
  }

  /** Multicast groups that are listened to, by interface, as `ip maddr` lists them. */
  get groups(): GroupSummary[] {
    return this.ipLayer.interfaces.flatMap(listGroups)
  }

  /**
   * Adds a route: `stack.addRoute('192.168.0.0/16', '10.0.0.1', eth0)`. Without a gateway (null) to neighbours of the interface; without an
   * interface (null) by the one whose network the gateway is on. A number in place of options is the metric. Throws NetError: EEXIST (one of that
   * prefix and metric is there), ENETUNREACH (the gateway is on no network of the interface), ENODEV (neither gateway nor
   * interface), EINVAL (the source is not ours), ERR_INVALID_IP_ADDRESS, ERR_INVALID_ARG_VALUE.
   */
  addRoute(
    to: Prefix | string,
    by: Address | string | null,
    iface: AttachedInterface | null = null,
    options: RouteOptions | number = {},
  ): void {
    addRoute(this, to, by, iface, typeof options === 'number' ? { metric: options } : options)
  }

  /** Removes the best route to exactly that prefix that fits. Throws NetError ESRCH when there is none, and what `addRoute` throws. */
  removeRoute(to: Prefix | string, filter: RouteFilter = {}): void {
    removeRoute(this, to, filter)
  }

  /** `stack.addRule({ from: '10.0.0.0/24', table: 100 })`. Throws NetError EEXIST, ERR_INVALID_IP_ADDRESS, ERR_INVALID_ARG_VALUE. */
  addRule(rule: RoutingRuleOptions): void {
    addRule(this, rule)
  }

  /** Throws NetError ENOENT when there is none that has all that is given. */
  removeRule(rule: RoutingRuleOptions): void {
    removeRule(this, rule)
  }

  /** Whether packets for others are sent on, by family. */
  get forwarding(): Required<ForwardingSwitch> {
    return this.forwarders.state
  }

  /**
   * Makes a router of the stack, or a host again: `stack.setForwarding(true)`, `stack.setForwarding({ v6: true })`. For all interfaces, those
   * attached later included; `iface.setForwarding` is for one.
   */
  setForwarding(on: boolean | ForwardingSwitch): void {
    this.forwarders.set(typeof on === 'boolean' ? { v4: on, v6: on } : on)
  }

  /** A link has room again. */
  linkWritable(iface: Interface): void {
    this.ipv4.flushPending(iface)
    this.ipv6.flushPending(iface)
    iface.neighbors?.flushPending()
    iface.neighbors6?.flushPending()
    this.udp.linkWritable(iface)
    if (iface.ethernet !== null && iface.ethernet.vlans.size > 0)
      for (const vlan of iface.ethernet.vlans.values()) vlan.writable()
    this.turn.wake()
  }

  /** A link ended by itself. */
  linkClosed(iface: Interface, error: Error | undefined): void {
    iface.up = false
    this.ipLayer.changed()
    const attached = this.wiring.of(iface)
    if (attached === undefined) return
    attached.released()
    for (const vlan of attached.vlans) this.linkClosed(vlan.iface, error)
    this.onLinkClosed?.(attached, error)
  }

  /**
   * Pings a host: `for await (const reply of stack.ping('10.0.0.1', { count: 3 }))`. Throws ERR_INVALID_IP_ADDRESS; the iterator ENOTFOUND and
   * EAI_AGAIN for a name; what goes wrong on the way is in the results. Closing the stack ends it.
   */
  ping(destination: string | Address, options: PingOptions = {}): AsyncIterableIterator<PingResult> {
    const { host, random, tellList: tells } = this
    const settings = leaving(this, options)
    return byName(this, destination, settings.source, (to) =>
      ping({ icmp: to.isV4 ? this.icmp : this.icmp6, host, random, tells, wake: this.turn.wake }, to, settings),
    )
  }

  /**
   * The routers on the way to a host: `for await (const { hop, answers } of stack.traceroute('10.2.0.9')) ...`, as traceroute(8). Throws
   * ERR_INVALID_IP_ADDRESS, ERR_INVALID_ARG_VALUE; the iterator ENOTFOUND, ENETUNREACH and their like. Closing the stack ends it.
   */
  traceroute(destination: string | Address, options: TracerouteOptions = {}): AsyncIterableIterator<TracerouteHop> {
    const settings = leaving(this, options)
    return byName(this, destination, settings.source, (to) => this.probing.traceroute(to, settings))
  }

  /** The same, and how large a packet each link on the way takes, as tracepath(8). Throws the same. */
  tracepath(destination: string | Address, options: TracepathOptions = {}): AsyncIterableIterator<TracepathStep> {
    const settings = leaving(this, options)
    return byName(this, destination, settings.source, (to) => this.probing.tracepath(to, settings))
  }

  /**
   * The everyday subset of ip(8) (`addr`, `link`, `route`, `neigh`, `rule`, `maddr`, both families): `stack.ip('addr add 10.0.0.50/24 dev vde0;
   * link set vde0 up')`. `;` and line ends separate; a leading `/bin/ip`, `/sbin/ip` or `/bin/busybox ip` is accepted. Returns what ip would print,
   * as JSON with `-j`. Throws NetError with ip's words and a code (EEXIST, ENODEV, ENETUNREACH, ERR_INVALID_ARG_VALUE, ...), its `command` and how
   * many were `done` before it, and stay done.
   */
  ip(line: string): string {
    return ipCommand(this, line)
  }

  /* Under nlinline's names; nlinline.ts says what each does and throws. */

  if_nametoindex(name: string): number {
    return nl.if_nametoindex(this, name)
  }

  linksetupdown(index: number, up: boolean | number): 0 {
    return nl.linksetupdown(this, index, up)
  }

  linksetaddr(index: number, mac: Uint8Array | readonly number[] | string): 0 {
    return nl.linksetaddr(this, index, mac)
  }

  linkgetaddr(index: number, mac?: Uint8Array): Uint8Array {
    return nl.linkgetaddr(this, index, mac)
  }

  linksetmtu(index: number, mtu: number): 0 {
    return nl.linksetmtu(this, index, mtu)
  }

  ipaddr_add(family: nl.AddressFamily, addr: nl.AddressLike, prefixlen: number, index: number): 0 {
    return nl.ipaddr_add(this, family, addr, prefixlen, index)
  }

  ipaddr_del(family: nl.AddressFamily, addr: nl.AddressLike, prefixlen: number, index: number): 0 {
    return nl.ipaddr_del(this, family, addr, prefixlen, index)
  }

  iproute_add(
    family: nl.AddressFamily,
    dst: nl.AddressLike | null,
    length: number,
    gw: nl.AddressLike | null,
    index?: number,
  ): 0 {
    return nl.iproute_add(this, family, dst, length, gw, index)
  }

  iproute_del(
    family: nl.AddressFamily,
    dst: nl.AddressLike | null,
    length: number,
    gw: nl.AddressLike | null,
    index?: number,
  ): 0 {
    return nl.iproute_del(this, family, dst, length, gw, index)
  }

  /** Every TCP connection as `ss -ti` knows it, those in TIME-WAIT and half-open ones with their state and addresses. */
  connections(): ConnectionSummary[] {
    return listConnections(this)
  }

  /** Every counter, by layer and interface. Names are the MIBs' (RFC 4293, 4022, 4113); drops have a reason each. */
  counters(onlyNonZero = false): Record<string, Record<string, number>> {
    return listCounters(this, onlyNonZero)
  }

  /** Resets connections, closes links, ends everything. Afterwards the process can exit. Idempotent. */
  close(): Promise<void> {
    if (!this.isClosed) {
      this.isClosed = true
      this.closing = endStack(this, this.probing)
    }
    return this.closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
