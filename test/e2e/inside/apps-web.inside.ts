/** http, https, http2 and tls of a stack, with Debian's clients and servers on the host's side of the tap: curl, wrk, h2load, openssl, nginx. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import express from 'express'
import { Agent, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findProgram } from '../../support/programs.ts'
import { TEST_CERT, TEST_KEY } from '../../support/test-certificate.ts'
import { connector } from '../../support/undici-connector.ts'
import { expectNothingOpen, HOST, Lab, noise, OURS, quietKernel, run, sha256 } from './lab.ts'
import { run as start } from './program.ts'

const BODY = noise(5_000_000, 47)
const TLS = { key: TEST_KEY, cert: TEST_CERT }
let lab: Lab

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open()
})

afterEach(() => expectNothingOpen(lab.stack))

afterAll(() => lab.close())

interface Listening {
  listen(port: number): unknown
  close(): unknown
}

/** Runs `work` while the server listens; it closes by itself once its clients have gone. */
async function during(server: Listening & NodeJS.EventEmitter, port: number, work: () => Promise<void>): Promise<void> {
  server.listen(port)
  await once(server, 'listening')
  await work()
  const closed = once(server, 'close')
  server.close()
  await closed
}

/** GET gives five megabytes, or one line for '/small'; what is sent comes back. */
const app = (): express.Express => {
  const it = express()
  it.get('/small', (_req, res) => void res.send('hello\n'))
  it.get('/big', (_req, res) => void res.type('application/octet-stream').send(BODY))
  it.post('/back', (req, res) => void req.pipe(res))
  return it
}

/** The same for http2, whose requests express does not know. */
const h2app = (req: IncomingMessage, res: ServerResponse): unknown =>
  req.method === 'POST' ? req.pipe(res) : res.end(req.url === '/big' ? BODY : 'hello\n')

const listener = h2app as never

describe('curl', () => {
  it.each([
    ['express on stack.http', 'http', '1.1', '', () => lab.stack.http.createServer(app())],
    ['express on stack.https', 'https', '1.1', '--http1.1', () => lab.stack.https.createServer(TLS, app())],
    ['stack.http2 by ALPN', 'https', '2', '--http2', () => lab.stack.http2.createSecureServer(TLS, listener)],
    ['stack.http2 in the clear', 'http', '2', '--http2-prior-knowledge', () => lab.stack.http2.createServer(listener)],
  ] as const)('gets 5 MB and posts 5 MB: %s', async (_, scheme, version, option, make) => {
    const path = lab.file('upload', BODY)
    await during(make() as never, 8080, async () => {
      const curl = `exec curl -sS --cacert ${lab.file('ca.pem', Buffer.from(TEST_CERT))} --connect-to localhost:8080:${OURS}:8080 ${option}`
      const url = `${scheme}://localhost:8080`
      const got = await run(`${curl} -w '%{stderr}%{http_code} %{http_version}' ${url}/big`)
      expect([got.err, sha256(got.bytes)]).toEqual([`200 ${version}`, sha256(BODY)])
      const back = await run(`${curl} -H Expect: -H 'Content-Type: x/y' --data-binary @${path} ${url}/back`)
      expect([back.code, sha256(back.bytes)], back.err).toEqual([0, sha256(BODY)])
      // curl before 8.0 uses no connection again that it has in the clear, with any server.
      if (option === '--http2-prior-knowledge') return
      const many = await run(`${curl} -Z --parallel-max 20 '${url}/small?[1-100]'`)
      expect(many.out, many.err).toBe('hello\n'.repeat(100))
    })
  })
})

describe('load', () => {
  it('wrk: a second of requests over sixteen connections, each answered', () =>
    during(
      lab.stack.http.createServer((_req, res) => res.end('hello\n')),
      8080,
      async () => {
        const { out, err } = await run(`exec wrk -t1 -c16 -d1s http://${OURS}:8080/`)
        expect(Number(/(\d+) requests in/.exec(out)?.[1]), out + err).toBeGreaterThan(100)
        expect(out).not.toMatch(/Socket errors|Non-2xx/)
      },
    ))

  it.each([
    ['by TLS', 'https', () => lab.stack.http2.createSecureServer(TLS, listener)],
    ['in the clear', 'http', () => lab.stack.http2.createServer(listener)],
  ] as const)('h2load: five thousand requests, ten streams on each of eight connections, %s', async (_, scheme, make) => {
    await during(make() as never, 8080, async () => {
      const { out, err } = await run(`exec h2load -n 5000 -c 8 -m 10 ${scheme}://${OURS}:8080/`)
      expect(out, err).toContain('5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout')
    })
  })
})

describe('openssl', () => {
  it.each(['tls1_2', 'tls1_3'])('s_client sends 5 MB to stack.tls and gets them back, %s', async (version) => {
    // Not an echo: s_client does not read while it cannot write.
    const server = lab.stack.tls.createServer(TLS, (socket) => {
      const heard: Buffer[] = []
      let length = 0
      socket.on('data', (data: Buffer) => {
        heard.push(data)
        length += data.length
        if (length === BODY.length) socket.end(Buffer.concat(heard))
      })
    })
    await during(server, 4433, async () => {
      const trust = `-CAfile ${lab.file('ca.pem', Buffer.from(TEST_CERT))} -verify_return_error`
      const ran = await run(`exec openssl s_client -connect ${OURS}:4433 -${version} -quiet ${trust}`, { input: BODY })
      expect([ran.code, sha256(ran.bytes)], ran.err).toEqual([0, sha256(BODY)])
    })
  })

  it('s_server gives 5 MB to https.get, and echoes backwards to tls.connect', async () => {
    lab.file('file.bin', BODY)
    const pem = lab.file('server.pem', Buffer.from(`${TEST_KEY}\n${TEST_CERT}\n`))
    const options = `-cert ${pem} -key ${pem}`
    const www = start('sh', ['-c', `cd ${lab.dir} && exec openssl s_server -accept ${HOST}:4433 ${options} -WWW`])
    await www.until(/ACCEPT/)
    const trust = { ca: TEST_CERT, servername: 'localhost' }
    const [response] = (await once(
      lab.stack.https.get({ host: HOST, port: 4433, path: '/file.bin', agent: false, ...trust }),
      'response',
    )) as [IncomingMessage]
    expect(sha256(await buffer(response))).toBe(sha256(BODY))

    const rev = start('sh', ['-c', `exec openssl s_server -accept ${HOST}:4434 ${options} -rev`])
    await rev.until(/ACCEPT/)
    const socket = lab.stack.tls.connect({ host: HOST, port: 4434, ...trust })
    socket.write('forwards\n')
    expect(String((await once(socket, 'data'))[0])).toBe('sdrawrof\n')
    expect(socket.authorized).toBe(true)
    socket.end()
    await once(socket, 'close')
  })
})

describe('nginx', () => {
  /** Serves the lab's folder, plainly and by TLS. */
  async function nginx(): Promise<void> {
    lab.file('big.bin', BODY)
    const pem = lab.file('server.pem', Buffer.from(`${TEST_KEY}\n${TEST_CERT}\n`))
    const listens = `listen ${HOST}:80; listen ${HOST}:443 ssl http2; ssl_certificate ${pem}; ssl_certificate_key ${pem};`
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${lab.file(n)};`).join(' ')
    const text = `user root; daemon off; master_process off; pid ${lab.file('nginx.pid')}; error_log stderr notice; events {}
      http { access_log off; ${temporary} server { ${listens} root ${lab.dir}; } }`
    const path = lab.file('nginx.conf', Buffer.from(text))
    await start(findProgram('nginx')!, ['-e', 'stderr', '-c', path]).until(/nginx\/\d/)
  }

  it('gives 5 MB to http.get and https.get, again over the same connection', async () => {
    await nginx()
    for (const [module, tls] of [
      [lab.stack.http, {}],
      [lab.stack.https, { ca: TEST_CERT, servername: 'localhost' }],
    ] as const) {
      const agent = new (module as typeof lab.stack.http).Agent({ keepAlive: true, maxSockets: 1 })
      const ports = new Set<number | undefined>()
      for (let i = 0; i < 2; i++) {
        const [response] = (await once(module.get({ host: HOST, path: '/big.bin', agent, ...tls }), 'response')) as [
          IncomingMessage,
        ]
        ports.add(response.socket.localPort)
        expect(sha256(await buffer(response))).toBe(sha256(BODY))
        await new Promise((resolve) => setImmediate(resolve)) // the socket returns to the agent after 'end'
      }
      expect(ports.size).toBe(1)
      agent.destroy()
    }
  })

  it('gives 5 MB by http2, four streams at once', async () => {
    await nginx()
    const session = lab.stack.http2.connect(`https://${HOST}`, { ca: TEST_CERT, servername: 'localhost' } as never)
    const all = Array.from({ length: 4 }, () => buffer(session.request({ ':path': '/big.bin' })))
    expect(new Set((await Promise.all(all)).map(sha256))).toEqual(new Set([sha256(BODY)]))
    const closed = once(session, 'close')
    session.close()
    await closed
  })

  it('gives ranges to undici', async () => {
    await nginx()
    const dispatcher = new Agent({ connect: connector(lab.stack) })
    const parts = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const headers = { range: `bytes=${i * 500_000}-${(i + 1) * 500_000 - 1}` }
        const { statusCode, body } = await request(`http://${HOST}/big.bin`, { headers, dispatcher })
        expect(statusCode).toBe(206)
        return Buffer.from(await body.arrayBuffer())
      }),
    )
    expect(sha256(Buffer.concat(parts))).toBe(sha256(BODY))
    await dispatcher.close()
  })
})
