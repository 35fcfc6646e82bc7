/** Commands on a tap of this namespace, against the kernel and the tools that they are named after. They run in this process: starting one for each takes longer than they do. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { nodeHost } from '../../../src/node/host.ts'
import { type Begun, begin as beginOn } from '../../support/begun-command.ts'
import { TEST_CERT, TEST_KEY } from '../../support/test-certificate.ts'
import { noise, run, serve, sh, sha256, until } from './lab.ts'

/** The tap is kept, so that the kernel's side has the same MAC address for all. */
beforeAll(() => {
  sh('ip link set lo up; ip tuntap add dev tap0 mode tap; ip addr add 10.0.0.1/24 dev tap0; ip link set tap0 up')
  sh('echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts')
})

afterAll(() => void spawnSync('ip', ['link', 'del', 'tap0']))

const begin = (line: string | readonly string[]): Begun => beginOn({ openLink, host: nodeHost }, line)
const kernelMac = (): string => /ether ([\da-f:]+)/.exec(sh('ip link show tap0'))![1]

describe('tapstack arping', () => {
  it('asks the kernel for its address, and pings its MAC address', async () => {
    const byAddress = begin('arping -c 2 -i 0.2 10.0.0.1')
    expect(await byAddress.ended).toBe(0)
    const lines = byAddress.said.split('\n')
    expect(lines[2]).toMatch(new RegExp(`^42 bytes from ${kernelMac()} \\(10\\.0\\.0\\.1\\): index=1 time=[\\d.]+ [mu]sec$`))
    const byMac = begin(`arping -c 1 ${kernelMac()}`)
    expect(await byMac.ended).toBe(0)
    expect(byMac.said).toContain(`\n62 bytes from ${kernelMac()} (10.0.0.1): icmp_seq=0 time=`)
  })

  it('-D sees that the kernel has an address; -A makes it learn ours anew', async () => {
    const taken = begin('arping -D 10.0.0.1')
    expect(await taken.ended).toBe(1)
    expect(taken.said).toContain(`Unicast reply from 10.0.0.1 [${kernelMac().toUpperCase()}]`)
    const telling = begin('arping -A -i 0.1 --mac 02:00:00:00:00:55 10.0.0.2')
    await telling.until(/^ARPING/)
    sh('ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev tap0 nud stale')
    await until(() => sh('ip neigh show 10.0.0.2').includes('02:00:00:00:00:55'))
    expect(await telling.stop()).toBe(0)
  })
})

describe('tapstack nc', () => {
  it('sends a megabyte to nc of the host, and receives one from it', async () => {
    const sent = noise(1 << 20, 3)
    const there = await serve('nc', ['-n', '-v', '-l', '10.0.0.1', '5000'], /Listening on/)
    const here = begin('nc -N 10.0.0.1 5000')
    here.input.end(sent)
    expect([await here.ended, await there.closed]).toEqual([0, 0])
    expect(sha256(there.received)).toBe(sha256(sent))
    const listening = begin('nc -v -l 5000')
    await listening.until(/^Listening/)
    expect((await run('exec nc -n -N 10.0.0.2 5000', { input: sent })).code).toBe(0)
    expect(await listening.ended).toBe(0)
    expect(sha256(listening.bytes())).toBe(sha256(sent))
  })

  it('-l is found by nc -z of the host and hears what nc says, by UDP too', async () => {
    const here = begin('nc -k -v -l 5000')
    await here.until(/^Listening/)
    expect((await run('exec nc -n -z 10.0.0.2 5000')).code).toBe(0)
    expect((await run('exec nc -n -N 10.0.0.2 5000', { input: Buffer.from('hello') })).code).toBe(0)
    await until(() => here.bytes().toString() === 'hello')
    expect(await here.stop()).toBe(130)
    const heard = begin('nc -u -v -l 5000')
    heard.input.write('welcome')
    await heard.until(/^Bound/)
    expect((await run('exec nc -n -u -w 1 10.0.0.2 5000', { input: Buffer.from('hello') })).out).toBe('welcome')
    expect(heard.bytes().toString()).toBe('hello')
  })
})

describe('tapstack get', () => {
  it('does what curl does, and ends as it does', async () => {
    const body = noise(300_000, 7)
    const server = createServer((request, response) => {
      if (request.url === '/moved') response.writeHead(302, { location: '/body' }).end()
      else if (request.url === '/body') response.end(body)
      else if (request.url === '/half') {
        response.writeHead(200, { 'content-length': 100 })
        response.write('half', () => request.socket.destroy())
      } else if (request.url === '/nothing') request.socket.destroy()
      else response.writeHead(404).end(`no ${request.url}`)
    }).listen(8000, '10.0.0.1')
    const secure = createSecureServer({ cert: TEST_CERT, key: TEST_KEY }, (_request, response) => response.end('secret')).listen(
      8443,
      '10.0.0.1',
    )
    await Promise.all([once(server, 'listening'), once(secure, 'listening')])
    try {
      for (const line of [
        'http://10.0.0.1:8000/body',
        '-L http://10.0.0.1:8000/moved',
        'http://10.0.0.1:8000/moved',
        'http://10.0.0.1:8000/404',
        '-f http://10.0.0.1:8000/404',
        'http://10.0.0.1:8000/half',
        'http://10.0.0.1:8000/nothing',
        'http://10.0.0.1:8001/',
        'https://10.0.0.1:8443/',
        '-k https://10.0.0.1:8443/',
        'https://10.0.0.1:8000/',
      ]) {
        const get = begin(`get ${line}`)
        const [ours, theirs] = [await get.ended, await run(`exec curl -s ${line}`)]
        expect([line, ours, sha256(get.bytes())]).toEqual([line, theirs.code, sha256(theirs.bytes)])
      }
    } finally {
      server.close()
      secure.close()
      server.closeAllConnections()
      secure.closeAllConnections()
    }
  })
})

describe('tapstack serve', () => {
  it('is served to curl: whole, in part, if it is newer, resumed, and nothing from elsewhere', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tapstack-serve-'))
    try {
      const bytes = noise(3_000_000, 9)
      writeFileSync(join(dir, 'big file'), bytes)
      const serving = begin(['serve', '--port', '8080', dir])
      await serving.until(/^ready: http:\/\/10\.0\.0\.2:8080\/ on tap0/)
      const url = 'http://10.0.0.2:8080'
      const curl = (options: string) => run(`exec curl -s ${options}`)
      expect(sha256((await curl(`${url}/big%20file`)).bytes)).toBe(sha256(bytes))
      expect((await curl(`-r 100-199 ${url}/big%20file`)).bytes).toEqual(bytes.subarray(100, 200))
      const part = join(dir, 'part')
      writeFileSync(part, bytes.subarray(0, 1_000_000))
      expect((await curl(`-C - -o ${part} ${url}/big%20file`)).code).toBe(0)
      expect(sha256(readFileSync(part))).toBe(sha256(bytes))
      expect((await curl(`-o /dev/null -w %{http_code} -z '${dir}/big file' ${url}/big%20file`)).out).toBe('304')
      expect((await curl(`${url}/`)).out).toContain('<a href="./big%20file">')
      expect((await curl(`-o /dev/null -w %{http_code} --path-as-is ${url}/../../etc/passwd`)).out).toBe('403')
      expect((await curl(`-I ${url}/big%20file`)).out).toMatch(/^HTTP\/1\.1 200 OK\r\n(.*\r\n)*content-length: 3000000\r\n/i)
      expect(await serving.stop()).toBe(0)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})
