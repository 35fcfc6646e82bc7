/** The stack as a client of the host: the kernel's sockets, socat and node:http listen. */

import dgram from 'node:dgram'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { address } from '../../../src/base/address.ts'
import { type PingOptions, type PingResult, ping } from '../../../src/icmp/ping-iterator.ts'
import { HOST, Lab, listener, noise, quietKernel, sh, sha256 } from './lab.ts'

beforeAll(quietKernel)

describe.each([
  ['with offload', true],
  ['plain', false],
])('a client on a tap %s', (_, offload) => {
  let lab: Lab
  const known: string[] = []

  beforeAll(async () => {
    lab = await Lab.open({ offload })
  })

  afterAll(() => lab.close())

  async function pings(to: string, options: PingOptions): Promise<PingResult[]> {
    const { icmp, host, random, tellList, turn } = lab.stack
    const all: PingResult[] = []
    for await (const r of ping({ icmp, host, random, tells: tellList, wake: turn.wake }, address(to), options)) all.push(r)
    return all
  }

  it.each([56, 0, 1472, 65_507])('pings the host with %i bytes', async (size) => {
    const all = await pings(HOST, { count: 3, intervalMs: 5, size })
    expect(all.map((r) => ({ ...r, timeMs: 0 }))).toEqual(
      [1, 2, 3].map((seq) => ({ seq, from: HOST, bytes: size, ttl: 64, timeMs: 0, duplicate: false })),
    )
    expect(lab.troubles(...known)).toEqual({})
  })

  it('sends 10 MB to a listening socat and gets them back, both at once', async () => {
    const server = await listener('TCP-LISTEN:5001,reuseaddr', 'EXEC:cat')
    const bytes = noise(10_000_000, 21)
    const socket = lab.stack.net.connect({ host: HOST, port: 5001 })
    const heard: Buffer[] = []
    socket.on('data', (data: Buffer) => heard.push(data))
    socket.end(bytes)
    await once(socket, 'close')
    expect(sha256(Buffer.concat(heard))).toBe(sha256(bytes))
    expect(await server.closed).toBe(0)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('hears the end of the other side while it still sends', async () => {
    const server = await listener('TCP-LISTEN:5002,reuseaddr', 'SYSTEM:echo first; exec cat >/dev/null')
    const socket = lab.stack.net.connect({ host: HOST, port: 5002, allowHalfOpen: true })
    const [data] = (await once(socket, 'data')) as [Buffer]
    expect(data.toString()).toBe('first\n')
    socket.end(noise(500_000, 1))
    await once(socket, 'close')
    expect(await server.closed).toBe(0)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('gets 20 MB from a node:http server of the host, by keep-alive twice over one connection', async () => {
    const body = noise(20_000_000, 31)
    const ports = new Set<number | undefined>()
    const server = http.createServer((request, response) => {
      ports.add(request.socket.remotePort)
      response.setHeader('content-length', body.length)
      response.end(body)
    })
    server.listen(0, HOST)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const agent = new lab.stack.http.Agent({ keepAlive: true })
    const get = (): Promise<Buffer> =>
      new Promise((resolve, reject) => {
        const request = lab.stack.http.get({ host: HOST, port, path: '/x', agent }, (response) => {
          const heard: Buffer[] = []
          response.on('data', (data: Buffer) => heard.push(data))
          response.on('end', () => resolve(Buffer.concat(heard)))
        })
        request.on('error', reject)
      })
    try {
      for (let i = 0; i < 2; i++) expect(sha256(await get())).toBe(sha256(body))
      expect(ports.size).toBe(1)
    } finally {
      agent.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
    expect(lab.troubles(...known)).toEqual({})
  })

  it('is refused at once by a port where nobody listens', async () => {
    known.push('tcp.tcpAttemptFails')
    const socket = lab.stack.net.connect({ host: HOST, port: 4 })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: HOST, port: 4 })
    expect(lab.troubles(...known)).toEqual({})
  })

  it('hears that a UDP port is closed: ECONNREFUSED on a connected socket', async () => {
    known.push('icmp.icmpInDestUnreachs')
    const socket = lab.stack.dgram.createSocket('udp4')
    socket.connect(4, HOST)
    await once(socket, 'connect')
    socket.send('anybody?')
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNREFUSED')
    socket.close()
    expect(lab.troubles(...known)).toEqual({})
  })

  it("exchanges datagrams of up to 65,507 bytes with the host's kernel", async () => {
    const server = dgram.createSocket('udp4', (bytes, from) => server.send(bytes, from.port, from.address))
    server.bind(0, HOST)
    await once(server, 'listening')
    const socket = lab.stack.dgram.createSocket('udp4')
    try {
      for (const length of [0, 1, 1472, 1473, 9000, 65_507]) {
        const bytes = noise(length, length)
        socket.send(bytes, server.address().port, HOST)
        const [data] = (await once(socket, 'message')) as [Buffer]
        expect(sha256(data)).toBe(sha256(bytes))
      }
    } finally {
      socket.close()
      server.close()
    }
    expect(lab.troubles(...known)).toEqual({})
  })

  it('is reset by the host, which lingers for no time', async () => {
    known.push('tcp.tcpEstabResets')
    const server = net.createServer((s) => s.once('data', () => s.resetAndDestroy()))
    server.listen(0, HOST)
    await once(server, 'listening')
    const socket = lab.stack.net.connect({ host: HOST, port: (server.address() as AddressInfo).port })
    socket.write('abcdef')
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error).toMatchObject({ code: 'ECONNRESET' })
    server.close()
    expect(lab.troubles(...known)).toEqual({})
  })

  it('resets, and the host hears it', async () => {
    known.push('tcp.tcpOutRsts')
    const server = net.createServer()
    server.listen(0, HOST)
    await once(server, 'listening')
    const socket = lab.stack.net.connect({ host: HOST, port: (server.address() as AddressInfo).port })
    const [accepted] = (await once(server, 'connection')) as [net.Socket]
    accepted.resume()
    if (socket.connecting) await once(socket, 'connect')
    socket.resetAndDestroy()
    const [error] = (await once(accepted, 'error')) as [NodeJS.ErrnoException]
    expect(error).toMatchObject({ code: 'ECONNRESET' })
    server.close()
    expect(lab.counter('tcp', 'tcpOutRsts')).toBe(1)
    expect(lab.troubles(...known)).toEqual({})
  })

  it('says EHOSTUNREACH of a neighbour that does not answer', async () => {
    const socket = lab.stack.net.connect({ host: '10.0.0.99', port: 80 })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error).toMatchObject({ code: 'EHOSTUNREACH', address: '10.0.0.99', port: 80 })
    expect(await pings('10.0.0.99', { count: 1, timeoutMs: 8000 })).toEqual([
      { seq: 1, error: 'EHOSTUNREACH', from: expect.any(String) },
    ])
  })

  it('says ENETUNREACH without a route', async () => {
    const socket = lab.stack.net.connect({ host: '192.0.2.1', port: 80 })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error).toMatchObject({ code: 'ENETUNREACH', address: '192.0.2.1', port: 80 })
  })

  it('says what happened when the interface goes', async () => {
    const ended = new Promise<Error | undefined>((resolve) => {
      lab.stack.onLinkClosed = (_iface, error) => resolve(error)
    })
    sh('ip link del tap0')
    expect(await ended).toMatchObject({ code: 'EBADFD' })
    const socket = lab.stack.net.connect({ host: HOST, port: 80 })
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
    expect(error.code).toMatch(/^(ENETUNREACH|ENETDOWN)$/)
  })
})
