import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Dhcp6ServerOptions } from '../../src/dhcp6/server-options.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { CommandRun } from '../support/command-lab.ts'
import { scratchFolder } from '../support/scratch.ts'

const dir = scratchFolder('dhcp6')

/** The command on one end of a link, a stack with a DHCPv6 server on the other. */
function lab(options: Dhcp6ServerOptions = {}) {
  const world = createWorld({ seed: 4 })
  const peer = world.stack({ name: 'peer' })
  const [near, far] = createPipe({ names: ['tap0', 'far'] })
  const eth0 = peer.attach(far, { addresses: ['fd00::1/64'], probe: false })
  const info = { dnsServers: ['fd00::53'], domainSearch: ['lab.example'], ntpServer: [{ address: 'fd00::7' }] }
  const server = peer.dhcp6Server(eth0, {
    ranges: ['fd00::100-fd00::1ff'],
    prefixes: ['fd01::/48-56'],
    options: info,
    ...options,
  })
  const command = new CommandRun(world, [near])
  const { out, err } = command
  const exec = (line: string): Promise<number> => world.settle(command.start(line), 3_600_000)
  return { world, peer, eth0, server, out, err, exec }
}

describe('tapstack dhcp -6', () => {
  it('prints the lease, and gives it back', async () => {
    const l = lab()
    expect(await l.exec('dhcp -6 --prefix ::/56')).toBe(0)
    expect(l.out[0]).toMatch(/^address {2}fd00::1[0-9a-f]{2} on eth0$/)
    expect(l.out[1]).toMatch(/^prefix {3}fd01:0?:?.*\/56$/)
    expect(l.out[2]).toMatch(/^server {3}00:03:00:01:/)
    expect(l.out.slice(3)).toEqual(['dns      fd00::53', 'search   lab.example', 'ntp      fd00::7', 'lease    3600 s'])
    l.world.run(10)
    expect(l.server.leases).toEqual([])
    expect(l.peer.counters(true)['dhcp6.server']).toMatchObject({ inReleases: 1 })
  })

  it('keeps the lease in a file, and asks for it again', async () => {
    const file = join(dir, 'lease6')
    const l = lab()
    expect(await l.exec(`dhcp -6 --no-probe --leases ${file}`)).toBe(0)
    expect(l.server.leases.length).toBe(1)
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      lease: { addresses: [{ address: l.server.leases[0].address }] },
    })
  })

  it('asks for the rest alone when an address is given', async () => {
    const l = lab()
    expect(await l.exec('dhcp -6 -a fd00::9/64 --no-probe')).toBe(0)
    expect(l.out.slice(1)).toEqual(['dns      fd00::53', 'search   lab.example', 'ntp      fd00::7', 'refresh  86400 s'])
  })

  it('without an answer says so', async () => {
    const l = lab()
    l.server.close()
    expect(await l.exec('dhcp -6 --timeout 10')).toBe(2)
    expect(l.err).toEqual([
      'tapstack dhcp: no DHCPv6 answer on eth0 within 10 s: is there a DHCPv6 server on this link? Without one give an address',
    ])
  })

  it('--dhcp6 gives any command its address', async () => {
    const l = lab()
    l.eth0.advertise()
    expect(await l.exec('ping --dhcp6 -c 1 fd00::1')).toBe(0)
    expect(l.out.join('\n')).toContain('1 received')
  })
})
