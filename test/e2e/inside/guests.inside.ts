/** Guests and gateways of other makes, and a card that is shared with the kernel. See test/support/inside.ts. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { nodeHost } from '../../../src/node/host.ts'
import { createStack } from '../../../src/node/stack.ts'
import { startServices } from '../../../src/services/inetd.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { FarNamespace } from './far.ts'
import { noise, run, serve, sh, sha256 } from './lab.ts'
import { machineKernel, makeMachine } from './machine.ts'

const dir = scratchFolder('guests')

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
    startServices(stack)
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
    sh('ip link add card0 type veth peer name card1; ip link set card0 up; ip link set card1 up')
    await using a = createStack()
    await using b = createStack()
    for (const [i, stack] of [a, b].entries()) {
      const name = `card${i}`
      stack.attach(await openLink(`packet://${name}`), { name, addresses: [`10.1.0.${i + 1}/24`] })
      stack.ip(`link add link ${name} name v7 type vlan id 7; addr add 10.7.0.${i + 1}/24 dev v7; link set v7 up`)
    }
    const carrier = async (): Promise<void> => {
      for (const name of ['card0', 'card1']) await run(`until ip link show ${name} | grep -q 'state UP'; do sleep 0.01; done`)
    }
    await carrier()
    const reached = async (): Promise<void> => {
      for (const to of ['10.7.0.2', '10.1.0.2']) {
        let answers = 0
        for await (const reply of a.ping(to, { count: 3, intervalMs: 20 })) if (reply.error === undefined) answers++
        expect(answers, to).toBe(3)
      }
    }
    await reached()
    sh('ip link set card0 down; ip link set card1 down; ip link set card0 up; ip link set card1 up')
    await carrier()
    await reached()
    sh('ip link del card0')
  })

  it('ends when it is deleted, and says what is wrong before', async () => {
    await expect(openLink('packet://nosuch0')).rejects.toMatchObject({ code: 'ENODEV' })
    await expect(openLink('packet://')).rejects.toThrow(/Invalid interface/)
    sh('ip link add doomed0 type veth peer name doomed1; ip link set doomed0 up')
    const link = await openLink('packet://doomed0')
    const ended = new Promise<Error | undefined>((resolve) => {
      link.attach({
        host: nodeHost,
        input: () => undefined,
        readable: () => void link.receive(64),
        writable: () => undefined,
        closed: resolve,
      })
    })
    sh('ip link del doomed0')
    expect((await ended)?.message).toBe('doomed0 has ended (ENETDOWN): the interface was deleted')
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

/** What is not there is not described: a test that is left out counts as failed here (inside.ts). */
function describeIf(there: boolean, what: string, tests: () => void): void {
  if (there) describe(what, tests)
}

const withPasst = has('passt')
if (!withPasst && process.env.CI !== 'true') console.warn('\n*** NOT TESTED: passt as the gateway: it is not installed\n')

describeIf(withPasst || process.env.CI === 'true', 'passt as the gateway', () => {
  it("gives our client a lease, answers ARP, and carries TCP both ways to a server on this machine's loopback", async () => {
    // passt copies the addresses of the interface with the default route.
    sh('ip link set lo up; ip link add out0 type veth peer name out1; ip link set out0 up; ip link set out1 up')
    sh('ip addr add 192.0.2.7/24 dev out0; ip route add default via 192.0.2.1')
    const socket = join(dir, 'passt.socket')
    const passt = await serve(
      'passt',
      ['-f', '--runas', '0', '-s', socket, '-i', 'out0'],
      /You can now start|UNIX domain socket bound/,
    )
    const echo = await serve('socat', ['-d', '-d', 'TCP-LISTEN:8080,bind=127.0.0.1', 'EXEC:cat'], /listening on/)
    try {
      expect(existsSync(socket)).toBe(true)
      await using stack = createStack()
      const eth0 = stack.attach(await openLink(`unix://${socket}`), { dhcp: true })
      await eth0.ready
      expect(eth0.lease?.address.toString()).toBe('192.0.2.7')
      expect(eth0.lease?.routers.map(String)).toEqual(['192.0.2.1'])
      // The gateway's address is the host, seen from a guest.
      const body = noise(50_000, 9)
      const connection = stack.net.connect(8080, '192.0.2.1')
      const heard: Buffer[] = []
      // One message at a time: passt of 2023 says bytes again as new ones where much goes both ways at once.
      let asked = 1000
      let got = 0
      connection.write(body.subarray(0, asked))
      for await (const data of connection as AsyncIterable<Buffer>) {
        heard.push(data)
        got += data.length
        if (got !== asked) continue
        asked += 1000
        if (got === body.length) connection.end()
        else connection.write(body.subarray(got, asked))
      }
      expect(sha256(Buffer.concat(heard))).toBe(sha256(body))
      // What answered to ARP has an address of passt's making.
      const [gateway] = stack.neighbors.filter(({ address }) => address === '192.0.2.1')
      expect(gateway).toMatchObject({ state: 'REACHABLE', mac: expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/) })
    } finally {
      await echo.stop()
      await passt.stop()
      sh('ip link del out0')
    }
  })
})

const firmware = ['/usr/bin/qemu-system-x86_64', '/usr/lib/ipxe/qemu/pxe-virtio.rom'].every((file) => existsSync(file))
if (!firmware && process.env.CI !== 'true') console.warn('\n*** NOT TESTED: QEMU by datagrams: it is not installed\n')

describeIf(firmware || process.env.CI === 'true', "the firmware of QEMU's network card", () => {
  it('gets its address from our DHCP server by datagrams', { timeout: 60_000 }, async () => {
    sh('ip link set lo up')
    await using stack = createStack()
    const eth0 = stack.attach(await openLink('udp://127.0.0.1:5000->127.0.0.1:5001'), { addresses: ['10.0.0.1/24'] })
    const server = stack.dhcpServer(eth0, { ranges: ['10.0.0.50-10.0.0.60'] })
    const dgram =
      'dgram,id=n,local.type=inet,local.host=127.0.0.1,local.port=5001,remote.type=inet,remote.host=127.0.0.1,remote.port=5000'
    const machine = await serve(
      'sh',
      [
        '-c',
        `exec qemu-system-x86_64 -accel tcg -m 64 -nographic -no-reboot -boot n -device virtio-net-pci,netdev=n -netdev ${dgram} >&2`,
      ],
      /net0: 10\.0\.0\.50\/255\.255\.255\.0/,
    )
    await machine.stop()
    await server.close()
  })
})

const release = machineKernel()
if (release === null && process.env.CI !== 'true')
  console.warn(
    '\n*** NOT TESTED: a virtual machine: qemu-system-x86_64, busybox and a kernel are needed (test/e2e/guest-root.sh gets one)\n',
  )

describeIf(release !== null || process.env.CI === 'true', 'a virtual machine of QEMU', () => {
  it('gets its address from our DHCP server, fetches a page from our HTTP server, has VLANs with us and a second card by UNIX datagrams', {
    timeout: 90_000,
  }, async () => {
    if (release === null) throw new Error('no kernel for the virtual machine: TAPSTACK_GUEST_ROOT=$(test/e2e/guest-root.sh)')
    const { kernel, initrd } = makeMachine(
      dir,
      release,
      [
        'wget -q -O - http://10.0.0.1/',
        // A tag, and a tag behind the tag of a provider, of Linux's making.
        'ip link add link eth0 name eth0.5 type vlan id 5',
        'ip addr add 10.5.0.2/24 dev eth0.5; ip link set eth0.5 up',
        'ip link add link eth0 name eth0.7 type vlan protocol 802.1ad id 7; ip link set eth0.7 up',
        'ip link add link eth0.7 name eth0.7.30 type vlan id 30',
        'ip addr add 10.7.0.2/24 dev eth0.7.30; ip link set eth0.7.30 up',
        'ip addr add 10.9.0.2/24 dev eth1; ip link set eth1 up',
        'for to in 10.5.0.1 10.7.0.1 10.9.0.1; do ping -c 3 -i 0.1 -s 1472 $to; wget -q -O - http://$to/large | md5sum; done',
      ].join('\n'),
    )
    const socket = join(dir, 'machine.sock')
    await using stack = createStack()
    const eth0 = stack.attach(await openLink(`unix://${socket}?listen`), { addresses: ['10.0.0.1/24'] })
    stack.addVlan(eth0, 5, { addresses: ['10.5.0.1/24'] })
    stack.addVlan(stack.addVlan(eth0, 7, { protocol: '802.1ad' }), 30, { addresses: ['10.7.0.1/24'] })
    const [ours, theirs] = [join(dir, 'ours.sock'), join(dir, 'theirs.sock')]
    stack.attach(await openLink(`unixgram://${ours}->${theirs}`), { name: 'eth1', addresses: ['10.9.0.1/24'] })
    const server = stack.dhcpServer(eth0, { ranges: ['10.0.0.50-10.0.0.60'] })
    const asked: string[] = []
    const large = noise(300_000, 3)
    const http = stack.http.createServer((request, response) => {
      asked.push(`${request.socket.remoteAddress} ${request.url}`)
      response.end(request.url === '/large' ? large : 'a page from a stack\n')
    })
    http.listen(80)
    const machine = await run(
      `exec qemu-system-x86_64 -accel tcg -m 256 -nographic -no-reboot -kernel ${kernel} -initrd ${initrd} -append 'console=ttyS0 quiet panic=-1' ` +
        `-netdev stream,id=n,server=off,addr.type=unix,addr.path=${socket} -device virtio-net-pci,netdev=n,romfile= ` +
        `-netdev dgram,id=d,local.type=unix,local.path=${theirs},remote.type=unix,remote.path=${ours} -device virtio-net-pci,netdev=d,romfile=`,
      { timeoutMs: 80_000 },
    )
    expect(machine.out, machine.err).toContain('a page from a stack')
    expect(machine.out).toContain('lease of 10.0.0.50 obtained from 10.0.0.1')
    expect(asked.map((line) => line.replace('::ffff:', ''))).toEqual([
      '10.0.0.50 /',
      '10.5.0.2 /large',
      '10.7.0.2 /large',
      '10.9.0.2 /large',
    ])
    expect(machine.out.match(/3 packets transmitted, 3 packets received/g)?.length, machine.out).toBe(3)
    const sums = [...machine.out.matchAll(/^([0-9a-f]{32}) /gm)].map(([, sum]) => sum)
    const sum = createHash('md5').update(large).digest('hex')
    expect(sums, machine.out).toEqual([sum, sum, sum])
    expect(stack.counters()['eth0.ethernet'].dropUnknownVlan).toBe(0)
    await server.close()
  })
})
