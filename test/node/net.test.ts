import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import nodeNet from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { Socket } from '../../src/node/socket.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { event, fakeStack } from '../support/node-shape.ts'

function two(options?: Parameters<typeof createPipe>[0]): [NodeStack, NodeStack] {
  const [a, b] = createPipe(options)
  const left = createStack({ name: 'left' })
  const right = createStack({ name: 'right' })
  left.attach(a, { addresses: ['10.0.0.1/24'] })
  right.attach(b, { addresses: ['10.0.0.2/24'] })
  return [left, right]
}

/** Bytes that never repeat within a chunk's length, the same on every run. */
function pattern(length: number): Buffer {
  const out = Buffer.allocUnsafe(length)
  for (let i = 0, x = 1; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0
    out[i] = x >>> 24
  }
  return out
}

const sha = (b: Buffer): string => createHash('sha256').update(b).digest('hex')

/** Everything up to the end. (Not by iteration: that destroys the socket at the end, and with it what is still to be written.) */
function collect(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('end', () => resolve(Buffer.concat(chunks)))
  })
}

describe('net between two stacks', () => {
  it.each([{ offload: true }, { offload: false }])('moves megabytes both ways, byte for byte (%o)', async (options) => {
    const [left, right] = two(options)
    const up = pattern(3_000_000)
    const down = pattern(5_000_000)
    let received: Promise<Buffer> | null = null
    const server = right.net.createServer({ allowHalfOpen: true }, (s) => {
      received = collect(s)
      s.end(down)
    })
    server.listen(80)
    await event(server, 'listening')
    const client = left.net.connect({ port: 80, host: '10.0.0.2', allowHalfOpen: true })
    client.end(up)
    const got = await collect(client)
    expect(got.length).toBe(down.length)
    expect(sha(got)).toBe(sha(down))
    const theirs = await received!
    expect(theirs.length).toBe(up.length)
    expect(sha(theirs)).toBe(sha(up))
    await Promise.all([left.close(), right.close()])
  })

  it('names the peer of either side', async () => {
    const [left, right] = two()
    const server = right.net.createServer()
    server.listen(80, '10.0.0.2')
    await event(server, 'listening')
    expect(server.address()).toEqual({ address: '10.0.0.2', family: 'IPv4', port: 80 })
    const client = left.net.connect({ port: 80, host: '10.0.0.2', localPort: 4567, localAddress: '10.0.0.1' })
    const accepted = (await event(server, 'connection')) as Socket
    expect(accepted.remoteAddress).toBe('10.0.0.1')
    expect(accepted.remotePort).toBe(4567)
    expect(client.address()).toEqual({ address: '10.0.0.1', family: 'IPv4', port: 4567 })
    await Promise.all([left.close(), right.close()])
  })

  it('has its own servers and nobody else’s: the host’s loopback is not reached', async () => {
    const [left, right] = two()
    const outside = nodeNet.createServer().listen(0, '127.0.0.1')
    await event(outside, 'listening')
    const { port } = outside.address() as nodeNet.AddressInfo
    const error = (await event(left.net.connect(port, 'localhost'), 'error')) as NodeJS.ErrnoException
    // As Node: localhost is tried in both families, and one error tells of both.
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
    const each = (error as unknown as AggregateError).errors
    expect(each).toMatchObject([
      { code: 'ECONNREFUSED', address: '::1', port },
      { code: 'ECONNREFUSED', address: '127.0.0.1', port },
    ])
    outside.close()
    await Promise.all([left.close(), right.close()])
  })

  it('says ENOTFOUND for a name, as getaddrinfo does', async () => {
    const [left, right] = two()
    const client = left.net.connect(80, 'nowhere.example')
    const looked: unknown[] = []
    client.on('lookup', (...args) => looked.push(args[3]))
    const error = (await event(client, 'error')) as NodeJS.ErrnoException
    const { message, code, errno, syscall } = error
    expect({ message, code, errno, syscall, hostname: (error as { hostname?: string }).hostname }).toEqual({
      message: 'getaddrinfo ENOTFOUND nowhere.example: no DNS server is known: none was set, and no interface was told of one',
      code: 'ENOTFOUND',
      errno: -3008,
      syscall: 'getaddrinfo',
      hostname: 'nowhere.example',
    })
    expect(looked).toEqual(['nowhere.example'])
    const server = left.net.createServer()
    server.listen(80, 'nowhere.example')
    expect(await event(server, 'error')).toMatchObject({ code: 'ENOTFOUND' })
    await Promise.all([left.close(), right.close()])
  })

  it('says ENETUNREACH with the local address that there is not, as Node does', async () => {
    const [left, right] = two()
    const error = await event(left.net.connect(80, '192.0.2.1'), 'error')
    expect(error).toMatchObject({
      message: 'connect ENETUNREACH 192.0.2.1:80 - Local (0.0.0.0:0)',
      code: 'ENETUNREACH',
      errno: -101,
      syscall: 'connect',
      address: '192.0.2.1',
      port: 80,
    })
    await Promise.all([left.close(), right.close()])
  })

  it('ends servers and sockets with the stack, and lets nobody wait', async () => {
    const [left, right] = two()
    const server = right.net.createServer((s) => s.on('error', () => {}))
    server.listen(80)
    await event(server, 'listening')
    const client = left.net.connect(80, '10.0.0.2')
    client.on('error', () => {})
    const accepted = (await event(server, 'connection')) as Socket
    const all = [event(server, 'close'), event(accepted, 'close'), event(client, 'close')]
    await Promise.all([left.close(), right.close()])
    await Promise.all(all)
    expect(right.owned.size).toBe(0)
  })

  it('refuses paths and descriptors with one line that says what to do', () => {
    const { net } = fakeStack()
    const unsupported = expect.objectContaining({
      code: 'ERR_TAPSTACK_UNSUPPORTED',
      message: expect.stringContaining('use node:net'),
    })
    expect(() => net.connect('/tmp/socket')).toThrow(unsupported)
    expect(() => net.createServer().listen('/tmp/socket')).toThrow(unsupported)
    expect(() => net.createServer().listen({ fd: 0 })).toThrow(unsupported)
    expect(() => new net.Socket({ fd: 0 })).toThrow(unsupported)
  })
})

describe('back-pressure', () => {
  it('stops reading when the stream is full, so that the sender stops too', async () => {
    const { net, tcp } = fakeStack(32_768)
    const server = net.createServer()
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const client = net.connect(80, '10.0.0.1')
    const accepted = (await event(server, 'connection')) as Socket
    const data = pattern(1_000_000)
    const calledBack: string[] = []
    expect(client.write(data, () => calledBack.push('written'))).toBe(false)
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    // Nobody reads: one chunk is in the stream, one buffer full is in TCP, the rest waits with the writer.
    expect(accepted.readableLength).toBeLessThanOrEqual(65_536)
    expect(accepted.readableLength).toBeGreaterThan(0)
    expect(tcp.connections[1].readable).toBe(32_768)
    expect(calledBack).toEqual([])
    expect(client.bytesWritten).toBe(data.length)
    expect(accepted.bytesRead).toBe(accepted.readableLength)
    let drained = false
    client.on('drain', () => {
      drained = true
    })
    client.end()
    expect(sha(await collect(accepted))).toBe(sha(data))
    expect(calledBack).toEqual(['written'])
    expect(drained || client.writableEnded).toBe(true)
    server.close()
  })

  it('lets a paused flow stand still and go on', async () => {
    const { net, tcp } = fakeStack(16_384)
    const server = net.createServer((s) => s.end(pattern(200_000)))
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const client = net.connect(80, '10.0.0.1')
    let got = 0
    client.on('data', (chunk: Buffer) => {
      got += chunk.length
      client.pause()
      setImmediate(() => client.resume())
    })
    await event(client, 'end')
    expect(got).toBe(200_000)
    expect(tcp.connections.every((c) => c.readable === 0)).toBe(true)
    server.close()
  })

  it('reads into the buffer of `onread` until it says stop', async () => {
    const { net } = fakeStack()
    const server = net.createServer((s) => s.end('0123456789'))
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const parts: string[] = []
    const buffers: Buffer[] = []
    const client = net.connect({
      port: 80,
      host: '10.0.0.1',
      onread: {
        buffer: () => {
          buffers.push(Buffer.alloc(4))
          return buffers[buffers.length - 1]
        },
        callback: (n: number, buf: Uint8Array) => {
          parts.push(Buffer.from(buf.subarray(0, n)).toString())
          setImmediate(() => client.resume())
          return false
        },
      },
    })
    await event(client, 'end')
    expect(parts).toEqual(['0123', '4567', '89'])
    expect(buffers.length).toBe(4)
    server.close()
  })

  it('does not share memory between chunks', async () => {
    const { net } = fakeStack()
    const server = net.createServer()
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const client = net.connect(80, '10.0.0.1')
    const accepted = (await event(server, 'connection')) as Socket
    const chunks: Buffer[] = []
    accepted.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      client.emit('echoed')
    })
    for (const size of [1, 3, 100, 5000, 16_383, 16_384, 30_000]) {
      const echoed = event(client, 'echoed')
      client.write(Buffer.alloc(size, chunks.length + 1))
      await echoed
    }
    chunks.forEach((chunk, i) => {
      expect(chunk.every((b) => b === i + 1)).toBe(true)
    })
    expect(chunks.map((c) => c.length)).toEqual([1, 3, 100, 5000, 16_383, 16_384, 30_000])
    client.destroy()
    server.close()
  })
})

describe('options of TCP itself', () => {
  it('reach the connection from the SYN on, change while it runs, and info() is at hand', async () => {
    const [a, b] = two()
    const server = b.net.createServer({ tapstack: { receiveBufferBytes: 30_000, maxSegmentBytes: 900 } })
    server.listen(80)
    await event(server, 'listening')
    const accepted = new Promise<Socket>((resolve) => server.on('connection', resolve))
    const client = a.net.connect({ port: 80, host: '10.0.0.2', tapstack: { cork: true, ttl: 33 } })
    expect(client.tapstack === null || client.connecting).toBe(true)
    await event(client, 'connect')
    const socket = await accepted
    expect(socket.tapstack!.info().receiveBufferBytes).toBe(30_000)
    expect(client.tapstack!.info().mss).toBeLessThanOrEqual(900)
    client.tapstack!.set({ cork: false, keepAlive: true })
    const gone = event(socket.resume(), 'close')
    client.destroy()
    expect(client.tapstack).toBeNull()
    await gone
    server.close()
    await a.close()
    await b.close()
  })

  it('what cannot be is said at once', () => {
    const { net } = fakeStack()
    const bad = { tapstack: { speed: 1 } as object }
    const wrong = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(() => net.connect({ port: 80, host: '10.0.0.1', ...bad })).toThrow(wrong)
    expect(() => net.createServer(bad)).toThrow(wrong)
    expect(() => new net.Socket(bad)).toThrow(wrong)
  })
})

describe('options of a socket', () => {
  it('reach the connection, before and after it is there', async () => {
    const { net, tcp } = fakeStack()
    const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 3000 })
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const accepted = event(server, 'connection')
    const client = net.connect({ port: 80, host: '10.0.0.1', noDelay: true, keepAlive: true, keepAliveInitialDelay: 1500 })
    await event(client, 'connect')
    client.setNoDelay(false).setKeepAlive(false).setKeepAlive(true, 250)
    expect(tcp.connections[0].calls).toEqual([
      'noDelay true',
      'keepAlive true 1500',
      'noDelay false',
      'keepAlive false 0',
      'keepAlive true 250',
    ])
    await accepted
    expect(tcp.connections[1].calls).toEqual(['noDelay true', 'keepAlive true 3000'])
    client.destroy()
    server.close()
  })

  it('resetAndDestroy aborts, destroy closes', async () => {
    const { net, tcp } = fakeStack()
    const server = net.createServer((s) => s.on('error', () => {}))
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const a = net.connect(80, '10.0.0.1')
    await event(a, 'connect')
    a.destroy()
    const b = net.connect(80, '10.0.0.1')
    await event(b, 'connect')
    b.resetAndDestroy()
    expect(tcp.connections[0].calls).toEqual(['close'])
    expect(tcp.connections[2].calls).toEqual(['abort'])
    server.close()
  })
})

describe('errors of a connection', () => {
  async function connected(): Promise<{ client: Socket; break(code: string): void; data(text: string): void }> {
    const { net, tcp } = fakeStack()
    net.createServer().listen(80, '10.0.0.1')
    await new Promise((resolve) => setImmediate(resolve))
    const client = net.connect(80, '10.0.0.1')
    await event(client, 'connect')
    await new Promise((resolve) => setImmediate(resolve))
    return {
      client,
      break: (code) => tcp.connections[0].break(code),
      data: (text) => void tcp.connections[1].write(Buffer.from(text), 0, text.length),
    }
  }

  it('belong to the read when the socket reads', async () => {
    const { client, break: end } = await connected()
    end('ETIMEDOUT')
    expect(await event(client, 'error')).toMatchObject({
      message: 'read ETIMEDOUT',
      code: 'ETIMEDOUT',
      errno: -110,
      syscall: 'read',
    })
    expect(client.destroyed).toBe(true)
  })

  it('come after the bytes that came before', async () => {
    const { client, break: end, data } = await connected()
    const log: string[] = []
    client.on('data', (chunk: Buffer) => log.push(chunk.toString()))
    client.on('error', (e) => log.push(e.message))
    data('unread')
    end('ECONNRESET')
    await event(client, 'close')
    expect(log).toEqual(['unread', 'read ECONNRESET'])
  })

  it('belong to the write that waits, when nothing is read', async () => {
    const { client, break: end, data } = await connected()
    client.pause()
    data('x'.repeat(60_000)) // more than the stream holds: reading has stopped
    await new Promise((resolve) => setImmediate(resolve))
    const error = event(client, 'error')
    const failed = new Promise<Error | null | undefined>((resolve) => client.write(pattern(200_000), resolve))
    end('ECONNRESET')
    expect(await failed).toMatchObject({ message: 'write ECONNRESET', code: 'ECONNRESET', errno: -104, syscall: 'write' })
    expect(await error).toBe(await failed)
  })
})

describe('async contexts', () => {
  it('run the events of a socket in the context in which it was made', async () => {
    const { net } = fakeStack()
    const store = new AsyncLocalStorage<string>()
    const seen: [string, string | undefined][] = []
    const see = (what: string): void => void seen.push([what, store.getStore()])
    const server = net.createServer((s) => {
      see('connection')
      s.on('data', () => see('server data'))
      s.pipe(s)
    })
    await store.run('server', () => {
      server.listen(80, '10.0.0.1')
      return event(server, 'listening')
    })
    const make = (name: string): Socket =>
      store.run(name, () => {
        const client = net.connect(80, '10.0.0.1')
        client.on('connect', () => see('connect'))
        client.on('data', () => {
          see('data')
          client.end()
        })
        client.on('end', () => see('end'))
        client.on('close', () => see('close'))
        return client
      })
    const one = make('one')
    const closedOne = event(one, 'close')
    await event(one, 'connect')
    store.run('stranger', () => one.write('x'))
    await closedOne
    const two = make('two')
    two.write('y')
    await event(two, 'close')
    const clients = seen.filter(([what]) => !what.startsWith('server') && what !== 'connection')
    expect(clients).toEqual([
      ...['connect', 'data', 'end', 'close'].map((what) => [what, 'one']),
      ...['connect', 'data', 'end', 'close'].map((what) => [what, 'two']),
    ])
    expect(seen.filter(([what]) => what === 'connection')).toEqual([
      ['connection', 'server'],
      ['connection', 'server'],
    ])
    server.close()
  })
})

describe('a listener that throws', () => {
  it('costs no bytes: the rest is told, the error is uncaught', async () => {
    const { net, host } = fakeStack()
    const thrown: unknown[] = []
    host.uncaught = (e) => thrown.push(e)
    const server = net.createServer((s) => s.end(pattern(300_000)))
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const client = net.connect(80, '10.0.0.1')
    let got = 0
    let throws = 2
    client.on('data', (chunk: Buffer) => {
      got += chunk.length
      if (throws-- > 0) throw new Error('from a listener')
    })
    await event(client, 'end')
    expect(got).toBe(300_000)
    expect(thrown.length).toBeGreaterThanOrEqual(1)
    server.close()
  })
})

describe('classes', () => {
  it('can be called, constructed and inherited from', () => {
    const { net } = fakeStack()
    expect(net.Socket()).toBeInstanceOf(net.Socket)
    expect(net.Server()).toBeInstanceOf(net.Server)
    expect(net.Socket.name).toBe('Socket')
    expect(new net.Socket().constructor).toBe(net.Socket)
    class Mine extends net.Socket {
      readonly mine = 7
    }
    const mine = new Mine()
    expect(mine).toBeInstanceOf(Mine)
    expect(mine).toBeInstanceOf(net.Socket)
    expect(mine.mine).toBe(7)
    expect(fakeStack().net.Socket()).not.toBeInstanceOf(net.Socket)
  })

  it('bear properties of their users: nothing of ours has a common name', async () => {
    const { net } = fakeStack()
    const server = net.createServer((s) => s.pipe(s))
    server.listen(80, '10.0.0.1')
    await event(server, 'listening')
    const client = net.connect(80, '10.0.0.1')
    const names = [
      'driver',
      'connection',
      'handler',
      'timer',
      'queue',
      'peer',
      'local',
      'state',
      'owner',
      'reading',
      'id',
      'stack',
      'deps',
      'done',
    ]
    for (const name of names) (client as unknown as Record<string, unknown>)[name] = 'the user’s'
    client.end('still works')
    expect((await collect(client)).toString()).toBe('still works')
    server.close()
  })

  it('carry what wraps any stream: TLS greets over them', async () => {
    const { net } = fakeStack()
    const server = net.createServer()
    server.listen(443, '10.0.0.1')
    await event(server, 'listening')
    const client = net.connect(443, '10.0.0.1')
    const tls = tlsConnect({ socket: client, servername: 'a.example' })
    tls.on('error', () => {})
    const accepted = (await event(server, 'connection')) as Socket
    const hello = (await event(accepted, 'data')) as Buffer
    expect([hello[0], hello[1]]).toEqual([0x16, 3]) // a handshake record
    expect(hello.includes('a.example')).toBe(true)
    tls.destroy()
    accepted.destroy()
    server.close()
  })
})
