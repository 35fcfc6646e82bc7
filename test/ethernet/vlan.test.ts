/** VLANs: IEEE 802.1Q and 802.1ad. */
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import type { NetError } from '../../src/base/errors.ts'
import type { VlanLink } from '../../src/ethernet/vlan.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { LinkAround } from '../../src/netif/around.ts'
import { withoutOffload } from '../../src/offload/soften.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { VlanOptions } from '../../src/stack/vlan.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'

/** Around a link: copies of what leaves by it, as hexadecimal digits. */
class Watched extends LinkAround {
  readonly sent: string[] = []
  full = false

  override send(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    if (this.full) return false
    this.sent.push(Buffer.from(buf.subarray(start, end)).toString('hex'))
    return super.send(buf, start, end, meta)
  }
}

interface Two {
  world: World
  a: Stack
  b: Stack
  ethA: AttachedInterface
  ethB: AttachedInterface
  wire: Watched
}

function two(options: { offload?: boolean; soft?: boolean; mtu?: number } = {}): Two {
  const world = createWorld()
  const config = { arp: { announceNum: 0 } } // every ARP packet here is a question or an answer
  const [a, b] = [world.stack(config), world.stack(config)]
  const [left, right] = createPipe({ offload: options.offload ?? true, mtu: options.mtu })
  const wire = new Watched(options.soft ? withoutOffload(left) : left)
  const ethA = a.attach(wire, { mac: '02:00:00:00:00:0a', addresses: ['10.0.0.1/24'] })
  const ethB = b.attach(right, { mac: '02:00:00:00:00:0b', addresses: ['10.0.0.2/24'] })
  return { world, a, b, ethA, ethB, wire }
}

function joined(t: Two, id: number, options: VlanOptions = {}): [AttachedInterface, AttachedInterface] {
  return [
    t.a.addVlan(t.ethA, id, { addresses: ['10.1.0.1/24'], ...options }),
    t.b.addVlan(t.ethB, id, { addresses: ['10.1.0.2/24'], ...options }),
  ]
}

/** Sends `text` from a to b; what b hears, with the interface it came in by. */
function carried(t: Two, to: string, text = 'hello'): string[] {
  const server = t.b.udp.open({}, { ref: false })
  server.bind('0.0.0.0', 7)
  const client = t.a.udp.open({}, { ref: false })
  try {
    client.send(new TextEncoder().encode(text), 0, text.length, address(to), 7)
  } catch (error) {
    server.close()
    throw error
  }
  t.world.run(100)
  const d = new Datagram(new Uint8Array(2000))
  const out: string[] = []
  while (server.receive(d)) out.push(`${d.iface?.name} ${new TextDecoder().decode(d.buf.subarray(0, d.len))}`)
  server.close()
  client.close()
  return out
}

/** A transfer over TCP; bytes that arrived. */
function transferred(t: Two, to: string, bytes: number): number {
  let got = 0
  const sink = new Uint8Array(65536)
  t.b.tcp.listen(
    { port: 9 },
    {
      onConnection(c) {
        c.handler = {
          onReadable(it) {
            for (let n = it.read(sink, 0, sink.length); n > 0; n = it.read(sink, 0, sink.length)) got += n
          },
        }
      },
    },
  )
  const data = new Uint8Array(65536).fill(7)
  let left = bytes
  const fill = (c: { write(b: Uint8Array, o: number, n: number): number }): void => {
    while (left > 0) {
      const n = c.write(data, 0, Math.min(left, data.length))
      if (n === 0) return
      left -= n
    }
  }
  t.a.tcp.open({ remoteAddress: to, remotePort: 9 }, { onConnect: fill, onWritable: fill })
  t.world.runUntil(() => got === bytes, 5_000)
  return got
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as NetError).code
  }
  return 'fine'
}

describe('a VLAN', () => {
  it('is an interface of its own: the tag as the standard has it, ARP and datagrams apart from those of its parent', () => {
    const t = two()
    const [a, b] = joined(t, 100, { priority: 5, dropEligible: true })
    expect([a.name, a.mtu, a.mac, a.parent, t.ethA.vlans]).toEqual(['eth0.100', 1500, '02:00:00:00:00:0a', t.ethA, [a]])
    t.wire.sent.length = 0
    expect(carried(t, '10.1.0.2')).toEqual(['eth0.100 hello'])
    // ARP, broadcast: 802.1Q tag with PCP 5, DEI, VID 100; padded to 60 bytes and the tag.
    expect(t.wire.sent[0]).toMatch(/^ffffffffffff02000000000a8100b06408060001/)
    expect(t.wire.sent[0].length).toBe(2 * 64)
    expect(t.wire.sent[1]).toMatch(/^02000000000b02000000000a8100b06408004500/)
    expect(carried(t, '10.0.0.2')).toEqual(['eth0 hello'])
    expect(t.b.neighbors.map((n) => `${n.address} ${n.interface}`)).toEqual(['10.0.0.1 eth0', '10.1.0.1 eth0.100'])
    const link = b.link as VlanLink
    expect([link.lastTci.toString(16), link.counters().inPriority5, link.counters().inPriority0]).toEqual(['b064', 2, 0])
    expect(t.b.counters()['eth0.100.link'].inFrames).toBe(2)
  })

  it('several on one parent, with the same networks if need be', () => {
    const t = two()
    joined(t, 1)
    t.a.addVlan(t.ethA, 4094, { addresses: ['10.2.0.1/24'] })
    t.b.addVlan(t.ethB, 4094, { addresses: ['10.2.0.2/24'] })
    expect([carried(t, '10.1.0.2'), carried(t, '10.2.0.2')]).toEqual([['eth0.1 hello'], ['eth0.4094 hello']])
  })

  it('with an MTU of its parent: a tag is part of the link header, and full packets pass', () => {
    const t = two({ offload: false })
    t.ethA.iface.mtu = 1400
    expect(t.a.addVlan(t.ethA, 7).mtu).toBe(1400)
    expect(t.a.addVlan(t.ethA, 8, { mtu: 1500 }).mtu).toBe(1500)
    expect(codeOf(() => t.a.addVlan(t.ethA, 9, { mtu: 1501 }))).toBe('ERR_INVALID_ARG_VALUE')
    t.ethA.iface.mtu = 1500
    joined(t, 100)
    t.wire.sent.length = 0
    expect(carried(t, '10.1.0.2', 'x'.repeat(1472))).toEqual([`eth0.100 ${'x'.repeat(1472)}`])
    expect(t.wire.sent.at(-1)?.length).toBe(2 * 1518)
  })

  it('with a MAC address of its own hears what is for it, and its parent does not', () => {
    const t = two()
    t.b.addVlan(t.ethB, 100, { mac: '02:00:00:00:00:bb', addresses: ['10.1.0.2/24'] })
    t.a.addVlan(t.ethA, 100, { addresses: ['10.1.0.1/24'] })
    expect(carried(t, '10.1.0.2')).toEqual(['eth0.100 hello'])
    expect(t.ethB.iface.ethernet?.counters.snapshot(true).dropNotForUs).toBeUndefined()
    // The parent's MAC address in that VLAN is somebody else's.
    t.a.interfaces[1].addNeighbor('10.1.0.2', Uint8Array.of(2, 0, 0, 0, 0, 0x0b))
    expect(carried(t, '10.1.0.2')).toEqual([])
    expect(t.b.counters()['eth0.100.ethernet'].dropNotForUs).toBe(1)
  })

  it.each([
    ['the link splits and sums', {}],
    ['software does', { offload: false, soft: true }],
    ['nothing is left to others', { offload: false }],
  ])('carries TCP: %s', (_, options) => {
    const t = two(options)
    joined(t, 100)
    expect(transferred(t, '10.1.0.2', 1_000_000)).toBe(1_000_000)
    const { tcp, ip } = t.b.counters(true)
    expect([tcp.dropBadChecksum, ip.ipDropChecksum, t.a.counters().tcp.tcpRetransSegs]).toEqual([undefined, undefined, 0])
  })

  it('waits with its parent for room', () => {
    const t = two()
    joined(t, 100)
    carried(t, '10.1.0.2')
    t.wire.sent.length = 0
    const events: string[] = []
    const s = t.a.udp.open({ onWritable: () => void events.push('writable') })
    t.wire.full = true
    expect(s.send(new Uint8Array(1), 0, 1, address('10.1.0.2'), 7)).toBe(false)
    t.wire.full = false
    t.wire.writable()
    t.world.run(1)
    expect(events).toEqual(['writable'])
    expect(s.send(new Uint8Array(1), 0, 1, address('10.1.0.2'), 7)).toBe(true)
    expect(t.wire.sent[0]).toMatch(/^02000000000b02000000000a8100006408004500/)
  })
})

describe('priorities', () => {
  it('follow the class selector of the packet where that is asked for', () => {
    const t = two()
    const [a] = joined(t, 100, { priority: 1, egress: [0, 2, 1, 3, 4, 5, 6, 7] })
    carried(t, '10.1.0.2')
    t.wire.sent.length = 0
    const s = t.a.udp.open()
    for (const tos of [0, 0x20, 0x48, 0xb8]) {
      s.tos = tos
      s.send(new Uint8Array(1), 0, 1, address('10.1.0.2'), 7)
    }
    const link = a.link as VlanLink
    link.setPriority(7, 0)
    s.tos = 3
    s.send(new Uint8Array(1), 0, 1, address('10.1.0.2'), 7)
    expect(t.wire.sent.map((f) => f.slice(28, 32))).toEqual(['0064', '4064', '2064', 'a064', 'e064'])
    expect(link.priorities).toEqual([7, 2, 1, 3, 4, 5, 6, 7, 1])
    link.setPriority(3)
    expect(link.priorities).toEqual(new Array(9).fill(3))
    expect([codeOf(() => link.setPriority(8)), codeOf(() => link.setPriority(1, 8))]).toEqual([
      'ERR_INVALID_ARG_VALUE',
      'ERR_INVALID_ARG_VALUE',
    ])
  })

  it('alone (VLAN 0) are those of untagged frames', () => {
    const t = two()
    const sent: Uint8Array[] = []
    t.a.udp.open().send(new Uint8Array(1), 0, 1, address('10.0.0.2'), 7)
    t.world.run(100)
    const frame = Buffer.from(t.wire.sent.at(-1) as string, 'hex')
    sent.push(Buffer.concat([frame.subarray(0, 12), Uint8Array.of(0x81, 0, 0xe0, 0), frame.subarray(12)]))
    const before = t.b.counters().ip.ipInDelivers
    t.ethB.iface.ethernet?.input(sent[0], 0, sent[0].length, 0)
    expect(t.b.counters().ip.ipInDelivers).toBe(before + 1)
  })
})

describe('two tags', () => {
  it('802.1Q over 802.1ad, with its own addresses, and TCP over both', () => {
    const t = two()
    const outer = [t.a.addVlan(t.ethA, 200, { protocol: '802.1ad' }), t.b.addVlan(t.ethB, 200, { protocol: '802.1ad' })]
    const inner = [
      t.a.addVlan(outer[0], 30, { addresses: ['10.3.0.1/24'], priority: 2 }),
      t.b.addVlan(outer[1], 30, { addresses: ['10.3.0.2/24'] }),
    ]
    expect(inner[0].name).toBe('eth0.200.30')
    t.wire.sent.length = 0
    expect(carried(t, '10.3.0.2')).toEqual(['eth0.200.30 hello'])
    expect(t.wire.sent[0]).toMatch(/^ffffffffffff02000000000a88a800c88100401e0806/)
    expect(transferred(t, '10.3.0.2', 300_000)).toBe(300_000)
  })

  it('and the same number in both protocols is not the same VLAN', () => {
    const t = two()
    t.a.addVlan(t.ethA, 5, { addresses: ['10.1.0.1/24'], protocol: '802.1ad' })
    t.b.addVlan(t.ethB, 5, { addresses: ['10.1.0.2/24'] })
    t.b.addVlan(t.ethB, 5, { name: 'service', protocol: '802.1ad' })
    expect(carried(t, '10.1.0.2')).toEqual([])
    expect(t.b.counters()['service.link'].inFrames).toBe(1)
  })
})

describe('what is not there', () => {
  it('unknown VLANs and cut off tags are counted', () => {
    const t = two()
    t.b.addVlan(t.ethB, 6, { addresses: ['10.1.0.2/24'] })
    t.a.addVlan(t.ethA, 5, { addresses: ['10.1.0.1/24'] })
    expect(carried(t, '10.1.0.2')).toEqual([])
    const port = t.ethB.iface.ethernet
    port?.input(Uint8Array.from([...(port.mac ?? []), 2, 0, 0, 0, 0, 1, 0x81, 0, 0]), 0, 15, 0)
    port?.input(Uint8Array.from([2, 9, 9, 9, 9, 9, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 6, 8]), 0, 17, 0)
    port?.input(Uint8Array.from([2, 9, 9, 9, 9, 9, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 9, 8, 0]), 0, 18, 0)
    expect(port?.counters.snapshot(true)).toMatchObject({ dropUnknownVlan: 1, dropTooShort: 1, dropNotForUs: 2 })
  })

  it('mistakes are said', () => {
    const t = two()
    const [tun] = createPipe({ medium: 'ip' })
    const ip = t.a.attach(tun)
    t.a.addVlan(t.ethA, 100)
    const add = (id: number, options: VlanOptions = {}, parent = t.ethA): string => codeOf(() => t.a.addVlan(parent, id, options))
    expect([
      add(0),
      add(4095),
      add(1.5),
      add(1, { protocol: '802.3' as '802.1Q' }),
      add(1, { priority: 8 }),
      add(1, { egress: [1] }),
    ]).toEqual(new Array(6).fill('ERR_INVALID_ARG_VALUE'))
    expect([add(100), add(100, { name: 'other' }), add(1, {}, ip), add(1, { name: 'eth0' })]).toEqual([
      'EEXIST',
      'EEXIST',
      'EOPNOTSUPP',
      'EEXIST',
    ])
    expect([add(1, { addresses: ['224.0.0.1/4'] }), add(1)]).toEqual(['ERR_INVALID_ARG_VALUE', 'fine'])
    expect(t.a.interfaces.map((i) => i.name)).toEqual(['eth0', 'tun0', 'eth0.100', 'eth0.1'])
  })
})

describe('with its parent', () => {
  it('goes down and comes up; alone it may be down, but not up', () => {
    const t = two()
    const [a] = joined(t, 100)
    t.ethA.setUp(false)
    expect([a.up, codeOf(() => a.setUp(true))]).toEqual([false, 'ENETDOWN'])
    expect(t.a.addVlan(t.ethA, 101).up).toBe(false)
    t.ethA.setUp(true)
    expect([a.up, carried(t, '10.1.0.2')]).toEqual([true, ['eth0.100 hello']])
    a.setUp(false)
    expect([t.ethA.up, codeOf(() => carried(t, '10.1.0.2')), carried(t, '10.0.0.2')]).toEqual([
      true,
      'ENETUNREACH',
      ['eth0 hello'],
    ])
  })

  it('ends', async () => {
    const t = two()
    const [a] = joined(t, 100)
    const inner = t.a.addVlan(a, 5)
    await a.detach()
    expect([t.a.interfaces, t.ethA.vlans, t.ethA.iface.ethernet?.vlans.size, a.parent, inner.up]).toEqual([
      [t.ethA],
      [],
      0,
      null,
      false,
    ])
  })

  it('is closed when the link ends, and detached with it', async () => {
    const t = two()
    const [a] = joined(t, 100)
    const closed: string[] = []
    t.a.onLinkClosed = (i) => void closed.push(i.name)
    t.wire.closed(new Error('gone'))
    expect([a.up, closed]).toEqual([false, ['eth0.100', 'eth0']])
    await Promise.all([t.ethA.detach(), t.ethA.detach()])
    expect(t.a.interfaces).toEqual([])
    await t.world.close()
  })
})
