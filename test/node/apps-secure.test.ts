/** fastify in its three forms, and WebSockets over TLS by ws and by undici: as they come from npm, on two stacks. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type FastifyInstance, type FastifyServerOptions, fastify } from 'fastify'
import { Agent, request, WebSocket as UndiciWebSocket } from 'undici'
import { describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { connector } from '../../src/node/fetch.ts'
import type { NodeStack } from '../../src/node/stack.ts'
import { noise } from '../support/frames.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'
import { withTwoStacks } from '../support/two-stacks.ts'

const BIG = Buffer.from(noise(600_000, 6))
const TLS = { key: TEST_KEY, cert: TEST_CERT }
const TRUST = { ca: TEST_CERT, servername: 'localhost' }

type Made = (stack: NodeStack, handler: (req: never, res: never) => void) => import('node:http').Server

/** Our servers, given where fastify lets one make the server. */
function app(stack: NodeStack, make: Made): FastifyInstance {
  const options = {
    bodyLimit: 10_000_000,
    serverFactory: (handler: unknown) => make(stack, handler as never),
  } as FastifyServerOptions
  const it = fastify(options)
  it.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_req, body, done) => done(null, body))
  it.get('/hello/:name', (req) => ({ hello: (req.params as { name: string }).name, from: req.ip, version: req.raw.httpVersion }))
  it.post('/json', { schema: { body: { type: 'object', required: ['a'] } } }, (req, reply) => reply.code(201).send(req.body))
  it.put('/back', (req, reply) => reply.type('application/octet-stream').send(req.body))
  it.get('/stream', (_req, reply) => {
    const parts = Array.from({ length: 12 }, (_, i) => BIG.subarray(i * 50_000, (i + 1) * 50_000))
    return reply.type('application/octet-stream').send(Readable.from(parts))
  })
  it.get('/broken', () => Promise.reject(new Error('no')))
  return it
}

describe('fastify', () => {
  it.each([
    ['http', '1.1', (stack: NodeStack, handler: never) => stack.http.createServer(handler)],
    ['https', '1.1', (stack: NodeStack, handler: never) => stack.https.createServer(TLS, handler)],
    ['https', '2.0', (stack: NodeStack, handler: never) => stack.http2.createSecureServer(TLS, handler)],
  ] as [string, string, Made][])('by %s %s: routes, schemas, bodies and streams, errors, close', (scheme, version, make) =>
    withTwoStacks(async (here, there) => {
      const fast = app(there, make)
      const url = (await fast.listen({ port: 8080, host: '10.0.0.2' })).replace('http:', `${scheme}:`)
      expect(url).toBe(`${scheme}://10.0.0.2:8080`)
      const allowH2 = version === '2.0'
      const dispatcher = new Agent({ connect: connector(here.net, here.tls, { ...TRUST, allowH2 }) as never, allowH2 })
      const get = (path: string, more: object = {}) => request(url + path, { dispatcher, ...more })
      const hello = await get('/hello/you')
      expect(await hello.body.json()).toEqual({ hello: 'you', from: '10.0.0.1', version })
      const post = { method: 'POST', headers: { 'content-type': 'application/json' } }
      expect((await get('/json', { ...post, body: '{"a":1}' })).statusCode).toBe(201)
      const wrong = await get('/json', { ...post, body: '{"b":1}' })
      expect([wrong.statusCode, await wrong.body.json()]).toEqual([400, expect.objectContaining({ code: 'FST_ERR_VALIDATION' })])
      const headers = { 'content-type': 'application/octet-stream' }
      const back = await get('/back', { method: 'PUT', headers, body: BIG })
      expect(BIG.equals(Buffer.from(await back.body.arrayBuffer()))).toBe(true)
      expect(BIG.equals(await buffer((await get('/stream')).body))).toBe(true)
      expect((await get('/broken')).statusCode).toBe(500)
      const many = await Promise.all(Array.from({ length: 50 }, (_, i) => get(`/hello/${i}`).then((r) => r.body.json())))
      expect(many.map((told) => (told as { hello: string }).hello)).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`))
      await dispatcher.close()
      await fast.close()
    }),
  )
})

describe('WebSockets over TLS', () => {
  /** An echo on `there`, by TLS; `run` closes its clients. */
  const withEcho = (run: (here: NodeStack, server: WebSocketServer) => Promise<void>): Promise<void> =>
    withTwoStacks(async (here, there) => {
      const https = there.https.createServer(TLS)
      const server = new WebSocketServer({ server: https, perMessageDeflate: true })
      server.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
      https.listen(443)
      await once(https, 'listening')
      await run(here, server)
      server.close()
      https.close()
      await once(https, 'close')
    })

  it.each([
    ['its own createConnection', (here: NodeStack) => ({ createConnection: here.tls.connect as never })],
    ['an agent of stack.https', (here: NodeStack) => ({ agent: new here.https.Agent() })],
  ])('ws, by %s: text, bytes, ping, close', (_, how) =>
    withEcho(async (here) => {
      const client = new WebSocket('wss://10.0.0.2/', { ...TRUST, ...how(here) } as WebSocket.ClientOptions)
      await once(client, 'open')
      const messages: Buffer[] = []
      client.on('message', (data) => messages.push(data as Buffer))
      client.send('in words')
      client.send(BIG)
      client.ping('there?')
      expect(String((await once(client, 'pong'))[0])).toBe('there?')
      while (messages.length < 2) await once(client, 'message')
      expect(String(messages[0])).toBe('in words')
      expect(BIG.equals(messages[1])).toBe(true)
      client.close(4000)
      expect((await once(client, 'close'))[0]).toBe(4000)
    }),
  )

  it('ws: a certificate that nobody vouches for', () =>
    withEcho(async (here) => {
      const client = new WebSocket('wss://10.0.0.2/', { agent: new here.https.Agent() })
      expect((await once(client, 'error'))[0]).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    }))

  it('undici’s WebSocket, of which Node’s own is a copy', () =>
    withEcho(async (here, server) => {
      const dispatcher = new Agent({ connect: connector(here.net, here.tls, TRUST) as never })
      const client = new UndiciWebSocket('wss://10.0.0.2/', { dispatcher } as never)
      client.binaryType = 'arraybuffer'
      await new Promise<void>((resolve, reject) => {
        client.onopen = () => resolve()
        client.onerror = (event) => reject(event.error)
      })
      const next = (): Promise<unknown> => new Promise((resolve) => (client.onmessage = (event) => resolve(event.data)))
      const words = next()
      client.send('in words')
      expect(await words).toBe('in words')
      const bytes = next()
      client.send(BIG)
      expect(BIG.equals(Buffer.from((await bytes) as ArrayBuffer))).toBe(true)
      const closed = new Promise((resolve) => (client.onclose = resolve))
      for (const peer of server.clients) peer.close(4001, 'enough')
      expect(await closed).toMatchObject({ code: 4001, reason: 'enough', wasClean: true })
      await dispatcher.close()
    }))
})
