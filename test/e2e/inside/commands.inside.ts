/** Commands on a tap of this namespace, against the kernel and the tools that they are named after. They run in this process: starting one for each takes longer than they do. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLink } from '../../../src/backend/open-link.ts'
import { nodeHost } from '../../../src/node/host.ts'
import { type Begun, begin as beginOn } from '../../support/begun-command.ts'
import { scratchFolder } from '../../support/scratch.ts'
import { TEST_CERT, TEST_KEY } from '../../support/test-certificate.ts'
import { listener, noise, run, serve, sh, sha256, until } from './lab.ts'
import { node } from './program.ts'

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
    // Until there is an answer: the kernel may still know another MAC address of ours, and its side of the tap has only just come up.
    const byAddress = begin('arping -f -w 20 -i 0.2 10.0.0.1')
    expect(await byAddress.ended, byAddress.said).toBe(0)
    expect(byAddress.said).toMatch(
      new RegExp(`^42 bytes from ${kernelMac()} \\(10\\.0\\.0\\.1\\): index=0 time=[\\d.]+ [mu]?sec$`, 'm'),
    )
    const byMac = begin(`arping -f -w 20 -i 0.2 ${kernelMac()}`)
    expect(await byMac.ended, byMac.said).toBe(0)
    expect(byMac.said).toMatch(new RegExp(`^62 bytes from ${kernelMac()} \\(10\\.0\\.0\\.1\\): icmp_seq=\\d+ time=`, 'm'))
  })

  it('-D sees that the kernel has an address; -A makes it learn ours anew', async () => {
    const taken = begin('arping -D -c 20 10.0.0.1')
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
    const dir = scratchFolder('serve')
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
  })
})

describe('tapstack dump', () => {
  it('takes the frames that tcpdump takes, from pcapng and pcap', async () => {
    const dir = scratchFolder('dump')
    const [ours, theirs] = [join(dir, 'a.pcapng'), join(dir, 'a.pcap')]
    const dump = begin(`dump -a 10.0.0.2/24 -a fd00::2/64 --mac 02:00:00:00:00:66 -w ${ours}`)
    await dump.until(/^listening on tap0 as 10\.0\.0\.2 fd00::2$/)
    sh('ip addr add fd00::1/64 dev tap0 nodad')
    await run('ping -c 2 -i 0.1 10.0.0.2; ping -6 -c 2 -i 0.1 fd00::2; nc -n -z 10.0.0.2 80; nc -n -z fd00::2 443')
    await run('echo x | nc -n -u -w 1 10.0.0.2 53')
    expect(await dump.stop()).toBe(0)
    expect((await run(`tcpdump -r ${ours} -w ${theirs}`)).code).toBe(0)
    let taken = 0
    // Listener reports, with a header before ICMPv6's, are other for tcpdump: none of these is about them.
    for (const filter of [
      '',
      'arp',
      'ip',
      'ip6',
      'icmp',
      'icmp6 and host fd00::2 or arp',
      'tcp',
      'tcp port 80',
      'port 80 or 443',
      'src host 10.0.0.1',
      'dst 10.0.0.2 and not icmp',
      'host fd00::2',
      'net 10.0.0.0/24',
      'ip6 net fd00::/16',
      'ether src 02:00:00:00:00:66',
      'ether broadcast',
      'ether multicast and ip6',
      'udp dst portrange 50-60',
      'less 60',
      'greater 90 and (icmp or udp)',
      'arp or tcp and ip6',
      'ip proto 17',
      'src or dst host 10.0.0.2 and !(udp||tcp)',
    ]) {
      const lines = (text: string): number => text.split('\n').filter(Boolean).length
      const judge = await run(`exec tcpdump -n -r ${theirs} '${filter}'`)
      for (const file of [ours, theirs]) {
        const read = begin(['dump', '-r', file, ...filter.split(' ')])
        expect(await read.ended).toBe(0)
        expect([filter, Number.parseInt(read.errors[0], 10)]).toEqual([filter, lines(judge.out)])
      }
      if (lines(judge.out) > 0) taken++
    }
    expect(taken).toBeGreaterThan(18)
  })

  it('is shown by the example of a capture, too', async () => {
    const dir = scratchFolder('capture')
    const file = join(dir, 'x.pcapng')
    const example = node('examples/capture.ts', {}, file, '--count', '2')
    expect(await example.ended, example.said()).toBe(0)
    expect(example.said()).toMatch(/^> IP 10\.0\.0\.2 > 10\.0\.0\.1: ICMP echo request/m)
    expect(example.said()).toMatch(/^10\.0\.0\.1 answered in [\d.]+ ms$/m)
    expect((await run(`tcpdump -n -r ${file} icmp`)).out.split('\n').filter(Boolean).length).toBe(4)
  })
})

describe('tapstack bench', () => {
  it('measures services of the host', async () => {
    const services = await Promise.all([
      listener('TCP-LISTEN:9,fork,reuseaddr', 'OPEN:/dev/null'),
      listener('TCP-LISTEN:19,fork,reuseaddr', 'OPEN:/dev/zero'),
      listener('TCP-LISTEN:7,fork,reuseaddr,nodelay', 'PIPE'),
    ])
    const bench = begin('bench --json -t 0.1 10.0.0.1')
    expect(await bench.ended, bench.said).toBe(0)
    const numbers = JSON.parse(bench.said) as Record<string, Record<string, number>>
    expect(Object.keys(numbers)).toEqual(['tap0 send', 'tap0 receive', 'tap0 rr', 'tap0 connect'])
    expect(numbers['tap0 send'].bitsPerSecond).toBeGreaterThan(1e6)
    expect(numbers['tap0 rr'].count).toBeGreaterThan(1)
    for (const service of services) await service.stop()
  })
})
