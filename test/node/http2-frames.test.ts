import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameCutter } from '../../src/node/http2-frames.ts'

const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const GOAWAY = 7

function frame(type: number, length = 5): Uint8Array {
  const out = new Uint8Array(9 + length).fill(0xee)
  out.set([length >> 16, (length >> 8) & 255, length & 255, type])
  return out
}

function joined(parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** The lengths of the pieces of these chunks. */
function pieces(cutter: FrameCutter, ...chunks: Uint8Array[]): number[] {
  const out: number[] = []
  for (const chunk of chunks) {
    for (let from = 0; from < chunk.length; ) {
      const to = cutter.cut(chunk, from)
      if (to <= from) throw new Error('no way forward')
      out.push(to - from)
      from = to
    }
  }
  return out
}

describe('pieces of HTTP/2', () => {
  it('are cut before what ends a stream that the same bytes began', () => {
    expect(pieces(new FrameCutter(false), joined([frame(HEADERS), frame(RST_STREAM, 4)]))).toEqual([14, 13])
    const many = joined([frame(HEADERS), frame(DATA), frame(RST_STREAM, 4), frame(RST_STREAM, 4)])
    expect(pieces(new FrameCutter(false), many)).toEqual([14, 14, 26])
    expect(pieces(new FrameCutter(false), joined([frame(HEADERS), frame(GOAWAY, 8), frame(HEADERS)]))).toEqual([14, 31])
  })

  it('are whole otherwise', () => {
    const usual = joined([frame(SETTINGS, 0), frame(DATA, 70_000), frame(HEADERS), frame(HEADERS)])
    expect(pieces(new FrameCutter(false), usual)).toEqual([usual.length])
    expect(pieces(new FrameCutter(false), joined([frame(RST_STREAM, 4), frame(HEADERS)]))).toEqual([27])
  })

  it('are cut between headers and data; those of a client begin with its preface', () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    expect(pieces(new FrameCutter(true), joined([preface, frame(SETTINGS, 0), frame(HEADERS), frame(DATA)]))).toEqual([47, 14])
  })

  it('are the same however the bytes come, but for a header that came in two', () => {
    const kinds = fc.constantFrom(DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY)
    fc.assert(
      fc.property(fc.array(fc.tuple(kinds, fc.nat(40)), { maxLength: 8 }), fc.boolean(), (frames, isServer) => {
        const parts = frames.map(([type, length]) => frame(type, length))
        const whole = joined(parts)
        const cuts = (chunks: Uint8Array[]): number[] => {
          let sum = 0
          const cutter = new FrameCutter(isServer)
          if (isServer) pieces(cutter, new Uint8Array(24))
          return pieces(cutter, ...chunks).map((n) => (sum += n))
        }
        const ends = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, part) => sum + part.length, 0))
        const once = cuts([whole])
        expect(once.every((end) => ends.includes(end))).toBe(true)
        // One chunk for each frame: every cut of the whole is there.
        expect(cuts(parts)).toEqual(ends)
        expect(cuts([...whole].map((byte) => Uint8Array.of(byte))).length).toBe(whole.length)
      }),
      { numRuns: 20 },
    )
  })
})
