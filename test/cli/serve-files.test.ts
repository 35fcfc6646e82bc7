import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { contentType } from '../../src/cli/content-types.ts'
import { rangeOf } from '../../src/cli/static-files.ts'
import type { Begun } from '../support/begun-command.ts'
import { withCommand } from '../support/node-command.ts'
import { scratchFolder } from '../support/scratch.ts'

const outside = scratchFolder('serve')
const root = join(outside, 'root')
const TEXT = 'The quick brown fox'
const CHANGED = new Date('2026-01-02T03:04:05.678Z')
for (const name of ['root', 'root/empty', 'root/site', 'root2', 'root/a b', 'root/.git']) mkdirSync(join(outside, name))
for (const name of ['secret', 'root2/secret', 'root/fox.txt', 'root/site/index.html', 'root/.git/config', 'root/a b/<i>&.txt'])
  writeFileSync(join(outside, name), TEXT)
writeFileSync(join(root, 'javascript:alert(1)'), '')
utimesSync(join(root, 'fox.txt'), CHANGED, CHANGED)
symlinkSync(join(outside, 'secret'), join(root, 'link'))
symlinkSync(join(outside, 'root2'), join(root, 'dir-link'))
symlinkSync(join(root, 'fox.txt'), join(root, 'inner'))
symlinkSync('loop', join(root, 'loop'))
spawnSync('mkfifo', [join(root, 'pipe')])

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

type Ask = (path: string, headers?: Record<string, string>, method?: string) => Promise<Answer>

/** The command with these options, and questions to it. */
function withFiles(options: string, test: (ask: Ask, serve: Begun) => Promise<void>): Promise<void> {
  return withCommand(async (peer, begin) => {
    const serve = begin(['serve', ...options.split(' ').filter(Boolean), root])
    await serve.until(/^ready: /)
    const agent = new peer.http.Agent()
    const ask: Ask = async (path, headers = {}, method = 'GET') => {
      const request = peer.http.request({ host: '10.0.0.2', path, method, headers, agent })
      request.end()
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      let body = ''
      for await (const chunk of response) body += chunk
      return { status: response.statusCode!, headers: response.headers, body }
    }
    await test(ask, serve)
    agent.destroy()
    expect(await serve.stop()).toBe(0)
  })
}

describe('tapstack serve', () => {
  it('serves files, says so, and logs', () =>
    withFiles('', async (ask, serve) => {
      expect(serve.said).toBe(`ready: http://10.0.0.2/ on tap0, from ${root}`)
      const { status, headers, body } = await ask('/fox.txt?a=b')
      expect([status, body]).toEqual([200, TEXT])
      expect(headers).toMatchObject({
        'content-type': 'text/plain; charset=utf-8',
        'content-length': '19',
        'last-modified': 'Fri, 02 Jan 2026 03:04:05 GMT',
        'x-content-type-options': 'nosniff',
        'accept-ranges': 'bytes',
      })
      await serve.until(/^10\.0\.0\.1:\d+ GET \/fox\.txt\?a=b 200 19 bytes$/)
      const head = await ask('/fox.txt', {}, 'HEAD')
      expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', '19'])
      expect((await ask('/inner')).body).toBe(TEXT)
      expect((await ask('http://10.0.0.2/fox.txt')).body).toBe(TEXT)
      expect((await ask('/a%20b/%3Ci%3E%26.txt')).body).toBe(TEXT)
      expect((await ask('/missing%C3%BF')).status).toBe(404)
    }))

  it('serves directories: index.html, a list that nothing in it can make into something else, or neither', async () => {
    await withFiles('', async (ask) => {
      const index = await ask('/site/')
      expect([index.body, index.headers['content-type']]).toEqual([TEXT, 'text/html; charset=utf-8'])
      const moved = await ask('//site?x')
      expect([moved.status, moved.headers.location]).toEqual([301, '/site/?x'])
      const list = await ask('/')
      expect(list.body).toContain('<li><a href="./a%20b/">a b/</a></li>')
      expect(list.body).toContain('<a href="./javascript%3Aalert(1)">')
      expect(list.body).not.toContain('.git')
      expect(list.body).not.toContain('../')
      const inner = await ask('/a%20b/')
      expect(inner.body).toContain('<li><a href="../">../</a></li>\n<li><a href="./%3Ci%3E%26.txt">&lt;i&gt;&amp;.txt</a></li>')
      expect((await ask('/empty/')).status).toBe(200)
      expect((await ask('/fox.txt/')).status).toBe(404)
    })
    await withFiles('--no-list --quiet', async (ask, serve) => {
      expect((await ask('/')).status).toBe(404)
      expect((await ask('/site/')).status).toBe(200)
      expect(serve.said.split('\n').length).toBe(1)
    })
  })

  it('serves nothing from elsewhere', () =>
    withFiles('', async (ask) => {
      const refused: [string, number][] = [
        ['/../secret', 403],
        ['/%2e%2e/secret', 403],
        ['/..%2fsecret', 403],
        ['/site/../../secret', 403],
        ['/%2e%2e%2froot2/secret', 403],
        ['/link', 403],
        ['/dir-link/secret', 403],
        ['/dir-link/', 403],
        ['/loop', 404],
        ['/pipe', 404],
        ['/%00', 403],
        ['/%', 400],
        ['/.git/config', 404],
        ['/%2egit/config', 404],
        [`/${'x'.repeat(5000)}`, 404],
      ]
      for (const [path, status] of refused) {
        const answer = await ask(path)
        expect([path, answer.status]).toEqual([path, status])
        expect(answer.body).not.toContain(TEXT)
      }
    }))

  it('--dotfiles serves them', () =>
    withFiles('--dotfiles', async (ask) => {
      expect((await ask('/.git/config')).body).toBe(TEXT)
      expect((await ask('/..')).status).toBe(403)
    }))

  it('knows GET and HEAD alone', () =>
    withFiles('', async (ask) => {
      const { status, headers } = await ask('/fox.txt', {}, 'DELETE')
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
    }))

  it('answers conditions', () =>
    withFiles('', async (ask) => {
      const { etag = '' } = (await ask('/fox.txt')).headers
      const [same, before, after] = [
        'Fri, 02 Jan 2026 03:04:05 GMT',
        'Thu, 01 Jan 2026 00:00:00 GMT',
        'Sat, 03 Jan 2026 00:00:00 GMT',
      ]
      const cases: [Record<string, string>, number][] = [
        [{ 'if-none-match': etag }, 304],
        [{ 'if-none-match': `"x", W/${etag}` }, 304],
        [{ 'if-none-match': '*' }, 304],
        [{ 'if-none-match': '"x"', 'if-modified-since': after }, 200],
        [{ 'if-modified-since': same }, 304],
        [{ 'if-modified-since': before }, 200],
        [{ 'if-modified-since': 'yesterday' }, 200],
        [{ 'if-match': etag }, 200],
        [{ 'if-match': `W/${etag}` }, 412],
        [{ 'if-match': '"x"' }, 412],
        [{ 'if-unmodified-since': same }, 200],
        [{ 'if-unmodified-since': before }, 412],
      ]
      for (const [headers, status] of cases) expect([headers, (await ask('/fox.txt', headers)).status]).toEqual([headers, status])
      const part = { range: 'bytes=4-8' }
      for (const [condition, status] of [
        [etag, 206],
        ['"x"', 200],
        [`W/${etag}`, 200],
        [same, 206],
        [before, 200],
      ] as const)
        expect([condition, (await ask('/fox.txt', { ...part, 'if-range': condition })).status]).toEqual([condition, status])
    }))

  it('serves parts', () =>
    withFiles('', async (ask) => {
      const part = await ask('/fox.txt', { range: 'bytes=4-8' })
      expect([part.status, part.body, part.headers['content-range']]).toEqual([206, 'quick', 'bytes 4-8/19'])
      expect((await ask('/fox.txt', { range: 'bytes=-3' })).body).toBe('fox')
      const none = await ask('/fox.txt', { range: 'bytes=19-' })
      expect([none.status, none.headers['content-range']]).toEqual([416, 'bytes */19'])
      expect((await ask('/fox.txt', { range: 'bytes=0-1,4-5' })).status).toBe(200)
    }))

  it.each([
    ['serve /nowhere', 'there is no such directory'],
    ['serve package.json', 'package.json is no directory'],
    ['serve --cert x', '--cert and --key'],
    ['serve -p 0', '--port 0'],
  ])('%s: exit code 2', (line, words) =>
    withCommand(async (_peer, begin) => {
      const serve = begin(line)
      expect(await serve.ended).toBe(2)
      expect(serve.errors[0]).toContain(words)
    }),
  )
})

describe('ranges and types', () => {
  it.each([
    [undefined, 10, null],
    ['bytes=0-0', 10, { first: 0, last: 0 }],
    ['bytes=0-', 10, { first: 0, last: 9 }],
    ['Bytes= 3 - 99', 10, { first: 3, last: 9 }],
    ['bytes=-99', 10, { first: 0, last: 9 }],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=-5', 0, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=5-4', 10, null],
    ['bytes=-', 10, null],
    ['lines=0-1', 10, null],
    ['bytes=99999999999999999999-', 10, null],
  ])('%s of %i bytes', (header, size, found) => {
    expect(rangeOf(header, size)).toEqual(found)
  })

  it('types go by the end of the name', () => {
    expect(['a.HTML', 'a.tar.gz', 'png', 'a.unknown', '.'].map(contentType)).toEqual([
      'text/html; charset=utf-8',
      'application/gzip',
      'application/octet-stream',
      'application/octet-stream',
      'application/octet-stream',
    ])
  })
})
