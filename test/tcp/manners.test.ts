/** Where systems differ (base/tcp-manners.ts): the stack's own choice, and the others. What FreeBSD does is also in test/scripts/freebsd. */
import { describe, expect, it } from 'vitest'
import { configure, defaults } from '../../src/base/config.ts'
import { TcpLab } from '../support/tcp-lab.ts'

describe('the configuration', () => {
  it('refuses words that mean nothing', () => {
    for (const name of ['windowSteps', 'windowRounding', 'synWithFin', 'fastOpenRefused', 'icmpEndsOpening'])
      expect(() => configure({ tcp: { [name]: 'sometimes' } }), name).toThrow(`option tcp.${name} cannot be sometimes`)
  })

  it('has manners of its own', () => {
    expect(defaults().tcp).toMatchObject({
      synWithFin: 'refuse',
      resetUnread: true,
      windowRounding: 'up',
      fastOpenRefused: 'again',
    })
  })
})

describe('SYN and FIN in one segment', () => {
  it('opens nothing, and is not answered', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('SF 0:0(0) win 65535 <mss 1460>')
    lab.expect()
    expect(lab.counters).toEqual({ tcpInSegs: 1, dropSynNotFirst: 1 })
  })

  it('opens a connection where that is accepted (RFC 9293 section 3.10.7.2), and the FIN comes again', () => {
    const lab = new TcpLab({ config: { tcp: { synWithFin: 'accept' } } })
    lab.listen()
    lab.inject('SF 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    lab.inject('F. 1:1(0) ack 1')
    lab.expect('. 1:1(0) ack 2')
    expect(lab.state).toBe('CLOSE-WAIT')
  })

  it('is dropped in every state where that is asked for', () => {
    const lab = new TcpLab({ config: { tcp: { synWithFin: 'drop' } } })
    lab.listen()
    lab.inject('SF 0:0(0) win 65535 <mss 1460>')
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    lab.inject('. 1:1(0) ack 1')
    lab.inject('SF 1:1(0) win 65535')
    lab.expect()
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.counters.dropSynWithFin).toBe(2)
  })
})

describe('text with a SYN that crosses ours (RFC 9293 section 3.10.7.3)', () => {
  it('waits for the handshake, then is read and acknowledged', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject('S 0:3(3) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    expect(lab.app.received).toBe(0)
    lab.inject('. 4:4(0) ack 1')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.app.received).toBe(3)
    lab.expect('. 1:1(0) ack 4')
  })

  it('comes again from a peer that does not know that it was kept', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject('S 0:3(3) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    lab.inject('. 1:8(7) ack 1')
    expect(lab.app.received).toBe(7)
    lab.expect('. 1:1(0) ack 8')
  })

  it('counts once when only a part of it comes again', () => {
    for (const again of ['. 1:3(2) ack 1', '. 1:4(3) ack 1', 'F. 1:3(2) ack 1']) {
      const lab = new TcpLab()
      lab.open()
      lab.clear()
      lab.inject('S 0:3(3) win 65535 <mss 1460>')
      lab.expect('S. 0:0(0) ack 1 <mss 1460>')
      lab.inject(again)
      expect(lab.app.received, again).toBe(3)
      lab.expect('. 1:1(0) ack 4')
      expect(lab.state).toBe('ESTABLISHED')
    }
  })
})

describe('segments without the timestamps that were agreed on (RFC 7323 section 3.2)', () => {
  const TS = '<mss 1460,TS val 100 ecr 0>'

  it('are taken', () => {
    const lab = new TcpLab().accept(TS)
    lab.peerTs = null
    lab.inject('P. 1:11(10) ack 1')
    expect(lab.app.received).toBe(10)
  })

  it('are dropped where that is the manner, also while the handshake goes on; a reset is not', () => {
    const lab = new TcpLab({ config: { tcp: { tolerateMissingTimestamps: false } } })
    lab.listen()
    lab.inject(`S 0:0(0) win 65535 ${TS}`)
    lab.clear()
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted).toEqual([])
    lab.inject('. 1:1(0) ack 1 <nop,nop,TS val 101 ecr 1>')
    lab.inject('P. 1:11(10) ack 1')
    lab.expect()
    expect(lab.app.received).toBe(0)
    expect(lab.counters.dropNoTimestamps).toBe(2)
    lab.inject('R 1:1(0)')
    expect(lab.state).toBe('CLOSED')
  })
})

describe('CLOSE with bytes unread', () => {
  it('resets (RFC 2525 section 2.17)', () => {
    const lab = new TcpLab()
    lab.accept()
    lab.app.reading = false
    lab.inject('P. 1:101(100) ack 1')
    lab.clear()
    lab.c.close()
    lab.run()
    lab.expect('R. 1:1(0) ack 101')
  })

  it('says FIN where that is the manner, and resets what comes after', () => {
    const lab = new TcpLab({ config: { tcp: { resetUnread: false } } })
    lab.accept()
    lab.app.reading = false
    lab.inject('P. 1:101(100) ack 1')
    lab.clear()
    lab.c.close()
    lab.run()
    lab.expect('F. 1:1(0) ack 101')
    lab.inject('P. 101:102(1) ack 2')
    lab.expect('R. 2:2(0) ack 101')
    expect(lab.counters.tcpAbortOnData).toBe(1)
  })
})
