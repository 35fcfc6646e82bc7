/** What a peer that means harm can try within its own connection: nothing of it may cost more than the connection. */
import { describe, expect, it } from 'vitest'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const FULL = '<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>'

describe('FIN where it cannot be', () => {
  it('below data that is there already is not believed: the stream goes on', () => {
    const lab = new TcpLab().accept(FULL)
    lab.inject('. 1001:2001(1000) ack 1')
    lab.inject('F. 501:501(0) ack 1') // the stream would end in the middle of what was sent
    lab.inject('. 1:1001(1000) ack 1')
    checkInvariants(lab.c)
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.app.received).toBe(2000)
    expect(lab.counters.dropBeyondFin).toBe(1)
    lab.inject('F. 2001:2001(0) ack 1')
    expect(lab.state).toBe('CLOSE-WAIT')
  })

  it('moved down by a second one below held data changes nothing', () => {
    const lab = new TcpLab().accept(FULL)
    lab.inject('. 1001:2001(1000) ack 1')
    lab.inject('F. 3001:3001(0) ack 1')
    lab.inject('F. 1001:1001(0) ack 1')
    lab.inject('. 1:1001(1000) ack 1')
    checkInvariants(lab.c)
    expect(lab.app.received).toBe(2000)
    lab.inject('. 2001:3001(1000) ack 1')
    expect(lab.state).toBe('CLOSE-WAIT')
    expect(lab.app.received).toBe(3000)
  })
})

describe('a SYN-ACK with more data than the window took', () => {
  it('is cut to the window', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 1000, receiveBufferMaxBytes: 1000 } } })
    lab.app.reading = false
    lab.open()
    lab.inject('S. 0:1460(1460) ack 1 win 65535 <mss 1460>')
    expect(lab.state).toBe('ESTABLISHED')
    checkInvariants(lab.c)
    expect(lab.c.readable).toBeLessThanOrEqual(1000)
    expect(lab.out.at(-1)!.win).toBeLessThanOrEqual(1000)
  })
})

describe('TIME-WAIT', () => {
  it('begins anew with a FIN that comes again, and ends once', () => {
    const lab = new TcpLab().accept()
    lab.c.shutdown()
    lab.run()
    lab.inject('. 1:1(0) ack 2')
    lab.inject('F. 1:1(0) ack 2')
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    const before = lab.stack.timers.size
    for (let i = 0; i < 2000; i++) lab.inject('F. 1:1(0) ack 2')
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    expect(lab.stack.timers.size).toBe(before)
    lab.advance(59_000)
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    lab.advance(2_000)
    expect(lab.stack.tcp.timeWaits.size).toBe(0)
  })
})

describe('SACK', () => {
  it('of single bytes does not cut the flight log to pieces', () => {
    const lab = new TcpLab({ config: { tcp: { sendBufferInitialBytes: 1 << 20, initialWindowSegments: 64 } } }).accept(
      FULL,
      65535,
      65535,
    )
    lab.write(64 * 1448)
    lab.clear()
    const before = lab.c.snd.flight.count
    for (let i = 0; i < 8_000; i++) {
      const at = 3 + 4 * i
      lab.inject(`. 1:1(0) ack 1 win 65535 <nop,nop,TS val 200 ecr 0,nop,nop,sack ${at}:${at + 1}>`, { hold: true })
      if (i % 32 === 31) lab.run()
    }
    checkInvariants(lab.c)
    expect(before).toBeGreaterThan(0)
    expect(lab.c.snd.flight.count).toBeLessThanOrEqual(1025)
  })
})

describe('a window that never opens', () => {
  it('ends a connection that nobody owns any more, however often the probes are answered', () => {
    const lab = new TcpLab().accept()
    lab.write(5000)
    lab.inject('. 1:1(0) ack 5001 win 0')
    lab.write(100)
    lab.c.close()
    for (let i = 0; i < 400 && lab.state !== 'CLOSED'; i++) {
      lab.advance(2_000)
      lab.inject('. 1:1(0) ack 5001 win 0')
    }
    expect(lab.state).toBe('CLOSED')
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('does not end one that has an owner (RFC 9293 MUST-37)', () => {
    const lab = new TcpLab().accept()
    lab.write(5000)
    lab.inject('. 1:1(0) ack 5001 win 0')
    lab.write(100)
    for (let i = 0; i < 400; i++) {
      lab.advance(2_000)
      lab.inject('. 1:1(0) ack 5001 win 0')
    }
    expect(lab.state).toBe('ESTABLISHED')
  })
})

describe('write', () => {
  it('refuses a range that lies outside the buffer: what memory held before must not leave', () => {
    const lab = new TcpLab().accept()
    expect(() => lab.c.write(new Uint8Array(10), 5, 6)).toThrow(/outside|range/)
    expect(() => lab.c.write(new Uint8Array(10), -1, 6)).toThrow(/outside|range/)
    expect(lab.c.unsent).toBe(0)
  })
})

describe('a reset to a listener', () => {
  it('is counted', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('R 1:1(0)')
    expect(lab.counters.dropUnacceptableReset).toBe(1)
  })
})
