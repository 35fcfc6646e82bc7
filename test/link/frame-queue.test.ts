import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameQueue, MAX_FRAME } from '../../src/link/frame-queue.ts'
import { HEADROOM } from '../../src/netif/netif.ts'
import { noise } from '../support/frames.ts'
import { expectFrames } from '../support/recording-sink.ts'

class Taker {
  readonly got: { bytes: Uint8Array; meta: number; phase: number }[] = []
  readonly buffers = new Set<Uint8Array>()
  during: (() => void) | null = null

  input(buf: Uint8Array, start: number, end: number, meta: number): void {
    expect(start).toBeGreaterThanOrEqual(HEADROOM)
    this.during?.()
    this.got.push({ bytes: buf.slice(start, end), meta, phase: start & 3 })
    this.buffers.add(buf)
    buf.fill(0xee, start - HEADROOM, end)
  }
}

describe('FrameQueue', () => {
  it('is a FIFO that keeps bytes, meta and alignment, whatever the order of operations', () => {
    const operation = fc.oneof(
      { weight: 3, arbitrary: fc.record({ length: fc.integer({ min: 1, max: 3000 }), phase: fc.integer({ min: 0, max: 3 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ length: fc.integer({ min: 20_000, max: 65_600 }), phase: fc.integer({ min: 0, max: 3 }) }),
      },
      { weight: 3, arbitrary: fc.record({ take: fc.integer({ min: 1, max: 12 }) }) },
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (operations, maxFrames) => {
        const queue = new FrameQueue(maxFrames, 150_000)
        const taker = new Taker()
        const twin: { bytes: Uint8Array; meta: number; phase: number }[] = []
        let seed = 0
        for (const op of operations) {
          if ('take' in op) {
            for (let i = 0; i < op.take && queue.count > 0; i++) {
              expect(queue.nextLength).toBe(twin[0].bytes.length)
              queue.deliver(taker)
              const got = taker.got.pop()!
              const wanted = twin.shift()!
              expect([got.meta, got.phase]).toEqual([wanted.meta, wanted.phase])
              expectFrames([got.bytes], [wanted.bytes])
            }
          } else {
            const bytes = noise(op.length, ++seed)
            const buf = new Uint8Array(op.length + 8)
            buf.set(bytes, op.phase)
            const had = queue.count
            if (queue.push(buf, op.phase, op.phase + op.length, seed)) twin.push({ bytes, meta: seed, phase: op.phase })
            else expect(had).toBeGreaterThan(0) // an empty queue takes any frame
          }
          expect(queue.count).toBe(twin.length)
          expect(queue.count).toBeLessThanOrEqual(maxFrames)
          expect(queue.bytes).toBe(twin.reduce((sum, f) => sum + f.bytes.length, 0))
          expect(queue.capacity).toBeLessThan(170_000)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('has limits that are numbers', () => {
    for (const value of [Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY]) {
      expect(() => new FrameQueue(value)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
      expect(() => new FrameQueue(1, value)).toThrow(/queueBytes/)
    }
  })

  it('holds nothing until the first frame and one frame of any size when the limit is tiny', () => {
    const queue = new FrameQueue(256, 1)
    expect(queue.capacity).toBe(0)
    expect(queue.push(noise(MAX_FRAME, 1), 0, MAX_FRAME, 0)).toBe(true)
    expect(queue.push(noise(60, 1), 0, 60, 0)).toBe(false)
    expect(queue.push(noise(MAX_FRAME, 1), 0, MAX_FRAME, 0)).toBe(false)
    queue.shift()
    expect([queue.count, queue.bytes, queue.nextLength]).toEqual([0, 0, -1])
    expect(queue.push(noise(60, 1), 0, 60, 0)).toBe(true)
  })

  it('uses the same memory again and again once it has its size', () => {
    const queue = new FrameQueue()
    const taker = new Taker()
    const frame = noise(1514, 1)
    for (let i = 0; i < 200; i++) queue.push(frame, 0, 1514, 0)
    while (queue.count > 0) queue.deliver(taker)
    const capacity = queue.capacity
    taker.buffers.clear()
    for (let round = 0; round < 100; round++) {
      for (let i = 0; i < 100; i++) queue.push(frame, 0, 1514, 0)
      while (queue.count > 0) queue.deliver(taker)
    }
    expect(queue.capacity).toBe(capacity)
    expect(taker.buffers.size).toBe(1)
  })

  it('may be pushed to, even so that it grows, or cleared while a frame is lent', () => {
    const queue = new FrameQueue()
    const taker = new Taker()
    const first = noise(1000, 1)
    queue.push(first, 0, 1000, 1)
    taker.during = () => {
      for (let i = 0; i < 100; i++) queue.push(noise(1000, 2), 0, 1000, 2)
    }
    queue.deliver(taker)
    expect(taker.got[0].bytes).toEqual(first)
    expect(queue.count).toBe(100)
    taker.during = () => queue.clear()
    queue.deliver(taker)
    expect(taker.got[1].bytes).toEqual(noise(1000, 2))
    expect([queue.count, queue.bytes, queue.capacity]).toEqual([0, 0, 0])
  })

  it('takes frames that are made in it, given up, or overtaken by others, in the order in which they are pushed', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 20_000, max: 65_500 }))
    const operation = fc.oneof(
      fc.record({
        make: size,
        headers: fc.integer({ min: 0, max: 90 }),
        others: fc.array(size, { maxLength: 2 }),
        isSent: fc.boolean(),
      }),
      fc.record({ take: fc.integer({ min: 1, max: 8 }) }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120 }), fc.integer({ min: 1, max: 12 }), (operations, maxFrames) => {
        const queue = new FrameQueue(maxFrames, 280_000)
        const taker = new Taker()
        const twin: Uint8Array[] = []
        let seed = 0
        for (const op of operations) {
          if ('take' in op) {
            for (let i = 0; i < op.take && queue.count > 0; i++) {
              queue.deliver(taker)
              const got = taker.got.pop()!
              expectFrames([got.bytes], [twin.shift()!])
            }
            continue
          }
          const at = queue.place(200, op.make)
          if (at < 0) {
            expect(queue.count).toBeGreaterThan(0)
            continue
          }
          expect([at & 3, at >= 200 + HEADROOM]).toEqual([0, true])
          const { memory } = queue
          const bytes = noise(op.headers + op.make, ++seed)
          memory.set(bytes, at - op.headers)
          for (const length of op.others) {
            const other = noise(length, ++seed)
            const had = queue.count
            if (queue.push(other, 0, length, 0)) twin.push(other)
            else expect(had).toBeGreaterThan(0)
          }
          if (op.isSent && queue.push(memory, at - op.headers, at + op.make, 0)) twin.push(bytes)
          else if (op.isSent) expect(queue.count).toBeGreaterThan(0)
          expect(queue.count).toBe(twin.length)
          expect(queue.bytes).toBe(twin.reduce((sum, f) => sum + f.length, 0))
          expect(queue.capacity).toBeLessThan(300_000)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('lends what was made in it where it was made', () => {
    const queue = new FrameQueue()
    const at = queue.place(200, 60_000)
    const { memory } = queue
    memory.set(noise(60_040, 1), at - 40)
    expect(queue.push(memory, at - 40, at + 60_000, 7)).toBe(true)
    let start = 0
    queue.deliver({
      input(buf, from, _end, meta) {
        start = from
        expect([buf === memory, meta]).toEqual([true, 7])
      },
    })
    expect(start).toBe(at - 40)
    expect(new FrameQueue(256, 100_000).place(200, 60_000)).toBe(0)
  })

  it('is low at half its frames and bytes', () => {
    const queue = new FrameQueue(4, 100_000)
    expect(queue.low).toBe(true)
    queue.push(noise(60_000, 1), 0, 60_000, 0)
    expect(queue.low).toBe(false)
    queue.shift()
    for (let i = 0; i < 2; i++) queue.push(noise(60, 1), 0, 60, 0)
    expect(queue.low).toBe(true)
    queue.push(noise(60, 1), 0, 60, 0)
    expect(queue.low).toBe(false)
  })
})
