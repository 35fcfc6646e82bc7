/** DCTCP: RFC 8257. */
import { describe, expect, it } from 'vitest'
import { createWorld } from '../../src/sim/world.ts'
import { AckSample, CongestionWindow } from '../../src/tcp/congestion.ts'
import { Dctcp } from '../../src/tcp/dctcp.ts'
import { RateSample } from '../../src/tcp/rate.ts'
import { Sink, SOURCE } from '../support/bulk.ts'

const MSS = 1000

function begin(cwnd: number): { control: Dctcp; w: CongestionWindow; round(share: number): void } {
  const control = new Dctcp()
  const w = new CongestionWindow()
  w.mss = MSS
  control.start(w, 10)
  w.cwnd = cwnd
  const s = new AckSample(new RateSample())
  let una = 0
  control.observe(w, s)
  return {
    control,
    w,
    /** A window of data is delivered in ten ACKs, this share of it marked. */
    round(share) {
      s.nxt = (una + 2 * cwnd) | 0
      for (let i = 1; i <= 10; i++) {
        una += cwnd / 10
        s.una = una
        s.delivered = cwnd / 10
        s.marked = share * s.delivered
        control.observe(w, s)
      }
    },
  }
}

describe('alpha (section 3.3)', () => {
  it('begins at 1: the first reaction is Reno’s', () => {
    const { control, w } = begin(100 * MSS)
    control.congestionEcho(w)
    expect(w.ssthresh).toBe(50 * MSS)
  })

  it('follows the share of marked bytes with a gain of 1/16, once per window', () => {
    const { control, round } = begin(100 * MSS)
    round(0)
    round(0)
    const after = control.alpha
    expect(after).toBeLessThan(1)
    expect([15 / 16, (15 / 16) ** 2].some((v) => Math.abs(v - after) < 1e-9)).toBe(true)
    for (let i = 0; i < 200; i++) round(0.3)
    expect(control.alpha).toBeCloseTo(0.3, 2)
  })

  it('a mark in a thousand lowers the window by a two-thousandth', () => {
    const { control, w, round } = begin(1000 * MSS)
    for (let i = 0; i < 300; i++) round(0.001)
    control.congestionEcho(w)
    expect(w.ssthresh / w.cwnd).toBeGreaterThan(0.999)
    expect(w.ssthresh).toBeLessThan(w.cwnd)
  })

  it('a loss is a loss (section 3.5)', () => {
    const { control, w, round } = begin(100 * MSS)
    for (let i = 0; i < 100; i++) round(0)
    control.loss(w, 100 * MSS)
    expect(w.ssthresh).toBe(50 * MSS)
  })
})

it('keeps a short queue and a full line', () => {
  // 100 Mbit/s, 1 ms each way: the product is 25 KB, and packets are marked from 30 KB on.
  const tcp = { ecn: 'accurate', congestion: 'dctcp' } as const
  const world = createWorld({ seed: 4 })
  const [a, b] = [world.stack({ tcp }), world.stack({ tcp })]
  world.link(a, b, { rate: 100e6, delay: 1, queue: 4 << 20, markQueue: 30 << 10 })
  const sink = new Sink()
  b.tcp.listen({ port: 7 }, { onConnection: (c) => (c.handler = sink) })
  const c = a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, SOURCE)
  world.run(1000)
  const before = sink.bytes
  let most = 0
  for (let i = 0; i < 200; i++) {
    world.run(5)
    most = Math.max(most, c.info().bytesInFlight)
  }
  expect(((sink.bytes - before) * 8) / (100e6 * (1448 / 1514))).toBeGreaterThan(0.95)
  expect(most).toBeLessThan(25_000 + 2 * (30 << 10))
  expect((a.tcp.counters.snapshot() as Record<string, number>).tcpRetransSegs).toBe(0)
})
