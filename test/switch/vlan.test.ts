import { describe, expect, it } from 'vitest'
import { CSUM_PARTIAL, frameMeta, GSO_TCP4 } from '../../src/netif/netif.ts'
import { createWorld } from '../../src/sim/world.ts'
import { createSwitch } from '../../src/switch/create.ts'
import { parseTransport, tcpFrame } from '../support/frames.ts'
import { expectFrames } from '../support/recording-sink.ts'
import { BROADCAST, frame, SwitchLab, station } from '../support/switch-lab.ts'

const Q = 0x8100
const AD = 0x88a8
const A = station(1)
const B = station(2)

describe('VLANs of a switch', () => {
  it('are apart: access ports, a trunk with a native VLAN, and what each has of them', () => {
    const lab = new SwitchLab()
    const ten = lab.station('ten', { vlan: { access: 10 } })
    const ten2 = lab.station('ten2', { vlan: { access: 10 } })
    const twenty = lab.station('twenty', { vlan: { access: 20 } })
    const trunk = lab.station('trunk', { vlan: { trunk: [10, 20], native: 20 } })
    const some = lab.station('some', { vlan: { trunk: [10] } })
    ten.send(frame(BROADCAST, A, 1))
    twenty.send(frame(BROADCAST, B, 2))
    lab.settle()
    expectFrames(ten2.heard(), [frame(BROADCAST, A, 1)])
    expectFrames(twenty.heard(), [])
    expectFrames(trunk.heard(), [frame(BROADCAST, A, 1, [[Q, 10]], 64), frame(BROADCAST, B, 2)])
    expectFrames(some.heard(), [frame(BROADCAST, A, 1, [[Q, 10]], 64)])
    // Back: with a tag, without one, with a priority only, and with the tag of a VLAN that is not there.
    trunk.send(frame(A, B, 3, [[Q, 10]], 64))
    trunk.send(frame(B, A, 4))
    trunk.send(frame(B, A, 5, [[Q, 0xe000]], 64))
    trunk.send(frame(A, B, 6, [[Q, 30]], 64))
    some.send(frame(A, B, 7))
    ten.send(frame(B, A, 8, [[Q, 20]], 64))
    lab.settle()
    expectFrames(ten.heard(), [frame(A, B, 3)])
    expectFrames(twenty.heard(), [frame(B, A, 4), frame(B, A, 5)])
    expect([lab.counter('trunk', 'dropVlan'), lab.counter('some', 'dropVlan'), lab.counter('ten', 'dropVlan')]).toEqual([1, 1, 1])
    expect(
      lab.sw
        .addresses()
        .map(({ mac, vlan, port }) => `${mac} ${vlan} ${port}`)
        .sort(),
    ).toEqual([`${A} 10 ten`, `${A} 20 trunk`, `${B} 10 trunk`, `${B} 20 twenty`])
  })

  it('keep the priority of a tag from trunk to trunk, and give it another protocol', () => {
    const lab = new SwitchLab()
    const [a, b] = ['a', 'b'].map((name) => lab.station(name, { vlan: { trunk: 'all' } }))
    const s = lab.station('s', { vlan: { trunk: [5], protocol: '802.1ad' } })
    a.send(frame(BROADCAST, A, 1, [[Q, 0xb005]]))
    lab.settle()
    expectFrames(b.heard(), [frame(BROADCAST, A, 1, [[Q, 0xb005]])])
    expectFrames(s.heard(), [frame(BROADCAST, A, 1, [[AD, 0xb005]])])
    s.send(
      frame(A, B, 2, [
        [AD, 0x6005],
        [Q, 77],
      ]),
    )
    lab.settle()
    expectFrames(a.heard(), [
      frame(A, B, 2, [
        [Q, 0x6005],
        [Q, 77],
      ]),
    ])
  })

  it('of a customer go through a tunnel, whatever tags they have', () => {
    const lab = new SwitchLab()
    const [one, two] = ['one', 'two'].map((name) => lab.station(name, { vlan: { tunnel: 100 } }))
    const other = lab.station('other', { vlan: { tunnel: 200 } })
    const core = lab.station('core', { vlan: { trunk: 'all', protocol: '802.1ad' } })
    one.send(frame(BROADCAST, A, 1, [[Q, 7]]))
    one.send(frame(BROADCAST, A, 2))
    lab.settle()
    expectFrames(two.heard(), [frame(BROADCAST, A, 1, [[Q, 7]]), frame(BROADCAST, A, 2)])
    expect(other.heard()).toEqual([])
    expectFrames(core.heard(), [
      frame(
        BROADCAST,
        A,
        1,
        [
          [AD, 100],
          [Q, 7],
        ],
        64,
      ),
      frame(BROADCAST, A, 2, [[AD, 100]], 64),
    ])
    core.send(
      frame(
        A,
        B,
        3,
        [
          [AD, 100],
          [Q, 7],
        ],
        64,
      ),
    )
    lab.settle()
    expectFrames(one.heard(), [frame(A, B, 3, [[Q, 7]])])
  })

  it('pass as they are where nothing is said of VLANs', () => {
    const lab = new SwitchLab()
    const [a, b] = ['a', 'b'].map((name) => lab.station(name))
    a.send(frame(BROADCAST, A, 1, [[Q, 7]]))
    lab.settle()
    expectFrames(b.heard(), [frame(BROADCAST, A, 1, [[Q, 7]])])
  })

  it('reach ports with and without tags in one flood, and none of them spoils the frame for another', () => {
    const lab = new SwitchLab()
    const a = lab.station('a', { vlan: { access: 9 } })
    const ports = [0, 1, 2, 3, 4, 5].map((i) =>
      lab.joined(`p${i}`, { offload: i % 3 === 0 }, { vlan: i % 2 === 0 ? { trunk: [9] } : { access: 9 } }),
    )
    const big = tcpFrame({ payload: new Uint8Array(4000), gso: 1000 })
    a.send(big.bytes, frameMeta(CSUM_PARTIAL, GSO_TCP4, 1000))
    lab.settle()
    ports.forEach((port, i) => {
      const got = port.heard()
      expect(got.length).toBe(i % 3 === 0 ? 1 : 4)
      for (const f of got) {
        const isTagged = i % 2 === 0
        expect([f[12], f[13]]).toEqual(isTagged ? [0x81, 0] : [8, 0])
        if (i % 3 !== 0) expect(parseTransport(f).checksumOk).toBe(true)
      }
    })
  })

  it('refuse what cannot be', () => {
    const lab = new SwitchLab()
    expect(() => lab.station('a', { vlan: { access: 0 } })).toThrow(/1 to 4094/)
    expect(() => lab.station('a', { vlan: { trunk: [4095] } })).toThrow(/1 to 4094/)
    expect(() => lab.station('a', { vlan: { access: 1, tunnel: 2 } })).toThrow(/one of them/)
    expect(() => lab.station('a', { vlan: { native: 1 } })).toThrow(/native/)
  })

  it('of a stack meet those of another across a trunk', async () => {
    const world = createWorld({ seed: 8 })
    const sw = createSwitch({ host: world.host, random: world.host.random })
    const a = world.stack({ name: 'a' })
    const b = world.stack({ name: 'b' })
    const eth0 = a.attach(sw.port('a', { vlan: { trunk: [10] } }), { addresses: [] })
    a.addVlan(eth0, 10, { addresses: ['10.0.10.1/24'] })
    b.attach(sw.port('b', { vlan: { access: 10 } }), { addresses: ['10.0.10.2/24'] })
    world.run(2000)
    const replies: string[] = []
    const all = async (): Promise<void> => {
      for await (const reply of b.ping('10.0.10.1', { count: 1 })) replies.push(String(reply.from))
    }
    await world.settle(all())
    expect(replies).toEqual(['10.0.10.1'])
    await world.close()
  })
})
