/** The receiving side: windows, acknowledgments, SACK, urgent data. RFC 9293 sections 3.8.5, 3.8.6; RFC 2018, 2883, 5681. */
import { describe, expect, it } from 'vitest'
import { pattern, TcpLab } from '../support/tcp-lab.ts'

const SACK = '<mss 1460,sackOK>'
/** A buffer whose window is whole from the start: no update is due while a test begins. */
const steady = (extra = {}) => ({
  config: {
    tcp: { receiveBufferInitialBytes: 60_000, receiveBufferMaxBytes: 60_000, quickAcks: 0, ackWhenRead: false, ...extra },
  },
})

describe('delayed ACK (RFC 9293 section 3.8.6.3, SHLD-18, SHLD-19, MUST-40, MUST-58, MUST-59)', () => {
  it('waits delayedAckMs, less than 500 ms', () => {
    const lab = new TcpLab(steady()).accept()
    lab.inject('. 1:101(100) ack 1')
    lab.advance(39)
    lab.expect()
    lab.advance(1)
    lab.expect('. 1:1(0) ack 101')
    expect(lab.counters.DelayedACKs).toBe(1)
  })

  it('acknowledges every second full-sized segment at once', () => {
    const lab = new TcpLab(steady()).accept()
    for (let i = 0; i < 6; i++) lab.inject(`. ${1 + i * 1460}:${1461 + i * 1460}(1460) ack 1`)
    lab.expect('. 1:1(0) ack 2921', '. 1:1(0) ack 5841', '. 1:1(0) ack 8761')
  })

  it('one ACK for a batch of frames', () => {
    const lab = new TcpLab(steady()).accept()
    for (let i = 0; i < 8; i++) lab.inject(`. ${1 + i * 1460}:${1461 + i * 1460}(1460) ack 1`, { hold: true })
    lab.run()
    lab.expect('. 1:1(0) ack 11681')
  })

  it('a super-segment counts as its segments', () => {
    const lab = new TcpLab(steady()).accept()
    lab.inject('. 1:7301(7300) ack 1', { gso: 1460 })
    lab.expect('. 1:1(0) ack 7301')
    expect(lab.app.received).toBe(7300)
    expect(lab.c.info().segmentsIn).toBe(2 + 4) // the handshake's ACK, and five segments
  })

  it('an echo carries the ACK: no pure ACK beside it', () => {
    const lab = new TcpLab(steady()).accept()
    lab.app.onReadableHook = () => lab.write(5, false)
    lab.inject('P. 1:6(5) ack 1')
    lab.expect('P. 1:6(5) ack 6')
    lab.advance(100)
    lab.expect()
  })

  it('the first segments of a connection are acknowledged at once (quickAcks)', () => {
    const lab = new TcpLab(steady({ quickAcks: 2 })).accept()
    lab.inject('. 1:101(100) ack 1')
    lab.expect('. 1:1(0) ack 101')
  })
})

describe('out of order (SHLD-31, RFC 5681 section 4.2)', () => {
  it('acknowledges at once, with what it has (RFC 2018 section 4, EX-07: the latest block first)', () => {
    const lab = new TcpLab(steady()).accept(SACK)
    lab.inject('. 1001:2001(1000) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 1001:2001>')
    lab.inject('. 3001:4001(1000) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 3001:4001 1001:2001>')
    lab.inject('. 5001:6001(1000) ack 1')
    lab.inject('. 7001:8001(1000) ack 1')
    lab.clear()
    lab.inject('. 9001:9101(100) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 9001:9101 7001:8001 5001:6001 3001:4001>')
    lab.inject('. 2001:3001(1000) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 1001:4001 9001:9101 7001:8001 5001:6001>')
    lab.inject('. 1:1001(1000) ack 1')
    lab.expect('. 1:1(0) ack 4001 <sack 9001:9101 7001:8001 5001:6001>')
    expect(lab.app.received).toBe(4000)
  })

  it('three blocks beside timestamps', () => {
    const lab = new TcpLab(steady()).accept('<mss 1460,sackOK,TS val 100 ecr 0>')
    for (const at of [1001, 3001, 5001, 7001]) lab.inject(`. ${at}:${at + 10}(10) ack 1`)
    const last = lab.take().at(-1)!
    expect(last.options[1]).toBe('sack 7001:7011 5001:5011 3001:3011')
  })

  it('without SACK only a duplicate ACK', () => {
    const lab = new TcpLab(steady()).accept()
    lab.inject('. 1001:2001(1000) ack 1')
    lab.expect('. 1:1(0) ack 1 <>')
  })

  it('overlapping pieces in any order make the stream', () => {
    const lab = new TcpLab(steady()).accept(SACK)
    for (const [from, to] of [
      [500, 900],
      [300, 600],
      [1200, 1400],
      [850, 1250],
      [1, 100],
      [50, 320],
    ]) {
      lab.inject(`. ${from}:${to}(${to - from}) ack 1`)
    }
    expect(lab.app.received).toBe(1399)
    expect(lab.c.rcv.spans!.count).toBe(0)
  })

  it('a FIN out of order waits for the data before it', () => {
    const lab = new TcpLab(steady()).accept(SACK)
    lab.inject('F. 101:201(100) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 101:201>')
    expect(lab.state).toBe('ESTABLISHED')
    lab.inject('. 1:101(100) ack 1')
    lab.expect('. 1:1(0) ack 202')
    expect(lab.state).toBe('CLOSE-WAIT')
    expect(lab.c.ended).toBe(true)
  })

  it('too many ranges are refused, counted, and come again', () => {
    const lab = new TcpLab(steady({ maxOutOfOrderRanges: 4 })).accept(SACK)
    for (let i = 1; i <= 6; i++) lab.inject(`. ${i * 100}:${i * 100 + 10}(10) ack 1`)
    expect(lab.counters.dropTooManyRanges).toBe(2)
    lab.inject('. 1:700(699) ack 1')
    expect(lab.app.received).toBe(699)
  })

  it('beyond the memory of the stack only what is in order is taken', () => {
    const lab = new TcpLab(steady({ memoryBytes: 0 })).accept(SACK)
    lab.app.reading = false
    lab.inject('. 1:11(10) ack 1')
    lab.inject('. 101:111(10) ack 1')
    expect(lab.counters).toMatchObject({ TCPOFODrop: 1, PruneCalled: 1 })
    lab.inject('. 11:111(100) ack 1')
    expect(lab.c.readable).toBe(110)
  })
})

describe('D-SACK (RFC 2883, EX-08)', () => {
  it('a whole duplicate below RCV.NXT', () => {
    const lab = new TcpLab(steady()).accept(SACK)
    lab.inject('. 1:1001(1000) ack 1')
    lab.advance(50)
    lab.clear()
    lab.inject('. 1:1001(1000) ack 1')
    lab.expect('. 1:1(0) ack 1001 <sack 1:1001>')
  })

  it('a duplicate of data held out of order: first the duplicate, then its block', () => {
    const lab = new TcpLab(steady()).accept(SACK)
    lab.inject('. 1001:3001(2000) ack 1', { gso: 1000 })
    lab.clear()
    lab.inject('. 1501:2001(500) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 1501:2001 1001:3001>')
    lab.inject('. 5001:5002(1) ack 1')
    lab.expect('. 1:1(0) ack 1 <sack 5001:5002 1001:3001>')
  })
})

describe('the window (RFC 9293 section 3.8.6)', () => {
  it('closes, is probed, opens again by an update (MUST-36 from the other side, MUST-39)', () => {
    const lab = new TcpLab(steady({ receiveBufferInitialBytes: 4000, receiveBufferMaxBytes: 4000 })).accept('<mss 1000>')
    lab.app.reading = false
    for (let i = 0; i < 4; i++) lab.inject(`. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`)
    lab.expect('. 1:1(0) ack 2001 win 2000', '. 1:1(0) ack 4001 win 0')
    lab.inject('. 4001:4002(1) ack 1')
    lab.expect('. 1:1(0) ack 4001 win 0')
    expect(lab.counters.tcpZeroWindowDrops).toBe(1)
    lab.app.drain(lab.c, 500) // less than a segment: not worth telling
    lab.run()
    lab.expect()
    lab.app.drain(lab.c, 500)
    lab.run()
    lab.expect('. 1:1(0) ack 4001 win 1000')
  })

  it('read byte by byte: updates come in steps worth sending (receiver SWS avoidance, MUST-39)', () => {
    const lab = new TcpLab(steady({ receiveBufferInitialBytes: 8000, receiveBufferMaxBytes: 8000 })).accept('<mss 1000>')
    lab.app.reading = false
    lab.inject('. 1:8001(8000) ack 1', { gso: 1000 })
    lab.clear()
    for (let i = 0; i < 8000; i++) {
      lab.app.drain(lab.c, 1)
      lab.run()
    }
    const updates = lab.take()
    let edge = 0
    for (const u of updates) {
      expect(u.win - edge).toBeGreaterThanOrEqual(1000)
      edge = u.win
    }
    expect(updates.length).toBeLessThanOrEqual(8)
    expect(updates[0].win).toBe(1000)
  })

  it('with scaling and one-byte segments the buffer still keeps its limit', () => {
    const lab = new TcpLab({
      config: { tcp: { receiveBufferInitialBytes: 64_000, receiveBufferMaxBytes: 6 << 20 } },
    }).accept('<mss 1460,nop,wscale 7>')
    lab.app.reading = false
    let at = 1
    const send = (n: number): void => {
      lab.inject(`. ${at}:${at + n}(${n}) ack 1`)
      at = (lab.c.rcv.nxt - lab.irs) | 0
    }
    while (lab.c.rcv.window > 1460) send(1400)
    for (let i = 0; i < 3000; i++) send(1)
    expect(lab.c.readable).toBeLessThanOrEqual(64_000 + 128)
  })

  it('data beyond the edge is cut off, the rest is taken', () => {
    const lab = new TcpLab(steady({ receiveBufferInitialBytes: 2000, receiveBufferMaxBytes: 2000 })).accept()
    lab.app.reading = false
    lab.inject('F. 1:3001(3000) ack 1', { gso: 1500 })
    lab.expect('. 1:1(0) ack 2001 win 0')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.counters.tcpBeyondWindow).toBe(1)
  })

  it('is 65535 at most without scaling, more with it (MUST-1, REC-1)', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 1 << 20 } } }).accept()
    lab.inject('. 1:2(1) ack 1')
    lab.advance(100)
    for (const e of lab.take()) expect(e.win).toBeGreaterThan(65_000)
    const big = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 1 << 20 } } }).accept('<mss 1460,wscale 0>')
    big.inject('. 1:2(1) ack 1')
    expect(big.take()[0].win * 128).toBeGreaterThan(900_000)
  })

  it('grows with an application that keeps reading (dynamic right-sizing)', () => {
    const lab = new TcpLab().accept('<mss 1460,sackOK,wscale 7>')
    const before = lab.c.info().receiveBufferBytes
    for (let at = 1; at < 3_000_000; at += 58_400) {
      lab.inject(`. ${at}:${at + 58_400}(58400) ack 1`, { gso: 1460 })
      lab.advance(0.02)
    }
    expect(lab.c.info().receiveBufferBytes).toBeGreaterThan(before)
    expect(lab.c.info().receiveBufferBytes).toBeLessThanOrEqual(6 << 20)
  })
})

describe('urgent data (section 3.8.5, MUST-30 to MUST-33, MUST-62)', () => {
  it('is announced, stays in line', () => {
    const lab = new TcpLab(steady()).accept()
    lab.app.reading = false
    lab.inject('PU. 1:11(10) ack 1 win 65535 urg 5')
    expect(lab.app.take()).toEqual(['urgent 5', 'readable'])
    lab.app.drain(lab.c)
    expect(lab.app.received).toBe(10)
  })

  it('the pointer counts from the segment as it was sent, also when its beginning is a duplicate', () => {
    const lab = new TcpLab(steady()).accept()
    lab.app.reading = false
    lab.inject('. 1:101(100) ack 1')
    lab.app.take()
    lab.inject('U. 1:201(200) ack 1 win 65535 urg 150')
    expect(lab.app.take()).toEqual(['urgent 150', 'readable'])
  })

  it('may lie beyond the segment, of any length (MUST-31), and is heard with a closed window (MUST-66)', () => {
    const lab = new TcpLab(steady({ receiveBufferInitialBytes: 1000, receiveBufferMaxBytes: 1000 })).accept()
    lab.app.reading = false
    lab.inject('. 1:1001(1000) ack 1')
    lab.app.take()
    lab.inject('U. 1001:1002(1) ack 1 win 65535 urg 60000')
    expect(lab.app.take()).toEqual(['urgent 61000'])
  })

  it('is sent with a pointer to the octet after it', () => {
    const lab = new TcpLab().accept()
    lab.write(7, false)
    lab.c.writeUrgent(pattern(8, 3), 0, 3)
    lab.run()
    lab.expect('PU. 1:11(10) ack 1 win 65535 urg 10')
    lab.inject('. 1:1(0) ack 11')
    lab.written = 10
    lab.write(2)
    lab.expect('P. 11:13(2) ack 1')
  })
})
