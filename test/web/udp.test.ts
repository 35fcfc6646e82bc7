/** UDP in the web's shape, between two stacks of the pure core. */
import { describe, expect, it } from 'vitest'
import { SocketError } from '../../src/web/errors.ts'
import type { UdpMessage } from '../../src/web/udp-socket.ts'
import { bytes, webPair } from '../support/web-pair.ts'

const text = (message: UdpMessage | undefined): string => Buffer.from(message!.data).toString()

describe('stack.udp.bind', () => {
  it('gives streams of datagrams, with who sent them', async () => {
    await using pair = webPair()
    const server = pair.server.udp.bind({ port: 7 })
    const echo = server.readable.pipeTo(server.writable).catch((error: unknown) => error)
    const socket = pair.client.udp.bind()
    const writer = socket.writable.getWriter()
    const reader = socket.readable.getReader()
    for (const data of ['one', '', 'three']) await writer.write({ data: bytes(data), address: '10.0.0.2', port: 7 })
    const got = [await reader.read(), await reader.read(), await reader.read()].map((r) => r.value)
    expect(got.map((m) => [text(m), m!.address, m!.port])).toEqual([
      ['one', '10.0.0.2', 7],
      ['', '10.0.0.2', 7],
      ['three', '10.0.0.2', 7],
    ])
    expect([server.address, server.port, socket.address]).toEqual(['0.0.0.0', 7, '0.0.0.0'])
    await server.close()
    expect(await echo).toMatchObject({ code: 'ERR_SOCKET_CLOSED' })
  })

  it('is iterated until it is closed', async () => {
    await using pair = webPair()
    const socket = pair.server.udp.bind({ port: 7 })
    const sender = pair.client.udp.bind({ remote: { address: '10.0.0.2', port: 7 } })
    for (const data of ['a', 'b', 'c']) expect(await sender.send(bytes(data))).toBe(1)
    const seen: string[] = []
    for await (const message of socket.readable) {
      seen.push(text(message))
      if (seen.length === 3) void socket.close()
    }
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(await socket.closed).toBeUndefined()
  })

  it('drops and counts what finds no room while nobody reads', async () => {
    await using pair = webPair()
    const socket = pair.server.udp.bind({ port: 7, receiveBufferBytes: 300 })
    const sender = pair.client.udp.bind()
    for (let i = 0; i < 5; i++) await sender.send(bytes(`${i}`.repeat(52)), { address: '10.0.0.2', port: 7 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(socket.drops).toBe(2)
    const reader = socket.readable.getReader()
    const kept = [await reader.read(), await reader.read(), await reader.read()].map((r) => text(r.value)[0])
    expect(kept).toEqual(['0', '1', '2'])
  })

  it('a destination that cannot be loses a datagram, not the stream; send says why', async () => {
    await using pair = webPair()
    const server = pair.server.udp.bind({ port: 7 })
    const socket = pair.client.udp.bind()
    const writer = socket.writable.getWriter()
    await writer.write({ data: bytes('nowhere'), address: '192.0.2.1', port: 7 })
    await writer.write({ data: new Uint8Array(70_000), address: '10.0.0.2', port: 7 })
    await writer.write({ data: bytes('there'), address: '10.0.0.2', port: 7 })
    expect(text((await server.readable.getReader().read()).value)).toBe('there')
    expect(socket.lost).toBe(2)
    const error = await socket.send(bytes('x'), { address: '192.0.2.1', port: 7 }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(SocketError)
    expect(error).toMatchObject({ code: 'ENETUNREACH', syscall: 'send', address: '192.0.2.1', port: 7 })
    await expect(socket.send(bytes('x'))).rejects.toMatchObject({ code: 'EDESTADDRREQ' })
  })

  it('what is no datagram breaks the stream', async () => {
    await using pair = webPair()
    const socket = pair.client.udp.bind()
    const writer = socket.writable.getWriter()
    const wrong = { data: 'text' as unknown as Uint8Array, address: '10.0.0.2', port: 7 }
    await expect(writer.write(wrong)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    await expect(writer.closed).rejects.toBeInstanceOf(SocketError)
  })

  it('with a remote hears only it, and of its refusal', async () => {
    await using pair = webPair()
    const socket = pair.client.udp.bind({ remote: { address: '10.0.0.2', port: 9 } })
    await socket.send(bytes('anybody?'))
    await new Promise((resolve) => setImmediate(resolve))
    await expect(socket.send(bytes('hello?'))).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const other = pair.server.udp.bind({ port: 8 })
    await other.send(bytes('stranger'), { address: '10.0.0.1', port: socket.port })
    const friend = pair.server.udp.bind({ port: 9 })
    await friend.send(bytes('friend'), { address: '10.0.0.1', port: socket.port })
    expect(text((await socket.readable.getReader().read()).value)).toBe('friend')
  })

  it('joins and leaves groups', async () => {
    await using pair = webPair()
    const socket = pair.server.udp.bind({ port: 5000, groups: ['239.1.2.3'] })
    const sender = pair.client.udp.bind({ multicastLoop: false })
    const reader = socket.readable.getReader()
    const reading = reader.read()
    await sender.send(bytes('to all'), { address: '239.1.2.3', port: 5000 })
    expect(text((await reading).value)).toBe('to all')
    socket.leaveGroup('239.1.2.3')
    socket.joinGroup('239.1.2.4', { interface: 'eth0', source: '10.0.0.1' })
    await sender.send(bytes('to nobody'), { address: '239.1.2.3', port: 5000 })
    await sender.send(bytes('of this source'), { address: '239.1.2.4', port: 5000 })
    expect(text((await reader.read()).value)).toBe('of this source')
    expect(() => socket.joinGroup('10.0.0.9')).toThrow(expect.objectContaining({ code: 'EINVAL' }))
    expect(() => socket.leaveGroup('239.9.9.9')).toThrow(SocketError)
  })

  it('speaks IPv6 when its addresses do', async () => {
    await using pair = webPair()
    const server = pair.server.udp.bind({ port: 7, hostname: 'fd00::2' })
    const socket = pair.client.udp.bind({ remote: { address: 'fd00::2', port: 7 } })
    await socket.send(bytes('six'))
    const message = (await server.readable.getReader().read()).value
    expect([text(message), message!.address, message!.port]).toEqual(['six', 'fd00::1', socket.port])
  })

  it('ends by a signal, with its reason', async () => {
    await using pair = webPair()
    const abort = new AbortController()
    const socket = pair.client.udp.bind({ port: 7, signal: abort.signal })
    const reading = socket.readable.getReader().read()
    abort.abort('over')
    await expect(reading).rejects.toBe('over')
    await expect(socket.closed).rejects.toBe('over')
    await expect(socket.writable.getWriter().closed).rejects.toBe('over')
    await pair.client.udp.bind({ port: 7 }).close() // the port is free
  })

  it('ends when both its streams have, and with its stack', async () => {
    await using pair = webPair()
    const socket = pair.client.udp.bind()
    await socket.readable.cancel()
    await socket.writable.close()
    expect(await socket.closed).toBeUndefined()
    const other = pair.client.udp.bind()
    const reading = other.readable.getReader().read()
    await pair.client.close()
    expect(await reading).toEqual({ done: true, value: undefined })
    await expect(other.send(bytes('x'), { address: '10.0.0.2', port: 7 })).rejects.toMatchObject({ code: 'ERR_SOCKET_CLOSED' })
  })

  it('says what it cannot bind to', async () => {
    await using pair = webPair()
    pair.client.udp.bind({ port: 7 })
    const code = (code: string): object => expect.objectContaining({ code })
    expect(() => pair.client.udp.bind({ port: 7 })).toThrow(code('EADDRINUSE'))
    expect(() => pair.client.udp.bind({ hostname: '10.0.0.77' })).toThrow(code('EADDRNOTAVAIL'))
    expect(() => pair.client.udp.bind({ interface: 'eth7' })).toThrow(code('ENODEV'))
    expect(() => pair.client.udp.bind({ port: 70_000 })).toThrow(code('ERR_INVALID_ARG_VALUE'))
    expect(() => pair.client.udp.bind({ groups: ['10.0.0.9'], port: 9 })).toThrow(code('EINVAL'))
    await pair.client.udp.bind({ port: 9 }).close()
  })
})
