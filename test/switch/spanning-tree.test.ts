import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fault } from '../../src/link/fault.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { BpduFlag, BpduRole, BpduType, readBpdu, writeBpdu } from '../../src/switch/bpdu.ts'
import type { SwitchPortOptions } from '../../src/switch/port.ts'
import type { SpanningTreeOptions } from '../../src/switch/spanning-tree.ts'
import { noise } from '../support/frames.ts'
import { BROADCAST, frame, type Station, SwitchLab, station } from '../support/switch-lab.ts'

/** Switches with spanning trees, on one clock. */
class Net {
  readonly host = new VirtualHost({ seed: 11 })
  readonly labs: SwitchLab[] = []
  readonly stations: Station[] = []

  constructor(count: number, options: (i: number) => SpanningTreeOptions = () => ({})) {
    for (let i = 0; i < count; i++) {
      const lab = new SwitchLab({ name: `s${i}`, mac: `02:00:00:00:01:0${i}`, spanningTree: options(i) }, this.host)
      this.labs.push(lab)
      this.stations.push(lab.station('host'))
    }
  }

  /** A cable; its ports have the names of the cable. */
  cable(name: string, a: number, b: number, options: SwitchPortOptions = {}): void {
    this.labs[a].sw.join(this.labs[b].sw.port(name, options), { name, ...options })
  }

  role(i: number, port: string): string {
    const { sw } = this.labs[i]
    const { role, state } = sw.spanningTree!.summary(sw.find(port)!)!
    return `${role} ${state}`
  }

  /** How many copies of a broadcast by one station each of the others hears. */
  broadcast(from: number): number[] {
    for (const s of this.stations) s.heard()
    this.stations[from].send(frame(BROADCAST, station(100 + from)))
    this.host.advance(1)
    return this.stations.map((s) => s.heard().filter((f) => f[0] === 0xff).length)
  }
}

describe('the rapid spanning tree', () => {
  it('blocks one of two cables, at once, and hosts are reached after three seconds', () => {
    const net = new Net(2)
    net.cable('x', 0, 1)
    net.cable('y', 0, 1)
    net.host.advance(10)
    expect([net.role(0, 'x'), net.role(0, 'y')]).toEqual(['designated forwarding', 'designated forwarding'])
    expect([net.role(1, 'x'), net.role(1, 'y')]).toEqual(['root forwarding', 'alternate discarding'])
    expect(net.role(0, 'host')).toBe('designated discarding')
    net.host.advance(3000)
    expect(net.labs[0].sw.spanningTree?.summary(net.labs[0].sw.find('host')!)).toMatchObject({ state: 'forwarding', edge: true })
    expect([net.broadcast(0), net.broadcast(1)]).toEqual([
      [0, 1],
      [1, 0],
    ])
  })

  it('lets an edge port forward at once, and takes that back when a switch is there', () => {
    const net = new Net(1)
    const eager = net.labs[0].station('eager', { edge: true })
    expect(net.role(0, 'eager')).toBe('designated forwarding')
    const other = new SwitchLab({ mac: '02:00:00:00:00:01', spanningTree: true }, net.host)
    net.labs[0].sw.join(other.sw.port('up'), { name: 'up', edge: true })
    net.host.advance(2100) // the other's first BPDU was lost: nobody was there yet
    const summary = net.labs[0].sw.spanningTree?.summary(net.labs[0].sw.find('up')!)
    expect(summary).toMatchObject({ role: 'root', state: 'forwarding', edge: false })
    expect(eager.heard().length).toBeGreaterThan(0) // BPDUs
  })

  it('chooses root and ways by priority and cost', () => {
    const net = new Net(3, (i) => ({ priority: i === 2 ? 4096 : 32768 }))
    net.cable('ab', 0, 1)
    net.cable('bc', 1, 2)
    net.cable('ca', 2, 0, { pathCost: 100_000 })
    net.host.advance(7000)
    const roots = net.labs.map(({ sw }) => sw.spanningTree?.root)
    expect(new Set(roots.map((r) => r?.id))).toEqual(new Set(['1000020000000102']))
    expect(roots.map((r) => [r?.cost, r?.port])).toEqual([
      [40_000, 'ab'],
      [20_000, 'bc'],
      [0, null],
    ])
    expect([net.role(0, 'ca'), net.role(2, 'ca')]).toEqual(['alternate discarding', 'designated forwarding'])
    expect([0, 1, 2].map((i) => net.broadcast(i))).toEqual([
      [0, 1, 1],
      [1, 0, 1],
      [1, 1, 0],
    ])
  })

  it('goes another way within milliseconds when a cable is cut, and forgets where stations were', () => {
    const net = new Net(3)
    net.cable('ab', 0, 1)
    net.cable('bc', 1, 2)
    net.cable('ca', 2, 0)
    net.host.advance(5000)
    net.broadcast(2)
    net.broadcast(1)
    expect(net.role(1, 'bc')).toBe('designated forwarding')
    expect(net.role(2, 'bc')).toBe('alternate discarding')
    void net.labs[0].sw.remove(net.labs[0].sw.find('ca')!)
    net.host.advance(5)
    expect(net.role(2, 'bc')).toBe('root forwarding')
    net.stations[0].heard()
    net.stations[0].send(frame(station(102), station(100)))
    net.host.advance(1)
    expect(net.stations[2].heard().filter((f) => f[5] === 102).length).toBe(1)
    expect(net.broadcast(0)).toEqual([0, 1, 1])
  })

  it('notices in six seconds a neighbour that is silent', () => {
    const net = new Net(2)
    const cables = ['x', 'y'].map((name) => {
      const [near, far] = createPipe()
      const link = fault(near, { wire: true })
      net.labs[0].sw.join(link, { name })
      net.labs[1].sw.join(far, { name })
      return link
    })
    net.host.advance(4000)
    expect(net.role(1, 'y')).toBe('alternate discarding')
    cables[0].set({ loss: 1 })
    net.host.advance(3900)
    expect(net.role(1, 'y')).toBe('alternate discarding')
    net.host.advance(3000)
    expect(net.role(1, 'y')).toBe('root forwarding')
    expect(net.broadcast(0)).toEqual([0, 1])
  })

  it('speaks the old protocol with an old bridge, and waits two forward delays then', () => {
    const net = new Net(2, (i) => ({ version: i === 0 ? 'stp' : 'rstp' }))
    net.cable('x', 0, 1)
    net.cable('y', 0, 1)
    net.host.advance(10_000)
    expect([net.role(0, 'x'), net.role(1, 'y')]).toEqual(['designated discarding', 'alternate discarding'])
    expect(net.broadcast(0)).toEqual([0, 0])
    net.host.advance(30_000)
    expect([net.role(1, 'x'), net.role(1, 'y')]).toEqual(['root forwarding', 'alternate discarding'])
    expect(net.broadcast(0)).toEqual([0, 1])
    const { sw } = net.labs[1]
    expect(sw.spanningTree?.summary(sw.find('x')!)?.rapid).toBe(false)
  })

  it('tells an old root of a change by TCN, and nothing of an edge port', () => {
    const net = new Net(2, (i) => ({ version: i === 0 ? 'stp' : 'rstp' }))
    net.cable('x', 0, 1)
    net.cable('y', 0, 1)
    net.host.advance(60_000)
    net.broadcast(0) // station 0 is known everywhere
    expect(net.labs[1].sw.addresses().length).toBeGreaterThan(0)
    const said = net.labs[0].counter('x', 'bpduIn')
    net.labs[1].sw.setUp(net.labs[1].sw.find('host')!, false)
    net.labs[1].sw.setUp(net.labs[1].sw.find('host')!, true)
    net.host.advance(40_000)
    // A port that became an edge is no change of the topology: nothing was said.
    expect(net.labs[0].counter('x', 'bpduIn')).toBe(said)
    net.labs[0].sw.setUp(net.labs[0].sw.find('x')!, false)
    net.host.advance(40_000)
    expect(net.role(1, 'y')).toBe('root forwarding')
    expect(net.labs[0].counter('y', 'bpduIn')).toBeGreaterThan(0) // a TCN
    expect(net.broadcast(1)).toEqual([1, 0])
  })

  it('blocks a cable with both ends in one switch', () => {
    const net = new Net(1)
    const [near, far] = createPipe()
    net.labs[0].sw.join(near, { name: 'near' })
    net.labs[0].sw.join(far, { name: 'far' })
    net.host.advance(4000)
    expect([net.role(0, 'near'), net.role(0, 'far')]).toEqual(['designated forwarding', 'backup discarding'])
    expect(net.broadcast(0)).toEqual([0])
  })

  it('switches off a port with a guard when a switch is behind it', () => {
    const net = new Net(2)
    const told: string[] = []
    net.labs[0].sw.onBpduGuard = (port) => told.push(port.name)
    net.labs[0].sw.join(net.labs[1].sw.port('x'), { name: 'x', bpduGuard: true })
    net.host.advance(10)
    expect(told).toEqual(['x'])
    expect([net.labs[0].sw.find('x')?.isUp, net.role(0, 'x')]).toEqual([false, 'disabled discarding'])
  })

  it('takes any bytes for a BPDU and stays as it is', () => {
    const net = new Net(1)
    const [s] = net.stations
    net.host.advance(4000)
    for (let seed = 0; seed < 200; seed++) {
      const bytes = noise(20 + (seed % 60), seed)
      bytes.set([0x01, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 38 + (seed % 5), 0x42, 0x42, 3, 0, 0].slice(0, bytes.length))
      s.send(bytes)
    }
    net.host.advance(100_000)
    const { sw } = net.labs[0]
    expect(sw.spanningTree?.root.id).toBe(sw.spanningTree?.id)
    expect(net.role(0, 'host')).toBe('designated forwarding')
  })

  it('refuses priorities and costs that cannot be', () => {
    expect(() => new Net(1, () => ({ priority: 5 }))).toThrow(/4096/)
    const net = new Net(1)
    expect(() => net.labs[0].station('b', { priority: 7 })).toThrow(/16/)
    expect(() => net.labs[0].station('b', { pathCost: 0 })).toThrow(/cost/)
    expect(net.labs[0].sw.list.length).toBe(1)
  })

  it('makes a tree of any graph: every station hears every other exactly once, also after cables were cut', () => {
    const graph = fc.record({
      count: fc.integer({ min: 2, max: 6 }),
      more: fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 7 }),
      cuts: fc.array(fc.nat(20), { maxLength: 2 }),
    })
    fc.assert(
      fc.property(graph, ({ count, more, cuts }) => {
        const net = new Net(count, (i) => ({ priority: ((i * 7) % 5) * 4096 }))
        const cables: [number, number][] = []
        for (let i = 1; i < count; i++) cables.push([i >> 1, i])
        for (const [a, b] of more) if (a < count && b < count && a !== b) cables.push([a, b])
        cables.forEach(([a, b], i) => {
          net.cable(`c${i}`, a, b)
        })
        net.host.advance(60_000)
        const all = (from: number): number[] => net.labs.map((_, i) => (i === from ? 0 : 1))
        for (let i = 0; i < count; i++) expect(net.broadcast(i)).toEqual(all(i))
        // Cables beyond the first tree may go without anybody losing his way.
        const spare = cables.map((_, i) => i).slice(count - 1)
        for (const cut of cuts) {
          const [i] = spare.splice(cut % Math.max(1, spare.length), 1)
          if (i === undefined) break
          void net.labs[cables[i][0]].sw.remove(net.labs[cables[i][0]].sw.find(`c${i}`)!)
        }
        // Nor is there a loop while the others look for another way.
        for (let i = 0; i < 20; i++) expect(Math.max(...net.broadcast(i % count))).toBeLessThanOrEqual(1)
        net.host.advance(60_000)
        for (let i = 0; i < count; i++) expect(net.broadcast(i)).toEqual(all(i))
      }),
      { numRuns: 12, seed: 6 },
    )
  })
})

describe('BPDUs', () => {
  const vector = { root: '8000020000000001', cost: 20_000, bridge: '8000020000000002', port: 0x8003 }
  const times = { messageAge: 1.5, maxAge: 20, helloTime: 2, forwardDelay: 15 }

  it.each([
    ['a rapid one', BpduType.RST, BpduFlag.PROPOSAL | BpduRole.DESIGNATED | BpduFlag.FORWARDING],
    ['an old one', BpduType.CONFIG, BpduFlag.TOPOLOGY_CHANGE],
  ])('%s is read as it was written', (_, type, flags) => {
    const buf = new Uint8Array(100).fill(0xee)
    writeBpdu(buf, 20, Uint8Array.of(2, 0, 0, 0, 0, 2), { type, flags, vector, times })
    expect(readBpdu(buf, 20, 80)).toEqual({ type, flags, vector, times })
    for (let end = 20; end < 20 + 14 + (type === BpduType.RST ? 39 : 38); end++) expect(readBpdu(buf, 20, end)).toBe(null)
  })

  it('has the bytes of the standard', () => {
    const buf = new Uint8Array(60)
    writeBpdu(buf, 0, Uint8Array.of(2, 0, 0, 0, 0, 2), { type: BpduType.RST, flags: 0x7c, vector, times })
    const hexes = Array.from(buf, (b) => b.toString(16).padStart(2, '0')).join(' ')
    expect(hexes.slice(0, 53 * 3 - 1)).toBe(
      '01 80 c2 00 00 00 02 00 00 00 00 02 00 27 42 42 03 00 00 02 02 7c ' +
        '80 00 02 00 00 00 00 01 00 00 4e 20 80 00 02 00 00 00 00 02 80 03 01 80 14 00 02 00 0f 00 00',
    )
    writeBpdu(buf, 0, Uint8Array.of(2, 0, 0, 0, 0, 2), { type: BpduType.TCN, flags: 0, vector, times })
    expect([...buf.slice(12, 21)]).toEqual([0, 7, 0x42, 0x42, 3, 0, 0, 0, 0x80])
    expect(readBpdu(buf, 0, 60)?.type).toBe(BpduType.TCN)
  })
})
