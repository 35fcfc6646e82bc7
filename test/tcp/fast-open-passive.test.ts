/** TCP Fast Open, server (RFC 7413 section 4.2.2), with what Linux's selftests expect of it. */
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { FastOpenKeys } from '../../src/tcp/fast-open-keys.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const KEY = 'a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4'
const OLD = '00000000-00000000-00000000-00000000'

function cookieOf(key: string, client = '10.0.0.1'): string {
  const keys = new FastOpenKeys([key], new SeededRandom(1))
  keys.make(address(client), address('10.0.0.2'))
  return Buffer.from(keys.cookie).toString('hex')
}

const COOKIE = cookieOf(KEY)

function server(options: object = {}, tcp: object = {}, take = true): TcpLab {
  const lab = new TcpLab({ config: { tcp: { fastOpenKeys: [KEY], ...tcp } } })
  lab.listen({ fastOpen: 4, ...options }, take)
  return lab
}

/** A connection in SYN-RECEIVED with 10 bytes of data from its SYN. */
function opened(options: object = {}, tcp: object = {}, take = true): TcpLab {
  const lab = server(options, tcp, take)
  lab.inject(`S 0:10(10) win 32792 <mss 1460,sackOK,FO ${COOKIE}>`)
  lab.expect('S. 0:0(0) ack 11 <mss 1460,sackOK>')
  return lab
}

describe('cookies', () => {
  it('who asks gets one with the SYN-ACK, whose data are dropped; a repeated SYN-ACK has none', () => {
    const lab = server()
    lab.inject('S 0:10(10) win 32792 <mss 1460,sackOK,FO>')
    lab.expect(`S. 0:0(0) ack 1 <mss 1460,sackOK,FO ${COOKIE}>`)
    expect(lab.accepted.length).toBe(0)
    lab.advance(1000)
    lab.expect('S. 0:0(0) ack 1 <mss 1460,sackOK>')
    lab.inject('. 1:11(10) ack 1')
    expect(lab.app.received).toBe(10)
    expect(lab.c.info().fastOpen).toBe('none')
    expect(lab.counters).toMatchObject({ TCPFastOpenCookieReqd: 1 })
  })

  it('a wrong one is answered with the right one; the form that was used is used', () => {
    const lab = server()
    lab.inject('S 0:10(10) win 32792 <mss 1460,FO aaaaaaaaaaaaaaaa>')
    lab.expect(`S. 0:0(0) ack 1 <mss 1460,FO ${COOKIE}>`)
    lab.inject('S 0:10(10) win 32792 <mss 1460,FOEXP>', { remotePort: 2 })
    lab.expect(`S. 0:0(0) ack 1 <mss 1460,FOEXP ${COOKIE}>`)
    lab.inject(`S 0:10(10) win 32792 <mss 1460,FOEXP ${COOKIE}>`, { remotePort: 3 })
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
    expect(lab.counters).toMatchObject({ TCPFastOpenPassiveFail: 1, TCPFastOpenPassive: 1, TCPFastOpenCookieReqd: 1 })
  })

  it('is of the address, not of the port: another host cannot use it', () => {
    const lab = server()
    lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { from: 9 })
    lab.expect(`S. 0:0(0) ack 1 <mss 1460,FO ${cookieOf(KEY, '10.0.0.9')}>`)
  })

  it('a cookie of illegal length is no option', () => {
    for (const bad of ['1122', 'aabbccddee', '0123456789abcdef0123456789abcdef0011'])
      for (const kind of ['FO', 'FOEXP']) {
        const lab = server()
        lab.inject(`S 0:10(10) <mss 1460,${kind} ${bad}>`)
        lab.expect('S. 0:0(0) ack 1 <mss 1460>')
      }
  })

  it('of an old key is good, and the SYN-ACK brings one of the new', () => {
    const lab = server({}, { fastOpenKeys: [KEY, OLD] })
    lab.inject(`S 0:10(10) <mss 1460,FO ${cookieOf(OLD)}>`)
    lab.expect(`S. 0:0(0) ack 11 <mss 1460,FO ${COOKIE}>`)
    lab.advance(1000)
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
    expect(lab.counters).toMatchObject({ TCPFastOpenPassive: 1, TCPFastOpenPassiveAltKey: 1 })
  })

  it('keys of the listener come before those of the stack', () => {
    const lab = server({ fastOpenKeys: [OLD] })
    lab.inject('S 0:0(0) <mss 1460,FO>')
    lab.expect(`S. 0:0(0) ack 1 <mss 1460,FO ${cookieOf(OLD)}>`)
    lab.listener!.set({ fastOpenKeys: [KEY] })
    lab.inject('S 0:0(0) <mss 1460,FO>', { remotePort: 2 })
    lab.expect(`S. 0:0(0) ack 1 <mss 1460,FO ${COOKIE}>`)
    expect(() => lab.listener!.set({ fastOpenKeys: ['x'] })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })

  it('are not given where nobody asked for Fast Open, by listener or by config', () => {
    for (const lab of [
      server({ fastOpen: false }),
      server({ fastOpen: 0 }),
      server({ fastOpen: undefined }),
      server({}, { fastOpen: 1 }),
    ]) {
      lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`)
      lab.expect('S. 0:0(0) ack 1 <mss 1460>')
      lab.inject('S 0:10(10) <mss 1460,FO>', { remotePort: 2 })
      lab.expect('S. 0:0(0) ack 1 <mss 1460>')
      expect(lab.accepted.length).toBe(0)
    }
  })

  it('data without the option: an ordinary handshake', () => {
    const lab = server()
    lab.inject('S 0:40(40) win 32792 <mss 1460,sackOK,TS val 100 ecr 100,nop,wscale 6>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460,sackOK,TS ecr 100,wscale 7>')
  })

  it('are not needed when one says so: 0x200 of the config, or fastOpenNoCookie; 0x400 is for all listeners', () => {
    for (const lab of [
      server({}, { fastOpen: 0x202 }),
      server({ fastOpenNoCookie: true }),
      server({ fastOpen: undefined }, { fastOpen: 0x602 }),
    ]) {
      lab.inject('S 0:1000(1000) win 32792 <mss 1460,sackOK,nop,nop>')
      lab.expect('S. 0:0(0) ack 1001 <mss 1460,sackOK>')
      expect(lab.c.info()).toMatchObject({ state: 'SYN-RECEIVED', fastOpen: 'received' })
      lab.inject('. 1001:2001(1000) ack 1 win 5840')
      lab.expect('. 1:1(0) ack 2001')
      expect(lab.app.received).toBe(2000)
      lab.inject('S 0:0(0) win 32792 <mss 1460>', { remotePort: 2 })
      lab.expect('S. 0:0(0) ack 1')
      expect(lab.accepted.length).toBe(1)
    }
  })
})

describe('a connection before its handshake is complete', () => {
  it('is accepted with its data, and answers; the ACK then is of both', () => {
    const lab = opened()
    expect(lab.c.info()).toMatchObject({ state: 'SYN-RECEIVED', fastOpen: 'received' })
    expect(lab.app.take()).toEqual(['readable'])
    expect(lab.app.received).toBe(10)
    lab.write(100)
    lab.expect('P. 1:101(100) ack 11')
    lab.advance(10)
    lab.inject('. 11:11(0) ack 101 win 32792')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.c.unsent).toBe(0)
    checkInvariants(lab.c)
    expect(lab.c.rto.srttUs).toBe(10_000)
    lab.inject('. 11:21(10) ack 101')
    expect(lab.app.received).toBe(20)
    expect(lab.counters).toMatchObject({ TCPFastOpenPassive: 1, tcpPassiveOpens: 1 })
    expect(lab.stack.tcp.allListeners()[0].fastOpen!.pending).toBe(0)
  })

  it('without data is writable all the same', () => {
    const lab = server()
    lab.inject(`S 0:0(0) win 32792 <mss 1460,sackOK,FO ${COOKIE}>`)
    lab.expect('S. 0:0(0) ack 1 <mss 1460,sackOK>')
    expect(lab.c.info().fastOpen).toBe('none')
    lab.write(100)
    lab.expect('P. 1:101(100) ack 1')
    lab.inject('P. 1:11(10) ack 1 win 5840')
    expect(lab.app.received).toBe(10)
  })

  it('what an application answers at once leaves right after the SYN-ACK', () => {
    const lab = server()
    lab.app.onReadableHook = () => lab.write(50, false)
    lab.inject(`S 0:10(10) win 32792 <mss 1460,FO ${COOKIE}>`)
    lab.expect('S. 0:0(0) ack 11', 'P. 1:51(50) ack 11')
  })

  it('keeps to the window of the SYN, which is not scaled', () => {
    const lab = server()
    lab.inject(`S 0:10(10) win 3000 <mss 1460,wscale 7,FO ${COOKIE}>`)
    lab.clear()
    lab.write(10_000)
    expect(lab.take().reduce((sum, e) => sum + e.len, 0)).toBe(2920) // two segments, and no silly third
    lab.inject('. 11:11(0) ack 2921 win 100')
    expect(lab.c.info().sendWindow).toBe(12_800)
  })

  it('the SYN again: the SYN-ACK again; no round-trip time is made of it', () => {
    const lab = opened()
    lab.inject('S 0:0(0) win 32792 <mss 1460,sackOK>')
    lab.expect('S. 0:0(0) ack 11 <mss 1460,sackOK>')
    lab.inject('. 11:11(0) ack 1')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.c.info().rttUs).toBe(0)
    expect(lab.app.received).toBe(10)
  })

  it('repeats the SYN-ACK, not the data, until that is acknowledged; then the data', () => {
    const lab = opened()
    lab.write(100)
    lab.clear()
    lab.advance(1000)
    lab.expect('S. 0:0(0) ack 11')
    lab.advance(2000)
    lab.expect('S. 0:0(0) ack 11')
    lab.inject('. 11:11(0) ack 1 win 32792')
    lab.expect()
    expect(lab.untilEmitted(4000)).toBeLessThanOrEqual(3000)
    lab.expect('P. 1:101(100) ack 11')
    lab.inject('. 11:11(0) ack 101 win 32792')
    checkInvariants(lab.c)
  })

  it('ends with ETIMEDOUT after one SYN-ACK more than others', () => {
    const lab = opened({ synRetries: 2 })
    lab.app.take()
    lab.advance(100_000)
    expect(lab.take().map((e) => Math.round(e.atMs))).toEqual([1000, 3000, 7000])
    expect(lab.app.take()).toEqual(['close ETIMEDOUT'])
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    expect(lab.stack.tcp.allListeners()[0].fastOpen!.pending).toBe(0)
  })

  it('an ACK of what was not sent is reset, and changes nothing', () => {
    const lab = opened()
    lab.inject('. 11:11(0) ack 2')
    lab.expect('R 2:2(0)')
    lab.inject('. 11:11(0) ack 0')
    lab.expect('R 0:0(0)')
    expect(lab.state).toBe('SYN-RECEIVED')
  })

  it('FIN with the ACK: CLOSE-WAIT', () => {
    const lab = opened()
    lab.inject('F. 11:11(0) ack 1 win 32792')
    lab.expect('. 1:1(0) ack 12')
    expect(lab.state).toBe('CLOSE-WAIT')
    lab.c.close()
    lab.run()
    lab.expect('F. 1:1(0) ack 12')
  })

  it('closed by us: the FIN leaves at once, the SYN-ACK is still repeated, and the end is regular', () => {
    const lab = opened()
    lab.write(20, false)
    lab.c.close()
    lab.run()
    lab.expect('FP. 1:21(20) ack 11')
    expect(lab.state).toBe('FIN-WAIT-1')
    lab.advance(1000)
    lab.expect('S. 0:0(0) ack 11')
    lab.inject('. 11:11(0) ack 22')
    expect(lab.state).toBe('FIN-WAIT-2')
    expect(lab.stack.tcp.allListeners()[0].fastOpen!.pending).toBe(0)
    lab.inject('F. 11:11(0) ack 22')
    lab.expect('. 22:22(0) ack 12')
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
  })

  it('closed with data unread, or with its listener: reset', () => {
    const lab = server()
    lab.app.reading = false
    lab.inject(`S 0:10(10) win 32792 <mss 1460,FO ${COOKIE}>`)
    lab.clear()
    lab.c.close()
    lab.run()
    lab.expect('R. 1:1(0) ack 11')
    const waiting = opened({}, {}, false)
    waiting.listener!.close()
    waiting.expect('R. 1:1(0) ack 11')
  })

  it('reset after accept: ECONNRESET, the data stay readable until then', () => {
    for (const rst of ['R. 11:11(0) ack 0 win 32792', 'R 11:11(0)']) {
      const lab = opened()
      lab.app.take()
      lab.inject(rst)
      expect(lab.app.take()).toEqual(['close ECONNRESET'])
      expect(lab.stack.tcp.flowTable.size).toBe(0)
    }
  })

  it('reset before accept: it is there to be accepted, with its data and its end', () => {
    const lab = opened({}, {}, false)
    lab.inject('R. 11:11(0) ack 0')
    const c = lab.listener!.accept()!
    expect(c.stateName).toBe('CLOSED')
    expect(c.info().fastOpen).toBe('received')
    c.handler = lab.app
    lab.stack.turn.wake()
    lab.run()
    expect(lab.app.received).toBe(10)
    expect(lab.app.take()).toEqual(['readable', 'close ECONNRESET'])
  })

  it('ICMP about its SYN-ACK ends it; about anything else does not', () => {
    const lab = opened()
    lab.app.take()
    lab.icmp(3, 1, { seq: 5000 })
    expect(lab.counters.dropIcmpOutOfWindow).toBe(1)
    lab.icmp(3, 1, { seq: 0 })
    expect(lab.app.take()).toEqual(['close EHOSTUNREACH'])
    lab.clear()
    lab.inject('. 1:1(0) ack 1')
    lab.expect('R 1:1(0)')
  })
})

describe('how many at once (RFC 7413 section 5.1)', () => {
  it('as many as the listener says; more get an ordinary handshake, without cookie', () => {
    const lab = server({ fastOpen: 2 })
    lab.app.reading = false // several share one handler
    for (let i = 0; i < 3; i++) lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { remotePort: 100 + i })
    lab.expect('S. 0:0(0) ack 11 <mss 1460>', 'S. 0:0(0) ack 11 <mss 1460>', 'S. 0:0(0) ack 1 <mss 1460>')
    expect(lab.counters).toMatchObject({ TCPFastOpenPassive: 2, TCPFastOpenListenOverflow: 1 })
    lab.inject('. 11:11(0) ack 1', { remotePort: 100 })
    lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { remotePort: 103 })
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
  })

  it('one that was reset counts for a minute', () => {
    const lab = server({ fastOpen: 1 })
    lab.app.reading = false
    const syn = (remotePort: number): void => lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { remotePort })
    syn(100)
    lab.inject('R 11:11(0)', { remotePort: 100 })
    lab.clear()
    syn(101)
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
    lab.inject('R 1:1(0)', { remotePort: 101 })
    lab.advance(60_000)
    lab.clear()
    syn(102)
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
  })

  it('a full accept queue takes none', () => {
    const lab = server({ backlog: 1 }, {}, false)
    for (let i = 0; i < 2; i++) lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { remotePort: 100 + i })
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
    expect(lab.counters).toMatchObject({ ListenOverflows: 1 })
  })

  it('TCP_FASTOPEN can be set later', () => {
    const lab = server({ fastOpen: undefined })
    lab.app.reading = false
    lab.listener!.set({ fastOpen: 1 })
    lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`)
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
    lab.listener!.set({ fastOpen: 2 })
    lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { remotePort: 101 })
    lab.expect('S. 0:0(0) ack 11 <mss 1460>')
    lab.listener!.set({ fastOpen: false })
    lab.inject(`S 0:10(10) <mss 1460,FO ${COOKIE}>`, { remotePort: 102 })
    lab.expect('S. 0:0(0) ack 1 <mss 1460>')
  })
})
