/** One router, packet by packet: what it changes, what it refuses, what it says, and how super-segments and checksums get on. */
import { describe, expect, it } from 'vitest'
import { CSUM_MASK, CSUM_PARTIAL, CSUM_VALID, GSO_MASK, gsoSize } from '../../src/netif/netif.ts'
import { ipFrame, noise, parseTransport, tcpFrame, udpFrame } from '../support/frames.ts'
import { FAR, icmpWords, isSound, NEAR, Router } from '../support/router.ts'

const FAMILIES = [4, 6] as const
const there = { from: NEAR, to: FAR } as const

describe.each(FAMILIES)('a packet of IPv%i', (family) => {
  it('goes on with one hop less, every other byte as it was, checksums right', () => {
    const r = new Router()
    for (const length of [0, 1, 17, 18, 500, 1452]) {
      const { bytes } = udpFrame({ ...there, family, payload: noise(length, length) })
      r.arrive(bytes)
      const [out] = r.left(1)
      expect(out.ttl).toBe(63)
      expect(isSound(out)).toBe(true)
      const twin = udpFrame({ ...there, family, payload: noise(length, length), ttl: 63 }).bytes.slice(14)
      expect(out.packet).toEqual(twin)
      // To the neighbour, from our side of that link, and short frames are padded with nothing of ours.
      expect([...out.bytes.slice(0, 12)]).toEqual([2, 0, 0, 0, 0, 0x82, 2, 0, 0, 0, 0, 0x81])
      expect([...out.bytes.slice(14 + twin.length)].every((b) => b === 0)).toBe(true)
      expect(out.bytes.length).toBeGreaterThanOrEqual(60)
    }
    // Small ones are copied: the padding would go over what follows them in the lender's memory.
    expect(r.counters(family)).toMatchObject({ outForwDatagrams: 6 })
    expect(r.complaints).toEqual([])
  })

  it('crosses from Ethernet to a link without it, and back', () => {
    for (const [near, far] of [
      ['ethernet', 'ip'],
      ['ip', 'ethernet'],
      ['ip', 'ip'],
    ] as const) {
      const r = new Router({ near: { medium: near }, far: { medium: far } })
      r.arrive(udpFrame({ ...there, family, medium: near, payload: noise(100, 1) }).bytes)
      const [out] = r.left(1)
      expect(out.packet).toEqual(udpFrame({ ...there, family, payload: noise(100, 1), ttl: 63 }).bytes.slice(14))
      expect(r.complaints).toEqual([])
    }
  })

  it('whose time is over is told of', () => {
    const r = new Router()
    for (const ttl of [0, 1]) r.arrive(udpFrame({ ...there, family, ttl, payload: noise(64, 1) }).bytes)
    expect(r.left(1)).toEqual([])
    const said = r.left(0)
    expect(said.map(icmpWords)).toEqual(new Array(2).fill(family === 4 ? '10.0.0.1: 11 0' : 'fd00::1: 3 0'))
    // What is quoted is what came.
    const quoted = said[1].packet.slice(family === 4 ? 28 : 48)
    expect(quoted).toEqual(udpFrame({ ...there, family, ttl: 1, payload: noise(64, 1) }).bytes.slice(14, 14 + quoted.length))
    expect(r.counters(family)).toEqual({ dropTtl: 2 })
  })

  it('for nowhere, and by routes that refuse', () => {
    const r = new Router()
    const far = family === 4 ? '10.0.0.130/32' : 'fd00::82/128'
    const { bytes } = udpFrame({ ...there, family, payload: noise(64, 1) })
    const refused = (): string[] => {
      r.arrive(bytes)
      expect(r.left(1)).toEqual([])
      return r.left(0).map((p) => icmpWords(p).split(': ')[1])
    }
    for (const [kind, words] of [
      ['blackhole', []],
      ['unreachable', [family === 4 ? '3 1' : '1 0']],
      ['prohibit', [family === 4 ? '3 13' : '1 1']],
    ] as const) {
      r.stack.addRoute(far, null, null, { kind })
      expect(refused(), kind).toEqual(words)
      r.stack.removeRoute(far)
    }
    r.eth1.removeAddress(family === 4 ? '10.0.0.129' : 'fd00::81')
    expect(refused()).toEqual([family === 4 ? '3 0' : '1 0'])
    expect(r.counters(family)).toEqual({ dropBlackhole: 1, dropUnreachable: 1, dropProhibited: 1, inNoRoutes: 1 })
  })

  it('for a neighbour who does not answer: its sender is told', () => {
    const r = new Router()
    r.arrive(udpFrame({ from: NEAR, to: 140, family, payload: noise(64, 1) }).bytes)
    expect(r.left(0)).toEqual([])
    r.host.advance(4000)
    expect(r.left(0).map(icmpWords)).toEqual([family === 4 ? '10.0.0.1: 3 1' : 'fd00::1: 1 3'])
  })

  it('that does not fit', () => {
    const r = new Router({ far: { mtu: 1280 } })
    r.arrive(udpFrame({ ...there, family, payload: noise(1400, 1) }).bytes)
    expect(r.left(1)).toEqual([])
    const [said] = r.left(0)
    expect(icmpWords(said)).toBe(family === 4 ? '10.0.0.1: 3 4' : 'fd00::1: 2 0')
    expect(said.packet[family === 4 ? 26 : 46] * 256 + said.packet[family === 4 ? 27 : 47]).toBe(1280)
    r.stack.addRoute(family === 4 ? '10.0.0.130/32' : 'fd00::82/128', null, r.eth1, { mtu: family === 4 ? 600 : 1300 })
    r.arrive(udpFrame({ ...there, family, payload: noise(family === 4 ? 600 : 1270, 1) }).bytes)
    const mtu = r.left(0)[0].packet
    // The route's MTU, unless the link's is smaller.
    expect(mtu[family === 4 ? 26 : 46] * 256 + mtu[family === 4 ? 27 : 47]).toBe(family === 4 ? 600 : 1280)
    expect(r.counters(family)).toEqual({ dropTooBig: 2 })
  })

  it('for a link that is full: lost and counted, nobody waits', () => {
    const r = new Router({ far: { queueFrames: 3 } })
    for (let i = 0; i < 5; i++) r.arrive(udpFrame({ ...there, family, payload: noise(100, i) }).bytes)
    expect(r.left(1).length).toBe(3)
    expect(r.counters(family)).toEqual({ outForwDatagrams: 3, dropBlocked: 2 })
  })

  it('that only looks as if it came from a link: not by a host, not in a broadcast frame', () => {
    const r = new Router()
    const { bytes } = udpFrame({ ...there, family, payload: noise(100, 1) })
    const everybody = bytes.slice()
    everybody.fill(0xff, 0, 6)
    r.arrive(everybody)
    r.eth0.setForwarding(false)
    r.arrive(bytes)
    expect(r.left(1)).toEqual([])
    expect(r.counters(family)).toEqual({ dropNotRouter: 1 })
    r.eth1.setForwarding(false)
    r.arrive(bytes)
    expect(r.counters(family)).toEqual({ dropNotRouter: 1 })
    r.stack.setForwarding(true)
    r.arrive(bytes)
    // Beside it a router says which groups it has joined.
    expect(r.left(1).filter((p) => p.ttl === 63).length).toBe(1)
  })

  it('super-segments go on whole where the link takes them', () => {
    const r = new Router()
    const { bytes, meta } = tcpFrame({ ...there, family, payload: noise(8000, 3), gso: 1400 })
    r.arrive(bytes, meta)
    const [out] = r.left(1)
    expect([out.packet.length, gsoSize(out.meta), out.meta & GSO_MASK]).toEqual([bytes.length - 14, 1400, meta & GSO_MASK])
    expect(out.packet.slice(family === 4 ? 40 : 60)).toEqual(noise(8000, 3))
  })

  it('super-segments are split for a link that does not', () => {
    const r = new Router({ far: { offload: false } })
    const { bytes, meta } = tcpFrame({ ...there, family, payload: noise(8000, 3), gso: 1400 })
    r.arrive(bytes, meta)
    const out = r.left(1)
    expect(out.length).toBe(6)
    expect(out.every(isSound)).toBe(true)
    expect(out.every((p) => p.ttl === 63)).toBe(true)
    expect(Buffer.concat(out.map((p) => p.packet.slice(family === 4 ? 40 : 60)))).toEqual(Buffer.from(noise(8000, 3)))
    expect(r.counters(family)).toEqual({ outForwDatagrams: 6, segmented: 1 })
    expect(r.complaints).toEqual([])
  })

  it('super-segments are measured by their segments', () => {
    const r = new Router({ far: { mtu: 1280 } })
    const large = tcpFrame({ ...there, family, payload: noise(8000, 3), gso: 1400 })
    r.arrive(large.bytes, large.meta)
    expect(r.left(1)).toEqual([])
    expect(r.left(0).map((p) => icmpWords(p).split(': ')[1])).toEqual([family === 4 ? '3 4' : '2 0'])
    const small = tcpFrame({ ...there, family, payload: noise(8000, 3), gso: 1200 })
    r.arrive(small.bytes, small.meta)
    expect(r.left(1).length).toBe(1)
  })

  it('partial checksums stay partial, or are completed for a link that cannot', () => {
    const { bytes, meta } = udpFrame({ ...there, family, payload: noise(101, 1), partial: true })
    const able = new Router()
    able.arrive(bytes, meta)
    expect(able.left(1)[0].meta & CSUM_MASK).toBe(CSUM_PARTIAL)
    const plain = new Router({ far: { offload: false } })
    plain.arrive(bytes, meta)
    const [out] = plain.left(1)
    expect([out.meta, isSound(out)]).toEqual([0, true])
    expect(plain.counters(family)).toMatchObject({ checksummed: 1 })
  })

  it('sources are looked at by the reverse-path filter, if it is on', () => {
    const from = (r: Router, at: 0 | 1, source: number): number => {
      r.arrive(redirected(udpFrame({ from: source, to: at === 0 ? FAR : NEAR, family, payload: noise(100, 1) }).bytes, at), 0, at)
      return r.left(at === 0 ? 1 : 0).length
    }
    const strict = new Router({ config: { forward: { reversePath: 'strict' } } })
    expect([from(strict, 0, NEAR), from(strict, 0, 140), from(strict, 1, FAR)]).toEqual([1, 0, 1])
    expect(strict.counters(family)).toMatchObject({ dropReversePath: 1 })
    const loose = new Router({ config: { forward: { reversePath: 'loose' } } })
    expect(from(loose, 0, 140)).toBe(1)
    loose.eth1.removeAddress(family === 4 ? '10.0.0.129' : 'fd00::81')
    loose.stack.addRoute(family === 4 ? '10.0.0.130/32' : 'fd00::82/128', null, loose.eth1)
    expect([from(loose, 0, 140), from(loose, 0, NEAR)]).toEqual([0, 1])
  })

  it('that goes back where it came from: its sender is told of the shorter way, ever less often', () => {
    const r = new Router()
    const to = family === 4 ? '10.0.0.9' : 'fe80::9'
    r.stack.addRoute(family === 4 ? '10.0.0.130/32' : 'fd00::82/128', to, r.eth0)
    r.eth0.addNeighbor(to, Uint8Array.of(2, 0, 0, 0, 0, 9))
    const said = (): string[] => {
      r.arrive(udpFrame({ ...there, family, payload: noise(100, 1) }).bytes)
      const out = r.left(0)
      // Passed on all the same.
      expect(out.filter((p) => p.ttl === 63).length).toBe(1)
      return out
        .filter((p) => p.packet[family === 4 ? 9 : 6] === (family === 4 ? 1 : 58))
        .map((p) => {
          const at = family === 4 ? 24 : 48
          expect(parseTransport(p.packet, 'ip').ipChecksumOk).toBe(true)
          return `${icmpWords(p).split(': ')[1]} ${p.packet.slice(at, at + (family === 4 ? 4 : 16)).at(-1)}`
        })
    }
    const words = family === 4 ? '5 1 9' : '137 0 9'
    expect([said(), said()]).toEqual([[words], []])
    r.host.advance(1000)
    expect([said(), said()]).toEqual([[words], []])
    r.host.advance(1000)
    expect(said()).toEqual([])
    r.host.advance(1000)
    expect(said()).toEqual([words])
    expect(r.counters(family)).toMatchObject({ redirects: 3 })
  })
})

/** The same frame for the router's other side. */
function redirected(bytes: Uint8Array, at: 0 | 1): Uint8Array {
  if (at === 1) bytes.set([2, 0, 0, 0, 0, 0x81])
  return bytes
}

describe('IPv4 only', () => {
  /** Any addresses, with the header checksum made right. */
  const between = (source: number[], destination: number[]): Uint8Array => {
    const bytes = ipFrame(17, udpFrame({ payload: noise(50, 1) }).bytes.slice(34), { fragment: 0 })
    bytes.set(source, 26)
    bytes.set(destination, 30)
    return summed(bytes)
  }
  const summed = (bytes: Uint8Array): Uint8Array => {
    const header = (bytes[14] & 15) * 4
    bytes.fill(0, 24, 26)
    let sum = 0
    for (let i = 14; i < 14 + header; i += 2) sum += bytes[i] * 256 + bytes[i + 1]
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    bytes[24] = (~sum >> 8) & 255
    bytes[25] = ~sum & 255
    return bytes
  }

  it('what never leaves its link stays: loopback, link-local, directed broadcasts in both forms', () => {
    const r = new Router()
    r.stack.addRoute('0.0.0.0/0', '10.0.0.130', r.eth1)
    r.arrive(between([10, 0, 0, 2], [127, 0, 0, 9]))
    r.arrive(between([10, 0, 0, 2], [169, 254, 1, 1]))
    r.arrive(between([169, 254, 1, 1], [10, 0, 0, 130]))
    r.arrive(between([10, 0, 0, 2], [10, 0, 0, 255]))
    r.arrive(between([10, 0, 0, 2], [10, 0, 0, 128]))
    expect([r.left(0), r.left(1)]).toEqual([[], []])
    expect(r.counters()).toEqual({ dropMartianDestination: 1, dropScope: 2, dropBroadcast: 2 })
    r.arrive(between([10, 0, 0, 2], [192, 0, 2, 1]))
    expect(r.left(1).length).toBe(1)
  })

  it('a packet without DF is cut up, a fragment again, and fits together', () => {
    const r = new Router({ far: { mtu: 600 } })
    const payload = noise(1400, 5)
    r.arrive(udpFrame({ ...there, payload, fragment: 0, id: 77 }).bytes)
    const whole = r.left(1)
    const field = (p: Uint8Array): number => p[6] * 256 + p[7]
    expect(whole.map((p) => [p.packet.length, field(p.packet) & 0x1fff, field(p.packet) >> 13])).toEqual([
      [596, 0, 1],
      [596, 72, 1],
      [276, 144, 0],
    ])
    expect(whole.every((p) => p.packet[5] === 77 && p.ttl === 63 && parseTransport(p.packet, 'ip').ipChecksumOk)).toBe(true)
    expect(Buffer.concat(whole.map((p) => p.packet.slice(20))).subarray(8)).toEqual(Buffer.from(payload))
    // The middle of a larger datagram: its place and its "more" stay.
    r.arrive(ipFrame(17, noise(1000, 6), { ...there, fragment: 0x2000 | 100, id: 78 }))
    expect(r.left(1).map((p) => [p.packet.length, field(p.packet) & 0x1fff, field(p.packet) >> 13])).toEqual([
      [596, 100, 1],
      [444, 172, 1],
    ])
    // Partial checksums are completed before.
    const partial = udpFrame({ ...there, payload, fragment: 0, partial: true })
    r.arrive(partial.bytes, partial.meta)
    const cut = r.left(1)
    const together = Uint8Array.from([...cut[0].packet.slice(0, 20), ...cut.flatMap((p) => [...p.packet.slice(20)])])
    together.set([together.length >> 8, together.length & 255], 2)
    together.fill(0, 6, 8)
    expect(parseTransport(together, 'ip').checksumOk).toBe(true)
    // And a super-segment without DF.
    const big = tcpFrame({ ...there, payload: noise(2000, 3), gso: 1000, fragment: 0 })
    r.arrive(big.bytes, big.meta)
    expect(r.left(1).map((p) => p.packet.length)).toEqual([596, 464, 596, 464])
    expect(r.counters()).toEqual({ outForwDatagrams: 5 })
  })

  it('record route and timestamps are continued on the way out; source routes are refused', () => {
    const r = new Router()
    const udp = udpFrame({ ...there, payload: noise(30, 1) }).bytes.slice(34)
    r.arrive(ipFrame(17, udp, { ...there, ipOptions: [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0] }))
    const [recorded] = r.left(1)
    expect([...recorded.packet.slice(20, 32)]).toEqual([7, 11, 8, 10, 0, 0, 129, 0, 0, 0, 0, 0])
    r.arrive(ipFrame(17, udp, { ...there, ipOptions: [68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0] }))
    const [stamped] = r.left(1)
    expect([...stamped.packet.slice(20, 29)]).toEqual([68, 12, 13, 1, 10, 0, 0, 129, 0x80])
    expect([recorded, stamped].map((p) => parseTransport(p.packet, 'ip').ipChecksumOk)).toEqual([true, true])
    r.arrive(ipFrame(17, udp, { ...there, ipOptions: [131, 7, 4, 10, 0, 0, 130, 0] }))
    expect([r.left(1).length, r.left(0).map(icmpWords)]).toEqual([0, ['10.0.0.1: 3 5']])
  })
})

describe('IPv6 only', () => {
  /** With the first two bytes of an address changed. */
  const with2 = (at: 22 | 38, high: number, low: number): Uint8Array => {
    const { bytes } = udpFrame({ ...there, family: 6, payload: noise(60, 1) })
    bytes[at] = high
    bytes[at + 1] = low
    return bytes
  }

  it('link-local addresses stay on their link; the sender of one hears that he is beyond his scope', () => {
    const r = new Router()
    r.arrive(with2(38, 0xfe, 0x80))
    r.eth0.addNeighbor('fe80::2', Uint8Array.of(2, 0, 0, 0, 0, 0x0a))
    r.arrive(with2(22, 0xfe, 0x80))
    const said = r.left(0)
    expect(said.map((p) => icmpWords(p).split(': ').at(-1))).toEqual(['1 2'])
    expect(r.left(1)).toEqual([])
    expect(r.stack.counters().ip6).toMatchObject({ ip6DropNotForUs: 1, ip6DropBeyondScope: 1 })
  })

  it('what is nobody’s address goes nowhere, not by IPv4 either', () => {
    const r = new Router()
    r.stack.addRoute('::/0', 'fd00::82', r.eth1)
    const mapped = udpFrame({ ...there, family: 6, payload: noise(60, 1) }).bytes
    mapped.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 130], 38)
    r.arrive(mapped)
    const loopback = udpFrame({ ...there, family: 6, payload: noise(60, 1) }).bytes
    loopback.fill(0, 22, 37)
    loopback[37] = 1
    r.arrive(loopback)
    expect([r.left(0), r.left(1)]).toEqual([[], []])
    r.arrive(with2(38, 0x20, 0x01))
    expect(r.left(1).length).toBe(1)
  })

  it('checksums that the link vouched for are vouched for further on', () => {
    const r = new Router()
    r.arrive(udpFrame({ ...there, family: 6, payload: noise(60, 1) }).bytes, CSUM_VALID)
    expect(r.left(1)[0].meta).toBe(CSUM_VALID)
  })
})
