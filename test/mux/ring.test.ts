import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LEAST_RING_BYTES, RING_CONTROL_BYTES, RingReader, RingWriter, ringMemory } from '../../src/mux/ring.ts'
import { type Bell, RingLink } from '../../src/mux/ring-link.ts'
import { Offload } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { noise } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { RecordingSink } from '../support/recording-sink.ts'

const ALL = Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6 | Offload.USO

/** Two ends whose bells are tasks of one virtual host. */
function pair(offload = ALL) {
  const host = new VirtualHost()
  const ends: RingLink[] = []
  const bell = (other: number): Bell => ({
    ring: () => host.soon({ run: () => ends[other].rung() }),
    close: () => undefined,
    ref: () => undefined,
  })
  const memory = new SharedArrayBuffer(2 * ringMemory(LEAST_RING_BYTES))
  const common = { memory, ringBytes: LEAST_RING_BYTES, mac: null, mtu: 1500, offload, gsoMax: offload === 0 ? 0 : 65535 }
  const a = new RingLink({ ...common, name: 'ring.a' }, 0, bell(1))
  const b = new RingLink({ ...common, name: 'ring.b' }, 1, bell(0))
  ends.push(a, b)
  return { a, b, host, memory, settle: () => void host.run() }
}

netifConformance('rings in shared memory', () => pair())
netifConformance('rings in shared memory without offload', () => pair(0))

describe('a ring', () => {
  const ends = () => {
    const memory = new SharedArrayBuffer(ringMemory(LEAST_RING_BYTES))
    return {
      writer: new RingWriter(memory, 0, LEAST_RING_BYTES),
      reader: new RingReader(memory, 0, LEAST_RING_BYTES),
      words: new Int32Array(memory, RING_CONTROL_BYTES),
    }
  }

  it('is a queue: what goes in comes out, equal, in order and in its alignment', () => {
    const step = fc.record({
      length: fc.integer({ min: 1, max: 65_600 }),
      phase: fc.integer({ min: 0, max: 3 }),
      take: fc.nat(3),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { writer, reader } = ends()
        const twin: { bytes: Uint8Array; phase: number; meta: number }[] = []
        const sink = {
          input: (buf: Uint8Array, start: number, end: number, meta: number) => {
            const { bytes, phase, meta: sent } = twin.shift()!
            expect([end - start, (buf.byteOffset + start) & 3, meta, start >= 24]).toEqual([bytes.length, phase, sent, true])
            expect(Buffer.compare(buf.subarray(start, end), bytes)).toBe(0)
            buf.fill(0xee, start - 24, end) // lent: it may be scribbled over
          },
        }
        for (const [i, { length, phase, take }] of steps.entries()) {
          const bytes = noise(length, i)
          const buf = new Uint8Array(length + 4)
          buf.set(bytes, phase)
          const waiting = twin.reduce((sum, frame) => sum + frame.bytes.length + 40, 0)
          if (writer.push(buf, phase, phase + length, i)) twin.push({ bytes, phase, meta: i })
          else expect(waiting + 2 * length + 80).toBeGreaterThan(LEAST_RING_BYTES) // at most one gap is left at the end of the ring
          for (let n = take; n > 0 && twin.length > 0; n--) expect(reader.deliver(sink)).toBeGreaterThan(0)
        }
        while (twin.length > 0) expect(reader.deliver(sink)).toBeGreaterThan(0)
        expect([reader.deliver(sink), reader.isEmpty]).toEqual([0, true])
      }),
      { numRuns: 30 },
    )
  })

  it('takes no frame that is longer than any', () => {
    const { writer } = ends()
    expect(writer.push(new Uint8Array(70_000), 0, 70_000, 0)).toBe(false)
    expect(writer.isWaiting).toBe(false)
  })

  it('rings only for who sleeps or waits, and once', () => {
    const { writer, reader } = ends()
    const frame = new Uint8Array(60_000)
    const sink = { input: () => undefined }
    expect([reader.sleep(), writer.takeSleeper(), writer.takeSleeper()]).toEqual([true, true, false])
    while (writer.push(frame, 0, frame.length, 0));
    expect([writer.isWaiting, reader.sleep(), writer.takeSleeper()]).toEqual([true, false, false])
    const woke: boolean[] = []
    for (let i = 0; i < 4; i++) {
      reader.deliver(sink)
      woke.push(reader.takeWaiter())
    }
    expect(woke).toEqual([false, true, false, false])
    expect([writer.isWaiting, reader.isEmpty, reader.sleep()]).toEqual([false, true, true])
  })

  it.each([
    ['a length beyond any frame', 0x00ffffff],
    ['a phase that is none', 4 << 24],
    ['more than was written', 5000],
    ['a mark that leads nowhere', -1],
  ])('ends at %s', (_, word) => {
    const { writer, reader, words } = ends()
    writer.push(new Uint8Array(100), 0, 100, 0)
    words[0] = word
    let given = 0
    expect(reader.deliver({ input: () => given++ })).toBe(0)
    expect([given, reader.isBroken, reader.isEmpty]).toEqual([0, true, true])
  })
})

describe('a link over rings', () => {
  it('tells the other end of its close, after what was sent before', () => {
    const { a, b, host } = pair()
    const sink = new RecordingSink(host)
    a.attach(new RecordingSink(host))
    b.attach(sink)
    a.send(noise(100, 1), 0, 100, 0)
    a.close()
    host.run()
    expect([sink.readables, sink.closes]).toEqual([1, 0])
    sink.receiving = true
    expect(b.receive(64)).toBe(false)
    expect([sink.frames.length, sink.closes]).toEqual([1, 1])
    expect(b.send(noise(100, 1), 0, 100, 0)).toBe(true)
    expect(b.counters()).toMatchObject({ inFrames: 1, dropClosed: 1, outFrames: 0 })
  })

  it('ends when the other thread is gone, or wrote what is no frame', () => {
    const { a, b, host, memory } = pair()
    const [sinkA, sinkB] = [new RecordingSink(host), new RecordingSink(host)]
    a.attach(sinkA)
    b.attach(sinkB)
    a.send(noise(100, 1), 0, 100, 0)
    new Int32Array(memory, RING_CONTROL_BYTES)[0] = 0x00ffffff
    host.run()
    expect(b.receive(64)).toBe(false)
    expect([sinkB.frames.length, sinkB.closes]).toEqual([0, 1])
    a.peerGone()
    a.receive(64)
    expect(sinkA.closes).toBe(1)
  })

  it('rings one bell for many frames', () => {
    const { a, b, host } = pair()
    a.attach(new RecordingSink(host))
    b.attach(new RecordingSink(host))
    for (let i = 0; i < 50; i++) a.send(noise(100, i), 0, 100, 0)
    expect(a.counters()).toMatchObject({ outFrames: 50, outBells: 1 })
  })
})
