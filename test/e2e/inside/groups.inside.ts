/**
 * A Linux bridge that asks for groups and snoops on the answers, and a stack at one of its ports: what the bridge's database has is what it
 * understood. In a namespace of its own: see test/support/inside.ts.
 */
import nodeDgram from 'node:dgram'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openTap } from '../../../src/backend/tap.ts'
import { createStack, type NodeStack } from '../../../src/node/stack.ts'
import type { AttachedInterface } from '../../../src/stack/attached.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { endTcpdump, judged, type Served, sh, tcpdump } from './lab.ts'

let stack: NodeStack
let eth0: AttachedInterface
let dump: Served
let sender: nodeDgram.Socket
let sender6: nodeDgram.Socket
const dir = scratchFolder('groups')
const pcap = join(dir, 'groups.pcap')

interface Entry {
  port: string
  grp: string
  src?: string
  filter_mode?: string
  source_list?: { address: string }[]
}

/** The groups of our port as the bridge knows them: `239.1.2.3`, `232.1.2.3 from 10.0.0.1`. */
function known(): string[] {
  const [{ mdb }] = JSON.parse(sh('bridge -j -d mdb show')) as { mdb: Entry[] }[]
  return mdb.filter((e) => e.port === 'tap0').map((e) => (e.src === undefined ? e.grp : `${e.grp} from ${e.src}`))
}

function soon(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 15_000, interval: 20 })
}

beforeAll(async () => {
  sh('echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up')
  const times = 'mcast_query_interval 25 mcast_query_response_interval 10 mcast_startup_query_interval 20'
  const ages = 'mcast_membership_interval 100 mcast_last_member_interval 10'
  sh(`ip link add br0 type bridge mcast_snooping 1 mcast_querier 1 ${times} ${ages} mcast_igmp_version 3 mcast_mld_version 2`)
  sh('ip addr add 10.0.0.1/24 dev br0; ip addr add fd00::1/64 dev br0 nodad; ip link set br0 up')
  const tap = await openTap({ name: 'tap0' })
  sh('ip link set tap0 master br0 up; ip route add 224.0.0.0/4 dev br0')
  dump = await tcpdump(pcap, 2000)
  stack = createStack({ name: 'member' })
  eth0 = stack.attach(tap, { name: 'eth0', addresses: ['10.0.0.2/24', 'fd00::2/64'] })
  await eth0.ready
  sender = nodeDgram.createSocket('udp4').bind()
  sender6 = nodeDgram.createSocket('udp6').bind()
  await Promise.all([once(sender, 'listening'), once(sender6, 'listening')])

  sender6.setMulticastInterface('::%br0')
})

afterAll(async () => {
  sender.close()
  sender6.close()
  await stack.close()
})

describe.each([
  ['IGMPv3 and MLDv2', 3, 2],
  ['IGMPv2 and MLDv1', 2, 1],
])('a bridge that speaks %s', (_name, igmp, mld) => {
  it('learns of our groups, keeps them by asking, forwards what is sent to them, and hears when they are left', async () => {
    sh(`ip link set br0 type bridge mcast_igmp_version ${igmp} mcast_mld_version ${mld}`)
    const { multicast } = stack
    await soon(() => {
      expect([multicast.igmp.versionOn(eth0.iface), multicast.mld.versionOn(eth0.iface)]).toEqual([igmp, mld])
    })
    const heard: string[] = []
    const member = stack.dgram.createSocket({ type: 'udp6', reuseAddr: true })
    member.on('message', (m) => heard.push(`${m}`))
    member.bind(5000)
    await once(member, 'listening')
    member.addMembership('239.1.2.3', '10.0.0.2')
    member.addMembership('ff15::77', '::%eth0')
    if (igmp === 3) {
      member.addSourceSpecificMembership('10.0.0.1', '232.1.2.3', '10.0.0.2')
      member.addSourceSpecificMembership('fd00::1', 'ff35::78', '::%eth0')
    }
    const bySource = igmp === 3 ? ['232.1.2.3 from 10.0.0.1', 'ff35::78 from fd00::1'] : []
    await soon(() => expect(known()).toEqual(expect.arrayContaining(['239.1.2.3', 'ff15::77', ...bySource])))
    // Entries live for 1 s without a report; a query comes each quarter of one.
    const counted = (): number[] => [stack.counters().igmp.igmpInQueries, stack.counters().mld.mldInQueries]
    const before = counted()
    await soon(() => {
      const now = counted()
      expect(Math.min(now[0] - before[0], now[1] - before[1])).toBeGreaterThan(5)
    })
    // (On a machine that does other things, one may have ended and begun again.)
    await soon(() => expect(known()).toEqual(expect.arrayContaining(['239.1.2.3', 'ff15::77', ...bySource])))
    sender.send('four', 5000, '239.1.2.3')
    sender6.send('six', 5000, 'ff15::77')
    await soon(() => expect([...heard].sort()).toEqual(['four', 'six']))
    member.dropMembership('239.1.2.3', '10.0.0.2')
    member.dropMembership('ff15::77', '::%eth0')
    await soon(() => {
      expect(known()).not.toContain('239.1.2.3')
      expect(known()).not.toContain('ff15::77')
    })
    member.close()
    await soon(() => expect(known().filter((k) => k.includes('from'))).toEqual([]))
  })
})

it('our solicited-node groups are known too, and tshark finds nothing wrong', async () => {
  await soon(() => expect(known().some((k) => k === 'ff02::1:ff00:2')).toBe(true))
  const lost = await endTcpdump(dump)
  expect(lost).toBe(0)
  expect(
    await judged(
      pcap,
      '!udp && (_ws.malformed || igmp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad" || ip.checksum.status == "Bad")',
    ),
  ).toEqual([])
  expect((await judged(pcap, 'igmp.type == 0x22 && ip.src == 10.0.0.2 && ip.ttl == 1 && ip.opt.ra')).length).toBeGreaterThan(2)
  expect((await judged(pcap, 'icmpv6.type == 143 && ipv6.hlim == 1 && ipv6.opt.router_alert == 0')).length).toBeGreaterThan(2)
  const trouble = Object.entries({ ...stack.counters(true).igmp, ...stack.counters(true).mld }).filter(([name]) =>
    /Drop|Blocked/.test(name),
  )
  expect(Object.fromEntries(trouble)).toEqual({})
})
