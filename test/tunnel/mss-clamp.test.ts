import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fault } from '../../src/link/fault.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { CSUM_PARTIAL, frameMeta, type NetIf } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { clampMss } from '../../src/tunnel/mss-clamp.ts'
import { parseTransport, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

const SYN = 2

netifConformance('MSS clamp', () => {
  const host = new VirtualHost()
  const [a, b] = createPipe()
  return { a: clampMss(a, 'mtu'), b: clampMss(b, 1000), host, settle: () => void host.run() }
})

function bench(limit: Parameters<typeof clampMss>[1], mtu = 1500, offload = true) {
  const host = new VirtualHost()
  const [a, b] = createPipe({ mtu, offload })
  const link = clampMss(a, limit)
  const [near, far] = [new RecordingSink(host), new RecordingSink(host)]
  link.attach(near)
  b.attach(far)
  const pull = (from: NetIf, sink: RecordingSink): Uint8Array[] => {
    sink.receiving = true
    while (from.receive(64));
    sink.receiving = false
    return sink.frames.splice(0)
  }
  /** Through the clamp in both directions: what comes out. */
  const through = (bytes: Uint8Array, meta = 0): [Uint8Array, Uint8Array] => {
    link.send(bytes.slice(), 0, bytes.length, meta)
    b.send(bytes.slice(), 0, bytes.length, meta)
    const [out] = pull(b, far)
    const [into] = pull(link, near)
    return [out, into]
  }
  return { link, through }
}

const mssOption = (mss: number): number[] => [2, 4, mss >> 8, mss & 255]
/** The MSS at `at` in the options of a frame. */
const mssAt = (frame: Uint8Array, family: 4 | 6, at = 0): number => {
  const i = 14 + (family === 4 ? 20 : 40) + 20 + at + 2
  return frame[i] * 256 + frame[i + 1]
}

describe('clampMss', () => {
  it.each([
    [4, 'mtu', 1440],
    [6, 'mtu', 1420],
    [4, { mtu: 1400 }, 1360],
    [6, { mtu: 1400 }, 1340],
    [4, 900, 900],
    [6, 900, 900],
  ] as const)('IPv%i, limit %o: %i', (family, limit, mss) => {
    const { link, through } = bench(limit, 1480)
    for (const flags of [SYN, SYN | 0x10]) {
      for (const frame of through(tcpFrame({ family, flags, options: mssOption(1460) }).bytes)) {
        expect(mssAt(frame, family)).toBe(mss)
        expect(parseTransport(frame, 'ethernet').checksumOk).toBe(true)
      }
    }
    expect(link.counters?.().mssClamped).toBe(4)
    expect(link.describe?.()).toMatch(/MSS at most/)
  })

  it('leaves alone what fits, what is no SYN, and what says nothing', () => {
    const { link, through } = bench(1000)
    const frames = [
      tcpFrame({ flags: SYN, options: mssOption(1000) }),
      tcpFrame({ flags: 0x10, options: mssOption(1460) }),
      tcpFrame({ flags: SYN }),
      tcpFrame({ flags: SYN, options: [1, 1, 0, 0, ...mssOption(1460)] }), // after the end of options
      tcpFrame({ flags: SYN, fragment: 0x2000, options: mssOption(1460) }),
    ]
    for (const { bytes } of frames) expectFrames(through(bytes), [bytes, bytes])
    expect(link.counters?.().mssClamped).toBe(0)
  })

  it('mends the checksum wherever the option stands, behind tags and IPv6 options too', () => {
    const { through } = bench(536)
    for (const family of [4, 6] as const) {
      for (const before of [[], [1], [1, 1], [3, 3, 7], [4, 2], [8, 10, 1, 2, 3, 4, 5, 6, 7, 8]]) {
        const options = [...before, ...mssOption(1460)]
        while (options.length % 4 > 0) options.push(1)
        for (const [frame] of [
          through(tcpFrame({ family, flags: SYN, options, vlans: before.length > 0 ? [7] : [] }).bytes),
          through(
            tcpFrame({ family, flags: SYN, options, ipOptions: family === 6 ? [6, 0, 1, 4, 0, 0, 0, 0] : [1, 1, 1, 0] }).bytes,
          ),
        ]) {
          const t = parseTransport(frame, 'ethernet')
          expect(t.checksumOk).toBe(true)
          const at = t.payload - options.length + before.length + 2
          expect(frame[at] * 256 + frame[at + 1]).toBe(536)
        }
      }
    }
  })

  it('does not touch a partial checksum, which covers no options yet', () => {
    const { through } = bench(536)
    const syn = tcpFrame({ flags: SYN, options: mssOption(1460), partial: true })
    const [out] = through(syn.bytes, frameMeta(CSUM_PARTIAL, 0, 0))
    const sum = 14 + 20 + 16
    expect(mssAt(out, 4)).toBe(536)
    expect([...out.subarray(sum, sum + 2)]).toEqual([...syn.bytes.subarray(sum, sum + 2)])
  })

  it('gives back a refused frame as it was', () => {
    const host = new VirtualHost()
    const [a, b] = createPipe({ queueFrames: 1 })
    const link = clampMss(a, 536)
    link.attach(new RecordingSink(host))
    b.attach(new RecordingSink(host))
    const { bytes } = tcpFrame({ flags: SYN, options: mssOption(1460) })
    expect(link.send(bytes.slice(), 0, bytes.length, 0)).toBe(true)
    const again = bytes.slice()
    expect(link.send(again, 0, again.length, 0)).toBe(false)
    expectFrames([again], [bytes])
    expect(link.counters?.().mssClamped).toBe(1)
  })

  it('reads options of any content without harm: all but the MSS and the checksum stay', () => {
    const { through } = bench(100, 9000)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (given) => {
        const options = [...given.subarray(0, given.length & ~3)]
        const { bytes } = tcpFrame({ flags: SYN, options })
        for (const out of through(bytes)) {
          expect(parseTransport(out, 'ethernet').checksumOk).toBe(true)
          const differ = [...out.keys()].filter((i) => out[i] !== bytes[i] && i !== 50 && i !== 51)
          expect(differ.length).toBeLessThanOrEqual(2)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('works on frames as a wire has them, too', () => {
    const { through } = bench('mtu', 1000, false)
    const [out] = through(tcpFrame({ flags: SYN, options: mssOption(1460) }).bytes)
    expect([mssAt(out, 4), parseTransport(out, 'ethernet').checksumOk]).toEqual([960, true])
  })

  it('refuses limits that no segment fits', () => {
    const [a] = createPipe({ mtu: 68 })
    for (const limit of [0, 7, 65536, 1.5, { mtu: 67 }] as const)
      expect(() => clampMss(fault(a, {}), limit)).toThrow(/Invalid MSS/)
    expect(clampMss(a, { mtu: 68 }).mtu).toBe(68)
  })
})
