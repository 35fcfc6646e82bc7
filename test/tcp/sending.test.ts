/** The sending side: Nagle, SWS, probes, retransmission, recovery. RFC 9293 sections 3.7.4, 3.8; RFC 5681, 6298, 6582, 6675. */
import { describe, expect, it } from 'vitest'
import { Offload } from '../../src/netif/netif.ts'
import { pattern, TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460
const SACK = '<mss 1460,sackOK>'
const seg = (i: number, n = 1): string => `${1 + i * MSS}:${1 + (i + n) * MSS}(${n * MSS})`

describe('Nagle, PSH, SWS (RFC 9293 sections 3.7.4, 3.8.6.2.1, 3.9.1.2)', () => {
  it('a small write waits while another is unacknowledged (SHLD-7), then leaves as one with its followers (SHLD-27)', () => {
    const lab = new TcpLab().accept()
    lab.write(1)
    lab.expect('P. 1:2(1) ack 1') // MUST-60, MUST-61
    lab.write(1)
    lab.write(2)
    lab.expect()
    lab.inject('. 1:1(0) ack 2')
    lab.expect('P. 2:5(3) ack 1')
  })

  it('not with noDelay (MUST-17), which also frees what waits', () => {
    const lab = new TcpLab().accept()
    lab.write(1)
    lab.write(1)
    lab.clear()
    lab.c.setNoDelay(true)
    lab.run()
    lab.expect('P. 2:3(1) ack 1')
    lab.write(1)
    lab.expect('P. 3:4(1) ack 1')
  })

  it('full segments never wait (SHLD-28); the last carries PSH', () => {
    const lab = new TcpLab().accept()
    lab.write(1)
    lab.clear()
    lab.write(2 * MSS + 10)
    lab.expect(`. 2:${2 + MSS}(${MSS})`, `. ${2 + MSS}:${2 + 2 * MSS}(${MSS})`)
    lab.inject(`. 1:1(0) ack ${2 + 2 * MSS}`)
    lab.expect(`P. ${2 + 2 * MSS}:${12 + 2 * MSS}(10)`)
  })

  it('small writes of one turn become one segment', () => {
    const lab = new TcpLab().accept()
    for (let i = 0; i < 10; i++) lab.write(10, false)
    lab.run()
    lab.expect('P. 1:101(100) ack 1')
  })

  it('FIN leaves with the last bytes, without waiting', () => {
    const lab = new TcpLab().accept()
    lab.write(1)
    lab.write(5, false)
    lab.c.shutdown()
    lab.run()
    lab.expect('P. 1:2(1)', 'FP. 2:7(5) ack 1')
    expect(lab.state).toBe('FIN-WAIT-1')
  })

  it('does not follow a window that opens byte by byte (MUST-38)', () => {
    const lab = new TcpLab().accept('<mss 1000>', 8000)
    lab.write(8000)
    lab.inject('. 1:1(0) ack 8001 win 0')
    lab.clear()
    lab.write(5000)
    for (let win = 1; win < 1000; win += 100) lab.inject(`. 1:1(0) ack 8001 win ${win}`)
    lab.expect()
    lab.inject('. 1:1(0) ack 8001 win 1000')
    lab.expect('. 8001:9001(1000)')
  })

  it('uses half of the largest window seen, for peers with tiny buffers', () => {
    const lab = new TcpLab().accept('<mss 1460>', 600)
    lab.write(600)
    lab.expect('P. 1:601(600)')
    lab.write(600)
    lab.inject('. 1:1(0) ack 601 win 299')
    lab.expect()
    lab.inject('. 1:1(0) ack 601 win 300')
    lab.expect('. 601:901(300)')
  })

  it('a small window is used after the override time-out', () => {
    const lab = new TcpLab().accept('<mss 1460>', 8000)
    lab.write(4 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 4 * MSS} win 100`)
    lab.clear()
    lab.write(3000)
    lab.expect()
    lab.advance(250)
    lab.expect(`. ${1 + 4 * MSS}:${101 + 4 * MSS}(100)`)
  })
})

describe('the peer’s window', () => {
  it('zero: probed after an RTO (SHLD-29), with back-off (SHLD-30); opens by an update', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.inject('. 1:1(0) ack 11 win 0')
    lab.clear()
    lab.write(10)
    const at: number[] = []
    for (let i = 0; i < 6; i++) {
      lab.advance(0)
      const t = lab.untilEmitted(200_000)
      lab.expect('. 10:10(0) ack 1')
      at.push(t)
      lab.inject('. 1:1(0) ack 11 win 0')
    }
    expect(at).toEqual([200, 400, 800, 1600, 3200, 6400])
    lab.inject('. 1:1(0) ack 11 win 1000')
    lab.expect('P. 11:21(10)')
  })

  it('stays closed for 24 hours while the probes are answered: the connection lives, nothing grows (MUST-37)', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.inject('. 1:1(0) ack 11 win 0')
    lab.write(10)
    lab.clear()
    const end = lab.host.elapsedMs + 24 * 3600 * 1000
    let probes = 0
    while (lab.host.elapsedMs < end) {
      lab.untilEmitted(200_000)
      probes += lab.take().length
      lab.inject('. 1:1(0) ack 11 win 0')
    }
    expect(lab.state).toBe('ESTABLISHED')
    expect(probes).toBeGreaterThan(24 * 30 - 20)
    expect(probes).toBeLessThan(24 * 30 + 20)
    expect(lab.stack.timers.size).toBeLessThanOrEqual(2)
    lab.inject('. 1:1(0) ack 11 win 1000')
    lab.expect('P. 11:21(10)')
  })

  it('zero and silent: given up like any other silence', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.inject('. 1:1(0) ack 11 win 0')
    lab.write(10)
    lab.advance(3600_000)
    expect(lab.app.take().at(-1)).toBe('close ETIMEDOUT')
  })

  it('that shrinks: nothing new beyond it (SHLD-15), the old is sent again (SHLD-16), it is no time-out (SHLD-17, MUST-34, MUST-35)', () => {
    const lab = new TcpLab().accept('<mss 1000>', 4000)
    lab.write(6000)
    lab.expect('. 1:1001(1000)', '. 1001:2001(1000)', '. 2001:3001(1000)', '. 3001:4001(1000)')
    lab.inject('. 1:1(0) ack 1001 win 1000')
    lab.expect()
    lab.advance(220)
    lab.expect('. 1001:2001(1000)')
    lab.inject('. 1:1(0) ack 2001 win 0')
    lab.expect()
    for (let i = 0; i < 30; i++) {
      lab.untilEmitted(200_000)
      expect(lab.take().every((e) => e.text.startsWith('. 2001:3001'))).toBe(true)
      lab.inject('. 1:1(0) ack 2001 win 0')
    }
    expect(lab.state).toBe('ESTABLISHED')
    lab.inject('. 1:1(0) ack 4001 win 4000')
    expect(lab.take().at(-1)!.text).toContain('5001:6001(1000)')
  })

  it('of 65535 with a scale of 14 is a gigabyte, not negative (MUST-1, EX-06)', () => {
    const lab = new TcpLab().accept('<mss 1460,nop,wscale 14>')
    expect(lab.c.info().sendWindow).toBe(65535 * 2 ** 14)
    lab.write(MSS)
    lab.expect(`P. ${seg(0)}`)
  })
})

describe('retransmission time-out (RFC 6298, MUST-18, MUST-19, EX-17)', () => {
  it('is 1 s before a sample, 200 ms at least after; doubles; ends after R2 (MUST-20, SHLD-10, SHLD-11)', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.clear()
    const times: number[] = []
    let from = lab.host.elapsedMs
    while (lab.state === 'ESTABLISHED') {
      lab.untilEmitted(200_000)
      const got = lab.take()
      if (got.length === 0) break
      expect(got[0].text).toMatch(/^P\. 1:11\(10\)/)
      times.push(Math.round(lab.host.elapsedMs - from))
      from = lab.host.elapsedMs
    }
    expect(times.slice(0, 10)).toEqual([200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 102400])
    expect(times.slice(10).every((t) => t === 120_000)).toBe(true)
    expect(times.length).toBe(15)
    lab.advance(200_000)
    expect(lab.app.take().at(-1)).toBe('close ETIMEDOUT')
    expect(lab.host.elapsedMs).toBeGreaterThan(100_000)
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    expect(lab.stack.pool.inUse).toBe(0)
  })

  it('the user timeout takes the place of R2 (MUST-21, RFC 5482)', () => {
    const lab = new TcpLab().accept()
    lab.c.setUserTimeout(3000)
    lab.write(10)
    lab.advance(2900)
    expect(lab.state).toBe('ESTABLISHED')
    lab.advance(200)
    expect(lab.app.take().at(-1)).toBe('close ETIMEDOUT')
  })

  it('no sample from what was sent twice (Karn); back-off stays until there is one', () => {
    const lab = new TcpLab().accept()
    const before = lab.c.info().rttUs
    lab.write(10)
    lab.advance(700) // 200 + 400
    lab.inject('. 1:1(0) ack 11')
    expect(lab.c.info().rttUs).toBe(before)
    expect(lab.c.info().backoff).toBe(2)
    lab.clear()
    lab.write(10)
    lab.expect('P. 11:21(10)')
    lab.advance(500)
    lab.expect()
    lab.inject('. 1:1(0) ack 21')
    expect(lab.c.info().backoff).toBe(0)
  })

  it('with timestamps the echo says which one was answered (RFC 7323 section 4)', () => {
    const lab = new TcpLab().accept('<mss 1460,TS val 100 ecr 0>')
    lab.write(10)
    lab.advance(300)
    const again = lab.take().at(-1)!
    lab.advance(50)
    lab.inject(`. 1:1(0) ack 11 <nop,nop,TS val 500 ecr ${again.tsVal}>`)
    expect(lab.c.info().rttUs).toBeGreaterThan(1000)
    expect(lab.c.info().rttUs).toBeLessThan(40_000)
  })

  it('after it: one segment, then slow start; ssthresh is half of what was in flight', () => {
    const lab = new TcpLab({ config: { tcp: { congestion: 'newreno' } } }).accept()
    lab.write(8 * MSS)
    lab.clear()
    lab.advance(200)
    lab.expect(`. ${seg(0)}`)
    expect(lab.c.info()).toMatchObject({ cwnd: MSS, ssthresh: 4 * MSS, recovery: 'loss' })
    lab.inject(`. 1:1(0) ack ${1 + MSS}`)
    lab.expect(`. ${seg(1)}`, `. ${seg(2)}`)
    lab.inject(`. 1:1(0) ack ${1 + 8 * MSS}`)
    expect(lab.c.info().recovery).toBe('open')
  })

  it('the FIN is retransmitted too, also where its number crosses the sign', () => {
    for (const iss of [0x7fffffff - 11, 0x7fffffff - 10, -12, -1, 0x7ffffffe]) {
      const lab = new TcpLab({ iss }).accept()
      lab.write(10, false)
      lab.c.shutdown()
      lab.run()
      lab.expect('FP. 1:11(10) ack 1')
      lab.advance(200)
      lab.expect('FP. 1:11(10) ack 1')
      lab.inject('. 1:1(0) ack 11')
      lab.advance(500) // no sample yet: backed off
      const again = lab.take()
      expect(again.length).toBeGreaterThan(0)
      for (const e of again) expect(e.text).toMatch(/^FP?\. 11:11\(0\) ack 1 /)
      lab.inject('. 1:1(0) ack 12')
      expect(lab.state).toBe('FIN-WAIT-2')
    }
  })
})

describe('fast retransmit and recovery without SACK (RFC 5681, 6582; EX-14, EX-15)', () => {
  it('limited transmit, third duplicate, partial ACK, end', () => {
    const lab = new TcpLab({ config: { tcp: { congestion: 'newreno' } } }).accept()
    lab.write(14 * MSS)
    lab.clear() // ten in flight (EX-13)
    lab.inject('. 1:1(0) ack 1')
    lab.expect(`. ${seg(10)}`)
    lab.inject('. 1:1(0) ack 1')
    lab.expect(`. ${seg(11)}`)
    lab.inject('. 1:1(0) ack 1')
    lab.expect(`. ${seg(0)}`)
    // Without what limited transmit added (RFC 5681 section 3.2 step 2).
    expect(lab.c.info()).toMatchObject({ recovery: 'recovery', ssthresh: 5 * MSS })
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS}`) // partial: the third is missing as well
    expect(lab.take()[0].text).toContain(seg(2))
    lab.inject(`. 1:1(0) ack ${1 + 12 * MSS}`)
    const info = lab.c.info()
    expect([info.recovery, info.retransmits]).toEqual(['open', 2])
    // Every segment of the connection, and the SYN-ACK of before there was one.
    expect(lab.counters).toMatchObject({ tcpRetransSegs: 2, tcpOutSegs: info.segmentsOut + 1 })
    expect(lab.counters.tcpTimeouts ?? 0).toBe(0)
  })

  it('data, window updates and old ACKs are not duplicates', () => {
    const lab = new TcpLab().accept()
    lab.write(10 * MSS)
    lab.clear()
    lab.inject('. 1:2(1) ack 1')
    lab.inject('. 2:3(1) ack 1')
    lab.inject('. 3:4(1) ack 1')
    lab.inject('. 4:4(0) ack 1 win 65000')
    lab.inject('. 4:4(0) ack 1 win 64000')
    lab.inject('. 4:4(0) ack 1 win 65000')
    expect(lab.take().some((e) => e.len > 0)).toBe(false)
  })
})

const COUNTING = { config: { tcp: { rack: false } } }

describe('recovery with SACK (RFC 6675, EX-09)', () => {
  it('sends again exactly what is missing', () => {
    const lab = new TcpLab(COUNTING).accept(SACK)
    lab.write(10 * MSS)
    lab.clear()
    const b = (i: number, n = 1): string => `${1 + i * MSS}:${1 + (i + n) * MSS}`
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${b(1)}>`)
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${b(3)} ${b(1)}>`)
    lab.expect()
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${b(3, 2)} ${b(1)}>`)
    lab.expect(`. ${seg(0)}`)
    expect(lab.c.info().recovery).toBe('recovery')
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${b(3, 7)} ${b(1)}>`)
    lab.expect(`. ${seg(2)}`)
    lab.inject(`. 1:1(0) ack ${1 + 10 * MSS}`)
    lab.expect()
    expect(lab.c.info()).toMatchObject({ recovery: 'open', retransmits: 2, lost: 0, sacked: 0 })
  })

  it('a peer that takes back what it SACKed gets it again (RFC 2018 section 8)', () => {
    const lab = new TcpLab(COUNTING).accept(SACK)
    lab.write(4 * MSS)
    lab.clear()
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${1 + MSS}:${1 + 4 * MSS}>`)
    lab.expect(`. ${seg(0)}`)
    lab.inject(`. 1:1(0) ack ${1 + MSS}`)
    lab.advance(1000)
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS}`)
    lab.advance(1000)
    const again = lab.take().map((e) => e.text.split(' ')[1])
    for (const i of [1, 2]) expect(again).toContain(seg(i))
  })

  it('blocks outside of what is in flight, empty or reversed, do nothing', () => {
    const lab = new TcpLab(COUNTING).accept(SACK)
    lab.write(5 * MSS)
    for (const bad of ['-5000:-4000', `1:${1 + 6 * MSS}`, '3000:2000', '500:500', '2147480000:-2147480000']) {
      lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${bad}>`)
    }
    expect(lab.c.info().sacked).toBe(0)
    expect(lab.c.info().recovery).toBe('open')
  })

  it('a D-SACK is counted and is no loss', () => {
    const lab = new TcpLab(COUNTING).accept(SACK)
    lab.write(4 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS} <nop,nop,sack 1:${1 + MSS}>`)
    expect(lab.c.info()).toMatchObject({ dsacks: 1, sacked: 0 })
  })

  it('a block through the middle of a super-segment splits it; only the rest is sent again', () => {
    const lab = new TcpLab({ ...COUNTING, offload: Offload.TX_CHECKSUM | Offload.TSO4, gsoMax: 65535 }).accept(SACK)
    lab.write(10 * MSS)
    const [big] = lab.expect(`P. ${seg(0, 10)}`)
    expect(big.gso).toBe(MSS)
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${1 + 2 * MSS}:${1 + 5 * MSS}>`)
    const first = lab.take()
    lab.inject(`. 1:1(0) ack 1 <nop,nop,sack ${1 + 2 * MSS}:${1 + 10 * MSS}>`)
    const all = [...first, ...lab.take()]
    expect(all.reduce((n, e) => n + e.len, 0)).toBe(2 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 10 * MSS}`)
    expect(lab.c.info()).toMatchObject({ bytesInFlight: 0, sacked: 0, lost: 0 })
  })
})

describe('keep-alive (section 3.8.4, MUST-24 to MUST-29, SHLD-12)', () => {
  it('is off: an idle connection is silent for hours', () => {
    const lab = new TcpLab().accept()
    lab.advance(3 * 3600_000)
    lab.expect()
    expect(lab.host.idle).toBe(true)
  })

  it('by default after two hours', () => {
    const lab = new TcpLab({ config: { tcp: { keepAlive: true } } }).accept()
    lab.advance(7_199_000)
    lab.expect()
    lab.advance(1000)
    lab.expect('. 0:0(0) ack 1')
  })

  it('one lost answer does not kill; an answer begins anew; all lost ends with RST', () => {
    const lab = new TcpLab().accept()
    lab.c.setKeepAlive(true, 10_000, 1000, 3)
    lab.advance(11_000)
    lab.expect('. 0:0(0) ack 1', '. 0:0(0) ack 1')
    lab.inject('. 1:1(0) ack 1')
    lab.advance(9_900)
    lab.expect()
    lab.advance(4_000)
    lab.expect('. 0:0(0)', '. 0:0(0)', '. 0:0(0)', 'R. 1:1(0) ack 1')
    expect(lab.app.take()).toEqual(['close ETIMEDOUT'])
  })

  it('what is not acceptable is no answer', () => {
    const lab = new TcpLab().accept()
    lab.c.setKeepAlive(true, 10_000, 1000, 3)
    for (let i = 0; i < 20; i++) {
      lab.advance(1000)
      lab.inject('. 900000000:900000000(0) ack 1')
    }
    expect(lab.app.take()).toEqual(['close ETIMEDOUT'])
  })

  it('not while data is outstanding', () => {
    const lab = new TcpLab().accept()
    lab.c.setKeepAlive(true, 1000, 1000, 1)
    lab.write(10)
    lab.clear()
    lab.advance(20_000)
    expect(lab.take().every((e) => e.len === 10)).toBe(true)
    expect(lab.state).toBe('ESTABLISHED')
  })
})

describe('sizes (section 3.7.1)', () => {
  for (const [options, mtu, size] of [
    ['', 1500, 536], // MUST-15
    ['<mss 0>', 1500, 536],
    ['<mss 1460>', 1500, 1460],
    ['<mss 9000>', 1500, 1460], // MUST-16
    ['<mss 1460,TS val 1 ecr 0>', 1500, 1448],
    ['<mss 1000>', 1500, 1000],
    ['<mss 1>', 1500, 88],
    ['<mss 9000>', 9000, 8960],
  ] as const) {
    it(`peer says ${options || 'nothing'}, MTU ${mtu}: ${size}`, () => {
      const lab = new TcpLab({ mtu }).accept(options === '' ? '<nop>' : options)
      lab.write(20_000)
      expect(lab.take()[0].len).toBe(size)
    })
  }

  it('announces what its MTU carries (MUST-14, MUST-67, SHLD-5, SHLD-6)', () => {
    const lab = new TcpLab({ mtu: 1280 })
    lab.open()
    expect(lab.take()[0].options[0]).toBe('mss 1240')
  })

  it('a packet that was too big comes again in smaller pieces, with no slow start (RFC 1191, EX-21)', () => {
    const lab = new TcpLab().accept()
    lab.write(3 * MSS)
    lab.clear()
    lab.icmp(3, 4, { seq: 1, mtu: 1000 })
    const again = lab.take()
    expect(again.reduce((n, e) => n + e.len, 0)).toBe(3 * MSS)
    expect(Math.max(...again.map((e) => e.len))).toBe(960)
    expect(lab.c.info().cwnd).toBeGreaterThan(5000)
    expect(lab.c.info().pathMtu).toBe(1000)
  })

  it('once full segments were acknowledged it is believed only when the segment times out (RFC 5927 section 7.2)', () => {
    const lab = new TcpLab().accept()
    lab.write(6 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 3 * MSS}`)
    lab.clear()
    lab.icmp(3, 4, { seq: 1 + 3 * MSS, mtu: 1000 })
    lab.expect()
    expect(lab.c.info()).toMatchObject({ pathMtu: 1500, mss: MSS })
    expect(lab.counters.tcpIcmpDoubted).toBe(1)
    lab.advance(1000)
    expect(lab.c.info()).toMatchObject({ pathMtu: 1000, mss: 960 })
    expect(lab.take().at(-1)!.len).toBe(960)
  })

  it('and forgotten when that segment is acknowledged', () => {
    const lab = new TcpLab().accept()
    lab.write(6 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 3 * MSS}`)
    lab.icmp(3, 4, { seq: 1 + 3 * MSS, mtu: 1000 })
    lab.inject(`. 1:1(0) ack ${1 + 4 * MSS}`)
    lab.advance(1000)
    expect(lab.counters.tcpTimeouts).toBeGreaterThan(0)
    expect(lab.c.info()).toMatchObject({ pathMtu: 1500, mss: MSS })
  })

  it('or at once where doubtPathMtu is off, as in Linux', () => {
    const lab = new TcpLab({ config: { tcp: { doubtPathMtu: false } } }).accept()
    lab.write(6 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 3 * MSS}`)
    lab.clear()
    lab.icmp(3, 4, { seq: 1 + 3 * MSS, mtu: 1000 })
    expect(lab.c.info()).toMatchObject({ pathMtu: 1000, mss: 960 })
  })

  it('a router cannot make segments smaller than pathMtuMin', () => {
    const lab = new TcpLab().accept()
    lab.write(3 * MSS)
    lab.icmp(3, 4, { seq: 1, mtu: 68 })
    expect(lab.c.info()).toMatchObject({ pathMtu: 552, mss: 512 })
  })

  it('a PACKET TOO BIG about nothing in flight is ignored (RFC 5927 section 7)', () => {
    const lab = new TcpLab().accept()
    lab.write(3 * MSS)
    lab.clear()
    lab.icmp(3, 4, { seq: 100_000, mtu: 600 })
    lab.icmp(3, 4, { seq: -1000, mtu: 600 })
    lab.expect()
    expect(lab.c.info().mss).toBe(MSS)
    expect(lab.counters.dropIcmpOutOfWindow).toBe(2)
  })
})

describe('ICMP errors on an established connection (section 3.9.2.2)', () => {
  for (const [type, code] of [
    [3, 0],
    [3, 1],
    [3, 2],
    [3, 3],
    [3, 5],
    [3, 9],
    [3, 10],
    [3, 13],
    [4, 0],
    [11, 0],
    [11, 1],
    [12, 0],
  ]) {
    it(`type ${type} code ${code} does not end it (MUST-54 to MUST-56, SHLD-26 by RFC 5927, EX-22)`, () => {
      const lab = new TcpLab().accept()
      lab.write(10)
      const { cwnd } = lab.c.info()
      lab.icmp(type, code, { seq: 1, length: 50 })
      expect(lab.state).toBe('ESTABLISHED')
      expect(lab.c.info().cwnd).toBe(cwnd)
      lab.inject('. 1:1(0) ack 11')
      expect(lab.app.take()).toEqual([])
    })
  }

  it('explains a time-out (SHLD-25, MUST-47)', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.icmp(3, 1, { seq: 1 })
    lab.advance(2000_000)
    expect(lab.app.take().at(-1)).toBe('close EHOSTUNREACH')
  })
})

describe('fairness and super-segments', () => {
  it('a connection sends its quantum in a turn, then another has its own', () => {
    const lab = new TcpLab({ config: { turn: { sendQuantum: 2 } } })
    lab.accept()
    const first = lab.c
    lab.remotePort = 40001
    lab.accept()
    const second = lab.c
    lab.write(6 * MSS, false, first)
    lab.written = 0
    lab.write(6 * MSS, false, second)
    lab.run()
    expect(lab.take().map((e) => e.remotePort - 40000)).toEqual([0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1])
  })

  it('IW10 in one super-segment (RFC 6928)', () => {
    const lab = new TcpLab({ offload: Offload.TX_CHECKSUM | Offload.TSO4, gsoMax: 65535 }).accept()
    lab.write(30_000)
    lab.expect(`. ${seg(0, 10)}`)
  })

  it('tos and ttl are the application’s (MUST-48, MUST-49, SHLD-21, SHLD-22)', () => {
    const lab = new TcpLab().connect('<mss 1460>', 65535, { ttl: 9, tos: 0x20 })
    expect(lab.out[0]).toMatchObject({ ttl: 9, tos: 0x20 })
    lab.c.setTos(0xb8)
    lab.c.write(pattern(1, 1), 0, 1)
    lab.run()
    expect(lab.out.at(-1)).toMatchObject({ ttl: 9, tos: 0xb8 })
  })
})
