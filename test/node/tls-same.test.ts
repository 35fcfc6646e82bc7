import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { describe } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { SECOND_CERT, SECOND_KEY } from '../support/second-certificate.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

const SERVER = { key: TEST_KEY, cert: TEST_CERT }
const CLIENT = { ca: [TEST_CERT, SECOND_CERT], servername: 'localhost' }

/** Logs what a TLS socket tells, its data as one text. */
function watch(env: ModulesEnv, side: string, socket: TLSSocket): TLSSocket {
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => (text += chunk))
  // How the two directions interleave is nobody's promise: that of writing has a log of its own.
  socket.on('finish', () => env.log(`${side}, writing`, 'finish', socket.writableFinished))
  for (const name of ['connect', 'ready', 'secureConnect', 'timeout']) {
    socket.on(name, () => env.log(side, name, socket.connecting, socket.encrypted, socket.authorized, socket.readyState))
  }
  socket.on('lookup', (error, address, family, host) => env.log(side, 'lookup', error, address, family, host))
  socket.on('connectionAttempt', (ip, _port, family) => env.log(side, 'attempt', ip, family))
  socket.on('end', () => env.log(side, 'end', text, socket.readyState))
  socket.on('error', (error) => env.log(side, 'error', error, socket.destroyed))
  socket.on('close', (hadError) => env.log(side, 'close', hadError, socket.bytesRead, socket.bytesWritten, socket.readyState))
  return socket
}

function ends(socket: TLSSocket): object {
  const { remoteAddress, remoteFamily, localAddress, localFamily } = socket
  return { remoteAddress, remoteFamily, localAddress, localFamily, ports: typeof socket.remotePort + typeof socket.localPort }
}

/** One connection, both sides watched, until everything has closed. */
async function pair(
  env: ModulesEnv,
  onServer: (socket: TLSSocket) => void,
  onClient: (socket: TLSSocket) => void,
  more: { server?: object; client?: object } = {},
): Promise<void> {
  const server = env.tls.createServer({ ...SERVER, ...more.server })
  const accepted = new Promise<void>((resolve) => {
    server.on('secureConnection', (socket) => {
      watch(env, 'server', socket)
      socket.on('close', () => resolve())
      onServer(socket)
    })
  })
  const port = await bound(server, env.host)
  const client = env.tls.connect({ ...CLIENT, ...more.client, port, host: env.host })
  watch(env, 'client', client)
  onClient(client)
  await Promise.all([accepted, event(client, 'close')])
  await closed(server)
}

describe('tls, the same as Node', () => {
  same('an echo, and who is at both ends', (env) =>
    pair(
      env,
      (s) => {
        env.log('server', ends(s), s.address(), s.servername, s.alpnProtocol, s.isSessionReused())
        s.pipe(s)
      },
      (c) =>
        c.on('secureConnect', () => {
          env.log('client', ends(c), c.getProtocol(), c.getCipher(), c.getPeerCertificate().subject, c.authorizationError)
          c.end('hello')
        }),
    ),
  )

  same('the server says goodbye', (env) =>
    pair(
      env,
      (s) => s.end('bye'),
      () => {},
    ),
  )

  same('half-open on both sides', (env) =>
    pair(
      env,
      (s) => s.on('end', () => s.end('after your end')),
      (c) => c.end('mine'),
      { server: { allowHalfOpen: true }, client: { allowHalfOpen: true } },
    ),
  )

  same('half-open is not allowed', (env) =>
    pair(
      env,
      (s) => s.on('data', () => s.end('yours')),
      (c) => c.write('mine'),
    ),
  )

  same('ALPN: a common protocol', (env) =>
    pair(
      env,
      (s) => env.log('server', s.alpnProtocol),
      (c) => c.on('secureConnect', () => c.end(`${c.alpnProtocol}`)),
      { server: { ALPNProtocols: ['b', 'c'] }, client: { ALPNProtocols: ['a', 'b'] } },
    ),
  )

  same('ALPNCallback chooses', (env) =>
    pair(
      env,
      (s) => env.log('server', s.alpnProtocol),
      (c) => c.on('secureConnect', () => c.end(`${c.alpnProtocol}`)),
      {
        server: {
          ALPNCallback: ({ servername, protocols }: { servername: string; protocols: string[] }) => {
            env.log('callback', servername, protocols)
            return protocols[1]
          },
        },
        client: { ALPNProtocols: ['a', 'b'] },
      },
    ),
  )

  same('TLS 1.2, renegotiation', (env) =>
    pair(
      env,
      (s) => s.pipe(s),
      (c) =>
        c.on('secureConnect', () => {
          c.renegotiate({ rejectUnauthorized: false }, (error) => {
            env.log('client', 'renegotiated', error, c.getProtocol())
            c.end('again')
          })
        }),
      { server: { maxVersion: 'TLSv1.2' } },
    ),
  )

  same('a certificate that nobody vouches for', async (env) => {
    const server = env.tls.createServer(SERVER)
    // What the server hears of a client that hangs up depends on whether its Finished was out: nobody's promise.
    server.on('tlsClientError', () => {})
    const port = await bound(server, env.host)
    const refused = watch(env, 'client', env.tls.connect({ port, host: env.host, servername: 'localhost' }))
    await event(refused, 'close')
    const taken = env.tls.connect({ port, host: env.host, servername: 'localhost', rejectUnauthorized: false })
    watch(env, 'careless', taken)
    await event(taken, 'secureConnect')
    env.log('careless', taken.authorizationError)
    taken.end()
    await event(taken, 'close')
    await closed(server)
  })

  same('checkServerIdentity has the last word', async (env) => {
    const server = env.tls.createServer(SERVER)
    const port = await bound(server, env.host)
    const wrong = env.tls.connect({ ca: TEST_CERT, port, host: env.host, servername: 'elsewhere.example' })
    wrong.on('error', (error) => env.log('wrong name', (error as NodeJS.ErrnoException).code, wrong.authorizationError))
    await event(wrong, 'close')
    const checkServerIdentity = (name: string): Error => new Error(`not ${name}`)
    const other = watch(env, 'own check', env.tls.connect({ ...CLIENT, port, host: env.host, checkServerIdentity }))
    env.log('own check', other instanceof env.tls.TLSSocket, other instanceof env.net.Socket, other instanceof env.net.Server)
    await event(other, 'close')
    await closed(server)
  })

  same('SNI: contexts by name and by callback', async (env) => {
    const server = env.tls.createServer(SERVER, (s) => s.end(`for ${s.servername}`))
    server.addContext('*.tapstack.example', { key: SECOND_KEY, cert: SECOND_CERT })
    const port = await bound(server, env.host)
    for (const servername of ['localhost', 'www.tapstack.example']) {
      const c = watch(env, servername, env.tls.connect({ ...CLIENT, port, host: env.host, servername }))
      c.on('secureConnect', () => env.log(servername, c.getPeerCertificate().subject))
      await event(c, 'close')
    }
    await closed(server)
    const context = env.tls.createSecureContext({ key: SECOND_KEY, cert: SECOND_CERT })
    const asks = env.tls.createServer({
      ...SERVER,
      SNICallback: (name, done) => done(null, name === 'localhost' ? undefined : context),
    })
    asks.on('secureConnection', (s) => s.end('yes'))
    const place = { port: await bound(asks, env.host), host: env.host }
    const c = watch(env, 'callback', env.tls.connect({ ...CLIENT, ...place, servername: 'tapstack.example' }))
    c.on('secureConnect', () => env.log('callback', c.getPeerCertificate().subject))
    await event(c, 'close')
    await closed(asks)
  })

  same('sessions are resumed', async (env) => {
    const server = env.tls.createServer({ ...SERVER, maxVersion: 'TLSv1.2' }, (s) => s.end(`${s.isSessionReused()}`))
    const port = await bound(server, env.host)
    const first = watch(env, 'first', env.tls.connect({ ...CLIENT, port, host: env.host }))
    const session = (await event(first, 'session')) as Buffer
    await event(first, 'close')
    const again = watch(env, 'again', env.tls.connect({ ...CLIENT, port, host: env.host, session }))
    again.on('secureConnect', () => env.log('again', again.isSessionReused()))
    await event(again, 'close')
    await closed(server)
  })

  same('a client that speaks no TLS; a client that goes away', async (env) => {
    const server = env.tls.createServer(SERVER)
    const port = await bound(server, env.host)
    const plain = env.net.connect(port, env.host)
    plain.on('error', () => {})
    plain.write('GET / HTTP/1.0\r\n\r\n')
    const wrong = (await event(server, 'tlsClientError')) as NodeJS.ErrnoException
    env.log('server', wrong.code)
    plain.destroy()
    const hanging = env.net.connect(port, env.host, () => hanging.end())
    env.log('server', await event(server, 'tlsClientError'))
    hanging.destroy()
    await closed(server)
  })

  same('nobody listens', async (env) => {
    const server = env.net.createServer()
    const port = await bound(server, env.host)
    await closed(server)
    await event(watch(env, 'client', env.tls.connect({ ...CLIENT, port, host: env.host })), 'close')
  })

  same('a reset while the connection is in use', async (env) => {
    const server = env.tls.createServer(SERVER)
    const raw: Socket[] = []
    server.on('connection', (socket) => raw.push(socket))
    const port = await bound(server, env.host)
    for (const side of ['client', 'server']) {
      const accepted = event(server, 'secureConnection')
      const client = watch(env, side, env.tls.connect({ ...CLIENT, port, host: env.host }))
      const gone = event(client, 'close')
      const other = watch(env, `${side}'s peer`, (await accepted) as TLSSocket)
      const otherGone = event(other, 'close')
      client.write('x')
      await event(other, 'data')
      raw.at(-1)!.resetAndDestroy()
      await Promise.all([gone, otherGone])
    }
    await closed(server)
  })

  same('over a socket that is connected already, and one that is not yet', async (env) => {
    const server = env.tls.createServer(SERVER, (s) => s.pipe(s))
    const port = await bound(server, env.host)
    const early = env.net.connect(port, env.host)
    const over = watch(env, 'early', env.tls.connect({ ...CLIENT, socket: early }))
    env.log('early', over.connecting)
    over.end('one')
    await event(over, 'close')
    const ready = env.net.connect(port, env.host)
    await event(ready, 'connect')
    const later = watch(
      env,
      'later',
      env.tls.connect({ ...CLIENT, socket: ready }, () => env.log('later', ends(later))),
    )
    env.log('later', later.connecting)
    later.end('two')
    await event(later, 'close')
    env.log('sockets', early.destroyed, ready.destroyed)
    await closed(server)
  })

  same('STARTTLS: a connection that becomes secure on both sides', async (env) => {
    let serverGone: Promise<unknown> | null = null
    const server = env.net.createServer((plain) => {
      plain.once('data', () => {
        plain.write('go ahead\n')
        const secure = new env.tls.TLSSocket(plain, { ...SERVER, isServer: true })
        serverGone = event(secure, 'close')
        watch(env, 'server', secure).pipe(secure)
      })
    })
    const port = await bound(server, env.host)
    const plain = env.net.connect(port, env.host, () => plain.write('STARTTLS\n'))
    env.log('client', String(await event(plain, 'data')))
    const secure = watch(env, 'client', env.tls.connect({ ...CLIENT, socket: plain }))
    secure.end('secret')
    await event(secure, 'close')
    await serverGone
    await closed(server)
  })

  same('timeouts, signals, connections, drop', async (env) => {
    const server = env.tls.createServer(SERVER)
    server.maxConnections = 1
    const port = await bound(server, env.host)
    const first = env.tls.connect({ ...CLIENT, port, host: env.host, timeout: 30 })
    first.on('error', () => {})
    await event(first, 'timeout')
    await new Promise<void>((resolve) =>
      server.getConnections((error, count) => {
        env.log('server', error, count)
        resolve()
      }),
    )
    const dropped = event(server, 'drop')
    const second = env.tls.connect({ ...CLIENT, port, host: env.host })
    second.on('error', (error) => env.log('second', (error as NodeJS.ErrnoException).code))
    await event(second, 'close')
    env.log('server', Object.keys((await dropped) as object))
    first.destroy()
    const stop = new AbortController()
    const third = env.tls.connect({ ...CLIENT, port, host: env.host, ...{ signal: stop.signal } })
    third.on('error', (error) => env.log('third', error.name, (error as NodeJS.ErrnoException).code))
    stop.abort()
    await event(third, 'close')
    // Aborted beforehand: nothing is connected, or the server would not close.
    const never = env.tls.connect({ ...CLIENT, port, host: env.host, ...{ signal: stop.signal } })
    never.on('error', (error) => env.log('never', error.name))
    await event(never, 'close')
    await closed(server)
  })

  same('a megabyte each way, with back-pressure', async (env) => {
    const size = 1_000_000
    const server = env.tls.createServer({ ...SERVER, allowHalfOpen: true }, (s) => s.pipe(s))
    const port = await bound(server, env.host)
    const c = env.tls.connect({ ...CLIENT, port, host: env.host })
    let got = 0
    let sum = 0
    c.on('data', (chunk: Buffer) => {
      got += chunk.length
      for (const byte of chunk) sum = (sum * 31 + byte) | 0
      c.pause()
      setImmediate(() => c.resume())
    })
    const sent = Buffer.alloc(size)
    for (let i = 0; i < size; i++) sent[i] = (i * 7) ^ (i >> 8)
    c.end(sent)
    await event(c, 'close')
    env.log('client', got, sum, c.bytesRead, c.bytesWritten)
    await closed(server)
  })

  same('onread: into one buffer, with a rest now and then', async (env) => {
    const server = env.tls.createServer(SERVER, (s) => s.end(Buffer.alloc(100_000, 'abcdefg')))
    const port = await bound(server, env.host)
    let calls = 0
    let sum = 0
    const onread = {
      buffer: Buffer.alloc(1000),
      callback: (n: number, buffer: Uint8Array): boolean => {
        for (const byte of buffer.subarray(0, n)) sum = (sum * 31 + byte) | 0
        if (++calls % 10 !== 0) return true
        setImmediate(() => client.resume())
        return false
      },
    }
    const client = env.tls.connect({ ...CLIENT, port, host: env.host, ...{ onread } })
    client.on('data', () => env.log('client', 'data'))
    client.on('end', () => env.log('client', 'end', sum))
    await event(client, 'close')
    await closed(server)
  })

  same('argument checks', async (env) => {
    for (const args of [[{}], [{ port: 70_000 }], [{ port: 1, host: env.host, timeout: 'x' }], [{ port: 'x' }]]) {
      try {
        const socket = (env.tls.connect as (...a: unknown[]) => TLSSocket)(...args)
        socket.on('error', () => {})
        socket.destroy()
        env.log('thrown', 'nothing')
      } catch (error) {
        env.log('thrown', error)
      }
    }
    env.log('made', env.tls.TLSSocket.name, env.tls.Server.name, new env.tls.Server() instanceof env.net.Server)
  })
})
