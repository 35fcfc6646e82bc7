/** What is counted, exactly: after an event every counter that is not named here stands where it stood. And no counter is without a test. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Packet } from '../../src/ip/packet.ts'
import { Segment } from '../../src/tcp/segment.ts'
import { TCP_COUNTERS } from '../../src/tcp/tcp-counters.ts'
import { TcpLab } from '../support/tcp-lab.ts'

/** What an event adds to the counters. */
function added(lab: TcpLab, event: () => void): Record<string, number> {
  const before = lab.counters
  event()
  const after = lab.counters
  return Object.fromEntries(
    Object.keys(after).flatMap((name) => (after[name] === before[name] ? [] : [[name, after[name] - (before[name] ?? 0)]])),
  )
}

describe('a segment for an established connection', () => {
  it('out of order, and what fills the hole', () => {
    const lab = new TcpLab().accept()
    expect(added(lab, () => lab.inject('. 101:201(100) ack 1'))).toEqual({ tcpInSegs: 1, tcpOutSegs: 1, tcpOutOfOrder: 1 })
    expect(added(lab, () => lab.inject('. 1:101(100) ack 1'))).toEqual({ tcpInSegs: 1, tcpOutSegs: 1 })
  })

  it('a duplicate ACK', () => {
    const lab = new TcpLab().accept()
    lab.write(3000)
    expect(added(lab, () => lab.inject('. 1:1(0) ack 1'))).toEqual({ tcpInSegs: 1, tcpDupAcks: 1 })
  })

  it('a reset inside the window: a challenge, the next one too soon for another', () => {
    const lab = new TcpLab().accept()
    expect(added(lab, () => lab.inject('R 2:2(0)'))).toEqual({ tcpInSegs: 1, tcpOutSegs: 1, tcpChallengeAcks: 1 })
    expect(added(lab, () => lab.inject('R 2:2(0)'))).toEqual({ tcpInSegs: 1, tcpAckSkipped: 1 })
  })

  it('the same when the stack has none left', () => {
    const lab = new TcpLab({ config: { tcp: { challengeAcksPerSecond: 0 } } }).accept()
    expect(added(lab, () => lab.inject('R 2:2(0)'))).toEqual({ tcpInSegs: 1, dropChallengeLimit: 1 })
  })
})

describe('a segment for a connection that opens', () => {
  it('an ACK of what was not sent', () => {
    const lab = new TcpLab()
    lab.open()
    expect(added(lab, () => lab.inject('S. 0:0(0) ack 9'))).toEqual({
      tcpInSegs: 1,
      tcpOutSegs: 1,
      tcpOutRsts: 1,
      dropBadAckInSynSent: 1,
    })
  })

  it('no SYN', () => {
    const lab = new TcpLab()
    lab.open()
    expect(added(lab, () => lab.inject('. 0:0(0) ack 1'))).toEqual({ tcpInSegs: 1, dropNoSynInSynSent: 1 })
  })

  it('the SYN again', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0)')
    expect(added(lab, () => lab.inject('S 0:0(0)'))).toEqual({ tcpInSegs: 1, tcpOutSegs: 1, tcpSynRetransmits: 1 })
  })
})

it('a segment from nowhere, which IP should have dropped (RFC 9293 MUST-63)', () => {
  const lab = new TcpLab()
  lab.listen()
  const packet = new Packet(lab.stack.tcp.ip.interfaces[0])
  expect(packet.source.isUnspecified).toBe(true)
  expect(added(lab, () => lab.stack.tcp.receiveUnknown(new Segment(packet)))).toEqual({ dropBadSource: 1 })
})

it('a SYN that there is no way to answer', () => {
  const lab = new TcpLab({ addresses: ['10.0.0.2/32'] })
  lab.listen()
  expect(added(lab, () => lab.inject('S 0:0(0)'))).toEqual({ tcpInSegs: 1, dropNoRoute: 1 })
})

it('a peer that is silent: the connection is given up', () => {
  const lab = new TcpLab({ config: { tcp: { retries: 2, tailLossProbe: false } } }).accept()
  expect(
    added(lab, () => {
      lab.write(100)
      lab.advance(60_000)
    }),
  ).toEqual({ tcpOutSegs: 3, tcpRetransSegs: 2, tcpTimeouts: 2, tcpAbortOnTimeout: 1 })
})

it('a peer that does not answer keep-alives', () => {
  const lab = new TcpLab().accept()
  lab.c.setKeepAlive(true, 10_000, 1000, 3)
  expect(added(lab, () => lab.advance(20_000))).toEqual({
    tcpOutSegs: 4,
    tcpKeepAlives: 3,
    tcpAbortOnKeepAlive: 1,
    tcpOutRsts: 1,
  })
})

describe('a SYN for a connection in TIME-WAIT', () => {
  function waiting(lab: TcpLab): TcpLab {
    lab.accept()
    lab.c.shutdown()
    lab.run()
    lab.inject('F. 1:1(0) ack 2')
    lab.advance(2000)
    lab.forget()
    return lab
  }

  it('with a new number: the place is taken', () => {
    const lab = waiting(new TcpLab())
    expect(added(lab, () => lab.inject('S 100000:100000(0) <mss 1460>'))).toEqual({
      tcpInSegs: 1,
      tcpOutSegs: 1,
      tcpTimeWaitRecycled: 1,
    })
  })

  it('with an old one, where those are dropped', () => {
    const lab = waiting(new TcpLab({ config: { tcp: { timeWaitChallenge: false } } }))
    expect(added(lab, () => lab.inject('S -100:-100(0) <mss 1460>'))).toEqual({ tcpInSegs: 1, dropSynInTimeWait: 1 })
  })
})

it('no counter is without a test or a script that names it', () => {
  const root = new URL('../', import.meta.url)
  const text = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') || name.endsWith('.pkt'))
    .map((name) => readFileSync(new URL(name, root), 'utf8'))
    .join('\n')
  expect(TCP_COUNTERS.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([])
})
