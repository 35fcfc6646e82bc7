import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld } from '../../src/sim/world.ts'
import { CommandRun } from '../support/command-lab.ts'
import { scratchFolder } from '../support/scratch.ts'

const dir = scratchFolder('dhcp')

/** The command on one end of a link, a stack on the other. */
function lab() {
  const world = createWorld({ seed: 4 })
  const peer = world.stack({ name: 'peer' })
  const [near, far] = createPipe({ names: ['tap0', 'far'] })
  const command = new CommandRun(world, [near])
  const { out, err, stop } = command
  const start = (line: string): Promise<number> => command.start(line)
  const exec = (line: string): Promise<number> => world.settle(start(line), 3_600_000)
  const serve = () => {
    const eth0 = peer.attach(far, { addresses: ['10.0.0.1/24'] })
    const options = { routers: ['10.0.0.1'], domainNameServers: ['10.0.0.3'], domainName: 'lab.example', interfaceMtu: 1400 }
    return peer.dhcpServer(eth0, { ranges: ['10.0.0.50-10.0.0.60'], options, probe: false })
  }
  return { world, peer, far, out, err, stop, start, exec, serve, said: () => command.said() }
}

describe('tapstack dhcp', () => {
  it.each(['dhcp', 'dhcp -6'])('%s: Ctrl-C before there is a lease is no success', async (line) => {
    const l = lab()
    const code = l.start(line)
    l.world.run(500)
    for (let j = 0; j < 50; j++) await undefined
    l.world.run(500)
    l.stop.abort()
    expect(await l.world.settle(code)).toBe(1)
    expect([l.out, l.err, l.world.host.holds]).toEqual([[], [], 0])
  })

  it('prints the lease, and gives it back', async () => {
    const l = lab()
    const server = l.serve()
    expect(await l.exec('dhcp --no-probe --hostname lab')).toBe(0)
    expect(l.out).toEqual([
      'address  10.0.0.50/24 on eth0',
      'server   10.0.0.1',
      'router   10.0.0.1',
      'dns      10.0.0.3',
      'search   lab.example',
      'mtu      1400',
      'lease    3600 s',
    ])
    expect(l.err).toEqual([])
    l.world.run(10)
    expect(server.leases).toEqual([])
    expect(l.peer.counters(true)['dhcp.server']).toMatchObject({ inReleases: 1 })
  })

  it('says in one line that there is no server, and exits as dhclient -1 does', async () => {
    const l = lab()
    l.peer.attach(l.far, { addresses: ['10.0.0.1/24'] })
    expect(await l.exec('dhcp --timeout 10')).toBe(2)
    expect(l.err).toEqual([
      'tapstack dhcp: no DHCP answer on eth0 within 10 s: is there a DHCP server on this link? Without one give an address',
    ])
  })

  it('stays, keeps its lease in a file, and has it again', async () => {
    const l = lab()
    const server = l.serve()
    const file = join(dir, 'eth0.lease')
    const done = l.start(`dhcp --no-probe --stay --leases ${file}`)
    await l.said()
    expect(l.out[l.out.length - 1]).toBe('ready: 10.0.0.50 on tap0')
    l.world.run(2_000_000)
    l.stop.abort()
    expect(await l.world.settle(done)).toBe(0)
    expect(l.out[l.out.length - 1]).toBe('renewed 10.0.0.50/24')
    expect(server.leases.length).toBe(1)
    const again = lab()
    again.serve()
    expect(await again.exec(`dhcp --no-probe --leases ${file}`)).toBe(0)
    expect(again.out[0]).toBe('address  10.0.0.50/24 on eth0')
    expect(again.peer.counters(true)['dhcp.server']).toEqual({ inRequests: 1, outAcks: 1 })
  })

  it('--dhcp gives any command its address', async () => {
    const l = lab()
    l.serve()
    expect(await l.exec('ping --dhcp -c 1 10.0.0.1')).toBe(0)
    expect(l.out.join('\n')).toMatch(/1 received/)
  })

  it('serves', async () => {
    const l = lab()
    const done = l.start(
      'dhcp --server -a 10.0.0.2/24 --range 10.0.0.100-10.0.0.110 --router 10.0.0.1 --dns 10.0.0.9 --domain lab --lease-time 600',
    )
    const client = l.peer.attach(l.far, { mac: '02:00:00:00:00:05', dhcp: { probe: false, hostname: 'guest' } })
    await l.said()
    await l.world.settle(client.ready)
    expect(client.lease).toMatchObject({
      prefix: '10.0.0.100/24',
      routers: ['10.0.0.1'],
      nameservers: ['10.0.0.9'],
      domain: 'lab',
    })
    expect(l.out).toEqual(['ready: 10.0.0.2 on tap0, DHCP for 10.0.0.100-10.0.0.110', 'bound 10.0.0.100 02:00:00:00:00:05 guest'])
    l.stop.abort()
    expect(await l.world.settle(done)).toBe(0)
  })

  it('serves DHCPv6 with -6: addresses, prefixes, names', async () => {
    const l = lab()
    const done = l.start(
      'dhcp --server -6 -a fd00::2/64 --range fd00::100-fd00::1ff --prefix fd00:1::/48-56 --dns fd00::9 --domain lab',
    )
    const client = l.peer.attach(l.far, { mac: '02:00:00:00:00:05', dhcp6: { address: true, prefix: true } })
    await l.said()
    await l.world.settle(client.ready)
    expect(client.lease6).toMatchObject({
      addresses: [{ address: 'fd00::100' }],
      prefixes: [{ prefix: 'fd00:1::/56' }],
      nameservers: ['fd00::9'],
      searchDomains: ['lab'],
    })
    const duid = '00:03:00:01:02:00:00:00:00:05'
    const given = 'fd00::100-fd00::1ff fd00:1::/48-56'
    expect(l.out).toEqual([`ready: fd00::2 on tap0, DHCPv6 for ${given}`, `bound fd00::100 ${duid}`, `bound fd00:1::/56 ${duid}`])
    l.stop.abort()
    expect(await l.world.settle(done)).toBe(0)
  })
})
