/** Debian's clients on servers of a stack that hold connections open or speak first: socat in bulk, mail and WebSockets by curl and openssl; servers by register. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import nodemailer from 'nodemailer'
import { SMTPServer } from 'smtp-server'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { TEST_CERT, TEST_KEY } from '../../support/test-certificate.ts'
import { expectNothingOpen, HOST, Lab, noise, OURS, quietKernel, run, sha256 } from './lab.ts'
import { ended, registered, THEIRS } from './registered.ts'

const BODY = noise(5_000_000, 53)
const TLS = { key: TEST_KEY, cert: TEST_CERT }
let lab: Lab
let trust: string

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open()
  trust = lab.file('ca.pem', Buffer.from(TEST_CERT))
  lab.file('body', BODY)
})

afterEach(() => expectNothingOpen(lab.stack))

afterAll(() => lab.close())

/** Of `node:net` and its kin, or of a stack. */
interface Listening extends NodeJS.EventEmitter {
  listen(port: number): unknown
  close(): unknown
}

async function during(server: Listening, port: number, work: () => Promise<void>): Promise<void> {
  server.listen(port)
  await once(server, 'listening')
  await work()
  const closed = once(server, 'close')
  server.close()
  await closed
}

describe('bulk', () => {
  it('socat gives stack.net 80 MB over four connections at once, and takes as much', async () => {
    const hashes: string[] = []
    const part = noise(1_000_000, 59)
    const whole = createHash('sha256')
    for (let i = 0; i < 20; i++) whole.update(part)
    const expected = whole.digest('hex')
    const sink = lab.stack.net.createServer((socket) => {
      const hash = createHash('sha256')
      socket.on('data', (data: Buffer) => hash.update(data))
      socket.on('end', () => hashes.push(hash.digest('hex')))
    })
    const path = lab.file('part', part)
    const file = `for i in $(seq 20); do cat ${path}; done`
    await during(sink, 5001, async () => {
      const all = [1, 2, 3, 4].map(() => run(`{ ${file}; } | socat -u - TCP:${OURS}:5001`, { timeoutMs: 60_000 }))
      expect((await Promise.all(all)).map(({ code, err }) => [code, err])).toEqual(Array(4).fill([0, '']))
      while (hashes.length < 4) await new Promise((resolve) => setImmediate(resolve))
    })
    expect(new Set(hashes)).toEqual(new Set([expected]))

    const source = lab.stack.net.createServer((socket) => {
      let left = 20
      const more = (): void => {
        while (left-- > 0) if (!socket.write(part)) return void socket.once('drain', more)
        socket.end()
      }
      more()
    })
    await during(source, 5002, async () => {
      const all = [1, 2, 3, 4].map(() => run(`exec socat -u TCP:${OURS}:5002 - | sha256sum`, { timeoutMs: 60_000 }))
      expect((await Promise.all(all)).map(({ out }) => out)).toEqual(Array(4).fill(`${expected}  -\n`))
    })
  })

  it('socat speaks TLS with stack.tls: 5 MB there and back', () => {
    const heard: string[] = []
    const sink = lab.stack.tls.createServer(TLS, (socket) => {
      void buffer(socket).then((all) => heard.push(sha256(all)))
    })
    return during(sink, 4433, async () => {
      const there = await run(`exec socat -u FILE:${lab.file('body')} OPENSSL:${OURS}:4433,cafile=${trust},commonname=localhost`)
      expect([there.code, there.err]).toEqual([0, ''])
      while (heard.length === 0) await new Promise((resolve) => setImmediate(resolve))
      expect(heard).toEqual([sha256(BODY)])
      const source = lab.stack.tls.createServer(TLS, (socket) => socket.end(BODY))
      await during(source, 4434, async () => {
        const back = await run(`exec socat -u OPENSSL:${OURS}:4434,cafile=${trust},commonname=localhost -`)
        expect([back.err, sha256(back.bytes)]).toEqual(['', sha256(BODY)])
      })
    })
  })
})

describe('mail', () => {
  /** A sink that keeps what is attached. */
  const sink = (kept: string[]): SMTPServer =>
    new SMTPServer({
      ...TLS,
      authOptional: true,
      disableReverseLookup: true,
      size: 20_000_000,
      onData: (stream, { envelope }, done) => {
        void text(stream).then((raw) => {
          const to = envelope.rcptTo.map(({ address }) => address).join()
          const [encoded] = raw.split(/\r\n(?:\r\n|--)/).sort((a, b) => b.length - a.length) // the longest part
          kept.push(`${to} ${sha256(Buffer.from(encoded, 'base64'))}`)
          done()
        })
      },
    })
  const to = 'you@there.example'

  it('nodemailer on the stack sends 5 MB to a sink of the host, by STARTTLS', async () => {
    const kept: string[] = []
    const server = sink(kept)
    const listening = await new Promise<Server>((resolve) => {
      const made = server.listen(0, HOST, () => resolve(made as Server))
    })
    const { port } = listening.address() as AddressInfo
    const transport = nodemailer.createTransport({
      host: HOST,
      port,
      requireTLS: true,
      tls: { ca: TEST_CERT, servername: 'localhost' },
      getSocket: (_options: unknown, done: (error: Error | null, socket: unknown) => void) => {
        const connection = lab.stack.net.connect(port, HOST)
        connection.once('connect', () => done(null, { connection })).once('error', (error) => done(error, null))
      },
    } as never)
    const attachments = [{ filename: 'big.bin', content: BODY, contentTransferEncoding: 'base64' as const }]
    await transport.sendMail({ from: 'me@here.example', to, subject: 's', text: 't', attachments })
    transport.close()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    expect(kept).toEqual([`${to} ${sha256(BODY)}`])
  })

  it('curl sends 5 MB to smtp-server on the stack, by STARTTLS', () => {
    const kept: string[] = []
    const inner = sink(kept).server
    const server = lab.stack.net.createServer((socket) => inner.emit('connection', socket))
    return during(server, 25, async () => {
      const lines = BODY.toString('base64').replace(/.{76}/g, '$&\r\n')
      const mail = lab.file('mail', Buffer.from(`From: me\r\nSubject: s\r\n\r\n${lines}\r\n`))
      const curl = `exec curl -sS --ssl-reqd --cacert ${trust} --connect-to localhost:25:${OURS}:25 smtp://localhost`
      const { code, err } = await run(`${curl} --mail-from me@here.example --mail-rcpt ${to} --upload-file ${mail}`)
      expect([code, err]).toEqual([0, ''])
      expect(kept).toEqual([`${to} ${sha256(BODY)}`])
    })
  })
})

describe('WebSockets over TLS', () => {
  const GREETING = [
    'GET /chat HTTP/1.1',
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ]
  /** RFC 6455 section 1.3. */
  const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='

  /** A frame of a client (RFC 6455 section 5.2), masked by a key of zeros. */
  const frame = (opcode: number, payload: Buffer): Buffer => {
    const { length } = payload
    const size = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([0x80 | opcode, ...size, 0, 0, 0, 0]), payload])
  }

  it('openssl s_client and curl as the foreign side of ws on stack.https', async () => {
    const server = lab.stack.https.createServer(TLS)
    const echo = new WebSocketServer({ server, perMessageDeflate: false })
    echo.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
    await during(server, 443, async () => {
      const words = BODY.subarray(0, 50_000)
      const input = Buffer.concat([
        Buffer.from(`${GREETING.join('\r\n')}\r\n\r\n`),
        frame(2, words),
        frame(8, Buffer.from([3, 232])),
      ])
      const openssl = `exec openssl s_client -connect ${OURS}:443 -quiet -CAfile ${trust} -verify_return_error`
      const { bytes } = await run(openssl, { input })
      const end = bytes.indexOf('\r\n\r\n') + 4
      expect(bytes.subarray(0, end).toString()).toContain(`HTTP/1.1 101 Switching Protocols\r\n`)
      expect(bytes.subarray(0, end).toString()).toContain(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`)
      expect([...bytes.subarray(end, end + 4)]).toEqual([0x82, 126, words.length >> 8, words.length & 255])
      expect(sha256(bytes.subarray(end + 4, end + 4 + words.length))).toBe(sha256(words))
      expect([...bytes.subarray(end + 4 + words.length)]).toEqual([0x88, 2, 3, 232]) // and closes

      const headers = GREETING.slice(2).map((line) => `-H '${line}'`)
      const curl = `exec curl -sS -i --http1.1 --cacert ${trust} --connect-to localhost:443:${OURS}:443 https://localhost/chat`
      const told = once(echo, 'connection').then(([socket]) =>
        (socket as WebSocket).send('bye', () => (socket as WebSocket).terminate()),
      )
      const { out } = await run(`${curl} ${headers.join(' ')}`)
      await told
      expect(out).toContain(`Sec-WebSocket-Accept: ${ACCEPT}`)
      expect(out.endsWith('bye')).toBe(true)
    })
    echo.close()
  })

  it('ws on the stack as a client of the host’s: 5 MB there and back', async () => {
    const { createServer } = await import('node:https')
    const server = createServer(TLS)
    const echo = new WebSocketServer({ server, maxPayload: 10_000_000 })
    echo.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
    server.listen(0, HOST)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const agent = new lab.stack.https.Agent()
    const client = new WebSocket(`wss://${HOST}:${port}/`, {
      agent,
      ca: TEST_CERT,
      servername: 'localhost',
    } as WebSocket.ClientOptions)
    await once(client, 'open')
    client.send(BODY)
    const [back] = (await once(client, 'message')) as [Buffer]
    expect(sha256(back)).toBe(sha256(BODY))
    client.close()
    await once(client, 'close')
    echo.close()
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('a program that knows nothing of a stack', () => {
  it('is a server by tapstack/register: express and fastify, and curl; ends by itself when they close', async () => {
    const program = registered('servers.mjs')
    await program.until(/listening/)
    for (const port of [80, 81]) {
      const upload = `-H Expect: -H 'Content-Type: x/y' --data-binary @${lab.file('body')}`
      const back = await run(`exec curl -sS ${upload} http://${THEIRS}:${port}/back`)
      expect([back.code, sha256(back.bytes)], back.err).toEqual([0, sha256(BODY)])
    }
    const stop = await run(`exec curl -sS http://${THEIRS}:81/stop`)
    expect(stop.out, stop.err).toBe('stopping')
    const { code, said } = await ended(program)
    expect([code, said.at(-1)]).toEqual([0, { left: [], theirs: [], active: 0, passive: 3 }])
  })
})
