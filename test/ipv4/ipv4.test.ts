import { describe, expect, test } from 'vitest'
import { address, prefix } from '../../src/base/address.ts'
import type { NetError } from '../../src/base/errors.ts'
import { Cast } from '../../src/ethernet/ethernet.ts'
import { addAddress, removeAddress } from '../../src/ip/addresses.ts'
import { Interface } from '../../src/ip/interface.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { To } from '../../src/ip/packet.ts'
import { Route } from '../../src/ip/route.ts'
import { PAYLOAD_AT } from '../../src/netif/frame.ts'
import { CSUM_PARTIAL, frameMeta, GSO_TCP4, Offload } from '../../src/netif/netif.ts'
import { FakeLink, type HeaderFields, icmpOf, packetOf, readIp, World, type WorldOptions } from '../support/ip-world.ts'

/** A protocol that nobody else speaks, to see what arrives. */
const PROTO_TEST = 253

class Listener {
  readonly packets: { source: string; to: number; text: string; ttl: number; tos: number; meta: number; reassembled: boolean }[] =
    []

  input(p: Packet): void {
    this.packets.push({
      source: p.source.toString(),
      to: p.to,
      text: Buffer.from(p.buf.subarray(p.off, p.end)).toString(),
      ttl: p.ttl,
      tos: p.tos,
      meta: p.meta,
      reassembled: p.reassembled,
    })
  }

  error(): void {}
}

function listening(options: WorldOptions = {}): { w: World; heard: Listener } {
  const w = new World(options)
  const heard = new Listener()
  w.ip.register(PROTO_TEST, heard)
  return { w, heard }
}

function test253(fields: Partial<HeaderFields> = {}, text = 'payload'): Buffer {
  return packetOf({ source: '10.0.0.1', destination: '10.0.0.2', protocol: PROTO_TEST, ...fields }, Buffer.from(text))
}

/** Puts a payload into the frame and sends it as `protocol`. */
function output(
  w: World,
  bytes: Uint8Array,
  { protocol = PROTO_TEST, df = false, meta = 0, to = '10.0.0.1', tos = 0, ttl = 0 } = {},
): boolean {
  const route = new Route()
  expect(w.ip.route(address(to), address('0.0.0.0'), null, route)).toBe(null)
  const frame = w.frame.reset()
  frame.buf.set(bytes, PAYLOAD_AT)
  frame.end = PAYLOAD_AT + bytes.length
  frame.meta = meta
  return w.ipv4.output(frame, route, protocol, tos, ttl, df)
}

function set8(at: number, value: number): (p: Buffer) => Buffer {
  return (p) => {
    p.writeUInt8(value, at)
    return p
  }
}

function set16(at: number, value: (p: Buffer) => number): (p: Buffer) => Buffer {
  return (p) => {
    p.writeUInt16BE(value(p), at)
    return p
  }
}

describe('input', () => {
  test('delivers what is for us, with padding cut off', () => {
    const { w, heard } = listening()
    w.arrive(Buffer.concat([test253({ tos: 0x2e, ttl: 3 }), Buffer.alloc(20, 0xff)]), CSUM_PARTIAL)
    expect(heard.packets).toEqual([
      { source: '10.0.0.1', to: To.HOST, text: 'payload', ttl: 3, tos: 0x2e, meta: CSUM_PARTIAL, reassembled: false },
    ])
    expect(w.counters()).toEqual({ ipInReceives: 1, ipInOctets: 47, ipInDelivers: 1 })
  })

  test('a time to live of 1 or 0 is no reason to drop what has arrived (RFC 1122 section 3.2.1.7)', () => {
    for (const ttl of [0, 1]) {
      const { w, heard } = listening()
      w.arrive(test253({ ttl }))
      expect(heard.packets.map((p) => p.ttl)).toEqual([ttl])
    }
  })

  test('every broken header has a counter of its own, and no answer', () => {
    const broken: [string, (p: Buffer) => Buffer][] = [
      ['ipInTruncatedPkts', (p) => p.subarray(0, 19)],
      ['ipDropVersion', set8(0, 0x65)],
      ['ipDropHeaderLength', set8(0, 0x44)],
      ['ipDropHeaderLength', set8(0, 0x4f)],
      ['ipDropTotalLength', set16(2, () => 19)],
      ['ipInTruncatedPkts', set16(2, (p) => p.length + 1)],
      ['ipDropChecksum', set8(8, 63)],
    ]
    for (const [counter, breakIt] of broken) {
      const { w, heard } = listening()
      w.arrive(breakIt(test253()))
      expect(heard.packets).toEqual([])
      expect(w.link.sent).toEqual([])
      expect(w.counters()).toMatchObject({ [counter]: 1, ipInReceives: 1 })
    }
  })

  test('sources that cannot be', () => {
    const bad: [string, string][] = [
      ['127.0.0.1', 'ipDropBadSource'],
      ['0.0.0.0', 'ipDropBadSource'],
      ['0.1.2.3', 'ipDropBadSource'],
      ['224.0.0.1', 'ipDropBadSource'],
      ['255.255.255.255', 'ipDropBadSource'],
      ['10.0.0.255', 'ipDropBadSource'],
      ['10.0.0.2', 'ipDropOwnSource'],
    ]
    for (const [source, counter] of bad) {
      const { w, heard } = listening()
      w.arrive(test253({ source }))
      expect([heard.packets.length, w.link.sent.length]).toEqual([0, 0])
      expect(w.counters()).toMatchObject({ [counter]: 1, ipInAddrErrors: 1 })
    }
    const { w, heard } = listening()
    w.arrive(test253({ source: '240.0.0.1' }))
    expect(heard.packets.length).toBe(1)
  })

  test('0.0.0.0 may broadcast by UDP: it is looking for its address', () => {
    const w = new World()
    const s = w.udp.open()
    s.bind('0.0.0.0', 67)
    const datagram = Buffer.from([0, 68, 0, 67, 0, 9, 0, 0, 1])
    w.arrive(packetOf({ source: '0.0.0.0', destination: '255.255.255.255', protocol: 17 }, datagram), 0, Cast.BROADCAST)
    expect(s.readable).toBe(1)
    w.arrive(packetOf({ source: '0.0.0.0', destination: '10.0.0.2', protocol: 17 }, datagram))
    expect(s.readable).toBe(1)
  })

  test('destinations: ours, broadcast in all forms, groups we are in, nothing else', () => {
    const kinds: [string, number, number | null][] = [
      ['10.0.0.2', Cast.UNICAST, To.HOST],
      ['10.0.0.255', Cast.BROADCAST, To.BROADCAST],
      ['255.255.255.255', Cast.BROADCAST, To.BROADCAST],
      ['0.0.0.0', Cast.BROADCAST, To.BROADCAST],
      ['10.0.0.0', Cast.BROADCAST, To.BROADCAST],
      ['224.0.0.1', Cast.MULTICAST, To.MULTICAST],
      ['224.0.0.251', Cast.MULTICAST, null],
      ['10.0.0.3', Cast.UNICAST, null],
      ['127.0.0.1', Cast.UNICAST, null],
      ['10.0.0.2', Cast.BROADCAST, null],
    ]
    for (const [destination, cast, to] of kinds) {
      const { w, heard } = listening()
      w.arrive(test253({ destination }), 0, cast)
      expect([destination, heard.packets.map((p) => p.to)]).toEqual([destination, to === null ? [] : [to]])
      expect(w.link.sent).toEqual([])
    }
  })

  test('packets for others go to the forwarder, unless they were broadcast on the link', () => {
    const { w } = listening()
    const forwarded: string[] = []
    w.ipv4.forward = { forward: (p) => void forwarded.push(p.destination.toString()) }
    w.arrive(test253({ destination: '192.0.2.1' }))
    w.arrive(test253({ destination: '192.0.2.1' }), 0, Cast.BROADCAST)
    w.arrive(test253({ destination: '192.0.2.1', options: Uint8Array.of(131, 3, 4, 0) }))
    expect(forwarded).toEqual(['192.0.2.1'])
    expect(w.counters()).toMatchObject({ ipInForwDatagrams: 1, ipDropNotForUs: 1, ipDropSourceRoute: 1 })
  })

  test('an unknown protocol is answered with protocol unreachable', () => {
    const w = new World()
    w.arrive(test253())
    const ip = readIp(w.link.take()[0].bytes)
    expect([...ip.payload.subarray(0, 2)]).toEqual([3, 2])
    expect(ip.payload.subarray(8)).toEqual(test253())
    expect(w.counters()).toMatchObject({ ipInUnknownProtos: 1 })
  })

  test('options: known ones pass, source routes and malformed ones are refused with the right ICMP', () => {
    const { w, heard } = listening()
    w.arrive(test253({ options: Uint8Array.of(148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0) }))
    w.arrive(test253({ options: Uint8Array.of(136, 4, 0, 9) })) // stream identifier: obsolete, ignored
    expect(heard.packets.map((p) => p.text)).toEqual(['payload', 'payload'])
    w.arrive(test253({ options: Uint8Array.of(131, 7, 4, 10, 0, 0, 9, 0) }))
    w.arrive(test253({ options: Uint8Array.of(1, 7, 7, 3, 0, 0, 0, 0) }))
    const replies = w.link.take().map((s) => [...readIp(s.bytes).payload.subarray(0, 8)])
    expect(replies.map((r) => [r[0], r[1], r[4]])).toEqual([
      [3, 5, 0],
      [12, 0, 23],
    ])
    expect(heard.packets.length).toBe(2)
    expect(w.counters()).toMatchObject({ ipDropSourceRoute: 1, ipDropBadOptions: 1, ipInHdrErrors: 1 })
  })
})

describe('output', () => {
  test('an atomic datagram: DF, identification 0 (RFC 6864)', () => {
    const w = new World()
    output(w, Buffer.from('hello'), { df: true, tos: 0x10, ttl: 7 })
    const ip = readIp(w.link.take()[0].bytes)
    expect(ip).toMatchObject({
      total: 25,
      id: 0,
      flagsFragment: 0x4000,
      ttl: 7,
      tos: 0x10,
      protocol: PROTO_TEST,
      from: '10.0.0.2',
      to: '10.0.0.1',
    })
    expect(ip.payload.toString()).toBe('hello')
  })

  test('others: identifications that do not repeat, and do not follow one another between destinations', () => {
    const w = new World()
    const ids = (to: string): number[] =>
      Array.from({ length: 300 }, () => {
        output(w, Buffer.from('x'), { to })
        return readIp(w.link.take()[0].bytes).id
      })
    const a = ids('10.0.0.1')
    const b = ids('10.0.0.9')
    expect(new Set(a).size).toBe(300)
    expect(((b[0] - a[299]) & 0xffff) < 2).toBe(false)
  })

  test('a refusal leaves the frame as it was', () => {
    const w = new World()
    w.link.room = 0
    const bytes = Buffer.alloc(28, 1)
    expect(output(w, bytes, { protocol: 17, meta: CSUM_PARTIAL })).toBe(false)
    expect([w.frame.start, w.frame.end, w.frame.meta]).toEqual([PAYLOAD_AT, PAYLOAD_AT + 28, CSUM_PARTIAL])
    expect(Buffer.from(w.frame.buf.subarray(PAYLOAD_AT, PAYLOAD_AT + 28))).toEqual(bytes)
    expect(output(w, Buffer.alloc(3000, 1), { protocol: 17, meta: CSUM_PARTIAL })).toBe(false)
    expect(Buffer.from(w.frame.buf.subarray(PAYLOAD_AT, PAYLOAD_AT + 3000))).toEqual(Buffer.alloc(3000, 1))
    expect(w.counters()).toEqual({ ipOutBlocked: 2 })
  })

  test('PARTIAL is completed for a link that cannot, and left to one that can', () => {
    const segment = Buffer.alloc(40, 3)
    segment.writeUInt16BE(0x1234, 16)
    const plain = new World()
    output(plain, segment, { protocol: 6, meta: CSUM_PARTIAL })
    const [sent] = plain.link.take()
    expect(sent.meta).toBe(0)
    let sum = 0x1234
    for (let i = 0; i < 40; i += 2) if (i !== 16) sum += segment.readUInt16BE(i)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    expect(readIp(sent.bytes).payload.readUInt16BE(16)).toBe(~sum & 0xffff)

    const able = new World({ offload: Offload.TX_CHECKSUM })
    output(able, segment, { protocol: 6, meta: CSUM_PARTIAL })
    const [as] = able.link.take()
    expect([as.meta, readIp(as.bytes).payload.readUInt16BE(16)]).toEqual([CSUM_PARTIAL, 0x1234])
  })

  test('a super-segment passes whole, up to what the link takes', () => {
    const w = new World({ offload: Offload.TX_CHECKSUM | Offload.TSO4, gsoMax: 30000 })
    const meta = frameMeta(CSUM_PARTIAL, GSO_TCP4, 1460)
    output(w, Buffer.alloc(29000), { protocol: 6, meta, df: true })
    const [sent] = w.link.take()
    expect([sent.meta, readIp(sent.bytes).total]).toEqual([meta, 29020])
    expect(output(w, Buffer.alloc(30000), { protocol: 6, meta, df: true })).toBe(true)
    expect(w.link.sent).toEqual([])
    expect(w.counters()).toMatchObject({ ipOutDropGso: 1, ipOutDiscards: 1 })
  })

  test('too large with DF is dropped and counted', () => {
    const w = new World()
    expect(output(w, Buffer.alloc(1481), { df: true })).toBe(true)
    expect(w.link.sent).toEqual([])
    expect(w.counters()).toEqual({ ipFragFails: 1, ipOutDiscards: 1, ipOutDropTooBig: 1 })
    output(w, Buffer.alloc(1480), { df: true })
    expect(w.link.take().length).toBe(1)
  })
})

describe('addresses', () => {
  test('bring their connected route and take it with them', () => {
    const w = new World({ addresses: [] })
    const generation = w.ip.generation
    const own = addAddress(w.ip, w.iface, prefix('192.168.1.5/24'))
    expect(own.broadcast?.toString()).toBe('192.168.1.255')
    expect(w.ip.routes.entries.map((e) => `${e.prefix} ${e.source} ${e.origin}`)).toEqual([
      '192.168.1.0/24 192.168.1.5 connected',
    ])
    expect(w.ip.generation).not.toBe(generation)
    addAddress(w.ip, w.iface, prefix('192.168.1.6/24'))
    addAddress(w.ip, w.iface, prefix('10.9.9.9/32'))
    expect(w.ip.routes.entries.length).toBe(2)
    expect(removeAddress(w.ip, w.iface, address('192.168.1.5'))).toBe(true)
    expect(w.ip.routes.entries.map((e) => `${e.source}`)).toEqual(['192.168.1.6'])
    expect(removeAddress(w.ip, w.iface, address('192.168.1.5'))).toBe(false)
  })

  test('refuse what is not a host', () => {
    const w = new World({ addresses: [] })
    const code = (text: string): string => {
      try {
        addAddress(w.ip, w.iface, prefix(text))
      } catch (error) {
        return (error as NetError).code
      }
      return ''
    }
    for (const text of ['0.0.0.0/8', '224.0.0.1/32', '255.255.255.255/32', '10.0.0.255/24', '10.0.0.0/24']) {
      expect(code(text)).toBe('ERR_INVALID_ARG_VALUE')
    }
    expect(code('10.0.0.1/31')).toBe('')
    expect(code('10.0.0.1/31')).toBe('EEXIST')
  })

  test('a packet for the address of another interface is ours (weak host model), loopback excepted', () => {
    const { w, heard } = listening()
    const other = new Interface(2, 'eth1', new FakeLink('ip', 1500, 0, 0), null)
    w.ip.interfaces.push(other)
    addAddress(w.ip, other, prefix('172.16.0.1/16'))
    w.arrive(test253({ destination: '172.16.0.1' }))
    expect(heard.packets.length).toBe(1)
  })
})

describe('an interface that goes away', () => {
  test('takes its fragments with it, in and out', () => {
    const { w } = listening()
    w.arrive(test253({ flagsFragment: 0x2000 }, 'x'.repeat(8)))
    w.link.room = 1
    output(w, Buffer.alloc(5000))
    expect(w.pool.inUse).toBeGreaterThan(0)
    w.ipv4.dropInterface(w.iface)
    expect(w.pool.inUse).toBe(0)
    w.advance(60_000)
    expect(w.link.take().length).toBe(1) // no time exceeded
  })
})

test('the loopback may do what a wire may not', () => {
  const { w, heard } = listening()
  const lo = new Interface(9, 'lo', new FakeLink('ip', 65535, 31, 65535), null, true)
  w.ip.interfaces.push(lo)
  w.ip.loopback = lo
  addAddress(w.ip, lo, prefix('127.0.0.1/8'))
  const bytes = test253({ source: '127.0.0.1', destination: '127.0.0.1' })
  w.ipv4.port(lo).etherInput(bytes, 0, bytes.length, 0, Cast.UNICAST, -1)
  const self = test253({ source: '10.0.0.2', destination: '10.0.0.2' })
  w.ipv4.port(lo).etherInput(self, 0, self.length, 0, Cast.UNICAST, -1)
  expect(heard.packets.map((p) => p.source)).toEqual(['127.0.0.1', '10.0.0.2'])
  const echo = packetOf({ source: '127.0.0.1', destination: '127.0.0.1', protocol: 1 }, icmpOf(8, 0, [0, 1, 0, 1]))
  w.ipv4.port(lo).etherInput(echo, 0, echo.length, 0, Cast.UNICAST, -1)
  expect((lo.netif as FakeLink).sent.length).toBe(1)
})
