import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Address, address } from '../../src/base/address.ts'
import type { Neighbor } from '../../src/ip/neighbor.ts'
import { ArpWorld, OTHER_MAC, PEER_MAC } from '../support/arp-world.ts'
import { runs } from '../support/runs.ts'

const PEER = '10.0.0.1'
const host = (i: number): string => `10.0.${(i >> 8) & 255}.${i & 255}`
const wide = { addresses: ['10.0.0.2/16'] }

function makeReachable(w: ArpWorld, text: string): Neighbor {
  const n = w.neighbor(text)
  w.send(n, 'x')
  w.answer(text)
  return n
}

describe('queue', () => {
  test('holds so many packets; the oldest goes', () => {
    const w = new ArpWorld({ maxQueuedPackets: 3 })
    const n = w.neighbor(PEER)
    for (let i = 0; i < 5; i++) w.send(n, `p${i}`)
    w.taken()
    w.answer(PEER)
    expect(w.takenIp()).toEqual([`${PEER_MAC} p2`, `${PEER_MAC} p3`, `${PEER_MAC} p4`])
    expect(w.counters().dropQueueFull).toBe(2)
  })

  test('holds so many bytes of memory, and always one packet (RFC 1122 2.3.2.2)', () => {
    const w = new ArpWorld({ maxQueuedBytes: 10_000 })
    const n = w.neighbor(PEER)
    for (let i = 0; i < 20; i++) w.send(n, 'x'.repeat(1500))
    expect(n.queue.bytes).toBeLessThanOrEqual(10_000)
    expect(n.queue.count).toBe(4)
    w.send(n, 'y'.repeat(60_000))
    expect(n.queue.count).toBe(1)
    w.taken()
    w.answer(PEER)
    expect(w.takenIp()).toEqual([`${PEER_MAC} ${'y'.repeat(60_000)}`])
    expect(w.pool.inUse).toBe(0)
  })

  test('a silent peer holds up nobody else', () => {
    const w = new ArpWorld()
    const silent = w.neighbor('10.0.0.9')
    for (let i = 0; i < 1000; i++) w.send(silent, 'x'.repeat(1400))
    const n = w.neighbor(PEER)
    w.send(n, 'hello')
    w.taken()
    w.answer(PEER)
    expect(w.takenIp()).toEqual([`${PEER_MAC} hello`])
    expect(w.send(n, 'more')).toBe(true)
    expect(w.takenIp()).toEqual([`${PEER_MAC} more`])
  })

  test('many silent peers together are bounded, and still leave each its latest packet', () => {
    const w = new ArpWorld({ maxQueuedBytes: 8192 }, wide)
    for (let i = 0; i < 200; i++) {
      const n = w.neighbor(host(1000 + i))
      for (let k = 0; k < 4; k++) w.send(n, `${i}.${k}`)
    }
    // 16 queues' worth, and one packet for each of the others.
    expect(w.pool.inUse).toBeLessThanOrEqual(16 * 8192 + 200 * 2048)
    w.taken()
    w.answer(host(1199))
    expect(w.takenIp()).toEqual([`${PEER_MAC} 199.3`])
  })
})

describe('floods', () => {
  test('10,000 addresses scanned: bounded entries and requests; no REACHABLE one is lost; others still resolve', () => {
    const w = new ArpWorld({ reachableTimeMs: 600_000 }, wide)
    const known: Neighbor[] = []
    for (let i = 0; i < 400; i++) {
      known.push(makeReachable(w, host(30_000 + i)))
      if (i % 200 === 199) w.advance(1000)
    }
    w.advance(5000)
    w.taken()
    const asked = new Map<string, number>()
    const seconds = new Map<number, number>()
    let resolved = false
    for (let i = 0; i < 10_000; i++) {
      w.send(w.neighbor(host(2000 + i)), 'scan')
      if (i % 10 === 0) w.advance(5)
      if (i === 5000) w.send(w.neighbor(PEER), 'wanted')
      for (const p of w.takenArp()) {
        const last = asked.get(p.tpa)
        if (last !== undefined) expect(p.at - last).toBeGreaterThanOrEqual(1000)
        asked.set(p.tpa, p.at)
        const second = Math.floor(p.at / 1000)
        seconds.set(second, (seconds.get(second) ?? 0) + 1)
        if (p.tpa === PEER) {
          w.answer(PEER)
          resolved = true
        }
      }
      expect(w.cache.size).toBeLessThanOrEqual(1024)
    }
    for (const n of known) expect(n.usable).toBe(true)
    expect(resolved).toBe(true)
    expect(w.cache.find(address(PEER))?.usable).toBe(true)
    expect(w.counters().evicted).toBeGreaterThan(0)
    for (const count of seconds.values()) expect(count).toBeLessThanOrEqual(4096)
    w.advance(200_000)
    expect(w.cache.entries().every((e) => e.state === 'REACHABLE')).toBe(true)
    expect(w.pool.inUse).toBe(0)
  })

  test('a table full of open questions forgets the one asked longest ago', () => {
    const w = new ArpWorld({ maxEntries: 16 })
    for (let i = 0; i < 4; i++) {
      w.send(w.neighbor(`10.0.0.${10 + i}`), 'x')
      w.advance(300)
    }
    // 10.0.0.10 was asked for again at 1000.
    w.send(w.neighbor('10.0.0.50'), 'x')
    expect(w.cache.entries().map((e) => e.address.toString())).toEqual(['10.0.0.12', '10.0.0.13', '10.0.0.10', '10.0.0.50'])
    expect(w.counters()).toMatchObject({ evicted: 1, dropForgotten: 1, outRequests: 6 })
  })

  test('more addresses than the table holds, again and again, are still asked for once a second each', () => {
    const w = new ArpWorld({ maxEntries: 16 })
    const last = new Map<string, number>()
    for (let i = 0; i < 3000; i++) {
      w.send(w.neighbor(`10.0.0.${10 + (i % 30)}`), 'x')
      w.advance(3)
      for (const p of w.takenArp()) {
        const before = last.get(p.tpa)
        if (before !== undefined) expect(p.at - before).toBeGreaterThanOrEqual(1000)
        last.set(p.tpa, p.at)
      }
    }
    expect(last.size).toBe(30)
    expect(w.counters().solicitsDelayed).toBeGreaterThan(0)
  })

  test('forged requests from 10,000 senders fill only their own quarter', () => {
    const w = new ArpWorld({ maxEntries: 64, repliesPerSecond: 100_000 }, wide)
    const n = makeReachable(w, PEER)
    for (let i = 0; i < 10_000; i++) w.hearArp({ spa: host(2000 + i), sha: OTHER_MAC })
    expect(w.cache.size).toBe(1 + 16)
    expect(n.usable).toBe(true)
    expect(w.state(PEER)).toBe('REACHABLE')
    w.advance(100_000)
    expect(w.cache.size).toBe(0)
  })

  test('of the hosts that answered, the least recently used goes first', () => {
    const w = new ArpWorld({ maxEntries: 16 })
    const all: Neighbor[] = []
    for (let i = 0; i < 8; i++) {
      all.push(makeReachable(w, `10.0.0.${10 + i}`))
      w.advance(10)
    }
    w.send(all[0], 'still used')
    w.advance(10)
    makeReachable(w, '10.0.0.50')
    expect(w.state('10.0.0.10')).toBe('REACHABLE')
    expect(w.state('10.0.0.11')).toBe('none')
    expect(w.state('10.0.0.50')).toBe('REACHABLE')
    expect(w.cache.size).toBe(8)
    // The newcomer itself stays, though all others were used since it was.
    const late = w.neighbor('10.0.0.51')
    w.send(late, 'x')
    w.advance(10)
    for (const n of all) if (n.usable) w.send(n, 'x')
    w.send(w.neighbor('10.0.0.50'), 'x')
    w.answer('10.0.0.51')
    expect(late.usable).toBe(true)
    expect(w.cache.size).toBe(8)
  })
})

describe('objects that a route still holds', () => {
  test('come back when they are used', () => {
    const w = new ArpWorld()
    const n = makeReachable(w, PEER)
    w.cache.clear()
    expect(n.usable).toBe(false)
    n.confirm()
    w.advance(1000)
    w.taken()
    w.send(n, 'x')
    expect(w.takenArp()).toHaveLength(1)
    w.answer(PEER)
    expect(w.takenIp()).toEqual([`${PEER_MAC} x`])
    expect(w.cache.find(address(PEER))).toBe(n)
  })

  test('ask no sooner than a second after the last question', () => {
    const w = new ArpWorld()
    const n = w.neighbor(PEER)
    w.send(n, 'x')
    w.cache.clear()
    w.advance(400)
    w.send(n, 'y')
    w.advance(2000)
    expect(w.takenArp().map((p) => p.at)).toEqual([0, 1000, 2000])
  })

  test('work through the object that has taken their place, whatever its state', () => {
    const w = new ArpWorld()
    const old = makeReachable(w, PEER)
    w.cache.clear()
    w.advance(1000)
    const now = w.neighbor(PEER)
    w.send(now, 'a')
    w.send(old, 'b')
    expect(now.queue.count).toBe(2)
    w.taken()
    w.answer(PEER, OTHER_MAC)
    w.send(old, 'c')
    expect(w.takenIp()).toEqual([`${OTHER_MAC} a`, `${OTHER_MAC} b`, `${OTHER_MAC} c`])
    w.link.room = 0
    expect(w.send(old, 'd')).toBe(true)
    expect(w.send(old, 'e')).toBe(true)
    w.link.room = 9
    w.send(old, 'f') // there is room, but others were first
    expect(w.cache.flushPending()).toBe(true)
    expect(w.takenIp()).toEqual([`${OTHER_MAC} d`, `${OTHER_MAC} e`, `${OTHER_MAC} f`])
    expect(w.cache.size).toBe(1)
  })
})

describe('interface', () => {
  test('that is down loses what waits', () => {
    const w = new ArpWorld()
    w.send(w.neighbor(PEER), 'x')
    w.iface.up = false
    w.taken()
    w.answer(PEER)
    expect(w.taken()).toEqual([])
    expect(w.pool.inUse).toBe(0)
  })

  test('asks with the address of the right subnet, or any, or not at all', () => {
    const w = new ArpWorld({}, { addresses: ['192.168.1.2/24', '10.0.0.2/24'] })
    w.send(w.neighbor('10.0.0.9'))
    w.send(w.neighbor('172.16.0.1'))
    expect(w.takenArp().map((p) => p.spa)).toEqual(['10.0.0.2', '192.168.1.2'])
    const none = new ArpWorld({}, { addresses: [] })
    none.send(none.neighbor(PEER), 'x')
    none.advance(3000)
    expect(none.taken()).toEqual([])
    expect(none.counters()).toEqual({ dropNoSource: 3, failed: 1, dropUnreachable: 1 })
  })
})

test('any sequence of events leaves lists, table, timers and memory in agreement', () => {
  const hosts = 24
  const event = fc.oneof(
    fc.record({ do: fc.constant('send' as const), host: fc.nat(hosts - 1) }),
    fc.record({ do: fc.constant('answer' as const), host: fc.nat(hosts - 1), mac: fc.constantFrom(PEER_MAC, OTHER_MAC) }),
    fc.record({ do: fc.constant('hear' as const), host: fc.nat(hosts - 1), mac: fc.constantFrom(PEER_MAC, OTHER_MAC) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 500, 1000, 5000, 20_000, 61_000) }),
    fc.record({ do: fc.constant('confirm' as const), host: fc.nat(hosts - 1) }),
    fc.record({ do: fc.constant('static' as const), host: fc.nat(hosts - 1) }),
    fc.record({ do: fc.constant('delete' as const), host: fc.nat(hosts - 1) }),
    fc.record({ do: fc.constant('room' as const), frames: fc.constantFrom(0, 1, 1000) }),
    fc.record({ do: fc.constant('flush' as const) }),
    fc.record({ do: fc.constant('clear' as const) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 120 }), fc.integer(), (events, seed) => {
      const w = new ArpWorld({ maxEntries: 16, maxQueuedPackets: 4 }, { seed })
      const name = (i: number): string => `10.0.0.${100 + i}`
      const held = Array.from({ length: hosts }, (_, i) => w.neighbor(name(i)))
      let sent = 0
      let statics = 0
      for (const e of events) {
        if (e.do === 'send') {
          if (w.send(held[e.host], `p${++sent}`) === false) sent--
        } else if (e.do === 'answer') w.answer(name(e.host), e.mac)
        else if (e.do === 'hear') w.hearArp({ spa: name(e.host), sha: e.mac })
        else if (e.do === 'wait') w.advance(e.ms)
        else if (e.do === 'confirm') held[e.host].confirm()
        else if (e.do === 'static') held[e.host] = w.cache.setPermanent(address(name(e.host)), Uint8Array.of(2, 0, 0, 0, 0, 9))
        else if (e.do === 'delete') w.cache.delete(address(name(e.host)))
        else if (e.do === 'room') w.link.room = e.frames
        else if (e.do === 'flush') w.cache.flushPending()
        else w.cache.clear()
        const entries = w.cache.entries()
        statics = entries.filter((x) => x.state === 'PERMANENT').length
        expect(entries.length).toBe(w.cache.size)
        expect(entries.length - statics).toBeLessThanOrEqual(16)
        for (const x of entries) expect(w.cache.find(x.address)?.address).toBe(x.address)
        for (const n of held) if (n.list === null) expect([n.usable, n.queue.count, n.heapIndex]).toEqual([false, 0, -1])
      }
      w.link.room = Number.POSITIVE_INFINITY
      w.cache.flushPending()
      w.advance(300_000)
      // Every packet taken was sent, reported, or counted with its reason; and everybody but the user's own is forgotten.
      const c = w.counters()
      const lost = (c.dropQueueFull ?? 0) + (c.dropUnreachable ?? 0) + (c.dropForgotten ?? 0)
      expect(w.takenIp().length + lost).toBe(sent)
      expect(w.unreachable.length).toBe(c.dropUnreachable ?? 0)
      expect(w.cache.size).toBe(statics)
      expect(w.pool.inUse).toBe(0)
    }),
    { numRuns: runs(200) },
  )
})

test('lookup finds among neighbours of both families', () => {
  const w = new ArpWorld({ maxEntries: 4 })
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 9)
  const all = Array.from({ length: 100 }, (_, i) => (i & 1 ? new Address(0xfd000000 | 0, 0, 0, i) : Address.v4(0x0a000000 | i)))
  for (const a of all) w.cache.setPermanent(a, mac)
  for (const a of all) expect(w.cache.find(a)?.address.toString()).toBe(a.toString())
  for (const a of all.slice(0, 50)) w.cache.delete(a)
  expect(all.map((a) => w.cache.find(a) !== null)).toEqual(all.map((_, i) => i >= 50))
})
