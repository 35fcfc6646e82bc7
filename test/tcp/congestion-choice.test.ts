/** Which algorithm a connection has: by config, listener, socket, name, function or object; and one written by somebody else. */
import { describe, expect, it } from 'vitest'
import { goodput, Westwood } from '../../examples/congestion_control.ts'
import { createWorld } from '../../src/sim/world.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import type { AckSample, CongestionControl, CongestionWindow } from '../../src/tcp/congestion.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import type { ForeignControl } from '../../src/tcp/foreign-control.ts'
import { TcpLab } from '../support/tcp-lab.ts'

const MSS = 1460

/** A window of so many segments, always; notes what it is told. */
class Fixed implements CongestionControl {
  readonly name = 'fixed'
  readonly heard: string[] = []

  constructor(private readonly segments: number) {}

  start(w: CongestionWindow): void {
    this.heard.push('start')
    w.cwnd = this.segments * w.mss
  }

  acked(_w: CongestionWindow, s: AckSample): void {
    this.heard.push(`acked ${s.acked}`)
  }

  loss(w: CongestionWindow): void {
    this.heard.push('loss')
    w.ssthresh = w.cwnd
  }

  timeout(): void {
    this.heard.push('timeout')
  }

  recovered(): void {
    this.heard.push('recovered')
  }

  idle(): void {
    this.heard.push('idle')
  }
}

/** The algorithm that was given to a connection, behind its guard. */
function controlOf(c: Connection): CongestionControl {
  return (c.snd.control as ForeignControl).control
}

describe('the choice of an algorithm', () => {
  it('is CUBIC by default', () => {
    expect(new TcpLab().accept().c.info().congestion).toBe('cubic')
  })

  it('is by stack: a name, or what makes one for each connection', () => {
    for (const name of ['cubic', 'newreno', 'bbr']) {
      expect(new TcpLab({ config: { tcp: { congestion: name } } }).accept().c.info().congestion).toBe(name)
    }
    const lab = new TcpLab({ config: { tcp: { congestion: () => new Fixed(3) } } }).accept()
    expect(lab.c.info()).toMatchObject({ congestion: 'fixed', cwnd: 3 * MSS })
  })

  it("is newreno where Linux's name for it is given", () => {
    expect(new TcpLab({ config: { tcp: { congestion: 'reno' } } }).accept().c.info().congestion).toBe('newreno')
  })

  it('is by listener: each connection gets its own', () => {
    const lab = new TcpLab()
    const made: Fixed[] = []
    lab.listen({
      congestion: () => {
        made.push(new Fixed(2 + made.length))
        return made[made.length - 1]
      },
    })
    lab.accept()
    lab.remotePort++
    lab.accept()
    expect(made.length).toBe(2)
    expect(lab.accepted.map((c) => c.info().cwnd)).toEqual([2 * MSS, 3 * MSS])
    expect(made.map((m) => m.heard[0])).toEqual(['start', 'start'])
  })

  it('is by listener as an object: the first connection has it, the others have it as it was', () => {
    const lab = new TcpLab()
    const given = new Fixed(2)
    lab.listen({ congestion: given })
    for (let i = 0; i < 3; i++) {
      lab.accept()
      lab.remotePort++
    }
    const controls = lab.accepted.map((c) => controlOf(c) as Fixed)
    expect(controls[0]).toBe(given)
    expect(new Set(controls).size).toBe(3)
    expect(controls.map((c) => c.heard)).toEqual([['start'], ['start'], ['start']])
    expect(lab.accepted.map((c) => c.info())).toEqual(
      Array(3).fill(expect.objectContaining({ congestion: 'fixed', cwnd: 2 * MSS })),
    )
  })

  it('is by stack as an object too, and one object is not shared', () => {
    const given = new Fixed(4)
    const lab = new TcpLab({ config: { tcp: { congestion: given } } }).accept()
    lab.remotePort++
    lab.accept()
    const [first, second] = lab.accepted.map((c) => controlOf(c) as Fixed)
    expect(first).toBe(given)
    expect(second).not.toBe(given)
    lab.accepted[1].write(new Uint8Array(10), 0, 10)
    expect([first.heard, second.heard]).toEqual([['start'], ['start']])
    expect(lab.accepted[1].info()).toMatchObject({ congestion: 'fixed', cwnd: 4 * MSS })
  })

  it('copies what an object consists of, and all of it', () => {
    const inner = { list: [1], numbers: new Int32Array(2), map: new Map([['a', { n: 1 }]]), set: new Set([1]) }
    const given = Object.assign(new Fixed(2), { inner, again: inner, nothing: null })
    const lab = new TcpLab({ config: { tcp: { congestion: given } } }).accept()
    inner.list.push(2)
    inner.numbers[0] = 5
    inner.map.get('a')!.n = 2
    inner.set.add(2)
    lab.remotePort++
    lab.accept()
    const other = controlOf(lab.accepted[1]) as typeof given
    expect(other).toBeInstanceOf(Fixed)
    expect(other.again).toBe(other.inner)
    expect(other.nothing).toBe(null)
    expect(other.inner).toEqual({ list: [1], numbers: new Int32Array(2), map: new Map([['a', { n: 1 }]]), set: new Set([1]) })
  })

  it('is a class as well, at every level', () => {
    class Two extends Fixed {
      constructor() {
        super(2)
      }
    }
    /** Methods as fields: nothing of them is seen at the class. */
    class Fields {
      readonly name = 'fields'
      start = (w: CongestionWindow): void => {
        w.cwnd = 2 * w.mss
      }
      acked = (): void => {}
      loss = (w: CongestionWindow): void => {
        w.ssthresh = w.cwnd
      }
      timeout = (): void => {}
      recovered = (): void => {}
      idle = (): void => {}
    }
    for (const congestion of [Two, Fields]) {
      const byStack = new TcpLab({ config: { tcp: { congestion } } }).accept()
      const byListener = new TcpLab()
      byListener.listen({ congestion })
      byListener.accept()
      const bySocket = new TcpLab().connect('<mss 1460>', 65535, { congestion })
      for (const lab of [byStack, byListener, bySocket]) expect(lab.c.info().cwnd).toBe(2 * MSS)
    }
  })

  it('is by connection, as an object too', () => {
    const fixed = new Fixed(5)
    const lab = new TcpLab().connect('<mss 1460>', 65535, { congestion: fixed })
    expect(lab.c.info()).toMatchObject({ congestion: 'fixed', cwnd: 5 * MSS })
    lab.write(20 * MSS)
    expect(lab.take().length).toBe(5)
    lab.inject(`. 1:1(0) ack ${1 + 2 * MSS}`)
    expect(lab.take().length).toBe(2)
    expect(fixed.heard).toEqual(['start', `acked ${2 * MSS}`])
  })

  it('may change while it runs: the window stays, a rate does not', () => {
    const lab = new TcpLab().accept('<mss 1460,sackOK>')
    lab.c.set({ congestion: 'bbr' })
    expect(lab.c.info()).toMatchObject({ congestion: 'bbr', cwnd: 10 * MSS })
    lab.write(10 * MSS)
    lab.advance(20)
    lab.inject(`. 1:1(0) ack ${1 + 10 * MSS}`)
    expect(lab.c.info().pacingRate).toBeGreaterThan(0)
    const { cwnd } = lab.c.info()
    lab.c.set({ congestion: 'cubic' })
    expect(lab.c.info()).toMatchObject({ congestion: 'cubic', cwnd, pacingRate: 0 })
  })

  it('refuses what is none, by name of what there is', () => {
    const lab = new TcpLab().accept()
    for (const wrong of ['vegas', '', 'toString', 7, {}, null]) {
      expect(() => lab.c.set({ congestion: wrong as string }), String(wrong)).toThrow(/congestion/)
    }
    expect(() => new TcpLab({ config: { tcp: { congestion: 'vegas' } } })).toThrow(/cubic.*newreno/)
    expect(() => new TcpLab({ config: { tcp: { hystart: 'plus' as 'plusplus' } } })).toThrow(/hystart/)
    for (const wrong of [() => 5, () => ({}), {}, { acked: () => {} }]) {
      expect(() => lab.c.set({ congestion: wrong as () => CongestionControl }), String(wrong)).toThrow(/congestion/)
      expect(() => new TcpLab({ config: { tcp: { congestion: wrong } } }), String(wrong)).toThrow(/congestion/)
    }
    expect(lab.c.info().congestion).toBe('cubic')
  })

  it('refuses what lacks a method, also from a function, before anything is applied', () => {
    const lab = new TcpLab().accept()
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' })
    const { idle: _, ...incomplete } = { ...methods(), name: 'mine' }
    const choices: [unknown, RegExp][] = [
      [incomplete, /mine needs a method idle/],
      [{ ...methods() }, /needs a name/],
      [{ ...methods(), name: 'mine', model: 5 }, /mine needs a method model/],
      [() => null, /made by congestion must be .* not null/],
      [() => incomplete, /made by congestion: congestion control mine needs a method idle/],
      [(): never => boo(), /what was given as congestion threw: boo/],
    ]
    for (const [wrong, message] of choices) {
      const set = (): void => lab.c.set({ ttl: 7, congestion: wrong as CongestionControl })
      expect(set).toThrow(message)
      expect(set).toThrow(invalid)
    }
    expect(lab.c.ttl).not.toBe(7)
    expect(lab.c.info().congestion).toBe('cubic')
    expect(() => new TcpLab({ config: { tcp: { congestion: () => incomplete as CongestionControl } } })).toThrow(/idle/)
  })
})

/** An algorithm that does nothing but to let data leave. */
function methods(): Omit<CongestionControl, 'name'> {
  const nothing = (): void => {}
  return {
    start: (w) => {
      w.cwnd = 10 * w.mss
    },
    acked: nothing,
    loss: nothing,
    timeout: nothing,
    recovered: nothing,
    idle: nothing,
  }
}

function boo(): never {
  throw new Error('boo')
}

describe('an algorithm that throws', () => {
  /** A transfer over a line that loses: what it throws, what arrives, whose window it was at the end. */
  function transfer(control: Partial<CongestionControl>): { errors: unknown[]; received: number; name: string } {
    const world = createWorld({ seed: 1 })
    const [a, b] = [world.stack(), world.stack()]
    world.link(a, b, { delay: 5, loss: 0.02 })
    let received = 0
    const receiving: ConnectionHandler = {
      onReadable: (c) => {
        received += c.skip(c.readable)
      },
    }
    const chunk = new Uint8Array(65536)
    const sending: ConnectionHandler = {
      onWritable: (c) => {
        while (c.bytesWritten < 1e6 && c.write(chunk, 0, Math.min(chunk.length, 1e6 - c.bytesWritten)) > 0);
      },
    }
    const onConnection = (c: RawConnection): void => {
      c.handler = receiving
    }
    b.tcp.listen({ port: 9 }, { onConnection })
    const congestion = { ...methods(), name: 'mine', ...control }
    const c = a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 9, congestion }, sending)
    const errors: unknown[] = []
    for (let i = 0; i < 60; i++) {
      try {
        world.run(1000)
      } catch (error) {
        errors.push(error)
      }
    }
    return { errors, received, name: c.info().congestion }
  }

  it.each(['start', 'acked', 'loss', 'recovered', 'observe', 'model'] as const)(
    'in %s: the error is told, once, and NewReno goes on',
    (method) => {
      expect(transfer({ [method]: boo })).toEqual({ errors: [new Error('boo')], received: 1e6, name: 'newreno' })
    },
  )

  it('in timeout, which a path that has died causes', () => {
    const lab = new TcpLab().connect('<mss 1460>', 65535, { congestion: { ...methods(), name: 'mine', timeout: boo } })
    lab.write(5 * MSS)
    lab.take()
    expect(() => lab.advance(1100)).toThrow('boo')
    expect(lab.c.info()).toMatchObject({ congestion: 'newreno', cwnd: MSS })
  })

  it('when a peer connects: the connection has the default', () => {
    const lab = new TcpLab()
    lab.listen({ congestion: boo })
    expect(() => lab.accept()).toThrow('boo')
    expect(lab.c.info().congestion).toBe('cubic')
  })
})

describe('the window and its use', () => {
  it('grows in slow start only when half of it is in use', () => {
    const lab = new TcpLab({ config: { tcp: { congestion: 'newreno' } } }).accept()
    lab.write(4 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 4 * MSS}`)
    expect(lab.c.info().cwnd).toBe(10 * MSS)
    lab.write(6 * MSS)
    lab.inject(`. 1:1(0) ack ${1 + 10 * MSS}`)
    expect(lab.c.info().cwnd).toBe(16 * MSS)
  })

  it('halves for each RTO of silence, down to the initial window, unless told not to', () => {
    const windowAfter = (slowStartAfterIdle: boolean, ms: number): number => {
      const lab = new TcpLab({ config: { tcp: { congestion: 'newreno', slowStartAfterIdle } } }).accept()
      let acked = 1
      for (let n = 10; n <= 40; n *= 2) {
        lab.write(n * MSS)
        acked += n * MSS
        lab.inject(`. 1:1(0) ack ${acked}`)
      }
      expect(lab.c.info().cwnd).toBe(80 * MSS)
      lab.advance(ms)
      lab.write(MSS)
      return lab.c.info().cwnd / MSS
    }
    expect(windowAfter(true, 150)).toBe(80)
    expect(windowAfter(true, 250)).toBe(40)
    expect(windowAfter(true, 500)).toBe(20)
    expect(windowAfter(true, 60_000)).toBe(10)
    expect(windowAfter(false, 60_000)).toBe(80)
  })

  it('comes down half the way to what was used in an RTO (RFC 2861)', () => {
    const lab = new TcpLab({ config: { tcp: { congestion: 'newreno' } } }).accept()
    let acked = 1
    for (let n = 10; n <= 40; n *= 2) {
      lab.write(n * MSS)
      acked += n * MSS
      lab.inject(`. 1:1(0) ack ${acked}`)
    }
    for (let i = 0; i < 6; i++) {
      lab.write(20 * MSS)
      lab.advance(50)
      acked += 20 * MSS
      lab.inject(`. 1:1(0) ack ${acked}`)
    }
    expect(lab.c.info().cwnd).toBeLessThan(80 * MSS)
    expect(lab.c.info().cwnd).toBeGreaterThanOrEqual(20 * MSS)
  })
})

describe('an algorithm of somebody else', { timeout: 30_000 }, () => {
  it('is a file of a hundred lines, and does what it is for', () => {
    const path = { rate: 20, rtt: 40, loss: 0.001 }
    const westwood = goodput(() => new Westwood(), path, 6)
    expect(westwood).toBeGreaterThan(0.8 * 20)
    expect(westwood).toBeGreaterThan(1.2 * goodput('newreno', path, 6))
  })
})
