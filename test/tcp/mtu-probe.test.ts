/** Path MTU discovery by probes (RFC 4821, RFC 8899): through black holes, and up again. */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const ETHERNET = 14

class Pump implements ConnectionHandler {
  received = 0
  closed: Error | null | undefined
  private readonly chunk = new Uint8Array(64 << 10)
  constructor(private left: number) {}
  onConnect(c: RawConnection): void {
    this.onWritable(c)
  }
  onWritable(c: RawConnection): void {
    while (this.left > 0) {
      const n = c.write(this.chunk, 0, Math.min(this.left, this.chunk.length))
      this.left -= n
      if (n === 0) return
    }
  }
  onReadable(c: RawConnection): void {
    this.received += c.skip(1 << 30)
  }
  onClose(_c: RawConnection, error: Error | null): void {
    this.closed = error
  }
}

interface Hole {
  world: World
  c: Connection
  there: Pump
  /** Packets longer than this vanish. */
  mtu: number
  /** Sizes of the packets with data that passed, and of those that vanished. */
  passed: Map<number, number>
  lost: Map<number, number>
}

function hole(o: {
  mtu: number
  bytes: number
  tcp?: object
  loss?: number
  delay?: number
  rate?: number
  linkMtu?: number
  seed?: number
}): Hole {
  const world = createWorld({ seed: o.seed ?? 5 })
  const a = world.stack({ tcp: o.tcp })
  const b = world.stack({ tcp: { sack: (o.tcp as { sack?: boolean })?.sack ?? true } })
  const passed = new Map<number, number>()
  const lost = new Map<number, number>()
  const h: Hole = { world, c: null!, there: new Pump(0), mtu: o.mtu, passed, lost }
  world.link(a, b, {
    rate: o.rate ?? 20e6,
    delay: o.delay ?? 10,
    loss: o.loss ?? 0,
    queue: 100_000,
    mtu: o.linkMtu,
    filter: (_buf, start, end) => {
      const size = end - start - ETHERNET
      const which = size > h.mtu ? lost : passed
      which.set(size, (which.get(size) ?? 0) + 1)
      return size <= h.mtu
    },
  })
  b.tcp.listen(
    { port: 1 },
    {
      onConnection: (c) => {
        c.handler = h.there
      },
    },
  )
  h.c = a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 1 }, new Pump(o.bytes)) as Connection
  return h
}

describe('a black hole', () => {
  it('a bulk transfer gets through within seconds, and finds the size that passes', () => {
    const h = hole({ mtu: 1400, bytes: 10 << 20 })
    expect(h.world.runUntil(() => h.there.received > 0, 10_000)).toBe(true)
    expect(h.world.elapsedMs).toBeLessThan(3000)
    expect(h.world.runUntil(() => h.there.received === 10 << 20, 20_000)).toBe(true)
    const { mss } = h.c.info()
    expect(mss).toBeGreaterThan(1400 - 52 - 8)
    expect(mss).toBeLessThanOrEqual(1400 - 52)
    expect(h.c.tcp.counters.snapshot(true)).toMatchObject({ tcpMtuBlackHoles: 1 })
    checkInvariants(h.c)
  })

  it('without SACK too', () => {
    const h = hole({ mtu: 1400, bytes: 3 << 20, tcp: { sack: false } })
    expect(h.world.runUntil(() => h.there.received === 3 << 20, 30_000)).toBe(true)
    expect(h.c.info().mss).toBeGreaterThan(1400 - 52 - 100)
  })

  it('with random losses', () => {
    const h = hole({ mtu: 1400, bytes: 10 << 20, loss: 0.005 })
    expect(h.world.runUntil(() => h.there.received === 10 << 20, 120_000)).toBe(true)
    expect(h.c.info().mss).toBeGreaterThan(1200)
    expect(h.c.info().mss).toBeLessThanOrEqual(1400 - 52)
  })

  it('narrower than the base: halved until it passes', () => {
    const h = hole({ mtu: 700, bytes: 2 << 20 })
    expect(h.world.runUntil(() => h.there.received === 2 << 20, 60_000)).toBe(true)
    const { mss } = h.c.info()
    expect(mss).toBeGreaterThan(512)
    expect(mss).toBeLessThanOrEqual(700 - 52)
  })

  it('with probing off nothing gets through', () => {
    const h = hole({ mtu: 1400, bytes: 1 << 20, tcp: { mtuProbing: 0 } })
    h.world.run(10_000)
    expect(h.there.received).toBe(0)
    expect(h.c.info().mss).toBe(1448)
  })

  it('a false suspicion costs one probe: full segments again as soon as the path is back', () => {
    const h = hole({ mtu: 1500, bytes: 20 << 20 })
    h.world.run(1000)
    h.mtu = 0 // everything vanishes
    h.world.run(4000)
    expect(h.c.info().mss).toBeLessThan(1448)
    h.mtu = 1500
    h.world.runUntil(() => h.c.info().mss === 1448, 8000)
    expect(h.c.info().mss).toBe(1448)
    expect(h.c.tcp.counters.snapshot()).toMatchObject({ TCPMTUPSuccess: 1, TCPMTUPFail: 0 })
  })

  it('a path that becomes wider is found after mtuProbeIntervalMs', () => {
    const h = hole({ mtu: 1400, bytes: 400 << 20, tcp: { mtuProbeIntervalMs: 20_000 } })
    h.world.run(10_000)
    expect(h.c.info().mss).toBeLessThanOrEqual(1348)
    h.mtu = 1500
    h.world.run(5000)
    expect(h.c.info().mss).toBeLessThanOrEqual(1348)
    h.world.run(12_000)
    expect(h.c.info().mss).toBe(1448)
  })
})

describe('always probing (mtuProbing 2)', () => {
  it('begins with the base size and is at the full one after one probe', () => {
    const h = hole({ mtu: 1500, bytes: 1 << 20, tcp: { mtuProbing: 2 } })
    expect(h.world.runUntil(() => h.there.received === 1 << 20, 5000)).toBe(true)
    expect(h.passed.get(1024 + 52)).toBeGreaterThan(5)
    expect(h.c.info().mss).toBe(1448)
    expect(h.c.tcp.counters.snapshot()).toMatchObject({ TCPMTUPSuccess: 1, TCPMTUPFail: 0, tcpTimeouts: 0 })
  })

  it('a hole is found without a single time-out, and without a smaller window', () => {
    const h = hole({ mtu: 1400, bytes: 40 << 20, rate: 0, tcp: { mtuProbing: 2 } })
    let cwnd = 0
    while (h.there.received < 40 << 20 && h.c.info().mss < 1340) {
      h.world.run(1)
      expect(h.c.info().cwnd).toBeGreaterThanOrEqual(cwnd)
      cwnd = h.c.info().cwnd
      checkInvariants(h.c)
    }
    expect(h.c.info().mss).toBeGreaterThan(1340)
    expect(h.c.tcp.counters.snapshot()).toMatchObject({ tcpTimeouts: 0 })
  })

  it('jumbo frames', () => {
    const h = hole({ mtu: 4352, linkMtu: 9000, bytes: 8 << 20, tcp: { mtuProbing: 2 } })
    expect(h.world.runUntil(() => h.there.received === 8 << 20, 20_000)).toBe(true)
    expect(h.c.info().mss).toBe(4300)
  })
})

describe('a probe on the wire', () => {
  it('is one segment of data, and what follows it is enough to detect its loss', () => {
    const lab = new TcpLab({ config: { tcp: { mtuProbing: 2 } } }).accept('<mss 1460,sackOK>')
    expect(lab.c.info().mss).toBe(1024)
    lab.write(40 * 1024)
    lab.clear()
    lab.inject('. 1:1(0) ack 4097')
    const out = lab.take()
    const at = out.findIndex((e) => e.len === 1460)
    expect(at).toBeGreaterThanOrEqual(0)
    const probe = out[at].text
    // It is lost: what follows is SACKed.
    const { nxt, iss } = lab.c.snd
    const start = (out[at].seq - iss) | 0
    const cwnd = lab.c.info().cwnd
    lab.inject(`. 1:1(0) ack ${start} <nop,nop,sack ${start + 1460}:${(nxt - iss) | 0}>`)
    lab.inject(`. 1:1(0) ack ${start} <nop,nop,sack ${start + 1460}:${(lab.c.snd.nxt - iss) | 0}>`)
    expect(probe).toContain('(1460)')
    const again = lab.take().filter((e) => ((e.seq - iss) | 0) < start + 1460)
    expect(again.map((e) => e.len)).toEqual([1024, 436])
    expect(lab.c.info().cwnd).toBeGreaterThanOrEqual(cwnd)
    expect(lab.counters).toMatchObject({ TCPMTUPFail: 1 })
  })

  it('impossible values are refused', () => {
    expect(() => new TcpLab({ config: { tcp: { mtuProbing: 3 } } })).toThrow('mtuProbing')
    expect(() => new TcpLab({ config: { tcp: { mtuProbeFloorBytes: 10 } } })).toThrow('mtuProbeFloorBytes')
  })
})
