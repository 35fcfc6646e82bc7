/** Our stack as the router between two kernels, and a kernel as the router before our stack. See test/support/inside.ts. */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { FarNamespace } from './far.ts'
import { endTcpdump, judged, noise, received, run, type Served, serve, sh, sha256, tcpdump } from './lab.ts'

const NEAR4 = '10.1.0.2'
const FAR4 = '10.2.0.2'
const FAR6 = 'fd00:2::2'

/** tap0 is here, tap1 in the other namespace; ours has .1 and ::1 on both. */
class Between {
  private constructor(
    readonly stack: NodeStack,
    readonly far: FarNamespace,
  ) {}

  static async open(options: { offload?: boolean; farMtu?: number } = {}): Promise<Between> {
    const { offload = true, farMtu } = options
    const far = await FarNamespace.make()
    const tap0 = await openTap({ name: 'tap0', offload })
    const tap1 = await openTap({ name: 'tap1', offload })
    far.take('tap1')
    sh(`ip addr add ${NEAR4}/24 dev tap0; ip -6 addr add fd00:1::2/64 dev tap0 nodad; ip link set tap0 up txqueuelen 20000`)
    sh('ip route add 10.2.0.0/24 via 10.1.0.1; ip -6 route add fd00:2::/64 via fd00:1::1')
    far.sh(`ip addr add ${FAR4}/24 dev tap1; ip -6 addr add ${FAR6}/64 dev tap1 nodad; ip link set tap1 up txqueuelen 20000`)
    far.sh('ip route add 10.1.0.0/24 via 10.2.0.1; ip -6 route add fd00:1::/64 via fd00:2::1')
    const stack = createStack({ name: 'router', forwarding: true })
    const eth0 = stack.attach(tap0, { addresses: ['10.1.0.1/24', 'fd00:1::1/64'] })
    const eth1 = stack.attach(tap1, { addresses: ['10.2.0.1/24', 'fd00:2::1/64'], mtu: farMtu })
    await Promise.all([eth0.ready, eth1.ready])
    stack.host.hold()
    return new Between(stack, far)
  }

  async close(): Promise<void> {
    this.stack.host.release()
    await this.stack.close()
    await this.far.end()
  }

  counter(name: string): number {
    const all = this.stack.counters()
    return all['ip.forward'][name] + all['ip6.forward'][name]
  }
}

const FAMILIES = [
  ['IPv4', FAR4, ''],
  ['IPv6', FAR6, '-6'],
] as const

/** Gbit/s of an iperf3 run through the router. */
async function iperf(to: string, options = ''): Promise<number> {
  const ran = await run(`exec iperf3 -c ${to} -t 2 -J ${options}`, { timeoutMs: 15_000 })
  expect(ran.code, ran.out + ran.err).toBe(0)
  return JSON.parse(ran.out).end.sum_received.bits_per_second / 1e9
}

describe.each([
  ['with offload', true],
  ['plain', false],
])('our router between two kernels, taps %s', (_, offload) => {
  let between: Between
  let server: Served

  beforeAll(async () => {
    between = await Between.open({ offload })
    server = await serve('sh', ['-c', `exec ${between.far.enter} iperf3 -s --forceflush 1>&2`], /listening/)
  })

  afterAll(async () => {
    await server.stop()
    await between.close()
  })

  it.each(FAMILIES)('%s: pings of all sizes come through, one hop less', async (_family, to) => {
    for (const size of [56, 1452, 65_000]) {
      const ran = await run(`exec ping -n -w 15 -c 3 -i 0.05 -s ${size} ${to}`)
      expect(received(ran), ran.out + ran.err).toBeGreaterThanOrEqual(3)
      expect(ran.out).toContain('ttl=63')
    }
  })

  it.each(FAMILIES)('%s: traceroute and tracepath show it', async (family, to, six) => {
    const ours = family === 'IPv4' ? '10.1.0.1' : 'fd00:1::1'
    const route = await run(`exec traceroute ${six} -n -q 1 -w 3 ${to}`)
    expect(
      route.out
        .split('\n')
        .slice(1)
        .map((l) => l.trim().split(/\s+/).slice(0, 2)),
    ).toEqual([['1', ours], ['2', to], ['']])
    const path = await run(`exec tracepath ${six} -n ${to}`)
    expect(path.out).toMatch(new RegExp(`1: +${ours} `))
    expect(path.out).toMatch(/Resume: pmtu 1500 hops 2/)
  })

  it.each(FAMILIES)('%s: TCP both ways', async (family, to) => {
    const rates = [await iperf(to), await iperf(to, '-R')]
    console.log(`${family} through the router, Gbit/s: ${rates.map((r) => r.toFixed(2)).join(' there, ')} back`)
    // Far below what it does, so that a busy machine does not fail.
    for (const rate of rates) expect(rate).toBeGreaterThan(0.1)
  })

  it('nothing is malformed on either side', async () => {
    const path = '/tmp/tapstack-router.pcap'
    const dump = await tcpdump(path, 65_600)
    for (const [, to] of FAMILIES) {
      await run(`exec ping -n -c 2 -i 0.05 -s 3000 ${to}`)
      await run(`exec ping -n -c 1 -W 1 -t 1 ${to}`)
      await run(`exec iperf3 -c ${to} -n 200K`)
    }
    await endTcpdump(dump)
    const bad =
      '_ws.malformed || ip.checksum.status == 0 || (tcp.checksum.status == 0 && eth.src != 00:00:00:00:00:00 && !tcp.checksum_bad.expert)'
    expect(await judged(path, bad)).toEqual([])
    sh(`rm -f ${path}`)
  })
})

describe('our router before a link with a smaller MTU', () => {
  let between: Between
  let server: Served

  beforeAll(async () => {
    between = await Between.open({ farMtu: 1300 })
    server = await serve('sh', ['-c', `exec ${between.far.enter} iperf3 -s --forceflush 1>&2`], /listening/)
  })

  afterAll(async () => {
    await server.stop()
    await between.close()
  })

  it.each(FAMILIES)('%s: the kernel hears of it and gets through', async (_family, to, six) => {
    const large = await run(`exec ping ${six} -n -c 2 -W 2 -i 0.2 -M do -s 1400 ${to}`)
    expect(large.out + large.err).toMatch(/mtu ?= ?1300/)
    const path = await run(`exec tracepath ${six} -n ${to}`)
    expect(path.out).toMatch(/Resume: pmtu 1300 hops 2/)
    expect(await iperf(to)).toBeGreaterThan(0.05)
    const cut = await run(`exec ping ${six} -n -c 2 -w 5 -i 0.2 -M dont -s 4000 ${to}`)
    expect(cut.out).toMatch(/2 received/)
  })
})

describe('a kernel as the router before our stack, with a smaller MTU behind it', () => {
  let far: FarNamespace
  let stack: NodeStack
  let server: Served

  beforeAll(async () => {
    far = await FarNamespace.make()
    const tap = await openTap({ name: 'tap0', host: ['10.1.0.1/24', 'fd00:1::1/64'] })
    sh('ip link add v0 mtu 1300 type veth peer name v1 mtu 1300')
    far.take('v1')
    sh('ip addr add 10.2.0.1/24 dev v0; ip -6 addr add fd00:2::1/64 dev v0 nodad; ip link set v0 up')
    far.sh(`ip addr add ${FAR4}/24 dev v1; ip -6 addr add ${FAR6}/64 dev v1 nodad; ip link set v1 up`)
    far.sh('ip route add default via 10.2.0.1; ip -6 route add default via fd00:2::1')
    sh('echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')
    stack = createStack({ name: 'host' })
    const addresses = ['10.1.0.2/24', 'fd00:1::2/64']
    await stack.attach(tap, { addresses, gateway: ['10.1.0.1', 'fd00:1::1'] }).ready
    stack.host.hold()
    server = await serve(
      'sh',
      ['-c', `exec ${far.enter} socat -d -d TCP6-LISTEN:7,reuseaddr,fork,ipv6only=0 EXEC:cat`],
      /listening on/,
    )
  })

  afterAll(async () => {
    await server.stop()
    stack.host.release()
    await stack.close()
    await far.end()
  })

  it.each(FAMILIES)('%s: TCP, pings and tracepath get through', async (_family, to) => {
    const bytes = noise(1_000_000, 3)
    const socket = stack.net.connect({ host: to, port: 7 })
    const parts: Buffer[] = []
    socket.on('data', (part: Buffer) => parts.push(part))
    socket.end(bytes)
    await once(socket, 'close')
    expect(sha256(Buffer.concat(parts))).toBe(sha256(bytes))
    const replies = []
    for await (const reply of stack.ping(to, { count: 3, size: 1400, intervalMs: 50, timeoutMs: 2000 })) replies.push(reply)
    expect(replies.at(-1)).toMatchObject({ from: to, bytes: expect.any(Number) })
    const steps = []
    for await (const step of stack.tracepath(to)) steps.push(step)
    expect(steps.at(-1)).toMatchObject({ reached: true, from: to, hop: 2, mtu: 1300 })
  })
})
