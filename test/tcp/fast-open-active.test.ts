/** TCP Fast Open, client (RFC 7413 section 4.2.1): the cases of Google's packetdrill scripts, and what follows a loss. */
import { describe, expect, it } from 'vitest'
import type { OpenOptions } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { FastOpenCache } from '../../src/tcp/fast-open-cache.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { TcpLab } from '../support/tcp-lab.ts'

/** Opens and writes before the SYN leaves. */
function open(lab: TcpLab, bytes: number, options: Partial<OpenOptions> = {}): Connection {
  lab.remotePort = 80
  lab.written = 0
  lab.forget()
  lab.c = lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80, fastOpen: true, ...options }, lab.app) as Connection
  lab.localPort = lab.c.localPort
  if (bytes > 0) lab.write(bytes, false)
  lab.run()
  return lab.c
}

/** A stack that holds the cookie of 10.0.0.1; timestamps off, as in the scripts. */
function warm(cookie = 'abcd1234', mss = 1460, tcp: object = {}): TcpLab {
  const lab = new TcpLab({ config: { tcp: { timestamps: false, ...tcp } } })
  open(lab, 0)
  lab.expect('S 0:0(0) <mss 1460,sackOK,wscale 7,FO>')
  lab.inject(`S. 0:0(0) ack 1 win 14600 <mss ${mss},sackOK,wscale 6,FO ${cookie}>`)
  lab.expect('. 1:1(0) ack 1')
  lab.c.abort()
  lab.run()
  lab.clear()
  lab.app.take()
  return lab
}

/** The same with a connection on its way whose SYN carries data. */
function opened(bytes: number): TcpLab {
  const lab = warm()
  open(lab, bytes)
  lab.clear()
  return lab
}

describe('data in the SYN', () => {
  it('go with the cookie; acknowledged by the SYN-ACK they are done', () => {
    const lab = warm()
    open(lab, 1000)
    lab.expect('S 0:1000(1000) <mss 1460,sackOK,wscale 7,FO abcd1234>')
    expect(lab.c.info().fastOpen).toBe('sent')
    lab.advance(20)
    lab.inject('S. 0:0(0) ack 1001 win 14600 <mss 940,sackOK,wscale 6,FO 12345678>')
    lab.expect('. 1001:1001(0) ack 1')
    expect(lab.c.info()).toMatchObject({ fastOpen: 'accepted', rttUs: 20_000, bytesAcked: 1000, sendQueue: 0, mss: 940 })
    expect(lab.app.take()).toEqual(['connect', 'writable'])
    checkInvariants(lab.c)
    lab.write(100)
    lab.expect('P. 1001:1101(100) ack 1')
    lab.inject('P. 1:501(500) ack 1101')
    expect(lab.app.received).toBe(500)
    expect(lab.counters).toMatchObject({ TCPFastOpenActive: 1 })
    // MSS and cookie of that SYN-ACK are kept; 40 bytes stay free for options.
    lab.clear()
    lab.c.abort()
    open(lab, 2000)
    expect(lab.take().at(-1)!.text).toContain('S 0:900(900)')
    expect(lab.out.at(-1)!.options.at(-1)).toBe('FO 12345678')
  })

  it('that the server does not take go out again, first and as they were', () => {
    const lab = warm()
    open(lab, 6000)
    lab.expect('S 0:1420(1420) <mss 1460,sackOK,wscale 7,FO abcd1234>')
    lab.advance(20)
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,wscale 6>')
    const got = lab.take()
    expect(got[0].text).toMatch(/^\. 1:1421\(1420\) ack 1/)
    expect(got.at(-1)!.text).toMatch(/^P\. \d+:6001/)
    checkInvariants(lab.c)
    expect(lab.c.info()).toMatchObject({ fastOpen: 'sent', retransmits: 1, rttUs: 20_000 })
    lab.inject('. 1:1(0) ack 6001 win 65535')
    checkInvariants(lab.c)
    expect(lab.c.info()).toMatchObject({ sendQueue: 0, recovery: 'open' })
    expect(lab.counters).toMatchObject({ TCPFastOpenActiveFail: 1 })
  })

  it('of which the server takes a part: the rest, in segments of its MSS', () => {
    const lab = opened(4000)
    lab.inject('S. 0:0(0) ack 101 win 65535 <mss 1000,sackOK,wscale 6>')
    const got = lab.take()
    expect(got.slice(0, 2).map((e) => e.text.split(' ')[1])).toEqual(['101:1101(1000)', '1101:1421(320)'])
    expect(got.at(-1)!.text).toContain(':4001(')
    checkInvariants(lab.c)
    lab.inject('. 1:1(0) ack 4001')
    expect(lab.c.unsent).toBe(0)
  })

  it('acknowledged beyond what was sent: reset, and nothing is learned', () => {
    const lab = opened(100)
    lab.inject('S. 0:0(0) ack 100101 win 5840 <mss 1040,sackOK,wscale 6,FO badc00ce>')
    lab.expect('R 100101:100101(0)')
    expect(lab.state).toBe('SYN-SENT')
    lab.c.abort()
    open(lab, 2000)
    expect(lab.take().at(-1)!.text).toContain('S 0:1420(1420)')
  })

  it('are limited by the MSS of the last SYN-ACK, by ours, and by the path', () => {
    for (const [mss, options, bytes] of [
      [940, {}, 900],
      [10_000, {}, 1420],
      [1460, { maxSegmentBytes: 1040 }, 1000],
    ] as const) {
      const lab = warm('abcd1234', mss)
      open(lab, 2000, options)
      expect(lab.take()[0].len).toBe(bytes)
    }
  })

  it('FIN waits for the handshake', () => {
    const lab = warm()
    open(lab, 0)
    lab.c.abort()
    lab.run()
    lab.clear()
    lab.written = 0
    lab.c = lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80, fastOpen: true }, lab.app) as Connection
    lab.localPort = lab.c.localPort
    lab.write(50, false)
    lab.c.shutdown()
    lab.run()
    lab.expect('S 0:50(50)')
    lab.inject('S. 0:0(0) ack 51 <mss 1460>')
    lab.expect('F. 51:51(0) ack 1')
  })

  it('SYN-ACK with data of the server, and FIN', () => {
    const lab = opened(1000)
    lab.inject('SF. 0:1400(1400) ack 1001 win 5840 <mss 1040,sackOK,wscale 6>')
    lab.expect('. 1001:1001(0) ack 1402')
    expect(lab.state).toBe('CLOSE-WAIT')
    expect(lab.app.received).toBe(1400)
  })

  it('a SYN-ACK that closes the window: the data are probed for', () => {
    const lab = opened(100)
    lab.inject('S. 0:0(0) ack 1 win 0 <mss 1460,sackOK,wscale 6>')
    lab.expect('. 1:1(0) ack 1')
    expect(lab.untilEmitted(10_000)).toBeLessThanOrEqual(3000)
    lab.inject('. 1:1(0) ack 1 win 100')
    lab.advance(10_000)
    lab.inject('. 1:1(0) ack 101 win 100')
    expect(lab.c.unsent).toBe(0)
    checkInvariants(lab.c)
  })
})

describe('loss', () => {
  it('a SYN that is repeated is plain; a late answer to the first is good all the same', () => {
    const lab = opened(1000)
    lab.advance(1000)
    lab.expect('S 0:0(0) <mss 1460,sackOK,wscale 7>')
    lab.inject('S. 0:0(0) ack 1001 win 5840 <mss 1040,sackOK,wscale 6>')
    lab.expect('. 1001:1001(0) ack 1')
    expect(lab.c.info().fastOpen).toBe('accepted')
    const other = opened(1000)
    other.advance(1000)
    other.clear()
    other.inject('S. 0:0(0) ack 1 win 5840 <mss 1460,sackOK,wscale 6>')
    other.expect('P. 1:1001(1000) ack 1')
    other.inject('P. 1:1401(1400) ack 1001 win 257')
    expect(other.c.info()).toMatchObject({ fastOpen: 'sent', sendQueue: 0 })
    checkInvariants(other.c)
  })

  it('twice in a row: no data in SYNs for a minute, then two, until it works', () => {
    const lab = warm()
    const lose = (): void => {
      open(lab, 100)
      expect(lab.take().at(-1)!.text).toContain('S 0:100(100)')
      lab.advance(1000)
      lab.inject('S. 0:0(0) ack 1 win 5840 <mss 1460>')
      lab.inject('. 1:1(0) ack 101')
      lab.c.abort()
      lab.run()
      lab.clear()
    }
    const isPlain = (): boolean => {
      open(lab, 100)
      const plain = lab.take().at(-1)!.text.includes('S 0:0(0)') && !lab.out.at(-1)!.options.some((o) => o.startsWith('FO'))
      lab.c.abort()
      lab.run()
      lab.clear()
      return plain
    }
    lose()
    lose()
    expect(isPlain()).toBe(true)
    lab.advance(59_000)
    expect(isPlain()).toBe(true)
    lab.advance(2000)
    lose()
    lab.advance(100_000)
    expect(isPlain()).toBe(true)
    lab.advance(21_000)
    open(lab, 100)
    lab.inject('S. 0:0(0) ack 101 win 5840 <mss 1460>')
    lab.c.abort()
    expect(isPlain()).toBe(false)
  })

  it('three time-outs after the handshake: the way is suspected to swallow the connection', () => {
    const lab = warm()
    open(lab, 100)
    lab.inject('S. 0:0(0) ack 101 win 5840 <mss 1460>')
    lab.write(100)
    lab.clear()
    lab.advance(20_000)
    expect(lab.counters.TCPFastOpenBlackhole).toBe(1)
    lab.c.abort()
    lab.run()
    lab.clear()
    open(lab, 100)
    lab.expect('S 0:0(0) <mss 1460,sackOK,wscale 7>')
  })

  it('PACKET TOO BIG: a plain SYN at once', () => {
    const lab = opened(1000)
    lab.icmp(3, 4, { seq: 0, mtu: 840, length: 1064 })
    lab.expect('S 0:0(0)')
    lab.inject('S. 0:0(0) ack 1 win 5840 <mss 1040,sackOK,wscale 6>')
    const got = lab.take()
    expect(got.map((e) => e.len)).toEqual([800, 200])
    expect(lab.app.take()).toEqual(['connect', 'writable'])
  })

  it('simultaneous open: the SYN-ACK that follows may acknowledge the data', () => {
    const lab = opened(1000)
    lab.inject('S 0:500(500) win 14600 <mss 1040,sackOK,wscale 6,FO 87654321>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460,sackOK,wscale 7>')
    lab.inject('S. 0:0(0) ack 1001 win 14600 <mss 940,sackOK,wscale 6,FO 12345678>')
    lab.clear()
    lab.inject('P. 1:501(500) ack 1001 win 257')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.app.received).toBe(500)
    expect(lab.c.unsent).toBe(0)
  })
})

describe('cookies', () => {
  const request = 'S 0:0(0) <mss 1460,sackOK,wscale 7,FO>'

  it('are asked for without data, which follow the handshake; a repeated SYN does not ask, and the answer is kept still', () => {
    const lab = new TcpLab({ config: { tcp: { timestamps: false } } })
    open(lab, 100)
    lab.expect(request)
    lab.advance(1000)
    lab.expect('S 0:0(0) <mss 1460,sackOK,wscale 7>')
    lab.inject('S. 0:0(0) ack 1 win 60000 <mss 1240,FO aaaabbbbcccc>')
    lab.expect('P. 1:101(100) ack 1')
    expect(lab.c.info().fastOpen).toBe('none')
    open(lab, 10_000)
    expect(lab.take()[0].text).toContain('S 0:1200(1200)')
    expect(lab.out.at(-1)!.options.at(-1)).toBe('FO aaaabbbbcccc')
  })

  it('of all zeros and of any even length from 4 to 16 are good, others are not kept', () => {
    const lab = warm('00000000')
    let good = '00000000'
    for (const [sent, kept] of [
      ['1122', false],
      ['01234567aabbccdd0123456701234567', true],
      ['01234567aabbccdd0123456701234567afaf', false],
      ['112233', false],
      ['aabbccddee11', true],
    ] as const) {
      open(lab, 10)
      expect(
        lab
          .take()
          .find((e) => e.text.startsWith('S'))!
          .options.at(-1),
      ).toBe(`FO ${good}`)
      lab.inject(`S. 0:0(0) ack 11 win 5840 <mss 1460,sackOK,wscale 6,FO ${sent}>`)
      if (kept) good = sent
      lab.c.abort()
    }
  })

  it('the experimental form is tried once, where the standard one brought none', () => {
    const lab = new TcpLab({ config: { tcp: { timestamps: false } } })
    for (const form of ['FO', 'FOEXP', 'FO', 'FO']) {
      open(lab, 10)
      expect(
        lab
          .take()
          .find((e) => e.text.startsWith('S'))!
          .options.at(-1),
      ).toBe(form)
      lab.inject('S. 0:0(0) ack 1 win 5840 <mss 1460,sackOK,wscale 6>')
      lab.c.abort()
    }
    const old = new TcpLab({ config: { tcp: { timestamps: false } } })
    open(old, 10)
    old.inject('S. 0:0(0) ack 1 win 5840 <mss 1460>')
    open(old, 10)
    old.inject('S. 0:0(0) ack 1 win 5840 <mss 1460,FOEXP 1234abcd>')
    open(old, 10)
    expect(old.out.at(-1)!.options.at(-1)).toBe('FOEXP 1234abcd')
    old.inject('S. 0:0(0) ack 11 win 5840 <mss 1460,FO abcd5678>')
    open(old, 10)
    expect(old.out.at(-1)!.options.at(-1)).toBe('FO abcd5678')
  })

  it('are not asked for, nor sent, without the option, nor when the config says no', () => {
    const lab = warm()
    open(lab, 100, { fastOpen: false })
    lab.expect('S 0:0(0) <mss 1460,sackOK,wscale 7>')
    const off = new TcpLab({ config: { tcp: { timestamps: false, fastOpen: 2 } } })
    open(off, 100)
    off.expect('S 0:0(0) <mss 1460,sackOK,wscale 7>')
  })

  it('are not needed in a network of ones own; one that comes unasked is not kept', () => {
    for (const [options, tcp] of [
      [{}, { fastOpen: 5 }],
      [{ fastOpenNoCookie: true }, {}],
    ] as const) {
      const lab = new TcpLab({ config: { tcp: { timestamps: false, ...tcp } } })
      open(lab, 1000, options)
      lab.expect('S 0:1000(1000) <mss 1460,sackOK,wscale 7>')
      lab.inject('S. 0:0(0) ack 1001 win 5840 <mss 940,sackOK,wscale 6,FO abcd1234>')
      expect(lab.c.info().fastOpen).toBe('accepted')
      lab.c.abort()
      lab.clear()
      open(lab, 1900, options)
      expect(lab.take().at(-1)!.text).toContain('S 0:900(900)')
      expect(lab.out.at(-1)!.options.length).toBe(3)
    }
  })

  it('are remembered for so many servers, and those asked longest ago go first', () => {
    const cache = new FastOpenCache(3)
    const lab = new TcpLab()
    const { paths } = lab.stack.tcp
    const path = (n: number): ReturnType<typeof paths.get> => {
      const c = lab.stack.tcp.open({ remoteAddress: `10.0.0.${n}`, remotePort: 80 }, {}) as Connection
      c.abort()
      return c.path
    }
    for (const n of [10, 11, 12, 10, 13]) cache.touch(path(n)).mss = n
    expect(cache.size).toBe(3)
    expect([10, 11, 12, 13].map((n) => cache.find(path(n))?.mss ?? 0)).toEqual([10, 0, 12, 13])
    cache.clear()
    expect(cache.size).toBe(0)
  })
})
