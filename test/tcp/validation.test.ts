/** What a stranger or an old segment must not be able to do: RFC 9293 section 3.10.7.4, RFC 5961, RFC 7323 section 5. */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

const FULL = '<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>'

describe('RST (RFC 5961 section 3.2, EX-01)', () => {
  it('exactly at RCV.NXT resets', () => {
    const lab = new TcpLab().accept()
    lab.inject('R 1:1(0)')
    lab.expect()
    expect(lab.app.take()).toEqual(['close ECONNRESET'])
    expect(lab.state).toBe('CLOSED')
  })

  it('with data is a RST all the same (SHLD-2)', () => {
    const lab = new TcpLab().accept()
    lab.inject('R 1:11(10)')
    lab.expect()
    expect(lab.app.take()).toEqual(['close ECONNRESET'])
  })

  it('inside the window gets a challenge ACK and changes nothing', () => {
    const lab = new TcpLab().accept()
    lab.inject('R. 2:2(0) ack 1')
    lab.expect('. 1:1(0) ack 1')
    expect(lab.state).toBe('ESTABLISHED')
  })

  it('outside the window is dropped in silence', () => {
    const lab = new TcpLab().accept()
    lab.inject('R 70000:70000(0)')
    lab.inject('R 0:0(0)')
    lab.inject('R -5:-5(0)')
    lab.expect()
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.counters.dropUnacceptableReset).toBe(3)
  })

  it('payload that reaches the window does not bring an old RST into it', () => {
    const lab = new TcpLab().accept()
    lab.inject('R -99:901(1000)')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.counters.dropUnacceptableReset).toBe(1)
  })

  it('is heard with a closed window, at the exact number only (MUST-66)', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 2000, receiveBufferMaxBytes: 2000, quickAcks: 0 } } })
    lab.accept()
    lab.app.reading = false
    lab.inject('. 1:1461(1460) ack 1')
    lab.inject('. 1461:2001(540) ack 1')
    lab.advance(50)
    lab.expect('. 1:1(0) ack 2001 win 0')
    lab.inject('R 2002:2002(0)')
    expect(lab.state).toBe('ESTABLISHED')
    lab.inject('R 2001:2001(0)')
    expect(lab.state).toBe('CLOSED')
  })
})

describe('SYN on a synchronized connection (RFC 5961 section 4.2, EX-02)', () => {
  for (const [what, line] of [
    ['at the old number', 'S 0:0(0)'],
    ['inside the window', 'S 100:100(0)'],
    ['outside the window', 'S 900000:900000(0)'],
    ['with data that reaches into the window', 'S 0:500(500)'],
    ['with ACK', 'S. 0:0(0) ack 1'],
  ]) {
    it(`${what}: a challenge ACK, nothing else`, () => {
      const lab = new TcpLab().accept()
      lab.inject(line)
      lab.expect('. 1:1(0) ack 1')
      expect(lab.state).toBe('ESTABLISHED')
      expect(lab.app.take()).toEqual([])
    })
  }
})

describe('ACK numbers (RFC 5961 section 5.2, EX-03; RFC 9293 MAY-12)', () => {
  it('beyond SND.NXT: challenge ACK, segment dropped', () => {
    const lab = new TcpLab().accept()
    lab.inject('. 1:11(10) ack 2')
    lab.expect('. 1:1(0) ack 1')
    expect(lab.app.received).toBe(0)
    expect(lab.counters.dropUnacceptableAck).toBe(1)
  })

  it('older than SND.UNA - MAX.SND.WND: challenge ACK; within: heard', () => {
    const lab = new TcpLab().accept('<mss 1460>', 4000)
    lab.write(2920)
    lab.inject('. 1:1(0) ack 2921 win 4000')
    lab.clear()
    lab.inject('. 1:2(1) ack -1080 win 4000')
    lab.expect('. 2921:2921(0) ack 1')
    expect(lab.app.received).toBe(0)
    lab.inject('. 1:2(1) ack 1 win 4000')
    expect(lab.app.received).toBe(1)
  })

  it('no ACK at all: dropped', () => {
    const lab = new TcpLab().accept()
    lab.inject('P 1:11(10)')
    lab.expect()
    expect(lab.counters.dropNoAck).toBe(1)
  })
})

describe('challenge ACKs are limited (RFC 5961 section 7, EX-04)', () => {
  it('per connection: one in 500 ms', () => {
    const lab = new TcpLab().accept()
    for (let i = 0; i < 50; i++) lab.inject('R 2:2(0)')
    lab.expect('. 1:1(0) ack 1')
    lab.advance(500)
    lab.inject('R 2:2(0)')
    lab.expect('. 1:1(0) ack 1')
  })

  it('a flood on one connection does not use up the challenges of the others', () => {
    const lab = new TcpLab({ config: { tcp: { challengeAcksPerSecond: 10 } } }).accept()
    for (let i = 0; i < 100; i++) lab.inject('R 2:2(0)')
    lab.clear()
    lab.remotePort = 40001
    lab.accept()
    lab.inject('R 2:2(0)')
    lab.expect('. 1:1(0) ack 1')
  })

  it('for the stack: no more than the configured number, and not a number to count on (CVE-2016-5696)', () => {
    const counts = new Set<number>()
    for (let seed = 1; seed <= 8; seed++) {
      const lab = new TcpLab({ seed, config: { tcp: { challengeAcksPerSecond: 20 } } })
      for (let i = 0; i < 40; i++) {
        lab.remotePort = 41000 + i
        lab.accept()
      }
      for (let i = 0; i < 40; i++) {
        lab.remotePort = 41000 + i
        lab.inject('R 2:2(0)')
      }
      const n = lab.take().length
      expect(n).toBeLessThanOrEqual(20)
      expect(n).toBeGreaterThanOrEqual(10)
      counts.add(n)
    }
    expect(counts.size).toBeGreaterThan(1)
  })
})

describe('PAWS (RFC 7323 section 5, EX-05)', () => {
  it('drops an old timestamp and acknowledges', () => {
    const lab = new TcpLab().accept(FULL)
    lab.inject('. 1:11(10) ack 1 <nop,nop,TS val 99 ecr 1>')
    lab.expect('. 1:1(0) ack 1 <TS ecr 100>')
    expect(lab.app.received).toBe(0)
    expect(lab.counters.PAWSEstabRejected).toBe(1)
  })

  it('does not apply to RST', () => {
    const lab = new TcpLab().accept(FULL)
    lab.inject('R 1:1(0) <nop,nop,TS val 50 ecr 1>')
    expect(lab.state).toBe('CLOSED')
  })

  it('works across the wrap of the peer’s clock', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <mss 1460,TS val -2 ecr 0>')
    lab.inject('. 1:1(0) ack 1 <nop,nop,TS val -1 ecr 1>')
    lab.inject('. 1:2(1) ack 1 <nop,nop,TS val 0 ecr 1>')
    lab.inject('. 2:3(1) ack 1 <nop,nop,TS val 1 ecr 1>')
    expect(lab.app.received).toBe(2)
    lab.inject('. 3:4(1) ack 1 <nop,nop,TS val -1 ecr 1>')
    expect(lab.app.received).toBe(2)
  })

  for (const days of [24.5, 30, 45]) {
    it(`believes any timestamp after ${days} days of silence`, () => {
      const lab = new TcpLab().accept('<mss 1460,TS val 1000 ecr 0>')
      lab.advance(days * 24 * 3600 * 1000)
      lab.inject('. 1:2(1) ack 1 <nop,nop,TS val 500 ecr 1>')
      expect(lab.app.received).toBe(1)
    })
  }

  it('still protects after 23 days', () => {
    const lab = new TcpLab().accept('<mss 1460,TS val 1000 ecr 0>')
    lab.advance(23 * 24 * 3600 * 1000)
    lab.inject('. 1:2(1) ack 1 <nop,nop,TS val 500 ecr 1>')
    expect(lab.app.received).toBe(0)
  })

  it('a segment outside the window does not move TS.Recent (section 5.3, R3 after the sequence check)', () => {
    const lab = new TcpLab().accept(FULL)
    lab.inject('. -500:-500(0) ack 1 <nop,nop,TS val 1000000 ecr 1>')
    lab.inject('. -1000000:-1000000(0) ack 1 <nop,nop,TS val 1000000 ecr 1>')
    lab.inject('. 70000000:70000000(0) ack 1 <nop,nop,TS val 1000000 ecr 1>')
    lab.inject('. 1:11(10) ack 1 <nop,nop,TS val 101 ecr 1>')
    expect(lab.app.received).toBe(10)
  })

  it('TS.Recent follows a segment that begins before RCV.NXT and ends after it', () => {
    const lab = new TcpLab({ config: { tcp: { quickAcks: 0, ackWhenRead: false, receiveBufferInitialBytes: 60000 } } }).accept(
      FULL,
    )
    lab.inject('. 1:101(100) ack 1 <nop,nop,TS val 110 ecr 1>') // delayed: Last.ACK.sent stays 1
    lab.inject('. 1:201(200) ack 1 <nop,nop,TS val 150 ecr 1>')
    lab.expect('. 1:1(0) ack 201 <TS ecr 150,sack 1:101>')
  })
})

describe('segments outside the window', () => {
  it('data beyond it: dropped and acknowledged', () => {
    const lab = new TcpLab().accept()
    lab.inject('. 200000:200010(10) ack 1')
    lab.expect('. 1:1(0) ack 1')
    expect(lab.counters.dropOutOfWindow).toBe(1)
  })

  it('an old segment does not bring back an old window (section 3.10.7.4: SND.WL1)', () => {
    const lab = new TcpLab().accept()
    lab.inject('. 1:101(100) ack 1 win 60000')
    lab.inject('. 101:201(100) ack 1 win 50000')
    lab.inject('. 1:101(100) ack 1 win 10')
    expect(lab.c.info().sendWindow).toBe(50000)
  })

  it('an ancient segment is not heard at all, whatever it acknowledges', () => {
    const lab = new TcpLab().accept()
    lab.write(100)
    lab.inject('. -10000000:-10000000(0) ack 101')
    expect(lab.c.info().bytesAcked).toBe(0)
  })

  it('an acknowledgment on a duplicate is heard: it says where the peer is', () => {
    const lab = new TcpLab().accept()
    lab.inject('. 1:101(100) ack 1')
    lab.write(50)
    lab.inject('. 1:101(100) ack 51')
    expect(lab.c.info().bytesAcked).toBe(50)
  })
})

describe('checksums and lengths (MUST-2, MUST-3)', () => {
  it('a bad checksum: no reaction, counted', () => {
    const lab = new TcpLab().accept()
    lab.inject('R 1:1(0)', { badChecksum: true })
    lab.expect()
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.counters).toMatchObject({ dropBadChecksum: 1, tcpInErrs: 1 })
  })
})

describe('strangers (RFC 9293 section 3.10.7.1)', () => {
  it('a SYN to a closed port is refused', () => {
    const lab = new TcpLab()
    lab.inject('S 0:0(0)')
    const [rst] = lab.expect('R. 0:0(0) ack 1 win 0')
    expect(rst.seq).toBe(0)
  })

  it('data without ACK: the reset acknowledges all of it', () => {
    const lab = new TcpLab()
    lab.inject('FP 0:10(10)')
    lab.expect('R. 0:0(0) ack 11')
  })

  it('with ACK: the reset has its number', () => {
    const lab = new TcpLab()
    lab.inject('. 5:5(0) ack 777')
    const [rst] = lab.expect('R 777:777(0)')
    expect(rst.ack).toBe(0)
  })

  it('a RST is never answered', () => {
    const lab = new TcpLab()
    lab.inject('R 0:0(0)')
    lab.inject('R. 0:0(0) ack 5')
    lab.expect()
  })

  it('a SYN to a broadcast address is dropped in silence (MUST-57)', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0)', { to: 255 })
    lab.expect()
    expect(lab.counters.dropNotUnicast ?? 0).toBe(1)
  })

  it('a SYN from a broadcast, multicast or our own address is dropped (MUST-63, LAND)', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0)', { from: 255 })
    lab.inject('S 0:0(0)', { from: 2, remotePort: 7 })
    lab.expect()
  })
})
