import { describe, expect, it } from 'vitest'
import type { Packet } from '../../src/ip/packet.ts'
import { CSUM_VALID } from '../../src/netif/netif.ts'
import { extension, type Fields6, fragment6, icmp6, packet6, udp6, World6 } from '../support/ip6-world.ts'

const TEST = 253

interface Whole {
  body: Buffer
  header: Buffer
  tos: number
  meta: number
  reassembled: boolean
}

function receiver(options: ConstructorParameters<typeof World6>[0] = {}): { w: World6; got: Whole[] } {
  const w = new World6(options)
  const got: Whole[] = []
  w.ip.register(TEST, {
    input: (p: Packet) =>
      void got.push({
        body: Buffer.from(p.buf.subarray(p.off, p.end)),
        header: Buffer.from(p.buf.subarray(p.start, p.off)),
        tos: p.tos,
        meta: p.meta,
        reassembled: p.reassembled,
      }),
    error: () => undefined,
  })
  return { w, got }
}

const bytesOf = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255))

interface PieceFields extends Partial<Fields6> {
  id?: number
  /** What the fragment header says follows. */
  inner?: number
}

function piece(
  from: number,
  bytes: Uint8Array,
  more: boolean,
  { id = 0xcafef00d, inner = TEST, ...fields }: PieceFields = {},
): Buffer {
  return packet6({ next: 44, ...fields }, fragment6(inner, from, more, id, bytes))
}

const problems = (w: World6): number[][] => w.read().map((r) => [r.payload[0], r.payload[1], r.payload.readUInt32BE(4)])

describe('fragments', () => {
  it('become the whole in any order, with repetitions; its header is as if there had been none', () => {
    const bytes = bytesOf(3000)
    const parts = [0, 1232, 2464].map((at) => piece(at, bytes.subarray(at, at + 1232), at < 2464, { class: 0x20, flow: 77 }))
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 1, 0, 2],
    ]) {
      const { w, got } = receiver()
      for (const i of order) w.arrive6(parts[i])
      expect(got.length).toBe(1)
      expect(got[0].body.equals(bytes)).toBe(true)
      expect(got[0].header.equals(packet6({ next: TEST, class: 0x20, flow: 77 }, bytes).subarray(0, 40))).toBe(true)
      expect(got[0].reassembled).toBe(true)
      expect([w.pool.inUse, w.timers.next(w.clock.nowMs)]).toEqual([0, -1])
      expect(w.counters6()).toMatchObject({ ip6ReasmOKs: 1, ip6ReasmReqds: order.length })
    }
  })

  it('may have headers before theirs, and behind', () => {
    const { w, got } = receiver()
    const inside = Buffer.concat([extension(TEST, [0x1e, 4, 1, 2, 3, 4]), bytesOf(32)])
    const fragmentAt = (at: number, more: boolean): Buffer =>
      packet6(
        { next: 0 },
        Buffer.concat([
          extension(60, [5, 2, 0, 0, 1, 0]),
          extension(44, [1, 4, 0, 0, 0, 0]),
          fragment6(60, at, more, 1, inside.subarray(at, at + 16)),
        ]),
      )
    w.arrive6(fragmentAt(32, false))
    w.arrive6(fragmentAt(0, true))
    w.arrive6(fragmentAt(16, true))
    expect(got.map((g) => g.body.equals(bytesOf(32)))).toEqual([true])
    const expected = packet6(
      { next: 0 },
      Buffer.concat([extension(60, [5, 2, 0, 0, 1, 0]), extension(60, [1, 4, 0, 0, 0, 0]), inside]),
    )
    expect(got[0].header.equals(expected.subarray(0, 64))).toBe(true)
  })

  it('are told apart by source, destination and identification', () => {
    const { w, got } = receiver()
    w.arrive6(piece(0, bytesOf(8), true))
    w.arrive6(piece(8, bytesOf(8), false, { id: 2 }))
    w.arrive6(piece(8, bytesOf(8), false, { from: 'fd00::9' }))
    w.arrive6(piece(8, bytesOf(8), false, { to: 'fe80::2' }))
    expect(got).toEqual([])
    w.arrive6(piece(8, bytesOf(8), false, { inner: 9 })) // only the first one's next header counts
    expect(got.length).toBe(1)
  })

  it('carry congestion experienced, and what the link vouched for', () => {
    const { w, got } = receiver()
    w.arrive6(piece(0, bytesOf(8), true, { class: 2 }), CSUM_VALID)
    w.arrive6(piece(8, bytesOf(8), false, { class: 3 }), CSUM_VALID)
    expect(got[0]).toMatchObject({ tos: 3, meta: CSUM_VALID })
    expect(got[0].header.readUInt16BE(0)).toBe(0x6030)
  })

  it('the largest, 65,535 bytes of payload; one more is told (RFC 8200 section 4.5)', () => {
    const { w, got } = receiver()
    const bytes = bytesOf(65_535)
    for (let at = 0; at < bytes.length; at += 1232) w.arrive6(piece(at, bytes.subarray(at, at + 1232), at + 1232 < bytes.length))
    expect(got[0].body.equals(bytes)).toBe(true)
    w.arrive6(piece(65_528, bytesOf(8), false))
    expect(problems(w)).toEqual([[4, 0, 42]])
    expect(w.counters6()).toMatchObject({ ip6ReasmDropTooBig: 1 })
  })

  it('of odd lengths are told, but for the last', () => {
    const { w, got } = receiver()
    w.arrive6(piece(0, bytesOf(9), true))
    expect(problems(w)).toEqual([[4, 0, 4]])
    w.arrive6(piece(0, bytesOf(8), true))
    w.arrive6(piece(8, bytesOf(1), false))
    expect(got.length).toBe(1)
  })
})

describe('overlaps', () => {
  it('drop all of it in silence, also what is still to come (RFC 5722)', () => {
    const { w, got } = receiver()
    w.arrive6(piece(0, bytesOf(24), true))
    w.arrive6(piece(16, Buffer.alloc(16, 9), true))
    for (let at = 0; at < 48; at += 8) w.arrive6(piece(at, bytesOf(48).subarray(at, at + 8), at < 40))
    expect(got).toEqual([])
    expect(w.pool.inUse).toBe(0)
    w.advance(60_000)
    expect(w.link.sent).toEqual([])
    expect(w.timers.next(w.clock.nowMs)).toBe(-1)
    for (let at = 0; at < 48; at += 8) w.arrive6(piece(at, bytesOf(48).subarray(at, at + 8), at < 40))
    expect(got.length).toBe(1)
    expect(w.counters6()).toMatchObject({ ip6ReasmDropOverlap: 7, ip6ReasmFails: 1 })
  })

  it('a second end elsewhere is one', () => {
    const { w, got } = receiver()
    w.arrive6(piece(8, bytesOf(8), false))
    w.arrive6(piece(16, bytesOf(8), false))
    w.arrive6(piece(0, bytesOf(8), true))
    expect(got).toEqual([])
    expect(w.counters6()).toMatchObject({ ip6ReasmDropOverlap: 2 })
  })
})

describe('atomic fragments (RFC 6946)', () => {
  it('are whole, and disturb nothing that has the same identification', () => {
    const { w, got } = receiver()
    w.arrive6(piece(0, bytesOf(16), true))
    w.arrive6(piece(0, Buffer.from('atomic'), false))
    w.arrive6(piece(16, bytesOf(8), false))
    expect(got.map((g) => g.body.length)).toEqual([6, 24])
    // Known as what came in fragments to those who take none (RFC 6980).
    expect(got[0].reassembled).toBe(true)
  })

  it('hold no further fragment headers', () => {
    const { w, got } = receiver()
    w.arrive6(packet6({ next: 44 }, fragment6(44, 0, false, 1, fragment6(TEST, 0, false, 2, bytesOf(8)))))
    expect(got).toEqual([])
    expect(w.counters6()).toMatchObject({ ip6DropHeaderOrder: 1 })
  })
})

describe('a first fragment without all headers (RFC 7112)', () => {
  it.each([
    ['TCP cut short', 6, bytesOf(16)],
    ['destination options cut short', 60, Buffer.concat([Buffer.from([6, 3, 1, 4, 0, 0, 0, 0])])],
    ['options, and no transport', 60, Buffer.from([17, 0, 1, 4, 0, 0, 0, 0])],
  ])('%s', (_, inner, bytes) => {
    const { w } = receiver()
    w.arrive6(piece(0, bytes, true, { inner }))
    expect(problems(w)).toEqual([[4, 3, 0]])
    expect(w.counters6()).toMatchObject({ ip6DropFirstFragment: 1 })
  })
})

describe('time', () => {
  it('ends after 60 s: told if the first fragment came, with what it was (RFC 8200 section 4.5)', () => {
    const { w } = receiver()
    const first = piece(0, udp6(1, 2, bytesOf(1200)).subarray(0, 1208), true, { inner: 17 })
    w.arrive6(first)
    w.arrive6(piece(8, bytesOf(8), true, { id: 9 }))
    w.advance(59_999)
    expect(w.link.sent).toEqual([])
    w.advance(1)
    const [sent] = w.read()
    expect([...sent.payload.subarray(0, 2)]).toEqual([3, 1])
    expect(sent.payload.subarray(8).equals(first.subarray(0, 1232))).toBe(true)
    expect(w.link.sent).toEqual([])
    expect([w.pool.inUse, w.timers.next(w.clock.nowMs)]).toEqual([0, -1])
    expect(w.counters6()).toMatchObject({ ip6ReasmTimeout: 2, ip6ReasmFails: 2, icmp6OutTimeExcds: 1 })
  })
})

describe('limits', () => {
  it('of datagrams and of memory: the oldest go', () => {
    const { w } = receiver({ config: { ipv6: { reassemblyDatagrams: 10, reassemblyBytes: 32_768 } } })
    for (let id = 0; id < 100; id++) w.arrive6(piece(8, bytesOf(8), true, { id, from: `fd00::1:${id + 1}` }))
    expect(w.counters6().ip6ReasmDropMemory).toBeGreaterThanOrEqual(90)
    for (let id = 0; id < 10; id++) w.arrive6(piece(8000, bytesOf(8), true, { id: 1000 + id }))
    expect(w.pool.inUse).toBeLessThanOrEqual(32_768)
  })

  it('of what stands before the fragment header', () => {
    const { w } = receiver()
    const big = extension(44, [0x1e, 250, ...new Array<number>(250).fill(1), 0x1e, 252, ...new Array<number>(252).fill(1)])
    w.arrive6(packet6({ next: 60 }, Buffer.concat([big, fragment6(TEST, 0, true, 1, bytesOf(8))])))
    expect(w.counters6()).toMatchObject({ ip6ReasmDropHeader: 1 })
  })
})

it('a large echo comes back whole', () => {
  const { w } = receiver()
  const message = icmp6(128, 0, bytesOf(4004))
  for (let at = 0; at < message.length; at += 1232)
    w.arrive6(piece(at, message.subarray(at, at + 1232), at + 1232 < message.length, { inner: 58 }))
  expect(w.counters6()).toMatchObject({ ip6ReasmOKs: 1, icmp6InEchos: 1 })
})
