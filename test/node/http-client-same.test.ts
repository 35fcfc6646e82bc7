/** Requests of `stack.http`, the same as Node's, against servers that write bytes: events and their order, ends of every kind, tunnels. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { Server, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event, realStack } from '../support/node-shape.ts'
import { turns } from '../support/stream-pair.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

/** A server of bytes: `answer` is given each connection and what its client has said so far, each time there is more. */
async function bytes(
  env: ModulesEnv,
  answer: (socket: Socket, said: string) => void,
): Promise<{ server: Server; port: number; options: RequestOptions }> {
  const server = env.net.createServer((socket) => {
    let said = ''
    socket.on('error', () => undefined)
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      said += chunk
      answer(socket, said)
    })
  })
  const port = await bound(server, env.host)
  return { server, port, options: { host: env.host, port, agent: false } }
}

/** Answers each request, which has no body, with this text. */
const saying = (env: ModulesEnv, text: string) =>
  bytes(env, (socket, said) => {
    if (said.endsWith('\r\n\r\n')) socket.end(text)
  })

/** Logs the events of a request and its response; resolves after its close. */
async function watched(env: ModulesEnv, side: string, request: ClientRequest): Promise<void> {
  for (const name of ['socket', 'finish', 'abort', 'timeout', 'continue']) request.on(name, () => env.log(side, name))
  request.on('error', (error) => env.log(side, error, request.destroyed, request.aborted))
  request.on('information', ({ statusCode, statusMessage, headers }) =>
    env.log(side, 'information', statusCode, statusMessage, JSON.stringify(headers)),
  )
  request.on('response', (res) => {
    let text = ''
    env.log(side, 'response', res.statusCode, res.statusMessage, res.httpVersion, JSON.stringify(res.headers))
    res.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
    })
    for (const name of ['aborted', 'end', 'close'])
      res.on(name, () =>
        env.log(`${side} res`, name, text.length > 99 ? text.length : text, res.complete, JSON.stringify(res.trailers)),
      )
    res.on('error', (error) => env.log(`${side} res`, error))
  })
  await new Promise<void>((resolve) =>
    request.on('close', () => {
      env.log(side, 'close', request.destroyed, request.writableFinished, request.reusedSocket)
      resolve()
    }),
  )
  await turns(2)
}

/** The first bytes of the answer's body have come. */
const begun = (request: ClientRequest): Promise<unknown> =>
  new Promise((resolve) => request.on('response', (res) => res.once('data', resolve)))

describe('requests of http, the same as Node', () => {
  same('what is written: methods, headers, bodies by length and in chunks, trailers', async (env) => {
    const { server, options } = await bytes(env, (socket, said) => {
      if (!(said.includes('chunked') ? /0\r\n(x-t: 1\r\n)?\r\n$/ : /\r\n\r\n(body)?$/).test(said)) return
      env.log('server', JSON.stringify(said).replaceAll(`:${options.port}`, ':P'))
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n')
    })
    const send = async (more: RequestOptions, write: (request: ClientRequest) => void): Promise<void> => {
      const request = env.http.request({ ...options, ...more })
      write(request)
      const [res] = await Promise.all([event(request, 'response') as Promise<IncomingMessage>, event(request, 'finish')])
      await event(res.resume(), 'close')
    }
    await send({ method: 'post', path: '/length' }, (request) => request.end('body'))
    await send({ method: 'PUT', headers: { 'Transfer-Encoding': 'chunked', Trailer: 'x-t' } }, (request) => {
      request.write('bo')
      request.write('dy')
      request.addTrailers({ 'x-t': '1' })
      request.end()
    })
    await send({ method: 'DELETE', auth: 'user:pass', setHost: false, headers: { 'X-Many': ['1', '2'] } }, (request) =>
      request.end(),
    )
    await send({ method: 'GET', headers: { host: 'mine', Connection: 'keep-alive, x' } }, (request) => {
      request.setHeader('x-late', 'yes')
      request.removeHeader('nothing')
      env.log(
        'client',
        JSON.stringify(request.getHeaders()),
        request.getRawHeaderNames(),
        request.path,
        request.method,
        request.protocol,
      )
      request.flushHeaders()
      request.end()
    })
    await send({ headers: ['A', '1', 'a', '2', 'Host', 'list'] as never, uniqueHeaders: ['x'] }, (request) => request.end())
    await closed(server)
  })

  same('informational answers, Expect, a body in pieces, trailers', async (env) => {
    const { server, options } = await bytes(env, (socket, said) => {
      if (said.endsWith('\r\n\r\n')) {
        socket.write(
          'HTTP/1.1 102 Processing\r\nx: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n',
        )
      }
      if (said.endsWith('body')) setImmediate(setImmediate, () => answer(socket))
    })
    const answer = (socket: Socket): void => {
      socket.write('HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\nConnection: close\r\n\r\n3\r\nabc\r\n')
      setImmediate(() => socket.write('2\r\nde\r\n0\r\nx-sum: 7\r\n\r\n'))
    }
    const request = env.http.request({ ...options, method: 'PUT', headers: { expect: '100-continue', 'content-length': 4 } })
    request.on('continue', () => request.end('body'))
    await watched(env, 'client', request)
    await closed(server)
  })

  for (const [name, text] of [
    ['no HTTP', 'nonsense\r\n\r\n'],
    ['nothing at all', ''],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['less than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour'],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
    ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
    ['more than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nfour'],
    ['a head too long', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`],
    ['a body until the end', 'HTTP/1.1 200 OK\r\n\r\nall of it'],
    ['an upgrade that nobody asked for', 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbytes'],
    ['odd bytes in a header', 'HTTP/1.1 200 OK\r\nx: a\u0001b\r\nContent-Length: 0\r\n\r\n'],
  ] as const) {
    same(`an answer: ${name}`, async (env) => {
      const { server, options } = await saying(env, text)
      await watched(env, 'client', env.http.get(options))
      const lenient = env.http.get({ ...options, insecureHTTPParser: true, maxHeaderSize: 30_000 })
      await watched(env, 'lenient', lenient)
      await closed(server)
    })
  }

  for (const [how, give] of [
    ['destroy', (r: ClientRequest) => r.destroy()],
    ['destroy with an error', (r: ClientRequest) => r.destroy(new Error('enough'))],
    ['abort', (r: ClientRequest) => r.abort()],
  ] as const) {
    same(`given up by ${how}: at once, connecting, waiting, in the middle of the answer, after it`, async (env) => {
      const { server, options } = await bytes(env, (socket, said) => {
        if (said.startsWith('GET /part')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome')
        if (said.startsWith('GET /whole')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsome')
        if (said.startsWith('GET /none')) socket.emit('asked')
        server.emit('asked')
      })
      const when: [string, string, ((request: ClientRequest) => Promise<unknown>) | null][] = [
        ['at once', '/none', null],
        ['with a socket', '/none', null],
        ['asked', '/none', () => event(server, 'asked')],
        ['answered', '/part', begun],
        ['after all', '/whole', (request) => event(request, 'close')],
      ]
      for (const [side, path, until] of when) {
        const request = env.http.get({ ...options, path })
        const over = watched(env, side, request)
        if (side === 'at once') give(request)
        else if (until === null) request.on('socket', () => give(request))
        else {
          await until(request)
          give(request)
        }
        await over
      }
      await closed(server)
    })
  }

  same('signals: aborted before, while connecting, in the middle of the answer, by a time-out', async (env) => {
    const { server, options } = await bytes(env, (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome'))
    const before = env.http.get({ ...options, signal: AbortSignal.abort() })
    await watched(env, 'before', before)
    const soon = new AbortController()
    const connecting = env.http.get({ ...options, signal: soon.signal })
    const over = watched(env, 'connecting', connecting)
    connecting.on('socket', () => soon.abort())
    await over
    const late = new AbortController()
    const answered = env.http.get({ ...options, signal: late.signal })
    const ended = watched(env, 'answered', answered)
    await begun(answered)
    late.abort(new Error('my reason'))
    await ended
    try {
      env.http.get({ ...options, signal: {} as never })
    } catch (error) {
      env.log('thrown', error)
    }
    await closed(server)
  })

  same('time-outs: by option, by setTimeout, on a socket that is there; setNoDelay, setSocketKeepAlive', async (env) => {
    const { server, options } = await bytes(env, () => undefined)
    for (const [side, more] of [
      ['option', { timeout: 60 }],
      ['call', {}],
      ['late', {}],
    ] as const) {
      const request = env.http.get({ ...options, ...more })
      request.setNoDelay(true)
      request.setSocketKeepAlive(true, 1000)
      if (side === 'call') request.setTimeout(60, () => env.log(side, 'called back'))
      const over = watched(env, side, request)
      if (side === 'late') {
        const socket = (await event(request, 'socket')) as Socket
        if (socket.connecting) await event(socket, 'connect')
        request.setTimeout(5)
      }
      await event(request, 'timeout')
      env.log(side, request.socket?.timeout, request.destroyed)
      request.destroy()
      await over
    }
    await closed(server)
  })

  same('an upgrade, with bytes behind it, and a tunnel by CONNECT, with or without a listener', async (env) => {
    const { server, options } = await bytes(env, (socket, said) => {
      if (said.includes('Upgrade:') && said.endsWith('\r\n\r\n')) {
        socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nbehind')
      } else if (said.startsWith('CONNECT') && said.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 Yours\r\n\r\nbehind')
      else socket.end(' and more')
    })
    for (const [name, more] of [
      ['upgrade', { headers: { Connection: 'Upgrade', Upgrade: 'x' } }],
      ['connect', { method: 'CONNECT', path: 'far:1' }],
    ] as const) {
      await watched(env, `${name} unheard`, env.http.request({ ...options, ...more }).end())
      const request = env.http.request({ ...options, ...more }).end()
      const over = watched(env, name, request)
      const [res, socket, head] = await new Promise<[IncomingMessage, Socket, Buffer]>((resolve) =>
        request.on(name, (...args) => resolve(args as [IncomingMessage, Socket, Buffer])),
      )
      env.log(name, res.statusCode, res.statusMessage, String(head), socket === request.socket, socket instanceof env.net.Socket)
      await over
      socket.write('through')
      env.log(name, String(await event(socket, 'data')))
      await event(socket, 'close')
    }
    await closed(server)
  })

  same('a proxy: CONNECT to a server of TLS, https through the tunnel', async (env) => {
    const secure = env.https.createServer({ key: TEST_KEY, cert: TEST_CERT }, (req, res) => res.end(`secret ${req.url}`))
    const securePort = await bound(secure, env.host)
    const proxy = env.http.createServer()
    proxy.on('connect', (req: IncomingMessage, socket: Socket, head: Buffer) => {
      const { hostname, port } = new URL(`http://${req.url}`)
      const far = env.net.connect(Number(port), hostname, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
        far.write(head)
        void pipeline(far, socket).catch(() => undefined)
        void pipeline(socket, far).catch(() => undefined)
      })
      far.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
    })
    const port = await bound(proxy, env.host)
    const through = (target: string): Promise<[IncomingMessage, Socket]> =>
      new Promise((resolve) => {
        const request = env.http.request({ host: env.host, port, method: 'CONNECT', path: target, agent: false })
        request.on('connect', (res, socket) => resolve([res, socket as Socket])).end()
      })
    const [res, socket] = await through(`${env.host}:${securePort}`)
    env.log('client', res.statusCode)
    const request = env.https.get({ socket, path: '/x', agent: false, ca: TEST_CERT, servername: 'localhost' } as RequestOptions)
    const answer = (await event(request, 'response')) as IncomingMessage
    env.log('client', String(await event(answer, 'data')), (answer.socket as { authorized?: boolean }).authorized)
    await closed(secure)
    const [refused, spare] = await through(`${env.host}:${securePort}`)
    env.log('client', refused.statusCode, refused.statusMessage)
    await event(spare.resume(), 'close')
    await closed(proxy)
  })

  same('nobody listens; a body that fills up drains; a pipeline whose source breaks', async (env) => {
    const { server, options } = await bytes(env, () => undefined)
    await closed(server)
    await watched(env, 'refused', env.http.get(options))
    const sink = env.http.createServer((req, res) => {
      let n = 0
      req.on('data', (chunk: Buffer) => {
        n += chunk.length
      })
      req.on('end', () => res.end(`${n}`))
      req.on('error', (error) => env.log('sink', error))
    })
    const port = await bound(sink, env.host)
    const request = env.http.request({ host: env.host, port, method: 'PUT', agent: false })
    const response = event(request, 'response') as Promise<IncomingMessage>
    await pipeline(Readable.from(Array.from({ length: 300 }, () => Buffer.alloc(10_000, 'x'))), request)
    env.log('piped', String(await event(await response, 'data')))
    const broken = env.http.request({ host: env.host, port, method: 'PUT', agent: false })
    broken.on('error', (error) => env.log('broken', error))
    const source = Readable.from(
      (async function* () {
        yield 'some'
        await event(sink, 'request')
        throw new Error('no more')
      })(),
    )
    await pipeline(source, broken).catch((error) => env.log('pipeline', error))
    await turns(4)
    await closed(sink)
  })

  same('written to after its end, or twice, or never', async (env) => {
    const { server, options } = await saying(env, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    const request = env.http.request(options)
    const over = watched(env, 'client', request)
    request.end()
    request.write('late', (error) => env.log('late', error))
    await over
    request.end('again', (error?: Error) => env.log('again', error))
    await turns(2)
    const silent = env.http.request(options)
    const gone = watched(env, 'silent', silent)
    const socket = (await event(silent, 'socket')) as Socket
    if (socket.connecting) await event(socket, 'connect')
    await turns(4)
    env.log('silent', socket.bytesWritten, silent.writableEnded, silent.headersSent)
    socket.destroy()
    await gone
    await closed(server)
  })
})

it('says of a socketPath that it belongs to the host', async () => {
  await using stack = realStack()
  const code = expect.objectContaining({ code: 'ERR_TAPSTACK_UNSUPPORTED', message: expect.stringContaining('/tmp/x') })
  expect(() => stack.http.get({ socketPath: '/tmp/x' })).toThrow(code)
  expect(() => stack.https.get({ socketPath: '/tmp/x' })).toThrow(code)
  expect(() => stack.http.createServer().listen('/tmp/x')).toThrow(code)
})
