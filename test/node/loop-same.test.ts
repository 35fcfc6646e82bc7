import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { createStack } from '../../src/node/stack.ts'
import { bound, closed, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'

describe('what a peer in the same process answers comes when the event loop has turned', () => {
  same('not before the promises and ticks of whoever asked', async (env) => {
    const server = env.net.createServer((s) => s.pipe(s))
    const port = await bound(server, env.host)
    const client = env.net.connect(port, env.host)
    await event(client, 'connect')
    const order: string[] = []
    client.on('data', (chunk) => order.push(`answer ${chunk}`))
    client.write('one')
    for (let i = 0; i < 20; i++) await null
    order.push('promises')
    process.nextTick(() => process.nextTick(() => order.push('ticks')))
    client.write('two')
    for (let i = 0; i < 20; i++) await null
    while (!order.some((one) => one.endsWith('two'))) await new Promise((resolve) => setImmediate(resolve))
    env.log('client', order)
    client.end()
    await closed(server)
  })

  same('two writes and a promise between them are read as one', async (env) => {
    const chunks: string[] = []
    const server = env.net.createServer((s) => {
      s.on('data', (chunk) => chunks.push(chunk.toString()))
      s.on('end', () => s.end())
    })
    const port = await bound(server, env.host)
    const client = env.net.connect({ port, host: env.host, noDelay: true })
    await event(client, 'connect')
    await new Promise((resolve) => setTimeout(resolve, 1)) // the server has its socket
    client.write('a')
    await null
    client.write('b')
    await event(client.end(), 'close')
    env.log('server', chunks)
    await closed(server)
  })

  same('who resets a connection when it is told had a server that saw it', async (env) => {
    const server = env.net.createServer((s) => {
      env.log('server', 'connection')
      s.on('error', (error) => env.log('server', error))
      s.on('close', (hadError) => env.log('server', 'close', hadError))
    })
    const gone = new Promise((resolve) => server.on('connection', (s) => s.on('close', resolve)))
    const port = await bound(server, env.host)
    const client = env.net.connect(port, env.host)
    client.on('connect', () => client.resetAndDestroy())
    client.on('close', (hadError) => env.log('client', 'close', hadError))
    await gone
    await closed(server)
  })

  same('bytes that a reset follows at once are read before it', async (env) => {
    const server = env.net.createServer((s) => {
      s.on('data', (chunk) => env.log('server', chunk))
      s.on('error', () => {}) // Linux may tell of the reset as of an end
    })
    const gone = new Promise((resolve) => server.on('connection', (s) => s.on('close', resolve)))
    const port = await bound(server, env.host)
    const client = env.net.connect(port, env.host)
    await event(client, 'connect')
    await new Promise((resolve) => setTimeout(resolve, 5))
    client.write('hello')
    for (let i = 0; i < 50; i++) await null
    client.resetAndDestroy()
    await gone
    await closed(server)
  })

  same('a server that closes before it is told of a connection never is', async (env) => {
    const server = env.net.createServer(() => env.log('server', 'connection'))
    const port = await bound(server, env.host)
    const client = env.net.connect(port, env.host)
    client.on('error', (error: NodeJS.ErrnoException) => env.log('client', error.code))
    await closed(server)
    await event(client, 'close')
    env.log('client', 'close')
  })

  same('a stream of HTTP/2 that was reset at once: its server hears of both together', async (env) => {
    const server = env.http2.createServer()
    server.on('stream', (stream) => {
      stream.on('error', (error) => env.log('server', error))
      stream.on('close', () => env.log('server', 'close', stream.rstCode))
      env.log('server', 'stream', stream.destroyed, stream.closed)
    })
    const port = await bound(server, env.host)
    const client = env.http2.connect(`http://${env.host}:${port}`)
    const request = client.request()
    request.on('error', (error) => env.log('client', error))
    request.on('response', () => env.log('client', 'response'))
    request.on('end', () => env.log('client', 'end'))
    request.close(env.http2.constants.NGHTTP2_CANCEL)
    request.resume()
    await event(request, 'close')
    env.log('client', 'close', request.rstCode)
    client.close()
    await closed(server)
  })
})

describe('frames of HTTP/2 that came together', () => {
  same('the response, its data and its reset are told one after the other', async (env) => {
    const server = env.http2.createServer()
    server.on('stream', (stream) => {
      stream.on('error', (error) => env.log('server', error))
      stream.respond()
      stream.write('hello')
      stream.destroy(new Error('enough'))
    })
    const port = await bound(server, env.host)
    const client = env.http2.connect(`http://${env.host}:${port}`)
    await event(client, 'remoteSettings')
    const request = client.request()
    request.on('response', (headers) => env.log('client', 'response', headers[':status']))
    request.on('data', (chunk) => env.log('client', 'data', String(chunk)))
    request.on('error', (error) => env.log('client', error))
    await event(request, 'close')
    env.log('client', 'close', request.rstCode)
    client.close()
    await closed(server)
  })
})

describe('a connection that waited to be told', () => {
  it('is told in the context of listen, with what broke it meanwhile', async () => {
    const stack = createStack()
    const { net } = stack
    const context = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const server = context.run('of listen', () =>
      net.createServer((s) => {
        seen.push(context.getStore())
        s.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
        s.on('error', (error) => seen.push((error as NodeJS.ErrnoException).code))
        s.on('close', () => server.close())
      }),
    )
    context.run('of listen', () => server.listen(80, '127.0.0.1'))
    await event(server, 'listening')
    const raw = stack.tcp.open({ remoteAddress: stack.literal('127.0.0.1'), remotePort: 80 }, {})
    raw.write(Buffer.from('hello'), 0, 5)
    const noise = net.connect(1, '127.0.0.1') // something leaves: what is told may be an answer
    noise.on('error', () => {})
    while (raw.stateName !== 'ESTABLISHED' || raw.unsent > 0) await null
    raw.abort()
    await event(server, 'close')
    expect(seen).toEqual(['of listen', 'hello', 'ECONNRESET'])
    await stack.close()
  })
})
