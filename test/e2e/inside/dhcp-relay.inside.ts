/** Our DHCP server on a tap, behind real relays: clients in a network of their own, which only the relay is on. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import type { DhcpServer } from '../../../src/dhcp/server.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { FarNamespace } from './far.ts'
import { endTcpdump, judged, MAC, type Served, serve, sh, tcpdump, until } from './lab.ts'

const dir = scratchFolder('relay')
let far: FarNamespace
let stack: NodeStack
let server: DhcpServer
let relay: Served | null = null

/** tap0, by which the relay reaches us; near0 and far0, the cable of the clients. */
beforeAll(async () => {
  sh('ip link set lo up; ip link add near0 type veth peer name far0; ip addr add 10.9.0.1/24 dev near0; ip link set near0 up')
  far = await FarNamespace.make()
  far.take('far0')
  far.sh('ip link set far0 address 02:00:00:00:00:11 up')
  sh('echo 1 > /proc/sys/net/ipv4/ip_forward')
  const link = await openTap({ name: 'tap0', host: '10.0.0.1/24', offload: false })
  stack = createStack({ dhcp: { probeMs: 200 } })
  const eth0 = stack.attach(link, { mac: MAC, addresses: ['10.0.0.2/24'], gateway: '10.0.0.1' })
  const networks = [{ prefix: '10.9.0.0/24', ranges: ['10.9.0.50-10.9.0.99'], options: { routers: ['10.9.0.1'] } }]
  server = stack.dhcpServer(eth0, { ranges: ['10.0.0.100-10.0.0.200'], networks })
})
afterEach(async () => {
  await relay?.stop()
  far.sh('ip addr flush dev far0')
})
afterAll(async () => {
  await stack.close()
  await far.end()
})

describe('our server behind a relay', () => {
  const relays: readonly (readonly [string, readonly string[], RegExp])[] = [
    [
      'dhcrelay',
      ['-4', '-d', '-a', '-pf', join(dir, 'relay.pid'), '-id', 'near0', '-iu', 'tap0', '10.0.0.2'],
      /Sending on +Socket\/fallback/,
    ],
    [
      'dnsmasq',
      [
        '-d',
        '--port=0',
        '--conf-file=/dev/null',
        '--log-dhcp',
        '--dhcp-relay=10.9.0.1,10.0.0.2',
        `--pid-file=${join(dir, 'dnsmasq.pid')}`,
      ],
      /DHCP relay from 10\.9\.0\.1 to 10\.0\.0\.2/,
    ],
  ]

  it.each(relays)('%s: an address of the network behind it, renewed without it, and given back', async (program, args, ready) => {
    relay = await serve(program, args, ready)
    const capture = join(dir, `${program}.pcap`)
    const dump = await tcpdump(capture, 2000)
    const script = join(dir, 'udhcpc.sh')
    writeFileSync(
      script,
      '#!/bin/sh\n[ "$1" = bound ] && ip addr add $ip/$mask dev $interface && ip route replace default via $router\nexit 0\n',
      {
        mode: 0o755,
      },
    )
    const [command, ...enter] = far.enter.split(' ')
    const options = ['busybox', 'udhcpc', '-f', '-n', '-R', '-i', 'far0', '-s', script]
    const client = await serve(command, [...enter, ...options], /lease of 10\.9\.0\.50 obtained from/)
    expect(server.leases).toMatchObject([{ address: '10.9.0.50', mac: '02:00:00:00:00:11', state: 'bound' }])
    const acks = (): number => stack.counters(true)['dhcp.server'].outAcks
    const before = acks()
    await until(() => far.sh('ip -4 addr show dev far0').includes('10.9.0.50/24'))
    client.child.kill('SIGUSR1')
    await until(() => acks() > before)
    client.child.kill('SIGTERM')
    await client.closed
    await until(() => server.leases.length === 0)
    await endTcpdump(dump)
    expect(
      await judged(capture, `eth.src == ${MAC} && (_ws.malformed || udp.checksum.status == Bad || ip.checksum.status == Bad)`),
    ).toEqual([])
    // A client on a busy machine asks again before it is answered: an offer for each question, and no more.
    const relayed = async (type: number): Promise<number> =>
      (await judged(capture, `dhcp.option.dhcp == ${type} && dhcp.ip.relay == 10.9.0.1`)).length
    const offers = await relayed(2)
    expect(offers).toBeGreaterThan(0)
    expect(offers).toBeLessThanOrEqual(await relayed(1))
    if (program === 'dhcrelay') {
      // RFC 3046 section 2.2: what the relay added to the question is in the answer.
      const circuit = (type: number): string =>
        `dhcp.option.dhcp == ${type} && dhcp.option.agent_information_option.agent_circuit_id`
      for (const type of [2, 5]) expect((await judged(capture, circuit(type))).length, `${type}`).toBeGreaterThan(0)
    }
  })
})
