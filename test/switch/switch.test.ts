import { describe, expect, it } from 'vitest'
import { CSUM_PARTIAL, frameMeta, GSO_TCP4 } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { createWorld } from '../../src/sim/world.ts'
import { createSwitch } from '../../src/switch/create.ts'
import { noise, parseTransport, tcpFrame, udpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames } from '../support/recording-sink.ts'
import { BROADCAST, frame, SwitchLab, station } from '../support/switch-lab.ts'

function pair(hub: boolean) {
  const { sw, host } = new SwitchLab({ hub })
  return { a: sw.port('a'), b: sw.port('b'), host, settle: () => void host.advance(1), close: () => sw.close() }
}

// A switch does not hold back whoever sends to a port that is full: it drops.
netifConformance('ports of a switch', () => pair(false), { refuses: false })
netifConformance('ports of a hub', () => pair(true), { refuses: false })

const A = station(1)
const B = station(2)
const C = station(3)

function three(options: ConstructorParameters<typeof SwitchLab>[0] = {}) {
  const lab = new SwitchLab(options)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => lab.station(name))
  return { lab, a, b, c }
}

describe('a switch', () => {
  it('floods what it does not know, and sends the answer to where the question came from', () => {
    const { lab, a, b, c } = three()
    a.send(frame(B, A, 1))
    lab.settle()
    expectFrames(b.heard(), [frame(B, A, 1)])
    expectFrames(c.heard(), [frame(B, A, 1)])
    expect(a.heard()).toEqual([])
    b.send(frame(A, B, 2))
    lab.settle()
    a.send(frame(B, A, 3))
    lab.settle()
    expectFrames(a.heard(), [frame(A, B, 2)])
    expectFrames(b.heard(), [frame(B, A, 3)])
    expect(c.heard()).toEqual([])
    expect(lab.sw.addresses().map(({ mac, port, vlan }) => [mac, port, vlan])).toEqual([
      [A, 'a', 1],
      [B, 'b', 1],
    ])
  })

  it('forgets an address after five minutes of silence, and has no timer when it knows nothing', () => {
    const { lab, a, b, c } = three()
    a.send(frame(BROADCAST, A))
    lab.settle(299_000)
    b.send(frame(A, B, 1))
    lab.settle()
    c.heard()
    expect(b.heard().length).toBe(1)
    expect(a.heard().length).toBe(1)
    lab.settle(1000)
    b.send(frame(A, B, 2))
    lab.settle()
    expect([a.heard().length, c.heard().length]).toEqual([1, 1])
    lab.settle(400_000)
    expect([lab.sw.addresses(), lab.host.idle]).toEqual([[], true])
  })

  it('follows a station that moves, and counts it', () => {
    const { lab, a, b, c } = three()
    a.send(frame(BROADCAST, A))
    lab.settle()
    b.send(frame(BROADCAST, A))
    lab.settle()
    for (const s of [a, b, c]) s.heard()
    c.send(frame(A, C, 1))
    lab.settle()
    expect([a.heard().length, b.heard().length]).toEqual([0, 1])
    expect([lab.counter('a', 'macMoves'), lab.counter('b', 'macMoves')]).toEqual([0, 1])
    expect(lab.sw.find('a')?.addresses).toBe(0)
  })

  it('keeps what is between two stations of one port to itself', () => {
    const { lab, a, b } = three()
    a.send(frame(BROADCAST, A))
    a.send(frame(BROADCAST, C))
    lab.settle()
    b.heard()
    a.send(frame(A, C))
    lab.settle()
    expect([b.heard().length, lab.counter('a', 'dropSamePort')]).toEqual([0, 1])
  })

  it('passes on nothing that is reserved, malformed or from no station', () => {
    const { lab, a, b } = three()
    a.send(frame('01:80:c2:00:00:0e', A))
    a.send(frame('01:80:c2:00:00:10', A, 7)) // the first that is not
    a.send(frame(B, '03:00:00:00:00:01'))
    a.send(frame(B, '00:00:00:00:00:00'))
    lab.settle()
    expectFrames(b.heard(), [frame('01:80:c2:00:00:10', A, 7)])
    expect(lab.sw.counters(true).a).toMatchObject({ dropReserved: 1, dropBadSource: 2, ifInMulticastPkts: 2, ifInUcastPkts: 2 })
  })

  it('learns so many addresses and no more, in all and behind a port', () => {
    const lab = new SwitchLab({ maxAddresses: 4 })
    const a = lab.station('a', { maxAddresses: 2 })
    const b = lab.station('b')
    for (let i = 0; i < 5; i++) a.send(frame(BROADCAST, station(10 + i)))
    for (let i = 0; i < 5; i++) b.send(frame(BROADCAST, station(20 + i)))
    lab.settle()
    expect(lab.sw.addresses().length).toBe(4)
    expect(lab.counter('a', 'dot1dTpLearnedEntryDiscards')).toBe(3)
    expect(lab.counter('b', 'dot1dTpLearnedEntryDiscards')).toBe(3)
    a.heard()
    b.send(frame(station(14), station(20))) // not learned: flooded
    lab.settle()
    expect(a.heard().length).toBe(1)
  })

  it('counts by kind, as RFC 2863 has it', () => {
    const { lab, a } = three()
    a.send(frame(BROADCAST, A))
    a.send(frame('01:00:5e:00:00:01', A))
    a.send(frame(B, A))
    lab.settle()
    expect(lab.sw.counters(true).a).toEqual({ ifInOctets: 180, ifInUcastPkts: 1, ifInMulticastPkts: 1, ifInBroadcastPkts: 1 })
    expect(lab.sw.counters(true).c).toEqual({ ifOutOctets: 180, ifOutUcastPkts: 1, ifOutMulticastPkts: 1, ifOutBroadcastPkts: 1 })
  })

  it('loses what a full port does not take, and serves the others', () => {
    const lab = new SwitchLab({ queueFrames: 16 })
    const [a, b, c] = ['a', 'b', 'c'].map((name) => lab.station(name))
    b.send(frame(BROADCAST, B))
    c.send(frame(BROADCAST, C))
    lab.settle()
    for (const s of [a, b, c]) s.heard()
    for (let i = 0; i < 50; i++) {
      a.send(frame(B, A, i))
      a.send(frame(C, A, i))
      lab.settle()
      expect(c.heard().length).toBe(1)
    }
    expect([b.heard().length, lab.counter('b', 'dropOutFull')]).toEqual([16, 34])
  })

  it('isolates ports from each other, not from the others', () => {
    const lab = new SwitchLab()
    const [a, b] = ['a', 'b'].map((name) => lab.station(name, { isolated: true }))
    const c = lab.station('c')
    a.send(frame(BROADCAST, A))
    b.send(frame(BROADCAST, B))
    lab.settle()
    expect([a.heard().length, b.heard().length, c.heard().length]).toEqual([0, 0, 2])
    a.send(frame(B, A))
    c.send(frame(A, C))
    lab.settle()
    expect([a.heard().length, b.heard().length, lab.counter('a', 'dropIsolated')]).toEqual([1, 0, 1])
  })

  it('mirrors what comes in and goes out, and the mirror does nothing else', () => {
    const lab = new SwitchLab()
    const [a, b, m] = ['a', 'b', 'm'].map((name) => lab.station(name))
    const [pa, pm] = ['a', 'm'].map((name) => lab.sw.find(name)!)
    lab.sw.mirror(pa, pm)
    a.send(frame(BROADCAST, A, 1))
    lab.settle()
    b.send(frame(A, B, 2))
    m.send(frame(BROADCAST, C, 3))
    lab.settle()
    expectFrames(m.heard(), [frame(BROADCAST, A, 1), frame(A, B, 2)])
    expectFrames(a.heard(), [frame(A, B, 2)])
    expectFrames(b.heard(), [frame(BROADCAST, A, 1)])
    expect([lab.counter('m', 'mirrored'), lab.counter('m', 'dropMirror')]).toEqual([2, 1])
    lab.sw.mirror(pa, pm, 'out')
    a.send(frame(B, A, 4))
    b.send(frame(A, B, 5))
    lab.settle()
    expectFrames(m.heard(), [frame(A, B, 5)])
    lab.sw.mirror(null, pm)
    m.send(frame(A, C, 6))
    lab.settle()
    expect(a.heard().length).toBe(2)
    expect(() => lab.sw.mirror(pa, pa)).toThrow(/itself/)
  })

  it('keeps to rates, in and out, and to limits of floods', () => {
    const lab = new SwitchLab()
    const a = lab.station('a', { rateIn: 8_000_000, broadcastPerSecond: 100 })
    const b = lab.station('b')
    b.send(frame(BROADCAST, B))
    lab.settle()
    const big = frame(B, A, 0, [], 1000)
    let sent = 0
    let got = 0
    for (let ms = 0; ms < 1000; ms++) {
      for (let i = 0; i < 4; i++, sent++) a.send(big) // 32 Mbit/s
      lab.settle(1)
      got += b.heard().length
    }
    expect(got).toBeGreaterThan(1240) // a megabyte in a second, and the burst
    expect(got).toBeLessThan(1260)
    expect(lab.counter('a', 'dropRate')).toBe(sent - got)
    lab.settle(100)
    for (let i = 0; i < 50; i++) a.send(frame(BROADCAST, A))
    lab.settle()
    expect([b.heard().length, lab.counter('a', 'dropStormBroadcast')]).toEqual([10, 40])
    lab.settle(500)
    for (let i = 0; i < 50; i++) a.send(frame(BROADCAST, A))
    lab.settle()
    expect(b.heard().length).toBe(10)
    const slow = lab.station('slow', { rateOut: 1_000_000 })
    slow.send(frame(BROADCAST, C))
    lab.settle()
    for (let i = 0; i < 200; i++) b.send(frame(C, B, i, [], 1000))
    lab.settle()
    expect(slow.heard().length).toBe(65) // 65600 bytes at once
    expect(lab.counter('slow', 'dropOutRate')).toBe(135)
  })

  it('switches ports off and on', () => {
    const { lab, a, b } = three()
    a.send(frame(BROADCAST, A))
    lab.settle()
    b.heard()
    const port = lab.sw.find('a')!
    lab.sw.setUp(port, false)
    a.send(frame(BROADCAST, A))
    b.send(frame(A, B))
    lab.settle()
    expect([a.heard().length, b.heard().length, lab.counter('a', 'dropDown')]).toEqual([0, 0, 1])
    lab.sw.setUp(port, true)
    b.send(frame(A, B))
    lab.settle()
    expect(a.heard().length).toBe(1)
  })

  it('takes a port away when its link ends, after what still waited in it', () => {
    const { lab, a, b, c } = three()
    const gone: string[] = []
    lab.sw.onPortClosed = (port) => gone.push(port.name)
    a.send(frame(BROADCAST, A, 1))
    a.send(frame(BROADCAST, A, 2))
    void a.link.close()
    lab.settle()
    expect([b.heard().length, gone, lab.sw.list.map((p) => p.name)]).toEqual([2, ['a'], ['b', 'c']])
    b.send(frame(A, B)) // forgotten: flooded
    lab.settle()
    expect(c.heard().length).toBe(3)
    lab.station('a') // the place is free again
    expect(lab.sw.find('a')?.index).toBe(0)
  })

  it('ends its ports when it is closed, and is silent afterwards', async () => {
    const { lab, a, b } = three()
    a.send(frame(BROADCAST, A))
    await lab.sw.close()
    lab.settle(1000)
    expect([a.sink.closes, b.sink.closes, b.heard().length, lab.host.idle]).toEqual([1, 1, 0, true])
    expect(() => lab.sw.port('x')).toThrow(/closed/)
  })

  it('may be closed by whoever hears that a port has ended', () => {
    const { lab, a, b, c } = three()
    lab.sw.onPortClosed = () => void lab.sw.close()
    a.send(frame(BROADCAST, A)) // learned before the last port is looked at
    void c.link.close()
    lab.settle(1000)
    expect([a.sink.closes, b.sink.closes, lab.sw.list, lab.host.idle]).toEqual([1, 1, [], true])
  })

  it('takes any bytes for a frame', () => {
    const lab = new SwitchLab({ spanningTree: true })
    const vlans = [{}, { access: 1 }, { trunk: 'all', native: 1 }, { tunnel: 1 }, { trunk: [1], protocol: '802.1ad' }] as const
    const all = vlans.map((vlan, i) => lab.station(`p${i}`, { vlan, edge: true }))
    const heads = [
      [0x01, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 38, 0x42, 0x42, 3],
      [0x01, 0x00, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1, 8, 0, 0x46],
      [0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 1],
      [2, 0, 0, 0, 0, 1],
    ]
    let sent = 0
    for (let seed = 0; seed < 1500; seed++) {
      const bytes = noise(1 + ((seed * 31) % 90), seed)
      if (seed % 6 < 5) bytes.set(heads[seed % 6].slice(0, bytes.length))
      if (all[seed % 5].send(bytes, seed % 4 === 0 ? frameMeta(CSUM_PARTIAL, GSO_TCP4, seed & 63) : 0) && bytes.length > 13)
        sent++
      if (seed % 64 === 63) {
        lab.settle(100)
        for (const s of all) s.heard()
      }
    }
    lab.settle(1000)
    const counters = Object.entries(lab.sw.counters()).filter(([name]) => name !== 'snooping')
    const came = counters.map(([, n]) => n.ifInUcastPkts + n.ifInMulticastPkts + n.ifInBroadcastPkts)
    expect(came.reduce((a, b) => a + b)).toBe(sent)
    for (const s of all) expect(s.sink.complaints).toEqual([])
  })

  it('refuses what cannot be', () => {
    const lab = new SwitchLab({ maxPorts: 2 })
    lab.station('a')
    expect(() => lab.station('a')).toThrow(/already/)
    expect(() => lab.joined('ip', { medium: 'ip' })).toThrow(/no Ethernet/)
    expect(() => lab.station('b', { rateIn: 0 })).toThrow(/rate/)
    for (const name of ['broadcastPerSecond', 'multicastPerSecond', 'unknownPerSecond', 'maxAddresses'])
      for (const value of [-1, 0.5, Number.NaN]) expect(() => lab.station('b', { [name]: value })).toThrow(`${name} of a port`)
    lab.station('b')
    expect(() => lab.station('c')).toThrow(/2 ports/)
    expect(() => lab.sw.mirror(lab.sw.list[0], lab.sw.list[1], 'up' as never)).toThrow(/in, out or both/)
    expect(() => createSwitch({ host: lab.host, random: lab.host.random, ageingMs: -1 })).toThrow(/ageingMs/)
    expect(() => createSwitch({ host: lab.host, random: lab.host.random, mac: 'x' })).toThrow(/MAC/)
    for (const mac of ['01:00:5e:00:00:01', new Uint8Array(5), 7 as never])
      expect(() => createSwitch({ host: lab.host, random: lab.host.random, mac })).toThrow(/mac|MAC/)
  })
})

describe('a hub', () => {
  it('sends everything everywhere, what is reserved too, and learns nothing', () => {
    const { lab, a, b, c } = three({ hub: true })
    b.send(frame(A, B))
    a.send(frame(B, A))
    a.send(frame('01:80:c2:00:00:0e', A))
    lab.settle()
    expect([a.heard().length, b.heard().length, c.heard().length, lab.sw.addresses()]).toEqual([1, 2, 3, []])
  })
})

describe('offload', () => {
  const superFrame = tcpFrame({ payload: new Uint8Array(5000).map((_, i) => i * 7), gso: 1460 })

  it('goes through as it is where both sides have it', () => {
    const { lab, a, b } = three()
    a.send(superFrame.bytes, superFrame.meta)
    lab.settle()
    b.sink.receiving = true
    b.link.receive(64)
    expect(b.sink.metas).toEqual([superFrame.meta])
  })

  it('is done in software for each port that has it not, and no port spoils the frame for another', () => {
    const lab = new SwitchLab()
    const a = lab.station('a')
    const plain = [1, 2].map((n) => lab.joined(`plain${n}`, { offload: false }))
    const b = lab.station('b')
    const partial = udpFrame({ payload: [1, 2, 3], partial: true })
    a.send(superFrame.bytes, superFrame.meta)
    a.send(partial.bytes, partial.meta)
    lab.settle()
    for (const s of plain) {
      const got = s.heard()
      expect(got.length).toBe(5)
      for (const f of got) expect(parseTransport(f)).toMatchObject({ checksumOk: true, ipChecksumOk: true })
    }
    expectFrames(b.heard(), [superFrame.bytes, partial.bytes])
  })

  it('splits super-datagrams for ports that know none', () => {
    const { lab, a, b } = three()
    const big = udpFrame({ payload: new Uint8Array(3000), gso: 1000 })
    const [near, far] = [a, b]
    near.send(big.bytes, big.meta)
    lab.settle()
    const got = far.heard()
    expect(got.map((f) => f.length)).toEqual([1042, 1042, 1042])
    for (const f of got) expect(parseTransport(f).checksumOk).toBe(true)
    expect(lab.counter('b', 'softSegmented')).toBe(1)
  })
})

describe('a loop', () => {
  /** Two switches and two cables between them. */
  function loop() {
    const host = new VirtualHost({ seed: 3 })
    const labs = [new SwitchLab({ name: 'one' }, host), new SwitchLab({ name: 'two' }, host)]
    for (const cable of ['x', 'y']) labs[0].sw.join(labs[1].sw.port(cable), { name: cable })
    return { host, labs, a: labs[0].station('a'), b: labs[1].station('b') }
  }

  it('does not melt: storm control lets so many frames a second pass, and time goes on', () => {
    const { host, labs, a, b } = loop()
    a.send(frame(BROADCAST, A, 1))
    host.advance(100)
    // Two frames circle, one each way, until each port has flooded what it may at once and in a tenth of a second.
    expect(b.heard().length).toBeGreaterThan(500)
    for (const lab of labs) {
      for (const cable of ['x', 'y']) {
        expect(lab.counter(cable, 'ifInBroadcastPkts')).toBeLessThan(2100)
      }
    }
    host.advance(10_000)
    const circling = labs[0].counter('x', 'ifInBroadcastPkts')
    host.advance(10_000)
    expect(labs[0].counter('x', 'ifInBroadcastPkts')).toBe(circling) // the frame itself was dropped at some time
  })
})

describe('stacks on a switch', () => {
  it('reach each other, over both families', async () => {
    const world = createWorld({ seed: 4 })
    const sw = createSwitch({ host: world.host, random: world.host.random })
    const stacks = [1, 2, 3].map((n) => {
      const stack = world.stack({ name: `s${n}` })
      stack.attach(sw.port(`s${n}`), { addresses: [`10.0.0.${n}/24`, `fd00::${n}/64`] })
      return stack
    })
    world.run(3000)
    for (const to of ['10.0.0.3', 'fd00::3']) {
      const replies: string[] = []
      const all = async (): Promise<void> => {
        for await (const reply of stacks[0].ping(to, { count: 2, intervalMs: 10 })) replies.push(String(reply.from))
      }
      await world.settle(all())
      expect(replies).toEqual([to, to])
    }
    expect(sw.addresses().length).toBe(3)
    await sw.close()
    await world.close()
  })
})
