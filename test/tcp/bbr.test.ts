/** BBR's answers to single events, on samples made by hand; whole connections are in test/sim/congestion.test.ts. */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/base/random.ts'
import { Bbr } from '../../src/tcp/bbr.ts'
import { AckSample, CongestionWindow } from '../../src/tcp/congestion.ts'
import { RateSample } from '../../src/tcp/rate.ts'

const MSS = 1000
const RTT_US = 20_000
/** Bytes per second. */
const BW = 10_000_000
const BDP = (BW * RTT_US) / 1e6

/** A path that delivers `bw`, ten ACKs a round trip. */
class Feed {
  readonly w = new CongestionWindow()
  readonly bbr = new Bbr(new SeededRandom(9))
  readonly s = new AckSample(new RateSample())
  private us = 1_000_000
  delivered = 0
  bw = BW
  rttUs = RTT_US
  /** What is in flight, in bytes; as much as the window when null. */
  inFlight: number | null = null

  constructor() {
    this.w.mss = MSS
    this.bbr.start(this.w, 10)
  }

  /** One ACK: of a tenth of what a round trip brings. */
  ack(changes: Partial<AckSample> = {}, rate: Partial<RateSample> = {}): void {
    const { s } = this
    const rs = s.rate
    this.us += this.rttUs / 10
    const bytes = Math.round((this.bw * this.rttUs) / 1e7)
    this.delivered += bytes
    const inFlight = this.inFlight ?? this.w.cwnd
    Object.assign(rs, {
      hasData: true,
      delivered: 10 * bytes,
      intervalUs: this.rttUs,
      priorDelivered: this.delivered - 10 * bytes,
      totalDelivered: this.delivered,
      isAppLimited: false,
      txInFlight: inFlight,
      lost: 0,
      heavyInFlight: 0,
      ...rate,
    })
    Object.assign(s, {
      nowUs: this.us | 0,
      nowMs: Math.floor(this.us / 1000) | 0,
      acked: bytes,
      delivered: bytes,
      lost: 0,
      rttUs: this.rttUs,
      minRttUs: RTT_US,
      smoothedRttUs: this.rttUs,
      inFlight,
      priorInFlight: inFlight,
      limited: true,
      windowFull: true,
      inRecovery: false,
      ...changes,
    })
    this.bbr.model(this.w, s)
  }

  rounds(n: number, changes: Partial<AckSample> = {}, rate: Partial<RateSample> = {}): this {
    for (let i = 0; i < 10 * n; i++) this.ack(changes, rate)
    return this
  }

  /** To ProbeBW, with a pipe that is not overfull. */
  settle(): this {
    this.rounds(6)
    this.inFlight = BDP
    for (let i = 0; i < 100 && this.bbr.stateName !== 'cruise'; i++) this.ack()
    expect(this.bbr.stateName).toBe('cruise')
    return this
  }
}

describe('BBR, event by event', () => {
  it('starts at 2.77 times the initial window for each round trip', () => {
    const f = new Feed()
    f.bw = 100_000
    f.ack()
    expect(f.w.pacingRate).toBeCloseTo((2.77 * 10 * MSS) / 0.02, -2)
    expect(f.w.cwnd).toBeGreaterThanOrEqual(10 * MSS)
  })

  it('leaves startup after three rounds without a quarter more', () => {
    const f = new Feed()
    for (const bw of [1e6, 2e6, 4e6, 8e6]) {
      f.bw = bw
      f.rounds(1)
    }
    expect(f.bbr.stateName).toBe('startup')
    f.rounds(2)
    expect(f.bbr.stateName).toBe('startup')
    f.rounds(2)
    expect(f.bbr.stateName).not.toBe('startup')
    expect(f.bbr.path.isFullBwReached).toBe(true)
  })

  it('does not take the application for the path', () => {
    const f = new Feed()
    f.rounds(1)
    f.bw = BW / 4
    f.rounds(10, {}, { isAppLimited: true })
    expect(f.bbr.stateName).toBe('startup')
    expect(f.bbr.path.maxBw).toBeCloseTo(BW, -3)
  })

  it('leaves startup for heavy loss, and comes back when there was none', () => {
    const f = new Feed()
    let bw = 1e6
    for (let i = 0; i < 4; i++) {
      f.bw = bw *= 2
      f.rounds(1)
    }
    f.bbr.loss(f.w)
    for (let i = 0; i < 25 && f.bbr.stateName === 'startup'; i++) {
      if (i % 10 === 0) f.bw = bw *= 2
      f.ack({ lost: 2 * MSS, inRecovery: true }, { lost: Math.ceil(f.w.cwnd / 20) })
    }
    expect(f.bbr.stateName).toBe('drain')
    expect(f.bbr.path.inflightLongterm).toBeLessThan(Number.POSITIVE_INFINITY)
    f.bbr.undo(f.w)
    expect(f.bbr.stateName).toBe('startup')
    expect(f.bbr.path.inflightLongterm).toBe(Number.POSITIVE_INFINITY)
  })

  it('a loss while cruising bounds the short term, by three tenths a round at most, until the next probe', () => {
    const f = new Feed().settle()
    f.bw = BW / 2
    f.rounds(4, { lost: MSS, inRecovery: true }, { lost: 10 * MSS }) // the first round still has what was delivered before
    expect(f.bbr.path.bw).toBeLessThan(BW)
    expect(f.bbr.path.bw).toBeGreaterThan(0.45 * BW)
    expect(f.w.pacingRate).toBeLessThan(0.8 * BW)
    f.bw = BW
    for (let i = 0; i < 3000 && f.bbr.stateName !== 'refill'; i++) f.ack()
    expect(f.bbr.stateName).toBe('refill')
    expect(f.bbr.path.bwShortterm).toBe(Number.POSITIVE_INFINITY)
  })

  it('a round that lost no more than probing tolerates says nothing against the rate; marks always do', () => {
    const boundAfter = (lost: number, isMarked = false): number => {
      const f = new Feed().settle()
      f.bw = 0.9 * BW
      for (let i = 0; i < 20 && f.bbr.stateName === 'cruise'; i++) {
        if (isMarked) f.bbr.congestionEcho()
        f.rounds(1, { lost: lost / 10, inRecovery: true }, { lost, txInFlight: BDP })
      }
      return f.bbr.path.bwShortterm / BW
    }
    expect(boundAfter(0.02 * BDP)).toBe(Number.POSITIVE_INFINITY)
    expect(boundAfter(0.03 * BDP)).toBeCloseTo(0.9, 2)
    expect(boundAfter(0, true)).toBeCloseTo(0.9, 2)
  })

  it('one or two segments are no rate of loss, however small the flight', () => {
    const f = new Feed().settle()
    f.rounds(3, { lost: MSS, inRecovery: true }, { lost: 2 * MSS, txInFlight: 10 * MSS })
    expect(f.bbr.path.bwShortterm).toBe(Number.POSITIVE_INFINITY)
    f.rounds(3, { lost: MSS, inRecovery: true }, { lost: 3 * MSS, txInFlight: 10 * MSS })
    expect(f.bbr.path.bwShortterm).toBeLessThanOrEqual(BW)
  })

  it('too much loss while probing sets the bound where it began, and ends the probe', () => {
    const f = new Feed().settle()
    for (let i = 0; i < 3000 && f.bbr.stateName !== 'up'; i++) f.ack()
    expect(f.bbr.stateName).toBe('up')
    const flight = Math.round(1.2 * BDP)
    const heavy = { heavyInFlight: flight, heavyLost: 10 * MSS, heavyBytes: MSS, heavyLimited: false }
    f.ack({ lost: 10 * MSS, inRecovery: true }, { lost: 10 * MSS, ...heavy })
    expect(f.bbr.stateName).toBe('down')
    const prefix = (0.02 * (flight - MSS) - 9 * MSS) / 0.98
    expect(f.bbr.path.inflightLongterm).toBe(Math.floor(flight - MSS + prefix))
    f.bbr.undo(f.w)
    expect(f.bbr.stateName).toBe('refill')
  })

  it('on a short path the bound falls by three tenths of the window at most', () => {
    const f = new Feed().settle()
    f.rttUs = RTT_US / 100
    f.rounds(20)
    for (let i = 0; i < 3000 && f.bbr.stateName !== 'up'; i++) f.ack()
    const heavy = { heavyInFlight: 4 * MSS, heavyLost: 3 * MSS, heavyBytes: MSS, heavyLimited: false }
    const { cwnd } = f.w
    f.ack({ lost: 3 * MSS, inRecovery: true }, { lost: 3 * MSS, ...heavy })
    expect(f.bbr.stateName).toBe('down')
    expect(f.bbr.path.inflightLongterm).toBeGreaterThanOrEqual(Math.floor(0.7 * Math.min(cwnd, 30 * MSS)))
  })

  it('a congestion mark while probing is too much in flight, too', () => {
    const f = new Feed().settle()
    for (let i = 0; i < 3000 && f.bbr.stateName !== 'up'; i++) f.ack()
    f.bbr.congestionEcho()
    f.ack()
    expect(f.bbr.stateName).toBe('down')
    expect(f.bbr.path.inflightLongterm).toBe(BDP)
  })

  it('after a time-out one segment, and the window of before when that is repaired', () => {
    const f = new Feed().settle()
    const { cwnd } = f.w
    f.bbr.timeout(f.w, BDP, true)
    expect(f.w.cwnd).toBe(MSS)
    f.ack({ inRecovery: true, delivered: MSS })
    expect(f.w.cwnd).toBeLessThan(10 * MSS)
    f.ack({ delivered: MSS })
    expect(f.w.cwnd).toBeGreaterThanOrEqual(0.99 * cwnd)
  })

  it('begins again after a pause at the rate of the path, and looks for no shorter round trip for it', () => {
    const f = new Feed().settle()
    f.bbr.idle(f.w)
    expect(f.w.pacingRate).toBe(Math.floor(0.99 * f.bbr.path.bw))
    f.s.nowMs += 20_000
    const { s } = f
    s.nowMs = (s.nowMs + 20_000) | 0
    f.bbr.model(f.w, s)
    expect(f.bbr.stateName).not.toBe('probe-rtt')
  })

  it('keeps four segments whatever happens', () => {
    const f = new Feed()
    f.bw = 2000
    f.rttUs = 500
    f.inFlight = 4 * MSS
    for (let i = 0; i < 400; i++) {
      f.ack({ lost: i % 3 === 0 ? MSS : 0, inRecovery: i % 3 === 0 }, { lost: MSS })
      expect(f.w.cwnd).toBeGreaterThanOrEqual(4 * MSS)
      expect(f.w.cwnd | 0).toBe(f.w.cwnd)
      expect(Number.isInteger(f.w.pacingRate)).toBe(true)
    }
  })
})
