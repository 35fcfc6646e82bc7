/** Our traceroute and tracepath through a kernel that routes, and the host's own (mtr among them) to our stack. See test/support/inside.ts. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { TracepathStep } from '../../../src/probe/tracepath.ts'
import type { TracerouteHop } from '../../../src/probe/traceroute.ts'
import { FarNamespace } from './far.ts'
import { endTcpdump, judged, run, type Served, sh, tcpdump } from './lab.ts'

const FAMILIES = [
  { name: 'IPv4', six: '-4', ours: '10.1.0.1', router: '10.1.0.2', far: '10.2.0.2' },
  { name: 'IPv6', six: '-6', ours: 'fd00:1::1', router: 'fd00:1::2', far: 'fd00:2::2' },
]

/** Between the router and what is behind it. */
const NARROW = 1400

const wire = join(tmpdir(), `tapstack-paths-${process.pid}.pcap`)
let stack: NodeStack
let far: FarNamespace
let dump: Served

beforeAll(async () => {
  far = await FarNamespace.make()
  sh('ip link set lo up; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit')
  sh('echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding')
  sh(`ip link add near0 mtu ${NARROW} type veth peer name far0 mtu ${NARROW}`)
  far.take('far0')
  sh('ip addr add 10.2.0.1/24 dev near0; ip -6 addr add fd00:2::1/64 dev near0 nodad; ip link set near0 up')
  far.sh('ip addr add 10.2.0.2/24 dev far0; ip -6 addr add fd00:2::2/64 dev far0 nodad; ip link set far0 up')
  far.sh('ip route add default via 10.2.0.1; ip -6 route add default via fd00:2::1')
  const tap = await openTap({ name: 'tap0', host: ['10.1.0.2/24', 'fd00:1::2/64'], offload: false })
  stack = createStack({ name: 'paths' })
  dump = await tcpdump(wire, 1600)
  const eth0 = stack.attach(tap, { addresses: ['10.1.0.1/24', 'fd00:1::1/64'], gateway: ['10.1.0.2', 'fd00:1::2'] })
  await eth0.ready
  stack.host.hold()
})

afterAll(async () => {
  stack.host.release()
  await stack.close()
  await far.end()
  rmSync(wire, { force: true })
})

describe.each(FAMILIES)('over $name', ({ six, ours, router, far: host }) => {
  it.each(['udp', 'icmp', 'tcp'] as const)('our traceroute by %s shows the router and the host', async (method) => {
    const hops: TracerouteHop[] = []
    for await (const hop of stack.traceroute(host, { method })) hops.push(hop)
    expect(hops.map((h) => h.answers.map((a) => a.from ?? a.error))).toEqual([
      [router, router, router],
      [host, host, host],
    ])
    expect(hops[1].reached).toBe(true)
    expect(hops.every((h) => h.answers.every((a) => a.timeMs! >= 0 && a.mark === undefined))).toBe(true)
  })

  it('our traceroute to an open port of TCP, and to a host that is not there', async () => {
    const hops: TracerouteHop[] = []
    for await (const hop of stack.traceroute(host, { method: 'tcp', port: 4, queries: 1 })) hops.push(hop)
    expect(hops.at(-1)).toMatchObject({ hop: 2, reached: true })
    const nobody = host.replace(/2$/, '77')
    const none: TracerouteHop[] = []
    for await (const hop of stack.traceroute(nobody, { queries: 1, maxHops: 3, parallel: 1, firstHop: 2, timeoutMs: 8000 }))
      none.push(hop)
    expect(none).toMatchObject([{ hop: 2, answers: [{ from: router, error: 'EHOSTUNREACH', mark: '!H' }] }])
  }, 20_000)

  it('our tracepath finds where the path narrows', async () => {
    const steps: TracepathStep[] = []
    for await (const step of stack.tracepath(host)) steps.push(step)
    expect(steps.map((s) => [s.hop, s.from, s.mtu, s.mtuChanged, s.reached])).toEqual([
      [0, undefined, 1500, true, false],
      [1, router, 1500, false, false],
      [2, router, NARROW, true, false],
      [2, host, NARROW, false, true],
    ])
    expect(steps.at(-1)!.back).toBe(2)
  })

  it.each(['', '-I', '-T -p 4'])('traceroute %s of the host shows our stack, behind the router', async (method) => {
    const ran = await run(`exec ${far.enter} traceroute ${six} -n -q 1 -w 3 ${method} ${ours}`)
    const lines = ran.out.trim().split('\n').slice(1)
    expect(
      lines.map((l) => l.trim().split(/\s+/)[1]),
      ran.out + ran.err,
    ).toEqual([router.startsWith('fd') ? 'fd00:2::1' : '10.2.0.1', ours])
  })

  it('tracepath of the host reaches our stack', async () => {
    const ran = await run(`exec ${far.enter} tracepath ${six} -n ${ours}`)
    expect(ran.out, ran.err).toMatch(/reached/)
    expect(ran.out).toMatch(new RegExp(`Resume: pmtu ${NARROW} hops 2 back 2`))
  })

  it('mtr sees no loss on the way to our stack, by ICMP, UDP and TCP', async () => {
    const one = async (method: string): Promise<void> => {
      const ran = await run(`exec ${far.enter} mtr ${six} -n -c 2 -i 0.1 -G 0.5 --report --csv ${method} ${ours}`)
      const last = ran.out.trim().split('\n').at(-1)!.split(',')
      expect([last[5], Number(last[6])], `${method}: ${ran.out}${ran.err}`).toEqual([ours, 0])
    }
    await Promise.all(['', '--udp', '--tcp -P 4'].map(one))
  })
})

it('sent no frame that tshark complains about', async () => {
  expect(await endTcpdump(dump)).toBe(0)
  const own = '(ip.src == 10.1.0.1 || ipv6.src == fd00:1::1)'
  const complaints = `${own} && (_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0)`
  expect(await judged(wire, complaints)).toEqual([])
})
