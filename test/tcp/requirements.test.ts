/** Requirements of RFC 9293 that belong to no other test: what docs/rfcs.tsv found unproved. */
import { describe, expect, it } from 'vitest'
import { naiveSum } from '../support/frames.ts'
import { TcpLab } from '../support/tcp-lab.ts'

describe('urgent data', () => {
  it('how much of it is left can be asked for at any time (MUST-33)', () => {
    const lab = new TcpLab().accept()
    lab.app.reading = false
    expect(lab.c.urgentBytes).toBe(0)
    lab.inject('. 1:101(100) ack 1')
    expect(lab.c.urgentBytes).toBe(0)
    lab.inject('U. 101:111(10) ack 1 win 65535 urg 30')
    expect(lab.c.urgentBytes).toBe(130)
    lab.app.drain(lab.c, 60)
    expect(lab.c.urgentBytes).toBe(70)
    lab.inject('. 111:151(40) ack 1')
    expect(lab.c.urgentBytes).toBe(70)
    lab.app.drain(lab.c, 70)
    expect([lab.c.urgentBytes, lab.c.readable]).toEqual([0, 20])
  })
})

describe('options', () => {
  it('of a SYN are on no other segment: not on data, ACKs, probes, FINs, resets (MUST-65)', () => {
    const lab = new TcpLab().accept('<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>')
    lab.c.setKeepAlive(true, 10_000, 1000, 3)
    lab.write(3000)
    lab.advance(250) // once more
    lab.inject('. 1:1(0) ack 3001 win 0')
    lab.inject('. 101:201(100) ack 3001 win 0') // out of order
    lab.write(10)
    lab.advance(1000) // a window probe
    lab.inject('. 201:201(0) ack 3001 win 500')
    lab.inject('. 1:101(100) ack 3011 win 500')
    lab.advance(11_000) // keep-alives
    lab.c.shutdown()
    lab.run()
    lab.c.abort()
    lab.run()
    const sent = lab.take()
    for (const kind of [/^P?\. \d+:\d+\([1-9]/, /^\. .*sack/, /^\. \d+:\d+\(0\)/, /^F/, /^R/])
      expect(sent.some((e) => kind.test(e.text))).toBe(true)
    for (const e of sent) for (const option of e.options) expect(option).toMatch(/^(TS|sack) /)
  })
})

describe('OPEN', () => {
  it('passive, on the port of connections that are opening or open: those go on (MUST-41, MUST-42)', () => {
    const lab = new TcpLab()
    const sent = lab.open({ localPort: 7 })
    lab.listen()
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    expect(sent.stateName).toBe('ESTABLISHED')
    lab.localPort = 7
    lab.remotePort = 40_000
    lab.clear()
    lab.inject('S 0:0(0) <mss 1460>') // SYN-RECEIVED
    lab.expect('S. 0:0(0) ack 1')
    lab.stack.tcp.listen({ port: 8 }, {})
    expect(() => lab.stack.tcp.listen({ port: 7 }, {})).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    lab.inject('. 1:1(0) ack 1')
    expect(lab.accepted.map((c) => c.stateName)).toEqual(['ESTABLISHED'])
    expect(sent.stateName).toBe('ESTABLISHED')
    expect(lab.c.info()).toMatchObject({ local: '10.0.0.2:7', remote: '10.0.0.1:40000' })
  })
})

describe('addresses', () => {
  it('every segment of a connection leaves with the one that it began with (MUST-45)', () => {
    const lab = new TcpLab()
    const sources = new Set<string>()
    const { emitted } = lab
    lab.emitted = (bytes, meta) => {
      sources.add(bytes.slice(12, 16).join('.'))
      emitted.call(lab, bytes, meta)
    }
    lab.accept()
    lab.write(10)
    lab.stack.interfaces[0].addAddress('10.0.0.77/24')
    lab.stack.addRoute('10.0.0.1/32', null, lab.stack.interfaces[0])
    lab.advance(300)
    lab.inject('. 1:101(100) ack 11')
    lab.advance(300)
    lab.c.close()
    lab.run()
    expect(lab.take().length).toBeGreaterThan(3)
    expect([...sources]).toEqual(['10.0.0.2'])
  })
})

describe('IP options', () => {
  /** The packet with options between its IP header and TCP. */
  function withOptions(bytes: Uint8Array, options: number[]): Uint8Array {
    const out = new Uint8Array(bytes.length + options.length)
    out.set(bytes.subarray(0, 20))
    out.set(options, 20)
    out.set(bytes.subarray(20), 20 + options.length)
    out[0] = 0x45 + options.length / 4
    out.set([out.length >> 8, out.length & 255], 2)
    out.set([0, 0], 10)
    const sum = ~naiveSum(out, 0, 20 + options.length) & 0xffff
    out.set([sum >> 8, sum & 255], 10)
    return out
  }

  it('that TCP does not know are passed over, on any segment (MUST-50)', () => {
    for (const options of [
      [148, 4, 0, 0], // router alert
      [7, 7, 4, 0, 0, 0, 0, 0], // record route
      [68, 8, 5, 0, 0, 0, 0, 0], // timestamp
      [30, 8, 1, 2, 3, 4, 5, 6], // nobody's
      [1, 1, 1, 0],
      [130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // security
    ]) {
      const lab = new TcpLab()
      lab.listen()
      for (const line of ['S 0:0(0) win 65535 <mss 1000>', '. 1:1(0) ack 1', 'P. 1:11(10) ack 1', 'F. 11:11(0) ack 1']) {
        lab.inject(line, { hold: true })
        const [frame] = lab.link.inbound
        frame.bytes = withOptions(frame.bytes, options)
        lab.run()
      }
      expect(lab.app.received).toBe(10)
      expect(lab.state).toBe('CLOSE-WAIT')
      expect(lab.c.info().mss).toBe(1000)
    }
  })
})

describe('segments to many', () => {
  it('are dropped in silence: limited and directed broadcasts, groups, all bits zero (MUST-57)', () => {
    for (const to of [
      [255, 255, 255, 255],
      [10, 0, 0, 255],
      [224, 0, 0, 1],
      [10, 0, 0, 0],
    ]) {
      const lab = new TcpLab()
      lab.listen()
      lab.inject('S 0:0(0) win 65535 <mss 1000>', { hold: true })
      const { bytes } = lab.link.inbound[0]
      bytes.set(to, 16)
      bytes.set([0, 0], 10)
      const sum = ~naiveSum(bytes, 0, 20) & 0xffff
      bytes.set([sum >> 8, sum & 255], 10)
      lab.run()
      lab.expect()
      expect(lab.counters).toEqual({ tcpInSegs: 1, dropNotUnicast: 1 })
      expect(lab.stack.tcp.flowTable.size).toBe(0)
    }
  })
})

describe('trouble on the way', () => {
  it('is told by info() while the connection lives, until data gets through (MUST-47, SHLD-25)', () => {
    const lab = new TcpLab().accept()
    expect(lab.c.info().softError).toBe(null)
    lab.write(10)
    lab.icmp(3, 1, { seq: 1 })
    expect(lab.c.info().softError).toBe('EHOSTUNREACH')
    lab.inject('. 1:1(0) ack 1')
    expect(lab.c.info().softError).toBe('EHOSTUNREACH')
    lab.inject('. 1:1(0) ack 11')
    expect(lab.c.info().softError).toBe(null)
    expect(lab.app.take()).toEqual([]) // SHLD-20: who does not ask is not told
  })

  it('after R1 retransmissions the way is looked up again, and time-outs in a row can be asked for (MUST-20)', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    const { ip } = lab.stack.tcp
    const { route } = ip
    let asked = 0
    ip.route = (...way) => {
      asked++
      return route.apply(ip, way)
    }
    lab.advance(600)
    expect([lab.c.info().retries, asked]).toEqual([2, 0])
    lab.advance(800)
    expect([lab.c.info().retries, asked]).toEqual([3, 1])
  })
})
