/** SYN cookies (RFC 4987 section 3.6): nothing is remembered of a SYN, and yet the connection has what the SYN offered. */
import { describe, expect, it } from 'vitest'
import { address } from '../../src/base/address.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { SynCookies } from '../../src/tcp/syn-cookies.ts'
import { naiveSum } from '../support/frames.ts'
import { runs } from '../support/runs.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const FULL = '<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 9>'

function lab(tcp: object = {}, startMs = 5000): TcpLab {
  return new TcpLab({ startMs, config: { tcp: { synCookies: 'always', ...tcp } } })
}

describe('a cookie', () => {
  const a = address('10.0.0.2')
  const b = address('10.0.0.1')
  const cookies = new SynCookies(new SeededRandom(3))

  it('holds the MSS, rounded down; any other address, port, number or secret makes it void', () => {
    for (const [mss, kept] of [
      [88, 88],
      [535, 88],
      [536, 536],
      [1459, 1440],
      [1460, 1460],
      [8959, 8940],
      [65495, 8940],
    ]) {
      const cookie = cookies.make(a, 7, b, 40000, 1000, mss, 5000)
      expect(cookies.check(a, 7, b, 40000, 1000, cookie, 5000)).toBe(kept)
      expect(cookies.check(b, 7, a, 40000, 1000, cookie, 5000)).toBe(0)
      expect(cookies.check(a, 8, b, 40000, 1000, cookie, 5000)).toBe(0)
      expect(cookies.check(a, 7, b, 40001, 1000, cookie, 5000)).toBe(0)
      expect(cookies.check(a, 7, b, 40000, 1001, cookie, 5000)).toBe(0)
      expect(new SynCookies(new SeededRandom(4)).check(a, 7, b, 40000, 1000, cookie, 5000)).toBe(0)
    }
  })

  it('is good for one minute at least and two and a bit at most, also where the clock wraps', () => {
    for (const start of [0, 5000, 65_535, 0x7fffffff - 1000, -70_000, -1]) {
      const cookie = cookies.make(a, 7, b, 40000, 1000, 1460, start | 0)
      for (const [later, mss] of [
        [0, 1460],
        [65_000, 1460],
        [131_072, 0],
        [600_000, 0],
        [256 * 65_536 + 140_000, 0],
      ])
        expect(cookies.check(a, 7, b, 40000, 1000, cookie, (start + later) | 0)).toBe(mss)
    }
  })

  it('is not guessed: of 100,000 numbers none is one', () => {
    const random = new SeededRandom(5)
    let hits = 0
    for (let i = 0; i < 100_000; i++) if (cookies.check(a, 7, b, 40000, 1000, random.int32(), 5000) !== 0) hits++
    expect(hits).toBeLessThanOrEqual(1) // 2 slots of 256, 8 sizes of 2^24: one in 2^28
  })
})

describe('a handshake by cookie', () => {
  it('keeps window scale, SACK and timestamps in the timestamp, and remembers nothing', () => {
    for (const startMs of [5000, 63, 64, 0x7fffffff - 20]) {
      const l = lab({}, startMs)
      l.listen()
      l.inject(`S 0:0(0) win 65535 ${FULL}`)
      const [synAck] = l.expect('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS ecr 100,wscale 7>')
      expect(l.stack.tcp.flowTable.size).toBe(0)
      expect(l.stack.timers.size).toBe(0)
      l.inject(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 120 ecr ${synAck.tsVal}>`)
      l.expect()
      expect(l.state).toBe('ESTABLISHED')
      expect(l.c.info()).toMatchObject({ sendScale: 9, receiveScale: 7, sack: true, timestamps: true, sendWindow: 100 << 9 })
      expect(l.c.info().mss).toBe(1448)
      l.write(100)
      const [data] = l.expect('P. 1:101(100) ack 1 <TS ecr 120>')
      expect((data.tsVal - synAck.tsVal) | 0).toBeGreaterThanOrEqual(0)
      l.inject(`. 1:11(10) ack 101 <nop,nop,TS val 130 ecr ${data.tsVal}>`)
      expect(l.app.received).toBe(10)
      expect(l.counters).toMatchObject({ SyncookiesSent: 1, SyncookiesRecv: 1, TCPReqQFullDoCookies: 1, tcpPassiveOpens: 1 })
    }
  })

  it('only what the SYN offered comes back', () => {
    for (const [offer, answer, info] of [
      ['mss 1460,TS val 1 ecr 0', '<mss 1460,TS ecr 1>', { sack: false, sendScale: 0, receiveScale: 0, timestamps: true }],
      ['mss 900,sackOK,TS val 1 ecr 0', '<mss 1460,sackOK,TS ecr 1>', { sack: true, sendScale: 0, receiveScale: 0, mss: 524 }],
      ['mss 1460,TS val 1 ecr 0,wscale 0', '<mss 1460,TS ecr 1,wscale 7>', { sack: false, sendScale: 0, receiveScale: 7 }],
      ['mss 1460,sackOK,wscale 7', '<mss 1460>', { sack: false, sendScale: 0, receiveScale: 0, timestamps: false }],
    ] as const) {
      const l = lab()
      l.listen()
      l.inject(`S 0:0(0) win 65535 <${offer}>`)
      const [synAck] = l.expect(`S. 0:0(0) ack 1 ${answer}`)
      l.inject(offer.includes('TS') ? `. 1:1(0) ack 1 <nop,nop,TS val 2 ecr ${synAck.tsVal}>` : '. 1:1(0) ack 1')
      expect(l.c.info()).toMatchObject(info)
    }
  })

  it('keeps ECN as in RFC 3168, where it is not off', () => {
    for (const [ecn, answer] of [
      ['accept', 'SE.'],
      ['off', 'S.'],
    ]) {
      const l = lab({ ecn })
      l.listen()
      l.inject(`SEW 0:0(0) win 65535 ${FULL}`)
      const [synAck] = l.expect(`${answer} 0:0(0) ack 1`)
      l.inject(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 120 ecr ${synAck.tsVal}>`)
      l.write(10)
      expect(l.take()[0].tos & 3).toBe(ecn === 'off' ? 0 : 2)
    }
  })

  it("follows the listener's options: window, scale, MSS, TOS, TTL", () => {
    const l = lab()
    l.listen({ receiveBufferBytes: 20_000, maxSegmentBytes: 1000, tos: 0x20, ttl: 9 })
    l.inject(`S 0:0(0) win 65535 ${FULL}`)
    const [synAck] = l.expect('S. 0:0(0) ack 1 win 20000 <mss 1000,sackOK,TS ecr 100,wscale 0>')
    expect(synAck).toMatchObject({ tos: 0x20, ttl: 9 })
  })

  it('data and FIN may come with the ACK', () => {
    const l = lab()
    l.listen()
    l.inject('S 0:0(0) <mss 1460>')
    l.inject('F. 1:11(10) ack 1')
    expect(l.state).toBe('CLOSE-WAIT')
    expect(l.app.received).toBe(10)
  })

  it('a wrong ACK is counted and reset; so is a right one too late, or twice', () => {
    const l = lab()
    l.listen()
    l.inject('S 0:0(0) <mss 1460>')
    l.clear()
    l.inject('. 1:1(0) ack 2')
    l.expect('R 2:2(0)')
    l.inject('. 2:2(0) ack 1')
    l.expect('R 1:1(0)')
    expect(l.counters).toMatchObject({ SyncookiesFailed: 2 })
    expect(l.counters.SyncookiesRecv).toBeUndefined()
    l.advance(200_000)
    l.inject('. 1:1(0) ack 1')
    l.expect('R 1:1(0)')
    expect(l.counters.SyncookiesFailed).toBe(2) // long after the last cookie none is looked for
    expect(l.accepted.length).toBe(0)
  })

  it('nobody who never was sent a cookie is asked for one', () => {
    const l = new TcpLab()
    l.listen()
    l.inject('. 1:1(0) ack 1')
    l.expect('R 1:1(0)')
    expect(l.counters.SyncookiesFailed).toBeUndefined()
  })

  it('a full accept queue: the SYN gets nothing, the ACK is not heard', () => {
    const l = lab()
    l.listen({ backlog: 1 }, false)
    l.inject('S 0:0(0) <mss 1460>')
    l.inject('S 0:0(0) <mss 1460>', { remotePort: 2 })
    l.inject('. 1:1(0) ack 1')
    l.clear()
    l.inject('. 1:1(0) ack 1', { remotePort: 2 })
    l.inject('S 0:0(0) <mss 1460>', { remotePort: 3 })
    l.expect()
    expect(l.counters).toMatchObject({ ListenOverflows: 2, ListenDrops: 2, SyncookiesRecv: 2 })
  })

  it('what the config does not speak is not taken from an echo', () => {
    const l = lab({ timestamps: false })
    l.listen()
    l.inject('S 0:0(0) <mss 1460>')
    l.clear()
    l.inject('. 1:1(0) ack 1 <nop,nop,TS val 2 ecr 77>')
    l.expect('R 1:1(0)')
  })

  it('words of the config: others are refused', () => {
    expect(() => lab({ synCookies: 'maybe' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})

/** An IPv4 packet with a SYN. */
function syn(source: number, port: number, seq: number): Uint8Array {
  const bytes = new Uint8Array(40)
  const view = new DataView(bytes.buffer)
  bytes.set([0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6])
  view.setInt32(12, source)
  view.setInt32(16, 0x0a000002)
  view.setUint16(10, ~naiveSum(bytes, 0, 20) & 0xffff)
  view.setUint16(20, port)
  view.setUint16(22, 7)
  view.setInt32(24, seq)
  bytes.set([0x50, 0x02, 0xff, 0xff], 32)
  view.setUint16(36, ~naiveSum(bytes, 12, 40, 6 + 20) & 0xffff)
  return bytes
}

describe('a flood of SYNs from everywhere', () => {
  it('takes no memory beyond the SYN queue, and a real client gets through with all options', () => {
    const l = new TcpLab({ addresses: ['10.0.0.2/8'], config: { tcp: { synBacklog: 256 } } })
    l.listen()
    const random = new SeededRandom(9)
    const sink = l.link
    const lent = new Uint8Array(64)
    const many = runs(100_000)
    for (let i = 0; i < many; i++) {
      // 10.64.0.0 to 10.127.255.255
      lent.set(syn(0x0a400000 | (random.int32() & 0x3fffff), 1024 + (random.int32() & 0x7fff), random.int32()), 16)
      sink.sink!.input(lent, 16, 56, 0)
      if (l.out.length > 1000) l.out.length = 0
    }
    l.run()
    l.out.length = 0
    l.clear()
    expect(l.stack.tcp.flowTable.size).toBe(256)
    expect(l.stack.timers.size).toBeLessThan(300)
    expect(l.stack.pool.inUse).toBe(0)
    expect(l.counters.SyncookiesSent).toBe(many - 256)
    l.inject(`S 0:0(0) win 65535 ${FULL}`)
    const synAck = l.out.at(-1)!
    l.inject(`. 1:1(0) ack 1 win 100 <nop,nop,TS val 120 ecr ${synAck.tsVal}>`)
    expect(l.c.info()).toMatchObject({ state: 'ESTABLISHED', sendScale: 9, sack: true, timestamps: true })
  })
})
