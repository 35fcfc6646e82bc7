import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copiedOptions, IpOptions, OptionsVerdict, parseOptions, reflectOptions } from '../../src/ipv4/options.ts'

function parse(...options: number[]): { verdict: number; found: IpOptions } {
  while (options.length % 4 !== 0) options.push(0)
  const header = Uint8Array.of(...new Array<number>(20).fill(0), ...options)
  const found = new IpOptions()
  return { verdict: parseOptions(header, 0, header.length, found), found }
}

function pointerOf(...options: number[]): number | string {
  const { verdict, found } = parse(...options)
  return verdict === OptionsVerdict.MALFORMED ? found.pointer : `verdict ${verdict}`
}

describe('parseOptions', () => {
  test('finds what it knows and passes over what it does not', () => {
    const { verdict, found } = parse(1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 222, 3, 9, 68, 8, 5, 0, 0, 0, 0, 0)
    expect(verdict).toBe(OptionsVerdict.OK)
    expect(found).toMatchObject({ recordRoute: 21, routerAlert: true, timestamp: 35 })
  })

  test('nothing behind END is looked at', () => {
    expect(parse(0, 131, 200, 0).verdict).toBe(OptionsVerdict.OK)
  })

  test('source routes are named, loose and strict', () => {
    for (const kind of [131, 137]) {
      const { verdict, found } = parse(1, kind, 7, 4, 10, 0, 0, 9)
      expect(verdict).toBe(OptionsVerdict.SOURCE_ROUTE)
      expect(found.pointer).toBe(21)
    }
  })

  test('a parameter problem points at the octet at fault', () => {
    expect(pointerOf(7, 0, 0, 0)).toBe(21) // length
    expect(pointerOf(7, 1, 4, 0)).toBe(21)
    expect(pointerOf(222, 5, 0, 0)).toBe(21) // beyond the header
    expect(pointerOf(1, 1, 1, 7)).toBe(23) // kind without length
    expect(pointerOf(7, 2, 0, 0)).toBe(21) // too short for a pointer
    expect(pointerOf(7, 7, 3, 0, 0, 0, 0)).toBe(22) // pointer into the option's head
    expect(pointerOf(7, 7, 5, 0, 0, 0, 0)).toBe(22) // no room for a whole address
    expect(pointerOf(7, 7, 8, 0, 0, 0, 0)).toBe('verdict 0') // full
    expect(pointerOf(7, 3, 4, 1, 7, 3, 4)).toBe(24) // twice
    expect(pointerOf(68, 8, 4, 0, 0, 0, 0, 0)).toBe(22)
    expect(pointerOf(68, 8, 5, 2, 0, 0, 0, 0)).toBe(23) // unknown flag
    expect(pointerOf(68, 8, 5, 1, 0, 0, 0, 0)).toBe(22) // address and time need eight
    expect(pointerOf(68, 4, 5, 0xf0)).toBe(23) // overflow cannot count on
    expect(pointerOf(131, 3, 4, 131, 3, 4)).toBe(23)
  })

  test('any bytes: never throws, never points outside the header, reads nothing outside it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 15 }),
        fc.uint8Array({ minLength: 40, maxLength: 40 }),
        fc.nat(255),
        (ihl, options, around) => {
          const make = (fill: number): Uint8Array => {
            const buf = new Uint8Array(100).fill(fill)
            buf.set(options.subarray(0, ihl * 4 - 20), 30)
            return buf
          }
          const found = new IpOptions()
          const verdict = parseOptions(make(around), 10, ihl * 4, found)
          const other = new IpOptions()
          expect(parseOptions(make(~around & 255), 10, ihl * 4, other)).toBe(verdict)
          expect(other).toEqual(found)
          if (verdict !== OptionsVerdict.OK) {
            expect(found.pointer).toBeGreaterThanOrEqual(20)
            expect(found.pointer).toBeLessThan(ihl * 4)
          } else {
            // What parsed can be answered and fragmented, within 40 bytes.
            const out = new Uint8Array(40)
            const length = reflectOptions(make(0), 10, found, 0x0a000002, 1, out)
            expect(length % 4).toBe(0)
            expect(length).toBeLessThanOrEqual(40)
            expect(copiedOptions(out, length, new Uint8Array(40))).toBe(0) // neither is copied
          }
        },
      ),
      { numRuns: 3000 },
    )
  })
})

describe('reflectOptions', () => {
  function reflect(options: number[], address: number, time: number): number[] {
    const header = Uint8Array.of(...new Array<number>(20).fill(0), ...options)
    const found = new IpOptions()
    expect(parseOptions(header, 0, header.length, found)).toBe(OptionsVerdict.OK)
    const out = new Uint8Array(40)
    return [...out.subarray(0, reflectOptions(header, 0, found, address, time, out))]
  }

  test('record route: we are entered, the pointer moves, a full list is passed on', () => {
    expect(reflect([7, 7, 4, 0, 0, 0, 0, 0], 0x0a000002, 0)).toEqual([7, 7, 8, 10, 0, 0, 2, 0])
    expect(reflect([7, 7, 8, 9, 9, 9, 9, 0], 0x0a000002, 0)).toEqual([7, 7, 8, 9, 9, 9, 9, 0])
  })

  test('timestamp: only times, times with addresses, prespecified addresses, overflow', () => {
    expect(reflect([68, 8, 5, 0, 0, 0, 0, 0], 0x0a000002, 77)).toEqual([68, 8, 9, 0, 0, 0, 0, 77])
    expect(reflect([68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0], 0x0a000002, 77)).toEqual([68, 12, 13, 1, 10, 0, 0, 2, 0, 0, 0, 77])
    expect(reflect([68, 12, 5, 3, 10, 0, 0, 2, 0, 0, 0, 0], 0x0a000002, 77)).toEqual([68, 12, 13, 3, 10, 0, 0, 2, 0, 0, 0, 77])
    expect(reflect([68, 12, 5, 3, 10, 0, 0, 9, 0, 0, 0, 0], 0x0a000002, 77)).toEqual([68, 12, 5, 3, 10, 0, 0, 9, 0, 0, 0, 0])
    expect(reflect([68, 8, 9, 0x10, 0, 0, 0, 1], 0x0a000002, 77)).toEqual([68, 8, 9, 0x20, 0, 0, 0, 1])
  })

  test('other options are not reflected; both together are', () => {
    expect(reflect([148, 4, 0, 0, 1, 1, 1, 1], 0x0a000002, 0)).toEqual([])
    expect(reflect([68, 8, 5, 0, 0, 0, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0], 0x0a000002, 5)).toEqual([
      7, 7, 8, 10, 0, 0, 2, 68, 8, 9, 0, 0, 0, 0, 5, 0,
    ])
  })
})

test('copiedOptions keeps what has the copied flag', () => {
  const out = new Uint8Array(40)
  const options = Uint8Array.of(1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 130, 3, 9, 0)
  expect([...out.subarray(0, copiedOptions(options, options.length, out))]).toEqual([148, 4, 0, 0, 130, 3, 9, 0])
})
