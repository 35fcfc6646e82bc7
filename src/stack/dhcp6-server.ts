/** `stack.dhcp6Server`: what a DHCPv6 server needs of a stack, what routers on the same link say of it, and the ways to prefixes that it delegates. */
import type { Address, Prefix } from '../base/address.ts'
import { NetError } from '../base/errors.ts'
import { LeaseClock } from '../dhcp/clock.ts'
import { Dhcp6Server } from '../dhcp6/server.ts'
import type { Dhcp6ServerOptions } from '../dhcp6/server-options.ts'
import type { RouteEntry } from '../ip/route.ts'
import { removeRoutes } from '../ip/tables.ts'
import type { AttachedInterface } from './attached.ts'
import type { Stack } from './stack.ts'

export function serveDhcp6(stack: Stack, on: readonly AttachedInterface[], options: Dhcp6ServerOptions): Dhcp6Server {
  for (const { name, iface } of on) {
    if (iface.ethernet === null)
      throw new NetError('EOPNOTSUPP', { message: `${name} is no Ethernet: DHCPv6 cannot be served there` })
    if (iface.addresses.every((a) => a.address.isV4))
      throw new NetError('EADDRNOTAVAIL', { message: `${name} has no IPv6 address: a DHCPv6 server needs one` })
  }
  const { udp, ipLayer: ip, timers, turn: clock, random, config, host, routers } = stack
  clock.readClock()
  const ways = new DelegatedRoutes(stack)
  const server: Dhcp6Server = new Dhcp6Server(
    {
      udp,
      ip,
      timers,
      clock,
      random,
      time: new LeaseClock(clock, host),
      config: config.dhcp,
      maxLeases: config.dhcp6.maxLeases,
      delegated: (prefix, via) => ways.set(prefix, via),
      uncaught: (error) => host.uncaught(error),
      closed(one) {
        stack.dhcpServers.delete(one)
        for (const { iface } of on) routers.serves(iface, null)
      },
    },
    on.map((a) => a.iface),
    options,
  )
  stack.dhcpServers.add(server)
  for (const { iface } of on) routers.serves(iface, { managed: server.givesAddresses(iface), other: true })
  clock.rearm()
  return server
}

/** Routes to what was delegated, by the neighbour that has it. */
class DelegatedRoutes {
  private readonly entries = new Map<string, RouteEntry>()

  constructor(private readonly stack: Stack) {}

  set(prefix: Prefix, via: Address | null): void {
    const { ipLayer: ip } = this.stack
    const key = `${prefix}`
    const had = this.entries.get(key)
    if (had === undefined ? via === null : via !== null && had.gateway?.equals(via) === true) return
    if (had !== undefined) removeRoutes(ip, (e) => e === had)
    this.entries.delete(key)
    const iface = ip.interfaces.find((i) => i.index === via?.zone)
    if (via !== null && iface !== undefined) {
      const entry: RouteEntry = { prefix, gateway: via, iface, metric: 0, source: null, origin: 'static', protocol: 'dhcp' }
      ip.routes.add(entry)
      this.entries.set(key, entry)
    }
    ip.changed()
  }
}
