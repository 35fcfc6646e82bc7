/** TLS in the web's shape, on Node: `secureTransport` and `startTls` of `stack.tcp.connect`. */
import type { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { realStack } from '../support/node-shape.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'
import { bytes, textOf } from '../support/web-pair.ts'

const CERTIFICATE = { key: TEST_KEY, cert: TEST_CERT }
const PORT = 443
const tls = { ca: TEST_CERT }

describe('TLS', () => {
  it('from the start, with SNI and ALPN, streams as without', async () => {
    await using stack = realStack()
    const server = stack.tls.createServer({ ...CERTIFICATE, ALPNProtocols: ['echo'] }, (socket) => {
      socket.write(`${(socket as unknown as { servername: string }).servername} `)
      socket.pipe(socket)
    })
    server.listen(PORT)
    const socket = stack.tcp.connect(`localhost:${PORT}`, { secureTransport: 'on', alpn: ['echo'], tls })
    expect(await socket.opened).toMatchObject({ alpn: 'echo', remoteAddress: expect.stringMatching(/:443$/) })
    expect(socket.secureTransport).toBe('on')
    const big = 'x'.repeat(300_000)
    const writer = socket.writable.getWriter()
    const writing = writer.write(bytes(big)).then(() => writer.close())
    expect(await textOf(socket.readable)).toBe(`localhost ${big}`)
    await Promise.all([writing, socket.closed])
  })

  it('later, on a connection that began without', async () => {
    await using stack = realStack()
    const server = stack.net.createServer((plain) => {
      plain.once('data', (asked) => {
        const secure = new stack.tls.TLSSocket(plain, { isServer: true, ...CERTIFICATE })
        secure.on('data', (data) => secure.end(`${asked} then ${data}`))
        plain.write('go')
      })
    })
    server.listen(PORT)
    const plain = stack.tcp.connect(`localhost:${PORT}`, { secureTransport: 'starttls' })
    const writer = plain.writable.getWriter()
    const reader = plain.readable.getReader()
    await writer.write(bytes('STARTTLS'))
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('go')
    const socket = plain.startTls({ tls })
    expect([plain.upgraded, socket.secureTransport]).toEqual([true, 'on'])
    await socket.opened
    await expect(writer.write(bytes('x'))).rejects.toMatchObject({ code: 'ERR_SOCKET_UPGRADED' })
    await socket.writable.getWriter().write(bytes('secret'))
    expect(await textOf(socket.readable)).toBe('STARTTLS then secret')
    expect(() => plain.startTls()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }))
  })

  it('that cannot be agreed on rejects opened and closed', async () => {
    await using stack = realStack()
    const server = stack.tls.createServer(CERTIFICATE, (socket: Duplex) => socket.resume())
    server.on('tlsClientError', () => undefined)
    server.listen(PORT)
    const socket = stack.tcp.connect(`localhost:${PORT}`, { secureTransport: 'on' })
    await expect(socket.opened).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    await expect(socket.closed).rejects.toBeInstanceOf(TypeError)
    const silent = stack.net.createServer().listen(444)
    const abort = new AbortController()
    const waiting = stack.tcp.connect('localhost:444', { secureTransport: 'on', signal: abort.signal })
    silent.once('connection', (peer) => {
      peer.on('error', () => undefined)
      peer.once('data', () => abort.abort('enough'))
    })
    await expect(waiting.opened).rejects.toBe('enough')
    await new Promise((resolve) => setImmediate(resolve))
    expect(stack.connections().filter((c) => c.state === 'ESTABLISHED')).toEqual([])
  })
})
