/**
 * Loss recovery from inside: what each mechanism counts and leaves behind. How it looks on the wire is in test/scripts/recovery, what it
 * achieves in test/sim/single-loss.test.ts. RFC 8985, 9937, 3522, 3708, 4015, 5682.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Flight } from '../../src/tcp/flight.ts'
import { FlightPool } from '../../src/tcp/flight-pool.ts'
import { SACKED } from '../../src/tcp/flight-record.ts'
import { Prr } from '../../src/tcp/prr.ts'
import { Rack } from '../../src/tcp/rack.ts'
import { Rate } from '../../src/tcp/rate.ts'
import { RecoveryState } from '../../src/tcp/recovery.ts'
import { TCP_COUNTERS } from '../../src/tcp/tcp-counters.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { type LabOptions, TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460
const SACK = '<mss 1460,sackOK>'

/** A connection that was accepted over a path of 100 ms. */
function lab(options = SACK, o: LabOptions = {}): TcpLab {
  const l = new TcpLab(o)
  l.listen()
  l.inject(`S 0:0(0) win 65535 ${options}`)
  l.advance(100)
  l.inject('. 1:1(0) ack 1 win 65535')
  l.clear()
  l.app.take()
  return l
}

const at = (i: number): number => 1 + i * MSS
const ack = (l: TcpLab, i: number, ...blocks: [from: number, to: number][]): void => {
  const sack = blocks.map(([a, b]) => `${at(a)}:${at(b)}`).join(' ')
  l.inject(`. 1:1(0) ack ${at(i)} win 65535${sack === '' ? '' : ` <nop,nop,sack ${sack}>`}`)
  checkInvariants(l.c)
}

const RECOVERY = TCP_COUNTERS.filter((name) =>
  /^TCP(Reno|Sack|SACK|Fast|SlowStart|Lost|Loss|TS|Full|Partial|DSACK|Spurious)(?!Open)/.test(name),
)

/** The counters of recovery that are not zero. */
function counted(l: TcpLab): Record<string, number> {
  const all = l.counters
  return Object.fromEntries(RECOVERY.filter((name) => (all[name] ?? 0) > 0).map((name) => [name, all[name]]))
}

describe('counters, exactly', () => {
  it('a loss, repaired', () => {
    const l = lab()
    l.write(10 * MSS)
    l.advance(100)
    ack(l, 0, [1, 10])
    l.advance(100)
    ack(l, 10)
    expect(counted(l)).toEqual({ TCPSackRecovery: 1, TCPFastRetrans: 1 })
    expect(l.c.info()).toMatchObject({ recovery: 'open', cwnd: 7 * MSS, ssthresh: 7 * MSS })
  })

  it('the same without SACK', () => {
    const l = lab('<mss 1460>')
    l.write(10 * MSS)
    l.advance(100)
    for (let i = 0; i < 3; i++) ack(l, 0)
    l.advance(100)
    ack(l, 10)
    expect(counted(l)).toEqual({ TCPRenoRecovery: 1, TCPFastRetrans: 1 })
  })

  it('a retransmission that was lost', () => {
    const l = lab()
    l.write(14 * MSS)
    l.advance(100)
    ack(l, 0, [1, 10])
    l.advance(100)
    ack(l, 0, [1, 14])
    expect(counted(l)).toEqual({ TCPSackRecovery: 1, TCPFastRetrans: 2, TCPLostRetransmit: 1 })
  })

  it('reordering, which is no loss', () => {
    const l = lab()
    l.write(4 * MSS)
    l.advance(100)
    ack(l, 0, [1, 3])
    l.advance(5)
    ack(l, 4)
    expect(counted(l)).toEqual({ TCPSACKReorder: 1 })
    expect(l.c.info()).toMatchObject({ retransmits: 0, reorderingSeen: 1, reordering: 4, recovery: 'open' })
  })

  it('the degree of reordering is remembered, in segments, to a limit', () => {
    const l = lab(SACK, { config: { tcp: { maxReorderingSegments: 7 } } })
    l.write(10 * MSS)
    l.advance(100)
    ack(l, 0, [5, 6])
    ack(l, 6)
    expect(l.c.info().reordering).toBe(6)
    ack(l, 6, [9, 10])
    ack(l, 10)
    expect(l.c.info().reordering).toBe(6)
    l.write(10 * MSS)
    l.advance(100)
    ack(l, 10, [19, 20])
    ack(l, 20)
    expect(l.c.info().reordering).toBe(7)
  })

  it('a spurious recovery, by D-SACK', () => {
    const l = lab()
    l.write(10 * MSS)
    l.advance(100)
    ack(l, 0, [1, 4])
    ack(l, 10)
    l.advance(100)
    ack(l, 10, [0, 1])
    expect(counted(l)).toEqual({ TCPSackRecovery: 1, TCPFastRetrans: 1, TCPDSACKUndo: 1 })
    expect(l.c.info()).toMatchObject({ cwnd: 10 * MSS, recovery: 'open' })
    expect(l.c.info().ssthresh).toBe(0x7fffffff)
  })

  it('a D-SACK of the only part that was not sent again undoes nothing; nor does one of what the network doubled', () => {
    const l = lab()
    l.write(10 * MSS)
    l.advance(100)
    ack(l, 0, [2, 5])
    l.advance(100)
    ack(l, 10)
    l.write(10)
    l.inject(`. 1:1(0) ack ${at(10)} win 65535 <nop,nop,sack ${at(0)}:${at(1)}>`)
    l.inject(`. 1:1(0) ack ${at(10)} win 65535 <nop,nop,sack ${at(5)}:${at(9)}>`)
    expect(l.counters.TCPDSACKUndo).toBeUndefined()
    expect(l.c.info().ssthresh).toBeLessThan(0x7fffffff)
  })

  it('a spurious recovery, by timestamps', () => {
    const l = lab('<mss 1472,sackOK,TS val 100 ecr 0>')
    l.write(10 * MSS)
    const sentAt = l.out.at(-1)!.tsVal
    l.advance(100)
    l.inject(`. 1:1(0) ack 1 win 65535 <nop,nop,TS val 300 ecr ${sentAt},nop,nop,sack ${at(1) - 12}:${at(4) - 48}>`)
    const one = l.c.snd.mss
    expect(l.c.info().recovery).toBe('recovery')
    l.advance(10)
    l.inject(`. 1:1(0) ack ${1 + 10 * one} win 65535 <nop,nop,TS val 310 ecr ${sentAt}>`)
    expect(counted(l)).toEqual({ TCPSackRecovery: 1, TCPFastRetrans: 1, TCPFullUndo: 1 })
    expect(l.c.info().ssthresh).toBe(0x7fffffff)
  })

  it('the same, seen when the first hole is filled', () => {
    const l = lab('<mss 1472,sackOK,TS val 100 ecr 0>')
    l.write(10 * MSS)
    const sentAt = l.out.at(-1)!.tsVal
    const one = l.c.snd.mss
    l.advance(100)
    l.inject(`. 1:1(0) ack 1 win 65535 <nop,nop,TS val 300 ecr ${sentAt},nop,nop,sack ${1 + one}:${1 + 4 * one}>`)
    l.advance(10)
    l.inject(`. 1:1(0) ack ${1 + 4 * one} win 65535 <nop,nop,TS val 310 ecr ${sentAt}>`)
    expect(counted(l)).toEqual({ TCPSackRecovery: 1, TCPFastRetrans: 1, TCPTSReorder: 1, TCPPartialUndo: 1 })
    expect(l.c.info()).toMatchObject({ ssthresh: 0x7fffffff, reordering: 4, lostSegments: 0 })
  })

  it('a spurious time-out, by F-RTO', () => {
    const l = lab(SACK, { config: { tcp: { tailLossProbe: false } } })
    l.write(20 * MSS)
    l.advance(301)
    ack(l, 1)
    ack(l, 2)
    expect(counted(l)).toEqual({ TCPLossUndo: 1, TCPSpuriousRTOs: 1 })
    expect(l.c.info()).toMatchObject({ recovery: 'open', lost: 0 })
    expect(l.c.info().cwnd).toBeGreaterThanOrEqual(10 * MSS)
  })

  it('a time-out that was one', () => {
    const l = lab(SACK, { config: { tcp: { tailLossProbe: false, frto: false } } })
    l.write(5 * MSS)
    l.advance(301)
    l.advance(100)
    ack(l, 1)
    l.advance(100)
    ack(l, 3)
    l.advance(100)
    ack(l, 5)
    expect(counted(l)).toEqual({ TCPSlowStartRetrans: 4 })
    expect(l.counters.tcpTimeouts).toBe(1)
  })

  it('a probe, and what it repaired', () => {
    const l = lab()
    l.write(5 * MSS)
    l.advance(100)
    ack(l, 4)
    l.advance(301)
    ack(l, 5)
    expect(counted(l)).toEqual({ TCPLossProbes: 1 })
    l.write(MSS)
    ack(l, 6)
    expect(counted(l)).toEqual({ TCPLossProbes: 1, TCPLossProbeRecovery: 1 })
    expect(l.c.info()).toMatchObject({ recovery: 'open', ssthresh: 7 * MSS, cwnd: 7 * MSS })
  })

  it('a probe that repaired nothing, said by a bare duplicate', () => {
    const l = lab()
    l.write(5 * MSS)
    l.advance(100)
    ack(l, 4)
    l.advance(301)
    ack(l, 5)
    ack(l, 5)
    l.write(MSS)
    ack(l, 6)
    expect(counted(l)).toEqual({ TCPLossProbes: 1 })
  })

  it('a peer that takes back what it SACKed', () => {
    const l = lab()
    l.write(4 * MSS)
    l.advance(100)
    ack(l, 0, [1, 4])
    ack(l, 1)
    l.advance(1000)
    expect(counted(l)).toMatchObject({ TCPSACKReneging: 1 })
    ack(l, 4)
    expect(l.c.info()).toMatchObject({ bytesInFlight: 0, lost: 0, sacked: 0, recovery: 'open' })
  })
})

describe('CWR', () => {
  it('leads the window down without retransmission, once, and ends when something newer is acknowledged', () => {
    const l = lab()
    l.write(20 * MSS)
    l.advance(100)
    const { recovery } = l.c.snd
    recovery.congestionEcho(l.c.snd.nxt, 0, 0)
    recovery.congestionEcho(l.c.snd.nxt, 0, 0)
    expect([recovery.state, recovery.reductions]).toEqual([RecoveryState.CWR, 1])
    const sent = l.out.length
    for (let i = 1; i <= 10; i++) ack(l, i)
    expect(l.c.info()).toMatchObject({ recovery: 'cwr', ssthresh: 7 * MSS, cwnd: 7 * MSS })
    expect(l.out.length - sent).toBe(7) // 0.7 for one
    ack(l, 11)
    expect(l.c.info()).toMatchObject({ recovery: 'open', cwnd: 7 * MSS, retransmits: 0 })
  })

  it('stands although the losses of the same window were none', () => {
    const l = lab()
    l.write(10 * MSS)
    l.advance(100)
    ack(l, 0, [1, 4])
    l.c.snd.recovery.congestionEcho(l.c.snd.nxt, 0, 0)
    ack(l, 10)
    l.advance(100)
    ack(l, 10, [0, 1])
    expect(l.c.info().ssthresh).toBe(7 * MSS)
  })
})

describe('R1 (RFC 9293 section 3.8.3)', () => {
  it('tells the application at R1, once, and again after progress (SHLD-9)', () => {
    const l = lab()
    let told = 0
    l.c.handler = { onStalled: () => void told++ }
    l.write(2 * MSS)
    l.advance(600) // the probe, and one time-out
    expect(told).toBe(0)
    l.advance(60_000)
    expect(told).toBe(1)
    ack(l, 1)
    l.advance(300_000)
    expect(told).toBe(2)
  })
})

describe('a handshake of which segments were sent again', () => {
  const syn = (options: string): TcpLab => {
    const l = new TcpLab()
    l.listen()
    l.inject(`S 0:0(0) win 65535 ${options}`)
    l.advance(3500) // sent again after 1 s, and after 2 more
    expect(l.out.length).toBe(3)
    return l
  }

  it('begins with one segment', () => {
    const l = syn('<mss 1460,sackOK>')
    l.inject('. 1:1(0) ack 1 win 65535')
    expect(l.c.info()).toMatchObject({ cwnd: MSS, rtoMs: 3000 })
  })

  it('not when timestamps say that the first was answered; and the round trip is known', () => {
    const l = syn('<mss 1460,sackOK,TS val 100 ecr 0>')
    l.inject(`. 1:1(0) ack 1 win 65535 <nop,nop,TS val 200 ecr ${l.out[0].tsVal}>`)
    expect(l.c.info().cwnd).toBe(10 * l.c.snd.mss)
    expect(l.c.info().rttUs).toBe(3_500_500)
  })

  it('nor when the SYN was ours', () => {
    const l = new TcpLab()
    l.open()
    l.advance(3500)
    expect(l.out.length).toBe(3)
    l.inject(`S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 5 ecr ${l.out[0].tsVal}>`)
    expect(l.c.info().cwnd).toBe(10 * l.c.snd.mss)
    const other = new TcpLab()
    other.open()
    other.advance(3500)
    other.inject(`S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 5 ecr ${other.out[2].tsVal}>`)
    expect(other.c.info().cwnd).toBe(other.c.snd.mss)
    expect(other.c.info().rttUs).toBe(500_500)
  })
})

describe('RACK’s reordering window (RFC 8985 section 6.2 step 4)', () => {
  it('grows by one step for a round of D-SACKs, to SRTT at most, and is forgotten after 16 recoveries', () => {
    const r = new Rack()
    const w = (): number => r.window(40_000, 50_000, true, false)
    expect(w()).toBe(10_000)
    r.dsack()
    r.adapt(100, 200)
    expect(w()).toBe(20_000)
    r.dsack()
    r.adapt(150, 300) // the same round
    expect(w()).toBe(20_000)
    r.dsack()
    r.adapt(200, 400)
    expect(w()).toBe(30_000)
    for (let i = 0; i < 9; i++) {
      r.dsack()
      r.adapt(400 + 100 * i, 500 + 100 * i)
    }
    expect(w()).toBe(50_000)
    for (let i = 0; i < 15; i++) r.recovered()
    expect(w()).toBe(50_000)
    r.recovered()
    expect(w()).toBe(10_000)
  })

  it('is 0 where it is sure and nothing was reordered', () => {
    const r = new Rack()
    expect(r.window(40_000, 50_000, false, true)).toBe(0)
    expect(r.window(40_000, 50_000, false, false)).toBe(10_000)
    expect(r.window(40_000, 50_000, true, true)).toBe(10_000)
  })
})

describe('PRR (RFC 9937)', () => {
  it('leads to ssthresh in proportion, and sends nothing twice', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 400 }), fc.integer({ min: 1, max: 9 }), (segments, tenths) => {
        const p = new Prr()
        const ssthresh = Math.max(2, Math.floor((segments * tenths) / 10)) * 1000
        p.begin(segments * 1000)
        let inFlight = (segments - 1) * 1000 // one was lost
        let out = 0
        for (let i = 1; i < segments; i++) {
          inFlight -= 1000
          const w = p.window(inFlight, ssthresh, 1000, 1000, false)
          const n = Math.max(0, Math.floor((w - inFlight) / 1000)) * 1000
          p.sent(n)
          out += n
          inFlight += n
          const share = (i * ssthresh) / segments
          if (i > 1 && inFlight > ssthresh) expect(Math.abs(out - share)).toBeLessThanOrEqual(1000)
        }
        expect(Math.abs(inFlight - ssthresh)).toBeLessThanOrEqual(1000)
      }),
      { seed: 5 },
    )
  })

  it('the first segment leaves at once; below ssthresh as much as arrives, one more when nothing else was lost', () => {
    const p = new Prr()
    p.begin(10_000)
    expect(p.window(8000, 5000, 1000, 0, false)).toBe(9000)
    const q = new Prr()
    q.begin(10_000)
    q.sent(1000)
    expect(q.window(2000, 7000, 1000, 2000, false)).toBe(4000)
    q.sent(2000)
    q.spoke()
    expect(q.window(2000, 7000, 1000, 1000, true)).toBe(4000)
  })

  it('two ACKs heard in one turn allow what they would one after the other', () => {
    const one = new Prr()
    const both = new Prr()
    for (const p of [one, both]) {
      p.begin(20_000)
      p.sent(9000)
    }
    expect(one.window(1000, 10_000, 1000, 1000, true)).toBe(3000)
    one.sent(2000)
    one.spoke()
    expect(one.window(2000, 10_000, 1000, 1000, true)).toBe(4000)
    both.window(1000, 10_000, 1000, 1000, true)
    expect(both.window(0, 10_000, 1000, 1000, true)).toBe(4000)
  })

  it('what was heard in the same turn before the loss was known lets as much leave', () => {
    const p = new Prr()
    p.begin(20_000, 14_000)
    expect(p.window(5000, 10_000, 1000, 1000, false)).toBe(10_000)
    const late = new Prr()
    late.begin(6000)
    expect(late.window(5000, 10_000, 1000, 1000, false)).toBe(6000)
  })
})

describe('the flight log', () => {
  it('is short where the holes are few, however long the flight', () => {
    const f = new Flight(new FlightPool(), new Rate())
    f.mss = 1000
    for (let i = 1; i <= 4000; i++) f.add(i * 1000, i, 0, 1000)
    f.beginAck(5000, 0)
    for (let i = 1; i < 4000; i++) if (i % 1000 !== 0) f.sack(i * 1000, (i + 1) * 1000)
    expect(f.count).toBe(8) // four holes, and what is between
    expect(f.sackedSegments).toBe(3996)
    f.acknowledge(500_000)
    expect(f.sackedSegments).toBe(3996 - 499)
    f.acknowledge(1_000_000)
    expect([f.count, f.sackedSegments, f.sackedBytes]).toEqual([6, 2997, 2_997_000])
  })

  it('takes only whole segments of a super-segment as SACKed', () => {
    const f = new Flight(new FlightPool(), new Rate())
    f.mss = 1000
    f.add(10_500, 1, 0, 1000)
    f.beginAck(2, 0)
    expect(f.sack(100, 900)).toBe(0)
    expect(f.sack(100, 1900)).toBe(0)
    expect(f.sack(1500, 4500)).toBe(2000)
    expect([f.startOf(1), f.endOf(1), f.flagsOf(1) & SACKED]).toEqual([2000, 4000, SACKED])
    expect(f.sack(10_000, 10_500)).toBe(500) // the last one is short
    expect(f.sack(10_000, 10_400)).toBe(0)
    expect(f.sackedSegments).toBe(3)
  })

  it('keeps its sums through SACKs of what was cut at other sizes', () => {
    const cut = fc.record({ from: fc.nat(60_000), n: fc.integer({ min: 1, max: 9000 }), again: fc.boolean() })
    fc.assert(
      fc.property(fc.array(cut, { maxLength: 40 }), (steps) => {
        const f = new Flight(new FlightPool(), new Rate())
        f.mss = 1460
        for (let i = 1; i <= 4; i++) f.add(i * 14_600, i, 0, 1460)
        const end = 4 * 14_600
        for (const s of steps) {
          f.beginAck(100, 0)
          if (s.from < end) f.sack(s.from, Math.min(end, s.from + s.n))
          if (s.again) {
            f.markAllLost()
            const i = f.nextLost()
            if (i >= 0) f.retransmitted(i, Math.min(1000, f.endOf(i) - f.startOf(i)), 50, 0, 1000)
          }
          let sacked = 0
          let at = f.una
          for (let i = 0; i < f.count; i++) {
            expect(f.startOf(i)).toBe(at)
            at = f.endOf(i)
            if ((f.flagsOf(i) & SACKED) !== 0) sacked += at - f.startOf(i)
            if (i > 0) expect((f.flagsOf(i) & f.flagsOf(i - 1) & SACKED) !== 0 && f.flagsOf(i) === f.flagsOf(i - 1)).toBe(false)
          }
          expect([at, sacked]).toEqual([end, f.sackedBytes])
        }
        f.beginAck(200, 0)
        f.acknowledge(end)
        expect([f.count, f.sackedBytes, f.sackedSegments, f.lostBytes, f.retransmittedBytes]).toEqual([0, 0, 0, 0, 0])
      }),
      { numRuns: 300, seed: 11 },
    )
  })
})

it('a connection without losses holds nothing of all this', () => {
  const l = lab()
  l.write(30 * MSS)
  for (let i = 1; i <= 30; i++) ack(l, i)
  const recovery = l.c.snd.recovery as unknown as Record<string, unknown>
  expect([recovery.reduction, recovery.tail, (recovery.detector as { rack: unknown }).rack]).toEqual([null, null, null])
})
