import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VxvdeTable, vxvdeHeader } from '../../src/vde/vxvde.ts'

/** A frame's twelve first bytes, to `to` from `from`, where each MAC address is 02:00:00:00:x:y of a number. */
const MAC = (n: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, n >> 8, n & 255)

describe('the header of vxvde', () => {
  it("is VXLAN's: a flag and 24 bits of network", () => {
    expect([...vxvdeHeader(1)]).toEqual([8, 0, 0, 0, 0, 0, 1, 0])
    expect([...vxvdeHeader(0xabcdef)]).toEqual([8, 0, 0, 0, 0xab, 0xcd, 0xef, 0])
  })
})

describe('the table of vxvde', () => {
  it('knows who was heard, for as long as it was told to', () => {
    const table = new VxvdeTable(1024, 128, 7)
    expect(table.find(MAC(1), 0, 0)).toBeNull()
    table.learn(MAC(1), 0, '192.0.2.1', 4000, 1000)
    expect(table.find(MAC(1), 0, 1000)).toEqual({ address: '192.0.2.1', port: 4000 })
    expect(table.find(MAC(1), 0, 129_000)).not.toBeNull()
    expect(table.find(MAC(1), 0, 129_001)).toBeNull()
    expect(table.count).toBe(0)
  })

  it('counts age across the wrap of the clock, and hears again', () => {
    const table = new VxvdeTable(16, 128, 7)
    table.learn(MAC(1), 0, '192.0.2.1', 4000, 0x7fff_ff00)
    expect(table.find(MAC(1), 0, (0x7fff_ff00 + 100_000) | 0)).not.toBeNull()
    table.learn(MAC(1), 0, '192.0.2.1', 4000, (0x7fff_ff00 + 100_000) | 0)
    expect(table.find(MAC(1), 0, (0x7fff_ff00 + 200_000) | 0)).not.toBeNull()
    expect(table.find(MAC(1), 0, (0x7fff_ff00 + 300_000) | 0)).toBeNull()
  })

  it('follows who moves, and learns no groups', () => {
    const table = new VxvdeTable(1024, 128, 7)
    table.learn(MAC(1), 0, '192.0.2.1', 4000, 0)
    table.learn(MAC(1), 0, '192.0.2.2', 4001, 1)
    expect(table.find(MAC(1), 0, 1)).toEqual({ address: '192.0.2.2', port: 4001 })
    const group = Uint8Array.of(1, 0, 0x5e, 0, 0, 1)
    table.learn(group, 0, '192.0.2.1', 4000, 0)
    expect([table.count, table.find(group, 0, 0)]).toEqual([1, null])
  })

  it('learns nobody at port 0, where nothing can be sent to', () => {
    const table = new VxvdeTable(1024, 128, 7)
    table.learn(MAC(1), 0, '192.0.2.1', 4000, 0)
    table.learn(MAC(1), 0, '192.0.2.9', 0, 1)
    table.learn(MAC(2), 0, '192.0.2.9', 0, 1)
    expect([table.find(MAC(1), 0, 1), table.count]).toEqual([{ address: '192.0.2.1', port: 4000 }, 1])
  })

  it('forgets all that is behind a node that says bye', () => {
    const table = new VxvdeTable(1024, 128, 7)
    table.learn(MAC(1), 0, '192.0.2.1', 4000, 0)
    table.learn(MAC(2), 0, '192.0.2.1', 4000, 0)
    table.learn(MAC(3), 0, '192.0.2.1', 4001, 0)
    table.learn(MAC(4), 0, '192.0.2.2', 4000, 0)
    expect(table.bye('192.0.2.1', 4000)).toBe(2)
    expect([1, 2, 3, 4].map((n) => table.find(MAC(n), 0, 0)?.port)).toEqual([undefined, undefined, 4001, 4000])
  })

  it('takes a bye from nowhere for that of whoever has the port', () => {
    const table = new VxvdeTable(1024, 128, 7)
    table.learn(MAC(1), 0, '127.0.0.1', 4000, 0)
    table.learn(MAC(2), 0, '0.0.0.0', 4001, 0)
    expect([table.bye('0.0.0.0', 4000), table.bye('127.0.0.1', 4001), table.count]).toEqual([1, 1, 0])
  })

  it('never says a wrong place, whatever its size, and needs no more places than it was given', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer(),
        fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 9 }))),
        (size, seed, heard) => {
          const table = new VxvdeTable(size, 128, seed)
          const truth = new Map<number, number>()
          for (const [mac, port] of heard) {
            table.learn(MAC(mac), 0, '192.0.2.1', port, 0)
            truth.set(mac, port)
            expect(table.find(MAC(mac), 0, 0)?.port).toBe(port)
          }
          let found = 0
          for (const [mac, port] of truth) {
            const peer = table.find(MAC(mac), 0, 0)
            if (peer !== null) found++
            if (peer !== null) expect(peer.port).toBe(port)
          }
          expect(found).toBe(table.count)
          expect(table.count).toBeLessThan(size * 2)
        },
      ),
    )
  })
})
