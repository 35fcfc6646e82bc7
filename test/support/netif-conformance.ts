/**
 * The suite that every NetIf passes: one test for each rule of src/netif/netif.ts. A backend gives a pair of links that reach each
 * other and a way to let time pass; the suite sends from one to the other and looks at everything.
 */
import { describe, expect, it } from 'vitest'
import type { Host } from '../../src/base/clock.ts'
import {
  CSUM_MASK,
  CSUM_NONE,
  CSUM_PARTIAL,
  CSUM_VALID,
  GSO_MASK,
  HEADROOM,
  type Medium,
  type NetIf,
  Offload,
} from '../../src/netif/netif.ts'
import { EXPERIMENTAL, noise, parseTransport, plainFrame, tcpFrame } from './frames.ts'
import { expectFrames, RecordingSink } from './recording-sink.ts'

/** For suites that attach one beside the rules below. */
export { RecordingSink }

export interface ConformancePair {
  /** What is sent on one is received by the other. A loopback gives the same link twice. */
  a: NetIf
  b: NetIf
  host: Host
  /** Lets what is under way arrive: runs a virtual clock, or waits a moment for a real device. */
  settle(): Promise<void> | void
  /** Releases what the pair has beside its two links. */
  close?(): Promise<void> | void
}

export interface ConformanceOptions {
  /** Shortest frame carried unchanged, in bytes. 14 on Ethernet, 20 on IP media when left out. */
  minFrame?: number
  /** The link refuses frames when nobody takes them (false: it loses them, as a socket with a full buffer). True when left out. */
  refuses?: boolean
  /** A frame longer than the MTU is lost (false: it may arrive all the same). True when left out. */
  dropsTooLong?: boolean
  /** Frames that fill a link until it refuses are about so long, in bytes: larger ones fill a socket's buffers sooner. 600 when left out. */
  fillBytes?: number
  /** Send several frames between two calls of `settle` at most: what the path holds without loss. 32 when left out. */
  burst?: number
}

/** One side of a pair under test. */
class Side {
  constructor(
    readonly link: NetIf,
    readonly sink: RecordingSink,
  ) {}

  /** One `receive`, its budget checked. */
  receive(budget: number): boolean {
    const had = this.sink.frames.length
    this.sink.receiving = true
    const more = this.link.receive(budget)
    this.sink.receiving = false
    expect(this.sink.frames.length - had).toBeLessThanOrEqual(budget)
    if (!more) this.sink.ready = false
    return more
  }

  /** Takes everything that waits, if the link said that something does. */
  drain(): void {
    while (this.sink.ready) this.receive(64)
  }
}

/** So often time is let pass for what does not come, before that counts as an answer. */
const PATIENCE = 100

class Bench {
  readonly a: Side
  readonly b: Side

  constructor(readonly pair: ConformancePair) {
    const { medium } = pair.a
    const sinkA = new RecordingSink(pair.host, (f) => isOurs(f, medium))
    const sinkB = pair.a === pair.b ? sinkA : new RecordingSink(pair.host, (f) => isOurs(f, medium))
    pair.a.attach(sinkA)
    if (pair.a !== pair.b) pair.b.attach(sinkB)
    this.a = new Side(pair.a, sinkA)
    this.b = new Side(pair.b, sinkB)
  }

  async settle(): Promise<void> {
    await this.pair.settle()
  }

  /** Lets time pass until it is so: a link behind a kernel or another process has no time of its own. */
  async until(condition: () => boolean): Promise<void> {
    for (let i = 0; i < PATIENCE && !condition(); i++) await this.settle()
  }

  /** Sends a copy of the bytes from the middle of a larger buffer, and checks that nothing outside the lent range was touched. */
  send(side: Side, bytes: Uint8Array, meta = 0, phase = 2): boolean {
    const start = 64 + phase
    const buf = new Uint8Array(start + bytes.length + 64).fill(0xa5)
    buf.set(bytes, start)
    const taken = side.link.send(buf, start, start + bytes.length, meta)
    if (!isUntouched(buf, 0, start - HEADROOM)) throw new Error('bytes before the headroom were changed')
    if (!isUntouched(buf, start + bytes.length, buf.length)) throw new Error('bytes after the frame were changed')
    if (!taken) expectFrames([buf.slice(start, start + bytes.length)], [bytes]) // refused: it will be tried again
    buf.fill(0x5a) // it was lent for the call only
    return taken
  }

  /** Sends all, waiting where the link is full, and takes them at the other side. */
  async transfer(from: Side, to: Side, frames: readonly Uint8Array[], burst: number): Promise<void> {
    let phase = 0
    for (let i = 0; i < frames.length; i++) {
      for (let tries = 0; !this.send(from, frames[i], 0, phase & 3); tries++) {
        expect(tries, 'tries of one frame').toBeLessThan(100)
        await this.settle()
        to.drain()
      }
      phase++
      if (i % burst === burst - 1) {
        from.link.flush()
        await this.settle()
        to.drain()
      }
    }
    from.link.flush()
    await this.collect(to, frames.length)
  }

  /** Lets time pass and takes what arrives, until there are so many frames (or `done` says so) or nothing comes any more. */
  async collect(side: Side, frames: number, done = (): boolean => side.sink.frames.length >= frames): Promise<void> {
    for (let idle = 0; idle < PATIENCE; idle++) {
      await this.settle()
      const had = side.sink.frames.length
      side.drain()
      if (side.sink.frames.length > had) idle = 0
      if (done()) break
    }
    await this.settle() // what comes too much shall be seen as well
    side.drain()
  }

  async close(): Promise<void> {
    await this.pair.a.close()
    await this.pair.b.close()
    await this.pair.close?.()
    expect(this.a.sink.complaints).toEqual([])
    expect(this.b.sink.complaints).toEqual([])
  }
}

function isUntouched(buf: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (buf[i] !== 0xa5) return false
  return true
}

function isOurs(frame: Uint8Array, medium: Medium): boolean {
  if (medium === 'ip') return frame[0] === 0x45 && (frame[9] === 253 || frame[9] === 6)
  return frame[12] * 256 + frame[13] === EXPERIMENTAL || (frame[12] === 8 && frame[13] === 0 && frame[23] === 6)
}

/** Defines the suite for one kind of link. `makePair` is called for every test. */
export function netifConformance(
  name: string,
  makePair: () => Promise<ConformancePair> | ConformancePair,
  options: ConformanceOptions = {},
): void {
  const { refuses = true, dropsTooLong = true, burst = 32, fillBytes = 600 } = options
  const rule = (what: string, run: (bench: Bench) => Promise<void>): void => {
    it(what, async () => {
      const bench = new Bench(await makePair())
      try {
        await run(bench)
      } finally {
        await bench.close()
      }
    })
  }
  const header = (link: NetIf): number => (link.medium === 'ethernet' ? 14 : 0)
  const least = (link: NetIf): number => options.minFrame ?? (link.medium === 'ethernet' ? 14 : 20)

  describe(`NetIf contract: ${name}`, () => {
    rule('describes itself', async ({ a, b }) => {
      for (const { link } of [a, b]) {
        expect(link.name).not.toBe('')
        expect(['ethernet', 'ip']).toContain(link.medium)
        expect(link.mtu).toBeGreaterThanOrEqual(68)
        expect(link.mtu).toBeLessThanOrEqual(65535)
        expect(link.gsoMax).toBeGreaterThanOrEqual(0)
        expect(link.gsoMax).toBeLessThanOrEqual(65535)
        if (link.mac !== null) expect(link.mac.length).toBe(6)
        const segments = (link.offload & (Offload.TSO4 | Offload.TSO6 | Offload.USO)) !== 0
        expect(segments).toBe(link.gsoMax > 0)
        if (segments) expect(link.offload & Offload.TX_CHECKSUM).toBe(Offload.TX_CHECKSUM)
        if (link.describe !== undefined) expect(link.describe()).toContain(link.name)
      }
    })

    rule('carries frames of every size and alignment, equal and in order, both ways', async (bench) => {
      const { a, b } = bench
      const min = least(a.link)
      const max = a.link.mtu + header(a.link)
      const sizes = [min, min + 1, min + 2, min + 3, 60, 61, 62, 63, 64, 65, 576, max - 3, max - 2, max - 1, max]
      for (const [from, to] of [
        [a, b],
        [b, a],
      ]) {
        to.sink.frames.length = 0
        const frames = sizes.filter((n) => n >= min && n <= max).map((n, i) => plainFrame(a.link.medium, n, i + 1))
        await bench.transfer(from, to, frames, burst)
        expectFrames(to.sink.frames, frames)
      }
    })

    rule('takes frames that are made in a place of its own, and forgets those that are given up', async (bench) => {
      const { link } = bench.a
      if (link.place === undefined) return
      const none = new Uint8Array(0)
      const frames = [1, 2, 3].map((seed) => plainFrame(link.medium, 1000, seed))
      for (const [i, frame] of frames.entries()) {
        const into = { buf: none, start: 0, end: 0 }
        if (i === 2) expect(link.place(into, 100, 60_000)).toBe(true) // given up
        expect(link.place(into, 100, 900)).toBe(true)
        if (i === 1) expect(bench.send(bench.a, plainFrame(link.medium, 80, 4))).toBe(true) // overtakes
        if (into.buf === none) {
          expect(bench.send(bench.a, frame)).toBe(true)
          continue
        }
        expect([into.end, into.start & 3, into.start >= 100 + HEADROOM]).toEqual([into.start, 0, true])
        into.buf.set(frame, into.start - 100)
        expect(link.send(into.buf, into.start - 100, into.start + 900, 0)).toBe(true)
      }
      link.flush()
      await bench.collect(bench.b, 4)
      expectFrames(bench.b.sink.frames, [frames[0], plainFrame(link.medium, 80, 4), frames[1], frames[2]])
      if (!refuses) return
      let taken = 0
      for (const into = { buf: none, start: 0, end: 0 }; taken < 10_000 && link.place(into, 100, 900); taken++) {
        if (into.buf === none) return
        into.buf.set(frames[0], into.start - 100)
        expect(link.send(into.buf, into.start - 100, into.start + 900, 0)).toBe(true)
      }
      expect(taken).toBeLessThan(10_000)
      bench.b.drain()
      expect([bench.a.sink.writables, bench.b.sink.frames.length]).toEqual([1, 4 + taken])
    })

    rule('keeps its own copy of what waits', async (bench) => {
      // `send` of the bench overwrites the lent buffer as soon as the call has returned.
      const frames = Array.from({ length: 20 }, (_, i) => plainFrame(bench.a.link.medium, 100 + i, i))
      await bench.transfer(bench.a, bench.b, frames, burst)
      expectFrames(bench.b.sink.frames, frames)
    })

    rule('survives a receiver that scribbles over frame and headroom', async (bench) => {
      bench.b.sink.scribble = true
      const frames = Array.from({ length: 100 }, (_, i) => plainFrame(bench.a.link.medium, 60 + ((i * 37) % 900), i))
      await bench.transfer(bench.a, bench.b, frames, burst)
      expectFrames(bench.b.sink.frames, frames)
    })

    rule('is pulled: nothing is handed over but within receive, and sending does not call back', async (bench) => {
      const { a, b } = bench
      for (let i = 0; i < 5; i++) bench.send(a, plainFrame(a.link.medium, 80, i))
      a.link.flush()
      await bench.until(() => b.sink.readables > 0)
      expect(b.sink.frames).toEqual([]) // readable() at most
      expect(b.sink.readables).toBeGreaterThan(0)
      await bench.collect(b, 5)
      expect(b.sink.frames.length).toBe(5)
    })

    rule('respects the budget and tells again after it said that nothing waits', async (bench) => {
      const { a, b } = bench
      const frames = Array.from({ length: 10 }, (_, i) => plainFrame(a.link.medium, 70, i))
      await bench.transfer(a, new Side(b.link, new RecordingSink(bench.pair.host)), frames, burst) // nobody drains
      await bench.settle()
      for (let idle = 0; idle < PATIENCE && b.sink.frames.length < frames.length; idle++) {
        while (b.sink.ready) {
          b.receive(3) // which checks that no more than three came
          idle = 0
        }
        await bench.settle()
      }
      expectFrames(b.sink.frames, frames)
      for (let i = 0; i < 3; i++) {
        const before = b.sink.readables
        bench.send(a, frames[i])
        a.link.flush()
        await bench.until(() => b.sink.readables > before)
        expect(b.sink.readables).toBeGreaterThan(before)
        await bench.collect(b, 11 + i)
        expect(b.sink.frames.length).toBe(11 + i)
      }
      expect(b.receive(64)).toBe(false) // and asking in vain does no harm
    })

    rule('lets a receiver answer from within input', async (bench) => {
      const { a, b } = bench
      if (a.link === b.link) return
      b.sink.onFrame = (buf, start, end) => void b.link.send(buf, start, end, 0)
      const frames = Array.from({ length: 10 }, (_, i) => plainFrame(a.link.medium, 90, i))
      await bench.transfer(a, b, frames, burst)
      b.link.flush()
      await bench.collect(a, frames.length)
      expectFrames(a.sink.frames, frames)
    })

    if (refuses) {
      rule('refuses when full, then says writable, and loses nothing that it took', async (bench) => {
        const { a, b } = bench
        const sent: Uint8Array[] = []
        let i = 0
        for (let round = 0; round < 3; round++) {
          const told = a.sink.writables
          for (;;) {
            const frame = plainFrame(a.link.medium, fillBytes + (i % 400), i)
            if (!bench.send(a, frame)) break
            sent.push(frame)
            if (i % burst === 0) await bench.settle() // so that the far side is full, not only the near one
            if (++i === 50_000) throw new Error('no back-pressure after 50,000 frames')
          }
          expect(a.sink.writables).toBe(told)
          for (let tries = 0; a.sink.writables === told && tries < 100; tries++) {
            await bench.settle()
            b.drain()
          }
          expect(a.sink.writables).toBeGreaterThan(told)
        }
        await bench.collect(b, sent.length)
        expectFrames(b.sink.frames, sent)
      })
    }

    if (dropsTooLong) {
      rule('loses a frame that is too long, and only that', async (bench) => {
        const { a, b } = bench
        const max = a.link.mtu + header(a.link)
        if (max > 65535) return
        const frames = [
          plainFrame(a.link.medium, 100, 1),
          plainFrame(a.link.medium, max + 1, 2),
          plainFrame(a.link.medium, max, 3),
        ]
        for (const f of frames) expect(bench.send(a, f)).toBe(true)
        a.link.flush()
        await bench.collect(b, 2)
        expectFrames(b.sink.frames, [frames[0], frames[2]])
      })
    }

    rule('carries what it offers: partial checksums and super-segments', async (bench) => {
      const { a, b } = bench
      const { medium, offload, mtu, gsoMax } = a.link
      const payload = noise((offload & Offload.TSO4) !== 0 ? Math.min(gsoMax, 20_000) - 40 : mtu - 40, 7)
      const gso = (offload & Offload.TSO4) !== 0 ? mtu - 40 : 0
      const partial = (offload & Offload.TX_CHECKSUM) !== 0
      const sent = tcpFrame({ medium, payload, gso, partial, seq: 1000 })
      expect(bench.send(a, sent.bytes, sent.meta)).toBe(true)
      a.link.flush()
      const octets = (): number => b.sink.frames.reduce((sum, frame) => sum + frame.length, 0)
      await bench.collect(b, 0, () => octets() >= sent.bytes.length) // as one or as many
      const got: number[] = []
      b.sink.frames.forEach((frame, i) => {
        const t = parseTransport(frame, medium)
        const state = b.sink.metas[i] & CSUM_MASK
        expect(t.ipChecksumOk).toBe(true)
        if (state === CSUM_NONE) expect(t.checksumOk).toBe(true)
        else expect([CSUM_VALID, CSUM_PARTIAL]).toContain(state)
        if (state !== CSUM_NONE) expect(b.link.offload & Offload.RX_CHECKSUM).toBe(Offload.RX_CHECKSUM)
        if ((b.sink.metas[i] & GSO_MASK) === 0) expect(t.end - t.ip).toBeLessThanOrEqual(b.link.mtu)
        got.push(...frame.slice(t.payload, t.end))
      })
      expectFrames([Uint8Array.from(got)], [payload])
    })

    rule('is silent after close, which may be called twice; sending then loses the frame', async (bench) => {
      const { a, b } = bench
      for (let i = 0; i < 3; i++) bench.send(a, plainFrame(a.link.medium, 80, i))
      a.link.flush()
      await bench.settle()
      await b.link.close()
      b.sink.silent = true
      await b.link.close()
      expect(b.link.receive(64)).toBe(false)
      expect(bench.send(b, plainFrame(a.link.medium, 80, 9))).toBe(true)
      b.link.flush()
      await bench.settle()
      expect([b.sink.closes, b.sink.frames.length]).toEqual([0, 0])
    })

    rule('is not hurt by a peer that closes', async (bench) => {
      const { a, b } = bench
      bench.send(a, plainFrame(a.link.medium, 80, 1))
      await b.link.close()
      b.sink.silent = true
      await bench.settle()
      for (let i = 0; i < 300; i++) bench.send(a, plainFrame(a.link.medium, 80, i))
      a.link.flush()
      await bench.settle()
      expect(a.sink.closes).toBeLessThanOrEqual(1)
    })

    rule('may be closed from within input', async (bench) => {
      const { a, b } = bench
      b.sink.onFrame = () => {
        void b.link.close()
        b.sink.silent = true
      }
      for (let i = 0; i < 3; i++) bench.send(a, plainFrame(a.link.medium, 80, i))
      a.link.flush()
      for (let i = 0; i < 3; i++) {
        await bench.settle()
        b.drain()
      }
      expect(b.sink.frames.length).toBe(1)
    })

    rule('counts', async (bench) => {
      const { a, b } = bench
      await bench.transfer(a, b, [plainFrame(a.link.medium, 100, 1), plainFrame(a.link.medium, 100, 2)], burst)
      for (const { link } of [a, b]) {
        const counters = link.counters?.() ?? {}
        for (const [key, value] of Object.entries(counters)) {
          expect(key).not.toBe('')
          expect(Number.isFinite(value) && value >= 0, key).toBe(true)
        }
      }
      const out = a.link.counters?.()
      if (out !== undefined && 'outFrames' in out) expect(out.outFrames).toBeGreaterThanOrEqual(2)
      const into = b.link.counters?.()
      if (into !== undefined && 'inFrames' in into) expect(into.inFrames).toBeGreaterThanOrEqual(2)
    })
  })
}
