/** `stack.dnsServer`: what a DNS server needs of a stack. */
import { Resolver } from '../dns/resolver.ts'
import type { DnsServerOptions } from '../dns/server/options.ts'
import { DnsServer } from '../dns/server/server.ts'
import type { AttachedInterface } from './attached.ts'
import { resolverDeps } from './making.ts'
import type { Stack } from './stack.ts'

/** Options of a server, and where it listens: on all addresses of the stack when left out. */
export interface StackDnsServerOptions extends DnsServerOptions {
  interfaces?: readonly AttachedInterface[]
}

export function serveDns(stack: Stack, options: StackDnsServerOptions): DnsServer {
  const { ipLayer: ip, udp, tcp, host, random, config } = stack
  const server = new DnsServer(
    {
      ip,
      udp,
      tcp,
      host,
      random,
      config: config.dnsServer,
      interfaces: options.interfaces?.map((one) => one.iface) ?? null,
      resolver: (servers) => {
        if (servers === true) return stack.resolver
        // These servers alone: not those of resolv.conf(5), and no names of the stack's own.
        const own = { ...config.dns, servers, searchDomains: [], resolvConf: '', hosts: '' }
        return new Resolver({ ...resolverDeps(stack), config: own, sources: () => [] })
      },
      closed: (one) => stack.dnsServers.delete(one),
    },
    options,
  )
  stack.dnsServers.add(server)
  return server
}
