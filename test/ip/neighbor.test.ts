import { describe, expect, test } from 'vitest'
import { address } from '../../src/base/address.ts'
import { ETHERTYPE_IPV4 } from '../../src/ethernet/wire.ts'
import { CSUM_PARTIAL, frameMeta, GSO_TCP4 } from '../../src/netif/netif.ts'
import { ArpWorld, EVERYBODY, OTHER_MAC, OUR_MAC, PEER_MAC } from '../support/arp-world.ts'

const PEER = '10.0.0.1'

/** Every number of these tests is from RFC 4861 section 10, which are the defaults. */
function world(...args: ConstructorParameters<typeof ArpWorld>): ArpWorld {
  return new ArpWorld(...args)
}

/** A peer that is REACHABLE since now. */
function reachable(w: ArpWorld) {
  const n = w.neighbor(PEER)
  w.send(n, 'first')
  w.answer(PEER)
  w.taken()
  return n
}

/** A peer that is STALE, and whose time of confirmation has passed. */
function stale(w: ArpWorld) {
  const n = reachable(w)
  w.advance(45_001)
  expect(w.state(PEER)).toBe('STALE')
  return n
}

describe('INCOMPLETE', () => {
  test('a route alone asks for nothing and takes no room', () => {
    const w = world()
    w.neighbor(PEER)
    expect(w.cache.size).toBe(0)
    expect(w.taken()).toEqual([])
  })

  test('the first packet asks everybody at once, others wait beside it', () => {
    const w = world()
    const n = w.neighbor(PEER)
    expect(w.send(n, 'one')).toBe(true)
    expect(w.send(n, 'two')).toBe(true)
    const sent = w.takenArp()
    expect(sent).toEqual([{ at: 0, to: EVERYBODY, op: 1, sha: OUR_MAC, spa: '10.0.0.2', tha: '00:00:00:00:00:00', tpa: PEER }])
    expect(w.state(PEER)).toBe('INCOMPLETE')
    expect(n.usable).toBe(false)
    expect(w.cache.entries()).toEqual([{ address: n.address, mac: null, state: 'INCOMPLETE', queued: 2 }])
  })

  test('asks three times, a second apart, then is FAILED and every packet is reported, from a timer', () => {
    const w = world()
    const n = w.neighbor(PEER)
    w.send(n, 'one')
    w.send(n, 'two')
    w.advance(2999)
    expect(w.takenArp().map((p) => p.at)).toEqual([0, 1000, 2000])
    expect(w.unreachable).toEqual([])
    w.advance(1)
    expect(w.state(PEER)).toBe('FAILED')
    expect(w.unreachable.map((u) => [u.at, u.packet, u.etherType])).toEqual([
      [3000, 'one', ETHERTYPE_IPV4],
      [3000, 'two', ETHERTYPE_IPV4],
    ])
    expect(w.unreachable[0].neighbor).toBe(n)
    expect(w.counters()).toEqual({ outRequests: 3, failed: 1, dropUnreachable: 2 })
    expect(w.pool.inUse).toBe(0)
  })

  test('an answer makes it REACHABLE and sends what waited, in order, once, with its meta', () => {
    const w = world()
    const n = w.neighbor(PEER)
    const meta = frameMeta(CSUM_PARTIAL, GSO_TCP4, 1448)
    w.send(n, 'one', meta)
    w.send(n, 'two')
    w.taken()
    w.answer(PEER)
    expect(w.state(PEER)).toBe('REACHABLE')
    expect(w.link.frames.map((f) => f.meta)).toEqual([meta, 0])
    expect(w.takenIp()).toEqual([`${PEER_MAC} one`, `${PEER_MAC} two`])
    expect(w.pool.inUse).toBe(0)
    w.advance(5000)
    expect(w.taken()).toEqual([])
    expect(w.counters()).toEqual({ outRequests: 1, inReplies: 1, resolved: 1 })
  })

  test("the peer's own request resolves it too, but only to STALE, and the packet sent makes that DELAY", () => {
    const w = world()
    w.send(w.neighbor(PEER), 'one')
    w.taken()
    w.hearArp({ spa: PEER, tpa: '10.0.0.77' })
    expect(w.takenIp()).toEqual([`${PEER_MAC} one`])
    expect(w.state(PEER)).toBe('DELAY')
  })

  test('a broadcast reply does not count as an answer to us', () => {
    const w = world()
    w.send(w.neighbor(PEER), 'one')
    w.hearArp({ op: 2, spa: PEER, tpa: PEER, tha: EVERYBODY })
    expect(w.state(PEER)).toBe('DELAY')
  })

  test('upper-layer hints mean nothing before the address is known', () => {
    const w = world()
    const n = w.neighbor(PEER)
    w.send(n)
    n.confirm()
    w.advance(3000)
    expect(w.state(PEER)).toBe('FAILED')
  })
})

describe('REACHABLE', () => {
  test('lasts 0.5 to 1.5 of the base time, drawn anew', () => {
    const times = new Set<number>()
    for (let seed = 1; seed <= 20; seed++) {
      const w = world({}, { seed })
      reachable(w)
      w.advance(14_999)
      expect(w.state(PEER)).toBe('REACHABLE')
      let ms = 14_999
      while (w.state(PEER) === 'REACHABLE') {
        w.advance(100)
        ms += 100
      }
      expect(w.state(PEER)).toBe('STALE')
      expect(ms).toBeLessThan(45_100)
      times.add(ms)
    }
    expect(times.size).toBeGreaterThan(15)
  })

  test('sending asks nothing and changes nothing', () => {
    const w = world()
    const n = reachable(w)
    for (let i = 0; i < 14; i++) {
      w.advance(1000)
      w.send(n, 'x')
    }
    expect(w.takenArp()).toEqual([])
    expect(w.state(PEER)).toBe('REACHABLE')
  })

  test('TCP progress keeps it REACHABLE for as long as it goes on, without one timer moved per hint', () => {
    const w = world()
    const n = reachable(w)
    for (let i = 0; i < 600; i++) {
      w.advance(1000)
      const armed = n.timerAt
      n.confirm()
      expect(n.timerAt).toBe(armed)
    }
    expect(w.state(PEER)).toBe('REACHABLE')
    expect(w.taken()).toEqual([])
    w.advance(45_001)
    expect(w.state(PEER)).toBe('STALE')
  })

  test('another MAC is believed, but has to prove itself', () => {
    const w = world()
    const n = reachable(w)
    w.hearArp({ sha: OTHER_MAC, spa: PEER, tpa: PEER })
    expect(w.state(PEER)).toBe('STALE')
    w.send(n, 'x')
    expect(w.takenIp()).toEqual([`${OTHER_MAC} x`])
    expect(w.state(PEER)).toBe('DELAY')
  })

  test('an unasked reply with the same MAC changes nothing', () => {
    const w = world()
    const n = reachable(w)
    const at = n.confirmedAt
    w.advance(100)
    w.answer(PEER)
    expect(w.state(PEER)).toBe('REACHABLE')
    expect(n.confirmedAt).toBe(at)
  })

  test('an advertisement that must not override only casts doubt (RFC 4861 7.2.5)', () => {
    const w = world()
    const n = reachable(w)
    n.update(0x0200, 0x99, true, false)
    expect(w.state(PEER)).toBe('STALE')
    expect([n.macHigh, n.macLow]).toEqual([0x0200, 1])
    n.update(0x0200, 0x99, true, false)
    expect([w.state(PEER), n.macLow]).toEqual(['STALE', 1])
    n.update(0x0200, 0x99, true, true)
    expect([w.state(PEER), n.macLow]).toEqual(['REACHABLE', 0x99])
  })
})

describe('STALE, DELAY and PROBE', () => {
  test('STALE and unused is forgotten after a while', () => {
    const w = world()
    const n = stale(w)
    expect(n.usable).toBe(true)
    w.advance(60_000)
    expect(w.state(PEER)).toBe('none')
    expect(w.cache.size).toBe(0)
    expect(w.timers.size).toBe(0)
  })

  test('a packet leaves at once, and begins DELAY; silence leads to unicast probes', () => {
    const w = world()
    const n = stale(w)
    expect(w.send(n, 'x')).toBe(true)
    expect(w.takenIp()).toEqual([`${PEER_MAC} x`])
    expect(w.state(PEER)).toBe('DELAY')
    w.advance(4999)
    expect(w.state(PEER)).toBe('DELAY')
    expect(w.taken()).toEqual([])
    const t = w.now + 1
    w.advance(1)
    expect(w.state(PEER)).toBe('PROBE')
    w.advance(2999)
    const probe = { to: PEER_MAC, op: 1, sha: OUR_MAC, spa: '10.0.0.2', tha: PEER_MAC, tpa: PEER }
    expect(w.takenArp()).toEqual([t, t + 1000, t + 2000].map((at) => ({ at, ...probe })))
    w.send(n, 'y')
    expect(w.takenIp()).toEqual([`${PEER_MAC} y`])
    w.advance(1)
    expect(w.state(PEER)).toBe('none')
    expect(w.unreachable).toEqual([])
  })

  test('after vain probes the next packet asks everybody: the peer may have a new MAC', () => {
    const w = world()
    const n = stale(w)
    w.send(n)
    w.advance(8000)
    w.taken()
    w.send(n, 'again')
    expect(w.takenArp().map((p) => p.to)).toEqual([EVERYBODY])
    w.answer(PEER, OTHER_MAC)
    expect(w.takenIp()).toEqual([`${OTHER_MAC} again`])
    expect(w.state(PEER)).toBe('REACHABLE')
  })

  test('progress during DELAY makes it REACHABLE without a probe', () => {
    const w = world()
    const n = stale(w)
    w.send(n)
    w.taken()
    w.advance(100)
    n.confirm()
    expect(w.state(PEER)).toBe('REACHABLE')
    w.advance(10_000)
    expect(w.taken()).toEqual([])
    expect(w.state(PEER)).toBe('REACHABLE')
  })

  test('progress during PROBE ends the probes', () => {
    const w = world()
    const n = stale(w)
    w.send(n)
    w.advance(5500)
    expect(w.takenArp()).toHaveLength(1)
    n.confirm()
    w.advance(10_000)
    expect(w.taken()).toEqual([])
    expect(w.state(PEER)).toBe('REACHABLE')
  })

  test('an answer to a probe makes it REACHABLE', () => {
    const w = world()
    const n = stale(w)
    w.send(n)
    w.advance(6500)
    w.taken()
    w.answer(PEER)
    expect(w.state(PEER)).toBe('REACHABLE')
    w.advance(5000)
    expect(w.taken()).toEqual([])
  })

  test('an answer that nobody asked for proves nothing: DELAY stays DELAY', () => {
    const w = world()
    const n = stale(w)
    w.send(n)
    w.answer(PEER)
    expect(w.state(PEER)).toBe('DELAY')
  })

  test('a hint just before the packet saves the DELAY', () => {
    const w = world()
    const n = stale(w)
    n.confirm()
    w.advance(100)
    w.send(n)
    expect(w.state(PEER)).toBe('REACHABLE')
  })

  test('the clock may wrap in the middle of all this', () => {
    const w = world({}, { start: 0x7fffffff - 20_000 })
    const n = reachable(w)
    for (let i = 0; i < 120; i++) {
      w.advance(1000)
      n.confirm()
    }
    expect(w.state(PEER)).toBe('REACHABLE')
    w.advance(45_001)
    w.send(n)
    w.advance(8000)
    expect(w.state(PEER)).toBe('none')
  })
})

describe('FAILED', () => {
  function failed(w: ArpWorld) {
    const n = w.neighbor(PEER)
    w.send(n, 'lost')
    w.advance(3000)
    w.unreachable.length = 0
    w.taken()
    return n
  }

  test('packets within the hold are reported soon, but never while they are being sent, and nothing is asked', () => {
    const w = world()
    const n = failed(w)
    expect(w.send(n, 'a')).toBe(true)
    w.send(n, 'b')
    expect(w.unreachable).toEqual([])
    w.advance(1)
    expect(w.unreachable.map((u) => u.packet)).toEqual(['a', 'b'])
    expect(w.taken()).toEqual([])
  })

  test('the hold doubles from 1 s to 20 s, and a success ends the row', () => {
    const w = world({ staleTimeMs: 600_000 })
    const n = w.neighbor(PEER)
    const asked: number[] = []
    for (let t = 0; t < 120_000; t += 50) {
      w.send(n, 'x')
      w.advance(50)
    }
    for (const p of w.takenArp()) asked.push(p.at)
    // Each round is three requests a second apart and one more second of waiting; then the hold.
    const rounds = asked.filter((_, i) => i % 3 === 0)
    const holds = rounds.slice(1).map((at, i) => at - rounds[i] - 3000)
    expect(holds.slice(0, 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 20_000, 20_000])
    for (let i = 1; i < asked.length; i++) expect(asked[i] - asked[i - 1]).toBeGreaterThanOrEqual(1000)
    expect(w.counters().dropUnreachable).toBeGreaterThan(1000)
    while (w.state(PEER) !== 'INCOMPLETE') {
      w.advance(500)
      w.send(n, 'y')
    }
    w.answer(PEER)
    expect(w.state(PEER)).toBe('REACHABLE')
    expect(n.usable).toBe(true)
    w.cache.clear()
    w.advance(1000)
    w.taken()
    w.send(n)
    w.advance(3999)
    w.taken()
    w.send(n)
    expect(w.takenArp()).toEqual([])
    w.advance(1)
    w.send(n)
    expect(w.takenArp()).toHaveLength(1)
  })

  test('speaks and is alive again', () => {
    const w = world()
    const n = failed(w)
    w.send(n, 'kept')
    w.hearArp({ spa: PEER, tpa: '10.0.0.2' })
    expect(w.takenIp()).toEqual([`${PEER_MAC} kept`])
    expect(w.state(PEER)).toBe('DELAY')
    expect(w.unreachable).toEqual([])
  })

  test('is forgotten in the end', () => {
    const w = world()
    failed(w)
    w.advance(61_000)
    expect(w.cache.size).toBe(0)
    expect(w.timers.size).toBe(0)
    expect(w.pool.inUse).toBe(0)
  })

  test('a listener that sends again from within the report does not hold up the timers', () => {
    const w = world()
    const n = failed(w)
    w.onReport = (x) => w.send(x, 'again')
    w.send(n, 'a')
    w.advance(10)
    expect(w.unreachable.map((u) => u.packet)).toEqual(['a', ...new Array(9).fill('again')])
    w.onReport = () => {}
  })

  test('a listener may forget the neighbour from within the report', () => {
    const w = world()
    const n = w.neighbor(PEER)
    w.send(n, 'a')
    w.send(n, 'b')
    w.onReport = () => w.cache.clear()
    w.advance(3000)
    expect(w.unreachable.map((u) => u.packet)).toEqual(['a'])
    expect(w.counters().dropForgotten).toBe(1)
    expect(w.cache.size).toBe(0)
    expect(w.pool.inUse).toBe(0)
  })
})

describe('PERMANENT', () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x77)

  test('is used as it is, never asked for, changed by nobody', () => {
    const w = world()
    w.cache.setPermanent(address(PEER), mac)
    const n = w.neighbor(PEER)
    w.hearArp({ sha: OTHER_MAC, spa: PEER, tpa: PEER })
    w.answer(PEER, OTHER_MAC)
    w.send(n, 'x')
    w.advance(1_000_000)
    expect(w.taken().map((f) => f.to)).toEqual(['02:00:00:00:00:77'])
    expect(w.state(PEER)).toBe('PERMANENT')
    w.cache.clear()
    expect(w.state(PEER)).toBe('PERMANENT')
  })

  test('set over an entry that waits, it sends what waited; set again, it is replaced; a route that is kept follows', () => {
    const w = world()
    const n = w.neighbor(PEER)
    w.send(n, 'waiting')
    w.taken()
    w.cache.setPermanent(address(PEER), mac)
    expect(w.takenIp()).toEqual(['02:00:00:00:00:77 waiting'])
    w.cache.setPermanent(address(PEER), Uint8Array.of(2, 0, 0, 0, 0, 0x78))
    w.send(n, 'x')
    expect(w.takenIp()).toEqual(['02:00:00:00:00:78 x'])
    expect(w.cache.size).toBe(1)
    w.advance(10_000)
    expect(w.taken()).toEqual([])
  })

  test('deleted, the route that is kept asks again', () => {
    const w = world()
    const n = w.cache.setPermanent(address(PEER), mac)
    expect(w.cache.delete(address(PEER))).toBe(true)
    expect(w.cache.delete(address(PEER))).toBe(false)
    w.send(n, 'x')
    expect(w.takenArp()).toHaveLength(1)
    w.answer(PEER)
    expect(w.takenIp()).toEqual([`${PEER_MAC} x`])
  })

  test('a group address or a wrong length is refused', () => {
    const w = world()
    for (const bad of [Uint8Array.of(1, 0, 0x5e, 0, 0, 1), new Uint8Array(5), new Uint8Array(0)]) {
      expect(() => w.cache.setPermanent(address(PEER), bad)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_MAC_ADDRESS' }))
    }
    expect(w.cache.size).toBe(0)
  })

  test('broadcast and groups need no question', () => {
    const w = world()
    w.send(w.cache.broadcast, 'all')
    w.send(w.cache.multicast(address('224.0.0.251')), 'mdns')
    w.send(w.cache.multicast(address('239.255.255.250')), 'ssdp')
    w.send(w.cache.multicast(address('ff02::1:ff00:2')), 'ns')
    expect(w.takenIp()).toEqual([
      'ff:ff:ff:ff:ff:ff all',
      '01:00:5e:00:00:fb mdns',
      '01:00:5e:7f:ff:fa ssdp',
      '33:33:ff:00:00:02 ns',
    ])
    expect(w.cache.multicast(address('224.0.0.251'))).toBe(w.cache.multicast(address('224.0.0.251')))
    expect(w.cache.size).toBe(0)
  })
})

describe('a link that is full', () => {
  test('keeps what waits, in order, until it has room', () => {
    const w = world()
    const n = w.neighbor(PEER)
    for (const text of ['one', 'two', 'three']) w.send(n, text)
    w.taken()
    w.link.room = 1
    w.answer(PEER)
    expect(w.takenIp()).toEqual([`${PEER_MAC} one`])
    expect(w.cache.entries()[0].queued).toBe(2)
    expect(w.cache.flushPending()).toBe(false)
    w.link.room = 1
    expect(w.cache.flushPending()).toBe(false)
    expect(w.takenIp()).toEqual([`${PEER_MAC} two`])
    w.link.room = 5
    expect(w.cache.flushPending()).toBe(true)
    expect(w.takenIp()).toEqual([`${PEER_MAC} three`])
    expect(w.cache.flushPending()).toBe(true)
    expect(w.pool.inUse).toBe(0)
  })

  test('a neighbour forgotten while its packets wait for the link is waited for no more', () => {
    const w = world()
    const n = w.neighbor(PEER)
    w.send(n, 'one')
    w.link.room = 0
    w.answer(PEER)
    w.cache.clear()
    w.link.room = 9
    w.taken()
    expect(w.cache.flushPending()).toBe(true)
    expect(w.taken()).toEqual([])
    expect(w.counters().dropForgotten).toBe(1)
    w.advance(1000)
    w.link.room = 0
    w.send(n, 'two')
    w.answer(PEER)
    w.cache.clear()
    w.send(n, 'three')
    w.link.room = 9
    // Asked for again: its packet waits for the answer, not for the link.
    expect(w.cache.flushPending()).toBe(true)
    expect(w.takenIp()).toEqual([])
    expect(n.queue.count).toBe(1)
  })
})
