/** Calls and time outside turns, TIME-WAIT, listeners, ports, sequence numbers: what lives longer than one segment. */
import { describe, expect, it } from 'vitest'
import { Address } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { Secrets } from '../../src/tcp/ports.ts'
import { Recorder, TcpLab } from '../support/tcp-lab.ts'

const FULL = '<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>'

describe('calls outside a turn', () => {
  it('close in SYN-SENT is told', () => {
    const lab = new TcpLab()
    lab.open()
    lab.advance(10)
    lab.c.close()
    lab.run()
    expect(lab.app.take()).toEqual(['close'])
  })

  it('close with unread data is told', () => {
    const lab = new TcpLab().accept()
    lab.app.reading = false
    lab.inject('. 1:11(10) ack 1')
    lab.app.take()
    lab.c.close()
    lab.run()
    expect(lab.app.take()).toEqual(['close'])
  })

  it('linger counts from the call, however long ago the last turn was', () => {
    const lab = new TcpLab().accept()
    lab.advance(3_600_000)
    lab.write(10, false)
    lab.c.close(5000)
    lab.run()
    lab.expect('FP. 1:11(10) ack 1')
    lab.inject('. 1:1(0) ack 1')
    lab.advance(4900)
    expect(lab.state).toBe('FIN-WAIT-1')
    lab.advance(200)
    expect(lab.state).toBe('CLOSED')
  })

  it('keep-alive that is switched on while everything is quiet fires', () => {
    const lab = new TcpLab().accept()
    lab.advance(1000)
    lab.c.setKeepAlive(true, 60_000, 10_000, 3)
    lab.advance(61_000)
    lab.expect('. 0:0(0) ack 1')
  })

  it('a write reaches its link though another connection waits for a full one', () => {
    const lab = new TcpLab().accept()
    lab.link.full = true
    lab.write(10)
    lab.link.full = false // has room again, but does not say so
    const before = lab.stack.turn.count
    const other = lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 99 }, new Recorder())
    lab.run()
    expect(lab.stack.turn.count).toBeGreaterThan(before)
    expect(lab.out.some((e) => e.localPort === other.localPort)).toBe(true)
  })
})

describe('TIME-WAIT (RFC 9293 section 3.6.1)', () => {
  const closed = (options = '<mss 1460>', config = {}): TcpLab => {
    const lab = new TcpLab({ config: { tcp: config } }).accept(options)
    lab.c.close()
    lab.run()
    lab.inject('F. 1:1(0) ack 2')
    lab.clear()
    expect(lab.state).toBe('TIME-WAIT')
    return lab
  }

  it('lasts 2 MSL (MUST-13), then nothing is left', () => {
    const lab = closed()
    lab.advance(59_900)
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    lab.advance(200)
    expect(lab.stack.tcp.timeWaits.size).toBe(0)
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    lab.inject('. 2:2(0) ack 2')
    lab.expect('R 2:2(0)')
  })

  it('a retransmitted FIN is acknowledged and starts it anew', () => {
    const lab = closed()
    lab.advance(50_000)
    lab.inject('F. 1:1(0) ack 2')
    lab.expect('. 2:2(0) ack 2')
    lab.advance(59_900)
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    lab.advance(200)
    expect(lab.stack.tcp.timeWaits.size).toBe(0)
  })

  it('a flood of FINs costs no memory, and no time when it ends', () => {
    const lab = closed()
    for (let i = 0; i < 2000; i++) lab.inject('F. 1:1(0) ack 2')
    let records = 0
    for (let t = lab.stack.tcp.timeWaits.oldest; t !== null; t = t.newer) records++
    expect(records).toBe(1)
    lab.advance(60_100)
    expect(lab.stack.tcp.timeWaits.size).toBe(0)
  })

  it('RST does not assassinate it (RFC 1337); it does when configured so', () => {
    const lab = closed()
    lab.inject('R 2:2(0)')
    lab.expect()
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    const other = closed('<mss 1460>', { rfc1337: false })
    other.inject('R 3:3(0)')
    expect(other.stack.tcp.timeWaits.size).toBe(1)
    other.inject('R 2:2(0)')
    expect(other.stack.tcp.timeWaits.size).toBe(0)
  })

  it('old segments are acknowledged, not more often than every 500 ms', () => {
    const lab = closed()
    lab.inject('. 1:2(1) ack 1')
    lab.inject('. 1:2(1) ack 1')
    lab.expect('. 2:2(0) ack 2')
    lab.inject('. 2:2(0) ack 2')
    lab.expect()
  })

  it('a SYN with a larger number begins a new connection (MAY-2), its ISN beyond the old one', () => {
    const lab = closed()
    const old = lab.out.at(-1)!.seq
    lab.forget()
    lab.irs += 5000
    lab.inject('S 0:0(0) win 1000 <mss 1460>')
    const [synAck] = lab.expect('S. 0:0(0) ack 1')
    expect((synAck.seq - old) | 0).toBeGreaterThan(0)
  })

  it('the new ISN lies beyond the old numbers even after a transfer faster than the ISN clock', () => {
    const lab = new TcpLab({ config: { tcp: { sendBufferInitialBytes: 1 << 20 } } }).accept(
      '<mss 1460,nop,wscale 7>',
      65535,
      65535,
    )
    let sent = 0
    while (sent < 400_000) {
      lab.write(200_000)
      const nxt = lab.c.snd.nxt
      lab.inject(`. 1:1(0) ack ${(nxt - lab.c.snd.iss) | 0} win 65535`)
      sent = lab.c.snd.bytesAcked
    }
    lab.c.close()
    lab.run()
    for (let i = 0; i < 20 && lab.state !== 'FIN-WAIT-2'; i++) lab.inject(`. 1:1(0) ack ${(lab.c.snd.nxt - lab.c.snd.iss) | 0}`)
    const old = lab.c.snd.nxt
    lab.inject(`F. 1:1(0) ack ${(old - lab.c.snd.iss) | 0}`)
    expect(lab.state).toBe('TIME-WAIT')
    lab.clear()
    lab.forget()
    lab.irs += 5000
    lab.inject('S 0:0(0) win 1000 <mss 1460>')
    const [synAck] = lab.expect('S. 0:0(0) ack 1')
    expect((synAck.seq - old) | 0).toBeGreaterThan(0)
  })

  it('a SYN with an old number does not; a newer timestamp decides otherwise (SHLD-4, RFC 6191)', () => {
    const lab = closed()
    lab.inject('S -5000:-5000(0)')
    lab.expect('. 2:2(0) ack 2')
    const ts = closed(FULL)
    ts.inject('S -5000:-5000(0) <mss 1460,TS val 90 ecr 0>')
    ts.expect('. 2:2(0) ack 2 <TS>')
    ts.inject('S -4000:-4000(0) <mss 1460,TS val 500 ecr 0>')
    ts.expect('S. 0:0(0) ack -3999')
  })

  it('with equal timestamps the sequence number decides (RFC 6191 section 2)', () => {
    const ts = closed(FULL)
    ts.inject('S 9000:9000(0) <mss 1460,TS val 100 ecr 0>')
    ts.expect('S. 0:0(0) ack 9001')
  })

  it('stays when nobody listens any more: the SYN gets an ACK, not a way to end it', () => {
    const lab = closed()
    lab.listener!.close()
    lab.inject('S 9000:9000(0)')
    lab.expect('. 2:2(0) ack 2')
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
  })

  it('is capped: the oldest goes first', () => {
    const lab = new TcpLab({ config: { tcp: { maxTimeWait: 3 } } })
    lab.listen()
    for (let port = 50000; port < 50006; port++) {
      lab.remotePort = port
      lab.accept()
      lab.c.close()
      lab.run()
      lab.inject('F. 1:1(0) ack 2')
      lab.advance(10)
    }
    expect(lab.stack.tcp.timeWaits.size).toBe(3)
    expect(lab.counters.tcpTimeWaitOverflow).toBe(3)
    lab.clear()
    lab.remotePort = 50005
    lab.inject('F. 1:1(0) ack 2')
    lab.expect('. 2:2(0) ack 2')
    lab.remotePort = 50000
    lab.inject('F. 1:1(0) ack 2')
    lab.expect('R 2:2(0)')
  })

  it('survives the wrap of the clock', () => {
    const lab = new TcpLab({ startMs: 0x7fffffff - 30_000 }).accept()
    lab.c.close()
    lab.run()
    lab.inject('F. 1:1(0) ack 2')
    lab.advance(59_000)
    expect(lab.stack.tcp.timeWaits.size).toBe(1)
    lab.advance(2000)
    expect(lab.stack.tcp.timeWaits.size).toBe(0)
  })
})

describe('initial sequence numbers (RFC 6528, MUST-8, SHLD-1, MUST-9, EX-19)', () => {
  const here = Address.v4(0x0a000002)
  const there = Address.v4(0x0a000001)

  it('advance about 250 per millisecond for one tuple, over every wrap of the clocks', () => {
    const s = new Secrets(new SeededRandom(5))
    let last = s.isn(here, 1, there, 2, { nowMs: 0 })
    for (let ms = 1; ms < 0x1_0000_0000 * 1.5; ms = Math.ceil(ms + 5_000_000)) {
      const next = s.isn(here, 1, there, 2, { nowMs: ms | 0 })
      expect(((next - last) | 0) > 0).toBe(true)
      last = next
    }
    const a = s.isn(here, 1, there, 2, { nowMs: 10_000 })
    const b = s.isn(here, 1, there, 2, { nowMs: 11_000 })
    expect((b - a) | 0).toBe(250_000)
  })

  it('differ between tuples and between stacks', () => {
    const seen = new Set<number>()
    for (let seed = 0; seed < 3; seed++) {
      const s = new Secrets(new SeededRandom(seed))
      for (let p = 1; p < 200; p++) seen.add(s.isn(here, p, there, 80, { nowMs: 0 }))
    }
    expect(seen.size).toBe(3 * 199)
  })
})

describe('ephemeral ports (RFC 6056, EX-18)', () => {
  it('are in the range and not in order', () => {
    const lab = new TcpLab()
    const ports = Array.from({ length: 50 }, (_, i) => {
      lab.open({ remotePort: 1000 + i })
      return lab.c.localPort
    })
    for (const p of ports) expect(p >= 32768 && p <= 60999).toBe(true)
    expect(new Set(ports).size).toBe(50)
    let steps = 0
    for (let i = 1; i < ports.length; i++) if (ports[i] === ports[i - 1] + 1) steps++
    expect(steps).toBeLessThan(5)
  })

  it('every port of the range can be used, then EADDRNOTAVAIL; ports in use do not count for other destinations', () => {
    for (const [first, last] of [
      [50000, 50099],
      [50000, 50006],
    ]) {
      const lab = new TcpLab({ config: { tcp: { ephemeralFirst: first, ephemeralLast: last } } })
      const n = last - first + 1
      const got = new Set<number>()
      for (let i = 0; i < n; i++) got.add(lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80 }, {}).localPort)
      expect(got.size).toBe(n)
      expect(() => lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80 }, {})).toThrow(
        expect.objectContaining({ code: 'EADDRNOTAVAIL', syscall: 'connect', address: '10.0.0.1', port: 80 }),
      )
      lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 81 }, {})
    }
  })

  it('the counter wraps without leaving ports out', () => {
    const s = new Secrets(new SeededRandom(3))
    const a = Address.v4(1)
    const b = Address.v4(2)
    for (let i = 0; i < 65_530; i++) s.pickPort(a, b, 1, 1, 3, () => true)
    for (let round = 0; round < 12; round++) {
      const asked = new Set<number>()
      s.pickPort(a, b, 1, 1, 1000, (p) => {
        asked.add(p)
        return asked.size === 1000
      })
      expect(asked.size).toBe(1000)
    }
  })

  it('a given port: EADDRINUSE when the four-tuple is taken', () => {
    const lab = new TcpLab()
    lab.open({ localPort: 5555 })
    expect(() => lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80, localPort: 5555 }, {})).toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    )
    lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 81, localPort: 5555 }, {})
  })
})

describe('addresses that cannot be connected to (MUST-46)', () => {
  for (const remoteAddress of ['255.255.255.255', '224.0.0.1', '10.0.0.255']) {
    it(remoteAddress, () => {
      const lab = new TcpLab()
      expect(() => lab.stack.tcp.open({ remoteAddress, remotePort: 80 }, {})).toThrow(
        expect.objectContaining({ code: 'ENETUNREACH' }),
      )
      lab.run()
      lab.expect()
    })
  }

  it('no route, wrong port', () => {
    const lab = new TcpLab()
    const open = (remoteAddress: string, remotePort: number) => () => lab.stack.tcp.open({ remoteAddress, remotePort }, {})
    expect(open('8.8.8.8', 80)).toThrow(expect.objectContaining({ code: 'ENETUNREACH', syscall: 'connect' }))
    for (const port of [0, -1, 65536, 1.5, Number.NaN]) {
      expect(open('10.0.0.1', port)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT' }))
    }
  })

  it('a local address that is not ours (MUST-43): EADDRNOTAVAIL', () => {
    const lab = new TcpLab()
    expect(() => lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80, localAddress: '10.0.0.77' }, {})).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    )
  })
})

describe('addresses of a connection', () => {
  it('its source is what routing says (MUST-44), or what the application says (MUST-43), and stays (MUST-45)', () => {
    const lab = new TcpLab({ addresses: ['10.0.0.2/24', '10.0.0.3/24', '192.168.7.1/24'] })
    const far = lab.stack.tcp.open({ remoteAddress: '192.168.7.9', remotePort: 80 }, {})
    expect(far.localAddress.toString()).toBe('192.168.7.1')
    const near = lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80 }, {})
    expect(near.localAddress.toString()).toBe('10.0.0.2')
    const chosen = lab.stack.tcp.open({ remoteAddress: '10.0.0.1', remotePort: 80, localAddress: '10.0.0.3' }, {})
    expect(chosen.localAddress.toString()).toBe('10.0.0.3')
    lab.stack.interfaces[0].addAddress('10.0.0.4/24')
    lab.run()
    expect(near.localAddress.toString()).toBe('10.0.0.2')
  })

  it('an idle connection holds no buffers, and no timer once all is acknowledged', () => {
    const lab = new TcpLab().accept()
    lab.write(5000)
    lab.inject('. 1:3001(3000) ack 1')
    lab.advance(100)
    lab.inject(`. 3001:3001(0) ack ${(lab.c.snd.nxt - lab.c.snd.iss) | 0}`)
    lab.advance(100)
    lab.inject(`. 3001:3001(0) ack ${(lab.c.snd.nxt - lab.c.snd.iss) | 0}`)
    lab.advance(1000)
    expect(lab.c.info()).toMatchObject({
      state: 'ESTABLISHED',
      bytesAcked: 5000,
      bytesReceived: 3000,
      sendQueue: 0,
      receiveQueue: 0,
    })
    expect(lab.stack.pool.inUse).toBe(0)
    expect(lab.host.idle).toBe(true)
  })

  it('the stack resets everything when it closes', async () => {
    const lab = new TcpLab().accept()
    lab.inject('S 0:0(0)', { remotePort: 2 })
    lab.clear()
    const done = lab.stack.close()
    expect(
      lab
        .take()
        .map((e) => e.text.split(' ')[0])
        .sort(),
    ).toEqual(['R', 'R.'])
    expect(lab.app.take()).toEqual(['close'])
    await done
    expect(lab.stack.tcp.flowTable.size).toBe(0)
  })
})
