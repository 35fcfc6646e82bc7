/** Socket options: live, before the handshake, and on listeners. */
import { describe, expect, it } from 'vitest'
import type { NetError } from '../../src/base/errors.ts'
import { pattern, TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460

describe('checks', () => {
  it('unknown names and impossible values throw, and nothing is applied', () => {
    const lab = new TcpLab().accept()
    const bad = [
      { speed: 3 },
      { cork: 1 },
      { quickAck: 'yes' },
      { notSentLowatBytes: -1 },
      { synRetries: 0 },
      { synRetries: 128 },
      { maxSegmentBytes: 87 },
      { maxSegmentBytes: 65536 },
      { sendBufferBytes: 100 },
      { receiveBufferBytes: 2 ** 30 },
      { windowClampBytes: 2047 },
      { keepAliveProbes: 1.5 },
      { ttl: 0 },
      { tos: 256 },
    ]
    for (const options of bad) {
      expect(() => lab.c.set({ noDelay: true, ...(options as object) })).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
      )
    }
    expect(lab.c.snd.noDelay).toBe(false)
  })

  it('what a handshake agrees on is refused afterwards', () => {
    const lab = new TcpLab().accept()
    for (const options of [{ ecn: 'on' }, { fastOpen: true }, { fastOpenNoCookie: true }] as const) {
      expect(() => lab.c.set({ noDelay: true, ...options })).toThrow(/is for the handshake/)
    }
    expect(lab.c.snd.noDelay).toBe(false)
    lab.listener!.set({ ecn: 'on', fastOpen: 5 })
  })

  it('what is no object, no address, no handler is said at the call', () => {
    const { c, stack } = new TcpLab().accept()
    const thrown = (call: (tcp: { [name: string]: (...args: unknown[]) => unknown }) => unknown): string => {
      try {
        call(stack.tcp as never)
      } catch (error) {
        return `${(error as NetError).code}: ${(error as NetError).message}`
      }
      return 'nothing'
    }
    for (const options of [null, undefined, 5, 'noDelay']) {
      const said = `ERR_INVALID_ARG_TYPE: socket options must be an object, not ${options}`
      expect(thrown(() => c.set(options as never))).toBe(said)
      expect(thrown((tcp) => tcp.open(options, {}))).toBe(said)
      expect(thrown((tcp) => tcp.listen(options, {}))).toBe(said)
    }
    const to = { remoteAddress: '10.0.0.1', remotePort: 9 }
    const noHandler = 'ERR_INVALID_ARG_TYPE: a handler must be an object, not undefined'
    expect(thrown((tcp) => tcp.open({ remotePort: 9 }, {}))).toMatch(/^ERR_INVALID_ARG_TYPE: remoteAddress /)
    expect(thrown((tcp) => tcp.open({ host: '10.0.0.1' }, {}))).toBe('ERR_INVALID_ARG_VALUE: unknown socket option host')
    expect(thrown((tcp) => tcp.open(to))).toBe(noHandler)
    expect(thrown((tcp) => tcp.listen({ port: 99 }, null))).toBe(noHandler.replace('undefined', 'null'))
  })

  it('settings of a stack: words by name of what there is', () => {
    const refused = (tcp: object): unknown => {
      try {
        return new TcpLab({ config: { tcp } })
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(refused({ windowSteps: 'small' })).toBe('option tcp.windowSteps cannot be small, known: large, any')
    expect(refused({ synCookies: 'never' })).toBe('option tcp.synCookies cannot be never, known: auto, always, off')
    expect(refused({ fastOpenKeys: 'x' })).toBe('option tcp.fastOpenKeys must be a list')
    expect(refused({ initialWindowSegments: 0 })).toMatch(/initialWindowSegments/)
  })

  it('undefined is as left out', () => {
    const lab = new TcpLab().accept()
    lab.c.set({ noDelay: undefined, cork: undefined })
    expect(lab.c.snd.noDelay).toBe(false)
  })
})

describe('Nagle in Minshall’s variant, as Linux', () => {
  it('the tail of a large write leaves with it', () => {
    const lab = new TcpLab().accept()
    lab.write(2 * MSS + 10)
    lab.expect(`. 1:${1 + MSS}(${MSS})`, `. ${1 + MSS}:${1 + 2 * MSS}(${MSS})`, `P. ${1 + 2 * MSS}:${11 + 2 * MSS}(10)`)
  })

  it('a second small segment waits for the first', () => {
    const lab = new TcpLab().accept()
    lab.write(MSS + 10)
    lab.clear()
    lab.write(20)
    lab.expect()
    lab.inject(`. 1:1(0) ack ${1 + MSS}`)
    lab.expect()
    lab.inject(`. 1:1(0) ack ${11 + MSS}`)
    lab.expect(`P. ${11 + MSS}:${31 + MSS}(20)`)
  })

  it('nagle: rfc waits while anything is unacknowledged (RFC 9293 SHLD-7)', () => {
    const lab = new TcpLab({ config: { tcp: { nagle: 'rfc' } } }).accept()
    lab.write(2 * MSS + 10)
    lab.expect(`. 1:${1 + MSS}(${MSS})`, `. ${1 + MSS}:${1 + 2 * MSS}(${MSS})`)
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS}`)
    lab.expect(`P. ${1 + 2 * MSS}:${11 + 2 * MSS}(10)`)
  })

  it('other values are refused', () => {
    expect(() => new TcpLab({ config: { tcp: { nagle: 'always' as 'rfc' } } })).toThrow('rfc, minshall')
  })
})

describe('cork', () => {
  it('only full segments leave; letting go sends the rest at once', () => {
    const lab = new TcpLab().accept()
    lab.c.set({ cork: true })
    lab.write(100)
    lab.write(MSS)
    lab.expect(`. 1:${1 + MSS}(${MSS})`)
    lab.inject(`. 1:1(0) ack ${1 + MSS}`)
    lab.expect()
    lab.c.set({ cork: false })
    lab.run()
    lab.expect(`P. ${1 + MSS}:${101 + MSS}(100)`)
  })

  it('at most for 200 ms', () => {
    const lab = new TcpLab().accept()
    lab.c.set({ cork: true })
    lab.write(100)
    lab.advance(199)
    lab.expect()
    lab.advance(1)
    lab.expect('P. 1:101(100)')
    expect(lab.counters.tcpZeroWindowProbes).toBeUndefined()
    lab.inject('. 1:1(0) ack 101')
    lab.write(50)
    lab.advance(199)
    lab.expect()
    lab.advance(1)
    lab.expect('P. 101:151(50)')
  })

  it('FIN takes what is held back along', () => {
    const lab = new TcpLab().accept()
    lab.c.set({ cork: true })
    lab.write(100)
    lab.c.shutdown()
    lab.run()
    lab.expect('FP. 1:101(100)')
  })

  it('is stronger than noDelay, but setting noDelay pushes once', () => {
    const lab = new TcpLab().accept()
    lab.c.set({ cork: true })
    lab.write(100)
    lab.expect()
    lab.c.setNoDelay(true)
    lab.run()
    lab.expect('P. 1:101(100)')
    lab.write(100)
    lab.expect()
  })
})

describe('notSentLowatBytes', () => {
  it('takes no more than that unsent, and tells when half of it has left', () => {
    const lab = new TcpLab().accept('<mss 1000>', 65535)
    lab.c.set({ notSentLowatBytes: 4000 })
    expect(lab.c.writable).toBe(4000)
    expect(lab.write(20_000, false)).toBe(4000)
    expect(lab.c.writable).toBe(0)
    lab.run() // all of it leaves: cwnd is 10
    expect(lab.app.take()).toContain('writable')
    expect(lab.write(20_000)).toBe(4000)
    lab.app.take()
    expect(lab.write(20_000)).toBe(4000)
    // 10 segments are in flight, 2 wait: 2000 is half of the mark, so nothing is told yet.
    expect(lab.c.info().notSentBytes).toBe(2000)
    expect(lab.app.take()).not.toContain('writable')
    lab.inject('. 1:1(0) ack 1001')
    expect(lab.app.take()).toContain('writable')
  })

  it('a low mark makes no small segments', () => {
    const lab = new TcpLab().accept('<mss 1000>', 65535)
    lab.c.set({ notSentLowatBytes: 1 })
    expect(lab.write(5000)).toBe(1000)
    lab.expect('P. 1:1001(1000)')
    expect(lab.app.take()).toContain('writable')
  })

  it('taken away, the buffer is the limit again, and who waited is told', () => {
    const lab = new TcpLab().accept('<mss 1000>', 1000)
    lab.c.set({ notSentLowatBytes: 2000 })
    expect(lab.write(1000)).toBe(1000)
    expect(lab.write(9000)).toBe(2000)
    expect(lab.app.take()).not.toContain('writable')
    lab.c.set({ notSentLowatBytes: 0 })
    lab.run()
    expect(lab.app.take()).toContain('writable')
    expect(lab.c.writable).toBeGreaterThan(30_000)
  })
})

describe('sizes', () => {
  it('maxSegmentBytes of an opener: announced, and kept when sending', () => {
    const lab = new TcpLab()
    lab.open({ maxSegmentBytes: 700 })
    expect(lab.out[0].options[0]).toBe('mss 700')
    lab.inject('S. 0:0(0) ack 1 win 65535 <mss 1460>')
    lab.clear()
    lab.write(1400)
    lab.expect('. 1:701(700)', 'P. 701:1401(700)')
  })

  it('maxSegmentBytes of a listener is in the SYN-ACK', () => {
    const lab = new TcpLab()
    lab.listen({ maxSegmentBytes: 600 })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    lab.expect('S. 0:0(0) ack 1 <mss 600>')
    lab.inject('. 1:1(0) ack 1')
    lab.write(1200)
    lab.expect('. 1:601(600)', 'P. 601:1201(600)')
  })

  it('maxSegmentBytes while it runs', () => {
    const lab = new TcpLab().accept()
    lab.c.set({ maxSegmentBytes: 500 })
    lab.write(1000)
    lab.expect('. 1:501(500)', 'P. 501:1001(500)')
    expect(lab.c.info().mss).toBe(500)
  })

  it('receiveBufferBytes of a listener: window and scale of the SYN-ACK, and no growth', () => {
    const lab = new TcpLab()
    lab.listen({ receiveBufferBytes: 40_000 })
    lab.inject('S 0:0(0) win 65535 <mss 1460,wscale 7>')
    lab.expect('S. 0:0(0) ack 1 win 40000 <mss 1460,wscale 0>')
    lab.inject('. 1:1(0) ack 1')
    for (let i = 0; i < 100; i++) {
      lab.inject(`. ${1 + i * MSS}:${1 + (i + 1) * MSS}(${MSS}) ack 1`)
      lab.advance(5)
    }
    expect(lab.c.info().receiveBufferBytes).toBe(40_000)
    expect(lab.c.info().receiveWindow).toBeLessThanOrEqual(40_000)
  })

  it('receiveBufferBytes of an opener: a large one gets its scale', () => {
    const lab = new TcpLab()
    lab.open({ receiveBufferBytes: 64 << 20 })
    expect(lab.out[0].options).toContain('wscale 11')
    expect(lab.out[0].win).toBe(65535)
  })

  it('a smaller receiveBufferBytes never takes back what was offered', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 20_000, receiveBufferMaxBytes: 20_000 } } }).accept()
    lab.app.reading = false
    const edge = lab.c.rcv.edge
    lab.c.set({ receiveBufferBytes: 4000 })
    lab.run()
    expect(lab.c.rcv.edge).toBe(edge)
    for (let i = 0; i < 12; i++) lab.inject(`. ${1 + i * MSS}:${1 + (i + 1) * MSS}(${MSS}) ack 1`)
    expect(lab.c.readable).toBe(12 * MSS) // it was promised, it is taken
    expect(lab.c.rcv.edge).toBe(edge)
    lab.c.skip(12 * MSS)
    lab.inject(`. ${1 + 12 * MSS}:${1 + 13 * MSS}(${MSS}) ack 1`)
    lab.c.skip(MSS)
    lab.run()
    expect(lab.c.info().receiveWindow).toBe(4000)
  })

  it('a larger receiveBufferBytes is told at once', () => {
    const lab = new TcpLab({ config: { tcp: { receiveBufferInitialBytes: 20_000, receiveBufferMaxBytes: 20_000 } } }).accept()
    lab.c.set({ receiveBufferBytes: 50_000 })
    lab.run()
    lab.expect('. 1:1(0) ack 1 win 50000')
  })

  it('windowClampBytes bounds the window, not the buffer', () => {
    const lab = new TcpLab()
    lab.listen({ windowClampBytes: 5000 })
    lab.inject('S 0:0(0) win 65535 <mss 1460,wscale 7>')
    lab.expect('S. 0:0(0) ack 1 win 5000 <mss 1460,wscale 0>')
    lab.inject('. 1:1(0) ack 1')
    lab.inject(`. 1:${1 + MSS}(${MSS}) ack 1`)
    lab.expect(`. 1:1(0) ack ${1 + MSS} win 5000`)
    expect(lab.c.info().receiveBufferBytes).toBeGreaterThan(60_000)
  })

  it('sendBufferBytes is what write takes, fixed; more room is told', () => {
    const lab = new TcpLab()
    lab.listen({ sendBufferBytes: 5000 })
    lab.accept()
    expect(lab.write(20_000)).toBe(5000)
    lab.inject(`. 1:1(0) ack 5001`)
    lab.inject(`. 1:1(0) ack 5001`)
    expect(lab.c.info().sendBufferBytes).toBe(5000)
    expect(lab.write(20_000)).toBe(5000)
    lab.app.take()
    lab.c.set({ sendBufferBytes: 50_000 })
    lab.run()
    expect(lab.app.take()).toContain('writable')
    expect(lab.c.writable).toBe(45_000)
  })
})

describe('the rest', () => {
  it('synRetries of an opener', () => {
    const lab = new TcpLab()
    lab.open({ synRetries: 2 })
    lab.advance(60_000)
    expect(lab.out.filter((e) => e.text.startsWith('S '))).toHaveLength(3)
    expect(lab.app.take().join()).toContain('ETIMEDOUT')
  })

  it('tos and ttl of a listener begin with the SYN-ACK', () => {
    const lab = new TcpLab()
    lab.listen({ tos: 0x10, ttl: 33 })
    lab.inject('S 0:0(0) win 65535 <mss 1460>')
    expect(lab.out.at(-1)).toMatchObject({ tos: 0x10, ttl: 33 })
    lab.inject('. 1:1(0) ack 1')
    lab.c.write(pattern(1, 10), 0, 10)
    lab.run()
    expect(lab.out.at(-1)).toMatchObject({ tos: 0x10, ttl: 33, len: 10 })
  })

  it('keep-alive and user timeout of a listener', () => {
    const lab = new TcpLab()
    lab.listen({ keepAlive: true, keepAliveIdleMs: 1000, keepAliveIntervalMs: 100, keepAliveProbes: 2 })
    lab.accept()
    lab.advance(1000)
    lab.expect('. 0:0(0) ack 1')
    lab.advance(100)
    lab.expect('. 0:0(0) ack 1')
    lab.advance(100)
    expect(lab.out.at(-1)!.text).toMatch(/^R/)
    expect(lab.app.take().join()).toContain('ETIMEDOUT')
  })
})
