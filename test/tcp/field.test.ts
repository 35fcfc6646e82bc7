/** Where other stacks have failed, each once by name: what their issue trackers tell. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaults } from '../../src/base/config.ts'
import { BufferPool } from '../../src/base/pool.ts'
import { Memory } from '../../src/tcp/memory.ts'
import { Accepted, Receiver } from '../../src/tcp/receiver.ts'
import { TCP_COUNTERS } from '../../src/tcp/tcp-counters.ts'
import { patternAt, TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460

describe('1: a retransmission or persist timer wrongly reset hangs the connection', () => {
  it('duplicate ACKs and window updates that acknowledge nothing do not push the RTO away for ever', () => {
    const lab = new TcpLab().accept()
    lab.write(100)
    lab.clear()
    for (let t = 0; t < 400; t += 20) {
      lab.inject(`. 1:1(0) ack 1 win ${60_000 + t}`)
      lab.advance(20)
    }
    expect(lab.take().some((e) => e.text.includes('1:101(100)'))).toBe(true)
  })

  it('a window that closes with data in flight and opens in a lost update is found by the timer', () => {
    const lab = new TcpLab().accept()
    lab.write(3 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 3 * MSS} win 0`)
    lab.write(100)
    lab.clear()
    lab.advance(250) // the probe; its answer has the window whose update was lost
    lab.inject(`. 1:1(0) ack ${1 + 3 * MSS} win 60000`)
    expect(lab.take().at(-1)!.text).toContain(`${1 + 3 * MSS}:${101 + 3 * MSS}(100)`)
  })

  it('a round trip shorter than the clock’s tick still gives a time-out', () => {
    const lab = new TcpLab().accept()
    for (let i = 0; i < 10; i++) {
      lab.write(10)
      lab.inject(`. 1:1(0) ack ${11 + i * 10}`)
    }
    expect(lab.c.info().rtoMs).toBe(200)
    lab.write(10)
    lab.clear()
    lab.advance(201)
    lab.expect('P. 101:111(10)')
  })

  it('the window closes while all that was sent is acknowledged, with nothing written: writing later probes', () => {
    const lab = new TcpLab().accept()
    lab.inject('. 1:1(0) ack 1 win 0')
    lab.advance(100_000)
    lab.expect()
    lab.write(10)
    lab.advance(250)
    lab.expect('. 0:0(0) ack 1')
  })
})

describe('2: arithmetic underflow when the peer shrinks its window or sends past ours', () => {
  it('every window after every other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 100, 1459, 1460, 5000, 65535), fc.nat(3)), { maxLength: 30 }),
        (steps) => {
          const lab = new TcpLab().accept('<mss 1460,nop,wscale 2>')
          let acked = 1
          for (const [win, what] of steps) {
            lab.write(2000)
            const nxt = (lab.c.snd.nxt - lab.c.snd.iss) | 0
            if (what === 0) acked = nxt
            if (what === 1) acked = Math.min(nxt, acked + 700)
            lab.inject(`. 1:1(0) ack ${acked} win ${win}`)
            lab.advance(what === 3 ? 300 : 1)
            expect(lab.c.info().bytesInFlight).toBeGreaterThanOrEqual(0)
          }
          const total = lab.written
          for (let i = 0; i < 200 && acked < total + 1; i++) {
            acked = (lab.c.snd.nxt - lab.c.snd.iss) | 0
            lab.inject(`. 1:1(0) ack ${acked} win 65535`)
            lab.advance(200)
          }
          expect(lab.c.info().bytesAcked).toBe(total)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('a peer that sends past our window, again and again', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 3000, receiveBufferMaxBytes: 3000 } } }).accept()
    lab.app.reading = false
    for (let i = 0; i < 50; i++) lab.inject(`. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`)
    expect(lab.c.readable).toBe(3000)
    lab.app.drain(lab.c)
    lab.run()
    expect(lab.take().at(-1)!.win).toBe(3000)
  })
})

describe('3: cross-talk between connections', () => {
  it('RST and FIN of a connection that is gone do not touch the next with the same ports', () => {
    const lab = new TcpLab().accept('<mss 1460>')
    lab.inject('R 1:1(0)')
    lab.forget()
    lab.irs = 5_000_000
    lab.accept('<mss 1460>')
    const old = 1000 - 5_000_000
    lab.inject(`R ${old + 1}:${old + 1}(0)`)
    lab.inject(`F. ${old + 1}:${old + 1}(0) ack 1 win 5`)
    expect(lab.state).toBe('ESTABLISHED')
    expect(lab.c.info().sendWindow).toBe(65535)
  })
})

describe('4: leaks of half-open and waiting connections', () => {
  it('RST completes nothing; a thousand handshakes that are reset leave nothing', () => {
    const lab = new TcpLab()
    lab.listen()
    for (let i = 0; i < 1000; i++) {
      lab.inject('S 0:0(0)', { remotePort: 1000 + i })
      lab.inject('R 1:1(0)', { remotePort: 1000 + i })
    }
    expect(lab.stack.tcp.flowTable.size).toBe(0)
    expect(lab.accepted.length).toBe(0)
    lab.accept()
    expect(lab.state).toBe('ESTABLISHED')
  })

  it('SYN, then RST, then SYN again from the same port', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0)')
    lab.inject('R 1:1(0)')
    lab.irs += 100_000
    lab.forget()
    lab.accept()
    expect(lab.state).toBe('ESTABLISHED')
  })

  it('the third segment without the timestamps that were agreed on completes the handshake', () => {
    const lab = new TcpLab()
    lab.listen()
    lab.inject('S 0:0(0) win 65535 <mss 1460,sackOK,TS val 9 ecr 0,nop,wscale 7>')
    lab.inject('. 1:1(0) ack 1 win 500 <nop>')
    expect(lab.accepted.length).toBe(1)
  })
})

describe('5: one unreachable peer blocks everything', () => {
  it('a connection that hears nothing does not hold up another', () => {
    const lab = new TcpLab()
    for (let i = 0; i < 50; i++) lab.stack.tcp.open({ remoteAddress: '10.0.0.99', remotePort: 80 }, {})
    lab.accept()
    lab.inject('. 1:101(100) ack 1')
    expect(lab.app.received).toBe(100)
  })
})

describe('6: SWS avoidance, Nagle and delayed ACK wait for each other', () => {
  it('two stacks’ worth of waiting ends with the delayed ACK: write-write-read takes no longer than that', () => {
    const lab = new TcpLab().accept()
    lab.write(10)
    lab.write(10)
    lab.expect('P. 1:11(10)')
    lab.advance(40) // the peer's delayed ACK
    lab.inject('. 1:1(0) ack 11')
    lab.expect('P. 11:21(10)')
  })

  it('a peer whose buffer is smaller than two segments gets its data', () => {
    const lab = new TcpLab().accept('<mss 1460>', 1000)
    let acked = 1
    lab.write(5000)
    for (let i = 0; i < 50 && acked < 5001; i++) {
      lab.advance(250)
      acked = (lab.c.snd.nxt - lab.c.snd.iss) | 0
      lab.inject(`. 1:1(0) ack ${acked} win 1000`)
    }
    expect(acked).toBe(5001)
    expect(lab.host.elapsedMs).toBeLessThan(5000)
  })
})

describe('7: memory under a flood', () => {
  it('of segments to closed ports, of stray ACKs, of duplicates, of out-of-order bytes: nothing grows', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 60_000, receiveBufferMaxBytes: 60_000 } } }).accept(
      '<mss 1460,sackOK>',
    )
    for (let i = 0; i < 500; i++) {
      lab.inject('S 0:0(0)', { localPort: 9999, remotePort: 1 + i })
      lab.inject('. 5:5(0) ack 5', { remotePort: 1 + i })
      lab.inject(`. ${2 + 2 * i}:${3 + 2 * i}(1) ack 1`)
      lab.inject('. 0:0(0) ack 1')
    }
    expect(lab.stack.tcp.flowTable.size).toBe(1)
    expect(lab.stack.pool.inUse).toBeLessThanOrEqual(131_072)
    expect(lab.c.rcv.spans!.count).toBeLessThanOrEqual(256)
    expect(lab.stack.timers.size).toBeLessThanOrEqual(2)
  })
})

describe('8: fragments', () => {
  it('no TCP segment of ours may be fragmented (the lab demands DF); none is larger than the MTU', () => {
    for (const mtu of [576, 1280, 1500, 9000]) {
      const lab = new TcpLab({ mtu }).accept('<mss 65495,sackOK,TS val 1 ecr 0>')
      lab.inject('. 101:111(10) ack 1') // SACK blocks make the header longer
      lab.clear()
      lab.write(50_000)
      for (const e of lab.take()) expect(40 + e.len).toBeLessThanOrEqual(mtu)
    }
  })
})

describe('9: oddities of option negotiation', () => {
  it('SACK is not sent to a peer that did not permit it, nor believed of it', () => {
    const lab = new TcpLab().connect('<mss 1460>')
    lab.inject('. 101:111(10) ack 1')
    lab.expect('. 1:1(0) ack 1 <>')
    lab.write(3000)
    lab.inject('. 1:1(0) ack 1 <nop,nop,sack 1001:2001>')
    expect(lab.c.info().sacked).toBe(0)
  })

  it('a client that was answered without window scaling does not scale', () => {
    const lab = new TcpLab().connect('<mss 1460,sackOK>', 1000)
    lab.inject('. 1:11(10) ack 1 win 2000')
    expect(lab.c.info()).toMatchObject({ sendWindow: 2000, sendScale: 0, receiveScale: 0 })
    lab.advance(50)
    expect(lab.take().at(-1)!.win).toBeGreaterThan(65_000)
  })

  it('a SYN-ACK that offers what we did not ask for changes nothing', () => {
    const lab = new TcpLab({ config: { tcp: { sack: false, timestamps: false, windowScale: false } } })
    lab.open()
    lab.expect('S 0:0(0) win 65535 <mss 1460>')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 1 ecr 1,nop,wscale 7>')
    expect(lab.c.info()).toMatchObject({ sack: false, timestamps: false, sendScale: 0, receiveScale: 0 })
    lab.expect('. 1:1(0) ack 1 <>')
  })
})

describe('the receiver beside an array', () => {
  it('any segments in any order, trimmed to the window: the stream is the stream, the edge never moves left', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, -3000, 0x7fffffff - 3000),
        fc.integer({ min: 0, max: 7 }),
        fc.array(fc.tuple(fc.nat(6000), fc.integer({ min: 1, max: 900 }), fc.nat(1500)), { maxLength: 80 }),
        (irs, scale, ops) => {
          const pool = new BufferPool()
          const config = {
            ...defaults().tcp,
            receiveBufferInitialBytes: 4000,
            receiveBufferMaxBytes: 4000,
            maxOutOfOrderRanges: 64,
          }
          const memory = new Memory(pool, config, new Float64Array(TCP_COUNTERS.length))
          const r = new Receiver(memory, config)
          r.scale = scale
          r.mss = 500
          r.nxt = irs
          r.edge = (irs + 4000) | 0
          const have = new Set<number>()
          let read = 0
          let edge = 4000
          for (const [at, len, take] of ops) {
            // What trim() leaves: from RCV.NXT on, up to the edge.
            const nxt = (r.nxt - irs) | 0
            const from = Math.max(at, nxt)
            const to = Math.min(at + len, (r.edge - irs) | 0)
            if (to > from) {
              const buf = Uint8Array.from({ length: to - from }, (_, i) => patternAt(from + i))
              const what = r.accept((irs + from) | 0, buf, 0, to - from)
              if (what !== Accepted.REFUSED) for (let i = from; i < to; i++) have.add(i)
            }
            let next = nxt
            while (have.has(next)) next++
            expect((r.nxt - irs) | 0).toBe(next)
            const out = new Uint8Array(take)
            const got = r.ring.read(out, 0, take)
            expect(got).toBe(Math.min(take, next - read))
            for (let i = 0; i < got; i++) expect(out[i]).toBe(patternAt(read + i))
            read += got
            r.advertise(true)
            const now = (r.edge - irs) | 0
            expect(now).toBeGreaterThanOrEqual(edge)
            expect(now).toBeLessThan(read + 4000 + (1 << scale) + 1)
            edge = now
          }
          r.release()
          expect(pool.inUse).toBe(0)
        },
      ),
      { numRuns: 150 },
    )
  })
})
