import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameDecoder, FrameEncoder, type Framing, largestFrame, U16BE, U16LE, U32BE } from '../../src/link/framing.ts'

/** Takes frames until it is told to refuse. */
class Taker {
  readonly frames: number[][] = []
  room = Number.POSITIVE_INFINITY

  frame(buf: Uint8Array, start: number, end: number): boolean {
    if (this.room === 0) return false
    this.room--
    this.frames.push([...buf.subarray(start, end)])
    return true
  }
}

function encoded(framing: Framing, frames: readonly (readonly number[])[]): Uint8Array {
  const encoder = new FrameEncoder(framing, new Uint8Array(1 << 16))
  for (const frame of frames) expect(encoder.add(Uint8Array.from([9, ...frame, 9]), 1, 1 + frame.length)).toBe(true)
  return encoder.bytes.slice(0, encoder.used)
}

describe('frames in a stream', () => {
  it.each([
    ['u16be', U16BE, [0, 3, 1, 2, 3]],
    ['u16le', U16LE, [3, 0, 1, 2, 3]],
    ['u32be', U32BE, [0, 0, 0, 3, 1, 2, 3]],
    ['u32le', { ...U32BE, order: 'le' }, [3, 0, 0, 0, 1, 2, 3]],
    ['the pad of usertunnel, which the length counts', { ...U16BE, pad: 2 }, [0, 5, 0, 0, 1, 2, 3]],
  ] as [string, Framing, number[]][])('%s', (_, framing, bytes) => {
    expect([...encoded(framing, [[1, 2, 3]])]).toEqual(bytes)
    const taker = new Taker()
    expect(new FrameDecoder(framing).decode(Uint8Array.from(bytes), 0, bytes.length, taker)).toBe(bytes.length)
    expect(taker.frames).toEqual([[1, 2, 3]])
  })

  const framings = fc.record({
    lengthBytes: fc.constantFrom(2 as const, 4 as const),
    order: fc.constantFrom('be' as const, 'le' as const),
    pad: fc.constantFrom(0, 2),
  })

  it('come out as they went in, however the stream is cut and whenever the taker refuses', () => {
    const frame = fc.array(fc.nat(255), { maxLength: 40 })
    const cuts = fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(
        framings,
        fc.array(frame, { maxLength: 12 }),
        cuts,
        fc.integer({ min: 1, max: 4 }),
        (framing, frames, sizes, room) => {
          const stream = encoded(framing, frames)
          const decoder = new FrameDecoder(framing)
          const taker = new Taker()
          let at = 0
          for (let i = 0; at < stream.length || decoder.refused; i++) {
            const end = Math.min(stream.length, Math.max(at, at + sizes[i % sizes.length] + (i > 500 ? 1 : 0)))
            taker.room = room
            const chunk = stream.slice(at, end)
            at += decoder.decode(chunk, 0, chunk.length, taker)
          }
          expect(taker.frames).toEqual(frames)
          expect([decoder.isPartial, decoder.badLength]).toEqual([false, -1])
        },
      ),
      { numRuns: 300 },
    )
  })

  it('end with a length that cannot be: nothing after it is read', () => {
    const taker = new Taker()
    const decoder = new FrameDecoder(U32BE)
    const bytes = Uint8Array.from([0, 0, 0, 1, 7, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 8])
    expect(decoder.decode(bytes, 0, bytes.length, taker)).toBe(5)
    expect([decoder.badLength, taker.frames]).toEqual([0xffffffff, [[7]]])
    expect(decoder.decode(bytes, 9, bytes.length, taker)).toBe(9)
    // The same when the length straddles two chunks.
    decoder.reset()
    expect(decoder.decode(bytes, 5, 7, taker)).toBe(7)
    decoder.decode(bytes, 7, bytes.length, taker)
    expect([decoder.badLength, taker.frames]).toEqual([0xffffffff, [[7]]])
  })

  it('of the largest size pass, in one chunk and in two, and no larger one', () => {
    expect([largestFrame(U16BE), largestFrame({ ...U16BE, pad: 2 })]).toEqual([65535, 65533])
    const framing: Framing = { ...U16LE, pad: 2 }
    const frame = new Uint8Array(largestFrame(framing)).fill(3)
    const encoder = new FrameEncoder(framing, new Uint8Array(65537))
    expect(encoder.add(frame, 0, frame.length)).toBe(true)
    const lengths: number[] = []
    const taker = { frame: (_: Uint8Array, start: number, end: number) => lengths.push(end - start) > 0 }
    const decoder = new FrameDecoder(framing)
    decoder.decode(encoder.bytes, 0, 65537, taker)
    decoder.decode(encoder.bytes, 0, 40_000, taker)
    decoder.decode(encoder.bytes, 40_000, 65537, taker)
    expect(lengths).toEqual([65533, 65533])
    const small = new FrameDecoder(U16BE, 100)
    small.decode(Uint8Array.from([0, 101]), 0, 2, taker)
    expect(small.badLength).toBe(101)
  })

  it('are gathered until the batch is full, and an empty one is a length alone', () => {
    const encoder = new FrameEncoder({ ...U16BE, pad: 2 }, new Uint8Array(16))
    const frame = Uint8Array.from([1, 2, 3, 4])
    expect([encoder.add(frame, 0, 4), encoder.add(frame, 0, 0), encoder.add(frame, 0, 3), encoder.used]).toEqual([
      true,
      true,
      false,
      10,
    ])
    expect([...encoder.bytes.subarray(8, 10)]).toEqual([0, 0])
    encoder.renew(new Uint8Array(16))
    expect([encoder.add(frame, 0, 3), encoder.used]).toEqual([true, 7])
  })
})
