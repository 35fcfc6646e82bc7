/** Parsing: whatever the bytes, no throw, nothing read beyond the end; what was well-formed is read as the declaration reads it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Interface } from '../../src/ip/interface.ts'
import { Packet } from '../../src/ip/packet.ts'
import { Segment } from '../../src/tcp/segment.ts'
import { tcpHeader } from '../../src/tcp/wire.ts'

function packetOf(bytes: Uint8Array): Packet {
  const p = new Packet({} as Interface)
  p.buf = bytes
  p.off = 0
  p.end = bytes.length
  return p
}

describe('Segment.parse', () => {
  it('agrees with the declaration on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 0, max: 15 }), (bytes, words) => {
        if (bytes.length > 12) bytes[12] = (words << 4) | (bytes[12] & 15)
        const p = packetOf(bytes)
        const s = new Segment(p)
        const ok = s.parse(p)
        expect(ok).toBe(bytes.length >= 20 && words >= 5 && words * 4 <= bytes.length)
        if (!ok) return
        const h = tcpHeader.decode(Buffer.from(bytes)) as Record<string, number>
        expect(s).toMatchObject({
          sourcePort: h.sourcePort,
          destinationPort: h.destinationPort,
          seq: h.sequence | 0,
          ack: h.acknowledgment | 0,
          flags: h.flags,
          wnd: h.window,
          urgent: h.urgent,
          len: bytes.length - words * 4,
        })
        expect(s.sackCount).toBeLessThanOrEqual(4)
        expect(s.off + s.len).toBe(bytes.length)
      }),
    )
  })

  it('the fast way for timestamps is the slow way', () => {
    const of = (options: number[]): Segment => {
      const bytes = new Uint8Array(20 + options.length)
      bytes[12] = (bytes.length / 4) << 4
      bytes.set(options, 20)
      const p = packetOf(bytes)
      const s = new Segment(p)
      s.windowScale = 9
      s.sackPermitted = true
      expect(s.parse(p)).toBe(true)
      return s
    }
    const ts = [8, 10, 0x80, 0, 0, 1, 0, 0, 0, 2]
    const fast = of([1, 1, ...ts])
    const slow = of([...ts, 1, 1])
    for (const s of [fast, slow]) {
      expect(s).toMatchObject({
        hasTimestamps: true,
        tsVal: 0x80000001 | 0,
        tsEcr: 2,
        windowScale: -1,
        sackPermitted: false,
        mss: 0,
      })
    }
    expect(of([0, 1, ...ts]).hasTimestamps).toBe(false) // after the end of the list
  })
})
