/** Options and methods of node:net one by one, beside Node's. */
import type nodeNet from 'node:net'
import { addAbortSignal, Duplex, finished, pipeline } from 'node:stream'
import { describe, expect } from 'vitest'
import { both, type Env, event, listening, watch } from '../support/node-shape.ts'

interface Pair {
  server: nodeNet.Server
  client: nodeNet.Socket
  peer: nodeNet.Socket
  port: number
  /** Destroys what is left and closes the server. */
  done(): Promise<void>
}

async function pair(env: Env, connect: object = {}, serve: nodeNet.ServerOpts = { allowHalfOpen: true }): Promise<Pair> {
  const server = env.net.createServer(serve)
  const port = await listening(server, env.host)
  const accepted = event(server, 'connection') as Promise<nodeNet.Socket>
  const client = env.net.connect({ port, host: env.host, ...connect } as nodeNet.NetConnectOpts)
  await event(client, 'connect')
  const peer = await accepted
  peer.on('error', () => {})
  const done = async (): Promise<void> => {
    client.destroy()
    peer.destroy()
    server.close()
    await event(server, 'close')
  }
  return { server, client, peer, port, done }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('options of a socket', () => {
  both('readable false: its end is never told', async (env) => {
    const { client, peer, done } = await pair(env, { readable: false })
    env.log('client', client.readable, client.writable, client.readableEnded, client.readyState)
    peer.end('x')
    client.end('y')
    await event(client, 'finish')
    env.log('client', client.readyState, client.destroyed)
    await done()
  })

  both('writable false', async (env) => {
    const { client, peer, done } = await pair(env, { writable: false })
    env.log('client', client.readable, client.writable, client.readyState)
    peer.end('x')
    client.on('data', (d) => env.log('client', String(d)))
    await event(client, 'end')
    await done()
  })

  both('readable and writable marks, of a client and of what a server accepts', async (env) => {
    const { client, peer, server, done } = await pair(
      env,
      { highWaterMark: 100, readableHighWaterMark: 7 },
      { highWaterMark: 50 },
    )
    env.log('client', client.readableHighWaterMark, client.writableHighWaterMark)
    env.log('peer', peer.readableHighWaterMark, peer.writableHighWaterMark)
    env.log('server', (server as unknown as { highWaterMark: number }).highWaterMark)
    const plain = env.net.createServer({ highWaterMark: -1 })
    env.log('plain', (plain as unknown as { highWaterMark: number }).highWaterMark)
    await done()
  })

  both('a string decoder, and encodings of what is written', async (env) => {
    const { client, peer, done } = await pair(env)
    client.setEncoding('utf8')
    let text = ''
    client.on('data', (s) => (text += typeof s === 'string' ? s : '?'))
    peer.write('e282', 'hex')
    await turn()
    peer.write('rA==', 'base64') // the last byte of a euro sign
    peer.write('\xe4', 'latin1')
    peer.end('ü', 'utf8')
    await event(client, 'end')
    env.log('client', JSON.stringify(text), client.bytesRead, client.readableEncoding)
    env.log('peer', peer.bytesWritten)
    await done()
  })

  both('an encoding among the options', async (env) => {
    const { client, peer, done } = await pair(env, { encoding: 'latin1', defaultEncoding: 'hex' })
    client.write('616263')
    env.log('peer', String(await event(peer, 'data')))
    peer.write('abc')
    const got = await event(client, 'data')
    env.log('client', typeof got, got)
    await done()
  })

  both('a localPort that is none', async (env) => {
    const server = env.net.createServer().on('connection', (s) => s.destroy())
    const port = await listening(server, env.host)
    const client = env.net.connect({ port, host: env.host, localPort: 70_000 } as nodeNet.NetConnectOpts)
    client.on('connectionAttempt', () => env.log('client', 'attempt'))
    env.log('client', await event(client, 'error'))
    server.close()
    await event(server, 'close')
  })

  both('family and hints reach the lookup', async (env) => {
    const server = env.net.createServer((s) => s.end())
    const port = await listening(server, env.host)
    const seen: object[] = [
      { family: 4 },
      { family: 'IPv4' },
      { family: 0, hints: 32 },
      { autoSelectFamily: false },
      { autoSelectFamily: false, hints: 8 },
    ]
    for (const options of seen) {
      const lookup = (name: string, asked: { all?: boolean }, callback: (e: null, a: unknown, f?: number) => void): void => {
        env.log('lookup', name, asked)
        process.nextTick(callback, null, asked.all ? [{ address: env.host, family: 4 }] : env.host, 4)
      }
      const client = env.net.connect({ port, host: 'name', lookup, ...options } as unknown as nodeNet.NetConnectOpts)
      await event(client.resume(), 'close')
    }
    server.close()
    await event(server, 'close')
  })

  both('port 0 and a port that is left out', async (env) => {
    for (const options of [{ port: 0 }, { path: '' }, { port: '0' }]) {
      const client = env.net.connect({ host: env.host, ...options } as unknown as nodeNet.NetConnectOpts)
      env.log('client', await event(client, 'error'))
    }
  })

  both('noDelay and keepAlive come and go, before, during and after', async (env) => {
    const { client, done } = await pair(env, { noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 })
    env.log('client', client.setNoDelay() === client, client.setNoDelay(false) === client, client.setKeepAlive() === client)
    env.log('client', client.setKeepAlive(true, 1000) === client, client.setKeepAlive(true, Number.NaN) === client)
    await done()
    env.log('client', client.setNoDelay(true) === client, client.setKeepAlive(true) === client, client.setTimeout(5) === client)
  })
})

describe('writing', () => {
  both('false when it is much, drain when it is gone, lengths in between', async (env) => {
    const { client, peer, done } = await pair(env)
    peer.resume()
    env.log('client', client.write('x'), client.writableLength, client.bufferSize, client.writableNeedDrain)
    await turn()
    const much = client.write(Buffer.alloc(12_000_000))
    env.log('client', much, client.writableNeedDrain, client.bytesWritten)
    await event(client, 'drain')
    env.log('client', client.writableLength, client.bufferSize, client.bytesWritten, client.writableNeedDrain)
    client.end()
    await event(peer, 'end')
    env.log('peer', peer.bytesRead)
    await done()
  })

  both('bytes are counted before there is a connection, letters by their bytes', async (env) => {
    const server = env.net.createServer((s) => s.resume().on('end', () => s.end()))
    const port = await listening(server, env.host)
    const client = new env.net.Socket()
    env.log('client', client.bytesWritten, client.bytesRead, client.bufferSize, client.pending, client.readyState)
    client.connect(port, env.host)
    client.write(Buffer.from('äöü'))
    client.write(Buffer.from('four'))
    client.end('and')
    env.log('client', client.bytesWritten, client.bufferSize, client.writableLength, client.pending, client.readyState)
    await event(client.resume(), 'close')
    env.log('client', client.bytesWritten, client.bytesRead, client.bufferSize, client.pending, client.readyState)
    server.close()
    await event(server, 'close')
  })

  both('callbacks come in order, and that of end last', async (env) => {
    const { client, peer, done } = await pair(env)
    peer.resume()
    client.on('finish', () => env.log('client', 'finish'))
    client.write('a', () => env.log('client', 'a'))
    client.write('b', 'latin1', () => env.log('client', 'b'))
    client.end('c', () => env.log('client', 'end'))
    await event(peer, 'end')
    await turn()
    await done()
  })

  both('after end, after destroy', async (env) => {
    const { client, done } = await pair(env)
    client.on('error', (error) => env.log('client', 'event', error))
    client.end()
    client.write('late', (error) => env.log('client', 'callback', error))
    await event(client, 'close')
    client.write('later', (error) => env.log('client', 'callback', error))
    client.end((error?: Error) => env.log('client', 'end', error))
    await turn()
    env.log('client', client.errored, client.closed, client.writableFinished, client.writableEnded, client.writableAborted)
    await done()
  })

  both('destroyed amid a write', async (env) => {
    const { client, peer, done } = await pair(env)
    peer.pause()
    client.write(Buffer.alloc(8_000_000), (error) => env.log('client', 'callback', error))
    client.write('behind', (error) => env.log('client', 'behind', error))
    await turn()
    client.destroy()
    client.on('close', (hadError) => env.log('client', 'close', hadError))
    await event(client, 'close')
    await turn()
    await done()
  })

  both('cork and uncork', async (env) => {
    const { client, peer, done } = await pair(env)
    client.cork()
    client.write('one ')
    client.write('two ')
    env.log('client', client.writableCorked, client.writableLength, client.bytesWritten)
    process.nextTick(() => client.uncork())
    env.log('peer', String(await event(peer, 'data')))
    await done()
  })
})

describe('reading', () => {
  both('pause, resume, isPaused, read and unshift', async (env) => {
    const { client, peer, done } = await pair(env)
    client.pause()
    peer.write('hello')
    await event(client, 'readable')
    env.log('client', client.isPaused(), client.readableLength, client.read(2)?.toString(), client.readableFlowing)
    client.unshift(Buffer.from('HE'))
    env.log('client', client.read()?.toString(), client.read())
    client.removeAllListeners('readable')
    client.on('data', (d) => env.log('client', 'data', String(d)))
    client.resume()
    peer.end(' and bye')
    await event(client, 'end')
    await done()
  })

  both('as other streams do: pipeline, finished, iteration, an abort signal', async (env) => {
    const { client, peer, done } = await pair(env)
    const parts: string[] = []
    pipeline(
      client,
      async (source: AsyncIterable<Buffer>) => {
        for await (const part of source) parts.push(String(part))
      },
      (error) => env.log('pipeline', error, parts.join('')),
    )
    finished(client, (error) => env.log('finished', error))
    peer.end('piped')
    await event(client, 'close')
    await turn()
    await done()
    const second = await pair(env)
    const abort = new AbortController()
    addAbortSignal(abort.signal, second.client)
    second.client.on('error', (error) => env.log('aborted', error.name, (error as NodeJS.ErrnoException).code))
    abort.abort()
    await event(second.client, 'close')
    await second.done()
  })

  both('as streams of the web', async (env) => {
    const { client, peer, done } = await pair(env)
    const web = Duplex.toWeb(client)
    const writer = web.writable.getWriter()
    await writer.write(Buffer.from('over'))
    env.log('peer', String(await event(peer, 'data')))
    peer.end('back')
    let text = ''
    for await (const part of web.readable) text += Buffer.from(part as Uint8Array)
    env.log('client', text)
    await writer.close().catch((error: Error) => env.log('client', error))
    await done()
  })
})

describe('times', () => {
  both('a timeout: its property, its event, its end', async (env) => {
    const { client, done } = await pair(env)
    env.log('client', client.timeout)
    let count = 0
    const heard = (): void => void count++
    client.setTimeout(10, heard)
    env.log('client', client.timeout, client.listenerCount('timeout'))
    await event(client, 'timeout')
    env.log('client', count, client.listenerCount('timeout'), client.destroyed)
    client.setTimeout(0, heard)
    env.log('client', client.timeout)
    await done()
  })
})

describe('servers', () => {
  both('listening again, closing again', async (env) => {
    const server = env.net.createServer()
    server.on('listening', () => env.log('server', 'listening', server.listening))
    server.on('close', () => env.log('server', 'close', server.listening, server.address()))
    server.listen(0, env.host)
    env.log('server', server.listening)
    try {
      server.listen(0, env.host)
      await event(server, 'listening')
      server.listen(0)
    } catch (error) {
      env.log('server', error)
    }
    server.close((error) => env.log('server', 'closed', error))
    await event(server, 'close')
    server.close((error) => env.log('server', 'again', error))
    await event(server, 'close')
    server.listen(0, env.host)
    await event(server, 'listening')
    await server[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
    env.log('server', server.listening)
  })

  both('all forms of listen', async (env) => {
    const forms: unknown[][] = [
      [0, env.host],
      [0, env.host, 5],
      ['0', env.host],
      [{ port: 0, host: env.host, backlog: 3, exclusive: true }],
      [{ port: '0', host: env.host }],
      [0, 5],
      [],
      [null],
      [{ port: undefined }],
    ]
    for (const form of forms) {
      const server = env.net.createServer()
      const listen = server.listen as (...args: unknown[]) => nodeNet.Server
      env.log('server', listen.apply(server, [...form, () => env.log('server', 'callback')]) === server)
      await event(server, 'listening')
      const { port } = server.address() as nodeNet.AddressInfo
      env.log('server', port > 0, (await new Promise((resolve) => server.getConnections((e, n) => resolve([e, n])))) as object)
      server.close()
      await event(server, 'close')
    }
  })

  both('drop tells who was dropped', async (env) => {
    const server = env.net.createServer((s) => s.resume())
    server.maxConnections = 1
    const port = await listening(server, env.host)
    const first = env.net.connect(port, env.host)
    await event(first, 'connect')
    const dropped = event(server, 'drop')
    const second = env.net.connect(port, env.host)
    second.on('error', () => {})
    env.log('drop', (await dropped) as object)
    await event(second, 'close')
    first.destroy()
    server.close()
    await event(server, 'close')
  })

  both('a signal that is aborted already', async (env) => {
    const server = env.net.createServer()
    server.listen({ port: 0, host: env.host, signal: AbortSignal.abort() })
    server.on('listening', () => env.log('server', 'listening'))
    await event(server, 'close')
    env.log('server', server.listening)
  })
})

describe('connecting', () => {
  both('a callback, and connect of a socket that was', async (env) => {
    const { client, port, done, server } = await pair(env)
    const accepted: nodeNet.Socket[] = []
    server.on('connection', (s) => accepted.push(s.on('error', () => {})))
    const again = watch(env, 'again', new env.net.Socket())
    env.log('again', again.connect(port, env.host, () => env.log('again', 'callback')) === again)
    env.log('again', again.connecting, again.readyState, again.address())
    await event(again, 'ready')
    env.log('again', again.connecting, again.readyState, again.remoteFamily, again.localFamily)
    again.destroy()
    await event(again, 'close')
    env.log('again', again.remoteAddress, again.localAddress, again.address(), again.readyState)
    for (const one of [...accepted]) one.destroy()
    server.on('connection', (s) => s.resume().end())
    again.connect(port, env.host)
    await event(again, 'close')
    expect(client.destroyed).toBe(false)
    await done()
  })

  both('destroy in every listener of the way', async (env) => {
    const server = env.net.createServer((s) => s.on('error', () => {}).resume())
    const port = await listening(server, env.host)
    const lookup = (_n: string, _o: object, callback: (e: null, list: object[]) => void): void => {
      process.nextTick(callback, null, [{ address: env.host, family: 4 }])
    }
    for (const at of ['lookup', 'connect', 'ready']) {
      const client = watch(env, at, env.net.connect({ port, host: 'name', lookup } as unknown as nodeNet.NetConnectOpts))
      client.on(at, () => client.destroy())
      await event(client, 'close')
      await turn()
    }
    server.close()
    await event(server, 'close')
  })
})
