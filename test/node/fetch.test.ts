/** `stack.fetch`: undici on a stack, against servers of the same stack. */
import { Agent } from 'undici'
import { describe, expect, it } from 'vitest'
import { UndiciOnStack } from '../../src/node/fetch.ts'
import type { NodeStack } from '../../src/node/stack.ts'
import { event, realStack } from '../support/node-shape.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

type Listening = { listen(port: number, done: () => void): unknown; address(): unknown }

async function port(server: Listening): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, resolve))
  return (server.address() as { port: number }).port
}

async function serving(stack: NodeStack): Promise<string> {
  const server = stack.http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    response.setHeader('x-agent', String(request.headers['x-agent']))
    response.end(`${request.method} ${request.url} ${body}`)
  })
  return `http://10.0.0.1:${await port(server)}`
}

describe('stack.fetch', () => {
  it('fetches through the stack, with bodies and headers, from a Request of Node too', async () => {
    await using stack = realStack()
    const url = await serving(stack)
    const first = await stack.fetch(`${url}/a`)
    expect([first.status, await first.text()]).toEqual([200, 'GET /a '])
    const second = await stack.fetch(new URL('/b', url), { method: 'POST', body: 'text', headers: { 'x-agent': 'me' } })
    expect([second.headers.get('x-agent'), await second.text()]).toEqual(['me', 'POST /b text'])
    const request = new Request(`${url}/c`, { method: 'PUT', body: 'streamed', headers: { 'x-agent': 'node' } })
    const third = await stack.fetch(request)
    expect([third.headers.get('x-agent'), await third.text()]).toEqual(['node', 'PUT /c streamed'])
    expect((stack.counters().tcp as Record<string, number>).tcpActiveOpens).toBeGreaterThan(0) // no socket of the host
  })

  it('speaks TLS, and HTTP/2 where it is asked to', async () => {
    await using stack = realStack()
    const server = stack.http2.createSecureServer({ key: TEST_KEY, cert: TEST_CERT, allowHTTP1: true }, (request, response) => {
      response.end(`${request.httpVersion} ${(request.socket as unknown as { servername: string }).servername}`)
    })
    const url = `https://localhost:${await port(server)}/`
    const one = await stack.undici.agent({ connect: { ca: TEST_CERT } })
    const two = await stack.undici.agent({ connect: { ca: TEST_CERT }, allowH2: true })
    const get = async (dispatcher: unknown): Promise<string> => (await stack.fetch(url, { dispatcher } as RequestInit)).text()
    expect(await get(one)).toBe('1.1 localhost')
    expect(await get(two)).toMatch(/^2\.0 /)
    await expect(stack.fetch(url)).rejects.toMatchObject({ cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } })
  })

  it('gives a dispatcher of one’s own connections of the stack', async () => {
    await using stack = realStack()
    const url = await serving(stack)
    const agent = new Agent({ connect: stack.undici.connector() as never })
    const { body } = await agent.request({ origin: url, path: '/own', method: 'GET' })
    expect(await body.text()).toBe('GET /own ')
    await agent.close()
  })

  it('says what failed', async () => {
    await using stack = realStack()
    await expect(stack.fetch('http://10.0.0.1:4444/')).rejects.toMatchObject({
      message: 'fetch failed',
      cause: { code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.1', port: 4444 },
    })
    const abort = new AbortController()
    const fetching = stack.fetch(`${await serving(stack)}/`, { signal: abort.signal })
    abort.abort()
    await expect(fetching).rejects.toMatchObject({ name: 'AbortError' })
    const silent = stack.net.createServer()
    const timed = await stack.undici.agent({ connect: { timeout: 1, rejectUnauthorized: false } })
    const url = `https://10.0.0.1:${await port(silent)}/`
    await expect(stack.fetch(url, { dispatcher: timed } as RequestInit)).rejects.toMatchObject({
      cause: { code: 'UND_ERR_CONNECT_TIMEOUT' },
    })
  })

  it('says what is missing without undici, and ends with the stack', async () => {
    await using stack = realStack()
    const none = new UndiciOnStack(
      () => stack.net,
      () => stack.tls,
      () => Promise.reject(new Error('Cannot find package')),
    )
    await expect(none.fetch('http://10.0.0.1/')).rejects.toMatchObject({
      code: 'ERR_TAPSTACK_NO_UNDICI',
      message: expect.stringContaining('npm install undici'),
    })
    const server = stack.net.createServer()
    const accepted = event(server, 'connection')
    const hanging = stack.fetch(`http://10.0.0.1:${await port(server)}/`)
    await accepted
    await Promise.all([stack.close(), expect(hanging).rejects.toThrow('fetch failed')])
  })
})
