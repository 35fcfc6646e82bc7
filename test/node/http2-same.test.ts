/** http2 in its corners, the same as Node's: settings, GOAWAY, resets, limits, windows, push, sessions over streams of one's own. */
import type { ClientHttp2Session, ClientHttp2Stream, Http2Stream, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Server } from 'node:net'
import { describe } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { turns } from '../support/stream-pair.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

const SERVER = { key: TEST_KEY, cert: TEST_CERT }
const CLIENT = { ca: TEST_CERT, servername: 'localhost' }
type Headers = Record<string, unknown>

async function body(readable: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of readable) parts.push(part)
  return Buffer.concat(parts).toString()
}

/** Status and text of an answer. */
async function answer(stream: ClientHttp2Stream): Promise<string> {
  const headers = (await event(stream, 'response')) as Headers
  return `${headers[':status']} ${await body(stream)}`
}

/** Logs how a stream ends; resolves when it has. */
function ends(env: ModulesEnv, side: string, stream: Http2Stream): Promise<void> {
  stream.on('aborted', () => env.log(side, 'aborted'))
  stream.on('error', (error) => env.log(side, error))
  return new Promise((resolve) =>
    stream.on('close', () => {
      env.log(side, 'close', stream.rstCode, stream.aborted, stream.destroyed)
      resolve()
    }),
  )
}

async function over(session: ClientHttp2Session): Promise<void> {
  const gone = session.destroyed ? null : event(session, 'close')
  session.close()
  await gone
}

/** For each of the two ways: a server, a session to it with its settings exchanged, and the session as the server has it. */
function both(
  name: string,
  scenario: (env: ModulesEnv, server: Server, session: ClientHttp2Session, theirs: ServerHttp2Session) => Promise<void>,
  serverOptions: object = {},
  clientOptions: object = {},
): void {
  for (const secure of [false, true]) {
    same(`${name} (${secure ? 'TLS' : 'in clear'})`, async (env) => {
      const { createServer, createSecureServer } = env.http2
      const server = secure ? createSecureServer({ ...SERVER, ...serverOptions }) : createServer(serverOptions)
      const port = await bound(server, env.host)
      const theirs = event(server, 'session') as Promise<ServerHttp2Session>
      const session = env.http2.connect(`${secure ? 'https' : 'http'}://${env.host}:${port}`, { ...CLIENT, ...clientOptions })
      session.on('error', (error) => env.log('session', error))
      await event(session, 'remoteSettings')
      await scenario(env, server, session, await theirs)
      await over(session)
      await closed(server)
    })
  }
}

describe('http2, the same as Node', () => {
  both(
    'settings: what each side has, changes while it runs, what cannot be',
    async (env, _server, session, theirs) => {
      const shown = ({ headerTableSize, enablePush, initialWindowSize, maxFrameSize, maxConcurrentStreams }: Headers): string =>
        [headerTableSize, enablePush, initialWindowSize, maxFrameSize, maxConcurrentStreams].join(' ')
      env.log('client', shown(session.remoteSettings as never))
      const heard = new Promise<Headers>((resolve) =>
        theirs.on('remoteSettings', (settings) => settings.initialWindowSize === 100_000 && resolve(settings as never)),
      )
      const acknowledged = new Promise<Headers>((resolve) =>
        session.settings({ initialWindowSize: 100_000, enablePush: false }, (_error, settings) => resolve(settings as never)),
      )
      env.log('client', session.pendingSettingsAck)
      env.log('server', shown(await heard))
      env.log('client', shown(await acknowledged), session.pendingSettingsAck, shown(session.localSettings as never))
      for (const settings of [{ initialWindowSize: -1 }, { maxFrameSize: 1 }, { enablePush: 7 }]) {
        try {
          session.settings(settings as never)
        } catch (error) {
          env.log('thrown', error)
        }
      }
    },
    { settings: { maxConcurrentStreams: 7, headerTableSize: 1000 } },
    { settings: { maxFrameSize: 20_000 } },
  )

  both(
    'ping with bytes of one’s own; too many of them; a window for the whole session',
    async (env, _server, session, theirs) => {
      const heard = event(theirs, 'ping') as Promise<Buffer>
      const payload = await new Promise<Buffer>((resolve) =>
        session.ping(Buffer.from('8 bytes.'), (_error, _ms, back) => resolve(back)),
      )
      env.log('client', String(payload), String(await heard))
      for (const wrong of [Buffer.alloc(7), 'text']) {
        try {
          session.ping(wrong as never, () => undefined)
        } catch (error) {
          env.log('thrown', error)
        }
      }
      session.setLocalWindowSize(200_000)
      const { effectiveLocalWindowSize, localWindowSize, remoteWindowSize } = session.state
      env.log(
        'client',
        effectiveLocalWindowSize,
        localWindowSize,
        remoteWindowSize,
        session.type,
        session.alpnProtocol,
        session.encrypted,
      )
      env.log('server', theirs.type, theirs.alpnProtocol, theirs.encrypted, session.originSet?.length)
    },
  )

  both('GOAWAY: with a code and bytes, streams under way go on, new ones are refused', async (env, server, session, theirs) => {
    const streams: ServerHttp2Stream[] = []
    server.on('stream', (stream: ServerHttp2Stream) => streams.push(stream))
    const first = session.request({ ':path': '/1' })
    const text = answer(first)
    while (streams.length === 0) await turns(1)
    const away = new Promise((resolve) =>
      session.on('goaway', (code, last, data) => {
        if (data === undefined) return // of the end of the session
        env.log('client', 'goaway', code, last, String(data))
        resolve(undefined)
      }),
    )
    theirs.goaway(0, streams[0].id, Buffer.from('no more'))
    await away
    await turns(2)
    env.log('client', session.closed, session.destroyed)
    try {
      session.request({ ':path': '/2' }).on('error', (error) => env.log('second', error))
    } catch (error) {
      env.log('second', error)
    }
    streams[0].respond({ ':status': 200 })
    streams[0].end('in time')
    env.log('client', await text)
  })

  for (const how of ['close', 'destroy', 'destroy with an error'] as const) {
    both(`a stream that is ended early by ${how}, on either side`, async (env, server, session) => {
      const { NGHTTP2_CANCEL } = env.http2.constants
      const give = (stream: Http2Stream): void => {
        if (how === 'close') stream.close(NGHTTP2_CANCEL)
        else if (how === 'destroy') stream.destroy()
        else stream.destroy(new Error('enough'))
      }
      const arrived = (): Promise<ServerHttp2Stream> => event(server, 'stream') as Promise<ServerHttp2Stream>
      let coming = arrived()
      const mine = session.request({ ':method': 'POST', ':path': '/client' })
      const [near, theirs] = [ends(env, 'client, by itself', mine), await coming]
      const far = ends(env, 'server, by the client', theirs)
      give(mine)
      await Promise.all([near, far])
      coming = arrived()
      const other = session.request({ ':method': 'POST', ':path': '/server' })
      const [back, here] = [ends(env, 'client, by the server', other), await coming]
      const there = ends(env, 'server, by itself', here)
      give(here)
      await Promise.all([back, there])
    })
  }

  both('a session that is destroyed takes its streams with it', async (env, server, session, theirs) => {
    const coming = event(server, 'stream') as Promise<ServerHttp2Stream>
    const request = session.request({ ':method': 'POST', ':path': '/' })
    const near = ends(env, 'client', request)
    const far = ends(env, 'server', await coming)
    const gone = Promise.all([event(theirs, 'close'), event(session, 'close')])
    theirs.on('error', (error) => env.log('theirs', error))
    session.destroy(new Error('all of it'), env.http2.constants.NGHTTP2_INTERNAL_ERROR)
    await Promise.all([near, far, gone])
    env.log('client', session.destroyed, session.closed)
    try {
      session.request({ ':path': '/late' })
    } catch (error) {
      env.log('late', error)
    }
  })

  both(
    'no more streams at once than the other side allows',
    async (env, server, session) => {
      let most = 0
      let now = 0
      server.on('stream', (stream: ServerHttp2Stream) => {
        most = Math.max(most, ++now)
        setImmediate(() => {
          now--
          stream.respond()
          stream.end('x')
        })
      })
      const all = Array.from({ length: 10 }, (_, i) => answer(session.request({ ':path': `/${i}` })))
      env.log('client', (await Promise.all(all)).join(), most <= 3)
    },
    { settings: { maxConcurrentStreams: 3 } },
  )

  both('information, hints, expectations and pushes of the compatible API', async (env, server, session) => {
    server.on('request', (req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      res.createPushResponse({ ':path': '/pushed' }, (error: Error | null, pushed: typeof res) => {
        env.log('server', error)
        pushed.end('pushed')
      })
      res.setTrailer('x-sum', '7')
      req.on('end', () =>
        res.end(`${req.url} ${req.httpVersion} ${req.authority.replace(/\d+$/, 'P')} ${req.scheme} ${req.complete}`),
      )
      req.resume()
    })
    server.on('checkContinue', (_req, res) => {
      res.writeContinue()
      res.end('continued')
    })
    const stream = session.request({ ':path': '/x' })
    stream.on('headers', (headers) => env.log('client', 'headers', headers[':status'], headers.link))
    stream.on('trailers', (trailers) => env.log('client', 'trailers', trailers['x-sum']))
    const pushed = new Promise<void>((resolve) =>
      session.on('stream', (push, headers) => {
        body(push).then((text) => {
          env.log('pushed', headers[':path'], text)
          resolve()
        })
      }),
    )
    env.log('client', await answer(stream))
    await pushed
    const expecting = session.request({ ':method': 'POST', ':path': '/', expect: '100-continue' })
    expecting.on('continue', () => {
      env.log('expecting', 'continue')
      expecting.end('body')
    })
    env.log('expecting', await answer(expecting))
  })

  both('headers that cannot be, requests that cannot be', async (env, server, session) => {
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => undefined)
      try {
        stream.respond({ ':status': headers[':path'] === '/bad' ? 99 : 204 })
      } catch (error) {
        env.log('server', error)
        stream.respond({ ':status': 500 })
      }
      stream.end()
    })
    for (const headers of [{ ':path': '/bad' }, { ':path': '/none' }, { connection: 'close' }, { ':unknown': 'x' }]) {
      try {
        env.log('client', await answer(session.request(headers as never)))
      } catch (error) {
        env.log('client', error)
      }
    }
  })

  both('a megabyte through small windows, both ways at once', async (env, server, session) => {
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.respond()
      stream.pipe(stream)
    })
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    const part = Buffer.alloc(50_000, 'abcdefg')
    let left = 20
    const more = (): void => {
      while (left-- > 0) if (!stream.write(part)) return void stream.once('drain', more)
      stream.end()
    }
    more()
    const text = await answer(stream)
    env.log('client', text.length, text === `200 ${part.toString().repeat(20)}`)
  })

  both('time-outs of sessions and streams', async (env, server, session, theirs) => {
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.setTimeout(5, () => {
        env.log('stream', 'timeout')
        stream.close(8)
      })
    })
    const stream = session.request({ ':path': '/' })
    await ends(env, 'client', stream)
    theirs.setTimeout(5, () => {
      env.log('theirs', 'timeout')
      theirs.close()
    })
    if (!session.destroyed) await event(session, 'close')
  })

  same('createConnection: a socket that one opened oneself, in clear and by TLS, a stream of another session', async (env) => {
    const answers = (stream: ServerHttp2Stream): void => {
      stream.respond()
      stream.end('here')
    }
    const plain = env.http2.createServer().on('stream', answers)
    const secure = env.http2.createSecureServer(SERVER).on('stream', answers)
    const [plainPort, securePort] = [await bound(plain, env.host), await bound(secure, env.host)]
    const ask = async (authority: string, createConnection: () => never): Promise<void> => {
      const session = env.http2.connect(authority, { createConnection })
      env.log('client', await answer(session.request({ ':path': '/' })), session.encrypted, session.alpnProtocol)
      await over(session)
    }
    await ask('http://name', () => env.net.connect(plainPort, env.host) as never)
    const open = env.net.connect(plainPort, env.host)
    await event(open, 'connect')
    await ask('http://name', () => open as never)
    const tls = { ...CLIENT, host: env.host, port: securePort, ALPNProtocols: ['h2'] }
    await ask('https://name', () => env.tls.connect(tls) as never)
    const proxy = env.http2.createServer()
    proxy.on('stream', (stream) => {
      const far = env.net.connect(plainPort, env.host)
      stream.respond()
      stream.pipe(far).pipe(stream)
    })
    const tunnel = env.http2.connect(`http://${env.host}:${await bound(proxy, env.host)}`)
    const through = tunnel.request({ ':method': 'CONNECT', ':authority': 'far:1' })
    await event(through, 'response')
    await ask('http://far:1', () => through as never)
    await over(tunnel)
    await Promise.all([closed(plain), closed(secure), closed(proxy)])
  })

  same('a client that speaks HTTP/1.1, a client that speaks nothing, a protocol that nobody has', async (env) => {
    const plain = env.http2.createServer()
    plain.on('sessionError', (error) => env.log('plain', error.message))
    const client = env.net.connect(await bound(plain, env.host), env.host)
    client.on('error', () => undefined)
    client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await event(client.resume(), 'close')
    await closed(plain)
    const secure = env.http2.createSecureServer(SERVER)
    secure.on('unknownProtocol', (socket) => {
      env.log('secure', 'unknownProtocol', socket.alpnProtocol, socket instanceof env.tls.TLSSocket)
      socket.end('no')
    })
    const port = await bound(secure, env.host)
    const old = env.tls.connect({ ...CLIENT, host: env.host, port })
    old.on('error', (error) => env.log('old', (error as NodeJS.ErrnoException).code))
    old.on('data', (data) => env.log('old', String(data)))
    await event(old, 'close')
    await closed(secure)
  })
})
