import { describe, expect, test } from 'vitest'
import { address, prefix } from '../../src/base/address.ts'
import { Cast } from '../../src/ethernet/ethernet.ts'
import { icmpEcho } from '../../src/icmp/wire.ts'
import { Interface } from '../../src/ip/interface.ts'
import { ErrorKind, type ErrorReport } from '../../src/ip/ip.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { CSUM_VALID } from '../../src/netif/netif.ts'
import {
  etherOf,
  FakeLink,
  type HeaderFields,
  icmpOf,
  naiveChecksum,
  OUR_MAC,
  PEER_MAC,
  packetOf,
  readIp,
  udpOf,
  World,
} from '../support/ip-world.ts'

const BROADCAST_MAC = new Uint8Array(6).fill(255)

function icmp(type: number, code: number, rest: number[] | Uint8Array, fields: Partial<HeaderFields> = {}): Buffer {
  return packetOf({ source: '10.0.0.1', destination: '10.0.0.2', protocol: 1, ...fields }, icmpOf(type, code, rest))
}

function echo(fields: Partial<HeaderFields> = {}, size = 56): Buffer {
  return icmp(8, 0, [0x12, 0x34, 0, 7, ...Buffer.alloc(size, 0xab)], fields)
}

/** The one packet that was sent, read and checked. */
function only(w: World): ReturnType<typeof readIp> {
  const sent = w.link.take()
  expect(sent.length).toBe(1)
  return readIp(sent[0].bytes)
}

describe('echo', () => {
  test('the same data back, from the address that was asked', () => {
    const w = new World({ addresses: ['10.0.0.2/24', '10.0.0.3/24'] })
    w.arrive(echo({ destination: '10.0.0.3', tos: 0x2b, ttl: 3 }))
    const ip = only(w)
    expect(ip).toMatchObject({ from: '10.0.0.3', to: '10.0.0.1', protocol: 1, ttl: 64, tos: 0x28, total: 84 })
    expect(icmpEcho.decode(ip.payload)).toMatchObject({ type: 0, code: 0, identifier: 0x1234, sequence: 7 })
    expect(ip.payload.subarray(8).equals(Buffer.alloc(56, 0xab))).toBe(true)
    expect(naiveChecksum(ip.payload)).toBe(0)
    expect(w.counters()).toMatchObject({ icmpInEchos: 1, icmpOutEchoReps: 1, icmpInMsgs: 1, icmpOutMsgs: 1 })
  })

  test('every payload length and content keeps a right checksum', () => {
    const w = new World()
    for (let size = 0; size < 70; size++) {
      for (const fill of [0, 0xff, size]) {
        w.arrive(icmp(8, fill & 1, [0, 0, 0, 0, ...Buffer.alloc(size, fill)]))
        expect(naiveChecksum(only(w).payload)).toBe(0)
      }
    }
  })

  test('bad checksums and short messages are dropped; vouched ones are not looked at', () => {
    const w = new World()
    const bad = echo()
    bad[40] ^= 1
    w.arrive(bad)
    w.arrive(packetOf({ source: '10.0.0.1', destination: '10.0.0.2', protocol: 1 }, Buffer.alloc(7)))
    expect(w.link.sent).toEqual([])
    expect(w.counters()).toMatchObject({ icmpInCsumErrors: 1, icmpDropTooShort: 1, icmpInErrors: 2 })
    w.arrive(bad, CSUM_VALID)
    expect(w.link.take().length).toBe(1)
  })

  test('65,507 bytes, in fragments both ways', () => {
    const w = new World()
    const message = icmpOf(8, 0, Buffer.alloc(65511, 0x5a))
    for (let at = 0; at < message.length; at += 1480) {
      const more = at + 1480 < message.length ? 0x2000 : 0
      w.arrive(
        packetOf(
          { source: '10.0.0.1', destination: '10.0.0.2', protocol: 1, flagsFragment: more | (at >> 3) },
          message.subarray(at, at + 1480),
        ),
      )
    }
    const parts = w.link.take().map((s) => readIp(s.bytes))
    const whole = Buffer.concat(parts.map((p) => p.payload))
    expect(whole.length).toBe(65515)
    expect(naiveChecksum(whole)).toBe(0)
    expect(whole.subarray(8).equals(message.subarray(8))).toBe(true)
  })

  test('broadcasts and groups are answered only when asked to', () => {
    const quiet = new World()
    for (const destination of ['10.0.0.255', '255.255.255.255', '224.0.0.1'])
      quiet.arrive(echo({ destination }), 0, Cast.BROADCAST)
    expect(quiet.link.sent).toEqual([])
    expect(quiet.counters()).toMatchObject({ icmpDropBroadcastEcho: 3 })
    const loud = new World({ config: { icmp: { echoBroadcast: true } } })
    loud.arrive(echo({ destination: '10.0.0.255' }), 0, Cast.BROADCAST)
    expect(only(loud)).toMatchObject({ from: '10.0.0.2', to: '10.0.0.1' })
    loud.arrive(echo({ destination: '255.255.255.255', source: '0.0.0.0' }), 0, Cast.BROADCAST)
    expect(loud.link.sent).toEqual([])
  })

  test('record route and timestamp come back continued (RFC 1122 3.2.2.6)', () => {
    const w = new World()
    w.arrive(echo({ options: Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0) }))
    const [{ bytes }] = w.link.take()
    expect(readIp(bytes).header).toBe(32)
    expect([...bytes.subarray(20, 32)]).toEqual([7, 11, 8, 10, 0, 0, 2, 0, 0, 0, 0, 0])
    w.arrive(echo({ options: Uint8Array.of(68, 8, 5, 0, 0, 0, 0, 0) }))
    const stamped = w.link.take()[0].bytes
    readIp(stamped)
    expect(stamped.readUInt32BE(24)).toBe(0x80000000 + w.clock.nowMs)
  })

  test('a link that is full loses the reply, and counts it', () => {
    const w = new World()
    w.link.room = 0
    w.arrive(echo())
    expect(w.counters()).toMatchObject({ icmpOutDropBlocked: 1, ipOutBlocked: 1 })
  })

  test('someone whom no route leads to', () => {
    const w = new World()
    w.arrive(echo({ source: '192.0.2.1' }))
    expect(w.link.sent).toEqual([])
    expect(w.counters()).toMatchObject({ icmpOutDropNoRoute: 1 })
  })
})

describe('arping <MAC>', () => {
  function asked(w: World, to: Uint8Array, fields: Partial<HeaderFields>): Buffer[] {
    w.arrive(
      etherOf(to, PEER_MAC, icmp(8, 0, [1, 2, 0, 0, ...Buffer.alloc(20, 3)], { destination: '255.255.255.255', ...fields })),
    )
    return w.link.take().map((s) => s.bytes)
  }

  test('a unicast frame to everybody is answered from our address, to the card that asked', () => {
    for (const destination of ['255.255.255.255', '10.0.0.255']) {
      const w = new World({ medium: 'ethernet' })
      const [frame] = asked(w, OUR_MAC, { destination })
      expect(frame.subarray(0, 6).equals(Buffer.from(PEER_MAC))).toBe(true)
      expect(frame.subarray(6, 12).equals(Buffer.from(OUR_MAC))).toBe(true)
      const ip = readIp(frame.subarray(14))
      expect(ip).toMatchObject({ from: '10.0.0.2', to: '10.0.0.1', total: 48 })
      expect([ip.payload[0], naiveChecksum(ip.payload)]).toEqual([0, 0])
      expect(ip.payload.subarray(8).equals(Buffer.alloc(20, 3))).toBe(true)
    }
  })

  test('also by one who has no address, and by us who have none', () => {
    const w = new World({ medium: 'ethernet' })
    const [frame] = asked(w, OUR_MAC, { source: '0.0.0.0' })
    expect(readIp(frame.subarray(14))).toMatchObject({ from: '10.0.0.2', to: '255.255.255.255' })
    const bare = new World({ medium: 'ethernet', addresses: [] })
    const [swapped] = asked(bare, OUR_MAC, {})
    expect(readIp(swapped.subarray(14))).toMatchObject({ from: '255.255.255.255', to: '10.0.0.1' })
  })

  test('with the time to live of the stack', () => {
    const [frame] = asked(new World({ medium: 'ethernet', config: { ipv4: { ttl: 17 } } }), OUR_MAC, {})
    expect(frame[14 + 8]).toBe(17)
  })

  test('a broadcast frame is not', () => {
    const w = new World({ medium: 'ethernet' })
    expect(asked(w, BROADCAST_MAC, {})).toEqual([])
    expect(w.counters()).toMatchObject({ icmpDropBroadcastEcho: 1 })
  })

  test('nor is a frame whose source is a group: the answer would flood', () => {
    const w = new World({ medium: 'ethernet' })
    w.arrive(etherOf(OUR_MAC, Uint8Array.of(3, 0, 0, 0, 0, 1), echo({ destination: '255.255.255.255' })))
    expect(w.link.sent).toEqual([])
    expect(w.counters()).toMatchObject({ icmpOutDropNever: 1 })
  })
})

test('timestamp: originate kept, ours marked as not standard; broadcasts ignored', () => {
  const w = new World()
  w.arrive(icmp(13, 0, [0, 9, 0, 1, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 99]))
  const { payload } = only(w)
  expect([payload.length, payload[0], naiveChecksum(payload)]).toEqual([20, 14, 0])
  expect([...payload.subarray(4, 12)]).toEqual([0, 9, 0, 1, 1, 2, 3, 4])
  expect(payload.readUInt32BE(12)).toBe(0x80000000 + w.clock.nowMs)
  w.arrive(icmp(13, 0, [0, 9, 0, 1, ...new Array<number>(12).fill(0)], { destination: '10.0.0.255' }), 0, Cast.BROADCAST)
  w.arrive(icmp(13, 0, [0, 9, 0, 1]))
  expect(w.link.sent).toEqual([])
})

test('timestamp: from the address that was asked, with record route and timestamp options continued', () => {
  const w = new World({ addresses: ['10.0.0.2/24', '10.0.0.3/24'] })
  const asked = [0, 9, 0, 1, ...new Array<number>(12).fill(0)]
  w.arrive(icmp(13, 0, asked, { destination: '10.0.0.3' }))
  expect(only(w)).toMatchObject({ from: '10.0.0.3', to: '10.0.0.1', header: 20 })
  w.arrive(icmp(13, 0, asked, { options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) }))
  const [{ bytes }] = w.link.take()
  expect([...bytes.subarray(20, 28)]).toEqual([7, 7, 8, 10, 0, 0, 2, 0])
  w.arrive(icmp(13, 0, asked, { options: Uint8Array.of(68, 8, 5, 0, 0, 0, 0, 0) }))
  expect(w.link.take()[0].bytes.readUInt32BE(24)).toBe(0x80000000 + w.clock.nowMs)
})

test('unknown types, source quench and answers to nobody are dropped in silence', () => {
  const w = new World()
  for (const type of [1, 2, 4, 6, 15, 17, 30, 255]) w.arrive(icmp(type, 0, new Uint8Array(40)))
  w.arrive(icmp(0, 0, [0, 1, 0, 1]))
  w.arrive(icmp(14, 0, new Uint8Array(16)))
  expect(w.link.sent).toEqual([])
  expect(w.counters()).toMatchObject({ icmpDropUnknownType: 7, icmpDropSourceQuench: 1, icmpDropNoPing: 2 })
})

describe('errors that come in', () => {
  class Sender {
    readonly reports: (Partial<ErrorReport> & { text: string })[] = []
    input(_packet: Packet): void {}
    error(r: ErrorReport): void {
      const { kind, type, code, mtu, length, protocol, local, errorCode } = r
      const text = `${r.source} > ${r.destination} by ${r.reporter}: ${Buffer.from(r.quote.subarray(r.off, r.end)).toString('hex')}`
      this.reports.push({ kind, type, code, mtu, length, protocol, local, errorCode, text })
    }
  }

  function world(): { w: World; sender: Sender } {
    const w = new World()
    const sender = new Sender()
    w.ip.register(253, sender)
    return { w, sender }
  }

  const quoted = (fields: Partial<HeaderFields> = {}, payload = Buffer.from('12345678')): Buffer =>
    packetOf({ source: '10.0.0.2', destination: '192.0.2.9', protocol: 253, ...fields }, payload)

  test('reach the protocol that sent the packet, in family-neutral terms', () => {
    const kinds: [number, number, number, string][] = [
      [3, 0, ErrorKind.NET_UNREACHABLE, 'ENETUNREACH'],
      [3, 1, ErrorKind.HOST_UNREACHABLE, 'EHOSTUNREACH'],
      [3, 2, ErrorKind.PROTOCOL_UNREACHABLE, 'ENOPROTOOPT'],
      [3, 3, ErrorKind.PORT_UNREACHABLE, 'ECONNREFUSED'],
      [3, 4, ErrorKind.PACKET_TOO_BIG, 'EMSGSIZE'],
      [3, 5, ErrorKind.SOURCE_ROUTE_FAILED, 'EOPNOTSUPP'],
      [3, 6, ErrorKind.NET_UNREACHABLE, 'ENETUNREACH'],
      [3, 7, ErrorKind.HOST_UNREACHABLE, 'EHOSTUNREACH'],
      [3, 13, ErrorKind.PROHIBITED, 'EHOSTUNREACH'],
      [11, 0, ErrorKind.TIME_EXCEEDED, 'EHOSTUNREACH'],
      [12, 0, ErrorKind.PARAMETER_PROBLEM, 'EPROTO'],
    ]
    for (const [type, code, kind, errorCode] of kinds) {
      const { w, sender } = world()
      w.arrive(icmp(type, code, [0, 0, 5, 0xdc, ...quoted()], { source: '10.0.0.254' }))
      expect(sender.reports).toEqual([
        {
          kind,
          type,
          code,
          mtu: code === 4 ? 1500 : 0,
          length: 28,
          protocol: 253,
          local: false,
          errorCode,
          text: '10.0.0.2 > 192.0.2.9 by 10.0.0.254: 3132333435363738',
        },
      ])
    }
  })

  test('with options in the quote, and with bytes behind it that are no part of it', () => {
    const { w, sender } = world()
    w.arrive(icmp(3, 1, [0, 0, 0, 0, ...quoted({ options: Uint8Array.of(1, 1, 1, 0) }), 99, 99]))
    expect(sender.reports.map((r) => r.text)).toEqual(['10.0.0.2 > 192.0.2.9 by 10.0.0.1: 3132333435363738'])
  })

  test('are dropped when they cannot be about us', () => {
    const dropped: [string, Buffer][] = [
      ['icmpDropNotOurs', icmp(3, 1, [0, 0, 0, 0, ...quoted({ source: '10.0.0.7' })])],
      ['icmpDropNotOurs', icmp(3, 1, [0, 0, 0, 0, ...quoted({ destination: '224.0.0.9' })])],
      ['icmpDropNotOurs', icmp(3, 1, [0, 0, 0, 0, ...quoted({ destination: '255.255.255.255' })])],
      ['icmpDropNotOurs', icmp(3, 1, [0, 0, 0, 0, ...quoted()], { destination: '10.0.0.255' })],
      ['icmpDropQuote', icmp(3, 1, [0, 0, 0, 0, ...quoted().subarray(0, 27)])],
      ['icmpDropQuote', icmp(3, 1, [0, 0, 0, 0])],
      ['icmpDropQuote', icmp(3, 1, [0, 0, 0, 0, ...quoted({ flagsFragment: 5 })])],
      ['icmpDropQuote', icmp(3, 1, [0, 0, 0, 0, 0x65, ...quoted().subarray(1)])],
      ['icmpDropQuote', icmp(3, 1, [0, 0, 0, 0, 0x4f, ...quoted().subarray(1)])],
      ['icmpDropUnknownCode', icmp(3, 16, [0, 0, 0, 0, ...quoted()])],
      ['icmpDropUnknownCode', icmp(11, 2, [0, 0, 0, 0, ...quoted()])],
    ]
    for (const [counter, bytes] of dropped) {
      const { w, sender } = world()
      w.arrive(bytes)
      expect([sender.reports.length, w.link.sent.length]).toEqual([0, 0])
      expect(w.counters()).toMatchObject({ [counter]: 1, icmpInErrors: 1 })
    }
  })
})

describe('errors that go out', () => {
  const knock = (fields: Partial<HeaderFields> = {}): Buffer => {
    const { source = '10.0.0.1', destination = '10.0.0.2' } = fields
    return packetOf({ source, destination, protocol: 17, ...fields }, udpOf(source, destination, 5, 9, Buffer.from('knock')))
  }

  test('quote header and as much as fits 576 bytes, unchanged', () => {
    const w = new World()
    w.arrive(knock())
    const ip = only(w)
    expect([...ip.payload.subarray(0, 8)].filter((_, i) => i < 2 || i > 3)).toEqual([3, 3, 0, 0, 0, 0])
    expect(ip.payload.subarray(8).equals(knock())).toBe(true)
    expect(naiveChecksum(ip.payload)).toBe(0)
    const large = packetOf({ source: '10.0.0.1', destination: '10.0.0.2', protocol: 99 }, Buffer.alloc(1400, 4))
    w.arrive(large)
    const { payload, total } = only(w)
    expect(total).toBe(576)
    expect(payload.subarray(8).equals(large.subarray(0, 548))).toBe(true)
  })

  test('never: about errors, broadcasts, link broadcasts, later fragments, sources that are not one host', () => {
    const silent: [Buffer, number][] = [
      [icmp(3, 9, [0, 0, 0, 0, ...knock()], { options: Uint8Array.of(131, 3, 4, 0) }), Cast.UNICAST],
      [icmp(77, 0, [0, 0, 0, 0], { options: Uint8Array.of(131, 3, 4, 0) }), Cast.UNICAST],
      [packetOf({ source: '10.0.0.1', destination: '10.0.0.255', protocol: 99 }, Buffer.alloc(8)), Cast.BROADCAST],
      [packetOf({ source: '10.0.0.1', destination: '10.0.0.255', protocol: 99 }, Buffer.alloc(8)), Cast.UNICAST],
      [packetOf({ source: '10.0.0.1', destination: '224.0.0.1', protocol: 99 }, Buffer.alloc(8)), Cast.MULTICAST],
      [knock({ options: Uint8Array.of(131, 3, 4, 0), flagsFragment: 1 }), Cast.UNICAST],
      [packetOf({ source: '240.0.0.1', destination: '10.0.0.2', protocol: 99 }, Buffer.alloc(8)), Cast.UNICAST],
    ]
    for (const [bytes, cast] of silent) {
      const w = new World()
      w.arrive(bytes, 0, cast)
      expect(w.link.sent).toEqual([])
      expect(w.counters()).toMatchObject({ icmpOutDropNever: 1 })
    }
    const w = new World()
    w.arrive(echo({ options: Uint8Array.of(131, 3, 4, 0) })) // a question deserves one
    expect([...only(w).payload.subarray(0, 2)]).toEqual([3, 5])
  })

  test('one host draws only so many; others are not held up by him; time brings more', () => {
    const w = new World({ config: { icmp: { errorsPerSecondPerHost: 5, errorsBurst: 1000 } } })
    const draw = (source: string, times: number): number => {
      for (let i = 0; i < times; i++) w.arrive(knock({ source }))
      return w.link.take().length
    }
    expect(draw('10.0.0.1', 100)).toBe(5)
    expect(draw('10.0.0.7', 100)).toBe(5)
    w.advance(400)
    expect(draw('10.0.0.1', 100)).toBe(2)
    w.advance(100_000)
    expect(draw('10.0.0.1', 100)).toBe(5)
    expect(w.counters()).toMatchObject({ icmpOutDropRateHost: 400 - 17, icmpOutDestUnreachs: 17 })
  })

  test('all hosts together draw only so many, on average', () => {
    const w = new World({ config: { icmp: { errorsPerSecond: 100, errorsBurst: 50, errorsPerSecondPerHost: 100 } } })
    let sent = 0
    const seconds = 20
    for (let i = 0; i < seconds * 10; i++) {
      for (let host = 0; host < 100; host++) w.arrive(knock({ source: `10.0.0.${100 + host}` }))
      sent += w.link.take().length
      w.advance(100)
    }
    const expected = 50 + 100 * seconds
    expect(sent).toBeGreaterThan(expected * 0.85)
    expect(sent).toBeLessThan(expected * 1.15)
    expect(w.counters().icmpOutDropRateGlobal).toBeGreaterThan(0)
  })

  test('on the loopback there is no limit', () => {
    const w = new World()
    const link = new FakeLink('ip', 65535, 0, 0)
    const lo = new Interface(9, 'lo', link, null, true)
    w.ip.interfaces.push(lo)
    w.ip.loopback = lo
    const bytes = knock({ source: '127.0.0.1', destination: '127.0.0.1' })
    for (let i = 0; i < 100; i++) w.ipv4.port(lo).etherInput(bytes, 0, bytes.length, 0, Cast.UNICAST, -1)
    expect(link.sent.length).toBe(100)
  })
})

describe('redirects', () => {
  function routed(): World {
    const w = new World()
    w.ip.routes.add({
      prefix: prefix('0.0.0.0/0'),
      gateway: address('10.0.0.1'),
      iface: w.iface,
      metric: 0,
      source: null,
      origin: 'static',
    })
    return w
  }

  function redirect(w: World, gateway: string, fields: Partial<HeaderFields> = {}, destination = '192.0.2.9', code = 1): void {
    const quoted = packetOf({ source: '10.0.0.2', destination, protocol: 17 }, Buffer.alloc(8))
    const word = address(gateway).w3
    w.arrive(icmp(5, code, [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255, ...quoted], fields))
  }

  const gatewayOf = (w: World, to: string): string => `${w.ip.routes.lookup(address(to), null)?.gateway}`

  test('from the gateway in use, to another on the same network: a host route', () => {
    for (const code of [0, 1, 2, 3]) {
      const w = routed()
      const { generation } = w.ip
      redirect(w, '10.0.0.254', {}, '192.0.2.9', code)
      expect([gatewayOf(w, '192.0.2.9'), gatewayOf(w, '192.0.2.10')]).toEqual(['10.0.0.254', '10.0.0.1'])
      expect(w.ip.generation).not.toBe(generation)
    }
  })

  test('anything else is refused', () => {
    const refused: ((w: World) => void)[] = [
      (w) => redirect(w, '10.0.0.254', { source: '10.0.0.9' }), // not our gateway
      (w) => redirect(w, '10.9.9.9'), // not on the network
      (w) => redirect(w, '10.0.0.2'), // ourselves
      (w) => redirect(w, '10.0.0.1'), // what we have
      (w) => redirect(w, '10.0.0.255'),
      (w) => redirect(w, '10.0.0.0'),
      (w) => redirect(w, '10.0.0.254', {}, '10.0.0.77'), // needs no gateway
      (w) => redirect(w, '10.0.0.254', {}, '10.0.0.2'),
      (w) => redirect(w, '10.0.0.254', {}, '127.0.0.1'),
      (w) => {
        w.ipv4.forward = { forward: () => {} } // routers decide for themselves
        redirect(w, '10.0.0.254')
      },
    ]
    for (const send of refused) {
      const w = routed()
      const routes = w.ip.routes.entries.length
      send(w)
      expect(w.ip.routes.entries.length).toBe(routes)
      expect(w.counters()).toMatchObject({ icmpDropRedirect: 1 })
    }
  })

  test('are few, replace one another, and do not live for ever', () => {
    const w = routed()
    const routes = w.ip.routes.entries.length
    for (let i = 0; i < 100; i++) redirect(w, '10.0.0.254', {}, `192.0.2.${i}`)
    expect(w.icmp.redirects.size).toBe(64)
    expect(w.ip.routes.entries.length).toBe(routes + 64)
    redirect(w, '10.0.0.253', { source: '10.0.0.254' }, '192.0.2.99')
    expect(gatewayOf(w, '192.0.2.99')).toBe('10.0.0.253')
    expect(w.icmp.redirects.size).toBe(64)
    w.advance(600_000)
    expect([w.icmp.redirects.size, w.ip.routes.entries.length]).toEqual([0, routes])
  })
})
