/** `tapstack script`: lines, closing line, exit code, files and directories. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { createWorld } from '../../src/sim/world.ts'
import { scratchFolder } from '../support/scratch.ts'

const CONNECT = `
 0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 fcntl(3, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)
+0 > S 0:0(0) <...>
`
const dir = scratchFolder('script')

beforeAll(() => {
  mkdirSync(join(dir, 'more/deep'), { recursive: true })
  mkdirSync(join(dir, 'common'))
  const write = (name: string, text: string): void => writeFileSync(join(dir, name), text)
  write('b.pkt', CONNECT)
  mkdirSync(join(dir, 'links/below'), { recursive: true })
  mkdirSync(join(dir, 'none'))
  write('links/below/a.pkt', CONNECT)
  symlinkSync('..', join(dir, 'links/below/up'))
  symlinkSync('nowhere.pkt', join(dir, 'links/broken.pkt'))
  symlinkSync('below', join(dir, 'links/other'))
  write('empty.pkt', `// ${'nothing'}\n#ifdef FreeBSD\n${CONNECT}#endif\n`)
  write('more/deep/a.pkt', CONNECT.replace('<...>', 'win 5 <...>'))
  write('more/c.pkt', `\`iptables -F\`\n${CONNECT}`)
  write('more/no-script.txt', 'nothing')
  write('wrong.pkt', `${CONNECT}+0 close(3 = 0\n`)
  write('included.pkt', `\`../elsewhere/set.sh\`\n${CONNECT.replace('<...>', '<mss 1460,nop,nop,sackOK,nop,wscale 8>')}`)
  write('six.pkt', CONNECT.replace('<...>', '<mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 8>').replace('...', 'AF_INET6'))
  write('four.pkt', `--ip_version=ipv4\n${CONNECT}`)
  write('defined.pkt', CONNECT.replace('F_SETFL', 'CALL'))
  write('common/set.sh', 'sysctl -q net.ipv4.tcp_timestamps=0 net.ipv4.tcp_rmem="4096 131072 15728640"\n')
})

async function script(...args: string[]): Promise<{ code: number; out: string[]; err: string[] }> {
  const out: string[] = []
  const err: string[] = []
  const world = createWorld({ seed: 1 })
  const code = await run(
    ['script', ...args],
    {
      out: (line) => void out.push(line.replaceAll(`${dir}/`, '')),
      err: (line) => void err.push(line),
      openLink: async () => {
        throw new Error('a script opens no link')
      },
      platform: { host: world.host, random: world.host.random },
      stop: new AbortController().signal,
    },
    '1.2.3',
  )
  return { code, out, err }
}

describe('tapstack script', () => {
  it('plays files and directories, sorted, and counts', async () => {
    const { code, out, err } = await script(join(dir, 'b.pkt'), join(dir, 'more'))
    expect(out.filter((l) => !l.startsWith(' '))).toEqual([
      'ok b.pkt',
      'skip more/c.pkt: line 1: not supported: command: iptables -F',
      expect.stringMatching(/^not ok more\/deep\/a\.pkt: line 5: win: expected 5, got \d+/),
      '1 passed, 1 failed, 1 skipped',
    ])
    expect(code).toBe(1)
    expect(err).toEqual([])
  })

  it('plays in the family that it is told, with an MTU for as long segments', async () => {
    const { code, out } = await script('--ip-version', 'ipv6', join(dir, 'b.pkt'), join(dir, 'six.pkt'), join(dir, 'four.pkt'))
    expect(out).toEqual(['ok b.pkt', 'ok six.pkt', 'skip four.pkt: is for ipv4', '2 passed, 0 failed, 1 skipped'])
    expect(code).toBe(0)
    expect(await script('--ip-version', 'ipv5', join(dir, 'b.pkt'))).toMatchObject({ code: 2, out: [] })
  })

  it('shows what was expected and what came', async () => {
    const { out } = await script(join(dir, 'more/deep/a.pkt'))
    expect(out.slice(1, -1).join('\n')).toMatch(
      /^ {4}expected: 0\.000000 > S 0:0\(0\) win 5 <\.\.\.>\n {6}actual: 0\.000000 > S 0:0\(0\) win \d+ <mss/,
    )
  })

  it('ends with 0 when nothing failed', async () => {
    expect(await script(join(dir, 'b.pkt'), join(dir, 'more/c.pkt'))).toMatchObject({ code: 0 })
    expect((await script('--quiet', join(dir, 'b.pkt'))).out).toEqual(['1 passed, 0 failed, 0 skipped'])
  })

  it('shows where a text is no script', async () => {
    const { code, out } = await script(join(dir, 'wrong.pkt'))
    expect(out).toEqual([
      "not ok wrong.pkt: 6:12: expected ',' or ')', found '= 0'",
      '    +0 close(3 = 0',
      '               ^',
      '0 passed, 1 failed, 0 skipped',
    ])
    expect(code).toBe(1)
  })

  it('finds the files that scripts run', async () => {
    expect((await script(join(dir, 'included.pkt'))).out).toEqual(['ok included.pkt', '1 passed, 0 failed, 0 skipped'])
  })

  it('takes definitions, options, a profile, and tells events when asked', async () => {
    const { code, out } = await script('-D', 'CALL=F_SETFL', '-o', 'mtu=1400', '-p', 'freebsd', '-v', join(dir, 'defined.pkt'))
    expect(out).toEqual([
      '  0.000000 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3',
      '  0.000000 fcntl(3, CALL, O_RDWR|O_NONBLOCK) = 0',
      '  0.000000 connect(3, ..., ...) = -1 EINPROGRESS (Operation now in progress)',
      '  0.000000 > S 0:0(0) <...>',
      'ok defined.pkt',
      '1 passed, 0 failed, 0 skipped',
    ])
    expect(code).toBe(0)
  })

  it('follows links in directories, but not in circles, and not to nothing', async () => {
    expect((await script(join(dir, 'links'))).out).toEqual([
      'ok links/below/a.pkt',
      'ok links/other/a.pkt',
      '2 passed, 0 failed, 0 skipped',
    ])
  })

  it('says that a directory has no scripts', async () => {
    const { code, out, err } = await script(join(dir, 'none'))
    expect(out).toEqual(['0 passed, 0 failed, 0 skipped'])
    expect(err).toEqual([`tapstack script: ${join(dir, 'none')}: there is no *.pkt in it or below`])
    expect(code).toBe(2)
  })

  it('nothing to play is no pass; an option that does not exist says so', async () => {
    expect((await script(join(dir, 'empty.pkt'))).out[0]).toBe('skip empty.pkt: no event to play with profile linux')
    expect((await script('-p', 'freebsd', join(dir, 'empty.pkt'))).out[0]).toBe('ok empty.pkt')
    expect((await script('-o', 'patience=1', join(dir, 'b.pkt'))).out[0]).toBe('skip b.pkt: option --patience is not known')
    expect((await script('-o', 'mtu=x', join(dir, 'b.pkt'))).out[0]).toBe(
      'skip b.pkt: option --mtu: x is not between 0 and 65535',
    )
  })

  it.each([
    [[], 'a file or a directory is expected'],
    [['/no/such/file'], '/no/such/file: there is no such file or directory'],
    [['--profile', 'plan9', 'x'], '--profile plan9: one of linux, freebsd, rfc is expected'],
    [['-D', '5=5', 'x'], '--define 5=5: NAME=VALUE is expected'],
  ])('refuses %j', async (args, message) => {
    const { code, out, err } = await script(...args)
    expect(code).toBe(2)
    expect(out).toEqual([])
    expect(err).toEqual([`tapstack script: ${message} (tapstack script --help)`])
  })
})
