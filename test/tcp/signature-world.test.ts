/** Signed connections between two stacks, over links that lose, double and reorder. */
import { describe, expect, it } from 'vitest'
import { createWorld, type World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack/stack.ts'
import type { ConnectionHandler, RawConnection, TcpKey } from '../../src/tcp/api.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { checkInvariants } from '../support/tcp-invariants.ts'
import { pattern, patternAt } from '../support/tcp-notation.ts'

/** Writes `total` bytes of the pattern and its end, and checks what it reads. */
class Side implements ConnectionHandler {
  received = 0
  closed: string | null = null
  c: Connection | null = null
  private sent = 0

  constructor(private readonly total: number) {}

  begin(c: RawConnection): void {
    this.c = c as Connection
    while (this.sent < this.total) {
      const n = c.write(
        pattern(this.sent + 1, Math.min(65_536, this.total - this.sent)),
        0,
        Math.min(65_536, this.total - this.sent),
      )
      if (n === 0) return
      this.sent += n
    }
    c.shutdown()
  }

  onConnect(c: RawConnection): void {
    this.begin(c)
  }

  onWritable(c: RawConnection): void {
    if (this.sent < this.total) this.begin(c)
  }

  onReadable(c: RawConnection): void {
    const buf = new Uint8Array(c.readable)
    c.read(buf, 0, buf.length)
    for (const byte of buf) if (byte !== patternAt(++this.received)) throw new Error(`byte ${this.received}`)
  }

  onClose(_: RawConnection, error: Error | null): void {
    this.closed = error === null ? 'well' : String((error as { code?: string }).code)
  }
}

interface Pair {
  world: World
  a: Stack
  b: Stack
  client: Side
  server: Side
}

function pair(seed: number, total: number, link: object, open: TcpKey[], listen: TcpKey[], isn: number | null = null): Pair {
  const world = createWorld({ seed })
  const a = world.stack()
  const b = world.stack()
  world.link(a, b, link)
  if (isn !== null) for (const stack of [a, b]) stack.tcp.secrets.isn = () => isn | 0
  const client = new Side(total)
  const server = new Side(total)
  b.tcp.listen(
    { port: 179, keys: listen },
    {
      onConnection: (c) => {
        c.handler = server
        server.begin(c)
      },
    },
  )
  a.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 179, keys: open }, client)
  return { world, a, b, client, server }
}

const MD5: TcpKey = { algorithm: 'md5', key: 'secret' }
const SHA1: TcpKey = { algorithm: 'hmac-sha-1-96', key: 'secret', sendId: 3, receiveId: 4 }
const CMAC: TcpKey = { algorithm: 'aes-128-cmac-96', key: 'secret', sendId: 3, receiveId: 4, excludeOptions: true }
const other = (key: TcpKey): TcpKey => ({ ...key, sendId: key.receiveId, receiveId: key.sendId })

describe.each([
  ['md5', MD5],
  ['hmac-sha-1-96', SHA1],
  ['aes-128-cmac-96, options excluded', CMAC],
] as const)('%s', (_, key) => {
  it('bytes arrive whole over a bad link, and no segment is refused for its signature', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const bad = { delay: 5, loss: 0.03, reorder: 0.05, duplicate: 0.02, jitter: 3 }
      const { world, a, b, client, server } = pair(seed, 60_000, bad, [key], [{ ...other(key), peer: '10.0.0.0/24' }])
      const done = (): boolean => client.closed !== null && server.closed !== null
      world.runUntil(() => {
        for (const { c } of [client, server]) if (c !== null && !c.isClosed) checkInvariants(c)
        return done()
      }, 600_000)
      expect([client.closed, server.closed, client.received, server.received]).toEqual(['well', 'well', 60_000, 60_000])
      for (const stack of [a, b]) {
        const n = stack.tcp.counters.snapshot(false) as Record<string, number>
        expect([n.TCPMD5NotFound, n.TCPMD5Failure, n.TCPAOBad, n.TCPAORequired, n.TCPAOKeyNotFound]).toEqual([0, 0, 0, 0, 0])
      }
    }
  })

  it('numbers wrap in both directions', () => {
    const { world, client, server } = pair(5, 60_000, { delay: 2, loss: 0.02 }, [key], [other(key)], -20_000)
    world.runUntil(() => client.closed !== null && server.closed !== null, 600_000)
    expect([client.closed, server.closed, client.received, server.received]).toEqual(['well', 'well', 60_000, 60_000])
  })

  it('a link that could carry super-segments gets none', () => {
    const { world, client, server } = pair(1, 200_000, { offload: true }, [key], [other(key)])
    world.runUntil(() => client.closed !== null && server.closed !== null)
    expect(server.received).toBe(200_000)
    expect(client.c!.snd.superLimit).toBe(client.c!.snd.mss)
    // Who does not sign has them.
    const plain = pair(1, 10, { offload: true }, [], [])
    plain.world.runUntil(() => plain.client.c !== null)
    expect(plain.client.c!.snd.superLimit).toBeGreaterThan(plain.client.c!.snd.mss)
  })

  it('another key on the other side: nobody hears anybody', () => {
    const { world, b, client } = pair(1, 10, { delay: 1 }, [key], [{ ...other(key), key: 'another' }])
    world.runUntil(() => client.closed !== null, 600_000)
    expect(client.closed).toBe('ETIMEDOUT')
    const n = b.tcp.counters.snapshot(false) as Record<string, number>
    expect(n.TCPMD5Failure + n.TCPAOBad).toBe(8)
    expect(b.tcp.flowTable.size).toBe(0)
  })
})

describe('rollover between two stacks', () => {
  it('keys change under a transfer, and no segment is refused', () => {
    const next: TcpKey = { algorithm: 'aes-128-cmac-96', key: 'next', sendId: 5, receiveId: 6 }
    const { world, a, b, client, server } = pair(1, 400_000, { delay: 10 }, [SHA1], [other(SHA1)])
    world.runUntil(() => server.received > 50_000)
    client.c!.set({ keys: [SHA1, next] })
    server.c!.set({ keys: [other(SHA1), other(next)] })
    world.runUntil(() => server.received > 100_000)
    client.c!.set({ keys: [next, SHA1] })
    world.runUntil(() => server.received > 150_000)
    server.c!.set({ keys: [other(next), other(SHA1)] })
    world.runUntil(() => server.received > 200_000)
    client.c!.set({ keys: [next] })
    server.c!.set({ keys: [other(next)] })
    world.runUntil(() => client.closed !== null && server.closed !== null)
    expect([client.closed, server.closed, client.received, server.received]).toEqual(['well', 'well', 400_000, 400_000])
    for (const stack of [a, b]) {
      const n = stack.tcp.counters.snapshot(false) as Record<string, number>
      expect([n.TCPAOBad, n.TCPAOKeyNotFound, n.tcpRetransSegs]).toEqual([0, 0, 0])
    }
  })
})
