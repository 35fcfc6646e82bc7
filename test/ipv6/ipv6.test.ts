import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { Cast } from '../../src/ethernet/ethernet.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { extension, type Fields6, packet6, THEM, udp6, World6 } from '../support/ip6-world.ts'

const TEST = 253
const BODY = Buffer.from('0123456789abcdef')

interface Seen {
  from: string
  to: string
  body: string
  ttl: number
  tos: number
  flow: number
  alert: boolean
}

/** A host that notes what protocol 253 gets. */
function host(options: ConstructorParameters<typeof World6>[0] = {}): { w: World6; seen: Seen[] } {
  const w = new World6(options)
  const seen: Seen[] = []
  w.ip.register(TEST, {
    input: (p: Packet) =>
      void seen.push({
        from: `${p.source}`,
        to: `${p.destination}`,
        body: Buffer.from(p.buf.subarray(p.off, p.end)).toString(),
        ttl: p.ttl,
        tos: p.tos,
        flow: p.flow,
        alert: p.routerAlert,
      }),
    error: () => undefined,
  })
  return { w, seen }
}

const plain = (fields: Partial<Fields6> = {}): Buffer => packet6({ next: TEST, ...fields }, BODY)

describe('the header', () => {
  it('is read whole, and what the link appended is cut off', () => {
    const { w, seen } = host()
    w.arrive6(Buffer.concat([plain({ hops: 9, class: 0xb9, flow: 0xabcde }), Buffer.alloc(7)]))
    expect(seen).toEqual([{ from: THEM, to: 'fd00::2', body: `${BODY}`, ttl: 9, tos: 0xb9, flow: 0xabcde, alert: false }])
    expect(w.counters6()).toEqual({ ip6InReceives: 1, ip6InOctets: 63, ip6InDelivers: 1 })
  })

  it('of another version, or longer than what is there, is dropped', () => {
    const { w, seen } = host()
    const four = plain()
    four[0] = 0x45
    w.arrive6(four)
    w.arrive6(plain({ length: 17 }))
    w.arrive6(plain().subarray(0, 39))
    expect(seen).toEqual([])
    expect(w.counters6()).toMatchObject({ ip6DropVersion: 1, ip6InHdrErrors: 1, ip6InTruncatedPkts: 2 })
  })

  it('gives link-local addresses the zone of their interface', () => {
    const { w, seen } = host()
    w.arrive6(plain({ from: 'fe80::1', to: 'fe80::2' }))
    expect(seen[0]).toMatchObject({ from: 'fe80::1%1', to: 'fe80::2%1' })
  })
})

describe('addresses that no packet on a wire has', () => {
  it.each([
    ['a group as source', { from: 'ff02::1' }, 'ip6DropBadSource'],
    ['the loopback as source', { from: '::1' }, 'ip6DropBadSource'],
    ['the loopback as destination', { to: '::1' }, 'ip6DropBadDestination'],
    ['nobody as source, to one host', { from: '::' }, 'ip6DropBadSource'],
    ['nobody as destination', { to: '::' }, 'ip6DropBadDestination'],
    ['IPv4 in disguise as source', { from: '::ffff:10.0.0.1' }, 'ip6DropBadSource'],
    ['IPv4 in disguise as destination', { to: '::ffff:10.0.0.2' }, 'ip6DropBadDestination'],
    ['our own source', { from: 'fd00::2' }, 'ip6DropOwnSource'],
    ['a reserved scope', { to: 'ff00::1' }, 'ip6DropScope'],
    ['an interface-local group', { to: 'ff01::1' }, 'ip6DropScope'],
    ['another host', { to: 'fd00::3' }, 'ip6DropNotForUs'],
  ])('%s', (_, fields, reason) => {
    const { w, seen } = host()
    w.arrive6(plain(fields))
    expect(seen).toEqual([])
    expect(w.link.sent).toEqual([])
    expect(w.counters6()).toMatchObject({ [reason]: 1, ip6InAddrErrors: 1 })
  })

  it('but nobody may ask a group, and a neighbour may say that it has our address', () => {
    const { w, seen } = host()
    w.arrive6(plain({ from: '::', to: 'ff02::1' }), 0, Cast.MULTICAST)
    expect(seen.length).toBe(1)
    w.arrive6(packet6({ next: 58, hops: 255, from: 'fd00::2', to: 'ff02::1' }, Buffer.alloc(24)), 0, Cast.MULTICAST)
    expect(w.counters6()).toMatchObject({ icmp6InMsgs: 1 })
  })

  it('groups that nobody joined, and our address in a broadcast frame', () => {
    const { w, seen } = host()
    w.arrive6(plain({ to: 'ff02::9' }), 0, Cast.MULTICAST)
    w.arrive6(plain(), 0, Cast.BROADCAST)
    expect(seen).toEqual([])
    expect(w.counters6()).toMatchObject({ ip6DropUnknownGroup: 1, ip6DropLinkBroadcast: 1, ip6InDiscards: 2 })
  })
})

describe('packets for others', () => {
  it('go to the forwarder, if their addresses may leave their links', () => {
    const { w } = host()
    const forwarded: string[] = []
    w.iface.forwarding6 = true
    w.ipv6.forward = { forward: (p) => void forwarded.push(`${p.source} > ${p.destination}, alert ${p.routerAlert}`) }
    w.arrive6(plain({ to: '2001:db8::1' }))
    w.arrive6(packet6({ next: 0, to: '2001:db8::2' }, Buffer.concat([extension(TEST, [5, 2, 0, 0, 1, 0]), BODY])))
    w.arrive6(plain({ to: '2001:db8::3' }), 0, Cast.MULTICAST)
    w.arrive6(plain({ to: 'fe80::77' }))
    expect(forwarded).toEqual([`${THEM} > 2001:db8::1, alert false`, `${THEM} > 2001:db8::2, alert true`])
    expect(w.link.sent).toEqual([])
    w.arrive6(plain({ to: '2001:db8::1', from: 'fe80::1' }))
    expect(w.read()).toMatchObject([{ to: 'fe80::1', from: 'fe80::2' }])
    expect(w.counters6()).toMatchObject({ ip6DropNotForUs: 2, ip6DropBeyondScope: 1, icmp6OutDestUnreachs: 1 })
  })
})

/** An extension header chain before the body; `next` of each is the type of the one that follows. */
function chained(headers: [number, number[]][], fields: Partial<Fields6> = {}): Buffer {
  const parts = headers.map(([, body], i) => extension(headers[i + 1]?.[0] ?? TEST, body))
  return packet6({ next: headers[0][0], ...fields }, Buffer.concat([...parts, BODY]))
}

const HBH = 0
const ROUTING = 43
const DESTINATION = 60
const PAD = [1, 4, 0, 0, 0, 0]

/** Type, code and pointer of the parameter problems that were sent. */
function problems(w: World6): number[][] {
  return w.read().map((r) => [r.payload[0], r.payload[1], r.payload.readUInt32BE(4)])
}

describe('extension headers', () => {
  it('are walked in the order in which they stand, any number of times', () => {
    const { w, seen } = host()
    w.arrive6(
      chained([
        [HBH, PAD],
        [DESTINATION, PAD],
        [ROUTING, [77, 0, 0, 0, 0, 0]],
        [DESTINATION, [0x1e, 4, 1, 2, 3, 4]],
      ]),
    )
    expect(seen.map((s) => s.body)).toEqual([`${BODY}`])
  })

  it('carry the router alert (RFC 2711), in hop-by-hop options only', () => {
    const { w, seen } = host()
    w.arrive6(chained([[HBH, [5, 2, 0, 0, 1, 0]]]))
    w.arrive6(chained([[HBH, [5, 1, 0, 0, 0, 0]]]))
    w.arrive6(chained([[DESTINATION, [5, 2, 0, 0, 1, 0]]]))
    expect(seen.map((s) => s.alert)).toEqual([true, false, false])
  })

  it.each([
    ['skip', 0x1e, false, []],
    ['discard', 0x5e, true, []],
    ['discard and tell', 0x9e, true, [[4, 2, 44]]],
    ['discard and tell but groups', 0xde, true, [[4, 2, 44]]],
  ])('obey the highest bits of unknown options: %s', (_, type, dropped, told) => {
    for (const header of [HBH, DESTINATION]) {
      const { w, seen } = host()
      w.arrive6(chained([[header, [0, 0, type, 0, 0, 0]]]))
      expect(seen.length).toBe(dropped ? 0 : 1)
      expect(problems(w)).toEqual(told)
      expect(w.counters6().ip6DropOption ?? 0).toBe(dropped ? 1 : 0)
    }
  })

  it('tell senders to groups of one kind of unknown options only', () => {
    const { w } = host()
    for (const type of [0x9e, 0xde])
      w.arrive6(chained([[DESTINATION, [type, 4, 0, 0, 0, 0]]], { to: 'ff02::1', from: 'fe80::1' }), 0, Cast.MULTICAST)
    expect(problems(w)).toEqual([[4, 2, 42]])
  })

  it('a next header that nobody knows is pointed at (RFC 8200 section 4)', () => {
    const { w } = host()
    w.arrive6(packet6({ next: 99 }, BODY))
    w.arrive6(packet6({ next: DESTINATION }, Buffer.concat([extension(50, PAD), BODY])))
    expect(problems(w)).toEqual([
      [4, 1, 6],
      [4, 1, 40],
    ])
    expect(w.counters6()).toMatchObject({ ip6InUnknownProtos: 2 })
  })

  it('hop-by-hop options anywhere but first are such', () => {
    const { w, seen } = host()
    w.arrive6(
      chained([
        [DESTINATION, PAD],
        [HBH, PAD],
      ]),
    )
    w.arrive6(
      chained([
        [HBH, PAD],
        [HBH, PAD],
      ]),
    )
    expect(seen).toEqual([])
    expect(problems(w)).toEqual([
      [4, 1, 40],
      [4, 1, 40],
    ])
  })

  it('routes with segments left are refused, type 0 like all others (RFC 5095)', () => {
    const { w, seen } = host()
    w.arrive6(chained([[ROUTING, [0, 1, ...new Array<number>(20).fill(0)]]]))
    w.arrive6(
      chained([
        [DESTINATION, PAD],
        [ROUTING, [4, 3, 0, 0, 0, 0]],
      ]),
    )
    expect(problems(w)).toEqual([
      [4, 0, 42],
      [4, 0, 50],
    ])
    w.arrive6(chained([[ROUTING, [0, 0, ...new Array<number>(20).fill(0)]]]))
    expect(seen.length).toBe(1)
  })

  it('that end beyond the packet are pointed at, or just dropped where nothing is left to point at', () => {
    const { w, seen } = host()
    const long = chained([[DESTINATION, PAD]])
    long[41] = 9
    w.arrive6(long)
    const option = chained([[DESTINATION, [0x1e, 5, 0, 0, 0, 0]]])
    w.arrive6(option)
    w.arrive6(chained([[DESTINATION, [0, 0, 0, 0, 0, 0x1e]]]))
    w.arrive6(packet6({ next: DESTINATION }, Buffer.alloc(7)))
    expect(seen).toEqual([])
    expect(problems(w)).toEqual([
      [4, 0, 41],
      [4, 0, 43],
      [4, 0, 47],
    ])
    expect(w.counters6()).toMatchObject({ ip6DropHeaderLength: 4 })
  })

  it('no next header: the rest is ignored (RFC 8200 section 4.7)', () => {
    const { w } = host()
    w.arrive6(packet6({ next: 59 }, BODY))
    expect(w.link.sent).toEqual([])
    expect(w.counters6()).toMatchObject({ ip6DropNoNextHeader: 1 })
  })

  it('jumbograms are refused (RFC 2675)', () => {
    const { w } = host()
    w.arrive6(chained([[HBH, [0xc2, 4, 0, 1, 0, 0]]], { length: 0 }))
    w.arrive6(chained([[HBH, [0xc2, 4, 0, 1, 0, 0]]]))
    expect(problems(w)).toEqual([
      [4, 0, 4],
      [4, 2, 42],
    ])
  })

  it('have limits: headers, options, padding (RFC 8504 section 5.3)', () => {
    const { w, seen } = host()
    const eight = new Array<[number, number[]]>(8).fill([DESTINATION, PAD])
    const options = (n: number): number[] => new Array<number[]>(n).fill([0x1e, 0]).flat()
    w.arrive6(chained(eight))
    w.arrive6(chained([[DESTINATION, [...options(8), 0, 0, 0, 0, 0, 0]]]))
    w.arrive6(chained([[DESTINATION, [0, 0, 0x1e, 0, 0, 0]]]))
    expect(seen.length).toBe(3)
    w.arrive6(chained([...eight, [DESTINATION, PAD]]))
    w.arrive6(chained([[DESTINATION, [...options(9), 0, 0, 0, 0]]]))
    w.arrive6(chained([[DESTINATION, new Array<number>(14).fill(0)]]))
    w.arrive6(chained([[DESTINATION, [1, 12, ...new Array<number>(12).fill(0)]]]))
    w.arrive6(chained([[DESTINATION, [1, 4, 0, 0, 9, 0]]]))
    expect(seen.length).toBe(3)
    expect(w.link.sent).toEqual([])
    expect(w.counters6()).toMatchObject({ ip6DropManyHeaders: 1, ip6DropManyOptions: 1, ip6DropPadding: 3 })
  })
})

describe('a group that is joined', () => {
  it('is heard', () => {
    const { w, seen } = host()
    w.iface.groups.join(address('ff05::42'))
    w.arrive6(plain({ to: 'ff05::42' }), 0, Cast.MULTICAST)
    expect(seen.length).toBe(1)
    expect(w.counters6()).toMatchObject({ ip6InMcastPkts: 1 })
  })
})

describe('UDP', () => {
  it('without a checksum is refused: IPv6 has none that would make up for it (RFC 8200 section 8.1)', () => {
    const w = new World6()
    const datagram = udp6(1000, 2000, BODY)
    w.arrive6(packet6({ next: 17 }, datagram))
    datagram.writeUInt16BE(0, 6)
    w.arrive6(packet6({ next: 17 }, datagram))
    expect(w.udp.counters.snapshot(true)).toMatchObject({ udpNoPorts: 1, udpInErrors: 1 })
  })
})
