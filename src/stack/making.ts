/** Small things that a stack makes: names and MAC addresses of interfaces, its packet filter, multicast DNS, what resolvers are made of. */
import type { Address } from '../base/address.ts'
import type { DnsConfig } from '../base/dns-config.ts'
import { invalidArgument, stackClosed } from '../base/errors.ts'
import type { Random } from '../base/random.ts'
import type { ResolverDeps } from '../dns/resolver.ts'
import { parseMac, randomMac } from '../ethernet/mac.ts'
import { Filter } from '../filter/filter.ts'
import { Mdns } from '../mdns/mdns.ts'
import type { NetIf } from '../netif/netif.ts'
import type { WebDeps } from '../web/deps.ts'
import { addressesOf } from './by-name.ts'
import type { Stack } from './stack.ts'

/** The MAC address of an interface: what its user wants, else what the link insists on, else a random one. A copy. */
export function macFor(netif: NetIf, wanted: string | Uint8Array | undefined, random: Random): Uint8Array {
  const mac = wanted === undefined ? (netif.mac ?? randomMac(random)) : typeof wanted === 'string' ? parseMac(wanted) : wanted
  if (mac.length !== 6 || (mac[0] & 1) !== 0) {
    throw invalidArgument(
      'a MAC address has 6 bytes and is not a group address (lowest bit of the first byte)',
      'ERR_INVALID_MAC_ADDRESS',
    )
  }
  return mac.slice()
}

/** `eth0`, `tun0`, ...: the first that nobody has. */
export function freeName(netif: NetIf, taken: readonly { readonly name: string }[]): string {
  const stem = netif.medium === 'ethernet' ? 'eth' : 'tun'
  for (let i = 0; ; i++) if (!taken.some((a) => a.name === `${stem}${i}`)) return `${stem}${i}`
}

export function makeFilter(stack: Stack): Filter {
  const { ipLayer: ip, ipv4, ipv6, timers, turn: clock, random, host, config } = stack
  const uncaught = (error: unknown): void => host.uncaught(error)
  return new Filter({ ip, ipv4, ipv6, timers, clock, random, config: config.filter, uncaught })
}

export function makeMdns(stack: Stack, isClosed: boolean): Mdns {
  const { ipLayer: ip, udp, timers, turn: clock, tellList: tells, host, random, config, resolver, name } = stack
  const mdns = new Mdns({ ip, udp, timers, clock, tells, host, random, config: config.mdns, wake: clock.wake }, resolver, name)
  if (isClosed) mdns.close()
  return mdns
}

/** What sockets in the web's shape are made of. The platform of the stack may give them TLS. */
export function webDeps(stack: Stack): WebDeps {
  const lookup = async (hostname: string): Promise<Address[]> => {
    const found = await addressesOf(stack, hostname)
    if (found === null) throw stackClosed()
    return found
  }
  const { host } = stack
  const memory = (bytes: number): Uint8Array<ArrayBuffer> => host.memory?.(bytes) ?? new Uint8Array(bytes)
  return { host, lookup, secure: null, memory }
}

/** What resolvers of a stack are made of. */
export function resolverDeps(stack: Stack): ResolverDeps {
  const { ipLayer: ip, udp, tcp, host, random, config } = stack
  return { ip, udp, tcp, host, random, config: config.dns, sources: () => stack.interfaces }
}

/** A configuration has servers or names of its own. */
export function saysNames({ servers, searchDomains, resolvConf, hosts }: DnsConfig): boolean {
  return servers.length + searchDomains.length + resolvConf.length + hosts.length > 0
}
