/** https and tls in their corners, the same as Node's: client certificates, sessions, keys, versions, agents. */
import type { IncomingMessage, RequestOptions } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { describe } from 'vitest'
import { bound, closed, type ModulesEnv, same } from '../support/node-modules.ts'
import { event } from '../support/node-shape.ts'
import { SECOND_CERT, SECOND_KEY } from '../support/second-certificate.ts'
import { turns } from '../support/stream-pair.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

const SERVER = { key: TEST_KEY, cert: TEST_CERT }
const CLIENT = { ca: TEST_CERT, servername: 'localhost' }

async function body(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const part of response.setEncoding('utf8')) text += part
  return text
}

/** The answer's text, and its response. */
function get(env: ModulesEnv, options: RequestOptions): Promise<[string, IncomingMessage]> {
  return new Promise((resolve, reject) => {
    const request = env.https.get({ host: env.host, ...CLIENT, ...options }, (res) =>
      body(res).then((text) => resolve([text, res]), reject),
    )
    request.on('error', reject)
  })
}

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code

describe('https, the same as Node', () => {
  same('who counts as what', async (env) => {
    const { http, https, tls, net } = env
    for (const module of [http, https]) {
      const agent = new module.Agent()
      const request = module.request({ host: env.host, port: 1, agent }).on('error', () => undefined)
      env.log('agent', agent instanceof http.Agent, agent instanceof https.Agent, module.globalAgent instanceof http.Agent)
      env.log('request', request instanceof http.ClientRequest, request instanceof http.OutgoingMessage)
      request.destroy()
      await event(request, 'close')
    }
    const server = https.createServer(SERVER)
    env.log(
      'server',
      server instanceof https.Server,
      server instanceof tls.Server,
      server instanceof net.Server,
      server instanceof http.Server,
    )
    class Own extends http.Agent {}
    env.log('own', new Own() instanceof Own, new Own() instanceof http.Agent, new http.Agent() instanceof Own)
  })

  same('certificates of clients: asked for, demanded, known and unknown', async (env) => {
    for (const rejectUnauthorized of [false, true]) {
      const server = env.https.createServer(
        { ...SERVER, requestCert: true, rejectUnauthorized, ca: [SECOND_CERT] },
        (req, res) => {
          const socket = req.socket as TLSSocket
          res.end(`${socket.authorized} ${socket.authorizationError} ${socket.getPeerCertificate().subject?.CN}`)
        },
      )
      server.on('tlsClientError', (error) => env.log('server', codeOf(error)))
      const port = await bound(server, env.host)
      for (const pair of [{}, { key: SECOND_KEY, cert: SECOND_CERT }, { key: TEST_KEY, cert: TEST_CERT }]) {
        await get(env, { port, agent: false, ...pair } as RequestOptions).then(
          ([text]) => env.log('client', text),
          () => env.log('client', 'refused'), // by an alert or by the end, whichever is heard first
        )
        await turns(6)
      }
      await closed(server)
    }
  })

  same('sessions: kept by the agent, told to both sides, refused when there is room for none', async (env) => {
    const server = env.https.createServer(SERVER, (req, res) => res.end(`${(req.socket as TLSSocket).isSessionReused()}`))
    const port = await bound(server, env.host)
    for (const maxCachedSessions of [undefined, 0]) {
      const agent = new env.https.Agent({ maxCachedSessions })
      let keys = 0
      agent.on('keylog', (line, socket) => {
        if (/^[A-Z_0-9]+ /.test(String(line)) && socket instanceof env.tls.TLSSocket) keys++
      })
      for (let i = 0; i < 3; i++) env.log('client', maxCachedSessions, (await get(env, { port, agent }))[0])
      env.log('client', keys > 0)
      agent.destroy()
    }
    await closed(server)
  })

  same('the server’s store of sessions: newSession and resumeSession of TLS 1.2', async (env) => {
    const store = new Map<string, Buffer>()
    const server = env.tls.createServer({ ...SERVER, maxVersion: 'TLSv1.2', secureOptions: 1 << 14 }, (socket) => {
      socket.on('error', () => undefined)
      socket.end(`${socket.isSessionReused()}`)
    })
    server.on('newSession', (id, data, done) => {
      env.log('server', 'new', id.length > 0)
      store.set(id.toString('hex'), data)
      done()
    })
    server.on('resumeSession', (id, done) => {
      env.log('server', 'resume', store.has(id.toString('hex')))
      done(null, store.get(id.toString('hex')) ?? null)
    })
    const port = await bound(server, env.host)
    let session: Buffer | undefined
    for (let i = 0; i < 2; i++) {
      const socket = env.tls.connect({ host: env.host, port, ...CLIENT, session })
      socket.on('session', (made) => {
        session = made
      })
      socket.on('secureConnect', () => env.log('client', socket.isSessionReused()))
      socket.on('data', (data) => env.log('client', String(data)))
      await event(socket, 'close')
    }
    await closed(server)
  })

  same('what both ends know of a connection: protocol, cipher, finished messages, exported keys', async (env) => {
    const server = env.tls.createServer({ ...SERVER, ALPNProtocols: ['a', 'b'] }, (socket) => {
      env.log('server', socket.getProtocol(), socket.getCipher().name, socket.alpnProtocol, socket.servername, socket.encrypted)
      const key = socket.exportKeyingMaterial(16, 'label', Buffer.from('context')).toString('hex')
      socket.write(`${key} ${socket.getFinished()?.toString('hex')}`)
      socket.on('end', () => socket.end())
    })
    server.on('keylog', (line, socket) => env.log('keys', String(line).split(' ')[0], socket instanceof env.tls.TLSSocket))
    const port = await bound(server, env.host)
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = env.tls.connect({ host: env.host, port, ...CLIENT, maxVersion, ALPNProtocols: ['b'] })
      const heard = String(await event(socket, 'data'))
      const key = socket.exportKeyingMaterial(16, 'label', Buffer.from('context')).toString('hex')
      env.log(
        'client',
        heard === `${key} ${socket.getPeerFinished()?.toString('hex')}`,
        socket.getProtocol(),
        socket.getCipher().name,
      )
      env.log(
        'client',
        socket.getPeerCertificate().subject.CN,
        socket.getPeerX509Certificate()?.subject,
        socket.getEphemeralKeyInfo(),
      )
      env.log('client', socket.getSharedSigalgs() !== undefined, socket.getCertificate(), socket.setMaxSendFragment(1024))
      socket.end()
      await event(socket, 'close')
    }
    await closed(server)
  })

  same('no common version, cipher or protocol; a handshake that takes too long', async (env) => {
    const cases: [object, object][] = [
      [{ minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }],
      [
        { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' },
        { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384', maxVersion: 'TLSv1.2' },
      ],
      [{ ALPNProtocols: ['a'] }, { ALPNProtocols: ['b'] }],
    ]
    for (const [ours, theirs] of cases) {
      const server = env.tls.createServer({ ...SERVER, ...ours }, (socket) => socket.end())
      server.on('tlsClientError', (error) => env.log('server', codeOf(error)))
      const socket = env.tls.connect({ host: env.host, port: await bound(server, env.host), ...CLIENT, ...theirs })
      socket.on('error', (error) => env.log('client', codeOf(error)))
      await event(socket.resume(), 'close')
      await turns(4)
      await closed(server)
    }
    const slow = env.tls.createServer({ ...SERVER, handshakeTimeout: 5 })
    slow.on('tlsClientError', (error, socket) => {
      env.log('slow', error, socket instanceof env.tls.TLSSocket)
      socket.destroy()
    })
    const silent = env.net.connect(await bound(slow, env.host), env.host)
    silent.on('error', () => undefined)
    await event(silent.resume(), 'close')
    await closed(slow)
  })

  same('an agent: its names, a pool for each certificate, the name that it asks for', async (env) => {
    const server = env.https.createServer(SERVER, (req, res) => res.end(`${(req.socket as TLSSocket).servername}`))
    server.addContext('tapstack.example', { key: SECOND_KEY, cert: SECOND_CERT })
    const port = await bound(server, env.host)
    const agent = new env.https.Agent({ keepAlive: true })
    const name = (agent as unknown as { getName(options?: object): string }).getName.bind(agent)
    env.log('names', name(), name({ host: 'h', port: 1, servername: 's', rejectUnauthorized: false }))
    env.log('client', (await get(env, { port, agent }))[0])
    const second = { ca: SECOND_CERT, servername: 'tapstack.example' } as RequestOptions
    env.log('client', (await get(env, { port, agent, ...second }))[0])
    env.log(
      'client',
      (await get(env, { port, agent, headers: { host: 'localhost' }, servername: undefined } as RequestOptions))[0],
    )
    await turns(4)
    env.log(
      'client',
      Object.values(agent.freeSockets)
        .map((list) => list?.length)
        .join(),
    )
    env.log('client', await get(env, { port, agent, servername: 'tapstack.example' } as RequestOptions).catch(codeOf))
    const checks = { checkServerIdentity: (host: string) => new Error(`not ${host}`) } as RequestOptions
    env.log('client', await get(env, { port, agent: false, ...checks }).catch((error) => error))
    agent.destroy()
    await closed(server)
  })

  same('a server’s pool of connections: close, idle, all, by the same calls as http', async (env) => {
    const server = env.https.createServer({ ...SERVER, keepAliveTimeout: 0 }, (req, res) => {
      res.write('begun')
      if (req.url === '/whole') res.end()
    })
    const port = await bound(server, env.host)
    const agent = new env.https.Agent({ keepAlive: true })
    env.log('client', (await get(env, { port, agent, path: '/whole' }))[0])
    await turns(4)
    const [idle] = Object.values(agent.freeSockets)[0] as Socket[]
    const half = env.https.get({ host: env.host, port, agent: false, ...CLIENT })
    const response = (await event(half, 'response')) as IncomingMessage
    response.on('error', (error) => env.log('half', error))
    server.closeIdleConnections()
    await event(idle, 'close')
    const all = closed(server)
    env.log('half', response.destroyed)
    server.closeAllConnections()
    await event(response.resume(), 'close')
    await all
    env.log('server', server.listening)
    agent.destroy()
  })

  same('new contexts for a server that runs, and what is no certificate', async (env) => {
    const server = env.tls.createServer(SERVER, (socket) => socket.end())
    const port = await bound(server, env.host)
    const subject = async (): Promise<string> => {
      const socket = env.tls.connect({ host: env.host, port, rejectUnauthorized: false }).resume()
      await event(socket, 'secureConnect')
      const { subject } = socket.getPeerCertificate()
      await event(socket, 'close')
      return `${subject.CN}`
    }
    env.log('client', await subject())
    server.setSecureContext({ key: SECOND_KEY, cert: SECOND_CERT })
    env.log('client', await subject())
    env.log('server', server.getTicketKeys().length)
    server.setTicketKeys(Buffer.alloc(48, 7))
    env.log('server', server.getTicketKeys().toString('hex'))
    for (const options of [
      { key: 'x', cert: 'y' },
      { key: SECOND_KEY, cert: TEST_CERT },
      { handshakeTimeout: 'x' },
      { ALPNProtocols: 7 },
    ]) {
      try {
        env.tls.createServer(options as never)
        env.log('taken', JSON.stringify(options))
      } catch (error) {
        env.log('thrown', codeOf(error) ?? error)
      }
    }
    await closed(server)
  })

  same('a shared key in place of certificates', async (env) => {
    const psk = Buffer.alloc(16, 9)
    const ciphers = 'PSK+HIGH'
    const server = env.tls.createServer({
      ciphers,
      pskIdentityHint: 'hint',
      pskCallback: (_socket, identity) => (identity === 'me' ? psk : null),
    })
    server.on('secureConnection', (socket) => socket.end('psk'))
    server.on('tlsClientError', (error) => env.log('server', codeOf(error)))
    const port = await bound(server, env.host)
    for (const identity of ['me', 'other']) {
      const socket = env.tls.connect({
        host: env.host,
        port,
        ciphers,
        checkServerIdentity: () => undefined,
        pskCallback: () => ({ psk, identity }),
        maxVersion: 'TLSv1.2',
      })
      socket.on('error', (error) => env.log('client', codeOf(error)))
      socket.on('data', (data) => env.log('client', String(data), socket.authorized))
      await event(socket, 'close')
    }
    await turns(2)
    await closed(server)
  })
})
