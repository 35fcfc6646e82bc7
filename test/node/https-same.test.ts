import type { IncomingMessage, RequestOptions } from 'node:http'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { describe } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

const SERVER = { key: TEST_KEY, cert: TEST_CERT }
const CLIENT = { ca: TEST_CERT, servername: 'localhost' }

async function body(readable: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of readable) parts.push(part)
  return Buffer.concat(parts).toString()
}

function get(env: ModulesEnv, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => env.https.get({ ...CLIENT, ...options }, resolve).on('error', reject))
}

describe('https, the same as Node', () => {
  same('requests by options and by URL, a pool of connections, sessions used again', async (env) => {
    const server = env.https.createServer(SERVER, async (req, res) => {
      const socket = req.socket as TLSSocket
      res.end(
        `${req.method} ${req.url} ${await body(req)} ${socket.alpnProtocol} ${socket.servername} ${socket.isSessionReused()}`,
      )
    })
    let connections = 0
    server.on('secureConnection', () => connections++)
    const port = await bound(server, env.host)
    const agent = new env.https.Agent({ keepAlive: true, maxSockets: 1 })
    for (const path of ['/a', '/b', '/c']) {
      const res = await get(env, { host: env.host, port, path, agent })
      env.log('client', res.statusCode, res.headers.connection, (res.socket as TLSSocket).authorized, await body(res))
    }
    env.log('server', connections)
    agent.destroy()
    const post = env.https.request(`https://${env.host}:${port}/post`, { ...CLIENT, method: 'POST', agent: false })
    post.end('ping')
    env.log('client', await body((await event(post, 'response')) as IncomingMessage))
    await get(env, { host: env.host, port, agent: new env.https.Agent() }).then(
      async (res) => env.log('own agent', res.headers.connection, await body(res)),
      (error) => env.log('own agent', error),
    )
    await closed(server)
    env.log('server', server.listening, server instanceof env.tls.Server, server instanceof env.https.Server)
  })

  same('an unknown certificate, a wrong protocol, a port where nobody is', async (env) => {
    const server = env.https.createServer(SERVER, (_req, res) => res.end())
    server.on('tlsClientError', () => {})
    const port = await bound(server, env.host)
    await get(env, { host: env.host, port, ca: undefined } as RequestOptions).catch((error) => env.log('client', error.code))
    try {
      env.https.get(`http://${env.host}/`)
    } catch (error) {
      env.log('client', error)
    }
    await closed(server)
    await get(env, { host: env.host, port }).catch((error) => env.log('client', error))
  })

  same('an upgrade and CONNECT hand their sockets over', async (env) => {
    const server = env.https.createServer(SERVER)
    const answer = (status: string) => (_req: IncomingMessage, socket: Duplex) => {
      socket.write(`HTTP/1.1 ${status}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`)
      socket.pipe(socket)
    }
    server.on('upgrade', answer('101 Switching Protocols'))
    server.on('connect', answer('200 OK'))
    const port = await bound(server, env.host)
    for (const [name, options] of [
      ['upgrade', { headers: { connection: 'Upgrade', upgrade: 'echo' } }],
      ['connect', { method: 'CONNECT', path: 'elsewhere:1' }],
    ] as const) {
      const req = env.https.request({ ...CLIENT, host: env.host, port, agent: false, ...options })
      req.end()
      const socket = await new Promise<Duplex>((resolve) => req.on(name, (_res, s) => resolve(s)))
      socket.write('hello')
      env.log(name, String(await event(socket, 'data')), socket instanceof env.tls.TLSSocket)
      socket.end()
      await event(socket, 'close')
    }
    await closed(server)
  })
})

function watch(env: ModulesEnv, session: ClientHttp2Session): ClientHttp2Session {
  session.on('connect', () => env.log('session', 'connect', session.connecting, session.encrypted, session.alpnProtocol))
  session.on('remoteSettings', (settings) => env.log('session', 'settings', Object.keys(settings).length > 0))
  session.on('goaway', (code) => env.log('session', 'goaway', code))
  session.on('error', (error) => env.log('session', 'error', error))
  session.on('close', () => env.log('session', 'close', session.destroyed))
  return session
}

async function answered(env: ModulesEnv, name: string, stream: ClientHttp2Stream): Promise<void> {
  const headers = (await event(stream, 'response')) as Record<string, unknown>
  const trailers = event(stream, 'trailers') as Promise<Record<string, unknown>>
  const text = await body(stream)
  env.log(name, headers[':status'], headers['x-answer'], text.length, (await trailers).sum)
}

describe('http2, the same as Node', () => {
  for (const secure of [false, true]) {
    same(`streams, trailers, ping, push, close (${secure ? 'TLS' : 'in clear'})`, async (env) => {
      const server = secure ? env.http2.createSecureServer(SERVER) : env.http2.createServer()
      server.on('session', (s) => {
        const { remoteAddress, remoteFamily, localAddress } = s.socket
        env.log('server', remoteAddress, remoteFamily, localAddress, s.encrypted, s.alpnProtocol)
      })
      server.on('stream', async (stream, headers) => {
        stream.on('error', (error) => env.log('server', error))
        if (headers[':path'] === '/push') {
          stream.pushStream({ ':path': '/pushed' }, (_error, pushed) => {
            pushed.respond({ ':status': 200 })
            pushed.end('pushed')
          })
        }
        const text = await body(stream)
        stream.respond({ ':status': 200, 'x-answer': `${headers[':method']} ${headers[':path']}` }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ sum: `${text.length}` }))
        stream.end(text)
      })
      const port = await bound(server, env.host)
      const authority = `${secure ? 'https' : 'http'}://${env.host}:${port}`
      const session = watch(env, env.http2.connect(authority, CLIENT))
      env.log('session', 'begins', session.connecting)
      session.on('stream', (pushed, headers) => body(pushed).then((text) => env.log('pushed', headers[':path'], text)))
      await event(session, 'connect')
      env.log('session', session.socket.remoteAddress, typeof session.socket.localPort)
      const one = session.request({ ':method': 'POST', ':path': '/one' })
      const two = session.request({ ':method': 'POST', ':path': '/push' })
      one.end('x'.repeat(200_000))
      two.end('two')
      await Promise.all([answered(env, 'one', one), answered(env, 'two', two)])
      await new Promise<void>((resolve) =>
        session.ping((error, ms, payload) => {
          env.log('ping', error, typeof ms, payload.length)
          resolve()
        }),
      )
      session.close()
      await event(session, 'close')
      await closed(server)
    })
  }

  same('a secure server that takes HTTP/1.1 too; the compatible API', async (env) => {
    const server = env.http2.createSecureServer({ ...SERVER, allowHTTP1: true }, (req, res) => {
      res.setHeader('x-version', req.httpVersion)
      res.end(`${req.socket.remoteAddress}`)
    })
    const port = await bound(server, env.host)
    const old = await get(env, { host: env.host, port, agent: false })
    env.log('http/1.1', old.headers['x-version'], await body(old))
    const connect = promisify(env.http2.connect) as unknown as (url: string, options: object) => Promise<ClientHttp2Session>
    const session = await connect(`https://${env.host}:${port}`, CLIENT)
    const stream = session.request({ ':path': '/' })
    const headers = (await event(stream, 'response')) as Record<string, unknown>
    env.log('h2', headers['x-version'], await body(stream))
    session.close()
    await event(session, 'close')
    await closed(server)
  })

  same('nobody listens; a protocol that is not there; what is no authority', async (env) => {
    const server = env.net.createServer()
    const port = await bound(server, env.host)
    await closed(server)
    for (const protocol of ['http', 'https']) {
      const session = watch(env, env.http2.connect(`${protocol}://${env.host}:${port}`))
      await event(session, 'close')
    }
    for (const authority of ['ftp://x', 'nothing', 7]) {
      try {
        env.http2.connect(authority as string)
      } catch (error) {
        env.log('thrown', (error as NodeJS.ErrnoException).code)
      }
    }
  })

  same('CONNECT: a tunnel in a stream', async (env) => {
    const server = env.http2.createServer()
    server.on('stream', (stream, headers) => {
      env.log('server', headers[':method'], headers[':authority'])
      stream.respond()
      stream.pipe(stream)
    })
    const session = env.http2.connect(`http://${env.host}:${await bound(server, env.host)}`)
    const tunnel = session.request({ ':method': 'CONNECT', ':authority': 'elsewhere:1' })
    tunnel.write('through')
    env.log('client', String(await event(tunnel, 'data')))
    tunnel.end()
    await event(tunnel, 'close')
    session.destroy()
    await event(session, 'close')
    await closed(server)
  })
})
