import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hex } from '../../src/base/bytes.ts'
import {
  type Duid,
  describeDuid,
  duidLl,
  duidLlt,
  formatDuid,
  isDuid,
  macOfDuid,
  makeDuid,
  parseDuid,
  readDuid,
} from '../../src/dhcp6/duid.ts'

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 5)
const some = fc.uint8Array({ minLength: 1, maxLength: 100 })
const u16 = fc.nat(65535)
const any: fc.Arbitrary<Duid> = fc.oneof(
  fc.record({
    kind: fc.constant('LLT' as const),
    hardware: u16,
    time: fc.nat(0xffffffff).map((t) => t + 946_684_800),
    address: some,
  }),
  fc.record({ kind: fc.constant('EN' as const), enterprise: fc.nat(0xffffffff), id: some }),
  fc.record({ kind: fc.constant('LL' as const), hardware: u16, address: some }),
  fc.record({ kind: fc.constant('UUID' as const), uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }) }),
  fc.record({ kind: fc.constant('other' as const), type: fc.integer({ min: 5, max: 65535 }), data: some }),
)

describe('DUIDs (RFC 8415 section 11)', () => {
  it('come back as they were made, as bytes and as text', () => {
    fc.assert(
      fc.property(any, (duid) => {
        const bytes = makeDuid(duid)
        expect(readDuid(bytes)).toEqual(duid)
        expect([...parseDuid(formatDuid(bytes))!]).toEqual([...bytes])
        expect([...parseDuid(hex(bytes))!]).toEqual([...bytes])
        expect(describeDuid(bytes)).toMatch(/^(LLT|EN|LL|UUID|type) /)
      }),
    )
  })

  it('are as the RFC shows them', () => {
    expect(formatDuid(duidLl(MAC))).toBe('00:03:00:01:02:00:00:00:00:05')
    expect(formatDuid(duidLlt(MAC, 946_684_801))).toBe('00:01:00:01:00:00:00:01:02:00:00:00:00:05')
    // Section 11.3, figure 5.
    const id = Uint8Array.of(0x0c, 0xc0, 0x84, 0xd3, 0x03, 0x00, 0x09, 0x12)
    expect(formatDuid(makeDuid({ kind: 'EN', enterprise: 32473, id }))).toBe('00:02:00:00:7e:d9:0c:c0:84:d3:03:00:09:12')
    expect(describeDuid(duidLlt(MAC, 946_684_801))).toBe('LLT ethernet 02:00:00:00:00:05 since 2000-01-01T00:00:01Z')
    const uuid = Uint8Array.from({ length: 16 }, (_, i) => i)
    expect(describeDuid(makeDuid({ kind: 'UUID', uuid }))).toBe('UUID 00010203-0405-0607-0809-0a0b0c0d0e0f')
  })

  it('give the address that they are made of', () => {
    expect([...macOfDuid(duidLl(MAC))!]).toEqual([...MAC])
    expect([...macOfDuid(duidLlt(MAC, 1e9))!]).toEqual([...MAC])
    expect(macOfDuid(makeDuid({ kind: 'LL', hardware: 6, address: MAC }))).toBeNull()
    expect(macOfDuid(makeDuid({ kind: 'EN', enterprise: 1, id: MAC }))).toBeNull()
    expect(macOfDuid(Uint8Array.of(0, 3, 0, 1))).toBeNull()
  })

  it('of any bytes are read, or are none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 140 }), (b) => {
        expect(readDuid(b) !== null).toBe(isDuid(b))
        expect(isDuid(b)).toBe(b.length >= 3 && b.length <= 130)
      }),
    )
    expect(() => makeDuid({ kind: 'EN', enterprise: 1, id: new Uint8Array(125) })).toThrow('from 3 to 130 bytes')
    expect(() => makeDuid({ kind: 'UUID', uuid: new Uint8Array(15) })).toThrow('16 bytes')
    for (const text of ['', '0', '00:03', 'zz:00:00', '00:03:0:1', '0003000']) expect(parseDuid(text)).toBeNull()
  })
})
