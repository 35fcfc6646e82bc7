/** Guests and gateways of other makes, and a card that is shared with the kernel. See test/support/inside.ts. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { createStack } from '../../../src/node/stack.ts'
import { startServices } from '../../../src/services/inetd.ts'
import { FarNamespace } from './far.ts'
import { run, serve, sh } from './lab.ts'

const dir = mkdtempSync(join(tmpdir(), 'tapstack-guests-'))

afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('a card by its packet socket', () => {
  let far: FarNamespace

  beforeAll(async () => {
    far = await FarNamespace.make()
    sh('ip link set lo up; ip link add eth0 type veth peer name eth1; ip link set eth0 up')
    far.take('eth1')
    far.sh('ip addr add 10.0.0.1/24 dev eth1; ip -6 addr add fd00::1/64 dev eth1 nodad; ip link set eth1 up')
  })

  afterAll(async () => {
    await far.end()
    sh('ip link del eth0 2>/dev/null || true')
  })

  it('has a stack beside the kernel: ping of both families, and TCP both ways with super-segments', async () => {
    await using stack = createStack()
    const link = await openLink('packet://eth0')
    await stack.attach(link, { addresses: ['10.0.0.2/24', 'fd00::2/64'] }).ready
    using _services = startServices(stack)
    for (const to of ['10.0.0.2', 'fd00::2']) {
      const ping = await run(`exec ${far.enter} ping -n -w 10 -c 3 -i 0.02 ${to}`)
      expect(ping.out, ping.err).toMatch(/ 3 received/)
    }
    const before = link.counters?.() ?? {}
    const size = 8 << 20
    // The echo service: what goes there comes back, and is as much.
    const echoed = await run(`head -c ${size} /dev/zero | exec ${far.enter} socat -t 10 - TCP:10.0.0.2:7 | wc -c`, {
      timeoutMs: 30_000,
    })
    expect(Number(echoed.out), echoed.err).toBe(size)
    const after = link.counters?.() ?? {}
    expect(after.inSuper).toBeGreaterThan(before.inSuper)
    expect(after.outSuper).toBeGreaterThan(before.outSuper)
    expect([after.dropInUnknownGso, after.dropOutInvalid, after.dropOutTooLong]).toEqual([0, 0, 0])
  })

  it('puts back the VLAN tags that the kernel took out, and goes on when the interface was down', async () => {
    far.sh('ip link add link eth1 name eth1.7 type vlan id 7; ip addr add 10.7.0.1/24 dev eth1.7; ip link set eth1.7 up')
    await using stack = createStack()
    stack.attach(await openLink('packet://eth0'), { name: 'eth0', addresses: ['10.0.0.2/24'] })
    stack.ip('link add link eth0 name eth0.7 type vlan id 7; addr add 10.7.0.2/24 dev eth0.7; link set eth0.7 up')
    const reached = async (to: string): Promise<void> => {
      const ping = await run(`exec ${far.enter} ping -n -w 10 -c 2 -i 0.02 ${to}`)
      expect(ping.out, ping.err).toMatch(/ 2 received/)
    }
    await reached('10.7.0.2')
    sh('ip link set eth0 down; ip link set eth0 up')
    await reached('10.0.0.2')
    await reached('10.7.0.2')
  })

  it('ends when it is deleted, and says what is wrong before', async () => {
    await expect(openLink('packet://nosuch0')).rejects.toMatchObject({ code: 'ENODEV' })
    sh('ip link add doomed0 type veth peer name doomed1; ip link set doomed0 up')
    await using stack = createStack()
    const iface = stack.attach(await openLink('packet://doomed0'), { addresses: ['10.9.0.2/24'] })
    sh('ip link del doomed0')
    await iface.closed
  })
})

const has = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const withPasst = has('passt')
if (!withPasst && process.env.CI !== 'true') console.warn('\n*** NOT TESTED: passt as the gateway: it is not installed\n')

describe.runIf(withPasst || process.env.CI === 'true')('passt as the gateway', () => {
  it('gives our client a lease, answers ARP, and carries a TCP connection to a server of this machine', async () => {
    // passt copies the addresses of the interface with the default route.
    sh('ip link set lo up; ip link add out0 type dummy; ip link set out0 up')
    sh('ip addr add 192.0.2.7/24 dev out0; ip route add default via 192.0.2.1')
    const socket = join(dir, 'passt.socket')
    const passt = await serve(
      'passt',
      ['-f', '--runas', '0', '-s', socket, '-i', 'out0'],
      /You can now start|UNIX domain socket bound/,
    )
    const page = await serve(
      'socat',
      ['-d', '-d', 'TCP-LISTEN:8080,bind=192.0.2.7,fork', 'SYSTEM:echo hello from the host'],
      /listening on/,
    )
    try {
      expect(existsSync(socket)).toBe(true)
      await using stack = createStack()
      const eth0 = stack.attach(await openLink(`unix://${socket}`), { dhcp: true })
      await eth0.ready
      expect(eth0.lease?.address.toString()).toBe('192.0.2.7')
      expect(eth0.lease?.routers.map(String)).toEqual(['192.0.2.1'])
      // The gateway's address is the host, seen from a guest.
      const heard = await new Promise<string>((resolve, reject) => {
        let text = ''
        const connection = stack.net.connect(8080, '192.0.2.1')
        connection.on('data', (data: Buffer) => {
          text += data.toString()
        })
        connection.on('end', () => resolve(text)).on('error', reject)
      })
      expect(heard).toBe('hello from the host\n')
    } finally {
      await page.stop()
      await passt.stop()
      sh('ip link del out0')
    }
  })
})
