/** TCP in the web's shape, between two stacks of the pure core. */
import { describe, expect, it } from 'vitest'
import { SocketError } from '../../src/web/errors.ts'
import type { TcpSocket } from '../../src/web/tcp-socket.ts'
import { bytes, textOf, type WebPair, webPair } from '../support/web-pair.ts'

/** A client and the socket that the server accepted. */
async function connected(
  pair: WebPair,
  client: Parameters<WebPair['client']['tcp']['connect']>[1] = {},
  server: { allowHalfOpen?: boolean; receiveBufferBytes?: number } = {},
): Promise<[TcpSocket, TcpSocket]> {
  const listener = pair.server.tcp.listen({ port: 0, ...server })
  const socket = pair.client.tcp.connect({ hostname: '10.0.0.2', port: listener.port }, client)
  const accepted = await listener.next()
  await socket.opened
  await listener.return()
  return [socket, accepted.value!]
}

/** As many turns as microtasks make, some times over. */
const turns = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
}

const failing = async (promise: Promise<unknown>): Promise<SocketError> => {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SocketError)
  return error as SocketError
}

describe('connect', () => {
  it('opens, says where it is, and carries bytes both ways until both have ended', async () => {
    await using pair = webPair()
    const listener = pair.server.tcp.listen({ port: 80 })
    const echo = (async () => {
      for await (const socket of listener) await socket.readable.pipeTo(socket.writable)
    })()
    const socket = pair.client.tcp.connect('server:80')
    const info = await socket.opened
    expect(info).toEqual({ remoteAddress: '10.0.0.2:80', localAddress: expect.stringMatching(/^10\.0\.0\.1:\d+$/), alpn: null })
    const writer = socket.writable.getWriter()
    await writer.write(bytes('hello '))
    await writer.write(bytes('world').buffer)
    await writer.close()
    expect(await textOf(socket.readable)).toBe('hello world')
    expect(await socket.closed).toBeUndefined()
    expect([socket.upgraded, socket.secureTransport]).toEqual([false, 'off'])
    listener.close()
    await echo
  })

  it('takes an IPv6 literal in brackets, and a port as digits', async () => {
    await using pair = webPair()
    const listener = pair.server.tcp.listen({ port: 0, hostname: 'fd00::2' })
    expect(listener.hostname).toBe('fd00::2')
    const socket = pair.client.tcp.connect(`[fd00::2]:${listener.port}`)
    expect((await socket.opened).remoteAddress).toBe(`[fd00::2]:${listener.port}`)
  })

  it('says why there is no connection, at opened, closed and both streams', async () => {
    await using pair = webPair()
    const socket = pair.client.tcp.connect({ hostname: '10.0.0.2', port: 9 })
    const error = await failing(socket.opened)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe('SocketError: connect ECONNREFUSED 10.0.0.2:9')
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.2', port: 9 })
    expect(await failing(socket.closed)).toBe(error)
    expect(await failing(socket.readable.getReader().read())).toBe(error)
    expect(await failing(socket.writable.getWriter().write(bytes('x')))).toBe(error)
  })

  it('of an unknown name, without a route', async () => {
    await using pair = webPair()
    expect(await failing(pair.client.tcp.connect('nowhere.invalid:80').opened)).toMatchObject({ code: 'ENOTFOUND' })
    expect(await failing(pair.client.tcp.connect('192.0.2.1:80').opened)).toMatchObject({
      code: 'ENETUNREACH',
      address: '192.0.2.1',
    })
  })

  it.each([['host'], ['fd00::2:80'], ['host:0'], ['host:65536'], [{ hostname: '', port: 80 }], [{ hostname: 'a', port: 1.5 }]])(
    'throws for %o',
    async (address) => {
      await using pair = webPair()
      const connect = (): TcpSocket => pair.client.tcp.connect(address)
      expect(connect).toThrow(SocketError)
      expect(connect).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
    },
  )

  it('without TLS on the platform says so', async () => {
    await using pair = webPair()
    const connect = (): TcpSocket => pair.client.tcp.connect('server:443', { secureTransport: 'on' })
    expect(connect).toThrow(expect.objectContaining({ code: 'ERR_TAPSTACK_UNSUPPORTED' }))
    const [socket] = await connected(pair)
    expect(() => socket.startTls()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  })
})

describe('reading', () => {
  it('fills the buffer of a BYOB reader, and gives it back at the end', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const reader = socket.readable.getReader({ mode: 'byob' })
    const reading = reader.read(new Uint8Array(new ArrayBuffer(16), 4, 8))
    await peer.writable.getWriter().write(bytes('0123456789'))
    const first = await reading
    expect([Buffer.from(first.value!).toString(), first.value!.byteOffset, first.value!.buffer.byteLength]).toEqual([
      '01234567',
      4,
      16,
    ])
    const words = await reader.read(new Uint16Array(4) as unknown as Uint8Array)
    expect(Buffer.from(words.value!.buffer, 0, 2).toString()).toBe('89')
    const last = reader.read(new Uint8Array(8))
    void peer.close()
    expect(await last).toMatchObject({ done: true, value: new Uint8Array(0) })
  })

  it('serves reads in the order in which they were asked for', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const reader = socket.readable.getReader()
    const reads = [reader.read(), reader.read()]
    const writer = peer.writable.getWriter()
    await writer.write(bytes('one'))
    expect(Buffer.from((await reads[0]).value!).toString()).toBe('one')
    await writer.write(bytes('two'))
    expect(Buffer.from((await reads[1]).value!).toString()).toBe('two')
  })

  it('holds the peer back when nobody reads, and not a byte is lost', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair, { receiveBufferBytes: 65_536 })
    const writer = peer.writable.getWriter()
    const total = 4 << 20
    const chunk = new Uint8Array(64 << 10)
    let taken = 0
    const writing = (async () => {
      for (let at = 0; at < total; at += chunk.length) {
        for (let i = 0; i < chunk.length; i++) chunk[i] = (at / chunk.length + i) & 255
        await writer.write(chunk)
        taken = at + chunk.length
      }
      await writer.close()
    })()
    await new Promise((resolve) => setImmediate(resolve)) // as many turns as microtasks make
    const before = taken
    expect(before).toBeLessThan(total)
    let at = 0
    for await (const got of socket.readable) {
      for (let i = 0; i < got.length; i++, at++) {
        if (got[i] !== ((((at / chunk.length) | 0) + (at % chunk.length)) & 255)) throw new Error(`byte ${at} is another`)
      }
    }
    await writing
    expect([at, taken]).toEqual([total, total])
  })

  it('gives what waits in chunks of 256 KiB at most, each with memory of its own', async () => {
    await using pair = webPair()
    const [client, server] = await connected(pair, {}, { receiveBufferBytes: 1 << 20 })
    const sent = Uint8Array.from({ length: 600_000 }, (_, i) => (i * 7) & 0xff)
    const writer = client.writable.getWriter()
    writer.write(sent).then(() => writer.close())
    await turns()
    const chunks: Uint8Array[] = []
    for await (const chunk of server.readable) chunks.push(chunk)
    expect(chunks.map((c) => c.length)).toEqual([262_144, 262_144, 75_712])
    expect(chunks.map((c) => c.buffer.byteLength)).toEqual([262_144, 262_144, 75_712])
    expect(Buffer.compare(Buffer.concat(chunks), sent)).toBe(0)
  })

  it('leaves with the application what TCP would not send yet, unless the socket says otherwise', async () => {
    await using pair = webPair()
    const taken = async (options: { notSentLowatBytes?: number }): Promise<number> => {
      const [client] = await connected(pair, { sendBufferBytes: 1 << 20, ...options }, { receiveBufferBytes: 8192 })
      const writer = client.writable.getWriter()
      let done = 0
      for (let i = 0; i < 64; i++) {
        const count = (): number => (done += 16_384)
        writer.write(new Uint8Array(16_384)).then(count, () => undefined)
      }
      await turns()
      return done
    }
    const held = await taken({})
    expect(held).toBeGreaterThan(200_000)
    expect(held).toBeLessThan(300_000)
    expect(await taken({ notSentLowatBytes: 0 })).toBeGreaterThan(900_000)
  })

  it('cancel throws away what comes, and writing goes on', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair, {}, { allowHalfOpen: true })
    await peer.writable.getWriter().write(bytes('unwanted'))
    await socket.readable.cancel('enough')
    const writer = socket.writable.getWriter()
    await writer.write(bytes('still here'))
    await writer.close()
    expect(await textOf(peer.readable)).toBe('still here')
  })

  it('a reset is told after the bytes that came before it', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const writer = peer.writable.getWriter()
    await writer.write(bytes('last words'))
    await new Promise((resolve) => setImmediate(resolve))
    void writer.abort('gone')
    const error = await failing(socket.closed)
    expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read' })
    const reader = socket.readable.getReader()
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('last words')
    expect(await failing(reader.read())).toBe(error)
    expect(await failing(socket.writable.getWriter().closed)).toBe(error)
  })
})

describe('half-open', () => {
  it('without it our direction ends when the end of the peer was read', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    await peer.writable.close()
    expect(await textOf(socket.readable)).toBe('')
    expect(await textOf(peer.readable)).toBe('')
    expect(await Promise.all([socket.closed, peer.closed])).toEqual([undefined, undefined])
  })

  it('also when a writer holds the stream: what it writes afterwards is EPIPE', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const writer = socket.writable.getWriter()
    await peer.writable.close()
    expect(await textOf(socket.readable)).toBe('')
    expect(await textOf(peer.readable)).toBe('')
    expect(await failing(writer.write(bytes('late')))).toMatchObject({ code: 'EPIPE' })
  })

  it('with it the answer may come after the question has ended', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair, {}, { allowHalfOpen: true })
    const writer = socket.writable.getWriter()
    await writer.write(bytes('question'))
    await writer.close()
    expect(await textOf(peer.readable)).toBe('question')
    const answer = peer.writable.getWriter()
    await answer.write(bytes('answer'))
    await answer.close()
    expect(await textOf(socket.readable)).toBe('answer')
    await Promise.all([socket.closed, peer.closed])
  })
})

describe('close', () => {
  it('lets out what was written, ends readers, fails writers, gives the promise of closed', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const writer = socket.writable.getWriter()
    await writer.write(bytes('bye'))
    const reading = socket.readable.getReader().read()
    const closing = socket.close()
    expect(closing).toBe(socket.closed)
    expect(await reading).toEqual({ done: true, value: undefined })
    expect(await failing(writer.closed)).toMatchObject({ code: 'ERR_SOCKET_CLOSED' })
    expect(await textOf(peer.readable)).toBe('bye')
    await closing
    expect(await socket.close()).toBeUndefined()
  })

  it('gives its reason to writers', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const reason = new Error('enough')
    const writer = socket.writable.getWriter()
    void socket.close(reason)
    await expect(writer.closed).rejects.toBe(reason)
  })

  it('before the connection is there', async () => {
    await using pair = webPair()
    const socket = pair.client.tcp.connect('10.0.0.2:80')
    const closed = socket.close()
    expect(await failing(socket.opened)).toMatchObject({ code: 'ERR_SOCKET_CLOSED_BEFORE_CONNECTION' })
    expect(await closed).toBeUndefined()
    expect(pair.client.connections()).toEqual([])
  })

  it('by aborting the writable before there is a connection', async () => {
    await using pair = webPair()
    const socket = pair.client.tcp.connect('10.0.0.2:80')
    await socket.writable.abort('never mind')
    await expect(socket.opened).rejects.toBe('never mind')
    await expect(socket.closed).rejects.toBe('never mind')
    expect(pair.client.connections()).toEqual([])
  })

  it('of the stack breaks sockets and ends listeners', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const listener = pair.client.tcp.listen({ port: 0 })
    const waiting = listener.next()
    await pair.client.close()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await failing(socket.closed)).toMatchObject({ code: 'ERR_STACK_CLOSED' })
  })
})

describe('a signal', () => {
  it('ends the attempt with its reason', async () => {
    await using pair = webPair()
    const abort = new AbortController()
    const socket = pair.client.tcp.connect('10.0.0.2:80', { signal: abort.signal })
    abort.abort('changed my mind')
    await expect(socket.opened).rejects.toBe('changed my mind')
    await expect(socket.closed).rejects.toBe('changed my mind')
    const late = pair.client.tcp.connect('10.0.0.2:80', { signal: AbortSignal.abort('before') })
    await expect(late.opened).rejects.toBe('before')
    expect(pair.client.connections()).toEqual([])
  })

  it('resets a connection', async () => {
    await using pair = webPair()
    const abort = new AbortController()
    const [socket, peer] = await connected(pair, { signal: abort.signal })
    abort.abort('now')
    await expect(socket.closed).rejects.toBe('now')
    await expect(socket.readable.getReader().read()).rejects.toBe('now')
    expect(await failing(peer.closed)).toMatchObject({ code: 'ECONNRESET' })
  })
})

describe('a listener', () => {
  it('is ended by break, and its port is free again', async () => {
    await using pair = webPair()
    const first = pair.client.tcp.connect({ hostname: '10.0.0.2', port: 81 })
    await failing(first.opened)
    const listener = pair.server.tcp.listen({ port: 81 })
    const socket = pair.client.tcp.connect('10.0.0.2:81')
    for await (const accepted of listener) {
      expect((await accepted.opened).remoteAddress).toBe((await socket.opened).localAddress)
      break
    }
    await listener.closed
    expect(await listener.next()).toEqual({ done: true, value: undefined })
    pair.server.tcp.listen({ port: 81 }).close()
  })

  it('takes nobody before it is asked: beyond the backlog they wait outside', async () => {
    await using pair = webPair()
    const listener = pair.server.tcp.listen({ port: 82, backlog: 2 })
    const sockets = [1, 2, 3, 4].map(() => pair.client.tcp.connect('10.0.0.2:82'))
    await Promise.all(sockets.map((s) => s.opened)) // a SYN is answered at once: these believe it
    expect(pair.server.connections().filter((c) => c.state === 'ESTABLISHED').length).toBe(2)
    expect(pair.server.counters().tcp.ListenOverflows).toBeGreaterThan(0)
    const addresses: string[] = []
    for (let i = 0; i < 2; i++) addresses.push((await (await listener.next()).value!.opened).remoteAddress)
    expect(new Set(addresses).size).toBe(2)
    for (const s of sockets) void s.close()
  })

  it('with a signal throws its reason, once', async () => {
    await using pair = webPair()
    const abort = new AbortController()
    const listener = pair.server.tcp.listen({ port: 0, signal: abort.signal })
    const waiting = listener.next()
    abort.abort('over')
    await expect(waiting).rejects.toBe('over')
    expect(await listener.next()).toEqual({ done: true, value: undefined })
  })

  it('says what it cannot listen on', async () => {
    await using pair = webPair()
    pair.server.tcp.listen({ port: 83 })
    expect(() => pair.server.tcp.listen({ port: 83 })).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }))
    expect(() => pair.server.tcp.listen({ port: 0, hostname: '10.0.0.77' })).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    )
    expect(() => pair.server.tcp.listen({ port: -1 })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }))
  })
})

describe('writing', () => {
  it('refuses what is no bytes, and the stream is broken by it', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const writer = socket.writable.getWriter()
    const error = await failing(writer.write('text' as unknown as Uint8Array))
    expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
    expect(await failing(writer.closed)).toBe(error)
  })

  it('takes views of other kinds, and waits for its turn', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const writer = socket.writable.getWriter()
    expect(writer.desiredSize).toBe(16_384)
    void writer.write(new Uint8Array(20_000))
    expect(writer.desiredSize).toBe(16_384 - 20_000)
    await writer.ready
    await writer.write(new DataView(bytes('a view').buffer, 2))
    await writer.close()
    expect((await textOf(peer.readable)).slice(20_000)).toBe('view')
  })
})
