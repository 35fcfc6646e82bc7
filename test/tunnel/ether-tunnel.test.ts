import { describe, expect, it } from 'vitest'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import { createMux } from '../../src/mux/create.ts'
import type { NetIf } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { etherTunnel } from '../../src/tunnel/ether-tunnel.ts'
import { ipFrame, noise, plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

const A = '02:00:00:00:aa:0a'
const B = '02:00:00:00:aa:0b'

function pair(options: PipeOptions = {}) {
  const host = new VirtualHost()
  const [a, b] = createPipe(options)
  return {
    a: etherTunnel(a, { peer: B, mac: A }),
    b: etherTunnel(b, { peer: A, mac: B }),
    host,
    settle: () => void host.run(),
  }
}

netifConformance('tunnel over Ethernet', () => pair())
netifConformance('tunnel over Ethernet without offload and with jumbo frames', () => pair({ offload: false, mtu: 9000 }))
netifConformance('tunnel in a tunnel', () => {
  const { a, b, ...rest } = pair()
  return { ...rest, a: etherTunnel(a, { peer: B, mac: A }), b: etherTunnel(b, { peer: A, mac: B }) }
})

netifConformance(
  'tunnel between clients of two multiplexers',
  () => {
    const host = new VirtualHost()
    const platform = { host, random: host.random }
    const [a, b] = createPipe({ offload: false }).map((link) => createMux(link, platform).open())
    const [macA, macB] = [a.mac, b.mac].map((mac) => mac as Uint8Array)
    return { a: etherTunnel(a, { peer: macB }), b: etherTunnel(b, { peer: macA }), host, settle: () => void host.run() }
  },
  { refuses: false },
) // a client that does not listen loses frames

/** One tunnel, and the bare other end of its carrier. */
function half(options: PipeOptions = {}) {
  const host = new VirtualHost()
  const [a, far] = createPipe(options)
  const link = etherTunnel(a, { peer: B, mac: A })
  const [sink, farSink] = [new RecordingSink(host), new RecordingSink(host)]
  link.attach(sink)
  far.attach(farSink)
  const pull = (from: NetIf, into: RecordingSink): Uint8Array[] => {
    into.receiving = true
    while (from.receive(64));
    into.receiving = false
    return into.frames.splice(0)
  }
  return {
    link,
    far,
    pullFar: () => pull(far, farSink),
    pull: () => pull(link, sink),
    send: (bytes: Uint8Array) => link.send(bytes, 0, bytes.length, 0),
    sendFar: (bytes: Uint8Array | number[]) => far.send(Uint8Array.from(bytes), 0, bytes.length, 0),
  }
}

const HEAD = [2, 0, 0, 0, 0xaa, 0x0a, 2, 0, 0, 0, 0xaa, 0x0b, 0xcd, 0xa8, 0, 0]

describe('etherTunnel', () => {
  it('says peer, own, 0xcda8, two zero bytes, frame', () => {
    const { send, pullFar, link } = half()
    const frame = plainFrame('ethernet', 64, 1)
    send(frame)
    expectFrames(pullFar(), [Uint8Array.from([2, 0, 0, 0, 0xaa, 0x0b, 2, 0, 0, 0, 0xaa, 0x0a, 0xcd, 0xa8, 0, 0, ...frame])])
    expect([link.mtu, link.name]).toEqual([1484, 'pipe.a.cda8'])
    expect(link.describe?.()).toBe('pipe.a.cda8: in Ethernet frames of type 0xcda8 to 02:00:00:00:aa:0b, mtu 1484')
  })

  it('cuts the padding of a short inner frame, by what its own header says', () => {
    const { sendFar, pull, link } = half()
    const arp = Uint8Array.from([...new Array(6).fill(255), 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...noise(20, 1)])
    expect(arp.length).toBe(42)
    const inner = [
      arp,
      ipFrame(1, [8, 0, 0, 0]), // 38 bytes
      ipFrame(59, [], { family: 6 }), // 54
      ipFrame(1, [8, 0, 0, 0], { vlans: [5] }), // 42
    ]
    for (const frame of inner) {
      const outer = [...HEAD, ...frame]
      while (outer.length < 60) outer.push(0)
      sendFar([...outer, 0, 0]) // and a trailer
    }
    expectFrames(pull(), inner)
    const unknown = [...HEAD, ...plainFrame('ethernet', 20, 1)]
    while (unknown.length < 60) unknown.push(0)
    sendFar(unknown)
    expect(pull().map((f) => f.length)).toEqual([44])
    expect(link.counters?.()).toMatchObject({ inFrames: 5, inTrimmed: 4 })
  })

  it('leaves a frame alone whose header says more than there is, or nonsense', () => {
    const { sendFar, pull } = half()
    const long = ipFrame(1, noise(30, 1))
    long[16] = 0xff // total length
    const nonsense = ipFrame(1, [1, 2, 3, 4])
    nonsense[16] = 0
    nonsense[17] = 3 // less than a header: at least that stays
    for (const frame of [long, nonsense]) sendFar([...HEAD, ...frame])
    expect(pull().map((f) => f.length)).toEqual([long.length, 34])
  })

  it('hears its peer alone', () => {
    const { sendFar, pull, link } = half()
    const frame = plainFrame('ethernet', 64, 1)
    sendFar(frame) // not ours at all
    sendFar([2, 0, 0, 0, 0xaa, 0x0a, 2, 0, 0, 0, 0xaa, 0x0c, ...HEAD.slice(12), ...frame]) // another sender
    sendFar([2, 0, 0, 0, 0xaa, 0x0d, ...HEAD.slice(6), ...frame]) // to another station
    sendFar([...HEAD, 1, 2, 3])
    expect(pull()).toEqual([])
    expect(link.counters?.()).toMatchObject({ dropInOther: 1, dropInNotPeer: 2, dropInTooShort: 1, inFrames: 0 })
  })

  it('counts a tagged frame by its whole length: the carrier has no more room', () => {
    const { send, pullFar, link } = half()
    send(tcpFrame({ payload: noise(1480 - 40, 1), vlans: [5] }).bytes)
    send(tcpFrame({ payload: noise(1484 - 40, 1), vlans: [5] }).bytes)
    expect(pullFar().length).toBe(1)
    expect(link.counters?.()).toMatchObject({ outFrames: 1, dropTooLong: 1 })
  })

  it('takes its own address from the carrier that has one, and refuses what cannot be', () => {
    const [carrier] = createPipe()
    const own: NetIf = Object.create(carrier, { mac: { value: Uint8Array.of(4, 0xea, 1, 2, 3, 4) } })
    expect(etherTunnel(own, { peer: B }).mtu).toBe(1484)
    expect(() => etherTunnel(carrier, { peer: B })).toThrow(/option mac is missing/)
    expect(() => etherTunnel(carrier, { peer: 'x', mac: A })).toThrow(/MAC address/)
    expect(() => etherTunnel(carrier, { peer: new Uint8Array(5), mac: A })).toThrow(/5 bytes/)
    expect(() => etherTunnel(carrier, { peer: B, mac: A, etherType: 5 })).toThrow(/EtherType/)
    expect(() => etherTunnel(createPipe({ medium: 'ip' })[0], { peer: B, mac: A })).toThrow(/no Ethernet/)
  })
})
