import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bytesText, Progress, progressText } from '../../src/cli/progress.ts'
import type { NodeStack } from '../../src/node/stack.ts'
import { VirtualHost } from '../../src/sim/virtual-host.ts'
import { type Begin, withCommand } from '../support/node-command.ts'
import { scratchFolder } from '../support/scratch.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

const dir = scratchFolder('get')

/** A command beside a web server of the peer's, port 80. */
function withServer(listener: RequestListener, test: (begin: Begin, peer: NodeStack) => Promise<void>): Promise<void> {
  return withCommand(async (peer, begin) => {
    const server = peer.http.createServer(listener).listen(80)
    await once(server, 'listening')
    try {
      await test(begin, peer)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
}

const hello: RequestListener = (request, response) => {
  response.setHeader('X-Path', request.url ?? '')
  response.sendDate = false
  response.end('hello\n')
}

describe('tapstack get', () => {
  it('writes the body, and nothing else', () =>
    withServer(hello, async (begin) => {
      const get = begin('get http://10.0.0.1/a?b')
      expect([await get.ended, get.bytes().toString(), get.said]).toEqual([0, 'hello\n', ''])
    }))

  it('-i: the headers as they came, before the body; -o: into a file', () =>
    withServer(hello, async (begin) => {
      const file = join(dir, 'page')
      const get = begin(`get -i -o ${file} 10.0.0.1/x`)
      expect(await get.ended).toBe(0)
      const text = readFileSync(file, 'utf8')
      expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\nX-Path: \/x\r\n(.*\r\n)*\r\nhello\n$/)
      expect(get.bytes().length).toBe(0)
    }))

  it('-I: the headers alone; by IPv6', () =>
    withServer(
      (request, response) => void response.writeHead(200, { 'x-method': request.method, 'content-length': 1e12 }).end(),
      async (begin) => {
        const get = begin('get -I -a fd00::2/64 http://[fd00::1]/')
        expect(await get.ended).toBe(0)
        expect(get.bytes().toString()).toMatch(/^HTTP\/1\.1 200 OK\r\nx-method: HEAD\r\ncontent-length: 1000000000000\r\n/)
      },
    ))

  it('sends headers, a method and a body', () =>
    withServer(
      async (request, response) => {
        let body = ''
        for await (const chunk of request) body += chunk
        const { host, accept, 'user-agent': agent, 'x-a': a, authorization, 'content-type': type } = request.headers
        response.end(JSON.stringify([request.method, host, accept ?? null, agent, a, authorization, type, body]))
      },
      async (begin) => {
        const get = begin(['get', '-H', 'X-A: 1', '-H', 'Accept:', '-d', 'a=b', 'http://me:secret@10.0.0.1/'])
        expect(await get.ended).toBe(0)
        const basic = `Basic ${Buffer.from('me:secret').toString('base64')}`
        const type = 'application/x-www-form-urlencoded'
        expect(JSON.parse(get.bytes().toString())).toEqual(['POST', '10.0.0.1', null, 'tapstack', '1', basic, type, 'a=b'])
      },
    ))

  it('-L goes where redirects lead, tells no secrets there, and no further than it may', async () => {
    const listener: RequestListener = (request, response) => {
      const n = Number(request.url?.slice(1))
      if (n > 0) response.writeHead(302, { location: n === 1 ? 'http://10.0.0.1:8080/0' : `/${n - 1}` }).end('elsewhere')
      else response.end(`${request.method} ${request.headers.authorization ?? 'no secret'}`)
    }
    await withServer(listener, async (begin, peer) => {
      const other = peer.http.createServer(listener).listen(8080)
      await once(other, 'listening')
      const get = begin(['get', '-L', '-H', 'Authorization: x', '-d', 'body', '10.0.0.1/3'])
      expect([await get.ended, get.bytes().toString()]).toEqual([0, 'GET no secret'])
      other.closeAllConnections()
      other.close()
    })
    await withServer(listener, async (begin) => {
      const get = begin('get -L --max-redirs 2 10.0.0.1/9')
      expect(await get.ended).toBe(47)
      expect(get.errors).toEqual(['tapstack get: (47) there were more than 2 redirects'])
    })
    await withServer(listener, async (begin) => {
      const get = begin('get 10.0.0.1/9')
      expect([await get.ended, get.bytes().toString()]).toEqual([0, 'elsewhere'])
    })
  })

  it.each([
    ['get 10.0.0.1:81/', 7, 'no connection to 10.0.0.1 port 81: connection refused'],
    ['get 192.168.3.3/', 7, 'network is unreachable: give a --gateway'],
    ['get http://[/', 3, 'http://[/ is no URL'],
    ['get ftp://10.0.0.1/', 1, 'ftp: is neither'],
    ['get http://nowhere.example/', 6, 'nowhere.example: name or service not known'],
    ['get -f 10.0.0.1/404', 22, 'http://10.0.0.1/404: 404 Not Found'],
    ['get 10.0.0.1/hang-up', 52, '10.0.0.1 ended the connection without an answer'],
    ['get 10.0.0.1/half', 18, 'the body ended early, after 5 bytes'],
    ['get -m 0.2 10.0.0.1/never', 28, 'it took more than 200 ms'],
    ['get --connect-timeout 0.1 10.0.0.99/', 28, 'no connection to 10.0.0.99 port 80 in 100 ms'],
    ['get -o /nowhere/file 10.0.0.1/', 23, 'cannot write /nowhere/file'],
    ['get https://10.0.0.1:80/', 35, 'TLS with 10.0.0.1 failed'],
    ['get', 2, 'a URL is missing'],
    ['get -H nonsense 10.0.0.1', 2, '--header nonsense'],
  ])('%s: exit code %i', (line, code, words) =>
    withServer(
      (request, response) => {
        if (request.url === '/404') response.writeHead(404).end('not here')
        else if (request.url === '/hang-up') request.socket.destroy()
        else if (request.url === '/half') {
          response.writeHead(200, { 'content-length': 10 })
          response.write('12345', () => request.socket.end())
        } else if (request.url !== '/never') response.end('x')
      },
      async (begin) => {
        const get = begin(line)
        expect(await get.ended).toBe(code)
        expect(get.errors.length).toBe(1)
        expect(get.errors[0]).toContain(words)
      },
    ),
  )

  it('over TLS: a certificate that is not known is refused, unless it is given or any will do', async () => {
    const ca = join(dir, 'ca.pem')
    writeFileSync(ca, TEST_CERT)
    for (const [options, code, words] of [
      ['', 60, /the certificate of 10\.0\.0\.1 is not good: self-signed/],
      ['-k ', 0, /^$/],
      // It is trusted now, and is another's.
      [`--cacert ${ca} `, 60, /IP: 10\.0\.0\.1 is not in the cert's list/],
    ] as const) {
      await withCommand(async (peer, begin) => {
        const server = peer.https.createServer({ cert: TEST_CERT, key: TEST_KEY }, hello).listen(443)
        await once(server, 'listening')
        const get = begin(`get ${options}https://10.0.0.1/`)
        expect(await get.ended, get.said).toBe(code)
        expect(get.said).toMatch(words)
        expect(get.bytes().toString()).toBe(code === 0 ? 'hello\n' : '')
        server.closeAllConnections()
        server.close()
      })
    }
  })

  it('reads no faster than it can write, and ends when it is stopped', () => {
    let sent = 0
    return withServer(
      (_request, response) => {
        const chunk = Buffer.alloc(65536)
        const more = (): void => {
          do sent += chunk.length
          while (!response.destroyed && response.write(chunk))
        }
        response.on('drain', more)
        more()
      },
      async (begin) => {
        const get = begin('get 10.0.0.1/', { stuck: true })
        let before = -1
        // Until nothing moves any more.
        while (sent === 0 || before !== sent) {
          before = sent
          for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
        }
        expect(sent).toBeLessThan(32 << 20)
        expect(await get.stop()).toBe(130)
      },
    )
  })
})

describe('progress', () => {
  it('is told in few digits', () => {
    expect([0, 999, 1000, 12_345, 999_499, 999_500, 1.5e9, 3e15].map(bytesText)).toEqual([
      '0 bytes',
      '999 bytes',
      '1.00 kB',
      '12.3 kB',
      '999 kB',
      '1.00 MB',
      '1.50 GB',
      '3000 TB',
    ])
    expect(progressText(500, 1000, 1000)).toBe(' 50 %  500 bytes of 1.00 kB  500 bytes/s  1 s left')
    expect(progressText(500, Number.NaN, 0)).toBe('500 bytes  0 bytes/s')
    expect(progressText(0, 0, 5)).toBe('100 %  0 bytes of 0 bytes  0 bytes/s')
  })

  it('is shown twice a second on a terminal, and taken away', () => {
    const host = new VirtualHost()
    const shown: string[] = []
    const progress = new Progress(host, (text) => void shown.push(text))
    progress.begin(2000)
    progress.add(1000)
    host.advance(1100)
    progress.end()
    host.advance(5000)
    expect(shown).toEqual([
      ' 50 %  1.00 kB of 2.00 kB  2.00 kB/s  1 s left',
      ' 50 %  1.00 kB of 2.00 kB  1.00 kB/s  1 s left',
      '',
    ])
  })
})
