/** The routing table against a naive twin, several next hops, and what refuses. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Address, address, commonPrefix, Prefix, prefix } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Interface } from '../../src/ip/interface.ts'
import { Multipath } from '../../src/ip/multipath.ts'
import { type RouteEntry, RouteTable } from '../../src/ip/route.ts'
import { createPipe } from '../../src/link/pipe.ts'

const [left, right] = createPipe({ medium: 'ip' })
const eth0 = new Interface(1, 'eth0', left, null)
const eth1 = new Interface(2, 'eth1', right, null)

function route(to: string, metric = 0, iface = eth0, more: Partial<RouteEntry> = {}): RouteEntry {
  return { prefix: prefix(to).network, gateway: null, iface, metric, source: null, origin: 'static', ...more }
}

/** Addresses from a small space, so that prefixes meet. */
const v4 = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 7 })).map(([a, b]) => Address.v4((a << 30) | b))
const v6 = fc
  .tuple(fc.integer({ min: 0, max: 1 }), fc.constantFrom(0, -1), fc.integer({ min: 0, max: 3 }))
  .map(([a, b, c]) => new Address(0x20010db8, a << 31, b, c))
const someAddress = fc.oneof(v4, v6)
const somePrefix = fc.tuple(someAddress, fc.nat(128)).map(([a, n]) => new Prefix(a, a.isV4 ? n % 33 : n).network)

describe('the table', () => {
  it('finds what a walk through all entries finds, whatever came and went', () => {
    const entry = fc.record({ prefix: somePrefix, metric: fc.nat(2), second: fc.boolean(), blackhole: fc.boolean() })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), fc.array(someAddress), fc.nat(39), fc.boolean(), (all, asked, keep, up) => {
        eth1.up = up
        const table = new RouteTable()
        const twin: RouteEntry[] = []
        for (const { prefix: p, metric, second, blackhole } of all) {
          const e: RouteEntry = {
            prefix: p,
            gateway: null,
            iface: second ? eth1 : eth0,
            metric,
            source: null,
            origin: 'static',
            ...(blackhole && { kind: 'blackhole' as const }),
          }
          table.add(e)
          twin.push(e)
        }
        const gone = twin.splice(keep)
        expect(table.remove((e) => gone.includes(e))).toBe(gone.length)
        const order = (e: RouteEntry): number => -e.prefix.bits * 10 + e.metric
        twin.sort((x, y) => order(x) - order(y))
        expect(table.entries).toEqual(twin)
        for (const a of asked) {
          for (const via of [null, eth0, eth1]) {
            const usable = (e: RouteEntry): boolean => e.kind === 'blackhole' || (e.iface.up && (via === null || via === e.iface))
            const sameFamily = (e: RouteEntry): boolean => e.prefix.address.isV4 === a.isV4
            const best = twin.find((e) => sameFamily(e) && commonPrefix(e.prefix.address, a, e.prefix.bits) && usable(e)) ?? null
            expect(table.lookup(a, via)).toBe(best)
          }
        }
        for (const e of twin) expect(table.at(e.prefix)).toContain(e)
        eth1.up = true
      }),
      { numRuns: 60 },
    )
  })

  it('stays fast with thousands of routes', () => {
    const table = new RouteTable()
    for (let i = 0; i < 20_000; i++) table.add(route(`${1 + (i >> 14)}.${(i >> 6) & 255}.${(i << 2) & 255}.0/24`))
    table.add(route('0.0.0.0/0', 7))
    const probe = address('77.1.2.3')
    const began = performance.now()
    for (let i = 0; i < 100_000; i++) table.lookup(probe, null)
    // A walk would take two seconds and more.
    expect(performance.now() - began).toBeLessThan(500)
    expect(table.lookup(probe, null)!.metric).toBe(7)
  })
})

describe('several next hops', () => {
  const hop = (gateway: string, iface: Interface, weight: number) => ({ gateway: address(gateway), iface, weight })
  const hops = [hop('10.0.0.1', eth0, 1), hop('10.0.1.1', eth1, 3)]
  const multipath = new Multipath(new SeededRandom(3))
  const any = address('0.0.0.0')
  const choices = (): string[] =>
    Array.from({ length: 2000 }, (_, i) => `${multipath.choose(hops, any, Address.v4(0x0b000000 + i), null).gateway}`)

  it('share the flows by weight, and a flow keeps its hop', () => {
    const first = choices()
    const share = first.filter((g) => g === '10.0.1.1').length / first.length
    expect(share).toBeGreaterThan(0.7)
    expect(share).toBeLessThan(0.8)
    expect(choices()).toEqual(first)
  })

  it('a dead one is skipped, and only its flows move', () => {
    const before = choices()
    eth0.up = false
    expect(new Set(choices())).toEqual(new Set(['10.0.1.1']))
    eth0.up = true
    expect(choices()).toEqual(before)
    expect(multipath.choose(hops, any, address('1.1.1.1'), eth0)).toBe(hops[0])
  })

  it('a route with them is usable while one is', () => {
    const table = new RouteTable()
    table.add(route('0.0.0.0/0', 0, eth0, { gateway: hops[0].gateway, hops }))
    eth0.up = false
    expect(table.lookup(address('1.1.1.1'), null)).not.toBeNull()
    expect(table.lookup(address('1.1.1.1'), eth0)).toBeNull()
    eth1.up = false
    expect(table.lookup(address('1.1.1.1'), null)).toBeNull()
    eth0.up = true
    eth1.up = true
  })
})
