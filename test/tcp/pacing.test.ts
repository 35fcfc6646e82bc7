/** Pacing: when data leaves, in what bursts, and that nothing spins. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Offload } from '../../src/netif/netif.ts'
import { CongestionWindow } from '../../src/tcp/congestion.ts'
import { Pacer, pacingQuantum, windowPacingRate } from '../../src/tcp/pacer.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460

describe('Pacer', () => {
  it('spaces segments by size / rate', () => {
    const p = new Pacer(0, 1 << 20, MSS)
    expect(p.wait(0)).toBe(0)
    p.sent(1000, 1e6, 0, false)
    expect(p.wait(0)).toBe(1000)
    expect(p.wait(400)).toBe(600)
    expect(p.wait(1000)).toBe(0)
  })

  it('keeps the mean rate whatever the rate, the sizes and the ticks of the timer, to a tick', () => {
    const size = fc.integer({ min: 1, max: 65_000 })
    fc.assert(
      fc.property(
        fc.integer({ min: 20_000, max: 2_000_000_000 }),
        fc.array(size, { minLength: 5, maxLength: 50 }),
        (rate, sizes) => {
          const p = new Pacer(0x7fff0000, 1 << 30, MSS)
          let us = 0
          let sent = 0
          for (const n of sizes) {
            let wait = p.wait((0x7fff0000 + us) | 0)
            while (wait > 0) {
              us += 1000 * Math.ceil(wait / 1000)
              wait = p.wait((0x7fff0000 + us) | 0)
            }
            p.sent(n, rate, (0x7fff0000 + us) | 0, true)
            sent += n
          }
          const last = sizes[sizes.length - 1]
          const ideal = ((sent - last) / rate) * 1e6
          expect(us).toBeGreaterThan(ideal - 2001)
          expect(us).toBeLessThan(ideal + 1001)
        },
      ),
    )
  })

  it('makes up for a late timer, by two ticks at most, and not for silence', () => {
    const late = new Pacer(0, 1 << 20, MSS)
    late.sent(1000, 1e6, 0, true)
    expect(late.wait(0)).toBe(1000)
    expect(late.wait(50_000)).toBe(0)
    for (let i = 0; i < 2; i++) late.sent(1000, 1e6, 50_000, true)
    expect(late.wait(50_000)).toBe(0)
    late.sent(1000, 1e6, 50_000, true)
    expect(late.wait(50_000)).toBe(1000)

    const silent = new Pacer(0, 1 << 20, MSS)
    silent.sent(1000, 1e6, 0, true)
    silent.rest()
    expect(silent.wait(50_000)).toBe(0)
    silent.sent(1000, 1e6, 50_000, true)
    expect(silent.wait(50_000)).toBe(1000)
  })

  it('lets the first ten segments go for an algorithm, not for the application', () => {
    const free = new Pacer(0, 0, MSS)
    for (let i = 0; i < 10; i++) {
      expect(free.wait(0)).toBe(0)
      free.sent(MSS, 1e6, 0, false)
    }
    free.sent(MSS, 1e6, 0, false)
    expect(free.wait(0)).toBe(1460)
    const own = new Pacer(0, 0, MSS)
    own.sent(MSS, 1e6, 0, true)
    expect(own.wait(0)).toBe(1460)
  })

  it('a super-segment is a millisecond at the rate, two segments at least', () => {
    expect(pacingQuantum(100_000, MSS)).toBe(2 * MSS)
    expect(pacingQuantum(12_500_000, MSS)).toBe(12_500)
    expect(pacingQuantum(1e13, MSS)).toBe(0x7fffffff)
  })

  it("paces a window at twice its rate in slow start, 1.2 times after, as Linux's ratios say", () => {
    const w = Object.assign(new CongestionWindow(), { cwnd: 14_600 })
    expect(windowPacingRate(w, 100_000)).toBe(292_000)
    w.ssthresh = 14_600
    expect(windowPacingRate(w, 100_000)).toBe(175_200)
    expect(windowPacingRate(w, 0)).toBe(0)
  })
})

describe('a connection that is paced', () => {
  const bytesBy = (lab: TcpLab, ms: number): number[] => {
    const out: number[] = []
    for (let i = 0; i < ms; i++) {
      const before = lab.out.length
      lab.advance(1)
      out.push(lab.out.slice(before).reduce((n, e) => n + e.len, 0))
    }
    return out
  }

  it('maxPacingRate holds the bytes back, in bursts of a millisecond or two segments', () => {
    const lab = new TcpLab({ config: { tcp: { initialWindowSegments: 40, congestion: 'newreno' } } })
    lab.listen({ maxPacingRate: 1_460_000 }) // a segment each millisecond
    lab.accept()
    lab.write(30 * MSS)
    const per = bytesBy(lab, 20)
    const sent = lab.out.reduce((n, e) => n + e.len, 0)
    expect(sent).toBeGreaterThanOrEqual(20 * MSS)
    expect(sent).toBeLessThanOrEqual(22 * MSS)
    expect(Math.max(...per)).toBeLessThanOrEqual(2 * MSS)
  })

  it('sets one timer, and none when there is nothing to send or no room in the window', () => {
    const lab = new TcpLab({ config: { tcp: { initialWindowSegments: 4, congestion: 'newreno' } } })
    lab.listen({ maxPacingRate: 146_000 }) // a segment each 10 ms
    lab.accept()
    const events = (): number => lab.host.events
    lab.write(8 * MSS)
    expect(lab.take().length).toBe(1)
    const before = events()
    lab.advance(35)
    expect(lab.take().length).toBe(3)
    // A timer and a turn for each segment, a few more for what they wake.
    expect(events() - before).toBeLessThan(12)
    const full = events()
    lab.advance(100)
    expect(lab.take().length).toBe(0)
    expect(events() - full).toBeLessThan(3)
    expect(lab.c.deadlines.isPacing).toBe(false)
  })

  it('is not taken for a closed window: no probe goes out while the first segment waits', () => {
    const lab = new TcpLab({ config: { tcp: { congestion: 'newreno' } } })
    lab.listen({ maxPacingRate: 1000 }) // 1460 bytes are more than a second
    lab.accept()
    lab.write(MSS)
    lab.inject(`. 1:1(0) ack ${1 + MSS}`)
    lab.take()
    lab.write(MSS)
    lab.advance(1000)
    expect(lab.take()).toEqual([])
    lab.advance(500)
    expect(lab.take().map((e) => e.len)).toEqual([MSS])
    expect(lab.counters.tcpZeroWindowProbes ?? 0).toBe(0)
  })

  it('limits super-segments to a millisecond at the rate', () => {
    const lab = new TcpLab({
      offload: Offload.TSO4 | Offload.TX_CHECKSUM,
      gsoMax: 65_535,
      config: { tcp: { initialWindowSegments: 40, congestion: 'newreno' } },
    })
    lab.listen({ maxPacingRate: 8 * 1_460_000 })
    lab.accept()
    lab.write(40 * MSS)
    lab.advance(10)
    expect(Math.max(...lab.out.map((e) => e.len))).toBe(8 * MSS)
    expect(lab.out.reduce((n, e) => n + e.len, 0)).toBe(40 * MSS)
  })

  it('sends a retransmission after a time-out at once, whatever the rate', () => {
    const lab = new TcpLab({ config: { tcp: { congestion: 'newreno' } } })
    lab.listen({ maxPacingRate: 1460 })
    lab.accept()
    lab.write(2 * MSS)
    lab.clear()
    lab.advance(250)
    expect(lab.take()[0]?.text).toContain(`1:${1 + MSS}(${MSS})`)
  })

  it('tcp.pacing spreads a window of CUBIC over its round trip', () => {
    const lab = new TcpLab({ config: { tcp: { pacing: true } } })
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.advance(100)
    lab.inject('. 1:1(0) ack 1')
    lab.clear()
    lab.write(60 * MSS)
    expect(lab.take().length).toBe(10) // the initial window is not held back
    lab.advance(100)
    lab.inject(`. 1:1(0) ack ${1 + 10 * MSS}`)
    const per = bytesBy(lab, 60)
    expect(per.reduce((n, x) => n + x, 0)).toBeGreaterThanOrEqual(19 * MSS)
    expect(Math.max(...per)).toBeLessThanOrEqual(2 * MSS)
    expect(lab.c.info().pacingRate).toBeCloseTo((2 * 20 * MSS) / 0.1, -4)
  })

  it('refuses a rate that is none', () => {
    const lab = new TcpLab()
    expect(() => lab.listen({ maxPacingRate: -1 })).toThrow(/maxPacingRate/)
    expect(() => lab.listen({ maxPacingRate: 1.5 })).toThrow(/maxPacingRate/)
  })
})
