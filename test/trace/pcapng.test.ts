import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PacketFlag, PcapngWriter } from '../../src/trace/pcapng.ts'
import { noise } from '../support/frames.ts'
import { readPcapng } from '../support/pcapng-reader.ts'
import { expectFrames } from '../support/recording-sink.ts'

class Collector {
  readonly chunks: Uint8Array[] = []
  ends = 0

  write(bytes: Uint8Array): void {
    this.chunks.push(bytes)
  }

  end(): void {
    this.ends++
  }

  get bytes(): Uint8Array {
    return Uint8Array.from(this.chunks.flatMap((c) => [...c]))
  }
}

describe('PcapngWriter', () => {
  it('writes what a strict reader reads back', () => {
    const packet = fc.record({
      id: fc.constantFrom(0, 1),
      ns: fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
      length: fc.oneof(fc.integer({ min: 1, max: 1600 }), fc.integer({ min: 60_000, max: 65_549 })),
      flags: fc.integer({ min: 0, max: 0xfff }),
      comment: fc.option(fc.string({ unit: 'grapheme', maxLength: 40 }), { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 12 }), (packets) => {
        const out = new Collector()
        const writer = new PcapngWriter(out, 'tést')
        writer.addInterface(
          { name: 'eth0', description: 'a wire – long', medium: 'ethernet', mac: Uint8Array.of(2, 0, 0, 0, 0, 1) },
          5n,
        )
        writer.addInterface({ name: 'tun0', medium: 'ip', mac: null }, 6n)
        packets.forEach((p, i) => {
          const buf = noise(p.length + 7, i)
          writer.packet(p.id, p.ns, buf, 7, 7 + p.length, p.flags, p.comment)
        })
        writer.statistics(1, 1n << 40n)
        writer.end()
        const read = readPcapng(out.bytes)
        expect(read.application).toBe('tést')
        expect(read.interfaces).toEqual([
          { linkType: 1, name: 'eth0', description: 'a wire – long', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), resolution: 9 },
          { linkType: 101, name: 'tun0', description: null, mac: null, resolution: 9 },
        ])
        const facts = ({ id, timeNs, flags, comment }: (typeof read.packets)[0]) => ({ id, timeNs, flags, comment })
        expect(read.packets.map(facts)).toEqual(
          packets.map((p) => ({ id: p.id, timeNs: p.ns, flags: p.flags, comment: p.comment ?? null })),
        )
        expectFrames(
          read.packets.map((p) => p.bytes),
          packets.map((p, i) => noise(p.length + 7, i).slice(7)),
        )
        const received = BigInt(packets.filter((p) => p.id === 1).length)
        expect(read.statistics).toEqual([{ id: 1, startNs: 6n, endNs: 1n << 40n, received }])
      }),
      { numRuns: 50 },
    )
  })

  it('buffers, and writes when asked', () => {
    const out = new Collector()
    const writer = new PcapngWriter(out)
    writer.addInterface({ name: 'x', medium: 'ethernet' }, 0n)
    expect(out.chunks.length).toBe(0)
    writer.flush()
    writer.flush()
    expect(out.chunks.length).toBe(1)
    const frame = noise(1000, 1)
    for (let i = 0; i < 100; i++) writer.packet(0, 0n, frame, 0, 1000, PacketFlag.INBOUND)
    expect(out.chunks.length).toBeGreaterThan(2)
    expect(out.chunks.length).toBeLessThan(8)
    writer.end()
    writer.end()
    expect(out.ends).toBe(1)
    const { length } = out.chunks
    writer.packet(0, 0n, frame, 0, 1000, PacketFlag.INBOUND)
    writer.flush()
    expect(out.chunks.length).toBe(length)
    expect(readPcapng(out.bytes).packets.length).toBe(100)
  })
})
