/** Neighbor Discovery between a stack on a tap and the kernel, its tools, and tshark as the judge. See test/support/inside.ts. */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { parseMac } from '../../../src/ethernet/mac.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { endTcpdump, HOST, judged, MAC, received, run, type Served, sh, tcpdump, untilSucceeds } from './lab.ts'

const HOST6 = 'fd00::1'
const OURS6 = 'fd00::2'
const LINK_LOCAL = 'fe80::ff:fe00:2'

/** Sets `net.ipv6.conf.<device>.<name>` of the namespace. */
function sysctl6(device: string, name: string, value: number): void {
  sh(`echo ${value} > /proc/sys/net/ipv6/conf/${device}/${name}`)
}

describe('with a kernel on the link', () => {
  const wire = join(tmpdir(), `tapstack-nd-${process.pid}.pcap`)
  let stack: NodeStack
  let eth0: AttachedInterface
  let dump: Served
  let hostLinkLocal: string

  beforeAll(async () => {
    sh('ip link set lo up')
    sysctl6('default', 'accept_dad', 0)
    const tap = await openTap({ name: 'tap0', host: `${HOST}/24` })
    sh(`ip -6 addr add ${HOST6}/64 dev tap0`)
    dump = await tcpdump(wire, 2000)
    stack = createStack({ name: 'nd', nd: { dadDelayMs: 50, retransTimerMs: 300 } })
    eth0 = stack.attach(tap, { name: 'eth0', mac: MAC, addresses: [`${OURS6}/64`] })
    stack.host.hold()
    await eth0.ready
    hostLinkLocal = /inet6 (fe80::[0-9a-f:]+)\/64/.exec(sh('ip -6 addr show dev tap0'))![1]
  })

  afterAll(async () => {
    stack.host.release()
    await stack.close()
    rmSync(wire, { force: true })
  })

  it.each([OURS6, LINK_LOCAL])('answers ndisc6 for %s', async (address) => {
    const ran = await run(`exec ndisc6 -1 ${address} tap0`)
    expect([ran.code, ran.err]).toEqual([0, ''])
    expect(ran.out).toContain('Target link-layer address: 02:00:00:00:00:02')
    expect(ran.out).toContain(`from ${address}`)
  })

  it('does not answer ndisc6 for others', async () => {
    const ran = await run('exec ndisc6 -r 1 -w 200 fd00::77 tap0')
    expect(ran.code).not.toBe(0)
  })

  it.each([OURS6, `${LINK_LOCAL}%tap0`])('answers ping -6 %s', async (address) => {
    const ran = await run(`exec ping -6 -n -i 0.05 -c 3 -w 10 ${address}`)
    expect(received(ran), ran.out + ran.err).toBeGreaterThanOrEqual(3)
    expect(ran.out).not.toContain('DUP')
  })

  it('pings the host by both of its addresses', async () => {
    for (const address of [HOST6, `${hostLinkLocal}%eth0`]) {
      const replies = []
      for await (const reply of stack.ping(address, { count: 2, intervalMs: 10 })) replies.push(reply)
      expect(replies.map((r) => r.error)).toEqual([undefined, undefined])
    }
    expect(stack.neighbors.map((n) => n.address)).toEqual(expect.arrayContaining([HOST6, `${hostLinkLocal}%eth0`]))
  })

  it('finds out that the kernel has an address already', async () => {
    sh('ip -6 addr add fd00::99/64 dev tap0')
    const mac = /link\/ether (\S+)/.exec(sh('ip link show tap0'))![1]
    await expect(eth0.addAddress('fd00::99/64')).rejects.toMatchObject({
      code: 'EADDRINUSE',
      address: 'fd00::99',
      message: expect.stringContaining(mac),
    })
    expect(eth0.removeAddress('fd00::99')).toBe(true)
    // Now it is a neighbour like others.
    const replies = []
    for await (const reply of stack.ping('fd00::99', { count: 1 })) replies.push(reply)
    expect(replies.map((r) => r.error)).toEqual([undefined])
  })

  it('makes the kernel find out that we have one', async () => {
    sysctl6('tap0', 'accept_dad', 1)
    sh(`ip -6 addr add ${OURS6}/64 dev tap0`)
    await untilSucceeds(`ip -6 addr show dev tap0 dadfailed | grep -q ${OURS6}/64`)
    sh(`ip -6 addr del ${OURS6}/64 dev tap0`)
  })

  it('tells the kernel of another link address', async () => {
    await run(`exec ping -6 -n -c 1 -w 5 ${OURS6}`)
    eth0.setMac(parseMac('02:00:00:00:00:55'))
    await untilSucceeds(`ip -6 neigh show ${OURS6} dev tap0 | grep -q 02:00:00:00:00:55`)
    const ran = await run(`exec ping -6 -n -c 1 -w 5 ${OURS6}`)
    expect(ran.out, ran.err).toContain('1 received')
  })

  it('says nothing that tshark or the kernel finds wrong', async () => {
    expect(await endTcpdump(dump)).toBe(0)
    expect(await judged(wire, '_ws.malformed || _ws.expert.severity == error || icmpv6.checksum.status == "Bad"')).toEqual([])
    expect(await judged(wire, 'icmpv6.type >= 133 && icmpv6.type <= 137 && ipv6.hlim != 255')).toEqual([])
    expect((await judged(wire, 'icmpv6.type == 136 && eth.src == 02:00:00:00:00:02')).length).toBeGreaterThan(3)
    expect((await judged(wire, 'icmpv6.opt.type == 14 && ipv6.src == ::')).length).toBeGreaterThan(2)
    expect(sh('grep Icmp6InErrors /proc/net/snmp6')).toMatch(/\s0\n$/)
  })
})
