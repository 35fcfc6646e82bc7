/** Delivery-rate samples (draft-ietf-ccwg-bbr, "Delivery Rate Samples"), beside a naive twin that works as the draft's pseudocode. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Flight } from '../../src/tcp/flight.ts'
import { FlightPool } from '../../src/tcp/flight-pool.ts'
import { markLost } from '../../src/tcp/is-lost.ts'
import { HEAVY_LOSS, Rate, RateSample } from '../../src/tcp/rate.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const MSS = 1000

/** A log and its samples, on a clock of one's own. */
class Bench {
  readonly rate = new Rate()
  readonly flight = new Flight(new FlightPool(), this.rate)
  readonly out = new RateSample()
  us = 1_000_000
  nxt = 0
  minRttUs = 0

  send(bytes = MSS): void {
    this.nxt = (this.nxt + bytes) | 0
    this.flight.add(this.nxt, this.us, (this.nxt - this.flight.una) | 0)
  }

  ack(to: number, sacks: readonly (readonly [number, number])[] = []): RateSample {
    this.flight.beginAck(this.us, this.minRttUs)
    for (const [left, right] of sacks) this.flight.sack(left, right)
    this.flight.acknowledge(to)
    this.rate.sample(this.out, this.minRttUs)
    return this.out
  }

  wait(us: number): this {
    this.us += us
    return this
  }
}

describe('delivery rate', () => {
  it('is what arrived between sending and acknowledgment, over the longer of the two spans', () => {
    const b = new Bench()
    for (let i = 0; i < 4; i++) {
      b.send()
      b.wait(100)
    }
    b.wait(9600)
    expect(b.ack(1000)).toMatchObject({ delivered: 1000, intervalUs: 10_000 })
    expect(b.wait(1000).ack(2000)).toMatchObject({ delivered: 2000, intervalUs: 11_000 })
    // ACKs that come together: the spans of sending (300 us) and acknowledging (11 ms) are told apart.
    expect(b.ack(4000)).toMatchObject({ delivered: 4000, intervalUs: 11_000 })
    expect(b.out.bytesPerSecond).toBeCloseTo(4000 / 0.011, 6)
  })

  it('is not faster than the sending was, though ACKs came compressed', () => {
    const b = new Bench()
    b.send()
    b.wait(50_000).ack(1000)
    for (let i = 0; i < 10; i++) {
      b.send()
      b.wait(10_000)
    }
    b.ack(2000)
    b.wait(10).ack(11_000)
    // Nine segments at one per 10 ms, acknowledged at once.
    expect(b.out.bytesPerSecond).toBeLessThanOrEqual(10_000 / 0.09)
  })

  it('gives nothing where an interval is shorter than any round trip, and where nothing is new', () => {
    const b = new Bench()
    b.minRttUs = 5000
    b.send()
    expect(b.wait(1000).ack(1000).intervalUs).toBe(0)
    expect(b.ack(1000)).toMatchObject({ intervalUs: 0, hasData: false, bytesPerSecond: 0 })
  })

  it('counts SACKed bytes when they are SACKed, and not again', () => {
    const b = new Bench()
    for (let i = 0; i < 3; i++) b.send()
    b.wait(10_000)
    expect(b.ack(0, [[1000, 3000]]).delivered).toBe(2000)
    expect(b.rate.delivered).toBe(2000)
    b.wait(10_000).ack(3000)
    expect(b.rate.delivered).toBe(3000)
  })

  it('a retransmission is a sending of its own: its sample begins with it', () => {
    const b = new Bench()
    for (let i = 0; i < 4; i++) b.send()
    b.wait(10_000).ack(0, [[1000, 4000]])
    markLost(b.flight, MSS, 1)
    expect(b.flight.nextLost()).toBe(0)
    b.flight.retransmitted(0, MSS, b.us, 1000)
    b.wait(20_000)
    // Delivered since the retransmission: itself, in the 20 ms since the last delivery.
    expect(b.ack(4000)).toMatchObject({ delivered: 1000, intervalUs: 20_000, priorDelivered: 3000 })
  })

  it('says what was sent while the application was the limit, until that is through', () => {
    const b = new Bench()
    b.send()
    b.rate.applicationLimited(1000)
    b.send()
    b.wait(10_000)
    expect(b.ack(1000).isAppLimited).toBe(false)
    b.send()
    expect(b.wait(100).ack(2000).isAppLimited).toBe(true)
    b.send()
    expect(b.wait(10_000).ack(4000).isAppLimited).toBe(false)
    expect(b.rate.isAppLimited).toBe(false)
  })

  it('begins anew after silence', () => {
    const b = new Bench()
    b.send()
    b.wait(10_000).ack(1000)
    b.wait(60_000_000)
    b.send()
    expect(b.wait(10_000).ack(2000)).toMatchObject({ delivered: 1000, intervalUs: 10_000 })
  })

  it('notes the first loss that is heavy for what was in flight with it, and more than two segments', () => {
    const b = new Bench()
    b.flight.mss = MSS
    for (let i = 0; i < 100; i++) b.send()
    b.wait(10_000).ack(0, [[5000, 100_000]])
    b.rate.losses(b.out)
    expect(b.out.heavyInFlight).toBe(0)
    markLost(b.flight, MSS, 3)
    b.rate.losses(b.out)
    // Walked from the newest lost record, of five segments: each is more than a fiftieth of what was in flight with it, the third counts.
    expect(b.out.heavyInFlight).toBe(3 * MSS)
    expect(b.out.heavyLost).toBe(3 * MSS)
    expect(b.out.heavyLost * HEAVY_LOSS).toBeGreaterThan(b.out.heavyInFlight)
    expect(b.out.heavyBytes).toBe(MSS)
    expect(b.rate.lost).toBe(5000)
    b.rate.losses(b.out)
    expect(b.out.heavyInFlight).toBe(0)
  })

  it('agrees with the pseudocode, whatever is sent and acknowledged, also where the counters wrap', () => {
    interface Packet {
      end: number
      sent: number
      first: number
      time: number
      delivered: number
      done: boolean
    }
    const step = fc.oneof(
      fc.record({ kind: fc.constant('send' as const), n: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ kind: fc.constant('wait' as const), n: fc.integer({ min: 1, max: 30_000 }) }),
      fc.record({ kind: fc.constant('ack' as const), n: fc.integer({ min: 1, max: 6 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const b = new Bench()
        b.us = 0x7fffffff - 40_000
        b.rate.delivered = 0x7fffffff - 3000
        let delivered = 0x7fffffff - 3000
        let deliveredTime = 0
        let firstSend = 0
        const packets: Packet[] = []
        for (const { kind, n } of steps) {
          if (kind === 'wait') b.wait(n)
          if (kind === 'send') {
            for (let i = 0; i < n; i++) {
              if (packets.every((p) => p.done)) firstSend = deliveredTime = b.us
              b.send()
              packets.push({ end: packets.length + 1, sent: b.us, first: firstSend, time: deliveredTime, delivered, done: false })
            }
          }
          if (kind !== 'ack') continue
          const waiting = packets.filter((p) => !p.done)
          const now = waiting.slice(0, n)
          if (now.length === 0) continue
          let newest: Packet | null = null
          let send = 0
          let ack = 0
          for (const p of now) {
            delivered += MSS
            deliveredTime = b.us
            if (newest === null || p.sent > firstSend || (p.sent === firstSend && p.end > newest.end)) {
              newest = p
              send = p.sent - p.first
              ack = deliveredTime - p.time
              firstSend = p.sent
            }
            p.done = true
          }
          const out = b.ack((now[now.length - 1].end * MSS) | 0)
          const interval = Math.max(send, ack)
          expect(out.intervalUs).toBe(interval)
          if (interval > 0) expect(out.delivered).toBe(delivered - newest!.delivered)
        }
      }),
    )
  })
})

describe('delivery rate of a connection', () => {
  it('is in info(), with what was limited by the application told apart', () => {
    const lab = new TcpLab().accept()
    lab.write(4 * 1460)
    lab.advance(50)
    lab.inject(`. 1:1(0) ack ${1 + 4 * 1460}`)
    const info = lab.c.info()
    expect(info.deliveryRate).toBeCloseTo((4 * 1460) / 0.05, 0)
    expect(info.deliveryRateAppLimited).toBe(false)
    lab.write(1460)
    lab.advance(10)
    lab.inject(`. 1:1(0) ack ${1 + 5 * 1460}`)
    // One segment in 10 ms is faster than the last, and says so for a lone segment.
    expect(lab.c.info().deliveryRateAppLimited).toBe(true)
  })
})
