import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../src/base/address.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { createSwitch } from '../../src/switch/create.ts'
import type { SwitchPortOptions } from '../../src/switch/port.ts'
import type { Switch, SwitchOptions } from '../../src/switch/switch.ts'
import { type Family, V4, V6 } from '../support/group-world.ts'
import { Station } from '../support/switch-lab.ts'

/** The Ethernet address of a group (RFC 1112 section 6.4, RFC 2464 section 7). */
function groupMac(group: string): number[] {
  const a = parseAddress(group)!
  const low = [a.w3 >>> 24, (a.w3 >>> 16) & 255, (a.w3 >>> 8) & 255, a.w3 & 255]
  return a.isV4 ? [1, 0, 0x5e, low[1] & 127, low[2], low[3]] : [0x33, 0x33, ...low]
}

/** Three stacks as hosts, two stations that are nobody, and one that may be a router. */
class Lab {
  readonly world: World = createWorld({ seed: 12 })
  readonly sw: Switch
  readonly hosts: Stack[]
  readonly idle: Station
  readonly router: Station

  constructor(
    readonly f: Family,
    options: SwitchOptions = {},
    port: SwitchPortOptions = {},
    version?: number,
  ) {
    const { host } = this.world
    this.sw = createSwitch({ host, random: host.random, ...options })
    const multicast = version === undefined ? {} : f.family === 4 ? { igmpVersion: version } : { mldVersion: version }
    this.hosts = [1, 2].map((n) => {
      const stack = this.world.stack({ name: `h${n}`, multicast })
      stack.attach(this.sw.port(`h${n}`, port), { addresses: [`10.0.0.${n}/24`, `fd00::${n}/64`], probe: false })
      return stack
    })
    this.idle = new Station(this.sw.port('idle'), host)
    this.router = new Station(this.sw.port('router'), host)
    this.world.run(5000)
    this.took()
  }

  /** An IP packet as a frame to the group's address, from nobody in particular. */
  frame(packet: Uint8Array, group: string): Uint8Array {
    const type = this.f.family === 4 ? [8, 0] : [0x86, 0xdd]
    return Uint8Array.from([...groupMac(group), 2, 0, 0, 0, 9, 9, ...type, ...packet])
  }

  query(asking: Parameters<Family['query']>[0] = {}): void {
    this.router.send(this.frame(this.f.query(asking), asking.group ?? this.f.allHosts))
    this.world.run(11_000) // all have answered
    this.took()
  }

  /** Which ports get a packet for the group: a datagram of a host that is not there, sent by the first host's link. */
  reaches(group: string): string[] {
    const { family } = this.f
    const payload = [0, 9, 0, 9, 0, 8, 0, 0]
    const a = parseAddress(group)!
    const to = [a.w0, a.w1, a.w2, a.w3].flatMap((w) => [w >>> 24, (w >>> 16) & 255, (w >>> 8) & 255, w & 255])
    const packet =
      family === 4
        ? [0x45, 0, 0, 28, 0, 0, 0, 0, 9, 17, 0, 0, 10, 0, 0, 99, ...to.slice(12), ...payload]
        : [0x60, 0, 0, 0, 0, 8, 17, 9, 0xfd, ...new Array(14).fill(0), 99, ...to, ...payload]
    const before = this.counts()
    this.sender.send(this.frame(Uint8Array.from(packet), group))
    this.world.run(1)
    const after = this.counts()
    this.took()
    return Object.keys(after).filter((name) => name !== 'sender' && after[name] > before[name])
  }

  private counts(): Record<string, number> {
    return Object.fromEntries(this.sw.list.map((p) => [p.name, this.sw.counters()[p.name].ifOutMulticastPkts]))
  }

  private made: Station | null = null
  get sender(): Station {
    this.made ??= new Station(this.sw.port('sender'), this.world.host)
    return this.made
  }

  took(): void {
    for (const s of [this.idle, this.router, this.made]) s?.heard()
  }
}

describe.each([V4, V6])('$name snooping', (f) => {
  const [group, other] = f.groups

  it('floods everything as long as nobody asks, and until answers can be there', () => {
    const lab = new Lab(f)
    lab.hosts[0].udp.open({}, { family: f.family }).joinGroup(group)
    lab.world.run(2000)
    expect(lab.reaches(group)).toEqual(['h1', 'h2', 'idle', 'router'])
    lab.router.send(lab.frame(f.query({}), f.allHosts))
    lab.world.run(5000)
    expect(lab.reaches(other)).toEqual(['h1', 'h2', 'idle', 'router'])
    lab.world.run(6000)
    expect(lab.reaches(other)).toEqual(['router'])
    expect(lab.reaches(group)).toEqual(['h1', 'router'])
    lab.world.run(256_000) // nobody asks any more
    expect(lab.reaches(group)).toEqual(['h1', 'h2', 'idle', 'router'])
  })

  it.each(f.family === 4 ? [1, 2, 3] : [1, 2])('sends a group to whoever asked for it, in version %i', (version) => {
    const lab = new Lab(f, {}, {}, version)
    lab.query({ version })
    const sockets = lab.hosts.map((host) => host.udp.open({}, { family: f.family }))
    sockets[0].joinGroup(group)
    lab.world.run(1000)
    expect([lab.reaches(group), lab.reaches(other)]).toEqual([['h1', 'router'], ['router']])
    expect(lab.sw.groups().filter((g) => g.group === group)).toEqual([{ vlan: 1, group, ports: ['h1'] }])
    sockets[1].joinGroup(group)
    lab.world.run(1000)
    expect(lab.reaches(group)).toEqual(['h1', 'h2', 'router'])
    sockets[0].leaveGroup(group)
    lab.world.run(version === 1 && f.family === 4 ? 261_000 : 4000)
    if (version === 1 && f.family === 4) lab.query({ version: 1 }) // without a leave only time tells
    expect(lab.reaches(group)).toEqual(['h2', 'router'])
  })

  it('keeps reports from hosts, and gives them to routers', () => {
    const lab = new Lab(f)
    lab.query()
    const heard = (): number => lab.router.heard().filter((b) => b[0] !== 255).length
    lab.hosts[0].udp.open({}, { family: f.family }).joinGroup(group)
    lab.world.run(3000)
    expect(heard()).toBeGreaterThan(0)
    expect(lab.idle.heard()).toEqual([])
  })

  it('always floods what is for the link', () => {
    const lab = new Lab(f)
    lab.query()
    expect(lab.reaches(f.groups[2])).toEqual(['h1', 'h2', 'idle', 'router'])
    expect(lab.reaches(f.allHosts)).toEqual(['h1', 'h2', 'idle', 'router'])
  })

  it('knows no router by a query from nobody, and knows one by order', () => {
    const lab = new Lab(f)
    lab.query({ from: f.family === 4 ? '0.0.0.0' : '::' })
    expect(lab.reaches(other)).toEqual([])
    new Station(lab.sw.port('fixed', { router: true }), lab.world.host)
    expect(lab.reaches(other)).toEqual(['fixed'])
  })

  it('ends a membership at once where that was asked for, and after the last query elsewhere', () => {
    for (const fastLeave of [true, false]) {
      const lab = new Lab(f, {}, { fastLeave })
      lab.query()
      const socket = lab.hosts[0].udp.open({}, { family: f.family })
      socket.joinGroup(group)
      lab.world.run(3000)
      socket.leaveGroup(group)
      lab.world.run(100)
      expect(lab.reaches(group)).toEqual(fastLeave ? ['router'] : ['h1', 'router'])
      lab.world.run(4000)
      expect(lab.reaches(group)).toEqual(['router'])
    }
  })

  it('floods what it has no room to know', () => {
    const lab = new Lab(f, { maxGroups: 1 })
    lab.query()
    const socket = lab.hosts[0].udp.open({}, { family: f.family })
    socket.joinGroup(group)
    socket.joinGroup(other)
    lab.world.run(3000)
    expect(lab.reaches(other)).toEqual(['h1', 'h2', 'idle', 'router'])
    expect(lab.sw.counters().snooping.groupsFull).toBeGreaterThan(0)
  })

  it('believes no report with a wrong checksum', () => {
    const lab = new Lab(f)
    lab.query()
    const report = Uint8Array.from(f.oldReport(f.family === 4 ? 2 : 1, group))
    report[report.length - 1] ^= 1
    lab.idle.send(lab.frame(report, group))
    lab.world.run(10)
    expect(lab.sw.groups().filter((g) => g.ports.includes('idle'))).toEqual([])
    expect(lab.sw.counters().snooping.dropped).toBe(1)
  })

  it('survives reports cut anywhere and counts that are lies', () => {
    const lab = new Lab(f)
    lab.query()
    const report = Uint8Array.from(f.oldReport(f.family === 4 ? 2 : 1, group))
    const whole = lab.frame(report, group)
    for (let end = 14; end < whole.length; end++) lab.idle.send(whole.slice(0, end))
    for (let at = 14; at < whole.length; at++) {
      const bent = whole.slice()
      bent[at] ^= 0xff
      lab.idle.send(bent)
    }
    lab.world.run(10)
    lab.idle.send(whole)
    lab.world.run(10)
    expect(lab.sw.groups().find((g) => g.group === group)?.ports).toEqual(['idle'])
  })
})

it('a topology change makes everything flood until the next query was answered', () => {
  const lab = new Lab(V4, { spanningTree: true }, { edge: true })
  lab.sender.heard() // its port is there now
  lab.world.run(5000)
  lab.query()
  expect(lab.reaches(V4.groups[0])).toEqual(['router'])
  const other = createSwitch({ host: lab.world.host, random: lab.world.host.random, spanningTree: true })
  lab.sw.join(other.port('up'), { name: 'up' })
  lab.world.run(5000)
  expect(lab.reaches(V4.groups[0])).toEqual(['h1', 'h2', 'idle', 'router', 'up'])
  lab.query()
  expect(lab.reaches(V4.groups[0])).toEqual(['router'])
})
