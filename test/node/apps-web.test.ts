/** Clients and servers of the web as they come from npm, on two stacks: express, undici, ws. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import express from 'express'
import { Agent, fetch, request } from 'undici'
import { describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { noise } from '../support/frames.ts'
import { withTwoStacks } from '../support/two-stacks.ts'
import { connector } from '../support/undici-connector.ts'

const BIG = Buffer.from(noise(3_000_000, 5))

function app(): express.Express {
  const it = express()
  it.get('/hello/:name', (req, res) => void res.json({ hello: req.params.name, from: req.ip }))
  it.post('/json', express.json(), (req, res) => void res.status(201).json(req.body))
  it.get('/big', (_req, res) => void res.type('application/octet-stream').send(BIG))
  it.get('/gzip', (_req, res) => {
    res.set('content-encoding', 'gzip')
    const zip = createGzip()
    zip.pipe(res)
    zip.end(BIG)
  })
  it.put('/back', (req, res) => void req.pipe(res))
  it.get('/never', () => undefined)
  it.get('/cut', (_req, res) => {
    res.set('content-length', '1000')
    res.write('some', () => res.socket!.destroy())
  })
  return it
}

/** The application on `there`, and undici on `here`. */
const withApp = (run: (agent: Agent, connections: () => number) => Promise<void>): Promise<void> =>
  withTwoStacks(async (here, there) => {
    const server = there.http.createServer(app()).listen(80)
    let connections = 0
    server.on('connection', () => connections++)
    await once(server, 'listening')
    const agent = new Agent({ connect: connector(here), connections: 4, pipelining: 1 })
    await run(agent, () => connections)
    await agent.close()
    server.close()
    server.closeAllConnections() // after a request was given up undici opens a connection that it never uses
    await once(server, 'close')
  })

describe('express and undici', () => {
  it('route, parse and answer; errors of the application are answers', () =>
    withApp(async (dispatcher) => {
      const hello = await fetch('http://10.0.0.2/hello/you', { dispatcher })
      expect(await hello.json()).toEqual({ hello: 'you', from: '::ffff:10.0.0.1' })
      const body = JSON.stringify({ a: [1, 2, 3] })
      const headers = { 'content-type': 'application/json' }
      const made = await fetch('http://10.0.0.2/json', { method: 'POST', body, headers, dispatcher })
      expect([made.status, await made.json()]).toEqual([201, { a: [1, 2, 3] }])
      expect((await fetch('http://10.0.0.2/json', { method: 'POST', body: '{', headers, dispatcher })).status).toBe(400)
      expect((await fetch('http://10.0.0.2/nowhere', { dispatcher })).status).toBe(404)
    }))

  it('carry megabytes both ways, plain, zipped and chunked, a hundred requests over four connections', () =>
    withApp(async (dispatcher, connections) => {
      for (const path of ['big', 'gzip']) {
        const got = await fetch(`http://10.0.0.2/${path}`, { dispatcher })
        expect(BIG.equals(Buffer.from(await got.arrayBuffer()))).toBe(true)
      }
      const parts = Array.from({ length: 50 }, (_, i) => BIG.subarray(i * 60_000, (i + 1) * 60_000))
      const { body } = await request('http://10.0.0.2/back', { method: 'PUT', body: Readable.from(parts), dispatcher })
      expect(BIG.equals(Buffer.from(await body.arrayBuffer()))).toBe(true)
      const names = Array.from({ length: 100 }, (_, i) => `n${i}`)
      const told = await Promise.all(names.map((name) => request(`http://10.0.0.2/hello/${name}`, { dispatcher })))
      expect(await Promise.all(told.map((r) => r.body.json()))).toEqual(
        names.map((hello) => ({ hello, from: '::ffff:10.0.0.1' })),
      )
      expect(connections()).toBe(4)
    }))

  it('are told of a request given up, an answer cut short, a port that nobody hears', () =>
    withApp(async (dispatcher) => {
      const given = new AbortController()
      const never = fetch('http://10.0.0.2/never', { dispatcher, signal: given.signal })
      setImmediate(() => given.abort())
      await expect(never).rejects.toMatchObject({ name: 'AbortError' })
      const cut = await fetch('http://10.0.0.2/cut', { dispatcher })
      await expect(cut.text()).rejects.toMatchObject({ cause: { code: 'UND_ERR_SOCKET' } })
      await expect(fetch('http://10.0.0.2:81/', { dispatcher })).rejects.toMatchObject({
        cause: { code: 'ECONNREFUSED', syscall: 'connect', address: '10.0.0.2', port: 81 },
      })
    }))
})

describe('ws', () => {
  it.each([
    ['plain', false],
    ['deflated', true],
  ])('text, fragments, megabytes both ways, ping and close, %s', (_, perMessageDeflate) =>
    withTwoStacks(async (here, there) => {
      const http = there.http.createServer()
      const server = new WebSocketServer({ server: http, perMessageDeflate })
      server.on('connection', (socket, req) => {
        socket.send(`welcome to ${req.url}`)
        socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
      })
      http.listen(80)
      await once(http, 'listening')

      const client = new WebSocket('ws://10.0.0.2/chat', { createConnection: here.net.connect as never, perMessageDeflate })
      const messages: Buffer[] = []
      client.on('message', (data) => messages.push(data as Buffer))
      await once(client, 'open')
      client.send('part one, ', { fin: false })
      client.send('part two')
      client.send(BIG)
      client.ping('there?')
      expect(String((await once(client, 'pong'))[0])).toBe('there?')
      while (messages.length < 3) await once(client, 'message')
      expect(messages.slice(0, 2).map(String)).toEqual(['welcome to /chat', 'part one, part two'])
      expect(BIG.equals(messages[2])).toBe(true)

      const [peer] = [...server.clients]
      const closed = Promise.all([once(client, 'close'), once(peer, 'close')])
      client.close(4001, 'enough')
      expect((await closed).map(([code, reason]) => [code, String(reason)])).toEqual([
        [4001, 'enough'],
        [4001, 'enough'],
      ])
      server.close()
      http.close()
      await once(http, 'close')
    }),
  )

  it('fifty clients hear what one says; one that vanishes is noticed', () =>
    withTwoStacks(async (here, there) => {
      const http = there.http.createServer().listen(80)
      const server = new WebSocketServer({ server: http })
      server.on('connection', (socket) =>
        socket.on('message', (data) => {
          for (const each of server.clients) each.send(data)
        }),
      )
      await once(http, 'listening')
      const agent = new here.http.Agent()
      const clients = Array.from({ length: 50 }, () => new WebSocket('ws://10.0.0.2/', { agent }))
      await Promise.all(clients.map((client) => once(client, 'open')))
      const heard = Promise.all(clients.map((client) => once(client, 'message')))
      clients[0].send('all of you')
      expect(new Set((await heard).map(([data]) => String(data)))).toEqual(new Set(['all of you']))
      const gone = once([...server.clients][0], 'close')
      clients[0].terminate()
      expect((await gone)[0]).toBe(1006)
      const ended = clients.slice(1).map((client) => once(client, 'close'))
      for (const client of server.clients) client.close()
      await Promise.all(ended)
      server.close()
      http.close()
      await once(http, 'close')
    }))
})
