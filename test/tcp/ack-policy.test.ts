/** When data is acknowledged: RFC 9293 section 3.8.6.3 in the way of Linux (quick-ACK, ping-pong, adaptive delay). */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

const fixed = (extra = {}): object => ({
  config: { tcp: { receiveBufferInitialBytes: 60_000, receiveBufferMaxBytes: 60_000, ...extra } },
})

/** The n-th segment of 1000 bytes. */
const seg = (i: number): string => `. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`

describe('within a turn (RFC 5681 section 4.2)', () => {
  const burst = (lab: TcpLab, from: number, count: number): void => {
    for (let i = from; i < from + count; i++) lab.inject(seg(i), { hold: true })
    lab.run()
  }

  it('one ACK stands for all that came, as long as nothing is lost', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    burst(lab, 0, 10)
    lab.expect('. 1:1(0) ack 10001')
  })

  it('the first four segments have their own on a path that loses, so that one lost ACK stops nobody', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    lab.inject(seg(1))
    lab.inject(seg(0))
    lab.clear()
    burst(lab, 2, 10)
    lab.expect('. 1:1(0) ack 6001', '. 1:1(0) ack 12001')
    burst(lab, 12, 10)
    lab.expect('. 1:1(0) ack 16001', '. 1:1(0) ack 22001')
    for (let i = 22; i < 4096 + 12; i++) lab.inject(seg(i))
    lab.clear()
    burst(lab, 4108, 10)
    lab.expect('. 1:1(0) ack 4118001')
  })
})

describe('out of order within a turn', () => {
  it('each of the first three has its ACK, then every 32nd, and the last of the turn (as Linux tcp_comp_sack_nr)', () => {
    const lab = new TcpLab(fixed({ receiveBufferInitialBytes: 200_000, receiveBufferMaxBytes: 200_000 })).accept(
      '<mss 1460,sackOK,wscale 7>',
    )
    lab.inject(seg(0))
    lab.clear()
    for (let i = 2; i < 62; i++) lab.inject(seg(i), { hold: true })
    lab.run()
    lab.expect(...[3001, 4001, 5001, 37_001, 62_001].map((edge) => `. 1:1(0) ack 1001 <sack 2001:${edge}>`))
  })

  it('no range remains untold: what begins another is not waited for', () => {
    const lab = new TcpLab(fixed({ receiveBufferInitialBytes: 200_000, receiveBufferMaxBytes: 200_000 })).accept(
      '<mss 1460,sackOK,wscale 7>',
    )
    lab.inject(seg(0))
    lab.clear()
    for (const i of [2, 3, 4, 5, 6, 7, 9, 10, 12]) lab.inject(seg(i), { hold: true })
    lab.run()
    lab.expect(
      ...[3001, 4001, 5001, 8001].map((edge) => `. 1:1(0) ack 1001 <sack 2001:${edge}>`),
      '. 1:1(0) ack 1001 <sack 9001:11001 2001:8001>',
      '. 1:1(0) ack 1001 <sack 12001:13001 9001:11001 2001:8001>',
    )
  })
})

describe('quick-ACK mode', () => {
  it('the first 16 segments are acknowledged one by one, then every second', () => {
    const lab = new TcpLab(fixed()).accept()
    for (let i = 0; i < 16; i++) {
      lab.inject(seg(i))
      lab.expect(`. 1:1(0) ack ${1001 + i * 1000}`)
    }
    lab.inject(seg(16))
    lab.expect()
    lab.inject(seg(17))
    lab.expect('. 1:1(0) ack 18001')
  })

  it('no more of them than fill half of the window', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 8000, receiveBufferMaxBytes: 8000 } } }).accept()
    for (let i = 0; i < 4; i++) {
      lab.inject(seg(i))
      lab.expect(`. 1:1(0) ack ${1001 + i * 1000}`)
    }
    lab.inject(seg(4))
    lab.expect()
  })

  it('comes back after a pause longer than the RTO: the peer starts anew', () => {
    const lab = new TcpLab(fixed({ quickAcks: 2 })).accept()
    for (let i = 0; i < 4; i++) lab.inject(seg(i))
    lab.advance(100)
    lab.clear()
    lab.inject(seg(4))
    lab.expect()
    lab.advance(1500)
    lab.clear()
    for (let i = 5; i < 7; i++) {
      lab.inject(seg(i))
      lab.expect(`. 1:1(0) ack ${1001 + i * 1000}`)
    }
    lab.inject(seg(7))
    lab.expect()
  })

  it('TCP_QUICKACK: asked for, it acknowledges what waits and what follows, until data is sent', () => {
    const lab = new TcpLab(fixed({ quickAcks: 1 })).accept()
    lab.inject(seg(0))
    lab.clear()
    lab.inject(seg(1))
    lab.expect()
    lab.c.set({ quickAck: true })
    lab.run()
    lab.expect('. 1:1(0) ack 2001')
    lab.c.set({ quickAck: true })
    lab.inject(seg(2))
    lab.expect('. 1:1(0) ack 3001')
    lab.c.set({ quickAck: true })
    lab.write(10)
    lab.clear()
    lab.inject(`. 3001:3101(100) ack 11`)
    lab.expect()
  })

  it('TCP_QUICKACK false: delayed from the first segment on', () => {
    const lab = new TcpLab(fixed()).accept()
    lab.c.set({ quickAck: false })
    lab.inject(seg(0))
    lab.expect()
    lab.advance(40)
    lab.expect('. 1:1(0) ack 1001')
  })
})

describe('ping-pong', () => {
  it('a request that was answered: the ACK of the next waits for the next answer', () => {
    const lab = new TcpLab(fixed()).accept()
    lab.inject('P. 1:101(100) ack 1', { hold: true })
    lab.run()
    lab.expect('. 1:1(0) ack 101')
    lab.write(50)
    lab.expect('P. 1:51(50) ack 101')
    lab.inject('P. 101:201(100) ack 51')
    lab.expect()
    lab.write(50)
    lab.expect('P. 51:101(50) ack 201')
  })

  it('ends when a delayed ACK was in vain', () => {
    const lab = new TcpLab(fixed()).accept()
    lab.inject('P. 1:101(100) ack 1')
    lab.write(50)
    lab.inject('P. 101:201(100) ack 51')
    lab.clear()
    lab.advance(40)
    lab.expect('. 51:51(0) ack 201')
    expect(lab.counters.DelayedACKs).toBe(1)
    lab.inject('P. 201:301(100) ack 51') // quick-ACKs are left over
    lab.expect('. 51:51(0) ack 301')
  })

  it('data sent long after what came is no answer', () => {
    const lab = new TcpLab(fixed()).accept()
    lab.inject('P. 1:101(100) ack 1')
    lab.advance(500)
    lab.write(50)
    lab.clear()
    lab.inject('P. 101:201(100) ack 51')
    lab.expect('. 51:51(0) ack 201')
  })
})

describe('when the application has read everything (Linux tcp_cleanup_rbuf)', () => {
  it('a pushed segment that is the odd one of its flight has its ACK at the end of the turn', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    for (let i = 0; i < 4; i++) lab.inject(seg(i))
    lab.expect('. 1:1(0) ack 2001', '. 1:1(0) ack 4001')
    lab.inject(seg(4))
    lab.expect()
    lab.inject(seg(5).replace('.', 'P.'))
    lab.expect('. 1:1(0) ack 6001')
    lab.inject(seg(6).replace('.', 'P.'))
    lab.expect('. 1:1(0) ack 7001')
  })

  it('so has less than a full one, but not what is left unread', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    for (let i = 0; i < 2; i++) lab.inject(seg(i))
    lab.clear()
    lab.inject('. 2001:2101(100) ack 1')
    lab.expect('. 1:1(0) ack 2101')
    lab.app.reading = false
    lab.inject('P. 2101:2201(100) ack 1')
    lab.advance(39)
    lab.expect()
    lab.app.reading = true
    lab.app.drain(lab.c, 50)
    lab.run()
    lab.expect()
    lab.app.drain(lab.c, 50)
    lab.run()
    lab.expect('. 1:1(0) ack 2201')
  })

  it('waits for the answer where data goes both ways, until two have been pushed', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    lab.inject('P. 1:101(100) ack 1')
    lab.write(50)
    lab.clear()
    lab.inject('P. 101:201(100) ack 51')
    lab.expect()
    lab.inject('P. 201:301(100) ack 51')
    lab.expect('. 51:51(0) ack 301')
  })
})

describe('the delay', () => {
  it('doubles with every ACK that found nothing to ride on, up to delayedAckMaxMs', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0, ackWhenRead: false, rtoMinMs: 1000 })).connect()
    // A round trip of 0 ms was measured: longer than that nothing needs to wait.
    expect(lab.c.rto.srttUs).toBeLessThan(40_000)
    for (let i = 0; i < 100; i++) lab.c.rto.sample(300_000)
    const waits: number[] = []
    for (let i = 0; i < 5; i++) {
      lab.inject(`. ${1 + i * 100}:${101 + i * 100}(100) ack 1`)
      lab.expect()
      waits.push(lab.c.info().atoMs)
      const before = lab.host.elapsedMs
      lab.untilEmitted(1000)
      expect(lab.host.elapsedMs - before).toBe(waits[i])
      lab.clear()
    }
    expect(waits).toEqual([40, 80, 160, 200, 200])
  })

  it('stays what it is where delayedAckMaxMs says so', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0, ackWhenRead: false, delayedAckMaxMs: 40 })).accept()
    for (let i = 0; i < 4; i++) {
      lab.inject(`. ${1 + i * 100}:${101 + i * 100}(100) ack 1`)
      lab.advance(39)
      lab.expect()
      lab.advance(1)
      lab.expect(`. 1:1(0) ack ${101 + i * 100}`)
    }
  })
})

describe('what a full segment is', () => {
  it('a peer whose segments are smaller than our MSS gets an ACK for every second of them', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    lab.inject('. 1:701(700) ack 1')
    lab.clear()
    lab.advance(500)
    lab.clear()
    lab.inject('. 701:1401(700) ack 1')
    lab.expect()
    lab.inject('. 1401:2101(700) ack 1')
    lab.expect('. 1:1(0) ack 2101')
    expect(lab.c.info().receiveMss).toBe(700)
  })

  it('a path that became narrower is noticed after two segments', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    lab.inject('. 1:1461(1460) ack 1')
    expect(lab.c.info().receiveMss).toBe(1460)
    lab.inject('. 1461:2361(900) ack 1')
    expect(lab.c.info().receiveMss).toBe(1460)
    lab.inject('. 2361:3261(900) ack 1')
    expect(lab.c.info().receiveMss).toBe(900)
  })

  it('the last, small piece of a message says nothing', () => {
    const lab = new TcpLab(fixed({ quickAcks: 0 })).accept()
    lab.inject('. 1:1461(1460) ack 1')
    lab.inject('P. 1461:1661(200) ack 1')
    lab.inject('P. 1661:1861(200) ack 1')
    expect(lab.c.info().receiveMss).toBe(1460)
  })
})
