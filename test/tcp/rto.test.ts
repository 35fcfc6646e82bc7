/** RFC 6298 by its own formulas, and NewReno by RFC 5681's. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../src/base/config.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { TellList } from '../../src/base/tell.ts'
import { congestionControl } from '../../src/tcp/algorithms.ts'
import { AckSample, CongestionWindow, initialWindow } from '../../src/tcp/congestion.ts'
import { RateSample } from '../../src/tcp/rate.ts'
import { Rto } from '../../src/tcp/rto.ts'

describe('Rto (RFC 6298)', () => {
  it('first sample: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR', () => {
    const r = new Rto(1000, 200, 120_000)
    expect(r.ms).toBe(1000)
    r.sample(300_000)
    expect(r).toMatchObject({ srttUs: 300_000, rttVarUs: 150_000, minRttUs: 300_000 })
    expect(r.ms).toBe(900)
  })

  it('is never sooner than 200 ms after the round trip (Linux tcp_rto_min)', () => {
    for (const [us, ms] of [
      [1, 200],
      [10_000, 210],
      [40_000, 240],
      [100_000, 300],
      [101_000, 303],
    ]) {
      const r = new Rto(1000, 200, 120_000)
      r.sample(us)
      expect(r.ms).toBe(ms)
    }
    const steady = new Rto(1000, 200, 120_000)
    for (let i = 0; i < 100; i++) steady.sample(300_000, 1000 * (i + 1), 1000 * (i + 2))
    expect(steady.ms).toBe(500)
  })

  it('follows RFC 6298 within rounding while the time does not fall, and is never below it by more than the floor allows', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 1, maxLength: 80 }), (samples) => {
        const r = new Rto(1000, 200, 120_000)
        let srtt = 0
        let rttvar = 0
        let rises = true
        samples.forEach((s, i) => {
          r.sample(s, 1000 * i, 1000 * (i + 1))
          if (srtt === 0) {
            srtt = s
            rttvar = s / 2
          } else {
            rises &&= s >= srtt
            rttvar = 0.75 * rttvar + 0.25 * Math.abs(srtt - s)
            srtt = 0.875 * srtt + 0.125 * s
          }
          expect(Math.abs(r.srttUs - srtt)).toBeLessThan(20)
          if (rises) expect(Math.abs(r.rttVarUs - rttvar)).toBeLessThan(20)
          expect(r.ms).toBeGreaterThanOrEqual(Math.min(120_000, Math.floor(srtt / 1000) + 200))
          if (rises) expect(r.ms).toBeGreaterThanOrEqual(Math.floor(Math.min(120_000, (srtt + 4 * rttvar) / 1000)) - 1)
        })
      }),
      { seed: 3 },
    )
  })

  it('a sharp fall adds little to the deviation, which falls by a quarter a round trip', () => {
    const r = new Rto(1000, 200, 120_000)
    r.sample(800_000, 0, 1)
    expect(r.ms).toBe(2400)
    r.sample(100_000, 2, 3)
    expect(r.srttUs).toBe(712_500)
    expect(r.rttVarUs).toBeLessThan(420_000)
    const before = r.ms
    for (let i = 3; i < 40; i++) r.sample(100_000, i, i + 1)
    expect(r.ms).toBeLessThan(before)
    expect(r.ms).toBeGreaterThan(300)
  })

  it('remembers the smallest round trip for five minutes', () => {
    const r = new Rto(1000, 200, 120_000)
    r.observe(10_000, 0)
    r.observe(50_000, 200_000)
    expect(r.minRttUs).toBe(10_000)
    r.observe(60_000, 301_000)
    expect(r.minRttUs).toBe(10_000) // of the last window
    r.observe(60_000, 602_000)
    expect(r.minRttUs).toBe(60_000)
  })

  it('backs off to the maximum and no further; nonsense samples do not overflow', () => {
    const r = new Rto(1000, 200, 60_000)
    const seen: number[] = []
    for (r.backoff = 0; r.backoff < 40; r.backoff++) seen.push(r.ms)
    expect(seen.slice(0, 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000])
    expect(seen.at(-1)).toBe(60_000)
    r.backoff = 0
    for (const s of [0, -5, 0x7fffffff, 0x7fffffff, 1]) {
      r.sample(s)
      expect(r.ms >= 200 && r.ms <= 60_000).toBe(true)
    }
  })
})

describe('initial window (RFC 6928)', () => {
  it('min(10 MSS, max(2 MSS, 14600))', () => {
    for (const [mss, bytes] of [
      [536, 5360],
      [1460, 14_600],
      [2190, 14_600],
      [8960, 17_920],
    ]) {
      expect(initialWindow(mss, 10)).toBe(bytes)
    }
  })
})

function sample(acked: number): AckSample {
  const s = new AckSample(new RateSample())
  s.acked = acked
  s.delivered = acked
  return s
}

describe('NewReno (RFC 5681)', () => {
  const make = () => {
    const w = new CongestionWindow()
    w.mss = 1000
    const cc = congestionControl('newreno', defaults().tcp, new SeededRandom(1), new TellList())
    cc.start(w, 10)
    return { w, cc }
  }

  it('doubles a round trip in slow start, adds a segment in avoidance', () => {
    const { w, cc } = make()
    cc.acked(w, sample(10_000))
    expect(w.cwnd).toBe(20_000)
    w.ssthresh = 20_000
    for (let i = 0; i < 20; i++) cc.acked(w, sample(1000))
    expect(w.cwnd).toBe(21_000)
    for (let i = 0; i < 21; i++) cc.acked(w, sample(1000))
    expect(w.cwnd).toBe(22_000)
  })

  it('does not pass ssthresh in one step of slow start', () => {
    const { w, cc } = make()
    w.ssthresh = 12_000
    cc.acked(w, sample(10_000))
    expect(w.cwnd).toBeLessThanOrEqual(13_000)
  })

  it('halves what was in flight on loss, two segments at least; one segment after a time-out; ssthresh once', () => {
    const { w, cc } = make()
    cc.loss(w, 8000, 0)
    expect(w).toMatchObject({ ssthresh: 4000, cwnd: 4000 })
    w.cwnd = 12_000
    cc.loss(w, 1000, 0)
    expect(w.ssthresh).toBe(2000)
    w.cwnd = 12_000
    cc.timeout(w, 10_000, true, 0)
    expect(w).toMatchObject({ ssthresh: 5000, cwnd: 1000 })
    cc.timeout(w, 2000, false, 0)
    expect(w).toMatchObject({ ssthresh: 5000, cwnd: 1000 })
  })

  it('restarts after idleness', () => {
    const { w, cc } = make()
    w.ssthresh = 50_000
    w.cwnd = 80_000
    cc.idle(w, 10, 2000, 1000)
    expect(w.cwnd).toBe(40_000)
    cc.idle(w, 10, 9000, 1000)
    expect(w.cwnd).toBe(10_000)
  })

  it('a name that does not exist is refused', () => {
    expect(() => congestionControl('vegas', defaults().tcp, new SeededRandom(1), new TellList())).toThrow(/newreno/)
  })
})
