/** Node's shape over IPv6 where Node itself would need a network: link-local addresses, happy eyeballs, HTTP. */
import { isIP } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createPipe } from '../../src/link/pipe.ts'
import type { LookupFunction } from '../../src/node/deps.ts'
import type { NodeStack } from '../../src/node/stack.ts'
import { createStack } from '../../src/node/stack.ts'
import { event } from '../support/node-shape.ts'

async function pair(): Promise<{ a: NodeStack; b: NodeStack; link: string; close(): Promise<void> }> {
  const [left, right] = createPipe()
  const a = createStack({ name: 'a' })
  const b = createStack({ name: 'b' })
  a.attach(left, { addresses: ['10.0.0.1/24', 'fd00::1/64'], probe: false })
  const eth0 = b.attach(right, { addresses: ['10.0.0.2/24', 'fd00::2/64'], probe: false })
  const link = eth0.iface.addresses
    .find((own) => own.address.isLinkLocal)!
    .address.toString()
    .replace(/%.*/, '')
  return {
    a,
    b,
    link,
    async close() {
      await a.close()
      await b.close()
    },
  }
}

/** A name with these addresses. */
function found(...addresses: string[]): LookupFunction {
  const list = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_name, _options, callback) => process.nextTick(callback, null, list)
}

async function portOf(server: { listen(port: number): unknown; address(): unknown }): Promise<number> {
  const listening = event(server as never, 'listening')
  // Stacks are closed under what is open here: that resets it.
  ;(server as unknown as NodeJS.EventEmitter).on('connection', (socket: NodeJS.EventEmitter) =>
    socket.on('error', () => undefined),
  )
  server.listen(0)
  await listening
  return (server.address() as { port: number }).port
}

describe('link-local addresses', () => {
  it('net: a zone leads there, and both sides show theirs', async () => {
    const { a, b, link, close } = await pair()
    const server = b.net.createServer()
    const port = await portOf(server)
    const accepted = event(server, 'connection')
    const client = a.net.connect({ host: `${link}%eth0`, port })
    await event(client, 'connect')
    expect(client.remoteAddress).toBe(`${link}%eth0`)
    expect(client.localAddress).toMatch(/^fe80::[0-9a-f:]+%eth0$/)
    expect(client.remoteFamily).toBe('IPv6')
    const there = (await accepted) as typeof client
    expect([there.remoteAddress, there.localAddress]).toEqual([client.localAddress, `${link}%eth0`])
    expect(a.connections()[0].remote).toBe(`[${link}%eth0]:${port}`)
    await close()
  })

  it('dgram: a zone in bind, in send and in what is told of the sender', async () => {
    const { a, b, link, close } = await pair()
    const server = b.dgram.createSocket('udp6')
    server.bind(5000, `${link}%eth0`)
    await event(server, 'listening')
    expect(server.address()).toEqual({ address: `${link}%eth0`, family: 'IPv6', port: 5000 })
    const client = a.dgram.createSocket('udp6')
    const heard = new Promise<{ address: string; port: number }>((resolve) => server.on('message', (_, from) => resolve(from)))
    client.send('hello', 5000, `${link}%eth0`)
    const from = await heard
    expect(from.address).toMatch(/^fe80::[0-9a-f:]+%eth0$/)
    const back = event(client, 'message')
    server.send('there', from.port, from.address)
    expect(String(await back)).toBe('there')
    const refused = new Promise((resolve) => client.send('x', 5000, 'fe80::9%wlan7', resolve))
    expect(await refused).toMatchObject({ code: 'EINVAL', message: 'send EINVAL fe80::9%wlan7:5000' })
    await close()
  })
})

describe('happy eyeballs', () => {
  it('a black hole in one family costs one attempt time-out, and the other family is taken (RFC 8305)', async () => {
    const { a, b, close } = await pair()
    const server = b.net.createServer()
    const port = await portOf(server)
    const events: string[] = []
    const client = a.net.connect({
      port,
      host: 'dual.test',
      autoSelectFamilyAttemptTimeout: 20,
      lookup: found('fd00::dead', 'fd00::2', '10.0.0.2'),
    })
    for (const name of ['connectionAttempt', 'connectionAttemptTimeout'])
      client.on(name, (ip: string) => events.push(`${name} ${ip}`))
    await event(client, 'connect')
    // Families take turns, that of the first address first.
    expect(events).toEqual(['connectionAttempt fd00::dead', 'connectionAttemptTimeout fd00::dead', 'connectionAttempt 10.0.0.2'])
    expect(client.remoteAddress).toBe('10.0.0.2')
    expect(client.autoSelectFamilyAttemptedAddresses).toEqual([`fd00::dead:${port}`, `10.0.0.2:${port}`])
    await close()
  })

  it('all fail: the errors of all', async () => {
    const { a, close } = await pair()
    const client = a.net.connect({
      port: 1,
      host: 'dual.test',
      lookup: found('fd00::2', '10.0.0.2', 'fd99::1'),
    })
    const error = (await event(client, 'error')) as AggregateError & { code: string }
    expect(error.code).toBe('ECONNREFUSED')
    expect(error.errors.map((e) => `${e.code} ${e.address}`)).toEqual([
      'ECONNREFUSED fd00::2',
      'ECONNREFUSED 10.0.0.2',
      'ENETUNREACH fd99::1',
    ])
    await close()
  })

  it('localhost is both, IPv6 first', async () => {
    const { a, close } = await pair()
    const server = a.net.createServer()
    const port = await portOf(server)
    const client = a.net.connect(port)
    await event(client, 'connect')
    expect(client.remoteAddress).toBe('::1')
    const four = a.net.connect({ port, host: 'localhost', family: 4 })
    await event(four, 'connect')
    expect(four.remoteAddress).toBe('127.0.0.1')
    await close()
  })
})

it('http: a URL with an IPv6 address', async () => {
  const { a, b, close } = await pair()
  const server = b.http.createServer((request, response) =>
    response.end(`${request.headers.host} ${request.socket.remoteAddress}`),
  )
  const port = await portOf(server)
  const text = await new Promise<string>((resolve, reject) => {
    a.http
      .get(`http://[fd00::2]:${port}/`, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () => resolve(body))
      })
      .on('error', reject)
  })
  expect(text).toBe(`[fd00::2]:${port} fd00::1`)
  await close()
})
