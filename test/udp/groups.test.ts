/** Sockets and multicast groups: RFC 1112 sections 6 and 7, RFC 3376 sections 2 and 3.1, and ip(7) where those leave a choice. */
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import type { NetError } from '../../src/base/errors.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import { Datagram } from '../../src/udp/receive-queue.ts'
import type { UdpOptions, UdpSocket } from '../../src/udp/socket.ts'

const G4 = '239.1.2.3'
const G6 = 'ff15::1:2:3'

function two(): { world: World; a: Stack; b: Stack } {
  const world = createWorld()
  const [a, b] = [world.stack(), world.stack()]
  const [left, right] = createPipe({ medium: 'ip' })
  a.attach(left, { name: 'tun0', addresses: ['10.0.0.1/24', '10.0.0.9/24', 'fd00::1/64'] })
  b.attach(right, { name: 'tun0', addresses: ['10.0.0.2/24', 'fd00::2/64'] })
  return { world, a, b }
}

function listener(stack: Stack, port: number, options: UdpOptions = {}, at?: string): UdpSocket {
  const s = stack.udp.open({}, { reuseAddress: true, ...options })
  s.bind(at ?? (options.family === 6 ? '::' : '0.0.0.0'), port)
  return s
}

function say(from: UdpSocket, group: string, port: number, text: string): void {
  from.send(new TextEncoder().encode(text), 0, text.length, address(group), port)
}

/** Everything that waits at a socket. */
function heard(s: UdpSocket): string[] {
  const out: string[] = []
  const d = new Datagram(new Uint8Array(2000))
  while (s.receive(d)) out.push(new TextDecoder().decode(d.buf.subarray(0, d.len)))
  return out
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as NetError).code
  }
  return 'fine'
}

describe.each([
  [G4, '10.0.0.1', '10.0.0.9', 4],
  [G6, 'fd00::1', 'fd00::9', 6],
] as const)('a group: %s', (group, first, second, family) => {
  it('is heard while it is joined, by every socket that fits', () => {
    const { world, a, b } = two()
    const from = a.udp.open({}, { family })
    const [x, y] = [listener(b, 5000, { family }), listener(b, 5000, { family })]
    const elsewhere = listener(b, 5001, { family })
    say(from, group, 5000, 'too early')
    world.run(10)
    expect([
      heard(x),
      b.counters()[family === 4 ? 'ip' : 'ip6'][family === 4 ? 'ipDropUnknownGroup' : 'ip6DropUnknownGroup'],
    ]).toEqual([[], 1])
    x.joinGroup(group)
    y.joinGroup(group)
    say(from, group, 5000, 'hello')
    world.run(10)
    expect([heard(x), heard(y), heard(elsewhere)]).toEqual([['hello'], ['hello'], []])
    x.leaveGroup(group)
    y.leaveGroup(group)
    say(from, group, 5000, 'too late')
    world.run(10)
    expect([heard(x), heard(y)]).toEqual([[], []])
  })

  it('joined by another socket is heard as well, unless multicastAll is off (ip(7), IP_MULTICAST_ALL)', () => {
    const { world, a, b } = two()
    const from = a.udp.open({}, { family })
    const [member, all, strict] = [0, 1, 2].map(() => listener(b, 5000, { family }))
    strict.multicastAll = false
    member.joinGroup(group)
    say(from, group, 5000, 'x')
    world.run(10)
    expect([heard(member), heard(all), heard(strict)]).toEqual([['x'], ['x'], []])
  })

  it('by source: only those that were asked for', () => {
    const { world, a, b } = two()
    if (family === 6) void a.interfaces[0].addAddress('fd00::9/64')
    const one = listener(a, 0, { family }, first)
    const other = listener(a, 0, { family }, second)
    const s = listener(b, 5000, { family })
    const both = (): string[] => {
      say(one, group, 5000, 'one')
      say(other, group, 5000, 'other')
      world.run(10)
      return heard(s)
    }
    s.joinGroup(group, null, first)
    expect(both()).toEqual(['one'])
    s.joinGroup(group, null, second)
    expect(both()).toEqual(['one', 'other'])
    s.leaveGroup(group, null, first)
    expect(both()).toEqual(['other'])
    s.leaveGroup(group, null, second) // the last source: the membership ends (ip(7))
    expect(both()).toEqual([])
    s.joinGroup(group)
    s.blockSource(group, second)
    expect(both()).toEqual(['one'])
    s.unblockSource(group, second)
    expect(both()).toEqual(['one', 'other'])
    s.setSourceFilter(group, 'include', [second])
    expect(both()).toEqual(['other'])
    s.setSourceFilter(group, 'exclude', [])
    expect(both()).toEqual(['one', 'other'])
    s.setSourceFilter(group, 'include', [])
    expect(both()).toEqual([])
  })

  it('is looped back to those who joined it here, while multicastLoop is on (RFC 1112 section 6.1)', () => {
    const { world, a, b } = two()
    const from = a.udp.open({}, { family })
    const here = listener(a, 5000, { family })
    const there = listener(b, 5000, { family })
    there.joinGroup(group)
    say(from, group, 5000, 'not joined here')
    here.joinGroup(group)
    say(from, group, 5000, 'both')
    from.multicastLoop = false
    say(from, group, 5000, 'there')
    from.multicastLoop = true
    from.multicastTtl = 0
    say(from, group, 5000, 'here')
    world.run(10)
    expect([heard(here), heard(there)]).toEqual([
      ['both', 'here'],
      ['not joined here', 'both', 'there'],
    ])
  })

  it('complains as Linux does', () => {
    const { a } = two()
    const s = a.udp.open({}, { family })
    const other = family === 4 ? '10.0.0.7' : 'fd00::7'
    const codes = (...runs: (() => unknown)[]): string[] => runs.map(codeOf)
    expect(
      codes(
        () => s.joinGroup(other),
        () => s.joinGroup(group, 'eth7'),
        () => s.leaveGroup(group),
        () => s.blockSource(group, other),
        () => s.joinGroup(group, 'tun0'),
        () => s.joinGroup(group),
        () => s.joinGroup(group, 'lo'),
        () => s.leaveGroup(group, 'lo'),
        () => s.blockSource(group, other),
        () => s.blockSource(group, other),
        () => s.joinGroup(group, null, other), // the list is one of sources to be excluded
        () => s.unblockSource(group, other),
        () => s.unblockSource(group, other),
        () => s.joinGroup(group, null, other), // an empty list may become one of the other kind
        () => s.joinGroup(group, null, other),
        () => s.joinGroup(group, null, group),
        () => s.leaveGroup(group),
        () => s.leaveGroup(group),
      ),
    ).toEqual([
      'EINVAL',
      'ENODEV',
      'EADDRNOTAVAIL',
      'EINVAL',
      'fine',
      'EADDRINUSE',
      'fine',
      'fine',
      'fine',
      'EADDRNOTAVAIL',
      'EINVAL',
      'fine',
      'EADDRNOTAVAIL',
      'fine',
      'EADDRNOTAVAIL',
      'EINVAL',
      'fine',
      'EADDRNOTAVAIL',
    ])
    s.close()
    expect(codeOf(() => s.joinGroup(group))).toBe('EBADF')
  })
})

describe('limits', () => {
  it('of groups and sources per socket', () => {
    const { a } = two()
    const s = a.udp.open({}, { family: 6 })
    for (let i = 0; i < 20; i++) s.joinGroup(`239.0.0.${i}`)
    expect(codeOf(() => s.joinGroup('239.0.1.0'))).toBe('ENOBUFS')
    s.leaveGroup('239.0.0.0')
    s.leaveGroup('239.0.0.1')
    for (let i = 0; i < 10; i++) s.joinGroup(G4, null, `10.1.0.${i}`)
    expect(codeOf(() => s.joinGroup(G4, null, '10.1.1.0'))).toBe('ENOBUFS')
    for (let i = 0; i < 64; i++) s.joinGroup(G6, null, `fd01::${i}`)
    expect(codeOf(() => s.joinGroup(G6, null, 'fd01::64'))).toBe('ENOBUFS')
    expect(codeOf(() => s.setSourceFilter(G4, 'exclude', new Array(11).fill('10.0.0.1')))).toBe('ENOBUFS')
  })
})

describe('interfaces', () => {
  function forked(): { world: World; a: Stack; ends: Stack[] } {
    const world = createWorld()
    const a = world.stack()
    const ends = [world.stack(), world.stack()]
    for (const [i, end] of ends.entries()) {
      const [left, right] = createPipe({ medium: 'ip' })
      a.attach(left, { name: `tun${i}`, addresses: [`10.0.${i}.1/24`, `fe80::${i + 1}/64`, `fd00:${i}::1/64`] })
      end.attach(right, { name: 'tun0', addresses: [`10.0.${i}.2/24`, 'fe80::9/64', `fd00:${i}::2/64`] })
    }
    return { world, a, ends }
  }

  it('choice: by route, by interface, by address, by zone, by source', () => {
    const { world, a, ends } = forked()
    const heads = ends.map((end) => listener(end, 5000, { family: 6 }))
    for (const h of heads) for (const g of [G4, G6, 'ff02::99']) h.joinGroup(g)
    const ways = (): string[][] => {
      world.run(10)
      return heads.map(heard)
    }
    const s = a.udp.open({}, { family: 6 })
    for (const g of [G4, G6]) {
      say(s, g, 5000, 'the first')
      expect(ways()).toEqual([['the first'], []])
      s.setMulticastInterface('tun1')
      say(s, g, 5000, 'as said')
      expect(ways()).toEqual([[], ['as said']])
      s.setMulticastInterface(null)
    }
    const d = new Datagram(new Uint8Array(10))
    s.setMulticastInterface('10.0.1.1')
    say(s, G4, 5000, 'x')
    world.run(10)
    expect([heads[1].receive(d), `${d.address}`]).toEqual([true, '10.0.1.1'])
    s.setMulticastInterface(null)
    const scoped = address('ff02::99')
    scoped.zone = a.interfaces[1].index
    s.send(new Uint8Array(1), 0, 1, scoped, 5000)
    expect(ways().map((w) => w.length)).toEqual([0, 1])
    a.addRoute('239.0.0.0/8', null, a.interfaces[1])
    say(s, G4, 5000, 'routed')
    expect(ways()).toEqual([[], ['routed']])
    const bound = listener(a, 0, {}, '10.0.0.1')
    say(bound, G4, 5000, 'by source')
    expect(ways()).toEqual([['by source'], []])
    expect(codeOf(() => s.setMulticastInterface('eth9'))).toBe('ENODEV')
    expect(codeOf(() => s.setMulticastInterface('10.9.9.9'))).toBe('EADDRNOTAVAIL')
  })

  it('a group is joined where it was said, and a name with a zone binds to the link', () => {
    const { world, a, ends } = forked()
    const froms = ends.map((end) => end.udp.open({}, { family: 6 }))
    const s = listener(a, 5000, { family: 6 })
    s.joinGroup('ff02::99%tun1')
    const bound = listener(a, 5000, { family: 6 }, 'ff02::99%tun1')
    expect(codeOf(() => s.joinGroup('ff02::99%tun1', 'tun0'))).toBe('ENODEV')
    for (const [i, f] of froms.entries()) say(f, 'ff02::99', 5000, `${i}`)
    world.run(10)
    expect([heard(s), heard(bound)]).toEqual([['1'], ['1']])
  })

  it('an interface that goes takes its memberships along; a socket that closes leaves', async () => {
    const { world, a } = forked()
    const s = listener(a, 5000)
    s.joinGroup(G4, 'tun1')
    s.joinGroup(G4, 'tun0')
    const [tun0, tun1] = a.interfaces
    await world.settle(tun1.detach())
    expect([s.memberships?.count, tun0.iface.groups.has(address(G4))]).toEqual([1, true])
    s.close()
    expect(tun0.iface.groups.has(address(G4))).toBe(false)
    expect(codeOf(() => listener(a, 5000).joinGroup(G4, tun1.iface))).toBe('ENODEV')
    await world.close()
  })
})
