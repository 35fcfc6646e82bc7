import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CSUM_NONE,
  CSUM_PARTIAL,
  CSUM_VALID,
  frameMeta,
  GSO_TCP4,
  GSO_UDP,
  HEADROOM,
  type Medium,
} from '../../src/netif/netif.ts'
import { completeChecksum, type FrameTaker, Segmenter, segment } from '../../src/offload/segment.ts'
import { type BuiltFrame, noise, parseTransport, tcpFrame, udpFrame } from '../support/frames.ts'
import { expectFrames } from '../support/recording-sink.ts'
import { runs } from '../support/runs.ts'

/** Takes copies, scribbles over what it was lent, and refuses when told to. */
class Taker implements FrameTaker {
  readonly frames: Uint8Array[] = []
  readonly metas: number[] = []
  readonly phases = new Set<number>()
  /** Frames until the next refusal. */
  patience = Number.POSITIVE_INFINITY

  frame(buf: Uint8Array, start: number, end: number, meta: number): boolean {
    expect(start).toBeGreaterThanOrEqual(HEADROOM)
    const refused = this.patience-- <= 0
    if (!refused) {
      this.frames.push(buf.slice(start, end))
      this.metas.push(meta)
      this.phases.add((buf.byteOffset + start) & 3)
    }
    buf.fill(0xdd, start - HEADROOM, end)
    return !refused
  }
}

const FIN = 1
const PSH = 8
const ACK = 16
const CWR = 128

interface Shape {
  family: 4 | 6
  medium: Medium
  length: number
  gso: number
  flags: number
  tcpOptions: number
  ipOptions: number
  vlans: number
  id: number
  seq: number
  udp: boolean
  phase: number
  seed: number
}

const shape: fc.Arbitrary<Shape> = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  medium: fc.constantFrom<Medium>('ethernet', 'ip'),
  length: fc.integer({ min: 0, max: 9000 }),
  gso: fc.integer({ min: 100, max: 3000 }),
  flags: fc.constantFrom(ACK, ACK | PSH, ACK | FIN | PSH, ACK | CWR, ACK | CWR | FIN | PSH),
  tcpOptions: fc.integer({ min: 0, max: 10 }),
  ipOptions: fc.integer({ min: 0, max: 2 }),
  vlans: fc.integer({ min: 0, max: 2 }),
  id: fc.constantFrom(0, 1, 0xfffe, 0xffff),
  seq: fc.constantFrom(0, 1, 0x7fffff00, 0xffffff00 | 0),
  udp: fc.boolean(),
  phase: fc.integer({ min: 0, max: 3 }),
  seed: fc.nat(),
})

function build(s: Shape): BuiltFrame {
  const extension = s.ipOptions === 0 ? [] : [s.udp ? 17 : 6, s.ipOptions - 1, ...new Array(8 * s.ipOptions - 2).fill(0)]
  const common = {
    family: s.family,
    medium: s.medium,
    id: s.id,
    vlans: Array.from({ length: s.medium === 'ip' ? 0 : s.vlans }, (_, i) => i + 5),
    ipOptions: s.family === 4 ? new Array(4 * s.ipOptions).fill(1) : extension,
    payload: noise(s.length, s.seed),
    gso: s.gso,
  }
  if (s.udp) return udpFrame(common)
  return tcpFrame({ ...common, seq: s.seq, flags: s.flags, options: new Array(4 * s.tcpOptions).fill(1) })
}

/** What must hold for the frames that a super-frame of this shape became. */
function verify(s: Shape, whole: Uint8Array, frames: Uint8Array[]): void {
  const original = parseTransport(whole, s.medium)
  expect(frames.length).toBe(Math.max(1, Math.ceil(s.length / s.gso)))
  const payload: number[] = []
  frames.forEach((frame, i) => {
    const t = parseTransport(frame, s.medium)
    const isLast = i === frames.length - 1
    const word = (at: number): number => (frame[at] << 24) | (frame[at + 1] << 16) | (frame[at + 2] << 8) | frame[at + 3]
    expect([t.ipChecksumOk, t.checksumOk, t.end]).toEqual([true, true, frame.length])
    expect(t.end - t.payload).toBe(isLast ? s.length - i * s.gso : s.gso)
    if (s.family === 4) expect(t.id).toBe((s.id + i) & 0xffff)
    // Everything that is not length, id, checksum, sequence or flags is a copy.
    const changing = new Set([t.transport + 16, t.transport + 17, t.transport + 13, ...[4, 5, 6, 7].map((k) => t.transport + k)])
    for (const k of s.family === 4 ? [2, 3, 4, 5, 10, 11] : [4, 5]) changing.add(t.ip + k)
    for (let k = 0; k < t.payload; k++) if (!changing.has(k)) expect(frame[k], `byte ${k}`).toBe(whole[k])
    if (s.udp) {
      expect(frame[t.transport + 4] * 256 + frame[t.transport + 5]).toBe(t.end - t.transport)
    } else {
      expect(word(t.transport + 4)).toBe((s.seq + i * s.gso) | 0)
      const wanted = (isLast ? s.flags : s.flags & ~(FIN | PSH)) & (i === 0 ? 0xff : ~CWR)
      expect(frame[t.transport + 13]).toBe(wanted)
    }
    payload.push(...frame.subarray(t.payload, t.end))
  })
  expectFrames([Uint8Array.from(payload)], [whole.slice(original.payload, original.end)])
}

describe('segment', () => {
  it('makes frames that reassemble to the original, each one whole and correct', () => {
    fc.assert(
      fc.property(shape, (s) => {
        const { bytes, meta } = build(s)
        const buf = new Uint8Array(bytes.length + 40)
        buf.set(bytes, 20 + s.phase)
        const before = buf.slice()
        const taker = new Taker()
        expect(segment(buf, 20 + s.phase, 20 + s.phase + bytes.length, meta, s.medium, taker)).toBe(taker.frames.length)
        expectFrames([buf], [before]) // lent, and only read
        expect([...taker.phases]).toEqual([s.phase])
        expect(new Set(taker.metas)).toEqual(new Set([0]))
        verify(s, bytes, taker.frames)
      }),
      { numRuns: runs(150) },
    )
  })

  it('goes on after refusals with what was kept', () => {
    fc.assert(
      fc.property(shape, fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 10 }), (s, patience) => {
        const { bytes, meta } = build(s)
        const segmenter = new Segmenter()
        const taker = new Taker()
        const buf = new Uint8Array(bytes.length + s.phase)
        buf.set(bytes, s.phase)
        expect(segmenter.begin(buf, s.phase, buf.length, meta, s.medium)).toBe(true)
        for (const n of patience) {
          taker.patience = n
          if (segmenter.run(taker)) break
          segmenter.keep()
          buf.fill(0)
        }
        taker.patience = Number.POSITIVE_INFINITY
        expect(segmenter.run(taker)).toBe(true)
        expect([segmenter.done, segmenter.taken]).toEqual([true, taker.frames.length])
        verify(s, bytes, taker.frames)
      }),
      { numRuns: runs(150) },
    )
  })

  it('sums the addresses when the checksum is not partial', () => {
    const s: Shape = {
      family: 4,
      medium: 'ip',
      length: 3000,
      gso: 1000,
      flags: ACK,
      tcpOptions: 3,
      ipOptions: 0,
      vlans: 0,
      id: 7,
      seq: 9,
      udp: false,
      phase: 0,
      seed: 3,
    }
    const { bytes } = build(s)
    bytes[36] ^= 0x55 // whatever the field holds
    const taker = new Taker()
    segment(bytes, 0, bytes.length, frameMeta(CSUM_VALID, GSO_TCP4, 1000), 'ip', taker)
    verify(s, bytes, taker.frames)
  })

  it('ignores link padding behind the IP packet', () => {
    const { bytes, meta } = tcpFrame({ payload: noise(10, 1), gso: 4 })
    const padded = new Uint8Array(80)
    padded.set(bytes)
    const taker = new Taker()
    expect(segment(padded, 0, 80, meta, 'ethernet', taker)).toBe(3)
    expect(taker.frames.map((f) => f.length)).toEqual([58, 58, 56])
  })

  it('refuses what cannot be split', () => {
    const taker = new Taker()
    const { bytes, meta } = tcpFrame({ payload: noise(100, 1), gso: 40 })
    const reject = (frame: Uint8Array, m = meta): void => {
      expect(segment(frame, 0, frame.length, m, 'ethernet', taker)).toBe(-1)
    }
    reject(bytes, frameMeta(CSUM_PARTIAL, GSO_TCP4, 0))
    for (let n = 0; n < bytes.length; n++) reject(bytes.slice(0, n))
    reject(tcpFrame({ payload: noise(100, 1), fragment: 0x2000 }).bytes)
    const other = bytes.slice()
    other[12] = 0x88
    reject(other)
    const icmp = bytes.slice()
    icmp[23] = 1
    reject(icmp)
    expect(taker.frames).toEqual([])
  })

  it('never throws on noise and never reads beyond the frame', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), shape, fc.nat(), (junk, s, at) => {
        const { bytes, meta } = build({ ...s, length: Math.min(s.length, 300) })
        bytes.set(junk.subarray(0, Math.max(0, bytes.length - (at % bytes.length))), at % bytes.length)
        const taker = new Taker()
        const n = segment(bytes, 0, bytes.length, meta, s.medium, taker)
        expect(n).toBeGreaterThanOrEqual(-1)
        completeChecksum(bytes, 0, bytes.length, s.medium)
      }),
      { numRuns: runs(300) },
    )
  })
})

describe('completeChecksum', () => {
  it('agrees with the naive sum', () => {
    fc.assert(
      fc.property(shape, (s) => {
        const { bytes } = build({ ...s, gso: 65535 })
        const at = completeChecksum(bytes, 0, bytes.length, s.medium)
        const t = parseTransport(bytes, s.medium)
        expect(at).toBe(t.transport + (s.udp ? 6 : 16))
        expect(t.checksumOk).toBe(true)
      }),
    )
  })

  it('writes a UDP checksum of zero as all ones', () => {
    // The payload is chosen so that the sum comes out as 0xffff.
    const { bytes } = udpFrame({ payload: [0, 0], partial: true })
    const probe = bytes.slice()
    completeChecksum(probe, 0, probe.length, 'ethernet')
    bytes.set(probe.subarray(40, 42), 42)
    const at = completeChecksum(bytes, 0, bytes.length, 'ethernet')
    expect([bytes[at], bytes[at + 1]]).toEqual([0xff, 0xff])
    expect(parseTransport(bytes).checksumOk).toBe(true)
  })

  it('leaves alone what is neither TCP nor UDP', () => {
    const frame = tcpFrame({ payload: noise(10, 1) }).bytes
    frame[23] = 1
    const before = frame.slice()
    expect(completeChecksum(frame, 0, frame.length, 'ethernet')).toBe(-1)
    expect(frame).toEqual(before)
    expect(frameMeta(CSUM_NONE, GSO_UDP, 5)).toBe(GSO_UDP | (5 << 5))
  })
})
