/** Servers of `stack.http`, the same as Node's, as seen by a client that writes bytes. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { turns } from '../support/stream-pair.ts'

async function body(message: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of message.setEncoding('latin1')) text += part
  return text
}

/** What does not depend on the day. */
const plain = (text: string): string => text.replace(/Date: [^\r]*/g, 'Date: D')

/** A connection whose bytes are collected; `all` is everything until it has closed. */
interface Raw {
  socket: Socket
  heard(): string
  /** Resolves when it has heard what matches. */
  until(what: RegExp): Promise<string>
  all: Promise<string>
}

function raw(env: ModulesEnv, port: number, text = ''): Raw {
  const socket = env.net.connect(port, env.host)
  let heard = ''
  let look = (): void => undefined
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    heard += chunk
    look()
  })
  socket.on('error', (error) => {
    heard += `<${(error as NodeJS.ErrnoException).code}>`
  })
  const all = event(socket, 'close').then(() => JSON.stringify(plain(heard)))
  if (text !== '') socket.write(text)
  return {
    socket,
    heard: () => plain(heard),
    until: (what) =>
      new Promise((resolve) => {
        look = () => {
          if (!what.test(heard)) return
          look = () => undefined
          resolve(JSON.stringify(plain(heard)))
        }
        look()
      }),
    all,
  }
}

const CLOSE = 'Host: h\r\nConnection: close\r\n\r\n'

/** The events of both sides of a request as a server sees it. */
function watched(env: ModulesEnv, side: string, req: IncomingMessage, res: ServerResponse): void {
  for (const name of ['aborted', 'end', 'close'])
    req.on(name, () => env.log(`${side} req`, name, req.aborted, req.complete, req.destroyed))
  req.on('error', (error) => env.log(`${side} req`, error))
  for (const name of ['prefinish', 'finish', 'close'])
    res.on(name, () => env.log(`${side} res`, name, res.writableEnded, res.writableFinished, res.destroyed))
  res.on('error', (error) => env.log(`${side} res`, error))
}

describe('servers of http, the same as Node', () => {
  same('Expect: 100-continue by itself, by checkContinue, and expectations that nobody knows', async (env) => {
    const server = env.http.createServer(async (req, res) => res.end(`${req.headers.expect}: ${await body(req)}`))
    const port = await bound(server, env.host)
    const post = `POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n${CLOSE}`
    const one = raw(env, port, post)
    env.log('client', await one.until(/100 Continue\r\n\r\n/))
    one.socket.write('body')
    env.log('client', await one.all)
    env.log('client', await raw(env, port, `GET / HTTP/1.1\r\nExpect: tea\r\n${CLOSE}`).all)
    server.on('checkContinue', async (req, res) => {
      env.log('server', 'checkContinue', req.url)
      if (req.url === '/no') return void res.writeHead(417).end('no')
      res.writeContinue()
      res.end(await body(req))
    })
    server.on('checkExpectation', (req, res) => {
      env.log('server', 'checkExpectation', req.headers.expect)
      res.end('as you wish')
    })
    const two = raw(env, port, post)
    await two.until(/100 Continue\r\n\r\n/)
    two.socket.write('more')
    env.log('client', await two.all)
    env.log('client', await raw(env, port, post.replace('/', '/no')).all)
    env.log('client', await raw(env, port, `GET / HTTP/1.1\r\nExpect: tea\r\n${CLOSE}`).all)
    await closed(server)
  })

  same('pipelined requests are answered in their order, whoever is ready first', async (env) => {
    const held: ServerResponse[] = []
    const server = env.http.createServer((req, res) => {
      env.log('server', req.url)
      res.setHeader('x-url', req.url!)
      held.push(res)
      if (held.length === 3) for (const each of held.reverse()) each.end(`answer to ${each.req.url}`)
    })
    const port = await bound(server, env.host)
    const client = raw(
      env,
      port,
      `GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\nGET /3 HTTP/1.1\r\n${CLOSE}`,
    )
    env.log('client', await client.all)
    await closed(server)
  })

  same('HTTP/1.0, HEAD, no body, no Host, answers without a length', async (env) => {
    const server = env.http.createServer((req, res) => {
      if (req.url === '/none') res.writeHead(204).end()
      else if (req.url === '/not-modified') res.writeHead(304).end()
      else if (req.url === '/parts') {
        res.write('one, ')
        res.end('two')
      } else res.end('text')
    })
    const port = await bound(server, env.host)
    for (const request of [
      'GET /parts HTTP/1.0\r\n\r\n',
      'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
      `HEAD / HTTP/1.1\r\n${CLOSE}`,
      `GET /none HTTP/1.1\r\n${CLOSE}`,
      `GET /not-modified HTTP/1.1\r\n${CLOSE}`,
      `GET /parts HTTP/1.1\r\n${CLOSE}`,
      'GET / HTTP/1.1\r\nConnection: close\r\n\r\n',
      `GET http://h/absolute?x HTTP/1.1\r\n${CLOSE}`,
      `OPTIONS * HTTP/1.1\r\n${CLOSE}`,
    ]) {
      const client = raw(env, port, request)
      if (request.includes('keep-alive')) {
        env.log('client', await client.until(/text/))
        client.socket.end()
      }
      env.log('client', await client.all)
    }
    await closed(server)
    const lax = env.http.createServer({ requireHostHeader: false }, (_req, res) => res.end('fine'))
    env.log('client', await raw(env, await bound(lax, env.host), 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n').all)
    await closed(lax)
  })

  same('chunks and trailers both ways, headers that come twice', async (env) => {
    const server = env.http.createServer({ joinDuplicateHeaders: true, uniqueHeaders: ['x-once'] }, async (req, res) => {
      env.log('server', JSON.stringify(req.headers), JSON.stringify(req.rawHeaders))
      env.log('server', await body(req), JSON.stringify(req.trailers), JSON.stringify(req.rawTrailers))
      res.writeHead(200, { Trailer: 'x-sum', 'x-many': ['1', '2'], 'x-once': ['a', 'b'] })
      res.write('some')
      res.addTrailers({ 'x-sum': '42' })
      res.end()
    })
    const port = await bound(server, env.host)
    const chunks = '3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nx-end: 1\r\n\r\n'
    const head = `PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: x-end\r\nx-a: 1\r\nX-A: 2\r\nage: 1\r\nage: 2\r\n${CLOSE}`
    env.log('client', await raw(env, port, head + chunks).all)
    await closed(server)
  })

  same('informational answers: 102, 103, and Node’s own calls for them', async (env) => {
    const server = env.http.createServer((_req, res) => {
      res.writeProcessing()
      res.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.js>; rel=preload'], 'x-more': 'yes' }, () =>
        env.log('server', 'hinted'),
      )
      try {
        res.writeEarlyHints({ link: 'nonsense' })
      } catch (error) {
        env.log('server', error)
      }
      res.end('text')
    })
    env.log('client', await raw(env, await bound(server, env.host), `GET / HTTP/1.1\r\n${CLOSE}`).all)
    await closed(server)
  })

  same('what is no HTTP: clientError, with its bytes, and what is answered without a listener', async (env) => {
    const server = env.http.createServer({ maxHeaderSize: 1000 }, (req, res) => res.end(`${req.url}`))
    const port = await bound(server, env.host)
    const wrong = [
      'NONSENSE\r\n\r\n',
      `GET / HTTP/1.1\r\nx: ${'y'.repeat(2000)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n${CLOSE}`,
      `GET / HTTP/1.1\r\nbad header\r\n${CLOSE}`,
      `POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${CLOSE}zz\r\n`,
      `GET / HTTP/9.9\r\n${CLOSE}`,
    ]
    for (const text of wrong) env.log('client', await raw(env, port, text).all)
    server.on('clientError', (error: NodeJS.ErrnoException & { bytesParsed?: number; rawPacket?: Buffer }, socket: Duplex) => {
      env.log(
        'server',
        error.name,
        error.code,
        error.message,
        error.bytesParsed,
        error.rawPacket?.length,
        socket instanceof env.net.Socket,
      )
      socket.end('HTTP/1.1 400 Mine\r\n\r\n')
    })
    for (const text of wrong) env.log('client', await raw(env, port, text).all)
    const gone = raw(env, port, 'GET / HTTP/1.1\r\n')
    await turns(4)
    gone.socket.end()
    env.log('client', await gone.all)
    await closed(server)
    const lax = env.http.createServer({ insecureHTTPParser: true }, (req, res) => res.end(req.headers['x-odd']))
    const odd = `GET / HTTP/1.1\r\nx-odd: a\u0001b\r\n${CLOSE}`
    env.log('client', await raw(env, await bound(lax, env.host), odd).all)
    await closed(lax)
  })

  same('maxHeadersCount, maxRequestsPerSocket and dropRequest', async (env) => {
    const server = env.http.createServer((req, res) => res.end(`${Object.keys(req.headers).length} headers`))
    server.maxHeadersCount = 2
    server.maxRequestsPerSocket = 2
    server.on('dropRequest', (req, socket) => env.log('server', 'drop', req.url, socket instanceof env.net.Socket))
    const port = await bound(server, env.host)
    const get = (n: number): string => `GET /${n} HTTP/1.1\r\nHost: h\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n`
    const client = raw(env, port, get(1) + get(2) + get(3))
    await client.until(/503/)
    client.socket.end()
    env.log('client', await client.all)
    await closed(server)
  })

  same('keepAliveTimeout, headersTimeout, requestTimeout, and the timeout of the server', async (env) => {
    // What a busy process has not read by then makes of its end a reset.
    const all = async (client: Raw): Promise<string> => (await client.all).replace('<ECONNRESET>', '')
    const patient = { connectionsCheckingInterval: 10, keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 }
    const serve = async (options: object): Promise<[Server, number]> => {
      const server = env.http.createServer(
        { ...patient, ...options } as never,
        (req, res) =>
          void req
            .resume()
            .on('error', (error) => env.log('request', error))
            .on('end', () => res.end('whole')),
      )
      return [server, await bound(server, env.host)]
    }
    const cases: [object, string][] = [
      [{ headersTimeout: 60 }, 'GET / HTTP/1.1\r\nHost: h\r\n'],
      [{ requestTimeout: 60 }, 'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nonly'],
    ]
    for (const [options, text] of cases) {
      const [server, port] = await serve(options)
      server.once('clientError', (error, socket) => {
        env.log('server', error)
        socket.end()
      })
      const client = raw(env, port, text)
      env.log('client', await all(client))
      server.removeAllListeners('clientError')
      env.log('client', await all(raw(env, port, text)))
      await closed(server)
    }
    const [keeps, keepsPort] = await serve({ keepAliveTimeout: 50_000 })
    const accepted = event(keeps, 'connection') as Promise<Socket>
    const kept = raw(env, keepsPort, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await kept.until(/whole/)
    const socket = await accepted
    await turns(2)
    env.log('kept', socket.timeout)
    socket.emit('timeout') // Node 20 waits for a second more than it is told
    env.log('kept', await all(kept))
    await closed(keeps)
    const [server, port] = await serve({})
    server.setTimeout(5, (socket: Socket) => {
      env.log('server', 'timeout', socket.timeout)
      socket.destroy()
    })
    env.log('client', await all(raw(env, port, 'GET /')))
    server.removeAllListeners('timeout')
    env.log('client', await all(raw(env, port, 'GET /')))
    await closed(server)
    for (const options of [
      { headersTimeout: 10, requestTimeout: 5 },
      { keepAliveTimeout: -1 },
      { requestTimeout: 'x' },
      { highWaterMark: -1 },
    ]) {
      try {
        env.http.createServer(options as never)
        env.log('taken', JSON.stringify(options))
      } catch (error) {
        env.log('thrown', error)
      }
    }
    const { headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxHeadersCount, maxRequestsPerSocket } =
      env.http.createServer()
    env.log('defaults', headersTimeout, requestTimeout, keepAliveTimeout, timeout, maxHeadersCount, maxRequestsPerSocket)
  })

  same('close ends what is idle, closeIdleConnections too; closeAllConnections the rest', async (env) => {
    const server = env.http.createServer({ keepAliveTimeout: 0 }, (req, res) => {
      res.write('begun')
      if (req.url === '/whole') res.end()
    })
    const port = await bound(server, env.host)
    const idle = [
      raw(env, port, 'GET /whole HTTP/1.1\r\nHost: h\r\n\r\n'),
      raw(env, port, 'GET /whole HTTP/1.1\r\nHost: h\r\n\r\n'),
    ]
    const busy = raw(env, port, 'GET /half HTTP/1.1\r\nHost: h\r\n\r\n')
    const silent = raw(env, port)
    await Promise.all([...idle, busy].map((client) => client.until(/begun/)))
    if (silent.socket.connecting) await event(silent.socket, 'connect')
    await turns(4)
    const count = (): Promise<number> => new Promise((resolve) => server.getConnections((_error, n) => resolve(n)))
    env.log('server', await count())
    server.closeIdleConnections()
    await Promise.all(idle.map((client) => client.all))
    env.log('server', 'idle', await count(), silent.socket.destroyed)
    const again = raw(env, port, 'GET /whole HTTP/1.1\r\nHost: h\r\n\r\n')
    await again.until(/begun\r\n0/)
    await turns(2)
    server.on('close', () => env.log('server', 'close'))
    server.close((error) => env.log('server', 'closed', error))
    await again.all
    env.log('server', server.listening, await count())
    server.closeAllConnections()
    await Promise.all([busy.all, silent.all])
    await turns(2)
    env.log('client', await busy.all)
    env.log('server', await count())
  })

  same('upgrade and CONNECT: handed over with what came behind, or closed, or answered', async (env) => {
    const server = env.http.createServer((req, res) => res.end(`no upgrade: ${req.headers.upgrade}`))
    const port = await bound(server, env.host)
    const upgrade = `GET /u HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`
    const connect = `CONNECT far:1 HTTP/1.1\r\nHost: h\r\n\r\n`
    const first = raw(env, port, upgrade)
    env.log('client', await first.until(/echo/))
    first.socket.end()
    await first.all
    env.log('client', await raw(env, port, connect).all)
    for (const name of ['upgrade', 'connect'] as const) {
      server.on(name, (req: IncomingMessage, socket: Socket, head: Buffer) => {
        env.log(
          'server',
          name,
          req.url,
          String(head),
          socket.listenerCount('data'),
          socket.readableFlowing,
          socket instanceof env.net.Socket,
        )
        socket.write('HTTP/1.1 200 Yours\r\n\r\n')
        socket.unshift(head)
        socket.pipe(socket)
      })
    }
    for (const text of [upgrade, connect]) {
      const client = raw(env, port, `${text}behind `)
      await client.until(/behind/)
      client.socket.end('and the end')
      env.log('client', await client.all)
    }
    await closed(server)
  })

  same('a client that goes: in the middle of its request, of its answer, after it', async (env) => {
    let now: string
    const server = env.http.createServer((req, res) => {
      watched(env, now, req, res)
      req.resume()
      res.write('begun')
      server.emit('asked', res)
    })
    const port = await bound(server, env.host)
    for (const how of ['end', 'destroy', 'reset'] as const) {
      for (const text of [
        'PUT /part HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nsome',
        'GET /whole HTTP/1.1\r\nHost: h\r\n\r\n',
      ]) {
        now = `${how} ${text.slice(0, 3)}`
        const asked = event(server, 'asked') as Promise<ServerResponse>
        const client = raw(env, port, text)
        const res = await asked
        await client.until(/begun/)
        const gone = res.closed ? null : event(res, 'close')
        if (how === 'end') client.socket.end()
        else if (how === 'destroy') client.socket.destroy()
        else client.socket.resetAndDestroy()
        if (how === 'end' && text.startsWith('GET')) {
          await turns(4)
          env.log('half', res.writableEnded, res.destroyed)
          res.end(' and done')
        }
        await gone
        await client.all
        await turns(4)
        res.write('too late', (error) => env.log(`${now} late`, error))
        await turns(2)
      }
    }
    await closed(server)
  })

  same('a response that is destroyed, that is too long, that ends twice', async (env) => {
    const server = env.http.createServer((req, res) => {
      watched(env, req.url!, req, res)
      if (req.url === '/destroyed') {
        res.write('some')
        setImmediate(() => res.destroy(new Error('enough')))
        return
      }
      if (req.url === '/strict') {
        res.strictContentLength = true
        res.setHeader('content-length', 3)
        try {
          res.end('four')
        } catch (error) {
          env.log('strict', error)
        }
        return void res.destroy()
      }
      res.end('once', () => env.log('twice', 'called back'))
      res.end('again', (error?: Error) => env.log('twice', error))
      res.write('more', (error) => env.log('twice', error))
      try {
        res.setHeader('x', 'y')
      } catch (error) {
        env.log('twice', error)
      }
      try {
        res.writeHead(200)
      } catch (error) {
        env.log('twice', error)
      }
    })
    const port = await bound(server, env.host)
    for (const path of ['/destroyed', '/strict', '/twice']) {
      env.log('client', await raw(env, port, `GET ${path} HTTP/1.1\r\n${CLOSE}`).all)
      await turns(4)
    }
    await closed(server)
  })

  same('a flood of writes fills up, drain comes, the client has every byte', async (env) => {
    const part = 'x'.repeat(10_000)
    let drains = 0
    const server = env.http.createServer((_req, res) => {
      let left = 300
      const more = (): void => {
        while (left-- > 0) if (!res.write(part)) return void res.once('drain', more)
        res.end()
      }
      res.on('drain', () => drains++)
      more()
    })
    const client = raw(env, await bound(server, env.host))
    client.socket.pause()
    client.socket.write(`GET / HTTP/1.1\r\n${CLOSE}`)
    await turns(10)
    client.socket.resume()
    env.log('client', (await client.all).replace(/\\r\\n2710\\r\\n/g, '').length, drains > 0)
    await closed(server)
  })

  same('connections given by hand; more than maxConnections', async (env) => {
    const server = env.http.createServer((req, res) => res.end(`${req.url}`))
    const other = env.net.createServer((socket) => server.emit('connection', socket))
    const port = await bound(other, env.host)
    env.log('client', await raw(env, port, `GET /by-hand HTTP/1.1\r\n${CLOSE}`).all)
    await closed(other)
    server.maxConnections = 1
    server.on('drop', (drop) => env.log('server', 'drop', drop?.remoteFamily, drop?.localAddress, typeof drop?.localPort))
    const own = await bound(server, env.host)
    const first = raw(env, own, 'GET /first HTTP/1.1\r\nHost: h\r\n\r\n')
    await first.until(/first/)
    env.log('client', await raw(env, own).all)
    first.socket.end()
    await first.all
    await closed(server)
  })
})
