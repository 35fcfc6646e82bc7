import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { Cast } from '../../src/ethernet/ethernet.ts'
import { ErrorKind, type ErrorReport } from '../../src/ip/ip.ts'
import type { Packet } from '../../src/ip/packet.ts'
import { CSUM_VALID } from '../../src/netif/netif.ts'
import { icmp6, icmp6Packet, packet6, THEM, US, udp6, World6 } from '../support/ip6-world.ts'

const ECHO = [0x12, 0x34, 0, 7, ...new Array<number>(56).fill(0xab)]

describe('echo', () => {
  it('comes back with the same data, from the address that was asked', () => {
    const w = new World6({ addresses: [`${US}/64`, 'fd00::3/64'] })
    w.arrive6(icmp6Packet(128, 0, ECHO, { to: 'fd00::3', class: 0x2b, hops: 3 }))
    const [reply] = w.read()
    expect(reply).toMatchObject({ from: 'fd00::3', to: THEM, next: 58, hops: 64, class: 0x28 })
    expect([...reply.payload.subarray(4)]).toEqual(ECHO)
    expect(reply.payload[0]).toBe(129)
    expect(w.counters6()).toMatchObject({ icmp6InEchos: 1, icmp6OutEchoReplies: 1, icmp6InMsgs: 1, icmp6OutMsgs: 1 })
  })

  it('has a right checksum whatever it carries', () => {
    const w = new World6()
    for (let size = 0; size < 40; size++) {
      for (const fill of [0, 0xff, size])
        w.arrive6(icmp6Packet(128, fill & 1, [0, 0, 0, 0, ...new Array<number>(size).fill(fill)]))
    }
    expect(w.read().length).toBe(120)
  })

  it('to all nodes is answered from an address of the interface (RFC 4443 section 4.2)', () => {
    const w = new World6()
    w.arrive6(icmp6Packet(128, 0, ECHO, { from: 'fe80::1', to: 'ff02::1' }), 0, Cast.MULTICAST)
    expect(w.read()).toMatchObject([{ from: 'fe80::2', to: 'fe80::1' }])
  })

  it('with a wrong checksum, or short, is dropped; one that is vouched for is not looked at', () => {
    const w = new World6()
    const bad = icmp6Packet(128, 0, ECHO)
    bad[60] ^= 1
    w.arrive6(bad)
    w.arrive6(packet6({ next: 58 }, new Uint8Array(7)))
    expect(w.link.sent).toEqual([])
    expect(w.counters6()).toMatchObject({ icmp6InCsumErrors: 1, icmp6DropTooShort: 1, icmp6InErrors: 2 })
    w.arrive6(bad, CSUM_VALID)
    expect(w.link.sent.length).toBe(1)
  })

  it('counts a reply that finds no way, and one that the link does not take', () => {
    const w = new World6()
    w.arrive6(icmp6Packet(128, 0, ECHO, { from: '2001:db8::1' }))
    w.link.room = 0
    w.arrive6(icmp6Packet(128, 0, ECHO))
    expect(w.counters6()).toMatchObject({ icmp6OutDropNoRoute: 1, icmp6OutDropBlocked: 1 })
  })
})

describe('messages of types that nobody knows', () => {
  it('are dropped in silence if informational', () => {
    const w = new World6()
    w.arrive6(icmp6Packet(200, 0, [0, 0, 0, 0]))
    expect(w.link.sent).toEqual([])
    expect(w.counters6()).toMatchObject({ icmp6DropUnknownType: 1, icmp6InOther: 1 })
  })

  it('reach the protocol in question if errors (RFC 4443 section 2.4 a)', () => {
    expect(reported(99, 3)).toMatchObject({ kind: ErrorKind.PARAMETER_PROBLEM, code: 'EPROTO' })
  })
})

/** An error about a TCP segment of ours, as the protocol hears it; null: it did not. */
function reported(type: number, code: number, word = [0, 0, 0, 0], quote = segment(), fields = {}): Heard | null {
  const w = new World6()
  let heard: Heard | null = null
  w.ip.register(6, {
    input: () => undefined,
    error(r: ErrorReport) {
      heard = {
        kind: r.kind,
        code: r.errorCode,
        mtu: r.mtu,
        from: `${r.source}`,
        to: `${r.destination}`,
        reporter: `${r.reporter}`,
        protocol: r.protocol,
        length: r.length,
        port: (r.quote[r.off] << 8) | r.quote[r.off + 1],
      }
    },
  })
  w.arrive6(icmp6Packet(type, code, [...word, ...quote], { from: 'fd00::99', ...fields }))
  return heard
}

interface Heard {
  kind: number
  code: string
  mtu: number
  from: string
  to: string
  reporter: string
  protocol: number
  length: number
  port: number
}

const TCP = Buffer.from([0x9c, 0x40, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0])

function segment(from = US, to = THEM): Buffer {
  return packet6({ next: 6, from, to }, TCP)
}

describe('errors about packets of ours', () => {
  it.each([
    [1, 0, ErrorKind.NET_UNREACHABLE, 'ENETUNREACH'],
    [1, 1, ErrorKind.PROHIBITED, 'EACCES'],
    [1, 2, ErrorKind.BEYOND_SCOPE, 'EHOSTUNREACH'],
    [1, 3, ErrorKind.HOST_UNREACHABLE, 'EHOSTUNREACH'],
    [1, 4, ErrorKind.PORT_UNREACHABLE, 'ECONNREFUSED'],
    [1, 6, ErrorKind.PROHIBITED, 'EACCES'],
    [3, 0, ErrorKind.TIME_EXCEEDED, 'EHOSTUNREACH'],
    [4, 0, ErrorKind.PARAMETER_PROBLEM, 'EPROTO'],
    [4, 1, ErrorKind.PROTOCOL_UNREACHABLE, 'EPROTO'],
  ])('type %i code %i', (type, code, kind, name) => {
    expect(reported(type, code)).toEqual({
      kind,
      code: name,
      mtu: 0,
      from: US,
      to: THEM,
      reporter: 'fd00::99',
      protocol: 6,
      length: 60,
      port: 40000,
    })
  })

  it('find the transport behind extension headers', () => {
    const chain = Buffer.concat([Buffer.from([60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 0, 0, 9]), TCP])
    expect(reported(1, 4, [0, 0, 0, 0], packet6({ next: 0, from: US, to: THEM }, chain))).toMatchObject({
      port: 40000,
      protocol: 6,
    })
  })

  it('say how large packets may be; never less than IPv6 asks of every link (RFC 8201 section 4)', () => {
    expect(reported(2, 0, [0, 0, 5, 100])).toMatchObject({ kind: ErrorKind.PACKET_TOO_BIG, mtu: 1380 })
    expect(reported(2, 0, [0, 1, 0, 0])).toMatchObject({ mtu: 0xffff })
    expect(reported(2, 0, [0, 0, 4, 0xff])).toBe(null)
  })

  it('are worth nothing when cut short, in the middle, about packets that we cannot have sent, or told to many', () => {
    const middle = packet6({ next: 44, from: US, to: THEM }, Buffer.concat([Buffer.from([6, 0, 0, 8, 0, 0, 0, 1]), TCP]))
    expect(reported(1, 4, [0, 0, 0, 0], segment().subarray(0, 47))).toBe(null)
    expect(reported(1, 4, [0, 0, 0, 0], Buffer.alloc(0))).toBe(null)
    expect(reported(1, 4, [0, 0, 0, 0], middle)).toBe(null)
    expect(reported(1, 4, [0, 0, 0, 0], segment('fd00::77'))).toBe(null)
    expect(reported(1, 4, [0, 0, 0, 0], segment('::ffff:10.0.0.2'))).toBe(null)
    expect(reported(1, 4, [0, 0, 0, 0], segment(US, 'ff02::5'))).toBe(null)
    expect(reported(1, 4, [0, 0, 0, 0], segment(), { to: 'ff02::1' })).toBe(null)
  })
})

describe('errors that we raise', () => {
  /** Port unreachable for a datagram that nobody listens to, unless it must not be. */
  function refused(fields = {}, cast: number = Cast.UNICAST): ReturnType<World6['read']> {
    const w = new World6()
    const to = (fields as { to?: string }).to ?? US
    const from = (fields as { from?: string }).from ?? THEM
    w.iface.groups.join(address('ff02::5'))
    w.arrive6(packet6({ next: 17, ...fields }, udp6(1000, 2000, new Uint8Array(2000), from, to)), 0, cast)
    return w.read()
  }

  it('quote as much as fits 1280 bytes, from the address that was asked', () => {
    const [sent] = refused()
    expect(sent).toMatchObject({ from: US, to: THEM, next: 58, class: 0, hops: 64 })
    expect([...sent.payload.subarray(0, 2)]).toEqual([1, 4])
    expect(sent.bytes.length).toBe(1280)
    expect(sent.payload.subarray(8).equals(packet6({ next: 17 }, udp6(1000, 2000, new Uint8Array(2000))).subarray(0, 1232))).toBe(
      true,
    )
  })

  it('never answer groups, link broadcasts, nobody or groups as sources (RFC 4443 section 2.4 e)', () => {
    expect(refused({ to: 'ff02::5', from: 'fe80::1' })).toEqual([])
    expect(refused({}, Cast.MULTICAST)).toEqual([])
    expect(refused({ from: '::' })).toEqual([])
    expect(refused({ from: 'ff02::1' })).toEqual([])
  })

  it.each([
    ['an error', [1, 4, 0, 0, 0, 0, 0, 0]],
    ['an error of a kind unknown', [77, 0, 0, 0, 0, 0, 0, 0]],
    ['a redirect', [137, 0, 0, 0, 0, 0, 0, 0]],
    ['nothing at all', []],
  ])('never answer %s', (_, message) => {
    const w = new World6()
    w.ip.register(58, {
      input: (p: Packet) => w.ip.errors.unreachable(p, ErrorKind.PROHIBITED),
      error: () => undefined,
    })
    w.arrive6(packet6({ next: 58 }, Uint8Array.from(message)))
    expect(w.counters6()).toMatchObject({ icmp6OutDropNever: 1 })
  })

  it('do answer questions, and too big even to groups', () => {
    const w = new World6()
    let action: (p: Packet) => void = (p) => w.ip.errors.unreachable(p, ErrorKind.PROHIBITED)
    w.ip.register(58, { input: (p: Packet) => action(p), error: () => undefined })
    w.arrive6(packet6({ next: 58 }, icmp6(128, 0, ECHO)))
    expect(w.read().map((r) => r.payload[1])).toEqual([1])
    action = (p) => w.ip.errors.tooBig(p, 1400)
    w.arrive6(packet6({ next: 58, to: 'ff02::1', from: 'fe80::1' }, icmp6(128, 0, ECHO)), 0, Cast.MULTICAST)
    const [sent] = w.read()
    expect(sent.from).toBe('fe80::2')
    expect([...sent.payload.subarray(0, 8)].filter((_, i) => i < 2 || i > 3)).toEqual([2, 0, 0, 0, 5, 120])
  })

  it('are limited, for one host and for all', () => {
    const w = new World6({ config: { icmp: { errorsPerSecondPerHost: 3 } } })
    for (let i = 0; i < 10; i++) w.arrive6(packet6({ next: 17 }, udp6(1000, 2000, new Uint8Array(1))))
    expect(w.link.take().length).toBe(3)
    expect(w.counters6()).toMatchObject({ icmp6OutRateLimitHost: 7, icmp6OutDestUnreachs: 3 })
  })
})
