import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Address, address } from '../../src/base/address.ts'
import { ErrorReport } from '../../src/ip/ip.ts'
import { Route } from '../../src/ip/route.ts'
import { World } from '../support/ip-world.ts'

function tooBig(w: World, mtu: number, length = 1500, to: Address = address('10.0.0.1')): boolean {
  const report = new ErrorReport()
  report.destination.copy(to)
  report.mtu = mtu
  report.length = length
  return w.ipv4.pathMtu.learn(report)
}

const PEER = address('10.0.0.1')

describe('path MTU', () => {
  test('is learned, and stale routes see it', () => {
    const w = new World()
    const route = new Route()
    w.ip.route(PEER, address('0.0.0.0'), null, route)
    expect(route.mtu).toBe(1500)
    expect(tooBig(w, 1400)).toBe(true)
    expect(route.generation).not.toBe(w.ip.generation)
    w.ip.route(PEER, address('0.0.0.0'), null, route)
    expect(route.mtu).toBe(1400)
    expect(w.ipv4.pathMtu.get(address('10.0.0.9'))).toBe(0)
  })

  test('goes only down, and not below the floor', () => {
    const w = new World()
    tooBig(w, 1400)
    expect(tooBig(w, 1450)).toBe(false)
    expect(tooBig(w, 1400)).toBe(false)
    expect(tooBig(w, 100)).toBe(true)
    expect(w.ipv4.pathMtu.get(PEER)).toBe(552)
    expect(tooBig(w, 68)).toBe(false)
    expect(tooBig(w, 68, 500, address('10.0.0.5'))).toBe(false) // nothing above the floor was sent
  })

  test('a router that does not say: the next plateau of RFC 1191 section 7.1', () => {
    for (const [length, plateau] of [
      [65535, 32000],
      [9000, 8166],
      [1500, 1492],
      [1492, 1006],
      [1006, 552],
    ]) {
      const w = new World()
      tooBig(w, 0, length)
      expect(w.ipv4.pathMtu.get(PEER)).toBe(plateau)
    }
  })

  test('nonsense (as large as what was too big, or tiny) counts as not said', () => {
    const w = new World()
    tooBig(w, 1500, 1500)
    expect(w.ipv4.pathMtu.get(PEER)).toBe(1492)
    const other = new World()
    tooBig(other, 67, 1500)
    expect(other.ipv4.pathMtu.get(PEER)).toBe(1492)
  })

  test('is forgotten after ten minutes, so that a larger one is found again', () => {
    const w = new World()
    tooBig(w, 1400)
    w.advance(300_000)
    tooBig(w, 1300, 1500, address('10.0.0.5'))
    w.advance(299_999)
    expect(w.ipv4.pathMtu.get(PEER)).toBe(1400)
    const { generation } = w.ip
    w.advance(1)
    expect([w.ipv4.pathMtu.get(PEER), w.ipv4.pathMtu.get(address('10.0.0.5'))]).toEqual([0, 1300])
    expect(w.ip.generation).not.toBe(generation)
    w.advance(300_000)
    expect(w.ipv4.pathMtu.size).toBe(0)
    expect(w.timers.next(w.clock.nowMs)).toBe(-1)
  })

  test('entries are bounded; the oldest goes', () => {
    const w = new World({ config: { ipv4: { pathMtuEntries: 3 } } })
    for (let i = 1; i <= 5; i++) tooBig(w, 1400, 1500, Address.v4(i))
    expect([1, 2, 3, 4, 5].map((i) => w.ipv4.pathMtu.get(Address.v4(i)))).toEqual([0, 0, 1400, 1400, 1400])
    w.ipv4.pathMtu.clear()
    expect(w.ipv4.pathMtu.size).toBe(0)
  })

  test('IPv6 destinations have the floor of RFC 8200: less is not believed (RFC 8201 section 4)', () => {
    const w = new World()
    tooBig(w, 1279, 1500, address('fd00::1'))
    expect(w.ipv4.pathMtu.get(address('fd00::1'))).toBe(0)
    tooBig(w, 1280, 1500, address('fd00::1'))
    expect(w.ipv4.pathMtu.get(address('fd00::1'))).toBe(1280)
  })

  test('whatever is reported in whatever order: never up, never under the floor', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(65535), fc.nat(65535)), { maxLength: 30 }), (reports) => {
        const w = new World()
        let last = 65536
        for (const [mtu, length] of reports) {
          tooBig(w, mtu, length)
          const now = w.ipv4.pathMtu.get(PEER)
          if (now === 0) continue
          expect(now).toBeLessThanOrEqual(last)
          expect(now).toBeGreaterThanOrEqual(552)
          last = now
        }
      }),
    )
  })
})
