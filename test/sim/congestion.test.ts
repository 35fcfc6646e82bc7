/** What congestion control is for, measured on virtual time: goodput on a long path, with and without loss; queues; the walk of BBR's states. */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/base/random.ts'
import { createWorld } from '../../src/sim/world.ts'
import { BBR_STATES, Bbr } from '../../src/tcp/bbr.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { Sink, SOURCE } from '../support/bulk.ts'
import { fairness, runFlows } from './grid/cell.ts'

/** 100 Mbit/s, 40 ms, a queue of one bandwidth-delay product. */
const PATH = { rateMbit: 100, rttMs: 40, queueBdp: 1, loss: 0, durationMs: 6000, warmupMs: 1000 }

describe('goodput on 100 Mbit/s, 40 ms, 1 BDP of queue', { timeout: 60_000 }, () => {
  it('CUBIC over 95 % without loss', () => {
    expect(runFlows({ ...PATH, flows: ['cubic'] }).utilization).toBeGreaterThan(0.95)
  })

  it('BBR over 95 % without loss, with next to no queue', () => {
    const r = runFlows({ ...PATH, flows: ['bbr'] })
    expect(r.utilization).toBeGreaterThan(0.95)
    expect(r.rttMs).toBeLessThan(50)
  })

  it('BBR over 85 % at 0.1 % random loss', () => {
    expect(runFlows({ ...PATH, flows: ['bbr'], loss: 0.001 }).utilization).toBeGreaterThan(0.85)
  })

  it('CUBIC at its theoretical share at 0.1 % random loss: no less than Reno', () => {
    // RFC 9438 section 5.1 and RFC 5348: mean windows of 1.054 (RTT / p)^0.75 and 1.22 / sqrt(p) segments.
    const bdp = (100e6 * 0.04) / 8 / 1514
    const share = Math.max(1.054 * (0.04 / 0.001) ** 0.75, 1.22 / Math.sqrt(0.001)) / bdp
    const r = runFlows({ ...PATH, flows: ['cubic'], loss: 0.001, durationMs: 20_000, warmupMs: 2000 })
    expect(r.utilization).toBeGreaterThan(0.85 * share)
  })

  it('paced CUBIC is no slower', () => {
    expect(runFlows({ ...PATH, flows: ['cubic'], config: { tcp: { pacing: true } } }).utilization).toBeGreaterThan(0.95)
  })

  it('flows of one kind share it', () => {
    for (const flow of ['cubic', 'bbr']) {
      const r = runFlows({ ...PATH, flows: [flow, flow, flow, flow], durationMs: 6000, warmupMs: 2000, rttMs: 20 })
      expect(r.utilization).toBeGreaterThan(0.93)
      expect(fairness(r.shares)).toBeGreaterThan(0.6)
    }
  })
})

describe('BBR', { timeout: 60_000 }, () => {
  /** A bulk transfer by BBR; `look` is called each millisecond of virtual time. */
  function watch(ms: number, look: (bbr: Bbr, c: Connection, atMs: number) => void, loss = 0): Connection {
    const world = createWorld({ seed: 5 })
    const a = world.stack()
    const b = world.stack()
    world.link(a, b, { delay: 10, send: { rate: 20e6, queue: 200_000, delay: 10, loss } })
    world.run(50)
    const bbr = new Bbr(new SeededRandom(3))
    b.tcp.listen({ port: 9 }, { onConnection: (c) => (c.handler = new Sink()) })
    const c = a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 9, congestion: bbr }, SOURCE) as Connection
    for (let t = 0; t < ms; t++) {
      world.run(1)
      look(bbr, c, t)
    }
    return c
  }

  it('walks from startup through drain into the cycle, and measures the path', () => {
    const walk: string[] = []
    let inCycle = 0
    let highest = 0
    const c = watch(9000, (bbr, connection, t) => {
      if (walk[walk.length - 1] !== bbr.stateName) walk.push(bbr.stateName)
      if (t < 2000) return
      inCycle++
      highest = Math.max(highest, connection.snd.window.pacingRate)
      const { path } = bbr
      // The line carries 20 Mbit/s of frames: 1448 of 1514 bytes are payload.
      expect(Math.abs(path.maxBw / ((20e6 / 8) * (1448 / 1514)) - 1)).toBeLessThan(0.03)
    })
    expect(walk.slice(0, 2)).toEqual(['startup', 'drain'])
    expect(walk.every((s) => (BBR_STATES as readonly string[]).includes(s))).toBe(true)
    const cycle = walk.slice(2).join(' ')
    expect(cycle).toMatch(/cruise refill up (down )?cruise refill up/)
    expect(inCycle).toBe(7000)
    expect(highest / c.snd.window.pacingRate).toBeGreaterThan(1.2)
    expect(c.info().minRttUs).toBeLessThan(21_500)
  })

  it('looks for a shorter round trip after ten seconds, for 200 ms, with half the flight', () => {
    const probes: { at: number; ms: number; least: number }[] = []
    const flights: number[] = []
    watch(13_000, (bbr, c, t) => {
      const inFlight = c.info().bytesInFlight
      if (t > 5000 && bbr.stateName === 'cruise') flights.push(inFlight)
      if (bbr.stateName !== 'probe-rtt') return
      const last = probes[probes.length - 1]
      if (last !== undefined && last.at + last.ms === t) {
        last.ms++
        last.least = Math.min(last.least, inFlight)
      } else probes.push({ at: t, ms: 1, least: inFlight })
    })
    expect(probes.length).toBe(1)
    expect(probes[0].at).toBeGreaterThan(10_000)
    expect(probes[0].ms).toBeGreaterThan(200)
    expect(probes[0].ms).toBeLessThan(300)
    const cruising = flights.reduce((x, y) => x + y, 0) / flights.length
    expect(probes[0].least / cruising).toBeLessThan(0.7)
  })

  it('learns a bound from a queue that is too small, and loses less by it', () => {
    const r = runFlows({ rateMbit: 50, rttMs: 40, queueBdp: 0.1, loss: 0, flows: ['bbr'], durationMs: 12_000, warmupMs: 7000 })
    const bbr = r.connections[0].snd.control as Bbr
    expect(bbr.path.inflightLongterm).toBeLessThan(Number.POSITIVE_INFINITY)
    expect(r.utilization).toBeGreaterThan(0.85)
    expect(r.retransmits / ((50e6 / 8 / 1500) * 12)).toBeLessThan(0.03)
  })

  it('takes congestion marks for losses: the short-term bound falls', () => {
    let marked = false
    let before = 0
    let lowest = Number.POSITIVE_INFINITY
    watch(6000, (bbr, c, t) => {
      if (t < 3000) return
      if (!marked && bbr.stateName === 'cruise') {
        marked = true
        before = bbr.path.bw
      }
      if (marked && bbr.stateName === 'cruise' && t % 20 === 0) bbr.congestionEcho()
      lowest = Math.min(lowest, bbr.path.inflightShortterm)
      expect(c.snd.window.cwnd).toBeGreaterThanOrEqual(4 * 1448)
    })
    expect(before).toBeGreaterThan(0)
    expect(lowest).toBeLessThan(Number.POSITIVE_INFINITY)
  })

  it('does not believe in a faster path than there is where duplicate ACKs stand for SACK', () => {
    const path = {
      rateMbit: 20,
      rttMs: 40,
      queueBdp: 1,
      loss: 0.02,
      durationMs: 20_000,
      warmupMs: 2000,
      config: { tcp: { sack: false } },
    }
    const r = runFlows({ ...path, flows: ['bbr'] })
    // Duplicates of the first round trips alone would make twice the rate of it.
    expect((r.connections[0].snd.control as Bbr).path.maxBw).toBeLessThan((1.1 * 20e6) / 8)
    expect(r.utilization).toBeGreaterThan(runFlows({ ...path, flows: ['cubic'] }).utilization)
  })

  it('is the same run for the same seed', () => {
    const run = (): number[] => runFlows({ ...PATH, flows: ['bbr', 'bbr'], loss: 0.01, durationMs: 1500 }).shares
    expect(run()).toEqual(run())
  })
})
