/** `npm start`, the command and the examples as processes, on a tap of this namespace, with the tools of the host as judges. */
import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { PERIOD, pattern } from '../../../src/services/chargen.ts'
import { isRoot } from '../../support/root.ts'
import { end, hasTap, node, type Program, run, tool } from './program.ts'

describe('npm start', () => {
  it('on a tap: TCP echo that stays until Ctrl-C', async () => {
    const start = node('src/cli/start.ts')
    await start.until(/^ready: 10\.0\.0\.2\/24 on tap0/m)
    expect(start.said()).toMatch(/^npm start, way 1 of 3: .*because you may open a tap/)
    expect((await tool('ping', ['-c', '2', '-i', '0.1', '10.0.0.2'])).out).toContain('2 received, 0% packet loss')
    expect(await tool('nc', ['-N', '-w', '5', '10.0.0.2', '7'], 'hello')).toEqual({ code: 0, out: 'hello' })
    await start.until(/closed: 5 bytes in, 5 bytes out/)
    expect(start.said()).toMatch(/10\.0\.0\.1 port \d+ connected\n.*sent 5 bytes\n.*sent FIN/)
    await end(start)
  })

  it('in a namespace of its own: ping and an echo, then the end', async () => {
    const start = node('src/cli/start.ts', { TAPSTACK_START: 'namespace' })
    expect(await start.ended, start.said()).toBe(0)
    const said = start.said()
    expect(said).toMatch(/^npm start, way 2 of 3: .*because TAPSTACK_START=namespace says so/)
    expect(said).toContain('3 received, 0% packet loss')
    expect(said).toContain('came back: "Hello from the kernel!"')
    expect(hasTap()).toBe(false)
  })

  it('in memory: two stacks, each frame in one line', async () => {
    const start = node('src/cli/start.ts', { TAPSTACK_START: 'memory' })
    expect(await start.ended, start.said()).toBe(0)
    const said = start.said()
    expect(said).toMatch(/^npm start, way 3 of 3: .*\n {2}- TAPSTACK_START=memory says so/)
    expect(said).toMatch(/> ARP who-has 10\.0\.0\.2 tell 10\.0\.0\.1$/m)
    expect(said).toMatch(/> IP 10\.0\.0\.1\.\d+ > 10\.0\.0\.2\.7: Flags \[S\], .*mss 1460/)
    expect(said).toMatch(/64 bytes from 10\.0\.0\.2: icmp_seq=2 /)
    expect(said).toContain('came back: "Hello from the other stack!"')
    expect(said).not.toMatch(/bad checksum|incorrect/i)
  })

  it('refuses a way that does not exist', async () => {
    const start = node('src/cli/start.ts', { TAPSTACK_START: 'magic' })
    expect(await start.ended).toBe(1)
    expect(start.said()).toBe('npm start: TAPSTACK_START=magic: tap, namespace or memory is expected\n')
  })

  it('says that the tap is taken instead of falling back', async () => {
    spawnSync('ip', ['tuntap', 'add', 'dev', 'tap0', 'mode', 'tun'])
    try {
      const start = node('src/cli/start.ts')
      expect(await start.ended).toBe(1)
      expect(start.said()).toMatch(/^npm start: .*tap0.*\n$/)
    } finally {
      spawnSync('ip', ['link', 'del', 'tap0'])
    }
  })
})

/** Whether another user may read the project: else what he runs fails for another reason. */
const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups']
const mayRead = isRoot && spawnSync('setpriv', [...nobody, 'test', '-r', 'src/cli/start.ts']).status === 0

describe.runIf(mayRead)('npm start without root', () => {
  /** Runs it as nobody, after `device` has made /dev/net/tun what it is to be, in a mount namespace of its own. */
  const asNobody = (device: string, path = process.env.PATH ?? ''): Program => {
    const start = `setpriv ${nobody.join(' ')} env PATH=${path} HOME=/tmp ${process.execPath} --import tsx src/cli/start.ts`
    const script = `mount -t tmpfs none /dev/net && ${device} && exec ${start}`
    return run('unshare', ['-m', 'sh', '-c', script])
  }
  const NODE = 'mknod /dev/net/tun c 10 200'

  it('goes into a namespace of its own', async () => {
    const start = asNobody(`${NODE} -m 666`)
    expect(await start.ended, start.said()).toBe(0)
    expect(start.said()).toMatch(/^npm start, way 2 of 3: .*because you may not open a tap here \(EPERM\)\.\n.*sudo npm start/)
    expect(start.said()).toContain('came back: "Hello from the kernel!"')
  })

  it('stays in memory where a namespace would not help', async () => {
    const start = asNobody(`${NODE} -m 600`)
    expect(await start.ended, start.said()).toBe(0)
    expect(start.said()).toMatch(
      /^npm start, way 3 of 3: .*because\n {2}- you may not open a tap here \(EACCES\)\n {2}- a network namesp/,
    )
    const without = asNobody(`${NODE} -m 666`, '/nowhere')
    expect(await without.ended, without.said()).toBe(0)
    expect(without.said()).toMatch(/^npm start, way 3 of 3: .*\n.*\(EPERM\)\n.*unshare \(of util-linux\) is not installed/)
  })

  it('stays in memory where there are no taps, and says how to get them', async () => {
    const start = asNobody('true')
    expect(await start.ended, start.said()).toBe(0)
    expect(start.said()).toMatch(/^npm start, way 3 of 3: .*\n {2}- .*ENOENT.*modprobe tun/)
  })

  it('takes the tap that root has made for this user', async () => {
    const add = 'ip tuntap add dev tap0 mode tap user nobody && ip addr add 10.0.0.1/24 dev tap0 && ip link set tap0 up'
    expect(spawnSync('sh', ['-c', add]).status).toBe(0)
    try {
      const start = asNobody(`${NODE} -m 666`)
      await start.until(/^ready: /m)
      expect(start.said()).toMatch(/^npm start, way 1 of 3/)
      expect((await tool('ping', ['-c', '1', '10.0.0.2'])).code).toBe(0)
      start.child.kill('SIGTERM')
      expect(await start.ended, start.said()).toBe(0)
      expect(hasTap()).toBe(true)
    } finally {
      spawnSync('ip', ['link', 'del', 'tap0'])
    }
  })
})

describe('tapstack', () => {
  it('inetd answers all of its services', async () => {
    const inetd = node('src/cli/main.ts', {}, 'inetd', '--quiet')
    await inetd.until(/^ready: 10\.0\.0\.2 on tap0 \(tcp 7 9 13 19, udp 7 9 13 19\) (no )?offload/m)
    const nc = (...args: string[]): Promise<{ out: string }> => tool('nc', args, 'hello')
    expect((await nc('-N', '-w', '5', '10.0.0.2', '7')).out).toBe('hello')
    expect((await nc('-u', '-w', '1', '10.0.0.2', '7')).out).toBe('hello')
    expect((await nc('-N', '-w', '5', '10.0.0.2', '9')).out).toBe('')
    expect((await nc('-w', '5', '10.0.0.2', '13')).out).toMatch(/^\w+, \w+ \d+, 20\d\d \d\d:\d\d:\d\d-UTC\r\n$/)
    const lines = await tool('sh', ['-c', 'nc -w 5 10.0.0.2 19 < /dev/null | head -n 95'])
    expect(lines.out).toBe(Buffer.from(pattern(PERIOD)).toString('latin1'))
    expect((await nc('-w', '5', '10.0.0.2', '80')).out).toBe('')
    await end(inetd, 'SIGTERM')
  })

  it('ping gets answers from the kernel', async () => {
    const ping = node('src/cli/main.ts', {}, 'ping', '-c', '3', '-i', '0.1', '-s', '3000', '10.0.0.1')
    expect(await ping.ended, ping.said()).toBe(0)
    expect(ping.said()).toMatch(/^3008 bytes from 10\.0\.0\.1: icmp_seq=3 ttl=64 time=[\d.]+ ms$/m)
    expect(hasTap()).toBe(false)
  })

  it('says what went wrong in one line, and more when asked', async () => {
    spawnSync('ip', ['tuntap', 'add', 'dev', 'tap0', 'mode', 'tun'])
    try {
      const plain = node('src/cli/main.ts', {}, 'echo')
      expect(await plain.ended).toBe(2)
      expect(plain.said()).toMatch(/^tapstack echo: .*tap0.*\n$/)
      const debug = node('src/cli/main.ts', { TAPSTACK_DEBUG: '1' }, 'echo')
      expect(await debug.ended).toBe(2)
      expect(debug.said()).toMatch(/\n {4}at /)
    } finally {
      spawnSync('ip', ['link', 'del', 'tap0'])
    }
  })
})

describe('examples', () => {
  it('udp_echo', async () => {
    const example = node('examples/udp_echo.ts')
    await example.until(/^ready/m)
    expect((await tool('nc', ['-u', '-w', '1', '10.0.0.2', '7'], 'hello')).out).toBe('hello')
    await end(example)
  })

  it('http_server', async () => {
    const example = node('examples/http_server.ts', {}, '--port', '8080')
    await example.until(/^ready/m)
    expect((await tool('curl', ['-s', 'http://10.0.0.2:8080/'])).out).toMatch(/^Hello 10\.0\.0\.1/)
    const fetch = 'curl -s http://10.0.0.2:8080/bytes/5000000 | wc -c; curl -sI http://10.0.0.2:8080/bytes/77'
    expect((await tool('sh', ['-c', fetch])).out).toMatch(/^5000000\nHTTP\/1\.1 200 OK\r\n[\s\S]*content-length: 77/i)
    await end(example)
  })

  it('http_get, and what it says when nobody listens', async () => {
    const tap = 'ip tuntap add dev tap0 mode tap && ip addr add 10.0.0.1/24 dev tap0 && ip link set tap0 up'
    expect(spawnSync('sh', ['-c', tap]).status).toBe(0)
    try {
      const page = 'http.createServer((q, s) => s.end("a page")).listen(8000, "10.0.0.1", () => console.log("listening"))'
      const server = run(process.execPath, ['-e', `const http = require("node:http"); ${page}`])
      await server.until(/listening/)
      const example = node('examples/http_get.ts', {}, 'http://10.0.0.1:8000/x', '--link', 'tap://tap0')
      expect(await example.ended, example.said()).toBe(0)
      expect(example.said()).toContain('HTTP/1.1 200 OK')
      expect(example.said()).toContain('a page')
      const refused = node('examples/http_get.ts', {}, 'http://10.0.0.1:8001/', '--link', 'tap://tap0')
      expect(await refused.ended).toBe(1)
      expect(refused.said()).toBe('http://10.0.0.1:8001/: connect ECONNREFUSED 10.0.0.1:8001\n')
    } finally {
      spawnSync('ip', ['link', 'del', 'tap0'])
    }
  })

  it('vdestack', async () => {
    const link = ['--link', 'tap://tap0?host=10.0.0.1/24,fc00::1:1/64']
    const example = node('examples/vdestack.ts', {}, ...link, '--gateway', '10.0.0.1', '--gateway', 'fc00::1:1')
    await example.until(/^ready/m)
    expect(example.said()).toContain('    inet 10.0.0.50/24 scope global vde0\n')
    expect(example.said()).toContain('default via fc00::1:1 dev vde0 metric 1024 pref medium')
    // The first of IPv6 are lost: both ends still ask whether their addresses are somebody else's.
    for (const to of ['10.0.0.50', 'fc00::1:50']) {
      expect((await tool('ping', ['-c', '1', '-w', '15', to])).out).toMatch(/ [1-9]\d* received/)
      expect(await tool('nc', ['-N', '-w', '5', to, '5000'], 'hello')).toEqual({ code: 0, out: 'hello' })
    }
    expect(example.said()).toMatch(/^::ffff:10\.0\.0\.1 connected\n[\s\S]*^fc00::1:1 connected\n/m)
    await end(example)
  })

  it('inetd', async () => {
    const example = node('examples/inetd.ts')
    await example.until(/^ready/m)
    expect((await tool('nc', ['-N', '-w', '5', '10.0.0.2', '7'], 'hello')).out).toBe('hello')
    expect((await tool('nc', ['-w', '5', '10.0.0.2', '13'])).out).toMatch(/ GMT\r\n$/)
    const lines = await tool('sh', ['-c', 'nc -w 5 10.0.0.2 19 < /dev/null | head -n 190'])
    expect(lines.out.split('\r\n')[95]).toBe(lines.out.split('\r\n')[0])
    await end(example, 'SIGTERM')
  })
})
