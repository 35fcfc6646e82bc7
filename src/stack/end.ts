/** How a stack ends: who has something to say says it while it can still be sent. */
import type { Probing } from './probing.ts'
import type { Stack } from './stack.ts'

export async function endStack(stack: Stack, probing: Probing): Promise<void> {
  const { turn } = stack
  turn.readClock()
  stack.madeMdns?.close() // the link is told
  stack.resolver.close()
  stack.tcp.shutdown()
  for (const a of stack.interfaces) a.released() // leases are given back
  for (const server of [...stack.dhcpServers, ...stack.dnsServers]) server.close()
  stack.udp.close()
  stack.icmp.close()
  stack.icmp6.close()
  probing.close()
  turn.run() // resets leave, applications hear
  turn.close()
  for (const a of [...stack.interfaces]) await stack.detach(a)
  for (const i of [...stack.ipLayer.interfaces]) await i.netif.close()
  stack.pool.clear()
}
