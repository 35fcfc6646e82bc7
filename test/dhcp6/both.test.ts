/** Our DHCPv6 server and our client, on the virtual clock. */
import { describe, expect, it } from 'vitest'
import type { Dhcp6Options } from '../../src/dhcp6/client-options.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import { Server6World, type Server6WorldOptions } from '../support/dhcp6-server-world.ts'

const OPTIONS: Server6WorldOptions = {
  ranges: ['fd00::100-fd00::1ff'],
  prefixes: ['fd01::/48-56'],
  options: { dnsServers: ['fd00::53'], domainSearch: ['lab.example'], ntpServer: [{ address: 'fd00::123' }] },
}

const client = (w: Server6World, dhcp6: Dhcp6Options = {}): AttachedInterface =>
  w.other.attach(w.link, { mac: '02:00:00:00:00:05', probe: false, dhcp6 })

describe('our DHCPv6 server and our client', () => {
  it('agree on an address and a prefix for ten days, and on their end', async () => {
    const w = new Server6World({ ...OPTIONS, leaseSeconds: 86_400 })
    const eth0 = client(w, { address: true, prefix: '::/56' })
    await w.world.settle(eth0.ready)
    expect(eth0.addresses).toContain('fd00::100/128')
    expect(eth0.lease6).toMatchObject({ prefixes: [{ prefix: 'fd01::/56' }], ntpServers: ['fd00::123'], server: w.server.duid })
    expect([eth0.nameservers, eth0.searchDomains]).toEqual([['fd00::53'], ['lab.example']])
    expect(w.stack.routes.find((r) => r.destination === 'fd01::/56')?.gateway).toMatch(/^fe80::.*%eth0$/)
    w.world.run(10 * 86_400_000)
    expect(eth0.addresses).toContain('fd00::100/128')
    const { inRenews, inRebinds = 0 } = w.counters
    expect([inRenews > 30, inRebinds]).toEqual([true, 0])
    eth0.dhcp6!.release()
    w.world.run(2000)
    expect(w.server.leases).toEqual([])
    expect(new Set(w.events)).toEqual(
      new Set(['bound', 'renewed', 'released'].flatMap((event) => [`${event} fd00::100`, `${event} fd01::/56`])),
    )
  })

  it('in two messages; by a server preferred to all others; without addresses', async () => {
    const rapid = new Server6World({ ...OPTIONS, rapidCommit: true })
    await rapid.world.settle(client(rapid, { rapidCommit: true }).ready)
    expect(rapid.counters).toEqual({ inSolicits: 1, outReplies: 1 })
    const preferred = new Server6World({ ...OPTIONS, preference: 255 })
    const started = preferred.world.elapsedMs
    await preferred.world.settle(client(preferred).ready)
    // RFC 8415 section 18.2.1: nobody else is waited for.
    expect(preferred.world.elapsedMs - started).toBeLessThan(1500)
    const stateless = new Server6World({ options: OPTIONS.options })
    const eth0 = client(stateless, { stateless: true })
    await stateless.world.settle(eth0.ready)
    expect([eth0.nameservers, stateless.counters]).toEqual([['fd00::53'], { inInformationRequests: 1, outReplies: 1 }])
  })

  it('when the M flag of a router that is the server calls for it', async () => {
    const w = new Server6World(OPTIONS)
    w.eth0.advertise()
    const eth0 = w.other.attach(w.link, { mac: '02:00:00:00:00:05', probe: false, slaac: true })
    await w.world.settle(eth0.ready)
    expect(w.world.runUntil(() => eth0.addresses.includes('fd00::100/128'))).toBe(true)
  })
})
