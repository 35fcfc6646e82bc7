import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AddressState } from '../../src/ip/interface.ts'
import { ArpWorld, arpFrame, EVERYBODY, NOBODY, OTHER_MAC, OUR_MAC, own, PEER_MAC } from '../support/arp-world.ts'

const PEER = '10.0.0.1'
const US = '10.0.0.2'

describe('requests', () => {
  test('for our address are answered to the asker, byte for byte as RFC 826 says', () => {
    const w = new ArpWorld()
    w.hearArp({})
    const [frame] = w.link.frames
    // biome-ignore format: one field to a line
    expect([...frame.bytes]).toEqual([
      2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6,
      0, 1, 8, 0, 6, 4, 0, 2,
      2, 0, 0, 0, 0, 2, 10, 0, 0, 2,
      2, 0, 0, 0, 0, 1, 10, 0, 0, 1,
      ...new Array(18).fill(0),
    ])
    expect(w.counters()).toEqual({ inRequests: 1, outReplies: 1, resolved: 1 })
  })

  test('teach us who is about to talk to us, without believing it too much', () => {
    const w = new ArpWorld()
    w.hearArp({})
    expect(w.cache.entries()).toMatchObject([{ mac: PEER_MAC, state: 'STALE', queued: 0 }])
    w.taken()
    w.send(w.neighbor(PEER), 'x')
    expect(w.takenIp()).toEqual([`${PEER_MAC} x`])
  })

  test('by unicast are answered as well', () => {
    const w = new ArpWorld()
    w.hearArp({ tha: OUR_MAC }, OUR_MAC)
    expect(w.takenArp()).toMatchObject([{ op: 2, to: PEER_MAC, spa: US, tpa: PEER }])
  })

  test('for every usable address of the interface, and for no other', () => {
    const w = new ArpWorld({}, { addresses: ['10.0.0.2/24', '10.0.0.3/24', '10.0.0.4/24', '10.0.0.5/24', '192.168.0.2/24'] })
    w.iface.addresses[1].state = AddressState.DEPRECATED
    w.iface.addresses[2].state = AddressState.TENTATIVE
    w.iface.addresses[3].state = AddressState.DUPLICATE
    for (const tpa of [
      US,
      '10.0.0.3',
      '10.0.0.4',
      '10.0.0.5',
      '10.0.0.6',
      '10.0.0.255',
      '192.168.0.2',
      '127.0.0.1',
      '224.0.0.1',
    ]) {
      w.hearArp({ tpa })
    }
    expect(w.takenArp().map((p) => p.spa)).toEqual([US, '10.0.0.3', '192.168.0.2'])
    expect(w.counters().dropNotForUs).toBe(6)
  })

  test('for others make no entry', () => {
    const w = new ArpWorld()
    w.hearArp({ tpa: '10.0.0.77' })
    expect(w.cache.size).toBe(0)
  })

  test('from another subnet are answered, but make no entry', () => {
    const w = new ArpWorld()
    w.hearArp({ spa: '172.16.0.9' })
    expect(w.takenArp()).toMatchObject([{ op: 2, tpa: '172.16.0.9' }])
    expect(w.cache.size).toBe(0)
  })

  test("that are another host's probe are answered to 0.0.0.0 and make no entry", () => {
    const w = new ArpWorld()
    w.hearArp({ spa: '0.0.0.0' })
    expect(w.takenArp()).toMatchObject([{ op: 2, to: PEER_MAC, spa: US, tha: PEER_MAC, tpa: '0.0.0.0' }])
    expect(w.cache.size).toBe(0)
  })

  test('in a flood are answered so often per second', () => {
    const w = new ArpWorld({ repliesPerSecond: 10 })
    for (let i = 0; i < 50; i++) w.hearArp({})
    expect(w.takenArp()).toHaveLength(10)
    expect(w.counters().dropReplyLimit).toBe(40)
    w.advance(1000)
    w.hearArp({})
    expect(w.takenArp()).toHaveLength(1)
  })

  test('are not answered into a full link, nor by an interface that is down', () => {
    const w = new ArpWorld()
    w.link.room = 0
    w.hearArp({})
    expect(w.counters()).toMatchObject({ dropLinkFull: 1 })
    w.link.room = 9
    w.iface.up = false
    w.hearArp({})
    expect(w.taken()).toEqual([])
  })
})

describe('gratuitous packets and replies', () => {
  test('of strangers change nothing', () => {
    const w = new ArpWorld()
    w.hearArp({ op: 1, spa: PEER, tpa: PEER })
    w.hearArp({ op: 2, spa: PEER, tpa: PEER, tha: EVERYBODY })
    w.hearArp({ op: 2, spa: PEER, tpa: US, tha: OUR_MAC }, OUR_MAC)
    expect(w.cache.size).toBe(0)
    expect(w.counters()).toEqual({ inRequests: 1, inReplies: 2, dropNotForUs: 1, dropUnsolicited: 2 })
  })

  test('of a known host move it to its new MAC', () => {
    const w = new ArpWorld()
    w.send(w.neighbor(PEER), 'x')
    w.answer(PEER)
    w.hearArp({ op: 1, sha: OTHER_MAC, spa: PEER, tpa: PEER })
    expect(w.cache.entries()).toMatchObject([{ mac: OTHER_MAC, state: 'STALE' }])
  })

  test('with a broken target still update, as RFC 826 merges before it looks at the rest', () => {
    const w = new ArpWorld()
    w.send(w.neighbor(PEER), 'x')
    w.answer(PEER)
    w.hearArp({ op: 9, sha: OTHER_MAC, spa: PEER })
    expect(w.cache.entries()).toMatchObject([{ mac: OTHER_MAC, state: 'STALE' }])
    expect(w.counters().dropOperation).toBe(1)
  })

  test('a reply for another target, MAC or by broadcast is no answer to us', () => {
    for (const [words, to] of [
      [{ tpa: '10.0.0.77' }, OUR_MAC],
      [{ tha: NOBODY }, OUR_MAC],
      [{}, EVERYBODY],
    ] as const) {
      const w = new ArpWorld()
      w.send(w.neighbor(PEER), 'x')
      w.hearArp({ ...{ op: 2, spa: PEER, tpa: US, tha: OUR_MAC }, ...words }, to)
      expect(w.state(PEER)).toBe('DELAY')
    }
  })
})

describe('malformed packets', () => {
  const patch = (at: number, ...bytes: number[]): Uint8Array => {
    const frame = arpFrame({})
    frame.set(bytes, 14 + at)
    return frame
  }

  test.each([
    ['hardware type', patch(0, 0, 6), 'dropHardwareType'],
    ['protocol type', patch(2, 0x86, 0xdd), 'dropProtocolType'],
    ['hardware length', patch(4, 8), 'dropLengths'],
    ['protocol length', patch(5, 16), 'dropLengths'],
    ['zero lengths', patch(4, 0, 0), 'dropLengths'],
    ['sender is a group MAC', patch(8, 1, 0, 0x5e, 0, 0, 1), 'dropSenderHardware'],
    ['sender is the broadcast MAC', patch(8, 255, 255, 255, 255, 255, 255), 'dropSenderHardware'],
    ['sender has no MAC', patch(8, 0, 0, 0, 0, 0, 0), 'dropSenderHardware'],
    ['sender has our MAC', patch(8, 2, 0, 0, 0, 0, 2), 'dropOwnHardware'],
    ['sender is a group', patch(14, 224, 0, 0, 1), 'dropSenderProtocol'],
    ['sender is the loopback', patch(14, 127, 0, 0, 1), 'dropSenderProtocol'],
    ['sender is everybody', patch(14, 255, 255, 255, 255), 'dropSenderProtocol'],
    ['sender is the subnet broadcast', patch(14, 10, 0, 0, 255), 'dropSenderProtocol'],
    ['sender has our address', patch(14, 10, 0, 0, 2), 'dropConflict'],
  ])('%s', (_what, frame, counter) => {
    const w = new ArpWorld()
    w.hear(frame)
    expect(w.taken()).toEqual([])
    expect(w.cache.size).toBe(0)
    expect(w.counters()).toEqual({ [counter]: 1 })
  })

  test('operation 0', () => {
    const w = new ArpWorld()
    w.hear(patch(6, 0, 0))
    expect(w.taken()).toEqual([])
    expect(w.cache.size).toBe(0)
    expect(w.counters()).toEqual({ dropOperation: 1 })
  })

  test('every truncation', () => {
    const w = new ArpWorld()
    const frame = arpFrame({})
    for (let end = 14; end < 14 + 28; end++) w.ethernet.input(frame, 0, end, 0)
    expect(w.taken()).toEqual([])
    expect(w.counters()).toEqual({ dropTooShort: 28 })
    w.ethernet.input(frame, 0, 42, 0)
    expect(w.takenArp()).toHaveLength(1)
  })

  test('mutated packets never throw, never grow anything without bound, and answer only for our address', () => {
    const mutation = fc.record({ at: fc.nat(41), value: fc.nat(255) })
    const packet = fc.record({
      op: fc.constantFrom(0, 1, 2, 3),
      spa: fc.constantFrom(PEER, US, '0.0.0.0', '10.0.0.255', '10.0.0.200', '10.9.9.9'),
      tpa: fc.constantFrom(PEER, US, '0.0.0.0', '10.0.0.3'),
      sha: fc.constantFrom(PEER_MAC, OTHER_MAC, OUR_MAC),
      to: fc.constantFrom(EVERYBODY, OUR_MAC),
      mutations: fc.array(mutation, { maxLength: 4 }),
      end: fc.integer({ min: 0, max: 60 }),
      wait: fc.constantFrom(0, 0, 1, 1000, 9000),
    })
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 60 }), (packets) => {
        const w = new ArpWorld({ maxEntries: 16, probe: true })
        const second = own('10.0.0.3/24')
        w.iface.addresses.push(second)
        w.arp.acd.add(w.iface.addresses[0], false)
        w.arp.acd.add(second, true)
        w.send(w.neighbor(PEER), 'x')
        w.send(w.neighbor('10.0.0.200'), 'x')
        for (const p of packets) {
          const frame = arpFrame(p, p.to)
          for (const m of p.mutations) frame[m.at] = m.value
          const before = frame.slice()
          w.ethernet.input(frame, 0, p.end < 50 ? 60 : p.end, 0)
          w.ethernet.input(frame, 0, p.end, 0)
          expect(frame).toEqual(before)
          w.advance(p.wait)
          expect(w.cache.size).toBeLessThanOrEqual(16)
        }
        for (const sent of w.takenArp()) {
          expect([US, '10.0.0.3', '0.0.0.0']).toContain(sent.spa)
          expect(sent.sha).toBe(OUR_MAC)
        }
        w.advance(200_000)
        expect(w.pool.inUse).toBe(0)
        expect(w.cache.size).toBe(0)
      }),
      { numRuns: 300 },
    )
  })
})
