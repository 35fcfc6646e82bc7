/** The host's tools against the stack over IPv6, with offload and without, and tshark as the judge of every frame. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { type Services, startServices } from '../../../src/services/inetd.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { endTcpdump, judged, MAC, noise, received, run, type Served, sh, sha256, tcpdump } from './lab.ts'

const HOST6 = 'fd00::1'
const OURS6 = 'fd00::2'

beforeAll(() => {
  // The host's link-local address is of use at once, and its source address to all nodes from the first test on.
  sh('ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad')
})

/** ping(8) until `count` answers have come. */
async function pinged6(count: number, options: string, to = OURS6): Promise<{ received: number; said: string }> {
  const ran = await run(`exec ping -6 -n -w 15 -c ${count} ${options} ${to}`)
  return { received: received(ran), said: ran.out + ran.err }
}

describe.each([
  ['with offload', true],
  ['plain', false],
])('a clean link %s', (_, offload) => {
  const wire = join(tmpdir(), `tapstack6-${process.pid}-${offload}.pcap`)
  let stack: NodeStack
  let eth0: AttachedInterface
  let services: Services
  let dump: Served

  beforeAll(async () => {
    const tap = await openTap({ name: 'tap0', host: [`${HOST6}/64`], offload })
    sh('ip link set tap0 txqueuelen 20000')
    stack = createStack({ name: 'lab6' })
    eth0 = stack.attach(tap, { name: 'eth0', mac: MAC, addresses: [`${OURS6}/64`] })
    dump = await tcpdump(wire, offload ? 65_600 : 1600)
    stack.host.hold()
    await eth0.ready
    services = startServices(stack)
  })

  afterAll(async () => {
    stack.host.release()
    services.close()
    await stack.close()
    rmSync(wire, { force: true })
  })

  it.each([
    ['plain', '-i 0.01', 5],
    ['-s 65000, in fragments', '-A -s 65000', 3],
    ['-s 65527, the largest', '-A -s 65527', 2],
    ['-s 1452 -M do, a full frame', '-i 0.01 -s 1452 -M do', 3],
    ['-s 0', '-i 0.01 -s 0', 2],
    ['with a pattern', '-i 0.01 -p a5 -s 1001', 2],
    ['with a class', '-Q 0xb8', 1],
  ])('answers ping %s', async (_, options, count) => {
    const { received, said } = await pinged6(count, options)
    expect(received, said).toBeGreaterThanOrEqual(count)
    expect(said).not.toMatch(/wrong data|DUP|BAD CHECKSUM/)
  })

  it('answers at its link-local address, and to all nodes', async () => {
    const own = eth0.iface.addresses.find((a) => a.address.isLinkLocal)!
    const text = own.address.toString().replace(/%.*/, '')
    const { received, said } = await pinged6(3, '-i 0.01', `${text}%tap0`)
    expect(received, said).toBeGreaterThanOrEqual(3)
    const all = await run('exec ping -6 -n -c 2 -i 0.3 -w 5 ff02::1%tap0')
    expect(all.out + all.err, all.out + all.err).toContain(`from ${text}%tap0`)
  })

  it('pings the host, in fragments too, and by a link-local address', async () => {
    const linkLocal = /inet6 (fe80::[0-9a-f:]+)\//.exec(sh('ip -6 addr show dev tap0 scope link'))![1]
    for (const [to, size] of [
      [HOST6, 56],
      [HOST6, 65_000],
      [`${linkLocal}%eth0`, 56],
    ] as const) {
      const replies: unknown[] = []
      for await (const r of stack.ping(to, { count: 2, intervalMs: 10, timeoutMs: 5000, size })) replies.push(r)
      expect(replies).toMatchObject([
        { seq: 1, bytes: size },
        { seq: 2, bytes: size },
      ])
    }
  })

  it('refuses UDP ports and TCP ports that nobody has, at once', async () => {
    const tcp = await run(`exec nc -6 -v ${OURS6} 4`)
    expect(tcp.err).toContain('refused')
    const udp = await run(`exec socat -t 2 - UDP6:[${OURS6}]:4,shut-none`, { input: Buffer.from('x') })
    expect(udp.err).toContain('refused')
  })

  it('echoes 10 MB to nc, both ways at once, byte for byte', async () => {
    const bytes = noise(10_000_000, 7)
    const ran = await run(`exec nc -6 -N ${OURS6} 7`, { input: bytes })
    expect(ran.code, ran.err).toBe(0)
    expect(sha256(ran.bytes)).toBe(sha256(bytes))
  })

  it('echoes a datagram of 30,000 bytes, in fragments', async () => {
    const bytes = noise(30_000, 9)
    const ran = await run(`exec socat -b 65000 -t 1 - UDP6:[${OURS6}]:7,shut-none`, { input: bytes })
    expect(sha256(ran.bytes), ran.err).toBe(sha256(bytes))
  })

  it('serves 20 MB to curl -g', async () => {
    const body = noise(20_000_000, 11)
    const server = stack.http.createServer((_, response) => void response.end(body))
    await new Promise<void>((resolve) => server.listen(80, () => resolve()))
    try {
      const ran = await run(`exec curl -g -sS -m 15 http://[${OURS6}]/`)
      expect(sha256(ran.bytes), ran.err).toBe(sha256(body))
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  })

  it('learns a path MTU from packet too big, and reaches what lies behind', async () => {
    // The far end's own addresses take a second or two before it finds its way back.
    const far = spawn('unshare', ['-n', 'sleep', '60'])
    await once(far, 'spawn')
    const there = `nsenter -t ${far.pid} -n ip`
    try {
      sh(`while [ $(readlink /proc/${far.pid}/ns/net) = $(readlink /proc/$$/ns/net) ]; do sleep 0.01; done`)
      sh(`ip link add v0 type veth peer name v1 netns ${far.pid}`)
      sh('ip addr add fd01::1/64 dev v0 nodad && ip link set v0 up mtu 1300')
      sh(
        `${there} addr add fd01::2/64 dev v1 nodad && ${there} link set v1 up mtu 1300 && ${there} route add default via fd01::1`,
      )
      sh('echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')
      stack.addRoute('fd01::/64', HOST6, eth0)
      const replies: { error?: string }[] = []
      for await (const r of stack.ping('fd01::2', { count: 3, intervalMs: 100, timeoutMs: 10_000, size: 1400 })) replies.push(r)
      expect(replies[0].error).toBe('EMSGSIZE')
      expect(replies.slice(1)).toMatchObject([{ bytes: 1400 }, { bytes: 1400 }])
    } finally {
      far.kill()
    }
  })

  it('sent no frame that tshark complains about, and used the offloads that it has', async () => {
    expect(stack.counters().eth0).toMatchObject({ outDropNoNeighbor: 0 })
    const link = stack.counters()['eth0.link']
    if (offload) {
      expect(link.outSuper).toBeGreaterThan(0)
      expect(link.inSuper).toBeGreaterThan(0)
    } else expect(link.vnetHeader).toBe(0)
    expect(await endTcpdump(dump)).toBe(0)
    expect(await judged(wire, '_ws.malformed || icmpv6.checksum.status == "Bad"')).toEqual([])
    // With offload, transport checksums are completed beyond the place where tcpdump looks.
    const sums = 'tcp.checksum.status == "Bad" || udp.checksum.status == "Bad"'
    const ours = `eth.src == ${MAC} && ${offload ? `_ws.expert.severity == error && !(${sums})` : `(_ws.expert.severity == error || ${sums})`}`
    expect(await judged(wire, ours)).toEqual([])
  })
})
