/** Memory of all buffers in three marks (Linux tcp_mem), and buffers that follow the path (dynamic right-sizing). */
import { describe, expect, it } from 'vitest'
import { createWorld } from '../../src/sim/world.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460
const seg = (i: number, n = 1): string => `${1 + i * MSS}:${1 + (i + n) * MSS}(${n * MSS})`

describe('pressure', () => {
  it('begins above the mark, is counted once, and ends below the low one', () => {
    const lab = new TcpLab({
      config: { tcp: { memoryBytes: 1 << 20, memoryPressureBytes: 30_000, memoryLowBytes: 10_000, quickAcks: 0 } },
    }).accept()
    lab.app.reading = false
    for (let i = 0; i < 22; i++) lab.inject(`. ${seg(i)} ack 1`)
    expect(lab.stack.pool.inUse).toBeGreaterThan(30_000)
    expect(lab.stack.tcp.memory.underPressure).toBe(true)
    for (let i = 22; i < 26; i++) lab.inject(`. ${seg(i)} ack 1`)
    expect(lab.counters.TCPMemoryPressures).toBe(1)
    lab.c.skip(lab.c.readable)
    lab.run()
    expect(lab.stack.pool.inUse).toBe(0)
    lab.write(1)
    expect(lab.stack.tcp.memory.underPressure).toBe(false)
  })

  it('the window shrinks as it is used: its edge stays until four segments are left, then moves with what is read', () => {
    const lab = new TcpLab({
      config: {
        tcp: { receiveBufferInitialBytes: 60_000, receiveBufferMaxBytes: 60_000, memoryPressureBytes: 1, memoryBytes: 1 << 20 },
      },
    }).accept()
    lab.app.reading = false
    const { rcv } = lab.c
    const edge = rcv.edge
    let seen = 60_000
    for (let i = 0; i < 40; i++) {
      lab.inject(`. ${seg(i)} ack 1`)
      lab.c.skip(MSS - 1) // something always stays: pressure goes on
      lab.run()
      const window = (rcv.edge - rcv.nxt) | 0
      expect(window).toBeLessThanOrEqual(Math.max(seen, 4 * MSS + 1))
      expect((rcv.edge - edge) | 0).toBeGreaterThanOrEqual(0)
      seen = window
    }
    expect(seen).toBeLessThanOrEqual(4 * MSS)
    expect(seen).toBeGreaterThan(0)
    checkInvariants(lab.c)
  })

  it('send buffers do not grow', () => {
    const lab = new TcpLab({
      config: { tcp: { sendBufferInitialBytes: 8000, memoryPressureBytes: 1, memoryBytes: 1 << 20 } },
    }).accept()
    lab.c.snd.window.cwnd = 1 << 20
    lab.stack.tcp.memory.underPressure = true
    lab.write(20_000)
    expect(lab.c.info().sendBufferBytes).toBe(8000)
    lab.stack.tcp.memory.underPressure = false
    lab.write(20_000)
    expect(lab.c.info().sendBufferBytes).toBe(2 << 20)
  })

  it('marks that are out of order are refused', () => {
    expect(() => new TcpLab({ config: { tcp: { memoryBytes: 1000, memoryPressureBytes: 2000 } } })).toThrow('memoryPressureBytes')
    expect(() => new TcpLab({ config: { tcp: { memoryPressureBytes: 2000, memoryLowBytes: 3000 } } })).toThrow('memoryLowBytes')
  })
})

describe('shortage', () => {
  it('a write gets a little, and is told when that has left', () => {
    const lab = new TcpLab({ config: { tcp: { memoryBytes: 0 } } }).accept()
    const other = lab.c
    expect(lab.write(4096)).toBe(4096)
    expect(lab.write(5000)).toBe(0)
    expect(other.writable).toBe(0)
    lab.inject('. 1:1(0) ack 4097')
    expect(lab.app.take()).toContain('writable')
    expect(lab.write(5000)).toBe(5000) // nothing is lent out now
  })

  it('data out of order is dropped, in order taken while nothing waits to be read', () => {
    const lab = new TcpLab({ config: { tcp: { memoryBytes: 0 } } }).accept('<mss 1460,sackOK>')
    lab.app.reading = false
    lab.inject(`. ${seg(0)} ack 1`)
    lab.inject(`. ${seg(2)} ack 1`)
    expect(lab.counters).toMatchObject({ TCPOFODrop: 1, PruneCalled: 1 })
    lab.inject(`. ${seg(1, 3)} ack 1`)
    expect(lab.c.readable).toBe(MSS)
    expect(lab.counters).toMatchObject({ PruneCalled: 2, RcvPruned: 1, TCPRcvQDrop: 1 })
    lab.c.skip(MSS)
    lab.inject(`. ${seg(1, 3)} ack 1`)
    expect(lab.c.readable).toBe(3 * MSS)
  })

  it('what is in order drives out what is not', () => {
    const lab = new TcpLab({ config: { tcp: { memoryBytes: 8191 } } }).accept('<mss 1460,sackOK>')
    lab.app.reading = false
    lab.inject(`. ${seg(0)} ack 1`)
    lab.inject(`. ${seg(2)} ack 1`)
    expect(lab.stack.pool.inUse).toBe(8192)
    lab.inject(`. ${seg(1, 6)} ack 1`)
    expect(lab.counters).toMatchObject({ PruneCalled: 1, OfoPruned: 1 })
    expect(lab.counters.TCPRcvQDrop).toBeUndefined()
    expect(lab.c.readable).toBe(7 * MSS)
    checkInvariants(lab.c)
  })

  it('what was driven out is sent again', () => {
    const lab = new TcpLab({ config: { tcp: { memoryBytes: 40_000, memoryPressureBytes: 40_000 } } }).accept('<mss 1460,sackOK>')
    lab.app.reading = false
    lab.inject(`. ${seg(0)} ack 1`)
    lab.inject(`. ${seg(20)} ack 1`)
    lab.inject(`. ${seg(30)} ack 1`)
    expect(lab.stack.pool.inUse).toBeGreaterThan(40_000)
    lab.clear()
    lab.inject(`. ${seg(1, 4)} ack 1`)
    lab.c.skip(1)
    const before = lab.stack.pool.inUse
    for (let i = 5; i < 8; i++) lab.inject(`. ${seg(i)} ack 1`)
    expect(lab.c.readable).toBe(8 * MSS - 1)
    // The ring is that large already: nothing needs to be driven out yet.
    expect(lab.stack.pool.inUse).toBe(before)
    expect(lab.c.rcv.spans?.count).toBe(2)
    lab.c.rcv.forgetOutOfOrder()
    expect(lab.stack.pool.inUse).toBeLessThan(before)
    for (let i = 8; i < 32; i++) lab.inject(`. ${seg(i)} ack 1`)
    lab.app.reading = true
    const buf = new Uint8Array(32 * MSS)
    expect(lab.c.read(buf, 0, buf.length)).toBe(32 * MSS - 1)
    checkInvariants(lab.c)
  })
})

/** Writes without end, reads without pause. */
class Pump implements ConnectionHandler {
  received = 0
  c: Connection | null = null
  private readonly chunk = new Uint8Array(256 << 10)
  constructor(private readonly sends: boolean) {}
  onConnect(c: RawConnection): void {
    this.c = c as Connection
    if (this.sends) this.onWritable(c)
  }
  onWritable(c: RawConnection): void {
    if (this.sends) while (c.write(this.chunk, 0, this.chunk.length) === this.chunk.length);
  }
  onReadable(c: RawConnection): void {
    this.received += c.skip(1 << 30)
  }
}

function bulk(
  rate: number,
  delay: number,
  down: boolean,
  seconds: number,
  tcp = {},
): { share: number; sender: Connection; receiver: Connection } {
  const world = createWorld({ seed: 3 })
  const a = world.stack({ tcp })
  const b = world.stack({ tcp })
  world.link(a, b, { rate, delay: delay / 2, queue: (rate / 8000) * delay })
  const here = new Pump(!down)
  const there = new Pump(down)
  b.tcp.listen(
    { port: 1 },
    {
      onConnection: (c) => {
        c.handler = there
        there.onConnect(c)
      },
    },
  )
  a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 1 }, here)
  const receiver = down ? here : there
  world.run((seconds - 1) * 1000)
  const before = receiver.received
  world.run(1000)
  return { share: ((receiver.received - before) * 8) / rate, sender: (down ? there : here).c!, receiver: receiver.c! }
}

describe('buffers follow the path', () => {
  // 1538 bytes on the wire for 1448 of data.
  // The bandwidth-delay product is 12.5 MB: more than the defaults, Linux's, have room for.
  const LONG = { sendBufferMaxBytes: 20 << 20, receiveBufferMaxBytes: 32 << 20 }
  const FULL = (0.97 * 1448) / 1538

  it('1 Gbit/s at 100 ms, who opened sends: the pipe is full', { timeout: 60_000 }, () => {
    const { share, receiver } = bulk(1e9, 100, false, 4, LONG)
    expect(share).toBeGreaterThan(FULL)
    expect(receiver.info().receiveRttUs).toBeGreaterThan(95_000)
  })

  it('and who accepted', { timeout: 60_000 }, () => {
    const { share } = bulk(1e9, 100, true, 4, LONG)
    expect(share).toBeGreaterThan(FULL)
  })

  it('without timestamps the receiver measures by windows', () => {
    const { share, receiver } = bulk(1e8, 50, false, 4, { timestamps: false })
    expect(share).toBeGreaterThan(0.9)
    expect(receiver.info().receiveRttUs).toBeGreaterThan(45_000)
    expect(receiver.info().receiveRttUs).toBeLessThan(200_000)
  })

  it('a short path keeps small buffers', () => {
    const { share, receiver } = bulk(1e8, 2, false, 3)
    expect(share).toBeGreaterThan(0.9)
    expect(receiver.info().receiveBufferBytes).toBeLessThan(2 << 20)
  })
})
