/** RFC 6298 by its own formulas, and NewReno by RFC 5681's. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../src/base/config.ts'
import { SeededRandom } from '../../src/base/random.ts'
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
    r.sample(100_000)
    expect(r).toMatchObject({ srttUs: 275_000, rttVarUs: 162_500, minRttUs: 100_000 })
    expect(r.ms).toBe(925)
  })

  it('follows the formulas within rounding, in its bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 1, maxLength: 80 }), (samples) => {
        const r = new Rto(1000, 200, 120_000)
        let srtt = 0
        let rttvar = 0
        for (const s of samples) {
          r.sample(s)
          if (srtt === 0) {
            srtt = s
            rttvar = s / 2
          } else {
            rttvar = 0.75 * rttvar + 0.25 * Math.abs(srtt - s)
            srtt = 0.875 * srtt + 0.125 * s
          }
          expect(Math.abs(r.srttUs - srtt)).toBeLessThan(20)
          expect(Math.abs(r.rttVarUs - rttvar)).toBeLessThan(20)
          const rto = Math.min(120_000, Math.max(200, (srtt + Math.max(1000, 4 * rttvar)) / 1000))
          expect(Math.abs(r.ms - rto)).toBeLessThan(2)
        }
      }),
    )
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
  return s
}

describe('NewReno (RFC 5681)', () => {
  const make = () => {
    const w = new CongestionWindow()
    w.mss = 1000
    const cc = congestionControl('newreno', defaults().tcp, new SeededRandom(1))
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

  it('does not burst when recovery ends with little in flight; restarts after idleness', () => {
    const { w, cc } = make()
    w.ssthresh = 50_000
    cc.recovered(w, 3000, 0)
    expect(w.cwnd).toBe(4000)
    w.cwnd = 80_000
    cc.idle(w, 10, 2000, 1000)
    expect(w.cwnd).toBe(40_000)
    cc.idle(w, 10, 9000, 1000)
    expect(w.cwnd).toBe(10_000)
  })

  it('a name that does not exist is refused', () => {
    expect(() => congestionControl('vegas', defaults().tcp, new SeededRandom(1))).toThrow(/newreno/)
  })
})
