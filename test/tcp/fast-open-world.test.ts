/** Fast Open between two stacks, over links that lose and reorder: no byte is lost or doubled, whatever becomes of SYN, SYN-ACK and ACK. */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { checkInvariants, checkTransition } from '../support/tcp-invariants.ts'
import { pattern, patternAt } from '../support/tcp-notation.ts'

/** Writes `total` bytes of the pattern, then its end; checks what it reads. */
class Side implements ConnectionHandler {
  received = 0
  ended = false
  closed: string | null = null
  firstMs = -1
  private sent = 0

  constructor(
    private readonly total: number,
    private readonly now: () => number,
  ) {}

  start(c: RawConnection): void {
    while (this.sent < this.total) {
      const n = c.write(pattern(this.sent + 1, this.total - this.sent), 0, this.total - this.sent)
      if (n === 0) return
      this.sent += n
    }
    c.shutdown()
  }

  onWritable(c: RawConnection): void {
    this.start(c)
  }

  onReadable(c: RawConnection): void {
    if (this.firstMs < 0) this.firstMs = this.now()
    const n = c.readable
    const buf = new Uint8Array(n)
    c.read(buf, 0, n)
    for (let i = 0; i < n; i++) if (buf[i] !== patternAt(this.received + 1 + i)) throw new Error(`byte ${this.received + 1 + i}`)
    this.received += n
    if (c.ended) this.ended = true
  }

  onClose(_c: RawConnection, error: Error | null): void {
    this.closed = error === null ? 'well' : ((error as { code?: string }).code ?? 'badly')
  }
}

interface Pair {
  world: World
  a: Stack
  b: Stack
}

function pair(seed: number, link: object, config: object = {}): Pair {
  const world = createWorld({ seed })
  const a = world.stack({ name: 'a', ...config })
  const b = world.stack({ name: 'b', ...config })
  world.link(a, b, { delay: 20, ...link })
  for (const s of [a, b]) s.tcp.onStateChange = checkTransition
  return { world, a, b }
}

/** One connection, from OPEN to the end; `asks` and `answers` bytes. Returns both sides. */
function talk(p: Pair, asks: number, answers: number): { client: Side; server: Side; c: Connection } {
  const { world, a, b } = p
  const now = (): number => world.elapsedMs
  const client = new Side(asks, now)
  const server = new Side(answers, now)
  const connections: Connection[] = []
  const listener = b.tcp.listen(
    { port: 7, fastOpen: 8 },
    {
      onConnection(c) {
        connections.push(c as Connection)
        c.handler = server
        server.start(c)
      },
    },
  )
  const c = a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7, fastOpen: true }, client) as Connection
  connections.push(c)
  client.start(c)
  const done = world.runUntil(() => {
    for (const one of connections) checkInvariants(one)
    return client.closed !== null && server.closed !== null
  }, 600_000)
  expect(done).toBe(true)
  listener.close()
  return { client, server, c }
}

describe('between two stacks', () => {
  it('the second connection saves a round trip: data are there with the SYN, the answer with the SYN-ACK', () => {
    const p = pair(1, {})
    const first = talk(p, 1000, 5000)
    expect(first.c.info().fastOpen).toBe('none')
    const from = p.world.elapsedMs
    const second = talk(p, 1000, 5000)
    expect(second.c.info().fastOpen).toBe('accepted')
    expect(second.server.firstMs - from).toBeCloseTo(20, 0)
    expect(second.client.firstMs - from).toBeCloseTo(40, 0)
    expect(p.a.tcp.counters.snapshot(true)).toMatchObject({ TCPFastOpenActive: 1 })
    expect(p.b.tcp.counters.snapshot(true)).toMatchObject({ TCPFastOpenCookieReqd: 1, TCPFastOpenPassive: 1 })
  })

  it('30 seeds of a bad link: every byte arrives, once, in order, and both ends end well', () => {
    let accepted = 0
    let resent = 0
    for (let seed = 1; seed <= 30; seed++) {
      const p = pair(seed, { loss: 0.12, reorder: 0.1, duplicate: 0.05 })
      for (let i = 0; i < 6; i++) {
        const asks = (seed * 631 + i * 997) % 4000
        const answers = (seed * 1717 + i * 3571) % 9000
        const { client, server, c } = talk(p, asks, answers)
        expect([server.received, client.received, client.closed, server.closed]).toEqual([asks, answers, 'well', 'well'])
        if (c.info().fastOpen === 'accepted') accepted++
        else if (c.info().fastOpen === 'sent') resent++
      }
      expect(p.b.tcp.allListeners()).toEqual([])
    }
    expect(accepted).toBeGreaterThan(30)
    expect(resent).toBeGreaterThan(5)
  })

  it('a server that forgot its key: the data go again, and the new cookie is used', () => {
    const { world, a, b } = pair(3, {})
    talk({ world, a, b }, 100, 100)
    b.tcp.config.fastOpenKeys = ['a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4']
    expect(talk({ world, a, b }, 100, 100).c.info().fastOpen).toBe('sent')
    expect(talk({ world, a, b }, 100, 100).c.info().fastOpen).toBe('accepted')
  })
})
