/** The streams of sockets as the Streams Standard has them: locks, cancellation, abort, pipes, tees, buffers of the reader's own, and what is left behind. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import type { TcpSocket } from '../../src/web/tcp-socket.ts'
import { bytes, textOf, type WebPair, webPair } from '../support/web-pair.ts'

async function connected(pair: WebPair, client: object = {}, server: object = {}): Promise<[TcpSocket, TcpSocket]> {
  const listener = pair.server.tcp.listen({ port: 0, ...server })
  const socket = pair.client.tcp.connect({ hostname: '10.0.0.2', port: listener.port }, client)
  const accepted = await listener.next()
  await socket.opened
  await listener.return()
  return [socket, accepted.value!]
}

const text = (view: Uint8Array | undefined): string => Buffer.from(view ?? []).toString('latin1')
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (reason: unknown) => reason,
  )
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** Both stacks have forgotten their connections, but for those that only wait for old segments to die. */
async function gone(pair: WebPair): Promise<void> {
  for (const stack of [pair.client, pair.server]) {
    while (stack.connections().some(({ state }) => state !== 'TIME-WAIT')) await turn()
  }
}

describe('locks', () => {
  it('a read that waited when the lock was given up rejects, and its bytes are the next reader’s', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const first = socket.readable.getReader()
    const reading = failure(first.read())
    first.releaseLock()
    expect(await reading).toBeInstanceOf(TypeError)
    expect(await failure(first.closed)).toBeInstanceOf(TypeError)
    await peer.writable.getWriter().write(bytes('for the next'))
    expect(text((await socket.readable.getReader().read()).value)).toBe('for the next')
  })

  it('the same with a buffer, and then without one', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const first = socket.readable.getReader({ mode: 'byob' })
    const reading = failure(first.read(new Uint8Array(4)))
    first.releaseLock()
    expect(await reading).toBeInstanceOf(TypeError)
    const second = socket.readable.getReader()
    const next = second.read()
    await peer.writable.getWriter().write(bytes('longer than four'))
    let heard = text((await next).value)
    while (heard.length < 16) heard += text((await second.read()).value)
    expect(heard).toBe('longer than four')
  })

  it('of a writer: what is queued goes on, ready and closed reject', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const writer = socket.writable.getWriter()
    const writes = [writer.write(bytes('one ')), writer.write(bytes('two'))]
    writer.releaseLock()
    expect(await failure(writer.closed)).toBeInstanceOf(TypeError)
    await Promise.all(writes)
    await socket.writable.close()
    expect(await textOf(peer.readable)).toBe('one two')
  })

  it('readable and writable are locked one by one', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const reader = socket.readable.getReader()
    expect([socket.readable.locked, socket.writable.locked]).toEqual([true, false])
    expect(await failure(socket.readable.cancel())).toBeInstanceOf(TypeError)
    expect(() => socket.readable.getReader()).toThrow(TypeError)
    await reader.cancel()
    reader.releaseLock()
    expect(socket.readable.locked).toBe(false)
  })
})

describe('cancel', () => {
  it('resolves reads that wait and reader.closed', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const reader = socket.readable.getReader()
    const waiting = reader.read()
    expect(await reader.cancel('reason')).toBeUndefined()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await reader.closed).toBeUndefined()
    expect(await reader.read()).toEqual({ done: true, value: undefined })
  })

  it('with the writable closed leaves no connection behind', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    await socket.writable.close()
    await socket.readable.cancel()
    await peer.close()
    await Promise.all([socket.closed, peer.closed])
    await gone(pair)
  })

  it('and then the end of the peer ends our direction, too: nobody has to read it', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    await socket.readable.cancel()
    await peer.writable.close()
    expect(await textOf(peer.readable)).toBe('')
    await Promise.all([socket.closed, peer.closed])
    await gone(pair)
  })

  it('with allowHalfOpen the end of the peer leaves our direction open', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair, { allowHalfOpen: true })
    await socket.readable.cancel()
    await peer.writable.close()
    const writer = socket.writable.getWriter()
    await writer.write(bytes('still'))
    await turn()
    await writer.write(bytes(' here'))
    await writer.close()
    expect(await textOf(peer.readable)).toBe('still here')
    await Promise.all([socket.closed, peer.closed])
    await gone(pair)
  })

  it('by leaving for await', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    await peer.writable.getWriter().write(bytes('first'))
    for await (const chunk of socket.readable) {
      expect(text(chunk)).toBe('first')
      break
    }
    expect(socket.readable.locked).toBe(false)
    expect(await socket.readable.getReader().read()).toEqual({ done: true, value: undefined })
    await Promise.all([socket.close(), peer.close()])
    await gone(pair)
  })

  it('not by leaving an iterator that is to keep the stream', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const writer = peer.writable.getWriter()
    await writer.write(bytes('first'))
    for await (const chunk of (socket.readable as ReadableStream<Uint8Array>).values({ preventCancel: true })) {
      expect(text(chunk)).toBe('first')
      break
    }
    await writer.write(bytes('second'))
    expect(text((await socket.readable.getReader().read()).value)).toBe('second')
  })
})

describe('abort', () => {
  it('of a writer: its reason everywhere here, a reset there, no connection left', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const reader = socket.readable.getReader()
    const writer = socket.writable.getWriter()
    const waiting = failure(reader.read())
    const reason = new Error('enough of it')
    await writer.abort(reason)
    expect(await waiting).toBe(reason)
    expect([await failure(writer.closed), await failure(reader.closed), await failure(socket.closed)]).toEqual([
      reason,
      reason,
      reason,
    ])
    expect(await failure(writer.write(bytes('x')))).toBe(reason)
    expect(await failure(peer.closed)).toMatchObject({ code: 'ECONNRESET' })
    await gone(pair)
  })

  it('while a chunk waits for room, the write rejects', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const writer = socket.writable.getWriter()
    const waiting = failure(writer.write(new Uint8Array(4_000_000)))
    const behind = failure(writer.write(bytes('behind')))
    await turn()
    await writer.abort('too slow')
    expect(await Promise.all([waiting, behind])).toEqual(['too slow', 'too slow'])
    expect(await failure(socket.closed)).toBe('too slow')
    await gone(pair)
  })

  it('without a reason rejects all the same', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    await socket.writable.abort()
    expect(await failure(socket.closed)).toMatchObject({ name: 'AbortError' })
    expect(await failure(socket.readable.getReader().read())).toMatchObject({ name: 'AbortError' })
  })

  it('by a signal with no reason of its own: an AbortError', async () => {
    await using pair = webPair()
    const abort = new AbortController()
    const [socket] = await connected(pair, { signal: abort.signal })
    abort.abort()
    expect(await failure(socket.closed)).toMatchObject({ name: 'AbortError' })
    expect(await failure(socket.writable.getWriter().closed)).toBe(abort.signal.reason)
    await gone(pair)
  })
})

describe('pipes', () => {
  it('preventClose keeps the other end writable', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const source = new ReadableStream<Uint8Array>({
      start(c) {
        c.enqueue(bytes('piped, '))
        c.close()
      },
    })
    await source.pipeTo(socket.writable as WritableStream<Uint8Array>, { preventClose: true })
    const writer = socket.writable.getWriter()
    await writer.write(bytes('and more'))
    await writer.close()
    expect(await textOf(peer.readable)).toBe('piped, and more')
  })

  it('a signal ends the pipe: abort there, cancel here', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const abort = new AbortController()
    let aborted: unknown = null
    const sink = new WritableStream<Uint8Array>({
      abort(reason) {
        aborted = reason
      },
    })
    const piping = (socket.readable as ReadableStream<Uint8Array>).pipeTo(sink, { signal: abort.signal })
    await peer.writable.getWriter().write(bytes('x'))
    abort.abort('stop')
    expect(await failure(piping)).toBe('stop')
    expect(aborted).toBe('stop')
    expect(await socket.readable.getReader().read()).toEqual({ done: true, value: undefined })
  })

  it('an error of the sink cancels the socket’s readable, an error of the source resets its connection', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const full = new WritableStream<Uint8Array>({
      write() {
        throw new Error('full')
      },
    })
    const piping = (socket.readable as ReadableStream<Uint8Array>).pipeTo(full)
    await peer.writable.getWriter().write(bytes('x'))
    expect(await failure(piping)).toMatchObject({ message: 'full' })
    const broken = new ReadableStream<Uint8Array>({ start: (c) => c.error(new Error('broken')) })
    expect(await failure(broken.pipeTo(socket.writable as WritableStream<Uint8Array>))).toMatchObject({ message: 'broken' })
    expect(await failure(socket.closed)).toMatchObject({ message: 'broken' })
    expect(await failure(peer.closed)).toMatchObject({ code: 'ECONNRESET' })
    await gone(pair)
  })

  it('through a transform and back', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair, {}, { allowHalfOpen: true })
    const zipped = (peer.readable as ReadableStream<Uint8Array<ArrayBuffer>>)
      .pipeThrough(new CompressionStream('gzip'))
      .pipeTo(peer.writable as WritableStream<Uint8Array>)
    const writer = socket.writable.getWriter()
    void writer.write(bytes('a'.repeat(10_000)))
    void writer.close()
    const back = (socket.readable as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new DecompressionStream('gzip'))
    expect(await textOf(back)).toBe('a'.repeat(10_000))
    await zipped
  })
})

describe('tee', () => {
  it('gives the same bytes twice, and its two cancellations are one', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const [a, b] = (socket.readable as ReadableStream<Uint8Array>).tee()
    await peer.writable.getWriter().write(bytes('both'))
    const [one, other] = [a.getReader(), b.getReader()]
    expect([text((await one.read()).value), text((await other.read()).value)]).toEqual(['both', 'both'])
    await Promise.all([one.cancel('a'), other.cancel('b')])
    await Promise.all([socket.close(), peer.close()])
    await gone(pair)
  })

  it('of a byte stream: branches take buffers', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const [a, b] = (socket.readable as ReadableStream<Uint8Array>).tee()
    const reading = a.getReader({ mode: 'byob' }).read(new Uint8Array(8))
    await peer.writable.getWriter().write(bytes('both'))
    expect(text((await reading).value)).toBe('both')
    expect(text((await b.getReader().read()).value)).toBe('both')
  })
})

describe('buffers of the reader’s own', () => {
  it('are moved, not copied: views of other kinds get whole elements', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const reader = (socket.readable as ReadableStream<Uint8Array>).getReader({ mode: 'byob' })
    const memory = new ArrayBuffer(64)
    const reading = reader.read(new Uint16Array(memory, 8, 4))
    expect(memory.byteLength).toBe(0)
    const writer = peer.writable.getWriter()
    await writer.write(bytes('abc'))
    const { value } = await reading
    expect([value!.constructor.name, value!.byteOffset, value!.length]).toEqual(['Uint16Array', 8, 1])
    await writer.write(bytes('d'))
    const rest = await reader.read(new Uint16Array(value!.buffer, 0, 4))
    expect(text(new Uint8Array(rest.value!.buffer, 0, 2))).toBe('cd')
  })

  it('a default reader’s chunk is as long as what came, with nothing behind it', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    await peer.writable.getWriter().write(bytes('small'))
    const { value } = await socket.readable.getReader().read()
    expect([value!.byteLength, value!.buffer.byteLength]).toEqual([5, 5])
  })

  it('of no length are refused by the stream', async () => {
    await using pair = webPair()
    const [socket] = await connected(pair)
    const reader = socket.readable.getReader({ mode: 'byob' })
    expect(await failure(reader.read(new Uint8Array(0)))).toBeInstanceOf(TypeError)
  })

  it('come back at a reset with its error, at a cancel without bytes', async () => {
    await using pair = webPair()
    const [socket, peer] = await connected(pair)
    const reading = failure(socket.readable.getReader({ mode: 'byob' }).read(new Uint8Array(8)))
    await peer.writable.abort('off')
    expect(await reading).toMatchObject({ code: 'ECONNRESET' })
    const [other] = await connected(pair)
    const reader = other.readable.getReader({ mode: 'byob' })
    const waiting = reader.read(new Uint8Array(8))
    await reader.cancel()
    expect((await waiting).done).toBe(true)
  })
})

describe('writing', () => {
  it('desiredSize counts bytes, ready comes back, empty chunks pass', async () => {
    await using pair = webPair()
    const socket = pair.client.tcp.connect('10.0.0.2:80')
    const writer = socket.writable.getWriter()
    const size = writer.desiredSize!
    void writer.write(new Uint8Array(1000)).catch(() => {})
    expect(writer.desiredSize).toBe(size - 1000)
    void writer.write(new Uint8Array(size)).catch(() => {})
    expect(writer.desiredSize).toBe(-1000)
    await failure(socket.opened)
    const [open, peer] = await connected(pair)
    const other = open.writable.getWriter()
    await other.write(new Uint8Array(0))
    await other.write(bytes('x'))
    await other.close()
    expect(await textOf(peer.readable)).toBe('x')
    expect(await other.closed).toBeUndefined()
  })

  it('errors have a code, and are TypeErrors of the socket', async () => {
    await using pair = webPair()
    const socket = pair.client.tcp.connect('10.0.0.2:80')
    const error = (await failure(socket.opened)) as TypeError
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: '10.0.0.2', port: 80 })
    expect(error.message).toBe('SocketError: connect ECONNREFUSED 10.0.0.2:80')
    expect([await failure(socket.closed), await failure(socket.readable.getReader().closed)]).toEqual([error, error])
  })
})

describe('datagrams', () => {
  it('abort ends writing with its reason, cancel ends reading; both free the port', async () => {
    await using pair = webPair()
    const socket = pair.client.udp.bind({ port: 5000 })
    const reader = socket.readable.getReader()
    const waiting = reader.read()
    await reader.cancel('no more')
    expect(await waiting).toEqual({ done: true, value: undefined })
    const writer = socket.writable.getWriter()
    const closed = failure(writer.closed)
    await writer.abort('off')
    expect([await closed, await failure(writer.write({ data: bytes('x') }))]).toEqual(['off', 'off'])
    expect(await socket.closed).toBeUndefined()
    await pair.client.udp.bind({ port: 5000 }).close()
  })

  it('by for await, left by break; tee gives each datagram to both', async () => {
    await using pair = webPair()
    const server = pair.server.udp.bind({ port: 7 })
    const client = pair.client.udp.bind()
    const [a, b] = (server.readable as ReadableStream<{ data: Uint8Array }>).tee()
    await client.send(bytes('one'), { address: '10.0.0.2', port: 7 })
    const both = await Promise.all([a.getReader().read(), b.getReader().read()])
    expect(both.map(({ value }) => text(value!.data))).toEqual(['one', 'one'])
    await pair.server.udp.bind({ port: 9 }).send(bytes('two'), { address: '10.0.0.1', port: client.port })
    for await (const { data, port } of client.readable) {
      expect([text(data), port]).toEqual(['two', 9])
      break
    }
    expect(client.readable.locked).toBe(false)
  })

  it('errors of send have a code', async () => {
    await using pair = webPair()
    const socket = pair.client.udp.bind()
    const error = await failure(socket.send(bytes('x'), { address: '192.0.2.1', port: 9 }))
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ code: 'ENETUNREACH' })
  })
})

describe('async contexts', () => {
  it('who awaits goes on in his own', async () => {
    await using pair = webPair()
    const storage = new AsyncLocalStorage<string>()
    const seen: (string | undefined)[] = []
    const listener = pair.server.tcp.listen({ port: 7 })
    const serving = storage.run('server', async () => {
      for await (const socket of listener) {
        seen.push(storage.getStore())
        await socket.readable.pipeTo(socket.writable)
        seen.push(storage.getStore())
        break
      }
    })
    await storage.run('client', async () => {
      const socket = pair.client.tcp.connect('10.0.0.2:7')
      await socket.opened
      seen.push(storage.getStore())
      const writer = socket.writable.getWriter()
      await writer.write(bytes('x'))
      await writer.close()
      for await (const _ of socket.readable) seen.push(storage.getStore())
      await socket.closed
      seen.push(storage.getStore())
    })
    await serving
    expect(seen.sort()).toEqual(['client', 'client', 'client', 'server', 'server'])
  })
})
