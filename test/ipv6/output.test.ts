import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { ErrorReport } from '../../src/ip/ip.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { pseudoSum } from '../../src/ip/pseudo-header.ts'
import { Route } from '../../src/ip/route.ts'
import { PAYLOAD_AT } from '../../src/netif/frame.ts'
import { CSUM_PARTIAL, frameMeta, GSO_NONE, GSO_TCP6, Offload } from '../../src/netif/netif.ts'
import { naiveChecksum, type WorldOptions } from '../support/ip-world.ts'
import { type ReadIp6, THEM, US, World6 } from '../support/ip6-world.ts'

const TEST = 253
const bytesOf = (length: number): Buffer => Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255))

interface Out {
  protocol?: number
  meta?: number
  to?: string
  ttl?: number
  tos?: number
  dontFragment?: boolean
}

class Sender extends World6 {
  readonly route = new Route()

  /** Sends `bytes`; true when taken. */
  say(bytes: Uint8Array, { protocol = TEST, meta = 0, to = THEM, ttl = 0, tos = 0, dontFragment = false }: Out = {}): boolean {
    const { route, frame, ip } = this
    if (route.generation !== ip.generation || !route.destination.equals(address(to))) {
      expect(ip.route(address(to), address('::'), null, route)).toBe(null)
    }
    frame.reset().buf.set(bytes, PAYLOAD_AT)
    frame.end = PAYLOAD_AT + bytes.length
    frame.meta = meta
    return this.ipv6.output(frame, route, protocol, tos, ttl, dontFragment)
  }
}

const sender = (options: WorldOptions = {}): Sender => new Sender(options)

/** One packet of protocol UDP or TCP with ports of its own choice. */
const ported = (from: number, to: number): Buffer => {
  const out = Buffer.alloc(20)
  out.writeUInt16BE(from, 0)
  out.writeUInt16BE(to, 2)
  return out
}

describe('a packet', () => {
  it('has the header that the declaration describes', () => {
    const w = sender()
    expect(w.say(bytesOf(99), { tos: 0xb9, ttl: 7 })).toBe(true)
    expect(w.read()).toMatchObject([{ class: 0xb9, hops: 7, next: TEST, from: US, to: THEM, fragment: null }])
    expect(w.counters6()).toEqual({ ip6OutRequests: 1, ip6OutOctets: 139 })
  })

  it('leaves with the hop limit of the stack, or the one that a router gave', () => {
    const w = sender()
    w.say(bytesOf(1))
    w.iface.hopLimit = 17
    w.say(bytesOf(1))
    expect(w.read().map((r) => r.hops)).toEqual([64, 17])
  })

  it('that the link does not take is as before', () => {
    const w = sender()
    w.link.room = 0
    const segment = ported(1, 2)
    segment.writeUInt16BE(0x1234, 16)
    expect(w.say(segment, { protocol: 6, meta: CSUM_PARTIAL })).toBe(false)
    expect(w.frame.start).toBe(PAYLOAD_AT)
    expect(Buffer.from(w.frame.buf.subarray(PAYLOAD_AT, PAYLOAD_AT + 20)).equals(segment)).toBe(true)
    expect(w.frame.meta).toBe(CSUM_PARTIAL)
    expect(w.counters6()).toEqual({ ip6OutBlocked: 1 })
  })

  it.each([
    ['UDP', 17, 6],
    ['TCP', 6, 16],
  ])('gets its %s checksum completed where the link does not', (_, protocol, field) => {
    const segment = ported(1, 2)
    segment.writeUInt16BE(pseudoSum(address(US), address(THEM), protocol, 20), field)
    const w = sender()
    w.say(segment, { protocol, meta: CSUM_PARTIAL })
    const [{ meta, bytes }] = w.link.take()
    expect(meta).toBe(0)
    const pseudo = Buffer.concat([bytes.subarray(8, 40), Buffer.from([0, 0, 0, 20, 0, 0, 0, protocol])])
    expect(naiveChecksum(Buffer.concat([pseudo, bytes.subarray(40)]))).toBe(0)
    const able = sender({ offload: Offload.TX_CHECKSUM })
    able.say(segment, { protocol, meta: CSUM_PARTIAL })
    const [sent] = able.link.take()
    expect([sent.meta, sent.bytes.subarray(40).equals(segment)]).toEqual([CSUM_PARTIAL, true])
  })

  it('that is a super-segment goes to a link that takes it, and to no other', () => {
    const meta = frameMeta(CSUM_PARTIAL, GSO_TCP6, 1440)
    const w = sender({ offload: Offload.TX_CHECKSUM | Offload.TSO6, gsoMax: 65_535 })
    w.say(bytesOf(50_000), { protocol: 6, meta })
    expect(w.link.take()).toMatchObject([{ meta }])
    const other = sender()
    expect(other.say(bytesOf(50_000), { protocol: 6, meta })).toBe(true)
    expect(other.link.sent).toEqual([])
    expect(other.counters6()).toMatchObject({ ip6OutDropGso: 1, ip6OutDiscards: 1 })
  })
})

describe('flow labels (RFC 6437)', () => {
  const labels = (w: Sender): number[] => w.read().map((r) => r.flow)

  it('are the same for one flow and differ between flows, hosts and ends', () => {
    const w = sender()
    for (const [from, to] of [
      [1, 2],
      [1, 2],
      [2, 1],
      [1, 3],
      [1, 2],
    ])
      w.say(ported(from, to), { protocol: 17 })
    w.say(ported(1, 2), { protocol: 6 })
    w.say(ported(1, 2), { protocol: 17, to: 'fd00::7' })
    w.say(ported(1, 2), { protocol: 17 })
    const [a, again, back, other, third, tcp, elsewhere, last] = labels(w)
    expect([again, third, last]).toEqual([a, a, a])
    expect(new Set([a, back, other, tcp, elsewhere]).size).toBe(5)
    expect(a).toBeGreaterThan(0)
  })

  it('are none if so configured', () => {
    const w = sender({ config: { ipv6: { flowLabels: false } } })
    w.say(ported(1, 2), { protocol: 17 })
    expect(labels(w)).toEqual([0])
  })
})

describe('what is larger than the path takes', () => {
  const assembled = (parts: ReadIp6[]): Buffer => Buffer.concat(parts.map((p) => p.payload))

  it('leaves in fragments of one identification, hop limit and label, all but the last a multiple of eight', () => {
    const w = sender()
    w.say(bytesOf(4000), { ttl: 9, tos: 0x20 })
    const parts = w.read()
    expect(parts.map((p) => p.fragment?.offset)).toEqual([0, 1448, 2896])
    expect(parts.map((p) => p.fragment?.more)).toEqual([true, true, false])
    expect(parts.every((p) => p.bytes.length <= 1500 && p.hops === 9 && p.class === 0x20 && p.next === TEST)).toBe(true)
    expect([new Set(parts.map((p) => p.fragment?.id)).size, new Set(parts.map((p) => p.flow)).size]).toEqual([1, 1])
    expect(assembled(parts).equals(bytesOf(4000))).toBe(true)
    expect(w.counters6()).toEqual({ ip6OutRequests: 1, ip6FragOKs: 1, ip6FragCreates: 3, ip6OutOctets: 4144 })
  })

  it('comes out whole at the other end, up to 65,535 bytes', () => {
    const w = sender({ mtu: 1280, addresses: [`${THEM}/64`] })
    const other = new World6()
    const bytes = bytesOf(65_535)
    let whole = Buffer.alloc(0)
    other.ip.register(TEST, {
      input: (p: Packet) => {
        whole = Buffer.from(p.buf.subarray(p.off, p.end))
      },
      error: () => undefined,
    })
    w.say(bytes, { to: US })
    for (const s of w.link.take()) other.arrive6(s.bytes)
    expect(whole.equals(bytes)).toBe(true)
    expect(w.say(bytesOf(65_536), { to: US })).toBe(true)
    expect(w.counters6()).toMatchObject({ ip6OutDropTooBig: 1, ip6FragFails: 1 })
  })

  it('gets its checksum completed first', () => {
    const segment = Buffer.concat([ported(1, 2), bytesOf(2000)])
    segment.writeUInt16BE(pseudoSum(address(US), address(THEM), 17, segment.length), 6)
    const w = sender({ offload: Offload.TX_CHECKSUM })
    w.say(segment, { protocol: 17, meta: frameMeta(CSUM_PARTIAL, GSO_NONE, 0) })
    const parts = w.read()
    const pseudo = Buffer.concat([
      parts[0].bytes.subarray(8, 40),
      Buffer.from([0, 0, segment.length >> 8, segment.length & 255, 0, 0, 0, 17]),
    ])
    expect(naiveChecksum(Buffer.concat([pseudo, assembled(parts)]))).toBe(0)
  })

  it('is dropped if it must not be cut', () => {
    const w = sender()
    expect(w.say(bytesOf(1500), { dontFragment: true })).toBe(true)
    expect(w.link.sent).toEqual([])
    expect(w.counters6()).toEqual({ ip6OutDiscards: 1, ip6OutDropTooBig: 1, ip6FragFails: 1 })
  })

  it('waits with its rest when the link fills up in the middle; none is taken if nothing was', () => {
    const w = sender()
    w.link.room = 0
    expect(w.say(bytesOf(4000))).toBe(false)
    w.link.room = 1
    expect(w.say(bytesOf(4000))).toBe(true)
    w.link.room = 10
    w.ipv6.flushPending(w.iface)
    expect(assembled(w.read()).equals(bytesOf(4000))).toBe(true)
    expect(w.pool.inUse).toBe(0)
    w.link.room = 1
    w.say(bytesOf(4000))
    w.ipv6.dropInterface(w.iface)
    expect(w.pool.inUse).toBe(0)
  })

  it('has identifications that repeat for nobody soon, and tell one destination nothing of another (RFC 7739)', () => {
    const w = sender()
    const ids = (to: string): number[] => {
      w.say(bytesOf(2000), { to })
      return w.read().map((p) => p.fragment?.id ?? 0)
    }
    const [a] = ids(THEM)
    const [b] = ids('fd00::7')
    const [c] = ids(THEM)
    expect((c - a) >>> 0).toBe(1)
    expect(Math.abs(a - b)).toBeGreaterThan(1000)
  })
})

describe('the path', () => {
  it('is as narrow as a router said, never less than 1280; routers may narrow the link as well', () => {
    const w = sender()
    const { pathMtu } = w.ip
    const route = new Route()
    const mtu = (): number => {
      w.ip.route(address(THEM), address('::'), null, route)
      return route.mtu
    }
    const told = (size: number): boolean =>
      pathMtu?.learn(Object.assign(new ErrorReport(), { mtu: size, length: 1500, destination: address(THEM) })) ?? false
    expect(told(1279)).toBe(false)
    expect(mtu()).toBe(1500)
    expect(told(1400)).toBe(true)
    expect(mtu()).toBe(1400)
    w.iface.routerMtu = 1300
    expect(mtu()).toBe(1300)
  })
})
