import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { LinkChange } from '../../src/backend/dialer.ts'
import { parseLinkUrl } from '../../src/backend/open-link.ts'
import type { StreamLink } from '../../src/backend/stream-link.ts'
import { openTunnel, type TunnelOptions, tunnelOptions } from '../../src/backend/tunnel.ts'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack } from '../../src/node/stack.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { plainFrame } from '../support/frames.ts'
import { netifConformance } from '../support/netif-conformance.ts'
import { expectFrames, RecordingSink } from '../support/recording-sink.ts'
import { scratchFolder } from '../support/scratch.ts'
import { turns } from '../support/stream-pair.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'
import { until } from '../support/until.ts'

const HERE = '127.0.0.1'

/** The port in `listening on 127.0.0.1:40001`. */
function portOf(link: StreamLink): number {
  return Number(/listening on \S+:(\d+)/.exec(link.describe())?.[1])
}

/** A stranger's socket, which does not mind being hung up on. */
function stranger(port: number): Socket {
  return connect(port, HERE).on('error', () => undefined)
}

async function pair(options: Partial<TunnelOptions> = {}, client: Partial<TunnelOptions> = {}) {
  const host = new VirtualHost()
  const a = await openTunnel({ place: { host: HERE, port: 0 }, listen: true, ...options })
  const b = await openTunnel({ place: { host: HERE, port: portOf(a) }, ...options, ...client })
  return { a, b, host, settle: () => turns(15) }
}

/** With both ends attached and joined. */
async function joined(options: Partial<TunnelOptions> = {}, client: Partial<TunnelOptions> = {}) {
  const ends = await pair(options, client)
  const [sinkA, sinkB] = [new RecordingSink(ends.host), new RecordingSink(ends.host)]
  ends.a.attach(sinkA)
  ends.b.attach(sinkB)
  await until(() => ends.a.isUp, 'the listening end has a peer')
  return { ...ends, sinkA, sinkB }
}

async function carries(from: StreamLink, to: StreamLink, sink: RecordingSink, seed: number): Promise<void> {
  const frame = plainFrame('ethernet', 100 + seed, seed)
  from.send(frame.slice(), 0, frame.length, 0)
  from.flush()
  await until(() => sink.ready, `frame ${seed}`)
  sink.receiving = true
  while (to.receive(64));
  sink.receiving = false
  sink.ready = false
  expectFrames(sink.frames.splice(0), [frame])
}

for (const [name, options] of [
  ['tunnel over TCP', {}],
  ['tunnel over TCP as usertunnel had it', { pad: 2, order: 'le' }],
  ['tunnel over TLS', { tls: { cert: TEST_CERT, key: TEST_KEY, ca: TEST_CERT } }],
] as [string, Partial<TunnelOptions>][]) {
  netifConformance(
    name,
    async () => {
      const ends = await pair(options)
      await until(() => ends.a.isUp, 'the listening end has a peer')
      return ends
    },
    { refuses: false },
  )
}

describe('a tunnel over TCP', () => {
  it("speaks usertunnel's format: length with the pad in it, two zero bytes, frame", async () => {
    const heard: Buffer[] = []
    const server = createServer((socket) => socket.on('data', (chunk) => heard.push(chunk)))
    await once(server.listen(0, HERE), 'listening')
    const { port } = server.address() as { port: number }
    const link = await openTunnel(`tunnel+tcp://${HERE}:${port}?pad=2&keepalive=0`)
    link.attach(new RecordingSink(new VirtualHost()))
    const frame = plainFrame('ethernet', 60, 1)
    link.send(frame.slice(), 0, 60, 0)
    await link.close()
    await until(() => Buffer.concat(heard).length >= 64, 'the frame')
    expect([...Buffer.concat(heard)]).toEqual([0, 62, 0, 0, ...frame])
    server.close()
  })

  it('connects again when it was cut, after pauses that grow and differ', async () => {
    const changes: LinkChange[] = []
    const { a, b, sinkA, sinkB, host } = await joined({}, { onChange: (c) => changes.push(c) })
    await carries(a, b, sinkB, 1)
    const port = portOf(a)
    await a.close()
    await until(() => !b.isUp, 'the end of the stream')
    // Nobody listens: each try fails, each pause is longer than half of its limit and not longer than all of it.
    for (let tries = 1; tries <= 4; tries++) {
      await until(() => changes.length === tries, `pause ${tries}`)
      const { pauseMs = 0, state } = changes[tries - 1]
      expect(state).toBe('waiting')
      expect(pauseMs).toBeLessThanOrEqual(250 * 2 ** (tries - 1))
      expect(pauseMs).toBeGreaterThanOrEqual(125 * 2 ** (tries - 1))
      if (tries < 4) host.advance(pauseMs)
    }
    expect(changes[3].error).toMatchObject({ code: 'ECONNREFUSED' })
    const again = await openTunnel({ place: { host: HERE, port }, listen: true })
    const sink = new RecordingSink(host)
    again.attach(sink)
    host.advance(2000)
    await until(() => b.isUp && again.isUp, 'the new connection')
    expect(changes.at(-1)?.state).toBe('connected')
    await carries(b, again, sink, 2)
    await carries(again, b, sinkB, 3)
    expect([sinkA.closes, sinkB.closes, b.counters().streams]).toEqual([0, 0, 2])
    await b.close()
    await again.close()
  })

  it('connects, accepts and refuses as ever though who is told of it throws', async () => {
    const told: string[] = []
    const onChange = ({ state }: LinkChange): never => {
      told.push(state)
      throw new Error(state)
    }
    const host = new VirtualHost()
    const listen = async (port: number): Promise<StreamLink> => {
      const link = await openTunnel({ place: { host: HERE, port }, listen: true, keep: true, onChange })
      link.attach(new RecordingSink(host))
      return link
    }
    const a = await listen(0)
    const port = portOf(a)
    const b = await openTunnel({ place: { host: HERE, port }, onChange })
    const sink = new RecordingSink(host)
    b.attach(sink)
    await until(() => a.isUp, 'a peer')
    await carries(a, b, sink, 1)
    await once(stranger(port), 'close')
    await a.close()
    await until(() => told.length === 3, 'the end of the stream')
    const again = await listen(port)
    expect(() => host.advance(300)).toThrow(AggregateError) // connected, refused, waiting
    await until(() => told.length === 5, 'the new connection')
    await carries(again, b, sink, 2)
    expect(told.slice(0, 3)).toEqual(['connected', 'refused', 'waiting'])
    expect(told.slice(3)).toEqual(['connected', 'connected'])
    host.soon({ run: () => undefined })
    expect(() => host.advance(1)).toThrow(AggregateError)
    await b.close()
    await again.close()
  })

  it('ends with its stream when it is not to connect again', async () => {
    const { a, b, sinkB } = await joined({}, { reconnect: false })
    await a.close()
    await until(() => sinkB.closes === 1, 'the end')
    expect(b.isUp).toBe(false)
  })

  it('gives its place to the newest peer, or keeps the first', async () => {
    for (const keep of [false, true]) {
      const changes: LinkChange[] = []
      const { a, b, sinkA, sinkB, host } = await joined({ keep }, { reconnect: false })
      const c = await openTunnel({
        place: { host: HERE, port: portOf(a) },
        reconnect: false,
        onChange: (change) => changes.push(change),
      })
      const sinkC = new RecordingSink(host)
      c.attach(sinkC)
      await until(() => (keep ? sinkC : sinkB).closes === 1, 'the end of the loser')
      await carries(a, keep ? b : c, keep ? sinkB : sinkC, 1)
      await carries(keep ? b : c, a, sinkA, 2)
      for (const link of [a, b, c]) await link.close()
    }
  })

  it('refuses who is not on its list', async () => {
    const changes: LinkChange[] = []
    const a = await openTunnel({
      place: { host: HERE, port: 0 },
      listen: true,
      allow: ['10.0.0.0/8', '::2'],
      onChange: (change) => changes.push(change),
    })
    a.attach(new RecordingSink(new VirtualHost()))
    const socket = stranger(portOf(a))
    await once(socket, 'close')
    expect([a.isUp, changes[0].state, changes[0].peer]).toEqual([false, 'refused', expect.stringMatching(/^127\.0\.0\.1:\d+$/)])
    await a.close()
    const b = await openTunnel({ place: { host: HERE, port: 0 }, listen: true, allow: ['127.0.0.1'] })
    b.attach(new RecordingSink(new VirtualHost()))
    const other = stranger(portOf(b))
    await until(() => b.isUp, 'a peer')
    other.destroy()
    await b.close()
  })

  it('says in one line what keeps it from opening, unless it is to wait', async () => {
    const server: Server = createServer()
    await once(server.listen(0, HERE), 'listening')
    const { port } = server.address() as { port: number }
    await expect(openTunnel({ place: { host: HERE, port }, listen: true })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await new Promise((resolve) => server.close(resolve))
    await expect(openTunnel(`tunnel+tcp://${HERE}:${port}`)).rejects.toMatchObject({
      code: 'ECONNREFUSED',
      port,
      message: expect.stringMatching(/^connect ECONNREFUSED .*: nobody listens there: start the other end first/),
    })
    const waiting = await openTunnel(`tunnel+tcp://${HERE}:${port}?wait`)
    const host = new VirtualHost()
    const sink = new RecordingSink(host)
    waiting.attach(sink)
    const a = await openTunnel({ place: { host: HERE, port }, listen: true })
    a.attach(new RecordingSink(host))
    host.advance(250)
    await until(() => waiting.isUp && a.isUp, 'the connection')
    await carries(a, waiting, sink, 1)
    await waiting.close()
    await a.close()
  })

  it('over TLS wants a certificate that fits, of the client too when the server names authorities', async () => {
    const tls = { cert: TEST_CERT, key: TEST_KEY }
    const a = await openTunnel({ place: { host: HERE, port: 0 }, listen: true, tls: { ...tls, ca: TEST_CERT } })
    a.attach(new RecordingSink(new VirtualHost()))
    const place = { host: HERE, port: portOf(a) }
    await expect(openTunnel({ place, tls: {} })).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    await expect(openTunnel({ place, tls: { ...tls, ca: TEST_CERT, servername: 'example.org' } })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    // With TLS 1.3 a client learns only later that its certificate was missing: it is not heard, and then its stream ends.
    const bare = await openTunnel({ place, tls: { ca: TEST_CERT }, reconnect: false })
    const sink = new RecordingSink(new VirtualHost())
    bare.attach(sink)
    await until(() => sink.closes === 1, 'the end of who has no certificate')
    expect(a.isUp).toBe(false)
    const good = await openTunnel({ place, tls: { ...tls, ca: TEST_CERT } })
    await until(() => a.isUp, 'who has one')
    await good.close()
    await a.close()
    const broken = { cert: TEST_CERT, key: 'no key' }
    await expect(openTunnel({ place: { host: HERE, port: 0 }, listen: true, tls: broken })).rejects.toThrow(/PEM|DECODER/)
    await expect(openTunnel({ place, listen: true, tls: {} })).rejects.toThrow(/a certificate and its key are missing/)
  })

  it('does not fall over what strangers send', async () => {
    const { a } = await joined()
    const strangers: Socket[] = []
    for (const bytes of [
      [0xff, 0xff, 1],
      [0, 1, 7],
      [0, 0, 0, 0],
    ]) {
      const socket = stranger(portOf(a))
      await once(socket, 'connect')
      socket.write(Uint8Array.from(bytes))
      strangers.push(socket)
    }
    await until(() => a.counters().inKeepAlives >= 2, 'the last of them')
    expect(a.counters()).toMatchObject({ inFrames: 0 })
    for (const socket of strangers) socket.destroy()
    await a.close()
  })

  it('runs over the sockets of a stack of our own', async () => {
    const [left, right] = createPipe()
    const [one, two] = [createStack(), createStack()]
    one.attach(left, { addresses: ['10.9.0.1/24'] })
    two.attach(right, { addresses: ['10.9.0.2/24'] })
    const outer = await openTunnel({ place: { port: 5000 }, listen: true, net: two.net })
    const inner = await openTunnel({ place: { host: '10.9.0.2', port: 5000 }, net: one.net })
    const [near, far] = [createStack(), createStack()]
    near.attach(inner, { addresses: ['10.8.0.1/24'] })
    far.attach(outer, { addresses: ['10.8.0.2/24'] })
    const server = far.net.createServer((socket) => socket.pipe(socket))
    server.listen(7)
    await once(server, 'listening')
    const socket = near.net.connect({ host: '10.8.0.2', port: 7 })
    const sent = Buffer.alloc(300_000, 'a tunnel in a stack ')
    socket.end(sent)
    const got: Buffer[] = []
    socket.on('data', (chunk: Buffer) => got.push(chunk))
    await once(socket, 'end')
    expect(Buffer.concat(got).equals(sent)).toBe(true)
    for (const stack of [near, far, one, two]) await stack.close()
  })
})

describe('the URL of a tunnel', () => {
  const given = (url: string): Record<string, unknown> => JSON.parse(JSON.stringify(tunnelOptions(parseLinkUrl(url))))

  it('says all options', () => {
    expect(given('tunnel+tcp://10.0.0.2:5000')).toEqual({ place: { host: '10.0.0.2', port: 5000 }, listen: false, tls: null })
    expect(given('tunnel+tcp://:5000?listen&pad=2&order=le&mtu=9000&keepalive=30&allow=10.0.0.0/8,fd00::1&keep&name=t0')).toEqual(
      {
        place: { port: 5000 },
        listen: true,
        pad: 2,
        order: 'le',
        mtu: 9000,
        keepAliveMs: 30_000,
        allow: ['10.0.0.0/8', 'fd00::1'],
        keep: true,
        name: 't0',
        tls: null,
      },
    )
    expect(given('tunnel+tcp://[fd00::1]:5000?reconnect=off&wait').place).toEqual({ host: 'fd00::1', port: 5000 })
    expect(given('tunnel+tcp:///run/tunnel.socket').place).toEqual({ path: '/run/tunnel.socket' })
  })

  it('names the files of TLS', () => {
    const dir = scratchFolder('tunnel')
    for (const [name, text] of [
      ['c', TEST_CERT],
      ['k', TEST_KEY],
    ])
      writeFileSync(join(dir, name), text)
    const url = `://h:1?ca=${dir}/c&cert=${dir}/c&key=${dir}/k&servername=x`
    const tls = { ca: TEST_CERT, cert: TEST_CERT, key: TEST_KEY, servername: 'x' }
    expect(given(`tunnel+tls${url}`).tls).toEqual(tls)
    expect(given(`tunnel+tcp${url}&tls`).tls).toEqual(tls)
    expect(() => given('tunnel+tls://h:1?ca=/no/such/file')).toThrow(/ENOENT.*no\/such\/file/)
  })

  it.each([
    ['tunnel+tcp://:5000', /a host to connect to is missing, or \?listen/],
    ['tunnel+tcp://host', /HOST:PORT is expected/],
    ['tunnel+tcp://host:70000', /HOST:PORT is expected/],
    ['tunnel+tcp://fd00::1:5000', /HOST:PORT is expected/],
    ['tunnel+tcp://h:1?order=pdp', /neither be nor le/],
    ['tunnel+tcp://h:1?speed=9', /Unknown option speed/],
  ])('refuses %s', (url, words) => {
    expect(() => given(url)).toThrow(words)
  })

  it('refuses what its own function cannot do', async () => {
    await expect(openTunnel('udp://1->h:2')).rejects.toThrow(/tunnel\+tcp:\/\/HOST:PORT is expected/)
    await expect(openTunnel({ place: { port: 1 }, listen: true, pad: 99 })).rejects.toThrow(/Invalid pad 99/)
    await expect(openTunnel({ place: { host: HERE, port: 0 }, listen: true, mtu: 99_999 })).rejects.toThrow(/Invalid MTU/)
    for (const keepAliveMs of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      await expect(openTunnel({ place: { host: HERE, port: 0 }, listen: true, keepAliveMs })).rejects.toThrow(/keepAliveMs/)
    await expect(openTunnel({ place: { host: HERE, port: 0 }, listen: true, allow: ['x'] })).rejects.toThrow(/address/)
  })
})
