/** Opening: RFC 9293 sections 3.5, 3.10.7.1 to 3.10.7.3; RFC 6298 section 5.7; RFC 7323 section 2. */
import { describe, expect, it } from 'vitest'
import { TcpLab } from '../support/tcp-lab.ts'

const FULL = '<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>'

describe('active open (RFC 9293 section 3.5, figure 6)', () => {
  it('sends SYN with all options, acknowledges the SYN-ACK, is told', () => {
    const lab = new TcpLab()
    lab.open()
    lab.expect('S 0:0(0) win 65535 <mss 1460,sackOK,TS ecr 0,wscale 7>')
    expect(lab.state).toBe('SYN-SENT')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>')
    lab.expect('. 1:1(0) ack 1 <TS ecr 100>')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.app.take()).toEqual(['connect', 'writable'])
  })

  it('repeats the SYN with back-off (MUST-22) and gives up after three minutes at least (MUST-23)', () => {
    const lab = new TcpLab()
    lab.open()
    const syn = lab.expect('S 0:0(0)')[0]
    const times: number[] = []
    for (;;) {
      const t = lab.untilEmitted(300_000)
      const got = lab.take()
      if (got.length === 0) break
      expect(got[0].seq).toBe(syn.seq)
      times.push(t)
    }
    expect(times).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 64_000])
    expect(lab.app.take()).toEqual(['close ETIMEDOUT'])
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })

  it('begins with an RTO of 3 s after a lost SYN (RFC 6298 section 5.7), and no sample (Karn)', () => {
    const lab = new TcpLab()
    lab.open()
    lab.advance(1500)
    lab.inject('S. 0:0(0) ack 1 <mss 1460>')
    expect(lab.c.info()).toMatchObject({ rttUs: 0, rtoMs: 3000 })
  })

  it('refused by RST with ACK; a RST without, or a wrong ACK, does nothing', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject('R 0:0(0)')
    lab.inject('R. 0:0(0) ack 2')
    lab.inject('R. 0:0(0) ack 0')
    expect(lab.state).toBe('SYN-SENT')
    lab.inject('R. 0:0(0) ack 1')
    lab.expect()
    expect(lab.app.take()).toEqual(['close ECONNREFUSED'])
  })

  it('a SYN-ACK with a wrong number is reset, and waiting goes on (half-open discovery, section 3.5.1)', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject('S. 0:0(0) ack 500')
    lab.expect('R 500:500(0)')
    lab.inject('. 300:300(0) ack 100')
    lab.expect('R 100:100(0)')
    lab.inject('. 0:0(0) ack 1')
    lab.expect()
    expect(lab.state).toBe('SYN-SENT')
  })

  it('data and FIN on the SYN-ACK are taken (section 3.10.7.3)', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject('SF. 0:10(10) ack 1 win 65535 <mss 1460>')
    lab.expect('. 1:1(0) ack 12')
    expect(lab.app.received).toBe(10)
    expect(lab.state).toBe('CLOSE-WAIT')
  })

  it('bytes written before the handshake leave with its ACK', () => {
    const lab = new TcpLab()
    lab.open()
    lab.write(20)
    lab.c.shutdown()
    lab.clear()
    lab.inject('S. 0:0(0) ack 1 <mss 1460>')
    lab.expect('FP. 1:21(20) ack 1')
    expect(lab.state).toBe('FIN-WAIT-1')
  })

  it('PACKET TOO BIG, hard and soft ICMP errors while opening', () => {
    const hard = new TcpLab()
    hard.open()
    hard.icmp(3, 3, { seq: 0, length: 60 })
    expect(hard.app.take()).toEqual(['close ECONNREFUSED'])
    const forged = new TcpLab()
    forged.open()
    forged.icmp(3, 3, { seq: 77, length: 60 })
    expect(forged.state).toBe('SYN-SENT')
    const soft = new TcpLab()
    soft.open()
    soft.icmp(11, 0, { seq: 0, length: 60 })
    expect(soft.state).toBe('SYN-SENT')
    soft.advance(400_000)
    expect(soft.app.take()).toEqual(['close EHOSTUNREACH'])
  })
})

describe('simultaneous open (MUST-10, figure 7)', () => {
  it('SYN crosses SYN', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject(`S 0:0(0) win 65535 ${FULL}`)
    lab.expect('S. 0:0(0) ack 1 <mss 1460,sackOK,TS ecr 100,wscale 7>')
    expect(lab.state).toBe('SYN-RECEIVED')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 101 ecr 1,nop,wscale 7>')
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.app.take()).toEqual(['connect', 'writable'])
    lab.write(10)
    expect(lab.take().at(-1)!.text).toContain('1:11(10) ack 1')
  })

  it('a lost SYN-ACK is repeated; RST means refused (MUST-11)', () => {
    const lab = new TcpLab()
    lab.open()
    lab.clear()
    lab.inject('S 0:0(0) <mss 1460>')
    lab.expect('S. 0:0(0) ack 1')
    lab.advance(1000)
    lab.expect('S. 0:0(0) ack 1')
    lab.inject('R 1:1(0)')
    expect(lab.app.take()).toEqual(['close ECONNREFUSED'])
  })

  it('a wrong ACK in SYN-RECEIVED is reset', () => {
    const lab = new TcpLab()
    lab.open()
    lab.inject('S 0:0(0) <mss 1460>')
    lab.clear()
    lab.inject('. 1:1(0) ack 900')
    lab.expect('R 900:900(0)')
    expect(lab.state).toBe('SYN-RECEIVED')
    lab.inject('. 1:1(0) ack 1')
    expect(lab.state).toBe('ESTABLISHED')
  })

  it('with ourselves: one connection that talks to itself', () => {
    const lab = new TcpLab()
    lab.c = lab.stack.tcp.open({ remoteAddress: '127.0.0.1', remotePort: 5000, localPort: 5000 }, lab.app) as typeof lab.c
    lab.advance(10)
    expect(lab.state).toBe('ESTABLISHED')
    lab.write(10)
    lab.advance(10)
    expect(lab.app.received).toBe(10)
    lab.c.close()
    lab.advance(100_000)
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })
})

describe('passive open (RFC 9293 section 3.5, figure 6)', () => {
  it('answers a SYN with the options the peer offered', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject(`S 0:0(0) win 65535 ${FULL}`)
    lab.expect('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS ecr 100,wscale 7>')
    lab.inject('. 1:1(0) ack 1 win 512 <nop,nop,TS val 101 ecr 1>')
    lab.expect()
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.c.info().sendWindow).toBe(512 * 128)
  })

  it('only what was offered is answered', () => {
    for (const [offer, answer] of [
      ['<mss 1460>', '<mss 1460>'],
      ['<sackOK>', '<mss 1460,sackOK>'],
      ['<TS val 1 ecr 0>', '<mss 1460,TS ecr 1>'],
      ['<wscale 3>', '<mss 1460,wscale 7>'],
      ['<hex fd0611223344,mss 1000>', '<mss 1460>'], // MUST-6: unknown, skipped by its length
      ['<nop,eol,hex 0204>', '<mss 1460>'],
    ]) {
      const lab = new TcpLab()
      lab.listen()
      lab.inject(`S 0:0(0) win 65535 ${offer}`)
      lab.expect(`S. 0:0(0) ack 1 ${answer}`)
    }
  })

  it('options of illegal length are survived (MUST-7), at any alignment read (MUST-64), unknown ones on data ignored (MUST-5)', () => {
    for (const bad of ['hex 0200', 'hex 0201', 'hex 02ff', 'hex 08', 'hex fd28', 'hex 0300', 'hex 050b0000']) {
      const lab = new TcpLab().accept()
      lab.inject(`. 1:11(10) ack 1 <${bad}>`)
      expect(lab.app.received).toBe(10)
    }
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <nop,TS val 7 ecr 0,sackOK,wscale 2,mss 1200>')
    lab.expect('S. 0:0(0) ack 1 <mss 1460,sackOK,TS ecr 7,wscale 7>')
    lab.inject('. 1:1(0) ack 1 <TS val 8 ecr 1>')
    expect(lab.c.info().mss).toBe(1188)
  })

  it('a window scale above 14 counts as 14 (EX-06); windows of SYNs are never scaled', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) win 1000 <mss 1460,nop,wscale 200>')
    lab.inject('. 1:1(0) ack 1 win 3')
    expect(lab.c.info()).toMatchObject({ sendScale: 14, sendWindow: 3 << 14 })
    const active = new TcpLab()
    active.open()
    active.inject('S. 0:0(0) ack 1 win 1000 <mss 1460,nop,wscale 7>')
    expect(active.c.info().sendWindow).toBe(1000)
  })

  it('timestamps that are missing later do not end the talk', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject(`S 0:0(0) win 65535 ${FULL}`)
    lab.inject('. 1:1(0) ack 1 win 512 <nop>')
    lab.inject('. 1:11(10) ack 1 win 512 <nop>')
    expect(lab.app.received).toBe(10)
  })

  it('repeats the SYN-ACK, five times, then forgets', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) <mss 1460>')
    lab.clear()
    lab.advance(200_000)
    expect(lab.take().map((e) => e.text.split(' ')[0])).toEqual(['S.', 'S.', 'S.', 'S.', 'S.'])
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })

  it('a SYN that comes again gets its SYN-ACK again; the handshake completes once; the RTT is not guessed', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) <mss 1460>')
    lab.advance(500)
    lab.inject('S 0:0(0) <mss 1460>')
    lab.expect('S. 0:0(0) ack 1', 'S. 0:0(0) ack 1')
    lab.inject('. 1:1(0) ack 1')
    lab.inject('. 1:1(0) ack 1')
    lab.expect()
    expect(lab.accepted.length).toBe(1)
    expect(lab.c.info().rttUs).toBe(0)
  })

  it('reordered: data before the ACK completes the handshake; FIN with it too', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) <mss 1460>')
    lab.inject('F. 1:11(10) ack 1')
    expect(lab.state).toBe('CLOSE-WAIT')
    expect(lab.app.received).toBe(10)
  })

  for (const [what, line, answer] of [
    ['RST at RCV.NXT ends it, the listener lives (MUST-11)', 'R 1:1(0)', []],
    ['RST elsewhere in the window gets a challenge (RFC 5961 section 3.2)', 'R 5:5(0)', ['. 1:1(0) ack 1']],
    ['RST outside it gets nothing', 'R 90000:90000(0)', []],
    ['a wrong ACK gets RST', '. 1:1(0) ack 99', ['R 99:99(0)']],
    ['outside the window gets ACK', '. 90000:90000(0) ack 1', ['. 1:1(0) ack 1']],
    ['another SYN gets a challenge', 'S 100:100(0)', ['. 1:1(0) ack 1']],
    ['no ACK: dropped', 'P 1:2(1)', []],
  ] as const) {
    it(`SYN-RECEIVED: ${what}`, () => {
      const lab = new TcpLab()
      lab.listen()
      lab.inject('S 0:0(0) <mss 1460>')
      lab.clear()
      lab.inject(line)
      lab.expect(...answer)
      const lives = !line.startsWith('R 1:1')
      expect(lab.stack.tcp.flowTable.size).toBe(lives ? 1 : 0)
      if (lives) lab.inject('. 1:1(0) ack 1')
      expect(lab.accepted.length).toBe(lives ? 1 : 0)
    })
  }
})

describe('LISTEN (section 3.10.7.2)', () => {
  it('RST ignored, ACK reset, SYN with FIN and anything else dropped', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('R 0:0(0)')
    lab.expect()
    lab.inject('. 0:0(0) ack 50')
    lab.expect('R 50:50(0)')
    lab.inject('S. 0:0(0) ack 50')
    lab.expect('R 50:50(0)')
    lab.inject('SF 0:0(0)')
    lab.inject('P 0:10(10)')
    lab.expect()
    expect(lab.counters.dropSynNotFirst).toBe(2)
  })

  it('data on a SYN is not acknowledged and comes again', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:10(10) <mss 1460>')
    lab.expect('S. 0:0(0) ack 1')
  })

  it('several listeners on a port, by address; taken ones refused (MUST-41, MUST-42)', () => {
    const lab = new TcpLab({ addresses: ['10.0.0.2/24', '10.0.0.3/24'] })
    lab.listen({ address: '10.0.0.2' })
    const other: string[] = []
    lab.stack.tcp.listen({ port: 7, address: '10.0.0.3' }, { onConnection: (c) => other.push(c.localAddress.toString()) })
    for (const address of ['10.0.0.2', undefined, '0.0.0.0']) {
      expect(() => lab.stack.tcp.listen({ port: 7, address }, {})).toThrow(
        expect.objectContaining({ code: 'EADDRINUSE', syscall: 'listen' }),
      )
    }
    expect(() => lab.stack.tcp.listen({ port: 7, address: '10.9.9.9' }, {})).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    )
    lab.inject('S 0:0(0)')
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.length).toBe(1)
    expect(other).toEqual([])
  })

  it('port 0 is an ephemeral one', () => {
    const lab = new TcpLab()
    expect(lab.stack.tcp.listen({ port: 0 }, {}).localPort).toBeGreaterThanOrEqual(32768)
  })

  it('SYN queue: bounded, the memory of a flood with it; it drains by time-out', () => {
    const lab = new TcpLab({ config: { tcp: { synBacklog: 16, synCookies: 'off' } } })
    lab.listen()
    for (let i = 0; i < 1000; i++) lab.inject('S 0:0(0)', { remotePort: 2000 + i })
    expect(lab.stack.tcp.flowTable.size).toBe(16)
    expect(lab.counters).toMatchObject({ ListenDrops: 984, TCPReqQFullDrop: 984 })
    expect(lab.take().length).toBe(16)
    expect(lab.stack.pool.inUse).toBe(0)
    lab.advance(120_000)
    lab.clear()
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    lab.accept()
    expect(lab.state).toBe('ESTABLISHED')
  })

  it('accept queue: bounded; the handshake that found it full completes when there is room', () => {
    const lab = new TcpLab()
    const listener = lab.listen({ backlog: 2 }, false)
    for (let i = 0; i < 4; i++) lab.inject('S 0:0(0) <mss 1460>', { remotePort: 2000 + i })
    for (let i = 0; i < 4; i++) lab.inject('. 1:1(0) ack 1', { remotePort: 2000 + i })
    expect(lab.counters).toMatchObject({ ListenOverflows: 2, ListenDrops: 2 })
    lab.inject('S 0:0(0) <mss 1460>', { remotePort: 2010 })
    expect(lab.counters).toMatchObject({ ListenOverflows: 3, ListenDrops: 3 })
    expect(listener.accept()!.remotePort).toBe(2000)
    lab.clear()
    lab.advance(1000) // the SYN-ACK again, the peer answers again
    expect(
      lab
        .take()
        .map((e) => e.remotePort)
        .sort(),
    ).toEqual([2002, 2003])
    lab.inject('. 1:1(0) ack 1', { remotePort: 2002 })
    expect(listener.accept()!.remotePort).toBe(2001)
    expect(listener.accept()!.remotePort).toBe(2002)
    expect(listener.accept()).toBe(null)
  })

  it('closing resets what is half-open or not taken; what was taken lives', () => {
    const lab = new TcpLab().accept()
    const taken = lab.c
    lab.listener!.close()
    const listener = lab.listen({}, false)
    lab.inject('S 0:0(0)', { remotePort: 1 })
    lab.inject('. 1:1(0) ack 1', { remotePort: 1 })
    lab.inject('S 0:0(0)', { remotePort: 2 })
    lab.clear()
    listener.close()
    lab.run()
    expect(lab.take().map((e) => `${e.remotePort} ${e.text.split(' ')[0]}`)).toEqual(['2 R', '1 R.'])
    expect(taken.stateName).toBe('ESTABLISHED')
    lab.inject('S 0:0(0)', { remotePort: 3 })
    lab.expect('R. 0:0(0) ack 1')
  })

  it('a connection that was reset while it waited is handed over with its end', () => {
    const lab = new TcpLab()
    const listener = lab.listen({}, false)
    lab.inject('S 0:0(0)')
    lab.inject('. 1:1(0) ack 1')
    lab.inject('R 1:1(0)')
    const c = listener.accept()!
    c.handler = lab.app
    lab.stack.turn.wake()
    lab.run()
    expect(lab.app.take()).toEqual(['close ECONNRESET'])
  })
})
