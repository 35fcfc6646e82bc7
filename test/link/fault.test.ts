import { describe, expect, it } from 'vitest'
import { type FaultLink, fault } from '../../src/link/fault.ts'
import type { FaultOptions } from '../../src/link/impairments.ts'
import { createLoopback } from '../../src/link/loopback.ts'
import { createPipe, type PipeOptions } from '../../src/link/pipe.ts'
import { CSUM_PARTIAL, CSUM_VALID, frameMeta, Offload } from '../../src/netif/netif.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { type BuiltFrame, noise, parseTransport, plainFrame, tcpFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'

function pair(options: FaultOptions, pipe: PipeOptions = {}) {
  const host = new VirtualHost()
  const [a, b] = createPipe(pipe)
  return { a: fault(a, options), b: fault(b, options), host, settle: () => void host.run() }
}

netifConformance('fault without impairments', () => pair({}))
netifConformance('fault without impairments on a plain pipe', () => pair({}, { offload: false, queueFrames: 20 }), { burst: 16 })
netifConformance('fault on wire frames', () => pair({ wire: true }))
netifConformance('fault with delay and jitter', () => pair({ delay: 3, jitter: 5 }))
netifConformance('fault with a rate', () => pair({ rate: 1e9, delay: 0.25, queue: 1 << 20 }, { medium: 'ip' }))
netifConformance('fault around a loopback', () => {
  const host = new VirtualHost()
  const lo = fault(createLoopback(), { delay: 1 })
  return { a: lo, b: lo, host, settle: () => void host.run() }
})

/** A fault link `a` and, at the other end of the pipe, the bare link `b`. Both take frames as they come and note when. */
class Bench {
  readonly host = new VirtualHost()
  readonly link: FaultLink
  readonly sent: RecordingSink
  readonly back: RecordingSink
  readonly sentAt: number[] = []
  readonly backAt: number[] = []
  readonly far

  constructor(options: FaultOptions, pipe: PipeOptions = { queueFrames: 100_000, queueBytes: 1 << 28 }) {
    const [a, b] = createPipe(pipe)
    this.link = fault(a, options)
    this.far = b
    const listen = (link: FaultLink | typeof b, at: number[]): RecordingSink => {
      const sink = new RecordingSink(this.host)
      const turn = { run: () => this.take(link, sink) }
      sink.onFrame = () => void at.push(this.host.elapsedMs)
      const readable = sink.readable.bind(sink)
      sink.readable = () => {
        readable()
        this.host.soon(turn)
      }
      link.attach(sink)
      return sink
    }
    this.back = listen(this.link, this.backAt)
    this.sent = listen(b, this.sentAt)
  }

  private take(link: FaultLink | typeof this.far, sink: RecordingSink): void {
    sink.receiving = true
    while (link.receive(64));
    sink.receiving = false
  }

  send(frame: BuiltFrame | Uint8Array): boolean {
    const { bytes, meta } = frame instanceof Uint8Array ? { bytes: frame, meta: 0 } : frame
    const lent = bytes.slice()
    const taken = this.link.send(lent, 0, lent.length, meta)
    if (meta === 0) expectFrames([lent], [bytes])
    return taken
  }

  reply(frame: BuiltFrame | Uint8Array): boolean {
    const { bytes, meta } = frame instanceof Uint8Array ? { bytes: frame, meta: 0 } : frame
    return this.far.send(bytes.slice(), 0, bytes.length, meta)
  }

  /** Sends 60-byte frames numbered from 0, one every `gapMs`, and returns the numbers that arrived, in order. */
  numbers(count: number, gapMs = 0): number[] {
    const tcp = (seq: number) => tcpFrame({ seq, payload: [1, 2, 3, 4, 5, 6] })
    for (let i = 0; i < count; i++) {
      expect(this.send(tcp(i))).toBe(true)
      if (gapMs > 0) this.host.advance(gapMs)
    }
    this.host.run()
    return this.sent.frames.map((f) => (f[38] << 24) | (f[39] << 16) | (f[40] << 8) | f[41])
  }
}

const ascending = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

describe('fault', () => {
  it('loses its share, the same frames for the same seed', () => {
    const run = (seed: number) => new Bench({ loss: 0.1, seed }).numbers(5000)
    const first = run(1)
    expect(first.length).toBeGreaterThan(4350)
    expect(first.length).toBeLessThan(4650)
    expect(run(1)).toEqual(first)
    expect(run(2)).not.toEqual(first)
  })

  it('loses everything or nothing at the ends of the scale', () => {
    expect(new Bench({ loss: 1 }).numbers(50)).toEqual([])
    expect(new Bench({ loss: 0, duplicate: 0 }).numbers(50)).toEqual(ascending(50))
  })

  it('doubles frames, side by side', () => {
    const bench = new Bench({ duplicate: 0.2 })
    const got = bench.numbers(2000)
    const { sendDuplicated } = bench.link.counters!()
    expect(got.length).toBe(2000 + sendDuplicated)
    expect(sendDuplicated).toBeGreaterThan(300)
    expect(new Set(got).size).toBe(2000)
    expect(got).toEqual([...got].sort((x, y) => x - y))
  })

  it('flips exactly one bit, never in the destination address, and every flip can be noticed', () => {
    const bench = new Bench({ corrupt: 1 })
    const frame = tcpFrame({ payload: noise(40, 1) })
    for (let i = 0; i < 3000; i++) bench.send(frame)
    bench.host.run()
    expect(bench.sent.frames.length).toBe(3000)
    const bits = new Set<number>()
    for (const got of bench.sent.frames) {
      const flips = ascending(got.length).filter((k) => got[k] !== frame.bytes[k])
      expect(flips.length).toBe(1)
      const at = flips[0]
      const mask = got[at] ^ frame.bytes[at]
      expect(mask & (mask - 1)).toBe(0)
      expect(at).toBeGreaterThanOrEqual(6)
      bits.add(at * 8 + Math.log2(mask))
    }
    // Nearly every bit of the 88 bytes behind the destination was hit at least once.
    expect(bits.size).toBeGreaterThan(650)
    expect(bench.sent.metas.every((m) => m === 0)).toBe(true)
  })

  it('loses instead of corrupting what only the FCS would protect', () => {
    const bench = new Bench({ corrupt: 1 })
    const arp = plainFrame('ethernet', 60, 1)
    arp.set([8, 6], 12)
    bench.send(arp)
    bench.host.run()
    expect(bench.sent.frames).toEqual([])
    expect(bench.link.counters!()).toMatchObject({ sendCorrupted: 0, sendCorruptedLost: 1 })
  })

  it('delays in both directions, to the microsecond', () => {
    const bench = new Bench({ delay: 12.345 })
    bench.send(plainFrame('ethernet', 60, 1))
    bench.host.advance(1)
    bench.reply(plainFrame('ethernet', 60, 2))
    bench.host.run()
    expect(bench.sentAt).toEqual([12.345])
    expect(bench.backAt).toEqual([13.345])
    expect(bench.back.complaints).toEqual([])
  })

  it('may impair one direction only, or each in its way', () => {
    const oneWay = new Bench({ delay: 5, direction: 'receive' })
    oneWay.send(plainFrame('ethernet', 60, 1))
    oneWay.reply(plainFrame('ethernet', 60, 1))
    oneWay.host.run()
    expect([oneWay.sentAt, oneWay.backAt]).toEqual([[0], [5]])
    const each = new Bench({ delay: 5, send: { delay: 1 }, receive: { loss: 1 } })
    each.send(plainFrame('ethernet', 60, 1))
    each.reply(plainFrame('ethernet', 60, 1))
    each.host.run()
    expect([each.sentAt, each.backAt]).toEqual([[1], []])
    expect(each.link.counters!()).toMatchObject({ sendFrames: 1, receiveFrames: 1, receiveLost: 1, sendLost: 0 })
  })

  it('jitters without changing the order', () => {
    const bench = new Bench({ delay: 10, jitter: 20 })
    expect(bench.numbers(500, 1)).toEqual(ascending(500))
    const late = bench.sentAt.map((at, i) => at - i)
    expect(Math.min(...late)).toBeGreaterThanOrEqual(10)
    expect(Math.max(...late)).toBeLessThan(31)
    expect(new Set(late.map((x) => Math.round(x))).size).toBeGreaterThan(5)
  })

  it('holds reordered frames back so that others overtake', () => {
    const bench = new Bench({ reorder: 0.05, delay: 2, reorderDelay: 7 })
    const got = bench.numbers(1000, 1)
    expect([...got].sort((x, y) => x - y)).toEqual(ascending(1000))
    const late = got.filter((n, i) => got.slice(0, i).some((m) => m > n))
    expect(late.length).toBe(bench.link.counters!().sendReordered)
    expect(late.length).toBeGreaterThan(20)
    for (const n of late) expect(bench.sentAt[got.indexOf(n)]).toBe(n + 9)
  })

  it('serialises at its rate and drops what its queue cannot hold', () => {
    // 1 Mbit/s: 125 bytes take 1 ms. Ten may wait.
    const bench = new Bench({ rate: 1e6, queue: 1250, delay: 3 })
    for (let i = 0; i < 15; i++) bench.send(plainFrame('ethernet', 125, i))
    bench.host.run()
    expect(bench.sentAt).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    expect(bench.link.counters!()).toMatchObject({ sendQueueDropped: 5 })
    for (let i = 0; i < 2; i++) bench.send(plainFrame('ethernet', 125, i))
    const now = bench.host.elapsedMs
    bench.host.run()
    expect(bench.sentAt.slice(10)).toEqual([now + 4, now + 5])
  })

  it.each([
    ['ethernet', 4],
    ['ethernet', 6],
    ['ip', 4],
    ['ip', 6],
  ] as const)('marks what says ECT and nothing else (%s, IPv%i); the lent frame is as before', (medium, family) => {
    const bench = new Bench({ mark: 1 }, { medium, queueFrames: 100, queueBytes: 1 << 20 })
    for (const tos of [0xb8, 0xb9, 0xba, 0xbb]) {
      const { bytes } = tcpFrame({ medium, family, tos, seq: tos, payload: noise(100, tos) })
      const before = bytes.slice()
      bench.send(bytes)
      expect(bytes).toEqual(before)
    }
    bench.send(plainFrame(medium, 200, 1))
    bench.host.run()
    const want = [0xb8, 0xbb, 0xbb, 0xbb].map(
      (tos, i) => tcpFrame({ medium, family, tos, seq: 0xb8 + i, payload: noise(100, 0xb8 + i) }).bytes,
    )
    expectFrames(bench.sent.frames.slice(0, 4), want)
    expect(bench.link.counters!()).toMatchObject({ sendFrames: 5, sendMarked: 3 })
  })

  it('marks beyond a length of its queue', () => {
    // 1 Mbit/s, packets of 125 bytes: those that find more than 500 waiting.
    const bench = new Bench({ rate: 1e6, queue: 1250, markQueue: 500 }, { medium: 'ip', queueFrames: 100, queueBytes: 1 << 20 })
    for (let i = 0; i < 12; i++) bench.send(tcpFrame({ medium: 'ip', tos: 2, payload: noise(85, i) }))
    bench.host.run()
    expect(bench.sent.frames.map((f) => f[1])).toEqual([2, 2, 2, 2, 2, 3, 3, 3, 3, 3])
    expect(bench.link.counters!()).toMatchObject({ sendMarked: 5, sendQueueDropped: 2 })
  })

  it('carries one frame at a time even when its queue is smaller', () => {
    const bench = new Bench({ rate: 1e6, queue: 10 })
    for (let i = 0; i < 3; i++) bench.send(plainFrame('ethernet', 1000, i))
    bench.host.run()
    expect(bench.sentAt).toEqual([8])
  })

  it('works across the wrap of the microsecond clock', () => {
    const host = new VirtualHost({ startMs: 2147483.0 })
    const [a, b] = createPipe()
    const link = fault(a, { delay: 1, loss: 0.0001 })
    link.attach(new RecordingSink(host))
    const sink = new RecordingSink(host)
    b.attach(sink)
    const frame = plainFrame('ethernet', 60, 1)
    for (let i = 0; i < 10; i++) {
      link.send(frame, 0, 60, 0)
      host.advance(0.3)
    }
    host.run()
    sink.receiving = true
    b.receive(64)
    expect(host.elapsedMs).toBeCloseTo(3.7, 9)
    expect(sink.frames.length).toBe(10)
  })

  it('offers the offload of the link below only where it does not spoil the faults', () => {
    const all = Offload.TX_CHECKSUM | Offload.RX_CHECKSUM | Offload.TSO4 | Offload.TSO6
    const offloadWith = (options: FaultOptions) => {
      const link = fault(createPipe()[0], options)
      return [link.offload, link.gsoMax]
    }
    for (const options of [{}, { delay: 5, jitter: 1 }]) expect(offloadWith(options)).toEqual([all, 65535])
    for (const name of ['loss', 'duplicate', 'reorder', 'corrupt'] as const) expect(offloadWith({ [name]: 0.1 })).toEqual([0, 0])
    for (const options of [{ rate: 1e6 }, { receive: { loss: 0.1 } }, { wire: true }, { filter: () => true }]) {
      expect(offloadWith(options)).toEqual([0, 0])
    }
  })

  it('makes wire frames of what a link with offload delivers', () => {
    const bench = new Bench({ loss: 1e-9 })
    const data = noise(20_000, 5)
    bench.reply(tcpFrame({ payload: data, gso: 1460 }))
    bench.reply(tcpFrame({ payload: noise(10, 1), partial: true }))
    const vouched = tcpFrame({ payload: noise(10, 1) })
    bench.reply({ bytes: vouched.bytes, meta: frameMeta(CSUM_VALID, 0, 0) })
    bench.reply({ bytes: plainFrame('ethernet', 60, 1), meta: frameMeta(CSUM_PARTIAL, 0, 0) })
    bench.host.run()
    const { frames, metas } = bench.back
    expect(frames.length).toBe(14 + 2)
    expect(metas.every((m) => m === 0)).toBe(true)
    for (const f of frames) {
      expect(f.length).toBeLessThanOrEqual(1514)
      expect(parseTransport(f).checksumOk).toBe(true)
    }
    const got = frames.slice(0, 14).flatMap((f) => [...f.subarray(parseTransport(f).payload, parseTransport(f).end)])
    expectFrames([Uint8Array.from(got)], [data])
    expect(bench.link.counters!()).toMatchObject({ dropUnsplittable: 1 })
  })

  it('delays super-segments whole when there is only delay', () => {
    const bench = new Bench({ delay: 4 })
    const frame = tcpFrame({ payload: noise(20_000, 5), gso: 1460 })
    bench.send(frame)
    bench.reply(frame)
    bench.host.run()
    expect([bench.sent.metas, bench.back.metas]).toEqual([[frame.meta], [frame.meta]])
    expect([bench.sentAt, bench.backAt]).toEqual([[4], [4]])
  })

  it('can be changed while it runs, if it was made for that', () => {
    const bench = new Bench({ wire: true })
    bench.send(plainFrame('ethernet', 60, 1))
    bench.link.set({ loss: 1 }, 'send')
    bench.send(plainFrame('ethernet', 60, 2))
    bench.reply(plainFrame('ethernet', 60, 3))
    bench.link.set({ loss: 0, delay: 10 })
    bench.send(plainFrame('ethernet', 60, 4))
    expect(bench.link.underWay).toBe(1)
    bench.link.set({ delay: 0 })
    bench.host.run()
    expect([bench.sent.frames.length, bench.back.frames.length]).toEqual([2, 1])
    const plain = fault(createPipe()[0], { delay: 1 })
    expect(() => plain.set({ loss: 0.5 })).toThrow(/wire: true/)
    expect(() => plain.set({ delay: -1 })).toThrow(/delay/)
    plain.set({ jitter: 3 })
  })

  it('lets a filter pick its victims', () => {
    const seen: string[] = []
    let n = 0
    const bench = new Bench({
      filter: (buf, start, end, direction) => {
        seen.push(`${direction} ${end - start} ${buf[start + 12]}`)
        return ++n % 3 !== 0
      },
    })
    expect(bench.numbers(6)).toEqual([0, 1, 3, 4])
    expect(seen).toEqual(new Array(6).fill('send 60 8'))
    expect(bench.link.counters!()).toMatchObject({ sendFiltered: 2 })
  })

  it('passes back-pressure on and loses nothing by it', () => {
    const bench = new Bench({ delay: 1, direction: 'send' }, { queueFrames: 4 })
    bench.sent.readable = () => undefined // nobody takes anything
    let taken = 0
    for (; taken < 10_000; taken++) {
      if (!bench.send(plainFrame('ethernet', 60, taken))) break
      bench.host.advance(0.1)
    }
    expect(taken).toBeLessThan(200)
    expect(bench.back.writables).toBe(0)
    bench.host.advance(10)
    while (bench.sent.frames.length < taken) {
      const before = bench.sent.frames.length
      bench.sent.receiving = true
      while (bench.far.receive(64));
      expect(bench.sent.frames.length).toBeGreaterThan(before)
    }
    expect(bench.back.writables).toBe(1)
  })

  it('bounds what is under way', () => {
    const bench = new Bench({ delay: 1000 })
    const frame = plainFrame('ethernet', 1514, 1)
    for (let i = 0; i < 30_000; i++) bench.send(frame)
    const { sendMemoryDropped } = bench.link.counters!()
    expect(sendMemoryDropped).toBeGreaterThan(5000)
    expect(bench.link.underWay + sendMemoryDropped).toBe(30_000)
    bench.link.close()
    expect([bench.link.underWay, bench.host.idle]).toEqual([0, true])
  })

  it('refuses values that cannot be', () => {
    const link = createPipe()[0]
    const bad: [FaultOptions, RegExp][] = [
      [{ loss: 1.5 }, /Invalid loss 1.5: a probability from 0 to 1 expected/],
      [{ corrupt: -0.1 }, /corrupt/],
      [{ duplicate: Number.NaN }, /duplicate/],
      [{ delay: -1 }, /delay/],
      [{ delay: 2e6 }, /at most/],
      [{ rate: Number.POSITIVE_INFINITY }, /rate/],
      [{ send: { loss: 2 } }, /loss/],
      [{ direction: 'up' as 'both' }, /direction/],
      [{ lossy: 1 } as FaultOptions, /Unknown fault option lossy/],
      [{ receive: { seed: 1 } } as FaultOptions, /receive.seed/],
    ]
    for (const [options, words] of bad) expect(() => fault(link, options)).toThrow(words)
  })
})
