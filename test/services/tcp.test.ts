import { describe, expect, it } from 'vitest'
import { NetError } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/random.ts'
import { PERIOD, pattern } from '../../src/services/chargen.ts'
import { daytime } from '../../src/services/daytime.ts'
import { type ServicesOptions, startServices } from '../../src/services/inetd.ts'
import { createWorld, type WorldLinkOptions } from '../../src/sim/world.ts'
import type { ConnectionHandler, RawConnection } from '../../src/tcp/api.ts'

function lab(link: WorldLinkOptions = {}, options: ServicesOptions = {}) {
  const world = createWorld({ seed: 11 })
  const client = world.stack({ name: 'client' })
  const server = world.stack({ name: 'server' })
  world.link(client, server, link)
  const services = startServices(server, options)
  return { world, client, server, services }
}

/** Sends `bytes`, then FIN; reads what comes, as long as `reading`. */
class Client implements ConnectionHandler {
  readonly received: number[] = []
  closed = false
  error: NetError | null = null
  reading = true
  private sent = 0
  private readonly buf = new Uint8Array(4096)

  constructor(
    private readonly bytes: Uint8Array,
    private readonly most = Number.POSITIVE_INFINITY,
  ) {}

  onConnect(c: RawConnection): void {
    this.onWritable(c)
  }

  onWritable(c: RawConnection): void {
    while (this.sent < this.bytes.length) {
      const n = c.write(this.bytes, this.sent, this.bytes.length - this.sent)
      if (n === 0) return
      this.sent += n
    }
    c.shutdown()
  }

  onReadable(c: RawConnection): void {
    if (!this.reading) return
    for (let n = c.read(this.buf, 0, this.buf.length); n > 0; n = c.read(this.buf, 0, this.buf.length)) {
      for (let i = 0; i < n; i++) this.received.push(this.buf[i])
      if (this.received.length >= this.most) {
        c.abort()
        return
      }
    }
  }

  onClose(_: RawConnection, error: NetError | null): void {
    this.closed = true
    this.error = error
  }
}

function noise(length: number): Uint8Array {
  const random = new SeededRandom(5)
  return Uint8Array.from({ length }, () => random.int32())
}

describe('echo over TCP', () => {
  const cases: readonly (readonly [string, WorldLinkOptions])[] = [
    ['super-segments', {}],
    ['a wire', { offload: false }],
    ['a bad wire', { delay: 5, jitter: 3, loss: 0.03, duplicate: 0.02, reorder: 0.05, corrupt: 0.01 }],
  ]
  for (const [what, link] of cases) {
    it(`gives back every byte, then FIN, over ${what}`, () => {
      const { world, client } = lab(link)
      const bytes = noise(300_000)
      const party = new Client(bytes)
      client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, party)
      expect(world.runUntil(() => party.closed, 300_000)).toBe(true)
      expect(party.error).toBeNull()
      expect(party.received.length).toBe(bytes.length)
      expect(Buffer.from(party.received).equals(bytes)).toBe(true)
    })
  }

  it('echo is not troubled by a reset that comes right after what is to go back', () => {
    const { world, client, server } = lab({ delay: 10 })
    const c = client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, {})
    world.run(100)
    c.write(Uint8Array.of(1, 2, 3), 0, 3)
    world.run(0) // it is on its way, and arrives together with the reset
    c.abort()
    world.run(1000)
    expect(server.connections()).toEqual([])
    expect(server.counters().tcp).toMatchObject({ tcpEstabResets: 1 })
  })

  it('stops reading when it cannot write, holds a bounded amount, and loses nothing', () => {
    const { world, client, server } = lab()
    const bytes = noise(24 << 20)
    const party = new Client(bytes)
    party.reading = false
    const c = client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 7 }, party)
    world.run(30_000)
    const [other] = [...server.tcp.flows()] as unknown as RawConnection[]
    const { sendBufferMaxBytes, receiveBufferMaxBytes } = server.config.tcp
    expect(other.unsent).toBeGreaterThan(0)
    expect(other.unsent).toBeLessThanOrEqual(sendBufferMaxBytes)
    expect(other.readable).toBeGreaterThan(0)
    expect(other.readable).toBeLessThanOrEqual(receiveBufferMaxBytes)
    expect(other.bytesRead).toBe(other.bytesWritten)
    expect(party.received.length).toBe(0)
    // Now the client reads: everything comes, in order, and the connection ends.
    let at = 0
    let same = true
    const buf = new Uint8Array(65536)
    const read = (): void => {
      for (let n = c.read(buf, 0, buf.length); n > 0; n = c.read(buf, 0, buf.length)) {
        same &&= Buffer.compare(buf.subarray(0, n), bytes.subarray(at, at + n)) === 0
        at += n
      }
    }
    party.onReadable = read
    read()
    expect(world.runUntil(() => party.closed, 300_000)).toBe(true)
    expect(at).toBe(bytes.length)
    expect(same).toBe(true)
    world.run(100)
    expect([...server.tcp.flows()].length).toBe(0)
  })

  it('answers each byte of a dialogue at once, without waiting for an ACK', () => {
    const { world, client } = lab({ delay: 10 })
    let rounds = 0
    const one = Uint8Array.of(42)
    const c = client.tcp.open(
      { remoteAddress: '10.0.0.2', remotePort: 7, noDelay: true },
      {
        onConnect: (me) => void me.write(one, 0, 1),
        onReadable(me) {
          expect(me.read(one, 0, 1)).toBe(1)
          if (++rounds < 50) me.write(one, 0, 1)
        },
      },
    )
    world.runUntil(() => rounds === 50)
    // 20 ms each, and 20 for the handshake, ARP included.
    expect(world.elapsedMs).toBeLessThan(50 * 20 + 60)
    expect(c.bytesRead).toBe(50)
  })
})

describe('discard over TCP', () => {
  it('takes everything, answers nothing, closes after FIN', () => {
    const { world, client, server } = lab()
    const party = new Client(noise(1_000_000))
    client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 9 }, party)
    expect(world.runUntil(() => party.closed)).toBe(true)
    expect(party.error).toBeNull()
    expect(party.received.length).toBe(0)
    expect(server.pool.inUse).toBe(0)
  })
})

describe('daytime', () => {
  it('is worded as RFC 867 has it', () => {
    expect(daytime(383_247_463_000_000_000n)).toBe('Monday, February 22, 1982 17:37:43-UTC\r\n')
    expect(daytime(1_709_164_799_999_999_999n)).toBe('Wednesday, February 28, 2024 23:59:59-UTC\r\n')
  })

  it('sends one line over TCP and closes, whatever it is sent', () => {
    const { world, client } = lab()
    const party = new Client(noise(10_000))
    client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 13 }, party)
    expect(world.runUntil(() => party.closed)).toBe(true)
    expect(party.error).toBeNull()
    expect(String.fromCharCode(...party.received)).toBe('Monday, January 1, 2024 00:00:00-UTC\r\n')
  })
})

describe('chargen', () => {
  it('has the pattern of RFC 864', () => {
    const lines = String.fromCharCode(...pattern(PERIOD + 74)).split('\r\n')
    expect(lines[0]).toBe(' !"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg')
    expect(lines[1]).toBe('!"#$%&\'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh')
    expect(lines[94].startsWith('~ !"')).toBe(true)
    expect(lines[95]).toBe(lines[0])
  })

  it('is one unbroken stream over TCP, also after the peer has closed its side, and ends when it is reset', () => {
    const { world, client, server } = lab({ offload: false })
    const closed: (string | null)[] = []
    const other = startServices(server, {
      names: ['chargen'],
      ports: { chargen: 1019 },
      watcher: { closed: (_, __, error) => closed.push(error === null ? null : error.code) },
    })
    const most = 1_500_000
    const party = new Client(new Uint8Array(0), most)
    client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 1019 }, party)
    expect(world.runUntil(() => party.closed)).toBe(true)
    expect(party.received.length).toBeGreaterThanOrEqual(most)
    const expected = pattern(party.received.length)
    expect(party.received.every((byte, i) => byte === expected[i])).toBe(true)
    expect(world.runUntil(() => closed.length > 0)).toBe(true)
    expect(closed).toEqual(['ECONNRESET'])
    expect(server.pool.inUse).toBe(0)
    other.close()
  })
})

describe('startServices', () => {
  it('tells its watcher of connections and what they carried', () => {
    const log: string[] = []
    const { world, client } = lab(
      {},
      {
        names: ['echo'],
        ports: { echo: 5000 },
        watcher: {
          opened: (service, c) => log.push(`${service} opened ${c.remoteAddress}`),
          closed: (service, c, error) => log.push(`${service} closed ${c.bytesRead} ${c.bytesWritten} ${error}`),
        },
      },
    )
    client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 5000 }, new Client(noise(1000)))
    world.run(1000)
    expect(log).toEqual(['echo opened 10.0.0.1', 'echo closed 1000 1000 null'])
  })

  it('leaves nothing open when a port is taken', () => {
    const { server, services } = lab({}, { names: ['daytime'] })
    expect(services.ports).toEqual({ daytime: 13 })
    expect(() => startServices(server)).toThrow(NetError)
    expect(server.udp.sockets().map((s) => s.localPort)).toEqual([13])
    services.close()
    const all = startServices(server)
    expect(all.ports).toEqual({ echo: 7, discard: 9, daytime: 13, chargen: 19 })
    all.close()
    expect(server.udp.sockets()).toEqual([])
  })

  it('survives connections that are reset before they are accepted', () => {
    const { world, client } = lab()
    for (const remotePort of [7, 9, 13, 19]) {
      // Handshake, data and RST reach the server in one turn.
      const c = client.tcp.open({ remoteAddress: '10.0.0.2', remotePort }, { onConnect: (me) => me.abort() })
      world.run(100)
      expect(c.stateName).toBe('CLOSED')
    }
  })
})
