/**
 * Tagged frames through a Linux kernel: two stacks on two taps, a bridge between. The kernel takes super-segments and partial checksums behind
 * one tag and behind two from one tap, and makes whole frames of them for the other, which has no offload; tshark is the judge of those.
 * In a namespace of its own: see test/support/inside.ts.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { endTcpdump, judged, noise, quietKernel, type Served, sh, sha256, tcpdump } from './lab.ts'

const dir = scratchFolder('vlan')
const pcap = join(dir, 'vlan.pcap')
let near: NodeStack
let far: NodeStack
let dump: Served

/** eth0, VLAN 100 over it, and 802.1Q VLAN 30 over 802.1ad VLAN 200. */
function interfaces(stack: NodeStack, eth0: AttachedInterface, n: number): void {
  stack.addVlan(eth0, 100, { addresses: [`10.1.0.${n}/24`], priority: 3 })
  const service = stack.addVlan(eth0, 200, { protocol: '802.1ad' })
  stack.addVlan(service, 30, { addresses: [`10.2.0.${n}/24`] })
}

beforeAll(async () => {
  quietKernel()
  sh('ip link add br0 type bridge mcast_snooping 0; ip link set br0 up')
  const plain = await openTap({ name: 'tap0', offload: false })
  const fast = await openTap({ name: 'tap1' })
  sh('for i in tap0 tap1; do ip link set $i txqueuelen 20000 master br0 up; done')
  near = createStack({ name: 'near' })
  far = createStack({ name: 'far' })
  const [a, b] = [near.attach(fast, { addresses: ['10.0.0.1/24'] }), far.attach(plain, { addresses: ['10.0.0.2/24'] })]
  await Promise.all([a.ready, b.ready])
  interfaces(near, a, 1)
  interfaces(far, b, 2)
  dump = await tcpdump(pcap, 2000)
})

afterAll(async () => {
  await near.close()
  await far.close()
})

it.each([
  ['no tag', '10.0.0'],
  ['one tag', '10.1.0'],
  ['two tags', '10.2.0'],
])('megabytes each way behind %s', async (_name, network) => {
  const body = noise(2_000_000, 5)
  const server = far.net.createServer((socket) => socket.pipe(socket)).listen(7000, `${network}.2`)
  await once(server, 'listening')
  const client = near.net.connect(7000, `${network}.2`)
  const back: Buffer[] = []
  client.on('data', (data: Buffer) => back.push(data))
  client.end(body)
  await once(client, 'close')
  server.close()
  expect(sha256(Buffer.concat(back))).toBe(sha256(body))
  expect(near.counters()['eth0.link'].outSuper).toBeGreaterThan(0)
})

it('frames are whole: one full MTU behind the tags, priorities as asked, nothing wrong for tshark', async () => {
  expect(await endTcpdump(dump)).toBe(0)
  const wrong = '_ws.malformed || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad"'
  expect(await judged(pcap, wrong)).toEqual([])
  expect((await judged(pcap, 'vlan.id == 100 && vlan.priority == 3 && frame.len == 1518 && ip.len == 1500')).length).toBe(20)
  expect((await judged(pcap, 'ieee8021ad.id == 200 && vlan.id == 30 && frame.len == 1522 && ip.len == 1500')).length).toBe(20)
  expect(await judged(pcap, 'frame.len > 1522')).toEqual([])
  expect(near.counters()['eth0.ethernet'].dropUnknownVlan).toBe(0)
})
