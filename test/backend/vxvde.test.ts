import { describe, expect, it } from 'vitest'
import { DatagramLink } from '../../src/backend/datagram-link.ts'
import { splitLinkUrl } from '../../src/backend/link-url.ts'
import { openVxvde, vxvdeOptions } from '../../src/backend/vxvde.ts'
import { VxvdeProtocol } from '../../src/backend/vxvde-protocol.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { DatagramLan } from '../support/datagram-lan.ts'
import { MAC_A, MAC_B, plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

const GROUP = '234.0.0.1'
const PORT = 14_789
const BROADCAST = [255, 255, 255, 255, 255, 255]
const HERE = '192.0.2.1'

/** A frame between two MAC addresses. */
function frame(to: readonly number[], from: readonly number[], seed = 1, length = 60): Uint8Array {
  const bytes = plainFrame('ethernet', length, seed)
  bytes.set(to, 0)
  bytes.set(from, 6)
  return bytes
}

function world(vnis: readonly number[] = [1, 1]) {
  const host = new VirtualHost({ startMs: 1000 })
  const lan = new DatagramLan(host)
  const nodes = vnis.map((vni, i) => {
    const ownPort = 40_000 + i
    // All of one machine, which is where a node must know its own multicasts from those of others.
    const sockets = [lan.socket(HERE, ownPort), lan.socket(HERE, PORT, GROUP)]
    const protocol = new VxvdeProtocol({
      vni,
      group: GROUP,
      port: PORT,
      ownPort,
      hashSize: 64,
      expireSeconds: 128,
      seed: i,
      isLocal: (address) => address === HERE,
    })
    return new DatagramLink({ name: `node${i}`, sockets, protocol })
  })
  return { host, lan, nodes }
}

/** A world with a sink on each node. */
function heard(vnis?: readonly number[]) {
  const { host, lan, nodes } = world(vnis)
  const sinks = nodes.map((node) => {
    const sink = new RecordingSink(host)
    node.attach(sink)
    return sink
  })
  return {
    host,
    lan,
    nodes,
    sinks,
    send(i: number, bytes: Uint8Array): void {
      const buf = new Uint8Array(64 + bytes.length)
      buf.set(bytes, 64)
      expect(nodes[i].send(buf, 64, buf.length, 0)).toBe(true)
      host.run()
      for (const [j, sink] of sinks.entries()) {
        sink.receiving = true
        while (sink.ready) sink.ready = nodes[j].receive(64)
        sink.receiving = false
      }
    },
  }
}

netifConformance(
  'vxvde',
  () => {
    const { host, nodes } = world()
    return { a: nodes[0], b: nodes[1], host, settle: () => void host.run() }
  },
  // A header without a payload is dropped by vdeplug, and here; what a node has no room for is lost, as all UDP is.
  { minFrame: 15, refuses: false },
)

describe('a node of a vxvde network', () => {
  it('asks the group for whom it does not know, and goes straight to whom it does', () => {
    const w = heard([1, 1, 1])
    w.send(0, frame(BROADCAST, MAC_A))
    w.send(1, frame(MAC_A, MAC_B, 2))
    w.send(0, frame(MAC_B, MAC_A, 3))
    expect(w.lan.sent.map(({ from, to }) => `${from} ${to}`)).toEqual([
      `40000 ${GROUP}:${PORT}`,
      `40001 ${HERE}:40000`,
      `40000 ${HERE}:40001`,
    ])
    expect([...w.lan.sent[0].bytes.subarray(0, 14)]).toEqual([8, 0, 0, 0, 0, 0, 1, 0, ...BROADCAST])
    expect(w.sinks.map((s) => s.frames.length)).toEqual([1, 2, 1])
    expectFrames(w.sinks[1].frames, [frame(BROADCAST, MAC_A), frame(MAC_B, MAC_A, 3)])
    expect(w.nodes[0].counters()).toMatchObject({ inOwnCopies: 1, outMulticasts: 1, outUnicasts: 1, learned: 1 })
    expect(w.sinks.flatMap((s) => s.complaints)).toEqual([])
  })

  it('believes a place for 128 s', () => {
    const w = heard()
    w.send(1, frame(BROADCAST, MAC_B))
    w.host.advance(127_000)
    w.send(0, frame(MAC_B, MAC_A))
    w.host.advance(2_000)
    w.send(0, frame(MAC_B, MAC_A))
    expect(w.lan.sent.slice(1).map(({ to }) => to)).toEqual([`${HERE}:40001`, `${GROUP}:${PORT}`])
  })

  it('says bye to the group when it closes, and is forgotten', async () => {
    const w = heard()
    w.send(1, frame(BROADCAST, MAC_B))
    expect(w.nodes[0].counters().learned).toBe(1)
    await w.nodes[1].close()
    w.host.run()
    expect(w.lan.sent.at(-1)).toEqual({ bytes: Uint8Array.of(8, 0, 0, 0, 0, 0, 1, 0), from: 40_001, to: `${GROUP}:${PORT}` })
    expect(w.nodes[0].counters()).toMatchObject({ learned: 0, inByes: 1 })
    expect(w.sinks[0].frames.length).toBe(1)
  })

  it('hears nothing of another network of the same group', () => {
    const w = heard([1, 2])
    w.send(0, frame(BROADCAST, MAC_A))
    w.send(1, frame(BROADCAST, MAC_B))
    expect(w.sinks.map((s) => s.frames.length)).toEqual([0, 0])
    expect(w.nodes.map((n) => n.counters().inOtherNetwork)).toEqual([1, 1])
  })

  it('drops a header without payload, as vdeplug does, and what is no frame at all', () => {
    const w = heard()
    w.send(0, frame(BROADCAST, MAC_A, 1, 14))
    const stranger = w.lan.socket('192.0.2.9', 9)
    const send = (...bytes: number[]): void => {
      stranger.send(Uint8Array.from(bytes), 0, bytes.length, PORT, GROUP, () => undefined)
      w.host.run()
    }
    send(8, 0, 0, 0, 0, 0, 1) // cut off
    send(8, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3)
    send(0, 0, 0, 0, 0, 0, 1, 0)
    expect(w.sinks[1].frames).toEqual([])
    expect(w.nodes[1].counters()).toMatchObject({
      dropInHeaderOnly: 2,
      dropInTooShort: 1,
      inOtherNetwork: 1,
      inByes: 0,
      learned: 0,
    })
  })
})

describe('the name of a vxvde network', () => {
  const read = (url: string): Record<string, unknown> => JSON.parse(JSON.stringify(vxvdeOptions(splitLinkUrl(url)!)))

  it('has the options of vdeplug', () => {
    expect(read('vxvde://')).toEqual({})
    expect(read('vxvde://234.0.0.1')).toEqual({ address: '234.0.0.1' })
    expect(read('vxvde://ff15::3/port=12345/vni=42')).toEqual({ address: 'ff15::3', port: 12345, vni: 42 })
    expect(read('vxvde:///v6/ttl=4/hashsize=256/expiretime=10/if=eth0/bind=::1/rcvbuf=64k')).toEqual({
      family: 6,
      ttl: 4,
      hashSize: 256,
      expireSeconds: 10,
      interface: 'eth0',
      bind: '::1',
      receiveBufferBytes: 65536,
    })
    expect(read('vxvde://239.0.0.1/grp=root/v4/exp=0?mtu=1450&name=vx')).toEqual({
      address: '239.0.0.1',
      group: 'root',
      family: 4,
      mtu: 1450,
      name: 'vx',
    })
    expect(read('vxvde:///vni=root/v4/v6')).toEqual({ vni: 0 })
  })

  it.each([
    ['vxvde://10.0.0.1', /Invalid vxvde address 10\.0\.0\.1: a multicast group expected/],
    ['vxvde://239.0.0.1/v6', /multicast group of IPv6/],
    ['vxvde:///vni=16777216', /vni 16777216/],
    ['vxvde:///ttl=256', /ttl=256/],
    ['vxvde:///hops=2', /Unknown option hops/],
    ['vxvde:///rcvbuf=lots', /rcvbuf=lots/],
    ['vxvde:///vni=no-such-group-here', /no group of that name/],
    ['vxvde:///if=nowhere9', /Invalid interface nowhere9/],
    ['vxvde://?mtu=9217', /MTU 9217/],
    ['vxvde://?ttl=3', /Unknown option ttl/],
    ['vde://x', /vxvde: is expected/],
  ])('is refused when it cannot be meant: %s', async (url, words) => {
    await expect(openVxvde(url)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE', message: expect.stringMatching(words) })
  })
})
