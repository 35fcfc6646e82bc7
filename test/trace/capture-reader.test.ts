import { describe, expect, it } from 'vitest'
import { type CapturedFrame, CaptureReader, directionOf } from '../../src/trace/capture-reader.ts'
import { PacketFlag, PcapngWriter } from '../../src/trace/pcapng.ts'

type Read = Omit<CapturedFrame, 'bytes'> & { bytes: number[] }

/** All frames of a file that comes in pieces of so many bytes. */
function read(file: Uint8Array, piece = file.length): Read[] {
  const frames: Read[] = []
  const reader = new CaptureReader((f) => void frames.push({ ...f, bytes: [...f.bytes] }))
  for (let at = 0; at < file.length; at += Math.max(1, piece)) reader.push(file.slice(at, at + Math.max(1, piece)))
  reader.end()
  return frames
}

/** Words of 32 bits, `n` of 16 as [n], bytes as they are. */
function words(little: boolean, ...parts: (number | [number] | Uint8Array)[]): Uint8Array {
  const out: number[] = []
  const put = (value: number, bytes: number): void => {
    const all = Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) & 255)
    out.push(...(little ? all : all.reverse()))
  }
  for (const part of parts) {
    if (part instanceof Uint8Array) out.push(...part)
    else if (typeof part === 'number') put(part, 4)
    else put(part[0], 2)
  }
  return Uint8Array.from(out)
}

const DATA = Uint8Array.of(1, 2, 3, 4)

describe('captures', () => {
  it('of our own writer come back as they were, in pieces of any size', () => {
    const chunks: Uint8Array[] = []
    const writer = new PcapngWriter({ write: (bytes) => void chunks.push(bytes.slice()) })
    const eth = writer.addInterface({ name: 'eth0', medium: 'ethernet' }, 0n)
    const tun = writer.addInterface({ name: 'tun0', medium: 'ip' }, 0n)
    writer.packet(eth, 1_700_000_000_123_456_789n, Uint8Array.of(9, 8, 7, 6, 5), 1, 5, PacketFlag.INBOUND, 'a comment')
    writer.packet(tun, 5n, DATA, 0, 3, PacketFlag.OUTBOUND | PacketFlag.CHECKSUM_NOT_READY)
    writer.statistics(eth, 6n)
    writer.end()
    const file = Uint8Array.from(chunks.flatMap((c) => [...c]))
    const expected = [
      {
        timeNs: 1_700_000_000_123_456_789n,
        bytes: [8, 7, 6, 5],
        length: 4,
        medium: 'ethernet',
        linkType: 1,
        flags: 1,
        name: 'eth0',
      },
      { timeNs: 5n, bytes: [1, 2, 3], length: 3, medium: 'ip', linkType: 101, flags: 2 | (1 << 9), name: 'tun0' },
    ]
    for (const piece of [file.length, 1, 7, 64]) expect(read(file, piece)).toEqual(expected)
    expect(read(file).map((f) => directionOf(f.flags))).toEqual(['<', '>'])
  })

  it.each([true, false])('of pcap, little-endian %s: microseconds, nanoseconds, frames that were cut', (little) => {
    const header = (magic: number, linkType: number): Uint8Array => words(little, magic, [2], [4], 0, 0, 65535, linkType)
    const micro = [...header(0xa1b2c3d4, 1), ...words(little, 1000, 250, 4, 60, DATA), ...words(little, 1001, 0, 0, 0)]
    expect(read(Uint8Array.from(micro), 5)).toMatchObject([
      { timeNs: 1_000_000_250_000n, bytes: [1, 2, 3, 4], length: 60, medium: 'ethernet', flags: 0 },
      { timeNs: 1_001_000_000_000n, bytes: [], length: 0 },
    ])
    const nano = [...header(0xa1b23c4d, 101), ...words(little, 1, 7, 4, 4, DATA)]
    expect(read(Uint8Array.from(nano))).toMatchObject([{ timeNs: 1_000_000_007n, medium: 'ip' }])
    expect(read(Uint8Array.from([...header(0xa1b2c3d4, 113), ...words(little, 1, 7, 4, 4, DATA)]))).toMatchObject([
      { medium: null, linkType: 113 },
    ])
  })

  it.each([true, false])('of pcapng, little-endian %s: sections, resolutions, offsets, blocks that are not known', (little) => {
    const block = (type: number, ...body: (number | [number] | Uint8Array)[]): Uint8Array => {
      const bytes = words(little, ...body)
      return words(little, type, bytes.length + 12, bytes, bytes.length + 12)
    }
    const section = block(0x0a0d0d0a, 0x1a2b3c4d, [1], [0], 0xffffffff, 0xffffffff)
    const resolution = words(little, [9], [1], Uint8Array.of(0x80 | 10, 0, 0, 0)) // 2^-10 s
    const offset = words(little, [14], [8], ...(little ? [100, 0] : [0, 100]))
    const file = [
      section,
      block(1, [1], [0], 0, resolution, offset, words(little, [0], [0])),
      block(0xbad, 1, 2, 3),
      block(6, 0, 0, 1536, 4, 4, DATA),
      block(3, 60, DATA),
      section,
      block(1, [101], [0], 0),
      block(6, 0, 0, 3, 4, 4, DATA),
    ]
    expect(read(Uint8Array.from(file.flatMap((b) => [...b])), 9)).toMatchObject([
      { timeNs: 101_500_000_000n, medium: 'ethernet', length: 4 },
      { timeNs: 0n, bytes: [1, 2, 3, 4], length: 60 },
      { timeNs: 3000n, medium: 'ip' },
    ])
  })

  it('that are none, or damaged, are told', () => {
    const le = (...parts: (number | [number] | Uint8Array)[]): Uint8Array => words(true, ...parts)
    const section = le(0x0a0d0d0a, 28, 0x1a2b3c4d, [1], [0], -1, -1, 28)
    const cases: [Uint8Array, string][] = [
      [new Uint8Array(0), 'it is empty'],
      [Uint8Array.of(1, 2), 'it is too short'],
      [le(1, 2, 3, 4, 5, 6), 'it begins with neither'],
      [le(0x0a0d0d0a, 28, 7, 0, 0, 0, 28), 'its byte order'],
      [Uint8Array.of(...section, ...le(6, 7, 7)), 'a block has 7 bytes'],
      [Uint8Array.of(...section, ...le(6, 16, 0, 20)), 'the two lengths'],
      [Uint8Array.of(...section, ...le(6, 32, 5, 0, 0, 0, 0, 32)), 'interface 5, which is not described'],
      [Uint8Array.of(...section, ...le(6, 16, 0, 16)), 'a frame is cut short'],
      [Uint8Array.of(...section, ...le(1, 20, 1, 0, 20), ...le(6, 32, 0, 0, 0, 9, 9, 32)), 'longer than its block'],
      [Uint8Array.of(...section, ...le(1, 20, 1, 0, 20), ...le(6, 0x7ffffff0, 0)), 'a block has'],
      [Uint8Array.of(...section, ...le(1, 20, 1)), 'ends within a frame'],
      [le(0xa1b2c3d4, 4, 0, 0, 65535, 1, 0, 0, 0x7fffffff, 0), 'frame 1 has'],
    ]
    for (const [file, why] of cases) expect(() => read(file), why).toThrow(why)
  })
})
