import nodeHttp from 'node:http'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import { createStack, type NodeStack } from '../../src/node/stack.ts'
import { event } from '../support/node-shape.ts'

async function withStacks(run: (left: NodeStack, right: NodeStack) => Promise<void>): Promise<void> {
  const [a, b] = createPipe()
  const left = createStack()
  const right = createStack()
  left.attach(a, { addresses: ['10.0.0.1/24'] })
  right.attach(b, { addresses: ['10.0.0.2/24'] })
  try {
    await run(left, right)
  } finally {
    left.http.globalAgent.destroy()
    await Promise.all([left.close(), right.close()])
  }
}

async function body(response: nodeHttp.IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const part of response) text += part
  return text
}

function get(
  stack: NodeStack,
  input: string | URL | nodeHttp.RequestOptions,
  options: nodeHttp.RequestOptions = {},
): Promise<nodeHttp.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = stack.http.get(input as string, options)
    request.on('response', resolve).on('error', reject)
  })
}

describe('http', () => {
  it('serves and fetches, by url and by options, with and without a body', () =>
    withStacks(async (left, right) => {
      const server = right.http.createServer(async (req, res) => {
        const text = await body(req)
        res.setHeader('x-peer', `${req.socket.remoteAddress}`)
        res.end(`${req.method} ${req.url} ${text}`)
      })
      server.listen(8080)
      await event(server, 'listening')
      expect(server.listening).toBe(true)
      expect(server.address()).toEqual({ address: '::', family: 'IPv6', port: 8080 })
      const first = await get(left, 'http://10.0.0.2:8080/a?b=1')
      expect(first.headers['x-peer']).toBe('::ffff:10.0.0.1')
      expect(await body(first)).toBe('GET /a?b=1 ')
      expect(await body(await get(left, new URL('http://10.0.0.2:8080/u'), { headers: { host: 'x' } }))).toBe('GET /u ')
      const post = left.http.request({ host: '10.0.0.2', port: 8080, method: 'POST', path: '/p' })
      post.end('ping')
      expect(await body((await event(post, 'response')) as nodeHttp.IncomingMessage)).toBe('POST /p ping')
    }))

  it('keeps connections alive and uses them again', () =>
    withStacks(async (left, right) => {
      const server = right.http.createServer((_req, res) => res.end('ok'))
      let connections = 0
      server.on('connection', () => connections++)
      server.listen(80)
      await event(server, 'listening')
      const agent = new left.http.Agent({ keepAlive: true })
      for (let i = 0; i < 3; i++) {
        expect(await body(await get(left, { host: '10.0.0.2', agent }))).toBe('ok')
        await new Promise((resolve) => setImmediate(resolve)) // the socket returns to the agent after 'end'
      }
      expect(connections).toBe(1)
      const once = await get(left, { host: '10.0.0.2', agent: false })
      expect(once.headers.connection).toBe('close')
      await body(once)
      expect(connections).toBe(2)
      agent.destroy()
      server.close()
      await event(server, 'close')
    }))

  it('streams a large body with back-pressure', () =>
    withStacks(async (left, right) => {
      const chunk = Buffer.alloc(100_000, 'x')
      const server = right.http.createServer((_req, res) => {
        let left = 50
        const more = (): void => {
          while (left-- > 0) if (!res.write(chunk)) return void res.once('drain', more)
          res.end()
        }
        more()
      })
      server.listen(80)
      await event(server, 'listening')
      const response = await get(left, 'http://10.0.0.2/')
      let bytes = 0
      for await (const part of response) bytes += (part as Buffer).length
      expect(bytes).toBe(5_000_000)
    }))

  it('upgrades, and hands the socket over', () =>
    withStacks(async (left, right) => {
      const server = right.http.createServer()
      server.on('upgrade', (_req, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
        socket.pipe(socket)
      })
      server.listen(80)
      await event(server, 'listening')
      const request = left.http.request({ host: '10.0.0.2', headers: { connection: 'Upgrade', upgrade: 'echo' } })
      request.end()
      const socket = await new Promise<import('node:stream').Duplex>((resolve) => request.on('upgrade', (_res, s) => resolve(s)))
      expect(socket).toBeInstanceOf(left.net.Socket)
      socket.write('hello')
      expect(String(await event(socket, 'data'))).toBe('hello')
      socket.destroy()
    }))

  it('closes as Node’s server closes: idle connections end, the callback comes', () =>
    withStacks(async (left, right) => {
      const server = right.http.createServer((_req, res) => res.end('ok'))
      const log: string[] = []
      server.on('close', () => log.push('close'))
      server.listen(80, () => log.push('listening'))
      await event(server, 'listening')
      const agent = new left.http.Agent({ keepAlive: true })
      await body(await get(left, { host: '10.0.0.2', agent }))
      await new Promise((resolve) => setImmediate(resolve))
      const closed = event(server, 'close')
      server.close((error) => log.push(`callback ${error}`))
      await closed
      expect(server.listening).toBe(false)
      expect(log).toEqual(['listening', 'close', 'callback undefined'])
      const again = await new Promise((resolve) => server.close(resolve))
      expect(again).toMatchObject({ code: 'ERR_SERVER_NOT_RUNNING' })
      agent.destroy()
    }))

  it('tells of a port in use, of a refused connection, of a name that is not there', () =>
    withStacks(async (left, right) => {
      const one = right.http.createServer().listen(80, '10.0.0.2')
      await event(one, 'listening')
      const two = right.http.createServer().listen(80, '10.0.0.2')
      expect(await event(two, 'error')).toMatchObject({ message: 'listen EADDRINUSE: address already in use 10.0.0.2:80' })
      expect(() => one.listen(81)).toThrow(expect.objectContaining({ code: 'ERR_SERVER_ALREADY_LISTEN' }))
      await expect(get(left, 'http://10.0.0.2:81/')).rejects.toMatchObject({ message: 'connect ECONNREFUSED 10.0.0.2:81' })
      await expect(get(left, 'http://nowhere.example/')).rejects.toMatchObject({
        message: 'getaddrinfo ENOTFOUND nowhere.example: no DNS server is known: none was set, and no interface was told of one',
      })
    }))

  it('never uses the sockets of the host', () =>
    withStacks(async (left) => {
      const outside = nodeHttp.createServer((_req, res) => res.end('the host’s')).listen(0, '127.0.0.1')
      await event(outside, 'listening')
      const { port } = outside.address() as import('node:net').AddressInfo
      await expect(get(left, `http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await expect(get(left, { host: '127.0.0.1', port, agent: false })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      const request = new left.http.ClientRequest(`http://127.0.0.1:${port}/`)
      request.end()
      expect(await event(request, 'error')).toMatchObject({ code: 'ECONNREFUSED' })
      expect(() => left.http.get(`http://127.0.0.1:${port}/`, { agent: new nodeHttp.Agent() })).toThrow(
        expect.objectContaining({ code: 'ERR_TAPSTACK_UNSUPPORTED' }),
      )
      outside.close()
    }))

  it('lends its sockets to whoever takes a createConnection or an agent', () =>
    withStacks(async (left, right) => {
      const server = right.http.createServer((_req, res) => res.end('mine'))
      server.listen(80)
      await event(server, 'listening')
      const answer = (options: nodeHttp.RequestOptions): Promise<string> =>
        new Promise((resolve, reject) => {
          nodeHttp.get({ host: '10.0.0.2', ...options }, (res) => resolve(body(res))).on('error', reject)
        })
      expect(await answer({ createConnection: (options) => left.net.connect(options) })).toBe('mine')
      const agent = new left.http.Agent()
      expect(await answer({ agent })).toBe('mine')
      agent.destroy()
    }))
})
