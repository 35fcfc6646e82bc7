import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { Route } from '../../src/ip/route.ts'
import { PAYLOAD_AT } from '../../src/netif/frame.ts'
import { CSUM_NONE, CSUM_VALID } from '../../src/netif/netif.ts'
import { naiveChecksum, packetOf, readIp, World, type WorldOptions } from '../support/ip-world.ts'

const PROTO_TEST = 253

class Whole {
  readonly payloads: Buffer[] = []
  readonly tos: number[] = []
  readonly metas: number[] = []
  readonly headers: Buffer[] = []

  input(p: Packet): void {
    this.payloads.push(Buffer.from(p.buf.subarray(p.off, p.end)))
    this.headers.push(Buffer.from(p.buf.subarray(p.start, p.off)))
    this.tos.push(p.tos)
    this.metas.push(p.meta)
  }
  error(): void {}
}

function receiver(options: WorldOptions = {}): { w: World; whole: Whole } {
  const w = new World(options)
  const whole = new Whole()
  w.ip.register(PROTO_TEST, whole)
  return { w, whole }
}

/** One fragment of a datagram from 10.0.0.1. */
function piece(
  from: number,
  bytes: Uint8Array,
  more: boolean,
  fields: { id?: number; tos?: number; source?: string } = {},
): Buffer {
  return packetOf(
    {
      source: '10.0.0.1',
      destination: '10.0.0.2',
      protocol: PROTO_TEST,
      flagsFragment: (more ? 0x2000 : 0) | (from >> 3),
      ...fields,
    },
    bytes,
  )
}

/** Sends `bytes` from a host with this MTU to 10.0.0.2 and returns the fragments. */
function fragmentsOf(bytes: Uint8Array, mtu: number): Buffer[] {
  const w = new World({ mtu, addresses: ['10.0.0.1/24'] })
  const route = new Route()
  w.ip.route(address('10.0.0.2'), address('0.0.0.0'), null, route)
  const frame = w.frame.reset()
  frame.buf.set(bytes, PAYLOAD_AT)
  frame.end = PAYLOAD_AT + bytes.length
  expect(w.ipv4.output(frame, route, PROTO_TEST, 0, 64, false)).toBe(true)
  return w.link.take().map((s) => s.bytes)
}

function bytesOf(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255))
}

describe('fragment and reassemble', () => {
  test('is the identity, in any order, with duplicates, at any MTU', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 68, max: 2000 }), fc.nat(), (length, mtu, seed) => {
        const bytes = bytesOf(length)
        const pieces = fragmentsOf(bytes, mtu)
        for (const p of pieces) expect(p.length).toBeLessThanOrEqual(mtu)
        // Some twice (the copies before the end: a copy that comes after is the start of another datagram), all shuffled.
        let state = seed | 1
        const draw = (n: number): number => {
          state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
          return (state >> 8) % n
        }
        const order = pieces.map((p) => p)
        for (let i = order.length - 1; i > 0; i--) {
          const j = draw(i + 1)
          const t = order[i]
          order[i] = order[j]
          order[j] = t
        }
        const stream: Buffer[] = []
        order.forEach((p, i) => {
          stream.push(p)
          if (i < order.length - 1 && draw(3) === 0) stream.push(order[draw(i + 1)])
        })
        const { w, whole } = receiver()
        for (const p of stream) w.arrive(p)
        expect(whole.payloads.length).toBe(1)
        expect(whole.payloads[0].equals(bytes)).toBe(true)
        expect(w.pool.inUse).toBe(0)
        expect(w.timers.next(w.clock.nowMs)).toBe(-1)
        const { ipReasmOKs = 0, ipReasmDropDuplicate = 0 } = w.counters()
        expect([ipReasmOKs, ipReasmDropDuplicate]).toEqual(pieces.length > 1 ? [1, stream.length - order.length] : [0, 0])
      }),
      { numRuns: 150 },
    )
  })

  test('the largest datagram, 65,535 bytes with its header, first to last and last to first', () => {
    const bytes = bytesOf(65515)
    const pieces = fragmentsOf(bytes, 1500)
    expect(pieces.length).toBe(45)
    for (const order of [pieces, pieces.slice().reverse()]) {
      const { w, whole } = receiver()
      for (const p of order) w.arrive(p)
      expect(whole.payloads[0].equals(bytes)).toBe(true)
    }
  })

  test('fragments share identification, protocol, TTL; offsets are multiples of eight; only the last lacks MF', () => {
    const pieces = fragmentsOf(bytesOf(4000), 1500).map(readIp)
    expect(pieces.map((p) => p.flagsFragment)).toEqual([0x2000, 0x2000 | 185, 370])
    expect(new Set(pieces.map((p) => p.id)).size).toBe(1)
    expect(pieces.every((p) => p.ttl === 64 && p.protocol === PROTO_TEST)).toBe(true)
  })

  test('the header of the whole is right: it may be quoted', () => {
    const { w, whole } = receiver()
    for (const p of fragmentsOf(bytesOf(3000), 1500)) w.arrive(p)
    const [header] = whole.headers
    expect(naiveChecksum(header)).toBe(0)
    expect([header.readUInt16BE(2), header.readUInt16BE(6)]).toEqual([3020, 0])
  })

  test('two datagrams at once, told apart by every part of the key', () => {
    const { w, whole } = receiver()
    const a = bytesOf(8)
    const b = Buffer.alloc(8, 9)
    w.arrive(piece(0, a, true, { id: 1 }))
    w.arrive(piece(8, b, false, { id: 2 }))
    w.arrive(piece(8, b, false, { id: 1, source: '10.0.0.3' }))
    expect(whole.payloads).toEqual([])
    w.arrive(piece(8, b, false, { id: 1 }))
    expect(whole.payloads).toEqual([Buffer.concat([a, b])])
  })
})

describe('a link that fills up in the middle', () => {
  function blocked(room: number): { w: World; send: () => boolean } {
    const w = new World({ addresses: ['10.0.0.1/24'] })
    const route = new Route()
    w.ip.route(address('10.0.0.2'), address('0.0.0.0'), null, route)
    w.link.room = room
    const send = (): boolean => {
      const frame = w.frame.reset()
      frame.buf.set(bytesOf(6000), PAYLOAD_AT)
      frame.end = PAYLOAD_AT + 6000
      const taken = w.ipv4.output(frame, route, PROTO_TEST, 0, 64, false)
      frame.buf.fill(0xdd, PAYLOAD_AT) // the frame is used for something else meanwhile
      return taken
    }
    return { w, send }
  }

  test('the rest of the train follows when there is room', () => {
    const { w, send } = blocked(2)
    expect(send()).toBe(true)
    expect(w.link.sent.length).toBe(2)
    w.link.room = 1
    w.ipv4.flushPending(w.iface)
    w.link.room = 100
    w.ipv4.flushPending(w.iface)
    const { w: peer, whole } = receiver()
    for (const { bytes } of w.link.take()) peer.arrive(bytes)
    expect(whole.payloads[0].equals(bytesOf(6000))).toBe(true)
    expect(w.pool.inUse).toBe(0)
    expect(w.counters()).toMatchObject({ ipFragOKs: 1, ipFragCreates: 5, ipOutRequests: 1 })
  })

  test('what waits is bounded', () => {
    const { w, send } = blocked(0)
    expect(send()).toBe(false)
    for (let i = 0; i < 10; i++) {
      w.link.room = 1
      expect(send()).toBe(true)
    }
    expect(w.counters()).toMatchObject({ ipFragDropPending: 2, ipFragFails: 2 })
    w.link.room = 1000
    w.ipv4.flushPending(w.iface)
    expect(w.pool.inUse).toBe(0)
    expect(w.counters()).toMatchObject({ ipFragOKs: 8 })
  })
})

describe('dishonest fragments', () => {
  test('an overlap condemns the datagram (RFC 5722)', () => {
    // Into the middle of what is there; around all of it.
    for (const [from, to] of [
      [8, 24],
      [0, 24],
    ]) {
      const { w, whole } = receiver()
      w.arrive(piece(0, bytesOf(16), true))
      w.arrive(piece(from, bytesOf(to - from), true))
      w.arrive(piece(16, bytesOf(8), false))
      expect(whole.payloads).toEqual([])
      expect(w.counters()).toMatchObject({ ipReasmDropOverlap: 1, ipReasmFails: 1 })
    }
    const { w, whole } = receiver()
    w.arrive(piece(0, bytesOf(24), true))
    w.arrive(piece(24, bytesOf(16), false))
    expect(whole.payloads.length).toBe(1)
  })

  test('the same place with other bytes is an overlap, with the same bytes a repetition', () => {
    const { w, whole } = receiver()
    w.arrive(piece(0, bytesOf(16), true))
    w.arrive(piece(0, bytesOf(16), true))
    w.arrive(piece(8, bytesOf(16).subarray(8), true))
    expect(w.counters()).toMatchObject({ ipReasmDropDuplicate: 2 })
    w.arrive(piece(0, Buffer.alloc(16), true))
    expect(w.counters()).toMatchObject({ ipReasmDropOverlap: 1 })
    w.arrive(piece(16, bytesOf(8), false))
    expect(whole.payloads).toEqual([])
  })

  test('an end that contradicts another end, or what is there already', () => {
    for (const [from, length, more] of [
      [8, 8, false],
      [32, 8, false],
      [32, 8, true],
    ] as const) {
      const { w } = receiver()
      w.arrive(piece(16, bytesOf(16), false))
      w.arrive(piece(from, bytesOf(length), more))
      expect(w.counters()).toMatchObject({ ipReasmDropOverlap: 1 })
    }
    const { w } = receiver()
    w.arrive(piece(16, bytesOf(16), true))
    w.arrive(piece(8, bytesOf(8), false))
    expect(w.counters()).toMatchObject({ ipReasmDropOverlap: 1 })
  })

  test('odd, empty and oversized pieces', () => {
    const { w } = receiver()
    w.arrive(piece(0, bytesOf(9), true))
    w.arrive(piece(8, Buffer.alloc(0), true))
    w.arrive(piece(8, Buffer.alloc(0), false))
    expect(w.counters()).toMatchObject({ ipReasmDropLength: 3 })
    w.arrive(piece(65528, bytesOf(1000), false)) // the ping of death
    expect(w.counters()).toMatchObject({ ipReasmDropTooBig: 1 })
    expect(w.pool.inUse).toBe(0)
  })

  test('a whole of 65,535 bytes of payload and a header does not fit', () => {
    const { w, whole } = receiver()
    const bytes = bytesOf(65520)
    for (let at = 0; at < bytes.length; at += 1480) {
      const end = Math.min(bytes.length, at + 1480)
      w.arrive(piece(at, bytes.subarray(at, end), end < bytes.length))
    }
    expect(whole.payloads).toEqual([])
    expect(w.counters()).toMatchObject({ ipReasmDropTooBig: 1 })
  })

  test('any mixture of fragments: never throws, bounded, and what is delivered is what was sent', () => {
    const fragment = fc.record({
      from: fc.nat(40).map((n) => n * 8),
      length: fc.integer({ min: 0, max: 64 }),
      more: fc.boolean(),
      id: fc.nat(3),
    })
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 60 }), (fragments) => {
        const { w, whole } = receiver({ config: { ipv4: { reassemblyBytes: 8192, reassemblyDatagrams: 2 } } })
        const all = bytesOf(500)
        for (const f of fragments) {
          // Every fragment tells the same story, so whatever is delivered must be a prefix of it.
          w.arrive(piece(f.from, all.subarray(f.from, f.from + f.length), f.more, { id: f.id }))
          expect(w.pool.inUse).toBeLessThanOrEqual(8192)
        }
        for (const p of whole.payloads) expect(p.equals(all.subarray(0, p.length))).toBe(true)
        w.advance(31_000)
        expect(w.pool.inUse).toBe(0)
      }),
      { numRuns: 500 },
    )
  })
})

describe('limits', () => {
  test('time: RFC 1122 answers with time exceeded, if the first fragment came', () => {
    const { w } = receiver()
    w.arrive(piece(0, bytesOf(16), true, { id: 1 }))
    w.arrive(piece(8, bytesOf(8), false, { id: 2 }))
    w.advance(29_999)
    expect(w.link.sent).toEqual([])
    w.advance(1)
    const sent = w.link.take()
    expect(sent.length).toBe(1)
    const ip = readIp(sent[0].bytes)
    expect([...ip.payload.subarray(0, 2)]).toEqual([11, 1])
    expect(ip.payload.subarray(8)).toEqual(piece(0, bytesOf(16), true, { id: 1 }))
    expect(w.counters()).toMatchObject({ ipReasmTimeout: 2, ipReasmFails: 2 })
    expect(w.pool.inUse).toBe(0)
  })

  test('datagrams and memory: the oldest goes', () => {
    const { w, whole } = receiver({ config: { ipv4: { reassemblyDatagrams: 4 } } })
    for (let id = 0; id < 10; id++) w.arrive(piece(0, bytesOf(8), true, { id }))
    expect(w.counters()).toMatchObject({ ipReasmDropMemory: 6 })
    for (let id = 0; id < 10; id++) w.arrive(piece(8, bytesOf(8), false, { id }))
    expect(whole.payloads.length).toBeLessThanOrEqual(4)

    const small = receiver({ config: { ipv4: { reassemblyBytes: 4096 } } })
    for (let id = 0; id < 10; id++) small.w.arrive(piece(0, bytesOf(1480), true, { id }))
    expect(small.w.pool.inUse).toBeLessThanOrEqual(4096)
    small.w.arrive(piece(40000, bytesOf(8), true, { id: 99 })) // alone too large
    expect(small.w.pool.inUse).toBeLessThanOrEqual(4096)
  })

  test('fragments of one datagram', () => {
    const { w } = receiver({ config: { ipv4: { reassemblyFragments: 10 } } })
    for (let i = 0; i < 11; i++) w.arrive(piece(16 * i, bytesOf(8), true))
    expect(w.counters()).toMatchObject({ ipReasmDropFragments: 1 })
    expect(w.pool.inUse).toBe(0)
  })

  test('8,192 pieces of eight bytes, every other one first', () => {
    const { w, whole } = receiver()
    const bytes = bytesOf(65512)
    const count = bytes.length / 8
    for (const first of [0, 1]) {
      for (let i = first; i < count; i += 2) w.arrive(piece(8 * i, bytes.subarray(8 * i, 8 * i + 8), i < count - 1))
    }
    expect(whole.payloads[0].equals(bytes)).toBe(true)
  })
})

describe('what the whole inherits', () => {
  test('ECN: a mark on any part marks the whole; on a part that cannot have one it condemns it (RFC 3168 5.3)', () => {
    const { w, whole } = receiver()
    const pair = (first: number, second: number): void => {
      w.arrive(piece(0, bytesOf(8), true, { tos: first }))
      w.arrive(piece(8, bytesOf(8), false, { tos: second }))
    }
    pair(0x2a, 0x2b)
    pair(0x29, 0x29)
    expect(whole.tos).toEqual([0x2b, 0x29])
    pair(0x28, 0x2b)
    expect(whole.tos.length).toBe(2)
    expect(w.counters()).toMatchObject({ ipReasmDropEcn: 1 })
  })

  test('checksums: vouched for only if every part was', () => {
    const { w, whole } = receiver()
    for (const metas of [
      [CSUM_VALID, CSUM_VALID],
      [CSUM_VALID, CSUM_NONE],
    ]) {
      w.arrive(piece(0, bytesOf(8), true), metas[0])
      w.arrive(piece(8, bytesOf(8), false), metas[1])
    }
    expect(whole.metas).toEqual([CSUM_VALID, CSUM_NONE])
  })
})
